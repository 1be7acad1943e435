//! The traits of vectors, over which kernels are generic.

use half::bf16;

use crate::bf16 as convert;

/// A computation written once and compiled for every instruction set.
pub(crate) trait Kernel {
    type Output;

    /// Runs the computation. Implementations, and all functions that they call, must be
    /// `#[inline(always)]`, so that they are compiled with the target features of the caller,
    /// [`Isa::run`](super::Isa::run).
    fn run<V: Vector>(self) -> Self::Output;
}

/// The largest [`Vector::LANES`].
pub(crate) const MAX_LANES: usize = 16;

/// A register of `LANES` f32.
///
/// # Safety
///
/// For every function but `multiply_add`:
///
/// - The caller must run this only on a machine that has the instruction set, which is always the
///   case inside [`Kernel::run`].
/// - The caller must guarantee that pointers are valid for the lanes that are read or written.
///   Pointers need no alignment.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    /// Number of such registers that the machine has.
    const REGISTERS: usize;
    /// The same registers, with 16-bit words as lanes.
    type Words: Words;

    unsafe fn zero() -> Self;
    unsafe fn splat(from: *const f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// Returns self · factor + sum, which is rounded only once if the instruction set can do that.
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self;
    /// Raises lanes below the floor to the floor. Other lanes keep their values, including values
    /// that are not a number.
    unsafe fn raise_to(self, floor: Self) -> Self;
    /// Keeps the lanes in which `mask` is above zero, and sets the other lanes to zero.
    unsafe fn where_positive(self, mask: Self) -> Self;

    /// Loads two registers of bf16.
    #[inline(always)]
    unsafe fn widen(from: *const bf16) -> [Self; 2] {
        let mut singles = [0.0f32; 2 * MAX_LANES];
        // SAFETY: the caller guarantees the instruction set and the lanes of two registers, which
        // the array holds.
        unsafe {
            for (lane, single) in singles[..2 * Self::LANES].iter_mut().enumerate() {
                *single = convert::widen(*from.add(lane));
            }
            [Self::load(singles.as_ptr()), Self::load(singles[Self::LANES..].as_ptr())]
        }
    }

    /// Stores two registers as bf16. Each value is rounded to the nearest. Values below the
    /// smallest normal number may become zero.
    #[inline(always)]
    unsafe fn narrow(values: [Self; 2], to: *mut bf16) {
        let mut singles = [0.0f32; 2 * MAX_LANES];
        // SAFETY: the reason is that of `widen`.
        unsafe {
            values[0].store(singles.as_mut_ptr());
            values[1].store(singles[Self::LANES..].as_mut_ptr());
            for (lane, single) in singles[..2 * Self::LANES].iter().enumerate() {
                *to.add(lane) = convert::round(*single);
            }
        }
    }

    /// Returns a · b + c for single values, in loops that the compiler vectorises.
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// A register of `LANES` u16.
///
/// # Safety
///
/// The caller must meet the conditions of [`Vector`].
pub(crate) trait Words: Copy {
    const LANES: usize;

    unsafe fn splat(value: u16) -> Self;
    unsafe fn load(from: *const u16) -> Self;
    unsafe fn store(self, to: *mut u16);
    /// Adds the lanes. Sums wrap.
    unsafe fn add(self, other: Self) -> Self;
    /// Returns the upper halves of the lanes' products.
    unsafe fn high_product(self, other: Self) -> Self;
}
