//! Convolution in f32 on the vector unit.
//!
//! ```text
//! for each group of images:
//!     copy the images into frames of zeros
//!     for each block of channels, and each few pixels:
//!         keep their sums in registers, and add input · weight over all taps
//! ```
//!
//! 1. **Groups** are small enough that the values they read and write stay in the second-level
//!    cache.
//! 2. **3 × 3 kernels that move by one pixel** are computed by [`winograd`], which saves more than
//!    half of the multiplications. Other kernels are computed by [`direct`](super::direct).
//! 3. **The gradient of the input** is the correlation of the output's gradient with the kernel
//!    turned round, phase by phase ([`Phase`]).
//! 4. **The gradient of the weights** is summed over the images of each partition of the batch, and
//!    the partitions' sums are added in order at the end. If a partition's sums would not stay in
//!    the cache, all frames (or transformed tiles) are kept, and a range of the sums is computed
//!    over all images before the next range begins.

use std::ops::Range;

use rayon::prelude::*;

use super::direct::{Direct, Quad, WeightGradient, quads};
use super::groups::{GROUPS_AT_ONCE, Groups, stretches};
use super::operands::{After, Input};
use super::pack::{self, Phase, Weights};
use super::padded::Padded;
use super::registers::block;
use super::scratch::Scratch;
use super::shape::Conv;
use super::winograd;
use crate::buffer::{Buffer, through_f32};
use crate::element::Element;
use crate::isa::Isa;
use crate::norm::{self, Moments, Source};

/// Target number of output pixels per group: few enough for the second-level cache, and enough to
/// use each weight often while it is in the first-level cache.
const PIXELS: usize = 128;

/// Size, in bytes, up to which the sums of the weights' gradient stay in the second-level cache,
/// together with the values that are added to the sums.
const SUM_BYTES: usize = 640 << 10;

/// Channels are divided into ranges whose length is a multiple of this number, so that a range is a
/// whole number of blocks on any machine.
const CHANNEL_RANGE: usize = 32;

/// Maximum number of partitions of the batch. Each partition has its own sums.
const PARTITIONS: usize = 32;

/// Number of images per group.
fn group_size(conv: &Conv) -> usize {
    if conv.is_minimal() {
        return winograd::group_size(conv);
    }
    PIXELS.div_ceil(conv.out_height() * conv.out_width()).clamp(1, conv.batch.max(1))
}

/// Divides the batch into the groups of the forward pass.
pub(super) fn groups(conv: &Conv) -> Groups {
    Groups::new(conv.batch, group_size(conv))
}

/// The forward pass: packed weights, and the layout of a group.
pub(super) struct Forward {
    padded: Padded,
    /// Maximum number of images per group.
    images: usize,
    correlation: Correlation,
}

/// How images are correlated with kernels.
enum Correlation {
    Direct(Weights, Vec<Quad>),
    Minimal(winograd::Correlation),
}

/// Memory that a thread reuses from one group to the next; see [`Scratch`].
pub(super) struct Memory<'a> {
    pub unrounded: &'a mut Buffer,
    pub frames: &'a mut (Option<Padded>, Buffer),
    pub tiles: &'a mut Buffer,
}

impl Forward {
    /// Prepares the forward pass for groups of at most `images` images.
    pub fn new(isa: Isa, conv: &Conv, weights: &[f32], images: usize) -> Self {
        let padded = Padded::input(conv);
        let correlation = if conv.is_minimal() {
            Correlation::Minimal(winograd::Correlation::forward(
                isa, conv, weights, &padded, images,
            ))
        } else {
            let quads = quads(images, [conv.out_height(), conv.out_width()], |image, y, x| {
                let source = image * padded.image_pitch()
                    + y * conv.stride * padded.row_pitch()
                    + x * conv.stride * conv.inputs;
                (source, image * conv.out_image() + (y * conv.out_width() + x) * conv.outputs)
            });
            Correlation::Direct(Weights::forward(isa, conv, weights), quads)
        };
        Self { padded, images, correlation }
    }

