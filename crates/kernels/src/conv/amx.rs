//! Products of bf16 matrices in AMX tiles, summed in f32.
//!
//! A tile is a register of 16 rows of 64 bytes. One instruction multiplies a tile of 16 rows by 32
//! values with a tile of 32 values by 16 columns, and adds to a tile of 16 × 16 sums:
//!
//! ```text
//! for each block of 32 columns:
//!     for each pair of strips (2 × 16 rows):
//!         sums = 32 × 32 zeros
//!         for each segment of the kernel, and each step (32 values) of it:
//!             sums += rows[pair, segment, step] · columns[block, segment, step]
//!         finish the sums: round, store, normalise …
//! ```
//!
//! 1. **Two strips are multiplied with two tiles of columns** at a time. This takes four products
//!    for four loads, and uses all eight tiles of the processor.
//! 2. **Sums are finished one pair late**, while the tiles multiply the next pair, so that the
//!    processor can do both at once ([`product`]).
//! 3. **Columns that overflow the first-level cache are multiplied in passes** ([`Steps`]). A pass
//!    takes some steps of every segment for many pairs of strips, and the next pass takes the next
//!    steps. The sums are kept between passes. During a pass, the columns of the next pass are
//!    prefetched.
//! 4. **The gradient of the weights** is the same product, but summed over output positions
//!    ([`outer_product`]).

use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;

use half::bf16;

use super::frame::{BLOCK, STEP, STRIP, StripPair};
use crate::buffer::Buffer;
use crate::norm::{Channels, Moments};
use crate::tiles::Tiles;

/// Number of steps of positions that are added to every sum of a weights' gradient before any sum
/// takes further steps: few enough that the factors stay in the first-level cache.
const CACHED_STEPS: usize = 8;

/// Maximum number of pairs of strips whose sums are kept between passes. More sums would not stay
/// in the second-level cache.
const KEPT_PAIRS: usize = 64;

/// Number of values of a tile.
pub(super) const TILE: usize = STRIP * STEP;

/// 32 rows (two strips, or a block of channels) of 32 sums (a block of columns).
pub(super) type Sums = [[f32; BLOCK]; BLOCK];

/// Two places for sums, which consecutive pairs of strips use alternately.
#[repr(C, align(64))]
struct AlternatingSums([Sums; 2]);

/// Views values as whole blocks of sums.
pub(super) fn sums_mut(values: &mut [f32]) -> &mut [Sums] {
    values.as_chunks_mut::<BLOCK>().0.as_chunks_mut::<BLOCK>().0
}

/// The order in which a row's steps are multiplied. If the steps' columns stay in the first-level
/// cache from one pair of strips to the next, all steps are multiplied in one pass. Otherwise there
/// are several passes, each with a few steps of every segment.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    /// Number of segments of the kernel.
    segments: usize,
    /// Number of steps per segment.
    per_segment: usize,
    /// Number of steps per segment in a pass.
    per_pass: usize,
}

impl Steps {
    /// Maximum total number of steps whose columns, 2 KiB per step, stay in the first-level cache,
    /// together with the rows, from one pair of strips to the next.
    const CACHED: usize = 18;

    /// Number of steps per pass if there are more than `CACHED` steps. The columns of a pass then
    /// take half of the cache.
    const PASS: usize = 12;

    pub(super) fn new(segments: usize, per_segment: usize) -> Self {
        let cached = segments * per_segment <= Self::CACHED;
        let per_pass = if cached { per_segment } else { Self::PASS / segments };
        Self { segments, per_segment, per_pass: per_pass.clamp(1, per_segment.max(1)) }
    }

    /// Returns the steps of a segment that belong to `pass`.
    fn pass_steps(&self, pass: usize) -> Range<usize> {
        pass * self.per_pass..self.per_segment.min((pass + 1) * self.per_pass)
    }

    fn passes(&self) -> usize {
        self.per_segment.div_ceil(self.per_pass).max(1)
    }

