//! Convolution of bf16 as products of matrices in tiles.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use half::bf16;
use rayon::prelude::*;

use super::amx::{self, Finish, Outer, Product, Shifted, Steps, TILE};
use super::frame::{BLOCK, Correlation, Pairs, Rows, STEP, STRIP, Two, apart};
use super::{AT_ONCE, After, Conv, Group, Groups, Input, order, pack, stretches};
use crate::buffer::Buffer;
use crate::isa::Isa;
use crate::norm::{self, Moments};

/// Output pixels of a group of images: enough to use weights often while they are in the cache.
const PIXELS: usize = 256;

/// Output pixels of a group in the backward pass: fewer, and reading and writing the weights' sums
/// would take longer than the products; more, and a group would not stay in the cache.
const POSITIONS: usize = 512;

/// Channels that the weights' gradient is computed for at a time: what keeps partial sums within
/// the cache.
const RANGE: usize = 128;

/// Positions of a lane of images, whose sums are kept apart so that lanes can be computed side by
/// side.
const LANE: usize = 4096;

/// Up to so many lanes each has `LANE` positions; where there would be more, they are twice as
/// long, so that half as many sums are written and added.
const SHORT_LANES: usize = 8;

/// Bytes of the weights' sums up to which both gradients are made of a group in turn; with more
/// than the second of them only where there are lanes enough to share that work.
const BOTH: [usize; 2] = [640 << 10, 256 << 10];

/// Lanes at most.
const LANES: usize = 32;

/// Weights as the tiles' columns: `[blocks, steps, 2, 16 pairs, 16 columns, 2]`, zeros where there
/// are none.
struct Panels {
    columns: Buffer<bf16>,
    steps: Steps,
    /// Columns that are no zeros behind the last: channels of all pixels that are taken for one.
    channels: usize,
}

impl Panels {
    /// From the channels of `correlation`'s source to `channels` of each of the pixels that it has
    /// [joined](Correlation::joined). Of the weights' taps each goes to the kernel's row and column
    /// that `place` says of the first of them. `transposed` are weights from outputs to inputs.
    ///
    /// # Safety
    ///
    /// The machine has AMX.
    unsafe fn new(
        conv: &Conv,
        weights: &[f32],
        correlation: &Correlation,
        [pixels, channels]: [usize; 2],
        place: &[Option<[usize; 2]>],
        transposed: bool,
    ) -> Self {
        let area = place.len();
        let from = correlation.channels;
        let [parts, len] = correlation.parts();
        let steps = Steps::new(parts, len / STEP);
        let places: Vec<usize> = (0..steps.len()).map(|step| steps.place(step)).collect();
        // From what a pixel sees to what the next one of those joined sees.
        let next = correlation.tap([0, correlation.stride[1] / pixels]);
        // Where among the values of all parts each tap begins.
        let taps: Vec<(usize, Range<usize>)> = (0..area)
            .filter_map(|tap| {
                let at = correlation.tap(place[tap]?);
                Some((tap, at..at + from))
            })
            .collect();
        let pitch = parts * len;
        let block_len = 2 * STRIP * pitch;
        let all = pixels * channels;
        let mut columns = Buffer::any(all.div_ceil(BLOCK) * block_len);
        let blocks = columns.par_chunks_mut(block_len.max(1)).enumerate();
        if transposed && pixels == 1 && from.is_multiple_of(2) && channels.is_multiple_of(STRIP) {
            // Two neighbouring outputs' weights are two rows of memory, read once for all taps.
            let whole = taps.len() * from == pitch;
            blocks.for_each(|(block, columns)| {
                let halves = if channels - block * BLOCK < BLOCK { 1 } else { 2 };
                if !whole || halves == 1 {
                    columns.fill(bf16::ZERO);
                }
                for output in (0..from).step_by(2) {
                    for half in 0..halves {
                        let channel = block * BLOCK + half * STRIP;
                        let row = |output: usize| {
                            &weights[(output * conv.inputs + channel) * area..][..STRIP * area]
                        };
                        for (tap, range) in &taps {
                            let at = range.start + output;
                            let to =
                                ((places[at / STEP] * 2 + half) * STRIP + at % STEP / 2) * STEP;
                            let to = columns[to..].first_chunk_mut().expect("a row of a tile");
                            // SAFETY: AMX comes with the features named.
                            unsafe {
                                order::interleave([row(output), row(output + 1)], *tap, area, to)
                            };
                        }
                    }
                }
            });
            return Self { columns, steps, channels: all };
        }
        blocks.for_each_init(
            || Buffer::<bf16>::zeros(block_len),
            |lines, (block, columns)| {
                let lanes = block * BLOCK..all.min((block + 1) * BLOCK);
                for (lane, at) in lanes.clone().enumerate() {
                    let (pixel, channel) = (at / channels, at % channels);
                    // A channel's weights: together, or one of each of the other side's.
                    let (weights, step) = match transposed {
                        false => (&weights[channel * from * area..][..from * area], area),
                        true => (&weights[channel * area..], conv.inputs * area),
                    };
                    let line = &mut lines[lane * pitch + pixel * next..(lane + 1) * pitch];
                    // SAFETY: AMX comes with the features named.
                    unsafe { order::spread(weights, step, &taps, line) };
                }
                // What an earlier, wider block has left.
                lines[lanes.len() * pitch..].fill(bf16::ZERO);
                let tiles = columns.as_chunks_mut::<TILE>().0;
                for (step, place) in places.iter().enumerate() {
                    for half in 0..2 {
                        let tile = &mut tiles[2 * place + half];
                        // SAFETY: AMX comes with the features named.
                        unsafe {
                            order::column_tile(
                                &lines[half * STRIP * pitch + step * STEP..],
                                pitch,
                                tile,
                            )
                        };
                    }
                }
            },
        );
        Self { columns, steps, channels: all }
    }
}

