use burn::tensor::Tensor;
use rand::seq::index;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, info_nce_sampled};
use crate::settings::{temperature, width};
use crate::{ConfigError, Method, Networks, Step, need};

settings! {
    /// van den Oord et al. 2018: with a chosen number of negatives.
    ///
    /// InfoNCE with a chosen number of negatives an image. With one negative and a temperature of 1
    /// it is the loss that the theory of Huang et al. (ICLR 2023) is about.
    pub struct InfoNce {
        /// Other images that an image is told from at a step; all of the batch where that has
        /// fewer.
        pub negatives: usize,
        /// Temperature of the loss, above 0; smaller ones look at the nearest negatives alone.
        pub temperature: f64,
        /// Width of the heads' hidden layers.
        pub hidden: usize,
        /// Number of values the loss compares.
        pub output: usize,
    }
}

impl InfoNce {
    /// Default settings for an encoder that gives `dim` values an image.
    pub(crate) fn default_for(dim: usize) -> Self {
        Self { negatives: 1, temperature: 1.0, hidden: dim, output: 128 }
    }
}

impl Method for InfoNce {
    fn check(&self) -> Result<(), ConfigError> {
        need("method.negatives", self.negatives, self.negatives > 0, "at least 1")?;
        temperature(self.temperature, None)?;
        width("method.hidden", self.hidden)?;
        width("method.output", self.output)
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        Networks::new(encoder, &[self.hidden, self.output], Norms::None, init)
    }

    fn loss(&self, _networks: &Networks, embeddings: &[Tensor<2>], step: &Step) -> Loss {
        // The images stand in random order, so that any shift gives random negatives; new ones at
        // every step.
        let [batch, _] = embeddings[0].dims();
        let others = batch - 1;
        let shifts = index::sample(&mut step.random(), others, self.negatives.min(others));
        let shifts: Vec<usize> = shifts.into_iter().map(|shift| shift + 1).collect();
        info_nce_sampled(embeddings[0].clone(), embeddings[1].clone(), &shifts, self.temperature)
    }
}
