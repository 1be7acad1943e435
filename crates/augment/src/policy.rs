use serde::{Deserialize, Serialize};

use crate::error::PolicyError;

/// The view side, in pixels, at which a blur's `sigma` is meant: see [`Blur`].
pub const SIGMA_SIDE: f64 = 32.0;

/// The largest blur deviation: as wide as the view itself, which is then nearly flat.
pub const MAX_SIGMA: f64 = SIGMA_SIDE;

/// A factor of 255 lifts even level 1 to white, so no jitter beyond it means anything more.
const MAX_JITTER: f64 = 255.0;

/// Random resized crop: a box of random area and shape, resized to the view (bilinear, antialiased).
///
/// The law is torchvision's `RandomResizedCrop`: ten tries of an area uniform in `scale` and a ratio
/// log-uniform in `ratio`; if none fits, the largest central box whose ratio is within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crop {
    /// Least and largest area as a share of the image's, in (0, 1].
    pub scale: [f64; 2],
    /// Least and largest width over height, positive.
    pub ratio: [f64; 2],
}

/// Horizontal flip.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flip {
    /// The share of views that are flipped, in [0, 1].
    pub probability: f64,
}

/// Colour jitter: brightness, contrast, saturation and hue changed in random order.
///
/// As in torchvision's `ColorJitter`, an amount v of the first three draws a factor uniform in
/// [max(0, 1 − v), 1 + v], and one of hue a turn uniform in [−v, v], in circles. The amount v is the
/// field times `strength`. (The authors' table of strengths jitters every view: `probability = 1`.)
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jitter {
    /// The share of views that are jittered, in [0, 1].
    pub probability: f64,
    /// What the four amounts are multiplied by, at least 0.
    pub strength: f64,
    /// Amount of brightness, at least 0.
    pub brightness: f64,
    /// Amount of contrast, at least 0.
    pub contrast: f64,
    /// Amount of saturation, at least 0.
    pub saturation: f64,
    /// Amount of hue, at least 0; times `strength` at most 0.5, half a circle.
    pub hue: f64,
}

/// Greyscale: all three channels become the luminance (ITU-R 601-2, as in PIL).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grey {
    /// The share of views that are grey, in [0, 1].
    pub probability: f64,
}

/// Gaussian blur, as PIL's `GaussianBlur`: three extended box blurs in each direction.
///
/// The deviation scales with the view, so that a policy means the same at every size: a view of side
/// s is blurred by a Gaussian of sigma × s / 32 pixels ([`SIGMA_SIDE`]). The authors' runs use one
/// pixel at side 32. A deviation of p pixels at side s is therefore written as 32 p / s.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blur {
    /// The share of views that are blurred, in [0, 1].
    pub probability: f64,
    /// Least and largest deviation, drawn uniformly, in pixels of a view of side 32; in (0, 32].
    pub sigma: [f64; 2],
}

impl Default for Crop {
    /// The authors' setting: area 0.08 to 1, ratio 3/4 to 4/3.
    fn default() -> Self {
        Self { scale: [0.08, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] }
    }
}

impl Default for Flip {
    /// The authors' setting: one view in two.
    fn default() -> Self {
        Self { probability: 0.5 }
    }
}

impl Default for Jitter {
    /// The authors' setting: 0.8, 0.8, 0.8 and 0.2 at strength 0.5, in four views of five.
    fn default() -> Self {
        Self { probability: 0.8, strength: 0.5, brightness: 0.8, contrast: 0.8, saturation: 0.8, hue: 0.2 }
    }
}

impl Default for Grey {
    /// The authors' setting: one view in five.
    fn default() -> Self {
        Self { probability: 0.2 }
    }
}

impl Default for Blur {
    /// The authors' setting: one view in two, by one pixel at side 32.
    fn default() -> Self {
        Self { probability: 0.5, sigma: [1.0, 1.0] }
    }
}

/// The parameters of a policy before they are checked: what a TOML file or a program may write.
///
/// A step that is `None` is left out; the default has no step. Turn it into a [`Policy`] with
/// `Policy::try_from`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    /// Random resized crop; without it a view is the whole image, resized.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// Horizontal flip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flip: Option<Flip>,
    /// Colour jitter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Jitter>,
    /// Greyscale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grey: Option<Grey>,
    /// Gaussian blur.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blur: Option<Blur>,
}

