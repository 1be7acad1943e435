//! Memory for activations and gradients that goes from step to step without going back to the system.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::{LazyLock, Mutex, PoisonError};

/// One cache line; makes buffers start on one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// A slice of f32 that begins on a cache line and returns to a pool of the process when dropped.
///
/// Fresh memory costs a page fault every 4 KiB, more than a pass over it; a training step asks for the same
/// sizes again and again.
pub struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

/// The idle buffers, by length in lines. It never holds more than was once in use at the same time.
#[derive(Default)]
struct Pool {
    idle: HashMap<usize, Vec<Vec<Line>>>,
    idle_lines: usize,
    used_lines: usize,
    most_used: usize,
}

static POOL: LazyLock<Mutex<Pool>> = LazyLock::new(Mutex::default);

impl Buffer {
    /// `len` values, whatever an earlier owner left there: to be written before they are read.
    pub fn any(len: usize) -> Self {
        let count = len.div_ceil(LINE);
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        pool.used_lines += count;
        pool.most_used = pool.most_used.max(pool.used_lines);
        let found = pool.idle.get_mut(&count).and_then(Vec::pop);
        if found.is_some() {
            pool.idle_lines -= count;
        }
        drop(pool);
        Self { lines: found.unwrap_or_else(|| vec![Line([0.0; LINE]); count]), len }
    }

    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::any(len);
        buffer.fill(0.0);
        buffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        let count = lines.len();
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        pool.used_lines -= count;
        if pool.idle_lines + count > pool.most_used {
            pool.idle.clear();
            pool.idle_lines = 0;
        }
        pool.idle_lines += count;
        pool.idle.entry(count).or_default().push(lines);
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the lines are initialised, contiguous and without padding, and hold at least `len` values.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the lines are borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

/// The values' bytes, as the machine orders them.
impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: as above; every byte of an f32 is a value of u8.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len * size_of::<f32>()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_on_a_cache_line_and_holds_its_length() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let buffer = Buffer::zeros(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(AsRef::<[u8]>::as_ref(&buffer).len(), 4 * len);
            assert_eq!(buffer.as_ptr() as usize % 64, 0);
            assert!(buffer.iter().all(|&value| value == 0.0));
        }
    }

    #[test]
    fn zeros_are_zeros_after_another_owner() {
        for _ in 0..4 {
            let mut buffer = Buffer::zeros(123_457);
            assert!(buffer.iter().all(|&value| value == 0.0));
            buffer.fill(7.0);
        }
    }
}
