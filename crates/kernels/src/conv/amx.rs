//! Products of bf16 matrices in AMX tiles: 16 rows of 32 values times 16 columns, summed in f32.

use std::arch::asm;
use std::arch::x86_64::*;
use std::ops::Range;

use half::bf16;

use super::frame::{BLOCK, STEP, STRIP, Two};
use crate::buffer::Buffer;
use crate::norm::{Channels, Moments};
use crate::tiles::Tiles;

/// Steps of positions that a gradient of weights is summed over at a time.
const STRETCH: usize = 8;

/// Pairs of strips whose sums are kept from turn to turn: more would not stay in the second-level
/// cache.
const KEPT: usize = 64;

/// Values of a tile.
pub(super) const TILE: usize = STRIP * STEP;

/// Sums of two strips of rows, or a block of channels, and a block of columns.
pub(super) type Sums = [[f32; BLOCK]; BLOCK];

/// Those that are taken in turn.
#[repr(C, align(64))]
struct Both([Sums; 2]);

/// Values as sums, as far as they are whole.
pub(super) fn sums_mut(values: &mut [f32]) -> &mut [Sums] {
    values.as_chunks_mut::<BLOCK>().0.as_chunks_mut::<BLOCK>().0
}

/// Steps that are multiplied one after the other, of rows that lie evenly apart: all of them, or,
/// where their columns would not stay in the first-level cache from one pair of strips to the next,
/// so many of each part of the kernel before those that follow.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    /// Parts of the kernel.
    parts: usize,
    /// Steps of each.
    each: usize,
    /// How many of them at a time.
    chunk: usize,
}

impl Steps {
    /// Steps whose columns, 2 KiB each, the first-level cache holds from one pair of strips to the
    /// next, with the rows.
    const FEW: usize = 18;

    /// Steps at a time of more: half of the cache for their columns.
    const CHUNK: usize = 12;

    pub(super) fn new(parts: usize, each: usize) -> Self {
        let chunk = if parts * each <= Self::FEW { each } else { Self::CHUNK / parts };
        Self { parts, each, chunk: chunk.clamp(1, each.max(1)) }
    }

    /// Those of a part that are taken in turn `turn`.
    fn of_turn(&self, turn: usize) -> Range<usize> {
        turn * self.chunk..self.each.min((turn + 1) * self.chunk)
    }

    fn turns(&self) -> usize {
        self.each.div_ceil(self.chunk).max(1)
    }

    pub(super) fn len(&self) -> usize {
        self.parts * self.each
    }

    /// When it is the turn of the step that is number `at` of those of all parts.
    pub(super) fn place(&self, at: usize) -> usize {
        let (part, at) = (at / self.each, at % self.each);
        let turn = self.of_turn(at / self.chunk);
        self.parts * turn.start + part * turn.len() + at - turn.start
    }
}

/// Rows times columns: every pixel of the strips with every channel.
pub(super) struct Product<'a> {
    /// The rows, as `frame::Rows` lays them out.
    pub rows: &'a [bf16],
    /// The strips.
    pub twos: &'a [Two],
    /// From a row to the next.
    pub step: usize,
    /// How far from a row each part of the kernel begins.
    pub parts: &'a [usize],
    pub steps: Steps,
    /// `[blocks, steps, 2, 16 pairs, 16 columns, 2]`.
    pub columns: &'a [bf16],
    pub channels: usize,
    /// Which pixel of the output each row is.
    pub targets: &'a [u32],
}

/// What becomes of the sums: `output` is `[pixels, channels]`.
pub(super) enum Finish<'a> {
    /// What is added to them, if anything is, they are stored with.
    Store { output: &'a mut [bf16], added: Option<&'a [bf16]> },
    /// They are stored, and their moments taken before they are rounded.
    Moments { output: &'a mut [bf16], moments: &'a mut Shifted },
    /// They are normalised, a residual is added, and what is below the floor is cut off.
    Normalise {
        output: &'a mut [bf16],
        channels: &'a Channels,
        residual: Option<&'a [bf16]>,
        floor: f32,
    },
}

/// Sums of deviations from a pixel's values, and of their squares, a value a channel in whole
/// blocks.
///
/// Deviations from a value of the sample lose no digits to a mean far from zero, and take one pass.
pub(super) struct Shifted {
    from: Vec<f32>,
    sums: Vec<f32>,
    squares: Vec<f32>,
}

