//! The exact clique search against enumerations that share no code with it.

use proptest::prelude::*;
use selfsame_concentration::Graph;
use selfsame_concentration::clique::{Clique, Options, maximum_clique, verify};

fn solve(graph: &Graph, threads: usize) -> Clique {
    let clique = maximum_clique(graph, &Options { threads, ..Options::default() });
    assert!(clique.optimal() && verify(graph, &clique.witness) && clique.witness.is_sorted());
    clique
}

/// ω by trying the vertices in turn: the largest clique in `candidates`, with the highest vertex or
/// without it.
fn enumerate(rows: &[u32], candidates: u32) -> u32 {
    if candidates == 0 {
        return 0;
    }
    let v = 31 - candidates.leading_zeros();
    let rest = candidates & !(1 << v);
    let without = rest & !rows[v as usize];
    let with = 1 + enumerate(rows, rest & rows[v as usize]);
    // A clique without v has another vertex that v is not joined to, or v could be added.
    if without == 0 { with } else { with.max(enumerate(rows, rest)) }
}

/// ω by Bron and Kerbosch's enumeration of maximal cliques with Tomita's pivot.
fn bron_kerbosch(graph: &Graph, size: usize, p: &[usize], x: &[usize]) -> usize {
    let Some(&pivot) = p
        .iter()
        .chain(x)
        .max_by_key(|&&u| p.iter().filter(|&&v| v != u && graph.has_edge(u, v)).count())
    else {
        return size;
    };
    let (mut p, mut x, mut best) = (p.to_vec(), x.to_vec(), 0);
    for v in p.clone() {
        if v != pivot && graph.has_edge(pivot, v) {
            continue;
        }
        let joined = |set: &[usize]| {
            set.iter().copied().filter(|&u| u != v && graph.has_edge(u, v)).collect::<Vec<_>>()
        };
        best = best.max(bron_kerbosch(graph, size + 1, &joined(&p), &joined(&x)));
        p.retain(|&u| u != v);
        x.push(v);
    }
    best
}

struct Xorshift(u64);

impl Xorshift {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn graph(&mut self, n: usize, per_1024: u64) -> Graph {
        let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
        let edges: Vec<_> = pairs.filter(|_| self.next() >> 20 & 1023 < per_1024).collect();
        Graph::from_edges(n, edges)
    }
}

#[test]
fn a_hundred_thousand_small_graphs_agree_with_enumeration() {
    let mut random = Xorshift(0x5EED);
    for _ in 0..100_000 {
        let n = (random.next() >> 20) as usize % 21;
        let density = random.next() >> 20 & 1023;
        let graph = random.graph(n, density);
        let rows: Vec<u32> = (0..n).map(|v| graph.neighbours(v).map(|u| 1 << u).sum()).collect();
        let omega = enumerate(&rows, ((1_u64 << n) - 1) as u32) as usize;
        assert_eq!(solve(&graph, 1).upper, omega, "{graph:?}");
    }
}

#[test]
fn graphs_of_a_word_and_more_agree_with_bron_and_kerbosch() {
    let mut random = Xorshift(77);
    for round in 0..300 {
        let n = 40 + (random.next() >> 20) as usize % 100;
        let density = random.next() >> 20 & 511;
        let graph = random.graph(n, density);
        let omega = bron_kerbosch(&graph, 0, &(0..n).collect::<Vec<_>>(), &[]);
        assert_eq!(
            solve(&graph, 1 + round % 3).upper,
            omega,
            "n = {n}, density {density}/1024, round {round}"
        );
    }
}

#[test]
fn known_graphs() {
    for n in 0..6 {
        assert_eq!(solve(&Graph::new(n), 2).witness, (0..n.min(1)).collect::<Vec<_>>());
        assert_eq!(solve(&Graph::new(n).complement(), 2).witness, (0..n).collect::<Vec<_>>());
    }
    // Turán's graph of 13 parts of 10: ω = 13, whichever part's vertices are taken.
    let parts = Graph::from_edges(
        130,
        (0..130).flat_map(|i| (i + 1..130).map(move |j| (i, j))).filter(|(i, j)| i % 13 != j % 13),
    );
    assert_eq!(solve(&parts, 2).upper, 13);
    // The complement of 20 disjoint odd cycles of 5: each adds 2.
    let cycles =
        Graph::from_edges(100, (0..100).map(|v| (v, v / 5 * 5 + (v + 1) % 5))).complement();
    assert_eq!(solve(&cycles, 2).upper, 40);
}

