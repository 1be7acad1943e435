//! The vectors that kernels are written over.

use half::bf16;

use crate::bf16 as convert;

/// A computation written once and compiled for every instruction set.
pub(crate) trait Kernel {
    type Output;

    /// The computation. Implementations are `#[inline(always)]`, and so is all they call, so that
    /// it is compiled with the target features of the caller, [`Isa::run`](super::Isa::run).
    fn run<V: Vector>(self) -> Self::Output;
}

/// The largest [`Vector::LANES`].
pub(crate) const MOST_LANES: usize = 16;

/// A register of `LANES` f32.
///
/// # Safety
///
/// Of every function but `multiply_add`:
///
/// - The machine has the instruction set, as it does inside [`Kernel::run`].
/// - Pointers are valid for the lanes that are read or written; they need no alignment.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    /// How many such registers the machine has.
    const REGISTERS: usize;
    /// The same registers as 16-bit words.
    type Words: Words;

    unsafe fn zero() -> Self;
    unsafe fn splat(from: *const f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// self · factor + sum, rounded once where the instruction set can.
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// The floor in lanes below the floor, otherwise the lane itself, which may be not-a-number.
    unsafe fn raise_to(self, floor: Self) -> Self;
    /// The lane itself where `mask`'s is above zero, otherwise zero.
    unsafe fn where_positive(self, mask: Self) -> Self;

    /// Loads two registers of bf16.
    #[inline(always)]
    unsafe fn widen(from: *const bf16) -> [Self; 2] {
        let mut singles = [0.0f32; 2 * MOST_LANES];
        // SAFETY: the caller guarantees the instruction set and the lanes of two registers, which
        // the array holds.
        unsafe {
            for (lane, single) in singles[..2 * Self::LANES].iter_mut().enumerate() {
                *single = convert::widen(*from.add(lane));
            }
            [Self::load(singles.as_ptr()), Self::load(singles[Self::LANES..].as_ptr())]
        }
    }

    /// Stores two registers as bf16, each value rounded to the nearest. Values below the least
    /// normal number may become zero.
    #[inline(always)]
    unsafe fn narrow(values: [Self; 2], to: *mut bf16) {
        let mut singles = [0.0f32; 2 * MOST_LANES];
        // SAFETY: as in `widen`.
        unsafe {
            values[0].store(singles.as_mut_ptr());
            values[1].store(singles[Self::LANES..].as_mut_ptr());
            for (lane, single) in singles[..2 * Self::LANES].iter().enumerate() {
                *to.add(lane) = convert::round(*single);
            }
        }
    }

    /// a · b + c for one value, in loops that the compiler makes vectors of.
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// A register of `LANES` u16.
///
/// # Safety
///
/// The conditions of [`Vector`] hold.
pub(crate) trait Words: Copy {
    const LANES: usize;

    unsafe fn splat(value: u16) -> Self;
    unsafe fn load(from: *const u16) -> Self;
    unsafe fn store(self, to: *mut u16);
    /// Sums that wrap.
    unsafe fn add(self, other: Self) -> Self;
    /// The upper halves of the products.
    unsafe fn high_product(self, other: Self) -> Self;
}
