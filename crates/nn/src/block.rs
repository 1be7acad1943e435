//! The operation encoders are made of: convolutions with batch normalisation and ReLU between them,
//! and an optional residual before the last ReLU, as one.

use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm, batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Device, Tensor};

use crate::fused::{ConvBn, Maybe, Normalised, Options};
use crate::layers::{BatchNorm, Conv2d};

/// A convolution and the batch normalisation after it.
pub type Layer<'a> = (&'a Conv2d, &'a BatchNorm);

/// Signature of [`conv_bn`] and [`reference()`].
pub type BlockOperation = fn(&[Layer<'_>], Tensor<4>, Option<Tensor<4>>, bool) -> Tensor<4>;

/// `activate(bn(conv(x)) + residual)`, channels last; with several layers, `relu(bn(conv(x)))` of
/// each but the last comes before.
///
/// `x` is `[batch, height, width, in]`; the result, and `residual` where there is one, are `[batch,
/// ⌈height / stride⌉, ⌈width / stride⌉, out]`, with the product of the strides. On an autodiff
/// device batch normalisation uses the batch's own statistics and moves the running ones; elsewhere
/// it uses the running ones.
///
/// On Flex each layer is one fused operation, whose activations are bf16 where `x` is, and f32
/// otherwise; in bf16 what lies between two layers is never stored. Elsewhere it is
/// [`reference()`].
///
/// # Panics
///
/// Without layers.
pub fn conv_bn(
    layers: &[Layer<'_>],
    x: Tensor<4>,
    residual: Option<Tensor<4>>,
    activate: bool,
) -> Tensor<4> {
    let device = x.device();
    if !is_flex(&device) || !matches!(x.dtype(), DType::F32 | DType::BF16) {
        return reference(layers, x, residual, activate);
    }
    let (last, between) = layers.split_last().expect("at least one layer");
    if !device.is_autodiff() {
        let x = between.iter().fold(x, |x, layer| evaluate(layer, x, None, true));
        return evaluate(last, x, residual, activate);
    }
    let left = x.dtype() == DType::BF16;
    let (x, before) = between
        .iter()
        .fold((x, None), |(x, before), layer| train(layer, x, before, None, true, left));
    train(last, x, before, residual, activate, false).0
}

/// A layer with the batch's own statistics. What is `left` to the next layer comes with mean,
/// variance, γ and β, for the next one's `before`.
fn train(
    (conv, bn): &Layer<'_>,
    x: Tensor<4>,
    before: Option<Tensor<2>>,
    residual: Option<Tensor<4>>,
    activate: bool,
    left: bool,
) -> (Tensor<4>, Option<Tensor<2>>) {
    let options = Options { stride: conv.stride, padding: conv.padding, activate, left };
    let parameters = [
        conv.weight.val().into_dispatch(),
        bn.weight.val().into_dispatch(),
        bn.bias.val().into_dispatch(),
    ];
    let [weight, gamma, beta] = parameters;
    let maybe = |tensor: Option<_>| tensor.map_or(Maybe::None, Maybe::Some);
    let before = maybe(before.map(Tensor::into_dispatch));
    let residual = maybe(residual.map(Tensor::into_dispatch));
    let Normalised { output, mean, variance } = <Dispatch as ConvBn>::conv_bn_train(
        x.into_dispatch(),
        before,
        weight,
        gamma,
        beta,
        residual,
        options,
    );
    let (mean, variance) = (Tensor::from_dispatch(mean), Tensor::from_dispatch(variance));
    let next = left.then(|| {
        let rows =
            [mean.clone(), variance.clone(), bn.weight.val().detach(), bn.bias.val().detach()];
        Tensor::stack::<2>(rows.to_vec(), 0)
    });
    let output = Tensor::<4>::from_dispatch(output);
    let samples = output.shape().num_elements() / output.dims()[3];
    bn.observe(mean, variance, samples);
    (output, next)
}

/// A layer with the running statistics.
fn evaluate(
    (conv, bn): &Layer<'_>,
    x: Tensor<4>,
    residual: Option<Tensor<4>>,
    activate: bool,
) -> Tensor<4> {
    let options = Options { stride: conv.stride, padding: conv.padding, activate, left: false };
    let [x, weight] = [x, conv.weight.val()].map(Tensor::into_dispatch);
    let [gamma, beta] = [bn.weight.val(), bn.bias.val()].map(Tensor::into_dispatch);
    let [mean, variance] =
        [&bn.running_mean, &bn.running_var].map(|running| running.value().into_dispatch());
    let residual = residual.map_or(Maybe::None, |residual| Maybe::Some(residual.into_dispatch()));
    let output =
        Dispatch::conv_bn_evaluate(x, weight, gamma, beta, mean, variance, residual, options);
    Tensor::from_dispatch(output)
}

pub(crate) fn is_flex(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// [`conv_bn`] composed of Burn's own operations, for any device: slower, and what the fused one is
/// tested against.
///
/// # Panics
///
/// Without layers.
pub fn reference(
    layers: &[Layer<'_>],
    x: Tensor<4>,
    residual: Option<Tensor<4>>,
    activate: bool,
) -> Tensor<4> {
    let (last, between) = layers.split_last().expect("at least one layer");
    let x = between.iter().fold(x, |x, layer| relu(plain(layer, x)));
    let mut y = plain(last, x);
    if let Some(residual) = residual {
        y = y + residual;
    }
    if activate { relu(y) } else { y }
}

fn plain((conv, bn): &Layer<'_>, x: Tensor<4>) -> Tensor<4> {
    let training = x.device().is_autodiff();
    let options = ConvOptions::new([conv.stride; 2], [conv.padding; 2], [1, 1], 1);
    let y = conv2d(x.permute([0, 3, 1, 2]), conv.weight.val(), None, options);
    let y = if training {
        let samples = y.shape().num_elements() / y.dims()[1];
        let batch = batch_norm_train(y, bn.weight.val(), bn.bias.val(), BatchNorm::EPSILON);
        bn.observe(batch.mean, batch.variance, samples);
        batch.output
    } else {
        let (mean, variance) = (bn.running_mean.value(), bn.running_var.value());
        batch_norm(y, bn.weight.val(), bn.bias.val(), mean, variance, BatchNorm::EPSILON)
    };
    y.permute([0, 2, 3, 1])
}
