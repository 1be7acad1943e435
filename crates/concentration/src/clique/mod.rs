//! Exact maximum cliques.
//!
//! 1. A graph whose complement is sparse is reduced by rules for the vertex cover of the
//!    complement. It then falls into components that are searched one by one (`kernel.rs`).
//!
//! 2. A local search finds a large clique, and vertices that cannot be in a larger one are removed
//!    (`local.rs`).
//!
//! 3. Branch and bound searches the remaining graph. The top of the search tree is split into
//!    numbered tasks for threads (`search.rs`, `tasks.rs`).
//!
//! 4. Bounds come from colouring and from conflicts between colours (`bound.rs`).

mod bound;
mod kernel;
mod local;
mod order;
mod search;
mod tasks;
#[cfg(test)]
mod testing;

use std::time::{Duration, Instant};

use crate::{Graph, bits};

pub(crate) use bound::{Bound, colours};
pub(crate) use local::search as local_search;
pub(crate) use order::{core, degeneracy};
pub(crate) use search::{End, Incumbent, Limit, Search};

/// Settings of [`maximum_clique`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Time after which the search stops with an interval. `None` means no limit.
    pub budget: Option<Duration>,
    /// Number of threads for the search; 0 for as many as the machine runs at once.
    pub threads: usize,
    /// A clique from an earlier answer to start from; may be empty.
    pub known: Vec<usize>,
    /// A known upper bound on ω.
    pub upper: Option<usize>,
}

/// A clique, and an upper bound on the size of any clique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clique {
    /// The vertices, in ascending order.
    pub witness: Vec<usize>,
    /// No clique has more vertices than this.
    pub upper: usize,
}

impl Clique {
    /// Returns the clique number ω, if the search finished.
    pub fn omega(&self) -> Option<usize> {
        self.optimal().then_some(self.upper)
    }

    /// Returns whether the witness is a maximum clique.
    pub fn optimal(&self) -> bool {
        self.witness.len() == self.upper
    }
}

/// Checks that the vertices belong to the graph, are all different, and are pairwise joined. The
/// check looks at every pair and shares no code with the search.
///
/// ```
/// use selfsame_concentration::{Graph, clique};
///
/// let path = Graph::from_edges(3, [(0, 1), (1, 2)]);
/// assert!(clique::verify(&path, &[0, 1]) && !clique::verify(&path, &[0, 1, 2]) && !clique::verify(&path, &[0, 0]));
/// ```
pub fn verify(graph: &Graph, witness: &[usize]) -> bool {
    witness.iter().all(|&v| v < graph.vertices())
        && witness
            .iter()
            .enumerate()
            .all(|(i, &u)| witness[..i].iter().all(|&v| u != v && graph.has_edge(u, v)))
}

/// Finds a maximum clique of `graph`, or, if the budget ends first, a clique and an upper bound.
///
/// If the search finishes, the answer, including the witness, depends only on the graph, `known`
/// and `upper`, not on threads or time. The local search is seeded. Among cliques of the same size,
/// the clique of the task with the lowest number wins. That task is then searched once more from a
/// fixed bound, so that cliques found by other threads do not affect the witness.
///
/// # Panics
/// If `known` is not a clique of the graph.
///
/// ```
/// use selfsame_concentration::{Graph, clique::{Options, maximum_clique}};
///
/// let graph = Graph::from_edges(5, [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4)]);
/// let clique = maximum_clique(&graph, &Options::default());
/// assert_eq!((clique.omega(), clique.witness), (Some(3), vec![0, 1, 2]));
/// ```
pub fn maximum_clique(graph: &Graph, options: &Options) -> Clique {
    assert!(verify(graph, &options.known), "the known clique is none of this graph");
    let deadline = options.budget.and_then(|budget| Instant::now().checked_add(budget));
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let most = options.upper.unwrap_or(usize::MAX);
    let mut clique = match kernel::Kernel::new(graph) {
        None => whole(graph, &options.known, most, threads, deadline),
        Some(kernel) => {
            let (mut chosen, mut upper) = (Vec::new(), kernel.decided());
            for (vertices, component) in kernel.components() {
                let part = whole(&component, &[], usize::MAX, threads, deadline);
                upper += part.upper;
                chosen.extend(part.witness.iter().map(|&v| vertices[v]));
            }
            let witness = kernel.lift(chosen);
            let witness =
                if witness.len() <= options.known.len() { options.known.clone() } else { witness };
            Clique { witness, upper: upper.min(most) }
        }
    };
    clique.witness.sort_unstable();
    assert!(verify(graph, &clique.witness), "a search returned what is no clique");
    clique
}

