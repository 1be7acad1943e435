//! Lays out images in memory so that what each output pixel sees is a row of a matrix.
//!
//! A convolution is, pixel by pixel:
//!
//! ```text
//! for each image, output row y and output column x:
//!     for each tap (row, column) of the kernel:
//!         output[y, x, ..] += weights[.., .., row, column]
//!                           · source[start + stride · (y, x) + (row, column), ..]
//! ```
//!
//! Matrix hardware needs the second factor as a matrix. Its rows are 16 output pixels, a fixed
//! distance apart in memory, and its columns are the channels that a tap sees. Copying every pixel
//! once for each tap (im2col) would give that matrix, but would multiply the memory by the number
//! of taps. Instead, each image is copied once into a frame. There the matrices of all taps are the
//! same memory, each with its own shift.
//!
//! 1. **A frame of zeros** surrounds each image, so that no tap has to test for the edge.
//! 2. **Images lie abreast**, pixel by pixel: the first pixel of every image, then the second pixel
//!    of every image, and so on. An output row is then one run of evenly spaced positions, and
//!    these runs fill strips of 16 even if the row of a single image is short.
//! 3. **Rows and columns are sorted by their remainder** modulo the stride. Neighbouring outputs
//!    see source pixels that are a stride apart, and sorting makes these source pixels neighbours.
//! 4. **Few channels are laid out by kernel row.** A tap must fill whole steps of 32 values, and an
//!    image with three channels would waste most of these values. Such images therefore follow each
//!    other instead of lying abreast, and everything that a row of the kernel sees is one stretch
//!    of memory.
//! 5. **Pixels of few outputs are joined.** If a convolution has few outputs, n neighbouring
//!    output pixels are computed as one pixel with n times the channels, so that they fill a block
//!    of columns ([`Correlation::joined`]).
//! 6. **Rows of zeros are skipped.** Kernel rows that see only the frame, above and below an image,
//!    are left out of the product ([`StripPair::segments`]).
//!
//! # Example
//!
//! Two images of 4 × 4 pixels, a kernel of 3 × 3, stride 1, padding 1. A letter is a pixel of, say,
//! 32 channels, and `.` is a pixel of zeros:
//!
//! ```text
//! image 0    image 1    frame: rows 0 to 5, columns 0 to 5, both images abreast
//! a b c d    A B C D    ..  ..  ..  ..  ..  ..
//! e f g h    E F G H    ..  aA  bB  cC  dD  ..
//! i j k l    I J K L    ..  eE  fF  gG  hH  ..
//! m n o p    M N O P    ..  iI  jJ  kK  lL  ..
//!                       ..  mM  nN  oO  pP  ..
//!                       ..  ..  ..  ..  ..  ..
//! ```
//!
//! Output row 1 is a run of 8 positions: (image 0, x = 0), (image 1, x = 0), (image 0, x = 1), …,
//! (image 1, x = 3). Through tap (row, column), these positions see 8 neighbours in frame row 1 +
//! `row`, starting at frame column `column`:
//!
//! ```text
//! tap (0, 0): . . a A b B c C
//! tap (0, 1):     a A b B c C d D
//! tap (0, 2):         b B c C d D . .
//! tap (1, 0): . . e E f F g G          and so on
//! ```
//!
//! Eight positions are half a strip. Four images abreast would fill the strip.
//!
//! With stride 2, an output is 2 × 2 pixels, and the taps visit frame columns 0 to 4. Sorted by
//! remainder, the columns are `0 2 4 1 3`. Tap column 0 therefore sees slots 0 and 1 (columns 0 and
//! 2), tap column 1 sees slots 3 and 4 (columns 1 and 3), and tap column 2 sees slots 1 and 2
//! (columns 2 and 4). Rows are sorted in the same way.

use std::ops::Range;

use half::bf16;

/// Number of rows of a tile: the number of positions that are multiplied together.
pub(super) const STRIP: usize = 16;

