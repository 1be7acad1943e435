//! Weights from elsewhere, as a start for training or to be measured.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use selfsame_nn::EncoderConfig;
use selfsame_nn::import::{self, Fit, Import, ImportError};
use selfsame_nn::layers::Init;
use selfsame_nn::state::State;
use selfsame_train::checkpoint::Which;

use crate::Progress;

/// Reasons why a file gives no weights to start from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// A folder was given in place of a file.
    #[error("{}: a folder, not a file of weights", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The file of weights in the folder, if it is the folder of a run.
        weights: Option<PathBuf>,
    },
    /// An ONNX file, which holds a network to be run rather than named weights.
    #[error("{}: ONNX holds a network to be run, not named weights to start from", path.display())]
    Onnx {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no encoder.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The tensors fit, but the file's network computes something else with them.
    #[error(
        "{}: its tensors fit, but its network computes something else with them, as said above",
        path.display()
    )]
    OtherNetwork {
        /// The file.
        path: PathBuf,
    },
    /// The tensors do not fit the encoder.
    #[error("{} does not fit the encoder ({encoder})", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// The requested encoder.
        encoder: EncoderConfig,
        /// The encoder that the file holds, if its tensors reveal it.
        held: Option<EncoderConfig>,
    },
    /// Not one tensor fits the encoder.
    #[error("{}: nothing in it fits the encoder ({encoder})", path.display())]
    NothingFits {
        /// The file.
        path: PathBuf,
        /// The requested encoder.
        encoder: EncoderConfig,
    },
}

impl InitError {
    /// Returns whether the user should name another file or encoder. Otherwise, the file needs
    /// fixing.
    pub fn is_misuse(&self) -> bool {
        !matches!(self, Self::Import(_))
    }
}

/// Reads the encoder in a file: a ResNet of torchvision, lightly, solo-learn, MoCo or selfsame, as
/// `.safetensors` or `.pth`.
///
/// # Errors
/// [`InitError`] if the file holds no encoder.
pub fn read(path: &Path) -> Result<Import, InitError> {
    if path.is_dir() {
        let weights = Some(Which::Last.path(path)).filter(|file| file.is_file());
        return Err(InitError::Folder { path: path.to_owned(), weights });
    }
    if path.extension().is_some_and(|end| end == "onnx") {
        return Err(InitError::Onnx { path: path.to_owned() });
    }
    Ok(import::read(path)?)
}

/// Returns the tensors of `import`, which came from `path`, that the encoder can take, under the
/// encoder's own names. Reports to `progress` what matched.
///
/// # Errors
/// [`InitError`] if some tensors do not fit and `partial` is false, or if no tensor fits.
pub fn fitting(
    import: Import,
    path: &Path,
    partial: bool,
    encoder: &EncoderConfig,
    progress: &mut dyn Progress,
) -> Result<State, InitError> {
    let fit = import.fit(&encoder.init(&mut Init::new(0, &Device::flex())));
    let network =
        if import.network.is_empty() { String::new() } else { format!(" ({})", import.network) };
    progress.note(&format!(
        "tensors of {}{network}:\n{}",
        path.display(),
        fit.to_string().trim_end()
    ));
    check(&fit, &import, path, partial, encoder)?;
    let matched = |name: &String| fit.matched.binary_search(name).is_ok();
    Ok(import.state.into_iter().filter(|(name, _)| matched(name)).collect())
}

fn check(
    fit: &Fit,
    import: &Import,
    path: &Path,
    partial: bool,
    encoder: &EncoderConfig,
) -> Result<(), InitError> {
    let (path, encoder) = (path.to_owned(), *encoder);
    if fit.tensors_fit() && !fit.is_whole() && !partial {
        return Err(InitError::OtherNetwork { path });
    }
    if !fit.is_whole() && !partial {
        return Err(InitError::Unfit { path, encoder, held: import.encoder() });
    }
    if fit.matched.is_empty() {
        return Err(InitError::NothingFits { path, encoder });
    }
    Ok(())
}