impl Shifted {
    pub(super) fn new(channels: usize) -> Self {
        let zeros = vec![0.0; channels.next_multiple_of(BLOCK)];
        Self { from: zeros.clone(), sums: zeros.clone(), squares: zeros }
    }

    /// The moments of `count` pixels.
    pub(super) fn moments(&self, count: usize, channels: usize) -> Moments {
        Moments::shifted(
            count,
            &self.from[..channels],
            &self.sums[..channels],
            &self.squares[..channels],
        )
    }
}

impl Finish<'_> {
    /// [Takes](Self::take) the sums of two strips. Those of the second follow 16 rows, however few
    /// the first one has.
    ///
    /// # Safety
    ///
    /// As [`Self::take`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    #[inline]
    unsafe fn take_two(
        &mut self,
        channels: usize,
        first: usize,
        two: &Two,
        targets: &[u32],
        sums: &Sums,
    ) {
        let targets = &targets[two.targets.clone()];
        let start = two.targets.start == 0;
        // SAFETY: as the caller vouches.
        unsafe {
            if two.first == STRIP {
                self.take(channels, first, targets, start, sums);
            } else {
                let (one, other) = targets.split_at(two.first);
                self.take(channels, first, one, start, sums);
                self.take(channels, first, other, false, &sums[STRIP..]);
            }
        }
    }

    /// Takes the sums of a block of channels from `first` on, of the pixels at `targets`; `start`
    /// says that no pixels came before.
    ///
    /// # Safety
    ///
    /// The machine has the features named.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    #[inline]
    unsafe fn take(
        &mut self,
        channels: usize,
        first: usize,
        targets: &[u32],
        start: bool,
        sums: &[[f32; BLOCK]],
    ) {
        let lanes = Lanes::new(channels - first);
        let rows = targets.iter().map(|&target| target as usize * channels + first).zip(sums);
        // SAFETY: as the caller vouches; `Lanes` keep to the channels there are.
        unsafe {
            match self {
                Self::Store { output, added: None } => {
                    rows.for_each(|(at, sums)| lanes.store(output, at, narrow(Pair::load(sums))));
                }
                Self::Store { output, added: Some(added) } => rows.for_each(|(at, sums)| {
                    // Rounded before, too, so that it is the same whichever of two parts comes
                    // first.
                    let sums = widen(narrow(Pair::load(sums)));
                    lanes.store(output, at, narrow(sums.add(lanes.load(added, at))));
                }),
                Self::Moments { output, moments } => {
                    fn block(values: &mut [f32], first: usize) -> &mut [f32; BLOCK] {
                        values[first..].first_chunk_mut().expect("whole blocks")
                    }
                    let from = block(&mut moments.from, first);
                    if start {
                        *from = sums[0];
                    }
                    let from = Pair::load(from);
                    let (all, squares) =
                        (block(&mut moments.sums, first), block(&mut moments.squares, first));
                    let [mut a, mut b] = [&*all, &*squares].map(|values| Pair::load(values));
                    for (at, sums) in rows {
                        let sums = Pair::load(sums);
                        let deviation = sums.subtract(from);
                        a = a.add(deviation);
                        b = deviation.multiply_add(deviation, b);
                        lanes.store(output, at, narrow(sums));
                    }
                    a.put(all);
                    b.put(squares);
                }
                Self::Normalise { output, channels: of, residual, floor } => {
                    let [mean, scale, shift] = of.block(first).map(|values| Pair::load(values));
                    for (at, sums) in rows {
                        let mut values = Pair::load(sums).subtract(mean).multiply_add(scale, shift);
                        if let Some(residual) = residual {
                            values = values.add(lanes.load(residual, at));
                        }
                        lanes.store(output, at, narrow(values.cut(*floor)));
                    }
                }
            }
        }
    }
}

/// The channels of a block that there are.
#[derive(Clone, Copy)]
struct Lanes {
    count: usize,
    mask: __mmask32,
}

impl Lanes {
    fn new(count: usize) -> Self {
        let count = count.min(BLOCK);
        Self { count, mask: if count == BLOCK { !0 } else { (1 << count) - 1 } }
    }

