use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, revised_infonce};
use crate::settings::{at_least_zero, temperature, width};
use crate::{Batch, ConfigError, Method, Networks, Objective};

settings! {
    /// Huang et al. 2023: separate weights for alignment and divergence.
    ///
    /// Revised InfoNCE, from the authors' talk on "Towards the Generalization of Contrastive
    /// Self-Supervised Learning" (ICLR 2023), weights alignment and divergence separately.
    pub struct RevisedInfoNce {
        /// Weight of the term that keeps outputs apart, relative to the term that draws views
        /// together.
        ///
        /// This weight applies to the divergence.
        pub lambda: f64,
        /// Temperature of the loss, above 0; a small temperature weighs the nearest negatives most.
        pub temperature: f64,
        /// Number of units in each hidden layer of the heads.
        pub hidden: usize,
        /// Number of values in each output that the loss compares.
        pub output: usize,
    }
}

impl RevisedInfoNce {
    /// Default settings for an encoder that gives `dim` values per image. The talk states the
    /// temperature but no λ.
    pub(crate) fn default_for(dim: usize) -> Self {
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
        Networks::with_projector(encoder, &[self.hidden, self.output], Norms::None, init)
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(*self)]
    }
}

impl Objective for RevisedInfoNce {
    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let [first, second] = batch.pair();
        revised_infonce(first, second, self.lambda, self.temperature)
    }
}
