//! The three factors of generalisation: alignment, divergence, concentration. Shows the value of
//! each, and what changes it.

use maud::{Markup, html};

use super::Section;
use super::chart::{Axis, LineChart, round, short};
use super::quantity::{self, share_in_words, value};
use crate::certificate::{CertificateRecord, EXAMPLES, Factor, Pair, least_product, words};
use crate::format::{NONE, counted, number, number_to, percent};
use crate::sprite::Sprite;

/// Maximum number of classes for which the heat map is drawn. It has names for up to [`NAMED`].
const DRAWN: usize = 40;
const NAMED: usize = 16;
/// Number of pairs of classes that are shown.
const SHOWN: usize = 5;

pub(super) fn section(record: &CertificateRecord) -> Section {
    let body = html! {
        p.lead {
            "The theory (Huang et al. 2023) reduces generalisation to three factors. Together \
             they decide what can be "
            "proved of the classifier that gives an image to the nearest class centre. Measured on "
            (counted(record.images as u64, "image", "images"))
            @if !record.split.is_empty() { " of the " (record.split) " split" }
            @if !record.classes.is_empty() { " \
                                              from " (counted(record.classes.len() as u64, "class", "classes")) }
            @if record.views > 1 { ", each with " (record.views) " views, itself among them" }
            @if !record.policy.is_empty() { " (" code { (record.policy) } ")" }
            "."
            @if let Some((image, source)) = record.image_size.zip(record.source_size) {
                " Images are centre squares of " (image) " × " (image) " pixels; crops are drawn \
                 from whole images of up to " (source) " pixels on their shorter side."
            }
            @if !record.weights.is_empty() { " Weights: " (record.weights) "." }
            @if !record.precision.is_empty() { " Activations in " (record.precision) "." }
        }
        div.dials { (alignment(record)) (divergence(record)) (concentration(record)) }
        @if record.advice.is_some() { p.advice { (super::bold_first(&words::advice(record))) } }
        div.charts { (spread(record)) (heat(record)) }
        (closest(record))
        (quantity::legend())
    };
    Section { id: "factors", short: "Factors", title: "The three factors", body }
}

/// A dial: a score from 0 to 1, if there is one, and the words around it.
struct Dial<'a> {
    factor: Factor,
    question: &'a str,
    good: Option<f64>,
    reading: Markup,
    ends: [&'a str; 2],
    finding: Markup,
    moves: &'a str,
}

impl Dial<'_> {
    fn card(&self, first: bool) -> Markup {
        const RADIUS: f64 = 62.0;
        let (x, y) = (80.0, 76.0);
        let at = |share: f64, radius: f64| {
            let angle = std::f64::consts::PI * (1.0 - share);
            (round(x + radius * angle.cos()), round(y - radius * angle.sin()))
        };
        let name = match self.factor {
            Factor::Alignment => "Alignment",
            Factor::Divergence => "Divergence",
            Factor::Concentration => "Concentration",
        };
        let good = self.good.filter(|good| good.is_finite()).map(|good| good.clamp(0.0, 1.0));
        html! {
            article.dial.card.first[first] {
                h3 { (name) @if first { " " span.badge { "first, for the bound" } } }
                p.question { (self.question) }
                svg viewBox="0 0 160 98" role="img" aria-label={ (name) ": " @match good { Some(good) => { (percent(good)) " of the way from the worst to the best" } None => "not measured" } } {
                    path.track d={ "M" (x - RADIUS) " " (y) "A" (RADIUS) " " (RADIUS) " 0 0 \
                        1 " (x + RADIUS) " " (y) } {}
                    @if let Some(good) = good {
                        @let (end_x, end_y) = at(good, RADIUS);
                        path.level d={ "M" (x - RADIUS) " " (y) "A" (RADIUS) " " (RADIUS) " 0 0 \
                            1 " (end_x) " " (end_y) } {}
                        @let (tip_x, tip_y) = at(good, RADIUS - 12.0);
                        path.needle d={ "M" (x) " " (y) "L" (tip_x) " " (tip_y) } {}
                        circle.hub cx=(x) cy=(y) r="4" {}
                    }
                    text x=(x - RADIUS) y=(y + 17.0) text-anchor="middle" { (self.ends[0]) }
                    text x=(x + RADIUS) y=(y + 17.0) text-anchor="middle" { (self.ends[1]) }
                }
                p.reading { (self.reading) }
                p { (self.finding) }
                p.quiet { b { "What moves it: " } (self.moves) }
            }
        }
    }
}

fn card(record: &CertificateRecord, dial: &Dial<'_>) -> Markup {
    dial.card(record.first().is_some_and(|first| first.factor == dial.factor))
}

