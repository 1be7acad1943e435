//! Measures of an augmentation from distances between labelled images: how far it concentrates each
//! class, how far it keeps classes apart, and how much both would vary with other images.
//!
//! The standard error comes from a delete-half jackknife (Shao and Wu 1989): the measures are
//! repeated on random halves of each class, drawn without replacement. If d of n images are
//! deleted, the standard deviation over subsets times √((n − d)/d) estimates the standard error of
//! the measure on all n images. The factor is 1 if every class has an even number of images. A
//! bootstrap would not work: it draws some images twice, a copy lies at distance 0 from its
//! original, and cliques would come out too large.

use std::time::Duration;

use rayon::prelude::*;
use selfsame_kernels::random::SplitMix64;

use crate::clique::{self, maximum_clique};
use crate::distance::Distances;
use crate::separation::{Separation, SeparationError};
use crate::{Graph, pair_index};

/// Measures of one augmentation on one set of labelled images.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// Bounds of σ(δ) = ω/n for each key and each class: the share of the class in its largest main
    /// part. The two bounds are equal if the largest clique was proved. A class without images has
    /// no σ.
    pub sigma: Vec<Vec<Option<[f64; 2]>>>,
    /// Share of images with an image of another class within reach, for each key.
    pub overlap: Vec<f64>,
    /// P[d_A(same class) < d_A(different class)] + ½ P[=]; `None` with a single class.
    pub separation: Option<f64>,
    /// The separation for each class.
    pub class_separation: Vec<Option<f64>>,
}

impl Measures {
    /// Measures at `keys`. If the proof of a clique takes longer than `budget`, its two bounds
    /// differ.
    ///
    /// # Errors
    /// If the labels do not fit the distances.
    ///
    /// ```
    /// use selfsame_concentration::{distance::{Distances, Metric}, forecast::Measures};
    ///
    /// // Images 0 and 1 of one class, 2 and 3 of another, at squared distance 1 within and 4 between classes.
    /// let distances = Distances { n: 4, metric: Metric::Bytes, keys: vec![1, 4, 4, 4, 4, 1], pairs: vec![[0, 0]; 6] };
    /// let measures = Measures::new(&distances, &[0, 0, 1, 1], 2, &[1, 4], None)?;
    /// assert_eq!(measures.mean_sigma(0), [1.0, 1.0]);
    /// assert_eq!((measures.overlap, measures.separation), (vec![0.0, 1.0], Some(1.0)));
    /// # Ok::<(), selfsame_concentration::separation::SeparationError>(())
    /// ```
    pub fn new(
        distances: &Distances,
        labels: &[u32],
        classes: usize,
        keys: &[u64],
        budget: Option<Duration>,
    ) -> Result<Self, SeparationError> {
        let separation = Separation::measure(distances, labels, classes)?;
        let members = members(labels, classes);
        let shares =
            |&key| members.iter().map(|class| share(distances, class, key, budget)).collect();
        Ok(Self {
            sigma: keys.iter().map(shares).collect(),
            overlap: keys.iter().map(|&key| separation.overlap(key)).collect(),
            separation: separation.overall,
            class_separation: separation.per_class,
        })
    }

    /// Returns the bounds of σ averaged over the classes that have images, at the key with index
    /// `key`.
    pub fn mean_sigma(&self, key: usize) -> [f64; 2] {
        mean(&self.sigma[key].iter().copied().flatten().collect::<Vec<_>>())
    }

    /// Returns the bounds of σ averaged over the classes and over all keys: how much a policy
    /// gathers.
    pub fn gathered(&self) -> [f64; 2] {
        mean(&(0..self.sigma.len()).map(|key| self.mean_sigma(key)).collect::<Vec<_>>())
    }

    /// Returns the bounds of the theory's σ: the smallest σ of all classes.
    pub fn least_sigma(&self, key: usize) -> [f64; 2] {
        [0, 1].map(|side| {
            self.sigma[key].iter().flatten().map(|sigma| sigma[side]).fold(1.0, f64::min)
        })
    }
}

