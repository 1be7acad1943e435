//! `selfsame compare`.

use std::process::ExitCode;

use selfsame::report::comparison::{Comparison, words};
use selfsame::report::next::after_comparison;
use selfsame::{compare, write_comparison};
use serde_json::json;

use super::{say_steps, shown, typed};
use crate::args::Compare as Args;
use crate::terminal::Terminal;

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let comparison = Comparison { command: typed(), ..compare(&args.runs)? };
    let page = write_comparison(&args.out, &comparison, args.overwrite)?;
    for line in words::lines(&comparison) {
        terminal.say(&line);
    }
    terminal.say(&format!("comparison {}", shown(&page)));
    say_steps(&terminal, &after_comparison(&comparison));
    let mut result = serde_json::to_value(&comparison)?;
    result["page"] = json!(shown(&page));
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}
