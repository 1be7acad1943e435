//! Every loss, its terms and its gradient against double precision: `fixtures/losses.json`, made by
//! `fixtures/reference.py`. And what must stay finite where embeddings are degenerate.

use burn::tensor::{Device, Int, Tensor, TensorData};
use selfsame_methods::losses::*;
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/losses.json")).unwrap()
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn apply(loss: &str, tensors: &[Tensor<2>], parameters: &[Value]) -> Loss {
    let tensor = |i: usize| tensors[i].clone();
    let number = |i: usize| parameters[i].as_f64().unwrap();
    let indices = |i: usize| read::<Vec<usize>>(&parameters[i]);
    match loss {
        "nt_xent" => nt_xent(tensor(0), tensor(1), number(0)),
        "info_nce" => info_nce(tensor(0), tensor(1), tensor(2), number(0)),
        "info_nce_sampled" => info_nce_sampled(tensor(0), tensor(1), &indices(0), number(1)),
        "negative_cosine" => negative_cosine(tensor(0), tensor(1)),
        "barlow_twins" => barlow_twins(tensor(0), tensor(1), number(0)),
        "vicreg" => {
            let weights =
                VicRegWeights { invariance: number(0), variance: number(1), covariance: number(2) };
            vicreg(tensor(0), tensor(1), weights)
        }
        "spectral" => spectral(tensor(0), tensor(1)),
        "revised_infonce" => revised_infonce(tensor(0), tensor(1), number(0), number(1)),
        "simple_contrastive" => simple_contrastive(tensor(0), tensor(1), number(0)),
        "t_simclr" => t_simclr(tensor(0), tensor(1), number(0), number(1)),
        "cross_entropy" => {
            let targets: Vec<i64> = indices(0).into_iter().map(|v| v as i64).collect();
            let count = targets.len();
            let targets = Tensor::<1, Int>::from_data(
                TensorData::new(targets, [count]),
                &tensors[0].device(),
            );
            cross_entropy(tensor(0), targets)
        }
        other => panic!("no loss {other}"),
    }
}

fn leaf(values: &[f32], shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device).require_grad()
}

fn scalar(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}

fn gradients(value: &Tensor<1>, leaves: &[Tensor<2>]) -> Vec<f32> {
    let mut gradients = value.clone().backward();
    let of = |t: &Tensor<2>| {
        t.grad_remove(&mut gradients).unwrap().into_data().try_into_vec::<f32>().unwrap()
    };
    leaves.iter().flat_map(of).collect()
}

fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The tensors a case of the fixture is about: values and shapes.
fn tensors(fixture: &Value, case: &Value) -> Vec<(Vec<f32>, [usize; 2])> {
    let inputs = &fixture["inputs"][text(&case["inputs"])];
    let arguments =
        list(&case["arguments"]).iter().map(|name| read::<Vec<Vec<f32>>>(&inputs[text(name)]));
    arguments.map(|rows| (rows.concat(), [rows.len(), rows[0].len()])).collect()
}

