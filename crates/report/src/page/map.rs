//! The embedding map: each image is a point, before and after training, with thumbnails.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, html};
use serde::Serialize;

use super::Section;
use super::chart::round;
use crate::format::{count, counted, number, percent, script};
use crate::record::{DatasetRecord, EmbeddingMap, MapImage, Projection};
use crate::{Report, Sprite};

/// Side of a map in its own units, and the margin at its edges.
const SIDE: f64 = 420.0;
const MARGIN: f64 = 12.0;
/// Maximum number of points drawn. They are spread evenly over the record.
const MAX_POINTS: usize = 2_000;
/// Number of colours in the style sheet, from `--class-0`. Further classes use another marker
/// shape.
const COLOURS: u32 = 10;
/// Largest magnitude that is drawn. Differences of larger numbers would overflow.
const DRAWABLE: f64 = 1e100;

/// Data that the script needs for thumbnails, names and legend. Positions are in the map's units,
/// with x and y alternating, and null if a point cannot be drawn.
#[derive(Serialize)]
struct Data<'a> {
    panels: Vec<Vec<Option<f64>>>,
    names: Vec<&'a str>,
    classes: Vec<String>,
    class: Vec<Option<usize>>,
    tiles: Vec<Option<usize>>,
    columns: u32,
    rows: u32,
    width: u32,
    height: u32,
}

/// A class that occurs on the map.
struct Class {
    name: String,
    label: Option<u32>,
    /// Positions of the class's images among the drawn images.
    members: Vec<usize>,
}

pub(super) fn section(report: &Report) -> Option<Section> {
    let map = report.map.as_ref()?;
    if map.images.is_empty() {
        return None;
    }
    let stride = map.images.len().div_ceil(MAX_POINTS);
    let drawn: Vec<usize> = (0..map.images.len()).step_by(stride).collect();
    let classes = classes(map, &drawn, &report.run.dataset);
    let labelled = classes.iter().any(|class| class.label.is_some());

    let elsewhere = report.run.is_from_elsewhere();
    let titles = match elsewhere {
        true => ["With random weights", "With the weights of the file"],
        false => ["Before training", "After training"],
    };
    let panels = panels(map, titles);
    let places: Vec<Vec<Option<(f64, f64)>>> =
        panels.iter().map(|panel| places(panel.points, &drawn)).collect();
    let missing = places
        .iter()
        .map(|panel| panel.iter().filter(|place| place.is_none()).count())
        .max()
        .unwrap_or(0);

    let thumbs = map.thumbs.as_ref();
    let style = thumbs.map(|thumbs| format!("--thumbs:url({})", thumbs.data_uri()));
    let body = html! {
        p.lead {
            "Each point is an image; images that the encoder holds to be alike lie close together. "
            @if labelled { "Colours are the true classes" @if !elsewhere { ", which training never saw" } ". " }
            "Point at one to see it" @if panels.len() > 1 { ", and where it lies in the other \
                " @if panels.len() > 2 { "maps" } @else { "map" } } "."
        }
        div.map style=[style] {
            @if labelled { (legend(&classes)) }
            div.pair {
                @for (panel, places) in panels.iter().zip(&places) {
                    (figure(panel, places, &classes))
                }
            }
            script type="application/json" { (script(&data(map, &drawn, &classes, &places))) }
        }
        p.quiet {
            (counted(drawn.len() as u64, "image", "images"))
            @if stride > 1 { " of " (count(map.images.len() as u64)) ", evenly picked," }
            @if !map.split.is_empty() { " of the " (map.split) " split" }
            ". A plane cannot show all dimensions: classes that overlap here may still be apart."
            @if missing > 0 { " " (counted(missing as u64, "point has", "points have")) " no \
                finite place and cannot be drawn." }
        }
    };
    Some(Section { id: "map", short: "Map", title: "What it holds to be alike", body })
}

/// A map of the images by one encoder.
struct Panel<'a> {
    title: &'a str,
    /// How embeddings became points.
    method: String,
    points: &'a [[f64; 2]],
}

