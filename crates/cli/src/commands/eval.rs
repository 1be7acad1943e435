//! `selfsame eval`.

use std::path::Path;
use std::process::ExitCode;

use selfsame::nn::device;
use selfsame::report::evaluation_lines;
use selfsame::report::next;
use selfsame::report::record::{Evaluation, PAGE_FILE, RunRecord};
use selfsame::{EvaluateEncoderOptions, EvaluateOptions, Run, WeightsOptions};
use serde_json::{Value, json};

use super::{elsewhere, quoted, shown, typed};
use crate::args::Eval;
use crate::misuse;
use crate::options::out_folder;
use crate::terminal::{Live, Terminal};

pub fn run(args: &Eval) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    match (&args.run, &args.from.init) {
        (Some(run), _) => of_run(args, run, &terminal),
        (None, Some(file)) => of_weights(args, file, &terminal),
        (None, None) => Err(misuse(
            "there is nothing to measure: name the folder of a run, or --init and --data for \
             weights from elsewhere",
        )),
    }
}

fn of_run(args: &Eval, run: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let mut of_init = [args.from.given(), args.images.given()].concat();
    of_init.extend([
        ("--precision", args.precision.is_some()),
        ("--data", args.data.is_some()),
        ("--labels", args.labels.is_some()),
        ("--seed", args.seed.is_some()),
        ("--out", args.out.is_some()),
        ("--overwrite", args.overwrite),
    ]);
    elsewhere::refuse(&of_init, || elsewhere::of_run(run))?;
    let options = EvaluateOptions {
        images: None,
        weights: args.checkpoint,
        against: args.against.clone(),
        knn_k: args.knn_k,
        device: device::by_name(&args.device.device).map_err(misuse)?,
    };
    let evaluation = selfsame::evaluate(run, &options, &mut Live::default())?;
    evaluation_lines(&evaluation).iter().for_each(|line| terminal.say(line));
    let record = Run::open(run)?.record()?;
    super::say_next(terminal, run, &record, Some(&evaluation));
    terminal.result(&to_json(run, &evaluation, &record));
    Ok(ExitCode::SUCCESS)
}

/// Measures an encoder that does not come from a run, in a separate folder.
fn of_weights(args: &Eval, file: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let seed = args.seed.unwrap_or_default();
    let device = device::by_name(&args.device.device).map_err(misuse)?;
    let options = EvaluateEncoderOptions {
        out: out_folder(args.out.as_deref(), "evaluations", file),
        overwrite: args.overwrite,
        against: args.against.clone(),
        augment: selfsame::usual_policy(args.data.as_deref().unwrap_or_default()),
        seed,
        knn_k: args.knn_k,
        command: typed(),
        device: device.clone(),
    };
    options.check()?;
    let weights = WeightsOptions { device, ..args.from.options(args.precision, seed) };
    let load = args.images.options(args.labels.as_deref(), seed);
    let mut live = Live::default();
    let data = args.data.as_deref();
    let (loaded, images) = elsewhere::read(file, &weights, data, &load, &mut live)?;
    let evaluation = selfsame::evaluate_encoder(file, &loaded, &images, &options, &mut live)?;
    evaluation_lines(&evaluation).iter().for_each(|line| terminal.say(line));
    let page = options.out.join(PAGE_FILE);
    terminal.say(&format!("report   {}", page.display()));
    let record = selfsame::report::read(&options.out)?.run;
    let typed = next::images(&record.command, data.unwrap_or_default());
    let next = next::after_run(&record, Some(&evaluation), &quoted(&options.out), &typed);
    super::say_steps(terminal, &next);
    let mut result = serde_json::to_value(&evaluation)?;
    result["report"] = json!(shown(&page));
    result["skipped"] = json!(images.skipped.len());
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}

/// Formats the evaluation as JSON, as in `eval.json`, with accuracies as fractions of 1.
pub fn to_json(run: &Path, evaluation: &Evaluation, record: &RunRecord) -> Value {
    let mut value = serde_json::to_value(evaluation).unwrap_or_default();
    value["run"] = json!(shown(run));
    value["skipped"] = json!(record.dataset.skipped.len());
    value
}
