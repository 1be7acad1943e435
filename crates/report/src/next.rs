//! What is most worth doing next, from what was measured.

use std::path::Path;

use crate::certificate::CertificateRecord;
use crate::comparison::{ComparedRun, Comparison, Note, Verdict as Compared};
use crate::experiment::Experiment;
use crate::forecast::{Advice, Forecast};
use crate::quoted;
use crate::record::{Evaluation, LeftOut, PROLONGED, RunRecord, Verdict};

/// How many times longer a run is worth trying if it does not beat its baselines clearly.
const LONGER: u64 = 4;
/// How many times as many images of a class a forecast is worth trying with, if it has too few.
const MORE: usize = 4;
/// Options of images that `study`, `forecast`, `inspect` and `views` have in common.
const OF_IMAGES: [&str; 4] = ["--labels", "--image-size", "--split-seed", "--exif"];

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
/// would be a list to choose from, not advice. `run` is how the run's folder is typed, and `images`
/// how its images are ([`images`]).
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
    images: &str,
) -> Vec<Next> {
    let Some(evaluation) = evaluation.filter(|_| record.finished) else {
        return vec![match record.finished {
            true => Next::new(
                format!("selfsame eval {run}"),
                "measure the encoder beside its baselines",
            ),
            false => Next::new(format!("selfsame study --resume {run}"), "finish training"),
        }];
    };
    let inspect = |why| Next::new(format!("selfsame inspect {images}"), why);
    let other_test =
        || inspect("see which images stand in several splits, and set others aside for test");
    let more_test =
        || inspect("see how few images the accuracy rests on; with more test images it says more");
    let alike = Next::new(
        format!("selfsame neighbours {run}"),
        "see which images the encoder takes for alike",
    );
    let export =
        Next::new(format!("selfsame export {run} --format onnx"), "use the encoder elsewhere");
    let longer = || match record.protocol.iter().any(|(name, _)| name == PROLONGED) {
        // Training on has been tried.
        true => forecast(images),
        false => {
            let epochs = LONGER * record.epochs;
            Next::new(
                format!("selfsame study --resume {run} --epochs {epochs}"),
                &format!("train on, to {epochs} epochs"),
            )
        }
    };
    match &evaluation.verdict {
        Some(Verdict::OnlyCopies) => vec![other_test()],
        None if evaluation.left_out.contains(&LeftOut::OnlyUnseen) => vec![other_test()],
        Some(Verdict::NothingTold) => vec![more_test()],
        verdict if record.is_from_elsewhere() => {
            match (verdict, option(&record.command, "--init")) {
                (Some(Verdict::Ahead { clear: true, .. }), Some(file)) => vec![Next::new(
                    format!(
                        "selfsame embed --init {} --data {images} --to embeddings.npy",
                        quoted(&file)
                    ),
                    "take embeddings elsewhere",
                )],
                _ => vec![study(images, "train an encoder on these images")],
            }
        }
        Some(Verdict::AtMajority | Verdict::Behind { .. }) => {
            let mut steps = vec![longer(), forecast(images)];
            steps.dedup();
            steps
        }
        Some(Verdict::Ahead { clear: false, .. }) => vec![longer(), more_test()],
        Some(Verdict::Ahead { clear: true, .. } | Verdict::NoBaseline) => vec![export, alike],
        None => vec![alike, export],
    }
}

