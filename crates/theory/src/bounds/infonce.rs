//! Divergence from the InfoNCE loss, ‖f‖ = 1: upper bounds on μ_k·μ_ℓ from L_2.
//!
//! Throughout, log-sum-exp s(a, b) = log(e^a + e^b) is jointly convex, rises in both arguments, and
//! changes by no more than its first argument does. Every bound is an upper bound on products that
//! Cauchy keeps within −1 and 1, so a bound above 1 says nothing.
//!
//! Each bound adds [`MARGIN`] to the loss that it is made from, and to the result, so that rounding
//! never takes the bound below the products that are measured. That suffices for embeddings of d
//! values and M views with 5d + 2M up to 900,000. With u = 2⁻⁵³, to first order, and for any order
//! of the sums:
//! - the length of a row is 1 to within (d/2 + 5)u, and a product of two rows has an error of d·u;
//! - L_2 has an error of (d + 16)u: s changes by no more than the products do, and the rest comes
//!   from exponentials and logarithms of numbers of size 1;
//! - ā_k has an error of (2d + M + 16)u, half of it from the squared distances, half from rows
//!   whose length is not quite 1;
//! - ‖μ_k‖² and μ_k·μ_ℓ have errors of (d + 4)u, and the masses of all pairs have a sum of 1 to
//!   within 4u.
//!
//! The s on the two sides of Jensen's inequality have errors no larger than those of their
//! arguments. So all these errors amount to at most (5d + 2M + 48)u of L_2. This includes ā outside
//! of the sum: lowering ā by c in log(e^X − e^ā) raises the result by no more than X + c in place
//! of X. The logarithm then acts on the margin as it acts on the error.

use serde::{Deserialize, Serialize};

use super::certificate::MARGIN;
use crate::measure::{Alignment, Centres, Diameters};
use crate::sum::{mean, sum};
use crate::{Error, Labels};

/// Data of a class that the bounds need.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// p_k.
    pub mass: f64,
    /// ā_k = E f₁·f₂ = 1 − ½ L_align(C_k) over its images.
    pub agreement: f64,
    /// ‖μ_k‖², or a lower bound on it.
    pub norm2: f64,
}

/// Returns the classes of a measured world.
///
/// # Errors
/// [`Error::Count`] if alignment, centres and labels are not of the same world.
pub fn classes(
    alignment: &Alignment,
    centres: &Centres,
    labels: &Labels,
) -> Result<Vec<Class>, Error> {
    if centres.classes() != labels.classes() {
        return Err(Error::Count {
            what: "centres",
            given: centres.classes(),
            expected: labels.classes(),
        });
    }
    let of_classes = alignment.of_classes(labels)?;
    let class = |(k, align): (usize, f64)| Class {
        mass: centres.masses()[k],
        agreement: 1.0 - 0.5 * align,
        norm2: centres.product(k, k),
    };
    Ok(of_classes.into_iter().enumerate().map(class).collect())
}

/// Computes log(e^a + e^b).
fn log_sum(a: f64, b: f64) -> f64 {
    a.max(b) + (-(a - b).abs()).exp().ln_1p()
}

/// Returns the b with log(e^a + e^b) = `total`, or −∞ if even e^b = 0 is too large.
fn other_term(total: f64, a: f64) -> f64 {
    // log(e^total − e^a), without the overflow of e^total if p_k p_ℓ is small.
    if total <= a { f64::NEG_INFINITY } else { total + (-(a - total).exp_m1()).ln() }
}

/// Raises a bound above its rounding error and that of the product that it bounds. No product of
/// unit vectors is below −1, so the bound is at least −1. JSON also has no infinite numbers.
fn rounded_up(bound: f64) -> f64 {
    // A bound far above 1 is the logarithm of the number it was made from, accurate to about 4u of
    // itself.
    let bound = bound.max(-1.0);
    bound + MARGIN * bound.abs().max(1.0)
}

