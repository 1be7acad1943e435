//! Measures how many pairs of views are compared per second.

use std::time::{Duration, Instant};

use selfsame_augment::{Isa, Purpose, ViewSets};
use selfsame_concentration::distance::{Options, Search, Shape, Views, augmented_distances};
use selfsame_data::{Dataset, LoadOptions};
use selfsame_kernels::random::SplitMix64;
use serde::Serialize;

use super::median;
use crate::{Error, Progress};

/// Number of rounds. Their median counts.
const ROUNDS: usize = 5;
/// Minimum duration of a round.
const ROUND: Duration = Duration::from_secs(1);
/// Maximum size of all views of a bench, in bytes.
const BENCH_BYTES: usize = 1 << 33;
/// Maximum number of views per image.
const MOST_VIEWS: usize = 1 << 16;

/// The views to compare.
#[derive(Clone, Debug)]
pub struct DistanceOptions {
    /// Number of images, each with its views. With a data set: maximum number of images per class.
    pub images: usize,
    /// Number of views per image.
    pub views: usize,
    /// Number of random bytes per view, if there is no data set.
    pub dim: usize,
    /// Images whose views are compared within each class. By default, random bytes are compared.
    pub data: Option<String>,
    /// The policy that draws the images' views, as [`crate::policy`] reads it.
    pub augment: String,
    /// Number of threads; 0 for all cores.
    pub threads: usize,
}

impl Default for DistanceOptions {
    fn default() -> Self {
        Self {
            images: 250,
            views: 16,
            dim: 3072,
            data: None,
            augment: "abcde".to_owned(),
            threads: 0,
        }
    }
}

/// Speed at which views are compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "work", rename = "augmented distance")]
pub struct DistanceBench {
    /// Number of pairs of views of different images that are compared per second.
    pub distinct_view_pairs_per_second: f64,
    /// Duration of comparing all pairs, in seconds.
    pub seconds: f64,
    /// Number of threads.
    pub threads: usize,
    /// The data set; `None` for random bytes.
    pub data: Option<String>,
    /// Number of sets of images that are compared among themselves: the classes.
    pub sets: usize,
    /// Classes with fewer than two training images, which therefore have no distance.
    pub left_out: Vec<String>,
    /// Number of images in all sets.
    pub images: usize,
    /// Number of views per image.
    pub views: usize,
    /// Number of bytes per view.
    pub dim: usize,
    /// The instruction set.
    pub isa: String,
}

/// Views, set by set.
struct Sets {
    shape: Shape,
    bytes: Vec<Vec<u8>>,
    left_out: Vec<String>,
}

