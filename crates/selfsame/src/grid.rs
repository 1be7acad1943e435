//! Experiments of many runs, and the tables that come of them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use selfsame::report::record::{EVAL_FILE, Evaluation, METRICS_FILE, MetricPoint, RUN_FILE, RunRecord};
use selfsame::report::{MeanInterval, mean_interval};
use serde::{Deserialize, Serialize};

use crate::misuse;

/// The grids that come with the program, by name.
pub const GRIDS: [(&str, &str); 3] = [
    ("methods-glyphs", include_str!("../grids/methods-glyphs.toml")),
    ("methods-cifar10", include_str!("../grids/methods-cifar10.toml")),
    ("precision", include_str!("../grids/precision.toml")),
];

/// An experiment: each row's settings, once for each seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// What it is called.
    pub title: String,
    /// What a reader must know of it, in a sentence or two.
    pub about: String,
    /// Seeds of every row.
    pub seeds: Vec<u64>,
    /// Options of `selfsame study`, without their dashes, that all rows share.
    #[serde(default)]
    pub all: toml::Table,
    /// Options of each row, and where they say too little, its `name`.
    pub rows: Vec<toml::Table>,
}

/// One run of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub row: String,
    pub seed: u64,
    /// Options for `selfsame study`, but for `--out`.
    pub options: Vec<String>,
}

impl Cell {
    /// A name that no other cell of the grid has, good for a folder.
    pub fn name(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' };
        format!("{}-seed{}", self.row.chars().map(plain).collect::<String>(), self.seed)
    }

    /// Where it lies among the runs of `out`.
    pub fn run(&self, out: &Path) -> PathBuf {
        out.join("runs").join(self.name())
    }
}

impl Grid {
    /// A grid that comes with the program, or the file of one.
    pub fn read(name: &str) -> anyhow::Result<Self> {
        let text = match GRIDS.iter().find(|(own, _)| *own == name) {
            Some((_, text)) => (*text).to_owned(),
            None if name.ends_with(".toml") => {
                std::fs::read_to_string(name).map_err(|e| misuse(format!("{name}: {e}")))?
            }
            None => {
                let names = GRIDS.map(|(name, _)| name).join(", ");
                return Err(misuse(format!(
                    "no grid is called {name}; known are {names}, and files that end in .toml"
                )));
            }
        };
        let grid: Self = toml::from_str(&text).map_err(|e| misuse(format!("{name}: {e}")))?;
        grid.cells().map_err(|e| misuse(format!("{name}: {e}")))?;
        Ok(grid)
    }

    /// Its runs: all rows with the first seed, then with the second, so that an interrupted table is a whole one of
    /// fewer seeds.
    pub fn cells(&self) -> Result<Vec<Cell>, String> {
        let mut cells = Vec::new();
        for &seed in &self.seeds {
            for (number, row) in (1..).zip(&self.rows) {
                let mut settings = self.all.clone();
                settings.extend(row.iter().filter(|(key, _)| *key != "name").map(|(k, v)| (k.clone(), v.clone())));
                let mut options = vec![format!("--seed={seed}")];
                for (key, value) in &settings {
                    if ["seed", "out", "overwrite", "resume", "json"].contains(&key.as_str()) {
                        return Err(format!("row {number}: {key} is the grid's own business; leave it out"));
                    }
                    options.extend(option(key, value).map_err(|e| format!("row {number}: {e}"))?);
                }
                let cell = Cell { row: label(row), seed, options };
                if cells.iter().any(|other: &Cell| other.name() == cell.name()) {
                    return Err(format!("row {number} cannot be told from another; give both a name of their own"));
                }
                cells.push(cell);
            }
        }
        match cells.is_empty() {
            true => Err("a grid needs a seed and a row".to_owned()),
            false => Ok(cells),
        }
    }
}

