use serde::{Deserialize, Serialize};

use crate::error::PolicyError;

/// The largest standard deviation of a blur, in pixels of the view.
pub const MAX_SIGMA: f64 = 1024.0;

/// The longest kernel of a Gaussian blur, in pixels.
pub const MAX_KERNEL: u32 = 255;

/// The widest margin of a padding crop, in pixels of the view.
pub const MAX_PADDING: u32 = 1024;

/// The range of a parameter. Policies and draws are checked against the same ranges, so that no
/// draw of a policy is refused.
pub(crate) struct Limit {
    pub(crate) holds: fn(f64) -> bool,
    /// Description of the range, for errors.
    pub(crate) needed: &'static str,
}

// Each check is written so that NaN fails it.
impl Limit {
    const PROBABILITY: Self =
        Self { holds: |v| (0.0..=1.0).contains(&v), needed: "a probability from 0 to 1" };
    const SHARE: Self =
        Self { holds: |v| v > 0.0 && v <= 1.0, needed: "a share above 0 and at most 1" };
    const RATIO: Self = Self { holds: |v| v > 0.0 && v.is_finite(), needed: "a positive number" };
    const AMOUNT: Self =
        Self { holds: |v| v >= 0.0 && v.is_finite(), needed: "a finite number of at least 0" };
    /// The range of an amount times the strength. A factor of 255 raises even level 1 to white, so
    /// a larger factor would have no further effect.
    const JITTER: Self = Self { holds: |v| v <= 255.0, needed: "at most 255" };
    pub(crate) const FACTOR: Self =
        Self { needed: "a finite factor of at least 0", ..Self::AMOUNT };
    pub(crate) const HUE: Self = Self {
        holds: |v| v.abs() <= 0.5,
        needed: "a turn from -0.5 to 0.5, half a circle each way",
    };
    pub(crate) const SHIFT: Self = Self {
        holds: |v| v.abs() <= f64::from(MAX_PADDING),
        needed: "at most 1024 pixels each way",
    };
    pub(crate) const DEGREES: Self =
        Self { holds: |v| v.abs() <= 360.0, needed: "an angle from -360 to 360" };
    pub(crate) const SIGMA: Self = Self {
        holds: |v| v > 0.0 && v <= MAX_SIGMA,
        needed: "a deviation above 0 and at most 1024",
    };
    pub(crate) const SIDE: Self =
        Self { holds: |v| v >= 1.0, needed: "the side of a view, at least 1" };
    pub(crate) const KERNEL: Self = Self {
        holds: |v| v % 2.0 == 1.0 && v <= f64::from(MAX_KERNEL),
        needed: "an odd number of pixels, at most 255",
    };
}

/// Probability of a step: one number, or two if the first and the second view of a pair differ.
///
/// As in BYOL and Barlow Twins, views with even numbers use the first probability, views with odd
/// numbers the second.
///
/// ```
/// use selfsame_augment::{Policy, Probability};
///
/// let policy = Policy::from_toml("solarise = { probability = [0.0, 0.2] }")?;
/// assert_eq!(policy.config().solarise.unwrap().probability, Probability::of_pair(0.0, 0.2));
/// assert_eq!(Probability::from(0.5).of_view(7), 0.5);
/// # Ok::<(), selfsame_augment::PolicyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "NumberOrPair", into = "NumberOrPair")]
pub struct Probability([f64; 2]);

impl Probability {
    /// Makes a probability for views with even numbers and another for views with odd numbers.
    pub const fn of_pair(first: f64, second: f64) -> Self {
        Self([first, second])
    }

    /// Returns the probability for view number `view`.
    pub fn of_view(self, view: u32) -> f64 {
        self.0[view as usize % 2]
    }
}

impl From<f64> for Probability {
    fn from(probability: f64) -> Self {
        Self([probability; 2])
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a probability, or two: one for the first and one for the second view"
)]
enum NumberOrPair {
    Number(f64),
    Pair([f64; 2]),
}

impl From<NumberOrPair> for Probability {
    fn from(value: NumberOrPair) -> Self {
        match value {
            NumberOrPair::Number(probability) => probability.into(),
            NumberOrPair::Pair(pair) => Self(pair),
        }
    }
}

impl From<Probability> for NumberOrPair {
    fn from(Probability([first, second]): Probability) -> Self {
        if first == second { Self::Number(first) } else { Self::Pair([first, second]) }
    }
}

