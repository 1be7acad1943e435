//! Images laid out so that what neighbouring outputs see of them lies in rows of a matrix.

use std::ops::Range;

use half::bf16;

/// Rows of a matrix that are multiplied together.
pub(super) const STRIP: usize = 16;

/// Values of a row of a matrix that are multiplied together.
pub(super) const STEP: usize = 32;

/// Values of two strips.
pub(super) const BLOCK: usize = 2 * STRIP;

/// Which source pixels a correlation reads: output pixel (y, x) sees at (row, column) of its kernel the source pixel
/// (start + stride · y + row, start + stride · x + column), or zeros where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Correlation {
    /// Rows and columns of a source image.
    pub size: [usize; 2],
    /// Values of a source pixel.
    pub channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// From an output row to the next, and from an output column to the next.
    pub stride: [usize; 2],
    pub start: [isize; 2],
    /// Rows and columns of an output image.
    pub out: [usize; 2],
}

impl Correlation {
    /// How many neighbouring output pixels, of `channels` each, are best taken for one: so few channels as narrow
    /// convolutions have fill a block of columns only together. Rows of whole strips stay such.
    pub(super) fn together(&self, channels: usize) -> usize {
        let width = self.out[1];
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

    /// With so many neighbouring output pixels taken for one, which sees what each of them sees.
    pub(super) fn joined(self, pixels: usize) -> Self {
        let ([rows, columns], [down, right], [height, width]) = (self.kernel, self.stride, self.out);
        Self {
            kernel: [rows, columns + (pixels - 1) * right],
            stride: [down, pixels * right],
            out: [height, width / pixels],
            ..self
        }
    }

    /// Values of a source image.
    pub(super) fn image(&self) -> usize {
        self.size[0] * self.size[1] * self.channels
    }

    /// Output pixels of an image.
    pub(super) fn pixels(&self) -> usize {
        self.out[0] * self.out[1]
    }

    /// Values that a row of the kernel sees.
    pub(super) fn segment(&self) -> usize {
        self.kernel[1] * self.channels
    }

    /// Source rows from the first that is seen to the last.
    fn rows(&self) -> usize {
        if self.out[0] == 0 { 0 } else { (self.out[0] - 1) * self.stride[0] + self.kernel[0] }
    }

    /// Rows are sorted by their remainder, so that those which neighbouring output rows see are neighbours: the place
    /// of the row `row` after the first.
    fn slot(&self, row: usize) -> usize {
        let before: usize =
            (0..row % self.stride[0]).map(|phase| (self.rows().saturating_sub(phase)).div_ceil(self.stride[0])).sum();
        before + row / self.stride[0]
    }

    /// Every slot, and the source row in it where it is in the image.
    fn slots(&self) -> impl Iterator<Item = (usize, Option<usize>)> + '_ {
        (0..self.rows()).map(|row| {
            let source = usize::try_from(self.start[0] + row as isize).ok().filter(|&row| row < self.size[0]);
            (self.slot(row), source)
        })
    }

    /// The output columns of which column `column` of the kernel sees a pixel of the image.
    fn columns_inside(&self, column: usize) -> Range<usize> {
        let first = self.start[1] + column as isize;
        let columns_before = |source: isize| (source - first).max(0).unsigned_abs().div_ceil(self.stride[1]);
        let from = columns_before(0);
        from..columns_before(self.size[1] as isize).min(self.out[1]).max(from)
    }

    /// The source column that output column `x` sees at column `column` of the kernel; it must be inside.
    fn source_column(&self, x: usize, column: usize) -> usize {
        (self.start[1] + (x * self.stride[1] + column) as isize) as usize
    }
}

/// At least `len`, an odd number of cache lines of `line` values: rows that far apart do not compete for the same few
/// places in the cache, as they would a power of two apart.
pub(super) fn apart(len: usize, line: usize) -> usize {
    (len.div_ceil(line) | 1) * line
}

/// A group of images as rows of a matrix: of every output pixel, in the order of output row, image and column, what
/// each row of the kernel sees is one stretch of memory, and pixels lie evenly apart, at least [`STRIP`] by [`STRIP`].
pub(super) struct Rows {
    correlation: Correlation,
    images: usize,
    /// Values from an output pixel to the next, and from a row of pixels to the next.
    pub pixel: usize,
    pitch: usize,
    /// Whether what each pixel sees is copied for it alone. Otherwise neighbours share it, which needs rows of whole
    /// strips, since pixels of two rows then do not lie evenly.
    unfolded: bool,
}

