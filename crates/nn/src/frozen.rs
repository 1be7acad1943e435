//! Encoders that only embed, on the processor.
//!
//! Three things make a frozen encoder faster than the module it comes from:
//!
//! 1. Its weights are laid out for the kernels once.
//! 2. Batch normalisation, whose running statistics no longer move, is one scale and one shift for
//!    each channel.
//! 3. Each thread takes a few images through all layers of one resolution, and then takes the next
//!    few images. So activations between layers stay in the cache. Training cannot do this: a
//!    batch's statistics need all images of a layer first.

use burn::tensor::Tensor;
use rayon::prelude::*;
use selfsame_augment::Normalise;
use selfsame_kernels::buffer::Buffer;
use selfsame_kernels::conv::{After, Conv, Input, Prepared, Scratch};
use selfsame_kernels::conv_bn::EPSILON;
use selfsame_kernels::element::Element;
use selfsame_kernels::isa::Isa;
use selfsame_kernels::norm::Channels;
use selfsame_kernels::pool;

use crate::backbone::Backbone;
use crate::flex::is_flex;
use crate::layers::{BatchNorm, Conv2d, Linear};
use crate::mlp::Mlp;
use crate::resnet::{Block, ResNet};

/// Number of output pixels that a stage computes at a time. They are few enough that activations
/// between the layers of a stage stay in the second-level cache, and enough that each loaded weight
/// is used often.
const PIXELS: usize = 1024;

/// Maximum number of images that a thread takes through all stages at a time.
const IMAGES: usize = 64;

/// An encoder that embeds images of one size on the processor.
///
/// ```
/// use selfsame_nn::frozen::Frozen;
/// use selfsame_nn::layers::Init;
/// use selfsame_nn::{Architecture, EncoderConfig, Precision, ResNetConfig, Stem, device};
///
/// let device = device::by_name("flex")?;
/// let config = EncoderConfig::from(ResNetConfig {
///     architecture: Architecture::ResNet18,
///     stem: Stem::Cifar,
///     width: 4,
///     precision: Precision::F32,
/// });
/// let encoder = config.init(&mut Init::new(0, &device));
/// let frozen = Frozen::new(&encoder, 8).expect("the processor");
/// let image = [128; 8 * 8 * 3];
/// assert_eq!(frozen.embed(&[&image]).len(), config.dim());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Frozen(Activated);

/// The network, by the type of its activations.
enum Activated {
    F32(Network<f32>),
    Bf16(Network<half::bf16>),
}

impl Frozen {
    /// Freezes the encoder in its current state, for square images of side `size`. Returns `None`
    /// if its weights are not on the processor.
    ///
    /// # Panics
    /// If the encoder takes only images of another size.
    pub fn new(encoder: &Backbone, size: usize) -> Option<Self> {
        if !is_flex(&encoder.device()) {
            return None;
        }
        Some(Self(match encoder {
            Backbone::ResNet(resnet) if resnet.short => Activated::Bf16(Network::new(resnet, size)),
            Backbone::ResNet(resnet) => Activated::F32(Network::new(resnet, size)),
            Backbone::Mlp(mlp) => Activated::F32(Network::perceptron(mlp, size)),
        }))
    }

    /// Returns the number of images to pass at a time so that every core is busy.
    pub fn batch(&self) -> usize {
        8 * IMAGES * rayon::current_num_threads()
    }

    /// Returns the representations of images, one after the other. Each image is given as RGB
    /// bytes.
    ///
    /// # Panics
    /// If an image does not hold `size² · 3` bytes.
    pub fn embed(&self, images: &[&[u8]]) -> Vec<f32> {
        match &self.0 {
            Activated::F32(network) => network.embed(images),
            Activated::Bf16(network) => network.embed(images),
        }
    }
}

/// The stages of an encoder, in order.
struct Network<T> {
    /// Side of the images, in pixels.
    size: usize,
    dim: usize,
    /// Number of images that a thread takes through all stages at a time.
    images: usize,
    stages: Vec<Stage<T>>,
}

/// Consecutive layers of one resolution.
struct Stage<T> {
    /// Number of images that pass the layers of the stage at a time.
    images: usize,
    layers: Vec<Layer<T>>,
    /// Number of values per image before the stage.
    in_image: usize,
    out: Activations,
}

/// Shape of the activations of one image.
#[derive(Clone, Copy)]
struct Activations {
    size: usize,
    channels: usize,
}

impl Activations {
    fn values(self) -> usize {
        self.size * self.size * self.channels
    }
}

