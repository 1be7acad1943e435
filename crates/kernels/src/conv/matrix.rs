//! Convolution of bf16 as products of matrices, by AMX or by AVX-512 with instructions for bf16.
//!
//! The forward pass computes the correlation of [`frame`](super::frame) as a product of matrices:
//!
//! ```text
//! output[pixel, channel] = Σ over taps and input channels:
//!     source[pixel shifted by the tap, input channel] · weights[channel, input channel, tap]
//! ```
//!
//! 1. **Groups** of a few images are laid out in frames, and every thread takes one group after
//!    the other ([`Layout`]). The left matrix is never copied tap by tap.
//! 2. **Weights are packed into panels** once for the whole batch: tiles of columns, in the order
//!    in which they are multiplied ([`Panels`]).
//! 3. **The gradient of the input** is the correlation of the output's gradient with the kernel
//!    turned round. With stride s, the input pixels fall into s² phases by the remainders of their
//!    row and column modulo s. Only some taps reach each phase ([`InputPlan`]).
//! 4. **The gradient of the weights** is a product summed over output pixels ([`WeightPlan`]). The
//!    batch is divided into partitions, each with its own sums. The sums of the partitions are
//!    added in order at the end. Threads can therefore work in parallel, and the result does not
//!    depend on the threads.
//! 5. **Both gradients of a group are computed one after the other** if the sums of the weights'
//!    gradient stay in the cache meanwhile. The output's gradient, from which both gradients are
//!    computed, is then never stored.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use half::bf16;
use rayon::prelude::*;

use super::frame::{BLOCK, Correlation, ImagePairs, Rows, STEP, STRIP, StripPair, conflict_free};
use super::groups::{GROUPS_AT_ONCE, Group, Groups, stretches};
use super::multiply;
use super::operands::{After, Input};
use super::order;
use super::product::{self, Finish, OuterProduct, Product, Shifted, Steps, TILE};
use super::shape::Conv;
use crate::buffer::Buffer;
use crate::isa::Isa;
use crate::norm::{self, Moments};

/// Minimum number of output pixels per group: enough to use weights often while they are in the
/// cache.
const PIXELS: usize = 256;

/// Minimum number of output pixels per group for the gradient of the weights. With fewer pixels,
/// reading and writing the sums takes longer than the products. With more pixels, a group does not
/// stay in the cache.
const GRADIENT_PIXELS: usize = 512;

/// Maximum number of channels for which the gradient of the weights is computed at a time, so that
/// its sums stay in the cache.
const CHANNEL_RANGE: usize = 128;

/// Number of output pixels per partition of the batch, if that makes no more than
/// [`SHORT_PARTITIONS`] partitions.
const PARTITION: usize = 4096;

/// Number of partitions above which partitions grow, so that fewer sums are written and added. Their
/// number stays the same until they are twice as long, and from there on they stay twice as long.
const SHORT_PARTITIONS: usize = 8;

/// Maximum number of partitions.
const PARTITIONS: usize = 32;

/// Maximum size, in bytes, of the sums of the weights' gradient, up to which both gradients of a
/// group are computed one after the other. The first figure applies if there are enough partitions
/// ([`SHORT_PARTITIONS`]) to share the work, and the second figure if there are fewer.
const IN_TURN_BYTES: [usize; 2] = [640 << 10, 256 << 10];

/// Weights as the right matrix of a product: `[blocks, steps, 2, 16 pairs, 16 columns, 2]`, with
/// zeros where there are no weights.
struct Panels {
    columns: Buffer<bf16>,
    steps: Steps,
    /// Number of columns that are not only zeros: the number of channels of all joined pixels.
    channels: usize,
}

/// The weights from which [`Panels`] are packed, and the places where they belong.
struct PanelWeights<'a> {
    conv: &'a Conv,
    /// `[outputs, inputs, kernel, kernel]`.
    weights: &'a [f32],
    /// A column of the panels runs over the channels of this correlation's source.
    correlation: &'a Correlation,
    /// Number of neighbouring pixels of the result that the correlation has
    /// [joined](Correlation::joined).
    pixels: usize,
    /// Number of channels per joined pixel. Every channel of every joined pixel is a column.
    channels: usize,
    /// `place[t]` is the row and column of tap t in the correlation's kernel for the first joined
    /// pixel, or `None` if the tap does not reach that pixel.
    place: &'a [Option<[usize; 2]>],
    /// Whether the source is the convolution's output and the result its input.
    transposed: bool,
}

