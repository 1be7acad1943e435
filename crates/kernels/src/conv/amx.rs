//! Products of bf16 matrices in AMX tiles: 16 rows of 32 values times 16 columns, summed in f32.

use std::arch::asm;
use std::arch::x86_64::*;

use half::bf16;

use super::unfold::{BLOCK, STEP, STRIP};
use crate::norm::{Channels, Moments};
use crate::tiles::Tiles;

/// Steps of positions that a gradient of weights is summed over at a time.
const STRETCH: usize = 8;

/// Values of a tile.
pub(super) const TILE: usize = STRIP * STEP;

/// Sums of two strips of rows and a block of columns.
#[repr(C, align(64))]
pub(super) struct Sums(pub [[f32; BLOCK]; 2 * STRIP]);

impl Sums {
    pub(super) fn zeros() -> Self {
        Self([[0.0; BLOCK]; 2 * STRIP])
    }
}

/// Rows times columns: every pixel of the strips with every channel.
pub(super) struct Product<'a> {
    /// The rows, as `unfold::Rows` lays them out.
    pub rows: &'a [bf16],
    /// Where each strip begins.
    pub strips: &'a [usize],
    /// From a row to the next.
    pub pixel: usize,
    /// Where the stretches of a row begin.
    pub kernel_rows: &'a [usize],
    /// Steps of a stretch.
    pub steps: usize,
    /// `[blocks, stretches, steps, 2, 16 pairs, 16 columns, 2]`.
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
    Normalise { output: &'a mut [bf16], channels: &'a Channels, residual: Option<&'a [bf16]>, floor: f32 },
}

/// Sums of deviations from a pixel's values, and of their squares, a value a channel in whole blocks.
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
        Moments::shifted(count, &self.from[..channels], &self.sums[..channels], &self.squares[..channels])
    }
}

