//! Products of bytes that are not widened.
//!
//! One instruction multiplies four neighbouring values of a vector and adds the products to a
//! 32-bit sum. AMX does this for tiles of 16 × 16 sums, and AVX-512 VNNI for registers of 16 sums.
//!
//! 1. **A tile of columns** has 16 lines. Each line has four values of every column of a panel. A
//!    tile of rows also has 16 lines, and each line has 64 values of a row.
//! 2. **VNNI reads the same lines**, but treats one factor as signed. This factor is therefore
//!    packed as b − 128, and 128 · Σ a is added afterwards.
//! 3. **Sums wrap at 2³²**, which the true sums do not reach.

use std::ops::Range;

use super::panel::{Line, Products, ROWS, Rows};
use crate::isa::{Isa, Set};

/// Whether this machine, with instruction set `isa`, multiplies bytes.
pub(super) fn is_supported(isa: Isa) -> bool {
    match isa.0 {
        Set::Amx => true,
        Set::Avx512Bf16 | Set::Avx512 => is_x86_feature_detected!("avx512vnni"),
        _ => false,
    }
}

/// Number of values per step, which is one line for each row of a tile.
const STEP: usize = 64;
/// Number of lines per tile.
const TILE: usize = 16;

/// Packs columns, with one tile for each panel and each step of values. The last step is filled up
/// with zeros, and missing columns are zeros.
pub(super) fn pack(
    isa: Isa,
    b: &[u8],
    dim: usize,
    range: Range<usize>,
    panels: usize,
    to: &mut Vec<Line>,
) {
    let flip = if isa.0 == Set::Amx { 0 } else { 0x80 };
    let steps = range.len().div_ceil(STEP);
    to.clear();
    to.resize(panels * steps * TILE, Line([0; 64]));
    for (panel, b) in b.chunks(TILE * dim).enumerate() {
        for step in 0..steps {
            let first = range.start + step * STEP;
            let values = first..range.end.min(first + STEP);
            let lines = (&mut to[(panel * steps + step) * TILE..][..TILE])
                .try_into()
                .expect("a tile of lines");
            if values.len() == STEP && b.len() == TILE * dim {
                // SAFETY: `is_supported` found AVX-512 (or AMX, which includes AVX-512). There are
                // 16 vectors of `dim` bytes, and each has 64 values from `values.start` on.
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

/// Packs rows in two tiles for each step. The last step is filled up with zeros.
fn pack_rows(rows: &Rows<'_>, packed: &mut Vec<Line>) {
    let steps = rows.range.len().div_ceil(STEP);
    // If there are fewer rows than before, lines of earlier rows remain, and their products are not
    // read. The lines of the present rows are overwritten completely.
    packed.resize(ROWS * steps, Line([0; 64]));
    for (row, from) in rows.vectors.chunks_exact(rows.dim).enumerate() {
        let from = &from[rows.range.clone()];
        let lines = packed[row / TILE * steps * TILE + row % TILE..].iter_mut().step_by(TILE);
        let (full, rest) = from.as_chunks::<STEP>();
        let rest = (!rest.is_empty()).then(|| {
            let mut line = [0; STEP];
            line[..rest.len()].copy_from_slice(rest);
            line
        });
        for (line, &values) in lines.zip(full.iter().chain(&rest)) {
            *line = Line(values);
        }
    }
}

/// Writes the products of `rows` with packed columns. `packed` is memory for the packed rows.
pub(super) fn multiply(
    isa: Isa,
    rows: Rows<'_>,
    packed: &mut Vec<Line>,
    columns: &[Line],
    products: Products<'_>,
) {
    let Products { panels, stride, out } = products;
    let steps = rows.range.len().div_ceil(STEP);
    pack_rows(&rows, packed);
    let product = x86::Product { rows: packed, columns, steps, panels, stride };
    assert!(
        packed.len() == 2 * steps * TILE && columns.len() >= panels * steps * TILE,
        "whole tiles"
    );
    assert!(
        panels.is_multiple_of(2) && stride >= panels * TILE && out.len() == ROWS * stride,
        "a place for every product"
    );
    if isa.0 == Set::Amx {
        // SAFETY: a value of this set exists only if the machine has AMX and the system grants AMX
        // to the process. The lengths were asserted.
        unsafe { x86::amx(&product, out) };
    } else {
        // SAFETY: `is_supported` found VNNI. The lengths were asserted.
        unsafe { x86::vnni(&product, out) };
        for (out, row) in out.chunks_exact_mut(stride).zip(rows.vectors.chunks_exact(rows.dim)) {
            let values = &row[rows.range.clone()];
            let shift = values.iter().map(|&value| u32::from(value)).sum::<u32>() * 128;
            out[..panels * TILE].iter_mut().for_each(|out| *out = out.wrapping_add(shift));
        }
    }
}

mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::*;

    use super::super::panel::SECTION;
    use super::{Line, ROWS, STEP, TILE};
    use crate::tiles::{Tiles, transposed};

    /// Number of steps per section.
    const SECTION_STEPS: usize = SECTION / STEP;

    /// The factors of a product: two tiles of rows and `panels` panels of columns for each of
    /// `steps` steps. Rows of products are `stride` apart.
    pub(super) struct Product<'a> {
        pub(super) rows: &'a [Line],
        pub(super) columns: &'a [Line],
        pub(super) steps: usize,
        pub(super) panels: usize,
        pub(super) stride: usize,
    }

    impl Product<'_> {
        /// Returns the four tiles at a step: two tiles of rows, and a tile of columns of each of
        /// the two panels that start at `panel`.
        fn tiles(&self, step: usize, panel: usize) -> [*const Line; 4] {
            let rows = [0, self.steps].map(|tile| self.rows[(tile + step) * TILE..].as_ptr());
            let columns =
                [0, 1].map(|at| self.columns[((panel + at) * self.steps + step) * TILE..].as_ptr());
            [rows[0], rows[1], columns[0], columns[1]]
        }
    }

    /// Packs 64 values of each of 16 vectors into 16 lines, each with four values of every vector.
    /// This is the transpose of a matrix of 16 × 16 words. The bits of `flip` are flipped in each
    /// byte.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has the named target features.
    /// - The caller must guarantee that 64 bytes can be read at `from` and at the 15 vectors that
    ///   follow, `dim` bytes apart.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) unsafe fn transpose(from: *const u8, dim: usize, flip: u8, to: &mut [Line; TILE]) {
        let flip = _mm512_set1_epi8(flip.cast_signed());
        let lines = transposed(std::array::from_fn(|row| {
            // SAFETY: the caller guarantees 64 bytes of each vector.
            _mm512_xor_si512(unsafe { _mm512_loadu_si512(from.add(row * dim).cast()) }, flip)
        }));
        for (to, line) in to.iter_mut().zip(lines) {
            // SAFETY: a line is an aligned register.
            unsafe { _mm512_store_si512(to.0.as_mut_ptr().cast(), line) };
        }
    }

    /// Multiplies in tiles.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AMX for bytes, and in a process to
    ///   which the system grants AMX.
    /// - `rows` must hold two tiles for every step, and `columns` must hold a tile for every step
    ///   of every panel.
    /// - `panels` must be even.
    /// - `out` must hold 32 rows of `stride` products, and `stride` must be at least the number of
    ///   columns of all panels.
    pub(super) unsafe fn amx(product: &Product<'_>, out: &mut [u32]) {
        let Product { steps, panels, stride, .. } = *product;
        // SAFETY: the caller guarantees AMX.
        let _tiles = unsafe { Tiles::begin() };
        for first in (0..steps).step_by(SECTION_STEPS) {
            let count = SECTION_STEPS.min(steps - first);
            for panel in (0..panels).step_by(2) {
                let [rows, next_rows, columns, next_columns] = product.tiles(first, panel);
                let sums = out[panel * TILE..].as_mut_ptr();
                // SAFETY: `count` tiles of 1,024 bytes follow each pointer to tiles. 32 rows of 32
                // sums, `pitch` bytes apart, follow `sums` within `out`.
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

    /// Number of rows whose sums are kept in registers at a time.
    const GROUP: usize = 8;

    /// Multiplies in registers.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has the named target features.
    /// - The lengths must be those that [`amx`] requires.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
    pub(super) unsafe fn vnni(product: &Product<'_>, out: &mut [u32]) {
        let Product { steps, panels, stride, .. } = *product;
        for first in (0..steps).step_by(SECTION_STEPS) {
            let count = SECTION_STEPS.min(steps - first);
            for panel in (0..panels).step_by(2) {
                let [rows, next_rows, columns, next_columns] = product.tiles(first, panel);
                for group in 0..ROWS / GROUP {
                    let half = TILE / GROUP;
                    let rows = if group < half { rows } else { next_rows };
                    let row = group % half * GROUP;
                    let mut sums = [[_mm512_setzero_si512(); 2]; GROUP];
                    for quad in 0..count * TILE {
                        // SAFETY: `count` tiles of 16 lines follow each pointer. A line is an
                        // aligned register, and holds 16 quads of a row.
                        unsafe {
                            let columns = [columns, next_columns]
                                .map(|at| _mm512_load_si512(at.add(quad).cast()));
                            let lines = rows.add(quad / TILE * TILE + row);
                            for (line, sums) in sums.iter_mut().enumerate() {
                                let values = _mm512_set1_epi32(
                                    *lines.add(line).cast::<i32>().add(quad % TILE),
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
