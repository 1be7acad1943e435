//! The schedule of a run: its steps, its learning rate and its measurements.

use std::f64::consts::PI;
use std::ops::Range;

use crate::config::TrainConfig;

/// The course of a training run, as functions of the step.
pub(crate) struct Schedule {
    /// Number of images per step: a batch, or all images if there are fewer than a batch.
    pub(crate) batch: usize,
    /// Number of steps per epoch. Images that do not fill a batch are left out.
    pub(crate) steps_per_epoch: u64,
    /// Total number of steps.
    pub(crate) steps: u64,
    /// Number of steps over which the learning rate rises.
    warmup: f64,
    highest_rate: f64,
    epochs: u64,
    /// Number of epochs between two measurements, or 0 for no measurements.
    measured_every: u64,
}

impl Schedule {
    /// Creates the schedule of a run on `images` images, which must be at least two.
    pub(crate) fn new(config: &TrainConfig, images: usize) -> Self {
        let batch = config.batch.min(images);
        let (steps_per_epoch, epochs) = ((images / batch) as u64, config.epochs as u64);
        Self {
            batch,
            steps_per_epoch,
            steps: steps_per_epoch * epochs,
            warmup: config.warmup_epochs * steps_per_epoch as f64,
            highest_rate: config.learning_rate,
            epochs,
            measured_every: config.knn_every as u64,
        }
    }

    /// Returns the range of the batch of step `number`, from 0, in the order of its epoch.
    pub(crate) fn batch_of(&self, number: u64) -> Range<usize> {
        let start = (number % self.steps_per_epoch) as usize * self.batch;
        start..start + self.batch
    }

    /// Returns the learning rate of step `number`, from 0.
    pub(crate) fn learning_rate(&self, number: u64) -> f64 {
        learning_rate(self.highest_rate, number, self.warmup, self.steps)
    }

    /// Returns whether the learning rate has stopped rising after `done` steps.
    pub(crate) fn past_warmup(&self, done: u64) -> bool {
        done as f64 >= self.warmup + 1.0
    }

    /// Returns whether the encoder is measured after `done` steps. It is measured at the end of
    /// every `measured_every`-th epoch and of the last epoch.
    pub(crate) fn is_measured(&self, done: u64) -> bool {
        let epoch = done / self.steps_per_epoch;
        self.measured_every > 0
            && done.is_multiple_of(self.steps_per_epoch)
            && (epoch.is_multiple_of(self.measured_every) || epoch == self.epochs)
    }
}

/// Returns the learning rate of step `step`, from 0. The rate is linear from 0 over the first
/// `warmup` steps, then follows a half cosine that would reach 0 at `steps` (Loshchilov and Hutter
/// 2017, without restarts).
fn learning_rate(highest: f64, step: u64, warmup: f64, steps: u64) -> f64 {
    let (now, end) = (step as f64, steps as f64);
    if now < warmup {
        return highest * (now + 1.0) / (warmup + 1.0);
    }
    highest * 0.5 * (1.0 + (PI * (now - warmup) / (end - warmup).max(1.0)).cos())
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
        // Half-way, the half cosine is at its middle value. At the end, the rate is one step away
        // from 0.
        assert!((rates[55] - 0.25).abs() < 1e-12 && rates[99] < 0.5 * 1e-3);
        assert_eq!(learning_rate(0.5, 0, 0.0, 1), 0.5);
    }
}
