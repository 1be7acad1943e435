//! What a training can be asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use selfsame_augment::Policy;
use selfsame_data::{Dataset, LoadOptions, SplitName};
use selfsame_methods::MethodConfig;
use selfsame_nn::{Precision, Stem};
use selfsame_train::OptimizerKind;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::{Error, Progress, load};

/// What to train, on what and how: everything that the command line of `selfsame study` can say.
///
/// All fields have sensible defaults, so `PretrainOptions::default()` trains a small ResNet-18 with
/// SimCLR on the built-in glyphs. From TOML or JSON, fields have the names of the command line's
/// options (`knn-every`), and an unknown one is refused.
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
    /// Side that images are brought to, in pixels. Without it: their own up to 96, otherwise 64.
    pub image_size: Option<u32>,
    /// Images to take for training and validation at most, and for test at most, spread evenly over
    /// the classes.
    pub limit: Option<usize>,
    /// Names of the only classes to take.
    pub classes: Option<Vec<String>>,
    /// Whether an image that cannot be used is an error, rather than left out.
    pub strict: bool,

    /// Name of the published settings to start from, in place of the defaults below: one of
    /// [`RECIPES`](crate::train::RECIPES). Other fields still count.
    pub recipe: Option<String>,
    /// How views are drawn. Without it: the recipe's policy, or `abcde`.
    #[serde(deserialize_with = "policy")]
    pub augment: Option<Policy>,
    /// The method: a name of [`METHODS`](crate::methods::METHODS), or a method with its settings.
    pub method: MethodChoice,
    /// Temperature of the loss. Without it: the method's own.
    pub temperature: Option<f64>,
    /// The encoder. Without it: the recipe's, or a ResNet-18.
    pub encoder: Option<EncoderKind>,
    /// Channels of a residual network's first stage, of which 64 is the published number, or units
    /// of a perceptron's hidden layers. Without it: the recipe's, or 16, or 8 for glyphs; 512 for a
    /// perceptron.
    pub width: Option<usize>,
    /// First layers of the encoder. Without it: by the size of the images.
    pub stem: Option<Stem>,
    /// File of weights to start from: a ResNet of torchvision, lightly, solo-learn, MoCo or
    /// selfsame, as `.safetensors` or `.pth`. Without it: random weights of the seed.
    pub init: Option<PathBuf>,
    /// Whether to take what fits of `init` where not everything does.
    pub init_partial: bool,
    /// What activations are stored as. Without it: whichever is faster on the device.
    #[serde(deserialize_with = "precision")]
    pub precision: Option<Precision>,
    /// Passes over the training images. Without it: the recipe's, or 25.
    pub epochs: Option<usize>,
    /// Images a step, each in two views. Without it: the recipe's, or 128.
    pub batch: Option<usize>,
    /// Images that pass the networks at a time, to save memory. The gradient stays that of the
    /// whole batch, but batch normalisation sees a microbatch at a time. Without it: the batch.
    pub microbatch: Option<usize>,
    /// Rule that moves the weights. Without it: the recipe's, or AdamW.
    pub optimizer: Option<OptimizerKind>,
    /// Highest learning rate. Without it: by recipe, optimizer and batch.
    pub lr: Option<f64>,
    /// Epochs over which the learning rate rises from 0. Without it: the recipe's, but never more
    /// than a tenth of all; or a tenth of all, at most 10.
    pub warmup_epochs: Option<f64>,
    /// Factor of the L2 penalty. Without it: the recipe's, or 5e-4 for SGD, 1e-6 for LARS and 1e-2
    /// for AdamW.
    pub weight_decay: Option<f64>,
    /// Largest Euclidean length of the gradient; longer ones are scaled down to it.
    pub clip_norm: Option<f64>,
    /// Epochs between two measurements of the kNN accuracy on the validation split; 0 for none.
    /// Without it: a tenth of all.
    pub knn_every: Option<usize>,
    /// Settings of `config.toml`'s `[method]` and `[train]`, as `method.queue=8192`.
    #[serde(deserialize_with = "one_or_many")]
    pub set: Vec<String>,
    /// What to do when the outputs collapse.
    pub on_collapse: OnCollapse,
    /// Seed of everything random.
    pub seed: u64,
    /// Where to compute: `flex`, the processor, or a device that this build has.
    pub device: String,

    /// Folder of the run. Without it: `runs/` and the name of the images.
    pub out: Option<PathBuf>,
    /// Whether to delete the run that the folder holds, once the new one is ready to start.
    pub overwrite: bool,
    /// Seconds between two checkpoints; a kill loses at most the work since the last.
    pub save_every: u64,
    /// The command that asks for this run, for its record.
    #[serde(skip)]
    pub command: Vec<String>,
}

/// Seconds between two checkpoints, unless something else is asked for.
const SAVE_EVERY: u64 = 20;

impl Default for PretrainOptions {
    fn default() -> Self {
        Self {
            data: Images::default(),
            image_size: None,
            limit: None,
            classes: None,
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
            set: Vec::new(),
            on_collapse: OnCollapse::default(),
            seed: 0,
            device: DEVICE.to_owned(),
            out: None,
            overwrite: false,
            save_every: SAVE_EVERY,
            command: Vec::new(),
        }
    }
}

