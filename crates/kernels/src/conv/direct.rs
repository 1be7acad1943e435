//! The two inner loops of direct convolution.
//!
//! Both loops broadcast single values of one operand, multiply them with vectors of the other
//! operand, and keep a rectangle of sums in registers. In [`Direct`], the rectangle is pixels ×
//! channels; in [`WeightGradient`], it is values of a segment × channels.
//!
//! ```text
//! Direct, for a few pixels and a block of channels:
//!     for each kernel row, and each value of the segment that it sees:
//!         load that value's weights for the block
//!         for each pixel: sums[pixel] += broadcast(input value of the pixel) · weights
//!
//! WeightGradient, for a few values of a segment and a block of channels:
//!     for each image, row and column of the output:
//!         load the gradient of the block
//!         for each value: sums[value] += broadcast(input value) · gradient
//! ```

#![allow(clippy::needless_range_loop, reason = "register blocks are unrolled over constant ranges")]

use super::registers::{block_vectors, store_lanes};
use crate::isa::{Kernel, Vector};

/// Number of neighbouring pixels of one row that are computed together.
pub(super) const QUAD: usize = 4;

/// Up to [`QUAD`] neighbouring pixels of an output row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quad {
    /// Index of the first pixel's first input.
    pub source: usize,
    /// Index of the first pixel's first output.
    pub target: usize,
    /// Number of pixels.
    pub pixels: usize,
}

/// Returns the quads of `images` images of `[height, width]` pixels. `place` returns the source and
/// target of a pixel (image, y, x).
pub(super) fn quads(
    images: usize,
    [height, width]: [usize; 2],
    place: impl Fn(usize, usize, usize) -> (usize, usize),
) -> Vec<Quad> {
    let mut quads = Vec::with_capacity(images * height * width.div_ceil(QUAD));
    for image in 0..images {
        for y in 0..height {
            for x in (0..width).step_by(QUAD) {
                let (source, target) = place(image, y, x);
                quads.push(Quad { source, target, pixels: QUAD.min(width - x) });
            }
        }
    }
    quads
}

/// The correlation of framed images with weights. An output sees `kernel_rows` segments. Each
/// segment is `segment` neighbouring inputs, and consecutive segments start `row_pitch` values
/// apart. The output is the sum of all inputs of its segments, each multiplied with its own weight.
pub(super) struct Direct<'a> {
    /// Images in frames of zeros.
    pub input: &'a [f32],
    /// Distance, in values, from what an output pixel sees to what the next output pixel sees.
    pub pixel_pitch: usize,
    /// Number of segments that an output sees.
    pub kernel_rows: usize,
    /// Distance, in values, from a segment to the next.
    pub row_pitch: usize,
    /// Number of values per segment.
    pub segment: usize,
    /// The output pixels.
    pub quads: &'a [Quad],
    /// `[blocks, kernel rows, segment, block]`.
    pub weights: &'a [f32],
    pub output: &'a mut [f32],
    /// Number of channels of the output.
    pub channels: usize,
    /// Distance, in values, from an output pixel of a quad to the next.
    pub output_pitch: usize,
}

impl Kernel for Direct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let block = V::LANES * block_vectors::<V>(self.channels);
        let reach = (QUAD - 1) * self.pixel_pitch
            + self.kernel_rows.saturating_sub(1) * self.row_pitch
            + self.segment;
        let blocks = self.channels.div_ceil(block);
        assert!(self.weights.len() >= blocks * self.kernel_rows * self.segment * block);
        for quad in self.quads {
            assert!((1..=QUAD).contains(&quad.pixels) && quad.source + reach <= self.input.len());
            let last = quad.target + (quad.pixels - 1) * self.output_pitch;
            assert!(last + self.channels <= self.output.len());
        }
        // SAFETY: `run` is called with the instruction set. The assertions above guarantee the rest
        // of the contract of `blocks`.
        unsafe {
            match (block_vectors::<V>(self.channels), V::REGISTERS) {
                (1, _) => self.blocks::<V, 1, 4>(),
                (2, 32) => self.blocks::<V, 2, 2>(),
                (2, _) => self.blocks::<V, 2, 1>(),
                _ => self.blocks::<V, 4, 1>(),
            }
        }
    }
}

