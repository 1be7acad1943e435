//! Encoders, whatever their architecture: what a configuration builds, and what methods,
//! evaluation and exports ask of it.

use std::fmt;

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use selfsame_kernels::conv::Conv;
use serde::{Deserialize, Serialize};

use crate::layers::Init;
use crate::mlp::{Mlp, Norms};
use crate::resnet::{Architecture, Precision, ResNet, ResNetConfig, Stem};

/// Hidden layers of an encoder that is a multilayer perceptron.
pub(crate) const HIDDEN_LAYERS: usize = 2;

/// What an encoder is built from.
///
/// ```
/// use selfsame_nn::layers::Init;
/// use selfsame_nn::{EncoderConfig, MlpConfig, device, pixels};
///
/// let device = device::by_name("flex")?;
/// let config = EncoderConfig::from(MlpConfig { width: 16, image_size: 8 });
/// let encoder = config.init(&mut Init::new(0, &device));
/// let two_images = pixels::normalise(&[128; 2 * 8 * 8 * 3], 8, &device);
/// assert_eq!(encoder.forward(two_images).dims(), [2, config.dim()]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Table", into = "Table")]
pub enum EncoderConfig {
    /// A residual network.
    ResNet(ResNetConfig),
    /// A multilayer perceptron.
    Mlp(MlpConfig),
}

/// What a multilayer perceptron is built from: flattened pixels pass two hidden layers, each a
/// linear map with batch normalisation and ReLU. The output of the second is the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlpConfig {
    /// Units of each hidden layer, and so values of the representation.
    pub width: usize,
    /// Side of the square images, in pixels. The first layer has a weight for each pixel, so images
    /// of another size do not fit.
    pub image_size: usize,
}

impl From<ResNetConfig> for EncoderConfig {
    fn from(config: ResNetConfig) -> Self {
        Self::ResNet(config)
    }
}

impl From<MlpConfig> for EncoderConfig {
    fn from(config: MlpConfig) -> Self {
        Self::Mlp(config)
    }
}

impl EncoderConfig {
    /// The architecture's name: `resnet18`, `resnet34`, `resnet50` or `mlp`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ResNet(config) => config.architecture.name(),
            Self::Mlp(_) => "mlp",
        }
    }

    /// Number of values in the representation of an image.
    pub fn dim(&self) -> usize {
        match self {
            Self::ResNet(config) => config.dim(),
            Self::Mlp(config) => config.width,
        }
    }

    /// Width of the hidden layers: channels of a residual network's first stage, or units of each
    /// of a perceptron's hidden layers.
    pub fn width(&self) -> usize {
        match self {
            Self::ResNet(config) => config.width,
            Self::Mlp(config) => config.width,
        }
    }

    /// What activations are stored as; a perceptron's are f32.
    pub fn precision(&self) -> Precision {
        match self {
            Self::ResNet(config) => config.precision,
            Self::Mlp(_) => Precision::F32,
        }
    }

    /// Builds the network with its initial weights.
    pub fn init(&self, init: &mut Init<'_>) -> Backbone {
        match self {
            Self::ResNet(config) => Backbone::ResNet(config.init(init)),
            Self::Mlp(config) => {
                let inputs = 3 * config.image_size.pow(2);
                let sizes = [[inputs].as_slice(), &[config.width; HIDDEN_LAYERS]].concat();
                Backbone::Mlp(Mlp::new(&sizes, Norms::All, init))
            }
        }
    }
}

/// Prints as `resnet18, cifar stem, width 16`.
impl fmt::Display for EncoderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResNet(ResNetConfig { stem, width, .. }) => {
                let stem = match stem {
                    Stem::Cifar => "cifar",
                    Stem::ImageNet => "imagenet",
                };
                write!(f, "{}, {stem} stem, width {width}", self.name())
            }
            Self::Mlp(MlpConfig { width, image_size }) => {
                write!(f, "mlp, width {width}, {image_size}×{image_size} pixels")
            }
        }
    }
}

