//! Measures of the shape of a cloud of features, without labels: alignment, uniformity, effective
//! rank.

use rayon::prelude::*;
use selfsame_theory::{Views, measure};

use crate::features::{Features, Normalised};
use crate::{Error, Rows, matrix};

/// Computes the alignment loss: the mean over images of E ‖f(x₁) − f(x₂)‖². x₁ and x₂ are drawn
/// independently from the image's M = `views_per_image` views, so they may be equal. The views of
/// an image are consecutive rows (Wang and Isola, "Understanding Contrastive Representation
/// Learning through Alignment and Uniformity on the Hypersphere", ICML 2020, with α = 2; Huang et
/// al., ICLR 2023). Smaller is better.
///
/// This function does not normalise rows. For the InfoNCE family, pass [`Normalised`] rows.
///
/// # Errors
/// [`Error::TooFewRows`] without rows, [`Error::Views`] if the rows are not whole images.
///
/// ```
/// use selfsame_eval::{Features, geometry};
///
/// let views = Features::new(4, 1, vec![0.0, 2.0, 5.0, 5.0])?;
/// assert_eq!(geometry::alignment(&views, 2), Ok(1.0));
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn alignment(views: &dyn Rows, views_per_image: usize) -> Result<f64, Error> {
    of_views(views, views_per_image, |views| measure::alignment(views).finite)
}

