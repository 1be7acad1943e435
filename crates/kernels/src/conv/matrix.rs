//! Convolution of bf16 as products of matrices in tiles.

use std::ops::Range;

use half::bf16;
use rayon::prelude::*;

use super::amx::{self, BLOCK, Finish, Outer, Product, Shifted, TILE};
use super::unfold::{Correlation, Pairs, Rows, STEP, STRIP, apart};
use super::{After, Conv};
use crate::buffer::Buffer;
use crate::norm::{self, Moments};

/// Output pixels of a group of images: enough to use weights often while they are in the cache.
const PIXELS: usize = 256;

/// Bytes of a group's inputs, laid out for the weights' gradient, that the second-level cache has room for.
const GROUP_BYTES: usize = 1 << 20;

/// Positions of such a group at least, lest reading and writing the sums take longer than the products.
const POSITIONS: usize = 512;

/// Channels that the weights' gradient is computed for at a time: what keeps partial sums within the cache.
const RANGE: usize = 128;

/// Positions of a lane of images, whose sums are kept apart so that lanes can be computed side by side.
const LANE: usize = 4096;

/// Lanes at most.
const LANES: usize = 32;

/// Weights as the tiles' columns: `[blocks, kernel rows, steps, 2, 16 pairs, 16 columns, 2]`, zeros where there are none.
struct Panels {
    columns: Buffer<bf16>,
    steps: usize,
}

impl Panels {
    /// From the channels of `correlation`'s source to `channels`. Of the weights' taps each goes to the kernel's row and
    /// column that `place` says. `transposed` are weights from outputs to inputs.
    ///
    /// # Safety
    ///
    /// The machine has AMX.
    unsafe fn new(
        conv: &Conv,
        weights: &[f32],
        correlation: &Correlation,
        channels: usize,
        place: &[Option<[usize; 2]>],
        transposed: bool,
    ) -> Self {
        let area = place.len();
        let (from, rows) = (correlation.channels, correlation.kernel[0]);
        let steps = correlation.segment().div_ceil(STEP);
        // Where in a channel's row of stretches each tap begins.
        let taps: Vec<(usize, Range<usize>)> = (0..area)
            .filter_map(|tap| {
                let [row, column] = place[tap]?;
                let at = row * steps * STEP + column * from;
                Some((tap, at..at + from))
            })
            .collect();
        let pitch = rows * steps * STEP;
        let block_len = 2 * STRIP * pitch;
        let mut columns = Buffer::any(channels.div_ceil(BLOCK) * block_len);
        let blocks = columns.par_chunks_mut(block_len.max(1)).enumerate();
        blocks.for_each_init(
            || Buffer::<bf16>::zeros(block_len),
            |lines, (block, columns)| {
                let channels = block * BLOCK..channels.min((block + 1) * BLOCK);
                for (lane, channel) in channels.clone().enumerate() {
                    // SAFETY: AMX comes with the features named.
                    match transposed {
                        false => unsafe {
                            let weights = &weights[channel * from * area..][..from * area];
                            amx::spread(weights, area, &taps, &mut lines[lane * pitch..][..pitch]);
                        },
                        true => unsafe {
                            amx::spread(
                                &weights[channel * area..],
                                conv.inputs * area,
                                &taps,
                                &mut lines[lane * pitch..][..pitch],
                            );
                        },
                    }
                }
                // What an earlier, wider block has left.
                lines[channels.len() * pitch..].fill(bf16::ZERO);
                for (at, tile) in columns.as_chunks_mut::<TILE>().0.iter_mut().enumerate() {
                    let (step, half) = (at / 2, at % 2);
                    // SAFETY: AMX comes with the features named.
                    unsafe { amx::column_tile(&lines[half * STRIP * pitch + step * STEP..], pitch, tile) };
                }
            },
        );
        Self { columns, steps }
    }
}

/// The correlation that a convolution is.
fn outward(conv: &Conv) -> Correlation {
    Correlation {
        size: [conv.height, conv.width],
        channels: conv.inputs,
        kernel: [conv.kernel; 2],
        stride: conv.stride,
        start: [-(conv.padding as isize); 2],
        out: [conv.out_height(), conv.out_width()],
    }
}

/// A group's layout, and where each of its pixels goes; groups have one of two sizes.
struct Layout {
    rows: Rows,
    strips: Vec<usize>,
    kernel_rows: Vec<usize>,
    targets: Vec<u32>,
}

