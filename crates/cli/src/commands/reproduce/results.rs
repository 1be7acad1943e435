//! From the runs of a grid to its tables, and to what became of its claims.

use std::path::Path;

use anyhow::Context;
use selfsame::augment::Policy;
use selfsame::report::experiment::{Figure, Finding, ResultColumn, ResultRow, ResultTable};
use selfsame::report::forecast::{FORECAST_FILE, Forecast};
use selfsame::report::{MeanInterval, mean_interval, signed};
use selfsame::theory::kendall_tau;

use crate::grid::{Claim, ClaimKind, FORECAST_COLUMN, Grid, Measure, Outcome, QUARTERS, Set};

/// A column's figures by row and seed, before they are means.
struct Column {
    name: String,
    digits: usize,
    smaller_is_better: bool,
    drawn: bool,
    /// By row: by seed, where a run is complete.
    samples: Vec<Vec<(u64, f64)>>,
    /// By row, of figures that no seeds are behind: half of their interval.
    halves: Vec<Option<f64>>,
    /// By row.
    published: Vec<Option<(f64, Option<f64>)>>,
    /// Whether it was known before training.
    forecast: bool,
    /// The same of the first row's encoders as they were before training, by seed, where that was
    /// measured.
    untrained: Vec<(u64, f64)>,
}

/// The tables of all complete runs.
pub fn tables(grid: &Grid, outcomes: &[Outcome], forecast: Option<&Forecast>) -> Vec<ResultTable> {
    grid.sets().iter().map(|set| table(grid, set, outcomes, forecast)).collect()
}

/// The forecast that was made of the rows' views, if it is complete, and of images as large as
/// those of the runs.
pub fn forecast(folder: &Path, grid: &Grid) -> anyhow::Result<Option<Forecast>> {
    let path = folder.join(FORECAST_FILE);
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| path.display().to_string())?,
    };
    let damaged =
        || format!("{}: damaged; delete its folder, and run the grid again", path.display());
    let found: Forecast = serde_json::from_slice(&text).with_context(damaged)?;
    let as_large = grid.forecast_size().is_none_or(|size| size == i64::from(found.image_size));
    Ok(as_large.then_some(found))
}

fn table(grid: &Grid, set: &Set, outcomes: &[Outcome], forecast: Option<&Forecast>) -> ResultTable {
    let own: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.set == set.name).collect();
    let mut rows = grid.row_names();
    let mut columns = measured(grid, set, &own, &rows);
    if let Some(forecast) = forecast {
        columns.extend(forecast_columns(grid, forecast));
    }
    let findings = grid.claims.iter().map(|claim| finding(claim, &columns, &rows)).collect();
    let drawn = columns.iter().map(|column| agreement(column, &columns)).collect::<Vec<_>>();
    // The encoders before training: the same for all rows that share an encoder.
    if grid.measure == Measure::Everything && grid.columns.is_empty() {
        for column in &mut columns {
            column.samples.push(std::mem::take(&mut column.untrained));
            column.halves.push(None);
            column.published.push(None);
        }
        rows.push("untrained".to_owned());
    }
    let row = |at: usize| columns.iter().map(|column| figure(column, at)).collect();
    ResultTable {
        name: set.name.clone(),
        source: set.published.as_ref().map(|published| published.source.clone()),
        rows: rows
            .iter()
            .enumerate()
            .map(|(at, name)| ResultRow { name: name.clone(), figures: row(at) })
            .collect(),
        columns: drawn,
        findings,
    }
}