/// Number of values in a tile's row: the number of products that one instruction adds to a sum.
pub(super) const STEP: usize = 32;

/// Number of columns of two tiles: the number of channels that are computed together.
pub(super) const BLOCK: usize = 2 * STRIP;

/// The source pixels that a correlation reads. Output pixel (y, x) sees, at (row, column) of the
/// kernel, the source pixel (start + stride · y + row, start + stride · x + column), or zeros if
/// that pixel is outside of the image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Correlation {
    /// Number of rows and number of columns of a source image.
    pub source: [usize; 2],
    /// Number of channels of a source pixel.
    pub channels: usize,
    /// Number of rows and number of columns of the kernel.
    pub kernel: [usize; 2],
    /// Distance between neighbouring output rows in source rows, and between neighbouring output
    /// columns in source columns.
    pub stride: [usize; 2],
    /// Source row and column that the first tap of output pixel (0, 0) sees. They are negative in
    /// the padding.
    pub start: [isize; 2],
    /// Number of rows and number of columns of an output image.
    pub output: [usize; 2],
}

impl Correlation {
    /// Returns the number of neighbouring output pixels, with `channels` channels each, to compute
    /// as one pixel: as many as fill a block of columns. A row of whole strips remains a row of
    /// whole strips.
    pub(super) fn pixels_to_join(&self, channels: usize) -> usize {
        let width = self.output[1];
        let fits = |pixels: usize| {
            let strips = !width.is_multiple_of(STRIP) || width.is_multiple_of(pixels * STRIP);
            pixels * channels <= BLOCK && width.is_multiple_of(pixels) && strips
        };
        let mut pixels = 1;
        while fits(2 * pixels) {
            pixels *= 2;
        }
        pixels
    }

    /// Returns the correlation that computes `pixels` neighbouring output pixels as one. Its kernel
    /// covers what each of these pixels sees.
    pub(super) fn joined(self, pixels: usize) -> Self {
        let ([rows, columns], [down, right], [height, width]) =
            (self.kernel, self.stride, self.output);
        Self {
            kernel: [rows, columns + (pixels - 1) * right],
            stride: [down, pixels * right],
            output: [height, width / pixels],
            ..self
        }
    }

    /// Number of values of a source image.
    pub(super) fn image_len(&self) -> usize {
        self.source[0] * self.source[1] * self.channels
    }

    /// Number of output pixels of an image.
    pub(super) fn output_pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Whether a segment of the kernel is one tap, with its channels padded to whole steps.
    /// Otherwise a segment is one row of the kernel, and each image's rows are padded to whole
    /// strips. The layout that needs fewer multiplications is chosen. If there are few channels,
    /// that is the layout by kernel rows.
    pub(super) fn by_tap(&self) -> bool {
        let ([_, columns], [_, width]) = (self.kernel, self.output);
        let taps = width * columns * self.channels.next_multiple_of(STEP);
        let kernel_row =
            width.next_multiple_of(STRIP) * (columns * self.channels).next_multiple_of(STEP);
        self.channels.is_multiple_of(STEP) || taps <= kernel_row
    }

    /// Returns the number of segments of the kernel, and the number of values per segment, in whole
    /// steps.
    pub(super) fn segments(&self) -> [usize; 2] {
        let len = if self.by_tap() { self.channels } else { self.kernel[1] * self.channels };
        [self.kernel[0] * self.segments_per_row(), len.next_multiple_of(STEP)]
    }

    fn segments_per_row(&self) -> usize {
        if self.by_tap() { self.kernel[1] } else { self.kernel[1].min(1) }
    }

    /// Returns the index of a tap's first value among the values of all segments.
    pub(super) fn tap_offset(&self, [row, column]: [usize; 2]) -> usize {
        let [_, len] = self.segments();
        match self.by_tap() {
            true => (row * self.kernel[1] + column) * len,
            false => row * len + column * self.channels,
        }
    }

