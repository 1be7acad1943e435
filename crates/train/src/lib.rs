//! Training: from a checked [`Plan`] and a data set to the checkpoints and logs of a run folder.
//!
//! [`pretrain`] is the training loop. Everything random in it is a pure function of the seed and
//! the step, so a [`Checkpoint`] holds no state of a random number generator, and training goes on
//! exactly where it stopped.

mod batch;
pub mod checkpoint;
mod config;
mod gradients;
mod logs;
mod optimizer;
mod pretrain;
mod recipe;
mod schedule;
mod tensorboard;
#[cfg(test)]
mod toys;
mod watch;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use config::{
    Config, DataConfig, OptimizerKind, Plan, TrainConfig, check_image_size, check_settings,
};
pub use pretrain::{Outcome, Progress, Remaining, TrainError, pretrain};
pub use recipe::{EPSILON, RECIPES, Recipe, recipe};
pub use tensorboard::EVENTS_FILE;
pub use watch::Collapse;
