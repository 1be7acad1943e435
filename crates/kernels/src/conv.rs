//! 2-D convolution, channels last, of f32 or bf16.
//!
//! Where the machine multiplies matrices of bf16 itself, those are made of a few images at a time (`matrix`). Else
//! everything is multiplied as f32: images are copied into a zero-padded buffer a few at a time; what a row of the kernel sees of it is then
//! one stretch of memory, and the inner loops (`tile`) run over such stretches. In both cases work is divided by the shape
//! alone and sums are added in a fixed order, so results do not depend on the number of threads.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod matrix;
mod pack;
mod tile;
#[cfg(target_arch = "x86_64")]
mod unfold;

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::element::Element;
use crate::isa::Isa;
use crate::norm::{self, Channels, Moments, Source};
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

/// Bytes of sums of weights' gradients that stay in the second-level cache beside what they are added from.
const SUMS: usize = 640 << 10;

/// Channels whose sums are taken together are whole such ranges: whole blocks on any machine.
const RANGE: usize = 32;

/// Lanes of images, whose sums are kept apart so that they can be taken side by side, at most.
const LANES: usize = 32;

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

    fn check(&self, weights: &[f32]) {
        assert!(self.kernel > 0 && self.stride > 0 && self.padding < self.kernel, "impossible {self:?}");
        assert!(
            self.height + 2 * self.padding >= self.kernel && self.width + 2 * self.padding >= self.kernel,
            "kernel larger than the padded image: {self:?}"
        );
        assert!(self.inputs > 0 && self.outputs > 0, "no channels: {self:?}");
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
#[derive(Clone, Copy, PartialEq, Eq)]
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

    /// Values of so many.
    fn len(&self, images: usize) -> usize {
        images * self.image() + self.slack
    }

    fn zeros(&self, images: usize) -> Buffer {
        Buffer::zeros(self.len(images))
    }

    /// Where the pixels of a row begin.
    fn at(&self, image: usize, row: usize) -> usize {
        image * self.image() + (self.before + row) * self.row() + self.before * self.channels
    }

    /// Copies images of `height` rows of `width` values in; the zeros around stay.
    fn copy<T: Element>(&self, images: &[T], height: usize, width: usize, buffer: &mut [f32]) {
        for (index, row) in images.chunks_exact(width).enumerate() {
            let at = self.at(index / height, index % height);
            buffer[at..at + width].iter_mut().zip(row).for_each(|(to, value)| *to = value.single());
        }
    }
}

/// What becomes of a convolution's outputs while they are in the cache.
#[derive(Clone, Copy)]
pub enum After<'a, T> {
    /// Their moments are taken, before they are rounded.
    Moments,
    /// They are normalised, a residual is added where there is one, and ReLU comes last where it is asked for.
    Normalise {
        /// How.
        channels: &'a Channels,
        /// As long as the outputs.
        residual: Option<&'a [T]>,
        /// Whether negative outputs are cut off.
        relu: bool,
    },
}

/// What a convolution reads: `[batch, height, width, inputs]`.
#[derive(Clone, Copy)]
pub enum Input<'a, T> {
    /// Values as they are.
    Ready(&'a [T]),
    /// An earlier convolution's outputs, to be normalised and cut off at zero in passing.
    Convolved(&'a [T], &'a Channels),
}

impl<'a, T: Element> Input<'a, T> {
    /// The same, if the values are bf16.
    #[cfg(target_arch = "x86_64")]
    fn as_bf16(self) -> Option<Input<'a, half::bf16>> {
        Some(match self {
            Self::Ready(values) => Input::Ready(T::as_bf16(values)?),
            Self::Convolved(values, channels) => Input::Convolved(T::as_bf16(values)?, channels),
        })
    }

    fn stored(self) -> &'a [T] {
        let (Self::Ready(values) | Self::Convolved(values, _)) = self;
        values
    }

    /// The values at `at`, if need be made in `scratch`.
    fn values<'b>(self, isa: Isa, at: Range<usize>, scratch: &'b mut Buffer<T>) -> &'b [T]
    where
        'a: 'b,
    {
        match self {
            Self::Ready(values) => &values[at],
            Self::Convolved(values, channels) => {
                if scratch.len() < at.len() {
                    *scratch = Buffer::any(at.len());
                }
                let scratch = &mut scratch[..at.len()];
                norm::normalise(isa, channels, Source::From(&values[at]), None, true, scratch);
                scratch
            }
        }
    }
}

