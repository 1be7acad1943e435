//! Augmented distances and the (sigma, delta) concentration of an augmentation.

mod bits;
pub mod clique;
pub mod curve;
mod dimacs;
pub mod distance;
mod graph;
pub mod separation;

pub use dimacs::{DimacsError, MAX_VERTICES};
pub use graph::{Graph, pair_index};
