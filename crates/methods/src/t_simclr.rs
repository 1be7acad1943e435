use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, t_simclr};
use crate::settings::{positive, temperature, width};
use crate::{Batch, ConfigError, Method, Networks, Objective};

settings! {
    /// Hu et al. 2023: SimCLR with t-SNE's heavy tails.
    ///
    /// t-SimCLR compares outputs as t-SNE does: by Student's t, without normalising the outputs.
    pub struct TSimClr {
        /// Temperature of the loss, above 0; a small temperature weighs the nearest negatives most.
        ///
        /// Squared distances are divided by the temperature.
        pub temperature: f64,
        /// Degrees of freedom of Student's t; a smaller number gives heavier tails.
        pub degrees_of_freedom: f64,
        /// Number of units in each hidden layer of the heads.
        pub hidden: usize,
        /// Number of values in each output that the loss compares.
        pub output: usize,
    }
}

impl TSimClr {
    /// Default settings for an encoder that gives `dim` values per image, with the kernel of the
    /// authors' script for CIFAR-10.
    pub(crate) fn default_for(dim: usize) -> Self {
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
        Networks::with_projector(encoder, &[self.hidden, self.output], Norms::None, init)
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(*self)]
    }
}

impl Objective for TSimClr {
    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let [first, second] = batch.pair();
        t_simclr(first, second, self.temperature, self.degrees_of_freedom)
    }
}
