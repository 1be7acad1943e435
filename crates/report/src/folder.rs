//! Reading and writing the records of a run folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::certificate::{CERTIFICATE_FILE, CertificateRecord};
use crate::evaluation::EvaluationFault;
use crate::look::{LOOK_FILE, Look, NEIGHBOURS_FILE, Neighbours};
use crate::predictions::{PREDICTIONS_FILE, Predictions};
use crate::record::{
    EVAL_FILE, EmbeddingMap, Evaluation, MAP_FILE, METRICS_FILE, MetricPoint, RUN_FILE, RunRecord,
    VIEWS_FILE, ViewSheet,
};
use crate::sprite::{Sprite, SpriteError};

/// Largest size of a record. No genuine record comes near it; a larger file is not read into
/// memory.
const MAX_RECORD_BYTES: u64 = 512 << 20;

/// The records of a run. Stages that the run has not reached have no record.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// The configuration of the run.
    pub run: RunRecord,
    /// The progress of training, one point per recorded step.
    pub metrics: Vec<MetricPoint>,
    /// The results of the evaluation, once the run has been evaluated.
    pub evaluation: Option<Evaluation>,
    /// The certificate, once the run has been certified.
    pub certificate: Option<CertificateRecord>,
    /// The embedding map, once it has been drawn.
    pub map: Option<EmbeddingMap>,
    /// What the encoder says of single images, once it has looked at them.
    pub look: Option<Look>,
    /// The nearest neighbours of some images, once they have been searched.
    pub neighbours: Option<Neighbours>,
    /// The sheet of views, once it has been drawn.
    pub views: Option<ViewSheet>,
    /// Problems that reading tolerated, one sentence each.
    pub warnings: Vec<String>,
}

