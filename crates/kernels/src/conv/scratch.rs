//! The memory of a thread that convolves.

use super::padded::Padded;
use crate::buffer::Buffer;
use crate::element::Element;

/// Memory of a thread that convolves, kept from one convolution to the next.
pub struct Scratch<T> {
    /// Inputs that are normalised when they are read, or gradients.
    pub(super) values: Buffer<T>,
    /// Outputs before they are rounded.
    pub(super) unrounded: Buffer,
    /// Images in frames of zeros, and the layout for which these frames were last used.
    pub(super) frames: (Option<Padded>, Buffer),
    /// Transformed Winograd tiles.
    pub(super) tiles: Buffer,
    /// Images as rows of a matrix.
    #[cfg(target_arch = "x86_64")]
    pub(super) rows: Buffer<half::bf16>,
}

impl<T: Element> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            values: Buffer::any(0),
            unrounded: Buffer::any(0),
            frames: (None, Buffer::any(0)),
            tiles: Buffer::any(0),
            #[cfg(target_arch = "x86_64")]
            rows: Buffer::any(0),
        }
    }
}
