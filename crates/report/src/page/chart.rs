//! Shared parts of charts: axes with readable ticks, and the line chart with its readout.
//!
//! Charts are drawn here rather than by a plotting crate because their colours must be variables of
//! the page's style sheet, so that one picture serves light, dark and print. Plotting crates write
//! fixed colours. A chart is [`WIDTH`] units wide, about a phone's width, so its text stays
//! readable there. Wide screens show two charts side by side.

use std::fmt::Write as _;

use maud::{Markup, html};
use serde::Serialize;

use crate::format;

/// Width of a chart in its own units.
pub(super) const WIDTH: f64 = 360.0;
/// Left edge of the plot. The numbers of the y axis are to the left of it.
pub(super) const LEFT: f64 = 44.0;
pub(super) const RIGHT: f64 = WIDTH - 8.0;
pub(super) const TOP: f64 = 12.0;
const BELOW: f64 = 36.0;

/// Maximum number of points in a line. Longer records are gathered into this many groups.
const MAX_POINTS: usize = 300;
/// Largest magnitude that is drawn. Differences of larger numbers would overflow.
const DRAWABLE: f64 = 1e100;

/// A range of values with the ticks that divide it.
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<(f64, String)>,
    /// Whether equal distances are equal ratios.
    logarithmic: bool,
}

/// Ratio of the ends from which an axis that may be logarithmic is.
const DECADES: f64 = 100.0;

impl Axis {
    /// Fits the axis to the range of the drawable values, with about `wanted` ticks at multiples of
    /// 1, 2 or 5. Returns `None` if no value is drawable.
    pub(super) fn fit(values: &mut dyn Iterator<Item = f64>, wanted: usize) -> Option<Self> {
        let drawable = values.filter(|value| value.abs() < DRAWABLE);
        let (low, high) =
            drawable.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            return None;
        }
        // A flat line gets room around it, so that it is in the middle.
        let room = if low == 0.0 { 1.0 } else { low.abs() / 2.0 };
        let flat = high - low <= 1e-9 * low.abs().max(high.abs()).max(1e-100);
        let (low, high) = if flat { (low - room, high + room) } else { (low, high) };

        let rough = (high - low) / wanted.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|multiple| multiple * power);
        let off = |step: &f64| ((high - low) / step - wanted as f64).abs();
        let step = steps.into_iter().min_by(|a, b| off(a).total_cmp(&off(b))).unwrap_or(rough);
        let exponents = !(1e-3..1e6).contains(&low.abs().max(high.abs()));
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        // An end that coincides with a tick may differ from it by a rounding error.
        let (first, last) =
            ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        let ticks = (first..=last).take(2 * wanted + 2);
        let ticks = ticks
            .map(|k| k as f64 * step)
            .map(|at| (at, tick_label(at, decimals, exponents)))
            .collect();
        Some(Self { low, high, ticks, logarithmic: false })
    }

    /// Fits the axis like [`fit`](Self::fit), but makes it logarithmic if all values are above 0 and
    /// they span decades. Its ticks are then 1, 2 and 5 times powers of ten, or powers of ten alone.
    pub(super) fn decades(values: &mut dyn Iterator<Item = f64>, wanted: usize) -> Option<Self> {
        let values: Vec<f64> = values.filter(|value| value.abs() < DRAWABLE).collect();
        let (low, high) =
            values.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), &v| (l.min(v), h.max(v)));
        if low <= 0.0 || high / low < DECADES {
            return Self::fit(&mut values.into_iter(), wanted);
        }
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let multiples: &[f64] = if last - first > 3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let apart = ((last - first) as usize / (2 * wanted.max(1))).max(1);
        let powers = (first..=last).step_by(apart);
        let ticks = powers.flat_map(|power| multiples.iter().map(move |m| (*m, power)));
        let tick = |(multiple, power): (f64, i32)| {
            let at = multiple * 10.0_f64.powi(power);
            (at, tick_label(at, (-power).max(0) as usize, !(-3..6).contains(&power)))
        };
        let inside =
            |(at, _): &(f64, String)| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(at);
        let ticks = ticks.map(tick).filter(inside).collect();
        Some(Self { low, high, ticks, logarithmic: true })
    }

    /// Fits the axis to proportions, labelled in percent.
    pub(super) fn percent(shares: &mut dyn Iterator<Item = f64>, wanted: usize) -> Option<Self> {
        let axis = Self::fit(&mut shares.map(|share| 100.0 * share), wanted)?;
        let ticks = axis.ticks.into_iter().map(|(at, label)| (at / 100.0, label + "%")).collect();
        Some(Self { low: axis.low / 100.0, high: axis.high / 100.0, ticks, logarithmic: false })
    }

    /// Returns an axis for proportions from 0 to 1, labelled in percent.
    pub(super) fn shares() -> Self {
        let ticks =
            [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (share, format!("{:.0}%", 100.0 * share)));
        Self { low: 0.0, high: 1.0, ticks: ticks.into(), logarithmic: false }
    }

    /// Maps a value to a position between `from` and `to`.
    pub(super) fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        let share = match self.logarithmic {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        from + share * (to - from)
    }
}

