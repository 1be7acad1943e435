//! Turns options into a checked plan.

use std::fmt::Display;

use selfsame_augment::Policy;
use selfsame_data::{Dataset, Exif};
use selfsame_methods::{METHODS, MethodConfig};
use selfsame_nn::{Architecture, EncoderConfig, MlpConfig, Precision, ResNetConfig, Stem, device};
use selfsame_train::{
    Config, DataConfig, EPSILON, OptimizerKind, Plan, Recipe, TrainConfig, check_image_size,
    check_settings,
};
use serde::{Deserialize, Serialize};

use super::options::{Images, MethodChoice, PretrainOptions, absolute_labels};
use crate::Error;
use crate::encoder::EncoderKind;
use crate::policy::usual_policy;

/// Maximum image side for which the CIFAR stem is the default. After the ImageNet stem, the
/// resolution is a quarter of the resolution after the CIFAR stem, and the last stage for a
/// 96-pixel image would be 3 × 3.
const CIFAR_STEM_UP_TO: u32 = 96;
/// Default number of units in each hidden layer of a perceptron.
const PERCEPTRON_WIDTH: usize = 512;

/// The checked settings that determine a run, except for the size of its images, which is only
/// known once the images are read.
pub(crate) struct Settings {
    seed: u64,
    split_seed: u64,
    source: String,
    limit: Option<usize>,
    labels: Option<String>,
    classes: Option<Vec<String>>,
    exif: Exif,
    /// The encoder. [`Settings::plan`] still has to set its stem or its number of inputs.
    encoder: EncoderConfig,
    /// The stem, if one was asked for.
    stem: Option<Stem>,
    method: MethodConfig,
    train: TrainConfig,
    augment: Policy,
}

impl Settings {
    /// Resolves and checks the options.
    ///
    /// # Errors
    /// If an option makes no sense; the error names the first such option.
    pub(crate) fn of(options: &PretrainOptions) -> Result<Self, Error> {
        if let Some(size) = options.image_size {
            check_image_size(size)?;
        }
        let recipe =
            options.recipe.as_deref().map(|name| recipe(name, &options.method)).transpose()?;
        let encoder = encoder(options, recipe.as_ref())?;
        let method = match (&recipe, &options.method) {
            (_, MethodChoice::Settings(settings)) => *settings,
            (Some(recipe), MethodChoice::Named(_)) => recipe.method,
            (None, MethodChoice::Named(name)) => MethodConfig::by_name(name, encoder.dim())
                .ok_or_else(|| Error::option("method", name, "no method is called that"))?,
        };
        let method = with_temperature(method, options.temperature)?;
        let train = train(options, recipe.as_ref().map(|recipe| recipe.train));
        check_set(options)?;
        let Sections { method, train } = with_set(Sections { method, train }, &options.set)?;
        check_settings(&encoder, &method, &train)?;
        let augment = match (&options.augment, recipe) {
            (Some(policy), _) => *policy,
            (None, Some(recipe)) => crate::policy(recipe.augment)?,
            (None, None) => usual_policy(match &options.data {
                Images::Named(name) => name,
                Images::InMemory(_) => "",
            }),
        };
        Ok(Self {
            seed: options.seed,
            split_seed: options.split_seed,
            source: options.data.absolute(),
            limit: options.limit,
            labels: options.labels.as_deref().map(absolute_labels),
            classes: options.classes.clone(),
            exif: options.exif,
            encoder,
            stem: options.stem,
            method,
            train,
            augment,
        })
    }

    /// Returns the plan for these images.
    ///
    /// # Errors
    /// If the encoder cannot take images of this size.
    pub(crate) fn plan(self, images: &Dataset) -> Result<Plan, Error> {
        let image_size = images.image_size;
        let config = Config {
            seed: self.seed,
            init: None,
            data: DataConfig {
                source: self.source,
                split_seed: Some(self.split_seed),
                image_size,
                source_size: images.larger_source(),
                limit: self.limit,
                labels: self.labels,
                classes: self.classes,
                exif: self.exif,
            },
            encoder: match self.encoder {
                EncoderConfig::ResNet(encoder) => {
                    // The images decide, and not the recipe, because a recipe's own images are
                    // small.
                    let stem = self.stem.unwrap_or_else(|| default_stem(image_size));
                    ResNetConfig { stem, ..encoder }.into()
                }
                EncoderConfig::Mlp(encoder) => {
                    MlpConfig { image_size: image_size as usize, ..encoder }.into()
                }
            },
            method: self.method,
            train: self.train,
            augment: self.augment,
        };
        Ok(config.check()?)
    }
}

impl PretrainOptions {
    /// Returns the plan for these images, with every setting that training uses.
    ///
    /// # Errors
    /// If an option makes no sense; the error names the first such option.
    pub fn plan(&self, images: &Dataset) -> Result<Plan, Error> {
        Settings::of(self)?.plan(images)
    }
}

