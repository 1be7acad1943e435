//! What an image is decoded to: which part of it is kept, how it is turned, and to which size it is
//! brought.

use std::ops::Range;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::facts::{Exif, Facts, Format};

/// Longest source, in multiples of its shorter side. Of a longer image, the middle is kept: crops of
/// a whole panorama would mostly be too narrow to be drawn.
const MAX_ASPECT: u32 = 4;

/// Returns whether an image is so long that its source is only its middle.
pub(crate) fn is_panorama(width: u32, height: u32) -> bool {
    let (shorter, longer) = (width.min(height), width.max(height));
    longer > shorter.saturating_mul(MAX_ASPECT)
}

/// What an image is decoded to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Side of the central square, in pixels.
    pub(crate) image: u32,
    /// Largest shorter side of the source, which keeps its aspect ratio, in pixels; at least
    /// `image`. If it is equal to `image`, the central square is the source.
    pub(crate) source: u32,
    pub(crate) exif: Exif,
}

impl Target {
    /// Returns whether nothing but the central square is kept of any image.
    pub(crate) fn only_squares(self) -> bool {
        self.source == self.image
    }

    /// Returns whether a source can have this size.
    pub(crate) fn allows(self, width: u32, height: u32) -> bool {
        let (shorter, longer) = (width.min(height), width.max(height));
        (self.image..=self.source).contains(&shorter) && longer <= shorter * MAX_ASPECT
    }

    /// Returns the part that is kept of an image of `width`x`height` pixels as its source.
    pub(crate) fn kept(self, width: u32, height: u32) -> Rectangle {
        let times = if self.only_squares() { 1 } else { MAX_ASPECT };
        Rectangle::central(width, height, width.min(height).saturating_mul(times))
    }

    /// Returns width and height that this part is resized to.
    pub(crate) fn resized(self, width: u32, height: u32) -> (u32, u32) {
        if self.only_squares() {
            return (self.image, self.image);
        }
        let shorter = width.min(height);
        let wanted = u64::from(shorter.clamp(self.image, self.source));
        let scaled = |length: u32| {
            let kept = u64::from(length.min(shorter.saturating_mul(MAX_ASPECT)));
            ((kept * wanted + u64::from(shorter) / 2) / u64::from(shorter)) as u32
        };
        (scaled(width), scaled(height))
    }
}

/// A rectangle in pixels of an image. Its edges may lie within pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rectangle {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Rectangle {
    /// Returns the middle of an image, at most `longest` pixels wide and high.
    fn central(width: u32, height: u32, longest: u32) -> Self {
        let (kept_width, kept_height) = (width.min(longest), height.min(longest));
        Self {
            left: ((width - kept_width) / 2).into(),
            top: ((height - kept_height) / 2).into(),
            width: kept_width.into(),
            height: kept_height.into(),
        }
    }

    /// Returns the central square of an image.
    pub(crate) fn square(width: u32, height: u32) -> Self {
        Self::central(width, height, width.min(height))
    }

    /// Returns where the rectangle lies in an image that is decoded at `scale` of its size, from
    /// this column and row on.
    pub(crate) fn scaled(self, scale: f64, (column, row): (u32, u32)) -> Self {
        Self {
            left: self.left * scale - f64::from(column),
            top: self.top * scale - f64::from(row),
            width: self.width * scale,
            height: self.height * scale,
        }
    }

    /// Returns where the rectangle lies after its image, of `width`x`height` pixels, is turned.
    pub(crate) fn turned(self, turn: Turn, (width, height): (f64, f64)) -> Self {
        let Self { left, top, width: wide, height: high } = self;
        let left = if turn.mirrors_columns { width - left - wide } else { left };
        let top = if turn.mirrors_rows { height - top - high } else { top };
        if turn.transposes {
            Self { left: top, top: left, width: high, height: wide }
        } else {
            Self { left, top, width: wide, height: high }
        }
    }
}

/// How an image is brought upright: it is mirrored first, then transposed.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) mirrors_columns: bool,
    pub(crate) mirrors_rows: bool,
    pub(crate) transposes: bool,
}

impl Turn {
    /// Returns how an image with these facts is turned.
    pub(crate) fn of(facts: &Facts, exif: Exif) -> Self {
        let orientation = if exif == Exif::Turn { facts.orientation } else { 1 };
        Self {
            mirrors_columns: matches!(orientation, 2 | 3 | 7 | 8),
            mirrors_rows: matches!(orientation, 3 | 4 | 6 | 7),
            transposes: orientation >= 5,
        }
    }

