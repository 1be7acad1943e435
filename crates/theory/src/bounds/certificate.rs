//! The error bound: when the nearest-centre classifier is right on all but a share (1 − σ) + R_ε of
//! the images.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::need::Need;
use crate::measure::Diameters;
use crate::{Error, Quantity, Trust};

mod need;
mod search;

/// By how much a condition must hold to count: far above the rounding of products of some thousand
/// values (10⁻¹³), far below anything that matters. In units of r².
pub const MARGIN: f64 = 1e-10;

/// One step of a class's σ(δ): from this δ on its main part may hold this many images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MainPart {
    /// δ: no two images of the main part have d_A above it, in the units of d_A.
    pub delta: f64,
    /// Images of the main part.
    pub images: usize,
    /// How far apart f may put the closest views of two of its images: L·δ for an L-Lipschitz f, or
    /// what is sharper and needs no L, the largest such distance measured over its pairs.
    pub gap: f64,
}

/// What the bound needs to know of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// The steps of σ(δ), by rising δ.
    pub main_parts: Vec<MainPart>,
    /// The view diameter of each image of the class, in any order.
    pub diameters: Vec<f64>,
}

/// Which proof decides that images are classified rightly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The theorem as printed: ρ = 2(1 − σ) + R_ε/p + σ(Lδ + 2ε)/r. Its printed proof needs 2R_ε/p,
    /// but the statement is true: `docs/theory.md` proves it another way.
    Published,
    /// The same with 2R_ε/p, as the printed proof gives it. Never stronger than `Published`.
    Derived,
    /// The cap: three lower bounds on f(x)·μ, and the worst point of the sphere that they leave.
    Sharpened,
}

/// The best choice of δ and ε found, and what it proves. `holds` says whether it proves anything.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// δ, in the units of d_A.
    pub delta: f64,
    /// ε, a distance of embeddings.
    pub epsilon: f64,
    /// σ: the smallest share of a class that is in its main part; of one class, its share.
    pub sigma: f64,
    /// R_ε: the share of images (of one class: of its images) that are not in S_ε.
    pub outside: f64,
    /// What the error is at most if the condition holds: (1 − σ) + R_ε, as one division of whole
    /// numbers, so that it is never below an error that is one.
    pub error: f64,
    /// How much room the condition leaves, in units of r²: negative by how much it fails.
    pub slack: f64,
}

impl Certificate {
    /// Whether the condition holds, so that `error` is a bound.
    pub fn holds(&self) -> bool {
        self.slack > MARGIN
    }

    /// Whether nothing is learned: the condition fails, or the bound is 1 or more.
    pub fn vacuous(&self) -> bool {
        !self.holds() || self.error >= 1.0
    }

    /// The proven bound on the error: `error`, or 1 where the certificate is vacuous.
    pub fn bound(&self) -> f64 {
        if self.vacuous() { 1.0 } else { self.error }
    }

    /// The bound and what it is worth, where the gaps of the main parts are worth `gaps`.
    pub fn quantity(&self, gaps: &Trust) -> Quantity {
        Quantity {
            value: self.bound(),
            trust: Trust::of_bound(crate::Side::AtMost, std::slice::from_ref(gaps)),
        }
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { delta, epsilon, sigma, outside, error, slack } = self;
        let at = format!(
            "at δ = {delta:.4}, ε = {epsilon:.4}, where σ = {sigma:.4} and R_ε = {outside:.4}"
        );
        if !self.holds() {
            write!(
                f,
                "vacuous: no δ and ε meet the condition, which fails by {:.4} r² {at}",
                -slack
            )
        } else if self.vacuous() {
            write!(f, "vacuous: the condition holds only where the bound is {error:.4} {at}")
        } else {
            write!(f, "the error is at most {error:.4} {at}")
        }
    }
}

/// Certificates of each class by itself, with its own δ and ε.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByClass {
    /// That of each class: `error` bounds the share of its own images.
    pub classes: Vec<Certificate>,
    /// Σ p_k times the bound of class k, those without a certificate counting fully: a bound on the
    /// error of all.
    pub error: f64,
}

/// A finite world as the bound sees it.
#[derive(Debug, Clone)]
pub struct World {
    classes: Vec<Side>,
    /// Every image's diameter over r, ascending, with its class.
    diameters: Vec<(f64, usize)>,
    radius: f64,
    need: Need,
}

