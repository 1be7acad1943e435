//! Products of matrices of f32.

#![allow(clippy::needless_range_loop, reason = "register tiles are unrolled over constant ranges")]

use crate::conv::tile::vectors;
use crate::isa::{Kernel, Vector};

/// A product of matrices: a sum is that over `depth` of left times right.
pub(super) struct Product<'a> {
    pub left: &'a [f32],
    /// From row to row, and from step to step of the depth.
    pub left_row: usize,
    pub left_step: usize,
    pub rows: usize,
    pub depth: usize,
    /// `[depth, block]` for each block of columns.
    pub right: &'a [f32],
    /// From block to block.
    pub right_block: usize,
    pub columns: usize,
    /// `[rows, columns rounded up to blocks]`.
    pub sums: &'a mut [f32],
    /// Whether to what the sums are already.
    pub adds: bool,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let block = V::LANES * vectors::<V>(self.columns);
        let blocks = self.columns.div_ceil(block);
        assert!(self.rows > 0 && self.depth > 0 && blocks > 0);
        assert!(
            (self.rows - 1) * self.left_row + (self.depth - 1) * self.left_step < self.left.len()
        );
        assert!((blocks - 1) * self.right_block + self.depth * block <= self.right.len());
        assert!(self.rows * blocks * block <= self.sums.len());
        // SAFETY: the assertions above are the contract of `tiles`, and `run` is given the
        // instruction set.
        unsafe {
            match (vectors::<V>(self.columns), V::REGISTERS) {
                (1, _) => self.tiles::<V, 1, 12>(),
                (2, 32) => self.tiles::<V, 2, 12>(),
                (2, _) => self.tiles::<V, 2, 6>(),
                _ => self.tiles::<V, 4, 6>(),
            }
        }
    }
}

impl Product<'_> {
    /// # Safety
    ///
    /// The instruction set of `V` is there; `N` is `vectors::<V>(columns)`; left, right and sums
    /// reach as far as rows, depth and whole blocks say.
    #[inline(always)]
    unsafe fn tiles<V: Vector, const N: usize, const M: usize>(mut self) {
        let blocks = self.columns.div_ceil(N * V::LANES);
        for block in 0..blocks {
            let mut row = 0;
            while row < self.rows {
                // Two rows alone would keep few sums under way at a time: where tiles of four come
                // out even, they are taken.
                let left = self.rows - row;
                // SAFETY: as the caller vouches; the rows of a tile are there.
                row += unsafe {
                    match left {
                        _ if left >= M && !(left == M + 2 && left.is_multiple_of(4)) => {
                            self.tile::<V, N, M>(row, block, blocks)
                        }
                        4.. => self.tile::<V, N, 4>(row, block, blocks),
                        2.. => self.tile::<V, N, 2>(row, block, blocks),
                        _ => self.tile::<V, N, 1>(row, block, blocks),
                    }
                };
            }
        }
    }

    /// The sums of `M` rows, which are returned, and a block of columns.
    ///
    /// # Safety
    ///
    /// As [`Self::tiles`], and `row + M` is at most `rows`, `block` less than `blocks`, which is
    /// that of `columns`.
    #[inline(always)]
    unsafe fn tile<V: Vector, const N: usize, const M: usize>(
        &mut self,
        row: usize,
        block: usize,
        blocks: usize,
    ) -> usize {
        let (left_row, left_step) = (self.left_row, self.left_step);
        // SAFETY: offsets stay within what `run` has asserted.
        unsafe {
            let mut left = self.left.as_ptr().add(row * left_row);
            let mut right = self.right.as_ptr().add(block * self.right_block);
            let mut sums = [[V::zero(); N]; M];
            for _ in 0..self.depth {
                let factor: [V; N] = std::array::from_fn(|n| V::load(right.add(n * V::LANES)));
                for m in 0..M {
                    let value = V::splat(left.add(m * left_row));
                    for n in 0..N {
                        sums[m][n] = value.mul_add(factor[n], sums[m][n]);
                    }
                }
                left = left.wrapping_add(left_step);
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
