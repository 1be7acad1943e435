//! Kernels on 8-bit images that are stored as planes: one channel after the other, with rows from
//! top to bottom.
//!
//! - A filter across rows is a loop over whole rows, which the compiler vectorises. A filter along
//!   rows is the same loop on the transposed plane.
//! - All kernels but the transposition and [`convolve`] are plain Rust, compiled for each
//!   instruction set of [`Isa`](crate::isa::Isa). Those two are written with vector types.
//! - All compute with integers, and with floats that are neither fused nor reordered, so that every
//!   instruction set gives the same bytes.

mod blur;
mod colour;
mod image;
mod layout;
mod resample;

pub use blur::{box_rows, convolve};
pub use colour::{Recolour, luminance_sum, recolour, scale_and_shift};
pub use image::{Image, ImageError, Numbered};
pub use layout::{interleave, split, split_transposed, transpose};
pub use resample::{BITS, Window, weigh_rows};
