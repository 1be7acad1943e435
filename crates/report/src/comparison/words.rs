//! Sentences about a comparison, for its page and for the terminal.

use selfsame_theory::{Quantity, Trust};

use super::{Aspect, ComparedRun, Comparison, Difference, FEWEST, Note, Predictor, Verdict};
use crate::format::{counted, percent, sentence_list, signed};
use crate::quoted;

/// Largest number of settings, or of runs, that a sentence names.
const NAMED: usize = 4;

/// Returns the whole text, one line per item: the verdict, the accuracies, differences on the same
/// images, what predicts accuracy if there are enough runs to tell, and notes.
pub fn lines(comparison: &Comparison) -> Vec<String> {
    let mut lines = verdict(comparison);
    lines.extend(table(comparison));
    lines.extend(differences(comparison));
    if comparison.predicts() {
        lines.extend(nothing_predicts(comparison));
        let leading = leading(comparison);
        for Predictor { name, taus, .. } in &comparison.predictors {
            let tau = taus.get(comparison.leading).and_then(Option::as_ref);
            let tau = tau.map_or("–".to_owned(), tau_in_words);
            lines.push(format!("τ with {leading}, {name:<18} {tau}"));
        }
    }
    lines.extend(notes(comparison).map(note));
    lines
}

/// Returns the remarks that matter. Those about prediction do only where something is predicted.
pub fn notes(comparison: &Comparison) -> impl Iterator<Item = &Note> {
    let predicts = comparison.predicts();
    comparison.notes.iter().filter(move |note| predicts || !note.is_about_prediction())
}

/// Names the accuracy that the comparison is about.
pub(crate) fn leading(comparison: &Comparison) -> &str {
    comparison.accuracies.get(comparison.leading).map_or("", String::as_str)
}

/// Describes which run is better, how sure that is, and how the runs differ. The first sentence
/// is the headline.
pub fn verdict(comparison: &Comparison) -> Vec<String> {
    let mut said = match &comparison.verdict {
        Verdict::Nothing => vec![nothing(comparison)],
        Verdict::Better => vec![better(comparison)],
        Verdict::Undecided { others } => vec![undecided(comparison, others)],
        Verdict::DifferentImages => vec![unpaired(
            comparison,
            "were measured on different test images, so there is no paired difference",
        )],
        Verdict::NoPredictions => vec![unpaired(
            comparison,
            "cannot be compared image by image, because it is not known which images each gets \
             right",
        )],
    };
    said.extend(settings(comparison));
    let only_seed = comparison.settings == ["seed"];
    if matches!(comparison.verdict, Verdict::Better | Verdict::Undecided { .. }) && !only_seed {
        said.push(
            "The interval allows for other test images, not for another seed: train each with \
             several seeds to see how much chance moves it."
                .into(),
        );
    }
    said
}

/// Returns the run at a position, and its leading accuracy in words.
fn run(comparison: &Comparison, at: usize) -> (&str, String) {
    let run = comparison.runs.get(at);
    let accuracy = run.and_then(|run| run.accuracies.get(comparison.leading)?.as_ref());
    let share = accuracy.map_or(f64::NAN, |accuracy| accuracy.value);
    (run.map_or("", |run| &run.run), percent(share))
}

/// Returns the difference of the leading accuracy between the first run and another.
fn difference(comparison: &Comparison, other: usize) -> Option<(&Difference, u64)> {
    let pair = comparison.paired.iter().find(|pair| pair.other == other)?;
    Some((pair.differences.get(comparison.leading)?.as_ref()?, pair.images))
}

fn images(n: u64) -> String {
    counted(n, "test image", "test images")
}

