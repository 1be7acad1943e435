use selfsame_kernels::distance::squared_f32;
use selfsame_kernels::isa::Isa;

use super::nearest::{NONE, Nearest};
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
    /// If there are no views or no values per view, if there are more than 65,536 views per image,
    /// if the number of values is wrong, or if a value is not finite.
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

/// Finds the nearest views of images `i` and `j`.
pub(super) fn nearest(isa: Isa, set: &Embeddings<'_>, [i, j]: [usize; 2]) -> Nearest {
    let mut nearest = NONE;
    for u in 0..set.views {
        for v in 0..set.views {
            let squared = squared_f32(isa, set.embedding(i, u), set.embedding(j, v));
            // The bits of floats that are not negative are ordered as the floats are.
            nearest = nearest.min((u64::from(squared.to_bits()), [u as u16, v as u16]));
        }
    }
    nearest
}
