//! The files of a run folder: the stages write them and the page reads them.
//!
//! Accuracies and other proportions are fractions of 1. Fields that a file lacks take their default
//! and unknown fields are ignored, so that older and newer runs still open. JSON cannot represent
//! NaN: it is written as `null`, and `null` is read as NaN.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::format::count;
use crate::sprite::Sprite;

/// Name in the protocol of a run that was trained on after its end.
pub const PROLONGED: &str = "Prolonged";
/// Name of the file that holds a [`RunRecord`].
pub const RUN_FILE: &str = "run.json";
/// Name of the file that holds one [`MetricPoint`] per line.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// Name of the file that holds an [`Evaluation`].
pub const EVAL_FILE: &str = "eval.json";
/// Name of the file that holds an [`EmbeddingMap`].
pub const MAP_FILE: &str = "map.json";
/// Name of the file that holds a [`ViewSheet`].
pub const VIEWS_FILE: &str = "views.json";
/// Name of the page of a run.
pub const PAGE_FILE: &str = "report.html";

/// The configuration of a run, its machine and its data: enough to repeat the run. (`run.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunRecord {
    /// Version of selfsame.
    pub selfsame: String,
    /// Version of Burn.
    pub burn: String,
    /// Device that computed, for example `flex`.
    pub device: String,
    /// The machines that trained the run. There are several if training continued on another
    /// machine.
    pub machines: Vec<String>,
    /// Data type of the stored activations, for example `bf16`.
    pub precision: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// Start of the run (RFC 3339).
    pub started: String,
    /// Seconds of training, without pauses.
    #[serde(deserialize_with = "null_is_nan")]
    pub seconds: f64,
    /// Whether training reached its last epoch.
    pub finished: bool,
    /// A notice that the outputs collapsed: when, and what usually helps. `None` if they did not.
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
    /// Number of epochs configured.
    pub epochs: u64,
    /// Number of images per step. Each is seen in two views.
    pub batch: u64,
    /// Further settings as (name, value) pairs, in the order in which they are shown.
    pub protocol: Vec<(String, String)>,
}

impl RunRecord {
    /// Returns whether no run made the encoder: it came from a file of weights, and was measured
    /// only.
    pub fn is_from_elsewhere(&self) -> bool {
        self.method.is_empty() && !self.encoder.name.is_empty()
    }
}

/// The images of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DatasetRecord {
    /// Name, for example `glyphs` or the name of the folder.
    pub name: String,
    /// Class names, in the order of the labels. Empty if there are no labels.
    pub classes: Vec<String>,
    /// Side of the square images, in pixels.
    pub image_size: u32,
    /// Largest shorter side of the sources that crops are drawn from, in pixels. `None` if crops
    /// are drawn from the images themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_size: Option<u32>,
    /// Number of images that training uses.
    pub train: u64,
    /// Number of images held back for choosing settings.
    pub validation: u64,
    /// Number of images held back for the final measurement.
    pub test: u64,
    /// Images that were left out, each with the cause.
    pub skipped: Vec<Skipped>,
    /// Folders of classes or splits of which no image is used, each with what it holds instead.
    pub lost: Vec<Skipped>,
    /// Files that are not read because their names are not those of images.
    pub left_alone: Vec<LeftAlone>,
    /// Further remarks for the reader, one sentence each.
    pub notes: Vec<String>,
    /// SHA-256 over labels and pixels of the three splits.
    pub digest: String,
}

/// Files of one ending in one folder that are not read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftAlone {
    /// Ending in lower case, without its dot. Empty if the files have none.
    pub ending: String,
    /// Folder within the set. Empty for the top of the set.
    pub folder: String,
    /// Number of files.
    pub count: u64,
    /// Name of one of the files.
    pub example: String,
}

/// An image or a folder that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Skipped {
    /// Location of the image or folder.
    pub name: String,
    /// Reason why it was left out.
    pub cause: String,
}

