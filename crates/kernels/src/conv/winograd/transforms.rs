//! The transforms of minimal filtering, vectors of channels at a time.

#![allow(clippy::needless_range_loop, reason = "register tiles are unrolled over constant ranges")]

use super::{AREA, POSITIONS, SIDE, Tile};
use crate::conv::tile::store;
use crate::isa::{Kernel, MOST_LANES, Vector};

/// Four vectors, `step` values apart.
///
/// # Safety
///
/// As [`Vector::load`] of each.
#[inline(always)]
unsafe fn four<V: Vector>(from: *const f32, step: usize) -> [V; 4] {
    // SAFETY: as the caller vouches.
    unsafe {
        [
            V::load(from),
            V::load(from.add(step)),
            V::load(from.add(2 * step)),
            V::load(from.add(3 * step)),
        ]
    }
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
pub(super) struct OfKernels<'a, F> {
    /// That from an input to an output of the block.
    pub kernel: F,
    pub inputs: usize,
    pub block: usize,
    /// `[POSITIONS, inputs, block]`.
    pub weights: &'a mut [f32],
}

impl<F: Fn(usize, usize) -> [f32; AREA]> Kernel for OfKernels<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        assert_eq!(self.block % V::LANES, 0);
        assert!(POSITIONS * self.inputs * self.block <= self.weights.len());
        for from in 0..self.inputs {
            for first in (0..self.block).step_by(V::LANES) {
                let mut taps = [[0.0f32; MOST_LANES]; AREA];
                for lane in 0..V::LANES {
                    let kernel = (self.kernel)(from, first + lane);
                    taps.iter_mut().zip(kernel).for_each(|(lanes, tap)| lanes[lane] = tap);
                }
                // SAFETY: no vector is longer than the array, writes stay within the weights by the
                // assertions above, and `run` is given the instruction set.
                unsafe {
                    let mut columns = [[V::zero(); 4]; 3];
                    for x in 0..3 {
                        let [a, b, c] = [&taps[x], &taps[3 + x], &taps[6 + x]]
                            .map(|lanes| V::load(lanes.as_ptr()));
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

/// Gᵀ s G of the sums s of some outputs.
pub(super) struct OfSums<'a> {
    /// `[POSITIONS, inputs, pitch]`.
    pub sums: &'a [f32],
    pub inputs: usize,
    pub pitch: usize,
    /// The first of the outputs.
    pub first: usize,
    /// `[outputs, inputs, AREA]`.
    pub weights: &'a mut [f32],
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
                let mut taps = [[0.0f32; MOST_LANES]; AREA];
                // SAFETY: reads stay within the sums by the assertions above, no vector is longer
                // than the array, and `run` is given the instruction set.
                unsafe {
                    let from = self.sums.as_ptr().add(input * self.pitch + self.first + first);
                    let plane = self.inputs * self.pitch;
                    let mut columns = [[V::zero(); 3]; 4];
                    for x in 0..4 {
                        columns[x] = g_transposed(four(from.add(x * plane), 4 * plane));
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

/// Bᵀ d B of the inputs d of some tiles.
pub(super) struct OfInputs<'a> {
    pub framed: &'a [f32],
    /// From row to row.
    pub row: usize,
    pub channels: usize,
    pub tiles: &'a [Tile],
    /// `[POSITIONS, tiles, channels]`.
    pub values: &'a mut [f32],
    /// From tile to tile.
    pub pitch: usize,
    /// From position to position.
    pub plane: usize,
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
                // SAFETY: reads stay within the frame and writes within the planes, by the
                // assertions above; `run` is given the instruction set.
                unsafe {
                    let from = self.framed.as_ptr().add(tile.source + channel);
                    let to = self.values.as_mut_ptr().add(index * self.pitch + channel);
                    let mut columns = [[V::zero(); 4]; 4];
                    for x in 0..4 {
                        columns[x] = b_transposed(four(from.add(x * self.channels), self.row));
                    }
                    for y in 0..4 {
                        let row = b_transposed([
                            columns[0][y],
                            columns[1][y],
                            columns[2][y],
                            columns[3][y],
                        ]);
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
pub(super) struct OfGradient<'a> {
    pub framed: &'a [f32],
    /// From row to row.
    pub row: usize,
    pub channels: usize,
    /// Targets are where they are read.
    pub tiles: &'a [Tile],
    /// `[POSITIONS, blocks, tiles, block]`.
    pub values: &'a mut [f32],
    pub block: usize,
    /// From position to position.
    pub plane: usize,
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
                // SAFETY: reads stay within the frame and writes within the planes, by the
                // assertions above; `run` is given the instruction set.
                unsafe {
                    let from = self.framed.as_ptr().add(tile.target + channel);
                    let to = self
                        .values
                        .as_mut_ptr()
                        .add((block * self.tiles.len() + index) * self.block + lane);
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
pub(super) struct ToOutputs<'a> {
    /// `[POSITIONS, tiles, channels]`.
    pub sums: &'a [f32],
    /// From tile to tile.
    pub pitch: usize,
    /// From position to position.
    pub plane: usize,
    pub tiles: &'a [Tile],
    pub channels: usize,
    /// Pixels of an output row.
    pub width: usize,
    pub output: &'a mut [f32],
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
                // SAFETY: reads stay within the planes, and the pixels written are there, by the
                // assertions above, as are `lanes` of their channels; `run` is given the
                // instruction set.
                unsafe {
                    let from = self.sums.as_ptr().add(index * self.pitch + channel);
                    let to = self.output.as_mut_ptr().add(tile.target + channel);
                    let mut columns = [[V::zero(); SIDE]; 4];
                    for x in 0..4 {
                        columns[x] = a_transposed(four(from.add(x * self.plane), 4 * self.plane));
                    }
                    for y in 0..tile.rows {
                        let row = a_transposed([
                            columns[0][y],
                            columns[1][y],
                            columns[2][y],
                            columns[3][y],
                        ]);
                        for x in 0..tile.columns {
                            store(row[x], to.add((y * self.width + x) * self.channels), lanes);
                        }
                    }
                }
            }
        }
    }
}
