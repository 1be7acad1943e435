//! Runs in processes of their own.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Error, Progress};

/// Time that a run may take to save its state after a stop is asked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs that are done, of all.
#[derive(Clone, Copy)]
pub(super) struct Stage {
    pub done: u64,
    pub total: u64,
}

/// Runs a command to its end, writes what it says to the file `log`, and tells `progress` line by
/// line; whether it succeeded.
///
/// # Errors
/// The command does not start, or the log cannot be written. [`Error::Stopped`].
pub(super) fn follow(
    mut command: Command,
    log: &Path,
    stage: Stage,
    progress: &mut dyn Progress,
) -> Result<bool, Error> {
    let mut file = File::create(log).map_err(Error::file(log))?;
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
        // Ctrl-C reaches the child as well, but a signal to this process alone does not. What the
        // child loses by it is computed again later.
        if progress.stop() && stopped.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            child.kill().map_err(Error::file(&program))?;
        }
    }
    let succeeded = child.wait().map_err(Error::file(&program))?.success();
    if progress.stop() { Err(Error::Stopped) } else { Ok(succeeded) }
}
