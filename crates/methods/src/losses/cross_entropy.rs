use burn::tensor::{Int, Tensor, activation::log_softmax};

use super::Loss;

/// Computes the cross entropy of a classification: the mean over rows of −log
/// softmax(logits)\[target\], in nats.
///
/// `logits` is `[rows, classes]`; `targets`, `[rows]`, is the class of each row, below `classes`.
/// The loss has no terms.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::cross_entropy;
///
/// // Four equally likely classes:
/// let device = Device::flex();
/// let loss = cross_entropy(Tensor::zeros([2, 4], &device), Tensor::from_ints([0, 3], &device));
/// assert!((loss.value.into_scalar::<f32>() - 4f32.ln()).abs() < 1e-6);
/// ```
///
/// # Panics
/// If the number of targets differs from the number of rows.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Loss {
    let [rows, _] = logits.dims();
    assert_eq!(rows, targets.dims()[0], "a target for every row");
    let log_probabilities = log_softmax(logits, 1).gather(1, targets.reshape([rows, 1]));
    Loss { value: -log_probabilities.mean(), terms: Vec::new() }
}