enum Layer<T> {
    Convolution(Folded<T>),
    /// Maximum pooling over windows of 3×3 with stride 2, on images of this shape.
    MaxPool(Activations),
    /// A residual block, which adds its input or the downsampled input before the last ReLU.
    Residual {
        downsample: Option<Folded<T>>,
        /// Convolutions of the branch. ReLU follows each of them.
        convolutions: Vec<Folded<T>>,
    },
}

/// A convolution, with batch normalisation folded into a scale and a shift for each channel.
struct Folded<T> {
    conv: Prepared<T>,
    channels: Channels,
}

impl<T: Element> Folded<T> {
    fn new(conv: &Conv2d, bn: &BatchNorm, images: usize, size: usize) -> Self {
        let statistics =
            [bn.running_mean.value(), bn.running_var.value(), bn.weight.val(), bn.bias.val()];
        let [mean, variance, gamma, beta] = statistics.map(values);
        Self {
            conv: Prepared::new(Isa::best(), &conv.on(images, size), &values(conv.weight.val())),
            channels: Channels::new(&mean, &variance, &gamma, &beta, EPSILON),
        }
    }

    /// Represents a linear map as a convolution of `images` images of one pixel.
    fn linear(linear: &Linear, bn: &BatchNorm, images: usize) -> Self {
        let [outputs, inputs] = linear.weight.dims();
        let conv = Conv {
            batch: images,
            height: 1,
            width: 1,
            inputs,
            outputs,
            kernel: 1,
            stride: 1,
            padding: 0,
        };
        let statistics =
            [bn.running_mean.value(), bn.running_var.value(), bn.weight.val(), bn.bias.val()];
        let [mean, variance, gamma, beta] = statistics.map(values);
        // A bias only moves the mean of batch normalisation.
        let biases = values(linear.bias.val());
        let mean: Vec<f32> = mean.iter().zip(&biases).map(|(mean, bias)| mean - bias).collect();
        Self {
            conv: Prepared::new(Isa::best(), &conv, &values(linear.weight.val())),
            channels: Channels::new(&mean, &variance, &gamma, &beta, EPSILON),
        }
    }

    fn run(
        &self,
        input: &[T],
        residual: Option<&[T]>,
        relu: bool,
        scratch: &mut Scratch<T>,
    ) -> Buffer<T> {
        let conv = self.conv.conv();
        let mut output = Buffer::any(conv.batch * conv.out_image());
        let after = After::Normalise { channels: &self.channels, residual, relu };
        self.conv.forward(Input::Ready(input), after, scratch, &mut output);
        output
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("weights and statistics are f32")
}

impl<T: Element> Layer<T> {
    /// Computes the layer's output for the input `x`.
    fn run(&self, x: &[T], scratch: &mut Scratch<T>) -> Buffer<T> {
        match self {
            Self::Convolution(conv) => conv.run(x, None, true, scratch),
            Self::MaxPool(input) => pool::max(x, input.size, input.channels),
            Self::Residual { downsample, convolutions } => {
                let identity = downsample.as_ref().map(|conv| conv.run(x, None, false, scratch));
                let (last, between) = convolutions.split_last().expect("a block has convolutions");
                let inner = between.iter().fold(None, |inner: Option<Buffer<T>>, conv| {
                    Some(conv.run(inner.as_deref().unwrap_or(x), None, true, scratch))
                });
                last.run(
                    inner.as_deref().unwrap_or(x),
                    Some(identity.as_deref().unwrap_or(x)),
                    true,
                    scratch,
                )
            }
        }
    }
}

impl<T: Element> Network<T> {
    fn new(encoder: &ResNet, size: usize) -> Self {
        let image = Activations { size, channels: 3 };
        let mut shape = image;
        let mut stages = Vec::new();
        for (number, blocks) in [&encoder.layer1, &encoder.layer2, &encoder.layer3, &encoder.layer4]
            .into_iter()
            .enumerate()
        {
            let in_image = shape.values();
            // The output resolution, which most layers of the stage have.
            let stem = |size: usize| size.div_ceil(if encoder.pooled { 4 } else { 1 });
            let pixels = if number == 0 { stem(shape.size) } else { shape.size.div_ceil(2) }.pow(2);
            let images = (PIXELS / pixels.max(1)).clamp(1, IMAGES);
            let mut layers = Vec::new();
            let fold = |conv: &Conv2d, bn: &BatchNorm, shape: Activations| {
                let folded = Folded::new(conv, bn, images, shape.size);
                let conv = folded.conv.conv();
                let out = Activations { size: conv.out_height(), channels: conv.outputs };
                (folded, out)
            };
            if number == 0 {
                let (conv, out) = fold(&encoder.conv1, &encoder.bn1, shape);
                layers.push(Layer::Convolution(conv));
                shape = out;
                if encoder.pooled {
                    layers.push(Layer::MaxPool(shape));
                    shape.size = pool::max_size(shape.size);
                }
            }
            for Block { conv1, bn1, conv2, bn2, conv3, bn3, downsample } in blocks {
                let downsample = downsample.as_ref().map(|(conv, bn)| fold(conv, bn, shape).0);
                let mut convolutions = Vec::new();
                let third = conv3.as_ref().zip(bn3.as_ref());
                for (conv, bn) in [(conv1, bn1), (conv2, bn2)].into_iter().chain(third) {
                    let (conv, out) = fold(conv, bn, shape);
                    convolutions.push(conv);
                    shape = out;
                }
                layers.push(Layer::Residual { downsample, convolutions });
            }
            stages.push(Stage { images, layers, in_image, out: shape });
        }
        let images = stages.iter().map(|stage| stage.images).max().unwrap_or(1);
        Self { size, dim: shape.channels, images, stages }
    }

