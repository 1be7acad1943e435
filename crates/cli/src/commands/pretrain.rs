//! `selfsame pretrain` and `selfsame study`.

use std::process::ExitCode;

use selfsame::report::evaluation_lines;
use selfsame::train::checkpoint::Which;
use selfsame::{Error, Pretrained};
use serde_json::{Value, json};

use super::{INTERRUPTED, eval, quoted, shown};
use crate::args::Pretrain;
use crate::terminal::{Live, Terminal, status};
use crate::{misuse, options};

pub fn pretrain(args: &Pretrain) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    if !args.against.is_empty() {
        return Err(misuse("--against is for measuring: give it to `study` or to `eval`"));
    }
    let trained = unless_stopped(args, "pretrain", |live| match &args.resume {
        Some(run) => selfsame::resume(run, &options::resume(args), live),
        None => selfsame::pretrain(&options::pretrain(args)?, live),
    })?;
    let Some(trained) = trained else { return Ok(ExitCode::from(INTERRUPTED)) };
    terminal.say(&format!("encoder  {}", Which::Last.path(&trained.run).display()));
    terminal.say(&format!("report   {}", trained.report.display()));
    super::say_next(&terminal, &trained.run, &trained.record, None)?;
    terminal.result(&with_training(json!({ "run": shown(&trained.run) }), &trained));
    Ok(ExitCode::SUCCESS)
}

pub fn study(args: &Pretrain) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let study = unless_stopped(args, "study", |live| match &args.resume {
        Some(run) => selfsame::resume_study(run, &options::resume(args), live),
        None => selfsame::study(&options::pretrain(args)?, live),
    })?;
    let Some(study) = study else { return Ok(ExitCode::from(INTERRUPTED)) };
    let trained = &study.training;
    evaluation_lines(&study.evaluation).iter().for_each(|line| terminal.say(line));
    terminal.say(&format!("report   {}", trained.report.display()));
    super::say_next(&terminal, &trained.run, &trained.record, Some(&study.evaluation))?;
    let result = eval::to_json(&trained.run, &study.evaluation, &trained.record);
    terminal.result(&with_training(result, trained));
    Ok(ExitCode::SUCCESS)
}

/// Returns the result of `work`, or `None` if Ctrl-C stopped it. In that case, says how to resume.
fn unless_stopped<T>(
    args: &Pretrain,
    verb: &str,
    work: impl FnOnce(&mut Live) -> Result<T, Error>,
) -> anyhow::Result<Option<T>> {
    let run = match &args.resume {
        Some(run) => run.clone(),
        None => options::folder(args)?,
    };
    let way = format!("go on with: selfsame {verb} --resume {}", quoted(&run));
    let mut live = Live::of_run(run, way.clone())?;
    match work(&mut live) {
        Err(Error::Stopped) => {
            status(way);
            Ok(None)
        }
        result => Ok(Some(result?)),
    }
}

/// Adds to a JSON result the fields that every training run reports.
fn with_training(mut result: Value, trained: &Pretrained) -> Value {
    result["report"] = json!(shown(&trained.report));
    result["seconds"] = json!(trained.record.seconds);
    result["collapse"] = json!(trained.record.collapse);
    result["last"] = json!(trained.last);
    result
}
