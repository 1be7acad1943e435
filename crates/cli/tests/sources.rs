//! What crops are drawn from: it is in every record, and a resumed run keeps its own.

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use common::{run, said};
use serde_json::Value;

/// A folder of two classes of pictures of this size.
fn photos(folder: &Path, width: u32, height: u32) -> PathBuf {
    let photos = folder.join(format!("photos-{width}x{height}"));
    for class in ["dark", "light"] {
        fs::create_dir_all(photos.join(class)).unwrap();
        for number in 0..24_u32 {
            let level = |at: u32| {
                let noise = ((at + 31 * number).wrapping_mul(2_654_435_761) >> 25) as u8;
                if class == "dark" { noise } else { 255 - noise }
            };
            let pixels: Vec<u8> = (0..width * height * 3).map(level).collect();
            let file = File::create(photos.join(class).join(format!("{number:02}.png"))).unwrap();
            let mut encoder = png::Encoder::new(file, width, height);
            encoder.set_color(png::ColorType::Rgb);
            encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        }
    }
    photos
}

fn train(data: &Path, out: &Path, more: &str) -> [Value; 2] {
    let settings = "--image-size 8 --width 2 --batch 8 --epochs 2 --knn-every 0 --threads 1";
    let mut args: Vec<String> = ["study", "--data"].map(str::to_owned).to_vec();
    args.extend([data.display().to_string(), "--out".to_owned(), out.display().to_string()]);
    args.extend(settings.split(' ').chain(more.split_whitespace()).map(str::to_owned));
    let output = run(&args);
    assert!(output.status.success(), "{}", said(&output));
    records(out)
}

fn records(out: &Path) -> [Value; 2] {
    ["run.json", "eval.json"]
        .map(|name| serde_json::from_slice(&fs::read(out.join(name)).unwrap()).unwrap())
}

fn config(out: &Path) -> String {
    fs::read_to_string(out.join("config.toml")).unwrap()
}

#[test]
fn records_say_what_crops_were_drawn_from() {
    let folder = tempfile::tempdir().unwrap();
    let wide = photos(folder.path(), 30, 20);
    let own = folder.path().join("own");
    let [record, evaluation] = train(&wide, &own, "");
    assert_eq!(record["dataset"]["source_size"], 16);
    assert_eq!(evaluation["source_size"], 16);
    let words = evaluation["protocol"].to_string();
    assert!(words.contains("centre squares of 8 × 8 pixels"), "{words}");
    assert!(config(&own).contains("\nsource_size = 16\n"), "{}", config(&own));
    let page = fs::read_to_string(own.join("report.html")).unwrap();
    assert!(page.contains("up to 16 pixels on their shorter side"));

    // A certificate and other measures of the run keep its size.
    let output = run(["certify".as_ref(), own.as_os_str(), "--views".as_ref(), "2".as_ref()]);
    assert!(output.status.success(), "{}", said(&output));
    let certificate: Value =
        serde_json::from_slice(&fs::read(own.join("certificate.json")).unwrap()).unwrap();
    assert_eq!((&certificate["image_size"], &certificate["source_size"]), (&8.into(), &16.into()));

    let squares = folder.path().join("squares");
    let [record, evaluation] = train(&wide, &squares, "--source-size 8");
    for found in [&record["dataset"]["source_size"], &evaluation["source_size"]] {
        assert!(found.is_null());
    }
    assert!(!config(&squares).contains("source_size"));
    // Resuming must not take the default.
    let output = run(["study".as_ref(), "--resume".as_ref(), squares.as_os_str()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(records(&squares)[0]["dataset"]["source_size"].is_null());

    let output =
        run(["views", &wide.display().to_string(), "--image-size", "8", "--source-size", "7"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("source size 7"), "{}", said(&output));
}

#[test]
fn squares_of_the_image_size_are_their_own_sources() {
    let folder = tempfile::tempdir().unwrap();
    let square = photos(folder.path(), 8, 8);
    let [by_default, asked] = ["", "--source-size 8"].map(|more| {
        let out = folder.path().join(format!("run{}", more.len()));
        let [record, evaluation] = train(&square, &out, more);
        assert!(record["dataset"]["source_size"].is_null());
        let weights = fs::read(out.join("checkpoints/last.safetensors")).unwrap();
        (config(&out), evaluation, weights)
    });
    assert!(by_default == asked);
}
