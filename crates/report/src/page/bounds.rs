//! Proved bounds on the error next to the measured error, obstacles, and the assumptions of
//! the proofs.

use maud::{Markup, html};
use selfsame_theory::bounds::certificate::Form;
use selfsame_theory::{Quantity, Side};

use super::quantity::{self, at_most, share, value};
use super::{Section, prose};
use crate::certificate::{Assumption, CertificateRecord, LossPair, Pair, words};
use crate::format::{NONE, count, counted, number, number_to, percent, percent_up};

/// Number of pairs of classes in the table.
const PAIRS: usize = 3;

pub(super) fn section(record: &CertificateRecord) -> Section {
    let verdict = words::verdict(record);
    let obstacles = words::obstacles(record);
    let body = html! {
        p.lead { (super::bold_first(&verdict)) }
        @if !record.errors.is_empty() || !record.bounds.is_empty() { (errors(record)) }
        @if !obstacles.is_empty() {
            h3 { "What stands in the way" }
            ul.notes { @for sentence in obstacles { li { (sentence) } } }
        }
        (letters())
        (of_classes(record))
        (divergence(record))
        (checks(record))
        @if !record.assumptions.is_empty() {
            h3 { "What the theory takes for granted" }
            ul.ledger { @for assumption in &record.assumptions { (ledger(record, assumption)) } }
            p.quiet { b { "open" } ": not known, or not needed for what is proved." }
        }
        @if !record.left_out.is_empty() {
            h3 { "Left out" }
            ul.notes { @for sentence in words::left_out(record) { li { (prose(&sentence)) } } }
        }
        (quantity::legend())
    };
    Section { id: "bounds", short: "Bounds", title: "What is proved", body }
}

/// A row of the table of errors.
struct Row<'a> {
    name: String,
    meaning: &'static str,
    quantity: &'a Quantity,
    bound: bool,
}

fn errors(record: &CertificateRecord) -> Markup {
    let measured = record.errors.iter().map(|named| Row {
        name: named.name.clone(),
        meaning: meaning(&named.name),
        quantity: &named.quantity,
        bound: false,
    });
    let bounds = record.bounds.iter().flat_map(|bound| {
        let (name, meaning) = match bound.form {
            Form::Derived => ("derived", "What the printed proof gives."),
            Form::Published => ("published", "As the theorem is printed."),
            Form::Sharpened => {
                ("sharpened", "From the same facts, with no slack added after them.")
            }
        };
        let whole =
            Row { name: format!("bound, {name}"), meaning, quantity: &bound.whole, bound: true };
        let meaning = "The same, with distances chosen class by class.";
        [
            whole,
            Row {
                name: format!("bound, {name}, class by class"),
                meaning,
                quantity: &bound.by_class,
                bound: true,
            },
        ]
    });
    html! {
        div.scroll.card tabindex="0" role="region" aria-label="Table of errors and bounds" {
            table.errors {
                caption { "Errors measured" @if !record.bounds.is_empty() { ", and bounds on the \
                    first two of them" } }
                thead { tr { th scope="col" { "Error" } th scope="col" { "Share \
                    wrong" } td {} th scope="col" { "Meaning" } } }
                tbody {
                    @for row in measured.chain(bounds) {
                        tr {
                            th scope="row" { (row.name) }
                            td { @if row.bound && row.quantity.value >= 1.0 { b { "vacuous" } " " small { "100% or more" } } @else { (share(row.quantity)) } }
                            td { (bar(row.quantity.value, row.bound)) }
                            td.words { (row.meaning) }
                        }
                    }
                }
            }
        }
    }
}

fn meaning(name: &str) -> &'static str {
    match name {
        "nearest centre" => {
            "Images that lie nearer to the centre of another class than to their own. The bounds are \
             on this error."
        }
        "nearest centre, any view" => {
            "Images of which at least one view does. The bounds cover this, too."
        }
        "nearest centre, others of their kind" => {
            "The first error for new images: each image is left out when its own centre is \
             computed."
        }
        "nearest centre of training images" => {
            "Centres computed from training images, tested on the test split."
        }
        "kNN" => "The vote of the most similar training images.",
        "linear probe" => "One linear layer fitted with all training labels.",
        _ => "",
    }
}

fn bar(value: f64, bound: bool) -> Markup {
    let width = if value.is_finite() { 100.0 * value.clamp(0.0, 1.0) } else { 0.0 };
    let class = match bound {
        true if value >= 1.0 => "vacuous",
        true => "proved",
        false => "seen",
    };
    html! { span.bar aria-hidden="true" { i class=(class) style={ "width:" (format!("{width:.1}")) "%" } {} } }
}

