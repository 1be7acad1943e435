//! The contact sheet: images and their augmented views, which the encoder was trained to see as
//! equal.

use maud::html;

use super::{Section, tile};
use crate::Report;

/// Maximum number of rows and columns that are shown; nobody looks at more.
const MAX_ROWS: u32 = 12;
const MAX_COLUMNS: u32 = 13;

pub(super) fn section(report: &Report) -> Option<Section> {
    let views = report.views.as_ref()?;
    let sheet = &views.sheet;
    let rows = sheet.rows().min(MAX_ROWS);
    let columns = sheet.columns.min(MAX_COLUMNS);
    let body = html! {
        p.lead {
            "The first picture of each row is an image as it is; the others are views of it, \
             changed at random"
            @if !report.run.augment.is_empty() { " by the \
                                                  augmentation " code { (report.run.augment) } }
            ". Training asked for one answer to a whole row and different answers to different \
             rows, so whatever these changes destroy, the encoder learns to ignore."
        }
        div.sheet style={ "--sheet:url(" (sheet.data_uri()) ");--columns:" (columns) ";--tile:" (sheet.width) "px" }
            role="img" aria-label={ (rows) " images, each followed \
                                            by " (columns.saturating_sub(1)) " augmented views of \
                                                it" } {
            span.head { "image" }
            @if columns > 1 { span.head.rest { "views" } }
            @for row in 0..rows {
                @let name = views.names.get(row as usize).map_or("", String::as_str);
                @for column in 0..columns {
                    @let at = row * sheet.columns + column;
                    @if at < sheet.tiles {
                        i.original[column == 0] style=(tile(sheet, at as usize)) title=(name) {}
                    } @else { i {} }
                }
            }
        }
    };
    Some(Section {
        id: "views",
        short: "Views",
        title: "What it was asked to see as the same",
        body,
    })
}