/// The outputs, `[batch, out_height, out_width, outputs]`, of the input `[batch, height, width, inputs]` and the weights
/// `[outputs, inputs, kernel, kernel]`, and their moments if those are taken and there are outputs.
///
/// # Panics
///
/// If a slice has not the length that `conv` says, or `conv` is of no possible convolution.
pub fn forward<T: Element>(
    isa: Isa,
    conv: &Conv,
    input: Input<'_, T>,
    weights: &[f32],
    after: After<'_, T>,
) -> (Buffer<T>, Option<Moments>) {
    assert_eq!(input.stored().len(), conv.batch * conv.in_image(), "length of the input");
    let prepared = Prepared::new(isa, conv, weights);
    let mut output = Buffer::any(conv.batch * conv.out_image());
    if let After::Normalise { residual: Some(residual), .. } = after {
        assert_eq!(residual.len(), output.len(), "length of the residual");
    }
    let groups = prepared.groups.split(&mut output, conv.out_image()).into_par_iter();
    let moments: Vec<Option<Moments>> = groups
        .map_init(Scratch::default, |scratch, (group, output)| prepared.group(&group, input, after, scratch, output))
        .collect();
    (output, moments.into_iter().flatten().reduce(|all, next| all.merge(&next)))
}

/// A convolution with its weights laid out as the instruction set reads them, for whoever uses them again and again.
pub struct Prepared<T> {
    isa: Isa,
    conv: Conv,
    groups: Groups,
    weights: Multiply,
    values: PhantomData<T>,
}

/// How [`Prepared`] weights are multiplied with.
enum Multiply {
    /// To be multiplied as f32.
    Singles(Singles),
    /// To be multiplied as bf16 in tiles.
    #[cfg(target_arch = "x86_64")]
    Tiles(Box<matrix::Forward>),
}

/// Memory of a thread that convolves, for one convolution after the other.
pub struct Scratch<T> {
    /// Inputs that are made in passing.
    made: Buffer<T>,
    /// Outputs before they are rounded.
    singles: Buffer,
    /// Inputs in their frames of zeros, and what these were last laid out for.
    framed: (Option<Padded>, Buffer),
    /// Inputs as rows of a matrix.
    #[cfg(target_arch = "x86_64")]
    rows: Buffer<half::bf16>,
}

impl<T: Element> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            made: Buffer::any(0),
            singles: Buffer::any(0),
            framed: (None, Buffer::any(0)),
            #[cfg(target_arch = "x86_64")]
            rows: Buffer::any(0),
        }
    }
}

impl<T: Element> Prepared<T> {
    /// From the weights `[outputs, inputs, kernel, kernel]`.
    ///
    /// # Panics
    ///
    /// If the slice has not the length that `conv` says, or `conv` is of no possible convolution.
    pub fn new(isa: Isa, conv: &Conv, weights: &[f32]) -> Self {
        conv.check(weights);
        #[cfg(target_arch = "x86_64")]
        if isa.multiplies_bf16() && T::as_bf16(&[]).is_some() {
            let groups = matrix::groups(conv);
            // SAFETY: the instruction set has tiles.
            let weights = Multiply::Tiles(Box::new(unsafe { matrix::Forward::new(conv, weights, groups.sizes()) }));
            return Self { isa, conv: *conv, groups, weights, values: PhantomData };
        }
        let groups = Groups::new(conv.batch, conv.group());
        let weights = Multiply::Singles(Singles::new(isa, conv, weights, groups.sizes()[1]));
        Self { isa, conv: *conv, groups, weights, values: PhantomData }
    }

