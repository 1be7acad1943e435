//! Divides a batch into groups of images. Only the shape decides, because the number of threads
//! must not change the order of any sum.

use std::ops::Range;

/// Number of groups that a thread takes at once. The thread does not ask between these groups
/// whether another thread is idle, because each start costs the thread some memory. If a thread
/// took more groups at once, the other threads would wait for that thread at the end.
pub(super) const GROUPS_AT_ONCE: usize = 8;

/// Groups of the same size, or of two sizes that differ by one.
pub(super) struct Groups {
    batch: usize,
    pub count: usize,
}

/// A range of neighbouring images of a batch.
pub(super) struct Group {
    pub images: Range<usize>,
    /// Index of the group's size among the two [sizes](Groups::sizes).
    pub size: usize,
}

impl Group {
    /// Returns the range of the group's values among the batch's values. Each image has `image_len`
    /// values.
    pub fn range(&self, image_len: usize) -> Range<usize> {
        self.images.start * image_len..self.images.end * image_len
    }
}

impl Groups {
    /// Divides a batch into as few groups as possible of at most `size` images.
    pub fn new(batch: usize, size: usize) -> Self {
        Self { batch, count: batch.div_ceil(size.max(1)) }
    }

    /// Returns the two sizes that groups have.
    pub fn sizes(&self) -> [usize; 2] {
        let smaller = self.batch.checked_div(self.count).unwrap_or(0);
        [smaller, smaller + 1]
    }

    pub fn get(&self, index: usize) -> Group {
        let start = |index: usize| index * self.batch / self.count;
        let images = start(index)..start(index + 1);
        Group { size: images.len() - self.sizes()[0], images }
    }

    pub fn iter(&self) -> impl Iterator<Item = Group> + '_ {
        (0..self.count).map(|index| self.get(index))
    }

    /// Returns every group with its stretch of `values`. Each image has `image_len` values.
    pub fn split<'a, T>(&self, values: &'a mut [T], image_len: usize) -> Vec<(Group, &'a mut [T])> {
        let lens = self.iter().map(|group| group.range(image_len).len());
        self.iter().zip(stretches(values, lens)).collect()
    }
}

/// Cuts `values` into stretches of the given lengths.
pub(super) fn stretches<T>(
    mut values: &mut [T],
    lens: impl Iterator<Item = usize>,
) -> Vec<&mut [T]> {
    lens.map(|len| values.split_off_mut(..len).expect("as many values as the lengths add up to"))
        .collect()
}
