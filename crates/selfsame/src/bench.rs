//! Measures this machine: how fast it draws and compares views, and trains and runs encoders.
//!
//! Each function measures one kind of work and returns a record. Times are medians over rounds,
//! because other programs use the machine too. An uncounted round warms up first.
//!
//! ```
//! use selfsame::bench::{ViewsOptions, views};
//!
//! let options = ViewsOptions { seconds: 0.1, ..ViewsOptions::default() };
//! let bench = views(&options)?;
//! assert!(bench.views_per_second_per_core > 0.0);
//! # Ok::<(), selfsame::Error>(())
//! ```

mod distance;
mod operations;
mod training;
mod views;

pub use self::distance::{DistanceBench, DistanceOptions, distance};
pub use self::operations::{OperationsOptions, operations};
#[doc(hidden)]
pub use self::training::step_time;
pub use self::training::{
    EmbedBench, EmbedOptions, EncoderOptions, Peer, TrainBench, TrainOptions, embed, train,
};
pub use self::views::{ViewsBench, ViewsOptions, views};

/// Returns the median; for an even number of values, the upper of the middle two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
