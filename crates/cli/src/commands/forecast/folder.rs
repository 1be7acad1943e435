//! The folder of a forecast: its settings, what is computed so far, and the results.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;
use npyz::WriterBuilder;
use selfsame::Run;
use selfsame::concentration::curve::{Curve, Point};
use selfsame::concentration::distance::Distances;
use selfsame::report::{write_atomic, write_json};

use super::Settings;
use crate::commands::quoted;
use crate::misuse;

const SETTINGS_FILE: &str = "settings.json";
/// What is computed so far.
const PARTS: &str = "parts";

/// A forecast's folder, held by this process alone.
pub struct Folder {
    pub path: PathBuf,
    /// Whether it held the beginnings of the same forecast.
    pub goes_on: bool,
    _lock: File,
}

impl Folder {
    /// Claims a folder that is new, or holds the beginnings of the same forecast; with `overwrite`
    /// any forecast's.
    pub fn claim(path: &Path, settings: &Settings, overwrite: bool) -> anyhow::Result<Self> {
        let shown = path.display();
        let file = path.join(SETTINGS_FILE);
        if file.exists() && !overwrite {
            let text = std::fs::read(&file).with_context(|| file.display().to_string())?;
            let differences = match serde_json::from_slice::<Settings>(&text) {
                Ok(other) => other.differences(settings),
                Err(_) => vec![format!("{SETTINGS_FILE} is damaged, or of another selfsame")],
            };
            if !differences.is_empty() {
                return Err(misuse(format!(
                    "{shown} holds another forecast: {}; start again with --overwrite, or name \
                     another folder with --out",
                    differences.join("; ")
                )));
            }
        }
        if !file.exists() && has_entries(path).with_context(|| shown.to_string())? {
            return Err(misuse(format!(
                "{} holds something that no forecast wrote; name another folder with --out",
                quoted(path)
            )));
        }
        std::fs::create_dir_all(path.join(PARTS)).with_context(|| shown.to_string())?;
        let lock_file = path.join(Run::LOCK_FILE);
        let lock = File::create(&lock_file).with_context(|| lock_file.display().to_string())?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(misuse(format!("{shown} is in use by another selfsame process")));
        }
        let goes_on = file.exists() && !overwrite;
        if overwrite && file.exists() {
            // The settings last: without them what is left would be nobody's.
            std::fs::remove_dir_all(path.join(PARTS)).with_context(|| shown.to_string())?;
            std::fs::create_dir_all(path.join(PARTS)).with_context(|| shown.to_string())?;
            for entry in std::fs::read_dir(path).with_context(|| shown.to_string())? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                let made = name.ends_with(".npy")
                    || ["forecast.json", "table.md", "report.html"].contains(&name.as_str());
                if made {
                    std::fs::remove_file(path.join(&name)).with_context(|| name.clone())?;
                }
            }
        }
        write_json(&file, settings)?;
        Ok(Self { path: path.to_owned(), goes_on, _lock: lock })
    }

    /// Where the distances of a policy are kept.
    pub fn state(&self, part: &str) -> PathBuf {
        self.path.join(PARTS).join(format!("{part}.distances"))
    }

    fn curves_file(&self, part: &str) -> PathBuf {
        self.path.join(PARTS).join(format!("{part}.curves.json"))
    }

    /// Whether all of a policy is computed.
    pub fn has(&self, part: &str) -> bool {
        self.curves_file(part).exists()
    }

    /// The curves of a policy on these classes, where they are computed.
    pub fn curves(&self, part: &str, classes: &[Vec<usize>]) -> anyhow::Result<Option<Vec<Curve>>> {
        let path = self.curves_file(part);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let damaged = || {
            format!("{} is damaged; remove it, and its curves are computed again", path.display())
        };
        let points: Vec<Vec<(u64, u64, Vec<usize>)>> =
            serde_json::from_slice(&text).with_context(damaged)?;
        let point = |(lower, upper, witness)| Point { lower, upper, witness };
        let curve = |points: Vec<_>| Curve { points: points.into_iter().map(point).collect() };
        let curves: Vec<Curve> = points.into_iter().map(curve).collect();
        let fits = |(curve, own): (&Curve, &Vec<usize>)| {
            let known = |point: &Point| point.witness.iter().all(|&image| image < own.len());
            curve.points.len() == own.len() && curve.points.iter().all(known)
        };
        if curves.len() != classes.len() || !curves.iter().zip(classes).all(fits) {
            anyhow::bail!(damaged());
        }
        Ok(Some(curves))
    }

    pub fn write_curves(&self, part: &str, curves: &[Curve]) -> anyhow::Result<()> {
        let point = |point: &Point| (point.lower, point.upper, point.witness.clone());
        let points: Vec<Vec<_>> =
            curves.iter().map(|curve| curve.points.iter().map(point).collect()).collect();
        Ok(write_json(&self.curves_file(part), &points)?)
    }

    /// Writes the squared distances of a policy, a square matrix in the order of the images of
    /// `forecast.json`.
    pub fn write_distances(
        &self,
        part: &str,
        name: &str,
        distances: &Distances,
    ) -> anyhow::Result<()> {
        let n = distances.n;
        let value = |at: usize| match (at / n, at % n) {
            (i, j) if i == j => 0.0,
            (i, j) => distances.squared(i, j),
        };
        let mut bytes = Vec::new();
        let shape = [n as u64, n as u64];
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&shape)
            .writer(&mut bytes)
            .begin_nd()?;
        writer.extend((0..n * n).map(value))?;
        writer.finish().context("the .npy file")?;
        let plain: String = name
            .chars()
            .map(|c| if c.is_alphanumeric() || ".-_".contains(c) { c } else { '_' })
            .collect();
        let plain: String = plain.chars().take(40).collect();
        Ok(write_atomic(&self.path.join(format!("distances-{part}-{plain}.npy")), &bytes)?)
    }
}

/// Whether a folder holds anything; hidden files are what systems leave behind.
fn has_entries(path: &Path) -> std::io::Result<bool> {
    match path.read_dir() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        entries => {
            for entry in entries? {
                let name = entry?.file_name();
                // A forecast that was killed before it wrote its settings left its empty folder of
                // parts.
                if !name.to_string_lossy().starts_with('.') && name != PARTS {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}
