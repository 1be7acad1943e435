//! Finds large cliques by local search, as the lower bound that the exact search starts from.

use selfsame_kernels::random::SplitMix64;

use crate::{Graph, bits};

/// The state of a dynamic local search: a clique, and for every vertex the number of clique
/// vertices that are not joined to it.
struct Walk<'a> {
    graph: &'a Graph,
    /// The complement, which holds the vertices that each vertex is not joined to.
    strangers: &'a Graph,
    clique: Vec<u64>,
    size: usize,
    missing: Vec<u32>,
    /// Vertices outside the clique that are joined to all of its vertices, and vertices outside the
    /// clique that are joined to all but one of its vertices.
    add: Vec<u64>,
    swap: Vec<u64>,
    penalty: Vec<u32>,
    /// Vertices used since the current plateau began. They are not used again before the next
    /// plateau.
    used: Vec<u64>,
}

impl Walk<'_> {
    fn insert(&mut self, v: usize) {
        bits::insert(&mut self.clique, v);
        bits::remove(&mut self.add, v);
        bits::insert(&mut self.used, v);
        self.size += 1;
        let strangers = self.strangers;
        bits::for_each(strangers.row(v), |u| {
            self.missing[u] += 1;
            match self.missing[u] {
                1 => {
                    bits::remove(&mut self.add, u);
                    bits::insert(&mut self.swap, u);
                }
                2 => bits::remove(&mut self.swap, u),
                _ => {}
            }
        });
    }

    fn remove(&mut self, v: usize) {
        bits::remove(&mut self.clique, v);
        bits::insert(&mut self.add, v);
        self.size -= 1;
        let strangers = self.strangers;
        bits::for_each(strangers.row(v), |u| {
            self.missing[u] -= 1;
            match self.missing[u] {
                0 => {
                    bits::remove(&mut self.swap, u);
                    bits::insert(&mut self.add, u);
                }
                1 => bits::insert(&mut self.swap, u),
                _ => {}
            }
        });
    }

    /// Chooses a random vertex among the unused vertices of `from` with the smallest penalty.
    fn choose(&self, from: &[u64], random: &mut SplitMix64) -> Option<usize> {
        let (mut least, mut ties, mut chosen) = (u32::MAX, 0, None);
        for (index, (&word, &used)) in from.iter().zip(&self.used).enumerate() {
            let mut rest = word & !used;
            while rest != 0 {
                let v = index * 64 + rest.trailing_zeros() as usize;
                rest &= rest - 1;
                if self.penalty[v] < least {
                    (least, ties) = (self.penalty[v], 0);
                }
                if self.penalty[v] == least {
                    ties += 1;
                    if random.below(ties) == 0 {
                        chosen = Some(v);
                    }
                }
            }
        }
        chosen
    }
}

/// Finds a large clique of `graph` by dynamic local search (Pullan and Hoos, "Dynamic Local Search
/// for the Maximum Clique Problem", JAIR 2006). The search adds vertices as long as any fits, and
/// swaps vertices while none fits. Then it starts again near the last clique. Each clique at which
/// it got stuck adds a penalty to its vertices, and later steps avoid these vertices. Penalties
/// fade.
///
/// The clique depends only on the arguments. The search stops after `steps` moves, or at a clique
/// with `enough` vertices.
pub(crate) fn search(
    graph: &Graph,
    start: &[usize],
    steps: usize,
    enough: usize,
    seed: u64,
) -> Vec<usize> {
    let (n, words) = (graph.vertices(), graph.words());
    let mut best = start.to_vec();
    if n == 0 || best.len() >= enough {
        return best;
    }
    let strangers = graph.complement();
    let mut random = SplitMix64::new(seed);
    let mut walk = Walk {
        graph,
        strangers: &strangers,
        clique: vec![0; words],
        size: 0,
        missing: vec![0; n],
        add: bits::full(n),
        swap: vec![0; words],
        penalty: vec![0; n],
        used: vec![0; words],
    };
    for &v in start {
        walk.insert(v);
    }
    let mut taken = 0;
    for round in 0_usize.. {
        walk.used.fill(0);
        let mut anchor = walk.clique.clone();
        loop {
            if walk.size > best.len() {
                best = bits::iter(&walk.clique).collect();
                if best.len() >= enough {
                    return best;
                }
            }
            if let Some(v) = walk.choose(&walk.add, &mut random) {
                walk.insert(v);
                taken += 1;
                // Progress starts a new plateau.
                anchor.copy_from_slice(&walk.clique);
                continue;
            }
            let Some(v) = walk.choose(&walk.swap, &mut random) else { break };
            let out = bits::iter(strangers.row(v)).find(|&u| bits::contains(&walk.clique, u));
            let out = out.expect("one of the clique is missing");
            walk.remove(out);
            walk.insert(v);
            bits::insert(&mut walk.used, out);
            taken += 1;
            if bits::common(&walk.clique, &anchor) == 0 {
                break;
            }
        }
        taken += 1;
        if taken >= steps {
            return best;
        }
        // With penalties, the search reaches cliques among vertices of low degree; without
        // penalties, it finds cliques among vertices of high degree.
        if round % 2 == 1 {
            bits::for_each(&walk.clique.clone(), |v| walk.penalty[v] += 1);
            if round % 4 == 1 {
                walk.penalty.iter_mut().for_each(|penalty| *penalty = penalty.saturating_sub(1));
            }
        } else if round % 64 == 0 {
            walk.penalty.fill(0);
        }
        // Start again from a random vertex and the part of the clique that is joined to it.
        let v = random.below(n);
        if !bits::contains(&walk.clique, v) {
            let row = walk.graph.row(v);
            let out: Vec<usize> =
                bits::iter(&walk.clique).filter(|&u| !bits::contains(row, u)).collect();
            for u in out {
                walk.remove(u);
            }
            walk.insert(v);
        }
    }
    best
}