    /// Its shape.
    pub fn conv(&self) -> &Conv {
        &self.conv
    }

    /// [`forward`] on this thread alone, of a whole batch.
    ///
    /// # Panics
    ///
    /// If a slice has not the length that the shape says.
    pub fn forward(&self, input: Input<'_, T>, after: After<'_, T>, scratch: &mut Scratch<T>, output: &mut [T]) {
        let conv = &self.conv;
        assert_eq!(input.stored().len(), conv.batch * conv.in_image(), "length of the input");
        assert_eq!(output.len(), conv.batch * conv.out_image(), "length of the output");
        if let After::Normalise { residual: Some(residual), .. } = after {
            assert_eq!(residual.len(), output.len(), "length of the residual");
        }
        for (group, output) in self.groups.split(output, conv.out_image()) {
            self.group(&group, input, after, scratch, output);
        }
    }

    /// The outputs of a group of images, and their moments if those are taken.
    fn group(
        &self,
        group: &Group,
        input: Input<'_, T>,
        after: After<'_, T>,
        scratch: &mut Scratch<T>,
        output: &mut [T],
    ) -> Option<Moments> {
        let conv = &self.conv;
        let input = input.values(self.isa, group.values(conv.in_image()), &mut scratch.made);
        let after = match after {
            After::Moments => After::Moments,
            After::Normalise { channels, residual, relu } => {
                let residual = residual.map(|residual| &residual[group.values(conv.out_image())]);
                After::Normalise { channels, residual, relu }
            }
        };
        match &self.weights {
            Multiply::Singles(singles) => {
                singles.group(self.isa, conv, input, after, (&mut scratch.singles, &mut scratch.framed), output)
            }
            #[cfg(target_arch = "x86_64")]
            Multiply::Tiles(tiles) => {
                let (Some(input), Some(output)) = (T::as_bf16(input), T::as_bf16_mut(output)) else {
                    unreachable!("tiles are laid out for bf16 alone")
                };
                let after = match after {
                    After::Moments => After::Moments,
                    After::Normalise { channels, residual, relu } => {
                        After::Normalise { channels, residual: residual.and_then(T::as_bf16), relu }
                    }
                };
                // SAFETY: only an instruction set with tiles is given this layout.
                unsafe { tiles.group(group, input, after, &mut scratch.rows, output) }
            }
        }
    }
}

/// Weights to be multiplied as f32.
struct Singles {
    weights: Weights,
    padded: Padded,
    /// Images that `quads` are of.
    images: usize,
    quads: Vec<Quad>,
}

impl Singles {
    /// For groups of at most so many images.
    fn new(isa: Isa, conv: &Conv, weights: &[f32], images: usize) -> Self {
        let padded = conv.padded_input();
        let quads = quads(images, [conv.out_height(), conv.out_width()], |image, y, x| {
            let source = image * padded.image() + y * conv.stride * padded.row() + x * conv.stride * conv.inputs;
            (source, image * conv.out_image() + (y * conv.out_width() + x) * conv.outputs)
        });
        Self { weights: Weights::forward(isa, conv, weights), padded, images, quads }
    }

