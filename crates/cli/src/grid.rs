//! Experiments of many runs: what they are made of, and what came of each run.

mod outcome;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Table;

pub use self::outcome::{Outcome, map, outcome};
use crate::misuse;

/// The experiments of the paper, which have scales; `all` stands for these, in this order.
pub const EXPERIMENTS: [(&str, &str); 5] = [
    ("table1", include_str!("../../selfsame/grids/table1.toml")),
    ("table2", include_str!("../../selfsame/grids/table2.toml")),
    ("pairs", include_str!("../../selfsame/grids/pairs.toml")),
    ("losses", include_str!("../../selfsame/grids/losses.toml")),
    ("maps", include_str!("../../selfsame/grids/maps.toml")),
];

/// The other grids that come with the program.
pub const GRIDS: [(&str, &str); 5] = [
    ("atlas", include_str!("../../selfsame/grids/atlas.toml")),
    ("crossing", include_str!("../../selfsame/grids/crossing.toml")),
    ("methods-glyphs", include_str!("../../selfsame/grids/methods-glyphs.toml")),
    ("methods-cifar10", include_str!("../../selfsame/grids/methods-cifar10.toml")),
    ("precision", include_str!("../../selfsame/grids/precision.toml")),
];

/// The option of runs and forecasts that changes their images.
const IMAGE_SIZE: &str = "image-size";

/// An experiment: each row's settings with each column's, on each set of images, once for each
/// seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grid {
    /// What it is called.
    pub title: String,
    /// What a reader must know of it, in a sentence or two.
    pub about: String,
    /// Seeds of every cell; with scales, theirs come in their place.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// What the columns of the tables are, where they are no settings.
    #[serde(default)]
    pub measure: Measure,
    /// Whether the page shows where each row's encoder puts the test images.
    #[serde(default)]
    pub maps: bool,
    /// Options of `selfsame study`, without their dashes, that all cells share.
    #[serde(default)]
    pub all: Table,
    /// Options of `selfsame forecast`: it is run of the rows' views, and its figures become
    /// columns.
    #[serde(default)]
    pub forecast: Option<Table>,
    /// Options of each row, and where they say too little, its `name`.
    pub rows: Vec<Table>,
    /// The same of columns, in which then the kNN accuracy stands.
    #[serde(default)]
    pub columns: Vec<Table>,
    /// Sets of images, a table each; one without a name where there are none.
    #[serde(default)]
    pub sets: Vec<Set>,
    /// Options over all others, as the command line gives them.
    #[serde(default)]
    pub with: Table,
    /// What is held to be so, to be looked for in every table.
    #[serde(default)]
    pub claims: Vec<Claim>,
    /// Sizes that it comes in; the grid as it is run has none.
    #[serde(default)]
    pub scales: BTreeMap<String, Scale>,
}

/// What stands in the columns of a grid whose cells are rows alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Every accuracy, the ranks and the time.
    #[default]
    Everything,
    /// The kNN error alone.
    Error,
    /// The kNN accuracy on validation images at each quarter of the training, that on test images
    /// at its end, and the rank of the outputs.
    Along,
}

/// Parts of the training after which [`Measure::Along`] shows the kNN accuracy.
pub const QUARTERS: u64 = 4;
/// What a forecast's columns are called, but for the distance that each is of.
pub const FORECAST_COLUMN: &str = "1 − σ % at ";

impl Measure {
    /// What its columns are called.
    fn columns(self) -> Vec<String> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        match self {
            Self::Everything => {
                own(&["kNN %", "gain %", "linear %", "centre %", "rank", "output rank", "seconds"])
            }
            Self::Error => own(&["kNN error %"]),
            Self::Along => {
                let quarters = (1..=QUARTERS).map(|quarter| format!("after {quarter}/{QUARTERS}"));
                quarters.chain(own(&["test", "output rank"])).collect()
            }
        }
    }
}

/// Images that a table is of, and what was published of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    pub name: String,
    /// What `--data` takes.
    pub data: String,
    /// Published figures.
    #[serde(default)]
    pub published: Option<Published>,
}

/// Figures that somebody published, to stand beside ours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Where, and of what.
    pub source: String,
    /// Row by row, column by column: a figure, or one and what stands behind its ±.
    pub values: Vec<Vec<Vec<f64>>>,
}