    /// Number of steps of all segments.
    pub(super) fn len(&self) -> usize {
        self.segments * self.per_segment
    }

    /// Returns the place, in the order of multiplication, of step `index`, counted over all
    /// segments in order.
    pub(super) fn order(&self, index: usize) -> usize {
        let (segment, step) = (index / self.per_segment, index % self.per_segment);
        let pass = self.pass_steps(step / self.per_pass);
        self.segments * pass.start + segment * pass.len() + step - pass.start
    }
}

/// A product of rows and columns: what every output position sees, multiplied with the weights of
/// every channel.
pub(super) struct Product<'a> {
    /// The rows, as [`Rows`](super::frame::Rows) lays them out.
    pub rows: &'a [bf16],
    /// The strips of `rows`.
    pub strip_pairs: &'a [StripPair],
    /// Distance, in values, from a row to the next.
    pub row_pitch: usize,
    /// Distance from a row's start to the start of each segment of the kernel.
    pub segments: &'a [usize],
    /// The order of the steps.
    pub steps: Steps,
    /// `[blocks, steps, 2, 16 pairs, 16 columns, 2]`.
    pub columns: &'a [bf16],
    /// Number of columns that are channels. Zeros fill up the last block.
    pub channels: usize,
    /// The output pixel of each position.
    pub pixels: &'a [u32],
}

/// The last operation on the sums. `output` is `[pixels, channels]`.
pub(super) enum Finish<'a> {
    /// Store the sums, after adding `added`, if any.
    Store { output: &'a mut [bf16], added: Option<&'a [bf16]> },
    /// Store the sums, and gather their moments before rounding.
    Moments { output: &'a mut [bf16], moments: &'a mut Shifted },
    /// Normalise the sums, add the residual, raise values below the floor to the floor, and store
    /// the result.
    Normalise {
        output: &'a mut [bf16],
        channels: &'a Channels,
        residual: Option<&'a [bf16]>,
        floor: f32,
    },
}

/// Sums for each channel, in whole blocks: the sum of deviations from the first pixel's value, and
/// the sum of the deviations' squares.
///
/// Deviations from a value of the sample lose no digits if the mean is far from zero, and they need
/// only one pass.
pub(super) struct Shifted {
    origin: Vec<f32>,
    sums: Vec<f32>,
    squares: Vec<f32>,
}

impl Shifted {
    pub(super) fn new(channels: usize) -> Self {
        let zeros = vec![0.0; channels.next_multiple_of(BLOCK)];
        Self { origin: zeros.clone(), sums: zeros.clone(), squares: zeros }
    }

    /// Returns the moments, given the number of pixels in the sums.
    pub(super) fn moments(&self, pixels: usize, channels: usize) -> Moments {
        Moments::shifted(
            pixels,
            &self.origin[..channels],
            &self.sums[..channels],
            &self.squares[..channels],
        )
    }
}

