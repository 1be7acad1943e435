//! Convolution with kernels of 3×3 in steps of one pixel by minimal filtering F(2×2, 3×3).
//!
//! A tile of 2×2 outputs is Aᵀ [ Σ (G g Gᵀ) ⊙ (Bᵀ d B) ] A of the 4×4 inputs d below it and the kernel g, summed over
//! inputs: 16 multiplications where a plain sum takes 36 (S. Winograd, *Arithmetic Complexity of Computations*, 1980). The
//! sums of all tiles and channels at one of the 16 positions are a product of matrices (A. Lavin and S. Gray, *Fast
//! Algorithms for Convolutional Neural Networks*, 2016). The gradient of the inputs is the same of the outputs' gradient
//! with the kernel turned round. That of the weights is Gᵀ [ Σ (A y Aᵀ) ⊙ (Bᵀ d B) ] G, summed over tiles, where y is the
//! gradient of a tile's outputs.
//!
//! Transforms take whole vectors of channels. What they read beyond the last channel, and make of it, is behind the channels
//! of a row and is never read.

#![allow(clippy::needless_range_loop, reason = "register tiles are unrolled over constant ranges")]

use std::ops::Range;

use rayon::prelude::*;

use super::Conv;
use super::pack::TOGETHER;
use super::singles::Padded;
use super::tile::{block, store, vectors};
use crate::buffer::Buffer;
use crate::isa::{Isa, Kernel, Vector};

/// Values that a tile is transformed to.
const POSITIONS: usize = 16;

/// Values of a kernel.
const AREA: usize = 9;

/// Rows and columns of outputs in a tile.
const SIDE: usize = 2;

/// Values of a cache line, which no vector is longer than.
pub(super) const LINE: usize = 16;

/// Bytes of transformed values that are worked on together: they stay in the second-level cache.
const BYTES: usize = 1 << 20;

/// Bytes of the weights' sums that stay there beside what they are added from.
pub(super) const SUMS: usize = 1 << 20;

/// Fewest and most tiles that are worked on together.
const TILES: Range<usize> = 32..256;

/// Tiles that are kept transformed at a time where the weights' sums would not stay in the cache.
const ROUND: usize = 2048;

/// Fewest channels for which the transforms cost less than the multiplications that they save.
const LEAST: usize = 16;

impl Conv {
    /// Whether it is computed by Winograd's minimal filtering where there are no tiles to multiply in.
    pub fn is_minimal(&self) -> bool {
        self.kernel == 3 && self.stride == 1 && self.inputs.min(self.outputs) >= LEAST
    }
}

/// Tiles that are worked on together.
fn chunk(conv: &Conv) -> usize {
    (BYTES / (size_of::<f32>() * POSITIONS * (conv.inputs + conv.outputs))).clamp(TILES.start, TILES.end)
}

/// Images that are worked on together.
pub(super) fn group(conv: &Conv) -> usize {
    let tiles = conv.out_height().div_ceil(SIDE) * conv.out_width().div_ceil(SIDE);
    chunk(conv).div_ceil(tiles).clamp(1, conv.batch.max(1))
}

/// From a tile's channels to the next one's: an odd number of lines or one more, so that tiles do not compete for a place
/// in the cache.
fn pitch(channels: usize) -> usize {
    channels.next_multiple_of(LINE) + LINE
}

/// From a position's values of so many tiles to the next one's, likewise.
fn plane(tiles: usize, pitch: usize) -> usize {
    tiles * pitch + LINE
}

/// A tile of the output, or what there is of it.
#[derive(Clone, Copy)]
struct Tile {
    /// Where the first channel of its first input is.
    source: usize,
    /// Where the first channel of its first output is.
    target: usize,
    rows: usize,
    columns: usize,
}

