//! Weighted nearest-neighbour classification.

use std::cmp::Ordering;
use std::ops::Range;

use rayon::prelude::*;

use crate::features::Normalised;
use crate::rows::Chosen;
use crate::{Error, Rows, Trials, labels, matrix};

/// Numbers of neighbours that are tried; see [`candidates`].
pub(crate) const CANDIDATES: [usize; 7] = [1, 5, 10, 20, 50, 100, 200];

/// Maximum number of query rows per task, which wide rows lower. A product always has as many rows
/// as its dimension allows, and zeros fill missing rows, so that no bit of a query's similarities
/// depends on the other queries.
const QUERY_BLOCK: usize = 128;
const TRAIN_BLOCK: usize = 2048;
/// Memory, in bytes, for the candidates of all queries that are answered at a time.
const CANDIDATE_BYTES: usize = 64 << 20;

/// Settings of the vote.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KnnOptions {
    /// Number of neighbours that vote. If there are fewer training rows, all rows vote.
    pub k: usize,
    /// Temperature T of the weights exp(cosine / T).
    pub temperature: f64,
}

impl Default for KnnOptions {
    /// k = 200 and T = 0.1, as in the protocol of lightly and solo-learn.
    fn default() -> Self {
        Self { k: 200, temperature: 0.1 }
    }
}

/// A row and its cosine similarity to a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Cosine of the row and the query.
    pub similarity: f32,
    /// Index of the row.
    pub index: u32,
}

impl Neighbour {
    /// Orders by similarity, most similar first, and equally similar rows by index, lowest first.
    fn order(&self, other: &Self) -> Ordering {
        other.similarity.total_cmp(&self.similarity).then(self.index.cmp(&other.index))
    }

    /// Returns the distance of the row and the query on the unit sphere, which follows from their
    /// cosine.
    pub fn distance(&self) -> f64 {
        // Rounding may take the cosine of equal directions above 1.
        (2.0 - 2.0 * f64::from(self.similarity)).max(0.0).sqrt()
    }
}

/// Candidates for the nearest training rows so far. Whenever there are 2k candidates, all but the
/// nearest k are dropped.
struct Nearest {
    candidates: Vec<Neighbour>,
    /// Similarity of the k-th best candidate when candidates were last dropped. A later row must
    /// exceed this similarity, because rows come in order of index and the lower index wins among
    /// equally similar rows.
    floor: f32,
}

impl Nearest {
    fn offer(&mut self, first_index: usize, similarities: &[f32], k: usize) {
        for (offset, &similarity) in similarities.iter().enumerate() {
            if similarity > self.floor {
                // Adding 0 turns −0 into 0. The two are equal similarities but have different bits.
                self.candidates.push(Neighbour {
                    similarity: similarity + 0.0,
                    index: (first_index + offset) as u32,
                });
                if self.candidates.len() == 2 * k {
                    self.prune(k);
                }
            }
        }
    }

    fn prune(&mut self, k: usize) {
        if self.candidates.len() > k {
            let (_, kth, _) = self.candidates.select_nth_unstable_by(k - 1, Neighbour::order);
            self.floor = kth.similarity;
            self.candidates.truncate(k);
        }
    }
}

/// Classifies each query by a vote of its k most similar training rows, as in Wu, Xiong, Yu and
/// Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination" (CVPR 2018),
/// section 3.4.
///
/// The similarity s is the cosine. Rows need not be normalised; a row of zeros has similarity 0 to
/// every row. A neighbour's vote has the weight exp(s / T), and the class with the largest sum of
/// weights wins. Among equally similar neighbours the lower index is taken first, and among classes
/// with equal sums the lower class wins. Similarities are f32 products of rows normalised in f64;
/// the sums are f64.
///
/// Returns a class for each query. `labels` holds one label below `classes` per training row. Time
/// grows with queries × train × dim. In addition to the inputs, the computation takes some 100 MB,
/// and up to 10 MB per thread.
///
/// # Errors
/// [`Error::Neighbours`] and [`Error::Temperature`] for the options, [`Error::TooFewRows`] without
/// training rows, [`Error::Dim`] if the two matrices differ in width, and [`Error::Count`],
/// [`Error::Label`] and [`Error::Classes`] for the labels.
///
/// ```
/// use selfsame_eval::{Features, knn::{self, KnnOptions}};
///
/// let train = Features::new(3, 2, vec![1.0, 0.0, 0.9, 0.1, 0.0, 1.0])?;
/// let queries = Features::new(2, 2, vec![5.0, 0.5, 0.1, 2.0])?;
/// let options = KnnOptions { k: 1, ..KnnOptions::default() };
/// assert_eq!(knn::classify(&train, &[0, 0, 1], 2, &queries, &options)?, [0, 1]);
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn classify(
    train: &dyn Rows,
    labels: &[u32],
    classes: usize,
    queries: &dyn Rows,
    options: &KnnOptions,
) -> Result<Vec<u32>, Error> {
    let KnnOptions { k, temperature } = *options;
    let mut predicted = classify_each(train, labels, classes, queries, &[k], temperature)?;
    Ok(predicted.remove(0))
}