/// Random resized crop: a box of random area and shape, resized to the view with antialiasing.
///
/// The law is torchvision's `RandomResizedCrop`: ten tries of an area uniform in `scale` and a
/// ratio log-uniform in `ratio`. If no try fits, the crop is the largest central box whose ratio is
/// within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crop {
    /// Fraction of views that are cropped, in [0, 1]. The others show the image's central square.
    pub probability: Probability,
    /// Least and largest area as a fraction of the image's area, in (0, 1].
    pub scale: [f64; 2],
    /// Least and largest width over height, positive.
    pub ratio: [f64; 2],
    /// Method of resizing the box to the view's side.
    pub interpolation: Interpolation,
}

/// Filter for resizing a crop. It is always antialiased, as in PIL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// Triangle filter, torchvision's default.
    #[default]
    Bilinear,
    /// Cubic filter with a = −0.5, as in solo-learn and BYOL.
    Bicubic,
}

/// Padding crop: shifts the view by up to `padding` pixels each way, like torchvision's
/// `RandomCrop` with padding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PadCrop {
    /// Fraction of views that are shifted, in [0, 1].
    pub probability: Probability,
    /// The widest shift in pixels of the view, at most 1024 ([`MAX_PADDING`]).
    pub padding: u32,
    /// Content of the margin.
    pub fill: Fill,
}

/// Content beyond the edge of a view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// Zeros.
    #[default]
    Black,
    /// The outermost pixels, repeated.
    Edge,
    /// The mirrored view; its outermost pixels are not repeated.
    Reflect,
}

/// Rotation about the centre by a random angle. Areas from outside of the view are black.
///
/// The law is that of torchvision's `RandomRotation`. Right angles, as in `degrees = [90, 90]`, are
/// exact.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotation {
    /// Fraction of views that are rotated, in [0, 1].
    pub probability: Probability,
    /// Least and largest angle, counter-clockwise, within −360 and 360; drawn uniformly.
    pub degrees: [f64; 2],
    /// Whether levels are taken from the four nearest pixels (bilinear) rather than from the
    /// nearest one.
    pub smooth: bool,
}

/// Horizontal or vertical flip.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flip {
    /// Fraction of views that are flipped, in [0, 1].
    pub probability: Probability,
}

/// Colour jitter: changes brightness, contrast, saturation and hue in random order.
///
/// As in torchvision's `ColorJitter`, an amount v of brightness, contrast or saturation draws a
/// factor uniform in [max(0, 1 − v), 1 + v]. An amount v of hue draws a turn uniform in [−v, v], in
/// circles. The amount v is the field times `strength`. (The authors' table of strengths jitters
/// every view: `probability = 1`.)
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jitter {
    /// Fraction of views that are jittered, in [0, 1].
    pub probability: Probability,
    /// Factor that multiplies the four amounts, at least 0.
    pub strength: f64,
    /// Amount of brightness, at least 0.
    pub brightness: f64,
    /// Amount of contrast, at least 0.
    pub contrast: f64,
    /// Amount of saturation, at least 0.
    pub saturation: f64,
    /// Amount of hue, at least 0. Multiplied by `strength`, it is at most 0.5, half a circle.
    pub hue: f64,
}

/// Greyscale: all three channels become the luminance (ITU-R 601-2, as in PIL).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grey {
    /// Fraction of views that are grey, in [0, 1].
    pub probability: Probability,
}

/// Gaussian blur.
///
/// Without `kernel` it is PIL's `GaussianBlur`, which published recipes commonly use: three
/// extended box blurs in each direction. With `kernel` it is torchvision's `GaussianBlur`: a
/// Gaussian truncated to `kernel` pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "WrittenBlur")]
pub struct Blur {
    /// Fraction of views that are blurred, in [0, 1].
    pub probability: Probability,
    /// Least and largest standard deviation in pixels, above 0 and at most 1024 ([`MAX_SIGMA`]).
    /// The draw is uniform.
    pub sigma: [f64; 2],
    /// Side of the view that `sigma` refers to. For a view of a different side, `sigma` is scaled
    /// in proportion. Without `side`, `sigma` is in pixels of any view.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<u32>,
    /// Width of the kernel in pixels, odd and at most 255 ([`MAX_KERNEL`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<u32>,
}

