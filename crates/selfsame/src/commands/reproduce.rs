//! `selfsame reproduce`.

mod estimate;
mod results;

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use indicatif::HumanDuration;
use selfsame::report::experiment::{EXPERIMENT_FILE, EXPERIMENT_PAGE, EXPERIMENT_TABLE, Experiment};
use selfsame::report::{render_experiment, write_atomic, write_json};
use serde_json::{Value, json};

use super::{INTERRUPTED, machine, quoted, shown, typed};
use crate::args::{Args, Command as Verb, Pretrain, Reproduce};
use crate::grid::{self, Cell, EXPERIMENTS, Grid, Outcome, outcome};
use crate::misuse;
use crate::terminal::{Bar, Terminal};

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
        grid.cells().map_err(misuse)?.iter().try_for_each(|cell| study(cell).map(|_| ()))?;
    }
    let out = |name: &str| {
        let stem = Path::new(name).file_stem().map_or_else(|| "grid".into(), |stem| stem.to_string_lossy());
        match &args.out {
            Some(out) if args.grid == "all" => out.join(&*stem),
            Some(out) => out.clone(),
            None => Path::new("runs").join(&*stem),
        }
    };
    if args.dry_run {
        let mut all = Vec::new();
        for (name, grid) in names.iter().zip(&grids) {
            all.push(estimate::estimate(name, grid, &out(name), args.shard, threads, &terminal)?);
        }
        terminal.result(&json!({ "experiments": all }));
        return Ok(ExitCode::SUCCESS);
    }

    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // The run under way hears of it too, saves its state and ends.
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for (name, grid) in names.iter().zip(&grids) {
        let work = Work { grid, out: out(name), shard: args.shard, threads, interrupted: &interrupted };
        claim(&work.out, grid)?;
        let Some(bad) = work.run_all()? else { return Ok(ExitCode::from(INTERRUPTED)) };
        failed.extend(bad);
        found.push(work.gather(&terminal)?);
    }
    let result = match <[Value; 1]>::try_from(found) {
        Ok([one]) => one,
        Err(all) => json!({ "experiments": all }),
    };
    terminal.result(&result);
    match failed.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => anyhow::bail!("{} of the runs failed: {}", failed.len(), failed.join(", ")),
    }
}

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
        let folder = self.out.join("forecast");
        if let Some(options) = self.grid.forecast_options()
            // One of the parts makes it, so that none is made twice.
            && self.shard.0 == 1
            && results::forecast(&folder, self.grid)?.is_none()
        {
            bar.line("the forecast of the rows' views");
            let mut command = self.command("forecast")?;
            command.args(options.map_err(misuse)?).arg("--out").arg(&folder);
            let ended = follow(command, &self.log("forecast"), &mut |line| bar.set(0, mine.len() as u64, line))?;
            if self.interrupted.load(Ordering::Relaxed) {
                bar.line("stopped; the same command goes on");
                return Ok(None);
            }
            if !ended {
                bar.line(&format!("  failed; {} says why", self.log("forecast").display()));
                failed.push("forecast".to_owned());
            }
        }
        for (number, cell) in mine.iter().enumerate() {
            if outcome(cell, &self.out)?.is_some() {
                continue;
            }
            let left = mine.len() - number;
            let estimate = mean(&took).map_or_else(String::new, |each: Duration| {
                format!(", about {} left", HumanDuration(each * left as u32))
            });
            bar.line(&format!("run {} of {}: {}{estimate}", number + 1, mine.len(), cell.name()));
            let began = Instant::now();
            let ended = self.train(cell, &mut |line| bar.set(number as u64, mine.len() as u64, line))?;
            if self.interrupted.load(Ordering::Relaxed) {
                bar.line("stopped; the same command goes on");
                return Ok(None);
            }
            match outcome(cell, &self.out)? {
                Some(done) if ended => bar.line(&format!(
                    "  kNN {:.1} %, untrained {:.1} %",
                    100.0 * done.knn_acc1,
                    100.0 * done.untrained_knn_acc1
                )),
                _ => {
                    bar.line(&format!("  failed; {} says why", self.log(&cell.name()).display()));
                    failed.push(cell.name());
                }
            }
            took.push(began.elapsed());
        }
        bar.finish();
        Ok(Some(failed))
    }

    /// Trains and measures a cell in a process of its own, or goes on with it; whether that succeeded.
    fn train(&self, cell: &Cell, on_line: &mut dyn FnMut(String)) -> anyhow::Result<bool> {
        let run = cell.run(&self.out);
        let mut command = self.command("study")?;
        if run.join("config.toml").is_file() {
            command.arg("--resume").arg(&run);
        } else {
            command.args(&cell.options).arg("--out").arg(&run);
        }
        follow(command, &self.log(&cell.name()), on_line)
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
        let cells = grid.cells().map_err(misuse)?;
        let outcomes: Vec<Outcome> =
            cells.iter().map(|cell| outcome(cell, out)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        let forecast = results::forecast(&out.join("forecast"), grid)?;
        let experiment = Experiment {
            title: grid.title.clone(),
            about: grid.about.clone(),
            selfsame: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("SELFSAME_COMMIT").to_owned(),
            command: typed(),
            machines: vec![machine()],
            threads: self.threads.unwrap_or_else(rayon::current_num_threads) as u64,
            runs: cells.len() as u64,
            done: outcomes.len() as u64,
            started: outcomes.iter().map(|outcome| outcome.started.clone()).min().unwrap_or_default(),
            seconds: outcomes.iter().map(|outcome| outcome.seconds).sum(),
            tables: results::tables(grid, &outcomes, forecast.as_ref()),
            maps: if grid.maps { self.maps(&cells)? } else { Vec::new() },
        };
        let mut result = serde_json::to_value(&experiment)?;
        result["grid"] = serde_json::to_value(grid)?;
        result["outcomes"] = serde_json::to_value(&outcomes)?;
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
    fn maps(&self, cells: &[Cell]) -> anyhow::Result<Vec<(String, selfsame::report::record::EmbeddingMap)>> {
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
    let words = ["selfsame", "study"].into_iter().map(str::to_owned).chain(cell.options.iter().cloned());
    match Args::try_parse_from(words).map_err(|e| misuse(format!("{}: {e}", cell.name())))?.command {
        Verb::Study(args) => Ok(args),
        _ => bail!("{}: no options of a study", cell.name()),
    }
}

/// Runs a command whose messages go to a file and, line by line, to `on_line`; whether it succeeded.
fn follow(mut command: Command, path: &Path, on_line: &mut dyn FnMut(String)) -> anyhow::Result<bool> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", quoted(Path::new(command.get_program()))))?;
    let mut log = File::create(path).with_context(|| path.display().to_string())?;
    let lines = BufReader::new(child.stderr.take().context("the run's messages")?).lines();
    for line in lines.map_while(Result::ok) {
        writeln!(log, "{line}").with_context(|| path.display().to_string())?;
        on_line(line);
    }
    Ok(child.wait().with_context(|| shown(path))?.success())
}

fn mean(durations: &[Duration]) -> Option<Duration> {
    (!durations.is_empty()).then(|| durations.iter().sum::<Duration>() / durations.len() as u32)
}

/// Makes the folder this grid's; another grid's results stay. Processes that start together, each with its shard, write
/// the same file, so that whichever comes first makes it theirs.
fn claim(out: &Path, grid: &Grid) -> anyhow::Result<()> {
    let shown = out.display();
    let path = out.join(GRID_FILE);
    let text = toml::to_string(grid).context("the grid as TOML")?;
    let found = match std::fs::read_to_string(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if let Some(name) = stranger(out).with_context(|| shown.to_string())? {
                return Err(misuse(format!("{shown} holds {name:?}, something else; name another folder with --out")));
            }
            std::fs::create_dir_all(out).with_context(|| shown.to_string())?;
            write_atomic(&path, text.as_bytes())?;
            // Of another grid that came at the same moment, one has written last.
            std::fs::read_to_string(&path).with_context(|| path.display().to_string())?
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    if found != text {
        return Err(misuse(format!(
            "{shown} holds the runs of a grid with other settings; name another folder with --out"
        )));
    }
    for folder in FOLDERS {
        std::fs::create_dir_all(out.join(folder)).with_context(|| shown.to_string())?;
    }
    Ok(())
}

/// The name of something in `out` that no grid makes, if there is any. Hidden files are what systems and writes that are
/// under way or were interrupted leave.
fn stranger(out: &Path) -> std::io::Result<Option<String>> {
    let entries = match out.read_dir() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
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
