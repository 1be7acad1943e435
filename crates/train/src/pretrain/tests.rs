//! Tests of the training loop: methods with several objectives, killed and resumed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use selfsame_data::{Exif, LoadOptions, load};
use selfsame_methods::MethodConfig;
use selfsame_nn::{Architecture, Precision, ResNetConfig, Stem};

use super::*;
use crate::config::{Config, DataConfig, OptimizerKind, TrainConfig};
use crate::toys::{Adversarial, Autoencoder, SIDE};

fn plan(optimizer: OptimizerKind, microbatch: Option<usize>) -> Plan {
    let encoder = ResNetConfig {
        architecture: Architecture::ResNet18,
        stem: Stem::Cifar,
        width: 2,
        precision: Precision::F32,
    };
    let data = DataConfig {
        source: "glyphs".into(),
        split_seed: None,
        image_size: SIDE as u32,
        source_size: None,
        limit: None,
        labels: None,
        classes: None,
        exif: Exif::Turn,
    };
    let train = TrainConfig {
        epochs: 3,
        batch: 10,
        learning_rate: 0.01,
        warmup_epochs: 0.0,
        weight_decay: 1e-4,
        clip_norm: None,
        knn_every: 2,
        knn_k: None,
        optimizer,
        trust: None,
        trust_capped: false,
        microbatch,
        epsilon: 0.5,
    };
    // The plan names a method of the library. The tests train another method in its place.
    let method = MethodConfig::by_name("simclr", 16).unwrap();
    let augment = "abcde".parse().unwrap();
    let encoder = encoder.into();
    Config { seed: 3, init: None, data, encoder, method, train, augment }.check().unwrap()
}

fn dataset() -> Dataset {
    let options =
        LoadOptions { image_size: Some(SIDE as u32), limit: Some(40), ..LoadOptions::default() };
    load("glyphs", &options, &|_, _| ()).unwrap()
}

/// Returns the checkpoint of a run, with its time set to 0.
fn saved(run: &Path) -> Checkpoint {
    Checkpoint { seconds: 0.0, ..Checkpoint::load(run).unwrap().unwrap() }
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("checkpoints")).unwrap();
    folder
}

#[test]
fn every_objective_trains_its_parts_and_resumes_to_the_byte() {
    let dataset = dataset();
    let methods: [(&dyn Method, &[&str], &[&str]); 2] = [
        (&Adversarial, &["backbone", "generator", "head"], &["discriminator", "generator"]),
        (&Autoencoder, &["backbone", "decoder", "reader"], &["reconstruction", "reading"]),
    ];
    let rules = [(OptimizerKind::AdamW, None), (OptimizerKind::Sgd, Some(4))];
    for ((method, parts, terms), (optimizer, microbatch)) in
        methods.into_iter().flat_map(|method| rules.map(|rule| (method, rule)))
    {
        let plan = plan(optimizer, microbatch);
        let device = Device::flex();
        // Trains until `stop_at` steps are done. At step `kill_at`, the process is killed before it
        // saves that step.
        let train = |run: &Path, stop_at: u64, kill_at: u64| {
            let job = Job {
                method,
                plan: &plan,
                dataset: &dataset,
                device: &device,
                run,
                save_every: Duration::MAX,
            };
            let stop = AtomicBool::new(false);
            super::train(&job, &stop, &mut |progress| {
                stop.store(progress.step >= stop_at, Ordering::Relaxed);
                assert!(progress.step < kill_at, "killed");
            })
            .unwrap()
        };
        let [whole, broken] = [folder(), folder()];
        let outcome = train(whole.path(), u64::MAX, u64::MAX);
        assert!(outcome.finished() && outcome.steps > 7, "{outcome:?}");

        train(broken.path(), 2, u64::MAX);
        let killed = catch_unwind(AssertUnwindSafe(|| train(broken.path(), u64::MAX, 5)));
        assert!(killed.is_err());
        assert!(saved(broken.path()).step < 5);
        train(broken.path(), u64::MAX, u64::MAX);
        assert_eq!(saved(broken.path()), saved(whole.path()));
        let [one, other] = [&whole, &broken]
            .map(|run| std::fs::read(Which::Last.path(run.path())).expect("weights for use"));
        assert_eq!(one, other);

        // Every part has moved, and the moments of every part are saved.
        let last = saved(whole.path());
        let initial = method.networks(&plan.encoder, &mut Init::new(plan.seed, &device));
        for part in parts {
            let of_part = |name: &str| name.split('.').next() == Some(part);
            let initial = state::read(&initial);
            let mut weights = initial.iter().filter(|(name, _)| of_part(name));
            assert!(weights.any(|(name, values)| last.weights[name] != *values), "{part}");
            let moment =
                |name: &String| name.split_once('.').is_some_and(|(_, name)| of_part(name));
            assert!(last.moments.keys().any(moment), "{part} has no moments");
        }
        let (_, points) = Logs::open(whole.path(), outcome.step).unwrap();
        for term in terms.iter().map(|term| format!("loss_{term}")) {
            assert!(points.iter().all(|point| point.watched[&term].is_finite()), "{term}");
        }
    }
}

