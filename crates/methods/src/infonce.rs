use rand::seq::index;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, info_nce_sampled};
use crate::settings::{temperature, width};
use crate::{Batch, ConfigError, Method, Networks, Objective, need};

settings! {
    /// van den Oord et al. 2018: a chosen number of negatives per image.
    ///
    /// InfoNCE tells each image from a chosen number of negatives. With one negative and a
    /// temperature of 1, it is the loss that the theory of Huang et al. (ICLR 2023) is about.
    pub struct InfoNce {
        /// Number of negatives per image, or all other images if the batch has fewer.
        pub negatives: usize,
        /// Temperature of the loss, above 0; a small temperature weighs the nearest negatives most.
        pub temperature: f64,
        /// Number of units in each hidden layer of the heads.
        pub hidden: usize,
        /// Number of values in each output that the loss compares.
        pub output: usize,
    }
}

impl InfoNce {
    /// Default settings for an encoder that gives `dim` values per image.
    pub(crate) fn default_for(dim: usize) -> Self {
        Self { negatives: 1, temperature: 1.0, hidden: dim, output: 128 }
    }
}

impl Method for InfoNce {
    fn check(&self) -> Result<(), ConfigError> {
        need("method.negatives", self.negatives, self.negatives > 0, "at least 1")?;
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

impl Objective for InfoNce {
    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let [first, second] = batch.pair();
        // A batch is in random order, so the images at fixed distances from an image are a random
        // choice of negatives.
        let others = first.dims()[0] - 1;
        let negatives = self.negatives.min(others);
        let shifts = index::sample(&mut batch.step.random(), others, negatives);
        let shifts: Vec<usize> = shifts.into_iter().map(|shift| shift + 1).collect();
        info_nce_sampled(first, second, &shifts, self.temperature)
    }
}
