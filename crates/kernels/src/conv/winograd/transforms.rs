//! The transforms of minimal filtering, which process one vector of channels at a time.
//!
//! Each transform applies a matrix along one axis of a tile and then along the other.

#![allow(clippy::needless_range_loop, reason = "register blocks are unrolled over constant ranges")]

use super::tile::{AREA, COMPONENTS, SIDE, Tile};
use crate::conv::registers::store_lanes;
use crate::isa::{Kernel, MAX_LANES, Vector};

/// Loads four vectors, `pitch` values apart.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the instruction set of `V`.
/// - The caller must guarantee that a vector's values can be read at each of the four places.
#[inline(always)]
unsafe fn load_four<V: Vector>(from: *const f32, pitch: usize) -> [V; 4] {
    // SAFETY: the caller guarantees the instruction set and the values.
    unsafe {
        [
            V::load(from),
            V::load(from.add(pitch)),
            V::load(from.add(2 * pitch)),
            V::load(from.add(3 * pitch)),
        ]
    }
}

/// Applies Bᵀ along one axis.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the instruction set of `V`.
#[inline(always)]
unsafe fn b_transposed<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 4] {
    // SAFETY: the caller guarantees the instruction set.
    unsafe { [a.sub(c), b.add(c), c.sub(b), b.sub(d)] }
}

/// Applies G along one axis.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the instruction set of `V`.
#[inline(always)]
unsafe fn g<V: Vector>([a, b, c]: [V; 3]) -> [V; 4] {
    // SAFETY: the caller guarantees the instruction set.
    unsafe {
        let (half, ends) = (V::splat(&0.5), a.add(c));
        [a, ends.add(b).mul(half), ends.sub(b).mul(half), c]
    }
}

/// Applies Gᵀ along one axis.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the instruction set of `V`.
#[inline(always)]
unsafe fn g_transposed<V: Vector>([a, b, c, d]: [V; 4]) -> [V; 3] {
    // SAFETY: the caller guarantees the instruction set.
    unsafe {
        let half = V::splat(&0.5);
        let even = b.add(c).mul(half);
        [a.add(even), b.sub(c).mul(half), even.add(d)]
    }
}

/// Applies A along one axis.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the instruction set of `V`.
#[inline(always)]
unsafe fn a<V: Vector>([a, b]: [V; SIDE]) -> [V; 4] {
    // SAFETY: the caller guarantees the instruction set.
    unsafe { [a, a.add(b), a.sub(b), V::zero().sub(b)] }
}

/// Applies Aᵀ along one axis.
///
/// # Safety
///
/// - The caller must run this only on a machine that has the instruction set of `V`.
#[inline(always)]
unsafe fn a_transposed<V: Vector>([a, b, c, d]: [V; 4]) -> [V; SIDE] {
    // SAFETY: the caller guarantees the instruction set.
    unsafe { [a.add(b).add(c), b.sub(c).sub(d)] }
}

/// Computes G g Gᵀ of a block of kernels g.
pub(super) struct KernelTransform<'a, F> {
    /// Function that returns the kernel from a channel of the source to a lane of the block.
    pub kernel: F,
    /// Number of channels of the source.
    pub sources: usize,
    pub block: usize,
    /// `[COMPONENTS, sources, block]`.
    pub weights: &'a mut [f32],
}

impl<F: Fn(usize, usize) -> [f32; AREA]> Kernel for KernelTransform<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        assert_eq!(self.block % V::LANES, 0);
        assert!(COMPONENTS * self.sources * self.block <= self.weights.len());
        for source in 0..self.sources {
            for first in (0..self.block).step_by(V::LANES) {
                let mut taps = [[0.0f32; MAX_LANES]; AREA];
                for lane in 0..V::LANES {
                    let kernel = (self.kernel)(source, first + lane);
                    taps.iter_mut().zip(kernel).for_each(|(lanes, tap)| lanes[lane] = tap);
                }
                // SAFETY: `run` is called with the instruction set. No vector is longer than the
                // array, and writes stay within the weights by the assertions above.
                unsafe {
                    let mut columns = [[V::zero(); 4]; 3];
                    for x in 0..3 {
                        let [a, b, c] = [&taps[x], &taps[3 + x], &taps[6 + x]]
                            .map(|lanes| V::load(lanes.as_ptr()));
                        columns[x] = g([a, b, c]);
                    }
                    let to = self.weights.as_mut_ptr().add(source * self.block + first);
                    for y in 0..4 {
                        let row = g([columns[0][y], columns[1][y], columns[2][y]]);
                        for x in 0..4 {
                            row[x].store(to.add((4 * y + x) * self.sources * self.block));
                        }
                    }
                }
            }
        }
    }
}

