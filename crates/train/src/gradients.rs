//! The gradient of a step, of the whole batch at once or of one microbatch after the other.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{Gradients, Tensor};
use selfsame_methods::losses::Loss;
use selfsame_methods::{Method, Networks, Step};
use selfsame_nn::parts;
use selfsame_nn::state::{self, VisitNamed};

/// Flat gradients by the names of their parameters.
pub(crate) type ByName = BTreeMap<String, Tensor<1>>;

/// What a step's forward and backward pass give.
pub(crate) struct Computed {
    /// The loss.
    pub(crate) loss: f64,
    /// Its parts by name.
    pub(crate) terms: Vec<(&'static str, f64)>,
    /// What the loss compared, without gradients.
    pub(crate) embeddings: Vec<Tensor<2>>,
    /// The loss's gradient.
    pub(crate) gradients: ByName,
}

impl Computed {
    fn new(loss: Loss, embeddings: Vec<Tensor<2>>, gradients: ByName) -> Self {
        let terms = loss
            .terms
            .into_iter()
            .map(|(name, value)| (name, value.into_scalar::<f64>()))
            .collect();
        let embeddings = embeddings.into_iter().map(Tensor::detach).collect();
        Self { loss: loss.value.into_scalar(), terms, embeddings, gradients }
    }
}

/// The loss of `views`, [`Method::views`] tensors of a row an image, and its gradient.
///
/// With a `microbatch`, so many images pass the networks at a time, and the gradient is that of the
/// whole batch's loss all the same (gradient caching: Gao, Zhang, Han and Callan 2021): the
/// embeddings are made first, without a graph, the loss's gradient with respect to them is kept,
/// and then each microbatch is embedded again to carry its share of it back to the weights. Batch
/// normalisation sees a microbatch at a time, and its running statistics move once, by the mean of
/// the microbatches; that alone differs from the whole batch.
pub(crate) fn compute(
    method: &dyn Method,
    networks: &Networks,
    views: &[Tensor<4>],
    step: &Step,
    microbatch: Option<usize>,
) -> Computed {
    let [images, ..] = views[0].dims();
    match microbatch {
        Some(size) if size < images => {
            cached(method, networks, views, &microbatches(images, size), step)
        }
        _ => {
            let embeddings = method.embed(networks, views, step);
            let loss = method.loss(networks, &embeddings, step);
            let gradients = by_name(networks, &mut loss.value.backward());
            Computed::new(loss, embeddings, gradients)
        }
    }
}

/// The images of each microbatch: about `size` of them, never one alone. An odd batch in
/// microbatches of two has one of three.
fn microbatches(images: usize, size: usize) -> Vec<Range<usize>> {
    parts::even(images, images.div_ceil(size))
}

/// Rows of every view.
fn of(views: &[Tensor<4>], rows: &Range<usize>) -> Vec<Tensor<4>> {
    views.iter().map(|view| view.clone().slice([rows.clone()])).collect()
}

fn cached(
    method: &dyn Method,
    networks: &Networks,
    views: &[Tensor<4>],
    microbatches: &[Range<usize>],
    step: &Step,
) -> Computed {
    // Networks of their own, so that running statistics move once, and without gradients, so that
    // no graph is kept.
    let still = networks.valid().train().no_grad();
    let parts: Vec<Vec<Tensor<2>>> =
        microbatches.iter().map(|rows| method.embed(&still, &of(views, rows), step)).collect();
    let leaves: Vec<Tensor<2>> = (0..parts[0].len())
        .map(|i| {
            Tensor::cat(parts.iter().map(|part| part[i].clone()).collect(), 0)
                .detach()
                .require_grad()
        })
        .collect();
    let loss = method.loss(networks, &leaves, step);
    let mut of_loss = loss.value.backward();
    let pulls: Vec<Option<Tensor<2>>> =
        leaves.iter().map(|leaf| leaf.grad_remove(&mut of_loss)).collect();

    let mut sum = ByName::new();
    parts::in_turn(networks, microbatches, |rows| {
        let embeddings = method.embed(networks, &of(views, &rows), step);
        let pulled = embeddings.into_iter().zip(&pulls).filter_map(|(embedding, pull)| {
            let pull = Tensor::from_inner(pull.clone()?.slice([rows.clone()]));
            Some((embedding * pull).sum())
        });
        let Some(surrogate) = pulled.reduce(|a, b| a + b) else { return };
        for (name, gradient) in by_name(networks, &mut surrogate.backward()) {
            let total = match sum.remove(&name) {
                Some(total) => total + gradient,
                None => gradient,
            };
            sum.insert(name, total);
        }
    });
    Computed::new(loss, leaves, sum)
}

/// Takes a module's gradients out of Burn's.
pub(crate) fn by_name<M: Module>(module: &M, gradients: &mut Gradients) -> ByName {
    let mut collector = Collector { gradients, by_name: ByName::new() };
    state::visit(module, &mut collector);
    collector.by_name
}

struct Collector<'a> {
    gradients: &'a mut Gradients,
    by_name: ByName,
}

