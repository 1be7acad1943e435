//! Chooses the images to measure and draws their views.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::Duration;

use rayon::prelude::*;
use selfsame_augment::{Image, Policy, Purpose, ViewSets};
use selfsame_concentration::curve::curve;
use selfsame_concentration::distance::{Distances, Options, Run as DistanceRun, Shape, Views};
use selfsame_concentration::forecast::{members, within};
use selfsame_data::{Dataset, Split};
use selfsame_eval::{embed, sample, shrink};
use selfsame_nn::Backbone;
use selfsame_report::Sprite;
use selfsame_report::certificate::EXAMPLES;
use selfsame_theory::Labels;

use super::inputs::{EmbeddedImages, Pixels, PolicyParameters};
use super::{CertifyOptions, check_classes};
use crate::{Error, Progress, sampling};

/// Maximum side of an example image, in pixels, and maximum number of classes that get examples.
const EXAMPLE_SIDE: u32 = 48;
const EXAMPLES_UP_TO: usize = 128;
/// Maximum number of labelled images. With this number of images, the values that are kept for
/// every pair take 4 GB.
const MOST_IMAGES: usize = 16_384;

/// Chooses the images to measure. Returns their positions in the split, ordered by class.
pub fn choose_images(dataset: &Dataset, options: &CertifyOptions) -> Result<Vec<usize>, Error> {
    let (split, per_class) = (dataset.split(options.split), options.per_class);
    if split.is_empty() {
        let cause = format!("that split of {} is empty", dataset.name);
        return Err(Error::option("split", options.split.name(), cause));
    }
    let Some(labels) = split.labels() else { return Ok(sample(split.len(), per_class)) };
    let classes: Vec<Vec<usize>> = members(labels, dataset.classes.len())
        .into_iter()
        .filter(|members| !members.is_empty())
        .collect();
    check_classes(classes.len())?;
    let sampled = |members: &Vec<usize>| -> Vec<usize> {
        sample(members.len(), per_class).into_iter().map(|index| members[index]).collect()
    };
    let chosen: Vec<usize> = classes.iter().flat_map(sampled).collect();
    if chosen.len() > MOST_IMAGES {
        let cause = format!(
            "the distances of every two of {} images would fill the memory; at most {MOST_IMAGES} \
             images can be measured, {} of each of {} classes",
            chosen.len(),
            MOST_IMAGES / classes.len(),
            classes.len()
        );
        return Err(Error::option("per_class", per_class, cause));
    }
    Ok(chosen)
}

/// Views of the chosen images as `[image][view][row][pixel][channel]`. The first view is the image
/// itself.
pub struct DrawnViews {
    bytes: Vec<u8>,
    images: usize,
    views: usize,
    side: u32,
}

impl DrawnViews {
    pub fn new(
        policy: &Policy,
        side: u32,
        split: &Split,
        chosen: &[usize],
        options: &CertifyOptions,
    ) -> Result<Self, Error> {
        let (images, views) = (chosen.len(), options.views + 1);
        sampling::check_views(images, views, side)?;
        let sets = ViewSets {
            policy,
            seed: options.seed,
            purpose: Purpose::Certificate,
            views: 0..options.views as u32,
            original: true,
        };
        let bytes = sets.draw(&split.numbered(chosen), side);
        Ok(Self { bytes, images, views, side })
    }

    /// Returns the number of bytes per view.
    fn size(&self) -> usize {
        (self.side * self.side * 3) as usize
    }

