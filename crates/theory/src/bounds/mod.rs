//! From measured quantities to bounds, with the proofs in `docs/theory.md`.
//!
//! Inputs that are exact of a finite world give bounds that are true of it. Inputs that are
//! estimates give no bound at all: see [`Trust::of_bound`](crate::Trust::of_bound).

pub mod certificate;
pub mod cross_correlation;
pub mod infonce;
pub mod lipschitz;
pub mod spread;
