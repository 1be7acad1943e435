//! Grids: experiments with many runs, described as data.
//!
//! A grid is a TOML file. It lists rows and columns, each with a few options of a run. Every row is
//! combined with every column, every set of images and every seed. Each combination is a [`Cell`],
//! which is one run. The same file holds the published figures of the experiment and the claims
//! about it. [`reproduce`](crate::reproduce()) trains the runs and makes the tables.
//!
//! ```
//! use selfsame::grid::{Grid, GridOptions};
//!
//! let grid = Grid::read("methods-glyphs", &GridOptions::default())?;
//! let cells = grid.cells()?;
//! assert_eq!(cells[0].name(), "simclr-seed0");
//! assert!(cells[0].words.contains(&"--method=simclr".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod claims;
mod forecast;
mod measure;
mod option;
mod outcome;
mod read;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Table;

pub use self::measure::Measure;
pub(crate) use self::measure::{BASELINES, FORECAST_COLUMN, Measured};
use self::option::label;
pub use self::option::setting;
pub(crate) use self::option::words;
pub(crate) use self::outcome::record as read_record;
pub use self::read::GridOptions;
pub use crate::error::GridError;

/// The experiments of the paper: name and TOML. They have scales. On the command line, `all` stands
/// for these experiments, in this order.
pub const EXPERIMENTS: [(&str, &str); 5] = [
    ("table1", include_str!("../grids/table1.toml")),
    ("table2", include_str!("../grids/table2.toml")),
    ("pairs", include_str!("../grids/pairs.toml")),
    ("losses", include_str!("../grids/losses.toml")),
    ("maps", include_str!("../grids/maps.toml")),
];

/// The other grids that come with the library: name and TOML.
pub const GRIDS: [(&str, &str); 5] = [
    ("atlas", include_str!("../grids/atlas.toml")),
    ("crossing", include_str!("../grids/crossing.toml")),
    ("methods-glyphs", include_str!("../grids/methods-glyphs.toml")),
    ("methods-cifar10", include_str!("../grids/methods-cifar10.toml")),
    ("precision", include_str!("../grids/precision.toml")),
];

/// Options that the grid itself sets, differently for each run.
const RESERVED: [&str; 5] = ["seed", "out", "overwrite", "resume", "json"];

/// An experiment: each row's options, combined with each column's options, on each set of images,
/// once per seed.
///
/// Options are those of `selfsame study` with their long names, without the dashes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grid {
    /// Name or file from which the grid was read; empty if it was not read.
    #[serde(skip)]
    pub name: String,
    /// Title of the experiment.
    pub title: String,
    /// Explanation of the experiment for the reader, in a sentence or two.
    pub about: String,
    /// Seeds of every cell. A scale has its own seeds.
    #[serde(default, with = "selfsame_train::seed::list")]
    pub seeds: Vec<u64>,
    /// Figures that the columns of the tables show if the grid has no columns.
    #[serde(default)]
    pub measure: Measure,
    /// Whether the page shows a map of the test images for each row's encoder.
    #[serde(default)]
    pub maps: bool,
    /// Options that all cells share.
    #[serde(default)]
    pub all: Table,
    /// Options of `selfsame forecast`, if a forecast is wanted. It ranks the rows' policies, and
    /// its figures become columns.
    #[serde(default)]
    pub forecast: Option<Table>,
    /// Options of each row. Set `name` if the options do not tell the rows apart, or are too long.
    pub rows: Vec<Table>,
    /// Options of each column. If there are columns, a table's cells show the kNN accuracy.
    #[serde(default)]
    pub columns: Vec<Table>,
    /// Sets of images, each with its own table. Without sets, the grid has one table.
    #[serde(default)]
    pub sets: Vec<Set>,
    /// Options that override all others.
    #[serde(default)]
    pub with: Table,
    /// Claims to judge in every table.
    #[serde(default)]
    pub claims: Vec<Claim>,
    /// Available sizes of the grid, by name. [`Grid::read`] applies one of them and removes the
    /// others.
    #[serde(default)]
    pub scales: BTreeMap<String, Scale>,
}

/// A set of images and the published figures for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Name of the set and of its table.
    pub name: String,
    /// Path or name of the images.
    pub data: String,
    /// Published figures.
    #[serde(default)]
    pub published: Option<Published>,
}

/// Published figures, shown next to ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Source of the figures and what they describe, in words.
    pub source: String,
    /// By row, then by column: `[figure]`, or `[figure, ±]`.
    pub values: Vec<Vec<Vec<f64>>>,
}

/// A claim about rows, judged in each column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The claim in words.
    pub says: String,
    /// Kind of the claim.
    pub kind: ClaimKind,
    /// Names of the rows that the claim is about.
    pub rows: Vec<String>,
    /// Names of the columns in which the claim is judged. If empty, it is judged in every column
    /// whose figures may be plotted together.
    #[serde(default)]
    pub columns: Vec<String>,
}