impl Finish<'_> {
    /// Finishes the sums of two strips. The second strip's sums begin at row 16, even if the first
    /// strip has fewer positions.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has the named target features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    #[inline]
    unsafe fn finish_pair(
        &mut self,
        channels: usize,
        first_channel: usize,
        pair: &StripPair,
        pixels: &[u32],
        sums: &Sums,
    ) {
        let pixels = &pixels[pair.positions.clone()];
        let begins = pair.positions.start == 0;
        // SAFETY: the caller guarantees the target features.
        unsafe {
            if pair.first_len == STRIP {
                self.finish(channels, first_channel, pixels, begins, sums);
            } else {
                let (first, second) = pixels.split_at(pair.first_len);
                self.finish(channels, first_channel, first, begins, sums);
                self.finish(channels, first_channel, second, false, &sums[STRIP..]);
            }
        }
    }

    /// Finishes the sums of the block of channels that starts at `first_channel`. `sums` has a row
    /// for each of `pixels`. `begins` says whether these are the first pixels of the product.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has the named target features.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    #[inline]
    unsafe fn finish(
        &mut self,
        channels: usize,
        first_channel: usize,
        pixels: &[u32],
        begins: bool,
        sums: &[[f32; BLOCK]],
    ) {
        let lanes = Lanes::new(channels - first_channel);
        let rows = pixels.iter().map(|&pixel| pixel as usize * channels + first_channel).zip(sums);
        // SAFETY: the caller guarantees the target features. `Lanes` limits every access to the
        // channels that exist.
        unsafe {
            match self {
                Self::Store { output, added: None } => {
                    rows.for_each(|(at, sums)| lanes.store(output, at, narrow(Pair::load(sums))));
                }
                Self::Store { output, added: Some(added) } => rows.for_each(|(at, sums)| {
                    // Both summands are rounded before they are added, so that the result does not
                    // depend on which summand was computed first.
                    let sums = widen(narrow(Pair::load(sums)));
                    lanes.store(output, at, narrow(sums.add(lanes.load(added, at))));
                }),
                Self::Moments { output, moments } => {
                    fn block(values: &mut [f32], first: usize) -> &mut [f32; BLOCK] {
                        values[first..].first_chunk_mut().expect("whole blocks")
                    }
                    let origin = block(&mut moments.origin, first_channel);
                    if begins {
                        *origin = sums[0];
                    }
                    let origin = Pair::load(origin);
                    let deviations = block(&mut moments.sums, first_channel);
                    let squares = block(&mut moments.squares, first_channel);
                    let [mut a, mut b] = [&*deviations, &*squares].map(|values| Pair::load(values));
                    for (at, sums) in rows {
                        let sums = Pair::load(sums);
                        let deviation = sums.subtract(origin);
                        a = a.add(deviation);
                        b = deviation.multiply_add(deviation, b);
                        lanes.store(output, at, narrow(sums));
                    }
                    a.store(deviations);
                    b.store(squares);
                }
                Self::Normalise { output, channels, residual, floor } => {
                    let [mean, scale, shift] =
                        channels.block(first_channel).map(|values| Pair::load(values));
                    for (at, sums) in rows {
                        let mut values = Pair::load(sums).subtract(mean).multiply_add(scale, shift);
                        if let Some(residual) = residual {
                            values = values.add(lanes.load(residual, at));
                        }
                        lanes.store(output, at, narrow(values.raise_to(*floor)));
                    }
                }
            }
        }
    }
}

/// The lanes of a block that are channels. In the last block, some lanes may not be channels.
#[derive(Clone, Copy)]
struct Lanes {
    count: usize,
    mask: __mmask32,
}

impl Lanes {
    fn new(channels: usize) -> Self {
        let count = channels.min(BLOCK);
        Self { count, mask: if count == BLOCK { !0 } else { (1 << count) - 1 } }
    }

    /// Loads the channels' values from `index` on, and zeros in the other lanes.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has the named target features.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn load(self, values: &[bf16], index: usize) -> Pair {
        let values = &values[index..index + self.count];
        // SAFETY: the mask stays within the slice.
        unsafe { widen(_mm512_maskz_loadu_epi16(self.mask, values.as_ptr().cast())) }
    }

    /// Stores the channels' values from `index` on.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has the named target features.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn store(self, output: &mut [bf16], index: usize, values: __m512i) {
        let output = &mut output[index..index + self.count];
        // SAFETY: the mask stays within the slice.
        unsafe { _mm512_mask_storeu_epi16(output.as_mut_ptr().cast(), self.mask, values) };
    }
}

/// A block of values, in two registers.
#[derive(Clone, Copy)]
struct Pair(__m512, __m512);

