use thiserror::Error;

/// What can be wrong with embeddings, labels and quantities given to a measure or a bound.
///
/// Rows, columns, images and classes count from 0; row `i·M + v` is view v of image i where images
/// have M views.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Error {
    /// No images, no views, or rows without columns.
    #[error(
        "{images} images of {views} views of {dim} values hold nothing: each number must be at \
         least 1"
    )]
    Empty {
        /// Images announced.
        images: usize,
        /// Views an image announced.
        views: usize,
        /// Values a row announced.
        dim: usize,
    },
    /// The values are not `images` × `views` × `dim`.
    #[error("{images} images of {views} views of {dim} values are not the {values} values given")]
    Shape {
        /// Images announced.
        images: usize,
        /// Views an image announced.
        views: usize,
        /// Values a row announced.
        dim: usize,
        /// Values given.
        values: usize,
    },
    /// A NaN, an infinity, or a value whose square would be one.
    #[error(
        "row {row} (view {view} of image {image}) holds {value} in column {column}: embeddings \
         must be finite numbers below 1e100 in magnitude"
    )]
    NotFinite {
        /// The row.
        row: usize,
        /// The image whose view it is.
        image: usize,
        /// Which of its views.
        view: usize,
        /// The column.
        column: usize,
        /// What stands there.
        value: f64,
    },
    /// A row of zeros, which has no direction.
    #[error(
        "row {row} is zero and cannot be scaled to the sphere: look for a dead encoder or an \
         empty image"
    )]
    ZeroRow {
        /// The row.
        row: usize,
    },
    /// A coordinate that is the same in every row, and so cannot be scaled to second moment 1.
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
        /// How many rows there are.
        rows: usize,
    },
    /// A measure of the sphere given other rows, or one of standardised coordinates.
    #[error("this is defined for {needed} embeddings: call `{call}` first")]
    Form {
        /// What they should be.
        needed: &'static str,
        /// What makes them so.
        call: &'static str,
    },
    /// Not one entry for each of what is counted.
    #[error("{given} {what} were given, but {expected} are needed")]
    Count {
        /// What was given.
        what: &'static str,
        /// How many.
        given: usize,
        /// How many it takes.
        expected: usize,
    },
    /// A label outside `0..classes`.
    #[error("image {image} has label {label}, but the labels of {classes} classes end at \
             {}", classes - 1)]
    Label {
        /// The image.
        image: usize,
        /// Its label.
        label: u32,
        /// The number of classes, at least 1.
        classes: usize,
    },
    /// A class without images has no centre and no mass to divide by.
    #[error("class {class} has no image: leave it out and number the others from 0")]
    EmptyClass {
        /// The class.
        class: usize,
    },
    /// More classes than images can fill, or none.
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
    /// More columns than a d × d matrix is made of.
    #[error("{dim} values a row make too large a {dim} × {dim} matrix: at most {most} are taken")]
    TooWide {
        /// The dimension.
        dim: usize,
        /// The largest taken.
        most: usize,
    },
    /// More rows than all their pairs are visited of.
    #[error("{rows} rows have too many pairs: at most {most} are taken; use `infonce_sampled`")]
    TooManyRows {
        /// The number of rows.
        rows: usize,
        /// The largest taken.
        most: usize,
    },
    /// A quantity outside the range in which it means anything.
    #[error("{name} is {value}, but must be {expected}")]
    Range {
        /// The quantity.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        expected: &'static str,
    },
    /// A class whose main parts cannot be those of one curve.
    #[error("main part {index} of class {class} is no step of a curve: {why}")]
    MainPart {
        /// The class.
        class: usize,
        /// Which of its main parts.
        index: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// Two inputs at distance 0 with different outputs: no Lipschitz constant exists.
    #[error(
        "pair {pair} has equal inputs and outputs {output} apart: no Lipschitz constant exists"
    )]
    NotAFunction {
        /// Which pair.
        pair: usize,
        /// The distance of its outputs.
        output: f64,
    },
}

impl Error {
    /// Refuses `value` where `ok` is false.
    pub(crate) fn range(
        ok: bool,
        name: &'static str,
        value: f64,
        expected: &'static str,
    ) -> Result<(), Self> {
        if ok { Ok(()) } else { Err(Self::Range { name, value, expected }) }
    }
}