    fn group<T: Element>(
        &self,
        isa: Isa,
        conv: &Conv,
        input: &[T],
        after: After<'_, T>,
        (scratch, (frame, framed)): (&mut Buffer, &mut (Option<Padded>, Buffer)),
        output: &mut [T],
    ) -> Option<Moments> {
        let images = output.len() / conv.out_image();
        if *frame != Some(self.padded) || framed.len() < self.padded.len(images) {
            *framed = self.padded.zeros(self.images);
            *frame = Some(self.padded);
        }
        self.padded.copy(input, conv.height, conv.width * conv.inputs, framed);
        let mut moments = None;
        T::through_singles(output, scratch, |output| {
            isa.run(Direct {
                input: framed,
                pixel: conv.stride * conv.inputs,
                rows: conv.kernel,
                row: self.padded.row(),
                segment: conv.kernel * conv.inputs,
                quads: &self.quads[..self.quads.len() / self.images * images],
                weights: &self.weights.0,
                output,
                channels: conv.outputs,
                step: conv.outputs,
            });
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

/// Even groups of a batch's images: of one size, or of two next to each other.
struct Groups {
    batch: usize,
    count: usize,
}

/// One of them.
struct Group {
    images: Range<usize>,
    /// Which of the sizes it has.
    size: usize,
}

impl Group {
    /// Where its values lie among those of all images, of which each has `image`.
    fn values(&self, image: usize) -> Range<usize> {
        self.images.start * image..self.images.end * image
    }
}

impl Groups {
    /// As many as have at most `size` images each.
    fn new(batch: usize, size: usize) -> Self {
        Self { batch, count: batch.div_ceil(size.max(1)) }
    }

    fn sizes(&self) -> [usize; 2] {
        let least = self.batch.checked_div(self.count).unwrap_or(0);
        [least, least + 1]
    }

    fn get(&self, index: usize) -> Group {
        let at = |index: usize| index * self.batch / self.count;
        let images = at(index)..at(index + 1);
        Group { size: images.len() - self.sizes()[0], images }
    }

    fn iter(&self) -> impl Iterator<Item = Group> + '_ {
        (0..self.count).map(|index| self.get(index))
    }

    /// Each with its stretch of `values`, of which an image has `image`.
    fn split<'a, T>(&self, mut values: &'a mut [T], image: usize) -> Vec<(Group, &'a mut [T])> {
        let mut stretches = Vec::with_capacity(self.count);
        for group in self.iter() {
            let (stretch, rest) = values.split_at_mut(group.values(image).len());
            stretches.push((group, stretch));
            values = rest;
        }
        stretches
    }
}

/// What [`backward`] is to do.
#[derive(Clone, Copy)]
pub struct Wanted<'a, T> {
    /// About the gradient of the input.
    pub input: OfInput<'a, T>,
    /// What is there already of the weights' gradient, by another use of them, to be added to it.
    pub weights: Option<&'a [f32]>,
}

/// What is to be done about the gradient of an input.
#[derive(Clone, Copy)]
pub enum OfInput<'a, T> {
    /// It is not wanted.
    Unwanted,
    /// It is.
    Wanted,
    /// It is, and this, from another use of the input, is to be added to it.
    Added(&'a [T]),
}

/// The gradients of a loss with respect to the weights `[outputs, inputs, kernel, kernel]` and, where
/// it is wanted, the input, given its gradient with respect to the outputs: `gradient` writes that of a stretch of images,
/// and is asked for each image once. `made` is shown the input's gradient of each image once, while it is in the cache.
///
/// # Panics
///
/// As [`forward`].
pub fn backward<T: Element>(
    isa: Isa,
    conv: &Conv,
    input: Input<'_, T>,
    weights: &[f32],
    gradient: impl Fn(Range<usize>, &mut [T]) + Sync,
    made: impl Fn(Range<usize>, &[T]) + Sync,
    wanted: Wanted<'_, T>,
) -> (Buffer, Option<Buffer<T>>) {
    conv.check(weights);
    assert_eq!(input.stored().len(), conv.batch * conv.in_image(), "length of the input");
    let of_weights = wanted.weights;
    let (input_gradient, added) = match wanted.input {
        OfInput::Unwanted => (false, None),
        OfInput::Wanted => (true, None),
        OfInput::Added(added) => (true, Some(added)),
    };
    assert!(added.is_none_or(|added| added.len() == input.stored().len()), "length of the input's gradient so far");
    assert!(of_weights.is_none_or(|added| added.len() == weights.len()), "length of the weights' gradient so far");
    let mut result = Buffer::any(if input_gradient { input.stored().len() } else { 0 });
    #[cfg(target_arch = "x86_64")]
    if let (true, Some(input)) = (isa.multiplies_bf16(), input.as_bf16()) {
        let gradient = |images: Range<usize>, to: &mut [half::bf16]| {
            gradient(images, T::from_bf16_mut(to).expect("bf16, as the input is"));
        };
        let made =
            |images: Range<usize>, of: &[half::bf16]| made(images, T::from_bf16(of).expect("bf16, as the input is"));
        let of_input = match T::as_bf16_mut(&mut result) {
            Some(result) if input_gradient => {
                Some(matrix::IntoInput { added: added.and_then(T::as_bf16), result, made: &made })
            }
            _ => None,
        };
        // SAFETY: the instruction set has tiles.
        let of_weights = unsafe { matrix::backward(isa, conv, input, weights, &gradient, of_input, of_weights) };
        return (of_weights, input_gradient.then_some(result));
    }
    let backward = SinglesBackward::new(isa, conv, weights, input, added, input_gradient);
    let of_weights = backward.run(&gradient, &made, &mut result, of_weights);
    (of_weights, input_gradient.then_some(result))
}

/// [`backward`], multiplied as f32.
struct SinglesBackward<'a, T> {
    isa: Isa,
    conv: &'a Conv,
    input: Input<'a, T>,
    added: Option<&'a [T]>,
    input_gradient: bool,
    padded: Padded,
    padded_gradient: Padded,
    phases: Vec<(Phase, Vec<Quad>)>,
    /// Images that are worked on together.
    group: usize,
}

