//! Bounds the number of vertices that a clique within a set can have, by colouring and by conflicts
//! between colours.
//!
//! A search node asks which vertices of a set P it must branch on to find a clique of more than k
//! vertices. Vertices that can be coloured with k colours need no branch: among more than k of
//! them, two have the same colour and are therefore not joined. Two arguments then spare further
//! vertices a branch, one at a time:
//!
//! - Recolouring (Tomita's Re-NUMBER): if an uncoloured vertex is joined to a single vertex of a
//!   colour, and that neighbour also fits another colour, the neighbour moves there and the
//!   uncoloured vertex takes its place.
//! - Conflicts (Li and Quan's MaxSAT reasoning, AAAI 2010). Every colour is a soft clause, "one of
//!   its vertices is in the clique", and so is the new vertex. Unit propagation shows that some of
//!   these clauses cannot all hold at once. One of them therefore fails, and k + 1 clauses still
//!   give no clique of more than k vertices. Every clause of the conflict gets a spare literal, and
//!   one of these spare literals may be true, so that the clause can take part in later conflicts
//!   (Fu and Malik's relaxation; Li, Fang and Xu, "Combining MaxSAT Reasoning and Incremental Upper
//!   Bound for the Maximum Clique Problem", 2013).

use crate::{Graph, bits};

const NONE: u32 = u32::MAX;

/// Working memory of the bound, and the clauses of the current search node.
///
/// A clause is a colour class, or a single vertex that was added later. A group is a conflict found
/// earlier; each of its clauses has a spare literal.
#[derive(Default)]
pub(crate) struct Bound {
    words: usize,
    /// One row of bits per clause.
    classes: Vec<u64>,
    clauses: usize,
    /// Number of literals of each clause that are not yet false: vertices and spare literals.
    open: Vec<u32>,
    /// The groups of each clause, and the clauses of each group.
    groups_of: Vec<Vec<u32>>,
    members: Vec<Vec<u32>>,
    groups: usize,
    class_of: Vec<u32>,

    // Propagation.
    alive: Vec<u64>,
    coloured: Vec<u64>,
    /// For each vertex, the clause whose only remaining literal made it false.
    reason: Vec<u32>,
    /// For each group, the clause that uses its spare literal.
    user: Vec<u32>,
    satisfied: Vec<bool>,
    trail: Vec<u32>,
    group_trail: Vec<u32>,
    queue: Vec<u32>,
    core: Vec<u32>,
    in_core: Vec<bool>,
    rest: Vec<u64>,
}

impl Bound {
    pub(crate) fn new(graph: &Graph) -> Self {
        let (n, words) = (graph.vertices(), graph.words());
        Self {
            words,
            class_of: vec![NONE; n],
            reason: vec![NONE; n],
            alive: vec![0; words],
            coloured: vec![0; words],
            rest: vec![0; words],
            ..Self::default()
        }
    }

    /// Finds the vertices of `set` to branch on, in ascending order, to find a clique of more than
    /// `most` vertices in `set`. The other vertices hold no such clique.
    pub(crate) fn branches(
        &mut self,
        graph: &Graph,
        set: &[u64],
        most: usize,
        branches: &mut Vec<u32>,
    ) {
        branches.clear();
        self.rest.copy_from_slice(set);
        if !self.colour(graph, most) {
            return;
        }
        bits::for_each(&self.rest, |v| branches.push(v as u32));
        if most == 0 {
            return;
        }
        branches.retain(|&v| !self.recolour(graph, v as usize));
        if branches.is_empty() {
            return;
        }
        for (coloured, (set, rest)) in self.coloured.iter_mut().zip(set.iter().zip(&self.rest)) {
            *coloured = set & !rest;
        }
        self.alive.copy_from_slice(&self.coloured);
        self.start_clauses();
        branches.retain(|&v| !self.conflict(graph, v as usize));
    }

