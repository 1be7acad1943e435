//! Certificates of embeddings that another program wrote: the numbers, and what is wrong is named
//! with its row.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::common::{run, said};
use half::f16;
use npyz::WriterBuilder as _;
use selfsame::report::certificate::{CertificateRecord, LeftOut, words};

pub fn npy<T: npyz::Serialize + npyz::AutoSerialize + Copy>(
    shape: &[u64],
    values: &[T],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .writer(&mut bytes)
        .begin_nd()
        .unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

pub fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Rows of two classes about two directions, no two alike.
pub fn rows(count: usize, dim: usize) -> Vec<f32> {
    let value = |at: usize| {
        let (row, column) = (at / dim, at % dim);
        let noise = ((row * 37 + column * 101 + row * column * 13) % 97) as f32 / 97.0 - 0.5;
        noise + if column == row % 2 { 1.0 } else { 0.0 }
    };
    (0..count * dim).map(value).collect()
}

fn certify(args: &[&str], out: &Path) -> std::process::Output {
    let out = out.display().to_string();
    run([&["certify", "--json", "--overwrite", "--out", &out], args].concat())
}

pub fn record(args: &[&str], out: &Path) -> CertificateRecord {
    let output = certify(args, out);
    assert!(output.status.success(), "{}", said(&output));
    let printed: CertificateRecord = serde_json::from_slice(&output.stdout).unwrap();
    let written = std::fs::read(out.join("certificate.json")).unwrap();
    assert_eq!(serde_json::from_slice::<CertificateRecord>(&written).unwrap(), printed);
    assert!(std::fs::read_to_string(out.join("report.html")).unwrap().contains("id=\"factors\""));
    printed
}

#[test]
fn what_can_be_computed_is_and_the_rest_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let (count, dim) = (40, 6);
    let values = rows(count, dim);
    let embeddings = file(folder.path(), "f.npy", &npy(&[count as u64, dim as u64], &values));
    // Labels that begin anywhere and leave numbers out.
    let given: Vec<i32> = (0..count as i32).map(|row| 7 + 4 * (row % 2)).collect();
    let labels = file(folder.path(), "l.npy", &npy(&[count as u64], &given));
    let [embeddings, labels] = [&embeddings, &labels].map(|path| path.display().to_string());
    let found =
        record(&["--embeddings", &embeddings, "--labels", &labels], &folder.path().join("out"));

    assert_eq!((found.images, found.views, found.dim), (count, 1, dim));
    assert_eq!(
        found.classes.iter().map(|class| class.name.as_str()).collect::<Vec<_>>(),
        ["7", "11"]
    );
    assert!(
        found.infonce.is_none() && found.named("nearest centre, any view").is_none(),
        "they take two views"
    );
    assert!(found.alignment.is_none() && found.concentration.is_none() && found.bounds.is_empty());
    for why in [LeftOut::SingleView, LeftOut::NoPixels] {
        assert!(found.left_out.contains(&why), "{why:?}: {:?}", found.left_out);
    }
    let unit = |row: usize| -> Vec<f64> {
        let row: Vec<f64> = values[row * dim..][..dim].iter().map(|&value| value.into()).collect();
        let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        row.iter().map(|value| value / length).collect()
    };
    let centre = |class: usize| -> Vec<f64> {
        let mean = |column: usize| {
            (class..count).step_by(2).map(|row| unit(row)[column]).sum::<f64>() / 20.0
        };
        (0..dim).map(mean).collect()
    };
    let product: f64 = centre(0).iter().zip(centre(1)).map(|(a, b)| a * b).sum();
    assert!((found.divergence.unwrap().largest.unwrap().value - product).abs() < 1e-12);
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let wrong = |row: &usize| {
        apart(&unit(*row), &centre(*row % 2)) > apart(&unit(*row), &centre(1 - *row % 2))
    };
    let error = (0..count).filter(wrong).count() as f64 / count as f64;
    let nearest = found.errors.iter().find(|named| named.name == "nearest centre").unwrap();
    assert!((nearest.quantity.value - error).abs() < 1e-12);
    let residual = found.correlation.unwrap().gram_residual.unwrap().value;
    assert!(residual < 1e-10, "{residual}");
}

