//! Runs in separate processes.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Error, Progress};

/// Time that a run may take to save its state after it is asked to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// Number of complete runs and number of all runs.
#[derive(Clone, Copy)]
pub(super) struct Stage {
    pub done: u64,
    pub total: u64,
}

/// Opens the log of a run, to be added to. Another process may write to it at the same time, and
/// what an earlier attempt said stays.
pub(super) fn open_log(path: &Path) -> Result<File, Error> {
    File::options().create(true).append(true).open(path).map_err(Error::file(path))
}

/// Runs a command to its end, writes its output to the file `log` and reports it to `progress` line
/// by line. Returns whether the command succeeded.
///
/// # Errors
/// If the command does not start or the log cannot be written; also [`Error::Stopped`].
pub(super) fn follow(
    mut command: Command,
    log: &Path,
    stage: Stage,
    progress: &mut dyn Progress,
) -> Result<bool, Error> {
    let mut file = open_log(log)?;
    let program = Path::new(command.get_program()).to_owned();
    let start = |source| Error::Start { program: program.clone(), source };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let said = child.stderr.take().expect("it is piped");
    let mut stopped = None;
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        writeln!(file, "{line}").map_err(Error::file(log))?;
        progress.advance("runs", stage.done, stage.total, &line);
        // Ctrl-C reaches the child as well, but a signal to this process alone does not, so kill
        // the child after a while. Work that the child loses is computed again later.
        if progress.stop() && stopped.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            child.kill().map_err(Error::file(&program))?;
        }
    }
    let succeeded = child.wait().map_err(Error::file(&program))?.success();
    if progress.stop() { Err(Error::Stopped) } else { Ok(succeeded) }
}
