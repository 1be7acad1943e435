//! The images that are measured, and their views.

use std::ops::ControlFlow;
use std::time::Duration;

use burn::tensor::Device;
use rayon::prelude::*;
use selfsame::augment::{Image, Policy, Purpose, ViewSets};
use selfsame::concentration::curve::curve;
use selfsame::concentration::distance::{Distances, Options, Run as DistanceRun, Shape, Views};
use selfsame::concentration::forecast::{members, within};
use selfsame::data::{Dataset, Split};
use selfsame::eval::{embed, sample as choose, shrink};
use selfsame::nn::Backbone;
use selfsame::report::Sprite;
use selfsame::report::certificate::EXAMPLES;
use selfsame::theory::{Error, Labels};

use super::check_classes;
use super::world::{Parameters, Pixels, Sample};
use crate::args::Certify as Args;
use crate::misuse;
use crate::terminal::Bar;
use selfsame::sampling::{self, VIEW_BYTES};

/// Side of an example image at most, and up to how many classes there are any.
const EXAMPLE_SIDE: u32 = 48;
const EXAMPLES_UP_TO: usize = 128;
/// Images at most where there are labels: what is kept of every two of them then comes to 4 GB.
const MOST_IMAGES: usize = 16_384;

/// Positions in the split of the images measured, in order of their classes.
pub fn chosen(
    args: &Args,
    dataset: &Dataset,
    split: &Split,
    name: &str,
) -> anyhow::Result<Vec<usize>> {
    if split.is_empty() {
        return Err(misuse(format!(
            "the {name} split of {} is empty; choose another --split",
            dataset.name
        )));
    }
    let Some(labels) = split.labels() else { return Ok(choose(split.len(), args.per_class)) };
    let own = members(labels, dataset.classes.len());
    let classes = own.iter().filter(|own| !own.is_empty()).count();
    check_classes(classes)?;
    let chosen: Vec<usize> = own
        .iter()
        .flat_map(|own| choose(own.len(), args.per_class).into_iter().map(|at| own[at]))
        .collect();
    match chosen.len() > MOST_IMAGES {
        true => Err(misuse(format!(
            "--per-class {}: of {} images the distances of every two would fill the memory; at \
             most {MOST_IMAGES} can be \
             measured, so --per-class {} for {classes} classes",
            args.per_class,
            chosen.len(),
            MOST_IMAGES / classes
        ))),
        false => Ok(chosen),
    }
}

/// The views of the chosen images, the image itself first: `[image][view][row][pixel][channel]`.
pub struct Drawn {
    bytes: Vec<u8>,
    images: usize,
    views: usize,
    side: usize,
}

impl Drawn {
    pub fn new(
        args: &Args,
        policy: &Policy,
        side: u32,
        split: &Split,
        chosen: &[usize],
    ) -> anyhow::Result<Self> {
        let (images, views, size) =
            (chosen.len(), args.views + 1, side as usize * side as usize * 3);
        let all = images as u128 * views as u128 * size as u128;
        if all > VIEW_BYTES as u128 {
            return Err(misuse(format!(
                "{images} images of {views} views of {side} pixels are {} GB; lower --per-class \
                 or --views",
                all >> 30
            )));
        }
        let sets = ViewSets {
            policy,
            purpose: Purpose::Certificate,
            seed: args.seed,
            views: 0..args.views as u32,
            original: true,
        };
        let bytes = sets.draw(&split.numbered(chosen), side);
        Ok(Self { bytes, images, views, side: side as usize })
    }

    fn distances(&self) -> anyhow::Result<Distances> {
        let shape = Shape { width: self.side, height: self.side, channels: 3 };
        let mut run =
            DistanceRun::of_views(Views::new(self.images, self.views, shape, &self.bytes)?);
        let bar = Bar::new("tiles of distances");
        let _ = run.advance(&Options::default(), &mut |progress| {
            bar.set(progress.done as u64, progress.total as u64, String::new());
            ControlFlow::Continue(())
        });
        bar.finish();
        Ok(run.into_distances())
    }

