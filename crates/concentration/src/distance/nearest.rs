//! Finds the nearest views of the image pairs of a tile.

use std::ops::Range;

use rayon::prelude::*;
use selfsame_kernels::distance::{
    LONGEST, Packed, ROWS, SHORT_COLUMNS, lower, lower_wide, squared, squared_f32, squared_norm,
    squared_short,
};
use selfsame_kernels::isa::Isa;

use super::sketch::{Basis, COARSE, FINE, Sketches};
use super::views::Views;

/// A squared distance and the views that attain it. The minimum of several such values is the
/// nearest pair or, among equally near pairs, the first pair.
pub(super) type Nearest = (u64, [u16; 2]);

/// Start value of a minimum: every distance is smaller.
pub(super) const NONE: Nearest = (u64::MAX, [u16::MAX; 2]);

/// Number of views that are packed at a time.
const BLOCK: usize = 256;

/// Number of rows of views whose bounds are stored at a time.
const BOUND_ROWS: usize = 64;

/// The search that computes all products, for views whose bounds exclude little.
pub(super) struct Dense {
    /// ‖v‖² of every view.
    norms: Vec<u64>,
}

impl Dense {
    /// Computes the norms of the views.
    pub(super) fn new(isa: Isa, set: &Views<'_>) -> Self {
        let views = set.bytes.par_chunks_exact(set.dim);
        Self { norms: views.map(|view| squared_norm(isa, view)).collect() }
    }

    /// Finds the nearest views of each image i in the first range of `tile` and each image j in the
    /// second, row by row, for i < j.
    pub(super) fn nearest(
        &self,
        isa: Isa,
        set: &Views<'_>,
        tile: [Range<usize>; 2],
        scratch: &mut Scratch,
    ) -> Vec<Nearest> {
        let norms = tile
            .each_ref()
            .map(|images| &self.norms[images.start * set.views..images.end * set.views]);
        let tile = DenseTile { isa, set, norms, tile };
        let packed = &mut scratch.packed;
        packed.resize_with(parts(set.dim).count(), || Packed::new(isa));
        if set.dim <= LONGEST { tile.nearest::<u32>(packed) } else { tile.nearest::<u64>(packed) }
    }
}

/// An integer type that squared distances fit in: 32 bits for short views, 64 bits for any views.
trait Key: Copy + Ord + Into<u64> {
    const MOST: Self;
    /// Reduces a number modulo the range of the integer type.
    fn wrap(number: u64) -> Self;
    /// Computes the products of `a` with the first `columns` packed vectors, in the order of
    /// [`Packed::dots`]. The parts of each vector follow one another.
    fn products(packed: &mut [Packed], a: &[u8], dim: usize, columns: usize, out: &mut [Self]);
    fn lower(
        isa: Isa,
        norm: Self,
        norms: &[Self],
        products: &[Self],
        mark: u32,
        least: &mut [Self],
        which: &mut [u32],
    );
}

impl Key for u32 {
    const MOST: Self = Self::MAX;

    fn wrap(number: u64) -> Self {
        number as u32
    }

    fn products(packed: &mut [Packed], a: &[u8], dim: usize, columns: usize, out: &mut [Self]) {
        packed[0].products(a, dim, 0..dim, columns, out);
    }

    fn lower(
        isa: Isa,
        norm: Self,
        norms: &[Self],
        products: &[Self],
        mark: u32,
        least: &mut [Self],
        which: &mut [u32],
    ) {
        lower(isa, norm, norms, products, mark, least, which);
    }
}

impl Key for u64 {
    const MOST: Self = Self::MAX;

    fn wrap(number: u64) -> Self {
        number
    }

    fn products(packed: &mut [Packed], a: &[u8], dim: usize, columns: usize, out: &mut [Self]) {
        let mut products = vec![0; out.len()];
        out.fill(0);
        for (packed, part) in packed.iter_mut().zip(parts(dim)) {
            packed.products(a, dim, part, columns, &mut products);
            out.iter_mut().zip(&products).for_each(|(sum, &product)| *sum += Self::from(product));
        }
    }