impl Layout {
    /// `target` gives the pixel of a group's images that an output pixel (image, y, x) is.
    fn new(correlation: Correlation, images: usize, target: impl Fn(usize, usize, usize) -> usize) -> Self {
        let rows = Rows::new(correlation, images);
        let [height, width] = correlation.out;
        let mut targets = Vec::with_capacity(rows.pixels());
        for y in 0..height {
            for image in 0..images {
                targets.extend((0..width).map(|x| target(image, y, x) as u32));
            }
        }
        Self { strips: rows.strips(), kernel_rows: rows.kernel_rows(), rows, targets }
    }

    /// Multiplies the images with `panels`, on a thread whose buffer for this layout is given.
    ///
    /// # Safety
    ///
    /// The machine has AMX.
    unsafe fn product(
        &self,
        images: &[bf16],
        panels: &Panels,
        channels: usize,
        buffer: &mut Option<Buffer<bf16>>,
        mut finish: Finish<'_>,
    ) {
        let buffer = buffer.get_or_insert_with(|| Buffer::any(self.rows.len()));
        // SAFETY: AMX comes with the features named.
        unsafe { amx::fill_rows(&self.rows, images, buffer) };
        let product = Product {
            rows: buffer,
            strips: &self.strips,
            pixel: self.rows.pixel,
            kernel_rows: &self.kernel_rows,
            steps: panels.steps,
            columns: &panels.columns,
            channels,
            targets: &self.targets,
        };
        // SAFETY: as the caller vouches.
        unsafe { amx::product(&product, &mut finish) };
    }
}

/// [`super::forward`].
///
/// # Safety
///
/// The machine has AMX.
pub(super) unsafe fn forward(
    conv: &Conv,
    input: &[bf16],
    weights: &[f32],
    after: After<'_, bf16>,
    output: &mut [bf16],
) -> Option<Moments> {
    let correlation = outward(conv);
    let place: Vec<_> =
        (0..conv.kernel * conv.kernel).map(|tap| Some([tap / conv.kernel, tap % conv.kernel])).collect();
    // SAFETY: as the caller vouches.
    let panels = unsafe { Panels::new(conv, weights, &correlation, conv.outputs, &place, false) };
    let groups = Groups::new(conv.batch, PIXELS.div_ceil(correlation.pixels()));
    let layouts = groups.sizes().map(|images| {
        Layout::new(correlation, images, |image, y, x| image * correlation.pixels() + y * correlation.out[1] + x)
    });
    let moments: Vec<Option<Moments>> = groups
        .split(output, conv.out_image())
        .into_par_iter()
        .map_init(Default::default, |buffers: &mut [Option<Buffer<bf16>>; 2], (group, output)| {
            let input = &input[group.images.start * conv.in_image()..group.images.end * conv.in_image()];
            let layout = &layouts[group.size];
            let pixels = group.images.len() * correlation.pixels();
            let mut moments = Shifted::new(conv.outputs);
            let at = group.images.start * conv.out_image();
            let finish = match &after {
                After::Moments => Finish::Moments { output, moments: &mut moments },
                After::Normalise { channels, residual, relu } => {
                    let residual = residual.map(|residual| &residual[at..at + output.len()]);
                    Finish::Normalise { output, channels, residual, floor: norm::floor(*relu) }
                }
            };
            let finishes = matches!(after, After::Moments);
            // SAFETY: as the caller vouches.
            unsafe { layout.product(input, &panels, conv.outputs, &mut buffers[group.size], finish) };
            finishes.then(|| moments.moments(pixels, conv.outputs))
        })
        .collect();
    moments.into_iter().flatten().reduce(|all, next| all.merge(&next))
}

/// Even groups of a batch's images: of one size, or of two next to each other.
struct Groups {
    batch: usize,
    count: usize,
}

/// One of them.
struct Group {
    images: Range<usize>,
    /// Which of the sizes it has.
    size: usize,
}

impl Groups {
    /// As many as have at most `size` images each.
    fn new(batch: usize, size: usize) -> Self {
        Self { batch, count: batch.div_ceil(size.max(1)) }
    }

    fn sizes(&self) -> [usize; 2] {
        let least = if self.count == 0 { 0 } else { self.batch / self.count };
        [least, least + 1]
    }

    fn iter(&self) -> impl Iterator<Item = Group> + '_ {
        let at = |group: usize| group * self.batch / self.count;
        (0..self.count).map(move |group| {
            let images = at(group)..at(group + 1);
            Group { size: images.len() - self.sizes()[0], images }
        })
    }

    /// Each with its stretch of `values`, of which an image has `image`.
    fn split<'a>(&self, mut values: &'a mut [bf16], image: usize) -> Vec<(Group, &'a mut [bf16])> {
        let mut stretches = Vec::with_capacity(self.count);
        for group in self.iter() {
            let (stretch, rest) = values.split_at_mut(group.images.len() * image);
            stretches.push((group, stretch));
            values = rest;
        }
        stretches
    }
}