impl Direct<'_> {
    /// Computes all quads, `G` at a time, for each block of `N` vectors.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has the instruction set of `V`.
    /// - `N` must be `block_vectors::<V>(channels)`.
    /// - The caller must guarantee weights for every block.
    /// - The caller must guarantee that every quad reads within the input and writes within the
    ///   output.
    #[inline(always)]
    unsafe fn blocks<V: Vector, const N: usize, const G: usize>(mut self) {
        let block = N * V::LANES;
        for first in (0..self.channels).step_by(block) {
            let weights = self.weights[first * self.kernel_rows * self.segment..].as_ptr();
            let mut groups = self.quads.chunks_exact(G);
            for quads in &mut groups {
                // SAFETY: the caller guarantees the contract, and there are `G` quads.
                unsafe { micro_kernel::<V, N, G>(&mut self, quads, weights, first) };
            }
            for quads in groups.remainder().chunks_exact(1) {
                // SAFETY: the caller guarantees the contract, and there is one quad.
                unsafe { micro_kernel::<V, N, 1>(&mut self, quads, weights, first) };
            }
        }
    }
}

/// Computes `G` quads for the block of channels that starts at `first`. The block's weights start
/// at `weights`.
///
/// # Safety
///
/// - The caller must guarantee the contract of [`Direct::blocks`].
/// - `quads` must hold `G` quads.
#[inline(always)]
unsafe fn micro_kernel<V: Vector, const N: usize, const G: usize>(
    conv: &mut Direct<'_>,
    quads: &[Quad],
    mut weights: *const f32,
    first: usize,
) {
    let (input, pixel_pitch) = (conv.input.as_ptr(), conv.pixel_pitch);
    // SAFETY: reads stay within the values that a quad sees and within the block's weights, which
    // the caller guarantees.
    let sums = unsafe {
        let mut sums = [[[V::zero(); N]; QUAD]; G];
        for row in 0..conv.kernel_rows {
            let sources: [*const f32; G] =
                std::array::from_fn(|g| input.add(quads[g].source + row * conv.row_pitch));
            for at in 0..conv.segment {
                let weight: [V; N] = std::array::from_fn(|n| V::load(weights.add(n * V::LANES)));
                weights = weights.add(N * V::LANES);
                for g in 0..G {
                    for p in 0..QUAD {
                        let value = V::splat(sources[g].add(at).add(p * pixel_pitch));
                        for n in 0..N {
                            sums[g][p][n] = value.mul_add(weight[n], sums[g][p][n]);
                        }
                    }
                }
            }
        }
        sums
    };
    let output = conv.output.as_mut_ptr();
    for g in 0..G {
        for p in 0..QUAD {
            if p >= quads[g].pixels {
                break;
            }
            for n in 0..N {
                let channel = first + n * V::LANES;
                if channel < conv.channels {
                    let lanes = V::LANES.min(conv.channels - channel);
                    // SAFETY: the output has the pixel, and `lanes` of its channels.
                    unsafe {
                        store_lanes(
                            sums[g][p][n],
                            output.add(quads[g].target + p * conv.output_pitch + channel),
                            lanes,
                        )
                    };
                }
            }
        }
    }
}

/// Adds the weights' gradient, summed over some images, to `sums`. For every value that a row of
/// the kernel sees, and for every channel, the weight's gradient is the sum, over the output
/// pixels, of the input value × the gradient of the output.
pub(super) struct WeightGradient<'a> {
    /// Images in frames of zeros.
    pub input: &'a [f32],
    /// Distances in `input`, in values: between neighbouring images, between what neighbouring
    /// output rows see, between what neighbouring output pixels see, and between neighbouring
    /// kernel rows.
    pub input_pitches: [usize; 4],
    /// The gradient of the outputs, in frames of zeros. The slice starts at the first pixel.
    pub gradient: &'a [f32],
    /// Distances in `gradient`, in values: between neighbouring images, rows and pixels.
    pub gradient_pitches: [usize; 3],
    /// Number of images, of output rows and of output columns.
    pub counts: [usize; 3],
    pub kernel_rows: usize,
    /// Number of values that a kernel row sees.
    pub segment: usize,
    /// Number of channels of the output.
    pub channels: usize,
    /// `[kernel rows, segment, channels rounded up to blocks]`.
    pub sums: &'a mut [f32],
}

