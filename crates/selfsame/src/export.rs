//! Exports an encoder for use elsewhere.

mod script;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use selfsame_augment::Normalise;
use selfsame_data::Exif;
use selfsame_nn::state::State;
use selfsame_nn::{Backbone, EncoderConfig, Stem, onnx, state};
use selfsame_report::write_atomic;
use selfsame_train::checkpoint::Which;

use crate::run::{check_new, make_parent};
use crate::{Error, Loaded, Run};

/// Name of the program beside weights with PyTorch's names.
const PROGRAM: &str = "model.py";

/// What to export of a run, and where to write it.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Format of the file.
    pub format: ExportFormat,
    /// Which weights of the run to export.
    pub weights: Which,
    /// File to write. By default: a file in the current folder with the name of the run, or of the
    /// file of weights, and the extension of the format.
    pub out: Option<PathBuf>,
    /// Whether existing files are overwritten.
    pub overwrite: bool,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { format: ExportFormat::default(), weights: Which::Last, out: None, overwrite: false }
    }
}

/// Contents and format of an exported file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportFormat {
    /// All networks of the run, including heads, as in its checkpoint.
    Safetensors,
    /// The encoder as safetensors, for `load_state_dict` of torchvision's ResNet. Beside it lies
    /// `model.py`, which builds the network, loads the weights and prepares images.
    PytorchNames,
    /// The encoder as ONNX, from RGB bytes of any size to embeddings: resizing and normalisation
    /// are included.
    #[default]
    Onnx,
}

impl ExportFormat {
    /// Describes what a file of the format holds.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Safetensors => "all networks of the run",
            Self::PytorchNames => "the encoder by torchvision's names",
            Self::Onnx => "the encoder from RGB bytes of any size to embeddings",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::PytorchNames => "encoder.safetensors",
            Self::Onnx => "onnx",
        }
    }
}

/// Weights that were exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The file.
    pub file: PathBuf,
    /// The Python program that was written beside it.
    pub program: Option<PathBuf>,
    /// The encoder.
    pub encoder: EncoderConfig,
    /// Number of steps that the weights were trained for, if they come from a run.
    pub step: Option<u64>,
}

/// Writes a run's weights for use elsewhere. Metadata of the file say what it holds.
///
/// # Errors
/// If the folder is not a run, if its weights are missing, damaged or not finite, or if a file
/// exists or cannot be written.
///
/// ```no_run
/// let exported = selfsame::export("runs/photos".as_ref(), &selfsame::ExportOptions::default())?;
/// assert_eq!(exported.file, std::path::Path::new("photos.onnx"));
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn export(run: &Path, options: &ExportOptions) -> Result<Exported, Error> {
    let run = Run::open_to_read(run)?;
    let folder = run.path().canonicalize().map_err(Error::file(run.path()))?;
    let name = folder.file_name().map_or("run".into(), |name| name.to_string_lossy());
    let files = Files::new(options, &name)?;
    let plan = run.plan()?;
    let (encoder, step) = run.trained(&plan, options.weights, &Device::flex())?;
    let weights = run.weights(options.weights)?;
    let content = Content {
        source: &weights,
        encoder: &encoder,
        config: &plan.encoder,
        image_size: plan.data.image_size,
        exif: plan.data.exif,
    };
    let mut about = content.about();
    let checkpoint = weights.file_stem().unwrap_or_default().to_string_lossy();
    for (key, value) in [
        ("run", name.as_ref()),
        ("checkpoint", &checkpoint),
        ("step", &step.to_string()),
        ("method", &run.record()?.method),
    ] {
        about.insert(key.to_owned(), value.to_owned());
    }
    if options.format == ExportFormat::Safetensors {
        let (state, _) = state::read_file(&weights)?;
        check_finite(&weights, &state)?;
        make_parent(&files.file)?;
        state::write_file(&files.file, &state, &about)?;
    } else {
        files.write(&content, &about)?;
    }
    let Files { file, program } = files;
    Ok(Exported { file, program, encoder: plan.encoder, step: Some(step) })
}