    /// Returns the turn from upright back to what is stored.
    pub(crate) fn back(self) -> Self {
        if self.transposes {
            let Self { mirrors_columns, mirrors_rows, .. } = self;
            Self { mirrors_columns: mirrors_rows, mirrors_rows: mirrors_columns, ..self }
        } else {
            self
        }
    }

    pub(crate) fn is_none(self) -> bool {
        !(self.mirrors_columns || self.mirrors_rows || self.transposes)
    }

    /// Returns width and height after turning.
    pub(crate) fn size(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.transposes { (height, width) } else { (width, height) }
    }
}

/// An image, or the part of it that is read for what is kept: 8-bit RGB, rows from the top, channels
/// interleaved, upright.
pub(crate) struct RgbImage {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<u8>,
    /// The part that is kept as the source.
    pub(crate) kept: Rectangle,
    /// The central square of the whole image.
    pub(crate) square: Rectangle,
    pub(crate) facts: Facts,
}

impl RgbImage {
    /// Makes an image of pixels that need no decoding.
    pub(crate) fn plain(width: u32, height: u32, pixels: Vec<u8>, target: Target) -> Self {
        let (kept, square) = (target.kept(width, height), Rectangle::square(width, height));
        let facts = Facts::new(Format::Plain, width, height);
        Self { width, height, pixels, kept, square, facts }
    }

    pub(crate) fn turned(self, turn: Turn) -> Self {
        if turn.is_none() {
            return self;
        }
        let [kept, square] = [self.kept, self.square]
            .map(|part| part.turned(turn, (self.width.into(), self.height.into())));
        let (width, height) = turn.size((self.width, self.height));
        let (stored, _) = self.pixels.as_chunks::<3>();
        let (last_column, last_row) = (self.width as usize - 1, self.height as usize - 1);
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for (y, x) in (0..height as usize).flat_map(|y| (0..width as usize).map(move |x| (y, x))) {
            let (column, row) = if turn.transposes { (y, x) } else { (x, y) };
            let column = if turn.mirrors_columns { last_column - column } else { column };
            let row = if turn.mirrors_rows { last_row - row } else { row };
            pixels.extend(stored[row * self.width as usize + column]);
        }
        Self { width, height, pixels, kept, square, facts: self.facts }
    }
}

/// The part of a stored image that is read for what is kept.
pub(crate) struct Part {
    pub(crate) columns: Range<u32>,
    pub(crate) rows: Range<u32>,
    pub(crate) kept: Rectangle,
    pub(crate) square: Rectangle,
}

impl Part {
    /// Returns what is read of an image of `width`x`height` pixels that is decoded at `1 /
    /// denominator` of its size, if `kept` is resized to `size`. What is read for `square`, at a
    /// smaller size, is within that: beside a square there is more of the source than a filter
    /// reaches.
    pub(crate) fn new(
        (width, height): (u32, u32),
        denominator: u32,
        [kept, square]: [Rectangle; 2],
        size: (u32, u32),
    ) -> Self {
        let scale = 1.0 / f64::from(denominator);
        let range = |start: f64, extent: f64, size: u32, length: u32| {
            let (start, extent) = (start * scale, extent * scale);
            // Reach of the filter, plus half a pixel to the start of its first pixel.
            let reach = (extent / f64::from(size)).max(1.0) + 0.5;
            let end = ((start + extent + reach).ceil() as u32).min(length.div_ceil(denominator));
            (start - reach).floor().max(0.0) as u32..end
        };
        let columns = range(kept.left, kept.width, size.0, width);
        let rows = range(kept.top, kept.height, size.1, height);
        let [kept, square] =
            [kept, square].map(|part| part.scaled(scale, (columns.start, rows.start)));
        Self { columns, rows, kept, square }
    }

    pub(crate) fn image(self, pixels: Vec<u8>, facts: Facts) -> RgbImage {
        RgbImage {
            width: self.columns.len() as u32,
            height: self.rows.len() as u32,
            pixels,
            kept: self.kept,
            square: self.square,
            facts,
        }
    }
}

