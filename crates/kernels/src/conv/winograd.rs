//! Convolution with kernels of 3×3 in steps of one pixel by minimal filtering F(2×2, 3×3).
//!
//! A tile of 2×2 outputs is Aᵀ [ Σ (G g Gᵀ) ⊙ (Bᵀ d B) ] A of the 4×4 inputs d below it and the kernel g, summed over
//! inputs: 16 multiplications where a plain sum takes 36 (S. Winograd, *Arithmetic Complexity of Computations*, 1980).
//! The sums of all tiles and channels at one of the 16 positions are a product of matrices (A. Lavin and S. Gray, *Fast
//! Algorithms for Convolutional Neural Networks*, 2016). The gradient of the inputs is the same of the outputs'
//! gradient with the kernel turned round. That of the weights is Gᵀ [ Σ (A y Aᵀ) ⊙ (Bᵀ d B) ] G, summed over tiles,
//! where y is the gradient of a tile's outputs.
//!
//! Transforms take whole vectors of channels. What they read beyond the last channel, and make of it, is behind the
//! channels of a row and is never read.

#![allow(clippy::needless_range_loop, reason = "register tiles are unrolled over constant ranges")]

use rayon::prelude::*;

use super::Conv;
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

/// Fewest and most tiles that are worked on together: enough to use a weight often that comes from the third-level
/// cache.
const TILES: [usize; 2] = [64, 256];

/// Sums that are added over the lanes together.
const TOGETHER: usize = 1 << 12;

/// Outputs whose weights are unpacked together: sums that lie together.
const OUTPUTS: usize = 32;

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
    (BYTES / (size_of::<f32>() * POSITIONS * (conv.inputs + conv.outputs))).clamp(TILES[0], TILES[1])
}

/// Images that are worked on together.
pub(super) fn group(conv: &Conv) -> usize {
    let tiles = conv.out_height().div_ceil(SIDE) * conv.out_width().div_ceil(SIDE);
    chunk(conv).div_ceil(tiles).clamp(1, conv.batch.max(1))
}

/// From a tile's channels to the next one's: a line more than they take, so that tiles do not compete for the places in
/// the cache that lines a power of two apart share.
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
        let weights = transformed(isa, [inputs, outputs], kernel);
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
fn transformed(isa: Isa, [inputs, outputs]: [usize; 2], kernel: impl Fn(usize, usize) -> [f32; AREA] + Sync) -> Buffer {
    let block = block(isa, outputs);
    let mut weights = Buffer::any(outputs.next_multiple_of(block) * POSITIONS * inputs);
    weights.par_chunks_mut(block * POSITIONS * inputs).enumerate().for_each(|(index, weights)| {
        let kernel = |from: usize, lane: usize| {
            let to = index * block + lane;
            if to < outputs { kernel(from, to) } else { [0.0; AREA] }
        };
        isa.run(OfKernels { kernel, inputs, block, weights });
    });
    weights
}

/// Four vectors, `step` values apart.
///
/// # Safety
///
/// As [`Vector::load`] of each.
#[inline(always)]
unsafe fn four<V: Vector>(from: *const f32, step: usize) -> [V; 4] {
    // SAFETY: as the caller vouches.
    unsafe { [V::load(from), V::load(from.add(step)), V::load(from.add(2 * step)), V::load(from.add(3 * step))] }
}

/// Bᵀ along one axis.
///
/// # Safety
///
/// The instruction set of `V` is there.
#[inline(always)]
unsafe fn b_transposed<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 4] {
    // SAFETY: as the caller vouches.
    unsafe { [a.sub(c), b.add(c), c.sub(b), b.sub(d)] }
}

/// G along one axis.
///
/// # Safety
///
/// The instruction set of `V` is there.
#[inline(always)]
unsafe fn g<V: Vector>([a, b, c]: [V; 3]) -> [V; 4] {
    // SAFETY: as the caller vouches.
    unsafe {
        let (half, ends) = (V::splat(&0.5), a.add(c));
        [a, ends.add(b).mul(half), ends.sub(b).mul(half), c]
    }
}

