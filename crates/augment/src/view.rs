use selfsame_kernels::isa::Isa;
use selfsame_kernels::pixels::{Image, interleave};

use crate::draw::{Adjustment, CropBox, Draw, GaussianBlur, Shift, Turn};
use crate::error::ViewError;
use crate::key::ViewKey;
use crate::pixels::{blur, colour, geometry, resize};
use crate::policy::{Limit, Policy};

fn byte_count(width: u32, height: u32, channels: usize) -> Option<usize> {
    usize::try_from(width).ok()?.checked_mul(usize::try_from(height).ok()?)?.checked_mul(channels)
}

/// The instruction set to use, and memory for intermediate results. The memory is reused for every
/// view and grows only for a crop that is larger, or a blur that is stronger, than all before.
///
/// No view depends on the content of this memory. Each thread has its own. It grows to a few times
/// the larger of the crop and the view, with each column counted as at least 32 bytes.
#[derive(Debug, Clone)]
pub struct Scratch {
    isa: Isa,
    planes: Vec<u8>,
    moved: Vec<u8>,
    resize: resize::Scratch,
    blur: blur::Scratch,
}

impl Scratch {
    /// Makes memory for one instruction set. Every instruction set gives the same views.
    pub fn new(isa: Isa) -> Self {
        Self {
            isa,
            planes: Vec::new(),
            moved: Vec::new(),
            resize: resize::Scratch::default(),
            blur: blur::Scratch::default(),
        }
    }
}

impl Default for Scratch {
    /// Makes memory for the fastest instruction set of this machine.
    fn default() -> Self {
        Self::new(Isa::best())
    }
}

impl Policy {
    /// Writes the view `key` of `image` to `out`: `size` × `size` pixels with the image's channels.
    ///
    /// The view depends only on the policy, the key, the image and the size. A policy without crop
    /// shows the image's central square.
    ///
    /// # Errors
    /// `size` is 0, or the length of `out` is not size × size × channels bytes.
    pub fn view(
        &self,
        key: ViewKey,
        image: Image<'_>,
        size: u32,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<(), ViewError> {
        self.draw(key, image.width(), image.height()).apply(image, size, scratch, out)
    }
}

impl Draw {
    /// Writes the view of `image` that this draw describes to `out`: `size` × `size` pixels with
    /// the image's channels.
    ///
    /// # Errors
    /// `size` is 0, the length of `out` is not size × size × channels bytes, the crop is not inside
    /// the image, or a parameter is outside the range given at its field. This can happen because a
    /// draw may come from a file.
    pub fn apply(
        &self,
        image: Image<'_>,
        size: u32,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) -> Result<(), ViewError> {
        let channels = image.channels();
        if size == 0 {
            return Err(ViewError::EmptyView);
        }
        if byte_count(size, size, channels) != Some(out.len()) {
            return Err(ViewError::OutputLength { size, channels, bytes: out.len() });
        }
        if let Some(crop) = self.crop {
            check_crop(crop, image)?;
        }
        self.check_parameters()?;
        self.paint(image, size as usize, scratch, out);
        Ok(())
    }

    /// Writes the view without the checks of [`apply`](Self::apply), for a draw that a policy made
    /// for this image.
    pub(crate) fn paint(
        &self,
        image: Image<'_>,
        size: usize,
        scratch: &mut Scratch,
        out: &mut [u8],
    ) {
        let channels = image.channels();
        let crop = self.crop.unwrap_or_else(|| central_square(image));
        let Scratch { isa, planes, moved, resize, blur } = scratch;
        planes.resize(out.len(), 0);
        resize::resize(*isa, image, crop, self.interpolation, size, planes, resize);
        if let Some(shift) = self.shift {
            geometry::shift(planes, size, shift, moved);
        }
        if let Some(turn) = self.rotation {
            geometry::rotate(planes, size, turn, moved);
        }
        if self.flip {
            planes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        if self.vertical_flip {
            planes
                .chunks_exact_mut(size * size)
                .for_each(|plane| geometry::reverse_rows(plane, size));
        }
        colour::jitter_and_grey(*isa, planes, channels, self.jitter.as_ref(), self.grey);
        if let Some(parameters) = self.blur {
            blur::gaussian(*isa, planes, size, parameters, blur);
        }
        if let Some(threshold) = self.solarise {
            colour::solarise(*isa, planes, channels, threshold);
        }
        match channels {
            1 => out.copy_from_slice(planes),
            _ => interleave(*isa, planes, out),
        }
    }

    fn check_parameters(&self) -> Result<(), ViewError> {
        for adjustment in self.jitter.iter().flatten() {
            match *adjustment {
                Adjustment::Brightness(factor) => check("brightness", factor, &Limit::FACTOR)?,
                Adjustment::Contrast(factor) => check("contrast", factor, &Limit::FACTOR)?,
                Adjustment::Saturation(factor) => check("saturation", factor, &Limit::FACTOR)?,
                Adjustment::Hue(turn) => check("hue", turn, &Limit::HUE)?,
            }
        }
        if let Some(Shift { right, down, .. }) = self.shift {
            check("shift.right", right.into(), &Limit::SHIFT)?;
            check("shift.down", down.into(), &Limit::SHIFT)?;
        }
        if let Some(Turn { degrees, .. }) = self.rotation {
            check("rotation.degrees", degrees, &Limit::DEGREES)?;
        }
        if let Some(GaussianBlur { sigma, side, kernel }) = self.blur {
            check("blur.sigma", sigma, &Limit::SIGMA)?;
            side.map_or(Ok(()), |side| check("blur.side", side.into(), &Limit::SIDE))?;
            kernel.map_or(Ok(()), |kernel| check("blur.kernel", kernel.into(), &Limit::KERNEL))?;
        }
        Ok(())
    }
}

/// Returns the part that a view without crop shows. An odd pixel is left over at the right or at
/// the bottom.
fn central_square(image: Image<'_>) -> CropBox {
    let side = image.width().min(image.height());
    let [left, top] = [image.width(), image.height()].map(|length| (length - side) / 2);
    CropBox { left, top, width: side, height: side }
}

fn check(field: &'static str, value: f64, limit: &Limit) -> Result<(), ViewError> {
    let Limit { holds, needed } = *limit;
    if holds(value) { Ok(()) } else { Err(ViewError::Parameter { field, value, needed }) }
}

fn check_crop(crop: CropBox, image: Image<'_>) -> Result<(), ViewError> {
    let inside =
        |start: u32, length: u32, full: u32| length > 0 && start <= full && length <= full - start;
    if inside(crop.left, crop.width, image.width()) && inside(crop.top, crop.height, image.height())
    {
        return Ok(());
    }
    Err(ViewError::CropOutside {
        crop_width: crop.width,
        crop_height: crop.height,
        left: crop.left,
        top: crop.top,
        width: image.width(),
        height: image.height(),
    })
}
