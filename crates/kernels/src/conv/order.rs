//! Values brought into the order in which tiles read them, and back, by AVX-512.

use std::arch::x86_64::*;
use std::ops::Range;

use half::bf16;

use super::amx::TILE;
use super::frame::{Pairs, Rows, STEP, STRIP};
use crate::element::Element;
use crate::tiles::turned;

/// 16 channels of 32 positions, each at its pointer, to 16 rows of 32 values, `pitch` apart.
///
/// # Safety
///
/// The machine has the features named; 16 values follow each pointer, and 15 · `pitch` + 32 `to`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn transpose(from: &[*const bf16; STEP], to: *mut bf16, pitch: usize) {
    let rows = turned(std::array::from_fn(|pair| {
        // SAFETY: the caller vouches for 16 values.
        let [even, odd] = unsafe {
            [0, 1].map(|at| _mm512_cvtepu16_epi32(_mm256_loadu_si256(from[2 * pair + at].cast())))
        };
        _mm512_or_si512(even, _mm512_slli_epi32::<16>(odd))
    }));
    for (row, values) in rows.into_iter().enumerate() {
        // SAFETY: the caller vouches for 32 values of each of 16 rows.
        unsafe { _mm512_storeu_si512(to.add(row * pitch).cast(), values) };
    }
}

/// 32 values of each of 16 channels, rows `pitch` apart, to a tile of columns: 16 pairs of values
/// of 16 channels.
///
/// # Safety
///
/// The machine has the features named.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn column_tile(from: &[bf16], pitch: usize, to: &mut [bf16; TILE]) {
    assert!((STRIP - 1) * pitch + STEP <= from.len());
    // SAFETY: 32 values follow each row's first, as asserted.
    let pairs = turned(std::array::from_fn(|row| unsafe {
        _mm512_loadu_si512(from.as_ptr().add(row * pitch).cast())
    }));
    for (to, pairs) in to.as_chunks_mut::<STEP>().0.iter_mut().zip(pairs) {
        // SAFETY: 32 values are a register.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), pairs) };
    }
}

/// [`Rows::fill`], compiled for the machine.
///
/// # Safety
///
/// The machine has the features named.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn fill_rows(rows: &Rows, images: &[bf16], to: &mut [bf16]) {
    rows.fill(images, to);
}

/// [`Pairs::fill`], compiled for the machine.
///
/// # Safety
///
/// The machine has the features named.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn fill_pairs(pairs: &Pairs, images: &[bf16], to: &mut [bf16]) {
    // SAFETY: as the caller vouches.
    pairs.fill(images, to, |even, odd, to| unsafe { in_turn(even, odd, to) });
}