/// Gᵀ along one axis.
///
/// # Safety
///
/// The instruction set of `V` is there.
#[inline(always)]
unsafe fn g_transposed<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 3] {
    // SAFETY: as the caller vouches.
    unsafe {
        let half = V::splat(&0.5);
        let even = b.add(c).mul(half);
        [a.add(even), b.sub(c).mul(half), even.add(d)]
    }
}

/// A along one axis.
///
/// # Safety
///
/// The instruction set of `V` is there.
#[inline(always)]
unsafe fn a<V: Vector>([a, b]: [V; SIDE]) -> [V; 4] {
    // SAFETY: as the caller vouches.
    unsafe { [a, a.add(b), a.sub(b), V::zero().sub(b)] }
}

/// Aᵀ along one axis.
///
/// # Safety
///
/// The instruction set of `V` is there.
#[inline(always)]
unsafe fn a_transposed<V: Vector>([a, b, c, d]: [V; 4]) -> [V; SIDE] {
    // SAFETY: as the caller vouches.
    unsafe { [a.add(b).add(c), b.sub(c).sub(d)] }
}

/// G g Gᵀ of a block of kernels g.
struct OfKernels<'a, F> {
    /// That from an input to an output of the block.
    kernel: F,
    inputs: usize,
    block: usize,
    /// `[POSITIONS, inputs, block]`.
    weights: &'a mut [f32],
}

impl<F: Fn(usize, usize) -> [f32; AREA]> Kernel for OfKernels<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        assert_eq!(self.block % V::LANES, 0);
        assert!(POSITIONS * self.inputs * self.block <= self.weights.len());
        for from in 0..self.inputs {
            for first in (0..self.block).step_by(V::LANES) {
                let mut taps = [[0.0f32; LINE]; AREA];
                for lane in 0..V::LANES {
                    let kernel = (self.kernel)(from, first + lane);
                    taps.iter_mut().zip(kernel).for_each(|(lanes, tap)| lanes[lane] = tap);
                }
                // SAFETY: no vector is longer than a line, writes stay within the weights by the assertions above, and
                // `run` is given the instruction set.
                unsafe {
                    let mut columns = [[V::zero(); 4]; 3];
                    for x in 0..3 {
                        let [a, b, c] = [&taps[x], &taps[3 + x], &taps[6 + x]].map(|lanes| V::load(lanes.as_ptr()));
                        columns[x] = g([a, b, c]);
                    }
                    let to = self.weights.as_mut_ptr().add(from * self.block + first);
                    for y in 0..4 {
                        let row = g([columns[0][y], columns[1][y], columns[2][y]]);
                        for x in 0..4 {
                            row[x].store(to.add((4 * y + x) * self.inputs * self.block));
                        }
                    }
                }
            }
        }
    }
}

/// How the weights' gradient is summed: as `[POSITIONS, inputs, outputs rounded up to blocks]`.
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

    /// Values that so many tiles are transformed to.
    fn values(&self, tiles: usize) -> usize {
        let [inputs, gradient] = self.planes(tiles);
        POSITIONS * (inputs + gradient)
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
            let mut values = Buffer::any(self.values(tiles.len()));
            self.transform(isa, tiles, framed, &mut values);
            Transformed { tiles: tiles.len(), values }
        })
    }

    /// Adds what a group of images gives.
    pub fn weigh(&self, isa: Isa, framed: [&[f32]; 2], images: usize, scratch: &mut Buffer, sums: &mut [f32]) {
        for tiles in self.chunks(images) {
            let values = at_least(scratch, self.values(tiles.len()));
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
    pub fn unpack(&self, isa: Isa, lanes: Vec<Buffer>, added: Option<&[f32]>) -> Buffer {
        let [inputs, outputs] = self.channels;
        let mut lanes = lanes.into_iter();
        // Without images there are no lanes.
        let mut sums = lanes.next().unwrap_or_else(|| Buffer::zeros(self.sums()));
        let others: Vec<Buffer> = lanes.collect();
        sums.par_chunks_mut(TOGETHER).enumerate().for_each(|(index, sums)| {
            for other in &others {
                let other = &other[index * TOGETHER..];
                sums.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
            }
        });
        let pitch = outputs.next_multiple_of(self.block);
        let mut weights = Buffer::any(outputs * inputs * AREA);
        weights.par_chunks_mut(OUTPUTS * inputs * AREA).enumerate().for_each(|(index, weights)| {
            isa.run(OfSums { sums: &sums, inputs, pitch, first: index * OUTPUTS, weights });
            if let Some(added) = added {
                let added = &added[index * OUTPUTS * inputs * AREA..];
                weights.iter_mut().zip(added).for_each(|(weight, added)| *weight += added);
            }
        });
        weights
    }
}

/// Gᵀ s G of the sums s of some outputs.
struct OfSums<'a> {
    /// `[POSITIONS, inputs, pitch]`.
    sums: &'a [f32],
    inputs: usize,
    pitch: usize,
    /// The first of the outputs.
    first: usize,
    /// `[outputs, inputs, AREA]`.
    weights: &'a mut [f32],
}

