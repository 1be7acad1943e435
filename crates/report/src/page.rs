//! The pages: a headline, then sections. That of a run is drawn from its records, one section a
//! file of `page/`; the gallery of views is `gallery.rs`, the forecast `forecast.rs`.
//!
//! A new section is a file with `fn section(&Report) -> Option<Section>` and a line in [`render`].
//! Text goes through maud, which escapes it; data for the script goes through [`crate::format::script`].

mod bounds;
mod chart;
mod comparison;
mod curves;
mod dataset;
mod experiment;
mod factors;
mod forecast;
mod gallery;
mod headline;
mod map;
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
pub use self::roofline::render_roofline;
use crate::certificate::{CertificateRecord, words};
use crate::{Report, Sprite};

/// One part of the page, with its place in the navigation.
struct Section {
    /// Anchor.
    id: &'static str,
    /// Word in the navigation.
    short: &'static str,
    /// Heading.
    title: &'static str,
    /// What stands below the heading.
    body: Markup,
}

/// Two overlapping circles, two views of one thing: the mark, and the icon of the browser's tab.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 \
                    32'%3E%3Cg fill='%230f766e' fill-opacity='.62'%3E%3Ccircle cx='12' cy='16' \
                    r='10'/%3E%3Ccircle cx='20' cy='16' r='10'/%3E%3C/g%3E%3C/svg%3E";

/// The page could fetch nothing even if some text slipped through the escaping.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src \
                      'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Draws a run as one HTML page that needs no other file and no network.
///
/// Works for every state of a run: what is not there yet, or cannot be measured without labels, is
/// said in words. All text from the records is escaped.
pub fn render(report: &Report) -> String {
    let sections: Vec<Section> = [
        results::section(report),
        report.certificate.as_ref().map(factors::section),
        report.certificate.as_ref().map(bounds::section),
        curves::section(report),
        map::section(report),
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

/// Draws a certificate as a page of its own, for encoders and embeddings that no run made.
pub fn render_certificate(record: &CertificateRecord) -> String {
    let body = html! {
        p.lead { code { "certificate.json" } " has every number with what it is worth." }
        (protocol::command(&record.command))
    };
    let again = Section { id: "protocol", short: "Protocol", title: "How to do it again", body };
    let sections = [factors::section(record), bounds::section(record), again];
    let title = format!("Certificate of {}", record.subject);
    let header = html! {
        p.eyebrow { (title) }
        @for (at, sentence) in words::verdict(record).iter().enumerate() {
            @if at == 0 { h1.verdict { (sentence) } } @else { p.judgement { (sentence) } }
        }
    };
    document(&title, &record.selfsame, header, &sections, Some(include_str!("page/script.js")))
}

/// Sentences in a row, the first in bold.
fn bold_first(sentences: &[String]) -> Markup {
    html! {
        @for (at, sentence) in sentences.iter().enumerate() {
            @if at == 0 { b { (sentence) } } @else { " " (sentence) }
        }
    }
}

/// Where a tile stands in its sheet, as the style of an element that is as large as the tile.
fn tile(sheet: &Sprite, tile: usize) -> String {
    let shift =
        |at: u32, of: u32| if of > 1 { 100.0 * f64::from(at) / f64::from(of - 1) } else { 0.0 };
    let columns = sheet.columns.max(1);
    format!(
        "background-size:{}% {}%;background-position:{:.4}% {:.4}%",
        u64::from(columns) * 100,
        u64::from(sheet.rows()) * 100,
        shift(tile as u32 % columns, columns),
        shift(tile as u32 / columns, sheet.rows()),
    )
}

/// What all pages share: one file that loads nothing. `version` is that of the selfsame that made
/// it.
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
