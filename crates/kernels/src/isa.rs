//! The instruction set, chosen once at run time as a value, and the vectors that kernels are written over.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use half::bf16;

use crate::element::Element;

/// An instruction set that this machine has.
///
/// Only [`Isa::best`], [`Isa::available`] and parsing make one, so holding a value proves that the machine
/// can run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(pub(crate) Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// AVX-512 and tiles.
    #[cfg(target_arch = "x86_64")]
    Amx,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

static BEST: OnceLock<Isa> = OnceLock::new();

/// The name is of no instruction set that this machine has.
#[derive(Debug, thiserror::Error)]
#[error("this machine has no instruction set `{name}`; it has {available}")]
pub struct UnknownIsa {
    name: String,
    available: String,
}

impl Isa {
    /// The fastest one of this machine, or the one that was [forced](Self::force).
    pub fn best() -> Self {
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// Makes this one the best of the process.
    ///
    /// # Errors
    ///
    /// The one that is the best already, by an earlier call of this or of [`best`](Self::best), if it is another.
    pub fn force(self) -> Result<(), Self> {
        let best = *BEST.get_or_init(|| self);
        if best == self { Ok(()) } else { Err(best) }
    }

    /// Every one that this machine has, the fastest first, the portable one last.
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx2 && avx512 {
                if amx::lent() {
                    sets.push(Self(Set::Amx));
                }
                sets.push(Self(Set::Avx512));
            }
            if avx2 {
                sets.push(Self(Set::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        sets.push(Self(Set::Neon));
        sets.push(Self(Set::Portable));
        sets
    }

    /// `amx`, `avx512`, `avx2`, `neon` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Amx => "amx",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
            Set::Portable => "portable",
        }
    }

    /// Whether it multiplies matrices of bf16 by itself, in tiles.
    pub fn multiplies_bf16(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Amx => true,
            _ => false,
        }
    }

