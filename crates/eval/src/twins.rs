//! Images that an encoder holds to be the same: copies that were saved again, resized or retouched,
//! and pictures taken moments apart.
//!
//! A fixed similarity would not do: in one set all images lie within a narrow cone, in another they
//! spread over the sphere. As for near copies by pixels (`selfsame_concentration::near`), the
//! distance of two rows is measured in units of a row's distance from rows that it has nothing to
//! do with, and the threshold is that at which chance alone would make a pair of few rows:
//!
//! 1. d is the distance of two rows on the unit sphere, D that of a row from its
//!    [`NEIGHBOUR`]th nearest other row.
//! 2. The closeness of a pair is d / D, with the smaller D of the two.
//! 3. If rows are spread evenly in m dimensions, a row has r · ρᵐ others within ρ · D by chance, for
//!    D the distance of the r-th. The threshold is the ρ at which that is 1 / [`CHANCE`], but at
//!    most [`NEAREST`]. m follows from how distances grow from the (r / 2)-th neighbour to the r-th,
//!    in the mean over the row and its neighbours.

use crate::{Error, Rows, knn};

/// Rank of the neighbour whose distance is the unit.
pub const NEIGHBOUR: usize = 8;
/// Chance alone makes a pair of one row in so many.
pub const CHANCE: f64 = 1000.0;
/// Largest closeness of twins in any set.
pub const NEAREST: f64 = 0.5;
/// Number of pairs that are kept of each row: the closest.
const KEPT: usize = 16;

/// Two rows that are nearly the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Twin {
    /// The rows, the smaller number first.
    pub rows: [usize; 2],
    /// Distance in units of the distance of unrelated rows: 0 for equal rows, about 1 for a row and
    /// the eighth nearest.
    pub closeness: f64,
    /// One minus the cosine of the two rows.
    pub distance: f64,
}

/// The pairs of nearly equal rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Twins {
    /// The pairs, the closest first.
    pub pairs: Vec<Twin>,
    /// Largest closeness of twins of the middle row.
    pub threshold: f64,
}

/// What a row's neighbours say of its surroundings.
struct Surroundings {
    /// The nearest other rows, each with its distance on the unit sphere, the nearest first.
    others: Vec<(usize, f64)>,
    /// D, the distance of unrelated rows.
    unit: f64,
}

/// Finds the pairs of rows that are much closer to each other than to other rows. All pairs are
/// compared. There are none below twice [`NEIGHBOUR`] rows, which are too few to measure D.
///
/// # Errors
/// Those of [`knn::nearest_others`].
///
/// ```
/// use selfsame_eval::{Features, twins};
///
/// // Forty directions in four dimensions, and the first of them again.
/// let row = |i: usize| (0..4).map(move |c| ((i * i * 37 + c * c * 101 + i * c * 59) % 97) as f32 - 48.0);
/// let rows = Features::new(41, 4, (0..41).flat_map(|i| row(i % 40)).collect())?;
/// let found = twins::twins(&rows)?;
/// assert_eq!(found.pairs[0].rows, [0, 40]);
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn twins(rows: &dyn Rows) -> Result<Twins, Error> {
    if rows.rows() < 2 * NEIGHBOUR {
        return Ok(Twins::default());
    }
    let all: Vec<usize> = (0..rows.rows()).collect();
    let around: Vec<Surroundings> =
        knn::nearest_others(rows, &all, KEPT)?.iter().map(|found| surroundings(found)).collect();
    let limits: Vec<f64> = around.iter().enumerate().map(|(row, _)| limit(&around, row)).collect();
    let mut pairs = Vec::new();
    for (row, found) in around.iter().enumerate() {
        for &(other, distance) in &found.others {
            let lists_it = |at: usize| around[other].others.iter().any(|&(row, _)| row == at);
            // A pair that each row lists is taken from the first.
            if other < row && lists_it(row) {
                continue;
            }
            let unit = found.unit.min(around[other].unit);
            if distance <= limits[row].min(limits[other]) * unit {
                let closeness = if unit > 0.0 { distance / unit } else { 0.0 };
                let rows = [row.min(other), row.max(other)];
                pairs.push(Twin { rows, closeness, distance: distance * distance / 2.0 });
            }
        }
    }
    pairs.sort_by(|a, b| a.closeness.total_cmp(&b.closeness).then(a.rows.cmp(&b.rows)));
    let mut sorted = limits;
    sorted.sort_by(f64::total_cmp);
    Ok(Twins { pairs, threshold: sorted[sorted.len() / 2] })
}

