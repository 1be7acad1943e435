//! Encoders in files of weights, in place of those of runs.

use std::path::Path;

use selfsame::data::{Dataset, LoadOptions};
use selfsame::nn::Precision;
use selfsame::{Loaded, WeightsOptions, read_encoder};

use crate::args::{FromElsewhere, ImagesElsewhere};
use crate::misuse;
use crate::terminal::Live;

/// What an option is called, and whether it was given.
pub type Given = (&'static str, bool);

impl FromElsewhere {
    /// Returns the options that mean something only with --init.
    pub fn given(&self) -> [Given; 4] {
        [
            ("--init-partial", self.init_partial),
            ("--encoder", self.encoder.is_some()),
            ("--width", self.width.is_some()),
            ("--stem", self.stem.is_some()),
        ]
    }

    /// Returns how `file` becomes an encoder.
    pub fn options(&self, precision: Option<Precision>, seed: u64) -> WeightsOptions {
        WeightsOptions {
            encoder: self.encoder,
            width: self.width,
            stem: self.stem,
            partial: self.init_partial,
            precision,
            seed,
            ..WeightsOptions::default()
        }
    }
}

impl ImagesElsewhere {
    /// Returns the options that mean something only with --init.
    pub fn given(&self) -> [Given; 4] {
        [
            ("--image-size", self.image_size.is_some()),
            ("--exif", self.exif.is_some()),
            ("--limit", self.limit.is_some()),
            ("--classes", self.classes.is_some()),
        ]
    }

    /// Returns how images are read.
    pub fn options(&self, labels: Option<&Path>, seed: u64) -> LoadOptions {
        LoadOptions {
            image_size: self.image_size,
            seed,
            limit: self.limit,
            labels: labels.map(Path::to_owned),
            classes: self.classes.clone(),
            exif: self.exif.unwrap_or_default(),
            ..LoadOptions::default()
        }
    }
}

/// Refuses options that are given without --init. The parser's own message would not say why.
pub fn refuse(given: &[Given], why: impl FnOnce() -> String) -> anyhow::Result<()> {
    match given.iter().find(|(_, given)| *given) {
        Some((name, _)) => Err(misuse(format!("{name} applies only to --init: {}", why()))),
        None => Ok(()),
    }
}

/// Says why options of an encoder from elsewhere do not apply to a run.
pub fn of_run(run: &Path) -> String {
    format!("the run {} has its own encoder and images; leave it out", run.display())
}

/// Reads the encoder in `file`, and the images that it is to see, at the size that it takes.
pub fn read(
    file: &Path,
    weights: &WeightsOptions,
    data: Option<&str>,
    images: &LoadOptions,
    live: &mut Live,
) -> anyhow::Result<(Loaded, Dataset)> {
    let Some(data) = data else {
        return Err(misuse("--init names an encoder, and no images: name them with --data"));
    };
    let loaded = read_encoder(file, weights, live)?;
    let own_size = loaded.encoder.image_size().map(|size| size as u32);
    let images = LoadOptions { image_size: images.image_size.or(own_size), ..images.clone() };
    let dataset = selfsame::load(data, &images, live)?;
    Ok((loaded, dataset))
}
