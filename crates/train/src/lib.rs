//! Training, which turns a checked [`Plan`] and a data set into the checkpoints and logs of a run
//! folder.
//!
//! [`pretrain`] is the training loop. All random choices in it are pure functions of the seed and
//! the step. So a [`Checkpoint`] holds no state of a random number generator, and training
//! continues exactly where it stopped.

mod batch;
pub mod checkpoint;
mod config;
mod gradients;
mod logs;
mod optimizer;
mod pretrain;
mod recipe;
mod schedule;
pub mod seed;
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
