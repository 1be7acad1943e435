//! Finds near copies among images: the same picture saved again, brighter, darker, mirrored or
//! slightly retouched.
//!
//! # What counts as near
//!
//! A fixed distance would not do: two blue skies are nearer to each other than two copies of a
//! meadow, one of which was compressed again. So an image's distance from another is measured in
//! units of its distance from images that it has nothing to do with.
//!
//! 1. **Brightness and contrast are taken out.** The values of each image are brought to mean 0 and
//!    variance 1. Images whose values hardly vary are [flat](NearCopies::flat) and are left out,
//!    because nothing but noise would remain of them.
//! 2. **Two distances are measured**: d of the whole picture, and e of its details, which are the
//!    differences from the mean of their surroundings. Details are compared in the middle only, so
//!    that images with the same frame do not resemble each other.
//! 3. **The images themselves give the units.** D is the distance from the [`NEIGHBOUR`]th nearest
//!    image of a sample of [`SAMPLE`], and E the distance of details from these neighbours.
//! 4. **The closeness of a pair is √(d/D · e/E)**, with the smaller D and the smaller E of the two.
//!    It is 0 for copies, and about 1 for unrelated images.
//! 5. **The threshold comes from the set.** Where images have few degrees of freedom, such as
//!    digits or drawings, some pairs are close by chance. If images are spread evenly in a space of
//!    m dimensions, an image has (n / s) · r · ρᵐ others within ρ · D, for n images, a sample of s
//!    and D the distance of the r-th of it. The threshold is the ρ at which chance alone would make
//!    a pair of one image in [`CHANCE`], but at most [`NEAREST`]. The number of dimensions around an
//!    image is estimated from how distances grow from the (r / 2)-th neighbour to the r-th, so that
//!    a few copies do not matter, as the mean over the image and its r neighbours.
//!
//! # How all pairs are searched
//!
//! Distances are those of bytes, and exact. Only pairs up to a d of [`REACH`] · threshold · D are
//! near copies. Means of squares of 4 × 4 pixels bound d from below and exclude nearly all
//! pairs: by the inequality of Cauchy and Schwarz, ‖a − b‖² ≥ 16 ‖ā − b̄‖² for the means ā and b̄,
//! and rounding the means to bytes moves each of them by at most ½.

mod groups;
mod signature;

use std::collections::HashMap;
use std::ops::Range;

use rayon::prelude::*;
use selfsame_kernels::distance::{Packed, ROWS, any_within, squared, squared_norm};
use selfsame_kernels::isa::Isa;

use self::groups::Groups;
use self::signature::{COARSE, DETAIL_SIDE, DETAILS, SCALE, Signature};

/// Side in pixels of the images that are compared.
pub const SIDE: usize = 32;
/// Number of bytes of an image: RGB, row by row.
pub const BYTES: usize = SIDE * SIDE * CHANNELS;
/// Largest closeness of near copies in any set.
pub const NEAREST: f64 = 0.6;
/// Chance alone makes a pair of near copies of at most one image in so many.
pub const CHANCE: f64 = 1000.0;
/// Maximum number of images that unrelated images are taken from.
pub const SAMPLE: usize = 2048;
/// Rank of the neighbour within the sample whose distance is the unit.
pub const NEIGHBOUR: usize = 8;
/// Largest d of near copies in units of D, as a multiple of the threshold.
pub const REACH: f64 = 4.0 / 3.0;
/// Smallest standard deviation of the values of an image that is compared, in levels of 255.
pub const LEAST_CONTRAST: f64 = 4.0;
/// Number of pairs that are kept of each image: the closest.
pub const KEPT: usize = 16;

const CHANNELS: usize = 3;
/// Side of the squares whose means are compared first.
const BLOCK: usize = 4;
/// Number of images that are packed at a time.
const LANES: usize = 256;
/// Number of images below which the distance of unrelated images is assumed.
const FEWEST: usize = 16;
/// Correlation that is assumed of unrelated images where there are too few to measure it.
const ASSUMED: f64 = 0.4;
/// Share of the work, as progress, that is done before pairs are searched.
const PREPARED: f64 = 0.3;
/// Number of pairs in memory above which all but the closest of each image are dropped.
const MANY: usize = 1 << 21;

