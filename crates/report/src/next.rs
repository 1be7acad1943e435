//! What is most worth doing next, from what was measured.

use std::path::Path;

use crate::certificate::CertificateRecord;
use crate::comparison::{Comparison, Verdict as Compared};
use crate::experiment::Experiment;
use crate::forecast::{Advice, Forecast};
use crate::quoted;
use crate::record::{Evaluation, LeftOut, RunRecord, Verdict};

/// How many times longer a run is worth trying if it does not beat its baselines clearly.
const LONGER: u64 = 4;
/// How many times as many images of a class a forecast is worth trying with, if it has too few.
const MORE: usize = 4;

/// A step that is worth taking now: a command, and what it is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The command, as it is typed.
    pub command: String,
    /// What it is good for: the rest of a sentence, without a full stop.
    pub why: String,
}

impl Next {
    fn new(command: String, why: &str) -> Self {
        Self { command, why: why.to_owned() }
    }
}

/// Returns what is most worth doing after a run: at most two steps, the most worthwhile first. More
/// would be a list to choose from, not advice. `run` and `data` are how the run's folder and its
/// images are typed.
///
/// ```
/// use selfsame_report::next::after_run;
/// use selfsame_report::record::{Evaluation, Representation, RunRecord, Verdict};
///
/// let run = RunRecord { finished: true, epochs: 25, ..RunRecord::default() };
/// let verdict = Some(Verdict::Behind { of: Representation::Pixels });
/// let evaluation = Evaluation { verdict, step: Some(975), ..Evaluation::default() };
/// let next = after_run(&run, Some(&evaluation), "runs/photos", "photos/");
/// assert_eq!(next[0].command, "selfsame study --resume runs/photos --epochs 100");
/// assert_eq!(next[0].why, "train on, to 100 epochs");
/// ```
pub fn after_run(
    record: &RunRecord,
    evaluation: Option<&Evaluation>,
    run: &str,
    data: &str,
) -> Vec<Next> {
    let resume = |why| Next::new(format!("selfsame study --resume {run}"), why);
    let measure =
        Next::new(format!("selfsame eval {run}"), "measure the encoder beside its baselines");
    let epochs = LONGER * record.epochs;
    let prolong = Next::new(
        format!("selfsame study --resume {run} --epochs {epochs}"),
        &format!("train on, to {epochs} epochs"),
    );
    let other_test = Next::new(
        format!("selfsame inspect {data}"),
        "see which images stand in several splits, and set others aside for test",
    );
    let more_test = Next::new(
        format!("selfsame inspect {data}"),
        "see how few images the accuracy rests on; with more test images it says more",
    );
    let neighbours = |why| Next::new(format!("selfsame neighbours {run}"), why);
    let labels = || neighbours("see which labels are likely wrong, and why");
    let alike = || neighbours("see which images the encoder takes for alike");
    let export =
        Next::new(format!("selfsame export {run} --format onnx"), "use the encoder elsewhere");
    let certify =
        Next::new(format!("selfsame certify {run}"), "see what can be proved of the encoder");
    match evaluation {
        _ if !record.finished => vec![resume("finish training")],
        None => vec![measure],
        Some(evaluation) => match &evaluation.verdict {
            Some(Verdict::OnlyCopies) => vec![other_test],
            _ if record.is_from_elsewhere() => {
                vec![study(data, "train an encoder on these images")]
            }
            Some(Verdict::NothingTold) => vec![labels(), more_test],
            Some(Verdict::AtMajority | Verdict::Behind { .. }) => vec![prolong, forecast(data)],
            Some(Verdict::Ahead { clear: false, .. }) => vec![prolong, more_test],
            Some(Verdict::Ahead { clear: true, .. }) => vec![labels(), export],
            Some(Verdict::NoBaseline) => vec![certify, export],
            None if evaluation.left_out.contains(&LeftOut::OnlyUnseen) => vec![other_test],
            None => vec![alike(), export],
        },
    }
}

/// Returns what is most worth doing after a forecast for images that are typed `data`.
///
/// ```
/// use selfsame_report::forecast::{Advice, Forecast};
/// use selfsame_report::next::after_forecast;
///
/// let forecast = Forecast { advice: Some(Advice::Chance), ..Forecast::default() };
/// let next = after_forecast(&forecast, "photos/");
/// assert_eq!(next[0].command, "selfsame study --data photos/");
/// ```
pub fn after_forecast(forecast: &Forecast, data: &str) -> Vec<Next> {
    let more = || {
        let images = forecast.images.len().div_ceil(forecast.classes.len().max(1));
        Next::new(
            format!("selfsame forecast --data {data} --per-class {}", MORE * images.max(1)),
            "measure more images, so that the intervals are narrower",
        )
    };
    let plain = study(data, "train with the usual augmentation, and see what it is worth");
    match &forecast.advice {
        None => Vec::new(),
        Some(Advice::Best { .. } | Advice::SingleClass { .. }) => {
            let at = forecast.recommended.first().copied().unwrap_or(0);
            let Some(policy) = forecast.policies.get(at) else { return vec![plain] };
            vec![
                Next::new(
                    format!(
                        "selfsame study --data {data} --augment {} --out runs/forecast",
                        quoted(&policy.name)
                    ),
                    "train with it, and see what it is worth",
                ),
                study(data, "train with the usual augmentation, to compare"),
            ]
        }
        Some(Advice::TooFewImages { .. } | Advice::Chance) => vec![plain, more()],
    }
}