    /// Writes the outputs of a group's images. Returns the outputs' moments if `after` asks for
    /// them.
    pub fn group<T: Element>(
        &self,
        isa: Isa,
        conv: &Conv,
        input: &[T],
        after: After<'_, T>,
        memory: Memory<'_>,
        output: &mut [T],
    ) -> Option<Moments> {
        let Memory { unrounded, frames: (layout, frames), tiles } = memory;
        let images = output.len() / conv.out_image();
        // Frames that were last used with this layout already have zeros where the layout needs
        // them.
        if *layout != Some(self.padded) || frames.len() < self.padded.len(images) {
            *frames = self.padded.zeros(self.images);
            *layout = Some(self.padded);
        }
        self.padded.copy(input, frames);
        let mut moments = None;
        through_f32(output, unrounded, |output| {
            match &self.correlation {
                Correlation::Direct(weights, quads) => isa.run(Direct {
                    input: frames,
                    pixel_pitch: conv.stride * conv.inputs,
                    kernel_rows: conv.kernel,
                    row_pitch: self.padded.row_pitch(),
                    segment: conv.kernel * conv.inputs,
                    quads: &quads[..quads.len() / self.images * images],
                    weights: &weights.0,
                    output,
                    channels: conv.outputs,
                    output_pitch: conv.outputs,
                }),
                Correlation::Minimal(correlation) => {
                    correlation.run(isa, frames, images, tiles, output)
                }
            }
            match after {
                After::Moments => {
                    let images = output.chunks_exact(conv.out_image());
                    let moments_of = images.map(|image| Moments::of(isa, image, conv.outputs));
                    moments = moments_of.reduce(|all, next| all.merge(&next));
                }
                After::Normalise { channels, residual, relu } => {
                    norm::normalise(isa, channels, Source::InPlace, residual, relu, output);
                }
            }
        });
        moments
    }
}

/// The backward pass, [`super::backward`].
pub(super) struct Backward<'a, T> {
    isa: Isa,
    conv: &'a Conv,
    input: Input<'a, T>,
    /// Values to add to the input's gradient.
    added: Option<&'a [T]>,
    padded: Padded,
    padded_gradient: Padded,
    input_plan: InputPlan,
    /// Plan for computing the weights' gradient by minimal filtering, if the shape allows it.
    minimal: Option<winograd::WeightPlan>,
    /// Number of images per group.
    group: usize,
}

/// How the gradient of the input is computed.
enum InputPlan {
    Unwanted,
    Direct(Vec<(Phase, Vec<Quad>)>),
    Minimal(winograd::Correlation),
}

