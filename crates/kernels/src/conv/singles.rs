//! Convolution multiplied as f32: images are copied into frames of zeros a few at a time, and inner
//! loops run over stretches of them, or over their transformed tiles.

use std::ops::Range;

use rayon::prelude::*;

use super::pack::{self, Phase, Weights};
use super::tile::{self, Direct, QUAD, Quad, WeightGradient};
use super::winograd::{self, OfWeights};
use super::{AT_ONCE, After, Conv, Groups, Input, Scratch, stretches};
use crate::buffer::Buffer;
use crate::element::Element;
use crate::isa::Isa;
use crate::norm::{self, Moments, Source};

/// Pixels of output that are worked on together: few enough for the second-level cache, enough to
/// use a weight often once it is in the first.
const PIXELS: usize = 128;

/// Bytes of sums of weights' gradients that stay in the second-level cache beside what they are
/// added from.
const SUMS: usize = 640 << 10;

/// Channels whose sums are taken together are whole such ranges: whole blocks on any machine.
const RANGE: usize = 32;

/// Lanes of images, whose sums are kept apart so that they can be taken side by side, at most.
const LANES: usize = 32;

/// Images that are worked on together.
fn group(conv: &Conv) -> usize {
    if conv.is_minimal() {
        return winograd::group(conv);
    }
    PIXELS.div_ceil(conv.out_height() * conv.out_width()).clamp(1, conv.batch.max(1))
}

/// The groups that a batch is convolved in.
pub(super) fn groups(conv: &Conv) -> Groups {
    Groups::new(conv.batch, group(conv))
}

impl Conv {
    /// The padded input of a group of images.
    fn padded_input(&self) -> Padded {
        let (height, width) = (self.height + 2 * self.padding, self.width + 2 * self.padding);
        let slack = QUAD * self.stride * self.inputs;
        let size = [self.height, self.width];
        self.framed(Padded {
            size,
            height,
            width,
            channels: self.inputs,
            before: self.padding,
            slack,
        })
    }

    /// The padded gradient of a group of output images, wide enough for every output that an input
    /// pixel had a part in, or would have had in a larger image.
    fn padded_gradient(&self, isa: Isa) -> Padded {
        let before = (self.kernel - 1 - self.padding) / self.stride;
        let reach =
            |size: usize, out: usize| before + out.max((size - 1 + self.padding) / self.stride + 1);
        self.framed(Padded {
            size: [self.out_height(), self.out_width()],
            height: reach(self.height, self.out_height()),
            width: reach(self.width, self.out_width()),
            channels: self.outputs,
            before,
            slack: QUAD * self.outputs + tile::block(isa, self.outputs),
        })
    }

    /// The frame, as far as the last of Winograd's tiles reaches where those are taken.
    fn framed(&self, padded: Padded) -> Padded {
        if !self.is_minimal() {
            return padded;
        }
        let [height, width] = [padded.height, padded.width].map(|size| size.next_multiple_of(2));
        Padded { height, width, slack: winograd::LINE, ..padded }
    }
}

/// Layout of images with zeros around them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Padded {
    /// Rows and columns of an image.
    size: [usize; 2],
    /// Rows and columns with the zeros.
    height: usize,
    width: usize,
    channels: usize,
    /// Zeros above and to the left, in pixels.
    pub before: usize,
    /// Values behind the last image that may be read but are of no consequence.
    slack: usize,
}

impl Padded {
    pub fn row(&self) -> usize {
        self.width * self.channels
    }

    pub fn image(&self) -> usize {
        self.height * self.row()
    }

    /// Values of so many.
    fn len(&self, images: usize) -> usize {
        images * self.image() + self.slack
    }

    fn zeros(&self, images: usize) -> Buffer {
        Buffer::zeros(self.len(images))
    }

    /// Where the pixels of a row begin.
    pub fn at(&self, image: usize, row: usize) -> usize {
        image * self.image() + (self.before + row) * self.row() + self.before * self.channels
    }

    /// Copies images in; the zeros around stay.
    fn copy<T: Element>(&self, images: &[T], buffer: &mut [f32]) {
        let [height, width] = [self.size[0], self.size[1] * self.channels];
        for (index, row) in images.chunks_exact(width).enumerate() {
            let at = self.at(index / height, index % height);
            buffer[at..at + width].iter_mut().zip(row).for_each(|(to, value)| *to = value.single());
        }
    }
}

/// Weights laid out for [`super::forward`], and images in groups.
pub(super) struct Forward {
    padded: Padded,
    /// Images of a group, at most.
    images: usize,
    correlation: Correlation,
}

/// How images are correlated with kernels.
enum Correlation {
    Direct(Weights, Vec<Quad>),
    Minimal(winograd::Correlation),
}

