//! 2-D convolution, f32, channels last, without an unfolded copy of the input.
//!
//! Images are copied into a zero-padded buffer a few at a time; what a row of the kernel sees of it is then
//! one stretch of memory, and the inner loops (`tile`) run over such stretches. Work is divided by the shape
//! alone and sums are added in a fixed order, so results do not depend on the number of threads.

mod pack;
mod tile;

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::isa::Isa;
use pack::{Phase, Weights};
use tile::{Direct, QUAD, Quad, WeightGradient};

/// A convolution of a batch of images with square kernels, without bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Images.
    pub batch: usize,
    /// Rows of an input image.
    pub height: usize,
    /// Columns of an input image.
    pub width: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Step of the kernel, in pixels.
    pub stride: usize,
    /// Zeros around the image, in pixels: less than the kernel.
    pub padding: usize,
}

/// Pixels of output that are worked on together: few enough for the second-level cache, enough to use a
/// weight often once it is in the first.
const PIXELS: usize = 128;

/// Bytes that partial sums of the weights' gradient may take.
const PARTIAL_SUMS: usize = 64 << 20;

impl Conv {
    /// Rows of an output image.
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Columns of an output image.
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Values in an output image.
    pub fn out_image(&self) -> usize {
        self.out_height() * self.out_width() * self.outputs
    }

    /// Values in an input image.
    pub fn in_image(&self) -> usize {
        self.height * self.width * self.inputs
    }

    fn check(&self, input: &[f32], weights: &[f32]) {
        assert!(self.kernel > 0 && self.stride > 0 && self.padding < self.kernel, "impossible {self:?}");
        assert!(
            self.height + 2 * self.padding >= self.kernel && self.width + 2 * self.padding >= self.kernel,
            "kernel larger than the padded image: {self:?}"
        );
        assert!(self.inputs > 0 && self.outputs > 0, "no channels: {self:?}");
        assert_eq!(input.len(), self.batch * self.in_image(), "length of the input");
        assert_eq!(weights.len(), self.outputs * self.inputs * self.kernel * self.kernel, "length of the weights");
    }

    /// Images that are worked on together.
    fn group(&self) -> usize {
        PIXELS.div_ceil(self.out_height() * self.out_width()).clamp(1, self.batch.max(1))
    }

    /// The padded input of a group of images.
    fn padded_input(&self) -> Padded {
        let (height, width) = (self.height + 2 * self.padding, self.width + 2 * self.padding);
        Padded { height, width, channels: self.inputs, before: self.padding, slack: QUAD * self.stride * self.inputs }
    }

    /// The padded gradient of a group of output images, wide enough for every output that an input pixel had
    /// a part in, or would have had in a larger image.
    fn padded_gradient(&self, isa: Isa) -> Padded {
        let before = (self.kernel - 1 - self.padding) / self.stride;
        let reach = |size: usize, out: usize| before + out.max((size - 1 + self.padding) / self.stride + 1);
        Padded {
            height: reach(self.height, self.out_height()),
            width: reach(self.width, self.out_width()),
            channels: self.outputs,
            before,
            slack: QUAD * self.outputs + tile::block(isa, self.outputs),
        }
    }
}

/// Layout of images with zeros around them.
#[derive(Clone, Copy)]
struct Padded {
    height: usize,
    width: usize,
    channels: usize,
    /// Zeros above and to the left, in pixels.
    before: usize,
    /// Values behind the last image that may be read but are of no consequence.
    slack: usize,
}

impl Padded {
    fn row(&self) -> usize {
        self.width * self.channels
    }

    fn image(&self) -> usize {
        self.height * self.row()
    }

    fn zeros(&self, images: usize) -> Buffer {
        Buffer::zeros(images * self.image() + self.slack)
    }

    /// Where the pixels of a row begin.
    fn at(&self, image: usize, row: usize) -> usize {
        image * self.image() + (self.before + row) * self.row() + self.before * self.channels
    }

    /// Copies images of `height` rows of `width` values in; the zeros around stay.
    fn copy(&self, images: &[f32], height: usize, width: usize, buffer: &mut [f32]) {
        for (index, row) in images.chunks_exact(width).enumerate() {
            let at = self.at(index / height, index % height);
            buffer[at..at + width].copy_from_slice(row);
        }
    }
}