fn better(comparison: &Comparison) -> String {
    let ((first, share), (second, other)) = (run(comparison, 0), run(comparison, 1));
    let (gap, name) = (difference(comparison, 1), leading(comparison));
    let Some((found, n)) = gap else { return nothing(comparison) };
    let points = points(&found.difference);
    match comparison.runs.len() {
        2 => format!(
            "{first} is better than {second}: {name} accuracy {share} against {other} on the same \
             {}, a difference of {points}.",
            images(n)
        ),
        all => format!(
            "{first} is the best of {all} runs: {name} accuracy {share}. {second} comes next with \
             {other} on the same {}, a difference of {points}.",
            images(n)
        ),
    }
}

fn undecided(comparison: &Comparison, others: &[usize]) -> String {
    let ((first, share), name) = (run(comparison, 0), leading(comparison));
    let Some((found, n)) = others.first().and_then(|&other| difference(comparison, other)) else {
        return nothing(comparison);
    };
    let names: Vec<String> = others.iter().map(|&at| run(comparison, at).0.to_owned()).collect();
    match comparison.runs.len() {
        2 => format!(
            "{} cannot tell {first} and {} apart: {name} accuracy {share} against {}, a difference \
             of {}, which includes 0.",
            images(n),
            names[0],
            run(comparison, others[0]).1,
            points(&found.difference)
        ),
        _ => format!(
            "{first} has the highest {name} accuracy, {share}, but {} cannot tell it from {}: the \
             interval of the difference includes 0.",
            images(n),
            listed(&names)
        ),
    }
}

fn unpaired(comparison: &Comparison, why: &str) -> String {
    let ((first, share), (second, other)) = (run(comparison, 0), run(comparison, 1));
    format!(
        "{first} and {second} {why}. Their {} accuracy is {share} and {other}.",
        leading(comparison)
    )
}

/// Formats a difference in points with its interval.
pub(crate) fn points(difference: &Quantity) -> String {
    let points = |share: f64| signed(100.0 * share, 1);
    let value = points(difference.value);
    match difference.trust {
        Trust::Estimate { low: Some(low), high: Some(high), .. } => {
            format!("{value} points (95% interval {} to {})", points(low), points(high))
        }
        _ => format!("{value} points"),
    }
}

/// Lists names. Long lists are cut short.
fn listed(names: &[String]) -> String {
    match names.len() {
        0..=NAMED => sentence_list(names),
        all => format!("{} and {} more", names[..NAMED].join(", "), all - NAMED),
    }
}

/// Says in which settings the runs differ. Returns `None` unless all are runs.
fn settings(comparison: &Comparison) -> Option<String> {
    let Comparison { settings, runs, .. } = comparison;
    if runs.len() < 2 || runs.iter().any(|run| run.method.is_empty()) {
        return None;
    }
    let value = |run: &ComparedRun, at: usize| {
        run.settings.get(at).cloned().flatten().unwrap_or_else(|| "not set".into())
    };
    // Of two runs the values have room too.
    let named = |(at, name): (usize, &String)| match &runs[..] {
        [first, second] => format!("{name} ({} and {})", value(first, at), value(second, at)),
        _ => name.clone(),
    };
    let names: Vec<String> = settings.iter().enumerate().map(named).collect();
    Some(match settings.as_slice() {
        [] => "Their settings are the same, the seed included.".into(),
        [seed] if seed == "seed" => match comparison.verdict {
            Verdict::DifferentImages => "Their settings are the same but for the seed, which also \
                                         chose the test images."
                .into(),
            _ => "Their settings are the same but for the seed, so what differs is chance in \
                  training."
                .into(),
        },
        [_] => format!("They differ in one setting: {}.", names[0]),
        all => format!("They differ in {} settings: {}.", all.len(), listed(&names)),
    })
}