/// # Safety
///
/// For every function:
///
/// - The caller must run this only on a machine that has the named target features.
#[allow(clippy::missing_safety_doc, reason = "said once for all")]
impl Pair {
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn load(values: &[f32; BLOCK]) -> Self {
        // SAFETY: both halves are 16 f32.
        unsafe {
            Self(_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_ps(values.as_ptr().add(STRIP)))
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn store(self, values: &mut [f32; BLOCK]) {
        // SAFETY: both halves are 16 f32.
        unsafe {
            _mm512_storeu_ps(values.as_mut_ptr(), self.0);
            _mm512_storeu_ps(values.as_mut_ptr().add(STRIP), self.1);
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn add(self, other: Self) -> Self {
        Self(_mm512_add_ps(self.0, other.0), _mm512_add_ps(self.1, other.1))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn subtract(self, other: Self) -> Self {
        Self(_mm512_sub_ps(self.0, other.0), _mm512_sub_ps(self.1, other.1))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self {
        Self(_mm512_fmadd_ps(self.0, factor.0, sum.0), _mm512_fmadd_ps(self.1, factor.1, sum.1))
    }

    /// Raises values below the floor to the floor, like
    /// [`Vector::raise_to`](crate::isa::Vector::raise_to). If an operand is not a number, or both
    /// operands are zeros, `max` gives its second operand.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn raise_to(self, floor: f32) -> Self {
        let floor = _mm512_set1_ps(floor);
        Self(_mm512_max_ps(floor, self.0), _mm512_max_ps(floor, self.1))
    }
}

/// Rounds to bf16.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
unsafe fn narrow(values: Pair) -> __m512i {
    // SAFETY: both types are 512 bits.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(values.1, values.0)) }
}

/// Widens bf16 to f32. A bf16 is the upper half of the f32.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn widen(values: __m512i) -> Pair {
    let upper = |half| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)));
    Pair(upper(_mm512_castsi512_si256(values)), upper(_mm512_extracti64x4_epi64::<1>(values)))
}

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

/// The operands of [`multiply`] in one pass: two strips and a block of columns.
struct Operands<'a> {
    /// Pointers to the strips' first rows, at the first step of the pass.
    strips: [*const bf16; 2],
    /// Distance, in bytes, from a row to the next.
    row_pitch: usize,
    /// Distance, in values, from a row's start to the start of each segment that is multiplied.
    segments: &'a [usize],
    /// Number of steps per segment.
    steps: usize,
    /// Pointer to two tiles of columns for each step.
    columns: *const bf16,
    /// Pointer to the part of the next pass's columns to prefetch.
    ahead: *const bf16,
}

