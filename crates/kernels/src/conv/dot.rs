//! Products of bf16 in registers of AVX-512.
//!
//! One instruction multiplies 16 pairs of values with 16 other pairs, and adds both products of each
//! pair to one of 16 sums. A line of a tile of columns is such a register: a pair of values of each
//! of 16 columns. The pair that it is multiplied with, two neighbouring values of a row, is
//! broadcast.
//!
//! The sums of 8 rows and 32 columns take 16 registers. Each line is then loaded once for 8 rows,
//! and each pair is broadcast once for two registers of columns.

use std::arch::x86_64::*;

use super::frame::{BLOCK, STEP, STRIP};
use super::product::{Multiply, Operands, PositionOperands, Sums, TILE};

/// Number of rows whose sums with two registers of columns are computed together: 16 sums, enough to
/// keep the multipliers busy while each product waits for the last one of its sum.
const ROWS: usize = 8;

/// Number of bytes of a register.
const REGISTER: usize = 64;

/// Multiplies in registers.
pub(super) enum Dot {}

impl Multiply for Dot {
    type Held = ();

    #[inline(always)]
    unsafe fn begin() {}

    #[inline(always)]
    unsafe fn multiply(
        operands: &Operands<'_>,
        [two_tiles, first_pass, _]: [bool; 3],
        sums: &mut Sums,
    ) {
        // SAFETY: the caller guarantees the instruction set and the operands.
        unsafe {
            if two_tiles {
                multiply::<ROWS, 2>(operands, first_pass, sums);
            } else {
                multiply::<STRIP, 1>(operands, first_pass, sums);
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply_positions(operands: &PositionOperands<'_>, begins: bool, sums: &mut Sums) {
        // SAFETY: the caller guarantees the instruction set and the operands.
        unsafe { multiply_positions(operands, begins, sums) }
    }
}

/// [`Multiply::multiply`] with one or two tiles of columns. Rows whose sums are not used are left
/// out, unless they fill up `ROWS` rows.
///
/// # Safety
///
/// - As for [`Multiply::multiply`]. `ROWS` must divide 16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
#[inline]
unsafe fn multiply<const ROWS: usize, const TILES: usize>(
    operands: &Operands<'_>,
    first_pass: bool,
    sums: &mut Sums,
) {
    let &Operands { strips, used, row_pitch, segments, steps, columns, .. } = operands;
    for (index, sums) in sums.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        let (strip, row) = (index * ROWS / STRIP, index * ROWS % STRIP);
        if row >= used[strip] {
            continue;
        }
        // SAFETY: the caller guarantees the rows and the columns. A tile has 16 lines of one
        // register, and the two tiles of a step follow each other.
        unsafe {
            let rows = strips[strip].byte_add(row * row_pitch);
            let mut block = Block::<ROWS, TILES>::new(sums, first_pass);
            let mut columns = columns;
            for &segment in segments {
                let mut rows = rows.add(segment);
                for _ in 0..steps {
                    block.add(
                        [rows.cast(), columns.cast()],
                        [row_pitch, REGISTER],
                        TILE * size_of::<half::bf16>(),
                    );
                    rows = rows.add(STEP);
                    columns = columns.add(2 * TILE);
                }
            }
            block.store(sums);
        }
    }
}

/// [`Multiply::multiply_positions`].
///
/// # Safety
///
/// - As for [`Multiply::multiply_positions`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
#[inline]
unsafe fn multiply_positions(operands: &PositionOperands<'_>, begins: bool, sums: &mut Sums) {
    let &PositionOperands { gradient, gradient_pitch, inputs, input_pitch, steps } = operands;
    for (index, sums) in sums.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        let (half, row) = (index * ROWS / STRIP, index * ROWS % STRIP);
        // SAFETY: the caller guarantees the gradients and the inputs. A position has two registers
        // of pairs, one after the other.
        unsafe {
            let rows = gradient[half].byte_add(row * gradient_pitch);
            let mut block = Block::<ROWS, 2>::new(sums, begins);
            for (step, &start) in steps.iter().enumerate() {
                block.add(
                    [rows.add(step * STEP).cast(), inputs.add(2 * start).cast()],
                    [gradient_pitch, input_pitch],
                    REGISTER,
                );
            }
            block.store(sums);
        }
    }
}

/// The sums of some rows with one or two registers of columns.
struct Block<const ROWS: usize, const REGISTERS: usize>([[__m512; REGISTERS]; ROWS]);

/// # Safety
///
/// For every function:
///
/// - The caller must run this only on a machine that has the named target features.
#[allow(clippy::missing_safety_doc, reason = "said once for all")]
impl<const ROWS: usize, const REGISTERS: usize> Block<ROWS, REGISTERS> {
    /// Starts at zero, or at `sums`.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    unsafe fn new(sums: &[[f32; BLOCK]; ROWS], begins: bool) -> Self {
        let mut block = [[_mm512_setzero_ps(); REGISTERS]; ROWS];
        if !begins {
            for (block, sums) in block.iter_mut().zip(sums) {
                for (block, sums) in block.iter_mut().zip(sums.as_chunks::<STRIP>().0) {
                    // SAFETY: 16 f32 are a register.
                    *block = unsafe { _mm512_loadu_ps(sums.as_ptr()) };
                }
            }
        }
        Self(block)
    }

    /// Adds the products of a step: 16 pairs of values of each row, with 16 lines of columns.
    /// `pitches` are the distances, in bytes, from a row to the next and from a line to the next.
    /// `second` is the distance from a line's first register to its second.
    ///
    /// # Safety
    ///
    /// - The caller must guarantee that rows and lines can be read.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    unsafe fn add(
        &mut self,
        [rows, lines]: [*const u8; 2],
        [row_pitch, line_pitch]: [usize; 2],
        second: usize,
    ) {
        for pair in 0..STEP / 2 {
            let mut columns = [_mm512_setzero_si512(); REGISTERS];
            for (at, columns) in columns.iter_mut().enumerate() {
                // SAFETY: the caller guarantees the lines.
                *columns = unsafe {
                    _mm512_loadu_si512(lines.add(pair * line_pitch + at * second).cast())
                };
            }
            for (row, sums) in self.0.iter_mut().enumerate() {
                // SAFETY: the caller guarantees the rows. A pair is 32 bits, and rows need no
                // alignment. All types of registers are 512 bits.
                unsafe {
                    let values = rows.add(row * row_pitch + pair * size_of::<i32>());
                    let values = _mm512_set1_epi32(values.cast::<i32>().read_unaligned());
                    for (sums, columns) in sums.iter_mut().zip(columns) {
                        *sums = _mm512_dpbf16_ps(*sums, short(values), short(columns));
                    }
                }
            }
        }
    }

    /// Writes the sums.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    unsafe fn store(&self, sums: &mut [[f32; BLOCK]; ROWS]) {
        for (block, sums) in self.0.iter().zip(sums) {
            for (block, sums) in block.iter().zip(sums.as_chunks_mut::<STRIP>().0) {
                // SAFETY: 16 f32 are a register.
                unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), *block) };
            }
        }
    }
}

/// Views a register as 32 values of bf16.
#[target_feature(enable = "avx512f")]
#[inline]
fn short(values: __m512i) -> __m512bh {
    // SAFETY: both types are 512 bits, and every bit pattern is a value.
    unsafe { std::mem::transmute(values) }
}
