use burn::module::{Module, Param};
use burn::tensor::Tensor;
use selfsame_nn::layers::Init;
use selfsame_nn::{Backbone, EncoderConfig, Mlp, Norms};

use crate::momentum;

/// All that a method trains or carries from step to step: every tensor of it is in a checkpoint.
#[derive(Module, Debug)]
pub struct Networks {
    /// The encoder that is kept.
    pub backbone: Backbone,
    /// The head that only the loss sees.
    pub projector: Mlp,
    /// A second head, of one side of the comparison.
    pub predictor: Option<Mlp>,
    /// A slow copy of backbone and projector.
    pub momentum: Option<Branch>,
    /// Embeddings of earlier batches, `[count, dim]`, the newest first.
    pub queue: Option<Param<Tensor<2>>>,
}

/// An encoder with its head.
#[derive(Module, Debug)]
pub struct Branch {
    /// The encoder.
    pub backbone: Backbone,
    /// Its head.
    pub projector: Mlp,
}

impl Branch {
    /// `[images, height, width, 3]` to `[images, dim]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.projector.forward(self.backbone.forward(images))
    }
}

impl Networks {
    /// An encoder with a projector whose linear maps have `widths` values each.
    pub(crate) fn new(
        encoder: &EncoderConfig,
        widths: &[usize],
        norms: Norms,
        init: &mut Init<'_>,
    ) -> Self {
        let backbone = encoder.init(init);
        let projector = Mlp::new(&[&[encoder.dim()], widths].concat(), norms, init);
        Self { backbone, projector, predictor: None, momentum: None, queue: None }
    }

    /// Adds a slow copy, equal for now.
    pub(crate) fn with_momentum(self) -> Self {
        // By way of `valid`, which gives the copy running statistics of its own.
        let branch = Branch {
            backbone: self.backbone.valid().train(),
            projector: self.projector.valid().train(),
        };
        Self { momentum: Some(branch.no_grad()), ..self }
    }

    /// The slow copy, moved towards the networks: `momentum` of it stays.
    pub(crate) fn follow(self, momentum: f64) -> Self {
        let branch = self.momentum.map(|branch| Branch {
            backbone: momentum::follow(branch.backbone, &self.backbone, momentum),
            projector: momentum::follow(branch.projector, &self.projector, momentum),
        });
        Self { momentum: branch, ..self }
    }

    /// Backbone and projector of one view.
    pub(crate) fn project(&self, images: Tensor<4>) -> Tensor<2> {
        self.projector.forward(self.backbone.forward(images))
    }

    /// Backbone and projector of all views together, so that batch normalisation sees them as one;
    /// cut up again.
    pub(crate) fn project_together(&self, views: &[Tensor<4>]) -> Vec<Tensor<2>> {
        let z = self.project(Tensor::cat(views.to_vec(), 0));
        let [rows, _] = z.dims();
        z.split(rows / views.len(), 0)
    }

    /// Backbone and projector of each view by itself.
    pub(crate) fn project_each(&self, views: &[Tensor<4>]) -> Vec<Tensor<2>> {
        views.iter().map(|view| self.project(view.clone())).collect()
    }
}
