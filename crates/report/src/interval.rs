//! Confidence intervals for shares.

/// A closed interval of shares, within 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The 95 % score interval of a share seen on `n` independent cases (Wilson 1927).
///
/// Unlike the textbook `p ± 1.96·√(p(1 − p)/n)` it keeps its promise near 0 and 1 and for few
/// cases. With no cases, or a share that is no number, nothing is known: the answer is 0 to 1.
///
/// ```
/// let interval = selfsame_report::wilson(0.5, 100);
/// assert!((interval.low - 0.4038).abs() < 5e-5 && (interval.high - 0.5962).abs() < 5e-5);
/// ```
pub fn wilson(share: f64, n: u64) -> Interval {
    if n == 0 || !share.is_finite() {
        return Interval { low: 0.0, high: 1.0 };
    }
    const Z: f64 = 1.959_963_984_540_054;
    let (p, n) = (share.clamp(0.0, 1.0), n as f64);
    let scale = 1.0 / (1.0 + Z * Z / n);
    let centre = scale * (p + Z * Z / (2.0 * n));
    let half = scale * Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Interval { low: (centre - half).clamp(0.0, 1.0), high: (centre + half).clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I,
    /// method 3, printed to four decimals.
    #[test]
    fn published_values() {
        for (hits, n, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let found = wilson(f64::from(hits) / n as f64, n);
            assert!((found.low - low).abs() <= 5.1e-5, "{hits}/{n}: {found:?}");
            assert!((found.high - high).abs() <= 5.1e-5, "{hits}/{n}: {found:?}");
        }
    }

    #[test]
    fn nothing_known() {
        let all = Interval { low: 0.0, high: 1.0 };
        assert_eq!(wilson(0.3, 0), all);
        assert_eq!(wilson(f64::NAN, 10), all);
        assert_eq!(wilson(f64::INFINITY, 10), all);
    }

    proptest! {
        /// The ends are the shares p at which |share − p| = z·√(p(1 − p)/n): the definition, solved
        /// for by bisection.
        #[test]
        fn ends_solve_the_definition(share in 0.0..=1.0f64, n in 1u64..1_000_000) {
            let found = wilson(share, n);
            let outside = |p: f64| (share - p).abs() > 1.959_963_984_540_054 * (p * (1.0 - p) / n as f64).sqrt();
            let solve = |mut inside: f64, mut out: f64| {
                if !outside(out) { return out; }
                for _ in 0..200 {
                    let middle = 0.5 * (inside + out);
                    if outside(middle) { out = middle } else { inside = middle }
                }
                inside
            };
            prop_assert!((found.low - solve(share, 0.0)).abs() < 1e-9);
            prop_assert!((found.high - solve(share, 1.0)).abs() < 1e-9);
        }
    }
}
