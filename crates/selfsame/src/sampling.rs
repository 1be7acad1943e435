//! How much `forecast` and `certify` take on, and how both estimate their intervals.

use std::time::Duration;

use crate::Error;

/// Bytes that all views of a set of images may take in memory.
pub const VIEW_BYTES: usize = 16 << 30;
/// Random halves of the images that an interval is estimated from.
pub const HALVES: usize = 40;
/// Half of the width of a 95 % interval, in standard errors.
pub const SIDE: f64 = 1.96;
/// Time for one clique of a half, where the proofs of curves are limited at all: the largest clique
/// is nearly always found by then, and only the proof that it is the largest is missing.
pub const HALF_BUDGET: Duration = Duration::from_millis(100);

/// Images of a class up to which the proof of its curve is not limited in time.
const UNLIMITED_UP_TO: usize = 100;
/// Time for the proof of a curve of a larger class.
const BUDGET: Duration = Duration::from_secs(10);

/// Time for the proof of each curve: what was asked for, and otherwise what suits the `largest`
/// number of images of a class. None is unlimited.
pub fn budget(asked: Option<Duration>, largest: usize) -> Option<Duration> {
    asked.or((largest > UNLIMITED_UP_TO).then_some(BUDGET))
}

/// Refuses `views` views of each of `images` images, squares of side `image_size`, that together
/// need more memory than [`VIEW_BYTES`].
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
