//! Proves, for each k, that no clique of k images exists at a smaller threshold than the clique
//! that was found.
//!
//! A clique has a unique last pair in the order of ranks. So if no pair before rank r is the last
//! pair of a clique of k images, no such clique exists before r. A pair u, v is the last pair of
//! such a clique exactly if the common neighbours of u and v, in the graph up to that pair, hold a
//! clique of k − 2 images. For most pairs, degrees or colours rule that out.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::Pairs;
use super::peel::Found;
use crate::clique::{Bound, End, Incumbent, Limit, Search, colours, core, degeneracy};
use crate::{Graph, bits};

/// Number of pairs examined between two merges of the results, and maximum number of merges per
/// round. A new graph is built after each merge.
const CHUNK: usize = 512;
const CHUNKS: usize = 256;
/// Number of thresholds at which the whole graph is coloured if proofs are missing.
const COLOURED: usize = 500;
/// Number of search nodes per pair in the first round, and the factor by which that number grows
/// from round to round.
const FIRST_NODES: u64 = 4;
const GROWTH: u64 = 4;

/// Result of examining a pair.
enum Answer {
    /// The pair is not the last pair of any clique with more images than this.
    AtMost(u32),
    /// The pair is the last pair of this clique.
    Larger(Vec<usize>),
    /// The limit was reached. Colouring shows that no clique has more images than this.
    Open(u32),
}

/// Returns, for each size, the rank of the first pair that may be the last pair of a clique of that
/// size. The rank is `None` if no pair except the known clique's own last pair can be the last pair
/// of such a clique.
pub(super) fn certify(
    pairs: &Pairs,
    found: &mut Found<'_>,
    deadline: Option<Instant>,
    threads: usize,
) -> Vec<Option<usize>> {
    let count = pairs.sorted.len();
    // By rank: the pair is not the last pair of any clique larger than this.
    let mut at_most = vec![pairs.images as u32; count];
    let mut open: Vec<usize> = (0..count).collect();
    let mut nodes = FIRST_NODES;
    let stopped = AtomicBool::new(false);
    while !open.is_empty() && !stopped.load(Ordering::Relaxed) {
        let mut unresolved = Vec::new();
        for chunk in open.chunks(CHUNK.max(count / CHUNKS)) {
            let limit = || Limit { deadline, nodes, stopped: &stopped };
            let answers = examine(pairs, found, chunk, limit, threads);
            let mut cliques = Vec::new();
            for (&rank, answer) in chunk.iter().zip(answers) {
                match answer {
                    Answer::AtMost(size) => at_most[rank] = size,
                    Answer::Larger(images) => {
                        cliques.push(images);
                        unresolved.push(rank);
                    }
                    Answer::Open(size) => {
                        at_most[rank] = at_most[rank].min(size);
                        unresolved.push(rank);
                    }
                }
            }
            for images in cliques {
                found.offer(images);
            }
        }
        open = unresolved;
        nodes = nodes.saturating_mul(GROWTH);
    }

    first_open(pairs, found, &at_most, !open.is_empty())
}

/// Returns the ranks for [`certify`], given what is known of each pair.
fn first_open(
    pairs: &Pairs,
    found: &Found<'_>,
    at_most: &[u32],
    coloured: bool,
) -> Vec<Option<usize>> {
    let sizes = found.cliques.len();
    let mut first = vec![None; sizes];
    let mut omega = usize::from(sizes > 0);
    let (mut next, mut colour) = (0, usize::MAX);
    let (mut graph, mut present) = (Graph::new(sizes), 0);
    let stride = sizes.div_ceil(COLOURED);
    for (rank, &size) in at_most.iter().enumerate() {
        // If proofs are missing, the whole graph is coloured as it is just before a known
        // threshold. The number of colours bounds the size ω of the largest clique at every rank
        // before that threshold.
        while coloured && next < sizes && found.cliques[next].rank <= Some(rank) {
            next += 1;
            let ahead = next.next_multiple_of(stride).min(sizes - 1);
            if let Some(threshold) = found.cliques[ahead].rank
                && threshold > rank
                && threshold > present
            {
                for &(_, u, v) in &pairs.sorted[present..threshold] {
                    graph.add_edge(u as usize, v as usize);
                }
                present = threshold;
                colour = colours(&graph);
            } else if found.cliques[ahead].rank <= Some(rank) {
                colour = usize::MAX;
            }
        }
        // One more pair enlarges the largest clique by at most one image.
        if size as usize > omega && omega < colour.min(sizes) {
            first[omega] = Some(rank);
            omega += 1;
        }
    }
    first
}

/// Examines the pairs with the given ranks, which must be ascending.
fn examine<'a>(
    pairs: &Pairs,
    found: &Found<'_>,
    ranks: &[usize],
    limit: impl Fn() -> Limit<'a> + Sync,
    threads: usize,
) -> Vec<Answer> {
    let Some(&first) = ranks.first() else { return Vec::new() };
    let start = found.graph(first);
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<Option<Answer>>> = Mutex::new(ranks.iter().map(|_| None).collect());
    let work = || {
        let (mut graph, mut present) = (start.clone(), first);
        let mut bound = Bound::new(&graph);
        let mut mine = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(&rank) = ranks.get(place) else { break };
            if limit().passed() {
                mine.push((place, Answer::Open(u32::MAX)));
                continue;
            }
            for &(_, u, v) in &pairs.sorted[present..=rank] {
                graph.add_edge(u as usize, v as usize);
            }
            present = rank + 1;
            mine.push((place, pair(pairs, &graph, &mut bound, rank, found.size_at(rank), limit())));
        }
        let mut answers = answers.lock().expect("no thread panics");
        for (place, answer) in mine {
            answers[place] = Some(answer);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(ranks.len()) {
            scope.spawn(work);
        }
        work();
    });
    let answers = answers.into_inner().expect("no thread panics");
    answers.into_iter().map(|answer| answer.expect("every pair is looked at")).collect()
}

/// Finds out whether the pair of this rank is the last pair of a clique with more than `size`
/// images. `graph` holds the pairs up to that rank.
fn pair(
    pairs: &Pairs,
    graph: &Graph,
    bound: &mut Bound,
    rank: usize,
    size: usize,
    limit: Limit<'_>,
) -> Answer {
    let (_, u, v) = pairs.sorted[rank];
    // The clique consists of u, v and some of their common neighbours. `size` is at least 2,
    // because the first pair is a known clique.
    let most = size - 2;
    let mut common = vec![0; graph.words()];
    bits::intersect(&mut common, graph.row(u as usize), graph.row(v as usize));
    core(graph, &mut common, most);
    if bits::count(&common) <= most {
        return Answer::AtMost(size as u32);
    }
    // For most pairs, colouring the images in their own order already rules out a larger clique.
    // Only the other pairs need the degeneracy order below.
    let mut branches = Vec::new();
    bound.branches(graph, &common, most, &mut branches);
    if branches.is_empty() {
        return Answer::AtMost(size as u32);
    }
    let order = degeneracy(graph, &common);
    let induced = graph.induced(&order);
    let incumbent = Incumbent::new(most);
    let mut search = Search::new(&induced, &incumbent, 1, 0, true, limit);
    match search.run() {
        End::Done => Answer::AtMost(size as u32),
        End::Limit => Answer::Open(2 + colours(&induced) as u32),
        End::First => {
            let inner = search.found.iter().map(|&w| order[w as usize] as usize);
            Answer::Larger(inner.chain([u as usize, v as usize]).collect())
        }
    }
}