/// Those of `images` images of the size given; `place` gives source and target of the pixel that a tile begins with.
fn tiles(
    images: usize,
    [height, width]: [usize; 2],
    place: impl Fn(usize, usize, usize) -> (usize, usize),
) -> Vec<Tile> {
    let mut tiles = Vec::with_capacity(images * height.div_ceil(SIDE) * width.div_ceil(SIDE));
    for image in 0..images {
        for y in (0..height).step_by(SIDE) {
            for x in (0..width).step_by(SIDE) {
                let (source, target) = place(image, y, x);
                tiles.push(Tile { source, target, rows: SIDE.min(height - y), columns: SIDE.min(width - x) });
            }
        }
    }
    tiles
}

/// `scratch`, of at least so many values.
fn at_least(scratch: &mut Buffer, len: usize) -> &mut [f32] {
    if scratch.len() < len {
        *scratch = Buffer::any(len);
    }
    &mut scratch[..len]
}

/// A correlation of framed images with kernels of 3×3.
pub(super) struct Correlation {
    /// From row to row of a framed image.
    row: usize,
    /// Pixels of an output row.
    width: usize,
    channels: [usize; 2],
    /// `[blocks, POSITIONS, inputs, block]`.
    weights: Buffer,
    /// Images that `tiles` are of.
    images: usize,
    tiles: Vec<Tile>,
    /// Tiles that are worked on together.
    chunk: usize,
}

impl Correlation {
    /// That of [`super::forward`], for groups of at most so many images.
    pub fn forward(isa: Isa, conv: &Conv, weights: &[f32], padded: &Padded, images: usize) -> Self {
        let channels = [conv.inputs, conv.outputs];
        let kernel = |from: usize, to: usize| {
            let at = (to * conv.inputs + from) * AREA;
            std::array::from_fn(|tap| weights[at + tap])
        };
        Self::new(isa, conv, channels, [conv.out_height(), conv.out_width()], kernel, padded, images)
    }

    /// That of the outputs' gradient, whose sums are the inputs'.
    pub fn backward(isa: Isa, conv: &Conv, weights: &[f32], padded: &Padded, images: usize) -> Self {
        let channels = [conv.outputs, conv.inputs];
        let turned = |from: usize, to: usize| {
            let at = (from * conv.inputs + to) * AREA;
            std::array::from_fn(|tap| weights[at + AREA - 1 - tap])
        };
        Self::new(isa, conv, channels, [conv.height, conv.width], turned, padded, images)
    }

    fn new(
        isa: Isa,
        conv: &Conv,
        [inputs, outputs]: [usize; 2],
        size: [usize; 2],
        kernel: impl Fn(usize, usize) -> [f32; AREA] + Sync,
        padded: &Padded,
        images: usize,
    ) -> Self {
        let tiles = tiles(images, size, |image, y, x| {
            let target = ((image * size[0] + y) * size[1] + x) * outputs;
            (image * padded.image() + y * padded.row() + x * inputs, target)
        });
        let weights = transformed(block(isa, outputs), [inputs, outputs], kernel);
        let (row, width) = (padded.row(), size[1]);
        Self { row, width, channels: [inputs, outputs], weights, images, tiles, chunk: chunk(conv) }
    }

    /// Writes the outputs of framed images.
    pub fn run(&self, isa: Isa, framed: &[f32], images: usize, scratch: &mut Buffer, output: &mut [f32]) {
        let [inputs, outputs] = self.channels;
        let block = block(isa, outputs);
        let [from, to] = [pitch(inputs), outputs.next_multiple_of(block)];
        let most = [plane(self.chunk, from), plane(self.chunk, to)].map(|plane| POSITIONS * plane);
        let (values, sums) = at_least(scratch, most[0] + most[1]).split_at_mut(most[0]);
        for tiles in self.tiles[..self.tiles.len() / self.images * images].chunks(self.chunk) {
            let planes = [plane(tiles.len(), from), plane(tiles.len(), to)];
            let row = self.row;
            isa.run(OfInputs { framed, row, channels: inputs, tiles, values, pitch: from, plane: planes[0] });
            for position in 0..POSITIONS {
                isa.run(Product {
                    left: &values[position * planes[0]..],
                    left_row: from,
                    left_step: 1,
                    rows: tiles.len(),
                    depth: inputs,
                    right: &self.weights[position * inputs * block..],
                    right_block: POSITIONS * inputs * block,
                    columns: outputs,
                    sums: &mut sums[position * planes[1]..],
                    adds: false,
                });
            }
            isa.run(ToOutputs {
                sums,
                pitch: to,
                plane: planes[1],
                tiles,
                channels: outputs,
                width: self.width,
                output,
            });
        }
    }
}

