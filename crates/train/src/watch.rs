//! What a step's outputs look like: whether the encoder collapses.

use std::collections::BTreeMap;
use std::fmt;

use burn::tensor::Tensor;
use selfsame_eval::{Error, Features, Normalised, centre, geometry};
use selfsame_nn::state;

/// Outputs whose deviation is below this are as good as one point.
const LEAST_STD: f64 = 0.05;
/// Outputs of an effective rank below this use fewer than two directions: two opposite points and some noise, as the
/// simple contrastive loss leaves them.
const LEAST_RANK: f64 = 2.0;
/// Logged steps in a row that must look so: a step's batch may be an odd one.
const IN_A_ROW: usize = 5;

/// Measures of the two outputs of each image of a batch, normalised, by the names they are logged under:
/// `output_std`, the root of their total variance, from 0 where all coincide to 1; `alignment`, `uniformity`, `rank_me`
/// and `alpha_req` of [`geometry`]; `r_epsilon`, the share of images whose two outputs are more than `epsilon` apart, a
/// lower estimate of the R_ε of Huang et al. (ICLR 2023), whose supremum is over all views.
///
/// # Errors
/// For outputs that are no numbers.
pub(crate) fn outputs(pair: [&Tensor<2>; 2], epsilon: f64) -> Result<BTreeMap<String, f64>, Error> {
    let [images, dim] = pair[0].dims();
    let [first, second] = pair.map(|side| state::to_host(side.clone()).values);
    let views = first.chunks_exact(dim).zip(second.chunks_exact(dim)).flat_map(|(a, b)| [a, b].concat()).collect();
    let views = Features::new(2 * images, dim, views)?;
    let rows = Normalised(&views);
    // All rows as views of one image: twice their variance.
    let spread = geometry::alignment(&rows, 2 * images)?.finite / 2.0;
    let apart = geometry::diameters(&rows, 2)?.into_iter().filter(|diameter| *diameter > epsilon).count();
    let mut found = vec![
        ("output_std", spread.sqrt()),
        ("alignment", geometry::alignment(&rows, 2)?.finite),
        ("uniformity", geometry::uniformity(&rows)?),
        ("r_epsilon", apart as f64 / images as f64),
    ];
    // Eigenvalues of more would take longer than the step.
    if images.min(dim) <= 512 {
        let first = Features::new(images, dim, first)?;
        found.push(("rank_me", geometry::rank_me(&Normalised(&first))?));
        found.extend(geometry::alpha_req(&Normalised(&first))?.map(|alpha| ("alpha_req", alpha)));
    }
    Ok(found.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The largest product of two classes' centres, of the normalised features: the divergence of Huang et al. (ICLR 2023).
/// None for fewer than two classes.
pub(crate) fn divergence(features: &Features, labels: &[u32], classes: usize) -> Result<Option<f64>, Error> {
    let centres = centre::fit(&Normalised(features), labels, &vec![1.0; labels.len()], classes)?;
    Ok(centres.products().reduce(f64::max))
}

/// Outputs that have become one point, or a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Collapse {
    /// The step, from 1, at which it had lasted long enough to be sure.
    pub step: u64,
    /// Deviation of the normalised outputs, from 0 where all coincide to 1.
    pub output_std: f64,
    /// Their effective rank, where it was measured.
    pub rank_me: Option<f64>,
}

impl fmt::Display for Collapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the outputs have collapsed by step {}: their deviation is {:.3}", self.step, self.output_std)?;
        self.rank_me.map_or(Ok(()), |rank| write!(f, ", their effective rank (RankMe) {rank:.2}"))
    }
}

/// Notices a collapse, once.
#[derive(Default)]
pub(crate) struct Alarm {
    /// Logged steps in a row that looked like one.
    seen: usize,
}

impl Alarm {
    /// Takes what [`outputs`] found at a step; answers at the one that makes it sure.
    pub(crate) fn look(&mut self, step: u64, found: &BTreeMap<String, f64>) -> Option<Collapse> {
        let output_std = *found.get("output_std")?;
        let rank_me = found.get("rank_me").copied();
        let looks_so = output_std < LEAST_STD || rank_me.is_some_and(|rank| rank < LEAST_RANK);
        self.seen = if looks_so { self.seen + 1 } else { 0 };
        (self.seen == IN_A_ROW).then_some(Collapse { step, output_std, rank_me })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn tells_collapse_from_spread() {
        let device = Device::flex();
        let spread = Tensor::<2>::from_floats([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0], [0.0, -9.0]], &device);
        let found = outputs([&spread, &spread], 0.5).unwrap();
        assert!((found["output_std"] - 1.0).abs() < 1e-12 && found["alignment"] == 0.0);
        assert!((found["rank_me"] - 2.0).abs() < 1e-5);

        let point = Tensor::<2>::from_floats([[3.0, 4.0], [6.0, 8.0]], &device);
        let found = outputs([&point, &point], 0.5).unwrap();
        assert!(found["output_std"] < 1e-6 && (found["rank_me"] - 1.0).abs() < 1e-5, "{found:?}");

        // Two opposite points are spread, but of rank 1.
        let opposite = Tensor::<2>::from_floats([[3.0, 4.0], [-3.0, -4.0]], &device);
        let found = outputs([&opposite, &opposite], 0.5).unwrap();
        assert!((found["output_std"] - 1.0).abs() < 1e-6 && (found["rank_me"] - 1.0).abs() < 1e-5, "{found:?}");
    }

    #[test]
    fn counts_the_images_whose_views_are_apart() {
        let device = Device::flex();
        // Unit vectors at 0, 0.5 (an angle of 2·asin 0.25), √2 and 2 from each other's views.
        let angle = 2.0 * 0.25f32.asin();
        let first = Tensor::<2>::from_floats([[1.0, 0.0]; 4], &device);
        let second = [[7.0, 0.0], [angle.cos(), angle.sin()], [0.0, 1.0], [-2.0, 0.0]];
        let second = Tensor::<2>::from_floats(second, &device);
        for (epsilon, share) in [(0.4, 0.75), (0.6, 0.5), (1.5, 0.25), (2.1, 0.0)] {
            assert_eq!(outputs([&first, &second], epsilon).unwrap()["r_epsilon"], share, "{epsilon}");
        }
    }

    #[test]
    fn divergence_is_that_of_the_closest_classes() {
        let features = Features::new(4, 2, vec![2.0, 0.0, 0.0, 3.0, 0.0, 5.0, -1.0, 0.0]).unwrap();
        // Classes at (1, 0), (0, 1) and (−1, 0); the third and the first are opposite, the others orthogonal.
        assert_eq!(divergence(&features, &[0, 1, 1, 2], 3).unwrap(), Some(0.0));
        assert_eq!(divergence(&features, &[0, 0, 0, 0], 1).unwrap(), None);
    }

    #[test]
    fn the_alarm_rings_once_after_steps_in_a_row() {
        let point = |std: f64, rank: f64| BTreeMap::from([("output_std".into(), std), ("rank_me".into(), rank)]);
        let mut alarm = Alarm::default();
        let mut rung = Vec::new();
        let course = [(0.01, 9.0); 4].into_iter().chain([(0.5, 9.0)]).chain([(0.9, 1.0); 9]);
        for (step, (std, rank)) in (1..).zip(course) {
            rung.extend(alarm.look(step, &point(std, rank)));
        }
        assert_eq!(rung, [Collapse { step: 10, output_std: 0.9, rank_me: Some(1.0) }]);
        assert!(rung[0].to_string().contains("step 10"), "{}", rung[0]);
        assert_eq!(Alarm::default().look(1, &BTreeMap::new()), None);
    }
}
