//! Runs a grid: trains each cell as a run in its own folder, and makes the tables of the results.
//!
//! Complete work is not repeated, so the same call continues after a stop. Several processes can
//! share a folder, each of them running one shard of the cells.

mod claims;
mod column;
mod estimate;
mod folder;
mod here;
mod process;
mod tables;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use selfsame_augment::Isa;
use selfsame_data::DataError;
use selfsame_report::experiment::{
    EXPERIMENT_FILE, EXPERIMENT_PAGE, EXPERIMENT_TABLE, Experiment, Outcome,
};
use selfsame_report::forecast::{FORECAST_FILE, Forecast};
use selfsame_report::record::EmbeddingMap;
use selfsame_report::{about, render_experiment, write_atomic, write_json};

pub use self::estimate::estimate;
use self::process::Stage;
use crate::grid::{Cell, Grid, GridError, read_record, words};
use crate::{
    Error, ForecastOptions, Images, Progress, ResumeOptions, Run, StudyOptions, in_use,
    resume_study,
};

/// Number of failures after which no further run is started, unless a run has succeeded.
const FAILURES: usize = 3;

/// Time between two checks of a folder that another process has locked.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Options of a study that also apply to resuming a study.
const RESUMED: [&str; 4] = ["strict", "on-collapse", "device", "save-every"];

/// How a grid is run.
#[derive(Clone, Debug)]
pub struct ReproduceOptions {
    /// Folder of the grid: its runs, their logs, the forecast, and the tables.
    pub out: PathBuf,
    /// Shard I of N of the cells: every Nth cell, starting with the Ith, counted from 1.
    pub shard: (usize, usize),
    /// Program that is started anew for each run, so that a killed run does not affect the others.
    /// If `None`, the runs take place in this process, one after another.
    pub program: Option<Program>,
    /// The command that asked for the grid, word by word, for the record.
    pub command: Vec<String>,
    /// Commit that the program was built from, for the record.
    pub commit: String,
}

impl Default for ReproduceOptions {
    fn default() -> Self {
        Self {
            out: PathBuf::from("runs/grid"),
            shard: (1, 1),
            program: None,
            command: Vec::new(),
            commit: String::new(),
        }
    }
}

impl ReproduceOptions {
    /// Returns the shard, if there is such a shard.
    fn shard(&self) -> Result<(usize, usize), Error> {
        let (part, parts) = self.shard;
        match (1..=parts).contains(&part) {
            true => Ok(self.shard),
            false => {
                let cause = "shards are counted from 1, as 1/4 for the first of four";
                Err(Error::option("shard", format!("{part}/{parts}"), cause))
            }
        }
    }

    /// Returns the number of processor threads that runs use.
    fn threads(&self) -> usize {
        let asked = self.program.as_ref().and_then(|program| program.threads);
        asked.unwrap_or_else(rayon::current_num_threads)
    }
}

/// The program `selfsame`, and how it is started.
#[derive(Clone, Debug)]
pub struct Program {
    /// File of the program.
    pub path: PathBuf,
    /// Number of processor threads. If `None`, the program decides.
    pub threads: Option<usize>,
    /// Instruction set. If `None`, the program decides.
    pub isa: Option<Isa>,
}