/// Returns what is most worth doing after a forecast for images that are typed `images`, of which
/// `usual` is the policy that training uses by default.
///
/// ```
/// use selfsame_report::forecast::{Advice, Forecast};
/// use selfsame_report::next::after_forecast;
///
/// let forecast = Forecast { advice: Some(Advice::Chance), ..Forecast::default() };
/// let next = after_forecast(&forecast, "photos/", "abcde");
/// assert_eq!(next[0].command, "selfsame study --data photos/");
/// ```
pub fn after_forecast(forecast: &Forecast, images: &str, usual: &str) -> Vec<Next> {
    let plain = |why| study(images, why);
    let best = forecast.recommended.first().and_then(|&at| forecast.policies.get(at));
    match (&forecast.advice, best) {
        (None, _) => Vec::new(),
        (Some(Advice::Best { .. }), Some(policy)) if policy.name == usual => {
            vec![plain("train with it, and see what it is worth")]
        }
        (Some(Advice::Best { .. }), Some(policy)) => {
            let stem = Path::new(&forecast.dataset).file_stem().unwrap_or_default();
            let out = format!("runs/{}-forecast", stem.to_string_lossy());
            let (augment, out) = (quoted(&policy.name), quoted(&out));
            vec![
                Next::new(
                    format!("selfsame study --data {images} --augment {augment} --out {out}"),
                    "train with it, and see what it is worth",
                ),
                plain("train with the usual augmentation, to compare"),
            ]
        }
        _ => {
            let usual = plain("train with the usual augmentation, and see what it is worth");
            [Some(usual), more_images(forecast)].into_iter().flatten().collect()
        }
    }
}

/// Returns the forecast again with more images a class, if there are more.
fn more_images(forecast: &Forecast) -> Option<Next> {
    let place = forecast.command.iter().position(|word| word == "--per-class")? + 1;
    let images = forecast.command.get(place)?.parse::<usize>().ok()?;
    if forecast.training_images <= forecast.images.len() {
        return None;
    }
    let mut words = forecast.command.clone();
    words[place] = (MORE * images).to_string();
    words.push("--overwrite".to_owned());
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    Some(Next::new(words.join(" "), "measure more images, so that the intervals are narrower"))
}

/// Returns what is most worth doing after the certificate of an encoder or of embeddings that no run
/// made. `images` is how the images are typed.
pub fn after_certificate(record: &CertificateRecord, images: &str) -> Vec<Next> {
    match record.weights.is_empty() {
        true => Vec::new(),
        false => vec![Next::new(
            format!("selfsame eval --init {} --data {images}", quoted(&record.subject)),
            "measure the encoder beside its baselines",
        )],
    }
}

/// Returns what is most worth doing after a comparison of runs.
pub fn after_comparison(comparison: &Comparison) -> Vec<Next> {
    // What was not trained here has neither a configuration nor weights to measure.
    let trained = |run: &&ComparedRun| !run.method.is_empty();
    let folder = |run: &str| run.trim_end_matches(['/', '\\']).to_owned();
    let eval = |run: &str| {
        Next::new(
            format!("selfsame eval {}", quoted(&folder(run))),
            "measure it, so that there is something to compare",
        )
    };
    let again = |run: &ComparedRun| {
        let (folder, seed) = (folder(&run.run), run.seed + 1);
        let [config, out] = [format!("{folder}/config.toml"), format!("{folder}-seed{seed}")]
            .map(|path| quoted(&path));
        Next::new(
            format!("selfsame study --config {config} --seed {seed} --out {out}"),
            "train with another seed, to see how much chance moves it",
        )
    };
    let runs = &comparison.runs;
    let steps: Vec<Next> = match &comparison.verdict {
        Compared::Better => runs.first().filter(trained).into_iter().map(again).collect(),
        Compared::Undecided { .. } => runs.iter().filter(trained).map(again).collect(),
        Compared::NoPredictions => {
            let lacking = comparison.notes.iter().filter_map(|note| match note {
                Note::NoPredictions { run } => Some(run),
                _ => None,
            });
            lacking.map(|run| eval(run)).collect()
        }
        Compared::Nothing => runs
            .iter()
            .filter(trained)
            .filter(|run| run.accuracies.iter().all(Option::is_none))
            .map(|run| eval(&run.run))
            .collect(),
        Compared::DifferentImages => Vec::new(),
    };
    steps.into_iter().take(2).collect()
}

