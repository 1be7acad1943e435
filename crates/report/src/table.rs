//! Results as lines of text, for a terminal.

use crate::record::{Evaluation, Scores};

/// Formats the accuracies of an evaluation, one line per representation, followed by what was left
/// out, one line per sentence.
///
/// ```
/// use selfsame_report::record::{Evaluation, Scores};
///
/// let test = Scores { knn_acc1: 0.913, linear_acc1: 0.95, centre_acc1: 0.871 };
/// let evaluation = Evaluation { images: 500, test: Some(test), ..Evaluation::default() };
/// let lines = selfsame_report::evaluation_lines(&evaluation);
/// assert_eq!(lines[0], "500 test images          kNN      linear      centre");
/// assert_eq!(lines[1], "trained encoder       91.3 %      95.0 %      87.1 %");
/// ```
pub fn evaluation_lines(evaluation: &Evaluation) -> Vec<String> {
    let mut lines = Vec::new();
    if evaluation.test.is_some() {
        let images = format!("{} test images", evaluation.images);
        lines.push(format!("{images:<18}{:>10}{:>12}{:>12}", "kNN", "linear", "centre"));
    }
    let row = |name: &str, scores: Scores| {
        let [knn, linear, centre] = [scores.knn_acc1, scores.linear_acc1, scores.centre_acc1]
            .map(|share| format!("{:.1} %", 100.0 * share));
        format!("{name:<18}{knn:>10}{linear:>12}{centre:>12}")
    };
    let rows = [
        ("trained encoder", evaluation.test),
        ("untrained encoder", evaluation.untrained),
        ("raw pixels", evaluation.pixels),
    ];
    lines.extend(rows.into_iter().filter_map(|(name, scores)| Some(row(name, scores?))));
    lines.extend(evaluation.left_out.iter().cloned());
    lines
}