/// Computes τ = (2 − ε) R_ε, which suffices in [`published`] for ε ≤ 1: f₁·f₂ ≥ 1 − ε, except for a
/// share R_ε of the images, where f₁·f₂ ≥ −1.
///
/// # Errors
/// [`Error::Range`] unless 0 ≤ ε ≤ 1 and 0 ≤ R_ε ≤ 1.
pub fn tau(epsilon: f64, outside: f64) -> Result<f64, Error> {
    Error::range((0.0..=1.0).contains(&epsilon), "ε", epsilon, "between 0 and 1")?;
    Error::range((0.0..=1.0).contains(&outside), "R_ε", outside, "between 0 and 1")?;
    Ok((2.0 - epsilon) * outside)
}

/// Bounds μ_k·μ_ℓ ≤ log(exp((L_2 + τ)/(p_k p_ℓ)) − exp(1 − ε)), Huang et al. (ICLR 2023), with
/// [`tau`], which they do not print.
///
/// The bound is never below log(16 − e) > 2.5, since p_k p_ℓ ≤ ¼ and L_2 ≥ log 2. So it says in
/// which direction L_2 pulls, but nothing more.
///
/// # Errors
/// The errors of [`tau`]; also [`Error::Range`] for a mass outside (0, 1].
///
/// ```
/// use selfsame_theory::bounds::infonce::published;
///
/// // Two antipodal points: L_2 = ½ log 2e + ½ log(e + 1/e), and the truth is −1.
/// let e = std::f64::consts::E;
/// let l2 = 0.5 * (2.0 * e).ln() + 0.5 * (e + 1.0 / e).ln();
/// let bound = published(l2, [0.5, 0.5], 0.0, 0.0)?;
/// assert!(bound > 1.0, "far from the truth: {bound}");
/// # Ok::<(), selfsame_theory::Error>(())
/// ```
pub fn published(l2: f64, masses: [f64; 2], epsilon: f64, outside: f64) -> Result<f64, Error> {
    for mass in masses {
        Error::range(mass > 0.0 && mass <= 1.0, "mass", mass, "above 0 and at most 1")?;
    }
    let tau = tau(epsilon, outside)?;
    Ok(rounded_up(other_term((l2 + tau + MARGIN) / (masses[0] * masses[1]), 1.0 - epsilon)))
}

/// Computes [`published`] at the best ε among the view diameters up to 1.
///
/// # Errors
/// The errors of [`published`].
pub fn published_best(l2: f64, masses: [f64; 2], diameters: &Diameters) -> Result<f64, Error> {
    // ε = 1 is included in case no diameter is that small.
    let candidates =
        diameters.sorted().iter().copied().filter(|&epsilon| epsilon <= 1.0).chain([1.0]);
    let bounds =
        candidates.map(|epsilon| published(l2, masses, epsilon, diameters.share_above(epsilon)));
    bounds.reduce(|best, bound| Ok(best?.min(bound?))).unwrap_or(Ok(f64::MAX))
}

/// Bounds every μ_k·μ_ℓ, k ≠ ℓ, without τ. The result is K × K, with ‖μ_k‖² on the diagonal.
///
/// By Jensen, L_2 ≥ Σ p_i p_j s(ā_i, μ_i·μ_j). The two terms of k and ℓ are kept. In the other
/// terms off the diagonal, μ_i·μ_j is replaced by −‖μ_i‖‖μ_j‖. With A = e^{ā_k} and A' = e^{ā_ℓ},
/// the two terms give the quadratic inequality (A + x)(A' + x) ≤ e^X for x = e^{μ_k·μ_ℓ}.
pub fn pairwise(l2: f64, classes: &[Class]) -> Vec<f64> {
    let term = |i: usize, j: usize| {
        let product = if i == j {
            classes[i].norm2
        } else {
            -(classes[i].norm2 * classes[j].norm2).max(0.0).sqrt()
        };
        classes[i].mass * classes[j].mass * log_sum(classes[i].agreement, product)
    };
    let k = classes.len();
    let all = sum((0..k * k).map(|at| term(at / k, at % k)));
    let bound = |at: usize| {
        let (i, j) = (at / k, at % k);
        if i == j {
            return classes[i].norm2;
        }
        let rest = all - term(i, j) - term(j, i);
        let room = (l2 - rest + MARGIN) / (classes[i].mass * classes[j].mass);
        rounded_up(product_root(room, classes[i].agreement, classes[j].agreement))
    };
    (0..k * k).map(bound).collect()
}

