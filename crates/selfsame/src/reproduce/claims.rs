//! Judges claims in the columns of a table.
//!
//! A claim holds in a column if the means over seeds confirm it. It holds clearly if every
//! difference that it rests on is beyond chance. The differences are taken seed by seed for that,
//! because rows trained with the same seed share the effect of that seed.

use selfsame_report::experiment::{Failure, Finding, Gap};
use selfsame_report::{MeanInterval, mean_interval};

use super::column::Column;
use crate::grid::{Claim, ClaimKind};

/// Judges a claim, column by column.
pub(super) fn finding(claim: &Claim, columns: &[Column], rows: &[String]) -> Finding {
    let is_judged = |column: &&Column| {
        claim.columns.is_empty() && column.drawn || claim.columns.contains(&column.name)
    };
    let mut finding = Finding { claim: claim.says.clone(), ..Finding::default() };
    for column in columns.iter().filter(is_judged) {
        let Some(judgement) = judge(claim, column, rows) else { continue };
        finding.of += 1;
        let name = column.name.clone();
        match judgement {
            Judgement { gaps, .. } if !gaps.is_empty() => {
                finding.fails.push(Failure { column: name, gaps });
            }
            Judgement { clear: true, .. } => {
                finding.holds += 1;
                finding.clear += 1;
            }
            Judgement { clear: false, .. } => {
                finding.holds += 1;
                finding.unclear.push(name);
            }
        }
    }
    finding
}

/// The judgement of a claim in one column.
struct Judgement {
    /// Differences that contradict the claim; empty if it holds.
    gaps: Vec<Gap>,
    /// Whether every difference that the claim rests on is beyond chance.
    clear: bool,
}

/// Judges a claim in a column. Returns `None` if the column lacks a row that the claim is about.
fn judge(claim: &Claim, column: &Column, rows: &[String]) -> Option<Judgement> {
    let row = |name: &String| rows.iter().position(|row| row == name);
    let named = claim.rows.iter().map(row).collect::<Option<Vec<usize>>>()?;
    match (claim.kind, named.as_slice()) {
        (ClaimKind::Order, order) => judge_order(order, column, rows),
        (ClaimKind::LargestStep, &[to, from, ..]) => judge_step([to, from], column, rows),
        (ClaimKind::Best, &[best, ..]) => judge_best(best, column, rows),
        (ClaimKind::Worst, &[worst, ..]) => judge_worst(worst, column, rows),
        _ => None,
    }
}

/// Judges the claim that each row is better than the next.
fn judge_order(order: &[usize], column: &Column, rows: &[String]) -> Option<Judgement> {
    let mut judgement = Judgement { gaps: Vec::new(), clear: true };
    for pair in order.windows(2) {
        let step = gain(column, pair[0], pair[1])?;
        judgement.clear &= step.clear;
        if step.mean <= 0.0 {
            let [row, other] = [pair[0], pair[1]].map(|row| rows[row].clone());
            judgement.gaps.push(Gap::Behind { row, other, by: -step.mean });
        }
    }
    Some(judgement)
}

/// Judges the claim that the step from one row to another gains more than every other step from a
/// row of the table to the row above it.
fn judge_step([to, from]: [usize; 2], column: &Column, rows: &[String]) -> Option<Judgement> {
    let claimed = gain(column, to, from)?;
    let mut judgement = Judgement { gaps: Vec::new(), clear: claimed.clear };
    for lower in 1..rows.len() {
        let upper = lower - 1;
        if (upper, lower) == (to, from) {
            continue;
        }
        let lead = contrast(column, &[(to, 1.0), (from, -1.0), (upper, -1.0), (lower, 1.0)])?;
        judgement.clear &= lead.clear;
        if lead.mean <= 0.0 {
            judgement.gaps.push(Gap::LargerStep {
                row: rows[upper].clone(),
                over: rows[lower].clone(),
                gains: claimed.mean - lead.mean,
                claimed: claimed.mean,
            });
        }
    }
    Some(judgement)
}

