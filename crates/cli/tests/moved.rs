//! A run goes on with images that were moved, if they are the same images.

mod common;

use std::fs;
use std::path::Path;

use common::{run, said};

fn png(number: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 8, 8);
    encoder.set_color(png::ColorType::Rgb);
    let pixels: Vec<u8> = (0..192u32).map(|at| (at * 5 + u32::from(number) * 37) as u8).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

/// Images in one folder, and a table of their labels beside it.
fn write_set(folder: &Path) {
    fs::create_dir_all(folder.join("images")).unwrap();
    let mut table = "file,label\n".to_owned();
    for number in 0..20 {
        fs::write(folder.join(format!("images/{number}.png")), png(number)).unwrap();
        table += &format!("{number},{}\n", ["cat", "\"dog, wet\""][usize::from(number) % 2]);
    }
    fs::write(folder.join("labels.csv"), table).unwrap();
}

#[test]
fn a_run_goes_on_where_its_images_are_now() {
    let folder = tempfile::tempdir().unwrap();
    let [before, after, out] = ["before", "after", "run"].map(|name| folder.path().join(name));
    write_set(&before);
    let path = |path: &Path| path.display().to_string();
    let begin = [
        "pretrain".to_owned(),
        "--data".to_owned(),
        path(&before.join("images")),
        "--labels".to_owned(),
        path(&before.join("labels.csv")),
        "--classes".to_owned(),
        "\"dog, wet\",cat".to_owned(),
        "--out".to_owned(),
        path(&out),
    ];
    let settings = "--image-size 8 --width 1 --batch 4 --epochs 1 --knn-every 0";
    let output = run(begin.iter().map(String::as_str).chain(settings.split(' ')));
    assert!(output.status.success(), "{}", said(&output));
    let record = fs::read_to_string(out.join("run.json")).unwrap();
    assert!(record.contains("dog, wet") && record.contains("column label of labels.csv"));

    fs::rename(&before, &after).unwrap();
    let resume = |more: &[String]| {
        let resume = ["pretrain".to_owned(), "--resume".to_owned(), path(&out)];
        run(resume.iter().chain(more))
    };
    let output = run(["eval".to_owned(), path(&out)]);
    assert!(!output.status.success(), "{}", said(&output));
    let place = |folder: &Path| {
        ["--data".to_owned(), path(&folder.join("images")), "--labels".to_owned()]
            .into_iter()
            .chain([path(&folder.join("labels.csv"))])
            .collect::<Vec<_>>()
    };
    let output = resume(&["--labels".to_owned(), path(&after.join("labels.csv"))]);
    let told = said(&output);
    assert!(told.contains("are no longer at") && told.contains("--data PLACE"), "{told}");
    assert_eq!(output.status.code(), Some(2));

    let output = resume(&place(&after));
    assert!(output.status.success(), "{}", said(&output));
    assert!(fs::read_to_string(out.join("config.toml")).unwrap().contains(&path(&after)));
    let output = run(["eval".to_owned(), path(&out)]);
    assert!(output.status.success(), "{}", said(&output));

    // Other images are none of this run's, and the run stays as it is.
    let config = fs::read(out.join("config.toml")).unwrap();
    write_set(&before);
    fs::remove_file(before.join("images/3.png")).unwrap();
    fs::remove_file(before.join("images/5.png")).unwrap();
    let output = resume(&place(&before));
    let told = said(&output);
    assert!(told.contains("images in place of"), "{told}");
    fs::write(before.join("images/3.png"), png(103)).unwrap();
    fs::write(before.join("images/5.png"), png(105)).unwrap();
    let told = said(&resume(&place(&before)));
    assert!(told.contains("some have other pixels"), "{told}");
    assert_eq!(fs::read(out.join("config.toml")).unwrap(), config);
}

#[test]
fn names_of_files_do_not_command_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    write_set(&set);
    fs::write(set.join("images/\u{1b}[2J.png"), "damaged").unwrap();
    let settings = "--image-size 8 --width 1 --batch 4 --epochs 1 --knn-every 0";
    let begin = ["pretrain".to_owned(), "--data".to_owned(), set.display().to_string()];
    let out = ["--out".to_owned(), folder.path().join("run").display().to_string()];
    let output = run(begin.iter().chain(&out).map(String::as_str).chain(settings.split(' ')));
    let told = said(&output);
    assert!(output.status.success() && told.contains("left out 1 image"), "{told}");
    assert!(!told.contains('\u{1b}'), "{told:?}");
}
