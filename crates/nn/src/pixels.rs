//! From stored pixels to an encoder's input.

use burn::tensor::{Device, Tensor, TensorData};

/// Mean of each channel that is subtracted: ImageNet's, red, green, blue, on a scale of 0 to 1.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Deviation of each channel that is divided by: ImageNet's.
pub const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Normalises `images`, RGB bytes of square images of side `size` one after the other, to
/// `[images, size, size, 3]`.
///
/// # Panics
/// If the number of bytes is no multiple of `size² · 3`.
pub fn normalise(images: &[u8], size: usize, device: &Device) -> Tensor<4> {
    assert_eq!(images.len() % (size * size * 3), 0, "whole images");
    let table: [[f32; 256]; 3] =
        std::array::from_fn(|c| std::array::from_fn(|v| (v as f32 / 255.0 - MEAN[c]) / DEVIATION[c]));
    let values: Vec<f32> = images
        .as_chunks::<3>()
        .0
        .iter()
        .flat_map(|p| std::array::from_fn::<_, 3, _>(|c| table[c][p[c] as usize]))
        .collect();
    let count = images.len() / (size * size * 3);
    Tensor::from_data(TensorData::new(values, [count, size, size, 3]), device)
}
