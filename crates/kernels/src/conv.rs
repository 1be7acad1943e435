//! Convolution in two dimensions, channels last, of f32 or bf16.
//!
//! ```text
//! for each image, output row y and output column x:
//!     for each tap (row, column) of the kernel:
//!         output[y, x, ..] += weights[.., .., row, column]
//!                           · input[stride · y + row − padding, stride · x + column − padding, ..]
//! ```
//!
//! There are three ways to compute this:
//!
//! 1. **As a product of matrices** (`matrix`): if the instruction set multiplies bf16, and the values
//!    are bf16, the pixels of a few images at a time are the rows of a matrix, which is multiplied
//!    with the matrix of the weights.
//! 2. **By minimal filtering** (`vector`, `winograd`): for 3 × 3 kernels that move by one pixel, in
//!    f32. A tile of 2 × 2 outputs takes 16 products per input channel instead of the 36 of the
//!    plain sum.
//! 3. **Directly** (`vector`, `direct`): for any other kernel, in f32. Everything that a row of the
//!    kernel sees is one stretch of memory, and the inner loops run over such stretches.
//!
//! All three ways copy a few images at a time into frames of zeros, so that no loop tests for the
//! edge of an image. They divide the work by the shape alone and add sums in a fixed order, so that
//! results do not depend on the number of threads.

#[cfg(target_arch = "x86_64")]
mod amx;
mod direct;
#[cfg(target_arch = "x86_64")]
mod dot;
#[cfg(target_arch = "x86_64")]
mod frame;
mod groups;
#[cfg(target_arch = "x86_64")]
mod matrix;
#[cfg(target_arch = "x86_64")]
mod multiply;
mod operands;
#[cfg(target_arch = "x86_64")]
mod order;
mod pack;
mod padded;
#[cfg(target_arch = "x86_64")]
mod product;
mod registers;
mod scratch;
mod shape;
mod vector;
mod winograd;

pub use operands::{After, Input, InputGradient, Wanted};
pub use scratch::Scratch;
pub use shape::Conv;

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::element::Element;
use crate::isa::Isa;
use crate::norm::Moments;
use groups::{GROUPS_AT_ONCE, Group, Groups};

/// Convolves the input `[batch, height, width, inputs]` with the weights `[outputs, inputs, kernel,
/// kernel]`. Returns the outputs, `[batch, out_height, out_width, outputs]`, and, with
/// [`After::Moments`], the outputs' moments, if there are outputs.
///
/// # Panics
///
/// If a slice does not have the length that `conv` gives, or `conv` is impossible.
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
    let groups = prepared.groups.split(&mut output, conv.out_image()).into_par_iter();
    let moments: Vec<Option<Moments>> = groups
        .with_max_len(GROUPS_AT_ONCE)
        .map_init(Scratch::default, |scratch, (group, output)| {
            prepared.group(&group, input, after, scratch, output)
        })
        .collect();
    (output, moments.into_iter().flatten().reduce(|all, next| all.merge(&next)))
}

/// A convolution with packed weights, for callers that use the same weights repeatedly. The weights
/// are in the order in which the instruction set reads them.
pub struct Prepared<T> {
    isa: Isa,
    conv: Conv,
    groups: Groups,
    weights: Packed,
    values: PhantomData<T>,
}

/// Weights packed for one of the ways to multiply.
enum Packed {
    /// Weights for products of f32 on the vector unit.
    Vector(vector::Forward),
    /// Weights for products of matrices of bf16.
    #[cfg(target_arch = "x86_64")]
    Matrix(Box<matrix::Forward>),
}

impl<T: Element> Prepared<T> {
    /// Packs the weights `[outputs, inputs, kernel, kernel]`.
    ///
    /// # Panics
    ///
    /// If the slice does not have the length that `conv` gives, or `conv` is impossible.
    pub fn new(isa: Isa, conv: &Conv, weights: &[f32]) -> Self {
        conv.check(weights);
        #[cfg(target_arch = "x86_64")]
        if isa.multiplies_bf16() && T::as_bf16(&[]).is_some() {
            let groups = matrix::groups(conv);
            // SAFETY: an instruction set that multiplies bf16 has AVX-512.
            let weights = Packed::Matrix(Box::new(unsafe {
                matrix::Forward::new(conv, weights, groups.sizes())
            }));
            return Self { isa, conv: *conv, groups, weights, values: PhantomData };
        }
        let groups = vector::groups(conv);
        let weights = Packed::Vector(vector::Forward::new(isa, conv, weights, groups.sizes()[1]));
        Self { isa, conv: *conv, groups, weights, values: PhantomData }
    }

