//! The operation encoders are made of: convolution, batch normalisation, an optional residual and ReLU, as one.

use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm, batch_norm_train, conv2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Device, Tensor};

use crate::fused::{ConvBn, Maybe, Normalised, Options};
use crate::layers::{BatchNorm, Conv2d};

/// Signature of [`conv_bn`] and [`reference()`].
pub type BlockOperation = fn(&Conv2d, &BatchNorm, Tensor<4>, Option<Tensor<4>>, bool) -> Tensor<4>;

/// `activate(bn(conv(x)) + residual)`, channels last.
///
/// `x` is `[batch, height, width, in]`; the result, and `residual` where there is one, are
/// `[batch, ⌈height / stride⌉, ⌈width / stride⌉, out]`. On an autodiff device batch normalisation uses the
/// batch's own statistics and moves the running ones; elsewhere it uses the running ones.
///
/// On Flex this is one fused operation, whose activations are bf16 where `x` is, and f32 otherwise; elsewhere it is
/// [`reference()`].
pub fn conv_bn(conv: &Conv2d, bn: &BatchNorm, x: Tensor<4>, residual: Option<Tensor<4>>, activate: bool) -> Tensor<4> {
    let device = x.device();
    if !is_flex(&device) || !matches!(x.dtype(), DType::F32 | DType::BF16) {
        return reference(conv, bn, x, residual, activate);
    }
    let options = Options { stride: conv.stride, padding: conv.padding, activate };
    let (weight, gamma, beta) = (conv.weight.val(), bn.weight.val(), bn.bias.val());
    let [x, weight] = [x, weight].map(Tensor::into_dispatch);
    let [gamma, beta] = [gamma, beta].map(Tensor::into_dispatch);
    let residual = residual.map_or(Maybe::None, |residual| Maybe::Some(residual.into_dispatch()));
    if device.is_autodiff() {
        let Normalised { output, mean, variance } =
            <Dispatch as ConvBn>::conv_bn_train(x, weight, gamma, beta, residual, options);
        let output = Tensor::<4>::from_dispatch(output);
        let samples = output.shape().num_elements() / output.dims()[3];
        bn.observe(Tensor::from_dispatch(mean), Tensor::from_dispatch(variance), samples);
        output
    } else {
        let [mean, variance] = [&bn.running_mean, &bn.running_var].map(|running| running.value().into_dispatch());
        let output = Dispatch::conv_bn_evaluate(x, weight, gamma, beta, mean, variance, residual, options);
        Tensor::from_dispatch(output)
    }
}

pub(crate) fn is_flex(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// [`conv_bn`] composed of Burn's own operations, for any device: slower, and what the fused one is tested
/// against.
pub fn reference(
    conv: &Conv2d,
    bn: &BatchNorm,
    x: Tensor<4>,
    residual: Option<Tensor<4>>,
    activate: bool,
) -> Tensor<4> {
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
    let mut y = y.permute([0, 2, 3, 1]);
    if let Some(residual) = residual {
        y = y + residual;
    }
    if activate { relu(y) } else { y }
}
