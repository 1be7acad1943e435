//! Notes that one step of a backward pass leaves for a later step, because Burn's graph has no
//! place for them.
//!
//! A note states one of three facts about a node of the graph. Each fact saves work in the backward
//! step that reads it:
//!
//! 1. **Its gradient has begun.** This operation has registered a part of the gradient, such as the
//!    part of a residual. The next step that computes another part adds the first part while
//!    writing, which saves Burn a pass over both parts.
//! 2. **Sums over its gradient are known.** The step that wrote the gradient first set it to zero
//!    where ReLU had cut off values. (Doing so again changes nothing.) It then took the two sums
//!    per channel that batch normalisation needs.
//! 3. **Its origin is known.** The node is an output after ReLU, and the note holds the output of
//!    the convolution from which the node was computed. The step that reads the node can then take
//!    those sums.
//!
//! Every note is a hint. A step without one computes the same gradients in more passes over memory,
//! so a note may be dropped at any time. A note that is kept must be true. The following reasons
//! ensure this:
//!
//! - A node's identifier is never used again, and a node takes part in one backward pass only. So
//!   no later step asks about the nodes of earlier passes. Notes of earlier passes need no
//!   cleaning, and the oldest notes are dropped.
//! - A gradient that has begun stays registered until the node's own step consumes it. That step
//!   first removes the note ([`begin`]). Leaves get no notes, because their gradients outlast the
//!   pass. (This would fail if Burn kept a graph for a second pass and that pass reached the node
//!   without the node's own step. This operation must not read such a node in both passes.)
//! - Sums hold for one tensor. Any other addition to the gradient replaces or copies that tensor.
//!   So a note stores the address of the tensor, and its sums are valid only for a gradient at the
//!   same address.
//! - An origin is fixed when its node is made. The note holds a weak reference to the origin, which
//!   the graph owns.
//!
//! Notes are kept by thread, because a graph is built and run backward on one thread. Another
//! thread has no notes, which is harmless.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use burn::backend::autodiff::NodeId;
use burn_flex::FlexTensor;
use selfsame_kernels::norm::Sums;

use super::Convolved;
use crate::flex::address;

/// Maximum number of notes of each kind. It is far above the number of gradients that wait for
/// another part at any time.
const MAX_NOTES: usize = 64;

thread_local! {
    static NOTES: RefCell<Notes> = const { RefCell::new(Notes::new(MAX_NOTES)) };
}

struct Notes {
    begun: Book<()>,
    /// The sums, and the address of the gradient from which they were taken.
    sums: Book<(Sums, usize)>,
    origins: Book<Weak<Convolved>>,
}

impl Notes {
    const fn new(max: usize) -> Self {
        Self { begun: Book::new(max), sums: Book::new(max), origins: Book::new(max) }
    }
}

/// Begins the step of `node` with its complete gradient, and returns the sums over that gradient if
/// they are known.
pub(super) fn begin(node: NodeId, gradient: &FlexTensor) -> Option<Sums> {
    NOTES.with_borrow_mut(|notes| {
        notes.begun.take(node);
        let (sums, noted) = notes.sums.take(node)?;
        (noted == address(gradient)).then_some(sums)
    })
}

/// Returns whether this operation has registered a part of the gradient of `node`.
pub(super) fn has_begun(node: NodeId) -> bool {
    NOTES.with_borrow(|notes| notes.begun.get(node).is_some())
}

/// Notes that a part of the gradient of `node` was registered. `node` must not be a leaf.
pub(super) fn note_begun(node: NodeId) {
    NOTES.with_borrow_mut(|notes| notes.begun.put(node, ()));
}

/// Notes the sums over `gradient`, which is about to be registered for `node`. If `sums` is `None`,
/// drops the note about the gradient that `gradient` replaces.
pub(super) fn note_sums(node: NodeId, sums: Option<Sums>, gradient: &FlexTensor) {
    NOTES.with_borrow_mut(|notes| match sums {
        Some(sums) => notes.sums.put(node, (sums, address(gradient))),
        None => drop(notes.sums.take(node)),
    });
}

/// Returns the values from which the output `node` was computed, if `node` is an output after ReLU
/// and its graph still exists.
pub(super) fn origin(node: NodeId) -> Option<Arc<Convolved>> {
    NOTES.with_borrow(|notes| notes.origins.get(node).and_then(Weak::upgrade))
}

/// Notes the values from which the output `node` was computed. `node` must be an output after ReLU.
pub(super) fn note_origin(node: NodeId, origin: Weak<Convolved>) {
    NOTES.with_borrow_mut(|notes| notes.origins.put(node, origin));
}

/// Runs `work` on this thread without keeping notes.
#[cfg(test)]
pub(super) fn without<T>(work: impl FnOnce() -> T) -> T {
    NOTES.with_borrow_mut(|notes| *notes = Notes::new(0));
    let result = work();
    NOTES.with_borrow_mut(|notes| *notes = Notes::new(MAX_NOTES));
    result
}

/// Facts about at most `max` nodes, newest first.
struct Book<T> {
    max: usize,
    facts: VecDeque<(NodeId, T)>,
}

impl<T> Book<T> {
    const fn new(max: usize) -> Self {
        Self { max, facts: VecDeque::new() }
    }

    /// Replaces the fact about `node`.
    fn put(&mut self, node: NodeId, fact: T) {
        self.take(node);
        self.facts.push_front((node, fact));
        self.facts.truncate(self.max);
    }

    fn get(&self, node: NodeId) -> Option<&T> {
        self.facts.iter().find(|(other, _)| *other == node).map(|(_, fact)| fact)
    }

    fn take(&mut self, node: NodeId) -> Option<T> {
        let index = self.facts.iter().position(|(other, _)| *other == node)?;
        self.facts.remove(index).map(|(_, fact)| fact)
    }
}