/// Two near copies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearPair {
    /// The two images, the smaller number first.
    pub images: [usize; 2],
    /// Whether one is like the mirror image of the other.
    pub mirrored: bool,
    /// Correlation of their values: 1 if they differ in brightness and contrast only.
    pub correlation: f64,
    /// Closeness; see the [module](self).
    pub closeness: f64,
}

/// The near copies among images.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NearCopies {
    /// Near copies, the closest first: the pairs that are among the [`KEPT`] closest of either
    /// image.
    pub pairs: Vec<NearPair>,
    /// Number of all pairs of near copies.
    pub found: usize,
    /// Images that near copies connect, at least two in each group, in ascending order.
    pub groups: Vec<Vec<usize>>,
    /// Images that were not compared, because they are flat.
    pub flat: Vec<usize>,
    /// Largest closeness of near copies of the middle image. Images in surroundings of fewer
    /// dimensions have a smaller one.
    pub threshold: f64,
}

/// Finds all near copies among images of [`BYTES`] bytes each.
///
/// `advance` is called with the share of the work that is done, and returns whether to go on.
/// Returns `None` if it does not. The result depends neither on the threads nor on the instruction
/// set.
///
/// ```
/// use selfsame_concentration::near::{BYTES, near_copies};
/// use selfsame_kernels::isa::Isa;
///
/// let noise = |seed: usize| (0..BYTES).map(move |i| ((i * i * 7 + seed * i * 31) % 201) as u8);
/// let brighter = noise(1).map(|value| value + 20);
/// let images: Vec<u8> = noise(1).chain(noise(2)).chain(brighter).collect();
///
/// let found = near_copies(Isa::best(), &images, &mut |_share| true).unwrap();
/// assert_eq!(found.groups, [[0, 2]]);
/// ```
///
/// # Panics
///
/// If `images` is not a whole number of images.
pub fn near_copies(
    isa: Isa,
    images: &[u8],
    advance: &mut dyn FnMut(f64) -> bool,
) -> Option<NearCopies> {
    assert!(images.len().is_multiple_of(BYTES), "whole images");
    let mut set = Set::new(isa, images);
    if !set.measure_units(isa, &mut |share| advance(PREPARED * share)) {
        return None;
    }
    set.limits = (0..set.len()).map(|image| set.coarse_limit(image)).collect();
    let (mut groups, mut pairs, mut found) = (Groups::new(set.len()), Vec::new(), 0);
    let blocks: Vec<usize> = (0..set.len()).step_by(LANES).collect();
    // The last image of a block is compared with all before it.
    let work = |blocks: &[usize]| blocks.iter().map(|start| (start + LANES) as f64).sum::<f64>();
    let (all, mut done) = (work(&blocks), 0.0);
    for blocks in blocks.chunks(4 * rayon::current_num_threads().max(1)) {
        let near: Vec<Vec<NearPair>> =
            blocks.par_iter().map(|&start| set.near_of_block(isa, start)).collect();
        for pair in near.into_iter().flatten() {
            groups.join(pair.images);
            found += 1;
            pairs.push(pair);
        }
        if pairs.len() > MANY {
            pairs = closest(pairs);
        }
        done += work(blocks);
        if !advance(PREPARED + (1.0 - PREPARED) * done / all) {
            return None;
        }
    }
    let mut pairs = closest(pairs);
    for pair in &mut pairs {
        pair.images = pair.images.map(|image| set.numbers[image]);
    }
    let mut groups = groups.into_lists();
    groups.iter_mut().flatten().for_each(|image| *image = set.numbers[*image]);
    Some(NearCopies { pairs, found, groups, flat: set.flat, threshold: median(set.thresholds) })
}

