use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Mlp, Norms};

use crate::losses::{Loss, negative_cosine};
use crate::settings::width;
use crate::{Batch, ConfigError, Method, Microbatch, Networks, Objective, need};

settings! {
    /// Chen and He 2021: a predictor and a stopped gradient, without negatives.
    ///
    /// SimSiam predicts the output of one view, which receives no gradient, from the output of the
    /// other view.
    pub struct SimSiam {
        /// Number of linear maps in the projector, from 1 to 8.
        ///
        /// The paper uses 3, and 2 on CIFAR.
        pub layers: usize,
        /// Number of values in each output that the loss compares.
        pub output: usize,
        /// Number of units in the hidden layer of the predictor.
        pub bottleneck: usize,
    }
}

impl SimSiam {
    /// Default settings for an encoder that gives `dim` values per image.
    pub(crate) fn default_for(dim: usize) -> Self {
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
        let networks =
            Networks::with_projector(encoder, &vec![self.output; self.layers], Norms::All, init);
        let predictor = Mlp::new(&[self.output, self.bottleneck, self.output], Norms::Hidden, init);
        networks.with("predictor", predictor)
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(*self)]
    }

    fn remedy(&self) -> &'static str {
        "without negatives, only the predictor and its learning rate keep the outputs apart: a \
         lower learning rate, a smaller method.bottleneck or a longer warm-up usually helps"
    }
}

impl Objective for SimSiam {
    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        let predictor = networks.mlp("predictor");
        let projected = networks.project_each(images.views);
        let predicted: Vec<_> = projected.iter().map(|z| predictor.forward(z.clone())).collect();
        projected.into_iter().chain(predicted).collect()
    }

    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let [z1, z2, p1, p2] = batch.embeddings else {
            unreachable!("two projections and two predictions")
        };
        Loss::mean(
            negative_cosine(p1.clone(), z2.clone().detach()),
            negative_cosine(p2.clone(), z1.clone().detach()),
        )
    }
}
