//! Finds out whether this process may use AMX.

use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::sync::OnceLock;

/// Whether the processor has tiles, products of bytes and of bf16 in tiles, and AVX-512 for bf16,
/// and whether the system lets this process use them. Only the first call asks the system. The
/// permission also holds for threads that already exist.
pub(super) fn granted() -> bool {
    static GRANTED: OnceLock<bool> = OnceLock::new();
    *GRANTED.get_or_init(|| {
        // Bits of EDX in leaf 7: 22 for products of bf16, 24 for tiles, 25 for products of bytes
        // (Intel's manual, volume 2A, CPUID).
        const NEEDED: u32 = 1 << 22 | 1 << 24 | 1 << 25;
        let tiles = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & NEEDED == NEEDED;
        tiles && is_x86_feature_detected!("avx512bf16") && permitted()
    })
}

/// Asks Linux for the tile registers. Linux grants the registers only to processes that ask,
/// because they add 8 KB to the state of a thread.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: usize = 158;
    const REQUEST_PERMISSION: usize = 0x1023;
    const TILE_DATA: usize = 18;
    let failed: usize;
    // SAFETY: the call changes only what the process may use. A system call overwrites rcx and
    // r11, as declared.
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
