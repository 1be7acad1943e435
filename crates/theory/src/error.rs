use thiserror::Error;

/// Errors of embeddings, labels and quantities that are given to a measure or a bound.
///
/// Rows, columns, images and classes are counted from 0. If images have M views, row `i·M + v` is
/// view v of image i.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    /// There are no images, no views, or no columns.
    #[error(
        "{images} images of {views} views of {dim} values hold nothing: each number must be at \
         least 1"
    )]
    Empty {
        /// Number of images declared.
        images: usize,
        /// Number of views per image declared.
        views: usize,
        /// Number of values per row declared.
        dim: usize,
    },
    /// The number of values is not `images` × `views` × `dim`.
    #[error("{images} images of {views} views of {dim} values are not the {values} values given")]
    Shape {
        /// Number of images declared.
        images: usize,
        /// Number of views per image declared.
        views: usize,
        /// Number of values per row declared.
        dim: usize,
        /// Number of values given.
        values: usize,
    },
    /// A value is NaN or infinite, or its square would be infinite.
    #[error(
        "row {row} (view {view} of image {image}) holds {value} in column {column}: embeddings \
         must be finite numbers below 1e100 in magnitude"
    )]
    NotFinite {
        /// The row.
        row: usize,
        /// The image that the view belongs to.
        image: usize,
        /// Number of the view.
        view: usize,
        /// The column.
        column: usize,
        /// The value at that position.
        value: f64,
    },
    /// A row consists of zeros, so it has no direction.
    #[error(
        "row {row} is zero and cannot be scaled to the sphere: look for a dead encoder or an \
         empty image"
    )]
    ZeroRow {
        /// The row.
        row: usize,
    },
    /// A coordinate is the same in every row, so it cannot be scaled to second moment 1.
    #[error(
        "column {column} is {value} in every row and cannot be standardised: drop it or look for \
         a collapse"
    )]
    ConstantColumn {
        /// The column.
        column: usize,
        /// Its value.
        value: f64,
    },
    /// Every row equals the first.
    #[error("all {rows} rows equal row 0: the encoder has collapsed to a point")]
    Constant {
        /// Number of rows.
        rows: usize,
    },
    /// A measure for the sphere or for standardised coordinates was given other rows.
    #[error("this is defined for {needed} embeddings: call `{call}` first")]
    Form {
        /// The required form.
        needed: &'static str,
        /// The method that produces this form.
        call: &'static str,
    },
    /// The number of entries is wrong.
    #[error("{given} {what} were given, but {expected} are needed")]
    Count {
        /// Name of the entries.
        what: &'static str,
        /// Number of entries given.
        given: usize,
        /// Number of entries needed.
        expected: usize,
    },
    /// A label is outside `0..classes`.
    #[error("image {image} has label {label}, but the labels of {classes} classes end at \
             {}", classes - 1)]
    Label {
        /// The image.
        image: usize,
        /// Label of the image.
        label: u32,
        /// The number of classes, at least 1.
        classes: usize,
    },
    /// A class has no images, so it has no centre and no mass to divide by.
    #[error("class {class} has no image: leave it out and number the others from 0")]
    EmptyClass {
        /// The class.
        class: usize,
    },
    /// There are no classes, or more classes than images.
    #[error(
        "{classes} classes cannot be filled by {images} images: there must be between 1 and as \
         many as images"
    )]
    Classes {
        /// The number of classes given.
        classes: usize,
        /// The number of images.
        images: usize,
    },
    /// There are too many columns for a d × d matrix.
    #[error("{dim} values a row make too large a {dim} × {dim} matrix: at most {most} are taken")]
    TooWide {
        /// Number of columns.
        dim: usize,
        /// Maximum number of columns.
        most: usize,
    },
    /// There are too many rows to visit all their pairs.
    #[error("{rows} rows have too many pairs: at most {most} are taken; use `infonce_sampled`")]
    TooManyRows {
        /// Number of rows.
        rows: usize,
        /// Maximum number of rows.
        most: usize,
    },
    /// A quantity is outside the range in which it is meaningful.
    #[error("{name} is {value}, but must be {expected}")]
    Range {
        /// Name of the quantity.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The required range.
        expected: &'static str,
    },
    /// The main parts of a class do not form a curve.
    #[error("main part {index} of class {class} is no step of a curve: {why}")]
    MainPart {
        /// The class.
        class: usize,
        /// Position of the main part.
        index: usize,
        /// Description of the defect.
        why: &'static str,
    },
    /// Two inputs at distance 0 have different outputs, so no Lipschitz constant exists.
    #[error(
        "pair {pair} has equal inputs and outputs {output} apart: no Lipschitz constant exists"
    )]
    NotAFunction {
        /// Position of the pair.
        pair: usize,
        /// Distance of the outputs.
        output: f64,
    },
}

impl Error {
    /// Refuses `value` if `ok` is false.
    pub(crate) fn range(
        ok: bool,
        name: &'static str,
        value: f64,
        expected: &'static str,
    ) -> Result<(), Self> {
        if ok { Ok(()) } else { Err(Self::Range { name, value, expected }) }
    }
}
