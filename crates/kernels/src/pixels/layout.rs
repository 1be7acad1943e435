//! Layouts of pixels: interleaved, in planes, and transposed.

#[cfg(target_arch = "x86_64")]
use crate::isa::Set;
use crate::isa::{Isa, compiled};

/// Number of rows and number of columns of the blocks that are transposed in registers.
const BLOCK: [usize; 2] = [8, 16];

/// Number of rows that are split into channels at a time, which gives half a cache line of every
/// transposed row of a channel.
const BAND: usize = 32;

/// Number of pixels that are split into channels at a time. Whole stretches are split, so that no
/// row ends in a loop over single pixels.
const STRETCH: usize = 32;

/// Writes the transpose of `from` to `to`. `from` has `shape[0]` rows of `shape[1]` bytes. Rows of
/// `from` are `from_stride` bytes apart, and rows of `to` are `to_stride` bytes apart. The bytes
/// between rows of `to` do not change.
///
/// # Panics
///
/// If a slice is too short, or a stride is shorter than its row.
pub fn transpose(
    isa: Isa,
    from: &[u8],
    from_stride: usize,
    shape: [usize; 2],
    to: &mut [u8],
    to_stride: usize,
) {
    let [rows, columns] = shape;
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(from_stride >= columns && to_stride >= rows, "strides hold their rows");
    assert!(
        holds(from.len(), rows, from_stride, columns) && holds(to.len(), columns, to_stride, rows),
        "whole"
    );
    if rows < BLOCK[0] || columns < BLOCK[1] {
        for y in 0..rows {
            for x in 0..columns {
                to[x * to_stride + y] = from[y * from_stride + x];
            }
        }
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if matches!(isa.0, Set::Avx2 | Set::Avx512 | Set::Avx512Bf16 | Set::Amx)
        && rows >= avx2::BLOCK[0]
        && columns >= avx2::BLOCK[1]
    {
        // SAFETY: the assertion guarantees that the slices hold both shapes. A value of these sets
        // exists only on a machine that has AVX2.
        return unsafe {
            avx2::transpose(from.as_ptr(), from_stride, shape, to.as_mut_ptr(), to_stride)
        };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = isa; // All instruction sets share one way.
    // The last blocks overlap the blocks before them, so some bytes are copied twice.
    for y in (0..rows).step_by(BLOCK[0]) {
        let y = y.min(rows - BLOCK[0]);
        for x in (0..columns).step_by(BLOCK[1]) {
            let x = x.min(columns - BLOCK[1]);
            // SAFETY: the block lies within both shapes, and the assertion guarantees that the
            // slices hold both shapes.
            unsafe {
                let from = from.as_ptr().add(y * from_stride + x);
                transpose_block(
                    from,
                    from_stride,
                    to.as_mut_ptr().add(x * to_stride + y),
                    to_stride,
                );
            }
        }
    }
}

/// Whether a slice of `bytes` bytes holds `rows` rows of `row` bytes, `stride` apart. The result is
/// false if the computation overflows.
#[inline(always)]
fn holds(bytes: usize, rows: usize, stride: usize, row: usize) -> bool {
    (rows - 1)
        .checked_mul(stride)
        .and_then(|start| start.checked_add(row))
        .is_some_and(|end| end <= bytes)
}

/// Transposes eight rows of sixteen bytes to sixteen rows of eight bytes.
///
/// # Safety
///
/// - The caller must guarantee that eight rows can be read at `from`, `from_stride` apart.
/// - The caller must guarantee that sixteen rows can be written at `to`, `to_stride` apart.
#[inline(always)]
unsafe fn transpose_block(from: *const u8, from_stride: usize, to: *mut u8, to_stride: usize) {
    let mut rows = [[0; 16]; 8];
    for (y, row) in rows.iter_mut().enumerate() {
        // SAFETY: the caller guarantees the row. An array of bytes needs no alignment.
        *row = unsafe { *from.add(y * from_stride).cast() };
    }
    for (x, row) in transposed(rows).into_iter().enumerate() {
        // SAFETY: the caller guarantees the row. An array of bytes needs no alignment.
        unsafe { *to.add(x * to_stride).cast() = row };
    }
}

/// Transposes by interleaving row i and row i + 4 byte by byte, three times. Every x86-64 processor
/// has the instructions.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn transposed(rows: [[u8; 16]; 8]) -> [[u8; 8]; 16] {
    use std::arch::x86_64::{__m128i, _mm_unpackhi_epi8, _mm_unpacklo_epi8};

    // SAFETY: a register holds any 16 bytes.
    let mut registers = unsafe { std::mem::transmute::<[[u8; 16]; 8], [__m128i; 8]>(rows) };
    for _ in 0..3 {
        let old = registers;
        for i in 0..4 {
            // SAFETY: SSE2 is part of the architecture.
            unsafe {
                registers[2 * i] = _mm_unpacklo_epi8(old[i], old[i + 4]);
                registers[2 * i + 1] = _mm_unpackhi_epi8(old[i], old[i + 4]);
            }
        }
    }
    // SAFETY: eight registers have as many bytes as sixteen rows of eight, and any value of these
    // bytes is valid.
    unsafe { std::mem::transmute::<[__m128i; 8], [[u8; 8]; 16]>(registers) }
}

/// Transposes by exchanging halves, quarters and eighths of 64-bit words between pairs of rows.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn transposed(rows: [[u8; 16]; 8]) -> [[u8; 8]; 16] {
    let half = |start: usize| -> [u64; 8] {
        let word = |y: usize| *rows[y][start..].first_chunk::<8>().expect("half a row");
        let mut words = std::array::from_fn(|y| u64::from_le_bytes(word(y)));
        for (distance, mask) in
            [(4, 0xffff_ffff_u64), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)]
        {
            let bits = 8 * distance as u32;
            for upper in (0..8).filter(|y| y & distance == 0) {
                let swapped = ((words[upper] >> bits) ^ words[upper + distance]) & mask;
                words[upper] ^= swapped << bits;
                words[upper + distance] ^= swapped;
            }
        }
        words
    };
    let (left, right) = (half(0), half(8));
    std::array::from_fn(|x| if x < 8 { left[x] } else { right[x - 8] }.to_le_bytes())
}

