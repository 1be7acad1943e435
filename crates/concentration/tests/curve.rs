//! The curve σ(δ) against independent solves at every key.

use std::time::Duration;

use proptest::prelude::*;
use selfsame_concentration::clique::{Options, maximum_clique, verify};
use selfsame_concentration::curve::{Curve, curve};
use selfsame_concentration::{Graph, pair_index};

/// What must hold of every curve, finished or not; `omega[i]` is ω at the distinct key `keys[i]`.
fn check(curve: &Curve, n: usize, keys: &[u64], omega: &[(u64, usize)]) {
    assert_eq!(curve.points.len(), n);
    assert!(
        curve.points.is_sorted_by_key(|point| point.lower)
            && curve.points.is_sorted_by_key(|point| point.upper)
    );
    for (index, point) in curve.points.iter().enumerate() {
        assert!(point.lower <= point.upper);
        assert!(point.witness.len() == index + 1 && point.witness.is_sorted());
        assert!(verify(&Graph::from_threshold(n, keys, point.upper), &point.witness));
        let pairs = point
            .witness
            .iter()
            .flat_map(|&i| point.witness.iter().map(move |&j| (i, j)))
            .filter(|(i, j)| i < j);
        assert_eq!(pairs.map(|(i, j)| keys[pair_index(n, i, j)]).max().unwrap_or(0), point.upper);
    }
    for &(key, omega) in omega {
        let (lower, upper) = curve.omega_at(key);
        assert!(
            lower <= omega && omega <= upper,
            "ω({key}) = {omega} is not in [{lower}, {upper}]"
        );
    }
}

/// ω at every distinct key, one solve a key.
fn solves(n: usize, keys: &[u64]) -> Vec<(u64, usize)> {
    let mut distinct = keys.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let solve = |key| {
        let graph = Graph::from_threshold(n, keys, key);
        maximum_clique(&graph, &Options { threads: 1, ..Options::default() }).omega().unwrap()
    };
    distinct.into_iter().map(|key| (key, solve(key))).collect()
}

fn agrees(n: usize, keys: &[u64], threads: usize) {
    let curve = curve(n, keys, None, threads);
    let omega = solves(n, keys);
    check(&curve, n, keys, &omega);
    assert_eq!(curve.certified(), n);
    for (key, omega) in omega {
        assert_eq!(curve.omega_at(key), (omega, omega));
        assert_eq!(curve.sigma_at(key).0, omega as f64 / n as f64);
    }
}

/// Squared distances of points on a small grid, where many are equal and some 0.
fn grid(n: usize, side: u64, dimension: usize, mut state: u64) -> Vec<u64> {
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 20) % side
    };
    let points: Vec<Vec<u64>> = (0..n).map(|_| (0..dimension).map(|_| next()).collect()).collect();
    let square = |i: usize, j: usize| {
        points[i].iter().zip(&points[j]).map(|(a, b)| a.abs_diff(*b).pow(2)).sum()
    };
    (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).map(|(i, j)| square(i, j)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_keys(n in 0_usize..16, keys in prop::collection::vec(prop_oneof![0_u64..6, any::<u64>()], 120), threads in 1_usize..4) {
        agrees(n, &keys[..n * n.saturating_sub(1) / 2], threads);
    }

    #[test]
    fn points_of_a_grid(n in 1_usize..40, side in 1_u64..12, dimension in 1_usize..6, seed in 1_u64..u64::MAX) {
        agrees(n, &grid(n, side, dimension, seed), 1);
    }

    /// Keys without geometry are the hard ones: here proofs run out of time.
    #[test]
    fn what_a_budget_leaves_open_holds_the_truth(seed in 1_u64..u64::MAX, micros in 0_u64..3000) {
        let n = 24;
        let mut state = seed;
        let keys: Vec<u64> = (0..n * (n - 1) / 2).map(|_| { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state >> 50 }).collect();
        let curve = curve(n, &keys, Some(Duration::from_micros(micros)), 2);
        check(&curve, n, &keys, &solves(n, &keys));
    }
}

#[test]
fn the_smallest_classes_and_equal_keys() {
    let none = curve(0, &[], None, 0);
    assert!(none.points.is_empty() && none.omega_at(0) == (0, 0) && none.sigma_at(5) == (1.0, 1.0));
    let one = curve(1, &[], None, 0);
    assert_eq!(
        (one.omega_at(0), one.sigma_at(0), one.points[0].witness.as_slice()),
        ((1, 1), (1.0, 1.0), &[0][..])
    );
    let two = curve(2, &[7], None, 0);
    assert_eq!((two.omega_at(6), two.omega_at(7)), ((1, 1), (2, 2)));
    // No pair within reach of a smaller key, all at once at the common one.
    let equal = curve(70, &[3; 70 * 69 / 2], None, 2);
    assert_eq!((equal.omega_at(2), equal.omega_at(3), equal.certified()), ((1, 1), (70, 70), 70));
    // Identical images are at distance 0.
    let identical = curve(70, &[0; 70 * 69 / 2], None, 2);
    assert_eq!((identical.omega_at(0), identical.certified()), ((70, 70), 70));
    assert_eq!(curve(2, &[u64::MAX], None, 1).omega_at(u64::MAX), (2, 2));
}

#[test]
fn a_budget_of_nothing_gives_intervals() {
    let keys = grid(120, 1000, 20, 5);
    let (curve, exact) = (curve(120, &keys, Some(Duration::ZERO), 1), curve(120, &keys, None, 2));
    assert!(curve.certified() < 120 && exact.certified() == 120);
    for (point, exact) in curve.points.iter().zip(&exact.points) {
        assert!(point.lower <= exact.upper && exact.upper <= point.upper);
    }
}

#[test]
fn finished_curves_do_not_depend_on_threads() {
    let keys = grid(90, 100, 8, 11);
    let alone = curve(90, &keys, None, 1);
    for threads in [2, 5] {
        assert_eq!(curve(90, &keys, None, threads), alone);
    }
}
