//! NT-Xent against the formula's own double loop in f64, and its gradient against finite
//! differences.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use selfsame_methods::losses::nt_xent;

/// The formula, term by term.
fn oracle(rows: &[Vec<f64>], temperature: f64) -> f64 {
    let n = rows.len();
    let z: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            row.iter().map(|v| if norm > 0.0 { v / norm } else { 0.0 }).collect()
        })
        .collect();
    let similarity =
        |i: usize, k: usize| z[i].iter().zip(&z[k]).map(|(a, b)| a * b).sum::<f64>() / temperature;
    let mut total = 0.0;
    for i in 0..n {
        let positive = similarity(i, (i + n / 2) % n);
        // Relative to the positive, so that small temperatures do not overflow.
        let sum: f64 =
            (0..n).filter(|&k| k != i).map(|k| (similarity(i, k) - positive).exp()).sum();
        total += sum.ln();
    }
    total / n as f64
}

fn tensor(rows: &[Vec<f64>], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = rows.iter().flatten().map(|&v| v as f32).collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), rows[0].len()]), device)
}

fn ours(rows: &[Vec<f64>], temperature: f64) -> f64 {
    let device = Device::flex();
    let (first, second) = rows.split_at(rows.len() / 2);
    f64::from(
        nt_xent(tensor(first, &device), tensor(second, &device), temperature)
            .value
            .into_scalar::<f32>(),
    )
}

/// f32 values of the similarities carry an error of some dim · 2⁻²⁴, which the temperature divides;
/// the loss is 2-Lipschitz in them. The logarithm's own rounding is relative to the loss.
fn tolerance(dim: usize, temperature: f64, loss: f64) -> f64 {
    let unit = 2f64.powi(-24);
    2.0 * (dim as f64 + 4.0) * unit / temperature + 16.0 * unit * loss.abs() + 1e-7
}

fn check(rows: &[Vec<f64>], temperature: f64) {
    // The oracle sees the values as f32 holds them.
    let rows: Vec<Vec<f64>> =
        rows.iter().map(|r| r.iter().map(|&v| f64::from(v as f32)).collect()).collect();
    let (expected, found) = (oracle(&rows, temperature), ours(&rows, temperature));
    let allowed = tolerance(rows[0].len(), temperature, expected);
    assert!(
        (expected - found).abs() <= allowed,
        "expected {expected}, found {found}, allowed {allowed}"
    );
}

proptest! {
    #[test]
    fn equals_the_double_loop(
        batch in 1usize..9, dim in 1usize..20, temperature in 0.05f64..2.0, seed: u64, scale in -4i32..5
    ) {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let rows: Vec<Vec<f64>> = (0..2 * batch)
            .map(|_| (0..dim).map(|_| rng.random_range(-1.0..1.0) * 10f64.powi(scale)).collect())
            .collect();
        check(&rows, temperature);
    }
}

#[test]
fn holds_at_the_edges() {
    let one = |v: &[f64]| v.to_vec();
    // A single image has no negatives: the loss is log 1.
    assert_eq!(ours(&[one(&[1.0, 2.0]), one(&[-3.0, 1.0])], 0.5), 0.0);
    // Duplicates: 2·batch − 1 equal terms.
    let same = vec![one(&[0.3, -0.4]); 6];
    assert!((ours(&same, 0.5) - 5f64.ln()).abs() < 1e-6);
    // Huge, tiny and zero rows.
    check(&[one(&[1e19, 1e18]), one(&[1e-19, 0.0]), one(&[1e18, -1e19]), one(&[0.0, 1e-19])], 0.5);
    check(&[one(&[0.0, 0.0]), one(&[1.0, 0.0]), one(&[1.0, 1.0]), one(&[0.0, 0.0])], 0.5);
    // A temperature at which e^{1/T} is far outside f32.
    check(&[one(&[1.0, 0.0]), one(&[0.0, 1.0]), one(&[1.0, 0.1]), one(&[0.1, 1.0])], 0.005);
}

#[test]
fn gradient_equals_finite_differences_of_the_oracle() {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    for (batch, dim, temperature, scale) in
        [(1, 3, 0.5, 1.0), (2, 3, 0.5, 1.0), (5, 7, 0.1, 1.0), (3, 4, 1.0, 1e4)]
    {
        let rows: Vec<Vec<f64>> = (0..2 * batch)
            .map(|_| (0..dim).map(|_| f64::from(rng.random_range(-1f32..1.0)) * scale).collect())
            .collect();
        let device = Device::flex().autodiff();
        let (first, second) = rows.split_at(batch);
        let (a, b) =
            (tensor(first, &device).require_grad(), tensor(second, &device).require_grad());
        let mut gradients = nt_xent(a.clone(), b.clone(), temperature).value.backward();
        let found: Vec<f64> = [a, b]
            .into_iter()
            .flat_map(|t| {
                t.grad_remove(&mut gradients).unwrap().into_data().try_into_vec::<f32>().unwrap()
            })
            .map(f64::from)
            .collect();
        let step = 1e-5 * scale;
        let expected: Vec<f64> = (0..rows.len() * dim)
            .map(|at| {
                let mut moved = rows.clone();
                moved[at / dim][at % dim] += step;
                let up = oracle(&moved, temperature);
                moved[at / dim][at % dim] -= 2.0 * step;
                (up - oracle(&moved, temperature)) / (2.0 * step)
            })
            .collect();
        let norm = expected.iter().map(|g| g * g).sum::<f64>().sqrt();
        let error = expected.iter().zip(&found).map(|(e, f)| (e - f).powi(2)).sum::<f64>().sqrt();
        // Central differences err by step² relative, f32 by about 2⁻²⁴ times the terms of a row's
        // sum over T.
        let allowed = norm * 1e-5 + (batch * dim) as f64 * 2f64.powi(-22) / (temperature * scale);
        assert!(error <= allowed, "batch {batch}: error {error} of {norm}, allowed {allowed}");
        assert!(found.iter().all(|g| g.is_finite()));
    }
}

#[test]
fn gradient_of_a_zero_row_is_finite() {
    let device = Device::flex().autodiff();
    let a = Tensor::<2>::from_floats([[0.0, 0.0], [1.0, 0.0]], &device).require_grad();
    let b = Tensor::<2>::from_floats([[1.0, 1.0], [1.0, 0.5]], &device);
    let mut gradients = nt_xent(a.clone(), b, 0.5).value.backward();
    let gradient =
        a.grad_remove(&mut gradients).unwrap().into_data().try_into_vec::<f32>().unwrap();
    assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
}
