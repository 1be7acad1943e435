//! Whitened random patches of images as features: a convolution that needs no training (Coates and
//! Ng, "The importance of encoding versus training with sparse coding and vector quantization",
//! ICML 2011).

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::features::{check_lengths, narrow_means};
use crate::{Error, Features, matrix};

/// Number of filters.
pub(crate) const FILTERS: usize = 200;
/// Side of a patch, in pixels.
pub(crate) const SIDE: usize = 5;
/// Number of values in a patch.
const VALUES: usize = SIDE * SIDE * 3;
/// Number of patches that the whitening is computed from.
const SAMPLE: usize = 20_000;
/// Added to the eigenvalues of the patches' covariance, so that noise is not amplified.
const RIDGE: f64 = 0.1;
/// Maximum number of images that the centre is computed from.
const CENTRE_IMAGES: usize = 2000;
/// Number of values of an image: the filters, with both signs, in four quarters of the image.
const DIM: usize = FILTERS * 2 * 4;

/// A feature map of square images, learned from images without labels and without a gradient.
///
/// Pixels are scaled to −1 … 1. Patches of 5 × 5 pixels are drawn at random places of random
/// images. Their mean m and covariance C define the whitening W = (C + I/10)^−½. The first 200
/// patches, whitened and divided by their length, are the filters. At each place y of an image, a
/// filter f responds with f·W(y − m). Responses of either sign are rectified, averaged over each
/// quarter of the image, and centred by their mean over at most 2,000 of the images. That makes
/// 1,600 values for an image of any size.
///
/// An image of 32 × 32 pixels takes 24 million multiplications and additions. Its features take 6.4
/// kB. The map is a pure function of the images and the seed.
///
/// ```
/// use selfsame_eval::Patches;
///
/// let image: Vec<u8> = (0..8 * 8 * 3).map(|at| (at * at % 251) as u8).collect();
/// let patches = Patches::learn(&[&image], 8, 0)?;
/// let features = patches.features(&[&image, &image])?;
/// assert_eq!((features.rows(), features.dim()), (2, 1600));
/// assert_eq!(features.row(0), features.row(1));
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Patches {
    side: usize,
    /// W f for each filter f, a row each.
    filters: Vec<f32>,
    /// −f·W m for each filter f.
    offsets: Vec<f32>,
    centre: Vec<f32>,
}

impl Patches {
    /// Learns the map from images of `side` × `side` pixels, at least 6, in RGB.
    ///
    /// # Errors
    /// [`Error::TooFewRows`] without images, [`Error::Side`] if they are too small for a patch in
    /// each quarter, and [`Error::RowLength`], which names the first image of another size.
    pub fn learn(images: &[&[u8]], side: usize, seed: u64) -> Result<Self, Error> {
        if images.is_empty() {
            return Err(Error::TooFewRows { set: "pixel", found: 0, needed: 1 });
        }
        if side <= SIDE {
            return Err(Error::Side { side, least: SIDE + 1 });
        }
        check_lengths(images, values_of(side))?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let places = side - SIDE + 1;
        let drawn: Vec<[f64; VALUES]> = (0..SAMPLE)
            .map(|_| {
                let image = images[random.random_range(0..images.len())];
                let (row, column) =
                    (random.random_range(0..places), random.random_range(0..places));
                let mut values = [0.0; VALUES];
                patch(image, side, row, column, &mut values);
                values
            })
            .collect();
        let mut mean = [0.0; VALUES];
        for values in &drawn {
            mean.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / SAMPLE as f64);
        }
        let whitening = whitening(&drawn, &mean)?;
        let (mut filters, mut offsets) = (Vec::new(), Vec::new());
        for values in &drawn[..FILTERS] {
            let centred: Vec<f64> = values.iter().zip(&mean).map(|(v, mean)| v - mean).collect();
            let whitened = multiply(&whitening, &centred);
            let length = whitened.iter().map(|value| value * value).sum::<f64>().sqrt();
            // Where all patches are alike, there is no direction, and the filter responds with 0.
            let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
            let filter: Vec<f64> = whitened.iter().map(|value| scale * value).collect();
            let filter = multiply(&whitening, &filter);
            offsets.push(-filter.iter().zip(&mean).map(|(f, m)| f * m).sum::<f64>() as f32);
            filters.extend(filter.iter().map(|&value| value as f32));
        }
        let mut patches = Self { side, filters, offsets, centre: vec![0.0; DIM] };
        let chosen =
            rand::seq::index::sample(&mut random, images.len(), images.len().min(CENTRE_IMAGES));
        let chosen: Vec<&[u8]> = chosen.iter().map(|at| images[at]).collect();
        patches.centre = narrow_means(&patches.features(&chosen)?);
        Ok(patches)
    }

    /// Returns the features of images of the size that the map was learned from.
    ///
    /// # Errors
    /// [`Error::RowLength`] names the first image of another size.
    pub fn features(&self, images: &[&[u8]]) -> Result<Features, Error> {
        check_lengths(images, values_of(self.side))?;
        let places = self.side - SIDE + 1;
        let buffers =
            || (vec![0.0; places * places * VALUES], vec![0.0; places * places * FILTERS]);
        let mut values = vec![0.0; images.len() * DIM];
        let rows = values.par_chunks_exact_mut(DIM).zip(images);
        rows.for_each_init(buffers, |(patches, responses), (row, image)| {
            for (at, values) in patches.chunks_exact_mut(VALUES).enumerate() {
                patch(image, self.side, at / places, at % places, values);
            }
            matrix::product_transposed(responses, patches, &self.filters, VALUES);
            self.pool(responses, row);
        });
        Features::new(images.len(), DIM, values)
    }

    /// Rectifies the responses of all places, averages them over quarters and centres them.
    fn pool(&self, responses: &[f32], row: &mut [f32]) {
        let places = self.side - SIDE + 1;
        let half = |place: usize| 2 * place / places;
        let mut counts = [0.0_f32; 4];
        for (at, responses) in responses.chunks_exact(FILTERS).enumerate() {
            let quarter = 2 * half(at / places) + half(at % places);
            counts[quarter] += 1.0;
            let (up, down) = row[quarter * 2 * FILTERS..][..2 * FILTERS].split_at_mut(FILTERS);
            for (((response, offset), up), down) in
                responses.iter().zip(&self.offsets).zip(up).zip(down)
            {
                let response = response + offset;
                *up += response.max(0.0);
                *down += (-response).max(0.0);
            }
        }
        for (quarter, count) in row.chunks_exact_mut(2 * FILTERS).zip(counts) {
            quarter.iter_mut().for_each(|sum| *sum /= count);
        }
        row.iter_mut().zip(&self.centre).for_each(|(value, centre)| *value -= centre);
    }
}