/// An image file whose header was read, and how it becomes what is wanted.
pub(crate) struct Plan {
    pub(crate) facts: Facts,
    pub(crate) turn: Turn,
    /// The part that is kept, in pixels of the stored image.
    pub(crate) kept: Rectangle,
    /// The central square, in pixels of the stored image.
    pub(crate) square: Rectangle,
    /// Width and height that what is kept is resized to, before turning.
    pub(crate) size: (u32, u32),
}

impl Plan {
    pub(crate) fn new(facts: Facts, target: Target) -> Self {
        let stored = (facts.width, facts.height);
        let turn = Turn::of(&facts, target.exif);
        let (width, height) = turn.size(stored);
        let [kept, square] = [target.kept(width, height), Rectangle::square(width, height)]
            .map(|part| part.turned(turn.back(), (width.into(), height.into())));
        Self { facts, turn, kept, square, size: turn.size(target.resized(width, height)) }
    }

    pub(crate) fn part(&self, denominator: u32) -> Part {
        Part::new(
            (self.facts.width, self.facts.height),
            denominator,
            [self.kept, self.square],
            self.size,
        )
    }

    /// Makes the image of all stored pixels.
    pub(crate) fn whole(&self, pixels: Vec<u8>) -> RgbImage {
        let Facts { width, height, .. } = self.facts;
        let Self { kept, square, facts, .. } = *self;
        RgbImage { width, height, pixels, kept, square, facts }
    }
}

/// Collects the 8-bit RGB pixels of a part of an image, row by row, and what its samples tell.
pub(crate) struct Rows {
    pub(crate) part: Part,
    /// Samples per pixel: grey, grey and alpha, RGB, or RGB and alpha.
    pub(crate) channels: usize,
    pub(crate) facts: Facts,
    pub(crate) pixels: Vec<u8>,
    /// How often each 16-bit value occurs. Empty until there are such values.
    values: Vec<u32>,
    /// Hash of the opacity of all pixels.
    opacity: u64,
}

/// The hash of nothing, and the hash after a further byte: FNV-1a.
const NO_BYTES: u64 = 0xcbf2_9ce4_8422_2325;

