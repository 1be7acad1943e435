//! Every verb that takes an encoder, with a perceptron for one.

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::{run, said, selfsame};
use selfsame::nn::state;
use serde_json::Value;

/// Arguments, split at blanks, with `@` for the folder.
fn args(folder: &Path, text: &str) -> Vec<String> {
    text.replace('@', &format!("{}/", folder.display())).split(' ').map(str::to_owned).collect()
}

fn ok(folder: &Path, text: &str) -> Value {
    let output = run(args(folder, text));
    assert!(output.status.success(), "{text}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn refused(folder: &Path, text: &str, cause: &str) {
    let output = run(args(folder, text));
    assert_eq!(output.status.code(), Some(2), "{text}: {}", said(&output));
    assert!(said(&output).contains(cause), "{cause} in {}", said(&output));
}

const SMALL: &str = "--limit 60 --image-size 8 --encoder mlp --width 24 --batch 12 --epochs 2";

#[test]
fn a_perceptron_goes_through_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let study = ok(folder, &format!("study {SMALL} --out @a --json"));
    assert!(study["report"].as_str().is_some_and(|page| Path::new(page).is_file()), "{study}");
    let config = std::fs::read_to_string(folder.join("a/config.toml")).unwrap();
    let section = "[encoder]\narchitecture = \"mlp\"\nwidth = 24\nimage_size = 8\n\n";
    assert!(config.contains(section), "{config}");

    let embedded = ok(folder, "embed @a --to @a.npy --json");
    assert_eq!(embedded["dim"], 24);
    ok(folder, "certify @a --per-class 5 --views 4");
    let certificate = std::fs::read(folder.join("a/certificate.json")).unwrap();
    let certificate: Value = serde_json::from_slice(&certificate).unwrap();
    let [measured, proved] =
        ["lipschitz", "lipschitz_bound"].map(|key| certificate[key]["value"].as_f64().unwrap());
    assert!(0.0 < measured && measured <= proved, "{measured}, {proved}");
    ok(
        folder,
        "forecast --data glyphs --encoder @a --policies a,ab --per-class 6 --views 3 --out @f",
    );

    // Exports: all networks, the encoder by its names alone, ONNX.
    for (format, file) in
        [("safetensors", "all.st"), ("pytorch-names", "encoder.st"), ("onnx", "encoder.onnx")]
    {
        let result = ok(folder, &format!("export @a --format {format} --out @{file} --json"));
        assert_eq!(result["dim"], 24);
    }
    let read = |file: &str| state::read_file(&folder.join(file)).unwrap().0;
    let (all, encoder) = (read("all.st"), read("encoder.st"));
    assert_eq!(encoder["layers.0.weight"].shape, [24, 8 * 8 * 3]);
    assert!(encoder.iter().all(|(name, values)| all[&format!("backbone.{name}")] == *values));

    // Weights in: the whole checkpoint and the encoder alone are the same to another run.
    for (file, out) in [("all.st", "b"), ("encoder.st", "c")] {
        ok(folder, &format!("pretrain {SMALL} --init @{file} --out @{out}"));
    }
    let last = |run: &str| read(&format!("{run}/checkpoints/last.safetensors"));
    assert_eq!(last("b"), last("c"));
    assert_ne!(last("a"), last("b"));
    ok(
        folder,
        "certify --init @encoder.st --data glyphs --limit 60 --per-class 4 --views 3 --out @d",
    );

    let certificate = std::fs::read(folder.join("d/certificate.json")).unwrap();
    let certificate: Value = serde_json::from_slice(&certificate).unwrap();
    let command = certificate["command"].as_array().unwrap();
    assert_eq!(command.iter().filter(|word| *word == "--image-size").count(), 1, "{command:?}");

    let other = SMALL.replace("--width 24", "--width 12");
    refused(
        folder,
        &format!("pretrain {other} --init @encoder.st --out @e"),
        "it fits --encoder mlp --width 24 --image-size 8",
    );
    refused(
        folder,
        "certify --init @encoder.st --data glyphs --image-size 16 --out @e",
        "the encoder takes images of 8 pixels",
    );
}

#[test]
fn what_a_perceptron_does_not_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (more, cause) in [
        ("--stem cifar", "a multilayer perceptron has none"),
        ("--precision bf16", "activations of a multilayer perceptron are f32"),
        ("--width 5000", "1 to 4096 units"),
    ] {
        let small = SMALL.replace(if more.starts_with("--width") { "--width 24" } else { "" }, "");
        refused(
            folder,
            format!("pretrain {small} {more} --out @a").replace("  ", " ").as_str(),
            cause,
        );
    }
    ok(folder, &format!("pretrain {SMALL} --out @a"));
    let config = std::fs::read_to_string(folder.join("a/config.toml")).unwrap();
    let other = config.replace("\nimage_size = 8\n\n[method]", "\nimage_size = 9\n\n[method]");
    assert_ne!(config, other);
    std::fs::write(folder.join("a/config.toml"), other).unwrap();
    let output = run(args(folder, "embed @a --to @a.npy"));
    assert!(said(&output).contains("encoder.image_size"), "{}", said(&output));
    std::fs::write(folder.join("a/config.toml"), config).unwrap();
    refused(folder, "embed @a --to @a.npy --precision bf16", "computes in f32");
    ok(folder, "embed @a --to @a.npy --precision f32");
}

/// Killed once its first state is on disk, with a momentum encoder and with a queue.
#[test]
fn a_perceptron_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let small = SMALL.replace("--epochs 2", "--epochs 12 --save-every 0");
    for method in ["byol", "mocov2"] {
        let start = |out: &str| args(folder, &format!("pretrain {small} --method {method} {out}"));
        let whole = run(start(&format!("--out @whole-{method}")));
        assert!(whole.status.success(), "{}", said(&whole));
        let killed = format!("killed-{method}");
        let mut child = selfsame(start(&format!("--out @{killed}")))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let state = folder.join(&killed).join("checkpoints/last.state.safetensors");
        while !state.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        ok(folder, &format!("pretrain --resume @{killed}"));
        let [whole, killed] = [format!("whole-{method}"), killed].map(|run| {
            std::fs::read(folder.join(run).join("checkpoints/last.safetensors")).unwrap()
        });
        assert!(whole == killed, "{method}");
    }
}
