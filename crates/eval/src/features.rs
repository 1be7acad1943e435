//! Matrices of features that are read row by row.

use rayon::prelude::*;

use crate::rows::Rows;
use crate::{Error, matrix};

/// A row-major matrix of finite `f32`, `rows` × `dim`: the embeddings of a set of images.
///
/// ```
/// use selfsame_eval::{Error, Features};
///
/// let features = Features::new(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!(features.row(1), [4.0, 5.0, 6.0]);
/// assert!(Features::new(2, 3, vec![1.0]).is_err());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    rows: usize,
    dim: usize,
    values: Vec<f32>,
}

impl Features {
    /// Takes `values` as `rows` rows of `dim`, without copying them.
    ///
    /// # Errors
    /// [`Error::ZeroDim`], [`Error::Shape`], or [`Error::NotFinite`], which names the first row
    /// with such a value.
    pub fn new(rows: usize, dim: usize, values: Vec<f32>) -> Result<Self, Error> {
        if dim == 0 {
            return Err(Error::ZeroDim);
        }
        if rows.checked_mul(dim) != Some(values.len()) {
            let values = values.len();
            return Err(Error::Shape { rows, dim, values });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite { row: at / dim, column: at % dim, value: values[at] });
        }
        Ok(Self { rows, dim, values })
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of values in a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Returns row `row`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dim..][..self.dim]
    }

    /// Returns all values, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Returns all values, row after row, without a copy.
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}

impl Rows for Features {
    fn rows(&self) -> usize {
        self.rows
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn read(&self, row: usize, into: &mut [f32]) {
        into.copy_from_slice(self.row(row));
    }
}

/// Raw pixels as features: images of equal size, whose bytes are read as `byte / 255`.
///
/// Raw pixels are the baseline for every encoder. The images are borrowed.
///
/// ```
/// use selfsame_eval::{Error, Pixels, Rows};
///
/// let images = [vec![0_u8, 255], vec![51, 102]];
/// let pixels = Pixels::new(images.iter().map(Vec::as_slice).collect())?;
/// let mut row = [0.0; 2];
/// pixels.read(1, &mut row);
/// assert_eq!(row, [0.2, 0.4]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pixels<'a> {
    images: Vec<&'a [u8]>,
    dim: usize,
}

impl<'a> Pixels<'a> {
    /// Takes one slice per image.
    ///
    /// # Errors
    /// [`Error::TooFewRows`] without images (their size would be unknown), [`Error::ZeroDim`] for
    /// images without pixels, or [`Error::RowLength`], which names the first image of another size.
    pub fn new(images: Vec<&'a [u8]>) -> Result<Self, Error> {
        let Some(first) = images.first() else {
            return Err(Error::TooFewRows { set: "pixel", found: 0, needed: 1 });
        };
        let dim = first.len();
        if dim == 0 {
            return Err(Error::ZeroDim);
        }
        check_lengths(&images, dim)?;
        Ok(Self { images, dim })
    }
}

/// Checks that each image holds `dim` values.
///
/// # Errors
/// [`Error::RowLength`] names the first image of another size.
pub(crate) fn check_lengths(images: &[&[u8]], dim: usize) -> Result<(), Error> {
    match images.iter().position(|image| image.len() != dim) {
        Some(row) => Err(Error::RowLength { row, values: images[row].len(), dim }),
        None => Ok(()),
    }
}

impl Rows for Pixels<'_> {
    fn rows(&self) -> usize {
        self.images.len()
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn read(&self, row: usize, into: &mut [f32]) {
        for (value, &byte) in into.iter_mut().zip(self.images[row]) {
            *value = f32::from(byte) / 255.0;
        }
    }
}

/// Another matrix with every row divided by its ℓ2 norm, computed as it is read.
///
/// A row of zeros has no direction and stays zero, so its cosine with every row is 0.
///
/// ```
/// use selfsame_eval::{Error, Features, Normalised, Rows};
///
/// let features = Features::new(2, 2, vec![3.0, 4.0, 0.0, 0.0])?;
/// let (mut first, mut second) = ([0.0; 2], [0.0; 2]);
/// Normalised(&features).read(0, &mut first);
/// Normalised(&features).read(1, &mut second);
/// assert_eq!(first, [0.6, 0.8]);
/// assert_eq!(second, [0.0, 0.0]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Normalised<'a>(
    /// The matrix whose rows are normalised.
    pub &'a dyn Rows,
);

