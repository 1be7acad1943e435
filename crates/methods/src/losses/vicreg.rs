use burn::tensor::{Tensor, activation::relu};

use super::{Loss, diagonal, total};

/// Constant added to the variance of a column before its square root is taken, so that the gradient
/// stays finite.
const EPSILON: f64 = 1e-4;

/// Weights of the terms of [`vicreg`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VicRegWeights {
    /// Weight of the distance between two views of an image; λ in the paper, which sets it to 25.
    pub invariance: f64,
    /// Weight of the shortfall of each column's deviation from 1; μ in the paper, which sets it to
    /// 25.
    pub variance: f64,
    /// Weight of the covariance between columns; ν in the paper, which sets it to 1.
    pub covariance: f64,
}

/// Computes the loss of VICReg (Bardes et al. 2022, equations 1 to 6).
///
/// `first` and `second` are `[batch, dim]`; row i of each is a view of image i. The value is the
/// weighted sum of the terms
/// - "invariance", the mean over rows and columns of (first − second)²;
/// - "variance", the mean over both views and all columns of max(0, 1 − √(var + 1e-4));
/// - "covariance", Σ_{i≠j} cov_ij² / dim, summed over both views,
///
/// where variances and covariances over the batch are divided by batch − 1. The published weights
/// belong to this form, which the authors' code has. In the equations of the paper, the invariance
/// is `dim` times as large and the variance is twice as large.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::{VicRegWeights, vicreg};
///
/// // The views agree, and the columns vary enough but not together, so the loss is 0.
/// let rows = [[2.0, 2.0], [2.0, -2.0], [-2.0, 2.0], [-2.0, -2.0]];
/// let z = Tensor::<2>::from_floats(rows, &Device::flex());
/// let weights = VicRegWeights { invariance: 25.0, variance: 25.0, covariance: 1.0 };
/// assert_eq!(vicreg(z.clone(), z, weights).value.into_scalar::<f32>(), 0.0);
/// ```
///
/// # Panics
/// If the shapes differ or the batch is smaller than 2.
pub fn vicreg(first: Tensor<2>, second: Tensor<2>, weights: VicRegWeights) -> Loss {
    assert_eq!(first.dims(), second.dims(), "both views of every image");
    let [batch, _] = first.dims();
    assert!(batch > 1, "a variance needs a batch of two or more, not {batch}");
    let invariance = (first.clone() - second.clone()).powi_scalar(2).mean_dim(1).mean();
    let [first, second] = [first, second].map(|rows| rows.clone() - rows.mean_dim(0));
    let variance = (shortfall(first.clone()) + shortfall(second.clone())).div_scalar(2.0);
    let covariance = redundancy(first) + redundancy(second);
    Loss::weighted([
        ("invariance", invariance, weights.invariance),
        ("variance", variance, weights.variance),
        ("covariance", covariance, weights.covariance),
    ])
}

/// Computes the mean over columns of max(0, 1 − deviation).
fn shortfall(centred: Tensor<2>) -> Tensor<1> {
    let [batch, _] = centred.dims();
    let variance = centred.powi_scalar(2).sum_dim(0).div_scalar((batch - 1) as f64);
    relu(1.0 - variance.add_scalar(EPSILON).sqrt()).mean()
}

/// Sums the squared covariances between different columns, divided by the number of columns.
fn redundancy(centred: Tensor<2>) -> Tensor<1> {
    let [batch, dim] = centred.dims();
    let covariance = centred.clone().transpose().matmul(centred).div_scalar((batch - 1) as f64);
    let variances = diagonal(dim, &covariance.device());
    total(covariance.mask_fill(variances, 0.0).powi_scalar(2)).div_scalar(dim as f64)
}
