use rayon::prelude::*;

use crate::Views;
use crate::sum::squared_distance;

/// The distance between the two furthest views of each image, which determines R_ε for every ε.
#[derive(Debug, Clone, PartialEq)]
pub struct Diameters {
    /// The largest ‖f(x₁) − f(x₂)‖ over the views of each image.
    pub of_image: Vec<f64>,
    sorted: Vec<f64>,
}

/// Computes the view diameters of all images. An image x is in S_ε if its diameter is at most ε
/// (Huang et al., ICLR 2023).
///
/// As estimates for an infinite A the diameters are one-sided: more views can only raise them.
///
/// ```
/// use selfsame_theory::{Views, measure};
///
/// let values = [0.0_f32, 2.0, 1.0, 5.0, 5.0, 5.0];
/// let diameters = measure::diameters(&Views::new(2, 3, 1, &values)?);
/// assert_eq!(diameters.of_image, [2.0, 0.0]);
/// assert_eq!((diameters.share_above(1.9), diameters.share_above(2.0)), (0.5, 0.0));
/// # Ok::<(), selfsame_theory::Error>(())
/// ```
pub fn diameters(views: &Views<'_>) -> Diameters {
    let m = views.views();
    let of_image = |image: usize| {
        let block = views.block(image * m..(image + 1) * m);
        let mut largest = 0.0_f64;
        for (i, first) in block.chunks_exact(views.dim()).enumerate() {
            for second in block.chunks_exact(views.dim()).take(i) {
                largest = largest.max(squared_distance(first, second));
            }
        }
        largest.sqrt()
    };
    Diameters::new((0..views.images()).into_par_iter().map(of_image).collect())
}

impl Diameters {
    /// Takes the diameter of each image.
    pub fn new(of_image: Vec<f64>) -> Self {
        let mut sorted = of_image.clone();
        sorted.sort_by(f64::total_cmp);
        Self { of_image, sorted }
    }

    /// Returns the diameters in ascending order. R_ε changes only at these values.
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// Returns R_ε: the share of images with a diameter strictly above ε.
    pub fn share_above(&self, epsilon: f64) -> f64 {
        share_above(&self.sorted, epsilon)
    }
}

/// Returns the share of the ascending values `sorted` that is above `limit`, or 0 if there are no
/// values.
pub(crate) fn share_above(sorted: &[f64], limit: f64) -> f64 {
    let above = sorted.len() - sorted.partition_point(|&value| value <= limit);
    above as f64 / sorted.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Values;

    proptest! {
        #[test]
        fn the_curve_counts_images(m in 1..5_usize, values in prop::collection::vec(0..6_u8, 1..40), epsilon in 0..6_u8) {
            let images = values.len() / m;
            prop_assume!(images > 0);
            let values: Vec<f64> = values[..images * m].iter().map(|&v| f64::from(v)).collect();
            let found = diameters(&Views::new(images, m, 1, Values::F64(&values)).unwrap());
            let wide = values.chunks_exact(m).filter(|views| {
                let largest = views.iter().copied().fold(f64::MIN, f64::max);
                largest - views.iter().copied().fold(f64::MAX, f64::min) > f64::from(epsilon)
            });
            prop_assert_eq!(found.share_above(f64::from(epsilon)), wide.count() as f64 / images as f64);
            prop_assert!(found.sorted().is_sorted());
        }
    }
}
