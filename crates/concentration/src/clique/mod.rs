//! Exact maximum cliques.

mod bound;
mod local;
mod order;
mod search;

use crate::Graph;
use std::sync::atomic::AtomicBool;
use search::*;

#[allow(missing_docs)]
pub fn quick(graph: &Graph) -> (usize, u64) {
    let n = graph.vertices();
    let t = std::time::Instant::now();
    let start = local::search(graph, &[], 100 * n.max(100), n, 1);
    eprint!("ls {} in {:.3}  ", start.len(), t.elapsed().as_secs_f64());
    let mut within = crate::bits::full(n);
    order::core(graph, &mut within, start.len());
    let order = order::degeneracy(graph, &within);
    let sub = graph.induced(&order);
    let incumbent = Incumbent::new(start.len());
    let stopped = AtomicBool::new(false);
    let mut s = Search::new(&sub, &incumbent, 1, 0, false, Limit { deadline: None, nodes: u64::MAX, stopped: &stopped });
    s.run();
    (incumbent.best().0, s.nodes)
}
