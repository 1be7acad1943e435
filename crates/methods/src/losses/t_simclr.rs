use burn::tensor::Tensor;

use super::Loss;
use super::contrast::{log_sum_exp, without_own_image};

/// Computes the loss of t-SimCLR (Hu et al. 2023): the objective of t-SNE, with the two views of an
/// image as neighbours.
///
/// `first` and `second` are `[batch, dim]`; row i of each is a view of image i. The rows are not
/// normalised. Let z be the 2·batch rows, j the row that views the same image as row i, ν the
/// degrees of freedom, T the temperature, and κ(a, b) = (1 + ‖a − b‖² / (T·ν))^(−(ν + 1) / 2)
/// Student's kernel. The loss is the mean over i of −log(κ(z_i, z_j) / Σ_{k≠l} κ(z_k, z_l)), in
/// nats. Unlike in NT-Xent, the sum runs over all pairs of rows. The terms are "alignment", the
/// mean of −log κ(z_i, z_j), and "divergence", the logarithm of the sum; the value is their sum.
///
/// Distances between different images are computed from inner products. This takes memory for
/// (2·batch)² values instead of dim times as many. The error of a distance is the f32 rounding
/// error of the squared distance between a row and the mean row. If this error is not small next to
/// T·ν, as with rows of length 1e4, images at the same place appear to be apart.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::t_simclr;
///
/// // Two images whose views agree, at squared distance T·ν = 1: κ = (1 + 1)^(−1) = ½.
/// let z = Tensor::<2>::from_floats([[0.0], [1.0]], &Device::flex());
/// let loss: f32 = t_simclr(z.clone(), z, 1.0, 1.0).value.into_scalar();
/// assert!((loss - (4.0 * 1.0 + 8.0 * 0.5f32).ln()).abs() < 1e-6);
/// ```
///
/// # Panics
/// If the shapes differ.
pub fn t_simclr(
    first: Tensor<2>,
    second: Tensor<2>,
    temperature: f64,
    degrees_of_freedom: f64,
) -> Loss {
    assert_eq!(first.dims(), second.dims(), "both views of every image");
    let log_kernel = |squared_distances: Tensor<2>| {
        let log = squared_distances.div_scalar(temperature * degrees_of_freedom).log1p();
        log.mul_scalar(-(degrees_of_freedom + 1.0) / 2.0)
    };
    let positives =
        log_kernel((first.clone() - second.clone()).powi_scalar(2).sum_dim(1).repeat(&[2, 1]));
    let negatives =
        without_own_image(log_kernel(squared_distances(Tensor::cat(vec![first, second], 0))));
    let each_row = log_sum_exp(Tensor::cat(vec![positives.clone(), negatives], 1));
    let alignment = -positives.mean();
    let divergence = log_sum_exp(each_row.transpose()).mean();
    Loss::weighted([("alignment", alignment, 1.0), ("divergence", divergence, 1.0)])
}

/// Computes the squared distances between all rows as ‖a‖² + ‖b‖² − 2a·b.
fn squared_distances(rows: Tensor<2>) -> Tensor<2> {
    // Subtracting the mean row leaves distances unchanged and makes rounding errors smaller.
    let rows = rows.clone() - rows.detach().mean_dim(0);
    let squares = rows.clone().powi_scalar(2).sum_dim(1);
    let products = rows.clone().matmul(rows.transpose());
    (squares.clone() + squares.transpose() - products.mul_scalar(2.0)).clamp_min(0.0)
}
