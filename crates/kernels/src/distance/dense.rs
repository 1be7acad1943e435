//! Products of two blocks of byte vectors, exact in integers.
//!
//! One block, the columns, is packed once and multiplied with many others. Where the machine
//! multiplies bytes, in AMX tiles or with AVX-512 VNNI, it stays bytes, four values of a vector
//! beside each other (`quads`). Elsewhere bytes are widened to 16 bits, two values beside each
//! other (`pairs`): AVX2's own instruction for bytes keeps sums of two products in 16 bits, which
//! two bytes above 128 overflow.

use super::pairs;
#[cfg(target_arch = "x86_64")]
use super::quads;
use crate::isa::Isa;

/// Columns whose sums are in registers together, in panels of half as many.
pub(super) const COLUMNS: usize = 2 * PANEL;
/// Columns of a panel: a line has the values of so many.
pub(super) const PANEL: usize = 16;
/// Values multiplied before the next columns are: as many of each row stay in the first cache.
pub(super) const DEPTH: usize = 1024;
/// Rows multiplied at a time, at most.
pub const ROWS: usize = 32;
/// Values of a vector, at most: 255² times so many is still below 2³².
pub const LONGEST: usize = 1 << 16;

/// A cache line of packed values, where a register or a tile's row is loaded from.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; 64]);

/// Byte vectors packed for [`Packed::dots`], and the memory for it, which is kept from one filling
/// to the next.
#[derive(Debug, Clone)]
pub struct Packed {
    isa: Isa,
    dim: usize,
    columns: usize,
    /// Panel after panel; of each, values in their order, those of its 16 columns beside each
    /// other.
    panels: Vec<Line>,
    rows: Vec<Line>,
}

impl Packed {
    /// Nothing yet, to be multiplied on `isa`.
    pub fn new(isa: Isa) -> Self {
        Self { isa, dim: 1, columns: 0, panels: Vec::new(), rows: Vec::new() }
    }

    /// Takes the values `part` of each of the vectors in `b`, each of `dim` bytes, in place of what
    /// was there.
    ///
    /// # Panics
    ///
    /// If `b` is no whole number of vectors, or `part` is empty, not within them or longer than
    /// [`LONGEST`].
    pub fn fill(&mut self, b: &[u8], dim: usize, part: std::ops::Range<usize>) {
        assert!(dim > 0 && b.len().is_multiple_of(dim), "whole vectors");
        assert!(
            part.start < part.end && part.end <= dim && part.len() <= LONGEST,
            "a part of the values"
        );
        (self.dim, self.columns) = (part.len(), b.len() / dim);
        let panels = self.columns.next_multiple_of(COLUMNS) / PANEL;
        #[cfg(target_arch = "x86_64")]
        if quads::has(self.isa) {
            return quads::pack(self.isa, b, dim, part, panels, &mut self.panels);
        }
        pairs::pack_columns(b, dim, part, panels, &mut self.panels);
    }

    /// From one row of products to the next: the columns, and some to spare. An odd number of cache
    /// lines, so that the rows of a tile do not fall into the same few sets of the cache.
    pub fn stride(&self) -> usize {
        self.columns.next_multiple_of(COLUMNS) + PANEL
    }

    /// The products a_r · b_c over the part that was packed, at `out[r * stride + c]`, of all rows
    /// of `a`, at most [`ROWS`] vectors of `dim` bytes of which the values `part` count, with the
    /// first `columns` columns. Other places of the first [`ROWS`] rows of `out` may hold anything
    /// afterwards.
    ///
    /// # Panics
    ///
    /// If a length does not fit the others.
    pub fn dots(
        &mut self,
        a: &[u8],
        dim: usize,
        part: std::ops::Range<usize>,
        columns: usize,
        out: &mut [u32],
    ) {
        assert!(
            dim > 0 && a.len().is_multiple_of(dim) && a.len() / dim <= ROWS,
            "whole vectors, and not too many"
        );
        assert!(part.len() == self.dim && part.end <= dim, "the part that was packed");
        assert!(
            columns <= self.columns && out.len() == ROWS * self.stride(),
            "the columns packed, and their place"
        );
        if columns == 0 {
            return;
        }
        let stride = self.stride();
        let panels = columns.next_multiple_of(COLUMNS) / PANEL;
        #[cfg(target_arch = "x86_64")]
        if quads::has(self.isa) {
            return quads::dots(
                self.isa,
                a,
                dim,
                part,
                &mut self.rows,
                &self.panels,
                panels,
                stride,
                out,
            );
        }
        pairs::dots(self.isa, a, dim, part, &mut self.rows, &self.panels, panels, stride, out);
    }
}
