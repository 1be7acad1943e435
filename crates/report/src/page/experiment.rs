//! The page of an experiment: the results of its claims, its tables next to the published ones, and
//! maps.

use maud::{Markup, html};

use super::chart::{Axis, Dot, Scale, WIDTH, round, scatter};
use super::{Section, document, map, next, protocol};
use crate::experiment::{
    Experiment, Figure, Finding, Outcome, ResultColumn, ResultRow, ResultTable, published_text,
};
use crate::format::{NONE, counted, duration, percent};
use crate::next::{after_experiment, option};
use crate::quoted;
use crate::record::PAGE_FILE;

/// Number of runs that are listed without a click.
const FEW: usize = 12;

/// Draws an experiment as one HTML page. Works for an experiment in progress; missing parts are
/// left out.
pub fn render_experiment(experiment: &Experiment) -> String {
    let mut sections = vec![results(&experiment.tables)];
    sections.extend(maps(experiment));
    sections.extend(runs(experiment));
    let out = option(&experiment.command, "--out").map(|out| quoted(&out));
    sections.extend(out.and_then(|out| next::section(&after_experiment(experiment, &out))));
    sections.push(again(experiment));
    document(&experiment.title, &experiment.selfsame, header(experiment), &sections, None)
}

fn header(experiment: &Experiment) -> Markup {
    let several = experiment.tables.len() > 1;
    let suffix =
        |table: &ResultTable| if several { format!(" on {}", table.name) } else { String::new() };
    let findings: Vec<(String, &Finding)> = experiment
        .tables
        .iter()
        .flat_map(|table| {
            table
                .findings
                .iter()
                .map(move |finding| (finding.claim.clone() + &suffix(table), finding))
        })
        .collect();
    html! {
        p.eyebrow { (experiment.title) }
        @match findings.as_slice() {
            [] => h1.verdict { (counted(experiment.done, "run", "runs")) @if experiment.done < experiment.runs { " of " (experiment.runs) } "." },
            [(claim, first), others @ ..] => {
                h1.verdict { (claim) ": " strong.phrase.trained[first.is_clear()] { (outcome(first)) } "." }
                @for (claim, finding) in others { p.judgement { (claim) ": " strong { (outcome(finding)) } "." } }
            }
        }
        p.judgement { (experiment.about) }
        @if experiment.done < experiment.runs {
            p.warning role="note" { (experiment.done) " of " (counted(experiment.runs, "run \
                is", "runs are")) " complete; the same command goes on." }
        }
    }
}

/// Describes the result of a claim in a few words.
fn outcome(finding: &Finding) -> String {
    let Finding { holds, clear, of, .. } = finding;
    let held = format!("holds in {holds} of {of}");
    match (of, holds, clear) {
        (0, ..) => "no run to tell by yet".to_owned(),
        (_, 0, _) => held,
        (.., 0) => format!("undecided: {held}, no further than chance may go"),
        _ if finding.is_clear() => held + ", beyond chance",
        _ => format!("{held}, beyond chance in {clear}"),
    }
}

fn results(tables: &[ResultTable]) -> Section {
    let body = html! {
        @for (number, table) in (1..).zip(tables) {
            div id={ "results-" (number) } {
                @if tables.len() > 1 { h3 { (table.name) } }
                (results_of(table))
            }
        }
    };
    Section { id: "results", short: "Results", title: "What came out", body }
}

fn results_of(table: &ResultTable) -> Markup {
    let drawn: Vec<usize> =
        (0..table.columns.len()).filter(|&at| table.columns[at].drawn).collect();
    let figures: Vec<&Figure> = drawn.iter().flat_map(|&at| own(table, at)).collect();
    let ends = |figure: &&Figure| ends(figure);
    let theirs = Axis::fit(
        &mut figures.iter().filter_map(|figure| figure.published).map(|published| published.0),
        3,
    );
    let axes = Axis::fit(&mut figures.iter().flat_map(ends), if theirs.is_some() { 3 } else { 5 })
        .map(|ours| (ours, theirs));
    let published = axes.as_ref().is_some_and(|(_, theirs)| theirs.is_some());
    html! {
        p.lead {
            @if !table.name.is_empty() { "Images: " (table.name) ". " }
            @if figures.iter().any(|figure| figure.half().is_some()) {
                "Means over seeds; the line through a dot is its 95% interval."
            } @else if figures.iter().any(|figure| figure.seeds > 1) {
                "Means over seeds. Two seeds give no interval worth showing, so what differs by \
                 little stays undecided."
            } @else { "One run each, so there is no interval over seeds." }
            @if published { " Hollow, with an axis of their own: the published figures." }
        }
        @if let Some((ours, theirs)) = &axes {
            div.scatters {
                @for &at in &drawn { (dots(table, at, ours, theirs.as_ref())) }
                @for &at in &drawn { @if table.columns[at].agreement.is_some() && !published { (against_first(table, &drawn, at)) } }
            }
        }
        div.scroll.card.results-table tabindex="0" role="region" aria-label="Table of \
            results" { (grid(table)) }
        @if let Some(source) = &table.source { p.quiet { "In small type: the published \
                                                          figure. " (source) "." } }
        @if !table.findings.is_empty() {
            ul.ledger {
                @for finding in &table.findings {
                    li {
                        (state(finding))
                        div { b { (finding.claim) } p { (finding.verdict()) "." } }
                    }
                }
            }
        }
        @for agreement in table.columns.iter().filter_map(ResultColumn::agreement) { p.quiet { (agreement) } }
    }
}

