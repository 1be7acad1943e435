//! Encoders of any architecture: their configuration, and the operations that methods, evaluation
//! and exports need.

use std::fmt;

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use selfsame_kernels::conv::Conv;
use serde::{Deserialize, Serialize};

use crate::layers::Init;
use crate::mlp::{Mlp, Norms};
use crate::resnet::{Architecture, Precision, ResNet, ResNetConfig, Stem};

/// Number of hidden layers of an encoder that is a multilayer perceptron.
pub(crate) const HIDDEN_LAYERS: usize = 2;

/// Name of the architecture of a perceptron.
const MLP: &str = "mlp";

/// Configuration of an encoder.
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

/// Configuration of a multilayer perceptron. Flattened pixels pass two hidden layers, each a linear
/// map with batch normalisation and ReLU. The output of the second layer is the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MlpConfig {
    /// Number of units in each hidden layer, and therefore the size of the representation.
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
    /// Returns the name of the architecture: `resnet18`, `resnet34`, `resnet50` or `mlp`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ResNet(config) => config.architecture.name(),
            Self::Mlp(_) => MLP,
        }
    }

    /// Returns the number of values in the representation of an image.
    pub fn dim(&self) -> usize {
        match self {
            Self::ResNet(config) => config.dim(),
            Self::Mlp(config) => config.width,
        }
    }

    /// Returns the width of the hidden layers: the number of channels in the first stage of a
    /// residual network, or the number of units in each hidden layer of a perceptron.
    pub fn width(&self) -> usize {
        match self {
            Self::ResNet(config) => config.width,
            Self::Mlp(config) => config.width,
        }
    }

    /// Returns the type of stored activations, which is f32 for a perceptron.
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
                write!(f, "{}, {} stem, width {width}", self.name(), stem.name())
            }
            Self::Mlp(MlpConfig { width, image_size }) => {
                write!(f, "{MLP}, width {width}, {image_size}×{image_size} pixels")
            }
        }
    }
}

/// An [`EncoderConfig`] as stored in `config.toml`: one table for all architectures.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stem: Option<Stem>,
    width: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_size: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    precision: Option<Precision>,
}

impl From<EncoderConfig> for Table {
    fn from(config: EncoderConfig) -> Self {
        let architecture = config.name().to_owned();
        match config {
            EncoderConfig::ResNet(ResNetConfig { stem, width, precision, .. }) => Self {
                architecture,
                stem: Some(stem),
                width,
                image_size: None,
                precision: Some(precision),
            },
            EncoderConfig::Mlp(MlpConfig { width, image_size }) => Self {
                architecture,
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
        if architecture == MLP {
            if stem.is_some() {
                return Err("an mlp has no `stem`".to_owned());
            }
            if precision.is_some() {
                return Err("an mlp has no `precision`".to_owned());
            }
            let image_size = image_size.ok_or("an mlp needs its `image_size`")?;
            return Ok(Self::Mlp(MlpConfig { width, image_size }));
        }
        let known = Architecture::ALL.into_iter().find(|known| known.name() == architecture);
        let architecture = known.ok_or_else(|| {
            let names = Architecture::ALL.map(Architecture::name).join(", ");
            format!("no architecture is called `{architecture}`, but {names} and {MLP} are known")
        })?;
        if image_size.is_some() {
            return Err("a residual network has no `image_size`".to_owned());
        }
        let stem = stem.ok_or("a residual network needs its `stem`")?;
        let precision = precision.unwrap_or_default();
        Ok(Self::ResNet(ResNetConfig { architecture, stem, width, precision }))
    }
}

/// An encoder, which maps normalised pixels to a representation.
///
/// The names of its tensors do not depend on this enum: they are the names of the network itself,
/// such as `layer1.0.conv1.weight` of a residual network or `layers.0.weight` of a perceptron.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "a program holds a few of them, and Burn boxes none")]
pub enum Backbone {
    /// A residual network.
    ResNet(ResNet),
    /// A multilayer perceptron on flattened pixels, row by row, with red, green and blue of each
    /// pixel.
    Mlp(Mlp),
}

impl Backbone {
    /// Computes the representation: maps normalised pixels, `[batch, height, width, 3]`, to
    /// `[batch, dim]`.
    ///
    /// # Panics
    /// If the encoder is a perceptron that was built for images of another size.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::ResNet(resnet) => resnet.forward(images),
            Self::Mlp(mlp) => perceptron(mlp, images),
        }
    }

    /// Computes the features before pooling: maps normalised pixels, `[batch, height, width, 3]`,
    /// to `[batch, height', width', dim]`. The mean over pixels is the result of
    /// [`forward`](Self::forward). The features of a perceptron have one pixel.
    ///
    /// # Panics
    /// If the encoder is a perceptron that was built for images of another size.
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

    /// Returns the number of values in the representation of an image.
    pub fn dim(&self) -> usize {
        match self {
            Self::ResNet(resnet) => resnet.dim(),
            Self::Mlp(mlp) => mlp.layers.last().map_or(0, |layer| layer.weight.dims()[0]),
        }
    }

    /// Returns the side, in pixels, of the images that the encoder takes, or `None` if it takes
    /// images of any size.
    pub fn image_size(&self) -> Option<usize> {
        match self {
            Self::ResNet(_) => None,
            Self::Mlp(mlp) => mlp.layers.first().map(|layer| (layer.weight.dims()[1] / 3).isqrt()),
        }
    }

    /// Returns the type of the encoder's activations.
    pub fn precision(&self) -> Precision {
        match self {
            Self::ResNet(resnet) if resnet.short => Precision::Bf16,
            _ => Precision::F32,
        }
    }

    /// Returns the convolutions that the encoder computes on a batch of square images of side
    /// `size`, in order, each with its name. A perceptron has no convolutions.
    pub fn convolutions(&self, batch: usize, size: usize) -> Vec<(String, Conv)> {
        match self {
            Self::ResNet(resnet) => resnet.convolutions(batch, size),
            Self::Mlp(_) => Vec::new(),
        }
    }

    /// Returns the device of the weights.
    pub(crate) fn device(&self) -> Device {
        match self {
            Self::ResNet(resnet) => resnet.conv1.weight.val().device(),
            Self::Mlp(mlp) => mlp.layers[0].weight.val().device(),
        }
    }
}

/// Computes [`Backbone::forward`] for a multilayer perceptron.
fn perceptron(mlp: &Mlp, images: Tensor<4>) -> Tensor<2> {
    let [batch, height, width, channels] = images.dims();
    let (pixels, inputs) = (height * width * channels, mlp.layers[0].weight.dims()[1]);
    assert_eq!(pixels, inputs, "the encoder was built for images of another size");
    relu(mlp.forward(images.reshape([batch, pixels])))
}