/// The correlation that a convolution is.
fn outward(conv: &Conv) -> Correlation {
    Correlation {
        size: [conv.height, conv.width],
        channels: conv.inputs,
        kernel: [conv.kernel; 2],
        stride: [conv.stride; 2],
        start: [-(conv.padding as isize); 2],
        out: [conv.out_height(), conv.out_width()],
    }
}

/// A group's layout, and where each of its pixels goes; groups have one of two sizes.
struct Layout {
    rows: Rows,
    twos: Vec<Two>,
    parts: Vec<usize>,
    targets: Vec<u32>,
}

impl Layout {
    /// `target` gives the pixel of a group's images that an output pixel (image, y, x) is.
    fn new(correlation: Correlation, images: usize, target: impl Fn([usize; 3]) -> usize) -> Self {
        let rows = Rows::new(correlation, images);
        let targets = rows.pixels().map(|pixel| target(pixel) as u32).collect();
        Self { twos: rows.twos(), parts: rows.parts(), targets, rows }
    }

    /// Multiplies the images with `panels`, on a thread whose buffer is given.
    ///
    /// # Safety
    ///
    /// The machine has AMX.
    unsafe fn product(
        &self,
        images: &[bf16],
        panels: &Panels,
        buffer: &mut Buffer<bf16>,
        mut finish: Finish<'_>,
    ) {
        let buffer = buffer.at_least(self.rows.len());
        // SAFETY: AMX comes with the features named.
        unsafe { order::fill_rows(&self.rows, images, buffer) };
        let product = Product {
            rows: buffer,
            twos: &self.twos,
            step: self.rows.step,
            parts: &self.parts,
            steps: panels.steps,
            columns: &panels.columns,
            channels: panels.channels,
            targets: &self.targets,
        };
        // SAFETY: as the caller vouches.
        unsafe { amx::product(&product, &mut finish) };
    }
}

/// The groups that a batch is convolved in.
pub(super) fn groups(conv: &Conv) -> Groups {
    Groups::new(conv.batch, PIXELS.div_ceil(conv.out_height() * conv.out_width()))
}

/// Weights laid out for [`super::forward`], and images in groups.
pub(super) struct Forward {
    panels: Panels,
    outputs: usize,
    layouts: [Layout; 2],
}

impl Forward {
    /// For groups of the sizes given.
    ///
    /// # Safety
    ///
    /// The machine has AMX.
    pub(super) unsafe fn new(conv: &Conv, weights: &[f32], sizes: [usize; 2]) -> Self {
        let together = outward(conv).together(conv.outputs);
        let correlation = outward(conv).joined(together);
        let place: Vec<_> = (0..conv.kernel * conv.kernel)
            .map(|tap| Some([tap / conv.kernel, tap % conv.kernel]))
            .collect();
        // SAFETY: as the caller vouches.
        let panels = unsafe {
            Panels::new(conv, weights, &correlation, [together, conv.outputs], &place, false)
        };
        let layouts = sizes.map(|images| {
            Layout::new(correlation, images, |[image, y, x]| {
                image * correlation.pixels() + y * correlation.out[1] + x
            })
        });
        Self { panels, outputs: conv.outputs, layouts }
    }

