//! The error bound: a condition under which the nearest-centre classifier is wrong on at most a
//! share (1 − σ) + R_ε of the images.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::need::Need;
use crate::measure::Diameters;
use crate::{Error, Quantity, Side, Trust};

mod need;
mod search;

/// Minimum margin by which a condition must hold to count, in units of r². It is far above the
/// rounding error of products of some thousand values (10⁻¹³), and far below any relevant
/// difference.
pub const MARGIN: f64 = 1e-10;

/// One step of a class's σ(δ): at this δ and above, the main part may hold this many images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MainPart {
    /// δ: the largest d_A between two images of the main part, in the units of d_A.
    pub delta: f64,
    /// Number of images in the main part.
    pub images: usize,
    /// The largest distance that f may put between the closest views of two of these images. For an
    /// L-Lipschitz f it is L·δ. The largest measured distance over the pairs is sharper, and needs
    /// no L.
    pub gap: f64,
}

/// Data of a class that the bound needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// The steps of σ(δ), in ascending order of δ.
    pub main_parts: Vec<MainPart>,
    /// The view diameter of each image of the class, in any order.
    pub diameters: Vec<f64>,
}

/// The proof that images are classified correctly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The theorem as printed: ρ = 2(1 − σ) + R_ε/p + σ(Lδ + 2ε)/r. The printed proof needs 2R_ε/p,
    /// but the statement is true: `docs/theory.md` has another proof.
    Published,
    /// The theorem with 2R_ε/p, which is what the printed proof shows. It is never stronger than
    /// `Published`.
    Derived,
    /// The spherical cap: three lower bounds on f(x)·μ, and the worst point of the sphere that all
    /// three allow.
    Sharpened,
}

/// The best δ and ε, and the bound that they prove. [`holds`](Self::holds) says whether they prove
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// δ, in the units of d_A.
    pub delta: f64,
    /// ε, a distance of embeddings.
    pub epsilon: f64,
    /// σ: the smallest share of a class in its main part. In the certificate of one class, it is
    /// the share of that class.
    pub sigma: f64,
    /// R_ε: the share of images that are not in S_ε. In the certificate of one class, it is the
    /// share of its images.
    pub outside: f64,
    /// The bound on the error if the condition holds: (1 − σ) + R_ε. It is computed as one division
    /// of integers, as errors are, so that rounding never puts it below an equal error.
    pub error: f64,
    /// The margin by which the condition holds, in units of r². It is negative if the condition
    /// fails.
    pub slack: f64,
}

impl Certificate {
    /// Returns whether the condition holds, so that `error` is a bound.
    pub fn holds(&self) -> bool {
        self.slack > MARGIN
    }

    /// Returns whether the certificate is vacuous: the condition fails, or the bound is 1 or more.
    pub fn vacuous(&self) -> bool {
        !self.holds() || self.error >= 1.0
    }

    /// Returns the proven bound on the error: `error`, or 1 if the certificate is vacuous.
    pub fn bound(&self) -> f64 {
        if self.vacuous() { 1.0 } else { self.error }
    }