/// Measures augmented distances within sets of views. There is one set per class of a data set, or
/// one set of random bytes, on which no bound can save work.
///
/// # Errors
/// If the options make no sense, if the views take too much memory, or if the images cannot be
/// read.
pub fn distance(
    options: &DistanceOptions,
    progress: &mut dyn Progress,
) -> Result<DistanceBench, Error> {
    let DistanceOptions { images, views, dim, .. } = *options;
    if images < 2 {
        return Err(Error::option("images", images, "a distance takes two"));
    }
    if !(1..=MOST_VIEWS).contains(&views) {
        return Err(Error::option("views", views, format!("not a number from 1 to {MOST_VIEWS}")));
    }
    if dim == 0 {
        return Err(Error::option("dim", dim, "a view has at least one byte"));
    }
    let Sets { shape, bytes, left_out } = match &options.data {
        Some(data) => drawn(options, &crate::load(data, &LoadOptions::default(), &mut *progress)?)?,
        None => random(options)?,
    };
    if !left_out.is_empty() {
        progress.note(&format!(
            "left out, since a distance takes two training images of a class: {}",
            left_out.join(", ")
        ));
    }
    let isa = Isa::best();
    let dim = shape.width * shape.height * shape.channels;
    let images: Vec<usize> = bytes.iter().map(|bytes| bytes.len() / (views * dim)).collect();
    let pairs: f64 = images
        .iter()
        .map(|&images| images as f64 * (images - 1) as f64 / 2.0 * (views as f64).powi(2))
        .sum();
    let sets: Vec<Views<'_>> = bytes
        .iter()
        .zip(&images)
        .map(|(bytes, &images)| {
            Views::new(images, views, shape, bytes).expect("the bytes are those of the views")
        })
        .collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build();
    let pool = pool.map_err(|cause| Error::option("threads", options.threads, cause))?;
    // Make enough passes to fill a round, because a single pass may be shorter than the resolution
    // of the clock.
    let rate = || {
        let (start, mut passes) = (Instant::now(), 0.0);
        while passes == 0.0 || start.elapsed() < ROUND {
            for views in &sets {
                std::hint::black_box(pool.install(|| {
                    augmented_distances(views, &Options { isa, search: Search::Auto })
                }));
            }
            passes += 1.0;
        }
        passes * pairs / start.elapsed().as_secs_f64()
    };
    rate();
    let rate = median((0..ROUNDS).map(|_| rate()).collect());
    Ok(DistanceBench {
        distinct_view_pairs_per_second: rate,
        seconds: pairs / rate,
        threads: pool.current_num_threads(),
        data: options.data.clone(),
        sets: sets.len(),
        left_out,
        images: images.iter().sum(),
        views,
        dim,
        isa: isa.name().to_owned(),
    })
}

/// Draws views of the training images of each class, or of all training images if they have no
/// labels.
fn drawn(options: &DistanceOptions, dataset: &Dataset) -> Result<Sets, Error> {
    let policy = crate::policy(&options.augment)?;
    let split = &dataset.train;
    let side = dataset.image_size as usize;
    let mut classes: Vec<Vec<usize>> = vec![Vec::new(); dataset.classes.len().max(1)];
    for image in 0..split.len() {
        let class = split.labels().map_or(0, |labels| labels[image] as usize);
        if classes[class].len() < options.images {
            classes[class].push(image);
        }
    }
    let named = dataset.classes.iter().zip(&classes);
    let few = named.filter(|(_, images)| images.len() < 2);
    let left_out: Vec<String> = few.map(|(class, _)| class.clone()).collect();
    classes.retain(|images| images.len() > 1);
    if classes.is_empty() {
        let cause = "no class has two training images, and a distance takes two";
        return Err(Error::option("data", &dataset.name, cause));
    }
    let views = classes.iter().map(Vec::len).sum::<usize>() * options.views;
    check_size(options, views.checked_mul(side * side * 3))?;
    let draw = ViewSets {
        policy: &policy,
        purpose: Purpose::Forecast,
        seed: 0,
        views: 0..options.views as u32,
        original: false,
    };
    let draw = |images: &Vec<usize>| draw.draw(&split.numbered(images), dataset.image_size);
    let bytes = classes.iter().map(draw).collect();
    Ok(Sets { shape: Shape { width: side, height: side, channels: 3 }, bytes, left_out })
}

/// Draws one set of views of random bytes.
fn random(options: &DistanceOptions) -> Result<Sets, Error> {
    let DistanceOptions { images, views, dim, .. } = *options;
    let views = images.checked_mul(views);
    let count = check_size(options, views.and_then(|views| views.checked_mul(dim)))?;
    let mut random = SplitMix64::new(0);
    let bytes = (0..count).map(|_| (random.word() >> 56) as u8).collect();
    Ok(Sets {
        shape: Shape { width: dim, height: 1, channels: 1 },
        bytes: vec![bytes],
        left_out: Vec::new(),
    })
}

/// Returns the number of bytes of all views, if it is not too large.
fn check_size(options: &DistanceOptions, bytes: Option<usize>) -> Result<usize, Error> {
    bytes.filter(|&bytes| bytes <= BENCH_BYTES).ok_or_else(|| {
        let cause = format!("with {} views each, that is more than 8 GB", options.views);
        Error::option("images", options.images, cause)
    })
}
