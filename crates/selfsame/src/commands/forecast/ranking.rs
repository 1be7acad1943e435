//! From distances and curves to a ranking with intervals, a recommendation and its pictures.

use std::collections::BTreeMap;
use std::time::Duration;

use rayon::prelude::*;
use selfsame::augment::{Policy, Scratch, Source, ViewKey};
use selfsame::concentration::forecast::{Measures, halves, members, restrict, standard_error};
use selfsame::concentration::pair_index;
use selfsame::data::Dataset;
use selfsame::eval::shrink;
use selfsame::report::Sprite;
use selfsame::report::forecast::{ClassForecast, Closest, Delta, Forecast, Kind, Measured, PolicyForecast};

use super::{PolicyMeasured, Probe, Settings};
use crate::terminal::Bar;

/// Shares of a class that the middle policy reaches at the distances all are compared at.
const LEVELS: [f64; 2] = [0.25, 0.5];
/// Halves of the images that intervals come from.
const HALVES: usize = 40;
/// Standard errors on either side that hold 95 % of a normal distribution.
const SIDE: f64 = 1.96;
/// Seconds that one clique of a half may take where curves have a limit: a clique is then nearly always found, and only
/// its proof missing.
const HALF_BUDGET: f64 = 0.1;
/// The share of a class that leaves out what is unusual.
const USUAL: f64 = 0.9;
/// Side of a picture, at most.
const PICTURE_SIDE: u32 = 48;
/// What the ranking goes by.
const ORDER: &str = "The score is σ × (2 × separation − 1) at the larger distance: the share of a class that comes \
    together, times by how much images of one class are nearer more often than images of two. It is 0 where views come \
    together because nothing is left of them, and near 0 where views stay apart.";

/// All there is to rank.
pub struct Subject<'a> {
    pub dataset: &'a Dataset,
    pub probe: &'a Probe,
    pub settings: &'a Settings,
    pub policies: &'a [(String, Policy)],
    pub measured: &'a [PolicyMeasured],
}

/// Measures of a policy on all images and on halves of them.
struct Sampled {
    all: Measures,
    halves: Vec<Measures>,
}

impl Sampled {
    /// A measure with its interval, kept within `range`.
    fn measured(&self, of: &dyn Fn(&Measures) -> f64, kind: Kind, range: [f64; 2]) -> Measured {
        let value = of(&self.all);
        let error = SIDE * standard_error(&self.halves.iter().map(of).collect::<Vec<_>>());
        Measured { value, kind, interval: [(value - error).max(range[0]), (value + error).min(range[1])] }
    }
}

/// σ × (2 × separation − 1), at the last distance.
fn score(measures: &Measures) -> f64 {
    let sigma = measures.mean_sigma(LEVELS.len() - 1)[0];
    sigma * measures.separation.map_or(0.0, |separation| 2.0 * separation - 1.0)
}