/// Explains the letters of the theory.
fn letters() -> Markup {
    const LETTERS: [(&str, &str); 8] = [
        ("f", "The encoder: what it makes of an image or a view, a point on a sphere of radius 1."),
        (
            "δ",
            "A distance between images in pixels. Two images are within δ if some view of one is \
             that near to some view of the other.",
        ),
        (
            "σ",
            "The share of a class in its main part: the most of its images that are all within δ \
             of one another.",
        ),
        (
            "ε",
            "A distance between embeddings. The views of an image are aligned if no two of them \
             are further apart.",
        ),
        ("R_ε", "The share of images that are not so aligned."),
        (
            "μ",
            "The centre of a class: the mean of the embeddings of all its views. μ·μ is the \
             product of two of them, Δ_μ what the shortest lacks of length 1, squared.",
        ),
        ("p", "The share of all images that a class has; min p is that of the smallest."),
        (
            "ρ",
            "What the theorem adds up: images outside of the main parts, images not aligned, and \
             how far the others can be from their centre. The smaller, the better.",
        ),
    ];
    html! {
        details {
            summary { "What the letters mean" }
            dl.letters { @for (letter, meaning) in LETTERS { div { dt { (letter) } dd { (meaning) } } } }
        }
    }
}

fn of_classes(record: &CertificateRecord) -> Markup {
    let cell = |quantity: &Option<Quantity>, text: &dyn Fn(&Quantity) -> String| match quantity {
        Some(quantity) => html! { td title=(quantity.trust) { (text(quantity)) } },
        None => html! { td { (NONE) } },
    };
    let bound = |bound: &Quantity| {
        if bound.value < 1.0 { percent_up(bound.value) } else { "vacuous".into() }
    };
    let plain = |quantity: &Quantity| number(quantity.value);
    html! {
        @if !record.classes.is_empty() {
            details {
                summary { "Class by class" }
                div.scroll tabindex="0" role="region" aria-label="Table of classes" {
                    table.classes {
                        thead { tr {
                            th scope="col" { "Class" } th scope="col" { "Images" } th scope="col" { "Error" } th scope="col" { "Bound" }
                            th scope="col" { "σ" } th scope="col" { "Separation" } th scope="col" { "L_align" } th scope="col" { "‖μ‖²" }
                        } }
                        tbody {
                            @for class in &record.classes {
                                tr {
                                    th scope="row" { (class.name) }
                                    td { (count(class.images as u64)) }
                                    td title=(class.error.trust) { (percent(class.error.value)) }
                                    (cell(&class.bound, &bound))
                                    (cell(&class.sigma, &quantity::share_in_words))
                                    (cell(&class.separation, &plain))
                                    (cell(&class.alignment, &plain))
                                    td title=(class.norm2.trust) { (number(class.norm2.value)) }
                                }
                            }
                        }
                    }
                }
                p.quiet { "Error: exact share of the class that goes to another centre. Bound: \
                           proved, by the sharpened form with a δ and an ε of the class's own. σ: \
                           share of the class in its main part at the common δ. L_align: over all \
                           views here, the image itself among them." }
            }
        }
    }
}

fn divergence(record: &CertificateRecord) -> Markup {
    let Some(divergence) = &record.divergence else { return html! {} };
    if divergence.closest.is_empty() {
        return html! {};
    }
    let loss = record.infonce.as_ref();
    let name = |class: usize| record.classes.get(class).map_or("", |class| class.name.as_str());
    let average = [
        ("at most, by L_2 and the centres' lengths", loss.and_then(|loss| loss.average.as_ref())),
        ("at most, by L_2 alone", loss.and_then(|loss| loss.label_free.as_ref())),
        ("at most, by the mean embedding alone", loss.and_then(|loss| loss.from_mean.as_ref())),
    ];
    let cell = |quantity: &Quantity, most: f64| {
        let text = number_to(quantity.value, Some(Side::AtMost));
        html! { td { @if quantity.value >= most { span.quantity title=(quantity.trust) { "vacuous " small { (text) } } } @else { (at_most(quantity)) } } }
    };
    html! {
        details {
            summary { "What the losses prove of the divergence" }
            @if let Some(loss) = loss { p { "InfoNCE at temperature 1 is L₁ + L₂: L₁ \
                                             = " (value(&loss.l1)) " is alignment, L₂ \
                                                 = " (value(&loss.l2)) " pushes the centres of \
                                                     classes apart. A product is at most 1, so a \
                                                     bound of 1 or more is vacuous: true of any \
                                                     encoder." } }
            table { tbody {
                @if let Some(mean) = &divergence.mean { tr { th scope="row" { "mean product of two \
                    centres, as measured" } td { (value(mean)) } } }
                @for (what, quantity) in average {
                    @if let Some(quantity) = quantity { tr { th scope="row" { "mean product of \
                        two centres, " (what) } (cell(quantity, 1.0)) } }
                }
            } }
            div.scroll tabindex="0" role="region" aria-label="Table of bounds on the closest \
                classes" {
                table {
                    thead { tr { th scope="col" { "Classes" } th scope="col" { "Loss" } th scope="col" { "Product" } th scope="col" { "Published bound" } th scope="col" { "Sharper" } th scope="col" { "Sharpest" } } }
                    tbody {
                        @for Pair { classes: [a, b], product, infonce, correlation } in divergence.closest.iter().take(PAIRS) {
                            tr {
                                th scope="row" { (name(*a)) ", " (name(*b)) } td { "InfoNCE" } td { (value(product)) }
                                @match infonce {
                                    Some(LossPair { published, pairwise }) => { (cell(published, 1.0)) (cell(pairwise, 1.0)) }
                                    None => { td { (NONE) } td { (NONE) } }
                                }
                                td {}
                            }
                            @if let Some(pair) = correlation {
                                tr { td {} td { "cross-correlation" } td { (value(&pair.product)) } (cell(&pair.published, pair.most.value)) (cell(&pair.sharper, pair.most.value)) (cell(&pair.centred, pair.most.value)) }
                            }
                        }
                    }
                }
            }
            p.quiet { "Cross-correlation standardises every coordinate, so its products are \
                       larger: they are vacuous from ‖μ_k‖‖μ_ℓ‖ on." }
        }
    }
}

