//! What is most worth doing now.

use maud::html;

use super::Section;
use crate::Report;
use crate::next::{Next, after_run, places};

/// Lists the steps after a run.
pub(super) fn of_run(report: &Report) -> Option<Section> {
    let places = places(&report.run);
    let known = places.is_some();
    let [run, data] = places.unwrap_or_else(|| ["RUN", "DATA"].map(str::to_owned));
    let mut section = section(&after_run(&report.run, report.evaluation.as_ref(), &run, &data))?;
    if !known {
        let body = section.body;
        section.body = html! {
            (body)
            p.quiet { "RUN is the folder of this run, DATA are its images." }
        };
    }
    Some(section)
}

/// Lists steps. Returns `None` if there are none.
pub(super) fn section(steps: &[Next]) -> Option<Section> {
    if steps.is_empty() {
        return None;
    }
    let body = html! {
        ul.notes {
            @for Next { command, why } in steps { li { code { (command) } " – " (why) "." } }
        }
    };
    Some(Section { id: "next", short: "Next", title: "What next", body })
}
