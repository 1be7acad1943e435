//! Changes of colour, pixel by pixel, with the arithmetic of Pillow's C: floats that are truncated,
//! not rounded.

use crate::isa::compiled;

/// A change of colour. Every pixel changes by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recolour {
    /// Each value becomes `from + factor · (value − from)`, truncated to a level.
    Blend {
        /// The level that a factor of 0 leads to.
        from: u8,
        /// At least 0, finite.
        factor: f32,
    },
    /// As `Blend`, from the pixel's own luminance. Three channels only.
    Saturate(f32),
    /// The hue turns by so many 255ths of the circle, wrapping at 256, by way of 8-bit HSV. Three
    /// channels only.
    TurnHue(u8),
    /// Each channel becomes the luminance. Three channels only.
    Grey,
    /// Values from this one on become 255 less themselves.
    Solarise(u8),
}

/// Pixels that go through all changes before the next ones, as floats in the first-level cache.
const PIECE: usize = 512;

/// The levels of a piece in one channel: integers from 0 to 255. What a shorter piece leaves free
/// is computed, too, but never read.
type Levels = [f32; PIECE];

compiled! {
    /// Applies the changes, one after the other, to the one or three planes of `planes`.
    ///
    /// # Panics
    ///
    /// If `channels` is neither 1 nor 3, `planes` is not a multiple of it, a single plane is given
    /// a change of three, or a factor is negative or not finite.
    pub fn recolour(isa: Isa, planes: &mut [u8], channels: usize, changes: &[Recolour]) {
        assert!(planes.len().is_multiple_of(channels), "planes of one length");
        if changes.is_empty() {
            return;
        }
        // The conversions to integers below rely on this.
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
    /// The sum of the luminances of all pixels of three planes, or of all values of a single one.
    ///
    /// # Panics
    ///
    /// If `channels` is neither 1 nor 3, or `planes` is not a multiple of it.
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
        /// A multiple of the channels and of vectors.
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

/// Luminance by ITU-R 601-2, in Pillow's 16-bit fixed point.
#[inline(always)]
fn luminance(red: u8, green: u8, blue: u8) -> u32 {
    (19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue) + 0x8000) >> 16
}

/// The luminance of levels. No sum is above 2^24, so floats are exact.
#[inline(always)]
fn luminance_level(red: f32, green: f32, blue: f32) -> f32 {
    floor((19595.0 * red + 38470.0 * green + 7471.0 * blue + 32768.0) * (1.0 / 65536.0))
}

/// The largest integer that is at most `value`, from 0 to 2^24.
#[inline(always)]
fn floor(value: f32) -> f32 {
    // SAFETY: the value is in the range of an i32.
    unsafe { value.to_int_unchecked::<i32>() as f32 }
}

/// The level below a value, clamped to 0 and 255. Not a number gives 0.
#[inline(always)]
fn to_level(value: f32) -> f32 {
    let value = if value > 0.0 { value } else { 0.0 };
    floor(smaller(value, 255.0))
}

#[inline(always)]
fn blend(levels: &mut Levels, from: u8, factor: f32) {
    if from == 0 {
        // No level becomes negative, and there is nothing to subtract and add.
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

/// Turns the hue by Pillow's way to HSV and back, each in 8 bits. Pillow computes some of this in
/// 64-bit floats; a test of all inputs shows that 32 bits give the same levels.
///
/// There are three loops because the chain of dependent operations in a single one is too long for
/// a processor to overlap several pixels.
#[inline(always)]
fn turn_hue([reds, greens, blues]: &mut [Levels; 3], turn: u8) {
    let mut hues: Levels = [0.0; PIECE];
    let mut largest: Levels = [0.0; PIECE];
    let mut spreads: Levels = [0.0; PIECE];
    for i in 0..PIECE {
        let (red, green, blue) = (reds[i], greens[i], blues[i]);
        let most = larger(larger(red, green), blue);
        let spread = most - smaller(smaller(red, green), blue);
        // The hue in sixths of the circle: that of the largest channel, minus how far the channel
        // before it in the circle falls short of it, plus how far the channel after it does. The
        // smaller of these two falls short by the whole spread, which is one sixth.
        let (middle, before, after) = if red == most {
            (0.0, green, blue)
        } else if green == most {
            (2.0, blue, red)
        } else {
            (4.0, red, green)
        };
        let share = (most - larger(before, after)) / larger(spread, 1.0);
        hues[i] = if before <= after { (middle - 1.0) + share } else { (middle + 1.0) - share };
        largest[i] = most;
        spreads[i] = spread;
    }
    let turn = f32::from(turn);
    for hue in &mut hues {
        // As a fraction of the circle. 255 · fraction is computed as 256 · fraction − fraction,
        // which is exact where it matters: at the edge between two levels.
        let fraction = *hue / 6.0;
        let fraction = if fraction < 0.0 { fraction + 1.0 } else { fraction };
        let shifted = fraction * 256.0;
        let level = floor(shifted - fraction);
        let level = if shifted - level < fraction { level - 1.0 } else { level } + turn;
        *hue = 6.0 * if level >= 256.0 { level - 256.0 } else { level };
    }
    // Each channel falls short of the largest: by the whole spread where the hue is far from the
    // channel's own, by nothing where it is near. Hues are in units of a 255th of a sixth, of which
    // the circle has 1530.
    for i in 0..PIECE {
        let (hue, most) = (hues[i], largest[i]);
        let reach = most * floor(spreads[i] / larger(most, 1.0) * 255.0);
        reds[i] = most - shortfall(510.0 - (hue - 765.0).abs(), reach);
        greens[i] = most - shortfall((hue - 510.0).abs() - 255.0, reach);
        blues[i] = most - shortfall((hue - 1020.0).abs() - 255.0, reach);
    }
}

/// How far a channel falls short: a share of its reach, in 255ths and clamped to 0 and 255.
#[inline(always)]
fn shortfall(share: f32, reach: f32) -> f32 {
    floor(reach * smaller(larger(share, 0.0), 255.0) * (1.0 / 65025.0) + 0.5)
}

/// The larger of two numbers, neither of them NaN: one instruction.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The smaller of two numbers, neither of them NaN.
#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}
