//! What f(x)·μ_k must be for x to be nearest to its own centre, and what it is at least. All
//! lengths are over r.

use super::Form;

/// Centres closer than this, or closer to 0, are taken to be certified by nothing: the angles
/// between them lose the digits that [`MARGIN`](super::MARGIN) counts on.
const CLOSEST: f64 = 1e-3;
/// Added under square roots of differences that may be nearly 0, above the rounding of those
/// differences: the root is then never too small.
const UNDER_ROOT: f64 = 1e-12;
/// More than any product of vectors no longer than 1.
const NEVER: f64 = 2.0;

/// For each class, above what f(x)·μ_k has to be.
#[derive(Debug, Clone)]
pub(super) struct Need {
    printed: Vec<f64>,
    cap: Vec<f64>,
    hardest_printed: usize,
}

impl Need {
    /// From all μ_k·μ_ℓ of `classes` classes.
    pub(super) fn new(products: &[f64], classes: usize) -> Self {
        let product = |k: usize, l: usize| products[k * classes + l];
        let others = |k: usize| (0..classes).filter(move |&l| l != k);
        let shortfall = 1.0 - (0..classes).map(|k| product(k, k)).fold(f64::INFINITY, f64::min);
        // With no other class to be mistaken for, any product does.
        let worst = |k: usize, of: &dyn Fn(usize) -> f64| others(k).map(of).fold(-NEVER, f64::max);
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

    /// The class that needs most by the printed condition.
    pub(super) fn hardest_printed(&self) -> usize {
        self.hardest_printed
    }
}

/// The printed condition μ_ℓ·μ_k < 1 − ρ − √(2ρ) − Δ_μ/2, solved for 1 − ρ. With t = √(2ρ) it is
/// the quadratic t²/2 + t < 1 − c, c = μ_ℓ·μ_k + Δ_μ/2, whose positive root is √(3 − 2c) − 1.
pub(super) fn printed(product: f64, shortfall: f64) -> f64 {
    let root = (3.0 - 2.0 * (product + 0.5 * shortfall)).max(0.0).sqrt() - 1.0;
    // A negative root means that not even ρ = 0 will do; its square, with the sign, says how far
    // from it.
    1.0 - 0.5 * root * root.abs()
}

/// The smallest f·μ at and above which every f of length 1 is nearer to μ than to ν.
///
/// Those f lie within an angle θ of μ, and cos θ = f·μ/‖μ‖. With α = ν·μ/‖μ‖ and β the length of
/// what of ν is perpendicular to μ, the largest f·(ν − μ) at angle θ is (α − ‖μ‖) cos θ + β sin θ,
/// which is R cos(θ − θ'), R = ‖ν − μ‖. It must be below h = ½(‖ν‖² − ‖μ‖²) from angle 0 to θ,
/// which is so where θ < θ' − arccos(h/R).
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
        // Not even f in the direction of μ is nearer to μ: by how much says how far from it.
        (length + (along - half)).clamp(length, NEVER)
    }
}

/// What f(x)·μ is at least, where a share of at least `good` of the views that μ is the mean of are
/// within `distance` of f(x), and ‖μ‖² = `norm2`: the largest of three lower bounds.
///
/// With g the mean of the good views, h that of the others, b = 1 − good, D = `distance`, all
/// lengths at most 1:
/// 1. f·μ ≥ good (1 − ½D²) − b, by products;
/// 2. ‖f − μ‖ ≤ good D + 2b, by the triangle inequality;
/// 3. ‖f − μ‖ ≤ ‖f − g‖ + b ‖g − h‖, and good b ‖g − h‖² ≤ 1 − ‖μ‖², because ‖μ‖² = good ‖g‖² + b
///    ‖h‖² − good b ‖g − h‖².
///
/// A bound B on ‖f − μ‖ is one of f·μ: 2 f·μ = 1 + ‖μ‖² − ‖f − μ‖².
pub(super) fn floor(good: f64, distance: f64, norm2: f64) -> f64 {
    let distance = distance.min(2.0);
    let bad = 1.0 - good;
    let products = good * (1.0 - 0.5 * distance * distance) - bad;
    let from_distance = |bound: f64| 0.5 * (1.0 + norm2 - bound * bound);
    let triangle = from_distance(good * distance + 2.0 * bad);
    if good <= 0.0 {
        // Nothing is known but that a product of such vectors is not below −1; x itself need not
        // exist.
        return products.min(-1.0);
    }
    let spread = (1.0 - norm2).max(0.0) + UNDER_ROOT;
    let variance = from_distance(distance + (bad.max(0.0) / good * spread).sqrt());
    products.max(triangle).max(variance)
}
