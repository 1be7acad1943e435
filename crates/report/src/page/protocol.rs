//! Everything needed to repeat the run.

use maud::{Markup, html};

use super::Section;
use super::headline::method_name;
use crate::format::{count, duration};
use crate::{Report, quoted};

pub(super) fn section(report: &Report) -> Option<Section> {
    let run = &report.run;
    // An encoder from elsewhere was measured and not trained.
    let of_training = |value: String| if run.epochs > 0 { value } else { String::new() };
    let mut rows: Vec<(&str, String)> = vec![
        ("Method", of_training(method_name(&run.method).into())),
        ("Encoder", run.encoder.name.clone()),
        ("Parameters", count(run.encoder.parameters)),
        ("Representation", format!("{} numbers an image", count(run.encoder.dimension))),
        ("Augmentation", run.augment.clone()),
        ("Epochs", of_training(count(run.epochs))),
        ("Batch", of_training(format!("{} images, two views each", count(run.batch)))),
        ("Seed", run.seed.to_string()),
        ("Device", run.device.clone()),
        ("Started", run.started.clone()),
        ("Training took", of_training(duration(run.seconds))),
        ("selfsame", run.selfsame.clone()),
        ("Burn", run.burn.clone()),
    ];
    let evaluation = report.evaluation.iter().flat_map(|evaluation| &evaluation.protocol);
    rows.extend(
        run.protocol.iter().chain(evaluation).map(|(name, value)| (name.as_str(), value.clone())),
    );

    let body = html! {
        p.lead { "What it takes to do this again and get the same numbers." }
        @if !run.command.is_empty() { (command(&run.command)) }
        details {
            summary { "All settings and versions" }
            table.protocol {
                tbody { @for (name, value) in &rows { @if !value.is_empty() { tr { th scope="row" { (name) } td { (value) } } } } }
            }
        }
        @if !run.policy.is_empty() {
            details { summary { "The augmentation in full \
                                 (TOML)" } pre tabindex="0" { code { (run.policy) } } }
        }
    };
    Some(Section { id: "protocol", short: "Protocol", title: "How to do it again", body })
}

/// Draws a command to be copied, with its words quoted for a shell.
pub(super) fn command(words: &[String]) -> Markup {
    let line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    html! { pre.command tabindex="0" { code { (line) } } }
}