/// Lists the maps, with titles for the untrained and the trained encoder: by t-SNE, which keeps neighbours together, and by PCA, which keeps distances.
fn panels<'a>(map: &'a EmbeddingMap, titles: [&'a str; 2]) -> Vec<Panel<'a>> {
    let of_tsne = map.tsne.iter().flat_map(|tsne| {
        let method = format!(
            "t-SNE, perplexity {}: neighbours stay neighbours; distances between far groups mean \
             nothing",
            number(tsne.perplexity)
        );
        let placed = [tsne.untrained.as_ref(), Some(&tsne.trained)].into_iter().zip(titles);
        placed.filter_map(move |(points, title)| {
            Some(Panel { title, method: method.clone(), points: points? })
        })
    });
    let of_map = [map.untrained.as_ref(), Some(&map.trained)].into_iter().zip(titles);
    let of_map = of_map.filter_map(|(projection, title)| {
        let projection = projection?;
        Some(Panel { title, method: method(map, projection), points: &projection.points })
    });
    of_tsne.chain(of_map).collect()
}

/// Names the method of a projection, and how much of the variance its axes carry.
fn method(map: &EmbeddingMap, projection: &Projection) -> String {
    let [first, second] = projection.explained;
    let name = map.method.to_uppercase();
    if first.is_finite() && second.is_finite() {
        let (first, second) = (percent(first), percent(second));
        format!("{name}: the two axes carry {first} and {second} of the variance")
    } else {
        name
    }
}

/// Draws a single map, to be placed next to the maps of other encoders.
pub(super) fn panel(title: &str, map: &EmbeddingMap, projection: &Projection) -> Markup {
    let drawn: Vec<usize> =
        (0..map.images.len()).step_by(map.images.len().div_ceil(MAX_POINTS).max(1)).collect();
    let classes = classes(map, &drawn, &DatasetRecord::default());
    let panel = Panel { title, method: method(map, projection), points: &projection.points };
    figure(&panel, &places(panel.points, &drawn), &classes)
}

fn class_name(label: Option<u32>, dataset: &DatasetRecord) -> String {
    match label {
        None => "no label".into(),
        Some(label) => {
            dataset.classes.get(label as usize).cloned().unwrap_or_else(|| format!("class {label}"))
        }
    }
}

fn classes(map: &EmbeddingMap, drawn: &[usize], dataset: &DatasetRecord) -> Vec<Class> {
    let mut members: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
    for (position, &index) in drawn.iter().enumerate() {
        members.entry(map.images[index].label).or_default().push(position);
    }
    let class = |(label, members)| Class { name: class_name(label, dataset), label, members };
    members.into_iter().map(class).collect()
}

/// Scales both axes equally, so that distances mean the same in every direction.
fn places(points: &[[f64; 2]], drawn: &[usize]) -> Vec<Option<(f64, f64)>> {
    let points: Vec<Option<[f64; 2]>> = drawn
        .iter()
        .map(|&index| {
            points.get(index).copied().filter(|point| point.iter().all(|v| v.abs() < DRAWABLE))
        })
        .collect();
    let range = |axis: usize| {
        let values = points.iter().flatten().map(|point| point[axis]);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let ((left, right), (low, high)) = (range(0), range(1));
    let span = (right - left).max(high - low);
    let scale = if span > 0.0 { (SIDE - 2.0 * MARGIN) / span } else { 0.0 };
    let place = |[x, y]: [f64; 2]| {
        let across = SIDE / 2.0 + (x - (left + right) / 2.0) * scale;
        let down = SIDE / 2.0 - (y - (low + high) / 2.0) * scale;
        (round(across), round(down))
    };
    points.into_iter().map(|point| point.map(place)).collect()
}

fn figure(panel: &Panel<'_>, places: &[Option<(f64, f64)>], classes: &[Class]) -> Markup {
    let title = panel.title;
    html! {
        figure.chart {
            figcaption {
                h3 { (title) }
                p { (panel.method) }
            }
            svg.points viewBox={ "0 0 " (SIDE) " " (SIDE) } role="img"
                aria-label={ "Map of " (places.len()) " images " (title.to_lowercase()) } {
                @for (i, class) in classes.iter().enumerate() {
                    path data-class=(i) style={ "--c:" (colour(class.label)) } d=(markers(class, places)) {}
                }
                circle.ring r="8" hidden {}
            }
        }
    }
}

fn colour(label: Option<u32>) -> String {
    match label {
        Some(label) => format!("var(--class-{})", label % COLOURS),
        None => "var(--trained)".into(),
    }
}

/// Draws all points of a class as one path. With ten points or a thousand, the script has one
/// element to fade.
fn markers(class: &Class, places: &[Option<(f64, f64)>]) -> String {
    let shape = shape(class.label);
    let mut path = String::new();
    for (x, y) in class.members.iter().filter_map(|&member| places[member]) {
        let _ = write!(path, "M{x} {y}{shape}");
    }
    path
}

/// Returns a marker around the current point: circle, square, triangle or diamond. The shape
/// changes every ten classes.
fn shape(label: Option<u32>) -> &'static str {
    match label.unwrap_or(0) / COLOURS % 4 {
        0 => "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",
        1 => "m-3.5-3.5h7v7h-7z",
        2 => "m0-5l4.6 8h-9.2z",
        _ => "m0-5l5 5l-5 5l-5-5z",
    }
}

fn legend(classes: &[Class]) -> Markup {
    html! {
        div.legend role="group" aria-label="Highlight a class" {
            @for (i, class) in classes.iter().enumerate() {
                button type="button" data-class=(i) aria-pressed="false" title=(class.name) {
                    svg viewBox="-6 -6 12 12" aria-hidden="true" {
                        path style={ "--c:" (colour(class.label)) } d={ "M0 \
                            0" (shape(class.label)) } {}
                    }
                    span { (class.name) }
                }
            }
        }
    }
}

fn data<'a>(
    map: &'a EmbeddingMap,
    drawn: &[usize],
    classes: &[Class],
    places: &[Vec<Option<(f64, f64)>>],
) -> Data<'a> {
    let mut class = vec![None; drawn.len()];
    for (i, members) in classes.iter().map(|class| &class.members).enumerate() {
        members.iter().for_each(|&member| class[member] = Some(i));
    }
    let flat = |panel: &Vec<Option<(f64, f64)>>| {
        panel.iter().flat_map(|place| [place.map(|p| p.0), place.map(|p| p.1)]).collect()
    };
    let tiles = map.thumbs.as_ref().map_or(0, |thumbs| thumbs.tiles as usize);
    let side = |length: fn(&Sprite) -> u32| map.thumbs.as_ref().map_or(0, length);
    let name =
        |&index: &usize| map.images.get(index).map_or("", |image: &MapImage| image.name.as_str());
    Data {
        panels: places.iter().map(flat).collect(),
        names: drawn.iter().map(name).collect(),
        classes: classes
            .iter()
            .map(|class| if class.label.is_some() { class.name.clone() } else { String::new() })
            .collect(),
        class,
        tiles: drawn.iter().map(|&index| (index < tiles).then_some(index)).collect(),
        columns: side(|sprite| sprite.columns),
        rows: side(Sprite::rows),
        width: side(|sprite| sprite.width),
        height: side(|sprite| sprite.height),
    }
}
