//! What an encoder says of single images: which are alike, which labels are likely wrong, which are
//! copies, and what groups there are.

use serde::{Deserialize, Serialize};

use crate::Sprite;

pub mod words;

/// Name of the file that holds a [`Look`].
pub const LOOK_FILE: &str = "look.json";
/// Name of the file that holds [`Neighbours`].
pub const NEIGHBOURS_FILE: &str = "neighbours.json";
/// Name of the file that holds a list of [`Suspect`]s.
pub const SUSPECTS_FILE: &str = "suspects.json";
/// Name of the table that holds the cluster of each image.
pub const CLUSTERS_FILE: &str = "clusters.csv";

/// An image of the run's data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Pictured {
    /// Name of the image.
    pub name: String,
    /// Its split: `train`, `validation` or `test`.
    pub split: String,
    /// Its class. `None` without labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Its tile among the record's pictures. `None` if the page does not show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tile: Option<usize>,
}

/// An image that is like another one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Neighbour {
    /// The image.
    pub image: Pictured,
    /// One minus the cosine of the features of the two: 0 if they point the same way.
    pub distance: f64,
}

/// An image with those most like it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Neighbourhood {
    /// The image.
    pub image: Pictured,
    /// The images most like it among all others of the three splits, the nearest first.
    pub nearest: Vec<Neighbour>,
}

/// The nearest neighbours of a few images. (`neighbours.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Neighbours {
    /// Number of training steps that produced the encoder.
    pub step: u64,
    /// Names that were asked for. Empty if the images were chosen: a few of each class.
    pub asked: Vec<String>,
    /// Number of images that were searched.
    pub searched: u64,
    /// The images with their neighbours.
    pub images: Vec<Neighbourhood>,
    /// The pictures of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Sprite>,
}

/// An image whose label is likely wrong. (`suspects.json` lists them)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Suspect {
    /// Name of the image.
    pub image: String,
    /// Its split.
    pub split: String,
    /// Its label.
    pub label: String,
    /// The class that it more likely belongs to.
    pub likely: String,
    /// Probability that the label is wrong, as a probe fitted to other images sees it.
    pub probability: f64,
}

/// What an encoder says of the images that it was trained and measured on. (`look.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Look {
    /// Number of training steps that produced the encoder.
    pub step: u64,
    /// Number of images that were looked at.
    pub images: u64,
    /// Number of images of the three splits. Above the limit, a sample was looked at.
    pub out_of: u64,
    /// Labels that are likely wrong. `None` if labels cannot be judged: without labels, or without
    /// two classes of five images.
    pub labels: Option<Labels>,
    /// Images that are nearly the same.
    pub twins: Twins,
    /// Groups of images. `None` if there are too few images.
    pub clusters: Option<Clusters>,
    /// The pictures of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Sprite>,
}

/// What is to say of the labels of images.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Labels {
    /// Number of images whose label was judged.
    pub judged: u64,
    /// Number of images whose label is likely wrong.
    pub suspects: u64,
    /// Share of the judged images that the probe puts into the class of their label.
    pub accuracy: f64,
    /// Number of folds of the probe.
    pub folds: u64,
    /// Regularisation strength λ of the probe.
    pub lambda: f64,
    /// The suspects that the page shows, the likeliest first.
    pub shown: Vec<ShownSuspect>,
}

/// A suspect with the images most like it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShownSuspect {
    /// The image and those most like it.
    #[serde(flatten)]
    pub neighbourhood: Neighbourhood,
    /// The class that it more likely belongs to.
    pub likely: String,
    /// Probability that the label is wrong.
    pub probability: f64,
}

/// Images that are nearly the same.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Twins {
    /// Number of pairs with different splits.
    pub across: u64,
    /// Number of pairs within a split.
    pub within: u64,
    /// Largest closeness of twins of the middle image.
    pub threshold: f64,
    /// The closest pairs, those with equal pixels first.
    pub pairs: Vec<Twin>,
}

/// Two images that are nearly the same.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Twin {
    /// The two images.
    pub images: [Pictured; 2],
    /// Whether their pixels, as the encoder sees them, are equal.
    pub equal: bool,
    /// Distance in units of the distance of an unrelated image: 0 for copies.
    pub closeness: f64,
    /// One minus the cosine of their features.
    pub distance: f64,
}

/// Groups of images that lie closely together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Clusters {
    /// The clusters, the largest first.
    pub clusters: Vec<Cluster>,
    /// Number of images between clusters.
    pub between: u64,
    /// Number of images that were clustered. Every other image has the cluster of the one most like
    /// it.
    pub sampled: u64,
    /// Smallest number of images of a cluster.
    pub smallest: u64,
    /// Number of principal components that were clustered.
    pub components: u64,
    /// Share of the variance along them.
    pub explained: f64,
    /// Adjusted Rand index of clusters and labels over the images in clusters: 1 if they agree, 0
    /// by chance. `None` without labels.
    pub agreement: Option<f64>,
}

/// A group of images.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cluster {
    /// Number of images.
    pub images: u64,
    /// The labels of its images, each with its number of images, the commonest first.
    pub labels: Vec<(String, u64)>,
    /// The images nearest to its middle.
    pub typical: Vec<Pictured>,
}
