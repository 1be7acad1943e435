use std::path::PathBuf;

use selfsame_report::certificate::CERTIFICATE_FILE;
use selfsame_report::record::RUN_FILE;

/// Reasons why folders cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// There are fewer than two folders.
    #[error("a comparison takes at least two runs")]
    TooFew,
    /// A path is a file instead of a folder.
    #[error("{} is a file", path.display())]
    File {
        /// The file.
        path: PathBuf,
    },
    /// A path does not exist.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A folder is named twice, and would count as two runs that agree.
    #[error("{} and {} are the same folder", first.display(), second.display())]
    Same {
        /// The folder.
        first: PathBuf,
        /// The other name of the folder.
        second: PathBuf,
    },
    /// A folder has no records.
    #[error(
        "{} holds neither a run ({RUN_FILE}) nor a certificate ({CERTIFICATE_FILE})",
        path.display()
    )]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
}