    /// Embeds all views.
    pub fn embed(
        &self,
        encoder: &Backbone,
        options: &CertifyOptions,
        progress: &mut dyn Progress,
    ) -> Result<EmbeddedImages<'static>, Error> {
        let views = Image::squares(self.side, &self.bytes);
        let features = embed(encoder, &views, &options.device, &mut |done| {
            progress.advance("views embedded", done as u64, views.len() as u64, "");
        })?;
        progress.finish();
        Ok(EmbeddedImages {
            images: self.images,
            views: self.views,
            dim: features.dim(),
            values: Cow::Owned(features.into_values()),
            labels: None,
            classes: Vec::new(),
            seed: options.seed,
            pixels: None,
        })
    }

    /// Computes the distances of all images and the concentration curve of each class.
    pub fn pixels(
        &self,
        labels: &Labels,
        budget: Option<Duration>,
        parameters: PolicyParameters,
        progress: &mut dyn Progress,
    ) -> Result<Pixels, Error> {
        let distances = self.distances(progress)?;
        let classes = members(labels.of_image(), labels.classes());
        let largest = classes.iter().map(Vec::len).max().unwrap_or(0);
        let budget = sampling::budget(budget, largest);
        let mut curves = Vec::with_capacity(classes.len());
        for (class, images) in classes.iter().enumerate() {
            progress.advance("curves", class as u64, classes.len() as u64, "");
            let threads = rayon::current_num_threads();
            curves.push(curve(images.len(), &within(&distances, images), budget, threads));
        }
        progress.finish();
        let to_original = self.to_original();
        Ok(Pixels { distances, curves, budget, to_original, dim: self.size(), parameters })
    }

    /// Computes the distance between the nearest views of every two images.
    fn distances(&self, progress: &mut dyn Progress) -> Result<Distances, Error> {
        let side = self.side as usize;
        let shape = Shape { width: side, height: side, channels: 3 };
        let mut run =
            DistanceRun::of_views(Views::new(self.images, self.views, shape, &self.bytes)?);
        let _ = run.advance(&Options::default(), &mut |tiles| {
            progress.advance("tiles of distances", tiles.done as u64, tiles.total as u64, "");
            ControlFlow::Continue(())
        });
        progress.finish();
        Ok(run.into_distances())
    }

    /// Computes the distance of each view to the image that it was drawn from.
    fn to_original(&self) -> Vec<f64> {
        let size = self.size();
        let distances = |image: &[u8]| -> Vec<f64> {
            let (original, _) = image.split_at(size);
            let squared = |view: &[u8]| -> u64 {
                view.iter().zip(original).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum()
            };
            image.chunks_exact(size).map(|view| (squared(view) as f64).sqrt()).collect()
        };
        self.bytes.par_chunks_exact(self.views * size).flat_map_iter(distances).collect()
    }
}

/// Returns the labels of the chosen images, renumbered without gaps, and the names of the classes
/// that have any of these images. Returns `None` if the images have no labels.
pub fn labels_of(
    dataset: &Dataset,
    split: &Split,
    chosen: &[usize],
) -> Result<Option<(Labels, Vec<String>)>, Error> {
    let Some(labels) = split.labels() else { return Ok(None) };
    let labels: Vec<u32> = chosen.iter().map(|&image| labels[image]).collect();
    let present: Vec<u32> =
        (0..dataset.classes.len() as u32).filter(|class| labels.contains(class)).collect();
    let number = |label: &u32| present.binary_search(label).map_or(u32::MAX, |index| index as u32);
    let labels = Labels::new(labels.iter().map(number).collect(), present.len())?;
    let names = present.iter().map(|&class| dataset.classes[class as usize].clone()).collect();
    Ok(Some((labels, names)))
}

/// Returns a few small images of each class, or `None` if there are no labels or too many classes.
pub fn examples(
    dataset: &Dataset,
    split: &Split,
    chosen: &[usize],
    labels: Option<&Labels>,
) -> Result<Option<Sprite>, Error> {
    let Some(labels) = labels.filter(|labels| labels.classes() <= EXAMPLES_UP_TO) else {
        return Ok(None);
    };
    // A class with fewer images repeats some of them, so that every class has the same number of
    // tiles.
    let of_class = |members: Vec<usize>| -> Vec<usize> {
        (0..EXAMPLES).map(|index| chosen[members[index % members.len()]]).collect()
    };
    let indices = members(labels.of_image(), labels.classes()).into_iter().flat_map(of_class);
    let images: Vec<Image<'_>> = indices.map(|index| split.image(index)).collect();
    let shrunk = shrink(&images, EXAMPLE_SIDE);
    let shrunk: Vec<&[u8]> = shrunk.iter().map(|image| &**image).collect();
    let side = dataset.image_size.min(EXAMPLE_SIDE);
    Ok(Some(Sprite::thumbnails(side, side, &shrunk, 5 * EXAMPLES as u32)?))
}
