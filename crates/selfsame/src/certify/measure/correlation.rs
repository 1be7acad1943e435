//! The cross-correlation of embeddings, and the bounds on divergence that follow from it.

use selfsame_eval::MAX_DIM;
use selfsame_report::certificate::{CorrelationPair, CorrelationRecord};
use selfsame_theory::bounds::cross_correlation::Measured;
use selfsame_theory::measure::{self, Centres, Within};
use selfsame_theory::{Error, Quantity, Views};

use crate::certify::facts::Facts;
use crate::certify::inputs::without_constants;

/// The cross-correlation of the coordinates that vary, and the bounds that follow from it.
pub struct CorrelationBounds {
    pub record: CorrelationRecord,
    /// With labels: the inputs of the bounds, and the centres of the standardised embeddings.
    classes: Option<(Measured, Centres)>,
}

impl CorrelationBounds {
    /// Returns `None` if no coordinate varies, or if there are too many coordinates for a matrix.
    pub fn new(facts: &Facts<'_>) -> Result<Option<Self>, Error> {
        let embedded = facts.embedded;
        let (values, dim) = without_constants(embedded);
        if dim == 0 || dim > MAX_DIM {
            return Ok(None);
        }
        let views = Views::new(embedded.images, embedded.views, dim, &values[..])?;
        let views = views.standardised()?;
        let correlation = measure::correlation(&views)?;
        let (d, l2, trace) = (dim as f64, correlation.l2(), correlation.trace());
        let align = measure::alignment(&views).finite;
        let mut record = CorrelationRecord {
            dim,
            constant: embedded.dim - dim,
            l1: (embedded.views > 1).then(|| Quantity::exact(correlation.l1())),
            l2: Quantity::exact(l2),
            trace: Quantity::exact(trace),
            trace_residual: Quantity::exact((align - 2.0 * (d - trace)).abs() / (2.0 * d)),
            gram_residual: None,
            within: None,
            average: None,
            average_bound: None,
        };
        let Some(found) = &facts.classes else {
            return Ok(Some(Self { record, classes: None }));
        };
        let centres = measure::centres(&views, found.labels)?;
        let (k, masses) = (centres.classes(), centres.masses());
        let Within { within, from_identity } = correlation.within_classes(&centres)?;
        let measured = Measured::new(l2, within, dim, k)?;
        let norms: Vec<(f64, f64)> =
            (0..k).map(|class| (masses[class], centres.product(class, class))).collect();
        record.gram_residual = Some(Quantity::exact(gram_residual(&centres, from_identity, dim)));
        record.within = Some(Quantity::exact(within));
        record.average = off_simplex(&centres).map(Quantity::exact);
        record.average_bound = measured.average(&norms)?.map(Quantity::at_most);
        Ok(Some(Self { record, classes: Some((measured, centres)) }))
    }

    /// Returns a product of two centres and bounds on it, or `None` without labels.
    pub fn pair(
        &self,
        [a, b]: [usize; 2],
        masses: [f64; 2],
    ) -> Result<Option<CorrelationPair>, Error> {
        let Some((measured, centres)) = &self.classes else { return Ok(None) };
        Ok(Some(CorrelationPair {
            product: Quantity::exact(centres.product(a, b)),
            most: Quantity::exact((centres.product(a, a) * centres.product(b, b)).max(0.0).sqrt()),
            published: Quantity::at_most(measured.published(masses)?),
            sharper: Quantity::at_most(measured.sharper(masses)?),
            centred: Quantity::at_most(measured.centred(masses)?),
        }))
    }
}

/// Computes how much the two sides of ‖Σ p_k μ_k μ_kᵀ − I‖² = Σ (√(p_k p_ℓ) μ_k·μ_ℓ − δ_kℓ)² + d −
/// K differ, relative to the larger side. `left` is the left side.
fn gram_residual(centres: &Centres, left: f64, dim: usize) -> f64 {
    let (k, masses) = (centres.classes(), centres.masses());
    let gram = |a: usize, b: usize| {
        (masses[a] * masses[b]).sqrt() * centres.product(a, b) - f64::from(u8::from(a == b))
    };
    let sum: f64 =
        (0..k).flat_map(|a| (0..k).map(move |b| (a, b))).map(|(a, b)| gram(a, b).powi(2)).sum();
    let right = sum + dim as f64 - k as f64;
    (left - right).abs() / left.max(right).max(1.0)
}

/// Computes the root mean square of μ_k·μ_ℓ + 1 over pairs of different classes, weighted by p_k
/// p_ℓ.
fn off_simplex(centres: &Centres) -> Option<f64> {
    let (k, masses) = (centres.classes(), centres.masses());
    let pairs = || (0..k * k).map(|index| (index / k, index % k)).filter(|(a, b)| a != b);
    let weight: f64 = pairs().map(|(a, b)| masses[a] * masses[b]).sum();
    let total: f64 =
        pairs().map(|(a, b)| masses[a] * masses[b] * (centres.product(a, b) + 1.0).powi(2)).sum();
    (k > 1).then(|| (total / weight).sqrt())
}
