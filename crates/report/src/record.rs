//! The files of a run folder, as the stages write them and the page reads them.
//!
//! Accuracies and other shares are fractions of 1. Fields that a file lacks take their default and
//! fields that nobody knows are ignored, so that older and newer runs still open. JSON has no word
//! for a number that is none: it is written as `null` and read as NaN.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::sprite::Sprite;

/// Name of the file that holds a [`RunRecord`].
pub const RUN_FILE: &str = "run.json";
/// Name of the file that holds one [`MetricPoint`] a line.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// Name of the file that holds an [`Evaluation`].
pub const EVAL_FILE: &str = "eval.json";
/// Name of the file that holds an [`EmbeddingMap`].
pub const MAP_FILE: &str = "map.json";
/// Name of the file that holds a [`ViewSheet`].
pub const VIEWS_FILE: &str = "views.json";
/// Name of the page.
pub const PAGE_FILE: &str = "report.html";

/// What was asked for, on what machine and what data: enough to do it again. (`run.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// Version of selfsame.
    pub selfsame: String,
    /// Version of Burn.
    pub burn: String,
    /// Device that computed, for example `flex`.
    pub device: String,
    /// The machines that trained it, one unless it went on elsewhere.
    pub machines: Vec<String>,
    /// What activations were stored as, for example `bf16`.
    pub precision: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// When it started (RFC 3339).
    pub started: String,
    /// How long training took, in seconds, pauses left out.
    #[serde(deserialize_with = "null_is_nan")]
    pub seconds: f64,
    /// Whether training reached its last epoch.
    pub finished: bool,
    /// That the outputs collapsed, when, and what usually mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collapse: Option<String>,
    /// The images.
    pub dataset: DatasetRecord,
    /// The encoder.
    pub encoder: EncoderRecord,
    /// The method's name, for example `simclr`.
    pub method: String,
    /// The augmentation in short, for example `abcde`.
    pub augment: String,
    /// The augmentation in full, as TOML.
    pub policy: String,
    /// Epochs asked for.
    pub epochs: u64,
    /// Images a step, each seen in two views.
    pub batch: u64,
    /// Further settings as (name, value), shown in this order.
    pub protocol: Vec<(String, String)>,
}

/// The images of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DatasetRecord {
    /// Name, for example `glyphs` or the folder's.
    pub name: String,
    /// Class names, label 0 first; empty where there are no labels.
    pub classes: Vec<String>,
    /// Side of the square images, in pixels.
    pub image_size: u32,
    /// Images trained on.
    pub train: u64,
    /// Images held back for choices.
    pub validation: u64,
    /// Images held back for the final measurement.
    pub test: u64,
    /// Images left out, each with its cause.
    pub skipped: Vec<Skipped>,
    /// What else a reader should know, a sentence each.
    pub notes: Vec<String>,
    /// SHA-256 over labels and pixels of the three splits.
    pub digest: String,
}

/// An image left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Skipped {
    /// Where it lies.
    pub name: String,
    /// Why it was left out.
    pub cause: String,
}

/// The encoder of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EncoderRecord {
    /// Name, for example `resnet18`.
    pub name: String,
    /// Trained numbers in it, heads left out.
    pub parameters: u64,
    /// Length of its representation.
    pub dimension: u64,
}

/// How training stood at one step. (`metrics.jsonl`, one a line)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricPoint {
    /// Optimizer steps taken.
    pub step: u64,
    /// The same in epochs, with a fraction.
    #[serde(deserialize_with = "null_is_nan")]
    pub epoch: f64,
    /// The method's loss on this step's batch.
    #[serde(deserialize_with = "null_is_nan")]
    pub train_loss: f64,
    /// Learning rate of this step.
    #[serde(deserialize_with = "null_is_nan")]
    pub learning_rate: f64,
    /// Augmented images that went through the encoder in a second.
    #[serde(deserialize_with = "null_is_nan")]
    pub views_per_second: f64,
    /// kNN accuracy on the validation split, on the steps that measured it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_knn_acc1: Option<f64>,
    /// What else was watched, by name: `loss_…`, the parts of the loss, unweighted; `output_std`,
    /// the root of the total variance of the batch's normalised outputs; their `alignment`,
    /// `uniformity`, `rank_me`, `alpha_req` and `r_epsilon`; the `divergence` of the classes, on
    /// the steps that measured the kNN.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub watched: BTreeMap<String, f64>,
}

