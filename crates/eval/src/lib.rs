//! Measures of embeddings.
//!
//! Every measure is a pure function of labels and of matrices with one row per image ([`Rows`]):
//!
//! - [`knn`]: accuracy of weighted nearest neighbours, which needs no training;
//! - [`probe`]: multinomial logistic regression on frozen features;
//! - [`centre`]: class centres and the nearest-centre classifier of the theory;
//! - [`geometry`]: alignment, uniformity and effective rank, which need no labels;
//! - [`Patches`]: features of images without training, a baseline for encoders;
//! - [`suspects`]: images whose labels are likely wrong;
//! - [`twins`]: images whose features are nearly the same;
//! - [`clusters`]: groups of rows that lie closely together;
//! - [`pca`], [`tsne`]: two coordinates per row, for a map.
//!
//! Settings such as k and the probe's penalty are chosen by [`Trials`], on held-out rows or by
//! cross-validation.
//!
//! Labels are `u32` below the number of classes. Results are deterministic: they depend neither on
//! the number of threads nor on their scheduling.

pub mod centre;
pub mod clusters;
mod copies;
mod embed;
mod error;
mod evaluate;
mod features;
pub mod geometry;
mod ground;
mod images;
pub mod knn;
mod labels;
mod lbfgs;
mod limits;
mod map;
mod matrix;
mod patches;
pub mod pca;
pub mod probe;
mod rows;
pub mod suspects;
#[cfg(test)]
mod testing;
mod trials;
pub mod tsne;
pub mod twins;

pub use copies::{Copied, copies, equal_images};
pub use embed::embed;
pub use error::Error;
pub use evaluate::{Evaluated, Status, Subject, evaluate};
pub use features::{Features, Normalised, Pixels};
pub use images::{sample, shrink};
pub use labels::accuracy;
pub use limits::{MAX_CLASSES, MAX_DIM};
pub use patches::Patches;
pub use rows::Rows;
pub use trials::{Part, Trials};
