use std::f64::consts::PI;

/// Learning rate of a step (counted from 0): linear from 0 over the first `warmup` steps, then a
/// half cosine that would reach 0 at `steps` (Loshchilov and Hutter 2017, without restarts).
pub(crate) fn learning_rate(highest: f64, step: u64, warmup: f64, steps: u64) -> f64 {
    let (at, end) = (step as f64, steps as f64);
    if at < warmup {
        return highest * (at + 1.0) / (warmup + 1.0);
    }
    highest * 0.5 * (1.0 + (PI * (at - warmup) / (end - warmup).max(1.0)).cos())
}

#[cfg(test)]
mod tests {
    use super::learning_rate;

    #[test]
    fn rises_to_the_highest_and_falls_towards_zero() {
        let rates: Vec<f64> = (0..100).map(|step| learning_rate(0.5, step, 10.0, 100)).collect();
        assert!(
            rates[..10].windows(2).all(|w| w[0] < w[1])
                && rates[10..].windows(2).all(|w| w[0] > w[1])
        );
        assert!((rates[0] - 0.5 / 11.0).abs() < 1e-12 && rates[10] == 0.5);
        // The half cosine is at its middle half-way, and one step from 0 at the end.
        assert!((rates[55] - 0.25).abs() < 1e-12 && rates[99] < 0.5 * 1e-3);
        assert_eq!(learning_rate(0.5, 0, 0.0, 1), 0.5);
    }
}