/// Runs the cells of a grid that are not complete yet, and makes the tables of all complete runs.
/// Writes `result.json`, `table.md` and `report.html` in [`ReproduceOptions::out`].
///
/// A run that fails does not end the other runs. [`Experiment::failed`] names it, and its log gives
/// the reason. A run that another process has locked is waited for.
///
/// # Errors
/// If the grid or an option makes no sense, if the folder holds something else, or if a file cannot
/// be read or written. [`Error::Stopped`] after a stop; the tables of the complete runs are written first.
///
/// ```
/// use selfsame::ReproduceOptions;
/// use selfsame::grid::Grid;
///
/// # let folder = tempfile::tempdir()?;
/// # let out = folder.path().join("out");
/// let grid: Grid = toml::from_str(
///     "title = 'Two methods'
///      about = 'Tiny.'
///      seeds = [0]
///      all = { limit = 20, image-size = 8, width = 1, epochs = 1 }
///      rows = [{ method = 'simclr' }, { method = 'byol' }]",
/// )?;
/// let options = ReproduceOptions { out, ..ReproduceOptions::default() };
/// let experiment = selfsame::reproduce(&grid, &options, &mut ())?;
/// assert_eq!((experiment.done, experiment.tables[0].rows.len()), (2, 5)); // and three baselines
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn reproduce(
    grid: &Grid,
    options: &ReproduceOptions,
    progress: &mut dyn Progress,
) -> Result<Experiment, Error> {
    check(grid)?;
    options.shard()?;
    let cells = cells(grid)?;
    folder::claim(&options.out, grid)?;
    let failed = Work { grid, options, cells: &cells, progress: &mut *progress }.run_all();
    progress.finish();
    let failed = match failed {
        Err(Error::Stopped) => None,
        failed => Some(failed?),
    };
    let experiment = results(grid, options)?;
    match failed {
        Some(failed) => Ok(Experiment { failed, ..experiment }),
        None => Err(Error::Stopped),
    }
}

/// Writes the tables of all complete runs, whichever process trained them. Starts no run.
///
/// # Errors
/// If a record is damaged, or if a file cannot be read or written.
pub fn results(grid: &Grid, options: &ReproduceOptions) -> Result<Experiment, Error> {
    let out = &options.out;
    // If two shards end at the same time, the later tables must stay, so lock the folder. Some file
    // systems have no locks; write without a lock there.
    let path = out.join(Run::LOCK_FILE);
    let lock = File::create(&path).map_err(Error::file(&path))?;
    let _ = lock.lock();
    let cells = cells(grid)?;
    let outcomes = cells.iter().filter_map(|cell| cell.outcome(out).transpose());
    let outcomes: Vec<Outcome> = outcomes.collect::<Result<_, _>>()?;
    let forecast = forecast(&out.join("forecast"), grid)?;
    let experiment = Experiment {
        title: grid.title.clone(),
        about: grid.about.clone(),
        selfsame: env!("CARGO_PKG_VERSION").to_owned(),
        commit: options.commit.clone(),
        command: options.command.clone(),
        machines: machines(&outcomes),
        threads: options.threads() as u64,
        runs: cells.len() as u64,
        done: outcomes.len() as u64,
        started: outcomes.iter().map(|run| run.started.clone()).min().unwrap_or_default(),
        seconds: outcomes.iter().map(|run| run.seconds).sum(),
        tables: tables::tables(grid, &outcomes, forecast.as_ref()),
        maps: if grid.maps { maps(grid, &cells, out)? } else { Vec::new() },
        grid: serde_json::to_value(grid).expect("a grid is plain tables"),
        forecast: forecast.map(|forecast| forecast.command),
        outcomes,
        failed: Vec::new(),
    };
    // Convert to a JSON value first, which puts the keys in alphabetical order.
    let record = serde_json::to_value(&experiment).expect("an experiment is plain values");
    write_json(&out.join(EXPERIMENT_FILE), &record)?;
    write_atomic(&out.join(EXPERIMENT_TABLE), experiment.markdown().as_bytes())?;
    write_atomic(&out.join(EXPERIMENT_PAGE), render_experiment(&experiment).as_bytes())?;
    Ok(experiment)
}

/// Refuses a grid with options that no run or no forecast takes, or with images that do not exist.
///
/// # Errors
/// [`Error::Grid`] or [`Error::Data`] for the first such run.
pub fn check(grid: &Grid) -> Result<(), Error> {
    for cell in cells(grid)? {
        check_images(&study(grid, &cell)?.data)?;
    }
    if grid.forecast.is_some() {
        let refuse = |cause| Error::Grid { name: grid.name.clone(), cause };
        check_images(&grid.forecast_settings().map_err(refuse)?.data.as_str().into())?;
    }
    Ok(())
}

