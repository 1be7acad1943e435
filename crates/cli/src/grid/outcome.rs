//! What came of the runs of a grid.

use std::path::Path;

use anyhow::Context;
use selfsame::report::record::{
    EVAL_FILE, EmbeddingMap, Evaluation, MAP_FILE, METRICS_FILE, MetricPoint, RUN_FILE, RunRecord,
};
use serde::Serialize;

use super::Cell;

/// What came of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcome {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub set: String,
    pub row: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub column: String,
    pub seed: u64,
    /// Accuracies on the test split, as fractions of 1, before and after training.
    pub knn_acc1: f64,
    pub linear_acc1: f64,
    pub centre_acc1: f64,
    pub untrained_knn_acc1: f64,
    /// The kNN accuracy on the validation split by the epoch it was measured after.
    pub val_knn_acc1: Vec<(f64, f64)>,
    /// Effective rank of the test images' embeddings, before and after training.
    pub rankme: Option<f64>,
    pub untrained_rankme: Option<f64>,
    /// Effective rank and deviation of the outputs of the last batch.
    pub output_rank_me: Option<f64>,
    pub output_std: Option<f64>,
    /// When and how the outputs collapsed, if they did.
    pub collapse: Option<String>,
    /// Epochs of training.
    pub epochs: u64,
    /// The machines that it was trained on, and what activations were stored as; empty where that
    /// was not recorded.
    pub machines: Vec<String>,
    pub precision: String,
    /// Seconds of training.
    pub seconds: f64,
    /// When it began.
    pub started: String,
}

/// A file of a cell's run, if it is there.
fn read_own(run: &Path, name: &str) -> anyhow::Result<Option<String>> {
    let path = run.join(name);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some).with_context(|| path.display().to_string()),
    }
}

fn damaged(run: &Path, name: &str) -> String {
    format!("{}: damaged; delete it, and run the grid again", run.join(name).display())
}

/// What came of a cell, if its run is complete: an evaluation of other weights than the last, such
/// as `eval --checkpoint best` leaves behind, is none.
pub fn outcome(cell: &Cell, out: &Path) -> anyhow::Result<Option<Outcome>> {
    let run = cell.run(out);
    let (Some(record), Some(evaluation)) = (read_own(&run, RUN_FILE)?, read_own(&run, EVAL_FILE)?)
    else {
        return Ok(None);
    };
    let record: RunRecord =
        serde_json::from_str(&record).with_context(|| damaged(&run, RUN_FILE))?;
    let evaluation: Evaluation =
        serde_json::from_str(&evaluation).with_context(|| damaged(&run, EVAL_FILE))?;
    if !record.finished {
        return Ok(None);
    }
    let (Some(test), Some(untrained)) = (evaluation.test, evaluation.untrained) else {
        anyhow::bail!(
            "{}: its images have no labels, so there is nothing for a table",
            run.display()
        );
    };
    let metrics = read_own(&run, METRICS_FILE)?.unwrap_or_default();
    let points: Vec<MetricPoint> =
        metrics.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let last = points.last().map(|point| point.step);
    if evaluation.step.zip(last).is_some_and(|(measured, last)| measured != last) {
        return Ok(None);
    }
    let watched = |name: &str| points.last().and_then(|point| point.watched.get(name).copied());
    Ok(Some(Outcome {
        set: cell.set.clone(),
        row: cell.row.clone(),
        column: cell.column.clone(),
        seed: cell.seed,
        knn_acc1: test.knn_acc1,
        linear_acc1: test.linear_acc1,
        centre_acc1: test.centre_acc1,
        untrained_knn_acc1: untrained.knn_acc1,
        val_knn_acc1: points
            .iter()
            .filter_map(|point| Some((point.epoch, point.val_knn_acc1?)))
            .collect(),
        rankme: evaluation.geometry.and_then(|g| g.rankme),
        untrained_rankme: evaluation.untrained_geometry.and_then(|g| g.rankme),
        output_rank_me: watched("rank_me"),
        output_std: watched("output_std"),
        collapse: record.collapse,
        epochs: record.epochs,
        machines: record.machines,
        precision: record.precision,
        seconds: record.seconds,
        started: record.started,
    }))
}

/// Where a cell's encoder puts the test images, if its run is complete.
pub fn map(cell: &Cell, out: &Path) -> anyhow::Result<Option<EmbeddingMap>> {
    let run = cell.run(out);
    let Some(text) = read_own(&run, MAP_FILE)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).with_context(|| damaged(&run, MAP_FILE))
}
