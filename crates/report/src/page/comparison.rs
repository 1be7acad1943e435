//! The page of a comparison: which measure predicts accuracy, the runs, and each measure plotted
//! against accuracy.

use maud::{Markup, html};
use selfsame_theory::{Quantity, Trust};

use super::chart::{Dot, round, scatter};
use super::{Section, document, protocol, quantity};
use crate::comparison::{ComparedRun, Comparison, FEWEST, Predictor, words};
use crate::format::{NONE, counted, number, percent, percent_up, sentence_list, signed};

/// Draws a comparison of runs as one HTML page. Works for any record; missing parts are left out.
pub fn render_comparison(comparison: &Comparison) -> String {
    let sections =
        [prediction(comparison), pictures(comparison), table(comparison), again(comparison)];
    let (complete, all) = (comparison.complete(), comparison.runs.len());
    let title = match complete == all {
        true => counted(all as u64, "run", "runs") + " compared",
        false => format!("{complete} of {} compared", counted(all as u64, "run", "runs")),
    };
    document(&title, &comparison.selfsame, header(comparison, &title), &sections, None)
}

fn header(comparison: &Comparison, title: &str) -> Markup {
    let tau = |predictor: &Predictor| Some(predictor.taus.get(comparison.leading)?.as_ref()?.value);
    let tried = comparison.predictors.iter().filter_map(tau).count();
    let highest = comparison.predictors.iter().filter_map(tau).fold(f64::NEG_INFINITY, f64::max);
    let best: Vec<&Predictor> =
        comparison.predictors.iter().filter(|predictor| tau(predictor) == Some(highest)).collect();
    let names: Vec<String> = best.iter().map(|predictor| predictor.name.clone()).collect();
    let best = best.first().and_then(|best| best.taus.get(comparison.leading)?.as_ref());
    let accuracy = leading(comparison);
    let few = comparison.complete() < FEWEST;
    html! {
        p.eyebrow { (title) }
        @match best {
            Some(_) if few => {
                h1.verdict { "These runs are too few to say which measure predicts \
                              their " (accuracy) " accuracy: it takes " (FEWEST) " for Kendall’s \
                                  τ to have an interval." }
                p.judgement { "τ is 1 where a measure puts the runs in the order of their \
                               accuracies, −1 where in the opposite one, 0 where it says nothing. \
                               Of so few runs chance alone makes many an order." }
            }
            Some(tau) => {
                h1.verdict { strong.trained { (sentence_list(&names)) } @if names.len() == 1 { " \
                    orders" } @else { " order" } " these runs by " (accuracy) " accuracy best: \
                        Kendall’s τ is " (signed(tau.value, 2)) "." }
                p.judgement {
                    "τ is 1 where a measure puts the runs in the order of their accuracies, −1 \
                     where in the opposite one, 0 where it says nothing. "
                    @if tried > 1 { "That is the best of " (tried) " measures, chosen by these \
                        runs: expect less on others. " }
                    @match tau.trust {
                        Trust::Estimate { low: Some(low), .. } if low > 0.0 => {
                            "Its interval leaves out 0" @if tried > 1 { ", but does not allow for \
                                that choice" } "."
                        }
                        Trust::Estimate { low: Some(_), .. } => "Its interval holds 0: this may \
                            be chance."
                        _ => "It has no interval: these runs say nothing of others."
                    }
                }
            }
            None => { h1.verdict { (words::nothing(comparison).unwrap_or_default()) } }
        }
        @for note in &comparison.notes { p.warning role="note" { (words::note(note)) } }
    }
}

/// Returns the name of the accuracy that the page is about.
fn leading(comparison: &Comparison) -> &str {
    comparison.accuracies.get(comparison.leading).map_or("", String::as_str)
}

fn prediction(comparison: &Comparison) -> Section {
    let body = html! {
        p.lead { "Kendall’s τ between each measure and each accuracy, turned so that it is \
                  positive where the measure is right about what is better." }
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
            "Small: the 95% interval, an estimate for other runs of this kind (Fieller et al. \
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
    let at = |value: f64| round(4.0 + 56.0 * (value.clamp(-1.0, 1.0) + 1.0));
    html! {
        td {
            b { (signed(*value, 2)) }
            @if let Trust::Estimate { low: Some(low), high: Some(high), .. } = trust {
                small { (signed(*low, 2)) " to " (signed(*high, 2)) }
                svg.whisker viewBox="0 0 120 12" aria-hidden="true" {
                    path.zero d={ "M" (at(0.0)) " 0V12" } {}
                    path d={ "M" (at(*low)) " 6H" (at(*high)) } {}
                    circle cx=(at(*value)) cy="6" r="3.5" {}
                }
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
    scatter(html! { h3 { (predictor.name) } }, &alternative, &predictor.name, &dots, &|value, _| {
        percent(value)
    })
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
