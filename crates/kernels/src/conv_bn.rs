//! Convolution, batch normalisation, an optional residual and ReLU as one operation, forward and
//! backward.
//!
//! relu(γ (conv(x) − mean) / √(variance + ε) + β + residual). The statistics are gathered while a
//! convolved image is in the cache. Activations and their gradients are f32 or bf16; all else is
//! f32.

use std::ops::Range;
use std::sync::OnceLock;

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::conv::{self, After, Conv, Input, Wanted};
use crate::element::Element;
use crate::isa::Isa;
use crate::norm::{self, Backward, Channels, Cut, Source, Sums};

/// What is added to the variance before its root.
pub const EPSILON: f64 = 1e-5;

/// What the operation is made of besides its input; all are values a channel but the weights.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    /// `[outputs, inputs, kernel, kernel]`.
    pub weights: &'a [f32],
    /// Scale γ.
    pub gamma: &'a [f32],
    /// Shift β.
    pub beta: &'a [f32],
}

/// Result of [`forward`], with what [`backward`] needs of it.
pub struct Forward<T> {
    /// `[batch, out_height, out_width, outputs]`; none where it is left to the next convolution.
    pub output: Option<Buffer<T>>,
    /// The convolution's own outputs, of the same shape.
    pub convolved: Buffer<T>,
    /// Mean of each channel of them.
    pub mean: Vec<f32>,
    /// Biased variance of each channel of them.
    pub variance: Vec<f32>,
}

/// What comes after normalisation.
#[derive(Clone, Copy)]
pub enum Then<'a, T> {
    /// Nothing more: the output is made by the next convolution, which reads [`Input::Convolved`].
    /// ReLU belongs to it.
    Next,
    /// A residual of the output's shape is added where there is one, and ReLU comes last where it
    /// is asked for.
    Here {
        /// What is added.
        residual: Option<&'a [T]>,
        /// Whether negative outputs are cut off.
        relu: bool,
    },
}

/// The operation with the batch's own statistics, as in training.
///
/// # Panics
///
/// If a slice has not the length that `conv` says, or `conv` is of no possible convolution.
pub fn forward<T: Element>(
    isa: Isa,
    conv: &Conv,
    input: Input<'_, T>,
    parameters: Parameters<'_>,
    then: Then<'_, T>,
) -> Forward<T> {
    let (image, channels) = (conv.out_image(), conv.outputs);
    let (convolved, moments) = conv::forward(isa, conv, input, parameters.weights, After::Moments);
    let (mean, variance) = moments.map_or_else(
        || (vec![0.0; channels], vec![0.0; channels]),
        |moments| moments.mean_and_variance(),
    );
    let Then::Here { residual, relu } = then else {
        return Forward { output: None, convolved, mean, variance };
    };
    let coefficients = Channels::new(&mean, &variance, parameters.gamma, parameters.beta, EPSILON);
    let mut output = Buffer::any(convolved.len());
    output.par_chunks_mut(image).with_max_len(1).enumerate().for_each(|(index, output)| {
        let at = index * image..(index + 1) * image;
        let residual = residual.map(|residual| &residual[at.clone()]);
        norm::normalise(
            isa,
            &coefficients,
            Source::From(&convolved[at.clone()]),
            residual,
            relu,
            output,
        );
    });
    Forward { output: Some(output), convolved, mean, variance }
}

/// The operation with given statistics, a value a channel each, as in evaluation.
///
/// # Panics
///
/// As [`forward`].
pub fn evaluate<T: Element>(
    isa: Isa,
    conv: &Conv,
    input: &[T],
    parameters: Parameters<'_>,
    [mean, variance]: [&[f32]; 2],
    residual: Option<&[T]>,
    relu: bool,
) -> Buffer<T> {
    let channels = &Channels::new(mean, variance, parameters.gamma, parameters.beta, EPSILON);
    conv::forward(
        isa,
        conv,
        Input::Ready(input),
        parameters.weights,
        After::Normalise { channels, residual, relu },
    )
    .0
}

/// What [`backward`] needs of the forward pass.
#[derive(Clone, Copy)]
pub struct Saved<'a, T> {
    /// The input.
    pub input: Input<'a, T>,
    /// [`Forward::convolved`].
    pub convolved: &'a [T],
    /// [`Forward::mean`].
    pub mean: &'a [f32],
    /// [`Forward::variance`].
    pub variance: &'a [f32],
    /// [`Forward::output`], where there was a residual.
    pub output: Option<&'a [T]>,
    /// [`Gradients::before`] of the convolution that made the gradient of this one's output; where
    /// there is an output, that gradient has passed its ReLU then.
    pub sums: Option<&'a Sums>,
    /// Where the input is [`Input::Ready`], an earlier operation's output behind ReLU, and its
    /// gradient whole with what is made here: what that one has convolved, and how it was
    /// normalised.
    pub origin: Option<(&'a [T], &'a Channels)>,
}