/// Multiplies two strips with a block of columns.
///
/// - `two_tiles` says whether more than 16 of the block's columns are channels.
/// - `first_pass` starts the sums at zero. Otherwise the products are added to the sums.
/// - `more_passes` says whether other passes follow the first pass, which then prefetches for the
///   next one. Later passes always prefetch.
///
/// # Safety
///
/// - The caller must run this only on a machine that has AMX, with the thread's [`Tiles`]
///   configured.
/// - The caller must guarantee that each strip has 16 rows, `row_pitch` bytes apart, and that each
///   row has 32 · `steps` values from each segment's start on.
/// - The caller must guarantee that two tiles can be read at `columns` for every step of every
///   segment.
#[inline(always)]
unsafe fn multiply(
    operands: &Operands<'_>,
    [two_tiles, first_pass, more_passes]: [bool; 3],
    sums: *mut Sums,
) {
    let &Operands { strips: [first, second], row_pitch, segments, steps, columns, ahead } =
        operands;
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
                sums = in(reg) sums,
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

/// Multiplies rows with columns, and hands the sums to `finish`.
///
/// # Panics
///
/// If a strip, a segment or the columns reach beyond their slices.
///
/// # Safety
///
/// - The caller must run this only on a machine that has AMX for bf16, which comes with the named
///   target features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn product(product: &Product<'_>, finish: &mut Finish<'_>) {
    let Product { rows, strip_pairs, row_pitch, segments, steps, columns, channels, pixels } =
        *product;
    let blocks = channels.div_ceil(BLOCK);
    let block_len = steps.len() * 2 * TILE;
    assert!(columns.len() >= blocks * block_len && segments.len() == steps.segments);
    let furthest = segments
        .iter()
        .max()
        .map_or(0, |last| last + (STRIP - 1) * row_pitch + steps.per_segment * STEP);
    let mut starts = strip_pairs.iter().flat_map(|pair| pair.starts);
    assert!(starts.all(|start| start + furthest <= rows.len()));
    assert!(strip_pairs.iter().all(|pair| pair.positions.len() <= 2 * STRIP));
    assert!(strip_pairs.iter().all(|pair| pair.segments.end <= segments.len()));
    // A pair's sums are finished while the next pair is multiplied, so there is room for the sums
    // of one extra pair of strips. With several passes, up to `KEPT_PAIRS` pairs go through all
    // passes together.
    let passes = steps.passes();
    let (pairs_per_chunk, kept_pairs) = match passes > 1 {
        true => (KEPT_PAIRS, strip_pairs.len().min(KEPT_PAIRS)),
        false => (usize::MAX, 1),
    };
    let mut two = AlternatingSums([[[0.0; BLOCK]; BLOCK]; 2]);
    let mut many = (kept_pairs > 1).then(|| Buffer::any((kept_pairs + 1) * BLOCK * BLOCK));
    let sums = many.as_deref_mut().map_or(&mut two.0[..], sums_mut);
    // The pair that is multiplied but not finished, with its block of columns and the place of its
    // sums.
    let mut unfinished = None::<(usize, &StripPair, usize)>;
    // SAFETY: the caller guarantees AMX.
    let _tiles = unsafe { Tiles::begin() };
    for (block, pairs) in (0..blocks)
        .flat_map(|block| strip_pairs.chunks(pairs_per_chunk).map(move |pairs| (block, pairs)))
    {
        let two_tiles = channels - block * BLOCK > STRIP;
        let free = unfinished.map_or(0, |(_, _, place)| place + 1);
        for pass in 0..passes {
            let range = steps.pass_steps(pass);
            let columns = &columns[block * block_len + steps.segments * range.start * 2 * TILE..];
            for (index, pair) in pairs.iter().enumerate() {
                let place = (free + index) % sums.len();
                let segments = &segments[pair.segments.clone()];
                let columns = columns[pair.segments.start * range.len() * 2 * TILE..].as_ptr();
                // Each pair of strips prefetches its share of the next pass's columns.
                let ahead = columns
                    .wrapping_add(segments.len() * (range.len() * 2 * TILE + index * TILE / 4));
                let operands = Operands {
                    strips: pair.starts.map(|start| rows[start + range.start * STEP..].as_ptr()),
                    row_pitch: row_pitch * size_of::<bf16>(),
                    segments,
                    steps: range.len(),
                    columns,
                    ahead,
                };
                // SAFETY: the tiles are configured. The assertions keep every row of both strips
                // within `rows`. At `columns` there are columns for every step of the segments.
                unsafe {
                    multiply(&operands, [two_tiles, pass == 0, passes > 1], &raw mut sums[place])
                };
                let done = (pass + 1 == passes).then_some((block, pair, place));
                if let Some((block, pair, place)) = std::mem::replace(&mut unfinished, done) {
                    // SAFETY: the caller guarantees the target features.
                    unsafe {
                        finish.finish_pair(channels, block * BLOCK, pair, pixels, &sums[place])
                    };
                }
            }
        }
    }
    if let Some((block, pair, place)) = unfinished {
        // SAFETY: the caller guarantees the target features.
        unsafe { finish.finish_pair(channels, block * BLOCK, pair, pixels, &sums[place]) };
    }
}

