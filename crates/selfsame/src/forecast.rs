//! Predicts which augmentation will gather the classes: ranks policies before any training.
//!
//! From a few images of each class and the views that each policy draws of them, it measures how
//! many images of a class come together within a distance (σ(δ) in the theory). It also measures
//! whether images of one class still lie nearer to each other than images of two classes. Intervals
//! come from random halves of the images.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use jiff::SignedDuration;
use selfsame_augment::Policy;
use selfsame_concentration::forecast::{members, middle_within};
use selfsame_data::Dataset;
use selfsame_nn::Backbone;
use selfsame_report::forecast::{FORECAST_FILE, Forecast, TABLE_FILE};
use selfsame_report::record::PAGE_FILE;
use selfsame_report::{render_forecast, write_atomic, write_json};
use selfsame_train::checkpoint::Which;
use sha2::{Digest, Sha256};

use self::folder::Folder;
use self::measure::Work;
use self::probe::Probe;
use self::ranking::Subject;
use self::settings::Settings;
use crate::images::{check, note_skipped};
use crate::policy::{NONE, none};
use crate::{Error, Progress, Run, digest, sampling};

mod advice;
mod folder;
mod measure;
mod pictures;
mod probe;
mod ranking;
mod score;
mod settings;

/// Maximum number of views per image: views are numbered in 16 bits.
const MAX_VIEWS: usize = 65_535;
/// After a policy that takes longer than this, the remaining time is announced.
const LONG: Duration = Duration::from_secs(2);

/// How [`forecast`] measures, and where it keeps its work.
#[derive(Debug, Clone)]
pub struct ForecastOptions {
    /// Maximum number of images to measure per class. The fewer images, the wider the intervals.
    pub per_class: usize,
    /// Number of views drawn per image, from 1 to 65 535.
    pub views: usize,
    /// Whether an image counts among its own views.
    pub original: bool,
    /// Encoder whose embeddings, scaled to length 1, are compared. Without an encoder, pixels are
    /// compared.
    pub encoder: Option<Encoder>,
    /// Number of clusters of the encoder's embeddings that stand in for the classes. The labels are
    /// then ignored, and everything that depends on the clusters is marked as assumed.
    pub clusters: Option<usize>,
    /// Whether to compare pixels even though there is an encoder. The encoder then only makes the
    /// clusters.
    pub pixels: bool,
    /// Time limit for the proof of each curve. Points that are not proved by then are bounds.
    /// `None` depends on the size of the classes: no limit for up to 100 images, and 10 s for more.
    pub budget: Option<Duration>,
    /// Seed of everything random.
    pub seed: u64,
    /// Folder for unfinished work, the distances and the results: the page, the record and the
    /// table. A repeated call with the same settings continues there. With `None`, nothing is
    /// written.
    pub out: Option<PathBuf>,
    /// Whether to delete another forecast that the folder may hold.
    pub overwrite: bool,
    /// The command, word by word, that repeats this forecast, for the page; may be empty.
    pub command: Vec<String>,
}

impl Default for ForecastOptions {
    fn default() -> Self {
        Self {
            per_class: 50,
            views: 16,
            original: true,
            encoder: None,
            clusters: None,
            pixels: false,
            budget: None,
            seed: 0,
            out: None,
            overwrite: false,
            command: Vec::new(),
        }
    }
}

impl ForecastOptions {
    /// Refuses options that make no sense, whatever the images are. [`forecast`] makes the same
    /// check; a caller that has to read many images can make the check first.
    ///
    /// # Errors
    /// [`Error::Option`] if an option makes no sense.
    pub fn check(&self) -> Result<(), Error> {
        let Self { per_class, views, clusters, encoder, pixels, .. } = self;
        if *per_class < 2 {
            let cause = "distances need at least 2 images of a class";
            return Err(Error::option("per_class", per_class, cause));
        }
        if *views == 0 {
            let cause = "without a view all policies are the same; at least 1 is needed";
            return Err(Error::option("views", views, cause));
        }
        if *views > MAX_VIEWS {
            return Err(Error::option("views", views, format!("more than {MAX_VIEWS}")));
        }
        match clusters {
            Some(clusters) if *clusters < 2 => {
                let cause = "nothing can be told apart; at least 2 are needed";
                Err(Error::option("clusters", clusters, cause))
            }
            Some(clusters) if encoder.is_none() => {
                let cause = "clusters are made of an encoder's embeddings, and there is none";
                Err(Error::option("clusters", clusters, cause))
            }
            None if *pixels && encoder.is_some() => {
                let cause = "with pixels, an encoder only makes clusters, and none are asked for";
                Err(Error::option("pixels", pixels, cause))
            }
            _ => Ok(()),
        }
    }
}

