use burn::tensor::{Tensor, activation::log_softmax};

/// Normalised temperature-scaled cross entropy: the loss of SimCLR (Chen et al. 2020, equation 1).
///
/// `first` and `second` are `[batch, dim]`, row i of each a view of image i; they need not be normalised. With
/// z the 2·batch normalised rows and j the row that views the same image as row i, it is the mean over i of
/// −log(exp(z_i·z_j / T) / Σ_{k≠i} exp(z_i·z_k / T)), in nats. A row of zeros counts as orthogonal to all.
///
/// The temperature T is positive; the smaller, the more the nearest wrong images weigh.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::nt_xent;
///
/// // Two images whose views agree and which are orthogonal to each other, at T = 1:
/// let z = Tensor::<2>::from_floats([[3.0, 0.0], [0.0, 2.0]], &Device::flex());
/// let loss: f32 = nt_xent(z.clone(), z, 1.0).into_scalar();
/// let expected = ((1f32.exp() + 2.0) / 1f32.exp()).ln();
/// assert!((loss - expected).abs() < 1e-6);
/// ```
///
/// # Panics
/// If the shapes differ.
pub fn nt_xent(first: Tensor<2>, second: Tensor<2>, temperature: f64) -> Tensor<1> {
    assert_eq!(first.dims(), second.dims(), "both views of every image");
    let [batch, _] = first.dims();
    let z = normalise(Tensor::cat(vec![first, second], 0));
    let device = z.device();
    let itself = Tensor::<2>::eye(2 * batch, &device).greater_elem(0.5);
    let similarities = z.clone().matmul(z.transpose()).div_scalar(temperature);
    // A finite mask: the gradient of −∞ − −∞ would not be a number.
    let log_probabilities = log_softmax(similarities.mask_fill(itself, f32::MIN / 2.0), 1);
    let same_image = Tensor::<2>::eye(batch, &device);
    let [upper, lower] = [[0..batch, batch..2 * batch], [batch..2 * batch, 0..batch]]
        .map(|block| log_probabilities.clone().slice(block));
    ((upper + lower) * same_image).sum().div_scalar(-2.0 * batch as f64)
}

/// Rows brought to Euclidean norm 1; a row of zeros stays.
fn normalise(z: Tensor<2>) -> Tensor<2> {
    // Scaled by the largest entry first, so that the squares can neither overflow nor vanish. Where a row is all
    // zeros, dividing by 1 leaves it, with a finite gradient.
    let largest = one_for_zero(z.clone().detach().abs().max_dim(1));
    let z = z / largest;
    let squared = one_for_zero(z.clone().powi_scalar(2).sum_dim(1));
    z / squared.sqrt()
}

fn one_for_zero(x: Tensor<2>) -> Tensor<2> {
    let zero = x.clone().equal_elem(0.0);
    x.mask_fill(zero, 1.0)
}