/// Refuses options that set the same setting twice, because one of the values would be lost
/// silently.
fn check_set(options: &PretrainOptions) -> Result<(), Error> {
    let fields = [
        ("method.temperature", "temperature", options.temperature.is_some()),
        ("train.epochs", "epochs", options.epochs.is_some()),
        ("train.batch", "batch", options.batch.is_some()),
        ("train.microbatch", "microbatch", options.microbatch.is_some()),
        ("train.optimizer", "optimizer", options.optimizer.is_some()),
        ("train.learning_rate", "lr", options.lr.is_some()),
        ("train.warmup_epochs", "warmup-epochs", options.warmup_epochs.is_some()),
        ("train.weight_decay", "weight-decay", options.weight_decay.is_some()),
        ("train.clip_norm", "clip-norm", options.clip_norm.is_some()),
        ("train.knn_every", "knn-every", options.knn_every.is_some()),
        ("train.knn_k", "knn-k", options.knn_k.is_some()),
    ];
    let keys: Vec<&str> =
        options.set.iter().filter_map(|pair| Some(pair.split_once('=')?.0.trim())).collect();
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].contains(key) {
            return Err(Error::option("set", key, "it is given twice; leave one out"));
        }
        if let Some((_, field, _)) = fields.iter().find(|(name, _, given)| name == key && *given) {
            let cause = format!("{field} sets the same; leave one out");
            return Err(Error::option("set", key, cause));
        }
    }
    Ok(())
}

