//! Layouts as people have them: splits by other names, tables of labels, archives of every kind.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use common::{contents, load, load_plainly, png, sizes, tar_of, write};
use flate2::write::GzEncoder;
use selfsame_data::{DataError, Dataset, LoadOptions};

/// Images below `names`, each by its name.
fn images(names: &[&str], each: usize) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for (number, name) in names.iter().enumerate() {
        files.extend((0..each).map(|n| (format!("{name}/{n}.png"), png(number * 100 + n, 8))));
    }
    files
}

/// The set of these files as an archive.
fn set_of(files: &[(String, Vec<u8>)]) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar");
    fs::write(&path, tar_of(files)).unwrap();
    load(&path, &LoadOptions::default())
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A file of the small inputs that were once handled wrongly, if they are there.
fn case(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases").join(name);
    if !path.exists() {
        println!("skipped: {} is not there", path.display());
    }
    path.exists().then_some(path)
}

fn notes(set: &Dataset) -> String {
    set.notes.join("\n")
}

#[test]
fn training_and_testing_are_splits() {
    let files = images(&["training/cat", "training/dog", "testing/cat", "testing/dog"], 5);
    let set = set_of(&files).unwrap();
    assert_eq!(set.classes, ["cat", "dog"]);
    assert_eq!((set.train.len() + set.validation.len(), set.test.len()), (10, 10));
    assert!((0..10).all(|image| set.test.name(image).starts_with("testing/")));
    assert!(notes(&set).contains("training as training images, testing as test images"));

    // One folder inside another of the same name, as archives unpack.
    let files =
        images(&["seg_train/seg_train/cat", "seg_train/seg_train/dog", "seg_test/seg_test/dog"], 4);
    let set = set_of(&files).unwrap();
    assert_eq!((set.classes.len(), set.test.len()), (2, 4));

    if let Some(path) = case("training-testing.tar") {
        let set = load_plainly(&path);
        assert_eq!(set.classes, ["cat", "dog"]);
        assert_eq!((set.train.len() + set.validation.len(), set.test.len()), (8, 4));
    }
}

#[test]
fn what_may_be_a_split_or_a_class_is_asked_or_said() {
    let error = set_of(&images(&["cat", "dog", "test/cat", "test/dog"], 3)).unwrap_err();
    assert!(error.to_string().contains("test looks like a split, but cat, dog"), "{error}");
    let set = set_of(&images(&["bus", "train"], 3)).unwrap();
    assert_eq!(set.classes, ["bus", "train"]);
    assert!(notes(&set).contains("train counts as a class"), "{:?}", set.notes);
    let set = set_of(&images(&["amazon/mug", "amazon/pen", "dslr/mug", "dslr/pen"], 3)).unwrap();
    assert_eq!(set.classes, ["amazon", "dslr"]);
    assert!(notes(&set).contains("although each holds the same folders (mug, pen)"));
    let set = set_of(&images(&["train/Cat", "train/dog", "test/cat", "test/dog"], 3)).unwrap();
    assert!(notes(&set).contains("\"Cat\" / \"cat\""), "{:?}", set.notes);
    let set = set_of(&images(&["e\u{301}t\u{e9}", "\u{e9}t\u{e9}"], 3)).unwrap();
    assert!(notes(&set).contains("storage of accents"), "{:?}", set.notes);
}

