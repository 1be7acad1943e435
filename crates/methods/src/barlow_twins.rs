use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, barlow_twins};
use crate::settings::{at_least_zero, positive, width};
use crate::{ConfigError, Method, Networks, Step};

settings! {
    /// Zbontar et al. 2021: cross-correlation towards the identity.
    ///
    /// Barlow Twins brings the cross-correlation matrix of the outputs of two views close to the
    /// identity: each output agrees between views, and no two outputs say the same.
    pub struct BarlowTwins {
        /// Weight of what holds the outputs apart beside what draws views together.
        ///
        /// It weighs what is off the diagonal of the cross-correlation, as the paper's λ does.
        pub lambda: f64,
        /// What the loss is multiplied by.
        pub scale: f64,
        /// Width of the heads' hidden layers.
        pub hidden: usize,
        /// Number of values the loss compares.
        pub output: usize,
    }
}

impl BarlowTwins {
    /// Default settings for an encoder that gives `dim` values an image.
    pub(crate) fn default_for(dim: usize) -> Self {
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
