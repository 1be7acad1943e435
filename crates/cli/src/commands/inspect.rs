//! `selfsame inspect`.

use std::path::Path;
use std::process::ExitCode;

use selfsame::data::LoadOptions;
use selfsame::report::inspection::{INSPECTION_PAGE, words};
use selfsame::{Error, InspectOptions};
use serde_json::json;

use super::{one_line, quoted, shown, typed};
use crate::args::Inspect as Args;
use crate::options::out_folder;
use crate::terminal::{Live, Terminal};

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let out = out_folder(args.out.as_deref(), "inspections", Path::new(&args.data));
    let options = InspectOptions {
        near: !args.no_near,
        out: Some(out.clone()),
        overwrite: args.overwrite,
        command: typed(),
    };
    options.check()?;
    let load = LoadOptions {
        image_size: args.image_size,
        seed: args.split_seed,
        limit: args.limit,
        labels: args.labels.clone(),
        classes: args.classes.clone(),
        exif: args.exif,
        ..LoadOptions::default()
    };
    let dataset = selfsame::load(&args.data, &load, &mut Live::default())?;
    let mut live = Live::stoppable("stopping; nothing is written")?;
    let inspection = match selfsame::inspect(&dataset, &options, &mut live) {
        Err(Error::Stopped) => return Ok(ExitCode::from(super::INTERRUPTED)),
        inspection => inspection?,
    };
    let page = out.join(INSPECTION_PAGE);
    for line in words::lines(&inspection) {
        terminal.say(&one_line(&line));
    }
    terminal.say(&format!("inspection {}", shown(&page)));
    let next = words::next(&inspection, &quoted(Path::new(&args.data)));
    terminal.say(&format!("next       {next}"));
    let mut result = serde_json::to_value(&inspection)?;
    result["page"] = json!(shown(&page));
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}
