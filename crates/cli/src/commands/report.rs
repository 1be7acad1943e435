//! `selfsame report`.

use std::process::ExitCode;

use serde_json::json;

use super::shown;
use crate::args::Report;
use crate::terminal::Terminal;

pub fn run(args: &Report) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let page = selfsame::report(&args.run, args.out.as_deref(), args.overwrite)?;
    terminal.say(&format!("report   {}", page.display()));
    terminal.result(&json!({ "report": shown(&page) }));
    Ok(ExitCode::SUCCESS)
}
