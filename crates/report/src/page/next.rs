//! What is most worth doing now.

use std::path::Path;

use maud::html;

use super::Section;
use crate::next::after_run;
use crate::record::RunRecord;
use crate::{Report, quoted};

pub(super) fn section(report: &Report) -> Option<Section> {
    let steps = after_run(&report.run, report.evaluation.as_ref());
    if steps.is_empty() {
        return None;
    }
    let places = places(&report.run);
    let [run, data] = places.clone().unwrap_or_else(|| ["RUN", "DATA"].map(str::to_owned));
    let body = html! {
        ul.notes {
            @for step in steps {
                @let [command, why] = step.in_words(&run, &data);
                li { code { (command) } " – " (why) "." }
            }
        }
        @if places.is_none() { p.quiet { "RUN is the folder of this run, DATA are its images." } }
    };
    Some(Section { id: "next", short: "Next", title: "What next", body })
}

/// Returns the folder of the run and its images, as the command that made it names them, if a
/// command did.
fn places(run: &RunRecord) -> Option<[String; 2]> {
    let option = |name: &str| {
        let words = run.command.iter().enumerate();
        let given = |(at, word): (usize, &String)| match word.strip_prefix(name)? {
            "" => run.command.get(at + 1).cloned(),
            value => value.strip_prefix('=').map(str::to_owned),
        };
        words.into_iter().find_map(given)
    };
    let usual = || {
        let stem = Path::new(&run.dataset.name).file_stem()?;
        Path::new("runs").join(stem).to_str().map(str::to_owned)
    };
    // Of a run that began like another, the configuration names the images.
    if run.command.is_empty() || option("--config").is_some() {
        return None;
    }
    let data = option("--data").unwrap_or_else(|| run.dataset.name.clone());
    Some([option("--out").or_else(usual)?, data].map(|place| quoted(&place)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::DatasetRecord;

    fn of(command: &str, name: &str) -> Option<[String; 2]> {
        let command = command.split_whitespace().map(str::to_owned).collect();
        let dataset = DatasetRecord { name: name.to_owned(), ..DatasetRecord::default() };
        places(&RunRecord { command, dataset, ..RunRecord::default() })
    }

    #[test]
    fn places_are_those_of_the_command() {
        let named = |run: &str, data: &str| Some([run, data].map(str::to_owned));
        assert_eq!(of("selfsame study", "glyphs"), named("runs/glyphs", "glyphs"));
        let command = "selfsame study --data my/photos.tar";
        assert_eq!(of(command, "photos.tar"), named("runs/photos", "my/photos.tar"));
        let command = "selfsame pretrain --out=a=b --data x --out-of-date";
        assert_eq!(of(command, "x"), named("'a=b'", "x"));
        assert_eq!(of("selfsame study --config c.toml", "x"), None);
        assert_eq!(of("", "x"), None);
    }
}
