//! The peak throughput of a processor, for comparison with kernels.

use std::time::{Duration, Instant};

#[cfg(target_arch = "x86_64")]
use crate::isa::Set;
use crate::isa::{Isa, Kernel, Vector};

/// Duration of a measurement.
const TIME: Duration = Duration::from_millis(50);

/// Measures the floating-point operations per second of this thread while all values stay in
/// registers. A product and a sum count as one operation each. The operations are on bf16
/// if `short` is set and `isa` multiplies bf16, and otherwise on f32.
///
/// ```
/// use selfsame_kernels::isa::Isa;
/// use selfsame_kernels::peak;
///
/// assert!(peak::operations(Isa::best(), false) > 1e6);
/// ```
pub fn operations(isa: Isa, short: bool) -> f64 {
    #[cfg(target_arch = "x86_64")]
    match isa.0 {
        // SAFETY: a value of this set exists only on a machine that has the set.
        Set::Amx if short => return rate(|rounds| unsafe { in_tiles(rounds) }),
        // SAFETY: as above.
        Set::Avx512Bf16 if short => return rate(|rounds| unsafe { in_registers(rounds) }),
        _ => {}
    }
    let _ = short;
    rate(|rounds| isa.run(MultiplyAdd { rounds }))
}

/// Measures the operations per second of `work`, which takes a number of rounds and returns the
/// number of operations of these rounds.
fn rate(mut work: impl FnMut(usize) -> f64) -> f64 {
    const ROUNDS: usize = 10_000;
    work(ROUNDS); // The processor may have to wake its multipliers.
    let start = Instant::now();
    let mut done = 0.0;
    while start.elapsed() < TIME {
        done += work(ROUNDS);
    }
    done / start.elapsed().as_secs_f64()
}

struct MultiplyAdd {
    rounds: usize,
}

impl Kernel for MultiplyAdd {
    type Output = f64;

    #[inline(always)]
    fn run<V: Vector>(self) -> f64 {
        // Number of independent sums. It is at least the number of cycles of a product times the
        // number of units.
        const SUMS: usize = 10;
        let values = [0.5_f32, 1e-3];
        // SAFETY: `run` is called with the instruction set, and the pointers are to values.
        let sums = unsafe {
            let (factor, add) = (V::splat(&raw const values[0]), V::splat(&raw const values[1]));
            let mut sums = [add; SUMS];
            for _ in 0..self.rounds {
                for sum in &mut sums {
                    *sum = V::mul_add(*sum, factor, add);
                }
            }
            sums.into_iter().fold(V::zero(), |total, sum| total.add(sum))
        };
        let mut out = [0.0_f32; 16];
        assert!(V::LANES <= out.len());
        // SAFETY: `run` is called with the instruction set, and the array holds the lanes.
        unsafe { sums.store(out.as_mut_ptr()) };
        std::hint::black_box(out);
        (2 * SUMS * V::LANES * self.rounds) as f64
    }
}

/// Multiplies tiles, and returns the number of operations.
///
/// # Safety
///
/// - The caller must run this only on a machine that has AMX for bf16, and in a process to which
///   the system grants AMX.
#[cfg(target_arch = "x86_64")]
unsafe fn in_tiles(rounds: usize) -> f64 {
    // SAFETY: the caller guarantees AMX. Only tiles and the counter change.
    unsafe {
        let _tiles = crate::tiles::Tiles::begin();
        std::arch::asm!(
            "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
            "tilezero tmm4", "tilezero tmm5", "tilezero tmm6", "tilezero tmm7",
            "2:",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "dec {n}",
            "jnz 2b",
            n = inout(reg) rounds.max(1) => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, nomem)
        );
    }
    // Each round has four products of tiles, each with 16 × 16 sums of 32 products.
    (4 * 16 * 16 * 32 * 2 * rounds.max(1)) as f64
}

/// Multiplies pairs of bf16 in registers, and returns the number of operations.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn in_registers(rounds: usize) -> f64 {
    use std::arch::x86_64::*;

    // Number of independent sums, as in a kernel.
    const SUMS: usize = 16;
    let zeros = _mm512_setzero_ps();
    let factor = std::hint::black_box(_mm512_cvtne2ps_pbh(zeros, zeros));
    let mut sums = [zeros; SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_dpbf16_ps(*sum, factor, factor);
        }
    }
    std::hint::black_box(sums);
    // Each instruction adds two products to each of 16 sums.
    (SUMS * 16 * 2 * 2 * rounds) as f64
}
