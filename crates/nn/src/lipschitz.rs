//! An upper bound on an encoder's Lipschitz constant, proved layer by layer.

use burn::tensor::Tensor;
use selfsame_augment::Normalise;
use selfsame_theory::bounds::lipschitz::{chain, residual};

use crate::backbone::Backbone;
use crate::layers::{BatchNorm, Conv2d};
use crate::mlp::Mlp;
use crate::resnet::{Block, ResNet};

impl Backbone {
    /// Returns a number L with ‖f(x) − f(y)‖ ≤ L·‖x − y‖ for all images x and y of side `size`,
    /// where f is the encoder in evaluation mode and images are vectors of their RGB bytes. L is
    /// the product of upper bounds on the layers' constants. L is far above the smallest such
    /// number, and the gap grows with the depth of the network.
    ///
    /// The layers' constants are:
    ///
    /// - Linear map with batch normalisation: the norm of one matrix.
    /// - Convolution with batch normalisation: the sum, over the positions of the kernel, of the
    ///   norm of the matrix between channels at that position. The shift that belongs to a position
    ///   has a norm of at most 1.
    /// - ReLU: 1.
    /// - Residual block: the sum of the constants of its branch and its shortcut.
    /// - Mean over n pixels: 1/√n.
    /// - Maximum over windows of 3 × 3 with stride 2: 2, because each value lies in at most four
    ///   windows.
    pub fn lipschitz(&self, size: usize) -> f64 {
        let pixels =
            Normalise::IMAGENET.deviation().map(|deviation| 1.0 / (255.0 * f64::from(deviation)));
        let pixels = pixels.into_iter().fold(0.0, f64::max);
        match self {
            Self::ResNet(resnet) => resnet.lipschitz(pixels, size),
            Self::Mlp(mlp) => chain([pixels, perceptron(mlp)]),
        }
    }
}

