//! The inspection of a data set finds what was planted, and nothing in clean images; and what the
//! program prints and writes of it.

#[allow(dead_code, reason = "an inspection trains nothing")]
mod common;

use std::fs;
use std::path::Path;

use common::{run, said};
use selfsame::data::{LoadOptions, glyph_pixels};
use selfsame::report::inspection::{Finding, Inspection, NearCopy, Oddity, words};
use selfsame::report::render_inspection;
use selfsame::{InspectOptions, inspect};
use serde_json::Value;

const SIDE: u32 = 32;

fn look(data: &str, limit: Option<usize>) -> Inspection {
    let options = LoadOptions { limit, ..LoadOptions::default() };
    let images = selfsame::load(data, &options, &mut ()).unwrap();
    inspect(&images, &InspectOptions::default(), &mut ()).unwrap()
}

fn write_png(path: &Path, pixels: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
}

/// A blur over 7 × 7 pixels.
fn blurred(pixels: &[u8]) -> Vec<u8> {
    let side = SIDE as i32;
    let at = |x: i32, y: i32, channel: i32| {
        let (x, y) = (x.clamp(0, side - 1), y.clamp(0, side - 1));
        f64::from(pixels[((y * side + x) * 3 + channel) as usize])
    };
    let mean = |index: i32| {
        let (y, x, channel) = (index / 3 / side, index / 3 % side, index % 3);
        let around = (-3..=3).flat_map(|dy| (-3..=3).map(move |dx| (dx, dy)));
        let sum: f64 = around.map(|(dx, dy)| at(x + dx, y + dy, channel)).sum();
        (sum / 49.0).round() as u8
    };
    (0..side * side * 3).map(mean).collect()
}

fn changed(pixels: &[u8], change: impl Fn(f64) -> f64) -> Vec<u8> {
    pixels.iter().map(|&value| change(value.into()).round().clamp(0.0, 255.0) as u8).collect()
}

fn mirrored(pixels: &[u8]) -> Vec<u8> {
    let row =
        |row: &[u8]| row.as_chunks::<3>().0.iter().rev().copied().flatten().collect::<Vec<_>>();
    pixels.chunks_exact(3 * SIDE as usize).flat_map(row).collect()
}

/// Writes `train/CLASS/` and `test/CLASS/` with 20 glyphs of each class, and what is planted among
/// them.
fn planted(folder: &Path) {
    let glyph = |index| glyph_pixels(3, index, SIDE);
    for index in 0..240 {
        let split = if index < 200 { "train" } else { "test" };
        let name = format!("{split}/class{}/{index:03}.png", index % 10);
        write_png(&folder.join(name), &glyph(index));
    }
    let plant = |name: &str, pixels: &[u8]| write_png(&folder.join(name), pixels);
    plant("test/class1/copy-of-011.png", &glyph(11));
    plant("test/class2/brighter-012.png", &changed(&glyph(12), |value| 0.8 * value + 40.0));
    plant("test/class3/mirrored-013.png", &mirrored(&glyph(13)));
    plant("train/class9/copy-of-014.png", &glyph(14));
    plant("train/class0/dark.png", &changed(&glyph(500), |value| value / 8.0));
    plant("train/class0/bright.png", &changed(&glyph(510), |value| 210.0 + value / 8.0));
    plant("train/class0/flat.png", &changed(&glyph(520), |value| 100.0 + value / 25.0));
    plant("train/class0/blurred.png", &blurred(&blurred(&glyph(530))));
    let grey: Vec<u8> = glyph(540).chunks_exact(3).flat_map(|pixel| [pixel[1]; 3]).collect();
    plant("train/class0/grey.png", &grey);
}

fn names(inspection: &Inspection, kind: Oddity) -> Vec<&str> {
    let outliers = inspection.outliers.iter().find(|outliers| outliers.kind == kind).unwrap();
    outliers.images.iter().map(|outlier| outlier.image.name.as_str()).collect()
}

fn pair(pair: &NearCopy) -> [&str; 2] {
    pair.images.each_ref().map(|image| image.name.as_str())
}

#[test]
fn classes_that_lack_test_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..60 {
        let split = if index < 40 { "train" } else { "test" };
        let class = if split == "test" { 0 } else { index % 3 };
        let name = format!("{split}/class{class}/{index:03}.png");
        write_png(&folder.path().join(name), &glyph_pixels(3, index, SIDE));
    }
    let inspection = look(folder.path().to_str().unwrap(), None);
    let untested = inspection.findings.iter().find_map(|finding| match finding {
        Finding::Untested { classes } => Some(classes.clone()),
        _ => None,
    });
    assert_eq!(untested.unwrap(), ["class1", "class2"]);
    assert!(words::lines(&inspection).contains(
        &"No test image is of class1 and class2: no accuracy says anything about them.".to_owned()
    ));
}

