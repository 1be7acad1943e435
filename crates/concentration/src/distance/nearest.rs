//! The nearest views of the image pairs of a tile.

use std::ops::Range;

use selfsame_kernels::distance::{Blocks, SHORT_COLUMNS, dots, squared, squared_f32, squared_norm, squared_short};
use selfsame_kernels::isa::Isa;

use super::sketch::{Basis, COARSE, FINE, Sketches};
use super::views::Views;

/// A squared distance and the views that attain it; the least is the nearest, the first of equals.
pub(super) type Nearest = (u64, [u16; 2]);

/// What any distance is nearer than.
pub(super) const NONE: Nearest = (u64::MAX, [u16::MAX; 2]);

/// Rows and columns of views whose products exist at a time.
const BLOCK: usize = 256;

/// Rows of views whose bounds exist at a time.
const ROWS: usize = 64;

/// All products: for views of which bounds exclude little.
pub(super) fn dense(
    isa: Isa,
    [a, b]: [&Views<'_>; 2],
    rows: Range<usize>,
    columns: Range<usize>,
    triangle: bool,
) -> Vec<Nearest> {
    let mut nearest = vec![NONE; rows.len() * columns.len()];
    let norms = |views: &[u8]| views.chunks_exact(a.dim).map(|view| squared_norm(isa, view)).collect::<Vec<u64>>();
    let (of_rows, of_columns) = (a.block(rows.clone()), b.block(columns.clone()));
    let (row_norms, column_norms) = (norms(of_rows), norms(of_columns));
    let (mut blocks, mut out) = (Blocks::default(), Vec::new());
    for (i, of_rows) in of_rows.chunks(BLOCK * a.dim).enumerate() {
        for (j, of_columns) in of_columns.chunks(BLOCK * a.dim).enumerate() {
            let count = of_columns.len() / a.dim;
            out.clear();
            out.resize(of_rows.len() / a.dim * count, 0);
            let row_image = |r: usize| (i * BLOCK + r) / a.views;
            let column_image = |c: usize| (j * BLOCK + c) / b.views;
            let needed = |r: Range<usize>, c: Range<usize>| {
                !triangle || columns.start + column_image(c.end - 1) > rows.start + row_image(r.start)
            };
            dots(isa, of_rows, of_columns, a.dim, needed, &mut blocks, &mut out);
            for (r, products) in out.chunks_exact(count).enumerate() {
                let (row, u) = (row_image(r), (i * BLOCK + r) % a.views);
                let norm = row_norms[i * BLOCK + r];
                let mut c = 0;
                while c < count {
                    let (column, v) = (column_image(c), (j * BLOCK + c) % b.views);
                    let end = count.min(c + b.views - v);
                    if !triangle || columns.start + column > rows.start + row {
                        let least = &mut nearest[row * columns.len() + column];
                        let norms = &column_norms[j * BLOCK + c..j * BLOCK + end];
                        for (v, (&product, &other)) in (v..).zip(products[c..end].iter().zip(norms)) {
                            // Of equals in one row of views the first stands; blocks come in any order, so that
                            // between rows the pair decides.
                            *least = (*least).min((norm + other - 2 * product, [u as u16, v as u16]));
                        }
                    }
                    c = end;
                }
            }
        }
    }
    nearest
}

/// The least of the bounds, of which there are whole registers: a least of each lane first, which are vectors.
fn smallest(bounds: &[f32]) -> f32 {
    let mut lanes = [f32::INFINITY; SHORT_COLUMNS];
    for bounds in bounds.as_chunks::<SHORT_COLUMNS>().0 {
        for (least, &bound) in lanes.iter_mut().zip(bounds) {
            *least = if bound < *least { bound } else { *least };
        }
    }
    lanes.into_iter().fold(f32::INFINITY, f32::min)
}

/// The search that bounds shorten.
pub(super) struct Pruning {
    basis: Basis,
    sketches: Vec<Sketches>,
}

/// Memory of a search.
#[derive(Default)]
pub(super) struct Scratch {
    bounds: Vec<f32>,
    candidates: Vec<(f32, [u16; 2])>,
    /// Distances computed in full.
    pub(super) full: u64,
}

impl Pruning {
    /// Sketches the views of one set, or of two.
    pub(super) fn new(isa: Isa, sets: &[Views<'_>]) -> Self {
        let basis = Basis::new(isa, sets);
        let sketches = sets.iter().map(|set| basis.sketch(isa, set)).collect();
        Self { basis, sketches }
    }

    /// The nearest views of each image pair (i of `a`, j of `b`) named.
    pub(super) fn nearest(
        &self,
        isa: Isa,
        [a, b]: [&Views<'_>; 2],
        pairs: impl Iterator<Item = [usize; 2]>,
        scratch: &mut Scratch,
    ) -> Vec<Nearest> {
        let (coarse, fine) = (self.basis.limit(COARSE), self.basis.limit(FINE));
        pairs.map(|[i, j]| self.pair(isa, [a, b], [i, j], (&coarse, &fine), scratch)).collect()
    }

    fn pair(
        &self,
        isa: Isa,
        [a, b]: [&Views<'_>; 2],
        [i, j]: [usize; 2],
        (coarse_limit, fine_limit): (impl Fn(u64) -> f32, impl Fn(u64) -> f32),
        scratch: &mut Scratch,
    ) -> Nearest {
        let (of_a, of_b) = (&self.sketches[0], &self.sketches[self.sketches.len() - 1]);
        let padded = of_b.padded;
        let columns = &of_b.transposed[j * COARSE * padded..][..COARSE * padded];
        let Scratch { bounds, candidates, full } = scratch;
        let mut exact = |[u, v]: [u16; 2]| {
            *full += 1;
            (squared(isa, a.view(i, usize::from(u)), b.view(j, usize::from(v))), [u, v])
        };
        let mut nearest = NONE;
        for first in (0..a.views).step_by(ROWS) {
            let rows = ROWS.min(a.views - first);
            let from = &of_a.coarse[(i * a.views + first) * COARSE..][..rows * COARSE];
            bounds.resize(rows * padded, 0.0);
            squared_short(isa, from, columns, COARSE, padded, bounds);
            let least = smallest(bounds);
            if nearest != NONE && least > coarse_limit(nearest.0) {
                continue;
            }
            // The views of the smallest bound are likely near: their distance makes the first limit a low one.
            let at = bounds.iter().position(|&bound| bound == least).unwrap_or(0);
            nearest = nearest.min(exact([(first + at / padded) as u16, (at % padded).min(b.views - 1) as u16]));
            let limit = coarse_limit(nearest.0);
            candidates.clear();
            for (at, bounds) in bounds.as_chunks::<SHORT_COLUMNS>().0.iter().enumerate() {
                if !bounds.iter().fold(false, |any, &bound| any | (bound <= limit)) {
                    continue;
                }
                for (lane, _) in bounds.iter().enumerate().filter(|(_, bound)| **bound <= limit) {
                    let at = at * bounds.len() + lane;
                    let (u, v) = (first + at / padded, at % padded);
                    let row = &of_a.fine[(i * a.views + u) * FINE..][..FINE];
                    let column = &of_b.fine[(j * b.views + v) * FINE..][..FINE];
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
