//! 2-D convolution, channels last, of f32 or bf16.
//!
//! Where the machine multiplies matrices of bf16 itself, those are made of a few images at a time
//! (`matrix`). Else everything is multiplied as f32 (`singles`): images are copied into a
//! zero-padded buffer a few at a time. Kernels of 3×3 that move by one pixel then take 16 products
//! of matrices for 36 (`winograd`); of any others, what a row of the kernel sees is one stretch of
//! memory, and the inner loops (`tile`) run over such stretches. In all cases work is divided by
//! the shape alone and sums are added in a fixed order, so results do not depend on the number of
//! threads.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod frame;
#[cfg(target_arch = "x86_64")]
mod matrix;
#[cfg(target_arch = "x86_64")]
mod order;
mod pack;
mod singles;
mod tile;
mod winograd;

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::element::Element;
use crate::isa::Isa;
use crate::norm::{self, Channels, Moments, Source};
use singles::Padded;

/// Units that a thread takes on without asking whether another one is idle, where beginning costs
/// it some memory: what is left of them when the others are done is time that those wait.
const AT_ONCE: usize = 8;

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

    /// Floating-point operations of each of its passes as `isa` computes it in f32 or, where
    /// `short`, in bf16: a product and a sum each count as one. Of minimal filtering, 16 products
    /// where plain sums have 36, its transforms do not count.
    ///
    /// ```
    /// use selfsame_kernels::conv::Conv;
    /// use selfsame_kernels::isa::Isa;
    ///
    /// let conv = Conv { batch: 1, height: 8, width: 8, inputs: 16, outputs: 32, kernel: 3, stride: 1, padding: 1 };
    /// assert_eq!(conv.operations(Isa::available()[0], false), 2.0 * 8.0 * 8.0 * 16.0 * 32.0 * 9.0 / 2.25);
    /// ```
    pub fn operations(&self, isa: Isa, short: bool) -> f64 {
        let plain =
            2.0 * (self.batch * self.out_image() * self.inputs * self.kernel * self.kernel) as f64;
        if self.is_minimal() && !(short && isa.multiplies_bf16()) {
            plain * 16.0 / 36.0
        } else {
            plain
        }
    }

    fn check(&self, weights: &[f32]) {
        assert!(
            self.kernel > 0 && self.stride > 0 && self.padding < self.kernel,
            "impossible {self:?}"
        );
        assert!(
            self.height + 2 * self.padding >= self.kernel
                && self.width + 2 * self.padding >= self.kernel,
            "kernel larger than the padded image: {self:?}"
        );
        assert!(self.inputs > 0 && self.outputs > 0, "no channels: {self:?}");
        assert_eq!(
            weights.len(),
            self.outputs * self.inputs * self.kernel * self.kernel,
            "length of the weights"
        );
    }
}

/// What becomes of a convolution's outputs while they are in the cache.
#[derive(Clone, Copy)]
pub enum After<'a, T> {
    /// Their moments are taken, before they are rounded.
    Moments,
    /// They are normalised, a residual is added where there is one, and ReLU comes last where it is
    /// asked for.
    Normalise {
        /// How.
        channels: &'a Channels,
        /// As long as the outputs.
        residual: Option<&'a [T]>,
        /// Whether negative outputs are cut off.
        relu: bool,
    },
}

impl<'a, T> After<'a, T> {
    /// The same with another form or part of the residual, where there is one.
    fn residual<U>(self, of: impl FnOnce(&'a [T]) -> &'a [U]) -> After<'a, U> {
        match self {
            Self::Moments => After::Moments,
            Self::Normalise { channels, residual, relu } => {
                After::Normalise { channels, residual: residual.map(of), relu }
            }
        }
    }
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
                let scratch = scratch.at_least(at.len());
                norm::normalise(isa, channels, Source::From(&values[at]), None, true, scratch);
                scratch
            }
        }
    }
}

/// The outputs, `[batch, out_height, out_width, outputs]`, of the input `[batch, height, width,
/// inputs]` and the weights `[outputs, inputs, kernel, kernel]`, and their moments if those are
/// taken and there are outputs.
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
    let prepared = Prepared::new(isa, conv, weights);
    let mut output = Buffer::any(conv.batch * conv.out_image());
    prepared.check(input, after, &output);
    let groups =
        prepared.groups.split(&mut output, conv.out_image()).into_par_iter().with_max_len(AT_ONCE);
    let moments: Vec<Option<Moments>> = groups
        .map_init(Scratch::default, |scratch, (group, output)| {
            prepared.group(&group, input, after, scratch, output)
        })
        .collect();
    (output, moments.into_iter().flatten().reduce(|all, next| all.merge(&next)))
}

