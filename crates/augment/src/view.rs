use crate::draw::{Adjustment, CropBox, Draw, ViewKey};
use crate::error::ViewError;
use crate::pixels::{blur, colour, resize};
use crate::policy::{MAX_SIGMA, Policy, SIGMA_SIDE};

/// An image to make views of: 8-bit RGB, rows from the top, the three channels side by side.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    width: u32,
    height: u32,
    pixels: &'a [u8],
}

impl<'a> Source<'a> {
    /// Borrows an image of `width` × `height` pixels from its width × height × 3 bytes.
    ///
    /// # Errors
    /// A side of 0, or another number of bytes.
    pub fn new(width: u32, height: u32, pixels: &'a [u8]) -> Result<Self, ViewError> {
        if width == 0 || height == 0 {
            return Err(ViewError::EmptySource { width, height });
        }
        if byte_count(width, height) != Some(pixels.len()) {
            return Err(ViewError::SourceLength { width, height, bytes: pixels.len() });
        }
        Ok(Self { width, height, pixels })
    }

    /// Pixels in a row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The bytes: row by row, R, G and B of each pixel.
    pub fn pixels(&self) -> &'a [u8] {
        self.pixels
    }
}

fn byte_count(width: u32, height: u32) -> Option<usize> {
    usize::try_from(width).ok()?.checked_mul(usize::try_from(height).ok()?)?.checked_mul(3)
}

/// Memory for intermediate results, kept from view to view so that none is taken after the first.
///
/// Holds nothing that a view depends on. One for each thread; it grows to the crop's height × the
/// view's side × 3 bytes and a few rows.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    resize: resize::Scratch,
    blur: blur::Scratch,
}

impl Policy {
    /// Writes the view `key` of `source`, `size` × `size` RGB pixels, to `out`.
    ///
    /// The view depends on nothing but the policy, the key, the source and the size. A policy without
    /// crop shows the whole image, resized to the square (its shape is not kept).
    ///
    /// # Errors
    /// A `size` of 0, or `out` not of size × size × 3 bytes.
    pub fn view(
        &self,
        key: ViewKey,
        source: Source<'_>,
        size: u32,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<(), ViewError> {
        self.draw(key, source.width, source.height).apply(source, size, scratch, out)
    }
}

impl Draw {
    /// Writes the view of `source` that this draw describes, `size` × `size` RGB pixels, to `out`.
    ///
    /// # Errors
    /// A `size` of 0, `out` not of size × size × 3 bytes, a crop that is not inside the source, or a
    /// parameter out of the range given at its field: a draw may come from a file.
    pub fn apply(&self, source: Source<'_>, size: u32, scratch: &mut Scratch, out: &mut [u8]) -> Result<(), ViewError> {
        if size == 0 {
            return Err(ViewError::EmptyView);
        }
        if byte_count(size, size) != Some(out.len()) {
            return Err(ViewError::OutputLength { size, bytes: out.len() });
        }
        let whole = CropBox { left: 0, top: 0, width: source.width, height: source.height };
        let crop = self.crop.unwrap_or(whole);
        check_crop(crop, whole)?;
        self.check_parameters()?;

        resize::bilinear(source, crop, size as usize, out, &mut scratch.resize);
        if self.flip {
            flip(out, size as usize);
        }
        for adjustment in self.jitter.iter().flatten() {
            match *adjustment {
                Adjustment::Brightness(factor) => colour::brightness(out, factor),
                Adjustment::Contrast(factor) => colour::contrast(out, factor),
                Adjustment::Saturation(factor) => colour::saturation(out, factor),
                Adjustment::Hue(turn) => colour::hue(out, turn),
            }
        }
        if self.grey {
            colour::grey(out);
        }
        if let Some(sigma) = self.blur {
            blur::gaussian(out, size as usize, sigma * f64::from(size) / SIGMA_SIDE, &mut scratch.blur);
        }
        Ok(())
    }

    fn check_parameters(&self) -> Result<(), ViewError> {
        for adjustment in self.jitter.iter().flatten() {
            let (field, value, low, high, needed) = match *adjustment {
                Adjustment::Brightness(factor) => {
                    ("brightness", factor, 0.0, f64::MAX, "a finite factor of at least 0")
                }
                Adjustment::Contrast(factor) => ("contrast", factor, 0.0, f64::MAX, "a finite factor of at least 0"),
                Adjustment::Saturation(factor) => {
                    ("saturation", factor, 0.0, f64::MAX, "a finite factor of at least 0")
                }
                Adjustment::Hue(turn) => ("hue", turn, -0.5, 0.5, "a turn from -0.5 to 0.5"),
            };
            if !(low..=high).contains(&value) {
                return Err(ViewError::Parameter { field, value, needed });
            }
        }
        match self.blur {
            Some(value) if !(value > 0.0 && value <= MAX_SIGMA) => {
                Err(ViewError::Parameter { field: "blur", value, needed: "a deviation above 0 and at most 32" })
            }
            _ => Ok(()),
        }
    }
}

fn check_crop(crop: CropBox, whole: CropBox) -> Result<(), ViewError> {
    let inside = |start: u32, length: u32, full: u32| length > 0 && start <= full && length <= full - start;
    if inside(crop.left, crop.width, whole.width) && inside(crop.top, crop.height, whole.height) {
        return Ok(());
    }
    Err(ViewError::CropOutside {
        crop_width: crop.width,
        crop_height: crop.height,
        left: crop.left,
        top: crop.top,
        width: whole.width,
        height: whole.height,
    })
}

fn flip(view: &mut [u8], size: usize) {
    for row in view.chunks_exact_mut(3 * size) {
        row.as_chunks_mut::<3>().0.reverse();
    }
}