fn recipe(name: &str, method: &MethodChoice) -> Result<Recipe, Error> {
    let method = method.name();
    selfsame_train::recipe(name, method).ok_or_else(|| {
        let has = |(method, _): &(&'static str, _)| selfsame_train::recipe(name, method).is_some();
        let having: Vec<&str> =
            METHODS.iter().filter(|method| has(method)).map(|(method, _)| *method).collect();
        let cause = format!("it has no {method}; it has {}", having.join(", "));
        Error::option("recipe", name, cause)
    })
}

/// Returns the encoder, except for the settings that depend on the size of the images.
fn encoder(options: &PretrainOptions, recipe: Option<&Recipe>) -> Result<EncoderConfig, Error> {
    let device = device::by_name(&options.device)?;
    let precision = options.precision.unwrap_or_else(|| Precision::fastest(&device));
    let recipe = recipe.map(|recipe| recipe.encoder);
    let architecture = match options.encoder {
        Some(EncoderKind::ResNet18) => Architecture::ResNet18,
        Some(EncoderKind::ResNet34) => Architecture::ResNet34,
        Some(EncoderKind::ResNet50) => Architecture::ResNet50,
        Some(EncoderKind::Mlp) => return perceptron(options),
        None => recipe.map_or(Architecture::ResNet18, |recipe| recipe.architecture),
    };
    // Ten shapes need no more width, and a newcomer's first run should be short.
    let sensible = if options.data.are_glyphs() { 8 } else { 16 };
    let width = options.width.unwrap_or(recipe.map_or(sensible, |recipe| recipe.width));
    Ok(ResNetConfig { architecture, stem: Stem::Cifar, width, precision }.into())
}

fn perceptron(options: &PretrainOptions) -> Result<EncoderConfig, Error> {
    if let Some(stem) = options.stem {
        let stem = format!("{stem:?}").to_lowercase();
        return Err(Error::option("stem", stem, "a multilayer perceptron has none"));
    }
    if let Some(precision @ Precision::Bf16) = options.precision {
        let cause = "activations of a multilayer perceptron are f32";
        return Err(Error::option("precision", precision, cause));
    }
    let width = options.width.unwrap_or(PERCEPTRON_WIDTH);
    Ok(MlpConfig { width, image_size: 0 }.into())
}

/// Returns the first layers that suit images of side `image_size`, in pixels.
fn default_stem(image_size: u32) -> Stem {
    if image_size <= CIFAR_STEM_UP_TO { Stem::Cifar } else { Stem::ImageNet }
}

fn train(options: &PretrainOptions, recipe: Option<TrainConfig>) -> TrainConfig {
    let batch = options.batch.unwrap_or(recipe.map_or(128, |recipe| recipe.batch));
    let epochs = options.epochs.unwrap_or(recipe.map_or(25, |recipe| recipe.epochs));
    // Take the rule and its settings from the recipe, unless another rule is asked for. A learning
    // rate for one batch size is scaled in proportion to another batch size (Goyal et al. 2017),
    // except for AdamW's default, as Adam sets its own scale.
    let asked = options.optimizer;
    let rule = match recipe.filter(|recipe| asked.is_none_or(|asked| asked == recipe.optimizer)) {
        Some(recipe) => {
            let share = batch as f64 / recipe.batch as f64;
            TrainConfig { learning_rate: recipe.learning_rate * share, ..recipe }
        }
        None => {
            let share = batch as f64 / 256.0;
            let optimizer = asked.unwrap_or(OptimizerKind::AdamW);
            let (learning_rate, weight_decay) = match optimizer {
                OptimizerKind::Sgd => (0.3 * share, 5e-4),
                OptimizerKind::Lars => (1.0 * share, 1e-6),
                OptimizerKind::AdamW => (3e-3, 1e-2),
            };
            let warmup_epochs = (epochs as f64 / 10.0).min(10.0);
            TrainConfig {
                epochs,
                batch,
                learning_rate,
                warmup_epochs,
                weight_decay,
                clip_norm: None,
                knn_every: 0,
                knn_k: None,
                optimizer,
                trust: None,
                trust_capped: false,
                microbatch: None,
                epsilon: EPSILON,
            }
        }
    };
    TrainConfig {
        epochs,
        batch,
        learning_rate: options.lr.unwrap_or(rule.learning_rate),
        // A recipe's warm-up belongs to its number of epochs. With fewer epochs, the warm-up takes
        // at most a tenth of them, as it does without a recipe.
        warmup_epochs: options
            .warmup_epochs
            .unwrap_or(rule.warmup_epochs.min(epochs as f64 / 10.0)),
        weight_decay: options.weight_decay.unwrap_or(rule.weight_decay),
        clip_norm: options.clip_norm.or(rule.clip_norm),
        knn_every: options.knn_every.unwrap_or(epochs.div_ceil(10)),
        knn_k: options.knn_k.or(rule.knn_k),
        microbatch: options.microbatch,
        ..rule
    }
}

fn with_temperature(method: MethodConfig, temperature: Option<f64>) -> Result<MethodConfig, Error> {
    let Some(temperature) = temperature else { return Ok(method) };
    let refuse = |cause: &dyn Display| Error::option("temperature", temperature, cause);
    let mut settings = toml::Table::try_from(method).map_err(|e| refuse(&e))?;
    match settings.get_mut("temperature") {
        Some(setting) => *setting = temperature.into(),
        None => return Err(refuse(&format_args!("{} has no temperature", method.name()))),
    }
    settings.try_into().map_err(|e| refuse(&e))
}

/// The sections of `config.toml` that the option `set` can change.
#[derive(Serialize, Deserialize)]
struct Sections {
    method: MethodConfig,
    train: TrainConfig,
}

/// Applies the option `set`, given as `pairs`, to the sections, in order.
fn with_set(sections: Sections, pairs: &[String]) -> Result<Sections, Error> {
    if pairs.is_empty() {
        return Ok(sections);
    }
    // TOML has no integers beyond 63 bits.
    let mut table = toml::Table::try_from(&sections)
        .map_err(|error| Error::option("set", pairs.join(" "), error))?;
    for pair in pairs {
        let refuse = |cause: &dyn Display| Error::option("set", pair, cause);
        let (key, value) = pair.split_once('=').ok_or_else(|| refuse(&"write it as key=value"))?;
        let (section, field) = match key.trim().split_once('.') {
            Some((section @ ("method" | "train"), field))
                if (section, field) != ("method", "name") =>
            {
                (section, field)
            }
            _ => {
                return Err(refuse(
                    &"keys are those of method. and train. in config.toml; the rest has options",
                ));
            }
        };
        let mut first = None;
        let read = readings(value.trim()).into_iter().find_map(|value| {
            let mut table = table.clone();
            table.get_mut(section)?.as_table_mut()?.insert(field.to_owned(), value);
            let read: Result<Sections, _> = table.clone().try_into();
            read.map_err(|e| first.get_or_insert(in_words(e.message())).clone()).ok().map(|_| table)
        });
        table = read.ok_or_else(|| refuse(&first.unwrap_or_default()))?;
    }
    table
        .try_into()
        .map_err(|e: toml::de::Error| Error::option("set", pairs.join(" "), e.message()))
}

/// Rewrites an error message without Rust's type names.
fn in_words(message: &str) -> String {
    message
        .replace("expected f64", "expected a number")
        .replace("expected usize", "expected a whole number")
}

/// Returns the possible meanings of a text: a TOML value, a whole number as a float, and a plain
/// string.
fn readings(text: &str) -> Vec<toml::Value> {
    let parsed = format!("value = {text}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut table| table.remove("value"));
    let whole = parsed
        .as_ref()
        .and_then(toml::Value::as_integer)
        .map(|whole| toml::Value::Float(whole as f64));
    let word = toml::Value::String(text.to_owned());
    [parsed, whole, Some(word)].into_iter().flatten().collect()
}