/// The loss of a case on other tensors: value, terms, and all gradients one after the other.
fn evaluate(
    case: &Value,
    tensors: &[(Vec<f32>, [usize; 2])],
) -> (f64, Vec<(&'static str, f64)>, Vec<f32>) {
    let device = Device::flex().autodiff();
    let leaves: Vec<Tensor<2>> =
        tensors.iter().map(|(values, shape)| leaf(values, *shape, &device)).collect();
    let loss = apply(text(&case["loss"]), &leaves, list(&case["parameters"]));
    let gradients = gradients(&loss.value, &leaves);
    let terms = loss.terms.into_iter().map(|(name, term)| (name, scalar(term))).collect();
    (scalar(loss.value), terms, gradients)
}

/// What f32 rounds by, relatively.
const UNIT: f64 = 1.0 / (1 << 24) as f64;
/// What is allowed of values, terms and gradients.
const RELATIVE: f64 = 1e-5;

#[test]
fn equal_the_reference() {
    let fixture = fixture();
    for case in list(&fixture["cases"]) {
        let (loss, inputs) = (text(&case["loss"]), text(&case["inputs"]));
        let tensors = tensors(&fixture, case);
        let [batch, dim] = tensors[0].1;
        let (value, terms, gradient) = evaluate(case, &tensors);

        let expected = case["value"].as_f64().unwrap();
        let value_error = (value - expected).abs() / expected.abs();
        assert!(value_error <= RELATIVE, "{loss} of {inputs}: value {value}, expected {expected}");

        assert_eq!(terms.len(), case["terms"].as_object().unwrap().len(), "{loss}: terms");
        for (name, term) in &terms {
            let expected = case["terms"][name].as_f64().unwrap();
            // Two standardised values correlate at ±1. Each 1 − C_ii is then right to some 8 units
            // of C_ii, not of itself, which 2|x|·e + e² carries to its square and Cauchy–Schwarz to
            // the sum.
            let standardised = if (loss, *name, batch) == ("barlow_twins", "on_diagonal", 2) {
                8.0 * UNIT
            } else {
                0.0
            };
            let dim = dim as f64;
            let allowed = RELATIVE * expected.abs()
                + 2.0 * standardised * (dim * expected.abs()).sqrt()
                + dim * standardised * standardised;
            assert!(
                (term - expected).abs() <= allowed,
                "{loss} of {inputs}: {name} {term}, expected {expected}"
            );
        }

        let expected = read::<Vec<Vec<Vec<f64>>>>(&case["gradients"]).concat().concat();
        assert_eq!(gradient.len(), expected.len());
        let length = norm(expected.iter().copied());
        let error = norm(gradient.iter().zip(&expected).map(|(&g, e)| f64::from(g) - e));
        // What cancels leaves the rounding of its own computation behind, some 8 steps.
        let cancelled = case["cancelled"].as_f64().unwrap_or(0.0);
        let allowed = RELATIVE * length + 8.0 * UNIT * cancelled;
        println!(
            "{loss:18} {inputs:15} {batch:2} x {dim:2}: value {value_error:.1e}, gradient {:.1e}",
            error / length
        );
        assert!(
            error <= allowed,
            "{loss} of {inputs}: gradient is {error} off, of {length}; allowed {allowed}"
        );
    }
}

/// Losses that normalise rows give the same for rows of any length, and the gradient divided by it.
#[test]
fn forget_the_length_of_rows() {
    let normalising = [
        "nt_xent",
        "info_nce",
        "info_nce_sampled",
        "negative_cosine",
        "revised_infonce",
        "simple_contrastive",
    ];
    let fixture = fixture();
    let cases =
        list(&fixture["cases"]).iter().filter(|case| normalising.contains(&text(&case["loss"])));
    for case in cases.filter(|case| text(&case["inputs"]) == "odd") {
        let tensors = tensors(&fixture, case);
        let (value, _, gradient) = evaluate(case, &tensors);
        // Powers of two, so that nothing rounds differently. Their squares lie outside f32.
        for scale in [2f32.powi(-66), 2f32.powi(66)] {
            let scaled: Vec<_> = tensors
                .iter()
                .map(|(values, shape)| (values.iter().map(|v| v * scale).collect(), *shape))
                .collect();
            let (scaled_value, _, scaled_gradient) = evaluate(case, &scaled);
            assert_eq!(scaled_value, value, "{} at {scale}", text(&case["loss"]));
            let rescaled: Vec<f32> = scaled_gradient.iter().map(|g| g * scale).collect();
            assert_eq!(rescaled, gradient, "{} at {scale}", text(&case["loss"]));
        }
    }
}

/// t-SimCLR compares distances: moving all rows alike changes nothing.
#[test]
fn t_simclr_forgets_where_rows_lie() {
    let fixture = fixture();
    for case in list(&fixture["cases"]).iter().filter(|case| text(&case["loss"]) == "t_simclr") {
        let tensors = tensors(&fixture, case);
        // Rows at 1024 + k / 64 are still exact in f32; those of the huge inputs would not be.
        if text(&case["inputs"]) == "huge" {
            continue;
        }
        let moved: Vec<_> = tensors
            .iter()
            .map(|(values, shape)| (values.iter().map(|v| v + 1024.0).collect(), *shape))
            .collect();
        let ((value, _, gradient), (moved_value, _, moved_gradient)) =
            (evaluate(case, &tensors), evaluate(case, &moved));
        // The mean of rows is right to some units of 1024, and all rows lose the same by it: what
        // remains is that the rows less their mean, of lengths up to 16, are rounded anew.
        assert!((moved_value - value).abs() <= RELATIVE * value, "{value} moved to {moved_value}");
        let difference = norm(gradient.iter().zip(&moved_gradient).map(|(a, b)| f64::from(a - b)));
        assert!(
            difference <= RELATIVE * norm(gradient.iter().map(|&g| f64::from(g))),
            "gradient is {difference} off"
        );
    }
}

#[test]
fn stay_finite_where_embeddings_are_degenerate() {
    let fixture = fixture();
    type Fill = fn(usize) -> f32;
    let degenerate: [(&str, Fill); 6] = [
        ("all zero", |_| 0.0),
        ("all the same", |_| 0.25),
        ("first entry alone not zero", |i| if i == 0 { 1.0 } else { 0.0 }),
        ("the same but for signs", |i| if i % 3 == 0 { -1e4 } else { 1e4 }),
        ("tiny", |i| if i % 2 == 0 { 1e-30 } else { -1e-30 }),
        ("of very different magnitude", |i| 10f32.powi(4 - 8 * (i as i32 % 2))),
    ];
    for case in list(&fixture["cases"]) {
        let shapes: Vec<[usize; 2]> =
            tensors(&fixture, case).into_iter().map(|(_, shape)| shape).collect();
        for (name, fill) in degenerate {
            let tensors: Vec<_> =
                shapes.iter().map(|&[n, d]| ((0..n * d).map(fill).collect(), [n, d])).collect();
            let (value, terms, gradient) = evaluate(case, &tensors);
            let loss = text(&case["loss"]);
            assert!(value.is_finite(), "{loss} {name}: {value}");
            assert!(terms.iter().all(|(_, term)| term.is_finite()), "{loss} {name}: {terms:?}");
            assert!(gradient.iter().all(|g| g.is_finite()), "{loss} {name}: {gradient:?}");
        }
    }
}

fn zeros(batch: usize, dim: usize) -> Tensor<2> {
    Tensor::zeros([batch, dim], &Device::flex())
}

#[test]
#[should_panic(expected = "shifts [3] within 1..3")]
fn a_shift_must_leave_the_image() {
    info_nce_sampled(zeros(3, 2), zeros(3, 2), &[3], 1.0);
}

#[test]
#[should_panic(expected = "at least one negative")]
fn a_queue_must_not_be_empty() {
    info_nce(zeros(3, 2), zeros(3, 2), zeros(0, 2), 1.0);
}

#[test]
#[should_panic(expected = "two or more, not 1")]
fn a_variance_needs_two_rows() {
    vicreg(
        zeros(1, 2),
        zeros(1, 2),
        VicRegWeights { invariance: 25.0, variance: 25.0, covariance: 1.0 },
    );
}
