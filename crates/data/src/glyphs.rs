//! `glyphs`, the built-in set: the class is a shape, and everything else is drawn at random for
//! each image.
//!
//! Position, size, rotation, both colours, the gradient of the background and the noise are
//! nuisances: they are independent of the class, and known exactly ([`Factors`]). The class is
//! determined by the outline, which survives flipping, recolouring and crops that are not too small.

use std::f32::consts::{FRAC_PI_6, TAU};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::catalogue::{Catalogue, Entry, Part, Source};
use crate::facts::Exif;
use crate::outline::Outline;
use crate::target::{RgbImage, Target};

/// Names of the classes, in the order of their labels.
pub const GLYPH_CLASSES: [&str; 10] = [
    "disc",
    "ring",
    "square",
    "triangle",
    "cross",
    "star",
    "crescent",
    "heart",
    "arrow",
    "hourglass",
];
/// Number of images for training, validation and test before any limit.
pub const GLYPH_COUNTS: [usize; 3] = [5000, 500, 1000];
/// Default side of an image in pixels.
pub const GLYPH_SIZE: u32 = 32;

/// Minimum difference in luma, on a scale of 0 to 1, between the shape and any part of the
/// background. It keeps the shape visible in grey.
const CONTRAST: f32 = 0.2;
/// Maximum weight of the other colour at the far end of a background's gradient.
const BACKGROUND_BLEND: f32 = 0.3;
/// Middle hues of shapes and of backgrounds on a circle of 6, and the largest deviation of a hue
/// from its middle, which is about as far as colour jitter turns hues. If every hue were equally
/// likely, an encoder could tell images apart by colour alone and would not need to look at shapes.
const WARM: f32 = 0.5;
const COOL: f32 = 3.5;
const HUE_RANGE: f32 = 0.3;

/// The factors that one glyph is drawn from. Lengths are fractions of the image's side, and the
/// origin is its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Factors {
    /// Class of the glyph, an index into [`GLYPH_CLASSES`], regardless of which classes were chosen
    /// when loading.
    pub shape: u32,
    /// Colour of the shape, RGB.
    pub foreground: [u8; 3],
    /// Colour of the background where its gradient starts, RGB.
    pub background: [u8; 3],
    /// Colour of the background where its gradient ends, RGB.
    pub background_end: [u8; 3],
    /// Direction of the gradient in radians, clockwise from the right, in [0, 2π).
    pub gradient_angle: f32,
    /// Centre of the shape, x and y.
    pub centre: [f32; 2],
    /// Side of the square around the shape before rotation, in [0.45, 0.75].
    pub scale: f32,
    /// Rotation in radians, clockwise, in [-π/6, π/6].
    pub angle: f32,
    /// Whether left and right are swapped, before rotation.
    pub mirrored: bool,
    /// Standard deviation of the noise on every channel of every pixel, in levels of 255, in [5,
    /// 8].
    pub noise: f32,
}

/// Returns the factors of image `index` of the set with `seed`; a pure function. The shapes
/// alternate, so every ten consecutive images have each class once. Indices 0 to 4999 are the
/// training images, followed by validation and test ([`GLYPH_COUNTS`]).
///
/// ```
/// let factors = selfsame_data::glyph_factors(0, 7);
/// assert_eq!(selfsame_data::GLYPH_CLASSES[factors.shape as usize], "heart");
/// ```
#[must_use]
pub fn glyph_factors(seed: u64, index: u64) -> Factors {
    draw_factors(&mut generator(seed, index), index)
}

/// Draws image `index` of the set with `seed` at `size` x `size` pixels: 8-bit RGB, rows from the
/// top, channels interleaved (`size · size · 3` bytes). It is a pure function and gives the same
/// bytes on every machine.
#[must_use]
pub fn glyph_pixels(seed: u64, index: u64, size: u32) -> Vec<u8> {
    let mut random = generator(seed, index);
    let factors = draw_factors(&mut random, index);
    let outline = Outline::new(factors.shape);
    let (sine, cosine) = (libm::sinf(factors.angle), libm::cosf(factors.angle));
    let (gradient_y, gradient_x) =
        (libm::sinf(factors.gradient_angle), libm::cosf(factors.gradient_angle));
    let gradient_reach = gradient_x.abs() + gradient_y.abs();
    let facing = if factors.mirrored { -1.0 } else { 1.0 };
    let half = factors.scale / 2.0;
    let pixel = 1.0 / size as f32;

    let mut pixels = Vec::with_capacity(size as usize * size as usize * 3);
    for row in 0..size {
        for column in 0..size {
            let (x, y) = ((column as f32 + 0.5) * pixel, (row as f32 + 0.5) * pixel);
            let (dx, dy) = (x - factors.centre[0], y - factors.centre[1]);
            let (u, v) = ((cosine * dx + sine * dy) / half, (cosine * dy - sine * dx) / half);
            // Fraction of the pixel inside the outline. The outline is treated as a straight edge
            // at that distance.
            let coverage = (0.5 - outline.distance(facing * u, v) * half / pixel).clamp(0.0, 1.0);
            let along = 0.5 + ((x - 0.5) * gradient_x + (y - 0.5) * gradient_y) / gradient_reach;
            for channel in 0..3 {
                let background =
                    mix(factors.background[channel], factors.background_end[channel], along);
                let colour =
                    background + (f32::from(factors.foreground[channel]) - background) * coverage;
                pixels.push(
                    (colour + factors.noise * bell(&mut random) + 0.5).clamp(0.0, 255.0) as u8
                );
            }
        }
    }
    pixels
}

