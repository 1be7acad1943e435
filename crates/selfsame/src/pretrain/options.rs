//! Options of a training run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use selfsame_augment::Policy;
use selfsame_data::{Dataset, Exif, GLYPHS, LoadOptions, NO_LABELS, class_list};
use selfsame_methods::MethodConfig;
use selfsame_nn::{EncoderConfig, Precision, Stem};
use selfsame_train::{Config, EPSILON, OptimizerKind, checkpoint};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::encoder::EncoderKind;
use crate::images::check;
use crate::run::read_plan;
use crate::{Error, Progress, load};

/// Options of a training run: everything that the command line of `selfsame study` can set.
///
/// All fields have sensible defaults, so `PretrainOptions::default()` trains a small ResNet-18 with
/// SimCLR on the built-in glyphs. From TOML or JSON, fields have the names of the command line's
/// options (`knn-every`), and an unknown field is refused.
///
/// ```
/// use selfsame::PretrainOptions;
///
/// let options: PretrainOptions = toml::from_str(
///     "data = 'photos'\nmethod = 'byol'\naugment = 'abd0.5e'\nepochs = 100\nwarmup-epochs = 5",
/// )?;
/// assert_eq!((options.epochs, options.warmup_epochs), (Some(100), Some(5.0)));
/// assert!(toml::from_str::<PretrainOptions>("epoch = 100").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PretrainOptions {
    /// The images: the name of a set, or a [`Dataset`] in memory.
    pub data: Images,
    /// Side to which images are resized, in pixels. By default, images keep their own size up to 96
    /// and are otherwise resized to 64.
    pub image_size: Option<u32>,
    /// Largest shorter side of what crops are drawn from, in pixels. Larger images are reduced to
    /// it, with their aspect ratio kept. By default: twice the side of the images. If it is equal
    /// to the side of the images, crops are drawn from the images themselves, which are centre
    /// squares.
    pub source_size: Option<u32>,
    /// Maximum number of images to take for training and validation together, and maximum number to
    /// take for test. They are spread evenly over the classes.
    pub limit: Option<usize>,
    /// Table with the labels of the images, as in [`LoadOptions::labels`]. By default, labels are
    /// the names of the class folders.
    pub labels: Option<PathBuf>,
    /// Names of the classes to take. By default, all classes are taken.
    pub classes: Option<Vec<String>>,
    /// Whether images are turned upright, as their EXIF orientation says.
    pub exif: Exif,
    /// Whether an image that cannot be used is an error. If false, such images are left out.
    pub strict: bool,

    /// Name of the published settings to start from, in place of the defaults below: one of
    /// [`RECIPES`](crate::train::RECIPES). Other fields that are set override the recipe.
    pub recipe: Option<String>,
    /// How views are drawn. By default: the recipe's policy, or
    /// [`usual_policy`](crate::usual_policy).
    #[serde(deserialize_with = "policy")]
    pub augment: Option<Policy>,
    /// The method: a name in [`METHODS`](crate::methods::METHODS), or a method with its settings.
    pub method: MethodChoice,
    /// Temperature of the loss. By default: the method's own.
    pub temperature: Option<f64>,
    /// The encoder. By default: the recipe's, or a ResNet-18.
    pub encoder: Option<EncoderKind>,
    /// Number of channels in the first stage of a residual network (64 in the published networks),
    /// or number of units in each hidden layer of a perceptron. By default: the recipe's width, or
    /// 16, or 8 for glyphs; 512 for a perceptron.
    pub width: Option<usize>,
    /// First layers of the encoder. By default, the size of the images decides.
    pub stem: Option<Stem>,
    /// File of weights to start from: a ResNet of torchvision, lightly, solo-learn, MoCo or
    /// selfsame, as `.safetensors` or `.pth`. By default, weights are drawn at random from the
    /// seed.
    pub init: Option<PathBuf>,
    /// Whether to load the weights of `init` that fit if some of them do not.
    pub init_partial: bool,
    /// Number format in which activations are stored. By default: whichever is faster on the
    /// device.
    #[serde(deserialize_with = "precision")]
    pub precision: Option<Precision>,
    /// Number of passes over the training images. By default: the recipe's, or 25.
    pub epochs: Option<usize>,
    /// Number of images per step, each in two views. By default: the recipe's, or 128.
    pub batch: Option<usize>,
    /// Number of images that pass through the networks at a time, to save memory. The gradient
    /// stays the gradient of the whole batch, but batch normalisation sees one microbatch at a
    /// time. By default: the batch.
    pub microbatch: Option<usize>,
    /// Rule that moves the weights. By default: the recipe's, or AdamW.
    pub optimizer: Option<OptimizerKind>,
    /// Highest learning rate. By default, the recipe, the optimizer and the batch decide.
    pub lr: Option<f64>,
    /// Number of epochs over which the learning rate rises from 0. By default: the recipe's number,
    /// but no more than a tenth of all epochs; without a recipe, a tenth of all epochs, but no more
    /// than 10.
    pub warmup_epochs: Option<f64>,
    /// Factor of the L2 penalty. By default: the recipe's, or 5e-4 for SGD, 1e-6 for LARS and 1e-2
    /// for AdamW.
    pub weight_decay: Option<f64>,
    /// Maximum Euclidean length of the gradient. Longer gradients are scaled down to this length.
    pub clip_norm: Option<f64>,
    /// Number of epochs between two measurements of the kNN accuracy on the validation split; 0 for
    /// no measurements. By default: a tenth of all epochs.
    pub knn_every: Option<usize>,
    /// Number of neighbours of kNN. By default: the recipe's number; without a recipe, the
    /// evaluation chooses it for each representation without the test split, and during training it
    /// is a tenth of the images of a class, at most 200.
    pub knn_k: Option<usize>,
    /// Settings in the sections `[method]` and `[train]` of `config.toml`, such as
    /// `method.queue=8192`.
    #[serde(deserialize_with = "one_or_many")]
    pub set: Vec<String>,
    /// What to do when the outputs collapse.
    pub on_collapse: OnCollapse,
    /// Seed of the splits of the images, and of built-in images. It is apart from `seed`, so that
    /// runs with different seeds are measured on the same images.
    #[serde(deserialize_with = "selfsame_train::seed::deserialize")]
    pub split_seed: u64,
    /// Seed of everything else that is random.
    #[serde(deserialize_with = "selfsame_train::seed::deserialize")]
    pub seed: u64,
    /// Device to compute on: `flex` (the processor), or another device that this build supports.
    pub device: String,

    /// Folder of the run. By default: `runs/` followed by the name of the images.
    pub out: Option<PathBuf>,
    /// Whether to delete the run that the folder already holds. It is deleted once the new run is
    /// ready to start.
    pub overwrite: bool,
    /// Seconds between two checkpoints. A kill loses at most the work since the last checkpoint.
    pub save_every: u64,
    /// Files of weights of further encoders that a study measures beside its own, as
    /// [`read_encoder`](crate::read_encoder) reads them. Training does not need them.
    #[serde(skip)]
    pub against: Vec<PathBuf>,
    /// The command that asked for this run, kept in the run's record.
    #[serde(skip)]
    pub command: Vec<String>,
}

