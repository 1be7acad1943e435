//! Concentration: how near to each other the images of a class are before any encoder.

use selfsame_concentration::forecast::{Measures, standard_error};
use selfsame_report::certificate::ConcentrationRecord;
use selfsame_theory::{Labels, Quantity, Side, Trust};

use super::between;
use crate::certify::facts::PixelFacts;
use crate::sampling::SIDE;

/// Minimum number of images per class for intervals from halves: half of three images are two.
pub const FEWEST: usize = 4;

/// Measures how near to each other the images of a class are, with intervals from halves of the
/// images.
pub fn concentration(labels: &Labels, found: &PixelFacts<'_>) -> ConcentrationRecord {
    let PixelFacts { pixels, keys, measures, halves, .. } = found;
    let few = labels.counts().iter().any(|&count| count < FEWEST);
    let estimated = |measure: &dyn Fn(&Measures) -> f64| {
        let value = measure(measures);
        let error = SIDE * standard_error(&halves.iter().map(measure).collect::<Vec<_>>());
        let (ends, method) = match error > 0.0 && !few {
            true => (
                Some([(value - error).max(0.0), (value + error).min(1.0)]),
                "delete-half jackknife over images, 95 %",
            ),
            false if few => (None, "a class has too few images to make halves of"),
            false => (None, "all halves of the images give the same"),
        };
        let (low, high) = (ends.map(|ends| ends[0]), ends.map(|ends| ends[1]));
        Quantity {
            value,
            trust: Trust::Estimate { low, high, method: method.into(), sample: pixels.distances.n },
        }
    };
    let delta = between(keys.map(|key| pixels.distances.metric.distance(key)), Side::AtMost);
    ConcentrationRecord {
        levels: Quantity {
            value: delta.value / (pixels.dim as f64).sqrt(),
            trust: delta.trust.clone(),
        },
        delta,
        budget: pixels.budget.map(|budget| budget.as_secs_f64()),
        sigma: between(measures.least_sigma(0), Side::AtLeast),
        sigma_interval: estimated(&|measures| measures.least_sigma(0)[0]),
        mean_sigma: between(measures.mean_sigma(0), Side::AtLeast),
        mean_sigma_interval: estimated(&|measures| measures.mean_sigma(0)[0]),
        overlap: Quantity::exact(measures.overlap[0]),
        touching: Quantity::exact(found.touching),
        separation: measures.separation.map(Quantity::exact),
        separation_interval: measures
            .separation
            .map(|_| estimated(&|measures| measures.separation.unwrap_or(0.5))),
    }
}
