use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, shorten, spectral};
use crate::settings::{positive, width};
use crate::{Batch, ConfigError, Method, Microbatch, Networks, Objective};

settings! {
    /// HaoChen et al. 2021: factorises the augmentation graph.
    ///
    /// Spectral contrastive learning has a loss at whose minimum the outputs factorise the
    /// normalised adjacency matrix of the augmentation graph.
    pub struct Spectral {
        /// Largest length of an output; longer outputs are shortened to it.
        ///
        /// The authors take 1 on CIFAR-10 and √10 on ImageNet; their code divides the loss by the
        /// square of this length.
        pub radius: f64,
        /// Number of units in each hidden layer of the heads.
        pub hidden: usize,
        /// Number of values in each output that the loss compares.
        pub output: usize,
    }
}

impl Spectral {
    /// Default settings for an encoder that gives `dim` values per image, with the authors' radius
    /// for small images.
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
        Networks::with_projector(encoder, &[self.hidden, self.output], Norms::Hidden, init)
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(*self)]
    }
}

impl Objective for Spectral {
    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        networks.project_each(images.views)
    }

    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let [first, second] = batch.pair().map(|rows| shorten(rows, self.radius));
        spectral(first, second)
    }
}