fn surroundings(others: &[knn::Neighbour]) -> Surroundings {
    let others: Vec<(usize, f64)> =
        others.iter().map(|other| (other.index as usize, other.distance())).collect();
    let unit = others[NEIGHBOUR - 1].1;
    Surroundings { others, unit }
}

/// Returns the largest closeness of twins of a row.
fn limit(around: &[Surroundings], row: usize) -> f64 {
    let near = around[row].others[..NEIGHBOUR].iter().map(|(other, _)| *other);
    let growth = |row: usize| {
        let [half, full] = [NEIGHBOUR / 2, NEIGHBOUR].map(|rank| around[row].others[rank - 1].1);
        // Rows with that many copies say nothing of dimensions.
        if half > 0.0 { Some((full / half).ln()) } else { None }
    };
    let growths: Vec<f64> = near.chain([row]).filter_map(growth).collect();
    if growths.is_empty() {
        return NEAREST;
    }
    let mean = growths.iter().sum::<f64>() / growths.len() as f64;
    // ρᵐ = 1 / (CHANCE · r) with m = ln 2 / mean.
    let chance = (CHANCE * NEIGHBOUR as f64).ln();
    (-chance * mean / std::f64::consts::LN_2).exp().min(NEAREST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;
    use crate::testing::{in_pool, random};

    /// Random rows, some of which are copies of others, moved by `by`.
    fn with_copies(rows: usize, dim: usize, copies: usize, by: f32) -> Features {
        let (base, moved) = (random(rows, dim, 1), random(copies, dim, 2));
        let copied = (0..copies).flat_map(|copy| {
            let pair = base.row(copy * 7).iter().zip(moved.row(copy));
            pair.map(|(value, moved)| value + by * moved).collect::<Vec<f32>>()
        });
        let values = base.values().iter().copied().chain(copied).collect();
        Features::new(rows + copies, dim, values).unwrap()
    }

    #[test]
    fn copies_are_found_and_little_else() {
        for (dim, by) in [(12, 0.0), (12, 0.02), (40, 0.1)] {
            let rows = with_copies(700, dim, 20, by);
            let found = twins(&rows).unwrap();
            let planted: Vec<[usize; 2]> = (0..20).map(|copy| [copy * 7, 700 + copy]).collect();
            let mut first: Vec<[usize; 2]> =
                found.pairs.iter().take(20).map(|pair| pair.rows).collect();
            first.sort_unstable();
            assert_eq!(first, planted, "{dim} dimensions");
            // Chance makes a pair of one row in a thousand, 0.7 of these, and the estimate of the
            // dimensions is rough.
            assert!(found.pairs.len() <= 24, "{dim} dimensions: {}", found.pairs.len());
        }
    }

    #[test]
    fn distances_are_those_of_the_definition() {
        let rows = with_copies(100, 6, 5, 0.01);
        let cosine = |a: usize, b: usize| {
            let dot = |a: usize, b: usize| -> f64 {
                rows.row(a)
                    .iter()
                    .zip(rows.row(b))
                    .map(|(&a, &b)| f64::from(a) * f64::from(b))
                    .sum()
            };
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let distance = |a: usize, b: usize| (2.0 - 2.0 * cosine(a, b)).max(0.0).sqrt();
        for pair in twins(&rows).unwrap().pairs {
            let unit = |row: usize| {
                let others = (0..rows.rows()).filter(|other| *other != row);
                let mut all: Vec<f64> = others.map(|other| distance(row, other)).collect();
                all.sort_by(f64::total_cmp);
                all[NEIGHBOUR - 1]
            };
            let [a, b] = pair.rows;
            assert!((pair.distance - (1.0 - cosine(a, b))).abs() < 1e-6);
            let closeness = distance(a, b) / unit(a).min(unit(b));
            assert!((pair.closeness - closeness).abs() < 1e-3, "{pair:?} {closeness}");
        }
    }

    #[test]
    fn one_many_and_equal_rows() {
        assert_eq!(twins(&random(2 * NEIGHBOUR - 1, 3, 1)).unwrap(), Twins::default());
        let same = Features::new(40, 2, [0.5, 0.5].repeat(40)).unwrap();
        let found = twins(&same).unwrap();
        assert!(
            found.pairs.iter().all(|pair| pair.closeness == 0.0 && pair.rows[0] < pair.rows[1])
        );
        let mut rows: Vec<_> = found.pairs.iter().map(|pair| pair.rows).collect();
        rows.dedup();
        assert_eq!(rows.len(), found.pairs.len(), "no pair is listed twice");
    }

    #[test]
    fn threads_do_not_matter() {
        let rows = with_copies(300, 10, 10, 0.05);
        assert_eq!(in_pool(1, || twins(&rows)), in_pool(3, || twins(&rows)));
    }
}
