//! What both ways to multiply packed vectors share.

use std::ops::Range;

/// Columns whose sums are in registers together: two panels.
pub(super) const COLUMNS: usize = 2 * PANEL;

/// Columns of a panel. A line holds values of all of them.
pub(super) const PANEL: usize = 16;

/// Values of a section: as many of each row stay in the first-level cache from one panel to the
/// next.
pub(super) const SECTION: usize = 1024;

/// Rows multiplied at a time, at most.
pub const ROWS: usize = 32;

/// Values of a vector, at most: 255² times so many is still below 2³².
pub const LONGEST: usize = 1 << 16;

/// A cache line of packed values, which is loaded as a register or as a row of a tile.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; 64]);

/// The rows of a product: byte vectors of which some values count.
pub(super) struct Rows<'a> {
    pub(super) vectors: &'a [u8],
    /// Bytes of a vector.
    pub(super) dim: usize,
    /// The values that count.
    pub(super) range: Range<usize>,
}

/// Where products go: [`ROWS`] rows, `stride` apart, over the columns of so many panels.
pub(super) struct Products<'a> {
    pub(super) panels: usize,
    pub(super) stride: usize,
    pub(super) out: &'a mut [u32],
}
