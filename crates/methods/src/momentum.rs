//! Slow copies of networks (He et al. 2020; Grill et al. 2020).

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Moves the trained weights of `slow` towards those of `fast`: `momentum` · slow + (1 − `momentum`) · fast. Running
/// statistics are those that the slow network gathers itself, as in the authors' implementations.
pub(crate) fn follow<M: Module>(slow: M, fast: &M, momentum: f64) -> M {
    let mut weights = Weights { path: Vec::new(), by_name: BTreeMap::new() };
    fast.visit(&mut weights);
    slow.map(&mut Follower { path: Vec::new(), fast: weights.by_name, momentum })
}

/// Tensors by name, flat and without gradients.
struct Weights {
    path: Vec<String>,
    by_name: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            let tensor = param.val().inner();
            let count = tensor.shape().num_elements();
            self.by_name.insert(self.path.join("."), tensor.reshape([count]));
        }
    }
}

struct Follower {
    path: Vec<String>,
    fast: BTreeMap<String, Tensor<1>>,
    momentum: f64,
}

impl ModuleMapper for Follower {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Running statistics are not trained, so they are not among these.
        let Some(fast) = self.fast.remove(&self.path.join(".")) else { return param };
        param.map(|slow| {
            let shape = slow.dims();
            let kept = slow.inner().mul_scalar(self.momentum);
            Tensor::from_inner(kept + fast.mul_scalar(1.0 - self.momentum).reshape(shape))
        })
    }
}
