//! Bounds on R_ε, the share of images whose views f spreads over more than ε, from the alignment.

use serde::{Deserialize, Serialize};

use super::certificate::MARGIN;
use crate::Error;

/// Bounds R_ε ≤ M · L_align / ε² for M views per image, exactly for the finite world. An image with
/// two views more than ε apart has an alignment above ε²/M (the alignment is smallest if the other
/// views lie between these two), and Markov's inequality counts such images.
///
/// The bound is raised by [`MARGIN`] of itself. Sums of squared differences of d values and M views
/// have a relative error of (2d + M + 16)·2⁻⁵³, and so have ε² and the squared diameters that it is
/// compared with.
///
/// # Errors
/// [`Error::Range`] for an ε that is not positive, a negative alignment, or no views.
///
/// ```
/// use selfsame_theory::bounds::spread;
///
/// let bound = spread::finite(0.01, 4, 0.5)?;
/// assert!(bound > 0.16 && bound < 0.16 + 1e-10);
/// # Ok::<(), selfsame_theory::Error>(())
/// ```
pub fn finite(alignment: f64, views: usize, epsilon: f64) -> Result<f64, Error> {
    check_alignment(alignment)?;
    Error::range(epsilon > 0.0 && epsilon.is_finite(), "ε", epsilon, "positive and finite")?;
    Error::range(views > 0, "views an image", views as f64, "at least 1")?;
    // Divide twice, because ε² of a tiny ε is 0.
    Ok((views as f64 * alignment / epsilon / epsilon * (1.0 + MARGIN)).min(1.0))
}

/// The transformations that produce views, as in theorem 2 of Huang et al. (ICLR 2023): with
/// probability one half, one of `discrete` transformations; otherwise one with `continuous`
/// parameters in [0, 1]ⁿ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Transformations {
    /// m, the number of discrete transformations.
    pub discrete: u32,
    /// n, the number of continuous parameters.
    pub continuous: u32,
    /// M, the largest distance that a view moves per unit of the parameters, in the units of d_A.
    pub lipschitz: f64,
}

/// η(ε) of R_ε ≤ η(ε) √L_align, as a logarithm, because η(ε) usually exceeds the range of f64.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// log η(ε).
    pub ln_eta: f64,
    /// The h at which η(ε) is reached: the side of the cells that divide the parameters.
    pub h: f64,
}

impl Rate {
    /// Returns the log of η(ε) √L_align, or `None` for an alignment of 0, which makes R_ε 0.
    ///
    /// # Errors
    /// [`Error::Range`] for a negative alignment.
    pub fn ln_bound(&self, alignment: f64) -> Result<Option<f64>, Error> {
        check_alignment(alignment)?;
        Ok((alignment > 0.0).then(|| self.ln_eta + 0.5 * alignment.ln()))
    }
}

impl Transformations {
    /// Computes η(ε) = inf over 0 < h < ε/(2√n L M) of 4 max(1, m² h^{2n}) / (h^{2n} (ε − 2√n L M
    /// h)), as printed, but only for h up to 1. A cell is no larger than [0, 1]ⁿ, and without
    /// discrete transformations the printed formula would continue to improve with larger h.
    /// `lipschitz` is L, the constant of the encoder.
    ///
    /// # Errors
    /// [`Error::Range`] for an ε that is not positive, or a negative or infinite constant.
    pub fn published(&self, epsilon: f64, lipschitz: f64) -> Result<Rate, Error> {
        let slope = self.slope(epsilon, lipschitz)?;
        let at = |h: f64| self.ln_rate(epsilon, slope, h);
        let n = f64::from(self.continuous);
        if n == 0.0 {
            return Ok(Rate { ln_eta: at(1.0), h: 1.0 });
        }
        let limit = if slope > 0.0 { (epsilon / slope).min(1.0) } else { 1.0 };
        // While h^{2n} is the deciding factor, h^{2n}(ε − slope·h) is largest at 2nε/((2n + 1)
        // slope). From m h^n = 1 on, only the second factor remains, and it decreases. So the
        // infimum is at one of these two points, or at 1.
        let interior =
            if slope > 0.0 { 2.0 * n / (2.0 * n + 1.0) * (epsilon / slope) } else { 1.0 };
        let kink = (-f64::from(self.discrete.max(1)).ln() / n).exp();
        let h = interior.min(kink).min(1.0).min(limit);
        Ok(Rate { ln_eta: at(h), h })
    }

    /// Returns 2√n L M, the distance by which the views of a cell may spread per unit of its side.
    fn slope(&self, epsilon: f64, lipschitz: f64) -> Result<f64, Error> {
        Error::range(epsilon > 0.0 && epsilon.is_finite(), "ε", epsilon, "positive and finite")?;
        for (name, value) in [("L", lipschitz), ("M", self.lipschitz)] {
            Error::range(value >= 0.0 && value.is_finite(), name, value, "0 or more, and finite")?;
        }
        let slope = 2.0 * f64::from(self.continuous).sqrt() * lipschitz * self.lipschitz;
        Error::range(slope.is_finite(), "2√n L M", slope, "finite")?;
        Ok(slope)
    }