/// A blur in a file. If `sigma` is written without `side`, it is in pixels, unlike the authors' own
/// setting.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBlur {
    probability: Option<Probability>,
    sigma: Option<[f64; 2]>,
    side: Option<u32>,
    kernel: Option<u32>,
}

impl From<WrittenBlur> for Blur {
    fn from(WrittenBlur { probability, sigma, side, kernel }: WrittenBlur) -> Self {
        let authors = Self::default();
        Self {
            probability: probability.unwrap_or(authors.probability),
            sigma: sigma.unwrap_or(authors.sigma),
            side: if sigma.is_some() { side } else { side.or(authors.side) },
            kernel,
        }
    }
}

/// Solarise: inverts levels from a threshold up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Solarise {
    /// Fraction of views that are solarised, in [0, 1].
    pub probability: Probability,
    /// Lowest level v that becomes 255 − v.
    pub threshold: u8,
}

impl Default for Crop {
    /// The authors' setting: every view is cropped, with area 0.08 to 1, ratio 3/4 to 4/3,
    /// bilinear.
    fn default() -> Self {
        Self {
            probability: 1.0.into(),
            scale: [0.08, 1.0],
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            interpolation: Interpolation::Bilinear,
        }
    }
}

impl Default for PadCrop {
    /// The usual setting for images of side 32: every view is shifted by up to 4 pixels, with black
    /// margins.
    fn default() -> Self {
        Self { probability: 1.0.into(), padding: 4, fill: Fill::Black }
    }
}

impl Default for Rotation {
    /// The default: one view in two is rotated by up to 15 degrees each way, bilinear.
    fn default() -> Self {
        Self { probability: 0.5.into(), degrees: [-15.0, 15.0], smooth: true }
    }
}

impl Default for Flip {
    /// The authors' setting: one view in two is flipped.
    fn default() -> Self {
        Self { probability: 0.5.into() }
    }
}

impl Default for Jitter {
    /// The authors' setting: 0.8, 0.8, 0.8 and 0.2 at strength 0.5, in four views of five.
    fn default() -> Self {
        Self {
            probability: 0.8.into(),
            strength: 0.5,
            brightness: 0.8,
            contrast: 0.8,
            saturation: 0.8,
            hue: 0.2,
        }
    }
}

impl Default for Grey {
    /// The authors' setting: one view in five is grey.
    fn default() -> Self {
        Self { probability: 0.2.into() }
    }
}

impl Default for Blur {
    /// The authors' setting: one view in two is blurred, by one pixel at side 32.
    fn default() -> Self {
        Self { probability: 0.5.into(), sigma: [1.0, 1.0], side: Some(32), kernel: None }
    }
}

impl Default for Solarise {
    /// The setting of BYOL's second view: one view in five is solarised, from level 128 up.
    fn default() -> Self {
        Self { probability: 0.2.into(), threshold: 128 }
    }
}

/// The parameters of a policy before they are checked, as a TOML file or a program writes them.
///
/// The steps are applied in the order of the fields. A step that is `None` is left out; the default
/// has no steps. `Policy::try_from` turns the parameters into a [`Policy`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    /// Random resized crop. Without it, a view is the image's central square, resized bilinearly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Crop>,
    /// Padding crop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_crop: Option<PadCrop>,
    /// Rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Horizontal flip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flip: Option<Flip>,
    /// Vertical flip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vertical_flip: Option<Flip>,
    /// Colour jitter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Jitter>,
    /// Greyscale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grey: Option<Grey>,
    /// Gaussian blur.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blur: Option<Blur>,
    /// Solarise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solarise: Option<Solarise>,
}

