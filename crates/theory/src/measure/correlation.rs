use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::Centres;
use crate::sum::sum;
use crate::{Error, Views};

/// Maximum length of an embedding. The matrix of that size fills 512 MB.
const MOST: usize = 8192;
/// Number of columns of the matrix that are computed together.
const PANEL: usize = 128;

/// The cross-correlation matrix C_ij = E f_i(x₁) f_j(x₂), with x₁ and x₂ independent views of one
/// image.
///
/// On the finite world it is E over images of m mᵀ, where m is the mean view. It is therefore
/// symmetric and positive semidefinite.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlation {
    dim: usize,
    values: Vec<f64>,
}

/// The two norms of B = Σ p_k μ_k μ_kᵀ that the theory needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Within {
    /// τ' = ‖C − B‖²: the part of the correlation that is within classes.
    pub within: f64,
    /// ‖B − I‖², which is Σ (√(p_k p_ℓ) μ_k·μ_ℓ − δ_kℓ)² + d − K.
    pub from_identity: f64,
}

/// Computes the cross-correlation matrix of standardised embeddings. Time grows with images × dim².
///
/// # Errors
/// [`Error::Form`] unless the views were [standardised](Views::standardised), [`Error::TooWide`]
/// above 8,192 values per row.
pub fn correlation(views: &Views<'_>) -> Result<Correlation, Error> {
    views.check_standardised()?;
    let (images, dim) = (views.images(), views.dim());
    if dim > MOST {
        return Err(Error::TooWide { dim, most: MOST });
    }
    Ok(Correlation { dim, values: second_moments(&views.image_means(), dim, 1.0 / images as f64) })
}

/// Computes `scale` · Σ x xᵀ over the rows x.
fn second_moments(rows: &[f64], dim: usize, scale: f64) -> Vec<f64> {
    let mut moments = vec![0.0; dim * dim];
    let rows = MatRef::from_row_major_slice(rows, rows.len() / dim, dim);
    moments.par_chunks_mut(PANEL * dim).enumerate().for_each(|(panel, out)| {
        let width = out.len() / dim;
        let out = MatMut::from_row_major_slice_mut(out, width, dim);
        matmul(
            out,
            Accum::Replace,
            rows.subcols(panel * PANEL, width).transpose(),
            rows,
            scale,
            Par::Seq,
        );
    });
    moments
}

