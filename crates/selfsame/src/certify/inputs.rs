//! Inputs of a certificate: embeddings of all views, labels, and distances of pixels.

use std::borrow::Cow;
use std::time::Duration;

use rayon::prelude::*;
use selfsame_augment::PolicyConfig;
use selfsame_concentration::curve::Curve;
use selfsame_concentration::distance::Distances;
use selfsame_concentration::forecast::members;
use selfsame_concentration::pair_index;
use selfsame_report::certificate::{Rho, least_product};
use selfsame_theory::bounds::certificate::{Class, MainPart, World};
use selfsame_theory::measure::Diameters;
use selfsame_theory::{Error, Labels, Views};

/// Embeddings of the views of some images, with facts about the images.
pub struct EmbeddedImages<'a> {
    /// The values as `[image][view][value]`, as the encoder returns them.
    pub values: Cow<'a, [f32]>,
    pub images: usize,
    pub views: usize,
    pub dim: usize,
    pub labels: Option<Labels>,
    /// Names of the classes that have images.
    pub classes: Vec<String>,
    /// Seed of the estimates by random draws.
    pub seed: u64,
    pub pixels: Option<Pixels>,
}

/// Facts about the images themselves that the theory needs.
pub struct Pixels {
    /// Squared distances between all images.
    pub distances: Distances,
    /// Concentration curve of each class.
    pub curves: Vec<Curve>,
    /// Time limit for the proof of each curve.
    pub budget: Option<Duration>,
    /// Distance of each view to the image that it was drawn from.
    pub to_original: Vec<f64>,
    /// Number of bytes per view.
    pub dim: usize,
    pub parameters: PolicyParameters,
}

/// Number of random parameters that a policy draws per view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyParameters {
    /// Number of combinations of the steps that may be taken or not.
    pub discrete: u32,
    /// Number of continuous parameters.
    pub continuous: u32,
}

impl PolicyParameters {
    pub fn of(policy: &PolicyConfig) -> Self {
        let continuous = [
            // The area, the aspect ratio and the two coordinates of the box.
            (policy.crop.is_some(), 4),
            (policy.pad_crop.is_some(), 2),
            (policy.rotation.is_some(), 1),
            // The brightness, contrast, saturation and hue.
            (policy.jitter.is_some(), 4),
            (policy.blur.is_some(), 1),
        ];
        let discrete = [
            (policy.flip.is_some(), 2),
            (policy.vertical_flip.is_some(), 2),
            (policy.grey.is_some(), 2),
            (policy.solarise.is_some(), 2),
            // The orders of the four jitters.
            (policy.jitter.is_some(), 24),
        ];
        let discrete = discrete.into_iter().filter(|(used, _)| *used).map(|(_, count)| count);
        let continuous = continuous.into_iter().filter(|(used, _)| *used).map(|(_, count)| count);
        Self { discrete: discrete.product(), continuous: continuous.sum() }
    }
}