impl Forward {
    /// For groups of at most so many images.
    pub fn new(isa: Isa, conv: &Conv, weights: &[f32], images: usize) -> Self {
        let padded = conv.padded_input();
        let correlation = if conv.is_minimal() {
            Correlation::Minimal(winograd::Correlation::forward(
                isa, conv, weights, &padded, images,
            ))
        } else {
            let quads = quads(images, [conv.out_height(), conv.out_width()], |image, y, x| {
                let source = image * padded.image()
                    + y * conv.stride * padded.row()
                    + x * conv.stride * conv.inputs;
                (source, image * conv.out_image() + (y * conv.out_width() + x) * conv.outputs)
            });
            Correlation::Direct(Weights::forward(isa, conv, weights), quads)
        };
        Self { padded, images, correlation }
    }

    pub fn group<T: Element>(
        &self,
        isa: Isa,
        conv: &Conv,
        input: &[T],
        after: After<'_, T>,
        (scratch, (frame, framed), tiles): (
            &mut Buffer,
            &mut (Option<Padded>, Buffer),
            &mut Buffer,
        ),
        output: &mut [T],
    ) -> Option<Moments> {
        let images = output.len() / conv.out_image();
        if *frame != Some(self.padded) || framed.len() < self.padded.len(images) {
            *framed = self.padded.zeros(self.images);
            *frame = Some(self.padded);
        }
        self.padded.copy(input, framed);
        let mut moments = None;
        T::through_singles(output, scratch, |output| {
            match &self.correlation {
                Correlation::Direct(weights, quads) => isa.run(Direct {
                    input: framed,
                    pixel: conv.stride * conv.inputs,
                    rows: conv.kernel,
                    row: self.padded.row(),
                    segment: conv.kernel * conv.inputs,
                    quads: &quads[..quads.len() / self.images * images],
                    weights: &weights.0,
                    output,
                    channels: conv.outputs,
                    step: conv.outputs,
                }),
                Correlation::Minimal(correlation) => {
                    correlation.run(isa, framed, images, tiles, output)
                }
            }
            match after {
                After::Moments => {
                    let each = output.chunks_exact(conv.out_image());
                    let each = each.map(|image| Moments::of(isa, image, conv.outputs));
                    moments = each.reduce(|all, next| all.merge(&next));
                }
                After::Normalise { channels, residual, relu } => {
                    norm::normalise(isa, channels, Source::InPlace, residual, relu, output);
                }
            }
        });
        moments
    }
}

/// [`super::backward`], multiplied as f32.
pub(super) struct Backward<'a, T> {
    isa: Isa,
    conv: &'a Conv,
    input: Input<'a, T>,
    added: Option<&'a [T]>,
    padded: Padded,
    padded_gradient: Padded,
    of_input: OfInput,
    /// By minimal filtering, where that is how.
    of_weights: Option<OfWeights>,
    /// Images that are worked on together.
    group: usize,
}

/// How the gradient of the inputs is made.
enum OfInput {
    Unwanted,
    Direct(Vec<(Phase, Vec<Quad>)>),
    Minimal(winograd::Correlation),
}

/// Inputs and the gradient of outputs of a group of images, in their frames of zeros.
struct Framed {
    inputs: Buffer,
    gradient: Buffer,
}

impl<'a, T: Element> Backward<'a, T> {
    pub fn new(
        isa: Isa,
        conv: &'a Conv,
        weights: &[f32],
        input: Input<'a, T>,
        added: Option<&'a [T]>,
        input_gradient: bool,
    ) -> Self {
        let group = group(conv);
        let (padded, padded_gradient) = (conv.padded_input(), conv.padded_gradient(isa));
        let of_input = if !input_gradient {
            OfInput::Unwanted
        } else if conv.is_minimal() {
            OfInput::Minimal(winograd::Correlation::backward(
                isa,
                conv,
                weights,
                &padded_gradient,
                group,
            ))
        } else {
            let with_quads = |phase: Phase| {
                let quads = phase.quads(conv, &padded_gradient, group);
                (phase, quads)
            };
            OfInput::Direct(Phase::all(isa, conv, weights).into_iter().map(with_quads).collect())
        };
        let of_weights = conv
            .is_minimal()
            .then(|| OfWeights::new(isa, conv, [&padded, &padded_gradient], group));
        Self { isa, conv, input, added, padded, padded_gradient, of_input, of_weights, group }
    }