/// A dot of a [`scatter`].
pub(super) struct Dot<'a> {
    pub(super) x: f64,
    pub(super) y: f64,
    /// Text that appears when the pointer is on the dot.
    pub(super) title: String,
    /// Label next to the dot.
    pub(super) label: Option<&'a str>,
}

/// What the vertical axis of a [`scatter`] shows.
#[derive(Clone, Copy)]
pub(super) enum Scale {
    /// Numbers.
    Plain,
    /// Proportions, labelled in percent.
    Percent,
}

/// Draws dots over two axes. `across` names the horizontal axis.
pub(super) fn scatter(
    heading: Markup,
    alternative: &str,
    across: &str,
    dots: &[Dot<'_>],
    scale: Scale,
) -> Markup {
    const HEIGHT: f64 = 170.0;
    const LEFT: f64 = 48.0;
    let heights = &mut dots.iter().map(|dot| dot.y);
    let y = match scale {
        Scale::Plain => Axis::fit(heights, 4),
        Scale::Percent => Axis::percent(heights, 4),
    };
    let (Some(x), Some(y)) = (Axis::fit(&mut dots.iter().map(|dot| dot.x), 4), y) else {
        return html! {};
    };
    // Labels need room to the right of the last dot.
    let right = if dots.iter().any(|dot| dot.label.is_some()) { 34.0 } else { 14.0 };
    let place = |value: f64| round(x.place(value.clamp(x.low, x.high), LEFT + 6.0, WIDTH - right));
    let up = |value: f64| round(y.place(value.clamp(y.low, y.high), HEIGHT - 4.0, 16.0));
    let at: Vec<[f64; 2]> = dots.iter().map(|dot| [place(dot.x), up(dot.y)]).collect();
    let labels = labels(&at, &dots.iter().map(|dot| dot.label).collect::<Vec<_>>());
    html! {
        figure.chart {
            figcaption { (heading) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT + 38.0) } role="img" aria-label=(alternative) {
                g.axes {
                    @for (at, label) in &y.ticks {
                        line x1=(LEFT) x2=(WIDTH - 8.0) y1=(up(*at)) y2=(up(*at)) {}
                        text x=(LEFT - 6.0) y=(up(*at) + 4.0) text-anchor="end" { (label) }
                    }
                    @for (at, label) in &x.ticks { text x=(place(*at)) y=(HEIGHT + 17.0) text-anchor="middle" { (label) } }
                    text x=(WIDTH - 8.0) y=(HEIGHT + 33.0) text-anchor="end" { (across) }
                }
                @for (dot, [x, y]) in dots.iter().zip(&at) {
                    circle.dot cx=(x) cy=(y) r="4" { title { (dot.title) } }
                }
                @for (label, Place { x, y, anchor, .. }) in &labels { text x=(x) y=(y) text-anchor=(anchor) { (label) } }
            }
        }
    }
}

