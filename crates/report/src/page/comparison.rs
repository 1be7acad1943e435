//! The page of a comparison of runs: which is better, how they differ, how training went, and
//! with enough runs which measure predicts accuracy.

use maud::{Markup, html};
use selfsame_theory::{Quantity, Trust};

use super::chart::{Axis, Dot, Scale, scatter, whisker};
use super::lines::{COLOURS, Line, Lines, Path, style};
use super::{Section, document, next, prose, protocol, quantity, verdict};
use crate::comparison::words::{self, leading};
use crate::comparison::{ComparedRun, Comparison, CurvePoint, Difference, Paired, Predictor};
use crate::format::{NONE, count, counted, number, percent, percent_up, signed};
use crate::next::after_comparison;

/// Largest number of runs that are columns of the table of settings. More runs are its rows.
const COLUMNS: usize = 4;

/// Draws a comparison of runs as one HTML page. Works for any record; missing parts are left out.
pub fn render_comparison(comparison: &Comparison) -> String {
    let predicts = comparison.predicts();
    let sections = [
        settings(comparison),
        differences(comparison),
        curves(comparison),
        predicts.then(|| prediction(comparison)),
        predicts.then(|| pictures(comparison)),
        Some(table(comparison)),
        next::section(&after_comparison(comparison)),
        Some(again(comparison)),
    ];
    let sections: Vec<Section> = sections.into_iter().flatten().collect();
    let title = match &comparison.runs[..] {
        [first, second] => format!("{} and {} compared", first.run, second.run),
        all => counted(all.len() as u64, "run", "runs") + " compared",
    };
    document(&title, &comparison.selfsame, header(comparison, &title), &sections, None)
}

fn header(comparison: &Comparison, title: &str) -> Markup {
    html! {
        p.eyebrow { (title) }
        (verdict(&words::verdict(comparison)))
        @if let Some(best) = words::best_predictor(comparison) { p.judgement { (best) } }
        @for note in words::notes(comparison).filter(|note| !note.is_about_prediction()) {
            p.warning role="note" { (prose(&words::note(note))) }
        }
    }
}

/// Shows how the runs differ. Few runs are the columns of a table, many its rows.
fn settings(comparison: &Comparison) -> Option<Section> {
    let Comparison { settings, runs, .. } = comparison;
    if settings.is_empty() {
        return None;
    }
    let value = |run: &ComparedRun, at: usize| {
        html! {
            td { @match run.settings.get(at).and_then(Option::as_ref) { Some(value) => code { (value) }, None => (NONE) } }
        }
    };
    let body = html! {
        p.lead { "Settings of " code { "config.toml" } " that are not the same in all runs. A dash: not set." }
        div.scroll.card tabindex="0" role="region" aria-label="Table of settings" {
            table.settings {
                @if runs.len() <= COLUMNS {
                    thead { tr { th scope="col" { "Setting" } @for run in runs { th scope="col" { (run.run) } } } }
                    tbody {
                        @for (at, name) in settings.iter().enumerate() {
                            tr { th scope="row" { code { (name) } } @for run in runs { (value(run, at)) } }
                        }
                    }
                } @else {
                    thead { tr { th scope="col" { "Run" } @for name in settings { th scope="col" { code { (name) } } } } }
                    tbody {
                        @for run in runs {
                            tr { th scope="row" { (run.run) } @for at in 0..settings.len() { (value(run, at)) } }
                        }
                    }
                }
            }
        }
    };
    Some(Section { id: "settings", short: "Settings", title: "What is different", body })
}

/// Shows the first run beside the others on the same test images.
fn differences(comparison: &Comparison) -> Option<Section> {
    let first = comparison.runs.first().filter(|_| !comparison.paired.is_empty())?;
    let rows: Vec<(&Paired, &str, &Difference)> = comparison
        .paired
        .iter()
        .flat_map(|pair| {
            let named = pair.differences.iter().zip(&comparison.accuracies);
            named.filter_map(move |(found, name)| Some((pair, name.as_str(), found.as_ref()?)))
        })
        .collect();
    let ends = rows
        .iter()
        .flat_map(|(_, _, found)| interval(&found.difference))
        .fold(0.01, |most: f64, end| most.max(end.abs()));
    let others = comparison.runs.len() - 1;
    let body = html! {
        p.lead {
            "Every test image is given to both runs. Images that both get right, or both wrong, say \
             nothing of which is better; the others decide. Where the interval leaves out 0, the \
             difference is beyond what the choice of test images explains."
        }
        div.scroll.card tabindex="0" role="region" aria-label="Table of differences" {
            table.ranking {
                thead { tr {
                    @if others > 1 { th scope="col" { (first.run) " and" } }
                    th scope="col" { "Accuracy" }
                    th scope="col" { "Difference, points" }
                    th scope="col" { "Only " (first.run) " right" }
                    th scope="col" { "Only " @match &comparison.runs[..] { [_, second] => (second.run), _ => "the other" } " right" }
                    th scope="col" { "Test images" }
                } }
                tbody {
                    @for (pair, name, found) in &rows {
                        tr {
                            @if others > 1 { td { (comparison.runs.get(pair.other).map_or("", |run| &run.run)) } }
                            th scope="row" { (name) }
                            (points(&found.difference, ends))
                            td { (count(found.only_first)) }
                            td { (count(found.only_other)) }
                            td { (count(pair.images)) }
                        }
                    }
                }
            }
        }
        p.quiet {
            "In small type: the 95% interval (Tango 1998), which agrees with McNemar’s test. "
            @if others > 1 { "The first run was chosen as the best by the same images, so the level is for all pairs of runs together. " }
            "It is an interval over test images: it does not say what another seed would give. The dotted line stands at 0."
        }
    };
    Some(Section {
        id: "differences",
        short: "Differences",
        title: "On the same test images",
        body,
    })
}

