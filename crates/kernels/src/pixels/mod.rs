//! Kernels on 8-bit images, held as planes: one channel after the other, rows from the top.
//!
//! All of it is plain Rust, compiled for each instruction set by [`Isa`](crate::isa::Isa);
//! integers, and floats that are neither fused nor reordered, so that every instruction set gives
//! the same bytes. A direction across rows is one of whole rows, which vectors like; one along the
//! rows is that of the transposed plane.

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
