//! The evaluations: a picture with intervals, the same numbers as a table, and each measure in
//! plain words.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::Section;
use super::chart::{Axis, WIDTH, round};
use super::classes::classes;
use super::quantity::accuracy;
use crate::evaluation::words;
use crate::format::{NONE, count, counted, number, percent};
use crate::record::{Accuracies, Evaluation, Geometry, Representation, Scores};
use crate::{Report, wilson};

/// A way to turn a representation into an accuracy.
struct Measure {
    name: &'static str,
    meaning: &'static str,
    of: fn(&Scores) -> f64,
}

const MEASURES: [Measure; 3] = [
    Measure {
        name: "Nearest neighbours (kNN)",
        meaning: "A test image takes the vote of the training images most like it. Nothing \
                  further is trained, so it shows whether images of one class already lie \
                  together.",
        of: |scores| scores.knn_acc1,
    },
    Measure {
        name: "Linear probe",
        meaning: "One linear layer is fitted to the frozen representation with all training \
                  labels. It shows whether the classes can be told apart at all by straight cuts.",
        of: |scores| scores.linear_acc1,
    },
    Measure {
        name: "Nearest centre",
        meaning: "Each class is summed up by the mean of its images, and a test image takes the \
                  class whose mean is nearest. Strict: it works only if every class is one \
                  compact cloud.",
        of: |scores| scores.centre_acc1,
    },
];

/// Returns the class that gives a representation its colour.
pub(super) fn style(of: &Representation) -> &'static str {
    match of {
        Representation::Trained => "trained",
        Representation::Untrained => "untrained",
        Representation::Patches => "patches",
        Representation::Pixels => "pixels",
        Representation::Against(_) => "against",
    }
}

pub(super) fn section(report: &Report) -> Option<Section> {
    let evaluation = report.evaluation.as_ref()?;
    let certified = report.certificate.as_ref().and_then(|certificate| certificate.step);
    let others = evaluation.step.zip(certified).filter(|(here, there)| here != there);
    let body = html! {
        @if let Some((here, there)) = others {
            p.warning role="note" { "This is of the weights after step " (count(here)) ", what \
                the theory says below of those after step " (count(there)) "." }
        }
        @if let Some(accuracies) = &evaluation.accuracies {
            p.lead {
                "Three ways to ask the same question: is the class of an image plain from its \
                 representation? "
                "Measured on " (counted(accuracies.images, "test image", "test images"))
                @if evaluation.known == 0 { " that were never trained on" }
                @else { ", " (count(evaluation.known)) " of them copies of images that training \
                    or its choices saw" }
                @if evaluation.classes > 0 { ", \
                                              from " (counted(evaluation.classes, "class", "classes")) }
                "."
            }
            div.pair {
                (picture(evaluation, accuracies))
                (table(&format!("Accuracy on {}", of(evaluation, accuracies)), accuracies))
            }
            @if let Some(others) = &evaluation.without_copies {
                (table(&format!("Accuracy on the {} without copies", counted(others.images, "test image", "test images")), others))
            }
            dl.meanings {
                @for measure in &MEASURES { div { dt { (measure.name) } dd { (measure.meaning) } } }
            }
            (few_labels(evaluation))
            (classes(evaluation))
        }
        @if !evaluation.left_out.is_empty() {
            h3 { "Left out" }
            ul.notes { @for sentence in words::left_out(evaluation) { li { (sentence) } } }
        }
        @if !evaluation.geometry.is_empty() { (geometry(report, evaluation)) }
    };
    Some(Section {
        id: "results",
        short: "Results",
        title: "What the representation is worth",
        body,
    })
}

/// Returns the accuracy of always predicting the commonest class, with its name.
fn guessing(evaluation: &Evaluation, accuracies: &Accuracies) -> Option<(f64, &'static str)> {
    match accuracies.commonest() {
        Some(share) => Some((share, "always the commonest class:")),
        None if evaluation.classes > 0 => Some((1.0 / evaluation.classes as f64, "guessing:")),
        None => None,
    }
}