/// A trained encoder and its description for a record.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// Name of the encoder, such as the folder of its run.
    pub name: String,
    /// The network.
    pub network: Backbone,
    /// Side of the images that the encoder takes, in pixels.
    pub image_size: u32,
    /// Largest shorter side of the sources that crops were drawn from in its training, in pixels.
    pub source_size: u32,
    /// Device that runs the encoder.
    pub device: Device,
    /// Identifies the encoder's weights, for example by their SHA-256.
    pub digest: String,
}

impl Encoder {
    /// Loads the encoder of a run's folder, with the weights of its last checkpoint.
    ///
    /// # Errors
    /// If the folder is not a run, if another process works in it, or if it holds no weights.
    pub fn of_run(path: &Path, device: &Device) -> Result<Self, Error> {
        let run = Run::open_to_read(path)?;
        let plan = run.plan()?;
        let (network, _) = run.trained(&plan, Which::Last, device)?;
        let file = run.weights(Which::Last)?;
        let weights = std::fs::read(&file).map_err(Error::file(&file))?;
        Ok(Self {
            name: path.display().to_string(),
            network,
            image_size: plan.data.image_size,
            source_size: plan.data.source_size(),
            device: device.clone(),
            digest: hex::encode(Sha256::digest(weights)),
        })
    }
}

/// Ranks named augmentation policies by how well they gather the classes of `dataset` and keep them
/// apart. Images are taken from the training split. The policy `none`, which leaves images as they
/// are, is always measured and listed with the others.
///
/// All numbers are exact for the measured images and views, unless a proof runs out of time; see
/// [`Measured`](selfsame_report::forecast::Measured). A policy's score does not depend on the other
/// policies. Huang et al. (ICLR 2023) define σ(δ) and the augmented distance.
///
/// # Errors
/// If options make no sense, if images have no classes or are all alike, if the folder holds
/// something else, or if reading or writing fails. [`Error::Stopped`] if `progress` asks to stop;
/// the work done so far is kept in [`ForecastOptions::out`].
///
/// ```
/// use selfsame::data::LoadOptions;
/// use selfsame::{ForecastOptions, forecast};
///
/// let glyphs = LoadOptions { limit: Some(100), ..LoadOptions::default() };
/// let glyphs = selfsame::load("glyphs", &glyphs, &mut ())?;
/// let policies = ["a", "e"].map(|name| (name.to_owned(), name.parse().unwrap()));
/// let options = ForecastOptions { per_class: 4, views: 2, ..ForecastOptions::default() };
///
/// let forecast = forecast(&glyphs, &policies, &options, &mut ())?;
/// assert!(forecast.policies[0].score.value() >= forecast.policies[1].score.value());
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn forecast(
    dataset: &Dataset,
    policies: &[(String, Policy)],
    options: &ForecastOptions,
    progress: &mut dyn Progress,
) -> Result<Forecast, Error> {
    options.check()?;
    if policies.is_empty() {
        return Err(Error::option("policies", "[]", "at least one is needed"));
    }
    check(dataset)?;
    check_size(dataset, options.encoder.as_ref())?;
    let all = options.out.is_some().then_some("in the forecast's page and forecast.json");
    note_skipped(dataset, all, progress);
    let probe = Probe::new(dataset, options, progress)?;
    sampling::check_views(probe.images.len(), options.views + 1, dataset.image_size)?;
    let settings = settings(dataset, policies, options, &probe);
    let folder = match &options.out {
        Some(path) => Some(Folder::claim(path, &settings, options.overwrite)?),
        None => None,
    };
    if let Some(folder) = folder.as_ref().filter(|folder| folder.goes_on) {
        progress.note(&folder.state_of(policies.len()));
    }

    let encoder = options.encoder.as_ref();
    let work =
        Work { dataset, probe: &probe, settings: &settings, encoder, folder: folder.as_ref() };
    let baseline = work.policy("images", NONE, &none()?, progress)?;
    let middle = middle_within(&baseline.distances, &probe.labels, probe.classes.len());
    let middle =
        middle.filter(|&middle| middle > 0).ok_or_else(|| all_alike(dataset, &settings))?;
    let mut measured = Vec::with_capacity(policies.len());
    for (number, (name, policy)) in policies.iter().enumerate() {
        let start = Instant::now();
        measured.push(work.policy(&part(number), name, policy, progress)?);
        let others = start.elapsed() * (policies.len() - number - 1) as u32;
        if start.elapsed() > LONG && !others.is_zero() {
            let others = SignedDuration::from_secs(others.as_secs() as i64);
            progress.note(&format!("{name} done, about {others:#} left"));
        }
    }

    let subject = Subject {
        dataset,
        probe: &probe,
        settings: &settings,
        policies,
        measured: &measured,
        baseline: &baseline,
        middle,
    };
    let forecast = Forecast { command: options.command.clone(), ..subject.forecast(progress)? };
    if let Some(folder) = &folder {
        write_json(&folder.path.join(FORECAST_FILE), &forecast)?;
        write_atomic(&folder.path.join(TABLE_FILE), forecast.table().as_bytes())?;
        write_atomic(&folder.path.join(PAGE_FILE), render_forecast(&forecast).as_bytes())?;
    }
    Ok(forecast)
}