fn mean(shares: &[[f64; 2]]) -> [f64; 2] {
    [0, 1].map(|side| {
        shares.iter().map(|share| share[side]).sum::<f64>() / shares.len().max(1) as f64
    })
}

/// Bounds the share of a class that its largest main part holds, if the class has images.
fn share(
    distances: &Distances,
    class: &[usize],
    key: u64,
    budget: Option<Duration>,
) -> Option<[f64; 2]> {
    if class.is_empty() {
        return None;
    }
    let keys = within(distances, class);
    let graph = Graph::from_threshold(class.len(), &keys, key);
    let clique = maximum_clique(
        &graph,
        &clique::Options { budget, threads: 1, ..clique::Options::default() },
    );
    Some([clique.witness.len(), clique.upper].map(|images| images as f64 / class.len() as f64))
}

/// Returns the median key of all pairs of images of the same class, over all classes together. If
/// the number of pairs is even, it is the lower of the two middle keys. Returns `None` if no class
/// has two images.
///
/// ```
/// use selfsame_concentration::{distance::{Distances, Metric}, forecast::middle_within};
///
/// let distances = Distances { n: 4, metric: Metric::Bytes, keys: vec![1, 4, 9, 5, 6, 7], pairs: vec![[0, 0]; 6] };
/// assert_eq!(middle_within(&distances, &[0, 0, 0, 1], 2), Some(4));
/// assert_eq!(middle_within(&distances, &[0, 1, 2, 3], 4), None);
/// ```
pub fn middle_within(distances: &Distances, labels: &[u32], classes: usize) -> Option<u64> {
    let mut keys: Vec<u64> =
        members(labels, classes).iter().flat_map(|class| within(distances, class)).collect();
    let middle = keys.len().checked_sub(1)? / 2;
    Some(*keys.select_nth_unstable(middle).1)
}

/// Returns the packed keys of the pairs among `images`, which must be ascending.
pub fn within(distances: &Distances, images: &[usize]) -> Vec<u64> {
    let pairs = images
        .iter()
        .enumerate()
        .flat_map(|(at, &i)| images[at + 1..].iter().map(move |&j| (i, j)));
    pairs.map(|(i, j)| distances.keys[pair_index(distances.n, i, j)]).collect()
}

/// Returns the distances among `images`, which must be ascending.
pub fn restrict(distances: &Distances, images: &[usize]) -> Distances {
    let pairs = images
        .iter()
        .enumerate()
        .flat_map(|(at, &i)| images[at + 1..].iter().map(move |&j| (i, j)));
    let pairs = pairs.map(|(i, j)| distances.pairs[pair_index(distances.n, i, j)]).collect();
    let keys = within(distances, images);
    Distances { n: images.len(), metric: distances.metric, keys, pairs }
}

/// Returns the images of each class, ascending.
pub fn members(labels: &[u32], classes: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); classes];
    for (image, &label) in labels.iter().enumerate() {
        if let Some(class) = members.get_mut(label as usize) {
            class.push(image);
        }
    }
    members
}

/// Half of the width of a 95 % interval, as a number of standard errors.
const SIDE: f64 = 1.96;

/// Random halves of labelled images, on which measures are repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct Halves {
    /// The images of each half, in ascending order: half of each class, rounded up.
    pub images: Vec<Vec<usize>>,
    /// The factor √((n − d)/d) of the jackknife, if d of n images are deleted. `None` if none is.
    factor: Option<f64>,
}

impl Halves {
    /// Draws `count` halves without replacement. The result depends only on the labels and the
    /// seed.
    ///
    /// ```
    /// use selfsame_concentration::forecast::Halves;
    ///
    /// let halves = Halves::draw(&[0, 0, 1, 1], 2, 2, 7);
    /// assert_eq!(halves.images[0].len(), 2);
    /// // A measure of 2 on all images, and of 1 and 3 on the two halves.
    /// assert_eq!(halves.standard_error(&[1.0, 3.0]), Some(2f64.sqrt()));
    /// assert_eq!(halves.standard_error(&[1.0]), None);
    /// ```
    pub fn draw(labels: &[u32], classes: usize, count: usize, seed: u64) -> Self {
        let members = members(labels, classes);
        let mut random = SplitMix64::new(seed);
        let half = |_| {
            let mut half: Vec<usize> = Vec::new();
            for class in &members {
                let mut class = class.clone();
                let keep = class.len().div_ceil(2);
                for at in 0..keep {
                    let pick = at + (random.word() % (class.len() - at) as u64) as usize;
                    class.swap(at, pick);
                }
                half.extend(&class[..keep]);
            }
            half.sort_unstable();
            half
        };
        let images = (0..count).map(half).collect();
        let deleted: usize = members.iter().map(|class| class.len() / 2).sum();
        let kept: usize = members.iter().map(|class| class.len().div_ceil(2)).sum();
        let factor = (deleted > 0).then(|| (kept as f64 / deleted as f64).sqrt());
        Self { images, factor }
    }

