//! What the contrastive losses share: one positive logit a row held against the row's negatives.

use burn::tensor::{Bool, Device, Tensor, activation::softplus};

use super::{Loss, diagonal};

/// Stands for a logit that is left out: e to it is zero beside any other, and, unlike with −∞, its
/// differences are numbers.
const LEFT_OUT: f32 = f32::MIN / 2.0;

/// The mean over rows of −log(eᵖ / (eᵖ + Σ_m e^{n_m})), p the row's entry of `positives` (`[rows,
/// 1]`) and n_m those of `negatives` (`[rows, count]`). Its terms are "alignment", the mean of −p,
/// and "divergence", the mean of log(eᵖ + Σ_m e^{n_m}); the value is their sum.
pub(super) fn contrast(positives: Tensor<2>, negatives: Tensor<2>) -> Loss {
    // log(1 + eˣ) keeps its digits however small it is; the sum of the two terms would not.
    let losses = softplus(log_sum_exp(negatives) - positives.clone(), 1.0);
    let divergence = losses.clone() + positives.clone();
    Loss {
        value: losses.mean(),
        terms: vec![("alignment", -positives.mean()), ("divergence", divergence.mean())],
    }
}

/// Log of the sum of exponentials along each row, `[rows, 1]`.
pub(super) fn log_sum_exp(logits: Tensor<2>) -> Tensor<2> {
    let largest = logits.clone().detach().max_dim(1);
    (logits - largest.clone()).exp().sum_dim(1).log() + largest
}

/// The logits of all but the own image's two views, which become negligible. `logits` is `[2·batch,
/// 2·batch]`.
pub(super) fn without_own_image(logits: Tensor<2>) -> Tensor<2> {
    let own = own_image(logits.dims()[0] / 2, &logits.device());
    logits.mask_fill(own, LEFT_OUT)
}

/// Where rows i and j of the two views one after the other, `[2·batch, 2·batch]`, view the same
/// image.
pub(super) fn own_image(batch: usize, device: &Device) -> Tensor<2, Bool> {
    diagonal(batch, device).repeat(&[2, 2])
}
