use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::sum::{Sum, dot, squared_distance, sum};
use crate::{Error, Labels, Views};

/// Number of rows classified together: enough to fill a register tile, few enough to stay in a
/// cache.
const BLOCK: usize = 128;

/// The class centres μ_k = E over x in C_k and x' in A(x) of f(x'), with the quantities that the
/// theory derives from them.
#[derive(Debug, Clone, PartialEq)]
pub struct Centres {
    dim: usize,
    values: Vec<f64>,
    products: Vec<f64>,
    masses: Vec<f64>,
}

/// The error of the nearest-centre classifier G_f(x) = argmin_k ‖f(x) − μ_k‖. It is linear, with
/// rows μ_k and biases −½‖μ_k‖².
#[derive(Debug, Clone, PartialEq)]
pub struct Errors {
    /// For each class, the share of its images whose original (view 0) is assigned to another
    /// class.
    pub of_class: Vec<f64>,
    /// Err(G_f): the share of all images whose original is assigned to another class.
    pub overall: f64,
    /// The share of images with any view that is assigned to another class. The error bound covers
    /// this too: its proof only uses that x is one of its own views.
    pub any_view: f64,
}

/// Computes the centre of each class, with compensated sums.
///
/// # Errors
/// [`Error::Count`] unless there is one label per image.
///
/// ```
/// use selfsame_theory::{Labels, Views, measure};
///
/// let views = Views::new(2, 2, 1, &[0.0_f32, 2.0, 5.0, 6.0])?;
/// let centres = measure::centres(&views, &Labels::new(vec![0, 1], 2)?)?;
/// assert_eq!((centres.centre(0), centres.product(0, 1)), (&[1.0][..], 5.5));
/// # Ok::<(), selfsame_theory::Error>(())
/// ```
pub fn centres(views: &Views<'_>, labels: &Labels) -> Result<Centres, Error> {
    views.check_labels(labels)?;
    let (classes, dim) = (labels.classes(), views.dim());
    let mut sums = vec![Sum::default(); classes * dim];
    let mut row = vec![0.0; dim];
    for (image, &label) in labels.of_image().iter().enumerate() {
        for view in 0..views.views() {
            views.read(image * views.views() + view, &mut row);
            let of_class = &mut sums[label as usize * dim..][..dim];
            of_class.iter_mut().zip(&row).for_each(|(sum, &value)| sum.add(value));
        }
    }
    let weight = |class: usize| (labels.counts()[class] * views.views()) as f64;
    let values: Vec<f64> =
        sums.into_iter().enumerate().map(|(at, sum)| sum.value() / weight(at / dim)).collect();
    let centre = |class: usize| &values[class * dim..][..dim];
    let products =
        (0..classes * classes).map(|at| dot(centre(at / classes), centre(at % classes))).collect();
    Ok(Centres { dim, products, masses: labels.masses(), values })
}

impl Centres {
    /// Returns K, the number of classes.
    pub fn classes(&self) -> usize {
        self.masses.len()
    }

    /// Returns the masses p_k.
    pub fn masses(&self) -> &[f64] {
        &self.masses
    }

    /// Returns μ_k.
    ///
    /// # Panics
    /// If there is no class `k`.
    pub fn centre(&self, k: usize) -> &[f64] {
        &self.values[k * self.dim..][..self.dim]
    }

    /// Returns all μ_k·μ_ℓ, K × K. The diagonal has ‖μ_k‖²; the rest is the divergence, where
    /// smaller is better.
    pub fn products(&self) -> &[f64] {
        &self.products
    }