    /// Takes the measures of each half; see [`Measures::new`].
    ///
    /// # Errors
    /// If the labels do not fit the distances.
    pub fn measures(
        &self,
        distances: &Distances,
        labels: &[u32],
        classes: usize,
        keys: &[u64],
        budget: Option<Duration>,
    ) -> Result<Vec<Measures>, SeparationError> {
        let half = |images: &Vec<usize>| {
            let labels: Vec<u32> = images.iter().map(|&image| labels[image]).collect();
            Measures::new(&restrict(distances, images), &labels, classes, keys, budget)
        };
        self.images.par_iter().map(half).collect()
    }

    /// Estimates the standard error of a measure on all images from its values on the halves.
    /// Returns `None` if nothing is known of it: for fewer than two halves, or if no class has two
    /// images.
    pub fn standard_error(&self, values: &[f64]) -> Option<f64> {
        Some(deviation(values)? * self.factor?)
    }

    /// Estimates the 95 % interval of a measure, kept within `range`, from its `value` on all images
    /// and its values on the halves. Returns `None` where [`standard_error`](Self::standard_error)
    /// does.
    pub fn interval(&self, value: f64, halves: &[f64], range: [f64; 2]) -> Option<[f64; 2]> {
        let error = SIDE * self.standard_error(halves)?;
        Some([(value - error).max(range[0]), (value + error).min(range[1])])
    }
}

