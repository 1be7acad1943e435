//! Policies as users write them: letters, as in `a0.2bcd0.25e`, or the name of a published policy.

use std::fmt;
use std::str::FromStr;

use crate::error::PolicyError;
use crate::policy::{
    Blur, Crop, Flip, Grey, Interpolation, Jitter, Policy, PolicyConfig, Probability, Solarise,
};
use crate::presets::PRESETS;

/// Largest strength after `d`. With a hue of 0.2, it turns the hue by 0.5, which is half a circle.
pub const MAX_STRENGTH: f64 = 2.5;

impl FromStr for Policy {
    type Err = PolicyError;

    /// Reads the format that [`Display`](fmt::Display) writes: `none`, letters, a preset's name, or
    /// a TOML table in braces.
    ///
    /// # Errors
    /// The error says what is wrong and, among letters, at which position.
    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let text = text.trim();
        if text.starts_with('{') {
            return text.parse::<toml::Value>()?.try_into::<PolicyConfig>()?.try_into();
        }
        if text == "none" {
            return PolicyConfig::default().try_into();
        }
        preset(text).map_or_else(|| parse_letters(text), Ok)?.try_into()
    }
}

fn parse_letters(text: &str) -> Result<PolicyConfig, PolicyError> {
    let mut config = PolicyConfig::default();
    let mut rest = text.chars();
    let mut position = 0;
    while let Some(letter) = rest.next() {
        position += 1;
        let repeated = match letter {
            'a' => config.crop.replace(Default::default()).is_some(),
            'b' => config.blur.replace(Default::default()).is_some(),
            'c' => config.grey.replace(Default::default()).is_some(),
            'd' => config.jitter.replace(Default::default()).is_some(),
            'e' => config.flip.replace(Default::default()).is_some(),
            _ if is_numeric(letter) => return Err(PolicyError::StrayNumber { position }),
            _ => return Err(PolicyError::UnknownLetter { letter, position }),
        };
        if repeated {
            return Err(PolicyError::RepeatedLetter { letter, position });
        }
        let after = rest.as_str();
        // Exponents are not supported: an `e` after the digits is the flip.
        let (number, remaining) =
            after.split_at(after.find(|c| !is_numeric(c)).unwrap_or(after.len()));
        match letter {
            _ if number.is_empty() => continue,
            'a' => {
                let crop = Crop::default();
                let scale = [parse_area(number)?, crop.scale[1]];
                config.crop = Some(Crop { scale, ..crop });
            }
            'd' => {
                let strength = parse_strength(number)?;
                config.jitter = Some(Jitter { strength, ..Jitter::default() });
            }
            _ => return Err(PolicyError::StrayNumber { position: position + 1 }),
        }
        rest = remaining.chars();
        position += number.len();
    }
    if position == 0 { Err(PolicyError::Empty) } else { Ok(config) }
}

fn is_numeric(c: char) -> bool {
    c.is_ascii_digit() || c == '.' || c == '-'
}

fn parse_strength(text: &str) -> Result<f64, PolicyError> {
    match text.parse::<f64>() {
        Ok(strength) if (0.0..=MAX_STRENGTH).contains(&strength) && strength.is_sign_positive() => {
            Ok(strength)
        }
        _ => Err(PolicyError::Strength { text: text.to_owned(), max: MAX_STRENGTH }),
    }
}

fn parse_area(text: &str) -> Result<f64, PolicyError> {
    match text.parse::<f64>() {
        Ok(area) if area > 0.0 && area <= 1.0 => Ok(area),
        _ => Err(PolicyError::Area { text: text.to_owned() }),
    }
}

/// Returns the published policy with this name: see [`PRESETS`].
fn preset(name: &str) -> Option<PolicyConfig> {
    let solo = |[brightness, contrast, saturation, hue]: [f64; 4]| PolicyConfig {
        crop: Some(Crop { interpolation: Interpolation::Bicubic, ..Crop::default() }),
        flip: Some(Flip::default()),
        jitter: Some(Jitter {
            probability: 0.8.into(),
            strength: 1.0,
            brightness,
            contrast,
            saturation,
            hue,
        }),
        grey: Some(Grey::default()),
        ..PolicyConfig::default()
    };
    let blur = Some(Blur { probability: 0.5.into(), sigma: [0.1, 2.0], side: None, kernel: None });
    let solarise = |probability| Some(Solarise { probability, threshold: 128 });
    Some(match name {
        "simclr" => PolicyConfig { blur, ..solo([0.8, 0.8, 0.8, 0.2]) },
        "mocov2" => PolicyConfig { blur, ..solo([0.4, 0.4, 0.4, 0.1]) },
        "byol" | "barlow_twins" => PolicyConfig {
            solarise: solarise(Probability::of_pair(0.0, 0.2)),
            ..solo([0.4, 0.4, 0.2, 0.1])
        },
        "vicreg" => {
            let crop = Crop {
                scale: [0.2, 1.0],
                interpolation: Interpolation::Bicubic,
                ..Crop::default()
            };
            PolicyConfig {
                crop: Some(crop),
                solarise: solarise(0.1.into()),
                ..solo([0.4, 0.4, 0.2, 0.1])
            }
        }
        "authors" => PolicyConfig {
            crop: Some(Crop::default()),
            flip: Some(Flip::default()),
            jitter: Some(Jitter::default()),
            grey: Some(Grey::default()),
            blur: Some(Blur::default()),
            ..PolicyConfig::default()
        },
        _ => return None,
    })
}

impl fmt::Display for Policy {
    /// Writes the shortest form that loses nothing: letters, a preset's name, or TOML in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = letters(self.config());
        if letters.parse().is_ok_and(|policy: Policy| policy == *self) {
            return f.write_str(&letters);
        }
        match PRESETS.iter().find(|(name, _)| preset(name).as_ref() == Some(self.config())) {
            Some((name, _)) => f.write_str(name),
            None => toml::Value::try_from(self).map_err(|_| fmt::Error)?.fmt(f),
        }
    }
}

/// Writes the steps, the smallest area of the crop and the strength of the jitter. All other
/// parameters are lost.
fn letters(config: &PolicyConfig) -> String {
    let steps = [
        ('a', config.crop.is_some()),
        ('b', config.blur.is_some()),
        ('c', config.grey.is_some()),
        ('d', config.jitter.is_some()),
        ('e', config.flip.is_some()),
    ];
    if steps.iter().all(|(_, present)| !present) {
        return "none".to_owned();
    }
    let mut text = String::new();
    for (letter, _) in steps.into_iter().filter(|(_, present)| *present) {
        text.push(letter);
        if let ('a', Some(crop)) = (letter, config.crop)
            && crop.scale[0] != Crop::default().scale[0]
        {
            text += &crop.scale[0].to_string();
        }
        if let ('d', Some(jitter)) = (letter, config.jitter)
            && jitter.strength != Jitter::default().strength
        {
            text += &jitter.strength.to_string();
        }
    }
    text
}
