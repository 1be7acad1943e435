//! Sentences about a comparison, for its page and for the terminal.

use selfsame_theory::{Quantity, Trust};

use super::{Aspect, ComparedRun, Comparison, FEWEST, Note, Predictor};
use crate::format::{percent, signed};
use crate::quoted;

/// Returns the whole text, one line per item: the runs with their accuracies, τ between each
/// measure and the leading accuracy, and notes.
pub fn lines(comparison: &Comparison) -> Vec<String> {
    let share = |accuracy: &Option<Quantity>| {
        accuracy.as_ref().map_or("–".to_owned(), |found| format!("{:.1} %", 100.0 * found.value))
    };
    let cell = |text: &dyn std::fmt::Display| format!("{text:>26}");
    let mut lines = vec![comparison.accuracies.iter().map(|name| cell(name)).collect::<String>()];
    for run in &comparison.runs {
        let accuracies: String =
            run.accuracies.iter().map(|accuracy| cell(&share(accuracy))).collect();
        lines.push(format!("{accuracies}  {}", run.run));
    }
    lines.extend(nothing(comparison));
    let leading = comparison.accuracies.get(comparison.leading).map_or("", String::as_str);
    for Predictor { name, taus, .. } in &comparison.predictors {
        let tau = taus.get(comparison.leading).and_then(Option::as_ref);
        let tau = tau.map_or("–".to_owned(), tau_in_words);
        lines.push(format!("τ with {leading}, {name:<18} {tau}"));
    }
    lines.extend(comparison.notes.iter().map(note));
    lines
}

/// Describes one remark about the comparison.
pub fn note(note: &Note) -> String {
    match note {
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

/// Describes why no measure orders the runs by the leading accuracy. Returns `None` if a measure
/// does.
pub fn nothing(comparison: &Comparison) -> Option<String> {
    let leading = comparison.leading;
    let ordered = |predictor: &Predictor| predictor.taus.get(leading).is_some_and(Option::is_some);
    if comparison.predictors.iter().any(ordered) {
        return None;
    }
    let accuracy = |run: &ComparedRun| Some(run.accuracies.get(leading)?.as_ref()?.value);
    let known: Vec<(&ComparedRun, f64)> =
        comparison.runs.iter().filter_map(|run| Some((run, accuracy(run)?))).collect();
    let name = comparison.accuracies.get(leading).map_or("", String::as_str);
    let measured = known.iter().filter(|(run, _)| run.values.iter().any(Option::is_some)).count();
    let why = match known[..] {
        [] => "no run has an accuracy; `selfsame eval` and `selfsame certify` measure them.".into(),
        [(run, _)] => format!("only {} has an accuracy ({name}), and it takes two runs.", run.run),
        _ if measured < 2 => {
            "it takes two runs that have both an accuracy and a certificate.".into()
        }
        [(_, first), ..] if known.iter().all(|(_, value)| *value == first) => format!(
            "all {} runs have the same {name} accuracy, {}, so there is no order to predict.",
            known.len(),
            percent(first)
        ),
        _ => "each measure is the same in all runs.".into(),
    };
    Some(format!("There is nothing to compare yet: {why}"))
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