/// Formats the accuracies that any run has, one line per run.
fn table(comparison: &Comparison) -> Vec<String> {
    let has =
        |at: usize| move |run: &ComparedRun| run.accuracies.get(at).is_some_and(Option::is_some);
    let shown: Vec<usize> = (0..comparison.accuracies.len())
        .filter(|&at| comparison.runs.iter().any(has(at)))
        .collect();
    let width = |at: usize| comparison.accuracies[at].chars().count().max(6) + 3;
    let line = |cell: &dyn Fn(usize) -> String| -> String {
        shown.iter().map(|&at| format!("{:>1$}", cell(at), width(at))).collect()
    };
    if shown.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![line(&|at| comparison.accuracies[at].clone())];
    for run in &comparison.runs {
        let share = |at: usize| run.accuracies.get(at)?.as_ref().map(|found| percent(found.value));
        let shares = line(&|at| share(at).unwrap_or_else(|| "–".to_owned()));
        lines.push(format!("{shares}   {}", run.run));
    }
    lines
}

/// Formats the differences on the same images: of two runs in each accuracy, of more runs in the
/// leading one.
fn differences(comparison: &Comparison) -> Vec<String> {
    let two = comparison.runs.len() == 2;
    let mut lines = Vec::new();
    for pair in &comparison.paired {
        let ((first, _), (other, _)) = (run(comparison, 0), run(comparison, pair.other));
        for (at, name) in comparison.accuracies.iter().enumerate() {
            let found = pair.differences.get(at).and_then(Option::as_ref);
            if let Some(found) = found.filter(|_| two || at == comparison.leading) {
                let points = points(&found.difference);
                lines.push(format!("{name}, {first} minus {other}: {points}"));
            }
        }
    }
    lines
}

/// Describes one remark about the comparison.
pub fn note(note: &Note) -> String {
    match note {
        Note::PassedOver { run } => {
            format!("{} is no run and was passed over.", quoted(run))
        }
        Note::NoPredictions { run } => {
            let run = quoted(run);
            format!(
                "{run} does not say which test images it gets right; `selfsame eval {run}` writes \
                 that down."
            )
        }
        Note::OtherImages { run } => format!(
            "{} was measured on other test images than the first run, so the two are not paired.",
            quoted(run)
        ),
        Note::NoCertificate { run } => {
            let run = quoted(run);
            format!("{run} has no certificate; `selfsame certify {run}` makes it.")
        }
        Note::DifferentSteps { run } => format!(
            "{} was evaluated and certified at different steps of its training, so the evaluation \
             does not count; measure the same --checkpoint with both.",
            quoted(run)
        ),
        Note::NoAccuracies { run } => {
            let run = quoted(run);
            format!(
                "{run} has no accuracies; `selfsame eval {run}` measures them, if there are labels."
            )
        }
        Note::Copies { run, copies, images } => format!(
            "{copies} of the {images} test images of {} are copies of training or validation \
             images.",
            quoted(run)
        ),
        Note::UnknownImages => "Certificates of embeddings do not say of which images: see to it \
                                that all are of the same."
            .into(),
        Note::Differ { aspect } => format!(
            "The certificates are of {}: their measures are not quite comparable.",
            match aspect {
                Aspect::Images => "different images",
                Aspect::Splits => "different splits",
                Aspect::ImageCounts => "different numbers of images",
                Aspect::ViewCounts => "different numbers of views",
                Aspect::Seeds => "views of different seeds",
            }
        ),
        Note::FewRuns { complete } => format!(
            "Intervals of τ are rough below 10 runs, and there are none below {FEWEST}; these are \
             {complete}."
        ),
        Note::Dependent => "Intervals of τ take the runs to be independent, which those of one \
                            method or one data set are not quite."
            .into(),
    }
}

/// Describes why there is nothing to compare: fewer than two runs have an accuracy.
fn nothing(comparison: &Comparison) -> String {
    let has = |run: &&ComparedRun| run.accuracies.iter().any(Option::is_some);
    let why = match comparison.runs.iter().find(has) {
        None => {
            "no run has an accuracy; `selfsame eval` and `selfsame certify` measure them.".into()
        }
        Some(run) => format!("no other run has an accuracy that {} has.", run.run),
    };
    format!("There is nothing to compare yet: {why}")
}

