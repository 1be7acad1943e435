//! Methods of self-supervised learning, and the losses that they minimise.
//!
//! A [`Method`] makes the [`Networks`] that it needs, including a queue or a momentum encoder, and
//! has one or more [`Objective`]s. A [loss](losses) is a pure function of embeddings.
//!
//! Training takes the methods of [`MethodConfig`], whose settings a run stores in `config.toml`. A
//! method is therefore added in this crate: a file, and a line in the table in `lib.rs`.

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

use std::ops::Range;

use burn::tensor::Tensor;
use selfsame_nn::EncoderConfig;
use selfsame_nn::layers::Init;

pub use config::Setting;
use losses::Loss;
pub use networks::{Networks, Part};
pub use settings::{ConfigError, need};

// All methods, in the order in which the program lists them.
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
/// A value of an implementing type holds the settings of the method, as `config.toml` stores them.
/// The trained weights lie in [`Networks`], which the method makes.
pub trait Method {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`ConfigError`] gives the first setting that is out of range, by its name in `config.toml`.
    fn check(&self) -> Result<(), ConfigError>;

    /// Returns the number of views that a step takes of each image.
    fn views(&self) -> usize {
        2
    }

    /// Builds the networks with their initial weights.
    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks;

    /// Returns the losses that a step minimises, one after the other. The second loss is computed
    /// with the weights that the first loss has moved.
    ///
    /// Most methods have one objective, which trains all parts. A generator and its discriminator
    /// have one objective each. No part of the networks may be trained by two objectives: losses
    /// that train the same part are weighted terms of one objective.
    fn objectives(&self) -> Vec<Box<dyn Objective>>;

    /// Returns a clause that names the settings whose change usually helps after the outputs have
    /// collapsed.
    fn remedy(&self) -> &'static str {
        "a lower learning rate, a longer warm-up or a larger batch usually helps"
    }
}

/// A loss that a step minimises, with the parts of the networks that it trains.
///
/// The loss is computed in two stages. [`embed`](Objective::embed) maps images to embeddings, each
/// row by itself, so that a large batch can be embedded in microbatches (gradient caching: Gao,
/// Zhang, Han and Callan 2021). [`loss`](Objective::loss) maps the embeddings of the whole batch to
/// one number. This stage may also use pixels and the networks, always for the whole batch.
pub trait Objective {
    /// Returns whether this objective trains the part of the networks called `part`, such as
    /// `backbone`.
    fn trains(&self, _part: &str) -> bool {
        true
    }

    /// Embeds images. The result is any number of tensors with one row per image.
    ///
    /// A row of the result may depend on other images through batch normalisation only. What is
    /// drawn for an image at random comes from [`Microbatch::random`], so that it does not depend
    /// on how the batch is divided. By default, backbone and projector take all views together.
    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        networks.project_together(images.views)
    }

    /// Computes the loss of a batch.
    fn loss(&self, batch: &Batch<'_>) -> Loss;

    /// Returns the two embeddings of each image that the loss draws together, which are watched for
    /// collapse, or `None` if the loss draws no two embeddings together. By default, these are the
    /// first two.
    fn pair<'a>(&self, embeddings: &'a [Tensor<2>]) -> Option<[&'a Tensor<2>; 2]> {
        match embeddings {
            [first, second, ..] => Some([first, second]),
            _ => None,
        }
    }

    /// Updates the parts that no gradient moves, such as a momentum encoder or a queue, after the
    /// optimizer's step. `embeddings` carry no gradients.
    fn after_step(&self, networks: Networks, _embeddings: &[Tensor<2>], _step: &Step) -> Networks {
        networks
    }
}

/// Images that are embedded together: a whole batch, or one of the microbatches that it is divided
/// into.
#[derive(Clone, Debug)]
pub struct Microbatch<'a> {
    /// [`Method::views`] tensors `[images, height, width, 3]` of normalised pixels; row i of each is
    /// a view of image i.
    pub views: &'a [Tensor<4>],
    /// The rows of the batch that these images are.
    pub rows: Range<usize>,
    /// Number of images in the batch.
    pub batch: usize,
    /// The training step.
    pub step: &'a Step,
}

