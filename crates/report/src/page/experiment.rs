//! The page of an experiment: what became of its claims, its tables beside the published ones, and maps.

use maud::{Markup, html};

use super::chart::{Axis, Dot, WIDTH, round, scatter};
use super::format::{NONE, counted, duration};
use super::{Section, document, map, protocol};
use crate::experiment::{Experiment, Figure, ResultColumn, ResultRow, ResultTable, published_text};

/// Draws an experiment as one HTML page. Works for one that is under way: what is not there yet is left out.
pub fn render_experiment(experiment: &Experiment) -> String {
    let mut sections: Vec<Section> = Vec::new();
    for (at, table) in experiment.tables.iter().enumerate() {
        sections.push(results(table, at));
    }
    sections.extend(maps(experiment));
    sections.push(again(experiment));
    document(&experiment.title, &experiment.selfsame, header(experiment), &sections, None)
}

fn header(experiment: &Experiment) -> Markup {
    let findings: Vec<_> = experiment.tables.iter().flat_map(|table| &table.findings).collect();
    html! {
        p.eyebrow { (experiment.title) }
        @match findings.as_slice() {
            [] => h1.verdict { (counted(experiment.done, "run", "runs")) @if experiment.done < experiment.runs { " of " (experiment.runs) } "." },
            findings => {
                @for (at, finding) in findings.iter().enumerate() {
                    @if at == 0 { h1.verdict { (finding.claim) ": " strong.trained { "holds in " (finding.holds) " of " (finding.of) } "." } }
                    @else { p.judgement { (finding.claim) ": " strong { "holds in " (finding.holds) " of " (finding.of) } "." } }
                }
            }
        }
        p.judgement { (experiment.about) }
        @if experiment.done < experiment.runs {
            p.warning role="note" { (experiment.done) " of " (counted(experiment.runs, "run is", "runs are")) " complete; the same command goes on." }
        }
    }
}

/// Anchors of the tables.
const ANCHORS: [&str; 4] = ["results", "results-2", "results-3", "results-4"];

fn results(table: &ResultTable, at: usize) -> Section {
    let drawn: Vec<usize> = (0..table.columns.len()).filter(|&at| table.columns[at].drawn).collect();
    let figures: Vec<&Figure> = drawn.iter().flat_map(|&at| own(table, at)).collect();
    let ends = |figure: &&Figure| [-1.0, 1.0].map(|side| figure.mean + side * figure.half.unwrap_or(0.0));
    let theirs = Axis::fit(figures.iter().filter_map(|figure| figure.published).map(|published| published.0), 3);
    let axes =
        Axis::fit(figures.iter().flat_map(ends), if theirs.is_some() { 3 } else { 5 }).map(|ours| (ours, theirs));
    let published = axes.as_ref().is_some_and(|(_, theirs)| theirs.is_some());
    let body = html! {
        @if !table.name.is_empty() { p.lead { "Images: " (table.name) ". Means over seeds; the line through a dot is its 95% interval." @if published { " Hollow, with an axis of their own: the published figures." } } }
        @else { p.lead { "Means over seeds; the line through a dot is its 95% interval." } }
        @if let Some((ours, theirs)) = &axes {
            div.scatters {
                @for &at in &drawn { (dots(&table.columns[at], &table.rows, at, ours, theirs.as_ref())) }
                @for &at in &drawn { @if table.columns[at].agreement.is_some() && !published { (against_first(table, &drawn, at)) } }
            }
        }
        div.scroll.card.results-table tabindex="0" role="region" aria-label="Table of results" { (grid(table)) }
        @if let Some(source) = &table.source { p.quiet { "Small: the published figure. " (source) "." } }
        @if !table.findings.is_empty() {
            ul.ledger {
                @for finding in &table.findings {
                    li {
                        @if finding.of == 0 { span.state { "open" } }
                        @else if finding.holds == finding.of { span.state.holds { "holds" } }
                        @else if finding.holds == 0 { span.state.fails { "does not hold" } }
                        @else { span.state { "holds in " (finding.holds) " of " (finding.of) } }
                        div { b { (finding.claim) } p { (finding.verdict) "." } }
                    }
                }
            }
        }
        @for agreement in table.columns.iter().filter_map(ResultColumn::agreement) { p.quiet { (agreement) } }
    };
    let title = "What came out";
    Section { id: ANCHORS[at.min(ANCHORS.len() - 1)], short: "Results", title, body }
}

fn own(table: &ResultTable, column: usize) -> impl Iterator<Item = &Figure> {
    table.rows.iter().filter_map(move |row| row.figures.get(column)?.as_ref())
}

