//! Packing for the direct loops: puts weights into the order in which [`direct`](super::direct)
//! reads them, and puts the sums of their gradient back into the weights' order.

use rayon::prelude::*;

use super::direct::{Quad, quads};
use super::padded::Padded;
use super::registers::block;
use super::shape::Conv;
use crate::buffer::Buffer;
use crate::isa::Isa;

/// Weights as `[blocks, taps, sources, block]`. Blocks are made of the result's channels, with
/// zeros after the last channel, and `sources` runs over the channels of the source.
pub(super) struct Weights(pub Buffer);

impl Weights {
    /// Packs the weights from inputs to outputs, for the forward pass.
    pub(super) fn forward(isa: Isa, conv: &Conv, weights: &[f32]) -> Self {
        let area = conv.kernel * conv.kernel;
        Self::new(isa, conv.outputs, conv.inputs, area, |tap, input, output| {
            weights[(output * conv.inputs + input) * area + tap]
        })
    }

    /// Packs the weights that `weight` returns for a tap, a channel of the source and a channel of
    /// the result.
    fn new(
        isa: Isa,
        channels: usize,
        sources: usize,
        taps: usize,
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let block = block(isa, channels);
        let mut packed = Buffer::any(channels.next_multiple_of(block) * taps * sources);
        packed.par_chunks_mut((block * taps * sources).max(1)).enumerate().for_each(
            |(index, packed)| {
                for (at, lanes) in packed.chunks_exact_mut(block).enumerate() {
                    for (lane, value) in lanes.iter_mut().enumerate() {
                        let channel = index * block + lane;
                        *value = if channel < channels {
                            weight(at / sources, at % sources, channel)
                        } else {
                            0.0
                        };
                    }
                }
            },
        );
        Self(packed)
    }
}

/// All input pixels whose row leaves one given remainder modulo the stride, and whose column leaves
/// one given remainder, which may differ from the row's remainder. There are `stride`² phases. The
/// same taps of the kernel reach all pixels of a phase, so the gradient of these pixels is a plain
/// correlation with these taps, turned round.
pub(super) struct Phase {
    /// First row and first column.
    first: [usize; 2],
    /// Number of rows and number of columns of the kernel that reach the phase.
    pub taps: [usize; 2],
    /// Weights from outputs to inputs.
    pub weights: Weights,
}

impl Phase {
    /// Returns the phases of `conv` that have pixels.
    pub(super) fn all(isa: Isa, conv: &Conv, weights: &[f32]) -> Vec<Self> {
        let mut phases = Vec::new();
        for y in 0..conv.stride.min(conv.height) {
            for x in 0..conv.stride.min(conv.width) {
                let (rows, columns) = (conv.taps_reaching(y), conv.taps_reaching(x));
                let taps = [rows.len(), columns.len()];
                let weights = Weights::new(
                    isa,
                    conv.inputs,
                    conv.outputs,
                    taps[0] * taps[1],
                    |tap, output, input| {
                        let (row, column) = (rows[tap / taps[1]], columns[tap % taps[1]]);
                        let kernel = output * conv.inputs + input;
                        weights[(kernel * conv.kernel + row) * conv.kernel + column]
                    },
                );
                phases.push(Self { first: [y, x], taps, weights });
            }
        }
        phases
    }

    /// Returns the phase's pixels in `images` images. Sources are in the framed gradient of the
    /// output, and targets are in the gradient of the input.
    pub(super) fn quads(&self, conv: &Conv, gradient: &Padded, images: usize) -> Vec<Quad> {
        let [y0, x0] = self.first;
        let size =
            [(conv.height - y0).div_ceil(conv.stride), (conv.width - x0).div_ceil(conv.stride)];
        let [top, left] = self.first.map(|first| first_source(conv, first, gradient.margin));
        quads(images, size, |image, y, x| {
            let source = image * gradient.image_pitch()
                + (top + y) * gradient.row_pitch()
                + (left + x) * conv.outputs;
            let pixel = (y0 + y * conv.stride) * conv.width + x0 + x * conv.stride;
            (source, image * conv.in_image() + pixel * conv.inputs)
        })
    }
}

/// Returns the row or column, in the framed gradient, of the first output that reaches the input
/// pixel `first`.
fn first_source(conv: &Conv, first: usize, margin: usize) -> usize {
    // Without taps, nothing is read, so any place serves.
    let taps = conv.taps_reaching(first);
    taps.first().map_or(0, |tap| (margin * conv.stride + first + conv.padding - tap) / conv.stride)
}

/// Number of outputs whose weights are unpacked together, because these outputs are neighbours in
/// the sums.
const TOGETHER: usize = 16;

/// Returns the gradient of the weights, `[outputs, inputs, kernel, kernel]`. Adds the sums of all
/// partitions in order, and then `added`. Each partition has sums `[taps, inputs, width]` for every
/// range of `width` channels. The last range is rounded up to whole blocks.
pub(super) fn unpack(
    conv: &Conv,
    width: usize,
    sums: &[Buffer],
    ranges: usize,
    added: Option<&[f32]>,
) -> Buffer {
    let area = conv.kernel * conv.kernel;
    let len = conv.inputs * area;
    let mut weights = Buffer::any(conv.outputs * len);
    weights.par_chunks_mut(TOGETHER * len).enumerate().for_each(|(index, weights)| {
        let (range, first) = (index * TOGETHER / width, index * TOGETHER % width);
        let (outputs, pitch) =
            (weights.len() / len, sums.get(range).map_or(0, |sums| sums.len() / len));
        for at in 0..len {
            let row = at % area * conv.inputs + at / area;
            let mut totals = [0.0f32; TOGETHER];
            for sums in sums.iter().skip(range).step_by(ranges) {
                let sums = &sums[row * pitch + first..][..outputs];
                totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
            }
            for (output, total) in totals[..outputs].iter().enumerate() {
                weights[output * len + at] = *total;
            }
        }
        if let Some(added) = added {
            let added = &added[index * TOGETHER * len..];
            weights.iter_mut().zip(added).for_each(|(weight, added)| *weight += added);
        }
    });
    weights
}
