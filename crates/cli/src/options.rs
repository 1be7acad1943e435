//! Converts arguments to options of the library.

use std::path::{Path, PathBuf};

use selfsame::nn::Precision;
use selfsame::{Images, PretrainOptions, ResumeOptions};

use crate::args::{self, PrecisionName};
use crate::words::typed;

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
        against: args.against.clone(),
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
        against: args.against.clone(),
    }
}

/// Returns the folder of a new run.
pub fn folder(args: &args::Pretrain) -> PathBuf {
    let (data, out) = (data(&args.images), args.out.clone());
    PretrainOptions { data, out, ..PretrainOptions::default() }.folder()
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