/// A class, lengths over r.
#[derive(Debug, Clone)]
struct Side {
    main_parts: Vec<MainPart>,
    diameters: Vec<f64>,
    mass: f64,
    norm2: f64,
}

impl World {
    /// A world of embeddings of length `radius`, with `products` all μ_k·μ_ℓ, K × K, of its K
    /// `classes`.
    ///
    /// # Errors
    /// [`Error::Count`], [`Error::EmptyClass`], [`Error::Range`] for a number that no such world
    /// has, [`Error::MainPart`] where δ or the number of images does not rise from one main part to
    /// the next.
    pub fn new(radius: f64, products: &[f64], classes: Vec<Class>) -> Result<Self, Error> {
        Error::range(radius > 0.0 && radius.is_finite(), "radius", radius, "positive and finite")?;
        let k = classes.len();
        if k == 0 || products.len() != k * k {
            return Err(Error::Count {
                what: "products of centres",
                given: products.len(),
                expected: (k * k).max(1),
            });
        }
        let products: Vec<f64> =
            products.iter().map(|product| product / (radius * radius)).collect();
        for &product in &products {
            // No mean of vectors of length r is longer than r.
            Error::range(
                product.abs() <= 1.0 + 1e-6,
                "product of centres over r²",
                product,
                "within −1 and 1",
            )?;
        }
        let images: usize = classes.iter().map(|class| class.diameters.len()).sum();
        let mut all = Vec::with_capacity(images);
        let mut sides = Vec::with_capacity(k);
        for (index, class) in classes.into_iter().enumerate() {
            check(index, &class)?;
            let mass = class.diameters.len() as f64 / images as f64;
            let diameters =
                Diameters::new(class.diameters.iter().map(|diameter| diameter / radius).collect());
            all.extend(diameters.sorted().iter().map(|&diameter| (diameter, index)));
            let over_r = |part: &MainPart| MainPart { gap: part.gap / radius, ..*part };
            let main_parts = class.main_parts.iter().map(over_r).collect();
            let norm2 = products[index * k + index];
            sides.push(Side { main_parts, diameters: diameters.sorted().to_vec(), mass, norm2 });
        }
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Ok(Self { need: Need::new(&products, k), classes: sides, diameters: all, radius })
    }

    /// The smallest (1 − σ) + R_ε whose condition holds for every class, over the δ at which σ
    /// rises and the ε at which R_ε falls; where none holds, the δ and ε that fail by least.
    ///
    /// A bound on Err(G_f), and on the share of images of which any view is classified wrongly.
    /// Time grows with the steps of σ times the images, for `Sharpened` times the classes.
    pub fn certify(&self, form: Form) -> Certificate {
        let levels = search::levels(&self.classes);
        let best = levels
            .par_iter()
            .map(|level| self.best_epsilon(form, level))
            .reduce_with(search::better);
        // Every class has a main part, so there is a level: the largest first δ.
        let best = best.unwrap_or(Certificate {
            delta: 0.0,
            epsilon: 0.0,
            sigma: 0.0,
            outside: 1.0,
            error: 2.0,
            slack: f64::MIN,
        });
        Certificate { epsilon: best.epsilon * self.radius, ..best }
    }

    /// The same for each class by itself: the smallest share of class k that may be classified
    /// wrongly, with δ, ε and the share outside S_ε all its own.
    ///
    /// That no class must wait for another makes this the strongest bound here.
    pub fn certify_classes(&self, form: Form) -> ByClass {
        let best = |k: usize| {
            let side = &self.classes[k];
            let images = side.diameters.len();
            let at = |part: &MainPart| {
                let candidates = search::distinct(&side.diameters).map(|(epsilon, above)| {
                    let (sigma, outside) = (side.share(part), above as f64 / images as f64);
                    let error = (images - part.images + above) as f64 / images as f64;
                    let slack = self.slack(form, k, sigma, outside, part.gap + 2.0 * epsilon);
                    Certificate { delta: part.delta, epsilon, sigma, outside, error, slack }
                });
                candidates.reduce(search::better)
            };
            let best = side.main_parts.iter().filter_map(at).reduce(search::better);
            best.map(|best| Certificate { epsilon: best.epsilon * self.radius, ..best })
        };
        let classes: Vec<Certificate> =
            (0..self.classes.len()).into_par_iter().filter_map(best).collect();
        // A share of n images times n is a whole number again.
        let given_up = |(class, side): (&Certificate, &Side)| {
            (class.bound() * side.diameters.len() as f64).round()
        };
        let error = classes.iter().zip(&self.classes).map(given_up).sum::<f64>()
            / self.diameters.len() as f64;
        ByClass { classes, error }
    }

