//! Products of two blocks of byte vectors, exact in integers.
//!
//! ```text
//! for each vector a of one block (the rows), and each vector b of the other (the columns):
//!     products[a, b] = Σ over values i: a[i] · b[i]
//! ```
//!
//! 1. **The columns are packed once** into panels of 16, and are multiplied with many blocks of
//!    rows.
//! 2. **Bytes stay bytes** if the machine can multiply them (`quads`), in AMX tiles or with AVX-512
//!    VNNI. Four values of a vector are then neighbours in memory.
//! 3. **Otherwise bytes are widened to 16 bits** (`pairs`), and two values of a vector are
//!    neighbours in memory. AVX2's own instruction for bytes keeps the sum of two products in 16
//!    bits, and products of bytes above 128 overflow that sum.
//! 4. **Long vectors are multiplied in sections**, so that a row's section stays in the first-level
//!    cache from one panel to the next.

use std::ops::Range;

use super::pairs;
use super::panel::{COLUMNS, LONGEST, Line, PANEL, Products, ROWS, Rows};
#[cfg(target_arch = "x86_64")]
use super::quads;
use crate::isa::Isa;

/// Byte vectors packed as the columns of [`Packed::products`]. The memory is reused from one call
/// of [`Packed::fill`] to the next.
#[derive(Debug, Clone)]
pub struct Packed {
    isa: Isa,
    dim: usize,
    columns: usize,
    /// The panels, one after the other. A panel has its values in order. The corresponding values
    /// of its 16 columns are neighbours.
    panels: Vec<Line>,
    /// Memory for packed rows.
    rows: Vec<Line>,
}

impl Packed {
    /// Creates an empty value, whose vectors will be multiplied on `isa`.
    pub fn new(isa: Isa) -> Self {
        Self { isa, dim: 1, columns: 0, panels: Vec::new(), rows: Vec::new() }
    }

    /// Packs the values in `range` of each vector of `b`, which has vectors of `dim` bytes. These
    /// vectors replace all that were packed before.
    ///
    /// # Panics
    ///
    /// If `b` is not a whole number of vectors, or `range` is empty, reaches beyond a vector or is
    /// longer than [`LONGEST`].
    pub fn fill(&mut self, b: &[u8], dim: usize, range: Range<usize>) {
        assert!(dim > 0 && b.len().is_multiple_of(dim), "whole vectors");
        assert!(
            range.start < range.end && range.end <= dim && range.len() <= LONGEST,
            "a range of the values"
        );
        (self.dim, self.columns) = (range.len(), b.len() / dim);
        let panels = self.columns.next_multiple_of(COLUMNS) / PANEL;
        #[cfg(target_arch = "x86_64")]
        if quads::is_supported(self.isa) {
            return quads::pack(self.isa, b, dim, range, panels, &mut self.panels);
        }
        pairs::pack_columns(b, dim, range, panels, &mut self.panels);
    }

    /// Returns the distance, in products, from a row to the next: the number of columns and a
    /// margin. The distance is an odd number of cache lines, so that the rows of a tile do not
    /// compete for the same few sets of the cache.
    pub fn stride(&self) -> usize {
        self.columns.next_multiple_of(COLUMNS) + PANEL
    }

    /// Writes the products of all rows of `a` with the first `columns` columns to `out[row * stride
    /// + column]`. `a` has at most [`ROWS`] vectors of `dim` bytes. Only the values in `range` are
    /// multiplied, and there must be as many as were packed. Other places of the first [`ROWS`]
    /// rows of `out` may hold any value afterwards.
    ///
    /// # Panics
    ///
    /// If a length does not fit the others.
    pub fn products(
        &mut self,
        a: &[u8],
        dim: usize,
        range: Range<usize>,
        columns: usize,
        out: &mut [u32],
    ) {
        assert!(
            dim > 0 && a.len().is_multiple_of(dim) && a.len() / dim <= ROWS,
            "whole vectors, and not too many"
        );
        assert!(range.len() == self.dim && range.end <= dim, "as many values as were packed");
        assert!(
            columns <= self.columns && out.len() == ROWS * self.stride(),
            "the columns packed, and their place"
        );
        if columns == 0 {
            return;
        }
        let stride = self.stride();
        let panels = columns.next_multiple_of(COLUMNS) / PANEL;
        let rows = Rows { vectors: a, dim, range };
        let products = Products { panels, stride, out };
        #[cfg(target_arch = "x86_64")]
        if quads::is_supported(self.isa) {
            return quads::multiply(self.isa, rows, &mut self.rows, &self.panels, products);
        }
        pairs::multiply(self.isa, rows, &mut self.rows, &self.panels, products);
    }
}
