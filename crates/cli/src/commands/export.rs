//! `selfsame export`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use burn::tensor::Device;
use selfsame::Run;
use selfsame::nn::{onnx, state};
use selfsame::report::write_atomic;
use serde_json::json;

use super::shown;
use crate::args::{Export, ExportFormat};
use crate::misuse;
use crate::terminal::Terminal;

pub fn run(args: &Export) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let run = Run::open(&args.run)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => PathBuf::from(default_name(args)?),
    };
    if out.exists() && !args.overwrite {
        return Err(misuse(format!(
            "{} exists already; choose another name with --out, or --overwrite",
            out.display()
        )));
    }
    let plan = run.plan()?;
    let (encoder, step) = run.trained(&plan, args.checkpoint.into(), &Device::flex())?;
    let metadata = BTreeMap::from([
        ("step".to_owned(), step.to_string()),
        ("image_size".to_owned(), plan.data.image_size.to_string()),
        ("method".to_owned(), run.record()?.method),
    ]);
    let what = match args.format {
        ExportFormat::Safetensors => {
            let (weights, _) = state::read_file(&run.weights(args.checkpoint.into())?)?;
            state::write_file(&out, &weights, &metadata)?;
            "all networks of the run"
        }
        ExportFormat::PytorchNames => {
            state::write_file(&out, &state::read(&encoder), &metadata)?;
            "the encoder by torchvision's names"
        }
        ExportFormat::Onnx => {
            write_atomic(&out, &onnx::model(&encoder, &metadata))?;
            "the encoder from RGB bytes to embeddings"
        }
    };
    terminal.say(&format!("{what}  {}", out.display()));
    let dim = plan.encoder.dim();
    terminal.result(&json!({ "file": shown(&out), "dim": dim, "step": step }));
    Ok(ExitCode::SUCCESS)
}

/// The run's name with an end that says what is in the file.
fn default_name(args: &Export) -> anyhow::Result<String> {
    let folder = args.run.canonicalize()?;
    let name = folder.file_name().map_or("run".into(), |name| name.to_string_lossy());
    let end = match args.format {
        ExportFormat::Safetensors => "safetensors",
        ExportFormat::PytorchNames => "encoder.safetensors",
        ExportFormat::Onnx => "onnx",
    };
    Ok(format!("{name}.{end}"))
}
