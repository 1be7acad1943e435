//! `selfsame report`.

use std::path::PathBuf;
use std::process::ExitCode;

use selfsame::Run;
use selfsame::report::record::PAGE_FILE;
use selfsame::report::{read, render, write_atomic};
use serde_json::json;

use super::shown;
use crate::args::Report;
use crate::terminal::Terminal;

pub fn run(args: &Report) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let page = write(&Run::open(&args.run)?)?;
    terminal.say(&format!("report   {}", page.display()));
    terminal.result(&json!({ "report": shown(&page) }));
    Ok(ExitCode::SUCCESS)
}

/// Writes the run's page from its records.
pub fn write(run: &Run) -> anyhow::Result<PathBuf> {
    let page = run.path().join(PAGE_FILE);
    write_atomic(&page, render(&read(run.path())?).as_bytes())?;
    Ok(page)
}