/// The gradient of the weights, summed over some positions. For every segment of the kernel, every
/// channel, and every value that the segment sees, the weight's gradient is the sum, over the
/// positions, of the gradient of the output × the input value.
pub(super) struct OuterProduct<'a> {
    /// `[channels, positions]`, with channels in whole blocks and positions in whole steps.
    pub gradient: &'a [bf16],
    /// Distance, in values, from a channel to the next.
    pub gradient_pitch: usize,
    /// The inputs, as [`ImagePairs`](super::frame::ImagePairs) lays them out.
    pub inputs: &'a [bf16],
    /// Distance, in pairs of values, from a position to the next in `inputs`.
    pub input_pitch: usize,
    /// Start in `inputs` of each step of positions, in pairs of values.
    pub steps: &'a [usize],
    /// For each segment, the distance from a position to the start of the segment, in pairs of
    /// values, and the steps that see more than zeros in the segment.
    pub segments: &'a [(usize, Range<usize>)],
    /// Number of blocks of values per segment.
    pub value_blocks: usize,
    /// `[blocks of values, blocks of channels, segments]`.
    pub sums: &'a mut [Sums],
    /// Whether the sums start at zero. Their old values are then ignored.
    pub begins: bool,
}

/// Adds the products to the sums, or starts the sums from the products.
///
/// # Panics
///
/// If steps, segments or channels reach beyond their slices.
///
/// # Safety
///
/// - The caller must run this only on a machine that has AMX for bf16, which comes with the named
///   target features.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn outer_product(product: OuterProduct<'_>) {
    let OuterProduct {
        gradient,
        gradient_pitch,
        inputs,
        input_pitch,
        steps,
        segments,
        value_blocks,
        sums,
        begins,
    } = product;
    if sums.is_empty() {
        return;
    }
    let channel_blocks = sums.len() / (value_blocks * segments.len());
    assert_eq!(sums.len(), value_blocks * channel_blocks * segments.len());
    assert!(steps.len() * STEP <= gradient_pitch);
    assert!((channel_blocks * BLOCK - 1) * gradient_pitch + steps.len() * STEP <= gradient.len());
    let furthest = segments
        .iter()
        .map(|(offset, _)| offset)
        .max()
        .map_or(0, |last| last + (STRIP - 1) * input_pitch + value_blocks * BLOCK);
    assert!(steps.iter().all(|start| 2 * (start + furthest) <= inputs.len()));
    assert!(segments.iter().all(|(_, inside)| inside.end <= steps.len()));
    // SAFETY: the caller guarantees AMX.
    let _tiles = unsafe { Tiles::begin() };
    for start in (0..steps.len()).step_by(CACHED_STEPS) {
        let begins = begins && start == 0;
        let end = steps.len().min(start + CACHED_STEPS);
        for (index, sums) in sums.iter_mut().enumerate() {
            let (offset, inside) = &segments[index % segments.len()];
            let block = index / segments.len();
            let (value, channel) = (block / channel_blocks * BLOCK, block % channel_blocks * BLOCK);
            let from = inside.start.clamp(start, end);
            let to = inside.end.clamp(from, end);
            let first = gradient[channel * gradient_pitch + from * STEP..].as_ptr();
            let second = gradient[(channel + STRIP) * gradient_pitch + from * STEP..].as_ptr();
            let inputs = inputs[2 * (offset + value)..].as_ptr();
            // SAFETY: the assertions guarantee gradients of 32 channels at all steps, and 32 pairs
            // of inputs from `value` on at all positions of these steps. The sums are 32 rows of
            // 128 bytes. Prefetching reads nothing.
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
                    steps = inout(reg) steps[from..].as_ptr() => _,
                    inputs = in(reg) inputs,
                    pitch = in(reg) input_pitch * 2 * size_of::<bf16>(),
                    line = in(reg) gradient_pitch * size_of::<bf16>(),
                    left = inout(reg) to - from => _,
                    sums = in(reg) &raw mut *sums,
                    n = out(reg) _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack)
                );
            }
        }
    }
}
