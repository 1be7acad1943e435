//! The shape of a convolution.

use crate::isa::Isa;

/// Minimum number of channels for which Winograd's transforms cost less than the multiplications
/// that they save.
const WINOGRAD_CHANNELS: usize = 16;

/// A convolution of a batch of images with square kernels, without bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Number of images.
    pub batch: usize,
    /// Number of rows of an input image.
    pub height: usize,
    /// Number of columns of an input image.
    pub width: usize,
    /// Number of channels of the input.
    pub inputs: usize,
    /// Number of channels of the output.
    pub outputs: usize,
    /// Number of rows, and also of columns, of the kernel.
    pub kernel: usize,
    /// Distance, in pixels, by which the kernel moves from an output to the next.
    pub stride: usize,
    /// Width, in pixels, of the zeros around the image. It is less than `kernel`.
    pub padding: usize,
}

impl Conv {
    /// Number of rows of an output image.
    pub fn out_height(&self) -> usize {
        (self.height + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Number of columns of an output image.
    pub fn out_width(&self) -> usize {
        (self.width + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Number of values of an output image.
    pub fn out_image(&self) -> usize {
        self.out_height() * self.out_width() * self.outputs
    }

    /// Number of values of an input image.
    pub fn in_image(&self) -> usize {
        self.height * self.width * self.inputs
    }

    /// Whether the convolution is computed by Winograd's minimal filtering on an instruction set
    /// that does not multiply matrices.
    pub fn is_minimal(&self) -> bool {
        self.kernel == 3 && self.stride == 1 && self.inputs.min(self.outputs) >= WINOGRAD_CHANNELS
    }

    /// Number of floating-point operations of each pass of the convolution as `isa` computes it, in
    /// f32 or, with `bf16`, in bf16. A product and a sum count as one operation each. Minimal
    /// filtering counts as 16 products instead of the 36 of the plain sum, and its transforms do
    /// not count.
    ///
    /// ```
    /// use selfsame_kernels::conv::Conv;
    /// use selfsame_kernels::isa::Isa;
    ///
    /// let conv = Conv {
    ///     batch: 1,
    ///     height: 8,
    ///     width: 8,
    ///     inputs: 16,
    ///     outputs: 32,
    ///     kernel: 3,
    ///     stride: 1,
    ///     padding: 1,
    /// };
    /// let plain = 2.0 * 8.0 * 8.0 * 16.0 * 32.0 * 9.0;
    /// assert_eq!(conv.operations(Isa::available()[0], false), plain / 2.25);
    /// ```
    pub fn operations(&self, isa: Isa, bf16: bool) -> f64 {
        let plain =
            2.0 * (self.batch * self.out_image() * self.inputs * self.kernel * self.kernel) as f64;
        if self.is_minimal() && !(bf16 && isa.multiplies_bf16()) {
            plain * 16.0 / 36.0
        } else {
            plain
        }
    }

    /// Panics if the convolution is impossible, or if `weights` does not have the convolution's
    /// number of weights.
    pub(super) fn check(&self, weights: &[f32]) {
        assert!(
            self.kernel > 0 && self.stride > 0 && self.padding < self.kernel,
            "impossible {self:?}"
        );
        assert!(
            self.height + 2 * self.padding >= self.kernel
                && self.width + 2 * self.padding >= self.kernel,
            "kernel larger than the padded image: {self:?}"
        );
        assert!(self.inputs > 0 && self.outputs > 0, "no channels: {self:?}");
        assert_eq!(
            weights.len(),
            self.outputs * self.inputs * self.kernel * self.kernel,
            "length of the weights"
        );
    }

    /// Returns the taps, along one axis, that reach the input pixels `first`, `first + stride`, ….
    /// A tap reaches a pixel from the output (pixel + padding − tap) / stride, and the taps are in
    /// the order of these outputs.
    pub(super) fn taps_reaching(&self, first: usize) -> Vec<usize> {
        (0..self.kernel)
            .rev()
            .filter(|tap| (first + self.padding) % self.stride == tap % self.stride)
            .collect()
    }
}
