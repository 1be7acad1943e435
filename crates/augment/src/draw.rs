use std::fmt;

use selfsame_kernels::pixels::{Image, Numbered};
use serde::{Deserialize, Serialize};

use crate::key::ViewKey;
use crate::policy::{Blur, Crop, Fill, Interpolation, Jitter, PadCrop, Policy, Rotation};

/// The part of an image that a view shows, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropBox {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Number of columns.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

/// One change of colour with its drawn amount.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Adjustment {
    /// Factor, at least 0: 0 is black, 1 leaves the view as it is.
    Brightness(f64),
    /// Factor, at least 0: 0 is the mean grey everywhere, 1 leaves the view as it is.
    Contrast(f64),
    /// Factor, at least 0: 0 is greyscale, 1 leaves the view as it is.
    Saturation(f64),
    /// Turn of the hue in circles, in [−0.5, 0.5]; exactly 0 leaves the view as it is.
    Hue(f64),
}

/// Start of a padding crop, as an offset from the view's first pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// Offset in columns; negative to the left.
    pub right: i32,
    /// Offset in rows; negative upwards.
    pub down: i32,
    /// Content of the margin.
    pub fill: Fill,
}

/// A rotation about the view's centre.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Angle, counter-clockwise, within −360 and 360.
    pub degrees: f64,
    /// Whether levels are taken from the four nearest pixels rather than from the nearest one.
    pub smooth: bool,
}

/// The parameters of a Gaussian blur: see [`Blur`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianBlur {
    /// Standard deviation in pixels of the view, or of a view of side `side`; above 0, at most
    /// 1024.
    pub sigma: f64,
    /// Side of the view that `sigma` refers to, if the blur scales with the view.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<u32>,
    /// Width of torchvision's kernel in pixels, an odd number. Without it, the blur is PIL's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<u32>,
}

/// The drawn parameters of one view. With the image and the side of the view, they determine every
/// pixel.
///
/// The steps are applied in the order of the fields. A step that the policy lacks has the same
/// value as a step that chance left out. This makes policies nested: equal draws are equal views.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Draw {
    /// The part of the image that is shown; `None` for its central square.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<CropBox>,
    /// Method of resizing that part to the view's side.
    pub interpolation: Interpolation,
    /// The padding crop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<Shift>,
    /// The rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Turn>,
    /// Whether the view is flipped horizontally.
    pub flip: bool,
    /// Whether the view is flipped vertically.
    pub vertical_flip: bool,
    /// The changes of colour, in the order in which they are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<[Adjustment; 4]>,
    /// Whether the view is grey.
    pub grey: bool,
    /// The blur.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blur: Option<GaussianBlur>,
    /// Lowest level that is inverted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solarise: Option<u8>,
}

impl Draw {
    /// Returns what this view of an image is made of: a crop is cut from the image's source, and a
    /// view without crop shows the image.
    pub fn origin<'a>(&self, of: Numbered<'a>) -> Image<'a> {
        if self.crop.is_some() { of.source } else { of.image }
    }
}

impl Policy {
    /// Draws the parameters of the view `key` of an image of `width` × `height` pixels.
    ///
    /// A side of 0 counts as 1.
    pub fn draw(&self, key: ViewKey, width: u32, height: u32) -> Draw {
        let config = self.config();
        let (words, crop_words) = key.words();
        let words = |step: std::ops::Range<usize>| Words(words[step].iter().copied());
        // These positions determine the views of a seed, so they must not change. A new step uses
        // words from 19 on.
        Draw {
            jitter: config.jitter.and_then(|step| draw_jitter(&step, key.view, words(0..8))),
            flip: config
                .flip
                .is_some_and(|step| words(8..9).chance(step.probability.of_view(key.view))),
            vertical_flip: config
                .vertical_flip
                .is_some_and(|step| words(9..10).chance(step.probability.of_view(key.view))),
            grey: config
                .grey
                .is_some_and(|step| words(10..11).chance(step.probability.of_view(key.view))),
            solarise: config
                .solarise
                .filter(|step| words(11..12).chance(step.probability.of_view(key.view)))
                .map(|step| step.threshold),
            blur: config.blur.and_then(|step| draw_blur(&step, key.view, words(12..14))),
            rotation: config
                .rotation
                .and_then(|step| draw_rotation(&step, key.view, words(14..16))),
            shift: config.pad_crop.and_then(|step| draw_shift(&step, key.view, words(16..19))),
            crop: config.crop.and_then(|step| {
                draw_crop(&step, key.view, Words(crop_words), width.max(1), height.max(1))
            }),
            interpolation: config.crop.map_or(Interpolation::default(), |step| step.interpolation),
        }
    }
}