/// What was measured of the runs.
fn measured(grid: &Grid, set: &Set, outcomes: &[&Outcome], rows: &[String]) -> Vec<Column> {
    let samples = |column: &str, value: &dyn Fn(&Outcome) -> Option<f64>| -> Vec<Vec<(u64, f64)>> {
        let of = |row: &String| {
            let own =
                outcomes.iter().filter(|outcome| outcome.row == *row && outcome.column == column);
            own.filter_map(|outcome| Some((outcome.seed, value(outcome)?))).collect()
        };
        rows.iter().map(of).collect()
    };
    let column = |name: &str, digits: usize, samples: Vec<Vec<(u64, f64)>>| Column {
        name: name.to_owned(),
        digits,
        smaller_is_better: false,
        drawn: true,
        halves: vec![None; samples.len()],
        published: vec![None; samples.len()],
        samples,
        forecast: false,
        untrained: Vec::new(),
    };
    let percent = |of: fn(&Outcome) -> f64| move |outcome: &Outcome| Some(100.0 * of(outcome));
    let knn = percent(|o| o.knn_acc1);
    let mut columns: Vec<Column> = if !grid.columns.is_empty() {
        grid.column_names().iter().map(|name| column(name, 1, samples(name, &knn))).collect()
    } else {
        let with = |name: &str, digits: usize, value: &dyn Fn(&Outcome) -> Option<f64>| {
            column(name, digits, samples("", value))
        };
        let undrawn = |column: Column| Column { drawn: false, ..column };
        let first = || outcomes.iter().filter(|outcome| rows.first() == Some(&outcome.row));
        let beside = |column: Column, before: &dyn Fn(&Outcome) -> Option<f64>| Column {
            untrained: first()
                .filter_map(|outcome| Some((outcome.seed, before(outcome)?)))
                .collect(),
            ..column
        };
        match grid.measure {
            Measure::Everything => vec![
                beside(with("kNN %", 1, &knn), &percent(|o| o.untrained_knn_acc1)),
                undrawn(with("gain %", 1, &percent(|o| o.knn_acc1 - o.untrained_knn_acc1))),
                with("linear %", 1, &percent(|o| o.linear_acc1)),
                with("centre %", 1, &percent(|o| o.centre_acc1)),
                undrawn(beside(with("rank", 1, &|o| o.rankme), &|o| o.untrained_rankme)),
                undrawn(with("output rank", 1, &|o| o.output_rank_me)),
                Column {
                    smaller_is_better: true,
                    ..undrawn(with("seconds", 0, &|o| Some(o.seconds)))
                },
            ],
            Measure::Error => {
                let error = with("kNN error %", 1, &percent(|o| 1.0 - o.knn_acc1));
                vec![Column { smaller_is_better: true, ..error }]
            }
            Measure::Along => {
                let mut columns: Vec<Column> = (1..=QUARTERS)
                    .map(|quarter| {
                        let name = format!("after {quarter}/{QUARTERS}");
                        with(&name, 1, &|outcome| along(outcome, quarter).map(|knn| 100.0 * knn))
                    })
                    .collect();
                columns.push(with("test", 1, &knn));
                columns.push(undrawn(with("output rank", 1, &|o| o.output_rank_me)));
                columns
            }
        }
    };
    for (at, column) in columns.iter_mut().enumerate() {
        for row in 0..rows.len() {
            let found =
                set.published.as_ref().and_then(|published| published.values.get(row)?.get(at));
            column.published[row] = found.map(|figure| (figure[0], figure.get(1).copied()));
        }
    }
    columns
}

/// The kNN accuracy on validation images after so many quarters of the training: what was measured
/// nearest to there.
fn along(outcome: &Outcome, quarter: u64) -> Option<f64> {
    let wanted = outcome.epochs as f64 * quarter as f64 / QUARTERS as f64;
    let nearest = outcome
        .val_knn_acc1
        .iter()
        .min_by(|a, b| (a.0 - wanted).abs().total_cmp(&(b.0 - wanted).abs()))?;
    // Half an epoch off is rounding, more is another quarter's.
    ((nearest.0 - wanted).abs() <= 0.5).then_some(nearest.1)
}

/// 1 − σ at the two distances that the forecast shows, by row.
fn forecast_columns(grid: &Grid, forecast: &Forecast) -> Vec<Column> {
    let of = |row: &toml::Table| {
        let policy: Policy = row.get("augment")?.as_str()?.parse().ok()?;
        forecast.policies.iter().find(|found| found.name == policy.to_string())
    };
    let column = |delta: usize| {
        let figure = |row: &toml::Table| {
            let sigma = of(row)?.sigma.get(delta)?;
            Some((
                100.0 * (1.0 - sigma.value),
                sigma.interval.map(|[low, high]| 50.0 * (high - low)),
            ))
        };
        let figures: Vec<Option<(f64, Option<f64>)>> = grid.rows.iter().map(figure).collect();
        Column {
            name: format!(
                "{FORECAST_COLUMN}{:.0}",
                forecast
                    .deltas
                    .get(delta)
                    .map_or(f64::NAN, |found| found.levels.unwrap_or(found.delta))
            ),
            digits: 1,
            smaller_is_better: true,
            drawn: true,
            samples: figures
                .iter()
                .map(|figure| figure.iter().map(|figure| (0, figure.0)).collect())
                .collect(),
            halves: figures.iter().map(|figure| figure.and_then(|figure| figure.1)).collect(),
            published: vec![None; grid.rows.len()],
            forecast: true,
            untrained: Vec::new(),
        }
    };
    forecast.shown.iter().map(|&delta| column(delta)).collect()
}