/// Returns the ends of an interval, or the value twice.
fn interval(Quantity { value, trust }: &Quantity) -> [f64; 2] {
    match trust {
        Trust::Estimate { low: Some(low), high: Some(high), .. } => [*low, *high],
        _ => [*value; 2],
    }
}

/// Draws a difference with its interval, on a scale from −`most` to `most`.
fn points(difference: &Quantity, most: f64) -> Markup {
    let [low, high] = interval(difference);
    let points = |share: f64| signed(100.0 * share, 1);
    let [at, from, to] = [difference.value, low, high].map(|share| share / most);
    html! {
        td {
            b { (points(difference.value)) }
            small { (points(low)) " to " (points(high)) }
            (whisker(at, [from, to], [-1.0, 1.0]))
        }
    }
}

/// Draws the training of the runs, one over the other.
fn curves(comparison: &Comparison) -> Option<Section> {
    let trained: Vec<&ComparedRun> =
        comparison.runs.iter().filter(|run| !run.curve.is_empty()).collect();
    let drawn = &trained[..trained.len().min(COLOURS)];
    let of = |value: fn(&CurvePoint) -> Option<f64>| -> Vec<Line> {
        let line = |(at, run): (usize, &&ComparedRun)| {
            let points = run.curve.iter().filter_map(|point| Some((point.epoch, value(point)?)));
            Line { name: run.run.clone(), points: points.collect(), style: style(at) }
        };
        drawn.iter().enumerate().map(line).filter(|line| !line.points.is_empty()).collect()
    };
    let chart = |title,
                 caption,
                 lines: &[Line],
                 axis: fn(&mut dyn Iterator<Item = f64>, usize) -> Option<Axis>| {
        let points = || lines.iter().flat_map(|line| &line.points);
        let x = Axis::fit(&mut points().map(|point| point.0).chain([0.0]), 5)?;
        let y = axis(&mut points().map(|point| point.1), 5)?;
        let chart = Lines {
            title,
            caption,
            alternative: "runs over epochs",
            x_label: "epoch",
            x,
            y,
            lines,
            marks: &[],
            path: Path::Straight,
        };
        Some(chart.figure())
    };
    let methods = drawn.iter().any(|run| run.method != drawn[0].method);
    let charts = [
        chart(
            "Validation accuracy (kNN)",
            html! { "On images held back from training." },
            &of(|point| point.knn),
            Axis::percent,
        ),
        chart(
            "Training loss",
            html! { @if methods { "Losses of different methods are on different scales: compare only runs of one method." } @else { "The lower, the better the task is solved; it need not order the runs as accuracy does." } },
            &of(|point| point.loss),
            Axis::decades,
        ),
    ];
    let charts: Vec<Markup> = charts.into_iter().flatten().collect();
    if charts.is_empty() {
        return None;
    }
    let body = html! {
        @if trained.len() > drawn.len() { p.lead { "The " (drawn.len()) " most accurate runs." } }
        div.charts { @for chart in &charts { (chart) } }
    };
    Some(Section { id: "curves", short: "Curves", title: "How training went", body })
}

