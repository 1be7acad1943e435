//! Reads a grid by its name, and applies a scale, images and options to it.

use std::path::Path;

use toml::{Table, Value};

use super::option::label;
use super::{EXPERIMENTS, GRIDS, Grid, GridError, Scale, Set};
use crate::Error;

/// Default scale of a grid that has scales.
const DEFAULT_SCALE: &str = "small";

/// Options for reading a grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GridOptions {
    /// Name of the scale. By default: `small` if the grid has scales.
    pub scale: Option<String>,
    /// Images to use in place of the images that the grid names.
    pub data: Option<String>,
    /// Options for all runs. They override the grid.
    pub with: Table,
}

impl Grid {
    /// Reads a grid that comes with the library, by its name, or another grid from a TOML file, and
    /// applies the options to it.
    ///
    /// # Errors
    /// [`Error::Grid`] if the name, the file, the options or the grid are wrong.
    pub fn read(name: &str, options: &GridOptions) -> Result<Self, Error> {
        let grid = || {
            let grid: Self = toml::from_str(&source(name)?)?;
            let sets = grid.sets.clone();
            let grid = grid
                .at(options.scale.as_deref())?
                .on(options.data.as_deref(), &sets)
                .with(&options.with)?;
            grid.cells()?;
            grid.check_claims()?;
            Ok(Self { name: name.to_owned(), ..grid })
        };
        grid().map_err(|cause| Error::Grid { name: name.to_owned(), cause })
    }

    /// Applies one of the grid's scales to it.
    pub(super) fn at(mut self, name: Option<&str>) -> Result<Self, GridError> {
        let mut scales = std::mem::take(&mut self.scales);
        if scales.is_empty() {
            return match name {
                Some(scale) => Err(GridError::NoScales { scale: scale.to_owned() }),
                None => Ok(self),
            };
        }
        let name = name.unwrap_or(DEFAULT_SCALE);
        let Some(scale) = scales.remove(name) else {
            let (scale, known) = (name.to_owned(), scales.into_keys().collect());
            return Err(GridError::UnknownScale { scale, known });
        };
        self.about = format!("{} {}", self.about, scale.about);
        self.seeds.clone_from(&scale.seeds);
        self.all.extend(scale.all.clone());
        if let Some(forecast) = &mut self.forecast {
            forecast.extend(scale.forecast.clone());
        }
        self.scale_columns(name, &scale)?;
        self.scale_sets(name, &scale)?;
        Ok(self)
    }

    fn scale_columns(&mut self, name: &str, scale: &Scale) -> Result<(), GridError> {
        for changes in &scale.columns {
            let named = label(changes);
            let column = self.columns.iter_mut().find(|column| label(column) == named);
            let column = column
                .ok_or_else(|| GridError::ScaleColumn { scale: name.to_owned(), column: named })?;
            column.extend(changes.clone());
        }
        Ok(())
    }

    fn scale_sets(&mut self, name: &str, scale: &Scale) -> Result<(), GridError> {
        let is_absent = |named: &&String| !self.sets.iter().any(|set| set.name == **named);
        if let Some(set) = scale.sets.iter().find(is_absent) {
            return Err(GridError::ScaleSet { scale: name.to_owned(), set: set.clone() });
        }
        if !scale.sets.is_empty() {
            self.sets.retain(|set| scale.sets.contains(&set.name));
        }
        Ok(())
    }

    /// Replaces the images of the grid's sets if other images are given: by the caller, or by a
    /// `data` option of the grid or of its scale. The grid then has a single table. The table gets
    /// the published figures of the set whose name is part of the images' name (see [`namesake`]).
    /// `sets` holds all sets of the grid, including the sets that its scale leaves out.
    fn on(mut self, data: Option<&str>, sets: &[Set]) -> Self {
        if let Some(data) = data {
            self.all.insert("data".to_owned(), data.into());
        }
        if let Some(data) = self.all.get("data").and_then(Value::as_str)
            && !self.sets.is_empty()
        {
            let stem = Path::new(data).file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let name = stem.unwrap_or_else(|| data.to_owned());
            let published = namesake(&name, sets).and_then(|set| set.published.clone());
            self.sets = vec![Set { name, data: data.to_owned(), published }];
        }
        self
    }

    /// Sets options in all cells. They override the grid's own options.
    fn with(mut self, options: &Table) -> Result<Self, GridError> {
        if options.contains_key("data") {
            return Err(GridError::DataOption);
        }
        for key in options.keys() {
            let varies = |tables: &[Table]| {
                tables.iter().filter(|table| table.contains_key(key)).count() > 1
            };
            if varies(&self.rows) || varies(&self.columns) {
                return Err(GridError::Varies { key: key.clone() });
            }
        }
        self.with.extend(options.clone());
        if !self.with.is_empty() {
            let words: Vec<String> =
                self.with.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            self.about = format!("{} Here with {}.", self.about, words.join(", "));
        }
        Ok(self)
    }
}

/// Reads the TOML of a grid.
fn source(name: &str) -> Result<String, GridError> {
    let known = || EXPERIMENTS.into_iter().chain(GRIDS);
    if let Some((_, text)) = known().find(|(known, _)| *known == name) {
        return Ok(text.to_owned());
    }
    if name.ends_with(".toml") {
        return Ok(std::fs::read_to_string(name)?);
    }
    Err(GridError::Unknown { known: known().map(|(name, _)| name).collect() })
}

/// Finds the set whose name is contained in the name of the images. Only letters and digits are
/// compared. The longest match counts, because `cifar100` contains `cifar10`.
fn namesake<'a>(images: &str, sets: &'a [Set]) -> Option<&'a Set> {
    let plain = |name: &str| {
        name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
    };
    let is_namesake =
        |set: &&Set| !plain(&set.name).is_empty() && plain(images).contains(&plain(&set.name));
    sets.iter().filter(is_namesake).max_by_key(|set| plain(&set.name).len())
}
