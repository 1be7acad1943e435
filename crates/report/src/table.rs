//! Results as lines of text, for a terminal.

use crate::evaluation::words;
use crate::record::{Accuracies, Evaluation, Scores};

/// Formats an evaluation: what must be known before the figures, one line per sentence; the
/// accuracies, one line per representation; the verdict; and what was left out.
///
/// ```
/// use selfsame_report::record::{Evaluation, Scores};
///
/// let test = Scores { knn_acc1: 0.913, linear_acc1: 0.95, centre_acc1: 0.871 };
/// let evaluation = Evaluation { scored: 500, test: Some(test), ..Evaluation::default() };
/// let lines = selfsame_report::evaluation_lines(&evaluation);
/// assert_eq!(lines[1], "500 test images          kNN      linear      centre");
/// assert_eq!(lines[2], "trained encoder       91.3 %      95.0 %      87.1 %");
/// ```
pub fn evaluation_lines(evaluation: &Evaluation) -> Vec<String> {
    let mut lines = words::warnings(evaluation);
    lines.extend(rows("test images", &evaluation.accuracies()));
    if let Some(others) = &evaluation.without_copies {
        lines.extend(rows("without copies", others));
    }
    if !words::is_empty(evaluation.verdict) {
        lines.extend(words::judgement(evaluation));
    }
    lines.extend(words::left_out(evaluation));
    lines
}

/// Formats accuracies, one line per representation, and the share of the commonest class.
fn rows(images: &str, accuracies: &Accuracies) -> Vec<String> {
    let Accuracies { test, untrained, pixels, majority, .. } = *accuracies;
    let row = |name: &str, scores: Scores| {
        let [knn, linear, centre] = [scores.knn_acc1, scores.linear_acc1, scores.centre_acc1]
            .map(|share| format!("{:.1} %", 100.0 * share));
        format!("{name:<18}{knn:>10}{linear:>12}{centre:>12}")
    };
    let named =
        [("trained encoder", test), ("untrained encoder", untrained), ("raw pixels", pixels)];
    let mut lines: Vec<String> =
        named.into_iter().filter_map(|(name, scores)| Some(row(name, scores?))).collect();
    if test.is_some() {
        let images = format!("{} {images}", accuracies.images);
        lines.insert(0, format!("{images:<18}{:>10}{:>12}{:>12}", "kNN", "linear", "centre"));
        lines.extend(majority.filter(|share| share.is_finite()).map(|share| {
            let always = format!("{:.1} %", 100.0 * share);
            let interval = words::interval(share, accuracies.images);
            format!("commonest class   {always:>10}  always that answer (95 % interval {interval})")
        }));
    }
    lines
}
