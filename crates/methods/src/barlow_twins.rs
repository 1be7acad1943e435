use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, barlow_twins};
use crate::settings::{at_least_zero, positive, width};
use crate::{Batch, ConfigError, Method, Microbatch, Networks, Objective};

settings! {
    /// Zbontar et al. 2021: cross-correlation towards the identity.
    ///
    /// Barlow Twins brings the cross-correlation matrix between the outputs of two views close to
    /// the identity. Each output then agrees between the views, and no two outputs carry the same
    /// information.
    pub struct BarlowTwins {
        /// Weight of the term that keeps outputs apart, relative to the term that draws views
        /// together.
        ///
        /// This weight is λ in the paper, the weight of the entries off the diagonal of the
        /// cross-correlation.
        pub lambda: f64,
        /// Factor that multiplies the whole loss.
        pub scale: f64,
        /// Number of units in each hidden layer of the heads.
        pub hidden: usize,
        /// Number of values in each output that the loss compares.
        pub output: usize,
    }
}

impl BarlowTwins {
    /// Default settings for an encoder that gives `dim` values per image.
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
        Networks::with_projector(
            encoder,
            &[self.hidden, self.hidden, self.output],
            Norms::Hidden,
            init,
        )
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(*self)]
    }
}

impl Objective for BarlowTwins {
    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        networks.project_each(images.views)
    }

    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let [first, second] = batch.pair();
        let loss = barlow_twins(first, second, self.lambda);
        Loss { value: loss.value.mul_scalar(self.scale), ..loss }
    }
}