    /// Number of source rows (axis 0) or columns (axis 1) from the first to the last that any
    /// output sees.
    fn extent(&self, axis: usize) -> usize {
        if self.output[axis] == 0 {
            0
        } else {
            (self.output[axis] - 1) * self.stride[axis] + self.kernel[axis]
        }
    }

    /// Returns the slot of the row or column that comes `index` places after the first row or
    /// column. The slot is the place of that row or column after all rows (or columns) are sorted
    /// by their remainder, so that neighbouring outputs see neighbouring slots.
    fn slot(&self, axis: usize, index: usize) -> usize {
        let modulus = self.sorting_modulus(axis);
        let earlier_slots: usize = (0..index % modulus)
            .map(|remainder| self.extent(axis).saturating_sub(remainder).div_ceil(modulus))
            .sum();
        earlier_slots + index / modulus
    }

    /// Returns the modulus by which rows or columns are sorted. If a segment is a kernel row,
    /// columns keep their order, because a segment must be one stretch.
    fn sorting_modulus(&self, axis: usize) -> usize {
        if axis == 1 && !self.by_tap() { 1 } else { self.stride[axis] }
    }

    /// Returns every slot that is read, with the source row or column to put into it. The source is
    /// `None`, for zeros, if the row or column is outside of the image, or if no tap sees it. If
    /// segments are taps, a slot that no tap sees is not read at all. Otherwise, the last step of a
    /// segment also reads the values after the segment, and multiplies them by zero.
    fn slots(&self, axis: usize) -> impl Iterator<Item = (usize, Option<usize>)> + '_ {
        let by_tap = self.by_tap();
        let seen = move |index: usize| index % self.sorting_modulus(axis) < self.kernel[axis];
        (0..self.extent(axis)).filter(move |&index| !by_tap || seen(index)).map(move |index| {
            let source = usize::try_from(self.start[axis] + index as isize).ok();
            let inside = source.filter(|&source| source < self.source[axis] && seen(index));
            (self.slot(axis, index), inside)
        })
    }

    /// Returns the kernel rows that, for output row `y`, see a row of the image and not only zeros.
    fn kernel_rows_inside(&self, y: usize) -> Range<usize> {
        let first = self.start[0] + (y * self.stride[0]) as isize;
        let end = (self.source[0] as isize - first).clamp(0, self.kernel[0] as isize) as usize;
        ((-first).max(0) as usize).min(end)..end
    }
}

/// The layout of a group of units (images or pairs of images) in frames of zeros. Either one frame
/// has all units abreast, or each unit has its own frame. A frame is `[rows, columns, abreast,
/// pitch]`, with rows and columns in the order of their slots.
struct Frame {
    correlation: Correlation,
    /// Number of units: images or pairs of images.
    units: usize,
    /// Number of units that lie abreast: either all units or one.
    abreast: usize,
    /// Distance, in values, from a pixel to the next.
    pitch: usize,
    /// The [slots](Correlation::slots) of rows, and of columns.
    slots: [Vec<(usize, Option<usize>)>; 2],
}

/// The positions of one strip.
struct Strip {
    /// Start of the strip's first position in the frame.
    start: usize,
    /// Output row of the strip's positions.
    y: usize,
    /// Number of positions, which is at most [`STRIP`].
    positions: usize,
}

impl Frame {
    /// `cache_line` is the number of values that a line of the cache holds, or the number of pairs
    /// of values if units are pairs.
    fn new(correlation: Correlation, units: usize, cache_line: usize) -> Self {
        let channels = correlation.channels;
        let (abreast, pitch) = match correlation.by_tap() {
            true => {
                let pitch = conflict_free(channels.next_multiple_of(STEP), cache_line);
                (units.max(1), pitch)
            }
            false => (1, channels),
        };
        let slots = [0, 1].map(|axis| correlation.slots(axis).collect());
        Self { correlation, units, abreast, pitch, slots }
    }

