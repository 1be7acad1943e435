//! Changes of colour, pixel by pixel, with the arithmetic of Pillow's C code, which truncates
//! floats instead of rounding them.

use crate::isa::compiled;

/// A change of colour. Every pixel changes independently of the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recolour {
    /// Each value becomes `from + factor · (value − from)`, truncated to a level.
    Blend {
        /// Result of a factor of 0.
        from: u8,
        /// Factor of the blend, which is finite and at least 0.
        factor: f32,
    },
    /// Each value is blended like `Blend`, but with the pixel's own luminance as `from`. This
    /// change is for three channels only.
    Saturate(f32),
    /// The hue, in 8-bit HSV, turns by the given number of 255ths of the circle, and wraps at 256.
    /// This change is for three channels only.
    TurnHue(u8),
    /// Each channel becomes the luminance. This change is for three channels only.
    Grey,
    /// Each value that is at least the given value becomes 255 − value.
    Solarise(u8),
}

/// Number of pixels per piece. A piece goes through all changes, as floats in the first-level
/// cache, before the next piece starts.
const PIECE: usize = 512;

/// The levels of a piece in one channel, which are integers from 0 to 255. If a piece is shorter,
/// the remaining levels are also computed, but are never read.
type Levels = [f32; PIECE];

compiled! {
    /// Applies `changes`, one after the other, to the planes of one or three channels.
    ///
    /// # Panics
    ///
    /// If `channels` is neither 1 nor 3, if the length of `planes` is not a multiple of `channels`,
    /// if a change for three channels is applied to a single plane, or if a factor is negative or
    /// not finite.
    pub fn recolour(isa: Isa, planes: &mut [u8], channels: usize, changes: &[Recolour]) {
        assert!(planes.len().is_multiple_of(channels), "planes of one length");
        if changes.is_empty() {
            return;
        }
        // The conversions to integers below rely on these factors.
        for change in changes {
            if let Recolour::Blend { factor, .. } | Recolour::Saturate(factor) = *change {
                assert!(factor >= 0.0 && factor.is_finite(), "a factor of at least 0");
            }
        }
        let mut levels: [Levels; 3] = [[0.0; PIECE]; 3];
        match channels {
            1 => {
                for piece in planes.chunks_mut(PIECE) {
                    widen(piece, &mut levels[0]);
                    for change in changes {
                        match *change {
                            Recolour::Blend { from, factor } => blend(&mut levels[0], from, factor),
                            Recolour::Solarise(threshold) => solarise(&mut levels[0], threshold),
                            _ => panic!("a single channel has no colour"),
                        }
                    }
                    narrow(&levels[0], piece);
                }
            }
            3 => {
                let count = planes.len() / 3;
                let (red, rest) = planes.split_at_mut(count);
                let (green, blue) = rest.split_at_mut(count);
                let pieces = red.chunks_mut(PIECE).zip(green.chunks_mut(PIECE));
                for ((red, green), blue) in pieces.zip(blue.chunks_mut(PIECE)) {
                    widen(red, &mut levels[0]);
                    widen(green, &mut levels[1]);
                    widen(blue, &mut levels[2]);
                    for change in changes {
                        match *change {
                            Recolour::Blend { from, factor } => {
                                for channel in &mut levels {
                                    blend(channel, from, factor);
                                }
                            }
                            Recolour::Saturate(factor) => saturate(&mut levels, factor),
                            Recolour::TurnHue(turn) => turn_hue(&mut levels, turn),
                            Recolour::Grey => grey(&mut levels),
                            Recolour::Solarise(threshold) => {
                                for channel in &mut levels {
                                    solarise(channel, threshold);
                                }
                            }
                        }
                    }
                    narrow(&levels[0], red);
                    narrow(&levels[1], green);
                    narrow(&levels[2], blue);
                }
            }
            _ => panic!("one channel or three"),
        }
    }
}

/// Converts bytes to levels.
#[inline(always)]
fn widen(bytes: &[u8], levels: &mut [f32]) {
    for (level, &byte) in levels.iter_mut().zip(bytes) {
        *level = f32::from(byte);
    }
}

