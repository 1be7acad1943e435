//! The names of published policies.

/// Names of published policies, each with a description.
///
/// All presets except `authors` are solo-learn's recipes for CIFAR (da Costa et al., JMLR 2022; its
/// `scripts/pretrain/cifar/augmentations`): bicubic crops, and blurs of 0.1 to 2 pixels for any
/// side of the view.
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

/// Lists the names alone, for errors.
pub(crate) fn names() -> String {
    PRESETS.map(|(name, _)| name).join(", ")
}