/// Describes why no measure orders the runs by the leading accuracy. Returns `None` if a measure
/// does.
pub fn nothing_predicts(comparison: &Comparison) -> Option<String> {
    let leading = comparison.leading;
    let ordered = |predictor: &Predictor| predictor.taus.get(leading).is_some_and(Option::is_some);
    if comparison.predictors.iter().any(ordered) {
        return None;
    }
    let accuracy = |run: &ComparedRun| Some(run.accuracies.get(leading)?.as_ref()?.value);
    let mut known = comparison.runs.iter().filter_map(accuracy);
    let first = known.next();
    Some(match known.all(|value| Some(value) == first) {
        true => "All runs have the same accuracy, so there is no order to predict.".into(),
        false => "Each measure is the same in all runs, so none predicts an order.".into(),
    })
}

/// Names the measure that orders the runs best, if its interval leaves out 0.
pub(crate) fn best_predictor(comparison: &Comparison) -> Option<String> {
    if !comparison.predicts() {
        return None;
    }
    let known = comparison
        .predictors
        .iter()
        .filter_map(|one| Some((one, one.taus.get(comparison.leading)?.as_ref()?)));
    let mut known: Vec<(&Predictor, &Quantity)> = known.collect();
    // A stable sort: of equally good measures, the first in the order of the record.
    known.sort_by(|(_, a), (_, b)| b.value.total_cmp(&a.value));
    let (best, found) = known.first()?;
    let above = matches!(found.trust, Trust::Estimate { low: Some(low), .. } if low > 0.0);
    above.then(|| {
        format!(
            "Of {} measures, {} orders these runs best: Kendall’s τ with {} accuracy is {}. It was \
             chosen by these runs; expect less on others.",
            known.len(),
            best.name,
            leading(comparison),
            tau_in_words(found)
        )
    })
}