/// Returns the catalogue of the whole set at `size`, before any limit.
pub(crate) fn open(seed: u64, size: u32) -> Catalogue {
    let parts = [Part::Train, Part::Validation, Part::Test].into_iter().zip(GLYPH_COUNTS);
    let parts = parts.flat_map(|(part, count)| std::iter::repeat_n(part, count));
    let entries = parts.enumerate().map(|(item, part)| {
        let class = (item % GLYPH_CLASSES.len()) as u32;
        Entry { name: format!("glyphs[{item}]"), class, part, item }
    });
    Catalogue {
        classes: GLYPH_CLASSES.map(str::to_owned).to_vec(),
        entries: entries.collect(),
        ..Catalogue::new("glyphs".to_owned(), Box::new(Glyphs { seed, size }))
    }
}

struct Glyphs {
    seed: u64,
    size: u32,
}

impl Source for Glyphs {
    fn read(&self, item: usize, target: Target) -> Result<RgbImage, String> {
        let pixels = glyph_pixels(self.seed, item as u64, self.size);
        Ok(RgbImage::plain(self.size, self.size, pixels, target))
    }

    fn dimensions(&self, _item: usize, _exif: Exif) -> Result<(u32, u32), String> {
        Ok((self.size, self.size))
    }

    fn stamp(&self, item: usize) -> String {
        format!("{} {item}", self.seed)
    }
}

fn generator(seed: u64, index: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(index);
    random
}

fn draw_factors(random: &mut ChaCha8Rng, index: u64) -> Factors {
    let scale = random.random_range(0.45..=0.75);
    let room = 0.1 + (1.0 - scale) / 2.0;
    let centre = [0, 1].map(|_| 0.5 + random.random_range(-room..=room));
    let bright_shape: bool = random.random();
    let background = colour(random, COOL, !bright_shape);
    let other = colour(random, COOL, !bright_shape);
    let blend = random.random_range(0.0..=BACKGROUND_BLEND);
    let background_end =
        [0, 1, 2].map(|channel| mix(background[channel], other[channel], blend) as u8);
    let foreground = contrasting(random, bright_shape, [luma(background), luma(background_end)]);
    Factors {
        shape: (index % GLYPH_CLASSES.len() as u64) as u32,
        foreground,
        background,
        background_end,
        gradient_angle: random.random_range(0.0..TAU),
        centre,
        scale,
        angle: random.random_range(-FRAC_PI_6..=FRAC_PI_6),
        mirrored: random.random(),
        noise: random.random_range(5.0..=8.0),
    }
}

/// Draws a colour around the middle hue. It is bright or dark, and muted or fuller.
fn colour(random: &mut ChaCha8Rng, middle: f32, bright: bool) -> [u8; 3] {
    let hue = middle + random.random_range(-HUE_RANGE..=HUE_RANGE);
    let saturation = random.random_range(0.4f32..=0.8);
    let value =
        if bright { random.random_range(0.7f32..=1.0) } else { random.random_range(0.2f32..=0.5) };
    // Each channel decreases with the distance between the hue and the channel's own hue: red 0,
    // green 2, blue 4, on a circle of 6.
    [0.0, 2.0, 4.0].map(|channel_hue: f32| {
        let distance = (hue - channel_hue).abs();
        let share = (2.0 - distance.min(6.0 - distance)).clamp(0.0, 1.0);
        (255.0 * value * (1.0 - saturation * (1.0 - share))) as u8
    })
}

/// Draws a warm colour that is darker or brighter, by [`CONTRAST`], than the whole background
/// between the two lumas.
fn contrasting(random: &mut ChaCha8Rng, bright: bool, background: [f32; 2]) -> [u8; 3] {
    let (darkest, brightest) = (background[0].min(background[1]), background[0].max(background[1]));
    for _ in 0..64 {
        let colour = colour(random, WARM, bright);
        if luma(colour) <= darkest - CONTRAST || luma(colour) >= brightest + CONTRAST {
            return colour;
        }
    }
    if 1.0 - brightest >= darkest { [255; 3] } else { [0; 3] }
}

