//! Encoders of files of weights: measured beside a run's, or in place of it.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use selfsame_augment::Policy;
use selfsame_data::Dataset;
use selfsame_eval::{Evaluated, Subject};
use selfsame_nn::Backbone;
use selfsame_nn::layers::Init;
use selfsame_report::predictions::PREDICTIONS_FILE;
use selfsame_report::record::{
    EVAL_FILE, Evaluation, MAP_FILE, PAGE_FILE, RUN_FILE, Representation, RunRecord,
};
use selfsame_report::{read, render, write_atomic, write_json};

use super::{check_knn_k, measure, write};
use crate::images::{self, note_skipped};
use crate::run::{BURN, check_folder, check_new, check_own, encoder_record, machine, now};
use crate::{Error, Loaded, Progress, WeightsOptions, read_encoder};

/// Encoders to be measured beside another one: file, name and encoder.
#[derive(Default)]
pub(crate) struct Others(Vec<(PathBuf, String, Loaded)>);

impl Others {
    /// Reads the encoders. Each has the name of its file or, if two files have one name, its path.
    ///
    /// # Errors
    /// If a file holds no encoder, or if it is given twice.
    pub(crate) fn read(
        files: &[PathBuf],
        device: &Device,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let name = |file: &Path| file.file_stem().map(|name| name.to_string_lossy().into_owned());
        let mut others = Vec::new();
        for (at, file) in files.iter().enumerate() {
            if files[..at].contains(file) {
                return Err(Error::option("against", file.display(), "it is given twice"));
            }
            let alone = files.iter().filter(|other| name(other) == name(file)).count() == 1;
            let known = name(file).filter(|_| alone).unwrap_or_else(|| file.display().to_string());
            let options = WeightsOptions { device: device.clone(), ..WeightsOptions::default() };
            let loaded = read_encoder(file, &options, progress).map_err(|error| match error {
                Error::Init(error) => Error::Against(error),
                error => error,
            })?;
            others.push((file.clone(), known, loaded));
        }
        Ok(Self(others))
    }

    /// Refuses an encoder that takes images of another size than those that are measured.
    pub(crate) fn check(&self, image_size: u32) -> Result<(), Error> {
        for (file, _, loaded) in &self.0 {
            if let Some(size) = loaded.encoder.image_size().filter(|&s| s != image_size as usize) {
                let cause =
                    format!("it takes images of {size} pixels, and these have {image_size}");
                return Err(Error::option("against", file.display(), cause));
            }
        }
        Ok(())
    }

    /// Lists all encoders to measure.
    pub(super) fn beside<'a>(
        &'a self,
        trained: &'a Backbone,
        untrained: &'a Backbone,
    ) -> Vec<(Representation, &'a Backbone)> {
        let own = [(Representation::Trained, trained), (Representation::Untrained, untrained)];
        let others = self
            .0
            .iter()
            .map(|(_, name, loaded)| (Representation::Against(name.clone()), &loaded.encoder));
        own.into_iter().chain(others).collect()
    }

    /// Describes the other encoders for the protocol.
    pub(super) fn protocol(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(file, name, loaded)| {
            (name.clone(), format!("{}, {} ({})", loaded.config, loaded.describe(), file.display()))
        })
    }
}

/// Options for the evaluation of an encoder of a file of weights.
#[derive(Clone, Debug)]
pub struct EvaluateEncoderOptions {
    /// Folder for `eval.json`, `map.json`, `predictions.json`, `run.json` and the page.
    pub out: PathBuf,
    /// Whether earlier results there are overwritten.
    pub overwrite: bool,
    /// Files of weights of further encoders, which are measured beside this one.
    pub against: Vec<PathBuf>,
    /// Policy of the views that centres of classes are computed from.
    pub augment: Policy,
    /// Seed of the views, and of the weights before training.
    pub seed: u64,
    /// Number of neighbours of kNN. If `None`, it is chosen for each representation without the
    /// test split.
    pub knn_k: Option<usize>,
    /// The command that asked for this evaluation, kept in its record.
    pub command: Vec<String>,
    /// Device that the encoder is on.
    pub device: Device,
}