/// Default number of seconds between two checkpoints.
const SAVE_EVERY: u64 = 20;

impl Default for PretrainOptions {
    fn default() -> Self {
        Self {
            data: Images::default(),
            image_size: None,
            source_size: None,
            limit: None,
            labels: None,
            classes: None,
            exif: Exif::default(),
            strict: false,
            recipe: None,
            augment: None,
            method: MethodChoice::default(),
            temperature: None,
            encoder: None,
            width: None,
            stem: None,
            init: None,
            init_partial: false,
            precision: None,
            epochs: None,
            batch: None,
            microbatch: None,
            optimizer: None,
            lr: None,
            warmup_epochs: None,
            weight_decay: None,
            clip_norm: None,
            knn_every: None,
            knn_k: None,
            set: Vec::new(),
            on_collapse: OnCollapse::default(),
            split_seed: 0,
            seed: 0,
            device: DEVICE.to_owned(),
            out: None,
            overwrite: false,
            save_every: SAVE_EVERY,
            against: Vec::new(),
            command: Vec::new(),
        }
    }
}

/// Name of the default device, the processor.
const DEVICE: &str = "flex";

impl PretrainOptions {
    /// Reads the options of a new run from the `config.toml` of another: its images and all of its
    /// settings. Initial weights, if it was given any, are read from the folder of the file.
    ///
    /// # Errors
    /// If the file is unreadable, or if a setting makes no sense.
    pub fn read_config(file: &Path) -> Result<Self, Error> {
        let plan = read_plan(file)?;
        let folder = file.parent().unwrap_or(Path::new(""));
        Ok(Self {
            init: plan.init.as_ref().map(|_| checkpoint::init_path(folder)),
            ..Self::of_config(&plan)
        })
    }