    /// Number of values of all frames.
    fn len(&self) -> usize {
        self.units * self.correlation.extent(0) * self.correlation.extent(1) * self.pitch
    }

    /// Number of values of all frames, including the values that the last strip and the last step
    /// read after the frames.
    fn len_read(&self) -> usize {
        self.len() + STRIP * self.position_pitch() + STEP
    }

    /// Returns the index of the first value of the pixel in slot `row` of the rows and slot
    /// `column` of the columns.
    fn offset(&self, unit: usize, row: usize, column: usize) -> usize {
        let [rows, columns] = [0, 1].map(|axis| self.correlation.extent(axis));
        let (frame, beside) = (unit / self.abreast, unit % self.abreast);
        (((frame * rows + row) * columns + column) * self.abreast + beside) * self.pitch
    }

    /// Distance, in values, from an output position to the next. The next position is the next unit
    /// abreast or, after the last unit, the next output column.
    fn position_pitch(&self) -> usize {
        if self.correlation.by_tap() { self.pitch } else { self.correlation.stride[1] * self.pitch }
    }

    /// Returns, for each [segment](Correlation::segments), the distance from an output position to
    /// the start of the segment.
    fn segment_offsets(&self) -> Vec<usize> {
        let (rows, columns) = (self.correlation.kernel[0], self.correlation.segments_per_row());
        let slot = |axis, index| self.correlation.slot(axis, index);
        (0..rows)
            .flat_map(|row| {
                (0..columns).map(move |column| self.offset(0, slot(0, row), slot(1, column)))
            })
            .collect()
    }

    /// Returns the output row and the first unit of every run of output positions.
    fn runs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.correlation.output[0])
            .flat_map(|y| (0..self.units).step_by(self.abreast).map(move |unit| (y, unit)))
    }

    /// Number of positions in a run.
    fn run_len(&self) -> usize {
        self.correlation.output[1] * self.abreast
    }

    /// Returns the strips of all runs, in order.
    fn strips(&self) -> impl Iterator<Item = Strip> + '_ {
        let (run_len, pitch) = (self.run_len(), self.position_pitch());
        self.runs().flat_map(move |(y, unit)| {
            let start = self.offset(unit, y, 0);
            (0..run_len).step_by(STRIP).map(move |first| Strip {
                start: start + first * pitch,
                y,
                positions: STRIP.min(run_len - first),
            })
        })
    }

    /// Calls `put(range, source)` for every stretch of the frames that is read. `source` is the
    /// unit, and the offset in the unit, to copy from, or `None` if the stretch is zeros.
    #[inline(always)]
    fn fill(&self, mut put: impl FnMut(Range<usize>, Option<(usize, usize)>)) {
        let Correlation { source, channels, .. } = self.correlation;
        let [rows, columns] = &self.slots;
        // If pixels follow each other in the frame as they do in the image, a row is copied as one
        // stretch.
        let contiguous =
            self.abreast == 1 && self.pitch == channels && self.correlation.sorting_modulus(1) == 1;
        let leading_zeros = columns.iter().take_while(|(_, column)| column.is_none()).count();
        let inside = columns.iter().filter_map(|&(_, column)| column);
        let (first, inside) = (inside.clone().next().unwrap_or(0), inside.count());
        let extent = self.correlation.extent(1);
        let row_len = extent * self.abreast * self.pitch;
        let frame_len = self.offset(self.abreast, 0, 0);
        let [from, to] = [leading_zeros, leading_zeros + inside].map(|column| column * channels);
        for &(slot, row) in rows {
            let place = |frame: usize| {
                frame * frame_len + slot * row_len..frame * frame_len + (slot + 1) * row_len
            };
            let Some(row) = row else {
                (0..self.units / self.abreast).for_each(|frame| put(place(frame), None));
                continue;
            };
            let row = row * source[1] * channels;
            if contiguous {
                for unit in 0..self.units {
                    let Range { start, end } = place(unit);
                    put(start..start + from, None);
                    put(start + from..start + to, Some((unit, row + first * channels)));
                    put(start + to..end, None);
                }
                continue;
            }
            for unit in 0..self.units {
                let start = place(unit / self.abreast).start + unit % self.abreast * self.pitch;
                for &(slot, column) in columns {
                    let start = start + slot * self.abreast * self.pitch;
                    let end = start + channels;
                    put(start..end, column.map(|column| (unit, row + column * channels)));
                    if !channels.is_multiple_of(STEP) {
                        put(end..start + self.pitch, None);
                    }
                }
            }
        }
    }
}

