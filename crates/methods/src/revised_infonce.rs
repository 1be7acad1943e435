use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};
use serde::{Deserialize, Serialize};

use crate::losses::{Loss, revised_infonce};
use crate::settings::{at_least_zero, temperature, width};
use crate::{ConfigError, Method, Networks, Step};

/// The revised InfoNCE of Huang et al. (talk on "Towards the Generalization of Contrastive
/// Self-Supervised Learning", ICLR 2023): alignment and divergence, each with a weight of its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevisedInfoNce {
    /// Weight λ of the divergence.
    pub lambda: f64,
    /// Temperature of the divergence.
    pub temperature: f64,
    /// Width of the head's hidden layer.
    pub hidden: usize,
    /// Number of values the loss compares.
    pub output: usize,
}

impl RevisedInfoNce {
    /// For an encoder of so many values. The talk gives the temperature and no λ.
    pub(crate) fn sensible(dim: usize) -> Self {
        Self { lambda: 1.0, temperature: 0.2, hidden: dim, output: 128 }
    }
}

impl Method for RevisedInfoNce {
    fn check(&self) -> Result<(), ConfigError> {
        at_least_zero("method.lambda", self.lambda)?;
        temperature(self.temperature, None)?;
        width("method.hidden", self.hidden)?;
        width("method.output", self.output)
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        Networks::new(encoder, &[self.hidden, self.output], Norms::None, init)
    }

    fn loss(&self, _networks: &Networks, embeddings: &[Tensor<2>], _step: &Step) -> Loss {
        revised_infonce(embeddings[0].clone(), embeddings[1].clone(), self.lambda, self.temperature)
    }
}
