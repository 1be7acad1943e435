//! Outcomes of the runs of a grid, from the records in their folders.

use std::path::Path;

use selfsame_report::experiment::Outcome;
use selfsame_report::read_evaluation;
use selfsame_report::record::{
    EmbeddingMap, MAP_FILE, METRICS_FILE, MetricPoint, RUN_FILE, Representation, RunRecord,
};
use serde::de::DeserializeOwned;
use toml::Value;

use super::{Cell, GridError};
use crate::{Error, StudyOptions};

/// Options of a study that can be given several times, each with the separator for several values
/// in one argument.
const LISTS: [(&str, Option<char>); 2] = [("set", None), ("classes", Some(','))];

impl Cell {
    /// Returns the options of the cell's study, except for its folder.
    ///
    /// # Errors
    /// [`GridError::Cell`] if a study does not have one of the options, or if an option has an
    /// impossible value.
    pub fn study(&self) -> Result<StudyOptions, GridError> {
        let mut options = self.options.clone();
        for (key, separator) in LISTS {
            if let Some(Value::String(word)) = options.get(key) {
                let words: Vec<Value> = match separator {
                    Some(separator) => word.split(separator).map(Value::from).collect(),
                    None => vec![Value::from(word.as_str())],
                };
                options.insert(key.to_owned(), Value::Array(words));
            }
        }
        let refuse = |error: toml::de::Error| GridError::Cell {
            cell: self.name(),
            cause: error.message().to_owned(),
        };
        let options: StudyOptions = options.try_into().map_err(refuse)?;
        Ok(StudyOptions { seed: self.seed, ..options })
    }

    /// Returns the outcome of the cell's run, or `None` if the run is not complete. `out` is the
    /// folder of the grid. An evaluation of other weights than the last, such as the best
    /// checkpoint, does not count.
    ///
    /// # Errors
    /// If a record is unreadable or damaged, or if the images have no labels, so that there are no
    /// figures for a table.
    pub fn outcome(&self, out: &Path) -> Result<Option<Outcome>, Error> {
        let run = self.run(out);
        let (Some(record), Some(evaluation)) =
            (record::<RunRecord>(&run.join(RUN_FILE))?, read_evaluation(&run)?)
        else {
            return Ok(None);
        };
        if !record.finished {
            return Ok(None);
        }
        let scores = |of: &Representation| evaluation.accuracies.as_ref()?.of.get(of).copied();
        let (Some(trained), Some(untrained)) =
            (scores(&Representation::Trained), scores(&Representation::Untrained))
        else {
            return Err(Error::Unlabelled { run });
        };
        let rank = |of| evaluation.geometry.get(of).and_then(|geometry| geometry.rankme);
        let metrics = text(&run.join(METRICS_FILE))?.unwrap_or_default();
        let points: Vec<MetricPoint> =
            metrics.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let last = points.last();
        let steps = evaluation.step.zip(last.map(|point| point.step));
        if steps.is_some_and(|(measured, trained)| measured != trained) {
            return Ok(None);
        }
        let watched = |name: &str| last.and_then(|point| point.watched.get(name).copied());
        let validation = points.iter().filter_map(|point| Some((point.epoch, point.val_knn_acc1?)));
        let folder = run.strip_prefix(out).unwrap_or(&run);
        Ok(Some(Outcome {
            run: folder.display().to_string().replace('\\', "/"),
            set: self.set.clone(),
            row: self.row.clone(),
            column: self.column.clone(),
            seed: self.seed,
            knn_acc1: trained.knn_acc1,
            linear_acc1: trained.linear_acc1,
            centre_acc1: trained.centre_acc1,
            untrained_knn_acc1: untrained.knn_acc1,
            baselines_knn_acc1: [Representation::Patches, Representation::Pixels]
                .into_iter()
                .filter_map(|of| scores(&of).map(|scores| (of, scores.knn_acc1)))
                .collect(),
            val_knn_acc1: validation.collect(),
            rankme: rank(&Representation::Trained),
            untrained_rankme: rank(&Representation::Untrained),
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

    /// Returns the map of the test images for the cell's encoder, or `None` if it has not been
    /// measured. `out` is the folder of the grid.
    ///
    /// # Errors
    /// If the record is unreadable or damaged.
    pub fn map(&self, out: &Path) -> Result<Option<EmbeddingMap>, Error> {
        record(&self.run(out).join(MAP_FILE))
    }
}

/// Reads a record, if the file exists.
pub(crate) fn record<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let Some(text) = text(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| Error::Damaged {
        path: path.to_owned(),
        cause: format!("damaged ({error})"),
    })
}

fn text(path: &Path) -> Result<Option<String>, Error> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some).map_err(Error::file(path)),
    }
}
