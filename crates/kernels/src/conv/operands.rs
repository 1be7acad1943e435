//! What a convolution reads, what becomes of its outputs, and which gradients it is asked for.

use std::ops::Range;

use crate::buffer::Buffer;
use crate::element::Element;
use crate::isa::Isa;
use crate::norm::{self, Channels, Source};

/// What becomes of a convolution's outputs while they are in the cache.
#[derive(Clone, Copy)]
pub enum After<'a, T> {
    /// Their moments are gathered, before they are rounded.
    Moments,
    /// They are normalised, a residual is added where there is one, and ReLU comes last.
    Normalise {
        /// Statistics and coefficients.
        channels: &'a Channels,
        /// As long as the outputs.
        residual: Option<&'a [T]>,
        /// Whether negative outputs become zero.
        relu: bool,
    },
}

impl<'a, T> After<'a, T> {
    /// The same with another view of the residual, where there is one.
    pub(super) fn map_residual<U>(self, view: impl FnOnce(&'a [T]) -> &'a [U]) -> After<'a, U> {
        match self {
            Self::Moments => After::Moments,
            Self::Normalise { channels, residual, relu } => {
                After::Normalise { channels, residual: residual.map(view), relu }
            }
        }
    }
}

/// What a convolution reads: `[batch, height, width, inputs]`.
#[derive(Clone, Copy)]
pub enum Input<'a, T> {
    /// Values as they are.
    Ready(&'a [T]),
    /// An earlier convolution's outputs, which are normalised and go through ReLU as they are read.
    Convolved(&'a [T], &'a Channels),
}

impl<'a, T: Element> Input<'a, T> {
    /// The same, if the values are bf16.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn as_bf16(self) -> Option<Input<'a, half::bf16>> {
        Some(match self {
            Self::Ready(values) => Input::Ready(T::as_bf16(values)?),
            Self::Convolved(values, channels) => Input::Convolved(T::as_bf16(values)?, channels),
        })
    }

    /// The values as they are stored, normalised or not.
    pub(super) fn stored(self) -> &'a [T] {
        let (Self::Ready(values) | Self::Convolved(values, _)) = self;
        values
    }

    /// The values in `range`, normalised into `scratch` where that has yet to be done.
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

/// What [`backward`](super::backward) computes.
#[derive(Clone, Copy)]
pub struct Wanted<'a, T> {
    /// Whether the gradient of the input is computed.
    pub input: InputGradient<'a, T>,
    /// The weights' gradient from another use of the weights, which is added to this one.
    pub weights: Option<&'a [f32]>,
}

/// Whether the gradient of an input is computed.
#[derive(Clone, Copy)]
pub enum InputGradient<'a, T> {
    /// No.
    Unwanted,
    /// Yes.
    Wanted,
    /// Yes, and this gradient, from another use of the input, is added to it.
    Added(&'a [T]),
}