/// What is held to be so of the rows, in each of the columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// In words.
    pub says: String,
    pub kind: ClaimKind,
    /// The rows that it is about.
    pub rows: Vec<String>,
    /// The columns in which it is looked for; all, where none are named.
    #[serde(default)]
    pub columns: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimKind {
    /// The rows are in the order from best to worst.
    Order,
    /// Of all steps from a row to the one above it, that from the second to the first gains most.
    LargestStep,
    /// The one row is the best of all.
    Best,
    /// The one row is the worst of all.
    Worst,
}

/// A size of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// What it cuts, in a sentence or two.
    pub about: String,
    pub seeds: Vec<u64>,
    /// Names of the sets that it takes; all, where none are named.
    #[serde(default)]
    pub sets: Vec<String>,
    /// Options for all cells, over those of the grid.
    #[serde(default)]
    pub all: Table,
    /// Options for the forecast, over those of the grid.
    #[serde(default)]
    pub forecast: Table,
    /// Options of some columns, which their `name` tells, over those of the grid.
    #[serde(default)]
    pub columns: Vec<Table>,
}

/// One run of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub set: String,
    pub row: String,
    pub column: String,
    pub seed: u64,
    /// Options for `selfsame study`, but for `--out`.
    pub options: Vec<String>,
}

impl Cell {
    /// A name that no other cell of the grid has, good for a folder.
    pub fn name(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let parts =
            [&self.set, &self.row, &self.column].into_iter().filter(|part| !part.is_empty());
        let words: Vec<String> = parts.map(|part| part.chars().map(plain).collect()).collect();
        format!("{}-seed{}", words.join("-"), self.seed)
    }

    /// Where it lies among the runs of `out`.
    pub fn run(&self, out: &Path) -> PathBuf {
        out.join("runs").join(self.name())
    }
}

impl Grid {
    /// A grid that comes with the program, or the file of one, at a scale, on other images and with
    /// other options.
    pub fn read(
        name: &str,
        scale: Option<&str>,
        data: Option<&str>,
        with: &[(String, toml::Value)],
    ) -> anyhow::Result<Self> {
        let known: Vec<(&str, &str)> = EXPERIMENTS.into_iter().chain(GRIDS).collect();
        let text = match known.iter().find(|(own, _)| *own == name) {
            Some((_, text)) => (*text).to_owned(),
            None if name.ends_with(".toml") => {
                std::fs::read_to_string(name).map_err(|e| misuse(format!("{name}: {e}")))?
            }
            None => {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                return Err(misuse(format!(
                    "no grid is called {name}; known are all, {}, and files that end in .toml",
                    names.join(", ")
                )));
            }
        };
        let grid: Self = toml::from_str(&text).map_err(|e| misuse(format!("{name}: {e}")))?;
        let refuse = |cause: String| misuse(format!("{name}: {cause}"));
        let sets = grid.sets.clone();
        let grid = grid.at(scale).map_err(refuse)?.on(data, &sets).with(with).map_err(refuse)?;
        grid.cells().map_err(refuse)?;
        grid.check_claims().map_err(refuse)?;
        Ok(grid)
    }

    /// The grid at one of its scales: `small`, unless another is asked for.
    fn at(mut self, scale: Option<&str>) -> Result<Self, String> {
        let scales = std::mem::take(&mut self.scales);
        if scales.is_empty() {
            return match scale {
                Some(scale) => {
                    Err(format!("has no scales, so none is called {scale}; leave out --scale"))
                }
                None => Ok(self),
            };
        }
        let name = scale.unwrap_or("small");
        let names: Vec<&str> = scales.keys().map(String::as_str).collect();
        let scale = scales
            .get(name)
            .ok_or_else(|| format!("no scale is called {name}; it has {}", names.join(", ")))?;
        self.about = format!("{} {}", self.about, scale.about);
        self.seeds.clone_from(&scale.seeds);
        self.all.extend(scale.all.clone());
        if let Some(forecast) = &mut self.forecast {
            forecast.extend(scale.forecast.clone());
        }
        for column in &scale.columns {
            let name = label(column);
            let own = self.columns.iter_mut().find(|own| label(own) == name);
            let own = own.ok_or_else(|| {
                format!("a column of the scale is called {name}, and none of the grid is")
            })?;
            own.extend(column.clone());
        }
        if let Some(absent) =
            scale.sets.iter().find(|name| !self.sets.iter().any(|set| set.name == **name))
        {
            return Err(format!(
                "the scale {name} names the set {absent}, which the grid does not have"
            ));
        }
        if !scale.sets.is_empty() {
            self.sets.retain(|set| scale.sets.contains(&set.name));
        }
        Ok(self)
    }