    /// Runs `kernel` compiled for this instruction set.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of this set exists only where the machine was found to have it.
            Set::Amx => unsafe { x86::amx(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Set::Avx512 => unsafe { x86::avx512(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Set::Avx2 => unsafe { x86::avx2(kernel) },
            #[cfg(target_arch = "aarch64")]
            Set::Neon => kernel.run::<neon::Neon>(),
            Set::Portable => kernel.run::<Portable>(),
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = UnknownIsa;

    fn from_str(name: &str) -> Result<Self, UnknownIsa> {
        let available = Self::available();
        available.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| UnknownIsa {
            name: name.to_owned(),
            available: available.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", "),
        })
    }
}

/// Defines a function of plain Rust that is compiled for every instruction set: the compiler makes the vectors.
///
/// Its first argument is the [`Isa`] to run on, the only one that the body does not see. For integers, and for floats
/// where a product is not added in one operation, which Rust never does by itself, the result is the same for every
/// instruction set. What the body calls in a loop is to be `#[inline(always)]`, or it is compiled without vectors.
macro_rules! compiled {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident(
        $isa:ident: Isa, $($argument:ident: $type:ty),* $(,)?
    ) $(-> $output:ty)? $body:block) => {
        $(#[$attribute])*
        $visibility fn $name($isa: $crate::isa::Isa, $($argument: $type),*) $(-> $output)? {
            #[inline(always)]
            fn loops($($argument: $type),*) $(-> $output)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            fn avx512($($argument: $type),*) $(-> $output)? {
                loops($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $type),*) $(-> $output)? {
                loops($($argument),*)
            }

            match $isa.0 {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an `Isa` of this set exists only where the machine was found to have it.
                $crate::isa::Set::Amx | $crate::isa::Set::Avx512 => unsafe { avx512($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::isa::Set::Avx2 => unsafe { avx2($($argument),*) },
                // NEON is part of what every 64-bit Arm is compiled for.
                _ => loops($($argument),*),
            }
        }
    };
}
pub(crate) use compiled;

/// A computation written once and compiled for every instruction set.
pub(crate) trait Kernel {
    type Output;

    /// The computation. Implementations are `#[inline(always)]`, and so is what they call, so that all of it
    /// is compiled with the features of the caller in [`Isa::run`].
    fn run<V: Vector>(self) -> Self::Output;
}

/// The most that [`Vector::LANES`] is.
pub(crate) const MOST_LANES: usize = 16;

/// A register of `LANES` f32.
///
/// # Safety
///
/// Every function but `multiply_add` must run where the instruction set is there; that is so inside
/// [`Kernel::run`]. Pointers must be valid for the lanes they are used for; they need no alignment.
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
    /// What is below the floor becomes the floor; not-a-number stays.
    unsafe fn cut(self, floor: Self) -> Self;
    /// Itself where `of` is above zero, elsewhere zero.
    unsafe fn where_positive(self, of: Self) -> Self;

    /// The bf16 of two registers.
    #[inline(always)]
    unsafe fn widen(from: *const bf16) -> [Self; 2] {
        let mut singles = [0.0f32; 2 * MOST_LANES];
        // SAFETY: the caller vouches for the instruction set and for the lanes of two registers; no two are longer than the
        // array.
        unsafe {
            for (lane, single) in singles[..2 * Self::LANES].iter_mut().enumerate() {
                *single = (*from.add(lane)).single();
            }
            [Self::load(singles.as_ptr()), Self::load(singles[Self::LANES..].as_ptr())]
        }
    }

    /// Stores two registers as bf16, each value the nearest; those below the least normal number may become zero.
    #[inline(always)]
    unsafe fn narrow(values: [Self; 2], to: *mut bf16) {
        let mut singles = [0.0f32; 2 * MOST_LANES];
        // SAFETY: as in `widen`.
        unsafe {
            values[0].store(singles.as_mut_ptr());
            values[1].store(singles[Self::LANES..].as_mut_ptr());
            for (lane, single) in singles[..2 * Self::LANES].iter().enumerate() {
                *to.add(lane) = bf16::of(*single);
            }
        }
    }

    /// a · b + c of one lane, in loops that the compiler makes vectors of.
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// A register of `LANES` u16.
///
/// # Safety
///
/// As for [`Vector`].
pub(crate) trait Words: Copy {
    const LANES: usize;

    unsafe fn splat(value: u16) -> Self;
    unsafe fn load(from: *const u16) -> Self;
    unsafe fn store(self, to: *mut u16);
    /// The sums, wrapping.
    unsafe fn add(self, other: Self) -> Self;
    /// The upper halves of the products.
    unsafe fn high_product(self, other: Self) -> Self;
}

#[cfg(target_arch = "x86_64")]
mod amx {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    use std::sync::OnceLock;

    /// Whether the processor has tiles, products of bytes and of bf16 in them, and AVX-512 for bf16, and the system lends them to this process. Asked
    /// once; threads that exist already have them, too.
    pub(super) fn lent() -> bool {
        static LENT: OnceLock<bool> = OnceLock::new();
        *LENT.get_or_init(|| {
            // Leaf 7, EDX: 22 products of bf16, 24 tiles, 25 products of bytes (Intel's manual, volume 2A, CPUID).
            const NEEDED: u32 = 1 << 22 | 1 << 24 | 1 << 25;
            let tiles = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & NEEDED == NEEDED;
            tiles && is_x86_feature_detected!("avx512bf16") && permitted()
        })
    }

    /// Linux lends the registers of tiles, 8 KB that a thread's state grows by, to those who ask.
    #[cfg(target_os = "linux")]
    fn permitted() -> bool {
        const ARCH_PRCTL: usize = 158;
        const REQUEST_PERMISSION: usize = 0x1023;
        const TILE_DATA: usize = 18;
        let failed: usize;
        // SAFETY: the call changes nothing but what the process may use; a system call overwrites rcx and r11.
        unsafe {
            std::arch::asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => failed,
                in("rdi") REQUEST_PERMISSION,
                in("rsi") TILE_DATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack)
            );
        }
        failed == 0
    }

    #[cfg(not(target_os = "linux"))]
    fn permitted() -> bool {
        false
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use half::bf16;

    use super::{Kernel, Vector, Words};

    /// # Safety
    ///
    /// The machine must have the features named.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    pub(super) unsafe fn amx<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Amx>()
    }

    /// # Safety
    ///
    /// The machine must have the features named.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) unsafe fn avx512<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx512>()
    }

    /// # Safety
    ///
    /// The machine must have the features named.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2<K: Kernel>(kernel: K) -> K::Output {
        kernel.run::<Avx2>()
    }

    /// A register of AVX-512 on a machine that also has instructions for bf16.
    #[derive(Clone, Copy)]
    pub(super) struct Amx(__m512);

    /// A register of AVX-512.
    #[derive(Clone, Copy)]
    pub(super) struct Avx512(__m512);

    /// A register of AVX2.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2(__m256);

