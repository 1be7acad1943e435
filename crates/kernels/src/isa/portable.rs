//! Vectors in plain Rust, which run on every machine.

use super::vector::{Vector, Words};

/// A vector of four lanes, without fused multiply-add.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 4]);

impl Vector for Portable {
    const LANES: usize = 4;
    const REGISTERS: usize = 16;
    type Words = [u16; 8];

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 4])
    }
    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: the caller guarantees one value.
        Self([unsafe { *from }; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller guarantees four values. An array of f32 is aligned like one f32.
        Self(unsafe { *from.cast() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller guarantees four values.
        unsafe { *to.cast() = self.0 }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * other.0[i]))
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] * factor.0[i] + sum.0[i]))
    }
    #[inline(always)]
    unsafe fn raise_to(self, floor: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] < floor.0[i] { floor.0[i] } else { self.0[i] }))
    }
    #[inline(always)]
    unsafe fn where_positive(self, mask: Self) -> Self {
        Self(std::array::from_fn(|i| if mask.0[i] > 0.0 { self.0[i] } else { 0.0 }))
    }
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// A vector of eight words, which the compiler keeps in a register.
impl Words for [u16; 8] {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: u16) -> Self {
        [value; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const u16) -> Self {
        // SAFETY: the caller guarantees eight values. An array of u16 is aligned like one u16.
        unsafe { *from.cast() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u16) {
        // SAFETY: the caller guarantees eight values.
        unsafe { *to.cast() = self }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|i| self[i].wrapping_add(other[i]))
    }
    #[inline(always)]
    unsafe fn high_product(self, other: Self) -> Self {
        std::array::from_fn(|i| ((u32::from(self[i]) * u32::from(other[i])) >> 16) as u16)
    }
}
