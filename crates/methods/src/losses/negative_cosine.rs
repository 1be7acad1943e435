use burn::tensor::Tensor;

use super::Loss;
use super::normalise::normalise;

/// Mean of −cos over rows: the loss of SimSiam (Chen and He 2021, equation 1) and, as 2 + 2 times
/// it summed over both views, that of BYOL (Grill et al. 2020, equation 2).
///
/// `prediction` and `target` are `[batch, dim]`; they need not be normalised, and the cosine with a
/// row of zeros is 0. Both receive a gradient: the methods detach the target. Its one term,
/// "alignment", is the value itself.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::negative_cosine;
///
/// let rows = |x| Tensor::<2>::from_floats(x, &Device::flex());
/// let loss: f32 = negative_cosine(rows([[2.0, 0.0], [0.0, 1.0]]), rows([[3.0, 0.0], [1.0, 0.0]])).value.into_scalar();
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
