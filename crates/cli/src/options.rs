//! Converts arguments to options of the library.

use std::path::{Path, PathBuf};

use selfsame::nn::Precision;
use selfsame::{Images, MethodChoice, PretrainOptions, ResumeOptions};

use crate::args::{self, PrecisionName};
use crate::words::typed;

/// Returns the options of a new run.
pub fn pretrain(args: &args::Pretrain) -> Result<PretrainOptions, selfsame::Error> {
    let args::Pretrain { images, training, .. } = args;
    let base = base(training)?;
    Ok(PretrainOptions {
        data: images.data.as_deref().map_or(base.data, Images::from),
        image_size: images.image_size.or(base.image_size),
        // The size of sources follows that of images.
        source_size: images
            .source_size
            .or(base.source_size.filter(|_| images.image_size.is_none())),
        limit: images.limit.or(base.limit),
        labels: images.labels.clone().or(base.labels),
        classes: images.classes.clone().or(base.classes),
        exif: images.exif.unwrap_or(base.exif),
        strict: args.strict,
        recipe: training.recipe.clone(),
        augment: training.augment.as_deref().map(selfsame::policy).transpose()?.or(base.augment),
        method: training.method.as_deref().map_or(base.method, MethodChoice::from),
        temperature: training.temperature,
        encoder: training.encoder.or(base.encoder),
        width: training.width.or(base.width),
        stem: training.stem.or(base.stem),
        init: training.init.clone().or(base.init),
        init_partial: training.init_partial,
        precision: training.precision.asked().or(base.precision),
        epochs: training.epochs.or(base.epochs),
        batch: training.batch.or(base.batch),
        microbatch: training.microbatch.or(base.microbatch),
        optimizer: training.optimizer.or(base.optimizer),
        lr: training.lr.or(base.lr),
        warmup_epochs: training.warmup_epochs.or(base.warmup_epochs),
        weight_decay: training.weight_decay.or(base.weight_decay),
        clip_norm: training.clip_norm.or(base.clip_norm),
        knn_every: training.knn_every.or(base.knn_every),
        knn_k: training.knn_k.or(base.knn_k),
        set: [base.set, training.set.clone()].concat(),
        on_collapse: args.on_collapse,
        split_seed: images.split_seed.unwrap_or(base.split_seed),
        seed: training.seed.unwrap_or(base.seed),
        device: args.device.device.clone(),
        out: args.out.clone(),
        overwrite: args.overwrite,
        save_every: args.save_every,
        against: args.against.clone(),
        command: typed(),
    })
}

/// Returns what holds where nothing is said: the settings of another run, if its configuration is
/// given, or the defaults.
fn base(training: &args::Training) -> Result<PretrainOptions, selfsame::Error> {
    let Some(config) = &training.config else { return Ok(PretrainOptions::default()) };
    let mut base = PretrainOptions::read_config(config)?;
    for pair in &training.set {
        base.forget(pair.split_once('=').map_or(pair.as_str(), |(key, _)| key).trim());
    }
    Ok(base)
}

/// Returns the options for resuming a run.
pub fn resume(args: &args::Pretrain) -> ResumeOptions {
    ResumeOptions {
        images: None,
        data: args.images.data.clone(),
        labels: args.images.labels.clone(),
        epochs: args.training.epochs,
        strict: args.strict,
        on_collapse: args.on_collapse,
        device: args.device.device.clone(),
        save_every: args.save_every,
        against: args.against.clone(),
    }
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
