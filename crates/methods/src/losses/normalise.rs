use burn::tensor::Tensor;

/// Rows brought to Euclidean norm 1, whatever their magnitude; a row of zeros stays, with a finite gradient.
pub fn normalise(rows: Tensor<2>) -> Tensor<2> {
    // Scaled by the largest entry first, so that the squares can neither overflow nor vanish.
    let largest = one_for_zero(rows.clone().detach().abs().max_dim(1));
    let rows = rows / largest;
    let squared = one_for_zero(rows.clone().powi_scalar(2).sum_dim(1));
    rows / squared.sqrt()
}

fn one_for_zero(x: Tensor<2>) -> Tensor<2> {
    let zero = x.clone().equal_elem(0.0);
    x.mask_fill(zero, 1.0)
}