/// Returns a pitch of at least `len` values, in whole cache lines. From four lines on, the number
/// of lines is odd: rows at a distance of a power of two would compete for the same few sets of the
/// cache.
pub(super) fn conflict_free(len: usize, cache_line: usize) -> usize {
    let lines = len.div_ceil(cache_line);
    if lines < 4 { lines * cache_line } else { (lines | 1) * cache_line }
}

/// Two strips that are multiplied together. If a last strip has no partner, both strips of its pair
/// are that strip.
pub(super) struct StripPair {
    /// Start of each strip in the frame.
    pub starts: [usize; 2],
    /// The pair's range among all output positions: first the positions of the first strip, then
    /// those of the second strip.
    pub positions: Range<usize>,
    /// Number of positions of the first strip.
    pub first_len: usize,
    /// The segments of the kernel that see more than zeros.
    pub segments: Range<usize>,
}

/// A group of images as the left matrix of a product. For each output position, the matrix has a
/// row that holds the values that the position sees.
pub(super) struct Rows {
    frame: Frame,
    /// Distance, in values, from a row to the next.
    pub pitch: usize,
}

impl Rows {
    pub(super) fn new(correlation: Correlation, images: usize) -> Self {
        let frame = Frame::new(correlation, images, STEP);
        Self { pitch: frame.position_pitch(), frame }
    }

    /// Number of values of the frames, including the values that the last strip reads after the
    /// frames.
    pub(super) fn len(&self) -> usize {
        self.frame.len_read()
    }

    /// Returns the distance from a row's start to the start of each of the row's segments.
    pub(super) fn segment_offsets(&self) -> Vec<usize> {
        self.frame.segment_offsets()
    }

    /// Returns the output pixel (image, y, x) of every position, in the order of the strips.
    pub(super) fn pixels(&self) -> impl Iterator<Item = [usize; 3]> + '_ {
        let abreast = self.frame.abreast;
        self.frame.runs().flat_map(move |(y, unit)| {
            (0..self.frame.run_len()).map(move |at| [unit + at % abreast, y, at / abreast])
        })
    }

    /// Returns all strips, in pairs.
    pub(super) fn strip_pairs(&self) -> Vec<StripPair> {
        let Frame { correlation, .. } = &self.frame;
        let strips: Vec<Strip> = self.frame.strips().collect();
        // Without a tap, nothing is laid out, so any place serves.
        let place = |start: usize| if correlation.kernel.contains(&0) { 0 } else { start };
        let mut done = 0;
        let pairs = strips.chunks(2).map(|pair| {
            let (first, last) = (&pair[0], &pair[pair.len() - 1]);
            let positions = pair.iter().map(|strip| strip.positions).sum::<usize>();
            let inside = pair
                .iter()
                .map(|strip| correlation.kernel_rows_inside(strip.y))
                .filter(|rows| !rows.is_empty());
            let inside =
                inside.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0);
            let per_row = correlation.segments_per_row();
            done += positions;
            StripPair {
                starts: [place(first.start), place(last.start)],
                positions: done - positions..done,
                first_len: first.positions,
                segments: inside.start * per_row..inside.end * per_row,
            }
        });
        pairs.collect()
    }

    /// Lays out `images` in `frames`, with zeros around the images.
    #[inline(always)]
    pub(super) fn fill(&self, images: &[bf16], frames: &mut [bf16]) {
        if self.frame.correlation.kernel.contains(&0) {
            return;
        }
        let image_len = self.frame.correlation.image_len();
        self.frame.fill(|range, source| {
            let to = &mut frames[range];
            match source {
                Some((unit, from)) => {
                    to.copy_from_slice(&images[unit * image_len + from..][..to.len()])
                }
                None => to.fill(bf16::ZERO),
            }
        });
        // The last step of a row reads these values and multiplies them by zero. A short last strip
        // reads them for rows whose sums are not used.
        frames[self.frame.len()..].fill(bf16::ZERO);
    }
}