    /// The outputs of a group's images, and their moments if those are taken.
    ///
    /// # Safety
    ///
    /// The machine has AMX.
    pub(super) unsafe fn group(
        &self,
        group: &Group,
        images: &[bf16],
        after: After<'_, bf16>,
        buffer: &mut Buffer<bf16>,
        output: &mut [bf16],
    ) -> Option<Moments> {
        let all = self.panels.channels;
        let pixels = output.len() / all;
        let mut moments = matches!(after, After::Moments).then(|| Shifted::new(all));
        let finish = match (&mut moments, after) {
            (_, After::Normalise { channels, residual, relu }) => {
                Finish::Normalise { output, channels, residual, floor: norm::floor(relu) }
            }
            (Some(moments), After::Moments) => Finish::Moments { output, moments },
            (None, After::Moments) => unreachable!("they are there when they are taken"),
        };
        // SAFETY: as the caller vouches.
        unsafe { self.layouts[group.size].product(images, &self.panels, buffer, finish) };
        moments.map(|moments| moments.moments(pixels, all).joined(self.outputs))
    }
}

/// What becomes of the input's gradient.
pub(super) struct IntoInput<'a, F> {
    /// What is added to it, if anything is.
    pub added: Option<&'a [bf16]>,
    /// Where it goes.
    pub result: &'a mut [bf16],
    /// What is handed each group's, with its images.
    pub made: &'a F,
}

/// [`super::backward`], with the place for the input's gradient where it is wanted.
///
/// # Safety
///
/// The machine has AMX.
pub(super) unsafe fn backward(
    isa: Isa,
    conv: &Conv,
    input: Input<'_, bf16>,
    weights: &[f32],
    gradient: &(impl Fn(Range<usize>, &mut [bf16]) + Sync),
    of_input: Option<IntoInput<'_, impl Fn(Range<usize>, &mut [bf16]) + Sync>>,
    of_weights: Option<&[f32]>,
) -> Buffer {
    let pixels = conv.out_height() * conv.out_width();
    let positions = Groups::new(conv.batch, POSITIONS.div_ceil(pixels).next_multiple_of(2));
    let into_weights = WeightGradient::new(conv, positions.sizes());
    let lanes = (conv.batch * pixels).div_ceil(LANE);
    let lanes = lanes.div_ceil(2).max(lanes.min(SHORT_LANES)).clamp(1, LANES);
    let lanes = Groups::new(positions.count, positions.count.div_ceil(lanes));
    // Nothing is written, and no image has values, where the input's gradient is not wanted.
    let (wanted, result, in_image) = match of_input {
        Some(IntoInput { added, result, made }) => (Some((added, made)), result, conv.in_image()),
        None => (None, [].as_mut_slice(), 0),
    };
    let into_input = |sizes| {
        wanted.map(|(added, made)| {
            // SAFETY: as the caller vouches.
            let gradient = unsafe { InputGradient::new(conv, weights, sizes, added) };
            (gradient, made)
        })
    };

    // While the sums and weights that the two gradients need stay in the cache beside each other,
    // both are made of a group's images in turn, and the gradient that they come from is never
    // stored.
    let outputs = into_weights.outputs;
    let most = BOTH[usize::from(lanes.count < SHORT_LANES)];
    if outputs <= RANGE && into_weights.len(outputs) * size_of::<f32>() <= most {
        let into_input = into_input(positions.sizes());
        let images =
            |lane: Group| lane.images.map(|index| positions.get(index).images.len()).sum::<usize>();
        let results = stretches(result, lanes.iter().map(|lane| images(lane) * in_image));
        let units: Vec<(Group, &mut [bf16])> = lanes.iter().zip(results).collect();
        let sums: Vec<Buffer> = units
            .into_par_iter()
            .with_max_len(1)
            .map(|(lane, mut result)| {
                let mut sums = into_weights.sums(0..outputs);
                let (mut from, mut buffer, mut inputs) =
                    (Buffer::any(0), Buffer::any(0), Buffer::any(0));
                for group in lane.images.map(|index| positions.get(index)) {
                    let from = from.at_least(group.values(conv.out_image()).len());
                    gradient(group.images.clone(), from);
                    if let Some((into_input, made)) = &into_input {
                        let own =
                            result.split_off_mut(..group.values(in_image).len()).expect("a lane's");
                        // SAFETY: as the caller vouches.
                        unsafe { into_input.group(&group, from, own, &mut buffer) };
                        made(group.images.clone(), own);
                    }
                    let input = input.values(isa, group.values(conv.in_image()), &mut inputs);
                    // SAFETY: as the caller vouches.
                    unsafe { into_weights.add(&group, input, from, &mut sums) };
                }
                into_weights.done(sums)
            })
            .collect();
        return unpack(&into_weights, &sums, 1, of_weights);
    }

    // Otherwise the gradient is kept for the second: each would drive out the other's, which costs
    // more than two passes over memory.
    let groups = Groups::new(conv.batch, PIXELS.div_ceil(pixels));
    let into_input = into_input(groups.sizes());
    let results = groups.split(result, in_image);
    let mut all = Buffer::any(conv.batch * conv.out_image());
    let groups = groups.split(&mut all, conv.out_image()).into_par_iter().with_max_len(AT_ONCE);
    groups.zip(results).for_each_init(
        || Buffer::any(0),
        |buffer, ((group, stretch), (_, result))| {
            gradient(group.images.clone(), stretch);
            if let Some((into_input, made)) = &into_input {
                // SAFETY: as the caller vouches.
                unsafe { into_input.group(&group, stretch, result, buffer) };
                made(group.images.clone(), result);
            }
        },
    );
    let ranges = outputs.div_ceil(RANGE);
    let units: Vec<(Range<usize>, usize)> = lanes
        .iter()
        .flat_map(|lane| (0..ranges).map(move |range| (lane.images.clone(), range)))
        .collect();
    let units = units.into_par_iter().with_max_len(1).map(|(lane, range)| {
        let mut sums = into_weights.sums(range * RANGE..outputs.min((range + 1) * RANGE));
        let mut inputs = Buffer::any(0);
        for group in lane.map(|index| positions.get(index)) {
            let gradient = &all[group.values(conv.out_image())];
            let input = input.values(isa, group.values(conv.in_image()), &mut inputs);
            // SAFETY: as the caller vouches.
            unsafe { into_weights.add(&group, input, gradient, &mut sums) };
        }
        into_weights.done(sums)
    });
    let sums: Vec<Buffer> = units.collect();
    unpack(&into_weights, &sums, ranges, of_weights)
}

