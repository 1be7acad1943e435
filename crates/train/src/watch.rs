//! Measures of a step's outputs, and the alarm that notices when they collapse.

use std::collections::BTreeMap;
use std::fmt;

use burn::tensor::Tensor;
use selfsame_eval::{Error, Features, Normalised, centre, geometry, sample};
use selfsame_nn::state;

/// Smallest deviation of outputs that have not collapsed to one point.
const LEAST_STD: f64 = 0.05;
/// Smallest effective rank of outputs that use two directions. When the simple contrastive loss
/// collapses, for example, the outputs are two opposite points plus some noise, and their rank is
/// smaller.
const LEAST_RANK: f64 = 2.0;
/// Number of directions that outputs must be able to use for [`LEAST_RANK`] to apply. The outputs
/// of two images, for example, never use more than two directions.
const DIRECTIONS: usize = 4;
/// Maximum number of images for measuring the effective rank. The eigenvalues of more images would
/// take longer than the step.
const RANKED: usize = 512;
/// Number of consecutive logged steps that must look collapsed, because a single batch may be
/// unusual.
const IN_A_ROW: usize = 5;

/// Measures of a batch of outputs.
pub(crate) struct Outputs {
    /// Values, by the names under which they are logged.
    pub(crate) measures: BTreeMap<String, f64>,
    /// Largest rank that this number of outputs of this width can have.
    pub(crate) directions: usize,
}

/// Measures the two normalised outputs of each image of a batch. `pair` holds the first and the
/// second outputs, `[images, dim]` each. The measures are:
///
/// - the measures of [`spread`];
/// - `alignment`, as [`geometry`] computes it;
/// - `r_epsilon`, the share of images whose two outputs are more than `epsilon` apart. It is a
///   lower estimate of R_ε of Huang et al. (ICLR 2023), because R_ε takes the supremum over all
///   views.
///
/// # Errors
/// If an output is not a finite number.
pub(crate) fn outputs(pair: [&Tensor<2>; 2], epsilon: f64) -> Result<Outputs, Error> {
    let [images, dim] = pair[0].dims();
    let [first, second] = pair.map(|side| state::to_host(side.clone()).values);
    let views = first
        .chunks_exact(dim)
        .zip(second.chunks_exact(dim))
        .flat_map(|(a, b)| [a, b].concat())
        .collect();
    let views = Features::new(2 * images, dim, views)?;
    let mut measures = spread(&views, &first)?;
    let rows = Normalised(&views);
    let apart =
        geometry::diameters(&rows, 2)?.into_iter().filter(|diameter| *diameter > epsilon).count();
    measures.insert("alignment".to_owned(), geometry::alignment(&rows, 2)?);
    measures.insert("r_epsilon".to_owned(), apart as f64 / images as f64);
    Ok(Outputs { measures, directions: images.min(dim) })
}

/// Measures the encoder's representations, `[images, dim]`, for methods that draw no two outputs
/// together.
///
/// # Errors
/// If a representation is not a finite number.
pub(crate) fn representations(rows: Tensor<2>) -> Result<Outputs, Error> {
    let [images, dim] = rows.dims();
    let values = state::to_host(rows).values;
    let measures = spread(&Features::new(images, dim, values.clone())?, &values)?;
    Ok(Outputs { measures, directions: images.min(dim) })
}

