//! Convolution with kernels of 3×3 in steps of one pixel by minimal filtering F(2×2, 3×3).
//!
//! A tile of 2×2 outputs is Aᵀ [ Σ (G g Gᵀ) ⊙ (Bᵀ d B) ] A of the 4×4 inputs d below it and the
//! kernel g, summed over inputs: 16 multiplications where a plain sum takes 36 (S. Winograd,
//! *Arithmetic Complexity of Computations*, 1980). The sums of all tiles and channels at one of the
//! 16 positions are a product of matrices (A. Lavin and S. Gray, *Fast Algorithms for Convolutional
//! Neural Networks*, 2016). The gradient of the inputs is the same of the outputs' gradient with
//! the kernel turned round. That of the weights is Gᵀ [ Σ (A y Aᵀ) ⊙ (Bᵀ d B) ] G, summed over
//! tiles, where y is the gradient of a tile's outputs.
//!
//! Transforms take whole vectors of channels. What they read beyond the last channel, and make of
//! it, is behind the channels of a row and is never read.

mod product;
mod transforms;

use rayon::prelude::*;

use super::Conv;
use super::singles::Padded;
use super::tile::block;
use crate::buffer::Buffer;
use crate::isa::Isa;
use product::Product;
use transforms::{OfGradient, OfInputs, OfKernels, OfSums, ToOutputs};

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

/// Fewest and most tiles that are worked on together: enough to use a weight often that comes from
/// the third-level cache.
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
    /// Whether it is computed by Winograd's minimal filtering where there are no tiles to multiply
    /// in.
    pub fn is_minimal(&self) -> bool {
        self.kernel == 3 && self.stride == 1 && self.inputs.min(self.outputs) >= LEAST
    }
}

/// Tiles that are worked on together.
fn chunk(conv: &Conv) -> usize {
    (BYTES / (size_of::<f32>() * POSITIONS * (conv.inputs + conv.outputs)))
        .clamp(TILES[0], TILES[1])
}

/// Images that are worked on together.
pub(super) fn group(conv: &Conv) -> usize {
    let tiles = conv.out_height().div_ceil(SIDE) * conv.out_width().div_ceil(SIDE);
    chunk(conv).div_ceil(tiles).clamp(1, conv.batch.max(1))
}

/// From a tile's channels to the next one's: a line more than they take, so that tiles do not
/// compete for the places in the cache that lines a power of two apart share.
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

/// Those of `images` images of the size given; `place` gives source and target of the pixel that a
/// tile begins with.
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
        Self::new(
            isa,
            conv,
            channels,
            [conv.out_height(), conv.out_width()],
            kernel,
            padded,
            images,
        )
    }

    /// That of the outputs' gradient, whose sums are the inputs'.
    pub fn backward(
        isa: Isa,
        conv: &Conv,
        weights: &[f32],
        padded: &Padded,
        images: usize,
    ) -> Self {
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
    pub fn run(
        &self,
        isa: Isa,
        framed: &[f32],
        images: usize,
        scratch: &mut Buffer,
        output: &mut [f32],
    ) {
        let [inputs, outputs] = self.channels;
        let block = block(isa, outputs);
        let [from, to] = [pitch(inputs), outputs.next_multiple_of(block)];
        let most = [plane(self.chunk, from), plane(self.chunk, to)].map(|plane| POSITIONS * plane);
        let (values, sums) = scratch.at_least(most[0] + most[1]).split_at_mut(most[0]);
        for tiles in self.tiles[..self.tiles.len() / self.images * images].chunks(self.chunk) {
            let planes = [plane(tiles.len(), from), plane(tiles.len(), to)];
            let row = self.row;
            isa.run(OfInputs {
                framed,
                row,
                channels: inputs,
                tiles,
                values,
                pitch: from,
                plane: planes[0],
            });
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
    isa: Isa,
    [inputs, outputs]: [usize; 2],
    kernel: impl Fn(usize, usize) -> [f32; AREA] + Sync,
) -> Buffer {
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

/// Some tiles' inputs, `[POSITIONS, tiles, inputs]`, and gradient, `[POSITIONS, blocks, tiles,
/// block]`.
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

    fn transform(
        &self,
        isa: Isa,
        tiles: &[Tile],
        [inputs, gradient]: [&[f32]; 2],
        values: &mut [f32],
    ) {
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
    pub fn weigh(
        &self,
        isa: Isa,
        framed: [&[f32]; 2],
        images: usize,
        scratch: &mut Buffer,
        sums: &mut [f32],
    ) {
        for tiles in self.chunks(images) {
            let values = scratch.at_least(self.values(tiles.len()));
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
            sums.par_chunks_mut(half * pitch)
                .enumerate()
                .map(move |(index, sums)| (position, index * half, sums))
        });
        halves.for_each(|(position, first, sums)| {
            for Transformed { tiles, values } in transformed.iter().flatten() {
                self.add(isa, *tiles, values, position, first, sums);
            }
        });
    }

    /// Adds to the sums at a position, from the input `first` on, as many as there are.
    fn add(
        &self,
        isa: Isa,
        tiles: usize,
        values: &[f32],
        position: usize,
        first: usize,
        sums: &mut [f32],
    ) {
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
