//! What is most worth doing now.

use maud::html;

use super::Section;
use crate::Report;
use crate::next::after_run;

pub(super) fn section(report: &Report) -> Option<Section> {
    let steps = after_run(&report.run, report.evaluation.as_ref());
    if steps.is_empty() {
        return None;
    }
    let body = html! {
        ul.notes {
            @for step in steps {
                @let [command, why] = step.in_words("RUN", "DATA");
                li { code { (command) } " – " (why) "." }
            }
        }
        p.quiet { "RUN is the folder of this run, DATA are its images." }
    };
    Some(Section { id: "next", short: "Next", title: "What next", body })
}
