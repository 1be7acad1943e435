//! Momentum encoders: slow copies of networks (He et al. 2020; Grill et al. 2020).

use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use selfsame_nn::descent;
use selfsame_nn::state::{self, MapNamed, VisitNamed};

/// Moves the trained weights of `slow` towards those of `fast`: `momentum` · slow + (1 −
/// `momentum`) · fast. The slow network keeps its own running statistics, as in the authors'
/// implementations.
pub(crate) fn follow<M: Module>(slow: M, fast: &M, momentum: f64) -> M {
    let mut weights = Weights::default();
    state::visit(fast, &mut weights);
    state::map(slow, &mut Follower { fast: weights.0, momentum })
}

/// Trained weights by name, flat and without gradients.
#[derive(Default)]
struct Weights(BTreeMap<String, Tensor<1>>);

impl VisitNamed for Weights {
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            let tensor = param.val().inner();
            let count = tensor.shape().num_elements();
            self.0.insert(name.to_owned(), tensor.reshape([count]));
        }
    }
}

/// Moves each trained weight towards the weight of the same name in `fast`.
struct Follower {
    fast: BTreeMap<String, Tensor<1>>,
    momentum: f64,
}

impl MapNamed for Follower {
    fn tensor<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Running statistics are not trained, so `Weights` does not contain them.
        let Some(fast) = self.fast.remove(name) else { return param };
        param.map(|slow| {
            let shape = slow.dims();
            Tensor::from_inner(descent::follow(slow.inner(), fast.reshape(shape), self.momentum))
        })
    }
}
