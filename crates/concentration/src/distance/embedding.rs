use std::ops::ControlFlow;

use selfsame_kernels::distance::squared_f32;
use selfsame_kernels::isa::Isa;

use super::nearest::{NONE, Nearest};
use super::run::{Distances, Options, Run, Source};
use super::views::{ViewsError, check};

/// An encoder's outputs for the views of a set of images: `[image][view][value]`.
#[derive(Debug, Clone, Copy)]
pub struct Embeddings<'a> {
    pub(super) images: usize,
    pub(super) views: usize,
    pub(super) dim: usize,
    pub(super) values: &'a [f32],
}

impl<'a> Embeddings<'a> {
    /// Borrows `images` × `views` embeddings of `dim` values.
    ///
    /// # Errors
    /// No views or values, more than 65,536 views, another number of values, or one that is not
    /// finite.
    pub fn new(
        images: usize,
        views: usize,
        dim: usize,
        values: &'a [f32],
    ) -> Result<Self, ViewsError> {
        check(images, views, dim, values.len())?;
        if let Some((at, &value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite())
        {
            return Err(ViewsError::NotFinite { at, value });
        }
        Ok(Self { images, views, dim, values })
    }

    fn embedding(&self, image: usize, view: usize) -> &'a [f32] {
        &self.values[(image * self.views + view) * self.dim..][..self.dim]
    }
}

/// Squared distances of the nearest embeddings of all image pairs i < j, in f32; the search of
/// `options` is not used.
///
/// A key is off by at most (dim + 8)·2⁻²⁴ of itself, as long as no square underflows or overflows
/// (one that overflows is infinite). Of views with equal computed distances the first stands. On
/// one instruction set the answer is always the same; another sums in another order.
pub fn embedding_distances(embeddings: &Embeddings<'_>, options: &Options) -> Distances<f32> {
    let mut run = Run::of_embeddings(*embeddings);
    let _ = run.advance(options, &mut |_| ControlFlow::Continue(()));
    let keys = run.keys.iter().map(|&bits| f32::from_bits(bits as u32)).collect();
    Distances { n: embeddings.images, keys, pairs: run.pairs }
}

impl<'a> Run<'a> {
    /// The image pairs i < j of a set of embeddings.
    pub fn of_embeddings(embeddings: Embeddings<'a>) -> Self {
        Self::new(Source::Floats([embeddings; 2]), true)
    }
}

pub(super) fn nearest(isa: Isa, [a, b]: [&Embeddings<'_>; 2], [i, j]: [usize; 2]) -> Nearest {
    let mut nearest = NONE;
    for u in 0..a.views {
        for v in 0..b.views {
            let squared = squared_f32(isa, a.embedding(i, u), b.embedding(j, v));
            // The bits of floats that are not negative are ordered as they are.
            nearest = nearest.min((u64::from(squared.to_bits()), [u as u16, v as u16]));
        }
    }
    nearest
}
