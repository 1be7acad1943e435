//! Changes of colour, pixel by pixel, with the arithmetic of Pillow's C: floats that are cut, not
//! rounded.

use crate::isa::compiled;

/// A change of every pixel by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recolour {
    /// Each value to `from + factor · (value − from)`, cut to a level.
    Blend {
        /// The level that a factor of 0 gives.
        from: u8,
        /// At least 0, finite.
        factor: f32,
    },
    /// As `Blend` from the pixel's own luminance. Three channels only.
    Saturate(f32),
    /// The hue turned by so many 255ths of the circle, wrapping at 256, by way of 8-bit HSV. Three
    /// channels only.
    TurnHue(u8),
    /// Each channel to the luminance. Three channels only.
    Grey,
    /// Values from this one on to 255 less themselves.
    Solarise(u8),
}

/// Pixels that go through all changes before the next ones, as floats in the fastest cache.
const PIECE: usize = 512;

/// Levels of so many pixels in one channel: integers from 0 to 255. What a shorter piece leaves
/// free is computed with and not read.
type Levels = [f32; PIECE];

compiled! {
    /// Makes the changes one after the other to the three planes that `planes` holds, or to a
    /// single one.
    ///
    /// # Panics
    ///
    /// If `channels` is neither 1 nor 3, or `planes` no multiple of it, or one plane is given a
    /// change of three, or a factor is negative or not finite.
    pub fn recolour(isa: Isa, planes: &mut [u8], channels: usize, changes: &[Recolour]) {
        assert!(planes.len().is_multiple_of(channels), "planes of one length");
        if changes.is_empty() {
            return;
        }
        // What the conversions to integers below rely on.
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
                let pieces = red.chunks_mut(PIECE).zip(green.chunks_mut(PIECE)).zip(blue.chunks_mut(PIECE));
                for ((red, green), blue) in pieces {
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

/// Bytes to floats.
#[inline(always)]
fn widen(bytes: &[u8], levels: &mut [f32]) {
    for (level, &byte) in levels.iter_mut().zip(bytes) {
        *level = f32::from(byte);
    }
}

/// Levels to bytes.
#[inline(always)]
fn narrow(levels: &[f32], bytes: &mut [u8]) {
    for (byte, &level) in bytes.iter_mut().zip(levels) {
        // SAFETY: levels are from 0 to 255.
        *byte = (unsafe { level.to_int_unchecked::<i32>() }) as u8;
    }
}

compiled! {
    /// The sum of the luminances of the pixels of three planes, or of the values of a single one.
    ///
    /// # Panics
    ///
    /// If `channels` is neither 1 nor 3, or `planes` no multiple of it.
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
                for ((red, green), blue) in red.chunks(PIECE).zip(green.chunks(PIECE)).zip(blue.chunks(PIECE)) {
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
    /// If the lengths differ or are no multiple of 3.
    pub fn scale_and_shift(isa: Isa, pixels: &[u8], scale: [f32; 3], shift: [f32; 3], to: &mut [f32]) {
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

/// The same of levels: no sum is above 2^24, so floats are exact.
#[inline(always)]
fn luminance_level(red: f32, green: f32, blue: f32) -> f32 {
    whole((19595.0 * red + 38470.0 * green + 7471.0 * blue + 32768.0) * (1.0 / 65536.0))
}

/// The integer below a number from 0 to 2^24.
#[inline(always)]
fn whole(value: f32) -> f32 {
    // SAFETY: the caller's number is in the range of an i32.
    unsafe { value.to_int_unchecked::<i32>() as f32 }
}

/// The level below a value, cut to 0 and 255. Not a number gives 0.
#[inline(always)]
fn cut(value: f32) -> f32 {
    let value = if value > 0.0 { value } else { 0.0 };
    whole(smaller(value, 255.0))
}

#[inline(always)]
fn blend(levels: &mut Levels, from: u8, factor: f32) {
    if from == 0 {
        // Nothing comes out below 0, and there is nothing to take away and add.
        for level in levels {
            *level = whole(smaller(factor * *level, 255.0));
        }
        return;
    }
    let from = f32::from(from);
    for level in levels {
        *level = cut(from + factor * (*level - from));
    }
}

#[inline(always)]
fn solarise(levels: &mut Levels, threshold: u8) {
    let threshold = f32::from(threshold);
    for level in levels {
        // Written so that every level is stored: a store under a mask is slow on many machines.
        let inverted = if *level < threshold { 0.0 } else { 1.0 };
        *level += inverted * (255.0 - 2.0 * *level);
    }
}

#[inline(always)]
fn saturate([red, green, blue]: &mut [Levels; 3], factor: f32) {
    for i in 0..PIECE {
        let grey = luminance_level(red[i], green[i], blue[i]);
        red[i] = cut(grey + factor * (red[i] - grey));
        green[i] = cut(grey + factor * (green[i] - grey));
        blue[i] = cut(grey + factor * (blue[i] - grey));
    }
}

#[inline(always)]
fn grey([red, green, blue]: &mut [Levels; 3]) {
    for i in 0..PIECE {
        let grey = luminance_level(red[i], green[i], blue[i]);
        [red[i], green[i], blue[i]] = [grey; 3];
    }
}

/// Pillow's way to HSV and back, each of them with 8 bits. Where Pillow's 64-bit floats are not
/// followed, a test of all inputs shows that the levels are the same.
///
/// Three loops rather than one: what follows from what in a single one is too long a chain for a
/// processor to have several of them under way.
#[inline(always)]
fn turn_hue([reds, greens, blues]: &mut [Levels; 3], turn: u8) {
    let mut hues: Levels = [0.0; PIECE];
    let mut largest: Levels = [0.0; PIECE];
    let mut spreads: Levels = [0.0; PIECE];
    for i in 0..PIECE {
        let (red, green, blue) = (reds[i], greens[i], blues[i]);
        let most = larger(larger(red, green), blue);
        let spread = most - smaller(smaller(red, green), blue);
        // The hue in sixths of the circle: that of the largest channel, less how far the one before
        // it in the circle is from it, and more how far the one after it. One of the two is as far
        // as can be.
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
        // In parts of the circle. Its 255ths are counted as its 256ths less itself, which is exact
        // where it matters: at the edge between two levels.
        let part = *hue / 6.0;
        let part = if part < 0.0 { part + 1.0 } else { part };
        let shifted = part * 256.0;
        let level = whole(shifted - part);
        let level = if shifted - level < part { level - 1.0 } else { level } + turn;
        *hue = 6.0 * if level >= 256.0 { level - 256.0 } else { level };
    }
    // Each channel falls short of the largest by the saturation where the hue is far from the
    // channel's own, and by none where it is near; in units of a 255th of a sixth, of which the
    // circle has 1530.
    for i in 0..PIECE {
        let (hue, most) = (hues[i], largest[i]);
        let reach = most * whole(spreads[i] / larger(most, 1.0) * 255.0);
        reds[i] = most - lack(510.0 - (hue - 765.0).abs(), reach);
        greens[i] = most - lack((hue - 510.0).abs() - 255.0, reach);
        blues[i] = most - lack((hue - 1020.0).abs() - 255.0, reach);
    }
}

/// The lack of a channel: the share of its reach, in 255ths, cut to none and all of it.
#[inline(always)]
fn lack(share: f32, reach: f32) -> f32 {
    whole(reach * smaller(larger(share, 0.0), 255.0) * (1.0 / 65025.0) + 0.5)
}

/// The larger of two numbers: one instruction, since neither is NaN.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The smaller of two numbers.
#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}
