//! The instruction set, chosen once at run time as a value, and the vectors that kernels are
//! written over.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use half::bf16;

use crate::element::Element;

/// An instruction set that this machine has.
///
/// Only [`Isa::best`], [`Isa::available`] and parsing make one, so holding a value proves that the
/// machine can run it.
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
    /// The one that is the best already, by an earlier call of this or of [`best`](Self::best), if
    /// it is another.
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

/// Defines a function of plain Rust that is compiled for every instruction set: the compiler makes
/// the vectors.
///
/// Its first argument is the [`Isa`] to run on, the only one that the body does not see. For
/// integers, and for floats where a product is not added in one operation, which Rust never does by
/// itself, the result is the same for every instruction set. What the body calls in a loop is to be
/// `#[inline(always)]`, or it is compiled without vectors.
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

    /// The computation. Implementations are `#[inline(always)]`, and so is what they call, so that
    /// all of it is compiled with the features of the caller in [`Isa::run`].
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
        // SAFETY: the caller vouches for the instruction set and for the lanes of two registers; no
        // two are longer than the array.
        unsafe {
            for (lane, single) in singles[..2 * Self::LANES].iter_mut().enumerate() {
                *single = (*from.add(lane)).single();
            }
            [Self::load(singles.as_ptr()), Self::load(singles[Self::LANES..].as_ptr())]
        }
    }

    /// Stores two registers as bf16, each value the nearest; those below the least normal number
    /// may become zero.
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

    /// Whether the processor has tiles, products of bytes and of bf16 in them, and AVX-512 for
    /// bf16, and the system lends them to this process. Asked once; threads that exist already have
    /// them, too.
    pub(super) fn lent() -> bool {
        static LENT: OnceLock<bool> = OnceLock::new();
        *LENT.get_or_init(|| {
            // Leaf 7, EDX: 22 products of bf16, 24 tiles, 25 products of bytes (Intel's manual,
            // volume 2A, CPUID).
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
        // SAFETY: the call changes nothing but what the process may use; a system call overwrites
        // rcx and r11.
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
mod x86;

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
        // SAFETY: the caller vouches for four values; an array of f32 needs no more alignment than
        // one.
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
        // SAFETY: the caller vouches for eight values; an array of them needs no more alignment
        // than one.
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
mod neon;

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
