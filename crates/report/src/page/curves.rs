//! The progress of training: loss, validation accuracy, learning rate and speed.

use maud::{Markup, html};

use super::Section;
use super::chart::{Axis, LineChart, Reference, group_size};
use crate::Report;
use crate::format::{count, counted, number, percent};
use crate::record::MetricPoint;

pub(super) fn section(report: &Report) -> Option<Section> {
    let metrics = &report.metrics;
    let last = metrics.last()?;
    let strange: Vec<&MetricPoint> =
        metrics.iter().filter(|point| !point.train_loss.is_finite()).collect();
    let charts = [loss(report), accuracy(report), rate(report), speed(report)];
    let body = html! {
        p.lead {
            (counted(last.step, "step", "steps")) " over " (number(last.epoch))
            " of " (counted(report.run.epochs, "epoch", "epochs")) ". Point at a curve, or reach \
                it by keyboard and use the arrow keys, to read it."
            @let size = group_size(metrics.len());
            @if size > 1 { " Lines are means of " (size) " records each, bands their range." }
        }
        @if let Some(first) = strange.first() {
            p.warning role="note" {
                "The loss was not a number on " (counted(strange.len() as u64, "logged \
                    step", "logged steps"))
                ", first on step " (count(first.step)) ", where the learning rate \
                                                        was " (number(first.learning_rate))
                ". A smaller learning rate, a longer warm-up or gradient clipping usually mend \
                 that."
            }
        }
        @if let Some(collapse) = &report.run.collapse {
            p.warning role="note" { "Of this training: " (collapse) "." }
        }
        div.charts { @for chart in charts.iter().flatten() { (chart) } }
        @let watched: Vec<Markup> = WATCHED.iter().filter_map(|watched| watch(report, watched)).collect();
        @if !watched.is_empty() {
            h3 { "What the outputs looked like" }
            p { "These curves are of the vectors that the loss compares, scaled to length 1, one batch \
                 at a time. They show early whether training collapses." }
            div.charts { @for chart in &watched { (chart) } }
        }
    };
    Some(Section { id: "training", short: "Training", title: "How training went", body })
}

/// One quantity of the records, plotted over epochs.
struct Curve<'a> {
    title: &'a str,
    caption: Markup,
    of: &'a dyn Fn(&MetricPoint) -> Option<f64>,
    words: &'a dyn Fn(f64) -> String,
    /// Approximate number of ticks on the y axis.
    ticks: usize,
    /// Whether the y axis is logarithmic where the data span decades.
    decades: bool,
    /// The y axis. `None` if it only has to span the data.
    y: Option<Axis>,
    reference: Option<Reference>,
    dots: bool,
    height: f64,
}

fn draw(report: &Report, curve: Curve<'_>) -> Option<Markup> {
    let points: Vec<(f64, f64)> =
        report.metrics.iter().filter_map(|point| Some((point.epoch, (curve.of)(point)?))).collect();
    let fit = if curve.decades { Axis::decades } else { Axis::fit };
    let fitted = fit(&mut points.iter().map(|point| point.1), curve.ticks)?;
    let x = Axis::fit(&mut report.metrics.iter().map(|point| point.epoch).chain([0.0]), 5)?;
    let chart = LineChart {
        title: curve.title,
        caption: curve.caption,
        x_label: "epoch",
        x,
        y: curve.y.unwrap_or(fitted),
        points: &points,
        readout: &|x, y| format!("epoch {} · {}", number(x), (curve.words)(y)),
        dots: curve.dots,
        reference: curve.reference,
        height: curve.height,
    };
    Some(chart.figure())
}

fn loss(report: &Report) -> Option<Markup> {
    let curve = Curve {
        title: "Training loss",
        caption: html! { "How hard the encoder finds its task. Should fall." },
        of: &|point| Some(point.train_loss),
        words: &|loss| format!("loss {}", number(loss)),
        ticks: 5,
        decades: true,
        y: None,
        reference: None,
        dots: false,
        height: 160.0,
    };
    draw(report, curve)
}

fn accuracy(report: &Report) -> Option<Markup> {
    let classes = report.run.dataset.classes.len();
    let reference =
        (classes > 1).then(|| Reference { at: 1.0 / classes as f64, label: "guessing".into() });
    let curve = Curve {
        title: "Validation accuracy (kNN)",
        caption: html! { "Classes named by nearest neighbours, on images held back from \
        training. Should rise." },
        of: &|point| point.val_knn_acc1,
        words: &|share| format!("{} right", percent(share)),
        ticks: 5,
        decades: false,
        y: Some(Axis::shares()),
        reference,
        dots: true,
        height: 160.0,
    };
    draw(report, curve)
}

/// Measures of a batch's outputs: name in the records, title, caption.
const WATCHED: [(&str, &str, &str); 7] = [
    (
        "output_std",
        "Spread",
        "Standard deviation of the outputs. It rises to near 1, which is as spread as can be; at 0 \
         all are one point, which means collapse.",
    ),
    (
        "rank_me",
        "Effective rank (RankMe)",
        "How many directions the outputs use. Near 1 means collapse.",
    ),
    (
        "alignment",
        "Alignment",
        "Squared distance of two views of an image: 0 is equal, 4 opposite. It rises at first, as \
         the outputs leave the point they start from, and then falls slowly.",
    ),
    (
        "uniformity",
        "Uniformity",
        "How evenly they fill the sphere; lower is more even. Falls most in the first epochs.",
    ),
    (
        "r_epsilon",
        "Images with views apart (R_ε)",
        "Share of images whose views lie more than ε apart. It rises at first, with the spread, \
         and then falls.",
    ),
    (
        "divergence",
        "Divergence of classes",
        "Largest product of the centres of two classes, in the encoder's own output. The lower, the \
         further apart the classes are.",
    ),
    (
        "alpha_req",
        "Decay of the spectrum (αReQ)",
        "How fast the variance falls from one direction to the next. Around 1 is held to be good.",
    ),
];

fn watch(report: &Report, (name, title, caption): &(&str, &str, &str)) -> Option<Markup> {
    let curve = Curve {
        title,
        caption: html! { (caption) },
        of: &|point| point.watched.get(*name).copied(),
        words: &|value| number(value),
        ticks: 3,
        decades: false,
        y: None,
        reference: None,
        dots: *name == "divergence",
        height: 80.0,
    };
    draw(report, curve)
}

fn rate(report: &Report) -> Option<Markup> {
    let curve = Curve {
        title: "Learning rate",
        caption: html! { "How large a step the optimizer takes." },
        of: &|point| Some(point.learning_rate),
        words: &|rate| format!("rate {}", number(rate)),
        ticks: 3,
        decades: false,
        y: None,
        reference: None,
        dots: false,
        height: 80.0,
    };
    draw(report, curve)
}

fn speed(report: &Report) -> Option<Markup> {
    let speeds = || report.metrics.iter().map(|point| point.views_per_second);
    let curve = Curve {
        title: "Speed",
        caption: html! { "Augmented images through the encoder in a second." },
        of: &|point| Some(point.views_per_second),
        words: &|speed| format!("{} views/s", number(speed)),
        // Start at 0, so that small changes look small.
        ticks: 4,
        decades: false,
        y: Axis::fit(&mut speeds().chain([0.0]), 4),
        reference: None,
        dots: false,
        height: 80.0,
    };
    draw(report, curve)
}
