//! Lipschitz constants of encoders: proved from the constants of their layers, or the largest ratio
//! observed.

use crate::{Error, Quantity, Trust};

/// Returns the Lipschitz constant of layers in sequence: the product of their constants.
///
/// ```
/// use selfsame_theory::bounds::lipschitz::{chain, residual};
///
/// // A stem of norm 2, ReLU, then a block that adds a branch of norms 0.5 and 3 to its input.
/// let encoder = chain([2.0, 1.0, residual(1.0, chain([0.5, 3.0]))]);
/// assert_eq!(encoder, 5.0);
/// ```
pub fn chain(layers: impl IntoIterator<Item = f64>) -> f64 {
    layers.into_iter().product()
}

/// Returns the Lipschitz constant of a branch added to its shortcut: the sum of their constants. A
/// plain shortcut has constant 1.
pub fn residual(shortcut: f64, branch: f64) -> f64 {
    shortcut + branch
}

/// Returns the Lipschitz constant of u ↦ u/‖u‖ among outputs no shorter than `shortest`. It is
/// 1/shortest, because ‖u/‖u‖ − v/‖v‖‖ ≤ 2‖u − v‖/(‖u‖ + ‖v‖).
///
/// The error bound uses L on views that were embedded, so the shortest measured output suffices.
///
/// # Errors
/// [`Error::Range`] unless `shortest` is positive and finite.
pub fn normalised(shortest: f64) -> Result<f64, Error> {
    Error::range(
        shortest > 0.0 && shortest.is_finite(),
        "shortest output",
        shortest,
        "positive and finite",
    )?;
    Ok(shortest.recip())
}

/// Returns the largest ratio of distances (input, output) over pairs. It is an estimate from below,
/// since pairs that were not observed may exceed it.
///
/// # Errors
/// [`Error::NotAFunction`] for a pair of equal inputs with different outputs, [`Error::Range`] for
/// a number that is not a distance, [`Error::Count`] without pairs.
///
/// ```
/// use selfsame_theory::bounds::lipschitz::largest_ratio;
///
/// assert_eq!(largest_ratio([(2.0, 1.0), (1.0, 1.5), (0.0, 0.0)])?.value, 1.5);
/// # Ok::<(), selfsame_theory::Error>(())
/// ```
pub fn largest_ratio(pairs: impl IntoIterator<Item = (f64, f64)>) -> Result<Quantity, Error> {
    let (mut largest, mut sample) = (0.0_f64, 0);
    for (pair, (input, output)) in pairs.into_iter().enumerate() {
        for (name, distance) in [("distance of inputs", input), ("distance of outputs", output)] {
            Error::range(
                distance >= 0.0 && distance.is_finite(),
                name,
                distance,
                "0 or more, and finite",
            )?;
        }
        if input > 0.0 {
            largest = largest.max(output / input);
        } else if output > 0.0 {
            return Err(Error::NotAFunction { pair, output });
        }
        sample = pair + 1;
    }
    if sample == 0 {
        return Err(Error::Count { what: "pairs", given: 0, expected: 1 });
    }
    let trust = Trust::Estimate {
        low: Some(largest),
        high: None,
        method: "largest measured ratio".into(),
        sample,
    };
    Ok(Quantity { value: largest, trust })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn normalising_moves_points_no_further(u in prop::array::uniform3(-3.0..3.0_f64), v in prop::array::uniform3(-3.0..3.0_f64)) {
            let norm = |x: &[f64; 3]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
            let (a, b): (f64, f64) = (norm(&u), norm(&v));
            prop_assume!(a > 1e-3 && b > 1e-3);
            let apart = norm(&std::array::from_fn(|i| u[i] - v[i]));
            let after = norm(&std::array::from_fn(|i| u[i] / a - v[i] / b));
            prop_assert!(after <= normalised(a.min(b)).unwrap() * apart * (1.0 + 1e-12) + 1e-15);
            prop_assert!(after <= 2.0 * apart / (a + b) * (1.0 + 1e-12) + 1e-15);
        }

        #[test]
        fn a_residual_network_keeps_its_constant(weights in prop::array::uniform5(-2.0..2.0_f64), x in -5.0..5.0_f64, y in -5.0..5.0_f64) {
            let f = |x: f64| {
                let stem = f64::max(weights[0] * x, 0.0);
                stem + weights[2] * f64::max(weights[1] * stem + weights[3], 0.0)
            };
            let bound = chain([weights[0].abs(), residual(1.0, chain([weights[1].abs(), 1.0, weights[2].abs()]))]);
            prop_assert!((f(x) - f(y)).abs() <= bound * (x - y).abs() + 1e-12);
        }
    }

    #[test]
    fn misuse_is_refused() {
        assert_eq!(
            largest_ratio([(1.0, 1.0), (0.0, 0.5)]),
            Err(Error::NotAFunction { pair: 1, output: 0.5 })
        );
        assert!(largest_ratio([]).is_err() && largest_ratio([(f64::NAN, 1.0)]).is_err());
        assert!(normalised(0.0).is_err());
    }
}
