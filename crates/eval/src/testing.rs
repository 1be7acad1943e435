//! Inputs for tests.

use selfsame_data::{Dataset, LoadOptions, Split, load};
use selfsame_kernels::random::SplitMix64;

use crate::Features;

/// Side of the images of data sets, in pixels.
const SIDE: u32 = 8;

/// Creates a stream of uniform values in [−1, 1).
fn uniform(seed: u64) -> impl FnMut() -> f32 {
    let mut random = SplitMix64::new(seed);
    move || (random.word() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
}

/// Returns rows of uniform values in [−1, 1).
pub(crate) fn random(rows: usize, dim: usize, seed: u64) -> Features {
    let mut next = uniform(seed);
    Features::new(rows, dim, (0..rows * dim).map(|_| next()).collect()).unwrap()
}

/// Returns rows around `groups` directions, in turn.
pub(crate) fn clouds(rows: usize, groups: usize, dim: usize, noise: f32) -> Features {
    let around = random(rows, dim, 3);
    let mut values: Vec<f32> = around.values().iter().map(|value| value * noise).collect();
    (0..rows).for_each(|row| values[row * dim + row % groups] += 1.0);
    Features::new(rows, dim, values).unwrap()
}

/// Returns uniform labels in `0..classes`.
pub(crate) fn labels(rows: usize, classes: usize, seed: u64) -> Vec<u32> {
    let mut next = uniform(seed ^ 0x5eed);
    (0..rows)
        .map(|_| ((next() + 1.0) * 0.5 * classes as f32) as u32)
        .map(|c| c.min(classes as u32 - 1))
        .collect()
}

/// Calls `run` on a pool of `threads` threads, and returns its result.
pub(crate) fn in_pool<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

/// Returns the built-in data set, with few and small images.
pub(crate) fn glyphs() -> Dataset {
    let options = LoadOptions { image_size: Some(SIDE), limit: Some(40), ..LoadOptions::default() };
    load("glyphs", &options, &|_, _| ()).unwrap()
}

/// Returns a data set of small images, each of one level, with labels. The splits are training,
/// validation and test.
pub(crate) fn dataset(splits: &[Vec<(u8, u32)>; 3]) -> Dataset {
    let classes = splits.iter().flatten().map(|&(_, label)| label + 1).max().unwrap_or(0);
    let [train, validation, test] = splits.each_ref().map(|images| {
        let image = |&(level, _): &(u8, u32)| [level; (SIDE * SIDE * 3) as usize];
        let labels = images.iter().map(|&(_, label)| label).collect();
        Split::new(SIDE, images.iter().flat_map(image).collect(), Some(labels)).unwrap()
    });
    let classes = (0..classes).map(|class| format!("class {class}")).collect();
    Dataset { classes, train, validation, test, ..glyphs() }
}