#[test]
fn views_archives_and_other_widths_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let values = rows(40, 6);
    let whole = npy(&[10, 4, 6], &values);
    let embeddings = file(folder.path(), "views.npy", &whole).display().to_string();
    let out = folder.path().join("out");
    let found = record(&["--embeddings", &embeddings], &out);
    assert_eq!((found.images, found.views), (10, 4));
    assert!(found.classes.is_empty() && found.divergence.is_none());
    assert!(found.left_out.contains(&LeftOut::NoLabels));
    assert!(found.geometry.iter().any(|named| named.name == "LiDAR"));
    let correlation = found.correlation.as_ref().unwrap();
    assert!(correlation.trace_residual.value < 1e-10 && found.alignment.is_some());

    let wide: Vec<f64> = values.iter().map(|&value| value.into()).collect();
    let wide = file(folder.path(), "wide.npy", &npy(&[10, 4, 6], &wide)).display().to_string();
    let of_wide = record(&["--embeddings", &wide], &out);
    assert_eq!(of_wide.alignment, found.alignment);
    assert!(of_wide.left_out.contains(&LeftOut::Rounded));

    // Column by column, as NumPy writes a transposed array, and in 16 bits, which are few but exact
    // as 32.
    let header = "{'descr': '<f4', 'fortran_order': True, 'shape': (10, 4, 6), }\n";
    let mut columns =
        [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes()]
            .concat();
    for (value, view, image) in
        (0..6).flat_map(|v| (0..4).flat_map(move |m| (0..10).map(move |n| (v, m, n))))
    {
        columns.extend(values[(image * 4 + view) * 6 + value].to_le_bytes());
    }
    let columns = file(folder.path(), "columns.npy", &columns).display().to_string();
    assert_eq!(record(&["--embeddings", &columns], &out).alignment, found.alignment);
    let header = "{'descr': '<f2', 'fortran_order': False, 'shape': (10, 4, 6), }\n";
    let mut half =
        [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes()]
            .concat();
    half.extend(values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()));
    let as_single: Vec<f32> = values.iter().map(|&value| f16::from_f32(value).to_f32()).collect();
    let of = |name, bytes: &[u8]| {
        let path = file(folder.path(), name, bytes).display().to_string();
        record(&["--embeddings", &path], &out).alignment
    };
    assert_eq!(of("half.npy", &half), of("single.npy", &npy(&[10, 4, 6], &as_single)));

    let labels: Vec<u8> = (0..10).map(|image| image % 2).collect();
    let column = file(folder.path(), "column.npy", &npy(&[10, 1], &labels)).display().to_string();
    assert_eq!(record(&["--embeddings", &embeddings, "--labels", &column], &out).classes.len(), 2);
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        for (name, bytes) in [("embeddings.npy", &whole), ("labels.npy", &npy(&[10], &labels))] {
            archive.start_file(name, options).unwrap();
            archive.write_all(bytes).unwrap();
        }
        let path = file(folder.path(), "both.npz", archive.finish().unwrap().get_ref())
            .display()
            .to_string();
        let of_archive = record(&["--embeddings", &path], &out);
        assert_eq!((of_archive.classes.len(), &of_archive.alignment), (2, &found.alignment));
        let both = certify(&["--embeddings", &path, "--labels", &column], &out);
        assert!(
            both.status.code() == Some(2) && said(&both).contains("holds labels already"),
            "{}",
            said(&both)
        );
    }
}

