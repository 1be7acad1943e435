//! Images laid out so that what neighbouring outputs see of them are rows of a matrix, or columns.
//!
//! A tile has 16 of either, evenly apart. Where rows of outputs are whole strips of 16, those follow each other; else
//! images lie side by side, pixel by pixel, and neighbours are the same pixel of one image and the next.

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

    /// Whether each tap of the kernel is taken by itself, its channels filled up to whole steps. Else what a row of the
    /// kernel sees is taken as one stretch, which wastes less where channels are few, but needs rows of whole strips.
    pub(super) fn by_tap(&self) -> bool {
        self.channels.is_multiple_of(STEP) || !self.out[1].is_multiple_of(STRIP)
    }

    /// How many parts of the kernel are taken one after the other, and how many values each has, in whole steps.
    pub(super) fn parts(&self) -> [usize; 2] {
        let [rows, columns] = self.kernel;
        match self.by_tap() {
            true => [rows * columns, self.channels.next_multiple_of(STEP)],
            false => [rows * columns.min(1), (columns * self.channels).next_multiple_of(STEP)],
        }
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
        if self.out[axis] == 0 { 0 } else { (self.out[axis] - 1) * self.stride[axis] + self.kernel[axis] }
    }

    /// Rows, and columns, are sorted by their remainder, so that those which neighbouring outputs see are neighbours:
    /// the place of the one `at` after the first.
    fn slot(&self, axis: usize, at: usize) -> usize {
        let stride = self.sorted_by(axis);
        let before: usize = (0..at % stride).map(|phase| self.seen(axis).saturating_sub(phase).div_ceil(stride)).sum();
        before + at / stride
    }

    fn sorted_by(&self, axis: usize) -> usize {
        if axis == 1 && !self.by_tap() { 1 } else { self.stride[axis] }
    }

    /// Every slot that is seen, and the source row or column in it where it is in the image. The last step of a stretch
    /// sees, times zero, what follows it, which may be any slot.
    fn slots(&self, axis: usize) -> impl Iterator<Item = (usize, Option<usize>)> + '_ {
        let by_tap = self.by_tap();
        let seen = move |at: &usize| !by_tap || at % self.stride[axis] < self.kernel[axis];
        (0..self.seen(axis)).filter(seen).map(move |at| {
            let source = usize::try_from(self.start[axis] + at as isize).ok().filter(|&at| at < self.size[axis]);
            (self.slot(axis, at), source)
        })
    }

    /// The rows of the kernel of which output row `y` sees a row of the image.
    fn rows_inside(&self, y: usize) -> Range<usize> {
        let first = self.start[0] + (y * self.stride[0]) as isize;
        let to = (self.size[0] as isize - first).clamp(0, self.kernel[0] as isize) as usize;
        ((-first).max(0) as usize).min(to)..to
    }
}