/// The encoder of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EncoderRecord {
    /// Name, for example `resnet18`.
    pub name: String,
    /// Number of channels of the first stage, or of units of a hidden layer. 0 in records of earlier
    /// versions.
    pub width: u64,
    /// Number of trained parameters, heads not included.
    pub parameters: u64,
    /// Length of the representation.
    pub dimension: u64,
}

impl EncoderRecord {
    /// Describes the encoder by its name, its width and the number of its parameters.
    ///
    /// ```
    /// use selfsame_report::record::EncoderRecord;
    ///
    /// let (name, dimension) = ("resnet18".to_owned(), 128);
    /// let encoder = EncoderRecord { name, width: 16, parameters: 699_648, dimension };
    /// assert_eq!(encoder.words(), "resnet18, width 16, 0.7 M");
    /// ```
    pub fn words(&self) -> String {
        let width = if self.width > 0 { format!(", width {}", self.width) } else { String::new() };
        let millions = self.parameters as f64 / 1e6;
        let size = match self.parameters {
            0 => String::new(),
            1..50_000 => format!(", {} parameters", count(self.parameters)),
            50_000..9_950_000 => format!(", {millions:.1} M"),
            _ => format!(", {millions:.0} M"),
        };
        format!("{}{width}{size}", self.name)
    }
}

/// The state of training at one step. (`metrics.jsonl`, one per line)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricPoint {
    /// Number of optimizer steps taken.
    pub step: u64,
    /// Number of epochs completed, with a fraction.
    #[serde(deserialize_with = "null_is_nan")]
    pub epoch: f64,
    /// The method's loss on this step's batch.
    #[serde(deserialize_with = "null_is_nan")]
    pub train_loss: f64,
    /// Learning rate of this step.
    #[serde(deserialize_with = "null_is_nan")]
    pub learning_rate: f64,
    /// Number of augmented images that went through the encoder per second.
    #[serde(deserialize_with = "null_is_nan")]
    pub views_per_second: f64,
    /// kNN accuracy on the validation split. Only some steps measure it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_knn_acc1: Option<f64>,
    /// Further measures, by name: `loss_…`, the unweighted parts of the loss; `output_std`, the
    /// root of the total variance of the batch's normalised outputs; their `alignment`,
    /// `uniformity`, `rank_me`, `alpha_req` and `r_epsilon`; the `divergence` of the classes, on
    /// the steps that measured the kNN.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub watched: BTreeMap<String, f64>,
}

/// What is measured: an encoder, or a baseline in its place. As text, and as a key in JSON, it is
/// `trained`, `untrained`, `patches`, `pixels` or `against:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Representation {
    /// The encoder that the evaluation is about.
    Trained,
    /// The same encoder before training.
    Untrained,
    /// Whitened patches of training images, a feature map without training (Coates and Ng 2011).
    Patches,
    /// Raw pixels.
    Pixels,
    /// Another encoder, by its name.
    Against(String),
}

