//! Runs in this process, if the caller names no program.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::process::{Stage, open_log};
use crate::{Error, Progress};

/// Does `work`, writes its notes to the file `log` and reports them to `progress`. Returns whether
/// the work succeeded, as [`follow`](super::process::follow) does for a process.
///
/// # Errors
/// If the log cannot be written; also [`Error::Stopped`].
pub(super) fn follow(
    work: impl FnOnce(&mut dyn Progress) -> Result<(), Error>,
    log: &Path,
    stage: Stage,
    progress: &mut dyn Progress,
) -> Result<bool, Error> {
    let file = open_log(log)?;
    let mut logged = Logged { log: file, stage, progress };
    match work(&mut logged) {
        Ok(()) => Ok(true),
        Err(Error::Stopped) => Err(Error::Stopped),
        Err(error) => {
            writeln!(logged.log, "error: {error}").map_err(Error::file(log))?;
            Ok(false)
        }
    }
}

/// Writes the notes of a run to its log, and shows them with the number of complete runs.
struct Logged<'a> {
    log: File,
    stage: Stage,
    progress: &'a mut dyn Progress,
}

impl Progress for Logged<'_> {
    fn note(&mut self, note: &str) {
        // Losing a note is no reason to lose the run.
        let _ = writeln!(self.log, "{note}");
        self.progress.advance("runs", self.stage.done, self.stage.total, note);
    }

    fn advance(&mut self, unit: &str, done: u64, total: u64, detail: &str) {
        let detail = format!("{done}/{total} {unit}  {detail}");
        self.progress.advance("runs", self.stage.done, self.stage.total, &detail);
    }

    fn stop(&self) -> bool {
        self.progress.stop()
    }
}
