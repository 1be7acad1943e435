//! Files from elsewhere: those of `fixtures/reference.py`, other spellings of the same names, and
//! damaged ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use selfsame_nn::import::{self, ImportError};
use selfsame_nn::layers::Init;
use selfsame_nn::state::{self, State, Values};
use selfsame_nn::{
    Architecture, Backbone, EncoderConfig, MlpConfig, Precision, ResNetConfig, Stem, pixels,
};

const RESNET18: ResNetConfig = ResNetConfig {
    architecture: Architecture::ResNet18,
    stem: Stem::ImageNet,
    width: 2,
    precision: Precision::F32,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn encoder(config: &ResNetConfig) -> Backbone {
    EncoderConfig::from(*config).init(&mut Init::new(5, &Device::flex()))
}

/// The bytes that `reference.py` makes by the same rule.
fn images(count: usize, size: usize) -> Vec<u8> {
    (0..(count * size * size * 3) as u64).map(|i| (i * i * 7 / 11 % 256) as u8).collect()
}

/// The features that an imported file gives, and those it should.
fn features(file: &str, network: &str, config: &ResNetConfig, size: usize) -> [Vec<f32>; 2] {
    let import = import::read(&fixture(file)).unwrap();
    assert_eq!((import.encoder(), import.network.as_str()), (Some((*config).into()), network));
    let fresh = encoder(config);
    let fit = import.fit(&fresh);
    assert!(fit.is_whole() && fit.matched.len() == import.state.len(), "{fit}");
    let loaded = state::load(fresh, &import.state).unwrap();
    let found =
        state::to_host(loaded.forward(pixels::normalise(&images(3, size), size, &Device::flex())))
            .values;
    let text = std::fs::read_to_string(fixture("features.json")).unwrap();
    let answers: serde_json::Value = serde_json::from_str(&text).unwrap();
    let name = file.split('.').next().unwrap();
    let expected: Vec<Vec<f32>> = serde_json::from_value(answers[name].clone()).unwrap();
    [found, expected.concat()]
}

#[test]
fn features_are_those_of_the_library_the_file_is_from() {
    let lightly = ResNetConfig { stem: Stem::Cifar, ..RESNET18 };
    for (file, network, config, size) in [
        ("torchvision.pth", "", &RESNET18, 64),
        ("lightly.ckpt", "state_dict.backbone.", &lightly, 32),
    ] {
        let [found, expected] = features(file, network, config, size);
        assert_eq!(found.len(), expected.len());
        assert!(expected.iter().any(|value| *value > 0.3), "features that say something");
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Values near 1 after 18 layers of f32: some 1e-6 is rounding, and a wrong ε or padding
        // moves far more.
        assert!(worst < 1e-5, "{file}: {worst}");
        println!("{file}: largest difference {worst:.1e}");
    }
}

#[test]
fn what_belongs_to_no_encoder_is_listed() {
    assert_eq!(import::read(&fixture("torchvision.pth")).unwrap().others, ["fc.bias", "fc.weight"]);
    assert_eq!(
        import::read(&fixture("lightly.ckpt")).unwrap().others,
        [
            "optimizer_states.0.state.0.momentum_buffer",
            "state_dict.projection_head.layers.bias",
            "state_dict.projection_head.layers.weight"
        ]
    );
}

/// Writes a state under other names, and reads it as an import.
fn renamed(
    state: &State,
    rename: impl Fn(&str) -> Vec<String>,
) -> Result<import::Import, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("renamed.safetensors");
    let names = state
        .iter()
        .flat_map(|(name, values)| rename(name).into_iter().map(|name| (name, values.clone())));
    state::write_file(&path, &names.collect(), &BTreeMap::new()).unwrap();
    import::read(&path)
}

/// `layer1.…` as `4.…`, by the place of the layer in a list of a Sequential's modules.
fn numbered(name: &str, modules: &[&str]) -> String {
    let (layer, rest) = name.split_once('.').unwrap();
    format!("{}.{rest}", modules.iter().position(|module| *module == layer).unwrap())
}