fn values(samples: &[(u64, f64)]) -> Vec<f64> {
    samples.iter().map(|(_, value)| *value).collect()
}

fn mean(samples: &[(u64, f64)]) -> Option<f64> {
    mean_interval(&values(samples)).map(|found| found.mean)
}

fn figure(column: &Column, row: usize) -> Option<Figure> {
    let samples = column.samples.get(row)?;
    let MeanInterval { mean, half } = mean_interval(&values(samples))?;
    let half = half.or(column.halves[row]);
    let seeds = if column.forecast { 0 } else { samples.len() as u64 };
    Some(Figure { mean, half, seeds, published: column.published[row] })
}

/// The column as it is shown, with Kendall's τ between its order of the rows and the published one;
/// of a forecast, that of what was measured.
fn agreement(column: &Column, all: &[Column]) -> ResultColumn {
    let against: (Vec<Option<f64>>, &str) = if column.forecast {
        let measured = all.iter().find(|other| !other.forecast);
        (
            measured.map(|m| m.samples.iter().map(|s| mean(s)).collect()).unwrap_or_default(),
            "the measured order",
        )
    } else {
        (
            column.published.iter().map(|figure| figure.map(|figure| figure.0)).collect(),
            "the published order",
        )
    };
    let pairs: Vec<(f64, f64)> = column
        .samples
        .iter()
        .zip(&against.0)
        .filter_map(|(s, t)| Some((mean(s)?, (*t)?)))
        .collect();
    let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    let tau = kendall_tau(&ours, &theirs).ok().flatten().map(|found| found.tau);
    ResultColumn {
        name: column.name.clone(),
        digits: column.digits,
        smaller_is_better: column.smaller_is_better,
        drawn: column.drawn,
        against: if tau.is_some() { against.1.to_owned() } else { String::new() },
        agreement: tau,
    }
}

/// How a column stands to a claim.
enum Standing {
    /// It holds in the means; whether beyond the noise of seeds.
    Holds { clear: bool },
    /// It does not, and where.
    Fails(String),
}

/// What became of a claim, column by column.
fn finding(claim: &Claim, columns: &[Column], rows: &[String]) -> Finding {
    let named = |column: &&Column| {
        claim.columns.is_empty() && column.drawn || claim.columns.contains(&column.name)
    };
    let mut finding = Finding { claim: claim.says.clone(), ..Finding::default() };
    let (mut unclear, mut fails) = (Vec::new(), Vec::new());
    for column in columns.iter().filter(named) {
        let Some(standing) = standing(claim, column, rows) else { continue };
        finding.of += 1;
        match standing {
            Standing::Holds { clear } => {
                finding.holds += 1;
                finding.clear += u64::from(clear);
                if !clear {
                    unclear.push(column.name.clone());
                }
            }
            Standing::Fails(how) => fails.push(format!("{} ({how})", column.name)),
        }
    }
    finding.verdict = match finding.of {
        0 => "no run to tell by yet".to_owned(),
        of => {
            let mut words = format!("holds in {} of {of}", finding.holds);
            if !unclear.is_empty() {
                words += &format!(", no further than chance may go in {}", unclear.join(", "));
            }
            if !fails.is_empty() {
                words += &format!("; not in {}", fails.join(", "));
            }
            words
        }
    };
    finding
}

