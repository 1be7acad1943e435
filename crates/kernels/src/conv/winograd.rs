//! Convolution with 3 × 3 kernels that move by one pixel, by minimal filtering F(2 × 2, 3 × 3).
//!
//! ```text
//! for each tile of 2 × 2 outputs, with the 4 × 4 inputs d below it:
//!     for each input channel:    V[input]         = Bᵀ d B             (4 × 4 components)
//!     for each output channel:   M[output]        = Σ over inputs: U[input, output] ⊙ V[input]
//!                                output tile      = Aᵀ M A             (2 × 2)
//! where, once for each kernel g:  U[input, output] = G g Gᵀ            (4 × 4 components)
//! ```
//!
//! A tile therefore takes 16 multiplications instead of the 36 of the plain sum (S. Winograd,
//! *Arithmetic Complexity of Computations*, 1980).
//!
//! 1. **The line that computes M is 16 products of matrices**, one for each component. Each product
//!    multiplies a matrix of tiles × inputs with a matrix of inputs × outputs (A. Lavin and S.
//!    Gray, *Fast Algorithms for Convolutional Neural Networks*, 2016).
//! 2. **Chunks of tiles** are transformed, multiplied and transformed back while they stay in the
//!    second-level cache.
//! 3. **The gradient of the inputs** is the same computation on the gradient of the outputs, with
//!    the kernel turned round.
//! 4. **The gradient of the weights** is Gᵀ [ Σ (A y Aᵀ) ⊙ (Bᵀ d B) ] G, summed over tiles, where y
//!    is the gradient of a tile's outputs.
//! 5. **Transforms process whole vectors of channels.** They also transform the values after the
//!    last channel. The results of these values are stored in the padding after the last channel,
//!    and are never read.

mod product;
mod tile;
mod transforms;

use rayon::prelude::*;

use super::padded::{LINE, Padded};
use super::registers::block;
use super::shape::Conv;
use crate::buffer::Buffer;
use crate::isa::Isa;
use product::Product;
use tile::{AREA, COMPONENTS, SIDE, Tile, tiles};
use transforms::{
    GradientTransform, InputTransform, KernelTransform, OutputTransform, SumTransform,
};

/// Maximum size, in bytes, of the transformed values of a chunk. Up to this size, they stay in the
/// second-level cache.
const CHUNK_BYTES: usize = 1 << 20;

/// Size, in bytes, up to which the sums of the weights' gradient stay in the second-level cache,
/// together with the values that are added to the sums.
pub(super) const SUM_BYTES: usize = 1 << 20;

/// Minimum and maximum number of tiles per chunk. Weights come from the third-level cache, and with
/// the minimum number of tiles each weight that is loaded is used often enough.
const CHUNK_TILES: [usize; 2] = [64, 256];

/// Number of neighbouring sums that are added over all partitions at a time.
const TOGETHER: usize = 1 << 12;

/// Number of outputs whose weights are unpacked together, because these outputs are neighbours in
/// the sums.
const OUTPUTS: usize = 32;

/// Minimum number of tiles whose transformed values are kept in a round. The sums of the weights'
/// gradient are computed in rounds if they are too large for the cache.
const ROUND_TILES: usize = 2048;

/// Number of tiles per chunk.
fn chunk_tiles(conv: &Conv) -> usize {
    (CHUNK_BYTES / (size_of::<f32>() * COMPONENTS * (conv.inputs + conv.outputs)))
        .clamp(CHUNK_TILES[0], CHUNK_TILES[1])
}

/// Number of images per group.
pub(super) fn group_size(conv: &Conv) -> usize {
    let tiles = conv.out_height().div_ceil(SIDE) * conv.out_width().div_ceil(SIDE);
    chunk_tiles(conv).div_ceil(tiles).clamp(1, conv.batch.max(1))
}

/// Returns the distance, in values, from a tile's channels to the next tile's channels. The
/// distance is a cache line longer than the channels, because tiles at a distance of a power of two
/// would compete for the same sets of the cache.
fn tile_pitch(channels: usize) -> usize {
    channels.next_multiple_of(LINE) + LINE
}

/// Returns the distance, in values, from a component of `tiles` tiles to the next component. It has
/// an extra cache line for the same reason as [`tile_pitch`].
fn component_pitch(tiles: usize, tile_pitch: usize) -> usize {
    tiles * tile_pitch + LINE
}

