//! What the tests of this module share.

use crate::Graph;
use selfsame_kernels::random::SplitMix64;

/// G(n, p) with p in 1024ths.
pub(super) fn graph(random: &mut SplitMix64, n: usize, density: usize) -> Graph {
    let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
    Graph::from_edges(n, pairs.filter(|_| random.below(1024) < density).collect::<Vec<_>>())
}

/// ω of a set of at most 64 vertices, by trying each with and without.
pub(super) fn enumerate(graph: &Graph, set: u64) -> usize {
    if set == 0 {
        return 0;
    }
    let v = set.trailing_zeros() as usize;
    let rest = set & (set - 1);
    let with = 1 + enumerate(graph, rest & graph.row(v)[0]);
    // Where all others are joined to v, some largest clique has it.
    if rest & !graph.row(v)[0] == 0 { with } else { with.max(enumerate(graph, rest)) }
}
