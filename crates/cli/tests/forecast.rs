//! The forecast: its numbers are those of plain loops, it resumes to the byte, and it refuses what
//! it cannot measure.

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{run, said, selfsame, small};
use selfsame::augment::{Image, Policy, Purpose, Scratch, ViewKey};
use serde_json::Value;

/// Side of the images.
const SIDE: u32 = 12;

/// A folder of class folders with so many glyphs each.
fn classes(folder: &Path, images: &[usize]) -> PathBuf {
    let data = folder.join("photos");
    for (class, &images) in images.iter().enumerate() {
        let folder = data.join(format!("class{class}"));
        fs::create_dir_all(&folder).unwrap();
        for image in 0..images {
            let index = (10 * image + class) as u64;
            let mut encoder = png::Encoder::new(
                File::create(folder.join(format!("{image:02}.png"))).unwrap(),
                SIDE,
                SIDE,
            );
            encoder.set_color(png::ColorType::Rgb);
            let pixels = selfsame::data::glyph_pixels(1, index, SIDE);
            encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        }
    }
    data
}

fn args(data: &Path, out: &Path, more: &str) -> Vec<String> {
    let [data, out] = [data, out].map(|path| path.display().to_string());
    let mut args = ["forecast", "--data", &data, "--out", &out].map(str::to_owned).to_vec();
    args.extend(more.split_whitespace().map(str::to_owned));
    args
}

/// What it prints with `--json`.
fn forecast(data: &Path, out: &Path, more: &str) -> Value {
    let output = run(args(data, out, &format!("--json {more}")));
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.lines().count(), 1, "with --json standard output holds one line: {text}");
    serde_json::from_str(&text).unwrap()
}

