//! What the user sees while something runs.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use selfsame::data::{DataError, Dataset, LoadOptions};
use selfsame::train::Progress;

use crate::commands::INTERRUPTED;
use crate::misuse;

/// Time between two lines of progress where the output is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Images left out that are named one by one; the run's page has them all.
const NAMED: usize = 10;

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

    /// Loads images, showing how far it is.
    pub fn load(&self, source: &str, options: &LoadOptions) -> anyhow::Result<Dataset> {
        Ok(selfsame::load(source, options, &mut Live::default())?)
    }

    /// Says which images were left out, and why, the first of them; `all` is where all are named.
    pub fn skipped(&self, dataset: &Dataset, all: &str) {
        let skipped = &dataset.skipped;
        if skipped.is_empty() {
            return;
        }
        self.status(&format!(
            "left out {} image{}:",
            skipped.len(),
            if skipped.len() == 1 { "" } else { "s" }
        ));
        for image in skipped.iter().take(NAMED) {
            self.status(&format!("  {}: {}", image.name, image.cause));
        }
        if skipped.len() > NAMED {
            self.status(&format!("  … and {} more, all named {all}", skipped.len() - NAMED));
        }
    }
}

/// Why the images that `named` stands for could not be loaded: a failure where they are at fault,
/// otherwise misuse.
pub fn unread(named: &str, error: &DataError) -> anyhow::Error {
    match error {
        DataError::Read { .. }
        | DataError::Damaged { .. }
        | DataError::AllDamaged { .. }
        | DataError::TooLarge { .. }
        | DataError::Format { .. }
        | DataError::Cache { .. } => anyhow::anyhow!("{named}: {error}"),
        _ => misuse(format!("{named}: {error}")),
    }
}

/// Shows what a verb of the library tells while it works, and asks it to stop at Ctrl-C.
#[derive(Default)]
pub struct Live {
    /// The stage under way, and when it began.
    stage: Option<(Bar, Instant)>,
    stop: Arc<AtomicBool>,
}

impl Live {
    /// The first Ctrl-C, or a polite kill, prints `stopping` and asks the verb to stop; the second
    /// ends the program at once. For verbs that save their work; without it, Ctrl-C ends it.
    pub fn stoppable(stopping: &'static str) -> anyhow::Result<Self> {
        let live = Self::default();
        let stop = Arc::clone(&live.stop);
        ctrlc::set_handler(move || {
            if stop.swap(true, Ordering::SeqCst) {
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
            Some((bar, _)) => bar.line(note),
            None => eprintln!("{note}"),
        }
    }

    fn advance(&mut self, unit: &str, done: u64, total: u64, detail: &str) {
        if self.stage.as_ref().is_none_or(|(bar, _)| bar.what != unit) {
            self.finish();
            self.stage = Some((Bar::new(unit), Instant::now()));
        }
        let Some((bar, start)) = &self.stage else { return };
        let spent = start.elapsed();
        let message = match done {
            0 => detail.to_owned(),
            done => {
                let left = spent.mul_f64(total.saturating_sub(done) as f64 / done as f64);
                format!("{detail}  {} left", HumanDuration(left)).trim_start().to_owned()
            }
        };
        bar.set(done, total, message);
    }

    fn finish(&mut self) {
        if let Some((bar, _)) = self.stage.take() {
            bar.finish();
        }
    }

    fn stop(&self) -> bool {
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

    /// Shows a step of training.
    pub fn step(&self, progress: &Progress) {
        let knn = progress.knn.map(|knn| format!("  kNN {:.1} %", 100.0 * knn)).unwrap_or_default();
        let message = format!(
            "epoch {}  loss {:.3}{knn}  {:.0} views/s  {} left",
            progress.epoch,
            progress.loss,
            progress.views_per_second,
            HumanDuration(progress.left)
        );
        self.set(progress.step, progress.steps, message);
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
