use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, simple_contrastive};
use crate::settings::{at_least_zero, width};
use crate::{Batch, ConfigError, Method, Networks, Objective};

settings! {
    /// Huang et al. 2023: a linear loss that demonstrates collapse.
    ///
    /// The simple contrastive loss (Huang et al., ICLR 2023) is InfoNCE at infinite temperature. It
    /// only centres the outputs, which may then collapse onto two opposite points. The library has
    /// this method in order to show that collapse.
    pub struct SimpleContrastive {
        /// Weight of the term that keeps outputs apart, relative to the term that draws views
        /// together.
        ///
        /// This weight applies to the negatives.
        pub lambda: f64,
        /// Number of units in each hidden layer of the heads.
        pub hidden: usize,
        /// Number of values in each output that the loss compares.
        pub output: usize,
    }
}

impl SimpleContrastive {
    /// Default settings for an encoder that gives `dim` values per image.
    pub(crate) fn default_for(dim: usize) -> Self {
        Self { lambda: 1.0, hidden: dim, output: 128 }
    }
}

impl Method for SimpleContrastive {
    fn check(&self) -> Result<(), ConfigError> {
        at_least_zero("method.lambda", self.lambda)?;
        width("method.hidden", self.hidden)?;
        width("method.output", self.output)
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        Networks::with_projector(encoder, &[self.hidden, self.output], Norms::None, init)
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(*self)]
    }

    fn remedy(&self) -> &'static str {
        "this loss only centres the outputs; the methods simclr and revised_infonce spread them"
    }
}

impl Objective for SimpleContrastive {
    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let [first, second] = batch.pair();
        simple_contrastive(first, second, self.lambda)
    }
}
