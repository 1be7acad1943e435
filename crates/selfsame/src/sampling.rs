//! Limits of `forecast` and `certify`.

use std::time::Duration;

use crate::Error;

/// Maximum size in memory of all views of a set of images, in bytes.
pub const VIEW_BYTES: usize = 16 << 30;
/// Number of random halves of the images from which an interval is estimated.
pub const HALVES: usize = 40;
/// Time limit for one clique of a half, if the proofs of curves are limited at all. The largest
/// clique is nearly always found by then, and only the proof that it is the largest is missing.
pub const HALF_BUDGET: Duration = Duration::from_millis(100);

/// Maximum number of images per class for which the proof of its curve has no time limit.
const UNLIMITED_UP_TO: usize = 100;
/// Time limit for the proof of a larger class's curve.
const BUDGET: Duration = Duration::from_secs(10);

/// A text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it as 60s, 1.5m or 2h")]
pub struct TimeError;

/// Reads a time such as `60s`, `1.5m` or `2h`. A number without a unit is in seconds.
///
/// # Errors
/// If the text has another form, or if the time is negative.
///
/// ```
/// assert_eq!(selfsame::time("1.5m")?.as_secs(), 90);
/// # Ok::<(), selfsame::TimeError>(())
/// ```
pub fn time(text: &str) -> Result<Duration, TimeError> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[number.len()..] {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(TimeError),
    };
    let number: f64 = number.parse().map_err(|_| TimeError)?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| TimeError)
}

/// Returns the time limit for the proof of each curve: the requested limit, or else the default for
/// a largest class of `largest` images. `None` means no limit.
pub fn budget(asked: Option<Duration>, largest: usize) -> Option<Duration> {
    asked.or((largest > UNLIMITED_UP_TO).then_some(BUDGET))
}

/// Refuses `views` views of each of `images` images, squares with side `image_size`, if together
/// they need more memory than [`VIEW_BYTES`].
///
/// # Errors
/// [`Error::TooManyViews`].
pub fn check_views(images: usize, views: usize, image_size: u32) -> Result<(), Error> {
    let bytes = images as u128 * views as u128 * u128::from(image_size).pow(2) * 3;
    let limit = VIEW_BYTES as u128;
    match bytes > limit {
        true => Err(Error::TooManyViews { images, views, image_size, bytes, limit }),
        false => Ok(()),
    }
}
