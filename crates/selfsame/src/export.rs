//! A run's weights for use elsewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use selfsame_nn::{onnx, state};
use selfsame_report::write_atomic;
use selfsame_train::checkpoint::Which;

use crate::{Error, Run};

/// What to export of a run, and where to.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// What to write.
    pub format: ExportFormat,
    /// Which weights.
    pub weights: Which,
    /// File to write. Without it: the run's name, with an ending of the format, in the current
    /// folder.
    pub out: Option<PathBuf>,
    /// Whether a file that exists is written over.
    pub overwrite: bool,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { format: ExportFormat::default(), weights: Which::Last, out: None, overwrite: false }
    }
}

/// What is exported, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportFormat {
    /// Every network of the run, heads too, as in its checkpoint.
    Safetensors,
    /// The encoder as safetensors, for `load_state_dict` of torchvision's ResNet.
    PytorchNames,
    /// The encoder as ONNX, from RGB bytes to embeddings: normalising is inside.
    #[default]
    Onnx,
}

impl ExportFormat {
    /// What a file of the format holds, in words.
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
    /// Values of an embedding.
    pub dim: usize,
    /// Steps that the weights were trained for.
    pub step: u64,
}

/// Writes a run's weights for use elsewhere.
///
/// # Errors
/// The folder is no run, its weights are missing or damaged, or the file exists or cannot be
/// written.
///
/// ```no_run
/// let exported = selfsame::export("runs/photos".as_ref(), &selfsame::ExportOptions::default())?;
/// assert_eq!(exported.file, std::path::Path::new("photos.onnx"));
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn export(run: &Path, options: &ExportOptions) -> Result<Exported, Error> {
    let run = Run::open(run)?;
    let out = match &options.out {
        Some(out) => out.clone(),
        None => default_name(run.path(), options.format)?,
    };
    if out.exists() && !options.overwrite {
        return Err(Error::Exists { path: out });
    }
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

/// The run's name with an ending that says what the file holds.
fn default_name(run: &Path, format: ExportFormat) -> Result<PathBuf, Error> {
    let folder = run.canonicalize().map_err(Error::file(run))?;
    let name = folder.file_name().map_or("run".into(), |name| name.to_string_lossy());
    Ok(format!("{name}.{}", format.ending()).into())
}
