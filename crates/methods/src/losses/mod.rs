//! Losses: pure functions of embeddings.
//!
//! Embeddings are `[batch, dim]`; row i of the first argument and row i of the second are two views
//! of image i. A loss that needs normalised rows normalises them itself.

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

/// Value of a loss, and the terms that make up the loss.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The value to minimise, a single number.
    pub value: Tensor<1>,
    /// The terms without their weights, each with the name under which it is logged.
    pub terms: Vec<(&'static str, Tensor<1>)>,
}

impl Loss {
    /// Adds up terms, each multiplied by its weight: `(name, term, weight)`.
    ///
    /// # Panics
    /// If there is no term.
    pub fn weighted<const N: usize>(terms: [(&'static str, Tensor<1>, f64); N]) -> Self {
        let value = terms
            .iter()
            .map(|(_, term, weight)| term.clone().mul_scalar(*weight))
            .reduce(|a, b| a + b);
        let terms = terms.into_iter().map(|(name, term, _)| (name, term)).collect();
        Self { value: value.expect("a loss has a term"), terms }
    }

    /// Computes the mean of two losses that have the same terms, for methods that compare views in
    /// both directions.
    ///
    /// # Panics
    /// If the names of the terms differ.
    pub fn mean(one: Self, other: Self) -> Self {
        let names = |loss: &Self| loss.terms.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(&one), names(&other), "both losses have the same terms");
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

/// Sums a matrix row by row first. The last digits of Burn's own sum of a large matrix depend on
/// which thread finishes first.
fn total(matrix: Tensor<2>) -> Tensor<1> {
    matrix.sum_dim(1).sum()
}

/// Returns a `[size, size]` mask that is true on the diagonal.
fn diagonal(size: usize, device: &Device) -> Tensor<2, Bool> {
    Tensor::<2, Bool>::diag_mask([size, size], 0, device).bool_not()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(terms: &[(&'static str, f32)]) -> Loss {
        let device = Device::flex();
        let terms: Vec<_> =
            terms.iter().map(|&(name, x)| (name, Tensor::<1>::from_floats([x], &device))).collect();
        Loss { value: terms[0].1.clone(), terms }
    }

    #[test]
    fn a_mean_is_taken_term_by_term() {
        let mean = Loss::mean(loss(&[("a", 1.0), ("b", 2.0)]), loss(&[("a", 3.0), ("b", 6.0)]));
        let terms: Vec<_> =
            mean.terms.into_iter().map(|(name, x)| (name, x.into_scalar::<f32>())).collect();
        assert_eq!(terms, [("a", 2.0), ("b", 4.0)]);
    }

    #[test]
    #[should_panic(expected = "the same terms")]
    fn losses_of_different_terms_have_no_mean() {
        Loss::mean(loss(&[("a", 1.0), ("b", 2.0)]), loss(&[("b", 3.0)]));
    }
}
