//! Overlap and separation against the definition.

use proptest::prelude::*;
use selfsame_concentration::distance::{Distances, Metric};
use selfsame_concentration::separation::{Separation, SeparationError};

/// The definition: every pair of one kind against every pair of the other.
fn oracle(distances: &Distances, labels: &[u32], class: Option<u32>) -> Option<f64> {
    let pairs = || (0..distances.n).flat_map(|i| (i + 1..distances.n).map(move |j| (i, j)));
    let of_class =
        |i: usize, j: usize| class.is_none_or(|class| labels[i] == class || labels[j] == class);
    let keys = |same: bool| -> Vec<u64> {
        let kind = pairs().filter(|&(i, j)| (labels[i] == labels[j]) == same && of_class(i, j));
        kind.map(|(i, j)| distances.key(j, i)).collect()
    };
    let (same, different) = (keys(true), keys(false));
    let count = (same.len() * different.len()) as f64;
    let halves = |a: &u64| {
        different.iter().map(|b| if a < b { 2_u64 } else { u64::from(a == b) }).sum::<u64>()
    };
    (count > 0.0).then(|| same.iter().map(halves).sum::<u64>() as f64 / (2.0 * count))
}

proptest! {
    #[test]
    fn counts_are_those_of_the_definition(
        labels in prop::collection::vec(0..3_u32, 0..14), seed in any::<u64>(), spread in 1..30_u64, key in 0..30_u64,
    ) {
        let n = labels.len();
        let count = n * n.saturating_sub(1) / 2;
        let keys = (0..count as u64).map(|at| (seed ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33).map(|k| k % spread);
        let distances = Distances { n, metric: Metric::Bytes, keys: keys.collect(), pairs: vec![[0, 0]; count] };
        let found = Separation::measure(&distances, &labels, 4).unwrap();
        prop_assert_eq!(found.overall, oracle(&distances, &labels, None));
        for class in 0..4 {
            prop_assert_eq!(found.per_class[class as usize], oracle(&distances, &labels, Some(class)));
        }
        let others = |i: usize| (0..n).filter(|&j| labels[j] != labels[i]).map(|j| distances.key(i, j)).collect::<Vec<_>>();
        let near: Vec<bool> = (0..n).map(|i| others(i).iter().any(|&other| other <= key)).collect();
        let nearest: Vec<Option<u64>> = (0..n).map(|i| others(i).into_iter().min()).collect();
        prop_assert_eq!(&found.nearest_other, &nearest);
        let share = |near: Vec<bool>| match near.len() {
            0 => 0.0,
            all => near.into_iter().filter(|&near| near).count() as f64 / all as f64,
        };
        prop_assert_eq!(found.overlap(key), share(near));
    }
}

#[test]
fn misuse_is_refused() {
    let distances = Distances { n: 2, metric: Metric::Bytes, keys: vec![1], pairs: vec![[0, 0]] };
    let run = |labels: &[u32]| Separation::measure(&distances, labels, 2).unwrap_err();
    assert_eq!(run(&[0]), SeparationError::Count { labels: 1, images: 2 });
    assert_eq!(run(&[0, 2]), SeparationError::Label { image: 1, label: 2, classes: 2 });
}
