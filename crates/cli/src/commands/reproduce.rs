//! `selfsame reproduce`.

mod estimate;
mod results;

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use indicatif::HumanDuration;
use selfsame::data::DataError;
use selfsame::report::experiment::{
    EXPERIMENT_FILE, EXPERIMENT_PAGE, EXPERIMENT_TABLE, Experiment,
};
use selfsame::report::forecast::FORECAST_FILE;
use selfsame::report::{render_experiment, write_atomic, write_json};
use selfsame::{Run, in_use};
use serde_json::{Value, json};

use super::{INTERRUPTED, quoted, shown, typed};
use crate::args::{Args, Command as Verb, Pretrain, Reproduce};
use crate::grid::{self, Cell, EXPERIMENTS, Grid, Outcome, outcome};
use crate::misuse;
use crate::terminal::{Bar, Terminal, unread};

const GRID_FILE: &str = "grid.toml";
/// Of the runs, of what each of them said, and of the forecast.
const FOLDERS: [&str; 3] = ["runs", "logs", "forecast"];

pub fn run(args: &Reproduce, threads: Option<usize>) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let names: Vec<&str> = match args.grid.as_str() {
        "all" => EXPERIMENTS.iter().map(|(name, _)| *name).collect(),
        name => vec![name],
    };
    // As its option spells it.
    let scale = args.scale.and_then(|scale| Some(scale.to_possible_value()?.get_name().to_owned()));
    let read = |name: &&str| Grid::read(name, scale.as_deref(), args.data.as_deref(), &args.with);
    let grids: Vec<Grid> = names.iter().map(read).collect::<Result<_, _>>()?;
    // What no run could take is said before there is a folder.
    for grid in &grids {
        for cell in grid.cells().map_err(misuse)? {
            let data = study(&cell)?.data;
            if data != "glyphs" && !Path::new(&data).exists() {
                return Err(unread(
                    &format!("--data {data}"),
                    &DataError::NotFound { path: data.into() },
                ));
            }
        }
    }
    let out = |name: &str| {
        let stem = Path::new(name)
            .file_stem()
            .map_or_else(|| "grid".into(), |stem| stem.to_string_lossy());
        match &args.out {
            Some(out) if args.grid == "all" => out.join(&*stem),
            Some(out) => out.clone(),
            // Scales are experiments of their own, and each has a folder.
            None => match scale.as_deref() {
                None | Some("small") => Path::new("runs").join(&*stem),
                Some(scale) => Path::new("runs").join(format!("{stem}-{scale}")),
            },
        }
    };
    if args.dry_run {
        let mut all = Vec::new();
        for (name, grid) in names.iter().zip(&grids) {
            holds(&out(name), grid)?;
            all.push(estimate::estimate(name, grid, &out(name), args.shard, threads, &terminal)?);
        }
        terminal.result(&json!({ "experiments": all }));
        return Ok(ExitCode::SUCCESS);
    }

    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // The run under way hears of it too, saves its state and ends.
    ctrlc::set_handler(move || {
        if !flag.swap(true, Ordering::Relaxed) {
            eprintln!("\nstopping as soon as the run under way has saved its state");
        }
    })
    .context("cannot listen for Ctrl-C")?;
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for (name, grid) in names.iter().zip(&grids) {
        let work =
            Work { grid, out: out(name), shard: args.shard, threads, interrupted: &interrupted };
        claim(&work.out, grid)?;
        let bad = work.run_all()?;
        found.push(work.gather(&terminal)?);
        match bad {
            Some(bad) => failed.extend(bad),
            None => return Ok(ExitCode::from(INTERRUPTED)),
        }
    }
    let result = match <[Value; 1]>::try_from(found) {
        Ok([one]) => one,
        Err(all) => json!({ "experiments": all }),
    };
    terminal.result(&result);
    match failed.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => {
            let more = failed.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            anyhow::bail!(
                "{} of the runs failed: {}{more}",
                failed.len(),
                failed[..failed.len().min(NAMED)].join(", ")
            )
        }
    }
}

/// Failures that are named, and after which, if none has succeeded, no more are to be expected of
/// the rest.
const NAMED: usize = 3;

/// How long a run that has heard Ctrl-C may take to save its state.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every how manyth cell, from which on, a part of the work is: part I of N.
fn part(cells: &[Cell], (part, parts): (usize, usize)) -> impl Iterator<Item = &Cell> {
    cells.iter().skip(part - 1).step_by(parts)
}