impl VisitNamed for Collector<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.gradients) {
            let count = gradient.shape().num_elements();
            self.by_name.insert(name.to_owned(), gradient.reshape([count]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use rand::{RngExt, SeedableRng};
    use selfsame_methods::{METHODS, MethodConfig};
    use selfsame_nn::layers::Init;
    use selfsame_nn::{Architecture, EncoderConfig, Precision, ResNetConfig, Stem};

    const STEP: Step = Step { number: 3, steps: 10, seed: 5 };
    const IMAGES: usize = 10;

    fn networks(method: &dyn Method, device: &Device) -> Networks {
        let encoder = EncoderConfig::ResNet(ResNetConfig {
            architecture: Architecture::ResNet18,
            stem: Stem::Cifar,
            width: 2,
            precision: Precision::F32,
        });
        method.networks(&encoder, &mut Init::new(1, device))
    }

    fn views(count: usize, device: &Device) -> Vec<Tensor<4>> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(9);
        let shape = [IMAGES, 8, 8, 3];
        let mut view = || {
            let values: Vec<f32> =
                (0..shape.iter().product()).map(|_| rng.random_range(-2.0..2.0)).collect();
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        (0..count).map(|_| view()).collect()
    }

    fn host(gradients: ByName) -> BTreeMap<String, Vec<f64>> {
        let values = |t: Tensor<1>| {
            t.into_data().try_into_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
        };
        gradients.into_iter().map(|(name, gradient)| (name, values(gradient))).collect()
    }

    /// Gradient caching against one graph over the same microbatches: the chain rule in another
    /// order.
    #[test]
    fn microbatches_give_the_gradient_of_the_whole_batch() {
        let device = Device::flex().autodiff();
        for (name, _) in METHODS {
            let config = MethodConfig::by_name(name, 16).unwrap();
            let method = config.method();
            let views = views(method.views(), &device);
            for size in [4, 5, 9] {
                let whole = networks(method, &device);
                let microbatches = microbatches(IMAGES, size);
                let start = state::read(&whole);
                // What each microbatch alone makes of the running statistics, weighted by its
                // images.
                let mut statistics: BTreeMap<String, Vec<f64>> = BTreeMap::new();
                for rows in &microbatches {
                    let alone = networks(method, &device);
                    method.embed(&alone, &of(&views, rows), &STEP);
                    for (name, values) in
                        state::read(&alone).into_iter().filter(|(name, _)| name.contains("running"))
                    {
                        let share = rows.len() as f64 / IMAGES as f64;
                        let sum = statistics
                            .entry(name)
                            .or_insert_with(|| vec![0.0; values.values.len()]);
                        sum.iter_mut()
                            .zip(values.values)
                            .for_each(|(sum, value)| *sum += share * f64::from(value));
                    }
                }
                let parts: Vec<_> = microbatches
                    .iter()
                    .map(|rows| method.embed(&whole, &of(&views, rows), &STEP))
                    .collect();
                let embeddings: Vec<_> = (0..parts[0].len())
                    .map(|i| Tensor::cat(parts.iter().map(|part| part[i].clone()).collect(), 0))
                    .collect();
                let loss = method.loss(&whole, &embeddings, &STEP);
                let expected = host(by_name(&whole, &mut loss.value.backward()));

                let small = networks(method, &device);
                let found = compute(method, &small, &views, &STEP, Some(size));
                let loss: f64 = loss.value.into_scalar();
                assert!(
                    (found.loss - loss).abs() <= 1e-6 * loss.abs(),
                    "{name} {size}: {} and {loss}",
                    found.loss
                );
                let found = host(found.gradients);
                assert_eq!(
                    found.keys().collect::<Vec<_>>(),
                    expected.keys().collect::<Vec<_>>(),
                    "{name} {size}"
                );
                let norm =
                    |of: &mut dyn Iterator<Item = f64>| of.map(|v| v * v).sum::<f64>().sqrt();
                let length = norm(&mut expected.values().flatten().copied());
                let apart = norm(&mut expected.iter().flat_map(|(name, e)| {
                    e.iter().zip(&found[name]).map(|(e, f)| e - f).collect::<Vec<f64>>()
                }));
                println!(
                    "{name} in microbatches of {size}: {:.1e} of the gradient's length",
                    apart / length
                );
                assert!(
                    length > 0.0 && apart < 1e-5 * length,
                    "{name} {size}: {apart} of {length}"
                );
                // Running statistics have moved once, by the mean of what the microbatches saw;
                // weights not at all.
                let mut moved = 0;
                for (tensor, values) in state::read(&small) {
                    let Some(expected) = statistics.get(&tensor) else {
                        assert_eq!(values, start[&tensor], "{name} {size}: {tensor}");
                        continue;
                    };
                    for (found, expected) in values.values.iter().zip(expected) {
                        // Some ten roundings.
                        let bound = 1e-6 * (1.0 + expected.abs());
                        assert!(
                            (f64::from(*found) - expected).abs() < bound,
                            "{name} {size}: {tensor}"
                        );
                    }
                    moved += usize::from(values != start[&tensor]);
                }
                assert!(moved > 30, "{name} {size}: {moved} running statistics moved");
            }
        }
    }

    #[test]
    fn no_microbatch_is_one_image() {
        for images in 2..=41 {
            for size in 2..=images {
                let parts = microbatches(images, size);
                assert!(
                    parts.iter().all(|rows| (2..=size.max(3)).contains(&rows.len())),
                    "{images} by {size}: {parts:?}"
                );
                assert_eq!(parts.last().unwrap().end, images);
            }
        }
    }

    #[test]
    fn a_batch_no_larger_than_a_microbatch_is_taken_whole() {
        let device = Device::flex().autodiff();
        let config = MethodConfig::by_name("simclr", 16).unwrap();
        let (method, views) = (config.method(), views(2, &device));
        let [whole, large] = [None, Some(IMAGES)].map(|size| {
            host(compute(method, &networks(method, &device), &views, &STEP, size).gradients)
        });
        assert_eq!(whole, large);
    }

    #[test]
    fn every_trained_weight_has_a_gradient_and_no_other() {
        let device = Device::flex().autodiff();
        for (name, _) in METHODS {
            let config = MethodConfig::by_name(name, 16).unwrap();
            let method = config.method();
            let networks = networks(method, &device);
            let found = compute(method, &networks, &views(method.views(), &device), &STEP, None);
            let still = |name: &str| {
                name.starts_with("momentum.")
                    || name.starts_with("queue")
                    || name.contains("running_")
            };
            let expected: Vec<String> =
                state::read(&networks).into_keys().filter(|name| !still(name)).collect();
            assert_eq!(found.gradients.keys().cloned().collect::<Vec<_>>(), expected, "{name}");
            assert!(
                found.loss.is_finite()
                    && host(found.gradients).values().flatten().all(|g| g.is_finite()),
                "{name}"
            );
        }
    }

    #[test]
    fn momentum_and_queue_move_as_written() {
        let device = Device::flex().autodiff();
        for name in ["mocov2", "byol"] {
            let mut config = MethodConfig::by_name(name, 16).unwrap();
            if let MethodConfig::MocoV2(moco) = &mut config {
                moco.queue = 25;
            }
            let method = config.method();
            let before = networks(method, &device);
            // The fast networks as if a step had moved them.
            let moved = before.clone().valid().train();
            let shifted = Networks {
                backbone: moved.backbone.map(&mut Shift),
                projector: moved.projector.map(&mut Shift),
                ..moved
            };
            let embeddings = compute(method, &shifted, &views(2, &device), &STEP, None).embeddings;
            let running = |name: &str| name.contains("running_");
            let after = state::read(&method.after_step(shifted.clone(), &embeddings, &STEP));
            let (before, shifted) = (state::read(&before), state::read(&shifted));
            let momentum = match name {
                "mocov2" => 0.99,
                _ => 1.0 - 0.01 * 0.5 * (1.0 + (std::f64::consts::PI * 0.3).cos()),
            };
            let mut seen = 0;
            for (slow, values) in
                before.iter().filter(|(name, _)| name.starts_with("momentum.") && !running(name))
            {
                let fast = &shifted[slow.strip_prefix("momentum.").unwrap()];
                for ((old, new), fast) in
                    values.values.iter().zip(&after[slow].values).zip(&fast.values)
                {
                    let expected = momentum * f64::from(*old) + (1.0 - momentum) * f64::from(*fast);
                    // Two products and a sum of f32.
                    assert!(
                        (f64::from(*new) - expected).abs()
                            <= 2f64.powi(-22) * (1.0 + expected.abs()),
                        "{slow}"
                    );
                    seen += 1;
                }
            }
            assert!(seen > 1000);
            if name == "mocov2" {
                let keys: Vec<f32> = embeddings[2..]
                    .iter()
                    .flat_map(|keys| keys.clone().into_data().try_into_vec::<f32>().unwrap())
                    .collect();
                let queue = &after["queue"].values;
                assert_eq!(queue[..20 * 128], keys, "the newest keys come first");
                assert_eq!(
                    queue[20 * 128..],
                    before["queue"].values[..5 * 128],
                    "the oldest drop out"
                );
            }
        }
    }

    struct Shift;

    impl burn::module::ModuleMapper for Shift {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if !param.is_require_grad() {
                return param;
            }
            param.map(|weight| Tensor::from_inner(weight.inner().add_scalar(0.25)).require_grad())
        }
    }
}
