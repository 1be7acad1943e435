use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};
use serde::{Deserialize, Serialize};

use crate::losses::{Loss, barlow_twins};
use crate::settings::{at_least_zero, positive, width};
use crate::{ConfigError, Method, Networks, Step};

/// Barlow Twins (Zbontar et al. 2021): makes the cross-correlation matrix of two views' outputs the
/// identity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BarlowTwins {
    /// Weight λ of what is off the diagonal.
    pub lambda: f64,
    /// What the loss is multiplied by.
    pub scale: f64,
    /// Width of the head's two hidden layers.
    pub hidden: usize,
    /// Number of values the loss compares.
    pub output: usize,
}

impl BarlowTwins {
    /// For an encoder of so many values.
    pub(crate) fn sensible(dim: usize) -> Self {
        Self { lambda: 5e-3, scale: 1.0, hidden: 4 * dim, output: 4 * dim }
    }
}

impl Method for BarlowTwins {
    fn check(&self) -> Result<(), ConfigError> {
        at_least_zero("method.lambda", self.lambda)?;
        positive("method.scale", self.scale)?;
        width("method.hidden", self.hidden)?;
        width("method.output", self.output)
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        Networks::new(encoder, &[self.hidden, self.hidden, self.output], Norms::Hidden, init)
    }

    fn embed(&self, networks: &Networks, views: &[Tensor<4>], _step: &Step) -> Vec<Tensor<2>> {
        networks.project_each(views)
    }

    fn loss(&self, _networks: &Networks, embeddings: &[Tensor<2>], _step: &Step) -> Loss {
        let loss = barlow_twins(embeddings[0].clone(), embeddings[1].clone(), self.lambda);
        Loss { value: loss.value.mul_scalar(self.scale), ..loss }
    }
}