    /// Their embeddings.
    pub fn embedded(
        &self,
        seed: u64,
        encoder: &Backbone,
        device: &Device,
    ) -> anyhow::Result<Sample> {
        let each = Image::squares(self.side as u32, &self.bytes);
        let bar = Bar::new("views embedded");
        let features = embed(encoder, &each, device, &mut |done| {
            bar.set(done as u64, each.len() as u64, String::new());
        })?;
        bar.finish();
        Ok(Sample {
            images: self.images,
            views: self.views,
            dim: features.dim(),
            values: features.into_values(),
            labels: None,
            classes: Vec::new(),
            seed,
            pixels: None,
        })
    }

    /// Their distances, and how they concentrate within each class.
    pub fn pixels(
        &self,
        labels: &Labels,
        budget: Option<Duration>,
        parameters: Parameters,
    ) -> anyhow::Result<Pixels> {
        let distances = self.distances()?;
        let own = members(labels.of_image(), labels.classes());
        let largest = own.iter().map(Vec::len).max().unwrap_or(0);
        let budget = sampling::budget(budget, largest);
        let bar = Bar::new("curves");
        let mut curves = Vec::with_capacity(own.len());
        for (class, images) in own.iter().enumerate() {
            bar.set(class as u64, own.len() as u64, String::new());
            curves.push(curve(
                images.len(),
                &within(&distances, images),
                budget,
                rayon::current_num_threads(),
            ));
        }
        bar.finish();
        let dim = self.side * self.side * 3;
        Ok(Pixels { distances, curves, budget, to_first: self.to_first(), dim, parameters })
    }

    /// For each view its distance to the image itself.
    fn to_first(&self) -> Vec<f64> {
        let size = self.side * self.side * 3;
        let of_image = |image: &[u8]| -> Vec<f64> {
            let (first, _) = image.split_at(size);
            let squared = |view: &[u8]| -> u64 {
                view.iter().zip(first).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum()
            };
            image.chunks_exact(size).map(|view| (squared(view) as f64).sqrt()).collect()
        };
        self.bytes.par_chunks_exact(self.views * size).flat_map_iter(of_image).collect()
    }
}

/// The labels numbered anew, for the classes that have images alone; and the names of those.
pub fn present(labels: &[u32], names: &[String]) -> Result<(Labels, Vec<String>), Error> {
    let present: Vec<u32> =
        (0..names.len() as u32).filter(|class| labels.contains(class)).collect();
    let number = |label: &u32| present.binary_search(label).map(|at| at as u32).unwrap_or(u32::MAX);
    let labels = Labels::new(labels.iter().map(number).collect(), present.len())?;
    Ok((labels, present.iter().map(|&class| names[class as usize].clone()).collect()))
}

/// Some images of each class, small.
pub fn examples(
    dataset: &Dataset,
    split: &Split,
    chosen: &[usize],
    sample: &Sample,
) -> anyhow::Result<Option<Sprite>> {
    let Some(labels) = sample.labels.as_ref().filter(|labels| labels.classes() <= EXAMPLES_UP_TO)
    else {
        return Ok(None);
    };
    let own = members(labels.of_image(), labels.classes());
    // A class with fewer images shows some of them twice, so that each class has as many tiles.
    let of_class =
        |own: &Vec<usize>| (0..EXAMPLES).map(|at| chosen[own[at % own.len()]]).collect::<Vec<_>>();
    let images: Vec<Image<'_>> =
        own.iter().flat_map(of_class).map(|index| split.image(index)).collect();
    let small = shrink(&images, EXAMPLE_SIDE);
    let small: Vec<&[u8]> = small.iter().map(|image| &**image).collect();
    let side = dataset.image_size.min(EXAMPLE_SIDE);
    Ok(Some(Sprite::thumbnails(side, side, &small, 5 * EXAMPLES as u32)?))
}
