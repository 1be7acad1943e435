//! Bounds computed from measured quantities, with the proofs in `docs/theory.md`.
//!
//! Inputs that are exact for a finite world give bounds that hold for that world. Inputs that are
//! estimates give no bound at all: see [`Trust::of_bound`](crate::Trust::of_bound).

pub mod certificate;
pub mod cross_correlation;
pub mod infonce;
pub mod lipschitz;
pub mod spread;
