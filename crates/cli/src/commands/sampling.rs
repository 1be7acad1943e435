//! How much `forecast` and `certify` take on, and how their intervals over images are made.

use std::time::Duration;

/// All views of a set may take this many bytes.
pub const VIEW_BYTES: usize = 16 << 30;
/// Halves of the images that intervals come from.
pub const HALVES: usize = 40;
/// Standard errors on either side that hold 95 % of a normal distribution.
pub const SIDE: f64 = 1.96;
/// What one clique of a half may take where curves have a limit: a clique is then nearly always
/// found, and only its proof missing.
pub const HALF_BUDGET: Duration = Duration::from_millis(100);

/// Up to this many images a class the proof of a curve takes as long as it takes.
const UNLIMITED_UP_TO: usize = 100;
/// What a proof may take beyond.
const BUDGET: Duration = Duration::from_secs(10);

/// What the proof of a curve may take: what was asked for, or by the images of the largest class.
pub fn budget(asked: Option<Duration>, largest: usize) -> Option<Duration> {
    asked.or((largest > UNLIMITED_UP_TO).then_some(BUDGET))
}
