//! Pooling, channels last.

use crate::buffer::Buffer;
use crate::element::Element;

/// Returns the number of rows, and of columns, of the image that [`max`] makes of an image of
/// `size` rows and columns.
pub fn max_size(size: usize) -> usize {
    size.div_ceil(2)
}

/// Returns the largest values in windows of 3 × 3 pixels at a distance of 2 pixels, like the
/// pooling of ResNet. The first window is centred on the first pixel, and windows that reach beyond
/// the edge see only the pixels inside. `images` are square and `size` pixels wide.
///
/// # Panics
///
/// If `images` are not whole images.
pub fn max<T: Element>(images: &[T], size: usize, channels: usize) -> Buffer<T> {
    let (row, image) = (size * channels, size * size * channels);
    assert!(image > 0 && images.len().is_multiple_of(image), "whole images");
    let out = max_size(size);
    let mut pooled = Buffer::any(images.len() / image * out * out * channels);
    for (index, pooled) in pooled.chunks_exact_mut(channels).enumerate() {
        let (from, y, x) = (index / (out * out) * image, index / out % out, index % out);
        let window = |at: usize| (2 * at).saturating_sub(1)..(2 * at + 2).min(size);
        pooled.copy_from_slice(&images[from + 2 * y * row + 2 * x * channels..][..channels]);
        for y in window(y) {
            for x in window(x) {
                let values = &images[from + y * row + x * channels..][..channels];
                for (max, value) in pooled.iter_mut().zip(values) {
                    // A value that is not a number is passed on, so that it is noticed.
                    if value.widened() > max.widened() || value.widened().is_nan() {
                        *max = *value;
                    }
                }
            }
        }
    }
    pooled
}

/// Writes the mean of an image's pixels, one value per channel.
///
/// # Panics
///
/// If the image is empty, or not a whole number of pixels.
pub fn average<T: Element>(image: &[T], to: &mut [f32]) {
    assert!(!image.is_empty() && image.len().is_multiple_of(to.len()), "whole pixels");
    to.fill(0.0);
    for pixel in image.chunks_exact(to.len()) {
        to.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value.widened());
    }
    let pixels = (image.len() / to.len()) as f32;
    to.iter_mut().for_each(|sum| *sum /= pixels);
}

/// Writes the gradient of an image, given the gradient of its [`average`]. Every pixel has an equal
/// share.
///
/// # Panics
///
/// Under the same conditions as [`average`].
pub fn average_back<T: Element>(gradient: &[f32], image: &mut [T]) {
    assert!(!image.is_empty() && image.len().is_multiple_of(gradient.len()), "whole pixels");
    let pixels = (image.len() / gradient.len()) as f32;
    let (first, rest) = image.split_at_mut(gradient.len());
    first.iter_mut().zip(gradient).for_each(|(to, sum)| *to = T::rounded(sum / pixels));
    rest.chunks_exact_mut(first.len()).for_each(|pixel| pixel.copy_from_slice(first));
}
