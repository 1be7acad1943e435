//! Import of encoders from other programs: state dicts of torchvision, lightly, solo-learn, MoCo
//! and selfsame itself.
//!
//! A file is a safetensors file or one that `torch.save` wrote. Only the descriptions of tensors
//! are read from a pickle; nothing in the pickle is executed. An encoder is recognised by its first
//! convolution, the only one with three input channels. Its tensors then get the names of
//! torchvision, which selfsame uses too:
//!
//! - Prefixes are removed: `state_dict.`, `module.encoder_q.`, `backbone.`, …
//! - Layers may be numbered, as in `nn.Sequential(*resnet.children())`. Six of the numbered layers
//!   have tensors: the two layers of the stem and the four stages, in this order.
//! - `shortcut` (lightly's ResNet) becomes `downsample`.
//! - `num_batches_tracked` is ignored.
//!
//! A file without such a convolution may hold a perceptron of selfsame, which is recognised by
//! `layers.0.weight`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors};
use zip::{CompressionMethod, ZipArchive};

use crate::backbone::{Backbone, EncoderConfig, HIDDEN_LAYERS, MlpConfig};
use crate::resnet::{Architecture, Precision, ResNetConfig, Stem};
use crate::state::{self, Mismatch, State, Values};

/// Children of a residual network that have tensors, in order.
const LAYERS: [&str; 6] = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"];
/// Children of a perceptron.
const PERCEPTRON: [&str; 2] = ["layers", "norms"];
/// Size in bytes of the largest `data.pkl` that is read. This size suffices for about ten thousand
/// tensors; a ResNet-50 with the history of its optimizer has a thousand. Each byte may take 240
/// bytes in memory.
const LARGEST_PICKLE: u64 = 2 << 20;
/// Number of names of a list that an error or a table shows. For all other names, it shows only
/// their number.
const NAMED: usize = 4;

/// An encoder read from a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Import {
    /// Tensors of the encoder, by our names.
    pub state: State,
    /// Prefix of the tensors' names in the file, such as `state_dict.backbone.`.
    pub network: String,
    /// Names of all other tensors in the file: heads, other networks, states of optimizers.
    pub others: Vec<String>,
    /// Whether the network in the file has no ReLU after its stem and so computes something else
    /// than an encoder with the same tensors. This is the case for the layers of lightly's own
    /// ResNet in an `nn.Sequential`: lightly calls this ReLU as a function, which is no layer.
    pub lacks_relu: bool,
    /// Whether the file looks like a file of solo-learn for CIFAR. The 3×3 stem of solo-learn pads
    /// by 2 and ours by 1, and solo-learn normalises pixels by the statistics of CIFAR. The tensors
    /// of the encoder do not show this difference, but the names of other tensors in the file do.
    pub pads_by_two: bool,
}

/// Reason why no encoder could be read from a file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The operating system could not read the file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file is not an intact safetensors file or PyTorch checkpoint, or it has parts that no
    /// encoder has.
    #[error("{}: {cause}; if it is damaged, fetch it again, and if it is something else than \
             safetensors or a PyTorch checkpoint of plain tensors, save it with \
             torch.save(model.state_dict(), …)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Description of the damage or of the unexpected part.
        cause: String,
    },
    /// The file has no convolution of three input channels under a name that residual networks give
    /// their first layer, and no perceptron of selfsame.
    #[error("{}: no residual network (no conv1.weight or 0.weight of three input channels, but \
             {}) and no perceptron of selfsame (no layers.0.weight of square images); save a \
             residual network with torch.save(resnet.state_dict(), …)",
            path.display(), list(names))]
    NoEncoder {
        /// The file.
        path: PathBuf,
        /// The names in the file.
        names: Vec<String>,
    },
    /// The file holds several networks, and it is not clear which one to take.
    #[error("{}: several encoders ({}); save the one that is meant on its \
             own", path.display(), list(networks))]
    SeveralEncoders {
        /// The file.
        path: PathBuf,
        /// Prefix of the names of each network.
        networks: Vec<String>,
    },
    /// The tensors claim more bytes than the file has.
    #[error("{}: its encoder claims {claimed} bytes, and the file has {length}; save it with \
             torch.save(model.state_dict(), …)", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Number of bytes that the tensors claim.
        claimed: u64,
        /// Number of bytes in the file.
        length: u64,
    },
    /// The values of a tensor are not floats.
    #[error("{}: {name} holds {found} values, not floats; save the network in \
             float32", path.display())]
    ValueType {
        /// The file.
        path: PathBuf,
        /// Name of the tensor in the file.
        name: String,
        /// Type of its values.
        found: String,
    },
    /// A weight is infinite or not a number.
    #[error("{}: {name} holds {value}; use a checkpoint from before training \
             diverged", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Name of the tensor in the file.
        name: String,
        /// The value.
        value: f32,
    },
}