/// All files of a folder but the hidden ones: the lock, and what a kill left of a write.
fn results(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let hidden = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
    };
    let files = entries.filter(|path| path.is_file() && !hidden(path));
    let mut files: Vec<_> = files
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn distances_and_spread_are_those_of_plain_loops() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (classes(folder.path(), &[12, 12]), folder.path().join("out"));
    let result =
        forecast(&data, &out, "--policies ad --per-class 4 --views 3 --seed 7 --split-seed 7");
    let dataset = selfsame::data::load(
        &data.display().to_string(),
        &selfsame::data::LoadOptions { seed: 7, ..Default::default() },
        &|_, _| {},
    )
    .unwrap();

    let images: Vec<(usize, u64)> = result["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| (image["index"].as_u64().unwrap() as usize, image["class"].as_u64().unwrap()))
        .collect();
    assert_eq!(images.len(), 8);
    let policy: Policy = "ad".parse().unwrap();
    let views: Vec<Vec<Vec<u8>>> = images
        .iter()
        .map(|&(index, class)| {
            assert_eq!(u64::from(dataset.train.labels().unwrap()[index]), class);
            let pixels = dataset.train.image(index).pixels();
            let view = |view| {
                let mut into = vec![0; pixels.len()];
                let key = ViewKey::new(Purpose::Forecast, 7, index as u64, view);
                let source = Image::rgb(SIDE, SIDE, pixels).unwrap();
                policy.view(key, source, SIDE, &mut Scratch::default(), &mut into).unwrap();
                into
            };
            [vec![pixels.to_vec()], (0..3).map(view).collect()].concat()
        })
        .collect();
    let squared = |a: &[u8], b: &[u8]| {
        a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum::<u64>()
    };
    let nearest = |i: usize, j: usize| {
        views[i].iter().flat_map(|a| views[j].iter().map(move |b| squared(a, b))).min().unwrap()
    };

    let file = out.join("distances-00-ad.npy");
    let matrix = npyz::NpyFile::new(File::open(file).unwrap()).unwrap();
    assert_eq!(matrix.shape(), [8, 8]);
    let matrix: Vec<f64> = matrix.into_vec().unwrap();
    for i in 0..8 {
        for j in 0..8 {
            let expected = if i == j { 0 } else { nearest(i, j) };
            assert_eq!(matrix[8 * i + j], expected as f64, "images {i} and {j}");
        }
    }

    // D: the middle distance of two images of one class as they are; of twelve pairs the lower
    // middle.
    let class_of = |image: usize| images[image].1;
    let pairs = || (0..8).flat_map(|i| (i + 1..8).map(move |j| (i, j)));
    let mut own: Vec<u64> = pairs()
        .filter(|&(i, j)| class_of(i) == class_of(j))
        .map(|(i, j)| squared(&views[i][0], &views[j][0]))
        .collect();
    own.sort_unstable();
    assert_eq!(own.len(), 12);
    let middle = own[5];
    let found = result["deltas"][7]["delta"].as_f64().unwrap();
    assert!((found - (middle as f64).sqrt()).abs() < 1e-9, "{found} {middle}");

    // The largest sets of each class whose images all lie within reach, by trying all of the
    // sixteen.
    let sigma = |k: u64| {
        let near = |i: usize, j: usize| i == j || 64 * nearest(i, j) <= k * k * middle;
        let largest = |class: u64| {
            let own: Vec<usize> = (0..8).filter(|&i| class_of(i) == class).collect();
            let chosen = |set: u32| -> Vec<usize> {
                (0..own.len()).filter(|at| set >> at & 1 == 1).map(|at| own[at]).collect()
            };
            let sets = (1_u32..16).map(chosen);
            sets.filter(|set| set.iter().all(|&i| set.iter().all(|&j| near(i, j))))
                .map(|set| set.len())
                .max()
                .unwrap()
        };
        (largest(0) + largest(1)) as f64 / 8.0
    };
    let policy = &result["policies"][0];
    for k in 1..=8 {
        let found = policy["sigma"][k as usize - 1]["value"].as_f64().unwrap();
        assert!((found - sigma(k)).abs() < 1e-12, "{k}: {found} {}", sigma(k));
    }
    let gathered = (1..=8).map(sigma).sum::<f64>() / 8.0;

    let separation = policy["separation"]["value"].as_f64().unwrap();
    let found = policy["score"]["value"].as_f64().unwrap();
    assert!((found - gathered * (2.0 * separation - 1.0)).abs() < 1e-12, "{found}");
    // Of four images a class there are no intervals, and nothing is recommended.
    assert!(
        policy["score"]["interval"].is_null() && result["recommended"] == serde_json::json!([]),
        "{result}"
    );
    assert_eq!(result["advice"], serde_json::json!({ "verdict": "too_few_images", "needed": 10 }));
}

/// The number of each policy and of images as they are, by name.
fn numbers(result: &Value, of: &str) -> std::collections::BTreeMap<String, Value> {
    let policies = result["policies"].as_array().unwrap().iter().chain([&result["baseline"]]);
    policies
        .map(|policy| (policy["name"].as_str().unwrap().to_owned(), policy[of].clone()))
        .collect()
}

#[test]
fn a_policy_scores_the_same_alone_and_in_any_company() {
    let folder = tempfile::tempdir().unwrap();
    let data = classes(folder.path(), &[24, 24]);
    let scores = |policies: &str| {
        let out = folder.path().join(policies.replace(',', "-"));
        let result =
            forecast(&data, &out, &format!("--policies {policies} --per-class 16 --views 4"));
        (numbers(&result, "score"), numbers(&result, "sigma"), numbers(&result, "overlap"))
    };
    let (all, all_sigma, all_overlap) = scores("a,e,ad,abcde,d0.25");
    assert_eq!(all.len(), 6);
    assert!(all.values().all(|score| score["interval"].is_array()), "{all:?}");
    for policies in ["ad", "e,ad", "abcde,d0.25,ad,e,a", "none,ad"] {
        let (some, sigma, overlap) = scores(policies);
        for name in some.keys() {
            assert_eq!(
                (&some[name], &sigma[name], &overlap[name]),
                (&all[name], &all_sigma[name], &all_overlap[name])
            );
        }
    }
}

