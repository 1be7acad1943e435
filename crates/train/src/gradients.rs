//! The gradient of an objective, over the whole batch at once or over microbatches.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::{Gradients, Tensor};
use selfsame_methods::losses::Loss;
use selfsame_methods::{Batch, Microbatch, Networks, Objective, Step};
use selfsame_nn::parts;
use selfsame_nn::state::{self, VisitNamed};

/// Flat gradients, by the names of their parameters.
pub(crate) type ByName = BTreeMap<String, Tensor<1>>;

/// Results of a forward and a backward pass of an objective, without the gradient.
pub(crate) struct Pass {
    /// The loss.
    pub(crate) loss: f64,
    /// The terms of the loss, by name.
    pub(crate) terms: Vec<(&'static str, f64)>,
    /// The embeddings that the loss was computed from, without gradients.
    pub(crate) embeddings: Vec<Tensor<2>>,
}

impl Pass {
    fn new(loss: Loss, embeddings: Vec<Tensor<2>>) -> Self {
        let terms = loss
            .terms
            .into_iter()
            .map(|(name, value)| (name, value.into_scalar::<f64>()))
            .collect();
        let embeddings = embeddings.into_iter().map(Tensor::detach).collect();
        Self { loss: loss.value.into_scalar(), terms, embeddings }
    }
}

/// Computes an objective on `views`, tensors with one row per image, and its gradient with respect
/// to the parts that the objective trains.
///
/// With a `microbatch`, [`Objective::embed`] receives about that many images at a time. The
/// gradient is still the gradient of the whole batch's loss; see [`cached`].
pub(crate) fn compute(
    objective: &dyn Objective,
    networks: &Networks,
    views: &[Tensor<4>],
    step: &Step,
    microbatch: Option<usize>,
) -> (Pass, ByName) {
    let networks = &networks.train_only(|part| objective.trains(part));
    let [images, ..] = views[0].dims();
    match microbatch {
        Some(size) if size < images => {
            cached(objective, networks, views, &microbatches(images, size), step)
        }
        _ => {
            let embeddings = objective.embed(networks, &Microbatch::whole(views, step));
            let loss = objective.loss(&Batch { networks, views, embeddings: &embeddings, step });
            let gradients = by_name(networks, &mut loss.value.backward());
            (Pass::new(loss, embeddings), gradients)
        }
    }
}

/// Returns the images of each microbatch: about `size` images, but never a single image. If an odd
/// batch is divided into microbatches of two, one microbatch has three images.
pub(crate) fn microbatches(images: usize, size: usize) -> Vec<Range<usize>> {
    parts::even(images, images.div_ceil(size))
}

/// Embeds `rows` of a batch.
fn embed(
    objective: &dyn Objective,
    networks: &Networks,
    views: &[Tensor<4>],
    rows: &Range<usize>,
    step: &Step,
) -> Vec<Tensor<2>> {
    let [batch, ..] = views[0].dims();
    let views: Vec<_> = views.iter().map(|view| view.clone().slice([rows.clone()])).collect();
    objective.embed(networks, &Microbatch { views: &views, rows: rows.clone(), batch, step })
}

/// Computes the gradient of the whole batch's loss with the graph of only one microbatch in memory
/// at a time. This is gradient caching (Gao, Zhang, Han and Callan 2021):
///
/// 1. Embed every microbatch without a graph.
/// 2. Compute the loss of all embeddings, and its gradient with respect to the embeddings. If the
///    loss itself uses the networks, this step also yields a gradient with respect to their
///    weights.
/// 3. Embed every microbatch again, now with a graph, and propagate the microbatch's rows of the
///    gradient back to the weights.
///
/// Only batch normalisation differs from a pass of the whole batch. It takes its statistics over a
/// microbatch, and its running statistics move once, towards the mean over the microbatches.
fn cached(
    objective: &dyn Objective,
    networks: &Networks,
    views: &[Tensor<4>],
    microbatches: &[Range<usize>],
    step: &Step,
) -> (Pass, ByName) {
    // Step 1 must not move the running statistics of the networks.
    let copy = networks.apart();
    let embedded: Vec<Vec<Tensor<2>>> =
        microbatches.iter().map(|rows| embed(objective, &copy, views, rows, step)).collect();
    let embeddings: Vec<Tensor<2>> = (0..embedded[0].len())
        .map(|i| {
            let rows = embedded.iter().map(|microbatch| microbatch[i].clone()).collect();
            Tensor::cat(rows, 0).detach().require_grad()
        })
        .collect();

    let loss = objective.loss(&Batch { networks, views, embeddings: &embeddings, step });
    let mut by_loss = loss.value.backward();
    let by_embeddings: Vec<Option<Tensor<2>>> =
        embeddings.iter().map(|leaf| leaf.grad_remove(&mut by_loss)).collect();
    let mut sum = by_name(networks, &mut by_loss);

    parts::in_turn(networks, microbatches, |rows| {
        let again = embed(objective, networks, views, &rows, step);
        // The gradient of Σ embedding · constant is the constant times the gradient of the
        // embedding.
        let products = again.into_iter().zip(&by_embeddings).filter_map(|(embedding, gradient)| {
            let gradient = Tensor::from_inner(gradient.clone()?.slice([rows.clone()]));
            Some((embedding * gradient).sum())
        });
        // A sum that starts from a leaf has a graph even if no embedding depends on trained
        // weights, for example if a decoder reads a frozen encoder.
        let leaf = Tensor::<1>::zeros([1], &views[0].device()).require_grad();
        let surrogate = products.fold(leaf, |sum, product| sum + product);
        for (name, gradient) in by_name(networks, &mut surrogate.backward()) {
            let total = match sum.remove(&name) {
                Some(total) => total + gradient,
                None => gradient,
            };
            sum.insert(name, total);
        }
    });
    (Pass::new(loss, embeddings), sum)
}

/// Removes the gradients of a module's parameters from the gradients of a backward pass.
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
    use selfsame_methods::{METHODS, Method, MethodConfig};
    use selfsame_nn::layers::Init;
    use selfsame_nn::{Architecture, Precision, ResNetConfig, Stem};

