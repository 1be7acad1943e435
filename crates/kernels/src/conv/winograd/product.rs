//! Products of matrices of f32.

#![allow(clippy::needless_range_loop, reason = "register blocks are unrolled over constant ranges")]

use crate::conv::registers::block_vectors;
use crate::isa::{Kernel, Vector};

/// A product of matrices: `sums[row, column]` is the sum over `depth` of left × right.
pub(super) struct Product<'a> {
    pub left: &'a [f32],
    /// Distance, in values, from a row of `left` to the next.
    pub row_pitch: usize,
    /// Distance, in values, between consecutive values of a row of `left` along `depth`.
    pub depth_pitch: usize,
    pub rows: usize,
    /// Number of products per sum.
    pub depth: usize,
    /// `[depth, block]` for each block of columns.
    pub right: &'a [f32],
    /// Distance, in values, from a block of `right` to the next.
    pub block_pitch: usize,
    pub columns: usize,
    /// `[rows, columns rounded up to blocks]`.
    pub sums: &'a mut [f32],
    /// Whether the products are added to the sums. Otherwise they replace the sums.
    pub adds: bool,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let block = V::LANES * block_vectors::<V>(self.columns);
        let blocks = self.columns.div_ceil(block);
        assert!(self.rows > 0 && self.depth > 0 && blocks > 0);
        assert!(
            (self.rows - 1) * self.row_pitch + (self.depth - 1) * self.depth_pitch
                < self.left.len()
        );
        assert!((blocks - 1) * self.block_pitch + self.depth * block <= self.right.len());
        assert!(self.rows * blocks * block <= self.sums.len());
        // SAFETY: `run` is called with the instruction set. The assertions above guarantee the rest
        // of the contract of `blocks`.
        unsafe {
            match (block_vectors::<V>(self.columns), V::REGISTERS) {
                (1, _) => self.blocks::<V, 1, 12>(),
                (2, 32) => self.blocks::<V, 2, 12>(),
                (2, _) => self.blocks::<V, 2, 6>(),
                _ => self.blocks::<V, 4, 6>(),
            }
        }
    }
}

impl Product<'_> {
    /// Computes all rows, up to `M` at a time, for each block of `N` vectors.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has the instruction set of `V`.
    /// - `N` must be `block_vectors::<V>(columns)`.
    /// - The caller must guarantee that `left`, `right` and `sums` are as long as `rows`, `depth`
    ///   and whole blocks require.
    #[inline(always)]
    unsafe fn blocks<V: Vector, const N: usize, const M: usize>(mut self) {
        let blocks = self.columns.div_ceil(N * V::LANES);
        for block in 0..blocks {
            let mut row = 0;
            while row < self.rows {
                // Two rows alone keep few sums in flight, so a remainder of two is avoided if the
                // remaining rows are a multiple of four.
                let remaining = self.rows - row;
                // SAFETY: the caller guarantees the contract, and no more rows are computed than
                // remain.
                row += unsafe {
                    match remaining {
                        _ if remaining >= M
                            && !(remaining == M + 2 && remaining.is_multiple_of(4)) =>
                        {
                            self.micro_kernel::<V, N, M>(row, block, blocks)
                        }
                        4.. => self.micro_kernel::<V, N, 4>(row, block, blocks),
                        2.. => self.micro_kernel::<V, N, 2>(row, block, blocks),
                        _ => self.micro_kernel::<V, N, 1>(row, block, blocks),
                    }
                };
            }
        }
    }

    /// Computes the `M` rows that start at `row`, for one of the `blocks` blocks of columns.
    /// Returns `M`.
    ///
    /// # Safety
    ///
    /// - The caller must guarantee the contract of [`Self::blocks`].
    /// - `row + M` must be at most `rows`.
    /// - `block` must be less than `blocks`, the number of blocks of `columns`.
    #[inline(always)]
    unsafe fn micro_kernel<V: Vector, const N: usize, const M: usize>(
        &mut self,
        row: usize,
        block: usize,
        blocks: usize,
    ) -> usize {
        let (row_pitch, depth_pitch) = (self.row_pitch, self.depth_pitch);
        // SAFETY: offsets stay within the values that the caller guarantees.
        unsafe {
            let mut left = self.left.as_ptr().add(row * row_pitch);
            let mut right = self.right.as_ptr().add(block * self.block_pitch);
            let mut sums = [[V::zero(); N]; M];
            for _ in 0..self.depth {
                let factor: [V; N] = std::array::from_fn(|n| V::load(right.add(n * V::LANES)));
                for m in 0..M {
                    let value = V::splat(left.add(m * row_pitch));
                    for n in 0..N {
                        sums[m][n] = value.mul_add(factor[n], sums[m][n]);
                    }
                }
                left = left.wrapping_add(depth_pitch);
                right = right.wrapping_add(N * V::LANES);
            }
            for m in 0..M {
                let to = self.sums.as_mut_ptr().add(((row + m) * blocks + block) * N * V::LANES);
                for n in 0..N {
                    let to = to.add(n * V::LANES);
                    let sum = if self.adds { V::load(to).add(sums[m][n]) } else { sums[m][n] };
                    sum.store(to);
                }
            }
        }
        M
    }
}