/// A grid's runs, or a part of them, to be done in a folder.
struct Work<'a> {
    grid: &'a Grid,
    out: PathBuf,
    shard: (usize, usize),
    threads: Option<usize>,
    interrupted: &'a AtomicBool,
}

impl Work<'_> {
    /// Does what is not done yet; names of what failed, or none if it was interrupted.
    fn run_all(&self) -> anyhow::Result<Option<Vec<String>>> {
        let cells = self.grid.cells().map_err(misuse)?;
        let mine: Vec<&Cell> = part(&cells, self.shard).collect();
        let (mut failed, mut took) = (Vec::new(), Vec::new());
        let bar = Bar::new("runs");
        // One of the parts makes the forecast, so that none is made twice.
        if self.shard.0 == 1
            && !self.forecast(&bar, &mut |line| bar.set(0, mine.len() as u64, line))?
        {
            bar.line(&format!("  failed; {} says why", self.log("forecast").display()));
            failed.push("forecast".to_owned());
        }
        let before = failed.len();
        for (number, cell) in mine.iter().enumerate() {
            if self.is_stopped() {
                break;
            }
            if outcome(cell, &self.out)?.is_some() {
                continue;
            }
            let left = mine.len() - number;
            let estimate = mean(&took).map_or_else(String::new, |each: Duration| {
                format!(", about {} left", HumanDuration(each * left as u32))
            });
            bar.line(&format!("run {} of {}: {}{estimate}", number + 1, mine.len(), cell.name()));
            let began = Instant::now();
            let done = self
                .train(cell, &bar, &mut |line| bar.set(number as u64, mine.len() as u64, line))?;
            if self.is_stopped() {
                break;
            }
            match done {
                Some(done) => bar.line(&format!(
                    "  kNN {:.1} %, untrained {:.1} %",
                    100.0 * done.knn_acc1,
                    100.0 * done.untrained_knn_acc1
                )),
                None => {
                    bar.line(&format!("  failed; {} says why", self.log(&cell.name()).display()));
                    failed.push(cell.name());
                }
            }
            took.push(began.elapsed());
            if took.len() == NAMED && failed.len() - before == NAMED {
                bar.line("the first runs have all failed, so the others are not begun");
                break;
            }
        }
        if self.is_stopped() {
            bar.line("stopped; the same command goes on");
            return Ok(None);
        }
        bar.finish();
        Ok(Some(failed))
    }

    /// Makes the forecast that the grid asks for, if it does and there is none yet; whether that
    /// succeeded, or was interrupted.
    fn forecast(&self, bar: &Bar, on_line: &mut dyn FnMut(String)) -> anyhow::Result<bool> {
        let Some(options) = self.grid.forecast_options() else { return Ok(true) };
        let folder = self.out.join("forecast");
        self.wait(&folder, bar);
        if self.is_stopped() || results::forecast(&folder, self.grid)?.is_some() {
            return Ok(true);
        }
        bar.line("the forecast of the rows' views");
        let mut command = self.command("forecast")?;
        command.args(options.map_err(misuse)?).arg("--out").arg(&folder);
        if folder.join(FORECAST_FILE).is_file() {
            // It is of other images than the runs.
            command.arg("--overwrite");
        }
        Ok(self.follow(command, &self.log("forecast"), on_line)? || self.is_stopped())
    }

    /// Trains and measures a cell in a process of its own, or goes on with it; what came of it, if
    /// that succeeded.
    fn train(
        &self,
        cell: &Cell,
        bar: &Bar,
        on_line: &mut dyn FnMut(String),
    ) -> anyhow::Result<Option<Outcome>> {
        let run = cell.run(&self.out);
        loop {
            // Whoever has it may do it.
            self.wait(&run, bar);
            let done = outcome(cell, &self.out)?;
            if self.is_stopped() || done.is_some() {
                return Ok(done);
            }
            let mut command = self.command("study")?;
            if run.join("config.toml").is_file() {
                command.arg("--resume").arg(&run);
            } else {
                command.args(&cell.options).arg("--out").arg(&run);
            }
            let ended = self.follow(command, &self.log(&cell.name()), on_line)?;
            if ended || self.is_stopped() || !in_use(&run) {
                return Ok(outcome(cell, &self.out)?.filter(|_| ended));
            }
        }
    }

    /// Waits until no other process holds the folder, such as a run that has outlived a command
    /// which was killed.
    fn wait(&self, folder: &Path, bar: &Bar) {
        if in_use(folder) {
            bar.line(&format!(
                "  {} is in use by another selfsame process; waiting until it ends",
                folder.display()
            ));
        }
        while in_use(folder) && !self.is_stopped() {
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Runs a command whose messages go to a file and, line by line, to `on_line`; whether it
    /// succeeded.
    fn follow(
        &self,
        mut command: Command,
        path: &Path,
        on_line: &mut dyn FnMut(String),
    ) -> anyhow::Result<bool> {
        let mut log = File::create(path).with_context(|| path.display().to_string())?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| {
                format!("cannot start {}", quoted(Path::new(command.get_program())))
            })?;
        let lines = BufReader::new(child.stderr.take().context("the run's messages")?).lines();
        let mut stopped = None;
        for line in lines.map_while(Result::ok) {
            writeln!(log, "{line}").with_context(|| path.display().to_string())?;
            on_line(line);
            // Ctrl-C reaches the run as well, but a signal to this process alone does not; what is
            // lost is made again.
            if self.is_stopped() && stopped.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                child.kill().with_context(|| shown(path))?;
            }
        }
        Ok(child.wait().with_context(|| shown(path))?.success())
    }

    fn is_stopped(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// This program with another command.
    fn command(&self, verb: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("this program's own file")?);
        command.args(self.threads.map(|n| format!("--threads={n}"))).arg(verb);
        Ok(command)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.out.join("logs").join(format!("{name}.log"))
    }

    /// Writes and says what came of all runs that are complete, whichever process did them.
    fn gather(&self, terminal: &Terminal) -> anyhow::Result<Value> {
        let Work { grid, out, .. } = self;
        // Of two parts that end together, what stays is what the later one found. A file system
        // without locks is no reason not to write.
        let path = out.join(Run::LOCK_FILE);
        let lock = File::create(&path).with_context(|| path.display().to_string())?;
        let _ = lock.lock();
        let cells = grid.cells().map_err(misuse)?;
        let outcomes: Vec<Outcome> = cells
            .iter()
            .map(|cell| outcome(cell, out))
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect();
        let forecast = results::forecast(&out.join("forecast"), grid)?;
        let mut machines: Vec<String> = Vec::new();
        for machine in outcomes.iter().flat_map(|outcome| &outcome.machines) {
            if !machines.contains(machine) {
                machines.push(machine.clone());
            }
        }
        let experiment = Experiment {
            title: grid.title.clone(),
            about: grid.about.clone(),
            selfsame: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("SELFSAME_COMMIT").to_owned(),
            command: typed(),
            machines,
            threads: self.threads.unwrap_or_else(rayon::current_num_threads) as u64,
            runs: cells.len() as u64,
            done: outcomes.len() as u64,
            started: outcomes
                .iter()
                .map(|outcome| outcome.started.clone())
                .min()
                .unwrap_or_default(),
            seconds: outcomes.iter().map(|outcome| outcome.seconds).sum(),
            tables: results::tables(grid, &outcomes, forecast.as_ref()),
            maps: if grid.maps { self.maps(&cells)? } else { Vec::new() },
        };
        let mut result = serde_json::to_value(&experiment)?;
        result["grid"] = serde_json::to_value(grid)?;
        result["outcomes"] = serde_json::to_value(&outcomes)?;
        if let Some(forecast) = &forecast {
            result["forecast"] = serde_json::to_value(&forecast.command)?;
        }
        write_json(&out.join(EXPERIMENT_FILE), &result)?;
        let text = experiment.markdown();
        write_atomic(&out.join(EXPERIMENT_TABLE), text.as_bytes())?;
        write_atomic(&out.join(EXPERIMENT_PAGE), render_experiment(&experiment).as_bytes())?;
        terminal.say(&text);
        if outcomes.len() < cells.len() {
            terminal.status(&format!("{} of {} runs are done", outcomes.len(), cells.len()));
        }
        terminal.status(&format!("table    {}", out.join(EXPERIMENT_TABLE).display()));
        terminal.status(&format!("report   {}", out.join(EXPERIMENT_PAGE).display()));
        Ok(result)
    }

    /// The maps of the first seed's runs, row by row.
    fn maps(
        &self,
        cells: &[Cell],
    ) -> anyhow::Result<Vec<(String, selfsame::report::record::EmbeddingMap)>> {
        let mut maps = Vec::new();
        let first = self.grid.seeds.first();
        for cell in cells.iter().filter(|cell| Some(&cell.seed) == first) {
            if let Some(map) = grid::map(cell, &self.out)? {
                maps.push((cell.row.clone(), map));
            }
        }
        Ok(maps)
    }
}

