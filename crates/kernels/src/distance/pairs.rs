//! Products of bytes widened to 16 bits: every instruction set here multiplies two neighbours of a
//! vector and adds both products in one instruction. A register holds two neighbouring values of
//! each of its lanes' columns; a row's two values are broadcast to all lanes.

use std::ops::Range;

use super::dense::{DEPTH, Line, PANEL, ROWS};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::isa::Set;

/// Rows whose sums are kept in registers at a time.
const GROUP: usize = 4;
/// Steps of two values before the next panel.
const STEPS: usize = DEPTH / 2;
/// Values of the rows of a group in a line: those of so many steps.
const LINE_STEPS: usize = 32 / (2 * GROUP);

/// A line a step: two values of each column, an odd one at the end with a zero beside it. Missing
/// columns are zeros.
pub(super) fn pack_columns(
    b: &[u8],
    dim: usize,
    part: Range<usize>,
    panels: usize,
    to: &mut Vec<Line>,
) {
    let steps = part.len().div_ceil(2);
    to.clear();
    to.resize(panels * steps, Line([0; 64]));
    for (vector, from) in b.chunks_exact(dim).enumerate() {
        let lines = &mut to[vector / PANEL * steps..][..steps];
        for (line, pair) in lines.iter_mut().zip(from[part.clone()].chunks(2)) {
            let slot = &mut line.0[4 * (vector % PANEL)..][..4];
            slot[0] = pair[0];
            slot[2] = pair.get(1).copied().unwrap_or(0);
        }
    }
}

/// Groups of four rows, two values of each a step, in whole lines.
fn pack_rows(a: &[u8], dim: usize, part: Range<usize>, to: &mut Vec<Line>) -> usize {
    let lines = part.len().div_ceil(2).div_ceil(LINE_STEPS);
    to.clear();
    to.resize(ROWS / GROUP * lines, Line([0; 64]));
    for (vector, from) in a.chunks_exact(dim).enumerate() {
        let lines = &mut to[vector / GROUP * lines..][..lines];
        for (step, pair) in from[part.clone()].chunks(2).enumerate() {
            let at = 4 * (step % LINE_STEPS * GROUP + vector % GROUP);
            let slot = &mut lines[step / LINE_STEPS].0[at..][..4];
            slot[0] = pair[0];
            slot[2] = pair.get(1).copied().unwrap_or(0);
        }
    }
    lines
}

#[expect(
    clippy::too_many_arguments,
    reason = "the two blocks, their packed forms and the place of the products"
)]
pub(super) fn dots(
    isa: Isa,
    a: &[u8],
    dim: usize,
    part: Range<usize>,
    rows: &mut Vec<Line>,
    columns: &[Line],
    panels: usize,
    stride: usize,
    out: &mut [u32],
) {
    let steps = part.len().div_ceil(2);
    let lines = pack_rows(a, dim, part, rows);
    let groups = (a.len() / dim).div_ceil(GROUP);
    for first in (0..steps).step_by(STEPS) {
        let count = STEPS.min(steps - first);
        for panel in 0..panels {
            let columns = &columns[panel * steps + first..][..count];
            for group in 0..groups {
                let rows =
                    &rows[group * lines + first / LINE_STEPS..][..count.div_ceil(LINE_STEPS)];
                let mut sums = [[0; PANEL]; GROUP];
                micro(isa, rows, columns, &mut sums);
                for (row, sums) in (group * GROUP..).zip(&sums) {
                    let out = &mut out[row * stride + panel * PANEL..][..PANEL];
                    for (out, &sum) in out.iter_mut().zip(sums) {
                        let before = if first == 0 { 0 } else { *out };
                        *out = before + sum.cast_unsigned();
                    }
                }
            }
        }
    }
}

/// Multiplies one group of rows with one panel.
#[inline]
fn micro(isa: Isa, rows: &[Line], columns: &[Line], sums: &mut [[i32; PANEL]; GROUP]) {
    debug_assert_eq!(rows.len(), columns.len().div_ceil(LINE_STEPS));
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of these sets exists only where the machine was found to have AVX2; the
        // rows have as many steps as there are columns' lines. (AVX-512 without VNNI is rare enough
        // to do with AVX2.)
        Set::Amx | Set::Avx512 | Set::Avx2 => unsafe { x86::avx2(rows, columns, sums) },
        _ => portable(rows, columns, sums),
    }
}

fn portable(rows: &[Line], columns: &[Line], sums: &mut [[i32; PANEL]; GROUP]) {
    let steps = rows.iter().flat_map(|line| line.0.as_chunks::<{ 4 * GROUP }>().0);
    for (rows, columns) in steps.zip(columns) {
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

    /// The sums of the products of a group of rows and a panel.
    ///
    /// # Safety
    ///
    /// The machine must have the features named, and `rows` a quarter as many lines as `columns`,
    /// rounded up.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2(rows: &[Line], columns: &[Line], sums: &mut [[i32; PANEL]; GROUP]) {
        let mut totals = [[_mm256_setzero_si256(); REGISTERS]; GROUP];
        let rows = rows.as_ptr().cast::<i32>();
        for (step, columns) in columns.iter().enumerate() {
            let columns: [__m256i; REGISTERS] = std::array::from_fn(|register| {
                // SAFETY: a line is REGISTERS registers.
                unsafe { _mm256_load_si256(columns.0.as_ptr().cast::<__m256i>().add(register)) }
            });
            for (row, totals) in totals.iter_mut().enumerate() {
                // SAFETY: a step of the rows has GROUP pairs, and there are as many steps as
                // columns' lines.
                let pair = _mm256_set1_epi32(unsafe { *rows.add(step * GROUP + row) });
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
