//! Convolution, batch normalisation, an optional residual and ReLU as one operation, forward and
//! backward.
//!
//! ```text
//! c      = conv(x)
//! output = relu(γ (c − mean(c)) / √(variance(c) + ε) + β + residual)
//! ```
//!
//! 1. **Moments are gathered** by the convolution, while an image's outputs are in the cache.
//! 2. **The output may be left to the next convolution** ([`Then::Next`]), which normalises c when
//!    it reads c. The normalised values are then never stored.
//! 3. **The backward pass needs two sums over the whole batch**, [`Sums`], before it can normalise
//!    any gradient. The convolution that computes a gradient gathers these sums for the operation
//!    before it ([`Gradients::before`]), image by image, while the gradient is in the cache.
//!
//! Activations and their gradients are f32 or bf16. Everything else is f32.

use std::ops::Range;
use std::sync::OnceLock;

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::conv::{self, After, Conv, Input, Wanted};
use crate::element::Element;
use crate::isa::Isa;
use crate::norm::{self, Backward, Channels, Relu, Source, Sums};

/// ε, which is added to the variance before the square root.
pub const EPSILON: f64 = 1e-5;

/// Parameters of the operation: the weights, and one value per channel for γ and β.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    /// `[outputs, inputs, kernel, kernel]`.
    pub weights: &'a [f32],
    /// Scale γ.
    pub gamma: &'a [f32],
    /// Shift β.
    pub beta: &'a [f32],
}

/// The result of [`forward`], including the values that [`backward`] needs.
pub struct Forward<T> {
    /// `[batch, out_height, out_width, outputs]`, or `None` with [`Then::Next`].
    pub output: Option<Buffer<T>>,
    /// Result of the convolution before normalisation, with the shape of the output.
    pub convolved: Buffer<T>,
    /// Mean of each channel of `convolved`.
    pub mean: Vec<f32>,
    /// Biased variance of each channel of `convolved`.
    pub variance: Vec<f32>,
}

/// The operation on the convolved values.
#[derive(Clone, Copy)]
pub enum Then<'a, T> {
    /// The next convolution normalises the values, and applies ReLU, when it reads them
    /// ([`Input::Convolved`]).
    Next,
    /// The values are normalised, the residual is added, and ReLU is applied last.
    Here {
        /// Values to add, as many as the output has.
        residual: Option<&'a [T]>,
        /// Whether negative outputs become zero.
        relu: bool,
    },
}

/// Computes the operation with the batch's own statistics, as in training.
///
/// # Panics
///
/// If a slice does not have the length that `conv` gives, or `conv` is impossible.
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
        let range = index * image..(index + 1) * image;
        let residual = residual.map(|residual| &residual[range.clone()]);
        norm::normalise(
            isa,
            &coefficients,
            Source::From(&convolved[range]),
            residual,
            relu,
            output,
        );
    });
    Forward { output: Some(output), convolved, mean, variance }
}

/// Computes the operation with given statistics, as in evaluation. Mean and variance have one value
/// per channel.
///
/// # Panics
///
/// Under the same conditions as [`forward`].
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

/// The values of the forward pass that [`backward`] needs.
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
    /// [`Forward::output`], if there was a residual.
    pub output: Option<&'a [T]>,
    /// [`Gradients::before`] of the operation that computed the gradient of this operation's
    /// output, if that operation gathered the sums. If `output` is also given, the gradient has
    /// already passed this operation's ReLU.
    pub sums: Option<&'a Sums>,
    /// The origin of the input: the convolved values of an earlier operation, and the coefficients
    /// of their normalisation. Give it only if the input is [`Input::Ready`] and is that
    /// operation's output after ReLU, and if the gradient computed here is the whole gradient of
    /// that output.
    pub origin: Option<(&'a [T], &'a Channels)>,
}

