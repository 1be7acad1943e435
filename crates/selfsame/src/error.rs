//! What keeps a verb from being done.

mod compare;
mod forecast;
mod grid;

use std::path::{Path, PathBuf};

use selfsame_augment::ViewError;
use selfsame_concentration::distance::{StateError, ViewsError};
use selfsame_concentration::separation::SeparationError;
use selfsame_data::DataError;
use selfsame_methods::ConfigError;
use selfsame_nn::device::DeviceError;
use selfsame_nn::state::{FileError, Mismatch};
use selfsame_report::certificate::words;
use selfsame_report::{ReportError, SpriteError};
use selfsame_train::{CheckpointError, TrainError};

pub use self::compare::CompareError;
pub use self::forecast::ForecastDifference;
pub use self::grid::GridError;
use crate::init::InitError;

/// What kept a verb from being done: the cause, in words that name the thing and its value.
///
/// The words speak of files and of fields of the options, never of flags: the command line adds how
/// to mend it in its own words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option that makes no sense, or not with the others.
    #[error("{name} {value}: {cause}")]
    Option {
        /// The field of the options struct.
        name: &'static str,
        /// Its value, as it was given.
        value: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The verb stopped because [`Progress::stop`](crate::Progress::stop) asked it to; the same
    /// call goes on.
    #[error("stopped")]
    Stopped,
    /// A grid that is none, or not one that can be run as asked.
    #[error("{name}: {cause}")]
    Grid {
        /// The grid's name, or its file.
        name: String,
        /// What is wrong with it.
        cause: GridError,
    },
    /// The folder holds the runs of another grid.
    #[error("{} holds the runs of a grid with other settings", path.display())]
    OtherGrid {
        /// The folder.
        path: PathBuf,
    },
    /// The folder of a grid holds something that no grid wrote.
    #[error("{} holds {entry:?}, something else", path.display())]
    NoGrid {
        /// The folder.
        path: PathBuf,
        /// The name of the entry.
        entry: String,
    },
    /// A program does not start.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program that a bench compares with does not measure.
    #[error("{}: {cause}", script.display())]
    Peer {
        /// Its script.
        script: PathBuf,
        /// Why.
        cause: String,
    },
    /// The script of that program is not there.
    #[error("{}: there is no such file", script.display())]
    NoPeer {
        /// The script.
        script: PathBuf,
    },
    /// The images of a run have no labels, and accuracies are asked for.
    #[error("{}: its images have no labels, so there is nothing for a table", run.display())]
    Unlabelled {
        /// The folder of the run.
        run: PathBuf,
    },
    /// The folder holds no run.
    #[error("{} is not the folder of a run", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds a run already.
    #[error("{} holds a run already", path.display())]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// The folder for results holds something that selfsame did not write.
    #[error("{} holds {entry:?}, which selfsame did not write", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// The name of the entry.
        entry: String,
    },
    /// A folder was asked for where a file lies.
    #[error("{}: {} is a file", path.display(), file.display())]
    NotAFolder {
        /// The folder.
        path: PathBuf,
        /// The file: the folder itself, or one above it.
        file: PathBuf,
    },
    /// The outputs collapsed, and training was to stop there.
    #[error("{}{sentence}", if *before { "this run collapsed before: " } else { "" })]
    Collapsed {
        /// The folder of the run.
        path: PathBuf,
        /// When, and what usually mends it.
        sentence: String,
        /// Whether an earlier part of the run collapsed, so that no step was taken now.
        before: bool,
    },
    /// The images of a run are no longer those it began with.
    #[error("the images of {source_name} have changed since this run began")]
    ImagesChanged {
        /// Where the images come from, as in the run's configuration.
        source_name: String,
    },
    /// The run has no such weights yet.
    #[error("{} does not exist", path.display())]
    NoWeights {
        /// The file that would hold them.
        path: PathBuf,
    },
    /// The folder holds another forecast than the one that was asked for.
    #[error("{} holds another forecast: {}", path.display(), listed(differences))]
    OtherForecast {
        /// The folder.
        path: PathBuf,
        /// How they differ.
        differences: Vec<ForecastDifference>,
    },
    /// The images have no labels, and the verb needs classes.
    #[error("{name} has no labels, and classes are needed")]
    NoClasses {
        /// The data set.
        name: String,
    },
    /// The images are such that the verb has nothing to measure.
    #[error("{name}: {cause}")]
    Images {
        /// The data set.
        name: String,
        /// Why.
        cause: String,
    },
    /// All views together need more memory than they may take.
    #[error(
        "{images} images of {views} views of {image_size} pixels are {} GB, and at most {} GB are \
         measured",
        bytes >> 30,
        limit >> 30
    )]
    TooManyViews {
        /// Images.
        images: usize,
        /// Views of each.
        views: usize,
        /// Side of a view in pixels.
        image_size: u32,
        /// Bytes that the views need.
        bytes: u128,
        /// Bytes that the views of a set of images may need.
        limit: u128,
    },
    /// A page shows only so many views.
    #[error("{views} views are more than one page shows, {most}")]
    CrowdedPage {
        /// Views asked for.
        views: usize,
        /// Views that a page shows.
        most: usize,
    },
    /// Another process works in the folder.
    #[error("{} is in use by another selfsame process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// There is a result already, and nothing is overwritten unless that is asked for.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{}: {cause}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The images could not be loaded.
    #[error("{name}: {source}")]
    Data {
        /// The data set, as it was asked for.
        name: String,
        /// Why.
        source: DataError,
    },
    /// The weights in a file are not those of the network.
    #[error("{}: does not fit the encoder: {mismatch}", path.display())]
    WrongWeights {
        /// The file.
        path: PathBuf,
        /// Every tensor that differs.
        mismatch: Mismatch,
    },
    /// The weights to start from cannot be taken.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The folders cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// A setting that makes no sense.
    #[error(transparent)]
    Setting(#[from] ConfigError),
    /// The device is unknown, or not in this build.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A file of weights could not be read or written.
    #[error(transparent)]
    Weights(#[from] FileError),
    /// A checkpoint could not be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A record could not be read or written.
    #[error(transparent)]
    Record(#[from] ReportError),
    /// Training could not go on.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A measure could not be taken.
    #[error(transparent)]
    Measure(#[from] selfsame_eval::Error),
    /// Views that have no distances.
    #[error(transparent)]
    Views(#[from] ViewsError),
    /// A file of distances could not be used.
    #[error(transparent)]
    Distances(#[from] StateError),
    /// Labels that are not those of the distances.
    #[error(transparent)]
    Separation(#[from] SeparationError),
    /// A view could not be made.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A picture for a page could not be made.
    #[error(transparent)]
    Picture(#[from] SpriteError),
    /// The theory cannot be applied.
    #[error(transparent)]
    Theory(#[from] selfsame_theory::Error),
    /// The encoder's output for an image cannot be measured.
    #[error("the encoder's output for a view of {image} cannot be measured: {source}")]
    Output {
        /// The image's name in its data set.
        image: String,
        /// What is wrong with the output.
        source: selfsame_theory::Error,
    },
    /// Embeddings that repeat those of an earlier image, value for value.
    #[error(
        "{}, value for value: {}",
        words::repeats(repeats.len(), *images),
        some_repeats(repeats, *views)
    )]
    Repeats {
        /// Images in all.
        images: usize,
        /// Views of each.
        views: usize,
        /// The images that repeat another, each with the first that it repeats.
        repeats: Vec<(usize, usize)>,
    },
    /// More classes than a certificate compares.
    #[error(
        "{classes} classes: at most {most} can be certified, for the centres of every two are \
         compared"
    )]
    TooManyClasses {
        /// Classes of the images measured.
        classes: usize,
        /// The most that are compared.
        most: usize,
    },
}

impl Error {
    /// Whether what was asked for is at fault, rather than the machine, a file or the work itself.
    pub fn is_misuse(&self) -> bool {
        match self {
            Self::Option { .. }
            | Self::Grid { .. }
            | Self::OtherGrid { .. }
            | Self::NoGrid { .. }
            | Self::NoPeer { .. }
            | Self::NotARun { .. }
            | Self::RunExists { .. }
            | Self::NotOurs { .. }
            | Self::NotAFolder { .. }
            | Self::ImagesChanged { .. }
            | Self::NoWeights { .. }
            | Self::InUse { .. }
            | Self::OtherForecast { .. }
            | Self::NoClasses { .. }
            | Self::Images { .. }
            | Self::TooManyViews { .. }
            | Self::CrowdedPage { .. }
            | Self::Exists { .. }
            | Self::TooManyClasses { .. }
            | Self::Compare(_)
            | Self::Setting(_)
            | Self::Device(_)
            | Self::Train(TrainError::TooFewImages { .. }) => true,
            Self::Data { source, .. } => !matches!(
                source,
                DataError::Read { .. }
                    | DataError::Damaged { .. }
                    | DataError::AllDamaged { .. }
                    | DataError::TooLarge { .. }
                    | DataError::Format { .. }
                    | DataError::Cache { .. }
            ),
            Self::Init(error) => error.is_misuse(),
            _ => false,
        }
    }

    /// An option that makes no sense.
    pub fn option(name: &'static str, value: impl ToString, cause: impl ToString) -> Self {
        Self::Option { name, value: value.to_string(), cause: cause.to_string() }
    }

    /// For `map_err` of what reads or writes `path`.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

fn listed(differences: &[ForecastDifference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The first few repeats, and how many more there are.
fn some_repeats(repeats: &[(usize, usize)], views: usize) -> String {
    const NAMED: usize = 10;
    let named =
        repeats.iter().take(NAMED).map(|&(image, first)| words::repeat(image, first, views));
    let mut named: Vec<String> = named.collect();
    if repeats.len() > NAMED {
        named.push(format!("and {} more", repeats.len() - NAMED));
    }
    named.join(", ")
}