    /// The grid on other images, where it or the scale names any: a single table, which has beside
    /// it what was published of the set, among all that there are `sets` of, that the images are
    /// called after.
    fn on(mut self, data: Option<&str>, sets: &[Set]) -> Self {
        if let Some(data) = data {
            self.all.insert("data".to_owned(), data.into());
        }
        if let Some(data) = self.all.get("data").and_then(toml::Value::as_str)
            && !self.sets.is_empty()
        {
            let stem = Path::new(data).file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let name = stem.unwrap_or_else(|| data.to_owned());
            let published = namesake(&name, sets).and_then(|set| set.published.clone());
            self.sets = vec![Set { name, data: data.to_owned(), published }];
        }
        self
    }

    /// The grid with these options in all cells, whatever it says itself.
    fn with(mut self, options: &[(String, toml::Value)]) -> Result<Self, String> {
        if options.iter().any(|(key, _)| key == "data") {
            return Err("images are not an option like others; name them with --data".to_owned());
        }
        // What tells rows or columns apart would be the same in all of them, and their names would
        // lie.
        for (key, _) in options {
            let varies = |of: &[Table]| of.iter().filter(|of| of.contains_key(key)).count() > 1;
            if varies(&self.rows) || varies(&self.columns) {
                return Err(format!(
                    "its rows or columns differ in {key}, so that it cannot be the same in all runs"
                ));
            }
        }
        self.with.extend(options.iter().cloned());
        if !self.with.is_empty() {
            let words: Vec<String> =
                self.with.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            self.about = format!("{} Here with {}.", self.about, words.join(", "));
        }
        Ok(self)
    }

    /// Its sets, one without a name where it has none.
    pub fn sets(&self) -> Vec<Set> {
        if self.sets.is_empty() { vec![Set::default()] } else { self.sets.clone() }
    }

    pub fn row_names(&self) -> Vec<String> {
        self.rows.iter().map(label).collect()
    }

    /// Names of the columns of settings: one that is empty, where there are none.
    pub fn column_names(&self) -> Vec<String> {
        if self.columns.is_empty() {
            vec![String::new()]
        } else {
            self.columns.iter().map(label).collect()
        }
    }

    /// Names of the columns that its runs fill.
    pub fn measured_names(&self) -> Vec<String> {
        if self.columns.is_empty() { self.measure.columns() } else { self.column_names() }
    }

    /// Its runs: all cells with the first seed, then with the second, so that an interrupted table
    /// is a whole one of fewer seeds.
    pub fn cells(&self) -> Result<Vec<Cell>, String> {
        let mut cells: Vec<Cell> = Vec::new();
        let none = [Table::new()];
        let columns = if self.columns.is_empty() { &none[..] } else { &self.columns };
        for (at, &seed) in self.seeds.iter().enumerate() {
            if self.seeds[..at].contains(&seed) {
                return Err(format!("the seed {seed} is named twice"));
            }
            for set in self.sets() {
                for (number, row) in (1..).zip(&self.rows) {
                    for column in columns {
                        let refuse = |cause: String| format!("row {number}: {cause}");
                        let options = self.options(&set, row, column, seed).map_err(refuse)?;
                        let cell = Cell {
                            set: set.name.clone(),
                            row: label(row),
                            column: if column.is_empty() { String::new() } else { label(column) },
                            seed,
                            options,
                        };
                        if cells.iter().any(|other| other.name() == cell.name()) {
                            return Err(refuse(
                                "it cannot be told from another; give both a name of their own"
                                    .to_owned(),
                            ));
                        }
                        cells.push(cell);
                    }
                }
            }
        }
        match cells.is_empty() {
            true => Err("a grid needs a seed and a row".to_owned()),
            false => Ok(cells),
        }
    }

    fn options(
        &self,
        set: &Set,
        row: &Table,
        column: &Table,
        seed: u64,
    ) -> Result<Vec<String>, String> {
        let mut settings = self.all.clone();
        if !set.data.is_empty() {
            settings.insert("data".to_owned(), set.data.clone().into());
        }
        let given = column.iter().chain(row).chain(&self.with).filter(|(key, _)| *key != "name");
        settings.extend(given.map(|(key, value)| (key.clone(), value.clone())));
        let mut options = vec![format!("--seed={seed}")];
        for (key, value) in &settings {
            if ["seed", "out", "overwrite", "resume", "json"].contains(&key.as_str()) {
                return Err(format!("{key} is the grid's own business; leave it out"));
            }
            options.extend(option(key, value)?);
        }
        Ok(options)
    }