/// The places of the values of a column of [`Panels`].
struct ColumnLayout {
    /// Number of values per column.
    len: usize,
    /// For each step, its place in the order of multiplication, which is also its place in memory.
    order: Vec<usize>,
    /// Every tap that has weights, with the range of its values within a column.
    taps: Vec<(usize, Range<usize>)>,
}

impl Panels {
    /// Packs weights.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    unsafe fn new(source: &PanelWeights<'_>) -> Self {
        let PanelWeights { correlation, pixels, channels, .. } = *source;
        let [segments, segment_len] = correlation.segments();
        let steps = Steps::new(segments, segment_len / STEP);
        let layout = source.column_layout(&steps);
        let block_len = 2 * STRIP * layout.len;
        let column_count = pixels * channels;
        let mut columns = Buffer::any(column_count.div_ceil(BLOCK) * block_len);
        let blocks = columns.par_chunks_mut(block_len.max(1)).enumerate();
        if source.packs_rows() {
            // SAFETY: the caller guarantees AVX-512.
            blocks.for_each(|(block, columns)| unsafe {
                source.pack_rows(&layout, block, columns);
            });
        } else {
            blocks.for_each_init(
                || Buffer::<bf16>::zeros(block_len),
                // SAFETY: the caller guarantees AVX-512.
                |lines, (block, columns)| unsafe {
                    source.pack_lines(&layout, block, lines, columns);
                },
            );
        }
        Self { columns, steps, channels: column_count }
    }
}

impl PanelWeights<'_> {
    fn column_layout(&self, steps: &Steps) -> ColumnLayout {
        let [segments, segment_len] = self.correlation.segments();
        let taps = self.place.iter().enumerate().filter_map(|(tap, place)| {
            let start = self.correlation.tap_offset((*place)?);
            Some((tap, start..start + self.correlation.channels))
        });
        ColumnLayout {
            len: segments * segment_len,
            order: (0..steps.len()).map(|step| steps.order(step)).collect(),
            taps: taps.collect(),
        }
    }

    /// Whether lines of tiles can be packed straight from the weights. A line is then packed from
    /// the rows of two neighbouring outputs, and these rows are read once for all taps.
    fn packs_rows(&self) -> bool {
        self.transposed
            && self.pixels == 1
            && self.correlation.channels.is_multiple_of(2)
            && self.channels.is_multiple_of(STRIP)
    }

    /// Packs a block if [`packs_rows`](Self::packs_rows) holds.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    unsafe fn pack_rows(&self, layout: &ColumnLayout, block: usize, columns: &mut [bf16]) {
        let (outputs, area) = (self.correlation.channels, self.place.len());
        let halves = if self.channels - block * BLOCK < BLOCK { 1 } else { 2 };
        let covered = layout.taps.len() * outputs == layout.len;
        if !covered || halves == 1 {
            columns.fill(bf16::ZERO);
        }
        for output in (0..outputs).step_by(2) {
            for half in 0..halves {
                let channel = block * BLOCK + half * STRIP;
                let row = |output: usize| {
                    let start = (output * self.conv.inputs + channel) * area;
                    &self.weights[start..][..STRIP * area]
                };
                for (tap, range) in &layout.taps {
                    let value = range.start + output;
                    let tile = layout.order[value / STEP] * 2 + half;
                    let line = &mut columns[(tile * STRIP + value % STEP / 2) * STEP..];
                    let line = line.first_chunk_mut().expect("a line of a tile");
                    // SAFETY: AVX-512 is all that the callee names.
                    unsafe { order::interleave([row(output), row(output + 1)], *tap, area, line) };
                }
            }
        }
    }

    /// Packs any block. `lines` is memory for one line for each of the block's columns.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    unsafe fn pack_lines(
        &self,
        layout: &ColumnLayout,
        block: usize,
        lines: &mut [bf16],
        columns: &mut [bf16],
    ) {
        let PanelWeights { conv, weights, correlation, pixels, channels, .. } = *self;
        let (sources, area, pitch) = (correlation.channels, self.place.len(), layout.len);
        // Distance, in values, from what a joined pixel sees to what the next joined pixel sees.
        let next_pixel = correlation.tap_offset([0, correlation.stride[1] / pixels]);
        let lanes = block * BLOCK..(pixels * channels).min((block + 1) * BLOCK);
        for (lane, column) in lanes.clone().enumerate() {
            let (pixel, channel) = (column / channels, column % channels);
            // A channel's weights, and the distance between the weights of consecutive sources.
            let (weights, weight_pitch) = match self.transposed {
                false => (&weights[channel * sources * area..][..sources * area], area),
                true => (&weights[channel * area..], conv.inputs * area),
            };
            let line = &mut lines[lane * pitch + pixel * next_pixel..(lane + 1) * pitch];
            // SAFETY: AVX-512 is all that the callee names.
            unsafe { order::spread(weights, weight_pitch, &layout.taps, line) };
        }
        // An earlier, wider block may have written the remaining lines.
        lines[lanes.len() * pitch..].fill(bf16::ZERO);
        let tiles = columns.as_chunks_mut::<TILE>().0;
        for (step, order) in layout.order.iter().enumerate() {
            for half in 0..2 {
                let lines = &lines[half * STRIP * pitch + step * STEP..];
                // SAFETY: AVX-512 is all that the callee names.
                unsafe { order::column_tile(lines, pitch, &mut tiles[2 * order + half]) };
            }
        }
    }
}

