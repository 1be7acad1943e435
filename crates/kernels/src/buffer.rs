//! Memory for activations and gradients that goes from step to step without going back to the
//! system.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::element::Element;

/// One cache line; makes buffers start on one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Bytes of a line.
const LINE: usize = 64;

/// A slice of f32 or bf16 that begins on a cache line and returns to a pool of the process when
/// dropped.
///
/// Fresh memory costs a page fault every 4 KiB, more than a pass over it; a training step asks for
/// the same sizes again and again.
pub struct Buffer<T = f32> {
    lines: Vec<Line>,
    len: usize,
    values: PhantomData<T>,
}

/// The idle buffers, by length in lines.
#[derive(Default)]
struct Pool {
    idle: BTreeMap<usize, Class>,
    idle_lines: usize,
    used_lines: usize,
    most_used: usize,
    /// Counts buffers that came back.
    clock: u64,
}

/// Idle buffers of one length, and when one last came back.
#[derive(Default)]
struct Class {
    buffers: Vec<Vec<Line>>,
    last: u64,
}

impl Pool {
    /// Gives memory back to the system, of the lengths that were not in use for longest, until all
    /// buffers together take no more than half above the most that was in use at a time.
    fn shrink(&mut self) {
        while self.idle_lines > 0
            && self.used_lines + self.idle_lines > self.most_used + self.most_used / 2
        {
            let oldest = self.idle.iter().min_by_key(|(_, class)| class.last);
            let Some(count) = oldest.map(|(&count, _)| count) else { return };
            drop(self.take(count));
        }
    }

    /// An idle buffer of that length, if there is one; no class stays empty.
    fn take(&mut self, length: usize) -> Option<Vec<Line>> {
        let class = self.idle.get_mut(&length)?;
        let found = class.buffers.pop();
        if class.buffers.is_empty() {
            self.idle.remove(&length);
        }
        self.idle_lines -= found.as_ref().map_or(0, Vec::len);
        found
    }
}

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

impl<T: Element> Buffer<T> {
    /// `len` values, whatever an earlier owner left there: to be written before they are read.
    pub fn any(len: usize) -> Self {
        let count = (len * size_of::<T>()).div_ceil(LINE);
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        // A little longer ones serve as well.
        let length = pool.idle.range(count..=count + count / 2).next().map(|(&length, _)| length);
        let found = length.and_then(|length| pool.take(length));
        pool.used_lines += found.as_ref().map_or(count, Vec::len);
        pool.most_used = pool.most_used.max(pool.used_lines);
        drop(pool);
        Self {
            lines: found.unwrap_or_else(|| vec![Line([0; LINE]); count]),
            len,
            values: PhantomData,
        }
    }

    /// The first `len` of its values, or, where it is shorter, of a new one in its place: memory
    /// that is used again.
    pub fn at_least(&mut self, len: usize) -> &mut [T] {
        if self.len < len {
            *self = Self::any(len);
        }
        &mut self[..len]
    }

    /// Overwrites what idle buffers hold, for tests of who reads it.
    #[doc(hidden)]
    pub fn overwrite_idle(value: f32) {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        for class in pool.idle.values_mut() {
            for line in class.buffers.iter_mut().flatten() {
                line.0
                    .as_chunks_mut::<4>()
                    .0
                    .iter_mut()
                    .for_each(|bytes| *bytes = value.to_ne_bytes());
            }
        }
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::any(len);
        buffer.fill(T::default());
        buffer
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        let count = lines.len();
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        pool.used_lines -= count;
        pool.idle_lines += count;
        pool.clock += 1;
        let now = pool.clock;
        let class = pool.idle.entry(count).or_default();
        class.buffers.push(lines);
        class.last = now;
        pool.shrink();
    }
}

impl<T: Element> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines are initialised, contiguous, without padding and aligned for any
        // element; they hold at least `len` values, and any bits are a value.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Element> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and the lines are borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// The values' bytes, as the machine orders them.
impl<T: Element> AsRef<[u8]> for Buffer<T> {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: as above; an element has no padding, so that every byte of it is a value of u8.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len * size_of::<T>()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_on_a_cache_line_and_holds_its_length() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let buffer = Buffer::<f32>::zeros(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(AsRef::<[u8]>::as_ref(&buffer).len(), 4 * len);
            assert_eq!(buffer.as_ptr() as usize % 64, 0);
            assert!(buffer.iter().all(|&value| value == 0.0));
        }
    }

    #[test]
    fn zeros_are_zeros_after_another_owner() {
        for _ in 0..4 {
            let mut buffer = Buffer::<f32>::zeros(123_457);
            assert!(buffer.iter().all(|&value| value == 0.0));
            buffer.fill(7.0);
        }
    }
}
