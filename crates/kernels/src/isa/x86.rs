//! The vectors of x86-64.

use std::arch::x86_64::*;

use half::bf16;

use super::vector::{Kernel, Vector, Words};

/// Runs a kernel.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn avx512_bf16<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512Bf16>()
}

/// Runs a kernel.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) unsafe fn avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx512>()
}

/// Runs a kernel.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run::<Avx2>()
}

/// A register of AVX-512 on a machine that also has instructions for bf16.
#[derive(Clone, Copy)]
pub(super) struct Avx512Bf16(__m512);

/// A register of AVX-512.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

/// A register of AVX2.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

#[inline(always)]
unsafe fn positive_512(values: __m512, mask: __m512) -> __m512 {
    // SAFETY: the caller guarantees the instruction set.
    unsafe {
        _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(mask, _mm512_setzero_ps()), values)
    }
}

#[inline(always)]
unsafe fn positive_256(values: __m256, mask: __m256) -> __m256 {
    // SAFETY: the caller guarantees the instruction set.
    unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(mask, _mm256_setzero_ps()), values) }
}

macro_rules! vector {
    ($register:ident, $lanes:literal, $registers:literal, $zero:ident, $splat:ident, $load:ident, $store:ident,
     $add:ident, $sub:ident, $mul:ident, $fma:ident, $max:ident, $positive:ident, $words:ty $(, $short:item)*) => {
        impl Vector for $register {
            const LANES: usize = $lanes;
            const REGISTERS: usize = $registers;
            type Words = $words;

            #[inline(always)]
            unsafe fn zero() -> Self {
                // SAFETY: the caller guarantees the instruction set.
                unsafe { Self($zero()) }
            }
            #[inline(always)]
            unsafe fn splat(from: *const f32) -> Self {
                // SAFETY: the caller guarantees the instruction set and one value.
                unsafe { Self($splat(*from)) }
            }
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: the caller guarantees the instruction set and the lanes.
                unsafe { Self($load(from)) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: the caller guarantees the instruction set and the lanes.
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller guarantees the instruction set.
                unsafe { Self($add(self.0, other.0)) }
            }
            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                // SAFETY: the caller guarantees the instruction set.
                unsafe { Self($sub(self.0, other.0)) }
            }
            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                // SAFETY: the caller guarantees the instruction set.
                unsafe { Self($mul(self.0, other.0)) }
            }
            #[inline(always)]
            unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
                // SAFETY: the caller guarantees the instruction set.
                unsafe { Self($fma(self.0, factor.0, sum.0)) }
            }
            #[inline(always)]
            unsafe fn raise_to(self, floor: Self) -> Self {
                // If an operand is not a number, or both operands are zeros, the instruction
                // returns the second operand. SAFETY: the caller guarantees the instruction set.
                unsafe { Self($max(floor.0, self.0)) }
            }
            #[inline(always)]
            unsafe fn where_positive(self, mask: Self) -> Self {
                // SAFETY: the caller guarantees the instruction set.
                unsafe { Self($positive(self.0, mask.0)) }
            }
            $($short)*
        }
    };
}

macro_rules! vector_512 {
    ($register:ident $(, $short:item)*) => {
        vector!(
            $register,
            16,
            32,
            _mm512_setzero_ps,
            _mm512_set1_ps,
            _mm512_loadu_ps,
            _mm512_storeu_ps,
            _mm512_add_ps,
            _mm512_sub_ps,
            _mm512_mul_ps,
            _mm512_fmadd_ps,
            _mm512_max_ps,
            positive_512,
            __m512i
            $(, $short)*
        );
    };
}

vector_512!(
    Avx512Bf16,
    #[inline(always)]
    unsafe fn widen(from: *const bf16) -> [Self; 2] {
        // SAFETY: the caller guarantees the instruction set and 32 values.
        unsafe {
            let low = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            let high = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.add(16).cast()));
            [
                Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(low))),
                Self(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(high))),
            ]
        }
    },
    #[inline(always)]
    unsafe fn narrow([low, high]: [Self; 2], to: *mut bf16) {
        // SAFETY: the caller guarantees the instruction set and 32 values. Both types are 512
        // bits.
        unsafe {
            let short =
                std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high.0, low.0));
            _mm512_storeu_si512(to.cast(), short);
        }
    }
);
vector_512!(Avx512);
vector!(
    Avx2,
    8,
    16,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    _mm256_max_ps,
    positive_256,
    __m256i
);

macro_rules! words {
    ($register:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $high_product:ident) => {
        impl Words for $register {
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn splat(value: u16) -> Self {
                // SAFETY: the caller guarantees the instruction set.
                unsafe { $splat(value.cast_signed()) }
            }
            #[inline(always)]
            unsafe fn load(from: *const u16) -> Self {
                // SAFETY: the caller guarantees the instruction set and the lanes.
                unsafe { $load(from.cast()) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut u16) {
                // SAFETY: the caller guarantees the instruction set and the lanes.
                unsafe { $store(to.cast(), self) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: the caller guarantees the instruction set.
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            unsafe fn high_product(self, other: Self) -> Self {
                // SAFETY: the caller guarantees the instruction set.
                unsafe { $high_product(self, other) }
            }
        }
    };
}

words!(
    __m512i,
    32,
    _mm512_set1_epi16,
    _mm512_loadu_si512,
    _mm512_storeu_si512,
    _mm512_add_epi16,
    _mm512_mulhi_epu16
);
words!(
    __m256i,
    16,
    _mm256_set1_epi16,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_add_epi16,
    _mm256_mulhi_epu16
);
