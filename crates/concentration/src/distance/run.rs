use std::ops::{ControlFlow, Range};
use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::prelude::*;
use selfsame_kernels::isa::Isa;

use super::distances::{Distances, Metric};
use super::embedding::{self, Embeddings};
use super::nearest::{Dense, NONE, Nearest, Pruning, Scratch};
use super::views::Views;
use crate::{graph, pair_index};

/// Number of views along the two sides of a tile. A tile is the unit of progress. The sides differ
/// because the work prepared for the rows of a tile serves all of its columns.
const TILE: [usize; 2] = [256, 1024];

/// Number of images, and number of views per image, in the sample that decides between the
/// searches.
const SAMPLE: [usize; 2] = [5, 64];

/// Returns the share of distances computed in full above which computing all products is faster, as
/// measured. The faster the instruction set computes products in bulk, the smaller the share.
fn dense_share(isa: Isa) -> f64 {
    match isa.name() {
        "amx" => 0.01,
        "avx512bf16" | "avx512" => 0.1,
        _ => 0.25,
    }
}

/// How to search for nearest views. Every search gives the same answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Search {
    /// Uses the search that a sample of the views shows to be faster.
    #[default]
    Auto,
    /// Computes a distance in full only if its bound allows a nearer pair.
    Pruned,
    /// Computes all products.
    Dense,
}

/// How to compute. No option changes a distance between bytes. The rayon pool of the caller does
/// the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The instruction set to use.
    pub isa: Isa,
    /// The search to use.
    pub search: Search,
}

impl Default for Options {
    fn default() -> Self {
        Self { isa: Isa::best(), search: Search::Auto }
    }
}

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Number of computed tiles.
    pub done: usize,
    /// Number of all tiles.
    pub total: usize,
}

/// Computes the augmented distances of all image pairs i < j of a set.
///
/// ```
/// use selfsame_concentration::distance::{Options, Shape, Views, augmented_distances};
///
/// // Three images of two views, each a single pixel.
/// let shape = Shape { width: 1, height: 1, channels: 1 };
/// let views = Views::new(3, 2, shape, &[0, 10, 13, 200, 50, 0])?;
/// let distances = augmented_distances(&views, &Options::default());
/// assert_eq!(distances.keys, [9, 0, 13 * 13]);
/// assert_eq!(distances.distance(0, 1), 3.0);
/// assert_eq!(distances.views(0, 1), [1, 0]); // 10 of the first image, 13 of the second
/// # Ok::<(), selfsame_concentration::distance::ViewsError>(())
/// ```
pub fn augmented_distances(views: &Views<'_>, options: &Options) -> Distances {
    let mut run = Run::of_views(*views);
    let _ = run.advance(options, &mut |_| ControlFlow::Continue(()));
    run.into_distances()
}

#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Bytes(Views<'a>),
    Floats(Embeddings<'a>),
}

/// A computation that can stop between tiles, be written to a file, and continue later with the
/// same result.
///
/// ```
/// use std::ops::ControlFlow;
/// use selfsame_concentration::distance::{Options, Run, Shape, Views};
///
/// let bytes: Vec<u8> = (0..600 * 300).map(|i| (i % 251) as u8).collect();
/// let views = Views::new(300, 100, Shape { width: 3, height: 2, channels: 1 }, &bytes)?;
/// let mut run = Run::of_views(views);
/// run.advance(&Options::default(), &mut |progress| {
///     if progress.done > 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
/// });
/// assert!(!run.is_finished());
/// let path = std::env::temp_dir().join("selfsame-doc.distances");
/// run.write(&path)?;
///
/// let mut run = Run::of_views(views);
/// run.read(&path)?;
/// run.advance(&Options::default(), &mut |_| ControlFlow::Continue(()));
/// assert!(run.is_finished());
/// assert_eq!(run.into_distances().keys.len(), 300 * 299 / 2);
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Run<'a> {
    pub(super) source: Source<'a>,
    images: usize,
    tiles: Vec<[Range<usize>; 2]>,
    pub(super) done: Vec<bool>,
    pub(super) keys: Vec<u64>,
    pub(super) pairs: Vec<[u16; 2]>,
    prepared: Option<(Options, Way<'a>)>,
    pub(super) inputs: OnceLock<[u8; 32]>,
}

impl<'a> Run<'a> {
    /// Starts computing the distances of bytes, which are exact.
    pub fn of_views(views: Views<'a>) -> Self {
        Self::new(Source::Bytes(views), views.images, views.views)
    }

    /// Starts computing the distances of embeddings, in f32. The search of [`Options`] is not used.
    ///
    /// The relative error of a squared distance is at most (dim + 8)·2⁻²⁴, as long as no square
    /// underflows or overflows (an overflowing square is infinite). Among views with equal computed
    /// distances, the first are returned. On one instruction set the answer is always the same;
    /// another instruction set sums in another order.
    pub fn of_embeddings(embeddings: Embeddings<'a>) -> Self {
        Self::new(Source::Floats(embeddings), embeddings.images, embeddings.views)
    }

    fn new(source: Source<'a>, images: usize, views: usize) -> Self {
        let [height, width] = TILE.map(|side| (side / views).clamp(1, side / 4));
        let blocks = |images: usize, size: usize| {
            (0..images).step_by(size).map(move |start| start..images.min(start + size))
        };
        let row = |rows: Range<usize>| {
            let start = rows.start;
            let columns = blocks(images, width).filter(move |columns| columns.end > start + 1);
            columns.map(move |columns| [rows.clone(), columns])
        };
        let tiles: Vec<[Range<usize>; 2]> = blocks(images, height).flat_map(row).collect();
        let count = graph::pairs(images);
        Self {
            source,
            images,
            done: vec![false; tiles.len()],
            tiles,
            keys: vec![NONE.0; count],
            pairs: vec![NONE.1; count],
            prepared: None,
            inputs: OnceLock::new(),
        }
    }