/// A tensor before its values are read.
struct Header {
    shape: Vec<usize>,
    bytes: u64,
}

/// Reads the encoder in a file. Values become 32-bit floats.
///
/// If the file holds several networks, this function takes the trained network, not a momentum
/// encoder, a teacher, a target or a moving average.
///
/// # Errors
/// [`ImportError`] names the file.
///
/// ```
/// use std::collections::BTreeMap;
/// use selfsame_nn::layers::Init;
/// use selfsame_nn::{Architecture, EncoderConfig, Precision, ResNetConfig, Stem, import, state};
///
/// let config = EncoderConfig::from(ResNetConfig {
///     architecture: Architecture::ResNet18,
///     stem: Stem::Cifar,
///     width: 2,
///     precision: Precision::F32,
/// });
/// let encoder = config.init(&mut Init::new(0, &burn::tensor::Device::flex()));
/// let name = format!("selfsame-doc-{}.safetensors", std::process::id());
/// let file = std::env::temp_dir().join(name);
/// state::write_file(&file, &state::read(&encoder), &BTreeMap::new())?;
///
/// let import = import::read(&file)?;
/// assert_eq!(import.encoder(), Some(config));
/// assert!(import.fit(&encoder).is_whole());
/// # std::fs::remove_file(&file)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: &Path) -> Result<Import, ImportError> {
    let io = |source| ImportError::Io { path: path.to_owned(), source };
    let damaged = |cause: &dyn fmt::Display| ImportError::Damaged {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut head = Vec::new();
    (&mut file).take(9).read_to_end(&mut head).map_err(io)?;

    // A safetensors file starts with eight bytes, which hold the length of the JSON object after
    // them.
    if head.get(8) == Some(&b'{') {
        let content = std::fs::read(path).map_err(io)?;
        let tensors = SafeTensors::deserialize(&content).map_err(|e| damaged(&e))?;
        let views: BTreeMap<String, _> = tensors.tensors().into_iter().collect();
        let headers = views.iter().map(|(name, view)| {
            (name.clone(), Header { shape: view.shape().to_vec(), bytes: view.data().len() as u64 })
        });
        take(path, length, headers.collect(), |name| {
            let view = &views[name];
            floats(view.dtype(), view.data())
                .ok_or_else(|| value_type(path, name, &format_args!("{:?}", view.dtype())))
        })
    } else {
        if head.starts_with(b"PK") {
            check_entries(&file, length).map_err(|cause| damaged(&cause))?;
        }
        let tensors = PytorchReader::new(path).map_err(|e| damaged(&e))?.into_tensors();
        let headers = tensors.iter().map(|(name, tensor)| {
            (
                name.clone(),
                Header { shape: tensor.shape().to_vec(), bytes: tensor.byte_len() as u64 },
            )
        });
        take(path, length, headers.collect(), |name| {
            let tensor = &tensors[name];
            let dtype = match tensor.dtype() {
                DType::F16 => Dtype::F16,
                DType::BF16 => Dtype::BF16,
                DType::F32 => Dtype::F32,
                DType::F64 => Dtype::F64,
                other => return Err(value_type(path, name, &format_args!("{other:?}"))),
            };
            let bytes = tensor.read().map_err(|e| damaged(&e))?;
            floats(dtype, &bytes).ok_or_else(|| value_type(path, name, &format_args!("{dtype:?}")))
        })
    }
}

/// Refuses zip files that would take far more memory than their own length. torch.save does not
/// compress its entries, and its pickle only describes tensors, so it is small. (Checkpoints of
/// PyTorch before 1.6 are not zip files. They take memory in proportion to their length.)
fn check_entries(file: &File, length: u64) -> Result<(), String> {
    let mut archive = ZipArchive::new(file).map_err(|e| e.to_string())?;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|e| e.to_string())?;
        let (name, size) = (entry.name().map_err(|e| e.to_string())?, entry.size());
        let name = list(&[name.into_owned()]);
        if entry.compression() != CompressionMethod::Stored {
            return Err(format!("its {name} is compressed, as torch.save leaves none"));
        }
        if size > length {
            return Err(format!("its {name} claims {size} bytes, and the file has {length}"));
        }
        if name.ends_with("data.pkl") && size > LARGEST_PICKLE {
            return Err(format!(
                "its {name} has {size} bytes, and no more than {LARGEST_PICKLE} are read"
            ));
        }
    }
    Ok(())
}

