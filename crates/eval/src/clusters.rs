//! Groups of rows that lie closely together, by HDBSCAN (Campello, Moulavi and Sander,
//! "Density-Based Clustering Based on Hierarchical Density Estimates", PAKDD 2013).

use hdbscan::{Hdbscan, HdbscanHyperParams};
use rayon::prelude::*;

use crate::rows::Chosen;
use crate::{Error, Normalised, Rows, knn, pca, sample};

/// Number of principal components in which rows are clustered. Densities mean little in more.
pub const COMPONENTS: usize = 10;
/// Maximum number of rows that are clustered. The time grows with their square.
pub const MOST: usize = 10_000;
/// Smallest number of rows in which clusters are searched.
pub const FEWEST: usize = 20;
/// Rank of the neighbour whose distance is the inverse of a row's density.
const NEIGHBOUR: usize = 5;

/// Rows in clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// Cluster of each row. Cluster 0 is the one with most of the rows that were clustered. `None`
    /// for a row between clusters.
    pub of: Vec<Option<u32>>,
    /// The rows of each cluster: first those that were clustered, the nearest to its mean first,
    /// then those that joined them, in their order.
    pub members: Vec<Vec<usize>>,
    /// Smallest number of rows of a cluster.
    pub smallest: usize,
    /// Number of principal components.
    pub components: usize,
    /// Share of the variance along these components.
    pub explained: f64,
    /// Number of rows that were clustered. Every other row has the cluster of the most similar of
    /// these.
    pub sampled: usize,
}

/// Clusters normalised rows in their first [`COMPONENTS`] principal components. Returns `None` below
/// [`FEWEST`] rows, or if all rows point the same way.
///
/// A cluster has at least a third of √n of the n rows clustered, and five. If there are more than
/// [`MOST`] rows, a random sample of that size is clustered, the same in every call. The result
/// depends neither on the threads nor on chance.
///
/// # Errors
/// [`Error::TooWide`] above 4,096 values in a row.
///
/// ```
/// use selfsame_eval::{Features, clusters};
///
/// // Rows that point one of two ways.
/// let row = |i: usize| match i % 2 {
///     0 => [1.0, 0.001 * i as f32],
///     _ => [0.001 * i as f32, 1.0],
/// };
/// let rows = Features::new(40, 2, (0..40).flat_map(row).collect())?;
/// let found = clusters::cluster(&rows)?.unwrap();
/// assert_eq!((found.members.len(), found.of[0] == found.of[1]), (2, false));
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn cluster(rows: &dyn Rows) -> Result<Option<Clustering>, Error> {
    let sampled = sample(rows.rows(), MOST);
    if sampled.len() < FEWEST {
        return Ok(None);
    }
    let chosen = Chosen { rows, chosen: &sampled };
    let found = pca::components(&Normalised(&chosen), COMPONENTS)?;
    if found.dims == 0 {
        return Ok(None);
    }
    let places: Vec<Vec<f64>> =
        found.coordinates.chunks_exact(found.dims).map(<[f64]>::to_vec).collect();
    let smallest = ((sampled.len() as f64).sqrt() / 3.0).round().max(5.0) as usize;
    let parameters =
        HdbscanHyperParams::builder().min_cluster_size(smallest).min_samples(NEIGHBOUR).build();
    let labels = Hdbscan::new(&places, parameters).cluster_par();
    let labels = labels.expect("the coordinates are finite, and as many for each row");

    let mut members: Vec<Vec<usize>> = Vec::new();
    for (at, &label) in labels.iter().enumerate() {
        let Ok(label) = usize::try_from(label) else { continue };
        members.resize(members.len().max(label + 1), Vec::new());
        members[label].push(at);
    }
    members.retain(|members| !members.is_empty());
    members.sort_by_key(|members| (std::cmp::Reverse(members.len()), members[0]));
    let mut of = vec![None; rows.rows()];
    for (cluster, members) in members.iter_mut().enumerate() {
        sort_by_distance_from_mean(members, &places);
        for member in members {
            *member = sampled[*member];
            of[*member] = Some(cluster as u32);
        }
    }
    if sampled.len() < rows.rows() {
        join_nearest(rows, &sampled, &mut of, &mut members)?;
    }
    Ok(Some(Clustering {
        of,
        members,
        smallest,
        components: found.dims,
        explained: found.explained.iter().sum(),
        sampled: sampled.len(),
    }))
}

fn sort_by_distance_from_mean(members: &mut [usize], places: &[Vec<f64>]) {
    let dims = places[0].len();
    let mut mean = vec![0.0; dims];
    for &member in members.iter() {
        for (mean, value) in mean.iter_mut().zip(&places[member]) {
            *mean += value / members.len() as f64;
        }
    }
    let distance = |member: usize| -> f64 {
        places[member].iter().zip(&mean).map(|(value, mean)| (value - mean).powi(2)).sum()
    };
    members.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)));
}

/// Gives each row that was not sampled the cluster of the most similar sampled row.
fn join_nearest(
    rows: &dyn Rows,
    sampled: &[usize],
    of: &mut [Option<u32>],
    members: &mut [Vec<usize>],
) -> Result<(), Error> {
    let is_sampled = |row: &usize| sampled.binary_search(row).is_ok();
    let others: Vec<usize> =
        (0..rows.rows()).into_par_iter().filter(|row| !is_sampled(row)).collect();
    let (from, to) = (Chosen { rows, chosen: sampled }, Chosen { rows, chosen: &others });
    for (&row, nearest) in others.iter().zip(knn::nearest(&from, &to, 1)?) {
        of[row] = of[sampled[nearest[0].index as usize]];
        if let Some(cluster) = of[row] {
            members[cluster as usize].push(row);
        }
    }
    Ok(())
}