impl<'a> Microbatch<'a> {
    /// Returns a batch that is not divided.
    ///
    /// # Panics
    /// If there are no views.
    pub fn whole(views: &'a [Tensor<4>], step: &'a Step) -> Self {
        let [batch, ..] = views[0].dims();
        Self { views, rows: 0..batch, batch, step }
    }

    /// Returns a random number generator for each image, which depends on the image's row in the
    /// batch and not on the microbatch that it is in.
    pub fn random(&self) -> impl Iterator<Item = rand_chacha::ChaCha8Rng> {
        self.rows.clone().map(|row| {
            let mut rng = self.step.random();
            // A row's stretch of the keystream has 2³² words. The first stretch is that of draws
            // for the whole step.
            rng.set_word_pos((row as u128 + 1) << 32);
            rng
        })
    }
}

/// Inputs of a loss.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The networks; parts that the objective does not train have no gradients.
    pub networks: &'a Networks,
    /// The views of the whole batch, as in [`Microbatch::views`].
    pub views: &'a [Tensor<4>],
    /// The embeddings that [`Objective::embed`] returned for these views.
    pub embeddings: &'a [Tensor<2>],
    /// The training step.
    pub step: &'a Step,
}

impl Batch<'_> {
    /// Returns the first two embeddings, which belong to the two views if the objective embeds each
    /// view once.
    ///
    /// # Panics
    /// If there are fewer than two embeddings.
    pub fn pair(&self) -> [Tensor<2>; 2] {
        [self.embeddings[0].clone(), self.embeddings[1].clone()]
    }
}

/// A step of a training run. The schedules and random choices of a method depend on nothing else,
/// so a resumed run continues as if it had not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Number of steps taken before this step.
    pub number: u64,
    /// Number of steps in the whole run.
    pub steps: u64,
    /// Seed of the run.
    pub seed: u64,
}

impl Step {
    /// Returns the value, at this step, of a schedule that leads from `start` to `end` along a half
    /// cosine.
    pub fn anneal(&self, start: f64, end: f64) -> f64 {
        let share = self.number as f64 / self.steps.max(1) as f64;
        end + (start - end) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
    }

    /// Returns a random number generator for this step as a whole. Every call returns the same
    /// generator, so what is drawn for each image comes from [`Microbatch::random`].
    pub fn random(&self) -> rand_chacha::ChaCha8Rng {
        use rand::SeedableRng;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(self.seed);
        // Steps use streams from the last one downwards, because the order of the images uses one
        // stream per epoch, from 0 upwards.
        rng.set_stream(u64::MAX - self.number);
        rng
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_draws_does_not_depend_on_its_microbatch() {
        use rand::RngExt;
        let step = Step { number: 3, steps: 10, seed: 5 };
        let drawn = |rows: Range<usize>| {
            let images = Microbatch { views: &[], rows, batch: 10, step: &step };
            images.random().map(|mut rng| rng.random::<u64>()).collect::<Vec<_>>()
        };
        let whole = drawn(0..10);
        assert_eq!([drawn(0..3), drawn(3..6), drawn(6..10)].concat(), whole);
        let different: std::collections::BTreeSet<u64> =
            whole.into_iter().chain([step.random().random()]).collect();
        assert_eq!(different.len(), 11, "and every image draws its own");
    }

    #[test]
    fn anneals_from_start_to_end() {
        let at = |number| Step { number, steps: 100, seed: 0 }.anneal(0.9, 1.0);
        assert_eq!(at(0), 0.9);
        assert!((at(50) - 0.95).abs() < 1e-12 && at(99) < 1.0);
        assert!((0..99).all(|number| at(number) < at(number + 1)));
    }
}