/// Gradients of a loss with respect to the operation's input and parameters.
pub struct Gradients<T> {
    /// Gradient of the input, if it was wanted.
    pub input: Option<Buffer<T>>,
    /// Gradient of the weights, `[outputs, inputs, kernel, kernel]`.
    pub weights: Buffer,
    /// Gradient of γ.
    pub gamma: Vec<f32>,
    /// Gradient of β.
    pub beta: Vec<f32>,
    /// Gradient of the residual, if there was a residual and ReLU. Without ReLU, the residual's
    /// gradient is the gradient of the output.
    pub residual: Option<Buffer<T>>,
    /// The sums over the whole batch that the operation before this one needs. They are gathered if
    /// the input was [`Input::Convolved`] or has an [origin](Saved::origin), and if its gradient
    /// was wanted. With an origin, `input` is the gradient after it has passed the ReLU of the
    /// operation before.
    pub before: Option<Sums>,
}

/// Computes the gradients of [`forward`], given the gradient with respect to its output.
///
/// # Panics
///
/// Under the same conditions as [`forward`].
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
        None => batch_sums(isa, conv, &channels, gradient, convolved, output, relu),
    };

    let pixels = conv.batch * conv.out_height() * conv.out_width();
    let coefficients = Backward::new(&channels, &sums.gradient, &sums.product, pixels);
    let relu_pending = relu && output.is_none();
    let gradient = passed.as_deref().unwrap_or(gradient);
    let fill = |images: Range<usize>, to: &mut [T]| {
        let range = images.start * image..images.end * image;
        norm::gradient(
            isa,
            &channels,
            &coefficients,
            &gradient[range.clone()],
            &convolved[range],
            relu_pending,
            to,
        );
    };
    // Sums are kept image by image, so that they do not depend on how images are grouped.
    let image_sums: Vec<OnceLock<Sums>> = (0..conv.batch).map(|_| OnceLock::new()).collect();
    let visit = |images: Range<usize>, input_gradient: &mut [T]| {
        let (convolved, channels, output) = match (saved.input, saved.origin) {
            (Input::Convolved(values, channels), _) => (values, channels, None),
            (Input::Ready(output), Some((convolved, channels))) => {
                (convolved, channels, Some(output))
            }
            (Input::Ready(_), None) => return,
        };
        let images = images.zip(input_gradient.chunks_exact_mut(conv.in_image()));
        for (index, gradient) in images {
            let range = index * conv.in_image()..(index + 1) * conv.in_image();
            let relu = match output {
                Some(output) => Relu::Output(&output[range.clone()]),
                None => Relu::Normalised,
            };
            let convolved = &convolved[range];
            let sums =
                norm::gradient_sums(isa, channels, Source::InPlace, convolved, relu, gradient);
            image_sums[index].get_or_init(|| sums);
        }
    };
    let (weights, input) =
        conv::backward(isa, conv, saved.input, parameters.weights, fill, visit, wanted);
    let single = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect();
    let before = image_sums.into_iter().map(OnceLock::into_inner).collect::<Option<Vec<Sums>>>();
    Gradients {
        input,
        weights,
        gamma: single(sums.product),
        beta: single(sums.gradient),
        residual: passed,
        before: before.filter(|sums| !sums.is_empty()).map(|sums| Sums::total(sums, conv.inputs)),
    }
}

