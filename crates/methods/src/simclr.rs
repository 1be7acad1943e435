use burn::module::Module;
use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Projector, ResNet};
use serde::{Deserialize, Serialize};

use crate::losses::nt_xent;

/// SimCLR's own settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimClrConfig {
    /// Temperature of the loss.
    pub temperature: f64,
    /// Width of the projection head's hidden layer.
    pub hidden: usize,
    /// Number of values the loss compares.
    pub output: usize,
}

/// SimCLR (Chen et al. 2020): an encoder and a projection head, trained to tell each image's two views from
/// those of all other images of the batch.
#[derive(Module, Debug)]
pub struct SimClr {
    /// The encoder that is kept.
    pub backbone: ResNet,
    /// The head that only the loss sees.
    pub projector: Projector,
}

impl SimClr {
    /// Builds both networks with their initial weights.
    pub fn new(config: &SimClrConfig, encoder: &EncoderConfig, init: &mut Init<'_>) -> Self {
        let backbone = encoder.init(init);
        let projector = Projector::new(encoder.dim(), config.hidden, config.output, init);
        Self { backbone, projector }
    }

    /// The loss of a batch: `first` and `second` are two views of the same images,
    /// `[batch, height, width, 3]`. Both pass the encoder together, so batch normalisation sees them as one.
    pub fn loss(&self, config: &SimClrConfig, first: Tensor<4>, second: Tensor<4>) -> Tensor<1> {
        let [batch, ..] = first.dims();
        let z = self.projector.forward(self.backbone.forward(Tensor::cat(vec![first, second], 0)));
        let [a, b] = [0..batch, batch..2 * batch].map(|rows| z.clone().slice([rows]));
        nt_xent(a, b, config.temperature)
    }
}