    /// Returns μ_k·μ_ℓ.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn product(&self, k: usize, l: usize) -> f64 {
        assert!(l < self.classes(), "class {l} of {}", self.classes());
        self.products[k * self.classes() + l]
    }

    /// Computes Δ_μ = 1 − min_k ‖μ_k‖²/r².
    pub fn shortfall(&self, radius: f64) -> f64 {
        let norms = (0..self.classes()).map(|k| self.product(k, k));
        1.0 - norms.fold(f64::INFINITY, f64::min) / (radius * radius)
    }

    /// Returns the mean of μ_k·μ_ℓ over pairs of different classes, weighted by p_k p_ℓ, or `None`
    /// for a single class.
    pub fn mean_divergence(&self) -> Option<f64> {
        let pairs = || {
            (0..self.products.len())
                .map(|at| (at / self.classes(), at % self.classes()))
                .filter(|(k, l)| k != l)
        };
        let weight = sum(pairs().map(|(k, l)| self.masses[k] * self.masses[l]));
        let weighted =
            sum(pairs().map(|(k, l)| self.masses[k] * self.masses[l] * self.product(k, l)));
        (self.classes() > 1).then(|| weighted / weight)
    }

    /// Returns the class with the nearest centre for each row. If centres are equally near, the
    /// lowest class counts. Time grows with rows × classes × dim.
    ///
    /// # Errors
    /// [`Error::Count`] if the rows are not as wide as the centres.
    pub fn classify(&self, views: &Views<'_>) -> Result<Vec<u32>, Error> {
        if views.dim() != self.dim {
            return Err(Error::Count {
                what: "values a row",
                given: views.dim(),
                expected: self.dim,
            });
        }
        let (classes, dim) = (self.classes(), self.dim);
        let biases: Vec<f64> = (0..classes).map(|k| 0.5 * self.product(k, k)).collect();
        let blocks: Vec<usize> = (0..views.rows()).step_by(BLOCK).collect();
        let of_block = |start: usize| {
            let rows = views.block(start..views.rows().min(start + BLOCK));
            let count = rows.len() / dim;
            let mut scores = vec![0.0; count * classes];
            let centres = MatRef::from_row_major_slice(&self.values, classes, dim);
            let out = MatMut::from_row_major_slice_mut(&mut scores, count, classes);
            let rows = MatRef::from_row_major_slice(&rows, count, dim);
            matmul(out, Accum::Replace, rows, centres.transpose(), 1.0, Par::Seq);
            let best = |scores: &[f64]| {
                let mut best = 0;
                for class in 1..classes {
                    if scores[class] - biases[class] > scores[best] - biases[best] {
                        best = class;
                    }
                }
                best as u32
            };
            scores.chunks_exact(classes).map(best).collect::<Vec<u32>>()
        };
        Ok(blocks.into_par_iter().flat_map_iter(of_block).collect())
    }

    /// Computes the error of the nearest-centre classifier on `views`.
    ///
    /// # Errors
    /// [`Error::Count`] unless there is one label per image, and the rows are as wide as the
    /// centres.
    pub fn errors(&self, views: &Views<'_>, labels: &Labels) -> Result<Errors, Error> {
        views.check_labels(labels)?;
        if labels.classes() != self.classes() {
            return Err(Error::Count {
                what: "classes",
                given: labels.classes(),
                expected: self.classes(),
            });
        }
        let predicted = self.classify(views)?;
        let mut wrong = vec![0_usize; self.classes()];
        let mut any_view = 0_usize;
        for (&label, predicted) in
            labels.of_image().iter().zip(predicted.chunks_exact(views.views()))
        {
            wrong[label as usize] += usize::from(predicted[0] != label);
            any_view += usize::from(predicted.iter().any(|&class| class != label));
        }
        let of_class = wrong
            .iter()
            .zip(labels.counts())
            .map(|(&wrong, &count)| wrong as f64 / count as f64)
            .collect();
        let images = views.images() as f64;
        let overall = wrong.iter().sum::<usize>() as f64 / images;
        Ok(Errors { of_class, overall, any_view: any_view as f64 / images })
    }

    /// Estimates the error on images that the centres were not computed from. Also returns the
    /// number of images that the estimate is based on. Each original is classified with its own
    /// views left out of the centre of its class.
    ///
    /// In many dimensions, a centre of few images remembers them: [`errors`](Self::errors) may then
    /// be 0 while this error is at chance level. Images that are alone in their class are skipped.
    /// Returns `None` if all images are skipped.
    ///
    /// # Errors
    /// The errors of [`errors`](Self::errors).
    pub fn error_left_out(
        &self,
        views: &Views<'_>,
        labels: &Labels,
    ) -> Result<Option<(f64, usize)>, Error> {
        views.check_labels(labels)?;
        if labels.classes() != self.classes() || views.dim() != self.dim {
            let [given, expected] = [labels.classes(), self.classes()];
            return Err(Error::Count { what: "classes, or values a row,", given, expected });
        }
        let m = views.views();
        let wrong = |(image, &label): (usize, &u32)| {
            let count = labels.counts()[label as usize] as f64;
            if count < 2.0 {
                return None;
            }
            let (mut original, mut row, mut mean) =
                (vec![0.0; self.dim], vec![0.0; self.dim], vec![0.0; self.dim]);
            views.read(image * m, &mut original);
            for view in 0..m {
                views.read(image * m + view, &mut row);
                mean.iter_mut().zip(&row).for_each(|(mean, value)| *mean += value / m as f64);
            }
            let centre = self.centre(label as usize).iter().zip(&mean);
            let without: Vec<f64> =
                centre.map(|(centre, mean)| (count * centre - mean) / (count - 1.0)).collect();
            let least = squared_distance(&original, &without);
            let distance = |class: u32| squared_distance(&original, self.centre(class as usize));
            // If centres are equally near, the lowest class counts.
            let nearer = |class: u32| {
                if class < label { distance(class) <= least } else { distance(class) < least }
            };
            Some((0..self.classes() as u32).any(|class| class != label && nearer(class)))
        };
        let outcomes: Vec<bool> =
            labels.of_image().par_iter().enumerate().filter_map(wrong).collect();
        let errors = outcomes.iter().filter(|&&wrong| wrong).count();
        Ok((!outcomes.is_empty()).then(|| (errors as f64 / outcomes.len() as f64, outcomes.len())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Values;

    proptest! {
        #[test]
        fn centres_and_errors_match_their_definitions(
            m in 1..4_usize, dim in 1..5_usize, classes in 1..4_usize, values in prop::collection::vec(-1.0..1.0, 40..200),
        ) {
            let images = values.len() / (m * dim);
            prop_assume!(images >= classes);
            let values = &values[..images * m * dim];
            let views = Views::new(images, m, dim, Values::F64(values)).unwrap();
            let of_image: Vec<u32> = (0..images).map(|image| (image % classes) as u32).collect();
            let labels = Labels::new(of_image.clone(), classes).unwrap();
            let found = centres(&views, &labels).unwrap();
            let row = |image: usize, view: usize| &values[(image * m + view) * dim..][..dim];
            for k in 0..classes {
                let members: Vec<usize> = (0..images).filter(|image| image % classes == k).collect();
                for column in 0..dim {
                    let all = members.iter().flat_map(|&image| (0..m).map(move |view| row(image, view)[column]));
                    let expected = all.sum::<f64>() / (members.len() * m) as f64;
                    prop_assert!((found.centre(k)[column] - expected).abs() < 1e-13);
                }
            }
            for (index, class) in found.classify(&views).unwrap().into_iter().enumerate() {
                let distance = |k| squared_distance(&values[index * dim..][..dim], found.centre(k));
                let least = (0..classes).map(distance).fold(f64::INFINITY, f64::min);
                prop_assert!(distance(class as usize) <= least + 1e-12);
            }
            let errors = found.errors(&views, &labels).unwrap();
            let shares = errors.of_class.iter().zip(found.masses()).map(|(error, mass)| error * mass);
            prop_assert!((shares.sum::<f64>() - errors.overall).abs() < 1e-12 && errors.any_view >= errors.overall);
            // For each image that is left out, the centres are recomputed.
            let left_out: Vec<bool> = (0..images)
                .filter(|image| (0..images).any(|other| other != *image && other % classes == image % classes))
                .map(|image| {
                    let distance = |k: usize| {
                        let members: Vec<usize> = (0..images).filter(|&i| i % classes == k && i != image).collect();
                        let column = |column: usize| {
                            let all = members.iter().flat_map(|&i| (0..m).map(move |view| row(i, view)[column]));
                            all.sum::<f64>() / (members.len() * m) as f64
                        };
                        squared_distance(row(image, 0), &(0..dim).map(column).collect::<Vec<f64>>())
                    };
                    (0..classes).any(|k| k != image % classes && distance(k) < distance(image % classes))
                })
                .collect();
            let wrong = left_out.iter().filter(|&&wrong| wrong).count() as f64;
            match found.error_left_out(&views, &labels).unwrap() {
                Some((error, count)) => {
                    prop_assert_eq!(count, left_out.len());
                    // Random values never have the same distance to two centres.
                    prop_assert!((error - wrong / count as f64).abs() < 1e-12);
                }
                None => prop_assert!(left_out.is_empty()),
            }
            // Σ p_k p_ℓ μ_k·μ_ℓ = ‖E f‖², in which the diagonal is Σ p_k² ‖μ_k‖².
            let p = found.masses();
            let diagonal: f64 = (0..classes).map(|k| p[k] * p[k] * found.product(k, k)).sum();
            let weight = 1.0 - p.iter().map(|p| p * p).sum::<f64>();
            let mean = found.mean_divergence().unwrap_or(0.0);
            prop_assert!((weight * mean + diagonal - views.mean_norm2()).abs() < 1e-12);
        }
    }

    /// K unit vectors with products −1/(K − 1): the most divergent centres of equal masses.
    #[test]
    fn simplex() {
        for k in 2..7 {
            let scale = (k as f64 / (k as f64 - 1.0)).sqrt();
            let value =
                |at: usize| scale * (f64::from(u8::from(at / k == at % k)) - 1.0 / k as f64);
            let values: Vec<f64> = (0..k * k).map(value).collect();
            let views = Views::new(k, 1, k, Values::F64(&values)).unwrap().on_sphere().unwrap();
            let labels = Labels::new((0..k as u32).collect(), k).unwrap();
            let found = centres(&views, &labels).unwrap();
            let expected = -1.0 / (k as f64 - 1.0);
            for at in (0..k * k).filter(|at| at / k != at % k) {
                assert!((found.products()[at] - expected).abs() < 1e-14);
            }
            assert!((found.mean_divergence().unwrap() - expected).abs() < 1e-14);
            assert!(found.shortfall(1.0).abs() < 1e-14 && views.mean_norm2() < 1e-28);
            assert_eq!(found.errors(&views, &labels).unwrap().any_view, 0.0);
        }
    }

    #[test]
    fn misuse_is_refused() {
        let views = Views::new(2, 1, 1, &[0.0_f32, 1.0]).unwrap();
        let other = Labels::new(vec![0, 0, 0], 1).unwrap();
        assert!(centres(&views, &other).is_err());
        let labels = Labels::new(vec![0, 0], 1).unwrap();
        let found = centres(&views, &labels).unwrap();
        assert_eq!(found.mean_divergence(), None);
        let wide = Views::new(1, 1, 2, &[0.0_f32, 1.0]).unwrap();
        assert_eq!(
            found.classify(&wide),
            Err(Error::Count { what: "values a row", given: 2, expected: 1 })
        );
        assert!(found.errors(&views, &Labels::new(vec![0, 1], 2).unwrap()).is_err());
    }
}
