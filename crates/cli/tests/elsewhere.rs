//! Encoders that no run trained, embedded, measured and exported by the command line.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use burn::tensor::Device;
use common::{said, small};
use selfsame::data::{LoadOptions, SplitName};
use selfsame::nn::layers::Init;
use selfsame::nn::{Architecture, Precision, ResNetConfig, Stem, state};
use selfsame::{EmbedOptions, WeightsOptions};
use serde_json::Value;

/// Images that are measured in a moment.
const FEW: &str = "--data glyphs --limit 60 --image-size 16 --classes ring,square";

fn weights(folder: &Path, name: &str, seed: u64) -> PathBuf {
    let config = ResNetConfig {
        architecture: Architecture::ResNet18,
        stem: Stem::Cifar,
        width: 2,
        precision: Precision::F32,
    };
    let encoder = config.init(&mut Init::new(seed, &Device::flex()));
    let file = folder.join(name);
    state::write_file(&file, &state::read(&encoder), &BTreeMap::new()).unwrap();
    file
}

/// Runs a command line in `folder`.
fn run(folder: &Path, line: &str) -> Output {
    common::selfsame(line.split_whitespace()).current_dir(folder).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Checks that a command is refused as misuse, in these words.
fn refused(folder: &Path, line: &str, words: &str) {
    let output = run(folder, line);
    assert_eq!(output.status.code(), Some(2), "{line}: {}", said(&output));
    assert!(said(&output).contains(words), "{line}: {}", said(&output));
}

#[test]
fn a_file_of_weights_embeds_images_as_the_library_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = weights(folder.path(), "w.safetensors", 1);
    let line = format!(
        "embed --init w.safetensors {FEW} --seed 3 --split test --precision f32 --to new/x.csv"
    );
    let result = json(&run(folder.path(), &format!("{line} --json")));
    assert_eq!(result["dim"], 16);

    let options = WeightsOptions { precision: Some(Precision::F32), ..WeightsOptions::default() };
    let loaded = selfsame::read_encoder(&file, &options, &mut ()).unwrap();
    let images = LoadOptions {
        limit: Some(60),
        image_size: Some(16),
        classes: Some(vec!["ring".into(), "square".into()]),
        seed: 3,
        ..LoadOptions::default()
    };
    let dataset = selfsame::load("glyphs", &images, &mut ()).unwrap();
    let options = EmbedOptions { split: Some(SplitName::Test), ..EmbedOptions::default() };
    let embedded = selfsame::embed_encoder(&loaded.encoder, &dataset, &options, &mut ()).unwrap();
    let table = std::fs::read_to_string(folder.path().join("new/x.csv")).unwrap();
    let rows: Vec<Vec<f32>> = table
        .lines()
        .skip(1)
        .map(|line| line.split(',').skip(3).map(|value| value.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), dataset.test.len());
    assert_eq!(rows.concat(), embedded.features.values());

    refused(folder.path(), &line, "x.csv exists already");
    refused(folder.path(), "embed --init w.safetensors --to y.npy", "--data");
    refused(folder.path(), "embed --to y.npy", "--init");
    refused(folder.path(), "embed run --width 2 --to y.npy", "--width applies only to --init");
    refused(
        folder.path(),
        "embed --init w.safetensors --data glyphs --to w.safetensors/y.npy",
        "is a file",
    );
}

#[test]
fn a_file_of_weights_is_measured_and_compared_as_a_run_is() {
    let folder = tempfile::tempdir().unwrap();
    for (name, seed) in [("a.safetensors", 1), ("b.safetensors", 2)] {
        weights(folder.path(), name, seed);
    }
    let eval = |more: &str| run(folder.path(), &format!("eval --json {FEW} {more}"));
    let a = json(&eval("--init a.safetensors --against b.safetensors"));
    let out = folder.path().join("evaluations/a");
    for file in ["eval.json", "map.json", "run.json", "report.html"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    // Each encoder gets the figures that it has on its own.
    let b = json(&eval("--init b.safetensors --out b"));
    let of = |result: &Value, name: &str| result["accuracies"]["of"][name].clone();
    assert!(of(&b, "trained").is_object());
    assert_eq!(of(&a, "against:b"), of(&b, "trained"));
    assert_ne!(of(&a, "trained"), of(&b, "trained"));
    assert_eq!(of(&a, "pixels"), of(&b, "pixels"));

    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("resnet18, width 2, 1"), "the page names the encoder");
    let again = format!("eval {FEW} --init a.safetensors");
    refused(folder.path(), &again, "eval.json exists already");
    json(&eval("--init a.safetensors --overwrite"));
    refused(folder.path(), &format!("{again} --out ."), "something else");
    let missing = run(folder.path(), &format!("{again} --out c --against none.pth"));
    assert!(missing.status.code() == Some(1) && said(&missing).contains("--against none.pth"));
    let twice = "--against b.safetensors --against b.safetensors";
    refused(folder.path(), &format!("{again} --out c {twice}"), "given twice");
    assert!(!folder.path().join("c").exists());
}

