//! The instruction set, chosen once at run time as a value.
//!
//! A kernel is written once and compiled for every instruction set. It is either a `Kernel` that is
//! generic over the trait `Vector` and that `Isa::run` calls, or a function in plain Rust that
//! `compiled!` defines and that the compiler vectorises.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

pub(crate) use vector::{Kernel, MAX_LANES, Vector, Words};

/// An instruction set that this machine has.
///
/// Values come only from [`Isa::best`], [`Isa::available`] and parsing, so a value proves that the
/// machine has the instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(pub(crate) Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// AVX-512 with tiles and with instructions for bf16.
    #[cfg(target_arch = "x86_64")]
    Amx,
    /// AVX-512 with instructions for bf16.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

static BEST: OnceLock<Isa> = OnceLock::new();

/// The error for a name that belongs to no instruction set of this machine.
#[derive(Debug, thiserror::Error)]
#[error("this machine has no instruction set `{name}`; it has {available}")]
pub struct UnknownIsa {
    name: String,
    available: String,
}

impl Isa {
    /// Returns the fastest instruction set of this machine, or the instruction set that was
    /// [forced](Self::force).
    pub fn best() -> Self {
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// Makes this instruction set the [best](Self::best) for the whole process.
    ///
    /// # Errors
    ///
    /// If an earlier call of this function or of [`best`](Self::best) has chosen another
    /// instruction set. The error is that instruction set.
    pub fn force(self) -> Result<(), Self> {
        let best = *BEST.get_or_init(|| self);
        if best == self { Ok(()) } else { Err(best) }
    }

    /// Returns the instruction sets of this machine. The fastest comes first and the portable one
    /// last.
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
                if amx::granted() {
                    sets.push(Self(Set::Amx));
                }
                if is_x86_feature_detected!("avx512bf16") {
                    sets.push(Self(Set::Avx512Bf16));
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

    /// Returns `amx`, `avx512bf16`, `avx512`, `avx2`, `neon` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Amx => "amx",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512Bf16 => "avx512bf16",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
            Set::Portable => "portable",
        }
    }

    /// Whether the instruction set multiplies matrices in tiles.
    pub fn has_tiles(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Amx => true,
            _ => false,
        }
    }

    /// Whether the instruction set multiplies bf16 without widening it to f32.
    pub fn multiplies_bf16(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Set::Amx | Set::Avx512Bf16 => true,
            _ => false,
        }
    }

    /// Runs `kernel` compiled for this instruction set.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a value of this set exists only on a machine that has the set.
            Set::Amx | Set::Avx512Bf16 => unsafe { x86::avx512_bf16(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Set::Avx512 => unsafe { x86::avx512(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Set::Avx2 => unsafe { x86::avx2(kernel) },
            #[cfg(target_arch = "aarch64")]
            Set::Neon => kernel.run::<neon::Neon>(),
            Set::Portable => kernel.run::<portable::Portable>(),
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

/// Defines a function of plain Rust that is compiled for every instruction set, so that the
/// compiler vectorises its loops.
///
/// The first argument is the [`Isa`] to run on, which the body does not see. The result is the same
/// on every instruction set, for integers and for floats, because Rust never fuses a product and a
/// sum by itself. Functions that the body calls in a loop must be `#[inline(always)]`. Otherwise
/// they are compiled without vectors.
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
                // SAFETY: a value of this set exists only on a machine that has the set.
                $crate::isa::Set::Amx | $crate::isa::Set::Avx512Bf16 | $crate::isa::Set::Avx512 => unsafe {
                    avx512($($argument),*)
                },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::isa::Set::Avx2 => unsafe { avx2($($argument),*) },
                // Code for 64-bit Arm is always compiled for NEON.
                _ => loops($($argument),*),
            }
        }
    };
}
pub(crate) use compiled;

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
