//! The two inner loops of convolution, over register tiles.
//!
//! Both multiply scalars of one operand, spread over a vector, with vectors of the other, and keep
//! a tile of sums in registers: [`Direct`] a tile of pixels × channels, [`WeightGradient`] one of
//! weights × channels.

#![allow(clippy::needless_range_loop, reason = "register tiles are unrolled over constant ranges")]

use crate::isa::{Isa, Kernel, MOST_LANES, Vector};

/// Neighbouring pixels of one row that are computed together.
pub(super) const QUAD: usize = 4;

/// Channels of a block of weights: what the registers of a tile hold side by side.
pub(super) fn block(isa: Isa, channels: usize) -> usize {
    struct Block(usize);
    impl Kernel for Block {
        type Output = usize;

        #[inline(always)]
        fn run<V: Vector>(self) -> usize {
            V::LANES * vectors::<V>(self.0)
        }
    }
    isa.run(Block(channels))
}

/// Vectors in a block.
#[inline(always)]
pub(super) fn vectors<V: Vector>(channels: usize) -> usize {
    match V::LANES {
        16 if channels <= 16 => 1,
        4 if V::REGISTERS == 32 => 4,
        _ => 2,
    }
}

/// Up to [`QUAD`] neighbouring pixels of an output row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quad {
    /// Where the first pixel's first input is.
    pub source: usize,
    /// Where the first pixel's first output goes.
    pub target: usize,
    /// How many of the pixels are there.
    pub pixels: usize,
}

/// Correlation of an image with weights, pixel by pixel: an output is the sum over `rows` stretches
/// of `segment` neighbouring inputs, `row` apart, each times its own weight.
pub(super) struct Direct<'a> {
    pub input: &'a [f32],
    /// From the inputs of a pixel to those of the next.
    pub pixel: usize,
    pub rows: usize,
    pub row: usize,
    pub segment: usize,
    pub quads: &'a [Quad],
    /// `[blocks, rows, segment, block]`.
    pub weights: &'a [f32],
    pub output: &'a mut [f32],
    pub channels: usize,
    /// From the outputs of a pixel to those of the next.
    pub step: usize,
}

impl Kernel for Direct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let block = V::LANES * vectors::<V>(self.channels);
        let reach = (QUAD - 1) * self.pixel + self.rows.saturating_sub(1) * self.row + self.segment;
        assert!(
            self.weights.len() >= self.channels.div_ceil(block) * self.rows * self.segment * block
        );
        for quad in self.quads {
            assert!((1..=QUAD).contains(&quad.pixels) && quad.source + reach <= self.input.len());
            assert!(
                quad.target + (quad.pixels - 1) * self.step + self.channels <= self.output.len()
            );
        }
        // SAFETY: the assertions above are the contract of `tiles`, and `run` is given the
        // instruction set.
        unsafe {
            match (vectors::<V>(self.channels), V::REGISTERS) {
                (1, _) => self.tiles::<V, 1, 4>(),
                (2, 32) => self.tiles::<V, 2, 2>(),
                (2, _) => self.tiles::<V, 2, 1>(),
                _ => self.tiles::<V, 4, 1>(),
            }
        }
    }
}

impl Direct<'_> {
    /// # Safety
    ///
    /// The instruction set of `V` is there; `N` is `vectors::<V>(channels)`; the weights have every
    /// block, and every quad lies within input and output.
    #[inline(always)]
    unsafe fn tiles<V: Vector, const N: usize, const G: usize>(mut self) {
        let block = N * V::LANES;
        for first in (0..self.channels).step_by(block) {
            let weights = self.weights[first * self.rows * self.segment..].as_ptr();
            let mut groups = self.quads.chunks_exact(G);
            for quads in &mut groups {
                // SAFETY: as the caller vouches.
                unsafe { tile::<V, N, G>(&mut self, quads, weights, first) };
            }
            for quads in groups.remainder().chunks_exact(1) {
                // SAFETY: as the caller vouches.
                unsafe { tile::<V, N, 1>(&mut self, quads, weights, first) };
            }
        }
    }
}