/// Position of a label.
struct Place {
    x: f64,
    y: f64,
    anchor: &'static str,
    /// Area that the label covers: left, top, right and bottom.
    area: [f64; 4],
}

/// Places labels next to their dots. If possible, a label covers neither a dot nor an earlier
/// label.
fn labels<'a>(dots: &[[f64; 2]], labels: &[Option<&'a str>]) -> Vec<(&'a str, Place)> {
    const LETTER: f64 = 6.5;
    const HEIGHT: f64 = 11.0;
    /// SVG's name for the anchor of a label, and the fraction of the label's width to the left of
    /// it.
    const START: (&str, f64) = ("start", 0.0);
    const MIDDLE: (&str, f64) = ("middle", 0.5);
    const END: (&str, f64) = ("end", 1.0);
    /// Offset from the dot to the label's anchor.
    const SPOTS: [(f64, f64, (&str, f64)); 8] = [
        (7.0, 4.0, START),
        (-7.0, 4.0, END),
        (5.0, -6.0, START),
        (5.0, 15.0, START),
        (-5.0, -6.0, END),
        (-5.0, 15.0, END),
        (0.0, -8.0, MIDDLE),
        (0.0, 17.0, MIDDLE),
    ];
    let mut taken: Vec<[f64; 4]> =
        dots.iter().map(|[x, y]| [x - 4.0, y - 4.0, x + 4.0, y + 4.0]).collect();
    let mut placed = Vec::new();
    for ([x, y], label) in dots.iter().zip(labels) {
        let Some(label) = label else { continue };
        let width = LETTER * label.chars().count() as f64;
        let spot = |(right, down, (anchor, left_share)): (f64, f64, (&'static str, f64))| {
            let (x, y) = (round(x + right), round(y + down));
            let left = x - left_share * width;
            Place { x, y, anchor, area: [left, y - HEIGHT + 2.0, left + width, y + 2.0] }
        };
        let free = |Place { area, .. }: &Place| {
            let inside = area[0] >= 0.0 && area[2] <= WIDTH && area[1] >= 0.0;
            inside
                && !taken
                    .iter()
                    .any(|t| area[0] < t[2] && t[0] < area[2] && area[1] < t[3] && t[1] < area[3])
        };
        let place = SPOTS.into_iter().map(spot).find(free).unwrap_or_else(|| spot(SPOTS[0]));
        taken.push(place.area);
        placed.push((*label, place));
    }
    placed
}

/// Formats a tick. `decimals` are enough to distinguish neighbouring ticks; very small and very
/// large ranges are written with exponents.
fn tick_label(at: f64, decimals: usize, exponents: bool) -> String {
    if at == 0.0 && exponents {
        return "0".into();
    }
    if exponents {
        let text = format!("{:.6e}", at.abs());
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let sign = if at < 0.0 { "−" } else { "" };
        return format!("{sign}{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    format::signed(at, decimals)
}

/// A horizontal line for comparison.
pub(super) struct Reference {
    pub(super) at: f64,
    pub(super) label: String,
}

/// One quantity over the course of training.
pub(super) struct LineChart<'a> {
    pub(super) title: &'a str,
    /// Line below the title that says what is shown.
    pub(super) caption: Markup,
    pub(super) x_label: &'a str,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Points (x, y) with ascending x. A y that is NaN makes a gap.
    pub(super) points: &'a [(f64, f64)],
    /// Describes a point in words, for the readout.
    pub(super) readout: &'a dyn Fn(f64, f64) -> String,
    /// Whether each measurement is drawn as a dot.
    pub(super) dots: bool,
    pub(super) reference: Option<Reference>,
    /// Height of the plot in the chart's units.
    pub(super) height: f64,
}

/// Data that the script needs for the readout: positions in the chart's units, and words.
#[derive(Serialize)]
struct Readout {
    places: Vec<(f64, f64)>,
    words: Vec<String>,
}

impl LineChart<'_> {
    /// Draws the chart with title, caption and readout.
    pub(super) fn figure(&self) -> Markup {
        let bottom = TOP + self.height;
        let groups = gather(self.points);
        let place = |x: f64, y: f64| {
            let across = self.x.place(x, LEFT, RIGHT);
            let up = self.y.place(y.clamp(self.y.low, self.y.high), bottom, TOP);
            (round(across), round(up))
        };
        let drawn: Vec<&Group> = groups.iter().flatten().collect();
        let readout = Readout {
            places: drawn.iter().map(|group| place(group.x, group.mean)).collect(),
            words: drawn.iter().map(|group| (self.readout)(group.x, group.mean)).collect(),
        };
        let end = self.points.iter().rev().find(|(x, y)| x.abs() < DRAWABLE && y.abs() < DRAWABLE);
        let last = end.map(|&(x, y)| (self.readout)(x, y)).unwrap_or_default();

        html! {
            figure.chart {
                figcaption {
                    h3 { (self.title) }
                    p { (self.caption) }
                }
                div.plot {
                    svg viewBox={ "0 0 " (WIDTH) " " (bottom + BELOW) } role="img"
                        aria-label={ (self.title) ", " (drawn.len()) " points; the \
                            last: " (last) } {
                        (self.axes(bottom))
                        @if group_size(self.points.len()) > 1 { path.band d=(band(&groups, &place)) {} }
                        path.line d=(line(&groups, &place)) {}
                        @if self.dots && drawn.len() <= 60 {
                            @for (x, y) in &readout.places { circle.dot cx=(x) cy=(y) r="3" {} }
                        } @else if let [(x, y)] = readout.places[..] {
                            circle.dot cx=(x) cy=(y) r="3" {}
                        }
                        @if let Some(reference) = &self.reference {
                            @let (_, y) = place(self.x.low, reference.at);
                            line.reference x1=(LEFT) x2=(RIGHT) y1=(y) y2=(y) {}
                            text.reference x=(RIGHT) y=(y - 5.0) text-anchor="end" { (reference.label) }
                        }
                        g.cursor hidden { line y1=(TOP) y2=(bottom) {} circle r="4.5" {} }
                    }
                    p.readout { (last) }
                }
                script type="application/json" { (format::script(&readout)) }
            }
        }
    }

    fn axes(&self, bottom: f64) -> Markup {
        html! {
            g.axes {
                @for (at, label) in &self.y.ticks {
                    @let y = round(self.y.place(*at, bottom, TOP));
                    line x1=(LEFT) x2=(RIGHT) y1=(y) y2=(y) {}
                    text x=(LEFT - 7.0) y=(y + 4.0) text-anchor="end" { (label) }
                }
                @for (at, label) in &self.x.ticks {
                    @let x = round(self.x.place(*at, LEFT, RIGHT));
                    line.tick x1=(x) x2=(x) y1=(bottom) y2=(bottom + 4.0) {}
                    text x=(x) y=(bottom + 17.0) text-anchor="middle" { (label) }
                }
                text x=(RIGHT) y=(bottom + 32.0) text-anchor="end" { (self.x_label) }
            }
        }
    }
}

/// Neighbouring points merged into one.
struct Group {
    x: f64,
    mean: f64,
    low: f64,
    high: f64,
}

/// Returns the number of points per group for a line with `points` points.
pub(super) fn group_size(points: usize) -> usize {
    points.div_ceil(MAX_POINTS).max(1)
}

/// Gathers points into at most [`MAX_POINTS`] groups of neighbours. A group without a drawable
/// value is a gap.
fn gather(points: &[(f64, f64)]) -> Vec<Option<Group>> {
    let group = |chunk: &[(f64, f64)]| {
        let drawable: Vec<_> = chunk
            .iter()
            .filter(|(x, y)| x.abs() < DRAWABLE && y.abs() < DRAWABLE)
            .copied()
            .collect();
        let n = drawable.len() as f64;
        (!drawable.is_empty()).then(|| Group {
            x: drawable.iter().map(|(x, _)| x / n).sum(),
            mean: drawable.iter().map(|(_, y)| y / n).sum(),
            low: drawable.iter().map(|p| p.1).fold(f64::INFINITY, f64::min),
            high: drawable.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max),
        })
    };
    points.chunks(group_size(points.len())).map(group).collect()
}