/// Computes the gradient of the weights of some outputs: Gᵀ s G for the outputs' sums s.
pub(super) struct SumTransform<'a> {
    /// `[COMPONENTS, inputs, output_pitch]`.
    pub sums: &'a [f32],
    pub inputs: usize,
    /// Distance, in values, between the sums of consecutive inputs.
    pub output_pitch: usize,
    /// Index of the first output.
    pub first: usize,
    /// `[outputs, inputs, AREA]`.
    pub weights: &'a mut [f32],
}

impl Kernel for SumTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let outputs = self.weights.len() / (self.inputs * AREA);
        assert!(self.first + outputs.next_multiple_of(V::LANES) <= self.output_pitch);
        assert!(COMPONENTS * self.inputs * self.output_pitch <= self.sums.len());
        for input in 0..self.inputs {
            for first in (0..outputs).step_by(V::LANES) {
                let mut taps = [[0.0f32; MAX_LANES]; AREA];
                // SAFETY: `run` is called with the instruction set. Reads stay within the sums by
                // the assertions above, and no vector is longer than the array.
                unsafe {
                    let offset = input * self.output_pitch + self.first + first;
                    let from = self.sums.as_ptr().add(offset);
                    let component_pitch = self.inputs * self.output_pitch;
                    let mut columns = [[V::zero(); 3]; 4];
                    for x in 0..4 {
                        let column = from.add(x * component_pitch);
                        columns[x] = g_transposed(load_four(column, 4 * component_pitch));
                    }
                    for y in 0..3 {
                        let row = g_transposed([
                            columns[0][y],
                            columns[1][y],
                            columns[2][y],
                            columns[3][y],
                        ]);
                        for x in 0..3 {
                            row[x].store(taps[3 * y + x].as_mut_ptr());
                        }
                    }
                }
                for lane in 0..V::LANES.min(outputs - first) {
                    let kernel =
                        &mut self.weights[((first + lane) * self.inputs + input) * AREA..][..AREA];
                    kernel.iter_mut().zip(&taps).for_each(|(weight, lanes)| *weight = lanes[lane]);
                }
            }
        }
    }
}

/// Computes Bᵀ d B of the inputs d of some tiles.
pub(super) struct InputTransform<'a> {
    /// Images in frames of zeros.
    pub frames: &'a [f32],
    /// Distance, in values, from a row of a frame to the next.
    pub row_pitch: usize,
    pub channels: usize,
    pub tiles: &'a [Tile],
    /// `[COMPONENTS, tiles, channels]`.
    pub values: &'a mut [f32],
    /// Distance, in values, from a tile to the next.
    pub tile_pitch: usize,
    /// Distance, in values, from a component to the next.
    pub component_pitch: usize,
}

impl Kernel for InputTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let padded = self.channels.next_multiple_of(V::LANES);
        assert!(
            padded <= self.tile_pitch && self.tiles.len() * self.tile_pitch <= self.component_pitch
        );
        assert!(COMPONENTS * self.component_pitch <= self.values.len());
        for (index, tile) in self.tiles.iter().enumerate() {
            assert!(
                tile.source + 3 * self.row_pitch + 3 * self.channels + padded <= self.frames.len()
            );
            for channel in (0..self.channels).step_by(V::LANES) {
                // SAFETY: `run` is called with the instruction set. Reads stay within the frames
                // and writes within the values, by the assertions above.
                unsafe {
                    let from = self.frames.as_ptr().add(tile.source + channel);
                    let to = self.values.as_mut_ptr().add(index * self.tile_pitch + channel);
                    let mut columns = [[V::zero(); 4]; 4];
                    for x in 0..4 {
                        columns[x] =
                            b_transposed(load_four(from.add(x * self.channels), self.row_pitch));
                    }
                    for y in 0..4 {
                        let row = b_transposed([
                            columns[0][y],
                            columns[1][y],
                            columns[2][y],
                            columns[3][y],
                        ]);
                        for x in 0..4 {
                            row[x].store(to.add((4 * y + x) * self.component_pitch));
                        }
                    }
                }
            }
        }
    }
}