/// The gradient of the input, given that of the outputs, with what is added to it where there is such.
///
/// # Safety
///
/// The machine has AMX.
pub(super) unsafe fn input_gradient(
    conv: &Conv,
    weights: &[f32],
    gradient: &[bf16],
    added: Option<&[bf16]>,
    result: &mut [bf16],
) {
    let groups = Groups::new(conv.batch, PIXELS.div_ceil(conv.out_height() * conv.out_width()));
    let phases: Vec<(Panels, [Layout; 2])> = phases(conv)
        .map(|(first, correlation, place)| {
            // SAFETY: as the caller vouches.
            let panels = unsafe { Panels::new(conv, weights, &correlation, conv.inputs, &place, true) };
            let layouts = groups.sizes().map(|images| {
                Layout::new(correlation, images, |image, y, x| {
                    (image * conv.height + first[0] + y * conv.stride) * conv.width + first[1] + x * conv.stride
                })
            });
            (panels, layouts)
        })
        .collect();
    let fresh = || phases.iter().map(|_| Default::default()).collect::<Vec<[Option<Buffer<bf16>>; 2]>>();
    groups.split(result, conv.in_image()).into_par_iter().for_each_init(fresh, |buffers, (group, result)| {
        let gradient = &gradient[group.images.start * conv.out_image()..group.images.end * conv.out_image()];
        let at = group.images.start * conv.in_image();
        let added = added.map(|added| &added[at..at + result.len()]);
        for ((panels, layouts), buffers) in phases.iter().zip(buffers) {
            let finish = Finish::Store { output: result, added };
            // SAFETY: as the caller vouches.
            unsafe {
                layouts[group.size].product(gradient, panels, conv.inputs, &mut buffers[group.size], finish);
            }
        }
    });
}

/// The input pixels that lie alike towards the steps of the kernel, `stride`² phases, each with its first pixel, the
/// correlation of the outputs' gradient that its own is, and where in it the weights' taps go. The same taps reach all
/// pixels of a phase, the last tap from the first of the outputs.
fn phases(conv: &Conv) -> impl Iterator<Item = ([usize; 2], Correlation, Vec<Option<[usize; 2]>>)> + '_ {
    let axis = |first: usize| -> (Vec<usize>, isize) {
        let taps: Vec<usize> =
            (0..conv.kernel).rev().filter(|tap| (first + conv.padding) % conv.stride == tap % conv.stride).collect();
        let start =
            taps.first().map_or(0, |&tap| ((first + conv.padding) as isize - tap as isize) / conv.stride as isize);
        (taps, start)
    };
    let firsts = (0..conv.stride.min(conv.height)).flat_map(|y| (0..conv.stride.min(conv.width)).map(move |x| [y, x]));
    firsts.map(move |first| {
        let [(rows, top), (columns, left)] = first.map(axis);
        let place = (0..conv.kernel * conv.kernel).map(|tap| {
            let find = |taps: &[usize], tap: usize| taps.iter().position(|&at| at == tap);
            Some([find(&rows, tap / conv.kernel)?, find(&columns, tap % conv.kernel)?])
        });
        let correlation = Correlation {
            size: [conv.out_height(), conv.out_width()],
            channels: conv.outputs,
            kernel: [rows.len(), columns.len()],
            stride: 1,
            start: [top, left],
            out: [(conv.height - first[0]).div_ceil(conv.stride), (conv.width - first[1]).div_ceil(conv.stride)],
        };
        (first, correlation, place.collect())
    })
}