    /// Returns the bound and its trust, given the trust in the gaps of the main parts.
    pub fn quantity(&self, gaps: &Trust) -> Quantity {
        Quantity {
            value: self.bound(),
            trust: Trust::of_bound(Side::AtMost, &[(gaps, Side::AtMost)]),
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

/// A certificate per class, each with its own δ and ε.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByClass {
    /// One certificate per class; `error` bounds the error among its images.
    pub classes: Vec<Certificate>,
    /// A bound on the error over all images: Σ p_k times the bound of class k, which is 1 if its
    /// certificate is vacuous.
    pub error: f64,
}

/// A finite world, reduced to the data that the bound needs.
#[derive(Debug, Clone)]
pub struct World {
    classes: Vec<ScaledClass>,
    /// The diameter of every image divided by r, with its class, in ascending order.
    diameters: Vec<(f64, usize)>,
    radius: f64,
    need: Need,
}

/// A class, with lengths divided by r.
#[derive(Debug, Clone)]
struct ScaledClass {
    main_parts: Vec<MainPart>,
    diameters: Vec<f64>,
    mass: f64,
    norm2: f64,
}

impl World {
    /// Makes a world of embeddings of length `radius`. `products` holds all μ_k·μ_ℓ, K × K, of its
    /// K `classes`.
    ///
    /// # Errors
    /// [`Error::Count`], [`Error::EmptyClass`], [`Error::Range`] for a number that no such world
    /// has, [`Error::MainPart`] if δ or the number of images does not rise from one main part to
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
        let mut scaled = Vec::with_capacity(k);
        for (index, class) in classes.into_iter().enumerate() {
            check(index, &class)?;
            let mass = class.diameters.len() as f64 / images as f64;
            let diameters =
                Diameters::new(class.diameters.iter().map(|diameter| diameter / radius).collect());
            all.extend(diameters.sorted().iter().map(|&diameter| (diameter, index)));
            let over_r = |part: &MainPart| MainPart { gap: part.gap / radius, ..*part };
            let main_parts = class.main_parts.iter().map(over_r).collect();
            let norm2 = products[index * k + index];
            scaled.push(ScaledClass {
                main_parts,
                diameters: diameters.sorted().to_vec(),
                mass,
                norm2,
            });
        }
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Ok(Self { need: Need::new(&products, k), classes: scaled, diameters: all, radius })
    }

    /// Finds the smallest (1 − σ) + R_ε for which the condition holds in every class, over the δ at
    /// which a main part changes and the ε at which R_ε falls. If the condition holds nowhere, the certificate
    /// has the δ and ε at which it fails by the least.
    ///
    /// The bound covers Err(G_f), and also the share of images with any view that is classified
    /// wrongly. Time grows with the number of main parts times the number of images; for
    /// `Sharpened`, at worst also times the number of classes.
    pub fn certify(&self, form: Form) -> Certificate {
        let levels = search::levels(&self.classes);
        let best = levels
            .par_iter()
            .map(|level| self.best_epsilon(form, level))
            .reduce_with(search::better);
        // Every class has a main part, so there is at least one level: the largest first δ.
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

    /// Finds, for each class, the smallest share that may be classified wrongly, with its own δ,
    /// its own ε and its own share outside S_ε.
    ///
    /// No class is limited by a δ or ε that suits another class, so this is the strongest bound
    /// here.
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
        // A share of n images times n is an integer except for rounding.
        let wrong_at_most = |(class, side): (&Certificate, &ScaledClass)| {
            (class.bound() * side.diameters.len() as f64).round()
        };
        let error = classes.iter().zip(&self.classes).map(wrong_at_most).sum::<f64>()
            / self.diameters.len() as f64;
        ByClass { classes, error }
    }

    /// Returns the certificate with the best ε for the main parts of one level.
    fn best_epsilon(&self, form: Form, level: &search::Level) -> Certificate {
        let parts: Vec<&MainPart> =
            self.classes.iter().zip(&level.parts).map(|(side, &at)| &side.main_parts[at]).collect();
        let shares: Vec<f64> =
            self.classes.iter().zip(&parts).map(|(side, part)| side.share(part)).collect();
        let gap = parts.iter().map(|part| part.gap).fold(0.0, f64::max);
        let sigma = shares.iter().copied().fold(1.0, f64::min);
        let least = (0..parts.len()).min_by(|&a, &b| shares[a].total_cmp(&shares[b])).unwrap_or(0);
        let (held, total) = (parts[least].images, self.classes[least].diameters.len());
        let least_mass = self.classes.iter().map(|side| side.mass).fold(1.0, f64::min);
        let images = self.diameters.len();
        let mut outside: Vec<usize> =
            self.classes.iter().map(|side| side.diameters.len()).collect();
        let mut best: Option<Certificate> = None;
        let mut hardest = 0;
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
                    // Up to this slack, the certificate is no better than the best so far. Most
                    // candidates fail in the class in which the one before failed.
                    let enough = best.map_or(f64::NEG_INFINITY, |best| {
                        if best.holds() { MARGIN } else { best.slack }
                    });
                    let mut least = f64::INFINITY;
                    for k in std::iter::once(hardest).chain(0..self.classes.len()) {
                        let slack = of_class(k);
                        if slack < least {
                            (least, hardest) = (slack, k);
                        }
                        if least <= enough {
                            break;
                        }
                    }
                    least
                }
            };
            let error = ((total - held) * images + above * total) as f64 / (total * images) as f64;
            let candidate =
                Certificate { delta: level.delta, epsilon, sigma, outside: share, error, slack };
            best = Some(best.map_or(candidate, |best| search::better(best, candidate)));
        }
        best.expect("a class has images")
    }

    /// Returns the margin by which f(x)·μ_k exceeds the necessary value, in units of r², for every
    /// x of class k that is in its main part and in S_ε.
    ///
    /// `sigma` is the share of the class in the main part. `outside` is its share outside S_ε, or
    /// an upper bound. `distance` is the largest distance between two views of two such images: gap
    /// + 2ε.
    fn slack(&self, form: Form, k: usize, sigma: f64, outside: f64, distance: f64) -> f64 {
        let floor = match form {
            Form::Published => 1.0 - (2.0 * (1.0 - sigma) + outside + sigma * distance),
            Form::Derived => 1.0 - (2.0 * (1.0 - sigma) + 2.0 * outside + sigma * distance),
            Form::Sharpened => need::floor(sigma - outside, distance, self.classes[k].norm2),
        };
        floor - self.need.of(form, k)
    }
}

impl ScaledClass {
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
        let previous = at.checked_sub(1).map(|previous| &class.main_parts[previous]);
        if !(part.delta >= 0.0 && part.delta.is_finite() && part.gap >= 0.0 && part.gap.is_finite())
        {
            return refuse(at, "δ and the gap must be 0 or more, and finite");
        }
        if part.images == 0 || part.images > class.diameters.len() {
            return refuse(at, "it must hold between one image and those of the class");
        }
        if previous
            .is_some_and(|previous| previous.delta >= part.delta || previous.images >= part.images)
        {
            return refuse(at, "δ and the number of images must rise from one to the next");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