/// Returns the correlation that the forward pass computes.
fn forward_correlation(conv: &Conv) -> Correlation {
    Correlation {
        source: [conv.height, conv.width],
        channels: conv.inputs,
        kernel: [conv.kernel; 2],
        stride: [conv.stride; 2],
        start: [-(conv.padding as isize); 2],
        output: [conv.out_height(), conv.out_width()],
    }
}

/// How a group of images is laid out and multiplied. There is one layout for each of the two sizes
/// of groups.
struct Layout {
    rows: Rows,
    strip_pairs: Vec<StripPair>,
    segments: Vec<usize>,
    /// For each position, its pixel in the result.
    pixels: Vec<u32>,
}

impl Layout {
    /// `pixel` returns the number of the result's pixel for an output pixel (image, y, x) of the
    /// correlation.
    fn new(correlation: Correlation, images: usize, pixel: impl Fn([usize; 3]) -> usize) -> Self {
        let rows = Rows::new(correlation, images);
        Self {
            strip_pairs: rows.strip_pairs(),
            segments: rows.segment_offsets(),
            pixels: rows.pixels().map(|output| pixel(output) as u32).collect(),
            rows,
        }
    }

    /// Multiplies the images with `panels`. `scratch` is memory for the images' frames.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    unsafe fn product(
        &self,
        isa: Isa,
        images: &[bf16],
        panels: &Panels,
        scratch: &mut Buffer<bf16>,
        mut finish: Finish<'_>,
    ) {
        let frames = scratch.at_least(self.rows.len());
        // SAFETY: AVX-512 is all that the callee names.
        unsafe { order::fill_rows(&self.rows, images, frames) };
        let product = Product {
            rows: frames,
            strip_pairs: &self.strip_pairs,
            row_pitch: self.rows.pitch,
            segments: &self.segments,
            steps: panels.steps,
            columns: &panels.columns,
            channels: panels.channels,
            pixels: &self.pixels,
        };
        multiply::product(isa, &product, &mut finish);
    }
}

/// Divides the batch into the groups of the forward pass.
pub(super) fn groups(conv: &Conv) -> Groups {
    Groups::new(conv.batch, PIXELS.div_ceil(conv.out_height() * conv.out_width()))
}

/// The forward pass: packed weights, and the layouts of both sizes of groups.
pub(super) struct Forward {
    panels: Panels,
    outputs: usize,
    layouts: [Layout; 2],
}