/// Finds the encoder among the tensors of a file. `values` reads the tensor with a given name in
/// the file.
fn take(
    path: &Path,
    length: u64,
    headers: BTreeMap<String, Header>,
    mut values: impl FnMut(&str) -> Result<Vec<f32>, ImportError>,
) -> Result<Import, ImportError> {
    let (network, layers) = network(path, &headers)?;
    let (ours, lacks_relu) = names(&network, layers, headers.keys());
    // Several tensors may share the same bytes of a file, so a small file can claim any size.
    let claimed =
        ours.keys().fold(0, |sum: u64, theirs| sum.saturating_add(headers[*theirs].bytes));
    if claimed > length {
        return Err(ImportError::TooLarge { path: path.to_owned(), claimed, length });
    }
    let mut state = State::new();
    for (theirs, ours) in &ours {
        let values = values(theirs)?;
        if let Some(&value) = values.iter().find(|value| !value.is_finite()) {
            return Err(ImportError::NotFinite {
                path: path.to_owned(),
                name: (*theirs).to_owned(),
                value,
            });
        }
        state.insert(ours.clone(), Values { shape: headers[*theirs].shape.clone(), values });
    }
    let is_other = |name: &&String| {
        !ours.contains_key(name.as_str()) && !name.ends_with("num_batches_tracked")
    };
    let others: Vec<String> = headers.keys().filter(is_other).cloned().collect();
    let pads_by_two = pads_by_two(&network, &state, &others);
    Ok(Import { state, network, others, lacks_relu, pads_by_two })
}

/// Returns whether the stem is small and the networks beside the encoder have names of solo-learn's:
/// `classifier`, `projector`, `predictor` or `momentum_…`. In a checkpoint of Lightning's, where the
/// encoder is `backbone`, one of them suffices. Other programs have single ones of them too, as do
/// checkpoints of selfsame. So under other prefixes, with `encoder`, as solo-learn wrote until 2022,
/// or without Lightning's prefix, there must be the classifier, which solo-learn trains along, and
/// one more.
fn pads_by_two(network: &str, state: &State, others: &[String]) -> bool {
    let small =
        state.get("conv1.weight").is_some_and(|stem| matches!(stem.shape[..], [_, _, 3, 3]));
    let Some((parent, "backbone." | "encoder.")) = split_last(network) else { return false };
    let beside = |known: &str| {
        others.iter().any(|name| {
            let name = name.strip_prefix(parent);
            name.is_some_and(|name| name.starts_with(known))
        })
    };
    let classifier = beside("classifier.");
    let heads = ["projector.", "predictor.", "momentum_"].into_iter().any(beside);
    let own = network == "state_dict.backbone.";
    small && (classifier && heads || own && (classifier || heads))
}

/// Splits a prefix such as `state_dict.backbone.` before its last name.
fn split_last(network: &str) -> Option<(&str, &str)> {
    let names = network.strip_suffix('.')?;
    Some(network.split_at(names.rfind('.').map_or(0, |dot| dot + 1)))
}

/// Returns the prefix of the trained encoder's names, and the names of its children.
fn network(
    path: &Path,
    headers: &BTreeMap<String, Header>,
) -> Result<(String, &'static [&'static str]), ImportError> {
    let first = headers.iter().filter(|(_, header)| matches!(header.shape[..], [_, 3, _, _]));
    let prefix = |name: &str| {
        let prefix = name.strip_suffix("conv1.weight").or_else(|| name.strip_suffix("0.weight"))?;
        (prefix.is_empty() || prefix.ends_with('.')).then(|| prefix.to_owned())
    };
    let prefixes: Vec<String> = first.filter_map(|(name, _)| prefix(name)).collect();
    // In a network of width 3, blocks of the first stage have three input channels too.
    let inside = |name: &String| {
        prefixes.iter().any(|outer| outer != name && name.starts_with(outer.as_str()))
    };
    let mut networks: Vec<String> = prefixes.iter().filter(|name| !inside(name)).cloned().collect();
    if networks.len() > 1 {
        networks.retain(|network| !network.split('.').any(is_average));
    }
    match <[String; 1]>::try_from(networks) {
        Ok([network]) => Ok((network, &LAYERS)),
        Err(_) if prefixes.is_empty() => match perceptron(headers) {
            Some(prefix) => Ok((prefix.to_owned(), &PERCEPTRON)),
            None => Err(ImportError::NoEncoder {
                path: path.to_owned(),
                names: headers.keys().cloned().collect(),
            }),
        },
        Err(_) => Err(ImportError::SeveralEncoders { path: path.to_owned(), networks: prefixes }),
    }
}

