//! The page of a roofline: plots operations by their operations per byte and per second, under the
//! limits of the machine.

use maud::{Markup, html};

use super::chart::{WIDTH, round};
use super::{Section, document, protocol};
use crate::format::{counted, percent};
use crate::roofline::{Operation, Roofline};

/// Draws a roofline as one HTML page.
pub fn render_roofline(roofline: &Roofline) -> String {
    let sections = [picture(roofline), table(roofline), again(roofline)];
    document("Roofline", &roofline.selfsame, header(roofline), &sections, None)
}

fn header(roofline: &Roofline) -> Markup {
    let milliseconds = |seconds: f64| format!("{:.0} ms", 1e3 * seconds);
    html! {
        p.eyebrow { (roofline.subject) }
        h1.verdict { "A step of " (counted(roofline.views, "view", "views")) " \
            takes " strong.trained { (milliseconds(roofline.step_seconds)) } "; its operations \
                could take " strong { (milliseconds(roofline.least())) } "." }
        p.judgement {
            (roofline.machine) ", " (counted(roofline.threads, "thread", "threads")) ", " (roofline.isa) ": at best "
            (rate(roofline.peak_operations)) "FLOP/s from registers, \
                                              and " (rate(roofline.peak_bytes)) "B/s from memory \
                                                  to memory. "
            "Measured one by one, the operations below take " (milliseconds(roofline.sum())) "; \
                what a step takes beyond is everything else: views, heads, loss, and passing \
                things on."
        }
    }
}

/// Formats a rate with three digits and a prefix: `1.23 T`.
fn rate(value: f64) -> String {
    let (scaled, prefix) = match value {
        v if v >= 1e12 => (v / 1e12, "T"),
        v if v >= 1e9 => (v / 1e9, "G"),
        v => (v / 1e6, "M"),
    };
    format!("{scaled:.2} {prefix}")
}

fn picture(roofline: &Roofline) -> Section {
    const LEFT: f64 = 56.0;
    const HEIGHT: f64 = 250.0;
    let drawable = |operation: &&Operation| {
        operation.seconds > 0.0 && operation.operations > 0.0 && operation.bytes > 0.0
    };
    let operations: Vec<&Operation> = roofline.operations.iter().filter(drawable).collect();
    let ends = |values: Vec<f64>| {
        let (low, high) = values
            .iter()
            .fold((f64::INFINITY, 0.0_f64), |(low, high), &v| (low.min(v), high.max(v)));
        (low.log10().floor() as i32, high.log10().ceil() as i32)
    };
    let attained = |operation: &Operation| operation.operations / operation.seconds;
    let ridge = roofline.peak_operations / roofline.peak_bytes;
    let across = ends(operations.iter().map(|o| o.intensity()).chain([ridge]).collect());
    let up =
        ends(operations.iter().map(|o| attained(o)).chain([roofline.peak_operations]).collect());
    let x = |value: f64| {
        let share = (value.log10() - f64::from(across.0)) / f64::from((across.1 - across.0).max(1));
        round(LEFT + share * (WIDTH - 12.0 - LEFT))
    };
    let y = |value: f64| {
        let share = (value.log10() - f64::from(up.0)) / f64::from((up.1 - up.0).max(1));
        round(HEIGHT - share * (HEIGHT - 12.0))
    };
    // The slope enters the picture at its left edge or at its lower edge.
    let first = 10_f64.powi(across.0).max(10_f64.powi(up.0) / roofline.peak_bytes);
    let roof = format!(
        "M{} {}L{} {}H{}",
        x(first),
        y(first * roofline.peak_bytes),
        x(ridge),
        y(roofline.peak_operations),
        round(WIDTH - 12.0)
    );
    let body = html! {
        p.lead { "Each dot is an operation: to the right it computes more for every byte it must \
                  move, higher up it computes faster. The line is what the machine can do: memory \
                  on the slope, arithmetic on the flat." }
        figure.chart.roofline {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT + 36.0) } role="img" aria-label="Operations \
                under the roofline" {
                g.axes {
                    @for power in up.0..=up.1 {
                        @let value = 10_f64.powi(power);
                        line x1=(LEFT) x2=(WIDTH - 12.0) y1=(y(value)) y2=(y(value)) {}
                        text x=(LEFT - 5.0) y=(y(value) + 4.0) text-anchor="end" { (rate(value).replace(".00", "")) }
                    }
                    @for power in across.0..=across.1 {
                        @let value = 10_f64.powi(power);
                        text x=(x(value)) y=(HEIGHT + 16.0) text-anchor="middle" { (value) }
                    }
                    text x=(round((LEFT + WIDTH) / 2.0)) y=(HEIGHT + 32.0) text-anchor="middle" { "FLOP a byte; upward FLOP/s" }
                }
                path.line d=(roof) {}
                @for operation in &operations {
                    circle.dot cx=(x(operation.intensity())) cy=(y(attained(operation))) r="4" { title { (operation.name) ": " (rate(attained(operation))) "FLOP/s" } }
                }
            }
        }
    };
    Section { id: "picture", short: "Picture", title: "Under the roof", body }
}

fn table(roofline: &Roofline) -> Section {
    let body = html! {
        div.scroll.card tabindex="0" role="region" aria-label="Table of operations" {
            table {
                thead { tr { @for head in ["Operation", "Times", "ms a \
                    step", "FLOP/s", "B/s", "Limit", "Of the \
                                                      limit"] { th scope="col" { (head) } } } }
                tbody {
                    @for operation in &roofline.operations {
                        @let (least, memory) = roofline.limit(operation);
                        tr {
                            th scope="row" { (operation.name) }
                            td { (operation.times) }
                            td { (format!("{:.1}", 1e3 * operation.times as f64 * operation.seconds)) }
                            td { (rate(operation.operations / operation.seconds)) }
                            td { (rate(operation.bytes / operation.seconds)) }
                            td { @if memory { "memory" } @else { "compute" } }
                            td { (percent(least / operation.seconds)) }
                        }
                    }
                }
            }
        }
        p.quiet { "Bytes are what an operation reads and writes, each once: what it moves more \
                   often, because a cache is too small, is its own loss, and what stays in one \
                   may come faster than memory gives it." }
    };
    Section { id: "operations", short: "Operations", title: "Operation by operation", body }
}

fn again(roofline: &Roofline) -> Section {
    let body = html! {
        p.lead { "Medians of several rounds; other work on the machine makes them worse, never \
                  better." }
        (protocol::command(&roofline.command))
    };
    Section { id: "protocol", short: "Protocol", title: "How to do it again", body }
}
