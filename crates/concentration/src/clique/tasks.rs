//! Splits the search into numbered tasks for threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::bound::{self, Bound};
use super::{End, Incumbent, Limit, Search, core, degeneracy};
use crate::{Graph, bits};

/// A task with more vertices than `SPLIT` is split again, unless there are at least `PLENTY` tasks.
const SPLIT: usize = 128;
const PLENTY: usize = 4096;

/// A part of the search: the cliques that consist of `clique` and vertices of `set`.
struct Task {
    clique: Vec<u32>,
    set: Vec<u64>,
}

impl Task {
    /// Splits the task in a search for cliques of more than `least` vertices. The largest tasks
    /// come first.
    fn split(&self, graph: &Graph, bound: &mut Bound, least: usize) -> Vec<Self> {
        let mut branches = Vec::new();
        bound.branches(graph, &self.set, least.saturating_sub(self.clique.len()), &mut branches);
        let mut set = self.set.clone();
        branches.iter().for_each(|&v| bits::remove(&mut set, v as usize));
        let mut tasks = Vec::with_capacity(branches.len());
        for v in branches {
            let mut task = Self { clique: self.clique.clone(), set: vec![0; set.len()] };
            task.clique.push(v);
            bits::intersect(&mut task.set, &set, graph.row(v as usize));
            bits::insert(&mut set, v as usize);
            tasks.push(task);
        }
        tasks.reverse();
        tasks
    }

    /// Searches for a clique larger than the incumbent. Returns the largest clique found, and how
    /// the search ended.
    fn search(
        &self,
        graph: &Graph,
        bound: &mut Bound,
        incumbent: &Incumbent,
        number: u32,
        first: bool,
        limit: Limit<'_>,
    ) -> (Vec<u32>, End) {
        let least = incumbent.bound(number);
        let mut set = self.set.clone();
        let most = least.saturating_sub(self.clique.len());
        core(graph, &mut set, most);
        // Most tasks end soon in the given order. A better order is worth its time only for the
        // others.
        let mut branches = Vec::new();
        bound.branches(graph, &set, most, &mut branches);
        if self.clique.len() > least {
            incumbent.offer(self.clique.len(), number);
            if first {
                return (self.clique.clone(), End::First);
            }
        } else if branches.is_empty() {
            return (Vec::new(), End::Done);
        }
        let order = degeneracy(graph, &set);
        let graph = graph.induced(&order);
        let mut search = Search::new(&graph, incumbent, number, self.clique.len(), first, limit);
        let end = search.run();
        let inner = search.found.iter().map(|&v| order[v as usize]);
        (inner.chain(self.clique.iter().copied()).collect(), end)
    }
}

/// Finds a clique of more than `least` vertices, the largest if there is time, and an upper bound
/// of at most `upper`.
///
/// The tasks depend only on the graph and `least`. The larger tasks come first: they are best
/// shared out early, and preferring the first task among equals costs least if the other tasks are
/// small.
pub(super) fn solve(
    graph: &Graph,
    least: usize,
    upper: usize,
    threads: usize,
    deadline: Option<Instant>,
) -> (Option<Vec<u32>>, usize) {
    let mut bound = Bound::new(graph);
    let root = Task { clique: Vec::new(), set: bits::full(graph.vertices()) };
    let mut tasks = Vec::new();
    for task in root.split(graph, &mut bound, least) {
        if bits::count(&task.set) > SPLIT && tasks.len() < PLENTY {
            tasks.extend(task.split(graph, &mut bound, least));
        } else {
            tasks.push(task);
        }
    }

    let incumbent = Incumbent::new(least);
    let (stopped, next) = (AtomicBool::new(false), AtomicUsize::new(0));
    let limit = || Limit { deadline, nodes: u64::MAX, stopped: &stopped };
    let largest: Mutex<Vec<u32>> = Mutex::new(Vec::new());
    let unfinished = Mutex::new(Vec::new());
    let work = || {
        let mut bound = Bound::new(graph);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(index) else { return };
            // There is no larger clique, and an earlier task has a clique of this size.
            if incumbent.bound(index as u32 + 1) >= upper {
                return;
            }
            if stopped.load(Ordering::Relaxed) {
                unfinished.lock().expect("no thread panics").push(index);
                continue;
            }
            let (found, end) =
                task.search(graph, &mut bound, &incumbent, index as u32 + 1, false, limit());
            let mut largest = largest.lock().expect("no thread panics");
            if found.len() > largest.len() {
                *largest = found;
            }
            if end == End::Limit {
                unfinished.lock().expect("no thread panics").push(index);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(tasks.len()) {
            scope.spawn(work);
        }
        work();
    });

    let (size, number) = incumbent.best();
    let mut largest = largest.into_inner().expect("no thread panics");
    let unfinished = unfinished.into_inner().expect("no thread panics");
    let open = unfinished
        .iter()
        .map(|&index| tasks[index].clique.len() + bound::colours_within(graph, &tasks[index].set));
    let upper = open.max().unwrap_or(0).clamp(size, upper);
    if size > least && unfinished.is_empty() {
        let rerun = Incumbent::new(size - 1);
        let (found, end) =
            tasks[number as usize - 1].search(graph, &mut bound, &rerun, 1, true, limit());
        if end == End::First {
            largest = found;
        }
    }
    ((size > least).then_some(largest), upper)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{enumerate, graph};
    use super::super::verify;
    use super::*;
    use selfsame_kernels::random::SplitMix64;

    /// Searches from every lower bound that is not too high: after the local search, usually only
    /// the last step is left to do.
    #[test]
    fn the_search_alone_agrees_with_enumeration() {
        let mut random = SplitMix64::new(2);
        for _ in 0..20_000 {
            let n = 1 + random.below(26);
            let density = random.below(1025);
            let graph = graph(&mut random, n, density);
            let omega = enumerate(&graph, bits::full(n)[0]);
            let least = random.below(omega + 1);
            let (found, upper) = solve(&graph, least, n, 1 + random.below(2), None);
            assert_eq!(upper, omega, "{graph:?} from {least}");
            assert_eq!(found.as_ref().map(Vec::len), (least < omega).then_some(omega));
            if let Some(found) = found {
                assert!(verify(&graph, &found.iter().map(|&v| v as usize).collect::<Vec<_>>()));
            }
        }
    }

    /// The graph is large enough that tasks are split twice, and the search starts far below ω, so
    /// that threads find cliques in any order.
    #[test]
    fn the_witness_does_not_depend_on_threads() {
        let mut random = SplitMix64::new(3);
        for (n, density) in [(150, 600), (200, 500), (300, 300)] {
            let graph = graph(&mut random, n, density);
            let alone = solve(&graph, 1, n, 1, None);
            assert_eq!(alone.0.as_ref().map(Vec::len), Some(alone.1));
            for threads in [2, 2, 2, 3, 7] {
                assert_eq!(solve(&graph, 1, n, threads, None), alone);
            }
        }
    }
}
