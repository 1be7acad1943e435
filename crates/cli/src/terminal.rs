//! What the user sees while something runs.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use selfsame::data::{DataError, Dataset, LoadOptions, load};
use selfsame::train::Progress;

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

    /// Loads images, showing how far it is, and says what was left out.
    pub fn load(&self, source: &str, options: &LoadOptions) -> anyhow::Result<Dataset> {
        let bar = Mutex::new(Bar::new("images"));
        let dataset = load(source, options, &|done, total| {
            bar.lock().expect("no progress panics").set(done as u64, total as u64, String::new());
        })
        .map_err(|e| unread(&format!("--data {source}"), &e))?;
        bar.into_inner().expect("no progress panics").finish();
        let kind = match dataset.classes.len() {
            0 => "unlabelled".to_owned(),
            n => format!("{n} classes"),
        };
        self.status(&format!(
            "{}: {} training, {} validation and {} test images of {} pixels, {kind}",
            dataset.name,
            dataset.train.len(),
            dataset.validation.len(),
            dataset.test.len(),
            dataset.image_size
        ));
        for note in &dataset.notes {
            self.status(&format!("  {note}"));
        }
        Ok(dataset)
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

/// Progress of one stage: a bar on a terminal, a line now and then elsewhere.
pub struct Bar {
    what: &'static str,
    bar: Option<ProgressBar>,
    last_line: Cell<Instant>,
}

impl Bar {
    pub fn new(what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {prefix}  {msg}");
            ProgressBar::new(0).with_style(style.expect("the template is valid")).with_prefix(what)
        });
        Self { what, bar, last_line: Cell::new(Instant::now()) }
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