#[test]
fn one_folder_inside_a_split_is_no_class() {
    let val = images(&["train/n1/images", "train/n2/images", "val/images", "test/images"], 4);
    let error = set_of(&val).unwrap_err().to_string();
    assert!(error.contains("others have none"), "{error}");
    if let Some(path) = case("val-in-one-folder.tar") {
        // It holds the annotations of its validation images.
        let set = load_plainly(&path);
        assert_eq!((set.classes.len(), set.test.len(), set.skipped.len()), (2, 3, 3));
        assert!(notes(&set).contains("val_annotations.txt has the labels of 3 images"));
    }

    // With the annotations that belong to it, as in Tiny ImageNet.
    let mut files = images(&["train/n1/images", "train/n2/images"], 4);
    files.extend((0..4).map(|n| (format!("val/images/val_{n}.png"), png(50 + n, 8))));
    files.extend(images(&["test/images"], 3));
    let rows: String =
        (0..4).map(|n| format!("val_{n}.png\tn{}\t0\t0\t62\t61\n", 1 + n % 2)).collect();
    files.push(("val/val_annotations.txt".into(), rows.into_bytes()));
    let archived = set_of(&files).unwrap();
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| write(folder.path(), name, bytes));
    for set in [archived, load_plainly(folder.path())] {
        assert_eq!((set.classes.len(), set.test.len()), (2, 4));
        assert_eq!(set.test.labels(), Some(&[0, 1, 0, 1][..]));
        assert_eq!(set.skipped.len(), 3, "{:?}", set.skipped);
        assert!(set.skipped.iter().all(|image| image.cause == "its split has no labels"));
        assert!(notes(&set).contains("val_annotations.txt has the labels of 4 images"));
    }
}

#[test]
fn a_class_of_another_format_is_named_or_read() {
    if let Some(path) = case("class-of-bmp.tar") {
        let set = load_plainly(&path);
        let said =
            set.lost.iter().any(|lost| lost.folder == "dog" && lost.cause().contains(".bmp"));
        assert!(said || set.classes == ["cat", "dog"], "{:?}", set.notes);
    }
}

#[test]
fn gzipped_archives_are_read_by_whatever_name() {
    let folder = tempfile::tempdir().unwrap();
    let files = images(&["cat", "dog"], 5);
    let plain = tar_of(&files);
    fs::write(folder.path().join("plain.tar"), &plain).unwrap();
    let wanted = contents(&load_plainly(&folder.path().join("plain.tar")));
    for name in ["a.tar", "a.tar.gz", "a.tgz", "a.bin"] {
        let path = folder.path().join(name);
        fs::write(&path, gzipped(&plain)).unwrap();
        assert!(contents(&load_plainly(&path)) == wanted, "{name}");
    }
    if let Some(path) = case("gzipped.tar") {
        load_plainly(&path);
    }

    let cut = folder.path().join("cut.tar.gz");
    let mut bytes = gzipped(&plain);
    bytes.truncate(bytes.len() / 2);
    fs::write(&cut, bytes).unwrap();
    let error = load(&cut, &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("truncated or damaged"), "{error}");
    assert!(!error.chars().any(char::is_control));
}

#[test]
fn other_archives_are_named_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, wanted) in [
        (&b"PK\x03\x04"[..], "zip archive; unpack it"),
        (b"BZh91AY&SY\0\x1b", "bunzip2"),
        (b"\xfd7zXZ\0\0", "unxz"),
        (b"\x28\xb5\x2f\xfd\x1b", "unzstd"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive"),
        (b"Rar!\x1a\x07", "rar archive"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"PAR1", "Parquet"),
        (b"MATLAB 5.0 MAT-file", "MATLAB"),
        (b"\x93NUMPY\x01", "NumPy"),
        (b"\x89PNG\r\n\x1a\n", "single image; give the folder"),
        (b"\x1b[31mnot an archive", "does not start as a tar archive"),
    ] {
        let path = folder.path().join("x.tar");
        fs::write(&path, bytes).unwrap();
        let error = load(&path, &LoadOptions::default()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
    fs::write(folder.path().join("x.tfrecord"), "x").unwrap();
    let error = load(&folder.path().join("x.tfrecord"), &LoadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("save those as PNG"), "{error}");
}

#[test]
fn joined_archives_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("joined.tar");
    let joined = [tar_of(&images(&["cat"], 5)), tar_of(&images(&["dog"], 5))].concat();
    fs::write(&path, &joined).unwrap();
    let set = load_plainly(&path);
    assert_eq!((set.classes.len(), sizes(&set).iter().sum::<usize>()), (2, 10));
    fs::write(&path, gzipped(&joined)).unwrap();
    assert_eq!(load_plainly(&path).classes.len(), 2);
}

#[test]
fn long_names_and_old_headers_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar");
    let mut builder = tar::Builder::new(Vec::new());
    for number in 0..6 {
        let bytes = png(number, 8);
        let mut header = match number % 2 {
            0 => tar::Header::new_gnu(),
            _ => tar::Header::new_old(),
        };
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let class = ["cat", "dog"][number / 3];
        // The builder writes a GNU long name before the first kind.
        let long = if number % 2 == 0 { "long".repeat(40) } else { String::new() };
        builder
            .append_data(&mut header, format!("{class}/{long}{number}.png"), &bytes[..])
            .unwrap();
    }
    builder.append_pax_extensions([("path", "dog/by-pax.png".as_bytes())]).unwrap();
    let bytes = png(9, 8);
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    builder.append_data(&mut header, "short.png", &bytes[..]).unwrap();
    fs::write(&path, builder.into_inner().unwrap()).unwrap();
    let set = load_plainly(&path);
    assert!(set.skipped.is_empty(), "{:?}", set.skipped);
    assert_eq!((set.classes.len(), sizes(&set).iter().sum::<usize>()), (2, 7));
    assert!(contents(&set).iter().any(|(_, name, ..)| name == "dog/by-pax.png"));
}