impl Forward {
    /// Prepares the pass for groups of two sizes.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    pub(super) unsafe fn new(conv: &Conv, weights: &[f32], sizes: [usize; 2]) -> Self {
        let pixels = forward_correlation(conv).pixels_to_join(conv.outputs);
        let correlation = forward_correlation(conv).joined(pixels);
        let place: Vec<_> = (0..conv.kernel * conv.kernel)
            .map(|tap| Some([tap / conv.kernel, tap % conv.kernel]))
            .collect();
        // SAFETY: the caller guarantees AVX-512.
        let panels = unsafe {
            Panels::new(&PanelWeights {
                conv,
                weights,
                correlation: &correlation,
                pixels,
                channels: conv.outputs,
                place: &place,
                transposed: false,
            })
        };
        let layouts = sizes.map(|images| {
            Layout::new(correlation, images, |[image, y, x]| {
                image * correlation.output_pixels() + y * correlation.output[1] + x
            })
        });
        Self { panels, outputs: conv.outputs, layouts }
    }

    /// Writes the outputs of a group's images. Returns the outputs' moments if `after` asks for
    /// them.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    pub(super) unsafe fn group(
        &self,
        isa: Isa,
        group: &Group,
        images: &[bf16],
        after: After<'_, bf16>,
        scratch: &mut Buffer<bf16>,
        output: &mut [bf16],
    ) -> Option<Moments> {
        let columns = self.panels.channels;
        let pixels = output.len() / columns;
        let mut moments = matches!(after, After::Moments).then(|| Shifted::new(columns));
        let finish = match (&mut moments, after) {
            (_, After::Normalise { channels, residual, relu }) => {
                Finish::Normalise { output, channels, residual, floor: norm::floor(relu) }
            }
            (Some(moments), After::Moments) => Finish::Moments { output, moments },
            (None, After::Moments) => unreachable!("there are sums where moments are gathered"),
        };
        // SAFETY: the caller guarantees AVX-512.
        unsafe { self.layouts[group.size].product(isa, images, &self.panels, scratch, finish) };
        moments.map(|moments| moments.moments(pixels, columns).split_joined(self.outputs))
    }
}

/// Destination of the input's gradient.
pub(super) struct InputTarget<'a, V> {
    /// Values to add to the gradient, if any.
    pub added: Option<&'a [bf16]>,
    pub result: &'a mut [bf16],
    /// Function that is called with each group's images and their gradient.
    pub visit: &'a V,
}

/// The backward pass of a batch.
struct Backward<'a, F> {
    isa: Isa,
    conv: &'a Conv,
    input: Input<'a, bf16>,
    /// Function that writes the output's gradient of a range of images.
    fill: &'a F,
    weight_plan: WeightPlan<'a>,
    /// The groups of images for the gradient of the weights.
    groups: Groups,
    /// The partitions, each of which is a range of `groups` with its own sums.
    partitions: Groups,
}

/// Computes [`super::backward`]. `target` is the destination of the input's gradient, if that
/// gradient is wanted.
///
/// # Safety
///
/// - The caller must run this only on a machine that has AVX-512.
pub(super) unsafe fn backward(
    isa: Isa,
    conv: &Conv,
    input: Input<'_, bf16>,
    weights: &[f32],
    fill: &(impl Fn(Range<usize>, &mut [bf16]) + Sync),
    target: Option<InputTarget<'_, impl Fn(Range<usize>, &mut [bf16]) + Sync>>,
    added_weights: Option<&[f32]>,
) -> Buffer {
    let pixels = conv.out_height() * conv.out_width();
    let groups = Groups::new(conv.batch, GRADIENT_PIXELS.div_ceil(pixels).next_multiple_of(2));
    let weight_plan = WeightPlan::new(conv, groups.sizes());
    let short = (conv.batch * pixels).div_ceil(PARTITION);
    let count = short.div_ceil(2).max(short.min(SHORT_PARTITIONS)).clamp(1, PARTITIONS);
    let partitions = Groups::new(groups.count, groups.count.div_ceil(count));
    // If the input's gradient is not wanted, no image has values, and nothing is written.
    let (wanted, result, in_image) = match target {
        Some(InputTarget { added, result, visit }) => {
            (Some((added, visit)), result, conv.in_image())
        }
        None => (None, [].as_mut_slice(), 0),
    };
    let input_plan = |sizes| {
        wanted.map(|(added, visit)| {
            // SAFETY: the caller guarantees AVX-512.
            (unsafe { InputPlan::new(conv, weights, sizes, added) }, visit)
        })
    };
    let outputs = weight_plan.outputs;
    let max_bytes = IN_TURN_BYTES[usize::from(partitions.count < SHORT_PARTITIONS)];
    let in_turn =
        outputs <= CHANNEL_RANGE && weight_plan.len(outputs) * size_of::<f32>() <= max_bytes;
    let backward = Backward { isa, conv, input, fill, weight_plan, groups, partitions };
    // SAFETY: the caller guarantees AVX-512.
    let (sums, ranges) = unsafe {
        if in_turn {
            let input_plan = input_plan(backward.groups.sizes());
            (backward.in_turn(input_plan.as_ref(), result, in_image), 1)
        } else {
            let groups = Groups::new(conv.batch, PIXELS.div_ceil(pixels));
            let input_plan = input_plan(groups.sizes());
            let ranges = outputs.div_ceil(CHANNEL_RANGE);
            let gradient = backward.stored(&groups, input_plan.as_ref(), result, in_image);
            (backward.weight_sums(&gradient, ranges), ranges)
        }
    };
    unpack(&backward.weight_plan, &sums, ranges, added_weights)
}

