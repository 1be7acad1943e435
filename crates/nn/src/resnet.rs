//! Residual networks (He et al. 2016) without their classifier, with torchvision's layer names.

use std::fmt;

use burn::module::Module;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};
use selfsame_kernels::conv::Conv;
use selfsame_kernels::isa::Isa;
use selfsame_kernels::pool;
use serde::{Deserialize, Serialize};

use crate::block::{BlockOperation, conv_bn};
use crate::ends::{average, short};
use crate::flex::is_flex;
use crate::layers::{BatchNorm, Conv2d, Init};

/// The kind of a residual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 2, 2, 2, 2 basic blocks.
    ResNet18,
    /// 3, 4, 6, 3 basic blocks.
    ResNet34,
    /// 3, 4, 6, 3 bottleneck blocks.
    ResNet50,
}

impl Architecture {
    /// All architectures.
    pub(crate) const ALL: [Self; 3] = [Self::ResNet18, Self::ResNet34, Self::ResNet50];

    fn blocks(self) -> [usize; 4] {
        match self {
            Self::ResNet18 => [2, 2, 2, 2],
            Self::ResNet34 | Self::ResNet50 => [3, 4, 6, 3],
        }
    }

    /// Returns `resnet18`, `resnet34` or `resnet50`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet18 => "resnet18",
            Self::ResNet34 => "resnet34",
            Self::ResNet50 => "resnet50",
        }
    }

    /// Returns the number of output channels of a block divided by the number of inner channels.
    fn expansion(self) -> usize {
        if self == Self::ResNet50 { 4 } else { 1 }
    }
}

/// The first layers, which set the resolution of all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// A 3×3 convolution of stride 1, for images of about 32 pixels.
    Cifar,
    /// A 7×7 convolution of stride 2 and a 3×3 maximum pooling of stride 2, for images of about 224
    /// pixels.
    ImageNet,
}

impl Stem {
    /// Returns `cifar` or `imagenet`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cifar => "cifar",
            Self::ImageNet => "imagenet",
        }
    }
}

/// The type of activations and of their gradients. Weights, statistics and sums are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits, with a fraction of 24 bits.
    #[default]
    F32,
    /// The upper 16 bits of an f32, with a fraction of 8 bits. It takes half the memory and is many
    /// times as fast on processors that multiply matrices of bf16 (AMX). Devices other than the
    /// processor use f32 instead.
    Bf16,
}

impl Precision {
    /// Returns the default precision on a device: bf16 on a processor that multiplies it in tiles
    /// (AMX), otherwise f32. With AVX-512 BF16, too, bf16 is faster in most layers, but not in 3 × 3
    /// kernels that move by one pixel, where f32 takes fewer products.
    pub fn fastest(device: &Device) -> Self {
        if is_flex(device) && Isa::best().has_tiles() { Self::Bf16 } else { Self::F32 }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

/// Configuration of a residual network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResNetConfig {
    /// Kind and number of the blocks.
    pub architecture: Architecture,
    /// The first layers.
    pub stem: Stem,
    /// Number of channels in the first stage; 64 is the published width.
    pub width: usize,
    /// Type of stored activations.
    pub precision: Precision,
}

impl ResNetConfig {
    /// Returns the number of values in the representation of an image.
    pub fn dim(&self) -> usize {
        8 * self.width * self.architecture.expansion()
    }

    /// Returns the side and the stride of the first convolution.
    fn first(&self) -> (usize, usize) {
        match self.stem {
            Stem::Cifar => (3, 1),
            Stem::ImageNet => (7, 2),
        }
    }