/// Returns the Rec. 601 luma on a scale of 0 to 1.
fn luma(colour: [u8; 3]) -> f32 {
    (0.299 * f32::from(colour[0]) + 0.587 * f32::from(colour[1]) + 0.114 * f32::from(colour[2]))
        / 255.0
}

fn mix(from: u8, to: u8, share: f32) -> f32 {
    f32::from(from) + (f32::from(to) - f32::from(from)) * share
}

/// Draws a nearly normal number with mean 0 and standard deviation 1: the sum of four bytes, whose
/// variance is 4 · (256² − 1) / 12.
fn bell(random: &mut ChaCha8Rng) -> f32 {
    let sum: u32 = random.random::<[u8; 4]>().into_iter().map(u32::from).sum();
    (sum as f32 - 510.0) / 147.8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_is_a_function_of_seed_and_index() {
        assert_eq!(glyph_pixels(3, 17, 32), glyph_pixels(3, 17, 32));
        assert_ne!(glyph_pixels(3, 17, 32), glyph_pixels(4, 17, 32));
        assert_ne!(glyph_pixels(3, 17, 32), glyph_pixels(3, 27, 32));
        assert_eq!(glyph_factors(3, 17), glyph_factors(3, 17));
        assert_eq!(glyph_factors(3, u64::MAX).shape, 5);
        for size in [1, 2, 33] {
            assert_eq!(glyph_pixels(0, 0, size).len(), size as usize * size as usize * 3);
        }
    }

    #[test]
    fn factors_keep_their_ranges_and_do_not_tell_the_class() {
        let all: Vec<Factors> = (0..5000).map(|index| glyph_factors(0, index)).collect();
        for factors in &all {
            assert!((0.45..=0.75).contains(&factors.scale) && factors.angle.abs() <= FRAC_PI_6);
            assert!((5.0..=8.0).contains(&factors.noise));
            assert!(factors.centre.iter().all(|at| (0.125..=0.875).contains(at)));
            let shape = luma(factors.foreground);
            let background = [factors.background, factors.background_end].map(luma);
            let apart = (background[0].min(background[1]) - shape)
                .max(shape - background[0].max(background[1]));
            assert!(apart >= CONTRAST, "{factors:?}");
        }
        // There are 500 draws per class. The mean of n draws with deviation s has deviation s/√n,
        // and a mean never deviates by 5 times that.
        let measures: [fn(&Factors) -> f32; 6] = [
            |factors| factors.scale,
            |factors| factors.angle,
            |factors| factors.centre[0],
            |factors| luma(factors.foreground),
            |factors| luma(factors.background),
            |factors| f32::from(factors.foreground[0]) - f32::from(factors.foreground[2]),
        ];
        for (number, measure) in measures.into_iter().enumerate() {
            let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
            let values: Vec<f32> = all.iter().map(measure).collect();
            let whole = mean(&values);
            let deviation =
                mean(&values.iter().map(|value| (value - whole).powi(2)).collect::<Vec<_>>())
                    .sqrt();
            for class in 0..10 {
                let of_class: Vec<f32> = values.iter().skip(class).step_by(10).copied().collect();
                let away = (mean(&of_class) - whole).abs();
                assert!(
                    away < 5.0 * deviation / 500f32.sqrt(),
                    "measure {number} of class {class}: {away}"
                );
            }
        }
    }

    #[test]
    fn edges_are_smooth_and_sizes_agree() {
        // The average of a large drawing over blocks must equal the small drawing, except for two
        // differences. The noise has a mean size of 0.8 deviations (known from 768 values to within
        // 0.1). At edges, a straight edge differs from a corner by less than 1 on average.
        let index = (0..).find(|&index| glyph_factors(0, index).noise < 5.1).unwrap();
        let (small, large) = (glyph_pixels(0, index, 16), glyph_pixels(0, index, 128));
        let mut differences = 0.0;
        for (at, &value) in small.iter().enumerate() {
            let (row, column, channel) = (at / 48, at / 3 % 16, at % 3);
            let block = (0..64).map(|pixel| {
                let (y, x) = (row * 8 + pixel / 8, column * 8 + pixel % 8);
                f64::from(large[(y * 128 + x) * 3 + channel])
            });
            differences += (block.sum::<f64>() / 64.0 - f64::from(value)).abs();
        }
        let mean = differences / small.len() as f64;
        assert!(mean < (0.8 + 0.1) * 5.1 + 1.0, "{mean}");
    }
}
