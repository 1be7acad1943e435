//! The δ and ε to try, and the comparison of two certificates.

use super::{Certificate, ScaledClass};

/// A δ, and the main part of each class at that δ.
pub(super) struct Level {
    pub(super) delta: f64,
    pub(super) parts: Vec<usize>,
}

/// Returns the levels at which the main part of some class changes, in the order of δ. Below the
/// first level, some class has no main part at all.
///
/// σ, the smallest share of a class in its main part, need not rise from one level to the next. A
/// condition may hold at the later level all the same: another class may have a larger share, or a
/// measured gap may be smaller.
pub(super) fn levels(classes: &[ScaledClass]) -> Vec<Level> {
    let mut deltas: Vec<f64> =
        classes.iter().flat_map(|side| side.main_parts.iter().map(|part| part.delta)).collect();
    deltas.sort_by(f64::total_cmp);
    deltas.dedup();
    let mut reached = vec![0; classes.len()];
    let mut levels: Vec<Level> = Vec::new();
    for delta in deltas {
        for (reached, side) in reached.iter_mut().zip(classes) {
            *reached +=
                usize::from(side.main_parts.get(*reached).is_some_and(|part| part.delta <= delta));
        }
        if reached.contains(&0) {
            continue;
        }
        levels.push(Level { delta, parts: reached.iter().map(|reached| reached - 1).collect() });
    }
    levels
}

/// Returns each distinct value of `sorted`, ascending, with the number of values above it.
pub(super) fn distinct(sorted: &[f64]) -> impl Iterator<Item = (f64, usize)> + '_ {
    let last = |at: &usize| sorted.get(at + 1).is_none_or(|next| *next > sorted[*at]);
    (0..sorted.len()).filter(last).map(|at| (sorted[at], sorted.len() - at - 1))
}

/// Returns the certificate with the smaller bound. If the bounds are equal, or if both are vacuous,
/// returns the certificate whose condition has more slack.
pub(super) fn better(a: Certificate, b: Certificate) -> Certificate {
    let second = match (a.holds(), b.holds()) {
        (true, true) if a.error != b.error => b.error < a.error,
        (true, false) => false,
        (false, true) => true,
        _ => b.slack > a.slack,
    };
    if second { b } else { a }
}
