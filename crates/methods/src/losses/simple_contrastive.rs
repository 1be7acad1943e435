use burn::tensor::Tensor;

use super::contrast::own_image;
use super::normalise::normalise;
use super::{Loss, total};

/// Computes the simple contrastive loss (Huang et al., ICLR 2023): the limit of InfoNCE at high
/// temperature. This loss centres the embeddings, which may then collapse onto two opposite points.
///
/// `first` and `second` are `[batch, dim]`; row i of each is a view of image i. The rows need not
/// be normalised. With z the 2·batch normalised rows, the terms are "alignment", the mean of
/// −z_i·z_j over the pairs of rows that view the same image, and "divergence", the mean of z_i·z_k
/// over the pairs of rows that view different images. The pairs are taken among the rows of both
/// views. The value is alignment + `lambda`·divergence.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::simple_contrastive;
///
/// // Two opposite points are a minimum: alignment −1, divergence −1.
/// let z = Tensor::<2>::from_floats([[2.0, 0.0], [-1.0, 0.0]], &Device::flex());
/// assert_eq!(simple_contrastive(z.clone(), z, 1.0).value.into_scalar::<f32>(), -2.0);
/// ```
///
/// # Panics
/// If the shapes differ or the batch is smaller than 2.
pub fn simple_contrastive(first: Tensor<2>, second: Tensor<2>, lambda: f64) -> Loss {
    assert_eq!(first.dims(), second.dims(), "both views of every image");
    let [batch, _] = first.dims();
    assert!(batch > 1, "a negative needs a batch of two or more, not {batch}");
    let (first, second) = (normalise(first), normalise(second));
    let alignment = -(first.clone() * second.clone()).sum_dim(1).mean();
    let z = Tensor::cat(vec![first, second], 0);
    let similarities = z.clone().matmul(z.transpose());
    let same_image = own_image(batch, &similarities.device());
    let divergence =
        total(similarities.mask_fill(same_image, 0.0)).div_scalar((4 * batch * (batch - 1)) as f64);
    Loss::weighted([("alignment", alignment, 1.0), ("divergence", divergence, lambda)])
}
