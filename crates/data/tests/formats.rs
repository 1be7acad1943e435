//! CIFAR binary and IDX: small sets of the same layout, whole and broken.

mod common;

use std::io::Write;
use std::path::Path;

use common::{contents, load, load_plainly, sizes, write};
use flate2::Compression;
use flate2::write::GzEncoder;
use selfsame_data::LoadOptions;

/// `count` records; pixel (row, column) of channel c of image i is a function of all four.
fn cifar(count: usize, label_bytes: usize, classes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for image in 0..count {
        bytes.extend((0..label_bytes).map(|byte| ((image + 1 - byte.min(1)) % classes) as u8));
        bytes.extend((0..3072).map(|at| sample(image, at / 1024, at % 1024)));
    }
    // The coarse label of CIFAR-100 comes first: one more than the fine label here.
    bytes
}

fn sample(image: usize, channel: usize, at: usize) -> u8 {
    (image * 31 + channel * 101 + at * 7 + at / 32) as u8
}

fn write_cifar_10(folder: &Path) {
    for batch in 1..=5 {
        write(folder, &format!("data_batch_{batch}.bin"), cifar(20, 1, 10));
    }
    write(folder, "test_batch.bin", cifar(10, 1, 10));
    write(
        folder,
        "batches.meta.txt",
        "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n",
    );
}

fn error_of(folder: &Path) -> String {
    load(folder, &LoadOptions::default()).unwrap_err().to_string()
}

#[test]
fn cifar_10_is_read_as_its_authors_lay_it_out() {
    let folder = tempfile::tempdir().unwrap();
    write_cifar_10(folder.path());
    let set = load_plainly(folder.path());
    assert_eq!((set.classes.len(), set.classes[9].as_str(), set.image_size), (10, "truck", 32));
    assert_eq!(sizes(&set), [90, 10, 10]);
    let index =
        (0..set.test.len()).find(|&index| set.test.name(index) == "test_batch.bin[3]").unwrap();
    let image = set.test.image(index);
    for at in 0..1024 {
        assert_eq!(
            image.pixels()[at * 3..][..3],
            [sample(3, 0, at), sample(3, 1, at), sample(3, 2, at)]
        );
    }
    // The first label byte of this test's files is one more than the image's number.
    assert_eq!(set.test.labels().unwrap()[index], 4);

    let above = tempfile::tempdir().unwrap();
    std::fs::create_dir(above.path().join("cifar-10-batches-bin")).unwrap();
    write_cifar_10(&above.path().join("cifar-10-batches-bin"));
    assert!(contents(&load_plainly(above.path())) == contents(&set));
}

#[test]
fn cifar_100_uses_the_fine_labels() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train.bin", cifar(300, 2, 100));
    write(folder.path(), "test.bin", cifar(100, 2, 100));
    let names: Vec<String> = (0..100).map(|class| format!("fine_{class}")).collect();
    write(folder.path(), "fine_label_names.txt", names.join("\n"));
    let set = load_plainly(folder.path());
    assert_eq!(sizes(&set), [200, 100, 100]);
    for index in 0..100 {
        assert_eq!(set.test.name(index), format!("test.bin[{index}]"));
        assert_eq!(
            set.classes[set.test.labels().unwrap()[index] as usize],
            format!("fine_{index}")
        );
    }
}

#[test]
fn broken_cifar_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write_cifar_10(folder.path());
    let whole = cifar(20, 1, 10);
    for cut in [0, 1, 3072, whole.len() - 1] {
        write(folder.path(), "data_batch_3.bin", &whole[..cut]);
        let error = error_of(folder.path());
        assert!(error.contains("data_batch_3.bin") && error.contains("records"), "{error}");
    }
    let mut wrong = whole.clone();
    wrong[3073 * 2] = 10;
    write(folder.path(), "data_batch_3.bin", &wrong);
    let error = error_of(folder.path());
    assert!(error.contains("record 2 has label 10"), "{error}");

    write(folder.path(), "data_batch_3.bin", &whole);
    write(folder.path(), "batches.meta.txt", "one two");
    assert!(error_of(folder.path()).contains("2 class names"));
    std::fs::remove_file(folder.path().join("batches.meta.txt")).unwrap();
    std::fs::remove_file(folder.path().join("data_batch_2.bin")).unwrap();
    let set = load_plainly(folder.path());
    assert_eq!(set.classes[3], "3");
    assert!(
        ["data_batch_2.bin", "batches.meta.txt"]
            .iter()
            .all(|name| set.notes.iter().any(|note| note.contains(name)))
    );
}