/// Converts levels to bytes.
#[inline(always)]
fn narrow(levels: &[f32], bytes: &mut [u8]) {
    for (byte, &level) in bytes.iter_mut().zip(levels) {
        // SAFETY: levels are from 0 to 255.
        *byte = (unsafe { level.to_int_unchecked::<i32>() }) as u8;
    }
}

compiled! {
    /// Returns the sum of the luminances of all pixels of three planes, or the sum of all values of
    /// a single plane.
    ///
    /// # Panics
    ///
    /// If `channels` is neither 1 nor 3, or if the length of `planes` is not a multiple of
    /// `channels`.
    pub fn luminance_sum(isa: Isa, planes: &[u8], channels: usize) -> u64 {
        assert!(planes.len().is_multiple_of(channels), "planes of one length");
        let mut sum = 0;
        match channels {
            1 => {
                for piece in planes.chunks(PIECE) {
                    sum += u64::from(piece.iter().map(|&value| u32::from(value)).sum::<u32>());
                }
            }
            3 => {
                let count = planes.len() / 3;
                let (red, rest) = planes.split_at(count);
                let (green, blue) = rest.split_at(count);
                let pieces = red.chunks(PIECE).zip(green.chunks(PIECE));
                for ((red, green), blue) in pieces.zip(blue.chunks(PIECE)) {
                    let (green, blue) = (&green[..red.len()], &blue[..red.len()]);
                    let mut piece = 0;
                    for i in 0..red.len() {
                        piece += luminance(red[i], green[i], blue[i]);
                    }
                    sum += u64::from(piece);
                }
            }
            _ => panic!("one channel or three"),
        }
        sum
    }
}

compiled! {
    /// Writes `value · scale + shift` of each interleaved value, with the scale and shift of its
    /// channel.
    ///
    /// # Panics
    ///
    /// If the lengths differ or are not a multiple of 3.
    pub fn scale_and_shift(
        isa: Isa,
        pixels: &[u8],
        scale: [f32; 3],
        shift: [f32; 3],
        to: &mut [f32],
    ) {
        /// Number of values per stretch, which is a multiple of the channels and of vectors.
        const STRETCH: usize = 48;
        assert!(pixels.len() == to.len() && pixels.len().is_multiple_of(3), "three channels");
        let scale: [f32; STRETCH] = std::array::from_fn(|i| scale[i % 3]);
        let shift: [f32; STRETCH] = std::array::from_fn(|i| shift[i % 3]);
        let (stretches, rest) = pixels.as_chunks::<STRETCH>();
        let (to_stretches, to_rest) = to.as_chunks_mut::<STRETCH>();
        for (values, to) in stretches.iter().zip(to_stretches) {
            for i in 0..STRETCH {
                to[i] = f32::from(values[i]) * scale[i] + shift[i];
            }
        }
        for (i, (&value, to)) in rest.iter().zip(to_rest).enumerate() {
            *to = f32::from(value) * scale[i] + shift[i];
        }
    }
}

/// Computes luminance by ITU-R 601-2, in Pillow's 16-bit fixed point.
#[inline(always)]
fn luminance(red: u8, green: u8, blue: u8) -> u32 {
    (19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue) + 0x8000) >> 16
}

/// Computes the luminance of levels. No sum is above 2^24, so floats are exact.
#[inline(always)]
fn luminance_level(red: f32, green: f32, blue: f32) -> f32 {
    floor((19595.0 * red + 38470.0 * green + 7471.0 * blue + 32768.0) * (1.0 / 65536.0))
}

/// Returns the largest integer that is at most `value`, which must be from 0 to 2^24.
#[inline(always)]
fn floor(value: f32) -> f32 {
    // SAFETY: the value is in the range of an i32.
    unsafe { value.to_int_unchecked::<i32>() as f32 }
}

/// Returns the largest level that is at most `value`, clamped to 0 and 255. The result is 0 if
/// `value` is not a number.
#[inline(always)]
fn to_level(value: f32) -> f32 {
    let value = if value > 0.0 { value } else { 0.0 };
    floor(smaller(value, 255.0))
}

#[inline(always)]
fn blend(levels: &mut Levels, from: u8, factor: f32) {
    if from == 0 {
        // No level becomes negative, and there is no offset to subtract and add.
        for level in levels {
            *level = floor(smaller(factor * *level, 255.0));
        }
        return;
    }
    let from = f32::from(from);
    for level in levels {
        *level = to_level(from + factor * (*level - from));
    }
}

