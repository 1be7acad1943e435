//! Proofs that no clique of k images exists at a smaller threshold.
//!
//! A clique has one last pair, in order of rank. So if no pair before rank r is the last of a
//! clique of k images there is none before r; and whether a pair u, v is the last of such a clique
//! is a question about the common neighbours of u and v in the graph up to it: do they hold a
//! clique of k − 2? Most pairs are answered by degrees or by colours.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::Pairs;
use super::peel::Found;
use crate::clique::{Bound, End, Incumbent, Limit, Search, colours, core, degeneracy};
use crate::{Graph, bits};

/// Pairs looked at between two mergers of what was found, and the most mergers a round: each begins
/// with a new graph.
const CHUNK: usize = 512;
const CHUNKS: usize = 256;
/// Thresholds at which the whole graph is coloured where proofs are missing.
const COLOURED: usize = 500;
/// Nodes of the search a pair in the first round, and by how much they grow from round to round.
const FIRST_NODES: u64 = 4;
const GROWTH: u64 = 4;

/// What a look at one pair gave.
enum Answer {
    /// The pair is the last of no clique of more images than this.
    AtMost(u32),
    /// A clique whose last pair it is.
    Larger(Vec<usize>),
    /// The limit was reached; colours show this much.
    Open(u32),
}

/// For each size the rank of the first pair that may be the last of a clique of that size; none
/// where no pair before the known clique's last is.
pub(super) fn certify(
    pairs: &Pairs,
    found: &mut Found<'_>,
    deadline: Option<Instant>,
    threads: usize,
) -> Vec<Option<usize>> {
    let count = pairs.sorted.len();
    // By rank: the pair is the last of no clique larger than this.
    let mut at_most = vec![pairs.images as u32; count];
    let mut open: Vec<usize> = (0..count).collect();
    let mut nodes = FIRST_NODES;
    let stopped = AtomicBool::new(false);
    while !open.is_empty() && !stopped.load(Ordering::Relaxed) {
        let mut still = Vec::new();
        for chunk in open.chunks(CHUNK.max(count / CHUNKS)) {
            let limit = || Limit { deadline, nodes, stopped: &stopped };
            let answers = look(pairs, found, chunk, limit, threads);
            let mut cliques = Vec::new();
            for (&rank, answer) in chunk.iter().zip(answers) {
                match answer {
                    Answer::AtMost(size) => at_most[rank] = size,
                    Answer::Larger(images) => {
                        cliques.push(images);
                        still.push(rank);
                    }
                    Answer::Open(size) => {
                        at_most[rank] = at_most[rank].min(size);
                        still.push(rank);
                    }
                }
            }
            for images in cliques {
                found.offer(images);
            }
        }
        open = still;
        nodes = nodes.saturating_mul(GROWTH);
    }

    first_open(pairs, found, &at_most, !open.is_empty())
}

/// The ranks that [`certify`] returns, from what is known of each pair.
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
        // Where proofs are missing, colours of the whole graph before each known threshold bound ω
        // up to there.
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
        // One pair more makes the largest clique larger by one at most.
        if size as usize > omega && omega < colour.min(sizes) {
            first[omega] = Some(rank);
            omega += 1;
        }
    }
    first
}

/// Looks at the pairs of the given ranks, ascending.
fn look<'a>(
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

/// Whether the pair of this rank is the last of a clique of more than `size` images; `graph` holds
/// the pairs up to it.
fn pair(
    pairs: &Pairs,
    graph: &Graph,
    bound: &mut Bound,
    rank: usize,
    size: usize,
    limit: Limit<'_>,
) -> Answer {
    let (_, u, v) = pairs.sorted[rank];
    // Two of the clique are u and v; the size is at least theirs, for the first pair is among the
    // known cliques.
    let most = size - 2;
    let mut common = vec![0; graph.words()];
    bits::intersect(&mut common, graph.row(u as usize), graph.row(v as usize));
    core(graph, &mut common, most);
    if bits::count(&common) <= most {
        return Answer::AtMost(size as u32);
    }
    // The order of the images is good enough for most pairs.
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