/// Transposition of twice as many rows, with registers of twice the size.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    /// Number of rows and number of columns of a block.
    pub(super) const BLOCK: [usize; 2] = [16, 32];

    /// Computes [`super::transpose`], without its checks.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX2.
    /// - The shape must be at least that of a block.
    /// - The caller must guarantee that the rows of the shape can be read at `from`, and that its
    ///   columns can be written at `to`.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn transpose(
        from: *const u8,
        from_stride: usize,
        [rows, columns]: [usize; 2],
        to: *mut u8,
        to_stride: usize,
    ) {
        // The last blocks overlap the blocks before them.
        for y in (0..rows).step_by(BLOCK[0]) {
            let y = y.min(rows - BLOCK[0]);
            for x in (0..columns).step_by(BLOCK[1]) {
                let x = x.min(columns - BLOCK[1]);
                // SAFETY: the block lies within both shapes.
                unsafe {
                    block(
                        from.add(y * from_stride + x),
                        from_stride,
                        to.add(x * to_stride + y),
                        to_stride,
                    )
                };
            }
        }
    }

    /// Transposes 16 rows of 32 bytes to 32 rows of 16 bytes.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX2.
    /// - The caller must guarantee that 16 rows can be read at `from`, and that 32 rows can be
    ///   written at `to`.
    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn block(from: *const u8, from_stride: usize, to: *mut u8, to_stride: usize) {
        let mut rows = [_mm256_setzero_si256(); 16];
        for (y, row) in rows.iter_mut().enumerate() {
            // SAFETY: the caller guarantees the rows. The load needs no alignment.
            *row = unsafe { _mm256_loadu_si256(from.add(y * from_stride).cast()) };
        }
        for _ in 0..4 {
            let old = rows;
            for i in 0..8 {
                rows[2 * i] = _mm256_unpacklo_epi8(old[i], old[i + 8]);
                rows[2 * i + 1] = _mm256_unpackhi_epi8(old[i], old[i + 8]);
            }
        }
        // The two halves of a register are interleaved separately. Column x therefore ends up in
        // the lower half, and column x + 16 in the upper half.
        for (x, row) in rows.into_iter().enumerate() {
            // SAFETY: the caller guarantees the rows. The stores need no alignment.
            unsafe {
                _mm_storeu_si128(to.add(x * to_stride).cast(), _mm256_castsi256_si128(row));
                _mm_storeu_si128(
                    to.add((x + 16) * to_stride).cast(),
                    _mm256_extracti128_si256::<1>(row),
                );
            }
        }
    }
}