/// Fails where two folders' files differ, by name and without their bytes.
fn assert_same(found: &[(String, Vec<u8>)], expected: &[(String, Vec<u8>)]) {
    let names = |files: &[(String, Vec<u8>)]| {
        files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(found), names(expected));
    let differ: Vec<&String> =
        found.iter().zip(expected).filter(|(a, b)| a != b).map(|((name, _), _)| name).collect();
    assert!(differ.is_empty(), "{differ:?} differ");
}

#[test]
fn a_forecast_that_was_killed_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let data = classes(folder.path(), &[30, 30, 30]);
    let settings = "--policies a,d,ad,be --per-class 20 --views 24 --image-size 24";
    // The page has the folder as it was named, so both are named alike.
    let [whole, broken] = ["whole", "broken"].map(|name| folder.path().join(name));
    let command = |at: &Path| {
        fs::create_dir_all(at).unwrap();
        let mut command = selfsame(args(&data, Path::new("out"), settings));
        command.current_dir(at);
        command
    };
    let output = command(&whole).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let output = command(&whole).output().unwrap();
    assert!(said(&output).contains("already finished"), "{}", said(&output));
    let whole = results(&whole.join("out"));
    assert!(
        whole.iter().any(|(name, _)| name == "report.html") && whole.len() >= 8,
        "{}",
        whole.len()
    );

    let mut killed = 0;
    for wait in [30, 120, 200, 300] {
        let mut child = command(&broken).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        killed += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(killed > 0, "every run ended before it could be killed");
    let output = command(&broken).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_same(&results(&broken.join("out")), &whole);

    // Without one of its parts it goes on with the others, and says so.
    fs::remove_file(broken.join("out/parts/01.curves.json")).unwrap();
    let output = command(&broken).output().unwrap();
    assert!(said(&output).contains("3 of 4 policies are there"), "{}", said(&output));
    assert_same(&results(&broken.join("out")), &whole);

    // A damaged part is named, with one thing to do about it.
    for part in ["01.curves.json", "01.distances"] {
        let part = broken.join("out/parts").join(part);
        fs::write(&part, "[[]]").unwrap();
        let output = command(&broken).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(
            said(&output).contains("remove it") && !said(&output).contains("--overwrite"),
            "{}",
            said(&output)
        );
        fs::remove_file(&part).unwrap();
    }
    let output = command(&broken).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_same(&results(&broken.join("out")), &whole);
}

#[test]
fn another_forecast_is_never_written_over_by_chance() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (classes(folder.path(), &[8, 8]), folder.path().join("out"));
    forecast(&data, &out, "--policies a --views 2");
    let before = results(&out);
    let output = run(args(&data, &out, "--policies a --views 3"));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("--overwrite") && said(&output).contains("--views was 2, is 3"),
        "{}",
        said(&output)
    );
    assert_eq!(results(&out), before);
    // The same images by another name are the same.
    let output = run(args(&data.join("../photos"), &out, "--policies a --views 2"));
    assert!(
        output.status.success() && said(&output).contains("already finished"),
        "{}",
        said(&output)
    );
    forecast(&data, &out, "--policies a --views 3 --overwrite");
    assert_ne!(results(&out), before);

    let own = folder.path().join("letters");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("letter.txt"), "dear").unwrap();
    let output = run(args(&data, &own, "--policies a --overwrite"));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert_eq!(results(&own), [("letter.txt".to_owned(), b"dear".to_vec())]);
}

#[test]
fn what_cannot_be_measured_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = classes(folder.path(), &[8, 8]);
    let refused = |more: &str, names: &[&str]| {
        let output = run(args(&data, &folder.path().join("out"), more));
        assert_eq!(output.status.code(), Some(2), "{more}: {}", said(&output));
        names.iter().for_each(|name| {
            assert!(said(&output).contains(name), "{more} does not name {name}: {}", said(&output))
        });
        assert!(!folder.path().join("out").join("forecast.json").exists());
    };
    refused("--policies xyz", &["--policies", "xyz"]);
    refused("--policies a --per-class 1", &["--per-class 1"]);
    refused("--policies a --views 0", &["--views 0"]);
    refused("--policies none", &["--policies none"]);
    refused("--policies ab,{crop", &["--policies {crop", "not closed"]);
    refused("--policies ab,{wrong={}}", &["--policies {wrong={}}"]);
    refused("--policies a --budget soon", &["--budget"]);
    refused("--policies a --clusters 3", &["--encoder"]);
    refused("--policies a --encoder nothing-here", &["nothing-here"]);

    // Without class folders there are no labels.
    let flat = data.join("class0");
    let output = run(args(&flat, &folder.path().join("flat"), "--policies a"));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("--clusters"), "{}", said(&output));
}