/// What the representation is worth on a split that training and choices never saw. (`eval.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    /// The split measured, `test` unless said otherwise.
    pub split: String,
    /// Classes in it.
    pub classes: u64,
    /// Images in it.
    pub images: u64,
    /// Steps of training that the measured weights had seen.
    pub step: Option<u64>,
    /// Share of its commonest class: what one gets for always naming that.
    pub majority: Option<f64>,
    /// The trained encoder; none without labels.
    pub test: Option<Scores>,
    /// The same encoder before training.
    pub untrained: Option<Scores>,
    /// Raw pixels in the encoder's place.
    pub pixels: Option<Scores>,
    /// Measures of the trained encoder that need no label.
    pub geometry: Option<Geometry>,
    /// The same before training.
    pub untrained_geometry: Option<Geometry>,
    /// What was left out and why, a sentence each.
    pub left_out: Vec<String>,
    /// Settings of the measures as (name, value), for example `("kNN neighbours", "200")`.
    pub protocol: Vec<(String, String)>,
}

/// Accuracies of one representation.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Scores {
    /// Weighted k nearest neighbours.
    #[serde(deserialize_with = "null_is_nan")]
    pub knn_acc1: f64,
    /// Linear probe.
    #[serde(deserialize_with = "null_is_nan")]
    pub linear_acc1: f64,
    /// Nearest class centre.
    #[serde(deserialize_with = "null_is_nan")]
    pub centre_acc1: f64,
}

/// Measures of a representation that need no label.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Geometry {
    /// Mean squared distance between two views of an image (Huang et al. 2023, L_align).
    pub alignment: Option<f64>,
    /// Images that it is the mean of, and views of each, the image itself among them.
    pub alignment_over: Option<[u64; 2]>,
    /// Logarithm of the mean Gaussian potential between images (Wang & Isola 2020).
    pub uniformity: Option<f64>,
    /// Effective number of dimensions (Garrido et al. 2023).
    pub rankme: Option<f64>,
    /// Images that the last two are of.
    pub images: Option<u64>,
}

/// Images as points of a plane, before and after training. (`map.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EmbeddingMap {
    /// How embeddings became points, for example `pca`.
    pub method: String,
    /// The split the images are from.
    pub split: String,
    /// The images, point for point.
    pub images: Vec<MapImage>,
    /// Where the trained encoder puts them.
    pub trained: Projection,
    /// Where the encoder put them before training.
    pub untrained: Option<Projection>,
    /// Thumbnails: tile i shows image i; images beyond the last tile have none.
    pub thumbs: Option<Sprite>,
}

/// An image of an [`EmbeddingMap`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MapImage {
    /// Its name, for example the path in the dataset.
    pub name: String,
    /// Its class, where it has a label.
    pub label: Option<u32>,
}

/// Points of a plane.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Projection {
    /// Share of the variance along the first and the second axis.
    #[serde(deserialize_with = "nulls_are_nan")]
    pub explained: [f64; 2],
    /// One point an image.
    #[serde(deserialize_with = "null_points_are_nan")]
    pub points: Vec<[f64; 2]>,
}

/// A few images with their augmented views. (`views.json`)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewSheet {
    /// Names of the images, row by row.
    #[serde(default)]
    pub names: Vec<String>,
    /// A row an image: the original in the first column, its views in the others.
    pub sheet: Sprite,
}

fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

fn nulls_are_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[f64; 2], D::Error> {
    let pair = <[Option<f64>; 2]>::deserialize(deserializer)?;
    Ok(pair.map(|value| value.unwrap_or(f64::NAN)))
}

fn null_points_are_nan<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<[f64; 2]>, D::Error> {
    let points = <Vec<[Option<f64>; 2]>>::deserialize(deserializer)?;
    Ok(points.into_iter().map(|point| point.map(|value| value.unwrap_or(f64::NAN))).collect())
}