/// The quality of the representation on a split that neither training nor choices used.
/// (`eval.json`)
///
/// [`read_evaluation`](crate::read_evaluation) checks what it reads.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    /// The split that was measured; `test` by default.
    pub split: String,
    /// Number of classes in the split.
    pub classes: u64,
    /// Number of images in the split.
    pub images: u64,
    /// Number of training steps that produced the measured weights.
    pub step: Option<u64>,
    /// What the accuracies say. `None` without accuracies.
    pub verdict: Option<Verdict>,
    /// Accuracies over the images whose class has a training image. `None` without labels.
    pub accuracies: Option<Accuracies>,
    /// Number of these images with the pixels of a training or validation image.
    pub known: u64,
    /// The accuracies without these copies. `None` if there are no copies or nothing but copies.
    pub without_copies: Option<Accuracies>,
    /// Number of training steps from which runs usually mean something, if this run had fewer.
    pub too_short: Option<u64>,
    /// The same kNN on the validation images.
    pub validation: Option<OnValidation>,
    /// Accuracies of the trained encoder for each class with test images.
    pub per_class: Vec<ClassAccuracy>,
    /// Names of the classes, in the order of the labels.
    pub class_names: Vec<String>,
    /// For each class, how many of its test images the trained encoder's nearest neighbours take
    /// for each class, in the order of the labels. Empty for more than 100 classes.
    pub confusion: Vec<Vec<u64>>,
    /// Linear probes with a share of the labels.
    pub few_labels: Vec<FewLabels>,
    /// Images with the same pixels, for each pair of splits and within each split. A pair without
    /// copies is not listed.
    pub copies: Vec<Copies>,
    /// Classes that have no training image, with their images in the other splits.
    pub unseen: Vec<Unseen>,
    /// Measures that need no labels, of each encoder.
    pub geometry: BTreeMap<Representation, Geometry>,
    /// Parts that were left out and why.
    pub left_out: Vec<LeftOut>,
    /// Largest shorter side of the sources that the crops of views were drawn from, in pixels.
    /// Everything else measures the images themselves. `None` if they are their own sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_size: Option<u32>,
    /// Settings of the measures as (name, value) pairs, for example `("Nearest centre", "…")`.
    pub protocol: Vec<(String, String)>,
}

/// Images of one split whose pixels, as the encoder sees them, equal those of an image in another
/// split or of an earlier image in the same split.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Copies {
    /// The split of the copies.
    pub split: String,
    /// The split of the originals. Equal to `split` if images are repeated within it.
    pub of: String,
    /// Number of copies.
    pub images: u64,
    /// Number of images in the split of the copies.
    pub out_of: u64,
    /// Number of copies with a label that none of their originals has.
    pub relabelled: u64,
}

/// A class without a training image, and its images in another split.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Unseen {
    /// Name of the class.
    pub class: String,
    /// The split of the images.
    pub split: String,
    /// Number of images of the class in the split.
    pub images: u64,
}

/// The reason why accuracies were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum LeftOut {
    /// The split has no image.
    NoImages,
    /// The images have no labels.
    NoLabels,
    /// There is a single class.
    SingleClass,
    /// There are no training images.
    NothingToFit,
    /// All training images are of one class.
    SingleTrainedClass,
    /// No image of the split is of a class with a training image.
    OnlyUnseen,
}

/// What the accuracies of an evaluation say. If some of the images are copies of training or
/// validation images, it is about the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// All images are copies of training or validation images, so nothing is said of new images.
    OnlyCopies,
    /// No accuracy of any representation is clearly above the share of the commonest class: nothing
    /// shows that the labels can be told from the images.
    NothingTold,
    /// The kNN accuracy of the trained encoder is not clearly above the share of the commonest
    /// class, but another accuracy is.
    AtMajority,
    /// No baseline was measured.
    NoBaseline,
    /// The kNN accuracy of the trained encoder is not above that of a baseline.
    Behind {
        /// The best baseline.
        of: Representation,
    },
    /// The kNN accuracy of the trained encoder is above those of all baselines.
    Ahead {
        /// The best baseline.
        of: Representation,
        /// Whether the 95 % intervals do not overlap.
        clear: bool,
    },
}

/// Accuracies over some images of a split.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Accuracies {
    /// Number of images.
    pub images: u64,
    /// Proportion of the commonest class: the accuracy of always predicting that class.
    pub majority: Option<f64>,
    /// Accuracies of each representation.
    pub of: BTreeMap<Representation, Scores>,
}

/// Accuracies of one representation, and the settings that they were measured with.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Scores {
    /// Weighted k nearest neighbours.
    #[serde(deserialize_with = "null_is_nan")]
    pub knn_acc1: f64,
    /// Mean of the kNN accuracies of the classes.
    pub knn_macro_acc1: Option<f64>,
    /// Number of neighbours that voted.
    pub knn_k: Option<u64>,
    /// Linear probe.
    #[serde(deserialize_with = "null_is_nan")]
    pub linear_acc1: f64,
    /// Mean of the probe's accuracies of the classes.
    pub linear_macro_acc1: Option<f64>,
    /// Strength λ of the probe's L2 penalty.
    pub linear_penalty: Option<f64>,
    /// Nearest class centre.
    #[serde(deserialize_with = "null_is_nan")]
    pub centre_acc1: f64,
}

