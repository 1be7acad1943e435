//! Thousands of random trees, damaged archives and damaged tables: no panic, and no file is lost
//! without a word.

mod common;

use std::fs;

use common::{load, png, sizes, tar_of, write};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use selfsame_data::{DataError, Dataset, LoadOptions};

const FOLDERS: [&str; 16] = [
    "train", "testing", "val", "seg_test", "cat", "dog", "Cat", "images", "labels", "@eaDir",
    "__MACOSX", ".hidden", "eval", "e\u{301}", "fold1", "a b",
];
const NAMES: [&str; 18] = [
    "a.png",
    "b.PNG",
    "c.png",
    "d.jpg",
    "e.heic",
    "f.txt",
    "g",
    "a.cls",
    "a.json",
    "Thumbs.db",
    "._a.png",
    ".b.png",
    "labels.csv",
    "val_annotations.txt",
    "v.mp4",
    "h.\u{1b}[2J",
    "i.tiff",
    "metadata.csv",
];

/// A tree of up to 30 files, each name once.
fn tree(random: &mut ChaCha8Rng) -> Vec<(String, Vec<u8>)> {
    let folders: Vec<&str> = (0..random.random_range(1..5))
        .map(|_| FOLDERS[random.random_range(0..FOLDERS.len())])
        .collect();
    let mut files = std::collections::BTreeMap::new();
    for number in 0..random.random_range(1..30) {
        let mut name = String::new();
        for _ in 0..random.random_range(0..4) {
            name += folders[random.random_range(0..folders.len())];
            name += "/";
        }
        name += NAMES[random.random_range(0..NAMES.len())];
        let bytes = match name.rsplit('.').next() {
            Some("cls") => b"3\n".to_vec(),
            Some("json") => b"{\"label\": \"x\"}".to_vec(),
            Some("txt") => b"a.png\tcat\nc.png\tdog\n".to_vec(),
            _ if random.random_range(0..8) == 0 => b"damaged".to_vec(),
            _ => png(number, 4),
        };
        files.insert(name, bytes);
    }
    files.into_iter().collect()
}

fn counted(set: &Dataset) -> usize {
    let left_alone: usize = set.left_alone.iter().map(|left| left.count).sum();
    sizes(set).iter().sum::<usize>() + set.skipped.len() + left_alone + set.passed_over
}

fn check(result: Result<Dataset, DataError>, files: Option<usize>, what: &str) {
    match result {
        Ok(set) => {
            if let Some(files) = files {
                assert_eq!(counted(&set), files, "{what}\n{set:?}");
            }
            for note in &set.notes {
                assert!(!note.chars().any(char::is_control), "{note:?}");
                assert!(note.len() < 2000, "{note}");
            }
        }
        Err(error) => {
            let said = error.to_string();
            assert!(!said.chars().any(char::is_control), "{said:?}");
            assert!(said.len() < 3000, "{said}");
        }
    }
}

fn small() -> LoadOptions {
    LoadOptions { image_size: Some(4), ..LoadOptions::default() }
}

#[test]
fn every_file_of_a_random_tree_is_used_skipped_left_alone_or_passed_over() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let place = tempfile::tempdir().unwrap();
    let (mut loaded, mut refused) = (0, 0);
    for round in 0..1500 {
        let files = tree(&mut random);
        let what = files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("\n");
        let archive = place.path().join("set.tar");
        fs::write(&archive, tar_of(&files)).unwrap();
        let result = load(&archive, &small());
        if result.is_ok() {
            loaded += 1
        } else {
            refused += 1
        }
        // As a folder, it is the same set.
        if round % 10 == 0 {
            let folder = tempfile::tempdir().unwrap();
            files.iter().for_each(|(name, bytes)| write(folder.path(), name, bytes));
            let other = load(folder.path(), &small());
            match (&result, &other) {
                (Ok(set), Ok(other)) => assert!(common::contents(set) == common::contents(other)),
                (Err(_), Err(_)) => {}
                _ => panic!("{what}\n{:?}\n{:?}", result.err(), other.err()),
            }
            check(other, Some(files.len()), &what);
        }
        check(result, Some(files.len()), &what);
    }
    println!("{loaded} trees were read, {refused} were refused with a cause");
    assert!(loaded > 500 && refused > 50, "{loaded} {refused}");
}

#[test]
fn damaged_archives_never_end_the_program() {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let place = tempfile::tempdir().unwrap();
    for round in 0..1500 {
        let mut bytes = tar_of(&tree(&mut random));
        if round % 5 == 0 {
            bytes.extend(tar_of(&tree(&mut random)));
        }
        for _ in 0..random.random_range(1..6) {
            match random.random_range(0..3) {
                0 => {
                    let at = random.random_range(0..bytes.len());
                    bytes[at] = random.random();
                }
                1 => bytes.truncate(random.random_range(1..=bytes.len())),
                _ => {
                    // Sizes and checksums of a header.
                    let header = random.random_range(0..bytes.len().div_ceil(512)) * 512;
                    let at = header + random.random_range(100..160);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = b"0178\xff\0 "[random.random_range(0..7)];
                    }
                }
            }
        }
        let path = place.path().join("set.tar");
        if round % 3 == 0 {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, &bytes).unwrap();
            bytes = encoder.finish().unwrap();
            if round % 2 == 0 {
                let at = random.random_range(2..bytes.len());
                bytes[at] ^= 0x55;
            }
        }
        fs::write(&path, &bytes).unwrap();
        check(load(&path, &small()), None, "");
    }
}

#[test]
fn damaged_tables_never_end_the_program() {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let place = tempfile::tempdir().unwrap();
    let set = place.path().join("set.tar");
    let files: Vec<_> = (0..8).map(|n| (format!("{}/{n}.png", n % 2), png(n, 4))).collect();
    fs::write(&set, tar_of(&files)).unwrap();
    let table = place.path().join("labels.csv");
    let options = LoadOptions { labels: Some(table.clone()), ..small() };
    let mut read = 0;
    for round in 0..1500 {
        let by = [",", ";", "\t"][round % 3];
        let mut text = ["file", "label", "split"].join(by) + "\n";
        for number in 0..random.random_range(0..12) {
            let file = ["", "0/", "./x/1/", "\\"][random.random_range(0..4)];
            let label = ["cat", "\"do,g\"", "", "1"][random.random_range(0..4)];
            text += &[&format!("{file}{number}.png"), label, "train"].join(by);
            text += "\n";
        }
        let mut bytes = text.into_bytes();
        for _ in 0..random.random_range(0..3) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = b"\",;\t\n\0\xff/a.1"[random.random_range(0..11)];
        }
        fs::write(&table, &bytes).unwrap();
        let result = load(&set, &options);
        read += usize::from(result.is_ok());
        check(result, Some(files.len()), &String::from_utf8_lossy(&bytes));
    }
    assert!(read > 100, "{read}");
}