/// The outputs, `[batch, out_height, out_width, outputs]`, of the input `[batch, height, width, inputs]` and
/// the weights `[outputs, inputs, kernel, kernel]`.
///
/// `finish` is called once for a stretch of output images while they are still in the cache, with the index of
/// the first, and may change them. What it returns comes back in the images' order.
///
/// # Panics
///
/// If a slice has not the length that `conv` says, or `conv` is of no possible convolution.
pub fn forward<T: Send>(
    isa: Isa,
    conv: &Conv,
    input: &[f32],
    weights: &[f32],
    finish: impl Fn(usize, &mut [f32]) -> T + Sync,
) -> (Buffer, Vec<T>) {
    conv.check(input, weights);
    let weights = Weights::forward(isa, conv, weights);
    let padded = conv.padded_input();
    let group = conv.group();
    let quads = quads(group, [conv.out_height(), conv.out_width()], |image, y, x| {
        let source = image * padded.image() + y * conv.stride * padded.row() + x * conv.stride * conv.inputs;
        (source, image * conv.out_image() + (y * conv.out_width() + x) * conv.outputs)
    });
    let mut output = Buffer::any(conv.batch * conv.out_image());
    let stretches = output.par_chunks_mut(group * conv.out_image()).enumerate();
    let finished = stretches.map_init(
        || padded.zeros(group),
        |buffer, (index, output)| {
            let images = output.len() / conv.out_image();
            let input = &input[index * group * conv.in_image()..][..images * conv.in_image()];
            padded.copy(input, conv.height, conv.width * conv.inputs, buffer);
            isa.run(Direct {
                input: buffer,
                pixel: conv.stride * conv.inputs,
                rows: conv.kernel,
                row: padded.row(),
                segment: conv.kernel * conv.inputs,
                quads: &quads[..quads.len() / group * images],
                weights: &weights.0,
                output,
                channels: conv.outputs,
                step: conv.outputs,
            });
            finish(index * group, output)
        },
    );
    let finished = finished.collect();
    (output, finished)
}

/// The gradients of a loss with respect to the weights `[outputs, inputs, kernel, kernel]` and, where
/// `input_gradient` asks for it, the input, given its gradient with respect to the outputs.
///
/// `gradient` writes the latter a row of pixels at a time, `[out_width, outputs]`; rows are counted through
/// the whole batch. It is called once a row.
///
/// # Panics
///
/// As [`forward`].
pub fn backward(
    isa: Isa,
    conv: &Conv,
    input: &[f32],
    weights: &[f32],
    gradient: impl Fn(usize, &mut [f32]) + Sync,
    input_gradient: bool,
) -> (Vec<f32>, Option<Buffer>) {
    conv.check(input, weights);
    let group = conv.group();
    let (padded, padded_gradient) = (conv.padded_input(), conv.padded_gradient(isa));
    let phases = if input_gradient { Phase::all(isa, conv, weights) } else { Vec::new() };
    let quads: Vec<Vec<Quad>> = phases.iter().map(|phase| phase.quads(conv, &padded_gradient, group)).collect();

    let padded_outputs = conv.outputs.next_multiple_of(tile::block(isa, conv.outputs));
    let sums_len = conv.kernel * conv.kernel * conv.inputs * padded_outputs;
    let lanes = (PARTIAL_SUMS / (sums_len * size_of::<f32>())).clamp(4, 32);
    // Images of a lane, the unit of parallel work, in whole groups.
    let lane = conv.batch.div_ceil(lanes).next_multiple_of(group).max(1);

    let mut result = Buffer::any(if input_gradient { input.len() } else { 0 });
    // A lane without images' gradients has an empty stretch of them.
    let stretches: Vec<&mut [f32]> = if input_gradient {
        result.chunks_mut(lane * conv.in_image()).collect()
    } else {
        (0..conv.batch.div_ceil(lane)).map(|_| [].as_mut_slice()).collect()
    };
    let sums: Vec<Buffer> = stretches
        .into_par_iter()
        .enumerate()
        .map(|(index, result)| {
            let mut sums = Buffer::zeros(sums_len);
            let (mut inputs, mut gradients) = (padded.zeros(group), padded_gradient.zeros(group));
            let images = lane.min(conv.batch - index * lane);
            for first in (0..images).step_by(group) {
                let images = group.min(images - first);
                for row in 0..images * conv.out_height() {
                    let at = padded_gradient.at(row / conv.out_height(), row % conv.out_height());
                    let to = &mut gradients[at..at + conv.out_width() * conv.outputs];
                    gradient((index * lane + first) * conv.out_height() + row, to);
                }
                for (phase, quads) in phases.iter().zip(&quads) {
                    isa.run(Direct {
                        input: &gradients,
                        pixel: conv.outputs,
                        rows: phase.taps[0],
                        row: padded_gradient.row(),
                        segment: phase.taps[1] * conv.outputs,
                        quads: &quads[..quads.len() / group * images],
                        weights: &phase.weights.0,
                        output: &mut result[first * conv.in_image()..][..images * conv.in_image()],
                        channels: conv.inputs,
                        step: conv.stride * conv.inputs,
                    });
                }
                let from = &input[(index * lane + first) * conv.in_image()..][..images * conv.in_image()];
                padded.copy(from, conv.height, conv.width * conv.inputs, &mut inputs);
                isa.run(WeightGradient {
                    input: &inputs,
                    input_steps: [padded.image(), conv.stride * padded.row(), conv.stride * conv.inputs, padded.row()],
                    gradient: &gradients[padded_gradient.at(0, 0)..],
                    gradient_steps: [padded_gradient.image(), padded_gradient.row(), conv.outputs],
                    counts: [images, conv.out_height(), conv.out_width()],
                    rows: conv.kernel,
                    segment: conv.kernel * conv.inputs,
                    channels: conv.outputs,
                    weights: &mut sums,
                });
            }
            sums
        })
        .collect();
    (pack::unpack(conv, padded_outputs, &sums), input_gradient.then_some(result))
}

/// The quads of `images` images of the size given; `place` gives source and target of a pixel.
fn quads(
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
