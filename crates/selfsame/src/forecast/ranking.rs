//! Turns distances and curves into ranks with intervals.

use std::time::Duration;

use selfsame_augment::Policy;
use selfsame_concentration::curve::Curve;
use selfsame_concentration::distance::Metric;
use selfsame_concentration::forecast::{Halves, Measures, members};
use selfsame_data::Dataset;
use selfsame_report::forecast::{ClassForecast, Delta, Forecast, Measured, PolicyForecast};
use selfsame_report::record::Skipped;
use selfsame_theory::{Quantity, Side, Trust};

use super::advice::{ENOUGH, advice, recommended};
use super::measure::PolicyMeasured;
use super::probe::Probe;
use super::score::{self, at_least, score};
use super::settings::Settings;
use crate::policy::{NONE, none};
use crate::sampling::{HALF_BUDGET, HALVES};
use crate::{Error, Progress};

/// Number of distances at which policies are compared: multiples of D/8, where D is the median
/// distance between two unchanged images of a class.
const EIGHTHS: u32 = 8;
/// Indices of the multiples that the table shows: half of D and three quarters of D.
const SHOWN: [usize; 2] = [3, 5];
/// Share of a class that counts as usual.
const USUAL: f64 = 0.9;

/// Everything that is needed for a ranking.
pub struct Subject<'a> {
    pub dataset: &'a Dataset,
    pub probe: &'a Probe,
    pub settings: &'a Settings,
    pub policies: &'a [(String, Policy)],
    pub measured: &'a [PolicyMeasured],
    /// The measurements of unchanged images.
    pub baseline: &'a PolicyMeasured,
    /// The key of D.
    pub middle: u64,
}

/// Measures of a policy on all images and on halves of them. There are no halves if classes have
/// too few images.
struct Sampled<'a> {
    all: Measures,
    of_halves: Vec<Measures>,
    halves: Option<&'a Halves>,
}

impl Sampled<'_> {
    /// Returns a measure with its interval. The interval is kept within `range`.
    fn measured(
        &self,
        measure: &dyn Fn(&Measures) -> f64,
        trust: Trust,
        range: [f64; 2],
    ) -> Measured {
        let value = measure(&self.all);
        let of_halves: Vec<f64> = self.of_halves.iter().map(measure).collect();
        let interval = self.halves.and_then(|halves| halves.interval(value, &of_halves, range));
        Measured { quantity: Quantity { value, trust }, interval }
    }
}

