//! Images that pairs connect.

/// Groups of images, each group a tree whose root stands for it.
pub(super) struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    /// Puts each of `count` images into a group of its own.
    pub(super) fn new(count: usize) -> Self {
        Self { parents: (0..count).collect() }
    }

    fn root(&mut self, mut image: usize) -> usize {
        while self.parents[image] != image {
            // Halve the way for the next time.
            self.parents[image] = self.parents[self.parents[image]];
            image = self.parents[image];
        }
        image
    }

    /// Makes one group of the groups of two images.
    pub(super) fn join(&mut self, images: [usize; 2]) {
        let [a, b] = images.map(|image| self.root(image));
        // The first image of a group is its root, so that the result does not depend on the order.
        self.parents[a.max(b)] = a.min(b);
    }

    /// Returns the groups of two images and more, each in ascending order, by their first image.
    pub(super) fn into_lists(mut self) -> Vec<Vec<usize>> {
        let mut lists = vec![Vec::new(); self.parents.len()];
        for image in 0..self.parents.len() {
            let root = self.root(image);
            lists[root].push(image);
        }
        lists.retain(|list| list.len() > 1);
        lists
    }
}
