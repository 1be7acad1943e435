//! Products of bytes widened to 16 bits.
//!
//! One instruction multiplies two neighbouring values of a vector and adds both products. A lane of
//! a register holds two neighbouring values of its column. A row's two values are broadcast to all
//! lanes.

use std::ops::Range;

use super::panel::{Line, PANEL, Products, ROWS, Rows, SECTION};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::isa::Set;

/// Number of rows whose sums are kept in registers at a time.
const GROUP: usize = 4;
/// Number of pairs of values in a section.
const SECTION_PAIRS: usize = SECTION / 2;
/// Number of pairs of values that a line has of each row of a group.
const LINE_PAIRS: usize = 32 / (2 * GROUP);

/// Packs columns. A line holds a pair of values of every column of a panel. An odd last value is
/// paired with a zero, and missing columns are zeros.
pub(super) fn pack_columns(
    b: &[u8],
    dim: usize,
    range: Range<usize>,
    panels: usize,
    to: &mut Vec<Line>,
) {
    let pairs = range.len().div_ceil(2);
    to.clear();
    to.resize(panels * pairs, Line([0; 64]));
    for (vector, from) in b.chunks_exact(dim).enumerate() {
        let lines = &mut to[vector / PANEL * pairs..][..pairs];
        for (line, pair) in lines.iter_mut().zip(from[range.clone()].chunks(2)) {
            let slot = &mut line.0[4 * (vector % PANEL)..][..4];
            slot[0] = pair[0];
            slot[2] = pair.get(1).copied().unwrap_or(0);
        }
    }
}

/// Packs rows in groups. For each pair of values, the pairs of all rows of a group follow each
/// other, in whole lines. Returns the number of lines per group.
fn pack_rows(rows: &Rows<'_>, to: &mut Vec<Line>) -> usize {
    let lines = rows.range.len().div_ceil(2).div_ceil(LINE_PAIRS);
    to.clear();
    to.resize(ROWS / GROUP * lines, Line([0; 64]));
    for (row, from) in rows.vectors.chunks_exact(rows.dim).enumerate() {
        let lines = &mut to[row / GROUP * lines..][..lines];
        for (index, pair) in from[rows.range.clone()].chunks(2).enumerate() {
            let at = 4 * (index % LINE_PAIRS * GROUP + row % GROUP);
            let slot = &mut lines[index / LINE_PAIRS].0[at..][..4];
            slot[0] = pair[0];
            slot[2] = pair.get(1).copied().unwrap_or(0);
        }
    }
    lines
}

/// Writes the products of `rows` with packed columns. `packed` is memory for the packed rows.
pub(super) fn multiply(
    isa: Isa,
    rows: Rows<'_>,
    packed: &mut Vec<Line>,
    columns: &[Line],
    products: Products<'_>,
) {
    let Products { panels, stride, out } = products;
    let pairs = rows.range.len().div_ceil(2);
    let lines = pack_rows(&rows, packed);
    let groups = (rows.vectors.len() / rows.dim).div_ceil(GROUP);
    for first in (0..pairs).step_by(SECTION_PAIRS) {
        let count = SECTION_PAIRS.min(pairs - first);
        for panel in 0..panels {
            let columns = &columns[panel * pairs + first..][..count];
            for group in 0..groups {
                let rows =
                    &packed[group * lines + first / LINE_PAIRS..][..count.div_ceil(LINE_PAIRS)];
                let mut sums = [[0; PANEL]; GROUP];
                multiply_group(isa, rows, columns, &mut sums);
                for (row, sums) in (group * GROUP..).zip(&sums) {
                    let out = &mut out[row * stride + panel * PANEL..][..PANEL];
                    for (out, &sum) in out.iter_mut().zip(sums) {
                        let previous = if first == 0 { 0 } else { *out };
                        *out = previous + sum.cast_unsigned();
                    }
                }
            }
        }
    }
}

/// Multiplies one group of rows with one panel.
#[inline]
fn multiply_group(isa: Isa, rows: &[Line], columns: &[Line], sums: &mut [[i32; PANEL]; GROUP]) {
    debug_assert_eq!(rows.len(), columns.len().div_ceil(LINE_PAIRS));
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a value of these sets exists only on a machine that has AVX2. The rows have as
        // many pairs as the columns have lines. (AVX-512 without VNNI is rare enough to be served
        // by AVX2.)
        Set::Amx | Set::Avx512Bf16 | Set::Avx512 | Set::Avx2 => unsafe {
            x86::avx2(rows, columns, sums)
        },
        _ => portable(rows, columns, sums),
    }
}

fn portable(rows: &[Line], columns: &[Line], sums: &mut [[i32; PANEL]; GROUP]) {
    let pairs = rows.iter().flat_map(|line| line.0.as_chunks::<{ 4 * GROUP }>().0);
    for (rows, columns) in pairs.zip(columns) {
        for (sums, row) in sums.iter_mut().zip(rows.as_chunks::<4>().0) {
            for (sum, column) in sums.iter_mut().zip(columns.0.as_chunks::<4>().0) {
                *sum += i32::from(row[0]) * i32::from(column[0])
                    + i32::from(row[2]) * i32::from(column[2]);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{GROUP, Line, PANEL};

    const LANES: usize = 8;
    const REGISTERS: usize = PANEL / LANES;

    /// Writes the products of a group of rows with a panel.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has the named target features.
    /// - `rows` must have a quarter as many lines as `columns`, rounded up.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2(rows: &[Line], columns: &[Line], sums: &mut [[i32; PANEL]; GROUP]) {
        let mut totals = [[_mm256_setzero_si256(); REGISTERS]; GROUP];
        let rows = rows.as_ptr().cast::<i32>();
        for (index, columns) in columns.iter().enumerate() {
            let columns: [__m256i; REGISTERS] = std::array::from_fn(|register| {
                // SAFETY: a line is REGISTERS aligned registers.
                unsafe { _mm256_load_si256(columns.0.as_ptr().cast::<__m256i>().add(register)) }
            });
            for (row, totals) in totals.iter_mut().enumerate() {
                // SAFETY: for every line of the columns, the rows have GROUP pairs.
                let pair = _mm256_set1_epi32(unsafe { *rows.add(index * GROUP + row) });
                for (total, column) in totals.iter_mut().zip(columns) {
                    *total = _mm256_add_epi32(*total, _mm256_madd_epi16(pair, column));
                }
            }
        }
        for (sums, totals) in sums.iter_mut().zip(totals) {
            for (register, total) in totals.into_iter().enumerate() {
                // SAFETY: a row has PANEL sums, which are REGISTERS registers.
                unsafe {
                    _mm256_storeu_si256(sums.as_mut_ptr().add(register * LANES).cast(), total)
                };
            }
        }
    }
}
