use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use rayon::prelude::*;

use crate::sum::Sum;
use crate::{Error, Labels};

/// Largest value that is accepted, so that sums of squares stay finite.
const LARGEST: f64 = 1e100;
/// Length below which a row counts as zero: the squares of its values would underflow.
const SHORTEST: f64 = 1e-100;

/// Embeddings f(x') of all views: images × views × dim values, row by row. The views of an image
/// are consecutive rows, with its original first. The values are borrowed, and a row is read as
/// f64.
///
/// ```
/// use selfsame_theory::Views;
///
/// // Two images of two views each, in the plane.
/// let values = [3.0_f32, 4.0, 4.0, 3.0, 0.0, -2.0, 0.0, -1.0];
/// let views = Views::new(2, 2, 2, &values)?.on_sphere()?;
/// let mut row = [0.0; 2];
/// views.read(2, &mut row);
/// assert_eq!(row, [0.0, -1.0]);
/// # Ok::<(), selfsame_theory::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Views<'a> {
    images: usize,
    views: usize,
    dim: usize,
    values: Values<'a>,
    form: Form,
}

/// Borrowed values of either precision.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// Single precision, as encoders write them.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
}

impl<'a, T: AsRef<[f32]> + ?Sized> From<&'a T> for Values<'a> {
    fn from(values: &'a T) -> Self {
        Self::F32(values.as_ref())
    }
}

impl Values<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    fn get(&self, at: usize) -> f64 {
        match self {
            Self::F32(values) => f64::from(values[at]),
            Self::F64(values) => values[at],
        }
    }
}

/// The transformation of a row when it is read.
#[derive(Debug, Clone)]
enum Form {
    AsGiven,
    /// Each row is multiplied by its own factor.
    Sphere(Vec<f64>),
    /// From each column its mean is subtracted, then the mean that rounding leaves. The result is
    /// multiplied by a factor.
    Standardised {
        means: Vec<f64>,
        rests: Vec<f64>,
        factors: Vec<f64>,
    },
}

