//! Methods of self-supervised learning, and the losses that they minimise.
//!
//! A [`Method`] makes the [`Networks`] that it needs, a queue or a momentum encoder among them, and
//! has one or more [`Objective`]s. A [loss](losses) is a pure function of embeddings.

#[macro_use]
mod config;
pub mod losses;
mod momentum;
mod networks;
mod settings;

mod barlow_twins;
mod byol;
mod infonce;
mod mocov2;
mod revised_infonce;
mod rotation;
mod simclr;
mod simple_contrastive;
mod simsiam;
mod spectral;
mod t_simclr;
mod vicreg;

use burn::tensor::Tensor;
use selfsame_nn::EncoderConfig;
use selfsame_nn::layers::Init;

pub use config::Setting;
use losses::Loss;
pub use networks::{Networks, Part};
pub use settings::{ConfigError, need};

// Every method there is, in the order in which the program lists them.
methods! {
    "simclr" => simclr::SimClr,
    "mocov2" => mocov2::MocoV2,
    "barlow_twins" => barlow_twins::BarlowTwins,
    "simsiam" => simsiam::SimSiam,
    "byol" => byol::Byol,
    "vicreg" => vicreg::VicReg,
    "spectral" => spectral::Spectral,
    "revised_infonce" => revised_infonce::RevisedInfoNce,
    "infonce" => infonce::InfoNce,
    "t_simclr" => t_simclr::TSimClr,
    "simple_contrastive" => simple_contrastive::SimpleContrastive,
    "rotation" => rotation::Rotation,
}

/// A way to train an encoder without labels.
///
/// A value of the type is the settings of the method, as `config.toml` stores them. What is trained
/// lies in [`Networks`], which the method makes.
pub trait Method {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that is out of range, by its name in `config.toml`.
    fn check(&self) -> Result<(), ConfigError>;

    /// How many views of each image a step takes.
    fn views(&self) -> usize {
        2
    }

    /// The networks with their initial weights.
    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks;

    /// The losses that a step minimises, one after the other: the second sees weights that the
    /// first has moved.
    ///
    /// Most methods have one, which trains everything. A generator and its discriminator have one
    /// each. No part of the networks may be trained by two objectives: losses that train the same
    /// part are weighted terms of one objective.
    fn objectives(&self) -> Vec<Box<dyn Objective>>;

    /// What usually helps once the outputs have collapsed: a clause that names settings.
    fn remedy(&self) -> &'static str {
        "a lower learning rate, a longer warm-up or a larger batch usually helps"
    }
}

/// A loss that a step minimises, with the parts of the networks that it trains.
///
/// The loss is computed in two stages. [`embed`](Objective::embed) takes images to embeddings, each
/// row by itself, so that a large batch can pass it in microbatches (gradient caching: Gao, Zhang,
/// Han and Callan 2021). [`loss`](Objective::loss) takes the embeddings of the whole batch to one
/// number; it may look at pixels and use the networks as well, always on the whole batch.
pub trait Objective {
    /// Whether it trains the part of the networks called `part`, such as `backbone`.
    fn trains(&self, _part: &str) -> bool {
        true
    }

    /// The embeddings of a batch: any number of tensors with one row an image.
    ///
    /// `views` are [`Method::views`] tensors `[images, height, width, 3]` of normalised pixels; row
    /// i of each is a view of image i. A row of the result may depend on other images through batch
    /// normalisation only. Here backbone and projector take all views as one batch.
    fn embed(&self, networks: &Networks, views: &[Tensor<4>], _step: &Step) -> Vec<Tensor<2>> {
        networks.project_together(views)
    }

    /// The loss of a batch.
    fn loss(&self, batch: &Batch<'_>) -> Loss;

    /// Of the embeddings, the two of each image that the loss draws together; they are watched for
    /// collapse. `None` where no two are.
    fn pair<'a>(&self, embeddings: &'a [Tensor<2>]) -> Option<[&'a Tensor<2>; 2]> {
        Some([&embeddings[0], &embeddings[1]])
    }

    /// Updates what no gradient moves, after the optimizer's step: a momentum encoder, a queue.
    /// `embeddings` carry no gradients.
    fn after_step(&self, networks: Networks, _embeddings: &[Tensor<2>], _step: &Step) -> Networks {
        networks
    }
}

/// What a loss is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The networks; parts that the objective does not train have no gradients.
    pub networks: &'a Networks,
    /// The views that were embedded, as [`Objective::embed`] gets them.
    pub views: &'a [Tensor<4>],
    /// What [`Objective::embed`] made of them.
    pub embeddings: &'a [Tensor<2>],
    /// The step of the training.
    pub step: &'a Step,
}

impl Batch<'_> {
    /// The first two embeddings: those of both views, for an objective that embeds each once.
    pub fn pair(&self) -> [Tensor<2>; 2] {
        [self.embeddings[0].clone(), self.embeddings[1].clone()]
    }
}

/// Which step of a training it is: all that schedules and random choices of a method depend on, so
/// that a resumed training goes on as if it had not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Steps taken before this one.
    pub number: u64,
    /// Steps of the whole training.
    pub steps: u64,
    /// Seed of the training.
    pub seed: u64,
}

impl Step {
    /// The value at this step of a schedule that leads from `start` to `end` along a half cosine.
    pub fn anneal(&self, start: f64, end: f64) -> f64 {
        let share = self.number as f64 / self.steps.max(1) as f64;
        end + (start - end) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
    }

    /// A generator of random numbers for this step. It is the same at every call, and the same for
    /// each microbatch.
    pub fn random(&self) -> rand_chacha::ChaCha8Rng {
        use rand::SeedableRng;
        // The order of the images takes one stream an epoch, from 0 upwards.
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(u64::MAX - self.number);
        rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anneals_from_start_to_end() {
        let at = |number| Step { number, steps: 100, seed: 0 }.anneal(0.9, 1.0);
        assert_eq!(at(0), 0.9);
        assert!((at(50) - 0.95).abs() < 1e-12 && at(99) < 1.0);
        assert!((0..99).all(|number| at(number) < at(number + 1)));
    }
}