fn prediction(comparison: &Comparison) -> Section {
    let body = html! {
        p.lead { "Kendall’s τ between each measure and each accuracy. It is 1 where a measure puts the \
                  runs in the order of their accuracies, −1 where in the opposite one, and 0 where \
                  it says nothing." }
        @if let Some(why) = words::nothing_predicts(comparison) { p { (why) } }
        @for note in words::notes(comparison).filter(|note| note.is_about_prediction()) { p.warning role="note" { (prose(&words::note(note))) } }
        div.scroll.card tabindex="0" role="region" aria-label="Table of Kendall’s τ" {
            table.ranking {
                thead { tr { th scope="col" { "Measure" } @for accuracy in &comparison.accuracies { th scope="col" { (accuracy) } } } }
                tbody {
                    @for predictor in &comparison.predictors {
                        tr {
                            th scope="row" { (predictor.name) small { (predictor.meaning) " " @if predictor.larger_is_better { "Larger" } @else { "Smaller" } " is held to be better." } }
                            @for tau in &predictor.taus { (cell(tau.as_ref())) }
                        }
                    }
                }
            }
        }
        p.quiet {
            "In small type: the 95% interval, an estimate for other runs of this kind (Fieller et al. \
             1957; for τ of 1 or −1, where that is a point, from independent pairs of runs); none \
             below five runs. It is of each measure by itself, not of the best of them. A dash: \
             the measure is the same in all runs, and orders nothing."
            @if let Some(delta) = comparison.delta { " σ is taken at δ = " (number(delta)) " in \
                all runs, where the middle class of the middle run comes half together." }
            @if let Some(epsilon) = comparison.epsilon { " R_ε is taken at ε \
                                                          = " (number(epsilon)) ", where half of \
                                                              the images of the middle run are \
                                                              spread." }
        }
    };
    Section { id: "prediction", short: "Prediction", title: "What predicts accuracy", body }
}

fn cell(tau: Option<&Quantity>) -> Markup {
    let Some(Quantity { value, trust }) = tau else { return html! { td { (NONE) } } };
    html! {
        td {
            b { (signed(*value, 2)) }
            @if let Trust::Estimate { low: Some(low), high: Some(high), .. } = trust {
                small { (signed(*low, 2)) " to " (signed(*high, 2)) }
                (whisker(*value, [*low, *high], [-1.0, 1.0]))
            }
        }
    }
}

fn pictures(comparison: &Comparison) -> Section {
    let body = html! {
        p.lead { "Each dot is a run: " (leading(comparison)) " accuracy over the measure. Point \
            at a dot to see which." }
        div.scatters { @for (at, predictor) in comparison.predictors.iter().enumerate() { (accuracy_over(comparison, at, predictor)) } }
    };
    Section { id: "pictures", short: "Pictures", title: "Accuracy over each measure", body }
}

fn accuracy_over(comparison: &Comparison, at: usize, predictor: &Predictor) -> Markup {
    let dot = |run: &ComparedRun| {
        let (x, y) = (
            run.values.get(at)?.as_ref()?.value,
            run.accuracies.get(comparison.leading)?.as_ref()?.value,
        );
        let title = format!("{}: {}, {}", run.run, number(x), percent(y));
        (x.is_finite() && y.is_finite()).then_some(Dot { x, y, title, label: None })
    };
    let dots: Vec<Dot<'_>> = comparison.runs.iter().filter_map(dot).collect();
    let alternative = format!("{} runs by {}", dots.len(), predictor.name);
    scatter(html! { h3 { (predictor.name) } }, &alternative, &predictor.name, &dots, Scale::Percent)
}

fn table(comparison: &Comparison) -> Section {
    let value = |quantity: &Option<Quantity>, text: &dyn Fn(f64) -> String| match quantity {
        Some(quantity) => html! { td title=(quantity.trust) { (text(quantity.value)) } },
        None => html! { td { (NONE) } },
    };
    let bound = |value: f64| if value < 1.0 { percent_up(value) } else { "vacuous".into() };
    let body = html! {
        p.lead { "The most accurate first. Nearest centre, left out, is of the images that were \
                  certified, each left out of its own centre; other accuracies are of the test \
                  split. The bound is the strongest one proved of the nearest-centre error, on \
                  the images that were certified." }
        div.scroll.card tabindex="0" role="region" aria-label="Table of runs" {
            table.classes.runs {
                thead { tr {
                    th scope="col" { "Run" }
                    @for accuracy in &comparison.accuracies { th scope="col" { (accuracy) } }
                    th scope="col" { "Bound" }
                    @for predictor in &comparison.predictors { th scope="col" { (predictor.name) } }
                } }
                tbody {
                    @for run in &comparison.runs {
                        tr {
                            th scope="row" { (run.run) @if !run.method.is_empty() { " " small { (run.method) ", " (run.augment) ", " (counted(run.epochs, "epoch", "epochs")) ", seed " (run.seed) } } @else if !run.augment.is_empty() { " " small { "views " (run.augment) } } }
                            @for accuracy in &run.accuracies { (value(accuracy, &percent)) }
                            (value(&run.bound, &bound))
                            @for quantity in &run.values { (value(quantity, &number)) }
                        }
                    }
                }
            }
        }
        (quantity::legend())
    };
    Section { id: "runs", short: "Runs", title: "The runs", body }
}

fn again(comparison: &Comparison) -> Section {
    let body = html! {
        p.lead { "It reads what is in the folders of the runs and measures nothing \
                  anew. " code { "compare.json" } " has every number with what it is worth." }
        (protocol::command(&comparison.command))
    };
    Section { id: "protocol", short: "Protocol", title: "How to do it again", body }
}
