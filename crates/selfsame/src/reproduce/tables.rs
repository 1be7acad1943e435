//! Turns the runs of a grid into its tables.

use selfsame_report::experiment::{Figure, Order, Outcome, ResultColumn, ResultRow, ResultTable};
use selfsame_report::forecast::Forecast;
use selfsame_report::{MeanInterval, mean_interval};
use selfsame_theory::kendall_tau;

use super::claims::finding;
use super::column::Column;
use crate::grid::{BASELINES, FORECAST_COLUMN, Grid, Measured, Set};

/// Builds the tables of all complete runs, one per set of images.
pub(super) fn tables(
    grid: &Grid,
    outcomes: &[Outcome],
    forecast: Option<&Forecast>,
) -> Vec<ResultTable> {
    grid.sets().iter().map(|set| table(grid, set, outcomes, forecast)).collect()
}

fn table(grid: &Grid, set: &Set, outcomes: &[Outcome], forecast: Option<&Forecast>) -> ResultTable {
    let runs: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.set == set.name).collect();
    let mut rows = grid.row_names();
    let mut columns = measured(grid, &runs, &rows);
    publish(&mut columns, set);
    if let Some(forecast) = forecast {
        columns.extend(forecast_columns(grid, forecast));
    }
    let findings = grid.claims.iter().map(|claim| finding(claim, &columns, &rows)).collect();
    let heads = columns.iter().map(|column| head(column, &columns)).collect();
    // All rows have the same images and, if they share an encoder, the same one before training.
    for (at, of) in BASELINES.iter().enumerate() {
        if columns.iter().all(|column| column.baselines[at].is_empty()) {
            continue;
        }
        for column in &mut columns {
            column.samples.push(std::mem::take(&mut column.baselines[at]));
            column.halves.push(None);
            column.published.push(None);
        }
        rows.push(of.to_string());
    }
    let figures = |row: usize| columns.iter().map(|column| figure(column, row)).collect();
    ResultTable {
        name: set.name.clone(),
        source: set.published.as_ref().map(|published| published.source.clone()),
        columns: heads,
        rows: rows
            .into_iter()
            .enumerate()
            .map(|(at, name)| ResultRow { name, figures: figures(at) })
            .collect(),
        findings,
    }
}

/// Collects the measured figures of the runs.
fn measured(grid: &Grid, runs: &[&Outcome], rows: &[String]) -> Vec<Column> {
    // If the grid has columns, each of them shows one figure of the runs in that column. If the
    // grid has no columns, all runs belong to one column without a name.
    if grid.columns.is_empty() {
        let columns = grid.measure.columns();
        columns.into_iter().map(|column| filled(column, "", runs, rows)).collect()
    } else {
        let names = grid.measured_names();
        names.iter().map(|name| filled(Measured::knn(name), name, runs, rows)).collect()
    }
}

/// Fills a column with the figures of the runs that the grid has in its column `name`.
fn filled(column: Measured, name: &str, runs: &[&Outcome], rows: &[String]) -> Column {
    let samples = |row: &String| -> Vec<(u64, f64)> {
        let runs = runs.iter().filter(|run| run.row == *row && run.column == name);
        runs.filter_map(|run| Some((run.seed, column.value.read(run)?))).collect()
    };
    let first: Vec<_> =
        runs.iter().filter(|run| rows.first() == Some(&run.row) && run.column == name).collect();
    let baselines = BASELINES.each_ref().map(|of| {
        let figure = |run: &&&Outcome| Some((run.seed, (column.baseline?)(run, of)?));
        first.iter().filter_map(figure).collect()
    });
    Column {
        samples: rows.iter().map(samples).collect(),
        halves: vec![None; rows.len()],
        published: vec![None; rows.len()],
        forecast: false,
        baselines,
        name: column.name,
        digits: column.digits,
        smaller_is_better: column.smaller_is_better,
        drawn: column.drawn,
    }
}

/// Adds the published figures of the set to the columns.
fn publish(columns: &mut [Column], set: &Set) {
    let Some(published) = &set.published else { return };
    for (at, column) in columns.iter_mut().enumerate() {
        for (row, place) in column.published.iter_mut().enumerate() {
            let figure = published.values.get(row).and_then(|row| row.get(at));
            *place = figure.map(|figure| (figure[0], figure.get(1).copied()));
        }
    }
}