/// The accuracies of a trained encoder on the test images of one class.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassAccuracy {
    /// Name of the class.
    pub class: String,
    /// Number of images.
    pub images: u64,
    /// Weighted k nearest neighbours.
    #[serde(deserialize_with = "null_is_nan")]
    pub knn_acc1: f64,
    /// Linear probe.
    #[serde(deserialize_with = "null_is_nan")]
    pub linear_acc1: f64,
}

/// Accuracies of linear probes that are fitted with a share of the labels.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FewLabels {
    /// Share of the labels, as a fraction of 1.
    pub share: f64,
    /// Number of images with these labels, at least one of each class.
    pub images: u64,
    /// Accuracy on the images that the other accuracies are over, of each representation.
    pub linear_acc1: BTreeMap<Representation, f64>,
}

/// The kNN accuracy of a trained encoder on the validation images, with the training images for
/// neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OnValidation {
    /// Number of images.
    pub images: u64,
    /// Weighted k nearest neighbours.
    #[serde(deserialize_with = "null_is_nan")]
    pub knn_acc1: f64,
}

/// Measures of a representation that need no labels.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Geometry {
    /// Mean squared distance between two views of an image (Huang et al. 2023, L_align).
    pub alignment: Option<f64>,
    /// Number of images that the alignment is averaged over, and number of views per image, the
    /// image itself included.
    pub alignment_over: Option<[u64; 2]>,
    /// Logarithm of the mean Gaussian potential between images (Wang & Isola 2020).
    pub uniformity: Option<f64>,
    /// Effective number of dimensions (Garrido et al. 2023).
    pub rankme: Option<f64>,
    /// Number of images that `uniformity` and `rankme` are computed from.
    pub images: Option<u64>,
}

/// Images as points of a plane, before and after training. (`map.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EmbeddingMap {
    /// Method that turned embeddings into points, for example `pca`.
    pub method: String,
    /// The split that the images come from.
    pub split: String,
    /// The images, in the order of the points.
    pub images: Vec<MapImage>,
    /// Points of the trained encoder.
    pub trained: Projection,
    /// Points of the encoder before training.
    pub untrained: Option<Projection>,
    /// The same images placed by t-SNE. `None` if they are too few, or all alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tsne: Option<TsneMap>,
    /// Thumbnails: tile i shows image i. Images beyond the last tile have no thumbnail.
    pub thumbs: Option<Sprite>,
}

/// An image of an [`EmbeddingMap`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MapImage {
    /// Name of the image, for example its path in the dataset.
    pub name: String,
    /// Class of the image. `None` without labels.
    pub label: Option<u32>,
}

/// Points of a plane.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Projection {
    /// Proportions of the variance along the first and the second axis.
    #[serde(deserialize_with = "nulls_are_nan")]
    pub explained: [f64; 2],
    /// Points, one per image.
    #[serde(deserialize_with = "null_points_are_nan")]
    pub points: Vec<[f64; 2]>,
}

/// Points of a plane, placed by t-SNE (van der Maaten and Hinton 2008). Near points are alike; the
/// distances between far points mean nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TsneMap {
    /// Perplexity: about the number of neighbours that each image keeps.
    #[serde(deserialize_with = "null_is_nan")]
    pub perplexity: f64,
    /// Points of the trained encoder, one per image.
    #[serde(deserialize_with = "null_points_are_nan")]
    pub trained: Vec<[f64; 2]>,
    /// Points of the encoder before training, one per image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrained: Option<Vec<[f64; 2]>>,
}

/// A few images with their augmented views. (`views.json`)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewSheet {
    /// Names of the images, one per row.
    #[serde(default)]
    pub names: Vec<String>,
    /// One row per image: the original in the first column, its views in the others.
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
