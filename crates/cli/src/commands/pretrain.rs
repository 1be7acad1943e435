//! `selfsame pretrain` and `selfsame study`.

use std::path::PathBuf;
use std::process::ExitCode;

use selfsame::report::evaluation_lines;
use selfsame::train::checkpoint::Which;
use selfsame::{Error, PretrainOptions, Pretrained, ResumeOptions};
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
    let trained = unless_stopped("pretrain", args, |begin, live| match begin {
        Begin::Resumed(run, options) => selfsame::resume(run, options, live),
        Begin::New(options) => selfsame::pretrain(options, live),
    })?;
    let Some(trained) = trained else { return Ok(ExitCode::from(INTERRUPTED)) };
    terminal.say(&format!("encoder  {}", Which::Last.path(&trained.run).display()));
    terminal.say(&format!("report   {}", trained.report.display()));
    super::say_next(&terminal, &trained.run, &trained.record, None);
    terminal.result(&with_training(json!({ "run": shown(&trained.run) }), &trained));
    Ok(ExitCode::SUCCESS)
}

pub fn study(args: &Pretrain) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let study = unless_stopped("study", args, |begin, live| match begin {
        Begin::Resumed(run, options) => selfsame::resume_study(run, options, live),
        Begin::New(options) => selfsame::study(options, live),
    })?;
    let Some(study) = study else { return Ok(ExitCode::from(INTERRUPTED)) };
    let trained = &study.training;
    evaluation_lines(&study.evaluation).iter().for_each(|line| terminal.say(line));
    terminal.say(&format!("report   {}", trained.report.display()));
    super::say_next(&terminal, &trained.run, &trained.record, Some(&study.evaluation));
    let result = eval::to_json(&trained.run, &study.evaluation, &trained.record);
    terminal.result(&with_training(result, trained));
    Ok(ExitCode::SUCCESS)
}

/// How training begins.
enum Begin {
    New(Box<PretrainOptions>),
    Resumed(PathBuf, ResumeOptions),
}

/// Returns the result of `work`, or `None` if Ctrl-C stopped it. In that case, says how to resume.
fn unless_stopped<T>(
    verb: &str,
    args: &Pretrain,
    work: impl FnOnce(&Begin, &mut Live) -> Result<T, Error>,
) -> anyhow::Result<Option<T>> {
    let begin = match &args.resume {
        Some(run) => Begin::Resumed(run.clone(), options::resume(args)),
        None => Begin::New(Box::new(options::pretrain(args)?)),
    };
    let run = match &begin {
        Begin::New(options) => options.folder(),
        Begin::Resumed(run, _) => run.clone(),
    };
    let way = format!("go on with: selfsame {verb} --resume {}", quoted(&run));
    let mut live = Live::of_run(run, way.clone())?;
    match work(&begin, &mut live) {
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
