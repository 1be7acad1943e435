//! Conversions between Burn's tensors on the processor and the slices and buffers that kernels
//! take.

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

/// Returns whether a device, with or without gradients, is the processor.
pub(crate) fn is_flex(device: &Device) -> bool {
    matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
}

/// Types of values that both Burn's tensors and our kernels hold.
pub(crate) trait Stored: Element + burn::tensor::Element + bytemuck::Pod {}
impl Stored for f32 {}
impl Stored for bf16 {}

/// Returns the values of a contiguous tensor of type `T`.
pub(crate) fn values<T: Stored>(tensor: &FlexTensor) -> &[T] {
    &tensor.storage::<T>()[..tensor.layout().num_elements()]
}

/// Returns the tensor, if there is one, in contiguous form.
pub(crate) fn contiguous(tensor: Maybe<Flex>) -> Option<FlexTensor> {
    match tensor {
        Maybe::Some(tensor) => Some(tensor.to_contiguous()),
        Maybe::None => None,
    }
}

/// Creates a tensor from a buffer, without a copy. The memory returns to the buffers' pool when the
/// last user drops the tensor.
pub(crate) fn tensor<T: Stored>(buffer: Buffer<T>, shape: Shape) -> FlexTensor {
    FlexTensor::new(bytes(buffer), Layout::contiguous(shape), T::dtype())
}

/// Converts a buffer to the bytes that Burn takes, without a copy.
pub(crate) fn bytes<T: Stored>(buffer: Buffer<T>) -> Bytes {
    Bytes::from_shared(bytes::Bytes::from_owner(buffer), AllocationProperty::Native)
}

/// Creates a tensor of a few values, which needs no pooled memory.
pub(crate) fn small(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

/// Returns the address of a tensor's values in memory. A write to a [`tensor`] goes to a copy at
/// another address, so a tensor at the same address holds the same values for as long as the tensor
/// lives.
pub(crate) fn address(tensor: &FlexTensor) -> usize {
    tensor.bytes().as_ptr() as usize
}