    fn lower(
        isa: Isa,
        norm: Self,
        norms: &[Self],
        products: &[Self],
        mark: u32,
        least: &mut [Self],
        which: &mut [u32],
    ) {
        lower_wide(isa, norm, norms, products, mark, least, which);
    }
}

/// Splits the values of a view into parts whose products fit into 32 bits.
fn parts(dim: usize) -> impl Iterator<Item = Range<usize>> {
    (0..dim).step_by(LONGEST).map(move |start| start..dim.min(start + LONGEST))
}

struct DenseTile<'a> {
    isa: Isa,
    set: &'a Views<'a>,
    /// ‖v‖² of the views of the tile's rows and columns.
    norms: [&'a [u64]; 2],
    tile: [Range<usize>; 2],
}

impl DenseTile<'_> {
    fn nearest<K: Key>(&self, packed: &mut [Packed]) -> Vec<Nearest> {
        let Self { isa, set, norms: [row_norms, column_norms], tile: [rows, columns] } = self;
        let mut nearest = vec![NONE; rows.len() * columns.len()];
        // Each view in a block of the rows' images becomes a lane, and each view of the columns'
        // images is compared with all lanes at once.
        for (block, lanes) in set.block(rows.clone()).chunks(BLOCK * set.dim).enumerate() {
            packed
                .iter_mut()
                .zip(parts(set.dim))
                .for_each(|(packed, part)| packed.fill(lanes, set.dim, part));
            let first = block * BLOCK;
            let lanes = lanes.len() / set.dim;
            let norms: Vec<K> =
                row_norms[first..first + lanes].iter().map(|&norm| K::wrap(norm)).collect();
            let image = |lane: usize| rows.start + (first + lane) / set.views;
            let stride = packed[0].stride();
            let mut products = vec![K::wrap(0); ROWS * stride];
            let (mut least, mut which) = (vec![K::MOST; lanes], vec![u32::MAX; lanes]);
            for (chunk, of_columns) in set.block(columns.clone()).chunks(ROWS * set.dim).enumerate()
            {
                let views = chunk * ROWS..chunk * ROWS + of_columns.len() / set.dim;
                // Only lanes of images before the last image of this chunk are needed.
                let last = columns.start + (views.end - 1) / set.views;
                let needed = (0..lanes).take_while(|&lane| image(lane) < last).count();
                if needed == 0 {
                    continue;
                }
                K::products(packed, of_columns, set.dim, needed, &mut products);
                for (index, products) in views.zip(products.chunks_exact(stride)) {
                    let (column, v) = (index / set.views, index % set.views);
                    let products = &products[..needed];
                    let (least, which) = (&mut least[..needed], &mut which[..needed]);
                    K::lower(
                        *isa,
                        K::wrap(column_norms[index]),
                        &norms[..needed],
                        products,
                        v as u32,
                        least,
                        which,
                    );
                    if v + 1 < set.views {
                        continue;
                    }
                    for (lane, (least, which)) in least.iter_mut().zip(which).enumerate() {
                        let (row, u) = ((first + lane) / set.views, (first + lane) % set.views);
                        if rows.start + row < columns.start + column {
                            let nearest = &mut nearest[row * columns.len() + column];
                            *nearest = (*nearest).min(((*least).into(), [u as u16, *which as u16]));
                        }
                        (*least, *which) = (K::MOST, u32::MAX);
                    }
                }
            }
        }
        nearest
    }
}

/// Returns the smallest bound. Bounds fill whole registers, so the minimum of each lane is computed
/// first, by a vector operation.
fn smallest(bounds: &[f32]) -> f32 {
    let mut lanes = [f32::INFINITY; SHORT_COLUMNS];
    for bounds in bounds.as_chunks::<SHORT_COLUMNS>().0 {
        for (least, &bound) in lanes.iter_mut().zip(bounds) {
            *least = if bound < *least { bound } else { *least };
        }
    }
    lanes.into_iter().fold(f32::INFINITY, f32::min)
}

