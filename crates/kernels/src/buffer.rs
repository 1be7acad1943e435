//! Memory for activations and gradients that is reused from step to step instead of being returned
//! to the system.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::element::Element;

/// One cache line. Its alignment makes buffers start on a cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Number of bytes per line.
const LINE: usize = 64;

/// A slice of f32 or bf16 that starts on a cache line. When it is dropped, its memory returns to a
/// pool of the process.
///
/// Fresh memory costs a page fault every 4 KiB, which takes longer than a pass over that memory,
/// and every training step asks for the same sizes.
pub struct Buffer<T = f32> {
    lines: Vec<Line>,
    len: usize,
    values: PhantomData<T>,
}

/// The idle buffers, by length in lines.
#[derive(Default)]
struct Pool {
    idle: BTreeMap<usize, Class>,
    /// Number of lines of all idle buffers.
    idle_lines: usize,
    /// Number of lines of all buffers in use.
    used_lines: usize,
    /// Maximum number of lines that were in use at the same time.
    most_used: usize,
    /// Number of buffers that have been returned.
    clock: u64,
}

/// Idle buffers of one length.
#[derive(Default)]
struct Class {
    buffers: Vec<Vec<Line>>,
    /// The pool's clock when a buffer of this length was last returned.
    last: u64,
}

impl Pool {
    /// Returns memory to the system until all buffers together take at most one and a half times
    /// the maximum that was ever in use at the same time. The buffers of the length that has been
    /// idle for longest are freed first.
    fn shrink(&mut self) {
        while self.idle_lines > 0
            && self.used_lines + self.idle_lines > self.most_used + self.most_used / 2
        {
            let oldest = self.idle.iter().min_by_key(|(_, class)| class.last);
            let Some(count) = oldest.map(|(&count, _)| count) else { return };
            drop(self.take(count));
        }
    }

    /// Takes out an idle buffer of `length` lines, if there is one. A class that becomes empty is
    /// removed.
    fn take(&mut self, length: usize) -> Option<Vec<Line>> {
        let class = self.idle.get_mut(&length)?;
        let lines = class.buffers.pop();
        if class.buffers.is_empty() {
            self.idle.remove(&length);
        }
        self.idle_lines -= lines.as_ref().map_or(0, Vec::len);
        lines
    }
}

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

impl<T: Element> Buffer<T> {
    /// Creates a buffer of `len` values that must be written before they are read, because they may
    /// hold values of an earlier owner.
    pub fn any(len: usize) -> Self {
        let count = (len * size_of::<T>()).div_ceil(LINE);
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        // Buffers that are up to half as long again also serve.
        let length = pool.idle.range(count..=count + count / 2).next().map(|(&length, _)| length);
        let lines = length.and_then(|length| pool.take(length));
        pool.used_lines += lines.as_ref().map_or(count, Vec::len);
        pool.most_used = pool.most_used.max(pool.used_lines);
        drop(pool);
        let lines = lines.unwrap_or_else(|| vec![Line([0; LINE]); count]);
        Self { lines, len, values: PhantomData }
    }

    /// Returns the first `len` values, whatever they hold. A shorter buffer is replaced by a buffer
    /// of `len` values.
    pub fn at_least(&mut self, len: usize) -> &mut [T] {
        if self.len < len {
            *self = Self::any(len);
        }
        &mut self[..len]
    }

    /// Overwrites the values of idle buffers, to show that they are not read.
    #[cfg(test)]
    pub(crate) fn overwrite_idle(value: f32) {
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

    /// Creates a buffer of `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::any(len);
        buffer.fill(T::default());
        buffer
    }
}

/// Lets `write` fill `to` with f32. If `to` is f32, it is filled in place. Otherwise `scratch` is
/// filled, and its values are rounded to `to`.
pub(crate) fn through_f32<T: Element>(
    to: &mut [T],
    scratch: &mut Buffer,
    write: impl FnOnce(&mut [f32]),
) {
    let len = to.len();
    if let Some(to) = T::as_f32_mut(to) {
        return write(to);
    }
    let values = scratch.at_least(len);
    write(values);
    to.iter_mut().zip(values).for_each(|(to, value)| *to = T::rounded(*value));
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
        // element. They hold at least `len` values, and any bits are a value.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Element> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the reason is that of `deref`, and the lines are borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// Gives the values' bytes, in the machine's order.
impl<T: Element> AsRef<[u8]> for Buffer<T> {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: as in `deref`. An element has no padding, so every byte of it is initialised.
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
