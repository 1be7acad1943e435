//! The top of the page: what the run is, and its result in one plain sentence.

use maud::{Markup, html};

use super::dataset;
use super::prose;
use super::results::style;
use crate::Report;
use crate::evaluation::words;
use crate::format::{counted, duration, percent};
use crate::record::{Accuracies, Evaluation, LeftOut, RUN_FILE, Representation};

/// Maximum number of folders without a used image that are named one by one.
const FEW: usize = 5;

/// Returns the title of the run: method and data, or encoder and data where nothing was trained.
pub(super) fn title(report: &Report) -> String {
    let data = match report.run.dataset.name.as_str() {
        "" => "unnamed images",
        name => name,
    };
    let run = &report.run;
    match run.is_from_elsewhere() {
        true => format!("{} on {data}", run.encoder.words()),
        false => format!("{} on {data}", method_name(&run.method)),
    }
}

/// Returns the name of a method as its authors write it.
pub(super) fn method_name(method: &str) -> &str {
    match method {
        "simclr" => "SimCLR",
        "barlow_twins" => "Barlow Twins",
        "mocov2" => "MoCo v2",
        "simsiam" => "SimSiam",
        "byol" => "BYOL",
        "vicreg" => "VICReg",
        "" => "A run",
        other => other,
    }
}

pub(super) fn header(report: &Report) -> Markup {
    let run = &report.run;
    html! {
        p.eyebrow { (title(report)) }
        (verdict(report))
        ul.facts {
            li { (run.encoder.words()) }
            li { "augmentation " (run.augment) }
            @if run.epochs > 0 {
                li { (counted(run.epochs, "epoch", "epochs")) }
                li { (duration(run.seconds)) " on " (run.device) }
            }
            li { "seed " (run.seed) }
            @if !run.finished { li.warn { "not finished" } }
        }
        @for folder in run.dataset.lost.iter().take(FEW) { (dataset::lost(folder)) }
        @if run.dataset.lost.len() > FEW {
            p.warning role="note" {
                "Nor is any image of " (counted((run.dataset.lost.len() - FEW) as u64, "more folder", "more \
                    folders")) ", named in " code { (RUN_FILE) } "."
            }
        }
        @for warning in &report.warnings { p.warning role="note" { (warning) } }
    }
}

fn verdict(report: &Report) -> Markup {
    let Some(evaluation) = &report.evaluation else { return unevaluated(report) };
    let accuracies = evaluation.accuracies.as_ref();
    match accuracies.and_then(|all| Some((all, all.knn(&Representation::Trained)?))) {
        Some((accuracies, knn)) => measured(evaluation, accuracies, knn),
        None => unlabelled(evaluation),
    }
}

fn measured(evaluation: &Evaluation, accuracies: &Accuracies, knn: f64) -> Markup {
    let figures = html! {
        "On " (counted(accuracies.images, "test image", "test images")) " the trained encoder’s \
            nearest neighbours are right "
        strong.trained { (percent(knn)) } " of the time"
        @if let Some(k) = accuracies.of.get(&Representation::Trained).and_then(|of| of.knn_k) { " (k = " (k) ")" }
        @for (at, (of, share)) in accuracies.others().enumerate() {
            @if at == 0 { "; " } @else { ", " }
            (of.phrase()) " " strong class=(style(of)) { (percent(share)) }
        }
        "."
    };
    html! {
        @match words::headline(evaluation) {
            Some(headline) => { h1.verdict { (headline) } p.judgement { (figures) } }
            None => h1.verdict { (figures) },
        }
        @if let Some(judgement) = words::judgement(evaluation) { p.judgement { (judgement) } }
        (caveats(evaluation))
    }
}

fn caveats(evaluation: &Evaluation) -> Markup {
    html! {
        @for caveat in words::caveats(evaluation) {
            @if caveat == words::NO_COPY { p.judgement { (prose(&caveat)) } }
            @else { p.warning role="note" { (caveat) } }
        }
    }
}

fn unlabelled(evaluation: &Evaluation) -> Markup {
    let rank =
        |of| evaluation.geometry.get(&of).and_then(|g| g.rankme).filter(|rank| rank.is_finite());
    if let Some(headline) = words::headline(evaluation) {
        return html! { h1.verdict { (headline) } (caveats(evaluation)) };
    }
    let unlabelled = evaluation.left_out.contains(&LeftOut::NoLabels);
    html! {
        h1.verdict {
            @match (rank(Representation::Trained), rank(Representation::Untrained)) {
                (Some(after), Some(before)) => {
                    "The trained encoder spreads these images over \
                     about " strong.trained { (format!("{after:.0}")) }
                    " effective dimensions; before training it \
                     was " strong.untrained { (format!("{before:.0}")) } "."
                }
                (Some(after), None) => {
                    "The trained encoder spreads these images over \
                     about " strong.trained { (format!("{after:.0}")) }
                    " effective dimensions."
                }
                _ => { "The encoder is trained; its accuracy could not be measured." }
            }
        }
        p.judgement {
            @if unlabelled { "Accuracy needs labels, and there are none to measure it with. " }
            @else { "No accuracy was measured; the results say why. " }
            "The map below shows what the encoder holds to be alike."
        }
        (caveats(evaluation))
    }
}

fn unevaluated(report: &Report) -> Markup {
    let latest = report
        .metrics
        .iter()
        .rev()
        .find_map(|point| point.val_knn_acc1.filter(|share| share.is_finite()));
    let validation = report.run.dataset.validation;
    html! {
        h1.verdict {
            @match latest {
                Some(share) => {
                    @if validation > 0 { "On " (counted(validation, "validation \
                        image", "validation images")) }
                    @else { "On the validation images" }
                    " the encoder’s nearest neighbours are \
                     right " strong.trained { (percent(share)) } " of the time so far."
                }
                None => { "This encoder has not been evaluated yet." }
            }
        }
        p.judgement {
            @if report.run.finished { "Training is finished. " } @else { "Training has not \
                reached its last epoch. " }
            "What the encoder is worth on test images, beside raw pixels and the untrained \
             encoder, is measured by "
            code { "selfsame eval" } "."
        }
    }
}
