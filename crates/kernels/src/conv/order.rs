//! Packing with AVX-512: puts values into the order in which tiles read them, and puts sums back
//! into their own order.

use std::arch::x86_64::*;
use std::ops::Range;

use half::bf16;

use super::frame::{ImagePairs, Rows, STEP, STRIP};
use super::product::TILE;
use crate::element::Element;
use crate::tiles::transposed;

/// Transposes 32 positions of 16 channels to 16 rows of 32 positions. Each pointer in `from` points
/// to the channels of one position. The rows of `to` are `pitch` values apart.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
/// - The caller must guarantee that 16 values can be read at each pointer of `from`.
/// - The caller must guarantee that 15 · `pitch` + 32 values can be written at `to`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn transpose(from: &[*const bf16; STEP], to: *mut bf16, pitch: usize) {
    let rows = transposed(std::array::from_fn(|pair| {
        // SAFETY: the caller guarantees 16 values at each pointer.
        let [even, odd] = unsafe {
            [0, 1].map(|at| _mm512_cvtepu16_epi32(_mm256_loadu_si256(from[2 * pair + at].cast())))
        };
        _mm512_or_si512(even, _mm512_slli_epi32::<16>(odd))
    }));
    for (row, values) in rows.into_iter().enumerate() {
        // SAFETY: the caller guarantees 32 values of each of 16 rows.
        unsafe { _mm512_storeu_si512(to.add(row * pitch).cast(), values) };
    }
}

/// Packs a tile of columns. `from` has 32 values for each of 16 channels. Neighbouring channels are
/// `pitch` values apart. `to` receives 16 lines, each with a pair of values for every channel.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn column_tile(from: &[bf16], pitch: usize, to: &mut [bf16; TILE]) {
    assert!((STRIP - 1) * pitch + STEP <= from.len());
    // SAFETY: each of 16 rows has 32 values, as asserted.
    let pairs = transposed(std::array::from_fn(|row| unsafe {
        _mm512_loadu_si512(from.as_ptr().add(row * pitch).cast())
    }));
    for (to, pairs) in to.as_chunks_mut::<STEP>().0.iter_mut().zip(pairs) {
        // SAFETY: 32 values of bf16 are a register.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), pairs) };
    }
}

/// [`Rows::fill`], compiled with AVX-512.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn fill_rows(rows: &Rows, images: &[bf16], frames: &mut [bf16]) {
    rows.fill(images, frames);
}

/// [`ImagePairs::fill`], compiled with AVX-512.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn fill_pairs(pairs: &ImagePairs, images: &[bf16], frames: &mut [bf16]) {
    // SAFETY: the caller guarantees the target features.
    pairs.fill(images, frames, |even, odd, to| unsafe { alternate(even, odd, to) });
}

/// Writes the values of two equally long slices alternately.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
#[inline]
unsafe fn alternate(even: &[bf16], odd: &[bf16], to: &mut [bf16]) {
    assert!(even.len() == odd.len() && to.len() == 2 * even.len());
    for at in (0..even.len()).step_by(STRIP) {
        let count = STRIP.min(even.len() - at);
        let mask = ((1u32 << count) - 1) as __mmask16;
        // SAFETY: the masks stay within the slices, whose lengths were asserted.
        unsafe {
            let low =
                _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, even.as_ptr().add(at).cast()));
            let high =
                _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, odd.as_ptr().add(at).cast()));
            let pairs = _mm512_or_si512(low, _mm512_slli_epi32::<16>(high));
            _mm512_mask_storeu_epi32(to.as_mut_ptr().add(2 * at).cast(), mask, pairs);
        }
    }
}