    /// Creates the network of a multilayer perceptron. It treats an image as one pixel, with one
    /// channel per value of the image.
    fn perceptron(mlp: &Mlp, size: usize) -> Self {
        let folded = mlp.layers.iter().zip(&mlp.norms);
        let layers: Vec<Folded<T>> =
            folded.map(|(linear, bn)| Folded::linear(linear, bn, IMAGES)).collect();
        let [first, last] = [&layers[0], &layers[layers.len() - 1]].map(|layer| layer.conv.conv());
        let in_image = size * size * 3;
        assert_eq!(in_image, first.inputs, "the encoder was built for images of another size");
        let dim = last.outputs;
        let stage = Stage {
            images: IMAGES,
            layers: layers.into_iter().map(Layer::Convolution).collect(),
            in_image,
            out: Activations { size: 1, channels: dim },
        };
        Self { size, dim, images: IMAGES, stages: vec![stage] }
    }

    fn embed(&self, images: &[&[u8]]) -> Vec<f32> {
        let mut features = vec![0.0; images.len() * self.dim];
        let chunks =
            images.par_chunks(self.images).zip(features.par_chunks_mut(self.images * self.dim));
        chunks.for_each_init(Scratch::default, |scratch, (images, features)| {
            self.chunk(images, scratch, features)
        });
        features
    }

    /// Takes at most `self.images` images through all stages.
    fn chunk(&self, images: &[&[u8]], scratch: &mut Scratch<T>, features: &mut [f32]) {
        let mut x = self.pixels(images);
        for stage in &self.stages {
            x = stage.run(&x, images.len(), scratch);
        }
        let last = self.stages.last().map_or(0, |stage| stage.out.values());
        for (image, features) in
            x.chunks_exact(last.max(1)).zip(features.chunks_exact_mut(self.dim))
        {
            pool::average(image, features);
        }
    }

    /// Returns the normalised pixels of the images.
    fn pixels(&self, images: &[&[u8]]) -> Buffer<T> {
        let len = self.size * self.size * 3;
        let mut pixels = Buffer::any(images.len() * len);
        let mut singles = vec![0.0; len];
        for (image, pixels) in images.iter().zip(pixels.chunks_exact_mut(len.max(1))) {
            Normalise::IMAGENET.apply(Isa::best(), image, &mut singles);
            pixels
                .iter_mut()
                .zip(&singles)
                .for_each(|(pixel, single)| *pixel = T::rounded(*single));
        }
        pixels
    }
}

impl<T: Element> Stage<T> {
    /// Computes the stage's output for `images` images.
    fn run(&self, x: &[T], images: usize, scratch: &mut Scratch<T>) -> Buffer<T> {
        let inputs = self.images * self.in_image;
        let outputs = self.images * self.out.values();
        let mut all = Buffer::any(images * self.out.values());
        for (x, outputs) in x.chunks(inputs.max(1)).zip(all.chunks_mut(outputs.max(1))) {
            // Layers are laid out for `self.images` images. If fewer images remain, zeros take the
            // places of the missing images, and their outputs are dropped.
            let padded = (x.len() < inputs).then(|| {
                let mut padded = Buffer::zeros(inputs);
                padded[..x.len()].copy_from_slice(x);
                padded
            });
            let x = padded.as_deref().unwrap_or(x);
            let output = self.layers.iter().fold(None, |output: Option<Buffer<T>>, layer| {
                Some(layer.run(output.as_deref().unwrap_or(x), scratch))
            });
            outputs.copy_from_slice(&output.as_deref().unwrap_or(x)[..outputs.len()]);
        }
        all
    }
}
