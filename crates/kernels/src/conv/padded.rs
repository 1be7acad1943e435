//! The layout of f32 images in frames of zeros.

use super::direct::QUAD;
use super::registers::block;
use super::shape::Conv;
use crate::buffer::Buffer;
use crate::element::Element;
use crate::isa::Isa;

/// Number of values of a cache line. No vector is longer.
pub(super) const LINE: usize = 16;

/// The layout of images with zeros around each image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Padded {
    /// Number of rows and number of columns of an image.
    image: [usize; 2],
    /// Number of rows of a frame.
    height: usize,
    /// Number of columns of a frame.
    width: usize,
    channels: usize,
    /// Number of rows of zeros above an image, and of columns of zeros to its left.
    pub margin: usize,
    /// Number of values after the last frame that may be read. The results do not depend on these
    /// values.
    slack: usize,
}

impl Padded {
    /// Returns the layout of the frames of a convolution's input.
    pub fn input(conv: &Conv) -> Self {
        Self {
            image: [conv.height, conv.width],
            height: conv.height + 2 * conv.padding,
            width: conv.width + 2 * conv.padding,
            channels: conv.inputs,
            margin: conv.padding,
            slack: QUAD * conv.stride * conv.inputs,
        }
        .for_winograd(conv)
    }

    /// Returns the layout of the frames of the output's gradient. The frames have room for every
    /// output that an input pixel contributes to, or would contribute to if the image were larger.
    pub fn gradient(isa: Isa, conv: &Conv) -> Self {
        let margin = (conv.kernel - 1 - conv.padding) / conv.stride;
        let extent =
            |size: usize, out: usize| margin + out.max((size - 1 + conv.padding) / conv.stride + 1);
        Self {
            image: [conv.out_height(), conv.out_width()],
            height: extent(conv.height, conv.out_height()),
            width: extent(conv.width, conv.out_width()),
            channels: conv.outputs,
            margin,
            slack: QUAD * conv.outputs + block(isa, conv.outputs),
        }
        .for_winograd(conv)
    }

    /// Extends the frame to the end of the last Winograd tile, if there are such tiles.
    fn for_winograd(self, conv: &Conv) -> Self {
        if !conv.is_minimal() {
            return self;
        }
        let [height, width] = [self.height, self.width].map(|size| size.next_multiple_of(2));
        Self { height, width, slack: LINE, ..self }
    }

    /// Returns the distance, in values, from a row to the next.
    pub fn row_pitch(&self) -> usize {
        self.width * self.channels
    }

    /// Returns the distance, in values, from an image to the next.
    pub fn image_pitch(&self) -> usize {
        self.height * self.row_pitch()
    }

    /// Returns the number of values of the frames of `images` images.
    pub fn len(&self, images: usize) -> usize {
        images * self.image_pitch() + self.slack
    }

    /// Creates frames of zeros for `images` images.
    pub fn zeros(&self, images: usize) -> Buffer {
        Buffer::zeros(self.len(images))
    }

    /// Returns the index of the first pixel of an image's row.
    pub fn offset(&self, image: usize, row: usize) -> usize {
        image * self.image_pitch()
            + (self.margin + row) * self.row_pitch()
            + self.margin * self.channels
    }

    /// Copies images into their frames, and leaves the frames' zeros unchanged.
    pub fn copy<T: Element>(&self, images: &[T], frames: &mut [f32]) {
        let [height, row_len] = [self.image[0], self.image[1] * self.channels];
        for (index, row) in images.chunks_exact(row_len).enumerate() {
            let start = self.offset(index / height, index % height);
            let to = frames[start..start + row_len].iter_mut();
            to.zip(row).for_each(|(to, value)| *to = value.widened());
        }
    }
}
