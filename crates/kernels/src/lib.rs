//! Low-level kernels of selfsame: the only crate with `unsafe` code.

mod bf16;
pub mod buffer;
pub mod conv;
pub mod conv_bn;
pub mod descent;
pub mod distance;
pub mod element;
pub mod isa;
pub mod map;
pub mod norm;
pub mod peak;
pub mod pixels;
pub mod pool;
pub mod random;
#[cfg(target_arch = "x86_64")]
mod tiles;