impl<'a> Views<'a> {
    /// Checks the shape and every value. `values` is a slice of `f32`, or [`Values::F64`].
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Shape`], or [`Error::NotFinite`] naming the first wrong row.
    pub fn new(
        images: usize,
        views: usize,
        dim: usize,
        values: impl Into<Values<'a>>,
    ) -> Result<Self, Error> {
        let values = values.into();
        if images == 0 || views == 0 || dim == 0 {
            return Err(Error::Empty { images, views, dim });
        }
        if images.checked_mul(views).and_then(|rows| rows.checked_mul(dim)) != Some(values.len()) {
            return Err(Error::Shape { images, views, dim, values: values.len() });
        }
        // Written so that a NaN fails too.
        let good = |at: &usize| values.get(*at).abs() < LARGEST;
        match (0..values.len()).find(|at| !good(at)) {
            Some(at) => {
                let row = at / dim;
                let (image, view, column, value) =
                    (row / views, row % views, at % dim, values.get(at));
                Err(Error::NotFinite { row, image, view, column, value })
            }
            None => Ok(Self { images, views, dim, values, form: Form::AsGiven }),
        }
    }

    /// Divides every row by its length, so that ‖f‖ = 1. This form is for the InfoNCE family and
    /// the error bound.
    ///
    /// # Errors
    /// [`Error::ZeroRow`] naming the first row without a direction.
    pub fn on_sphere(mut self) -> Result<Self, Error> {
        self.form = Form::AsGiven;
        let length = |row: &mut Vec<f64>, index: usize| {
            self.read(index, row);
            // Values may be so huge or tiny that their squares overflow or underflow. Relative to
            // the largest value, they do not.
            let largest = row.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
            if largest < SHORTEST {
                return 0.0;
            }
            largest * row.iter().map(|value| (value / largest).powi(2)).sum::<f64>().sqrt()
        };
        let lengths: Vec<f64> =
            (0..self.rows()).into_par_iter().map_init(|| vec![0.0; self.dim], length).collect();
        if let Some(row) = lengths.iter().position(|&length| length == 0.0) {
            return Err(Error::ZeroRow { row });
        }
        self.form = Form::Sphere(lengths.into_iter().map(f64::recip).collect());
        Ok(self)
    }

    /// Scales every column to mean 0 and second moment 1 over all rows. This form is for the
    /// cross-correlation losses.
    ///
    /// # Errors
    /// [`Error::ConstantColumn`] naming the first column that has no second moment to divide by.
    pub fn standardised(mut self) -> Result<Self, Error> {
        self.form = Form::AsGiven;
        let rows = self.rows() as f64;
        let mut row = vec![0.0; self.dim];
        let mut sums = vec![Sum::default(); self.dim];
        for index in 0..self.rows() {
            self.read(index, &mut row);
            sums.iter_mut().zip(&row).for_each(|(sum, &value)| sum.add(value));
        }
        let means: Vec<f64> = sums.into_iter().map(|sum| sum.value() / rows).collect();
        // The rounding error of a mean is in its last digits. In a column that varies little these
        // digits matter, so a second pass corrects them.
        let mut sums = vec![Sum::default(); self.dim];
        let mut squares = vec![Sum::default(); self.dim];
        let mut largest = vec![0.0_f64; self.dim];
        for index in 0..self.rows() {
            self.read(index, &mut row);
            for (column, value) in row.iter().enumerate() {
                let centred = value - means[column];
                sums[column].add(centred);
                squares[column].add(centred.powi(2));
                largest[column] = largest[column].max(value.abs());
            }
        }
        let deviations: Vec<f64> =
            squares.into_iter().map(|sum| (sum.value() / rows).sqrt()).collect();
        // The mean of equal values may have an error of a rounding or two, and so may differences
        // from it.
        let constant = |column: &usize| {
            deviations[*column] <= (4.0 * f64::EPSILON * largest[*column]).max(SHORTEST)
        };
        if let Some(column) = (0..self.dim).find(constant) {
            return Err(Error::ConstantColumn { column, value: means[column] });
        }
        let rests = sums.into_iter().map(|sum| sum.value() / rows).collect();
        self.form = Form::Standardised {
            means,
            rests,
            factors: deviations.into_iter().map(f64::recip).collect(),
        };
        Ok(self)
    }

    /// Refuses rows that are all equal, because they carry no information about images.
    ///
    /// # Errors
    /// [`Error::Constant`].
    pub fn check_varied(&self) -> Result<(), Error> {
        match self.rows() > 1 && (1..self.rows()).all(|row| self.equal(0, row * self.dim, self.dim))
        {
            true => Err(Error::Constant { rows: self.rows() }),
            false => Ok(()),
        }
    }

    /// Finds the images whose views repeat those of an earlier image, value for value and in the
    /// same order. Each is returned with the first image that it repeats. Such images are copies of
    /// that image, or a sign that different images were given the same embedding. Views within one
    /// image may be equal.
    pub fn repeats(&self) -> Vec<(usize, usize)> {
        let length = self.views * self.dim;
        let digest = |image: usize| {
            let mut hasher = DefaultHasher::new();
            // Adding 0 turns −0 into 0: the two are equal values but have different bits.
            (image * length..(image + 1) * length)
                .for_each(|at| (self.values.get(at) + 0.0).to_bits().hash(&mut hasher));
            hasher.finish()
        };
        let digests: Vec<u64> = (0..self.images).into_par_iter().map(digest).collect();
        let mut seen: HashMap<u64, Vec<usize>> = HashMap::new();
        let mut repeats = Vec::new();
        for (image, digest) in digests.into_iter().enumerate() {
            let earlier = seen.entry(digest).or_default();
            match earlier.iter().find(|&&first| self.equal(first * length, image * length, length))
            {
                Some(&first) => repeats.push((image, first)),
                None => earlier.push(image),
            }
        }
        repeats
    }

    /// Returns whether the `length` values from position `a` equal the values from position `b`.
    fn equal(&self, a: usize, b: usize, length: usize) -> bool {
        (0..length).all(|i| self.values.get(a + i) == self.values.get(b + i))
    }

    /// Returns N, the number of images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Returns M, the number of views per image, the original included.
    pub fn views(&self) -> usize {
        self.views
    }

    /// Returns d, the number of values per row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Returns N·M, the number of rows.
    pub fn rows(&self) -> usize {
        self.images * self.views
    }

    /// Writes row `row` into `into`, which holds [`dim`](Self::dim) values.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn read(&self, row: usize, into: &mut [f64]) {
        let range = row * self.dim..(row + 1) * self.dim;
        match self.values {
            Values::F32(values) => {
                into.iter_mut().zip(&values[range]).for_each(|(into, &value)| *into = value.into())
            }
            Values::F64(values) => into.copy_from_slice(&values[range]),
        }
        match &self.form {
            Form::AsGiven => {}
            Form::Sphere(factors) => into.iter_mut().for_each(|value| *value *= factors[row]),
            Form::Standardised { means, rests, factors } => {
                for (column, value) in into.iter_mut().enumerate() {
                    *value = (*value - means[column] - rests[column]) * factors[column];
                }
            }
        }
    }

    /// Returns the rows in `range`, one after the other.
    pub(crate) fn block(&self, range: Range<usize>) -> Vec<f64> {
        let mut block = vec![0.0; range.len() * self.dim];
        range.zip(block.chunks_exact_mut(self.dim)).for_each(|(row, into)| self.read(row, into));
        block
    }

    /// Returns the mean view of each image: images × dim.
    pub(crate) fn image_means(&self) -> Vec<f64> {
        let mut means = vec![0.0; self.images * self.dim];
        means.par_chunks_mut(self.dim).enumerate().for_each_init(
            || vec![0.0; self.dim],
            |row, (image, mean)| {
                for view in 0..self.views {
                    self.read(image * self.views + view, row);
                    mean.iter_mut().zip(&*row).for_each(|(mean, value)| *mean += value);
                }
                mean.iter_mut().for_each(|mean| *mean /= self.views as f64);
            },
        );
        means
    }

    /// Returns ‖E f‖², the squared length of the mean of all rows.
    pub fn mean_norm2(&self) -> f64 {
        let mut sums = vec![Sum::default(); self.dim];
        let mut row = vec![0.0; self.dim];
        for index in 0..self.rows() {
            self.read(index, &mut row);
            sums.iter_mut().zip(&row).for_each(|(sum, &value)| sum.add(value));
        }
        sums.into_iter().map(|sum| (sum.value() / self.rows() as f64).powi(2)).sum()
    }

    pub(crate) fn check_sphere(&self) -> Result<(), Error> {
        match self.form {
            Form::Sphere(_) => Ok(()),
            _ => Err(Error::Form { needed: "unit-length", call: "Views::on_sphere" }),
        }
    }

    pub(crate) fn check_standardised(&self) -> Result<(), Error> {
        match self.form {
            Form::Standardised { .. } => Ok(()),
            _ => Err(Error::Form { needed: "standardised", call: "Views::standardised" }),
        }
    }

    pub(crate) fn check_labels(&self, labels: &Labels) -> Result<(), Error> {
        labels.check_images(self.images)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(
            Views::new(0, 1, 1, &[0.0_f32; 0]).unwrap_err(),
            Error::Empty { images: 0, views: 1, dim: 1 }
        );
        let shape = Views::new(usize::MAX, 2, 2, &[0.0_f32; 4]).unwrap_err();
        assert_eq!(shape, Error::Shape { images: usize::MAX, views: 2, dim: 2, values: 4 });
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = Views::new(2, 2, 2, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, bad])
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("row 3 (view 1 of image 1)") && error.contains("column 1"),
                "{error}"
            );
        }
        assert!(Views::new(1, 1, 1, Values::F64(&[1e101])).is_err());
        let zero = Views::new(2, 1, 2, &[0.0_f32, 1.0, 0.0, 0.0]).unwrap();
        assert_eq!(zero.on_sphere().unwrap_err(), Error::ZeroRow { row: 1 });
        let flat = Views::new(3, 1, 2, &[0.1_f32, 1.0, 0.1, 0.0, 0.1, 0.0]).unwrap();
        let error = flat.standardised().unwrap_err();
        assert_eq!(error, Error::ConstantColumn { column: 0, value: f64::from(0.1_f32) });
    }

    #[test]
    fn repeated_images_are_named_and_repeated_views_are_not() {
        fn views(values: &[f32]) -> Views<'_> {
            Views::new(values.len() / 4, 2, 2, values).unwrap()
        }
        assert_eq!(views(&[1.0; 8]).check_varied(), Err(Error::Constant { rows: 4 }));
        let values = [1.0, 0.0, 1.0, 0.0, 2.0, 0.0, 2.0, 1.0, 1.0, -0.0, 1.0, 0.0];
        assert_eq!(views(&values).check_varied(), Ok(()));
        assert_eq!(views(&values).repeats(), [(2, 0)]);
        assert_eq!(views(&values[..8]).repeats(), []);
    }

    #[test]
    fn huge_and_tiny_rows_have_a_direction() {
        let values = [3e99, 4e99, 3e-99, -4e-99];
        let views = Views::new(2, 1, 2, Values::F64(&values)).unwrap().on_sphere().unwrap();
        for (found, expected) in views.block(0..2).into_iter().zip([0.6, 0.8, 0.6, -0.8]) {
            assert!((found - expected).abs() < 1e-15, "{found}");
        }
    }

    #[test]
    fn standardised_columns_have_mean_0_and_second_moment_1() {
        let values: Vec<f32> = (0..60).map(|i| (i * i % 37) as f32 * 1e3 + 1e6).collect();
        let views = Views::new(10, 2, 3, &values).unwrap().standardised().unwrap();
        let block = views.block(0..20);
        for column in 0..3 {
            let moment = |power| {
                block.iter().skip(column).step_by(3).map(|v| v.powi(power)).sum::<f64>() / 20.0
            };
            assert!(moment(1).abs() < 1e-12 && (moment(2) - 1.0).abs() < 1e-12);
        }
        assert!(views.mean_norm2() < 1e-24);
    }
}