/// A checked augmentation policy: no value of this type has a parameter out of its range.
///
/// A policy is written as a preset's name ([`PRESETS`](crate::PRESETS)), or as letters: `a` crop,
/// `b` blur, `c` grey, `d` colour jitter, `e` flip. The order of the letters does not change the
/// order of the steps. Letters have the authors' settings; a number right after `d` replaces its
/// strength of 0.5, and a number right after `a` the smallest share of the image that a crop shows,
/// 0.08:
///
/// ```
/// use selfsame_augment::Policy;
///
/// let policy: Policy = "ed0.25a0.3".parse()?;
/// assert_eq!(policy.to_string(), "a0.3d0.25e");
/// assert_eq!(policy.config().jitter.unwrap().strength, 0.25);
/// assert_eq!(policy.config().crop.unwrap().scale, [0.3, 1.0]);
/// assert!("none".parse::<Policy>()?.config().crop.is_none());
/// assert_eq!("simclr".parse::<Policy>()?.config().blur.unwrap().sigma, [0.1, 2.0]);
/// # Ok::<(), selfsame_augment::PolicyError>(())
/// ```
///
/// A policy can also be written as TOML with every parameter. Missing parameters have the authors'
/// setting:
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
    /// Reads a policy from TOML: a table per step, with the names of [`PolicyConfig`]'s fields.
    ///
    /// # Errors
    /// The text is not TOML, a field is unknown, or a parameter is out of its range. The error
    /// names the field or parameter.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        toml::from_str::<PolicyConfig>(text)?.try_into()
    }

    /// Writes every parameter as TOML. [`Policy::from_toml`] reads the text back to the same
    /// policy.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("tables of numbers are always representable in TOML")
    }

    /// Returns the parameters, all within their ranges.
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
    /// The error names the first parameter that is out of its range.
    fn try_from(config: PolicyConfig) -> Result<Self, PolicyError> {
        let PolicyConfig {
            crop,
            pad_crop,
            rotation,
            flip,
            vertical_flip,
            jitter,
            grey,
            blur,
            solarise,
        } = config;
        let probabilities = [
            ("crop.probability", crop.map(|step| step.probability)),
            ("pad_crop.probability", pad_crop.map(|step| step.probability)),
            ("rotation.probability", rotation.map(|step| step.probability)),
            ("flip.probability", flip.map(|step| step.probability)),
            ("vertical_flip.probability", vertical_flip.map(|step| step.probability)),
            ("jitter.probability", jitter.map(|step| step.probability)),
            ("grey.probability", grey.map(|step| step.probability)),
            ("blur.probability", blur.map(|step| step.probability)),
            ("solarise.probability", solarise.map(|step| step.probability)),
        ];
        for (field, probability) in probabilities {
            for value in probability.map_or([0.0; 2], |Probability(pair)| pair) {
                check(field, value, &Limit::PROBABILITY)?;
            }
        }
        if let Some(crop) = crop {
            check_pair("crop.scale", crop.scale, &Limit::SHARE)?;
            check_pair("crop.ratio", crop.ratio, &Limit::RATIO)?;
        }
        if let Some(pad_crop) = pad_crop {
            check("pad_crop.padding", pad_crop.padding.into(), &Limit::SHIFT)?;
        }
        if let Some(rotation) = rotation {
            check_pair("rotation.degrees", rotation.degrees, &Limit::DEGREES)?;
        }
        if let Some(jitter) = jitter {
            check_jitter(&jitter)?;
        }
        if let Some(Blur { sigma, side, kernel, .. }) = blur {
            check_pair("blur.sigma", sigma, &Limit::SIGMA)?;
            side.map_or(Ok(()), |side| check("blur.side", side.into(), &Limit::SIDE))?;
            kernel.map_or(Ok(()), |kernel| check("blur.kernel", kernel.into(), &Limit::KERNEL))?;
        }
        Ok(Self { config })
    }
}

fn check_jitter(jitter: &Jitter) -> Result<(), PolicyError> {
    check("jitter.strength", jitter.strength, &Limit::AMOUNT)?;
    let amounts = [
        ("jitter.brightness", "jitter.brightness × strength", jitter.brightness, Limit::JITTER),
        ("jitter.contrast", "jitter.contrast × strength", jitter.contrast, Limit::JITTER),
        ("jitter.saturation", "jitter.saturation × strength", jitter.saturation, Limit::JITTER),
        ("jitter.hue", "jitter.hue × strength", jitter.hue, Limit::HUE),
    ];
    for (field, product, amount, limit) in amounts {
        check(field, amount, &Limit::AMOUNT)?;
        check(product, amount * jitter.strength, &limit)?;
    }
    Ok(())
}

fn check(field: &'static str, value: f64, limit: &Limit) -> Result<(), PolicyError> {
    let Limit { holds, needed } = *limit;
    if holds(value) { Ok(()) } else { Err(PolicyError::Number { field, value, needed }) }
}

fn check_pair(
    field: &'static str,
    [low, high]: [f64; 2],
    limit: &Limit,
) -> Result<(), PolicyError> {
    let Limit { holds, needed } = *limit;
    let valid = low <= high && holds(low) && holds(high);
    if valid { Ok(()) } else { Err(PolicyError::Range { field, low, high, needed }) }
}
