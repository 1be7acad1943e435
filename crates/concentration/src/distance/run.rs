use std::ops::{ControlFlow, Range};
use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::prelude::*;
use selfsame_kernels::isa::Isa;

use super::embedding::Embeddings;
use super::nearest::{Dense, NONE, Nearest, Pruning, Scratch};
use super::views::{Views, ViewsError};

/// Views along the sides of a tile, the unit of progress, as far as its images allow. It is longer
/// than wide because what is prepared of its rows serves all of its columns.
const TILE: [usize; 2] = [256, 1024];

/// Images of a set, and views of each, that are looked at to choose a search.
const SAMPLE: [usize; 2] = [5, 64];

/// The share of distances computed in full from which computing all products is faster, as
/// measured: a product costs the less of a distance the better the instruction set is at many
/// products.
fn dense_share(isa: Isa) -> f64 {
    match isa.name() {
        "amx" => 0.01,
        "avx512" => 0.1,
        _ => 0.25,
    }
}

/// How nearest views are looked for. The answer is the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Search {
    /// The faster one for these views, as a sample of them shows.
    #[default]
    Auto,
    /// Full distances only where a bound allows a nearer pair.
    Pruned,
    /// All products.
    Dense,
}

/// How to compute, none of which changes a distance between bytes. The threads are those of the
/// rayon pool that the call is made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The instruction set.
    pub isa: Isa,
    /// The search.
    pub search: Search,
}

impl Default for Options {
    fn default() -> Self {
        Self { isa: Isa::best(), search: Search::Auto }
    }
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Tiles computed.
    pub done: usize,
    /// All tiles.
    pub total: usize,
}

/// Squared augmented distances within a set: of image pairs i < j, packed.
#[derive(Debug, Clone, PartialEq)]
pub struct Distances<K = u64> {
    /// Images.
    pub n: usize,
    /// d_A² of the pair at [`Distances::index`].
    pub keys: Vec<K>,
    /// The views of the first and of the second image that attain it.
    pub pairs: Vec<[u16; 2]>,
}

impl<K: Copy> Distances<K> {
    /// The place of a pair: i·n − i(i + 1)/2 + (j − i − 1), whichever of the two comes first.
    ///
    /// # Panics
    /// If they are the same image, or one is not of the set.
    pub fn index(&self, i: usize, j: usize) -> usize {
        let (i, j) = (i.min(j), i.max(j));
        assert!(i < j && j < self.n, "two different images of {}", self.n);
        i * self.n - i * (i + 1) / 2 + (j - i - 1)
    }

    /// d_A² of two images.
    ///
    /// # Panics
    /// As [`Distances::index`].
    pub fn key(&self, i: usize, j: usize) -> K {
        self.keys[self.index(i, j)]
    }
}

/// Squared augmented distances between two sets: `[row][column]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rectangle<K = u64> {
    /// Images of the first set.
    pub rows: usize,
    /// Images of the second.
    pub columns: usize,
    /// d_A² of row i and column j at i · `columns` + j.
    pub keys: Vec<K>,
    /// The views that attain it, of the row's image and of the column's.
    pub pairs: Vec<[u16; 2]>,
}

/// Squared augmented distances of all image pairs i < j of a set.
///
/// ```
/// use selfsame_concentration::distance::{Options, Shape, Views, augmented_distances};
///
/// // Three images of two views, each a single pixel.
/// let shape = Shape { width: 1, height: 1, channels: 1 };
/// let views = Views::new(3, 2, shape, &[0, 10, 13, 200, 50, 0])?;
/// let distances = augmented_distances(&views, &Options::default());
/// assert_eq!(distances.keys, [9, 0, 13 * 13]);
/// assert_eq!(distances.pairs[0], [1, 0]); // 10 of the first image, 13 of the second
/// # Ok::<(), selfsame_concentration::distance::ViewsError>(())
/// ```
pub fn augmented_distances(views: &Views<'_>, options: &Options) -> Distances {
    let mut run = Run::within(*views);
    let _ = run.advance(options, &mut |_| ControlFlow::Continue(()));
    Distances { n: views.images, keys: run.keys, pairs: run.pairs }
}

/// Squared augmented distances of all images of one set to all of another.
///
/// # Errors
/// Views of different length.
pub fn cross_distances(
    rows: &Views<'_>,
    columns: &Views<'_>,
    options: &Options,
) -> Result<Rectangle, ViewsError> {
    let mut run = Run::between(*rows, *columns)?;
    let _ = run.advance(options, &mut |_| ControlFlow::Continue(()));
    Ok(Rectangle { rows: rows.images, columns: columns.images, keys: run.keys, pairs: run.pairs })
}