/// How the gradient of the input comes from that of the outputs.
struct InputGradient<'a> {
    conv: &'a Conv,
    phases: Vec<(Panels, [Layout; 2])>,
    /// What is added to it.
    added: Option<&'a [bf16]>,
}

impl<'a> InputGradient<'a> {
    /// # Safety
    ///
    /// The machine has AMX.
    unsafe fn new(
        conv: &'a Conv,
        weights: &[f32],
        sizes: [usize; 2],
        added: Option<&'a [bf16]>,
    ) -> Self {
        let phase = |(first, correlation, place): ([usize; 2], Correlation, Vec<_>)| {
            // Only where there is one phase are its neighbouring pixels neighbours in memory.
            let together = if conv.stride == 1 { correlation.together(conv.inputs) } else { 1 };
            let correlation = correlation.joined(together);
            // SAFETY: as the caller vouches.
            let panels = unsafe {
                Panels::new(conv, weights, &correlation, [together, conv.inputs], &place, true)
            };
            let width = conv.width / together;
            let layouts = sizes.map(|images| {
                Layout::new(correlation, images, |[image, y, x]| {
                    (image * conv.height + first[0] + y * conv.stride) * width
                        + first[1]
                        + x * conv.stride
                })
            });
            (panels, layouts)
        };
        Self { conv, phases: phases(conv).map(phase).collect(), added }
    }

    /// That of a group's images, given the gradient of its outputs.
    ///
    /// # Safety
    ///
    /// The machine has AMX.
    unsafe fn group(
        &self,
        group: &Group,
        gradient: &[bf16],
        result: &mut [bf16],
        buffer: &mut Buffer<bf16>,
    ) {
        let added = self.added.map(|added| &added[group.values(self.conv.in_image())]);
        for (panels, layouts) in &self.phases {
            let finish = Finish::Store { output: result, added };
            // SAFETY: as the caller vouches.
            unsafe {
                layouts[group.size].product(gradient, panels, buffer, finish);
            }
        }
    }
}

