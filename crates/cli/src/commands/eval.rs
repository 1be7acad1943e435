//! `selfsame eval`.

use std::path::Path;
use std::process::ExitCode;

use selfsame::nn::device;
use selfsame::report::evaluation_lines;
use selfsame::report::record::{Evaluation, RunRecord};
use selfsame::{EvaluateOptions, Run};
use serde_json::{Value, json};

use super::shown;
use crate::args::Eval;
use crate::misuse;
use crate::terminal::{Live, Terminal};

pub fn run(args: &Eval) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let options = EvaluateOptions {
        images: None,
        weights: args.checkpoint,
        device: device::by_name(&args.device.device).map_err(misuse)?,
    };
    let evaluation = selfsame::evaluate(&args.run, &options, &mut Live::default())?;
    evaluation_lines(&evaluation).iter().for_each(|line| terminal.say(line));
    let record = Run::open(&args.run)?.record()?;
    terminal.result(&to_json(&args.run, &evaluation, &record));
    Ok(ExitCode::SUCCESS)
}

/// Formats the evaluation as JSON, as in `eval.json`, with accuracies as fractions of 1.
pub fn to_json(run: &Path, evaluation: &Evaluation, record: &RunRecord) -> Value {
    let mut value = serde_json::to_value(evaluation).unwrap_or_default();
    value["run"] = json!(shown(run));
    value["skipped"] = json!(record.dataset.skipped.len());
    value
}