/// The search that computes a distance in full only if its bound allows a nearer pair.
pub(super) struct Pruning {
    basis: Basis,
    sketches: Sketches,
}

/// Working memory of a search.
#[derive(Default)]
pub(super) struct Scratch {
    bounds: Vec<f32>,
    candidates: Vec<(f32, [u16; 2])>,
    packed: Vec<Packed>,
    /// Number of distances computed in full.
    pub(super) full: u64,
}

impl Pruning {
    /// Computes the sketches of the views.
    pub(super) fn new(isa: Isa, set: &Views<'_>) -> Self {
        let basis = Basis::new(isa, set);
        let sketches = basis.sketch(isa, set);
        Self { basis, sketches }
    }

    /// Finds the nearest views of each of the given image pairs.
    pub(super) fn nearest(
        &self,
        isa: Isa,
        set: &Views<'_>,
        pairs: impl Iterator<Item = [usize; 2]>,
        scratch: &mut Scratch,
    ) -> Vec<Nearest> {
        let (coarse, fine) = (self.basis.limit(COARSE), self.basis.limit(FINE));
        pairs.map(|[i, j]| self.pair(isa, set, [i, j], (&coarse, &fine), scratch)).collect()
    }

    fn pair(
        &self,
        isa: Isa,
        set: &Views<'_>,
        [i, j]: [usize; 2],
        (coarse_limit, fine_limit): (impl Fn(u64) -> f32, impl Fn(u64) -> f32),
        scratch: &mut Scratch,
    ) -> Nearest {
        let Sketches { padded, coarse, fine, transposed } = &self.sketches;
        let padded = *padded;
        let columns = &transposed[j * COARSE * padded..][..COARSE * padded];
        let Scratch { bounds, candidates, full, .. } = scratch;
        let mut exact = |[u, v]: [u16; 2]| {
            *full += 1;
            (squared(isa, set.view(i, usize::from(u)), set.view(j, usize::from(v))), [u, v])
        };
        let mut nearest = NONE;
        for first in (0..set.views).step_by(BOUND_ROWS) {
            let rows = BOUND_ROWS.min(set.views - first);
            let from = &coarse[(i * set.views + first) * COARSE..][..rows * COARSE];
            bounds.resize(rows * padded, 0.0);
            squared_short(isa, from, columns, COARSE, padded, bounds);
            let least = smallest(bounds);
            if nearest != NONE && least > coarse_limit(nearest.0) {
                continue;
            }
            // The views with the smallest bound are likely to be near, so start from their distance
            // to get a low limit.
            let index = bounds.iter().position(|&bound| bound == least).unwrap_or(0);
            nearest = nearest.min(exact([
                (first + index / padded) as u16,
                (index % padded).min(set.views - 1) as u16,
            ]));
            let limit = coarse_limit(nearest.0);
            candidates.clear();
            for (index, bounds) in bounds.as_chunks::<SHORT_COLUMNS>().0.iter().enumerate() {
                if !bounds.iter().fold(false, |any, &bound| any | (bound <= limit)) {
                    continue;
                }
                for (lane, _) in bounds.iter().enumerate().filter(|(_, bound)| **bound <= limit) {
                    let index = index * bounds.len() + lane;
                    let (u, v) = (first + index / padded, index % padded);
                    let row = &fine[(i * set.views + u) * FINE..][..FINE];
                    let column = &fine[(j * set.views + v) * FINE..][..FINE];
                    candidates.push((squared_f32(isa, row, column), [u as u16, v as u16]));
                }
            }
            candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            for &(bound, pair) in candidates.iter() {
                if bound > fine_limit(nearest.0) {
                    break;
                }
                nearest = nearest.min(exact(pair));
            }
        }
        nearest
    }
}