/// Measures how widely normalised outputs are spread.
///
/// - `output_std` and `uniformity` are measured on all rows. `output_std` is the square root of the
///   total variance, from 0 (all rows coincide) to 1.
/// - `rank_me` and `alpha_req` are measured on `first`, which has one row per image, or on
///   [`RANKED`] of these rows, chosen at random, if there are more.
fn spread(all: &Features, first: &[f32]) -> Result<BTreeMap<String, f64>, Error> {
    let (rows, dim) = (Normalised(all), all.dim());
    // The alignment of all rows, taken as views of one image, is twice their variance.
    let variance = geometry::alignment(&rows, all.rows())? / 2.0;
    let chosen = match first.len() / dim {
        images if images.min(dim) > RANKED => sample(images, RANKED),
        images => (0..images).collect(),
    };
    let values =
        chosen.iter().flat_map(|&image| &first[image * dim..(image + 1) * dim]).copied().collect();
    let chosen = Features::new(chosen.len(), dim, values)?;
    let mut measures = vec![
        ("output_std", variance.sqrt()),
        ("uniformity", geometry::uniformity(&rows)?),
        ("rank_me", geometry::rank_me(&Normalised(&chosen))?),
    ];
    measures.extend(geometry::alpha_req(&Normalised(&chosen))?.map(|alpha| ("alpha_req", alpha)));
    Ok(measures.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Computes the largest inner product of two class centres of the normalised features: the
/// divergence of Huang et al. (ICLR 2023). Returns `None` for fewer than two classes.
pub(crate) fn divergence(
    features: &Features,
    labels: &[u32],
    classes: usize,
) -> Result<Option<f64>, Error> {
    let centres = centre::fit(&Normalised(features), labels, classes)?;
    Ok(centres.products().reduce(f64::max))
}

/// A collapse of the outputs to a point or a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Collapse {
    /// Step, counted from 1, at which the outputs had looked collapsed for long enough.
    pub step: u64,
    /// Deviation of the normalised outputs, from 0 (all outputs coincide) to 1.
    pub output_std: f64,
    /// Effective rank of the outputs, if it was measured.
    pub rank_me: Option<f64>,
    /// Advice that usually helps, from [`Method::remedy`](selfsame_methods::Method::remedy).
    pub remedy: &'static str,
}

/// Writes the sentence that is shown and stored in `run.json`, without its full stop.
impl fmt::Display for Collapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the outputs have collapsed by step {}: their deviation is {:.3}",
            self.step, self.output_std
        )?;
        if let Some(rank) = self.rank_me {
            write!(f, ", their effective rank (RankMe) {rank:.2}")?;
        }
        write!(f, "; {}", self.remedy)
    }
}

/// Notices a collapse and reports it once.
pub(crate) struct Alarm {
    /// Measures at the steps that earlier processes logged. They count as if training had not been
    /// interrupted.
    earlier: Vec<BTreeMap<String, f64>>,
    /// Number of consecutive logged steps, up to the last, that looked collapsed.
    in_a_row: usize,
}

impl Alarm {
    /// Creates an alarm that continues from the measures at earlier logged steps.
    pub(crate) fn after(earlier: Vec<BTreeMap<String, f64>>) -> Self {
        Self { earlier, in_a_row: 0 }
    }

    /// Takes the outputs of the next logged step, and reports a collapse at the step that makes the
    /// collapse certain. `remedy` is the advice that usually helps.
    pub(crate) fn look(
        &mut self,
        step: u64,
        outputs: &Outputs,
        remedy: &'static str,
    ) -> Option<Collapse> {
        for earlier in std::mem::take(&mut self.earlier) {
            self.count(&earlier, outputs.directions);
        }
        self.count(&outputs.measures, outputs.directions);
        let collapse = Collapse {
            step,
            output_std: *outputs.measures.get("output_std")?,
            rank_me: outputs.measures.get("rank_me").copied(),
            remedy,
        };
        (self.in_a_row == IN_A_ROW).then_some(collapse)
    }

