//! Measures steps of training, and the embedding of images.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use selfsame_augment::Isa;
use selfsame_data::{Dataset, Image};
use selfsame_methods::MethodConfig;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Precision, device};
use selfsame_train::{Config, DataConfig, Plan, TrainConfig, pretrain, recipe};
use serde::Serialize;
use serde_json::Value;

use super::median;
use crate::encoder::EncoderKind;
use crate::pretrain::{PretrainOptions, Settings};
use crate::{Error, Progress};

/// Number of uncounted steps at the start: they allocate the memory and warm up.
const WARM_UP: usize = 2;
/// Number of rounds of embedding. Their median counts.
const ROUNDS: usize = 5;

/// The encoder, and the images for it.
#[derive(Clone, Debug)]
pub struct EncoderOptions {
    /// Images, as [`crate::load`] takes them.
    pub data: String,
    /// Side to which images are resized, in pixels. By default, images keep their own size up to 96
    /// and are otherwise resized to 64.
    pub image_size: Option<u32>,
    /// Largest shorter side of what crops are drawn from, in pixels. By default: twice the side of
    /// the images.
    pub source_size: Option<u32>,
    /// The encoder.
    pub encoder: EncoderKind,
    /// Number of channels in the encoder's first stage, or of units in its hidden layers.
    pub width: usize,
    /// Number format in which activations are stored. By default: whichever is faster on the
    /// device.
    pub precision: Option<Precision>,
    /// Device to compute on.
    pub device: String,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self {
            data: "glyphs".to_owned(),
            image_size: None,
            source_size: None,
            encoder: EncoderKind::ResNet18,
            width: 64,
            precision: None,
            device: "flex".to_owned(),
        }
    }
}

impl EncoderOptions {
    /// Loads the images and fits the encoder to their size.
    pub(super) fn load(
        &self,
        progress: &mut dyn Progress,
    ) -> Result<(Dataset, EncoderConfig), Error> {
        let options = PretrainOptions {
            encoder: Some(self.encoder),
            width: Some(self.width),
            precision: self.precision,
            device: self.device.clone(),
            image_size: self.image_size,
            source_size: self.source_size,
            ..PretrainOptions::default()
        };
        let settings = Settings::of(&options)?;
        let dataset = crate::load(&self.data, &options.load_options(None), progress)?;
        let plan = settings.plan(&dataset)?;
        Ok((dataset, plan.encoder))
    }

    /// Describes what is measured.
    pub(super) fn subject(&self, config: &EncoderConfig, image_size: u32) -> String {
        let Self { encoder, width, device, .. } = self;
        let (precision, isa) = (config.precision(), Isa::best());
        let pixels = format!("{image_size}×{image_size} pixels");
        format!("{encoder:?} of width {width}, {pixels}, {precision}, {isa} on {device}")
    }
}

/// The training to measure.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// The encoder, and the images for it.
    pub encoder: EncoderOptions,
    /// Number of images per step, each in as many views as the method takes.
    pub batch: usize,
    /// The method.
    pub method: String,
    /// The policy that draws the views, as [`crate::policy`] reads it.
    pub augment: String,
    /// Number of counted steps. Their median counts; two uncounted steps come before.
    pub steps: usize,
    /// Another program to compare with.
    pub peer: Option<Peer>,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            encoder: EncoderOptions::default(),
            batch: 64,
            method: "simclr".to_owned(),
            augment: "simclr".to_owned(),
            steps: 10,
            peer: None,
        }
    }
}

/// A Python script that trains the same encoder. It takes `--batch` (images), `--width` and
/// `--steps`, and prints one line of JSON with `views_per_second`.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The script.
    pub script: PathBuf,
    /// The Python interpreter that runs the script.
    pub python: PathBuf,
    /// Further arguments for the script.
    pub args: Vec<String>,
}

/// Speed of training.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "work", rename = "train")]
pub struct TrainBench {
    /// The method.
    pub method: String,
    /// Number of views trained on per second.
    pub views_per_second: f64,
    /// Median duration of a step, in seconds.
    pub seconds_per_step: f64,
    /// Number of views per step.
    pub views: usize,
    /// Number of images per step.
    pub batch: usize,
    /// Number of counted steps. Their median counts.
    pub steps: usize,
    /// The policy.
    pub augment: String,
    /// The encoder's architecture.
    pub encoder: String,
    /// Number of channels in the encoder's first stage.
    pub width: usize,
    /// Side of the images, in pixels.
    pub image_size: u32,
    /// Largest shorter side of what crops were drawn from, in pixels. `None` if it was the images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_size: Option<u32>,
    /// Number format in which activations were stored.
    pub precision: Precision,
    /// Device that computed.
    pub device: String,
    /// The instruction set.
    pub isa: String,
    /// Number of threads.
    pub threads: usize,
    /// The images.
    pub data: String,
    /// The peer's output before our steps and after them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<[Value; 2]>,
    /// Our rate divided by the mean of the peer's two rates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Description of what was measured.
    #[serde(skip)]
    pub subject: String,
}