/// G g Gᵀ of every kernel, as `[blocks, POSITIONS, inputs, block]`, zeros behind the last output.
fn transformed(
    block: usize,
    [inputs, outputs]: [usize; 2],
    kernel: impl Fn(usize, usize) -> [f32; AREA] + Sync,
) -> Buffer {
    let mut weights = Buffer::any(outputs.next_multiple_of(block) * POSITIONS * inputs);
    weights.par_chunks_mut(block * POSITIONS * inputs).enumerate().for_each(|(index, weights)| {
        for from in 0..inputs {
            for lane in 0..block {
                let to = index * block + lane;
                let g = if to < outputs { kernel(from, to) } else { [0.0; AREA] };
                let axis = |[a, b, c]: [f32; 3]| [a, (a + c + b) * 0.5, (a + c - b) * 0.5, c];
                let columns: [[f32; 4]; 3] = std::array::from_fn(|x| axis([g[x], g[3 + x], g[6 + x]]));
                for y in 0..4 {
                    let row = axis([columns[0][y], columns[1][y], columns[2][y]]);
                    for x in 0..4 {
                        weights[((4 * y + x) * inputs + from) * block + lane] = row[x];
                    }
                }
            }
        }
    });
    weights
}

/// Sums of the weights' gradient, `[POSITIONS, inputs, outputs rounded up to blocks]`.
pub(super) struct OfWeights {
    rows: [usize; 2],
    channels: [usize; 2],
    block: usize,
    images: usize,
    /// Sources are in the framed inputs, targets in the framed gradient.
    tiles: Vec<Tile>,
    chunk: usize,
}

/// Some tiles' inputs, `[POSITIONS, tiles, inputs]`, and gradient, `[POSITIONS, blocks, tiles, block]`.
pub(super) struct Transformed {
    tiles: usize,
    values: Buffer,
}

impl OfWeights {
    /// For groups of so many images in these frames.
    pub fn new(isa: Isa, conv: &Conv, [inputs, gradient]: [&Padded; 2], images: usize) -> Self {
        let tiles = tiles(images, [conv.out_height(), conv.out_width()], |image, y, x| {
            let source = image * inputs.image() + y * inputs.row() + x * conv.inputs;
            (source, gradient.at(image, y) + x * conv.outputs)
        });
        let rows = [inputs.row(), gradient.row()];
        let channels = [conv.inputs, conv.outputs];
        Self { rows, channels, block: block(isa, conv.outputs), images, tiles, chunk: chunk(conv) }
    }

    /// How many sums there are.
    pub fn sums(&self) -> usize {
        POSITIONS * self.position()
    }

    /// How many at one position.
    fn position(&self) -> usize {
        self.channels[0] * self.channels[1].next_multiple_of(self.block)
    }

    /// Groups of images whose transformed tiles are kept at a time.
    pub fn round(&self) -> usize {
        ROUND.div_ceil(self.tiles.len()).max(1)
    }

    /// From one position to the next: of the inputs, and of the gradient.
    fn planes(&self, tiles: usize) -> [usize; 2] {
        let [inputs, outputs] = self.channels;
        [plane(tiles, pitch(inputs)), tiles * outputs.next_multiple_of(self.block) + LINE]
    }

    /// The tiles of so many images, in the chunks that they are worked on in.
    fn chunks(&self, images: usize) -> impl Iterator<Item = &[Tile]> {
        self.tiles[..self.tiles.len() / self.images * images].chunks(self.chunk)
    }

