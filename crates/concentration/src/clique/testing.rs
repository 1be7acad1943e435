//! Helpers that the tests of this module share.

use crate::Graph;
use selfsame_kernels::random::SplitMix64;

/// Draws a random graph G(n, p), with p in 1024ths.
pub(super) fn graph(random: &mut SplitMix64, n: usize, density: usize) -> Graph {
    let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
    Graph::from_edges(n, pairs.filter(|_| random.below(1024) < density).collect::<Vec<_>>())
}

/// Computes ω of a set of at most 64 vertices, by trying each vertex with and without.
pub(super) fn enumerate(graph: &Graph, set: u64) -> usize {
    if set == 0 {
        return 0;
    }
    let v = set.trailing_zeros() as usize;
    let rest = set & (set - 1);
    let with = 1 + enumerate(graph, rest & graph.row(v)[0]);
    // If all other vertices are joined to v, some largest clique contains v.
    if rest & !graph.row(v)[0] == 0 { with } else { with.max(enumerate(graph, rest)) }
}
