//! The gallery of views: each image next to its views, followed by the steps of the policies and
//! how to reproduce the page.

use maud::{Markup, html};

use super::{Section, dataset, document, protocol, rendering};
use crate::format::{counted, number, sentence_list};
use crate::gallery::{Gallery, Original, PolicyViews, Step, View};

/// Draws a gallery as one HTML page that needs no other file and no network. The same gallery
/// always gives the same bytes.
///
/// All text is escaped. Views beyond the number of images are left out.
pub fn render_gallery(gallery: &Gallery) -> String {
    let sections = [views(gallery), augmentation(gallery), again(gallery)];
    document(
        &format!("Views of {}", gallery.dataset),
        &gallery.selfsame,
        header(gallery),
        &sections,
        None,
    )
}

fn header(gallery: &Gallery) -> Markup {
    let names: Vec<String> = gallery.policies.iter().map(|policy| policy.name.clone()).collect();
    html! {
        p.eyebrow { "Views of " (gallery.dataset) }
        h1.verdict { "Training asks for one answer to all views of an image, and for other \
                      answers to other images." }
        p.judgement {
            "So whatever the changes destroy, the encoder learns to ignore. Look whether you can \
             still tell which "
            "image a view is of, and whether what you care about survives."
        }
        ul.facts {
            li { "augmentation " (sentence_list(&names)) }
            li { (counted(gallery.images.len() as u64, "image", "images")) }
            li { "views of " (gallery.side) " × " (gallery.side) " pixels" }
            li { "seed " (gallery.seed) }
        }
        @for folder in &gallery.lost { (dataset::lost(folder)) }
    }
}

fn views(gallery: &Gallery) -> Section {
    let mut shown = gallery.policies.iter().flat_map(|policy| policy.views.iter().flatten());
    let body = html! {
        p.lead {
            "Under each view stands what chance drew for it, in the order in which it was done"
            @if shown.any(|view| view.part.is_some()) { ", and the part of the image that it was \
                                                         cut from" }
            "."
            @if gallery.policies.len() > 1 {
                " All policies make their views under the same keys, so that what they have in \
                 common is drawn alike."
            }
            @if gallery.policies.iter().any(paired) {
                " Where the first view of a pair is made otherwise than the second, each says \
                 which it is."
            }
        }
        div.gallery {
            @for (index, image) in gallery.images.iter().enumerate() { (article(gallery, index, image)) }
        }
        @if !gallery.notes.is_empty() { ul.notes { @for note in &gallery.notes { li { (note) } } } }
    };
    Section { id: "views", short: "Views", title: "Images and their views", body }
}

/// Draws an image and its views under each policy.
fn article(gallery: &Gallery, index: usize, image: &Original) -> Markup {
    html! {
        article style={ "--image:url(" (image.picture.data_uri()) ");--rendering:" (rendering(&image.picture)) (shape(image)) } {
            figure.original {
                i role="img" aria-label="the image" {}
                figcaption { @if let Some(class) = &image.class { b { (class) } } (image.name) }
            }
            div {
                @for policy in &gallery.policies {
                    div.row {
                        @if gallery.policies.len() > 1 { h3 { code { (policy.name) } } }
                        ol {
                            @for (number, view) in policy.views.get(index).into_iter().flatten().enumerate() {
                                (self::view(number, view, paired(policy)))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the style that gives a picture the shape of its image, if that is no square.
fn shape(image: &Original) -> String {
    match image.sides {
        [width, height] if width != height => format!(";--shape:{width}/{height}"),
        _ => String::new(),
    }
}

fn view(number: usize, view: &View, paired: bool) -> Markup {
    let picture = &view.picture;
    html! {
        li style={ "--rendering:" (rendering(picture)) } {
            img src=(picture.data_uri()) width=(picture.width) height=(picture.height) alt={ "view " (number + 1) };
            div {
                @if let Some([left, top, width, height]) = view.part.map(|part| part.map(|share| 100.0 * share)) {
                    span.part aria-hidden="true" {
                        i style=(format!("left:{left:.2}%;top:{top:.2}%;width:{width:.2}%;height:{height:.2}%")) {}
                    }
                }
                p {
                    b { (number + 1) } @if paired { @if number.is_multiple_of(2) { " \
                        first" } @else { " second" } }
                    @if let Some(change) = view.changes.first() { br; (change) }
                }
            }
            ul { @for change in view.changes.iter().skip(1) { li { (change) } } }
        }
    }
}

fn augmentation(gallery: &Gallery) -> Section {
    let body = html! {
        p.lead { "A view goes through these steps from top to bottom. Chance decides anew for \
                  each view whether a step is made, and how strongly." }
        @for policy in &gallery.policies {
            @if gallery.policies.len() > 1 { h3 { code { (policy.name) } } }
            @if policy.steps.is_empty() {
                p { "Nothing is done: a view is the image, brought to the size of a view." }
            } @else { (steps(&policy.steps)) }
            details {
                summary { "All of it as TOML, to be changed" }
                p.quiet { "Saved to a file whose name ends in .toml, it can be given to \
                           --augment." }
                pre tabindex="0" { code { (policy.toml) } }
            }
        }
    };
    Section { id: "augmentation", short: "Augmentation", title: "What is done to an image", body }
}

fn steps(steps: &[Step]) -> Markup {
    html! {
        table.steps {
            thead { tr { th scope="col" { "Step" } th scope="col" { "How \
                often" } th scope="col" { "How much" } } }
            tbody {
                @for step in steps {
                    tr {
                        th scope="row" { (step.name) small { (step.effect) } }
                        td { (frequency(step.probability)) }
                        td { (step.range) }
                    }
                }
            }
        }
    }
}

/// Returns whether the first view of a pair is made differently from the second.
fn paired(policy: &PolicyViews) -> bool {
    policy.steps.iter().any(|step| step.probability[0] != step.probability[1])
}

fn frequency([first, second]: [f64; 2]) -> String {
    let words = |probability: f64| match probability {
        0.0 => "never".to_owned(),
        1.0 => "always".to_owned(),
        share => format!("{}%", number(100.0 * share)),
    };
    if first == second {
        words(first)
    } else {
        format!("first view {}, second {}", words(first), words(second))
    }
}

fn again(gallery: &Gallery) -> Section {
    let body = html! {
        p.lead {
            "A view is a pure function of seed, image, epoch and view number, so this command \
             makes the same page of the same images, byte for byte. These are views of epoch 0, \
             and view 1 is number 0. With "
            code { "--json" } " it also prints the key and every drawn parameter of each view."
        }
        (protocol::command(&gallery.command))
    };
    Section { id: "protocol", short: "Protocol", title: "How to make this page again", body }
}
