use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};
use serde::{Deserialize, Serialize};

use crate::losses::{Loss, nt_xent};
use crate::settings::{temperature, width};
use crate::{ConfigError, Method, Networks, Step};

/// SimCLR (Chen et al. 2020): tells each image's two views from those of all other images of the
/// batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimClr {
    /// Temperature of the loss.
    pub temperature: f64,
    /// Temperature at the end, reached along a half cosine; the same throughout without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_end: Option<f64>,
    /// Width of the head's hidden layer.
    pub hidden: usize,
    /// Number of values the loss compares.
    pub output: usize,
}

impl SimClr {
    /// For an encoder of so many values.
    pub(crate) fn sensible(dim: usize) -> Self {
        Self { temperature: 0.5, temperature_end: None, hidden: dim, output: 128 }
    }
}

impl Method for SimClr {
    fn check(&self) -> Result<(), ConfigError> {
        temperature(self.temperature, self.temperature_end)?;
        width("method.hidden", self.hidden)?;
        width("method.output", self.output)
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        Networks::new(encoder, &[self.hidden, self.output], Norms::None, init)
    }

    fn loss(&self, _networks: &Networks, embeddings: &[Tensor<2>], step: &Step) -> Loss {
        let temperature =
            step.anneal(self.temperature, self.temperature_end.unwrap_or(self.temperature));
        nt_xent(embeddings[0].clone(), embeddings[1].clone(), temperature)
    }
}
