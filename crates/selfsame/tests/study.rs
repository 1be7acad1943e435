//! The library's way from images to a measured encoder, without the program.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use selfsame::data::{Dataset, Split, glyph_factors, glyph_pixels};
use selfsame::methods::{MethodConfig, SimSiam};
use selfsame::nn::layers::Init;
use selfsame::nn::{EncoderConfig, MlpConfig, Stem};
use selfsame::{
    CertifyInput, CertifyOptions, EmbedOptions, EncoderKind, Error, EvaluateOptions,
    ForecastOptions, Progress, ResumeOptions, Run, StudyOptions, ViewsOptions,
};

const SIZE: u32 = 16;

/// Glyphs as anyone's own images would come: bytes and labels.
fn split(range: std::ops::Range<u64>) -> Split {
    let pixels = range.clone().flat_map(|item| glyph_pixels(0, item, SIZE)).collect();
    let labels = range.map(|item| (item % 10) as u32).collect();
    Split::new(SIZE, pixels, Some(labels)).unwrap()
}

fn images() -> Dataset {
    assert_eq!(u64::from(glyph_factors(0, 13).shape), 3, "labels go round");
    Dataset {
        name: "mine".into(),
        classes: (0..10).map(|class| format!("class {class}")).collect(),
        image_size: SIZE,
        train: split(0..60),
        validation: split(60..80),
        test: split(80..120),
        skipped: Vec::new(),
        left_alone: Vec::new(),
        lost: Vec::new(),
        passed_over: 0,
        notes: Vec::new(),
    }
}

fn small(out: &Path, images: &Arc<Dataset>) -> StudyOptions {
    StudyOptions {
        data: Arc::clone(images).into(),
        width: Some(2),
        batch: Some(12),
        epochs: Some(4),
        out: Some(out.to_owned()),
        ..StudyOptions::default()
    }
}

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("checkpoints/last.safetensors")).unwrap()
}

/// Asks to stop once it has heard of so many steps.
struct StopAfter {
    steps: u64,
    heard: Cell<u64>,
}

impl Progress for StopAfter {
    fn advance(&mut self, unit: &str, done: u64, _: u64, _: &str) {
        if unit == "steps" {
            self.heard.set(done);
        }
    }

    fn stop(&self) -> bool {
        self.heard.get() >= self.steps
    }
}

#[test]
fn images_in_memory_are_studied_evaluated_and_embedded() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let images = Arc::new(images());
    let simsiam = SimSiam { layers: 2, output: 16, bottleneck: 4 };
    let options = StudyOptions {
        method: MethodConfig::SimSiam(simsiam).into(),
        augment: Some("abe".parse().unwrap()),
        stem: Some(Stem::Cifar),
        ..small(&run, &images)
    };
    let study = selfsame::study(&options, &mut ()).unwrap();
    assert!(study.training.record.finished && study.training.report.is_file());
    assert_eq!(study.training.record.method, "simsiam");
    assert_eq!(
        (study.training.record.dataset.name.as_str(), study.evaluation.images),
        ("mine", 40)
    );
    let knn = study.evaluation.trained().unwrap().knn_acc1;
    assert!((0.0..=1.0).contains(&knn), "{knn}");

    // The run's own images are needed again, and only they will do.
    let options = EvaluateOptions { images: Some(images.clone()), ..EvaluateOptions::default() };
    let again = selfsame::evaluate(&run, &options, &mut ()).unwrap();
    assert_eq!(again, study.evaluation);
    let others = Dataset { train: split(1..61), ..self::images() };
    let options = EvaluateOptions { images: Some(others.into()), ..EvaluateOptions::default() };
    let error = selfsame::evaluate(&run, &options, &mut ()).unwrap_err();
    assert!(matches!(error, Error::ImagesChanged { .. }) && error.is_misuse(), "{error}");

    // They are certified, too, and the run's page shows it.
    let options = CertifyOptions {
        images: Some(images.clone()),
        per_class: 2,
        views: 2,
        ..CertifyOptions::default()
    };
    let opened = Run::open(&run).unwrap();
    let record = selfsame::certify(CertifyInput::Run(&opened), &options, &mut ()).unwrap();
    assert_eq!((record.images, &*record.precision), (20, &*study.training.record.precision));
    let page = opened.write_certificate(&record).unwrap();
    drop(opened);
    assert!(std::fs::read_to_string(page).unwrap().contains("id=\"factors\""));
    // A certificate of something else belongs elsewhere.
    let refused = selfsame::write_certificate(&run, &record).unwrap_err();
    assert!(refused.to_string().contains("holds a run"), "{refused}");

    let options = EmbedOptions { data: Some(images.into()), ..EmbedOptions::default() };
    let embedded = selfsame::embed(&run, &options, &mut ()).unwrap();
    assert_eq!((embedded.images.len(), embedded.features.dim()), (120, 16));
    assert_eq!(embedded.images[119].class.as_deref(), Some("class 9"));
}