fn unmeasured() -> Markup {
    html! { "Not measured: see what was left out, below." }
}

fn alignment(record: &CertificateRecord) -> Markup {
    let alignment = record.alignment.as_ref();
    card(
        record,
        &Dial {
            factor: Factor::Alignment,
            question: "Do the views of one image come out alike?",
            good: alignment.map(|alignment| 1.0 - alignment.best().value / alignment.chance.value),
            reading: html! {
                "L_align "
                @match alignment { Some(alignment) => (value(alignment.best())), None => (NONE) }
            },
            ends: ["like strangers", "identical"],
            finding: html! {
                @match alignment {
                    Some(alignment) => {
                        "The mean squared distance between two views of an image; between views of \
                         different images it is "
                        (number(alignment.chance.value)) ". Smaller is better. "
                        @if alignment.unbiased.is_some() {
                            "It is over the " (record.views - 1) " views drawn of each image; \
                                with the image itself among them, and "
                            "each also paired with itself, as the bounds take it, it \
                             is " (number(alignment.finite.value)) "."
                        } @else {
                            "It is over the two views here, each also paired with itself; what it \
                             is of views drawn takes two or "
                            "more of them beside the image itself."
                        }
                    }
                    None => (unmeasured()),
                }
            },
            moves: "more weight on the loss's pairs of views, milder views.",
        },
    )
}

fn divergence(record: &CertificateRecord) -> Markup {
    let divergence = record.divergence.as_ref();
    let largest = divergence.and_then(|divergence| divergence.largest.as_ref());
    let (classes, dim) = (record.classes.len(), record.dim);
    let best = least_product(classes, dim);
    card(
        record,
        &Dial {
            factor: Factor::Divergence,
            question: "Do the classes point in different directions?",
            good: largest.map(|largest| (1.0 - largest.value) / (1.0 - best)),
            reading: html! {
                "largest μ·μ "
                @match largest { Some(largest) => (value(largest)), None => (NONE) }
            },
            ends: ["one point", "far apart"],
            finding: html! {
                @match divergence {
                    Some(_) if largest.is_none() => "There is a single class, and it takes two to \
                                                     point in different directions."
                    Some(divergence) => {
                        "The product of the two closest class centres, between −1 and 1; "
                        @if classes > 2 * dim { (classes) " classes in " (dim) " dimensions never \
                            come down to " (number(best)) }
                        @else { (classes) " classes as far apart as " (dim) " dimensions allow \
                            have " (number(best)) }
                        @if let Some(mean) = &divergence.mean { ". The mean over pairs \
                                                            is " (number(mean.value)) }
                        ". The shortest centre is Δ_μ = " (number(divergence.shortfall.value)) " short \
                            of length 1, squared. Smaller is better."
                    }
                    None => (unmeasured()),
                }
            },
            moves: "more negatives or a larger batch, a lower temperature, decorrelating the \
                    coordinates.",
        },
    )
}

fn concentration(record: &CertificateRecord) -> Markup {
    let concentration = record.concentration.as_ref();
    let classes = record.classes.len();
    let separation =
        concentration.and_then(|concentration| concentration.separation_interval.as_ref());
    card(
        record,
        &Dial {
            factor: Factor::Concentration,
            question: "Are views of one class closer than views of two?",
            good: separation.map(|separation| 2.0 * separation.value - 1.0),
            reading: html! {
                "separation "
                @match separation { Some(separation) => (value(separation)), None => (NONE) }
            },
            ends: ["chance", "always"],
            finding: html! {
                @match concentration {
                    Some(concentration) => {
                        @if classes > 1 { "How often the nearest views of a same-class pair are \
                                           closer than those of a different-class pair. " }
                        @else { "There is a single class, so nothing can be nearer than another \
                                 class. " }
                        "Within δ = " (number_to(concentration.levels.value, concentration.levels.trust.side())) "/255 a channel, σ: " (share_in_words(&concentration.sigma))
                        " of every class, and " (share_in_words(&concentration.mean_sigma)) " on average, \
                            lies together"
                        @if classes > 1 { "; at that distance " (percent(concentration.overlap.value)) " \
                            of the images also have one of another class near" }
                        ". This depends only on the pixels and the augmentation: no training \
                         changes it."
                    }
                    None => (unmeasured()),
                }
            },
            moves: "the augmentation: richer views bring a class together, until nothing is left \
                    to tell classes apart. The command selfsame forecast finds the balance.",
        },
    )
}