/// Does as [`classify`] for each of several k, which are ascending, at the cost of the largest.
fn classify_each(
    train: &dyn Rows,
    labels: &[u32],
    classes: usize,
    queries: &dyn Rows,
    ks: &[usize],
    temperature: f64,
) -> Result<Vec<Vec<u32>>, Error> {
    let largest = *ks.last().ok_or(Error::Neighbours)?;
    if ks[0] == 0 {
        return Err(Error::Neighbours);
    }
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(Error::Temperature(temperature));
    }
    check(train, queries)?;
    labels::check("train", labels, train.rows(), classes)?;

    let vote = |neighbours: &Vec<Neighbour>| vote(neighbours, labels, classes, ks, temperature);
    let mut predicted = vec![Vec::with_capacity(queries.rows()); ks.len()];
    in_groups(train, queries, largest, &mut |neighbours| {
        let votes: Vec<Vec<u32>> = neighbours.par_iter().map(vote).collect();
        for (at, predicted) in predicted.iter_mut().enumerate() {
            predicted.extend(votes.iter().map(|votes| votes[at]));
        }
    });
    Ok(predicted)
}

/// Returns, for each query, the k rows of `train` with the largest cosine similarity to it, the
/// most similar first, or all rows if there are fewer.
///
/// The search is exact. Cosines, ties and cost are those of [`classify`]. A query that is itself a
/// row of `train` finds itself.
///
/// # Errors
/// [`Error::Neighbours`] if `k` is 0, [`Error::TooFewRows`] without rows to search, and
/// [`Error::Dim`] if the two matrices differ in width.
///
/// ```
/// use selfsame_eval::{Features, knn};
///
/// let rows = Features::new(3, 2, vec![1.0, 0.0, 0.9, 0.1, 0.0, 1.0])?;
/// let nearest = knn::nearest(&rows, &Features::new(1, 2, vec![0.2, 3.0])?, 2)?;
/// assert_eq!(nearest[0].iter().map(|neighbour| neighbour.index).collect::<Vec<_>>(), [2, 1]);
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn nearest(
    train: &dyn Rows,
    queries: &dyn Rows,
    k: usize,
) -> Result<Vec<Vec<Neighbour>>, Error> {
    if k == 0 {
        return Err(Error::Neighbours);
    }
    check(train, queries)?;
    let mut all = Vec::with_capacity(queries.rows());
    in_groups(train, queries, k, &mut |neighbours| all.extend(neighbours));
    Ok(all)
}

/// Returns, for each of the rows `of`, the k other rows that are nearest by [`nearest`], or all
/// others if there are fewer.
///
/// # Errors
/// [`Error::TooFewRows`] without rows.
///
/// # Panics
/// If there is no such row as one of `of`.
///
/// ```
/// use selfsame_eval::{Features, knn};
///
/// let rows = Features::new(3, 2, vec![1.0, 0.0, 0.9, 0.1, 0.0, 1.0])?;
/// let nearest = knn::nearest_others(&rows, &[2, 0], 1)?;
/// assert_eq!(nearest.iter().map(|found| found[0].index).collect::<Vec<_>>(), [1, 1]);
/// // The rows 2 and 1 have the cosine 0.1 / √0.82.
/// let distance = (2.0 - 0.2 / 0.82_f64.sqrt()).sqrt();
/// assert!((nearest[0][0].distance() - distance).abs() < 1e-6);
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn nearest_others(
    rows: &dyn Rows,
    of: &[usize],
    k: usize,
) -> Result<Vec<Vec<Neighbour>>, Error> {
    let found = nearest(rows, &Chosen { rows, chosen: of }, k.saturating_add(1))?;
    let others = of.iter().zip(found).map(|(&row, found)| {
        // A row with more copies than neighbours may not find itself.
        found.into_iter().filter(|other| other.index as usize != row).take(k).collect()
    });
    Ok(others.collect())
}

