use crate::{Error, Quantity, Trust};

/// How similarly two quantities order the same cases, with an interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Kendall {
    /// τ-b, between −1 and 1.
    pub tau: Quantity,
    /// Number of pairs that both quantities order in the same way.
    pub concordant: u64,
    /// Number of pairs that both quantities order, in opposite ways.
    pub discordant: u64,
}

/// Computes Kendall's τ-b (Kendall, "The Treatment of Ties in Ranking Problems", Biometrika 1945)
/// of `x` and `y` over the same cases: (concordant − discordant) / √(pairs untied in x · pairs
/// untied in y).
///
/// The 95 % interval is that of Fieller, Hartley and Pearson ("Tests for rank correlation
/// coefficients I", Biometrika 1957): for independent cases, n above ten or so and |τ| below 0.8,
/// artanh τ is nearly normal with variance 0.437/(n − 4).
///
/// That interval shrinks to a point as |τ| approaches 1. If all pairs agree, or all disagree,
/// another interval replaces it. ⌊n/2⌋ pairs of different cases are independent; if each agrees
/// with probability p, all of them agree with probability p^⌊n/2⌋. That is at least 2.5 % only for
/// p ≥ 0.025^(1/⌊n/2⌋), and τ = 2p − 1.
///
/// For small n the two intervals contradict each other. With ten cases and one discordant pair, τ
/// would be above 0.88 by Fieller's interval; with ten cases in perfect order, it would be above
/// −0.04 by the other, as if a discordant pair were evidence for agreement. So no low end is above
/// that of perfect order, and no high end is below that of perfect disorder. This rule only moves
/// ends outwards, so the interval misses the truth no more often.
///
/// There is no interval below five cases, or if only ties keep pairs from disagreeing. Time grows
/// with n².
///
/// Returns `None` if x or y is the same in all cases, because it then orders nothing.
///
/// # Errors
/// [`Error::Count`] unless `x` and `y` have the same length, and [`Error::Range`] for a NaN.
///
/// ```
/// use selfsame_theory::kendall_tau;
///
/// let found = kendall_tau(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0])?.unwrap();
/// assert_eq!((found.concordant, found.discordant), (5, 1));
/// assert!((found.tau.value - 4.0 / 6.0).abs() < 1e-15);
/// # Ok::<(), selfsame_theory::Error>(())
/// ```
pub fn kendall_tau(x: &[f64], y: &[f64]) -> Result<Option<Kendall>, Error> {
    if x.len() != y.len() {
        return Err(Error::Count { what: "values of y", given: y.len(), expected: x.len() });
    }
    for &value in x.iter().chain(y) {
        Error::range(!value.is_nan(), "value to order by", value, "a number")?;
    }
    let n = x.len();
    let (mut concordant, mut discordant, mut untied_x, mut untied_y) = (0_u64, 0_u64, 0_u64, 0_u64);
    for i in 0..n {
        for j in 0..i {
            let (by_x, by_y) = (x[i] != x[j], y[i] != y[j]);
            untied_x += u64::from(by_x);
            untied_y += u64::from(by_y);
            let alike = (x[i] < x[j]) == (y[i] < y[j]);
            concordant += u64::from(by_x && by_y && alike);
            discordant += u64::from(by_x && by_y && !alike);
        }
    }
    if untied_x == 0 || untied_y == 0 {
        return Ok(None);
    }
    let value =
        (concordant as f64 - discordant as f64) / (untied_x as f64 * untied_y as f64).sqrt();
    let value = value.clamp(-1.0, 1.0);
    let trust = |ends: Option<[f64; 2]>, method: &'static str| {
        let (low, high) = (ends.map(|ends| ends[0]), ends.map(|ends| ends[1]));
        Trust::Estimate { low, high, method: method.into(), sample: n }
    };
    // The low end of perfect order. The high end of perfect disorder is its mirror image.
    let furthest = 2.0 * 0.025_f64.powf(1.0 / (n / 2) as f64) - 1.0;
    let trust = if n < 5 {
        trust(None, "there are fewer than five")
    } else if concordant.max(discordant) == (n * (n - 1) / 2) as u64 {
        let ends = if value > 0.0 { [furthest, 1.0] } else { [-1.0, -furthest] };
        trust(Some(ends), "pairs of different cases, 95%")
    } else if value.abs() == 1.0 {
        trust(None, "nothing but ties disagrees")
    } else {
        const Z: f64 = 1.959_963_984_540_054;
        let half = Z * (0.437 / (n as f64 - 4.0)).sqrt();
        let [low, high] = [-half, half].map(|side| (value.atanh() + side).tanh());
        trust(Some([low.min(furthest), high.max(-furthest)]), "Fieller, 95%")
    };
    Ok(Some(Kendall { tau: Quantity { value, trust }, concordant, discordant }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn tau(x: &[f64], y: &[f64]) -> f64 {
        kendall_tau(x, y).unwrap().unwrap().tau.value
    }

    fn ends(x: &[f64], y: &[f64]) -> [Option<f64>; 2] {
        match kendall_tau(x, y).unwrap().unwrap().tau.trust {
            Trust::Estimate { low, high, .. } => [low, high],
            trust => panic!("{trust}"),
        }
    }

    /// Draws normal pairs with this correlation.
    fn pairs(correlation: f64, n: usize, random: &mut ChaCha8Rng) -> [Vec<f64>; 2] {
        let mut normal = || {
            let (radius, angle): (f64, f64) = (random.random(), random.random());
            (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
        };
        let x: Vec<f64> = (0..n).map(|_| normal()).collect();
        let y = x
            .iter()
            .map(|x| correlation * x + (1.0 - correlation * correlation).sqrt() * normal())
            .collect();
        [x, y]
    }

    #[test]
    fn ties_count_in_the_denominator() {
        // There are 6 pairs; x ties one and y ties one. The other four all agree: 4/√(5·5).
        assert!((tau(&[1.0, 1.0, 2.0, 3.0], &[1.0, 2.0, 2.0, 3.0]) - 0.8).abs() < 1e-15);
        assert_eq!(kendall_tau(&[1.0, 1.0], &[1.0, 2.0]), Ok(None));
        assert_eq!(kendall_tau(&[], &[]), Ok(None));
    }

    proptest! {
        #[test]
        fn it_is_symmetric_and_of_ranks(pairs in prop::collection::vec((0..9_i32, 0..9_i32), 2..40)) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().map(|&(x, y)| (f64::from(x), f64::from(y))).unzip();
            if let Some(found) = kendall_tau(&x, &y).unwrap() {
                prop_assert_eq!(found.tau.value, tau(&y, &x));
                let cubes: Vec<f64> = x.iter().map(|x| x.powi(3) + x - 7.0).collect();
                prop_assert_eq!(found.tau.value, tau(&cubes, &y));
                let turned: Vec<f64> = x.iter().map(|x| -x).collect();
                prop_assert_eq!(found.tau.value, -tau(&turned, &y));
                let itself = tau(&x, &x);
                prop_assert!((itself - 1.0).abs() < 1e-12);
            }
        }
    }

    /// For normal pairs of correlation ρ the true τ is (2/π) arcsin ρ.
    #[test]
    fn the_interval_holds_the_truth_as_often_as_promised() {
        let (correlation, n, rounds) = (0.5_f64, 30, 2000);
        let truth = std::f64::consts::FRAC_2_PI * correlation.asin();
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut held = 0;
        for _ in 0..rounds {
            let [x, y] = pairs(correlation, n, &mut random);
            let [low, high] = ends(&x, &y).map(Option::unwrap);
            held += usize::from(low <= truth && truth <= high);
        }
        // 95 % of 2000 rounds, with a standard deviation of 9.7. The approximation itself may be
        // off by one percentage point.
        assert!((1851..=1949).contains(&held), "{held} of {rounds}");
    }

    /// The correlation is so high that perfect order is common. In that case the truth must be in
    /// the interval.
    #[test]
    fn the_interval_of_perfect_order_fails_as_rarely_as_promised() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        for correlation in [0.5_f64, 0.8, 0.9, 0.97] {
            let truth = std::f64::consts::FRAC_2_PI * correlation.asin();
            let (rounds, mut missed) = (4000, 0);
            for _ in 0..rounds {
                let [x, y] = pairs(correlation, 6, &mut random);
                let Kendall { tau, discordant, .. } = kendall_tau(&x, &y).unwrap().unwrap();
                let Trust::Estimate { low: Some(low), .. } = tau.trust else {
                    panic!("no interval")
                };
                missed += usize::from(discordant == 0 && low > truth);
            }
            // 2.5 % of 4000, with a standard deviation of 10.
            assert!(missed <= 140, "{missed} of {rounds} at {correlation}");
        }
    }

    /// The cases are so few and the correlation so high that an order with one or two discordant
    /// pairs is common.
    #[test]
    fn both_ends_miss_as_rarely_as_promised_where_the_order_is_nearly_perfect() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for (n, correlation) in [(10, 0.98_f64), (8, 0.9), (10, -0.98), (8, -0.9)] {
            let truth = std::f64::consts::FRAC_2_PI * correlation.asin();
            let (rounds, mut above, mut below) = (4000, 0, 0);
            for _ in 0..rounds {
                let [x, y] = pairs(correlation, n, &mut random);
                let [low, high] = ends(&x, &y).map(Option::unwrap);
                above += usize::from(low > truth);
                below += usize::from(high < truth);
            }
            // 2.5 % of 4000, with a standard deviation of 10.
            assert!(
                above <= 130 && below <= 130,
                "{above} and {below} of {rounds} at {correlation} of {n}"
            );
        }
    }

    #[test]
    fn no_worse_order_has_a_tighter_bound() {
        for n in 5..60_usize {
            let x: Vec<f64> = (0..n as u32).map(f64::from).collect();
            // Go from perfect order to perfect disorder by swapping one pair of neighbours at a
            // time.
            let (mut y, mut last) = (x.clone(), ends(&x, &x).map(Option::unwrap));
            for done in 0..n {
                for at in 0..n - 1 - done {
                    y.swap(at, at + 1);
                    let [low, high] = ends(&x, &y).map(Option::unwrap);
                    assert!(
                        low <= last[0] && high <= last[1],
                        "{n} cases: {low} to {high} after {last:?}"
                    );
                    last = [low, high];
                }
            }
            assert_eq!(last[0], -1.0);
        }
    }

    #[test]
    fn perfect_order_has_an_interval_that_is_no_point() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        // Five pairs all agree with a probability of p⁵ = 0.025.
        let p = 0.025_f64.powf(0.2);
        let turned: Vec<f64> = x.iter().map(|x| -x).collect();
        let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-15;
        let [low, high] = ends(&x, &x);
        assert!(close(low, 2.0 * p - 1.0) && high == Some(1.0) && tau(&x, &x) == 1.0);
        let [low, high] = ends(&x, &turned);
        assert!(low == Some(-1.0) && close(high, 1.0 - 2.0 * p) && tau(&x, &turned) == -1.0);
        // Ties are in the same places, so τ-b is 1, but it is based on fewer pairs.
        let tied = [1.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!((tau(&tied, &tied), ends(&tied, &tied)), (1.0, [None, None]));
        assert_eq!(ends(&x[..4], &x[..4]), [None, None]);
        assert!(
            kendall_tau(&[1.0], &[]).is_err()
                && kendall_tau(&[f64::NAN, 1.0], &[1.0, 2.0]).is_err()
        );
    }
}