/// Passes rows to `measure` in the form that the theory's measures take: `views_per_image`
/// consecutive views of each image.
fn of_views<T>(
    rows: &dyn Rows,
    views_per_image: usize,
    measure: impl FnOnce(&Views<'_>) -> T,
) -> Result<T, Error> {
    let (count, dim) = (rows.rows(), rows.dim());
    if count == 0 {
        return Err(Error::TooFewRows { set: "view", found: 0, needed: 1 });
    }
    if views_per_image == 0 || count % views_per_image != 0 {
        return Err(Error::Views { rows: count, views_per_image });
    }
    let mut values = vec![0.0_f32; count * dim];
    matrix::read_block(rows, 0..count, &mut values);
    Ok(measure(&Views::new(count / views_per_image, views_per_image, dim, &values)?))
}

/// Computes the uniformity loss log E exp(−2 ‖x − y‖²) over the pairs of distinct rows (Wang and
/// Isola, ICML 2020, with t = 2). Smaller is better. The loss is 0 if all rows coincide, and near
/// −4 for directions that are spread evenly over a sphere of many dimensions.
///
/// The loss is defined on the sphere, so rows are ℓ2-normalised first; a row of zeros stays at the
/// origin. No two rows are further apart than 2, so exponentials do not underflow, and plain f64
/// sums suffice. Time grows with rows² × dim (a second for 10⁴ rows of 512 values). Memory does
/// not.
///
/// # Errors
/// [`Error::TooFewRows`] for fewer than two rows.
pub fn uniformity(rows: &dyn Rows) -> Result<f64, Error> {
    const TILE: usize = 256;
    let (count, dim) = (rows.rows(), rows.dim());
    if count < 2 {
        return Err(Error::TooFewRows { set: "feature", found: count, needed: 2 });
    }
    let step = matrix::block_rows(4 << 20, dim, 8, TILE);
    let read = |start: usize| {
        let range = start..count.min(start + step);
        let mut narrow = vec![0.0; range.len() * dim];
        matrix::read_block(&Normalised(rows), range, &mut narrow);
        let norms: Vec<f64> = narrow.chunks_exact(dim).map(matrix::sum_of_squares).collect();
        (narrow.into_iter().map(f64::from).collect::<Vec<f64>>(), norms)
    };
    let sum_of_tiles_from = |first: usize| {
        let (x, x_norms) = read(first);
        let mut sum = 0.0;
        for second in (first..count).step_by(step) {
            let (y, y_norms) = read(second);
            let mut products = vec![0.0; x_norms.len() * y_norms.len()];
            matrix::product_transposed(&mut products, &x, &y, dim);
            for (i, (products, x_norm)) in
                products.chunks_exact(y_norms.len()).zip(&x_norms).enumerate()
            {
                let skip = if first == second { i + 1 } else { 0 };
                for (product, y_norm) in products.iter().zip(&y_norms).skip(skip) {
                    sum += (-2.0 * (x_norm + y_norm - 2.0 * product).max(0.0)).exp();
                }
            }
        }
        sum
    };
    let starts: Vec<usize> = (0..count).step_by(step).collect();
    let sums: Vec<f64> = starts.into_par_iter().map(sum_of_tiles_from).collect();
    let pairs = count as f64 * (count as f64 - 1.0) / 2.0;
    Ok((sums.iter().sum::<f64>() / pairs).ln())
}

/// Computes, for each image, the largest distance between two of its M = `views_per_image` views,
/// which are consecutive rows. The share of images whose largest distance exceeds ε is R_ε of Huang
/// et al. (ICLR 2023), on the finite view sets.
///
/// This function does not normalise rows. Distances are computed in f64.
///
/// # Errors
/// [`Error::TooFewRows`] without rows, [`Error::Views`] if the rows are not whole images.
///
/// ```
/// use selfsame_eval::{Features, geometry};
///
/// let views = Features::new(6, 1, vec![0.0, 2.0, 1.0, 5.0, 5.0, 5.0])?;
/// assert_eq!(geometry::diameters(&views, 3)?, [2.0, 0.0]);
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn diameters(views: &dyn Rows, views_per_image: usize) -> Result<Vec<f64>, Error> {
    of_views(views, views_per_image, |views| measure::diameters(views).of_image)
}

/// Computes the effective rank of the features, RankMe (Garrido, Balestriero, Najman and LeCun,
/// "RankMe: Assessing the Downstream Performance of Pretrained Self-Supervised Representations by
/// Their Rank", ICML 2023, equation 1): exp(−Σ p log p) with p = σ / Σσ + 10⁻⁷ over the min(rows,
/// dim) singular values σ of the matrix, which is not centred. The effective rank lies between 1
/// and min(rows, dim), or is 0 if every row is zero.
///
/// The singular values are square roots of eigenvalues of XᵀX (or XXᵀ, if that matrix is smaller)
/// in f64. Singular values below 10⁻⁸ of the largest are noise of about that size, which moves the
/// result by less than 10⁻³.
///
/// # Errors
/// [`Error::TooFewRows`] without rows, [`Error::TooWide`] if both the number of values in a row and
/// the number of rows are above 4,096.
pub fn rank_me(rows: &dyn Rows) -> Result<f64, Error> {
    let singular: Vec<f64> = spectrum(rows)?.into_iter().map(f64::sqrt).collect();
    Ok(effective_rank(&singular))
}

/// Computes the exponent α with which the eigenvalues of the features' covariance fall, λ_i ∝ i^−α.
/// This is αReQ (Agrawal, Mondal, Ghosh and Richards, "α-ReQ: Assessing Representation Quality in
/// Self-Supervised Learning by Measuring Eigenspectrum Decay", NeurIPS 2022). Values around 1 are
/// considered good. If α is larger, few directions carry most of the variance. If α is smaller,
/// noise counts as much as signal.
///
/// A line is fitted to log λ over log i by least squares, over all eigenvalues above 10⁻⁹ of the
/// largest, because smaller eigenvalues are rounding errors. The result is `None` if there are
/// fewer than two such eigenvalues.
///
/// # Errors
/// The errors of [`rank_me`].
pub fn alpha_req(rows: &dyn Rows) -> Result<Option<f64>, Error> {
    let (count, dim) = (rows.rows(), rows.dim());
    let mut values = vec![0.0; count * dim];
    matrix::read_block(rows, 0..count, &mut values);
    for column in 0..dim {
        let of_column = || (0..count).map(|row| row * dim + column);
        let mean = of_column().map(|at| f64::from(values[at])).sum::<f64>() / count as f64;
        of_column().for_each(|at| values[at] = (f64::from(values[at]) - mean) as f32);
    }
    let eigenvalues = spectrum(&Features::new(count, dim, values)?)?;
    let floor = 1e-9 * eigenvalues.first().copied().unwrap_or(0.0);
    let points: Vec<(f64, f64)> = eigenvalues
        .iter()
        .zip(1..)
        .take_while(|(value, _)| **value > floor)
        .map(|(value, place)| (f64::from(place).ln(), value.ln()))
        .collect();
    if points.len() < 2 {
        return Ok(None);
    }
    let mean =
        |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(&|point| point.0), mean(&|point| point.1));
    let slope = mean(&|point| (point.0 - x) * (point.1 - y)) / mean(&|point| (point.0 - x).powi(2));
    Ok(Some(-slope))
}