fn check(train: &dyn Rows, queries: &dyn Rows) -> Result<(), Error> {
    if train.rows() == 0 {
        return Err(Error::TooFewRows { set: "train", found: 0, needed: 1 });
    }
    if queries.dim() != train.dim() {
        return Err(Error::Dim { set: "queries", found: queries.dim(), expected: train.dim() });
    }
    Ok(())
}

/// Searches the k nearest rows of as many queries at a time as memory allows, and passes their
/// neighbours to `each`.
fn in_groups(
    train: &dyn Rows,
    queries: &dyn Rows,
    k: usize,
    each: &mut dyn FnMut(Vec<Vec<Neighbour>>),
) {
    let k = k.min(train.rows());
    let group =
        matrix::block_rows(CANDIDATE_BYTES, 2 * k, size_of::<Neighbour>(), queries.rows().max(1));
    for start in (0..queries.rows()).step_by(group) {
        let range = start..queries.rows().min(start + group);
        each(search(&Normalised(train), &Normalised(queries), range, k));
    }
}

/// Returns the numbers of neighbours that are worth trying: 1, 5, 10, 20, 50, 100 and 200, up to the
/// number of rows of the largest class. With more neighbours than that, some are of another class
/// whatever the representation.
pub fn candidates(labels: &[u32], classes: usize) -> Vec<usize> {
    let largest = labels::counts(labels, classes).into_iter().max().unwrap_or(0);
    CANDIDATES.into_iter().filter(|&k| k == 1 || k <= largest).collect()
}

/// The number of neighbours that was best in trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Number of neighbours.
    pub k: usize,
    /// Number of rows that were classified right in the trials.
    pub right: usize,
}

/// Chooses k among `ks`, which are ascending, as the one with which most rows of the trials are
/// classified right, as by [`classify`]. If several are equally good, the smallest is chosen, as
/// scikit-learn's grid search does. `labels` has a label for each of `rows`.
///
/// # Errors
/// Those of [`classify`].
///
/// ```
/// use selfsame_eval::{Features, Trials, knn};
///
/// let rows = Features::new(5, 2, vec![1.0, 0.0, 0.9, 0.1, 0.0, 1.0, 0.1, 0.9, 0.2, 1.0])?;
/// let labels = [0, 0, 1, 1, 1];
/// let trials = Trials::held_out(vec![0, 1, 2], vec![3, 4]);
/// let choice = knn::choose(&rows, &labels, 2, &trials, &[1, 3], 0.1)?;
/// assert_eq!((choice.k, choice.right), (1, 2));
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn choose(
    rows: &dyn Rows,
    labels: &[u32],
    classes: usize,
    trials: &Trials,
    ks: &[usize],
    temperature: f64,
) -> Result<Choice, Error> {
    labels::check("train", labels, rows.rows(), classes)?;
    let mut right = vec![0; ks.len()];
    for part in &trials.parts {
        let train = Chosen { rows, chosen: &part.fit };
        let held = Chosen { rows, chosen: &part.held };
        let of_train = labels::pick(labels, &part.fit);
        let predicted = classify_each(&train, &of_train, classes, &held, ks, temperature)?;
        let truth = labels::pick(labels, &part.held);
        for (right, predicted) in right.iter_mut().zip(predicted) {
            *right += labels::right(&predicted, &truth);
        }
    }
    let mut best = Choice { k: *ks.first().ok_or(Error::Neighbours)?, right: 0 };
    for (&k, right) in ks.iter().zip(right) {
        if right > best.right {
            best = Choice { k, right };
        }
    }
    Ok(best)
}

