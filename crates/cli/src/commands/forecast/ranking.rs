//! From distances and curves to a ranking with intervals, a recommendation and its pictures.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rayon::prelude::*;
use selfsame::augment::{Image, Policy, Purpose, ViewSets};
use selfsame::concentration::distance::Metric;
use selfsame::concentration::forecast::{Measures, halves, members, restrict, standard_error};
use selfsame::data::Dataset;
use selfsame::eval::shrink;
use selfsame::report::Sprite;
use selfsame::report::forecast::{
    ClassForecast, Closest, Delta, Forecast, Kind, Measured, PolicyForecast, Side,
};
use selfsame::report::record::Skipped;

use super::{NONE, PolicyMeasured, Probe, Settings};
use crate::terminal::Bar;
use selfsame::sampling::{HALF_BUDGET, HALVES, SIDE};

mod advice;

/// Distances that policies are compared at: eighths of D, the middle distance of two images of a
/// class as they are.
const EIGHTHS: u32 = 8;
/// Those of them that the table shows: the half of D and three quarters.
const SHOWN: [usize; 2] = [3, 5];
/// Images that most classes need for halves of them to say anything.
const FEWEST: usize = 10;
/// The share of a class that leaves out what is unusual.
const USUAL: f64 = 0.9;
/// Side of a picture, at most.
const PICTURE_SIDE: u32 = 48;
/// What the ranking goes by.
const ORDER: &str = "The score is gathered × (2 × separation − 1). Gathered is σ, the share of a \
                     class that comes together \
    within a distance, averaged over eight distances up to D, the middle distance of two images \
    of a class as they are; \
    2 × separation − 1 is by how much images of one class are nearer more often than images of \
    two. The score is 0 where \
    views come together because nothing is left of them, and near 0 where they stay apart. It \
    does not depend on which \
    other policies are measured.";
const SINGLE_ORDER: &str = "With a single class the ranking goes by what is gathered alone: σ, \
                            the share of the class that \
    comes together within a distance, averaged over eight distances up to D, the middle distance \
    of two images as they \
    are. A policy that erases everything would come first.";

/// All there is to rank.
pub struct Subject<'a> {
    pub dataset: &'a Dataset,
    pub probe: &'a Probe,
    pub settings: &'a Settings,
    pub policies: &'a [(String, Policy)],
    pub measured: &'a [PolicyMeasured],
    /// Images as they are.
    pub baseline: &'a PolicyMeasured,
    /// The key of D.
    pub middle: u64,
    /// The folder, as it was named.
    pub out: Option<String>,
}

/// Measures of a policy on all images and on halves of them; no halves of too few images.
struct Sampled {
    all: Measures,
    halves: Vec<Measures>,
}

impl Sampled {
    /// A measure with its interval, kept within `range`.
    fn measured(
        &self,
        of: &dyn Fn(&Measures) -> f64,
        kind: Kind,
        bound: Option<Side>,
        range: [f64; 2],
    ) -> Measured {
        let value = of(&self.all);
        let interval = self
            .error(of)
            .map(|error| [(value - error).max(range[0]), (value + error).min(range[1])]);
        // A main part that was found, but not proved the largest, bounds what is made of it.
        let kind = if bound.is_some() && kind == Kind::Exact { Kind::Bound } else { kind };
        Measured { value, kind, bound, interval }
    }

    /// Half of the width of an interval.
    fn error(&self, of: &dyn Fn(&Measures) -> f64) -> Option<f64> {
        (!self.halves.is_empty())
            .then(|| SIDE * standard_error(&self.halves.iter().map(of).collect::<Vec<_>>()))
    }
}

/// What is gathered × (2 × separation − 1); without other classes what is gathered, for nothing can
/// be seen to be lost.
fn score(measures: &Measures) -> f64 {
    measures.gathered()[0] * measures.separation.map_or(1.0, |separation| 2.0 * separation - 1.0)
}

/// On which side of the truth a score lies whose main parts are not all proved the largest.
fn score_side(measures: &Measures) -> Option<Side> {
    match measures.separation {
        Some(0.5) => None,
        Some(separation) if separation < 0.5 => lower(measures.gathered()).map(|_| Side::Upper),
        _ => lower(measures.gathered()),
    }
}

/// The side of the lower of two bounds, where they differ.
fn lower([low, high]: [f64; 2]) -> Option<Side> {
    (low < high).then_some(Side::Lower)
}

