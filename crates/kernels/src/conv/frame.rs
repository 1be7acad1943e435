//! Images laid out so that what neighbouring outputs see of them are rows of a matrix, or columns.
//!
//! A tile has 16 of either, evenly apart. Images lie side by side, pixel by pixel, so that
//! neighbours are the same pixel of one image and the next, and then the next pixel: however short
//! a row, together they fill strips of 16, and what a tap of the kernel sees is a shift of all.
//! Where channels are few, images follow each other instead, and what a row of the kernel sees is
//! one stretch.

use std::ops::Range;

use half::bf16;

/// Rows of a matrix that are multiplied together.
pub(super) const STRIP: usize = 16;

/// Values of a row of a matrix that are multiplied together.
pub(super) const STEP: usize = 32;

/// Values of two strips.
pub(super) const BLOCK: usize = 2 * STRIP;

/// Which source pixels a correlation reads: output pixel (y, x) sees at (row, column) of its kernel
/// the source pixel (start + stride · y + row, start + stride · x + column), or zeros where there
/// is none.
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
    /// How many neighbouring output pixels, of `channels` each, are best taken for one: so few
    /// channels as narrow convolutions have fill a block of columns only together. Rows of whole
    /// strips stay such.
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
        let ([rows, columns], [down, right], [height, width]) =
            (self.kernel, self.stride, self.out);
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

    /// Whether each tap of the kernel is taken by itself, its channels filled up to whole steps.
    /// Else what a row of the kernel sees is taken as one stretch, each image's rows filled up to
    /// whole strips: where channels are few, less.
    pub(super) fn by_tap(&self) -> bool {
        let ([_, columns], [_, width]) = (self.kernel, self.out);
        let taps = width * columns * self.channels.next_multiple_of(STEP);
        let stretch =
            width.next_multiple_of(STRIP) * (columns * self.channels).next_multiple_of(STEP);
        self.channels.is_multiple_of(STEP) || taps <= stretch
    }

    /// How many parts of the kernel are taken one after the other, and how many values each has, in
    /// whole steps.
    pub(super) fn parts(&self) -> [usize; 2] {
        let len = if self.by_tap() { self.channels } else { self.kernel[1] * self.channels };
        [self.kernel[0] * self.parts_of_row(), len.next_multiple_of(STEP)]
    }

    /// Where among the values of all parts those of a tap begin.
    pub(super) fn tap(&self, [row, column]: [usize; 2]) -> usize {
        let [_, len] = self.parts();
        match self.by_tap() {
            true => (row * self.kernel[1] + column) * len,
            false => row * len + column * self.channels,
        }
    }

    /// Source rows, or columns, from the first that is seen to the last.
    fn seen(&self, axis: usize) -> usize {
        if self.out[axis] == 0 {
            0
        } else {
            (self.out[axis] - 1) * self.stride[axis] + self.kernel[axis]
        }
    }

    /// Rows, and columns, are sorted by their remainder, so that those which neighbouring outputs
    /// see are neighbours: the place of the one `at` after the first.
    fn slot(&self, axis: usize, at: usize) -> usize {
        let stride = self.sorted_by(axis);
        let before: usize = (0..at % stride)
            .map(|phase| self.seen(axis).saturating_sub(phase).div_ceil(stride))
            .sum();
        before + at / stride
    }

    fn sorted_by(&self, axis: usize) -> usize {
        if axis == 1 && !self.by_tap() { 1 } else { self.stride[axis] }
    }

    /// Every slot that is read, and the source row or column in it where it is in the image and
    /// seen by a tap. By tap only what taps see is read; the last step of a stretch reads, times
    /// zero, what follows it.
    fn slots(&self, axis: usize) -> impl Iterator<Item = (usize, Option<usize>)> + '_ {
        let by_tap = self.by_tap();
        let seen = move |at: usize| at % self.sorted_by(axis) < self.kernel[axis];
        (0..self.seen(axis)).filter(move |&at| !by_tap || seen(at)).map(move |at| {
            let source = usize::try_from(self.start[axis] + at as isize).ok();
            (self.slot(axis, at), source.filter(|&source| source < self.size[axis] && seen(at)))
        })
    }

    /// The parts that a row of the kernel has.
    fn parts_of_row(&self) -> usize {
        if self.by_tap() { self.kernel[1] } else { self.kernel[1].min(1) }
    }

    /// The rows of the kernel of which output row `y` sees a row of the image.
    fn rows_inside(&self, y: usize) -> Range<usize> {
        let first = self.start[0] + (y * self.stride[0]) as isize;
        let to = (self.size[0] as isize - first).clamp(0, self.kernel[0] as isize) as usize;
        ((-first).max(0) as usize).min(to)..to
    }
}