impl Kernel for OfSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let outputs = self.weights.len() / (self.inputs * AREA);
        assert!(self.first + outputs.next_multiple_of(V::LANES) <= self.pitch);
        assert!(POSITIONS * self.inputs * self.pitch <= self.sums.len());
        for input in 0..self.inputs {
            for first in (0..outputs).step_by(V::LANES) {
                let mut taps = [[0.0f32; LINE]; AREA];
                // SAFETY: reads stay within the sums by the assertions above, no vector is longer than a line, and
                // `run` is given the instruction set.
                unsafe {
                    let from = self.sums.as_ptr().add(input * self.pitch + self.first + first);
                    let plane = self.inputs * self.pitch;
                    let mut columns = [[V::zero(); 3]; 4];
                    for x in 0..4 {
                        columns[x] = g_transposed(four(from.add(x * plane), 4 * plane));
                    }
                    for y in 0..3 {
                        let row = g_transposed([columns[0][y], columns[1][y], columns[2][y], columns[3][y]]);
                        for x in 0..3 {
                            row[x].store(taps[3 * y + x].as_mut_ptr());
                        }
                    }
                }
                for lane in 0..V::LANES.min(outputs - first) {
                    let kernel = &mut self.weights[((first + lane) * self.inputs + input) * AREA..][..AREA];
                    kernel.iter_mut().zip(&taps).for_each(|(weight, lanes)| *weight = lanes[lane]);
                }
            }
        }
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
                    let mut columns = [[V::zero(); 4]; 4];
                    for x in 0..4 {
                        columns[x] = b_transposed(four(from.add(x * self.channels), self.row));
                    }
                    for y in 0..4 {
                        let row = b_transposed([columns[0][y], columns[1][y], columns[2][y], columns[3][y]]);
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
                    let mut columns = [[V::zero(); 4]; SIDE];
                    for x in 0..SIDE {
                        let from = from.add(x * self.channels);
                        columns[x] = a([V::load(from), V::load(from.add(self.row))]);
                    }
                    for y in 0..4 {
                        let row = a([columns[0][y], columns[1][y]]);
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
                // SAFETY: reads stay within the planes, and the pixels written are there, by the assertions above, as
                // are `lanes` of their channels; `run` is given the instruction set.
                unsafe {
                    let from = self.sums.as_ptr().add(index * self.pitch + channel);
                    let to = self.output.as_mut_ptr().add(tile.target + channel);
                    let mut columns = [[V::zero(); SIDE]; 4];
                    for x in 0..4 {
                        columns[x] = a_transposed(four(from.add(x * self.plane), 4 * self.plane));
                    }
                    for y in 0..tile.rows {
                        let row = a_transposed([columns[0][y], columns[1][y], columns[2][y], columns[3][y]]);
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
                // Two rows alone would keep few sums under way at a time; the tall tile before gives them some of its
                // own.
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