/// Returns the log of the positive root x of (e^a + x)(e^b + x) = e^room, or −∞ if there is none.
fn product_root(room: f64, a: f64, b: f64) -> f64 {
    if room <= a + b {
        return f64::NEG_INFINITY;
    }
    // All terms are divided by e^{room/2}, because e^room may overflow. The root is in the form
    // without cancellation.
    let excess = -(a + b - room).exp_m1();
    let (a, b) = ((a - 0.5 * room).exp(), (b - 0.5 * room).exp());
    0.5 * room + (2.0 * excess / (a + b + ((a - b).powi(2) + 4.0).sqrt())).ln()
}

/// Bounds the mean of μ_k·μ_ℓ over pairs of different classes, weighted by p_k p_ℓ. This is the
/// informative bound.
///
/// Let w = 1 − Σ p_k² be the weight of those pairs and ā the mean of ā_k over them. Jensen's
/// inequality on all pairs jointly gives L_2 ≥ Σ p_k² s(ā_k, ‖μ_k‖²) + w s(ā, mean).
///
/// Returns `None` for a single class.
pub fn average(l2: f64, classes: &[Class]) -> Option<f64> {
    let weight = off_diagonal(classes.iter().map(|class| class.mass));
    if classes.len() < 2 || weight <= 0.0 {
        return None;
    }
    let agreement =
        sum(classes.iter().map(|class| class.mass * (1.0 - class.mass) * class.agreement)) / weight;
    let diagonal =
        sum(classes.iter().map(|class| class.mass.powi(2) * log_sum(class.agreement, class.norm2)));
    Some(rounded_up(other_term((l2 - diagonal + MARGIN) / weight, agreement)))
}

/// Computes the bound of [`average`] from numbers that need no label: L_2, the alignment of all
/// images and the masses that classes would have.
///
/// The centres are replaced by ‖μ_k‖² ≥ 0. The distribution of the agreement over classes is
/// unknown: its mean over the diagonal, Σ p_k² ā_k / Σ p_k², lies between the values that fill the
/// smallest or the largest classes first, and the worst value in between is taken. For equal masses
/// both values are the mean over all images, and nothing is lost.
///
/// Returns `None` for a single class.
///
/// # Errors
/// [`Error::Range`] for an alignment outside 0 to 2, and for masses that are not positive with sum
/// 1.
pub fn label_free(l2: f64, alignment: f64, masses: &[f64]) -> Result<Option<f64>, Error> {
    // For independent views of an image, E f₁·f₂ = ‖E f‖² ≥ 0, so L_align ≤ 2.
    Error::range((0.0..=2.0 + 1e-9).contains(&alignment), "L_align", alignment, "between 0 and 2")?;
    check_masses(masses)?;
    let diagonal = sum(masses.iter().map(|mass| mass * mass));
    let weight = off_diagonal(masses.iter().copied());
    if masses.len() < 2 || weight <= 0.0 {
        return Ok(None);
    }
    let agreement = (1.0 - 0.5 * alignment).max(0.0);
    let mut ascending = masses.to_vec();
    ascending.sort_by(f64::total_cmp);
    let lowest = filled(agreement, ascending.iter().copied()) / diagonal;
    let highest = filled(agreement, ascending.iter().rev().copied()) / diagonal;
    // The smallest possible L_2 with this mean. It is convex in the unknown agreement, and
    // stationary if both differences agreement − product are equal.
    let least_loss = |product: f64| {
        let on_diagonal =
            (agreement - weight * product).clamp(lowest.min(highest), highest.max(lowest));
        let off_diagonal = (agreement - diagonal * on_diagonal) / weight;
        diagonal * log_sum(on_diagonal, 0.0) + weight * log_sum(off_diagonal, product)
    };
    let l2 = l2 + MARGIN;
    let (mut low, mut high) = (-1.0, 2.0);
    while least_loss(high) <= l2 && high < 1e6 {
        high *= 2.0;
    }
    // The smallest possible L_2 rises with the mean. Fifty halvings shrink the interval to rounding
    // error, and its upper end is kept.
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if least_loss(middle) <= l2 { low = middle } else { high = middle }
    }
    Ok(Some(rounded_up(high)))
}

