//! [`conv_bn`](crate::block::conv_bn) on CPUs: the kernels of `selfsame_kernels` as a Burn backend
//! extension.

#![allow(
    clippy::too_many_arguments,
    reason = "a backend operation takes every tensor as an argument"
)]

mod notes;

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, ExtensionType, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::{DType, Shape};
use burn_flex::FlexTensor;
use half::bf16;
use selfsame_kernels::conv::{Conv, Input, InputGradient, Wanted};
use selfsame_kernels::conv_bn::{self, EPSILON, Parameters, Saved, Then};
use selfsame_kernels::isa::Isa;
use selfsame_kernels::norm::{Channels, Sums};

use crate::flex::{Maybe, Stored, contiguous, small, tensor, values};

/// Outputs of the operation in training, and the statistics that normalised them.
#[derive(ExtensionType)]
pub struct Normalised<B: Backend> {
    /// The outputs.
    pub output: FloatTensor<B>,
    /// Mean of each channel of the convolution's output. No gradient flows through it.
    pub mean: FloatTensor<B>,
    /// Biased variance of each channel of the convolution's output. No gradient flows through it.
    pub variance: FloatTensor<B>,
}

/// Options of the convolution and of the steps after it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Step of the kernel, in pixels.
    pub stride: usize,
    /// Zeros around the image, in pixels.
    pub padding: usize,
    /// Whether the operation ends with ReLU.
    pub activate: bool,
    /// Whether normalisation and ReLU are deferred in training. The output is then the output of
    /// the convolution alone, and the next operation normalises it while reading. The gradient of
    /// the output is still taken with respect to the normalised values.
    pub defer: bool,
}

/// The operation of a backend. Shapes are those of [`conv_bn`](crate::block::conv_bn).
#[backend_extension(Flex, Autodiff)]
pub trait ConvBn: Backend {
    /// Normalises by the batch's own statistics. If the operation that computed `x` has
    /// [deferred](Options::defer) its normalisation, `deferred` holds the mean, variance, γ and β
    /// of that normalisation, `[4, channels]`.
    fn conv_bn_train(
        x: FloatTensor<Self>,
        #[extension_type] deferred: Maybe<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        #[extension_type] residual: Maybe<Self>,
        options: Options,
    ) -> Normalised<Self>;

    /// Normalises by a given mean and variance. This operation is not differentiable.
    fn conv_bn_evaluate(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        #[extension_type] residual: Maybe<Self>,
        options: Options,
    ) -> FloatTensor<Self>;
}

impl ConvBn for Flex {
    fn conv_bn_train(
        x: FlexTensor,
        deferred: Maybe<Self>,
        weight: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        residual: Maybe<Self>,
        options: Options,
    ) -> Normalised<Self> {
        let inputs = [&x, &weight, &gamma, &beta].map(FlexTensor::to_contiguous);
        forward(inputs, contiguous(deferred), contiguous(residual), options).0
    }

    fn conv_bn_evaluate(
        x: FlexTensor,
        weight: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        residual: Maybe<Self>,
        options: Options,
    ) -> FlexTensor {
        let [x, weight, gamma, beta, mean, variance] =
            [x, weight, gamma, beta, mean, variance].map(|tensor| tensor.to_contiguous());
        let residual = contiguous(residual);
        match x.dtype() {
            DType::BF16 => {
                evaluate::<bf16>(x, [weight, gamma, beta, mean, variance], residual, options)
            }
            _ => evaluate::<f32>(x, [weight, gamma, beta, mean, variance], residual, options),
        }
    }
}

fn evaluate<T: Stored>(
    x: FlexTensor,
    [weight, gamma, beta, mean, variance]: [FlexTensor; 5],
    residual: Option<FlexTensor>,
    options: Options,
) -> FlexTensor {
    let conv = convolution(&x, &weight, options);
    let parameters =
        Parameters { weights: values(&weight), gamma: values(&gamma), beta: values(&beta) };
    let output = conv_bn::evaluate::<T>(
        Isa::best(),
        &conv,
        values(&x),
        parameters,
        [values(&mean), values(&variance)],
        residual.as_ref().map(values),
        options.activate,
    );
    tensor(output, output_shape(&conv))
}

