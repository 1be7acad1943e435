//! What one step of a backward pass tells the next, where Burn's graph has no place for it.
//!
//! Three facts about a node of the graph save work in the backward step that reads them:
//!
//! 1. **Its gradient has begun.** This operation has registered a part of the gradient, such as a
//!    residual's. The next step that computes another part adds the first one as it writes, and
//!    saves Burn a pass over both.
//! 2. **Sums over its gradient are known.** Whoever wrote the gradient also took the two sums for
//!    each channel that batch normalisation needs of it, after setting it to zero where ReLU had
//!    cut off. (To do that again changes nothing.)
//! 3. **Its origin is known.** The node is an output behind ReLU, and this is the convolution's
//!    output that it was computed from. The reader of the node can then take those sums.
//!
//! Every note is a hint. A step without one computes the same gradients in more passes over memory,
//! so a note may be dropped at any time. A note that is kept must be true. This is why each is:
//!
//! - A node's identifier is never used again, and a node takes part in one backward pass only. So
//!   notes of earlier passes are about nodes that no later step asks about. They need no cleaning,
//!   and the oldest are dropped.
//! - A gradient that has begun stays registered until its node's own step consumes it. That step
//!   first takes the note away ([`begin`]). Leaves are not noted: their gradients outlast the pass.
//!   (A graph that Burn keeps for a second pass, and that reaches the node without its own step,
//!   would break this: this operation must not read such a node in both passes.)
//! - Sums hold for one tensor. Anything else that adds to the gradient replaces or copies that
//!   tensor, so sums come with its address and count only for a gradient at the same address.
//! - An origin is fixed when its node is made. The note holds it weakly: the graph owns it.
//!
//! Notes are kept by thread, because a graph is built and run backward on one thread. On another
//! thread there are none, and nothing is wrong.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use burn::backend::autodiff::NodeId;
use burn_flex::FlexTensor;
use selfsame_kernels::norm::Sums;

use super::Convolved;
use crate::flex::address;

/// Notes of each kind at most: many more than gradients wait for another part at any time.
const MOST: usize = 64;

thread_local! {
    static NOTES: RefCell<Notes> = const { RefCell::new(Notes::new(MOST)) };
}

struct Notes {
    begun: Book<()>,
    /// The sums, and the address of the gradient that they were taken of.
    sums: Book<(Sums, usize)>,
    origins: Book<Weak<Convolved>>,
}

impl Notes {
    const fn new(most: usize) -> Self {
        Self { begun: Book::new(most), sums: Book::new(most), origins: Book::new(most) }
    }
}

/// Begins the step of `node`, whose whole gradient is given: the sums over it, if they are known.
pub(super) fn begin(node: NodeId, gradient: &FlexTensor) -> Option<Sums> {
    NOTES.with_borrow_mut(|notes| {
        notes.begun.take(node);
        let (sums, of) = notes.sums.take(node)?;
        (of == address(gradient)).then_some(sums)
    })
}

/// Whether this operation has registered a part of the gradient of `node`.
pub(super) fn has_begun(node: NodeId) -> bool {
    NOTES.with_borrow(|notes| notes.begun.get(node).is_some())
}

/// Notes that a part of the gradient of `node`, which is no leaf, was registered.
pub(super) fn note_begun(node: NodeId) {
    NOTES.with_borrow_mut(|notes| notes.begun.put(node, ()));
}

/// Notes the sums over `gradient`, which is about to be registered for `node`; without any, those
/// of the gradient that it replaces are forgotten.
pub(super) fn note_sums(node: NodeId, sums: Option<Sums>, gradient: &FlexTensor) {
    NOTES.with_borrow_mut(|notes| match sums {
        Some(sums) => notes.sums.put(node, (sums, address(gradient))),
        None => drop(notes.sums.take(node)),
    });
}

/// What the output `node` was computed from, if it is behind ReLU and its graph still exists.
pub(super) fn origin(node: NodeId) -> Option<Arc<Convolved>> {
    NOTES.with_borrow(|notes| notes.origins.get(node).and_then(Weak::upgrade))
}

/// Notes what the output `node`, which is behind ReLU, was computed from.
pub(super) fn note_origin(node: NodeId, origin: Weak<Convolved>) {
    NOTES.with_borrow_mut(|notes| notes.origins.put(node, origin));
}

/// Runs `work` with no notes kept, on this thread.
#[cfg(test)]
pub(super) fn without<T>(work: impl FnOnce() -> T) -> T {
    NOTES.with_borrow_mut(|notes| *notes = Notes::new(0));
    let result = work();
    NOTES.with_borrow_mut(|notes| *notes = Notes::new(MOST));
    result
}

/// A fact about each of at most `most` nodes, the newest first.
struct Book<T> {
    most: usize,
    facts: VecDeque<(NodeId, T)>,
}

impl<T> Book<T> {
    const fn new(most: usize) -> Self {
        Self { most, facts: VecDeque::new() }
    }

    /// Replaces the fact about `node`.
    fn put(&mut self, node: NodeId, fact: T) {
        self.take(node);
        self.facts.push_front((node, fact));
        self.facts.truncate(self.most);
    }

    fn get(&self, node: NodeId) -> Option<&T> {
        self.facts.iter().find(|(other, _)| *other == node).map(|(_, fact)| fact)
    }

    fn take(&mut self, node: NodeId) -> Option<T> {
        let at = self.facts.iter().position(|(other, _)| *other == node)?;
        self.facts.remove(at).map(|(_, fact)| fact)
    }
}