    fn transform(&self, isa: Isa, tiles: &[Tile], [inputs, gradient]: [&[f32]; 2], values: &mut [f32]) {
        let planes = self.planes(tiles.len());
        let (of_inputs, of_gradient) = values.split_at_mut(POSITIONS * planes[0]);
        isa.run(OfInputs {
            framed: inputs,
            row: self.rows[0],
            channels: self.channels[0],
            tiles,
            values: of_inputs,
            pitch: pitch(self.channels[0]),
            plane: planes[0],
        });
        isa.run(OfGradient {
            framed: gradient,
            row: self.rows[1],
            channels: self.channels[1],
            tiles,
            values: of_gradient,
            block: self.block,
            plane: planes[1],
        });
    }

    /// The transformed tiles of a group of images.
    pub fn transformed<'a>(
        &'a self,
        isa: Isa,
        framed: [&'a [f32]; 2],
        images: usize,
    ) -> impl Iterator<Item = Transformed> + 'a {
        self.chunks(images).map(move |tiles| {
            let len: usize = self.planes(tiles.len()).iter().map(|plane| POSITIONS * plane).sum();
            let mut values = Buffer::any(len);
            self.transform(isa, tiles, framed, &mut values);
            Transformed { tiles: tiles.len(), values }
        })
    }

    /// Adds what a group of images gives.
    pub fn weigh(&self, isa: Isa, framed: [&[f32]; 2], images: usize, scratch: &mut Buffer, sums: &mut [f32]) {
        for tiles in self.chunks(images) {
            let len: usize = self.planes(tiles.len()).iter().map(|plane| POSITIONS * plane).sum();
            let values = at_least(scratch, len);
            self.transform(isa, tiles, framed, values);
            for (position, sums) in sums.chunks_exact_mut(self.position()).enumerate() {
                self.add(isa, tiles.len(), values, position, 0, sums);
            }
        }
    }

    /// Adds what transformed tiles give; positions and halves of the inputs are added side by side.
    pub fn weigh_all(&self, isa: Isa, transformed: &[Vec<Transformed>], sums: &mut [f32]) {
        let half = self.channels[0].div_ceil(2);
        let pitch = self.channels[1].next_multiple_of(self.block);
        let positions = sums.par_chunks_exact_mut(self.position()).enumerate();
        let halves = positions.flat_map(|(position, sums)| {
            sums.par_chunks_mut(half * pitch).enumerate().map(move |(index, sums)| (position, index * half, sums))
        });
        halves.for_each(|(position, first, sums)| {
            for Transformed { tiles, values } in transformed.iter().flatten() {
                self.add(isa, *tiles, values, position, first, sums);
            }
        });
    }

    /// Adds to the sums at a position, from the input `first` on, as many as there are.
    fn add(&self, isa: Isa, tiles: usize, values: &[f32], position: usize, first: usize, sums: &mut [f32]) {
        let [inputs, outputs] = self.channels;
        let planes = self.planes(tiles);
        isa.run(Product {
            left: &values[position * planes[0] + first..],
            left_row: 1,
            left_step: pitch(inputs),
            rows: sums.len() / outputs.next_multiple_of(self.block),
            depth: tiles,
            right: &values[POSITIONS * planes[0] + position * planes[1]..],
            right_block: tiles * self.block,
            columns: outputs,
            sums,
            adds: true,
        });
    }

    /// The weights' gradient: lanes' sums, added in order and transformed, and what there is more.
    pub fn unpack(&self, sums: &[Buffer], added: Option<&[f32]>) -> Buffer {
        let [inputs, outputs] = self.channels;
        let pitch = outputs.next_multiple_of(self.block);
        let mut weights = Buffer::any(outputs * inputs * AREA);
        weights.par_chunks_mut(TOGETHER * inputs * AREA).enumerate().for_each(|(index, weights)| {
            let some = weights.len() / (inputs * AREA);
            for input in 0..inputs {
                let mut all = [[0.0f32; TOGETHER]; POSITIONS];
                for sums in sums {
                    for (position, all) in all.iter_mut().enumerate() {
                        let sums = &sums[(position * inputs + input) * pitch + index * TOGETHER..][..some];
                        all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
                    }
                }
                for output in 0..some {
                    let axis = |s: [f32; 4]| {
                        let [even, odd] = [(s[1] + s[2]) * 0.5, (s[1] - s[2]) * 0.5];
                        [s[0] + even, odd, even + s[3]]
                    };
                    let columns: [[f32; 3]; 4] =
                        std::array::from_fn(|x| axis(std::array::from_fn(|y| all[4 * y + x][output])));
                    for y in 0..3 {
                        let row = axis(std::array::from_fn(|x| columns[x][y]));
                        weights[(output * inputs + input) * AREA + 3 * y..][..3].copy_from_slice(&row);
                    }
                }
            }
            if let Some(added) = added {
                let added = &added[index * TOGETHER * inputs * AREA..];
                weights.iter_mut().zip(added).for_each(|(weight, added)| *weight += added);
            }
        });
        weights
    }
}