/// Complements so sparse that the rules of vertex cover apply: against Bron and Kerbosch on the
/// small, and against the count of what random trees and cycles leave on the large.
#[test]
fn very_dense_graphs() {
    let mut random = Xorshift(21);
    for round in 0..2000 {
        let n = 1 + (random.next() >> 20) as usize % 26;
        let density = 1024 - (random.next() >> 20) % (6000 / n as u64);
        let graph = random.graph(n, density);
        let omega = bron_kerbosch(&graph, 0, &(0..n).collect::<Vec<_>>(), &[]);
        assert_eq!(solve(&graph, 1).upper, omega, "round {round}: {graph:?}");
    }
    // A cycle of n has an independent set of ⌊n/2⌋, a path of ⌈n/2⌉, a star of all but its centre.
    let n = 1001;
    let cycle = Graph::from_edges(n, (0..n).map(|v| (v, (v + 1) % n))).complement();
    assert_eq!(solve(&cycle, 1).upper, 500);
    let path = Graph::from_edges(n, (1..n).map(|v| (v - 1, v))).complement();
    assert_eq!(solve(&path, 1).upper, 501);
    let star = Graph::from_edges(n, (1..n).map(|v| (0, v))).complement();
    assert_eq!(solve(&star, 1).upper, 1000);
    // A cubic complement, which no rule of degree two begins to reduce: copies of Petersen's graph,
    // 4 of 10 each.
    let petersen = (0..30).flat_map(|block| {
        let edges = (0..5).flat_map(|i| [(i, (i + 1) % 5), (i, i + 5), (i + 5, (i + 2) % 5 + 5)]);
        edges.map(move |(u, v)| (10 * block + u, 10 * block + v))
    });
    assert_eq!(solve(&Graph::from_edges(300, petersen).complement(), 1).upper, 120);
}

#[test]
fn one_edge_among_many_vertices_is_found() {
    assert_eq!(solve(&Graph::from_edges(3000, [(17, 2500)]), 2).witness, [17, 2500]);
}

#[test]
fn the_answer_does_not_depend_on_threads() {
    let mut random = Xorshift(3);
    for density in [500, 700, 850] {
        let graph = random.graph(150, density);
        let alone = solve(&graph, 1);
        for threads in [2, 3, 8] {
            assert_eq!(solve(&graph, threads), alone);
        }
    }
}

#[test]
fn a_budget_gives_an_interval_with_the_truth_in_it() {
    let mut random = Xorshift(9);
    let graph = random.graph(120, 900);
    let omega = solve(&graph, 2).upper;
    for micros in [0, 1, 100, 1000, 3000, 10_000] {
        let budget = Some(std::time::Duration::from_micros(micros));
        let clique = maximum_clique(&graph, &Options { budget, threads: 2, ..Options::default() });
        assert!(verify(&graph, &clique.witness));
        assert!(
            clique.witness.len() <= omega && omega <= clique.upper,
            "{micros}: {clique:?} but {omega}"
        );
    }
}

#[test]
fn a_budget_holds_where_what_prepares_the_search_is_hard_itself() {
    // A complement that is sparse, but for a part whose own maximum clique takes hours.
    let mut random = Xorshift(4);
    let hard = random.graph(500, 922);
    let sparse = random.graph(1200, 50);
    let pairs = (0..1200).flat_map(|i| (i + 1..1200).map(move |j| (i, j)));
    let joined = |&(i, j): &(usize, usize)| {
        if j < 500 { !hard.has_edge(i, j) } else { !sparse.has_edge(i, j) }
    };
    let graph = Graph::from_edges(1200, pairs.filter(joined));
    assert!(graph.density() > 0.8, "{}", graph.density());
    let start = std::time::Instant::now();
    let budget = Some(std::time::Duration::from_millis(200));
    let clique = maximum_clique(&graph, &Options { budget, threads: 1, ..Options::default() });
    assert!(verify(&graph, &clique.witness) && clique.witness.len() <= clique.upper);
    // A hundred times the budget: a busy machine passes, a search without a limit does not.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn what_is_known_is_used() {
    let graph = Graph::from_edges(6, [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)]);
    let options = Options { known: vec![5, 3, 4], upper: Some(3), ..Options::default() };
    assert_eq!(maximum_clique(&graph, &options), Clique { witness: vec![3, 4, 5], upper: 3 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A clique of G is an independent set of its complement, and relabelling changes nothing.
    #[test]
    fn relabelling_keeps_omega(n in 1_usize..90, density in 0_u64..1024, seed in 1_u64..u64::MAX, shift in 0_usize..90) {
        let graph = Xorshift(seed).graph(n, density);
        let moved = |v: usize| (v + shift) % n;
        let edges = (0..n).flat_map(|u| graph.neighbours(u).map(move |v| (moved(u), moved(v))).collect::<Vec<_>>());
        prop_assert_eq!(solve(&Graph::from_edges(n, edges), 1).upper, solve(&graph, 1).upper);
    }
}