    /// The values from `at` on, and zeros where there are no channels.
    ///
    /// # Safety
    ///
    /// The machine has the features named.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn load(self, values: &[bf16], at: usize) -> Pair {
        let values = &values[at..at + self.count];
        // SAFETY: the mask keeps to the slice.
        unsafe { widen(_mm512_maskz_loadu_epi16(self.mask, values.as_ptr().cast())) }
    }

    /// Stores the channels there are.
    ///
    /// # Safety
    ///
    /// The machine has the features named.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    unsafe fn store(self, output: &mut [bf16], at: usize, values: __m512i) {
        let output = &mut output[at..at + self.count];
        // SAFETY: the mask keeps to the slice.
        unsafe { _mm512_mask_storeu_epi16(output.as_mut_ptr().cast(), self.mask, values) };
    }
}

/// A block of values, in two registers.
#[derive(Clone, Copy)]
struct Pair(__m512, __m512);

/// Every function needs a machine with the features named.
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
    unsafe fn put(self, values: &mut [f32; BLOCK]) {
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
    unsafe fn multiply_add(self, by: Self, add: Self) -> Self {
        Self(_mm512_fmadd_ps(self.0, by.0, add.0), _mm512_fmadd_ps(self.1, by.1, add.1))
    }

    /// As [`Vector::cut`](crate::isa::Vector::cut): of two operands `max` gives the second where it
    /// is not a number, and where both are zeros.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn cut(self, floor: f32) -> Self {
        let floor = _mm512_set1_ps(floor);
        Self(_mm512_max_ps(floor, self.0), _mm512_max_ps(floor, self.1))
    }
}

/// Rounds to bf16.
///
/// # Safety
///
/// The machine has the features named.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
unsafe fn narrow(values: Pair) -> __m512i {
    // SAFETY: both are 512 bits.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(values.1, values.0)) }
}

/// bf16 as f32: its upper half.
///
/// # Safety
///
/// The machine has the features named.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn widen(values: __m512i) -> Pair {
    let upper = |half| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)));
    Pair(upper(_mm512_castsi512_si256(values)), upper(_mm512_extracti64x4_epi64::<1>(values)))
}

/// An instruction for the second of two tiles of columns; none where there is one only.
macro_rules! of_two {
    (1, $instruction:literal) => {
        ""
    };
    (2, $instruction:literal) => {
        $instruction
    };
}

/// Begins the sums.
macro_rules! zero {
    (1) => {
        "tilezero tmm0\n tilezero tmm2"
    };
    (2) => {
        "tilezero tmm0\n tilezero tmm1\n tilezero tmm2\n tilezero tmm3"
    };
}

/// Takes the sums up again; `n` is from a row to the next.
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

/// Stores the sums; `n` becomes what is from a row to the next.
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