    /// Returns the name and shape of the weight of every convolution, in the order of
    /// [`init`](Self::init) but without any memory for values.
    pub(crate) fn weights(&self) -> Vec<(String, [usize; 4])> {
        let Self { architecture, width, .. } = *self;
        let (kernel, _) = self.first();
        let mut weights = vec![("conv1.weight".to_owned(), [width, 3, kernel, kernel])];
        let mut input = width;
        for (stage, blocks) in architecture.blocks().into_iter().enumerate() {
            let inner = width << stage;
            let output = inner * architecture.expansion();
            for block in 0..blocks {
                let mut add = |layer: &str, shape| {
                    weights.push((format!("layer{}.{block}.{layer}.weight", stage + 1), shape));
                };
                if architecture == Architecture::ResNet50 {
                    add("conv1", [inner, input, 1, 1]);
                    add("conv2", [inner, inner, 3, 3]);
                    add("conv3", [output, inner, 1, 1]);
                } else {
                    add("conv1", [inner, input, 3, 3]);
                    add("conv2", [inner, inner, 3, 3]);
                }
                if input != output {
                    add("downsample.0", [output, input, 1, 1]);
                }
                input = output;
            }
        }
        weights
    }

    /// Builds the network with its initial weights.
    pub fn init(&self, init: &mut Init<'_>) -> ResNet {
        let (kernel, stride) = self.first();
        let conv1 = Conv2d::new(3, self.width, kernel, stride, init);
        let bn1 = BatchNorm::new(self.width, init);
        let [n1, n2, n3, n4] = self.architecture.blocks();
        let mut input = self.width;
        let mut stage = |number: usize, blocks: usize| {
            let inner = self.width << number;
            let output = inner * self.architecture.expansion();
            let mut layers = Vec::with_capacity(blocks);
            for block in 0..blocks {
                let stride = if number > 0 && block == 0 { 2 } else { 1 };
                layers.push(Block::new(self.architecture, input, inner, stride, init));
                input = output;
            }
            layers
        };
        ResNet {
            conv1,
            bn1,
            layer1: stage(0, n1),
            layer2: stage(1, n2),
            layer3: stage(2, n3),
            layer4: stage(3, n4),
            pooled: self.stem == Stem::ImageNet,
            short: self.precision == Precision::Bf16,
        }
    }
}

/// A residual network up to its global average pooling.
#[derive(Module, Debug)]
pub struct ResNet {
    pub(crate) conv1: Conv2d,
    pub(crate) bn1: BatchNorm,
    pub(crate) layer1: Vec<Block>,
    pub(crate) layer2: Vec<Block>,
    pub(crate) layer3: Vec<Block>,
    pub(crate) layer4: Vec<Block>,
    /// Whether the stem ends with maximum pooling.
    pub(crate) pooled: bool,
    /// Whether activations are bf16.
    pub(crate) short: bool,
}

impl ResNet {
    /// Maps normalised pixels, `[batch, height, width, 3]`, to `[batch, dim]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_with(conv_bn, images)
    }

    /// Computes [`forward`](Self::forward) with a given implementation of the block operation:
    /// [`conv_bn`], or the [`reference`](crate::block::reference) that tests compare it with.
    pub fn forward_with(&self, conv_bn: BlockOperation, images: Tensor<4>) -> Tensor<2> {
        average(self.maps_with(conv_bn, images))
    }

    /// Computes the features before pooling: maps normalised pixels, `[batch, height, width, 3]`,
    /// to `[batch, height', width', dim]`, in the precision of the activations.
    pub fn maps(&self, images: Tensor<4>) -> Tensor<4> {
        self.maps_with(conv_bn, images)
    }

    fn maps_with(&self, conv_bn: BlockOperation, images: Tensor<4>) -> Tensor<4> {
        let images = if self.short { short(images) } else { images };
        let mut x = conv_bn(&[(&self.conv1, &self.bn1)], images, None, true);
        if self.pooled {
            let options = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
            x = max_pool2d(x.permute([0, 3, 1, 2]), options).permute([0, 2, 3, 1]);
        }
        for block in [&self.layer1, &self.layer2, &self.layer3, &self.layer4].into_iter().flatten()
        {
            x = block.forward(conv_bn, x);
        }
        x
    }

    /// Returns the number of values in the representation of an image.
    pub fn dim(&self) -> usize {
        let last = self.layer4.last().expect("every stage has a block");
        last.conv3.as_ref().unwrap_or(&last.conv2).weight.dims()[0]
    }

