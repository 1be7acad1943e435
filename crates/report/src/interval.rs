//! Confidence intervals for proportions and means.

/// Closed interval of proportions, between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Computes the 95 % score interval of a proportion observed on `n` independent cases (Wilson
/// 1927).
///
/// Unlike the textbook `p ± 1.96·√(p(1 − p)/n)`, this interval keeps its coverage near 0 and 1 and
/// for few cases. If there are no cases, or if the proportion is NaN, nothing is known and the
/// answer is 0 to 1.
///
/// ```
/// let interval = selfsame_report::wilson(0.5, 100);
/// assert!((interval.low - 0.4038).abs() < 5e-5 && (interval.high - 0.5962).abs() < 5e-5);
/// ```
pub fn wilson(share: f64, n: u64) -> Interval {
    score_interval(share, n, 1.959_963_984_540_054)
}

/// Computes the 95 % interval of the difference of two proportions that were observed on
/// independent cases, the first less the second (Newcombe 1998, method 10).
pub(crate) fn difference([first, second]: [(f64, u64); 2]) -> Interval {
    let [a, b] = [first, second].map(|(share, n)| wilson(share, n));
    let (p, q) = (first.0, second.0);
    Interval {
        low: p - q - (p - a.low).hypot(b.high - q),
        high: p - q + (a.high - p).hypot(q - b.low),
    }
}

/// Computes the interval of the difference between two proportions that were observed on the same
/// `n` cases (Tango 1998, "Equivalence test and confidence interval for the difference in
/// proportions for the paired-sample design"). `first` cases count for the first proportion alone
/// and `second` for the second alone; cases that count for both or neither make no difference.
///
/// The ends are the differences that a score test does not reject. At a difference of 0 it is
/// McNemar's test, so the interval leaves out 0 exactly where that test finds a difference.
///
/// The level is 95 % for `comparisons` such intervals together (Bonferroni's correction). If there
/// are no cases, nothing is known and the answer is −1 to 1.
///
/// ```
/// let [low, high] = selfsame_report::paired(60, 30, 500, 1);
/// assert!(low > 0.0 && low < 0.06 && high > 0.06);
/// ```
pub fn paired(first: u64, second: u64, n: u64, comparisons: u64) -> [f64; 2] {
    if n == 0 {
        return [-1.0, 1.0];
    }
    let z = normal_quantile(0.025 / comparisons.max(1) as f64);
    let [first, second, n] = [first, second, n].map(|count| count as f64);
    let outside = |difference: f64| {
        // The probability of a case for the second alone that is likeliest at this difference.
        let b = -first - second + (2.0 * n - first + second) * difference;
        let c = -second * difference * (1.0 - difference);
        let likeliest = ((b * b - 8.0 * n * c).max(0.0).sqrt() - b) / (4.0 * n);
        let variance = n * (2.0 * likeliest + difference * (1.0 - difference));
        (first - second - n * difference).abs() > z * variance.max(0.0).sqrt()
    };
    let observed = (first - second) / n;
    [-1.0, 1.0].map(|end| {
        let (mut inside, mut out) = (observed, end);
        if !outside(out) {
            return out;
        }
        for _ in 0..100 {
            let middle = 0.5 * (inside + out);
            if outside(middle) { out = middle } else { inside = middle }
        }
        inside
    })
}

/// Returns the number of standard errors that a normal value exceeds with probability `tail`, which
/// is at most 0.025.
fn normal_quantile(tail: f64) -> f64 {
    // Laplace's continued fraction of Mills' ratio, which converges quickly from 1.9 on.
    let exceeds = |z: f64| {
        let fraction = (1..=100).rev().fold(z, |below, k| z + f64::from(k) / below);
        (-0.5 * z * z).exp() / (std::f64::consts::TAU.sqrt() * fraction)
    };
    let (mut low, mut high) = (1.9, 38.0);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if exceeds(middle) > tail { low = middle } else { high = middle }
    }
    low
}

/// Returns whether the largest of `count` proportions is clearly above `of`: the lower end of its
/// score interval is, at a level of 95 % for all of them together (Bonferroni's correction).
pub(crate) fn largest_is_above(count: usize, share: f64, of: f64, n: u64) -> bool {
    score_interval(share, n, normal_quantile(0.05 / (2.0 * count.max(1) as f64))).low > of
}

