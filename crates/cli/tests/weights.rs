//! Weights out and in: the command line, and the libraries of Python on the other side.
//!
//! The last test runs `crates/nn/tests/fixtures/reference.py` with the interpreter named in
//! `SELFSAME_PYTHON`, which needs torch, torchvision, lightly, safetensors, onnx and onnxruntime,
//! and is skipped without that variable: `SELFSAME_PYTHON=venv/bin/python cargo test --release -p
//! selfsame --test weights -- --nocapture`.

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use burn::tensor::Device;
use common::{run, said, small};
use selfsame::data::{Image, LoadOptions, Split, load};
use selfsame::eval::{Features, accuracy, embed, knn};
use selfsame::nn::layers::Init;
use selfsame::nn::{
    Architecture, Backbone, EncoderConfig, MlpConfig, Precision, ResNetConfig, Stem, import, onnx,
    state,
};
use serde_json::json;

fn random(config: impl Into<EncoderConfig>, seed: u64) -> Backbone {
    config.into().init(&mut Init::new(seed, &Device::flex()))
}

/// The encoder with statistics and scales that no initialisation has, so that none can be left out
/// unnoticed. The scales are small enough to keep features near 1 through many blocks, as training
/// does.
fn shaken(config: impl Into<EncoderConfig>, seed: u64) -> Backbone {
    let config = config.into();
    let mut tensors = state::read(&random(config, seed));
    let mut state = seed;
    let mut uniform = move |low: f32, high: f32| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        low + (high - low) * (state >> 40) as f32 / (1 << 24) as f32
    };
    for (name, tensor) in &mut tensors {
        let (low, high) = match name.rsplit('.').next().unwrap() {
            "running_mean" => (-0.3, 0.3),
            "running_var" => (0.5, 2.0),
            "bias" => (-0.2, 0.2),
            _ if tensor.shape.len() == 1 => (0.2, 0.8),
            _ => continue,
        };
        tensor.values.fill_with(|| uniform(low, high));
    }
    state::load(random(config, seed), &tensors).unwrap()
}

/// The encoder of a file, which must fit whole.
fn imported(path: &Path, config: &ResNetConfig) -> Backbone {
    let import = import::read(path).unwrap();
    assert_eq!(import.encoder().as_ref(), Some(&(*config).into()));
    let fit = import.fit(&random(*config, 1));
    assert!(fit.is_whole(), "{fit}");
    state::load(random(*config, 1), &import.state).unwrap()
}

/// The images that `reference.py` makes by the same rule.
fn pixels(count: usize, size: usize) -> Vec<Vec<u8>> {
    let bytes: Vec<u8> =
        (0..(count * size * size * 3) as u64).map(|i| (i * i * 7 / 11 % 256) as u8).collect();
    bytes.chunks(size * size * 3).map(<[u8]>::to_vec).collect()
}

fn features(encoder: &Backbone, images: &[impl AsRef<[u8]>], size: usize) -> Features {
    let images: Vec<Image<'_>> =
        images.iter().map(|image| Image::square(size as u32, image.as_ref())).collect();
    embed(encoder, &images, &Device::flex(), &mut |_| ()).unwrap()
}

/// The largest difference, after a look at whether there is anything to differ in.
fn difference(what: &str, found: &Features, expected: &serde_json::Value) -> f32 {
    let expected: Vec<Vec<f32>> = serde_json::from_value(expected.clone()).unwrap();
    let expected = expected.concat();
    assert_eq!(found.values().len(), expected.len());
    let largest = expected.iter().copied().fold(0.0, f32::max);
    assert!(largest > 0.1);
    let difference =
        found.values().iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{what}: largest difference {difference:.1e}, largest feature {largest:.2}");
    difference
}

