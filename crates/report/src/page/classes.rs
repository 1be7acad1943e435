//! The accuracy of each class, and which classes are taken for each other.

use maud::{Markup, html};

use super::chart::{round, short};
use super::quantity::accuracy;
use crate::evaluation::words;
use crate::format::count;
use crate::record::Evaluation;

/// Maximum number of classes whose names stand at the heat map.
const NAMED: usize = 20;
/// Longest table that is shown without a click.
const FEW: usize = 12;

/// Draws the classes of an evaluation, or nothing without accuracies.
pub(super) fn classes(evaluation: &Evaluation) -> Markup {
    if evaluation.per_class.is_empty() {
        return html! {};
    }
    let confused = words::confused(evaluation);
    html! {
        h3 { "Class by class" }
        p.lead {
            "Of the trained encoder. "
            @if let Some(sentence) = words::macro_average(evaluation) { (sentence) " " }
            @if confused.is_empty() { "No class is often taken for another." }
        }
        @if !confused.is_empty() {
            ul.notes { @for sentence in &confused { li { (sentence) } } }
        }
        div.pair {
            (heat(evaluation))
            @if evaluation.per_class.len() <= FEW { (table(evaluation)) }
            @else {
                details {
                    summary { "Accuracy of each of the " (evaluation.per_class.len()) " classes" }
                    (table(evaluation))
                }
            }
        }
    }
}

fn table(evaluation: &Evaluation) -> Markup {
    html! {
        div.scroll.card tabindex="0" role="region" aria-label="Accuracy of each class" {
            table {
                thead {
                    tr {
                        th scope="col" { "Class" }
                        th scope="col" { "Test images" }
                        th scope="col" { "kNN" }
                        th scope="col" { "Linear probe" }
                    }
                }
                tbody {
                    @for class in &evaluation.per_class {
                        tr {
                            th scope="row" { (class.class) }
                            td { (count(class.images)) }
                            td { (accuracy(class.knn_acc1, class.images)) }
                            td { (accuracy(class.linear_acc1, class.images)) }
                        }
                    }
                }
            }
        }
    }
}

/// Draws, for each class, the shares of its test images that are taken for each class.
fn heat(evaluation: &Evaluation) -> Markup {
    const SIDE: f64 = 360.0;
    let rows: Vec<(&str, &Vec<u64>)> = words::confusion_rows(evaluation);
    let k = rows.len();
    if k < 2 {
        return html! {};
    }
    let names = k <= NAMED;
    let (left, top) = if names { (92.0, 74.0) } else { (8.0, 8.0) };
    let cell = (SIDE - left - 8.0) / k as f64;
    let place = |at: usize, start: f64| round(start + at as f64 * cell);
    html! {
        figure.chart {
            figcaption {
                h3 { "What classes are taken for" }
                p { "A row is a class, its squares what nearest neighbours take its test images \
                    for: the fuller, the more. A perfect encoder fills the diagonal only." }
            }
            svg.heat.confusion viewBox={ "0 0 " (SIDE) " " (round(top + cell * k as f64 + 8.0)) } role="img"
                aria-label={ "Confusion of " (k) " classes; the most confused are named above" } {
                @for (a, (name, predicted)) in rows.iter().enumerate() {
                    @let total = predicted.iter().sum::<u64>();
                    @if names {
                        text x=(left - 6.0) y=(place(a, top) + cell / 2.0 + 3.5) text-anchor="end" { (short(name)) }
                        @let x = place(a, left) + cell / 2.0 + 3.5;
                        text x=(round(x)) y=(top - 6.0) transform={ "rotate(-55 " (round(x)) " " (top - 6.0) ")" } { (short(name)) }
                    }
                    @for (b, &images) in predicted.iter().enumerate().filter(|(_, images)| **images > 0) {
                        @let share = images as f64 / total.max(1) as f64;
                        rect.right[a == b] x=(place(b, left)) y=(place(a, top)) width=(round(cell - 1.0)) height=(round(cell - 1.0))
                            fill-opacity=(format!("{:.3}", 0.05 + 0.95 * share)) {
                            title { (name) " taken for " (rows[b].0) ": " (count(images)) " of " (count(total)) }
                        }
                    }
                }
            }
        }
    }
}
