//! The layers of encoders, with the parameter names, shapes and initial distributions of PyTorch.

use burn::module::{Module, Param, RunningState};
use burn::tensor::module::{batch_norm, batch_norm_train};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use selfsame_kernels::conv::Conv;

/// Source of initial weights. They depend only on the seed and the order in which they are drawn,
/// and not on the device. (The stream is the first of the seed, which also orders the images of
/// epoch 0.)
pub struct Init<'a> {
    device: &'a Device,
    rng: ChaCha8Rng,
}

impl<'a> Init<'a> {
    /// Starts the stream of `seed`, for tensors on `device`.
    pub fn new(seed: u64, device: &'a Device) -> Self {
        Self { device, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn tensor<const D: usize>(
        &mut self,
        shape: [usize; D],
        mut draw: impl FnMut(&mut ChaCha8Rng) -> f32,
    ) -> Param<Tensor<D>> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw(&mut self.rng)).collect();
        Param::from_data(TensorData::new(values, shape), self.device)
    }

    /// Draws a tensor from the normal distribution with mean 0 and deviation 1.
    pub fn normal<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| self.rng.sample(StandardNormal)).collect();
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }

    fn constant<const D: usize>(&mut self, shape: [usize; D], value: f32) -> Tensor<D> {
        Tensor::full(shape, value, self.device)
    }
}

/// 2-D convolution without bias, with a square kernel and "same"-style padding of `kernel / 2`.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// Weights, `[out, in, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    /// Step of the kernel, in pixels.
    pub stride: usize,
    /// Zeros around the image, in pixels.
    pub padding: usize,
}

impl Conv2d {
    /// Draws weights from N(0, 2 / (kernel² · out)), the fan-out form of He et al. 2015, as in
    /// torchvision's ResNet.
    pub fn new(
        input: usize,
        output: usize,
        kernel: usize,
        stride: usize,
        init: &mut Init<'_>,
    ) -> Self {
        let deviation = (2.0 / (kernel * kernel * output) as f32).sqrt();
        let weight = init.tensor([output, input, kernel, kernel], |rng| {
            deviation * rng.sample::<f32, _>(StandardNormal)
        });
        Self { weight, stride, padding: kernel / 2 }
    }

    /// Returns the convolution of `batch` square images of side `size`.
    pub(crate) fn on(&self, batch: usize, size: usize) -> Conv {
        let [outputs, inputs, kernel, _] = self.weight.dims();
        let Self { stride, padding, .. } = *self;
        Conv { batch, height: size, width: size, inputs, outputs, kernel, stride, padding }
    }
}

/// Batch normalisation over every dimension but the channels (Ioffe and Szegedy 2015), with ε =
/// 1e-5.
///
/// On an autodiff device, it normalises by the batch's own statistics and moves the running
/// statistics towards them. On other devices, it uses the running statistics.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale γ, `[channels]`.
    pub weight: Param<Tensor<1>>,
    /// Shift β, `[channels]`.
    pub bias: Param<Tensor<1>>,
    /// Running mean, `[channels]`.
    pub running_mean: RunningState<Tensor<1>>,
    /// Running unbiased variance, `[channels]`.
    pub running_var: RunningState<Tensor<1>>,
}

impl BatchNorm {
    /// Constant added to the variance before its square root is taken.
    pub const EPSILON: f64 = selfsame_kernels::conv_bn::EPSILON;
    /// Weight of the newest batch in the running statistics.
    pub const MOMENTUM: f64 = 0.1;

    /// Starts with γ = 1, β = 0, running mean 0 and running variance 1.
    pub fn new(channels: usize, init: &mut Init<'_>) -> Self {
        Self {
            weight: Param::from_tensor(init.constant([channels], 1.0)),
            bias: Param::from_tensor(init.constant([channels], 0.0)),
            running_mean: RunningState::new(init.constant([channels], 0.0)),
            running_var: RunningState::new(init.constant([channels], 1.0)),
        }
    }

    /// Normalises, scales and shifts `[batch, channels]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (gamma, beta) = (self.weight.val(), self.bias.val());
        if !x.device().is_autodiff() {
            let (mean, variance) = (self.running_mean.value(), self.running_var.value());
            return batch_norm(x, gamma, beta, mean, variance, Self::EPSILON);
        }
        let [samples, _] = x.dims();
        let batch = batch_norm_train(x, gamma, beta, Self::EPSILON);
        self.observe(batch.mean, batch.variance, samples);
        batch.output
    }

    /// Moves the running statistics towards those of a batch with `samples` values in each channel.
    /// `variance` is the biased variance. The running variance follows the unbiased variance, as in
    /// PyTorch.
    pub(crate) fn observe(&self, mean: Tensor<1>, variance: Tensor<1>, samples: usize) {
        let unbiased = samples as f64 / (samples as f64 - 1.0).max(1.0);
        for (running, batch) in
            [(&self.running_mean, mean), (&self.running_var, variance.mul_scalar(unbiased))]
        {
            let kept = running.value_sync().mul_scalar(1.0 - Self::MOMENTUM);
            running.update((kept + batch.detach().mul_scalar(Self::MOMENTUM)).detach());
        }
    }
}

/// Affine map with PyTorch's weight layout.
#[derive(Module, Debug)]
pub struct Linear {
    /// Weights, `[out, in]`.
    pub weight: Param<Tensor<2>>,
    /// Biases, `[out]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// Draws weights and biases uniformly from ±1/√in, as PyTorch does by default.
    pub fn new(input: usize, output: usize, init: &mut Init<'_>) -> Self {
        let bound = 1.0 / (input as f32).sqrt();
        Self {
            weight: init.tensor([output, input], |rng| rng.random_range(-bound..bound)),
            bias: init.tensor([output], |rng| rng.random_range(-bound..bound)),
        }
    }

    /// Computes x Wᵀ + b, from `[batch, in]` to `[batch, out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }
}