/// Returns what is most worth doing after runs of an experiment in the folder `out`.
pub fn after_experiment(experiment: &Experiment, out: &str) -> Vec<Next> {
    let command = &experiment.command;
    // What another part of the runs does is not for this command to do.
    let partly = command.is_empty() || option(command, "--shard").is_some();
    match experiment.done < experiment.runs {
        true if partly => Vec::new(),
        true => {
            let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
            vec![Next::new(words.join(" "), "go on with the runs that are left")]
        }
        false => vec![Next::new(
            format!("selfsame compare {out}/runs/*"),
            "see which run is the best, and in what they differ",
        )],
    }
}

/// Returns what is most worth doing after embedding with the encoder of a run.
pub fn after_embedding(run: &str) -> Vec<Next> {
    let why = "see what can be proved of the encoder";
    vec![Next::new(format!("selfsame certify {run}"), why)]
}

/// Returns what is most worth doing after exporting the encoder of a run.
pub fn after_export(run: &str) -> Vec<Next> {
    let why = "see what the file should give";
    vec![Next::new(format!("selfsame embed {run} --to embeddings.npy"), why)]
}

/// Returns what is most worth doing after looking at the neighbours of images that were not asked
/// for.
pub fn after_neighbours(run: &str) -> Vec<Next> {
    vec![Next::new(format!("selfsame neighbours {run} IMAGE"), "see those of any image")]
}

/// Returns what is most worth doing after looking at views of images that are typed `images`.
pub fn after_views(images: &str, labelled: bool) -> Vec<Next> {
    vec![match labelled {
        true => forecast(images),
        false => study(images, "train an encoder on these images"),
    }]
}

fn study(images: &str, why: &str) -> Next {
    Next::new(format!("selfsame study --data {images}"), why)
}

fn forecast(images: &str) -> Next {
    Next::new(
        format!("selfsame forecast --data {images}"),
        "see which augmentation suits these images",
    )
}

