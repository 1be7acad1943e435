use burn::tensor::Tensor;

use super::{Loss, diagonal, total};

/// Computes the spectral contrastive loss (HaoChen et al. 2021).
///
/// `first` and `second` are `[batch, dim]`; row i of each is a view of image i. The rows are not
/// normalised: the method bounds their length. The value is the sum of the terms "alignment", −2
/// times the mean over i of first_i·second_i, and "divergence", the mean over i ≠ j of
/// (first_i·second_j)².
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::spectral;
///
/// // Two orthogonal images whose views agree:
/// let z = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &Device::flex());
/// assert_eq!(spectral(z.clone(), z).value.into_scalar::<f32>(), -2.0);
/// ```
///
/// # Panics
/// If the shapes differ or the batch is smaller than 2.
pub fn spectral(first: Tensor<2>, second: Tensor<2>) -> Loss {
    assert_eq!(first.dims(), second.dims(), "both views of every image");
    let [batch, _] = first.dims();
    assert!(batch > 1, "a negative needs a batch of two or more, not {batch}");
    let alignment = (first.clone() * second.clone()).sum_dim(1).mean().mul_scalar(-2.0);
    let same_image = diagonal(batch, &first.device());
    let products = first.matmul(second.transpose()).mask_fill(same_image, 0.0);
    let divergence = total(products.powi_scalar(2)).div_scalar((batch * (batch - 1)) as f64);
    Loss::weighted([("alignment", alignment, 1.0), ("divergence", divergence, 1.0)])
}
