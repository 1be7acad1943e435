//! Products of bf16 matrices, summed in f32.
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
//! The two innermost loops are written once for AMX ([`Amx`](super::amx::Amx)) and once for AVX-512 ([`Dot`](super::dot::Dot)), as
//! the functions of [`Multiply`]. Both read the same memory.
//!
//! 1. **Sums are finished one pair late**, while the next pair is multiplied, so that the processor
//!    can do both at once ([`product`]).
//! 2. **Columns that overflow the first-level cache are multiplied in passes** ([`Steps`]). A pass
//!    takes some steps of every segment for many pairs of strips, and the next pass takes the next
//!    steps. The sums are kept between passes.
//! 3. **The gradient of the weights** is the same product, but summed over output positions
//!    ([`outer_product`]).

use std::arch::x86_64::*;
use std::ops::Range;

use half::bf16;

use super::frame::{BLOCK, STEP, STRIP, StripPair};
use crate::buffer::Buffer;
use crate::norm::{Channels, Moments};

/// Number of steps of positions that are added to every sum of a weights' gradient before any sum
/// takes further steps: few enough that the factors stay in the first-level cache.
const CACHED_STEPS: usize = 8;

/// Maximum number of pairs of strips whose sums are kept between passes. More sums would not stay
/// in the second-level cache.
const KEPT_PAIRS: usize = 64;

/// Number of values of a tile of columns.
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

/// How an instruction set multiplies: the loops that [`product`] and [`outer_product`] run for every
/// 32 × 32 sums.
///
/// # Safety
///
/// For every function:
///
/// - The caller must run this only on a machine that has the instruction set.
pub(super) trait Multiply {
    /// What a thread holds while it multiplies.
    type Held;

    /// Prepares this thread. The other functions may be called while the result lives.
    unsafe fn begin() -> Self::Held;

    /// Multiplies two strips with a block of columns. The flags are, in order:
    ///
    /// - `two_tiles` says whether more than 16 of the block's columns are channels. Otherwise the
    ///   sums of the other columns may stay as they are.
    /// - `first_pass` starts the sums at zero. Otherwise the products are added to the sums.
    /// - `more_passes` says whether other passes follow the first pass.
    ///
    /// # Safety
    ///
    /// - The caller must guarantee that each strip has 16 rows, `row_pitch` bytes apart, and that
    ///   each row has 32 · `steps` values from each segment's start on.
    /// - The caller must guarantee that two tiles can be read at `columns` for every step of every
    ///   segment.
    unsafe fn multiply(operands: &Operands<'_>, flags: [bool; 3], sums: &mut Sums);

    /// Multiplies the gradients of 32 channels with 32 inputs, and sums over steps of positions.
    /// `begins` starts the sums at zero.
    ///
    /// # Safety
    ///
    /// - The caller must guarantee that 16 channels can be read at each of the two pointers to the
    ///   gradient, `gradient_pitch` bytes apart, with 32 values for every step.
    /// - The caller must guarantee that, from each step's start on, 16 positions can be read at
    ///   `inputs`, `input_pitch` bytes apart, with 32 pairs of values each.
    unsafe fn multiply_positions(operands: &PositionOperands<'_>, begins: bool, sums: &mut Sums);
}

/// The operands of [`Multiply::multiply`] in one pass: two strips and a block of columns.
pub(super) struct Operands<'a> {
    /// Pointers to the strips' first rows, at the first step of the pass.
    pub strips: [*const bf16; 2],
    /// Number of rows of each strip whose sums are used. The other rows can be read too.
    pub used: [usize; 2],
    /// Distance, in bytes, from a row to the next.
    pub row_pitch: usize,
    /// Distance, in values, from a row's start to the start of each segment that is multiplied.
    pub segments: &'a [usize],
    /// Number of steps per segment.
    pub steps: usize,
    /// Pointer to two tiles of columns for each step.
    pub columns: *const bf16,
    /// Pointer to the part of the next pass's columns to prefetch.
    pub ahead: *const bf16,
}

/// The operands of [`Multiply::multiply_positions`].
pub(super) struct PositionOperands<'a> {
    /// Pointers to the gradients of the first 16 channels and of the other 16 channels.
    pub gradient: [*const bf16; 2],
    /// Distance, in bytes, from a channel to the next.
    pub gradient_pitch: usize,
    /// Pointer to the inputs.
    pub inputs: *const bf16,
    /// Distance, in bytes, from a position to the next.
    pub input_pitch: usize,
    /// Distance, in pairs of values, from `inputs` to the first position of each step.
    pub steps: &'a [usize],
}

/// Multiplies rows with columns, and hands the sums to `finish`.
///
/// # Panics
///
/// If a strip, a segment or the columns reach beyond their slices.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the named target features and the
///   instruction set of `M`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn product<M: Multiply>(product: &Product<'_>, finish: &mut Finish<'_>) {
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
    // SAFETY: the caller guarantees the instruction set.
    let _held = unsafe { M::begin() };
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
                    used: [pair.first_len, pair.positions.len() - pair.first_len],
                    row_pitch: row_pitch * size_of::<bf16>(),
                    segments,
                    steps: range.len(),
                    columns,
                    ahead,
                };
                // SAFETY: the thread is prepared. The assertions keep every row of both strips
                // within `rows`. At `columns` there are columns for every step of the segments.
                unsafe {
                    M::multiply(&operands, [two_tiles, pass == 0, passes > 1], &mut sums[place])
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
/// - The caller must run this only on a machine that has the named target features and the
///   instruction set of `M`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn outer_product<M: Multiply>(product: OuterProduct<'_>) {
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
    // SAFETY: the caller guarantees the instruction set.
    let _held = unsafe { M::begin() };
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
            let operands = PositionOperands {
                gradient: [first, second],
                gradient_pitch: gradient_pitch * size_of::<bf16>(),
                inputs,
                input_pitch: input_pitch * 2 * size_of::<bf16>(),
                steps: &steps[from..to],
            };
            // SAFETY: the thread is prepared. The assertions guarantee gradients of 32 channels at
            // all steps, and 32 pairs of inputs from `value` on at all positions of these steps.
            unsafe { M::multiply_positions(&operands, begins, sums) };
        }
    }
}
