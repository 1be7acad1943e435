//! Divergence from the cross-correlation losses, E f_i = 0 and E f_i² = 1: upper bounds on μ_k·μ_ℓ
//! from ‖C − I‖².
//!
//! With B = Σ p_k μ_k μ_kᵀ, the identity ‖B − I‖² = Σ_{k,ℓ} (√(p_k p_ℓ) μ_k·μ_ℓ − δ_kℓ)² + d − K
//! turns a bound on ‖B − I‖ ≤ √L_2 + √τ', τ' = ‖C − B‖², into one on the products. Products are in
//! units of r² = d here.
//!
//! Each norm, and the products in the end, are raised by [`MARGIN`]·d, so that rounding never takes
//! a bound below the products that are measured. That suffices for N images and K classes of d
//! values up to 200,000 each. With u = 2⁻⁵³, to first order, and in the Frobenius norm:
//! - C is a mean of N products whose factors have second moments of at most 1, so each entry has an
//!   error of (N + 4)u, and its norm has an error of (N + 4)u·d. Similarly, the error of B is (K +
//!   8)u·d, because Σ p_k μ_k μ_kᵀ has a trace of at most d;
//! - the errors of the entries √(p_k p_ℓ) μ_k·μ_ℓ are (d + 8)u √(p_k p_ℓ)‖μ_k‖‖μ_ℓ‖, and their norm
//!   is (d + 8)u·d, for the same reason;
//! - coordinates have a mean of 0 to within 4u of their deviation, so the error of Σ p_k μ_k is
//!   4u√d, which changes each product by 8u√d ‖μ_k‖ and the norm of the entries by 8u·d.
//!
//! None of these identities needs second moments of exactly 1.

use super::certificate::MARGIN;
use crate::Error;

/// Measurements of the whole world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    l2: f64,
    within: f64,
    dim: f64,
    classes: f64,
}

impl Measured {
    /// Takes L_2 = ‖C − I‖² ([`l2`](crate::measure::Correlation::l2)), τ' = ‖C − B‖²
    /// ([`within_classes`](crate::measure::Correlation::within_classes)), d and K.
    ///
    /// # Errors
    /// [`Error::Range`] for a number that is outside its range.
    pub fn new(l2: f64, within: f64, dim: usize, classes: usize) -> Result<Self, Error> {
        Error::range(l2 >= 0.0 && l2.is_finite(), "L_2", l2, "0 or more, and finite")?;
        Error::range(within >= 0.0 && within.is_finite(), "τ'", within, "0 or more, and finite")?;
        Error::range(dim > 0, "d", dim as f64, "at least 1")?;
        Error::range(classes > 0, "K", classes as f64, "at least 1")?;
        Ok(Self { l2, within, dim: dim as f64, classes: classes as f64 })
    }

    /// Returns the largest rounding error of a norm of a d × d matrix.
    fn rounding(&self) -> f64 {
        MARGIN * self.dim
    }

    /// Returns (√L_2 + √τ')², an upper bound on ‖B − I‖².
    fn between(&self) -> f64 {
        (self.l2.sqrt() + self.within.sqrt() + self.rounding()).powi(2)
    }

    /// Returns the x ≥ 0 with `weight` · x² = `room`, raised above rounding.
    fn root(&self, room: f64, weight: f64) -> f64 {
        (room.max(0.0).sqrt() + self.rounding()) / weight.sqrt()
    }

    /// Bounds μ_k·μ_ℓ ≤ √((2/(p_k p_ℓ))(L_2 + τ' − (d − K)/2)), Huang et al. (ICLR 2023).
    ///
    /// # Errors
    /// [`Error::Range`] for a mass outside (0, 1].
    pub fn published(&self, masses: [f64; 2]) -> Result<f64, Error> {
        let twice = 2.0
            * [self.l2, self.within]
                .map(|norm2| (norm2.sqrt() + self.rounding()).powi(2))
                .iter()
                .sum::<f64>();
        Ok(self.root(twice - (self.dim - self.classes), weight(masses)?))
    }

    /// Bounds |μ_k·μ_ℓ| ≤ √(((√L_2 + √τ')² − (d − K)) / (2 p_k p_ℓ)). It is sharper because it uses
    /// the triangle inequality on the norms rather than on their squares, and both (k, ℓ) and (ℓ,
    /// k) in the sum.
    ///
    /// # Errors
    /// The errors of [`published`](Self::published).
    pub fn sharper(&self, masses: [f64; 2]) -> Result<f64, Error> {
        Ok(self.root(self.between() - (self.dim - self.classes), 2.0 * weight(masses)?))
    }

    /// Bounds μ_k·μ_ℓ ≤ √(((√L_2 + √τ')² − (d − K + 1)) / (2 p_k p_ℓ)) − 1. It is never weaker than
    /// [`sharper`](Self::sharper).
    ///
    /// Coordinates of mean 0 make Σ p_k μ_k = 0, so the Gram matrix (√(p_k p_ℓ) μ_k·μ_ℓ) has the
    /// null vector u = (√p_k). The Gram matrix minus I − uuᵀ still has this null vector, and the
    /// identity becomes ‖B − I‖² = Σ p_k p_ℓ (μ_k·μ_ℓ + 1)² (off the diagonal) + … + d − K + 1. So
    /// the products are pulled to −1, the products of the simplex, not to 0.
    ///
    /// # Errors
    /// The errors of [`published`](Self::published).
    pub fn centred(&self, masses: [f64; 2]) -> Result<f64, Error> {
        let room = self.between() - (self.dim - self.classes + 1.0);
        Ok(self.root(room, 2.0 * weight(masses)?) - 1.0)
    }

