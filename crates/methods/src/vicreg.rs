use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, VicRegWeights, vicreg};
use crate::settings::{at_least_zero, width};
use crate::{Batch, ConfigError, Method, Microbatch, Networks, Objective};

settings! {
    /// Bardes et al. 2022: variance, invariance, covariance.
    ///
    /// VICReg makes views agree, makes every output vary over the batch, and keeps outputs from
    /// varying together.
    pub struct VicReg {
        /// Weight of the distance between views.
        ///
        /// This weight is λ in the paper, which sets it to 25.
        pub invariance: f64,
        /// Weight of the penalty on outputs that vary too little.
        ///
        /// This weight is μ in the paper, which sets it to 25.
        pub variance: f64,
        /// Weight of the penalty on outputs that vary together.
        ///
        /// This weight is ν in the paper, which sets it to 1.
        pub covariance: f64,
        /// Number of units in each hidden layer of the heads.
        pub hidden: usize,
        /// Number of values in each output that the loss compares.
        pub output: usize,
    }
}

impl VicReg {
    /// Default settings for an encoder that gives `dim` values per image, with the paper's weights.
    pub(crate) fn default_for(dim: usize) -> Self {
        Self { invariance: 25.0, variance: 25.0, covariance: 1.0, hidden: 4 * dim, output: 4 * dim }
    }
}

impl Method for VicReg {
    fn check(&self) -> Result<(), ConfigError> {
        at_least_zero("method.invariance", self.invariance)?;
        at_least_zero("method.variance", self.variance)?;
        at_least_zero("method.covariance", self.covariance)?;
        width("method.hidden", self.hidden)?;
        width("method.output", self.output)
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        Networks::with_projector(
            encoder,
            &[self.hidden, self.hidden, self.output],
            Norms::Hidden,
            init,
        )
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(*self)]
    }
}

impl Objective for VicReg {
    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        networks.project_each(images.views)
    }

    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let weights = VicRegWeights {
            invariance: self.invariance,
            variance: self.variance,
            covariance: self.covariance,
        };
        let [first, second] = batch.pair();
        vicreg(first, second, weights)
    }
}