impl<F: Fn(Range<usize>, &mut [bf16]) + Sync> Backward<'_, F> {
    /// Computes both gradients of a group one after the other, while the sums and weights that the
    /// gradients need stay in the cache together. The output's gradient is never stored. Returns
    /// the sums of the weights' gradient for every partition.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    unsafe fn in_turn(
        &self,
        input_plan: Option<&(InputPlan<'_>, &(impl Fn(Range<usize>, &mut [bf16]) + Sync))>,
        result: &mut [bf16],
        in_image: usize,
    ) -> Vec<Buffer> {
        let Self { conv, groups, partitions, weight_plan, .. } = self;
        let images = |partition: Group| {
            partition.images.map(|index| groups.get(index).images.len()).sum::<usize>()
        };
        let lens = partitions.iter().map(|partition| images(partition) * in_image);
        let results = stretches(result, lens);
        let units: Vec<(Group, &mut [bf16])> = partitions.iter().zip(results).collect();
        let sums = units.into_par_iter().with_max_len(1).map(|(partition, mut result)| {
            let mut sums = weight_plan.sums(0..weight_plan.outputs);
            let (mut gradient, mut frames, mut normalised) =
                (Buffer::any(0), Buffer::any(0), Buffer::any(0));
            for group in partition.images.map(|index| groups.get(index)) {
                let gradient = gradient.at_least(group.range(conv.out_image()).len());
                (self.fill)(group.images.clone(), gradient);
                if let Some((input_plan, visit)) = input_plan {
                    let len = group.range(in_image).len();
                    let result = result.split_off_mut(..len).expect("the partition's images");
                    // SAFETY: the caller guarantees AVX-512.
                    unsafe { input_plan.group(self.isa, &group, gradient, result, &mut frames) };
                    visit(group.images.clone(), result);
                }
                let range = group.range(conv.in_image());
                let input = self.input.read(self.isa, range, &mut normalised);
                // SAFETY: the caller guarantees AVX-512.
                unsafe { weight_plan.add(self.isa, &group, input, gradient, &mut sums) };
            }
            weight_plan.finish(sums)
        });
        sums.collect()
    }

    /// Computes the input's gradient, and stores the output's gradient for the weights' gradient.
    /// If both gradients were computed group by group, the sums and weights of one gradient would
    /// drive the sums and weights of the other gradient out of the cache. That would cost more than
    /// two passes over memory.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    unsafe fn stored(
        &self,
        groups: &Groups,
        input_plan: Option<&(InputPlan<'_>, &(impl Fn(Range<usize>, &mut [bf16]) + Sync))>,
        result: &mut [bf16],
        in_image: usize,
    ) -> Buffer<bf16> {
        let out_image = self.conv.out_image();
        let results = groups.split(result, in_image);
        let mut stored = Buffer::any(self.conv.batch * out_image);
        let groups = groups.split(&mut stored, out_image).into_par_iter();
        groups.with_max_len(GROUPS_AT_ONCE).zip(results).for_each_init(
            || Buffer::any(0),
            |frames, ((group, gradient), (_, result))| {
                (self.fill)(group.images.clone(), gradient);
                if let Some((input_plan, visit)) = input_plan {
                    // SAFETY: the caller guarantees AVX-512.
                    unsafe { input_plan.group(self.isa, &group, gradient, result, frames) };
                    visit(group.images.clone(), result);
                }
            },
        );
        stored
    }

    /// Returns the sums of the weights' gradient for every partition and every range of channels,
    /// given the whole batch's output gradient.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    unsafe fn weight_sums(&self, gradient: &[bf16], ranges: usize) -> Vec<Buffer> {
        let Self { conv, groups, partitions, weight_plan, .. } = self;
        let units: Vec<(Range<usize>, usize)> = partitions
            .iter()
            .flat_map(|partition| (0..ranges).map(move |range| (partition.images.clone(), range)))
            .collect();
        let sums = units.into_par_iter().with_max_len(1).map(|(partition, range)| {
            let end = weight_plan.outputs.min((range + 1) * CHANNEL_RANGE);
            let mut sums = weight_plan.sums(range * CHANNEL_RANGE..end);
            let mut normalised = Buffer::any(0);
            for group in partition.map(|index| groups.get(index)) {
                let gradient = &gradient[group.range(conv.out_image())];
                let range = group.range(conv.in_image());
                let input = self.input.read(self.isa, range, &mut normalised);
                // SAFETY: the caller guarantees AVX-512.
                unsafe { weight_plan.add(self.isa, &group, input, gradient, &mut sums) };
            }
            weight_plan.finish(sums)
        });
        sums.collect()
    }
}