impl Finish<'_> {
    /// Takes the sums of a block of channels from `first` on, of the pixels at `targets`; `start` says that no pixels
    /// came before.
    ///
    /// # Safety
    ///
    /// The machine has the features named.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
    #[inline]
    unsafe fn take(&mut self, channels: usize, first: usize, targets: &[u32], start: bool, sums: &Sums) {
        let lanes = Lanes::new(channels - first);
        let rows = targets.iter().map(|&target| target as usize * channels + first).zip(&sums.0);
        // SAFETY: as the caller vouches; `Lanes` keep to the channels there are.
        unsafe {
            match self {
                Self::Store { output, added: None } => {
                    rows.for_each(|(at, sums)| lanes.store(output, at, narrow(Pair::load(sums))));
                }
                Self::Store { output, added: Some(added) } => rows.for_each(|(at, sums)| {
                    // Rounded before, too, so that it is the same whichever of two parts comes first.
                    let sums = widen(narrow(Pair::load(sums)));
                    lanes.store(output, at, narrow(sums.add(lanes.load(added, at))));
                }),
                Self::Moments { output, moments } => {
                    fn block(values: &mut [f32], first: usize) -> &mut [f32; BLOCK] {
                        values[first..].first_chunk_mut().expect("whole blocks")
                    }
                    let from = block(&mut moments.from, first);
                    if start {
                        *from = sums.0[0];
                    }
                    let from = Pair::load(from);
                    let (all, squares) = (block(&mut moments.sums, first), block(&mut moments.squares, first));
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
        unsafe { Self(_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_ps(values.as_ptr().add(STRIP))) }
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

    /// As [`Vector::cut`](crate::isa::Vector::cut): of two operands `max` gives the second where it is not a number,
    /// and where both are zeros.
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

/// Multiplies, and hands the sums to `finish`.
///
/// # Safety
///
/// The machine has the features named, and tiles of bf16.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
pub(super) unsafe fn product(product: &Product<'_>, finish: &mut Finish<'_>) {
    let Product { rows, strips, pixel, kernel_rows, steps, columns, channels, targets } = *product;
    let blocks = channels.div_ceil(BLOCK);
    let block_len = kernel_rows.len() * steps * 2 * TILE;
    assert!(columns.len() >= blocks * block_len);
    assert_eq!(strips.len(), targets.len().div_ceil(STRIP));
    let furthest = kernel_rows.iter().max().map_or(0, |row| row + (STRIP - 1) * pixel + steps * STEP);
    assert!(strips.iter().all(|strip| strip + furthest <= rows.len()));
    let offsets: Vec<usize> = kernel_rows.iter().map(|row| row * size_of::<bf16>()).collect();
    // What a block has given is finished only when the next is under way, so that the processor can do both at once.
    let mut both = [Sums::zeros(), Sums::zeros()];
    let (mut turn, mut last) = (false, None::<(usize, &[u32], bool)>);
    // SAFETY: as the caller vouches.
    let _tiles = unsafe { Tiles::begin() };
    for block in 0..blocks {
        let columns = columns[block * block_len..].as_ptr();
        for (pair, (strips, targets)) in strips.chunks(2).zip(targets.chunks(2 * STRIP)).enumerate() {
            let first = rows[strips[0]..].as_ptr();
            let second = rows[strips[strips.len() - 1]..].as_ptr();
            turn = !turn;
            let [a, b] = &mut both;
            let (sums, done) = if turn { (a, b) } else { (b, a) };
            // The second tile of columns is left out where a block has one only.
            macro_rules! multiply {
                ([$($zero:literal)*], $load:literal, $second:literal, $fourth:literal, [$($store:literal)*]) => {
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm2",
                        $($zero,)*
                        "test {left}, {left}",
                        "jz 4f",
                        "2:",
                        "mov {p}, [{offsets}]",
                        "lea {q}, [{second} + {p}]",
                        "add {p}, {first}",
                        "mov {n}, {steps}",
                        "3:",
                        "tileloadd tmm4, [{p} + {pixel}]",
                        "tileloadd tmm6, [{columns} + {line}]",
                        "tdpbf16ps tmm0, tmm4, tmm6",
                        $load,
                        $second,
                        "tileloadd tmm5, [{q} + {pixel}]",
                        "tdpbf16ps tmm2, tmm5, tmm6",
                        $fourth,
                        "add {p}, 64",
                        "add {q}, 64",
                        "add {columns}, 2048",
                        "dec {n}",
                        "jnz 3b",
                        "add {offsets}, 8",
                        "dec {left}",
                        "jnz 2b",
                        "4:",
                        "mov {n}, 128",
                        "tilestored [{sums} + {n}], tmm0",
                        "tilestored [{sums} + {n} + 2048], tmm2",
                        $($store,)*
                        first = in(reg) first,
                        second = in(reg) second,
                        offsets = inout(reg) offsets.as_ptr() => _,
                        left = inout(reg) if steps == 0 { 0 } else { offsets.len() } => _,
                        steps = in(reg) steps,
                        pixel = in(reg) pixel * size_of::<bf16>(),
                        columns = inout(reg) columns => _,
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
            // SAFETY: the assertions keep every row of both strips within `rows`, and `block_len` values follow
            // `columns`; the sums hold 32 rows of 128 bytes.
            unsafe {
                if channels - block * BLOCK <= STRIP {
                    multiply!([], "", "", "", []);
                } else {
                    multiply!(
                        ["tilezero tmm1" "tilezero tmm3"],
                        "tileloadd tmm7, [{columns} + {line} + 1024]",
                        "tdpbf16ps tmm1, tmm4, tmm7",
                        "tdpbf16ps tmm3, tmm5, tmm7",
                        ["tilestored [{sums} + {n} + 64], tmm1" "tilestored [{sums} + {n} + 2112], tmm3"]
                    );
                }
            }
            if let Some((first, targets, start)) = last.replace((block * BLOCK, targets, pair == 0)) {
                // SAFETY: as the caller vouches.
                unsafe { finish.take(channels, first, targets, start, done) };
            }
        }
    }
    if let Some((first, targets, start)) = last {
        // SAFETY: as the caller vouches.
        unsafe { finish.take(channels, first, targets, start, &both[usize::from(!turn)]) };
    }
}

/// The gradient of weights over some positions: for every row of the kernel, channel and value that the row sees, the
/// sum over positions of gradient × input.
pub(super) struct Outer<'a> {
    /// `[channels, positions]`, channels in whole blocks and `gradient_pitch` apart, positions in whole steps.
    pub gradient: &'a [bf16],
    pub gradient_pitch: usize,
    pub channels: usize,
    pub positions: usize,
    /// The inputs, as `unfold::Pairs` lays them out, and its `segment` and `pitch`.
    pub pairs: &'a [bf16],
    pub segment: usize,
    pub pitch: usize,
    /// Where each row of the kernel begins in them.
    pub kernel_rows: &'a [usize],
    /// `[kernel rows, channels, pitch]`.
    pub sums: &'a mut [f32],
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
    let Outer { gradient, gradient_pitch, channels, positions, pairs, segment, pitch, kernel_rows, sums, first: begin } =
        outer;
    let steps = positions / STEP;
    if steps == 0 || channels == 0 {
        return;
    }
    assert!(positions.is_multiple_of(STEP) && segment.is_multiple_of(BLOCK) && channels.is_multiple_of(BLOCK));
    assert!(positions <= gradient_pitch && segment <= pitch);
    assert!((channels - 1) * gradient_pitch + positions <= gradient.len());
    assert!(kernel_rows.len() * channels * pitch <= sums.len());
    assert!(kernel_rows.iter().all(|row| row + positions * pitch <= pairs.len()));
    // SAFETY: as the caller vouches.
    let _tiles = unsafe { Tiles::begin() };
    // What is multiplied together of a stretch of positions stays in the first-level cache.
    let stretches = (0..steps).step_by(STRETCH).map(|at| (at, STRETCH.min(steps - at)));
    let blocks = stretches.flat_map(|stretch| (0..segment).step_by(BLOCK).map(move |value| (stretch, value)));
    for ((start, steps), value) in blocks {
        let begin = begin && start == 0;
        let start = start * STEP;
        for (row, from) in kernel_rows.iter().enumerate() {
            for channel in (0..channels).step_by(BLOCK) {
                let first = gradient[channel * gradient_pitch + start..].as_ptr();
                let second = gradient[(channel + STRIP) * gradient_pitch + start..].as_ptr();
                let inputs = pairs[from + start * pitch + 2 * value..].as_ptr();
                let sums = sums[(row * channels + channel) * pitch + value..].as_mut_ptr();
                // SAFETY: as asserted, there are `positions` gradients of each of 32 channels, 32 pairs of inputs from
                // `value` on of every two positions, and 32 sums in each of 32 rows at `sums`.
                unsafe {
                    asm!(
                        "test {begin}, {begin}",
                        "jnz 3f",
                        "tileloadd tmm0, [{sums} + {pitch}]",
                        "tileloadd tmm1, [{sums} + {pitch} + 64]",
                        "tileloadd tmm2, [{lower} + {pitch}]",
                        "tileloadd tmm3, [{lower} + {pitch} + 64]",
                        "jmp 2f",
                        "3:",
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "tilezero tmm2",
                        "tilezero tmm3",
                        "2:",
                        "tileloadd tmm4, [{first} + {line}]",
                        "tileloadd tmm6, [{inputs} + {pitch}]",
                        "tdpbf16ps tmm0, tmm4, tmm6",
                        "tileloadd tmm7, [{inputs} + {pitch} + 64]",
                        "tdpbf16ps tmm1, tmm4, tmm7",
                        "tileloadd tmm5, [{second} + {line}]",
                        "tdpbf16ps tmm2, tmm5, tmm6",
                        "tdpbf16ps tmm3, tmm5, tmm7",
                        "add {first}, 64",
                        "add {second}, 64",
                        "add {inputs}, {step}",
                        "dec {n}",
                        "jnz 2b",
                        "tilestored [{sums} + {pitch}], tmm0",
                        "tilestored [{sums} + {pitch} + 64], tmm1",
                        "tilestored [{lower} + {pitch}], tmm2",
                        "tilestored [{lower} + {pitch} + 64], tmm3",
                        begin = in(reg) usize::from(begin),
                        first = inout(reg) first => _,
                        second = inout(reg) second => _,
                        inputs = inout(reg) inputs => _,
                        // A row of sums is as long as a row of pairs of bf16.
                        pitch = in(reg) pitch * size_of::<f32>(),
                        line = in(reg) gradient_pitch * size_of::<bf16>(),
                        step = in(reg) STRIP * pitch * size_of::<f32>(),
                        n = inout(reg) steps => _,
                        sums = in(reg) sums,
                        lower = in(reg) sums.add(STRIP * pitch),
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack)
                    );
                }
            }
        }
    }
}