#[test]
fn labels_come_from_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    for number in 0..12 {
        write(&set, &format!("images/{number}.png"), png(number, 8));
    }
    let table = folder.path().join("labels.csv");
    let options = || LoadOptions { labels: Some(table.clone()), ..LoadOptions::default() };
    let rows = |count: usize| -> String {
        (0..count).map(|n| format!("{n},{}\n", ["cat", "dog"][n % 2])).collect()
    };
    fs::write(&table, format!("id,breed\n{}99,cat\n", rows(10))).unwrap();
    let labelled = load(&set, &options()).unwrap();
    assert_eq!(labelled.classes, ["cat", "dog"]);
    assert_eq!(sizes(&labelled).iter().sum::<usize>(), 10);
    for (_, name, class, _) in contents(&labelled) {
        let number: usize = name["images/".len()..name.len() - 4].parse().unwrap();
        assert_eq!(class.as_deref(), Some(["cat", "dog"][number % 2]));
    }
    let names: Vec<&str> = labelled.skipped.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["images/10.png", "images/11.png"]);
    assert!(notes(&labelled).contains("column breed of labels.csv"), "{:?}", labelled.notes);
    assert!(notes(&labelled).contains("1 of the 11 rows"), "{:?}", labelled.notes);

    // Splits of the table, and numbers in their order.
    let rows: String =
        (0..12).map(|n| format!("{n}.png;{};{}\n", n % 11, ["train", "test"][n % 2])).collect();
    fs::write(&table, format!("file;label;split\n{rows}")).unwrap();
    let labelled = load(&set, &options()).unwrap();
    assert_eq!((labelled.classes[9].as_str(), labelled.classes[10].as_str()), ("9", "10"));
    assert_eq!(labelled.test.len(), 6);

    fs::write(&table, "file,label\nnone.png,cat\n").unwrap();
    let error = load(&set, &options()).unwrap_err().to_string();
    assert!(error.contains("labels.csv has a label for none of the 12 images"), "{error}");
    fs::write(&table, "file,label\n1,cat\n1,dog\n").unwrap();
    let error = load(&set, &options()).unwrap_err().to_string();
    assert!(error.contains("labels.csv") && error.contains("gives 1 the label"), "{error}");
    let missing = LoadOptions { labels: Some(folder.path().join("no.csv")), ..Default::default() };
    assert!(load(&set, &missing).unwrap_err().to_string().contains("no.csv"));
    let glyphs = selfsame_data::load("glyphs", &options(), &|_, _| {}).unwrap_err();
    assert!(matches!(glyphs, DataError::OwnLabels { .. } | DataError::Format { .. }));

    // A table that lies there is not read without asking, and is said to be there.
    write(&set, "metadata.csv", "file_name,label\n1.png,cat\n");
    assert!(notes(&load_plainly(&set)).contains("metadata.csv may be a table of labels"));
}

