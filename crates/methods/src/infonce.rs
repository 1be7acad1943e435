use burn::tensor::Tensor;
use rand::seq::index;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};
use serde::{Deserialize, Serialize};

use crate::losses::{Loss, info_nce_sampled};
use crate::settings::{temperature, width};
use crate::{ConfigError, Method, Networks, Step, need};

/// InfoNCE with a chosen number of negatives for each image: with one, and a temperature of 1, the
/// form that the theory of Huang et al. (ICLR 2023) speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfoNce {
    /// Other images that an image is told from at a step; all of the batch where that has fewer.
    pub negatives: usize,
    /// Temperature of the loss.
    pub temperature: f64,
    /// Width of the head's hidden layer.
    pub hidden: usize,
    /// Number of values the loss compares.
    pub output: usize,
}

impl InfoNce {
    /// For an encoder of so many values.
    pub(crate) fn sensible(dim: usize) -> Self {
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