/// Computes A y Aᵀ of the gradient y of some tiles' outputs.
pub(super) struct GradientTransform<'a> {
    /// The gradient in frames of zeros.
    pub frames: &'a [f32],
    /// Distance, in values, from a row of a frame to the next.
    pub row_pitch: usize,
    pub channels: usize,
    /// The gradient of a tile is read at the tile's target.
    pub tiles: &'a [Tile],
    /// `[COMPONENTS, blocks, tiles, block]`.
    pub values: &'a mut [f32],
    pub block: usize,
    /// Distance, in values, from a component to the next.
    pub component_pitch: usize,
}

impl Kernel for GradientTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let padded = self.channels.next_multiple_of(V::LANES);
        assert!(self.block.is_multiple_of(V::LANES));
        assert!(
            self.tiles.len() * self.channels.next_multiple_of(self.block) <= self.component_pitch
        );
        assert!(COMPONENTS * self.component_pitch <= self.values.len());
        for (index, tile) in self.tiles.iter().enumerate() {
            assert!(tile.target + self.row_pitch + self.channels + padded <= self.frames.len());
            for channel in (0..self.channels).step_by(V::LANES) {
                let (block, lane) = (channel / self.block, channel % self.block);
                // SAFETY: `run` is called with the instruction set. Reads stay within the frames
                // and writes within the values, by the assertions above.
                unsafe {
                    let from = self.frames.as_ptr().add(tile.target + channel);
                    let to = self
                        .values
                        .as_mut_ptr()
                        .add((block * self.tiles.len() + index) * self.block + lane);
                    let mut columns = [[V::zero(); 4]; SIDE];
                    for x in 0..SIDE {
                        let from = from.add(x * self.channels);
                        columns[x] = a([V::load(from), V::load(from.add(self.row_pitch))]);
                    }
                    for y in 0..4 {
                        let row = a([columns[0][y], columns[1][y]]);
                        for x in 0..4 {
                            row[x].store(to.add((4 * y + x) * self.component_pitch));
                        }
                    }
                }
            }
        }
    }
}

/// Computes the outputs of some tiles: Aᵀ m A for the tiles' sums m.
pub(super) struct OutputTransform<'a> {
    /// `[COMPONENTS, tiles, channels]`.
    pub sums: &'a [f32],
    /// Distance, in values, from a tile to the next.
    pub tile_pitch: usize,
    /// Distance, in values, from a component to the next.
    pub component_pitch: usize,
    pub tiles: &'a [Tile],
    pub channels: usize,
    /// Number of pixels of an output row.
    pub width: usize,
    pub output: &'a mut [f32],
}

impl Kernel for OutputTransform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let padded = self.channels.next_multiple_of(V::LANES);
        assert!(
            padded <= self.tile_pitch && self.tiles.len() * self.tile_pitch <= self.component_pitch
        );
        assert!(COMPONENTS * self.component_pitch <= self.sums.len());
        for (index, tile) in self.tiles.iter().enumerate() {
            assert!((1..=SIDE).contains(&tile.rows) && (1..=SIDE).contains(&tile.columns));
            let last = (tile.rows - 1) * self.width + tile.columns - 1;
            assert!(tile.target + (last + 1) * self.channels <= self.output.len());
            for channel in (0..self.channels).step_by(V::LANES) {
                let lanes = V::LANES.min(self.channels - channel);
                // SAFETY: `run` is called with the instruction set. The assertions above keep reads
                // within the sums, and guarantee that the output has the pixels that are written
                // and `lanes` of their channels.
                unsafe {
                    let from = self.sums.as_ptr().add(index * self.tile_pitch + channel);
                    let to = self.output.as_mut_ptr().add(tile.target + channel);
                    let mut columns = [[V::zero(); SIDE]; 4];
                    for x in 0..4 {
                        columns[x] = a_transposed(load_four(
                            from.add(x * self.component_pitch),
                            4 * self.component_pitch,
                        ));
                    }
                    for y in 0..tile.rows {
                        let row = a_transposed([
                            columns[0][y],
                            columns[1][y],
                            columns[2][y],
                            columns[3][y],
                        ]);
                        for x in 0..tile.columns {
                            store_lanes(
                                row[x],
                                to.add((y * self.width + x) * self.channels),
                                lanes,
                            );
                        }
                    }
                }
            }
        }
    }
}
