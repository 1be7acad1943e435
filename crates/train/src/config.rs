//! The configuration of a run, and the checks of its settings.

use selfsame_augment::Policy;
use selfsame_data::{Exif, MAX_IMAGE_SIZE};
use selfsame_methods::{ConfigError, MethodConfig, need};
use selfsame_nn::{EncoderConfig, MlpConfig, ResNetConfig};
use serde::{Deserialize, Serialize};

/// All settings that determine a run, as stored in `config.toml` in the folder of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of the initial weights, the order of the images, and the views.
    #[serde(with = "crate::seed")]
    pub seed: u64,
    /// Digest of the initial weights of the encoder, as returned by
    /// [`checkpoint::save_init`](crate::checkpoint::save_init). If unset, the encoder starts from
    /// random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// The images.
    pub data: DataConfig,
    /// The encoder.
    pub encoder: EncoderConfig,
    /// The method and its settings.
    pub method: MethodConfig,
    /// Settings of the training.
    pub train: TrainConfig,
    /// Policy that draws views.
    pub augment: Policy,
}

/// The images, and the size to which they are resized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Source of the images: `glyphs`, a folder, a tar file, …
    pub source: String,
    /// Seed of the splits. If unset, it is the seed of the run.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::seed::option")]
    pub split_seed: Option<u64>,
    /// Side of the square images, in pixels.
    pub image_size: u32,
    /// Largest shorter side of the sources that crops are drawn from, in pixels. If unset, crops
    /// are drawn from the images themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_size: Option<u32>,
    /// Maximum number of images to take for training and validation together, and maximum number to
    /// take for test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Table of labels, if classes are not those of the images' folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// Classes to use, or all classes if unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Whether images are turned upright, as their EXIF orientation says.
    #[serde(default, skip_serializing_if = "Exif::is_default")]
    pub exif: Exif,
}

impl DataConfig {
    /// Returns the largest shorter side of what crops are drawn from, in pixels.
    pub fn source_size(&self) -> u32 {
        self.source_size.unwrap_or(self.image_size)
    }
}

/// Settings of the minimisation of a loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Number of passes over the training images.
    pub epochs: usize,
    /// Number of images per step.
    pub batch: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Number of epochs, possibly a fraction, over which the learning rate rises linearly from 0.
    pub warmup_epochs: f64,
    /// Factor of weight decay. The documentation of each optimizer says which parameters decay.
    pub weight_decay: f64,
    /// Largest Euclidean norm of an objective's gradient. A longer gradient is scaled down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Number of epochs between two kNN measurements on the validation split, or 0 for no
    /// measurements.
    pub knn_every: usize,
    /// Number of neighbours of kNN, during training and at its end. If unset, the evaluation
    /// chooses it without the test split; during training, where there is no second set to choose
    /// on, it is a tenth of the images of a class, at most 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knn_k: Option<usize>,
    /// The rule that moves the weights.
    pub optimizer: OptimizerKind,
    /// Trust coefficient η of LARS: the length of a step relative to the length of the layer's
    /// weight. The default is 0.001, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<f64>,
    /// Whether a layer steps at the smaller of LARS's local rate and the learning rate, instead of
    /// at the product of both. This is LARC, or `clip_lr` in solo-learn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trust_capped: bool,
    /// Approximate number of images that pass the networks at a time, to save the memory of
    /// activations. If unset, the whole batch passes at once. The gradient is the gradient of the
    /// whole batch, except that batch normalisation takes its statistics over a microbatch or, with
    /// MoCo's splits, over a part of a microbatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microbatch: Option<usize>,
    /// Distance ε of the curve `r_epsilon`. The curve shows the share of images whose two
    /// normalised outputs are more than ε apart.
    pub epsilon: f64,
}

/// The rule that moves the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum 0.9, and weight decay on every parameter, as in
    /// PyTorch.
    Sgd,
    /// LARS (You et al. 2017) with momentum 0.9. Biases and batch normalisation take a plain step
    /// without weight decay.
    Lars,
    /// AdamW (Loshchilov and Hutter 2019) with β of 0.9 and 0.999, and decoupled weight decay on
    /// every parameter.
    AdamW,
}

/// A [`Config`] whose settings have been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan(Config);

impl std::ops::Deref for Plan {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

impl Plan {
    /// Returns the seed of the splits.
    pub fn split_seed(&self) -> u64 {
        self.data.split_seed.unwrap_or(self.seed)
    }

    /// Sets the initial weights to the weights with the digest `init`.
    pub fn starting_from(self, init: String) -> Self {
        Self(Config { init: Some(init), ..self.0 })
    }