#[test]
fn what_is_planted_is_found() {
    let folder = tempfile::tempdir().unwrap();
    planted(folder.path());
    let inspection = look(folder.path().to_str().unwrap(), None);

    let exact: Vec<Vec<&str>> = inspection
        .copies
        .exact
        .iter()
        .map(|group| group.iter().map(|image| image.name.as_str()).collect())
        .collect();
    assert_eq!(exact.len(), 2, "{exact:?}");
    for name in ["copy-of-011", "copy-of-014"] {
        assert!(exact.iter().flatten().any(|found| found.contains(name)), "{exact:?}");
    }
    let near: Vec<[&str; 2]> = inspection.copies.near.iter().map(pair).collect();
    for (copy, original) in [("brighter-012", "012.png"), ("mirrored-013", "013.png")] {
        let found = near.iter().any(|pair| {
            pair.iter().any(|name| name.contains(copy))
                && pair.iter().any(|name| name.contains(original) && !name.contains(copy))
        });
        assert!(found, "{copy}: {near:?}");
    }

    assert_eq!(names(&inspection, Oddity::Flat), ["train/class0/flat.png"]);
    assert_eq!(names(&inspection, Oddity::Dark), ["train/class0/dark.png"]);
    assert_eq!(names(&inspection, Oddity::Bright), ["train/class0/bright.png"]);
    assert_eq!(names(&inspection, Oddity::Blurred), ["train/class0/blurred.png"]);
    assert_eq!(names(&inspection, Oddity::Grey), ["train/class0/grey.png"]);

    let Some(Finding::Leak { crossing, images: 43 }) = inspection.findings.first() else {
        panic!("{:?}", inspection.findings);
    };
    assert_eq!((crossing.split, crossing.of, crossing.exact), ("test", "train", 1));
    // An original of the two near copies may be held out for validation.
    let of_test = inspection.copies.crossings.iter().filter(|crossing| crossing.split == "test");
    assert!(of_test.map(|crossing| crossing.near).sum::<usize>() >= 2, "{crossing:?}");
    // The copy of image 14, of class 4, lies in class 9.
    let contradiction =
        |finding: &Finding| matches!(finding, Finding::Contradiction { exact: 1, .. });
    assert!(inspection.findings.iter().any(contradiction), "{:?}", inspection.findings);

    let page = selfsame::report::render_inspection(&inspection);
    for text in ["copy-of-011.png", "Copies across splits", "blurred.png"] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn next_to_nothing_is_found_in_clean_images() {
    let inspection = look("glyphs", Some(1000));
    assert!(inspection.copies.exact.is_empty());
    let near: Vec<[&str; 2]> = inspection.copies.near.iter().map(pair).collect();
    // Every image is drawn by itself, so each pair is chance's. One was to be expected; the estimate
    // of dimensions is rough where images have few, and eight were counted.
    assert!(near.len() <= 8, "{} pairs of 2000 images: {near:?}", near.len());
    for outliers in &inspection.outliers {
        assert!(outliers.images.len() <= 2, "{:?}: {}", outliers.kind, outliers.images.len());
    }
    assert_eq!(inspection.plan.batch, 128);
}

#[test]
fn every_state_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..3 {
        write_png(&folder.path().join(format!("{index}.png")), &glyph_pixels(0, index, SIDE));
    }
    fs::write(folder.path().join("broken.png"), b"not a picture").unwrap();
    let inspection = look(folder.path().to_str().unwrap(), None);
    assert!(inspection.classes.is_empty() && inspection.balance.is_none());
    let left_out = |finding: &Finding| matches!(finding, Finding::LeftOut { images: 1, .. });
    assert!(inspection.findings.iter().any(left_out), "{:?}", inspection.findings);
    assert!(inspection.findings.contains(&Finding::Unlabelled));
    let page = render_inspection(&inspection);
    assert!(page.contains("broken.png") && page.contains("no labels"), "{page}");
}

#[test]
fn it_stops_when_asked() {
    struct Impatient;
    impl selfsame::Progress for Impatient {
        fn stop(&self) -> bool {
            true
        }
    }
    let options = LoadOptions { limit: Some(40), ..LoadOptions::default() };
    let images = selfsame::load("glyphs", &options, &mut ()).unwrap();
    let stopped = inspect(&images, &InspectOptions::default(), &mut Impatient);
    assert!(matches!(stopped, Err(selfsame::Error::Stopped)));
}

#[test]
fn it_writes_a_page_and_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("look");
    let out = out.to_str().unwrap();
    let words = ["inspect", "glyphs", "--limit", "60", "--out", out, "--json"];
    let output = run(words);
    assert!(output.status.success(), "{}", said(&output));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut written: Value =
        serde_json::from_slice(&fs::read(format!("{out}/inspect.json")).unwrap()).unwrap();
    written["page"] = format!("{out}/inspect.html").into();
    assert_eq!(printed, written);
    assert_eq!(printed["dataset"]["test"], 60);
    assert!(fs::read_to_string(format!("{out}/inspect.html")).unwrap().contains("</html>"));

    let again = run(words);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    assert!(said(&again).contains("exists already"), "{}", said(&again));
    let over = run(["inspect", "glyphs", "--limit", "60", "--out", out, "--overwrite"]);
    assert!(over.status.success(), "{}", said(&over));
    assert!(said(&over).contains("Nothing stands in the way"), "{}", said(&over));
    assert_eq!(run(["inspect", "nowhere/"]).status.code(), Some(2));
}