    /// Returns the options of a run with these settings, but for initial weights.
    fn of_config(config: &Config) -> Self {
        let Config { seed, init: _, data, encoder, method, train, augment } = config;
        let (kind, stem) = match encoder {
            EncoderConfig::ResNet(resnet) => (resnet.architecture.into(), Some(resnet.stem)),
            EncoderConfig::Mlp(_) => (EncoderKind::Mlp, None),
        };
        let rest = [
            train.trust.map(|trust| format!("train.trust={trust:?}")),
            train.trust_capped.then(|| "train.trust_capped=true".to_owned()),
            (train.epsilon != EPSILON).then(|| format!("train.epsilon={:?}", train.epsilon)),
        ];
        Self {
            data: data.source.as_str().into(),
            image_size: Some(data.image_size),
            source_size: Some(data.source_size()),
            limit: data.limit,
            labels: data.labels.as_ref().map(PathBuf::from),
            classes: data.classes.clone(),
            exif: data.exif,
            augment: Some(*augment),
            method: (*method).into(),
            encoder: Some(kind),
            width: Some(encoder.width()),
            stem,
            precision: Some(encoder.precision()),
            epochs: Some(train.epochs),
            batch: Some(train.batch),
            microbatch: train.microbatch,
            optimizer: Some(train.optimizer),
            lr: Some(train.learning_rate),
            warmup_epochs: Some(train.warmup_epochs),
            weight_decay: Some(train.weight_decay),
            clip_norm: train.clip_norm,
            knn_every: Some(train.knn_every),
            knn_k: train.knn_k,
            set: rest.into_iter().flatten().collect(),
            split_seed: data.split_seed.unwrap_or(*seed),
            seed: *seed,
            ..Self::default()
        }
    }

    /// Takes back what [`read_config`](Self::read_config) set, so that [`set`](Self::set) can set
    /// `key`.
    pub fn forget(&mut self, key: &str) {
        match key {
            "train.epochs" => self.epochs = None,
            "train.batch" => self.batch = None,
            "train.microbatch" => self.microbatch = None,
            "train.optimizer" => self.optimizer = None,
            "train.learning_rate" => self.lr = None,
            "train.warmup_epochs" => self.warmup_epochs = None,
            "train.weight_decay" => self.weight_decay = None,
            "train.clip_norm" => self.clip_norm = None,
            "train.knn_every" => self.knn_every = None,
            "train.knn_k" => self.knn_k = None,
            key => self.set.retain(|pair| pair.split_once('=').is_none_or(|(set, _)| set != key)),
        }
    }