/// Gradients of a loss with respect to what the operation was made of.
pub struct Gradients<T> {
    /// The input's, where it was wanted.
    pub input: Option<Buffer<T>>,
    /// The weights', `[outputs, inputs, kernel, kernel]`.
    pub weights: Buffer,
    /// γ's.
    pub gamma: Vec<f32>,
    /// β's.
    pub beta: Vec<f32>,
    /// The residual's, where there was one with ReLU. Without ReLU it is the output's own gradient.
    pub residual: Option<Buffer<T>>,
    /// Where the input was [`Input::Convolved`] or has an [origin](Saved::origin), and its gradient
    /// was wanted: what the convolution before has to know of the whole batch, summed while each
    /// image's gradient was in the cache. With an origin the input's gradient is as far as it
    /// passes ReLU.
    pub before: Option<Sums>,
}

/// Gradients of [`forward`], given that with respect to its output.
///
/// # Panics
///
/// As [`forward`].
pub fn backward<T: Element>(
    isa: Isa,
    conv: &Conv,
    parameters: Parameters<'_>,
    saved: Saved<'_, T>,
    relu: bool,
    gradient: &[T],
    wanted: Wanted<'_, T>,
) -> Gradients<T> {
    let Saved { convolved, mean, variance, .. } = saved;
    assert!(
        saved.origin.is_none_or(|(convolved, _)| convolved.len() == conv.batch * conv.in_image()),
        "length of the origin"
    );
    let image = conv.out_image();
    assert_eq!([gradient.len(), convolved.len()], [conv.batch * image; 2], "length of the outputs");
    let channels = Channels::new(mean, variance, parameters.gamma, parameters.beta, EPSILON);
    let output = saved.output.filter(|_| relu);

    let (sums, passed) = match saved.sums {
        Some(sums) => (sums.clone(), None),
        None => sums_of(isa, conv, &channels, gradient, convolved, output, relu),
    };

    let pixels = conv.batch * conv.out_height() * conv.out_width();
    let coefficients = Backward::new(&channels, &sums.gradient, &sums.product, pixels);
    let cut_again = relu && output.is_none();
    let from = passed.as_deref().unwrap_or(gradient);
    let through = |images: Range<usize>, to: &mut [T]| {
        let at = images.start * image..images.end * image;
        norm::gradient(
            isa,
            &channels,
            &coefficients,
            &from[at.clone()],
            &convolved[at],
            cut_again,
            to,
        );
    };
    // An image's sums do not depend on which others are worked on with it.
    let each: Vec<OnceLock<Sums>> = (0..conv.batch).map(|_| OnceLock::new()).collect();
    let made = |images: Range<usize>, of_input: &mut [T]| {
        let (convolved, channels, output) = match (saved.input, saved.origin) {
            (Input::Convolved(values, channels), _) => (values, channels, None),
            (Input::Ready(output), Some((convolved, channels))) => {
                (convolved, channels, Some(output))
            }
            (Input::Ready(_), None) => return,
        };
        for (index, gradient) in images.zip(of_input.chunks_exact_mut(conv.in_image())) {
            let at = index * conv.in_image()..(index + 1) * conv.in_image();
            let cut = output.map_or(Cut::Normalised, |output| Cut::Output(&output[at.clone()]));
            let sums =
                norm::gradient_sums(isa, channels, Source::InPlace, &convolved[at], cut, gradient);
            each[index].get_or_init(|| sums);
        }
    };
    let (weights, input) =
        conv::backward(isa, conv, saved.input, parameters.weights, through, made, wanted);
    let single = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect();
    let before = each.into_iter().map(OnceLock::into_inner).collect::<Option<Vec<Sums>>>();
    Gradients {
        input,
        weights,
        gamma: single(sums.product),
        beta: single(sums.gradient),
        residual: passed,
        before: before.filter(|each| !each.is_empty()).map(|each| Sums::all(each, conv.inputs)),
    }
}

/// What has to be known of the whole batch, and where there are `output`s, the gradient that passes
/// their ReLU.
fn sums_of<T: Element>(
    isa: Isa,
    conv: &Conv,
    channels: &Channels,
    gradient: &[T],
    convolved: &[T],
    output: Option<&[T]>,
    relu: bool,
) -> (Sums, Option<Buffer<T>>) {
    let image = conv.out_image();
    let mut passed = output.map(|output| Buffer::any(output.len()));
    let stretches: Vec<&mut [T]> = match &mut passed {
        Some(passed) => passed.chunks_mut(image).collect(),
        None => (0..conv.batch).map(|_| [].as_mut_slice()).collect(),
    };
    let each = stretches.into_par_iter().with_max_len(1).enumerate().map(|(index, passed)| {
        let at = index * image..(index + 1) * image;
        let cut = match output {
            Some(output) => Cut::Output(&output[at.clone()]),
            None if relu => Cut::Normalised,
            None => Cut::Nothing,
        };
        norm::gradient_sums(
            isa,
            channels,
            Source::From(&gradient[at.clone()]),
            &convolved[at],
            cut,
            passed,
        )
    });
    let sums = Sums::all(each.collect(), conv.outputs);
    (sums, passed)
}
