use burn::tensor::Tensor;

use super::Loss;
use super::contrast::{contrast, without_own_image};
use super::normalise::normalise;

/// Computes NT-Xent, the normalised temperature-scaled cross entropy: the loss of SimCLR (Chen et
/// al. 2020, equation 1).
///
/// `first` and `second` are `[batch, dim]`; row i of each is a view of image i. The rows need not
/// be normalised. With z the 2·batch normalised rows and j the row that views the same image as row
/// i, the loss is the mean over i of −log(exp(z_i·z_j / T) / Σ_{k≠i} exp(z_i·z_k / T)), in nats. A
/// row of zeros counts as orthogonal to every row. The terms are "alignment", the mean of −z_i·z_j
/// / T, and "divergence", the mean of log Σ_{k≠i} exp(z_i·z_k / T).
///
/// The temperature T is positive. The smaller T is, the more weight the nearest wrong images have.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::nt_xent;
///
/// // Two orthogonal images whose views agree, with T = 1:
/// let z = Tensor::<2>::from_floats([[3.0, 0.0], [0.0, 2.0]], &Device::flex());
/// let loss: f32 = nt_xent(z.clone(), z, 1.0).value.into_scalar();
/// let expected = ((1f32.exp() + 2.0) / 1f32.exp()).ln();
/// assert!((loss - expected).abs() < 1e-6);
/// ```
///
/// # Panics
/// If the shapes differ.
pub fn nt_xent(first: Tensor<2>, second: Tensor<2>, temperature: f64) -> Loss {
    assert_eq!(first.dims(), second.dims(), "both views of every image");
    let (first, second) = (normalise(first), normalise(second));
    let positives = (first.clone() * second.clone()).sum_dim(1).repeat(&[2, 1]);
    let z = Tensor::cat(vec![first, second], 0);
    let similarities = z.clone().matmul(z.transpose());
    contrast(
        positives.div_scalar(temperature),
        without_own_image(similarities.div_scalar(temperature)),
    )
}
