//! The pages. Each page is a headline followed by sections. The page of a run is drawn from its
//! records; each of its sections is a file in `page/`. The gallery of views is in `gallery.rs`, the
//! forecast in `forecast.rs`, the inspection in `inspection.rs`.
//!
//! To add a section, add a file with `fn section(&Report) -> Option<Section>` and a line in
//! [`render`]. Text goes through maud, which escapes it; data for the script goes through
//! [`crate::format::script`].

mod bounds;
mod chart;
mod classes;
mod comparison;
mod curves;
mod dataset;
mod experiment;
mod factors;
mod forecast;
mod gallery;
mod headline;
mod inspection;
mod lines;
mod look;
mod map;
mod next;
mod protocol;
mod quantity;
mod results;
mod roofline;
mod views;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use self::comparison::render_comparison;
pub use self::experiment::render_experiment;
pub use self::forecast::render_forecast;
pub use self::gallery::render_gallery;
pub use self::inspection::render_inspection;
pub use self::roofline::render_roofline;
use crate::certificate::{CertificateRecord, words};
use crate::next::{after_certificate, images, option};
use crate::{Report, Sprite};

/// One section of the page, with its entry in the navigation.
struct Section {
    /// Anchor of the section.
    id: &'static str,
    /// Word that stands for the section in the navigation.
    short: &'static str,
    /// Heading.
    title: &'static str,
    /// Content below the heading.
    body: Markup,
}

/// Icon of the browser's tab, and mark of the project: two overlapping circles, two views of one
/// thing.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 \
                    32'%3E%3Cg fill='%230f766e' fill-opacity='.62'%3E%3Ccircle cx='12' cy='16' \
                    r='10'/%3E%3Ccircle cx='20' cy='16' r='10'/%3E%3C/g%3E%3C/svg%3E";

/// Content security policy: the page could fetch nothing even if some text escaped the escaping.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src \
                      'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Largest side of a picture that is shown with visible pixels.
const PIXELS_UP_TO: u32 = 48;

/// Draws a run as one HTML page that needs no other file and no network.
///
/// Works for a run in any state. The page says in words which records are missing and what cannot
/// be measured without labels. All text from the records is escaped.
pub fn render(report: &Report) -> String {
    let sections: Vec<Section> = [
        next::of_run(report),
        results::section(report),
        report.certificate.as_ref().map(factors::section),
        report.certificate.as_ref().map(bounds::section),
        curves::section(report),
        map::section(report),
        look::section(report),
        views::section(report),
        dataset::section(report),
        protocol::section(report),
    ]
    .into_iter()
    .flatten()
    .collect();

    let script = include_str!("page/script.js");
    document(
        &headline::title(report),
        &report.run.selfsame,
        headline::header(report),
        &sections,
        Some(script),
    )
}

/// Draws the page of a certificate of encoders or embeddings that no run made.
pub fn render_certificate(record: &CertificateRecord) -> String {
    let body = html! {
        p.lead { code { "certificate.json" } " has every number with what it is worth." }
        (protocol::command(&record.command))
    };
    let again = Section { id: "protocol", short: "Protocol", title: "How to do it again", body };
    let data = option(&record.command, "--data").unwrap_or_default();
    let sections: Vec<Section> = [
        Some(factors::section(record)),
        Some(bounds::section(record)),
        next::section(&after_certificate(record, &images(&record.command, &data))),
        Some(again),
    ]
    .into_iter()
    .flatten()
    .collect();
    let title = format!("Certificate of {}", record.subject);
    let header = html! {
        p.eyebrow { (title) }
        (verdict(&words::verdict(record)))
    };
    document(&title, &record.selfsame, header, &sections, Some(include_str!("page/script.js")))
}

/// Draws the sentences at the top of a page, the first of them as the headline.
fn verdict(sentences: &[String]) -> Markup {
    html! {
        @for (at, sentence) in sentences.iter().enumerate() {
            @if at == 0 { h1.verdict { (sentence) } } @else { p.judgement { (sentence) } }
        }
    }
}

