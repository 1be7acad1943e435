use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Mlp, Norms};
use serde::{Deserialize, Serialize};

use crate::losses::{Loss, negative_cosine};
use crate::settings::width;
use crate::{ConfigError, Method, Networks, Step, need};

/// SimSiam (Chen and He 2021): predicts one view's output from the other's, which is held still.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimSiam {
    /// Linear maps in the projector: 3 in the paper, 2 on CIFAR.
    pub layers: usize,
    /// Width of the projector's hidden layers and of its output.
    pub output: usize,
    /// Width of the predictor's hidden layer, a bottleneck.
    pub bottleneck: usize,
}

impl SimSiam {
    /// For an encoder of so many values.
    pub(crate) fn sensible(dim: usize) -> Self {
        Self { layers: 2, output: 4 * dim, bottleneck: dim }
    }
}

impl Method for SimSiam {
    fn check(&self) -> Result<(), ConfigError> {
        need("method.layers", self.layers, (1..=8).contains(&self.layers), "1 to 8 linear maps")?;
        width("method.output", self.output)?;
        width("method.bottleneck", self.bottleneck)
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        let networks = Networks::new(encoder, &vec![self.output; self.layers], Norms::All, init);
        let predictor = Mlp::new(&[self.output, self.bottleneck, self.output], Norms::Hidden, init);
        Networks { predictor: Some(predictor), ..networks }
    }

    fn embed(&self, networks: &Networks, views: &[Tensor<4>], _step: &Step) -> Vec<Tensor<2>> {
        let predictor = networks.predictor.as_ref().expect("SimSiam has a predictor");
        let projected = networks.project_each(views);
        let predicted: Vec<_> = projected.iter().map(|z| predictor.forward(z.clone())).collect();
        projected.into_iter().chain(predicted).collect()
    }

    fn loss(&self, _networks: &Networks, embeddings: &[Tensor<2>], _step: &Step) -> Loss {
        let [z1, z2, p1, p2] = embeddings else {
            unreachable!("two projections and two predictions")
        };
        Loss::mean(
            negative_cosine(p1.clone(), z2.clone().detach()),
            negative_cosine(p2.clone(), z1.clone().detach()),
        )
    }

    fn against_collapse(&self) -> &'static str {
        "without negatives, only the predictor and its learning rate hold the outputs apart: try \
         a lower --lr, a \
         smaller --set method.bottleneck or a longer --warmup-epochs"
    }
}