    /// Fixes the number of neighbours of kNN, at least 1.
    pub fn voting(mut self, k: usize) -> Self {
        self.0.train.knn_k = Some(k);
        self
    }

    /// Reads the images, and their table of labels, from another place. What is not given stays.
    pub fn reading(mut self, source: Option<String>, labels: Option<String>) -> Self {
        let data = &mut self.0.data;
        data.source = source.unwrap_or_else(|| std::mem::take(&mut data.source));
        data.labels = labels.or(data.labels.take());
        self
    }

    /// Sets the number of epochs. The learning rate then follows the schedule of that many epochs,
    /// so a complete run that is given more goes on with a higher rate than it ended with.
    pub fn prolonged(mut self, epochs: usize) -> Self {
        self.0.train.epochs = epochs;
        self
    }
}

impl Config {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`ConfigError`] names the first setting that is out of range.
    pub fn check(self) -> Result<Plan, ConfigError> {
        check_image_size(self.data.image_size)?;
        let (image, source) = (self.data.image_size, self.data.source_size());
        let allowed = (image..=MAX_IMAGE_SIZE).contains(&source);
        need("data.source_size", source, allowed, "data.image_size to 4096 pixels")?;
        check_settings(&self.encoder, &self.method, &self.train)?;
        if let EncoderConfig::Mlp(MlpConfig { image_size, .. }) = self.encoder {
            need(
                "encoder.image_size",
                image_size,
                image_size == self.data.image_size as usize,
                "data.image_size, since a perceptron takes images of one size",
            )?;
        }
        Ok(Plan(self))
    }
}

/// Checks the side of the images, in pixels.
///
/// # Errors
/// If the size is out of range.
pub fn check_image_size(image_size: u32) -> Result<(), ConfigError> {
    need("data.image_size", image_size, (8..=1024).contains(&image_size), "8 to 1024 pixels")
}

/// Checks the settings that do not depend on the images.
///
/// # Errors
/// [`ConfigError`] names the first setting that is out of range.
pub fn check_settings(
    encoder: &EncoderConfig,
    method: &MethodConfig,
    t: &TrainConfig,
) -> Result<(), ConfigError> {
    match encoder {
        EncoderConfig::ResNet(ResNetConfig { width, .. }) => {
            need("encoder.width", width, (1..=1024).contains(width), "1 to 1024 channels")?;
        }
        EncoderConfig::Mlp(MlpConfig { width, .. }) => {
            need("encoder.width", width, (1..=4096).contains(width), "1 to 4096 units")?;
        }
    }
    method.method().check()?;
    need("train.epochs", t.epochs, (1..=1_000_000).contains(&t.epochs), "1 to 1000000")?;
    need(
        "train.batch",
        t.batch,
        (2..=1 << 20).contains(&t.batch),
        "at least 2, for a batch of one has no negatives",
    )?;
    need("train.learning_rate", t.learning_rate, positive(t.learning_rate), "a number above 0")?;
    need(
        "train.warmup_epochs",
        t.warmup_epochs,
        t.warmup_epochs >= 0.0 && t.warmup_epochs <= t.epochs as f64,
        "0 to the number of epochs",
    )?;
    need(
        "train.weight_decay",
        t.weight_decay,
        t.weight_decay == 0.0 || positive(t.weight_decay),
        "0 or more",
    )?;
    if let Some(clip) = t.clip_norm {
        need("train.clip_norm", clip, positive(clip), "a number above 0")?;
    }
    need("train.epsilon", t.epsilon, positive(t.epsilon), "a number above 0")?;
    if let Some(k) = t.knn_k {
        need("train.knn_k", k, k >= 1, "at least 1")?;
    }
    if let Some(trust) = t.trust {
        need("train.trust", trust, positive(trust), "a number above 0")?;
    }
    if let Some(microbatch) = t.microbatch {
        need(
            "train.microbatch",
            microbatch,
            microbatch >= 2,
            "at least 2, for batch normalisation to see some",
        )?;
    }
    Ok(())
}

