//! What keeps a verb from being done.

use std::path::{Path, PathBuf};

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
    /// The folder holds no run.
    #[error("{} is not the folder of a run", path.display())]
    NotARun {
        /// The folder.
        path: PathBuf,
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
}

impl Error {
    /// Whether what was asked for is at fault, rather than the machine, a file or the work itself.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self,
            Self::Option { .. } | Self::NotARun { .. } | Self::InUse { .. } | Self::Exists { .. }
        )
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
