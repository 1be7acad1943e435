//! Multilayer perceptrons: heads from a representation to the space of a loss, and encoders of
//! flattened pixels.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::layers::{BatchNorm, Init, Linear};

/// The linear maps of a perceptron that batch normalisation follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// No linear map: SimCLR, MoCo.
    None,
    /// All linear maps but the last: Barlow Twins, BYOL, VICReg, predictors.
    Hidden,
    /// All linear maps: SimSiam's projector, and encoders.
    All,
}

/// Linear maps with ReLU between them. Batch normalisation, if there is any, comes before ReLU.
#[derive(Module, Debug)]
pub struct Mlp {
    /// The linear maps, in order.
    pub layers: Vec<Linear>,
    /// Batch normalisation after the first `norms.len()` maps, one per map.
    pub norms: Vec<BatchNorm>,
}

impl Mlp {
    /// Creates maps from `sizes[0]` to `sizes[1]` values, from `sizes[1]` to `sizes[2]` values, and
    /// so on.
    ///
    /// # Panics
    /// If there are fewer than two sizes.
    pub fn new(sizes: &[usize], norms: Norms, init: &mut Init<'_>) -> Self {
        assert!(sizes.len() > 1, "a map has an input and an output");
        let layers: Vec<Linear> =
            sizes.windows(2).map(|pair| Linear::new(pair[0], pair[1], init)).collect();
        let normed = match norms {
            Norms::None => 0,
            Norms::Hidden => layers.len() - 1,
            Norms::All => layers.len(),
        };
        let norms = sizes[1..][..normed].iter().map(|&size| BatchNorm::new(size, init)).collect();
        Self { layers, norms }
    }

    /// Maps `[batch, input]` to `[batch, output]`.
    pub fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if let Some(norm) = self.norms.get(i) {
                x = norm.forward(x);
            }
            if i + 1 < self.layers.len() {
                x = relu(x);
            }
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Uses two rows and weights of 1, so that every step can be checked by hand.
    #[test]
    fn normalises_by_the_batch_in_training_and_by_the_running_statistics_after() {
        let device = Device::flex().autodiff();
        let mut mlp = Mlp::new(&[1, 1, 1], Norms::Hidden, &mut Init::new(0, &device));
        for layer in &mut mlp.layers {
            layer.weight = layer.weight.clone().map(|w| w.ones_like());
            layer.bias = layer.bias.clone().map(|b| b.zeros_like());
        }
        let x = Tensor::<2>::from_floats([[1.0], [3.0]], &device);
        let y = mlp.forward(x).into_data().try_into_vec::<f32>().unwrap();
        // The mean is 2 and the biased variance 1. ReLU cuts off the lower value.
        assert_eq!(y[0], 0.0);
        assert!((y[1] - 1.0 / (1.0f32 + 1e-5).sqrt()).abs() < 1e-6, "{y:?}");

        // The running mean is 0.1 · 2, and the unbiased variance is 0.9 · 1 + 0.1 · 2.
        let x = Tensor::<2>::from_floats([[2.2]], &device.clone().inner());
        let y: f32 = mlp.valid().forward(x).into_scalar();
        assert!((y - 2.0 / (1.1f32 + 1e-5).sqrt()).abs() < 1e-6, "{y}");
    }
}