/// The values of two equally long slices in turn.
///
/// # Safety
///
/// The machine has the features named.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
#[inline]
unsafe fn in_turn(even: &[bf16], odd: &[bf16], to: &mut [bf16]) {
    assert!(even.len() == odd.len() && to.len() == 2 * even.len());
    for at in (0..even.len()).step_by(STRIP) {
        let count = STRIP.min(even.len() - at);
        let mask = ((1u32 << count) - 1) as __mmask16;
        // SAFETY: the masks keep to the slices, which are as long as asserted.
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

/// Of weights `step` apart, those of each tap to its range.
///
/// # Safety
///
/// The machine has the features named.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn spread(
    weights: &[f32],
    step: usize,
    taps: &[(usize, Range<usize>)],
    to: &mut [bf16],
) {
    let lanes = lanes(step);
    for (tap, range) in taps {
        let to = &mut to[range.clone()];
        assert!(to.is_empty() || tap + (to.len() - 1) * step < weights.len());
        let (whole, rest) = to.as_chunks_mut::<STRIP>();
        for (at, to) in whole.iter_mut().enumerate() {
            // SAFETY: 16 weights from this one on, `step` apart, are within the slice, as asserted;
            // 16 bf16 fill half a register.
            unsafe {
                let from = weights.as_ptr().add(tap + at * STRIP * step);
                let values = _mm512_cvtneps_pbh(_mm512_i32gather_ps::<4>(lanes, from.cast()));
                *to = std::mem::transmute::<__m256bh, [bf16; STRIP]>(values);
            }
        }
        let first = whole.len() * STRIP;
        for (at, to) in rest.iter_mut().enumerate() {
            *to = bf16::of(weights[tap + (first + at) * step]);
        }
    }
}

/// Two rows' weights, `step` apart from the `tap`th on, in turn: a row of a tile of columns.
///
/// # Safety
///
/// The machine has the features named.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn interleave(rows: [&[f32]; 2], tap: usize, step: usize, to: &mut [bf16; STEP]) {
    assert!(rows.iter().all(|row| tap + (STRIP - 1) * step < row.len()));
    let lanes = lanes(step);
    let in_turn: [u16; STEP] = std::array::from_fn(|at| (at / 2 + at % 2 * STRIP) as u16);
    // SAFETY: 16 weights from the tap on, `step` apart, are within each row, as asserted; both
    // arrays are 512 bits.
    unsafe {
        let [even, odd] =
            rows.map(|row| _mm512_i32gather_ps::<4>(lanes, row.as_ptr().add(tap).cast()));
        let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(odd, even));
        let in_turn = _mm512_loadu_si512(in_turn.as_ptr().cast());
        _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_permutexvar_epi16(in_turn, both));
    }
}

/// How a matrix of some lines is turned, so that the values of each of its columns lie together.
pub(super) struct Turn {
    lines: usize,
    columns: usize,
    /// Where in the matrix the values of its first 16 columns are, in the order that they come to.
    places: Vec<i32>,
}

impl Turn {
    pub(super) fn new(lines: usize, columns: usize) -> Self {
        assert!(
            i32::try_from(lines * columns + STRIP).is_ok(),
            "a matrix that places of 32 bits reach"
        );
        let mut turn = Self { lines, columns, places: Vec::new() };
        turn.places = (0..STRIP * lines).map(|at| turn.place(at) as i32).collect();
        turn
    }

    fn place(&self, at: usize) -> usize {
        at % self.lines * self.columns + at / self.lines
    }

    /// Turns a matrix.
    ///
    /// # Safety
    ///
    /// The machine has the features named.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) unsafe fn run(&self, matrix: &[f32], to: &mut [f32]) {
        assert_eq!([matrix.len(), to.len()], [self.lines * self.columns; 2]);
        let (whole, rest) = to.split_at_mut(self.columns / STRIP * STRIP * self.lines);
        let strips = whole.chunks_exact_mut(STRIP * self.lines);
        for (strip, to) in strips.enumerate() {
            let places = self.places.as_chunks::<STRIP>().0;
            for (places, to) in places.iter().zip(to.as_chunks_mut::<STRIP>().0) {
                // SAFETY: arrays of 16 are a register; from a strip's first column on there are 16,
                // and the furthest place is that of the last of them in the last line.
                unsafe {
                    let places = _mm512_loadu_si512(places.as_ptr().cast());
                    let values =
                        _mm512_i32gather_ps::<4>(places, matrix.as_ptr().add(strip * STRIP));
                    _mm512_storeu_ps(to.as_mut_ptr(), values);
                }
            }
        }
        let done = matrix.len() - rest.len();
        rest.iter_mut().enumerate().for_each(|(at, to)| *to = matrix[self.place(done + at)]);
    }
}

/// 0, `step`, …, 15 · `step`.
#[target_feature(enable = "avx512f")]
#[inline]
fn lanes(step: usize) -> __m512i {
    let step = i32::try_from(16 * step).expect("weights that memory holds") / 16;
    let numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    _mm512_mullo_epi32(numbers, _mm512_set1_epi32(step))
}