impl Correlation {
    /// Returns C_ij.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn get(&self, i: usize, j: usize) -> f64 {
        assert!(j < self.dim, "column {j} of {}", self.dim);
        self.values[i * self.dim + j]
    }

    /// Returns d.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Returns tr C, which also follows from the alignment: L_align = 2(d − tr C).
    pub fn trace(&self) -> f64 {
        sum((0..self.dim).map(|i| self.get(i, i)))
    }

    /// Returns L_1 = Σ (1 − C_ii)².
    pub fn l1(&self) -> f64 {
        sum((0..self.dim).map(|i| (1.0 - self.get(i, i)).powi(2)))
    }

    /// Returns L_2 = ‖C − I‖².
    pub fn l2(&self) -> f64 {
        self.off_identity(&self.values)
    }

    /// Returns ‖X − I‖² of a matrix X of the same size.
    fn off_identity(&self, values: &[f64]) -> f64 {
        let identity = |at: usize| f64::from(u8::from(at / self.dim == at % self.dim));
        sum(values.iter().enumerate().map(|(at, value)| (value - identity(at)).powi(2)))
    }

    /// Returns the loss Σ (1 − C_ii)² + λ Σ_{i≠j} C_ij² = (1 − λ) L_1 + λ L_2.
    pub fn loss(&self, lambda: f64) -> f64 {
        (1.0 - lambda) * self.l1() + lambda * self.l2()
    }

    /// Splits the correlation into the part between classes, B = Σ p_k μ_k μ_kᵀ, and the rest,
    /// which is within classes.
    ///
    /// # Errors
    /// [`Error::Count`] if the centres are not as wide as the matrix.
    pub fn within_classes(&self, centres: &Centres) -> Result<Within, Error> {
        if centres.centre(0).len() != self.dim {
            return Err(Error::Count {
                what: "values a centre",
                given: centres.centre(0).len(),
                expected: self.dim,
            });
        }
        let weighted = |k: usize| {
            centres.centre(k).iter().map(move |value| value * centres.masses()[k].sqrt())
        };
        let rows: Vec<f64> = (0..centres.classes()).flat_map(weighted).collect();
        let between = second_moments(&rows, self.dim, 1.0);
        let within =
            sum(self.values.iter().zip(&between).map(|(all, between)| (all - between).powi(2)));
        Ok(Within { within, from_identity: self.off_identity(&between) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Labels, Values, measure};

    proptest! {
        #[test]
        fn identities(m in 1..4_usize, dim in 1..6_usize, classes in 1..4_usize, lambda in 0.0..2.0,
            values in prop::collection::vec(-1.0..1.0, 60..200)
        ) {
            let images = values.len() / (m * dim);
            let values = &values[..images * m * dim];
            let views = Views::new(images, m, dim, Values::F64(values)).unwrap().standardised().unwrap();
            let found = correlation(&views).unwrap();
            let block = views.block(0..views.rows());
            let entry = |i: usize, j: usize| {
                let pairs = (0..images * m * m).map(|at| {
                    let (image, first, second) = (at / (m * m), at / m % m, at % m);
                    block[(image * m + first) * dim + i] * block[(image * m + second) * dim + j]
                });
                pairs.sum::<f64>() / (images * m * m) as f64
            };
            let mut loss = 0.0;
            for (i, j) in (0..dim * dim).map(|at| (at / dim, at % dim)) {
                prop_assert!((found.get(i, j) - entry(i, j)).abs() < 1e-12);
                loss += if i == j { (1.0 - entry(i, i)).powi(2) } else { lambda * entry(i, j).powi(2) };
            }
            prop_assert!((found.loss(lambda) - loss).abs() <= 1e-10 * (1.0 + loss));

            // L_align = 2(d − tr C), which is at most 2√(d L_1).
            let (d, align) = (dim as f64, measure::alignment(&views).finite);
            prop_assert!((align - 2.0 * (d - found.trace())).abs() <= 1e-10 * d);
            prop_assert!(align <= 2.0 * (d * found.l1()).sqrt() + 1e-10 * d);

            // ‖Σ p μ μᵀ − I‖² = Σ (√(p_k p_ℓ) μ_k·μ_ℓ − δ_kℓ)² + d − K.
            let labels = Labels::new((0..images).map(|image| (image % classes) as u32).collect(), classes).unwrap();
            let centres = measure::centres(&views, &labels).unwrap();
            let p = centres.masses();
            let gram = |k: usize, l: usize| (p[k] * p[l]).sqrt() * centres.product(k, l) - f64::from(u8::from(k == l));
            let right: f64 = (0..classes * classes).map(|at| gram(at / classes, at % classes).powi(2)).sum();
            let between = |i: usize, j: usize| (0..classes).map(|k| p[k] * centres.centre(k)[i] * centres.centre(k)[j]).sum::<f64>();
            let (mut left, mut within) = (0.0, 0.0);
            for (i, j) in (0..dim * dim).map(|at| (at / dim, at % dim)) {
                left += (between(i, j) - f64::from(u8::from(i == j))).powi(2);
                within += (found.get(i, j) - between(i, j)).powi(2);
            }
            prop_assert!((left - (right + d - classes as f64)).abs() <= 1e-10 * left.max(d));
            let by_classes = found.within_classes(&centres).unwrap();
            prop_assert!((by_classes.within - within).abs() <= 1e-10 * (1.0 + within));
            prop_assert!((by_classes.from_identity - left).abs() <= 1e-10 * left.max(d));
        }
    }

    #[test]
    fn misuse_is_refused() {
        let views = Views::new(2, 1, 1, &[0.0_f32, 1.0]).unwrap();
        assert!(matches!(correlation(&views), Err(Error::Form { .. })));
        let found = correlation(&views.standardised().unwrap()).unwrap();
        assert_eq!((found.get(0, 0), found.l1(), found.l2()), (1.0, 0.0, 0.0));
        let wide = Views::new(2, 1, 2, &[0.0_f32, 1.0, 1.0, 0.0]).unwrap();
        let centres = measure::centres(&wide, &Labels::new(vec![0, 1], 2).unwrap()).unwrap();
        assert!(found.within_classes(&centres).is_err());
    }
}
