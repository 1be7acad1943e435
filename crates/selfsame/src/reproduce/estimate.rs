//! Estimates how long a grid will take on this machine, from a few steps of each kind of its runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use selfsame_data::Dataset;
use selfsame_eval::{Subject, evaluate};
use selfsame_nn::device;
use selfsame_nn::layers::Init;
use selfsame_report::experiment::{Estimate, RunEstimate};
use selfsame_report::record::Representation;
use selfsame_train::Plan;

use super::{ReproduceOptions, cells, check, folder, forecast, shard, study};
use crate::bench::step_time;
use crate::grid::{Cell, Grid};
use crate::{Error, Progress, StudyOptions};

/// Number of timed steps. Their median counts.
const STEPS: usize = 3;

/// Set, row and column of a run. Runs of one kind differ only in their seed.
type Kind = [String; 3];

/// Time that a run takes, in seconds.
#[derive(Clone, Copy)]
struct Cost {
    training: f64,
    measuring: f64,
}

/// Estimates how long the incomplete runs of a grid will take. Starts no run.
///
/// All seeds take the same time, so one run stands for its kind. In each table, only the kinds in
/// the first row and the kinds in the first column are timed: the time that a row adds to a step,
/// mostly for its views, is the same in every column.
///
/// # Errors
/// The errors of [`reproduce`](crate::reproduce()); also if a plan makes no sense.
pub fn estimate(
    grid: &Grid,
    options: &ReproduceOptions,
    progress: &mut dyn Progress,
) -> Result<Estimate, Error> {
    check(grid)?;
    options.shard()?;
    folder::holds(&options.out, grid)?;
    let cells = cells(grid)?;
    let runs: Vec<&Cell> = shard(&cells, options.shard).collect();
    let mut missing = Vec::new();
    for cell in &runs {
        if cell.outcome(&options.out)?.is_none() {
            missing.push(*cell);
        }
    }
    let kinds: BTreeSet<Kind> = missing.iter().flat_map(|cell| timed(cell, &cells)).collect();
    let mut clock = Clock { images: None, measuring: BTreeMap::new() };
    let mut costs: BTreeMap<&Kind, Cost> = BTreeMap::new();
    for (at, kind) in kinds.iter().enumerate() {
        let is_kind = |cell: &&Cell| [&cell.set, &cell.row, &cell.column].into_iter().eq(kind);
        let cell = cells.iter().find(is_kind).expect("every row is crossed with every column");
        progress.advance("kinds", at as u64, kinds.len() as u64, &cell.name());
        costs.insert(kind, clock.cost(&study(grid, cell)?, progress)?);
    }
    progress.finish();
    let estimate = |cell: &&Cell| {
        let cost = combined(timed(cell, &cells).map(|kind| costs[&kind]));
        RunEstimate {
            run: cell.name(),
            training_seconds: cost.training,
            measuring_seconds: cost.measuring,
        }
    };
    let estimates: Vec<RunEstimate> = missing.iter().map(estimate).collect();
    let forecast_missing =
        grid.forecast.is_some() && forecast(&options.out.join("forecast"), grid)?.is_none();
    Ok(Estimate {
        grid: grid.name.clone(),
        runs: runs.len() as u64,
        left: missing.len() as u64,
        seconds: estimates.iter().map(|run| run.training_seconds + run.measuring_seconds).sum(),
        threads: options.threads() as u64,
        kinds_timed: kinds.len() as u64,
        cells: estimates,
        steps_timed: STEPS as u64,
        shard: (options.shard.0 as u64, options.shard.1 as u64),
        forecast_missing,
    })
}

/// Returns the kinds whose times are combined for a cell: the corner of its table, its row in the
/// first column, and the first row in its column.
fn timed(cell: &Cell, cells: &[Cell]) -> [Kind; 3] {
    let first = cells.iter().find(|other| other.set == cell.set).expect("the cell is one of them");
    let kind = |row: &str, column: &str| [&cell.set, row, column].map(str::to_owned);
    [
        kind(&first.row, &first.column),
        kind(&cell.row, &first.column),
        kind(&first.row, &cell.column),
    ]
}

/// Combines the timed costs for a cell: the corner, plus the additions of its row and its column.
fn combined(timed: [Cost; 3]) -> Cost {
    let sum = |part: fn(Cost) -> f64| {
        let [corner, row, column] = timed.map(part);
        // Timing noise can make a time too short, and even make the sum of three times negative.
        (row + column - corner).max(0.5 * row.min(column))
    };
    Cost { training: sum(|cost| cost.training), measuring: sum(|cost| cost.measuring) }
}

/// Times runs and keeps the results that later runs can share.
struct Clock {
    /// The images that were read last, with the options they were read with.
    images: Option<(String, Arc<Dataset>)>,
    /// Duration of an evaluation in seconds, by images and encoder.
    measuring: BTreeMap<String, f64>,
}

impl Clock {
    fn cost(&mut self, options: &StudyOptions, progress: &mut dyn Progress) -> Result<Cost, Error> {
        let images = options.load_options(None);
        let request = format!("{:?} {images:?}", options.data.absolute());
        let dataset = match &self.images {
            Some((same, dataset)) if *same == request => Arc::clone(dataset),
            _ => options.data.get(&images, progress)?,
        };
        self.images = Some((request.clone(), Arc::clone(&dataset)));
        let plan = options.plan(&dataset)?;
        let (step, steps) = step_time(&plan, &dataset, &options.device, STEPS)?;
        let kind = format!("{request} {:?}", plan.encoder);
        let measuring = match self.measuring.get(&kind) {
            Some(seconds) => *seconds,
            None => {
                let seconds = evaluation(&plan, &dataset, &options.device)?;
                self.measuring.insert(kind, seconds);
                seconds
            }
        };
        Ok(Cost { training: step * steps as f64, measuring })
    }
}

/// Measures how many seconds it takes to evaluate an encoder as a run does at its end.
fn evaluation(plan: &Plan, dataset: &Dataset, on: &str) -> Result<f64, Error> {
    let device = device::by_name(on)?;
    let encoder = plan.encoder.init(&mut Init::new(plan.seed, &device));
    let start = Instant::now();
    let subject = Subject {
        dataset,
        policy: &plan.augment,
        seed: plan.seed,
        encoders: [Representation::Trained, Representation::Untrained]
            .map(|of| (of, &encoder))
            .into(),
        knn_k: plan.train.knn_k,
        device: &device,
    };
    evaluate(&subject, &mut |_, _| ())?;
    Ok(start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_what_its_row_and_its_column_add() {
        let timed = |training, measuring| Cost { training, measuring };
        let [corner, row, column] = [timed(10.0, 3.0), timed(14.0, 9.0), timed(20.0, 3.0)];
        let cost = combined([corner, row, column]);
        assert_eq!([cost.training, cost.measuring], [24.0, 9.0]);
        let cost = combined([timed(10.0, 3.0), timed(4.0, 3.0), timed(5.0, 3.0)]);
        assert_eq!([cost.training, cost.measuring], [2.0, 3.0]);
    }
}
