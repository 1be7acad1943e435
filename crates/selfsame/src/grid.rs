//! Grids: experiments of many runs, as data.
//!
//! A grid is a TOML file. It lists rows and columns, each a few options of a run; every row is
//! crossed with every column, every set of images and every seed, and each combination is a
//! [`Cell`], which is one run. What was published of the experiment and what is claimed of it stand
//! in the same file. [`reproduce`](crate::reproduce()) does the runs and makes the tables.
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
pub(crate) use self::measure::{FORECAST_COLUMN, Measured};
use self::option::label;
pub use self::option::setting;
pub(crate) use self::option::words;
pub(crate) use self::outcome::record as read_record;
pub use self::read::GridOptions;
pub use crate::error::GridError;

/// The experiments of the paper, by name, each with its TOML. They have scales, and `all` of the
/// command line stands for them, in this order.
pub const EXPERIMENTS: [(&str, &str); 5] = [
    ("table1", include_str!("../grids/table1.toml")),
    ("table2", include_str!("../grids/table2.toml")),
    ("pairs", include_str!("../grids/pairs.toml")),
    ("losses", include_str!("../grids/losses.toml")),
    ("maps", include_str!("../grids/maps.toml")),
];

/// The other grids that come with the library, by name, each with its TOML.
pub const GRIDS: [(&str, &str); 5] = [
    ("atlas", include_str!("../grids/atlas.toml")),
    ("crossing", include_str!("../grids/crossing.toml")),
    ("methods-glyphs", include_str!("../grids/methods-glyphs.toml")),
    ("methods-cifar10", include_str!("../grids/methods-cifar10.toml")),
    ("precision", include_str!("../grids/precision.toml")),
];

/// Options that a grid sets itself, for each run another.
const RESERVED: [&str; 5] = ["seed", "out", "overwrite", "resume", "json"];

/// An experiment: each row's options with each column's, on each set of images, once for each seed.
///
/// Options are those of `selfsame study` by their long names, without the dashes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grid {
    /// The name or the file that it was read by; empty where it was not read.
    #[serde(skip)]
    pub name: String,
    /// What it is called.
    pub title: String,
    /// What a reader must know of it, in a sentence or two.
    pub about: String,
    /// Seeds of every cell. A scale brings its own.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// What the columns of the tables show where the grid has none of its own.
    #[serde(default)]
    pub measure: Measure,
    /// Whether the page shows where each row's encoder puts the test images.
    #[serde(default)]
    pub maps: bool,
    /// Options that all cells share.
    #[serde(default)]
    pub all: Table,
    /// Options of `selfsame forecast`, if one is wanted: it ranks the rows' policies, and its
    /// figures become columns.
    #[serde(default)]
    pub forecast: Option<Table>,
    /// Options of each row; `name` where they do not tell the rows apart, or say too much.
    pub rows: Vec<Table>,
    /// The same of columns. With columns, a table's cells show the kNN accuracy.
    #[serde(default)]
    pub columns: Vec<Table>,
    /// Sets of images, each with a table of its own; without any, the grid has one table.
    #[serde(default)]
    pub sets: Vec<Set>,
    /// Options that override all others.
    #[serde(default)]
    pub with: Table,
    /// Claims to be judged in every table.
    #[serde(default)]
    pub claims: Vec<Claim>,
    /// Sizes that the grid comes in, by name. [`Grid::read`] applies one, after which there are
    /// none.
    #[serde(default)]
    pub scales: BTreeMap<String, Scale>,
}

/// A set of images, and what was published of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Name of the set and of its table.
    pub name: String,
    /// Where the images are.
    pub data: String,
    /// Published figures.
    #[serde(default)]
    pub published: Option<Published>,
}

/// Published figures, to stand beside ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Where they were published, and of what, in words.
    pub source: String,
    /// By row, then by column: `[figure]`, or `[figure, ±]`.
    pub values: Vec<Vec<Vec<f64>>>,
}

/// A claim about rows, to be judged in each column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The claim in words.
    pub says: String,
    /// What it says of its rows.
    pub kind: ClaimKind,
    /// Names of the rows that it is about.
    pub rows: Vec<String>,
    /// Names of the columns in which it is judged; without any, every column whose figures may be
    /// drawn together.
    #[serde(default)]
    pub columns: Vec<String>,
}

/// What a claim says of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimKind {
    /// The rows are in order, the best first.
    Order,
    /// Of the steps from each row of the table to the one above it, the step from the second to the
    /// first of these two gains most.
    LargestStep,
    /// The row is the best of the table.
    Best,
    /// The row is the worst of the table.
    Worst,
}

/// A size of an experiment: what it changes of the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// What it cuts, in a sentence or two.
    pub about: String,
    /// Seeds of every cell.
    pub seeds: Vec<u64>,
    /// Names of the sets that it runs; all without any.
    #[serde(default)]
    pub sets: Vec<String>,
    /// Options for all cells, over those of the grid.
    #[serde(default)]
    pub all: Table,
    /// Options for the forecast, over those of the grid.
    #[serde(default)]
    pub forecast: Table,
    /// Options of columns, over those of the grid's columns with the same `name`.
    #[serde(default)]
    pub columns: Vec<Table>,
}

/// One run of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Name of its set of images; empty where the grid has none.
    pub set: String,
    /// Name of its row.
    pub row: String,
    /// Name of its column; empty where the grid has none.
    pub column: String,
    /// Its seed.
    pub seed: u64,
    /// Its options, by name, but for the seed.
    pub options: Table,
    /// Options and seed as arguments of `selfsame study`.
    pub words: Vec<String>,
}

impl Cell {
    /// A name that no other cell of the grid has, fit for a folder.
    pub fn name(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let parts = [&self.set, &self.row, &self.column];
        let named = parts.into_iter().filter(|part| !part.is_empty());
        let words: Vec<String> = named.map(|part| part.chars().map(plain).collect()).collect();
        format!("{}-seed{}", words.join("-"), self.seed)
    }

    /// The folder of its run, where `out` is the folder of the grid.
    pub fn run(&self, out: &Path) -> PathBuf {
        out.join("runs").join(self.name())
    }
}

impl Grid {
    /// Its sets; a single one without a name where it has none.
    pub fn sets(&self) -> Vec<Set> {
        if self.sets.is_empty() { vec![Set::default()] } else { self.sets.clone() }
    }

    /// Names of its rows.
    pub fn row_names(&self) -> Vec<String> {
        self.rows.iter().map(label).collect()
    }

    /// Names of the tables' columns that its runs fill: its own, or those of its
    /// [measure](Self::measure).
    pub fn measured_names(&self) -> Vec<String> {
        match self.columns.as_slice() {
            [] => self.measure.columns().into_iter().map(|column| column.name).collect(),
            columns => columns.iter().map(label).collect(),
        }
    }

    /// Its runs: all cells with the first seed, then with the second, so that an interrupted
    /// experiment has whole tables of fewer seeds.
    ///
    /// # Errors
    /// There is no cell, two have one name, a seed comes twice, or an option is not the grid's to
    /// set or has a value that no option has.
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
