//! The operation that residual networks are built from: convolutions, each with batch normalisation
//! and ReLU, and an optional residual before the last ReLU.

use burn::backend::Dispatch;
use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm, batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Tensor};

use crate::flex::{Maybe, is_flex};
use crate::fused::{ConvBn, Normalised, Options};
use crate::layers::{BatchNorm, Conv2d};

/// A convolution and the batch normalisation after it.
pub type Layer<'a> = (&'a Conv2d, &'a BatchNorm);

/// Signature of [`conv_bn`] and [`reference()`].
pub type BlockOperation = fn(&[Layer<'_>], Tensor<4>, Option<Tensor<4>>, bool) -> Tensor<4>;

/// Computes `activate(bn(conv(x)) + residual)`, channels last, where `activate` is ReLU or the
/// identity. With several layers, `x` first passes `relu(bn(conv(x)))` of each layer but the last.
///
/// `x` is `[batch, height, width, in]`. The result and the residual are `[batch, ⌈height / stride⌉,
/// ⌈width / stride⌉, out]`, where `stride` is the product of the layers' strides. On an autodiff
/// device, batch normalisation uses the batch's own statistics and moves the running statistics. On
/// other devices, it uses the running statistics.
///
/// On Flex each layer is one fused operation. Its activations have the type of `x`, bf16 or f32. In
/// bf16, the normalised values between two layers are never stored. On other devices, this function
/// is [`reference()`].
///
/// # Panics
///
/// If there are no layers.
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
    let defer = x.dtype() == DType::BF16;
    let (x, deferred) = between
        .iter()
        .fold((x, None), |(x, deferred), layer| train(layer, x, deferred, None, true, defer));
    train(last, x, deferred, residual, activate, false).0
}

/// Computes a layer with the batch's own statistics. With `defer`, the next layer does the
/// normalisation and ReLU. Mean, variance, γ and β are then returned, for the `deferred` argument
/// of the next layer.
fn train(
    (conv, bn): &Layer<'_>,
    x: Tensor<4>,
    deferred: Option<Tensor<2>>,
    residual: Option<Tensor<4>>,
    activate: bool,
    defer: bool,
) -> (Tensor<4>, Option<Tensor<2>>) {
    let options = Options { stride: conv.stride, padding: conv.padding, activate, defer };
    let parameters = [
        conv.weight.val().into_dispatch(),
        bn.weight.val().into_dispatch(),
        bn.bias.val().into_dispatch(),
    ];
    let [weight, gamma, beta] = parameters;
    let maybe = |tensor: Option<_>| tensor.map_or(Maybe::None, Maybe::Some);
    let deferred = maybe(deferred.map(Tensor::into_dispatch));
    let residual = maybe(residual.map(Tensor::into_dispatch));
    let Normalised { output, mean, variance } = <Dispatch as ConvBn>::conv_bn_train(
        x.into_dispatch(),
        deferred,
        weight,
        gamma,
        beta,
        residual,
        options,
    );
    let (mean, variance) = (Tensor::from_dispatch(mean), Tensor::from_dispatch(variance));
    let next = defer.then(|| {
        let rows =
            [mean.clone(), variance.clone(), bn.weight.val().detach(), bn.bias.val().detach()];
        Tensor::stack::<2>(rows.to_vec(), 0)
    });
    let output = Tensor::<4>::from_dispatch(output);
    let samples = output.shape().num_elements() / output.dims()[3];
    bn.observe(mean, variance, samples);
    (output, next)
}

/// Computes a layer with the running statistics.
fn evaluate(
    (conv, bn): &Layer<'_>,
    x: Tensor<4>,
    residual: Option<Tensor<4>>,
    activate: bool,
) -> Tensor<4> {
    let options = Options { stride: conv.stride, padding: conv.padding, activate, defer: false };
    let [x, weight] = [x, conv.weight.val()].map(Tensor::into_dispatch);
    let [gamma, beta] = [bn.weight.val(), bn.bias.val()].map(Tensor::into_dispatch);
    let [mean, variance] =
        [&bn.running_mean, &bn.running_var].map(|running| running.value().into_dispatch());
    let residual = residual.map_or(Maybe::None, |residual| Maybe::Some(residual.into_dispatch()));
    let output =
        Dispatch::conv_bn_evaluate(x, weight, gamma, beta, mean, variance, residual, options);
    Tensor::from_dispatch(output)
}

/// Computes [`conv_bn`] with Burn's own operations, on any device. This function is slower; tests
/// compare the fused operation with it.
///
/// # Panics
///
/// If there are no layers.
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
