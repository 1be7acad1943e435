//! Output for the user while something runs.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use selfsame::Run;

use crate::words::{one_line, visible};

/// Exit code of a process that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;
/// Time between two progress lines if the output is not a terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Standard output and standard error, formatted as the user asked.
pub struct Terminal {
    json: bool,
}

impl Terminal {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a line of the result to standard output, except with `--json`, when only the JSON
    /// goes there.
    pub fn say(&self, line: &str) {
        if self.json { status(line) } else { print(visible(&format!("{line}\n")).as_bytes()) }
    }

    /// Prints the result for scripts, if `--json` is given.
    pub fn result(&self, value: &serde_json::Value) {
        if self.json {
            print(format!("{value}\n").as_bytes());
        }
    }
}

/// Prints a line about the current work to standard error. Losing it is no reason to lose the work.
pub fn status(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{}", visible(&line.to_string()));
}

/// The first error of standard output.
static LOST: OnceLock<std::io::Error> = OnceLock::new();

/// Prints a part of the result to standard output.
pub fn print(text: &[u8]) {
    let mut stdout = std::io::stdout();
    if let Err(error) = stdout.write_all(text).and_then(|()| stdout.flush()) {
        let _ = LOST.set(error);
    }
}

/// Returns why a part of the result was lost, if it was. A closed pipe (`| head`) is the reader's
/// choice.
pub fn lost() -> Option<&'static std::io::Error> {
    LOST.get().filter(|error| error.kind() != std::io::ErrorKind::BrokenPipe)
}

/// Shows the progress of a library verb, and asks the verb to stop at Ctrl-C.
#[derive(Default)]
pub struct Live {
    stage: Option<Stage>,
    /// Whether Ctrl-C was pressed.
    stop: Arc<AtomicBool>,
    /// Whether the current stage checks from time to time whether to stop.
    asks: Arc<AtomicBool>,
}

/// The current stage.
struct Stage {
    bar: Bar,
    start: Instant,
    /// Number of units that were done before the stage started.
    before: u64,
}

impl Live {
    /// Builds progress for a verb that saves its work. The first Ctrl-C prints `stopping` and asks
    /// the verb to stop; the second ends the program immediately.
    pub fn stoppable(stopping: &'static str) -> anyhow::Result<Self> {
        let live = Self::listening(stopping, || None)?;
        live.asks.store(true, Ordering::SeqCst);
        Ok(live)
    }

    /// Builds progress for a verb that trains `run`; `way` says how to resume it. Stages that
    /// cannot stop end at the first Ctrl-C.
    pub fn of_run(run: PathBuf, way: String) -> anyhow::Result<Self> {
        let stopping = "finishing this step and saving; once more to end at once";
        let is_run = move || run.join(Run::CONFIG_FILE).is_file();
        Self::listening(stopping, move || is_run().then(|| way.clone()))
    }

    fn listening(
        stopping: &'static str,
        way_on: impl Fn() -> Option<String> + Send + 'static,
    ) -> anyhow::Result<Self> {
        let live = Self::default();
        let (stop, asks) = (Arc::clone(&live.stop), Arc::clone(&live.asks));
        ctrlc::set_handler(move || {
            if stop.swap(true, Ordering::SeqCst) || !asks.load(Ordering::SeqCst) {
                let way = way_on().map(|way| format!("; {way}")).unwrap_or_default();
                status(format_args!("\nstopped{way}"));
                std::process::exit(i32::from(INTERRUPTED));
            }
            status(format_args!("\n{stopping}"));
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(live)
    }
}

impl selfsame::Progress for Live {
    fn note(&mut self, note: &str) {
        let note = one_line(note);
        match &self.stage {
            Some(stage) => stage.bar.line(&note),
            None => status(note),
        }
    }

    fn advance(&mut self, unit: &str, done: u64, total: u64, detail: &str) {
        if self.stage.as_ref().is_none_or(|stage| stage.bar.what != unit) {
            if let Some(stage) = self.stage.take() {
                stage.bar.finish();
            }
            let start = Instant::now();
            self.stage = Some(Stage { bar: Bar::new(unit), start, before: done });
        }
        let Some(Stage { bar, start, before }) = &self.stage else { return };
        let spent = start.elapsed();
        let message = match done.saturating_sub(*before) {
            0 => detail.to_owned(),
            taken => {
                let left = spent.mul_f64(total.saturating_sub(done) as f64 / taken as f64);
                format!("{detail}  {} left", HumanDuration(left)).trim_start().to_owned()
            }
        };
        bar.set(done, total, message);
    }

    fn finish(&mut self) {
        self.asks.store(false, Ordering::SeqCst);
        if let Some(stage) = self.stage.take() {
            stage.bar.finish();
        }
    }

    fn stop(&self) -> bool {
        self.asks.store(true, Ordering::SeqCst);
        self.stop.load(Ordering::SeqCst)
    }
}

/// Progress of one stage: a bar on a terminal, otherwise a line from time to time.
pub struct Bar {
    what: String,
    bar: Option<ProgressBar>,
    last_line: Cell<Instant>,
}

impl Bar {
    pub fn new(what: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {prefix}  {msg}");
            ProgressBar::new(0)
                .with_style(style.expect("the template is valid"))
                .with_prefix(what.to_owned())
        });
        Self { what: what.to_owned(), bar, last_line: Cell::new(Instant::now()) }
    }

    pub fn set(&self, done: u64, total: u64, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(message);
        } else if self.last_line.get().elapsed() > LINE_EVERY {
            self.last_line.set(Instant::now());
            status(format_args!("{done}/{total} {}  {message}", self.what));
        }
    }

    /// Prints a line above the bar that stays visible.
    pub fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => status(line),
        }
    }

    /// Clears the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
