use rayon::prelude::*;

use crate::sum::{mean, squared_distance};
use crate::{Error, Labels, Views};

/// Mean squared distance between views of an image: L_align = E_x E ‖f(x₁) − f(x₂)‖², with x₁
/// and x₂ independent in A(x).
#[derive(Debug, Clone, PartialEq)]
pub struct Alignment {
    /// Alignment of each image, over its M views. x₁ and x₂ may be equal.
    pub of_image: Vec<f64>,
    /// Mean over images; exact for the finite world.
    pub finite: f64,
}

/// Computes the alignment of each image and of all images (Huang et al., ICLR 2023).
///
/// The alignment of an image is 2(mean ‖f‖² − ‖mean f‖²). It is computed as twice the mean of ‖f −
/// mean f‖², which is the same number without the cancellation.
///
/// ```
/// use selfsame_theory::{Views, measure};
///
/// let values = [0.0_f32, 2.0, 5.0, 5.0];
/// let alignment = measure::alignment(&Views::new(2, 2, 1, &values)?);
/// assert_eq!((alignment.of_image, alignment.finite), (vec![2.0, 0.0], 1.0));
/// # Ok::<(), selfsame_theory::Error>(())
/// ```
pub fn alignment(views: &Views<'_>) -> Alignment {
    let m = views.views();
    let of_image = |image: usize| {
        let block = views.block(image * m..(image + 1) * m);
        let mut centre = vec![0.0; views.dim()];
        for row in block.chunks_exact(views.dim()) {
            centre.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        centre.iter_mut().for_each(|sum| *sum /= m as f64);
        let squares: f64 =
            block.chunks_exact(views.dim()).map(|row| squared_distance(row, &centre)).sum();
        2.0 * squares / m as f64
    };
    let of_image: Vec<f64> = (0..views.images()).into_par_iter().map(of_image).collect();
    let finite = mean(&of_image);
    Alignment { of_image, finite }
}

impl Alignment {
    /// Computes L_align(C_k) of each class: the mean over its images.
    ///
    /// # Errors
    /// [`Error::Count`] if the number of labels differs from the number of images.
    pub fn of_classes(&self, labels: &Labels) -> Result<Vec<f64>, Error> {
        Ok(labels.split(&self.of_image)?.iter().map(|class| mean(class)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Values;

    proptest! {
        #[test]
        fn it_is_the_mean_over_pairs(m in 1..6_usize, values in prop::collection::vec(-9.0..9.0, 1..60)) {
            let images = values.len() / m;
            prop_assume!(images > 0);
            let values = &values[..images * m];
            let found = alignment(&Views::new(images, m, 1, Values::F64(values)).unwrap());
            for (found, views) in found.of_image.iter().zip(values.chunks_exact(m)) {
                let pairs = views.iter().flat_map(|a| views.iter().map(move |b| (a - b).powi(2)));
                let expected = pairs.sum::<f64>() / (m * m) as f64;
                prop_assert!((found - expected).abs() <= 1e-12 * (1.0 + expected));
            }
        }
    }

    #[test]
    fn classes_share_the_mean() {
        let values = [0.0_f32, 2.0, 5.0, 5.0, 1.0, 3.0];
        let found = alignment(&Views::new(3, 2, 1, &values).unwrap());
        let labels = Labels::new(vec![1, 0, 1], 2).unwrap();
        assert_eq!(found.of_classes(&labels), Ok(vec![0.0, 2.0]));
    }
}