/// Writes an encoder that [`read_encoder`](crate::read_encoder) read from `source`, for images of
/// `image_size` pixels a side. By default, that is the size of images that the encoder is for: 32
/// or 224 pixels, by its first layers.
///
/// # Errors
/// If all networks of a run are asked for, if the encoder takes images of another size, if weights
/// are not finite, or if a file exists or cannot be written.
///
/// ```no_run
/// use selfsame::{ExportOptions, WeightsOptions};
///
/// let file = "resnet18.pth".as_ref();
/// let loaded = selfsame::read_encoder(file, &WeightsOptions::default(), &mut ())?;
/// let exported = selfsame::export_encoder(file, &loaded, None, &ExportOptions::default())?;
/// assert_eq!(exported.file, std::path::Path::new("resnet18.onnx"));
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn export_encoder(
    source: &Path,
    loaded: &Loaded,
    image_size: Option<u32>,
    options: &ExportOptions,
) -> Result<Exported, Error> {
    if options.format == ExportFormat::Safetensors {
        let cause = "these are all networks of a run, and a file of weights gives one";
        return Err(Error::option("format", "safetensors", cause));
    }
    let name = source.file_stem().map_or("encoder".into(), |name| name.to_string_lossy());
    let files = Files::new(options, &name)?;
    let image_size = size_of_images(&loaded.config, image_size)?;
    let content = Content {
        source,
        encoder: &loaded.encoder,
        config: &loaded.config,
        image_size,
        exif: Exif::default(),
    };
    let mut about = content.about();
    about.insert("weights".to_owned(), source.display().to_string());
    files.write(&content, &about)?;
    let Files { file, program } = files;
    Ok(Exported { file, program, encoder: loaded.config, step: None })
}

/// Returns the side of the images that an encoder is for, in pixels.
fn size_of_images(config: &EncoderConfig, asked: Option<u32>) -> Result<u32, Error> {
    let own = match config {
        EncoderConfig::ResNet(config) => {
            let usual = if config.stem == Stem::ImageNet { 224 } else { 32 };
            return Ok(asked.unwrap_or(usual));
        }
        EncoderConfig::Mlp(config) => config.image_size as u32,
    };
    match asked.filter(|&asked| asked != own) {
        Some(asked) => {
            let cause = format!("the encoder takes images of {own} pixels");
            Err(Error::option("image_size", asked, cause))
        }
        None => Ok(own),
    }
}

/// The files that an export writes.
struct Files {
    file: PathBuf,
    program: Option<PathBuf>,
}

impl Files {
    /// Returns the files, and checks that they may be written. `name` is that of what is exported.
    fn new(options: &ExportOptions, name: &str) -> Result<Self, Error> {
        let usual = || format!("{name}.{}", options.format.ending()).into();
        let file = options.out.clone().unwrap_or_else(usual);
        let program =
            (options.format == ExportFormat::PytorchNames).then(|| file.with_file_name(PROGRAM));
        let files: Vec<&PathBuf> = [&file].into_iter().chain(&program).collect();
        check_new(&files, options.overwrite)?;
        Ok(Self { file, program })
    }

    fn write(&self, content: &Content<'_>, about: &BTreeMap<String, String>) -> Result<(), Error> {
        let Content { source, encoder, config, image_size, exif } = *content;
        let state = state::read(encoder);
        check_finite(source, &state)?;
        make_parent(&self.file)?;
        let Some(program) = &self.program else {
            let model = onnx::model(encoder, image_size as usize, about);
            return Ok(write_atomic(&self.file, &model)?);
        };
        state::write_file(&self.file, &state, about)?;
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let upright = exif == Exif::Turn;
        Ok(write_atomic(program, script::program(&name, config, upright).as_bytes())?)
    }
}

/// An encoder, and the images that it takes.
struct Content<'a> {
    /// File of the weights.
    source: &'a Path,
    encoder: &'a Backbone,
    config: &'a EncoderConfig,
    image_size: u32,
    exif: Exif,
}

impl Content<'_> {
    /// Says what an exported file holds, and how images become what the encoder takes.
    fn about(&self) -> BTreeMap<String, String> {
        let channels = |values: [f32; 3]| format!("[{}, {}, {}]", values[0], values[1], values[2]);
        let mut about = BTreeMap::new();
        let mut say = |key: &str, value: String| about.insert(key.to_owned(), value);
        say("selfsame", env!("CARGO_PKG_VERSION").to_owned());
        say("architecture", self.config.name().to_owned());
        say("width", self.config.width().to_string());
        if let EncoderConfig::ResNet(config) = self.config {
            say("stem", config.stem.name().to_owned());
        }
        say("dimension", self.config.dim().to_string());
        say("image_size", self.image_size.to_string());
        say("exif", self.exif.name().to_owned());
        say("crop", "centre square".to_owned());
        say("resize", "bilinear, antialiased".to_owned());
        say("mean", channels(Normalise::IMAGENET.mean()));
        say("std", channels(Normalise::IMAGENET.deviation()));
        about
    }
}

/// Refuses weights that are infinite or not numbers.
fn check_finite(path: &Path, state: &State) -> Result<(), Error> {
    for (name, tensor) in state {
        if let Some(&value) = tensor.values.iter().find(|value| !value.is_finite()) {
            return Err(Error::NotFinite { path: path.to_owned(), name: name.clone(), value });
        }
    }
    Ok(())
}