/// Draws dots with their 95 % intervals, grouped by measure. Both shape and colour distinguish
/// them.
fn picture(evaluation: &Evaluation, accuracies: &Accuracies) -> Markup {
    const LEFT: f64 = 12.0;
    const RIGHT: f64 = WIDTH - 62.0;
    const ROW: f64 = 20.0;
    const TOP: f64 = 18.0;
    let rows = accuracies.of.len() as f64 * ROW;
    let group_height = 30.0 + rows;
    let bottom = TOP + MEASURES.len() as f64 * group_height;
    let axis = Axis::shares();
    let across = |share: f64| round(axis.place(share.clamp(0.0, 1.0), LEFT, RIGHT));
    html! {
        figure.chart {
            svg.scores viewBox={ "0 0 " (WIDTH) " " (bottom + 30.0) } role="img"
                aria-label="Accuracies with their 95% intervals; the same numbers stand in the \
                            table" {
                g.axes {
                    @for (at, label) in &axis.ticks {
                        line x1=(across(*at)) x2=(across(*at)) y1=(TOP) y2=(bottom) {}
                        text x=(across(*at)) y=(bottom + 18.0) text-anchor="middle" { (label) }
                    }
                }
                @if let Some((share, name)) = guessing(evaluation, accuracies) {
                    // Draw the lines next to the dots only, so that they do not cross the measures'
                    // names.
                    @for top in (0..MEASURES.len()).map(|group| TOP + group as f64 * group_height + 24.0) {
                        line.reference x1=(across(share)) x2=(across(share)) y1=(top) y2=(top + rows) {}
                    }
                    text.reference x=(across(share)) y=(TOP - 6.0)
                        text-anchor=(if share < 0.35 { "start" } else { "middle" }) { (name) " " (percent(share)) }
                }
                @for (group, measure) in MEASURES.iter().enumerate() {
                    @let top = TOP + group as f64 * group_height + 18.0;
                    text.group x=(LEFT) y=(top) { (measure.name) }
                    @for (row, (of, scores)) in accuracies.of.iter().enumerate() {
                        @let y = top + 16.0 + row as f64 * ROW;
                        @let share = (measure.of)(scores);
                        @if share.is_finite() {
                            @let interval = wilson(share, accuracies.images);
                            g class=(style(of)) {
                                path.interval d=(whiskers(across(interval.low), across(interval.high), y)) {}
                                g transform={ "translate(" (across(share)) " " (y) ")" } { (symbol(of)) }
                                text.value x=(WIDTH - 4.0) y=(y + 4.5) text-anchor="end" { (percent(share)) }
                            }
                        }
                    }
                }
            }
            ul.key {
                @for of in accuracies.of.keys() {
                    li { svg class=(style(of)) viewBox="-7 -7 14 14" aria-hidden="true" { (symbol(of)) } (of.title()) }
                }
            }
        }
    }
}

fn whiskers(low: f64, high: f64, y: f64) -> String {
    format!("M{low} {}v8m0-4H{high}m0-4v8", y - 4.0)
}

fn symbol(of: &Representation) -> Markup {
    html! {
        @match of {
            Representation::Trained => circle.symbol r="4.5" {},
            Representation::Untrained => path.symbol d="M0 -5.5L5.5 0L0 5.5L-5.5 0Z" {},
            Representation::Patches => path.symbol d="M0 -5L5.2 4L-5.2 4Z" {},
            Representation::Pixels => rect.symbol x="-4" y="-4" width="8" height="8" {},
            Representation::Against(_) => path.symbol d="M-5.2 -4L5.2 -4L0 5Z" {},
        }
    }
}

/// Describes the images that accuracies are over.
fn of(evaluation: &Evaluation, accuracies: &Accuracies) -> String {
    let images = counted(accuracies.images, "test image", "test images");
    match evaluation.known {
        0 => images,
        1 => format!("{images}, 1 of them a copy"),
        copies => format!("{images}, {} of them copies", count(copies)),
    }
}

fn table(caption: &str, accuracies: &Accuracies) -> Markup {
    html! {
        div.scroll.card tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) ", with its 95% interval" }
                thead {
                    tr {
                        td {}
                        @for of in accuracies.of.keys() { th scope="col" class=(style(of)) { (of.title()) } }
                    }
                }
                tbody {
                    @for measure in &MEASURES {
                        tr {
                            th scope="row" { (measure.name) }
                            @for (of, scores) in &accuracies.of {
                                td class=(style(of)) { (accuracy((measure.of)(scores), accuracies.images)) }
                            }
                        }
                    }
                    tr {
                        th scope="row" { "Neighbours that vote (k)" }
                        @for (of, scores) in &accuracies.of {
                            td class=(style(of)) { (scores.knn_k.map_or(NONE.into(), count)) }
                        }
                    }
                    @if let Some(share) = accuracies.commonest() {
                        tr {
                            th scope="row" { "Always the commonest class" }
                            td colspan=(accuracies.of.len()) { (accuracy(share, accuracies.images)) }
                        }
                    }
                }
            }
            p.quiet {
                "In small type: the 95% interval (Wilson), where the accuracy would likely lie with other \
                 test images. "
                b { "Nothing was selected on the test split" } ": whatever had to be chosen, such \
                    as k and the probe’s penalty, was chosen on training and validation images."
            }
        }
    }
}

