use thiserror::Error;

use crate::limits::{MAX_CLASSES, MAX_DIM};

/// Errors in the matrices, labels and settings that are given to a measure.
///
/// `set` names the matrix: `train`, `validation`, `queries`, `views` or `rows`.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    /// The rows have no columns.
    #[error("features need at least one value a row, but the dimension is 0")]
    ZeroDim,
    /// The number of values is not `rows` × `dim`.
    #[error("{rows} rows of {dim} values are not the {values} values given")]
    Shape {
        /// Expected number of rows.
        rows: usize,
        /// Expected number of values per row.
        dim: usize,
        /// Number of values given.
        values: usize,
    },
    /// The length of a row differs from that of the first row, or from that of images of the size
    /// that is asked for.
    #[error("row {row} holds {values} values, not {dim}")]
    RowLength {
        /// The row, from 0.
        row: usize,
        /// Number of values in the row.
        values: usize,
        /// Number of values that it should hold.
        dim: usize,
    },
    /// Images are too small for patches.
    #[error("images of {side} × {side} pixels are too small: patches need at least {least}")]
    Side {
        /// Side of the images, in pixels.
        side: usize,
        /// The smallest side, in pixels.
        least: usize,
    },
    /// A value is infinite or not a number.
    #[error("row {row} holds {value} in column {column}: every feature must be a finite number")]
    NotFinite {
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// Two matrices, or a matrix and a fitted model, have different dimensions.
    #[error("the {set} rows hold {found} values, but {expected} were expected")]
    Dim {
        /// Name of the matrix.
        set: &'static str,
        /// Dimension of its rows.
        found: usize,
        /// Expected dimension.
        expected: usize,
    },
    /// The number of labels or predictions differs from the number of rows.
    #[error("{rows} {set} rows came with {given} {of}: there must be one a row")]
    Count {
        /// Name of the matrix.
        set: &'static str,
        /// The values that were counted: `labels` or `predictions`.
        of: &'static str,
        /// The number of rows.
        rows: usize,
        /// Number of these values.
        given: usize,
    },
    /// A label lies outside `0..classes`.
    #[error("{set} row {row} has label {label}, but the labels of {classes} classes end at \
             {}", classes - 1)]
    Label {
        /// Name of the matrix.
        set: &'static str,
        /// The row, from 0.
        row: usize,
        /// Label of the row.
        label: u32,
        /// The number of classes, at least 1.
        classes: usize,
    },
    /// The number of classes is zero or above [`MAX_CLASSES`].
    #[error("the number of classes must lie between 1 and {}, not {classes}", MAX_CLASSES)]
    Classes {
        /// Number of classes given.
        classes: usize,
    },
    /// There are too few rows for the measure.
    #[error("{found} {set} rows are too few: at least {needed} needed")]
    TooFewRows {
        /// Name of the matrix.
        set: &'static str,
        /// Number of rows.
        found: usize,
        /// Number of rows needed.
        needed: usize,
    },
    /// The number of rows is not a multiple of the number of views.
    #[error("{rows} view rows are not whole groups of {views_per_image} views an image")]
    Views {
        /// The number of rows.
        rows: usize,
        /// Number of views per image.
        views_per_image: usize,
    },
    /// k is 0.
    #[error("kNN needs at least one neighbour, but k is 0")]
    Neighbours,
    /// The temperature is not a positive finite number.
    #[error("the kNN temperature must be positive and finite, not {0}")]
    Temperature(f64),
    /// A row has more values than an eigendecomposition takes.
    #[error(
        "{dim} values a row are too many for an eigendecomposition, which takes at most {}",
        MAX_DIM
    )]
    TooWide {
        /// The dimension.
        dim: usize,
    },
    /// A measure of the theory failed.
    #[error(transparent)]
    Theory(#[from] selfsame_theory::Error),
    /// The eigenvalue iteration failed on a finite matrix, which is not expected to happen.
    #[error("the eigenvalue iteration did not converge on a {dim} × {dim} matrix")]
    Eigen {
        /// The dimension.
        dim: usize,
    },
}