/// None where the column lacks a row that the claim is about.
fn standing(claim: &Claim, column: &Column, rows: &[String]) -> Option<Standing> {
    let at = |name: &String| rows.iter().position(|row| row == name);
    let [first, rest @ ..] = claim.rows.as_slice() else { return None };
    match claim.kind {
        ClaimKind::Order => {
            let order: Vec<usize> = claim.rows.iter().map(at).collect::<Option<_>>()?;
            let steps = order
                .windows(2)
                .map(|pair| gain(column, pair[0], pair[1]))
                .collect::<Option<Vec<_>>>()?;
            let wrong = |(step, pair): (&Gain, &[String])| match -step.mean {
                behind if behind > 0.0 => {
                    Some(format!("{} is {} behind {}", pair[0], signed(behind, 1), pair[1]))
                }
                0.0 => Some(format!("{} is level with {}", pair[0], pair[1])),
                _ => None,
            };
            let wrong: Vec<String> =
                steps.iter().zip(claim.rows.windows(2)).filter_map(wrong).collect();
            Some(stands(wrong, steps.iter().all(|step| step.clear)))
        }
        ClaimKind::LargestStep => {
            let (to, from) = (at(first)?, at(rest.first()?)?);
            let claimed = gain(column, to, from)?;
            let (mut wrong, mut clear) = (Vec::new(), claimed.clear);
            // Rows are the best first, so that each is a step above the next.
            for lower in 1..rows.len() {
                if (lower - 1, lower) == (to, from) {
                    continue;
                }
                let further =
                    contrast(column, &[(to, 1.0), (from, -1.0), (lower - 1, -1.0), (lower, 1.0)])?;
                clear &= further.clear;
                if further.mean <= 0.0 {
                    let [name, from] = [&rows[lower - 1], &rows[lower]];
                    let [other, own] =
                        [claimed.mean - further.mean, claimed.mean].map(|mean| signed(mean, 1));
                    wrong.push(format!("{name} over {from} gains {other}, this {own}"));
                }
            }
            Some(stands(wrong, clear))
        }
        ClaimKind::Best | ClaimKind::Worst => {
            let own = at(first)?;
            let (mut passed, mut clear) = (Vec::new(), true);
            for other in (0..rows.len()).filter(|&other| other != own) {
                let (better, worse) =
                    if claim.kind == ClaimKind::Best { (own, other) } else { (other, own) };
                let gain = gain(column, better, worse)?;
                clear &= gain.clear;
                if gain.mean <= 0.0 {
                    passed.push((-gain.mean, &rows[other]));
                }
            }
            let furthest = passed.iter().max_by(|a, b| a.0.total_cmp(&b.0));
            let wrong = furthest.map(|&(by, row)| {
                let end = if claim.kind == ClaimKind::Best { "ahead" } else { "below" };
                let (of, by) = (rows.len() - 1, signed(by, 1));
                format!("{} of {of} are {end} or level, {row} the most, by {by}", passed.len())
            });
            Some(stands(wrong.into_iter().collect(), clear))
        }
    }
}

fn stands(wrong: Vec<String>, clear: bool) -> Standing {
    if wrong.is_empty() { Standing::Holds { clear } } else { Standing::Fails(wrong.join("; ")) }
}

/// By how much a row is better than another, or a step further than another.
struct Gain {
    mean: f64,
    /// Whether that is beyond the noise: of seeds, by the 95 % interval of the differences, seed by
    /// seed; of figures with intervals of their own, where it is more than all of these together.
    clear: bool,
}

fn gain(column: &Column, better: usize, worse: usize) -> Option<Gain> {
    contrast(column, &[(better, 1.0), (worse, -1.0)])
}