    /// Writes the input's gradient to `result`, and returns the weights'.
    pub fn run(
        &self,
        gradient: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        made: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        result: &mut [T],
        added: Option<&[f32]>,
    ) -> Buffer {
        let Self { isa, conv, group, .. } = *self;
        if let Some(of_weights) = &self.of_weights {
            if of_weights.sums() * size_of::<f32>() > winograd::SUMS {
                return of_weights.unpack(
                    isa,
                    vec![self.rounds(of_weights, gradient, made, result)],
                    added,
                );
            }
            let weigh =
                |framed: &Framed, images: usize, scratch: &mut Scratch<T>, sums: &mut [f32]| {
                    of_weights.weigh(
                        isa,
                        [&framed.inputs, &framed.gradient],
                        images,
                        &mut scratch.tiles,
                        sums,
                    );
                };
            return of_weights.unpack(
                isa,
                self.lanes(gradient, made, result, of_weights.sums(), weigh),
                added,
            );
        }
        let rows = conv.kernel * conv.kernel * conv.inputs;
        let padded_outputs = conv.outputs.next_multiple_of(tile::block(isa, conv.outputs));
        if rows * padded_outputs * size_of::<f32>() <= SUMS {
            let weigh = |framed: &Framed, images: usize, _: &mut Scratch<T>, sums: &mut [f32]| {
                self.weigh(framed, images, 0..conv.outputs, sums);
            };
            let sums = self.lanes(gradient, made, result, rows * padded_outputs, weigh);
            return pack::unpack(conv, padded_outputs, &sums, 1, added);
        }
        // The sums of all channels would not stay in the cache: frames are kept, and some channels'
        // sums are taken over all of a lane's images before the next ones'.
        let framed: Vec<(Framed, usize)> = self
            .stretches(result, group)
            .into_par_iter()
            .with_max_len(AT_ONCE)
            .enumerate()
            .map_init(Scratch::default, |scratch, (index, result)| {
                let mut framed = self.frames();
                let images = index * group..((index + 1) * group).min(conv.batch);
                self.frame(images.clone(), gradient, made, result, &mut framed, scratch);
                (framed, images.len())
            })
            .collect();
        let width = (SUMS / (rows * size_of::<f32>()) / RANGE * RANGE).max(RANGE);
        let ranges = conv.outputs.div_ceil(width);
        let lanes = LANES.div_ceil(ranges).min(framed.len()).max(1);
        let lane = framed.len().div_ceil(lanes).max(1);
        let units: Vec<(&[(Framed, usize)], usize)> = framed
            .chunks(lane)
            .flat_map(|lane| (0..ranges).map(move |range| (lane, range)))
            .collect();
        let sums: Vec<Buffer> = units
            .into_par_iter()
            .with_max_len(1)
            .map(|(lane, range)| {
                let channels = range * width..((range + 1) * width).min(conv.outputs);
                // The last range may be so narrow that its blocks are, too.
                let block = tile::block(isa, channels.len());
                let mut sums = Buffer::zeros(rows * channels.len().next_multiple_of(block));
                for (framed, images) in lane {
                    self.weigh(framed, *images, channels.clone(), &mut sums);
                }
                sums
            })
            .collect();
        pack::unpack(conv, width, &sums, ranges, added)
    }

    /// Sums of the weights' gradient, `len` a lane, which stay in the cache while `weigh` adds to
    /// them what each group of images gives.
    fn lanes(
        &self,
        gradient: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        made: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        result: &mut [T],
        len: usize,
        weigh: impl Fn(&Framed, usize, &mut Scratch<T>, &mut [f32]) + Sync,
    ) -> Vec<Buffer> {
        let Self { conv, group, .. } = *self;
        // Images of a lane, the unit of parallel work, in whole groups.
        let lane = conv.batch.div_ceil(LANES).next_multiple_of(group).max(1);
        let lanes = self.stretches(result, lane).into_par_iter().with_max_len(1).enumerate();
        let sums = lanes.map(|(index, mut result)| {
            let mut sums = Buffer::zeros(len);
            let mut framed = self.frames();
            let mut scratch = Scratch::default();
            let lane = index * lane..((index + 1) * lane).min(conv.batch);
            for at in lane.clone().step_by(group) {
                let images = at..(at + group).min(lane.end);
                let own = result.split_off_mut(..self.values(images.len())).expect("a lane's");
                self.frame(images.clone(), gradient, made, own, &mut framed, &mut scratch);
                weigh(&framed, images.len(), &mut scratch, &mut sums);
            }
            sums
        });
        sums.collect()
    }

