//! The logs of a run: its curves as JSON lines and as TensorBoard events.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use selfsame_report::record::{METRICS_FILE, MetricPoint};
use selfsame_report::{ReportError, write_atomic};

use crate::tensorboard::{self, EVENTS_FILE};

/// The curves of a run, in two files: `metrics.jsonl` with one line per point, and TensorBoard
/// events with the same points.
pub(crate) struct Logs {
    metrics: Appended,
    events: Appended,
}

impl Logs {
    /// Opens the logs of a run that continues after `step`, and returns their points. Points after
    /// `step` are dropped, because training takes those steps again.
    pub(crate) fn open(run: &Path, step: u64) -> Result<(Self, Vec<MetricPoint>), ReportError> {
        let path = run.join(METRICS_FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ReportError::Io { path, source }),
        };
        // Keep lines as text, because reading and writing a number could change its last digit.
        let (mut lines, mut events, mut points) = (String::new(), tensorboard::start(), Vec::new());
        for line in text.lines() {
            match serde_json::from_str::<MetricPoint>(line) {
                Ok(point) if point.step <= step => {
                    lines.extend([line, "\n"]);
                    events.extend(tensorboard::point(&point));
                    points.push(point);
                }
                _ => {}
            }
        }
        let metrics = Appended::open(path, lines.as_bytes())?;
        let events = Appended::open(run.join(EVENTS_FILE), &events)?;
        Ok((Self { metrics, events }, points))
    }

    /// Appends a point.
    pub(crate) fn add(&mut self, point: &MetricPoint) -> Result<(), ReportError> {
        self.metrics.append(line(point).as_bytes())?;
        self.events.append(&tensorboard::point(point))
    }

    /// Waits until every point is on disk.
    pub(crate) fn sync(&self) -> Result<(), ReportError> {
        self.metrics.sync()?;
        self.events.sync()
    }
}

fn line(point: &MetricPoint) -> String {
    serde_json::to_string(point).expect("a point is plain numbers") + "\n"
}

/// A file to which bytes are appended.
struct Appended {
    path: PathBuf,
    file: File,
}

impl Appended {
    fn open(path: PathBuf, start: &[u8]) -> Result<Self, ReportError> {
        write_atomic(&path, start)?;
        match OpenOptions::new().append(true).open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(ReportError::Io { path, source }),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ReportError> {
        self.file
            .write_all(bytes)
            .map_err(|source| ReportError::Io { path: self.path.clone(), source })
    }

    fn sync(&self) -> Result<(), ReportError> {
        self.file.sync_data().map_err(|source| ReportError::Io { path: self.path.clone(), source })
    }
}
