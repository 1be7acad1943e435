//! What the user sees while something runs.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use selfsame::Run;

/// Exit code of a process that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;
/// Time between two lines of progress where the output is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Standard output and standard error, as the user wants them.
pub struct Terminal {
    json: bool,
}

impl Terminal {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// A line of the result: standard output, which with `--json` belongs to the JSON alone.
    pub fn say(&self, line: &str) {
        if self.json {
            eprintln!("{line}");
        } else {
            // A closed pipe (`| head`) is the reader's choice, not a failure.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    /// The result for machines, with `--json`.
    pub fn result(&self, value: &serde_json::Value) {
        if self.json {
            let _ = writeln!(std::io::stdout(), "{value}");
        }
    }

    /// A line about what is under way.
    pub fn status(&self, line: &str) {
        eprintln!("{line}");
    }
}

/// Shows what a verb of the library tells while it works, and asks it to stop at Ctrl-C.
#[derive(Default)]
pub struct Live {
    stage: Option<Stage>,
    /// Whether Ctrl-C was pressed.
    stop: Arc<AtomicBool>,
    /// Whether the stage under way asks now and then whether to stop.
    asks: Arc<AtomicBool>,
}

/// A stage under way.
struct Stage {
    bar: Bar,
    start: Instant,
    /// Units that were done before it started.
    before: u64,
}

impl Live {
    /// For a verb that saves its work: the first Ctrl-C prints `stopping` and asks the verb to
    /// stop, the second ends the program at once.
    pub fn stoppable(stopping: &'static str) -> anyhow::Result<Self> {
        let live = Self::listening(stopping, || None)?;
        live.asks.store(true, Ordering::SeqCst);
        Ok(live)
    }

    /// For a verb that trains `run`, where `way` says how to go on with it. Stages that cannot stop
    /// end at the first Ctrl-C.
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
                eprintln!("\nstopped{way}");
                std::process::exit(i32::from(INTERRUPTED));
            }
            eprintln!("\n{stopping}");
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(live)
    }
}

impl selfsame::Progress for Live {
    fn note(&mut self, note: &str) {
        match &self.stage {
            Some(stage) => stage.bar.line(note),
            None => eprintln!("{note}"),
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

/// Progress of one stage: a bar on a terminal, a line now and then elsewhere.
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
            eprintln!("{done}/{total} {}  {message}", self.what);
        }
    }

    /// A line that stays, above the bar.
    pub fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// Clears the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
