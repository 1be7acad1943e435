mod bench;
mod certify;
mod clique;
mod compare;
mod elsewhere;
mod embed;
mod eval;
mod export;
mod fetch;
mod forecast;
mod inspect;
mod manual;
mod methods;
mod neighbours;
mod pretrain;
mod report;
mod reproduce;
mod views;

use std::path::Path;
use std::process::ExitCode;

use selfsame::Run;
use selfsame::augment::Isa;
use selfsame::report::next::{Next, after_run, images};
use selfsame::report::record::{Evaluation, RunRecord};

use crate::args::{Args, Command};
use crate::misuse;
pub use crate::terminal::INTERRUPTED;
use crate::terminal::Terminal;
pub use crate::words::{one_line, quoted, shown, source_words, typed};

/// Maximum number of threads. Starting many more takes long.
const MOST_THREADS: usize = 1024;

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(threads) = args.threads.filter(|threads| !(1..=MOST_THREADS).contains(threads)) {
        return Err(misuse(format!("--threads {threads}: choose from 1 to {MOST_THREADS}")));
    }
    // Make this thread part of the pool: many operations take only microseconds, which is less than
    // it takes to wake another thread and wait for it.
    rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads.unwrap_or(0))
        .use_current_thread()
        .build_global()?;
    let isa = args.isa.as_deref().map(str::parse::<Isa>).transpose();
    let isa = isa.map_err(|e| misuse(format!("--isa: {e}")))?;
    if let Some(isa) = isa {
        isa.force().map_err(|best| misuse(format!("--isa {isa}: {best} is in use already")))?;
    }
    let threads = args.threads;
    match args.command {
        Command::Study(args) => pretrain::study(&args),
        Command::Pretrain(args) => pretrain::pretrain(&args),
        Command::Methods(args) => methods::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Certify(args) => certify::run(&args),
        Command::Neighbours(args) => neighbours::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Fetch(args) => fetch::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Reproduce(args) => reproduce::run(&args, threads, isa),
        Command::Inspect(args) => inspect::run(&args),
        Command::Views(args) => views::run(&args),
        Command::Forecast(args) => forecast::run(&args),
        Command::Clique(args) => clique::run(&args, threads),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::page(&args),
        Command::Bench(bench) => bench::run(&bench, threads),
    }
}

/// Says what is most worth doing after a run. Without a plan to read, it says nothing.
fn say_next(terminal: &Terminal, run: &Path, record: &RunRecord, evaluation: Option<&Evaluation>) {
    let plan = Run::open_to_read(run).and_then(|run| run.plan());
    let Ok(plan) = plan else { return };
    let images = images(&record.command, &plan.data.source);
    say_steps(terminal, &after_run(record, evaluation, &quoted(run), &images));
}

/// Says which steps are most worth taking.
fn say_steps(terminal: &Terminal, steps: &[Next]) {
    for (at, Next { command, why }) in steps.iter().enumerate() {
        terminal.say(&format!("{:<9}{command}  ({why})", if at == 0 { "next" } else { "or" }));
    }
}