    fn count(&mut self, measures: &BTreeMap<String, f64>, directions: usize) {
        let below = |name, least| measures.get(name).is_some_and(|value| *value < least);
        let collapsed = below("output_std", LEAST_STD)
            || directions >= DIRECTIONS && below("rank_me", LEAST_RANK);
        self.in_a_row = if collapsed { self.in_a_row + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn tells_collapse_from_spread() {
        let device = Device::flex();
        let spread =
            Tensor::<2>::from_floats([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0], [0.0, -9.0]], &device);
        let found = outputs([&spread, &spread], 0.5).unwrap().measures;
        assert!((found["output_std"] - 1.0).abs() < 1e-12 && found["alignment"] == 0.0);
        assert!((found["rank_me"] - 2.0).abs() < 1e-5);

        let point = Tensor::<2>::from_floats([[3.0, 4.0], [6.0, 8.0]], &device);
        let found = outputs([&point, &point], 0.5).unwrap().measures;
        assert!(found["output_std"] < 1e-6 && (found["rank_me"] - 1.0).abs() < 1e-5, "{found:?}");

        // Two opposite points are spread but have rank 1.
        let opposite = Tensor::<2>::from_floats([[3.0, 4.0], [-3.0, -4.0]], &device);
        let found = outputs([&opposite, &opposite], 0.5).unwrap().measures;
        assert!(
            (found["output_std"] - 1.0).abs() < 1e-6 && (found["rank_me"] - 1.0).abs() < 1e-5,
            "{found:?}"
        );
    }

    #[test]
    fn counts_the_images_whose_views_are_apart() {
        let device = Device::flex();
        // The two unit vectors of each image are at distance 0, 0.5 (an angle of 2·asin 0.25), √2
        // and 2.
        let angle = 2.0 * 0.25f32.asin();
        let first = Tensor::<2>::from_floats([[1.0, 0.0]; 4], &device);
        let second = [[7.0, 0.0], [angle.cos(), angle.sin()], [0.0, 1.0], [-2.0, 0.0]];
        let second = Tensor::<2>::from_floats(second, &device);
        for (epsilon, share) in [(0.4, 0.75), (0.6, 0.5), (1.5, 0.25), (2.1, 0.0)] {
            assert_eq!(
                outputs([&first, &second], epsilon).unwrap().measures["r_epsilon"],
                share,
                "{epsilon}"
            );
        }
    }

    #[test]
    fn divergence_is_that_of_the_closest_classes() {
        let features = Features::new(4, 2, vec![2.0, 0.0, 0.0, 3.0, 0.0, 5.0, -1.0, 0.0]).unwrap();
        // Classes at (1, 0), (0, 1) and (−1, 0); the first and the third are opposite, all other
        // pairs are orthogonal.
        assert_eq!(divergence(&features, &[0, 1, 1, 2], 3).unwrap(), Some(0.0));
        assert_eq!(divergence(&features, &[0, 0, 0, 0], 1).unwrap(), None);
    }

    #[test]
    fn a_batch_too_large_for_its_rank_is_sampled() {
        let device = Device::flex();
        // Two opposite points are as far apart as possible, so only the rank shows the collapse. It
        // must show it even if there are more than 512 images of more than 512 values each, so that
        // the rank is measured on a sample.
        let row = Tensor::<2>::ones([1, 600], &device);
        let rows = Tensor::cat(
            (0..600).map(|i| row.clone().mul_scalar(if i % 2 == 0 { 1.0 } else { -1.0 })).collect(),
            0,
        );
        let found = outputs([&rows, &rows], 0.5).unwrap().measures;
        assert!(found["output_std"] > 0.99 && (found["rank_me"] - 1.0).abs() < 1e-3, "{found:?}");
        let alone = representations(rows).unwrap().measures;
        assert_eq!((alone["rank_me"], alone.contains_key("alignment")), (found["rank_me"], false));
    }

    fn point(std: f64, rank: f64) -> BTreeMap<String, f64> {
        BTreeMap::from([("output_std".into(), std), ("rank_me".into(), rank)])
    }

    fn wide(measures: BTreeMap<String, f64>) -> Outputs {
        Outputs { measures, directions: DIRECTIONS }
    }

    #[test]
    fn the_alarm_rings_once_after_steps_in_a_row() {
        let course: Vec<_> = [(0.01, 9.0); 4]
            .into_iter()
            .chain([(0.5, 9.0)])
            .chain([(0.9, 1.0); 9])
            .map(|(s, r)| point(s, r))
            .collect();
        // An interruption at any point must not change the result.
        for broken in 0..course.len() {
            let mut alarm = Alarm::after(course[..broken].to_vec());
            let rung: Vec<_> = (broken..)
                .zip(&course[broken..])
                .filter_map(|(i, p)| alarm.look(i as u64 + 1, &wide(p.clone()), "sleep helps"))
                .collect();
            match broken {
                0..10 => assert_eq!(
                    rung,
                    [Collapse {
                        step: 10,
                        output_std: 0.9,
                        rank_me: Some(1.0),
                        remedy: "sleep helps"
                    }],
                    "{broken}"
                ),
                _ => assert_eq!(rung, [], "{broken}: it has rung before"),
            }
            for collapse in rung {
                let sentence = collapse.to_string();
                assert!(sentence.contains("by step 10") && sentence.ends_with("; sleep helps"));
            }
        }
        let nothing = wide(BTreeMap::new());
        assert_eq!(Alarm::after(Vec::new()).look(1, &nothing, "sleep helps"), None);
    }

    #[test]
    fn a_rank_that_cannot_be_larger_is_no_alarm() {
        let rings = |std, directions| {
            let mut alarm = Alarm::after(Vec::new());
            let outputs = Outputs { measures: point(std, 1.7), directions };
            (1..10).any(|step| alarm.look(step, &outputs, "sleep helps").is_some())
        };
        // Two images, or outputs of two or three values, cannot have a large rank. A single point
        // is still a collapse.
        assert!(!rings(0.4, 2) && !rings(1.0, 3) && rings(0.4, 4) && rings(0.01, 2));
    }
}