/// Computes LiDAR (Thilak, Huang, Saremi, Dinh, Goh, Nakkiran, Susskind and Littwin, "LiDAR:
/// Sensing Linear Probing Performance in Joint Embedding SSL Architectures", ICLR 2024): the
/// effective rank of the differences between images, measured in units of the differences between
/// views of one image. The M = `views_per_image` views of an image are consecutive rows.
///
/// Let Σ_b be the covariance of the mean views, and Σ_w the covariance of views about their image's
/// mean, plus δI with δ = 10⁻⁴. LiDAR is exp(−Σ p log p) with p = λ/Σλ + 10⁻⁷ over the eigenvalues
/// λ of Σ_w^−½ Σ_b Σ_w^−½. It lies between 1 and the dimension, or is 0 if all images have the same
/// mean.
///
/// # Errors
/// [`Error::Views`] if the rows are not whole images of at least two views, [`Error::TooFewRows`]
/// without rows, [`Error::TooWide`] above 4,096 values in a row, or [`Error::Eigen`].
pub fn lidar(views: &dyn Rows, views_per_image: usize) -> Result<f64, Error> {
    const RIDGE: f64 = 1e-4;
    let (rows, dim) = (views.rows(), views.dim());
    if views_per_image < 2 || rows % views_per_image != 0 {
        return Err(Error::Views { rows, views_per_image });
    }
    if rows == 0 {
        return Err(Error::TooFewRows { set: "view", found: 0, needed: 2 });
    }
    let images = rows / views_per_image;
    let read = |row: usize| {
        let mut values = vec![0.0; dim];
        views.read(row, &mut values);
        values.into_iter().map(f64::from)
    };
    let mut means = vec![0.0; images * dim];
    means.par_chunks_mut(dim).enumerate().for_each(|(image, mean)| {
        for row in image * views_per_image..(image + 1) * views_per_image {
            mean.iter_mut()
                .zip(read(row))
                .for_each(|(mean, value)| *mean += value / views_per_image as f64);
        }
    });
    let mut within = matrix::moments(rows, dim, &|row, wide| {
        let mean = &means[row / views_per_image * dim..][..dim];
        wide.iter_mut()
            .zip(read(row))
            .zip(mean)
            .for_each(|((wide, value), mean)| *wide = value - mean);
    })?;
    within.iter_mut().for_each(|sum| *sum /= rows as f64);

    let mut centre = vec![0.0; dim];
    for mean in means.chunks_exact(dim) {
        centre.iter_mut().zip(mean).for_each(|(centre, mean)| *centre += mean / images as f64);
    }
    means
        .chunks_exact_mut(dim)
        .for_each(|mean| mean.iter_mut().zip(&centre).for_each(|(mean, c)| *mean -= c));
    // The rows e_i/√(λ_i + δ) form Σ_w^−½ up to a rotation, which does not change eigenvalues.
    let whitening: Vec<f64> = matrix::leading_eigenpairs(&within, dim, dim)?
        .into_iter()
        .flat_map(|(value, vector)| {
            let scale = (value.max(0.0) + RIDGE).sqrt().recip();
            vector.into_iter().map(move |entry| entry * scale)
        })
        .collect();
    let mut whitened = vec![0.0; images * dim];
    matrix::product_transposed(&mut whitened, &means, &whitening, dim);
    let between = matrix::moments(images, dim, &|row, wide| {
        wide.copy_from_slice(&whitened[row * dim..][..dim])
    })?;
    let eigenvalues: Vec<f64> =
        matrix::eigenvalues(&between, dim)?.into_iter().map(|value| value.max(0.0)).collect();
    Ok(effective_rank(&eigenvalues))
}

/// Computes exp(−Σ p log p) with p = value / Σ values + 10⁻⁷, or 0 if all values are 0.
fn effective_rank(values: &[f64]) -> f64 {
    const EPSILON: f64 = 1e-7;
    let total: f64 = values.iter().sum();
    if total == 0.0 {
        return 0.0;
    }
    let term = |value: &f64| {
        let share = value / total + EPSILON;
        share * share.ln()
    };
    (-values.iter().map(term).sum::<f64>()).exp()
}

