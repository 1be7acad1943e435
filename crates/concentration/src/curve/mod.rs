//! σ(δ): the largest main part of a class at every distance.
//!
//! Join two of n images if the key of the pair, its squared augmented distance, is at most δ. The
//! clique number of that graph is ω(δ), and σ(δ) = ω(δ)/n. The curve is a staircase: for every k
//! there is a smallest key t(k) at which some k images are all joined. These n numbers are the
//! whole curve.
//!
//! A clique gives an upper bound on t(k); peeling and local search find cliques (`peel.rs`). A
//! lower bound needs a proof: it takes the pairs in the order of their keys and shows that none of
//! them completes a clique of k images (`certify.rs`).

mod certify;
mod peel;

use std::time::{Duration, Instant};

use crate::graph::pairs;

/// The pairs of images in the order of their keys. The rank of a pair is its index in that order,
/// and the graph up to rank r holds the pairs with ranks 0 to r. Unlike keys, ranks are never
/// equal, so a unique pair completes a clique. The key of that pair is the threshold.
///
/// Images get new numbers, starting with the image closest to all others, because that is a good
/// order for colouring.
struct Pairs {
    images: usize,
    /// The image with each new number.
    label: Vec<usize>,
    /// For each rank: the key and the two images.
    sorted: Vec<(u64, u32, u32)>,
    /// For each packed index of the new numbers: the rank.
    rank: Vec<u32>,
}

impl Pairs {
    fn new(images: usize, keys: &[u64]) -> Self {
        let mut order: Vec<u32> = (0..keys.len() as u32).collect();
        order.sort_by_key(|&index| keys[index as usize]);
        let ends: Vec<(u32, u32)> =
            (0..images as u32).flat_map(|i| (i + 1..images as u32).map(move |j| (i, j))).collect();
        let mut sums = vec![0_u64; images];
        for (place, &index) in order.iter().enumerate() {
            let (i, j) = ends[index as usize];
            sums[i as usize] += place as u64;
            sums[j as usize] += place as u64;
        }
        let mut label: Vec<usize> = (0..images).collect();
        label.sort_by_key(|&image| sums[image]);
        let mut number = vec![0; images];
        label.iter().enumerate().for_each(|(place, &image)| number[image] = place as u32);

        let mut rank = vec![0; keys.len()];
        let mut sorted = Vec::with_capacity(keys.len());
        for (place, &index) in order.iter().enumerate() {
            let (i, j) = ends[index as usize];
            let (i, j) = (number[i as usize], number[j as usize]);
            rank[crate::pair_index(images, i.min(j) as usize, i.max(j) as usize)] = place as u32;
            sorted.push((keys[index as usize], i, j));
        }
        Self { images, label, sorted, rank }
    }

    fn rank(&self, u: usize, v: usize) -> usize {
        self.rank[crate::pair_index(self.images, u.min(v), u.max(v))] as usize
    }
}

/// Bounds on the smallest key at which a clique of k images exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// No such clique exists at a smaller key.
    pub lower: u64,
    /// Such a clique exists at this key: the largest key among the pairs of `witness`, or 0 for a
    /// single image.
    pub upper: u64,
    /// The images of that clique, in ascending order.
    pub witness: Vec<usize>,
}

impl Point {
    /// Returns whether the key is known exactly.
    pub fn certified(&self) -> bool {
        self.lower == self.upper
    }
}

/// σ(δ) of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    /// Point k − 1 bounds the key of cliques of k images. Lower and upper keys never decrease with
    /// k.
    pub points: Vec<Point>,
}

impl Curve {
    /// Returns a lower and an upper bound on ω(key), the number of images in the largest main part
    /// at that key. They are equal if ω is known.
    pub fn omega_at(&self, key: u64) -> (usize, usize) {
        let lower = self.points.partition_point(|point| point.upper <= key);
        (lower, self.points.partition_point(|point| point.lower <= key))
    }

    /// Returns a lower and an upper bound on σ(key) = ω(key)/n. Both are 1 if there are no images.
    pub fn sigma_at(&self, key: u64) -> (f64, f64) {
        let (lower, upper) = self.omega_at(key);
        let n = self.points.len();
        if n == 0 { (1.0, 1.0) } else { (lower as f64 / n as f64, upper as f64 / n as f64) }
    }

    /// Returns the number of points whose key is exact.
    pub fn certified(&self) -> usize {
        self.points.iter().filter(|point| point.certified()).count()
    }
}

/// Computes the curve σ(δ) of a class with `images` images from the keys of its pairs.
///
/// `keys` is a packed strict upper triangle ([`crate::pair_index`]). Proofs stop after `budget`;
/// points that are not proved by then stay intervals. Sorting and peeling always run to their end:
/// their times grow as n² log n and n³, and are about a second for a thousand images. If `threads`
/// is 0, as many threads are used as the machine runs at once.
///
/// Without a budget, the keys of all points become exact, however long that takes, and the result
/// depends only on `keys`. With a budget, different runs may prove different points and find
/// different witnesses.
///
/// # Panics
/// If `keys` does not hold n(n − 1)/2 keys.
///
/// ```
/// use selfsame_concentration::curve;
///
/// // Three images: 0 and 1 at squared distance 4, the third at 9 and 16 from them.
/// let curve = curve::curve(3, &[4, 9, 16], None, 1);
/// let keys: Vec<u64> = curve.points.iter().map(|point| point.upper).collect();
/// assert_eq!(keys, [0, 4, 16]);
/// assert_eq!((curve.omega_at(3), curve.omega_at(9), curve.omega_at(16)), ((1, 1), (2, 2), (3, 3)));
/// ```
pub fn curve(images: usize, keys: &[u64], budget: Option<Duration>, threads: usize) -> Curve {
    assert_eq!(keys.len(), pairs(images), "one key a pair of {images} images");
    let start = Instant::now();
    let deadline = budget.and_then(|budget| start.checked_add(budget));
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let pairs = Pairs::new(images, keys);
    let mut found = peel::Found::new(&pairs);
    found.improve(budget.and_then(|budget| start.checked_add(budget / 3)));
    let first_open = certify::certify(&pairs, &mut found, deadline, threads);

    let key = |rank: Option<usize>| rank.map_or(0, |rank| pairs.sorted[rank].0);
    let points = found.cliques.into_iter().enumerate().map(|(index, clique)| {
        let upper = key(clique.rank);
        let lower = match first_open[index] {
            Some(rank) if index > 0 => pairs.sorted[rank].0.min(upper),
            _ => upper,
        };
        let mut witness: Vec<usize> =
            clique.images.iter().map(|&image| pairs.label[image]).collect();
        witness.sort_unstable();
        Point { lower, upper, witness }
    });
    Curve { points: points.collect() }
}
