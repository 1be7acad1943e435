//! Products of bf16 in AMX tiles.
//!
//! A tile is a register of 16 rows of 64 bytes. One instruction multiplies a tile of 16 rows by 32
//! values with a tile of 32 values by 16 columns, and adds to a tile of 16 × 16 sums.
//!
//! 1. **Two strips are multiplied with two tiles of columns** at a time. This takes four products
//!    for four loads, and uses all eight tiles of the processor.
//! 2. **Columns of the next pass are prefetched**, and so are the sums of the next pair of strips.

use std::arch::asm;

use super::product::{Multiply, Operands, PositionOperands, Sums};
use crate::tiles::Tiles;

/// Multiplies in tiles.
pub(super) enum Amx {}

// The macros below are assembler text. Their argument, `1` or `2`, is the number of tiles of
// columns in a block. A block has one tile if its channels fill no more than 16 lanes.

/// An instruction for the second tile of columns, or nothing if there is only one tile.
macro_rules! second {
    (1, $instruction:literal) => {
        ""
    };
    (2, $instruction:literal) => {
        $instruction
    };
}

/// Sets the sums to zero.
macro_rules! zero {
    (1) => {
        "tilezero tmm0\n tilezero tmm2"
    };
    (2) => {
        "tilezero tmm0\n tilezero tmm1\n tilezero tmm2\n tilezero tmm3"
    };
}

/// Loads the sums so far. `n` must hold 128, the distance in bytes from a row of sums to the next.
macro_rules! load {
    (1) => {
        "tileloadd tmm0, [{sums} + {n}]\n tileloadd tmm2, [{sums} + {n} + 2048]"
    };
    (2) => {
        concat!(
            "tileloadd tmm0, [{sums} + {n}]\n tileloadd tmm2, [{sums} + {n} + 2048]\n",
            "tileloadd tmm1, [{sums} + {n} + 64]\n tileloadd tmm3, [{sums} + {n} + 2112]"
        )
    };
}

/// Stores the sums. Sets `n` to 128, the distance in bytes from a row of sums to the next.
macro_rules! store {
    (1) => {
        "mov {n}, 128\n tilestored [{sums} + {n}], tmm0\n tilestored [{sums} + {n} + 2048], tmm2"
    };
    (2) => {
        concat!(
            store!(1),
            "\n tilestored [{sums} + {n} + 64], tmm1\n tilestored [{sums} + {n} + 2112], tmm3"
        )
    };
}

/// Prefetches 8 cache lines of the sums that follow. `left` counts down, so the last lines are
/// prefetched first. `n` must hold 256 · `left`.
macro_rules! prefetch_sums {
    () => {
        concat!(
            "lea {n}, [{sums} + 2 * {n} + 3584]\n",
            "prefetcht0 [{n}]\n prefetcht0 [{n} + 64]\n prefetcht0 [{n} + 128]\n prefetcht0 [{n} \
             + 192]\n",
            "prefetcht0 [{n} + 256]\n prefetcht0 [{n} + 320]\n prefetcht0 [{n} + 384]\n \
             prefetcht0 [{n} + 448]"
        )
    };
}

/// Prefetches, for each segment, 4 cache lines of the next pass's columns and 8 cache lines of the
/// next pair's sums.
macro_rules! prefetch {
    () => {
        concat!(
            "mov {n}, {left}\n shl {n}, 8\n",
            "prefetcht1 [{ahead} + {n} - 256]\n prefetcht1 [{ahead} + {n} - 192]\n",
            "prefetcht1 [{ahead} + {n} - 128]\n prefetcht1 [{ahead} + {n} - 64]\n",
            prefetch_sums!()
        )
    };
}

/// Prefetches nothing. The operand must be named nevertheless.
macro_rules! no_prefetch {
    () => {
        "/* {ahead} */"
    };
}

impl Multiply for Amx {
    type Held = Tiles;

    #[inline(always)]
    unsafe fn begin() -> Tiles {
        // SAFETY: the caller guarantees AMX.
        unsafe { Tiles::begin() }
    }