    /// Returns the run's folder: [`out`](Self::out), or `runs/` followed by the name of the images.
    pub fn folder(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| Path::new("runs").join(self.data.stem()))
    }

    /// Returns how the images are read. Decoded images that do not fit in memory are kept in
    /// `cache`.
    pub fn load_options(&self, cache: Option<PathBuf>) -> LoadOptions {
        LoadOptions {
            image_size: self.image_size,
            source_size: self.source_size,
            seed: self.split_seed,
            limit: self.limit,
            labels: self.labels.clone(),
            classes: self.classes.clone(),
            exif: self.exif,
            strict: self.strict,
            cache,
        }
    }
}

/// How to continue a run, under its own settings.
#[derive(Clone, Debug)]
pub struct ResumeOptions {
    /// The run's images, if they are already in memory. If `None`, the run reads them again.
    pub images: Option<Arc<Dataset>>,
    /// Where the images are now, if they have been moved since the run began. They must be the same
    /// images; the run then reads them from there.
    pub data: Option<String>,
    /// Where the run's table of labels is now, if it has been moved.
    pub labels: Option<PathBuf>,
    /// Number of epochs to prolong a complete run to. If `None`, the run keeps its number. The
    /// learning rate goes on as a schedule of that many epochs has it at this step.
    pub epochs: Option<usize>,
    /// Whether an image that cannot be used is an error. If false, such images are left out.
    pub strict: bool,
    /// What to do when the outputs collapse, or have collapsed before.
    pub on_collapse: OnCollapse,
    /// Device to compute on: `flex` (the processor), or another device that this build supports.
    pub device: String,
    /// Seconds between two checkpoints.
    pub save_every: u64,
    /// Files of weights of further encoders that a study measures beside its own.
    pub against: Vec<PathBuf>,
}

impl Default for ResumeOptions {
    fn default() -> Self {
        Self {
            images: None,
            data: None,
            labels: None,
            epochs: None,
            strict: false,
            on_collapse: OnCollapse::default(),
            device: DEVICE.to_owned(),
            save_every: SAVE_EVERY,
            against: Vec::new(),
        }
    }
}

/// Returns a path that stays valid whatever folder a run is resumed from.
pub(crate) fn absolute(path: &Path) -> String {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    full.to_str().map_or_else(|| path.to_string_lossy().into_owned(), str::to_owned)
}

/// Returns where a table of labels lies, or the word that there are none.
pub(crate) fn absolute_labels(path: &Path) -> String {
    if path == Path::new(NO_LABELS) { NO_LABELS.to_owned() } else { absolute(path) }
}

/// Images to work on.
///
/// ```
/// let photos = selfsame::Images::from("photos/");
/// # let selfsame::Images::Named(name) = photos else { panic!() };
/// # assert_eq!(name, "photos/");
/// ```
#[derive(Clone, Debug)]
pub enum Images {
    /// `glyphs` (the built-in images) or a path: a folder of class folders or of images, a `.tar`
    /// of such a folder, or a folder with CIFAR's binary files or MNIST's IDX files.
    Named(String),
    /// Images in memory.
    InMemory(Arc<Dataset>),
}

impl Default for Images {
    fn default() -> Self {
        Self::Named(GLYPHS.to_owned())
    }
}

impl From<&str> for Images {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

impl From<String> for Images {
    fn from(name: String) -> Self {
        Self::Named(name)
    }
}

impl From<Dataset> for Images {
    fn from(images: Dataset) -> Self {
        Self::InMemory(Arc::new(images))
    }
}

impl From<Arc<Dataset>> for Images {
    fn from(images: Arc<Dataset>) -> Self {
        Self::InMemory(images)
    }
}

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::Named)
    }
}

impl Images {
    /// Returns whether these images are the built-in glyphs.
    pub(crate) fn are_glyphs(&self) -> bool {
        matches!(self, Self::Named(name) if name == GLYPHS)
    }

    /// Returns the last part of the images' name, without its extension, as the name of a folder.
    fn stem(&self) -> String {
        let name = match self {
            Self::Named(name) => name,
            Self::InMemory(images) => &images.name,
        };
        Path::new(name).file_stem().map_or("images".into(), |stem| stem.to_string_lossy().into())
    }

