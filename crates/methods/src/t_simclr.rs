use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};
use serde::{Deserialize, Serialize};

use crate::losses::{Loss, t_simclr};
use crate::settings::{positive, temperature, width};
use crate::{ConfigError, Method, Networks, Step};

/// t-SimCLR (Hu et al. 2023): SimCLR with the heavy tails of Student's t and outputs that are not
/// normalised, as t-SNE has them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TSimClr {
    /// What squared distances are divided by.
    pub temperature: f64,
    /// Degrees of freedom of Student's t.
    pub degrees_of_freedom: f64,
    /// Width of the head's hidden layer.
    pub hidden: usize,
    /// Number of values the loss compares.
    pub output: usize,
}

impl TSimClr {
    /// For an encoder of so many values: the kernel of the authors' script for CIFAR-10.
    pub(crate) fn sensible(dim: usize) -> Self {
        Self { temperature: 8.0, degrees_of_freedom: 5.0, hidden: dim, output: 128 }
    }
}

impl Method for TSimClr {
    fn check(&self) -> Result<(), ConfigError> {
        temperature(self.temperature, None)?;
        positive("method.degrees_of_freedom", self.degrees_of_freedom)?;
        width("method.hidden", self.hidden)?;
        width("method.output", self.output)
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        Networks::new(encoder, &[self.hidden, self.output], Norms::None, init)
    }

    fn loss(&self, _networks: &Networks, embeddings: &[Tensor<2>], _step: &Step) -> Loss {
        t_simclr(
            embeddings[0].clone(),
            embeddings[1].clone(),
            self.temperature,
            self.degrees_of_freedom,
        )
    }
}