#[test]
fn a_run_that_was_stopped_and_resumed_has_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
    let images = Arc::new(images());
    selfsame::pretrain(&small(&whole, &images), &mut ()).unwrap();

    let mut stop = StopAfter { steps: 7, heard: Cell::new(0) };
    let error = selfsame::pretrain(&small(&stopped, &images), &mut stop).unwrap_err();
    assert!(matches!(error, Error::Stopped), "{error}");
    assert_eq!(stop.heard.get(), 7, "it stopped at the step at which it was asked to");
    assert!(weights(&stopped) != weights(&whole));
    let options = ResumeOptions { images: Some(images), ..ResumeOptions::default() };
    let resumed = selfsame::resume(&stopped, &options, &mut ()).unwrap();
    assert!(resumed.record.finished);
    assert!(weights(&stopped) == weights(&whole));
}

#[test]
fn options_that_make_no_sense_are_refused_before_images_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let refused = |options: StudyOptions| {
        // Nothing lies there, which nobody gets to see.
        let options = StudyOptions { data: "/nowhere".into(), out: Some(out.clone()), ..options };
        let error = selfsame::study(&options, &mut ()).unwrap_err();
        assert!(error.is_misuse() && !out.exists(), "{error}");
        error.to_string()
    };
    let base = StudyOptions::default;
    for (options, says) in [
        (StudyOptions { epochs: Some(0), ..base() }, "train.epochs = 0"),
        (StudyOptions { image_size: Some(3), ..base() }, "data.image_size = 3"),
        (StudyOptions { width: Some(0), ..base() }, "encoder.width = 0"),
        (StudyOptions { method: "simcrl".into(), ..base() }, "method simcrl"),
        (StudyOptions { temperature: Some(-1.0), ..base() }, "method.temperature = -1"),
        (StudyOptions { device: "abacus".into(), ..base() }, "abacus"),
        (StudyOptions { set: vec!["train.batch=1".into()], ..base() }, "train.batch = 1"),
        (
            StudyOptions { encoder: Some(EncoderKind::Mlp), stem: Some(Stem::Cifar), ..base() },
            "stem cifar",
        ),
    ] {
        let error = refused(options);
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn a_perceptron_is_trained_on_the_size_that_the_images_have() {
    let folder = tempfile::tempdir().unwrap();
    let images = Arc::new(images());
    let options = StudyOptions {
        encoder: Some(EncoderKind::Mlp),
        width: Some(8),
        epochs: Some(1),
        ..small(&folder.path().join("run"), &images)
    };
    let trained = selfsame::pretrain(&options, &mut ()).unwrap();
    let encoder = &trained.record.encoder;
    assert_eq!((encoder.name.as_str(), encoder.dimension), ("mlp", 8));
    let config = std::fs::read_to_string(trained.run.join("config.toml")).unwrap();
    assert!(config.contains("architecture = \"mlp\"\nwidth = 8\nimage_size = 16"), "{config}");
}

#[test]
fn images_in_memory_must_fit_together() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    assert!(Split::new(SIZE, vec![0; 100], None).is_err(), "no whole image");
    assert!(Split::new(2, vec![0; 12], Some(vec![0, 0])).is_err(), "a label too many");
    let mut few = images();
    few.classes.truncate(3);
    let few = Arc::new(few);
    // Whichever verb takes them.
    let policies = selfsame::policies(&["a"]).unwrap();
    let config = EncoderConfig::from(MlpConfig { width: 2, image_size: SIZE as usize });
    let input = CertifyInput::Encoder {
        name: "",
        encoder: &config.init(&mut Init::new(0, &Device::flex())),
        dataset: &few,
        policy: &policies[0].1,
    };
    for result in [
        selfsame::views(&few, &policies, &ViewsOptions::default(), &mut ()).map(drop),
        selfsame::forecast(&few, &policies, &ForecastOptions::default(), &mut ()).map(drop),
        selfsame::certify(input, &CertifyOptions::default(), &mut ()).map(drop),
        selfsame::study(&small(&run, &few), &mut ()).map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(error.is_misuse() && error.to_string().contains("label 3"), "{error}");
    }
    let mixed = Dataset { test: Split::new(8, vec![0; 192], Some(vec![0])).unwrap(), ..images() };
    let error = selfsame::study(&small(&run, &Arc::new(mixed)), &mut ()).unwrap_err();
    assert!(error.to_string().contains("8 pixels"), "{error}");
    let limited = StudyOptions { limit: Some(5), ..small(&run, &Arc::new(images())) };
    assert!(selfsame::study(&limited, &mut ()).is_err(), "images in memory are taken as they are");
}
