use thiserror::Error;

/// The shape of a view: rows from the top, the channels of a pixel side by side. Data that has no
/// such shape is a single row with one channel; its distances are the same, but are found more
/// slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes a pixel.
    pub channels: usize,
}

/// The views of a set of images, equally many of each: `[image][view][row][pixel][channel]`.
#[derive(Debug, Clone, Copy)]
pub struct Views<'a> {
    pub(super) images: usize,
    pub(super) views: usize,
    pub(super) shape: Shape,
    pub(super) dim: usize,
    pub(super) bytes: &'a [u8],
}

/// Why views cannot be compared.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ViewsError {
    /// A side, or the number of views, of zero.
    #[error("{views} views of {dim} values: each image needs a view, and each view a value")]
    Empty {
        /// Views an image.
        views: usize,
        /// Values a view.
        dim: usize,
    },
    /// More views of an image than have numbers.
    #[error("{0} views an image, but at most 65536 have numbers")]
    TooManyViews(usize),
    /// The number of values is not the one announced.
    #[error("{images} images of {views} views of {dim} values are not the {found} values given")]
    Length {
        /// Images announced.
        images: usize,
        /// Views an image.
        views: usize,
        /// Values a view.
        dim: usize,
        /// Values given.
        found: usize,
    },
    /// A value that is not finite.
    #[error("value {at} is {value}: distances need finite values")]
    NotFinite {
        /// Its place.
        at: usize,
        /// What it is.
        value: f32,
    },
}

pub(super) fn check(
    images: usize,
    views: usize,
    dim: usize,
    found: usize,
) -> Result<(), ViewsError> {
    if views == 0 || dim == 0 {
        return Err(ViewsError::Empty { views, dim });
    }
    if views > 1 << 16 {
        return Err(ViewsError::TooManyViews(views));
    }
    if images.checked_mul(views).and_then(|count| count.checked_mul(dim)) != Some(found) {
        return Err(ViewsError::Length { images, views, dim, found });
    }
    Ok(())
}

impl<'a> Views<'a> {
    /// Borrows `images` × `views` views of `shape`. There may be no images.
    ///
    /// # Errors
    /// No views, an empty shape, more than 65,536 views, or another number of bytes.
    pub fn new(
        images: usize,
        views: usize,
        shape: Shape,
        bytes: &'a [u8],
    ) -> Result<Self, ViewsError> {
        let Shape { width, height, channels } = shape;
        let dim = width.saturating_mul(height).saturating_mul(channels);
        check(images, views, dim, bytes.len())?;
        Ok(Self { images, views, shape, dim, bytes })
    }

    /// View `view` of image `image`.
    pub(super) fn view(&self, image: usize, view: usize) -> &'a [u8] {
        &self.bytes[(image * self.views + view) * self.dim..][..self.dim]
    }

    /// All views of a range of images.
    pub(super) fn block(&self, images: std::ops::Range<usize>) -> &'a [u8] {
        let image = self.views * self.dim;
        &self.bytes[images.start * image..images.end * image]
    }
}