    /// The command that makes the forecast of the rows' views, but for its folder: of the images
    /// that the runs are of.
    pub fn forecast_options(&self) -> Option<Result<Vec<String>, String>> {
        let mut settings = self.forecast_settings()?;
        let policies = self.rows.iter().filter_map(|row| row.get("augment").cloned()).collect();
        settings.insert("policies".to_owned(), toml::Value::Array(policies));
        let words =
            settings.iter().map(|(key, value)| option(key, value)).collect::<Result<Vec<_>, _>>();
        Some(words.map(|words| words.concat()))
    }

    /// The side of the forecast's images, where one is named.
    pub fn forecast_size(&self) -> Option<i64> {
        self.forecast_settings()?.get(IMAGE_SIZE)?.as_integer()
    }

    fn forecast_settings(&self) -> Option<Table> {
        let forecast = self.forecast.as_ref()?;
        let mut settings = Table::new();
        let own = self.sets.first().map(|set| set.data.as_str().into());
        if let Some(data) = own.or_else(|| self.all.get("data").cloned()) {
            settings.insert("data".to_owned(), data);
        }
        let size = |options: &Table| {
            options.get(IMAGE_SIZE).map(|size| (IMAGE_SIZE.to_owned(), size.clone()))
        };
        settings.extend(size(&self.all));
        settings.extend(forecast.clone());
        settings.extend(size(&self.with));
        Some(settings)
    }

    /// That the claims are about rows and columns there are, and published figures no more than
    /// cells.
    fn check_claims(&self) -> Result<(), String> {
        let (rows, columns) = (self.row_names(), self.measured_names());
        let is_forecast = |name: &str| self.forecast.is_some() && name.starts_with(FORECAST_COLUMN);
        for claim in &self.claims {
            if let Some(absent) =
                claim.columns.iter().find(|name| !columns.contains(name) && !is_forecast(name))
            {
                return Err(format!(
                    "the claim {:?} looks into {absent}, which no column is called; there are {}",
                    claim.says,
                    columns.join(", ")
                ));
            }
            if let Some(absent) = claim.rows.iter().find(|row| !rows.contains(row)) {
                return Err(format!(
                    "the claim {:?} is about {absent}, which no row is called",
                    claim.says
                ));
            }
            let enough = match claim.kind {
                ClaimKind::Order => claim.rows.len() >= 2,
                ClaimKind::LargestStep => claim.rows.len() == 2,
                ClaimKind::Best | ClaimKind::Worst => claim.rows.len() == 1,
            };
            if !enough {
                let wanted = match claim.kind {
                    ClaimKind::Order => "two rows or more, the best first",
                    ClaimKind::LargestStep => "two rows, the better first",
                    ClaimKind::Best | ClaimKind::Worst => "one row",
                };
                return Err(format!("the claim {:?} takes {wanted}", claim.says));
            }
        }
        for set in &self.sets {
            let Some(published) = &set.published else { continue };
            let figure = |figure: &Vec<f64>| {
                (1..=2).contains(&figure.len()) && figure.iter().all(|v| v.is_finite())
            };
            if published.values.len() > rows.len() || !published.values.iter().flatten().all(figure)
            {
                return Err(format!(
                    "the published figures of {} are to be [figure] or [figure, ±], row by row, \
                     for at most as many rows \
                     as there are",
                    set.name
                ));
            }
            if let Some(longest) =
                published.values.iter().map(Vec::len).max().filter(|&many| many > columns.len())
            {
                return Err(format!(
                    "the published figures of {} are for {longest} columns, and there are {}",
                    set.name,
                    columns.len()
                ));
            }
        }
        Ok(())
    }
}

/// The set whose name the images' name contains, by letters and digits alone; of several the
/// longest, since cifar100 contains cifar10.
fn namesake<'a>(images: &str, sets: &'a [Set]) -> Option<&'a Set> {
    let plain = |name: &str| {
        name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
    };
    let named =
        |set: &&Set| !plain(&set.name).is_empty() && plain(images).contains(&plain(&set.name));
    sets.iter().filter(named).max_by_key(|set| plain(&set.name).len())
}

