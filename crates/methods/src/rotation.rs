use burn::tensor::{Int, Tensor, TensorData};
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Norms};

use crate::losses::{Loss, cross_entropy};
use crate::{Batch, ConfigError, Method, Microbatch, Networks, Objective};

settings! {
    /// Gidaris et al. 2018: classifies the rotation of an image.
    ///
    /// Rotation prediction is a pretext task: each image is turned by 0, 90, 180 and 270 degrees,
    /// and the networks predict the angle. The method has no settings.
    pub struct Rotation {}
}

const TURNS: usize = 4;

impl Rotation {
    pub(crate) fn default_for(_dim: usize) -> Self {
        Self {}
    }
}

impl Method for Rotation {
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    fn views(&self) -> usize {
        1
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        Networks::with_projector(encoder, &[TURNS], Norms::None, init)
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(*self)]
    }
}

impl Objective for Rotation {
    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        let mut turned = vec![images.views[0].clone()];
        for _ in 1..TURNS {
            turned.push(quarter_turn(turned[turned.len() - 1].clone()));
        }
        networks.project_together(&turned)
    }

    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let logits = Tensor::cat(batch.embeddings.to_vec(), 0);
        let [rows, _] = logits.dims();
        let turns: Vec<i64> = (0..rows).map(|row| (row * TURNS / rows) as i64).collect();
        let turns = TensorData::new(turns, [rows]);
        let turns = Tensor::<1, Int>::from_data(turns, &logits.device());
        cross_entropy(logits, turns)
    }

    /// Returns `None`: the embeddings are logits of the four turns, and the loss draws no two of
    /// them together.
    fn pair<'a>(&self, _embeddings: &'a [Tensor<2>]) -> Option<[&'a Tensor<2>; 2]> {
        None
    }
}

/// Turns each image of `[images, height, width, channels]` to the left (counter-clockwise).
fn quarter_turn(images: Tensor<4>) -> Tensor<4> {
    images.swap_dims(1, 2).flip([1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn four_quarter_turns_are_none_and_one_moves_the_corner() {
        let device = Device::flex();
        let data = TensorData::new((0..18).map(|v| v as f32).collect::<Vec<_>>(), [1, 3, 3, 2]);
        let image = Tensor::<4>::from_data(data.clone(), &device);
        let once = quarter_turn(image.clone());
        // The right end of the top row is now its left end.
        let corner: Vec<f32> =
            once.clone().slice([0..1, 0..1, 0..1, 0..2]).into_data().try_into_vec().unwrap();
        assert_eq!(corner, [4.0, 5.0]);
        assert_ne!(once.clone().into_data(), data);
        assert_eq!(quarter_turn(quarter_turn(quarter_turn(once))).into_data(), data);
    }
}