    /// Colours `rest` greedily with `most` colours, in the order of the vertices. Returns whether
    /// any vertex stays uncoloured.
    fn colour(&mut self, graph: &Graph, most: usize) -> bool {
        let words = self.words;
        if self.classes.len() < most * words {
            self.classes.resize(most * words, 0);
        }
        self.clauses = most;
        let mut first = 0;
        let mut scratch = std::mem::take(&mut self.alive);
        for class in 0..most {
            while first < words && self.rest[first] == 0 {
                first += 1;
            }
            if first == words {
                self.alive = scratch;
                return false;
            }
            let members = &mut self.classes[class * words..][..words];
            members.fill(0);
            scratch[first..].copy_from_slice(&self.rest[first..]);
            for index in first..words {
                while scratch[index] != 0 {
                    let bit = scratch[index].trailing_zeros() as usize;
                    let v = index * 64 + bit;
                    scratch[index] &= scratch[index] - 1;
                    members[index] |= 1 << bit;
                    self.rest[index] &= !(1 << bit);
                    self.class_of[v] = class as u32;
                    for (open, row) in scratch[index..].iter_mut().zip(&graph.row(v)[index..]) {
                        *open &= !row;
                    }
                }
            }
        }
        self.alive = scratch;
        self.rest[first.min(words)..].iter().any(|&word| word != 0)
    }

    /// Finds a colour for `v` by moving at most one vertex.
    fn recolour(&mut self, graph: &Graph, v: usize) -> bool {
        let words = self.words;
        let row = graph.row(v);
        for class in 0..self.clauses {
            let members = &self.classes[class * words..][..words];
            let Some(conflict) = only_common(members, row) else { continue };
            if let Some(u) = conflict {
                let other = graph.row(u);
                let free = (0..self.clauses).find(|&free| {
                    free != class
                        && self.classes[free * words..][..words]
                            .iter()
                            .zip(other)
                            .all(|(a, b)| a & b == 0)
                });
                let Some(free) = free else { continue };
                bits::remove(&mut self.classes[class * words..][..words], u);
                bits::insert(&mut self.classes[free * words..][..words], u);
                self.class_of[u] = free as u32;
            }
            bits::insert(&mut self.classes[class * words..][..words], v);
            self.class_of[v] = class as u32;
            bits::remove(&mut self.rest, v);
            return true;
        }
        false
    }

    /// Turns the colours into clauses without spare literals.
    fn start_clauses(&mut self) {
        let clauses = self.clauses;
        self.groups = 0;
        if self.open.len() < clauses {
            self.open.resize(clauses, 0);
            self.groups_of.resize_with(clauses, Vec::new);
            self.satisfied.resize(clauses, false);
            self.in_core.resize(clauses, false);
        }
        self.open[..clauses].fill(0);
        self.groups_of[..clauses].iter_mut().for_each(Vec::clear);
        bits::for_each(&self.coloured, |v| self.open[self.class_of[v] as usize] += 1);
    }

    /// Adds `v` as a separate clause if that leads to a conflict among the clauses. Returns whether
    /// `v` was added.
    fn conflict(&mut self, graph: &Graph, v: usize) -> bool {
        let words = self.words;
        let clause = self.clauses;
        if self.classes.len() < (clause + 1) * words {
            self.classes.resize((clause + 1) * words, 0);
        }
        if self.open.len() <= clause {
            self.open.push(0);
            self.groups_of.push(Vec::new());
            self.satisfied.push(false);
            self.in_core.push(false);
        }
        self.classes[clause * words..][..words].fill(0);
        bits::insert(&mut self.classes[clause * words..][..words], v);
        self.open[clause] = 1;
        self.groups_of[clause].clear();
        self.class_of[v] = clause as u32;
        bits::insert(&mut self.alive, v);
        bits::insert(&mut self.coloured, v);
        self.clauses += 1;

        self.queue.clear();
        self.queue.push(clause as u32);
        self.queue.extend((0..clause as u32).filter(|&c| self.open[c as usize] == 1));
        let empty = self.propagate(graph);
        if let Some(empty) = empty {
            self.explain(empty);
        }
        self.undo();
        if empty.is_none() {
            bits::remove(&mut self.alive, v);
            bits::remove(&mut self.coloured, v);
            self.clauses -= 1;
            return false;
        }
        self.relax();
        true
    }

