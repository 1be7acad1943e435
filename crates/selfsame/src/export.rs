//! Exports a run's weights for use elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use selfsame_nn::{onnx, state};
use selfsame_report::write_atomic;
use selfsame_train::checkpoint::Which;

use crate::run::check_new;
use crate::{Error, Run};

/// What to export of a run, and where to write it.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Format of the file.
    pub format: ExportFormat,
    /// Which weights of the run to export.
    pub weights: Which,
    /// File to write. By default: a file in the current folder with the run's name and the
    /// extension of the format.
    pub out: Option<PathBuf>,
    /// Whether an existing file is overwritten.
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
    /// The encoder as safetensors, for `load_state_dict` of torchvision's ResNet.
    PytorchNames,
    /// The encoder as ONNX, from RGB bytes to embeddings; normalisation is included.
    #[default]
    Onnx,
}

impl ExportFormat {
    /// Describes what a file of the format holds.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Safetensors => "all networks of the run",
            Self::PytorchNames => "the encoder by torchvision's names",
            Self::Onnx => "the encoder from RGB bytes to embeddings",
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
    /// Number of values per embedding.
    pub dim: usize,
    /// Number of steps that the weights were trained for.
    pub step: u64,
}

/// Writes a run's weights for use elsewhere.
///
/// # Errors
/// If the folder is not a run, if its weights are missing or damaged, or if the file exists or
/// cannot be written.
///
/// ```no_run
/// let exported = selfsame::export("runs/photos".as_ref(), &selfsame::ExportOptions::default())?;
/// assert_eq!(exported.file, std::path::Path::new("photos.onnx"));
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn export(run: &Path, options: &ExportOptions) -> Result<Exported, Error> {
    let run = Run::open_to_read(run)?;
    let out = match &options.out {
        Some(out) => out.clone(),
        None => default_name(run.path(), options.format)?,
    };
    check_new(&[&out], options.overwrite)?;
    let plan = run.plan()?;
    let (encoder, step) = run.trained(&plan, options.weights, &Device::flex())?;
    let metadata = BTreeMap::from([
        ("step".to_owned(), step.to_string()),
        ("image_size".to_owned(), plan.data.image_size.to_string()),
        ("method".to_owned(), run.record()?.method),
    ]);
    match options.format {
        ExportFormat::Safetensors => {
            let (weights, _) = state::read_file(&run.weights(options.weights)?)?;
            state::write_file(&out, &weights, &metadata)?;
        }
        ExportFormat::PytorchNames => {
            state::write_file(&out, &state::read(&encoder), &metadata)?;
        }
        ExportFormat::Onnx => write_atomic(&out, &onnx::model(&encoder, &metadata))?,
    }
    Ok(Exported { file: out, dim: plan.encoder.dim(), step })
}

/// Returns the run's name with an extension that says what the file holds.
fn default_name(run: &Path, format: ExportFormat) -> Result<PathBuf, Error> {
    let folder = run.canonicalize().map_err(Error::file(run))?;
    let name = folder.file_name().map_or("run".into(), |name| name.to_string_lossy());
    Ok(format!("{name}.{}", format.ending()).into())
}
