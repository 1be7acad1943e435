//! Measures how an augmentation brings the images of a class together: augmented distances, the (σ,
//! δ) concentration of Huang et al. (ICLR 2023), and forecasts computed from them. Also finds near
//! copies among images.

mod bits;
pub mod clique;
pub mod cluster;
pub mod curve;
mod dimacs;
pub mod distance;
pub mod forecast;
mod graph;
pub mod near;
pub mod separation;

pub use dimacs::{Dimacs, DimacsError, MAX_VERTICES};
pub use graph::{Graph, pair_index};
