//! The δ and ε to try, and the comparison of two certificates.

use super::{Certificate, ScaledClass};

/// A δ, and the main part of each class at that δ.
pub(super) struct Level {
    pub(super) delta: f64,
    pub(super) parts: Vec<usize>,
}

/// Returns the levels at which σ, the smallest share of a class in its main part, rises, in the
/// order of δ. Below the first level, some class has no main part at all.
pub(super) fn levels(classes: &[ScaledClass]) -> Vec<Level> {
    let mut deltas: Vec<f64> =
        classes.iter().flat_map(|side| side.main_parts.iter().map(|part| part.delta)).collect();
    deltas.sort_by(f64::total_cmp);
    deltas.dedup();
    let mut reached = vec![0; classes.len()];
    let mut levels: Vec<Level> = Vec::new();
    let mut least = 0.0;
    for delta in deltas {
        for (reached, side) in reached.iter_mut().zip(classes) {
            *reached +=
                usize::from(side.main_parts.get(*reached).is_some_and(|part| part.delta <= delta));
        }
        if reached.contains(&0) {
            continue;
        }
        let parts: Vec<usize> = reached.iter().map(|reached| reached - 1).collect();
        let share = classes
            .iter()
            .zip(&parts)
            .map(|(side, &at)| side.share(&side.main_parts[at]))
            .fold(1.0, f64::min);
        if share > least {
            least = share;
            levels.push(Level { delta, parts });
        }
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
