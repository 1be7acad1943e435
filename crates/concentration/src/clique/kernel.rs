//! Very dense graphs, by way of the vertex cover of their complement.
//!
//! A clique is an independent set of the complement, what a vertex cover of it leaves. Where the
//! complement is sparse, most of it is decided by rules of small degree (Chen, Kanj and Jia,
//! "Vertex Cover: Further Observations and Further Improvements", J. Algorithms 2001), and what
//! remains often falls into components, each of which is searched alone.

use std::collections::BTreeSet;

use crate::Graph;

/// Rules are tried where the complement has at most this many edges a vertex.
const SPARSE: usize = 8;

/// One step of the reduction, to be taken back in reverse order.
enum Step {
    /// The vertex is in some largest independent set.
    Take(u32),
    /// A vertex and its two neighbours, not joined to each other, became one vertex that bears the
    /// first one's name: it stands for both neighbours, and its absence for the vertex.
    Fold(u32, u32, u32),
}

/// What is left of the complement of a graph.
pub(super) struct Kernel {
    strangers: Vec<BTreeSet<u32>>,
    present: Vec<bool>,
    steps: Vec<Step>,
}

impl Kernel {
    /// Reduces the complement of `graph`; none where it is not sparse.
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
                // No neighbour, one, or two that exclude each other: taking the vertex costs
                // nothing.
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

    /// Takes a vertex away; its neighbours have one fewer and are looked at again.
    fn delete(&mut self, v: u32, queue: &mut BTreeSet<u32>) {
        self.present[v as usize] = false;
        for u in std::mem::take(&mut self.strangers[v as usize]) {
            self.strangers[u as usize].remove(&v);
            queue.insert(u);
        }
    }

    /// The components of the reduced complement: their vertices, and the graph that a clique of is
    /// to be found in.
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

    /// By how much every independent set grows when steps are taken back.
    pub(super) fn decided(&self) -> usize {
        self.steps.len()
    }

    /// An independent set of the complement, from one of what is left.
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