    /// Sums of the weights' gradient that would not stay in the cache: the transformed tiles of
    /// some groups of images are kept, and the sums of one position after the other are taken over
    /// all of them.
    fn rounds(
        &self,
        of_weights: &OfWeights,
        gradient: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        made: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        result: &mut [T],
    ) -> Buffer {
        let Self { isa, conv, group, .. } = *self;
        let mut sums = Buffer::zeros(of_weights.sums());
        let mut groups: Vec<(usize, &mut [T])> =
            self.stretches(result, group).into_iter().enumerate().collect();
        for round in groups.chunks_mut(of_weights.round()) {
            let transformed: Vec<Vec<winograd::Transformed>> = round
                .par_iter_mut()
                .map_init(
                    || (self.frames(), Scratch::default()),
                    |(framed, scratch), (index, result)| {
                        let images = *index * group..((*index + 1) * group).min(conv.batch);
                        self.frame(images.clone(), gradient, made, result, framed, scratch);
                        of_weights
                            .transformed(isa, [&framed.inputs, &framed.gradient], images.len())
                            .collect()
                    },
                )
                .collect();
            of_weights.weigh_all(isa, &transformed, &mut sums);
        }
        sums
    }

    /// Values of the input's gradient that so many images have, if it is wanted.
    fn values(&self, images: usize) -> usize {
        if matches!(self.of_input, OfInput::Unwanted) { 0 } else { images * self.conv.in_image() }
    }

    /// The input's gradient, so many images at a time; empty stretches where it is not wanted.
    fn stretches<'b>(&self, result: &'b mut [T], images: usize) -> Vec<&'b mut [T]> {
        let batch = self.conv.batch;
        stretches(result, (0..batch).step_by(images).map(|at| self.values(images.min(batch - at))))
    }

    fn frames(&self) -> Framed {
        Framed {
            inputs: self.padded.zeros(self.group),
            gradient: self.padded_gradient.zeros(self.group),
        }
    }

    /// Frames a group's inputs and gradient, and makes the gradient of the inputs where it is
    /// wanted.
    fn frame(
        &self,
        images: Range<usize>,
        gradient: &impl Fn(Range<usize>, &mut [T]),
        made: &impl Fn(Range<usize>, &mut [T]),
        result: &mut [T],
        framed: &mut Framed,
        scratch: &mut Scratch<T>,
    ) {
        let Self { conv, padded, padded_gradient, .. } = self;
        let count = images.len();
        let Scratch { made: from, singles, tiles, .. } = scratch;
        let from = from.at_least(count * conv.out_image());
        gradient(images.clone(), from);
        padded_gradient.copy(from, &mut framed.gradient);
        if !matches!(self.of_input, OfInput::Unwanted) {
            T::through_singles(&mut *result, singles, |result| {
                self.correlate(&framed.gradient, count, tiles, result);
                if let Some(added) = self.added {
                    let added = &added[images.start * conv.in_image()..][..result.len()];
                    // Rounded before, too, so that it is the same whichever of two parts comes
                    // first.
                    let sums = result.iter_mut().zip(added);
                    sums.for_each(|(result, added)| {
                        *result = T::of(*result).single() + added.single()
                    });
                }
            });
            made(images.clone(), result);
        }
        let at = images.start * conv.in_image()..images.end * conv.in_image();
        let values = self.input.values(self.isa, at, &mut scratch.made);
        padded.copy(values, &mut framed.inputs);
    }

    /// Writes the gradient of the inputs of a group of images, if it is wanted.
    fn correlate(&self, framed: &[f32], images: usize, tiles: &mut Buffer, result: &mut [f32]) {
        let Self { conv, padded_gradient, .. } = self;
        match &self.of_input {
            OfInput::Unwanted => {}
            OfInput::Direct(phases) => {
                for (phase, quads) in phases {
                    self.isa.run(Direct {
                        input: framed,
                        pixel: conv.outputs,
                        rows: phase.taps[0],
                        row: padded_gradient.row(),
                        segment: phase.taps[1] * conv.outputs,
                        quads: &quads[..quads.len() / self.group * images],
                        weights: &phase.weights.0,
                        output: &mut *result,
                        channels: conv.inputs,
                        step: conv.stride * conv.inputs,
                    });
                }
            }
            OfInput::Minimal(correlation) => {
                correlation.run(self.isa, framed, images, tiles, result)
            }
        }
    }

    /// Adds the gradient of some channels' weights over a group of images.
    fn weigh(&self, framed: &Framed, images: usize, channels: Range<usize>, sums: &mut [f32]) {
        let Self { conv, padded, padded_gradient, .. } = self;
        self.isa.run(WeightGradient {
            input: &framed.inputs,
            input_steps: [
                padded.image(),
                conv.stride * padded.row(),
                conv.stride * conv.inputs,
                padded.row(),
            ],
            gradient: &framed.gradient[padded_gradient.at(0, 0) + channels.start..],
            gradient_steps: [padded_gradient.image(), padded_gradient.row(), conv.outputs],
            counts: [images, conv.out_height(), conv.out_width()],
            rows: conv.kernel,
            segment: conv.kernel * conv.inputs,
            channels: channels.len(),
            weights: sums,
        });
    }
}

/// The quads of `images` images of the size given; `place` gives source and target of a pixel.
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