#[test]
fn a_run_is_exported_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run_folder = at("run");
    let trained = run(small("pretrain", &run_folder));
    assert!(trained.status.success(), "{}", said(&trained));
    let export = |format: &str, more: &[&str]| {
        let mut args = vec![
            "export".into(),
            run_folder.display().to_string(),
            "--format".into(),
            format.into(),
        ];
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        common::selfsame(args).current_dir(folder.path()).output().unwrap()
    };

    // Every network, as in the checkpoint, and the encoder alone by names that torchvision knows.
    for (format, file, program) in [
        ("safetensors", "run.safetensors", None),
        ("pytorch-names", "run.encoder.safetensors", Some("model.py")),
    ] {
        let output = export(format, &["--json"]);
        assert!(output.status.success(), "{}", said(&output));
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let expected = json!({ "file": file, "program": program, "dim": 16, "step": 24 });
        assert_eq!(result, expected);
    }
    let (checkpoint, _) =
        state::read_file(&run_folder.join("checkpoints/last.safetensors")).unwrap();
    let (all, metadata) = state::read_file(&at("run.safetensors")).unwrap();
    assert_eq!((all, metadata["step"].as_str()), (checkpoint.clone(), "24"));
    let (encoder, metadata) = state::read_file(&at("run.encoder.safetensors")).unwrap();
    for (key, value) in [
        ("selfsame", env!("CARGO_PKG_VERSION")),
        ("run", "run"),
        ("checkpoint", "last"),
        ("step", "24"),
        ("method", "simclr"),
        ("architecture", "resnet18"),
        ("width", "2"),
        ("stem", "cifar"),
        ("dimension", "16"),
        ("image_size", "16"),
        ("exif", "turn"),
        ("crop", "centre square"),
        ("resize", "bilinear, antialiased"),
        ("mean", "[0.485, 0.456, 0.406]"),
        ("std", "[0.229, 0.224, 0.225]"),
    ] {
        assert_eq!(metadata.get(key).map(String::as_str), Some(value), "{key}");
    }
    let program = std::fs::read_to_string(at("model.py")).unwrap();
    assert!(program.contains("with_name(\"run.encoder.safetensors\")"), "{program}");
    assert!(encoder.contains_key("layer2.0.downsample.1.running_var"));
    assert!(
        encoder.iter().all(|(name, values)| checkpoint[&format!("backbone.{name}")] == *values)
    );

    // The best weights' ONNX is the best weights'.
    let output = export("onnx", &["--checkpoint", "best", "--out", "best.onnx"]);
    assert!(output.status.success(), "{}", said(&output));
    let config = ResNetConfig {
        architecture: Architecture::ResNet18,
        stem: Stem::Cifar,
        width: 2,
        precision: Precision::F32,
    };
    let best = imported(&run_folder.join("checkpoints/best.safetensors"), &config);
    let (_, of_best) = state::read_file(&run_folder.join("checkpoints/best.safetensors")).unwrap();
    let about = metadata.into_iter().chain([
        ("checkpoint".to_owned(), "best".to_owned()),
        ("step".to_owned(), of_best["step"].clone()),
    ]);
    let expected = onnx::model(&best, 16, &about.collect());
    assert_eq!(std::fs::read(at("best.onnx")).unwrap(), expected);

    let again = export("safetensors", &[]);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    assert!(said(&again).contains("run.safetensors exists already"), "{}", said(&again));
    assert!(export("safetensors", &["--overwrite"]).status.success());
    // The program beside weights is not overwritten either.
    let again = export("pytorch-names", &["--out", "other.safetensors"]);
    assert!(again.status.code() == Some(2) && said(&again).contains("model.py exists already"));
    assert!(!at("other.safetensors").exists());
    // Folders are made.
    assert!(export("onnx", &["--out", "new/folder/run.onnx"]).status.success());
    assert!(at("new/folder/run.onnx").is_file());

    // Weights that diverged are of no use to anybody.
    let mut diverged = checkpoint.clone();
    diverged.get_mut("backbone.bn1.bias").unwrap().values[1] = f32::NAN;
    let step = BTreeMap::from([("step".to_owned(), "24".to_owned())]);
    let last = run_folder.join("checkpoints/last.safetensors");
    state::write_file(&last, &diverged, &step).unwrap();
    for format in ["safetensors", "pytorch-names", "onnx"] {
        let output = export(format, &["--overwrite"]);
        assert_eq!(output.status.code(), Some(1), "{format}: {}", said(&output));
        for word in ["last.safetensors", "bn1.bias holds NaN", "--checkpoint best"] {
            assert!(said(&output).contains(word), "{format}: {}", said(&output));
        }
    }
    assert_eq!(export("torchscript", &[]).status.code(), Some(2));
}

