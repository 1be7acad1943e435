//! Winograd's tiles: squares of 2 × 2 outputs, with the 4 × 4 inputs below them.

/// Components that a tile is transformed to: the elements of a 4 × 4 matrix.
pub(super) const COMPONENTS: usize = 16;

/// Values of a kernel.
pub(super) const AREA: usize = 9;

/// Rows and columns of outputs in a tile.
pub(super) const SIDE: usize = 2;

/// A tile of the output; at the right and lower edge, what the image has of it.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// Where the first channel of its first input is.
    pub source: usize,
    /// Where the first channel of its first output is.
    pub target: usize,
    /// Rows of outputs, at most [`SIDE`].
    pub rows: usize,
    /// Columns of outputs, at most [`SIDE`].
    pub columns: usize,
}

/// The tiles of `images` images of `[height, width]` pixels. `place` gives the source and target of
/// a tile's first pixel (image, y, x).
pub(super) fn tiles(
    images: usize,
    [height, width]: [usize; 2],
    place: impl Fn(usize, usize, usize) -> (usize, usize),
) -> Vec<Tile> {
    let mut tiles = Vec::with_capacity(images * height.div_ceil(SIDE) * width.div_ceil(SIDE));
    for image in 0..images {
        for y in (0..height).step_by(SIDE) {
            for x in (0..width).step_by(SIDE) {
                let (source, target) = place(image, y, x);
                tiles.push(Tile {
                    source,
                    target,
                    rows: SIDE.min(height - y),
                    columns: SIDE.min(width - x),
                });
            }
        }
    }
    tiles
}
