use burn::tensor::Tensor;

/// Scales every row of `[rows, dim]` to Euclidean norm 1. Rows of any magnitude are normalised
/// without overflow; a row of zeros stays as it is and has a finite gradient.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::normalise;
///
/// let rows = Tensor::<2>::from_floats([[3e30, 4e30], [0.0, 0.0]], &Device::flex());
/// let values: Vec<f32> = normalise(rows).into_data().try_into_vec().unwrap();
/// assert!((values[0] - 0.6).abs() < 1e-6 && values[2..] == [0.0, 0.0]);
/// ```
pub fn normalise(rows: Tensor<2>) -> Tensor<2> {
    // Divide by the largest entry first, so that squares neither overflow nor underflow.
    let largest = one_for_zero(rows.clone().detach().abs().max_dim(1));
    let rows = rows / largest;
    let squared = one_for_zero(rows.clone().powi_scalar(2).sum_dim(1));
    rows / squared.sqrt()
}

/// Scales each row of `[rows, dim]` whose Euclidean norm is above `longest` down to that norm, and
/// leaves all other rows unchanged.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use selfsame_methods::losses::shorten;
///
/// let rows = Tensor::<2>::from_floats([[8.0, 0.0], [0.5, 0.0]], &Device::flex());
/// let values: Vec<f32> = shorten(rows, 1.0).into_data().try_into_vec().unwrap();
/// assert_eq!(values, [1.0, 0.0, 0.5, 0.0]);
/// ```
pub fn shorten(rows: Tensor<2>, longest: f64) -> Tensor<2> {
    let largest = one_for_zero(rows.clone().detach().abs().max_dim(1));
    let scaled = rows.clone().detach() / largest.clone();
    // Compare in units of the largest entry, as in `normalise`: the square of 1e30 overflows an
    // f32.
    let too_long =
        scaled.powi_scalar(2).sum_dim(1).sqrt().greater(largest.recip().mul_scalar(longest));
    let dims = rows.dims();
    rows.clone().mask_where(too_long.expand(dims), normalise(rows).mul_scalar(longest))
}

fn one_for_zero(x: Tensor<2>) -> Tensor<2> {
    let zero = x.clone().equal_elem(0.0);
    x.mask_fill(zero, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn only_long_rows_are_shortened_and_gradients_stay_finite() {
        let device = Device::flex().autodiff();
        let rows = [[3.0f32, 4.0], [0.3, 0.4], [0.0, 0.0], [1e30, 0.0], [1e-30, 0.0]];
        let rows = Tensor::<2>::from_floats(rows, &device).require_grad();
        let shortened = shorten(rows.clone(), 2.0);
        let values: Vec<f32> = shortened.clone().into_data().try_into_vec().unwrap();
        let expected = [1.2, 1.6, 0.3, 0.4, 0.0, 0.0, 2.0, 0.0, 1e-30, 0.0];
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() <= 1e-6 * expected.abs(), "{values:?}");
        }
        // A shortened row does not move along its own direction. A short row does.
        let gradients = shortened.sum().backward();
        let gradient: Vec<f32> = rows.grad(&gradients).unwrap().into_data().try_into_vec().unwrap();
        assert!(gradient.iter().all(|v| v.is_finite()));
        assert!((gradient[0] * 3.0 + gradient[1] * 4.0).abs() < 1e-6, "{gradient:?}");
        assert_eq!(gradient[2..6], [1.0; 4]);
    }
}
