//! What of an image is compared.

use super::{BLOCK, BYTES, CHANNELS, LEAST_CONTRAST, SIDE};

/// Number of means of squares of pixels.
pub(super) const COARSE: usize = BYTES / (BLOCK * BLOCK);
/// Margin that details leave out on each side.
const MARGIN: usize = 4;
/// Side of the part of an image whose details are compared.
pub(super) const DETAIL_SIDE: usize = SIDE - 2 * MARGIN;
/// Number of values of the details.
pub(super) const DETAILS: usize = DETAIL_SIDE * DETAIL_SIDE * CHANNELS;
/// Smallest standard deviation that details are divided by, in levels of 255. It is what rounding
/// and compression leave where there are no details.
const LEAST_DETAIL: f64 = 2.0;
/// Bytes per standard deviation.
pub(super) const SCALE: f64 = 40.0;
/// Byte of the mean.
const MIDDLE: f64 = 128.0;

/// What of an image is compared. Equal brightness and contrast leave equal bytes.
pub(super) struct Signature {
    /// The values at mean 0 and variance 1.
    pub(super) plain: Vec<u8>,
    /// Their means over squares of [`BLOCK`] × [`BLOCK`] pixels.
    pub(super) coarse: Vec<u8>,
    /// Differences from the surroundings, in the middle of the image.
    pub(super) details: Vec<u8>,
}

impl Signature {
    /// Computes the signature of an image. Returns `None` if it is flat.
    pub(super) fn new(image: &[u8]) -> Option<Self> {
        let values: Vec<f64> = image.iter().copied().map(f64::from).collect();
        let (mean, deviation) = moments(&values);
        if deviation < LEAST_CONTRAST {
            return None;
        }
        let plain: Vec<u8> = values.iter().map(|value| byte((value - mean) / deviation)).collect();
        let details = details(&values);
        let (mean, deviation) = moments(&details);
        let deviation = deviation.max(LEAST_DETAIL);
        Some(Self {
            coarse: means(&plain),
            plain,
            details: details.iter().map(|value| byte((value - mean) / deviation)).collect(),
        })
    }
}

/// Returns mean and standard deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// Returns the byte of a value, given in standard deviations from the mean.
fn byte(value: f64) -> u8 {
    (MIDDLE + SCALE * value).round().clamp(0.0, 255.0) as u8
}

/// Returns the means over squares of pixels, rounded.
fn means(plain: &[u8]) -> Vec<u8> {
    let count = (BLOCK * BLOCK) as u32;
    let mut sums = [0_u32; COARSE];
    for (y, row) in plain.chunks_exact(SIDE * CHANNELS).enumerate() {
        for (x, pixel) in row.chunks_exact(CHANNELS).enumerate() {
            let at = (y / BLOCK * (SIDE / BLOCK) + x / BLOCK) * CHANNELS;
            for (sum, &value) in sums[at..].iter_mut().zip(pixel) {
                *sum += u32::from(value);
            }
        }
    }
    sums.iter().map(|sum| ((sum + count / 2) / count) as u8).collect()
}

/// Returns the differences of the pixels in the middle from the mean of the (2 · [`MARGIN`] + 1)²
/// pixels around them.
fn details(values: &[f64]) -> Vec<f64> {
    const AROUND: usize = 2 * MARGIN + 1;
    const ROW: usize = SIDE * CHANNELS;
    // Sums over columns, then over rows: the values are whole numbers, so no sum is rounded.
    let mut columns = vec![0.0; DETAIL_SIDE * ROW];
    for (y, sums) in columns.chunks_exact_mut(ROW).enumerate() {
        for row in values[y * ROW..].chunks_exact(ROW).take(AROUND) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
    }
    let mut details = Vec::with_capacity(DETAILS);
    for (y, sums) in columns.chunks_exact(ROW).enumerate() {
        for x in 0..DETAIL_SIDE {
            for channel in 0..CHANNELS {
                let around: f64 =
                    (0..AROUND).map(|offset| sums[(x + offset) * CHANNELS + channel]).sum();
                let value = values[(y + MARGIN) * ROW + (x + MARGIN) * CHANNELS + channel];
                details.push(value - around / (AROUND * AROUND) as f64);
            }
        }
    }
    details
}