/// Returns the prefix of the file names of the policy with this number.
fn part(number: usize) -> String {
    format!("{number:02}")
}

/// Refuses an encoder that takes images of another size.
fn check_size(dataset: &Dataset, encoder: Option<&Encoder>) -> Result<(), Error> {
    match encoder {
        Some(encoder) if encoder.image_size != dataset.image_size => {
            let cause =
                format!("the encoder of {} sees {} pixels", encoder.name, encoder.image_size);
            Err(Error::option("image_size", dataset.image_size, cause))
        }
        _ => Ok(()),
    }
}

fn settings(
    dataset: &Dataset,
    policies: &[(String, Policy)],
    options: &ForecastOptions,
    probe: &Probe,
) -> Settings {
    let largest =
        members(&probe.labels, probe.classes.len()).iter().map(Vec::len).max().unwrap_or(0);
    let encoder = options.encoder.as_ref();
    Settings {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        data: dataset.name.clone(),
        digest: digest(dataset),
        policies: policies.iter().map(|(name, policy)| (name.clone(), policy.to_toml())).collect(),
        per_class: options.per_class,
        views: options.views,
        original: options.original,
        image_size: dataset.image_size,
        source_size: dataset.larger_source(),
        encoder: encoder.map(|encoder| encoder.name.clone()),
        weights: encoder.map(|encoder| encoder.digest.clone()),
        clusters: options.clusters,
        pixels: options.pixels || encoder.is_none(),
        budget: sampling::budget(options.budget, largest).map(|time| time.as_secs_f64()),
        seed: options.seed,
    }
}

/// Says that there is no distance at which to compare policies, because most images of a class are
/// identical.
fn all_alike(dataset: &Dataset, settings: &Settings) -> Error {
    let cause = match settings.pixels {
        true => {
            "at least half of all pairs of images of one class are the same image twice, pixel by \
             pixel, so that there is no distance to compare policies at; leave the copies out"
        }
        false => {
            "the encoder gives at least half of all pairs of images of one class the same \
             embedding, so that there is no distance to compare policies at; has it collapsed?"
        }
    };
    Error::Images { name: dataset.name.clone(), cause: cause.into() }
}