/// Draws a crop by the law of torchvision's `RandomResizedCrop`. Both sides are at least 1.
fn draw_crop(
    crop: &Crop,
    view: u32,
    mut words: Words<impl Iterator<Item = u64>>,
    width: u32,
    height: u32,
) -> Option<CropBox> {
    if !words.chance(crop.probability.of_view(view)) {
        return None;
    }
    let [full_width, full_height] = [width, height].map(f64::from);
    let log_ratio = crop.ratio.map(libm::log);
    for _ in 0..10 {
        let area = full_width * full_height * words.uniform(crop.scale);
        let ratio = libm::exp(words.uniform(log_ratio));
        let box_width = (area * ratio).sqrt().round_ties_even();
        let box_height = (area / ratio).sqrt().round_ties_even();
        if (1.0..=full_width).contains(&box_width) && (1.0..=full_height).contains(&box_height) {
            let (box_width, box_height) = (box_width as u32, box_height as u32);
            let top = words.up_to(height - box_height);
            let left = words.up_to(width - box_width);
            return Some(CropBox { left, top, width: box_width, height: box_height });
        }
    }
    Some(central_crop(crop.ratio, width, height))
}

/// Returns the largest central box whose ratio is within bounds. The box has at least one pixel.
fn central_crop([least, largest]: [f64; 2], width: u32, height: u32) -> CropBox {
    let [full_width, full_height] = [width, height].map(f64::from);
    let ratio = full_width / full_height;
    let (mut box_width, mut box_height) = (width, height);
    if ratio < least {
        box_height = ((full_width / least).round_ties_even() as u32).clamp(1, height);
    } else if ratio > largest {
        box_width = ((full_height * largest).round_ties_even() as u32).clamp(1, width);
    }
    CropBox {
        left: (width - box_width) / 2,
        top: (height - box_height) / 2,
        width: box_width,
        height: box_height,
    }
}

/// Draws a shift by the law of torchvision's `RandomCrop` with padding.
fn draw_shift(
    pad_crop: &PadCrop,
    view: u32,
    mut words: Words<impl Iterator<Item = u64>>,
) -> Option<Shift> {
    let applied = words.chance(pad_crop.probability.of_view(view));
    let padding = pad_crop.padding as i32;
    let down = words.up_to(2 * pad_crop.padding) as i32 - padding;
    let right = words.up_to(2 * pad_crop.padding) as i32 - padding;
    applied.then_some(Shift { right, down, fill: pad_crop.fill })
}

fn draw_rotation(
    rotation: &Rotation,
    view: u32,
    mut words: Words<impl Iterator<Item = u64>>,
) -> Option<Turn> {
    let applied = words.chance(rotation.probability.of_view(view));
    let degrees = words.uniform(rotation.degrees);
    applied.then_some(Turn { degrees, smooth: rotation.smooth })
}

