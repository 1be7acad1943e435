//! Content of the page of `selfsame views`.

use crate::Sprite;
use crate::record::Skipped;

/// A few images and their views, policy by policy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gallery {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word, that reproduces the page.
    pub command: Vec<String>,
    /// Name of the data set.
    pub dataset: String,
    /// Seed of the views.
    pub seed: u64,
    /// Side of the views in pixels, before they are scaled to the size of their pictures.
    pub side: u32,
    /// Folders of classes or splits that have lost all of their images.
    pub lost: Vec<Skipped>,
    /// Remarks about the data set.
    pub notes: Vec<String>,
    /// The images.
    pub images: Vec<Original>,
    /// The policies compared. Each has views of the same images under the same keys.
    pub policies: Vec<PolicyViews>,
}

/// An image before augmentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Original {
    /// Name of the image in the data set.
    pub name: String,
    /// Class of the image. `None` without labels.
    pub class: Option<String>,
    /// The image, as the only tile, stretched to a square.
    pub picture: Sprite,
    /// Width and height of the image in pixels, to which the page stretches the picture back.
    pub sides: [u32; 2],
}

/// A policy and the views that it produces.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PolicyViews {
    /// Name of the policy: its letters, a preset's name, or a file.
    pub name: String,
    /// The full policy as TOML.
    pub toml: String,
    /// Steps of the policy, in order.
    pub steps: Vec<Step>,
    /// The views of each image, in the order of [`Gallery::images`].
    pub views: Vec<Vec<View>>,
}

/// A step of a policy, described for readers who do not know it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// Name of the step, for example `crop`.
    pub name: String,
    /// Effect of the step.
    pub effect: String,
    /// Probabilities of the step for the first and the second view of a pair.
    pub probability: [f64; 2],
    /// Range that the step's parameters are drawn from. Empty if the step has no parameters.
    pub range: String,
}

/// A view, with the random parameters that produced it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The view, as the only tile.
    pub picture: Sprite,
    /// The part of the image that the view shows: left, top, width and height as fractions of the
    /// image's. `None` for its centre square.
    pub part: Option<[f64; 4]>,
    /// Changes made to the image, in order, in a few words each.
    pub changes: Vec<String>,
}
