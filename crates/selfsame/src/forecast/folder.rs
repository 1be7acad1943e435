//! The folder of a forecast: its settings, its unfinished work and its results.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use npyz::WriterBuilder;
use selfsame_concentration::curve::{Curve, Point};
use selfsame_concentration::distance::Distances;
use selfsame_report::forecast::{FORECAST_FILE, TABLE_FILE};
use selfsame_report::record::PAGE_FILE;
use selfsame_report::{write_atomic, write_json};

use super::part;
use super::settings::Settings;
use crate::run::{check_own, lock};
use crate::{Error, ForecastDifference, Run, check_folder};

const SETTINGS_FILE: &str = "settings.json";
/// Folder of the unfinished work: two files per policy, one for distances and one for curves.
const PARTS: &str = "parts";
/// Start of the names of the files with distances.
const DISTANCES: &str = "distances-";

/// A forecast's folder, locked by this process.
pub struct Folder {
    pub path: PathBuf,
    /// Whether the folder already held this forecast, unfinished or finished.
    pub goes_on: bool,
    _lock: File,
}

impl Folder {
    /// Claims a folder that is new or holds the same forecast. With `overwrite`, the folder may
    /// hold another forecast, which is deleted.
    pub fn claim(path: &Path, settings: &Settings, overwrite: bool) -> Result<Self, Error> {
        check_folder(path)?;
        let held = || match Held::new(path, settings)? {
            Held::Other(differences) if !overwrite => {
                Err(Error::OtherForecast { path: path.to_owned(), differences })
            }
            held => Ok(held),
        };
        // Refuse a folder before anything is written to it.
        held()?;
        let parts = path.join(PARTS);
        std::fs::create_dir_all(&parts).map_err(Error::file(&parts))?;
        let lock = lock(path)?;
        // Another process may have worked here before the lock.
        let held = held()?;
        if matches!(held, Held::Other(_)) {
            clear(path).map_err(Error::file(path))?;
        }
        write_json(&path.join(SETTINGS_FILE), settings)?;
        Ok(Self { path: path.to_owned(), goes_on: matches!(held, Held::Same), _lock: lock })
    }

    /// Describes in a sentence how far the forecast in the folder has progressed.
    pub fn state_of(&self, policies: usize) -> String {
        let done = (0..policies).filter(|&number| self.curves_file(&part(number)).exists()).count();
        match done == policies && self.path.join(PAGE_FILE).exists() {
            true => "already finished: the page is written again".to_owned(),
            false => format!("going on: {done} of {policies} policies are there"),
        }
    }

    /// Returns the file with a policy's distances, complete or not.
    pub fn state(&self, part: &str) -> PathBuf {
        self.path.join(PARTS).join(format!("{part}.distances"))
    }

    fn curves_file(&self, part: &str) -> PathBuf {
        self.path.join(PARTS).join(format!("{part}.curves.json"))
    }

    /// Reads the curves of a policy for classes with these images, if the curves exist.
    pub fn curves(&self, part: &str, classes: &[Vec<usize>]) -> Result<Option<Vec<Curve>>, Error> {
        let path = self.curves_file(part);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read(&path).map_err(Error::file(&path))?;
        let damaged = || Error::Damaged {
            path: path.clone(),
            cause: "damaged; remove it, and its curves are computed again".into(),
        };
        let points: Vec<Vec<(u64, u64, Vec<usize>)>> =
            serde_json::from_slice(&text).map_err(|_| damaged())?;
        let point = |(lower, upper, witness)| Point { lower, upper, witness };
        let curve = |points: Vec<_>| Curve { points: points.into_iter().map(point).collect() };
        let curves: Vec<Curve> = points.into_iter().map(curve).collect();
        let fits = |(curve, own): (&Curve, &Vec<usize>)| {
            let known = |point: &Point| point.witness.iter().all(|&image| image < own.len());
            curve.points.len() == own.len() && curve.points.iter().all(known)
        };
        if curves.len() != classes.len() || !curves.iter().zip(classes).all(fits) {
            return Err(damaged());
        }
        Ok(Some(curves))
    }