#[test]
fn wide_embeddings_say_what_they_lack() {
    let folder = tempfile::tempdir().unwrap();
    let (out, path) =
        (folder.path().join("out"), file(folder.path(), "f.npy", &npy(&[3, 4100], &rows(3, 4100))));
    let found = record(&["--embeddings", &path.display().to_string(), "--seed", "4"], &out);
    assert!(found.named("RankMe").is_none() && found.named("uniformity").is_some());
    let left_out = words::left_out(&found);
    assert!(left_out.iter().any(|why| why.contains("RankMe, αReQ and LiDAR")), "{left_out:?}");
    // The command says all that decides the record.
    let written = std::fs::read(out.join("certificate.json")).unwrap();
    let text = said(&run(&found.command[1..]));
    assert!(
        text.contains("certificate.json exists already; choose another name, or --overwrite"),
        "{text}"
    );
    let again = found.command[1..].iter().map(String::as_str).chain(["--overwrite"]);
    assert!(run(again).status.success());
    assert_eq!(std::fs::read(out.join("certificate.json")).unwrap(), written);
    assert!(found.command.join(" ").contains("--seed 4 --out "), "{:?}", found.command);
    // What is refused replaces nothing.
    let zero = file(folder.path(), "zero.npy", &npy(&[2, 2], &[0.0_f32, 0.0, 1.0, 2.0]))
        .display()
        .to_string();
    let text = said(&certify(&["--embeddings", &zero], &out));
    assert!(text.contains("row 0 is zero"), "{text}");
    assert_eq!(std::fs::read(out.join("certificate.json")).unwrap(), written);
}

/// A `.npz` of these arrays.
fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, array) in arrays {
        archive
            .start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(array).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn arrays_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let embeddings = || ("embeddings", npy(&[20, 6], &rows(20, 6)));
    let classes: Vec<i64> = (0..20).map(|row| row % 2).collect();
    let write = |arrays: &[(&str, Vec<u8>)]| {
        file(folder.path(), "all.npz", &npz(arrays)).display().to_string()
    };
    // Labels by their name, whatever they hold, or by one whole number per image.
    for name in ["label", "targets", "y", "Targets", "digit"] {
        let ids = ("paths", npy(&[3, 20], &[0.5_f32; 60]));
        let path = write(&[embeddings(), (name, npy(&[20], &classes)), ids]);
        let found = record(&["--embeddings", &path], &out);
        assert!(found.left_out.contains(&LeftOut::UnreadLabels { array: name.into() }), "{name}");
        let others = LeftOut::UnreadArrays { arrays: vec!["paths".into()] };
        assert!(found.left_out.contains(&others), "{name}");
        let verdict = words::verdict(&found).join(" ");
        assert!(
            verdict.contains(&format!("the array {name}, which looks like labels")),
            "{verdict}"
        );
        let text = said(&certify(&["--embeddings", &path], &out));
        assert!(text.contains("array called labels") && text.contains("holds paths"), "{text}");
    }
    // With labels, what looks like other labels is one more array that is not read.
    let path =
        write(&[embeddings(), ("labels", npy(&[20], &classes)), ("targets", npy(&[20], &classes))]);
    let found = record(&["--embeddings", &path], &out);
    assert!(found.left_out.contains(&LeftOut::UnreadArrays { arrays: vec!["targets".into()] }));
    assert!(!found.left_out.contains(&LeftOut::NoLabels));

    let path = write(&[("features", npy(&[20, 6], &rows(20, 6))), ("y", npy(&[20], &classes))]);
    let text = said(&certify(&["--embeddings", &path], &out));
    assert!(text.contains("no array is called embeddings (it holds features, y)"), "{text}");
}