/// Returns the mark of a claim. It is green only if the claim holds everywhere, and beyond chance.
fn state(finding: &Finding) -> Markup {
    html! {
        @match (finding.holds, finding.of) {
            (_, 0) => span.state { "open" },
            (0, _) => span.state.fails { "does not hold" },
            (holds, of) if holds < of => span.state { "holds in " (holds) " of " (of) },
            _ if finding.is_clear() => span.state.holds { "holds" },
            _ if finding.clear == 0 => span.state { "undecided" },
            _ => span.state { "holds in the means" },
        }
    }
}

/// Returns the ends of the interval of a percentage, or the mean twice, cut off at 0 and 100, which
/// an interval may exceed.
fn ends(figure: &Figure) -> [f64; 2] {
    let half = figure.half().unwrap_or(0.0);
    [-half, half].map(|side| (figure.mean + side).clamp(0.0, 100.0))
}

fn own(table: &ResultTable, column: usize) -> impl Iterator<Item = &Figure> {
    table.rows.iter().filter_map(move |row| row.figures.get(column)?.as_ref())
}

/// Draws the rows of a column as dots, each with its interval. Published figures, if there are any,
/// are to the right.
fn dots(table: &ResultTable, at: usize, ours: &Axis, theirs: Option<&Axis>) -> Markup {
    const STEP: f64 = 22.0;
    const LETTER: f64 = 5.6;
    let (column, rows, digits) = (&table.columns[at], &table.rows, table.published_digits());
    let longest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
    let left = (12.0 + LETTER * longest as f64).clamp(40.0, 0.4 * WIDTH);
    let bottom = 8.0 + STEP * rows.len() as f64;
    let end = if theirs.is_some() { left + 0.54 * (WIDTH - left) } else { WIDTH };
    let our_x = |value: f64| round(ours.place(value, left + 12.0, end - 14.0));
    let their_x = |axis: &Axis, value: f64| round(axis.place(value, end + 12.0, WIDTH - 14.0));
    let name = |name: &str| match ((left - 12.0) / LETTER) as usize {
        fits if name.chars().count() > fits => {
            name.chars().take(fits.saturating_sub(1)).chain(['…']).collect()
        }
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
            figcaption { h3 { (column.name) @if !column.name.contains('%') { " (%)" } } @if column.smaller_is_better { p { "Smaller is \
                better." } } }
            svg viewBox={ "0 0 " (WIDTH) " " (bottom + if theirs.is_some() { 36.0 } else { 22.0 }) } role="img" aria-label={ (column.name) ": " (rows.len()) " rows, in the table below" } {
                g.axes {
                    (ticks(ours, &our_x))
                    @if let Some(axis) = theirs {
                        (ticks(axis, &|value| their_x(axis, value)))
                        text x=(round((left + end) / 2.0)) y=(bottom + 32.0) text-anchor="middle" { "here" }
                        text x=(round((WIDTH + end) / 2.0)) y=(bottom + 32.0) text-anchor="middle" { "published" }
                    }
                }
                @for (place, row) in rows.iter().enumerate() {
                    @let y = 4.0 + STEP * (place as f64 + 0.5);
                    text x=(left) y=(y + 4.0) text-anchor="end" { (name(&row.name)) }
                    @if let Some(figure) = row.figures.get(at).and_then(Option::as_ref) {
                        g.result {
                            title { (row.name) ": " (figure.text(column.digits)) @if let Some(published) = figure.published { ", published " (published_text(published, digits)) } }
                            @if let (Some(axis), Some((published, _))) = (theirs, figure.published) { circle.published cx=(their_x(axis, published)) cy=(y) r="4" {} }
                            @let [low, high] = ends(figure);
                            @if low < high { path.line d={ "M" (our_x(low)) " " (y) "H" (our_x(high)) } {} }
                            circle.dot cx=(our_x(figure.mean)) cy=(y) r="4.5" {}
                        }
                    }
                }
            }
        }
    }
}