/// Judges the claim that the row is better than every other row.
fn judge_best(best: usize, column: &Column, rows: &[String]) -> Option<Judgement> {
    let (passed, clear) = passed(best, rows.len(), &|other| gain(column, best, other))?;
    let gap = furthest(&passed).map(|(row, by)| Gap::NotBest {
        rows: passed.len() as u64,
        of: rows.len() as u64 - 1,
        furthest: rows[row].clone(),
        by,
    });
    Some(Judgement { gaps: gap.into_iter().collect(), clear })
}

/// Judges the claim that every other row is better than the row `worst`.
fn judge_worst(worst: usize, column: &Column, rows: &[String]) -> Option<Judgement> {
    let (passed, clear) = passed(worst, rows.len(), &|other| gain(column, other, worst))?;
    let gap = furthest(&passed).map(|(row, by)| Gap::NotWorst {
        rows: passed.len() as u64,
        of: rows.len() as u64 - 1,
        furthest: rows[row].clone(),
        by,
    });
    Some(Judgement { gaps: gap.into_iter().collect(), clear })
}

/// Finds the other rows whose claimed `lead` is not positive, each with the amount by which its
/// lead is negative. Also returns whether all leads are beyond chance.
fn passed(
    row: usize,
    rows: usize,
    lead: &dyn Fn(usize) -> Option<Gain>,
) -> Option<(Vec<(usize, f64)>, bool)> {
    let (mut passed, mut clear) = (Vec::new(), true);
    for other in (0..rows).filter(|&other| other != row) {
        let lead = lead(other)?;
        clear &= lead.clear;
        if lead.mean <= 0.0 {
            passed.push((other, -lead.mean));
        }
    }
    Some((passed, clear))
}

fn furthest(passed: &[(usize, f64)]) -> Option<(usize, f64)> {
    passed.iter().max_by(|a, b| a.1.total_cmp(&b.1)).copied()
}

/// Amount by which one row is better than another, or one step larger than another.
struct Gain {
    mean: f64,
    /// Whether the mean is beyond chance. For figures with seeds, the 95 % interval of the
    /// differences, seed by seed, decides. For figures with their own intervals, the mean must
    /// exceed the sum of the half widths of those intervals.
    clear: bool,
}

fn gain(column: &Column, better: usize, worse: usize) -> Option<Gain> {
    contrast(column, &[(better, 1.0), (worse, -1.0)])
}

/// Computes the weighted sum of rows over the seeds that all of these rows have.
fn contrast(column: &Column, terms: &[(usize, f64)]) -> Option<Gain> {
    let sign = if column.smaller_is_better { -1.0 } else { 1.0 };
    let mut weights = vec![0.0; column.samples.len()];
    terms.iter().for_each(|&(row, weight)| weights[row] += sign * weight);
    let terms: Vec<(usize, f64)> =
        weights.into_iter().enumerate().filter(|&(_, weight)| weight != 0.0).collect();
    let value = |row: usize, seed: u64| {
        column.samples[row].iter().find(|sample| sample.0 == seed).map(|sample| sample.1)
    };
    let sum = |seed: u64| {
        terms.iter().map(|&(row, weight)| Some(weight * value(row, seed)?)).sum::<Option<f64>>()
    };
    let seeds = column.samples[terms.first()?.0].iter().map(|sample| sample.0);
    let MeanInterval { mean, half } = mean_interval(&seeds.filter_map(sum).collect::<Vec<_>>())?;
    let halves = terms
        .iter()
        .map(|&(row, weight)| Some(weight.abs() * column.halves[row]?))
        .sum::<Option<f64>>();
    Some(Gain { mean, clear: half.or(halves).is_some_and(|half| mean > half) })
}

#[cfg(test)]
mod tests {
    use super::super::column::tests::column;
    use super::*;

    fn verdict(kind: ClaimKind, named: &[&str], columns: &[Column]) -> Finding {
        let rows = ["best", "middle", "worst"].map(str::to_owned);
        let claim = Claim {
            says: "so".to_owned(),
            kind,
            rows: named.iter().map(|row| (*row).to_owned()).collect(),
            columns: Vec::new(),
        };
        finding(&claim, columns, &rows)
    }