/// Sorts pairs by closeness, and keeps those that are among the closest of either image.
fn closest(mut pairs: Vec<NearPair>) -> Vec<NearPair> {
    pairs.sort_by(|a, b| a.closeness.total_cmp(&b.closeness).then_with(|| a.images.cmp(&b.images)));
    let mut seen = HashMap::<usize, usize>::new();
    pairs.retain(|pair| {
        let rank = pair.images.map(|image| {
            let count = seen.entry(image).or_default();
            *count += 1;
            *count
        });
        rank.iter().any(|&rank| rank <= KEPT)
    });
    pairs
}

/// The images that are compared. They are numbered from 0; flat images are not among them.
struct Set {
    /// Number of each image among all images.
    numbers: Vec<usize>,
    flat: Vec<usize>,
    /// The images at mean 0 and variance 1, as bytes.
    plain: Vec<u8>,
    /// Their means of squares of pixels.
    coarse: Vec<u8>,
    /// Squared norms of these means.
    norms: Vec<u32>,
    /// Their details.
    details: Vec<u8>,
    /// The units of each image: D and E.
    units: Vec<[f64; 2]>,
    /// Largest closeness of near copies of each image.
    thresholds: Vec<f64>,
    /// Largest squared distance of means of each image from a near copy.
    limits: Vec<u32>,
}

/// What the neighbours of an image in the sample say.
struct Neighbours {
    /// D and E.
    units: [f64; 2],
    /// Reciprocal of the number of dimensions in which images are spread around this one.
    flatness: f64,
    /// The neighbours.
    images: Vec<usize>,
}

impl Set {
    fn new(isa: Isa, images: &[u8]) -> Self {
        let mut set = Self {
            numbers: Vec::new(),
            flat: Vec::new(),
            plain: Vec::new(),
            coarse: Vec::new(),
            norms: Vec::new(),
            details: Vec::new(),
            units: Vec::new(),
            thresholds: Vec::new(),
            limits: Vec::new(),
        };
        for (chunk, images) in images.chunks(SAMPLE * BYTES).enumerate() {
            let signatures: Vec<Option<Signature>> =
                images.par_chunks_exact(BYTES).map(Signature::new).collect();
            for (number, signature) in (chunk * SAMPLE..).zip(signatures) {
                let Some(Signature { plain, coarse, details }) = signature else {
                    set.flat.push(number);
                    continue;
                };
                set.numbers.push(number);
                set.norms.push(squared_norm(isa, &coarse) as u32);
                set.plain.extend(plain);
                set.coarse.extend(coarse);
                set.details.extend(details);
            }
        }
        set
    }

    fn len(&self) -> usize {
        self.numbers.len()
    }

    fn plain(&self, image: usize) -> &[u8] {
        &self.plain[image * BYTES..][..BYTES]
    }

    fn details(&self, image: usize) -> &[u8] {
        &self.details[image * DETAILS..][..DETAILS]
    }

    /// Measures the units of all images. Returns whether `advance` did not stop it.
    fn measure_units(&mut self, isa: Isa, advance: &mut dyn FnMut(f64) -> bool) -> bool {
        let n = self.len();
        if n < FEWEST {
            let distance = |values: usize| SCALE * (2.0 * (1.0 - ASSUMED) * values as f64).sqrt();
            self.units = vec![[distance(BYTES), distance(DETAILS)]; n];
            self.thresholds = vec![NEAREST; n];
            return true;
        }
        let sample: Vec<usize> = (0..n).step_by(n.div_ceil(SAMPLE)).collect();
        let vectors: Vec<u8> =
            sample.iter().flat_map(|&image| self.plain(image)).copied().collect();
        let packed: Vec<Packed> = vectors
            .chunks(LANES * BYTES)
            .map(|vectors| {
                let mut packed = Packed::new(isa);
                packed.fill(vectors, BYTES, 0..BYTES);
                packed
            })
            .collect();
        let norms: Vec<u64> =
            self.plain.par_chunks_exact(BYTES).map(|image| squared_norm(isa, image)).collect();
        let chunks: Vec<usize> = (0..n).step_by(ROWS).collect();
        let mut neighbours: Vec<Neighbours> = Vec::with_capacity(n);
        for some in chunks.chunks(64 * rayon::current_num_threads().max(1)) {
            let of_chunk = |packed: &mut Vec<Packed>, &start: &usize| {
                self.neighbours(isa, start..n.min(start + ROWS), &sample, packed, &norms)
            };
            let measured: Vec<Vec<Neighbours>> =
                some.par_iter().map_init(|| packed.clone(), of_chunk).collect();
            neighbours.extend(measured.into_iter().flatten());
            if !advance(neighbours.len() as f64 / n as f64) {
                return false;
            }
        }
        self.units = neighbours.iter().map(|image| image.units).collect();
        let share = sample.len() as f64 / (CHANCE * n as f64 * rank(sample.len()) as f64);
        let threshold = |(image, of_image): (usize, &Neighbours)| {
            let around = of_image.images.iter().chain([&image]);
            let flatness: f64 = around.map(|&other| neighbours[other].flatness).sum();
            share.powf(flatness / (of_image.images.len() + 1) as f64).min(NEAREST)
        };
        self.thresholds = neighbours.iter().enumerate().map(threshold).collect();
        true
    }