/// A row's name, or its settings.
fn label(row: &toml::Table) -> String {
    let word = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match row.get("name") {
        Some(name) => word(name),
        None => row.values().map(word).collect::<Vec<_>>().join(" "),
    }
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

/// What came of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    pub row: String,
    pub seed: u64,
    /// Accuracies on the test split, as fractions of 1, before and after training.
    pub knn_acc1: f64,
    pub linear_acc1: f64,
    pub centre_acc1: f64,
    pub untrained_knn_acc1: f64,
    /// Effective rank of the test images' embeddings, before and after training.
    pub rankme: Option<f64>,
    pub untrained_rankme: Option<f64>,
    /// Effective rank and deviation of the outputs of the last batch.
    pub output_rank_me: Option<f64>,
    pub output_std: Option<f64>,
    /// When and how the outputs collapsed, if they did.
    pub collapse: Option<String>,
    /// Seconds of training.
    pub seconds: f64,
    /// When it began.
    pub started: String,
}

/// What came of a cell, if its run is complete.
pub fn outcome(cell: &Cell, out: &Path) -> anyhow::Result<Option<Outcome>> {
    let run = cell.run(out);
    let read = |name: &str| {
        let path = run.join(name);
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            text => text.map(Some).with_context(|| path.display().to_string()),
        }
    };
    let (Some(record), Some(evaluation)) = (read(RUN_FILE)?, read(EVAL_FILE)?) else { return Ok(None) };
    let damaged = |name: &str| format!("{}: damaged; delete it, and run the grid again", run.join(name).display());
    let record: RunRecord = serde_json::from_str(&record).with_context(|| damaged(RUN_FILE))?;
    let evaluation: Evaluation = serde_json::from_str(&evaluation).with_context(|| damaged(EVAL_FILE))?;
    if !record.finished {
        return Ok(None);
    }
    let (Some(test), Some(untrained)) = (evaluation.test, evaluation.untrained) else {
        anyhow::bail!("{}: its images have no labels, so there is nothing for a table", run.display());
    };
    let metrics = read(METRICS_FILE)?.unwrap_or_default();
    let last: Option<MetricPoint> = metrics.lines().last().and_then(|line| serde_json::from_str(line).ok());
    let watched = |name: &str| last.as_ref().and_then(|point| point.watched.get(name).copied());
    Ok(Some(Outcome {
        row: cell.row.clone(),
        seed: cell.seed,
        knn_acc1: test.knn_acc1,
        linear_acc1: test.linear_acc1,
        centre_acc1: test.centre_acc1,
        untrained_knn_acc1: untrained.knn_acc1,
        rankme: evaluation.geometry.and_then(|g| g.rankme),
        untrained_rankme: evaluation.untrained_geometry.and_then(|g| g.rankme),
        output_rank_me: watched("rank_me"),
        output_std: watched("output_std"),
        collapse: record.collapse,
        seconds: record.seconds,
        started: record.started,
    }))
}

