//! What to do about an error of the library, in the words of the command line.

use std::path::Path;

use selfsame::data::DataError;
use selfsame::train::TrainError;
use selfsame::train::checkpoint::Which;
use selfsame::{Error, Run};

use crate::commands::quoted;

/// How to mend what the error tells of, with the flags that do; none where the error says all.
pub fn mend(error: &Error) -> Option<String> {
    match error {
        Error::NotARun { .. } => {
            Some("name one that `selfsame study` or `pretrain` made".to_owned())
        }
        Error::RunExists { path } => Some(format!(
            "go on with `--resume {}`, start again with --overwrite, or name another folder with \
             --out",
            quoted(path)
        )),
        Error::NotOurs { .. } => Some("name another folder with --out".to_owned()),
        Error::NotAFolder { .. } => Some("name another folder with --out".to_owned()),
        Error::ImagesChanged { .. } => Some("put them back, or start a new run".to_owned()),
        Error::NoWeights { path } => Some(weights(path)),
        Error::Damaged { path, .. } => damaged(path),
        Error::Data { source: DataError::NothingToTrain { .. }, .. } => {
            Some("check --limit and --classes".to_owned())
        }
        Error::Train(TrainError::TooFewImages { .. }) => {
            Some("check --data, --limit and --classes".to_owned())
        }
        _ => None,
    }
}

/// How to come by the weights that a run lacks.
fn weights(path: &Path) -> String {
    match path.ancestors().nth(2) {
        Some(run) if Which::Last.path(run) == path => {
            format!("train it with `selfsame pretrain --resume {}`", quoted(run))
        }
        _ => "use --checkpoint last".to_owned(),
    }
}

/// What to do about a damaged file of a run.
fn damaged(path: &Path) -> Option<String> {
    match path.file_name()?.to_str()? {
        Run::CONFIG_FILE => Some("mend it, or start a new run".to_owned()),
        "run.json" => Some("start a new run".to_owned()),
        _ => None,
    }
}