    /// Measures at most [`ROWS`] images against the sample.
    fn neighbours(
        &self,
        isa: Isa,
        images: Range<usize>,
        sample: &[usize],
        packed: &mut [Packed],
        norms: &[u64],
    ) -> Vec<Neighbours> {
        let rank = rank(sample.len());
        let rows = &self.plain[images.start * BYTES..images.end * BYTES];
        let mut distances = vec![Vec::with_capacity(sample.len()); images.len()];
        let mut products = Vec::new();
        for (packed, of_block) in packed.iter_mut().zip(sample.chunks(LANES)) {
            let stride = packed.stride();
            products.resize(ROWS * stride, 0);
            packed.products(rows, BYTES, 0..BYTES, of_block.len(), &mut products);
            for (row, image) in images.clone().enumerate() {
                let products = &products[row * stride..][..of_block.len()];
                let found = of_block.iter().zip(products).filter(|(other, _)| **other != image);
                distances[row].extend(found.map(|(&other, &product)| {
                    (norms[image] + norms[other] - 2 * u64::from(product), other)
                }));
            }
        }
        let ranks: f64 = (rank / 2..rank).map(|rank| 1.0 / rank as f64).sum();
        let measure = |(image, mut distances): (usize, Vec<(u64, usize)>)| {
            distances.select_nth_unstable(rank - 1);
            distances.truncate(rank);
            distances.sort_unstable();
            let farthest = distances[rank - 1].0 as f64;
            let details: f64 = distances
                .iter()
                .map(|&(_, other)| squared(isa, self.details(image), self.details(other)) as f64)
                .sum();
            // In m dimensions, the logarithm of distances grows by 1 / (m · j) from the j-th
            // neighbour to the next. Half of the logarithm of squares is that of distances.
            let nearer = (distances[rank / 2 - 1].0 as f64).max(1.0);
            let growth = (farthest.max(1.0) / nearer).ln() / 2.0;
            Neighbours {
                units: [farthest.sqrt(), (details / rank as f64).sqrt()],
                flatness: growth / ranks,
                images: distances.iter().map(|&(_, other)| other).collect(),
            }
        };
        images.zip(distances).map(measure).collect()
    }

    /// Finds the near copies of each image from `start` on, [`LANES`] images, among the images
    /// before it.
    fn near_of_block(&self, isa: Isa, start: usize) -> Vec<NearPair> {
        let images = start..self.len().min(start + LANES);
        let mut pairs = Vec::new();
        for mirrored in [false, true] {
            let turned = |values: &[u8], size: usize, side: usize| {
                let values = &values[images.start * size..images.end * size];
                if mirrored { mirror(values, side) } else { values.to_vec() }
            };
            let block = Block {
                images: images.clone(),
                mirrored,
                plain: turned(&self.plain, BYTES, SIDE),
                coarse: turned(&self.coarse, COARSE, SIDE / BLOCK),
                details: turned(&self.details, DETAILS, DETAIL_SIDE),
            };
            self.near_ones(isa, &block, &mut pairs);
        }
        // A symmetric image may be found both ways.
        pairs.sort_by(|a, b| a.images.cmp(&b.images).then(a.closeness.total_cmp(&b.closeness)));
        pairs.dedup_by_key(|pair| pair.images);
        pairs
    }