/// Images, or pairs of them, laid out in frames of zeros: of all, or of one after the other, `[rows, columns, side by
/// side, pitch]`, where neighbouring output columns see neighbours.
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
    /// `line` values are a line of the cache.
    fn new(correlation: Correlation, units: usize, line: usize) -> Self {
        let channels = correlation.channels;
        let (side, pitch) = match correlation.by_tap() {
            true => (units.max(1), apart(channels.next_multiple_of(STEP), line)),
            false => (1, channels),
        };
        let slots = [0, 1].map(|axis| correlation.slots(axis).collect());
        Self { correlation, units, side, pitch, slots }
    }

    /// Values that the frames take.
    fn len(&self) -> usize {
        self.units * self.correlation.seen(0) * self.correlation.seen(1) * self.pitch
    }

    /// Where the values of a pixel begin.
    fn at(&self, unit: usize, row: usize, column: usize) -> usize {
        let [rows, columns] = [0, 1].map(|axis| self.correlation.seen(axis));
        let (around, beside) = (unit / self.side, unit % self.side);
        (((around * rows + row) * columns + column) * self.side + beside) * self.pitch
    }

    /// From an output position to the next: of a unit to the one beside it, and of the last to the next column.
    fn step(&self) -> usize {
        if self.correlation.by_tap() { self.pitch } else { self.correlation.stride[1] * self.pitch }
    }

    /// How far from an output position what each [part](Correlation::parts) of the kernel sees begins.
    fn parts(&self) -> Vec<usize> {
        let [rows, columns] = self.correlation.kernel;
        let columns = if self.correlation.by_tap() { columns } else { columns.min(1) };
        let slot = |axis, at| self.correlation.slot(axis, at);
        (0..rows).flat_map(|row| (0..columns).map(move |column| self.at(0, slot(0, row), slot(1, column)))).collect()
    }

    /// Every row of output positions that follow each other evenly: its output row, and its first unit.
    fn lines(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.correlation.out[0]).flat_map(|y| (0..self.units).step_by(self.side).map(move |unit| (y, unit)))
    }

    /// Positions of such a row.
    fn line(&self) -> usize {
        self.correlation.out[1] * self.side
    }

    /// Calls `put` for every stretch of values that is seen: where it goes, and its unit and where in that its values
    /// begin, or nothing where it is outside of the image.
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
        let line = seen * self.side * self.pitch;
        let frame = self.at(self.side, 0, 0);
        let [from, to] = [before, before + inside].map(|column| column * channels);
        for &(slot, row) in rows {
            let line = |around: usize| around * frame + slot * line..around * frame + (slot + 1) * line;
            let Some(row) = row else {
                (0..self.units / self.side).for_each(|around| put(line(around), None));
                continue;
            };
            let row = row * size[1] * channels;
            if follow {
                for unit in 0..self.units {
                    let Range { start, end } = line(unit);
                    put(start..start + from, None);
                    put(start + from..start + to, Some((unit, row + first * channels)));
                    put(start + to..end, None);
                }
                continue;
            }
            for unit in 0..self.units {
                let start = line(unit / self.side).start + unit % self.side * self.pitch;
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

/// At least `len`, an odd number of cache lines of `line` values where they are many: rows that far apart do not compete
/// for the same few places in the cache, as they would a power of two apart.
pub(super) fn apart(len: usize, line: usize) -> usize {
    let lines = len.div_ceil(line);
    if lines < 4 { lines * line } else { (lines | 1) * line }
}

/// Two strips of rows, or one twice, that are multiplied together.
pub(super) struct Two {
    /// Where each begins.
    pub strips: [usize; 2],
    /// Which of the output pixels their rows are.
    pub targets: Range<usize>,
    /// The parts of the kernel that see more than zeros.
    pub parts: Range<usize>,
}

/// A group of images as rows of a matrix, [`STRIP`] by [`STRIP`]: of every output pixel what it sees.
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
        self.frame.len() + self.tail()
    }

    fn tail(&self) -> usize {
        STRIP * self.step + STEP
    }

    /// How far from a row what each part of the kernel sees begins.
    pub(super) fn parts(&self) -> Vec<usize> {
        self.frame.parts()
    }

    /// The images and output pixels, (image, y, x), in the order of the strips' rows.
    pub(super) fn pixels(&self) -> impl Iterator<Item = [usize; 3]> + '_ {
        let side = self.frame.side;
        self.frame
            .lines()
            .flat_map(move |(y, unit)| (0..self.frame.line()).map(move |at| [unit + at % side, y, at / side]))
    }

    /// All strips by twos.
    pub(super) fn twos(&self) -> Vec<Two> {
        let line = self.frame.line();
        // Where nothing is seen, nothing is laid out.
        let nothing = self.frame.correlation.kernel.contains(&0);
        let strips: Vec<(usize, usize, usize)> = self
            .frame
            .lines()
            .flat_map(|(y, unit)| {
                let start = self.frame.at(unit, y, 0);
                let place = move |at: usize| if nothing { 0 } else { start + at * self.step };
                (0..line).step_by(STRIP).map(move |at| (place(at), y, STRIP.min(line - at)))
            })
            .collect();
        // Where rows are no whole strips, no two of different rows are taken together: only a last one may be short.
        let run = if line.is_multiple_of(STRIP) { strips.len() } else { line.div_ceil(STRIP) };
        let [parts, _] = self.frame.correlation.parts();
        let [rows, _] = self.frame.correlation.kernel;
        let mut done = 0;
        let twos = strips.chunks(run.max(1)).flat_map(|run| run.chunks(2));
        twos.map(|two| {
            let (first, last) = (two[0], two[two.len() - 1]);
            let pixels = two.iter().map(|&(_, _, rows)| rows).sum::<usize>();
            let seen =
                two.iter().map(|&(_, y, _)| self.frame.correlation.rows_inside(y)).filter(|seen| !seen.is_empty());
            let seen = seen.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end)).unwrap_or(0..0);
            let each = parts.checked_div(rows).unwrap_or(0);
            done += pixels;
            Two { strips: [first.0, last.0], targets: done - pixels..done, parts: seen.start * each..seen.end * each }
        })
        .collect()
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
                Some((unit, from)) => to.copy_from_slice(&images[unit * image + from..][..to.len()]),
                None => to.fill(bf16::ZERO),
            }
        });
        // A last step reads beyond the last row, times zero.
        to[self.frame.len()..].fill(bf16::ZERO);
    }
}

