//! Losses: pure functions from embeddings to one number and the parts it is made of.
//!
//! Embeddings are `[batch, dim]`, row i of the first and row i of the second being two views of
//! image i. What a loss wants normalised, it normalises itself.

mod barlow_twins;
mod contrast;
mod cross_entropy;
mod info_nce;
mod negative_cosine;
mod normalise;
mod nt_xent;
mod revised_infonce;
mod simple_contrastive;
mod spectral;
mod t_simclr;
mod vicreg;

use burn::tensor::{Bool, Device, Tensor};

pub use barlow_twins::barlow_twins;
pub use cross_entropy::cross_entropy;
pub use info_nce::{info_nce, info_nce_sampled};
pub use negative_cosine::negative_cosine;
pub use normalise::{normalise, shorten};
pub use nt_xent::nt_xent;
pub use revised_infonce::revised_infonce;
pub use simple_contrastive::simple_contrastive;
pub use spectral::spectral;
pub use t_simclr::t_simclr;
pub use vicreg::{VicRegWeights, vicreg};

/// A loss and the named parts it is made of.
#[derive(Clone, Debug)]
pub struct Loss {
    /// What is minimised.
    pub value: Tensor<1>,
    /// Its parts, unweighted, by the names they are logged under.
    pub terms: Vec<(&'static str, Tensor<1>)>,
}

impl Loss {
    /// The sum of terms, each times its weight.
    pub(crate) fn weighted<const N: usize>(terms: [(&'static str, Tensor<1>, f64); N]) -> Self {
        let value = terms
            .iter()
            .map(|(_, term, weight)| term.clone().mul_scalar(*weight))
            .reduce(|a, b| a + b);
        let terms = terms.into_iter().map(|(name, term, _)| (name, term)).collect();
        Self { value: value.expect("a loss has a term"), terms }
    }

    /// Half of one and half of the other, which have the same terms: what methods do that compare
    /// both ways.
    pub(crate) fn mean(one: Self, other: Self) -> Self {
        let half = |a: Tensor<1>, b: Tensor<1>| (a + b).mul_scalar(0.5);
        let terms = one
            .terms
            .into_iter()
            .zip(other.terms)
            .map(|((name, a), (_, b))| (name, half(a, b)))
            .collect();
        Self { value: half(one.value, other.value), terms }
    }
}

/// The sum of a matrix, row by row: Burn's own sum of so many values as a large matrix has depends,
/// in its last digits, on which thread comes first.
fn total(matrix: Tensor<2>) -> Tensor<1> {
    matrix.sum_dim(1).sum()
}

/// Where row and column of a `[size, size]` matrix are the same.
fn diagonal(size: usize, device: &Device) -> Tensor<2, Bool> {
    Tensor::<2, Bool>::diag_mask([size, size], 0, device).bool_not()
}
