use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, nt_xent};
use crate::settings::{temperature, width};
use crate::{Batch, ConfigError, Method, Networks, Objective};

settings! {
    /// Chen et al. 2020: all other images of the batch as negatives.
    ///
    /// SimCLR finds, among all other views of the batch, the one that shows the same image.
    pub struct SimClr {
        /// Temperature of the loss, above 0; smaller ones look at the nearest negatives alone.
        pub temperature: f64,
        /// Temperature at the end, reached along a half cosine; unset, it does not change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub temperature_end: Option<f64>,
        /// Width of the heads' hidden layers.
        pub hidden: usize,
        /// Number of values the loss compares.
        pub output: usize,
    }
}

impl SimClr {
    /// Default settings for an encoder that gives `dim` values an image.
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