fn checks(record: &CertificateRecord) -> Markup {
    html! {
        details {
            summary { "Further measures and checks" }
            p.quiet { "Of the " (counted(record.images as u64, "image", "images")) " certified: \
                LiDAR of all their views, uniformity, RankMe and αReQ of the images themselves. \
                RankMe and αReQ are of embeddings as the encoder gives them; the curves of \
                training show them of embeddings of length 1, so these two do not go on from \
                there." }
            table { tbody {
                @for named in &record.geometry { tr { th scope="row" { (named.name) } td { (value(&named.quantity)) } } }
                @if let Some(ratio) = &record.lipschitz { tr { th scope="row" { "largest ratio of \
                    distances after and before the encoder" } td { (value(ratio)) } } }
                @if let Some(bound) = &record.lipschitz_bound { tr { th scope="row" { "the same \
                    of all images whose outputs are no shorter than the shortest here, proved \
                    layer by layer: at most" } td { (value(bound)) } } }
                @if let Some(alignment) = &record.alignment {
                    @for spread in &alignment.spread {
                        tr { th scope="row" { "R_ε at ε \
                                               = " (number(spread.epsilon)) } td { (share(&spread.outside)) } }
                        tr { th scope="row" { "the same, for other \
                                               images" } td { (share(&spread.outside_interval)) } }
                        tr { th scope="row" { "the same, from alignment: at \
                                               most" } td { @if spread.bound.value >= 1.0 { "vacuous" } @else { (share(&spread.bound)) } } }
                        @if let Some(published) = &spread.log10_published {
                            tr { th scope="row" { "the same, by theorem 2 of the paper: at \
                                                   most" } td title=(published.trust) { @if published.value >= 0.0 { "vacuous: 10 to the " (number(published.value)) } @else { (percent_up(10f64.powf(published.value))) } } }
                        }
                    }
                }
                @if let Some(correlation) = &record.correlation {
                    @if let Some(l1) = &correlation.l1 { tr { th scope="row" { "cross-correlation: L₁ = \
                        Σ(1 − C_ii)²" } td { (value(l1)) } } }
                    tr { th scope="row" { "cross-correlation: L₂ = ‖C − I‖², of " (correlation.dim) " \
                        coordinates" } td { (value(&correlation.l2)) } }
                    tr { th scope="row" { "check: L_align = 2(d − tr C), off \
                                           by" } td { (value(&correlation.trace_residual)) } }
                    @if let Some(residual) = &correlation.gram_residual { tr { th scope="row" { "check: \
                        the Gram identity, off by" } td { (value(residual)) } } }
                    @if let (Some(average), Some(bound)) = (&correlation.average, &correlation.average_bound) {
                        tr { th scope="row" { "root mean square of μ·μ + 1 over \
                                               pairs" } td { (value(average)) } }
                        tr { th scope="row" { "the same, proved to be at \
                                               most" } td { (value(bound)) } }
                    }
                }
            } }
        }
    }
}

fn ledger(record: &CertificateRecord, assumption: &Assumption) -> Markup {
    let (class, word) = match assumption.holds {
        Some(true) => ("holds", "holds"),
        Some(false) => ("fails", "does not hold"),
        None => ("open", "open"),
    };
    html! { li { span class={ "state " (class) } { (word) } div { b { (words::premise(assumption.premise)) } p { (words::finding(record, assumption)) } } } }
}
