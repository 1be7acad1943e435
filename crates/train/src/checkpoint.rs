//! Checkpoints: `checkpoints/last.safetensors` and `best.safetensors` hold weights for use, and
//! `last.state.safetensors` holds everything that training needs to continue.
//!
//! The state file holds the weights as well, so a checkpoint becomes valid when one file is
//! renamed. A crash between writing two files can therefore never pair new weights with old
//! moments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use selfsame_nn::state::{self, FileError, State, Values};

/// One of the two sets of weights that a run saves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The weights after the last saved step.
    Last,
    /// The weights with the highest kNN accuracy on the validation split.
    Best,
}

impl Which {
    /// Returns the file of these weights in the folder `run`.
    pub fn path(self, run: &Path) -> PathBuf {
        run.join("checkpoints").join(match self {
            Self::Last => "last.safetensors",
            Self::Best => "best.safetensors",
        })
    }
}

/// State of a training run after a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Number of steps taken.
    pub step: u64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// The highest kNN accuracy on the validation split so far.
    pub best_knn: Option<f64>,
    /// The configuration as TOML. Training continues only under the same configuration.
    pub config: String,
    /// The weights of all networks, including queues and running statistics.
    pub weights: State,
    /// The moments of the optimizer.
    pub moments: State,
}

/// Reason why a checkpoint could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read or written, or is damaged.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is an intact safetensors file, but holds no training state.
    #[error("{}: no training state ({cause})", path.display())]
    NoState {
        /// The file.
        path: PathBuf,
        /// Description of the missing part.
        cause: String,
    },
    /// The initial weights are not the weights that the configuration names.
    #[error("{}: not the weights that this run was given to start from", path.display())]
    OtherInit {
        /// The file.
        path: PathBuf,
    },
}

/// Returns the path of the state file in the folder `run`.
pub fn state_path(run: &Path) -> PathBuf {
    run.join("checkpoints").join("last.state.safetensors")
}

impl Checkpoint {
    /// Writes the state file, then the file of weights for use. Each write is atomic.
    ///
    /// # Errors
    /// If a file cannot be written. The previous checkpoint then stays intact.
    pub fn save(&self, run: &Path) -> Result<(), CheckpointError> {
        let named = |prefix: &str, from: &State| {
            from.iter()
                .map(|(name, values)| (format!("{prefix}{name}"), values.clone()))
                .collect::<Vec<(String, Values)>>()
        };
        let content: State = named("weights.", &self.weights)
            .into_iter()
            .chain(named("moments.", &self.moments))
            .collect();
        let mut metadata = BTreeMap::from([
            ("step".to_owned(), self.step.to_string()),
            ("seconds".to_owned(), self.seconds.to_string()),
            ("config".to_owned(), self.config.clone()),
        ]);
        if let Some(best) = self.best_knn {
            metadata.insert("best_knn".to_owned(), best.to_string());
        }
        state::write_file(&state_path(run), &content, &metadata)?;
        Ok(save_weights(run, Which::Last, &self.weights, self.step)?)
    }

    /// Reads the state of `run`, or returns `None` if the run has not saved a state yet.
    ///
    /// # Errors
    /// If the file is damaged. Also if it is missing although the run saved weights, which it does
    /// after the state: training from the start would replace them.
    pub fn load(run: &Path) -> Result<Option<Self>, CheckpointError> {
        let path = state_path(run);
        let (content, metadata) = match state::read_file(&path) {
            Err(FileError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                if Which::Last.path(run).exists() {
                    let cause = "the file is missing, but the weights saved with it are there";
                    return Err(CheckpointError::NoState { path, cause: cause.into() });
                }
                return Ok(None);
            }
            other => other?,
        };
        let lacking = |cause: String| CheckpointError::NoState { path: path.clone(), cause };
        let text =
            |key: &str| metadata.get(key).ok_or_else(|| lacking(format!("it has no `{key}`")));
        let number =
            |key: &str| text(key)?.parse::<f64>().map_err(|e| lacking(format!("`{key}`: {e}")));
        let mut checkpoint = Self {
            step: text("step")?.parse().map_err(|e| lacking(format!("`step`: {e}")))?,
            seconds: number("seconds")?,
            best_knn: if metadata.contains_key("best_knn") {
                Some(number("best_knn")?)
            } else {
                None
            },
            config: text("config")?.clone(),
            weights: State::new(),
            moments: State::new(),
        };
        for (name, values) in content {
            match name.split_once('.') {
                Some(("weights", name)) => checkpoint.weights.insert(name.to_owned(), values),
                Some(("moments", name)) => checkpoint.moments.insert(name.to_owned(), values),
                _ => return Err(lacking(format!("unknown tensor {name}"))),
            };
        }
        Ok(Some(checkpoint))
    }
}

/// Writes weights for use, together with the step after which they were saved.
pub(crate) fn save_weights(
    run: &Path,
    which: Which,
    weights: &State,
    step: u64,
) -> Result<(), FileError> {
    state::write_file(
        &which.path(run),
        weights,
        &BTreeMap::from([("step".to_owned(), step.to_string())]),
    )
}

/// Reads an encoder and the step after which it was saved. The encoder consists of the tensors
/// under `backbone.`, named without that prefix.
///
/// # Errors
/// If the file is missing or damaged.
pub fn load_backbone(path: &Path) -> Result<(State, u64), FileError> {
    let (weights, metadata) = state::read_file(path)?;
    let backbone = weights
        .into_iter()
        .filter_map(|(name, values)| Some((name.strip_prefix("backbone.")?.to_owned(), values)));
    Ok((backbone.collect(), metadata.get("step").and_then(|step| step.parse().ok()).unwrap_or(0)))
}

/// Returns the path of the file of initial weights in the folder `run`.
pub fn init_path(run: &Path) -> PathBuf {
    run.join("checkpoints").join("init.safetensors")
}

/// Stores the initial weights of a run's encoder, and returns the digest of these weights.
///
/// # Errors
/// If the file cannot be written.
pub fn save_init(run: &Path, encoder: State) -> Result<String, FileError> {
    let named =
        encoder.into_iter().map(|(name, values)| (format!("backbone.{name}"), values)).collect();
    state::write_file(&init_path(run), &named, &BTreeMap::new())?;
    Ok(state::digest(&named, &BTreeMap::new()))
}

/// Returns the weights from which a run starts. `weights` are random weights of an encoder or of
/// networks. If the configuration has a digest `init`, the weights that [`save_init`] stored
/// replace the weights of the encoder and of its slow copy.
///
/// # Errors
/// If the file is missing, is damaged, or has another digest.
pub fn initial(
    mut weights: State,
    run: &Path,
    init: Option<&str>,
) -> Result<State, CheckpointError> {
    let Some(init) = init else { return Ok(weights) };
    let path = init_path(run);
    let (given, _) = state::read_file(&path)?;
    if state::digest(&given, &BTreeMap::new()) != init {
        return Err(CheckpointError::OtherInit { path });
    }
    for (name, values) in &mut weights {
        // This matches `momentum.backbone.` too. The tensors of an encoder alone have no prefix.
        let tensor = name
            .find("backbone.")
            .map_or(name.as_str(), |start| &name[start + "backbone.".len()..]);
        if let Some(given) = given.get(&format!("backbone.{tensor}")) {
            *values = given.clone();
        }
    }
    Ok(weights)
}