#[test]
fn a_study_measures_other_encoders_beside_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let other = weights(folder.path(), "other.safetensors", 1);
    let out = folder.path().join("run");
    let against = ["--against".to_owned(), other.display().to_string()];
    let mut args = small("study", &out);
    args.extend(against.clone());
    let output = common::run(args);
    assert!(output.status.success(), "{}", said(&output));
    let read = || -> Value {
        serde_json::from_slice(&std::fs::read(out.join("eval.json")).unwrap()).unwrap()
    };
    let studied = read();
    assert!(studied["accuracies"]["of"]["against:other"]["knn_acc1"].is_number(), "{studied}");

    // `eval` measures the run without it, and with it to the same figures.
    let eval = |more: &[String]| {
        let args = ["eval".to_owned(), out.display().to_string()];
        let output = common::run(args.into_iter().chain(more.iter().cloned()));
        assert!(output.status.success(), "{}", said(&output));
        read()
    };
    assert!(eval(&[])["accuracies"]["of"]["against:other"].is_null());
    assert_eq!(eval(&against), studied);

    let mut args = small("pretrain", &folder.path().join("other"));
    args.extend(against);
    let output = common::run(args);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("`eval`"), "{}", said(&output));
}

#[test]
fn labels_come_from_a_table_for_views_and_for_an_encoder_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let flat = folder.path().join("flat");
    std::fs::create_dir(&flat).unwrap();
    let mut table = String::from("file,label\n");
    for i in 0..60_u8 {
        let mut image = b"P6 8 8 255\n".to_vec();
        image.extend((0..192_u8).map(|at| at.wrapping_mul(i.wrapping_add(3)) ^ (i * 4)));
        std::fs::write(flat.join(format!("{i}.ppm")), image).unwrap();
        table += &format!("{i}.ppm,{}\n", if i % 2 == 0 { "even" } else { "odd" });
    }
    std::fs::write(folder.path().join("labels.csv"), table).unwrap();
    weights(folder.path(), "w.safetensors", 1);

    let line = "--labels labels.csv --views 2 --json";
    json(&run(folder.path(), &format!("views flat {line} --images 4")));
    let page = std::fs::read_to_string(folder.path().join("views.html")).unwrap();
    assert!(page.contains("--labels labels.csv"), "the page says how to make it again");
    let certify = "certify --init w.safetensors --data flat --per-class 4";
    let certified = json(&run(folder.path(), &format!("{certify} {line}")));
    assert!(certified["command"].to_string().contains("labels.csv"), "{certified}");
    // Without the table there are no classes, so less is measured.
    let unlabelled = json(&run(folder.path(), &format!("{certify} --views 2 --json --overwrite")));
    let concentration = |result: &Value| result["concentration"].is_object();
    assert!(concentration(&certified) && !concentration(&unlabelled));
}

#[test]
fn a_file_of_weights_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    weights(folder.path(), "w.safetensors", 1);
    let export =
        |more: &str| run(folder.path(), &format!("export --json --init w.safetensors {more}"));
    let result = json(&export("--format onnx --image-size 48"));
    assert_eq!((&result["file"], &result["step"]), (&"w.onnx".into(), &Value::Null));
    let file = std::fs::read(folder.path().join("w.onnx")).unwrap();
    assert!(file.windows(2).any(|two| two == b"48"));
    let result = json(&export("--format pytorch-names --out out/e.safetensors"));
    assert_eq!(result["program"], "out/model.py");
    let (_, about) = state::read_file(&folder.path().join("out/e.safetensors")).unwrap();
    assert_eq!((about["image_size"].as_str(), about["weights"].as_str()), ("32", "w.safetensors"));
    let refused = export("--format safetensors");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
}