/// Returns the number of values in an image.
fn values_of(side: usize) -> usize {
    side * side * 3
}

/// Writes the patch at a place of an image, scaled to −1 … 1.
fn patch<T: From<f32>>(image: &[u8], side: usize, row: usize, column: usize, into: &mut [T]) {
    for (line, into) in into.chunks_exact_mut(SIDE * 3).enumerate() {
        let start = ((row + line) * side + column) * 3;
        for (value, &byte) in into.iter_mut().zip(&image[start..]) {
            *value = T::from(f32::from(byte) / 127.5 - 1.0);
        }
    }
}

/// Computes (C + I/10)^−½ from patches and their mean, as rows.
fn whitening(patches: &[[f64; VALUES]], mean: &[f64; VALUES]) -> Result<Vec<f64>, Error> {
    let moments = matrix::moments(patches.len(), VALUES, &|row, into| {
        for ((into, value), mean) in into.iter_mut().zip(&patches[row]).zip(mean) {
            *into = value - mean;
        }
    })?;
    let mut whitening = vec![0.0; VALUES * VALUES];
    for (sum, vector) in matrix::leading_eigenpairs(&moments, VALUES, VALUES)? {
        let scale = 1.0 / ((sum / patches.len() as f64).max(0.0) + RIDGE).sqrt();
        for (row, left) in whitening.chunks_exact_mut(VALUES).zip(&vector) {
            row.iter_mut().zip(&vector).for_each(|(entry, right)| *entry += scale * left * right);
        }
    }
    Ok(whitening)
}

