//! The vectors of 64-bit Arm.

use std::arch::aarch64::*;

use super::vector::Vector;

/// A register of four lanes of NEON, which every 64-bit Arm processor has.
pub(super) type Neon = float32x4_t;

impl Vector for Neon {
    const LANES: usize = 4;
    const REGISTERS: usize = 32;
    type Words = [u16; 8];

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { vdupq_n_f32(0.0) }
    }
    #[inline(always)]
    unsafe fn splat(from: *const f32) -> Self {
        // SAFETY: the caller guarantees one value.
        unsafe { vld1q_dup_f32(from) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller guarantees four values.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller guarantees four values.
        unsafe { vst1q_f32(to, self) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { vaddq_f32(self, other) }
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { vsubq_f32(self, other) }
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { vmulq_f32(self, other) }
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { vfmaq_f32(sum, self, factor) }
    }
    #[inline(always)]
    unsafe fn raise_to(self, floor: Self) -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { vbslq_f32(vcltq_f32(self, floor), floor, self) }
    }
    #[inline(always)]
    unsafe fn where_positive(self, mask: Self) -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { vbslq_f32(vcgtzq_f32(mask), self, vdupq_n_f32(0.0)) }
    }
}