/// The inputs and the output gradient of a group of images, in frames of zeros.
struct Frames {
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
        input_wanted: bool,
    ) -> Self {
        let group = group_size(conv);
        let (padded, padded_gradient) = (Padded::input(conv), Padded::gradient(isa, conv));
        let input_plan = if !input_wanted {
            InputPlan::Unwanted
        } else if conv.is_minimal() {
            InputPlan::Minimal(winograd::Correlation::backward(
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
            InputPlan::Direct(Phase::all(isa, conv, weights).into_iter().map(with_quads).collect())
        };
        let minimal = conv
            .is_minimal()
            .then(|| winograd::WeightPlan::new(isa, conv, [&padded, &padded_gradient], group));
        Self { isa, conv, input, added, padded, padded_gradient, input_plan, minimal, group }
    }

    /// Writes the input's gradient to `result`, and returns the weights' gradient.
    pub fn run(
        &self,
        fill: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        visit: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        result: &mut [T],
        added: Option<&[f32]>,
    ) -> Buffer {
        let Self { isa, conv, .. } = *self;
        if let Some(plan) = &self.minimal {
            if plan.sums() * size_of::<f32>() > winograd::SUM_BYTES {
                let sums = self.sums_in_rounds(plan, fill, visit, result);
                return plan.unpack(isa, vec![sums], added);
            }
            let add =
                |frames: &Frames, images: usize, scratch: &mut Scratch<T>, sums: &mut [f32]| {
                    let frames = [&*frames.inputs, &*frames.gradient];
                    plan.add_group(isa, frames, images, &mut scratch.tiles, sums);
                };
            let sums = self.partition_sums(fill, visit, result, plan.sums(), add);
            return plan.unpack(isa, sums, added);
        }
        let rows = conv.kernel * conv.kernel * conv.inputs;
        let padded_outputs = conv.outputs.next_multiple_of(block(isa, conv.outputs));
        if rows * padded_outputs * size_of::<f32>() <= SUM_BYTES {
            let add = |frames: &Frames, images: usize, _: &mut Scratch<T>, sums: &mut [f32]| {
                self.add_group(frames, images, 0..conv.outputs, sums);
            };
            let sums = self.partition_sums(fill, visit, result, rows * padded_outputs, add);
            return pack::unpack(conv, padded_outputs, &sums, 1, added);
        }
        let frames = self.all_frames(fill, visit, result);
        let width = (SUM_BYTES / (rows * size_of::<f32>()) / CHANNEL_RANGE * CHANNEL_RANGE)
            .max(CHANNEL_RANGE);
        let ranges = conv.outputs.div_ceil(width);
        let sums = self.range_sums(&frames, width, ranges);
        pack::unpack(conv, width, &sums, ranges, added)
    }

    /// Returns the sums of the weights' gradient, `len` sums for each partition of the batch. A
    /// partition's sums stay in the cache while `add` adds the contribution of each group of
    /// images.
    fn partition_sums(
        &self,
        fill: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        visit: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        result: &mut [T],
        len: usize,
        add: impl Fn(&Frames, usize, &mut Scratch<T>, &mut [f32]) + Sync,
    ) -> Vec<Buffer> {
        let Self { conv, group, .. } = *self;
        // Number of images per partition. A partition is a whole number of groups.
        let size = conv.batch.div_ceil(PARTITIONS).next_multiple_of(group).max(1);
        let partitions = self.split(result, size).into_par_iter().with_max_len(1).enumerate();
        let sums = partitions.map(|(index, mut result)| {
            let mut sums = Buffer::zeros(len);
            let mut frames = self.frames();
            let mut scratch = Scratch::default();
            let partition = index * size..((index + 1) * size).min(conv.batch);
            for start in partition.clone().step_by(group) {
                let images = start..(start + group).min(partition.end);
                let len = self.gradient_len(images.len());
                let result = result.split_off_mut(..len).expect("the partition's images");
                self.frame(images.clone(), fill, visit, result, &mut frames, &mut scratch);
                add(&frames, images.len(), &mut scratch, &mut sums);
            }
            sums
        });
        sums.collect()
    }

    /// Returns the frames of every group, with the group's number of images. All frames are kept,
    /// because the sums of all channels would not stay in the cache.
    fn all_frames(
        &self,
        fill: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        visit: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        result: &mut [T],
    ) -> Vec<(Frames, usize)> {
        let Self { conv, group, .. } = *self;
        self.split(result, group)
            .into_par_iter()
            .with_max_len(GROUPS_AT_ONCE)
            .enumerate()
            .map_init(Scratch::default, |scratch, (index, result)| {
                let mut frames = self.frames();
                let images = index * group..((index + 1) * group).min(conv.batch);
                self.frame(images.clone(), fill, visit, result, &mut frames, scratch);
                (frames, images.len())
            })
            .collect()
    }

    /// Returns the sums of the weights' gradient for every partition and every range of `width`
    /// channels. The sums of a range are computed over all of the partition's images before the
    /// next range begins.
    fn range_sums(&self, frames: &[(Frames, usize)], width: usize, ranges: usize) -> Vec<Buffer> {
        let Self { isa, conv, .. } = *self;
        let rows = conv.kernel * conv.kernel * conv.inputs;
        let partitions = PARTITIONS.div_ceil(ranges).min(frames.len()).max(1);
        let groups = frames.len().div_ceil(partitions).max(1);
        let units: Vec<(&[(Frames, usize)], usize)> = frames
            .chunks(groups)
            .flat_map(|partition| (0..ranges).map(move |range| (partition, range)))
            .collect();
        units
            .into_par_iter()
            .with_max_len(1)
            .map(|(partition, range)| {
                let channels = range * width..((range + 1) * width).min(conv.outputs);
                // The last range may be so narrow that its blocks are also narrower.
                let block = block(isa, channels.len());
                let mut sums = Buffer::zeros(rows * channels.len().next_multiple_of(block));
                for (frames, images) in partition {
                    self.add_group(frames, *images, channels.clone(), &mut sums);
                }
                sums
            })
            .collect()
    }

    /// Computes the sums of the weights' gradient by minimal filtering if these sums would not stay
    /// in the cache. Each round keeps the transformed tiles of some groups of images, and computes
    /// the sums of one component after the other over all of these tiles.
    fn sums_in_rounds(
        &self,
        plan: &winograd::WeightPlan,
        fill: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        visit: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        result: &mut [T],
    ) -> Buffer {
        let Self { isa, conv, group, .. } = *self;
        let mut sums = Buffer::zeros(plan.sums());
        let mut groups: Vec<(usize, &mut [T])> =
            self.split(result, group).into_iter().enumerate().collect();
        for round in groups.chunks_mut(plan.groups_per_round()) {
            let transformed: Vec<Vec<winograd::Transformed>> = round
                .par_iter_mut()
                .map_init(
                    || (self.frames(), Scratch::default()),
                    |(frames, scratch), (index, result)| {
                        let images = *index * group..((*index + 1) * group).min(conv.batch);
                        self.frame(images.clone(), fill, visit, result, frames, scratch);
                        plan.transformed(isa, [&frames.inputs, &frames.gradient], images.len())
                            .collect()
                    },
                )
                .collect();
            plan.add_all(isa, &transformed, &mut sums);
        }
        sums
    }

    /// Length of the input's gradient for `images` images, or 0 if that gradient is not wanted.
    fn gradient_len(&self, images: usize) -> usize {
        if matches!(self.input_plan, InputPlan::Unwanted) {
            0
        } else {
            images * self.conv.in_image()
        }
    }

    /// Splits the input's gradient into stretches of `images` images. The stretches are empty if
    /// the gradient is not wanted.
    fn split<'b>(&self, result: &'b mut [T], images: usize) -> Vec<&'b mut [T]> {
        let batch = self.conv.batch;
        let lens =
            (0..batch).step_by(images).map(|first| self.gradient_len(images.min(batch - first)));
        stretches(result, lens)
    }

    fn frames(&self) -> Frames {
        Frames {
            inputs: self.padded.zeros(self.group),
            gradient: self.padded_gradient.zeros(self.group),
        }
    }

    /// Copies a group's inputs and output gradient into frames, and computes the gradient of the
    /// input if it is wanted.
    fn frame(
        &self,
        images: Range<usize>,
        fill: &impl Fn(Range<usize>, &mut [T]),
        visit: &impl Fn(Range<usize>, &mut [T]),
        result: &mut [T],
        frames: &mut Frames,
        scratch: &mut Scratch<T>,
    ) {
        let Self { conv, padded, padded_gradient, .. } = self;
        let count = images.len();
        let Scratch { values, unrounded, tiles, .. } = scratch;
        let gradient = values.at_least(count * conv.out_image());
        fill(images.clone(), gradient);
        padded_gradient.copy(gradient, &mut frames.gradient);
        if !matches!(self.input_plan, InputPlan::Unwanted) {
            through_f32(&mut *result, unrounded, |result| {
                self.correlate(&frames.gradient, count, tiles, result);
                if let Some(added) = self.added {
                    let added = &added[images.start * conv.in_image()..][..result.len()];
                    // Both summands are rounded before they are added, so that the result does not
                    // depend on which summand was computed first.
                    let sums = result.iter_mut().zip(added);
                    sums.for_each(|(result, added)| {
                        *result = T::rounded(*result).widened() + added.widened()
                    });
                }
            });
            visit(images.clone(), result);
        }
        let range = images.start * conv.in_image()..images.end * conv.in_image();
        let values = self.input.read(self.isa, range, &mut scratch.values);
        padded.copy(values, &mut frames.inputs);
    }

    /// Writes the input's gradient for a group of images, if it is wanted.
    fn correlate(&self, frames: &[f32], images: usize, tiles: &mut Buffer, result: &mut [f32]) {
        let Self { conv, padded_gradient, .. } = self;
        match &self.input_plan {
            InputPlan::Unwanted => {}
            InputPlan::Direct(phases) => {
                for (phase, quads) in phases {
                    self.isa.run(Direct {
                        input: frames,
                        pixel_pitch: conv.outputs,
                        kernel_rows: phase.taps[0],
                        row_pitch: padded_gradient.row_pitch(),
                        segment: phase.taps[1] * conv.outputs,
                        quads: &quads[..quads.len() / self.group * images],
                        weights: &phase.weights.0,
                        output: &mut *result,
                        channels: conv.inputs,
                        output_pitch: conv.stride * conv.inputs,
                    });
                }
            }
            InputPlan::Minimal(correlation) => {
                correlation.run(self.isa, frames, images, tiles, result)
            }
        }
    }

    /// Adds a group's contribution to the gradient of the weights of `channels`.
    fn add_group(&self, frames: &Frames, images: usize, channels: Range<usize>, sums: &mut [f32]) {
        let Self { conv, padded, padded_gradient, .. } = self;
        self.isa.run(WeightGradient {
            input: &frames.inputs,
            input_pitches: [
                padded.image_pitch(),
                conv.stride * padded.row_pitch(),
                conv.stride * conv.inputs,
                padded.row_pitch(),
            ],
            gradient: &frames.gradient[padded_gradient.offset(0, 0) + channels.start..],
            gradient_pitches: [
                padded_gradient.image_pitch(),
                padded_gradient.row_pitch(),
                conv.outputs,
            ],
            counts: [images, conv.out_height(), conv.out_width()],
            kernel_rows: conv.kernel,
            segment: conv.kernel * conv.inputs,
            channels: channels.len(),
            sums,
        });
    }
}
