//! What makes each method itself: what it holds still, what it compares with what, and which
//! setting goes where.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use selfsame_methods::losses::*;
use selfsame_methods::*;
use selfsame_nn::layers::Init;
use selfsame_nn::{Architecture, Precision, ResNetConfig, Stem, state};

const STEPS: [Step; 2] =
    [Step { number: 0, steps: 10, seed: 5 }, Step { number: 5, steps: 10, seed: 5 }];

fn device() -> Device {
    Device::flex().autodiff()
}

fn networks(method: &dyn Method) -> Networks {
    let encoder = ResNetConfig {
        architecture: Architecture::ResNet18,
        stem: Stem::Cifar,
        width: 2,
        precision: Precision::F32,
    };
    method.networks(&encoder.into(), &mut Init::new(1, &device()))
}

/// The only objective of a method.
fn objective(method: &dyn Method) -> Box<dyn Objective> {
    method.objectives().swap_remove(0)
}

/// The loss of a method from embeddings alone.
fn loss(method: &dyn Method, embeddings: &[Tensor<2>], step: &Step) -> Loss {
    let networks = networks(method);
    objective(method).loss(&Batch { networks: &networks, views: &[], embeddings, step })
}

fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|_| rng.random_range(-2.0..2.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn embeddings(count: usize, rows: usize, dim: usize) -> Vec<Tensor<2>> {
    (0..count as u64).map(|seed| random([rows, dim], seed)).collect()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    state::to_host(tensor).values
}

fn value(loss: &Loss) -> f64 {
    f64::from(host(loss.value.clone())[0])
}

fn moco(splits: usize, symmetric: bool) -> MocoV2 {
    MocoV2 {
        temperature: 0.3,
        temperature_end: Some(0.8),
        momentum: 0.9,
        momentum_end: None,
        queue: 7,
        symmetric,
        splits,
        hidden: 12,
        output: 6,
    }
}

/// Of leaves in the place of embeddings, those that are predicted from have a gradient, and those
/// that are held still none.
#[test]
fn targets_receive_no_gradient() {
    let simsiam = SimSiam { layers: 2, output: 6, bottleneck: 3 };
    let byol = Byol { momentum: 0.9, hidden: 8, output: 6 };
    let cases: [(&dyn Method, &[bool]); 4] = [
        (&simsiam, &[false, false, true, true]),
        (&byol, &[true, true, false, false]),
        (&moco(1, true), &[true, true, false, false]),
        (&moco(1, false), &[true, false]),
    ];
    for (case, (method, expected)) in cases.into_iter().enumerate() {
        let leaves: Vec<_> =
            embeddings(expected.len(), 5, 6).into_iter().map(|leaf| leaf.require_grad()).collect();
        let mut gradients = loss(method, &leaves, &STEPS[0]).value.backward();
        let moved = |leaf: &Tensor<2>| {
            leaf.grad_remove(&mut gradients).is_some_and(|g| host(g).iter().any(|v| *v != 0.0))
        };
        assert_eq!(leaves.iter().map(moved).collect::<Vec<_>>(), expected, "case {case}");
    }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn mocos_keys_are_those_of_their_own_images() {
    let views = [random([7, 8, 8, 3], 1), random([7, 8, 8, 3], 2)];
    let method = moco(1, true);
    let networks = networks(&method);
    for step in &STEPS {
        let found = objective(&method).embed(&networks, &Microbatch::whole(&views, step));
        for (view, keys) in views.iter().zip(&found[2..]) {
            let (expected, keys) =
                (host(normalise(networks.project_momentum(view.clone()))), host(keys.clone()));
            // Batch statistics do not see the order but for rounding, which 18 layers magnify to
            // some 1e-5; keys of other images are much farther away.
            assert!(largest_difference(&keys, &expected) < 1e-4, "{step:?}");
            let rotated = [&expected[6..], &expected[..6]].concat();
            assert!(largest_difference(&keys, &rotated) > 1e-2, "keys that tell images apart");
        }
    }
}

#[test]
fn mocos_parts_are_seen_apart_and_keys_in_another_order() {
    let views = [random([7, 8, 8, 3], 1), random([7, 8, 8, 3], 2)];
    let method = moco(2, true);
    let networks = networks(&method);
    let halves = |view: &Tensor<4>| [0..3, 3..7].map(|rows| view.clone().slice([rows])).to_vec();
    let found = objective(&method).embed(&networks, &Microbatch::whole(&views, &STEPS[1]));
    for (i, view) in views.iter().enumerate() {
        let query = |half| networks.project(half);
        let queries = Tensor::cat(halves(view).into_iter().map(query).collect(), 0);
        assert_eq!(host(found[i].clone()), host(queries));
        let unshuffled = Tensor::cat(
            halves(view).into_iter().map(|half| networks.project_momentum(half)).collect(),
            0,
        );
        let [keys, unshuffled] = [found[2 + i].clone(), normalise(unshuffled)].map(host);
        assert!(largest_difference(&keys, &unshuffled) > 1e-3, "other images' statistics");
    }
}

/// Of a batch of 16 images in 4 parts, a microbatch of 8 holds two parts, and one of 2 is one part.
#[test]
fn mocos_parts_are_parts_of_the_batch() {
    let views = [random([8, 8, 8, 3], 1), random([8, 8, 8, 3], 2)];
    let method = moco(4, true);
    let networks = networks(&method);
    for (rows, parts) in [(8..16, vec![0, 4]), (2..4, vec![0])] {
        let views = [0, 1].map(|view: usize| views[view].clone().narrow(0, 0, rows.len()));
        let images = Microbatch { views: &views, rows, batch: 16, step: &STEPS[0] };
        let found = objective(&method).embed(&networks, &images);
        for (view, queries) in views.iter().zip(found) {
            let size = view.dims()[0] / parts.len();
            let query = |&start| networks.project(view.clone().narrow(0, start, size));
            let expected = Tensor::cat(parts.iter().map(query).collect(), 0);
            assert_eq!(host(queries), host(expected));
        }
    }
}

/// Batches that no number of parts divides, and more parts than images.
#[test]
fn mocos_parts_take_any_batch() {
    for images in [2, 3, 17, 20, 41] {
        for splits in [1, 8, 16] {
            let views = [random([images, 8, 8, 3], 1), random([images, 8, 8, 3], 2)];
            let method = moco(splits, false);
            let whole = Microbatch::whole(&views, &STEPS[0]);
            let found = objective(&method).embed(&networks(&method), &whole);
            assert!(found.iter().all(|rows| rows.dims() == [images, 6]), "{images} in {splits}");
        }
    }
}

#[test]
fn every_setting_goes_where_it_belongs() {
    let e = embeddings(4, 5, 6);
    let t = |i: usize| e[i].clone();
    for (step, (at_0_3, rising)) in STEPS.iter().zip([(0.3, 0.3), (0.3, 0.55)]) {
        let heads = (8, 6);
        let simclr = SimClr {
            temperature: 0.3,
            temperature_end: Some(0.8),
            hidden: heads.0,
            output: heads.1,
        };
        let still = SimClr { temperature_end: None, ..simclr };
        let moco = moco(1, true);
        let queue = networks(&moco).queue("queue");
        let barlow = BarlowTwins { lambda: 0.02, scale: 0.3, hidden: heads.0, output: heads.1 };
        let simsiam = SimSiam { layers: 2, output: 6, bottleneck: 3 };
        let byol = Byol { momentum: 0.9, hidden: heads.0, output: heads.1 };
        let vicreg_ = VicReg {
            invariance: 3.0,
            variance: 5.0,
            covariance: 7.0,
            hidden: heads.0,
            output: heads.1,
        };
        let weights = VicRegWeights { invariance: 3.0, variance: 5.0, covariance: 7.0 };
        let spectral_ = Spectral { radius: 0.5, hidden: heads.0, output: heads.1 };
        let revised =
            RevisedInfoNce { lambda: 0.3, temperature: 0.7, hidden: heads.0, output: heads.1 };
        let all_negatives =
            InfoNce { negatives: 9, temperature: 0.7, hidden: heads.0, output: heads.1 };
        let t_simclr_ =
            TSimClr { temperature: 3.0, degrees_of_freedom: 2.0, hidden: heads.0, output: heads.1 };
        let simple = SimpleContrastive { lambda: 0.3, hidden: heads.0, output: heads.1 };
        let half = |a: Loss, b: Loss| (value(&a) + value(&b)) / 2.0;
        let cases: [(&dyn Method, &[usize], f64); 12] = [
            (&simclr, &[0, 1], value(&nt_xent(t(0), t(1), rising))),
            (&still, &[0, 1], value(&nt_xent(t(0), t(1), at_0_3))),
            (
                &moco,
                &[0, 1, 2, 3],
                half(
                    info_nce(t(0), t(3), queue.clone(), rising),
                    info_nce(t(1), t(2), queue, rising),
                ),
            ),
            (&barlow, &[0, 1], 0.3 * value(&barlow_twins(t(0), t(1), 0.02))),
            // Projections, then predictions.
            (
                &simsiam,
                &[0, 1, 2, 3],
                half(negative_cosine(t(2), t(1)), negative_cosine(t(3), t(0))),
            ),
            // Predictions, then targets.
            (&byol, &[0, 1, 2, 3], squared_distance(t(0), t(3)) + squared_distance(t(1), t(2))),
            (&vicreg_, &[0, 1], value(&vicreg(t(0), t(1), weights))),
            (&spectral_, &[0, 1], value(&spectral(shorten(t(0), 0.5), shorten(t(1), 0.5)))),
            (&revised, &[0, 1], value(&revised_infonce(t(0), t(1), 0.3, 0.7))),
            (&all_negatives, &[0, 1], value(&info_nce_sampled(t(0), t(1), &[1, 2, 3, 4], 0.7))),
            (&t_simclr_, &[0, 1], value(&t_simclr(t(0), t(1), 3.0, 2.0))),
            (&simple, &[0, 1], value(&simple_contrastive(t(0), t(1), 0.3))),
        ];
        for (case, (method, arguments, expected)) in cases.into_iter().enumerate() {
            let arguments: Vec<_> = arguments.iter().map(|&i| t(i)).collect();
            let found = value(&loss(method, &arguments, step));
            // The same sums in f32, in another order at most.
            assert!(
                (found - expected).abs() <= 1e-5 * expected.abs().max(1.0),
                "case {case}: {found} and {expected}"
            );
        }
    }
}

/// Mean squared distance of normalised rows in f64: equation 2 of BYOL's paper, and solo-learn's 2
/// − 2·cos.
fn squared_distance(a: Tensor<2>, b: Tensor<2>) -> f64 {
    let [rows, dim] = a.dims();
    let [a, b] = [a, b].map(host);
    let unit = |row: &[f32]| {
        let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        row.iter().map(|v| f64::from(*v) / length).collect::<Vec<_>>()
    };
    let pairs = a.chunks(dim).zip(b.chunks(dim));
    let distance = |(a, b): (&[f32], &[f32])| {
        unit(a).iter().zip(unit(b)).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
    };
    pairs.map(distance).sum::<f64>() / rows as f64
}

/// solo-learn's VICReg weighs the shortfall of each view by itself: its weights 25, 25, 1 are 25,
/// 50, 1 of ours.
#[test]
fn vicregs_variance_of_solo_learn_weighs_twice() {
    let (rows, dim) = (5, 6);
    // Rows that vary less than 1, so that there is a shortfall.
    let [first, second] = [0, 1].map(|seed| random([rows, dim], seed).mul_scalar(0.4));
    let [a, b] = [&first, &second]
        .map(|t| host(t.clone()).iter().map(|v| f64::from(*v)).collect::<Vec<_>>());
    let column = |z: &[f64], j: usize| {
        let mean = (0..rows).map(|i| z[i * dim + j]).sum::<f64>() / rows as f64;
        (0..rows).map(|i| z[i * dim + j] - mean).collect::<Vec<_>>()
    };
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let covariance = |z: &[f64], i, j| product(&column(z, i), &column(z, j)) / (rows - 1) as f64;
    let shortfall = |z: &[f64]| {
        (0..dim).map(|j| (1.0 - (covariance(z, j, j) + 1e-4).sqrt()).max(0.0)).sum::<f64>()
            / dim as f64
    };
    let redundancy = |z: &[f64]| {
        let pairs = (0..dim * dim).filter(|k| k / dim != k % dim);
        pairs.map(|k| covariance(z, k / dim, k % dim).powi(2)).sum::<f64>() / dim as f64
    };
    let invariance =
        a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / (rows * dim) as f64;
    assert!(shortfall(&a) > 0.1);
    let expected = 25.0 * invariance
        + 25.0 * (shortfall(&a) + shortfall(&b))
        + redundancy(&a)
        + redundancy(&b);
    let method =
        VicReg { invariance: 25.0, variance: 50.0, covariance: 1.0, hidden: 8, output: dim };
    let found = value(&loss(&method, &[first, second], &STEPS[0]));
    assert!((found - expected).abs() < 1e-5 * expected, "{found} and {expected}");
}
