use std::io;
use std::path::{Path, PathBuf};

/// Description of the data sets that can be loaded, for messages.
pub(crate) const UNDERSTOOD: &str = "`glyphs`, a folder of class folders, a flat folder of \
                                     images, a .tar or .tar.gz of \
    either (JPEG, PNG, WebP, BMP, GIF, TIFF, PNM), or a folder with the binary files of CIFAR-10, \
    CIFAR-100 or MNIST (IDX)";

/// Reason why a data set could not be loaded. Each error names the file or value and how to correct
/// it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// There is no file or folder at the path.
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
        /// Description of what was found instead.
        cause: String,
    },
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file does not follow its format (CIFAR binary, IDX).
    #[error("{path}: {cause}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The defect, and how to correct it.
        cause: String,
    },
    /// The folders of an image tree contradict each other.
    #[error("the folders of {path} do not fit together: {cause}")]
    Layout {
        /// The folder or archive.
        path: PathBuf,
        /// The contradiction, and how to correct it.
        cause: String,
    },
    /// `strict` was requested and this image or entry could not be used.
    #[error("{name}: {cause} (without strict it would be left out and counted)")]
    Damaged {
        /// Name of the image or entry.
        name: String,
        /// Reason why it cannot be used.
        cause: String,
    },
    /// No image of the set could be used.
    #[error("none of the {count} images of {set} can be used; the first, {name}: {cause}")]
    AllDamaged {
        /// The data set.
        set: String,
        /// Number of images that were tried.
        count: usize,
        /// Name of the first image.
        name: String,
        /// Reason why the first image cannot be used.
        cause: String,
    },
    /// The set does not have a requested class.
    #[error("the set has no class {name:?}; it has {}", known.join(", "))]
    UnknownClass {
        /// The class requested.
        name: String,
        /// The classes of the set, in its order.
        known: Vec<String>,
    },
    /// Classes were requested, but the set has no labels.
    #[error(
        "classes were chosen, but the images of {set} have no labels; leave the choice out or use \
         class folders"
    )]
    NoLabels {
        /// The data set.
        set: String,
    },
    /// A table of labels was given for a set that has labels of its own.
    #[error("{set} has labels of its own; a table of labels is for folders and archives")]
    OwnLabels {
        /// The data set.
        set: String,
    },
    /// After splitting, no images are left to train on.
    #[error("no image of {set} is left to train on: {cause}")]
    NothingToTrain {
        /// The data set.
        set: String,
        /// The reason why none are left, and how to correct it.
        cause: String,
    },
    /// The image size is outside the supported range.
    #[error("image size {size} is not between 1 and {max}")]
    ImageSize {
        /// The size requested, in pixels per side.
        size: u32,
        /// The largest supported size.
        max: u32,
    },
    /// The source size is outside the supported range.
    #[error("source size {size} is not between the image size, {image_size}, and {max}")]
    SourceSize {
        /// The size requested, in pixels of the shorter side.
        size: u32,
        /// Side of the images in pixels.
        image_size: u32,
        /// The largest supported size.
        max: u32,
    },
    /// The parts of a set of images in memory contradict each other.
    #[error("images in memory: {cause}")]
    InMemory {
        /// The contradiction.
        cause: String,
    },
    /// The decoded images do not fit into memory.
    #[error(
        "{count} decoded images need {} of memory, and {} are free",
        gigabytes(*bytes),
        gigabytes(*free)
    )]
    TooLarge {
        /// Number of images to decode.
        count: usize,
        /// Size of all decoded images in bytes.
        bytes: u64,
        /// Number of bytes that the memory can give.
        free: u64,
    },
    /// The decoded images do not fit on the disk of the cache.
    #[error(
        "{count} decoded images need {} on the disk of {folder}, and {} are free there",
        gigabytes(*bytes),
        gigabytes(*free)
    )]
    NoRoom {
        /// The cache folder.
        folder: PathBuf,
        /// Number of images to decode.
        count: usize,
        /// Size of all decoded images in bytes.
        bytes: u64,
        /// Number of bytes that are free on the disk.
        free: u64,
    },
    /// The cache of decoded images could not be written or mapped.
    #[error(
        "cannot keep the decoded images in {path}: {source}; choose another cache folder or make \
         room"
    )]
    Cache {
        /// The cache file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Writes a number of bytes for people.
fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

impl DataError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.to_owned(), source }
    }

    pub(crate) fn format(path: &Path, cause: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), cause: cause.into() }
    }
}