impl<C: CheckpointStrategy> ConvBn for Autodiff<Flex, C> {
    fn conv_bn_train(
        x: FloatTensor<Self>,
        deferred: Maybe<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        residual: Maybe<Self>,
        options: Options,
    ) -> Normalised<Self> {
        let deferred = match deferred {
            Maybe::Some(deferred) => Some(deferred.into_primitive().to_contiguous()),
            Maybe::None => None,
        };
        let nodes = [x.node(), weight.node(), gamma.node(), beta.node()];
        let tracked_weight = weight.clone();
        let inputs = [&x, &weight, &gamma, &beta].map(|tensor| tensor.primitive().to_contiguous());
        match residual {
            Maybe::Some(residual) => {
                let [a, b, c, d] = nodes;
                let nodes = [a, b, c, d, residual.node()];
                train::<5, C>(
                    nodes,
                    tracked_weight,
                    inputs,
                    deferred,
                    Some(residual.primitive().to_contiguous()),
                    options,
                )
            }
            Maybe::None => train::<4, C>(nodes, tracked_weight, inputs, deferred, None, options),
        }
    }

    fn conv_bn_evaluate(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        residual: Maybe<Self>,
        options: Options,
    ) -> FloatTensor<Self> {
        let residual = match residual {
            Maybe::Some(residual) => Maybe::Some(residual.into_primitive()),
            Maybe::None => Maybe::None,
        };
        let [x, weight, gamma, beta, mean, variance] =
            [x, weight, gamma, beta, mean, variance].map(|tensor| tensor.into_primitive());
        Self::from_inner(Flex::conv_bn_evaluate(
            x, weight, gamma, beta, mean, variance, residual, options,
        ))
    }
}

/// The backward step. Its parents are input, weight, γ, β and, if there is a fifth parent, the
/// residual.
#[derive(Debug)]
struct ConvBnBackward;

/// Data of the forward step that the backward step needs. All tensors are contiguous.
#[derive(Clone, Debug)]
struct State {
    /// The weight as a node of the graph, so that the backward step finds the gradient that another
    /// view has given the weight. The input must not be kept as a node: it is the output of another
    /// step, and steps that hold each other's outputs keep a graph alive that all other owners have
    /// dropped.
    weight: FloatTensor<Autodiff<Flex>>,
    inputs: [FlexTensor; 4],
    deferred: Option<FlexTensor>,
    convolved: Arc<Convolved>,
    /// Values from which the input was computed, if the input is an output after ReLU.
    origin: Option<Arc<Convolved>>,
    output: Option<FlexTensor>,
    options: Options,
}

/// The output of a convolution alone, and the parameters of its normalisation.
#[derive(Debug)]
struct Convolved {
    values: FlexTensor,
    mean: FlexTensor,
    variance: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
}

impl Convolved {
    fn channels(&self) -> Channels {
        let Self { mean, variance, gamma, beta, .. } = self;
        Channels::new(values(mean), values(variance), values(gamma), values(beta), EPSILON)
    }
}

impl<const N: usize> Backward<Flex, N> for ConvBnBackward {
    type State = State;

    fn backward(self, ops: Ops<State, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let state = &ops.state;
        let sums = notes::begin(ops.node.id, &gradient);
        // The input may already have a gradient from a residual, and the weights from another view.
        // Both are added while this step writes its own gradients.
        let x = &ops.parents[0];
        let begun = x.as_ref().filter(|x| notes::has_begun(x.id));
        let added = [begun.map(|x| grads.consume::<Flex>(x)), grads.remove(&state.weight)];
        let wanted = x.is_some();
        let (gradients, input_sums) = match state.inputs[0].dtype() {
            DType::BF16 => backward::<bf16>(state, gradient, wanted, added, sums),
            _ => backward::<f32>(state, gradient, wanted, added, sums),
        };
        if let (Some(x), [Some(gradient), ..]) = (x, &gradients) {
            notes::note_sums(x.id, input_sums, gradient);
        }
        for (parent, gradient) in ops.parents.iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
                // Leaves have order 0.
                if parent.order > 0 {
                    notes::note_begun(parent.id);
                }
            }
        }
    }
}