    use crate::toys::{Adversarial, Autoencoder};

    const STEP: Step = Step { number: 3, steps: 10, seed: 5 };
    const IMAGES: usize = 10;

    fn networks(method: &dyn Method, device: &Device) -> Networks {
        let encoder = ResNetConfig {
            architecture: Architecture::ResNet18,
            stem: Stem::Cifar,
            width: 2,
            precision: Precision::F32,
        };
        method.networks(&encoder.into(), &mut Init::new(1, device))
    }

    /// Calls `check` for every objective of every method, both of the library and of the tests.
    fn each_objective(check: impl Fn(&str, &dyn Method, &dyn Objective)) {
        let configs = METHODS.map(|(name, _)| MethodConfig::by_name(name, 16).unwrap());
        let of_library = configs.iter().map(|config| (config.name(), config.method()));
        let toys: [(&str, &dyn Method); 2] =
            [("adversarial", &Adversarial), ("autoencoder", &Autoencoder)];
        for (name, method) in of_library.chain(toys) {
            for (at, objective) in method.objectives().iter().enumerate() {
                check(&format!("{name}, objective {at}"), method, &**objective);
            }
        }
    }

    /// Returns whether an objective trains the part that a tensor belongs to, or the part that it is
    /// a slow copy of.
    fn trains(objective: &dyn Objective, tensor: &str) -> bool {
        let tensor = tensor.strip_prefix("momentum.").unwrap_or(tensor);
        objective.trains(tensor.split('.').next().unwrap())
    }

