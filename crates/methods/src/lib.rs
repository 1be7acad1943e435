//! Contrastive methods, and the losses they minimise.
//!
//! A method owns its networks; a loss is a pure function of embeddings.

pub mod losses;
mod simclr;

pub use simclr::{SimClr, SimClrConfig};