impl TrainBench {
    /// Returns the peer's views per second, before our steps and after them.
    pub fn peer_rates(&self) -> Option<[f64; 2]> {
        Some(self.peer.as_ref()?.each_ref().map(rate_of))
    }
}

/// Measures steps of training as [`pretrain`](crate::train::pretrain) takes them, in a temporary
/// folder that is then deleted.
///
/// # Errors
/// If the options make no sense, if the images cannot be read, or if the peer fails.
pub fn train(options: &TrainOptions, progress: &mut dyn Progress) -> Result<TrainBench, Error> {
    let TrainOptions { batch, steps, .. } = *options;
    if steps == 0 {
        return Err(Error::option("steps", steps, "at least one step is needed"));
    }
    if batch < 2 {
        return Err(Error::option("batch", batch, "a step needs at least two images"));
    }
    if let Some(peer) = options.peer.as_ref().filter(|peer| !peer.script.is_file()) {
        return Err(Error::NoPeer { script: peer.script.clone() });
    }
    let (dataset, encoder) = options.encoder.load(progress)?;
    check_batch(batch, &dataset)?;
    let plan = endless_plan(options, encoder, &dataset)?;
    let views = plan.method.method().views() * batch;
    let ask = || options.peer.as_ref().map(|peer| peer.run(options)).transpose();
    // Ask the peer before and after our steps, to notice if the machine becomes slower meanwhile.
    let before = ask()?;
    let (seconds, _) = step_time(&plan, &dataset, &options.encoder.device, steps)?;
    let after = ask()?;
    let rate = views as f64 / seconds;
    let peer = before.zip(after).map(|(before, after)| [before, after]);
    let ratio = peer.as_ref().map(|peer| {
        let [before, after] = peer.each_ref().map(rate_of);
        rate / (0.5 * (before + after))
    });
    Ok(TrainBench {
        method: options.method.clone(),
        views_per_second: rate,
        seconds_per_step: seconds,
        views,
        batch,
        steps,
        augment: options.augment.clone(),
        encoder: encoder.name().to_owned(),
        width: encoder.width(),
        image_size: dataset.image_size,
        source_size: dataset.larger_source(),
        precision: encoder.precision(),
        device: options.encoder.device.clone(),
        isa: Isa::best().name().to_owned(),
        threads: rayon::current_num_threads(),
        data: options.encoder.data.clone(),
        subject: options.encoder.subject(&encoder, dataset.image_size),
        peer,
        ratio,
    })
}

/// Refuses a batch with more images than the training split has.
pub(super) fn check_batch(batch: usize, dataset: &Dataset) -> Result<(), Error> {
    match dataset.train.len() {
        images if images < batch => {
            let cause = format!("{} has {images} training images", dataset.name);
            Err(Error::option("batch", batch, cause))
        }
        _ => Ok(()),
    }
}

/// Returns a plan for training that is longer than any bench.
pub(super) fn endless_plan(
    options: &TrainOptions,
    encoder: EncoderConfig,
    images: &Dataset,
) -> Result<Plan, Error> {
    let method = MethodConfig::by_name(&options.method, encoder.dim())
        .ok_or_else(|| Error::option("method", &options.method, "unknown"))?;
    let sgd = recipe("authors", "simclr").expect("the authors trained it").train;
    let source = options.encoder.data.clone();
    let config = Config {
        seed: 0,
        init: None,
        data: DataConfig {
            source,
            split_seed: None,
            image_size: images.image_size,
            source_size: images.larger_source(),
            limit: None,
            labels: None,
            classes: None,
            exif: Default::default(),
        },
        encoder,
        method,
        train: TrainConfig { epochs: 1_000_000, batch: options.batch, learning_rate: 1e-3, ..sgd },
        augment: crate::policy(&options.augment)?,
    };
    Ok(config.check()?)
}