/// The options of a cell, read as `study` reads them.
fn study(cell: &Cell) -> anyhow::Result<Pretrain> {
    let words =
        ["selfsame", "study"].into_iter().map(str::to_owned).chain(cell.options.iter().cloned());
    match Args::try_parse_from(words).map_err(|e| misuse(format!("{}: {e}", cell.name())))?.command
    {
        Verb::Study(args) => Ok(args),
        _ => bail!("{}: no options of a study", cell.name()),
    }
}

fn mean(durations: &[Duration]) -> Option<Duration> {
    (!durations.is_empty()).then(|| durations.iter().sum::<Duration>() / durations.len() as u32)
}

/// Makes the folder this grid's; another grid's results stay. Processes that start together, each
/// with its shard, want the same file, so that whichever comes first makes it theirs.
fn claim(out: &Path, grid: &Grid) -> anyhow::Result<()> {
    if !holds(out, grid)? {
        std::fs::create_dir_all(out).with_context(|| shown(out))?;
        create(&out.join(GRID_FILE), &text(grid)?)?;
        // Another grid may have come first.
        holds(out, grid)?;
    }
    for folder in FOLDERS {
        std::fs::create_dir_all(out.join(folder)).with_context(|| shown(out))?;
    }
    Ok(())
}

/// Whether the folder is this grid's already; refuses one that holds something else.
fn holds(out: &Path, grid: &Grid) -> anyhow::Result<bool> {
    let (path, shown) = (out.join(GRID_FILE), out.display());
    match std::fs::read_to_string(&path) {
        Ok(found) if found == text(grid)? => Ok(true),
        Ok(_) => Err(misuse(format!(
            "{shown} holds the runs of a grid with other settings; name another folder with --out"
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            match stranger(out).with_context(|| shown.to_string())? {
                Some(name) => Err(misuse(format!(
                    "{shown} holds {name:?}, something else; name another folder with --out"
                ))),
                None => Ok(false),
            }
        }
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

fn text(grid: &Grid) -> anyhow::Result<String> {
    toml::to_string(grid).context("the grid as TOML")
}

/// Writes a file, whole or not at all, unless there is one.
fn create(path: &Path, text: &str) -> anyhow::Result<()> {
    let failed = || path.display().to_string();
    let mut builder = tempfile::Builder::new();
    builder.prefix(".grid");
    // As any other file's: those who share the folder share the runs.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file =
        builder.tempfile_in(path.parent().unwrap_or(Path::new("."))).with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    match file.persist_noclobber(path) {
        Err(error) if error.error.kind() != ErrorKind::AlreadyExists => {
            Err(error.error).with_context(failed)
        }
        _ => Ok(()),
    }
}

/// The name of something in `out` that no grid makes, if there is any. Hidden files are what
/// systems and writes that are under way or were interrupted leave.
fn stranger(out: &Path) -> std::io::Result<Option<String>> {
    let entries = match out.read_dir() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != GRID_FILE && !FOLDERS.contains(&name.as_str()) && !name.starts_with('.') {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_ctrl_c_nothing_is_started() {
        let folder = tempfile::tempdir().unwrap();
        let grid = Grid::read("pairs", Some("smoke"), None, &[]).unwrap();
        claim(folder.path(), &grid).unwrap();
        let interrupted = AtomicBool::new(true);
        let work = Work {
            grid: &grid,
            out: folder.path().into(),
            shard: (1, 1),
            threads: None,
            interrupted: &interrupted,
        };
        assert_eq!(work.run_all().unwrap(), None);
        for started in ["runs", "logs", "forecast"] {
            assert_eq!(folder.path().join(started).read_dir().unwrap().count(), 0, "{started}");
        }
    }

    #[test]
    fn what_comes_first_makes_the_file_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(GRID_FILE);
        create(&path, "first").unwrap();
        create(&path, "second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        assert_eq!(stranger(folder.path()).unwrap(), None);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