/// The input pixels that lie alike towards the steps of the kernel, `stride`² phases, each with its
/// first pixel, the correlation of the outputs' gradient that its own is, and where in it the
/// weights' taps go. The same taps reach all pixels of a phase, the last tap from the first of the
/// outputs.
fn phases(
    conv: &Conv,
) -> impl Iterator<Item = ([usize; 2], Correlation, Vec<Option<[usize; 2]>>)> + '_ {
    let axis = |first: usize| -> (Vec<usize>, isize) {
        let taps = pack::taps(conv, first);
        let start = taps.first().map_or(0, |&tap| {
            ((first + conv.padding) as isize - tap as isize) / conv.stride as isize
        });
        (taps, start)
    };
    let firsts = (0..conv.stride.min(conv.height))
        .flat_map(|y| (0..conv.stride.min(conv.width)).map(move |x| [y, x]));
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
            stride: [1; 2],
            start: [top, left],
            out: [
                (conv.height - first[0]).div_ceil(conv.stride),
                (conv.width - first[1]).div_ceil(conv.stride),
            ],
        };
        (first, correlation, place.collect())
    })
}

/// How the gradient of the weights comes from that of the outputs.
struct WeightGradient<'a> {
    conv: &'a Conv,
    /// Output pixels taken for one, and the channels that they have together.
    together: usize,
    outputs: usize,
    correlation: Correlation,
    layouts: [PairLayout; 2],
    /// Memory of sums that are done.
    idle: Mutex<Vec<Laid>>,
}

/// Inputs and gradients of a group laid out, for each size of groups; inputs in frames of zeros
/// that stay.
type Laid = [Option<(Buffer<bf16>, Buffer<bf16>)>; 2];

/// Layout of a group whose weights' gradient is made.
struct PairLayout {
    pairs: Pairs,
    steps: Vec<usize>,
    parts: Vec<(usize, Range<usize>)>,
    pixels: Vec<Option<u32>>,
}

/// The gradient of the weights of some channels over the images so far.
struct WeightSums {
    channels: Range<usize>,
    /// `[blocks of values, blocks of channels, parts of the kernel, 32 channels, 32 values]`.
    values: Buffer,
    begun: bool,
    laid: Laid,
}

impl<'a> WeightGradient<'a> {
    fn new(conv: &'a Conv, sizes: [usize; 2]) -> Self {
        let together = outward(conv).together(conv.outputs);
        let correlation = outward(conv).joined(together);
        let layouts = sizes.map(|images| {
            let pairs = Pairs::new(correlation, images);
            PairLayout { steps: pairs.steps(), parts: pairs.parts(), pixels: pairs.pixels(), pairs }
        });
        Self {
            conv,
            together,
            outputs: together * conv.outputs,
            correlation,
            layouts,
            idle: Mutex::default(),
        }
    }

    /// How many sums so many channels have.
    fn len(&self, channels: usize) -> usize {
        let [parts, len] = self.correlation.parts();
        parts * channels.next_multiple_of(BLOCK) * len
    }

    fn sums(&self, channels: Range<usize>) -> WeightSums {
        let values = Buffer::any(self.len(channels.len()));
        let laid = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        WeightSums { channels, values, begun: false, laid: laid.unwrap_or_default() }
    }