    /// The best ε for the main parts of one level.
    fn best_epsilon(&self, form: Form, level: &search::Level) -> Certificate {
        let parts: Vec<&MainPart> =
            self.classes.iter().zip(&level.parts).map(|(side, &at)| &side.main_parts[at]).collect();
        let shares: Vec<f64> =
            self.classes.iter().zip(&parts).map(|(side, part)| side.share(part)).collect();
        let gap = parts.iter().map(|part| part.gap).fold(0.0, f64::max);
        let sigma = shares.iter().copied().fold(1.0, f64::min);
        let least = (0..parts.len()).min_by(|&a, &b| shares[a].total_cmp(&shares[b])).unwrap_or(0);
        let (held, of) = (parts[least].images, self.classes[least].diameters.len());
        let least_mass = self.classes.iter().map(|side| side.mass).fold(1.0, f64::min);
        let images = self.diameters.len();
        let mut outside: Vec<usize> =
            self.classes.iter().map(|side| side.diameters.len()).collect();
        let mut best: Option<Certificate> = None;
        for at in 0..images {
            let (epsilon, class) = self.diameters[at];
            outside[class] -= 1;
            if self.diameters.get(at + 1).is_some_and(|next| next.0 == epsilon) {
                continue;
            }
            let above = images - at - 1;
            let share = above as f64 / images as f64;
            let slack = match form {
                Form::Published | Form::Derived => {
                    let slack =
                        |k| self.slack(form, k, sigma, share / least_mass, gap + 2.0 * epsilon);
                    slack(self.need.hardest_printed())
                }
                Form::Sharpened => {
                    let of_class = |k: usize| {
                        let outside = outside[k] as f64 / self.classes[k].diameters.len() as f64;
                        self.slack(form, k, shares[k], outside, parts[k].gap + 2.0 * epsilon)
                    };
                    (0..self.classes.len()).map(of_class).fold(f64::INFINITY, f64::min)
                }
            };
            let error = ((of - held) * images + above * of) as f64 / (of * images) as f64;
            let found =
                Certificate { delta: level.delta, epsilon, sigma, outside: share, error, slack };
            best = Some(best.map_or(found, |best| search::better(best, found)));
        }
        best.expect("a class has images")
    }

    /// By how much f(x)·μ_k is above what is needed, for the x of class k in its main part and in
    /// S_ε, over r².
    ///
    /// `sigma` is the share of the class in the main part, `outside` at least its share outside
    /// S_ε, `distance` what two views of two such images are apart at most: gap + 2ε.
    fn slack(&self, form: Form, k: usize, sigma: f64, outside: f64, distance: f64) -> f64 {
        let floor = match form {
            Form::Published => 1.0 - (2.0 * (1.0 - sigma) + outside + sigma * distance),
            Form::Derived => 1.0 - (2.0 * (1.0 - sigma) + 2.0 * outside + sigma * distance),
            Form::Sharpened => need::floor(sigma - outside, distance, self.classes[k].norm2),
        };
        floor - self.need.of(form, k)
    }
}

impl Side {
    fn share(&self, part: &MainPart) -> f64 {
        part.images as f64 / self.diameters.len() as f64
    }
}

fn check(index: usize, class: &Class) -> Result<(), Error> {
    if class.diameters.is_empty() {
        return Err(Error::EmptyClass { class: index });
    }
    for &diameter in &class.diameters {
        Error::range(
            diameter >= 0.0 && diameter.is_finite(),
            "view diameter",
            diameter,
            "0 or more, and finite",
        )?;
    }
    let refuse =
        |at: usize, why: &'static str| Err(Error::MainPart { class: index, index: at, why });
    if class.main_parts.is_empty() {
        return refuse(0, "a class has at least the main part of one image at δ = 0");
    }
    for (at, part) in class.main_parts.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &class.main_parts[before]);
        if !(part.delta >= 0.0 && part.delta.is_finite() && part.gap >= 0.0 && part.gap.is_finite())
        {
            return refuse(at, "δ and the gap must be 0 or more, and finite");
        }
        if part.images == 0 || part.images > class.diameters.len() {
            return refuse(at, "it must hold between one image and those of the class");
        }
        if before.is_some_and(|before| before.delta >= part.delta || before.images >= part.images) {
            return refuse(at, "δ and the number of images must rise from one to the next");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