#[test]
fn a_class_of_one_image_is_left_out_and_said_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (classes(folder.path(), &[10, 10, 1]), folder.path().join("out"));
    let result = forecast(&data, &out, "--policies a,e --views 2");
    assert_eq!(result["classes"].as_array().unwrap().len(), 2);
    assert!(result["notes"].to_string().contains("class2 ("), "{}", result["notes"]);
}

#[test]
fn a_single_class_has_no_separation_and_no_recommendation() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (classes(folder.path(), &[12, 1]), folder.path().join("out"));
    let result = forecast(&data, &out, "--policies a,e --views 2");
    assert_eq!(result["recommended"], serde_json::json!([]));
    assert!(result["policies"][0]["separation"].is_null(), "{result}");
}

#[test]
fn copies_and_damaged_images_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let data = classes(folder.path(), &[30, 30]);
    // One glyph under both labels, three times, so that two of them at least are of the training
    // split.
    for copy in 0..3 {
        fs::copy(data.join("class0/00.png"), data.join(format!("class1/copy{copy}.png"))).unwrap();
    }
    fs::write(data.join("class1/broken.png"), "no image").unwrap();
    let out = folder.path().join("out");
    let inline = "--policies {flip={},grey={}} --policies a,e";
    let result = forecast(&data, &out, &format!("{inline} --views 2 --budget 1.5m"));
    assert_eq!(result["policies"].as_array().unwrap().len(), 3);
    assert_eq!(result["budget"], 90.0);
    assert!(
        result["skipped"][0]["name"].as_str().unwrap().contains("broken.png"),
        "{}",
        result["skipped"]
    );
    assert_eq!(result["all_images"], 63);

    let names: Vec<&str> = result["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["name"].as_str().unwrap())
        .collect();
    let groups = result["duplicates"].as_array().unwrap();
    assert_eq!(groups.len(), 1, "{groups:?}");
    let copies: Vec<u64> =
        groups[0].as_array().unwrap().iter().map(|image| image.as_u64().unwrap()).collect();
    assert!(
        copies.len() > 1
            && copies
                .iter()
                .all(|&at| names[at as usize].contains("copy")
                    || names[at as usize].contains("00.png"))
    );
    for policy in result["policies"].as_array().unwrap() {
        for pair in policy["closest"].as_array().unwrap() {
            let images: Vec<u64> = pair["images"]
                .as_array()
                .unwrap()
                .iter()
                .map(|image| image.as_u64().unwrap())
                .collect();
            assert!(!images.iter().all(|image| copies.contains(image)), "{images:?} are copies");
        }
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("broken.png") && page.contains("The same image more than once"));
}

#[test]
fn images_all_alike_have_no_distance_to_compare_at() {
    let folder = tempfile::tempdir().unwrap();
    let data = classes(folder.path(), &[1, 1]);
    for (class, image) in (0..2).flat_map(|class| (1..20).map(move |image| (class, image))) {
        let folder = data.join(format!("class{class}"));
        fs::copy(folder.join("00.png"), folder.join(format!("{image:02}.png"))).unwrap();
    }
    let output = run(args(&data, &folder.path().join("out"), "--policies a,e --views 2"));
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("the same image"), "{}", said(&output));
}

