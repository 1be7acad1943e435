//! Results as lines of text, for a terminal.

use crate::evaluation::words;
use crate::record::{Accuracies, Evaluation, Representation, Scores};

/// Formats an evaluation: what must be known before the figures, one line per sentence; the
/// accuracies, one line per representation; the verdict; and what was left out.
///
/// ```
/// use selfsame_report::record::{Accuracies, Evaluation, Representation, Scores};
///
/// let knn_k = Some(20);
/// let (knn_acc1, linear_acc1, centre_acc1) = (0.913, 0.95, 0.871);
/// let trained = Scores { knn_acc1, knn_k, linear_acc1, centre_acc1, ..Scores::default() };
/// let of = [(Representation::Trained, trained)].into();
/// let accuracies = Some(Accuracies { images: 500, of, ..Accuracies::default() });
/// let evaluation = Evaluation { accuracies, ..Evaluation::default() };
/// let lines = selfsame_report::evaluation_lines(&evaluation);
/// assert_eq!(lines[1], "500 test images          kNN       k      linear      centre");
/// assert_eq!(lines[2], "trained encoder        91.3%      20       95.0%       87.1%");
/// ```
pub fn evaluation_lines(evaluation: &Evaluation) -> Vec<String> {
    let mut lines = words::warnings(evaluation);
    lines.extend(evaluation.accuracies.iter().flat_map(|all| rows("test images", all)));
    lines.extend(evaluation.without_copies.iter().flat_map(|all| rows("without copies", all)));
    if !words::is_empty(evaluation.verdict.as_ref()) {
        lines.extend(words::judgement(evaluation));
    }
    lines.extend(words::left_out(evaluation));
    lines
}

/// Formats accuracies, one line per representation, and the share of the commonest class.
fn rows(images: &str, accuracies: &Accuracies) -> Vec<String> {
    let width =
        accuracies.of.keys().map(|of| of.title().chars().count()).max().unwrap_or(0).max(18);
    let row = |name: &str, [knn, k, linear, centre]: [&str; 4]| {
        format!("{name:<width$}{knn:>10}{k:>8}{linear:>12}{centre:>12}")
    };
    let measured = |of: &Representation, scores: &Scores| {
        let [knn, linear, centre] = [scores.knn_acc1, scores.linear_acc1, scores.centre_acc1]
            .map(|share| format!("{:.1}%", 100.0 * share));
        let k = scores.knn_k.map_or(String::new(), |k| k.to_string());
        row(of.terse(), [&knn, &k, &linear, &centre])
    };
    let images = format!("{} {images}", accuracies.images);
    let mut lines = vec![row(&images, ["kNN", "k", "linear", "centre"])];
    lines.extend(accuracies.of.iter().map(|(of, scores)| measured(of, scores)));
    lines.extend(accuracies.commonest().map(|share| {
        let always = format!("{:.1}%", 100.0 * share);
        let interval = words::interval(share, accuracies.images);
        format!(
            "{:<width$}{always:>10}  always that answer (95% interval {interval})",
            "commonest class"
        )
    }));
    lines
}
