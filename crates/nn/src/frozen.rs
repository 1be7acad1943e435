//! An encoder as it embeds on the processor: weights laid out once, the running statistics folded
//! into a scale and a shift, and a few images taken through several layers at a time, so that what
//! lies between them stays in the cache.

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
use crate::block::is_flex;
use crate::layers::{BatchNorm, Conv2d, Linear};
use crate::mlp::Mlp;
use crate::resnet::{Block, ResNet};

/// Output pixels that a stage works on at a time: few enough for what lies between its layers to
/// stay in the second-level cache, enough to use its weights often.
const PIXELS: usize = 1024;

/// Images that a thread takes through all stages at a time, at most.
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
pub struct Frozen(Stored);

enum Stored {
    Singles(Network<f32>),
    Shorts(Network<half::bf16>),
}

impl Frozen {
    /// For square images of side `size`, with the weights and statistics that the encoder has now;
    /// none if they are on another device than the processor.
    ///
    /// # Panics
    /// If the encoder takes only images of another size.
    pub fn new(encoder: &Backbone, size: usize) -> Option<Self> {
        if !is_flex(&encoder.device()) {
            return None;
        }
        Some(Self(match encoder {
            Backbone::ResNet(resnet) if resnet.short => Stored::Shorts(Network::new(resnet, size)),
            Backbone::ResNet(resnet) => Stored::Singles(Network::new(resnet, size)),
            Backbone::Mlp(mlp) => Stored::Singles(Network::perceptron(mlp, size)),
        }))
    }

    /// How many images keep every core busy.
    pub fn batch(&self) -> usize {
        8 * IMAGES * rayon::current_num_threads()
    }

    /// Of each image, RGB bytes, its representation, one after the other.
    ///
    /// # Panics
    ///
    /// If an image does not hold `size² · 3` bytes.
    pub fn embed(&self, images: &[&[u8]]) -> Vec<f32> {
        match &self.0 {
            Stored::Singles(network) => network.embed(images),
            Stored::Shorts(network) => network.embed(images),
        }
    }
}

/// What an encoder does, in order.
struct Network<T> {
    size: usize,
    dim: usize,
    /// Images that a thread takes through all stages at a time.
    images: usize,
    stages: Vec<Stage<T>>,
}

/// Layers of one resolution, and what it does to a few images.
struct Stage<T> {
    /// Images at a time.
    images: usize,
    layers: Vec<Layer<T>>,
    in_image: usize,
    out: Activations,
}

/// Shape of an image's activations.
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
    /// 3×3 of stride 2, of images of this shape.
    MaxPool(Activations),
    Residual {
        downsample: Option<Folded<T>>,
        /// ReLU follows each; the residual is added before the last one.
        convolutions: Vec<Folded<T>>,
    },
}

/// A convolution and what batch normalisation comes to.
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

    /// A linear map of so many images at a time, as a convolution of images of one pixel.
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
        // A bias only moves the mean.
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
    /// What it makes of `x`.
    fn run(&self, x: &[T], scratch: &mut Scratch<T>) -> Buffer<T> {
        match self {
            Self::Convolution(conv) => conv.run(x, None, true, scratch),
            Self::MaxPool(of) => pool::max(x, of.size, of.channels),
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
        let mut at = image;
        let mut stages = Vec::new();
        for (number, blocks) in [&encoder.layer1, &encoder.layer2, &encoder.layer3, &encoder.layer4]
            .into_iter()
            .enumerate()
        {
            let in_image = at.values();
            // A stage's resolution is that of its last layers, and nowhere higher but in its first.
            let stem = |size: usize| size.div_ceil(if encoder.pooled { 4 } else { 1 });
            let pixels = if number == 0 { stem(at.size) } else { at.size.div_ceil(2) }.pow(2);
            let images = (PIXELS / pixels.max(1)).clamp(1, IMAGES);
            let mut layers = Vec::new();
            let fold = |conv: &Conv2d, bn: &BatchNorm, at: Activations| {
                let folded = Folded::new(conv, bn, images, at.size);
                let conv = folded.conv.conv();
                let out = Activations { size: conv.out_height(), channels: conv.outputs };
                (folded, out)
            };
            if number == 0 {
                let (conv, out) = fold(&encoder.conv1, &encoder.bn1, at);
                layers.push(Layer::Convolution(conv));
                at = out;
                if encoder.pooled {
                    layers.push(Layer::MaxPool(at));
                    at.size = pool::max_size(at.size);
                }
            }
            for Block { conv1, bn1, conv2, bn2, conv3, bn3, downsample } in blocks {
                let downsample = downsample.as_ref().map(|(conv, bn)| fold(conv, bn, at).0);
                let mut convolutions = Vec::new();
                let third = conv3.as_ref().zip(bn3.as_ref());
                for (conv, bn) in [(conv1, bn1), (conv2, bn2)].into_iter().chain(third) {
                    let (conv, out) = fold(conv, bn, at);
                    convolutions.push(conv);
                    at = out;
                }
                layers.push(Layer::Residual { downsample, convolutions });
            }
            stages.push(Stage { images, layers, in_image, out: at });
        }
        let images = stages.iter().map(|stage| stage.images).max().unwrap_or(1);
        Self { size, dim: at.channels, images, stages }
    }

    /// A multilayer perceptron takes an image for one pixel of as many channels as it has values.
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

    /// Takes a few images through all stages.
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

    /// The images' normalised pixels.
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
    /// What it makes of so many images.
    fn run(&self, x: &[T], images: usize, scratch: &mut Scratch<T>) -> Buffer<T> {
        let (from, to) = (self.images * self.in_image, self.images * self.out.values());
        let mut all = Buffer::any(images * self.out.values());
        for (x, all) in x.chunks(from.max(1)).zip(all.chunks_mut(to.max(1))) {
            // The last few may be fewer than the weights are laid out for: those behind are of no
            // consequence.
            let few = (x.len() < from).then(|| {
                let mut few = Buffer::zeros(from);
                few[..x.len()].copy_from_slice(x);
                few
            });
            let x = few.as_deref().unwrap_or(x);
            let made = self.layers.iter().fold(None, |made: Option<Buffer<T>>, layer| {
                Some(layer.run(made.as_deref().unwrap_or(x), scratch))
            });
            all.copy_from_slice(&made.as_deref().unwrap_or(x)[..all.len()]);
        }
        all
    }
}