/// Writes text with its commands, which stand between backticks, as code.
fn prose(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Joins sentences into a paragraph, with the first sentence in bold.
fn bold_first(sentences: &[String]) -> Markup {
    html! {
        @for (at, sentence) in sentences.iter().enumerate() {
            @if at == 0 { b { (sentence) } } @else { " " (sentence) }
        }
    }
}

/// Returns how to enlarge a picture: small pictures with visible pixels, photographs smoothly.
fn rendering(picture: &Sprite) -> &'static str {
    if picture.width <= PIXELS_UP_TO { "pixelated" } else { "auto" }
}

/// Draws one tile of a sheet, which a surrounding element declares. Draws nothing without a sheet,
/// or of an image that has no tile on it.
fn picture(sheet: Option<&Sprite>, at: Option<usize>, name: &str) -> Markup {
    let Some((sheet, at)) = sheet.zip(at) else { return html! {} };
    html! { i role="img" aria-label=(name) title=(name) style=(tile(sheet, at)) {} }
}

/// Describes two images that are nearly the same: their classes, which should be one, and their
/// splits.
fn pair_named(classes: [Option<&str>; 2], splits: [&str; 2]) -> Markup {
    html! {
        @match classes {
            [Some(first), Some(second)] if first != second => {
                b.differ { (first) " or " (second) "?" }
            }
            [Some(class), _] => { b { (class) } }
            _ => {}
        }
        " " (splits[0]) @if splits[0] != splits[1] { ", " (splits[1]) }
    }
}

/// Returns the style of an element that shows one tile of a sheet. The element is as large as the
/// tile.
fn tile(sheet: &Sprite, tile: usize) -> String {
    // The whole sheet is the background, scaled so that one tile fills the element, then shifted to
    // the tile.
    let shift = |index: u32, count: u32| {
        if count > 1 { 100.0 * f64::from(index) / f64::from(count - 1) } else { 0.0 }
    };
    let columns = sheet.columns.max(1);
    format!(
        "background-size:{}% {}%;background-position:{:.4}% {:.4}%",
        u64::from(columns) * 100,
        u64::from(sheet.rows()) * 100,
        shift(tile as u32 % columns, columns),
        shift(tile as u32 / columns, sheet.rows()),
    )
}

/// Wraps the content of any page into one HTML file that loads nothing. `version` is the version of
/// selfsame that made the page.
fn document(
    title: &str,
    version: &str,
    header: Markup,
    sections: &[Section],
    script: Option<&str>,
) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content={ "selfsame " (version) };
                title { (title) " · selfsame" }
                link rel="icon" href=(PreEscaped(ICON));
                style { (PreEscaped(include_str!("page/style.css"))) }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                nav aria-label="Sections" {
                    div.wrap {
                        a.mark href="#top" { (mark()) span { "selfsame" } }
                        ul {
                            @for section in sections {
                                li { a href={ "#" (section.id) } { (section.short) } }
                            }
                        }
                    }
                }
                main id="content" {
                    header id="top" { div.wrap { (header) } }
                    @for section in sections {
                        section id=(section.id) aria-labelledby={ (section.id) "-title" } {
                            div.wrap {
                                h2 id={ (section.id) "-title" } { (section.title) }
                                (section.body)
                            }
                        }
                    }
                }
                footer {
                    div.wrap {
                        p { "Made by selfsame " (version) ". This page is one file: it loads \
                                                           nothing from anywhere, so it can be \
                                                           sent, archived or printed as it is." }
                    }
                }
                script { "{" (PreEscaped(include_str!("page/wide.js"))) "}" }
                @if let Some(script) = script { script { (PreEscaped(script)) } }
            }
        }
    };
    page.into_string()
}

fn mark() -> Markup {
    html! {
        svg viewBox="0 0 32 32" aria-hidden="true" {
            circle cx="12" cy="16" r="10" {}
            circle cx="20" cy="16" r="10" {}
        }
    }
}
