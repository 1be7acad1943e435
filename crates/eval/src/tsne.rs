//! A plane on which neighbours stay neighbours: t-SNE (van der Maaten and Hinton, "Visualizing Data
//! using t-SNE", JMLR 2008), with the forces of far points summed over cells (Barnes-Hut, van der
//! Maaten, JMLR 2014).

use bhtsne::{Neighbor, tSNE};

use crate::{Error, Normalised, Rows, knn, pca};

/// Largest perplexity: about the number of neighbours that each row keeps.
pub const PERPLEXITY: f64 = 30.0;
/// Smallest number of rows that are placed.
pub const FEWEST: usize = 10;

/// Neighbours for each unit of perplexity; further ones have next to no weight.
const NEIGHBOURS: f64 = 3.0;
/// Cells that look smaller than this angle count as one point.
const ANGLE: f64 = 0.5;
const EPOCHS: usize = 750;
/// Standard deviation along the first axis at the start, small so that neighbours find each other
/// before they are in each other's way.
const START: f64 = 1e-4;

/// Places of rows on a plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Two coordinates per row.
    pub points: Vec<[f64; 2]>,
    /// The perplexity: [`PERPLEXITY`], or less for few rows.
    pub perplexity: f64,
}

/// Places rows on a plane by t-SNE. Returns `None` below [`FEWEST`] rows, or if all rows point the same
/// way.
///
/// Neighbours are exact, by the angle between rows. The rows start from their first two principal
/// components (Kobak and Berens, "The art of using t-SNE for single-cell transcriptomics", Nature
/// Communications 2019), so nothing is random. Everything runs on one thread, because the order of
/// sums would otherwise depend on the threads.
///
/// # Errors
/// [`Error::TooWide`] above 4,096 values in a row.
///
/// ```
/// use selfsame_eval::{Features, tsne};
///
/// // Two groups of ten rows that point the same way.
/// let row = |i: usize| match i % 2 {
///     0 => [1.0, 0.01 * i as f32],
///     _ => [0.01 * i as f32, 1.0],
/// };
/// let rows = Features::new(20, 2, (0..20).flat_map(row).collect())?;
/// let placed = tsne::place(&rows)?.unwrap();
/// let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
/// assert!(distance(placed.points[0], placed.points[2]) < distance(placed.points[0], placed.points[1]));
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn place(rows: &dyn Rows) -> Result<Option<Placed>, Error> {
    let count = rows.rows();
    if count < FEWEST {
        return Ok(None);
    }
    let perplexity = PERPLEXITY.min((count - 1) as f64 / NEIGHBOURS);
    let near = (NEIGHBOURS * perplexity) as usize;
    let all: Vec<usize> = (0..count).collect();
    let neighbours: Vec<Vec<Neighbor<f64>>> = knn::nearest_others(rows, &all, near)?
        .into_iter()
        .map(|found| found.into_iter().map(neighbour).collect())
        .collect();
    let start = pca::project(&Normalised(rows))?.coordinates;
    let deviation =
        (start.iter().map(|point| point[0] * point[0]).sum::<f64>() / count as f64).sqrt();
    if deviation == 0.0 {
        return Ok(None);
    }
    let start = start.as_flattened().iter().map(|value| value * START / deviation);
    let start: Vec<f64> = start.collect();

    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let points = one_thread.expect("a thread starts").install(|| {
        // The neighbours say all that is needed of the rows.
        let rows = vec![(); count];
        let mut tsne: tSNE<'_, f64, ()> = tSNE::new(&rows);
        tsne.perplexity(perplexity).epochs(EPOCHS).initial_embedding(start);
        tsne.barnes_hut_with_neighbors(ANGLE, &neighbours).embedding()
    });
    let (points, _) = points.as_chunks::<2>();
    Ok(Some(Placed { points: points.to_vec(), perplexity }))
}

fn neighbour(found: knn::Neighbour) -> Neighbor<f64> {
    Neighbor { index: found.index as usize, distance: found.distance() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;
    use crate::testing::{self, in_pool};

    fn clouds(rows: usize, groups: usize) -> Features {
        testing::clouds(rows, groups, 8, 0.2)
    }

    #[test]
    fn neighbours_stay_neighbours() {
        let placed = place(&clouds(150, 4)).unwrap().unwrap();
        assert_eq!(placed.perplexity, PERPLEXITY);
        let distance = |a: usize, b: usize| {
            let ([x, y], [u, v]) = (placed.points[a], placed.points[b]);
            (x - u).hypot(y - v)
        };
        for row in 0..150 {
            let others = (0..150).filter(|other| *other != row);
            let nearest = others.min_by(|&a, &b| distance(row, a).total_cmp(&distance(row, b)));
            assert_eq!(nearest.unwrap() % 4, row % 4);
        }
    }

    #[test]
    fn neither_threads_nor_repetition_matter() {
        let rows = clouds(90, 3);
        let placed = in_pool(1, || place(&rows).unwrap());
        assert_eq!(placed, in_pool(3, || place(&rows).unwrap()));
        assert_eq!(placed, in_pool(2, || place(&rows).unwrap()));
    }

    #[test]
    fn few_rows_have_finite_places_and_equal_rows_have_none() {
        assert_eq!(place(&clouds(FEWEST - 1, 2)).unwrap(), None);
        for rows in [FEWEST, 40] {
            let same = Features::new(rows, 2, [0.5, 0.5].repeat(rows)).unwrap();
            assert_eq!(place(&same).unwrap(), None);
            let placed = place(&clouds(rows, 2)).unwrap().unwrap();
            assert!(placed.points.as_flattened().iter().all(|value| value.is_finite()));
        }
    }
}
