//! The two directions in which features vary most, for a map of the features.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::features::{Standardised, narrow_means};
use crate::{Error, Rows, matrix};

/// Rows projected onto their first two principal components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pca {
    /// Two coordinates per row, relative to the mean of all rows.
    pub coordinates: Vec<[f64; 2]>,
    /// Share of the total variance along each component, as a fraction of 1, or zeros if all rows
    /// coincide.
    pub explained: [f64; 2],
}

/// Projects rows onto the first two principal components of their covariance.
///
/// The definition leaves the sign of a component open. Here, the row that is furthest from the mean
/// along the component has a positive coordinate. If several rows are equally far up to rounding,
/// the first such row decides. If there is no second component (one column, or all rows on a line),
/// its coordinates are 0. Sums and eigenvectors are f64, and centred rows are f32.
///
/// # Errors
/// [`Error::TooFewRows`] without rows, [`Error::TooWide`] above 4,096 values in a row.
///
/// ```
/// use selfsame_eval::{Features, pca};
///
/// let rows = Features::new(3, 2, vec![0.0, 0.0, 3.0, 4.0, 6.0, 8.0])?;
/// let pca = pca::project(&rows)?;
/// assert!((pca.coordinates[0][0] - 5.0).abs() < 1e-6);
/// assert!((pca.explained[0] - 1.0).abs() < 1e-12);
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn project(rows: &dyn Rows) -> Result<Pca, Error> {
    let Components { dims, coordinates, explained } = components(rows, 2)?;
    let pair = |row: &[f64]| [0, 1].map(|at| row.get(at).copied().unwrap_or_default());
    let coordinates = match dims {
        0 => vec![[0.0; 2]; rows.rows()],
        dims => coordinates.chunks_exact(dims).map(pair).collect(),
    };
    Ok(Pca { coordinates, explained: pair(&explained) })
}

/// Rows projected onto their leading principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct Components {
    /// Number of components: those that were asked for, or as many as the rows vary along.
    pub dims: usize,
    /// Coordinates relative to the mean of all rows, `dims` for each row, row by row.
    pub coordinates: Vec<f64>,
    /// Share of the total variance along each component, as a fraction of 1.
    pub explained: Vec<f64>,
}

/// Projects rows onto the first `count` principal components of their covariance, as [`project`]
/// does onto two.
///
/// # Errors
/// Those of [`project`].
pub fn components(rows: &dyn Rows, count: usize) -> Result<Components, Error> {
    let dim = rows.dim();
    if rows.rows() == 0 {
        return Err(Error::TooFewRows { set: "feature", found: 0, needed: 1 });
    }
    let centred = Standardised::centred(rows, &narrow_means(rows));
    let moments = matrix::second_moments(&centred)?;
    let total: f64 = (0..dim).map(|column| moments[column * dim + column]).sum();
    let mut leading = matrix::leading_eigenpairs(&moments, dim, count)?;
    // Smaller eigenvalues are rounding errors, and their eigenvectors are arbitrary.
    leading.retain(|(variance, _)| *variance > total * 1e-12);
    let dims = leading.len();
    let mut coordinates = vec![0.0; rows.rows() * dims];
    for (component, (_, direction)) in leading.iter().enumerate() {
        let along = |row: &mut Vec<f32>, index: usize| -> f64 {
            centred.read(index, row);
            row.iter().zip(direction).map(|(&value, direction)| f64::from(value) * direction).sum()
        };
        let along: Vec<f64> =
            (0..rows.rows()).into_par_iter().map_init(|| vec![0.0; dim], along).collect();
        let sign = sign(&along);
        let places = coordinates.iter_mut().skip(component).step_by(dims);
        places.zip(along).for_each(|(to, along)| *to = sign * along);
    }
    let explained = leading.iter().map(|(variance, _)| variance / total).collect();
    Ok(Components { dims, coordinates, explained })
}