/// Returns the prefix of a perceptron's names, if the file holds a perceptron. Only selfsame writes
/// these names, either with the prefix `backbone.` or without a prefix.
fn perceptron(headers: &BTreeMap<String, Header>) -> Option<&'static str> {
    ["backbone.", ""].into_iter().find(|prefix| {
        let first = headers.get(&format!("{prefix}layers.0.weight"));
        first.is_some_and(|first| mlp_config(&first.shape).is_some())
            && headers.contains_key(&format!("{prefix}norms.0.running_mean"))
    })
}

/// Returns the configuration of the perceptron whose first weight has the shape `first`, or `None`
/// if its inputs are not the values of a square image.
fn mlp_config(first: &[usize]) -> Option<MlpConfig> {
    let &[width, inputs] = first else { return None };
    let image_size = (inputs / 3).isqrt();
    (inputs > 0 && 3 * image_size * image_size == inputs).then_some(MlpConfig { width, image_size })
}

/// Returns whether a part of a name shows that the network follows another network.
fn is_average(part: &str) -> bool {
    let says =
        ["momentum", "teacher", "target", "encoder_k"].iter().any(|word| part.contains(word));
    says || part.split('_').any(|word| word == "ema")
}

/// Returns our names for the encoder's tensors, by their names in the file. Also returns whether
/// the numbers of the layers show that there is no ReLU after the stem.
fn names<'a>(
    network: &str,
    layers: &[&'static str],
    names: impl Iterator<Item = &'a String>,
) -> (BTreeMap<&'a str, String>, bool) {
    let within: Vec<(&str, &str, &str)> = names
        .filter_map(|name| {
            let (layer, rest) = name.strip_prefix(network)?.split_once('.')?;
            Some((name.as_str(), layer, rest))
        })
        .collect();
    let mut numbers: Vec<u32> =
        within.iter().filter_map(|(_, layer, _)| layer.parse().ok()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let layer_of = |layer: &str| match layer.parse() {
        Ok(number) => layers.get(numbers.binary_search(&number).ok()?).copied(),
        Err(_) => layers.iter().copied().find(|known| *known == layer),
    };
    let lacks_relu = matches!(numbers[..], [_, norm, stage, ..] if stage == norm.saturating_add(1));
    let ours = within
        .into_iter()
        .filter(|(.., rest)| !rest.ends_with("num_batches_tracked"))
        .filter_map(|(name, layer, rest)| {
            let rest: Vec<&str> = rest
                .split('.')
                .map(|part| if part == "shortcut" { "downsample" } else { part })
                .collect();
            Some((name, format!("{}.{}", layer_of(layer)?, rest.join("."))))
        })
        .collect();
    (ours, lacks_relu)
}

/// Converts little-endian bytes to floats, or returns `None` if the type is not a float.
fn floats(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => {
            bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect()
        }
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        _ => return None,
    })
}

fn value_type(path: &Path, name: &str, found: &dyn fmt::Display) -> ImportError {
    ImportError::ValueType {
        path: path.to_owned(),
        name: name.to_owned(),
        found: found.to_string(),
    }
}

impl Import {
    /// Returns the encoder whose tensors have these names and shapes, or `None` if selfsame has no
    /// such encoder.
    ///
    /// All weights of its convolutions or linear maps are in the file, so building it takes memory
    /// in proportion to the file. Vectors may be missing; [`fit`](Self::fit) lists them.
    pub fn encoder(&self) -> Option<EncoderConfig> {
        let holds = |name: &str, shape: &[usize]| {
            self.state.get(name).is_some_and(|values| values.shape == shape)
        };
        if let Some(first) = self.state.get("layers.0.weight") {
            let config = mlp_config(&first.shape)?;
            let layers = self.state.keys().filter(|name| name.ends_with("running_mean")).count();
            let whole = (1..HIDDEN_LAYERS)
                .all(|layer| holds(&format!("layers.{layer}.weight"), &[config.width; 2]));
            return (layers == HIDDEN_LAYERS && whole).then_some(config.into());
        }
        let stem = self.state.get("conv1.weight")?;
        let (width, stem) = match stem.shape[..] {
            [width, _, 3, 3] => (width, Stem::Cifar),
            [width, _, 7, 7] => (width, Stem::ImageNet),
            _ => return None,
        };
        let blocks = |stage: usize| {
            (0..)
                .take_while(|block| {
                    self.state.contains_key(&format!("layer{stage}.{block}.conv1.weight"))
                })
                .count()
        };
        let bottleneck = self.state.contains_key("layer1.0.conv3.weight");
        let architecture = match ([1, 2, 3, 4].map(blocks), bottleneck) {
            ([2, 2, 2, 2], false) => Architecture::ResNet18,
            ([3, 4, 6, 3], false) => Architecture::ResNet34,
            ([3, 4, 6, 3], true) => Architecture::ResNet50,
            _ => return None,
        };
        let config = ResNetConfig { architecture, stem, width, precision: Precision::F32 };
        config.weights().iter().all(|(name, shape)| holds(name, shape)).then_some(config.into())
    }

