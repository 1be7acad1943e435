//! `selfsame fetch`.

use std::process::ExitCode;

use selfsame::data::fetch;
use serde_json::json;

use super::shown;
use crate::args::Fetch;
use crate::terminal::{Bar, Terminal};

pub fn run(args: &Fetch) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let bar = Bar::new("bytes");
    let summary = fetch(&args.set, &args.to, args.mirror.as_deref(), &|name, done, total| {
        bar.set(done, total.unwrap_or(done), name.to_owned());
    })?;
    bar.finish();
    terminal.say(&format!("{} is complete in {}; study it with:", args.set, args.to.display()));
    terminal.say(&format!("  selfsame study --data {}", args.to.display()));
    let files: Vec<String> = summary.files.iter().map(|file| shown(file)).collect();
    terminal.result(
        &json!({ "files": files, "downloaded": summary.downloaded, "resumed": summary.resumed }),
    );
    Ok(ExitCode::SUCCESS)
}
