//! Policies by the name of the method that they were published with.

use crate::policy::{
    Blur, Crop, Flip, Grey, Interpolation, Jitter, PolicyConfig, Probability, Solarise,
};

/// The names that a policy may be written as, each with what it is.
///
/// All but `authors` are solo-learn's recipes for CIFAR (da Costa et al., JMLR 2022; its
/// `scripts/pretrain/cifar/augmentations`): bicubic crops, and blurs of 0.1 to 2 pixels whatever
/// the view's side.
pub const PRESETS: [(&str, &str); 6] = [
    ("simclr", "strong colour jitter, blur in one view of two"),
    ("mocov2", "as simclr with half the jitter"),
    ("byol", "weaker jitter, no blur, the second view solarised in one of five"),
    ("barlow_twins", "the same as byol"),
    (
        "vicreg",
        "crops of at least a fifth of the image, weaker jitter, either view solarised in one of \
         ten",
    ),
    ("authors", "the same as abcde: Huang et al. (ICLR 2023), after lightly 1.0"),
];

/// The names alone, for errors.
pub(crate) fn names() -> String {
    PRESETS.map(|(name, _)| name).join(", ")
}

/// The policy of a preset's name.
pub(crate) fn preset(name: &str) -> Option<PolicyConfig> {
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