/// Returns the sums over the whole batch and, if there is an `output` after ReLU, the gradient that
/// passes that ReLU.
fn batch_sums<T: Element>(
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
    let sums = stretches.into_par_iter().with_max_len(1).enumerate().map(|(index, passed)| {
        let range = index * image..(index + 1) * image;
        let relu = match output {
            Some(output) => Relu::Output(&output[range.clone()]),
            None if relu => Relu::Normalised,
            None => Relu::None,
        };
        norm::gradient_sums(
            isa,
            channels,
            Source::From(&gradient[range.clone()]),
            &convolved[range],
            relu,
            passed,
        )
    });
    let sums = Sums::total(sums.collect(), conv.outputs);
    (sums, passed)
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::conv::InputGradient;

    /// Returns values in ±1 from a small generator.
    fn noise(seed: u64, len: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32) / (1u32 << 23) as f32 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    fn stored(seed: u64, len: usize) -> Vec<bf16> {
        noise(seed, len).into_iter().map(bf16::rounded).collect()
    }

    fn singles(values: &[bf16]) -> Vec<f32> {
        values.iter().map(|value| value.widened()).collect()
    }

    fn same(
        batch: usize,
        [height, width]: [usize; 2],
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        stride: usize,
    ) -> Conv {
        Conv { batch, height, width, inputs, outputs, kernel, stride, padding: kernel / 2 }
    }

    /// A buffer holds values of an earlier owner, which must not influence a result.
    #[test]
    fn what_a_buffer_held_before_does_not_matter() {
        for conv in [
            same(12, [16, 16], [3, 2], 3, 1),
            same(12, [16, 16], [2, 2], 3, 1),
            same(12, [16, 16], [2, 4], 3, 2),
            same(12, [16, 16], [2, 4], 1, 2),
            same(12, [8, 8], [4, 4], 3, 1),
            same(12, [2, 2], [16, 16], 3, 1),
            same(12, [4, 4], [8, 16], 1, 2),
            same(40, [5, 7], [33, 65], 3, 2),
            same(40, [5, 7], [33, 65], 3, 1),
            same(9, [5, 7], [133, 165], 3, 1),
            // Rows of whole strips, and pixels that no tap sees.
            same(3, [32, 32], [16, 40], 1, 2),
            same(3, [32, 32], [32, 20], 1, 2),
            same(3, [32, 32], [5, 40], 3, 2),
            same(1, [16, 16], [160, 20], 3, 1),
            same(5, [8, 8], [224, 40], 3, 1),
            same(3, [9, 9], [3, 5], 2, 3),
            same(3, [28, 28], [3, 16], 3, 1),
            same(3, [28, 28], [16, 16], 3, 1),
            same(1, [21, 21], [3, 9], 7, 2),
        ] {
            let input: Vec<bf16> = stored(1, conv.batch * conv.in_image());
            let weights = noise(2, conv.outputs * conv.inputs * conv.kernel * conv.kernel);
            let gradient: Vec<bf16> = stored(3, conv.batch * conv.out_image());
            let [gamma, beta] = [noise(4, conv.outputs), noise(5, conv.outputs)];
            let parameters = Parameters { weights: &weights, gamma: &gamma, beta: &beta };
            for isa in Isa::available() {
                let mut first = None;
                for held in [0.0, f32::NAN, 1e30, -3.0] {
                    // Use buffers of every length several times.
                    for _ in 0..2 {
                        let here = Then::Here { residual: None, relu: true };
                        let outputs = forward(isa, &conv, Input::Ready(&input), parameters, here);
                        let saved = Saved {
                            input: Input::Ready(&input),
                            convolved: &outputs.convolved,
                            mean: &outputs.mean,
                            variance: &outputs.variance,
                            output: None,
                            sums: None,
                            origin: None,
                        };
                        let wanted = Wanted { input: InputGradient::Wanted, weights: None };
                        let gradients =
                            backward(isa, &conv, parameters, saved, true, &gradient, wanted);
                        let mut all = singles(outputs.output.as_deref().expect("made here"));
                        all.extend(
                            outputs
                                .mean
                                .iter()
                                .chain(&outputs.variance)
                                .chain(&gradients.gamma)
                                .chain(&gradients.beta),
                        );
                        all.extend(
                            singles(&gradients.input.expect("wanted"))
                                .iter()
                                .chain(&*gradients.weights),
                        );
                        let bits: Vec<u32> = all.iter().map(|value| value.to_bits()).collect();
                        let expected = first.get_or_insert_with(|| bits.clone());
                        let differ = bits.iter().zip(&*expected).filter(|(a, b)| a != b).count();
                        assert!(
                            differ == 0,
                            "{isa} {conv:?}: {differ} of {} differ after {held}",
                            bits.len()
                        );
                        Buffer::<f32>::overwrite_idle(held);
                    }
                }
            }
        }
    }
}
