//! Arguments of a convolution: its input, the operation on its outputs, and the gradients that its
//! caller wants.

use std::ops::Range;

use crate::buffer::Buffer;
use crate::element::Element;
use crate::isa::Isa;
use crate::norm::{self, Channels, Source};

/// The operation on a convolution's outputs while they are in the cache.
#[derive(Clone, Copy)]
pub enum After<'a, T> {
    /// Gather the moments of the outputs before rounding.
    Moments,
    /// Normalise the outputs, add the residual, if any, and apply ReLU last.
    Normalise {
        /// Statistics and coefficients.
        channels: &'a Channels,
        /// Values to add, as many as there are outputs.
        residual: Option<&'a [T]>,
        /// Whether negative outputs become zero.
        relu: bool,
    },
}

impl<'a, T> After<'a, T> {
    /// Replaces the residual, if any, by another view of it.
    pub(super) fn map_residual<U>(self, view: impl FnOnce(&'a [T]) -> &'a [U]) -> After<'a, U> {
        match self {
            Self::Moments => After::Moments,
            Self::Normalise { channels, residual, relu } => {
                After::Normalise { channels, residual: residual.map(view), relu }
            }
        }
    }
}

/// The input of a convolution, `[batch, height, width, inputs]`.
#[derive(Clone, Copy)]
pub enum Input<'a, T> {
    /// Values that are read unchanged.
    Ready(&'a [T]),
    /// An earlier convolution's outputs, which are normalised and go through ReLU when they are
    /// read.
    Convolved(&'a [T], &'a Channels),
}

impl<'a, T: Element> Input<'a, T> {
    /// Returns this input as an input of bf16, or `None` if its values are not bf16.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn as_bf16(self) -> Option<Input<'a, half::bf16>> {
        Some(match self {
            Self::Ready(values) => Input::Ready(T::as_bf16(values)?),
            Self::Convolved(values, channels) => Input::Convolved(T::as_bf16(values)?, channels),
        })
    }

    /// Returns the values as they are stored, whether or not they are normalised.
    pub(super) fn stored(self) -> &'a [T] {
        let (Self::Ready(values) | Self::Convolved(values, _)) = self;
        values
    }

    /// Returns the values in `range`. If they are not normalised yet, they are normalised into
    /// `scratch`.
    pub(super) fn read<'b>(
        self,
        isa: Isa,
        range: Range<usize>,
        scratch: &'b mut Buffer<T>,
    ) -> &'b [T]
    where
        'a: 'b,
    {
        match self {
            Self::Ready(values) => &values[range],
            Self::Convolved(values, channels) => {
                let scratch = scratch.at_least(range.len());
                norm::normalise(isa, channels, Source::From(&values[range]), None, true, scratch);
                scratch
            }
        }
    }
}

/// The gradients that [`backward`](super::backward) computes.
#[derive(Clone, Copy)]
pub struct Wanted<'a, T> {
    /// Whether the gradient of the input is computed.
    pub input: InputGradient<'a, T>,
    /// The weights' gradient from another use of the weights. That gradient is added to the
    /// computed gradient.
    pub weights: Option<&'a [f32]>,
}

/// Whether the gradient of an input is computed.
#[derive(Clone, Copy)]
pub enum InputGradient<'a, T> {
    /// The gradient is not computed.
    Unwanted,
    /// The gradient is computed.
    Wanted,
    /// The gradient is computed, and the given gradient, from another use of the input, is added to
    /// it.
    Added(&'a [T]),
}
