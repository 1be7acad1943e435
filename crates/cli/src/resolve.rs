//! From what was typed to a checked plan.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use selfsame::data::LoadOptions;
use selfsame::methods::{METHODS, MethodConfig};
use selfsame::nn::{Architecture, EncoderConfig, Precision, ResNetConfig, Stem, device};
use selfsame::train::{Config, DataConfig, EPSILON, OptimizerKind, Plan, Recipe, TrainConfig};

use crate::args::{EncoderName, OptimizerName, PrecisionName, Pretrain, StemName};
use crate::misuse;

/// Images up to this side keep the CIFAR stem by default: at its quarter of the resolution the
/// ImageNet stem would leave a 96-pixel image a last stage of 3 × 3.
const CIFAR_STEM_UP_TO: u32 = 96;
/// The policy, where none is asked for.
pub const AUGMENT: &str = "abcde";

/// How the images of a run are read; decoded ones that are too many for memory are kept in `cache`.
pub fn images(args: &Pretrain, cache: Option<PathBuf>) -> LoadOptions {
    LoadOptions {
        image_size: args.image_size,
        seed: args.seed,
        limit: args.limit,
        classes: args.classes.clone(),
        strict: args.strict,
        cache,
    }
}

/// Everything a run is determined by. `image_size` is what the images came to.
pub fn plan(args: &Pretrain, image_size: u32) -> anyhow::Result<Plan> {
    let recipe = args.recipe.as_deref().map(|name| recipe(name, &args.method)).transpose()?;
    let encoder = encoder(args, recipe.as_ref(), image_size)?;
    let method = match &recipe {
        Some(recipe) => recipe.method,
        None => MethodConfig::by_name(&args.method, encoder.dim())
            .ok_or_else(|| misuse(format!("--method {}: unknown", args.method)))?,
    };
    let augment = args.augment.as_deref().or(recipe.as_ref().map(|recipe| recipe.augment));
    let config = Config {
        seed: args.seed,
        init: None,
        data: DataConfig {
            source: source(&args.data),
            image_size,
            limit: args.limit,
            classes: args.classes.clone(),
        },
        encoder,
        method: with_temperature(method, args.temperature)?,
        train: train(args, recipe.map(|recipe| recipe.train)),
        augment: selfsame::policy(augment.unwrap_or(AUGMENT))?,
    };
    check_set(args)?;
    with_set(config, &args.set)?.check().map_err(misuse)
}

/// Refuses two settings of the same thing, of which one would be lost in silence.
fn check_set(args: &Pretrain) -> anyhow::Result<()> {
    let options = [
        ("method.temperature", "--temperature", args.temperature.is_some()),
        ("train.epochs", "--epochs", args.epochs.is_some()),
        ("train.batch", "--batch", args.batch.is_some()),
        ("train.microbatch", "--microbatch", args.microbatch.is_some()),
        ("train.optimizer", "--optimizer", args.optimizer.is_some()),
        ("train.learning_rate", "--lr", args.lr.is_some()),
        ("train.warmup_epochs", "--warmup-epochs", args.warmup_epochs.is_some()),
        ("train.weight_decay", "--weight-decay", args.weight_decay.is_some()),
        ("train.clip_norm", "--clip-norm", args.clip_norm.is_some()),
        ("train.knn_every", "--knn-every", args.knn_every.is_some()),
    ];
    let keys: Vec<&str> =
        args.set.iter().filter_map(|pair| Some(pair.split_once('=')?.0.trim())).collect();
    for (at, key) in keys.iter().enumerate() {
        if keys[..at].contains(key) {
            return Err(misuse(format!("--set {key} is given twice; leave one out")));
        }
        if let Some((_, option, _)) = options.iter().find(|(own, _, given)| own == key && *given) {
            return Err(misuse(format!("--set {key} and {option} set the same; leave one out")));
        }
    }
    Ok(())
}