/// A checked augmentation policy: no value of this type has a parameter out of its range.
///
/// Written as letters (`a` crop, `b` blur, `c` grey, `d` colour jitter, `e` flip, in any order; the
/// steps keep theirs), with the authors' settings and, right after `d`, a strength other than 0.5:
///
/// ```
/// use selfsame_augment::Policy;
///
/// let policy: Policy = "ed0.25a".parse()?;
/// assert_eq!(policy.to_string(), "ad0.25e");
/// assert_eq!(policy.config().jitter.unwrap().strength, 0.25);
/// assert!("none".parse::<Policy>()?.config().crop.is_none());
/// # Ok::<(), selfsame_augment::PolicyError>(())
/// ```
///
/// or as TOML with every parameter; what is not written takes the authors' setting:
///
/// ```
/// use selfsame_augment::Policy;
///
/// let policy = Policy::from_toml("
///     [crop]
///     scale = [0.2, 1.0]
///     [jitter]
///     probability = 1.0
/// ")?;
/// assert_eq!(policy.config().jitter.unwrap().hue, 0.2);
/// assert_eq!(Policy::from_toml(&policy.to_toml())?, policy);
/// # Ok::<(), selfsame_augment::PolicyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PolicyConfig", into = "PolicyConfig")]
pub struct Policy {
    config: PolicyConfig,
}

impl Policy {
    /// Reads a policy from TOML: the tables `crop`, `flip`, `jitter`, `grey` and `blur`.
    ///
    /// # Errors
    /// Text that is not TOML, an unknown field (named), or a parameter out of its range (named).
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        toml::from_str::<PolicyConfig>(text)?.try_into()
    }

    /// Writes every parameter as TOML, which [`Policy::from_toml`] reads back to the same policy.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("tables of numbers are always representable in TOML")
    }

    /// The parameters, all within their ranges.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }
}

impl From<Policy> for PolicyConfig {
    fn from(policy: Policy) -> Self {
        policy.config
    }
}

impl TryFrom<PolicyConfig> for Policy {
    type Error = PolicyError;

    /// Checks every parameter.
    ///
    /// # Errors
    /// Names the first parameter that is out of its range.
    fn try_from(config: PolicyConfig) -> Result<Self, PolicyError> {
        if let Some(crop) = config.crop {
            check_range("crop.scale", crop.scale, 1.0, "an ordered pair of shares above 0 and at most 1")?;
            check_range("crop.ratio", crop.ratio, f64::MAX, "an ordered pair of positive numbers")?;
        }
        if let Some(flip) = config.flip {
            check_probability("flip.probability", flip.probability)?;
        }
        if let Some(jitter) = config.jitter {
            check_jitter(&jitter)?;
        }
        if let Some(grey) = config.grey {
            check_probability("grey.probability", grey.probability)?;
        }
        if let Some(blur) = config.blur {
            check_probability("blur.probability", blur.probability)?;
            check_range("blur.sigma", blur.sigma, MAX_SIGMA, "an ordered pair of deviations above 0 and at most 32")?;
        }
        Ok(Self { config })
    }
}

fn check_jitter(jitter: &Jitter) -> Result<(), PolicyError> {
    check_probability("jitter.probability", jitter.probability)?;
    check_number("jitter.strength", jitter.strength, f64::MAX, "a finite number of at least 0")?;
    let checks = [
        ("jitter.brightness", "jitter.brightness × strength", jitter.brightness),
        ("jitter.contrast", "jitter.contrast × strength", jitter.contrast),
        ("jitter.saturation", "jitter.saturation × strength", jitter.saturation),
    ];
    for (field, product, value) in checks {
        check_number(field, value, f64::MAX, "a finite number of at least 0")?;
        check_number(product, value * jitter.strength, MAX_JITTER, "at most 255")?;
    }
    check_number("jitter.hue", jitter.hue, f64::MAX, "a finite number of at least 0")?;
    check_number("jitter.hue × strength", jitter.hue * jitter.strength, 0.5, "at most 0.5, half a circle")
}

fn check_probability(field: &'static str, value: f64) -> Result<(), PolicyError> {
    check_number(field, value, 1.0, "a probability from 0 to 1")
}

// Written so that NaN fails every check.
fn check_number(field: &'static str, value: f64, max: f64, needed: &'static str) -> Result<(), PolicyError> {
    if (0.0..=max).contains(&value) { Ok(()) } else { Err(PolicyError::Number { field, value, needed }) }
}

fn check_range(field: &'static str, range: [f64; 2], max: f64, needed: &'static str) -> Result<(), PolicyError> {
    let [low, high] = range;
    let valid = low > 0.0 && low <= high && high <= max;
    if valid { Ok(()) } else { Err(PolicyError::Range { field, low, high, needed }) }
}