impl Rows for Normalised<'_> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn read(&self, row: usize, into: &mut [f32]) {
        self.0.read(row, into);
        // In f64, squares of f32 values neither overflow nor underflow.
        let norm = matrix::sum_of_squares(into).sqrt();
        if norm > 0.0 {
            let inverse = 1.0 / norm;
            for value in into {
                *value = (f64::from(*value) * inverse) as f32;
            }
        }
    }
}

/// Another matrix with the mean of each row subtracted and the row divided by its standard
/// deviation, so that for images neither brightness nor contrast counts. A row of equal values
/// becomes zeros.
pub(crate) struct Levelled<'a>(pub &'a dyn Rows);

impl Rows for Levelled<'_> {
    fn rows(&self) -> usize {
        self.0.rows()
    }

    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn read(&self, row: usize, into: &mut [f32]) {
        self.0.read(row, into);
        let count = into.len() as f64;
        let mean = into.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let square = |&value: &f32| (f64::from(value) - mean).powi(2);
        let deviation = (into.iter().map(square).sum::<f64>() / count).sqrt();
        // A smaller deviation may be the rounding of the values.
        let rounding = 2.0 * f64::from(f32::EPSILON) * mean.abs();
        let scale = if deviation > rounding { 1.0 / deviation } else { 0.0 };
        for value in into {
            *value = ((f64::from(*value) - mean) * scale) as f32;
        }
    }
}

/// Another matrix with each column shifted to mean 0 and scaled.
pub(crate) struct Standardised<'a> {
    rows: &'a dyn Rows,
    half_mean: Vec<f32>,
    double_scale: Vec<f32>,
}

impl<'a> Standardised<'a> {
    /// Reads `rows` as `(value − mean) · scale`, column by column.
    pub(crate) fn new(rows: &'a dyn Rows, mean: &[f32], scale: &[f32]) -> Self {
        Self {
            rows,
            half_mean: mean.iter().map(|mean| 0.5 * mean).collect(),
            double_scale: scale.iter().map(|scale| 2.0 * scale).collect(),
        }
    }

    /// Reads `rows` as `value − mean`, column by column.
    pub(crate) fn centred(rows: &'a dyn Rows, mean: &[f32]) -> Self {
        Self::new(rows, mean, &vec![1.0; mean.len()])
    }
}

impl Rows for Standardised<'_> {
    fn rows(&self) -> usize {
        self.rows.rows()
    }

    fn dim(&self) -> usize {
        self.rows.dim()
    }

    fn read(&self, row: usize, into: &mut [f32]) {
        self.rows.read(row, into);
        // Halving is exact and keeps the difference of two values near f32::MAX from overflowing.
        for ((value, half_mean), double_scale) in
            into.iter_mut().zip(&self.half_mean).zip(&self.double_scale)
        {
            *value = (0.5 * *value - half_mean) * double_scale;
        }
    }
}

/// Computes the mean of each column in `f64`, or zeros for a matrix without rows.
pub(crate) fn column_means(rows: &dyn Rows) -> Vec<f64> {
    column_sums(rows, |_, value| value, rows.rows())
}

/// Computes [`column_means`], and rounds them to `f32`.
pub(crate) fn narrow_means(rows: &dyn Rows) -> Vec<f32> {
    column_means(rows).into_iter().map(|mean| mean as f32).collect()
}

/// Computes the variance of each column about `means`, divided by the number of rows.
pub(crate) fn column_variances(rows: &dyn Rows, means: &[f64]) -> Vec<f64> {
    column_sums(rows, |column, value| (value - means[column]).powi(2), rows.rows())
}

