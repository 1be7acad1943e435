use burn::tensor::{Int, Tensor, TensorData};

use super::Loss;
use super::contrast::contrast;
use super::normalise::normalise;

/// Computes InfoNCE (van den Oord et al. 2018) with a queue of negatives: the loss of MoCo (He et
/// al. 2020, equation 1).
///
/// `queries` and `keys` are `[batch, dim]`; row i of each is a view of image i. `negatives` is
/// `[count, dim]`, shared by all queries. With all rows normalised, the loss is the mean over i of
/// −log(exp(q_i·k_i / T) / (exp(q_i·k_i / T) + Σ_m exp(q_i·n_m / T))), in nats. The terms are
/// "alignment", the mean of −q_i·k_i / T, and "divergence", the mean of the logarithm of the
/// denominator. Keys and negatives receive gradients as well; MoCo detaches both.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::info_nce;
///
/// // The key points in the direction of the query, the negative in the opposite one. T = 1:
/// let row = |x: f32, y: f32| Tensor::<2>::from_floats([[x, y]], &Device::flex());
/// let loss: f32 = info_nce(row(1.0, 1.0), row(2.0, 2.0), row(-1.0, -1.0), 1.0).value.into_scalar();
/// assert!((loss - (1.0 + (-2f32).exp()).ln()).abs() < 1e-6);
/// ```
///
/// # Panics
/// If `queries` and `keys` differ in shape, `negatives` differs in width, or there are no
/// negatives.
pub fn info_nce(
    queries: Tensor<2>,
    keys: Tensor<2>,
    negatives: Tensor<2>,
    temperature: f64,
) -> Loss {
    assert_eq!(queries.dims(), keys.dims(), "a key for every query");
    let [count, dim] = negatives.dims();
    assert_eq!(queries.dims()[1], dim, "negatives as wide as queries");
    assert!(count > 0, "at least one negative");
    let (queries, keys, negatives) = (normalise(queries), normalise(keys), normalise(negatives));
    let positives = (queries.clone() * keys).sum_dim(1);
    let similarities = queries.matmul(negatives.transpose());
    contrast(positives.div_scalar(temperature), similarities.div_scalar(temperature))
}

/// Computes InfoNCE with chosen negatives from the batch.
///
/// `first` and `second` are `[batch, dim]`; row i of each is a view of image i. The positive of row
/// i of `first` is row i of `second`. The negatives are rows (i + s) mod batch of `second`, for
/// every s in `shifts`. Value and terms are defined as for [`info_nce`]. With one shift and T = 1,
/// this loss estimates the loss that Huang et al. (ICLR 2023) bound, which has one negative for
/// each positive.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::info_nce_sampled;
///
/// // Views that agree; the next image, the negative, is orthogonal. T = 1:
/// let z = Tensor::<2>::from_floats([[1.0, 0.0], [0.0, 1.0]], &Device::flex());
/// let loss: f32 = info_nce_sampled(z.clone(), z, &[1], 1.0).value.into_scalar();
/// assert!((loss - (1.0 + (-1f32).exp()).ln()).abs() < 1e-6);
/// ```
///
/// # Panics
/// If the shapes differ, `shifts` is empty, or a shift lies outside 1..batch.
pub fn info_nce_sampled(
    first: Tensor<2>,
    second: Tensor<2>,
    shifts: &[usize],
    temperature: f64,
) -> Loss {
    assert_eq!(first.dims(), second.dims(), "both views of every image");
    let [batch, _] = first.dims();
    assert!(!shifts.is_empty(), "at least one shift");
    assert!(
        shifts.iter().all(|shift| (1..batch).contains(shift)),
        "shifts {shifts:?} within 1..{batch}"
    );
    let (first, second) = (normalise(first), normalise(second));
    let positives = (first.clone() * second.clone()).sum_dim(1);
    let columns: Vec<i64> =
        (0..batch).flat_map(|i| shifts.iter().map(move |s| ((i + s) % batch) as i64)).collect();
    let columns = Tensor::<2, Int>::from_data(
        TensorData::new(columns, [batch, shifts.len()]),
        &first.device(),
    );
    let similarities = first.matmul(second.transpose()).gather(1, columns);
    contrast(positives.div_scalar(temperature), similarities.div_scalar(temperature))
}
