use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::policy::{Blur, Crop, Jitter, Policy};

/// The name of a view: equal keys give equal views, whatever else happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ViewKey {
    /// The seed of the run.
    pub seed: u64,
    /// The image's number in its set.
    pub image: u64,
    /// The pass over the set.
    pub epoch: u64,
    /// Which view of the image in this pass: 0 and 1 for a pair.
    pub view: u32,
}

/// The part of an image that a view shows, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropBox {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// One change of colour with its drawn size.
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

/// The drawn parameters of one view: with the image and the side they determine every pixel.
///
/// A step that the policy lacks and one that chance left out read alike, which is what makes
/// policies nested: equal draws are equal views.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Draw {
    /// The part shown; `None` for the whole image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<CropBox>,
    /// Whether the view is flipped horizontally.
    pub flip: bool,
    /// The changes of colour, in the order in which they are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<[Adjustment; 4]>,
    /// Whether the view is grey.
    pub grey: bool,
    /// Deviation of the blur in pixels of a view of side 32 (see [`Blur`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blur: Option<f64>,
}

impl Policy {
    /// Draws the parameters of the view `key` of an image of `width` × `height` pixels.
    ///
    /// A side of 0 is drawn for as if it were 1.
    pub fn draw(&self, key: ViewKey, width: u32, height: u32) -> Draw {
        let config = self.config();
        Draw {
            crop: config.crop.map(|crop| draw_crop(&crop, key.stream(Step::Crop), width.max(1), height.max(1))),
            flip: config.flip.is_some_and(|flip| key.stream(Step::Flip).chance(flip.probability)),
            jitter: config.jitter.and_then(|jitter| draw_jitter(&jitter, key.stream(Step::Jitter))),
            grey: config.grey.is_some_and(|grey| key.stream(Step::Grey).chance(grey.probability)),
            blur: config.blur.and_then(|blur| draw_blur(&blur, key.stream(Step::Blur))),
        }
    }
}

/// torchvision's law for `RandomResizedCrop`. Both sides are at least 1.
fn draw_crop(crop: &Crop, mut stream: Stream, width: u32, height: u32) -> CropBox {
    let [full_width, full_height] = [width, height].map(f64::from);
    let log_ratio = crop.ratio.map(libm::log);
    for _ in 0..10 {
        let area = full_width * full_height * stream.uniform(crop.scale);
        let ratio = libm::exp(stream.uniform(log_ratio));
        let box_width = (area * ratio).sqrt().round_ties_even();
        let box_height = (area / ratio).sqrt().round_ties_even();
        if (1.0..=full_width).contains(&box_width) && (1.0..=full_height).contains(&box_height) {
            let (box_width, box_height) = (box_width as u32, box_height as u32);
            let top = stream.up_to(height - box_height);
            let left = stream.up_to(width - box_width);
            return CropBox { left, top, width: box_width, height: box_height };
        }
    }
    central_crop(crop.ratio, width, height)
}

/// The largest central box whose ratio is within bounds, and which has at least one pixel.
fn central_crop([least, largest]: [f64; 2], width: u32, height: u32) -> CropBox {
    let [full_width, full_height] = [width, height].map(f64::from);
    let ratio = full_width / full_height;
    let (mut box_width, mut box_height) = (width, height);
    if ratio < least {
        box_height = ((full_width / least).round_ties_even() as u32).clamp(1, height);
    } else if ratio > largest {
        box_width = ((full_height * largest).round_ties_even() as u32).clamp(1, width);
    }
    CropBox { left: (width - box_width) / 2, top: (height - box_height) / 2, width: box_width, height: box_height }
}

/// All of it is drawn whether it is used or not: the same key jitters alike at every probability.
fn draw_jitter(jitter: &Jitter, mut stream: Stream) -> Option<[Adjustment; 4]> {
    let applied = stream.chance(jitter.probability);
    let mut factor = |amount: f64| {
        let amount = amount * jitter.strength;
        stream.uniform([(1.0 - amount).max(0.0), 1.0 + amount])
    };
    let brightness = factor(jitter.brightness);
    let contrast = factor(jitter.contrast);
    let saturation = factor(jitter.saturation);
    let turn = jitter.hue * jitter.strength;
    let hue = stream.uniform([-turn, turn]);
    let mut adjustments = [
        Adjustment::Brightness(brightness),
        Adjustment::Contrast(contrast),
        Adjustment::Saturation(saturation),
        Adjustment::Hue(hue),
    ];
    for last in (1..adjustments.len()).rev() {
        adjustments.swap(last, stream.up_to(last as u32) as usize);
    }
    applied.then_some(adjustments)
}

fn draw_blur(blur: &Blur, mut stream: Stream) -> Option<f64> {
    let applied = stream.chance(blur.probability);
    let sigma = stream.uniform(blur.sigma);
    applied.then_some(sigma)
}

/// The number of a step's random stream. It is part of what a seed means: never change one.
#[derive(Clone, Copy)]
enum Step {
    Crop = 0,
    Flip = 1,
    Jitter = 2,
    Grey = 3,
    Blur = 4,
}

impl ViewKey {
    /// ChaCha8 keyed by the view, one stream a step, so that no step can shift another's numbers.
    fn stream(&self, step: Step) -> Stream {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&self.image.to_le_bytes());
        seed[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        seed[24..28].copy_from_slice(&self.view.to_le_bytes());
        seed[28..].copy_from_slice(b"view");
        let mut generator = ChaCha8Rng::from_seed(seed);
        generator.set_stream(step as u64);
        Stream(generator)
    }
}

/// Random numbers straight from the cipher's words: no library's sampling can change a view.
struct Stream(ChaCha8Rng);

impl Stream {
    /// Uniform in [0, 1), a multiple of 2⁻⁵³.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn uniform(&mut self, [low, high]: [f64; 2]) -> f64 {
        (low + self.unit() * (high - low)).min(high)
    }

    /// Uniform in 0..=most, but for a bias below 2⁻³¹ of a probability.
    fn up_to(&mut self, most: u32) -> u32 {
        let product = u128::from(self.0.next_u64()) * (u128::from(most) + 1);
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
    /// One line, the steps in their order; `unchanged` where there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = Vec::new();
        if let Some(crop) = self.crop {
            steps.push(format!("crop {}×{} at ({}, {})", crop.width, crop.height, crop.left, crop.top));
        }
        if self.flip {
            steps.push("flip".to_owned());
        }
        steps.extend(self.jitter.iter().flatten().map(Adjustment::to_string));
        if self.grey {
            steps.push("grey".to_owned());
        }
        if let Some(sigma) = self.blur {
            steps.push(format!("blur {sigma:.3}"));
        }
        f.write_str(&if steps.is_empty() { "unchanged".to_owned() } else { steps.join(", ") })
    }
}