#[test]
fn training_starts_from_the_weights_given() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("start.safetensors");
    let config = ResNetConfig {
        architecture: Architecture::ResNet18,
        stem: Stem::Cifar,
        width: 2,
        precision: Precision::F32,
    };
    let start = state::read(&shaken(config, 3));
    state::write_file(&file, &start, &BTreeMap::new()).unwrap();
    let pretrain = |out: &str, more: &[&str]| {
        let mut args = small("pretrain", &folder.path().join(out));
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        run(args)
    };
    let init = ["--init", file.to_str().unwrap()];

    // So low a rate moves no weight by more than a thousandth, and statistics towards the images by
    // a fraction.
    let output = pretrain("a", &[&init[..], &["--lr", "1e-6"]].concat());
    assert!(output.status.success() && said(&output).contains("100  matched"), "{}", said(&output));
    let (trained, _) =
        state::read_file(&folder.path().join("a/checkpoints/last.safetensors")).unwrap();
    for (name, values) in start.iter().filter(|(name, _)| !name.contains("running")) {
        let moved = values.values.iter().zip(&trained[&format!("backbone.{name}")].values);
        assert!(moved.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-3, "{name}");
    }

    // A slow copy starts there too: at such a rate nothing of it has moved.
    let output = pretrain("slow", &[&init[..], &["--lr", "1e-6", "--method", "byol"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let (trained, _) =
        state::read_file(&folder.path().join("slow/checkpoints/last.safetensors")).unwrap();
    for (name, values) in start.iter().filter(|(name, _)| !name.contains("running")) {
        let moved = values.values.iter().zip(&trained[&format!("momentum.backbone.{name}")].values);
        assert!(moved.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) < 1e-3, "{name}");
    }

    // Without the weights it was given, or with others, the run neither starts anew nor is measured
    // beside them.
    let given = folder.path().join("a/checkpoints/init.safetensors");
    let eval = || run(["eval".to_owned(), folder.path().join("a").display().to_string()]);
    std::fs::copy(folder.path().join("a/checkpoints/last.safetensors"), &given).unwrap();
    assert!(
        eval().status.code() == Some(1) && said(&eval()).contains("not the weights"),
        "{}",
        said(&eval())
    );
    std::fs::remove_file(&given).unwrap();
    assert!(
        eval().status.code() == Some(1) && said(&eval()).contains("init.safetensors"),
        "{}",
        said(&eval())
    );

    // What does not fit stops before anything is trained, with the options that would fit; unless
    // told otherwise.
    let wrong = [&init[..], &["--stem", "imagenet"]].concat();
    let output = pretrain("b", &wrong);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let said_so = said(&output);
    assert!(
        said_so.contains("conv1.weight (file [2, 3, 3, 3], encoder [2, 3, 7, 7])"),
        "{said_so}"
    );
    assert!(said_so.contains("it fits --encoder resnet18 --stem cifar --width 2, or"), "{said_so}");
    assert!(!folder.path().join("b/config.toml").exists());
    let output = pretrain("b", &[&wrong[..], &["--init-partial"]].concat());
    assert!(output.status.success() && said(&output).contains("99  matched"), "{}", said(&output));
    let wider = folder.path().join("wider.safetensors");
    state::write_file(
        &wider,
        &state::read(&random(ResNetConfig { width: 3, ..config }, 3)),
        &BTreeMap::new(),
    )
    .unwrap();
    let nothing = pretrain("c", &["--init", wider.to_str().unwrap(), "--init-partial"]);
    assert!(
        nothing.status.code() == Some(2) && said(&nothing).contains("nothing in it fits"),
        "{}",
        said(&nothing)
    );
}

#[test]
fn features_are_those_of_other_libraries() {
    let Some(python) = std::env::var_os("SELFSAME_PYTHON") else {
        // To the stream itself, since what a passing test prints is not shown.
        writeln!(
            std::io::stderr(),
            "skipped: SELFSAME_PYTHON names no Python with torch, lightly and onnxruntime"
        )
        .unwrap();
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);

    // What Python needs: ONNX files, and labelled images.
    let mut models = BTreeMap::new();
    for architecture in [Architecture::ResNet18, Architecture::ResNet34, Architecture::ResNet50] {
        for (stem, size) in [(Stem::Cifar, 32), (Stem::ImageNet, 64)] {
            let config = ResNetConfig { architecture, stem, width: 8, precision: Precision::F32 };
            models.insert(format!("{architecture:?}-{stem:?}"), (shaken(config, 9), size));
        }
    }
    let mlp = MlpConfig { width: 48, image_size: 32 };
    models.insert("mlp".to_owned(), (shaken(mlp, 9), 32));
    let full = ResNetConfig {
        architecture: Architecture::ResNet18,
        stem: Stem::ImageNet,
        width: 64,
        precision: Precision::F32,
    };
    let ours = shaken(full, 9);
    state::write_file(&at("ours.safetensors"), &state::read(&ours), &BTreeMap::new()).unwrap();
    models.insert("ResNet18-as-published".to_owned(), (ours.clone(), 224));
    for (name, (encoder, size)) in &models {
        let file = onnx::model(encoder, *size, &BTreeMap::new());
        std::fs::write(at(&format!("{name}.onnx")), file).unwrap();
    }
    let dataset =
        load("glyphs", &LoadOptions { limit: Some(3000), ..LoadOptions::default() }, &|_, _| ())
            .unwrap();
    let size = dataset.image_size as usize;
    let images = |split: &Split| {
        (0..split.len()).map(|i| split.image(i).pixels().to_vec()).collect::<Vec<_>>()
    };
    let (train, test) = (images(&dataset.train), images(&dataset.test));
    std::fs::write(at("train.bin"), train.concat()).unwrap();
    std::fs::write(at("test.bin"), test.concat()).unwrap();
    let labels = dataset.train.labels().unwrap();
    let width = 8;
    let cases = json!({
        "image_size": size, "classes": dataset.classes.len(), "train_labels": labels, "width": width, "steps": 200,
        "onnx": models.iter().map(|(name, (_, size))| (name.clone(), *size)).collect::<BTreeMap<_, usize>>(),
    });
    std::fs::write(at("cases.json"), cases.to_string()).unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nn/tests/fixtures/reference.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let answer: serde_json::Value =
        serde_json::from_slice(&std::fs::read(at("answer.json")).unwrap()).unwrap();

    // The bound that the formats promise; what f32 leaves open is some 1e-6.
    let bound = 1e-4;
    let found = features(&imported(&at("resnet18.pth"), &full), &pixels(4, 224), 224);
    assert!(difference("torchvision's ResNet-18", &found, &answer["torchvision"]) < bound);
    let found = features(&ours, &pixels(4, 224), 224);
    assert!(difference("our ResNet-18 in torchvision", &found, &answer["ours"]) < bound);
    for (name, (encoder, size)) in &models {
        let found = features(encoder, &pixels(3, *size), *size);
        assert!(
            difference(&format!("{name} in onnxruntime"), &found, &answer["onnx"][name]) < bound
        );
    }

    let truth = dataset.test.labels().unwrap();
    for (name, stem) in [("lightly", Stem::Cifar), ("numbered", Stem::ImageNet)] {
        let config = ResNetConfig {
            architecture: Architecture::ResNet18,
            stem,
            width,
            precision: Precision::F32,
        };
        let encoder = imported(&at(&format!("{name}.ckpt")), &config);
        let [bank, queries] = [&train, &test].map(|images| features(&encoder, images, size));
        let options = knn::KnnOptions { k: 200, temperature: 0.1 };
        let ours = knn::classify(&bank, labels, dataset.classes.len(), &queries, &options).unwrap();
        let theirs: Vec<u32> = serde_json::from_value(answer["knn"][name].clone()).unwrap();
        let agreeing = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours == theirs).count();
        let [ours, theirs] = [ours, theirs].map(|predicted| accuracy(&predicted, truth).unwrap());
        println!(
            "{name}: kNN accuracy {ours:.4} beside lightly's {theirs:.4}; {agreeing} of {} agree",
            truth.len()
        );
        // Two classes of almost equal votes may change places by the rounding of features, in one
        // image of a thousand.
        assert!(
            agreeing + 2 >= truth.len() && (ours - theirs).abs() <= 2.0 / truth.len() as f64,
            "{name}"
        );
    }
}
