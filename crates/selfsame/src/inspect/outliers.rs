//! Images that stand out from the others.

use rayon::prelude::*;
use selfsame_data::{Facts, Image};
use selfsame_report::inspection::{Oddity, Outlier, Outliers};

use super::pictures::Shown;
use crate::all::All;
use crate::{Error, Progress};

/// An image is dark if 99 % of its pixels are at most this bright.
const DARK: f64 = 64.0;
/// An image is bright if 99 % of its pixels are at least this bright.
const BRIGHT: f64 = 191.0;
/// An image is flat if 98 % of its pixels lie in a range of brightness of at most this size. One
/// that is dark or bright is not called flat as well.
const FLAT: f64 = 32.0;
/// An image is grey if its channels differ by at most this much on average.
const GREY: f64 = 2.0;
/// An image is blurred if its sharpness is at most the median divided by this.
const BLURRED: f64 = 4.0;
/// It must also lie this many standard deviations below the median of the logarithms, estimated by
/// the median deviation.
const DEVIATIONS: f64 = 4.0;
/// Standard deviation of a normal distribution in units of its median deviation.
const NORMAL: f64 = 1.4826;
/// An image is of another shape if its ratio of width to height is this many times that of the
/// middle image, or less than the middle one's by this factor.
const SHAPE: f64 = 2.0;
/// An image is small if its shorter side is at most this share of the side it is brought to.
const SMALL: f64 = 0.5;
/// Number of images below which none is called blurred: there is nothing to compare it with.
const FEWEST: usize = 20;
/// Maximum number of images of a kind that the page shows.
const SHOWN: usize = 24;
/// Number of images that are measured between two reports of progress.
const BATCH: usize = 4096;

/// Images that stand out in one way.
pub struct Kind {
    kind: Oddity,
    threshold: Option<f64>,
    middle: f64,
    /// Numbers of the images and their values, the most extreme first.
    images: Vec<(usize, f64)>,
}

impl Kind {
    pub fn record(self, shown: &mut Shown<'_>) -> Outliers {
        let outlier = |(rank, (image, value)): (usize, (usize, f64))| Outlier {
            image: shown.name(image, rank < SHOWN),
            value,
        };
        Outliers {
            kind: self.kind,
            threshold: self.threshold,
            middle: self.middle,
            images: self.images.into_iter().enumerate().map(outlier).collect(),
        }
    }
}

/// Measures of an image, in levels of 255 except for the sharpness.
#[derive(Clone, Copy)]
struct Measures {
    /// Brightness that one pixel of a hundred is below, and that one of a hundred is above.
    brightness: [f64; 2],
    /// Variance of the Laplacian over variance of the brightness; 0 if all pixels are equal.
    sharpness: f64,
    /// Mean difference of the largest and the smallest channel.
    colour: f64,
}

/// Finds the images that stand out.
pub fn find(all: &All<'_>, progress: &mut dyn Progress) -> Result<Vec<Kind>, Error> {
    let n = all.len();
    let mut measures = Vec::with_capacity(n);
    for start in (0..n).step_by(BATCH) {
        if progress.stop() {
            return Err(Error::Stopped);
        }
        let images = start..n.min(start + BATCH);
        measures.par_extend(images.into_par_iter().map(|number| Measures::of(all.image(number))));
        progress.advance("images measured", measures.len() as u64, n as u64, "");
    }
    let values = |value: fn(&Measures) -> f64| measures.iter().map(value).collect::<Vec<f64>>();
    let range = |measures: &Measures| measures.brightness[1] - measures.brightness[0];
    let flat = |measures: &Measures| match measures.brightness {
        [_, most] if most <= DARK => f64::NAN,
        [least, _] if least >= BRIGHT => f64::NAN,
        [least, most] => most - least,
    };
    let flat: Vec<f64> = measures.iter().map(flat).collect();
    let colour = values(|measures| measures.colour);
    let coloured = median(&colour) > GREY;
    // Of flat images, noise decides how sharp they are.
    let sharpness: Vec<f64> = measures
        .iter()
        .map(|measures| if range(measures) <= FLAT { f64::NAN } else { measures.sharpness })
        .collect();
    let blurred = blur_threshold(&sharpness);
    let sides: Vec<[f64; 2]> = (0..n).map(|number| sides(all.facts(number))).collect();
    let ratios: Vec<f64> = sides.iter().map(|[width, height]| width / height).collect();
    let ratio = median(&ratios);
    let shapes: Vec<f64> = ratios.iter().map(|other| (other / ratio).max(ratio / other)).collect();
    let side = f64::from(all.dataset.image_size);
    let sizes: Vec<f64> = sides.iter().map(|[width, height]| width.min(*height) / side).collect();
    Ok(vec![
        kind(Oddity::Dark, Some(DARK), &values(|measures| measures.brightness[1]), 1.0),
        kind(Oddity::Bright, Some(BRIGHT), &values(|measures| measures.brightness[0]), -1.0),
        kind(Oddity::Flat, Some(FLAT), &flat, 1.0),
        kind(Oddity::Blurred, blurred, &sharpness, 1.0),
        kind(Oddity::Grey, coloured.then_some(GREY), &colour, 1.0),
        kind(Oddity::Shape, Some(SHAPE), &shapes, -1.0),
        kind(Oddity::Small, Some(SMALL), &sizes, 1.0),
    ])
}