/// Returns how the images of a command are typed: `data` and the options of the command that say how
/// images are read.
///
/// ```
/// let command = ["selfsame", "study", "--data", "x", "--labels", "my table.csv", "--epochs", "3"];
/// let command = command.map(str::to_owned);
/// assert_eq!(selfsame_report::next::images(&command, "x"), "x --labels 'my table.csv'");
/// ```
pub fn images(command: &[String], data: &str) -> String {
    let mut words = vec![quoted(data)];
    for name in OF_IMAGES {
        let value = option(command, name);
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), quoted(&value)]));
    }
    words.join(" ")
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
    let folder = option(&run.command, "--out").or_else(usual)?;
    Some([quoted(&folder), images(&run.command, &data)])
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

    fn commands(steps: &[Next]) -> Vec<&str> {
        steps.iter().map(|step| step.command.as_str()).collect()
    }

    #[test]
    fn runs_are_trained_on_once() {
        let mut run = RunRecord { finished: true, epochs: 10, ..RunRecord::default() };
        let verdict = Some(Verdict::AtMajority);
        let evaluation = Evaluation { verdict, step: Some(100), ..Evaluation::default() };
        let steps = after_run(&run, Some(&evaluation), "r", "d");
        let longer = "selfsame study --resume r --epochs 40";
        assert_eq!(commands(&steps), [longer, "selfsame forecast --data d"]);
        run.protocol.push((PROLONGED.into(), "from 10 to 40 epochs".into()));
        let steps = after_run(&run, Some(&evaluation), "r", "d");
        assert_eq!(commands(&steps), ["selfsame forecast --data d"]);
    }

    #[test]
    fn an_encoder_from_elsewhere_is_not_trained_on() {
        let mut run = RunRecord { finished: true, ..RunRecord::default() };
        run.encoder.name = "resnet18".into();
        run.command = ["selfsame", "eval", "--init", "a b.pth"].map(str::to_owned).to_vec();
        let of = |verdict| {
            let evaluation = Evaluation { verdict, ..Evaluation::default() };
            let steps = after_run(&run, Some(&evaluation), "r", "d");
            steps.into_iter().map(|step| step.command).collect::<Vec<_>>()
        };
        let of_pixels = crate::record::Representation::Pixels;
        let ahead = Some(Verdict::Ahead { of: of_pixels.clone(), clear: true });
        let embed = "selfsame embed --init 'a b.pth' --data d --to embeddings.npy";
        assert_eq!(of(ahead), [embed]);
        assert_eq!(of(Some(Verdict::Behind { of: of_pixels })), ["selfsame study --data d"]);
        assert_eq!(of(Some(Verdict::NothingTold)), ["selfsame inspect d"]);
        assert_eq!(of(Some(Verdict::OnlyCopies)), ["selfsame inspect d"]);
    }

    #[test]
    fn a_forecast_is_made_again_with_more_images_if_there_are_more() {
        let command =
            ["selfsame", "forecast", "--data", "d", "--per-class", "20", "--labels", "l l"];
        let mut forecast = Forecast {
            advice: Some(Advice::Chance),
            command: command.map(str::to_owned).to_vec(),
            training_images: 100,
            ..Forecast::default()
        };
        let again = "selfsame forecast --data d --per-class 80 --labels 'l l' --overwrite";
        assert_eq!(
            commands(&after_forecast(&forecast, "d", "abcde")),
            ["selfsame study --data d", again]
        );
        forecast.training_images = 0;
        assert_eq!(commands(&after_forecast(&forecast, "d", "abcde")), ["selfsame study --data d"]);
        // Nothing is recommended for a single class.
        forecast.advice = Some(Advice::SingleClass { first: vec![0] });
        assert_eq!(commands(&after_forecast(&forecast, "d", "abcde")), ["selfsame study --data d"]);
    }

    #[test]
    fn runs_that_were_compared_are_trained_with_another_seed() {
        let run = |name: &str, method: &str, seed| ComparedRun {
            run: name.into(),
            method: method.into(),
            augment: String::new(),
            epochs: 1,
            seed,
            settings: Vec::new(),
            curve: Vec::new(),
            accuracies: Vec::new(),
            values: Vec::new(),
            bound: None,
        };
        let mut comparison = Comparison {
            verdict: Compared::Undecided { others: vec![1] },
            runs: vec![run("runs/a b/", "simclr", 4), run("runs/c", "", 0)],
            ..Comparison::default()
        };
        let again =
            "selfsame study --config 'runs/a b/config.toml' --seed 5 --out 'runs/a b-seed5'";
        assert_eq!(commands(&after_comparison(&comparison)), [again]);
        comparison.verdict = Compared::NoPredictions;
        comparison.notes = vec![Note::NoPredictions { run: "runs/c".into() }];
        assert_eq!(commands(&after_comparison(&comparison)), ["selfsame eval runs/c"]);
        // Of what was not trained here, there is nothing to measure.
        comparison.verdict = Compared::Nothing;
        assert_eq!(commands(&after_comparison(&comparison)), ["selfsame eval 'runs/a b'"]);
    }

    #[test]
    fn an_experiment_goes_on_with_its_own_command() {
        let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let mut experiment = Experiment {
            runs: 4,
            done: 3,
            command: command(&["selfsame", "reproduce", "my grid.toml"]),
            ..Experiment::default()
        };
        let goes_on = "selfsame reproduce 'my grid.toml'";
        assert_eq!(commands(&after_experiment(&experiment, "o")), [goes_on]);
        experiment.command.extend(["--shard".to_owned(), "1/2".to_owned()]);
        assert!(after_experiment(&experiment, "o").is_empty());
        experiment.command.clear();
        assert!(after_experiment(&experiment, "o").is_empty());
        experiment.done = 4;
        assert_eq!(commands(&after_experiment(&experiment, "o")), ["selfsame compare o/runs/*"]);
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
