//! Types and sizes that both ways to multiply packed vectors share.

use std::ops::Range;

/// Number of columns whose sums are in registers at the same time, which is two panels.
pub(super) const COLUMNS: usize = 2 * PANEL;

/// Number of columns per panel. A line holds values of all columns of a panel.
pub(super) const PANEL: usize = 16;

/// Number of values per section, small enough that a section of each row stays in the first-level
/// cache from one panel to the next.
pub(super) const SECTION: usize = 1024;

/// Maximum number of rows that are multiplied at a time.
pub const ROWS: usize = 32;

/// Maximum number of values of a vector: 255² times this number is still below 2³².
pub const LONGEST: usize = 1 << 16;

/// A cache line of packed values, which is loaded as a register or as a row of a tile.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; 64]);

/// The rows of a product, which are byte vectors. Only a range of their values is multiplied.
pub(super) struct Rows<'a> {
    pub(super) vectors: &'a [u8],
    /// Number of bytes per vector.
    pub(super) dim: usize,
    /// The values that are multiplied.
    pub(super) range: Range<usize>,
}

/// Destination of products: [`ROWS`] rows, `stride` apart, with the columns of `panels` panels.
pub(super) struct Products<'a> {
    pub(super) panels: usize,
    pub(super) stride: usize,
    pub(super) out: &'a mut [u32],
}