/// How the gradient of the input is computed from the gradient of the output: as one product for
/// each phase.
struct InputPlan<'a> {
    conv: &'a Conv,
    phases: Vec<(Panels, [Layout; 2])>,
    /// Values to add to the input's gradient.
    added: Option<&'a [bf16]>,
}

impl<'a> InputPlan<'a> {
    /// Prepares the pass for groups of two sizes.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    unsafe fn new(
        conv: &'a Conv,
        weights: &[f32],
        sizes: [usize; 2],
        added: Option<&'a [bf16]>,
    ) -> Self {
        let pack = |Phase { first, correlation, place }: Phase| {
            // Neighbouring pixels of a phase are neighbours in memory only if there is a single
            // phase.
            let pixels = if conv.stride == 1 { correlation.pixels_to_join(conv.inputs) } else { 1 };
            let correlation = correlation.joined(pixels);
            // SAFETY: the caller guarantees AVX-512.
            let panels = unsafe {
                Panels::new(&PanelWeights {
                    conv,
                    weights,
                    correlation: &correlation,
                    pixels,
                    channels: conv.inputs,
                    place: &place,
                    transposed: true,
                })
            };
            let width = conv.width / pixels;
            let layouts = sizes.map(|images| {
                Layout::new(correlation, images, |[image, y, x]| {
                    (image * conv.height + first[0] + y * conv.stride) * width
                        + first[1]
                        + x * conv.stride
                })
            });
            (panels, layouts)
        };
        Self { conv, phases: phases(conv).map(pack).collect(), added }
    }

    /// Writes a group's gradient of the input, given the group's gradient of the output.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    unsafe fn group(
        &self,
        isa: Isa,
        group: &Group,
        gradient: &[bf16],
        result: &mut [bf16],
        scratch: &mut Buffer<bf16>,
    ) {
        let added = self.added.map(|added| &added[group.range(self.conv.in_image())]);
        for (panels, layouts) in &self.phases {
            let finish = Finish::Store { output: result, added };
            // SAFETY: the caller guarantees AVX-512.
            unsafe { layouts[group.size].product(isa, gradient, panels, scratch, finish) };
        }
    }
}

/// All input pixels whose row leaves one given remainder modulo the stride, and whose column leaves
/// one given remainder, which may differ from the row's remainder. The same taps of the kernel
/// reach all of these pixels. The last tap reaches these pixels from the first output.
struct Phase {
    /// First row and first column.
    first: [usize; 2],
    /// The correlation of the output's gradient that gives the phase's gradient.
    correlation: Correlation,
    /// The place in the correlation's kernel of each tap of the convolution, as in
    /// [`PanelWeights`].
    place: Vec<Option<[usize; 2]>>,
}

