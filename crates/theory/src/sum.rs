//! Sums whose rounding error does not grow with their length.

/// A compensated sum: it keeps what rounding takes away, and adds it at the end (Neumaier,
/// "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", ZAMM 54, 1974). Its
/// error is that of a single rounding for any number n of terms with n² Σ|x| < 2¹⁰⁶ |Σx|.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        let next = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() {
            (self.sum - next) + value
        } else {
            (value - next) + self.sum
        };
        self.sum = next;
    }

    pub(crate) fn value(self) -> f64 {
        self.sum + self.lost
    }
}

pub(crate) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    values.into_iter().for_each(|value| sum.add(value));
    sum.value()
}

/// Returns the mean, or 0 if there are no values.
pub(crate) fn mean(values: &[f64]) -> f64 {
    sum(values.iter().copied()) / values.len().max(1) as f64
}

/// Computes a·b, in eight interleaved sums that the compiler can keep in vector registers.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// Computes ‖a − b‖².
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let (a_blocks, b_blocks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 =
        a_blocks.remainder().iter().zip(b_blocks.remainder()).map(|(a, b)| (a - b).powi(2)).sum();
    for (a, b) in a_blocks.zip(b_blocks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_plain_sum_loses_is_kept() {
        assert_eq!(sum([1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(std::iter::repeat_n(0.1, 10_000_000)), 1e6);
        assert_eq!(sum([]), 0.0);
        assert_eq!(mean(&[]), 0.0);
    }

    proptest! {
        #[test]
        fn products_and_distances_match_their_definitions(pairs in prop::collection::vec((-1e3..1e3, -1e3..1e3), 0..40)) {
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let terms = a.iter().zip(&b);
            // At most 40 roundings of sums below 40·4e6.
            let tolerance = 40.0 * 1.6e8 * f64::EPSILON;
            prop_assert!((dot(&a, &b) - sum(terms.clone().map(|(a, b)| a * b))).abs() <= tolerance);
            prop_assert!((squared_distance(&a, &b) - sum(terms.map(|(a, b)| (a - b).powi(2)))).abs() <= tolerance);
        }
    }
}
