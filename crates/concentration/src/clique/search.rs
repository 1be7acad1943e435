//! Branch and bound over sets of vertices.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::bound::Bound;
use crate::{Graph, bits};

/// Number of search nodes between two checks of the clock.
const NODES_A_LOOK: u64 = 64;

/// The largest clique known to all threads, as its size and the task that found it.
///
/// Among cliques of the same size, the clique of the task with the lowest number counts as larger,
/// so the order in which tasks finish does not decide which clique wins.
pub(crate) struct Incumbent(AtomicU64);

impl Incumbent {
    pub(crate) fn new(size: usize) -> Self {
        Self(AtomicU64::new(pack(size, 0)))
    }

    /// Returns the size that a clique found by `task` must exceed. Tasks are numbered from 1; 0
    /// stands for the clique known before the search.
    #[inline(always)]
    pub(crate) fn bound(&self, task: u32) -> usize {
        let packed = self.0.load(Ordering::Relaxed);
        let (size, finder) = ((packed >> 32) as usize, !(packed as u32));
        size - usize::from(task < finder)
    }

    pub(crate) fn offer(&self, size: usize, task: u32) {
        self.0.fetch_max(pack(size, task), Ordering::Relaxed);
    }

    /// Returns the size and the task of the largest clique.
    pub(crate) fn best(&self) -> (usize, u32) {
        let packed = self.0.load(Ordering::Relaxed);
        ((packed >> 32) as usize, !(packed as u32))
    }
}

fn pack(size: usize, task: u32) -> u64 {
    (size as u64) << 32 | u64::from(!task)
}

/// Limits that end a search early.
pub(crate) struct Limit<'a> {
    pub(crate) deadline: Option<Instant>,
    pub(crate) nodes: u64,
    /// Set by the first thread that notices that the deadline has passed.
    pub(crate) stopped: &'a AtomicBool,
}

impl Limit<'_> {
    /// Returns whether the time is up.
    pub(crate) fn passed(&self) -> bool {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.stopped.store(true, Ordering::Relaxed);
        }
        self.stopped.load(Ordering::Relaxed)
    }
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The whole set was searched.
    Done,
    /// A limit was reached first.
    Limit,
    /// A search that wanted only one clique found one.
    First,
}

/// A search for cliques of one graph that are larger than the incumbent.
pub(crate) struct Search<'a> {
    graph: &'a Graph,
    incumbent: &'a Incumbent,
    task: u32,
    /// Whether to stop at the first clique found.
    first: bool,
    limit: Limit<'a>,
    bound: Bound,
    levels: Vec<Level>,
    clique: Vec<u32>,
    /// Number of vertices that belong to every clique of this search, in addition to the vertices
    /// of `clique`.
    given: usize,
    /// The largest clique found by this search.
    pub(crate) found: Vec<u32>,
    pub(crate) nodes: u64,
}

/// Data that a search node keeps while its children are searched.
#[derive(Default, Clone)]
struct Level {
    set: Vec<u64>,
    branches: Vec<u32>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        graph: &'a Graph,
        incumbent: &'a Incumbent,
        task: u32,
        given: usize,
        first: bool,
        limit: Limit<'a>,
    ) -> Self {
        Self {
            graph,
            incumbent,
            task,
            first,
            limit,
            bound: Bound::new(graph),
            levels: Vec::new(),
            clique: Vec::new(),
            given,
            found: Vec::new(),
            nodes: 0,
        }
    }

    /// Searches the whole graph.
    pub(crate) fn run(&mut self) -> End {
        let all = bits::full(self.graph.vertices());
        self.level(0).set = all;
        self.node(0)
    }

    fn level(&mut self, depth: usize) -> &mut Level {
        if self.levels.len() <= depth {
            let level = Level { set: vec![0; self.graph.words()], branches: Vec::new() };
            self.levels.resize(depth + 1, level);
        }
        &mut self.levels[depth]
    }

    /// Searches the vertices of level `depth` for cliques that extend `clique`.
    fn node(&mut self, depth: usize) -> End {
        self.nodes += 1;
        if self.out_of_time() {
            return End::Limit;
        }
        let size = self.given + self.clique.len();
        let most = self.incumbent.bound(self.task).saturating_sub(size);
        self.level(depth + 1);
        let Level { set, branches } = &mut self.levels[depth];
        self.bound.branches(self.graph, set, most, branches);
        for &v in branches.iter() {
            bits::remove(set, v as usize);
        }
        for index in 0..self.levels[depth].branches.len() {
            let (upper, lower) = self.levels.split_at_mut(depth + 1);
            let (level, child) = (&mut upper[depth], &mut lower[0]);
            let v = level.branches[index];
            bits::intersect(&mut child.set, &level.set, self.graph.row(v as usize));
            bits::insert(&mut level.set, v as usize);
            self.clique.push(v);
            let size = self.given + self.clique.len();
            if size > self.incumbent.bound(self.task) {
                self.incumbent.offer(size, self.task);
                self.found.clone_from(&self.clique);
                if self.first {
                    return End::First;
                }
            }
            if self.levels[depth + 1].set.iter().any(|&word| word != 0) {
                let end = self.node(depth + 1);
                if end != End::Done {
                    return end;
                }
            }
            self.clique.pop();
        }
        End::Done
    }

    fn out_of_time(&self) -> bool {
        self.nodes > self.limit.nodes || (self.nodes % NODES_A_LOOK == 1 && self.limit.passed())
    }
}
