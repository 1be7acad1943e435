//! Winograd's tiles: squares of 2 × 2 outputs, with the 4 × 4 inputs below them.

/// Number of components to which a tile is transformed: the elements of a 4 × 4 matrix.
pub(super) const COMPONENTS: usize = 16;

/// Number of values of a kernel.
pub(super) const AREA: usize = 9;

/// Number of rows, and also of columns, of outputs in a tile.
pub(super) const SIDE: usize = 2;

/// A tile of the output. At the right and lower edges, a tile is only the part that is inside the
/// image.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// Index of the first channel of the tile's first input.
    pub source: usize,
    /// Index of the first channel of the tile's first output.
    pub target: usize,
    /// Number of rows of outputs, which is at most [`SIDE`].
    pub rows: usize,
    /// Number of columns of outputs, which is at most [`SIDE`].
    pub columns: usize,
}

/// Returns the tiles of `images` images of `[height, width]` pixels. `place` returns the source and
/// target of a tile's first pixel (image, y, x).
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
