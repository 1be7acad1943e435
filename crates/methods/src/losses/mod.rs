//! Losses: pure functions from embeddings to one number.

mod nt_xent;

pub use nt_xent::nt_xent;
