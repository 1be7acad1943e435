//! Finds cliques at small thresholds by peeling and local search.

use std::time::Instant;

use super::Pairs;
use crate::Graph;
use crate::clique::local_search;

/// Number of moves per local search.
const MOVES: usize = 300;

/// A clique and the rank of its last pair. A single image has no pair.
#[derive(Clone)]
pub(super) struct Ranked {
    pub(super) images: Vec<usize>,
    pub(super) rank: Option<usize>,
}

/// The best known clique of each size from 1 to n. Ranks never decrease with the size.
pub(super) struct Found<'a> {
    pairs: &'a Pairs,
    pub(super) cliques: Vec<Ranked>,
}

impl<'a> Found<'a> {
    /// Starts from the cliques that peeling all images one by one leaves. Adds the first pair,
    /// because no two images are joined before it.
    pub(super) fn new(pairs: &'a Pairs) -> Self {
        let all: Vec<usize> = (0..pairs.images).collect();
        let cliques = (1..=pairs.images)
            .map(|_| Ranked { images: Vec::new(), rank: Some(usize::MAX) })
            .collect();
        let mut found = Self { pairs, cliques };
        found.offer(all);
        if let Some(&(_, u, v)) = pairs.sorted.first() {
            found.offer(vec![u as usize, v as usize]);
        }
        found
    }

    /// Adds a clique and the smaller cliques that peeling the clique leaves. Each step removes one
    /// image of the last pair: the image whose other pairs come later than the other pairs of its
    /// partner. Peeling stops at a size for which an equally good clique is known.
    pub(super) fn offer(&mut self, mut images: Vec<usize>) {
        images.sort_unstable();
        while !images.is_empty() {
            let last = self.last(&images);
            let rank = last.map(|(rank, ..)| rank);
            let known = &mut self.cliques[images.len() - 1];
            if !known.images.is_empty() && rank >= known.rank {
                return;
            }
            *known = Ranked { images: images.clone(), rank };
            let Some((_, u, v)) = last else { return };
            let worst = |image: usize| {
                let mut ranks: Vec<usize> = images
                    .iter()
                    .filter(|&&other| other != image)
                    .map(|&other| self.pairs.rank(image, other))
                    .collect();
                ranks.sort_unstable_by(|a, b| b.cmp(a));
                ranks
            };
            let gone = if worst(u) >= worst(v) { u } else { v };
            images.retain(|&image| image != gone);
        }
    }

    /// Returns the last pair among some images: its rank and its two images.
    fn last(&self, images: &[usize]) -> Option<(usize, usize, usize)> {
        let pairs = images
            .iter()
            .enumerate()
            .flat_map(|(place, &u)| images[..place].iter().map(move |&v| (u, v)));
        pairs.map(|(u, v)| (self.pairs.rank(u, v), u, v)).max()
    }

    /// Searches for cliques of smaller rank, size by size, until a round over all sizes finds none.
    pub(super) fn improve(&mut self, deadline: Option<Instant>) {
        let passed = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        for round in 0.. {
            let mut better = false;
            for size in 3..=self.pairs.images {
                while let Some(images) = self.search(size, round) {
                    better = true;
                    self.offer(images);
                    if passed() {
                        return;
                    }
                }
                if passed() {
                    return;
                }
            }
            if !better {
                return;
            }
        }
    }

    /// Searches for a clique of `size` images whose last pair comes before the last pair of the
    /// known clique of that size.
    fn search(&self, size: usize, seed: u64) -> Option<Vec<usize>> {
        let rank = self.cliques[size - 1].rank?;
        let graph = self.graph(rank);
        let smaller = &self.cliques[size - 2];
        let start: &[usize] = if smaller.rank < Some(rank) { &smaller.images } else { &[] };
        let found = local_search(&graph, start, MOVES, size, seed);
        (found.len() >= size).then_some(found)
    }

    /// Returns the graph of the pairs before `rank`.
    pub(super) fn graph(&self, rank: usize) -> Graph {
        let pairs = &self.pairs.sorted[..rank];
        Graph::from_edges(
            self.pairs.images,
            pairs.iter().map(|&(_, u, v)| (u as usize, v as usize)),
        )
    }

    /// Returns the size of the largest known clique whose pairs have ranks of at most `rank`.
    pub(super) fn size_at(&self, rank: usize) -> usize {
        self.cliques.partition_point(|clique| clique.rank <= Some(rank))
    }
}