/// Returns, for each query of `range`, the k training rows with the largest dot products, best
/// first.
fn search(
    train: &dyn Rows,
    queries: &dyn Rows,
    range: Range<usize>,
    k: usize,
) -> Vec<Vec<Neighbour>> {
    let dim = train.dim();
    let train_step = matrix::block_rows(32 << 20, dim, 4, TRAIN_BLOCK);
    let query_step = matrix::block_rows(8 << 20, dim, 4, QUERY_BLOCK);
    let mut found: Vec<Nearest> = range
        .clone()
        .map(|_| Nearest { candidates: Vec::with_capacity(2 * k), floor: f32::NEG_INFINITY })
        .collect();
    let mut train_block = vec![0.0; train_step.min(train.rows()) * dim];
    for start in (0..train.rows()).step_by(train_step) {
        let count = train_step.min(train.rows() - start);
        let train_block = &mut train_block[..count * dim];
        train_block
            .par_chunks_mut(dim)
            .enumerate()
            .for_each(|(offset, row)| train.read(start + offset, row));
        let train_block = &*train_block;
        let buffers = || (vec![0.0; query_step * dim], vec![0.0; query_step * count]);
        let tasks = found.par_chunks_mut(query_step).enumerate();
        tasks.for_each_init(buffers, |(query_block, similarities), (task, found)| {
            let first = range.start + task * query_step;
            query_block.fill(0.0);
            matrix::read_block(queries, first..first + found.len(), query_block);
            matrix::product_transposed(similarities, query_block, train_block, dim);
            for (nearest, similarities) in found.iter_mut().zip(similarities.chunks_exact(count)) {
                nearest.offer(start, similarities, k);
            }
        });
    }
    let sorted = |mut nearest: Nearest| {
        nearest.prune(k);
        nearest.candidates.sort_unstable_by(Neighbour::order);
        nearest.candidates
    };
    found.into_par_iter().map(sorted).collect()
}