impl Rows {
    pub(super) fn new(correlation: Correlation, images: usize) -> Self {
        let Correlation { channels, kernel, stride, out, .. } = correlation;
        let unfolded = !out[1].is_multiple_of(STRIP);
        let (pixel, pitch) = if unfolded {
            let pixel = apart(correlation.segment(), STEP);
            (pixel, out[1] * pixel)
        } else {
            (stride[1] * channels, ((out[1].max(1) - 1) * stride[1] + kernel[1]) * channels)
        };
        Self { correlation, images, pixel, pitch, unfolded }
    }

    /// Output pixels.
    pub(super) fn pixels(&self) -> usize {
        self.images * self.correlation.pixels()
    }

    /// Values that the laid out images take, with what a strip at the end reads beyond them.
    pub(super) fn len(&self) -> usize {
        self.correlation.rows() * self.images * self.pitch + STRIP * self.pixel + STEP
    }

    /// Where each strip begins.
    pub(super) fn strips(&self) -> Vec<usize> {
        if self.correlation.kernel.contains(&0) {
            // Nothing is seen, and nothing laid out.
            return vec![0; self.pixels().div_ceil(STRIP)];
        }
        let width = self.correlation.out[1].max(1);
        (0..self.pixels()).step_by(STRIP).map(|at| at / width * self.pitch + at % width * self.pixel).collect()
    }

    /// How far from a pixel what each row of the kernel sees begins.
    pub(super) fn kernel_rows(&self) -> Vec<usize> {
        (0..self.correlation.kernel[0]).map(|row| self.correlation.slot(row) * self.images * self.pitch).collect()
    }

    /// Lays out `images`, with zeros for what is outside of them.
    #[inline(always)]
    pub(super) fn fill(&self, images: &[bf16], to: &mut [bf16]) {
        let Correlation { size, channels, kernel, start, .. } = self.correlation;
        let row_len = size[1] * channels;
        // In pixels of a row that is not unfolded: those of the image to be skipped, and those outside on its left.
        let (skip, left) = ((start[1].max(0) as usize).min(size[1]), (-start[1]).max(0) as usize * channels);
        for (slot, source) in self.correlation.slots() {
            let rows = &mut to[slot * self.images * self.pitch..][..self.images * self.pitch];
            let Some(row) = source else {
                rows.fill(bf16::ZERO);
                continue;
            };
            let rows = rows.chunks_exact_mut(self.pitch.max(1));
            for (to, values) in rows.zip(images.chunks_exact(self.correlation.image())) {
                let from = &values[row * row_len..][..row_len];
                if self.unfolded {
                    // A last step reads beyond the segment, times zero.
                    let segment = self.correlation.segment();
                    to.chunks_exact_mut(self.pixel.max(1)).for_each(|to| to[segment..].fill(bf16::ZERO));
                    for column in 0..kernel[1] {
                        let inside = self.correlation.columns_inside(column);
                        for (x, to) in to.chunks_exact_mut(self.pixel.max(1)).enumerate() {
                            let to = &mut to[column * channels..][..channels];
                            if inside.contains(&x) {
                                let source = self.correlation.source_column(x, column) * channels;
                                to.copy_from_slice(&from[source..source + channels]);
                            } else {
                                to.fill(bf16::ZERO);
                            }
                        }
                    }
                } else {
                    let left = left.min(to.len());
                    let len = (row_len - skip * channels).min(to.len() - left);
                    let (before, rest) = to.split_at_mut(left);
                    let (within, after) = rest.split_at_mut(len);
                    before.fill(bf16::ZERO);
                    within.copy_from_slice(&from[skip * channels..][..len]);
                    after.fill(bf16::ZERO);
                }
            }
        }
        // A last step reads beyond the last row, times zero.
        let end = self.correlation.rows() * self.images * self.pitch;
        to[end..].fill(bf16::ZERO);
    }
}