/// Returns the standard deviation of a sample, or `None` for fewer than two values.
fn deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::distance::Metric;

    use super::*;

    /// Returns the distances between points of a plane.
    fn distances(points: &[(u64, u64)]) -> Distances {
        let n = points.len();
        let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
        let key = |(i, j): (usize, usize)| {
            let (a, b) = (points[i], points[j]);
            a.0.abs_diff(b.0).pow(2) + a.1.abs_diff(b.1).pow(2)
        };
        let keys: Vec<u64> = pairs.map(key).collect();
        Distances { n, metric: Metric::Bytes, pairs: vec![[0, 0]; keys.len()], keys }
    }

    /// Returns the size of the largest set of images pairwise within reach, by trying all sets.
    fn largest(distances: &Distances, images: &[usize], key: u64) -> usize {
        let fits = |set: u32| {
            let chosen: Vec<usize> = images
                .iter()
                .enumerate()
                .filter(|(at, _)| set >> at & 1 == 1)
                .map(|(_, &i)| i)
                .collect();
            let near = chosen
                .iter()
                .all(|&i| chosen.iter().all(|&j| i == j || distances.key(i, j) <= key));
            if near { chosen.len() } else { 0 }
        };
        (0..1_u32 << images.len()).map(fits).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn measures_are_those_of_trying_everything(
            points in prop::collection::vec(((0_u64..12, 0_u64..12), 0_u32..3), 1..14),
            key in 0_u64..120,
        ) {
            let labels: Vec<u32> = points.iter().map(|(_, label)| *label).collect();
            let distances = distances(&points.iter().map(|(point, _)| *point).collect::<Vec<_>>());
            let measures = Measures::new(&distances, &labels, 3, &[key], None).unwrap();
            let own = members(&labels, 3);
            for (class, images) in own.iter().enumerate().filter(|(_, images)| !images.is_empty()) {
                let sigma = largest(&distances, images, key) as f64 / images.len() as f64;
                prop_assert_eq!(measures.sigma[0][class], Some([sigma; 2]));
            }
            let other = |i: usize, j: usize| labels[i] != labels[j];
            let n = labels.len();
            let near = (0..n).filter(|&i| (0..n).any(|j| other(i, j) && distances.key(i, j) <= key)).count();
            prop_assert_eq!(measures.overlap[0], near as f64 / n as f64);
        }

        #[test]
        fn halves_hold_half_of_each_class_once(labels in prop::collection::vec(0_u32..4, 0..40), seed: u64) {
            for half in Halves::draw(&labels, 4, 3, seed).images {
                prop_assert!(half.is_sorted_by(|a, b| a < b));
                for (class, images) in members(&labels, 4).iter().enumerate() {
                    let kept = half.iter().filter(|&&image| labels[image] as usize == class).count();
                    prop_assert_eq!(kept, images.len().div_ceil(2));
                }
            }
        }

        #[test]
        fn a_restriction_keeps_keys(points in prop::collection::vec((0_u64..99, 0_u64..99), 4..12)) {
            let all = distances(&points);
            let some = restrict(&all, &[0, 2, 3]);
            prop_assert_eq!(some.keys, vec![all.key(0, 2), all.key(0, 3), all.key(2, 3)]);
        }
    }

    #[test]
    fn a_constant_view_concentrates_all_and_separates_nothing() {
        let distances = distances(&[(5, 5); 8]);
        let measures = Measures::new(&distances, &[0, 0, 0, 0, 1, 1, 1, 1], 2, &[0], None).unwrap();
        assert_eq!(measures.mean_sigma(0), [1.0; 2]);
        assert_eq!((measures.overlap[0], measures.separation), (1.0, Some(0.5)));
    }

    #[test]
    fn what_is_gathered_is_the_mean_over_classes_and_keys() {
        // At squared distance 1, half of the first class comes together; at 4, all of it does. The
        // second class comes together at 1.
        let distances = Distances {
            n: 4,
            metric: Metric::Bytes,
            keys: vec![4, 9, 9, 9, 9, 1],
            pairs: vec![[0, 0]; 6],
        };
        let measures = Measures::new(&distances, &[0, 0, 1, 1], 2, &[1, 4], None).unwrap();
        assert_eq!(measures.gathered(), [0.875; 2]);
        // A class without images changes nothing.
        let measures = Measures::new(&distances, &[0, 0, 2, 2], 3, &[1, 4], None).unwrap();
        assert_eq!((measures.gathered(), measures.least_sigma(0)), ([0.875; 2], [0.5; 2]));
    }

    #[test]
    fn the_error_of_a_mean_is_the_one_of_the_textbook() {
        // For a mean, the delete-half jackknife is exact in expectation: s/√n. Of 5 images, 3 are
        // kept and 2 are deleted.
        for n in [200, 5] {
            let values: Vec<f64> = (0..n).map(|i| f64::from((i * 7919) % n)).collect();
            let halves = Halves::draw(&vec![0; n as usize], 1, 2000, 1);
            let mean = |half: &Vec<usize>| {
                half.iter().map(|&image| values[image]).sum::<f64>() / half.len() as f64
            };
            let means: Vec<f64> = halves.images.iter().map(mean).collect();
            let expected = deviation(&values).unwrap() / f64::from(n).sqrt();
            let found = halves.standard_error(&means).unwrap();
            // The standard deviation of 2000 draws is off by 1/√4000 = 1.6 % (one standard error).
            // Allow four standard errors.
            assert!((found / expected - 1.0).abs() < 4.0 * 0.016, "{n}: {found} {expected}");
        }
    }

    #[test]
    fn an_unknown_error_gives_no_interval() {
        let alone = Halves::draw(&[0, 1, 2], 3, 4, 1);
        assert_eq!(alone.standard_error(&[1.0; 4]), None, "no image can be deleted");
        let halves = Halves::draw(&[0, 0], 1, 4, 1);
        assert_eq!(halves.interval(0.5, &[], [0.0, 1.0]), None);
        assert_eq!(halves.interval(0.5, &[0.0, 1.0], [0.0, 1.0]), Some([0.0, 1.0]));
    }
}