/// Returns width and height of an image as it is looked at.
fn sides(facts: &Facts) -> [f64; 2] {
    let (width, height) = (f64::from(facts.width), f64::from(facts.height));
    // Orientations from 5 on lie on their side.
    if facts.orientation >= 5 { [height, width] } else { [width, height] }
}

/// Collects the images whose value is at most the threshold, or at least, if `sign` is −1.
fn kind(kind: Oddity, threshold: Option<f64>, values: &[f64], sign: f64) -> Kind {
    let within = |value: f64| threshold.is_some_and(|threshold| sign * value <= sign * threshold);
    let mut images: Vec<(usize, f64)> =
        values.iter().copied().enumerate().filter(|&(_, value)| within(value)).collect();
    images.sort_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)));
    Kind { kind, threshold, middle: median(values), images }
}

/// Returns the sharpness up to which an image is blurred, or `None` if there are too few images.
fn blur_threshold(sharpness: &[f64]) -> Option<f64> {
    let logs: Vec<f64> =
        sharpness.iter().filter(|value| **value > 0.0).map(|value| value.ln()).collect();
    if logs.len() < FEWEST {
        return None;
    }
    let middle = median(&logs);
    let deviations: Vec<f64> = logs.iter().map(|value| (value - middle).abs()).collect();
    let deviation = NORMAL * median(&deviations);
    Some((middle - (DEVIATIONS * deviation).max(BLURRED.ln())).exp())
}

/// Returns the lower median of the values that are numbers; 0 if there are none.
fn median(values: &[f64]) -> f64 {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

impl Measures {
    fn of(image: Image<'_>) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let mut colour = 0;
        let brightness: Vec<f64> = image
            .pixels()
            .chunks_exact(image.channels())
            .map(|pixel| {
                let (least, most) = (pixel.iter().min(), pixel.iter().max());
                colour += u64::from(most.zip(least).map_or(0, |(most, least)| most - least));
                match *pixel {
                    // The weights of ITU-R BT.601.
                    [red, green, blue, ..] => {
                        0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue)
                    }
                    [grey, ..] => f64::from(grey),
                    [] => 0.0,
                }
            })
            .collect();
        let pixels = brightness.len().max(1);
        let variance = variance(brightness.iter().copied());
        let laplacian = laplacian(&brightness, width, height);
        let mut sorted = brightness;
        sorted.sort_by(f64::total_cmp);
        let aside = sorted.len() / 100;
        let ends = [sorted.get(aside), sorted.get(sorted.len().wrapping_sub(1 + aside))];
        Self {
            brightness: ends.map(|end| end.copied().unwrap_or(0.0)),
            sharpness: if variance > 0.0 { laplacian / variance } else { 0.0 },
            colour: colour as f64 / pixels as f64,
        }
    }
}

/// Returns the variance of the differences of pixels from the mean of their four neighbours.
fn laplacian(brightness: &[f64], width: usize, height: usize) -> f64 {
    let inside = (1..height.saturating_sub(1))
        .flat_map(|y| (1..width.saturating_sub(1)).map(move |x| y * width + x));
    variance(inside.map(|at| {
        let around = [at - 1, at + 1, at - width, at + width];
        around.iter().map(|&at| brightness[at]).sum::<f64>() - 4.0 * brightness[at]
    }))
}

fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut sum, mut squares) = (0.0_f64, 0.0, 0.0);
    for value in values {
        count += 1.0;
        sum += value;
        squares += value * value;
    }
    let mean = sum / count.max(1.0);
    (squares / count.max(1.0) - mean * mean).max(0.0)
}
