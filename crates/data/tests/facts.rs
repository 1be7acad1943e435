//! What the files of a set hold beyond upright 8-bit RGB is said in its notes, with counts.

mod common;

use std::path::Path;

use common::{load_plainly, png, write};
use selfsame_data::{Exif, Format, LoadOptions};

/// A grey PNG of 16 bits whose values are 0 to 4047, as a camera of 12 bits gives them.
fn microscope(number: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 12, 12);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Sixteen);
    let values: Vec<u8> = (0..144)
        .flat_map(|at: u32| ((4047 * at / 143) as u16 / (number + 1)).to_be_bytes())
        .collect();
    encoder.write_header().unwrap().write_image_data(&values).unwrap();
    bytes
}

#[test]
fn sixteen_bits_that_fill_twelve_are_said() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..10 {
        write(folder.path(), &format!("{number}.png"), microscope(number));
    }
    let set = load_plainly(folder.path());
    let note = set.notes.iter().find(|note| note.contains("16 bits")).unwrap();
    assert!(note.starts_with("10 of 10 images"), "{note}");
    assert!(note.contains("0 to 4047") && note.contains("All use less than half"), "{note}");

    // A single wide image, or a pixel of each that is always bright, changes nothing.
    let bright = |number: u16, count: usize| {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 64, 64);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Sixteen);
        let value = |at: usize| if at < count { u16::MAX } else { at as u16 % 4000 + number };
        let values: Vec<u8> = (0..64 * 64).flat_map(|at| value(at).to_be_bytes()).collect();
        encoder.write_header().unwrap().write_image_data(&values).unwrap();
        bytes
    };
    for pixels in [[0, 2000], [2, 2]] {
        for number in 0..10 {
            let count = pixels[usize::from(number == 3)];
            write(folder.path(), &format!("{number}.png"), bright(number, count));
        }
        let set = load_plainly(folder.path());
        let note = set.notes.iter().find(|note| note.contains("16 bits")).unwrap();
        assert!(note.contains("at most 16 of 256 levels, 6% of the range"), "{note}");
        assert!(note.contains("use less than half of the levels"), "{note}");
    }

    for number in 0..10 {
        write(folder.path(), &format!("{number}.png"), png(number, 12));
    }
    assert!(load_plainly(folder.path()).notes.iter().all(|note| !note.contains("16 bits")));
}

#[test]
fn a_set_of_many_formats_has_the_facts_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("a.jpe", common::jpeg(0, 20)),
        ("b.JFIF", common::jpeg(1, 20)),
        ("c.png", png(2, 20)),
        ("d.webp", common::webp(3, 20)),
        ("e.BMP", common::bmp(4, 20)),
        ("f.gif", common::gif(5, 20)),
        ("g.tif", common::tiff(7, 20)),
        ("h.TIFF", common::tiff(8, 20)),
        ("i.ppm", common::pnm(9, 20)),
        // The first bytes decide, not the ending.
        ("j.png", common::bmp(10, 20)),
    ];
    for (name, bytes) in &files {
        write(folder.path(), name, bytes);
    }
    let set = load_plainly(folder.path());
    assert_eq!((set.skipped.len(), set.image_size), (0, 20));
    let mut facts: Vec<(String, Format)> = [&set.train, &set.validation, &set.test]
        .into_iter()
        .flat_map(|split| {
            (0..split.len()).map(|at| (split.name(at).to_owned(), split.facts(at).format))
        })
        .collect();
    facts.sort();
    use Format::{Bmp, Gif, Jpeg, Png, Pnm, Tiff, WebP};
    let formats: Vec<Format> = facts.into_iter().map(|(_, format)| format).collect();
    assert_eq!(formats, [Jpeg, Jpeg, Png, WebP, Bmp, Gif, Tiff, Tiff, Pnm, Bmp]);
}

#[test]
fn images_from_elsewhere_are_said() {
    let archive = Path::new("../../../shared/cases/microscope-12-bit.tar");
    if !archive.is_file() {
        println!("skipped: {} is absent", archive.display());
        return;
    }
    let options = LoadOptions { exif: Exif::Ignore, ..LoadOptions::default() };
    let set = common::load(archive, &options).unwrap();
    assert!(set.notes.iter().any(|note| note.contains("% of the range")), "{:?}", set.notes);
}