/// The encoder is measured at the end of epoch 2, which is step 6 of 9.
#[test]
fn a_resumed_run_still_knows_its_latest_measurement() {
    let (plan, dataset, folder) = (plan(OptimizerKind::Sgd, None), dataset(), folder());
    let (device, stop) = (Device::flex(), AtomicBool::new(false));
    let mut shown = Vec::new();
    for last in [7, 8] {
        let job = Job {
            method: &Autoencoder,
            plan: &plan,
            dataset: &dataset,
            device: &device,
            run: folder.path(),
            save_every: Duration::MAX,
        };
        stop.store(false, Ordering::Relaxed);
        super::train(&job, &stop, &mut |progress| {
            stop.store(progress.step == last, Ordering::Relaxed);
            shown.push(progress.knn);
        })
        .unwrap();
    }
    assert_eq!(shown.len(), 8);
    assert!(shown[4].is_none() && shown[5].is_some(), "{shown:?}");
    assert!(shown[6..].iter().all(|knn| *knn == shown[5]), "{shown:?}");
}

#[test]
fn representations_do_not_depend_on_the_microbatch() {
    let device = Device::flex();
    let encoder = plan(OptimizerKind::Sgd, None).encoder.init(&mut Init::new(1, &device)).valid();
    let pixels: Vec<u8> = (0..10 * SIDE * SIDE * 3).map(|i| (i * i * 7 / 11 % 256) as u8).collect();
    let images = pixels::normalise(&pixels, SIDE, &device);
    let [whole, parts] = [None, Some(4)].map(|size| represent(&encoder, images.clone(), size));
    let apart: f64 = (whole.clone() - parts).abs().max().into_scalar();
    // Products may be summed in another order for another number of rows.
    assert!(apart <= 1e-5 * whole.abs().max().into_scalar::<f64>(), "{apart}");
}

/// A method with two objectives that train the same part.
struct Overlapping;

impl Method for Overlapping {
    fn check(&self) -> Result<(), selfsame_methods::ConfigError> {
        Ok(())
    }

    fn networks(&self, encoder: &selfsame_nn::EncoderConfig, init: &mut Init<'_>) -> Networks {
        Autoencoder.networks(encoder, init)
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        [Autoencoder.objectives(), Autoencoder.objectives()].into_iter().flatten().collect()
    }
}

/// A method whose only objective leaves the parts of the other untrained.
struct Halfway;

impl Method for Halfway {
    fn check(&self) -> Result<(), selfsame_methods::ConfigError> {
        Ok(())
    }

    fn networks(&self, encoder: &selfsame_nn::EncoderConfig, init: &mut Init<'_>) -> Networks {
        Adversarial.networks(encoder, init)
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        Adversarial.objectives().into_iter().take(1).collect()
    }
}

#[test]
#[should_panic(expected = "0 objectives train the part \"generator\"")]
fn every_part_has_an_objective() {
    let device = Device::flex().autodiff();
    let networks =
        Halfway.networks(&plan(OptimizerKind::Sgd, None).encoder, &mut Init::new(1, &device));
    check_objectives(&Halfway.objectives(), &networks);
}

#[test]
#[should_panic(expected = "2 objectives train the part \"backbone\"")]
fn no_part_has_two_objectives() {
    let device = Device::flex().autodiff();
    let networks =
        Overlapping.networks(&plan(OptimizerKind::Sgd, None).encoder, &mut Init::new(1, &device));
    check_objectives(&Overlapping.objectives(), &networks);
}

#[test]
fn neighbours_during_training_follow_the_size_of_a_class() {
    let k = |images, classes| super::online_k(&vec![0; images], classes);
    assert_eq!([k(5000, 10), k(1200, 10), k(30, 10), k(5000, 2), k(5, 10)], [50, 12, 1, 200, 1]);
}
