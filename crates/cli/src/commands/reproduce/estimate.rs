//! How long a grid will take on this machine, from a few steps of each kind of its runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use indicatif::HumanDuration;
use selfsame::data::Dataset;
use selfsame::eval::{Subject, evaluate};
use selfsame::nn::device;
use selfsame::nn::layers::Init;
use selfsame::train::Plan;
use serde_json::{Value, json};

use selfsame::grid::{Cell, Grid};
use selfsame::reproduce::ReproduceOptions;

use super::study;
use crate::terminal::{Bar, Live, Terminal};
use crate::{misuse, options};
use selfsame::bench::step_time;
use selfsame::load;

/// Steps of which the median counts.
const STEPS: usize = 3;

/// Set, row and column: runs that differ in their seed alone.
type Kind = [String; 3];

/// What a kind of run takes.
#[derive(Clone, Copy)]
struct Cost {
    training: f64,
    measuring: f64,
}

/// Says, and returns for machines, how many runs are left and how long they take.
pub fn estimate(
    grid: &Grid,
    options: &ReproduceOptions,
    terminal: &Terminal,
) -> anyhow::Result<Value> {
    let cells = grid.cells().map_err(misuse)?;
    let ReproduceOptions { out, shard, threads, .. } = options;
    let name = &grid.name;
    selfsame::reproduce::holds(out, grid)?;
    let mine: Vec<&Cell> = cells.iter().skip(shard.0 - 1).step_by(shard.1).collect();
    let mut left = Vec::new();
    for cell in &mine {
        if cell.outcome(out)?.is_none() {
            left.push(*cell);
        }
    }
    // Seeds cost the same, so one run of each kind is looked at; and of these but a row and a
    // column, since what a row adds to a step, mostly its views, it adds in every column.
    let needed = |cell: &Cell| {
        let first = cells.iter().find(|other| other.set == cell.set).expect("its own set");
        let kind = |row: &str, column: &str| [&cell.set, row, column].map(str::to_owned);
        [
            kind(&first.row, &first.column),
            kind(&cell.row, &first.column),
            kind(&first.row, &cell.column),
        ]
    };
    let kinds: BTreeSet<Kind> = left.iter().flat_map(|cell| needed(cell)).collect();
    let mut measured: BTreeMap<Kind, Cost> = BTreeMap::new();
    let mut measure = Measure { images: None, measuring: BTreeMap::new() };
    let bar = Bar::new("kinds");
    for (at, kind) in kinds.iter().enumerate() {
        let of_kind = |cell: &&Cell| [&cell.set, &cell.row, &cell.column].into_iter().eq(kind);
        let cell = cells.iter().find(of_kind).expect("grids are whole");
        bar.set(at as u64, kinds.len() as u64, cell.name());
        measured.insert(kind.clone(), measure.cost(cell)?);
    }
    bar.finish();
    let costs: Vec<Cost> =
        left.iter().map(|cell| cost(needed(cell).map(|kind| measured[&kind]))).collect();
    let seconds: f64 = costs.iter().map(|cost| cost.training + cost.measuring).sum();
    let threads = threads.unwrap_or_else(rayon::current_num_threads);
    let of = if shard.1 > 1 { format!(" of part {}/{}", shard.0, shard.1) } else { String::new() };
    let done = mine.len() - left.len();
    let done_words = if done > 0 { format!(", {done} done") } else { String::new() };
    terminal.say(&format!("{name}: {} runs{of}{done_words}", mine.len()));
    if !left.is_empty() {
        let time = HumanDuration(Duration::from_secs_f64(seconds));
        let threads_words =
            if threads == 1 { "one thread".to_owned() } else { format!("{threads} threads") };
        terminal.say(&format!(
            "  the {} left take about {time} on {threads_words} of this machine: {STEPS} steps of \
             {} kinds of run were \
             timed, and one evaluation",
            left.len(),
            kinds.len()
        ));
    }
    if grid.forecast.is_some()
        && selfsame::reproduce::forecast(&out.join("forecast"), grid)?.is_none()
    {
        terminal.say("  the forecast comes on top");
    }
    Ok(json!({
        "grid": name,
        "runs": mine.len(),
        "left": left.len(),
        "seconds": seconds,
        "threads": threads,
        "kinds_timed": kinds.len(),
        "cells": left.iter().zip(&costs).map(|(cell, cost)| json!({
            "run": cell.name(), "training_seconds": cost.training, "measuring_seconds": cost.measuring
        })).collect::<Vec<_>>(),
    }))
}

/// What a run takes, by what was timed: the first row's run in the first column, its own row's
/// there, and the first row's in its own column.
fn cost(timed: [Cost; 3]) -> Cost {
    let both = |of: fn(Cost) -> f64| {
        let [corner, row, column] = timed.map(of);
        // What is timed can seem shorter than it is.
        (row + column - corner).max(0.5 * row.min(column))
    };
    Cost { training: both(|cost| cost.training), measuring: both(|cost| cost.measuring) }
}

/// What is kept from one kind of run to the next.
struct Measure {
    /// The images last read, and what was asked for.
    images: Option<(String, Dataset)>,
    /// Seconds of an evaluation, by images and encoder.
    measuring: BTreeMap<String, f64>,
}

impl Measure {
    fn cost(&mut self, cell: &Cell) -> anyhow::Result<Cost> {
        let args = study(cell)?;
        let images = &args.images;
        let options = options::pretrain(&args)?;
        let asked = format!("{:?}", (images, args.training.seed));
        if self.images.as_ref().is_none_or(|(found, _)| *found != asked) {
            self.images = Some((
                asked,
                load(&images.data, &options.load_options(None), &mut Live::default())?,
            ));
        }
        let (asked, dataset) = self.images.as_ref().expect("just read");
        let plan = options.plan(dataset.image_size)?;
        let (step, steps) = step_time(&plan, dataset, &args.device.device, STEPS)?;
        let kind = format!("{asked} {:?}", plan.encoder);
        let measuring = match self.measuring.get(&kind) {
            Some(seconds) => *seconds,
            None => {
                let seconds = evaluation(&plan, dataset, &args.device.device)?;
                self.measuring.insert(kind, seconds);
                seconds
            }
        };
        Ok(Cost { training: step * steps as f64, measuring })
    }
}

/// Seconds of measuring an encoder as a run does at its end.
fn evaluation(plan: &Plan, dataset: &Dataset, on: &str) -> anyhow::Result<f64> {
    let device = device::by_name(on).map_err(misuse)?;
    let encoder = plan.encoder.init(&mut Init::new(plan.seed, &device));
    let start = Instant::now();
    let subject = Subject {
        dataset,
        policy: &plan.augment,
        seed: plan.seed,
        trained: &encoder,
        untrained: &encoder,
        device: &device,
    };
    evaluate(&subject, &mut |_| ())?;
    Ok(start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_what_its_row_and_its_column_add() {
        let timed = |training, measuring| Cost { training, measuring };
        let [corner, row, column] = [timed(10.0, 3.0), timed(14.0, 9.0), timed(20.0, 3.0)];
        let found = cost([corner, row, column]);
        assert_eq!([found.training, found.measuring], [24.0, 9.0]);
        let found = cost([timed(10.0, 3.0), timed(4.0, 3.0), timed(5.0, 3.0)]);
        assert_eq!([found.training, found.measuring], [2.0, 3.0]);
    }
}