/// Draws the measured figures against the forecast figures, row by row.
fn against_first(table: &ResultTable, drawn: &[usize], at: usize) -> Markup {
    let Some(&first) = drawn.first().filter(|&&first| first != at) else { return html! {} };
    let value = |row: &ResultRow, at: usize| {
        row.figures.get(at).and_then(Option::as_ref).map(|figure| figure.mean)
    };
    let mut dots = Vec::new();
    for row in &table.rows {
        if let (Some(x), Some(y)) = (value(row, at), value(row, first)) {
            dots.push(Dot { x, y, title: row.name.clone(), label: Some(&row.name) });
        }
    }
    let [over, measured] = [at, first].map(|at| &table.columns[at].name);
    let alternative = format!("{measured} over {over}");
    let heading = html! { h3 { (alternative) } p { "To the left the forecast is better, below \
    what was measured." } };
    scatter(heading, &alternative, over, &dots, Scale::Plain)
}

fn grid(table: &ResultTable) -> Markup {
    let digits = table.published_digits();
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
                                        @if let Some(published) = figure.published { small { (published_text(published, digits)) } }
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
        p.lead { "Each point is a test image; colours are the true classes, which training never \
                  saw. The first encoder is as it was before training." }
        div.pair {
            @if let Some(untrained) = &first.untrained { (map::panel("Untrained", first, untrained)) }
            @for (name, own) in &experiment.maps { (map::panel(name, own, &own.trained)) }
        }
    };
    Some(Section { id: "maps", short: "Maps", title: "Where the encoders put the images", body })
}

/// Lists the complete runs, each with a link to its page.
fn runs(experiment: &Experiment) -> Option<Section> {
    let linked: Vec<&Outcome> =
        experiment.outcomes.iter().filter(|outcome| !outcome.run.is_empty()).collect();
    if linked.is_empty() {
        return None;
    }
    let has = |part: fn(&Outcome) -> &str| linked.iter().any(|outcome| !part(outcome).is_empty());
    let (sets, columns) = (has(|outcome| &outcome.set), has(|outcome| &outcome.column));
    let table = html! {
        div.scroll.card tabindex="0" role="region" aria-label="Table of runs" {
            table.classes.runs {
                thead { tr {
                    @if sets { th scope="col" { "Images" } }
                    th scope="col" { "Row" }
                    @if columns { th scope="col" { "Column" } }
                    th scope="col" { "Seed" } th scope="col" { "kNN" } th scope="col" { "Linear probe" } th scope="col" { "Page" }
                } }
                tbody { @for outcome in &linked { tr {
                    @if sets { td { (outcome.set) } }
                    th scope="row" { (outcome.row) }
                    @if columns { td { (outcome.column) } }
                    td { (outcome.seed) } td { (percent(outcome.knn_acc1)) } td { (percent(outcome.linear_acc1)) }
                    td { a href=(href(&outcome.run)) { (outcome.run) } }
                } } }
            }
        }
    };
    let body = html! {
        p.lead { "Each run has a page of its own, which the links open as long as this page lies in the \
                  folder of the experiment." }
        @if linked.len() <= FEW { (table) }
        @else { details { summary { (counted(linked.len() as u64, "run", "runs")) } (table) } }
    };
    Some(Section { id: "runs", short: "Runs", title: "The runs", body })
}

/// Returns the address of the page of a run in a folder beside this page.
fn href(folder: &str) -> String {
    let mut address = String::from("./");
    for byte in folder.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                address.push(byte.into());
            }
            byte => address += &format!("%{byte:02X}"),
        }
    }
    address + "/" + PAGE_FILE
}

