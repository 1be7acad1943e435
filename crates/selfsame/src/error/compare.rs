use std::path::PathBuf;

use selfsame_report::certificate::CERTIFICATE_FILE;
use selfsame_report::record::RUN_FILE;

/// Reasons why folders cannot be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Fewer than two of the paths hold a run or a certificate.
    #[error("a comparison takes at least two runs{}", passed_over(passed))]
    TooFew {
        /// The paths that hold neither a run nor a certificate.
        passed: Vec<PathBuf>,
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
}

/// Says which paths hold nothing to compare.
fn passed_over(passed: &[PathBuf]) -> String {
    let names: Vec<String> = passed.iter().map(|path| path.display().to_string()).collect();
    match names.len() {
        0 => String::new(),
        _ => format!(
            "; without a run ({RUN_FILE}) or a certificate ({CERTIFICATE_FILE}): {}",
            names.join(", ")
        ),
    }
}
