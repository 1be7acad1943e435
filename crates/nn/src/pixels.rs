//! Conversion of stored pixels to the input of an encoder.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rayon::prelude::*;
use selfsame_augment::{Isa, Normalise};
use selfsame_kernels::buffer::Buffer;

use crate::flex::bytes;

/// Normalises the RGB bytes of square images of side `size` by ImageNet's mean and deviation, to
/// `[images, size, size, 3]`. `images` holds one image after the other.
///
/// # Panics
/// If the number of bytes is not a multiple of `size² · 3`.
pub fn normalise(images: &[u8], size: usize, device: &Device) -> Tensor<4> {
    let image = size * size * 3;
    assert_eq!(images.len() % image, 0, "whole images");
    let mut values = Buffer::<f32>::any(images.len());
    let pairs = values.par_chunks_mut(image).zip(images.par_chunks(image));
    pairs.for_each(|(values, image)| Normalise::IMAGENET.apply(Isa::best(), image, values));
    let shape = [images.len() / image, size, size, 3];
    Tensor::from_data(TensorData::from_bytes(bytes(values), shape, DType::F32), device)
}