impl Subject<'_> {
    /// Builds the forecast. The command that repeats it is added later.
    pub fn forecast(&self, progress: &mut dyn Progress) -> Result<Forecast, Error> {
        let share = |k| self.metric().share_of(self.middle, k, EIGHTHS);
        let keys: Vec<u64> = (1..=EIGHTHS).map(share).collect();
        let halves = self.halves();
        let (sampled, baseline) = self.sample(halves.as_ref(), &keys, progress)?;
        let policies = self.ranked(&sampled, &keys)?;
        let baseline = self.policy(NONE, &none()?, self.baseline, &baseline, &keys);
        let advice = advice(&policies, &baseline, self.probe.classes.len() == 1, self.few());
        let space = match (&self.settings.encoder, self.metric()) {
            (Some(encoder), Metric::Floats) => {
                format!("distances of embeddings of {encoder}, of length 1")
            }
            _ => "distances of pixels".into(),
        };
        let splits = [&self.dataset.train, &self.dataset.validation, &self.dataset.test];
        let skipped = self.dataset.skipped.iter();
        Ok(Forecast {
            selfsame: env!("CARGO_PKG_VERSION").into(),
            command: Vec::new(),
            dataset: self.dataset.name.clone(),
            digest: self.settings.digest.clone(),
            classes: self.probe.classes.clone(),
            assumed: self.settings.clusters.is_some(),
            space,
            dim: self.baseline.dim,
            image_size: self.dataset.image_size,
            source_size: self.dataset.larger_source(),
            seed: self.settings.seed,
            views: self.settings.views,
            original: self.settings.original,
            halves: if self.few() { 0 } else { HALVES },
            budget: self.settings.budget,
            order: score::of_classes(self.probe.classes.len()),
            recommended: recommended(&advice, policies.len()),
            advice: Some(advice),
            deltas: keys.iter().enumerate().map(|(index, &key)| self.delta(key, index)).collect(),
            shown: SHOWN.to_vec(),
            policies,
            baseline: Some(baseline),
            images: self.probe.images.clone(),
            duplicates: self.duplicates(),
            training_images: self.dataset.train.len(),
            all_images: splits.iter().map(|split| split.len()).sum(),
            skipped: skipped
                .map(|s| Skipped { name: s.name.clone(), cause: s.cause.clone() })
                .collect(),
            notes: self.probe.notes.clone(),
            thumbs: Some(self.thumbs()?),
        })
    }

    /// Ranks the policies by score, the best first. A policy shares the rank of the previous policy
    /// if the interval of its difference to the best policy of that rank includes 0. Without
    /// intervals, all policies share one rank.
    fn ranked(&self, sampled: &[Sampled<'_>], keys: &[u64]) -> Result<Vec<PolicyForecast>, Error> {
        let scores: Vec<f64> = sampled.iter().map(|sampled| score(&sampled.all)).collect();
        let mut order: Vec<usize> = (0..self.policies.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));

        let mut policies: Vec<PolicyForecast> = Vec::with_capacity(order.len());
        let mut head = order[0];
        for (place, &number) in order.iter().enumerate() {
            let behind = |other: usize| self.difference(&sampled[other], &sampled[number]);
            let rank = match policies.last() {
                Some(before) if behind(head).interval.is_none_or(|interval| interval[0] <= 0.0) => {
                    before.rank
                }
                _ => {
                    head = number;
                    place + 1
                }
            };
            let behind = (place > 0).then(|| behind(order[0]));
            let (name, policy) = &self.policies[number];
            let measured = &self.measured[number];
            policies.push(PolicyForecast {
                rank,
                behind,
                closest: self.closest(policy, measured)?,
                ..self.policy(name, policy, measured, &sampled[number], keys)
            });
        }
        Ok(policies)
    }

    /// Returns whether most classes have too few images for measures on halves of them to be
    /// meaningful.
    fn few(&self) -> bool {
        let classes = self.members();
        2 * classes.iter().filter(|images| images.len() < ENOUGH).count() > classes.len()
    }

    /// Returns the images of each class.
    pub fn members(&self) -> Vec<Vec<usize>> {
        members(&self.probe.labels, self.probe.classes.len())
    }

    /// Draws halves of the images, if classes have enough of them.
    fn halves(&self) -> Option<Halves> {
        let (labels, classes) = (&self.probe.labels, self.probe.classes.len());
        (!self.few()).then(|| Halves::draw(labels, classes, HALVES, self.settings.seed))
    }

    /// Measures every policy, and unchanged images, on the same halves, so that differences are due
    /// to the policies and not to the images.
    fn sample<'h>(
        &self,
        halves: Option<&'h Halves>,
        keys: &[u64],
        progress: &mut dyn Progress,
    ) -> Result<(Vec<Sampled<'h>>, Sampled<'h>), Error> {
        let total = self.measured.len() as u64 + 1;
        let mut sampled = Vec::with_capacity(self.measured.len());
        for (number, measured) in self.measured.iter().enumerate() {
            progress.advance("policies resampled", number as u64, total, &self.policies[number].0);
            sampled.push(self.sample_one(measured, halves, keys)?);
        }
        let baseline = self.sample_one(self.baseline, halves, keys)?;
        progress.finish();
        Ok((sampled, baseline))
    }

    fn sample_one<'h>(
        &self,
        measured: &PolicyMeasured,
        halves: Option<&'h Halves>,
        keys: &[u64],
    ) -> Result<Sampled<'h>, Error> {
        let (labels, classes) = (&self.probe.labels, self.probe.classes.len());
        let budget =
            self.settings.budget.map(|seconds| Duration::from_secs_f64(seconds).min(HALF_BUDGET));
        let mut all = Measures::new(&measured.distances, labels, classes, keys, budget)?;
        // Prefer the curves, because they had more time for their proofs.
        for (sigma, &key) in all.sigma.iter_mut().zip(keys) {
            for (sigma, curve) in sigma.iter_mut().zip(&measured.curves) {
                let (low, high) = curve.sigma_at(key);
                *sigma = sigma.map(|sigma| [sigma[0].max(low), sigma[1].min(high)]);
            }
        }
        let of_halves = halves
            .map(|halves| halves.measures(&measured.distances, labels, classes, keys, budget))
            .transpose()?
            .unwrap_or_default();
        Ok(Sampled { all, of_halves, halves })
    }

    /// Computes by how much the score of `first` exceeds the score of `second`, on the same halves.
    fn difference(&self, first: &Sampled<'_>, second: &Sampled<'_>) -> Measured {
        let value = score(&first.all) - score(&second.all);
        let pairs = first.of_halves.iter().zip(&second.of_halves);
        let of_halves: Vec<f64> = pairs.map(|(a, b)| score(a) - score(b)).collect();
        let range = [f64::NEG_INFINITY, f64::INFINITY];
        let interval = first.halves.and_then(|halves| halves.interval(value, &of_halves, range));
        let bounds = [first, second].iter().any(|sampled| score::side(&sampled.all).is_some());
        let trust = match self.trust(None) {
            // The difference of two bounds is not a bound.
            Trust::Exact if bounds => Trust::Estimate {
                low: interval.map(|[low, _]| low),
                high: interval.map(|[_, high]| high),
                method: "difference of two bounds; 95% by a delete-half jackknife".into(),
                sample: self.probe.images.len(),
            },
            trust => trust,
        };
        Measured { quantity: Quantity { value, trust }, interval }
    }

    /// Returns the trust in a number of the measured images and views: assumed if the classes are
    /// assumed; otherwise exact, or a bound if only the side of the true value is known.
    fn trust(&self, side: Option<Side>) -> Trust {
        let that = match side {
            _ if self.settings.clusters.is_none() => {
                return side.map_or(Trust::Exact, |side| Trust::Bound { side });
            }
            None => "the clusters are the classes",
            Some(Side::AtLeast) => "the clusters are the classes; of them, it is a lower bound",
            Some(Side::AtMost) => "the clusters are the classes; of them, it is an upper bound",
        };
        Trust::Assumed { that: that.into() }
    }

    fn metric(&self) -> Metric {
        self.baseline.distances.metric
    }

    fn delta(&self, key: u64, index: usize) -> Delta {
        let delta = self.metric().distance(key);
        let pixels = self.metric() == Metric::Bytes;
        let levels = pixels.then(|| delta / (self.baseline.dim as f64).sqrt());
        Delta { share: (index + 1) as f64 / EIGHTHS as f64, delta, levels }
    }

    /// Collects the numbers of a policy, without its rank and its nearest views.
    fn policy(
        &self,
        name: &str,
        policy: &Policy,
        measured: &PolicyMeasured,
        sampled: &Sampled<'_>,
        keys: &[u64],
    ) -> PolicyForecast {
        let all = &sampled.all;
        let share = |measure: &dyn Fn(&Measures) -> f64, side| {
            sampled.measured(measure, self.trust(side), [0.0, 1.0])
        };
        let sigma = |bounds: fn(&Measures, usize) -> [f64; 2]| -> Vec<Measured> {
            let at = |key| share(&|m| bounds(m, key)[0], at_least(bounds(all, key)));
            (0..keys.len()).map(at).collect()
        };
        PolicyForecast {
            name: name.to_owned(),
            steps: steps(policy),
            toml: policy.to_toml(),
            rank: 0,
            score: sampled.measured(&score, self.trust(score::side(all)), score::RANGE),
            behind: None,
            gathered: share(&|m| m.gathered()[0], at_least(all.gathered())),
            sigma: sigma(Measures::mean_sigma),
            least_sigma: sigma(Measures::least_sigma),
            overlap: (0..keys.len()).map(|key| share(&|m| m.overlap[key], None)).collect(),
            separation: all
                .separation
                .is_some()
                .then(|| share(&|m| m.separation.unwrap_or(0.5), None)),
            classes: self.classes(measured, all, keys),
            closest: Vec::new(),
        }
    }

    fn classes(
        &self,
        measured: &PolicyMeasured,
        all: &Measures,
        keys: &[u64],
    ) -> Vec<ClassForecast> {
        let class = |(class, images): (usize, Vec<usize>)| {
            let curve = &measured.curves[class];
            let main = curve.omega_at(keys[SHOWN[1]]).0;
            let usual = (USUAL * images.len() as f64).floor().max(1.0) as usize;
            let usual = part(curve, usual, &images);
            let bounds = |lower, upper| [lower, upper].map(|key| self.metric().distance(key));
            ClassForecast {
                name: self.probe.classes[class].clone(),
                images: images.len(),
                sigma: all.sigma.iter().filter_map(|sigma| sigma[class]).collect(),
                separation: all.class_separation[class],
                curve: curve.points.iter().map(|p| bounds(p.lower, p.upper)).collect(),
                main_part: part(curve, main, &images),
                unusual: unusual(measured, &images, &usual),
            }
        };
        self.members().into_iter().enumerate().map(class).collect()
    }
}