/// Searches a whole graph in which no clique has more than `most` vertices.
fn whole(
    graph: &Graph,
    known: &[usize],
    most: usize,
    threads: usize,
    deadline: Option<Instant>,
) -> Clique {
    let n = graph.vertices();
    let all = bits::full(n);
    let mut order = degeneracy(graph, &all);
    let mut sorted = graph.induced(&order);
    let mut upper = most.min(n).min(colours(&sorted));

    let mut witness = local_search(graph, known, first_moves(n), upper, 1);
    if witness.len() < upper {
        let mut within = all;
        core(graph, &mut within, witness.len());
        if bits::count(&within) < n {
            order = degeneracy(graph, &within);
            sorted = graph.induced(&order);
            upper = upper.min(colours(&sorted).max(witness.len()));
        }
    }
    if witness.len() < upper && sorted.density() >= DENSE {
        upper = upper.min(partition(&sorted, deadline).max(witness.len()));
    }
    if witness.len() < upper {
        let (larger, proved) = tasks::solve(&sorted, witness.len(), upper, threads, deadline);
        if let Some(larger) = larger {
            witness = larger.into_iter().map(|v| order[v as usize] as usize).collect();
        }
        upper = proved;
    }
    Clique { witness, upper }
}

/// Density above which the largest independent sets are mostly small and soon found.
const DENSE: f64 = 0.8;

/// Partitions the vertices into independent sets by repeatedly removing the largest one. Returns
/// the number of sets. No clique has more vertices than this number, because a clique has at most
/// one vertex of each set. In a graph that was built from such sets, this procedure finds the sets,
/// whereas colouring vertex by vertex does not. When the time is up, every remaining vertex counts
/// as a separate set.
fn partition(graph: &Graph, deadline: Option<Instant>) -> usize {
    let complement = graph.complement();
    let mut remaining: Vec<u32> = (0..graph.vertices() as u32).collect();
    let mut sets = 0;
    while !remaining.is_empty() {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return sets + remaining.len();
        }
        let rest = complement.induced(&remaining);
        let order = degeneracy(&rest, &bits::full(remaining.len()));
        let found = local_search(&rest, &[], remaining.len(), remaining.len(), 1);
        let (larger, _) =
            tasks::solve(&rest.induced(&order), found.len(), remaining.len(), 1, deadline);
        let taken: Vec<u32> = match larger {
            Some(larger) => {
                larger.into_iter().map(|v| remaining[order[v as usize] as usize]).collect()
            }
            None => found.into_iter().map(|v| remaining[v]).collect(),
        };
        remaining.retain(|v| !taken.contains(v));
        sets += 1;
    }
    sets
}

/// Returns the number of moves of the first local search. These moves take a few milliseconds for
/// some hundred vertices.
fn first_moves(n: usize) -> usize {
    (20 * n).clamp(1000, 20_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use selfsame_kernels::random::SplitMix64;

    #[test]
    fn no_clique_exceeds_a_partition() {
        let mut random = SplitMix64::new(1);
        for seed in 0..200 {
            let graph = testing::graph(&mut random, 1 + seed % 30, 512 + seed % 512);
            let omega = testing::enumerate(&graph, u64::MAX >> (64 - graph.vertices()));
            assert!((omega..=graph.vertices()).contains(&partition(&graph, None)), "{seed}");
        }
    }

    #[test]
    fn a_partition_finds_the_sets_a_graph_was_made_of() {
        // The sets {i, i + 20, …, i + 120} have no inner edge, and one in fifteen edges between
        // sets is missing. Any other independent set, unless it is part of one of these sets, has
        // fewer than seven vertices. The first twenty vertices are a clique.
        let (n, sets) = (140, 20);
        let missing = testing::graph(&mut SplitMix64::new(2), n, 1024 / 15);
        let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
        let joined = |&(i, j): &(usize, usize)| {
            i % sets != j % sets && (!missing.has_edge(i, j) || j < sets)
        };
        let graph = Graph::from_edges(n, pairs.filter(joined));
        assert_eq!(partition(&graph, None), sets);
        assert_eq!(maximum_clique(&graph, &Options::default()).omega(), Some(sets));
    }
}