impl Kernel for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let [images, height, width] = self.counts;
        if images * height * width == 0 {
            return;
        }
        let padded = self.channels.next_multiple_of(V::LANES * block_vectors::<V>(self.channels));
        let last = |pitches: &[usize]| -> usize {
            pitches.iter().zip(self.counts).map(|(pitch, count)| pitch * (count - 1)).sum()
        };
        let [.., kernel_row] = self.input_pitches;
        assert!(
            last(&self.input_pitches[..3]) + (self.kernel_rows - 1) * kernel_row + self.segment
                <= self.input.len()
        );
        assert!(last(&self.gradient_pitches) + padded <= self.gradient.len());
        assert!(self.kernel_rows * self.segment * padded <= self.sums.len());
        // SAFETY: `run` is called with the instruction set. The assertions above guarantee the rest
        // of the contract of `blocks`.
        unsafe {
            match (block_vectors::<V>(self.channels), V::REGISTERS) {
                (1, _) => self.blocks::<V, 1, 16>(padded),
                (2, 32) => self.blocks::<V, 2, 8>(padded),
                (2, _) => self.blocks::<V, 2, 4>(padded),
                _ => self.blocks::<V, 4, 4>(padded),
            }
        }
    }
}

impl WeightGradient<'_> {
    /// Adds to the sums of all values of the segments, up to `M` values at a time, for each block
    /// of `N` vectors.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has the instruction set of `V`.
    /// - The caller must guarantee that the inputs, the gradients (in whole blocks) and the sums
    ///   are as long as the counts and pitches require.
    /// - `padded`, the number of channels in whole blocks, must be a multiple of `N` vectors.
    #[inline(always)]
    unsafe fn blocks<V: Vector, const N: usize, const M: usize>(&mut self, padded: usize) {
        for row in 0..self.kernel_rows {
            for block in (0..padded).step_by(N * V::LANES) {
                let mut at = 0;
                // SAFETY: the caller guarantees the contract. `at` and the values that follow it
                // stay within the segment.
                unsafe {
                    while at + M <= self.segment {
                        self.micro_kernel::<V, N, M>(row, at, block, padded);
                        at += M;
                    }
                    while at + 4 <= self.segment {
                        self.micro_kernel::<V, N, 4>(row, at, block, padded);
                        at += 4;
                    }
                    while at < self.segment {
                        self.micro_kernel::<V, N, 1>(row, at, block, padded);
                        at += 1;
                    }
                }
            }
        }
    }

    /// Adds to the sums of the `M` values of kernel row `row` that start at `at`, for the block of
    /// channels that starts at `block`.
    ///
    /// # Safety
    ///
    /// - The caller must guarantee the contract of [`Self::blocks`].
    /// - `at + M` must be within the segment.
    /// - `block` plus `N` vectors must be within `padded`.
    #[inline(always)]
    unsafe fn micro_kernel<V: Vector, const N: usize, const M: usize>(
        &mut self,
        row: usize,
        at: usize,
        block: usize,
        padded: usize,
    ) {
        let [images, height, width] = self.counts;
        let [input_image, input_row, input_pixel, kernel_row] = self.input_pitches;
        let [gradient_image, gradient_row, gradient_pixel] = self.gradient_pitches;
        // SAFETY: offsets stay within the values that the caller guarantees.
        unsafe {
            let mut sums = [[V::zero(); N]; M];
            for image in 0..images {
                for y in 0..height {
                    let mut input = self
                        .input
                        .as_ptr()
                        .add(image * input_image + y * input_row + row * kernel_row + at);
                    let mut gradient = self
                        .gradient
                        .as_ptr()
                        .add(image * gradient_image + y * gradient_row + block);
                    for _ in 0..width {
                        let factor: [V; N] =
                            std::array::from_fn(|n| V::load(gradient.add(n * V::LANES)));
                        for m in 0..M {
                            let value = V::splat(input.add(m));
                            for n in 0..N {
                                sums[m][n] = value.mul_add(factor[n], sums[m][n]);
                            }
                        }
                        input = input.wrapping_add(input_pixel);
                        gradient = gradient.wrapping_add(gradient_pixel);
                    }
                }
            }
            for m in 0..M {
                for n in 0..N {
                    let sum = self
                        .sums
                        .as_mut_ptr()
                        .add((row * self.segment + at + m) * padded + block + n * V::LANES);
                    V::load(sum).add(sums[m][n]).store(sum);
                }
            }
        }
    }
}
