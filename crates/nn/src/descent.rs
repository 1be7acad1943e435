//! Rules that move weights, with fused kernels on the processor and Burn's own operations on other
//! devices.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, ExtensionType, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};
use burn_flex::FlexTensor;
pub use selfsame_kernels::descent::{AdamW, Sgd};
use selfsame_kernels::{descent, isa::Isa};

use crate::flex::{Maybe, contiguous, is_flex, tensor, values};

/// Weights after a step of SGD, and the velocity that moved them.
#[derive(ExtensionType)]
pub struct Moved<B: Backend> {
    /// The weights.
    pub weights: FloatTensor<B>,
    /// The velocity.
    pub velocity: FloatTensor<B>,
}

/// Weights after a step of AdamW, and its moments.
#[derive(ExtensionType)]
pub struct Adapted<B: Backend> {
    /// The weights.
    pub weights: FloatTensor<B>,
    /// Running mean of gradients.
    pub first: FloatTensor<B>,
    /// Running mean of squared gradients.
    pub second: FloatTensor<B>,
}

/// The rules, as operations of a backend.
#[backend_extension(Flex)]
pub trait Descent: Backend {
    /// Computes [`sgd`].
    fn sgd(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        #[extension_type] velocity: Maybe<Self>,
        rule: Sgd,
    ) -> Moved<Self>;

    /// Computes [`adamw`].
    fn adamw(
        weights: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        rule: AdamW,
    ) -> Adapted<Self>;

    /// Computes [`follow`].
    fn follow(slow: FloatTensor<Self>, fast: FloatTensor<Self>, kept: f64) -> FloatTensor<Self>;
}

impl Descent for Flex {
    fn sgd(
        weights: FlexTensor,
        gradient: FlexTensor,
        velocity: Maybe<Self>,
        rule: Sgd,
    ) -> Moved<Self> {
        let [weights, gradient] = [weights, gradient].map(|tensor| tensor.to_contiguous());
        let velocity = contiguous(velocity);
        let shape = weights.shape();
        let moved = descent::sgd(
            Isa::best(),
            &rule,
            values(&weights),
            values(&gradient),
            velocity.as_ref().map(values),
        );
        let [weights, velocity] = moved.map(|buffer| tensor(buffer, shape.clone()));
        Moved { weights, velocity }
    }

    fn adamw(
        weights: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        rule: AdamW,
    ) -> Adapted<Self> {
        let [weights, gradient, first, second] =
            [weights, gradient, first, second].map(|tensor| tensor.to_contiguous());
        let shape = weights.shape();
        let moments = [values(&first), values(&second)];
        let moved =
            descent::adamw(Isa::best(), &rule, values(&weights), values(&gradient), moments);
        let [weights, first, second] = moved.map(|buffer| tensor(buffer, shape.clone()));
        Adapted { weights, first, second }
    }

    fn follow(slow: FlexTensor, fast: FlexTensor, kept: f64) -> FlexTensor {
        let [slow, fast] = [slow, fast].map(|tensor| tensor.to_contiguous());
        tensor(descent::follow(Isa::best(), kept, values(&slow), values(&fast)), slow.shape())
    }
}

/// Takes one step of stochastic gradient descent on flat tensors that belong to no graph. Returns
/// the weights and their new velocity. In the first step, which has no velocity yet, the velocity
/// becomes the gradient.
pub fn sgd(
    weights: Tensor<1>,
    gradient: Tensor<1>,
    velocity: Option<Tensor<1>>,
    rule: Sgd,
) -> (Tensor<1>, Tensor<1>) {
    if is_flex(&weights.device()) && weights.dtype() == DType::F32 {
        let velocity =
            velocity.map_or(Maybe::None, |velocity| Maybe::Some(velocity.into_dispatch()));
        let Moved { weights, velocity } = <Dispatch as Descent>::sgd(
            weights.into_dispatch(),
            gradient.into_dispatch(),
            velocity,
            rule,
        );
        return (Tensor::from_dispatch(weights), Tensor::from_dispatch(velocity));
    }
    let gradient = gradient + weights.clone().mul_scalar(rule.decay);
    let velocity = match velocity {
        Some(velocity) => velocity.mul_scalar(rule.momentum) + gradient,
        None => gradient,
    };
    (weights - velocity.clone().mul_scalar(rule.rate), velocity)
}

/// Takes one step of AdamW on flat tensors that belong to no graph. Returns the weights and their
/// new moments, which start at zero.
pub fn adamw(
    weights: Tensor<1>,
    gradient: Tensor<1>,
    moments: [Option<Tensor<1>>; 2],
    rule: AdamW,
) -> (Tensor<1>, [Tensor<1>; 2]) {
    let [first, second] = moments.map(|moment| moment.unwrap_or_else(|| gradient.zeros_like()));
    if is_flex(&weights.device()) && weights.dtype() == DType::F32 {
        let [weights, gradient, first, second] =
            [weights, gradient, first, second].map(Tensor::into_dispatch);
        let Adapted { weights, first, second } =
            <Dispatch as Descent>::adamw(weights, gradient, first, second, rule);
        return (Tensor::from_dispatch(weights), [first, second].map(Tensor::from_dispatch));
    }
    let squared = gradient.clone() * gradient.clone();
    let first = first.mul_scalar(rule.betas[0]) + gradient.mul_scalar(rule.shares[0]);
    let second = second.mul_scalar(rule.betas[1]) + squared.mul_scalar(rule.shares[1]);
    let length = second.clone().div_scalar(rule.corrections[1]).sqrt().add_scalar(rule.epsilon);
    let step = first.clone().div_scalar(rule.corrections[0]) / length;
    (weights.mul_scalar(rule.kept) - step.mul_scalar(rule.rate), [first, second])
}

/// Computes `kept` · slow + (1 − `kept`) · fast: the weights of a slow copy after one step towards
/// fast weights of the same shape. The tensors belong to no graph.
pub fn follow<const D: usize>(slow: Tensor<D>, fast: Tensor<D>, kept: f64) -> Tensor<D> {
    if is_flex(&slow.device()) && slow.dtype() == DType::F32 {
        return Tensor::from_dispatch(<Dispatch as Descent>::follow(
            slow.into_dispatch(),
            fast.into_dispatch(),
            kept,
        ));
    }
    slow.mul_scalar(kept) + fast.mul_scalar(1.0 - kept)
}