/// Images, or pairs of them, laid out in frames of zeros: of all, or of one after the other,
/// `[rows, columns, side by side, pitch]`, where neighbouring output columns see neighbours.
struct Frame {
    correlation: Correlation,
    /// Images or pairs.
    units: usize,
    /// How many of them lie side by side, pixel by pixel: all or one.
    side: usize,
    /// Values from a pixel to the next.
    pitch: usize,
    /// The [slots](Correlation::slots) of rows, and of columns.
    slots: [Vec<(usize, Option<usize>)>; 2],
}

impl Frame {
    /// `cache_line` values are a line of the cache.
    fn new(correlation: Correlation, units: usize, cache_line: usize) -> Self {
        let channels = correlation.channels;
        let (side, pitch) = match correlation.by_tap() {
            true => (units.max(1), apart(channels.next_multiple_of(STEP), cache_line)),
            false => (1, channels),
        };
        let slots = [0, 1].map(|axis| correlation.slots(axis).collect());
        Self { correlation, units, side, pitch, slots }
    }

    /// Values that the frames take.
    fn len(&self) -> usize {
        self.units * self.correlation.seen(0) * self.correlation.seen(1) * self.pitch
    }

    /// The same with what a strip and a step at the end read beyond them.
    fn len_read(&self) -> usize {
        self.len() + STRIP * self.step() + STEP
    }

    /// Where the values of a pixel begin.
    fn at(&self, unit: usize, row: usize, column: usize) -> usize {
        let [rows, columns] = [0, 1].map(|axis| self.correlation.seen(axis));
        let (around, beside) = (unit / self.side, unit % self.side);
        (((around * rows + row) * columns + column) * self.side + beside) * self.pitch
    }

    /// From an output position to the next: of a unit to the one beside it, and of the last to the
    /// next column.
    fn step(&self) -> usize {
        if self.correlation.by_tap() { self.pitch } else { self.correlation.stride[1] * self.pitch }
    }

    /// How far from an output position what each [part](Correlation::parts) of the kernel sees
    /// begins.
    fn parts(&self) -> Vec<usize> {
        let (rows, columns) = (self.correlation.kernel[0], self.correlation.parts_of_row());
        let slot = |axis, at| self.correlation.slot(axis, at);
        (0..rows)
            .flat_map(|row| {
                (0..columns).map(move |column| self.at(0, slot(0, row), slot(1, column)))
            })
            .collect()
    }