/// A convolution with its weights laid out as the instruction set reads them, for whoever uses them
/// again and again.
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
    Singles(singles::Forward),
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
    /// Tiles of inputs and outputs, transformed.
    tiles: Buffer,
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
            tiles: Buffer::any(0),
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
            let weights = Multiply::Tiles(Box::new(unsafe {
                matrix::Forward::new(conv, weights, groups.sizes())
            }));
            return Self { isa, conv: *conv, groups, weights, values: PhantomData };
        }
        let groups = singles::groups(conv);
        let weights =
            Multiply::Singles(singles::Forward::new(isa, conv, weights, groups.sizes()[1]));
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
    pub fn forward(
        &self,
        input: Input<'_, T>,
        after: After<'_, T>,
        scratch: &mut Scratch<T>,
        output: &mut [T],
    ) {
        self.check(input, after, output);
        for (group, output) in self.groups.split(output, self.conv.out_image()) {
            self.group(&group, input, after, scratch, output);
        }
    }

    fn check(&self, input: Input<'_, T>, after: After<'_, T>, output: &[T]) {
        let conv = &self.conv;
        assert_eq!(input.stored().len(), conv.batch * conv.in_image(), "length of the input");
        assert_eq!(output.len(), conv.batch * conv.out_image(), "length of the output");
        if let After::Normalise { residual: Some(residual), .. } = after {
            assert_eq!(residual.len(), output.len(), "length of the residual");
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
        let after = after.residual(|residual| &residual[group.values(conv.out_image())]);
        match &self.weights {
            Multiply::Singles(singles) => {
                let Scratch { singles: unrounded, framed, tiles, .. } = scratch;
                singles.group(self.isa, conv, input, after, (unrounded, framed, tiles), output)
            }
            #[cfg(target_arch = "x86_64")]
            Multiply::Tiles(tiles) => {
                let short = |values| T::as_bf16(values).expect("tiles are laid out for bf16 alone");
                let output = T::as_bf16_mut(output).expect("bf16, as the input is");
                let (input, after) = (short(input), after.residual(short));
                // SAFETY: only an instruction set with tiles is given this layout.
                unsafe { tiles.group(group, input, after, &mut scratch.rows, output) }
            }
        }
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
    fn split<'a, T>(&self, values: &'a mut [T], image: usize) -> Vec<(Group, &'a mut [T])> {
        let lens = self.iter().map(|group| group.values(image).len());
        self.iter().zip(stretches(values, lens)).collect()
    }
}

/// `values` cut into stretches of these lengths.
fn stretches<T>(mut values: &mut [T], lens: impl Iterator<Item = usize>) -> Vec<&mut [T]> {
    lens.map(|len| values.split_off_mut(..len).expect("as many values as all of them have"))
        .collect()
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

/// The gradients of a loss with respect to the weights `[outputs, inputs, kernel, kernel]` and,
/// where it is wanted, the input, given its gradient with respect to the outputs: `gradient` writes
/// that of a stretch of images, and is asked for each image once. `made` is handed the input's
/// gradient of each image once, while it is in the cache, and may change it.
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
    made: impl Fn(Range<usize>, &mut [T]) + Sync,
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
    assert!(
        added.is_none_or(|added| added.len() == input.stored().len()),
        "length of the input's gradient so far"
    );
    assert!(
        of_weights.is_none_or(|added| added.len() == weights.len()),
        "length of the weights' gradient so far"
    );
    let mut result = Buffer::any(if input_gradient { input.stored().len() } else { 0 });
    #[cfg(target_arch = "x86_64")]
    if let (true, Some(input)) = (isa.multiplies_bf16(), input.as_bf16()) {
        let gradient = |images: Range<usize>, to: &mut [half::bf16]| {
            gradient(images, T::from_bf16_mut(to).expect("bf16, as the input is"));
        };
        let made = |images: Range<usize>, of: &mut [half::bf16]| {
            made(images, T::from_bf16_mut(of).expect("bf16, as the input is"));
        };
        let of_input = match T::as_bf16_mut(&mut result) {
            Some(result) if input_gradient => {
                Some(matrix::IntoInput { added: added.and_then(T::as_bf16), result, made: &made })
            }
            _ => None,
        };
        // SAFETY: the instruction set has tiles.
        let of_weights =
            unsafe { matrix::backward(isa, conv, input, weights, &gradient, of_input, of_weights) };
        return (of_weights, input_gradient.then_some(result));
    }
    let backward = singles::Backward::new(isa, conv, weights, input, added, input_gradient);
    let of_weights = backward.run(&gradient, &made, &mut result, of_weights);
    (of_weights, input_gradient.then_some(result))
}