    /// Compares the names and shapes of the tensors with those of an encoder.
    pub fn fit(&self, encoder: &Backbone) -> Fit {
        let wanted = state::read(encoder);
        let same = |name: &&String| {
            self.state.get(*name).is_some_and(|found| found.shape == wanted[*name].shape)
        };
        Fit {
            matched: wanted.keys().filter(same).cloned().collect(),
            mismatch: Mismatch::between(&wanted, &self.state),
            others: self.others.clone(),
            lacks_relu: self.lacks_relu,
            pads_by_two: self.pads_by_two,
            small_stem: match self.encoder() {
                Some(EncoderConfig::ResNet(config)) => config.stem == Stem::Cifar,
                _ => false,
            },
        }
    }
}

/// Comparison of an import with an encoder. It prints as a table with one line per finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fit {
    /// Names that both the import and the encoder have, with tensors of the same shape.
    pub matched: Vec<String>,
    /// Names that only one of the two has, or that have different shapes.
    pub mismatch: Mismatch,
    /// Same as [`Import::others`].
    pub others: Vec<String>,
    /// Same as [`Import::lacks_relu`].
    pub lacks_relu: bool,
    /// Same as [`Import::pads_by_two`].
    pub pads_by_two: bool,
    /// Whether the file has the small stem. Libraries pad this stem differently, and no tensor
    /// shows the padding.
    pub small_stem: bool,
}

impl Fit {
    /// Returns whether the file has exactly the encoder's tensors and nothing shows that its
    /// network computes something else. No tensor shows the padding of a 3×3 stem or the statistics
    /// that normalise pixels, so these may still differ.
    pub fn is_whole(&self) -> bool {
        self.tensors_fit() && !self.lacks_relu && !self.pads_by_two
    }

    /// Returns whether the file has exactly the encoder's tensors.
    pub fn tensors_fit(&self) -> bool {
        self.mismatch == Mismatch::default()
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { missing, unexpected, shapes } = &self.mismatch;
        let shapes: Vec<String> = shapes
            .iter()
            .map(|(name, want, found)| format!("{name} (file {found:?}, encoder {want:?})"))
            .collect();
        writeln!(f, "  {:5}  matched", self.matched.len())?;
        for (what, names) in [
            ("of another shape", &shapes),
            ("missing from the file", missing),
            ("unknown to the encoder", unexpected),
            ("beside the encoder, ignored", &self.others),
        ] {
            if !names.is_empty() {
                writeln!(f, "  {:5}  {what}: {}", names.len(), list(names))?;
            }
        }
        if self.lacks_relu {
            writeln!(
                f,
                "  the file's network has no ReLU after its stem, and the encoder has one: their \
                 features differ"
            )?;
        }
        if self.pads_by_two {
            writeln!(
                f,
                "  the file looks like solo-learn's, whose stem pads by 2 and whose pixels have \
                 CIFAR's statistics; the \
                 encoder pads by 1 and takes ImageNet's: their features differ"
            )?;
        } else if self.small_stem {
            writeln!(
                f,
                "  no tensor says how a 3×3 stem pads and what pixels are normalised by; the \
                 encoder pads by 1 and takes \
                 ImageNet's statistics"
            )?;
        }
        Ok(())
    }
}

/// Lists the first few names and the number of further names.
fn list(names: &[String]) -> String {
    // Names in a file may have any length and any characters.
    let short = |name: &String| -> String {
        name.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    };
    let first: Vec<String> = names
        .iter()
        .take(NAMED)
        .map(|name| if name.is_empty() { "\"\"".to_owned() } else { short(name) })
        .collect();
    match (first.is_empty(), names.len().saturating_sub(NAMED)) {
        (true, _) => "nothing".to_owned(),
        (_, 0) => first.join(", "),
        (_, more) => format!("{} and {more} more", first.join(", ")),
    }
}