/// Measures the seconds per step, as the median of `count` steps. Also returns the number of steps
/// of the whole training run.
pub fn step_time(
    plan: &Plan,
    dataset: &Dataset,
    on: &str,
    count: usize,
) -> Result<(f64, u64), Error> {
    let device = device::by_name(on)?;
    let folder = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir()))?;
    let checkpoints = folder.path().join("checkpoints");
    std::fs::create_dir(&checkpoints).map_err(Error::file(&checkpoints))?;
    let stop = AtomicBool::new(false);
    let (mut last, mut times) = (Instant::now(), Vec::with_capacity(WARM_UP + count));
    let mut steps = 0;
    pretrain(plan, dataset, &device, folder.path(), Duration::MAX, &stop, &mut |step| {
        steps = step.steps;
        times.push(last.elapsed().as_secs_f64());
        last = Instant::now();
        stop.store(times.len() >= WARM_UP + count, Ordering::Relaxed);
    })?;
    // A training run can have fewer steps than the bench asks for.
    Ok((median(times.split_off(WARM_UP.min(times.len() - 1))), steps))
}

impl Peer {
    /// Runs the script and returns what it prints.
    fn run(&self, options: &TrainOptions) -> Result<Value, Error> {
        let failed = |cause: String| Error::Peer { script: self.script.clone(), cause };
        let settings = [
            ("--batch", options.batch),
            ("--width", options.encoder.width),
            ("--steps", options.steps),
        ];
        let mut command = Command::new(&self.python);
        command.arg(&self.script);
        for (name, value) in settings {
            command.arg(name).arg(value.to_string());
        }
        let output = command.args(&self.args).output();
        let output = output.map_err(|e| failed(format!("{}: {e}", self.python.display())))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            let last = errors.lines().last().unwrap_or("without a word");
            return Err(failed(format!("it failed: {last}")));
        }
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let record = printed.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        record
            .filter(|record: &Value| record["views_per_second"].is_number())
            .ok_or_else(|| failed("it printed no line of JSON with `views_per_second`".to_owned()))
    }
}

/// Returns the views per second that a peer printed.
fn rate_of(peer: &Value) -> f64 {
    peer["views_per_second"].as_f64().unwrap_or(f64::NAN)
}

/// The images to embed.
#[derive(Clone, Debug)]
pub struct EmbedOptions {
    /// The encoder, and the images for it.
    pub encoder: EncoderOptions,
    /// Number of images to embed. A smaller set is embedded several times.
    pub images: usize,
}

impl Default for EmbedOptions {
    fn default() -> Self {
        Self { encoder: EncoderOptions::default(), images: 2000 }
    }
}

/// Speed of embedding images.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "work", rename = "embed")]
pub struct EmbedBench {
    /// Number of images embedded per second.
    pub images_per_second: f64,
    /// Number of images per round.
    pub images: usize,
    /// Number of channels in the encoder's first stage.
    pub width: usize,
    /// Number format in which activations were stored.
    pub precision: Precision,
    /// The instruction set.
    pub isa: String,
    /// Number of threads.
    pub threads: usize,
    /// The images.
    pub data: String,
    /// Description of what was measured.
    #[serde(skip)]
    pub subject: String,
}

/// Measures how fast a random encoder embeds images, as embedding and every measure of a run do.
///
/// # Errors
/// If the options make no sense, or if the images cannot be read.
pub fn embed(options: &EmbedOptions, progress: &mut dyn Progress) -> Result<EmbedBench, Error> {
    let (dataset, config) = options.encoder.load(progress)?;
    let split = &dataset.train;
    if options.images == 0 || split.is_empty() {
        return Err(Error::option("images", options.images, "at least one image is needed"));
    }
    let device = device::by_name(&options.encoder.device)?;
    let encoder = config.init(&mut Init::new(0, &device));
    let images: Vec<Image<'_>> =
        (0..options.images).map(|i| split.image(i % split.len())).collect();
    let mut rates = Vec::with_capacity(ROUNDS);
    for round in 0..=ROUNDS {
        let start = Instant::now();
        let embedded = selfsame_eval::embed(&encoder, &images, &device, &mut |_| ())?;
        std::hint::black_box(embedded);
        if round > 0 {
            rates.push(options.images as f64 / start.elapsed().as_secs_f64());
        }
    }
    Ok(EmbedBench {
        images_per_second: median(rates),
        images: options.images,
        width: config.width(),
        precision: config.precision(),
        isa: Isa::best().name().to_owned(),
        threads: rayon::current_num_threads(),
        data: options.encoder.data.clone(),
        subject: options.encoder.subject(&config, dataset.image_size),
    })
}
