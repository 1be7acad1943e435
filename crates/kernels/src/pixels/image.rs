use thiserror::Error;

/// A borrowed image whose sides are known to agree with its number of bytes. It has 8 bits per
/// channel, rows from top to bottom, and pixels from left to right. The channels of a pixel are
/// neighbours (HWC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    width: u32,
    height: u32,
    channels: usize,
    pixels: &'a [u8],
}

/// The reason why bytes are not an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ImageError {
    /// An image without pixels.
    #[error("an image of {width}×{height} pixels is empty: both sides must be at least 1")]
    Empty {
        /// Number of pixels per row.
        width: u32,
        /// Number of rows.
        height: u32,
    },
    /// The number of bytes is not width × height × channels.
    #[error(
        "an image of {width}×{height} pixels and {channels} channels does not have {bytes} bytes: \
         it needs width × height × channels"
    )]
    Length {
        /// Number of pixels per row.
        width: u32,
        /// Number of rows.
        height: u32,
        /// Number of bytes per pixel.
        channels: usize,
        /// The given number of bytes.
        bytes: usize,
    },
}

/// An image that views are drawn of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbered<'a> {
    /// The image's number in its split, which is its number in the key of a view.
    pub number: u64,
    /// The image as measurements see it. A view without crop shows this.
    pub image: Image<'a>,
    /// What crops are drawn from: all of the picture, at a size of its own. It may be `image`.
    pub source: Image<'a>,
}

impl<'a> Numbered<'a> {
    /// Numbers an image whose crops are drawn from the image itself.
    pub fn new(number: u64, image: Image<'a>) -> Self {
        Self { number, image, source: image }
    }
}

impl<'a> Image<'a> {
    /// Borrows an RGB image of `width` × `height` pixels from its width × height × 3 bytes.
    ///
    /// # Errors
    /// If a side is 0, or if there is another number of bytes.
    pub fn rgb(width: u32, height: u32, pixels: &'a [u8]) -> Result<Self, ImageError> {
        Self::checked(width, height, 3, pixels)
    }

    /// Borrows an image of a single channel from its width × height bytes.
    ///
    /// # Errors
    /// If a side is 0, or if there is another number of bytes.
    pub fn grey(width: u32, height: u32, pixels: &'a [u8]) -> Result<Self, ImageError> {
        Self::checked(width, height, 1, pixels)
    }

    /// Returns the square RGB image of side `side` at the start of `pixels`.
    ///
    /// # Panics
    /// If `side` is 0, or there are fewer than side² × 3 bytes.
    pub fn square(side: u32, pixels: &'a [u8]) -> Self {
        assert!(side > 0, "an image of side 0 is empty");
        let length = side as usize * side as usize * 3;
        Self { width: side, height: side, channels: 3, pixels: &pixels[..length] }
    }

    /// Returns the square RGB images of side `side` that follow each other in `pixels`.
    ///
    /// # Panics
    /// If `side` is 0, or the last image is incomplete.
    pub fn squares(side: u32, pixels: &'a [u8]) -> Vec<Self> {
        let images = pixels.chunks_exact(side as usize * side as usize * 3);
        assert!(images.remainder().is_empty(), "the last image is incomplete");
        images.map(|pixels| Self::square(side, pixels)).collect()
    }

    fn checked(
        width: u32,
        height: u32,
        channels: usize,
        pixels: &'a [u8],
    ) -> Result<Self, ImageError> {
        if width == 0 || height == 0 {
            return Err(ImageError::Empty { width, height });
        }
        let length = u128::from(width) * u128::from(height) * channels as u128;
        if length != pixels.len() as u128 {
            return Err(ImageError::Length { width, height, channels, bytes: pixels.len() });
        }
        Ok(Self { width, height, channels, pixels })
    }

    /// Number of pixels per row.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Number of rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Number of bytes per pixel: 3 for RGB, or 1.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The bytes, row by row, with all channels of each pixel.
    pub fn pixels(&self) -> &'a [u8] {
        self.pixels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(Image::rgb(0, 3, &[]), Err(ImageError::Empty { width: 0, height: 3 }));
        assert_eq!(
            Image::rgb(2, 1, &[0; 5]),
            Err(ImageError::Length { width: 2, height: 1, channels: 3, bytes: 5 })
        );
        let huge = ImageError::Length { width: u32::MAX, height: u32::MAX, channels: 3, bytes: 0 };
        assert_eq!(Image::rgb(u32::MAX, u32::MAX, &[]), Err(huge));
        assert_eq!(Image::grey(2, 1, &[1, 2]).map(|image| image.pixels()), Ok(&[1, 2][..]));
        assert_eq!(Image::square(1, &[1, 2, 3, 4]), Image::rgb(1, 1, &[1, 2, 3]).unwrap());
    }

    #[test]
    fn squares_are_all_of_the_bytes() {
        let images = Image::squares(1, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(images, [Image::square(1, &[1, 2, 3]), Image::square(1, &[4, 5, 6])]);
    }

    #[test]
    #[should_panic(expected = "the last image is incomplete")]
    fn an_incomplete_square_is_refused() {
        Image::squares(1, &[1, 2, 3, 4]);
    }
}