    #[inline(always)]
    unsafe fn positive_512(values: __m512, of: __m512) -> __m512 {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(of, _mm512_setzero_ps()), values) }
    }

    #[inline(always)]
    unsafe fn positive_256(values: __m256, of: __m256) -> __m256 {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(of, _mm256_setzero_ps()), values) }
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
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { Self($zero()) }
                }
                #[inline(always)]
                unsafe fn splat(from: *const f32) -> Self {
                    // SAFETY: the caller vouches for the instruction set and one value.
                    unsafe { Self($splat(*from)) }
                }
                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: the caller vouches for the instruction set and the lanes.
                    unsafe { Self($load(from)) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: the caller vouches for the instruction set and the lanes.
                    unsafe { $store(to, self.0) }
                }
                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { Self($add(self.0, other.0)) }
                }
                #[inline(always)]
                unsafe fn sub(self, other: Self) -> Self {
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { Self($sub(self.0, other.0)) }
                }
                #[inline(always)]
                unsafe fn mul(self, other: Self) -> Self {
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { Self($mul(self.0, other.0)) }
                }
                #[inline(always)]
                unsafe fn mul_add(self, factor: Self, sum: Self) -> Self {
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { Self($fma(self.0, factor.0, sum.0)) }
                }
                #[inline(always)]
                unsafe fn cut(self, floor: Self) -> Self {
                    // Of two operands the maximum is the second where one is not a number, and where both are zeros.
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { Self($max(floor.0, self.0)) }
                }
                #[inline(always)]
                unsafe fn where_positive(self, of: Self) -> Self {
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { Self($positive(self.0, of.0)) }
                }
                $($short)*
            }
        };
    }

    vector!(
        Amx,
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
        __m512i,
        #[inline(always)]
        unsafe fn widen(from: *const bf16) -> [Self; 2] {
            // SAFETY: the caller vouches for the instruction set and 32 values.
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
            // SAFETY: the caller vouches for the instruction set and 32 values; both types are of 512 bits.
            unsafe {
                let short = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high.0, low.0));
                _mm512_storeu_si512(to.cast(), short);
            }
        }
    );
    vector!(
        Avx512,
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
    );
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
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { $splat(value.cast_signed()) }
                }
                #[inline(always)]
                unsafe fn load(from: *const u16) -> Self {
                    // SAFETY: the caller vouches for the instruction set and the lanes.
                    unsafe { $load(from.cast()) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut u16) {
                    // SAFETY: the caller vouches for the instruction set and the lanes.
                    unsafe { $store(to.cast(), self) }
                }
                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: the caller vouches for the instruction set.
                    unsafe { $add(self, other) }
                }
                #[inline(always)]
                unsafe fn high_product(self, other: Self) -> Self {
                    // SAFETY: the caller vouches for the instruction set.
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
}

/// Four lanes in plain Rust, without fused multiply-add: what every machine has.
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
        // SAFETY: the caller vouches for one value.
        Self([unsafe { *from }; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for four values; an array of f32 needs no more alignment than one.
        Self(unsafe { *from.cast() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for four values.
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
    unsafe fn cut(self, floor: Self) -> Self {
        Self(std::array::from_fn(|i| if self.0[i] < floor.0[i] { floor.0[i] } else { self.0[i] }))
    }
    #[inline(always)]
    unsafe fn where_positive(self, of: Self) -> Self {
        Self(std::array::from_fn(|i| if of.0[i] > 0.0 { self.0[i] } else { 0.0 }))
    }
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

/// Eight words in plain Rust, which the compiler takes for a register.
impl Words for [u16; 8] {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: u16) -> Self {
        [value; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const u16) -> Self {
        // SAFETY: the caller vouches for eight values; an array of them needs no more alignment than one.
        unsafe { *from.cast() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u16) {
        // SAFETY: the caller vouches for eight values.
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

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::Vector;

    /// Four lanes of NEON, which every 64-bit Arm has.
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
            // SAFETY: the caller vouches for one value.
            unsafe { vld1q_dup_f32(from) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: the caller vouches for four values.
            unsafe { vld1q_f32(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: the caller vouches for four values.
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
        unsafe fn cut(self, floor: Self) -> Self {
            // SAFETY: NEON is part of the architecture.
            unsafe { vbslq_f32(vcltq_f32(self, floor), floor, self) }
        }
        #[inline(always)]
        unsafe fn where_positive(self, of: Self) -> Self {
            // SAFETY: NEON is part of the architecture.
            unsafe { vbslq_f32(vcgtzq_f32(of), self, vdupq_n_f32(0.0)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_available_set_is_found_by_its_name() {
        let available = Isa::available();
        assert_eq!(available[0], Isa::best());
        assert_eq!(available.last().map(|isa| isa.name()), Some("portable"));
        for isa in available {
            assert_eq!(isa.to_string().parse::<Isa>().expect("by its name"), isa);
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let error = "sse9".parse::<Isa>().expect_err("no such set").to_string();
        assert!(error.contains("`sse9`") && error.contains("portable"), "{error}");
    }
}