/// Computes Σ p_k² ā_k if classes receive an agreement of 1 in this order until Σ p_k ā_k =
/// `agreement`.
fn filled(agreement: f64, masses: impl Iterator<Item = f64>) -> f64 {
    let mut remaining = agreement;
    let terms = masses.map(|mass| {
        let share = (remaining / mass).clamp(0.0, 1.0);
        remaining -= share * mass;
        mass * mass * share
    });
    sum(terms)
}

/// Bounds the same mean from ‖E f‖², which is Σ p_k p_ℓ μ_k·μ_ℓ over all pairs: the mean is at most
/// ‖E f‖²/w, for any labels. This needs no loss, and if masses are unequal it is never weaker than
/// [`label_free`].
///
/// Returns `None` for a single class.
///
/// # Errors
/// [`Error::Range`] for masses that are not positive with sum 1.
pub fn average_from_mean(mean_norm2: f64, masses: &[f64]) -> Result<Option<f64>, Error> {
    check_masses(masses)?;
    let weight = off_diagonal(masses.iter().copied());
    Ok((masses.len() > 1 && weight > 0.0).then(|| rounded_up((mean_norm2 + MARGIN) / weight)))
}

/// Computes 1 − Σ p_k², the weight of the pairs of different classes, as Σ p_k (1 − p_k), which
/// avoids cancellation if one class holds nearly all images.
fn off_diagonal(masses: impl Iterator<Item = f64>) -> f64 {
    sum(masses.map(|mass| mass * (1.0 - mass)))
}

fn check_masses(masses: &[f64]) -> Result<(), Error> {
    for &mass in masses {
        Error::range(mass > 0.0 && mass <= 1.0, "mass", mass, "above 0 and at most 1")?;
    }
    let total = mean(masses) * masses.len() as f64;
    Error::range((total - 1.0).abs() < 1e-9, "sum of masses", total, "1")
}

#[cfg(test)]
mod tests {
    use std::f64::consts::E;

    use proptest::prelude::*;

    use super::*;

    /// Two classes of one point each, opposite.
    fn antipodal() -> (f64, [Class; 2]) {
        let class = Class { mass: 0.5, agreement: 1.0, norm2: 1.0 };
        (0.5 * (2.0 * E).ln() + 0.5 * (E + 1.0 / E).ln(), [class, class])
    }

    /// If every image is at its class's centre, Jensen's inequality is an equality, so the bounds
    /// are the truth.
    #[test]
    fn points_are_met_exactly() {
        let (l2, classes) = antipodal();
        // The margin divided by a weight of ½, times e^X / (e^X − e^ā) = e² + 1, plus one more
        // margin.
        let margin = 18.0 * MARGIN;
        for bound in [pairwise(l2, &classes)[1], average(l2, &classes).unwrap()] {
            assert!(bound > -1.0 && bound < margin - 1.0, "{bound}");
        }
        // Without labels ‖μ_k‖² is unknown, but the mean over all images is 0.
        let free = label_free(l2, 0.0, &[0.5, 0.5]).unwrap().unwrap();
        assert!(free > -1.0 && free < 1.0, "{free}");
        let from_mean = average_from_mean(0.0, &[0.5, 0.5]).unwrap().unwrap();
        assert!(from_mean > 0.0 && from_mean <= 3.0 * MARGIN, "{from_mean}");
    }

    /// The smallest possible L_2 and the largest possible p_k p_ℓ leave log(16 − e).
    #[test]
    fn the_published_bound_never_reaches_a_product() {
        let least = published(2.0_f64.ln(), [0.5, 0.5], 0.0, 0.0).unwrap();
        // Four times the margin, times 16 / (16 − e), plus one more margin, which is multiplied by
        // 2.6.
        assert!(least > 2.5 && least - (16.0 - E).ln() < 8.0 * MARGIN, "{least}");
    }

