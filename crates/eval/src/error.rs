use thiserror::Error;

use crate::limits::{MAX_CLASSES, MAX_DIM};

/// What can be wrong with the matrices, labels and settings given to a measure.
///
/// `set` names the matrix meant: `train`, `validation`, `queries`, `views` or `rows`.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    /// Rows without columns.
    #[error("features need at least one value a row, but the dimension is 0")]
    ZeroDim,
    /// The values are not `rows` × `dim`.
    #[error("{rows} rows of {dim} values are not the {values} values given")]
    Shape {
        /// Rows announced.
        rows: usize,
        /// Values a row announced.
        dim: usize,
        /// Values given.
        values: usize,
    },
    /// A row whose length differs from the first.
    #[error("row {row} holds {values} values, the rows before it {dim}")]
    RowLength {
        /// The row, from 0.
        row: usize,
        /// Its number of values.
        values: usize,
        /// The number of values of row 0.
        dim: usize,
    },
    /// A NaN or an infinity.
    #[error("row {row} holds {value} in column {column}: every feature must be a finite number")]
    NotFinite {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// What stands there.
        value: f32,
    },
    /// Two matrices, or a matrix and a fitted model, that do not belong together.
    #[error("the {set} rows hold {found} values, but {expected} were expected")]
    Dim {
        /// Which rows.
        set: &'static str,
        /// Their dimension.
        found: usize,
        /// The dimension they are measured against.
        expected: usize,
    },
    /// Not one label (weight, prediction) a row.
    #[error("{rows} {set} rows came with {given} {of}: there must be one a row")]
    Count {
        /// Which rows.
        set: &'static str,
        /// What was counted: `labels`, `weights` or `predictions`.
        of: &'static str,
        /// The number of rows.
        rows: usize,
        /// The number given.
        given: usize,
    },
    /// A label outside `0..classes`.
    #[error("{set} row {row} has label {label}, but the labels of {classes} classes end at \
             {}", classes - 1)]
    Label {
        /// Which rows.
        set: &'static str,
        /// The row, from 0.
        row: usize,
        /// Its label.
        label: u32,
        /// The number of classes, at least 1.
        classes: usize,
    },
    /// A number of classes that is zero or beyond [`MAX_CLASSES`].
    #[error("the number of classes must lie between 1 and {}, not {classes}", MAX_CLASSES)]
    Classes {
        /// The number given.
        classes: usize,
    },
    /// Too few rows for the measure to mean anything.
    #[error("{found} {set} rows are too few: at least {needed} needed")]
    TooFewRows {
        /// Which rows.
        set: &'static str,
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// Rows that are not whole groups of views.
    #[error("{rows} view rows are not whole groups of {views_per_image} views an image")]
    Views {
        /// The number of rows.
        rows: usize,
        /// Views an image asked for.
        views_per_image: usize,
    },
    /// A weight that is not a positive finite number.
    #[error("row {row} has weight {weight}: weights must be positive and finite")]
    Weight {
        /// The row, from 0.
        row: usize,
        /// Its weight.
        weight: f64,
    },
    /// No neighbour to ask.
    #[error("kNN needs at least one neighbour, but k is 0")]
    Neighbours,
    /// A temperature that is not a positive finite number.
    #[error("the kNN temperature must be positive and finite, not {0}")]
    Temperature(f64),
    /// A covariance matrix larger than this crate decomposes.
    #[error(
        "{dim} values a row are too many for an eigendecomposition, which takes at most {}",
        MAX_DIM
    )]
    TooWide {
        /// The dimension.
        dim: usize,
    },
    /// What the theory does not measure.
    #[error(transparent)]
    Theory(#[from] selfsame_theory::Error),
    /// The eigenvalue iteration failed on a finite matrix, which is not expected to happen.
    #[error("the eigenvalue iteration did not converge on a {dim} × {dim} matrix")]
    Eigen {
        /// The dimension.
        dim: usize,
    },
}
