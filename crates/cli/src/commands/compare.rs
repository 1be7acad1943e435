//! `selfsame compare`.

use std::process::ExitCode;

use selfsame::report::comparison::{COMPARISON_FILE, COMPARISON_PAGE, Comparison, words};
use selfsame::{compare, write_comparison};
use serde_json::json;

use super::{shown, typed};
use crate::args::Compare as Args;
use crate::misuse;
use crate::terminal::Terminal;

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    selfsame::check_folder(&args.out)?;
    let files = [args.out.join(COMPARISON_FILE), args.out.join(COMPARISON_PAGE)];
    if let Some(file) = files.iter().find(|file| file.exists() && !args.overwrite) {
        return Err(misuse(format!(
            "{} exists already; name another folder with --out, or --overwrite",
            shown(file)
        )));
    }
    let comparison = Comparison { command: typed(), ..compare(&args.runs)? };
    let page = write_comparison(&args.out, &comparison)?;
    for line in words::lines(&comparison) {
        terminal.say(&line);
    }
    terminal.say(&format!("comparison {}", shown(&page)));
    let mut result = serde_json::to_value(&comparison)?;
    result["page"] = json!(shown(&page));
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}