    /// The sums, when no group is left.
    fn done(&self, sums: WeightSums) -> Buffer {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sums.laid);
        sums.values
    }

    /// Adds that of a group, given its input and the gradient of its outputs.
    ///
    /// # Safety
    ///
    /// The machine has AMX.
    unsafe fn add(&self, group: &Group, input: &[bf16], gradient: &[bf16], to: &mut WeightSums) {
        let PairLayout { pairs, steps, parts, pixels } = &self.layouts[group.size];
        let channels = self.outputs.min(RANGE).next_multiple_of(BLOCK);
        let gradient_pitch = apart(pixels.len(), STEP);
        let (inputs, turned) = to.laid[group.size].get_or_insert_with(|| {
            (Buffer::zeros(pairs.len()), Buffer::any(channels * gradient_pitch))
        });
        turn(self.outputs, pixels, gradient, &to.channels, turned, gradient_pitch);
        // SAFETY: as the caller vouches.
        unsafe {
            order::fill_pairs(pairs, input, inputs);
            amx::outer(Outer {
                gradient: turned,
                gradient_pitch,
                pairs: inputs,
                step: pairs.step,
                steps,
                parts,
                blocks: self.correlation.parts()[1] / BLOCK,
                sums: amx::sums_mut(&mut to.values),
                first: !to.begun,
            });
        }
        to.begun = true;
    }

    /// Adds what the sums of a range of channels have of one of them to `[kernel², inputs]`.
    fn gather(&self, sums: &[f32], channel: usize, to: &mut [f32]) {
        let Conv { inputs, outputs, kernel, stride, .. } = *self.conv;
        let [parts, len] = self.correlation.parts();
        let squares = sums.as_chunks::<BLOCK>().0.as_chunks::<BLOCK>().0;
        let channels = squares.len() / (parts * len / BLOCK);
        for (tap, to) in to.chunks_exact_mut(inputs).enumerate() {
            for pixel in 0..self.together {
                let lane = pixel * outputs + channel;
                let at = self.correlation.tap([tap / kernel, tap % kernel + pixel * stride]);
                let (part, at) = (at / len, at % len);
                let mut done = 0;
                while done < inputs {
                    let (block, value) = ((at + done) / BLOCK, (at + done) % BLOCK);
                    let square = &squares[(block * channels + lane / BLOCK) * parts + part];
                    let sums = &square[lane % BLOCK][value..];
                    let count = sums.len().min(inputs - done);
                    to[done..done + count].iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
                    done += count;
                }
            }
        }
    }
}

/// Brings a range of the gradient's channels from `[images, pixels, outputs]` into `[channels,
/// positions]`, rows `pitch` apart and zeros where there is no pixel.
fn turn(
    outputs: usize,
    pixels: &[Option<u32>],
    gradient: &[bf16],
    range: &Range<usize>,
    to: &mut [bf16],
    pitch: usize,
) {
    let zeros = [bf16::ZERO; STRIP];
    // Of the last channels, where they fill no strip, what pixels have that no whole strip follows;
    // zeros behind them.
    let mut tails = [zeros; STEP];
    for channel in range.clone().step_by(STRIP) {
        let lanes = STRIP.min(range.end - channel);
        let to = &mut to[(channel - range.start) * pitch..];
        for (step, pixels) in pixels.chunks(STEP).enumerate() {
            let mut from = [zeros.as_ptr(); STEP];
            for ((from, tail), pixel) in from.iter_mut().zip(&mut tails).zip(pixels) {
                let Some(pixel) = pixel else { continue };
                let values = &gradient[*pixel as usize * outputs + channel..];
                *from = match values.first_chunk::<STRIP>() {
                    Some(values) => values.as_ptr(),
                    None => {
                        tail[..lanes].copy_from_slice(&values[..lanes]);
                        tail.as_ptr()
                    }
                };
            }
            assert!((STRIP - 1) * pitch + (step + 1) * STEP <= to.len());
            // SAFETY: AMX comes with the features named; 16 values follow each pointer, and the
            // assertion is for `to`.
            unsafe { order::transpose(&from, to[step * STEP..].as_mut_ptr(), pitch) };
        }
    }
}

/// Adds the lanes' sums, of each range of each lane, and those of the pixels that were taken for
/// one, and brings them into the weights' own order.
fn unpack(
    of: &WeightGradient<'_>,
    sums: &[Buffer],
    ranges: usize,
    added: Option<&[f32]>,
) -> Buffer {
    let Conv { inputs, outputs, kernel, .. } = *of.conv;
    let mut weights = Buffer::any(outputs * inputs * kernel * kernel);
    let len = inputs * kernel * kernel;
    let turn = order::Turn::new(kernel * kernel, inputs);
    weights.par_chunks_mut(len).enumerate().for_each(|(output, weights)| {
        let (range, channel) = (output / RANGE, output % RANGE);
        let mut all = vec![0.0; kernel * kernel * inputs];
        for sums in sums.iter().skip(range).step_by(ranges) {
            of.gather(sums, channel, &mut all);
        }
        // SAFETY: AMX comes with the features named.
        unsafe { turn.run(&all, weights) };
        if let Some(added) = added {
            weights
                .iter_mut()
                .zip(&added[output * len..])
                .for_each(|(weight, added)| *weight += added);
        }
    });
    weights
}