/// Draws all parameters, used or not, so that the same key gives the same jitter at every
/// probability.
fn draw_jitter(
    jitter: &Jitter,
    view: u32,
    mut words: Words<impl Iterator<Item = u64>>,
) -> Option<[Adjustment; 4]> {
    let applied = words.chance(jitter.probability.of_view(view));
    let mut factor = |amount: f64| {
        let amount = amount * jitter.strength;
        words.uniform([(1.0 - amount).max(0.0), 1.0 + amount])
    };
    let brightness = factor(jitter.brightness);
    let contrast = factor(jitter.contrast);
    let saturation = factor(jitter.saturation);
    let turn = jitter.hue * jitter.strength;
    let hue = words.uniform([-turn, turn]);
    let mut adjustments = [
        Adjustment::Brightness(brightness),
        Adjustment::Contrast(contrast),
        Adjustment::Saturation(saturation),
        Adjustment::Hue(hue),
    ];
    for last in (1..adjustments.len()).rev() {
        adjustments.swap(last, words.up_to(last as u32) as usize);
    }
    applied.then_some(adjustments)
}

fn draw_blur(
    blur: &Blur,
    view: u32,
    mut words: Words<impl Iterator<Item = u64>>,
) -> Option<GaussianBlur> {
    let applied = words.chance(blur.probability.of_view(view));
    let sigma = words.uniform(blur.sigma);
    applied.then_some(GaussianBlur { sigma, side: blur.side, kernel: blur.kernel })
}

/// Random numbers computed directly from the words of the cipher, so that a change in a sampling
/// library cannot change a view.
struct Words<I>(I);

impl<I: Iterator<Item = u64>> Words<I> {
    fn word(&mut self) -> u64 {
        self.0.next().expect("a step takes no more words than it was given")
    }

    /// Draws a uniform number in [0, 1), a multiple of 2⁻⁵³.
    fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn uniform(&mut self, [low, high]: [f64; 2]) -> f64 {
        (low + self.unit() * (high - low)).min(high)
    }

    /// Draws a uniform integer in 0..=max. The error of each probability is less than 2⁻³¹.
    fn up_to(&mut self, max: u32) -> u32 {
        let product = u128::from(self.word()) * (u128::from(max) + 1);
        (product >> 64) as u32
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Brightness(factor) => write!(f, "brightness ×{factor:.3}"),
            Self::Contrast(factor) => write!(f, "contrast ×{factor:.3}"),
            Self::Saturation(factor) => write!(f, "saturation ×{factor:.3}"),
            Self::Hue(turn) => write!(f, "hue {turn:+.3}"),
        }
    }
}

impl fmt::Display for Draw {
    /// Writes one line with the steps in their order, without the defaults: bilinear resizing and
    /// rotation, black margins, PIL's blur. A draw without steps is `unchanged`. Numbers are
    /// rounded, so serialise the draw to replay it to the byte.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = Vec::new();
        if let Some(crop) = self.crop {
            steps.push(format!(
                "crop {}×{} at ({}, {})",
                crop.width, crop.height, crop.left, crop.top
            ));
        }
        if self.interpolation == Interpolation::Bicubic {
            steps.push("bicubic".to_owned());
        }
        if let Some(shift) = self.shift {
            let margin = match shift.fill {
                Fill::Black => "",
                Fill::Edge => " with margin edge",
                Fill::Reflect => " with margin reflect",
            };
            steps.push(format!("shift ({:+}, {:+}){margin}", shift.right, shift.down));
        }
        if let Some(turn) = self.rotation {
            steps.push(format!(
                "rotation {:+.1}°{}",
                turn.degrees,
                if turn.smooth { "" } else { " nearest" }
            ));
        }
        if self.flip {
            steps.push("flip".to_owned());
        }
        if self.vertical_flip {
            steps.push("vertical flip".to_owned());
        }
        steps.extend(self.jitter.iter().flatten().map(Adjustment::to_string));
        if self.grey {
            steps.push("grey".to_owned());
        }
        if let Some(GaussianBlur { sigma, side, kernel }) = self.blur {
            let meant = side.map(|side| format!(" at side {side}")).unwrap_or_default();
            let kernel = kernel.map(|kernel| format!(" with kernel {kernel}")).unwrap_or_default();
            steps.push(format!("blur {sigma:.3}{meant}{kernel}"));
        }
        if let Some(threshold) = self.solarise {
            steps.push(format!("solarise from {threshold}"));
        }
        f.write_str(&if steps.is_empty() { "unchanged".to_owned() } else { steps.join(", ") })
    }
}
