//! [`conv_bn`](crate::block::conv_bn) on CPUs: the kernels of `selfsame_kernels` as a Burn backend
//! extension.

#![allow(
    clippy::too_many_arguments,
    reason = "a backend operation takes every tensor as an argument"
)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, AutodiffBackend, Backend, ExtensionType, Flex, TensorMetadata, backend_extension,
};
use burn::tensor::{AllocationProperty, Bytes, DType, Shape};
use burn_flex::{FlexTensor, Layout};
use half::bf16;
use selfsame_kernels::buffer::Buffer;
use selfsame_kernels::conv::{Conv, Input, InputGradient, Wanted};
use selfsame_kernels::conv_bn::{self, EPSILON, Parameters, Saved, Then};
use selfsame_kernels::element::Element;
use selfsame_kernels::isa::Isa;
use selfsame_kernels::norm::{Channels, Sums};

/// A tensor that may be missing.
#[derive(ExtensionType)]
pub enum Maybe<B: Backend> {
    /// It is there.
    Some(FloatTensor<B>),
    /// It is not.
    None,
}

/// What the training form of the operation gives.
#[derive(ExtensionType)]
pub struct Normalised<B: Backend> {
    /// The outputs.
    pub output: FloatTensor<B>,
    /// Mean of each channel of the convolution's outputs; no gradient flows through it.
    pub mean: FloatTensor<B>,
    /// Biased variance of the same.
    pub variance: FloatTensor<B>,
}

/// The convolution's stride and padding, and whether ReLU comes last.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Step of the kernel, in pixels.
    pub stride: usize,
    /// Zeros around the image, in pixels.
    pub padding: usize,
    /// Whether negative outputs are cut off.
    pub activate: bool,
    /// In training: whether the output is the convolution's own, which the next one normalises and
    /// cuts off at zero as it reads it. The gradient of the output is that of what the next one
    /// makes of it, all the same.
    pub left: bool,
}

/// The operation as backends have it; shapes as in [`conv_bn`](crate::block::conv_bn).
#[backend_extension(Flex, Autodiff)]
pub trait ConvBn: Backend {
    /// With the batch's own statistics. Where `x` was [left](Options::left) by an earlier one,
    /// `before` has that one's mean, variance, γ and β, `[4, channels]`.
    fn conv_bn_train(
        x: FloatTensor<Self>,
        #[extension_type] before: Maybe<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        #[extension_type] residual: Maybe<Self>,
        options: Options,
    ) -> Normalised<Self>;

    /// With the mean and variance given; not differentiable.
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
        before: Maybe<Self>,
        weight: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        residual: Maybe<Self>,
        options: Options,
    ) -> Normalised<Self> {
        let inputs = [&x, &weight, &gamma, &beta].map(FlexTensor::to_contiguous);
        forward(inputs, contiguous(before), contiguous(residual), options).0
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
        before: Maybe<Self>,
        weight: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        residual: Maybe<Self>,
        options: Options,
    ) -> Normalised<Self> {
        let before = match before {
            Maybe::Some(before) => Some(before.into_primitive().to_contiguous()),
            Maybe::None => None,
        };
        let nodes = [x.node(), weight.node(), gamma.node(), beta.node()];
        let of_weight = weight.clone();
        let inputs = [&x, &weight, &gamma, &beta].map(|tensor| tensor.primitive().to_contiguous());
        match residual {
            Maybe::Some(residual) => {
                let [a, b, c, d] = nodes;
                let nodes = [a, b, c, d, residual.node()];
                train::<5, C>(
                    nodes,
                    of_weight,
                    inputs,
                    before,
                    Some(residual.primitive().to_contiguous()),
                    options,
                )
            }
            Maybe::None => train::<4, C>(nodes, of_weight, inputs, before, None, options),
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

/// The backward step; its parents are input, weight, γ, β and, as the fifth of five, the residual.
#[derive(Debug)]
struct ConvBnBackward;

/// What the backward step keeps: all tensors contiguous.
#[derive(Clone, Debug)]
struct State {
    /// The weight as the graph knows it, to find what is there of its gradient. Of the input, which
    /// is another step's output, it must not be kept: steps that refer to each other's outputs keep
    /// a graph that everyone else has dropped.
    weight: FloatTensor<Autodiff<Flex>>,
    inputs: [FlexTensor; 4],
    before: Option<FlexTensor>,
    convolved: Arc<Convolved>,
    /// What the input was made of, if it is an output behind ReLU.
    origin: Option<Arc<Convolved>>,
    output: Option<FlexTensor>,
    options: Options,
}

/// A convolution's own outputs, and how they are normalised.
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
        // What is there already of the gradients of input and weights, from a residual and from
        // another view, is added in passing.
        let state = &ops.state;
        REGISTERED.with_borrow_mut(|nodes| nodes.take(ops.node.id));
        let sums = SUMMED.with_borrow_mut(|sums| sums.take(ops.node.id));
        let sums = sums.filter(|(_, of)| *of == place(&gradient)).map(|(sums, _)| sums);
        let x = &ops.parents[0];
        let there =
            x.as_ref().filter(|x| REGISTERED.with_borrow(|nodes| nodes.get(x.id).is_some()));
        let added = [there.map(|x| grads.consume::<Flex>(x)), grads.remove(&state.weight)];
        let wanted = x.is_some();
        let (gradients, before) = match state.inputs[0].dtype() {
            DType::BF16 => backward::<bf16>(state, gradient, wanted, added, sums),
            _ => backward::<f32>(state, gradient, wanted, added, sums),
        };
        if let (Some(x), [Some(gradient), ..]) = (x, &gradients) {
            SUMMED.with_borrow_mut(|sums| match before {
                Some(before) => sums.note(x.id, (before, place(gradient))),
                None => drop(sums.take(x.id)),
            });
        }
        for (parent, gradient) in ops.parents.iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
                // Gradients of leaves outlast a backward pass; those of other nodes are of one pass
                // only.
                if parent.order > 0 {
                    REGISTERED.with_borrow_mut(|nodes| nodes.note(parent.id, ()));
                }
            }
        }
    }
}

