//! Converts arguments to options of the library.

use std::path::{Path, PathBuf};

use selfsame::nn::{Architecture, EncoderConfig, MlpConfig, Precision, ResNetConfig, Stem, device};
use selfsame::{EncoderKind, Images, PretrainOptions, ResumeOptions};

use crate::args::{self, PrecisionName};
use crate::misuse;
use crate::words::typed;

/// The default policy.
pub const AUGMENT: &str = "abcde";

/// Returns the options of a new run.
pub fn pretrain(args: &args::Pretrain) -> Result<PretrainOptions, selfsame::Error> {
    let args::Pretrain { images, training, .. } = args;
    Ok(PretrainOptions {
        data: data(images),
        image_size: images.image_size,
        source_size: images.source_size,
        limit: images.limit,
        labels: images.labels.clone(),
        classes: images.classes.clone(),
        exif: images.exif,
        strict: args.strict,
        recipe: training.recipe.clone(),
        augment: training.augment.as_deref().map(selfsame::policy).transpose()?,
        method: training.method.as_str().into(),
        temperature: training.temperature,
        encoder: training.encoder,
        width: training.width,
        stem: training.stem,
        init: training.init.clone(),
        init_partial: training.init_partial,
        precision: training.precision.asked(),
        epochs: training.epochs,
        batch: training.batch,
        microbatch: training.microbatch,
        optimizer: training.optimizer,
        lr: training.lr,
        warmup_epochs: training.warmup_epochs,
        weight_decay: training.weight_decay,
        clip_norm: training.clip_norm,
        knn_every: training.knn_every,
        set: training.set.clone(),
        on_collapse: args.on_collapse,
        seed: training.seed,
        device: args.device.device.clone(),
        out: args.out.clone(),
        overwrite: args.overwrite,
        save_every: args.save_every,
        command: typed(),
    })
}

/// Returns the images of a new run.
fn data(images: &args::Images) -> Images {
    images.data.as_deref().map_or_else(Images::default, Images::from)
}

/// Returns the options for resuming a run.
pub fn resume(args: &args::Pretrain) -> ResumeOptions {
    ResumeOptions {
        images: None,
        data: args.images.data.clone(),
        labels: args.images.labels.clone(),
        strict: args.strict,
        on_collapse: args.on_collapse,
        device: args.device.device.clone(),
        save_every: args.save_every,
    }
}

/// The network that is assumed for a file of weights that does not say what it holds.
pub const PUBLISHED: ResNetConfig = ResNetConfig {
    architecture: Architecture::ResNet18,
    stem: Stem::ImageNet,
    width: 64,
    precision: Precision::F32,
};

/// Returns the folder of a new run.
pub fn folder(args: &args::Pretrain) -> PathBuf {
    let (data, out) = (data(&args.images), args.out.clone());
    PretrainOptions { data, out, ..PretrainOptions::default() }.folder()
}

/// Combines the requested settings of an encoder with the file's encoder `found`, which supplies
/// the settings that are not given.
pub fn encoder_or(
    name: Option<EncoderKind>,
    stem: Option<Stem>,
    width: Option<usize>,
    found: EncoderConfig,
) -> anyhow::Result<EncoderConfig> {
    let architecture = match (name, found) {
        (None | Some(EncoderKind::Mlp), EncoderConfig::Mlp(found)) => {
            if stem.is_some() {
                return Err(misuse("--stem: a multilayer perceptron has none"));
            }
            return Ok(MlpConfig { width: width.unwrap_or(found.width), ..found }.into());
        }
        (None, EncoderConfig::ResNet(found)) => found.architecture,
        (Some(EncoderKind::ResNet18), _) => Architecture::ResNet18,
        (Some(EncoderKind::ResNet34), _) => Architecture::ResNet34,
        (Some(EncoderKind::ResNet50), _) => Architecture::ResNet50,
        (Some(EncoderKind::Mlp), EncoderConfig::ResNet(_)) => {
            return Err(misuse("--encoder mlp: the file holds a residual network"));
        }
    };
    let otherwise = match found {
        EncoderConfig::ResNet(found) => found,
        EncoderConfig::Mlp(_) => PUBLISHED,
    };
    let stem = stem.unwrap_or(otherwise.stem);
    let width = width.unwrap_or(otherwise.width);
    Ok(ResNetConfig { architecture, stem, width, ..otherwise }.into())
}

/// Returns the requested precision, or by default the faster one on the device.
pub fn precision(name: PrecisionName, device: &str) -> anyhow::Result<Precision> {
    let device = device::by_name(device).map_err(misuse)?;
    Ok(name.asked().unwrap_or_else(|| Precision::fastest(&device)))
}

impl PrecisionName {
    /// Returns the requested precision; `None` for `auto`.
    pub fn asked(self) -> Option<Precision> {
        match self {
            Self::Auto => None,
            Self::Bf16 => Some(Precision::Bf16),
            Self::F32 => Some(Precision::F32),
        }
    }
}

/// Returns the folder for results: `out` if it was given, or the folder in `parent` that has the
/// name of `source`, a file or folder, without its ending.
pub fn out_folder(out: Option<&Path>, parent: impl AsRef<Path>, source: &Path) -> PathBuf {
    let named = || {
        let name = source.file_stem().map_or("results".into(), |name| name.to_string_lossy());
        parent.as_ref().join(&*name)
    };
    out.map_or_else(named, Path::to_owned)
}