    /// Bounds the root of the mean of (μ_k·μ_ℓ + 1)² over pairs of different classes, weighted by
    /// p_k p_ℓ. This is the informative bound. Returns `None` for a single class.
    ///
    /// `classes` holds p_k and ‖μ_k‖² of each class. They account for the diagonal of the sum:
    /// p_k‖μ_k‖² − (1 − p_k).
    ///
    /// # Errors
    /// [`Error::Count`] unless there are K classes, [`Error::Range`] for a mass outside (0, 1].
    pub fn average(&self, classes: &[(f64, f64)]) -> Result<Option<f64>, Error> {
        if classes.len() as f64 != self.classes {
            let expected = self.classes as usize;
            return Err(Error::Count { what: "masses and norms", given: classes.len(), expected });
        }
        for &(mass, _) in classes {
            weight([mass, 1.0])?;
        }
        let diagonal: f64 =
            classes.iter().map(|(mass, norm2)| (mass * norm2 - (1.0 - mass)).powi(2)).sum();
        let pairs: f64 = classes.iter().map(|(mass, _)| mass * (1.0 - mass)).sum();
        let least = (diagonal.sqrt() - self.rounding()).max(0.0).powi(2);
        let room = self.between() - (self.dim - self.classes + 1.0) - least;
        Ok((classes.len() > 1 && pairs > 0.0).then(|| self.root(room, pairs)))
    }
}

fn weight(masses: [f64; 2]) -> Result<f64, Error> {
    for mass in masses {
        Error::range(mass > 0.0 && mass <= 1.0, "mass", mass, "above 0 and at most 1")?;
    }
    Ok(masses[0] * masses[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One coordinate, two classes of one point each: ±1. C = 1, and only the centred bound reaches
    /// the product −1.
    #[test]
    fn two_points() {
        let world = Measured::new(0.0, 0.0, 1, 2).unwrap();
        let masses = [0.5, 0.5];
        let average = world.average(&[(0.5, 1.0), (0.5, 1.0)]).unwrap().unwrap();
        let found = [world.published(masses), world.sharper(masses), world.centred(masses)]
            .map(Result::unwrap);
        for (bound, exact) in
            found.into_iter().zip([2.0, 2.0_f64.sqrt(), -1.0]).chain([(average, 0.0)])
        {
            assert_above(bound, exact, 1, 0.25);
        }
    }

    /// The margin is at most the margin of three norms, divided by the root of the weight.
    fn assert_above(bound: f64, exact: f64, dim: usize, weight: f64) {
        let margin = 3.0 * MARGIN * dim as f64 / f64::sqrt(weight);
        assert!(bound > exact && bound < exact + margin, "{bound} and not {exact}");
    }

    /// K equal classes collapsed to the simplex in d = K − 1 coordinates: ‖μ‖² = K − 1, products
    /// −1, C = I.
    #[test]
    fn simplex() {
        for k in 2..9_usize {
            let (mass, world) = (1.0 / k as f64, Measured::new(0.0, 0.0, k - 1, k).unwrap());
            assert_above(world.centred([mass, mass]).unwrap(), -1.0, k - 1, mass * mass);
            let average = world.average(&vec![(mass, k as f64 - 1.0); k]).unwrap().unwrap();
            assert_above(average, 0.0, k - 1, 1.0 - mass);
        }
    }

    #[test]
    fn each_is_at_least_as_sharp_as_the_last() {
        for (l2, within) in [(0.3, 0.1), (8.0, 5.0), (100.0, 3.0), (600.0, 590.0)] {
            let world = Measured::new(l2, within, 12, 4).unwrap();
            let masses = [0.1, 0.25];
            let (published, sharper, centred) = (
                world.published(masses).unwrap(),
                world.sharper(masses).unwrap(),
                world.centred(masses).unwrap(),
            );
            assert!(sharper <= published && centred <= sharper, "{published} {sharper} {centred}");
        }
    }

    #[test]
    fn misuse_is_refused() {
        assert!(Measured::new(-1.0, 0.0, 1, 1).is_err());
        assert!(Measured::new(0.0, f64::NAN, 1, 1).is_err());
        assert!(Measured::new(0.0, 0.0, 0, 1).is_err());
        assert!(Measured::new(0.0, 0.0, 1, 0).is_err());
        let world = Measured::new(1.0, 1.0, 2, 2).unwrap();
        assert!(world.sharper([0.0, 0.5]).is_err());
        assert!(world.average(&[(1.0, 1.0)]).is_err());
        assert_eq!(Measured::new(1.0, 1.0, 2, 1).unwrap().average(&[(1.0, 0.0)]), Ok(None));
    }
}