/// The table of all complete runs, as Markdown: means over seeds with their 95 % intervals.
pub fn table(grid: &Grid, outcomes: &[Outcome]) -> String {
    let heads = ["kNN %", "gain %", "linear %", "centre %", "rank", "output rank", "seconds", "seeds"];
    let mut rows = vec![[&[""], &heads[..]].concat().into_iter().map(str::to_owned).collect::<Vec<String>>()];
    let mut add = |name: String, of: &[&Outcome], before: bool| {
        let mean = |value: &dyn Fn(&Outcome) -> Option<f64>, scale: f64, digits: usize| {
            let values: Vec<f64> = of.iter().filter_map(|outcome| value(outcome)).map(|v| scale * v).collect();
            match mean_interval(&values) {
                Some(MeanInterval { mean, half: Some(half) }) => format!("{mean:.digits$} ±{half:.digits$}"),
                Some(MeanInterval { mean, half: None }) => format!("{mean:.digits$}"),
                None => "–".to_owned(),
            }
        };
        let trained = |cell: String| if before { "–".to_owned() } else { cell };
        rows.push(vec![
            name,
            mean(&|o| Some(if before { o.untrained_knn_acc1 } else { o.knn_acc1 }), 100.0, 1),
            trained(mean(&|o| Some(o.knn_acc1 - o.untrained_knn_acc1), 100.0, 1)),
            trained(mean(&|o| Some(o.linear_acc1), 100.0, 1)),
            trained(mean(&|o| Some(o.centre_acc1), 100.0, 1)),
            mean(&|o| if before { o.untrained_rankme } else { o.rankme }, 1.0, 1),
            trained(mean(&|o| o.output_rank_me, 1.0, 1)),
            trained(mean(&|o| Some(o.seconds), 1.0, 0)),
            of.len().to_string(),
        ]);
    };
    for row in &grid.rows {
        let name = label(row);
        add(name.clone(), &outcomes.iter().filter(|o| o.row == name).collect::<Vec<_>>(), false);
    }
    // The untrained encoder depends on the seed alone where rows share an encoder; take the first row's.
    let first = grid.rows.first().map(label).unwrap_or_default();
    add("untrained".to_owned(), &outcomes.iter().filter(|o| o.row == first).collect::<Vec<_>>(), true);

    let columns = heads.len() + 1;
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.iter().enumerate().map(|(column, &width)| match column {
        0 => "-".repeat(width),
        _ => format!("{}:", "-".repeat(width.saturating_sub(1))),
    });
    let rule = format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
    line(&rows[0]) + &rule + &rows[1..].iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_grids_make_sense() {
        for (name, _) in GRIDS {
            let rows = if name == "precision" { 2 } else { 12 };
            let cells = Grid::read(name).unwrap().cells().unwrap();
            assert_eq!(cells.len(), 3 * rows, "{name}");
            assert!(cells[0].options.contains(&"--method=simclr".to_owned()), "{:?}", cells[0]);
            assert!(cells[..rows].iter().all(|cell| cell.seed == 0));
        }
    }

    #[test]
    fn settings_become_options_and_rows_get_names() {
        let grid: Grid = toml::from_str(
            "title = 't'\nabout = 'a'\nseeds = [3]\n[all]\nepochs = 2\nstrict = true\n[[rows]]\nname = 'MoCo, long queue'\n\
             method = 'mocov2'\nset = ['method.queue=8192', 'method.splits=1']\n[[rows]]\nepochs = 4\ntemperature = 0.5\nstrict = false",
        )
        .unwrap();
        let cells = grid.cells().unwrap();
        assert_eq!(cells[0].name(), "MoCo--long-queue-seed3");
        let set = ["--set=method.queue=8192", "--set=method.splits=1"];
        // By the names of the options.
        assert_eq!(cells[0].options, ["--seed=3", "--epochs=2", "--method=mocov2", set[0], set[1], "--strict"]);
        assert_eq!(cells[1].row, "4 false 0.5");
        assert_eq!(cells[1].options, ["--seed=3", "--epochs=4", "--temperature=0.5"]);
    }

    #[test]
    fn refuses_what_makes_no_table() {
        let grid = |text: &str| toml::from_str::<Grid>(&format!("title = ''\nabout = ''\n{text}")).unwrap().cells();
        assert!(grid("seeds = []\nrows = [{}]").unwrap_err().contains("a seed"));
        assert!(grid("seeds = [1]\nrows = [{ method = 'a' }, { method = 'a' }]").unwrap_err().contains("row 2"));
        assert!(grid("seeds = [1]\nrows = [{ out = 'a' }]").unwrap_err().contains("out"));
        assert!(grid("seeds = [1]\nrows = [{ lr = { a = 1 } }]").unwrap_err().contains("lr"));
    }

    #[test]
    fn a_table_has_means_and_intervals() {
        let outcome = |seed, knn_acc1| Outcome {
            row: "x".into(),
            seed,
            knn_acc1,
            linear_acc1: 0.5,
            centre_acc1: 0.25,
            untrained_knn_acc1: 0.1,
            rankme: Some(3.0),
            untrained_rankme: Some(2.0),
            output_rank_me: None,
            output_std: None,
            collapse: None,
            seconds: 10.0,
            started: String::new(),
        };
        let text = "title = ''\nabout = ''\nseeds = [0, 1]\nrows = [{ name = 'x' }]";
        let table = table(&toml::from_str(text).unwrap(), &[outcome(0, 0.4), outcome(1, 0.5)]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        // Two values 0.1 apart: a mean of 0.45, and 12.706 times the standard error of 0.05.
        assert!(lines[2].contains("45.0 ±63.5") && lines[2].contains("35.0 ±63.5"), "{table}");
        assert!(lines[3].starts_with("| untrained ") && lines[3].contains("10.0 ±0.0"), "{table}");
    }
}