fn positive(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use selfsame_nn::{Architecture, Precision, Stem};

    fn resnet(width: usize) -> EncoderConfig {
        let (architecture, stem) = (Architecture::ResNet18, Stem::Cifar);
        ResNetConfig { architecture, stem, width, precision: Precision::F32 }.into()
    }

    fn sensible() -> Config {
        Config {
            seed: 0,
            init: None,
            data: DataConfig {
                source: "glyphs".into(),
                split_seed: None,
                image_size: 32,
                source_size: None,
                limit: None,
                labels: None,
                classes: None,
                exif: Exif::default(),
            },
            encoder: resnet(16),
            method: MethodConfig::by_name("simclr", 8).unwrap(),
            train: TrainConfig {
                epochs: 2,
                batch: 4,
                learning_rate: 0.1,
                warmup_epochs: 0.5,
                weight_decay: 0.0,
                clip_norm: None,
                knn_every: 1,
                knn_k: None,
                optimizer: OptimizerKind::Sgd,
                trust: None,
                trust_capped: false,
                microbatch: None,
                epsilon: 0.5,
            },
            augment: "abcde".parse().unwrap(),
        }
    }

    fn simclr(config: &mut Config) -> &mut selfsame_methods::SimClr {
        match &mut config.method {
            MethodConfig::SimClr(simclr) => simclr,
            other => panic!("{} is not simclr", other.name()),
        }
    }

    #[test]
    fn refuses_each_setting_that_makes_no_sense_by_name() {
        assert!(sensible().check().is_ok());
        type Spoil = fn(&mut Config);
        let cases: Vec<(&str, Spoil)> = vec![
            ("data.image_size", |c| c.data.image_size = 7),
            ("data.source_size", |c| c.data.source_size = Some(31)),
            ("encoder.width", |c| c.encoder = resnet(0)),
            ("encoder.width", |c| c.encoder = MlpConfig { width: 4097, image_size: 32 }.into()),
            ("encoder.image_size", |c| c.encoder = MlpConfig { width: 8, image_size: 33 }.into()),
            ("method.temperature", |c| simclr(c).temperature = f64::NAN),
            ("method.temperature_end", |c| simclr(c).temperature_end = Some(0.0)),
            ("method.hidden", |c| simclr(c).hidden = 0),
            ("method.output", |c| simclr(c).output = 0),
            ("train.epochs", |c| c.train.epochs = 0),
            ("train.batch", |c| c.train.batch = 1),
            ("train.learning_rate", |c| c.train.learning_rate = f64::INFINITY),
            ("train.warmup_epochs", |c| c.train.warmup_epochs = 2.5),
            ("train.warmup_epochs", |c| c.train.warmup_epochs = f64::NAN),
            ("train.weight_decay", |c| c.train.weight_decay = -1e-4),
            ("train.clip_norm", |c| c.train.clip_norm = Some(0.0)),
            ("train.epsilon", |c| c.train.epsilon = f64::NAN),
            ("train.knn_k", |c| c.train.knn_k = Some(0)),
            ("train.trust", |c| c.train.trust = Some(0.0)),
            ("train.microbatch", |c| c.train.microbatch = Some(1)),
        ];
        for (field, spoil) in cases {
            let mut config = sensible();
            spoil(&mut config);
            assert_eq!(config.check().unwrap_err().field, field);
        }
    }

    #[test]
    fn every_seed_survives_its_own_toml() {
        for seed in [1 << 63, u64::MAX] {
            let mut config = Config { seed, ..sensible() };
            // A run that says nothing of its splits is one whose splits follow its seed.
            assert_eq!(config.clone().check().unwrap().split_seed(), seed);
            config.data.split_seed = Some(seed - 1);
            let text = toml::to_string(&config).unwrap();
            assert_eq!(toml::from_str::<Config>(&text).unwrap(), config, "{text}");
            assert_eq!(config.check().unwrap().split_seed(), seed - 1);
        }
    }

    #[test]
    fn survives_its_own_toml() {
        let text = toml::to_string(&sensible()).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), sensible(), "{text}");
        assert!(
            toml::from_str::<Config>(&text.replace("epochs = 2", "epochs = 2\nepoch = 3")).is_err()
        );
        let section = "[encoder]\narchitecture = \"resnet18\"\nstem = \"cifar\"\nwidth = 16\n\
                       precision = \"f32\"\n";
        assert!(text.contains(section), "{text}");

        let mlp = MlpConfig { width: 24, image_size: 32 }.into();
        let mlp = toml::to_string(&Config { encoder: mlp, ..sensible() }).unwrap();
        let read = |text: &str| toml::from_str::<Config>(text);
        assert_eq!(read(&mlp).unwrap().encoder.dim(), 24, "{mlp}");
        for (text, what) in [
            (mlp.replace("width = 24", "width = 24\nstem = \"cifar\""), "an mlp has no `stem`"),
            (mlp.replace("width = 24\nimage_size = 32", "width = 24"), "needs its `image_size`"),
            (text.replace("stem = \"cifar\"\n", ""), "needs its `stem`"),
            (text.replace("precision", "precison"), "unknown field `precison`"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(what), "{error} for\n{text}");
        }
    }
}