/// Computes the gradients of the input (if that gradient is wanted), the weight, γ, β and the
/// residual. Also returns the sums over the input's gradient, if they could be taken.
fn backward<T: Stored>(
    state: &State,
    gradient: FlexTensor,
    wanted: bool,
    added: [Option<FlexTensor>; 2],
    sums: Option<Sums>,
) -> ([Option<FlexTensor>; 5], Option<Sums>) {
    let State {
        inputs: [x, weight, gamma, beta],
        deferred,
        convolved,
        origin,
        output,
        options,
        ..
    } = state;
    let conv = convolution(x, weight, *options);
    let parameters =
        Parameters { weights: values(weight), gamma: values(gamma), beta: values(beta) };
    let deferred = deferred.as_ref().map(channels);
    // A block reads its input twice, so the input's gradient is complete after the second part. (If
    // there were a third part, the sums would be taken again.)
    let origin = origin.as_ref().filter(|_| added[0].is_some());
    let origin_channels = origin.map(|origin| origin.channels());
    let saved = Saved {
        input: input::<T>(x, &deferred),
        convolved: values(&convolved.values),
        mean: values(&convolved.mean),
        variance: values(&convolved.variance),
        output: output.as_ref().map(values),
        sums: sums.as_ref(),
        origin: origin
            .zip(origin_channels.as_ref())
            .map(|(origin, channels)| (values(&origin.values), channels)),
    };
    let [added, weights_added] = added.map(|added| added.map(|added| added.to_contiguous()));
    let input_gradient = match (wanted, &added) {
        (false, _) => InputGradient::Unwanted,
        (true, None) => InputGradient::Wanted,
        (true, Some(added)) => InputGradient::Added(values(added)),
    };
    let wanted = Wanted { input: input_gradient, weights: weights_added.as_ref().map(values) };
    let result = conv_bn::backward(
        Isa::best(),
        &conv,
        parameters,
        saved,
        options.activate,
        values(&gradient),
        wanted,
    );
    let gradients = [
        result.input.map(|input| tensor(input, x.shape())),
        Some(tensor(result.weights, weight.shape())),
        Some(small(result.gamma, gamma.shape())),
        Some(small(result.beta, beta.shape())),
        // Without ReLU, or if the gradient has passed ReLU already, the gradient of the residual is
        // the gradient of the output.
        Some(result.residual.map_or(gradient, |residual| tensor(residual, output_shape(&conv)))),
    ];
    (gradients, result.before)
}

fn train<const N: usize, C: CheckpointStrategy>(
    nodes: [NodeGuard; N],
    tracked_weight: FloatTensor<Autodiff<Flex>>,
    inputs: [FlexTensor; 4],
    deferred: Option<FlexTensor>,
    residual: Option<FlexTensor>,
    options: Options,
) -> Normalised<Autodiff<Flex, C>> {
    let has_residual = residual.is_some();
    let origin = notes::origin(nodes[0].id());
    let (Normalised { output, mean, variance }, convolved) =
        forward(inputs.clone(), deferred.clone(), residual, options);
    let statistics = [mean.clone(), variance.clone()].map(Autodiff::<Flex, C>::from_inner);
    let output = match ConvBnBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            // Without a residual, the output of the convolution shows where ReLU has cut off
            // values.
            let kept_output = has_residual.then(|| output.clone());
            let [gamma, beta] = [&inputs[2], &inputs[3]].map(FlexTensor::clone);
            let convolved = Arc::new(Convolved { values: convolved, mean, variance, gamma, beta });
            let weak = Arc::downgrade(&convolved);
            let state = State {
                weight: tracked_weight,
                inputs,
                deferred,
                convolved,
                origin,
                output: kept_output,
                options,
            };
            let output = prep.finish(state, output);
            if options.activate && !options.defer {
                notes::note_origin(output.node().id(), weak);
            }
            output
        }
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    let [mean, variance] = statistics;
    Normalised { output, mean, variance }
}

/// Computes the operation on contiguous tensors. Also returns the output of the convolution alone.
fn forward(
    inputs: [FlexTensor; 4],
    deferred: Option<FlexTensor>,
    residual: Option<FlexTensor>,
    options: Options,
) -> (Normalised<Flex>, FlexTensor) {
    match inputs[0].dtype() {
        DType::BF16 => forward_of::<bf16>(inputs, deferred, residual, options),
        _ => forward_of::<f32>(inputs, deferred, residual, options),
    }
}

/// Returns the normalisation that an earlier operation has deferred. `deferred` holds mean,
/// variance, γ and β in four rows.
fn channels(deferred: &FlexTensor) -> Channels {
    let values = values::<f32>(deferred);
    let row = |row: usize| &values[row * values.len() / 4..(row + 1) * values.len() / 4];
    Channels::new(row(0), row(1), row(2), row(3), EPSILON)
}

