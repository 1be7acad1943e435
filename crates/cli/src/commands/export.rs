//! `selfsame export`.

use std::process::ExitCode;

use selfsame::report::next::after_export;
use selfsame::{ExportFormat, ExportOptions, Exported};
use serde_json::json;

use super::{elsewhere, quoted, say_steps, shown};
use crate::args::{self, Export};
use crate::misuse;
use crate::terminal::{Live, Terminal};

pub fn run(args: &Export) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let format = match args.format {
        args::ExportFormat::Safetensors => ExportFormat::Safetensors,
        args::ExportFormat::PytorchNames => ExportFormat::PytorchNames,
        args::ExportFormat::Onnx => ExportFormat::Onnx,
    };
    let options = ExportOptions {
        format,
        weights: args.checkpoint,
        out: args.out.clone(),
        overwrite: args.overwrite,
    };
    let exported = match (&args.run, &args.from.init) {
        (Some(run), _) => {
            let mut of_init = args.from.given().to_vec();
            of_init.push(("--image-size", args.image_size.is_some()));
            elsewhere::refuse(&of_init, || elsewhere::of_run(run))?;
            selfsame::export(run, &options)?
        }
        (None, Some(file)) => {
            let weights = args.from.options(None, 0);
            let loaded = selfsame::read_encoder(file, &weights, &mut Live::default())?;
            selfsame::export_encoder(file, &loaded, args.image_size, &options)?
        }
        (None, None) => {
            return Err(misuse(
                "there is nothing to export: name the folder of a run, or --init for weights from \
                 elsewhere",
            ));
        }
    };
    let Exported { file, program, encoder, step } = &exported;
    terminal.say(&format!("{}  {}", format.describe(), file.display()));
    if let Some(program) = program {
        terminal.say(&format!("the network in PyTorch  {}", program.display()));
    }
    if let (Some(run), None) = (&args.run, program) {
        say_steps(&terminal, &after_export(&quoted(run)));
    }
    let program = program.as_deref().map(shown);
    let (file, dim) = (shown(file), encoder.dim());
    terminal.result(&json!({ "file": file, "program": program, "dim": dim, "step": step }));
    Ok(ExitCode::SUCCESS)
}