/// An [`EncoderConfig`] as it stands in `config.toml`: one table for all architectures.
#[derive(Serialize, Deserialize)]
struct Table {
    architecture: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stem: Option<Stem>,
    width: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_size: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    precision: Option<Precision>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Name {
    ResNet18,
    ResNet34,
    ResNet50,
    Mlp,
}

impl From<EncoderConfig> for Table {
    fn from(config: EncoderConfig) -> Self {
        match config {
            EncoderConfig::ResNet(ResNetConfig { architecture, stem, width, precision }) => Self {
                architecture: match architecture {
                    Architecture::ResNet18 => Name::ResNet18,
                    Architecture::ResNet34 => Name::ResNet34,
                    Architecture::ResNet50 => Name::ResNet50,
                },
                stem: Some(stem),
                width,
                image_size: None,
                precision: Some(precision),
            },
            EncoderConfig::Mlp(MlpConfig { width, image_size }) => Self {
                architecture: Name::Mlp,
                stem: None,
                width,
                image_size: Some(image_size),
                precision: None,
            },
        }
    }
}

impl TryFrom<Table> for EncoderConfig {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let Table { architecture, stem, width, image_size, precision } = table;
        let architecture = match architecture {
            Name::ResNet18 => Architecture::ResNet18,
            Name::ResNet34 => Architecture::ResNet34,
            Name::ResNet50 => Architecture::ResNet50,
            Name::Mlp if stem.is_some() => return Err("an mlp has no `stem`".to_owned()),
            Name::Mlp if precision.is_some() => return Err("an mlp has no `precision`".to_owned()),
            Name::Mlp => {
                let image_size = image_size.ok_or("an mlp needs its `image_size`")?;
                return Ok(Self::Mlp(MlpConfig { width, image_size }));
            }
        };
        if image_size.is_some() {
            return Err("a residual network has no `image_size`".to_owned());
        }
        let stem = stem.ok_or("a residual network needs its `stem`")?;
        let precision = precision.unwrap_or_default();
        Ok(Self::ResNet(ResNetConfig { architecture, stem, width, precision }))
    }
}

/// An encoder: from normalised pixels to a representation.
///
/// Names of its tensors are those of the network alone, whichever it is: `layer1.0.conv1.weight`
/// of a residual network, `layers.0.weight` of a perceptron.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a program holds a few of them, and Burn boxes none")]
pub enum Backbone {
    /// A residual network.
    ResNet(ResNet),
    /// A multilayer perceptron on flattened pixels: row by row, red, green and blue of each.
    Mlp(Mlp),
}

impl Backbone {
    /// The representation: `[batch, height, width, 3]`, normalised pixels, to `[batch, dim]`.
    ///
    /// # Panics
    /// If a perceptron was built for images of another size.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::ResNet(resnet) => resnet.forward(images),
            Self::Mlp(mlp) => perceptron(mlp, images),
        }
    }

    /// Features before they are pooled: `[batch, height, width, 3]`, normalised pixels, to
    /// `[batch, height', width', dim]`, whose mean over pixels is [`forward`](Self::forward). A
    /// perceptron has one pixel.
    ///
    /// # Panics
    /// If a perceptron was built for images of another size.
    pub fn maps(&self, images: Tensor<4>) -> Tensor<4> {
        match self {
            Self::ResNet(resnet) => resnet.maps(images),
            Self::Mlp(mlp) => {
                let features = perceptron(mlp, images);
                let [batch, dim] = features.dims();
                features.reshape([batch, 1, 1, dim])
            }
        }
    }

    /// Number of values in the representation of an image.
    pub fn dim(&self) -> usize {
        match self {
            Self::ResNet(resnet) => resnet.dim(),
            Self::Mlp(mlp) => mlp.layers.last().map_or(0, |layer| layer.weight.dims()[0]),
        }
    }

    /// Side of the only images that it takes, in pixels; none if it takes any.
    pub fn image_size(&self) -> Option<usize> {
        match self {
            Self::ResNet(_) => None,
            Self::Mlp(mlp) => mlp.layers.first().map(|layer| (layer.weight.dims()[1] / 3).isqrt()),
        }
    }

    /// The convolutions that it computes on a batch of square images of side `size`, in order, each
    /// with its name. A perceptron has none.
    pub fn convolutions(&self, batch: usize, size: usize) -> Vec<(String, Conv)> {
        match self {
            Self::ResNet(resnet) => resnet.convolutions(batch, size),
            Self::Mlp(_) => Vec::new(),
        }
    }

    /// Where its weights are.
    pub(crate) fn device(&self) -> Device {
        match self {
            Self::ResNet(resnet) => resnet.conv1.weight.val().device(),
            Self::Mlp(mlp) => mlp.layers[0].weight.val().device(),
        }
    }
}

/// [`Backbone::forward`] of a multilayer perceptron.
fn perceptron(mlp: &Mlp, images: Tensor<4>) -> Tensor<2> {
    let [batch, height, width, channels] = images.dims();
    let (pixels, inputs) = (height * width * channels, mlp.layers[0].weight.dims()[1]);
    assert_eq!(pixels, inputs, "the encoder was built for images of another size");
    relu(mlp.forward(images.reshape([batch, pixels])))
}