#[inline(always)]
fn solarise(levels: &mut Levels, threshold: u8) {
    let threshold = f32::from(threshold);
    for level in levels {
        // Every level is stored, because a masked store is slow on many machines.
        let inverted = if *level < threshold { 0.0 } else { 1.0 };
        *level += inverted * (255.0 - 2.0 * *level);
    }
}

#[inline(always)]
fn saturate([red, green, blue]: &mut [Levels; 3], factor: f32) {
    for i in 0..PIECE {
        let grey = luminance_level(red[i], green[i], blue[i]);
        red[i] = to_level(grey + factor * (red[i] - grey));
        green[i] = to_level(grey + factor * (green[i] - grey));
        blue[i] = to_level(grey + factor * (blue[i] - grey));
    }
}

#[inline(always)]
fn grey([red, green, blue]: &mut [Levels; 3]) {
    for i in 0..PIECE {
        let grey = luminance_level(red[i], green[i], blue[i]);
        [red[i], green[i], blue[i]] = [grey; 3];
    }
}

/// Turns the hue like Pillow, which converts to HSV and back in 8 bits each. Pillow computes some
/// values in 64-bit floats. A test of all inputs shows that 32 bits give the same levels.
///
/// There are three loops because the chain of dependent operations in a single loop is too long for
/// a processor to overlap several pixels.
#[inline(always)]
fn turn_hue([reds, greens, blues]: &mut [Levels; 3], turn: u8) {
    let mut hues: Levels = [0.0; PIECE];
    let mut largest: Levels = [0.0; PIECE];
    let mut spreads: Levels = [0.0; PIECE];
    for i in 0..PIECE {
        let (red, green, blue) = (reds[i], greens[i], blues[i]);
        let max = larger(larger(red, green), blue);
        let spread = max - smaller(smaller(red, green), blue);
        // The hue, in sixths of the circle, starts at the hue of the largest channel. The shortfall
        // of the channel before it in the circle is subtracted, and the shortfall of the channel
        // after it is added. The smaller of these two channels falls short by the whole spread,
        // which counts as one sixth.
        let (middle, before, after) = if red == max {
            (0.0, green, blue)
        } else if green == max {
            (2.0, blue, red)
        } else {
            (4.0, red, green)
        };
        let share = (max - larger(before, after)) / larger(spread, 1.0);
        hues[i] = if before <= after { (middle - 1.0) + share } else { (middle + 1.0) - share };
        largest[i] = max;
        spreads[i] = spread;
    }
    let turn = f32::from(turn);
    for hue in &mut hues {
        // Express the hue as a fraction of the circle. 255 · fraction is computed as 256 · fraction
        // − fraction, which is exact where exactness matters, at the edge between two levels.
        let fraction = *hue / 6.0;
        let fraction = if fraction < 0.0 { fraction + 1.0 } else { fraction };
        let shifted = fraction * 256.0;
        let level = floor(shifted - fraction);
        let level = if shifted - level < fraction { level - 1.0 } else { level } + turn;
        *hue = 6.0 * if level >= 256.0 { level - 256.0 } else { level };
    }
    // Each channel falls short of the largest channel: by the whole spread if the hue is far from
    // the channel's own hue, and by nothing if it is near. Hues are in units of a 255th of a sixth,
    // so the circle has 1530 units.
    for i in 0..PIECE {
        let (hue, max) = (hues[i], largest[i]);
        let reach = max * floor(spreads[i] / larger(max, 1.0) * 255.0);
        reds[i] = max - shortfall(510.0 - (hue - 765.0).abs(), reach);
        greens[i] = max - shortfall((hue - 510.0).abs() - 255.0, reach);
        blues[i] = max - shortfall((hue - 1020.0).abs() - 255.0, reach);
    }
}

/// Returns the shortfall of a channel, which is a share of its reach. The share is in 255ths and is
/// clamped to 0 and 255.
#[inline(always)]
fn shortfall(share: f32, reach: f32) -> f32 {
    floor(reach * smaller(larger(share, 0.0), 255.0) * (1.0 / 65025.0) + 0.5)
}

/// Returns the larger of two numbers, in one instruction. Neither number may be NaN.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Returns the smaller of two numbers. Neither number may be NaN.
#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}