/// Bᵀ d B of the inputs d of some tiles.
struct OfInputs<'a> {
    framed: &'a [f32],
    /// From row to row.
    row: usize,
    channels: usize,
    tiles: &'a [Tile],
    /// `[POSITIONS, tiles, channels]`.
    values: &'a mut [f32],
    /// From tile to tile.
    pitch: usize,
    /// From position to position.
    plane: usize,
}

impl Kernel for OfInputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let whole = self.channels.next_multiple_of(V::LANES);
        assert!(whole <= self.pitch && self.tiles.len() * self.pitch <= self.plane);
        assert!(POSITIONS * self.plane <= self.values.len());
        for (index, tile) in self.tiles.iter().enumerate() {
            assert!(tile.source + 3 * self.row + 3 * self.channels + whole <= self.framed.len());
            for channel in (0..self.channels).step_by(V::LANES) {
                // SAFETY: reads stay within the frame and writes within the planes, by the assertions above; `run` is
                // given the instruction set.
                unsafe {
                    let from = self.framed.as_ptr().add(tile.source + channel);
                    let to = self.values.as_mut_ptr().add(index * self.pitch + channel);
                    let axis = |[a, b, c, d]: [V; 4]| [a.sub(c), b.add(c), c.sub(b), b.sub(d)];
                    let columns: [[V; 4]; 4] = std::array::from_fn(|x| {
                        axis(std::array::from_fn(|y| V::load(from.add(y * self.row + x * self.channels))))
                    });
                    for y in 0..4 {
                        let row = axis(std::array::from_fn(|x| columns[x][y]));
                        for x in 0..4 {
                            row[x].store(to.add((4 * y + x) * self.plane));
                        }
                    }
                }
            }
        }
    }
}

/// A y Aᵀ of the gradient y of some tiles' outputs.
struct OfGradient<'a> {
    framed: &'a [f32],
    /// From row to row.
    row: usize,
    channels: usize,
    /// Targets are where they are read.
    tiles: &'a [Tile],
    /// `[POSITIONS, blocks, tiles, block]`.
    values: &'a mut [f32],
    block: usize,
    /// From position to position.
    plane: usize,
}

impl Kernel for OfGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let whole = self.channels.next_multiple_of(V::LANES);
        assert!(self.block.is_multiple_of(V::LANES));
        assert!(self.tiles.len() * self.channels.next_multiple_of(self.block) <= self.plane);
        assert!(POSITIONS * self.plane <= self.values.len());
        for (index, tile) in self.tiles.iter().enumerate() {
            assert!(tile.target + self.row + self.channels + whole <= self.framed.len());
            for channel in (0..self.channels).step_by(V::LANES) {
                let (block, lane) = (channel / self.block, channel % self.block);
                // SAFETY: reads stay within the frame and writes within the planes, by the assertions above; `run` is
                // given the instruction set.
                unsafe {
                    let from = self.framed.as_ptr().add(tile.target + channel);
                    let to = self.values.as_mut_ptr().add((block * self.tiles.len() + index) * self.block + lane);
                    let axis = |[a, b]: [V; 2]| [a, a.add(b), a.sub(b), V::zero().sub(b)];
                    let columns: [[V; 4]; 2] = std::array::from_fn(|x| {
                        axis(std::array::from_fn(|y| V::load(from.add(y * self.row + x * self.channels))))
                    });
                    for y in 0..4 {
                        let row = axis([columns[0][y], columns[1][y]]);
                        for x in 0..4 {
                            row[x].store(to.add((4 * y + x) * self.plane));
                        }
                    }
                }
            }
        }
    }
}