/// Returns what is most worth doing after the certificate of an encoder or of embeddings that no run
/// made. `data` is how the images are typed.
pub fn after_certificate(record: &CertificateRecord, data: &str) -> Vec<Next> {
    let subject = quoted(&record.subject);
    match record.weights.is_empty() {
        true => Vec::new(),
        false => vec![Next::new(
            format!("selfsame eval --init {subject} --data {data}"),
            "measure the encoder beside its baselines",
        )],
    }
}

/// Returns what is most worth doing after a comparison of runs.
pub fn after_comparison(comparison: &Comparison) -> Vec<Next> {
    let [Some(first), second] = [comparison.runs.first(), comparison.runs.get(1)] else {
        return Vec::new();
    };
    let run = quoted(&first.run);
    let seed = Next::new(
        format!("selfsame study --config {run}/config.toml --seed 1 --out {run}-seed1"),
        "train it again with another seed, to see how much chance moves it",
    );
    let eval = |run: &str| {
        Next::new(
            format!("selfsame eval {}", quoted(run)),
            "measure it, so that there is something to compare",
        )
    };
    match &comparison.verdict {
        Compared::Better => vec![
            seed,
            Next::new(
                format!("selfsame export {run} --format onnx"),
                "use the better encoder elsewhere",
            ),
        ],
        Compared::Undecided { .. } => vec![seed],
        Compared::NoPredictions => vec![eval(&first.run)],
        Compared::Nothing => {
            let unmeasured =
                |run: &&crate::comparison::ComparedRun| run.accuracies.iter().all(Option::is_none);
            comparison
                .runs
                .iter()
                .find(unmeasured)
                .map(|found| eval(&found.run))
                .into_iter()
                .collect()
        }
        Compared::DifferentImages => second
            .map(|second| {
                Next::new(
                    format!("selfsame report {}", quoted(&second.run)),
                    "see in its protocol which images it was measured on",
                )
            })
            .into_iter()
            .collect(),
    }
}

/// Returns what is most worth doing after runs of an experiment in the folder `out`.
pub fn after_experiment(experiment: &Experiment, out: &str) -> Vec<Next> {
    let words = experiment.command.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    match experiment.done {
        done if done < experiment.runs => {
            vec![Next::new(words, "go on with the runs that are left")]
        }
        _ => vec![Next::new(
            format!("selfsame compare {out}/runs/*"),
            "see which measure foretells the accuracy",
        )],
    }
}

fn study(data: &str, why: &str) -> Next {
    Next::new(format!("selfsame study --data {data}"), why)
}

fn forecast(data: &str) -> Next {
    Next::new(
        format!("selfsame forecast --data {data}"),
        "see which augmentation suits these images",
    )
}

/// Returns the value of an option in a command, such as `--data`, if the command has it.
pub(crate) fn option(command: &[String], name: &str) -> Option<String> {
    command.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(name)? {
        "" => command.get(at + 1).cloned(),
        value => value.strip_prefix('=').map(str::to_owned),
    })
}

/// Returns the folder of a run and its images as the command that made it names them, if a command
/// did.
pub(crate) fn places(run: &RunRecord) -> Option<[String; 2]> {
    let usual = || {
        let stem = Path::new(&run.dataset.name).file_stem()?;
        Path::new("runs").join(stem).to_str().map(str::to_owned)
    };
    // Of a run that began like another, the configuration names the images.
    if run.command.is_empty() || option(&run.command, "--config").is_some() {
        return None;
    }
    let data = option(&run.command, "--data").unwrap_or_else(|| run.dataset.name.clone());
    Some([option(&run.command, "--out").or_else(usual)?, data].map(|place| quoted(&place)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::DatasetRecord;

    fn of(command: &str, name: &str) -> Option<[String; 2]> {
        let command = command.split_whitespace().map(str::to_owned).collect();
        let dataset = DatasetRecord { name: name.to_owned(), ..DatasetRecord::default() };
        places(&RunRecord { command, dataset, ..RunRecord::default() })
    }

    #[test]
    fn places_are_those_of_the_command() {
        let named = |run: &str, data: &str| Some([run, data].map(str::to_owned));
        assert_eq!(of("selfsame study", "glyphs"), named("runs/glyphs", "glyphs"));
        let command = "selfsame study --data my/photos.tar";
        assert_eq!(of(command, "photos.tar"), named("runs/photos", "my/photos.tar"));
        let command = "selfsame pretrain --out=a=b --data x --out-of-date";
        assert_eq!(of(command, "x"), named("a=b", "x"));
        assert_eq!(of("selfsame study --config c.toml", "x"), None);
        assert_eq!(of("", "x"), None);
    }
}