thread_local! {
    /// Which nodes have a gradient already, as far as it is of this operation's making: Burn tells
    /// that only of a tensor, and a step must not keep one. A node that is forgotten too early has
    /// its gradients added by Burn.
    static REGISTERED: RefCell<Notes<()>> = const { RefCell::new(Notes::new()) };
    /// What one backward step has summed for the next, and where the gradient lies that it has
    /// summed. A step whose sums are forgotten, or whose gradient has become another since by a use
    /// that was not known of, takes them itself.
    static SUMMED: RefCell<Notes<(Sums, usize)>> = const { RefCell::new(Notes::new()) };
    /// What outputs behind ReLU were made of, for the operations that read them. It stays with the
    /// graph.
    static ORIGINS: RefCell<Notes<Weak<Convolved>>> = const { RefCell::new(Notes::new()) };
}

/// Where a tensor's bytes lie. Those of [`tensor`] are copied when another writes to them.
fn place(tensor: &FlexTensor) -> usize {
    tensor.bytes().as_ptr() as usize
}

/// What is known of nodes in the pass that is under way on this thread, the newest first.
///
/// A step takes part in one backward pass only, and a note that stays too long does no harm. What a
/// graph has kept of Burn's making, and a second pass reaches without that step, must not be read
/// by this operation in both.
struct Notes<T>(VecDeque<(NodeId, T)>);

impl<T> Notes<T> {
    /// Many more than gradients that wait for others at a time.
    const MOST: usize = 64;

    const fn new() -> Self {
        Self(VecDeque::new())
    }

    fn note(&mut self, node: NodeId, what: T) {
        self.take(node);
        self.0.truncate(Self::MOST - 1);
        self.0.push_front((node, what));
    }

    fn get(&self, node: NodeId) -> Option<&T> {
        self.0.iter().find(|(other, _)| *other == node).map(|(_, what)| what)
    }

    fn take(&mut self, node: NodeId) -> Option<T> {
        let at = self.0.iter().position(|(other, _)| *other == node)?;
        self.0.remove(at).map(|(_, what)| what)
    }
}

/// The gradients of input, where it is wanted, weight, γ, β and residual, and the sums for the step
/// before.
fn backward<T: Stored>(
    state: &State,
    gradient: FlexTensor,
    wanted: bool,
    added: [Option<FlexTensor>; 2],
    sums: Option<Sums>,
) -> ([Option<FlexTensor>; 5], Option<Sums>) {
    let State {
        inputs: [x, weight, gamma, beta], before, convolved, origin, output, options, ..
    } = state;
    let conv = convolution(x, weight, *options);
    let parameters =
        Parameters { weights: values(weight), gamma: values(gamma), beta: values(beta) };
    let before = before.as_ref().map(channels);
    // Blocks use what they read twice: with the second gradient it is whole. Were there a third,
    // all would be done again.
    let origin = origin.as_ref().filter(|_| added[0].is_some());
    let of_origin = origin.map(|origin| origin.channels());
    let saved = Saved {
        input: input::<T>(x, &before),
        convolved: values(&convolved.values),
        mean: values(&convolved.mean),
        variance: values(&convolved.variance),
        output: output.as_ref().map(values),
        sums: sums.as_ref(),
        origin: origin
            .zip(of_origin.as_ref())
            .map(|(origin, channels)| (values(&origin.values), channels)),
    };
    let [added, of_weights] = added.map(|added| added.map(|added| added.to_contiguous()));
    let of_input = match (wanted, &added) {
        (false, _) => InputGradient::Unwanted,
        (true, None) => InputGradient::Wanted,
        (true, Some(added)) => InputGradient::Added(values(added)),
    };
    let wanted = Wanted { input: of_input, weights: of_weights.as_ref().map(values) };
    let found = conv_bn::backward(
        Isa::best(),
        &conv,
        parameters,
        saved,
        options.activate,
        values(&gradient),
        wanted,
    );
    let gradients = [
        found.input.map(|input| tensor(input, x.shape())),
        Some(tensor(found.weights, weight.shape())),
        Some(small(found.gamma, gamma.shape())),
        Some(small(found.beta, beta.shape())),
        // Without ReLU, or when it has passed that already, the output's gradient is the
        // residual's.
        Some(found.residual.map_or(gradient, |residual| tensor(residual, output_shape(&conv)))),
    ];
    (gradients, found.before)
}

