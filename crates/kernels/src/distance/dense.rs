//! Products of two blocks of byte vectors, exact in integers.
//!
//! Bytes are widened to 16 bits, and every instruction set here multiplies two neighbours of a vector and adds both
//! products in one instruction. That is the most AVX2 has for bytes without a sign: its instruction for bytes keeps
//! sums of two products in 16 bits, which two bytes above 128 overflow. Columns are packed so that a register holds two
//! neighbouring values of each of its lanes' vectors; a row's two values are broadcast to all lanes.

use crate::isa::{Isa, Set};

/// Rows whose sums are kept in registers at a time.
const ROWS: usize = 4;
/// Columns of a panel: those whose sums are in registers together.
const PANEL: usize = 16;
/// Values multiplied before 32-bit sums are added to 64-bit ones: a panel of so many stays in the first two caches, and
/// 255² times as many is below 2³¹.
const DEPTH: usize = 1024;

/// Memory of [`dots`] for its packed vectors, kept from call to call.
#[derive(Debug, Clone, Default)]
pub struct Blocks {
    rows: Vec<i16>,
    panels: Vec<i16>,
}

/// Adds the dot products of byte vectors: `out[r * columns + c]` grows by a_r · b_c, where `a` and `b` are vectors of
/// `dim` bytes, one after another. A product that `needed(rows, columns)` says is not needed for any of those ranges may
/// be left out.
///
/// # Panics
///
/// If a length does not fit `dim`, or `out` the other two.
pub fn dots(
    isa: Isa,
    a: &[u8],
    b: &[u8],
    dim: usize,
    needed: impl Fn(std::ops::Range<usize>, std::ops::Range<usize>) -> bool,
    blocks: &mut Blocks,
    out: &mut [u64],
) {
    assert!(dim > 0 && a.len().is_multiple_of(dim) && b.len().is_multiple_of(dim), "whole vectors");
    let (rows, columns) = (a.len() / dim, b.len() / dim);
    assert_eq!(out.len(), rows * columns, "a product a pair");
    for start in (0..dim).step_by(DEPTH) {
        let depth = DEPTH.min(dim - start);
        // An odd value at the end has a zero beside it, and a missing row or column is all zeros.
        let pairs = depth.div_ceil(2);
        blocks.pack_rows(a, dim, start, depth);
        blocks.pack_panels(b, dim, start, depth);
        for (panel, packed) in blocks.panels.chunks_exact(2 * pairs * PANEL).enumerate() {
            let to_column = columns.min((panel + 1) * PANEL);
            for (group, packed_rows) in blocks.rows.chunks_exact(2 * pairs * ROWS).enumerate() {
                let to_row = rows.min((group + 1) * ROWS);
                if !needed(group * ROWS..to_row, panel * PANEL..to_column) {
                    continue;
                }
                let mut sums = [[0; PANEL]; ROWS];
                micro(isa, packed_rows, packed, &mut sums);
                for (row, sums) in (group * ROWS..to_row).zip(&sums) {
                    let out = &mut out[row * columns..][panel * PANEL..to_column];
                    for (out, &sum) in out.iter_mut().zip(sums) {
                        *out += u64::from(sum.cast_unsigned());
                    }
                }
            }
        }
    }
}

impl Blocks {
    /// Groups of rows: for each pair of neighbouring values, those of all rows of the group.
    fn pack_rows(&mut self, a: &[u8], dim: usize, start: usize, depth: usize) {
        pack::<ROWS>(&mut self.rows, a, dim, start, depth);
    }

    /// Panels of columns, in the same order.
    fn pack_panels(&mut self, b: &[u8], dim: usize, start: usize, depth: usize) {
        pack::<PANEL>(&mut self.panels, b, dim, start, depth);
    }
}

fn pack<const WIDTH: usize>(to: &mut Vec<i16>, from: &[u8], dim: usize, start: usize, depth: usize) {
    let size = depth.next_multiple_of(2) * WIDTH;
    to.clear();
    to.resize((from.len() / dim).div_ceil(WIDTH) * size, 0);
    for (to, from) in to.chunks_exact_mut(size).zip(from.chunks(WIDTH * dim)) {
        for (vector, from) in from.chunks_exact(dim).enumerate() {
            let from = &from[start..start + depth];
            let (pairs, last) = from.as_chunks::<2>();
            let (slots, _) = to.as_chunks_mut::<2>();
            let mut slots = slots.iter_mut().skip(vector).step_by(WIDTH);
            for (&[first, second], slot) in pairs.iter().zip(&mut slots) {
                *slot = [first.into(), second.into()];
            }
            if let ([value], Some(slot)) = (last, slots.next()) {
                slot[0] = i16::from(*value);
            }
        }
    }
}