/// Returns the adjusted Rand index of two ways to divide the same things (Hubert and Arabie,
/// "Comparing partitions", Journal of Classification 1985): 1 if they agree, 0 on average by
/// chance. Returns `None` if either has a single part, or each thing is a part.
///
/// ```
/// use selfsame_eval::clusters::agreement;
///
/// assert_eq!(agreement(&[0, 0, 1, 1], &[5, 5, 2, 2]), Some(1.0));
/// assert!((agreement(&[0, 0, 1, 1], &[0, 1, 0, 1]).unwrap() + 0.5).abs() < 1e-12);
/// ```
pub fn agreement(first: &[u32], second: &[u32]) -> Option<f64> {
    let pairs = |sizes: Vec<u64>| -> f64 {
        sizes.into_iter().map(|size| (size * size.saturating_sub(1) / 2) as f64).sum()
    };
    let both = pairs(sizes(first.iter().zip(second)));
    let (of_first, of_second) = (pairs(sizes(first.iter())), pairs(sizes(second.iter())));
    let all = pairs(vec![first.len() as u64]);
    let expected = of_first * of_second / all;
    let index = (both - expected) / ((of_first + of_second) / 2.0 - expected);
    index.is_finite().then_some(index)
}

/// Counts how often each value occurs.
fn sizes<T: std::hash::Hash + Eq>(values: impl Iterator<Item = T>) -> Vec<u64> {
    let mut counts = std::collections::HashMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0) += 1);
    counts.into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Features;
    use crate::testing::{self, in_pool, random};

    fn clouds(rows: usize, groups: usize) -> Features {
        testing::clouds(rows, groups, 12, 0.1)
    }

    #[test]
    fn clouds_are_clusters_whatever_the_threads() {
        let rows = clouds(400, 5);
        let found = in_pool(1, || cluster(&rows)).unwrap().unwrap();
        assert_eq!((found.members.len(), found.smallest, found.sampled), (5, 7, 400));
        for (row, cluster) in found.of.iter().enumerate().filter(|(_, cluster)| cluster.is_some()) {
            assert_eq!(*cluster, found.of[row % 5].or(*cluster), "row {row}");
        }
        assert!(found.of.iter().flatten().count() > 350);
        assert!(found.members.is_sorted_by(|a, b| a.len() >= b.len()));
        assert_eq!(found, in_pool(3, || cluster(&rows)).unwrap().unwrap());
    }

    #[test]
    fn few_and_equal_rows_have_no_clusters() {
        assert_eq!(cluster(&clouds(FEWEST - 1, 2)).unwrap(), None);
        let same = Features::new(50, 2, [0.5, 0.5].repeat(50)).unwrap();
        assert_eq!(cluster(&same).unwrap(), None);
        // Two rows, each many times.
        let two = [[1.0, 0.0], [0.0, 1.0]].concat().repeat(25);
        let found = cluster(&Features::new(50, 2, two).unwrap()).unwrap().unwrap();
        assert!(found.members.len() <= 2);
    }

    #[test]
    fn rows_beyond_the_sample_join_their_nearest() {
        let rows = clouds(60, 3);
        let sampled: Vec<usize> = (0..30).collect();
        let mut of: Vec<Option<u32>> =
            (0..60).map(|row| (row < 30).then_some(row as u32 % 3)).collect();
        let mut members: Vec<Vec<usize>> =
            (0..3).map(|cluster| (cluster..30).step_by(3).collect()).collect();
        join_nearest(&rows, &sampled, &mut of, &mut members).unwrap();
        assert!(of.iter().enumerate().all(|(row, cluster)| *cluster == Some(row as u32 % 3)));
        assert!(members.iter().all(|members| members.len() == 20));
    }

    /// How many seconds 10,000 rows take. `cargo test -- --ignored` runs it.
    #[test]
    #[ignore = "it measures a time"]
    fn time_of_ten_thousand_rows() {
        let (rows, start) = (clouds(MOST, 10), std::time::Instant::now());
        let found = cluster(&rows).unwrap().unwrap();
        println!("{} clusters in {:.1} s", found.members.len(), start.elapsed().as_secs_f64());
        let (noise, start) = (random(MOST, 128, 1), std::time::Instant::now());
        let found = cluster(&noise).unwrap().unwrap();
        println!("{} clusters in {:.1} s", found.members.len(), start.elapsed().as_secs_f64());
    }

    proptest! {
        #[test]
        fn agreement_is_that_of_counting_pairs(
            pairs in prop::collection::vec((0..4_u32, 0..3_u32), 2..40),
        ) {
            let (first, second): (Vec<u32>, Vec<u32>) = pairs.iter().copied().unzip();
            let [mut both, mut one, mut other, mut all] = [0.0; 4];
            for a in 0..pairs.len() {
                for b in 0..a {
                    let (same, alike) = (first[a] == first[b], second[a] == second[b]);
                    both += f64::from(u8::from(same && alike));
                    one += f64::from(u8::from(same));
                    other += f64::from(u8::from(alike));
                    all += 1.0;
                }
            }
            let expected = one * other / all;
            let index = (both - expected) / (0.5 * (one + other) - expected);
            match agreement(&first, &second) {
                Some(found) => prop_assert!((found - index).abs() < 1e-9),
                None => prop_assert!(!index.is_finite()),
            }
        }
    }
}
