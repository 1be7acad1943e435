//! What the encoder says of single images: labels that are likely wrong, copies, groups, and
//! nearest neighbours.

use maud::{Markup, html};

use super::{Section, pair_named, picture, rendering};
use crate::format::{count, counted, number, percent};
use crate::look::{
    CLUSTERS_FILE, Cluster, Clusters, LOOK_FILE, Labels, Look, NEIGHBOURS_FILE, Neighbour,
    Neighbourhood, Neighbours, Pictured, SUSPECTS_FILE, ShownSuspect, Twin, Twins, words,
};
use crate::{Report, Sprite};

/// Number of suspects that are shown without a click.
const FIRST: usize = 6;
/// Number of clusters that are shown without a click.
const FIRST_CLUSTERS: usize = 8;

pub(super) fn section(report: &Report) -> Option<Section> {
    let of_look = report.look.as_ref().and_then(look);
    let of_neighbours = report.neighbours.as_ref().and_then(neighbours);
    if of_look.is_none() && of_neighbours.is_none() {
        return None;
    }
    let measured = report.evaluation.as_ref().and_then(|evaluation| evaluation.step);
    let looked = report.look.as_ref().map(|look| look.step);
    let other = looked.zip(measured).filter(|(looked, measured)| looked != measured);
    let body = html! {
        @if let Some((looked, measured)) = other {
            p.warning role="note" {
                "These are of the weights after step " (count(looked)) ", the accuracies of those \
                 after step " (count(measured)) "."
            }
        }
        @for part in [of_look, of_neighbours].into_iter().flatten() { (part) }
    };
    Some(Section { id: "look", short: "Look", title: "Images worth a look", body })
}

/// Draws what was found. Returns `None` if there is nothing to say.
fn look(look: &Look) -> Option<Markup> {
    let sheet = Sheet(look.pictures.as_ref());
    let labels = look.labels.as_ref().filter(|labels| labels.suspects > 0);
    let parts = [
        labels.map(|labels| suspects(labels, &sheet)),
        twins(&look.twins, &sheet),
        look.clusters.as_ref().and_then(|found| clusters(found, &sheet)),
    ];
    let parts: Vec<Markup> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        return None;
    }
    Some(html! {
        div style=[sheet.style()] {
            @for part in &parts { (part) }
            @if look.images < look.out_of {
                p.quiet {
                    "Looked at: a sample of " (count(look.images)) " of "
                    (counted(look.out_of, "image", "images")) "."
                }
            }
        }
    })
}

/// The pictures of a record.
struct Sheet<'a>(Option<&'a Sprite>);

impl Sheet<'_> {
    /// Returns the style of an element that contains pictures.
    fn style(&self) -> Option<String> {
        let pictures = self.0?;
        let rendering = rendering(pictures);
        Some(format!("--sheet:url({});--rendering:{rendering}", pictures.data_uri()))
    }

    /// Draws an image, if the page has its picture.
    fn picture(&self, image: &Pictured) -> Markup {
        picture(self.0, image.tile, &image.name)
    }

    /// Draws an image, and below it what is said of it.
    fn figure(&self, image: &Pictured, caption: &Markup) -> Markup {
        if self.0.is_none() || image.tile.is_none() {
            return html! {};
        }
        html! { figure { (self.picture(image)) figcaption { (caption) } } }
    }

    /// Draws an image followed by those most like it.
    fn likes(&self, found: &Neighbourhood) -> Markup {
        let caption = |image: &Pictured, distance: Option<f64>| {
            html! {
                @if let Some(class) = &image.class { b { (class) } br; }
                (image.split)
                @if let Some(distance) = distance { br; (format!("{distance:.3}")) }
            }
        };
        html! {
            div.likes {
                (self.figure(&found.image, &caption(&found.image, None)))
                @for Neighbour { image, distance } in &found.nearest {
                    (self.figure(image, &caption(image, Some(*distance))))
                }
            }
        }
    }
}

/// Shows the first of some parts, and the others after a click.
fn folded(parts: &[Markup], first: usize, others: &str, class: &str) -> Markup {
    let (shown, rest) = parts.split_at(parts.len().min(first));
    html! {
        div class=(class) { @for part in shown { (part) } }
        @if !rest.is_empty() {
            details {
                summary { (count(rest.len() as u64)) " " (others) }
                div class=(class) { @for part in rest { (part) } }
            }
        }
    }
}