    /// Writes the curves of a policy.
    pub fn write_curves(&self, part: &str, curves: &[Curve]) -> Result<(), Error> {
        let point = |point: &Point| (point.lower, point.upper, point.witness.clone());
        let points: Vec<Vec<_>> =
            curves.iter().map(|curve| curve.points.iter().map(point).collect()).collect();
        Ok(write_json(&self.curves_file(part), &points)?)
    }

    /// Writes the squared distances of a policy to `distances-PART-NAME.npy`, as a square matrix in
    /// the order of the images in `forecast.json`.
    pub fn write_distances(
        &self,
        part: &str,
        name: &str,
        distances: &Distances,
    ) -> Result<(), Error> {
        let name: String = name
            .chars()
            .map(|c| if c.is_alphanumeric() || ".-_".contains(c) { c } else { '_' })
            .take(40)
            .collect();
        let path = self.path.join(format!("{DISTANCES}{part}-{name}.npy"));
        let bytes = matrix(distances).map_err(Error::file(&path))?;
        Ok(write_atomic(&path, &bytes)?)
    }
}

/// Encodes squared distances as a square matrix in NumPy's format.
fn matrix(distances: &Distances) -> io::Result<Vec<u8>> {
    let n = distances.n;
    let value = |index: usize| match (index / n, index % n) {
        (i, j) if i == j => 0.0,
        (i, j) => distances.squared(i, j),
    };
    let mut bytes = Vec::new();
    let shape = [n as u64, n as u64];
    let mut writer =
        npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut bytes).begin_nd()?;
    writer.extend((0..n * n).map(value))?;
    writer.finish()?;
    Ok(bytes)
}

/// What a folder holds before a forecast.
enum Held {
    /// No forecast, and nothing else.
    Nothing,
    /// The same forecast, finished or not.
    Same,
    /// Another forecast.
    Other(Vec<ForecastDifference>),
}

impl Held {
    /// Looks into a folder. Refuses a folder that holds something other than a forecast. Other
    /// programs have a file called `settings.json` too, so its content counts; if it cannot be
    /// read, the folder is a forecast's if it has the lock and the parts of one.
    fn new(path: &Path, settings: &Settings) -> Result<Self, Error> {
        let file = path.join(SETTINGS_FILE);
        let text = match std::fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            text => Some(text.map_err(Error::file(&file))?),
        };
        let was = text.map(|text| serde_json::from_slice::<Settings>(&text));
        let damaged = || path.join(Run::LOCK_FILE).exists() && path.join(PARTS).is_dir();
        let differences = match was {
            Some(Ok(was)) => was.differences(settings),
            Some(Err(_)) if damaged() => {
                let what = format!("{SETTINGS_FILE} is damaged, or of another selfsame");
                vec![ForecastDifference::Content(what)]
            }
            _ => {
                // A forecast that is killed before it writes its settings leaves an empty folder of
                // parts.
                check_own(path, |name| name == PARTS)?;
                return Ok(Self::Nothing);
            }
        };
        Ok(if differences.is_empty() { Self::Same } else { Self::Other(differences) })
    }
}

/// Deletes a forecast's files except its settings, which identify the folder as a forecast's.
/// Leaves files that no forecast writes.
fn clear(path: &Path) -> io::Result<()> {
    std::fs::remove_dir_all(path.join(PARTS))?;
    std::fs::create_dir_all(path.join(PARTS))?;
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let distances = name.starts_with(DISTANCES) && name.ends_with(".npy");
        if distances || [FORECAST_FILE, TABLE_FILE, PAGE_FILE].contains(&&*name) {
            std::fs::remove_file(path.join(&name))?;
        }
    }
    Ok(())
}