/// The gradient of the weights, given that of the outputs, with what is added to it where there is such.
///
/// # Safety
///
/// The machine has AMX.
pub(super) unsafe fn weight_gradient(conv: &Conv, input: &[bf16], gradient: &[bf16], added: Option<&[f32]>) -> Buffer {
    let correlation = outward(conv);
    let one = Pairs::new(correlation, 1);
    let size = (GROUP_BYTES / (one.len() * size_of::<bf16>())).max(POSITIONS.div_ceil(one.positions())).max(1);
    let lanes =
        Groups::new(conv.batch, conv.batch.div_ceil((conv.batch * one.positions()).div_ceil(LANE).clamp(1, LANES)));
    let ranges: Vec<Range<usize>> =
        (0..conv.outputs).step_by(RANGE).map(|first| first..(first + RANGE).min(conv.outputs)).collect();
    let units: Vec<(Range<usize>, Range<usize>)> =
        lanes.iter().flat_map(|lane| ranges.iter().map(move |range| (lane.images.clone(), range.clone()))).collect();
    let sums: Vec<Buffer> = units
        .into_par_iter()
        .map(|(lane, range)| {
            let channels = range.len().next_multiple_of(BLOCK);
            let mut sums = Buffer::any(conv.kernel * channels * one.pitch);
            let groups = Groups::new(lane.len(), size);
            let layouts = groups.sizes().map(|images| Pairs::new(correlation, images));
            let mut buffers: [Option<(Buffer<bf16>, Buffer<bf16>)>; 2] = Default::default();
            for group in groups.iter() {
                let pairs = &layouts[group.size];
                let positions = pairs.positions();
                let pitch = apart(positions, STEP);
                let (inputs, turned) = buffers[group.size]
                    .get_or_insert_with(|| (Buffer::any(pairs.len()), Buffer::any(channels * pitch)));
                let images = lane.start + group.images.start..lane.start + group.images.end;
                // SAFETY: AMX comes with the features named.
                unsafe {
                    amx::fill_pairs(pairs, &input[images.start * conv.in_image()..images.end * conv.in_image()], inputs)
                };
                let gradient = &gradient[images.start * conv.out_image()..images.end * conv.out_image()];
                turn(conv, pairs, gradient, &range, turned, pitch);
                let outer = Outer {
                    gradient: turned,
                    gradient_pitch: pitch,
                    channels,
                    positions,
                    pairs: inputs,
                    segment: pairs.segment,
                    pitch: pairs.pitch,
                    kernel_rows: &pairs.kernel_rows(),
                    sums: &mut sums,
                    first: group.images.start == 0,
                };
                // SAFETY: as the caller vouches.
                unsafe { amx::outer(outer) };
            }
            sums
        })
        .collect();
    unpack(conv, one.pitch, &sums, ranges.len(), added)
}

/// Brings a range of the gradient's channels from `[images, pixels, channels]` into `[channels, positions]`, rows `pitch`
/// apart and zeros where there is no pixel.
fn turn(conv: &Conv, pairs: &Pairs, gradient: &[bf16], range: &Range<usize>, to: &mut [bf16], pitch: usize) {
    let zeros = [bf16::ZERO; STRIP];
    let pixels = pairs.pixels();
    for channel in range.clone().step_by(STRIP) {
        let lanes = STRIP.min(range.end - channel);
        let to = &mut to[(channel - range.start) * pitch..];
        for (step, pixels) in pixels.chunks(STEP).enumerate() {
            let mut tail = [[bf16::ZERO; STRIP]; STEP];
            let mut from = [zeros.as_ptr(); STEP];
            for ((from, tail), pixel) in from.iter_mut().zip(&mut tail).zip(pixels) {
                let Some(pixel) = pixel else { continue };
                let values = &gradient[*pixel as usize * conv.outputs + channel..];
                *from = match values.first_chunk::<STRIP>() {
                    Some(values) => values.as_ptr(),
                    // The last of all pixels: what follows its channels is not there to be read.
                    None => {
                        tail[..lanes].copy_from_slice(&values[..lanes]);
                        tail.as_ptr()
                    }
                };
            }
            assert!((STRIP - 1) * pitch + (step + 1) * STEP <= to.len());
            // SAFETY: AMX comes with the features named; 16 values follow each pointer, and the assertion is for `to`.
            unsafe { amx::transpose(&from, to[step * STEP..].as_mut_ptr(), pitch) };
        }
    }
}

/// Adds the lanes' sums, `[kernel rows, channels of the range, pitch]` of each range of each lane, and brings them into the
/// weights' own order.
fn unpack(conv: &Conv, pitch: usize, sums: &[Buffer], ranges: usize, added: Option<&[f32]>) -> Buffer {
    let Conv { inputs, kernel, .. } = *conv;
    let mut weights = Buffer::any(conv.outputs * inputs * kernel * kernel);
    let len = inputs * kernel * kernel;
    weights.par_chunks_mut(len).enumerate().for_each(|(output, weights)| {
        let (range, channel) = (output / RANGE, output % RANGE);
        let mut all = vec![0.0; kernel * inputs];
        for row in 0..kernel {
            all.fill(0.0);
            for sums in sums.iter().skip(range).step_by(ranges) {
                let channels = sums.len() / (kernel * pitch);
                let sums = &sums[(row * channels + channel) * pitch..][..kernel * inputs];
                all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
            }
            for (column, all) in all.chunks_exact(inputs).enumerate() {
                // SAFETY: AMX comes with the features named.
                unsafe { amx::gather_back(all, &mut weights[row * kernel + column..], kernel * kernel) };
            }
        }
        if let Some(added) = added {
            weights.iter_mut().zip(&added[output * len..]).for_each(|(weight, added)| *weight += added);
        }
    });
    weights
}