fn spread(record: &CertificateRecord) -> Markup {
    let Some(alignment) = &record.alignment else { return html! {} };
    let points: Vec<(f64, f64)> =
        alignment.curve.iter().map(|&[epsilon, outside]| (epsilon, outside)).collect();
    let Some(x) = Axis::fit(&mut points.iter().map(|point| point.0).chain([0.0]), 5) else {
        return html! {};
    };
    let readout = |epsilon: f64, outside: f64| {
        format!(
            "ε = {}: {} of the images have two views further apart",
            number(epsilon),
            percent(outside)
        )
    };
    LineChart {
        title: "R_ε: images whose views are spread",
        caption: html! { "Share of images whose views lie more than ε apart; opposite points of \
        the sphere are 2 apart. The sooner it falls, the better the views are \
        aligned." },
        x_label: "distance ε of embeddings",
        x,
        y: Axis::shares(),
        points: &points,
        readout: &readout,
        dots: false,
        reference: None,
        height: 190.0,
    }
    .figure()
}

fn heat(record: &CertificateRecord) -> Markup {
    const SIDE: f64 = 360.0;
    let k = record.classes.len();
    let products =
        record.divergence.as_ref().map_or(&[][..], |divergence| divergence.products.as_slice());
    if !(2..=DRAWN).contains(&k) || products.len() != k * k {
        return html! {};
    }
    let names = k <= NAMED;
    let left = if names { 92.0 } else { 8.0 };
    // The names of columns stand upright above them.
    let top = if names { 78.0 } else { 4.0 };
    let cell = (SIDE - left - 8.0) / k as f64;
    let place = |at: usize, start: f64| round(start + at as f64 * cell);
    let off_diagonal = || {
        (0..k * k).filter(|at| at / k != at % k).map(|at| products[at]).filter(|p| p.is_finite())
    };
    let (low, high) =
        off_diagonal().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p), h.max(p)));
    let fullness =
        |product: f64| if high > low { 0.06 + 0.94 * (product - low) / (high - low) } else { 0.5 };
    html! {
        figure.chart {
            figcaption {
                h3 { "Divergence of every two classes" }
                p { "Products of class centres, from " (number(low)) ", empty, \
                    to " (number(high)) ", full: the fuller, the closer."
                    @if !names { " Columns are the classes in the order of the rows." } }
            }
            svg.heat viewBox={ "0 0 " (SIDE) " " (round(top + cell * k as f64 + 8.0)) } role="img"
                aria-label={ "Products of the centres of " (k) " classes; the closest pairs are \
                    named below" } {
                @for a in 0..k {
                    @if names { text x=(left - 6.0) y=(place(a, top) + cell / 2.0 + 3.5) text-anchor="end" { (short(&record.classes[a].name)) }
                        text transform={ "translate(" (round(place(a, left) + cell / 2.0 + 3.5)) " " (top - 5.0) ") rotate(-90)" } { (short(&record.classes[a].name)) } }
                    @for b in 0..k {
                        @let product = products[a * k + b];
                        @if a != b && product.is_finite() {
                            rect x=(place(b, left)) y=(place(a, top)) width=(round(cell - 1.0)) height=(round(cell - 1.0))
                                fill-opacity=(format!("{:.3}", fullness(product))) {
                                title { (record.classes[a].name) " \
                                    and " (record.classes[b].name) ": " (number(product)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn closest(record: &CertificateRecord) -> Markup {
    let Some(divergence) =
        record.divergence.as_ref().filter(|divergence| !divergence.closest.is_empty())
    else {
        return html! {};
    };
    let name = |class: usize| record.classes.get(class).map_or("", |class| class.name.as_str());
    html! {
        h3 { "The closest classes" }
        p.lead { "These pairs are the most easily confused." }
        ul.closest-classes {
            @for Pair { classes: [a, b], product, .. } in divergence.closest.iter().take(SHOWN) {
                li {
                    @if let Some(examples) = &record.examples { div.strip style={ "--sheet:url(" (examples.data_uri()) ")" } { (tiles(examples, *a)) } }
                    span { b { (name(*a)) } " and " b { (name(*b)) } ": μ·μ " (value(product)) }
                    @if let Some(examples) = &record.examples { div.strip style={ "--sheet:url(" (examples.data_uri()) ")" } { (tiles(examples, *b)) } }
                }
            }
        }
    }
}

/// Draws the example images of a class.
fn tiles(examples: &Sprite, class: usize) -> Markup {
    html! {
        @for tile in class * EXAMPLES..(class + 1) * EXAMPLES {
            @if tile < examples.tiles as usize { i style=(super::tile(examples, tile)) {} }
        }
    }
}