compiled! {
    /// Splits interleaved RGB into planes, which follow each other in `planes`. `from` has
    /// `shape[0]` rows of `shape[1]` pixels, `from_stride` bytes apart.
    ///
    /// # Panics
    ///
    /// If `from` is too short, `from_stride` is shorter than a row, or `planes` does not have three
    /// planes of `shape`.
    pub fn split(isa: Isa, from: &[u8], from_stride: usize, shape: [usize; 2], planes: &mut [u8]) {
        let [rows, columns] = shape;
        assert!(from_stride >= 3 * columns, "a stride holds its row");
        assert!(planes.len() == 3 * rows * columns, "planes of the shape");
        let (red, rest) = planes.split_at_mut(rows * columns);
        let (green, blue) = rest.split_at_mut(rows * columns);
        for y in 0..rows {
            let row = from[y * from_stride..][..3 * columns].as_chunks::<3>().0;
            let place = y * columns..(y + 1) * columns;
            split_row(row, &mut red[place.clone()], &mut green[place.clone()], &mut blue[place]);
        }
    }
}

#[inline(always)]
fn split_row(row: &[[u8; 3]], red: &mut [u8], green: &mut [u8], blue: &mut [u8]) {
    let (red, green, blue) =
        (&mut red[..row.len()], &mut green[..row.len()], &mut blue[..row.len()]);
    for x in 0..row.len() {
        [red[x], green[x], blue[x]] = row[x];
    }
}

/// Splits interleaved RGB into transposed planes. Column x of channel c has `shape[0]` bytes, and
/// is written to `to[x · to_stride + c · shape[0]..]`. `from` has `shape[0]` rows of `shape[1]`
/// pixels, `from_stride` bytes apart. `band` is memory for intermediate results.
///
/// # Panics
///
/// If a slice is too short, `from_stride` is shorter than a row, or `to_stride` is less than three
/// times `shape[0]`.
pub fn split_transposed(
    isa: Isa,
    from: &[u8],
    from_stride: usize,
    shape: [usize; 2],
    to: &mut [u8],
    to_stride: usize,
    band: &mut Vec<u8>,
) {
    let [rows, columns] = shape;
    assert!(from_stride >= 3 * columns && to_stride >= 3 * rows, "strides hold their rows");
    if columns == 0 {
        return;
    }
    // Rows are split in whole stretches. Values after a row are also split, but are never used.
    let wide = columns.next_multiple_of(STRETCH);
    let needed = 3 * BAND * wide + 3 * wide;
    if band.len() < needed {
        band.resize(needed, 0);
    }
    let (padded, planes) = band[..needed].split_at_mut(3 * wide);
    for top in (0..rows).step_by(BAND) {
        // The last band overlaps the band before it, if any, because whole blocks are faster than
        // remainders.
        let top = top.min(rows.saturating_sub(BAND));
        let height = BAND.min(rows);
        split_band(isa, &from[top * from_stride..], from_stride, [height, columns], planes, padded);
        for (c, plane) in planes.chunks_exact(BAND * wide).enumerate() {
            transpose(isa, plane, wide, [height, columns], &mut to[c * rows + top..], to_stride);
        }
    }
}

compiled! {
    /// Splits the first rows of `from` into three planes of `BAND` rows of whole stretches.
    fn split_band(
        isa: Isa,
        from: &[u8],
        from_stride: usize,
        shape: [usize; 2],
        planes: &mut [u8],
        padded: &mut [u8],
    ) {
        let [rows, columns] = shape;
        let wide = columns.next_multiple_of(STRETCH);
        let (red, rest) = planes.split_at_mut(BAND * wide);
        let (green, blue) = rest.split_at_mut(BAND * wide);
        for y in 0..rows {
            let row = &from[y * from_stride..];
            let row = match row.get(..3 * wide) {
                Some(row) => row,
                None => {
                    padded[..3 * columns].copy_from_slice(&row[..3 * columns]);
                    &*padded
                }
            };
            let place = y * wide..(y + 1) * wide;
            let row = row.as_chunks::<3>().0;
            split_row(row, &mut red[place.clone()], &mut green[place.clone()], &mut blue[place]);
        }
    }
}

compiled! {
    /// Joins three planes, which follow each other in `planes`, to interleaved RGB.
    ///
    /// # Panics
    ///
    /// If the lengths differ or are not a multiple of 3.
    pub fn interleave(isa: Isa, planes: &[u8], to: &mut [u8]) {
        assert!(planes.len() == to.len() && to.len().is_multiple_of(3), "three channels");
        let count = to.len() / 3;
        let (red, rest) = planes.split_at(count);
        let (green, blue) = rest.split_at(count);
        for (i, pixel) in to.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = [red[i], green[i], blue[i]];
        }
    }
}