fn check_images(images: &Images) -> Result<(), Error> {
    match images {
        Images::Named(name) if !images.are_glyphs() && !Path::new(name).exists() => {
            let source = DataError::NotFound { path: name.into() };
            Err(Error::Data { name: name.clone(), source })
        }
        _ => Ok(()),
    }
}

fn study(grid: &Grid, cell: &Cell) -> Result<StudyOptions, Error> {
    cell.study().map_err(|cause| Error::Grid { name: grid.name.clone(), cause })
}

fn cells(grid: &Grid) -> Result<Vec<Cell>, Error> {
    grid.cells().map_err(|cause| Error::Grid { name: grid.name.clone(), cause })
}

/// Returns the cells of shard I of N.
fn shard(cells: &[Cell], (part, parts): (usize, usize)) -> impl Iterator<Item = &Cell> {
    cells.iter().skip(part - 1).step_by(parts)
}

/// Returns the machines that the runs were trained on, in the order of the runs.
fn machines(outcomes: &[Outcome]) -> Vec<String> {
    let mut machines: Vec<String> = Vec::new();
    for machine in outcomes.iter().flat_map(|outcome| &outcome.machines) {
        if !machines.contains(machine) {
            machines.push(machine.clone());
        }
    }
    machines
}

/// Returns the maps of the first seed's runs, each with the name of its row.
fn maps(grid: &Grid, cells: &[Cell], out: &Path) -> Result<Vec<(String, EmbeddingMap)>, Error> {
    let first = cells.iter().filter(|cell| Some(&cell.seed) == grid.seeds.first());
    let maps = first.filter_map(|cell| Some((cell.row.clone(), cell.map(out).transpose()?)));
    maps.map(|(row, map)| Ok((row, map?))).collect()
}

/// Reads the forecast of the rows' policies, if it is complete and its images are as large as the
/// runs' images.
fn forecast(folder: &Path, grid: &Grid) -> Result<Option<Forecast>, Error> {
    let forecast: Option<Forecast> = read_record(&folder.join(FORECAST_FILE))?;
    let size = grid.forecast_size();
    Ok(forecast.filter(|forecast| size.is_none_or(|size| size == i64::from(forecast.image_size))))
}

/// The work on the runs of a grid, or on one shard of them.
struct Work<'a> {
    grid: &'a Grid,
    options: &'a ReproduceOptions,
    cells: &'a [Cell],
    progress: &'a mut dyn Progress,
}