    /// Propagates units from the queue. Returns a clause that has no literal left, if there is one.
    fn propagate(&mut self, graph: &Graph) -> Option<usize> {
        let words = self.words;
        let mut next = 0;
        while next < self.queue.len() {
            let clause = self.queue[next] as usize;
            next += 1;
            if self.satisfied[clause] {
                continue;
            }
            self.satisfied[clause] = true;
            let members = &self.classes[clause * words..][..words];
            let literal = members
                .iter()
                .zip(&self.alive)
                .enumerate()
                .find(|(_, (members, alive))| *members & *alive != 0)
                .map(|(index, (members, alive))| {
                    index * 64 + (members & alive).trailing_zeros() as usize
                });
            if let Some(v) = literal {
                bits::remove(&mut self.alive, v);
                self.reason[v] = NONE;
                self.trail.push(v as u32);
                self.open[clause] -= 1;
                let row = graph.row(v);
                for (index, &row) in row.iter().enumerate() {
                    let mut gone = self.alive[index] & !row;
                    self.alive[index] &= row;
                    while gone != 0 {
                        let u = index * 64 + gone.trailing_zeros() as usize;
                        gone &= gone - 1;
                        self.reason[u] = clause as u32;
                        self.trail.push(u as u32);
                        let other = self.class_of[u] as usize;
                        self.open[other] -= 1;
                        if self.open[other] <= 1 && !self.satisfied[other] {
                            if self.open[other] == 0 {
                                // The other literals that this word loses have already lost their
                                // bit, but have no entry on the trail yet.
                                while gone != 0 {
                                    let u = index * 64 + gone.trailing_zeros() as usize;
                                    gone &= gone - 1;
                                    self.reason[u] = clause as u32;
                                    self.trail.push(u as u32);
                                    self.open[self.class_of[u] as usize] -= 1;
                                }
                                return Some(other);
                            }
                            self.queue.push(other as u32);
                        }
                    }
                }
            } else {
                let mut free =
                    self.groups_of[clause].iter().filter(|&&g| self.user[g as usize] == NONE);
                let group = *free.next().expect("an open clause has a literal");
                self.user[group as usize] = clause as u32;
                self.group_trail.push(group);
                for &other in &self.members[group as usize] {
                    self.open[other as usize] -= 1;
                    let other = other as usize;
                    if self.open[other] <= 1 && !self.satisfied[other] {
                        if self.open[other] == 0 {
                            // Count the members that are not reached yet, too, because undoing
                            // works by whole groups.
                            let after = self.members[group as usize]
                                .iter()
                                .skip_while(|&&m| m as usize != other)
                                .skip(1);
                            for &member in after {
                                self.open[member as usize] -= 1;
                            }
                            return Some(other);
                        }
                        self.queue.push(other as u32);
                    }
                }
            }
        }
        None
    }

    /// Collects into `core` the clauses that leave `empty` without a literal, including `empty`.
    fn explain(&mut self, empty: usize) {
        let words = self.words;
        self.core.clear();
        self.core.push(empty as u32);
        self.in_core[empty] = true;
        let mut next = 0;
        while next < self.core.len() {
            let clause = self.core[next] as usize;
            next += 1;
            for index in 0..words {
                // A vertex without a reason satisfies the clause.
                let mut lost = self.classes[clause * words + index] & !self.alive[index];
                while lost != 0 {
                    let v = index * 64 + lost.trailing_zeros() as usize;
                    lost &= lost - 1;
                    let reason = self.reason[v];
                    if reason != NONE && !self.in_core[reason as usize] {
                        self.in_core[reason as usize] = true;
                        self.core.push(reason);
                    }
                }
            }
            for &group in &self.groups_of[clause] {
                let user = self.user[group as usize];
                if user != NONE && !self.in_core[user as usize] {
                    self.in_core[user as usize] = true;
                    self.core.push(user);
                }
            }
        }
        for &clause in &self.core {
            self.in_core[clause as usize] = false;
        }
    }

