//! Two lower limits of f(x)·μ_k: the value that makes x nearest to the centre of its own class, and
//! the value that the facts guarantee. All lengths are divided by r.

use super::Form;

/// Smallest distance between centres, and between a centre and 0, that is certified. Below it, the
/// angles between centres lose the digits that [`MARGIN`](super::MARGIN) relies on.
const CLOSEST: f64 = 1e-3;
/// Added under square roots of differences that may be nearly 0. It exceeds the rounding error of
/// those differences, so that the root is never too small.
const UNDER_ROOT: f64 = 1e-12;
/// A product that is larger than any product of two vectors of length at most 1.
const NEVER: f64 = 2.0;

/// For each class k, the value that f(x)·μ_k must exceed.
#[derive(Debug, Clone)]
pub(super) struct Need {
    printed: Vec<f64>,
    cap: Vec<f64>,
    hardest_printed: usize,
}

impl Need {
    /// Takes all products μ_k·μ_ℓ, row by row.
    pub(super) fn new(products: &[f64], classes: usize) -> Self {
        let product = |k: usize, l: usize| products[k * classes + l];
        let others = |k: usize| (0..classes).filter(move |&l| l != k);
        let shortfall = 1.0 - (0..classes).map(|k| product(k, k)).fold(f64::INFINITY, f64::min);
        // If there is no other class, any product suffices.
        let worst =
            |k: usize, need: &dyn Fn(usize) -> f64| others(k).map(need).fold(-NEVER, f64::max);
        let printed: Vec<f64> = (0..classes)
            .map(|k| worst(k, &|l| printed(product(k, l).max(product(l, k)), shortfall)))
            .collect();
        let cap = (0..classes)
            .map(|k| worst(k, &|l| cap(product(k, k), product(l, l), product(k, l))))
            .collect();
        let hardest_printed = (0..classes)
            .fold(0, |hardest, k| if printed[k] > printed[hardest] { k } else { hardest });
        Self { printed, cap, hardest_printed }
    }

    pub(super) fn of(&self, form: Form, k: usize) -> f64 {
        match form {
            Form::Published | Form::Derived => self.printed[k],
            Form::Sharpened => self.cap[k],
        }
    }

    /// Returns the class that needs the largest product by the printed condition.
    pub(super) fn hardest_printed(&self) -> usize {
        self.hardest_printed
    }
}

/// Returns the smallest 1 − ρ that satisfies the printed condition μ_ℓ·μ_k < 1 − ρ − √(2ρ) − Δ_μ/2.
/// With t = √(2ρ), the condition is the quadratic t²/2 + t < 1 − c, c = μ_ℓ·μ_k + Δ_μ/2, whose
/// positive root is √(3 − 2c) − 1.
pub(super) fn printed(product: f64, shortfall: f64) -> f64 {
    let root = (3.0 - 2.0 * (product + 0.5 * shortfall)).max(0.0).sqrt() - 1.0;
    // A negative root means that even ρ = 0 does not suffice. The square keeps the sign of the root
    // and shows how far ρ = 0 is from sufficing.
    1.0 - 0.5 * root * root.abs()
}

/// Returns the smallest c such that every f of length 1 with f·μ ≥ c is nearer to μ than to ν.
///
/// Those f lie within an angle θ of μ, and cos θ = f·μ/‖μ‖. Let α = ν·μ/‖μ‖, and let β be the
/// length of the component of ν perpendicular to μ. The largest f·(ν − μ) at angle θ is (α − ‖μ‖)
/// cos θ + β sin θ, which is R cos(θ − θ'), R = ‖ν − μ‖. It must be below h = ½(‖ν‖² − ‖μ‖²) for
/// all angles from 0 to θ, which holds if θ < θ' − arccos(h/R).
pub(super) fn cap(mu2: f64, nu2: f64, product: f64) -> f64 {
    let length = mu2.max(0.0).sqrt();
    if length < CLOSEST {
        return NEVER;
    }
    let along = product / length - length;
    let across = ((nu2 - (product / length).powi(2)).max(0.0) + UNDER_ROOT).sqrt();
    let apart = along.hypot(across);
    if apart < CLOSEST {
        return NEVER;
    }
    let half = 0.5 * (nu2 - mu2);
    let angle = across.atan2(along) - (half / apart).clamp(-1.0, 1.0).acos();
    if angle > 0.0 {
        length * angle.min(std::f64::consts::PI).cos()
    } else {
        // Even f in the direction of μ is nearer to ν; the excess shows by how much.
        (length + (along - half)).clamp(length, NEVER)
    }
}

/// Returns a lower bound on f(x)·μ, where μ is the mean of views of which at least a share `good`
/// lie within `distance` of f(x), and ‖μ‖² = `norm2`. It is the largest of three lower bounds.
///
/// Let g be the mean of the good views, h the mean of the others, b = 1 − good and D = `distance`.
/// No vector is longer than 1. Then:
/// 1. f·μ ≥ good (1 − ½D²) − b, by products;
/// 2. ‖f − μ‖ ≤ good D + 2b, by the triangle inequality;
/// 3. ‖f − μ‖ ≤ ‖f − g‖ + b ‖g − h‖, and good b ‖g − h‖² ≤ 1 − ‖μ‖², because ‖μ‖² = good ‖g‖² + b
///    ‖h‖² − good b ‖g − h‖².
///
/// A bound on ‖f − μ‖ gives one on f·μ, because 2 f·μ = 1 + ‖μ‖² − ‖f − μ‖².
pub(super) fn floor(good: f64, distance: f64, norm2: f64) -> f64 {
    let distance = distance.min(2.0);
    let bad = 1.0 - good;
    let products = good * (1.0 - 0.5 * distance * distance) - bad;
    let from_distance = |bound: f64| 0.5 * (1.0 + norm2 - bound * bound);
    let triangle = from_distance(good * distance + 2.0 * bad);
    if good <= 0.0 {
        // All that is known is that the product of such vectors is at least −1. There may be no
        // such x.
        return products.min(-1.0);
    }
    let spread = (1.0 - norm2).max(0.0) + UNDER_ROOT;
    let variance = from_distance(distance + (bad.max(0.0) / good * spread).sqrt());
    products.max(triangle).max(variance)
}