/// Returns the sign of the first value whose magnitude equals the largest magnitude up to rounding.
fn sign(values: &[f64]) -> f64 {
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let furthest = values.iter().find(|value| value.abs() >= largest * (1.0 - 1e-6));
    furthest.map_or(1.0, |value| value.signum())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Features;
    use crate::testing::{in_pool, random};

    proptest! {
        #[test]
        fn in_the_plane_it_is_a_rotation(rows in 3..60_usize, seed in any::<u64>()) {
            let features = random(rows, 2, seed);
            let pca = project(&features).unwrap();
            let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
            let point = |row: usize| [f64::from(features.row(row)[0]), f64::from(features.row(row)[1])];
            for row in 1..rows {
                let found = distance(pca.coordinates[0], pca.coordinates[row]);
                // Centring rounds coordinates below 2 to f32.
                prop_assert!((found - distance(point(0), point(row))).abs() < 1e-5);
            }
            // The eigenvalues of the 2 × 2 covariance, by its trace and determinant.
            let mean = |column: usize| (0..rows).map(|row| point(row)[column]).sum::<f64>() / rows as f64;
            let (x, y) = (mean(0), mean(1));
            let moment = |f: &dyn Fn([f64; 2]) -> f64| (0..rows).map(|row| f(point(row))).sum::<f64>();
            let (xx, yy) = (moment(&|p| (p[0] - x).powi(2)), moment(&|p| (p[1] - y).powi(2)));
            let xy = moment(&|p| (p[0] - x) * (p[1] - y));
            let spread = ((xx - yy).powi(2) + 4.0 * xy * xy).sqrt();
            prop_assert!((pca.explained[0] - 0.5 * (1.0 + spread / (xx + yy))).abs() < 1e-6);
            prop_assert!((pca.explained[0] + pca.explained[1] - 1.0).abs() < 1e-12);
        }

        #[test]
        fn components_are_uncorrelated_centred_and_ordered(
            rows in 3..80_usize, dim in 1..20_usize, seed in any::<u64>(),
        ) {
            let pca = project(&random(rows, dim, seed)).unwrap();
            let sum = |f: &dyn Fn(&[f64; 2]) -> f64| pca.coordinates.iter().map(f).sum::<f64>();
            let (first, second) = (sum(&|c| c[0] * c[0]), sum(&|c| c[1] * c[1]));
            prop_assert!(sum(&|c| c[0]).abs() < 1e-4 && sum(&|c| c[1]).abs() < 1e-4);
            prop_assert!(sum(&|c| c[0] * c[1]).abs() < 1e-9 * (first + 1.0));
            prop_assert!(first >= second - 1e-9 && pca.explained[0] >= pca.explained[1]);
            prop_assert!((second - first * pca.explained[1] / pca.explained[0]).abs() < 1e-9 * (first + 1.0));
            for component in 0..2 {
                let reach = |sign: f64| pca.coordinates.iter().map(|c| sign * c[component]).fold(0.0, f64::max);
                // If the two are equal up to rounding (see `sign`), the first one decides.
                prop_assert!(reach(1.0) >= reach(-1.0) * (1.0 - 1e-6), "{} \
                    {}", reach(1.0), reach(-1.0));
            }
        }
    }

    #[test]
    fn clouds_without_a_second_direction() {
        let same = project(&Features::new(3, 2, [0.1, 7.0].repeat(3)).unwrap()).unwrap();
        assert_eq!(same, Pca { coordinates: vec![[0.0; 2]; 3], explained: [0.0; 2] });
        let single = project(&random(1, 5, 0)).unwrap();
        assert_eq!(single, Pca { coordinates: vec![[0.0; 2]], explained: [0.0; 2] });
        // The line is symmetric about its mean, so the first of the two furthest rows has the
        // positive coordinate.
        let line = project(&Features::new(3, 1, vec![-4.0, 0.0, 4.0]).unwrap()).unwrap();
        assert_eq!(
            line,
            Pca { coordinates: vec![[4.0, 0.0], [0.0, 0.0], [-4.0, 0.0]], explained: [1.0, 0.0] }
        );
    }

    #[test]
    fn threads_do_not_matter() {
        let features = random(400, 150, 1);
        assert_eq!(in_pool(1, || project(&features)), in_pool(3, || project(&features)));
    }

    #[test]
    fn misuse_is_refused() {
        assert_eq!(
            project(&random(0, 2, 0)),
            Err(Error::TooFewRows { set: "feature", found: 0, needed: 1 })
        );
        assert_eq!(project(&random(1, 4097, 0)), Err(Error::TooWide { dim: 4097 }));
    }
}
