//! Explains errors of the library in terms of the command line: what was typed, and how to fix it.

use std::path::Path;

use selfsame::ForecastDifference as Difference;
use selfsame::data::{DataError, REMOTE_SETS};
use selfsame::grid::GridError;
use selfsame::init::InitError;
use selfsame::nn::EncoderConfig;
use selfsame::train::checkpoint::Which;
use selfsame::train::{CheckpointError, Remaining, TrainError};
use selfsame::{CompareError, Error, Run};

use crate::words::quoted;

/// Describes an error, with options as they are typed.
pub fn say(error: &Error) -> String {
    match error {
        Error::Option { name, value, cause } => format!("{} {value}: {cause}", flag(name)),
        Error::OtherForecast { path, differences } => {
            let clauses: Vec<String> = differences.iter().map(difference).collect();
            format!("{} holds another forecast: {}", path.display(), clauses.join("; "))
        }
        Error::Init(error) => format!("--init {error}"),
        Error::Against(error) => format!("--against {error}"),
        Error::Peer { .. } | Error::NoPeer { .. } => format!("--against-torch {error}"),
        error => error.to_string(),
    }
}

/// Returns the flag for a field of the options.
fn flag(field: &str) -> String {
    format!("--{}", field.replace('_', "-"))
}

fn difference(difference: &Difference) -> String {
    match difference {
        Difference::Option { name: "selfsame", .. } | Difference::Content(_) => {
            difference.to_string()
        }
        // The flag means the opposite of the field.
        Difference::Option { name: "original", was, is } => {
            format!("--no-original was {is}, is {was}")
        }
        Difference::Option { name, was, is } => format!("{} was {was}, is {is}", flag(name)),
    }
}

/// Returns advice on how to fix an error, with the necessary flags. Returns `None` if the error
/// already says everything.
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
        Error::OtherGrid { .. }
        | Error::NotOurs { .. }
        | Error::Taken { .. }
        | Error::NotAFolder { .. } => Some("name another folder with --out".to_owned()),
        Error::Grid { cause, .. } => grid(cause),
        Error::Option { name: "split", .. } => Some("choose another".to_owned()),
        Error::NoImage { .. } => Some("the run's clusters.csv lists all names".to_owned()),
        Error::SeveralImages { .. } => Some("give more of the name".to_owned()),
        Error::Repeats { .. } => {
            Some("leave them out, or take them as they are with --allow-repeats".to_owned())
        }
        Error::TooManyClasses { .. } => Some("take the images of some of them".to_owned()),
        Error::ImagesMissing { run, .. } => Some(format!(
            "if they have been moved, `selfsame study --resume {} --data PLACE` reads them from \
             there",
            quoted(run)
        )),
        Error::ImagesChanged { .. } => Some("put them back, or start a new run".to_owned()),
        Error::NoWeights { path } => Some(weights(path)),
        Error::Damaged { path, .. } => damaged(path),
        Error::Exists { .. } => Some("choose another name, or --overwrite".to_owned()),
        Error::Collapsed { before: true, .. } => Some(
            "stopped by --on-collapse: start another run, or resume this one without --on-collapse \
             stop"
                .to_owned(),
        ),
        Error::Collapsed { path, .. } => Some(format!(
            "stopped by --on-collapse: start a new run with that change, or continue anyway with \
             --resume {}",
            quoted(path)
        )),
        Error::Init(error) => init(error),
        Error::NotFinite { path, .. } => Some(diverged(path)),
        Error::NoPeer { .. } => Some("bench/simclr.py is one to begin with".to_owned()),
        Error::OtherForecast { .. } => {
            Some("start again with --overwrite, or name another folder with --out".to_owned())
        }
        Error::NoClasses { .. } => Some(
            "put the images into class folders, or let clusters stand in for classes: --encoder \
             RUN --clusters K"
                .to_owned(),
        ),
        Error::CrowdedPage { .. } => Some("lower --images or --views".to_owned()),
        Error::TooManyViews { .. } => Some("lower --per-class, --views or --image-size".to_owned()),
        Error::Compare(error) => compare(error).map(str::to_owned),
        Error::Data { source: DataError::NotFound { path }, .. } => fetched(path),
        Error::Data { source: DataError::NothingToTrain { .. }, .. } => {
            Some("check --limit and --classes".to_owned())
        }
        Error::Data { source: DataError::TooLarge { .. }, .. } => {
            Some("lower --source-size or --image-size, or take fewer images".to_owned())
        }
        Error::Data { source: DataError::NoRoom { .. }, .. } => Some(
            "lower --source-size or --image-size, take fewer images with --limit, or name a folder \
             on another disk with --out"
                .to_owned(),
        ),
        Error::Train(error) => training(error).map(str::to_owned),
        Error::Checkpoint(error) => checkpoint(error).map(str::to_owned),
        _ => None,
    }
}

