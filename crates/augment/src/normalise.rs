use selfsame_kernels::isa::Isa;
use selfsame_kernels::pixels::scale_and_shift;

use crate::error::NormaliseError;

/// Conversion of bytes to floats: (value / 255 − mean) / deviation, channel by channel.
///
/// The results equal torchvision's `ToTensor` and `Normalize`, except for rounding: one
/// multiplication and one addition in 32-bit floats differ by at most 2⁻²⁰ with ImageNet's numbers.
/// Normalising is not a step of a policy, because distances between views are exact only on their
/// bytes.
///
/// ```
/// use selfsame_augment::{Isa, Normalise};
///
/// assert!(Normalise::new([0.5; 3], [0.25, 0.25, 0.0]).is_err());
/// let mut values = [0.0; 3];
/// Normalise::IMAGENET.apply(Isa::best(), &[255, 0, 128], &mut values);
/// assert!((values[0] - (1.0 - 0.485) / 0.229).abs() < 1e-6);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalise {
    mean: [f32; 3],
    deviation: [f32; 3],
}

impl Normalise {
    /// Mean and deviation of ImageNet, which are commonly used for all images.
    pub const IMAGENET: Self =
        Self { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] };

    /// Returns the means of red, green and blue that are subtracted from values of 0 to 1.
    pub fn mean(&self) -> [f32; 3] {
        self.mean
    }

    /// Returns the deviations of red, green and blue that values are divided by.
    pub fn deviation(&self) -> [f32; 3] {
        self.deviation
    }

    /// Makes a normalisation by the mean and the deviation of red, green and blue on a scale of 0
    /// to 1.
    ///
    /// # Errors
    /// A mean is not from 0 to 1, or a deviation is not above 0 and at most 1. A subnormal
    /// deviation is also refused, because a level divided by it would be infinite.
    pub fn new(mean: [f32; 3], deviation: [f32; 3]) -> Result<Self, NormaliseError> {
        for (channel, (mean, deviation)) in mean.into_iter().zip(deviation).enumerate() {
            if !(0.0..=1.0).contains(&mean) || !(f32::MIN_POSITIVE..=1.0).contains(&deviation) {
                return Err(NormaliseError { channel, mean, deviation });
            }
        }
        Ok(Self { mean, deviation })
    }

    /// Normalises RGB pixels with interleaved channels to the same number of floats in the same
    /// order.
    ///
    /// # Panics
    /// If the lengths differ or are not multiples of 3.
    pub fn apply(&self, isa: Isa, pixels: &[u8], to: &mut [f32]) {
        let scale = self.deviation.map(|deviation| (1.0 / (255.0 * f64::from(deviation))) as f32);
        let shift = std::array::from_fn(|c| {
            (-f64::from(self.mean[c]) / f64::from(self.deviation[c])) as f32
        });
        scale_and_shift(isa, pixels, scale, shift, to);
    }
}