/// Brings 8 lines of the sums that follow nearer, of the last ones first as `left` comes down to 1;
/// `n` is 256 · `left`.
macro_rules! sums_ahead {
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

/// Brings nearer, for each part of the kernel, 4 lines of the next turn's columns and 8 of the next
/// strips' sums.
macro_rules! ahead {
    () => {
        concat!(
            "mov {n}, {left}\n shl {n}, 8\n",
            "prefetcht1 [{ahead} + {n} - 256]\n prefetcht1 [{ahead} + {n} - 192]\n",
            "prefetcht1 [{ahead} + {n} - 128]\n prefetcht1 [{ahead} + {n} - 64]\n",
            sums_ahead!()
        )
    };
}

/// Brings nothing nearer; the operand must be named all the same.
macro_rules! nothing_ahead {
    () => {
        "/* {ahead} */"
    };
}

/// Multiplies, and hands the sums to `finish`.
///
/// # Safety
///
/// The machine has the features named, and tiles of bf16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn product(product: &Product<'_>, finish: &mut Finish<'_>) {
    let Product { rows, twos, step, parts, steps, columns, channels, targets } = *product;
    let blocks = channels.div_ceil(BLOCK);
    let block_len = steps.len() * 2 * TILE;
    assert!(columns.len() >= blocks * block_len && parts.len() == steps.parts);
    let furthest =
        parts.iter().max().map_or(0, |part| part + (STRIP - 1) * step + steps.each * STEP);
    assert!(twos.iter().flat_map(|two| two.strips).all(|strip| strip + furthest <= rows.len()));
    assert!(twos.iter().all(|two| two.targets.len() <= 2 * STRIP && two.parts.end <= parts.len()));
    // What a pair of strips has given is finished only when the next is under way, so that the
    // processor can do both at once: there is a place more than are in use. Where sums are taken up
    // again, some pairs take all turns together.
    let turns = steps.turns();
    let (together, kept) = if turns > 1 { (KEPT, twos.len().min(KEPT)) } else { (usize::MAX, 1) };
    let mut both = Both([[[0.0; BLOCK]; BLOCK]; 2]);
    let mut all = (kept > 1).then(|| Buffer::any((kept + 1) * BLOCK * BLOCK));
    let sums = all.as_deref_mut().map_or(&mut both.0[..], sums_mut);
    let mut last = None::<(usize, &Two, usize)>;
    // SAFETY: as the caller vouches.
    let _tiles = unsafe { Tiles::begin() };
    for (block, twos) in
        (0..blocks).flat_map(|block| twos.chunks(together).map(move |twos| (block, twos)))
    {
        let free = last.map_or(0, |(_, _, at)| at + 1);
        for turn in 0..turns {
            let now = steps.of_turn(turn);
            let columns = &columns[block * block_len + steps.parts * now.start * 2 * TILE..];
            for (index, two) in twos.iter().enumerate() {
                let at = (free + index) % sums.len();
                let [first, second] =
                    two.strips.map(|strip| rows[strip + now.start * STEP..].as_ptr());
                let parts = &parts[two.parts.clone()];
                let columns = columns[two.parts.start * now.len() * 2 * TILE..].as_ptr();
                // The next turn's columns are brought nearer, by each pair of strips a part of
                // them.
                let ahead =
                    columns.wrapping_add(parts.len() * (now.len() * 2 * TILE + index * TILE / 4));
                macro_rules! multiply {
                    ($tiles:tt, $begin:ident, $ahead:ident) => {
                        asm!(
                            "mov {n}, 128",
                            $begin!($tiles),
                            "test {left}, {left}",
                            "jz 4f",
                            "2:",
                            $ahead!(),
                            "mov {p}, [{parts}]",
                            "lea {q}, [{second} + 2 * {p}]",
                            "lea {p}, [{first} + 2 * {p}]",
                            "mov {n}, {steps}",
                            "3:",
                            "tileloadd tmm4, [{p} + {step}]",
                            "tileloadd tmm6, [{columns} + {line}]",
                            "tdpbf16ps tmm0, tmm4, tmm6",
                            of_two!($tiles, "tileloadd tmm7, [{columns} + {line} + 1024]"),
                            of_two!($tiles, "tdpbf16ps tmm1, tmm4, tmm7"),
                            "tileloadd tmm5, [{q} + {step}]",
                            "tdpbf16ps tmm2, tmm5, tmm6",
                            of_two!($tiles, "tdpbf16ps tmm3, tmm5, tmm7"),
                            "add {p}, 64",
                            "add {q}, 64",
                            "add {columns}, 2048",
                            "dec {n}",
                            "jnz 3b",
                            "add {parts}, 8",
                            "dec {left}",
                            "jnz 2b",
                            "4:",
                            store!($tiles),
                            first = in(reg) first,
                            second = in(reg) second,
                            parts = inout(reg) parts.as_ptr() => _,
                            left = inout(reg) if now.is_empty() { 0 } else { parts.len() } => _,
                            steps = in(reg) now.len(),
                            step = in(reg) step * size_of::<bf16>(),
                            columns = inout(reg) columns => _,
                            ahead = in(reg) ahead,
                            line = in(reg) 64usize,
                            sums = in(reg) &raw mut sums[at],
                            p = out(reg) _,
                            q = out(reg) _,
                            n = out(reg) _,
                            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                            options(nostack)
                        )
                    };
                }
                // SAFETY: the assertions keep every row of both strips within `rows`, and as many
                // columns as the parts have steps follow `columns`; the sums hold 32 rows of 128
                // bytes. Prefetching reads nothing.
                unsafe {
                    match (channels - block * BLOCK > STRIP, turn, turns > 1) {
                        (false, 0, false) => multiply!(1, zero, nothing_ahead),
                        (false, 0, true) => multiply!(1, zero, ahead),
                        (false, _, _) => multiply!(1, load, ahead),
                        (true, 0, false) => multiply!(2, zero, nothing_ahead),
                        (true, 0, true) => multiply!(2, zero, ahead),
                        (true, _, _) => multiply!(2, load, ahead),
                    }
                }
                let done = (turn + 1 == turns).then_some((block, two, at));
                if let Some((block, two, at)) = std::mem::replace(&mut last, done) {
                    // SAFETY: as the caller vouches.
                    unsafe { finish.take_two(channels, block * BLOCK, two, targets, &sums[at]) };
                }
            }
        }
    }
    if let Some((block, two, at)) = last {
        // SAFETY: as the caller vouches.
        unsafe { finish.take_two(channels, block * BLOCK, two, targets, &sums[at]) };
    }
}

