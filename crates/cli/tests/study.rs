//! The whole way, small: what a study prints and leaves behind, with labels and without.

mod common;

use std::fs::File;
use std::path::Path;

use common::{run, said, small};
use selfsame::report::read_predictions;
use serde_json::Value;

fn last_line(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.lines().count(), 1, "with --json standard output holds one line: {text}");
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

fn json(mut args: Vec<String>) -> Value {
    args.push("--json".to_owned());
    last_line(&run(args))
}

#[test]
fn a_study_measures_three_ways_and_eval_measures_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let study = json(small("study", &out));
    for of in ["trained", "untrained", "patches", "pixels"] {
        for score in ["knn_acc1", "linear_acc1", "centre_acc1"] {
            let share = study["accuracies"]["of"][of][score].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&share), "{score} of {of} = {share}");
        }
    }
    for file in [
        "config.toml",
        "run.json",
        "metrics.jsonl",
        "views.json",
        "eval.json",
        "map.json",
        "predictions.json",
        "look.json",
        "suspects.json",
        "clusters.csv",
        "neighbours.json",
        "report.html",
    ] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    let trained = &study["accuracies"]["of"]["trained"];
    let shown = format!("{:.1}%", 100.0 * trained["knn_acc1"].as_f64().unwrap());
    assert!(page.contains(&shown), "the page shows {shown}");

    // What is predicted for each image is what the accuracies count.
    let predictions = read_predictions(&out).unwrap().unwrap();
    for (predicted, score) in [
        (&predictions.knn, "knn_acc1"),
        (&predictions.linear, "linear_acc1"),
        (&predictions.centre, "centre_acc1"),
    ] {
        let right = predicted.iter().zip(&predictions.labels).filter(|(one, class)| one == class);
        let share = right.count() as f64 / predictions.images.len() as f64;
        assert_eq!(trained[score].as_f64(), Some(share), "{score}");
    }
    assert_eq!(predictions.step, study["step"].as_u64());

    let again = json(vec!["eval".into(), out.display().to_string()]);
    for subject in ["accuracies", "geometry"] {
        assert_eq!(again[subject], study[subject], "{subject}");
    }
    // Settings that a run has settled cannot be changed on the way.
    let output = run(["study", "--resume", &out.display().to_string(), "--batch", "9"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    // A finished study that is resumed has nothing left to train and says the same.
    let resumed = json(vec!["study".into(), "--resume".into(), out.display().to_string()]);
    assert_eq!(resumed["accuracies"], study["accuracies"]);
}

#[test]
fn neighbours_are_found_by_name_and_replaced_aloud() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run").display().to_string();
    assert!(run(small("pretrain", Path::new(&out))).status.success());
    let neighbours = |images: &[&str]| {
        let words = ["neighbours", &out, "--json", "--nearest", "3"].into_iter();
        run(words.chain(images.iter().copied()))
    };
    // Without a name, a few images of each class are chosen from the test split.
    let chosen = last_line(&neighbours(&[]));
    assert_eq!(chosen["images"].as_array().unwrap().len(), 20);
    assert_eq!(chosen["images"][0]["image"]["split"], "test");
    let [first, second] = [0, 2].map(|at| chosen["images"][at]["image"]["name"].as_str().unwrap());

    let found = last_line(&neighbours(&[first]));
    assert_eq!((&found["asked"][0], &found["images"][0]), (&first.into(), &chosen["images"][0]));
    let nearest = found["images"][0]["nearest"].as_array().unwrap();
    let distances: Vec<f64> =
        nearest.iter().map(|near| near["distance"].as_f64().unwrap()).collect();
    assert!(distances.len() == 3 && distances.is_sorted(), "{distances:?}");
    assert!(nearest.iter().all(|near| near["image"]["name"] != first));
    let page = std::fs::read_to_string(Path::new(&out).join("report.html")).unwrap();
    assert!(page.contains("Nearest neighbours") && page.contains(first));

    let again = neighbours(&[second]);
    assert!(said(&again).contains(&format!("replacing the neighbours of {first}")));
    // What was asked for outlives an evaluation of the same weights.
    assert!(run(["eval", &out]).status.success());
    let kept = std::fs::read_to_string(Path::new(&out).join("neighbours.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&kept).unwrap()["asked"][0], second);

    let missing = neighbours(&["no such image"]);
    assert!(missing.status.code() == Some(2) && said(&missing).contains("no such image"));
    let several = neighbours(&[&first[..1]]);
    assert!(several.status.code() == Some(2) && said(&several).contains("give more of the name"));
}

#[test]
fn an_evaluation_is_written_last() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    assert!(run(small("pretrain", &out)).status.success());
    // The map cannot be written, as if a kill had come just then: the run must not count as
    // measured.
    std::fs::create_dir(out.join("map.json")).unwrap();
    let output = run(["eval", &out.display().to_string()]);
    assert!(
        output.status.code() == Some(1) && !out.join("eval.json").exists(),
        "{}",
        said(&output)
    );
}

/// A flat folder of glyphs as PNG files, one of them cut short.
fn unlabelled(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for index in 0..60 {
        let file = File::create(folder.join(format!("{index:02}.png"))).unwrap();
        let mut encoder = png::Encoder::new(file, 20, 20);
        encoder.set_color(png::ColorType::Rgb);
        let pixels = selfsame::data::glyph_pixels(1, index, 20);
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    }
    let broken = folder.join("17.png");
    let bytes = std::fs::read(&broken).unwrap();
    std::fs::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn without_labels_what_needs_them_is_left_out_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let (images, out) = (folder.path().join("photos"), folder.path().join("run"));
    unlabelled(&images);
    let mut args = small("study", &out);
    args.extend(["--data".to_owned(), images.display().to_string(), "--json".to_owned()]);
    let output = run(&args);
    assert!(said(&output).contains("17.png"), "the damaged image is named: {}", said(&output));
    let study = last_line(&output);
    assert!(study["accuracies"].is_null());
    assert_eq!(study["left_out"][0]["reason"], "no_labels");
    assert!(study["geometry"]["trained"]["alignment"].as_f64().unwrap() >= 0.0);
    assert_eq!(study["skipped"], 1);

    let strict = folder.path().join("strict");
    let mut args = small("study", &strict);
    args.extend(["--data".to_owned(), images.display().to_string(), "--strict".to_owned()]);
    let output = run(&args);
    assert!(
        output.status.code() == Some(1) && said(&output).contains("17.png"),
        "{}",
        said(&output)
    );

    // Other images would be split otherwise: what was trained on could be measured as if it had not
    // been.
    std::fs::remove_file(images.join("03.png")).unwrap();
    let output = run(["eval", &out.display().to_string()]);
    assert!(
        output.status.code() == Some(2)
            && said(&output).contains("46 training images in place of 47"),
        "{}",
        said(&output)
    );
}

#[test]
fn embeddings_go_out_as_npy_and_csv() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    assert!(run(small("pretrain", &out)).status.success());
    let embed = |to: &Path| {
        vec![
            "embed".to_owned(),
            out.display().to_string(),
            "--to".to_owned(),
            to.display().to_string(),
        ]
    };
    let (npy, csv) = (folder.path().join("a.npy"), folder.path().join("b.csv"));
    let result = json(embed(&npy));
    let rows = result["rows"].as_u64().unwrap() as usize;
    assert_eq!(
        (rows, result["dim"].as_u64()),
        (120, Some(16)),
        "60 to train and validate, 60 to test"
    );
    json(embed(&csv));

    let array = npyz::NpyFile::new(File::open(&npy).unwrap()).unwrap();
    assert_eq!(array.shape(), [120, 16]);
    let values: Vec<f32> = array.into_vec().unwrap();
    let table = std::fs::read_to_string(&csv).unwrap();
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("filename,split,label,embedding_0,"));
    let from_csv: Vec<f32> = lines
        .flat_map(|line| line.split(',').skip(3))
        .map(|field| field.parse().unwrap())
        .collect();
    assert_eq!(from_csv, values, "the same numbers to the bit");
    let names = std::fs::read_to_string(folder.path().join("a.csv")).unwrap();
    assert_eq!(names.lines().count(), 121);

    let output = run(embed(&npy));
    assert_eq!(output.status.code(), Some(2), "not written over unasked: {}", said(&output));
    let output = run(embed(&folder.path().join("c.parquet")));
    assert!(
        output.status.code() == Some(2) && said(&output).contains(".npy or .csv"),
        "{}",
        said(&output)
    );
}
