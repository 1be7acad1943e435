//! `selfsame reproduce`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use selfsame::Error;
use selfsame::augment::Isa;
use selfsame::grid::{EXPERIMENTS, Grid, GridOptions};
use selfsame::report::experiment::{EXPERIMENT_PAGE, EXPERIMENT_TABLE, Experiment};
use selfsame::report::next::after_experiment;
use selfsame::reproduce::{self, Program, ReproduceOptions};
use serde_json::json;

use super::{INTERRUPTED, quoted, say_steps, typed};
use crate::args::Reproduce;
use crate::options::out_folder;
use crate::terminal::{Live, Terminal, status};

/// Maximum number of failed runs to name.
const NAMED: usize = 3;

pub fn run(args: &Reproduce, threads: Option<usize>, isa: Option<Isa>) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let names: Vec<&str> = match args.grid.as_str() {
        "all" => EXPERIMENTS.iter().map(|(name, _)| *name).collect(),
        name => vec![name],
    };
    let with = GridOptions {
        scale: scale(args),
        data: args.data.clone(),
        with: args.with.iter().cloned().collect(),
    };
    let grids: Vec<Grid> =
        names.iter().map(|name| Grid::read(name, &with)).collect::<Result<_, _>>()?;
    // Report options that no run can take before a folder is created.
    grids.iter().try_for_each(reproduce::check)?;
    let options = |grid: &Grid| -> anyhow::Result<ReproduceOptions> {
        Ok(ReproduceOptions {
            out: out(args, &grid.name),
            shard: args.shard,
            program: Some(Program {
                path: std::env::current_exe().context("this program's own file")?,
                threads,
                isa,
            }),
            command: typed(),
            commit: env!("SELFSAME_COMMIT").to_owned(),
        })
    };
    if args.dry_run {
        let mut estimates = Vec::new();
        for grid in &grids {
            let estimate = reproduce::estimate(grid, &options(grid)?, &mut Live::default())?;
            terminal.say(&estimate.text());
            estimates.push(estimate);
        }
        terminal.result(&json!({ "experiments": estimates }));
        return Ok(ExitCode::SUCCESS);
    }

    // The current run receives Ctrl-C too, saves its state and ends.
    let mut live = Live::stoppable("stopping as soon as the run under way has saved its state")?;
    let mut experiments = Vec::new();
    for grid in &grids {
        let options = options(grid)?;
        match selfsame::reproduce(grid, &options, &mut live) {
            Err(Error::Stopped) => {
                print(&reproduce::results(grid, &options)?, &options.out, &terminal);
                status("stopped; the same command goes on");
                return Ok(ExitCode::from(INTERRUPTED));
            }
            experiment => experiments.push(experiment?),
        }
        print(&experiments[experiments.len() - 1], &options.out, &terminal);
    }
    let mut records =
        experiments.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
    terminal.result(&match records.len() {
        1 => records.remove(0),
        _ => json!({ "experiments": records }),
    });
    let failed: Vec<&str> =
        experiments.iter().flat_map(|experiment| &experiment.failed).map(String::as_str).collect();
    match failed.len() {
        0 => Ok(ExitCode::SUCCESS),
        many => {
            let named = failed[..many.min(NAMED)].join(", ");
            let more = match many.saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            bail!("{many} of the runs failed: {named}{more}")
        }
    }
}

/// Returns the name of the scale, as it is typed.
fn scale(args: &Reproduce) -> Option<String> {
    Some(args.scale?.to_possible_value()?.get_name().to_owned())
}

/// Returns the folder of a grid. Each scale is a separate experiment and has its own folder.
fn out(args: &Reproduce, grid: &str) -> PathBuf {
    let folder = |parent: &Path| out_folder(None, parent, Path::new(grid));
    match (&args.out, scale(args).as_deref()) {
        (Some(out), _) if args.grid == "all" => folder(out),
        (Some(out), _) => out.clone(),
        (None, None | Some("small")) => folder(Path::new("runs")),
        (None, Some(scale)) => {
            let mut name = folder(Path::new("runs")).into_os_string();
            name.push(format!("-{scale}"));
            name.into()
        }
    }
}

fn print(experiment: &Experiment, out: &Path, terminal: &Terminal) {
    let Experiment { done, runs, .. } = experiment;
    terminal.say(&experiment.markdown());
    if done < runs {
        status(format_args!("{done} of {runs} runs are done"));
    }
    status(format_args!("table    {}", out.join(EXPERIMENT_TABLE).display()));
    status(format_args!("report   {}", out.join(EXPERIMENT_PAGE).display()));
    say_steps(terminal, &after_experiment(experiment, &quoted(out)));
}