/// Rounds weights to bf16 and sorts them by tap. `taps` holds pairs of a tap and a range. The
/// weights at `tap`, `tap + pitch`, `tap + 2 · pitch`, … are written to that range of `to`.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn spread(
    weights: &[f32],
    pitch: usize,
    taps: &[(usize, Range<usize>)],
    to: &mut [bf16],
) {
    let lanes = lane_offsets(pitch);
    for (tap, range) in taps {
        let to = &mut to[range.clone()];
        assert!(to.is_empty() || tap + (to.len() - 1) * pitch < weights.len());
        let (strips, rest) = to.as_chunks_mut::<STRIP>();
        for (at, to) in strips.iter_mut().enumerate() {
            // SAFETY: the 16 weights that are read, `pitch` apart, are within the slice, as
            // asserted. 16 values of bf16 are half a register.
            unsafe {
                let from = weights.as_ptr().add(tap + at * STRIP * pitch);
                let values = _mm512_cvtneps_pbh(_mm512_i32gather_ps::<4>(lanes, from.cast()));
                *to = std::mem::transmute::<__m256bh, [bf16; STRIP]>(values);
            }
        }
        let first = strips.len() * STRIP;
        for (at, to) in rest.iter_mut().enumerate() {
            *to = bf16::rounded(weights[tap + (first + at) * pitch]);
        }
    }
}

/// Packs a line of a tile of columns. The line alternates between two rows, and takes from each row
/// the 16 weights at `tap`, `tap + pitch`, `tap + 2 · pitch`, ….
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn interleave(
    rows: [&[f32]; 2],
    tap: usize,
    pitch: usize,
    to: &mut [bf16; STEP],
) {
    assert!(rows.iter().all(|row| tap + (STRIP - 1) * pitch < row.len()));
    let lanes = lane_offsets(pitch);
    let alternating: [u16; STEP] = std::array::from_fn(|at| (at / 2 + at % 2 * STRIP) as u16);
    // SAFETY: the 16 weights that are read from each row, starting at the tap and `pitch` apart,
    // are within the row, as asserted. Both arrays are 512 bits.
    unsafe {
        let [even, odd] =
            rows.map(|row| _mm512_i32gather_ps::<4>(lanes, row.as_ptr().add(tap).cast()));
        let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(odd, even));
        let alternating = _mm512_loadu_si512(alternating.as_ptr().cast());
        _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_permutexvar_epi16(alternating, both));
    }
}

/// Transposes matrices of one shape, with one gather instruction for every 16 values.
pub(super) struct Transpose {
    rows: usize,
    columns: usize,
    /// Position in the matrix of each value of the result's first 16 rows.
    sources: Vec<i32>,
}

impl Transpose {
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        assert!(i32::try_from(rows * columns + STRIP).is_ok(), "a matrix whose places fit 32 bits");
        let mut transpose = Self { rows, columns, sources: Vec::new() };
        transpose.sources = (0..STRIP * rows).map(|at| transpose.source(at) as i32).collect();
        transpose
    }

    /// Returns the position in the matrix of the result's value `index`.
    fn source(&self, index: usize) -> usize {
        index % self.rows * self.columns + index / self.rows
    }

    /// Writes the transpose of a matrix.
    ///
    /// # Panics
    ///
    /// If a slice does not have the length of the matrix.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has the named target features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) unsafe fn run(&self, matrix: &[f32], to: &mut [f32]) {
        assert_eq!([matrix.len(), to.len()], [self.rows * self.columns; 2]);
        let (strips, rest) = to.split_at_mut(self.columns / STRIP * STRIP * self.rows);
        for (strip, to) in strips.chunks_exact_mut(STRIP * self.rows).enumerate() {
            let sources = self.sources.as_chunks::<STRIP>().0;
            for (sources, to) in sources.iter().zip(to.as_chunks_mut::<STRIP>().0) {
                // SAFETY: an array of 16 values is a register. The matrix has 16 columns from a
                // strip's first column on, and the furthest source is in the last row of the last
                // of these columns.
                unsafe {
                    let sources = _mm512_loadu_si512(sources.as_ptr().cast());
                    let values =
                        _mm512_i32gather_ps::<4>(sources, matrix.as_ptr().add(strip * STRIP));
                    _mm512_storeu_ps(to.as_mut_ptr(), values);
                }
            }
        }
        let done = matrix.len() - rest.len();
        rest.iter_mut().enumerate().for_each(|(at, to)| *to = matrix[self.source(done + at)]);
    }
}

/// Returns the lanes' offsets 0, `pitch`, …, 15 · `pitch`.
#[target_feature(enable = "avx512f")]
#[inline]
fn lane_offsets(pitch: usize) -> __m512i {
    let pitch = i32::try_from(16 * pitch).expect("weights that memory holds") / 16;
    let numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    _mm512_mullo_epi32(numbers, _mm512_set1_epi32(pitch))
}