/// The gradient of weights over some positions: for every part of the kernel, channel and value
/// that the part sees, the sum over positions of gradient × input.
pub(super) struct Outer<'a> {
    /// `[channels, positions]`, channels in whole blocks and `gradient_pitch` apart, positions in
    /// whole steps.
    pub gradient: &'a [bf16],
    pub gradient_pitch: usize,
    /// The inputs, as `frame::Pairs` lays them out, and how far apart positions are in it.
    pub pairs: &'a [bf16],
    pub step: usize,
    /// Where each step of positions begins in them, in pairs.
    pub steps: &'a [usize],
    /// How far from a position each part of the kernel begins, in pairs, and which steps see more
    /// than zeros.
    pub parts: &'a [(usize, Range<usize>)],
    /// Blocks of values of each part.
    pub blocks: usize,
    /// `[blocks, blocks of channels, parts]`.
    pub sums: &'a mut [Sums],
    /// Whether the sums begin here, whatever they were.
    pub first: bool,
}

/// Adds to the sums, or begins them.
///
/// # Safety
///
/// As [`product`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn outer(outer: Outer<'_>) {
    let Outer { gradient, gradient_pitch, pairs, step, steps, parts, blocks, sums, first: begin } =
        outer;
    if sums.is_empty() {
        return;
    }
    let channels = sums.len() / (blocks * parts.len());
    assert_eq!(sums.len(), blocks * channels * parts.len());
    assert!(steps.len() * STEP <= gradient_pitch);
    assert!((channels * BLOCK - 1) * gradient_pitch + steps.len() * STEP <= gradient.len());
    let furthest = parts
        .iter()
        .map(|(part, _)| part)
        .max()
        .map_or(0, |part| part + (STRIP - 1) * step + blocks * BLOCK);
    assert!(steps.iter().all(|at| 2 * (at + furthest) <= pairs.len()));
    assert!(parts.iter().all(|(_, seen)| seen.end <= steps.len()));
    // SAFETY: as the caller vouches.
    let _tiles = unsafe { Tiles::begin() };
    // What is multiplied together of a stretch of positions stays in the first-level cache.
    for start in (0..steps.len()).step_by(STRETCH) {
        let begin = begin && start == 0;
        for (at, sums) in sums.iter_mut().enumerate() {
            let (part, seen) = &parts[at % parts.len()];
            let (value, channel) =
                (at / parts.len() / channels * BLOCK, at / parts.len() % channels * BLOCK);
            let from = seen.start.clamp(start, steps.len().min(start + STRETCH));
            let to = seen.end.clamp(from, steps.len().min(start + STRETCH));
            let first = gradient[channel * gradient_pitch + from * STEP..].as_ptr();
            let second = gradient[(channel + STRIP) * gradient_pitch + from * STEP..].as_ptr();
            let inputs = pairs[2 * (part + value)..].as_ptr();
            // SAFETY: as asserted, there are gradients of 32 channels at all steps, and 32 pairs of
            // inputs from `value` on of all their positions; the sums are 32 rows of 128 bytes.
            // Prefetching reads nothing.
            unsafe {
                asm!(
                    "mov {n}, 128",
                    "test {begin}, {begin}",
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
                    sums_ahead!(),
                    "mov {n}, [{steps}]",
                    "lea {n}, [{inputs} + 4 * {n}]",
                    "tileloadd tmm4, [{first} + {line}]",
                    "tileloadd tmm6, [{n} + {step}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{n} + {step} + 64]",
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
                    begin = in(reg) usize::from(begin),
                    first = inout(reg) first => _,
                    second = inout(reg) second => _,
                    steps = inout(reg) steps[from..].as_ptr() => _,
                    inputs = in(reg) inputs,
                    step = in(reg) step * 2 * size_of::<bf16>(),
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