/// Returns, for each of `ks`, the class with the largest sum of exp(similarity / temperature) over
/// that many neighbours, or the lowest of the classes with equal sums. The ks are ascending.
fn vote(
    neighbours: &[Neighbour],
    labels: &[u32],
    classes: usize,
    ks: &[usize],
    temperature: f64,
) -> Vec<u32> {
    // Only ratios of sums matter, so the largest similarity is subtracted to keep weights from
    // overflowing.
    let largest = neighbours.first().map_or(0.0, |nearest| f64::from(nearest.similarity));
    let mut votes = vec![0.0; classes];
    let mut counted = 0;
    let winner = |&k: &usize| {
        let until = k.min(neighbours.len());
        for neighbour in &neighbours[counted..until] {
            let weight = ((f64::from(neighbour.similarity) - largest) / temperature).exp();
            votes[labels[neighbour.index as usize] as usize] += weight;
        }
        counted = until;
        labels::largest(&votes) as u32
    };
    ks.iter().map(winner).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Features;
    use crate::testing::{in_pool, labels, random};

    struct Answer {
        class: u32,
        /// The sum of the winner divided by the sum of the next class.
        margin: f64,
        /// The k-th largest similarity minus the next similarity.
        gap: f64,
    }

    /// Computes the definition in f64.
    fn oracle(
        train: &Features,
        labels: &[u32],
        classes: usize,
        query: &[f32],
        options: &KnnOptions,
    ) -> Answer {
        let norm = |row: &[f32]| row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let cosine = |row: &[f32]| {
            let dot: f64 = row.iter().zip(query).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            if dot == 0.0 { 0.0 } else { dot / (norm(row) * norm(query)) }
        };
        let mut order: Vec<(f64, usize)> =
            (0..train.rows()).map(|row| (cosine(train.row(row)), row)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut votes = vec![0.0; classes];
        for &(similarity, row) in order.iter().take(options.k) {
            votes[labels[row] as usize] += (similarity / options.temperature).exp();
        }
        let mut ranked: Vec<usize> = (0..classes).collect();
        ranked.sort_by(|&a, &b| votes[b].total_cmp(&votes[a]).then(a.cmp(&b)));
        let second = ranked.get(1).map_or(0.0, |&class| votes[class]);
        let gap = order.get(options.k).map_or(2.0, |&(next, _)| order[options.k - 1].0 - next);
        Answer { class: ranked[0] as u32, margin: votes[ranked[0]] / second, gap }
    }

    /// Returns rows of sixteen values, of which sixteen or four are ±1 and the others 0. Their
    /// norms are 4 and 2, so their cosines are exact in f32 and full of ties.
    fn exact(rows: usize, seed: u64) -> Features {
        let signs = random(rows, 16, seed);
        let values = signs.values().chunks(16).flat_map(|row| {
            let dense = row[0].abs() < 0.3;
            let value = move |(column, &value): (usize, &f32)| {
                if dense || column % 4 == 1 { value.signum() } else { 0.0 }
            };
            row.iter().enumerate().map(value).collect::<Vec<_>>()
        });
        Features::new(rows, 16, values.collect()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn ties_are_broken_as_documented(
            rows in 1..300_usize, queries in 0..150_usize, k in 1..40_usize, classes in 1..6_usize, seed in any::<u64>(),
        ) {
            let (train, queries) = (exact(rows, seed), exact(queries, !seed));
            let labels = labels(rows, classes, seed);
            let options = KnnOptions { k, ..KnnOptions::default() };
            let found = classify(&train, &labels, classes, &queries, &options).unwrap();
            prop_assert_eq!(found.len(), queries.rows());
            for (row, &class) in found.iter().enumerate() {
                let expected = oracle(&train, &labels, classes, queries.row(row), &options);
                // Sums of equal weights in another order differ in the last bits. Only then may the
                // winner differ, and never for k = 1.
                let close = k > 1 && expected.margin < 1.0 + 1e-13;
                prop_assert!(class == expected.class || close, "row {}", row);
            }
        }

        #[test]
        fn random_rows_match_the_definition(
            rows in 1..200_usize, dim in 1..80_usize, k in 1..250_usize, seed in any::<u64>(),
        ) {
            let (train, queries) = (random(rows, dim, seed), random(20, dim, !seed));
            let labels = labels(rows, 3, seed);
            let options = KnnOptions { k, temperature: 0.5 };
            let found = classify(&train, &labels, 3, &queries, &options).unwrap();
            for (row, &class) in found.iter().enumerate() {
                let expected = oracle(&train, &labels, 3, queries.row(row), &options);
                // If a row is normalised in f64, rounded to f32 and multiplied in f32, the error of
                // the cosine is at most (dim + 3)·2⁻²⁴. Two neighbours may change places within
                // twice that error, and two sums of weights within twice that error over T (times 2
                // for exp x ≈ 1 + x).
                let error = (dim as f64 + 3.0) * 2_f64.powi(-24);
                let close = expected.gap < 2.0 * error || expected.margin < 1.0 + 4.0 * error / options.temperature;
                prop_assert!(class == expected.class || close, "row {}", row);
            }
        }
    }

    #[test]
    fn several_k_at_once_are_each_k_alone() {
        let (train, queries) = (random(300, 12, 3), random(90, 12, 4));
        let labels = labels(300, 4, 3);
        let ks = [1, 2, 7, 50, 1000];
        let each = classify_each(&train, &labels, 4, &queries, &ks, 0.1).unwrap();
        for (k, found) in ks.into_iter().zip(each) {
            let options = KnnOptions { k, temperature: 0.1 };
            assert_eq!(classify(&train, &labels, 4, &queries, &options).unwrap(), found, "k = {k}");
        }
    }

    #[test]
    fn the_k_that_is_right_most_often_is_chosen() {
        let rows = random(120, 6, 8);
        let labels = labels(120, 3, 8);
        let trials = Trials::folds(&labels, &[], 1);
        let ks = [1, 5, 10, 20];
        let right = |k| -> usize {
            let options = KnnOptions { k, temperature: 0.1 };
            let part = |part: &crate::Part| {
                let own = labels::pick(&labels, &part.fit);
                let [fit, held] =
                    [&part.fit, &part.held].map(|chosen| Chosen { rows: &rows, chosen });
                let found = classify(&fit, &own, 3, &held, &options).unwrap();
                found.iter().zip(&part.held).filter(|(found, row)| **found == labels[**row]).count()
            };
            trials.parts.iter().map(part).sum()
        };
        let counts = ks.map(right);
        let most = counts.into_iter().max().unwrap();
        let smallest = ks[counts.iter().position(|&count| count == most).unwrap()];
        let found = choose(&rows, &labels, 3, &trials, &ks, 0.1).unwrap();
        assert_eq!(found, Choice { k: smallest, right: most });
        // Where nothing can be tried, the smallest.
        let nothing = Trials { parts: Vec::new(), all: Vec::new() };
        assert_eq!(choose(&rows, &labels, 3, &nothing, &ks, 0.1).unwrap().k, 1);
    }

    #[test]
    fn k_is_at_most_the_size_of_the_largest_class() {
        let of = |sizes: &[usize]| {
            let labels: Vec<u32> =
                sizes.iter().enumerate().flat_map(|(class, &n)| vec![class as u32; n]).collect();
            candidates(&labels, sizes.len())
        };
        assert_eq!(of(&[3, 4]), [1]);
        assert_eq!(of(&[3, 20]), [1, 5, 10, 20]);
        assert_eq!(of(&[120, 120]), [1, 5, 10, 20, 50, 100]);
        assert_eq!(of(&[5000, 5000]), CANDIDATES);
    }

    #[test]
    fn neighbours_are_those_of_a_full_sort() {
        let (train, queries) = (random(5000, 33, 1), random(300, 33, 2));
        let (train, queries) = (Normalised(&train), Normalised(&queries));
        let some = search(&train, &queries, 0..300, 37);
        let all = search(&train, &queries, 0..300, 5000);
        for (some, all) in some.iter().zip(&all) {
            assert_eq!(all.len(), 5000);
            assert!(all.is_sorted_by(|a, b| a.order(b) == Ordering::Less));
            let same = |(a, b): (&Neighbour, &Neighbour)| {
                a.index == b.index && a.similarity == b.similarity
            };
            assert!(some.len() == 37 && some.iter().zip(all).all(same));
        }
        let (mut x, mut y) = (vec![0.0; 33], vec![0.0; 33]);
        queries.read(7, &mut x);
        for neighbour in &all[7] {
            train.read(neighbour.index as usize, &mut y);
            let dot: f64 = x.iter().zip(&y).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            // The bound allows for 33 products and sums of values below 1 in magnitude, each
            // rounded to 2⁻²⁴.
            assert!((dot - f64::from(neighbour.similarity)).abs() < 40.0 * 2_f64.powi(-24));
        }
    }

    #[test]
    fn copies_of_a_row_are_equally_near_wherever_they_stand() {
        let base = random(103, 37, 8);
        let copies = base.values().iter().copied().cycle().take(3000 * 37).collect();
        let (train, queries) = (Features::new(3000, 37, copies).unwrap(), random(3, 37, 9));
        for neighbours in search(&Normalised(&train), &Normalised(&queries), 0..3, 3000) {
            let mut similarity = [None; 103];
            for neighbour in neighbours {
                let first =
                    similarity[neighbour.index as usize % 103].get_or_insert(neighbour.similarity);
                assert_eq!(*first, neighbour.similarity);
            }
        }
    }

    #[test]
    fn a_query_does_not_depend_on_threads_or_company() {
        let (train, queries) = (random(3000, 70, 3), random(200, 70, 4));
        let (labels, options) = (labels(3000, 10, 5), KnnOptions::default());
        let run = || classify(&train, &labels, 10, &queries, &options).unwrap();
        let together = in_pool(1, run);
        assert_eq!(together, in_pool(3, run));
        for row in [0, 127, 128, 199] {
            let alone = Features::new(1, 70, queries.row(row).to_vec()).unwrap();
            assert_eq!(classify(&train, &labels, 10, &alone, &options).unwrap(), [together[row]]);
        }
    }

    #[test]
    fn extreme_inputs_have_defined_answers() {
        let train = Features::new(3, 2, vec![f32::MAX, f32::MAX, -1e-44, 0.0, 0.0, 0.0]).unwrap();
        let queries = Features::new(3, 2, vec![1e30, 1e30, -1.0, 0.0, 0.0, 0.0]).unwrap();
        let nearest = KnnOptions { k: 1, temperature: 1e-300 };
        // A zero query is equally near to all rows, so the first row wins.
        assert_eq!(classify(&train, &[2, 1, 0], 3, &queries, &nearest), Ok(vec![2, 1, 2]));
        let all = KnnOptions { k: usize::MAX, temperature: 1e300 };
        // With equal weights and one vote per class, the lowest class wins.
        assert_eq!(classify(&train, &[2, 1, 0], 3, &queries, &all), Ok(vec![0, 0, 0]));
    }

    #[test]
    fn misuse_is_refused() {
        let rows = random(2, 3, 0);
        let options = KnnOptions::default();
        let run = |options: KnnOptions| classify(&rows, &[0, 1], 2, &rows, &options);
        assert_eq!(run(KnnOptions { k: 0, ..options }), Err(Error::Neighbours));
        for temperature in [0.0, -1.0, f64::INFINITY] {
            assert_eq!(
                run(KnnOptions { temperature, ..options }),
                Err(Error::Temperature(temperature))
            );
        }
        assert!(run(KnnOptions { temperature: f64::NAN, ..options }).is_err());
        let narrow = classify(&rows, &[0, 1], 2, &random(1, 2, 0), &options);
        assert_eq!(narrow, Err(Error::Dim { set: "queries", found: 2, expected: 3 }));
        let empty = classify(&random(0, 3, 0), &[], 2, &rows, &options);
        assert_eq!(empty, Err(Error::TooFewRows { set: "train", found: 0, needed: 1 }));
        let label = classify(&rows, &[0, 2], 2, &rows, &options);
        assert_eq!(label, Err(Error::Label { set: "train", row: 1, label: 2, classes: 2 }));
    }
}