/// The processor.
const DEVICE: &str = "flex";

impl PretrainOptions {
    /// The run's folder: [`out`](Self::out), or `runs/` and the name of the images.
    pub fn folder(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| Path::new("runs").join(self.data.stem()))
    }

    /// How the images are read. Decoded images that are too many for memory are kept in `cache`.
    pub fn load_options(&self, cache: Option<PathBuf>) -> LoadOptions {
        LoadOptions {
            image_size: self.image_size,
            seed: self.seed,
            limit: self.limit,
            classes: self.classes.clone(),
            strict: self.strict,
            cache,
        }
    }
}

/// How to go on with a run, under its own settings.
#[derive(Clone, Debug)]
pub struct ResumeOptions {
    /// The run's images, where they are in memory. Without them, the run reads them again.
    pub images: Option<Arc<Dataset>>,
    /// Whether an image that cannot be used is an error, rather than left out.
    pub strict: bool,
    /// What to do when the outputs collapse, or have collapsed before.
    pub on_collapse: OnCollapse,
    /// Where to compute: `flex`, the processor, or a device that this build has.
    pub device: String,
    /// Seconds between two checkpoints.
    pub save_every: u64,
}

impl Default for ResumeOptions {
    fn default() -> Self {
        Self {
            images: None,
            strict: false,
            on_collapse: OnCollapse::default(),
            device: DEVICE.to_owned(),
            save_every: SAVE_EVERY,
        }
    }
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
    /// `glyphs`, which are built in, or a path: a folder of class folders or of images, a `.tar` of
    /// either, or a folder with CIFAR's binary or MNIST's IDX files.
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

/// The set that is built in.
const GLYPHS: &str = "glyphs";

impl Images {
    /// Whether these are the built-in glyphs.
    pub(crate) fn are_glyphs(&self) -> bool {
        matches!(self, Self::Named(name) if name == GLYPHS)
    }

    /// The last part of their name, without an ending: good for a folder.
    fn stem(&self) -> String {
        let name = match self {
            Self::Named(name) => name,
            Self::InMemory(images) => &images.name,
        };
        Path::new(name).file_stem().map_or("images".into(), |stem| stem.to_string_lossy().into())
    }

    /// The same name from whatever folder the run is resumed.
    pub(crate) fn absolute(&self) -> String {
        match self {
            Self::Named(name) if self.are_glyphs() => name.clone(),
            Self::Named(name) => std::path::absolute(name)
                .ok()
                .and_then(|path| path.to_str().map(str::to_owned))
                .unwrap_or_else(|| name.clone()),
            Self::InMemory(images) => images.name.clone(),
        }
    }

    /// The images themselves, which `options` brings to one size and chooses from. Images in memory
    /// are taken as they are.
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
                let cause = "images in memory are taken as they are; choose among them before";
                if let Some(limit) = options.limit {
                    return Err(Error::option("limit", limit, cause));
                }
                if let Some(classes) = &options.classes {
                    return Err(Error::option("classes", classes.join(","), cause));
                }
                check(images)?;
                Ok(Arc::clone(images))
            }
        }
    }
}

/// Refuses images in memory whose splits do not fit together.
fn check(images: &Dataset) -> Result<(), Error> {
    let refuse = |cause: String| Error::option("data", &images.name, cause);
    for split in SplitName::ALL {
        let (name, split) = (split.name(), images.split(split));
        if !split.is_empty() && split.image_size() != images.image_size {
            return Err(refuse(format!(
                "the {name} images are of {} pixels, and the set's are of {}",
                split.image_size(),
                images.image_size
            )));
        }
        let classes = images.classes.len();
        let labels = split.labels().unwrap_or_default();
        if let Some(label) = labels.iter().find(|&&label| label as usize >= classes) {
            return Err(refuse(format!(
                "a {name} image has the label {label}, and there are {classes} classes"
            )));
        }
        if classes > 0 && split.labels().is_none() && !split.is_empty() {
            return Err(refuse(format!("the {name} images have no labels, and there are classes")));
        }
    }
    Ok(())
}

/// A method by its name, with settings that suit the encoder, or with settings of its own.
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
    /// A name of [`METHODS`](crate::methods::METHODS).
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
    /// The method's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Settings(settings) => settings.name(),
        }
    }
}

/// An encoder's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderKind {
    /// 2, 2, 2, 2 basic blocks.
    ResNet18,
    /// 3, 4, 6, 3 basic blocks.
    ResNet34,
    /// 3, 4, 6, 3 bottleneck blocks.
    ResNet50,
    /// A multilayer perceptron of two hidden layers on the pixels of an image.
    Mlp,
}

/// What to do when the outputs collapse to a few directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnCollapse {
    /// Say so, and go on.
    #[default]
    Warn,
    /// Save, and fail with [`Error::Collapsed`].
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

/// A precision by its name; `auto` is none.
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