fn input<'a, T: Stored>(x: &'a FlexTensor, deferred: &'a Option<Channels>) -> Input<'a, T> {
    match deferred {
        Some(deferred) => Input::Convolved(values(x), deferred),
        None => Input::Ready(values(x)),
    }
}

fn forward_of<T: Stored>(
    [x, weight, gamma, beta]: [FlexTensor; 4],
    deferred: Option<FlexTensor>,
    residual: Option<FlexTensor>,
    options: Options,
) -> (Normalised<Flex>, FlexTensor) {
    let conv = convolution(&x, &weight, options);
    let parameters =
        Parameters { weights: values(&weight), gamma: values(&gamma), beta: values(&beta) };
    let deferred = deferred.as_ref().map(channels);
    let then = match options.defer {
        true => Then::Next,
        false => Then::Here { residual: residual.as_ref().map(values), relu: options.activate },
    };
    let result = conv_bn::forward::<T>(Isa::best(), &conv, input(&x, &deferred), parameters, then);
    let shape = output_shape(&conv);
    let convolved = tensor(result.convolved, shape.clone());
    let normalised = Normalised {
        output: result.output.map_or_else(|| convolved.clone(), |output| tensor(output, shape)),
        mean: small(result.mean, gamma.shape()),
        variance: small(result.variance, gamma.shape()),
    };
    (normalised, convolved)
}

fn convolution(x: &FlexTensor, weight: &FlexTensor, options: Options) -> Conv {
    let ([batch, height, width, inputs], [outputs, _, kernel, _]) =
        (x.shape().dims(), weight.shape().dims());
    Conv {
        batch,
        height,
        width,
        inputs,
        outputs,
        kernel,
        stride: options.stride,
        padding: options.padding,
    }
}

fn output_shape(conv: &Conv) -> Shape {
    Shape::new([conv.batch, conv.out_height(), conv.out_width(), conv.outputs])
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::{Device, Tensor, TensorData};

    use super::notes;
    use crate::layers::Init;
    use crate::state::{self, VisitNamed};
    use crate::{Architecture, Precision, ResNet, ResNetConfig, Stem};

    /// The gradients of all weights, in order.
    struct Collected<'a>(&'a burn::tensor::Gradients, Vec<Vec<f32>>);

    impl VisitNamed for Collected<'_> {
        fn tensor<const D: usize>(&mut self, _name: &str, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.0) {
                self.1.push(state::to_host(gradient).values);
            }
        }
    }

    /// Returns the gradients of a network that passes two views one after the other, so that the
    /// gradients of weights have two parts, as have the gradients of the blocks' inputs.
    fn gradients(network: &ResNet, device: &Device) -> Vec<Vec<f32>> {
        let view = |seed: usize| {
            let pixel = |i: usize| ((i * 7919 + seed * 131) % 1009) as f32 / 500.0 - 1.0;
            let values: Vec<f32> = (0..6 * 8 * 8 * 3).map(pixel).collect();
            Tensor::<4>::from_data(TensorData::new(values, [6, 8, 8, 3]), device)
        };
        let outputs = network.forward(view(1)) * network.forward(view(2));
        let mut collected = Collected(&outputs.powf_scalar(2.0).sum().backward(), Vec::new());
        state::visit(network, &mut collected);
        collected.1
    }

    #[test]
    fn gradients_are_the_same_with_no_notes_kept() {
        let device = Device::flex().autodiff();
        for (precision, bound) in [(Precision::F32, 1e-4), (Precision::Bf16, 0.05)] {
            for architecture in [Architecture::ResNet18, Architecture::ResNet50] {
                let config = ResNetConfig { architecture, stem: Stem::Cifar, width: 4, precision };
                let network = config.init(&mut Init::new(2, &device));
                let with_notes = gradients(&network, &device);
                let without = notes::without(|| gradients(&network, &device));
                assert!(with_notes.len() == without.len() && with_notes.len() >= 60);
                for (found, expected) in with_notes.iter().zip(&without) {
                    let length = |values: &mut dyn Iterator<Item = f32>| {
                        values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
                    };
                    let apart = length(&mut found.iter().zip(expected).map(|(a, b)| a - b));
                    let whole = length(&mut expected.iter().copied());
                    assert!(
                        whole > 0.0 && apart <= bound * whole,
                        "{precision}: {apart} of {whole}"
                    );
                }
            }
        }
    }
}
