//! `selfsame embed`.

use std::process::ExitCode;

use selfsame::EmbedOptions;
use selfsame::nn::device;
use serde_json::json;

use super::shown;
use crate::args::{Embed, split};
use crate::misuse;
use crate::terminal::{Live, Terminal};

pub fn run(args: &Embed) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let options = EmbedOptions {
        data: args.data.as_deref().map(Into::into),
        split: split(&args.split),
        weights: args.checkpoint,
        precision: args.precision,
        to: Some(args.to.clone()),
        overwrite: args.overwrite,
        device: device::by_name(&args.device.device).map_err(misuse)?,
    };
    let embedded = selfsame::embed(&args.run, &options, &mut Live::default())?;
    let (rows, dim) = (embedded.features.rows(), embedded.features.dim());
    let names = embedded.names.as_deref().map(shown);
    terminal.say(&format!("{rows} embeddings of {dim} values  {}", args.to.display()));
    let file = shown(&args.to);
    terminal.result(&json!({ "file": file, "names": names, "rows": rows, "dim": dim }));
    Ok(ExitCode::SUCCESS)
}
