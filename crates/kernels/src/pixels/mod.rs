//! Kernels on 8-bit images that are held as planes: one channel after the other, rows from the top.
//!
//! - A filter across rows is a loop over whole rows, which the compiler makes vectors of. A filter
//!   along rows is the same loop on the transposed plane.
//! - All of it is plain Rust, compiled for each instruction set of [`Isa`](crate::isa::Isa). It
//!   computes with integers, and with floats that are neither fused nor reordered, so that every
//!   instruction set gives the same bytes.

mod blur;
mod colour;
mod image;
mod layout;
mod resample;

pub use blur::{box_rows, convolve};
pub use colour::{Recolour, luminance_sum, recolour, scale_and_shift};
pub use image::{Image, ImageError};
pub use layout::{interleave, split, split_transposed, transpose};
pub use resample::{BITS, Window, weigh_rows};
