//! Encoders from files of weights that no run of this library wrote.

use std::path::Path;

use burn::tensor::Device;
use selfsame_nn::layers::Init;
use selfsame_nn::{
    Architecture, Backbone, EncoderConfig, MlpConfig, Precision, ResNetConfig, Stem, state,
};
use selfsame_report::certificate::words;

use crate::encoder::EncoderKind;
use crate::{Error, Progress, init};

/// Why a perceptron has no other precision.
pub(crate) const ONLY_F32: &str = "a multilayer perceptron computes in f32";

/// The network that is assumed for a file of weights that does not say what it holds.
const PUBLISHED: ResNetConfig = ResNetConfig {
    architecture: Architecture::ResNet18,
    stem: Stem::ImageNet,
    width: 64,
    precision: Precision::F32,
};

/// How a file of weights becomes an encoder. By default, the file decides.
#[derive(Clone, Debug)]
pub struct WeightsOptions {
    /// The encoder.
    pub encoder: Option<EncoderKind>,
    /// Number of channels in the first stage of a residual network, or number of units in each
    /// hidden layer of a perceptron.
    pub width: Option<usize>,
    /// First layers of a residual network.
    pub stem: Option<Stem>,
    /// Whether to take the tensors that fit if some of them do not.
    pub partial: bool,
    /// Number format in which activations are stored; a perceptron always uses f32. By default:
    /// whichever is faster on the device.
    pub precision: Option<Precision>,
    /// Seed of the tensors that the file does not have.
    pub seed: u64,
    /// Device that is to run the encoder.
    pub device: Device,
}

impl Default for WeightsOptions {
    fn default() -> Self {
        Self {
            encoder: None,
            width: None,
            stem: None,
            partial: false,
            precision: None,
            seed: 0,
            device: Device::flex(),
        }
    }
}

/// An encoder with the weights of a file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The encoder, on the device that was asked for.
    pub encoder: Backbone,
    /// The encoder's settings, those of the file included.
    pub config: EncoderConfig,
    /// Number of the encoder's tensors that come from the file. The others are as before training.
    pub taken: usize,
    /// Number of all tensors of the encoder.
    pub tensors: usize,
}

impl Loaded {
    /// Describes the weights for a record.
    pub fn describe(&self) -> String {
        words::weights_of_file(self.taken, self.tensors)
    }
}

/// Reads an encoder: a ResNet of torchvision, lightly, solo-learn, MoCo or selfsame, or a
/// perceptron of selfsame, as `.safetensors` or `.pth`. Reports to `progress` which tensors match.
///
/// # Errors
/// If the file holds no encoder, if its tensors do not fit the encoder, or if options contradict
/// the file.
///
/// ```no_run
/// use selfsame::{WeightsOptions, read_encoder};
///
/// let options = WeightsOptions::default();
/// let loaded = read_encoder("resnet50.pth".as_ref(), &options, &mut ())?;
/// println!("{}: {} values an image", loaded.config, loaded.config.dim());
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn read_encoder(
    file: &Path,
    options: &WeightsOptions,
    progress: &mut dyn Progress,
) -> Result<Loaded, Error> {
    let import = init::read(file)?;
    let config = config(options, import.encoder().unwrap_or(PUBLISHED.into()))?;
    let taken = init::fitting(import, file, options.partial, &config, progress)?;
    let encoder = config.init(&mut Init::new(options.seed, &options.device));
    let mut tensors = state::read(&encoder);
    let taken_count = taken.len();
    tensors.extend(taken);
    let encoder = state::load(encoder, &tensors)
        .map_err(|mismatch| Error::WrongWeights { path: file.to_owned(), mismatch })?;
    Ok(Loaded { encoder, config, taken: taken_count, tensors: tensors.len() })
}

/// Combines the requested settings of an encoder with those of the file's encoder `found`.
fn config(options: &WeightsOptions, found: EncoderConfig) -> Result<EncoderConfig, Error> {
    let &WeightsOptions { encoder, stem, width, .. } = options;
    let architecture = match (encoder, found) {
        (None | Some(EncoderKind::Mlp), EncoderConfig::Mlp(found)) => {
            if let Some(stem) = stem {
                return Err(Error::option("stem", stem.name(), "a multilayer perceptron has none"));
            }
            if options.precision == Some(Precision::Bf16) {
                return Err(Error::option("precision", Precision::Bf16, ONLY_F32));
            }
            return Ok(MlpConfig { width: width.unwrap_or(found.width), ..found }.into());
        }
        (None, EncoderConfig::ResNet(found)) => found.architecture,
        (Some(EncoderKind::ResNet18), _) => Architecture::ResNet18,
        (Some(EncoderKind::ResNet34), _) => Architecture::ResNet34,
        (Some(EncoderKind::ResNet50), _) => Architecture::ResNet50,
        (Some(EncoderKind::Mlp), EncoderConfig::ResNet(_)) => {
            return Err(Error::option("encoder", "mlp", "the file holds a residual network"));
        }
    };
    let otherwise = match found {
        EncoderConfig::ResNet(found) => found,
        EncoderConfig::Mlp(_) => PUBLISHED,
    };
    let config = ResNetConfig {
        architecture,
        stem: stem.unwrap_or(otherwise.stem),
        width: width.unwrap_or(otherwise.width),
        precision: options.precision.unwrap_or_else(|| Precision::fastest(&options.device)),
    };
    Ok(config.into())
}
