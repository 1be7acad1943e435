//! Charts with several lines, each with its entry in a key.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::chart::{Axis, LEFT, RIGHT, TOP, WIDTH, round};

/// Number of colours that distinguish lines. Further lines start again from the first colour.
pub(super) const COLOURS: usize = 10;
/// Number of consecutive lines with the same dashes: half of the colours, so that similar colours
/// have different dashes.
const DASHED: usize = 5;
/// Height of the plot, in the chart's units.
const HEIGHT: f64 = 190.0;

/// A line of a chart.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Colour and dashes.
    pub(super) style: String,
}

/// How a line goes from one point to the next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// Straight.
    Straight,
    /// As a step, at the next point.
    Steps,
}

/// Several lines over the same axes.
pub(super) struct Lines<'a> {
    pub(super) title: &'a str,
    /// Line below the title that says what is shown.
    pub(super) caption: Markup,
    /// Describes the picture in words, after its title.
    pub(super) alternative: &'a str,
    pub(super) x_label: &'a str,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: &'a [Line],
    /// Places of vertical lines for reference.
    pub(super) marks: &'a [f64],
    pub(super) path: Path,
}

impl Lines<'_> {
    /// Draws the chart with its key.
    pub(super) fn figure(&self) -> Markup {
        let Self { x, y, .. } = self;
        let bottom = TOP + HEIGHT;
        let across = |value: f64| round(x.place(value.clamp(x.low, x.high), LEFT, RIGHT));
        let up = |value: f64| round(y.place(value.clamp(y.low, y.high), bottom, TOP));
        let path = |line: &Line| {
            let mut path = String::new();
            for (at, (px, py)) in line.points.iter().enumerate() {
                let (px, py) = (across(*px), up(*py));
                let _ = match self.path {
                    _ if at == 0 => write!(path, "M{px} {py}"),
                    Path::Straight => write!(path, "L{px} {py}"),
                    Path::Steps => write!(path, "H{px}V{py}"),
                };
            }
            path
        };
        html! {
            figure.chart {
                figcaption { h3 { (self.title) } p { (self.caption) } }
                div {
                    svg viewBox={ "0 0 " (WIDTH) " " (bottom + 36.0) } role="img" aria-label={ (self.title) ": " (self.lines.len()) " " (self.alternative) } {
                        g.axes {
                            @for (at, label) in &y.ticks {
                                line x1=(LEFT) x2=(RIGHT) y1=(up(*at)) y2=(up(*at)) {}
                                text x=(LEFT - 7.0) y=(up(*at) + 4.0) text-anchor="end" { (label) }
                            }
                            @for (at, label) in &x.ticks {
                                line.tick x1=(across(*at)) x2=(across(*at)) y1=(bottom) y2=(bottom + 4.0) {}
                                text x=(across(*at)) y=(bottom + 17.0) text-anchor="middle" { (label) }
                            }
                            text x=(RIGHT) y=(bottom + 32.0) text-anchor="end" { (self.x_label) }
                        }
                        @for mark in self.marks.iter().filter(|mark| (x.low..=x.high).contains(*mark)) {
                            line.reference x1=(across(*mark)) x2=(across(*mark)) y1=(TOP) y2=(bottom) {}
                        }
                        @for line in self.lines.iter().rev() {
                            path.sigma d=(path(line)) style=(line.style) { title { (line.name) } }
                            @if let [(px, py)] = line.points[..] {
                                circle.alone cx=(across(px)) cy=(up(py)) r="3" style=(line.style) { title { (line.name) } }
                            }
                        }
                    }
                    ul.key {
                        @for line in self.lines {
                            li { svg viewBox="0 0 32 10" aria-hidden="true" { path.sigma d="M1 \
                                5H31" style=(line.style) {} } (line.name) }
                        }
                    }
                }
            }
        }
    }
}

/// Returns colour and dashes of the line with this number.
pub(super) fn style(at: usize) -> String {
    let dashes = match at / DASHED {
        0 => String::new(),
        1 => ";stroke-dasharray:6 3".into(),
        more => format!(";stroke-dasharray:{} 2 1.5 2", 2 + 3 * (more - 1)),
    };
    format!("--c:var(--class-{}){dashes}", at % COLOURS)
}