#[test]
fn every_spelling_of_the_names_is_read() {
    let original = state::read(&encoder(&RESNET18));
    let torchvision = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"];
    let without_pool = ["conv1", "bn1", "relu", "layer1", "layer2", "layer3", "layer4", "fc"];
    let functions = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"];
    type Rename<'a> = &'a dyn Fn(&str) -> Vec<String>;
    let spellings: [(&str, Rename<'_>); 9] = [
        ("", &|name| vec![name.to_owned()]),
        ("module.", &|name| vec![format!("module.{name}")]),
        ("backbone.", &|name| {
            vec![format!("backbone.{name}"), format!("momentum_backbone.{name}")]
        }),
        ("encoder.", &|name| vec![format!("encoder.{name}")]),
        ("state_dict.module.encoder_q.", &|name| {
            vec![
                format!("state_dict.module.encoder_q.{name}"),
                format!("state_dict.module.encoder_k.{name}"),
            ]
        }),
        ("module.base_encoder.", &|name| {
            vec![format!("module.base_encoder.{name}"), format!("module.momentum_encoder.{name}")]
        }),
        ("backbone.", &|name| {
            let name = numbered(name, &torchvision);
            vec![format!("backbone.{name}"), format!("backbone_momentum.{name}")]
        }),
        ("f.", &|name| vec![format!("f.{}", numbered(name, &without_pool))]),
        ("backbone.", &|name| {
            vec![format!(
                "backbone.{}",
                numbered(name, &functions).replace("downsample", "shortcut")
            )]
        }),
    ];
    for (case, (network, rename)) in spellings.iter().enumerate() {
        let import = renamed(&original, rename).unwrap();
        assert_eq!((&import.state, import.network.as_str()), (&original, *network), "case {case}");
        // Only where the layers are numbered without a place for it is the ReLU after the stem
        // missing.
        assert_eq!(import.fit(&encoder(&RESNET18)).is_whole(), case != 8, "case {case}");
    }
}

#[test]
fn a_width_of_three_is_no_input() {
    let config = ResNetConfig { width: 3, ..RESNET18 };
    let original = state::read(&encoder(&config));
    assert_eq!(renamed(&original, |name| vec![format!("net.{name}")]).unwrap().network, "net.");
}

#[test]
fn every_encoder_is_recognised() {
    for architecture in [Architecture::ResNet18, Architecture::ResNet34, Architecture::ResNet50] {
        for stem in [Stem::Cifar, Stem::ImageNet] {
            let config = ResNetConfig { architecture, stem, width: 4, precision: Precision::F32 };
            let import =
                renamed(&state::read(&encoder(&config)), |name| vec![name.to_owned()]).unwrap();
            assert_eq!(import.encoder(), Some(config.into()));
        }
    }
}

#[test]
fn the_table_says_what_does_not_fit() {
    let mut import = import::read(&fixture("torchvision.pth")).unwrap();
    import.state.remove("bn1.bias");
    import
        .state
        .insert("layer4.2.conv1.weight".to_owned(), Values { shape: vec![1], values: vec![0.0] });
    let fit = import.fit(&encoder(&ResNetConfig { stem: Stem::Cifar, ..RESNET18 }));
    assert!(!fit.is_whole());
    assert_eq!(
        fit.to_string(),
        "     98  matched
      1  of another shape: conv1.weight (file [2, 3, 7, 7], encoder [2, 3, 3, 3])
      1  missing from the file: bn1.bias
      1  unknown to the encoder: layer4.2.conv1.weight
      2  beside the encoder, ignored: fc.bias, fc.weight
"
    );
}

#[test]
fn a_call_in_a_pickle_is_not_executed() {
    let error = import::read(&fixture("call.pth")).unwrap_err();
    assert!(
        matches!(error, ImportError::NoEncoder { .. } | ImportError::Damaged { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("call.pth"));
    // `executed` is what the command would have written, into the folder of the test.
    assert!(!Path::new("executed").exists());
}

#[test]
fn a_tensor_larger_than_its_file_is_refused() {
    let error = import::read(&fixture("expanded.pth")).unwrap_err();
    assert!(matches!(error, ImportError::TooLarge { claimed: 1_019_215_872, .. }), "{error}");
}

/// Ten kilobytes that become ten megabytes of pickle, and 2.4 GB of values.
#[test]
fn a_pickle_larger_than_its_file_is_refused_before_it_is_read() {
    let mut result = None;
    let memory = allocation_counter::measure(|| result = Some(import::read(&fixture("bomb.pth"))));
    let error = result.unwrap().unwrap_err().to_string();
    assert!(error.contains("bomb.pth") && error.contains("data.pkl is compressed"), "{error}");
    assert!(memory.bytes_max < 64 << 20, "{} bytes", memory.bytes_max);
}

/// The same tensors in solo-learn's checkpoint, which computes something else.
#[test]
fn solo_learns_small_stem_is_not_whole() {
    let config = ResNetConfig { stem: Stem::Cifar, ..RESNET18 };
    for (config, beside, whole) in [
        (config, "classifier.weight", false),
        (config, "momentum_backbone.bn1.weight", false),
        (config, "projection_head.layers.weight", true),
        (RESNET18, "classifier.weight", true),
    ] {
        let mut original = state::read(&encoder(&config));
        let names: Vec<String> = original.keys().cloned().collect();
        original.insert(beside.to_owned(), Values { shape: vec![1], values: vec![0.0] });
        let import = renamed(&original, |name| {
            let backbone = if names.iter().any(|own| own == name) { "backbone." } else { "" };
            vec![format!("state_dict.{backbone}{name}")]
        });
        let fit = import.unwrap().fit(&encoder(&config));
        assert!(fit.tensors_fit() && fit.is_whole() == whole, "{beside}: {fit}");
        assert_eq!(fit.to_string().contains("pads by 2"), !whole, "{fit}");
        assert_eq!(
            fit.to_string().contains("no tensor says"),
            whole && config.stem == Stem::Cifar,
            "{fit}"
        );
    }
}

/// What recognises solo-learn's small stem is the company of its encoder, whatever the prefix.
#[test]
fn solo_learn_is_recognised_by_the_networks_beside_its_encoder() {
    let small = ResNetConfig { stem: Stem::Cifar, ..RESNET18 };
    let both = ["projector.0.weight", "classifier.weight"];
    for (config, encoder_name, beside, theirs) in [
        (small, "state_dict.encoder.", &both[..], true),
        (small, "encoder.", &both, true),
        (small, "backbone.", &both, true),
        (small, "model.module.encoder.", &both, true),
        (small, "state_dict.encoder.", &["momentum_encoder.fc.bias", "classifier.bias"], true),
        // As other programs and selfsame name theirs.
        (small, "state_dict.encoder.", &["classifier.weight"], false),
        (small, "state_dict.encoder.", &["projector.0.weight"], false),
        (small, "backbone.", &["projector.0.weight", "predictor.0.weight"], false),
        (small, "module.encoder_q.", &both, false),
        (small, "", &both, false),
        (RESNET18, "state_dict.encoder.", &both, false),
    ] {
        let parent = encoder_name
            .strip_suffix('.')
            .map_or("", |name| &encoder_name[..name.rfind('.').map_or(0, |dot| dot + 1)]);
        let mut original = state::read(&encoder(&config));
        let own: BTreeSet<String> = original.keys().cloned().collect();
        for name in beside {
            original.insert((*name).to_owned(), Values { shape: vec![1], values: vec![0.0] });
        }
        let import = renamed(&original, |name| {
            let prefix = if own.contains(name) { encoder_name } else { parent };
            vec![format!("{prefix}{name}")]
        });
        let import = import.unwrap();
        assert_eq!(import.pads_by_two, theirs, "{encoder_name} beside {beside:?}");
        assert_eq!(import.network, encoder_name);
    }
}

#[test]
fn a_checkpoint_of_solo_learn_from_2021_is_not_whole() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases/solo-learn-2021.ckpt");
    if !file.exists() {
        println!("skipped: {} is not there", file.display());
        return;
    }
    let import = import::read(&file).unwrap();
    assert!(import.pads_by_two && import.network == "state_dict.encoder.", "{}", import.network);
}

#[test]
fn errors_name_the_file_and_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let stem = |value: f32| {
        State::from([(
            "0.weight".to_owned(),
            Values { shape: vec![1, 3, 1, 1], values: vec![value; 3] },
        )])
    };
    let none = renamed(
        &State::from([("a".to_owned(), Values { shape: vec![1], values: vec![0.0] })]),
        |n| vec![n.into()],
    );
    assert!(matches!(none.unwrap_err(), ImportError::NoEncoder { names, .. } if names == ["a"]));
    let two = renamed(&stem(1.0), |name| vec![format!("left.{name}"), format!("right.{name}")])
        .unwrap_err();
    assert!(two.to_string().contains("several encoders (left., right.); save the one"), "{two}");
    let nan = renamed(&stem(f32::NAN), |name| vec![name.to_owned()]).unwrap_err();
    assert!(nan.to_string().contains("0.weight holds NaN"), "{nan}");
    let missing = import::read(&folder.path().join("none.pth")).unwrap_err();
    assert!(
        matches!(missing, ImportError::Io { .. }) && missing.to_string().contains("none.pth"),
        "{missing}"
    );
    for content in
        [&b""[..], b"PK\x03\x04", b"\xff\xff\xff\xff\xff\xff\xff\xff{", b"not a checkpoint at all"]
    {
        let path = folder.path().join("bad.pth");
        std::fs::write(&path, content).unwrap();
        let error = import::read(&path).unwrap_err();
        assert!(
            matches!(error, ImportError::Damaged { .. }) && error.to_string().contains("bad.pth"),
            "{error}"
        );
    }
}

/// The width of an encoder is that of its first layer, which a small file may hold without the
/// others.
#[test]
fn a_first_layer_alone_is_no_wide_encoder() {
    let wide = |mut state: State, first: &str, shape: &[usize], others: Option<Vec<usize>>| {
        if let Some(shape) = others {
            for values in state.values_mut().filter(|values| values.shape.len() > 1) {
                *values =
                    Values { values: vec![0.0; shape.iter().product()], shape: shape.clone() };
            }
        }
        let values = vec![0.0; shape.iter().product()];
        state.insert(first.to_owned(), Values { shape: shape.to_vec(), values });
        renamed(&state, |name| vec![name.to_owned()]).unwrap().encoder()
    };
    let resnet = || state::read(&encoder(&RESNET18));
    let mlp = EncoderConfig::from(MlpConfig { width: 2, image_size: 1 });
    let mlp = || state::read(&mlp.init(&mut Init::new(5, &Device::flex())));
    assert_eq!(wide(resnet(), "conv1.weight", &[10_000, 3, 3, 3], None), None);
    assert_eq!(wide(resnet(), "conv1.weight", &[10_000, 3, 7, 7], Some(vec![1; 4])), None);
    assert_eq!(wide(mlp(), "layers.0.weight", &[1_000_000, 3], None), None);
    assert_eq!(wide(mlp(), "layers.0.weight", &[2, 12], None).map(|mlp| mlp.dim()), Some(2));
}

/// A hostile checkpoint may be refused or read; it may not end the process, nor take memory that it
/// does not have.
#[test]
fn no_damage_leads_to_a_panic_or_to_much_memory() {
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours.safetensors");
    state::write_file(&ours, &state::read(&encoder(&RESNET18)), &BTreeMap::new()).unwrap();
    for file in [fixture("torchvision.pth"), fixture("lightly.ckpt"), ours] {
        let good = std::fs::read(&file).unwrap();
        let whole = import::read(&file).unwrap().state;
        let name = file.file_name().unwrap().to_str().unwrap();
        let path = folder.path().join(format!("damaged-{name}"));
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        // The names lie first, in a pickle or a header, and a directory last: both are struck
        // often.
        let names = 64..22_000;
        let mut outcomes = BTreeSet::new();
        for round in 0..500 {
            let mut bad = good.clone();
            match round % 5 {
                0 => bad.truncate(random(good.len())),
                1 => bad[random(good.len())] ^= 1 << random(8),
                2 => bad[names.start + random(names.len())] = random(256) as u8,
                3 => {
                    let at = good.len() - 1 - random(good.len() / 8);
                    bad[at] = [0x00, 0x7f, 0xff][random(3)];
                }
                _ => {
                    let (from, to) = (random(good.len() - 64), random(good.len() - 64));
                    bad.copy_within(from..from + 64, to);
                }
            }
            std::fs::write(&path, &bad).unwrap();
            let mut result = None;
            let memory = allocation_counter::measure(|| result = Some(import::read(&path)));
            assert!(memory.bytes_max < 16 << 20, "round {round} took {} bytes", memory.bytes_max);
            match result.unwrap() {
                Ok(import) => {
                    outcomes.insert(if import.state == whole { "whole" } else { "changed" })
                }
                Err(error) => {
                    assert!(error.to_string().contains(name), "{error}");
                    outcomes.insert("refused")
                }
            };
        }
        assert!(outcomes.contains("refused") && outcomes.len() > 1, "{name}: {outcomes:?}");
    }
}