#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Bytes([Views<'a>; 2]),
    Floats([Embeddings<'a>; 2]),
}

/// A computation that can stop between tiles, be written to a file and go on later, to the same
/// bytes.
///
/// ```
/// use std::ops::ControlFlow;
/// use selfsame_concentration::distance::{Options, Run, Shape, Views};
///
/// let bytes: Vec<u8> = (0..600 * 300).map(|i| (i % 251) as u8).collect();
/// let views = Views::new(300, 100, Shape { width: 3, height: 2, channels: 1 }, &bytes)?;
/// let mut run = Run::within(views);
/// run.advance(&Options::default(), &mut |progress| {
///     if progress.done > 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
/// });
/// assert!(!run.is_finished());
/// let path = std::env::temp_dir().join("selfsame-doc.distances");
/// run.write(&path)?;
///
/// let mut run = Run::within(views);
/// run.read(&path)?;
/// run.advance(&Options::default(), &mut |_| ControlFlow::Continue(()));
/// assert!(run.is_finished());
/// assert_eq!(run.keys().len(), 300 * 299 / 2);
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Run<'a> {
    pub(super) source: Source<'a>,
    pub(super) triangle: bool,
    pub(super) images: [usize; 2],
    tiles: Vec<[Range<usize>; 2]>,
    pub(super) done: Vec<bool>,
    pub(super) keys: Vec<u64>,
    pub(super) pairs: Vec<[u16; 2]>,
    prepared: Option<(Options, Way<'a>)>,
    pub(super) inputs: OnceLock<[u8; 32]>,
}

impl<'a> Run<'a> {
    /// The image pairs i < j of one set.
    pub fn within(views: Views<'a>) -> Self {
        Self::new(Source::Bytes([views; 2]), true)
    }

    /// The images of one set with those of another.
    ///
    /// # Errors
    /// Views of different length.
    pub fn between(rows: Views<'a>, columns: Views<'a>) -> Result<Self, ViewsError> {
        if rows.shape != columns.shape {
            return Err(ViewsError::Dim { rows: rows.dim, columns: columns.dim });
        }
        Ok(Self::new(Source::Bytes([rows, columns]), false))
    }

    pub(super) fn new(source: Source<'a>, triangle: bool) -> Self {
        let (images, views) = match source {
            Source::Bytes([a, b]) => ([a.images, b.images], a.views.max(b.views)),
            Source::Floats([a, b]) => ([a.images, b.images], a.views.max(b.views)),
        };
        let [rows, columns] = images;
        let [height, width] = TILE.map(|side| (side / views).clamp(1, side / 4));
        let blocks = |images: usize, size: usize| {
            (0..images).step_by(size).map(move |at| at..images.min(at + size))
        };
        let row = |rows: Range<usize>| {
            let needed = move |columns: &Range<usize>| !triangle || columns.end > rows.start + 1;
            let rows = rows.clone();
            blocks(columns, width).filter(needed).map(move |columns| [rows.clone(), columns])
        };
        let tiles: Vec<[Range<usize>; 2]> = blocks(rows, height).flat_map(row).collect();
        let count = if triangle { rows * rows.saturating_sub(1) / 2 } else { rows * columns };
        Self {
            source,
            triangle,
            images,
            done: vec![false; tiles.len()],
            tiles,
            keys: vec![NONE.0; count],
            pairs: vec![NONE.1; count],
            prepared: None,
            inputs: OnceLock::new(),
        }
    }

    /// Whether all tiles are computed.
    pub fn is_finished(&self) -> bool {
        self.done.iter().all(|&done| done)
    }

    /// d_A² in the order of [`Distances`] or [`Rectangle`], `u64::MAX` for pairs of tiles not
    /// computed yet; of embeddings the bits of an f32.
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// The views that attain [`Run::keys`].
    pub fn pairs(&self) -> &[[u16; 2]] {
        &self.pairs
    }

    /// Computes the tiles that are missing, until `progress`, which is told now and then, breaks
    /// off.
    pub fn advance(
        &mut self,
        options: &Options,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let missing: Vec<usize> = (0..self.done.len()).filter(|&tile| !self.done[tile]).collect();
        if missing.is_empty() {
            return ControlFlow::Continue(());
        }
        // What was prepared serves later calls: of many views it takes as long as some tiles.
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
        // A thread's memory serves all of its tiles.
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
                for ([i, j], (key, pair)) in self.image_pairs(&self.tiles[tile]).zip(found) {
                    let at = self.index(i, j);
                    (self.keys[at], self.pairs[at]) = (key, pair);
                }
                self.done[tile] = true;
            }
            let done = self.done.iter().filter(|&&done| done).count();
            progress(Progress { done, total: self.done.len() })?;
        }
        ControlFlow::Continue(())
    }

    fn index(&self, i: usize, j: usize) -> usize {
        let n = self.images[1];
        if self.triangle { i * n - i * (i + 1) / 2 + (j - i - 1) } else { i * n + j }
    }

    fn image_pairs(
        &self,
        [rows, columns]: &[Range<usize>; 2],
    ) -> impl Iterator<Item = [usize; 2]> + use<> {
        let (triangle, columns) = (self.triangle, columns.clone());
        rows.clone().flat_map(move |i| {
            columns.clone().filter(move |&j| !triangle || i < j).map(move |j| [i, j])
        })
    }

    /// The search, where there is a choice the faster one.
    fn choose(&self, options: &Options) -> Way<'a> {
        let sets = match self.source {
            Source::Bytes(sets) => sets,
            Source::Floats(sets) => return Way::Floats(sets),
        };
        let of = if self.triangle { &sets[..1] } else { &sets[..] };
        let dense = || Way::Dense(sets, Dense::new(options.isa, of));
        if options.search == Search::Dense {
            return dense();
        }
        let pruned = || Way::Pruned(sets, Pruning::new(options.isa, of));
        if options.search == Search::Pruned {
            return pruned();
        }
        // A sample tells: all pairs of some images, by some of their views.
        let views = sets.map(|set| set.views.min(SAMPLE[1]));
        let bytes = [0, 1].map(|side| {
            let set = &sets[side];
            let step = set.images.div_ceil(SAMPLE[0]).max(1);
            let first = |image: usize| &set.block(image..image + 1)[..views[side] * set.dim];
            (0..set.images).step_by(step).flat_map(first).copied().collect::<Vec<u8>>()
        });
        let samples = [0, 1].map(|side| {
            let (views, bytes) = (views[side], &bytes[side][..]);
            Views { images: bytes.len() / (views * sets[side].dim), views, bytes, ..sets[side] }
        });
        let pairs =
            (0..samples[0].images).flat_map(|i| (0..samples[1].images).map(move |j| [i, j]));
        let pairs: Vec<[usize; 2]> = pairs.filter(|[i, j]| !self.triangle || i < j).collect();
        let pruning =
            Pruning::new(options.isa, if self.triangle { &samples[..1] } else { &samples });
        let full = |&pair: &[usize; 2]| {
            let mut scratch = Scratch::default();
            pruning.nearest(
                options.isa,
                [&samples[0], &samples[1]],
                std::iter::once(pair),
                &mut scratch,
            );
            scratch.full
        };
        let full = pairs.par_iter().map(full).sum::<u64>() as f64;
        let all = (pairs.len() * views[0] * views[1]) as f64;
        if full <= dense_share(options.isa) * all { pruned() } else { dense() }
    }

    fn tile(
        &self,
        isa: Isa,
        tile: &[Range<usize>; 2],
        way: &Way<'_>,
        scratch: &mut Scratch,
    ) -> Vec<Nearest> {
        let pairs = self.image_pairs(tile);
        match way {
            Way::Floats([a, b]) => {
                pairs.map(|[i, j]| super::embedding::nearest(isa, [a, b], [i, j])).collect()
            }
            Way::Pruned([a, b], pruning) => pruning.nearest(isa, [a, b], pairs, scratch),
            Way::Dense(sets, dense) => {
                let [rows, columns] = tile;
                let all = dense.nearest(isa, sets.each_ref(), tile.clone(), self.triangle, scratch);
                pairs
                    .map(|[i, j]| all[(i - rows.start) * columns.len() + (j - columns.start)])
                    .collect()
            }
        }
    }
}

/// How nearest views are found, prepared.
enum Way<'a> {
    Floats([Embeddings<'a>; 2]),
    Pruned([Views<'a>; 2], Pruning),
    Dense([Views<'a>; 2], Dense),
}