/// Multiplies one group of rows with one panel.
#[inline]
fn micro(isa: Isa, rows: &[i16], panel: &[i16], sums: &mut [[i32; PANEL]; ROWS]) {
    debug_assert_eq!(rows.len() / ROWS, panel.len() / PANEL);
    match isa.0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this set exists only where the machine was found to have it, and the feature was asked for.
        Set::Avx512 if is_x86_feature_detected!("avx512vnni") => unsafe { x86::avx512_vnni(rows, panel, sums) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` of this set exists only where the machine was found to have it.
        Set::Avx512 => unsafe { x86::avx512(rows, panel, sums) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Set::Avx2 => unsafe { x86::avx2(rows, panel, sums) },
        _ => portable(rows, panel, sums),
    }
}

fn portable(rows: &[i16], panel: &[i16], sums: &mut [[i32; PANEL]; ROWS]) {
    let values = rows.as_chunks::<{ 2 * ROWS }>().0.iter().zip(panel.as_chunks::<{ 2 * PANEL }>().0);
    for (rows, panel) in values {
        for (sums, row) in sums.iter_mut().zip(rows.as_chunks::<2>().0) {
            for (sum, column) in sums.iter_mut().zip(panel.as_chunks::<2>().0) {
                *sum += i32::from(row[0]) * i32::from(column[0]) + i32::from(row[1]) * i32::from(column[1]);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{PANEL, ROWS};

    macro_rules! micro {
        ($name:ident, $features:literal, $register:ty, $lanes:literal, $zero:ident, $splat:ident, $load:ident,
         $store:ident, $multiply_add:expr) => {
            /// The sums of the products of a group of rows and a panel.
            ///
            /// # Safety
            ///
            /// The machine must have the features named.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(rows: &[i16], panel: &[i16], sums: &mut [[i32; PANEL]; ROWS]) {
                const REGISTERS: usize = PANEL / $lanes;
                let mut totals = [[$zero(); REGISTERS]; ROWS];
                let values = rows.as_chunks::<{ 2 * ROWS }>().0.iter().zip(panel.as_chunks::<{ 2 * PANEL }>().0);
                for (rows, panel) in values {
                    let columns: [$register; REGISTERS] = std::array::from_fn(|register| {
                        // SAFETY: a panel's step has 2 · PANEL values, which are REGISTERS registers.
                        unsafe { $load(panel.as_ptr().add(register * 2 * $lanes).cast()) }
                    });
                    for row in 0..ROWS {
                        // SAFETY: a group's step has 2 · ROWS values, and four bytes need no alignment here.
                        let pair = unsafe { rows.as_ptr().add(2 * row).cast::<i32>().read_unaligned() };
                        let pair = $splat(pair);
                        for register in 0..REGISTERS {
                            totals[row][register] = $multiply_add(totals[row][register], pair, columns[register]);
                        }
                    }
                }
                for (sums, totals) in sums.iter_mut().zip(totals) {
                    for (register, total) in totals.into_iter().enumerate() {
                        // SAFETY: a row has PANEL sums, which are REGISTERS registers.
                        unsafe { $store(sums.as_mut_ptr().add(register * $lanes).cast(), total) };
                    }
                }
            }
        };
    }

    micro!(
        avx2,
        "avx2,fma",
        __m256i,
        8,
        _mm256_setzero_si256,
        _mm256_set1_epi32,
        _mm256_loadu_si256,
        _mm256_storeu_si256,
        |sum, a, b| _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
    );
    micro!(
        avx512,
        "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma",
        __m512i,
        16,
        _mm512_setzero_si512,
        _mm512_set1_epi32,
        _mm512_loadu_si512,
        _mm512_storeu_si512,
        |sum, a, b| _mm512_add_epi32(sum, _mm512_madd_epi16(a, b))
    );
    micro!(
        avx512_vnni,
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma",
        __m512i,
        16,
        _mm512_setzero_si512,
        _mm512_set1_epi32,
        _mm512_loadu_si512,
        _mm512_storeu_si512,
        |sum, a, b| _mm512_dpwssd_epi32(sum, a, b)
    );
}