fn suspects(labels: &Labels, sheet: &Sheet<'_>) -> Markup {
    let suspect = |suspect: &ShownSuspect| {
        let image = &suspect.neighbourhood.image;
        html! {
            article {
                p {
                    "More likely " b { (suspect.likely) }
                    @if let Some(label) = &image.class {
                        ": the probe gives " b { (label) } " " (percent(1.0 - suspect.probability))
                    }
                    br; span.quiet { (image.name) }
                }
                (sheet.likes(&suspect.neighbourhood))
            }
        }
    };
    let shown: Vec<Markup> = labels.shown.iter().map(suspect).collect();
    html! {
        h3 id="labels" { "Labels to check" }
        p {
            "In " (count(labels.suspects)) " of " (counted(labels.judged, "image", "images")) ", a \
             linear probe that was fitted to other images sees another class than the label, and is \
             as sure of it as it usually is of that class’s own images. The label that it finds \
             least likely comes first, beside the images most like it, with their labels and \
             distances. " b { (words::trust(labels)) }
        }
        (folded(&shown, FIRST, "more", "parts"))
        p.quiet {
            code { (SUSPECTS_FILE) } " lists all of them. Confident learning, out of "
            (count(labels.folds)) " folds over all splits, λ = " (number(labels.lambda))
            ". No accuracy on this page rests on it."
        }
    }
}

fn twins(twins: &Twins, sheet: &Sheet<'_>) -> Option<Markup> {
    let summary = words::twins(twins)?;
    let (across, within): (Vec<&Twin>, Vec<&Twin>) =
        twins.pairs.iter().partition(|pair| pair.images[0].split != pair.images[1].split);
    let group = |title: &str, pairs: &[&Twin], all: u64| {
        let drawn: Vec<Markup> = pairs.iter().map(|pair| twin(pair, sheet)).collect();
        html! {
            @if !drawn.is_empty() {
                h4 { (title) ": " (count(all)) }
                (folded(&drawn, 2 * FIRST, "more", "closest twins"))
            }
        }
    };
    Some(html! {
        h3 id="copies" { "Copies and near copies" }
        p {
            (summary) " An image that is in two splits is measured on what was trained on."
        }
        (group("In different splits", &across, twins.across))
        (group("In one split", &within, twins.within))
        p.quiet {
            "Found by pixels and by the encoder’s features. A closeness of 0 is a copy, 1 the \
             distance of the eighth nearest image; up to " (number(twins.threshold)) " is near here: \
             chance alone would make a pair of one image in 1,000."
            @if (twins.pairs.len() as u64) < twins.across + twins.within {
                " " code { (LOOK_FILE) } " lists the closest."
            }
        }
    })
}

fn twin(pair: &Twin, sheet: &Sheet<'_>) -> Markup {
    let [a, b] = &pair.images;
    let classes = [&a.class, &b.class].map(Option::as_deref);
    html! {
        figure {
            div.strip { (sheet.picture(a)) (sheet.picture(b)) }
            figcaption {
                (pair_named(classes, [&a.split, &b.split]))
                " · " @if pair.equal { "equal pixels" } @else { "closeness " (format!("{:.2}", pair.closeness)) }
                br; (a.name) br; (b.name)
            }
        }
    }
}

fn clusters(found: &Clusters, sheet: &Sheet<'_>) -> Option<Markup> {
    if found.clusters.is_empty() {
        return None;
    }
    let cluster = |(at, cluster): (usize, &Cluster)| {
        html! {
            article {
                p { b { "Group " (at + 1) } ": " (words::cluster(cluster)) }
                div.strip { @for image in &cluster.typical { (sheet.picture(image)) } }
            }
        }
    };
    let shown = found
        .clusters
        .iter()
        .enumerate()
        .filter(|(_, cluster)| cluster.typical.iter().any(|image| image.tile.is_some()));
    let drawn: Vec<Markup> = shown.map(cluster).collect();
    Some(html! {
        h3 id="clusters" { "Groups" }
        p { (words::clusters(found)) " Each is shown by the images nearest to its middle." }
        (folded(&drawn, FIRST_CLUSTERS, "more", "parts"))
        p.quiet {
            code { (CLUSTERS_FILE) } " has the group of each image. HDBSCAN in "
            (counted(found.components, "principal component", "principal components")) ", "
            (percent(found.explained)) " of the variance; a group has at least "
            (count(found.smallest)) " images."
        }
    })
}

fn neighbours(found: &Neighbours) -> Option<Markup> {
    if found.images.is_empty() {
        return None;
    }
    let sheet = Sheet(found.pictures.as_ref());
    let query = |query: &Neighbourhood| {
        html! { article { p.quiet { (query.image.name) } (sheet.likes(query)) } }
    };
    let drawn: Vec<Markup> = found.images.iter().map(query).collect();
    Some(html! {
        div style=[sheet.style()] {
            h3 id="neighbours" { "Nearest neighbours" }
            p {
                "The first image of each row, then the images most like it among "
                (counted(found.searched, "image", "images")) " of all splits, with their distance: one minus \
                 the cosine of the encoder’s features."
                @if found.asked.is_empty() {
                    " " code { "selfsame neighbours RUN IMAGE" } " shows those of any image."
                }
            }
            (folded(&drawn, FIRST, "more", "rows"))
            p.quiet { code { (NEIGHBOURS_FILE) } " has them as numbers." }
        }
    })
}