    /// Returns the shape of the convolution.
    pub fn conv(&self) -> &Conv {
        &self.conv
    }

    /// Computes [`forward`] of a whole batch, on this thread alone.
    ///
    /// # Panics
    ///
    /// If a slice does not have the length that the shape gives.
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

    /// Writes the outputs of a group of images. Returns the outputs' moments if `after` asks for
    /// them.
    fn group(
        &self,
        group: &Group,
        input: Input<'_, T>,
        after: After<'_, T>,
        scratch: &mut Scratch<T>,
        output: &mut [T],
    ) -> Option<Moments> {
        let conv = &self.conv;
        let input = input.read(self.isa, group.range(conv.in_image()), &mut scratch.values);
        let after = after.map_residual(|residual| &residual[group.range(conv.out_image())]);
        match &self.weights {
            Packed::Vector(forward) => {
                let Scratch { unrounded, frames, tiles, .. } = scratch;
                let memory = vector::Memory { unrounded, frames, tiles };
                forward.group(self.isa, conv, input, after, memory, output)
            }
            #[cfg(target_arch = "x86_64")]
            Packed::Matrix(forward) => {
                let bf16 = |values| T::as_bf16(values).expect("packed for bf16 alone");
                let output = T::as_bf16_mut(output).expect("bf16, as the input is");
                let (input, after) = (bf16(input), after.map_residual(bf16));
                // SAFETY: weights are packed like this only for an instruction set with AVX-512.
                unsafe { forward.group(self.isa, group, input, after, &mut scratch.rows, output) }
            }
        }
    }
}

/// Returns the gradients of a loss with respect to the weights, `[outputs, inputs, kernel,
/// kernel]`, and, if `wanted` asks for it, with respect to the input.
///
/// - `fill(images, to)` writes the loss's gradient with respect to the outputs of a range of
///   images. Each image is in the range of exactly one call.
/// - `visit(images, gradient)` receives the input's gradient of a range of images while the
///   gradient is in the cache, and may change it. Each image is in the range of exactly one call.
///
/// # Panics
///
/// Under the same conditions as [`forward`].
pub fn backward<T: Element>(
    isa: Isa,
    conv: &Conv,
    input: Input<'_, T>,
    weights: &[f32],
    fill: impl Fn(Range<usize>, &mut [T]) + Sync,
    visit: impl Fn(Range<usize>, &mut [T]) + Sync,
    wanted: Wanted<'_, T>,
) -> (Buffer, Option<Buffer<T>>) {
    conv.check(weights);
    assert_eq!(input.stored().len(), conv.batch * conv.in_image(), "length of the input");
    let added_weights = wanted.weights;
    let (input_wanted, added) = match wanted.input {
        InputGradient::Unwanted => (false, None),
        InputGradient::Wanted => (true, None),
        InputGradient::Added(added) => (true, Some(added)),
    };
    assert!(
        added.is_none_or(|added| added.len() == input.stored().len()),
        "length of the input's gradient so far"
    );
    assert!(
        added_weights.is_none_or(|added| added.len() == weights.len()),
        "length of the weights' gradient so far"
    );
    let mut result = Buffer::any(if input_wanted { input.stored().len() } else { 0 });
    #[cfg(target_arch = "x86_64")]
    if let (true, Some(input)) = (isa.multiplies_bf16(), input.as_bf16()) {
        let fill = |images: Range<usize>, to: &mut [half::bf16]| {
            fill(images, T::from_bf16_mut(to).expect("bf16, as the input is"));
        };
        let visit = |images: Range<usize>, gradient: &mut [half::bf16]| {
            visit(images, T::from_bf16_mut(gradient).expect("bf16, as the input is"));
        };
        let target = match T::as_bf16_mut(&mut result) {
            Some(result) if input_wanted => {
                let added = added.and_then(T::as_bf16);
                Some(matrix::InputTarget { added, result, visit: &visit })
            }
            _ => None,
        };
        // SAFETY: an instruction set that multiplies bf16 has AVX-512.
        let gradient =
            unsafe { matrix::backward(isa, conv, input, weights, &fill, target, added_weights) };
        return (gradient, input_wanted.then_some(result));
    }
    let backward = vector::Backward::new(isa, conv, weights, input, added, input_wanted);
    let gradient = backward.run(&fill, &visit, &mut result, added_weights);
    (gradient, input_wanted.then_some(result))
}