/// One tile: `G` quads, the block of channels from `first` on, whose weights are given.
///
/// # Safety
///
/// As [`Direct::tiles`]; there are `G` quads.
#[inline(always)]
unsafe fn tile<V: Vector, const N: usize, const G: usize>(
    conv: &mut Direct<'_>,
    quads: &[Quad],
    mut weights: *const f32,
    first: usize,
) {
    let (input, pixel) = (conv.input.as_ptr(), conv.pixel);
    // SAFETY: reads stay within `reach` of a quad's source and within the block's weights, as
    // vouched.
    let sums = unsafe {
        let mut sums = [[[V::zero(); N]; QUAD]; G];
        for row in 0..conv.rows {
            let sources: [*const f32; G] =
                std::array::from_fn(|g| input.add(quads[g].source + row * conv.row));
            for at in 0..conv.segment {
                let weight: [V; N] = std::array::from_fn(|n| V::load(weights.add(n * V::LANES)));
                weights = weights.add(N * V::LANES);
                for g in 0..G {
                    for p in 0..QUAD {
                        let value = V::splat(sources[g].add(at).add(p * pixel));
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
                    // SAFETY: the pixel is there and `lanes` of its channels are.
                    unsafe {
                        store(
                            sums[g][p][n],
                            output.add(quads[g].target + p * conv.step + channel),
                            lanes,
                        )
                    };
                }
            }
        }
    }
}

/// Writes the first `lanes` lanes.
///
/// # Safety
///
/// The instruction set of `V` is there, and `to` is valid for `lanes` values, at most the vector's.
#[inline(always)]
pub(super) unsafe fn store<V: Vector>(vector: V, to: *mut f32, lanes: usize) {
    // SAFETY: as vouched; no vector is longer than the array.
    unsafe {
        if lanes == V::LANES {
            vector.store(to);
        } else {
            let mut all = [0.0f32; MOST_LANES];
            vector.store(all.as_mut_ptr());
            std::ptr::copy_nonoverlapping(all.as_ptr(), to, lanes);
        }
    }
}

/// Adds the gradient of the weights over some images: for every stretch of inputs that a row of the
/// kernel sees, the sum over output pixels of input × gradient.
pub(super) struct WeightGradient<'a> {
    /// The padded inputs.
    pub input: &'a [f32],
    /// From image to image, output row to output row, output pixel to output pixel, kernel row to
    /// kernel row.
    pub input_steps: [usize; 4],
    /// The gradient of the outputs, from the first pixel on.
    pub gradient: &'a [f32],
    /// From image to image, row to row, pixel to pixel.
    pub gradient_steps: [usize; 3],
    /// Images, output rows, output columns.
    pub counts: [usize; 3],
    /// Kernel rows, and inputs that a kernel row sees.
    pub rows: usize,
    pub segment: usize,
    pub channels: usize,
    /// `[rows, segment, channels rounded up to blocks]`.
    pub weights: &'a mut [f32],
}

impl Kernel for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let [images, height, width] = self.counts;
        if images * height * width == 0 {
            return;
        }
        let padded = self.channels.next_multiple_of(V::LANES * vectors::<V>(self.channels));
        let last = |steps: &[usize]| -> usize {
            steps.iter().zip(self.counts).map(|(s, n)| s * (n - 1)).sum()
        };
        let [.., kernel_row] = self.input_steps;
        assert!(
            last(&self.input_steps[..3]) + (self.rows - 1) * kernel_row + self.segment
                <= self.input.len()
        );
        assert!(last(&self.gradient_steps) + padded <= self.gradient.len());
        assert!(self.rows * self.segment * padded <= self.weights.len());
        // SAFETY: the assertions above are the contract of `tiles`, and `run` is given the
        // instruction set.
        unsafe {
            match (vectors::<V>(self.channels), V::REGISTERS) {
                (1, _) => self.tiles::<V, 1, 16>(padded),
                (2, 32) => self.tiles::<V, 2, 8>(padded),
                (2, _) => self.tiles::<V, 2, 4>(padded),
                _ => self.tiles::<V, 4, 4>(padded),
            }
        }
    }
}

impl WeightGradient<'_> {
    /// # Safety
    ///
    /// The instruction set of `V` is there; inputs, gradients (in whole blocks) and weights reach
    /// as far as the counts and steps say; `padded` is a multiple of `N` vectors.
    #[inline(always)]
    unsafe fn tiles<V: Vector, const N: usize, const M: usize>(&mut self, padded: usize) {
        for row in 0..self.rows {
            for block in (0..padded).step_by(N * V::LANES) {
                let mut at = 0;
                // SAFETY: as the caller vouches; `at` plus the tile's height stays within the
                // segment.
                unsafe {
                    while at + M <= self.segment {
                        self.tile::<V, N, M>(row, at, block, padded);
                        at += M;
                    }
                    while at + 4 <= self.segment {
                        self.tile::<V, N, 4>(row, at, block, padded);
                        at += 4;
                    }
                    while at < self.segment {
                        self.tile::<V, N, 1>(row, at, block, padded);
                        at += 1;
                    }
                }
            }
        }
    }

    /// # Safety
    ///
    /// As [`Self::tiles`], and `at + M` is within the segment, `block` plus `N` vectors within
    /// `padded`.
    #[inline(always)]
    unsafe fn tile<V: Vector, const N: usize, const M: usize>(
        &mut self,
        row: usize,
        at: usize,
        block: usize,
        padded: usize,
    ) {
        let [images, height, width] = self.counts;
        let [input_image, input_row, input_pixel, kernel_row] = self.input_steps;
        let [gradient_image, gradient_row, gradient_pixel] = self.gradient_steps;
        // SAFETY: offsets stay within what `run` has asserted.
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
                    let weight = self
                        .weights
                        .as_mut_ptr()
                        .add((row * self.segment + at + m) * padded + block + n * V::LANES);
                    V::load(weight).add(sums[m][n]).store(weight);
                }
            }
        }
    }
}
