use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};
use serde::{Deserialize, Serialize};

use crate::losses::{Loss, shorten, spectral};
use crate::settings::{positive, width};
use crate::{ConfigError, Method, Networks, Step};

/// Spectral contrastive learning (HaoChen et al. 2021): its minimum is a factor of the augmentation
/// graph's adjacency matrix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spectral {
    /// Outputs longer than this are shortened to it: 1 in the authors' runs on CIFAR-10, √10 on
    /// ImageNet. Their code divides the loss by its square.
    pub radius: f64,
    /// Width of the head's hidden layer.
    pub hidden: usize,
    /// Number of values the loss compares.
    pub output: usize,
}

impl Spectral {
    /// For an encoder of so many values, with the radius of small images.
    pub(crate) fn sensible(dim: usize) -> Self {
        Self { radius: 1.0, hidden: 2 * dim, output: 2 * dim }
    }
}

impl Method for Spectral {
    fn check(&self) -> Result<(), ConfigError> {
        positive("method.radius", self.radius)?;
        width("method.hidden", self.hidden)?;
        width("method.output", self.output)
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        Networks::new(encoder, &[self.hidden, self.output], Norms::Hidden, init)
    }

    fn embed(&self, networks: &Networks, views: &[Tensor<4>], _step: &Step) -> Vec<Tensor<2>> {
        networks.project_each(views)
    }

    fn loss(&self, _networks: &Networks, embeddings: &[Tensor<2>], _step: &Step) -> Loss {
        let [first, second] = [0, 1].map(|i| shorten(embeddings[i].clone(), self.radius));
        spectral(first, second)
    }
}