#[test]
fn shards_of_webdataset_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let shard = |start: usize, json: bool| {
        let mut files = Vec::new();
        for number in start..start + 6 {
            files.push((format!("{number:03}.png"), png(number, 8)));
            let label = number % 3;
            files.push(match json {
                true => {
                    (format!("{number:03}.json"), format!("{{\"label\": {label}}}").into_bytes())
                }
                false => (format!("{number:03}.cls"), format!("{label}\n").into_bytes()),
            });
        }
        tar_of(&files)
    };
    for json in [false, true] {
        fs::write(folder.path().join("shard-000000.tar"), shard(0, json)).unwrap();
        fs::write(folder.path().join("shard-000001.tar"), gzipped(&shard(6, json))).unwrap();
        for (path, count) in
            [(folder.path().to_owned(), 12), (folder.path().join("shard-000000.tar"), 6)]
        {
            let set = load_plainly(&path);
            assert_eq!(set.classes, ["0", "1", "2"], "{:?}", set.notes);
            assert_eq!(sizes(&set).iter().sum::<usize>(), count);
            for (_, name, class, _) in contents(&set) {
                let number: usize = name[name.len() - 7..name.len() - 4].parse().unwrap();
                assert_eq!(class, Some((number % 3).to_string()));
            }
        }
    }

    // Named after splits, after classes, or only numbered.
    let several = |names: &[&str], inside: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(folder.path().join(name), tar_of(&images(inside, 5))).unwrap();
        }
        load_plainly(folder.path())
    };
    let set = several(&["train-0.tar", "train-1.tar", "test-0.tar"], &["cat", "dog"]);
    assert_eq!((set.classes.len(), set.test.len()), (2, 10));
    assert_eq!(several(&["n01.tar", "n02.tar"], &["cat", "dog"]).classes, ["cat", "dog"]);
    assert_eq!(several(&["cat.tar", "dog.tar"], &["x"]).classes, ["cat", "dog"]);
}

#[test]
fn emnist_is_read_upright_and_pickles_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let idx = |name: &str, sizes: &[u32], bytes: &[u8]| {
        let header = sizes.iter().flat_map(|size| size.to_be_bytes());
        let mut file = vec![0, 0, 8, sizes.len() as u8];
        file.extend(header.chain(bytes.iter().copied()));
        write(folder.path(), name, file);
    };
    // Two rows and two columns, stored column by column.
    for part in ["train", "test"] {
        idx(
            &format!("emnist-letters-{part}-images-idx3-ubyte"),
            &[3, 2, 2],
            &[1, 3, 2, 4].repeat(3),
        );
        idx(&format!("emnist-letters-{part}-labels-idx1-ubyte"), &[3], &[1, 2, 26]);
    }
    let set = load_plainly(folder.path());
    assert_eq!((set.train.len() + set.validation.len(), set.test.len()), (3, 3));
    let grey: Vec<u8> = set.test.image(0).pixels().iter().step_by(3).copied().collect();
    assert_eq!(grey, [1, 2, 3, 4]);
    assert_eq!(set.test.labels(), Some(&[1, 2, 26][..]));
    idx("emnist-digits-train-images-idx3-ubyte", &[1, 2, 2], &[0; 4]);
    let error = load(folder.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(
        error.contains("such as emnist-digits-train-images-idx3-ubyte and emnist-letters-"),
        "{error}"
    );

    let pickled = tempfile::tempdir().unwrap();
    write(pickled.path(), "cifar-10-batches-py/data_batch_1", b"\x80\x02}q\x01");
    let error = load(pickled.path(), &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("Python pickles"), "{error}");
}

#[test]
fn classes_are_chosen_by_names_with_commas_and_accents() {
    let files = images(&["red, ripe", "green", "cafe\u{301}"], 5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar");
    fs::write(&path, tar_of(&files)).unwrap();
    for (list, wanted) in [
        (r#"green,"red, ripe""#, &["green", "red, ripe"][..]),
        ("caf\u{e9},green", &["cafe\u{301}", "green"]),
    ] {
        let classes = Some(selfsame_data::class_names(list));
        let set = load(&path, &LoadOptions { classes, ..LoadOptions::default() }).unwrap();
        assert_eq!(set.classes, wanted);
    }
}
