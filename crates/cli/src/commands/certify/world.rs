//! The finite world that a certificate is of: embeddings of all views, labels, and distances of
//! pixels.

use std::borrow::Cow;
use std::time::Duration;

use rayon::prelude::*;
use selfsame::augment::PolicyConfig;
use selfsame::concentration::curve::Curve;
use selfsame::concentration::distance::Distances;
use selfsame::concentration::forecast::members;
use selfsame::concentration::pair_index;
use selfsame::report::certificate::least_product;
use selfsame::theory::bounds::certificate::{Class, MainPart, World};
use selfsame::theory::measure::Diameters;
use selfsame::theory::{Error, Labels, Views};

/// Embeddings of the views of some images, and what is known of the images.
pub struct Sample {
    /// `[image][view][value]`.
    pub values: Vec<f32>,
    pub images: usize,
    pub views: usize,
    pub dim: usize,
    pub labels: Option<Labels>,
    /// Names of the classes that have images.
    pub classes: Vec<String>,
    /// Seed of what is drawn at random from the sample.
    pub seed: u64,
    pub pixels: Option<Pixels>,
}

/// The images themselves, as far as the theory asks for them.
pub struct Pixels {
    /// Squared, between all images.
    pub distances: Distances,
    /// Of each class.
    pub curves: Vec<Curve>,
    /// How long the proof of each might take.
    pub budget: Option<Duration>,
    /// For each image, the distance of each view to the first.
    pub to_first: Vec<f64>,
    /// Bytes of a view.
    pub dim: usize,
    pub parameters: Parameters,
}

/// What a policy draws of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// Combinations of what is either done or not.
    pub discrete: u32,
    /// Numbers.
    pub continuous: u32,
}

impl Parameters {
    pub fn of(policy: &PolicyConfig) -> Self {
        let numbers = [
            // Area, shape and place of the box.
            (policy.crop.is_some(), 4),
            (policy.pad_crop.is_some(), 2),
            (policy.rotation.is_some(), 1),
            // Brightness, contrast, saturation and hue.
            (policy.jitter.is_some(), 4),
            (policy.blur.is_some(), 1),
        ];
        let choices = [
            (policy.flip.is_some(), 2),
            (policy.vertical_flip.is_some(), 2),
            (policy.grey.is_some(), 2),
            (policy.solarise.is_some(), 2),
            // The order of the four.
            (policy.jitter.is_some(), 24),
        ];
        Self {
            discrete: choices.into_iter().filter(|(done, _)| *done).map(|(_, of)| of).product(),
            continuous: numbers.into_iter().filter(|(done, _)| *done).map(|(_, of)| of).sum(),
        }
    }
}