    /// Returns whether all tiles are computed.
    pub fn is_finished(&self) -> bool {
        self.done.iter().all(|&done| done)
    }

    /// Returns the distances. Distances in tiles that are not computed yet have the largest key,
    /// `u64::MAX`.
    pub fn into_distances(self) -> Distances {
        let metric = match self.source {
            Source::Bytes(_) => Metric::Bytes,
            Source::Floats(_) => Metric::Floats,
        };
        Distances { n: self.images, metric, keys: self.keys, pairs: self.pairs }
    }

    /// Computes the missing tiles. `progress` is called from time to time and can stop the run.
    pub fn advance(
        &mut self,
        options: &Options,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let missing: Vec<usize> = (0..self.done.len()).filter(|&tile| !self.done[tile]).collect();
        if missing.is_empty() {
            return ControlFlow::Continue(());
        }
        // Keep the preparation for later calls, because for many views the preparation takes as
        // long as computing some tiles.
        let prepared = self.prepared.take().filter(|(of, _)| of == options);
        let (_, way) = prepared.unwrap_or_else(|| (*options, self.choose(options)));
        let outcome = self.compute(options.isa, &way, &missing, progress);
        self.prepared = Some((*options, way));
        outcome
    }

    fn compute(
        &mut self,
        isa: Isa,
        way: &Way<'a>,
        missing: &[usize],
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        // Each thread uses the same memory for all of its tiles.
        let threads = rayon::current_num_threads();
        let memories: Vec<Mutex<Scratch>> = (0..threads).map(|_| Mutex::default()).collect();
        for group in missing.chunks(8 * threads) {
            let compute = |&tile: &usize| {
                let memory = &memories[rayon::current_thread_index().unwrap_or(0)];
                let mut scratch = memory.lock().unwrap_or_else(PoisonError::into_inner);
                self.tile(isa, &self.tiles[tile], way, &mut scratch)
            };
            let found: Vec<Vec<Nearest>> = group.par_iter().map(compute).collect();
            for (&tile, found) in group.iter().zip(found) {
                for ([i, j], (key, pair)) in image_pairs(&self.tiles[tile]).zip(found) {
                    let index = pair_index(self.images, i, j);
                    (self.keys[index], self.pairs[index]) = (key, pair);
                }
                self.done[tile] = true;
            }
            let done = self.done.iter().filter(|&&done| done).count();
            progress(Progress { done, total: self.done.len() })?;
        }
        ControlFlow::Continue(())
    }

    /// Prepares the search that the options name, or the faster search.
    fn choose(&self, options: &Options) -> Way<'a> {
        let views = match self.source {
            Source::Bytes(views) => views,
            Source::Floats(embeddings) => return Way::Floats(embeddings),
        };
        let pruned = match options.search {
            Search::Pruned => true,
            Search::Dense => false,
            Search::Auto => bounds_exclude_most(&views, options.isa),
        };
        match pruned {
            true => Way::Pruned(views, Pruning::new(options.isa, &views)),
            false => Way::Dense(views, Dense::new(options.isa, &views)),
        }
    }

    fn tile(
        &self,
        isa: Isa,
        tile: &[Range<usize>; 2],
        way: &Way<'_>,
        scratch: &mut Scratch,
    ) -> Vec<Nearest> {
        let pairs = image_pairs(tile);
        match way {
            Way::Floats(set) => pairs.map(|pair| embedding::nearest(isa, set, pair)).collect(),
            Way::Pruned(views, pruning) => pruning.nearest(isa, views, pairs, scratch),
            Way::Dense(views, dense) => {
                let [rows, columns] = tile;
                let all = dense.nearest(isa, views, tile.clone(), scratch);
                pairs
                    .map(|[i, j]| all[(i - rows.start) * columns.len() + (j - columns.start)])
                    .collect()
            }
        }
    }
}

/// Iterates over the pairs i < j of a tile's images.
fn image_pairs([rows, columns]: &[Range<usize>; 2]) -> impl Iterator<Item = [usize; 2]> + use<> {
    let columns = columns.clone();
    rows.clone().flat_map(move |i| columns.clone().filter(move |&j| i < j).map(move |j| [i, j]))
}

/// Returns whether bounds exclude so many distances that computing only the remaining ones is
/// faster than computing all distances. The sample consists of all pairs of some images, with some
/// of their views.
fn bounds_exclude_most(views: &Views<'_>, isa: Isa) -> bool {
    let few = views.views.min(SAMPLE[1]);
    let step = views.images.div_ceil(SAMPLE[0]).max(1);
    let first = |image: usize| &views.block(image..image + 1)[..few * views.dim];
    let bytes: Vec<u8> = (0..views.images).step_by(step).flat_map(first).copied().collect();
    let images = bytes.len() / (few * views.dim);
    let sample = Views { images, views: few, bytes: &bytes, ..*views };
    let pruning = Pruning::new(isa, &sample);
    let pairs: Vec<[usize; 2]> = image_pairs(&[0..images, 0..images]).collect();
    let computed = |&pair: &[usize; 2]| {
        let mut scratch = Scratch::default();
        pruning.nearest(isa, &sample, std::iter::once(pair), &mut scratch);
        scratch.full
    };
    let computed = pairs.par_iter().map(computed).sum::<u64>() as f64;
    computed <= dense_share(isa) * (pairs.len() * few * few) as f64
}

/// A prepared search for nearest views.
enum Way<'a> {
    Floats(Embeddings<'a>),
    Pruned(Views<'a>, Pruning),
    Dense(Views<'a>, Dense),
}
