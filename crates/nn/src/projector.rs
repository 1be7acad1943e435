//! Projection heads: from an encoder's representation to the space of the loss.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::layers::{Init, Linear};

/// SimCLR's head (Chen et al. 2020): linear, ReLU, linear.
#[derive(Module, Debug)]
pub struct Projector {
    /// The two linear maps, in order.
    pub layers: Vec<Linear>,
}

impl Projector {
    /// `input` → `hidden` → `output`.
    pub fn new(input: usize, hidden: usize, output: usize, init: &mut Init<'_>) -> Self {
        Self { layers: vec![Linear::new(input, hidden, init), Linear::new(hidden, output, init)] }
    }

    /// `[batch, input]` to `[batch, output]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.layers[1].forward(relu(self.layers[0].forward(x)))
    }
}