    /// Undoes the propagation.
    fn undo(&mut self) {
        for &v in &self.trail {
            bits::insert(&mut self.alive, v as usize);
            self.open[self.class_of[v as usize] as usize] += 1;
        }
        self.trail.clear();
        for &group in &self.group_trail {
            self.user[group as usize] = NONE;
            for &member in &self.members[group as usize] {
                self.open[member as usize] += 1;
            }
        }
        self.group_trail.clear();
        for &clause in &self.queue {
            self.satisfied[clause as usize] = false;
        }
    }

    /// Gives each clause of `core` a spare literal. One of these literals may be true.
    fn relax(&mut self) {
        let group = self.groups;
        self.groups += 1;
        if self.members.len() < self.groups {
            self.members.push(Vec::new());
            self.user.push(NONE);
        }
        self.members[group].clear();
        self.members[group].extend_from_slice(&self.core);
        for &clause in &self.core {
            self.groups_of[clause as usize].push(group as u32);
            self.open[clause as usize] += 1;
        }
    }
}

/// Returns the number of colours of a greedy colouring. No clique has more vertices than this
/// number.
pub(crate) fn colours(graph: &Graph) -> usize {
    colours_within(graph, &bits::full(graph.vertices()))
}

/// Returns the number of colours of a greedy colouring of the vertices of `set`.
pub(crate) fn colours_within(graph: &Graph, set: &[u64]) -> usize {
    let (mut uncoloured, mut class) = (set.to_vec(), vec![0; set.len()]);
    let mut colours = 0;
    while uncoloured.iter().any(|&word| word != 0) {
        colours += 1;
        class.copy_from_slice(&uncoloured);
        while let Some(v) = first(&class) {
            bits::remove(&mut class, v);
            bits::remove(&mut uncoloured, v);
            for (class, row) in class.iter_mut().zip(graph.row(v)) {
                *class &= !row;
            }
        }
    }
    colours
}

fn first(set: &[u64]) -> Option<usize> {
    bits::iter(set).next()
}

/// Returns the only element that two sets share, or an inner `None` if they share no element. The
/// outer `None` says that they share more than one.
#[inline(always)]
fn only_common(a: &[u64], b: &[u64]) -> Option<Option<usize>> {
    let mut found = None;
    for (index, (a, b)) in a.iter().zip(b).enumerate() {
        let both = a & b;
        if both != 0 {
            if found.is_some() || both & (both - 1) != 0 {
                return None;
            }
            found = Some(index * 64 + both.trailing_zeros() as usize);
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{enumerate, graph};
    use super::*;
    use selfsame_kernels::random::SplitMix64;

    #[test]
    fn what_needs_no_branch_holds_no_larger_clique() {
        let mut random = SplitMix64::new(1);
        let (mut taken_in, mut branches) = (0, Vec::new());
        for _ in 0..20_000 {
            let n = 1 + random.below(28);
            let density = random.below(1025);
            let graph = graph(&mut random, n, density);
            let set = bits::full(n)[0] & (random.word() | random.word());
            let omega = enumerate(&graph, set);
            let mut bound = Bound::new(&graph);
            // One below ω, ω itself, and a number that only needs colours.
            for most in [omega.saturating_sub(1), omega, omega / 2] {
                bound.branches(&graph, &[set], most, &mut branches);
                let mut rest = [set];
                for &v in &branches {
                    assert!(bits::contains(&rest, v as usize));
                    bits::remove(&mut rest, v as usize);
                }
                assert!(
                    enumerate(&graph, rest[0]) <= most,
                    "{graph:?} {set:#x} {most} {branches:?}"
                );
                assert!(!branches.is_empty() || omega <= most);
                taken_in += bound.groups;
                bound.groups = 0;
            }
        }
        // Some bounds needed conflicts, not only colours.
        assert!(taken_in > 1000, "{taken_in}");
    }
}