    #[test]
    fn an_order_holds_clearly_barely_or_not() {
        let order = ["best", "middle", "worst"];
        // Steps of 10 and 5 with every seed, whatever the effect of the seeds themselves.
        let clear = || column(&[&[35.0, 25.0, 30.0], &[25.1, 15.0, 20.0], &[20.0, 10.0, 15.1]]);
        let barely = || column(&[&[35.0, 25.0], &[25.0, 24.0], &[20.0, 10.0]]);
        let wrong = || column(&[&[35.0], &[20.0], &[21.5]]);
        let found = verdict(ClaimKind::Order, &order, &[clear(), barely(), wrong()]);
        assert_eq!((found.holds, found.clear, found.of), (2, 1, 3));
        assert!(
            found.verdict().contains("not in x (middle is 1.5 behind worst)"),
            "{}",
            found.verdict()
        );
        // If smaller is better, the judgement is the other way round.
        let turned = |column: Column| Column { smaller_is_better: true, ..column };
        assert_eq!(
            verdict(ClaimKind::Order, &["worst", "middle", "best"], &[turned(clear())]).holds,
            1
        );
        assert_eq!(verdict(ClaimKind::Order, &order, &[turned(clear())]).holds, 0);
        // A tie is not an order, and a row without runs gets no verdict.
        assert_eq!(
            verdict(ClaimKind::Order, &order, &[column(&[&[2.0], &[2.0], &[1.0]])]).holds,
            0
        );
        let found = verdict(ClaimKind::Order, &order, &[column(&[&[2.0], &[], &[1.0]])]);
        assert_eq!((found.of, found.verdict().as_str()), (0, "no run to tell by yet"));
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
            found.holds == 0 && found.verdict().contains("middle over worst gains 20.0, this 1.0"),
            "{}",
            found.verdict()
        );
        assert_eq!(verdict(ClaimKind::Best, &["best"], &[small_then_large()]).holds, 1);
        assert_eq!(verdict(ClaimKind::Worst, &["worst"], &[small_then_large()]).holds, 1);
        let found = verdict(ClaimKind::Best, &["middle"], &[small_then_large()]);
        assert!(
            found.verdict().contains("1 of 2 are ahead or level, best the most, by 1.0"),
            "{}",
            found.verdict()
        );
        let found = verdict(ClaimKind::Worst, &["best"], &[small_then_large()]);
        assert!(
            found.verdict().contains("2 of 2 are below or level, worst the most, by 21.0"),
            "{}",
            found.verdict()
        );
    }

    #[test]
    fn the_largest_step_is_clear_only_against_every_other() {
        let claimed = |samples: &[&[f64]]| {
            verdict(ClaimKind::LargestStep, &["best", "middle"], &[column(samples)])
        };
        // Steps of 10, 11 and 12 with each seed, compared with a step of 2 and a step that is
        // hardly smaller.
        let found = claimed(&[&[32.0, 33.0, 34.1], &[22.0, 22.0, 22.0], &[20.0, 20.0, 20.0]]);
        assert_eq!((found.holds, found.clear), (1, 1));
        let found = claimed(&[&[32.0, 33.0, 34.1], &[22.0, 22.0, 22.0], &[11.0, 12.0, 11.5]]);
        assert_eq!((found.holds, found.clear), (1, 0));
        // The same seeds gain in both steps: the difference counts, not whether intervals overlap.
        let found = claimed(&[&[60.0, 80.0, 100.1], &[32.0, 42.0, 52.0], &[10.0, 10.0, 10.0]]);
        assert_eq!((found.holds, found.clear), (1, 1));
        let found = claimed(&[&[32.0], &[22.0], &[20.0]]);
        assert_eq!((found.holds, found.clear), (1, 0));
        // A step that loses is shown with a minus.
        let found = claimed(&[&[20.0], &[22.0], &[20.0]]);
        assert!(found.verdict().contains("gains 2.0, this −2.0"), "{}", found.verdict());
        // For figures with their own intervals, the middle row's interval counts twice.
        let with = |half: f64| Column {
            halves: vec![Some(half); 3],
            ..column(&[&[30.0], &[20.0], &[18.0]])
        };
        let clear =
            |half: f64| verdict(ClaimKind::LargestStep, &["best", "middle"], &[with(half)]).clear;
        assert_eq!([clear(1.9), clear(2.1)], [1, 0]);
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
}