/// A correlation of framed images with kernels of 3 × 3.
pub(super) struct Correlation {
    /// Distance, in values, from a row of a framed image to the next.
    row_pitch: usize,
    /// Number of pixels of an output row.
    width: usize,
    /// Number of channels of the source and of the result.
    channels: [usize; 2],
    /// `[blocks, COMPONENTS, sources, block]`.
    weights: Buffer,
    /// Number of images that `tiles` cover.
    images: usize,
    tiles: Vec<Tile>,
    /// Number of tiles per chunk.
    chunk: usize,
}

impl Correlation {
    /// Prepares the forward pass, for groups of at most `images` images.
    pub fn forward(isa: Isa, conv: &Conv, weights: &[f32], padded: &Padded, images: usize) -> Self {
        let channels = [conv.inputs, conv.outputs];
        let kernel = |input: usize, output: usize| {
            let at = (output * conv.inputs + input) * AREA;
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

    /// Prepares the correlation from the gradient of the outputs to the gradient of the inputs.
    pub fn backward(
        isa: Isa,
        conv: &Conv,
        weights: &[f32],
        padded: &Padded,
        images: usize,
    ) -> Self {
        let channels = [conv.outputs, conv.inputs];
        let turned = |output: usize, input: usize| {
            let at = (output * conv.inputs + input) * AREA;
            std::array::from_fn(|tap| weights[at + AREA - 1 - tap])
        };
        Self::new(isa, conv, channels, [conv.height, conv.width], turned, padded, images)
    }

    /// `kernel` returns the kernel from a channel of the source to a channel of the result.
    fn new(
        isa: Isa,
        conv: &Conv,
        [sources, results]: [usize; 2],
        [height, width]: [usize; 2],
        kernel: impl Fn(usize, usize) -> [f32; AREA] + Sync,
        padded: &Padded,
        images: usize,
    ) -> Self {
        let tiles = tiles(images, [height, width], |image, y, x| {
            let target = ((image * height + y) * width + x) * results;
            (image * padded.image_pitch() + y * padded.row_pitch() + x * sources, target)
        });
        let weights = transform_kernels(isa, [sources, results], kernel);
        let (row_pitch, chunk) = (padded.row_pitch(), chunk_tiles(conv));
        Self { row_pitch, width, channels: [sources, results], weights, images, tiles, chunk }
    }

    /// Writes the results of framed images.
    pub fn run(
        &self,
        isa: Isa,
        frames: &[f32],
        images: usize,
        scratch: &mut Buffer,
        output: &mut [f32],
    ) {
        let [sources, results] = self.channels;
        let block = block(isa, results);
        let pitches = [tile_pitch(sources), results.next_multiple_of(block)];
        let lens = pitches.map(|pitch| COMPONENTS * component_pitch(self.chunk, pitch));
        let (values, sums) = scratch.at_least(lens[0] + lens[1]).split_at_mut(lens[0]);
        for tiles in self.tiles[..self.tiles.len() / self.images * images].chunks(self.chunk) {
            let component_pitches = pitches.map(|pitch| component_pitch(tiles.len(), pitch));
            isa.run(InputTransform {
                frames,
                row_pitch: self.row_pitch,
                channels: sources,
                tiles,
                values,
                tile_pitch: pitches[0],
                component_pitch: component_pitches[0],
            });
            for component in 0..COMPONENTS {
                isa.run(Product {
                    left: &values[component * component_pitches[0]..],
                    row_pitch: pitches[0],
                    depth_pitch: 1,
                    rows: tiles.len(),
                    depth: sources,
                    right: &self.weights[component * sources * block..],
                    block_pitch: COMPONENTS * sources * block,
                    columns: results,
                    sums: &mut sums[component * component_pitches[1]..],
                    adds: false,
                });
            }
            isa.run(OutputTransform {
                sums,
                tile_pitch: pitches[1],
                component_pitch: component_pitches[1],
                tiles,
                channels: results,
                width: self.width,
                output,
            });
        }
    }
}

/// Returns G g Gᵀ of every kernel g, as `[blocks, COMPONENTS, sources, block]`, with zeros after
/// the last channel of the result.
fn transform_kernels(
    isa: Isa,
    [sources, results]: [usize; 2],
    kernel: impl Fn(usize, usize) -> [f32; AREA] + Sync,
) -> Buffer {
    let block = block(isa, results);
    let mut weights = Buffer::any(results.next_multiple_of(block) * COMPONENTS * sources);
    weights.par_chunks_mut(block * COMPONENTS * sources).enumerate().for_each(
        |(index, weights)| {
            let kernel = |source: usize, lane: usize| {
                let result = index * block + lane;
                if result < results { kernel(source, result) } else { [0.0; AREA] }
            };
            isa.run(KernelTransform { kernel, sources, block, weights });
        },
    );
    weights
}

/// How the gradient of the weights is summed. The sums are `[COMPONENTS, inputs, outputs rounded up
/// to blocks]`.
pub(super) struct WeightPlan {
    /// Distance, in values, from a row to the next, in the framed inputs and in the framed
    /// gradient.
    row_pitches: [usize; 2],
    /// Number of inputs and number of outputs.
    channels: [usize; 2],
    block: usize,
    /// Number of images that `tiles` cover.
    images: usize,
    /// The tiles, with sources in the framed inputs and targets in the framed gradient.
    tiles: Vec<Tile>,
    /// Number of tiles per chunk.
    chunk: usize,
}

/// A chunk's transformed inputs, `[COMPONENTS, tiles, inputs]`, and gradient, `[COMPONENTS, blocks,
/// tiles, block]`.
pub(super) struct Transformed {
    tiles: usize,
    values: Buffer,
}

impl WeightPlan {
    /// Plans the sums for groups of `images` images. `inputs` and `gradient` describe the frames
    /// that hold the inputs and the gradient.
    pub fn new(isa: Isa, conv: &Conv, [inputs, gradient]: [&Padded; 2], images: usize) -> Self {
        let tiles = tiles(images, [conv.out_height(), conv.out_width()], |image, y, x| {
            let source = image * inputs.image_pitch() + y * inputs.row_pitch() + x * conv.inputs;
            (source, gradient.offset(image, y) + x * conv.outputs)
        });
        Self {
            row_pitches: [inputs.row_pitch(), gradient.row_pitch()],
            channels: [conv.inputs, conv.outputs],
            block: block(isa, conv.outputs),
            images,
            tiles,
            chunk: chunk_tiles(conv),
        }
    }

    /// Returns the number of sums of all components.
    pub fn sums(&self) -> usize {
        COMPONENTS * self.component_sums()
    }

    /// Returns the number of sums per component.
    fn component_sums(&self) -> usize {
        self.channels[0] * self.channels[1].next_multiple_of(self.block)
    }

    /// Returns the number of groups of images whose transformed tiles are kept in a round.
    pub fn groups_per_round(&self) -> usize {
        ROUND_TILES.div_ceil(self.tiles.len()).max(1)
    }

    /// Returns the distance, in values, from a component to the next, for the inputs and for the
    /// gradient.
    fn component_pitches(&self, tiles: usize) -> [usize; 2] {
        let [inputs, outputs] = self.channels;
        [
            component_pitch(tiles, tile_pitch(inputs)),
            tiles * outputs.next_multiple_of(self.block) + LINE,
        ]
    }

    /// Returns the number of values to which `tiles` tiles are transformed.
    fn transformed_len(&self, tiles: usize) -> usize {
        let [inputs, gradient] = self.component_pitches(tiles);
        COMPONENTS * (inputs + gradient)
    }

    /// Returns the tiles of `images` images, in chunks.
    fn chunks(&self, images: usize) -> impl Iterator<Item = &[Tile]> {
        self.tiles[..self.tiles.len() / self.images * images].chunks(self.chunk)
    }

    /// Transforms framed inputs and gradient to `values`.
    fn transform(
        &self,
        isa: Isa,
        tiles: &[Tile],
        [inputs, gradient]: [&[f32]; 2],
        values: &mut [f32],
    ) {
        let component_pitches = self.component_pitches(tiles.len());
        let (to_inputs, to_gradient) = values.split_at_mut(COMPONENTS * component_pitches[0]);
        isa.run(InputTransform {
            frames: inputs,
            row_pitch: self.row_pitches[0],
            channels: self.channels[0],
            tiles,
            values: to_inputs,
            tile_pitch: tile_pitch(self.channels[0]),
            component_pitch: component_pitches[0],
        });
        isa.run(GradientTransform {
            frames: gradient,
            row_pitch: self.row_pitches[1],
            channels: self.channels[1],
            tiles,
            values: to_gradient,
            block: self.block,
            component_pitch: component_pitches[1],
        });
    }

    /// Transforms the tiles of a group of images, given as framed inputs and gradient.
    pub fn transformed<'a>(
        &'a self,
        isa: Isa,
        frames: [&'a [f32]; 2],
        images: usize,
    ) -> impl Iterator<Item = Transformed> + 'a {
        self.chunks(images).map(move |tiles| {
            let mut values = Buffer::any(self.transformed_len(tiles.len()));
            self.transform(isa, tiles, frames, &mut values);
            Transformed { tiles: tiles.len(), values }
        })
    }

    /// Adds the sums of a group of images, given as framed inputs and gradient.
    pub fn add_group(
        &self,
        isa: Isa,
        frames: [&[f32]; 2],
        images: usize,
        scratch: &mut Buffer,
        sums: &mut [f32],
    ) {
        for tiles in self.chunks(images) {
            let values = scratch.at_least(self.transformed_len(tiles.len()));
            self.transform(isa, tiles, frames, values);
            for (component, sums) in sums.chunks_exact_mut(self.component_sums()).enumerate() {
                self.add(isa, tiles.len(), values, component, 0, sums);
            }
        }
    }

    /// Adds the sums of transformed tiles. Each thread takes one component and half of the inputs
    /// at a time.
    pub fn add_all(&self, isa: Isa, transformed: &[Vec<Transformed>], sums: &mut [f32]) {
        let half = self.channels[0].div_ceil(2);
        let pitch = self.channels[1].next_multiple_of(self.block);
        let components = sums.par_chunks_exact_mut(self.component_sums()).enumerate();
        let halves = components.flat_map(|(component, sums)| {
            sums.par_chunks_mut(half * pitch)
                .enumerate()
                .map(move |(index, sums)| (component, index * half, sums))
        });
        halves.for_each(|(component, first, sums)| {
            for Transformed { tiles, values } in transformed.iter().flatten() {
                self.add(isa, *tiles, values, component, first, sums);
            }
        });
    }

    /// Adds to the sums of a component. `sums` covers consecutive inputs, starting at input
    /// `first`.
    fn add(
        &self,
        isa: Isa,
        tiles: usize,
        values: &[f32],
        component: usize,
        first: usize,
        sums: &mut [f32],
    ) {
        let [inputs, outputs] = self.channels;
        let component_pitches = self.component_pitches(tiles);
        let (inputs_of_tiles, gradient) = values.split_at(COMPONENTS * component_pitches[0]);
        isa.run(Product {
            left: &inputs_of_tiles[component * component_pitches[0] + first..],
            row_pitch: 1,
            depth_pitch: tile_pitch(inputs),
            rows: sums.len() / outputs.next_multiple_of(self.block),
            depth: tiles,
            right: &gradient[component * component_pitches[1]..],
            block_pitch: tiles * self.block,
            columns: outputs,
            sums,
            adds: true,
        });
    }

    /// Returns the gradient of the weights, `[outputs, inputs, 3, 3]`. Adds the sums of the
    /// partitions in order, transforms the total, and adds `added`.
    pub fn unpack(&self, isa: Isa, partitions: Vec<Buffer>, added: Option<&[f32]>) -> Buffer {
        let [inputs, outputs] = self.channels;
        let mut partitions = partitions.into_iter();
        // Without images there are no partitions.
        let mut sums = partitions.next().unwrap_or_else(|| Buffer::zeros(self.sums()));
        let others: Vec<Buffer> = partitions.collect();
        sums.par_chunks_mut(TOGETHER).enumerate().for_each(|(index, sums)| {
            for other in &others {
                let other = &other[index * TOGETHER..];
                sums.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
            }
        });
        let output_pitch = outputs.next_multiple_of(self.block);
        let mut weights = Buffer::any(outputs * inputs * AREA);
        weights.par_chunks_mut(OUTPUTS * inputs * AREA).enumerate().for_each(|(index, weights)| {
            let first = index * OUTPUTS;
            isa.run(SumTransform { sums: &sums, inputs, output_pitch, first, weights });
            if let Some(added) = added {
                let added = &added[first * inputs * AREA..];
                weights.iter_mut().zip(added).for_each(|(weight, added)| *weight += added);
            }
        });
        weights
    }
}