/// Multiplies a square matrix, given by rows, by a vector.
fn multiply(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    let product = |row: &[f64]| row.iter().zip(vector).map(|(a, b)| a * b).sum();
    matrix.chunks_exact(vector.len()).map(product).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::column_means;
    use crate::testing::{in_pool, random};

    /// Returns images of smooth noise.
    fn images(count: usize, side: usize) -> Vec<Vec<u8>> {
        let noise = random(count, side * side * 3, 5);
        let image = |row: usize| {
            let values = noise.row(row);
            let value = |at: usize| 0.5 * (values[at] + values[at.saturating_sub(3)]);
            (0..values.len()).map(|at| (127.5 + 120.0 * value(at)) as u8).collect()
        };
        (0..count).map(image).collect()
    }

    fn borrowed(images: &[Vec<u8>]) -> Vec<&[u8]> {
        images.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn patches_are_white() {
        let images = images(30, 12);
        let drawn: Vec<[f64; VALUES]> = (0..30 * 64)
            .map(|at| {
                let mut values = [0.0; VALUES];
                patch(&images[at / 64], 12, at % 64 / 8, at % 8, &mut values);
                values
            })
            .collect();
        let count = drawn.len() as f64;
        let mean: [f64; VALUES] =
            std::array::from_fn(|i| drawn.iter().map(|values| values[i]).sum::<f64>() / count);
        let whitening = whitening(&drawn, &mean).unwrap();
        let covariance = |i: usize, j: usize| {
            let product = |values: &[f64; VALUES]| (values[i] - mean[i]) * (values[j] - mean[j]);
            drawn.iter().map(product).sum::<f64>() / count + if i == j { RIDGE } else { 0.0 }
        };
        // W (C + I/10) W is the identity.
        let ridged: Vec<f64> =
            (0..VALUES * VALUES).map(|at| covariance(at / VALUES, at % VALUES)).collect();
        for i in 0..VALUES {
            let left = multiply(&ridged, &whitening[i * VALUES..][..VALUES]);
            for (j, entry) in multiply(&whitening, &left).into_iter().enumerate() {
                let identity = if i == j { 1.0 } else { 0.0 };
                assert!((entry - identity).abs() < 1e-9, "{i} {j}: {entry}");
            }
        }
    }

    #[test]
    fn features_match_the_definition() {
        // An odd number of places: the middle row and column belong to the first half.
        for side in [6, 11] {
            let images = images(9, side);
            let learned = Patches::learn(&borrowed(&images), side, 3).unwrap();
            let uncentred = Patches { centre: vec![0.0; DIM], ..learned.clone() };
            let found = uncentred.features(&borrowed(&images)).unwrap();
            let places = side - 4;
            for (image, filter) in [(0, 0), (4, 17), (8, 199)] {
                for quarter in 0..4 {
                    let (mut up, mut down, mut count) = (0.0, 0.0, 0.0);
                    for (row, column) in
                        (0..places).flat_map(|row| (0..places).map(move |column| (row, column)))
                    {
                        let half = |place: usize| usize::from(place >= places.div_ceil(2));
                        if 2 * half(row) + half(column) != quarter {
                            continue;
                        }
                        let mut response = f64::from(learned.offsets[filter]);
                        for (at, &weight) in
                            learned.filters[filter * VALUES..][..VALUES].iter().enumerate()
                        {
                            let (y, x, channel) = (row + at / 15, column + at % 15 / 3, at % 3);
                            let byte = images[image][(y * side + x) * 3 + channel];
                            response += f64::from(weight) * (f64::from(byte) / 127.5 - 1.0);
                        }
                        up += response.max(0.0);
                        down += (-response).max(0.0);
                        count += 1.0;
                    }
                    for (sum, sign) in [(up, 0), (down, 1)] {
                        let at = quarter * 2 * FILTERS + sign * FILTERS + filter;
                        let value = f64::from(found.row(image)[at]);
                        // Sums of 75 products of values below about 10, rounded to f32.
                        assert!((value - sum / count).abs() < 1e-4, "{value} {}", sum / count);
                    }
                }
            }
            let centred = learned.features(&borrowed(&images)).unwrap();
            let means = column_means(&centred);
            assert!(means.iter().all(|mean| mean.abs() < 1e-5));
        }
    }

    #[test]
    fn filters_are_whitened_patches_of_the_images() {
        let images = images(4, 8);
        let learned = Patches::learn(&borrowed(&images), 8, 1).unwrap();
        // A filter responds most to a patch that it is made of: by Cauchy and Schwarz, no other
        // patch of equal whitened length responds more.
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for filter in 0..FILTERS {
            let image = random.random_range(0..4);
            let (row, column) = (random.random_range(0..4), random.random_range(0..4));
            let mut own = [0.0_f64; VALUES];
            patch(&images[image], 8, row, column, &mut own);
            let weights = &learned.filters[filter * VALUES..][..VALUES];
            let response = |values: &[f64; VALUES]| {
                let products = weights.iter().zip(values).map(|(&w, v)| f64::from(w) * v);
                products.sum::<f64>() + f64::from(learned.offsets[filter])
            };
            // The response to its own patch is the length of the whitened patch, which is positive.
            assert!(response(&own) > 1.0, "{filter}: {}", response(&own));
        }
    }

    #[test]
    fn a_map_is_a_function_of_images_and_seed() {
        let images = images(5, 10);
        let learn = |seed| Patches::learn(&borrowed(&images), 10, seed).unwrap();
        assert_eq!(in_pool(1, || learn(7)), in_pool(3, || learn(7)));
        assert_ne!(learn(7), learn(8));
        let features =
            |threads| in_pool(threads, || learn(7).features(&borrowed(&images)).unwrap());
        assert_eq!(features(1), features(3));
    }

    #[test]
    fn flat_images_have_features_of_zero() {
        let flat = vec![vec![90; 8 * 8 * 3]; 3];
        let features = Patches::learn(&borrowed(&flat), 8, 0).unwrap().features(&borrowed(&flat));
        assert!(features.unwrap().values().iter().all(|value| value.abs() < 1e-6));
    }

    #[test]
    fn misuse_is_refused() {
        let images = images(2, 8);
        let images = borrowed(&images);
        assert_eq!(
            Patches::learn(&[], 8, 0),
            Err(Error::TooFewRows { set: "pixel", found: 0, needed: 1 })
        );
        assert_eq!(Patches::learn(&images, 5, 0), Err(Error::Side { side: 5, least: 6 }));
        let error = Err(Error::RowLength { row: 0, values: 192, dim: 243 });
        assert_eq!(Patches::learn(&images, 9, 0), error);
        let other = Patches::learn(&images, 8, 0).unwrap().features(&[images[0], &[0; 3]]);
        assert_eq!(other.unwrap_err(), Error::RowLength { row: 1, values: 3, dim: 192 });
    }
}