fn line(groups: &[Option<Group>], place: &dyn Fn(f64, f64) -> (f64, f64)) -> String {
    let mut path = String::new();
    let mut pen = 'M';
    for group in groups {
        let Some(group) = group else {
            pen = 'M';
            continue;
        };
        let (x, y) = place(group.x, group.mean);
        let _ = write!(path, "{pen}{x} {y}");
        pen = 'L';
    }
    path
}

/// Draws the area between the smallest and the largest value of each group.
fn band(groups: &[Option<Group>], place: &dyn Fn(f64, f64) -> (f64, f64)) -> String {
    let mut path = String::new();
    for run in groups.split(Option::is_none) {
        let run: Vec<&Group> = run.iter().flatten().collect();
        let upper = run.iter().map(|group| place(group.x, group.high));
        let lower = run.iter().rev().map(|group| place(group.x, group.low));
        for (i, (x, y)) in upper.chain(lower).enumerate() {
            let _ = write!(path, "{}{x} {y}", if i == 0 { 'M' } else { 'L' });
        }
        path.push_str(if run.is_empty() { "" } else { "Z" });
    }
    path
}

/// Draws a value and its interval on a scale from `least` to `most`, beyond which nothing goes.
/// Draws nothing where a number is missing or the scale has no extent.
pub(super) fn whisker(value: f64, [low, high]: [f64; 2], [least, most]: [f64; 2]) -> Markup {
    if ![value, low, high, least, most].iter().all(|number| number.is_finite()) || most <= least {
        return html! {};
    }
    let at = |value: f64| round(4.0 + 112.0 * (value.clamp(least, most) - least) / (most - least));
    html! {
        svg.whisker viewBox="0 0 120 12" aria-hidden="true" {
            path.zero d={ "M" (at(0.0)) " 0V12" } {}
            path d={ "M" (at(low)) " 6H" (at(high)) } {}
            circle cx=(at(value)) cy="6" r="3.5" {}
        }
    }
}

