//! Blocks, the channels whose sums an inner loop keeps in registers at the same time.

use crate::isa::{Isa, Kernel, MAX_LANES, Vector};

/// Returns the number of channels per block.
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

/// Returns the number of vectors per block.
#[inline(always)]
pub(super) fn block_vectors<V: Vector>(channels: usize) -> usize {
    match V::LANES {
        16 if channels <= 16 => 1,
        4 if V::REGISTERS == 32 => 4,
        _ => 2,
    }
}

/// Writes the first `lanes` lanes of `vector`.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the instruction set of `V`.
/// - The caller must guarantee that `lanes` values can be written at `to`. `lanes` must be at most
///   the number of the vector's lanes.
#[inline(always)]
pub(super) unsafe fn store_lanes<V: Vector>(vector: V, to: *mut f32, lanes: usize) {
    // SAFETY: the caller guarantees the values at `to`. No vector is longer than the array.
    unsafe {
        if lanes == V::LANES {
            vector.store(to);
        } else {
            let mut all = [0.0f32; MAX_LANES];
            vector.store(all.as_mut_ptr());
            std::ptr::copy_nonoverlapping(all.as_ptr(), to, lanes);
        }
    }
}
