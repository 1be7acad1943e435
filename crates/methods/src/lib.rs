//! Contrastive methods, and the losses they minimise.
//!
//! A [`Method`] says which [`Networks`] it needs, what it compares and what it minimises; a queue
//! or a momentum encoder belongs to it. A [loss](losses) is a pure function of embeddings.

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
pub use networks::{Branch, Networks};
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

/// A way to train an encoder without labels. Its settings are its own fields; what is trained is in
/// [`Networks`].
pub trait Method {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first that makes no sense, by its name in `config.toml`.
    fn check(&self) -> Result<(), ConfigError>;

    /// Views of an image that a step takes.
    fn views(&self) -> usize {
        2
    }

    /// The networks with their initial weights.
    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks;

    /// What the loss compares: one row for each image in every tensor.
    ///
    /// `views` are [`Method::views`] tensors `[images, height, width, 3]` of normalised pixels, row
    /// i of each a view of image i. Nothing but batch normalisation may make a row depend on other
    /// rows; here it sees all views as one.
    fn embed(&self, networks: &Networks, views: &[Tensor<4>], _step: &Step) -> Vec<Tensor<2>> {
        networks.project_together(views)
    }

    /// The loss of a batch, from what [`Method::embed`] made of it.
    fn loss(&self, networks: &Networks, embeddings: &[Tensor<2>], step: &Step) -> Loss;

    /// The two embeddings of each image that are drawn together, to watch for collapse; none where
    /// there is no such pair.
    fn pair<'a>(&self, embeddings: &'a [Tensor<2>]) -> Option<[&'a Tensor<2>; 2]> {
        Some([&embeddings[0], &embeddings[1]])
    }

    /// What usually mends outputs that have collapsed, as advice.
    fn against_collapse(&self) -> &'static str {
        "a lower --lr, a longer --warmup-epochs or a larger --batch usually mends that"
    }

    /// What changes besides the optimizer's step, after it: a momentum encoder, a queue.
    /// `embeddings` carry no gradients.
    fn after_step(&self, networks: Networks, _embeddings: &[Tensor<2>], _step: &Step) -> Networks {
        networks
    }
}

/// Which step of a training it is: all that schedules and chance in a method depend on, so that a
/// resumed training goes on as if it had not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Steps taken before.
    pub number: u64,
    /// Steps in all.
    pub steps: u64,
    /// Seed of the training.
    pub seed: u64,
}

impl Step {
    /// A value that goes from `start` to `end` along a half cosine over the training.
    fn anneal(&self, start: f64, end: f64) -> f64 {
        let share = self.number as f64 / self.steps.max(1) as f64;
        end + (start - end) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
    }

    /// A generator of random numbers for this step alone.
    fn random(&self) -> rand_chacha::ChaCha8Rng {
        use rand::SeedableRng;
        // The order of images takes the streams from 0 on, one an epoch.
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
