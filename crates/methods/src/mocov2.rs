use burn::tensor::{Int, Tensor, TensorData};
use rand::seq::SliceRandom;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms, parts};

use crate::losses::{Loss, info_nce, normalise};
use crate::settings::{momentum, temperature, width};
use crate::{Batch, ConfigError, Method, Microbatch, Networks, Objective, Step, need};

settings! {
    /// Chen et al. 2020: a momentum encoder and a queue of negatives.
    ///
    /// MoCo v2 (He et al. 2020; Chen et al. 2020) tells the embedding of an image from embeddings
    /// of images in earlier batches, which a queue keeps. A slow copy of the networks computes the
    /// embeddings of the other view and of the queue.
    pub struct MocoV2 {
        /// Temperature of the loss, above 0; a small temperature weighs the nearest negatives most.
        pub temperature: f64,
        /// Temperature at the end of training, reached along a half cosine; unset, the temperature
        /// is constant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub temperature_end: Option<f64>,
        /// Share of the slow copy's weights that a step keeps, from 0 to 1.
        pub momentum: f64,
        /// Momentum at the end of training, reached along a half cosine; unset, the momentum is
        /// constant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub momentum_end: Option<f64>,
        /// Number of earlier embeddings that are kept as negatives.
        pub queue: usize,
        /// Whether each view is both query and key, which doubles the cost of a step.
        pub symmetric: bool,
        /// Number of parts of a batch that are normalised separately, as if each were on its own
        /// machine; every part has at least two images.
        ///
        /// A batch in microbatches has as many parts in all, but no part is larger than a
        /// microbatch. The slow copy receives the images in another order, so that the statistics of a part do
        /// not reveal which images belong together. Running statistics move once per batch, towards
        /// the mean of the parts.
        pub splits: usize,
        /// Number of units in each hidden layer of the heads.
        pub hidden: usize,
        /// Number of values in each output that the loss compares.
        pub output: usize,
    }
}

impl MocoV2 {
    /// Default settings for an encoder that gives `dim` values per image: the settings of the
    /// authors' demonstration on CIFAR, in the symmetric variant.
    pub(crate) fn default_for(dim: usize) -> Self {
        Self {
            temperature: 0.1,
            temperature_end: None,
            momentum: 0.99,
            momentum_end: None,
            queue: 4096,
            symmetric: true,
            splits: 8,
            hidden: dim,
            output: 128,
        }
    }

    /// Returns how many parts are normalised separately: of a microbatch, its share of the batch's
    /// [`splits`](Self::splits), but at least one part.
    fn parts(&self, images: &Microbatch<'_>) -> usize {
        (self.splits * images.rows.len() / images.batch).max(1)
    }

    /// Computes the normalised outputs of the slow copy, in `parts` parts; row i belongs to image
    /// i. The slow copy takes the images in `order`, so that a key shares its part of the batch
    /// with other images than the query of the same image does.
    fn keys(networks: &Networks, view: &Tensor<4>, parts: usize, order: &[usize]) -> Tensor<2> {
        let device = view.device();
        let index = |order: Vec<i64>| {
            let count = order.len();
            Tensor::<1, Int>::from_data(TensorData::new(order, [count]), &device)
        };
        let mut inverse = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, &image)| inverse[image] = place as i64);
        let order = order.iter().map(|&image| image as i64).collect();
        let shuffled = view.clone().select(0, index(order));
        let keys = project_in_parts(networks, Networks::project_momentum, &shuffled, parts);
        normalise(keys.select(0, index(inverse)))
    }
}

/// Applies `project` to a view in `parts` parts, one after the other, so that batch normalisation
/// takes the statistics of one part at a time.
fn project_in_parts(
    networks: &Networks,
    project: impl Fn(&Networks, Tensor<4>) -> Tensor<2>,
    view: &Tensor<4>,
    parts: usize,
) -> Tensor<2> {
    let [count, ..] = view.dims();
    let pass = |rows| project(networks, view.clone().slice([rows]));
    Tensor::cat(parts::in_turn(networks, &parts::even(count, parts), pass), 0)
}

impl Method for MocoV2 {
    fn check(&self) -> Result<(), ConfigError> {
        temperature(self.temperature, self.temperature_end)?;
        momentum(self.momentum, self.momentum_end)?;
        need(
            "method.queue",
            self.queue,
            (1..=1 << 24).contains(&self.queue),
            "1 to 16777216 embeddings",
        )?;
        need("method.splits", self.splits, (1..=1024).contains(&self.splits), "1 to 1024 parts")?;
        width("method.hidden", self.hidden)?;
        width("method.output", self.output)
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        let networks =
            Networks::with_projector(encoder, &[self.hidden, self.output], Norms::None, init)
                .with_momentum();
        // Fill the queue with random directions until there are earlier batches.
        let queue = normalise(init.normal([self.queue, self.output]));
        networks.with_queue("queue", queue)
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(*self)]
    }
}

impl Objective for MocoV2 {
    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        let mut order: Vec<usize> = (0..images.rows.len()).collect();
        order.shuffle(&mut images.step.random());
        let (views, parts) = (images.views, self.parts(images));
        let query = |view: &Tensor<4>| project_in_parts(networks, Networks::project, view, parts);
        let key = |view: &Tensor<4>| Self::keys(networks, view, parts, &order);
        match self.symmetric {
            true => vec![query(&views[0]), query(&views[1]), key(&views[0]), key(&views[1])],
            false => vec![query(&views[0]), key(&views[1])],
        }
    }

    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let negatives = batch.networks.queue("queue");
        let temperature =
            batch.step.anneal(self.temperature, self.temperature_end.unwrap_or(self.temperature));
        let contrast = |query: &Tensor<2>, key: &Tensor<2>| {
            info_nce(query.clone(), key.clone().detach(), negatives.clone(), temperature)
        };
        match batch.embeddings {
            [q1, q2, k1, k2] => Loss::mean(contrast(q1, k2), contrast(q2, k1)),
            [q1, k2] => contrast(q1, k2),
            _ => unreachable!("queries and as many keys"),
        }
    }

    fn after_step(&self, networks: Networks, embeddings: &[Tensor<2>], step: &Step) -> Networks {
        let networks =
            networks.follow(step.anneal(self.momentum, self.momentum_end.unwrap_or(self.momentum)));
        let keys = &embeddings[embeddings.len() / 2..];
        let newest_first = keys.iter().cloned().chain([networks.queue("queue")]).collect();
        networks.with_queue("queue", Tensor::cat(newest_first, 0).narrow(0, 0, self.queue))
    }
}