#[test]
fn clusters_stand_in_for_labels_and_are_called_assumed() {
    let folder = tempfile::tempdir().unwrap();
    let trained = folder.path().join("run");
    let output = run(small("pretrain", &trained));
    assert!(output.status.success(), "{}", said(&output));
    let data = classes(folder.path(), &[20]).join("class0");
    let encoder = format!("--encoder {} --clusters 2 --policies a,e --views 2", trained.display());
    let result = forecast(&data, &folder.path().join("out"), &encoder);
    assert_eq!(result["assumed"], true);
    assert_eq!(result["policies"][0]["score"]["trust"], "assumed");
    assert!(result["space"].as_str().unwrap().contains("embeddings"), "{}", result["space"]);
    assert!(result["deltas"][0]["levels"].is_null());
}

#[test]
fn a_clique_is_found_and_a_bad_file_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("triangle.clq");
    fs::write(&file, "c a triangle with a tail\np edge 4 4\ne 1 2\ne 2 3\ne 3 1\ne 3 4\n").unwrap();
    let output = run(["clique", file.to_str().unwrap(), "--json", "--budget", "60s"]);
    assert!(output.status.success(), "{}", said(&output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&result["omega"], &result["upper"], &result["optimal"]),
        (&3.into(), &3.into(), &true.into())
    );
    let mut witness: Vec<u64> =
        result["witness"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
    witness.sort_unstable();
    assert_eq!(witness, [1, 2, 3]);

    assert_eq!((&result["edges"], &result["edges_announced"]), (&4.into(), &4.into()));

    // Cut off, it announces more edges than it has; twice as many are one for each direction.
    for (announced, warned) in [(4, false), (8, false), (2, false), (9, true)] {
        fs::write(&file, format!("p edge 4 {announced}\ne 1 2\ne 2 3\ne 3 1\ne 3 4\n")).unwrap();
        let output = run(["clique", file.to_str().unwrap(), "--json"]);
        assert!(output.status.success(), "{}", said(&output));
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            stderr.contains(&format!("line 1 announces {announced} edges, the file has 4")),
            warned,
            "{stderr}"
        );
    }
    for (content, cause) in [("", "is empty"), ("p edge 4 1\n", "announces 1 edges")] {
        fs::write(&file, content).unwrap();
        let output = run(["clique", file.to_str().unwrap()]);
        assert!(said(&output).contains(cause), "{}", said(&output));
    }
    let output = run(["clique", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("is a folder"), "{}", said(&output));

    // What a file holds is no misuse of the program.
    fs::write(&file, "p edge 4 1\ne 1 9\n").unwrap();
    let output = run(["clique", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("line 2") && said(&output).contains("triangle.clq"),
        "{}",
        said(&output)
    );
    fs::write(&file, "p edge 3 2\nn 1 5\ne 1 2\ne 2 3\n").unwrap();
    let output = run(["clique", file.to_str().unwrap()]);
    assert!(
        output.status.success() && said(&output).contains("`n` are not used"),
        "{}",
        said(&output)
    );
    let output = run(["clique", file.to_str().unwrap(), "--budget", "soon"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

#[test]
fn the_bench_of_distances_counts_pairs_of_views() {
    let output =
        run(["bench", "distance", "--images", "5", "--views", "3", "--dim", "7", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pairs = result["distinct_view_pairs_per_second"].as_f64().unwrap()
        * result["seconds"].as_f64().unwrap();
    // Ten pairs of images, nine pairs of views each.
    assert!((pairs - 90.0).abs() < 1e-6, "{pairs}");
    let output = run(["bench", "distance", "--images", "1"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));

    // Of a data set: within each class, so many images of it.
    let output =
        run(["bench", "distance", "--data", "glyphs", "--images", "3", "--views", "2", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sets = result["sets"].as_u64().unwrap();
    assert!(sets > 1 && result["images"] == 3 * sets, "{result}");
    let pairs = result["distinct_view_pairs_per_second"].as_f64().unwrap()
        * result["seconds"].as_f64().unwrap();
    // Three pairs of images a class, four pairs of views each.
    assert!((pairs / (12 * sets) as f64 - 1.0).abs() < 1e-9, "{pairs}");
    let output = run(["bench", "distance", "--data", "glyphs", "--dim", "9"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}
