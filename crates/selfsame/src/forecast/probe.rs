//! Chooses the images to measure, and their classes.

use selfsame_augment::Image;
use selfsame_concentration::cluster::k_means;
use selfsame_data::{Dataset, Split};
use selfsame_eval::embed;
use selfsame_report::forecast::ProbeImage;
use sha2::{Digest, Sha256};

use super::{Encoder, ForecastOptions};
use crate::{Error, Progress};

/// The measured images and their classes.
pub struct Probe {
    pub images: Vec<ProbeImage>,
    /// The class of each image.
    pub labels: Vec<u32>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Notes on the images for the reader, in sentences.
    pub notes: Vec<String>,
}

impl Probe {
    /// Chooses at most [`ForecastOptions::per_class`] images per class. The seed spreads them over
    /// the training split.
    pub fn new(
        dataset: &Dataset,
        options: &ForecastOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let split = &dataset.train;
        let mut probe =
            Self { images: Vec::new(), labels: Vec::new(), classes: Vec::new(), notes: Vec::new() };
        let (labels, classes) = match (options.clusters, &options.encoder, split.labels()) {
            (Some(clusters), Some(encoder), _) => {
                let labels = cluster(split, clusters, encoder, options.seed, progress)?;
                let found = labels.iter().max().map_or(0, |&label| label as usize + 1);
                probe.notes.push(format!(
                    "The classes are {found} clusters of embeddings of {}, not labels: all that \
                     rests on them is assumed.",
                    encoder.name
                ));
                (labels, (1..=found).map(|number| format!("cluster {number}")).collect())
            }
            (_, _, Some(labels)) => (labels.to_vec(), dataset.classes.clone()),
            (_, _, None) => return Err(Error::NoClasses { name: dataset.name.clone() }),
        };
        probe.choose(split, &labels, &classes, options);
        if probe.classes.is_empty() {
            let cause = "no class has two training images, and a distance takes two";
            return Err(Error::Images { name: dataset.name.clone(), cause: cause.into() });
        }
        if probe.classes.len() == 1 {
            let note = "There is a single class, so that nothing says what is left of differences \
                        between classes.";
            probe.notes.push(note.into());
        }
        probe.notes.iter().for_each(|note| progress.note(note));
        Ok(probe)
    }

    /// Chooses the images of each class that has at least two images.
    fn choose(
        &mut self,
        split: &Split,
        labels: &[u32],
        classes: &[String],
        options: &ForecastOptions,
    ) {
        let mut few = Vec::new();
        for (class, name) in classes.iter().enumerate() {
            let mut images: Vec<usize> =
                (0..split.len()).filter(|&image| labels[image] as usize == class).collect();
            // Use an order that depends neither on files nor on other classes.
            images.sort_by_key(|&image| {
                Sha256::digest([options.seed.to_le_bytes(), (image as u64).to_le_bytes()].concat())
            });
            images.truncate(options.per_class);
            images.sort_unstable();
            if images.len() < 2 {
                few.push(format!("{name} ({})", images.len()));
                continue;
            }
            let number = self.classes.len() as u32;
            self.classes.push(name.clone());
            self.labels.extend(vec![number; images.len()]);
            self.images.extend(images.iter().map(|&image| ProbeImage {
                name: split.name(image).to_owned(),
                index: image,
                class: number,
            }));
        }
        if !few.is_empty() {
            self.notes.push(format!(
                "Left out, since a class needs two training images to have a distance: {}.",
                few.join(", ")
            ));
        }
    }
}

/// Labels the images of a split by k-means clustering of their embeddings.
fn cluster(
    split: &Split,
    clusters: usize,
    encoder: &Encoder,
    seed: u64,
    progress: &mut dyn Progress,
) -> Result<Vec<u32>, Error> {
    let most = split.len() / 2;
    if clusters > most {
        let cause = format!("{} training images make {most} at most", split.len());
        return Err(Error::option("clusters", clusters, cause));
    }
    let images: Vec<Image<'_>> = (0..split.len()).map(|image| split.image(image)).collect();
    let (dim, values) = embedded(encoder, &images, "images clustered", progress)?;
    Ok(k_means(&values, dim, clusters, seed))
}

/// Embeds images and scales each embedding to length 1. Returns the number of values per embedding
/// and the embeddings, one after another. `unit` names the stage for `progress`.
pub fn embedded(
    encoder: &Encoder,
    images: &[Image<'_>],
    unit: &str,
    progress: &mut dyn Progress,
) -> Result<(usize, Vec<f32>), Error> {
    let Encoder { network, device, .. } = encoder;
    let total = images.len() as u64;
    let features = embed(network, images, device, &mut |done| {
        progress.advance(unit, done as u64, total, "");
    })?;
    progress.finish();
    let dim = features.dim();
    let mut values = features.into_values();
    for row in values.chunks_exact_mut(dim) {
        let length = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            row.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
        }
    }
    Ok((dim, values))
}
