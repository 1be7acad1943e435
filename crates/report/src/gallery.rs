//! What the page of `selfsame views` shows.

use crate::Sprite;

/// A few images and, policy by policy, views of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gallery {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word, that makes the same page again.
    pub command: Vec<String>,
    /// Name of the data set.
    pub dataset: String,
    /// Seed of the views.
    pub seed: u64,
    /// Side of the views in pixels, before they are brought to the size of their pictures.
    pub side: u32,
    /// The images.
    pub images: Vec<Original>,
    /// The policies compared, each with views of the same images under the same keys.
    pub policies: Vec<PolicyViews>,
}

/// An image before anything is done to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Original {
    /// Its name in the data set.
    pub name: String,
    /// Its class, where it has one.
    pub class: Option<String>,
    /// The image, the only tile.
    pub picture: Sprite,
}

/// A policy and the views it gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PolicyViews {
    /// What it is called: letters, a preset's name, a file.
    pub name: String,
    /// It in full, as TOML.
    pub toml: String,
    /// What it does, step by step.
    pub steps: Vec<Step>,
    /// The views of each image, in the order of [`Gallery::images`].
    pub views: Vec<Vec<View>>,
}

/// A step of a policy, for someone who has never seen one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// Its name, for example `crop`.
    pub name: String,
    /// What it does.
    pub effect: String,
    /// How likely it is for the first and for the second view of a pair.
    pub probability: [f64; 2],
    /// The range that its parameters are drawn from; empty if it has none.
    pub range: String,
}

/// A view with what chance drew for it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The view, the only tile.
    pub picture: Sprite,
    /// The part of the image that it shows: left, top, width and height as shares of the image's.
    /// None for all of it.
    pub part: Option<[f64; 4]>,
    /// What was done, in order, in a few words each.
    pub changes: Vec<String>,
}