fn recipe(name: &str, method: &str) -> anyhow::Result<Recipe> {
    selfsame::train::recipe(name, method).ok_or_else(|| {
        let has = |(method, _): &(&'static str, _)| selfsame::train::recipe(name, method).is_some();
        let those: Vec<&str> =
            METHODS.iter().filter(|method| has(method)).map(|(method, _)| *method).collect();
        misuse(format!("--recipe {name} has no {method}; it has {}", those.join(", ")))
    })
}

fn encoder(
    args: &Pretrain,
    recipe: Option<&Recipe>,
    image_size: u32,
) -> anyhow::Result<EncoderConfig> {
    // Ten shapes need no more, and the first thing a newcomer runs should not take longer.
    let sensible = if args.data == "glyphs" { 8 } else { 16 };
    let otherwise = ResNetConfig {
        architecture: recipe.map_or(Architecture::ResNet18, |recipe| recipe.encoder.architecture),
        // By the images and not by the recipe, whose images are small.
        stem: stem(image_size),
        width: recipe.map_or(sensible, |recipe| recipe.encoder.width),
        precision: precision(args.precision, &args.device.device)?,
    };
    Ok(encoder_or(args.encoder, args.stem, args.width, otherwise))
}

/// What is asked for of an encoder, and the rest as `otherwise`.
pub fn encoder_or(
    name: Option<EncoderName>,
    stem: Option<StemName>,
    width: Option<usize>,
    otherwise: ResNetConfig,
) -> EncoderConfig {
    let stem = stem.map_or(otherwise.stem, |stem| match stem {
        StemName::Cifar => Stem::Cifar,
        StemName::Imagenet => Stem::ImageNet,
    });
    let architecture = name.map_or(otherwise.architecture, architecture);
    let width = width.unwrap_or(otherwise.width);
    ResNetConfig { architecture, stem, width, ..otherwise }.into()
}

/// The precision asked for, or the faster one on the device.
pub fn precision(name: PrecisionName, device: &str) -> anyhow::Result<Precision> {
    let device = device::by_name(device).map_err(misuse)?;
    Ok(match name {
        PrecisionName::Auto => Precision::fastest(&device),
        PrecisionName::Bf16 => Precision::Bf16,
        PrecisionName::F32 => Precision::F32,
    })
}

/// The first layers that suit images of a size.
pub fn stem(image_size: u32) -> Stem {
    if image_size <= CIFAR_STEM_UP_TO { Stem::Cifar } else { Stem::ImageNet }
}

/// The network of a name.
pub fn architecture(name: EncoderName) -> Architecture {
    match name {
        EncoderName::Resnet18 => Architecture::ResNet18,
        EncoderName::Resnet34 => Architecture::ResNet34,
        EncoderName::Resnet50 => Architecture::ResNet50,
    }
}

fn train(args: &Pretrain, recipe: Option<TrainConfig>) -> TrainConfig {
    let batch = args.batch.unwrap_or(recipe.map_or(128, |recipe| recipe.batch));
    let epochs = args.epochs.unwrap_or(recipe.map_or(25, |recipe| recipe.epochs));
    let asked = args.optimizer.map(|name| match name {
        OptimizerName::Sgd => OptimizerKind::Sgd,
        OptimizerName::Lars => OptimizerKind::Lars,
        OptimizerName::Adamw => OptimizerKind::AdamW,
    });
    // The rule and what belongs to it: a recipe's, unless another rule is asked for. Rates that
    // hold for one batch size hold for another in proportion (Goyal et al. 2017); Adam sets its own
    // scale.
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
        learning_rate: args.lr.unwrap_or(rule.learning_rate),
        // A recipe's warm-up is of its own epochs; of fewer it is no more than a tenth, as without
        // a recipe.
        warmup_epochs: args.warmup_epochs.unwrap_or(rule.warmup_epochs.min(epochs as f64 / 10.0)),
        weight_decay: args.weight_decay.unwrap_or(rule.weight_decay),
        clip_norm: args.clip_norm.or(rule.clip_norm),
        knn_every: args.knn_every.unwrap_or(epochs.div_ceil(10)),
        microbatch: args.microbatch,
        ..rule
    }
}

fn with_temperature(
    method: MethodConfig,
    temperature: Option<f64>,
) -> anyhow::Result<MethodConfig> {
    let Some(temperature) = temperature else { return Ok(method) };
    let mut settings = toml::Table::try_from(method)?;
    match settings.get_mut("temperature") {
        Some(own) => *own = temperature.into(),
        None => {
            let name = method.name();
            return Err(misuse(format!(
                "--temperature {temperature}: {name} has no temperature; leave it out"
            )));
        }
    }
    Ok(settings.try_into()?)
}

/// The configuration with what `--set` was given, in order.
fn with_set(config: Config, pairs: &[String]) -> anyhow::Result<Config> {
    let mut table = toml::Table::try_from(&config)?;
    for pair in pairs {
        let refuse = |cause: &dyn Display| misuse(format!("--set {pair}: {cause}"));
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
            let read: Result<Config, _> = table.clone().try_into();
            read.map_err(|e| first.get_or_insert(in_words(e.message())).clone()).ok().map(|_| table)
        });
        table = read.ok_or_else(|| refuse(&first.unwrap_or_default()))?;
    }
    Ok(table.try_into()?)
}

/// A refusal without Rust's names of types.
fn in_words(message: &str) -> String {
    message
        .replace("expected f64", "expected a number")
        .replace("expected usize", "expected a whole number")
}

/// What a text can mean: a TOML value, a whole number for one with a fraction, a plain word.
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

/// Where the images are, from whatever folder the run is resumed.
fn source(data: &str) -> String {
    let absolute = std::path::absolute(data).ok().and_then(|path| path.to_str().map(str::to_owned));
    if data == "glyphs" { data.to_owned() } else { absolute.unwrap_or_else(|| data.to_owned()) }
}

/// The run's folder: what `--out` says, or `runs/` and the name of the images.
pub fn out(args: &Pretrain) -> PathBuf {
    args.out.clone().unwrap_or_else(|| {
        let name = Path::new(&args.data)
            .file_stem()
            .map_or("images".into(), |name| name.to_string_lossy());
        Path::new("runs").join(&*name)
    })
}