/// A group of images as columns of a matrix, two rows interleaved: of every two neighbouring output pixels, in the
/// order of output row, image and column, what each row of the kernel sees, value by value of both.
pub(super) struct Pairs {
    correlation: Correlation,
    images: usize,
    /// Output columns, an even number: behind an odd one comes one that sees nothing.
    width: usize,
    /// Values that a row of the kernel sees, in whole steps.
    pub segment: usize,
    /// Pairs of values from two positions to the next two.
    pub pitch: usize,
}

impl Pairs {
    pub(super) fn new(correlation: Correlation, images: usize) -> Self {
        let width = correlation.out[1].next_multiple_of(2);
        let segment = correlation.segment().next_multiple_of(STEP);
        Self { correlation, images, width, segment, pitch: apart(segment, STRIP) }
    }

    /// Output positions, in whole steps.
    pub(super) fn positions(&self) -> usize {
        (self.correlation.out[0] * self.images * self.width).next_multiple_of(STEP)
    }

    /// Values that the laid out images take, with what the last step reads beyond them.
    pub(super) fn len(&self) -> usize {
        (self.correlation.rows() * self.images * self.width + STEP) * self.pitch
    }

    /// How far from a position what each row of the kernel sees begins.
    pub(super) fn kernel_rows(&self) -> Vec<usize> {
        let row = self.images * self.width * self.pitch;
        (0..self.correlation.kernel[0]).map(|at| self.correlation.slot(at) * row).collect()
    }

    /// Lays out `images`, with zeros for what is outside of them. `in_turn` writes the values of two equally
    /// long slices in turn.
    #[inline(always)]
    pub(super) fn fill(&self, images: &[bf16], to: &mut [bf16], in_turn: impl Fn(&[bf16], &[bf16], &mut [bf16])) {
        let Correlation { size, channels, kernel, .. } = self.correlation;
        let row_len = size[1] * channels;
        let zeros = vec![bf16::ZERO; channels];
        let row_pitch = self.width * self.pitch;
        let segment = self.correlation.segment();
        let whole = self.whole_pairs();
        for (slot, source) in self.correlation.slots() {
            let rows = &mut to[slot * self.images * row_pitch..][..self.images * row_pitch];
            let Some(row) = source else {
                rows.fill(bf16::ZERO);
                continue;
            };
            let rows = rows.chunks_exact_mut(row_pitch.max(1));
            for (to, values) in rows.zip(images.chunks_exact(self.correlation.image())) {
                let from = &values[row * row_len..][..row_len];
                // What pixels see lies together where all of it is in the image.
                for x in whole.clone().step_by(2) {
                    let seen = |x: usize| &from[self.correlation.source_column(x, 0) * channels..][..segment];
                    in_turn(seen(x), seen(x + 1), &mut to[x * self.pitch..][..2 * segment]);
                }
                for column in 0..kernel[1] {
                    let inside = self.correlation.columns_inside(column);
                    let seen = |x: usize| match inside.contains(&x) {
                        true => &from[self.correlation.source_column(x, column) * channels..][..channels],
                        false => &zeros,
                    };
                    for x in (0..whole.start).chain(whole.end..self.width).step_by(2) {
                        let to = &mut to[x * self.pitch + 2 * column * channels..][..2 * channels];
                        in_turn(seen(x), seen(x + 1), to);
                    }
                }
            }
        }
        // Behind the last row come positions that fill a step up, times zero.
        let end = self.correlation.rows() * self.images * row_pitch;
        to[end..].fill(bf16::ZERO);
    }

    /// The output columns, from an even one on and an even number of them, that see only what is in the image.
    fn whole_pairs(&self) -> Range<usize> {
        let Some(last) = self.correlation.kernel[1].checked_sub(1) else { return 0..0 };
        let from = self.correlation.columns_inside(0).start.next_multiple_of(2).min(self.width);
        let to = self.correlation.columns_inside(last).end / 2 * 2;
        from..to.max(from)
    }

    /// Which pixel of the group's output images each position is.
    pub(super) fn pixels(&self) -> Vec<Option<u32>> {
        let [height, width] = self.correlation.out;
        let mut pixels = vec![None; self.positions()];
        for row in 0..height * self.images {
            let (y, image) = (row / self.images, row % self.images);
            for (x, pixel) in pixels[row * self.width..][..width].iter_mut().enumerate() {
                *pixel = Some(((image * height + y) * width + x) as u32);
            }
        }
        pixels
    }
}
