//! Burn's tensors on the processor, as the slices and buffers that kernels take.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DispatchDevice, ExtensionType, Flex};
use burn::tensor::{AllocationProperty, Bytes, DType, Device, Shape};
use burn_flex::{FlexTensor, Layout};
use half::bf16;
use selfsame_kernels::buffer::Buffer;
use selfsame_kernels::element::Element;

/// A tensor that may be missing.
#[derive(ExtensionType)]
pub enum Maybe<B: Backend> {
    /// The tensor.
    Some(FloatTensor<B>),
    /// No tensor.
    None,
}

/// Whether a device, with or without gradients, is the processor.
pub(crate) fn is_flex(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// The types of values that both Burn's tensors and our kernels hold.
pub(crate) trait Stored: Element + burn::tensor::Element + bytemuck::Pod {}
impl Stored for f32 {}
impl Stored for bf16 {}

/// The values of a contiguous tensor of type `T`.
pub(crate) fn values<T: Stored>(tensor: &FlexTensor) -> &[T] {
    &tensor.storage::<T>()[..tensor.layout().num_elements()]
}

/// The tensor, contiguous, if there is one.
pub(crate) fn contiguous(tensor: Maybe<Flex>) -> Option<FlexTensor> {
    match tensor {
        Maybe::Some(tensor) => Some(tensor.to_contiguous()),
        Maybe::None => None,
    }
}

/// A tensor on a buffer, without a copy. The memory returns to the buffers' pool when the last user
/// drops the tensor.
pub(crate) fn tensor<T: Stored>(buffer: Buffer<T>, shape: Shape) -> FlexTensor {
    FlexTensor::new(bytes(buffer), Layout::contiguous(shape), T::dtype())
}

/// A buffer as Burn takes it, without a copy.
pub(crate) fn bytes<T: Stored>(buffer: Buffer<T>) -> Bytes {
    Bytes::from_shared(bytes::Bytes::from_owner(buffer), AllocationProperty::Native)
}

/// A tensor of a few values, which needs no pooled memory.
pub(crate) fn small(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

/// Where a tensor's values start in memory. Whoever writes to a [`tensor`] gets a copy elsewhere,
/// so a tensor at the same address holds the same values for as long as it lives.
pub(crate) fn address(tensor: &FlexTensor) -> usize {
    tensor.bytes().as_ptr() as usize
}
