//! Products of bytes as they are, where the machine multiplies four neighbours of a vector and adds
//! all of them to a 32-bit sum: AMX in tiles of 16 × 16 sums, AVX-512 VNNI in registers of 16.
//!
//! A tile of columns is 16 lines, each of four values of every column of a panel; a tile of rows is
//! 16 lines, each of 64 values of a row. VNNI reads the same lines, but one of its factors has a
//! sign: it takes b − 128, and 128·Σa is added afterwards. All sums wrap at 2³², which their true
//! values do not reach.

use std::ops::Range;

use super::dense::{Line, ROWS};
use crate::isa::{Isa, Set};

/// Whether this instruction set has such products.
pub(super) fn has(isa: Isa) -> bool {
    match isa.0 {
        Set::Amx => true,
        Set::Avx512 => is_x86_feature_detected!("avx512vnni"),
        _ => false,
    }
}

/// Values of a step: of a tile of rows, a line of each.
const STEP: usize = 64;
/// Lines of a tile.
const TILE: usize = 16;

/// Steps of 64 values, those at the end filled up with zeros. Missing columns are zeros.
pub(super) fn pack(
    isa: Isa,
    b: &[u8],
    dim: usize,
    part: Range<usize>,
    panels: usize,
    to: &mut Vec<Line>,
) {
    let flip = if isa.0 == Set::Amx { 0 } else { 0x80 };
    let steps = part.len().div_ceil(STEP);
    to.clear();
    to.resize(panels * steps * TILE, Line([0; 64]));
    for (panel, b) in b.chunks(TILE * dim).enumerate() {
        for step in 0..steps {
            let values = part.start + step * STEP..part.end.min(part.start + (step + 1) * STEP);
            let lines = (&mut to[(panel * steps + step) * TILE..][..TILE])
                .try_into()
                .expect("a tile of lines");
            if values.len() == STEP && b.len() == TILE * dim {
                // SAFETY: `has` found AVX-512, of which AMX is an addition; there are 16 vectors of
                // `dim` bytes and 64 values from `values.start` on in each.
                unsafe { x86::transpose(b.as_ptr().add(values.start), dim, flip, lines) };
            } else {
                for (column, from) in b.chunks_exact(dim).enumerate() {
                    for (at, value) in from[values.clone()].iter().enumerate() {
                        lines[at / 4].0[4 * column + at % 4] = value ^ flip;
                    }
                }
            }
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the two blocks, their packed forms and the place of the products"
)]
pub(super) fn dots(
    isa: Isa,
    a: &[u8],
    dim: usize,
    part: Range<usize>,
    rows: &mut Vec<Line>,
    columns: &[Line],
    panels: usize,
    stride: usize,
    out: &mut [u32],
) {
    let steps = part.len().div_ceil(STEP);
    let mut sums = [0_u32; ROWS];
    // Rows that are left from before have places that nobody reads; those of this call are written
    // whole.
    rows.resize(ROWS * steps, Line([0; 64]));
    for (row, from) in a.chunks_exact(dim).enumerate() {
        let from = &from[part.clone()];
        let lines = rows[row / TILE * steps * TILE + row % TILE..].iter_mut().step_by(TILE);
        let (whole, rest) = from.as_chunks::<STEP>();
        let rest = (!rest.is_empty()).then(|| {
            let mut line = [0; STEP];
            line[..rest.len()].copy_from_slice(rest);
            line
        });
        for (line, &values) in lines.zip(whole.iter().chain(&rest)) {
            *line = Line(values);
        }
        if isa.0 != Set::Amx {
            sums[row] = from.iter().map(|&value| u32::from(value)).sum::<u32>() * 128;
        }
    }
    let product = x86::Product { rows, columns, steps, panels, stride };
    assert!(
        rows.len() == 2 * steps * TILE && columns.len() >= panels * steps * TILE,
        "whole tiles"
    );
    assert!(
        panels.is_multiple_of(2) && stride >= panels * TILE && out.len() == ROWS * stride,
        "a place a sum"
    );
    if isa.0 == Set::Amx {
        // SAFETY: an `Isa` of this set exists only where the machine has AMX and the kernel lends
        // it; lengths were checked above.
        unsafe { x86::amx(&product, out) };
    } else {
        // SAFETY: `has` found VNNI; lengths as above.
        unsafe { x86::vnni(&product, out) };
        for (out, sum) in out.chunks_exact_mut(stride).zip(sums) {
            out[..panels * TILE].iter_mut().for_each(|out| *out = out.wrapping_add(sum));
        }
    }
}

mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    use super::super::dense::DEPTH;
    use super::{Line, ROWS, STEP, TILE};
    use crate::tiles::{Tiles, turned};

    /// Steps before the next columns.
    const STEPS: usize = DEPTH / STEP;

    /// Two tiles of rows with panels of columns, each `steps` tiles long.
    pub(super) struct Product<'a> {
        pub(super) rows: &'a [Line],
        pub(super) columns: &'a [Line],
        pub(super) steps: usize,
        pub(super) panels: usize,
        pub(super) stride: usize,
    }

    impl Product<'_> {
        /// The tiles of a stretch of steps: two of rows, and two panels'.
        fn tiles(&self, first: usize, panel: usize) -> [*const Line; 4] {
            let rows = [0, self.steps].map(|tile| self.rows[(tile + first) * TILE..].as_ptr());
            let columns = [0, 1]
                .map(|at| self.columns[((panel + at) * self.steps + first) * TILE..].as_ptr());
            [rows[0], rows[1], columns[0], columns[1]]
        }
    }

    /// 64 values of each of 16 vectors to 16 lines of four values of all of them: a transposed
    /// matrix of 16 × 16 words.
    ///
    /// # Safety
    ///
    /// The machine must have the features named; at `from`, and `dim` bytes further for each
    /// vector, are 64 bytes.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) unsafe fn transpose(from: *const u8, dim: usize, flip: u8, to: &mut [Line; TILE]) {
        let flip = _mm512_set1_epi8(flip.cast_signed());
        let lines = turned(std::array::from_fn(|row| {
            // SAFETY: the caller vouches for 64 bytes of each vector.
            _mm512_xor_si512(unsafe { _mm512_loadu_si512(from.add(row * dim).cast()) }, flip)
        }));
        for (to, line) in to.iter_mut().zip(lines) {
            // SAFETY: a line is a register.
            unsafe { _mm512_store_si512(to.0.as_mut_ptr().cast(), line) };
        }
    }

    /// # Safety
    ///
    /// The machine must have AMX for bytes, and the process the right to use it; `rows` must hold
    /// two tiles a step, `columns` one a step of every panel, `panels` be even, and `out` hold 32
    /// rows of `stride`, at least as many as the panels' columns.
    pub(super) unsafe fn amx(product: &Product<'_>, out: &mut [u32]) {
        let Product { steps, panels, stride, .. } = *product;
        // SAFETY: the caller vouches for AMX.
        let _tiles = unsafe { Tiles::begin() };
        for first in (0..steps).step_by(STEPS) {
            let count = STEPS.min(steps - first);
            for panel in (0..panels).step_by(2) {
                let [rows, next_rows, columns, next_columns] = product.tiles(first, panel);
                let sums = out[panel * TILE..].as_mut_ptr();
                // SAFETY: `count` tiles of 1,024 bytes follow each pointer to tiles, and at `sums`
                // are 32 rows of 32 sums, `pitch` bytes apart, all within `out`.
                unsafe {
                    asm!(
                        "test {first}, {first}",
                        "jnz 2f",
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "tilezero tmm2",
                        "tilezero tmm3",
                        "jmp 3f",
                        "2:",
                        "tileloadd tmm0, [{sums} + {pitch}]",
                        "tileloadd tmm1, [{sums} + {pitch} + 64]",
                        "tileloadd tmm2, [{lower} + {pitch}]",
                        "tileloadd tmm3, [{lower} + {pitch} + 64]",
                        "3:",
                        "tileloadd tmm4, [{rows} + {line}]",
                        "tileloadd tmm6, [{columns} + {line}]",
                        "tdpbuud tmm0, tmm4, tmm6",
                        "tileloadd tmm7, [{next_columns} + {line}]",
                        "tdpbuud tmm1, tmm4, tmm7",
                        "tileloadd tmm5, [{next_rows} + {line}]",
                        "tdpbuud tmm2, tmm5, tmm6",
                        "tdpbuud tmm3, tmm5, tmm7",
                        "add {rows}, 1024",
                        "add {next_rows}, 1024",
                        "add {columns}, 1024",
                        "add {next_columns}, 1024",
                        "dec {count}",
                        "jnz 3b",
                        "tilestored [{sums} + {pitch}], tmm0",
                        "tilestored [{sums} + {pitch} + 64], tmm1",
                        "tilestored [{lower} + {pitch}], tmm2",
                        "tilestored [{lower} + {pitch} + 64], tmm3",
                        first = in(reg) first,
                        rows = inout(reg) rows => _,
                        next_rows = inout(reg) next_rows => _,
                        columns = inout(reg) columns => _,
                        next_columns = inout(reg) next_columns => _,
                        count = inout(reg) count => _,
                        line = in(reg) STEP,
                        sums = in(reg) sums,
                        lower = in(reg) sums.add(TILE * stride),
                        pitch = in(reg) stride * size_of::<u32>(),
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack)
                    );
                }
            }
        }
    }

    /// Rows whose sums are kept in registers at a time.
    const GROUP: usize = 8;

    /// # Safety
    ///
    /// As [`amx`], but that the machine must have the features named.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
    pub(super) unsafe fn vnni(product: &Product<'_>, out: &mut [u32]) {
        let Product { steps, panels, stride, .. } = *product;
        for first in (0..steps).step_by(STEPS) {
            let count = STEPS.min(steps - first);
            for panel in (0..panels).step_by(2) {
                let [rows, next_rows, columns, next_columns] = product.tiles(first, panel);
                for group in 0..ROWS / GROUP {
                    let half = TILE / GROUP;
                    let rows = if group < half { rows } else { next_rows };
                    let row = group % half * GROUP;
                    let mut sums = [[_mm512_setzero_si512(); 2]; GROUP];
                    for quad in 0..count * TILE {
                        // SAFETY: `count` tiles of 16 lines follow each pointer; a line is a
                        // register, and of a row 16 quads.
                        unsafe {
                            let columns = [columns, next_columns]
                                .map(|at| _mm512_load_si512(at.add(quad).cast()));
                            let of_step = rows.add(quad / TILE * TILE + row);
                            for (line, sums) in sums.iter_mut().enumerate() {
                                let values = _mm512_set1_epi32(
                                    *of_step.add(line).cast::<i32>().add(quad % TILE),
                                );
                                for (sum, column) in sums.iter_mut().zip(columns) {
                                    *sum = _mm512_dpbusd_epi32(*sum, values, column);
                                }
                            }
                        }
                    }
                    for (line, sums) in sums.into_iter().enumerate() {
                        let out =
                            &mut out[(group * GROUP + line) * stride + panel * TILE..][..2 * TILE];
                        for (out, mut sum) in out.as_chunks_mut::<TILE>().0.iter_mut().zip(sums) {
                            // SAFETY: 16 sums are a register.
                            unsafe {
                                if first > 0 {
                                    sum = _mm512_add_epi32(
                                        sum,
                                        _mm512_loadu_si512(out.as_ptr().cast()),
                                    );
                                }
                                _mm512_storeu_si512(out.as_mut_ptr().cast(), sum);
                            }
                        }
                    }
                }
            }
        }
    }
}
