use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, shorten, spectral};
use crate::settings::{positive, width};
use crate::{ConfigError, Method, Networks, Step};

settings! {
    /// HaoChen et al. 2021: a factor of the augmentation graph.
    ///
    /// Spectral contrastive learning: at its minimum the outputs factorise the normalised adjacency
    /// matrix of the augmentation graph.
    pub struct Spectral {
        /// Length that longer outputs are shortened to.
        ///
        /// The authors take 1 on CIFAR-10 and √10 on ImageNet; their code divides the loss by its
        /// square.
        pub radius: f64,
        /// Width of the heads' hidden layers.
        pub hidden: usize,
        /// Number of values the loss compares.
        pub output: usize,
    }
}

impl Spectral {
    /// Default settings for an encoder that gives `dim` values an image, with the authors'
    /// radius for small images.
    pub(crate) fn default_for(dim: usize) -> Self {
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