/// Returns ‖f(a) − f(b)‖ for the rows `a` and `b`.
pub fn row_distance(views: &Views<'_>, a: usize, b: usize) -> f64 {
    let (mut first, mut second) = (vec![0.0; views.dim()], vec![0.0; views.dim()]);
    views.read(a, &mut first);
    views.read(b, &mut second);
    first.iter().zip(&second).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// Computes the distance after the encoder f between the closest views of every two images, in the
/// order of `distances`.
pub fn gaps(views: &Views<'_>, distances: &Distances) -> Vec<f64> {
    let (n, m) = (distances.n, views.views());
    let row = |i: usize| {
        (i + 1..n).map(move |j| {
            let [u, v] = distances.pairs[pair_index(n, i, j)].map(usize::from);
            row_distance(views, i * m + u, j * m + v)
        })
    };
    (0..n).into_par_iter().flat_map_iter(row).collect()
}

/// Inputs of the error bound.
#[derive(Clone)]
pub struct BoundInputs {
    /// All products μ_k·μ_ℓ, row by row.
    pub products: Vec<f64>,
    pub classes: Vec<Class>,
}

impl BoundInputs {
    pub fn new(
        products: &[f64],
        labels: &Labels,
        diameters: &[f64],
        pixels: &Pixels,
        gaps: &[f64],
    ) -> Result<Self, Error> {
        let class = |((members, curve), diameters): ((Vec<usize>, &Curve), Vec<f64>)| Class {
            main_parts: main_parts(&curve_points(&members, curve, pixels.distances.n, gaps)),
            diameters,
        };
        let classes = members(labels.of_image(), labels.classes())
            .into_iter()
            .zip(&pixels.curves)
            .zip(labels.split(diameters)?)
            .map(class)
            .collect();
        Ok(Self { products: products.to_vec(), classes })
    }

    pub fn world(&self) -> Result<World, Error> {
        World::new(1.0, &self.products, self.classes.clone())
    }

    /// Returns these inputs for a world in which all views of an image are embedded in one point.
    pub fn aligned(&self) -> Self {
        let class =
            |class: &Class| Class { diameters: vec![0.0; class.diameters.len()], ..class.clone() };
        Self { classes: self.classes.iter().map(class).collect(), ..self.clone() }
    }

    /// Returns these inputs for a world in which the centres of classes keep their lengths but
    /// point in directions as far apart as `dim` dimensions allow.
    pub fn divergent(&self, dim: usize) -> Self {
        let k = self.classes.len();
        let least = least_product(k, dim);
        let length = |class: usize| self.products[class * k + class].max(0.0).sqrt();
        let product = |index: usize| match (index / k, index % k) {
            (a, b) if a == b => self.products[index],
            (a, b) => length(a) * length(b) * least,
        };
        Self { products: (0..k * k).map(product).collect(), ..self.clone() }
    }

    /// Returns these inputs for a world in which all images of a class share a view.
    pub fn concentrated(&self) -> Self {
        let class = |class: &Class| Class {
            main_parts: vec![MainPart { delta: 0.0, images: class.diameters.len(), gap: 0.0 }],
            ..class.clone()
        };
        Self { classes: self.classes.iter().map(class).collect(), ..self.clone() }
    }

    /// Computes ρ of the printed theorem at δ and ε, if main parts hold the share `sigma` of every
    /// class and the views of the share `outside` of all images are spread.
    pub fn rho(&self, delta: f64, epsilon: f64, sigma: f64, outside: f64) -> Rho {
        let gaps = self.classes.iter().filter_map(|class| Some(main_part(class, delta)?.gap));
        let sizes = || self.classes.iter().map(|class| class.diameters.len());
        let images: usize = sizes().sum();
        let least_mass = sizes().min().unwrap_or(images) as f64 / images as f64;
        Rho {
            unconcentrated: 2.0 * (1.0 - sigma),
            unaligned: outside / least_mass,
            gap: sigma * gaps.fold(0.0, f64::max),
            spread: 2.0 * sigma * epsilon,
        }
    }

    /// Returns the δ and ε that minimise ρ among those for which main parts hold half of every
    /// class, and ρ at that point.
    ///
    /// Without that restriction, the minimum would be where each main part is a single image, and
    /// would be meaningless.
    pub fn least_rho(&self) -> (f64, f64, Rho) {
        let diameters = self.classes.iter().flat_map(|class| class.diameters.iter().copied());
        let diameters = Diameters::new(diameters.collect());
        let parts = self.classes.iter().flat_map(|class| &class.main_parts);
        let mut deltas: Vec<f64> = parts.map(|part| part.delta).collect();
        deltas.sort_by(f64::total_cmp);
        deltas.dedup();
        let with_sigma = deltas.into_iter().map(|delta| (delta, self.sigma(delta)));
        let deltas: Vec<(f64, f64)> = with_sigma.filter(|(_, sigma)| *sigma >= 0.5).collect();
        let epsilons = thinned(diameters.sorted());
        let points = thinned(&deltas)
            .into_iter()
            .flat_map(|delta| epsilons.iter().map(move |&epsilon| (delta, epsilon)));
        points
            .map(|((delta, sigma), epsilon)| {
                let rho = self.rho(delta, epsilon, sigma, diameters.share_above(epsilon));
                (delta, epsilon, rho)
            })
            .min_by(|a, b| a.2.total().total_cmp(&b.2.total()))
            .unwrap_or_default()
    }

    /// Returns σ(δ), the smallest share that a class has in its main part.
    fn sigma(&self, delta: f64) -> f64 {
        let share = |class: &Class| {
            let images = main_part(class, delta).map_or(0, |part| part.images);
            images as f64 / class.diameters.len() as f64
        };
        self.classes.iter().map(share).fold(1.0, f64::min)
    }
}

/// Returns the main part of a class at δ, or `None` below the class's first point.
fn main_part(class: &Class, delta: f64) -> Option<&MainPart> {
    class.main_parts.iter().rfind(|part| part.delta <= delta)
}

/// Selects about 200 evenly spaced values and the last one: enough to find a minimum.
fn thinned<T: Copy>(values: &[T]) -> Vec<T> {
    let step = values.len().div_ceil(200).max(1);
    values.iter().copied().step_by(step).chain(values.last().copied()).collect()
}

/// Returns a lower and an upper bound on the smallest δ at which k images of a class lie pairwise
/// within reach, for k = 1, 2, …. For k images that lie pairwise within reach at the upper bound,
/// also returns the largest distance after the encoder f between the closest views of two of these
/// images.
pub fn curve_points(
    members: &[usize],
    curve: &Curve,
    images: usize,
    gaps: &[f64],
) -> Vec<[f64; 3]> {
    let gap = |i: usize, j: usize| gaps[pair_index(images, members[i], members[j])];
    let largest = |witness: &[usize]| {
        let pairs = witness
            .iter()
            .enumerate()
            .flat_map(|(index, &i)| witness[index + 1..].iter().map(move |&j| (i, j)));
        pairs.map(|(i, j)| gap(i, j)).fold(0.0, f64::max)
    };
    let points = curve.points.iter();
    points
        .map(|p| [(p.lower as f64).sqrt(), (p.upper as f64).sqrt(), largest(&p.witness)])
        .collect()
}

/// Returns the steps of a curve. Among points with equal δ, only the point with the most images is
/// a step.
fn main_parts(points: &[[f64; 3]]) -> Vec<MainPart> {
    let mut parts: Vec<MainPart> = Vec::with_capacity(points.len());
    for (index, &[_, delta, gap]) in points.iter().enumerate() {
        parts.pop_if(|part| part.delta == delta);
        parts.push(MainPart { delta, images: index + 1, gap });
    }
    parts
}

/// Removes the coordinates that have the same value in all rows. Also returns the number of
/// remaining coordinates. A channel that is never active has no second moment to be scaled by.
pub fn without_constants<'a>(sample: &'a EmbeddedImages<'_>) -> (Cow<'a, [f32]>, usize) {
    let mut varies = vec![false; sample.dim];
    let first = &sample.values[..sample.dim];
    for row in sample.values.chunks_exact(sample.dim) {
        varies
            .iter_mut()
            .zip(row)
            .zip(first)
            .for_each(|((varies, value), first)| *varies |= value != first);
    }
    let varying = varies.iter().filter(|varies| **varies).count();
    if varying == sample.dim {
        return (Cow::Borrowed(&sample.values), varying);
    }
    let rows = sample.values.chunks_exact(sample.dim);
    let values = rows.flat_map(|row| {
        row.iter().zip(&varies).filter(|(_, varies)| **varies).map(|(value, _)| *value)
    });
    (Cow::Owned(values.collect()), varying)
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
        let inputs = BoundInputs { products: vec![1.0, 0.0, 0.0, 1.0], classes };
        // With all images in main parts: R_ε = 1/8 over a mass of ½ at ε = 0.1, or ε = 0.9 without
        // R_ε.
        let (delta, epsilon, rho) = inputs.least_rho();
        assert_eq!((delta, epsilon), (3.0, 0.1));
        let parts = [rho.unconcentrated, rho.unaligned, rho.gap, rho.spread];
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
        let identity = |index: usize| f64::from(u8::from(index.is_multiple_of(5)));
        let inputs =
            BoundInputs { products: (0..16).map(identity).collect(), classes: vec![class; 4] };
        // Four corners of a tetrahedron in space; four axes in the plane; more classes than a line
        // can separate.
        for (dim, expected) in [(3, -1.0 / 3.0), (2, 0.0), (1, 0.0)] {
            let products = inputs.divergent(dim).products;
            assert!(
                (products[1] - expected).abs() < 1e-15 && products[0] == 1.0,
                "{dim}: {products:?}"
            );
        }
    }

    #[test]
    fn constant_coordinates_go() {
        let sample = EmbeddedImages {
            values: vec![1.0, 5.0, 2.0, 1.0, 6.0, 2.0].into(),
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
        let policy: selfsame_augment::Policy = "abcde".parse().unwrap();
        // Crop 4, jitter 4 and blur 1 parameters; 2 choices for flip, 2 for grey, and 24 orders of
        // jitter.
        assert_eq!(
            PolicyParameters::of(policy.config()),
            PolicyParameters { discrete: 96, continuous: 9 }
        );
        let none: selfsame_augment::Policy = "none".parse().unwrap();
        assert_eq!(
            PolicyParameters::of(none.config()),
            PolicyParameters { discrete: 1, continuous: 0 }
        );
    }
}