fn again(experiment: &Experiment) -> Section {
    let runs = match experiment.done == experiment.runs {
        true => counted(experiment.runs, "run", "runs"),
        false => format!("{} of {} runs", experiment.done, experiment.runs),
    };
    let machines = match experiment.machines.as_slice() {
        [] => "not recorded".to_owned(),
        machines => machines.join("; "),
    };
    let rows = [
        ("Runs", runs),
        ("Training took, in all", duration(experiment.seconds)),
        ("Threads", experiment.threads.to_string()),
        ("Trained on", machines),
        ("The first began", experiment.started.clone()),
        ("selfsame", format!("{}, commit {}", experiment.selfsame, experiment.commit)),
    ];
    let body = html! {
        p.lead { "A run that is complete is not done again; one that was stopped goes \
                  on. " code { "result.json" } " has every figure, seed by seed." }
        (protocol::command(&experiment.command))
        table.protocol { tbody { @for (name, value) in &rows { tr { th scope="row" { (name) } td { (value) } } } } }
    };
    Section { id: "protocol", short: "Protocol", title: "How to do it again", body }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding([holds, clear, of]: [u64; 3]) -> Finding {
        Finding { claim: "More is better".into(), holds, clear, of, ..Finding::default() }
    }

    fn page(sets: &[&str], findings: &[[u64; 3]]) -> String {
        let figure =
            Figure { mean: 50.0, half: Some(1.0), seeds: 3, published: Some((83.0, None)) };
        let table = |name: &&str| ResultTable {
            name: (*name).into(),
            source: Some("slides".into()),
            columns: vec![ResultColumn {
                name: "x".into(),
                digits: 1,
                drawn: true,
                ..ResultColumn::default()
            }],
            rows: vec![
                ResultRow {
                    name: "a".into(),
                    figures: vec![Some(Figure { published: Some((86.2, None)), ..figure.clone() })],
                },
                ResultRow { name: "b".into(), figures: vec![Some(figure.clone())] },
            ],
            findings: findings.iter().copied().map(finding).collect(),
        };
        let machines = vec!["first".to_owned(), "second".to_owned()];
        let tables = sets.iter().map(table).collect();
        render_experiment(&Experiment {
            title: "T".into(),
            machines,
            tables,
            ..Experiment::default()
        })
    }

    #[test]
    fn runs_are_linked_wherever_their_names_lead() {
        let outcome =
            Outcome { run: "runs/a b?\"<#%".into(), row: "a".into(), ..Outcome::default() };
        let page =
            render_experiment(&Experiment { outcomes: vec![outcome], ..Experiment::default() });
        assert!(page.contains("href=\"./runs/a%20b%3F%22%3C%23%25/report.html\""), "{page}");
        assert!(!page.contains("runs/a b?\"<"), "a name is escaped");
    }

    #[test]
    fn no_interval_leaves_the_percentages() {
        let figure = |mean, half, seeds| Figure { mean, half: Some(half), seeds, published: None };
        assert_eq!(ends(&figure(10.0, 25.0, 3)), [0.0, 35.0]);
        assert_eq!(ends(&figure(95.0, 25.0, 3)), [70.0, 100.0]);
        assert_eq!(ends(&figure(50.0, 25.0, 2)), [50.0, 50.0]);
    }

    #[test]
    fn green_is_what_leaves_chance_behind_wherever_it_holds() {
        let headline = |counts: [u64; 3]| {
            let page = page(&["s"], &[counts]);
            let from = page.find("<h1").unwrap();
            page[from..from + page[from..].find("</h1>").unwrap()].to_owned()
        };
        for (counts, words, green) in [
            ([2, 2, 2], "holds in 2 of 2, beyond chance<", true),
            ([1, 1, 2], "holds in 1 of 2, beyond chance<", true),
            ([2, 1, 2], "holds in 2 of 2, beyond chance in 1<", false),
            ([2, 0, 2], "holds in 2 of 2, no further than chance may go<", false),
            ([0, 0, 2], "holds in 0 of 2<", false),
            ([0, 0, 0], "no run to tell by yet<", false),
        ] {
            let headline = headline(counts);
            assert!(
                headline.contains(words) && headline.contains("trained") == green,
                "{headline}"
            );
        }
        for (counts, mark) in [
            ([2, 2, 2], "<span class=\"state holds\">holds</span>"),
            ([2, 1, 2], "<span class=\"state\">holds in the means</span>"),
            ([1, 1, 2], "<span class=\"state\">holds in 1 of 2</span>"),
            ([0, 0, 2], "<span class=\"state fails\">does not hold</span>"),
            ([0, 0, 0], "<span class=\"state\">open</span>"),
        ] {
            assert!(page(&["s"], &[counts]).contains(mark), "{mark}");
        }
    }

    #[test]
    fn several_sets_are_named_and_every_anchor_stands_once() {
        let sets = ["one", "two", "three", "four", "five", "six"];
        assert!(!page(&["one"], &[[1, 1, 1]]).contains("More is better on"));
        let page = page(&sets, &[[1, 1, 1], [1, 0, 1]]);
        for (number, set) in (1..).zip(sets) {
            assert_eq!(page.matches(&format!("More is better on {set}: ")).count(), 2, "{set}");
            assert_eq!(page.matches(&format!("id=\"results-{number}\"")).count(), 1, "{set}");
        }
        let mut anchors: Vec<&str> =
            page.split(" id=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
        let all = anchors.len();
        anchors.sort_unstable();
        anchors.dedup();
        assert_eq!(anchors.len(), all);
    }

    #[test]
    fn published_figures_keep_their_digits_and_machines_are_named() {
        let page = page(&["one"], &[]);
        assert!(page.contains("<small>83.0</small>") && page.contains("published 86.2"), "{page}");
        assert!(page.contains("first; second"));
    }
}