    /// Every run of output positions that follow each other evenly, and may be a strip: its output
    /// row, and its first unit.
    fn runs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.correlation.out[0])
            .flat_map(|y| (0..self.units).step_by(self.side).map(move |unit| (y, unit)))
    }

    /// Positions of a run.
    fn run(&self) -> usize {
        self.correlation.out[1] * self.side
    }

    /// All runs in strips: where each begins, its output row, and its positions.
    fn strips(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let (run, step) = (self.run(), self.step());
        self.runs().flat_map(move |(y, unit)| {
            let start = self.at(unit, y, 0);
            (0..run).step_by(STRIP).map(move |at| (start + at * step, y, STRIP.min(run - at)))
        })
    }

    /// Calls `put` for every stretch of values that is seen: where it goes, and its unit and where
    /// in that its values begin, or nothing where it is outside of the image.
    #[inline(always)]
    fn fill(&self, mut put: impl FnMut(Range<usize>, Option<(usize, usize)>)) {
        let Correlation { size, channels, .. } = self.correlation;
        let [rows, columns] = &self.slots;
        // What follows each other in the image and in the frame alike is put at once.
        let follow = self.side == 1 && self.pitch == channels && self.correlation.sorted_by(1) == 1;
        let before = columns.iter().take_while(|(_, column)| column.is_none()).count();
        let inside = columns.iter().filter_map(|&(_, column)| column);
        let (first, inside) = (inside.clone().next().unwrap_or(0), inside.count());
        let seen = self.correlation.seen(1);
        let row_len = seen * self.side * self.pitch;
        let frame = self.at(self.side, 0, 0);
        let [from, to] = [before, before + inside].map(|column| column * channels);
        for &(slot, row) in rows {
            let place = |around: usize| {
                around * frame + slot * row_len..around * frame + (slot + 1) * row_len
            };
            let Some(row) = row else {
                (0..self.units / self.side).for_each(|around| put(place(around), None));
                continue;
            };
            let row = row * size[1] * channels;
            if follow {
                for unit in 0..self.units {
                    let Range { start, end } = place(unit);
                    put(start..start + from, None);
                    put(start + from..start + to, Some((unit, row + first * channels)));
                    put(start + to..end, None);
                }
                continue;
            }
            for unit in 0..self.units {
                let start = place(unit / self.side).start + unit % self.side * self.pitch;
                for &(slot, column) in columns {
                    let start = start + slot * self.side * self.pitch;
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

/// At least `len`, an odd number of cache lines of so many values where they are many: rows that
/// far apart do not compete for the same few places in the cache, as they would a power of two
/// apart.
pub(super) fn apart(len: usize, cache_line: usize) -> usize {
    let lines = len.div_ceil(cache_line);
    if lines < 4 { lines * cache_line } else { (lines | 1) * cache_line }
}

/// Two strips of rows, or one twice, that are multiplied together.
pub(super) struct Two {
    /// Where each begins.
    pub strips: [usize; 2],
    /// Which of the output pixels their rows are: of the first strip, then of the second.
    pub targets: Range<usize>,
    /// Rows of the first.
    pub first: usize,
    /// The parts of the kernel that see more than zeros.
    pub parts: Range<usize>,
}

/// A group of images as rows of a matrix, [`STRIP`] by [`STRIP`]: of every output pixel what it
/// sees.
pub(super) struct Rows {
    frame: Frame,
    /// Values from a row to the next.
    pub step: usize,
}

impl Rows {
    pub(super) fn new(correlation: Correlation, images: usize) -> Self {
        let frame = Frame::new(correlation, images, STEP);
        Self { step: frame.step(), frame }
    }

    /// Values that the laid out images take, with what a strip at the end reads beyond them.
    pub(super) fn len(&self) -> usize {
        self.frame.len_read()
    }

    /// How far from a row what each part of the kernel sees begins.
    pub(super) fn parts(&self) -> Vec<usize> {
        self.frame.parts()
    }

    /// The images and output pixels, (image, y, x), in the order of the strips' rows.
    pub(super) fn pixels(&self) -> impl Iterator<Item = [usize; 3]> + '_ {
        let side = self.frame.side;
        self.frame.runs().flat_map(move |(y, unit)| {
            (0..self.frame.run()).map(move |at| [unit + at % side, y, at / side])
        })
    }

    /// All strips by twos.
    pub(super) fn twos(&self) -> Vec<Two> {
        let Frame { correlation, .. } = &self.frame;
        let strips: Vec<(usize, usize, usize)> = self.frame.strips().collect();
        // Where nothing is seen, nothing is laid out.
        let place = |start: usize| if correlation.kernel.contains(&0) { 0 } else { start };
        let mut done = 0;
        let twos = strips.chunks(2).map(|two| {
            let (first, last) = (two[0], two[two.len() - 1]);
            let pixels = two.iter().map(|&(_, _, rows)| rows).sum::<usize>();
            let seen = two
                .iter()
                .map(|&(_, y, _)| correlation.rows_inside(y))
                .filter(|seen| !seen.is_empty());
            let seen = seen.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0);
            let each = correlation.parts_of_row();
            done += pixels;
            Two {
                strips: [place(first.0), place(last.0)],
                targets: done - pixels..done,
                first: first.2,
                parts: seen.start * each..seen.end * each,
            }
        });
        twos.collect()
    }

    /// Lays out `images`, with zeros for what is outside of them.
    #[inline(always)]
    pub(super) fn fill(&self, images: &[bf16], to: &mut [bf16]) {
        if self.frame.correlation.kernel.contains(&0) {
            return;
        }
        let image = self.frame.correlation.image();
        self.frame.fill(|at, from| {
            let to = &mut to[at];
            match from {
                Some((unit, from)) => {
                    to.copy_from_slice(&images[unit * image + from..][..to.len()])
                }
                None => to.fill(bf16::ZERO),
            }
        });
        // A last step reads beyond the last row, times zero, and a short strip for rows that nobody
        // wants.
        to[self.frame.len()..].fill(bf16::ZERO);
    }
}

/// A group of images by twos as columns of a matrix: of every output position of both, what it
/// sees, value by value of the one and the other.
pub(super) struct Pairs {
    frame: Frame,
    images: usize,
    /// Pairs of values from a position to the next.
    pub step: usize,
}

impl Pairs {
    pub(super) fn new(correlation: Correlation, images: usize) -> Self {
        let frame = Frame::new(correlation, images.div_ceil(2), STRIP);
        Self { step: frame.step(), frame, images }
    }

    /// Values that the laid out images take, with what the last step reads beyond them. Those that
    /// [`fill`](Self::fill) does not write must be zeros.
    pub(super) fn len(&self) -> usize {
        2 * self.frame.len_read()
    }

    /// How far from a position what each part of the kernel sees begins, in pairs, and which steps
    /// see more than zeros.
    pub(super) fn parts(&self) -> Vec<(usize, Range<usize>)> {
        let correlation = self.frame.correlation;
        let parts = self.frame.parts();
        let of_row = self.steps().len().checked_div(correlation.out[0]).unwrap_or(0);
        let each = correlation.parts_of_row().max(1);
        let seen = |row: usize| {
            let mut inside =
                (0..correlation.out[0]).filter(|&y| correlation.rows_inside(y).contains(&row));
            let first = inside.next();
            first.map_or(0..0, |first| {
                first * of_row..(inside.next_back().unwrap_or(first) + 1) * of_row
            })
        };
        parts.into_iter().enumerate().map(|(part, at)| (at, seen(part / each))).collect()
    }

    /// Where each step of positions begins, in pairs.
    pub(super) fn steps(&self) -> Vec<usize> {
        self.frame.strips().map(|(start, ..)| start).collect()
    }

    /// Lays out `images`, among zeros that are there. `in_turn` writes the values of two equally
    /// long slices in turn.
    #[inline(always)]
    pub(super) fn fill(
        &self,
        images: &[bf16],
        to: &mut [bf16],
        in_turn: impl Fn(&[bf16], &[bf16], &mut [bf16]),
    ) {
        let image = self.frame.correlation.image();
        let zeros = vec![
            bf16::ZERO;
            if self.images.is_multiple_of(2) {
                0
            } else {
                image / self.frame.correlation.size[0]
            }
        ];
        self.frame.fill(|at, from| {
            let Some((unit, from)) = from else { return };
            let [first, second] = [2 * unit, 2 * unit + 1].map(|index| match index < self.images {
                true => &images[index * image + from..][..at.len()],
                false => &zeros[..at.len()],
            });
            in_turn(first, second, &mut to[2 * at.start..2 * at.end]);
        });
    }

    /// Which pixel of the group's output images each position is.
    pub(super) fn pixels(&self) -> Vec<Option<u32>> {
        let [height, width] = self.frame.correlation.out;
        let side = self.frame.side;
        let mut pixels = Vec::new();
        for (y, unit) in self.frame.runs() {
            for at in 0..self.frame.run() {
                for image in 0..2 {
                    let image = 2 * (unit + at % side) + image;
                    let pixel = (image * height + y) * width + at / side;
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

    /// A convolution's correlation, with neighbouring pixels of `outputs` taken for one where that
    /// is done.
    fn correlation(
        size: [usize; 2],
        [channels, outputs]: [usize; 2],
        [kernel, stride]: [usize; 2],
        padding: usize,
    ) -> Correlation {
        let out = size.map(|size| (size + 2 * padding - kernel) / stride + 1);
        let start = [-(padding as isize); 2];
        let correlation =
            Correlation { size, channels, kernel: [kernel; 2], stride: [stride; 2], start, out };
        correlation.joined(correlation.together(outputs))
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
        // Of a step of two pixels, what its outputs' gradients reach: some input pixels by fewer
        // taps, or none.
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

    /// Small whole numbers, which bf16 has exactly, of a group of images.
    fn images(correlation: &Correlation, count: usize) -> Vec<bf16> {
        (0..count * correlation.image())
            .map(|at| bf16::from_f32((at * 31 % 251 + 1) as f32))
            .collect()
    }

    /// What output pixel (image, y, x) sees as value `value` of part `part`: nothing where no
    /// weight is.
    fn seen(
        of: &Correlation,
        images: &[bf16],
        [image, y, x]: [usize; 3],
        part: usize,
        value: usize,
    ) -> Option<bf16> {
        let (row, column, channel) = match of.by_tap() {
            true => (part / of.kernel[1], part % of.kernel[1], value),
            false => (part, value / of.channels, value % of.channels),
        };
        if column >= of.kernel[1] || channel >= of.channels {
            return None;
        }
        let place = |axis: usize, out: usize, at: usize| {
            let source =
                usize::try_from(of.start[axis] + (out * of.stride[axis] + at) as isize).ok()?;
            (source < of.size[axis]).then_some(source)
        };
        let pixel = place(0, y, row).zip(place(1, x, column));
        Some(pixel.map_or(bf16::ZERO, |(y, x)| {
            images[((image * of.size[0] + y) * of.size[1] + x) * of.channels + channel]
        }))
    }

    #[test]
    fn rows_are_what_pixels_see() {
        for of in correlations() {
            for count in [0, 1, 2, 5] {
                let images = images(&of, count);
                let rows = Rows::new(of, count);
                let mut laid = vec![bf16::NAN; rows.len()];
                rows.fill(&images, &mut laid);
                let (parts, pixels, [count, len]) =
                    (rows.parts(), rows.pixels().collect::<Vec<_>>(), of.parts());
                assert_eq!(parts.len(), count);
                let twos = rows.twos();
                let targets: Vec<usize> = twos.iter().flat_map(|two| two.targets.clone()).collect();
                assert_eq!(
                    targets,
                    (0..pixels.len()).collect::<Vec<_>>(),
                    "{of:?}: every pixel once"
                );
                for two in &twos {
                    for (at, target) in two.targets.clone().enumerate() {
                        let (strip, row) =
                            if at < two.first { (0, at) } else { (1, at - two.first) };
                        assert!(row < STRIP);
                        for (part, offset) in parts.iter().enumerate() {
                            for value in 0..len {
                                let expected = seen(&of, &images, pixels[target], part, value);
                                let found =
                                    laid[two.strips[strip] + row * rows.step + offset + value];
                                if two.parts.contains(&part) {
                                    assert!(
                                        found.is_finite()
                                            && expected.is_none_or(|value| value == found),
                                        "{of:?}"
                                    );
                                } else {
                                    assert!(
                                        expected.is_none_or(|value| value == bf16::ZERO),
                                        "{of:?}: left out"
                                    );
                                }
                            }
                        }
                    }
                    // Rows that nobody wants are read as well.
                    let furthest =
                        parts.iter().max().map_or(0, |part| part + (STRIP - 1) * rows.step + len);
                    assert!(
                        two.strips.iter().all(|strip| strip + furthest <= laid.len()),
                        "{of:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn pairs_are_what_positions_of_two_images_see() {
        let in_turn = |even: &[bf16], odd: &[bf16], to: &mut [bf16]| {
            for (to, (even, odd)) in to.as_chunks_mut::<2>().0.iter_mut().zip(even.iter().zip(odd))
            {
                *to = [*even, *odd];
            }
        };
        for of in correlations().into_iter().filter(|of| !of.kernel.contains(&0)) {
            for count in [0, 1, 2, 5] {
                let images = images(&of, count);
                let pairs = Pairs::new(of, count);
                let mut laid = vec![bf16::ZERO; pairs.len()];
                pairs.fill(&images, &mut laid, in_turn);
                let (pixels, steps, [_, len]) = (pairs.pixels(), pairs.steps(), of.parts());
                assert_eq!(pixels.len(), steps.len() * STEP);
                assert_eq!(
                    pixels.iter().flatten().count(),
                    count * of.pixels(),
                    "{of:?}: every pixel"
                );
                for (part, (offset, range)) in pairs.parts().iter().enumerate() {
                    for (at, pixel) in pixels.iter().enumerate() {
                        let (step, row) = (at / STEP, at % STEP / 2);
                        for value in 0..len {
                            let found = laid
                                [2 * (steps[step] + row * pairs.step + offset + value) + at % 2];
                            let Some(pixel) = pixel.map(|pixel| pixel as usize) else { continue };
                            let [height, width] = of.out;
                            let pixel =
                                [pixel / (height * width), pixel / width % height, pixel % width];
                            let Some(expected) = seen(&of, &images, pixel, part, value) else {
                                continue;
                            };
                            let found = if range.contains(&step) { found } else { bf16::ZERO };
                            assert_eq!(found, expected, "{of:?}");
                        }
                    }
                }
            }
        }
    }
}
