//! Blocks: the channels whose sums an inner loop keeps in registers side by side.

use crate::isa::{Isa, Kernel, MOST_LANES, Vector};

/// Channels of a block.
pub(super) fn block(isa: Isa, channels: usize) -> usize {
    struct Block(usize);
    impl Kernel for Block {
        type Output = usize;

        #[inline(always)]
        fn run<V: Vector>(self) -> usize {
            V::LANES * block_vectors::<V>(self.0)
        }
    }
    isa.run(Block(channels))
}

/// Vectors of a block.
#[inline(always)]
pub(super) fn block_vectors<V: Vector>(channels: usize) -> usize {
    match V::LANES {
        16 if channels <= 16 => 1,
        4 if V::REGISTERS == 32 => 4,
        _ => 2,
    }
}

/// Writes the first `lanes` lanes.
///
/// # Safety
///
/// - The machine has the instruction set of `V`.
/// - `lanes` values can be written at `to`, at most as many as the vector has.
#[inline(always)]
pub(super) unsafe fn store_lanes<V: Vector>(vector: V, to: *mut f32, lanes: usize) {
    // SAFETY: the caller vouches for the values at `to`; no vector is longer than the array.
    unsafe {
        if lanes == V::LANES {
            vector.store(to);
        } else {
            let mut all = [0.0f32; MOST_LANES];
            vector.store(all.as_mut_ptr());
            std::ptr::copy_nonoverlapping(all.as_ptr(), to, lanes);
        }
    }
}