#[test]
fn labels_called_targets_are_named_in_a_case_from_elsewhere() {
    let case =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases/labels-as-targets.npz");
    if !case.exists() {
        println!("skipped: {} is not there", case.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let found = record(&["--embeddings", &case.display().to_string()], &folder.path().join("out"));
    assert!(found.left_out.contains(&LeftOut::UnreadLabels { array: "targets".into() }));
}

#[test]
fn what_is_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let values = rows(10, 3);
    let changed = |at: std::ops::Range<usize>, with: &[f32]| {
        let mut values = values.clone();
        values[at].copy_from_slice(with);
        npy(&[10, 3], &values)
    };
    let good = npy(&[10, 3], &values);
    // The format as NumPy documents it: magic, version, length of the header, the header, the
    // values.
    let raw = |header: &str| {
        let values: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let length = (header.len() as u16).to_le_bytes();
        [&b"\x93NUMPY\x01\x00"[..], &length, header.as_bytes(), &values].concat()
    };
    let huge =
        raw("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 99999999999), }\n");
    for (name, bytes, cause) in [
        ("nan.npy", changed(16..17, &[f32::NAN]), "row 5 (view 0 of image 5)"),
        ("infinite.npy", changed(0..1, &[f32::INFINITY]), "row 0"),
        ("zero.npy", changed(12..15, &[0.0; 3]), "row 4 is zero"),
        (
            "repeated.npy",
            changed(21..24, &values[3..6]),
            "1 of 10 images repeats an earlier one, value for value: row 7",
        ),
        ("constant.npy", npy(&[4, 3], &[0.5_f32; 12]), "all 4 rows equal row 0"),
        ("flat.npy", npy(&[30], &values), "shape [30] holds no embeddings"),
        ("none.npy", npy::<f32>(&[0, 3], &[]), "is empty (its shape is [0, 3])"),
        (
            "large.npy",
            npy(&[2, 2], &[1.0, 2.0, 3.0, 1e50]),
            "row 1 holds 1e50 in column 1: values are taken as 32-bit",
        ),
        ("whole.npy", npy(&[2, 2], &[1_i64, 2, 3, 4]), "not 16-, 32- or 64-bit floats"),
        ("huge.npy", huge, "cut short"),
        ("short.npy", good[..good.len() - 1].to_vec(), "cut short"),
        ("header.npy", good[..20].to_vec(), "the file ends within its header"),
        ("empty.npy", Vec::new(), "no array of NumPy's: the file is empty"),
        ("text.npy", b"no array at all".to_vec(), "it does not begin as one does"),
        ("text.npz", b"no archive".to_vec(), "no archive of NumPy's, or one that is cut short"),
    ] {
        let path = file(folder.path(), name, &bytes).display().to_string();
        let output = certify(&["--embeddings", &path], &out);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        assert!(
            text.contains(cause) && text.contains(name) && !text.contains("panicked"),
            "{name}: {text}"
        );
    }
    let good = file(folder.path(), "good.npy", &good).display().to_string();
    for (name, bytes, cause) in [
        ("few.npy", npy(&[9], &[1_i64; 9]), "9 labels for 10 images; row 9 has no label"),
        ("many.npy", npy(&[11], &[1_i64; 11]), "11 labels for 10 images; row 10 has no image"),
        (
            "negative.npy",
            npy(&[10], &[0_i64, 1, 2, 3, -1, 5, 6, 7, 8, 9]),
            "row 4 is negative (-1)",
        ),
        ("floats.npy", npy(&[10], &[0.5_f32; 10]), "not whole numbers"),
        ("square.npy", npy(&[2, 5], &[1_i64; 10]), "one whole number an image"),
    ] {
        let path = file(folder.path(), name, &bytes).display().to_string();
        let output = certify(&["--embeddings", &good, "--labels", &path], &out);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        assert!(
            text.contains(cause) && text.contains(name) && !text.contains("panicked"),
            "{name}: {text}"
        );
    }
    // What grows with the square of the classes is refused before it is made.
    let distinct: Vec<f32> = (1..=4001 * 3).map(|value| value as f32).collect();
    let many =
        file(folder.path(), "classes.npy", &npy(&[4001, 3], &distinct)).display().to_string();
    let labels: Vec<u16> = (0..4001).collect();
    let labels = file(folder.path(), "labels.npy", &npy(&[4001], &labels)).display().to_string();
    let output = certify(&["--embeddings", &many, "--labels", &labels], &out);
    assert!(
        output.status.code() == Some(2) && said(&output).contains("at most 4000"),
        "{}",
        said(&output)
    );
    for args in [
        &["--embeddings", "x.parquet"][..],
        &["--embeddings", &good, "--views", "3"],
        &["--labels", &good],
        &[],
    ] {
        let output = certify(args, &out);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
    }
    assert!(!out.exists(), "nothing was written");
}

#[test]
fn repeats_are_named_and_taken_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut values = rows(30, 3);
    for image in 0..12 {
        values.copy_within(3 * image..3 * image + 3, 3 * (image + 15));
    }
    let path = file(folder.path(), "copies.npy", &npy(&[30, 3], &values)).display().to_string();
    let text = said(&certify(&["--embeddings", &path], &out));
    for part in [
        "12 of 30 images repeat",
        "row 15 repeats row 0, row 16",
        "row 24 repeats row 9, and 2 more",
        "--allow-rep",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let found = record(&["--embeddings", &path, "--allow-repeats"], &out);
    let noted = |note: &String| {
        note.contains("12 of 30 images repeat") && note.contains("the first: row 15 repeats row 0")
    };
    assert!(words::left_out(&found).iter().any(noted) && found.images == 30);
    assert!(found.left_out.contains(&LeftOut::Repeats { count: 12, first: [15, 0] }));
    assert!(found.command.contains(&"--allow-repeats".to_owned()), "{:?}", found.command);
    let views = file(
        folder.path(),
        "views.npy",
        &npy(&[10, 3, 3], &[&rows(30, 3)[..81], &rows(30, 3)[..9]].concat()),
    );
    let text = said(&certify(&["--embeddings", &views.display().to_string()], &out));
    assert!(text.contains("image 9 (from row 27) repeats image 0 (from row 0)"), "{text}");
    // Copies of one row alone say nothing of anything.
    let constant =
        file(folder.path(), "constant.npy", &npy(&[4, 3], &[0.5_f32; 12])).display().to_string();
    let output = certify(&["--embeddings", &constant, "--allow-repeats"], &out);
    assert!(
        output.status.code() == Some(1) && said(&output).contains("all 4 rows equal row 0"),
        "{}",
        said(&output)
    );
}

#[test]
fn options_that_do_not_apply_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let good = file(folder.path(), "good.npy", &npy(&[10, 3], &rows(10, 3))).display().to_string();
    for (args, cause) in [
        ("run --labels f.npy", "--labels applies only to --embeddings"),
        ("run --augment a", "the run run has its own encoder, images and policy"),
        ("run --limit 3", "--limit applies only to --init"),
        ("run --allow-repeats", "--allow-repeats applies only to --embeddings"),
        ("run --split all", "[possible values: train, validation, test]"),
        ("--embeddings GOOD --data glyphs", "good.npy holds embeddings already"),
        ("--embeddings GOOD --init-partial", "--init-partial applies only to --init"),
        ("--embeddings GOOD --device vulkan", "'--device <NAME>'"),
        ("--embeddings GOOD --split train", "'--split <SPLIT>'"),
    ] {
        let args = args.replace("GOOD", &good);
        // The folder of a run is where its certificate goes.
        let out = if args.starts_with("run") {
            Vec::new()
        } else {
            vec!["--out".into(), out.display().to_string()]
        };
        let output = run(["certify"]
            .map(str::to_owned)
            .into_iter()
            .chain(args.split(' ').map(str::to_owned))
            .chain(out));
        let text = said(&output);
        assert!(output.status.code() == Some(2) && text.contains(cause), "{args}: {text}");
    }
    let output = certify(&["--embeddings", &good], Path::new(&good));
    assert!(
        output.status.code() == Some(2) && said(&output).contains("good.npy is a file"),
        "{}",
        said(&output)
    );
    let text = said(&run(["certify"]));
    assert!(
        text.contains("exit Some(2)") && text.contains("--embeddings") && text.contains("--init"),
        "{text}"
    );
    assert!(!out.exists(), "nothing was written");
}
