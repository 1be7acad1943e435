//! Measures of a step's outputs, and the alarm that notices when they collapse.

use std::collections::BTreeMap;
use std::fmt;

use burn::tensor::Tensor;
use selfsame_eval::{Error, Features, Normalised, centre, geometry, sample};
use selfsame_nn::state;

/// Outputs with a deviation below this have collapsed to one point.
const LEAST_STD: f64 = 0.05;
/// Outputs with an effective rank below this use fewer than two directions. The simple contrastive
/// loss, for one, leaves two opposite points and some noise.
const LEAST_RANK: f64 = 2.0;
/// [`LEAST_RANK`] applies only to outputs that could use this many directions: those of two images
/// never use more than two.
const DIRECTIONS: usize = 4;
/// Images that the effective rank is measured on, at most: the eigenvalues of more would take
/// longer than the step.
const RANKED: usize = 512;
/// Logged steps in a row that must look collapsed, since a single batch may be unusual.
const IN_A_ROW: usize = 5;

/// Measures of a batch of outputs.
pub(crate) struct Outputs {
    /// Values by the names under which they are logged.
    pub(crate) measures: BTreeMap<String, f64>,
    /// The largest rank that as many outputs of their width can have.
    pub(crate) directions: usize,
}

/// Measures of the two outputs of each image of a batch, `[images, dim]` each, after normalisation:
/// those of [`spread`] over all rows; `alignment` of [`geometry`]; and `r_epsilon`, the share of
/// images whose two outputs are more than `epsilon` apart. The last is a lower estimate of R_ε of
/// Huang et al. (ICLR 2023), which takes the supremum over all views.
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

/// Measures of the encoder's representations, `[images, dim]`, for methods that draw no two outputs
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

/// How far normalised outputs are spread. Over all rows: `output_std`, the root of their total
/// variance, from 0 if all coincide to 1, and `uniformity`. Over `first`, one row an image:
/// `rank_me` and `alpha_req`, measured on at most [`RANKED`] rows, spread evenly.
fn spread(all: &Features, first: &[f32]) -> Result<BTreeMap<String, f64>, Error> {
    let (rows, dim) = (Normalised(all), all.dim());
    // The alignment of all rows, as if they were views of one image, is twice their variance.
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

/// The largest inner product of two class centres of the normalised features: the divergence of
/// Huang et al. (ICLR 2023). `None` for fewer than two classes.
pub(crate) fn divergence(
    features: &Features,
    labels: &[u32],
    classes: usize,
) -> Result<Option<f64>, Error> {
    let centres = centre::fit(&Normalised(features), labels, &vec![1.0; labels.len()], classes)?;
    Ok(centres.products().reduce(f64::max))
}

/// Outputs that have collapsed to a point or a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Collapse {
    /// The step, from 1, by which they had looked so for long enough.
    pub step: u64,
    /// Deviation of the normalised outputs, from 0 if all coincide to 1.
    pub output_std: f64,
    /// Their effective rank, where it was measured.
    pub rank_me: Option<f64>,
    /// What usually helps: [`Method::remedy`](selfsame_methods::Method::remedy).
    pub remedy: &'static str,
}

/// The sentence that is shown and stored in `run.json`, without its full stop.
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
    /// Measures at the steps that earlier processes logged: they count as if training had not been
    /// interrupted.
    earlier: Vec<BTreeMap<String, f64>>,
    /// Logged steps in a row that looked collapsed, up to the last one.
    in_a_row: usize,
}

impl Alarm {
    /// An alarm that goes on from the measures at earlier logged steps.
    pub(crate) fn after(earlier: Vec<BTreeMap<String, f64>>) -> Self {
        Self { earlier, in_a_row: 0 }
    }

    /// Takes the outputs of the next logged step, and reports a collapse at the step that makes it
    /// certain. `remedy` is what usually helps.
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

        // Two opposite points are spread, but of rank 1.
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
        // Unit vectors at 0, 0.5 (an angle of 2·asin 0.25), √2 and 2 from each other's views.
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
        // Classes at (1, 0), (0, 1) and (−1, 0); the third and the first are opposite, the others
        // orthogonal.
        assert_eq!(divergence(&features, &[0, 1, 1, 2], 3).unwrap(), Some(0.0));
        assert_eq!(divergence(&features, &[0, 0, 0, 0], 1).unwrap(), None);
    }

    #[test]
    fn a_batch_too_large_for_its_rank_is_sampled() {
        let device = Device::flex();
        // Two opposite points, as far apart as can be: only the rank tells, beyond 512 images and
        // values too.
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
        // Wherever a kill breaks the course, it is one.
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
        // Two images, or outputs of two or three values; one point is a collapse all the same.
        assert!(!rings(0.4, 2) && !rings(1.0, 3) && rings(0.4, 4) && rings(0.01, 2));
    }
}