    /// Returns a name that stays valid whatever folder the run is resumed from.
    pub(crate) fn absolute(&self) -> String {
        match self {
            Self::Named(name) if self.are_glyphs() => name.clone(),
            Self::Named(name) => absolute(Path::new(name)),
            Self::InMemory(images) => images.name.clone(),
        }
    }

    /// Loads the images. `options` sets their size and selects among them. Images in memory are
    /// taken as they are.
    pub(crate) fn get(
        &self,
        options: &LoadOptions,
        progress: &mut dyn Progress,
    ) -> Result<Arc<Dataset>, Error> {
        match self {
            Self::Named(name) => Ok(Arc::new(load(name, options, progress)?)),
            Self::InMemory(images) => {
                let size = images.image_size;
                if let Some(asked) = options.image_size.filter(|&asked| asked != size) {
                    let cause = format!("the images in memory are of {size} pixels");
                    return Err(Error::option("image_size", asked, cause));
                }
                if let Some(asked) =
                    options.source_size.filter(|&asked| asked != images.source_size())
                {
                    let cause =
                        format!("the sources in memory are of {} pixels", images.source_size());
                    return Err(Error::option("source_size", asked, cause));
                }
                let cause = "images in memory are taken as they are; choose among them before";
                if let Some(limit) = options.limit {
                    return Err(Error::option("limit", limit, cause));
                }
                if let Some(labels) = &options.labels {
                    return Err(Error::option("labels", labels.display(), cause));
                }
                if let Some(classes) = &options.classes {
                    return Err(Error::option("classes", class_list(classes), cause));
                }
                if !options.exif.is_default() {
                    return Err(Error::option("exif", options.exif.name(), cause));
                }
                check(images)?;
                Ok(Arc::clone(images))
            }
        }
    }
}

/// A method: either its name, with settings that suit the encoder, or its own settings.
///
/// ```
/// use selfsame::MethodChoice;
/// use selfsame::methods::{MethodConfig, Rotation};
///
/// let by_name = MethodChoice::from("byol");
/// let with_settings = MethodChoice::from(MethodConfig::Rotation(Rotation {}));
/// # assert_ne!(by_name, with_settings);
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum MethodChoice {
    /// A name in [`METHODS`](crate::methods::METHODS).
    Named(String),
    /// A method with all of its settings.
    Settings(MethodConfig),
}

impl Default for MethodChoice {
    fn default() -> Self {
        Self::Named("simclr".to_owned())
    }
}

impl From<&str> for MethodChoice {
    fn from(name: &str) -> Self {
        Self::Named(name.to_owned())
    }
}

impl From<MethodConfig> for MethodChoice {
    fn from(settings: MethodConfig) -> Self {
        Self::Settings(settings)
    }
}

impl MethodChoice {
    /// Returns the method's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Settings(settings) => settings.name(),
        }
    }
}

/// How to react when the outputs collapse to a few directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCollapse {
    /// Print a warning and continue.
    #[default]
    Warn,
    /// Save the run and fail with [`Error::Collapsed`].
    Stop,
}

fn policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Policy>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Table(toml::Table),
    }
    let policy = match Written::deserialize(deserializer)? {
        Written::Text(text) => crate::policy(&text).map_err(D::Error::custom)?,
        Written::Table(table) => Policy::from_toml(&table.to_string()).map_err(D::Error::custom)?,
    };
    Ok(Some(policy))
}

/// Reads a precision by its name; `auto` gives `None`.
fn precision<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Precision>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Name {
        Auto,
        F32,
        Bf16,
    }
    Ok(match Name::deserialize(deserializer)? {
        Name::Auto => None,
        Name::F32 => Some(Precision::F32),
        Name::Bf16 => Some(Precision::Bf16),
    })
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::One(one) => vec![one],
        Written::Many(many) => many,
    })
}