/// Draws the accuracies of linear probes that know a share of the labels.
fn few_labels(evaluation: &Evaluation) -> Markup {
    let rows = &evaluation.few_labels;
    if rows.is_empty() {
        return html! {};
    }
    // A row may lack a representation that another has.
    let columns: BTreeSet<&Representation> =
        rows.iter().flat_map(|few| few.linear_acc1.keys()).collect();
    html! {
        h3 { "With few labels" }
        p.lead { "The linear probe again, fitted with the labels of only some images. It shows \
                  what the representation is worth where labels are dear." }
        div.scroll.card tabindex="0" role="region" aria-label="Accuracy of linear probes with few labels" {
            table {
                thead {
                    tr {
                        td {}
                        @for of in &columns { th scope="col" class=(style(of)) { (of.title()) } }
                    }
                }
                tbody {
                    @for few in rows {
                        tr {
                            th scope="row" { (round(100.0 * few.share)) "% of the labels: " (counted(few.images, "image", "images")) }
                            @for of in &columns {
                                @let share = few.linear_acc1.get(*of).copied().unwrap_or(f64::NAN);
                                td class=(style(of)) { (accuracy(share, evaluation.scored())) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn geometry(report: &Report, evaluation: &Evaluation) -> Markup {
    type Pick = fn(&Geometry) -> Option<f64>;
    let dimension = match report.run.encoder.dimension {
        0 => String::new(),
        dimension => format!(" At most {}.", count(dimension)),
    };
    // The certificate measures other images, so its numbers of the same name differ.
    let measured = evaluation.geometry.values().next().copied().unwrap_or_default();
    let pairs = measured.alignment_over.map_or(String::new(), |[images, views]| {
        format!(
            " Over {} and {views} views of each, itself among them.",
            counted(images, "test image", "test images")
        )
    });
    let over = measured.images.map_or(String::new(), |images| {
        format!(" Over {}.", counted(images, "test image", "test images"))
    });
    let rows: [(&str, String, Pick); 3] = [
        (
            "Alignment",
            format!(
                "Mean squared distance between two views of one image; 0 means the encoder cannot \
                 tell them apart. Smaller is better.{pairs}"
            ),
            |g| g.alignment,
        ),
        (
            "Uniformity",
            format!(
                "How evenly the images fill the sphere of representations; more negative is more \
                 even. Smaller is better.{over}"
            ),
            |g| g.uniformity,
        ),
        (
            "RankMe",
            format!(
                "How many dimensions are really in use. Near 1 the representation has \
                 collapsed.{dimension}{over}"
            ),
            |g| g.rankme,
        ),
    ];
    let value = |geometry: &Geometry, pick: Pick| pick(geometry).map_or(NONE.to_string(), number);
    html! {
        h3 { "Without labels" }
        p.lead { "Shape of the representation alone. Alignment and uniformity pull against each \
                  other: only both together mean something."
            @if report.certificate.is_some() { " What the theory says below measures some of \
                                                these again, on the images that it names, so that \
                                                they differ." }
        }
        div.scroll.card tabindex="0" role="region" aria-label="Table of measures without labels" {
            table.geometry {
                thead {
                    tr {
                        td {}
                        @for of in evaluation.geometry.keys() { th scope="col" class=(style(of)) { (of.title()) } }
                        th scope="col" { "Meaning" }
                    }
                }
                tbody {
                    @for (name, meaning, pick) in &rows {
                        tr {
                            th scope="row" { (name) }
                            @for (of, geometry) in &evaluation.geometry {
                                td class=(style(of)) { b { (value(geometry, *pick)) } }
                            }
                            td.words { (meaning) }
                        }
                    }
                }
            }
        }
    }
}