/// Kinds of claims about rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimKind {
    /// The rows are in order, from best to worst.
    Order,
    /// The step from the second of the two rows to the first gains the most among all steps from a
    /// row of the table to the row above it.
    LargestStep,
    /// The row is the best of the table.
    Best,
    /// The row is the worst of the table.
    Worst,
}

/// A size of an experiment: the changes it makes to the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Explanation of what the scale cuts, in a sentence or two.
    pub about: String,
    /// Seeds of every cell.
    #[serde(with = "selfsame_train::seed::list")]
    pub seeds: Vec<u64>,
    /// Names of the sets to run. If empty, all sets are run.
    #[serde(default)]
    pub sets: Vec<String>,
    /// Options of all cells. They override the grid's options.
    #[serde(default)]
    pub all: Table,
    /// Options of the forecast. They override the grid's options.
    #[serde(default)]
    pub forecast: Table,
    /// Options of columns. They override the options of the grid's columns with the same `name`.
    #[serde(default)]
    pub columns: Vec<Table>,
}

/// One run of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Name of the cell's set of images; empty if the grid has no sets.
    pub set: String,
    /// Name of the cell's row.
    pub row: String,
    /// Name of the cell's column; empty if the grid has no columns.
    pub column: String,
    /// Seed of the cell.
    pub seed: u64,
    /// Options of the cell, by name, except the seed.
    pub options: Table,
    /// The options and the seed as arguments of `selfsame study`.
    pub words: Vec<String>,
}

impl Cell {
    /// Returns a name that is unique in the grid and valid for a folder.
    pub fn name(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let parts = [&self.set, &self.row, &self.column];
        let named = parts.into_iter().filter(|part| !part.is_empty());
        let words: Vec<String> = named.map(|part| part.chars().map(plain).collect()).collect();
        format!("{}-seed{}", words.join("-"), self.seed)
    }

    /// Returns the folder of the cell's run. `out` is the folder of the grid.
    pub fn run(&self, out: &Path) -> PathBuf {
        out.join("runs").join(self.name())
    }
}

impl Grid {
    /// Returns the grid's sets, or a single set without a name if it has none.
    pub fn sets(&self) -> Vec<Set> {
        if self.sets.is_empty() { vec![Set::default()] } else { self.sets.clone() }
    }

    /// Returns the names of the grid's rows.
    pub fn row_names(&self) -> Vec<String> {
        self.rows.iter().map(label).collect()
    }

    /// Returns the names of the table columns that runs fill: the grid's own columns, or the
    /// columns of its [measure](Self::measure).
    pub fn measured_names(&self) -> Vec<String> {
        match self.columns.as_slice() {
            [] => self.measure.columns().into_iter().map(|column| column.name).collect(),
            columns => columns.iter().map(label).collect(),
        }
    }

    /// Returns the grid's runs: all cells with the first seed, then all cells with the second seed,
    /// and so on. An interrupted experiment therefore has complete tables of fewer seeds.
    ///
    /// # Errors
    /// If there is no cell, if two cells have the same name, if a seed occurs twice, or if an
    /// option may not be set by a grid or has an impossible value.
    pub fn cells(&self) -> Result<Vec<Cell>, GridError> {
        let mut cells: Vec<Cell> = Vec::new();
        let none = [Table::new()];
        let columns = if self.columns.is_empty() { &none[..] } else { &self.columns };
        for (at, &seed) in self.seeds.iter().enumerate() {
            if self.seeds[..at].contains(&seed) {
                return Err(GridError::SeedTwice { seed });
            }
            for set in self.sets() {
                for (number, row) in (1..).zip(&self.rows) {
                    for column in columns {
                        let cell = self.cell(&set, row, column, seed)?;
                        if cells.iter().any(|other| other.name() == cell.name()) {
                            return Err(GridError::SameName { row: number });
                        }
                        cells.push(cell);
                    }
                }
            }
        }
        if cells.is_empty() { Err(GridError::Empty) } else { Ok(cells) }
    }

    fn cell(&self, set: &Set, row: &Table, column: &Table, seed: u64) -> Result<Cell, GridError> {
        let mut options = self.all.clone();
        if !set.data.is_empty() {
            options.insert("data".to_owned(), set.data.clone().into());
        }
        let named = column.iter().chain(row).chain(&self.with).filter(|(key, _)| *key != "name");
        options.extend(named.map(|(key, value)| (key.clone(), value.clone())));
        if let Some(key) = RESERVED.into_iter().find(|key| options.contains_key(*key)) {
            return Err(GridError::Reserved { key });
        }
        let mut arguments = vec![format!("--seed={seed}")];
        for (key, value) in &options {
            arguments.extend(words(key, value)?);
        }
        Ok(Cell {
            set: set.name.clone(),
            row: label(row),
            column: if column.is_empty() { String::new() } else { label(column) },
            seed,
            options,
            words: arguments,
        })
    }
}

#[cfg(test)]
mod tests;
