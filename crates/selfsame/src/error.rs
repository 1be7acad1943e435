//! Errors of the verbs.

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

/// An error of a verb: the cause, in words that name the affected thing and its value.
///
/// The words speak of files and of fields of the options, never of flags. The command line adds
/// advice on how to fix the error, in its own words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option makes no sense, alone or together with the others.
    #[error("{name} {value}: {cause}")]
    Option {
        /// The field of the options struct.
        name: &'static str,
        /// The value of the field, as it was given.
        value: String,
        /// What is wrong with the value.
        cause: String,
    },
    /// The verb stopped because [`Progress::stop`](crate::Progress::stop) asked it to, which also
    /// says how to continue.
    #[error("stopped")]
    Stopped,
    /// A grid is invalid, or cannot be run as requested.
    #[error("{name}: {cause}")]
    Grid {
        /// The grid's name, or its file.
        name: String,
        /// What is wrong with the grid.
        cause: GridError,
    },
    /// The folder holds the runs of another grid.
    #[error("{} holds the runs of a grid with other settings", path.display())]
    OtherGrid {
        /// The folder.
        path: PathBuf,
    },
    /// A program does not start.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why the program does not start.
        source: std::io::Error,
    },
    /// The program that a bench compares with returns no measurement.
    #[error("{}: {cause}", script.display())]
    Peer {
        /// The script of the program.
        script: PathBuf,
        /// Why there is no measurement.
        cause: String,
    },
    /// The script of the program that a bench compares with does not exist.
    #[error("{}: there is no such file", script.display())]
    NoPeer {
        /// The script.
        script: PathBuf,
    },
    /// The images of a run have no labels, but accuracies were requested.
    #[error("{}: its images have no labels, so there is nothing for a table", run.display())]
    Unlabelled {
        /// The folder of the run.
        run: PathBuf,
    },
    /// The folder is not a run.
    #[error("{} is not the folder of a run", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// The folder already holds a run.
    #[error("{} holds a run already", path.display())]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// The folder for results holds something else.
    #[error("{} holds {entry:?}, something else", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// The name of the entry.
        entry: String,
    },
    /// The folder for a certificate holds something else, whose page would be lost.
    #[error("{} holds {by}, and a certificate needs a folder of its own", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// What the folder holds.
        by: &'static str,
    },
    /// A path that should be a folder is a file, or a path inside a file.
    #[error("{}: {} is a file", path.display(), file.display())]
    NotAFolder {
        /// The folder.
        path: PathBuf,
        /// The file: the path itself, or one of its parents.
        file: PathBuf,
    },
    /// The outputs collapsed, and training was asked to stop in that case.
    #[error("{}{sentence}", if *before { "this run collapsed before: " } else { "" })]
    Collapsed {
        /// The folder of the run.
        path: PathBuf,
        /// When the outputs collapsed, and what usually fixes it.
        sentence: String,
        /// Whether an earlier part of the run collapsed, so that no step was taken now.
        before: bool,
    },
    /// The images of a run are no longer the images that the run began with.
    #[error("the images of {source_name} are not those that this run began with: {difference}")]
    ImagesChanged {
        /// Where the images come from, as in the run's configuration.
        source_name: String,
        /// What is different about them.
        difference: String,
    },
    /// The images of a run are not where they were when it began.
    #[error("the images of {} or their labels are no longer at {}", run.display(), path.display())]
    ImagesMissing {
        /// The folder of the run.
        run: PathBuf,
        /// Where the images were.
        path: PathBuf,
    },
    /// The run does not have these weights yet.
    #[error("{} does not exist", path.display())]
    NoWeights {
        /// The file that would hold the weights.
        path: PathBuf,
    },
    /// The folder holds another forecast than the requested one.
    #[error("{} holds another forecast: {}", path.display(), listed(differences))]
    OtherForecast {
        /// The folder.
        path: PathBuf,
        /// Differences between the two forecasts.
        differences: Vec<ForecastDifference>,
    },
    /// The images have no labels, but the verb needs classes.
    #[error("{name} has no labels, and classes are needed")]
    NoClasses {
        /// The data set.
        name: String,
    },
    /// The verb has nothing to measure in these images.
    #[error("{name}: {cause}")]
    Images {
        /// The data set.
        name: String,
        /// Why there is nothing to measure.
        cause: String,
    },
    /// All views together need more memory than the limit.
    #[error(
        "{images} images of {views} views of {image_size} pixels are {} GB, and at most {} GB are \
         measured",
        bytes >> 30,
        limit >> 30
    )]
    TooManyViews {
        /// Number of images.
        images: usize,
        /// Number of views per image.
        views: usize,
        /// Side of a view in pixels.
        image_size: u32,
        /// Number of bytes that the views need.
        bytes: u128,
        /// Maximum number of bytes for the views of a set of images.
        limit: u128,
    },
    /// More views were requested than a page shows.
    #[error("{views} views are more than one page shows, {most}")]
    CrowdedPage {
        /// Number of requested views.
        views: usize,
        /// Maximum number of views on a page.
        most: usize,
    },
    /// Another process works in the folder, or this one has a [`Run`](crate::Run) of it open.
    #[error("{} is in use by this or another selfsame process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// No image has this name, nor a name with this part.
    #[error("no image is named {name:?}{}", or_close(close))]
    NoImage {
        /// The name.
        name: String,
        /// A few names that are like it.
        close: Vec<String>,
    },
    /// Several images have this name, or names with this part.
    #[error("{name:?} is in the names of {count} images, such as {}", some.join(", "))]
    SeveralImages {
        /// The name.
        name: String,
        /// Number of images.
        count: usize,
        /// A few of their names.
        some: Vec<String>,
    },
    /// A result exists already and may not be overwritten.
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
        /// What is wrong with the file.
        cause: String,
    },
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why the file or folder could not be read or written.
        source: std::io::Error,
    },
    /// The images could not be loaded.
    #[error("{name}: {source}")]
    Data {
        /// The data set, as it was requested.
        name: String,
        /// Why the images could not be loaded.
        source: DataError,
    },
    /// The weights in a file do not fit the network.
    #[error("{}: does not fit the encoder: {mismatch}", path.display())]
    WrongWeights {
        /// The file.
        path: PathBuf,
        /// Every tensor that differs.
        mismatch: Mismatch,
    },
    /// A weight is infinite or not a number, as after training that diverged.
    #[error("{}: {name} holds {value}", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// The value.
        value: f32,
    },
    /// The weights to start from cannot be used.
    #[error(transparent)]
    Init(#[from] InitError),
    /// An encoder to be measured beside another one cannot be read.
    #[error(transparent)]
    Against(InitError),
    /// The folders cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// A setting makes no sense.
    #[error(transparent)]
    Setting(#[from] ConfigError),
    /// The device is unknown, or not supported by this build.
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
    /// Training could not continue.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A measure could not be taken.
    #[error(transparent)]
    Measure(#[from] selfsame_eval::Error),
    /// Some views have no distances.
    #[error(transparent)]
    Views(#[from] ViewsError),
    /// A file of distances could not be used.
    #[error(transparent)]
    Distances(#[from] StateError),
    /// Some labels do not fit the distances.
    #[error(transparent)]
    Separation(#[from] SeparationError),
    /// A view could not be drawn.
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
    /// Some embeddings repeat the embeddings of an earlier image, value for value.
    #[error(
        "{}, value for value: {}",
        words::repeats(repeats.len(), *images),
        some_repeats(repeats, *views)
    )]
    Repeats {
        /// Number of all images.
        images: usize,
        /// Number of views per image.
        views: usize,
        /// The images that repeat another, each with the first image that it repeats.
        repeats: Vec<(usize, usize)>,
    },
    /// There are more classes than a certificate compares.
    #[error(
        "{classes} classes: at most {most} can be certified, for the centres of every two are \
         compared"
    )]
    TooManyClasses {
        /// Number of classes of the measured images.
        classes: usize,
        /// Maximum number of classes that are compared.
        most: usize,
    },
}

impl Error {
    /// Returns whether the request is at fault, rather than the machine, a file or the work itself.
    pub fn is_misuse(&self) -> bool {
        match self {
            Self::Option { .. }
            | Self::Grid { .. }
            | Self::OtherGrid { .. }
            | Self::NoPeer { .. }
            | Self::NotARun { .. }
            | Self::RunExists { .. }
            | Self::NotOurs { .. }
            | Self::Taken { .. }
            | Self::NotAFolder { .. }
            | Self::ImagesChanged { .. }
            | Self::ImagesMissing { .. }
            | Self::NoWeights { .. }
            | Self::InUse { .. }
            | Self::NoImage { .. }
            | Self::SeveralImages { .. }
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
            Self::Init(error) | Self::Against(error) => error.is_misuse(),
            _ => false,
        }
    }

    /// Builds the error for an option that makes no sense.
    pub fn option(name: &'static str, value: impl ToString, cause: impl ToString) -> Self {
        Self::Option { name, value: value.to_string(), cause: cause.to_string() }
    }

    /// Returns a converter for `map_err` after reading or writing `path`.
    pub fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

fn or_close(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; like it are {}", names.join(", ")) }
}

fn listed(differences: &[ForecastDifference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Lists the first few repeats, and how many more there are.
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