/// Files that the evaluation of an encoder writes.
const WRITTEN: [&str; 5] = [RUN_FILE, EVAL_FILE, MAP_FILE, PREDICTIONS_FILE, PAGE_FILE];

impl EvaluateEncoderOptions {
    /// Checks the folder, before anything is read.
    ///
    /// # Errors
    /// If the folder holds something else, or earlier results that may not be overwritten.
    pub fn check(&self) -> Result<(), Error> {
        check_knn_k(self.knn_k)?;
        check_folder(&self.out)?;
        check_own(&self.out, |name| WRITTEN.contains(&name))?;
        check_new(&[self.out.join(EVAL_FILE)], self.overwrite)
    }
}

/// Measures an encoder that [`read_encoder`] read from `source`, on the test split of `dataset`, and
/// writes the results and their page into a folder. Beside it stand raw pixels and the same network
/// with random weights.
///
/// # Errors
/// If the folder holds something else, or if the encoder cannot be measured.
///
/// ```no_run
/// use selfsame::{EvaluateEncoderOptions, WeightsOptions};
///
/// let file = "resnet18.pth".as_ref();
/// let loaded = selfsame::read_encoder(file, &WeightsOptions::default(), &mut ())?;
/// let images = selfsame::load("photos/", &Default::default(), &mut ())?;
/// let options = EvaluateEncoderOptions {
///     out: "evaluations/resnet18".into(),
///     overwrite: false,
///     against: Vec::new(),
///     augment: selfsame::usual_policy("photos/"),
///     seed: 0,
///     knn_k: None,
///     command: Vec::new(),
///     device: selfsame::nn::device::by_name("flex")?,
/// };
/// let evaluation = selfsame::evaluate_encoder(file, &loaded, &images, &options, &mut ())?;
/// println!("{:?}", evaluation.trained());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn evaluate_encoder(
    source: &Path,
    loaded: &Loaded,
    dataset: &Dataset,
    options: &EvaluateEncoderOptions,
    progress: &mut dyn Progress,
) -> Result<Evaluation, Error> {
    options.check()?;
    let others = Others::read(&options.against, &options.device, progress)?;
    others.check(dataset.image_size)?;
    let started = now();
    let policy = options.augment;
    let untrained = loaded.config.init(&mut Init::new(options.seed, &options.device));
    let subject = Subject {
        dataset,
        policy: &policy,
        seed: options.seed,
        encoders: others.beside(&loaded.encoder, &untrained),
        knn_k: options.knn_k,
        device: &options.device,
    };
    let weights = format!("{} ({})", loaded.describe(), source.display());
    let Evaluated { evaluation, map, predictions, .. } =
        measure(&subject, &others, weights, progress)?;
    let record = RunRecord {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        burn: BURN.into(),
        machines: vec![machine()],
        precision: loaded.config.precision().to_string(),
        command: options.command.clone(),
        seed: options.seed,
        started,
        finished: true,
        dataset: images::record(dataset),
        encoder: encoder_record(&loaded.config, &loaded.encoder),
        augment: policy.to_string(),
        policy: policy.to_toml(),
        protocol: vec![("Network".into(), loaded.config.to_string())],
        ..RunRecord::default()
    };
    let out = &options.out;
    std::fs::create_dir_all(out).map_err(Error::file(out))?;
    write_json(&out.join(RUN_FILE), &record)?;
    write(out, dataset, &evaluation, &map, predictions)?;
    write_json(&out.join(EVAL_FILE), &evaluation)?;
    write_atomic(&out.join(PAGE_FILE), render(&read(out)?).as_bytes())?;
    note_skipped(dataset, Some("in the page and run.json"), progress);
    Ok(evaluation)
}