impl Work<'_> {
    /// Runs everything that is not complete yet. Returns the names of the runs that failed.
    fn run_all(mut self) -> Result<Vec<String>, Error> {
        let cells: Vec<&Cell> = shard(self.cells, self.options.shard).collect();
        let total = cells.len() as u64;
        let mut failed = Vec::new();
        // Only the first shard makes the forecast, so that it is made once.
        if self.options.shard.0 == 1 && !self.forecast(Stage { done: 0, total })? {
            self.failure("forecast");
            failed.push("forecast".to_owned());
        }
        let before = failed.len();
        let (start, mut begun) = (Instant::now(), 0);
        for (number, cell) in cells.iter().enumerate() {
            self.check_stop()?;
            if cell.outcome(&self.options.out)?.is_some() {
                continue;
            }
            let left = match begun {
                0 => String::new(),
                begun => {
                    let each = start.elapsed().as_secs_f64() / f64::from(begun);
                    format!(", about {} left", about(each * (cells.len() - number) as f64))
                }
            };
            let position = format!("run {} of {total}", number + 1);
            self.progress.note(&format!("{position}: {}{left}", cell.name()));
            match self.train(cell, Stage { done: number as u64, total })? {
                Some(outcome) => self.progress.note(&format!(
                    "  kNN {:.1}%, untrained {:.1}%",
                    100.0 * outcome.knn_acc1,
                    100.0 * outcome.untrained_knn_acc1
                )),
                None => {
                    self.failure(&cell.name());
                    failed.push(cell.name());
                }
            }
            begun += 1;
            if begun as usize == FAILURES && failed.len() - before == FAILURES {
                self.progress.note("the first runs have all failed, so the others are not begun");
                break;
            }
        }
        Ok(failed)
    }

    /// Makes the forecast that the grid asks for, unless it exists. Returns whether it exists
    /// afterwards.
    fn forecast(&mut self, stage: Stage) -> Result<bool, Error> {
        if self.grid.forecast.is_none() {
            return Ok(true);
        }
        let folder = self.options.out.join("forecast");
        loop {
            // A process that has locked the folder may complete the forecast.
            self.wait(&folder)?;
            if forecast(&folder, self.grid)?.is_some() {
                return Ok(true);
            }
            self.progress.note("the forecast of the rows' views");
            let succeeded = match &self.options.program {
                Some(program) => self.forecast_in(program, &folder, stage)?,
                None => self.forecast_here(&folder, stage)?,
            };
            if succeeded || !in_use(&folder) {
                return Ok(succeeded || forecast(&folder, self.grid)?.is_some());
            }
        }
    }

    /// Makes the forecast in a separate process. Returns whether it succeeded.
    fn forecast_in(
        &mut self,
        program: &Program,
        folder: &Path,
        stage: Stage,
    ) -> Result<bool, Error> {
        let words = self.grid.forecast_words().map_err(|cause| self.refuse(cause))?;
        let mut command = command(program, "forecast");
        command.args(words).arg("--out").arg(folder);
        if folder.join(FORECAST_FILE).is_file() {
            // The existing forecast is of other images than the runs' images.
            command.arg("--overwrite");
        }
        process::follow(command, &self.log("forecast"), stage, self.progress)
    }

    /// Makes the forecast in this process. Returns whether it succeeded.
    fn forecast_here(&mut self, folder: &Path, stage: Stage) -> Result<bool, Error> {
        let settings = self.grid.forecast_settings().map_err(|cause| self.refuse(cause))?;
        let words = self.grid.forecast_words().map_err(|cause| self.refuse(cause))?;
        let command = ["selfsame", "forecast"].into_iter().map(str::to_owned).chain(words);
        let options = ForecastOptions {
            out: Some(folder.to_owned()),
            // An existing forecast is of other images than the runs' images.
            overwrite: folder.join(FORECAST_FILE).is_file(),
            command: command.collect(),
            ..settings.options
        };
        let work = |progress: &mut dyn Progress| {
            let dataset = crate::load(&settings.data, &settings.images, progress)?;
            crate::forecast(&dataset, &settings.policies, &options, progress).map(drop)
        };
        here::follow(work, &self.log("forecast"), stage, self.progress)
    }

    /// Trains and measures a cell, or resumes it. Returns `None` if that fails.
    fn train(&mut self, cell: &Cell, stage: Stage) -> Result<Option<Outcome>, Error> {
        let out = &self.options.out;
        let run = cell.run(out);
        loop {
            // A process that has locked the folder may complete the run.
            self.wait(&run)?;
            if let Some(outcome) = cell.outcome(out)? {
                return Ok(Some(outcome));
            }
            let succeeded = match &self.options.program {
                Some(program) => self.study_in(program, cell, stage)?,
                None => self.study_here(cell, stage)?,
            };
            // Another process may have completed the run meanwhile.
            if succeeded || !in_use(&run) {
                return cell.outcome(out);
            }
        }
    }

    /// Starts or resumes a run in a separate process. Returns whether it succeeded.
    fn study_in(&mut self, program: &Program, cell: &Cell, stage: Stage) -> Result<bool, Error> {
        let run = cell.run(&self.options.out);
        let mut command = command(program, "study");
        if run.join(Run::CONFIG_FILE).is_file() {
            let shared = RESUMED.iter().filter_map(|key| Some((key, cell.options.get(*key)?)));
            for (key, value) in shared {
                command.args(words(key, value).map_err(|cause| self.refuse(cause))?);
            }
            command.arg("--resume").arg(&run);
        } else {
            command.args(&cell.words).arg("--out").arg(&run);
        }
        process::follow(command, &self.log(&cell.name()), stage, self.progress)
    }

    /// Starts or resumes a run in this process. Returns whether it succeeded.
    fn study_here(&mut self, cell: &Cell, stage: Stage) -> Result<bool, Error> {
        let options = study(self.grid, cell)?;
        let run = cell.run(&self.options.out);
        let work = |progress: &mut dyn Progress| {
            if run.join(Run::CONFIG_FILE).is_file() {
                let options = ResumeOptions {
                    strict: options.strict,
                    on_collapse: options.on_collapse,
                    device: options.device,
                    save_every: options.save_every,
                    ..ResumeOptions::default()
                };
                resume_study(&run, &options, progress).map(drop)
            } else {
                let words = ["selfsame", "study"].into_iter().map(str::to_owned);
                let out = format!("--out={}", run.display());
                let command = words.chain(cell.words.iter().cloned()).chain([out]).collect();
                let options = StudyOptions { out: Some(run), command, ..options };
                crate::study(&options, progress).map(drop)
            }
        };
        here::follow(work, &self.log(&cell.name()), stage, self.progress)
    }

    fn refuse(&self, cause: GridError) -> Error {
        Error::Grid { name: self.grid.name.clone(), cause }
    }

    /// Waits until no other process has locked the folder. A run that has outlived the program that
    /// started it is such a process.
    fn wait(&mut self, folder: &Path) -> Result<(), Error> {
        if in_use(folder) {
            self.progress.note(&format!(
                "  {} is in use by another selfsame process; waiting until it ends",
                folder.display()
            ));
        }
        while in_use(folder) {
            self.check_stop()?;
            std::thread::sleep(LOOK_EVERY);
        }
        self.check_stop()
    }

    fn check_stop(&self) -> Result<(), Error> {
        if self.progress.stop() { Err(Error::Stopped) } else { Ok(()) }
    }

    fn failure(&mut self, name: &str) {
        self.progress.note(&format!("  failed; {} says why", self.log(name).display()));
    }

    fn log(&self, name: &str) -> PathBuf {
        self.options.out.join("logs").join(format!("{name}.log"))
    }
}

/// Builds a command that calls the program with a verb.
fn command(program: &Program, verb: &str) -> Command {
    let mut command = Command::new(&program.path);
    command.args(program.threads.map(|threads| format!("--threads={threads}")));
    command.args(program.isa.map(|isa| format!("--isa={isa}")));
    command.arg(verb);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::GridOptions;

    /// A listener that always asks to stop.
    struct Stop;

    impl Progress for Stop {
        fn stop(&self) -> bool {
            true
        }
    }

    #[test]
    fn after_ctrl_c_nothing_is_started() {
        let folder = tempfile::tempdir().unwrap();
        let scale = GridOptions { scale: Some("smoke".to_owned()), ..GridOptions::default() };
        let grid = Grid::read("pairs", &scale).unwrap();
        let options = ReproduceOptions {
            out: folder.path().into(),
            program: Some(Program { path: "selfsame".into(), threads: None, isa: None }),
            ..ReproduceOptions::default()
        };
        assert!(matches!(reproduce(&grid, &options, &mut Stop), Err(Error::Stopped)));
        for started in ["runs", "logs", "forecast"] {
            assert_eq!(folder.path().join(started).read_dir().unwrap().count(), 0, "{started}");
        }
        assert!(folder.path().join("table.md").is_file());
    }
}
