//! The two ends of a residual network on the processor: images are rounded to bf16 before the first
//! convolution, and the pixels of each image are averaged after the last convolution. Burn's own
//! operations compute the same values on one thread, in four passes over freshly allocated memory.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Shape, Tensor};
use burn_flex::FlexTensor;
use half::bf16;
use rayon::prelude::*;
use selfsame_kernels::buffer::Buffer;
use selfsame_kernels::element;
use selfsame_kernels::isa::Isa;
use selfsame_kernels::pool;

use crate::flex::{Stored, is_flex, tensor, values};

/// Number of values that a thread rounds at a time.
const TOGETHER: usize = 1 << 15;

/// Rounds values to bf16. On devices other than the processor, where activations stay f32, values
/// are unchanged.
pub(crate) fn short(x: Tensor<4>) -> Tensor<4> {
    if is_flex(&x.device()) && x.dtype() == DType::F32 {
        Tensor::from_dispatch(<Dispatch as Ends>::short(x.into_dispatch()))
    } else {
        x
    }
}

/// Computes the mean of each image's pixels in f32, from `[batch, height, width, channels]` to
/// `[batch, channels]`.
pub(crate) fn average(x: Tensor<4>) -> Tensor<2> {
    if is_flex(&x.device()) && matches!(x.dtype(), DType::F32 | DType::BF16) {
        return Tensor::from_dispatch(<Dispatch as Ends>::average(x.into_dispatch()));
    }
    let [batch, height, width, channels] = x.dims();
    x.reshape([batch, height * width, channels]).mean_dim(1).reshape([batch, channels])
}

/// The operations of this module, as operations of a backend.
#[backend_extension(Flex, Autodiff)]
trait Ends: Backend {
    /// Rounds f32 values to bf16.
    fn short(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Averages `[batch, height, width, channels]` to `[batch, channels]`.
    fn average(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl Ends for Flex {
    fn short(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let source: &[f32] = values(&x);
        let mut target = Buffer::<bf16>::any(source.len());
        let pairs = target.par_chunks_mut(TOGETHER).zip(source.par_chunks(TOGETHER));
        pairs.for_each(|(target, source)| element::narrow(Isa::best(), source, target));
        tensor(target, x.shape())
    }

    fn average(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        match x.dtype() {
            DType::BF16 => average_of::<bf16>(&x),
            _ => average_of::<f32>(&x),
        }
    }
}

fn average_of<T: Stored>(x: &FlexTensor) -> FlexTensor {
    let [batch, height, width, channels] = x.shape().dims();
    assert!(height * width * channels > 0, "images without pixels have no mean");
    let mut means = Buffer::any(batch * channels);
    let images = values::<T>(x).par_chunks((height * width * channels).max(1));
    means
        .par_chunks_mut(channels.max(1))
        .zip(images)
        .for_each(|(means, image)| pool::average(image, means));
    tensor(means, Shape::new([batch, channels]))
}

/// Computes the gradient of images of shape `shape` from the gradient of their means.
fn average_back<T: Stored>(gradient: &FlexTensor, shape: Shape) -> FlexTensor {
    let [batch, height, width, channels] = shape.dims();
    let image = height * width * channels;
    let mut images = Buffer::<T>::any(batch * image);
    let means = values::<f32>(gradient).par_chunks(channels.max(1));
    images
        .par_chunks_mut(image.max(1))
        .zip(means)
        .for_each(|(image, means)| pool::average_back(means, image));
    tensor(images, shape)
}

impl<C: CheckpointStrategy> Ends for Autodiff<Flex, C> {
    fn short(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Short;

        impl Backward<Flex, 1> for Short {
            type State = ();

            fn backward(
                self,
                ops: Ops<(), 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                unary::<Flex, _>(ops.parents, ops.node, grads, |gradient| {
                    Flex::float_cast(gradient, DType::F32.into())
                });
            }
        }

        let output = Flex::short(x.primitive().clone());
        Short.prepare::<C>([x.node()]).compute_bound().stateless(output)
    }

    fn average(x: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct Average;

        impl Backward<Flex, 1> for Average {
            type State = (Shape, DType);

            fn backward(
                self,
                ops: Ops<(Shape, DType), 1>,
                grads: &mut Gradients,
                _checkpointer: &mut Checkpointer,
            ) {
                let (shape, dtype) = ops.state;
                unary::<Flex, _>(ops.parents, ops.node, grads, |gradient| {
                    let gradient = gradient.to_contiguous();
                    match dtype {
                        DType::BF16 => average_back::<bf16>(&gradient, shape),
                        _ => average_back::<f32>(&gradient, shape),
                    }
                });
            }
        }

        let (shape, dtype) = (x.primitive().shape(), x.primitive().dtype());
        let output = Flex::average(x.primitive().clone());
        match Average.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((shape, dtype), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn noise(shape: [usize; 4], device: &Device) -> Tensor<4> {
        let count: usize = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|i| (i * 7919 % 1009) as f32 / 1009.0 - 0.5).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn read<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().expect("f32")
    }

    /// Computes means with `average`, and the gradient of the sum of the means' squares with
    /// respect to the images. If `dtype` is bf16, `short` rounds the images first.
    fn run(
        shape: [usize; 4],
        dtype: DType,
        short: fn(Tensor<4>) -> Tensor<4>,
        average: fn(Tensor<4>) -> Tensor<2>,
    ) -> [Vec<f32>; 2] {
        let x = noise(shape, &Device::flex().autodiff()).require_grad();
        let seen = if dtype == DType::BF16 { short(x.clone()) } else { x.clone() };
        assert_eq!(seen.dtype(), dtype);
        let means = average(seen);
        assert_eq!(means.dtype(), DType::F32);
        let gradients = means.clone().powf_scalar(2.0).sum().backward();
        [read(means), read(x.grad(&gradients).expect("x takes part"))]
    }

    #[test]
    fn rounding_and_average_are_those_of_burn() {
        for shape in [[3, 4, 4, 33], [2, 1, 1, 5], [1, 7, 5, 1], [5, 2, 3, 16]] {
            for dtype in [DType::F32, DType::BF16] {
                let found = run(shape, dtype, short, average);
                let expected = run(
                    shape,
                    dtype,
                    |x| x.cast(DType::BF16),
                    |x| {
                        let [batch, height, width, channels] = x.dims();
                        let x = x.cast(DType::F32).reshape([batch, height * width, channels]);
                        x.mean_dim(1).reshape([batch, channels])
                    },
                );
                // Sums of up to 35 values below 1/2 are taken in another order, and the gradient is
                // rounded to bf16 if x was rounded.
                let bounds = [
                    35.0 * 2f32.powi(-25),
                    if dtype == DType::BF16 { 2f32.powi(-9) } else { 2f32.powi(-22) },
                ];
                for ((found, expected), bound) in found.iter().zip(&expected).zip(bounds) {
                    assert_eq!(found.len(), expected.len());
                    for (found, expected) in found.iter().zip(expected) {
                        assert!(
                            (found - expected).abs() <= bound,
                            "{shape:?}, {dtype:?}: {found} for {expected}"
                        );
                    }
                }
            }
        }
    }
}
