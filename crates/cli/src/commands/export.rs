//! `selfsame export`.

use std::process::ExitCode;

use selfsame::{ExportFormat, ExportOptions};
use serde_json::json;

use super::shown;
use crate::args::{self, Export};
use crate::terminal::Terminal;

pub fn run(args: &Export) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let format = match args.format {
        args::ExportFormat::Safetensors => ExportFormat::Safetensors,
        args::ExportFormat::PytorchNames => ExportFormat::PytorchNames,
        args::ExportFormat::Onnx => ExportFormat::Onnx,
    };
    let exported = selfsame::export(
        &args.run,
        &ExportOptions {
            format,
            weights: args.checkpoint,
            out: args.out.clone(),
            overwrite: args.overwrite,
        },
    )?;
    terminal.say(&format!("{}  {}", format.describe(), exported.file.display()));
    let file = shown(&exported.file);
    terminal.result(&json!({ "file": file, "dim": exported.dim, "step": exported.step }));
    Ok(ExitCode::SUCCESS)
}
