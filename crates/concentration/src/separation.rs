//! How far apart classes are, compared with how far their own images spread: overlap and
//! separation.
//!
//! The theory of concentration assumes that views of different classes never meet. Violent
//! augmentations break that assumption: if every view is the same, every augmented distance is
//! zero. Concentration within classes is therefore only meaningful together with the distances
//! between classes.

use thiserror::Error;

use crate::distance::Distances;

/// Distances within classes compared with distances between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Separation {
    /// For each image, the key of its nearest image of another class; `None` if there is no other
    /// class.
    pub nearest_other: Vec<Option<u64>>,
    /// P[d_A(same class) < d_A(different classes)] + ½ P[=], over pairs of the two kinds: 1 if
    /// every pair within a class is nearer than every pair across classes, ½ if the two kinds do
    /// not differ. `None` if either kind has no pair.
    pub overall: Option<f64>,
    /// This probability for each class: pairs of images of the class are compared with pairs of an
    /// image of the class and an image of another class.
    pub per_class: Vec<Option<f64>>,
}

/// Labels that do not fit the distances.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SeparationError {
    /// The number of labels differs from the number of images.
    #[error("{labels} labels of {images} images")]
    Count {
        /// Number of labels.
        labels: usize,
        /// Number of images whose distances are given.
        images: usize,
    },
    /// A label is not below the number of classes.
    #[error("image {image} has the label {label}, but there are {classes} classes")]
    Label {
        /// The image.
        image: usize,
        /// Its label.
        label: u32,
        /// Number of classes.
        classes: usize,
    },
}

impl Separation {
    /// Measures distances of images with the given labels, each below `classes`. Sorts a copy of
    /// the distances.
    ///
    /// # Errors
    /// If the number of labels differs from the number of images, or if a label is not below
    /// `classes`.
    ///
    /// ```
    /// use selfsame_concentration::{distance::{Distances, Metric}, separation::Separation};
    ///
    /// // Images 0 and 1 of one class, 2 of another: d_A² of the pairs (0, 1), (0, 2), (1, 2).
    /// let distances = Distances { n: 3, metric: Metric::Bytes, keys: vec![4, 4, 9], pairs: vec![[0, 0]; 3] };
    /// let separation = Separation::measure(&distances, &[0, 0, 1], 2)?;
    /// assert_eq!(separation.overall, Some(0.75)); // once equal, once nearer
    /// assert_eq!(separation.nearest_other, [Some(4), Some(9), Some(4)]);
    /// assert_eq!(separation.overlap(4), 2.0 / 3.0);
    /// # Ok::<(), selfsame_concentration::separation::SeparationError>(())
    /// ```
    pub fn measure(
        distances: &Distances,
        labels: &[u32],
        classes: usize,
    ) -> Result<Self, SeparationError> {
        let n = distances.n;
        if labels.len() != n {
            return Err(SeparationError::Count { labels: labels.len(), images: n });
        }
        if let Some((image, &label)) =
            labels.iter().enumerate().find(|(_, label)| **label as usize >= classes)
        {
            return Err(SeparationError::Label { image, label, classes });
        }
        let mut nearest_other: Vec<Option<u64>> = vec![None; n];
        let (mut same, mut different) = (vec![Vec::new(); classes], vec![Vec::new(); classes]);
        let mut all_different = Vec::new();
        let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| [i, j]));
        for (pair, &key) in pairs.zip(&distances.keys) {
            let [a, b] = pair.map(|image| labels[image] as usize);
            if a == b {
                same[a].push(key);
                continue;
            }
            all_different.push(key);
            different[a].push(key);
            different[b].push(key);
            for image in pair {
                let nearest = nearest_other[image].get_or_insert(key);
                if key < *nearest {
                    *nearest = key;
                }
            }
        }
        let per_class = same
            .iter()
            .zip(different)
            .map(|(same, different)| nearer(same.clone(), different))
            .collect();
        let overall = nearer(same.concat(), all_different);
        Ok(Self { nearest_other, overall, per_class })
    }

    /// Returns the share of images that have an image of another class within the distance of
    /// `key`, or 0 if there are no images.
    pub fn overlap(&self, key: u64) -> f64 {
        let near = self.nearest_other.iter().filter(|nearest| nearest.is_some_and(|n| n <= key));
        near.count() as f64 / self.nearest_other.len().max(1) as f64
    }
}

/// Computes P[a < b] + ½ P[a = b], counted in integers.
fn nearer(mut a: Vec<u64>, mut b: Vec<u64>) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    a.sort_unstable();
    b.sort_unstable();
    // Each value of a counts twice every greater value of b, and once every equal value of b. The
    // two indices into b advance together with a.
    let (mut below, mut not_above, mut halves) = (0, 0, 0_u128);
    for value in &a {
        while below < b.len() && b[below] < *value {
            below += 1;
        }
        not_above = not_above.max(below);
        while not_above < b.len() && b[not_above] <= *value {
            not_above += 1;
        }
        halves += 2 * (b.len() - not_above) as u128 + (not_above - below) as u128;
    }
    Some(halves as f64 / (2.0 * a.len() as f64 * b.len() as f64))
}
