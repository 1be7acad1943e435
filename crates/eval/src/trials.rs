//! The rows that a setting is chosen on: held-out rows, or folds.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Number of folds of a cross-validation.
pub const FOLDS: usize = 5;

/// A way to choose a setting, such as k or a penalty, without the rows that are measured at the
/// end: each part is fitted on some rows and tried on others.
#[derive(Debug, Clone, PartialEq)]
pub struct Trials {
    /// The parts. Where rows are held out, there is a single part.
    pub parts: Vec<Part>,
    /// The rows of the final fit, with the setting that was chosen.
    pub all: Vec<usize>,
}

/// Rows to fit, and other rows to try the fit on.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The rows to fit.
    pub fit: Vec<usize>,
    /// The rows that the fit is tried on.
    pub held: Vec<usize>,
}

impl Trials {
    /// Tries on the rows `held`. Trials and the final fit use the rows `fit`.
    pub fn held_out(fit: Vec<usize>, held: Vec<usize>) -> Self {
        Self { parts: vec![Part { fit: fit.clone(), held }], all: fit }
    }

    /// Cross-validates in five folds, stratified by class: each fold is tried by a fit on the four
    /// others, and the final fit is on all rows. `copies` lists rows of the same image, which stay
    /// in one fold, since a copy in another fold would be its nearest neighbour. Rows are dealt in an
    /// order drawn from `seed`.
    ///
    /// ```
    /// use selfsame_eval::Trials;
    ///
    /// let labels = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1];
    /// let trials = Trials::folds(&labels, &[], 0);
    /// // Each fold has one row of each class.
    /// assert_eq!(trials.parts.len(), 5);
    /// assert!(trials.parts.iter().all(|part| part.held[0] < 5 && part.held[1] >= 5));
    /// ```
    pub fn folds(labels: &[u32], copies: &[Vec<usize>], seed: u64) -> Self {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        // A stable sort keeps the drawn order within a class.
        order.sort_by_key(|&row| labels[row]);
        let mut fold = vec![0; labels.len()];
        for (at, &row) in order.iter().enumerate() {
            fold[row] = at % FOLDS;
        }
        for group in copies {
            for &row in group {
                fold[row] = fold[group[0]];
            }
        }
        let rows =
            |of: &dyn Fn(usize) -> bool| (0..fold.len()).filter(|&row| of(fold[row])).collect();
        let part = |held: usize| Part {
            fit: rows(&|fold| fold != held),
            held: rows(&|fold| fold == held),
        };
        let parts =
            (0..FOLDS).map(part).filter(|part| !part.fit.is_empty() && !part.held.is_empty());
        Self { parts: parts.collect(), all: (0..labels.len()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::labels;

    proptest! {
        #[test]
        fn folds_part_the_rows_and_their_classes(rows in 0..120_usize, classes in 1..6_usize, seed in any::<u64>()) {
            let labels = labels(rows, classes, seed);
            let trials = Trials::folds(&labels, &[], seed);
            let mut held: Vec<usize> = trials.parts.iter().flat_map(|part| part.held.clone()).collect();
            held.sort_unstable();
            // A single row leaves nothing to fit.
            prop_assert!(held == trials.all || rows == 1);
            for part in &trials.parts {
                let mut both = [&part.fit[..], &part.held].concat();
                both.sort_unstable();
                prop_assert_eq!(&both, &trials.all);
                for class in 0..classes as u32 {
                    let count = |rows: &[usize]| rows.iter().filter(|row| labels[**row] == class).count();
                    let even = count(&trials.all) / FOLDS;
                    prop_assert!((even..=even + 1).contains(&count(&part.held)));
                }
            }
        }
    }

    #[test]
    fn copies_share_a_fold() {
        let copies = [vec![0, 7, 19], vec![3, 4]];
        for seed in 0..20 {
            let trials = Trials::folds(&[0; 20], &copies, seed);
            for part in &trials.parts {
                for group in &copies {
                    let held = group.iter().filter(|row| part.held.contains(row)).count();
                    assert!(held == 0 || held == group.len());
                }
            }
        }
    }
}