/// Returns the phases that have pixels. There are at most `stride`² phases.
fn phases(conv: &Conv) -> impl Iterator<Item = Phase> + '_ {
    let axis = |first: usize| -> (Vec<usize>, isize) {
        let taps = conv.taps_reaching(first);
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
            source: [conv.out_height(), conv.out_width()],
            channels: conv.outputs,
            kernel: [rows.len(), columns.len()],
            stride: [1; 2],
            start: [top, left],
            output: [
                (conv.height - first[0]).div_ceil(conv.stride),
                (conv.width - first[1]).div_ceil(conv.stride),
            ],
        };
        Phase { first, correlation, place: place.collect() }
    })
}

/// How the gradient of the weights is computed from the gradient of the output: as a product over
/// positions.
struct WeightPlan<'a> {
    conv: &'a Conv,
    /// Number of output pixels that are joined to one.
    pixels: usize,
    /// Number of channels of a joined pixel.
    outputs: usize,
    correlation: Correlation,
    layouts: [PairLayout; 2],
    /// Frames that are not in use at the moment.
    idle: Mutex<Vec<Frames>>,
}

/// For each size of groups, memory for the inputs and for the transposed gradient. The zeros of the
/// inputs' frames stay from one group to the next.
type Frames = [Option<(Buffer<bf16>, Buffer<bf16>)>; 2];

/// How a group is laid out for the gradient of the weights.
struct PairLayout {
    pairs: ImagePairs,
    steps: Vec<usize>,
    segments: Vec<(usize, Range<usize>)>,
    pixels: Vec<Option<u32>>,
}

/// The gradient of the weights of some channels, summed over the images so far.
struct WeightSums {
    channels: Range<usize>,
    /// `[blocks of values, blocks of channels, segments, 32 channels, 32 values]`.
    values: Buffer,
    /// Whether the values hold sums yet. Before the first sums they are arbitrary.
    begun: bool,
    frames: Frames,
}

impl<'a> WeightPlan<'a> {
    fn new(conv: &'a Conv, sizes: [usize; 2]) -> Self {
        let pixels = forward_correlation(conv).pixels_to_join(conv.outputs);
        let correlation = forward_correlation(conv).joined(pixels);
        let layouts = sizes.map(|images| {
            let pairs = ImagePairs::new(correlation, images);
            PairLayout {
                steps: pairs.step_offsets(),
                segments: pairs.segments(),
                pixels: pairs.pixels(),
                pairs,
            }
        });
        let outputs = pixels * conv.outputs;
        Self { conv, pixels, outputs, correlation, layouts, idle: Mutex::default() }
    }

    /// Returns the number of sums of `channels` channels.
    fn len(&self, channels: usize) -> usize {
        let [segments, len] = self.correlation.segments();
        segments * channels.next_multiple_of(BLOCK) * len
    }

    /// Creates sums for `channels`, which hold no values yet.
    fn sums(&self, channels: Range<usize>) -> WeightSums {
        let values = Buffer::any(self.len(channels.len()));
        let frames = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        WeightSums { channels, values, begun: false, frames: frames.unwrap_or_default() }
    }

