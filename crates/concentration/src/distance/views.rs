use thiserror::Error;

/// The shape of a view: rows from top to bottom, with the channels of a pixel next to each other.
/// Data without such a shape is a single row with one channel. Distances do not depend on the
/// shape, but finding them is slower for a single row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Number of pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of bytes per pixel.
    pub channels: usize,
}

/// The views of a set of images, with the same number of views per image, as
/// `[image][view][row][pixel][channel]`.
#[derive(Debug, Clone, Copy)]
pub struct Views<'a> {
    pub(super) images: usize,
    pub(super) views: usize,
    pub(super) shape: Shape,
    pub(super) dim: usize,
    pub(super) bytes: &'a [u8],
}

/// Reasons why views cannot be compared.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ViewsError {
    /// A side or the number of views is zero.
    #[error("{views} views of {dim} values: each image needs a view, and each view a value")]
    Empty {
        /// Number of views per image.
        views: usize,
        /// Number of values per view.
        dim: usize,
    },
    /// There are more views per image than there are view numbers.
    #[error("{0} views an image, but at most 65536 have numbers")]
    TooManyViews(usize),
    /// The number of values differs from the announced number.
    #[error("{images} images of {views} views of {dim} values are not the {found} values given")]
    Length {
        /// Announced number of images.
        images: usize,
        /// Number of views per image.
        views: usize,
        /// Number of values per view.
        dim: usize,
        /// Number of given values.
        found: usize,
    },
    /// A value is not finite.
    #[error("value {at} is {value}: distances need finite values")]
    NotFinite {
        /// Index of the value.
        at: usize,
        /// The value itself.
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
    /// Borrows `images` × `views` views with shape `shape`. There may be no images.
    ///
    /// # Errors
    /// If there are no views, if the shape is empty, if there are more than 65,536 views per image,
    /// or if the number of bytes is wrong.
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

    /// Returns view `view` of image `image`.
    pub(super) fn view(&self, image: usize, view: usize) -> &'a [u8] {
        &self.bytes[(image * self.views + view) * self.dim..][..self.dim]
    }

    /// Returns all views of a range of images.
    pub(super) fn block(&self, images: std::ops::Range<usize>) -> &'a [u8] {
        let image = self.views * self.dim;
        &self.bytes[images.start * image..images.end * image]
    }
}
