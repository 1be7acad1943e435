use std::io;
use std::path::{Path, PathBuf};

/// The data sets that can be loaded, for messages.
pub(crate) const UNDERSTOOD: &str = "`glyphs`, a folder of class folders, a flat folder of \
                                     images, a .tar of either \
    (JPEG, PNG, WebP), or a folder with the binary files of CIFAR-10, CIFAR-100 or MNIST (IDX)";

/// Why a data set could not be loaded. Each names the file or value and how to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Nothing lies at the path.
    #[error("there is no file or folder {path}; a data set is {UNDERSTOOD}")]
    NotFound {
        /// The path as given.
        path: PathBuf,
    },
    /// The path exists, but is not a data set.
    #[error("{path} is not a data set: {cause}; a data set is {UNDERSTOOD}")]
    NotADataSet {
        /// The path as given.
        path: PathBuf,
        /// What was found instead.
        cause: String,
    },
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not follow its format (CIFAR binary, IDX).
    #[error("{path}: {cause}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and how to mend it.
        cause: String,
    },
    /// The folders of an image tree contradict each other.
    #[error("the folders of {path} do not fit together: {cause}")]
    Layout {
        /// The folder or archive.
        path: PathBuf,
        /// What does not fit, and how to mend it.
        cause: String,
    },
    /// `strict` was asked for and this image or entry had to be left out.
    #[error("{name}: {cause} (without strict it would be left out and counted)")]
    Damaged {
        /// The image's or entry's name.
        name: String,
        /// Why it cannot be used.
        cause: String,
    },
    /// Every image of the set had to be left out.
    #[error("none of the {count} images of {set} can be used; the first, {name}: {cause}")]
    AllDamaged {
        /// The data set.
        set: String,
        /// How many images were tried.
        count: usize,
        /// The first of them.
        name: String,
        /// Why it cannot be used.
        cause: String,
    },
    /// A class was asked for that the set does not have.
    #[error("the set has no class {name:?}; it has {}", known.join(", "))]
    UnknownClass {
        /// The class asked for.
        name: String,
        /// The classes of the set, in its order.
        known: Vec<String>,
    },
    /// Classes were asked for, but the set has no labels.
    #[error(
        "classes were chosen, but the images of {set} have no labels; leave the choice out or use \
         class folders"
    )]
    NoLabels {
        /// The data set.
        set: String,
    },
    /// After splitting, nothing is left to train on.
    #[error("no image of {set} is left to train on: {cause}")]
    NothingToTrain {
        /// The data set.
        set: String,
        /// What took them away, and how to mend it.
        cause: String,
    },
    /// An image size outside what is supported.
    #[error("image size {size} is not between 1 and {max}")]
    ImageSize {
        /// The size asked for, in pixels a side.
        size: u32,
        /// The largest accepted.
        max: u32,
    },
    /// Images in memory that do not fit together.
    #[error("images in memory: {cause}")]
    InMemory {
        /// What does not fit.
        cause: String,
    },
    /// The decoded images do not fit into memory.
    #[error(
        "{count} images of {size}x{size} need {bytes} bytes, more than the memory gives: \
        take fewer (limit), smaller ones (image size) or give a cache folder"
    )]
    TooLarge {
        /// Images to decode.
        count: usize,
        /// Pixels a side.
        size: u32,
        /// Bytes they take together.
        bytes: u64,
    },
    /// The cache of decoded images could not be written or mapped.
    #[error(
        "cannot keep the decoded images in {path}: {source}; choose another cache folder or make \
         room"
    )]
    Cache {
        /// The cache file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DataError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.to_owned(), source }
    }

    pub(crate) fn format(path: &Path, cause: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), cause: cause.into() }
    }
}