/// Returns the first `size` `images` of a class that come together.
fn part(curve: &Curve, size: usize, images: &[usize]) -> Vec<usize> {
    let witness = size.checked_sub(1).map(|index| curve.points[index].witness.as_slice());
    witness.unwrap_or_default().iter().map(|&image| images[image]).collect()
}

/// Returns the images of a class that are not among the `usual` ones, sorted by their median
/// distance to the usual images, the most distant first.
fn unusual(measured: &PolicyMeasured, images: &[usize], usual: &[usize]) -> Vec<usize> {
    let mut unusual: Vec<usize> =
        images.iter().copied().filter(|image| !usual.contains(image)).collect();
    let away = |&image: &usize| {
        let mut keys: Vec<u64> =
            usual.iter().map(|&other| measured.distances.key(image, other)).collect();
        keys.sort_unstable();
        keys.get(keys.len() / 2).copied().unwrap_or(0)
    };
    unusual.sort_by_key(|image| std::cmp::Reverse(away(image)));
    unusual
}

/// Describes what a policy does to an image: one or two words per step.
fn steps(policy: &Policy) -> Vec<String> {
    let config = policy.config();
    let steps = [
        ("crop", config.crop.is_some()),
        ("padding crop", config.pad_crop.is_some()),
        ("rotation", config.rotation.is_some()),
        ("flip", config.flip.is_some()),
        ("vertical flip", config.vertical_flip.is_some()),
        ("colour", config.jitter.is_some()),
        ("grey", config.grey.is_some()),
        ("blur", config.blur.is_some()),
        ("solarise", config.solarise.is_some()),
    ];
    steps.into_iter().filter(|(_, present)| *present).map(|(name, _)| name.to_owned()).collect()
}
