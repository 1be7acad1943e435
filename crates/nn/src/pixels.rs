//! From stored pixels to an encoder's input.

use burn::tensor::{Device, Tensor, TensorData};
use selfsame_augment::{Isa, Normalise};

/// Normalises `images`, RGB bytes of square images of side `size` one after the other, by ImageNet's mean and
/// deviation, to `[images, size, size, 3]`.
///
/// # Panics
/// If the number of bytes is no multiple of `size² · 3`.
pub fn normalise(images: &[u8], size: usize, device: &Device) -> Tensor<4> {
    assert_eq!(images.len() % (size * size * 3), 0, "whole images");
    let mut values = vec![0.0; images.len()];
    Normalise::IMAGENET.apply(Isa::best(), images, &mut values);
    let count = images.len() / (size * size * 3);
    Tensor::from_data(TensorData::new(values, [count, size, size, 3]), device)
}