    /// K points with products −1/(K − 1).
    #[test]
    fn a_simplex_is_met_exactly_on_average() {
        for k in 2..12_usize {
            let (n, product) = (k as f64, -1.0 / (k as f64 - 1.0));
            let l2 = (2.0 * E).ln() / n + (1.0 - 1.0 / n) * (E + product.exp()).ln();
            let classes = vec![Class { mass: 1.0 / n, agreement: 1.0, norm2: 1.0 }; k];
            // The weight is at least ½ and the logarithm's factor at most e² + 1.
            let margin = 18.0 * MARGIN;
            let average = average(l2, &classes).unwrap();
            assert!(average > product && average < product + margin, "{k}: {average}");
            let pair = pairwise(l2, &classes)[1];
            assert!(pair > product && (k > 2 || pair < product + margin), "{k}: {pair}");
        }
    }

    proptest! {
        #[test]
        fn the_root_solves_its_equation(room in -2.0..4.0, a in -1.0..1.0, b in -1.0..1.0) {
            let x = product_root(room, a, b);
            if room <= a + b {
                prop_assert_eq!(x, f64::NEG_INFINITY);
            } else {
                let left: f64 = log_sum(a, x) + log_sum(b, x);
                prop_assert!((left - room).abs() < 1e-12, "{} {}", left, room);
            }
            let x = other_term(room, a);
            prop_assert!(room <= a || (log_sum(a, x) - room).abs() < 1e-12);
        }

        #[test]
        fn without_labels_nothing_is_lost_for_equal_masses(k in 2..9_usize, agreement in 0.0..1.0, product in -0.9..0.9) {
            let mass = 1.0 / k as f64;
            let l2 = mass * log_sum(agreement, 0.0) + (1.0 - mass) * log_sum(agreement, product);
            let classes = vec![Class { mass, agreement, norm2: 0.0 }; k];
            let free = label_free(l2, 2.0 - 2.0 * agreement, &vec![mass; k]).unwrap().unwrap();
            // They are equal except for the remainder of halving, and for the margin divided by a
            // weight of at least ½, times 1 + e^{ā − product}, which is 7.7.
            prop_assert!((free - average(l2, &classes).unwrap()).abs() < 1e-11);
            prop_assert!(free > product && free < product + 18.0 * MARGIN, "{}", free);
        }
    }

    #[test]
    fn small_masses_and_impossible_losses_stay_finite() {
        let class = Class { mass: 1e-6, agreement: 0.9, norm2: 0.5 };
        let rest = Class { mass: 1.0 - 1e-6, ..class };
        let bounds = pairwise(1.5, &[class, rest]);
        assert!(bounds.iter().all(|bound| bound.is_finite()) && bounds[1] > 1e4, "{bounds:?}");
        assert_eq!(pairwise(-5.0, &[class, rest])[1], rounded_up(-1.0));
        assert!(published(1.0, [1e-9, 1e-9], 0.5, 0.5).unwrap().is_finite());
        assert!(label_free(1e3, 0.5, &[0.5, 0.5]).unwrap().unwrap().is_finite());
        assert_eq!(
            (average(1.0, &[]), average(1.0, &[Class { mass: 1.0, ..class }])),
            (None, None)
        );
        assert_eq!(label_free(1.0, 0.0, &[1.0]), Ok(None));
    }

    #[test]
    fn misuse_is_refused() {
        for (epsilon, outside) in [(1.5, 0.0), (-0.1, 0.0), (f64::NAN, 0.0), (0.5, 1.5)] {
            assert!(tau(epsilon, outside).is_err());
        }
        assert_eq!(tau(0.0, 0.0), Ok(0.0));
        assert!(published(1.0, [0.0, 0.5], 0.5, 0.0).is_err());
        assert!(label_free(1.0, 2.5, &[0.5, 0.5]).is_err());
        assert!(label_free(1.0, 0.5, &[0.5, 0.4]).is_err());
        let nothing = Diameters::new(vec![3.0]);
        assert_eq!(published_best(1.0, [0.5, 0.5], &nothing), published(1.0, [0.5, 0.5], 1.0, 1.0));
    }
}