/// ‖f(a) − f(b)‖ of two rows.
pub fn apart(views: &Views<'_>, a: usize, b: usize) -> f64 {
    let (mut first, mut second) = (vec![0.0; views.dim()], vec![0.0; views.dim()]);
    views.read(a, &mut first);
    views.read(b, &mut second);
    first.iter().zip(&second).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// How far apart f puts the closest views of each pair of images, packed as the distances are.
pub fn gaps(views: &Views<'_>, distances: &Distances) -> Vec<f64> {
    let (n, m) = (distances.n, views.views());
    let row = |i: usize| {
        let of_pair = move |j: usize| {
            let [u, v] = distances.pairs[pair_index(n, i, j)].map(usize::from);
            apart(views, i * m + u, j * m + v)
        };
        (i + 1..n).map(of_pair)
    };
    (0..n).into_par_iter().flat_map_iter(row).collect()
}

/// What the error bound is made of.
#[derive(Clone)]
pub struct Ingredients {
    /// All μ_k·μ_ℓ.
    pub products: Vec<f64>,
    pub classes: Vec<Class>,
}

impl Ingredients {
    pub fn new(
        products: &[f64],
        labels: &Labels,
        diameters: &[f64],
        pixels: &Pixels,
        gaps: &[f64],
    ) -> Result<Self, Error> {
        let own = members(labels.of_image(), labels.classes());
        let class = |((own, curve), diameters): ((&Vec<usize>, &Curve), Vec<f64>)| Class {
            main_parts: main_parts(&points(own, curve, pixels.distances.n, gaps)),
            diameters,
        };
        let classes =
            own.iter().zip(&pixels.curves).zip(labels.split(diameters)?).map(class).collect();
        Ok(Self { products: products.to_vec(), classes })
    }

    pub fn world(&self) -> Result<World, Error> {
        World::new(1.0, &self.products, self.classes.clone())
    }

    /// The same with all views of an image in one point.
    pub fn aligned(&self) -> Self {
        let class =
            |class: &Class| Class { diameters: vec![0.0; class.diameters.len()], ..class.clone() };
        Self { classes: self.classes.iter().map(class).collect(), ..self.clone() }
    }

    /// The same with the centres of classes, of the lengths they have, in directions as far apart
    /// as `dim` dimensions allow.
    pub fn divergent(&self, dim: usize) -> Self {
        let k = self.classes.len();
        let least = least_product(k, dim);
        let length = |class: usize| self.products[class * k + class].max(0.0).sqrt();
        let product = |at: usize| match (at / k, at % k) {
            (a, b) if a == b => self.products[at],
            (a, b) => length(a) * length(b) * least,
        };
        Self { products: (0..k * k).map(product).collect(), ..self.clone() }
    }

    /// The same with a view that all images of a class share.
    pub fn concentrated(&self) -> Self {
        let class = |class: &Class| Class {
            main_parts: vec![MainPart { delta: 0.0, images: class.diameters.len(), gap: 0.0 }],
            ..class.clone()
        };
        Self { classes: self.classes.iter().map(class).collect(), ..self.clone() }
    }

    /// What ρ of the printed theorem is made of at δ and ε: 2(1 − σ), R_ε/min p, σ × gap and 2σε.
    pub fn parts(&self, delta: f64, epsilon: f64, sigma: f64, outside: f64) -> [f64; 4] {
        let reached = |class: &Class| {
            class.main_parts.iter().rfind(|part| part.delta <= delta).map(|part| part.gap)
        };
        let gap = self.classes.iter().filter_map(reached).fold(0.0, f64::max);
        let images = |class: &Class| class.diameters.len();
        let all: usize = self.classes.iter().map(images).sum();
        let least_mass = self.classes.iter().map(images).min().unwrap_or(all) as f64 / all as f64;
        [2.0 * (1.0 - sigma), outside / least_mass, sigma * gap, 2.0 * sigma * epsilon]
    }

    /// The δ and ε at which ρ is least among those where main parts hold half of every class, and
    /// its parts there.
    ///
    /// Without that limit it would be least, and say nothing, where each main part is a single
    /// image.
    pub fn least(&self) -> (f64, f64, [f64; 4]) {
        let diameters =
            Diameters::new(self.classes.iter().flat_map(|class| class.diameters.clone()).collect());
        let mut deltas: Vec<f64> = self
            .classes
            .iter()
            .flat_map(|class| class.main_parts.iter().map(|part| part.delta))
            .collect();
        deltas.sort_by(f64::total_cmp);
        deltas.dedup();
        let sigma = |delta: f64| {
            let share = |class: &Class| {
                let part = class.main_parts.iter().rfind(|part| part.delta <= delta);
                part.map_or(0.0, |part| part.images as f64 / class.diameters.len() as f64)
            };
            self.classes.iter().map(share).fold(1.0, f64::min)
        };
        // Some hundred of either tell the largest part well enough.
        let some = |values: &[f64]| -> Vec<f64> {
            let step = values.len().div_ceil(200).max(1);
            values.iter().copied().step_by(step).chain(values.last().copied()).collect()
        };
        let deltas: Vec<(f64, f64)> = deltas.iter().map(|&delta| (delta, sigma(delta))).collect();
        let half: Vec<f64> =
            deltas.iter().filter(|(_, sigma)| *sigma >= 0.5).map(|(delta, _)| *delta).collect();
        let epsilons = some(diameters.sorted());
        let at = |delta: f64| {
            let sigma = sigma(delta);
            epsilons.iter().map(move |&epsilon| (delta, epsilon, sigma))
        };
        let found = some(&half).into_iter().flat_map(at).map(|(delta, epsilon, sigma)| {
            (delta, epsilon, self.parts(delta, epsilon, sigma, diameters.share_above(epsilon)))
        });
        let rho = |parts: &[f64; 4]| parts.iter().sum::<f64>();
        found.min_by(|a, b| rho(&a.2).total_cmp(&rho(&b.2))).unwrap_or_default()
    }
}

/// For k = 1, 2, … images of a class: bounds of the smallest δ at which so many lie pairwise within
/// reach, and the largest gap between the closest views of those that do at the upper one.
pub fn points(own: &[usize], curve: &Curve, images: usize, gaps: &[f64]) -> Vec<[f64; 3]> {
    let largest = |witness: &[usize]| {
        let pairs = witness
            .iter()
            .enumerate()
            .flat_map(|(at, &i)| witness[at + 1..].iter().map(move |&j| (i, j)));
        pairs.map(|(i, j)| gaps[pair_index(images, own[i], own[j])]).fold(0.0, f64::max)
    };
    let points = curve.points.iter();
    points
        .map(|p| [(p.lower as f64).sqrt(), (p.upper as f64).sqrt(), largest(&p.witness)])
        .collect()
}

/// The steps of a curve: of equal δ the one with most images.
fn main_parts(points: &[[f64; 3]]) -> Vec<MainPart> {
    let mut parts: Vec<MainPart> = Vec::with_capacity(points.len());
    for (at, &[_, delta, gap]) in points.iter().enumerate() {
        parts.pop_if(|part| part.delta == delta);
        parts.push(MainPart { delta, images: at + 1, gap });
    }
    parts
}

/// The embeddings without the coordinates that are the same in all rows, and how many those are: a
/// channel that is never active has no second moment to be scaled by.
pub fn without_constants(sample: &Sample) -> (Cow<'_, [f32]>, usize) {
    let mut varies = vec![false; sample.dim];
    let first = &sample.values[..sample.dim];
    for row in sample.values.chunks_exact(sample.dim) {
        varies
            .iter_mut()
            .zip(row)
            .zip(first)
            .for_each(|((varies, value), first)| *varies |= value != first);
    }
    let kept = varies.iter().filter(|varies| **varies).count();
    if kept == sample.dim {
        return (Cow::Borrowed(&sample.values), kept);
    }
    let rows = sample.values.chunks_exact(sample.dim);
    let values = rows.flat_map(|row| {
        row.iter().zip(&varies).filter(|(_, varies)| **varies).map(|(value, _)| *value)
    });
    (Cow::Owned(values.collect()), kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_distances_the_largest_main_part_stands() {
        let parts = main_parts(&[
            [0.0, 0.0, 0.0],
            [0.0, 0.0, 0.3],
            [1.0, 2.0, 0.4],
            [2.0, 2.0, 0.5],
            [3.0, 3.0, 0.1],
        ]);
        let found: Vec<(f64, usize, f64)> =
            parts.iter().map(|part| (part.delta, part.images, part.gap)).collect();
        assert_eq!(found, [(0.0, 2, 0.3), (2.0, 4, 0.5), (3.0, 5, 0.1)]);
    }

    #[test]
    fn rho_is_least_where_its_parts_are() {
        let part = |delta, images, gap| MainPart { delta, images, gap };
        let class = |diameters: [f64; 4]| Class {
            main_parts: vec![part(0.0, 1, 0.0), part(1.0, 2, 0.1), part(3.0, 4, 0.2)],
            diameters: diameters.to_vec(),
        };
        let classes = vec![class([0.1; 4]), class([0.1, 0.1, 0.1, 0.9])];
        let ingredients = Ingredients { products: vec![1.0, 0.0, 0.0, 1.0], classes };
        // With all images in main parts: R_ε = 1/8 over a mass of ½ at ε = 0.1, or ε = 0.9 without
        // it.
        let (delta, epsilon, parts) = ingredients.least();
        assert_eq!((delta, epsilon), (3.0, 0.1));
        for (found, expected) in parts.into_iter().zip([0.0, 0.25, 0.2, 0.2]) {
            assert!((found - expected).abs() < 1e-15, "{found}");
        }
    }

    #[test]
    fn centres_are_no_further_apart_than_dimensions_allow() {
        let class = Class {
            main_parts: vec![MainPart { delta: 0.0, images: 1, gap: 0.0 }],
            diameters: vec![0.1],
        };
        let identity = |at: usize| f64::from(u8::from(at.is_multiple_of(5)));
        let ingredients =
            Ingredients { products: (0..16).map(identity).collect(), classes: vec![class; 4] };
        // Four corners of a tetrahedron in space; four axes in the plane; and more than a line has.
        for (dim, expected) in [(3, -1.0 / 3.0), (2, 0.0), (1, 0.0)] {
            let products = ingredients.divergent(dim).products;
            assert!(
                (products[1] - expected).abs() < 1e-15 && products[0] == 1.0,
                "{dim}: {products:?}"
            );
        }
    }

    #[test]
    fn constant_coordinates_go() {
        let sample = Sample {
            values: vec![1.0, 5.0, 2.0, 1.0, 6.0, 2.0],
            images: 2,
            views: 1,
            dim: 3,
            labels: None,
            classes: Vec::new(),
            seed: 0,
            pixels: None,
        };
        let (values, kept) = without_constants(&sample);
        assert_eq!((values.as_ref(), kept), (&[5.0, 6.0][..], 1));
    }

    #[test]
    fn parameters_of_the_default_policy() {
        let policy: selfsame::augment::Policy = "abcde".parse().unwrap();
        // Crop 4, jitter 4 and blur 1; flip and grey either way, and 24 orders of the jitter.
        assert_eq!(Parameters::of(policy.config()), Parameters { discrete: 96, continuous: 9 });
        let none: selfsame::augment::Policy = "none".parse().unwrap();
        assert_eq!(Parameters::of(none.config()), Parameters { discrete: 1, continuous: 0 });
    }
}
