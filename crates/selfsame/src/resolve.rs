//! From what was typed to a checked plan.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use selfsame::augment::{Policy, PolicyError};
use selfsame::methods::MethodConfig;
use selfsame::nn::{Architecture, EncoderConfig, Stem};
use selfsame::train::{Config, DataConfig, OptimizerKind, Plan, TrainConfig};

use crate::args::{EncoderName, OptimizerName, Pretrain, StemName, policy_names};
use crate::misuse;

/// Images up to this side keep the CIFAR stem by default: at its quarter of the resolution the ImageNet stem would
/// leave a 96-pixel image a last stage of 3 × 3.
const CIFAR_STEM_UP_TO: u32 = 96;

/// The policy that `--augment` names: letters, a published policy, a TOML file, or a TOML table in braces.
pub fn policy(text: &str) -> anyhow::Result<Policy> {
    let misread = |cause: &dyn Display| misuse(format!("--augment {text}: {cause}"));
    if Path::new(text).extension().is_some_and(|end| end == "toml") {
        let toml = std::fs::read_to_string(text).map_err(|e| misread(&e))?;
        return Policy::from_toml(&toml).map_err(|e| misread(&e));
    }
    text.parse().map_err(|e| match e {
        PolicyError::UnknownLetter { .. } if is_name(text) => misread(&format_args!(
            "no policy is called that; known are {}, `none`, letters of a crop, b blur, c grey, d colour, e flip, and \
             files whose names end in .toml",
            policy_names()
        )),
        e => misread(&e),
    })
}

/// Whether a text that is no policy was meant as a name rather than as letters: a slip among letters is a single one.
fn is_name(text: &str) -> bool {
    text.chars().filter(|c| !"abcde.-".contains(*c) && !c.is_ascii_digit()).count() > 1
}

/// Everything a run is determined by. `policy` has been read before; `image_size` is what the images came to.
pub fn plan(args: &Pretrain, policy: Policy, image_size: u32) -> anyhow::Result<Plan> {
    let architecture = match args.encoder {
        EncoderName::Resnet18 => Architecture::ResNet18,
        EncoderName::Resnet34 => Architecture::ResNet34,
        EncoderName::Resnet50 => Architecture::ResNet50,
    };
    let stem = match args.stem {
        Some(StemName::Cifar) => Stem::Cifar,
        Some(StemName::Imagenet) => Stem::ImageNet,
        None if image_size <= CIFAR_STEM_UP_TO => Stem::Cifar,
        None => Stem::ImageNet,
    };
    // Ten shapes need no more, and the first thing a newcomer runs should not take longer.
    let width = args.width.unwrap_or(if args.data == "glyphs" { 8 } else { 16 });
    let encoder = EncoderConfig { architecture, stem, width };
    let method = method(args, encoder.dim())?;
    // Rates that hold for one batch size hold for another in proportion (Goyal et al. 2017); Adam sets its own scale.
    let share = args.batch as f64 / 256.0;
    let (optimizer, learning_rate, weight_decay) = match args.optimizer {
        OptimizerName::Sgd => (OptimizerKind::Sgd, 0.3 * share, 5e-4),
        OptimizerName::Lars => (OptimizerKind::Lars, 1.0 * share, 1e-6),
        OptimizerName::Adamw => (OptimizerKind::AdamW, 3e-3, 1e-2),
    };
    let config = Config {
        seed: args.seed,
        data: DataConfig { source: source(&args.data), image_size, limit: args.limit, classes: args.classes.clone() },
        encoder,
        method,
        train: TrainConfig {
            epochs: args.epochs,
            batch: args.batch,
            learning_rate: args.lr.unwrap_or(learning_rate),
            warmup_epochs: args.warmup_epochs.unwrap_or((args.epochs as f64 / 10.0).min(10.0)),
            weight_decay: args.weight_decay.unwrap_or(weight_decay),
            clip_norm: args.clip_norm,
            knn_every: args.knn_every.unwrap_or(args.epochs.div_ceil(10)),
            optimizer,
            microbatch: args.microbatch,
        },
        augment: policy,
    };
    config.check().map_err(misuse)
}

/// The method that `--method` names, with the settings that were typed in place of its own.
fn method(args: &Pretrain, dim: usize) -> anyhow::Result<MethodConfig> {
    let name = &args.method;
    let method = MethodConfig::by_name(name, dim).ok_or_else(|| misuse(format!("--method {name}: unknown")))?;
    let Some(temperature) = args.temperature else { return Ok(method) };
    let mut settings = toml::Table::try_from(method)?;
    match settings.get_mut("temperature") {
        Some(own) => *own = temperature.into(),
        None => return Err(misuse(format!("--temperature {temperature}: {name} has no temperature; leave it out"))),
    }
    Ok(settings.try_into()?)
}

/// Where the images are, from whatever folder the run is resumed.
fn source(data: &str) -> String {
    let absolute = std::path::absolute(data).ok().and_then(|path| path.to_str().map(str::to_owned));
    if data == "glyphs" { data.to_owned() } else { absolute.unwrap_or_else(|| data.to_owned()) }
}

/// The run's folder: what `--out` says, or `runs/` and the name of the images.
pub fn out(args: &Pretrain) -> PathBuf {
    args.out.clone().unwrap_or_else(|| {
        let name = Path::new(&args.data).file_stem().map_or("images".into(), |name| name.to_string_lossy());
        Path::new("runs").join(&*name)
    })
}
