//! The largest set of vertices that are all joined to one another, and the proof that it is.
//!
//! `cargo run --release --example clique`

use selfsame::concentration::Graph;
use selfsame::concentration::clique::{Options, maximum_clique};

/// Solves a graph whose answer is known.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Points on a line are joined where they lie within a distance of one another. What a class of
    // images gathers under an augmentation is such a clique: the distances are those of views.
    let points: Vec<u64> = (0..200).map(|i| i * i % 997).collect();
    let reach = 50;
    let edges = (0..points.len()).flat_map(|i| (i + 1..points.len()).map(move |j| (i, j)));
    let edges = edges.filter(|&(i, j)| points[i].abs_diff(points[j]) <= reach);
    let graph = Graph::from_edges(points.len(), edges);

    let clique = maximum_clique(&graph, &Options::default());
    println!("{} of {} vertices", clique.witness.len(), graph.vertices());
    println!("none has more than {}; proved: {}", clique.upper, clique.optimal());

    // On a line the answer is plain: the fullest window of that length.
    let within =
        |&from: &u64| points.iter().filter(|&&p| (from..=from + reach).contains(&p)).count();
    assert_eq!(Some(clique.witness.len()), points.iter().map(within).max());
    Ok(())
}