/// Reason why a record cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder has no `run.json`.
    #[error("{} is not a run folder: it has no {RUN_FILE}", run.display())]
    NotARun {
        /// The folder.
        run: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file is too large to be a record.
    #[error("{} has {bytes} bytes, more than any record ({MAX_RECORD_BYTES}): is it another \
             file?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Length of the file.
        bytes: u64,
    },
    /// A file is not JSON, or not the JSON of its record.
    #[error("{} is damaged: {source}; the command that wrote it can write it \
             again", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause, with line and column.
        source: serde_json::Error,
    },
    /// A certificate was written by an earlier version, which stored sentences in place of values.
    #[error("{} was written by an earlier version of selfsame and is not read any more; \
             `selfsame certify` can write it again", path.display())]
    Outdated {
        /// The file.
        path: PathBuf,
    },
    /// A certificate lacks a part that every certificate has.
    #[error("{} is damaged: it does not say {lacks}, as every certificate does; `selfsame \
             certify` can write it again", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The missing part.
        lacks: &'static str,
    },
    /// The values of an evaluation contradict each other, or do not make an evaluation.
    #[error("{} is damaged: {source}; `selfsame eval` can write it again", path.display())]
    Evaluation {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: EvaluationFault,
    },
    /// A line of `metrics.jsonl` is damaged.
    #[error("{}, line {line}, is damaged: {source}; remove that line to read the \
             rest", path.display())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// Number of the line, counted from 1.
        line: usize,
        /// The cause.
        source: serde_json::Error,
    },
    /// A map has a different number of points than of images.
    #[error("{} is damaged: {points} {which} points for {images} images", path.display())]
    Map {
        /// The file.
        path: PathBuf,
        /// `trained` or `untrained`.
        which: &'static str,
        /// Number of points in the map.
        points: usize,
        /// Number of images in the map.
        images: usize,
    },
    /// Predictions are not one for each image, or of classes that are not named.
    #[error("{} is damaged: {list} does not have a class for each of its {images} images; \
             `selfsame eval` can write it again", path.display())]
    Predictions {
        /// The file.
        path: PathBuf,
        /// The list that is damaged.
        list: &'static str,
        /// Number of images in the record.
        images: usize,
    },
    /// The picture inside a record is damaged.
    #[error("{} is damaged: {source}", path.display())]
    Sprite {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: SpriteError,
    },
}

/// Reads the records of a run folder. Only `run.json` must exist; all other records are optional.
///
/// If a crash cut off the last line of `metrics.jsonl`, that line is left out with a warning. If a
/// run that was killed and resumed wrote a step twice, the later line counts.
///
/// # Errors
/// The folder is not a run, or a record is unreadable, too large or damaged. The error names the
/// file.
pub fn read(run: &Path) -> Result<Report, ReportError> {
    let mut warnings = Vec::new();
    let record =
        read_json(&run.join(RUN_FILE))?.ok_or_else(|| ReportError::NotARun { run: run.into() })?;
    let metrics = read_metrics(&run.join(METRICS_FILE), &mut warnings)?;
    let evaluation = read_evaluation(run)?;

    let certificate = read_certificate(&run.join(CERTIFICATE_FILE))?;
    let path = run.join(MAP_FILE);
    let map: Option<EmbeddingMap> = read_json(&path)?;
    if let Some(map) = &map {
        check_map(map, &path)?;
    }
    let path = run.join(LOOK_FILE);
    let look: Option<Look> = read_json(&path)?;
    check_sprite(look.as_ref().and_then(|look| look.pictures.as_ref()), &path)?;
    let neighbours = read_neighbours(run)?;
    // Nothing writes the sheet again, and nothing but a picture is lost without it.
    let views = read_views(&run.join(VIEWS_FILE)).unwrap_or_else(|error| {
        warnings.push(format!("{error}. The page leaves the views out."));
        None
    });
    let run = record;
    Ok(Report { run, metrics, evaluation, certificate, map, look, neighbours, views, warnings })
}

/// Writes a record as JSON with [`write_atomic`].
///
/// # Errors
/// The file could not be written; a previous version of it is intact.
pub fn write_json<T: Serialize>(path: &Path, record: &T) -> Result<(), ReportError> {
    let mut json = serde_json::to_vec_pretty(record)
        .map_err(|source| ReportError::Json { path: path.into(), source })?;
    json.push(b'\n');
    write_atomic(path, &json)
}

/// Writes a file so that a crash or a full disk leaves either the old content or the new, never a
/// part of it. The content goes to a temporary file in the same folder, which is synced and then
/// renamed.
///
/// # Errors
/// The file could not be written; a previous version of it is intact.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let written = (|| {
        // Check for a folder first: if only the rename failed, the temporary file would stay.
        if path.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let mut file = AtomicWriteFile::open(path)?;
        file.write_all(bytes)?;
        file.commit()
    })();
    written.map_err(|source| ReportError::Io { path: path.into(), source })
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ReportError> {
    let Some(bytes) = read_bytes(path)? else { return Ok(None) };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|source| ReportError::Json { path: path.into(), source })
}

/// Reads the evaluation of a run. Returns `None` if the run has no such file.
///
/// # Errors
/// The file is unreadable, too large or damaged, or its values contradict each other.
pub fn read_evaluation(run: &Path) -> Result<Option<Evaluation>, ReportError> {
    let path = run.join(EVAL_FILE);
    let evaluation: Option<Evaluation> = read_json(&path)?;
    match evaluation.as_ref().map_or(Ok(()), Evaluation::check) {
        Err(source) => Err(ReportError::Evaluation { path, source }),
        Ok(()) => Ok(evaluation),
    }
}

/// Reads what a run's encoder predicts for each test image. Returns `None` if the run has no such
/// file.
///
/// # Errors
/// The file is unreadable, too large or damaged.
pub fn read_predictions(run: &Path) -> Result<Option<Predictions>, ReportError> {
    let path = run.join(PREDICTIONS_FILE);
    let predictions: Option<Predictions> = read_json(&path)?;
    if let Some(list) = predictions.as_ref().and_then(Predictions::damaged) {
        let images = predictions.map_or(0, |predictions| predictions.images.len());
        return Err(ReportError::Predictions { path, list, images });
    }
    Ok(predictions)
}

/// Reads the nearest neighbours of a run's images. Returns `None` if the run has no such file.
///
/// # Errors
/// The file is unreadable, too large or damaged.
pub fn read_neighbours(run: &Path) -> Result<Option<Neighbours>, ReportError> {
    let path = run.join(NEIGHBOURS_FILE);
    let neighbours: Option<Neighbours> = read_json(&path)?;
    check_sprite(neighbours.as_ref().and_then(|found| found.pictures.as_ref()), &path)?;
    Ok(neighbours)
}

/// Reads a certificate. Returns `None` if there is no such file.
///
/// # Errors
/// The file is unreadable, too large or damaged, or an earlier version wrote it with a verdict in
/// sentences.
pub fn read_certificate(path: &Path) -> Result<Option<CertificateRecord>, ReportError> {
    let certificate: Option<CertificateRecord> = match read_json(path) {
        Err(ReportError::Json { .. }) if has_sentences(path)? => {
            return Err(ReportError::Outdated { path: path.into() });
        }
        read => read?,
    };
    if let Some(certificate) = &certificate {
        let lacking = [
            ("which version of selfsame wrote it", certificate.selfsame.is_empty()),
            ("what it is of", certificate.subject.is_empty()),
            ("how many images it measured", certificate.images == 0),
            ("how many values an embedding has", certificate.dim == 0),
        ];
        if let Some((lacks, _)) = lacking.into_iter().find(|(_, lacks)| *lacks) {
            return Err(ReportError::Certificate { path: path.into(), lacks });
        }
    }
    check_sprite(certificate.as_ref().and_then(|record| record.examples.as_ref()), path)?;
    Ok(certificate)
}

/// Returns whether a certificate has sentences for a verdict, as earlier versions wrote them.
fn has_sentences(path: &Path) -> Result<bool, ReportError> {
    let bytes = read_bytes(path)?.unwrap_or_default();
    let json: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    Ok(json.is_some_and(|json| json["verdict"].is_array()))
}

fn read_metrics(path: &Path, warnings: &mut Vec<String>) -> Result<Vec<MetricPoint>, ReportError> {
    let Some(bytes) = read_bytes(path)? else { return Ok(Vec::new()) };
    let mut by_step = BTreeMap::new();
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<MetricPoint>(line) {
            Ok(point) => {
                by_step.insert(point.step, point);
            }
            // A complete line ends in a line feed, so only a line that was cut off can lack it.
            Err(_) if !line.ends_with(b"\n") => warnings.push(format!(
                "The last line of {METRICS_FILE} was cut off, as by a crash; it is left out here."
            )),
            Err(source) => {
                return Err(ReportError::Metrics { path: path.into(), line: index + 1, source });
            }
        }
    }
    Ok(by_step.into_values().collect())
}

fn check_map(map: &EmbeddingMap, path: &Path) -> Result<(), ReportError> {
    let images = map.images.len();
    let tsne = map.tsne.as_ref();
    let panels = [
        ("trained", Some(&map.trained.points)),
        ("untrained", map.untrained.as_ref().map(|panel| &panel.points)),
        ("trained", tsne.map(|tsne| &tsne.trained)),
        ("untrained", tsne.and_then(|tsne| tsne.untrained.as_ref())),
    ];
    for (which, points) in panels {
        if let Some(points) = points.map(Vec::len).filter(|points| *points != images) {
            return Err(ReportError::Map { path: path.into(), which, points, images });
        }
    }
    check_sprite(map.thumbs.as_ref(), path)
}

fn check_sprite(sprite: Option<&Sprite>, path: &Path) -> Result<(), ReportError> {
    match sprite {
        Some(sprite) => {
            sprite.check().map_err(|source| ReportError::Sprite { path: path.into(), source })
        }
        None => Ok(()),
    }
}

fn read_views(path: &Path) -> Result<Option<ViewSheet>, ReportError> {
    let views: Option<ViewSheet> = read_json(path)?;
    check_sprite(views.as_ref().map(|views| &views.sheet), path)?;
    Ok(views)
}

fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>, ReportError> {
    let io = |source| ReportError::Io { path: path.into(), source };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(error)),
        Ok(file) if file.len() > MAX_RECORD_BYTES => {
            Err(ReportError::TooLarge { path: path.into(), bytes: file.len() })
        }
        Ok(_) => fs::read(path).map(Some).map_err(io),
    }
}
