//! Augmented distances and the (sigma, delta) concentration of an augmentation.

mod bits;
pub mod clique;
pub mod cluster;
pub mod curve;
mod dimacs;
pub mod distance;
pub mod forecast;
mod graph;
pub mod separation;

pub use dimacs::{Dimacs, DimacsError, MAX_VERTICES};
pub use graph::{Graph, pair_index};
