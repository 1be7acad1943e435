//! `selfsame reproduce`.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::HumanDuration;
use selfsame::report::{write_atomic, write_json};
use serde_json::json;

use super::{INTERRUPTED, quoted, shown};
use crate::args::Reproduce;
use crate::grid::{Cell, Grid, Outcome, outcome, table};
use crate::misuse;
use crate::terminal::{Bar, Terminal};

const GRID_FILE: &str = "grid.toml";
const RESULT_FILE: &str = "result.json";
const TABLE_FILE: &str = "table.md";
/// Of the runs, and of what each of them said.
const FOLDERS: [&str; 2] = ["runs", "logs"];

pub fn run(args: &Reproduce, threads: Option<usize>) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let mut grid = Grid::read(&args.grid)?;
    if let Some(data) = &args.data {
        grid.all.insert("data".to_owned(), data.clone().into());
    }
    let name = Path::new(&args.grid).file_stem().map_or_else(|| "grid".into(), |stem| stem.to_string_lossy());
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(&*name));
    claim(&out, &grid)?;
    let cells = grid.cells().map_err(misuse)?;
    let (part, parts) = args.shard;
    let mine: Vec<&Cell> = cells.iter().skip(part - 1).step_by(parts).collect();

    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // The run under way hears of it too, saves its state and ends.
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
    let mut failed = Vec::new();
    let mut took = Vec::new();
    let bar = Bar::new("runs");
    for (number, cell) in mine.iter().enumerate() {
        if outcome(cell, &out)?.is_some() {
            continue;
        }
        let left = mine.len() - number;
        let estimate = mean(&took)
            .map_or_else(String::new, |each: Duration| format!(", about {} left", HumanDuration(each * left as u32)));
        bar.line(&format!("run {} of {}: {}{estimate}", number + 1, mine.len(), cell.name()));
        let began = Instant::now();
        let ended = train(cell, &out, threads, &mut |line| bar.set(number as u64, mine.len() as u64, line))?;
        if interrupted.load(Ordering::Relaxed) {
            bar.line("stopped; the same command goes on");
            return Ok(ExitCode::from(INTERRUPTED));
        }
        match outcome(cell, &out)? {
            Some(done) if ended => bar.line(&format!(
                "  kNN {:.1} %, untrained {:.1} %",
                100.0 * done.knn_acc1,
                100.0 * done.untrained_knn_acc1
            )),
            _ => {
                bar.line(&format!("  failed; {} says why", log(cell, &out).display()));
                failed.push(cell.name());
            }
        }
        took.push(began.elapsed());
    }
    bar.finish();

    let outcomes: Vec<Outcome> =
        cells.iter().map(|cell| outcome(cell, &out)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    let text = table(&grid, &outcomes);
    let result = json!({
        "title": grid.title,
        "about": grid.about,
        "selfsame": env!("CARGO_PKG_VERSION"),
        "machine": machine(),
        "threads": threads.unwrap_or_else(rayon::current_num_threads),
        "runs": cells.len(),
        "grid": grid,
        "outcomes": outcomes,
    });
    write_json(&out.join(RESULT_FILE), &result)?;
    let page = format!("# {}\n\n{}\n\n{text}", grid.title, grid.about);
    write_atomic(&out.join(TABLE_FILE), page.as_bytes())?;
    terminal.say(&text);
    if outcomes.len() < cells.len() {
        terminal.status(&format!("{} of {} runs are done", outcomes.len(), cells.len()));
    }
    terminal.status(&format!("table    {}", out.join(TABLE_FILE).display()));
    terminal.result(&result);
    match failed.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => anyhow::bail!("{} of the runs failed: {}", failed.len(), failed.join(", ")),
    }
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

fn log(cell: &Cell, out: &Path) -> PathBuf {
    out.join("logs").join(format!("{}.log", cell.name()))
}

/// Trains and measures a cell in a process of its own, or goes on with it; whether that succeeded.
fn train(cell: &Cell, out: &Path, threads: Option<usize>, on_line: &mut dyn FnMut(String)) -> anyhow::Result<bool> {
    let run = cell.run(out);
    let mut command = Command::new(std::env::current_exe().context("this program's own file")?);
    command.args(threads.map(|n| format!("--threads={n}"))).arg("study");
    if run.join("config.toml").is_file() {
        command.arg("--resume").arg(&run);
    } else {
        command.args(&cell.options).arg("--out").arg(&run);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", quoted(Path::new(command.get_program()))))?;
    let path = log(cell, out);
    let mut log = File::create(&path).with_context(|| path.display().to_string())?;
    let lines = BufReader::new(child.stderr.take().context("the run's messages")?).lines();
    for line in lines.map_while(Result::ok) {
        writeln!(log, "{line}").with_context(|| path.display().to_string())?;
        on_line(line);
    }
    Ok(child.wait().with_context(|| shown(&run))?.success())
}

/// What the figures were made on.
fn machine() -> String {
    let described = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        described.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, m)| m.trim()));
    let kind = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    model.map_or(kind.clone(), |model| format!("{model}, {kind}"))
}