impl ResNet {
    /// Computes [`Backbone::lipschitz`] from the constant `pixels` of the pixels' normalisation.
    fn lipschitz(&self, pixels: f64, size: usize) -> f64 {
        let halves = |size: usize, times: usize| (0..times).fold(size, |size, _| size.div_ceil(2));
        // The stem for large images halves the side twice, and three of the stages halve it once
        // each.
        let side = halves(size, if self.pooled { 5 } else { 3 }) as f64;
        let blocks = [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
            .into_iter()
            .flatten()
            .map(Block::lipschitz);
        let pooling = if self.pooled { 2.0 } else { 1.0 };
        chain([pixels, conv_bn(&self.conv1, &self.bn1), pooling, chain(blocks), 1.0 / side])
    }
}

impl Block {
    fn lipschitz(&self) -> f64 {
        let third =
            self.conv3.as_ref().zip(self.bn3.as_ref()).map_or(1.0, |(conv, bn)| conv_bn(conv, bn));
        let branch =
            chain([conv_bn(&self.conv1, &self.bn1), conv_bn(&self.conv2, &self.bn2), third]);
        residual(self.downsample.as_ref().map_or(1.0, |(conv, bn)| conv_bn(conv, bn)), branch)
    }
}

/// Computes the constant of linear maps, each with batch normalisation and ReLU.
fn perceptron(mlp: &Mlp) -> f64 {
    chain(mlp.layers.iter().zip(&mlp.norms).map(|(linear, bn)| {
        let [_, inputs] = linear.weight.dims();
        let mut weights = values(linear.weight.val());
        for (row, scale) in weights.chunks_exact_mut(inputs).zip(scales(bn)) {
            row.iter_mut().for_each(|weight| *weight *= scale);
        }
        spectral_norm(&weights, inputs)
    }))
}

/// Returns the factor by which batch normalisation scales each channel: γ/√(σ² + ε).
fn scales(bn: &BatchNorm) -> Vec<f64> {
    let (gamma, variance) = (values(bn.weight.val()), values(bn.running_var.value()));
    gamma.iter().zip(&variance).map(|(g, v)| g / (v + BatchNorm::EPSILON).sqrt()).collect()
}

/// Computes the constant of a convolution with batch normalisation, for images of any size.
fn conv_bn(conv: &Conv2d, bn: &BatchNorm) -> f64 {
    let [output, input, height, width] = conv.weight.dims();
    let (weights, scale) = (values(conv.weight.val()), scales(bn));
    let places = height * width;
    let matrix = |place: usize| -> Vec<f64> {
        (0..output * input)
            .map(|index| scale[index / input] * weights[index * places + place])
            .collect()
    };
    (0..places).map(|place| spectral_norm(&matrix(place), input)).sum()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec().expect("the data was converted to f64")
}

/// Computes an upper bound on the largest singular value σ of a row-major matrix with `columns`
/// columns.
///
/// Let B be the Gram matrix of the shorter side, with n rows, and λ its largest eigenvalue. Then σ⁸
/// = λ⁴ ≤ ‖B⁴‖ (Frobenius) ≤ √n·σ⁸, so the bound is at most n^(1/16) times σ.
fn spectral_norm(matrix: &[f64], columns: usize) -> f64 {
    let rows = matrix.len() / columns;
    let side = rows.min(columns);
    let row = |i: usize| &matrix[i * columns..][..columns];
    let largest = matrix.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let mut gram = vec![0.0; side * side];
    if rows <= columns {
        for i in 0..rows {
            for j in 0..rows {
                gram[i * side + j] =
                    row(i).iter().zip(row(j)).map(|(a, b)| a / largest * (b / largest)).sum();
            }
        }
    } else {
        for r in 0..rows {
            for (i, a) in row(r).iter().enumerate() {
                add(&mut gram[i * side..][..side], a / largest / largest, row(r));
            }
        }
    }
    let square = |matrix: &[f64]| {
        let mut square = vec![0.0; side * side];
        for (target, source) in square.chunks_exact_mut(side).zip(matrix.chunks_exact(side)) {
            for (&factor, row) in source.iter().zip(matrix.chunks_exact(side)) {
                add(target, factor, row);
            }
        }
        square
    };
    let fourth = square(&square(&gram));
    let norm = fourth.iter().map(|value| value * value).sum::<f64>().sqrt();
    // Rounding errors in sums of some thousand products change the result by less than a share of
    // 1e-9.
    largest * norm.powf(0.125) * (1.0 + 1e-9)
}

fn add(target: &mut [f64], factor: f64, source: &[f64]) {
    target.iter_mut().zip(source).for_each(|(target, source)| *target += factor * source);
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::layers::Init;
    use crate::{
        Architecture, EncoderConfig, MlpConfig, Precision, ResNetConfig, Stem, device, pixels,
    };

    /// Computes the largest singular value by power iteration, which approaches that value from
    /// below.
    fn power(matrix: &[f64], columns: usize) -> f64 {
        let mut vector: Vec<f64> = (0..columns).map(|i| (i as f64 + 1.0).sin()).collect();
        let mut norm = 0.0;
        for _ in 0..2000 {
            let image: Vec<f64> = matrix
                .chunks_exact(columns)
                .map(|row| row.iter().zip(&vector).map(|(a, b)| a * b).sum())
                .collect();
            norm = image.iter().map(|v| v * v).sum::<f64>().sqrt();
            let mut back = vec![0.0; columns];
            matrix
                .chunks_exact(columns)
                .zip(&image)
                .for_each(|(row, &factor)| add(&mut back, factor, row));
            let length = back.iter().map(|v| v * v).sum::<f64>().sqrt();
            vector = back.iter().map(|v| v / length).collect();
        }
        norm
    }

    #[test]
    fn a_spectral_norm_is_bounded_closely_from_above() {
        for (rows, columns) in [(1, 1), (3, 7), (7, 3), (20, 20)] {
            let matrix: Vec<f64> =
                (0..rows * columns).map(|i| ((i * i + 3) as f64).sin() * 1e-3).collect();
            let (bound, true_norm) = (spectral_norm(&matrix, columns), power(&matrix, columns));
            let most = (rows.min(columns) as f64).powf(1.0 / 16.0) * (1.0 + 1e-8);
            assert!(
                bound >= true_norm && bound <= most * true_norm,
                "{rows} × {columns}: {bound}, {true_norm}"
            );
        }
        assert_eq!(spectral_norm(&[0.0; 6], 3), 0.0);
    }

    #[test]
    fn no_pair_of_images_is_further_apart_than_proved() {
        let device = device::by_name("flex").expect("the processor");
        let resnet = |stem, architecture| {
            let config = ResNetConfig { architecture, stem, width: 4, precision: Precision::F32 };
            EncoderConfig::from(config)
        };
        for (config, size) in [
            (resnet(Stem::Cifar, Architecture::ResNet18), 9),
            (resnet(Stem::ImageNet, Architecture::ResNet50), 33),
            (MlpConfig { width: 24, image_size: 9 }.into(), 9),
        ] {
            let encoder = config.init(&mut Init::new(3, &device));
            let bound = encoder.lipschitz(size);
            assert!(bound.is_finite() && bound > 0.0);
            let length = size * size * 3;
            let image =
                |seed: usize| (0..length).map(move |i| ((i * (seed + 7) + i * i) % 256) as u8);
            for seed in 0..8 {
                let x: Vec<u8> = image(seed).collect();
                // Compare with a different image, which is far away, and with a copy in which one
                // byte is changed, which is near.
                let far: Vec<u8> = image(seed + 100).collect();
                let mut near = x.clone();
                near[seed * 11] ^= 1;
                for y in [far, near] {
                    let embedded = encoder.forward(pixels::normalise(
                        &[x.clone(), y.clone()].concat(),
                        size,
                        &device,
                    ));
                    let embedded = values(embedded);
                    let (a, b) = embedded.split_at(embedded.len() / 2);
                    let after = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
                    let before = x
                        .iter()
                        .zip(&y)
                        .map(|(&a, &b)| f64::from(a.abs_diff(b)).powi(2))
                        .sum::<f64>()
                        .sqrt();
                    assert!(after <= bound * before, "{after} after {before}, {bound}");
                }
            }
        }
    }

    #[test]
    fn an_identity_attains_its_norm() {
        // A convolution whose kernel has the identity at its centre changes nothing. Its norm is 1,
        // times |γ|/√(variance + ε).
        let device = device::by_name("flex").expect("the processor");
        let mut init = Init::new(0, &device);
        let mut conv = Conv2d::new(2, 2, 3, 1, &mut init);
        let mut weights = vec![0.0_f32; 36];
        (weights[4], weights[31]) = (1.0, 1.0);
        conv.weight = conv
            .weight
            .map(|_| Tensor::from_data(TensorData::new(weights.clone(), [2, 2, 3, 3]), &device));
        let bound = conv_bn(&conv, &BatchNorm::new(2, &mut init));
        let exact = 1.0 / (1.0 + BatchNorm::EPSILON).sqrt();
        assert!(
            bound >= exact && bound <= exact * 2_f64.powf(1.0 / 16.0) * (1.0 + 1e-8),
            "{bound}"
        );
    }
}
