//! Weights in the order in which the inner loops read them.

use rayon::prelude::*;

use super::Conv;
use super::singles::{Padded, quads};
use super::tile::{self, Quad};
use crate::buffer::Buffer;
use crate::isa::Isa;

/// Weights as `[blocks, taps, from, block]`, where a block is some channels of the result, zeros
/// behind the last channel, and a tap a pixel of the kernel.
pub(super) struct Weights(pub Buffer);

impl Weights {
    /// Those of `forward`: from inputs to outputs.
    pub(super) fn forward(isa: Isa, conv: &Conv, weights: &[f32]) -> Self {
        let area = conv.kernel * conv.kernel;
        Self::new(isa, conv.outputs, conv.inputs, area, |tap, from, to| {
            weights[(to * conv.inputs + from) * area + tap]
        })
    }

    fn new(
        isa: Isa,
        channels: usize,
        from: usize,
        taps: usize,
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Self {
        let block = tile::block(isa, channels);
        let mut packed = Buffer::any(channels.next_multiple_of(block) * taps * from);
        packed.par_chunks_mut((block * taps * from).max(1)).enumerate().for_each(
            |(index, packed)| {
                for (at, lanes) in packed.chunks_exact_mut(block).enumerate() {
                    for (lane, value) in lanes.iter_mut().enumerate() {
                        let channel = index * block + lane;
                        *value = if channel < channels {
                            weight(at / from, at % from, channel)
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

/// The input pixels that lie alike towards the steps of the kernel: `stride`² phases. The same taps
/// of the kernel reach all pixels of a phase, so its gradient is a plain correlation with those
/// taps, turned round.
pub(super) struct Phase {
    /// First row and column of the phase.
    pub first: [usize; 2],
    /// Rows and columns of the kernel that reach it.
    pub taps: [usize; 2],
    /// From outputs to inputs.
    pub weights: Weights,
}

impl Phase {
    /// Those of `conv` with at least one pixel.
    pub(super) fn all(isa: Isa, conv: &Conv, weights: &[f32]) -> Vec<Self> {
        let mut phases = Vec::new();
        for y in 0..conv.stride.min(conv.height) {
            for x in 0..conv.stride.min(conv.width) {
                let (rows, columns) = (taps(conv, y), taps(conv, x));
                let taps = [rows.len(), columns.len()];
                let weights = Weights::new(
                    isa,
                    conv.inputs,
                    conv.outputs,
                    taps[0] * taps[1],
                    |tap, from, to| {
                        let (row, column) = (rows[tap / taps[1]], columns[tap % taps[1]]);
                        weights
                            [((from * conv.inputs + to) * conv.kernel + row) * conv.kernel + column]
                    },
                );
                phases.push(Self { first: [y, x], taps, weights });
            }
        }
        phases
    }

    /// Its pixels in `images` images; sources are in the padded gradient, targets in the input's
    /// gradient.
    pub(super) fn quads(&self, conv: &Conv, gradient: &Padded, images: usize) -> Vec<Quad> {
        let [y0, x0] = self.first;
        let size =
            [(conv.height - y0).div_ceil(conv.stride), (conv.width - x0).div_ceil(conv.stride)];
        let [top, left] = self.first.map(|first| source(conv, first, gradient.before));
        quads(images, size, |image, y, x| {
            let source =
                image * gradient.image() + (top + y) * gradient.row() + (left + x) * conv.outputs;
            let pixel = (y0 + y * conv.stride) * conv.width + x0 + x * conv.stride;
            (source, image * conv.in_image() + pixel * conv.inputs)
        })
    }
}

/// The taps, along one axis, that reach the pixels `first`, `first + stride`, …, in the order of
/// the outputs that they reach them from: (pixel + padding − tap) / stride.
pub(super) fn taps(conv: &Conv, first: usize) -> Vec<usize> {
    (0..conv.kernel)
        .rev()
        .filter(|tap| (first + conv.padding) % conv.stride == tap % conv.stride)
        .collect()
}

/// Position in the padded gradient of the first output that reaches the pixel `first`.
fn source(conv: &Conv, first: usize, before: usize) -> usize {
    // Without taps nothing is read, and any position will do.
    taps(conv, first)
        .first()
        .map_or(0, |tap| (before * conv.stride + first + conv.padding - tap) / conv.stride)
}

/// Outputs whose weights are unpacked together: values that lie together in the sums.
const TOGETHER: usize = 16;

/// Adds lanes' sums in order, brings them into the weights' own order, and adds what there is more.
/// Each lane has one of `[taps, inputs, width]` for every range of `width` channels, rounded up to
/// whole blocks in the last.
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
            let mut all = [0.0f32; TOGETHER];
            for sums in sums.iter().skip(range).step_by(ranges) {
                let sums = &sums[row * pitch + first..][..outputs];
                all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
            }
            for (output, all) in all[..outputs].iter().enumerate() {
                weights[output * len + at] = *all;
            }
        }
        if let Some(added) = added {
            let added = &added[index * TOGETHER * len..];
            weights.iter_mut().zip(added).for_each(|(weight, added)| *weight += added);
        }
    });
    weights
}
