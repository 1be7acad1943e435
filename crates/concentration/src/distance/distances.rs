use crate::pair_index;

/// The kind of distance, which decides how [`Distances`] store a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Distances of bytes. A key is the squared distance, an integer.
    Bytes,
    /// Distances of embeddings. A key is the squared distance as the bits of an `f32`: for floats
    /// that are not negative, the bits are ordered as the floats are.
    Floats,
}

impl Metric {
    /// Returns the squared distance that a key stands for.
    pub fn squared(self, key: u64) -> f64 {
        match self {
            Self::Bytes => key as f64,
            Self::Floats => f64::from(f32::from_bits(key as u32)),
        }
    }

    /// Returns the distance that a key stands for.
    pub fn distance(self, key: u64) -> f64 {
        self.squared(key).sqrt()
    }

    /// Returns the largest key of a distance that is at most `numerator`/`denominator` times the
    /// distance of `key`. The fraction must be at most 1.
    ///
    /// ```
    /// use selfsame_concentration::distance::Metric;
    ///
    /// assert_eq!(Metric::Bytes.share_of(100, 1, 2), 25); // half of 10
    /// assert_eq!(Metric::Bytes.share_of(99, 1, 2), 24);
    /// let key = |squared: f32| u64::from(squared.to_bits());
    /// assert_eq!(Metric::Floats.share_of(key(3.0), 1, 2), key(0.75));
    /// ```
    pub fn share_of(self, key: u64, numerator: u32, denominator: u32) -> u64 {
        let [above, below] = [numerator, denominator].map(|side| u64::from(side).pow(2));
        match self {
            Self::Bytes => (u128::from(key) * u128::from(above) / u128::from(below)) as u64,
            Self::Floats => {
                let exact = self.squared(key) * above as f64 / below as f64;
                let near = exact as f32;
                let within = if f64::from(near) > exact { near.next_down() } else { near };
                u64::from(within.to_bits())
            }
        }
    }
}

/// Augmented distances of all image pairs i < j of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Distances {
    /// Number of images.
    pub n: usize,
    /// The kind of distance that the keys stand for.
    pub metric: Metric,
    /// The squared distances, packed as [`pair_index`] says. Keys are ordered as the distances are,
    /// and [`Metric::squared`] returns their value.
    pub keys: Vec<u64>,
    /// The views of the first and of the second image that attain each distance.
    pub pairs: Vec<[u16; 2]>,
}

impl Distances {
    /// Returns the key of two different images, given in either order.
    ///
    /// # Panics
    /// If the two images are the same, or if one of them is not in the set.
    pub fn key(&self, i: usize, j: usize) -> u64 {
        self.keys[self.index(i, j)]
    }

    /// Returns the views that attain the distance of two different images, given in either order.
    /// The view of the image with the smaller number comes first.
    ///
    /// # Panics
    /// If the two images are the same, or if one of them is not in the set.
    pub fn views(&self, i: usize, j: usize) -> [u16; 2] {
        self.pairs[self.index(i, j)]
    }

    /// Returns the squared distance of two images.
    ///
    /// # Panics
    /// If the two images are the same, or if one of them is not in the set.
    pub fn squared(&self, i: usize, j: usize) -> f64 {
        self.metric.squared(self.key(i, j))
    }

    /// Returns the distance of two images.
    ///
    /// # Panics
    /// If the two images are the same, or if one of them is not in the set.
    pub fn distance(&self, i: usize, j: usize) -> f64 {
        self.metric.distance(self.key(i, j))
    }

    fn index(&self, i: usize, j: usize) -> usize {
        let (i, j) = (i.min(j), i.max(j));
        assert!(i < j && j < self.n, "two different images of {}", self.n);
        pair_index(self.n, i, j)
    }
}