/// A group of images by twos as columns of a matrix: of every output position of both, what it sees, value by value of
/// the one and the other.
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
        2 * (self.frame.len() + STRIP * self.step + STEP)
    }

    /// How far from a position what each part of the kernel sees begins, in pairs, and which steps see more than zeros.
    pub(super) fn parts(&self) -> Vec<(usize, Range<usize>)> {
        let correlation = self.frame.correlation;
        let parts = self.frame.parts();
        let of_row = self.steps().len().checked_div(correlation.out[0]).unwrap_or(0);
        let each = parts.len().checked_div(correlation.kernel[0]).unwrap_or(0).max(1);
        let seen = |row: usize| {
            let mut inside = (0..correlation.out[0]).filter(|&y| correlation.rows_inside(y).contains(&row));
            let first = inside.next();
            first.map_or(0..0, |first| first * of_row..(inside.next_back().unwrap_or(first) + 1) * of_row)
        };
        parts.into_iter().enumerate().map(|(part, at)| (at, seen(part / each))).collect()
    }

    /// Where each step of positions begins, in pairs.
    pub(super) fn steps(&self) -> Vec<usize> {
        let line = self.frame.line();
        let steps = |(y, unit)| {
            let start = self.frame.at(unit, y, 0);
            (0..line).step_by(STRIP).map(move |at| start + at * self.step)
        };
        self.frame.lines().flat_map(steps).collect()
    }

    /// Lays out `images`, among zeros that are there. `in_turn` writes the values of two equally long slices in turn.
    #[inline(always)]
    pub(super) fn fill(&self, images: &[bf16], to: &mut [bf16], in_turn: impl Fn(&[bf16], &[bf16], &mut [bf16])) {
        let image = self.frame.correlation.image();
        let zeros = vec![bf16::ZERO; if self.images.is_multiple_of(2) { 0 } else { image }];
        self.frame.fill(|at, from| {
            let Some((unit, from)) = from else { return };
            let image_of = |index: usize| if index < self.images { &images[index * image..] } else { &zeros };
            let [first, second] = [2 * unit, 2 * unit + 1].map(|index| &image_of(index)[from..][..at.len()]);
            in_turn(first, second, &mut to[2 * at.start..2 * at.end]);
        });
    }

    /// Which pixel of the group's output images each position is.
    pub(super) fn pixels(&self) -> Vec<Option<u32>> {
        let [height, width] = self.frame.correlation.out;
        let side = self.frame.side;
        let mut pixels = Vec::new();
        for (y, unit) in self.frame.lines() {
            for at in 0..self.frame.line() {
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