/// Shortens a name to what has room beside a heat map.
pub(super) fn short(name: &str) -> String {
    let cut: String = name.chars().take(13).collect();
    if cut.len() < name.len() { cut + "…" } else { cut }
}

/// Rounds to a tenth of a unit, which is finer than any screen shows and keeps the page small.
pub(super) fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_are_round_numbers() {
        let labels = |values: &[f64]| {
            let axis = Axis::fit(&mut values.iter().copied(), 5).unwrap();
            axis.ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>()
        };
        assert_eq!(labels(&[0.0, 20.0]), ["0", "5", "10", "15", "20"]);
        assert_eq!(labels(&[4.81, 6.93]), ["5.0", "5.5", "6.0", "6.5"]);
        assert_eq!(labels(&[-0.1, 0.1]), ["−0.10", "−0.05", "0.00", "0.05", "0.10"]);
        assert_eq!(labels(&[0.0, 3e-4]), ["0", "5e-5", "1e-4", "1.5e-4", "2e-4", "2.5e-4", "3e-4"]);
        assert!(Axis::fit(&mut [f64::NAN, f64::INFINITY].into_iter(), 5).is_none());
    }

    #[test]
    fn logarithmic_axes_have_round_ticks() {
        let labels = |values: &[f64]| {
            let axis = Axis::decades(&mut values.iter().copied(), 5).unwrap();
            axis.ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>()
        };
        assert_eq!(labels(&[0.8, 90.0]), ["1", "2", "5", "10", "20", "50"]);
        assert_eq!(labels(&[0.03, 700.0]), ["0.1", "1", "10", "100"]);
        assert_eq!(labels(&[1e-5, 1.0]), ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]);
        // Values that span less, or that are not all above 0, keep an axis of equal steps.
        assert_eq!(labels(&[1.0, 90.0]), ["20", "40", "60", "80"]);
        assert_eq!(labels(&[0.0, 1000.0]), ["0", "200", "400", "600", "800", "1000"]);
        let axis = Axis::decades(&mut [0.1, 1000.0].into_iter(), 5).unwrap();
        assert_eq!(axis.place(10.0, 0.0, 100.0), 50.0);
    }

    #[test]
    fn neighbouring_percentages_have_different_ticks() {
        let axis = Axis::percent(&mut [0.170, 0.171].into_iter(), 4).unwrap();
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| &**label).collect();
        assert_eq!(labels, ["17.00%", "17.02%", "17.04%", "17.06%", "17.08%", "17.10%"]);
        assert!((axis.low, axis.high) == (0.170, 0.171), "{} to {}", axis.low, axis.high);
    }

    #[test]
    fn labels_of_neighbours_stand_apart() {
        let dots = [[100.0, 50.0], [101.0, 52.0], [103.0, 49.0], [250.0, 60.0]];
        let placed = labels(&dots, &[Some("c, d"), Some("d, e"), Some("b, d"), Some("a, b")]);
        assert_eq!(
            placed.iter().map(|(label, _)| *label).collect::<Vec<_>>(),
            ["c, d", "d, e", "b, d", "a, b"]
        );
        // Four letters are 26 units wide and ten high.
        let left_width = |place: &Place| match place.anchor {
            "end" => 26.0,
            "middle" => 13.0,
            _ => 0.0,
        };
        let left = |place: &Place| place.x - left_width(place);
        for (at, (_, one)) in placed.iter().enumerate() {
            for (_, other) in &placed[..at] {
                let apart =
                    (left(one) - left(other)).abs() >= 26.0 || (one.y - other.y).abs() >= 10.0;
                assert!(apart, "({}, {}) and ({}, {})", one.x, one.y, other.x, other.y);
            }
        }
        // A label without neighbours keeps its default position.
        assert_eq!((placed[3].1.x, placed[3].1.y, placed[3].1.anchor), (257.0, 64.0, "start"));
    }

    #[test]
    fn gaps_stay_gaps() {
        let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0)];
        let groups = gather(&points);
        assert_eq!(line(&groups, &|x, y| (x, y)), "M0 1M2 3");
    }

    #[test]
    fn groups_keep_extremes() {
        let points: Vec<(f64, f64)> =
            (0..100_000).map(|i| (i as f64, if i == 777 { 9.0 } else { 1.0 })).collect();
        let groups = gather(&points);
        assert!(groups.len() <= MAX_POINTS);
        assert_eq!(groups.iter().flatten().map(|group| group.high).fold(0.0, f64::max), 9.0);
    }

    proptest! {
        #[test]
        fn any_values_get_a_finite_axis(values in prop::collection::vec(any::<f64>(), 1..20)) {
            if let Some(axis) = Axis::fit(&mut values.iter().copied(), 5) {
                prop_assert!(axis.low < axis.high && axis.ticks.len() <= 12);
                for value in values.iter().filter(|value| value.abs() < DRAWABLE) {
                    let place = axis.place(*value, 0.0, 1.0);
                    prop_assert!((-1e-9..=1.0 + 1e-9).contains(&place), "{value} at {place}");
                }
                for (at, _) in &axis.ticks {
                    prop_assert!((-1e-6..=1.0 + 1e-6).contains(&axis.place(*at, 0.0, 1.0)));
                }
            }
        }
    }
}