impl Subject<'_> {
    /// The forecast.
    pub fn forecast(&self) -> anyhow::Result<Forecast> {
        let keys: Vec<u64> = LEVELS.iter().map(|&level| self.common_key(level)).collect();
        let sampled = self.sample(&keys)?;
        let mut order: Vec<usize> = (0..self.policies.len()).collect();
        // Without other classes nothing can be seen to be lost, and the nearest views are all there is to go by.
        let single = self.probe.classes.len() == 1;
        let by = |measures: &Measures| if single { measures.mean_sigma(LEVELS.len() - 1)[0] } else { score(measures) };
        order.sort_by(|&a, &b| by(&sampled[b].all).total_cmp(&by(&sampled[a].all)).then(a.cmp(&b)));

        let mut policies: Vec<PolicyForecast> = Vec::with_capacity(order.len());
        let mut head = order[0];
        for (place, &number) in order.iter().enumerate() {
            let behind = |of: usize| difference(&sampled[of], &sampled[number], &by, self.kind());
            // A rank is shared with the best policy of it as long as the interval of the difference holds 0.
            let rank = match policies.last() {
                Some(before) if behind(head).interval[0] <= 0.0 => before.rank,
                _ => {
                    head = number;
                    place + 1
                }
            };
            let behind = (place > 0).then(|| behind(order[0]));
            policies.push(PolicyForecast { rank, behind, ..self.policy(number, &sampled[number], &keys, &by)? });
        }
        let (recommended, advice) = self.advice(&policies, single);
        let single_order = "With a single class the ranking goes by σ alone: the share of the class that comes together \
            at the larger distance. A policy that erases everything would come first.";
        Ok(Forecast {
            selfsame: env!("CARGO_PKG_VERSION").into(),
            command: self.command(),
            dataset: self.dataset.name.clone(),
            digest: self.settings.digest.clone(),
            classes: self.probe.classes.clone(),
            assumed: self.settings.clusters.is_some(),
            space: match &self.settings.encoder {
                Some(run) if !self.settings.pixels => format!("distances of embeddings of {run}, of length 1"),
                _ => "distances of pixels".into(),
            },
            dim: self.measured[0].dim,
            image_size: self.dataset.image_size,
            seed: self.settings.seed,
            views: self.settings.views,
            original: self.settings.original,
            halves: HALVES,
            budget: self.settings.budget,
            order: if single { single_order.into() } else { ORDER.into() },
            advice,
            recommended,
            deltas: keys.iter().zip(LEVELS).map(|(&key, level)| self.delta(key, level)).collect(),
            policies,
            images: self.probe.images.clone(),
            notes: self.probe.notes.clone(),
            thumbs: self.thumbs()?,
        })
    }

    /// The key at which the middle policy's middle class reaches this share; of an even number the lower middle.
    fn common_key(&self, level: f64) -> u64 {
        let middle = |mut keys: Vec<u64>| {
            keys.sort_unstable();
            keys[(keys.len() - 1) / 2]
        };
        let of_policy = |measured: &PolicyMeasured| {
            let reached = |points: usize| ((level * points as f64).ceil() as usize).clamp(2, points) - 1;
            middle(measured.curves.iter().map(|curve| curve.points[reached(curve.points.len())].upper).collect())
        };
        middle(self.measured.iter().map(of_policy).collect())
    }

    /// Measures of every policy on the same halves, so that their differences are those of policies and not of images.
    fn sample(&self, keys: &[u64]) -> anyhow::Result<Vec<Sampled>> {
        let (labels, classes) = (&self.probe.labels, self.probe.classes.len());
        let seconds = self.settings.budget;
        let whole = seconds.map(Duration::from_secs_f64);
        let halved = seconds.map(|seconds| Duration::from_secs_f64(seconds.min(HALF_BUDGET)));
        let halves = halves(labels, classes, HALVES, self.settings.seed);
        let bar = Bar::new("policies resampled");
        let mut sampled = Vec::with_capacity(self.measured.len());
        for (number, measured) in self.measured.iter().enumerate() {
            bar.set(number as u64, self.measured.len() as u64, self.policies[number].0.clone());
            let half = |images: &Vec<usize>| {
                let labels: Vec<u32> = images.iter().map(|&image| labels[image]).collect();
                Measures::new(&restrict(&measured.distances, images), &labels, classes, keys, halved)
            };
            sampled.push(Sampled {
                all: Measures::new(&measured.distances, labels, classes, keys, whole)?,
                halves: halves.par_iter().map(half).collect::<Result<_, _>>()?,
            });
        }
        bar.finish();
        Ok(sampled)
    }

    fn kind(&self) -> Kind {
        if self.settings.clusters.is_some() { Kind::Assumed } else { Kind::Exact }
    }

    fn distance(&self, key: u64) -> f64 {
        let squared = if self.settings.pixels { key as f64 } else { f64::from(f32::from_bits(key as u32)) };
        squared.sqrt()
    }

    fn delta(&self, key: u64, level: f64) -> Delta {
        let delta = self.distance(key);
        let levels = self.settings.pixels.then(|| delta / (self.measured[0].dim as f64).sqrt());
        Delta { level, delta, levels }
    }

    fn policy(
        &self,
        number: usize,
        sampled: &Sampled,
        keys: &[u64],
        by: &dyn Fn(&Measures) -> f64,
    ) -> anyhow::Result<PolicyForecast> {
        let (name, policy) = &self.policies[number];
        let measured = &self.measured[number];
        // A main part that was found, but not proved the largest, bounds σ from below and 1 − σ from above.
        let bounded = |[low, high]: [f64; 2]| match self.kind() {
            Kind::Exact if low < high => Kind::Bound,
            kind => kind,
        };
        let spread = |of: fn(&Measures, usize) -> [f64; 2]| -> Vec<Measured> {
            let at = |key| sampled.measured(&|m| 1.0 - of(m, key)[0], bounded(of(&sampled.all, key)), [0.0, 1.0]);
            (0..keys.len()).map(at).collect()
        };
        let has_separation = sampled.all.separation.is_some();
        Ok(PolicyForecast {
            name: name.clone(),
            steps: steps(policy),
            toml: policy.to_toml(),
            rank: 0,
            score: sampled.measured(by, bounded(sampled.all.mean_sigma(keys.len() - 1)), [-1.0, 1.0]),
            behind: None,
            spread: spread(Measures::mean_sigma),
            most_spread: spread(Measures::least_sigma),
            mixed_spread: spread(Measures::mean_mixed),
            overlap: (0..keys.len())
                .map(|key| sampled.measured(&|m| m.overlap[key], self.kind(), [0.0, 1.0]))
                .collect(),
            separation: has_separation
                .then(|| sampled.measured(&|m| m.separation.unwrap_or(0.5), self.kind(), [0.0, 1.0])),
            classes: self.classes(measured, &sampled.all, keys),
            closest: self.closest(policy, measured)?,
        })
    }

    fn classes(&self, measured: &PolicyMeasured, all: &Measures, keys: &[u64]) -> Vec<ClassForecast> {
        let own = members(&self.probe.labels, self.probe.classes.len());
        let class = |(class, own): (usize, &Vec<usize>)| {
            let curve = &measured.curves[class];
            let main = curve.omega_at(keys[keys.len() - 1]).0;
            let part = |size: usize| -> Vec<usize> {
                let witness = size.checked_sub(1).map(|at| curve.points[at].witness.as_slice()).unwrap_or_default();
                witness.iter().map(|&image| own[image]).collect()
            };
            let usual = part((USUAL * own.len() as f64).floor().max(1.0) as usize);
            let mut unusual: Vec<usize> = own.iter().copied().filter(|image| !usual.contains(image)).collect();
            // By the middle of the distances to what is usual.
            let away = |&image: &usize| {
                let mut keys: Vec<u64> = usual.iter().map(|&other| measured.distances.key(image, other)).collect();
                keys.sort_unstable();
                keys.get(keys.len() / 2).copied().unwrap_or(0)
            };
            unusual.sort_by_key(|image| std::cmp::Reverse(away(image)));
            ClassForecast {
                name: self.probe.classes[class].clone(),
                images: own.len(),
                sigma: all.sigma.iter().map(|sigma| sigma[class]).collect(),
                separation: all.class_separation[class],
                curve: curve.points.iter().map(|p| [p.lower, p.upper].map(|key| self.distance(key))).collect(),
                main_part: part(main),
                unusual,
            }
        };
        own.iter().enumerate().map(class).collect()
    }

    /// The nearest pair of each class, with its pictures.
    fn closest(&self, policy: &Policy, measured: &PolicyMeasured) -> anyhow::Result<Vec<Closest>> {
        let own = members(&self.probe.labels, self.probe.classes.len());
        let side = self.dataset.image_size;
        let mut closest = Vec::with_capacity(own.len());
        for own in own {
            let pairs = own.iter().enumerate().flat_map(|(at, &i)| own[at + 1..].iter().map(move |&j| (i, j)));
            let Some((i, j)) = pairs.min_by_key(|&(i, j)| measured.distances.key(i, j)) else { continue };
            let numbers = measured.distances.pairs[pair_index(measured.distances.n, i, j)];
            // With the image itself among them, it is number 0 and the views begin at 1.
            let shift = u32::from(self.settings.original);
            let views = numbers.map(|number| u32::from(number).checked_sub(shift));
            let picture = |image: usize, view: Option<u32>| -> anyhow::Result<Vec<u8>> {
                let index = self.probe.images[image].index;
                let pixels = self.dataset.train.image(index).pixels;
                let Some(view) = view else { return Ok(pixels.to_vec()) };
                let mut into = vec![0; pixels.len()];
                let key = ViewKey { seed: self.settings.seed, image: index as u64, epoch: 0, view };
                policy.view(key, Source::new(side, side, pixels)?, side, &mut Scratch::default(), &mut into)?;
                Ok(into)
            };
            let tiles = [picture(i, None)?, picture(i, views[0])?, picture(j, views[1])?, picture(j, None)?];
            closest.push(Closest {
                images: [i, j],
                views,
                delta: self.distance(measured.distances.key(i, j)),
                picture: self.sprite(&tiles.each_ref().map(Vec::as_slice), 4)?,
            });
        }
        Ok(closest)
    }

    fn sprite(&self, images: &[&[u8]], columns: u32) -> anyhow::Result<Sprite> {
        let small = shrink(images, self.dataset.image_size, PICTURE_SIDE);
        let side = self.dataset.image_size.min(PICTURE_SIDE);
        let small: Vec<&[u8]> = small.iter().map(|image| &**image).collect();
        Ok(Sprite::thumbnails(side, side, &small, columns)?)
    }

    fn thumbs(&self) -> anyhow::Result<Option<Sprite>> {
        let images: Vec<&[u8]> =
            self.probe.images.iter().map(|image| self.dataset.train.image(image.index).pixels).collect();
        Ok(Some(self.sprite(&images, 25)?))
    }

    /// Which policy to take, and why.
    fn advice(&self, policies: &[PolicyForecast], single: bool) -> (Option<usize>, Vec<String>) {
        let best = &policies[0];
        let name = &best.name;
        if single {
            let sentence = format!(
                "{name} draws most of the class together; whether anything is left of it, one class cannot tell."
            );
            return (None, vec![sentence]);
        }
        if best.score.interval[0] <= 0.0 {
            let why = "Of none do the nearest views of one class lie nearer than those of two by more than chance explains. \
                More images a class (--per-class) narrow the intervals; embeddings of a trained encoder (--encoder) see \
                more than pixels do.";
            return (None, vec!["No policy is recommended.".into(), why.into()]);
        }
        let doing = if best.steps.is_empty() { String::new() } else { format!(" ({})", best.steps.join(", ")) };
        let reach = 100.0 * (1.0 - best.spread[LEVELS.len() - 1].value);
        let separation = 100.0 * best.separation.map_or(0.5, |separation| separation.value);
        let brings = format!(
            "at the larger distance it brings {reach:.0} % of a class together, and {separation:.1} % of the time images of \
             one class stay nearer than images of two, where chance is 50 %."
        );
        let tied: Vec<&str> = policies[1..].iter().filter(|p| p.rank == best.rank).map(|p| p.name.as_str()).collect();
        if tied.is_empty() {
            return (Some(0), vec![format!("Take {name}{doing}."), format!("Why {name}: {brings}")]);
        }
        let verdict = match tied.len() + 1 == policies.len() {
            true => format!("{name}{doing} leads, but these images tell no policy from another."),
            false => format!("Take {name}{doing}."),
        };
        let tied = format!(
            "Tied with it, since the interval of the difference holds 0: {}. More images a class (--per-class) tell them \
             apart.",
            tied.join(", ")
        );
        let advice = vec![verdict, format!("Why {name}: {brings}"), tied];
        (Some(0), advice)
    }

    /// What makes the forecast again.
    fn command(&self) -> Vec<String> {
        let settings = self.settings;
        let mut words: Vec<String> = ["selfsame", "forecast", "--data", &settings.data].map(str::to_owned).into();
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
            ("--budget", settings.budget.map(|budget| budget.to_string())),
        ];
        words.extend(optional.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten());
        words.extend((!settings.original).then(|| "--no-original".to_owned()));
        words.extend((settings.pixels && settings.clusters.is_some()).then(|| "--pixels".to_owned()));
        words
    }
}

/// What a policy does, a word or two a step.
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

/// By how much `first` is above `second`, on the same halves.
fn difference(first: &Sampled, second: &Sampled, by: &dyn Fn(&Measures) -> f64, kind: Kind) -> Measured {
    let value = by(&first.all) - by(&second.all);
    let halves: Vec<f64> = first.halves.iter().zip(&second.halves).map(|(a, b)| by(a) - by(b)).collect();
    let error = SIDE * standard_error(&halves);
    Measured { value, kind, interval: [value - error, value + error] }
}