/// Computes the score interval of `z` standard errors.
fn score_interval(share: f64, n: u64, z: f64) -> Interval {
    if n == 0 || !share.is_finite() {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (p, n) = (share.clamp(0.0, 1.0), n as f64);
    let scale = 1.0 / (1.0 + z * z / n);
    let centre = scale * (p + z * z / (2.0 * n));
    let half = scale * z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Interval { low: (centre - half).clamp(0.0, 1.0), high: (centre + half).clamp(0.0, 1.0) }
}

/// Computes the 95 % band around the proportion of `n` independent cases that lie above some limit
/// (Dvoretzky, Kiefer and Wolfowitz 1956, with the constant of Massart 1990). The band holds at all
/// limits simultaneously, and therefore also at a limit that was chosen from the same cases, for
/// which [`wilson`] does not hold.
///
/// ```
/// let band = selfsame_report::band(0.5, 200);
/// assert!((band.low - 0.4040).abs() < 5e-5 && (band.high - 0.5960).abs() < 5e-5);
/// ```
pub fn band(share: f64, n: u64) -> Interval {
    if n == 0 || !share.is_finite() {
        return Interval { low: 0.0, high: 1.0 };
    }
    let half = ((2.0_f64 / 0.05).ln() / (2.0 * n as f64)).sqrt();
    Interval { low: (share - half).clamp(0.0, 1.0), high: (share + half).clamp(0.0, 1.0) }
}

/// A mean, with half the width of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanInterval {
    /// The mean.
    pub mean: f64,
    /// Half the width of the interval around the mean. `None` for a single value, which has no
    /// interval.
    pub half: Option<f64>,
}

/// Computes the mean of independent values and its 95 % interval by Student's t (1908), which
/// assumes that the values are normal. Returns `None` if there are no values.
///
/// ```
/// let found = selfsame_report::mean_interval(&[1.0, 2.0, 3.0]).unwrap();
/// // The standard error is 1/√3, and t with two degrees of freedom 4.3027.
/// assert!(found.mean == 2.0 && (found.half.unwrap() - 4.3027 / 3f64.sqrt()).abs() < 1e-4);
/// ```
pub fn mean_interval(values: &[f64]) -> Option<MeanInterval> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let half = (n > 1).then(|| {
        let variance =
            values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
        student_975(n - 1) * (variance / n as f64).sqrt()
    });
    Some(MeanInterval { mean, half })
}

