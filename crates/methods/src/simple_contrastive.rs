use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, simple_contrastive};
use crate::settings::{at_least_zero, width};
use crate::{ConfigError, Method, Networks, Step};

settings! {
    /// Huang et al. 2023: linear, for the collapse it shows.
    ///
    /// The simple contrastive loss (Huang et al., ICLR 2023) is InfoNCE at infinite temperature. It
    /// only centres the outputs, which may then collapse onto two opposite points; it is here to
    /// show that.
    pub struct SimpleContrastive {
        /// Weight of what holds the outputs apart beside what draws views together.
        ///
        /// It weighs the negatives.
        pub lambda: f64,
        /// Width of the heads' hidden layers.
        pub hidden: usize,
        /// Number of values the loss compares.
        pub output: usize,
    }
}

impl SimpleContrastive {
    /// Default settings for an encoder that gives `dim` values an image.
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
        Networks::new(encoder, &[self.hidden, self.output], Norms::None, init)
    }

    fn loss(&self, _networks: &Networks, embeddings: &[Tensor<2>], _step: &Step) -> Loss {
        simple_contrastive(embeddings[0].clone(), embeddings[1].clone(), self.lambda)
    }

    fn against_collapse(&self) -> &'static str {
        "this loss asks for no more than centred outputs; --method simclr or revised_infonce \
         spreads them"
    }
}