/// Aᵀ m A of the sums m of some tiles.
struct ToOutputs<'a> {
    /// `[POSITIONS, tiles, channels]`.
    sums: &'a [f32],
    /// From tile to tile.
    pitch: usize,
    /// From position to position.
    plane: usize,
    tiles: &'a [Tile],
    channels: usize,
    /// Pixels of an output row.
    width: usize,
    output: &'a mut [f32],
}

impl Kernel for ToOutputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let whole = self.channels.next_multiple_of(V::LANES);
        assert!(whole <= self.pitch && self.tiles.len() * self.pitch <= self.plane);
        assert!(POSITIONS * self.plane <= self.sums.len());
        for (index, tile) in self.tiles.iter().enumerate() {
            assert!((1..=SIDE).contains(&tile.rows) && (1..=SIDE).contains(&tile.columns));
            let last = (tile.rows - 1) * self.width + tile.columns - 1;
            assert!(tile.target + (last + 1) * self.channels <= self.output.len());
            for channel in (0..self.channels).step_by(V::LANES) {
                let lanes = V::LANES.min(self.channels - channel);
                // SAFETY: reads stay within the planes, and the pixels written are there, by the assertions above, as are
                // `lanes` of their channels; `run` is given the instruction set.
                unsafe {
                    let from = self.sums.as_ptr().add(index * self.pitch + channel);
                    let to = self.output.as_mut_ptr().add(tile.target + channel);
                    let axis = |[a, b, c, d]: [V; 4]| [a.add(b).add(c), b.sub(c).sub(d)];
                    let columns: [[V; SIDE]; 4] = std::array::from_fn(|x| {
                        axis(std::array::from_fn(|y| V::load(from.add((4 * y + x) * self.plane))))
                    });
                    for y in 0..tile.rows {
                        let row = axis(std::array::from_fn(|x| columns[x][y]));
                        for x in 0..tile.columns {
                            store(row[x], to.add((y * self.width + x) * self.channels), lanes);
                        }
                    }
                }
            }
        }
    }
}

/// A product of matrices: a sum is that over `depth` of left times right.
struct Product<'a> {
    left: &'a [f32],
    /// From row to row, and from step to step of the depth.
    left_row: usize,
    left_step: usize,
    rows: usize,
    depth: usize,
    /// `[depth, block]` for each block of columns.
    right: &'a [f32],
    /// From block to block.
    right_block: usize,
    columns: usize,
    /// `[rows, columns rounded up to blocks]`.
    sums: &'a mut [f32],
    /// Whether to what the sums are already.
    adds: bool,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let block = V::LANES * vectors::<V>(self.columns);
        let blocks = self.columns.div_ceil(block);
        assert!(self.rows > 0 && self.depth > 0 && blocks > 0);
        assert!((self.rows - 1) * self.left_row + (self.depth - 1) * self.left_step < self.left.len());
        assert!((blocks - 1) * self.right_block + self.depth * block <= self.right.len());
        assert!(self.rows * blocks * block <= self.sums.len());
        // SAFETY: the assertions above are the contract of `tiles`, and `run` is given the instruction set.
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
    /// The instruction set of `V` is there; `N` is `vectors::<V>(columns)`; left, right and sums reach as far as rows,
    /// depth and whole blocks say.
    #[inline(always)]
    unsafe fn tiles<V: Vector, const N: usize, const M: usize>(mut self) {
        let blocks = self.columns.div_ceil(N * V::LANES);
        for block in 0..blocks {
            let mut row = 0;
            while row < self.rows {
                // Two rows alone would keep few sums under way at a time; the tall tile before gives them some of its own.
                let left = self.rows - row;
                // SAFETY: as the caller vouches; the rows of a tile are there.
                row += unsafe {
                    match left {
                        _ if left >= M && left != M + 2 => self.tile::<V, N, M>(row, block, blocks),
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
    /// As [`Self::tiles`], and `row + M` is at most `rows`, `block` less than `blocks`, which is that of `columns`.
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