fn hash(before: u64, byte: u8) -> u64 {
    (before ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

impl Rows {
    pub(crate) fn new(plan: &Plan, channels: usize) -> Self {
        let part = plan.part(1);
        let pixels = Vec::with_capacity(part.columns.len() * part.rows.len() * 3);
        Self { part, channels, facts: plan.facts, pixels, values: Vec::new(), opacity: NO_BYTES }
    }

    /// Takes the next row of 8-bit samples.
    pub(crate) fn push(&mut self, row: u32, samples: &[u8]) {
        if self.has_alpha() {
            for pixel in samples.chunks_exact(self.channels) {
                let alpha = pixel[self.channels - 1];
                self.facts.transparent |= alpha != u8::MAX;
                self.opacity = hash(self.opacity, alpha);
            }
        }
        if self.part.rows.contains(&row) {
            self.keep(samples);
        }
    }

    /// Takes all rows of 8-bit samples.
    pub(crate) fn push_all(&mut self, samples: &[u8]) {
        let lines = samples.chunks_exact(self.facts.width as usize * self.channels);
        (0..).zip(lines).for_each(|(row, line)| self.push(row, line));
    }

    /// Takes a whole canvas of transparent black with a picture of RGB or RGBA on it. The picture
    /// is `width` pixels wide, does not reach beyond the canvas on the right, and has its corner at
    /// `left` and `top`. There must be four channels.
    pub(crate) fn push_picture(
        &mut self,
        (left, top): (u32, u32),
        width: u32,
        channels: usize,
        samples: &[u8],
    ) {
        let (left, width) = (left as usize, width as usize);
        let mut line = vec![0; self.facts.width as usize * 4];
        // A picture of a GIF may be 0 pixels wide, which leaves no samples.
        let mut lines = samples.chunks_exact((width * channels).max(1));
        for row in 0..self.facts.height {
            line.fill(0);
            if row >= top
                && let Some(stored) = lines.next()
            {
                let place = line[left * 4..(left + width) * 4].chunks_exact_mut(4);
                for (pixel, stored) in place.zip(stored.chunks_exact(channels)) {
                    pixel[3] = u8::MAX;
                    pixel[..channels].copy_from_slice(stored);
                }
            }
            self.push(row, &line);
        }
    }

    /// Takes all rows of 16-bit samples.
    pub(crate) fn push_all_deep(&mut self, samples: &[u8]) {
        let lines = samples.chunks_exact(self.facts.width as usize * self.channels * 2);
        (0..).zip(lines).for_each(|(row, line)| self.push_deep(row, line));
    }

    /// Takes the next row of 16-bit samples, each with its upper byte first.
    pub(crate) fn push_deep(&mut self, row: u32, samples: &[u8]) {
        let (pairs, _) = samples.as_chunks::<2>();
        if self.values.is_empty() {
            self.values.resize(1 << 16, 0);
            self.facts.dropped = NO_BYTES;
        }
        for pixel in pairs.chunks_exact(self.channels) {
            let (colours, alpha) = pixel.split_at(self.channels - usize::from(self.has_alpha()));
            for &pair in colours {
                self.values[usize::from(u16::from_be_bytes(pair))] += 1;
                self.facts.dropped = hash(self.facts.dropped, pair[1]);
            }
            for &byte in alpha.as_flattened() {
                self.facts.transparent |= byte != u8::MAX;
                self.opacity = hash(self.opacity, byte);
            }
        }
        if self.part.rows.contains(&row) {
            let upper: Vec<u8> = pairs.iter().map(|pair| pair[0]).collect();
            self.keep(&upper);
        }
    }

    fn has_alpha(&self) -> bool {
        self.channels.is_multiple_of(2)
    }

    fn keep(&mut self, samples: &[u8]) {
        let Range { start, end } = self.part.columns;
        let samples = &samples[start as usize * self.channels..end as usize * self.channels];
        match self.channels {
            3 => self.pixels.extend_from_slice(samples),
            4 => self
                .pixels
                .extend(samples.as_chunks::<4>().0.iter().flat_map(|&[r, g, b, _]| [r, g, b])),
            grey => self.pixels.extend(samples.chunks_exact(grey).flat_map(|pixel| [pixel[0]; 3])),
        }
    }

    pub(crate) fn image(mut self) -> RgbImage {
        self.facts.range = range(&self.values);
        if self.facts.transparent {
            self.facts.dropped ^= self.opacity;
        }
        self.part.image(self.pixels, self.facts)
    }
}

/// Returns the least and the greatest value, given how often each occurs. A thousandth of them at
/// either end does not count.
fn range(values: &[u32]) -> Option<(u16, u16)> {
    let all: u64 = values.iter().map(|&count| u64::from(count)).sum();
    let passes = |passed: &mut u64, count: u32| {
        *passed += u64::from(count);
        *passed > all / 1000
    };
    let (mut below, mut above) = (0, 0);
    let least = values.iter().position(|&count| passes(&mut below, count))?;
    let greatest = values.iter().rposition(|&count| passes(&mut above, count))?;
    Some((least as u16, greatest as u16))
}

/// Resizes what is kept of `image` as its source to `size`.
pub(crate) fn fit(image: &RgbImage, size: (u32, u32), out: &mut [u8]) -> Result<(), String> {
    resize(image, image.kept, size, out)
}

/// Resizes the central square of `image`, and therefore its shorter side, to `size`.
pub(crate) fn fit_square(image: &RgbImage, size: u32, out: &mut [u8]) -> Result<(), String> {
    resize(image, image.square, (size, size), out)
}

/// Resizes a part of `image` to `width`x`height` with Pillow's antialiased bilinear filter, whose
/// support grows with the reduction. What already has this size is copied.
fn resize(
    image: &RgbImage,
    part: Rectangle,
    (width, height): (u32, u32),
    out: &mut [u8],
) -> Result<(), String> {
    let Rectangle { left, top, width: wide, height: high } = part;
    if (image.width, image.height) == (width, height)
        && (wide, high) == (width.into(), height.into())
    {
        out.copy_from_slice(&image.pixels);
        return Ok(());
    }
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
        .crop(left, top, wide, high);
    // The typed call compiles only the code for this kind of pixel.
    let source = TypedImageRef::<U8x3>::from_buffer(image.width, image.height, &image.pixels);
    let source = source.map_err(|error| format!("cannot be resized: {error}"))?;
    let target = TypedImage::<U8x3>::from_buffer(width, height, out);
    let mut target = target.map_err(|error| format!("cannot be resized: {error}"))?;
    Resizer::new()
        .resize_typed(&source, &mut target, &options)
        .map_err(|error| format!("cannot be resized: {error}"))
}