/// A group of images as the right matrix of a product over positions. The gradient of the weights
/// needs such a product. Two images make a unit, in which their values alternate, because an
/// instruction adds the products of two neighbouring values.
pub(super) struct ImagePairs {
    frame: Frame,
    images: usize,
    /// Distance, in pairs of values, from a position to the next.
    pub pitch: usize,
}

impl ImagePairs {
    pub(super) fn new(correlation: Correlation, images: usize) -> Self {
        let frame = Frame::new(correlation, images.div_ceil(2), STRIP);
        Self { pitch: frame.position_pitch(), frame, images }
    }

    /// Number of values of the frames, including the values that the last step reads after the
    /// frames. Values that [`fill`](Self::fill) does not write must be zeros.
    pub(super) fn len(&self) -> usize {
        2 * self.frame.len_read()
    }

    /// Returns, for each segment of the kernel, the distance from a position to the start of the
    /// segment, in pairs of values, and the steps of positions that see more than zeros in the
    /// segment.
    pub(super) fn segments(&self) -> Vec<(usize, Range<usize>)> {
        let correlation = self.frame.correlation;
        let offsets = self.frame.segment_offsets();
        let steps_per_row =
            self.step_offsets().len().checked_div(correlation.output[0]).unwrap_or(0);
        let per_row = correlation.segments_per_row().max(1);
        let steps_inside = |row: usize| {
            let mut inside = (0..correlation.output[0])
                .filter(|&y| correlation.kernel_rows_inside(y).contains(&row));
            let first = inside.next();
            first.map_or(0..0, |first| {
                let last = inside.next_back().unwrap_or(first);
                first * steps_per_row..(last + 1) * steps_per_row
            })
        };
        let segments = offsets.into_iter().enumerate();
        segments.map(|(segment, offset)| (offset, steps_inside(segment / per_row))).collect()
    }

    /// Returns the start of each step of positions, in pairs of values.
    pub(super) fn step_offsets(&self) -> Vec<usize> {
        self.frame.strips().map(|strip| strip.start).collect()
    }

    /// Lays out `images` in `frames`, which must already hold the zeros around the images.
    /// `alternate` writes the values of two equally long slices alternately.
    #[inline(always)]
    pub(super) fn fill(
        &self,
        images: &[bf16],
        frames: &mut [bf16],
        alternate: impl Fn(&[bf16], &[bf16], &mut [bf16]),
    ) {
        let image_len = self.frame.correlation.image_len();
        // If the number of images is odd, the last image is paired with zeros. At most one row of
        // zeros is needed at a time.
        let zeros = vec![
            bf16::ZERO;
            if self.images.is_multiple_of(2) {
                0
            } else {
                image_len / self.frame.correlation.source[0]
            }
        ];
        self.frame.fill(|range, source| {
            let Some((unit, from)) = source else { return };
            let [even, odd] = [2 * unit, 2 * unit + 1].map(|image| match image < self.images {
                true => &images[image * image_len + from..][..range.len()],
                false => &zeros[..range.len()],
            });
            alternate(even, odd, &mut frames[2 * range.start..2 * range.end]);
        });
    }

