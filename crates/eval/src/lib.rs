//! Embeddings and what they are worth: measures of a matrix of features.
//!
//! Every measure is a pure function of matrices with one image a row ([`Rows`]) and of labels:
//!
//! - [`knn`]: weighted nearest neighbours, the field's cheap accuracy;
//! - [`probe`]: multinomial logistic regression on frozen features;
//! - [`centre`]: class centres and the nearest-centre classifier of the theory;
//! - [`geometry`]: alignment, uniformity and effective rank, which need no labels;
//! - [`pca`]: two coordinates a row, for a map.
//!
//! Labels are `u32` below a number of classes. Results are deterministic: they depend neither on
//! the number of threads nor on their scheduling.

pub mod centre;
mod embed;
mod error;
mod evaluate;
mod features;
pub mod geometry;
pub mod knn;
mod labels;
mod lbfgs;
mod limits;
mod matrix;
pub mod pca;
pub mod probe;
mod rows;
#[cfg(test)]
mod testing;

pub use embed::embed;
pub use error::Error;
pub use evaluate::{Subject, evaluate, sample, shrink};
pub use features::{Features, Normalised, Pixels};
pub use labels::accuracy;
pub use limits::{MAX_CLASSES, MAX_DIM};
pub use rows::Rows;