impl Subject<'_> {
    /// The forecast.
    pub fn forecast(&self) -> anyhow::Result<Forecast> {
        let share = |k| self.metric().share_of(self.middle, k, EIGHTHS);
        let keys: Vec<u64> = (1..=EIGHTHS).map(share).collect();
        let (sampled, baseline) = self.sample(&keys)?;
        let mut order: Vec<usize> = (0..self.policies.len()).collect();
        let single = self.probe.classes.len() == 1;
        order.sort_by(|&a, &b| {
            score(&sampled[b].all).total_cmp(&score(&sampled[a].all)).then(a.cmp(&b))
        });

        let mut policies: Vec<PolicyForecast> = Vec::with_capacity(order.len());
        let mut head = order[0];
        for (place, &number) in order.iter().enumerate() {
            let behind = |of: usize| self.difference(&sampled[of], &sampled[number]);
            // A rank is shared with the best policy of it as long as the interval of the difference
            // holds 0; without intervals nothing tells policies apart.
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
            let closest = self.closest(policy, measured)?;
            policies.push(PolicyForecast {
                rank,
                behind,
                closest,
                ..self.policy(name, policy, measured, &sampled[number], &keys)
            });
        }
        let baseline = self.policy(NONE, &super::none(), self.baseline, &baseline, &keys);
        let (recommended, advice) = advice::advice(&policies, &baseline, single, self.few());
        let skipped = self.dataset.skipped.iter();
        Ok(Forecast {
            selfsame: env!("CARGO_PKG_VERSION").into(),
            command: self.command(),
            dataset: self.dataset.name.clone(),
            digest: self.settings.digest.clone(),
            classes: self.probe.classes.clone(),
            assumed: self.settings.clusters.is_some(),
            space: match &self.settings.encoder {
                Some(run) if self.metric() == Metric::Floats => {
                    format!("distances of embeddings of {run}, of length 1")
                }
                _ => "distances of pixels".into(),
            },
            dim: self.measured[0].dim,
            image_size: self.dataset.image_size,
            seed: self.settings.seed,
            views: self.settings.views,
            original: self.settings.original,
            halves: if self.few() { 0 } else { HALVES },
            budget: self.settings.budget,
            order: if single { SINGLE_ORDER.into() } else { ORDER.into() },
            advice,
            recommended,
            deltas: keys.iter().enumerate().map(|(at, &key)| self.delta(key, at)).collect(),
            shown: SHOWN.to_vec(),
            policies,
            baseline: Some(baseline),
            images: self.probe.images.clone(),
            duplicates: self.duplicates(),
            training_images: self.dataset.train.len(),
            all_images: [&self.dataset.train, &self.dataset.validation, &self.dataset.test]
                .map(|s| s.len())
                .iter()
                .sum(),
            skipped: skipped
                .map(|s| Skipped { name: s.name.clone(), cause: s.cause.clone() })
                .collect(),
            notes: self.probe.notes.clone(),
            thumbs: self.thumbs()?,
        })
    }

    /// Whether most classes have too few images for halves of them to say anything.
    fn few(&self) -> bool {
        let own = members(&self.probe.labels, self.probe.classes.len());
        2 * own.iter().filter(|own| own.len() < FEWEST).count() > own.len()
    }

    /// Measures of every policy, and of images as they are, on the same halves, so that their
    /// differences are those of policies and not of images.
    fn sample(&self, keys: &[u64]) -> anyhow::Result<(Vec<Sampled>, Sampled)> {
        let (labels, classes) = (&self.probe.labels, self.probe.classes.len());
        let budget =
            self.settings.budget.map(|seconds| Duration::from_secs_f64(seconds).min(HALF_BUDGET));
        let halves = if self.few() {
            Vec::new()
        } else {
            halves(labels, classes, HALVES, self.settings.seed)
        };
        let bar = Bar::new("policies resampled");
        let sample = |measured: &PolicyMeasured| -> anyhow::Result<Sampled> {
            let half = |images: &Vec<usize>| {
                let labels: Vec<u32> = images.iter().map(|&image| labels[image]).collect();
                Measures::new(
                    &restrict(&measured.distances, images),
                    &labels,
                    classes,
                    keys,
                    budget,
                )
            };
            let mut all = Measures::new(&measured.distances, labels, classes, keys, budget)?;
            // The curves had more time.
            for (sigma, &key) in all.sigma.iter_mut().zip(keys) {
                for (sigma, curve) in sigma.iter_mut().zip(&measured.curves) {
                    let (low, high) = curve.sigma_at(key);
                    *sigma = [sigma[0].max(low), sigma[1].min(high)];
                }
            }
            Ok(Sampled { all, halves: halves.par_iter().map(half).collect::<Result<_, _>>()? })
        };
        let mut sampled = Vec::with_capacity(self.measured.len());
        for (number, measured) in self.measured.iter().enumerate() {
            bar.set(number as u64, self.measured.len() as u64 + 1, self.policies[number].0.clone());
            sampled.push(sample(measured)?);
        }
        let baseline = sample(self.baseline)?;
        bar.finish();
        Ok((sampled, baseline))
    }

    /// By how much the score of `first` is above that of `second`, on the same halves.
    fn difference(&self, first: &Sampled, second: &Sampled) -> Measured {
        let value = score(&first.all) - score(&second.all);
        let halves: Vec<f64> =
            first.halves.iter().zip(&second.halves).map(|(a, b)| score(a) - score(b)).collect();
        let error = SIDE * standard_error(&halves);
        let exact = [first, second].iter().all(|sampled| score_side(&sampled.all).is_none());
        // A difference of bounds bounds nothing.
        let kind = match self.kind() {
            Kind::Exact if !exact => Kind::Estimate,
            kind => kind,
        };
        let interval = (!halves.is_empty()).then_some([value - error, value + error]);
        Measured { value, kind, bound: None, interval }
    }

    fn kind(&self) -> Kind {
        if self.settings.clusters.is_some() { Kind::Assumed } else { Kind::Exact }
    }

    fn metric(&self) -> Metric {
        self.baseline.distances.metric
    }

    fn delta(&self, key: u64, at: usize) -> Delta {
        let delta = self.metric().distance(key);
        let levels =
            (self.metric() == Metric::Bytes).then(|| delta / (self.measured[0].dim as f64).sqrt());
        Delta { share: (at + 1) as f64 / EIGHTHS as f64, delta, levels }
    }

    /// All of a policy but its place and its nearest views.
    fn policy(
        &self,
        name: &str,
        policy: &Policy,
        measured: &PolicyMeasured,
        sampled: &Sampled,
        keys: &[u64],
    ) -> PolicyForecast {
        let all = &sampled.all;
        let sigma = |of: fn(&Measures, usize) -> [f64; 2]| -> Vec<Measured> {
            let at = |key| {
                sampled.measured(&|m| of(m, key)[0], self.kind(), lower(of(all, key)), [0.0, 1.0])
            };
            (0..keys.len()).map(at).collect()
        };
        let exact =
            |of: &dyn Fn(&Measures) -> f64| sampled.measured(of, self.kind(), None, [0.0, 1.0]);
        PolicyForecast {
            name: name.to_owned(),
            steps: steps(policy),
            toml: policy.to_toml(),
            rank: 0,
            score: sampled.measured(&score, self.kind(), score_side(all), [-1.0, 1.0]),
            behind: None,
            gathered: sampled.measured(
                &|m| m.gathered()[0],
                self.kind(),
                lower(all.gathered()),
                [0.0, 1.0],
            ),
            sigma: sigma(Measures::mean_sigma),
            least_sigma: sigma(Measures::least_sigma),
            mixed_sigma: sigma(Measures::mean_mixed),
            overlap: (0..keys.len()).map(|key| exact(&|m| m.overlap[key])).collect(),
            separation: all.separation.is_some().then(|| exact(&|m| m.separation.unwrap_or(0.5))),
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
        let own = members(&self.probe.labels, self.probe.classes.len());
        let class = |(class, own): (usize, &Vec<usize>)| {
            let curve = &measured.curves[class];
            let main = curve.omega_at(keys[SHOWN[1]]).0;
            let part = |size: usize| -> Vec<usize> {
                let witness = size
                    .checked_sub(1)
                    .map(|at| curve.points[at].witness.as_slice())
                    .unwrap_or_default();
                witness.iter().map(|&image| own[image]).collect()
            };
            let usual = part((USUAL * own.len() as f64).floor().max(1.0) as usize);
            let mut unusual: Vec<usize> =
                own.iter().copied().filter(|image| !usual.contains(image)).collect();
            // By the middle of the distances to what is usual.
            let away = |&image: &usize| {
                let mut keys: Vec<u64> =
                    usual.iter().map(|&other| measured.distances.key(image, other)).collect();
                keys.sort_unstable();
                keys.get(keys.len() / 2).copied().unwrap_or(0)
            };
            unusual.sort_by_key(|image| std::cmp::Reverse(away(image)));
            ClassForecast {
                name: self.probe.classes[class].clone(),
                images: own.len(),
                sigma: all.sigma.iter().map(|sigma| sigma[class]).collect(),
                separation: all.class_separation[class],
                curve: curve
                    .points
                    .iter()
                    .map(|p| [p.lower, p.upper].map(|key| self.metric().distance(key)))
                    .collect(),
                main_part: part(main),
                unusual,
            }
        };
        own.iter().enumerate().map(class).collect()
    }

    /// An image that is measured.
    fn image(&self, image: usize) -> Image<'_> {
        self.dataset.train.image(self.probe.images[image].index)
    }

    /// Images of the same pixels, group by group.
    fn duplicates(&self) -> Vec<Vec<usize>> {
        let mut groups: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for image in 0..self.probe.images.len() {
            groups.entry(self.image(image).pixels()).or_default().push(image);
        }
        let mut groups: Vec<Vec<usize>> =
            groups.into_values().filter(|group| group.len() > 1).collect();
        groups.sort();
        groups
    }

    /// The nearest pair of each class that differ, with its pictures.
    fn closest(&self, policy: &Policy, measured: &PolicyMeasured) -> anyhow::Result<Vec<Closest>> {
        let own = members(&self.probe.labels, self.probe.classes.len());
        let side = self.dataset.image_size;
        let mut closest = Vec::with_capacity(own.len());
        for own in own {
            let pairs = own
                .iter()
                .enumerate()
                .flat_map(|(at, &i)| own[at + 1..].iter().map(move |&j| (i, j)));
            let pairs = pairs.filter(|&(i, j)| self.image(i).pixels() != self.image(j).pixels());
            let Some((i, j)) = pairs.min_by_key(|&(i, j)| measured.distances.key(i, j)) else {
                continue;
            };
            let numbers = measured.distances.views(i, j);
            // With the image itself among them, it is number 0 and the views begin at 1.
            let shift = u32::from(self.settings.original);
            let views = numbers.map(|number| u32::from(number).checked_sub(shift));
            let picture = |image: usize, view: Option<u32>| -> Vec<u8> {
                let (index, image) = (self.probe.images[image].index as u64, self.image(image));
                let Some(view) = view else { return image.pixels().to_vec() };
                let sets = ViewSets {
                    policy,
                    purpose: Purpose::Forecast,
                    seed: self.settings.seed,
                    views: view..view + 1,
                    original: false,
                };
                sets.draw(&[(index, image)], side)
            };
            let tiles =
                [picture(i, None), picture(i, views[0]), picture(j, views[1]), picture(j, None)];
            let tiles = tiles.each_ref().map(|pixels| Image::square(side, pixels));
            closest.push(Closest {
                images: [i, j],
                views,
                delta: measured.distances.distance(i, j),
                picture: self.sprite(&tiles, 4)?,
            });
        }
        Ok(closest)
    }

    fn sprite(&self, images: &[Image<'_>], columns: u32) -> anyhow::Result<Sprite> {
        let small = shrink(images, PICTURE_SIDE);
        let side = self.dataset.image_size.min(PICTURE_SIDE);
        let small: Vec<&[u8]> = small.iter().map(|image| &**image).collect();
        Ok(Sprite::thumbnails(side, side, &small, columns)?)
    }

    fn thumbs(&self) -> anyhow::Result<Option<Sprite>> {
        let images: Vec<Image<'_>> =
            (0..self.probe.images.len()).map(|image| self.image(image)).collect();
        Ok(Some(self.sprite(&images, 25)?))
    }

    /// What makes the forecast again.
    fn command(&self) -> Vec<String> {
        let settings = self.settings;
        let mut words: Vec<String> =
            ["selfsame", "forecast", "--data", &settings.data].map(str::to_owned).into();
        let names: Vec<&str> = settings.policies.iter().map(|(name, _)| name.as_str()).collect();
        let given: BTreeMap<&str, String> = [
            ("--policies", names.join(",")),
            ("--per-class", settings.per_class.to_string()),
            ("--views", settings.views.to_string()),
            ("--image-size", settings.image_size.to_string()),
            ("--seed", settings.seed.to_string()),
        ]
        .into();
        words.extend(given.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        let optional = [
            ("--encoder", settings.encoder.clone()),
            ("--clusters", settings.clusters.map(|clusters| clusters.to_string())),
            ("--out", self.out.clone()),
            ("--budget", settings.budget.map(|budget| budget.to_string())),
        ];
        words.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some([name.to_owned(), value?]))
                .flatten(),
        );
        words.extend((!settings.original).then(|| "--no-original".to_owned()));
        words.extend(
            (settings.pixels && settings.clusters.is_some()).then(|| "--pixels".to_owned()),
        );
        words
    }
}

/// What a policy does, a word or two a step.
pub fn steps(policy: &Policy) -> Vec<String> {
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