    /// Finds the near copies of the images of a block among all before them.
    fn near_ones(&self, isa: Isa, block: &Block, pairs: &mut Vec<NearPair>) {
        let (start, end) = (block.images.start, block.images.end);
        let mut packed = Packed::new(isa);
        packed.fill(&block.coarse, COARSE, 0..COARSE);
        let stride = packed.stride();
        let mut products = vec![0; ROWS * stride];
        for first in (0..end).step_by(ROWS) {
            let rows = first..end.min(first + ROWS);
            let vectors = &self.coarse[rows.start * COARSE..rows.end * COARSE];
            packed.products(vectors, COARSE, 0..COARSE, end - start, &mut products);
            for (image, products) in rows.zip(products.chunks_exact(stride)) {
                // Only images after this one.
                let after = start.max(image + 1);
                let products = &products[after - start..end - start];
                let (norms, limits) = (&self.norms[after..end], &self.limits[after..end]);
                let (norm, limit) = (self.norms[image], self.limits[image]);
                if !any_within(isa, norm, norms, products, limit, limits) {
                    continue;
                }
                let others = norms.iter().zip(products).zip(limits).enumerate();
                for (other, ((norms, product), limits)) in others {
                    if norm + norms - 2 * product <= limit.min(*limits) {
                        pairs.extend(self.near(isa, image, block, after + other));
                    }
                }
            }
        }
    }

    /// Compares an image in full with an image of a block. Returns `None` if they are no near
    /// copies.
    fn near(&self, isa: Isa, image: usize, block: &Block, other: usize) -> Option<NearPair> {
        let at = other - block.images.start;
        let [unit, detail_unit] = [0, 1].map(|i| self.units[image][i].min(self.units[other][i]));
        let threshold = self.thresholds[image].min(self.thresholds[other]);
        let plain = squared(isa, self.plain(image), &block.plain[at * BYTES..][..BYTES]) as f64;
        if plain.sqrt() > REACH * threshold * unit {
            return None;
        }
        let details = &block.details[at * DETAILS..][..DETAILS];
        let details = squared(isa, self.details(image), details) as f64;
        let ratio = |square: f64, unit: f64| if square == 0.0 { 0.0 } else { square.sqrt() / unit };
        let closeness = (ratio(plain, unit) * ratio(details, detail_unit)).sqrt();
        let correlation = 1.0 - plain / (2.0 * SCALE * SCALE * BYTES as f64);
        let (images, mirrored) = ([image, other], block.mirrored);
        (closeness <= threshold).then_some(NearPair { images, mirrored, correlation, closeness })
    }

    /// Returns the largest squared distance of means of this image from a near copy.
    fn coarse_limit(&self, image: usize) -> u32 {
        let rounding = (COARSE as f64).sqrt();
        let distance = REACH * self.thresholds[image] * self.units[image][0];
        (distance / BLOCK as f64 + rounding).powi(2).ceil() as u32
    }
}

/// Consecutive images, as they are or mirrored.
struct Block {
    images: Range<usize>,
    mirrored: bool,
    plain: Vec<u8>,
    coarse: Vec<u8>,
    details: Vec<u8>,
}

/// Returns the lower median; [`NEAREST`] if there are no values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(NEAREST)
}

/// Returns the rank of the neighbour whose distance is the unit, in a sample of `count` images.
fn rank(count: usize) -> usize {
    NEIGHBOUR.min(count / 4)
}

/// Swaps left and right in RGB images of width `width`, one below the other.
fn mirror(images: &[u8], width: usize) -> Vec<u8> {
    let row = |row: &[u8]| {
        row.as_chunks::<CHANNELS>().0.iter().rev().copied().flatten().collect::<Vec<u8>>()
    };
    images.chunks_exact(width * CHANNELS).flat_map(row).collect()
}

#[cfg(test)]
mod tests;
