//! Reduces very dense graphs through the vertex cover of their complement.
//!
//! A clique is an independent set of the complement: the vertices outside a vertex cover of the
//! complement. If the complement is sparse, rules for vertices of small degree decide most vertices
//! (Chen, Kanj and Jia, "Vertex Cover: Further Observations and Further Improvements", J.
//! Algorithms 2001). The remaining graph often falls into components, each of which is searched
//! separately.

use std::collections::BTreeSet;

use crate::Graph;

/// Maximum number of edges per vertex in the complement for which the rules are tried.
const SPARSE: usize = 8;

/// One step of the reduction. Steps are undone in reverse order.
enum Step {
    /// The vertex is in some largest independent set.
    Take(u32),
    /// A vertex v and its two neighbours, which are not joined to each other, were merged into one
    /// vertex with the number of v. If the merged vertex is in the independent set, both neighbours
    /// belong to the set; otherwise, v belongs to the set.
    Fold(u32, u32, u32),
}

/// The complement of a graph while it is being reduced.
pub(super) struct Kernel {
    strangers: Vec<BTreeSet<u32>>,
    present: Vec<bool>,
    steps: Vec<Step>,
}

impl Kernel {
    /// Reduces the complement of `graph`. Returns `None` if the complement is not sparse.
    pub(super) fn new(graph: &Graph) -> Option<Self> {
        let n = graph.vertices();
        if crate::graph::pairs(n) - graph.edges() > SPARSE * n {
            return None;
        }
        let complement = graph.complement();
        let strangers =
            (0..n).map(|v| complement.neighbours(v).map(|u| u as u32).collect()).collect();
        let mut kernel = Self { strangers, present: vec![true; n], steps: Vec::new() };
        kernel.reduce();
        Some(kernel)
    }

    fn reduce(&mut self) {
        let mut queue: BTreeSet<u32> = (0..self.present.len() as u32).collect();
        while let Some(v) = queue.pop_first() {
            if !self.present[v as usize] {
                continue;
            }
            let near: Vec<u32> = self.strangers[v as usize].iter().copied().collect();
            match *near.as_slice() {
                [u, w] if !self.strangers[u as usize].contains(&w) => {
                    let mut both = &self.strangers[u as usize] | &self.strangers[w as usize];
                    both.remove(&v);
                    self.delete(u, &mut queue);
                    self.delete(w, &mut queue);
                    for &other in &both {
                        self.strangers[other as usize].insert(v);
                    }
                    self.strangers[v as usize] = both;
                    self.steps.push(Step::Fold(v, u, w));
                    queue.insert(v);
                }
                // The vertex has no neighbour, one neighbour, or two neighbours that exclude each
                // other, so some largest independent set contains the vertex.
                [] | [_] | [_, _] => {
                    for u in near {
                        self.delete(u, &mut queue);
                    }
                    self.present[v as usize] = false;
                    self.steps.push(Step::Take(v));
                }
                _ => {}
            }
        }
    }

    /// Removes a vertex. Its neighbours lose a neighbour each, so they are examined again.
    fn delete(&mut self, v: u32, queue: &mut BTreeSet<u32>) {
        self.present[v as usize] = false;
        for u in std::mem::take(&mut self.strangers[v as usize]) {
            self.strangers[u as usize].remove(&v);
            queue.insert(u);
        }
    }

    /// Returns the components of the reduced complement: the vertices of each component, and the
    /// graph in which a clique is to be found.
    pub(super) fn components(&self) -> Vec<(Vec<u32>, Graph)> {
        let mut seen = vec![false; self.present.len()];
        let mut components = Vec::new();
        for start in 0..self.present.len() {
            if !self.present[start] || seen[start] {
                continue;
            }
            seen[start] = true;
            let (mut vertices, mut next) = (vec![start as u32], 0);
            while let Some(&v) = vertices.get(next) {
                next += 1;
                for &u in &self.strangers[v as usize] {
                    if !std::mem::replace(&mut seen[u as usize], true) {
                        vertices.push(u);
                    }
                }
            }
            vertices.sort_unstable();
            let place =
                |u: u32| vertices.binary_search(&u).expect("neighbours are of one component");
            let edges = vertices
                .iter()
                .enumerate()
                .flat_map(|(i, &v)| self.strangers[v as usize].iter().map(move |&u| (i, place(u))));
            let graph = Graph::from_edges(vertices.len(), edges).complement();
            components.push((vertices, graph));
        }
        components
    }

    /// Returns how many vertices every independent set gains when the steps are undone.
    pub(super) fn decided(&self) -> usize {
        self.steps.len()
    }

    /// Undoes the steps: turns an independent set of the reduced complement into one of the
    /// complement.
    pub(super) fn lift(&self, set: impl IntoIterator<Item = u32>) -> Vec<usize> {
        let mut chosen = vec![false; self.present.len()];
        set.into_iter().for_each(|v| chosen[v as usize] = true);
        for step in self.steps.iter().rev() {
            match *step {
                Step::Take(v) => chosen[v as usize] = true,
                Step::Fold(v, u, w) => {
                    let both = std::mem::replace(&mut chosen[v as usize], false);
                    chosen[u as usize] = both;
                    chosen[w as usize] = both;
                    chosen[v as usize] = !both;
                }
            }
        }
        (0..chosen.len()).filter(|&v| chosen[v]).collect()
    }
}
