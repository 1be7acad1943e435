//! `selfsame eval`.

use std::process::ExitCode;

use selfsame::Run;
use selfsame::data::Dataset;
use selfsame::eval::{Subject, evaluate};
use selfsame::nn::device;
use selfsame::report::record::{EVAL_FILE, Evaluation, MAP_FILE, Scores};
use selfsame::report::write_json;
use selfsame::train::Plan;
use serde_json::{Value, json};

use super::{report, shown, weights};
use crate::args::{CheckpointName, Eval};
use crate::misuse;
use crate::terminal::{Live, Terminal};

pub fn run(args: &Eval) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let run = Run::open(&args.run)?;
    let plan = run.plan()?;
    let dataset = run.images(&plan, false, &mut Live::default())?;
    let evaluation =
        measure(&run, &plan, &dataset, args.checkpoint, &args.device.device, &terminal)?;
    report::write(&run)?;
    if !run.record()?.finished {
        terminal.status("training has not finished: these are the weights of the last checkpoint");
    }
    terminal.skipped(&dataset, "in the run's page and run.json");
    print(&evaluation, &dataset, &terminal);
    terminal.result(&to_json(&run, &evaluation, &dataset));
    Ok(ExitCode::SUCCESS)
}

/// Evaluates a run's encoder and writes `map.json` and `eval.json`.
pub fn measure(
    run: &Run,
    plan: &Plan,
    dataset: &Dataset,
    which: CheckpointName,
    device_name: &str,
    terminal: &Terminal,
) -> anyhow::Result<Evaluation> {
    let device = device::by_name(device_name).map_err(misuse)?;
    let (trained, step) = run.trained(plan, which.into(), &device)?;
    let untrained = run.untrained(plan, &device)?;
    let subject = Subject {
        dataset,
        policy: &plan.augment,
        seed: plan.seed,
        trained: &trained,
        untrained: &untrained,
        device: &device,
    };
    let (mut evaluation, map) = evaluate(&subject, &mut |line| terminal.status(line))?;
    evaluation.step = Some(step);
    evaluation.protocol.push(("Weights measured".into(), weights(which, step)));
    if plan.init.is_some() {
        let start = "with the weights given by --init, before this training";
        evaluation.protocol.push(("Untrained encoder".into(), start.into()));
    }
    // The map first: a run that has an evaluation counts as measured, so a kill between the two
    // must not leave that alone.
    write_json(&run.path().join(MAP_FILE), &map)?;
    write_json(&run.path().join(EVAL_FILE), &evaluation)?;
    Ok(evaluation)
}

/// The evaluation as a table.
pub fn print(evaluation: &Evaluation, dataset: &Dataset, terminal: &Terminal) {
    let row = |name: &str, scores: &Option<Scores>| {
        if let Some(s) = scores {
            let [knn, linear, centre] =
                [s.knn_acc1, s.linear_acc1, s.centre_acc1].map(|share| 100.0 * share);
            terminal.say(&format!("{name:<18}{knn:>8.1} %{linear:>10.1} %{centre:>10.1} %"));
        }
    };
    if evaluation.test.is_some() {
        terminal.say(&format!(
            "{:<18}{:>10}{:>12}{:>12}",
            format!("{} test images", dataset.test.len()),
            "kNN",
            "linear",
            "centre"
        ));
    }
    row("trained encoder", &evaluation.test);
    row("untrained encoder", &evaluation.untrained);
    row("raw pixels", &evaluation.pixels);
    for sentence in &evaluation.left_out {
        terminal.say(sentence);
    }
}

/// The evaluation for machines: `test`, `pixels` and `untrained`, accuracies as fractions of 1.
pub fn to_json(run: &Run, evaluation: &Evaluation, dataset: &Dataset) -> Value {
    let mut value = serde_json::to_value(evaluation).unwrap_or_default();
    value["run"] = json!(shown(run.path()));
    value["skipped"] = json!(dataset.skipped.len());
    value
}