/// Computes the squares of the min(rows, dim) singular values, largest first.
fn spectrum(rows: &dyn Rows) -> Result<Vec<f64>, Error> {
    let (count, dim) = (rows.rows(), rows.dim());
    if count == 0 {
        return Err(Error::TooFewRows { set: "feature", found: 0, needed: 1 });
    }
    let mut squares = if count < dim {
        let mut values = vec![0.0; count * dim];
        matrix::read_block(rows, 0..count, &mut values);
        let transposed = (0..count * dim).map(|at| values[at % count * dim + at / count]).collect();
        matrix::eigenvalues(
            &matrix::second_moments(&Features::new(dim, count, transposed)?)?,
            count,
        )?
    } else {
        matrix::eigenvalues(&matrix::second_moments(rows)?, dim)?
    };
    squares.iter_mut().for_each(|value| *value = value.max(0.0));
    Ok(squares)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{in_pool, random};

    fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
    }

    proptest! {
        #[test]
        fn alignment_is_the_mean_over_pairs_of_views(
            images in 1..20_usize, views in 1..6_usize, dim in 1..8_usize, seed in any::<u64>(),
        ) {
            let features = random(images * views, dim, seed);
            let row = |image: usize, view: usize| features.row(image * views + view);
            let mut all = 0.0;
            for image in 0..images {
                for (first, second) in (0..views).flat_map(|first| (0..views).map(move |second| (first, second))) {
                    let distance = squared_distance(row(image, first), row(image, second));
                    all += distance / (images * views * views) as f64;
                }
            }
            let found = alignment(&features, views).unwrap();
            prop_assert!((found - all).abs() < 1e-12);
        }

        #[test]
        fn uniformity_is_the_mean_over_pairs_of_rows(
            rows in prop_oneof![2..40_usize, 250..270_usize, 510..530_usize], dim in 1..8_usize, seed in any::<u64>(),
        ) {
            let features = random(rows, dim, seed);
            let mut directions = vec![0.0; rows * dim];
            matrix::read_block(&Normalised(&features), 0..rows, &mut directions);
            let directions = Features::new(rows, dim, directions).unwrap();
            let mut sum = 0.0;
            for first in 0..rows {
                for second in 0..first {
                    sum += (-2.0 * squared_distance(directions.row(first), directions.row(second))).exp();
                }
            }
            let expected = (sum / (rows * (rows - 1) / 2) as f64).ln();
            prop_assert!((uniformity(&features).unwrap() - expected).abs() < 1e-12);
        }

        #[test]
        fn effective_rank_ignores_scale_and_order(
            rows in 1..30_usize, dim in 1..30_usize, seed in any::<u64>(),
        ) {
            let features = random(rows, dim, seed);
            let rank = rank_me(&features).unwrap();
            // The 10⁻⁷ added to each of at most 30 shares moves the entropy by less than 10⁻⁴.
            prop_assert!(rank > 1.0 - 1e-4 && rank < rows.min(dim) as f64 + 1e-2, "{}", rank);
            let scaled = features.values().iter().map(|value| value * 2_f32.powi(-60)).collect();
            let reversed: Vec<f32> = (0..rows).rev().flat_map(|row| features.row(row).to_vec()).collect();
            for other in [scaled, reversed] {
                let other = rank_me(&Features::new(rows, dim, other).unwrap()).unwrap();
                prop_assert!((rank - other).abs() < 1e-3 * rank);
            }
        }
    }

    #[test]
    fn views_that_coincide_are_aligned_exactly() {
        let views = Features::new(4, 2, [0.1, 1e30].repeat(4)).unwrap();
        // The mean of four equal f64 is exact.
        assert_eq!(alignment(&views, 4), Ok(0.0));
    }

    #[test]
    fn uniformity_has_its_closed_forms() {
        let same = Features::new(3, 2, vec![1.0, 0.0, 2.0, 0.0, 1e30, 0.0]).unwrap();
        assert_eq!(uniformity(&same), Ok(0.0));
        let opposite = Features::new(2, 1, vec![5.0, -1e-30]).unwrap();
        assert!((uniformity(&opposite).unwrap() + 8.0).abs() < 1e-14);
        // In K orthogonal directions, every pair is at squared distance 2.
        let orthogonal = identity(7);
        assert!((uniformity(&orthogonal).unwrap() + 4.0).abs() < 1e-14);
    }

    fn identity(dim: usize) -> Features {
        let values = (0..dim * dim).map(|at| if at / dim == at % dim { 3.0 } else { 0.0 });
        Features::new(dim, dim, values.collect()).unwrap()
    }

    #[test]
    fn effective_rank_has_its_closed_forms() {
        let rank_of = |shares: &[f64]| {
            (-shares.iter().map(|share| (share + 1e-7) * (share + 1e-7).ln()).sum::<f64>()).exp()
        };
        assert!((rank_me(&identity(5)).unwrap() - rank_of(&[0.2; 5])).abs() < 1e-12);
        let diagonal = Features::new(4, 2, vec![3.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]).unwrap();
        assert!((rank_me(&diagonal).unwrap() - rank_of(&[0.75, 0.25])).abs() < 1e-12);
        // A single row of many columns has one singular value, not one per column.
        assert!((rank_me(&random(1, 50, 0)).unwrap() - rank_of(&[1.0])).abs() < 1e-12);
        assert_eq!(rank_me(&Features::new(2, 2, vec![0.0; 4]).unwrap()), Ok(0.0));
        let huge = Features::new(2, 2, vec![f32::MAX, 0.0, 0.0, f32::MAX]).unwrap();
        assert!((rank_me(&huge).unwrap() - rank_of(&[0.5; 2])).abs() < 1e-12);
    }

    #[test]
    fn wide_and_tall_matrices_have_one_rank() {
        let tall = random(40, 7, 5);
        let wide = (0..7 * 40).map(|at| tall.row(at % 40)[at / 40]).collect();
        let wide = Features::new(7, 40, wide).unwrap();
        assert!((rank_me(&tall).unwrap() - rank_me(&wide).unwrap()).abs() < 1e-9);
    }

    /// Rows ±√λ_i e_i have mean 0 and covariance proportional to λ.
    #[test]
    fn decay_of_a_power_law_is_its_exponent() {
        for alpha in [0.5_f64, 1.0, 2.0] {
            let dim = 20;
            let mut values = vec![0.0; 2 * dim * dim];
            for i in 0..dim {
                let root = (i as f64 + 1.0).powf(-alpha / 2.0) as f32;
                (values[2 * i * dim + i], values[(2 * i + 1) * dim + i]) = (root, -root);
            }
            let found = alpha_req(&Features::new(2 * dim, dim, values).unwrap()).unwrap().unwrap();
            assert!((found - alpha).abs() < 1e-5, "{found} for {alpha}");
        }
        assert_eq!(alpha_req(&Features::new(3, 2, vec![1.0; 6]).unwrap()), Ok(None));
        assert!(alpha_req(&random(0, 2, 0)).is_err());
    }

    proptest! {
        #[test]
        fn diameter_is_the_largest_distance(
            images in 1..9_usize, views in 1..6_usize, dim in 1..8_usize, seed in any::<u64>(),
        ) {
            let features = random(images * views, dim, seed);
            let found = diameters(&features, views).unwrap();
            prop_assert_eq!(found.len(), images);
            for (image, diameter) in found.into_iter().enumerate() {
                let rows: Vec<usize> = (image * views..(image + 1) * views).collect();
                let pairs = rows.iter().flat_map(|&a| rows.iter().map(move |&b| (a, b)));
                let largest = pairs.map(|(a, b)| squared_distance(features.row(a), features.row(b))).fold(0.0, f64::max);
                prop_assert!((diameter - largest.sqrt()).abs() < 1e-12);
            }
        }
    }

    /// Computes the eigenvalues of a symmetric matrix by Jacobi's rotations.
    fn jacobi(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
        let n = a.len();
        let mut vectors: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
        for _ in 0..100 {
            for p in 0..n {
                for q in p + 1..n {
                    let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
                    let (sin, cos) = angle.sin_cos();
                    for row in a.iter_mut().chain(&mut vectors) {
                        (row[p], row[q]) =
                            (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
                    }
                    let (above, below) = a.split_at_mut(q);
                    for (first, second) in above[p].iter_mut().zip(&mut below[0]) {
                        (*first, *second) =
                            (cos * *first - sin * *second, sin * *first + cos * *second);
                    }
                }
            }
        }
        ((0..n).map(|i| a[i][i]).collect(), vectors)
    }

    proptest! {
        #[test]
        fn lidar_is_its_definition(
            images in 2..12_usize, views in 2..5_usize, dim in 1..6_usize, seed in any::<u64>(),
        ) {
            let features = random(images * views, dim, seed);
            let value = |image: usize, view: usize, column: usize| f64::from(features.row(image * views + view)[column]);
            let mean = |image: usize, column: usize| {
                (0..views).map(|view| value(image, view, column)).sum::<f64>() / views as f64
            };
            let centre = |column: usize| (0..images).map(|image| mean(image, column)).sum::<f64>() / images as f64;
            let square = |entry: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<f64>> {
                (0..dim).map(|i| (0..dim).map(|j| entry(i, j)).collect()).collect()
            };
            let within = square(&|i, j| {
                let of = |image, view| (value(image, view, i) - mean(image, i)) * (value(image, view, j) - mean(image, j));
                let sum: f64 = (0..images).map(|image| (0..views).map(|view| of(image, view)).sum::<f64>()).sum();
                sum / (images * views) as f64 + if i == j { 1e-4 } else { 0.0 }
            });
            let between = square(&|i, j| {
                let of = |image| (mean(image, i) - centre(i)) * (mean(image, j) - centre(j));
                (0..images).map(of).sum::<f64>() / images as f64
            });
            let (values, vectors) = jacobi(within);
            let root = square(&|i, j| (0..dim).map(|k| vectors[i][k] * vectors[j][k] / values[k].sqrt()).sum());
            let times = |a: &Vec<Vec<f64>>, b: &Vec<Vec<f64>>| square(&|i, j| (0..dim).map(|k| a[i][k] * b[k][j]).sum());
            let (eigenvalues, _) = jacobi(times(&times(&root, &between), &root));
            let total: f64 = eigenvalues.iter().sum();
            let share = |value: &f64| (value / total).max(0.0) + 1e-7;
            let expected = (-eigenvalues.iter().map(|value| share(value) * share(value).ln()).sum::<f64>()).exp();
            // The condition number of Σ_w, at most 1/δ times its largest eigenvalue, is below 10⁵.
            // So 10 of 16 digits remain.
            let found = lidar(&features, views).unwrap();
            prop_assert!((found - expected).abs() < 1e-6 * expected, "{} and not \
                {}", found, expected);
        }
    }

    #[test]
    fn lidar_has_its_closed_form() {
        // The means are ±1 and ±2 along two axes, and the views lie ⅛ to either side of the mean
        // along the first axis. So λ = ½/(1/64 + δ) and 2/δ.
        let means = [[1.0_f32, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]];
        let views = means.iter().flat_map(|[x, y]| [x + 0.125, *y, x - 0.125, *y]).collect();
        let found = lidar(&Features::new(8, 2, views).unwrap(), 2).unwrap();
        let values = [0.5 / (0.125 * 0.125 + 1e-4), 2.0 / 1e-4];
        let share = |value: f64| value / (values[0] + values[1]) + 1e-7;
        let expected =
            (-values.iter().map(|&value| share(value) * share(value).ln()).sum::<f64>()).exp();
        assert!((found - expected).abs() < 1e-9, "{found} and not {expected}");
        assert_eq!(lidar(&Features::new(4, 1, vec![1.0, 2.0, 2.0, 1.0]).unwrap(), 2), Ok(0.0));
        assert_eq!(lidar(&random(3, 2, 0), 1), Err(Error::Views { rows: 3, views_per_image: 1 }));
        assert_eq!(lidar(&random(3, 2, 0), 2), Err(Error::Views { rows: 3, views_per_image: 2 }));
        assert_eq!(
            lidar(&random(0, 2, 0), 2),
            Err(Error::TooFewRows { set: "view", found: 0, needed: 2 })
        );
    }

    #[test]
    fn threads_do_not_matter() {
        let features = random(900, 130, 1);
        let all = || (alignment(&features, 3), uniformity(&features), rank_me(&features));
        assert_eq!(in_pool(1, all), in_pool(3, all));
    }

    #[test]
    fn misuse_is_refused() {
        let (none, three) = (random(0, 2, 0), random(3, 2, 0));
        assert_eq!(
            alignment(&none, 2),
            Err(Error::TooFewRows { set: "view", found: 0, needed: 1 })
        );
        for views_per_image in [0, 2] {
            assert_eq!(
                alignment(&three, views_per_image),
                Err(Error::Views { rows: 3, views_per_image })
            );
        }
        let one = uniformity(&random(1, 2, 0));
        assert_eq!(one, Err(Error::TooFewRows { set: "feature", found: 1, needed: 2 }));
        assert_eq!(rank_me(&none), Err(Error::TooFewRows { set: "feature", found: 0, needed: 1 }));
        assert_eq!(rank_me(&random(4098, 4097, 0)), Err(Error::TooWide { dim: 4097 }));
        assert_eq!(diameters(&three, 2), Err(Error::Views { rows: 3, views_per_image: 2 }));
    }
}
