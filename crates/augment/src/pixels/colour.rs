//! Changes of colour: torchvision's functions on PIL images, which blend in 32-bit floats and
//! truncate the result.

use selfsame_kernels::isa::Isa;
use selfsame_kernels::pixels::{Recolour, luminance_sum, recolour};

use crate::draw::Adjustment;

/// Jitters the planes, then turns them grey. A contrast change needs the mean of the view at that
/// point; all changes between two contrast changes are made in one sweep.
pub(crate) fn jitter_and_grey(
    isa: Isa,
    planes: &mut [u8],
    channels: usize,
    jitter: Option<&[Adjustment; 4]>,
    grey: bool,
) {
    let coloured = channels == 3;
    let mut changes = [Recolour::Grey; 5];
    let mut count = 0;
    for adjustment in jitter.into_iter().flatten() {
        changes[count] = match *adjustment {
            // Skip changes that have no effect. A hue change of 0 would still convert to HSV, which
            // loses a little; torchvision's jitter without hue does not convert, and a turn of
            // exactly 0 means that there is no hue change.
            Adjustment::Brightness(1.0)
            | Adjustment::Contrast(1.0)
            | Adjustment::Saturation(1.0)
            | Adjustment::Hue(0.0) => continue,
            Adjustment::Saturation(_) | Adjustment::Hue(_) if !coloured => continue,
            Adjustment::Brightness(factor) => Recolour::Blend { from: 0, factor: single(factor) },
            Adjustment::Contrast(factor) => {
                recolour(isa, planes, channels, &changes[..count]);
                count = 0;
                Recolour::Blend {
                    from: mean_luminance(isa, planes, channels),
                    factor: single(factor),
                }
            }
            Adjustment::Saturation(factor) => Recolour::Saturate(single(factor)),
            // The cast to i8 and then to u8 is torchvision's: the hue wraps at 256, although its
            // circle has 255 parts.
            Adjustment::Hue(turn) => Recolour::TurnHue((turn * 255.0) as i8 as u8),
        };
        count += 1;
    }
    if grey && coloured {
        changes[count] = Recolour::Grey;
        count += 1;
    }
    recolour(isa, planes, channels, &changes[..count]);
}

/// Inverts all levels from `threshold` up.
pub(crate) fn solarise(isa: Isa, planes: &mut [u8], channels: usize, threshold: u8) {
    recolour(isa, planes, channels, &[Recolour::Solarise(threshold)]);
}

/// Returns the mean luminance, rounded to a level.
fn mean_luminance(isa: Isa, planes: &[u8], channels: usize) -> u8 {
    let count = (planes.len() / channels) as u64;
    let sum = luminance_sum(isa, planes, channels);
    ((2 * sum + count) / (2 * count)) as u8
}

/// Converts a finite factor to the precision that PIL uses.
fn single(factor: f64) -> f32 {
    factor.min(f64::from(f32::MAX)) as f32
}
