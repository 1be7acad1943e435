//! `selfsame neighbours`.

use std::process::ExitCode;

use selfsame::NeighboursOptions;
use selfsame::nn::device;
use selfsame::report::look::{Neighbours, words};
use selfsame::report::next::after_neighbours;
use selfsame::report::record::PAGE_FILE;
use serde_json::json;

use super::{quoted, say_steps, shown};
use crate::args::Neighbours as Args;
use crate::misuse;
use crate::terminal::{Live, Terminal};

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let options = NeighboursOptions {
        images: args.images.clone(),
        nearest: args.nearest,
        dataset: None,
        weights: args.checkpoint,
        device: device::by_name(&args.device.device).map_err(misuse)?,
    };
    let found = selfsame::neighbours(&args.run, &options, &mut Live::default())?;
    words::neighbour_lines(&found).iter().for_each(|line| terminal.say(line));
    let page = shown(&args.run.join(PAGE_FILE));
    terminal.say(&format!("report   {page}"));
    if args.images.is_empty() {
        say_steps(&terminal, &after_neighbours(&quoted(&args.run)));
    }
    let mut result = serde_json::to_value(Neighbours { pictures: None, ..found })?;
    result["report"] = json!(page);
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}
