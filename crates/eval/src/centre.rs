//! Class centres and the nearest-centre classifier, on rows of any length that are read one at a
//! time. Some classes may have no rows. (The centres of certificates are `selfsame_theory`'s: there,
//! views lie on a sphere, and every class has images.)

use rayon::prelude::*;

use crate::{Error, Rows, labels};

/// Centres μ_k of classes, which define the classifier G_f(x) = argmin_k ‖f(x) − μ_k‖ (Huang, Yi,
/// Zhao and Jiang, "Towards the Generalization of Contrastive Self-Supervised Learning", ICLR
/// 2023).
#[derive(Debug, Clone, PartialEq)]
pub struct Centres {
    /// Classes that have rows, ascending. Only these classes can be predicted.
    pub classes: Vec<u32>,
    /// Classes without rows, ascending. They have no centre and are never predicted.
    pub absent: Vec<u32>,
    dim: usize,
    values: Vec<f64>,
}

/// Computes the centre of each class: the mean of its rows, in f64.
///
/// The rows are embeddings of views, as many of each image, so a mean over views is one over images
/// too. The theory is about features of equal length. For methods of the InfoNCE family, pass
/// [`Normalised`](crate::Normalised) rows to this function and to [`Centres::predict`].
///
/// # Errors
/// [`Error::TooFewRows`] if there are no rows, and [`Error::Count`], [`Error::Label`] and
/// [`Error::Classes`] for labels.
///
/// ```
/// use selfsame_eval::{Features, centre};
///
/// // Two views of one image of class 0, and two of an image of class 2.
/// let views = Features::new(4, 1, vec![0.0, 5.0, 8.0, 10.0])?;
/// let centres = centre::fit(&views, &[0, 0, 2, 2], 3)?;
/// assert_eq!(centres.centre(0), Some(&[2.5][..]));
/// assert_eq!(centres.absent, [1]);
/// assert_eq!(centres.products().collect::<Vec<_>>(), [2.5 * 9.0]);
/// assert_eq!(centres.predict(&Features::new(2, 1, vec![5.0, 6.0])?)?, [0, 2]);
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn fit(views: &dyn Rows, labels: &[u32], classes: usize) -> Result<Centres, Error> {
    let (rows, dim) = (views.rows(), views.dim());
    if rows == 0 {
        return Err(Error::TooFewRows { set: "view", found: 0, needed: 1 });
    }
    labels::check("view", labels, rows, classes)?;

    let (present, absent) = labels::present_and_absent(labels, classes);
    let slot = |label: u32| present.partition_point(|&class| class < label);
    let mut counts = vec![0.0; present.len()];
    let mut values = vec![0.0; present.len() * dim];
    let mut row = vec![0.0; dim];
    for (index, &label) in labels.iter().enumerate() {
        let class = slot(label);
        counts[class] += 1.0;
        views.read(index, &mut row);
        for (sum, &value) in values[class * dim..].iter_mut().zip(&row) {
            *sum += f64::from(value);
        }
    }
    for (sums, count) in values.chunks_exact_mut(dim).zip(counts) {
        sums.iter_mut().for_each(|sum| *sum /= count);
    }
    Ok(Centres { classes: present, absent, dim, values })
}

impl Centres {
    /// Returns the centre of `class`, or `None` for a class without rows.
    pub fn centre(&self, class: u32) -> Option<&[f64]> {
        let slot = self.classes.binary_search(&class).ok()?;
        Some(&self.values[slot * self.dim..][..self.dim])
    }

    /// Returns the products μ_k·μ_ℓ of the centres of two classes, each pair once. They are the
    /// divergence of Huang et al. (ICLR 2023); smaller is better.
    pub fn products(&self) -> impl Iterator<Item = f64> {
        let centres = || self.values.chunks_exact(self.dim);
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum();
        centres()
            .enumerate()
            .flat_map(move |(k, first)| centres().take(k).map(move |second| product(first, second)))
    }

    /// Returns the class of the nearest centre for each row. If two centres are equally near, the
    /// lower class is returned.
    ///
    /// # Errors
    /// [`Error::Dim`] if the rows differ from the centres in dimension.
    pub fn predict(&self, rows: &dyn Rows) -> Result<Vec<u32>, Error> {
        if rows.dim() != self.dim {
            return Err(Error::Dim { set: "queries", found: rows.dim(), expected: self.dim });
        }
        let nearest = |buffer: &mut Vec<f32>, row: usize| {
            rows.read(row, buffer);
            let mut best = (f64::INFINITY, 0);
            for (centre, &class) in self.values.chunks_exact(self.dim).zip(&self.classes) {
                let distance = squared_distance(buffer, centre);
                if distance < best.0 {
                    best = (distance, class);
                }
            }
            best.1
        };
        let buffer = || vec![0.0; self.dim];
        Ok((0..rows.rows()).into_par_iter().map_init(buffer, nearest).collect())
    }
}