/// Inputs and the gradient of outputs of a group of images, in their frames of zeros.
struct Framed {
    inputs: Buffer,
    gradient: Buffer,
}

impl<'a, T: Element> SinglesBackward<'a, T> {
    fn new(
        isa: Isa,
        conv: &'a Conv,
        weights: &[f32],
        input: Input<'a, T>,
        added: Option<&'a [T]>,
        input_gradient: bool,
    ) -> Self {
        let group = conv.group();
        let padded_gradient = conv.padded_gradient(isa);
        let phases = if input_gradient { Phase::all(isa, conv, weights) } else { Vec::new() };
        let with_quads = |phase: Phase| {
            let quads = phase.quads(conv, &padded_gradient, group);
            (phase, quads)
        };
        let phases = phases.into_iter().map(with_quads).collect();
        Self { isa, conv, input, added, input_gradient, padded: conv.padded_input(), padded_gradient, phases, group }
    }

    /// Writes the input's gradient to `result`, and returns the weights'.
    fn run(
        &self,
        gradient: &(impl Fn(Range<usize>, &mut [T]) + Sync),
        made: &(impl Fn(Range<usize>, &[T]) + Sync),
        result: &mut [T],
        of_weights: Option<&[f32]>,
    ) -> Buffer {
        let Self { conv, group, .. } = *self;
        let rows = conv.kernel * conv.kernel * conv.inputs;
        let padded_outputs = conv.outputs.next_multiple_of(tile::block(self.isa, conv.outputs));
        let sums_bytes = rows * padded_outputs * size_of::<f32>();
        if sums_bytes <= SUMS {
            // Images of a lane, the unit of parallel work, in whole groups.
            let lane = conv.batch.div_ceil(LANES).next_multiple_of(group).max(1);
            let sums: Vec<Buffer> = self
                .stretches(result, lane)
                .into_par_iter()
                .enumerate()
                .map(|(index, mut result)| {
                    let mut sums = Buffer::zeros(rows * padded_outputs);
                    let mut framed = self.frames();
                    let mut scratch = Scratch::default();
                    let lane = index * lane..((index + 1) * lane).min(conv.batch);
                    for at in lane.clone().step_by(group) {
                        let images = at..(at + group).min(lane.end);
                        let own = result.split_off_mut(..self.values(images.len())).expect("a lane's");
                        self.frame(images.clone(), gradient, made, own, &mut framed, &mut scratch);
                        self.weigh(&framed, images.len(), 0..conv.outputs, &mut sums);
                    }
                    sums
                })
                .collect();
            return pack::unpack(conv, padded_outputs, &sums, 1, of_weights);
        }
        // The sums of all channels would not stay in the cache: frames are kept, and some channels' sums are taken over all of
        // a lane's images before the next ones'.
        let framed: Vec<(Framed, usize)> = self
            .stretches(result, group)
            .into_par_iter()
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
        let units: Vec<(&[(Framed, usize)], usize)> =
            framed.chunks(lane).flat_map(|lane| (0..ranges).map(move |range| (lane, range))).collect();
        let sums: Vec<Buffer> = units
            .into_par_iter()
            .map(|(lane, range)| {
                let channels = range * width..((range + 1) * width).min(conv.outputs);
                // The last range may be so narrow that its blocks are, too.
                let block = tile::block(self.isa, channels.len());
                let mut sums = Buffer::zeros(rows * channels.len().next_multiple_of(block));
                for (framed, images) in lane {
                    self.weigh(framed, *images, channels.clone(), &mut sums);
                }
                sums
            })
            .collect();
        pack::unpack(conv, width, &sums, ranges, of_weights)
    }