/// Returns advice for images that are not there, if they are of a set that can be downloaded.
fn fetched(path: &Path) -> Option<String> {
    let set =
        REMOTE_SETS.iter().find(|set| path.file_name().is_some_and(|name| name == set.name))?;
    Some(format!("`selfsame fetch {} --to {}` downloads them", set.name, quoted(path)))
}

/// Returns advice for a grid that cannot be run.
fn grid(cause: &GridError) -> Option<String> {
    match cause {
        GridError::DataOption => Some("name them with --data".to_owned()),
        GridError::Cell { .. } => {
            Some("`selfsame study --help` lists the options of a run".to_owned())
        }
        GridError::Forecast { .. } => {
            Some("`selfsame forecast --help` lists its options".to_owned())
        }
        GridError::NoScales { .. } => Some("leave out --scale".to_owned()),
        _ => None,
    }
}

/// Returns advice for training that cannot start or continue.
fn training(error: &TrainError) -> Option<&'static str> {
    match error {
        TrainError::TooFewImages { .. } => Some("check --data, --limit and --classes"),
        TrainError::NotFinite { remaining: Remaining::Saved { .. }, .. } => Some(
            "go on from it with --resume, or try a lower --lr, a longer --warmup-epochs or \
             --clip-norm 1",
        ),
        TrainError::NotFinite { .. } => {
            Some("try a lower --lr, a longer --warmup-epochs or --clip-norm 1")
        }
        TrainError::OtherConfig { .. } => Some("train again with --overwrite"),
        TrainError::Checkpoint { source, remaining } => checkpoint(source).or(match remaining {
            Remaining::Saved { .. } => Some("go on from it with --resume"),
            Remaining::NotYet => None,
            Remaining::Unreadable => {
                Some("put the file back, or start the run again with --overwrite")
            }
        }),
        _ => None,
    }
}

/// Returns advice for a checkpoint that cannot be used.
fn checkpoint(error: &CheckpointError) -> Option<&'static str> {
    match error {
        CheckpointError::File(_) => None,
        CheckpointError::NoState { .. } => {
            Some("put it back, measure the weights with `selfsame eval`, or train with --overwrite")
        }
        CheckpointError::OtherInit { .. } => Some("put them back, or start a new run"),
    }
}

/// Returns advice on how to get the weights that a run lacks.
fn weights(path: &Path) -> String {
    match path.ancestors().nth(2) {
        Some(run) if Which::Last.path(run) == path => {
            format!("train it with `selfsame pretrain --resume {}`", quoted(run))
        }
        _ => "use --checkpoint last".to_owned(),
    }
}

/// Returns advice for weights of training that diverged.
fn diverged(path: &Path) -> String {
    let again = "train again with a lower --lr, a longer --warmup-epochs or --clip-norm 1";
    match path.ancestors().nth(2) {
        Some(run) if Which::Last.path(run) == path && Which::Best.path(run).exists() => {
            format!("take the weights before it with --checkpoint best, or {again}")
        }
        _ => again.to_owned(),
    }
}

/// Returns advice for a damaged file of a run.
fn damaged(path: &Path) -> Option<String> {
    match path.file_name()?.to_str()? {
        Run::CONFIG_FILE => Some("mend it, or start a new run".to_owned()),
        "run.json" => Some("start a new run".to_owned()),
        _ => None,
    }
}

/// Returns advice for weights that training cannot start from.
fn init(error: &InitError) -> Option<String> {
    match error {
        InitError::Folder { weights, .. } => {
            weights.as_ref().map(|file| format!("name {}", file.display()))
        }
        InitError::Onnx { .. } => {
            Some("take the .safetensors or .pth that it was made of".to_owned())
        }
        InitError::OtherNetwork { .. } => {
            Some("start from them all the same with --init-partial".to_owned())
        }
        InitError::Unfit { encoder, held, .. } => {
            let way = match held {
                Some(held) if encoder_flags(held) != encoder_flags(encoder) => {
                    format!("it fits {}", encoder_flags(held))
                }
                _ => "name another file".to_owned(),
            };
            Some(format!("{way}, or take what matches with --init-partial"))
        }
        _ => None,
    }
}

/// Returns advice on which folders to compare instead.
fn compare(error: &CompareError) -> Option<&'static str> {
    match error {
        CompareError::Missing { .. } => Some("name the folder of a run, or of a certificate"),
        CompareError::Same { .. } => Some("name each run once"),
        CompareError::TooFew { .. } => {
            Some("name folders that `selfsame study`, `pretrain` or `certify` wrote")
        }
        _ => None,
    }
}

/// Returns the flags that select an encoder.
pub fn encoder_flags(encoder: &EncoderConfig) -> String {
    let (name, width) = (encoder.name(), encoder.width());
    match encoder {
        EncoderConfig::ResNet(config) => {
            format!("--encoder {name} --stem {} --width {width}", config.stem.name())
        }
        EncoderConfig::Mlp(config) => {
            format!("--encoder {name} --width {width} --image-size {}", config.image_size)
        }
    }
}
