//! Pooling against its definition.

use half::bf16;
use selfsame_kernels::element::Element;
use selfsame_kernels::pool;

fn values<T: Element>(len: usize) -> Vec<T> {
    (0..len).map(|i| T::rounded(((i * 7919) % 257) as f32 / 16.0 - 8.0)).collect()
}

/// Every window's values that lie in the image, looked up one by one.
fn check_max<T: Element>(images: usize, size: usize, channels: usize) {
    let pixels: Vec<T> = values(images * size * size * channels);
    let found = pool::max(&pixels, size, channels);
    let out = pool::max_size(size);
    assert_eq!((out, found.len()), (size.div_ceil(2), images * out * out * channels));
    for (at, found) in found.iter().enumerate() {
        let (channel, x, y) = (at % channels, at / channels % out, at / channels / out % out);
        let image = at / (channels * out * out);
        let mut most = f32::NEG_INFINITY;
        for (dy, dx) in (0..9).map(|tap| (tap / 3, tap % 3)) {
            let (row, column) = ((2 * y + dy) as isize - 1, (2 * x + dx) as isize - 1);
            let inside = 0..size as isize;
            if inside.contains(&row) && inside.contains(&column) {
                let pixel = (image * size + row as usize) * size + column as usize;
                most = most.max(pixels[pixel * channels + channel].widened());
            }
        }
        assert_eq!(
            found.widened(),
            most,
            "{images} images of {size}×{size}×{channels}, value {at}"
        );
    }
}

#[test]
fn the_largest_of_windows() {
    for (images, size, channels) in [(1, 1, 1), (2, 2, 3), (3, 5, 2), (1, 8, 16), (2, 7, 5)] {
        check_max::<f32>(images, size, channels);
        check_max::<bf16>(images, size, channels);
    }
    assert_eq!(pool::max::<f32>(&[], 4, 2).len(), 0);
}

#[test]
fn what_is_not_a_number_is_not_lost() {
    let mut pixels = [-1.0f32; 9];
    pixels[4] = f32::NAN;
    assert!(pool::max(&pixels, 3, 1).iter().all(|value| value.is_nan()));
}

#[test]
fn the_mean_of_pixels() {
    let image: Vec<bf16> = values(6 * 5);
    let mut found = [0.0; 5];
    pool::average(&image, &mut found);
    for (channel, found) in found.iter().enumerate() {
        let sum: f64 =
            image.iter().skip(channel).step_by(5).map(|value| f64::from(value.to_f32())).sum();
        // Six terms of at most 8, each addition off by half a unit in the last place of at most 48,
        // then a quotient.
        assert!((f64::from(*found) - sum / 6.0).abs() <= 8.0 * f64::from(f32::EPSILON) * 8.0);
    }
}