/// A sum of rows, each so many times, over the seeds that all of them have.
fn contrast(column: &Column, terms: &[(usize, f64)]) -> Option<Gain> {
    let sign = if column.smaller_is_better { -1.0 } else { 1.0 };
    let mut times = vec![0.0; column.samples.len()];
    terms.iter().for_each(|&(row, weight)| times[row] += sign * weight);
    let taken: Vec<(usize, f64)> =
        times.into_iter().enumerate().filter(|&(_, times)| times != 0.0).collect();
    let value = |row: usize, seed: u64| {
        column.samples[row].iter().find(|sample| sample.0 == seed).map(|sample| sample.1)
    };
    let with = |seed: u64| {
        taken.iter().map(|&(row, times)| Some(times * value(row, seed)?)).sum::<Option<f64>>()
    };
    let seeds = column.samples[taken.first()?.0].iter().map(|sample| sample.0);
    let MeanInterval { mean, half } = mean_interval(&seeds.filter_map(with).collect::<Vec<_>>())?;
    let own = taken
        .iter()
        .map(|&(row, times)| Some(times.abs() * column.halves[row]?))
        .sum::<Option<f64>>();
    Some(Gain { mean, clear: half.or(own).is_some_and(|half| mean > half) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(samples: &[&[f64]]) -> Column {
        let seeds = |values: &&[f64]| (0..).zip(values.iter().copied()).collect();
        Column {
            name: "x".to_owned(),
            digits: 1,
            smaller_is_better: false,
            drawn: true,
            samples: samples.iter().map(seeds).collect(),
            halves: vec![None; samples.len()],
            published: vec![None; samples.len()],
            forecast: false,
            untrained: Vec::new(),
        }
    }

    fn verdict(kind: ClaimKind, of: &[&str], columns: &[Column]) -> Finding {
        let rows = ["best", "middle", "worst"].map(str::to_owned);
        let own = |row: &&str| (*row).to_owned();
        let claim = Claim {
            says: "so".to_owned(),
            kind,
            rows: of.iter().map(own).collect(),
            columns: Vec::new(),
        };
        finding(&claim, columns, &rows)
    }

    #[test]
    fn an_order_holds_clearly_barely_or_not() {
        let order = ["best", "middle", "worst"];
        // Steps of 10 and 5 with every seed, whatever the seeds themselves are worth.
        let clear = || column(&[&[35.0, 25.0, 30.0], &[25.1, 15.0, 20.0], &[20.0, 10.0, 15.1]]);
        let barely = || column(&[&[35.0, 25.0], &[25.0, 24.0], &[20.0, 10.0]]);
        let wrong = || column(&[&[35.0], &[20.0], &[21.5]]);
        let found = verdict(ClaimKind::Order, &order, &[clear(), barely(), wrong()]);
        assert_eq!((found.holds, found.clear, found.of), (2, 1, 3));
        assert!(
            found.verdict.contains("not in x (middle is 1.5 behind worst)"),
            "{}",
            found.verdict
        );
        // Where less is better it is the other way round.
        let turned = |column: Column| Column { smaller_is_better: true, ..column };
        assert_eq!(
            verdict(ClaimKind::Order, &["worst", "middle", "best"], &[turned(clear())]).holds,
            1
        );
        assert_eq!(verdict(ClaimKind::Order, &order, &[turned(clear())]).holds, 0);
        // A tie is no order, and a row without runs no verdict.
        assert_eq!(
            verdict(ClaimKind::Order, &order, &[column(&[&[2.0], &[2.0], &[1.0]])]).holds,
            0
        );
        let found = verdict(ClaimKind::Order, &order, &[column(&[&[2.0], &[], &[1.0]])]);
        assert_eq!((found.of, found.verdict.as_str()), (0, "no run to tell by yet"));
    }

    #[test]
    fn the_largest_step_and_the_ends_are_found() {
        let small_then_large = || column(&[&[31.0], &[30.0], &[10.0]]);
        assert_eq!(
            verdict(ClaimKind::LargestStep, &["middle", "worst"], &[small_then_large()]).holds,
            1
        );
        let found = verdict(ClaimKind::LargestStep, &["best", "middle"], &[small_then_large()]);
        assert!(
            found.holds == 0 && found.verdict.contains("middle over worst gains 20.0, this 1.0"),
            "{}",
            found.verdict
        );
        assert_eq!(verdict(ClaimKind::Best, &["best"], &[small_then_large()]).holds, 1);
        assert_eq!(verdict(ClaimKind::Worst, &["worst"], &[small_then_large()]).holds, 1);
        let found = verdict(ClaimKind::Best, &["middle"], &[small_then_large()]);
        assert!(
            found.verdict.contains("1 of 2 are ahead or level, best the most, by 1.0"),
            "{}",
            found.verdict
        );
        let found = verdict(ClaimKind::Worst, &["best"], &[small_then_large()]);
        assert!(
            found.verdict.contains("2 of 2 are below or level, worst the most, by 21.0"),
            "{}",
            found.verdict
        );
    }

    #[test]
    fn the_largest_step_is_clear_only_against_every_other() {
        let claimed = |samples: &[&[f64]]| {
            verdict(ClaimKind::LargestStep, &["best", "middle"], &[column(samples)])
        };
        // Steps of 10, 11 and 12 with each seed, beside one of 2 and beside one that is hardly
        // smaller.
        let found = claimed(&[&[32.0, 33.0, 34.1], &[22.0, 22.0, 22.0], &[20.0, 20.0, 20.0]]);
        assert_eq!((found.holds, found.clear), (1, 1));
        let found = claimed(&[&[32.0, 33.0, 34.1], &[22.0, 22.0, 22.0], &[11.0, 12.0, 11.5]]);
        assert_eq!((found.holds, found.clear), (1, 0));
        // The same seeds that gain here gain there: it is the difference that counts, not whether
        // intervals meet.
        let found = claimed(&[&[60.0, 80.0, 100.1], &[32.0, 42.0, 52.0], &[10.0, 10.0, 10.0]]);
        assert_eq!((found.holds, found.clear), (1, 1));
        let found = claimed(&[&[32.0], &[22.0], &[20.0]]);
        assert_eq!((found.holds, found.clear), (1, 0));
        // A step that is behind says so with a minus.
        let found = claimed(&[&[20.0], &[22.0], &[20.0]]);
        assert!(found.verdict.contains("gains 2.0, this −2.0"), "{}", found.verdict);
        // Of figures with intervals of their own, the middle row's counts twice.
        let with = |half: f64| Column {
            halves: vec![Some(half); 3],
            ..column(&[&[30.0], &[20.0], &[18.0]])
        };
        let clear =
            |half: f64| verdict(ClaimKind::LargestStep, &["best", "middle"], &[with(half)]).clear;
        assert_eq!([clear(1.9), clear(2.1)], [1, 0]);
    }

    #[test]
    fn columns_are_called_what_claims_call_them() {
        for text in [
            "",
            "measure = 'error'",
            "measure = 'along'",
            "columns = [{ name = 'x' }, { epochs = 2 }]",
        ] {
            let grid: Grid = toml::from_str(&format!(
                "title = ''\nabout = ''\nrows = [{{ epochs = 1 }}]\n{text}"
            ))
            .unwrap();
            let [table] = <[ResultTable; 1]>::try_from(tables(&grid, &[], None)).unwrap();
            let names: Vec<String> =
                table.columns.iter().map(|column| column.name.clone()).collect();
            assert_eq!(names, grid.measured_names());
            let smaller = table.columns.iter().filter(|column| column.smaller_is_better);
            assert!(
                smaller
                    .map(|column| column.name.as_str())
                    .all(|name| ["seconds", "kNN error %"].contains(&name))
            );
            assert!(
                table
                    .columns
                    .iter()
                    .all(|column| column.name != "seconds" || column.smaller_is_better)
            );
        }
    }

    #[test]
    fn figures_with_intervals_of_their_own_are_clear_where_these_do_not_meet() {
        let with = |half: f64| Column {
            halves: vec![Some(half); 3],
            ..column(&[&[30.0], &[20.0], &[10.0]])
        };
        assert_eq!(
            verdict(ClaimKind::Order, &["best", "middle", "worst"], &[with(4.9), with(5.1)]).clear,
            1
        );
    }

    #[test]
    fn agreement_is_with_the_published_order() {
        let published = [3.0, 2.0, 1.0].map(|value| Some((value, None))).to_vec();
        let own = Column { published, ..column(&[&[30.0], &[10.0], &[20.0]]) };
        let shown = agreement(&own, &[]);
        assert!((shown.agreement.unwrap().value - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(agreement(&column(&[&[1.0], &[2.0], &[3.0]]), &[]).agreement, None);
    }

    #[test]
    fn quarters_are_what_was_measured_there() {
        let points = [(2.0, 0.1), (4.0, 0.2), (6.0, 0.3), (8.0, 0.4)].to_vec();
        let outcome = |val_knn_acc1| Outcome { epochs: 8, val_knn_acc1, ..Outcome::default() };
        let whole = outcome(points);
        assert_eq!(
            (1..=4).map(|quarter| along(&whole, quarter)).collect::<Vec<_>>(),
            [0.1, 0.2, 0.3, 0.4].map(Some)
        );
        assert_eq!(along(&outcome(vec![(8.0, 0.4)]), 2), None);
    }
}
