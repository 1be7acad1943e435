use selfsame_augment::Policy;
use selfsame_methods::SimClrConfig;
use selfsame_nn::EncoderConfig;
use serde::{Deserialize, Serialize};

/// Everything a run is determined by, as it stands in the run's `config.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of the splits, the initial weights, the order of images and the views.
    pub seed: u64,
    /// The images.
    pub data: DataConfig,
    /// The encoder.
    pub encoder: EncoderConfig,
    /// The method and its settings.
    pub method: Method,
    /// The training.
    pub train: TrainConfig,
    /// How views are drawn.
    pub augment: Policy,
}

/// Which images, and how they are brought to one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// `glyphs`, a folder, a tar file, …
    pub source: String,
    /// Side of the square images, in pixels.
    pub image_size: u32,
    /// Take at most this many images of each of train with validation, and test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Take these classes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
}

/// A method with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Method {
    /// SimCLR (Chen et al. 2020).
    SimClr(SimClrConfig),
}

impl Method {
    /// The name users know it by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SimClr(_) => "simclr",
        }
    }
}

/// How the loss is minimised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images a step, each in two views.
    pub batch: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Epochs over which the learning rate rises linearly from 0; a fraction is fine.
    pub warmup_epochs: f64,
    /// L2 penalty's factor.
    pub weight_decay: f64,
    /// Largest Euclidean norm of the whole gradient; a longer one is scaled down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Epochs between two kNN measurements on the validation split; 0 for none.
    pub knn_every: usize,
    /// The rule that moves the weights.
    pub optimizer: OptimizerKind,
}

/// The rule that moves the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum 0.9; weight decay on every parameter, as PyTorch does.
    Sgd,
    /// LARS (You et al. 2017) with momentum 0.9 and trust 0.001; biases and batch normalisation take the plain
    /// step, without weight decay.
    Lars,
    /// AdamW (Loshchilov and Hutter 2019) with β 0.9 and 0.999; decoupled weight decay on every parameter.
    AdamW,
}

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{field} = {value} makes no sense: {need}")]
pub struct ConfigError {
    /// The setting, as in `config.toml`.
    pub field: &'static str,
    /// What it was.
    pub value: String,
    /// What it must be.
    pub need: &'static str,
}

/// A [`Config`] that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan(Config);

impl std::ops::Deref for Plan {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

impl Config {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first that makes no sense, by name.
    pub fn check(self) -> Result<Plan, ConfigError> {
        let (t, e) = (&self.train, &self.encoder);
        let Method::SimClr(m) = &self.method;
        need("data.image_size", self.data.image_size, (8..=1024).contains(&self.data.image_size), "8 to 1024 pixels")?;
        need("encoder.width", e.width, (1..=1024).contains(&e.width), "1 to 1024 channels")?;
        need(
            "method.temperature",
            m.temperature,
            m.temperature.is_finite() && m.temperature > 0.0,
            "a number above 0",
        )?;
        need("method.hidden", m.hidden, (1..=65536).contains(&m.hidden), "1 to 65536")?;
        need("method.output", m.output, (1..=65536).contains(&m.output), "1 to 65536")?;
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
        need("train.weight_decay", t.weight_decay, t.weight_decay == 0.0 || positive(t.weight_decay), "0 or more")?;
        if let Some(clip) = t.clip_norm {
            need("train.clip_norm", clip, positive(clip), "a number above 0")?;
        }
        Ok(Plan(self))
    }
}

fn positive(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

fn need(
    field: &'static str,
    value: impl std::fmt::Display,
    holds: bool,
    need: &'static str,
) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError { field, value: value.to_string(), need }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use selfsame_nn::{Architecture, Stem};

    fn sensible() -> Config {
        Config {
            seed: 0,
            data: DataConfig { source: "glyphs".into(), image_size: 32, limit: None, classes: None },
            encoder: EncoderConfig { architecture: Architecture::ResNet18, stem: Stem::Cifar, width: 16 },
            method: Method::SimClr(SimClrConfig { temperature: 0.5, hidden: 8, output: 8 }),
            train: TrainConfig {
                epochs: 2,
                batch: 4,
                learning_rate: 0.1,
                warmup_epochs: 0.5,
                weight_decay: 0.0,
                clip_norm: None,
                knn_every: 1,
                optimizer: OptimizerKind::Sgd,
            },
            augment: "abcde".parse().unwrap(),
        }
    }

    #[test]
    fn refuses_each_setting_that_makes_no_sense_by_name() {
        assert!(sensible().check().is_ok());
        type Spoil = fn(&mut Config);
        let cases: Vec<(&str, Spoil)> = vec![
            ("data.image_size", |c| c.data.image_size = 7),
            ("encoder.width", |c| c.encoder.width = 0),
            ("method.temperature", |c| {
                c.method = Method::SimClr(SimClrConfig { temperature: f64::NAN, hidden: 8, output: 8 })
            }),
            ("method.hidden", |c| c.method = Method::SimClr(SimClrConfig { temperature: 0.5, hidden: 0, output: 8 })),
            ("method.output", |c| c.method = Method::SimClr(SimClrConfig { temperature: 0.5, hidden: 8, output: 0 })),
            ("train.epochs", |c| c.train.epochs = 0),
            ("train.batch", |c| c.train.batch = 1),
            ("train.learning_rate", |c| c.train.learning_rate = f64::INFINITY),
            ("train.warmup_epochs", |c| c.train.warmup_epochs = 2.5),
            ("train.warmup_epochs", |c| c.train.warmup_epochs = f64::NAN),
            ("train.weight_decay", |c| c.train.weight_decay = -1e-4),
            ("train.clip_norm", |c| c.train.clip_norm = Some(0.0)),
        ];
        for (field, spoil) in cases {
            let mut config = sensible();
            spoil(&mut config);
            assert_eq!(config.check().unwrap_err().field, field);
        }
    }

    #[test]
    fn survives_its_own_toml() {
        let text = toml::to_string(&sensible()).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), sensible(), "{text}");
        assert!(toml::from_str::<Config>(&text.replace("epochs = 2", "epochs = 2\nepoch = 3")).is_err());
    }
}