    /// If there are more passes, the first pass prefetches for the next one. Later passes always
    /// prefetch.
    #[inline(always)]
    unsafe fn multiply(
        operands: &Operands<'_>,
        [two_tiles, first_pass, more_passes]: [bool; 3],
        sums: &mut Sums,
    ) {
        let &Operands {
            strips: [first, second], row_pitch, segments, steps, columns, ahead, ..
        } = operands;
        macro_rules! multiply {
            ($tiles:tt, $begin:ident, $prefetch:ident) => {
                asm!(
                    "mov {n}, 128",
                    $begin!($tiles),
                    "test {left}, {left}",
                    "jz 4f",
                    "2:",
                    $prefetch!(),
                    "mov {p}, [{segments}]",
                    "lea {q}, [{second} + 2 * {p}]",
                    "lea {p}, [{first} + 2 * {p}]",
                    "mov {n}, {steps}",
                    "3:",
                    "tileloadd tmm4, [{p} + {pitch}]",
                    "tileloadd tmm6, [{columns} + {line}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    second!($tiles, "tileloadd tmm7, [{columns} + {line} + 1024]"),
                    second!($tiles, "tdpbf16ps tmm1, tmm4, tmm7"),
                    "tileloadd tmm5, [{q} + {pitch}]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    second!($tiles, "tdpbf16ps tmm3, tmm5, tmm7"),
                    "add {p}, 64",
                    "add {q}, 64",
                    "add {columns}, 2048",
                    "dec {n}",
                    "jnz 3b",
                    "add {segments}, 8",
                    "dec {left}",
                    "jnz 2b",
                    "4:",
                    store!($tiles),
                    first = in(reg) first,
                    second = in(reg) second,
                    segments = inout(reg) segments.as_ptr() => _,
                    left = inout(reg) if steps == 0 { 0 } else { segments.len() } => _,
                    steps = in(reg) steps,
                    pitch = in(reg) row_pitch,
                    columns = inout(reg) columns => _,
                    ahead = in(reg) ahead,
                    line = in(reg) 64usize,
                    sums = in(reg) &raw mut *sums,
                    p = out(reg) _,
                    q = out(reg) _,
                    n = out(reg) _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack)
                )
            };
        }
        // SAFETY: the caller guarantees the rows and columns that are read. The sums are 32 rows of 128
        // bytes. Prefetching reads nothing.
        unsafe {
            match (two_tiles, first_pass, more_passes) {
                (false, true, false) => multiply!(1, zero, no_prefetch),
                (false, true, true) => multiply!(1, zero, prefetch),
                (false, false, _) => multiply!(1, load, prefetch),
                (true, true, false) => multiply!(2, zero, no_prefetch),
                (true, true, true) => multiply!(2, zero, prefetch),
                (true, false, _) => multiply!(2, load, prefetch),
            }
        }
    }

    #[inline(always)]
    unsafe fn multiply_positions(operands: &PositionOperands<'_>, begins: bool, sums: &mut Sums) {
        let &PositionOperands {
            gradient: [first, second],
            gradient_pitch,
            inputs,
            input_pitch,
            steps,
        } = operands;
        // SAFETY: the caller guarantees the gradients and inputs that are read. The sums are 32
        // rows of 128 bytes. Prefetching reads nothing.
        unsafe {
            asm!(
                "mov {n}, 128",
                "test {begins}, {begins}",
                "jnz 3f",
                load!(2),
                "jmp 2f",
                "3:",
                zero!(2),
                "2:",
                "test {left}, {left}",
                "jz 4f",
                "5:",
                "mov {n}, {left}",
                "shl {n}, 8",
                prefetch_sums!(),
                "mov {n}, [{steps}]",
                "lea {n}, [{inputs} + 4 * {n}]",
                "tileloadd tmm4, [{first} + {line}]",
                "tileloadd tmm6, [{n} + {pitch}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{n} + {pitch} + 64]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{second} + {line}]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {first}, 64",
                "add {second}, 64",
                "add {steps}, 8",
                "dec {left}",
                "jnz 5b",
                "4:",
                store!(2),
                begins = in(reg) usize::from(begins),
                first = inout(reg) first => _,
                second = inout(reg) second => _,
                steps = inout(reg) steps.as_ptr() => _,
                inputs = in(reg) inputs,
                pitch = in(reg) input_pitch,
                line = in(reg) gradient_pitch,
                left = inout(reg) steps.len() => _,
                sums = in(reg) &raw mut *sums,
                n = out(reg) _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack)
            );
        }
    }
}
