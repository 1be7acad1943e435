use burn::tensor::Tensor;

use super::Loss;
use super::contrast::{log_sum_exp, without_own_image};
use super::normalise::normalise;

/// Computes InfoNCE with alignment and divergence weighted separately, as alignment +
/// `lambda`·divergence (Huang et al., talk on "Towards the Generalization of Contrastive
/// Self-Supervised Learning", ICLR 2023).
///
/// `first` and `second` are `[batch, dim]`; row i of each is a view of image i. The rows need not
/// be normalised. With z the 2·batch normalised rows, the terms are "alignment", the mean over
/// images of the squared distance between the two views, and "divergence", the mean over i of log
/// Σ_k exp(z_i·z_k / T), where k runs over the rows that do not view the same image as row i.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::revised_infonce;
///
/// // Two orthogonal images whose views agree: each row has two negatives with logit 0.
/// let z = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &Device::flex());
/// let loss: f32 = revised_infonce(z.clone(), z, 0.5, 1.0).value.into_scalar();
/// assert!((loss - 0.5 * 2f32.ln()).abs() < 1e-6);
/// ```
///
/// # Panics
/// If the shapes differ or the batch is smaller than 2.
pub fn revised_infonce(first: Tensor<2>, second: Tensor<2>, lambda: f64, temperature: f64) -> Loss {
    assert_eq!(first.dims(), second.dims(), "both views of every image");
    let [batch, _] = first.dims();
    assert!(batch > 1, "a negative needs a batch of two or more, not {batch}");
    let (first, second) = (normalise(first), normalise(second));
    let alignment = (first.clone() - second.clone()).powi_scalar(2).sum_dim(1).mean();
    let z = Tensor::cat(vec![first, second], 0);
    let similarities = z.clone().matmul(z.transpose()).div_scalar(temperature);
    let divergence = log_sum_exp(without_own_image(similarities)).mean();
    Loss::weighted([("alignment", alignment, 1.0), ("divergence", divergence, lambda)])
}
