//! Inputs for tests.

use selfsame_kernels::random::SplitMix64;

use crate::Features;

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
