use burn::tensor::Tensor;

use super::{Loss, diagonal, total};

/// Constant added to the variance of a column before its square root is taken.
const EPSILON: f64 = 1e-5;

/// Computes the loss of Barlow Twins (Zbontar et al. 2021, equations 1 and 2).
///
/// `first` and `second` are `[batch, dim]`; row i of each is a view of image i. Each column is
/// standardised over the batch by its own mean and deviation, and C = firstᵀ·second / batch is
/// their cross-correlation. The terms are "on_diagonal", Σ_i (1 − C_ii)², and "off_diagonal",
/// Σ_{i≠j} C_ij²; the value is on_diagonal + `lambda`·off_diagonal.
///
/// The variance is the mean of squares, as in equation 2, plus 1e-5, as in the batch normalisation
/// of the authors' code. A constant column therefore has correlation 0 with every column.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::barlow_twins;
///
/// // Both columns agree between the views and with each other, so every entry of C is 1.
/// let z = Tensor::<2>::from_floats([[100.0, 200.0], [-100.0, -200.0]], &Device::flex());
/// let loss: f32 = barlow_twins(z.clone(), z, 0.25).value.into_scalar();
/// assert!((loss - 0.25 * 2.0).abs() < 1e-6);
/// ```
///
/// # Panics
/// If the shapes differ.
pub fn barlow_twins(first: Tensor<2>, second: Tensor<2>, lambda: f64) -> Loss {
    assert_eq!(first.dims(), second.dims(), "both views of every image");
    let [batch, dim] = first.dims();
    let correlation =
        standardise(first).transpose().matmul(standardise(second)).div_scalar(batch as f64);
    let diagonal = diagonal(dim, &correlation.device());
    let short_of_one =
        correlation.clone().sub_scalar(1.0).mask_fill(diagonal.clone().bool_not(), 0.0);
    let on_diagonal = total(short_of_one.powi_scalar(2));
    let off_diagonal = total(correlation.mask_fill(diagonal, 0.0).powi_scalar(2));
    Loss::weighted([("on_diagonal", on_diagonal, 1.0), ("off_diagonal", off_diagonal, lambda)])
}

fn standardise(rows: Tensor<2>) -> Tensor<2> {
    let centred = rows.clone() - rows.mean_dim(0);
    let variance = centred.clone().powi_scalar(2).mean_dim(0);
    centred / variance.add_scalar(EPSILON).sqrt()
}