fn squared_distance(row: &[f32], centre: &[f64]) -> f64 {
    row.iter().zip(centre).map(|(&value, centre)| (f64::from(value) - centre).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{labels, random};
    use crate::{Features, Normalised};

    proptest! {
        #[test]
        fn centres_and_choices_match_the_definition(
            images in 1..40_usize, views in 1..4_usize, dim in 1..9_usize, classes in 1..6_usize, seed in any::<u64>(),
        ) {
            let features = random(images * views, dim, seed);
            let of_image = labels(images, classes, seed);
            let labels: Vec<u32> = of_image.iter().flat_map(|&label| vec![label; views]).collect();
            let centres = fit(&features, &labels, classes).unwrap();
            let mut expected = vec![None; classes];
            for class in 0..classes {
                let members: Vec<usize> = (0..images).filter(|&image| of_image[image] as usize == class).collect();
                let mean_of_image = |image: usize, column: usize| {
                    let view = |view| f64::from(features.row(image * views + view)[column]);
                    (0..views).map(view).sum::<f64>() / views as f64
                };
                if !members.is_empty() {
                    let coordinate = |column| {
                        members.iter().map(|&image| mean_of_image(image, column)).sum::<f64>() / members.len() as f64
                    };
                    expected[class] = Some((0..dim).map(coordinate).collect::<Vec<f64>>());
                }
                let found = centres.centre(class as u32);
                prop_assert_eq!(found.is_some(), expected[class].is_some());
                prop_assert_eq!(centres.absent.contains(&(class as u32)), found.is_none());
                for (found, expected) in found.unwrap_or_default().iter().zip(expected[class].iter().flatten()) {
                    prop_assert!((found - expected).abs() < 1e-13);
                }
            }
            let queries = random(10, dim, !seed);
            for (row, class) in centres.predict(&queries).unwrap().into_iter().enumerate() {
                let distance = |centre: &Vec<f64>| {
                    centre.iter().zip(queries.row(row)).map(|(c, &q)| (c - f64::from(q)).powi(2)).sum::<f64>()
                };
                let distances: Vec<f64> = expected.iter().map(|c| c.as_ref().map_or(f64::INFINITY, distance)).collect();
                let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
                prop_assert!(distances[class as usize] <= least + 1e-12);
            }
        }
    }

    #[test]
    fn ties_go_to_the_lower_class() {
        let views = Features::new(3, 1, vec![1.0, -1.0, 1.0]).unwrap();
        let centres = fit(&views, &[3, 1, 2], 4).unwrap();
        assert_eq!(centres.absent, [0]);
        let queries = Features::new(2, 1, vec![0.0, 1.0]).unwrap();
        assert_eq!(centres.predict(&queries).unwrap(), [1, 2]);
    }

    #[test]
    fn normalised_rows_forget_their_length() {
        let views = Features::new(3, 2, vec![9.0, 0.0, 0.0, 0.1, 0.0, 7.0]).unwrap();
        let centres = fit(&Normalised(&views), &[0, 1, 1], 2).unwrap();
        assert_eq!(centres.centre(1), Some(&[0.0, 1.0][..]));
        assert_eq!(centres.predict(&Normalised(&views)).unwrap(), [0, 1, 1]);
    }

    #[test]
    fn huge_values_stay_finite() {
        let views = Features::new(2, 1, vec![f32::MAX, f32::MAX]).unwrap();
        let centres = fit(&views, &[0, 0], 1).unwrap();
        assert_eq!(centres.centre(0), Some(&[f64::from(f32::MAX)][..]));
        assert_eq!(centres.predict(&views).unwrap(), [0, 0]);
    }

    #[test]
    fn misuse_is_refused() {
        let views = random(2, 3, 0);
        let empty = fit(&random(0, 3, 0), &[], 2);
        assert_eq!(empty.unwrap_err(), Error::TooFewRows { set: "view", found: 0, needed: 1 });
        let few = fit(&views, &[0], 2).unwrap_err();
        assert_eq!(few, Error::Count { set: "view", of: "labels", rows: 2, given: 1 });
        let centres = fit(&views, &[0, 1], 2).unwrap();
        let narrow = centres.predict(&random(1, 2, 0)).unwrap_err();
        assert_eq!(narrow, Error::Dim { set: "queries", found: 2, expected: 3 });
    }
}