/// A row's name, or its settings.
fn label(row: &Table) -> String {
    let word =
        |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match row.get("name") {
        Some(name) => word(name),
        None => row.values().map(word).collect::<Vec<_>>().join(" "),
    }
}

/// An option as the command line gives it: `epochs=3`.
pub fn setting(text: &str) -> Result<(String, toml::Value), String> {
    let (key, word) =
        text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("write it as epochs=3")?;
    let value = toml::from_str::<Table>(&format!("value = {word}"))
        .ok()
        .and_then(|mut table| table.remove("value"));
    Ok((key.trim_start_matches('-').to_owned(), value.unwrap_or_else(|| word.into())))
}

/// A setting as it is typed: a list is an option given several times, `true` one without a value.
fn option(key: &str, value: &toml::Value) -> Result<Vec<String>, String> {
    Ok(match value {
        toml::Value::Boolean(true) => vec![format!("--{key}")],
        toml::Value::Boolean(false) => Vec::new(),
        toml::Value::String(word) => vec![format!("--{key}={word}")],
        toml::Value::Integer(_) | toml::Value::Float(_) => vec![format!("--{key}={value}")],
        toml::Value::Array(values) => {
            values.iter().map(|value| option(key, value)).collect::<Result<Vec<_>, _>>()?.concat()
        }
        _ => return Err(format!("{key} = {value} is no option's value")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_grids_make_sense() {
        for (name, rows, seeds) in [
            ("atlas", 24, 2),
            ("crossing", 20, 1),
            ("methods-glyphs", 12, 3),
            ("methods-cifar10", 12, 3),
            ("precision", 2, 3),
        ] {
            let cells = Grid::read(name, None, None, &[]).unwrap().cells().unwrap();
            assert_eq!(cells.len(), seeds * rows, "{name}");
            assert!(cells[0].options.contains(&"--method=simclr".to_owned()), "{:?}", cells[0]);
            assert!(cells[..rows].iter().all(|cell| cell.seed == 0));
        }
    }

    #[test]
    fn experiments_have_the_papers_sizes() {
        // Sets, rows and columns at the paper's scale; the others have one set.
        for (name, cells, sets) in [
            ("table1", 20, 2),
            ("table2", 16, 2),
            ("pairs", 10, 1),
            ("losses", 4, 1),
            ("maps", 2, 1),
        ] {
            for scale in ["paper", "small", "smoke"] {
                let grid = Grid::read(name, Some(scale), None, &[]).unwrap();
                let sets = if scale == "paper" { sets } else { 1 };
                assert_eq!(
                    grid.cells().unwrap().len(),
                    cells * sets * grid.seeds.len(),
                    "{name} {scale}"
                );
            }
        }
        let paper = Grid::read("table1", Some("paper"), None, &[]).unwrap();
        let first = &paper.cells().unwrap()[0];
        assert_eq!(first.name(), "CIFAR-10-a-b-c-d-e-SimCLR-seed0");
        let options = [
            "--seed=0",
            "--augment=abcde",
            "--data=data/cifar10",
            "--knn-every=0",
            "--method=simclr",
            "--precision=f32",
            "--recipe=authors",
        ];
        let mut own = first.options.clone();
        own.sort();
        let mut options = options.map(str::to_owned).to_vec();
        options.sort();
        assert_eq!(own, options);
    }

    #[test]
    fn other_images_make_one_table() {
        let grid = Grid::read("table1", Some("paper"), Some("photos"), &[]).unwrap();
        let cells = grid.cells().unwrap();
        assert_eq!(cells.len(), 60);
        assert!(cells.iter().all(|cell| cell.options.contains(&"--data=photos".to_owned())));
        assert_eq!(grid.sets[0].published, None);
        assert_eq!(cells[0].name(), "photos-a-b-c-d-e-SimCLR-seed0");
    }

    #[test]
    fn images_have_what_was_published_of_the_set_they_are_called_after() {
        let source = |data: &str| {
            let [set] =
                <[Set; 1]>::try_from(Grid::read("table1", None, Some(data), &[]).unwrap().sets)
                    .unwrap();
            set.published.map(|published| published.source)
        };
        for data in ["cifar10.tar", "data/CIFAR-10", "there/cifar_10-jpeg"] {
            assert!(source(data).unwrap().contains("CIFAR-10,"), "{data}");
        }
        // Though the small scale alone would not take it.
        assert!(source("cifar100.tar").unwrap().contains("CIFAR-100,"));
        assert_eq!(source("cifar10/photos"), None);
        assert_eq!(source("glyphs"), None);
    }

    #[test]
    fn a_forecast_is_of_the_images_that_the_runs_are_of() {
        let with = |text: &str| [setting(text).unwrap()];
        let sizes = |scale: &str, with: &[(String, toml::Value)]| {
            let grid = Grid::read("pairs", Some(scale), None, with).unwrap();
            let options = grid.forecast_options().unwrap().unwrap();
            let sizes: Vec<String> =
                options.into_iter().filter(|option| option.contains("image-size")).collect();
            assert_eq!(grid.forecast_size().is_some(), !sizes.is_empty());
            sizes
        };
        assert_eq!(sizes("small", &[]), ["--image-size=16"]);
        assert_eq!(sizes("small", &with("image-size=24")), ["--image-size=24"]);
        assert_eq!(sizes("smoke", &with("image-size=24")), ["--image-size=24"]);
        assert!(sizes("paper", &with("epochs=3")).is_empty());
    }

    #[test]
    fn options_of_the_command_line_have_the_last_word() {
        let with = |text: &str| Grid::read("table1", None, None, &[setting(text).unwrap()]);
        let grid = with("optimizer=lars").unwrap();
        let cells = grid.cells().unwrap();
        assert!(cells.iter().all(|cell| cell.options.contains(&"--optimizer=lars".to_owned())));
        assert!(grid.about.ends_with("Here with optimizer = \"lars\"."), "{}", grid.about);
        assert_eq!(toml::from_str::<Grid>(&toml::to_string(&grid).unwrap()).unwrap(), grid);
        assert!(with("seed=3").unwrap_err().to_string().contains("the grid's own"));
        assert!(with("data=photos").unwrap_err().to_string().contains("--data"));
        assert_eq!(setting("epochs=3"), Ok(("epochs".to_owned(), 3.into())));
        assert_eq!(setting("--strict=true"), Ok(("strict".to_owned(), true.into())));
        assert!(setting("epochs").is_err() && setting("=3").is_err());
    }

    #[test]
    fn scales_are_for_those_that_have_them() {
        assert!(
            Grid::read("methods-glyphs", Some("small"), None, &[])
                .unwrap_err()
                .to_string()
                .contains("no scales")
        );
        let error = Grid::read("tables", None, None, &[]).unwrap_err().to_string();
        assert!(error.contains("table1") && error.contains("precision"), "{error}");
    }

    #[test]
    fn settings_become_options_and_rows_get_names() {
        let grid: Grid = toml::from_str(
            "title = 't'\nabout = 'a'\nseeds = [3]\n[all]\nepochs = 2\nstrict = \
             true\n[[rows]]\nname = 'MoCo, long queue'\n\
             method = 'mocov2'\nset = ['method.queue=8192', 'method.splits=1']\n[[rows]]\nepochs \
             = 4\ntemperature = 0.5\nstrict = false",
        )
        .unwrap();
        let cells = grid.cells().unwrap();
        assert_eq!(cells[0].name(), "MoCo--long-queue-seed3");
        let set = ["--set=method.queue=8192", "--set=method.splits=1"];
        // By the names of the options.
        assert_eq!(
            cells[0].options,
            ["--seed=3", "--epochs=2", "--method=mocov2", set[0], set[1], "--strict"]
        );
        assert_eq!(cells[1].row, "4 false 0.5");
        assert_eq!(cells[1].options, ["--seed=3", "--epochs=4", "--temperature=0.5"]);
    }

    #[test]
    fn columns_are_crossed_with_rows_and_rows_have_the_last_word() {
        let grid: Grid = toml::from_str(
            "title = ''\nabout = ''\nseeds = [0, 1]\nall = { epochs = 1, lr = 1 }\nrows = \
             [{ augment = 'a' }, { augment = 'ab', lr = 3 }]\n\
             columns = [{ method = 'simclr', lr = 2 }, { method = 'byol' }]",
        )
        .unwrap();
        let cells = grid.cells().unwrap();
        assert_eq!(cells.len(), 8);
        assert_eq!(cells[0].name(), "a-2-simclr-seed0");
        assert_eq!(
            cells[2].options,
            ["--seed=0", "--augment=ab", "--epochs=1", "--lr=3", "--method=simclr"]
        );
        assert!(cells[4..].iter().all(|cell| cell.seed == 1));
    }

    #[test]
    fn refuses_what_makes_no_table() {
        let grid = |text: &str| {
            toml::from_str::<Grid>(&format!("title = ''\nabout = ''\n{text}")).unwrap()
        };
        let cells = |text: &str| grid(text).cells().unwrap_err();
        assert!(cells("seeds = []\nrows = [{}]").contains("a seed"));
        assert!(
            cells("seeds = [1]\nrows = [{ method = 'a' }, { method = 'a' }]").contains("row 2")
        );
        assert!(cells("seeds = [1]\nrows = [{ out = 'a' }]").contains("out"));
        assert!(cells("seeds = [1]\nrows = [{ lr = { a = 1 } }]").contains("lr"));
        let claims = |text: &str| {
            grid(&format!("rows = [{{ method = 'a' }}, {{ method = 'b' }}]\n{text}")).check_claims()
        };
        let claim = |kind: &str, rows: &str| {
            claims(&format!("claims = [{{ says = 'x', kind = '{kind}', rows = {rows} }}]"))
        };
        assert!(claim("order", "['a', 'c']").unwrap_err().contains("about c"));
        assert!(claim("order", "['a']").unwrap_err().contains("two rows or more"));
        assert!(claim("largest-step", "['a']").unwrap_err().contains("two rows"));
        assert!(claim("best", "['a', 'b']").unwrap_err().contains("one row"));
        assert!(claim("worst", "['b']").is_ok());
        let published = |values: &str| {
            claims(&format!(
                "sets = [{{ name = 's', data = 'd', published = {{ source = '', values = {values} \
                 }} }}]"
            ))
        };
        assert!(published("[[[1.0]], [[2.0, 0.1]]]").is_ok());
        assert!(published("[[[1.0]], [[2.0, 0.1]], [[1.0]]]").is_err());
        assert!(published("[[[]]]").is_err());
        let eight = ["[1.0]"; 8].join(", ");
        assert!(
            published(&format!("[[{eight}]]"))
                .unwrap_err()
                .contains("for 8 columns, and there are 7")
        );
        let column = |name: &str, more: &str| {
            claims(&format!(
                "{more}claims = [{{ says = 'x', kind = 'best', rows = ['a'], columns = ['{name}'] \
                 }}]"
            ))
        };
        assert!(column("rank", "").is_ok());
        assert!(column("Rank", "").unwrap_err().contains("looks into Rank"));
        assert!(column("rank", "columns = [{ epochs = 1 }]\n").is_err());
        assert!(column("1", "columns = [{ epochs = 1 }]\n").is_ok());
        assert!(
            column("1 − σ % at 41", "").is_err()
                && column("1 − σ % at 41", "forecast = {}\n").is_ok()
        );
    }

    #[test]
    fn a_scale_overrides_and_names_what_it_cuts() {
        let text = "title = ''\nabout = 'All.'\nall = { epochs = 9 }\nrows = [{ method = 'a' }]\n\
                    [scales.small]\nabout = 'Cut.'\nseeds = [4]\nall = \
                    { epochs = 1 }\n[scales.paper]\nabout = ''\nseeds = [1]";
        let grid = |scale| toml::from_str::<Grid>(text).unwrap().at(scale);
        let small = grid(None).unwrap();
        assert_eq!(small.about, "All. Cut.");
        assert_eq!(small.cells().unwrap()[0].options, ["--seed=4", "--epochs=1", "--method=a"]);
        assert_eq!(
            grid(Some("paper")).unwrap().cells().unwrap()[0].options,
            ["--seed=1", "--epochs=9", "--method=a"]
        );
        assert!(grid(Some("smoke")).unwrap_err().contains("paper, small"));
        let text = "title = ''\nabout = ''\nrows = [{ augment = 'a' }]\ncolumns = \
                    [{ name = 'x', method = 'mocov2' }]\n\
                    [scales.small]\nabout = ''\nseeds = [1]\ncolumns = \
                    [{ name = 'x', set = 'method.splits=2' }]";
        let read = |text: &str| toml::from_str::<Grid>(text).unwrap().at(None);
        let options = &read(text).unwrap().cells().unwrap()[0].options;
        assert_eq!(
            *options,
            ["--seed=1", "--augment=a", "--method=mocov2", "--set=method.splits=2"]
        );
        assert!(
            read(&text.replace("name = 'x', set", "name = 'y', set"))
                .unwrap_err()
                .contains("called y")
        );
    }
}