    /// Returns the only objective of a method.
    fn only(method: &dyn Method) -> Box<dyn Objective> {
        method.objectives().swap_remove(0)
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

    /// Compares gradient caching with one graph over the same microbatches, which applies the chain
    /// rule in another order.
    #[test]
    fn microbatches_give_the_gradient_of_the_whole_batch() {
        let device = Device::flex().autodiff();
        each_objective(|name, method, objective| {
            let views = views(method.views(), &device);
            for size in [4, 5, 9] {
                let whole = networks(method, &device).train_only(|part| objective.trains(part));
                let microbatches = microbatches(IMAGES, size);
                let start = state::read(&whole);
                // The running statistics after each microbatch alone, weighted by its images.
                let mut statistics: BTreeMap<String, Vec<f64>> = BTreeMap::new();
                for rows in &microbatches {
                    let alone = networks(method, &device);
                    let trained = alone.train_only(|part| objective.trains(part));
                    embed(objective, &trained, &views, rows, &STEP);
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
                let embedded: Vec<_> = microbatches
                    .iter()
                    .map(|rows| embed(objective, &whole, &views, rows, &STEP))
                    .collect();
                let embeddings: Vec<_> = (0..embedded[0].len())
                    .map(|i| Tensor::cat(embedded.iter().map(|part| part[i].clone()).collect(), 0))
                    .collect();
                let batch =
                    Batch { networks: &whole, views: &views, embeddings: &embeddings, step: &STEP };
                let loss = objective.loss(&batch);
                let expected = host(by_name(&whole, &mut loss.value.backward()));

                let small = networks(method, &device);
                let (pass, gradients) = compute(objective, &small, &views, &STEP, Some(size));
                let loss: f64 = loss.value.into_scalar();
                assert!(
                    (pass.loss - loss).abs() <= 1e-6 * loss.abs(),
                    "{name} {size}: {} and {loss}",
                    pass.loss
                );
                let gradients = host(gradients);
                assert_eq!(
                    gradients.keys().collect::<Vec<_>>(),
                    expected.keys().collect::<Vec<_>>(),
                    "{name} {size}"
                );
                let norm =
                    |of: &mut dyn Iterator<Item = f64>| of.map(|v| v * v).sum::<f64>().sqrt();
                let length = norm(&mut expected.values().flatten().copied());
                let apart = norm(&mut expected.iter().flat_map(|(name, e)| {
                    e.iter().zip(&gradients[name]).map(|(e, g)| e - g).collect::<Vec<f64>>()
                }));
                println!(
                    "{name} in microbatches of {size}: {:.1e} of the gradient's length",
                    apart / length
                );
                assert!(
                    length > 0.0 && apart < 1e-5 * length,
                    "{name} {size}: {apart} of {length}"
                );
                // Running statistics have moved once, towards the mean over the microbatches.
                // Weights have not moved.
                let mut moved = Vec::new();
                for (tensor, values) in state::read(&small) {
                    let Some(expected) = statistics.get(&tensor) else {
                        assert_eq!(values, start[&tensor], "{name} {size}: {tensor}");
                        continue;
                    };
                    for (value, expected) in values.values.iter().zip(expected) {
                        // The bound allows about ten roundings.
                        let bound = 1e-6 * (1.0 + expected.abs());
                        assert!(
                            (f64::from(*value) - expected).abs() < bound,
                            "{name} {size}: {tensor}"
                        );
                    }
                    if values != start[&tensor] {
                        moved.push(tensor);
                    }
                }
                let of_trained: Vec<&String> =
                    statistics.keys().filter(|name| trains(objective, name)).collect();
                assert_eq!(moved.iter().collect::<Vec<_>>(), of_trained, "{name} {size}");
            }
        });
    }

    /// In evaluation mode, no row depends on another row, so a batch may be divided anywhere.
    #[test]
    fn an_embedding_does_not_depend_on_the_microbatch() {
        let device = Device::flex();
        each_objective(|name, method, objective| {
            let networks = networks(method, &device).valid();
            let views = views(method.views(), &device);
            let whole = embed(objective, &networks, &views, &(0..IMAGES), &STEP);
            let parts: Vec<_> = microbatches(IMAGES, 4)
                .iter()
                .map(|rows| embed(objective, &networks, &views, rows, &STEP))
                .collect();
            for (at, whole) in whole.into_iter().enumerate() {
                let parts = Tensor::cat(parts.iter().map(|part| part[at].clone()).collect(), 0);
                let apart: f64 = (parts - whole.clone()).abs().max().into_scalar();
                let largest: f64 = whole.abs().max().into_scalar();
                // Products may be summed in another order for another number of rows.
                assert!(apart <= 1e-4 * largest, "{name}, output {at}: {apart} of {largest}");
            }
        });
    }

    /// An objective passes images through parts that another objective trains.
    #[test]
    fn an_objective_moves_no_statistics_of_parts_that_it_does_not_train() {
        let device = Device::flex().autodiff();
        each_objective(|name, method, objective| {
            for microbatch in [None, Some(4)] {
                let networks = networks(method, &device);
                let before = state::read(&networks);
                let views = views(method.views(), &device);
                compute(objective, &networks, &views, &STEP, microbatch);
                for (tensor, values) in state::read(&networks) {
                    let moves = tensor.contains("running_") && trains(objective, &tensor);
                    assert_eq!(values != before[&tensor], moves, "{name}: {tensor}");
                }
            }
        });
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
            host(compute(&*only(method), &networks(method, &device), &views, &STEP, size).1)
        });
        assert_eq!(whole, large);
    }

    #[test]
    fn every_trained_weight_has_a_gradient_and_no_other() {
        let device = Device::flex().autodiff();
        each_objective(|name, method, objective| {
            let networks = networks(method, &device);
            let views = views(method.views(), &device);
            let (pass, gradients) = compute(objective, &networks, &views, &STEP, None);
            let trained = |name: &String| {
                trains(objective, name)
                    && !["momentum.", "queue"].iter().any(|start| name.starts_with(start))
                    && !name.contains("running_")
            };
            let expected: Vec<String> =
                state::read(&networks).into_keys().filter(trained).collect();
            assert_eq!(gradients.keys().cloned().collect::<Vec<_>>(), expected, "{name}");
            assert!(
                pass.loss.is_finite() && host(gradients).values().flatten().all(|g| g.is_finite()),
                "{name}"
            );
        });
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
            // Shift the fast networks as if a step had moved them.
            let shifted = before.clone().valid().train().map(&mut Shift);
            let objective = only(method);
            let views = views(2, &device);
            let embeddings = compute(&*objective, &shifted, &views, &STEP, None).0.embeddings;
            let running = |name: &str| name.contains("running_");
            let after = state::read(&objective.after_step(shifted.clone(), &embeddings, &STEP));
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
                    // The bound allows for two products and a sum in f32.
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
