//! From arguments to options of the library.

use std::path::PathBuf;

use selfsame::nn::{Architecture, EncoderConfig, MlpConfig, Precision, ResNetConfig, Stem, device};
use selfsame::train::OptimizerKind;
use selfsame::{EncoderKind, OnCollapse, PretrainOptions, ResumeOptions};

use crate::args::{self, EncoderName, OptimizerName, PrecisionName, StemName};
use crate::misuse;
use crate::words::typed;

/// The policy, where none is asked for.
pub const AUGMENT: &str = "abcde";

/// The options of a new run.
pub fn pretrain(args: &args::Pretrain) -> Result<PretrainOptions, selfsame::Error> {
    Ok(PretrainOptions {
        data: args.data.as_str().into(),
        image_size: args.image_size,
        limit: args.limit,
        classes: args.classes.clone(),
        strict: args.strict,
        recipe: args.recipe.clone(),
        augment: args.augment.as_deref().map(selfsame::policy).transpose()?,
        method: args.method.as_str().into(),
        temperature: args.temperature,
        encoder: args.encoder.map(EncoderKind::from),
        width: args.width,
        stem: args.stem.map(Stem::from),
        init: args.init.clone(),
        init_partial: args.init_partial,
        precision: args.precision.asked(),
        epochs: args.epochs,
        batch: args.batch,
        microbatch: args.microbatch,
        optimizer: args.optimizer.map(OptimizerKind::from),
        lr: args.lr,
        warmup_epochs: args.warmup_epochs,
        weight_decay: args.weight_decay,
        clip_norm: args.clip_norm,
        knn_every: args.knn_every,
        set: args.set.clone(),
        on_collapse: args.on_collapse.into(),
        seed: args.seed,
        device: args.device.device.clone(),
        out: args.out.clone(),
        overwrite: args.overwrite,
        save_every: args.save_every,
        command: typed(),
    })
}

/// The options of going on with a run.
pub fn resume(args: &args::Pretrain) -> ResumeOptions {
    ResumeOptions {
        images: None,
        strict: args.strict,
        on_collapse: args.on_collapse.into(),
        device: args.device.device.clone(),
        save_every: args.save_every,
    }
}

/// The residual network that a file of weights is taken for, if it does not say what it holds.
pub const PUBLISHED: ResNetConfig = ResNetConfig {
    architecture: Architecture::ResNet18,
    stem: Stem::ImageNet,
    width: 64,
    precision: Precision::F32,
};

/// The folder of a new run.
pub fn folder(args: &args::Pretrain) -> PathBuf {
    let (data, out) = (args.data.as_str().into(), args.out.clone());
    PretrainOptions { data, out, ..PretrainOptions::default() }.folder()
}

/// What is asked for of the encoder in a file, and the rest as in the file, which holds `found`.
pub fn encoder_or(
    name: Option<EncoderName>,
    stem: Option<StemName>,
    width: Option<usize>,
    found: EncoderConfig,
) -> anyhow::Result<EncoderConfig> {
    let architecture = match (name, found) {
        (None | Some(EncoderName::Mlp), EncoderConfig::Mlp(found)) => {
            if stem.is_some() {
                return Err(misuse("--stem: a multilayer perceptron has none"));
            }
            return Ok(MlpConfig { width: width.unwrap_or(found.width), ..found }.into());
        }
        (None, EncoderConfig::ResNet(found)) => found.architecture,
        (Some(EncoderName::Resnet18), _) => Architecture::ResNet18,
        (Some(EncoderName::Resnet34), _) => Architecture::ResNet34,
        (Some(EncoderName::Resnet50), _) => Architecture::ResNet50,
        (Some(EncoderName::Mlp), EncoderConfig::ResNet(_)) => {
            return Err(misuse("--encoder mlp: the file holds a residual network"));
        }
    };
    let otherwise = match found {
        EncoderConfig::ResNet(found) => found,
        EncoderConfig::Mlp(_) => PUBLISHED,
    };
    let stem = stem.map_or(otherwise.stem, Stem::from);
    let width = width.unwrap_or(otherwise.width);
    Ok(ResNetConfig { architecture, stem, width, ..otherwise }.into())
}

/// The precision asked for, or the faster one on the device.
pub fn precision(name: PrecisionName, device: &str) -> anyhow::Result<Precision> {
    let device = device::by_name(device).map_err(misuse)?;
    Ok(name.asked().unwrap_or_else(|| Precision::fastest(&device)))
}

impl PrecisionName {
    /// The precision asked for; none for `auto`.
    pub fn asked(self) -> Option<Precision> {
        match self {
            Self::Auto => None,
            Self::Bf16 => Some(Precision::Bf16),
            Self::F32 => Some(Precision::F32),
        }
    }
}

impl From<EncoderName> for EncoderKind {
    fn from(name: EncoderName) -> Self {
        match name {
            EncoderName::Resnet18 => Self::ResNet18,
            EncoderName::Resnet34 => Self::ResNet34,
            EncoderName::Resnet50 => Self::ResNet50,
            EncoderName::Mlp => Self::Mlp,
        }
    }
}

impl From<StemName> for Stem {
    fn from(name: StemName) -> Self {
        match name {
            StemName::Cifar => Self::Cifar,
            StemName::Imagenet => Self::ImageNet,
        }
    }
}

impl From<OptimizerName> for OptimizerKind {
    fn from(name: OptimizerName) -> Self {
        match name {
            OptimizerName::Sgd => Self::Sgd,
            OptimizerName::Lars => Self::Lars,
            OptimizerName::Adamw => Self::AdamW,
        }
    }
}

impl From<args::OnCollapse> for OnCollapse {
    fn from(name: args::OnCollapse) -> Self {
        match name {
            args::OnCollapse::Warn => Self::Warn,
            args::OnCollapse::Stop => Self::Stop,
        }
    }
}
