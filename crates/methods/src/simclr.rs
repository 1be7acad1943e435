use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, nt_xent};
use crate::settings::{temperature, width};
use crate::{Batch, ConfigError, Method, Networks, Objective};

settings! {
    /// Chen et al. 2020: takes all other images of the batch as negatives.
    ///
    /// SimCLR finds the view of the same image among all other views of the batch.
    pub struct SimClr {
        /// Temperature of the loss, above 0; a small temperature weighs the nearest negatives most.
        pub temperature: f64,
        /// Temperature at the end of training, reached along a half cosine; unset, the temperature
        /// is constant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub temperature_end: Option<f64>,
        /// Number of units in each hidden layer of the heads.
        pub hidden: usize,
        /// Number of values in each output that the loss compares.
        pub output: usize,
    }
}

impl SimClr {
    /// Default settings for an encoder that gives `dim` values per image.
    pub(crate) fn default_for(dim: usize) -> Self {
        Self { temperature: 0.5, temperature_end: None, hidden: dim, output: 128 }
    }
}

impl Method for SimClr {
    fn check(&self) -> Result<(), ConfigError> {
        temperature(self.temperature, self.temperature_end)?;
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

impl Objective for SimClr {
    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let temperature =
            batch.step.anneal(self.temperature, self.temperature_end.unwrap_or(self.temperature));
        let [first, second] = batch.pair();
        nt_xent(first, second, temperature)
    }
}
