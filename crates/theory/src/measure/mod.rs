//! Measurements of the quantities of the theory on the finite world: exact up to rounding.

mod alignment;
mod centres;
mod correlation;
mod diameters;
mod infonce;

pub use alignment::{Alignment, alignment};
pub use centres::{Centres, Errors, centres};
pub use correlation::{Correlation, Within, correlation};
pub use diameters::{Diameters, diameters};
pub use infonce::{InfoNce, infonce, infonce_sampled};