/// Formats a τ with its interval and the number of runs that it is computed from.
fn tau_in_words(tau: &Quantity) -> String {
    let value = signed(tau.value, 2);
    match &tau.trust {
        Trust::Estimate { low: Some(low), high: Some(high), sample, .. } => {
            format!("{value} ({} to {} by {sample} runs)", signed(*low, 2), signed(*high, 2))
        }
        Trust::Estimate { method, sample, .. } => {
            format!("{value} (no interval: {method}, of {sample} runs)")
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, accuracy: Option<f64>, setting: Option<&str>) -> ComparedRun {
        ComparedRun {
            run: name.into(),
            method: "simclr".into(),
            augment: "a".into(),
            epochs: 2,
            seed: 0,
            settings: vec![setting.map(String::from)],
            curve: Vec::new(),
            accuracies: vec![accuracy.map(Quantity::exact)],
            values: Vec::new(),
            bound: None,
        }
    }

    fn pair(other: usize, [value, low, high]: [f64; 3]) -> super::super::Paired {
        let method = "Tango".into();
        let trust = Trust::Estimate { low: Some(low), high: Some(high), method, sample: 1000 };
        let difference = Quantity { value, trust };
        let difference = Difference { only_first: 90, only_other: 20, difference };
        super::super::Paired { other, images: 1000, differences: vec![Some(difference)] }
    }

    fn comparison(
        verdict: Verdict,
        runs: &[ComparedRun],
        paired: &[super::super::Paired],
    ) -> Comparison {
        Comparison {
            verdict,
            settings: vec!["augment".into()],
            accuracies: vec!["kNN".into()],
            runs: runs.into(),
            paired: paired.into(),
            ..Comparison::default()
        }
    }

    #[test]
    fn the_first_sentence_says_which_is_better_and_how_sure_that_is() {
        let two = [run("b", Some(0.45), Some("ad")), run("a", Some(0.38), None)];
        let said = verdict(&comparison(Verdict::Better, &two, &[pair(1, [0.07, 0.04, 0.1])]));
        assert_eq!(
            said[0],
            "b is better than a: kNN accuracy 45.0% against 38.0% on the same 1,000 test images, a \
             difference of 7.0 points (95% interval 4.0 to 10.0)."
        );
        assert_eq!(said[1], "They differ in one setting: augment (ad and not set).");
        assert!(said[2].contains("not for another seed"), "{said:?}");
        let undecided = Verdict::Undecided { others: vec![1] };
        let said = verdict(&comparison(undecided, &two, &[pair(1, [0.07, -0.01, 0.1])]));
        assert_eq!(
            said[0],
            "1,000 test images cannot tell b and a apart: kNN accuracy 45.0% against 38.0%, a \
             difference of 7.0 points (95% interval −1.0 to 10.0), which includes 0."
        );
        let said = verdict(&comparison(Verdict::DifferentImages, &two, &[]));
        assert!(said[0].starts_with("b and a were measured on different test images"), "{said:?}");
        let said = verdict(&comparison(Verdict::Nothing, &two[..1], &[]));
        assert!(said[0].starts_with("There is nothing to compare yet: no other run"), "{said:?}");
    }

    #[test]
    fn of_several_runs_those_are_named_that_cannot_be_told_from_the_best() {
        let runs = ["a", "b", "c"].map(|name| run(name, Some(0.5), Some(name)));
        let paired = [pair(1, [0.01, -0.01, 0.03]), pair(2, [0.01, -0.02, 0.04])];
        let undecided = Verdict::Undecided { others: vec![1, 2] };
        let said = verdict(&comparison(undecided, &runs, &paired));
        assert!(said[0].contains("cannot tell it from b and c: the interval"), "{said:?}");
        assert_eq!(said[1], "They differ in one setting: augment.");
        let said = verdict(&comparison(Verdict::Better, &runs, &[pair(1, [0.1, 0.05, 0.2])]));
        assert!(said[0].starts_with("a is the best of 3 runs") && said[0].contains("b comes next"));
    }

    #[test]
    fn a_seed_is_no_setting() {
        let two = ["1", "2"].map(|seed| run("r", Some(0.5), Some(seed)));
        let mut both = comparison(Verdict::Better, &two, &[pair(1, [0.07, 0.04, 0.1])]);
        both.settings = vec!["seed".into()];
        assert!(verdict(&both)[1].starts_with("Their settings are the same but for the seed"));
        assert_eq!(verdict(&both).len(), 2);
        both.verdict = Verdict::DifferentImages;
        assert!(verdict(&both)[1].ends_with("which also chose the test images."));
        both.verdict = Verdict::Better;
        both.settings = Vec::new();
        assert_eq!(verdict(&both)[1], "Their settings are the same, the seed included.");
        // A certificate without a run has no settings.
        both.runs[1].method = String::new();
        assert!(!verdict(&both).join(" ").contains("settings"));
    }

    #[test]
    fn nothing_is_said_of_prediction_below_five_runs() {
        let two = [run("b", Some(0.45), None), run("a", Some(0.38), None)];
        let mut both = comparison(Verdict::Better, &two, &[pair(1, [0.07, 0.04, 0.1])]);
        both.notes = vec![Note::Dependent, Note::PassedOver { run: "x y".into() }];
        let lines = lines(&both);
        assert_eq!(lines.last().unwrap(), "'x y' is no run and was passed over.");
        assert!(!lines.join(" ").contains('τ'), "{lines:?}");
        assert!(lines.contains(&"kNN, b minus a: 7.0 points (95% interval 4.0 to 10.0)".into()));
    }

    #[test]
    fn a_minus_is_one() {
        let trust = |ends: Option<[f64; 2]>| Trust::Estimate {
            low: ends.map(|e| e[0]),
            high: ends.map(|e| e[1]),
            method: "few".into(),
            sample: 4,
        };
        let words = |ends| tau_in_words(&Quantity { value: -0.25, trust: trust(ends) });
        assert_eq!(words(Some([-0.5, 0.125])), "−0.25 (−0.50 to 0.12 by 4 runs)");
        assert_eq!(words(None), "−0.25 (no interval: few, of 4 runs)");
    }
}