fn idx(sizes: &[u32], bytes: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(bytes);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn write_idx(folder: &Path) {
    let images = |count: u32| idx(&[count, 5, 5], (0..count * 25).map(|at| (at * 3) as u8));
    let labels = |count: u32| idx(&[count], (0..count).map(|image| (image % 10) as u8));
    write(folder, "train-images-idx3-ubyte.gz", gzip(&images(40)));
    write(folder, "train-labels-idx1-ubyte", labels(40));
    write(folder, "t10k-images.idx3-ubyte", images(20));
    write(folder, "t10k-labels-idx1-ubyte.gz", gzip(&labels(20)));
}

#[test]
fn idx_is_read_plain_and_gzipped() {
    let folder = tempfile::tempdir().unwrap();
    write_idx(folder.path());
    let set = load_plainly(folder.path());
    assert_eq!((sizes(&set), set.image_size, set.classes.len()), ([30, 10, 20], 5, 10));
    for index in 0..20 {
        let wanted: Vec<u8> =
            (index * 25..(index + 1) * 25).flat_map(|at| [(at * 3) as u8; 3]).collect();
        assert_eq!(set.test.image(index).pixels(), wanted);
        assert_eq!(set.test.labels().unwrap()[index], index as u32 % 10);
    }
    write(folder.path(), "classes.txt", "T-shirt/top\nTrouser\nc\nd\ne\nf\ng\nh\ni\nAnkle boot\n");
    assert_eq!(load_plainly(folder.path()).classes[9], "Ankle boot");
    write(folder.path(), "classes.txt", "too\nfew");
    assert!(error_of(folder.path()).contains("names 2 classes"));
}

#[test]
fn broken_idx_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = idx(&[20, 5, 5], (0..500).map(|at| at as u8));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "t10k-images.idx3-ubyte",
            good[..good.len() - 1].to_vec(),
            "means 500 bytes, but it has 499",
        ),
        ("t10k-images.idx3-ubyte", [&good[..], &[0]].concat(), "but it has more"),
        ("t10k-images.idx3-ubyte", good[..9].to_vec(), "truncated"),
        ("t10k-images.idx3-ubyte", idx(&[20], [0; 20]), "not an IDX file of 3"),
        ("t10k-images.idx3-ubyte", idx(&[u32::MAX, u32::MAX, u32::MAX], []), "more than"),
        ("t10k-images.idx3-ubyte", idx(&[1 << 31, 1 << 10, 1 << 23], []), "more than"),
        ("t10k-images.idx3-ubyte", idx(&[20, 0, 5], []), "cannot be read"),
        ("t10k-images.idx3-ubyte", idx(&[1, 1, 60_000], []), "cannot be read"),
        ("t10k-images.idx3-ubyte", idx(&[19, 5, 5], [0; 475]), "20 labels for the 19 images"),
        ("t10k-labels-idx1-ubyte.gz", gzip(&idx(&[20], [0; 20]))[..20].to_vec(), "truncated"),
        ("t10k-labels-idx1-ubyte.gz", b"not gzip at all".to_vec(), "damaged"),
        ("train-labels-idx1-ubyte", idx(&[41], [0; 41]), "41 labels for the 40 images"),
    ];
    for (name, bytes, wanted) in cases {
        write_idx(folder.path());
        write(folder.path(), name, bytes);
        let error = error_of(folder.path());
        assert!(
            error.contains(wanted) && error.contains("idx"),
            "{name}: {error} instead of {wanted}"
        );
    }
    write_idx(folder.path());
    std::fs::remove_file(folder.path().join("train-labels-idx1-ubyte")).unwrap();
    assert!(error_of(folder.path()).contains("one of train and t10k has labels"));
    std::fs::remove_file(folder.path().join("t10k-labels-idx1-ubyte.gz")).unwrap();
    let set = load_plainly(folder.path());
    assert!(set.classes.is_empty() && set.train.labels().is_none());
}
