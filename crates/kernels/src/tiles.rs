//! The tile registers of AMX, and transposition of matrices for them.

use std::arch::asm;
use std::arch::x86_64::*;

/// Number of rows of a tile.
pub(crate) const ROWS: usize = 16;

/// Number of bytes per row of a tile.
pub(crate) const LINE: usize = 64;

/// The shapes of the eight tiles, as `ldtilecfg` reads them (Intel's manual, volume 1, 18.3).
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    line: [u16; 16],
    rows: [u8; 16],
}

/// Shapes that make all tiles as large as possible.
static SHAPES: Shapes = {
    let (mut line, mut rows) = ([0; 16], [0; 16]);
    let mut tile = 0;
    while tile < 8 {
        (line[tile], rows[tile]) = (LINE as u16, ROWS as u8);
        tile += 1;
    }
    Shapes { palette: 1, start_row: 0, reserved: [0; 14], line, rows }
};

/// The tiles of this thread, each with 16 rows of 64 bytes. They are released when this value is
/// dropped.
pub(crate) struct Tiles(());

impl Tiles {
    /// Configures the tiles.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AMX, and in a process to which the
    ///   system grants AMX.
    pub(crate) unsafe fn begin() -> Self {
        // SAFETY: the caller guarantees AMX. The shapes follow the manual.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, readonly, preserves_flags))
        };
        Self(())
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: a value exists only while tiles are configured.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// Returns the transpose of a matrix of 16 × 16 words of 32 bits.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
#[inline]
pub(crate) fn transposed(mut a: [__m512i; ROWS]) -> [__m512i; ROWS] {
    // Within each quarter of the registers, interleave pairs of rows by words, and then by pairs of
    // words.
    let mut b = a;
    for i in 0..8 {
        b[2 * i] = _mm512_unpacklo_epi32(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm512_unpackhi_epi32(a[2 * i], a[2 * i + 1]);
    }
    for i in 0..4 {
        a[4 * i] = _mm512_unpacklo_epi64(b[4 * i], b[4 * i + 2]);
        a[4 * i + 1] = _mm512_unpackhi_epi64(b[4 * i], b[4 * i + 2]);
        a[4 * i + 2] = _mm512_unpacklo_epi64(b[4 * i + 1], b[4 * i + 3]);
        a[4 * i + 3] = _mm512_unpackhi_epi64(b[4 * i + 1], b[4 * i + 3]);
    }
    // Then exchange the quarters.
    for i in 0..4 {
        b[i] = _mm512_shuffle_i32x4::<0x88>(a[i], a[i + 4]);
        b[i + 4] = _mm512_shuffle_i32x4::<0xdd>(a[i], a[i + 4]);
        b[i + 8] = _mm512_shuffle_i32x4::<0x88>(a[i + 8], a[i + 12]);
        b[i + 12] = _mm512_shuffle_i32x4::<0xdd>(a[i + 8], a[i + 12]);
    }
    for i in 0..8 {
        a[i] = _mm512_shuffle_i32x4::<0x88>(b[i], b[i + 8]);
        a[i + 8] = _mm512_shuffle_i32x4::<0xdd>(b[i], b[i + 8]);
    }
    a
}