/// Returns the 97.5th percentile of Student's t.
fn student_975(degrees: usize) -> f64 {
    // These values are printed in every table, to three decimals.
    const FIRST: [f64; 10] =
        [12.706, 4.3027, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    if let Some(&known) = FIRST.get(degrees - 1) {
        return known;
    }
    // Cornish and Fisher's expansion around the normal percentile. Its error is 0.0002 at eleven
    // degrees and smaller beyond.
    const Z: f64 = 1.959_963_984_540_054;
    let v = degrees as f64;
    let first = (Z.powi(3) + Z) / 4.0;
    let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    let third = (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / 384.0;
    Z + first / v + second / v.powi(2) + third / v.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I,
    /// method 3, printed to four decimals.
    #[test]
    fn published_values() {
        for (hits, n, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let found = wilson(f64::from(hits) / n as f64, n);
            assert!((found.low - low).abs() <= 5.1e-5, "{hits}/{n}: {found:?}");
            assert!((found.high - high).abs() <= 5.1e-5, "{hits}/{n}: {found:?}");
        }
    }

    /// NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2.
    #[test]
    fn students_percentiles() {
        for (degrees, printed) in [
            (1, 12.706),
            (2, 4.303),
            (10, 2.228),
            (11, 2.201),
            (20, 2.086),
            (60, 2.0),
            (100, 1.984),
        ] {
            assert!(
                (student_975(degrees) - printed).abs() < 6e-4,
                "{degrees}: {}",
                student_975(degrees)
            );
        }
        assert_eq!(mean_interval(&[]), None);
        assert_eq!(mean_interval(&[3.0]), Some(MeanInterval { mean: 3.0, half: None }));
        assert_eq!(mean_interval(&[3.0, 3.0]), Some(MeanInterval { mean: 3.0, half: Some(0.0) }));
    }

    /// For uniform cases the proportion above a limit is 1 minus the limit. The band must contain
    /// it at all limits simultaneously.
    #[test]
    fn the_band_holds_everywhere_at_once() {
        let (n, rounds) = (40, 4000);
        let mut state = 1_u64;
        // Knuth's MMIX generator; its upper bits are good.
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut held = 0;
        for _ in 0..rounds {
            let mut cases: Vec<f64> = (0..n).map(|_| uniform()).collect();
            cases.sort_by(f64::total_cmp);
            let holds = |(at, limit): (usize, &f64)| {
                // Check just below the case, and at the case.
                [n - at, n - at - 1].into_iter().all(|above| {
                    let band = band(above as f64 / n as f64, n as u64);
                    (band.low..=band.high).contains(&(1.0 - limit))
                })
            };
            held += usize::from(cases.iter().enumerate().all(holds));
        }
        // 95 % of 4000 rounds, which the bound nearly reaches, minus four standard deviations of
        // 13.8.
        assert!(held >= 3745, "{held} of {rounds}");
    }

    /// Published to seven decimals in tables of the normal distribution.
    #[test]
    fn normal_quantiles() {
        for (tail, z) in [
            (0.025, 1.959_964),
            (0.005, 2.575_829_3),
            (0.025 / 9.0, 2.772_921_3),
            (5e-4, 3.290_526_7),
        ] {
            assert!((normal_quantile(tail) - z).abs() < 5e-7, "{tail}");
        }
    }

    #[test]
    fn a_paired_interval_leaves_out_0_where_mcnemars_test_does() {
        for (first, second) in [(15, 5), (14, 5), (0, 4), (0, 3), (60, 40), (59, 41), (2, 2)] {
            let mcnemar =
                (f64::from(first) - f64::from(second)).powi(2) / f64::from(first + second);
            let [low, high] = paired(first as u64, second as u64, 200, 1);
            let without_0 = low > 0.0 || high < 0.0;
            assert_eq!(without_0, mcnemar > 1.959_964_f64.powi(2), "{first}, {second}");
            // The other way round it is the same interval, mirrored.
            let [other_low, other_high] = paired(second as u64, first as u64, 200, 1);
            assert!((low + other_high).abs() < 1e-9 && (high + other_low).abs() < 1e-9);
        }
        // More comparisons, wider intervals.
        let ([low, high], [wide_low, wide_high]) = (paired(15, 5, 200, 1), paired(15, 5, 200, 10));
        assert!(wide_low < low && high < wide_high);
        // Without a case that differs, it is Wilson's interval of no case, on either side.
        let [low, high] = paired(0, 0, 50, 1);
        let none = wilson(0.0, 50).high;
        assert!((high - none).abs() < 1e-9 && (low + none).abs() < 1e-9, "{low} to {high}");
        assert_eq!(paired(0, 0, 0, 1), [-1.0, 1.0]);
    }

    /// The likeliest probabilities at a difference, by trying many, give the same test.
    #[test]
    fn paired_ends_solve_the_definition() {
        for (first, second, n) in [(7_u64, 2_u64, 30_u64), (1, 0, 12), (20, 25, 60)] {
            let counts = [first, second, n].map(|count| count as f64);
            let statistic = |difference: f64| {
                let [first, second, n] = counts;
                let likelihood = |alone: f64| {
                    let term = |count: f64, share: f64| {
                        if count == 0.0 { 0.0 } else { count * share.max(1e-300).ln() }
                    };
                    term(first, alone + difference)
                        + term(second, alone)
                        + term(n - first - second, 1.0 - 2.0 * alone - difference)
                };
                let (from, to) = ((-difference).max(0.0), (1.0 - difference) / 2.0);
                let tried = (0..=200_000).map(|k| from + (to - from) * f64::from(k) / 200_000.0);
                let alone = tried.max_by(|a, b| likelihood(*a).total_cmp(&likelihood(*b))).unwrap();
                let variance = n * (2.0 * alone + difference - difference * difference);
                (first - second - n * difference) / variance.sqrt()
            };
            let [low, high] = paired(first, second, n, 1);
            for (end, z) in [(low, 1.959_964), (high, -1.959_964)] {
                assert!((statistic(end) - z).abs() < 2e-3, "{end}: {}", statistic(end));
            }
        }
    }

    /// Newcombe 1998, "Interval estimation for the difference between independent proportions",
    /// table II, method 10, printed to four decimals.
    #[test]
    fn published_differences() {
        for ([a, m, b, n], low, high) in [
            ([56, 70, 48, 80], 0.0524, 0.3339),
            ([9, 10, 3, 10], 0.1705, 0.8090),
            ([5, 56, 0, 29], -0.0381, 0.1926),
        ] {
            let share = |hits: i32, of: i32| (f64::from(hits) / f64::from(of), of as u64);
            let found = difference([share(a, m), share(b, n)]);
            assert!((found.low - low).abs() <= 5.1e-5, "{a}/{m} − {b}/{n}: {found:?}");
            assert!((found.high - high).abs() <= 5.1e-5, "{a}/{m} − {b}/{n}: {found:?}");
        }
    }

    #[test]
    fn nothing_known() {
        let all = Interval { low: 0.0, high: 1.0 };
        assert_eq!(wilson(0.3, 0), all);
        assert_eq!(wilson(f64::NAN, 10), all);
        assert_eq!(wilson(f64::INFINITY, 10), all);
        assert_eq!((band(0.3, 0), band(f64::NAN, 10)), (all, all));
    }

    proptest! {
        /// The ends are the proportions p at which |share − p| = z·√(p(1 − p)/n). This is the
        /// definition, solved by bisection.
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
