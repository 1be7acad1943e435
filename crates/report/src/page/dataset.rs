//! The images of a run: how many there are, how they were split, and which were left out.

use maud::{Markup, html};

use super::Section;
use crate::Report;
use crate::format::{count, counted, sentence_list};
use crate::record::{DatasetRecord, RUN_FILE, Skipped};

/// Maximum number of class names and skipped images in the lists; `run.json` has them all.
const MAX_LISTED: usize = 200;
/// Longest list that is shown without a click.
const FEW: usize = 12;

pub(super) fn section(report: &Report) -> Option<Section> {
    let dataset = &report.run.dataset;
    let total = dataset.train.saturating_add(dataset.validation).saturating_add(dataset.test);
    let body = html! {
        p.lead {
            (counted(total, "image", "images"))
            @if !dataset.name.is_empty() { " of " b { (dataset.name) } }
            @if dataset.image_size > 0 { ", brought to " (dataset.image_size) " \
                × " (dataset.image_size) " pixels" }
            @if let Some(source) = dataset.source_size { ", with crops drawn from whole images of \
                up to " (source) " pixels on their shorter side" }
            @if dataset.classes.is_empty() { ", without labels" }
            @else { ", in " (counted(dataset.classes.len() as u64, "class", "classes")) }
            "."
        }
        (splits(dataset, total))
        @if !dataset.classes.is_empty() { (classes(&dataset.classes)) }
        @if !dataset.notes.is_empty() { ul.notes { @for note in &dataset.notes { li { (note) } } } }
        @if !dataset.skipped.is_empty() { (skipped(&dataset.skipped, RUN_FILE)) }
    };
    Some(Section { id: "data", short: "Data", title: "The images", body })
}

fn splits(dataset: &DatasetRecord, total: u64) -> Markup {
    let splits = [
        ("train", dataset.train, "trained on"),
        ("validation", dataset.validation, "held back for every choice"),
        ("test", dataset.test, "held back for the final measurement"),
    ];
    html! {
        @if total > 0 {
            div.splits aria-hidden="true" {
                @for (name, images, _) in &splits {
                    @if *images > 0 { span class=(name) style={ "flex-grow:" (images) } {} }
                }
            }
        }
        dl.splitlist {
            @for (name, images, use_of) in &splits {
                div { dt class=(name) { (name) } dd { b { (count(*images)) } " " (use_of) } }
            }
        }
    }
}

fn classes(names: &[String]) -> Markup {
    if names.len() <= FEW {
        return html! { p { "Classes: " (sentence_list(names)) "." } };
    }
    html! {
        details {
            summary { (counted(names.len() as u64, "class", "classes")) }
            p { (names[..names.len().min(MAX_LISTED)].join(", ")) (more(names.len(), RUN_FILE)) }
        }
    }
}

/// Lists the images that were left out; `file` is the file that lists all of them.
pub(super) fn skipped(skipped: &[Skipped], file: &str) -> Markup {
    html! {
        details.warning open[skipped.len() <= FEW] {
            summary { (counted(skipped.len() as u64, "image was left out", "images were left \
                out")) }
            ul.skipped {
                @for image in skipped.iter().take(MAX_LISTED) { li { code { (image.name) } " " (image.cause) } }
            }
            p { (more(skipped.len(), file)) }
        }
    }
}

/// Warns of a folder of which no image is used.
pub(super) fn lost(folder: &Skipped) -> Markup {
    html! {
        p.warning role="note" {
            "No image of the folder " code { (folder.name) } " is used: " (folder.cause) "."
        }
    }
}

fn more(all: usize, file: &str) -> String {
    match all.saturating_sub(MAX_LISTED) {
        0 => String::new(),
        rest => format!(" … and {} more, listed in {file}.", count(rest as u64)),
    }
}