    /// Returns the log of 4 max(1, m² h^{2n}) / (h^{2n} (ε − slope·h)), or ∞ if the last factor is
    /// not positive.
    fn ln_rate(&self, epsilon: f64, slope: f64, h: f64) -> f64 {
        let room = epsilon - slope * h;
        if room <= 0.0 {
            return f64::INFINITY;
        }
        let (ln_m, ln_cells) =
            (f64::from(self.discrete).ln(), -f64::from(self.continuous) * h.ln());
        // ln 0 = −∞ is less than the logarithm of any number of cells.
        4.0_f64.ln() + 2.0 * ln_m.max(ln_cells) - room.ln()
    }
}

fn check_alignment(alignment: f64) -> Result<(), Error> {
    Error::range(
        alignment >= 0.0 && alignment.is_finite(),
        "L_align",
        alignment,
        "0 or more, and finite",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The printed formula, over a grid of h.
    fn oracle(set: Transformations, epsilon: f64, lipschitz: f64) -> f64 {
        let (m, n) = (f64::from(set.discrete), f64::from(set.continuous));
        let slope = 2.0 * n.sqrt() * lipschitz * set.lipschitz;
        let limit = (epsilon / slope).min(1.0);
        let at = |step: u32| {
            let h = limit * f64::from(step) / 20_000.0;
            let cells = h.powf(2.0 * n);
            4.0 * (m * m * cells).max(1.0) / (cells * (epsilon - slope * h))
        };
        (1..=20_000).map(at).filter(|rate| *rate > 0.0).fold(f64::INFINITY, f64::min).ln()
    }

    proptest! {
        #[test]
        fn the_infimum_is_that_of_a_grid(
            discrete in 0..5_u32, continuous in 1..6_u32, epsilon in 0.05..1.0, lipschitz in 0.01..3.0, motion in 0.01..3.0,
        ) {
            let set = Transformations { discrete, continuous, lipschitz: motion };
            let found = set.published(epsilon, lipschitz).unwrap();
            let grid = oracle(set, epsilon, lipschitz);
            // The grid is within 1/20,000 of the best h, and there the rate differs by at most a
            // factor of (1 + 1/20,000)^{2n}.
            prop_assert!(found.ln_eta <= grid + 1e-9 && grid <= found.ln_eta + 1e-2, "{} \
                {}", found.ln_eta, grid);
        }
    }

    #[test]
    fn without_one_kind_of_transformation() {
        let none = Transformations { discrete: 0, continuous: 0, lipschitz: 1.0 };
        // max(1, 0) = 1 gives 4/ε, although views that equal their images have an alignment of 0
        // and therefore R_ε = 0.
        assert!((none.published(0.5, 1.0).unwrap().ln_eta - 8.0_f64.ln()).abs() < 1e-15);
        // 4 m²/ε.
        let discrete = Transformations { discrete: 3, ..none };
        assert!((discrete.published(0.5, 1.0).unwrap().ln_eta - 72.0_f64.ln()).abs() < 1e-14);
        // n = 1, slope 2: h = 2/3 · ε/2, 4/(h²(ε − 2h)).
        let continuous = Transformations { continuous: 1, ..none };
        let (found, h) = (continuous.published(0.6, 1.0).unwrap(), 0.2_f64);
        assert!(
            (found.h - h).abs() < 1e-15
                && (found.ln_eta - (4.0 / (h * h * 0.2)).ln()).abs() < 1e-13
        );
        // A constant encoder: h = 1.
        assert_eq!(continuous.published(0.6, 0.0).unwrap().h, 1.0);
    }

    #[test]
    fn far_beyond_f64_it_stays_a_logarithm() {
        let set = Transformations { discrete: 2, continuous: 12, lipschitz: 1e30 };
        let found = set.published(1e-3, 1e10).unwrap();
        assert!(found.ln_eta > 1000.0 && found.ln_eta.is_finite());
        assert_eq!(found.ln_bound(0.0), Ok(None));
        assert!(found.ln_bound(0.25).unwrap().unwrap() < found.ln_eta);
    }

    #[test]
    fn two_views_meet_the_finite_bound() {
        // One image with two views at a distance of 1: alignment ½.
        assert_eq!(finite(0.5, 2, 1.0), Ok(1.0));
        // Three views, one in the middle: 2·(½·⅓) = ⅓.
        assert_eq!(finite(1.0 / 3.0, 3, 1.0), Ok(1.0));
        assert_eq!(finite(0.1, 2, 1e-200), Ok(1.0));
    }

    #[test]
    fn misuse_is_refused() {
        let set = Transformations { discrete: 1, continuous: 1, lipschitz: 1.0 };
        assert!(set.published(0.0, 1.0).is_err() && set.published(f64::NAN, 1.0).is_err());
        assert!(set.published(0.1, -1.0).is_err() && set.published(0.1, f64::INFINITY).is_err());
        assert!(Transformations { lipschitz: 1e300, ..set }.published(0.1, 1e300).is_err());
        assert!(
            finite(-0.1, 2, 0.1).is_err()
                && finite(0.1, 0, 0.1).is_err()
                && finite(0.1, 2, 0.0).is_err()
        );
    }
}