/// The rows of a column as dots, each with its interval; to the right of them, where there are any, the published ones.
fn dots(column: &ResultColumn, rows: &[ResultRow], at: usize, ours: &Axis, theirs: Option<&Axis>) -> Markup {
    const STEP: f64 = 22.0;
    const LETTER: f64 = 5.6;
    let longest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let left = (12.0 + LETTER * longest as f64).clamp(40.0, 0.4 * WIDTH);
    let bottom = 8.0 + STEP * rows.len() as f64;
    let end = if theirs.is_some() { left + 0.54 * (WIDTH - left) } else { WIDTH };
    let own = |value: f64| round(ours.place(value, left + 12.0, end - 14.0));
    let other = |axis: &Axis, value: f64| round(axis.place(value, end + 12.0, WIDTH - 14.0));
    let name = |name: &str| match ((left - 12.0) / LETTER) as usize {
        fits if name.chars().count() > fits => name.chars().take(fits.saturating_sub(1)).chain(['…']).collect(),
        _ => name.to_owned(),
    };
    let ticks = |axis: &Axis, across: &dyn Fn(f64) -> f64| {
        html! {
            @for (tick, label) in &axis.ticks {
                line x1=(across(*tick)) x2=(across(*tick)) y1="4" y2=(bottom) {}
                text x=(across(*tick)) y=(bottom + 16.0) text-anchor="middle" { (label) }
            }
        }
    };
    html! {
        figure.chart {
            figcaption { h3 { (column.name) } @if column.smaller_is_better { p { "Smaller is better." } } }
            svg viewBox={ "0 0 " (WIDTH) " " (bottom + if theirs.is_some() { 36.0 } else { 22.0 }) } role="img" aria-label={ (column.name) ": " (rows.len()) " rows, in the table below" } {
                g.axes {
                    (ticks(ours, &own))
                    @if let Some(axis) = theirs {
                        (ticks(axis, &|value| other(axis, value)))
                        text x=(round((left + end) / 2.0)) y=(bottom + 32.0) text-anchor="middle" { "here" }
                        text x=(round((WIDTH + end) / 2.0)) y=(bottom + 32.0) text-anchor="middle" { "published" }
                    }
                }
                @for (place, row) in rows.iter().enumerate() {
                    @let y = 4.0 + STEP * (place as f64 + 0.5);
                    text x=(left) y=(y + 4.0) text-anchor="end" { (name(&row.name)) }
                    @if let Some(figure) = row.figures.get(at).and_then(Option::as_ref) {
                        g.result {
                            title { (row.name) ": " (figure.text(column.digits)) @if let Some(published) = figure.published { ", published " (published_text(published)) } }
                            @if let (Some(axis), Some((published, _))) = (theirs, figure.published) { circle.published cx=(other(axis, published)) cy=(y) r="4" {} }
                            @if let Some(half) = figure.half { path.line d={ "M" (own(figure.mean - half)) " " (y) "H" (own(figure.mean + half)) } {} }
                            circle.dot cx=(own(figure.mean)) cy=(y) r="4.5" {}
                        }
                    }
                }
            }
        }
    }
}

/// What was measured over what was forecast, row by row.
fn against_first(table: &ResultTable, drawn: &[usize], at: usize) -> Markup {
    let Some(&first) = drawn.first().filter(|&&first| first != at) else { return html! {} };
    let value = |row: &ResultRow, at: usize| row.figures.get(at).and_then(Option::as_ref).map(|figure| figure.mean);
    let mut dots = Vec::new();
    for row in &table.rows {
        if let (Some(x), Some(y)) = (value(row, at), value(row, first)) {
            dots.push(Dot { x, y, title: row.name.clone(), label: Some(&row.name) });
        }
    }
    let [over, measured] = [at, first].map(|at| &table.columns[at].name);
    let alternative = format!("{measured} over {over}");
    let heading = html! { h3 { (alternative) } p { "To the left the forecast is better, below what was measured." } };
    scatter(heading, &alternative, over, &dots, &|_, label| label.to_owned())
}

fn grid(table: &ResultTable) -> Markup {
    html! {
        table {
            thead { tr { th scope="col" { "" } @for column in &table.columns { th scope="col" { (column.name) } } } }
            tbody {
                @for row in &table.rows {
                    tr {
                        th scope="row" { (row.name) }
                        @for (column, figure) in table.columns.iter().zip(&row.figures) {
                            td {
                                @match figure {
                                    Some(figure) => {
                                        b { (figure.text(column.digits)) }
                                        @if let Some(published) = figure.published { small { (published_text(published)) } }
                                    }
                                    None => (NONE),
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn maps(experiment: &Experiment) -> Option<Section> {
    let (_, first) = experiment.maps.first()?;
    let body = html! {
        p.lead { "Each point is a test image; colours are the true classes, which training never saw. The first encoder is as it was before training." }
        div.pair {
            @if let Some(untrained) = &first.untrained { (map::panel("Untrained", first, untrained)) }
            @for (name, own) in &experiment.maps { (map::panel(name, own, &own.trained)) }
        }
    };
    Some(Section { id: "maps", short: "Maps", title: "Where the encoders put the images", body })
}

fn again(experiment: &Experiment) -> Section {
    let runs = match experiment.done == experiment.runs {
        true => counted(experiment.runs, "run", "runs"),
        false => format!("{} of {} runs", experiment.done, experiment.runs),
    };
    let rows = [
        ("Runs", runs),
        ("Training took, in all", duration(experiment.seconds)),
        ("Threads", experiment.threads.to_string()),
        ("Machine", experiment.machine.clone()),
        ("The first began", experiment.started.clone()),
        ("selfsame", format!("{}, commit {}", experiment.selfsame, experiment.commit)),
    ];
    let body = html! {
        p.lead { "A run that is complete is not done again; one that was stopped goes on. " code { "result.json" } " has every figure, seed by seed." }
        (protocol::command(&experiment.command))
        table.protocol { tbody { @for (name, value) in &rows { tr { th scope="row" { (name) } td { (value) } } } } }
    };
    Section { id: "protocol", short: "Protocol", title: "How to do it again", body }
}
