//! The words for what an encoder says of single images, for page and terminal alike.

use super::{Cluster, Clusters, Labels, Look, Neighbours, Twins};
use crate::format::{count, counted, number, percent};

/// Share of images that the probe must be right about for its doubts to be taken for likely mistakes.
const TRUSTED: f64 = 0.8;
/// Adjusted Rand index from which clusters are said to follow the labels.
const FOLLOWS: f64 = 0.5;
/// Adjusted Rand index below which clusters are said to have nothing to do with the labels.
const UNRELATED: f64 = 0.1;

/// Says what is worth looking at, a line for each finding.
pub fn lines(look: &Look) -> Vec<String> {
    let labels = look.labels.as_ref().filter(|labels| labels.suspects > 0).map(labels_line);
    labels.into_iter().chain(twins(&look.twins)).collect()
}

fn labels_line(labels: &Labels) -> String {
    if labels.accuracy < TRUSTED {
        return format!("The page shows the labels most worth a check. {}", trust(labels));
    }
    format!(
        "{} of {} {} likely wrong; the page shows the likeliest.",
        counted(labels.suspects, "label", "labels"),
        count(labels.judged),
        are(labels.suspects)
    )
}

/// Says how far the list of suspects can be trusted, from how often the probe is right.
pub fn trust(labels: &Labels) -> String {
    let right = percent(labels.accuracy);
    if labels.accuracy < TRUSTED {
        format!(
            "The probe is right about only {right} of all images, so many of these labels will be \
             right: it doubts what it cannot tell. A better encoder makes a better list."
        )
    } else {
        format!("The probe is right about {right} of all images.")
    }
}

/// Says how many images are nearly the same. Returns `None` if none are.
pub fn twins(twins: &Twins) -> Option<String> {
    let pairs = |pairs| counted(pairs, "pair of images", "pairs of images");
    match (twins.across, twins.within) {
        (0, 0) => None,
        (0, within) => Some(format!(
            "{} of one split {} nearly the same to the encoder.",
            pairs(within),
            are(within)
        )),
        (across, 0) => Some(format!(
            "{} of different splits {} nearly the same to the encoder.",
            pairs(across),
            are(across)
        )),
        (across, within) => Some(format!(
            "{} {} nearly the same to the encoder, {} of them of different splits.",
            pairs(across + within),
            are(across + within),
            count(across)
        )),
    }
}

fn are(things: u64) -> &'static str {
    if things == 1 { "is" } else { "are" }
}

/// Says how many groups there are, and whether they are those of the labels.
pub fn clusters(clusters: &Clusters) -> String {
    let grouped: u64 = clusters.clusters.iter().map(|cluster| cluster.images).sum();
    let found = match clusters.clusters.len() as u64 {
        0 => "No group of images stands apart from the others.".to_owned(),
        found => format!(
            "{} of images {} apart, with {} of all images; the others lie between.",
            counted(found, "group", "groups"),
            if found == 1 { "stands" } else { "stand" },
            percent(grouped as f64 / (grouped + clusters.between).max(1) as f64)
        ),
    };
    let agreement = clusters.agreement.map(|index| {
        let how = if index >= FOLLOWS {
            "The groups follow the labels"
        } else if index >= UNRELATED {
            "The groups follow the labels in part"
        } else {
            "The groups have little to do with the labels"
        };
        format!(" {how} (adjusted Rand index {}).", number(index))
    });
    found + &agreement.unwrap_or_default()
}

/// Says what the images of a cluster are.
pub fn cluster(cluster: &Cluster) -> String {
    let images = counted(cluster.images, "image", "images");
    match &cluster.labels[..] {
        [] => images,
        [(label, _)] => format!("{images}, all {label}"),
        labels => {
            let named = labels.iter().take(3);
            let named: Vec<String> =
                named.map(|(label, of)| format!("{} {label}", count(*of))).collect();
            let rest = if labels.len() > 3 { ", …" } else { "" };
            format!("{images}: {}{rest}", named.join(", "))
        }
    }
}

/// Lists neighbours for a terminal: each image, and below it those most like it.
pub fn neighbour_lines(neighbours: &Neighbours) -> Vec<String> {
    let mut lines = Vec::new();
    for found in &neighbours.images {
        lines.push(line(&found.image));
        lines.extend(
            found
                .nearest
                .iter()
                .map(|near| format!("  {:.4}  {}", near.distance, line(&near.image))),
        );
    }
    lines
}

fn line(image: &super::Pictured) -> String {
    let class = image.class.as_ref().map(|class| format!(", {class}")).unwrap_or_default();
    format!("{} ({}{class})", image.name, image.split)
}
