use burn::tensor::Tensor;

use super::Loss;
use super::normalise::normalise;

/// Computes the mean of −cos over rows: the loss of SimSiam (Chen and He 2021, equation 1). The
/// loss of BYOL (Grill et al. 2020, equation 2) is 2 + 2 times this mean, summed over both
/// directions.
///
/// `prediction` and `target` are `[batch, dim]`. Their rows need not be normalised; the cosine with
/// a row of zeros is 0. Both arguments receive gradients; the methods detach the target. The only
/// term, "alignment", is the value itself.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::negative_cosine;
///
/// let rows = |x| Tensor::<2>::from_floats(x, &Device::flex());
/// let (first, second) = (rows([[2.0, 0.0], [0.0, 1.0]]), rows([[3.0, 0.0], [1.0, 0.0]]));
/// let loss: f32 = negative_cosine(first, second).value.into_scalar();
/// assert_eq!(loss, -0.5);
/// ```
///
/// # Panics
/// If the shapes differ.
pub fn negative_cosine(prediction: Tensor<2>, target: Tensor<2>) -> Loss {
    assert_eq!(prediction.dims(), target.dims(), "a target for every prediction");
    let value = -(normalise(prediction) * normalise(target)).sum_dim(1).mean();
    Loss { value: value.clone(), terms: vec![("alignment", value)] }
}