    /// Returns the values of complete sums. Their frames are reused for the next sums.
    fn finish(&self, sums: WeightSums) -> Buffer {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sums.frames);
        sums.values
    }

    /// Adds a group's gradient of the weights, given the group's input and output gradient.
    ///
    /// # Safety
    ///
    /// - The caller must run this only on a machine that has AVX-512.
    unsafe fn add(
        &self,
        isa: Isa,
        group: &Group,
        input: &[bf16],
        gradient: &[bf16],
        sums: &mut WeightSums,
    ) {
        let PairLayout { pairs, steps, segments, pixels } = &self.layouts[group.size];
        let channels = self.outputs.min(CHANNEL_RANGE).next_multiple_of(BLOCK);
        let gradient_pitch = conflict_free(pixels.len(), STEP);
        let (inputs, transposed) = sums.frames[group.size].get_or_insert_with(|| {
            (Buffer::zeros(pairs.len()), Buffer::any(channels * gradient_pitch))
        });
        transpose_gradient(
            self.outputs,
            pixels,
            gradient,
            &sums.channels,
            transposed,
            gradient_pitch,
        );
        // SAFETY: the caller guarantees the named target features.
        unsafe { order::fill_pairs(pairs, input, inputs) };
        multiply::outer_product(
            isa,
            OuterProduct {
                gradient: transposed,
                gradient_pitch,
                inputs,
                input_pitch: pairs.pitch,
                steps,
                segments,
                value_blocks: self.correlation.segments()[1] / BLOCK,
                sums: product::sums_mut(&mut sums.values),
                begins: !sums.begun,
            },
        );
        sums.begun = true;
    }

    /// Adds the sums of one channel, over all joined pixels, to `to`, which is `[kernel², inputs]`.
    /// `sums` are the sums of the channel's range, and `channel` counts from the start of this
    /// range.
    fn gather(&self, sums: &[f32], channel: usize, to: &mut [f32]) {
        let Conv { inputs, outputs, kernel, stride, .. } = *self.conv;
        let [segments, segment_len] = self.correlation.segments();
        let squares = sums.as_chunks::<BLOCK>().0.as_chunks::<BLOCK>().0;
        let channel_blocks = squares.len() / (segments * segment_len / BLOCK);
        for (tap, to) in to.chunks_exact_mut(inputs).enumerate() {
            for pixel in 0..self.pixels {
                let column = pixel * outputs + channel;
                let tap = [tap / kernel, tap % kernel + pixel * stride];
                let offset = self.correlation.tap_offset(tap);
                let (segment, first) = (offset / segment_len, offset % segment_len);
                let mut done = 0;
                while done < inputs {
                    let (block, value) = ((first + done) / BLOCK, (first + done) % BLOCK);
                    let index = (block * channel_blocks + column / BLOCK) * segments + segment;
                    let sums = &squares[index][column % BLOCK][value..];
                    let count = sums.len().min(inputs - done);
                    to[done..done + count].iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
                    done += count;
                }
            }
        }
    }
}

/// Transposes a range of the output gradient's channels from `[images, pixels, outputs]` to
/// `[channels, positions]`. Rows are `pitch` values apart. They have zeros at positions that are
/// not pixels.
fn transpose_gradient(
    outputs: usize,
    pixels: &[Option<u32>],
    gradient: &[bf16],
    channels: &Range<usize>,
    to: &mut [bf16],
    pitch: usize,
) {
    let zeros = [bf16::ZERO; STRIP];
    // If the gradient ends before a position's last channels fill a strip, these channels are
    // copied here, with zeros after them.
    let mut tails = [zeros; STEP];
    for channel in channels.clone().step_by(STRIP) {
        let lanes = STRIP.min(channels.end - channel);
        let to = &mut to[(channel - channels.start) * pitch..];
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
            // SAFETY: AVX-512 is all that the callee names. Every pointer points to 16 values,
            // and the assertion keeps all writes within `to`.
            unsafe { order::transpose(&from, to[step * STEP..].as_mut_ptr(), pitch) };
        }
    }
}

/// Returns the gradient of the weights, `[outputs, inputs, kernel, kernel]`. Adds the sums of all
/// partitions in order, and of all joined pixels, and then `added`. Each partition has sums for
/// every range of channels.
fn unpack(plan: &WeightPlan<'_>, sums: &[Buffer], ranges: usize, added: Option<&[f32]>) -> Buffer {
    let Conv { inputs, outputs, kernel, .. } = *plan.conv;
    let mut weights = Buffer::any(outputs * inputs * kernel * kernel);
    let len = inputs * kernel * kernel;
    let transpose = order::Transpose::new(kernel * kernel, inputs);
    weights.par_chunks_mut(len).enumerate().for_each(|(output, weights)| {
        let (range, channel) = (output / CHANNEL_RANGE, output % CHANNEL_RANGE);
        let mut total = vec![0.0; kernel * kernel * inputs];
        for sums in sums.iter().skip(range).step_by(ranges) {
            plan.gather(sums, channel, &mut total);
        }
        // SAFETY: AVX-512 is all that the callee names.
        unsafe { transpose.run(&total, weights) };
        if let Some(added) = added {
            weights
                .iter_mut()
                .zip(&added[output * len..])
                .for_each(|(weight, added)| *weight += added);
        }
    });
    weights
}