fn column_sums(
    rows: &dyn Rows,
    term: impl Fn(usize, f64) -> f64 + Sync,
    divisor: usize,
) -> Vec<f64> {
    let dim = rows.dim();
    let parts: Vec<Vec<f64>> = matrix::chunks(rows.rows(), dim)
        .into_par_iter()
        .map(|chunk| {
            let (mut row, mut sums) = (vec![0.0; dim], vec![0.0; dim]);
            for index in chunk {
                rows.read(index, &mut row);
                for (column, (sum, &value)) in sums.iter_mut().zip(&row).enumerate() {
                    *sum += term(column, f64::from(value));
                }
            }
            sums
        })
        .collect();
    let mut sums = vec![0.0; dim];
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part / divisor as f64;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn construction_is_checked() {
        assert_eq!(Features::new(2, 0, vec![]), Err(Error::ZeroDim));
        assert_eq!(
            Features::new(2, 2, vec![0.0; 3]),
            Err(Error::Shape { rows: 2, dim: 2, values: 3 })
        );
        let overflow = Features::new(usize::MAX, 2, vec![0.0; 2]);
        assert_eq!(overflow, Err(Error::Shape { rows: usize::MAX, dim: 2, values: 2 }));
        let infinite = Features::new(2, 2, vec![0.0, 1.0, 2.0, f32::INFINITY]);
        assert_eq!(infinite, Err(Error::NotFinite { row: 1, column: 1, value: f32::INFINITY }));
        let error = Features::new(3, 2, vec![0.0, 1.0, 2.0, 3.0, f32::NAN, 5.0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "row 2 holds NaN in column 0: every feature must be a finite number"
        );
        assert_eq!(Features::new(0, 2, vec![]).unwrap().rows(), 0);
    }

    #[test]
    fn pixels_are_checked() {
        assert_eq!(
            Pixels::new(vec![]).unwrap_err(),
            Error::TooFewRows { set: "pixel", found: 0, needed: 1 }
        );
        assert_eq!(Pixels::new(vec![&[]]).unwrap_err(), Error::ZeroDim);
        let uneven = Pixels::new(vec![&[1, 2], &[1, 2, 3]]).unwrap_err();
        assert_eq!(uneven, Error::RowLength { row: 1, values: 3, dim: 2 });
    }

    #[test]
    fn normalising_survives_the_ends_of_the_range() {
        for scale in [f32::MAX, 1e30, 1.0, 1e-30, 1e-44] {
            let features = Features::new(1, 2, vec![scale, -scale]).unwrap();
            let mut row = [0.0; 2];
            Normalised(&features).read(0, &mut row);
            assert_eq!(row, [0.5_f32.sqrt(), -(0.5_f32.sqrt())], "{scale}");
        }
    }

    #[test]
    fn levelled_rows_have_mean_0_and_deviation_1() {
        let values = vec![1.0, 2.0, 3.0, 6.0, 0.3, 0.3, 0.3, 0.3];
        let features = Features::new(2, 4, values).unwrap();
        let mut row = [0.0; 4];
        Levelled(&features).read(0, &mut row);
        // The mean is 3, the variance (4 + 1 + 0 + 9) / 4.
        let expected = [-2.0, -1.0, 0.0, 3.0].map(|value: f64| (value / 3.5_f64.sqrt()) as f32);
        assert_eq!(row, expected);
        Levelled(&features).read(1, &mut row);
        assert_eq!(row, [0.0; 4]);
    }

    #[test]
    fn standardising_survives_the_ends_of_the_range() {
        let features = Features::new(2, 1, vec![f32::MAX, f32::MIN]).unwrap();
        let mut row = [0.0];
        Standardised::new(&features, &[f32::MIN], &[1.0 / f32::MAX]).read(0, &mut row);
        assert!((row[0] - 2.0).abs() < 1e-6, "{row:?}");
    }

    proptest! {
        #[test]
        fn normalised_rows_have_norm_one(values in prop::collection::vec(-1e3_f32..1e3, 1..40)) {
            let features = Features::new(1, values.len(), values.clone()).unwrap();
            let mut row = vec![0.0; values.len()];
            Normalised(&features).read(0, &mut row);
            // Rounding each value to f32 moves the norm by at most 2⁻²⁴ of itself.
            let norm = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            prop_assert!(values.iter().all(|&v| v == 0.0) || (norm - 1.0).abs() < 1e-7);
        }

        #[test]
        fn columns_match_plain_sums(rows in 1..60_usize, dim in 1..6_usize, seed in any::<u64>()) {
            let features = crate::testing::random(rows, dim, seed);
            let (means, variances) = (column_means(&features), column_variances(&features, &column_means(&features)));
            for column in 0..dim {
                let values: Vec<f64> = (0..rows).map(|row| f64::from(features.row(row)[column])).collect();
                let mean = values.iter().sum::<f64>() / rows as f64;
                let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / rows as f64;
                prop_assert!((means[column] - mean).abs() < 1e-13);
                prop_assert!((variances[column] - variance).abs() < 1e-13);
            }
        }
    }
}