    /// Values of the input's gradient that so many images have, if it is wanted.
    fn values(&self, images: usize) -> usize {
        if self.input_gradient { images * self.conv.in_image() } else { 0 }
    }

    /// The input's gradient, so many images at a time; empty stretches where it is not wanted.
    fn stretches<'b>(&self, mut result: &'b mut [T], images: usize) -> Vec<&'b mut [T]> {
        let batch = self.conv.batch;
        let stretch = |at: usize| {
            result.split_off_mut(..self.values(images.min(batch - at))).expect("as long as the batch's images")
        };
        (0..batch).step_by(images).map(stretch).collect()
    }

    fn frames(&self) -> Framed {
        Framed { inputs: self.padded.zeros(self.group), gradient: self.padded_gradient.zeros(self.group) }
    }

    /// Frames a group's inputs and gradient, and makes the gradient of the inputs where it is wanted.
    fn frame(
        &self,
        images: Range<usize>,
        gradient: &impl Fn(Range<usize>, &mut [T]),
        made: &impl Fn(Range<usize>, &[T]),
        result: &mut [T],
        framed: &mut Framed,
        scratch: &mut Scratch<T>,
    ) {
        let Self { conv, padded, padded_gradient, .. } = self;
        let count = images.len();
        let Scratch { made: from, singles, .. } = scratch;
        if from.len() < count * conv.out_image() {
            *from = Buffer::any(count * conv.out_image());
        }
        let from = &mut from[..count * conv.out_image()];
        gradient(images.clone(), from);
        padded_gradient.copy(from, conv.out_height(), conv.out_width() * conv.outputs, &mut framed.gradient);
        if self.input_gradient {
            T::through_singles(&mut *result, singles, |result| {
                for (phase, quads) in &self.phases {
                    self.isa.run(Direct {
                        input: &framed.gradient,
                        pixel: conv.outputs,
                        rows: phase.taps[0],
                        row: padded_gradient.row(),
                        segment: phase.taps[1] * conv.outputs,
                        quads: &quads[..quads.len() / self.group * count],
                        weights: &phase.weights.0,
                        output: result,
                        channels: conv.inputs,
                        step: conv.stride * conv.inputs,
                    });
                }
                if let Some(added) = self.added {
                    let added = &added[images.start * conv.in_image()..][..result.len()];
                    // Rounded before, too, so that it is the same whichever of two parts comes first.
                    let sums = result.iter_mut().zip(added);
                    sums.for_each(|(result, added)| *result = T::of(*result).single() + added.single());
                }
            });
            made(images.clone(), result);
        }
        let at = images.start * conv.in_image()..images.end * conv.in_image();
        let values = self.input.values(self.isa, at, &mut scratch.made);
        padded.copy(values, conv.height, conv.width * conv.inputs, &mut framed.inputs);
    }

    /// Adds the gradient of some channels' weights over a group of images.
    fn weigh(&self, framed: &Framed, images: usize, channels: Range<usize>, sums: &mut [f32]) {
        let Self { conv, padded, padded_gradient, .. } = self;
        self.isa.run(WeightGradient {
            input: &framed.inputs,
            input_steps: [padded.image(), conv.stride * padded.row(), conv.stride * conv.inputs, padded.row()],
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