/// Builds the columns with 1 − σ by row, at each distance that the forecast shows.
fn forecast_columns(grid: &Grid, forecast: &Forecast) -> Vec<Column> {
    forecast.shown.iter().map(|&delta| forecast_column(grid, forecast, delta)).collect()
}

fn forecast_column(grid: &Grid, forecast: &Forecast, delta: usize) -> Column {
    let policy_of = |row: &toml::Table| {
        // Rows and forecast may call a policy by different names.
        let toml = crate::policy(row.get("augment")?.as_str()?).ok()?.to_toml();
        forecast.policies.iter().chain(&forecast.baseline).find(|policy| policy.toml == toml)
    };
    let figure = |row: &toml::Table| {
        let sigma = policy_of(row)?.sigma.get(delta)?;
        let half = sigma.interval.map(|[low, high]| 50.0 * (high - low));
        Some((100.0 * (1.0 - sigma.value()), half))
    };
    let figures: Vec<Option<(f64, Option<f64>)>> = grid.rows.iter().map(figure).collect();
    let distance = forecast.deltas.get(delta).map_or(f64::NAN, |at| at.levels.unwrap_or(at.delta));
    Column {
        name: format!("{FORECAST_COLUMN}{distance:.0}"),
        digits: 1,
        smaller_is_better: true,
        drawn: true,
        samples: figures
            .iter()
            .map(|figure| figure.iter().map(|(value, _)| (0, *value)).collect())
            .collect(),
        halves: figures.iter().map(|figure| figure.and_then(|(_, half)| half)).collect(),
        published: vec![None; grid.rows.len()],
        forecast: true,
        baselines: Default::default(),
    }
}

fn values(samples: &[(u64, f64)]) -> Vec<f64> {
    samples.iter().map(|(_, value)| *value).collect()
}

fn mean(samples: &[(u64, f64)]) -> Option<f64> {
    mean_interval(&values(samples)).map(|interval| interval.mean)
}

fn figure(column: &Column, row: usize) -> Option<Figure> {
    let samples = column.samples.get(row)?;
    let MeanInterval { mean, half } = mean_interval(&values(samples))?;
    Some(Figure {
        mean,
        half: half.or(column.halves[row]),
        seeds: if column.forecast { 0 } else { samples.len() as u64 },
        published: column.published[row],
    })
}

/// Returns the column as it is shown. It includes Kendall's τ between its order of the rows and the
/// published order; for a forecast, between its order and the order of the first measured column.
fn head(column: &Column, columns: &[Column]) -> ResultColumn {
    let means = |column: &Column| column.samples.iter().map(|samples| mean(samples)).collect();
    let (theirs, order): (Vec<Option<f64>>, Order) = if column.forecast {
        let measured = columns.iter().find(|other| !other.forecast);
        (measured.map(means).unwrap_or_default(), Order::Measured)
    } else {
        let published = column.published.iter().map(|figure| figure.map(|(value, _)| value));
        (published.collect(), Order::Published)
    };
    let pairs = means(column).into_iter().zip(theirs).filter_map(|(a, b)| a.zip(b));
    let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.unzip();
    let agreement = kendall_tau(&ours, &theirs).ok().flatten().map(|kendall| kendall.tau);
    ResultColumn {
        name: column.name.clone(),
        digits: column.digits,
        smaller_is_better: column.smaller_is_better,
        drawn: column.drawn,
        against: agreement.is_some().then_some(order),
        agreement,
    }
}

#[cfg(test)]
mod tests {
    use super::super::column::tests::column;
    use super::*;

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
        }
    }

    #[test]
    fn agreement_is_with_the_published_order() {
        let published = [3.0, 2.0, 1.0].map(|value| Some((value, None))).to_vec();
        let ours = Column { published, ..column(&[&[30.0], &[10.0], &[20.0]]) };
        let shown = head(&ours, &[]);
        assert!((shown.agreement.unwrap().value - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(shown.against, Some(Order::Published));
        assert_eq!(head(&column(&[&[1.0], &[2.0], &[3.0]]), &[]).agreement, None);
    }
}
