//! Figures that the columns of a table show if a grid has only rows.

use selfsame_report::experiment::Outcome;
use selfsame_report::record::Representation;
use serde::{Deserialize, Serialize};

/// Figures that the columns show for each row if a grid has no columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Every accuracy, the ranks and the time.
    #[default]
    Everything,
    /// Only the kNN error.
    Error,
    /// The kNN accuracy on validation images after each quarter of training, the kNN accuracy on
    /// test images at its end, and the rank of the outputs.
    Along,
}

/// Number of parts of training. [`Measure::Along`] shows the kNN accuracy after each part.
const QUARTERS: u64 = 4;

/// First part of the name of a forecast's column. The column's distance follows.
pub(crate) const FORECAST_COLUMN: &str = "1 − σ % at ";

/// A column that is filled from runs.
pub(crate) struct Measured {
    pub name: String,
    /// Number of decimals of the column's figures.
    pub digits: usize,
    pub smaller_is_better: bool,
    /// Whether the column's figures may be plotted together with the figures of the other columns:
    /// all of these figures are accuracies, or all are errors.
    pub drawn: bool,
    pub value: Value,
    /// The figure of a baseline, if it is measured.
    pub baseline: Option<OfBaseline>,
}

/// Reads a figure from a run, if it has been measured.
pub(crate) type Reading = fn(&Outcome) -> Option<f64>;

/// Reads the figure of a baseline from a run, if it has been measured.
pub(crate) type OfBaseline = fn(&Outcome, &Representation) -> Option<f64>;

/// The baselines of a table, in the order of its rows.
pub(crate) const BASELINES: [Representation; 3] =
    [Representation::Untrained, Representation::Patches, Representation::Pixels];

/// Figure that a column shows of a run.
pub(crate) enum Value {
    /// One figure.
    Of(Reading),
    /// The validation kNN accuracy after this number of quarters of training.
    After(u64),
}

impl Value {
    pub fn read(&self, outcome: &Outcome) -> Option<f64> {
        match self {
            Self::Of(reading) => reading(outcome),
            Self::After(quarter) => along(outcome, *quarter).map(|accuracy| 100.0 * accuracy),
        }
    }
}

impl Measured {
    /// Builds a column of percentages.
    pub fn new(name: &str, reading: Reading) -> Self {
        Self {
            name: name.to_owned(),
            digits: 1,
            smaller_is_better: false,
            drawn: true,
            value: Value::Of(reading),
            baseline: None,
        }
    }

    /// Builds a column with the kNN accuracy on test images.
    pub fn knn(name: &str) -> Self {
        let baseline: OfBaseline = |run, of| Some(100.0 * knn(run, of)?);
        Self { baseline: Some(baseline), ..Self::new(name, |run| Some(100.0 * run.knn_acc1)) }
    }

    fn after(quarter: u64) -> Self {
        let column = Self::knn(&format!("after {quarter}/{QUARTERS}"));
        Self { value: Value::After(quarter), baseline: None, ..column }
    }

    fn output_rank() -> Self {
        Self::new("output rank", |run| run.output_rank_me).undrawn()
    }

    fn beside(self, baseline: OfBaseline) -> Self {
        Self { baseline: Some(baseline), ..self }
    }

    fn undrawn(self) -> Self {
        Self { drawn: false, ..self }
    }
}

impl Measure {
    /// Returns the columns of the measure.
    pub(crate) fn columns(self) -> Vec<Measured> {
        match self {
            Self::Everything => vec![
                Measured::knn("kNN %"),
                Measured::new("gain %", |run| {
                    Some(100.0 * (run.knn_acc1 - run.untrained_knn_acc1))
                })
                .undrawn(),
                Measured::new("linear %", |run| Some(100.0 * run.linear_acc1)),
                Measured::new("centre %", |run| Some(100.0 * run.centre_acc1)),
                Measured::new("rank", |run| run.rankme)
                    .beside(|run, of| match of {
                        Representation::Untrained => run.untrained_rankme,
                        _ => None,
                    })
                    .undrawn(),
                Measured::output_rank(),
                Measured {
                    digits: 0,
                    smaller_is_better: true,
                    ..Measured::new("seconds", |run| Some(run.seconds)).undrawn()
                },
            ],
            Self::Error => vec![Measured {
                smaller_is_better: true,
                ..Measured::new("kNN error %", |run| Some(100.0 * (1.0 - run.knn_acc1)))
                    .beside(|run, of| Some(100.0 * (1.0 - knn(run, of)?)))
            }],
            Self::Along => {
                let quarters = (1..=QUARTERS).map(Measured::after);
                quarters.chain([Measured::knn("test"), Measured::output_rank()]).collect()
            }
        }
    }
}

/// Returns the kNN accuracy of a baseline on test images.
fn knn(outcome: &Outcome, of: &Representation) -> Option<f64> {
    match of {
        Representation::Untrained => Some(outcome.untrained_knn_acc1),
        of => outcome.baselines_knn_acc1.get(of).copied(),
    }
}

/// Returns the kNN accuracy on validation images after `quarter` quarters of training, from the
/// measurement nearest to that epoch.
fn along(outcome: &Outcome, quarter: u64) -> Option<f64> {
    let wanted = outcome.epochs as f64 * quarter as f64 / QUARTERS as f64;
    let nearest = outcome
        .val_knn_acc1
        .iter()
        .min_by(|a, b| (a.0 - wanted).abs().total_cmp(&(b.0 - wanted).abs()))?;
    // A difference up to half an epoch is rounding; a larger one belongs to another quarter.
    ((nearest.0 - wanted).abs() <= 0.5).then_some(nearest.1)
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn smaller_is_better_for_times_and_errors() {
        for measure in [Measure::Everything, Measure::Error, Measure::Along] {
            for column in measure.columns() {
                let smaller = ["seconds", "kNN error %"].contains(&column.name.as_str());
                assert_eq!(column.smaller_is_better, smaller, "{}", column.name);
            }
        }
    }
}
