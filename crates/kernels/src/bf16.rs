//! Conversions between f32 and bf16. They have no branches, so that the compiler can vectorise
//! loops over them.

use half::bf16;

/// Returns the value as f32, exactly. A bf16 is the upper half of an f32.
#[inline(always)]
pub(crate) fn widen(value: bf16) -> f32 {
    f32::from_bits(u32::from(value.to_bits()) << 16)
}

/// Rounds to the nearest bf16, like `bf16::from_f32`. If two values are equally near, the even
/// value is chosen.
#[inline(always)]
pub(crate) fn round(single: f32) -> bf16 {
    let bits = single.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    let nan = (bits >> 16) | 0x40;
    bf16::from_bits(if single.is_nan() { nan } else { rounded } as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_the_library() {
        let special = [
            0.0,
            -0.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            f32::MAX,
            f32::MIN_POSITIVE,
            1e-40,
            -1e-45,
        ];
        let bits = (0..=u32::MAX).step_by(9_973).map(f32::from_bits);
        // Numbers halfway between two values, and the numbers next to them.
        let ties = (0x3f80..0x3f90u32)
            .flat_map(|high| [0x7fff, 0x8000, 0x8001].map(|low| f32::from_bits(high << 16 | low)));
        for single in special.into_iter().chain(bits).chain(ties) {
            let rounded = round(single);
            assert_eq!(rounded.to_bits(), bf16::from_f32(single).to_bits(), "{single:e}");
        }
        for bits in 0..=u16::MAX {
            let value = bf16::from_bits(bits);
            assert!(widen(value).to_bits() == value.to_f32().to_bits() || value.is_nan());
        }
    }
}
