use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Mlp, Norms};

use crate::losses::{Loss, negative_cosine};
use crate::settings::{momentum, width};
use crate::{Batch, ConfigError, Method, Microbatch, Networks, Objective, Step};

settings! {
    /// Grill et al. 2020: predicts a momentum encoder's output.
    ///
    /// BYOL predicts, from one view, the output of a slow copy of the networks for the other view.
    /// The loss is that of the paper: the squared distance between the normalised prediction and
    /// the normalised output, summed over both directions.
    pub struct Byol {
        /// Share of the slow copy's weights that a step keeps, from 0 to 1.
        ///
        /// This share rises to 1 along a half cosine.
        pub momentum: f64,
        /// Number of units in each hidden layer of the heads.
        pub hidden: usize,
        /// Number of values in each output that the loss compares.
        pub output: usize,
    }
}

impl Byol {
    /// Default settings for an encoder that gives `dim` values per image.
    pub(crate) fn default_for(dim: usize) -> Self {
        Self { momentum: 0.99, hidden: 4 * dim, output: 256 }
    }
}

impl Method for Byol {
    fn check(&self) -> Result<(), ConfigError> {
        momentum(self.momentum, None)?;
        width("method.hidden", self.hidden)?;
        width("method.output", self.output)
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        let networks =
            Networks::with_projector(encoder, &[self.hidden, self.output], Norms::Hidden, init);
        let predictor = Mlp::new(&[self.output, self.hidden, self.output], Norms::Hidden, init);
        networks.with("predictor", predictor).with_momentum()
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(*self)]
    }

    fn remedy(&self) -> &'static str {
        "without negatives, only the predictor and the slow copy keep the outputs apart: a lower \
         learning rate or a higher method.momentum usually helps"
    }
}

impl Objective for Byol {
    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        let predictor = networks.mlp("predictor");
        let predicted =
            networks.project_each(images.views).into_iter().map(|z| predictor.forward(z));
        let targets = images.views.iter().map(|view| networks.project_momentum(view.clone()));
        predicted.chain(targets).collect()
    }

    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let [p1, p2, t1, t2] = batch.embeddings else {
            unreachable!("two predictions and two targets")
        };
        let predict = |p: &Tensor<2>, t: &Tensor<2>| negative_cosine(p.clone(), t.clone().detach());
        let loss = Loss::mean(predict(p1, t2), predict(p2, t1));
        // Equation 2 of the paper sums the squared distances of normalised rows, 2 − 2·cos each,
        // over both directions.
        Loss { value: loss.value.mul_scalar(4.0).add_scalar(4.0), ..loss }
    }

    fn after_step(&self, networks: Networks, _embeddings: &[Tensor<2>], step: &Step) -> Networks {
        networks.follow(step.anneal(self.momentum, 1.0))
    }
}
