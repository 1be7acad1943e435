//! The common core of the contrastive losses, in which each row has one positive logit and several
//! negative logits.

use burn::tensor::{Bool, Device, Tensor, activation::softplus};

use super::{Loss, diagonal};

/// Value of an excluded logit. Its exponential vanishes next to that of any other logit. Unlike −∞,
/// this value can be subtracted from itself.
const EXCLUDED: f32 = f32::MIN / 2.0;

/// Computes the mean over rows of −log(eᵖ / (eᵖ + Σ_m e^{n_m})), where p is the entry of the row in
/// `positives`, `[rows, 1]`, and n_m are its entries in `negatives`, `[rows, count]`. The terms are
/// "alignment", the mean of −p, and "divergence", the mean of log(eᵖ + Σ_m e^{n_m}); the value is
/// their sum.
pub(super) fn contrast(positives: Tensor<2>, negatives: Tensor<2>) -> Loss {
    // softplus(x) = log(1 + eˣ) stays accurate if the loss is small. The sum of the two terms would
    // lose digits.
    let losses = softplus(log_sum_exp(negatives) - positives.clone(), 1.0);
    let divergence = losses.clone() + positives.clone();
    Loss {
        value: losses.mean(),
        terms: vec![("alignment", -positives.mean()), ("divergence", divergence.mean())],
    }
}

/// Computes the logarithm of the sum of exponentials of each row, `[rows, 1]`.
pub(super) fn log_sum_exp(logits: Tensor<2>) -> Tensor<2> {
    let largest = logits.clone().detach().max_dim(1);
    (logits - largest.clone()).exp().sum_dim(1).log() + largest
}

/// Excludes every pair of rows that views the same image from `logits`, `[2·batch, 2·batch]`.
pub(super) fn without_own_image(logits: Tensor<2>) -> Tensor<2> {
    let same_image = own_image(logits.dims()[0] / 2, &logits.device());
    logits.mask_fill(same_image, EXCLUDED)
}

/// Returns a mask, `[2·batch, 2·batch]`, that is true where rows i and j view the same image. The
/// rows of the first view come first, then the rows of the second view.
pub(super) fn own_image(batch: usize, device: &Device) -> Tensor<2, Bool> {
    diagonal(batch, device).repeat(&[2, 2])
}
