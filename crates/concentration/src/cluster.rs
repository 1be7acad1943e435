//! Clusters of embeddings, which stand in for classes if images have no labels.

use selfsame_kernels::random::SplitMix64;

/// Maximum number of rounds of Lloyd's algorithm.
const ROUNDS: usize = 100;

/// Groups rows of `dim` values by Lloyd's k-means, seeded by k-means++ (Arthur and Vassilvitskii
/// 2007): each further centre is a row, drawn with a probability proportional to its squared
/// distance from the centres so far. Returns the cluster of each row. Clusters are numbered in the
/// order of their first rows, and clusters that end up without rows get no number.
///
/// The result depends only on the rows and the seed. Distances are summed in f64 in the order of
/// the values.
///
/// # Panics
/// If `values` does not hold whole rows, if there are fewer rows than clusters, or if there are no
/// clusters.
///
/// ```
/// let labels = selfsame_concentration::cluster::k_means(&[0.0, 9.0, 0.5, 8.5], 1, 2, 0);
/// assert_eq!(labels, [0, 1, 0, 1]);
/// ```
pub fn k_means(values: &[f32], dim: usize, clusters: usize, seed: u64) -> Vec<u32> {
    assert!(dim > 0 && values.len().is_multiple_of(dim), "whole rows of {dim} values");
    let rows: Vec<&[f32]> = values.chunks_exact(dim).collect();
    assert!((1..=rows.len()).contains(&clusters), "{clusters} clusters of {} rows", rows.len());
    let wide = |row: &[f32]| -> Vec<f64> { row.iter().map(|&value| f64::from(value)).collect() };

    let mut random = SplitMix64::new(seed);
    let mut centres = vec![wide(rows[(random.word() % rows.len() as u64) as usize])];
    let mut reach: Vec<f64> = rows.iter().map(|row| squared(row, &centres[0])).collect();
    while centres.len() < clusters {
        // Turn 53 bits into a float in [0, 1).
        let mut remaining =
            (random.word() >> 11) as f64 / (1_u64 << 53) as f64 * reach.iter().sum::<f64>();
        let reached = reach.iter().position(|&reach| {
            remaining -= reach;
            remaining < 0.0
        });
        let centre = wide(rows[reached.unwrap_or(rows.len() - 1)]);
        for (reach, row) in reach.iter_mut().zip(&rows) {
            *reach = reach.min(squared(row, &centre));
        }
        centres.push(centre);
    }

    let mut labels = Vec::new();
    for _ in 0..ROUNDS {
        let assigned = assign(&rows, &centres);
        if assigned == labels {
            break;
        }
        labels = assigned;
        let mut sums = vec![vec![0.0; dim]; clusters];
        let mut counts = vec![0.0_f64; clusters];
        for (row, &label) in rows.iter().zip(&labels) {
            counts[label as usize] += 1.0;
            for (sum, &value) in sums[label as usize].iter_mut().zip(*row) {
                *sum += f64::from(value);
            }
        }
        for ((centre, sum), count) in centres.iter_mut().zip(sums).zip(counts) {
            // A centre that lost all its rows stays where it is. The numbering below skips it.
            if count > 0.0 {
                *centre = sum.into_iter().map(|sum| sum / count).collect();
            }
        }
    }
    renumber(&labels)
}

/// Returns the nearest centre of each row; among equally near centres, the first.
fn assign(rows: &[&[f32]], centres: &[Vec<f64>]) -> Vec<u32> {
    let nearest = |row: &&[f32]| {
        let distances = centres.iter().map(|centre| squared(row, centre));
        distances
            .enumerate()
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map_or(0, |(centre, _)| centre as u32)
    };
    rows.iter().map(nearest).collect()
}

fn squared(row: &[f32], centre: &[f64]) -> f64 {
    row.iter().zip(centre).map(|(&value, centre)| (f64::from(value) - centre).powi(2)).sum()
}

fn renumber(labels: &[u32]) -> Vec<u32> {
    let mut seen = Vec::new();
    let number = |&label: &u32| match seen.iter().position(|&known| known == label) {
        Some(at) => at as u32,
        None => {
            seen.push(label);
            seen.len() as u32 - 1
        }
    };
    labels.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn groups_apart_are_found() {
        let values: Vec<f32> = (0..60)
            .flat_map(|i| [(i % 3) as f32 * 50.0 + i as f32 / 60.0, (i % 3) as f32])
            .collect();
        let labels = k_means(&values, 2, 3, 0);
        assert!((0..60).all(|i| labels[i] == (i % 3) as u32));
    }

    proptest! {
        #[test]
        fn every_row_ends_with_its_nearest_mean(values in prop::collection::vec(-50_i8..50, 2..60), clusters in 1_usize..5) {
            let values: Vec<f32> = values[..values.len() / 2 * 2].iter().map(|&value| f32::from(value)).collect();
            let clusters = clusters.min(values.len() / 2);
            let labels = k_means(&values, 2, clusters, 5);
            let used = labels.iter().max().map_or(0, |&label| label as usize + 1);
            prop_assert!((1..=clusters).contains(&used));
            let rows: Vec<&[f32]> = values.chunks_exact(2).collect();
            let mean = |cluster: u32| -> Vec<f64> {
                let members: Vec<_> = rows.iter().zip(&labels).filter(|(_, label)| **label == cluster).collect();
                (0..2).map(|at| members.iter().map(|(row, _)| f64::from(row[at])).sum::<f64>() / members.len() as f64).collect()
            };
            let means: Vec<Vec<f64>> = (0..used as u32).map(mean).collect();
            for (row, &label) in rows.iter().zip(&labels) {
                let nearest = squared(row, &means[label as usize]);
                prop_assert!(means.iter().all(|other| nearest <= squared(row, other) + 1e-9));
            }
        }
    }
}