    /// Returns, for each position, its pixel among the group's output images, or `None` if the
    /// position only fills up a step.
    pub(super) fn pixels(&self) -> Vec<Option<u32>> {
        let [height, width] = self.frame.correlation.output;
        let abreast = self.frame.abreast;
        let mut pixels = Vec::new();
        for (y, unit) in self.frame.runs() {
            for at in 0..self.frame.run_len() {
                for half in 0..2 {
                    let image = 2 * (unit + at % abreast) + half;
                    let pixel = (image * height + y) * width + at / abreast;
                    pixels.push((image < self.images).then_some(pixel as u32));
                }
            }
            pixels.resize(pixels.len().next_multiple_of(STEP), None);
        }
        pixels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the correlation of a convolution, after joining the neighbouring pixels that the
    /// convolution joins.
    fn correlation(
        source: [usize; 2],
        [channels, outputs]: [usize; 2],
        [kernel, stride]: [usize; 2],
        padding: usize,
    ) -> Correlation {
        let output = source.map(|size| (size + 2 * padding - kernel) / stride + 1);
        let start = [-(padding as isize); 2];
        let correlation = Correlation {
            source,
            channels,
            kernel: [kernel; 2],
            stride: [stride; 2],
            start,
            output,
        };
        correlation.joined(correlation.pixels_to_join(outputs))
    }

    fn correlations() -> Vec<Correlation> {
        let mut all = Vec::new();
        for size in [[1, 1], [4, 4], [5, 8], [3, 16], [6, 28], [2, 32], [9, 33]] {
            for channels in [[1, 16], [3, 8], [16, 16], [20, 40], [32, 32], [48, 16], [160, 40]] {
                for (kernel, stride, padding) in
                    [(1, 1, 0), (1, 2, 0), (3, 1, 1), (3, 2, 1), (2, 3, 0), (7, 2, 3)]
                {
                    if size.iter().all(|size| size + 2 * padding >= kernel) {
                        all.push(correlation(size, channels, [kernel, stride], padding));
                    }
                }
            }
        }
        // Phases of a stride of two, where fewer taps, or no taps, reach some input pixels.
        all.push(Correlation {
            kernel: [1, 2],
            start: [0, 0],
            ..correlation([4, 8], [32, 32], [1, 1], 0)
        });
        all.push(Correlation {
            kernel: [1, 0],
            start: [0, 0],
            ..correlation([4, 16], [24, 32], [1, 1], 0)
        });
        all
    }

    /// Returns a group of images of small whole numbers, which bf16 holds exactly.
    fn images(correlation: &Correlation, count: usize) -> Vec<bf16> {
        (0..count * correlation.image_len())
            .map(|at| bf16::from_f32((at * 31 % 251 + 1) as f32))
            .collect()
    }

    /// Returns what output pixel (image, y, x) sees as value `value` of a segment, or `None` if
    /// there is no weight.
    fn expected(
        correlation: &Correlation,
        images: &[bf16],
        [image, y, x]: [usize; 3],
        segment: usize,
        value: usize,
    ) -> Option<bf16> {
        let Correlation { source, channels, kernel, stride, start, .. } = *correlation;
        let (row, column, channel) = match correlation.by_tap() {
            true => (segment / kernel[1], segment % kernel[1], value),
            false => (segment, value / channels, value % channels),
        };
        if column >= kernel[1] || channel >= channels {
            return None;
        }
        let place = |axis: usize, output: usize, tap: usize| {
            let index =
                usize::try_from(start[axis] + (output * stride[axis] + tap) as isize).ok()?;
            (index < source[axis]).then_some(index)
        };
        let pixel = place(0, y, row).zip(place(1, x, column));
        Some(pixel.map_or(bf16::ZERO, |(y, x)| {
            images[((image * source[0] + y) * source[1] + x) * channels + channel]
        }))
    }

    #[test]
    fn rows_are_what_pixels_see() {
        for correlation in correlations() {
            for count in [0, 1, 2, 5] {
                let images = images(&correlation, count);
                let rows = Rows::new(correlation, count);
                let mut frames = vec![bf16::NAN; rows.len()];
                rows.fill(&images, &mut frames);
                let (offsets, pixels, [count, len]) = (
                    rows.segment_offsets(),
                    rows.pixels().collect::<Vec<_>>(),
                    correlation.segments(),
                );
                assert_eq!(offsets.len(), count);
                let pairs = rows.strip_pairs();
                let positions: Vec<usize> =
                    pairs.iter().flat_map(|pair| pair.positions.clone()).collect();
                assert_eq!(
                    positions,
                    (0..pixels.len()).collect::<Vec<_>>(),
                    "{correlation:?}: every pixel once"
                );
                for pair in &pairs {
                    for (at, position) in pair.positions.clone().enumerate() {
                        let (strip, row) = match at < pair.first_len {
                            true => (0, at),
                            false => (1, at - pair.first_len),
                        };
                        assert!(row < STRIP);
                        for (segment, offset) in offsets.iter().enumerate() {
                            for value in 0..len {
                                let expected = expected(
                                    &correlation,
                                    &images,
                                    pixels[position],
                                    segment,
                                    value,
                                );
                                let laid_out =
                                    frames[pair.starts[strip] + row * rows.pitch + offset + value];
                                if pair.segments.contains(&segment) {
                                    assert!(
                                        laid_out.is_finite()
                                            && expected.is_none_or(|value| value == laid_out),
                                        "{correlation:?}"
                                    );
                                } else {
                                    assert!(
                                        expected.is_none_or(|value| value == bf16::ZERO),
                                        "{correlation:?}: skipped"
                                    );
                                }
                            }
                        }
                    }
                    // Rows whose sums are not used are also read.
                    let furthest = offsets
                        .iter()
                        .max()
                        .map_or(0, |last| last + (STRIP - 1) * rows.pitch + len);
                    assert!(
                        pair.starts.iter().all(|start| start + furthest <= frames.len()),
                        "{correlation:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn pairs_are_what_positions_of_two_images_see() {
        let alternate = |even: &[bf16], odd: &[bf16], to: &mut [bf16]| {
            for (to, (even, odd)) in to.as_chunks_mut::<2>().0.iter_mut().zip(even.iter().zip(odd))
            {
                *to = [*even, *odd];
            }
        };
        let with_taps = |correlation: &Correlation| !correlation.kernel.contains(&0);
        for correlation in correlations().into_iter().filter(with_taps) {
            for count in [0, 1, 2, 5] {
                let images = images(&correlation, count);
                let pairs = ImagePairs::new(correlation, count);
                let mut frames = vec![bf16::ZERO; pairs.len()];
                pairs.fill(&images, &mut frames, alternate);
                let (pixels, steps, [_, len]) =
                    (pairs.pixels(), pairs.step_offsets(), correlation.segments());
                assert_eq!(pixels.len(), steps.len() * STEP);
                assert_eq!(
                    pixels.iter().flatten().count(),
                    count * correlation.output_pixels(),
                    "{correlation:?}: every pixel"
                );
                for (segment, (offset, inside)) in pairs.segments().iter().enumerate() {
                    for (at, pixel) in pixels.iter().enumerate() {
                        let (step, row) = (at / STEP, at % STEP / 2);
                        for value in 0..len {
                            let laid_out = frames
                                [2 * (steps[step] + row * pairs.pitch + offset + value) + at % 2];
                            let Some(pixel) = pixel.map(|pixel| pixel as usize) else { continue };
                            let [height, width] = correlation.output;
                            let pixel =
                                [pixel / (height * width), pixel / width % height, pixel % width];
                            let Some(expected) =
                                expected(&correlation, &images, pixel, segment, value)
                            else {
                                continue;
                            };
                            let used = if inside.contains(&step) { laid_out } else { bf16::ZERO };
                            assert_eq!(used, expected, "{correlation:?}");
                        }
                    }
                }
            }
        }
    }
}