    /// Returns the convolutions that the network computes on a batch of square images of side
    /// `size`, in order, each with its name.
    pub fn convolutions(&self, batch: usize, size: usize) -> Vec<(String, Conv)> {
        let mut convolutions = Vec::new();
        let mut add = |name: String, conv: &Conv2d, size: usize| {
            let conv = conv.on(batch, size);
            let out = conv.out_height();
            convolutions.push((name, conv));
            out
        };
        let mut size = add("conv1".to_owned(), &self.conv1, size);
        if self.pooled {
            size = pool::max_size(size);
        }
        for (stage, blocks) in (1..).zip([&self.layer1, &self.layer2, &self.layer3, &self.layer4]) {
            for (number, block) in blocks.iter().enumerate() {
                let name = |part: &str| format!("layer{stage}.{number}.{part}");
                if let Some((conv, _)) = &block.downsample {
                    add(name("downsample"), conv, size);
                }
                size = add(name("conv1"), &block.conv1, size);
                size = add(name("conv2"), &block.conv2, size);
                if let Some(conv) = &block.conv3 {
                    add(name("conv3"), conv, size);
                }
            }
        }
        convolutions
    }
}

/// A basic block (two 3×3 convolutions) or, with `conv3`, a bottleneck (1×1, 3×3, 1×1). The 3×3
/// convolution of a bottleneck has the stride, as in torchvision.
#[derive(Module, Debug)]
pub(crate) struct Block {
    pub(crate) conv1: Conv2d,
    pub(crate) bn1: BatchNorm,
    pub(crate) conv2: Conv2d,
    pub(crate) bn2: BatchNorm,
    pub(crate) conv3: Option<Conv2d>,
    pub(crate) bn3: Option<BatchNorm>,
    pub(crate) downsample: Option<(Conv2d, BatchNorm)>,
}

impl Block {
    fn new(
        architecture: Architecture,
        input: usize,
        inner: usize,
        stride: usize,
        init: &mut Init<'_>,
    ) -> Self {
        let output = inner * architecture.expansion();
        let bottleneck = architecture == Architecture::ResNet50;
        let (kernel, first, second) = if bottleneck { (1, 1, stride) } else { (3, stride, 1) };
        Self {
            conv1: Conv2d::new(input, inner, kernel, first, init),
            bn1: BatchNorm::new(inner, init),
            conv2: Conv2d::new(inner, inner, 3, second, init),
            bn2: BatchNorm::new(inner, init),
            conv3: bottleneck.then(|| Conv2d::new(inner, output, 1, 1, init)),
            bn3: bottleneck.then(|| BatchNorm::new(output, init)),
            downsample: (stride != 1 || input != output).then(|| {
                (Conv2d::new(input, output, 1, stride, init), BatchNorm::new(output, init))
            }),
        }
    }

    fn forward(&self, conv_bn: BlockOperation, x: Tensor<4>) -> Tensor<4> {
        let identity = match &self.downsample {
            Some((conv, bn)) => conv_bn(&[(conv, bn)], x.clone(), None, false),
            None => x.clone(),
        };
        let mut layers = vec![(&self.conv1, &self.bn1), (&self.conv2, &self.bn2)];
        layers.extend(self.conv3.as_ref().zip(self.bn3.as_ref()));
        conv_bn(&layers, x, Some(identity), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state;

    #[test]
    fn weights_are_those_of_the_network() {
        for architecture in Architecture::ALL {
            for stem in [Stem::Cifar, Stem::ImageNet] {
                let precision = Precision::F32;
                let config = ResNetConfig { architecture, stem, width: 3, precision };
                let mut weights: Vec<_> = config
                    .weights()
                    .into_iter()
                    .map(|(name, shape)| (name, shape.to_vec()))
                    .collect();
                weights.sort();
                let built = state::read(&config.init(&mut Init::new(0, &Device::flex())));
                let expected: Vec<_> = built
                    .into_iter()
                    .filter(|(_, values)| values.shape.len() > 1)
                    .map(|(name, values)| (name, values.shape))
                    .collect();
                assert_eq!(weights, expected);
            }
        }
    }
}