fn train<const N: usize, C: CheckpointStrategy>(
    nodes: [NodeGuard; N],
    of_weight: FloatTensor<Autodiff<Flex>>,
    inputs: [FlexTensor; 4],
    before: Option<FlexTensor>,
    residual: Option<FlexTensor>,
    options: Options,
) -> Normalised<Autodiff<Flex, C>> {
    let kept = residual.is_some();
    let origin = ORIGINS.with_borrow(|origins| origins.get(nodes[0].id()).and_then(Weak::upgrade));
    let (Normalised { output, mean, variance }, convolved) =
        forward(inputs.clone(), before.clone(), residual, options);
    let statistics = [mean.clone(), variance.clone()].map(Autodiff::<Flex, C>::from_inner);
    let output = match ConvBnBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let kept = kept.then(|| output.clone());
            let [gamma, beta] = [&inputs[2], &inputs[3]].map(FlexTensor::clone);
            let convolved = Arc::new(Convolved { values: convolved, mean, variance, gamma, beta });
            let noted = Arc::downgrade(&convolved);
            let state = State {
                weight: of_weight,
                inputs,
                before,
                convolved,
                origin,
                output: kept,
                options,
            };
            let output = prep.finish(state, output);
            if options.activate && !options.left {
                ORIGINS.with_borrow_mut(|origins| origins.note(output.node().id(), noted));
            }
            output
        }
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    let [mean, variance] = statistics;
    Normalised { output, mean, variance }
}

/// The operation on contiguous tensors, and the convolution's own outputs.
fn forward(
    inputs: [FlexTensor; 4],
    before: Option<FlexTensor>,
    residual: Option<FlexTensor>,
    options: Options,
) -> (Normalised<Flex>, FlexTensor) {
    match inputs[0].dtype() {
        DType::BF16 => forward_of::<bf16>(inputs, before, residual, options),
        _ => forward_of::<f32>(inputs, before, residual, options),
    }
}

/// What an earlier operation has left to be done to its outputs.
fn channels(before: &FlexTensor) -> Channels {
    let values = values::<f32>(before);
    let of = |row: usize| &values[row * values.len() / 4..(row + 1) * values.len() / 4];
    Channels::new(of(0), of(1), of(2), of(3), EPSILON)
}

fn input<'a, T: Stored>(x: &'a FlexTensor, before: &'a Option<Channels>) -> Input<'a, T> {
    match before {
        Some(before) => Input::Convolved(values(x), before),
        None => Input::Ready(values(x)),
    }
}

fn forward_of<T: Stored>(
    [x, weight, gamma, beta]: [FlexTensor; 4],
    before: Option<FlexTensor>,
    residual: Option<FlexTensor>,
    options: Options,
) -> (Normalised<Flex>, FlexTensor) {
    let conv = convolution(&x, &weight, options);
    let parameters =
        Parameters { weights: values(&weight), gamma: values(&gamma), beta: values(&beta) };
    let before = before.as_ref().map(channels);
    let then = match options.left {
        true => Then::Next,
        false => Then::Here { residual: residual.as_ref().map(values), relu: options.activate },
    };
    let found = conv_bn::forward::<T>(Isa::best(), &conv, input(&x, &before), parameters, then);
    let shape = output_shape(&conv);
    let convolved = tensor(found.convolved, shape.clone());
    let normalised = Normalised {
        output: found.output.map_or_else(|| convolved.clone(), |output| tensor(output, shape)),
        mean: small(found.mean, gamma.shape()),
        variance: small(found.variance, gamma.shape()),
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

pub(crate) fn contiguous(tensor: Maybe<Flex>) -> Option<FlexTensor> {
    match tensor {
        Maybe::Some(tensor) => Some(tensor.to_contiguous()),
        Maybe::None => None,
    }
}

/// What the tensors' values may be, by both Burn's account and the kernels'.
pub(crate) trait Stored: Element + burn::tensor::Element + bytemuck::Pod {}
impl Stored for f32 {}
impl Stored for bf16 {}

/// The values of a contiguous tensor of that type.
pub(crate) fn values<T: Stored>(tensor: &FlexTensor) -> &[T] {
    &tensor.storage::<T>()[..tensor.layout().num_elements()]
}

/// A large tensor, whose memory goes back to the pool with its last user.
pub(crate) fn tensor<T: Stored>(buffer: Buffer<T>, shape: Shape) -> FlexTensor {
    FlexTensor::new(bytes(buffer), Layout::contiguous(shape), T::dtype())
}

/// A buffer as Burn takes it, without a copy.
pub(crate) fn bytes<T: Stored>(buffer: Buffer<T>) -> Bytes {
    Bytes::from_shared(bytes::Bytes::from_owner(buffer), AllocationProperty::Native)
}

fn small(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}
