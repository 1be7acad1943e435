//! Concentration: how near to each other the images of a class are before any encoder.

use selfsame_concentration::forecast::Measures;
use selfsame_report::certificate::ConcentrationRecord;
use selfsame_theory::{Labels, Quantity, Side, Trust};

use super::between;
use crate::certify::facts::PixelFacts;

/// Minimum number of images per class for intervals from halves: half of three images are two.
pub const FEWEST: usize = 4;

/// Measures how near to each other the images of a class are, with intervals from halves of the
/// images.
pub fn concentration(labels: &Labels, found: &PixelFacts<'_>) -> ConcentrationRecord {
    let PixelFacts { pixels, keys, measures, halves, of_halves, .. } = found;
    let few = labels.counts().iter().any(|&count| count < FEWEST);
    let estimated = |measure: &dyn Fn(&Measures) -> f64| {
        let value = measure(measures);
        let of_halves: Vec<f64> = of_halves.iter().map(measure).collect();
        let (ends, method) = match halves.interval(value, &of_halves, [0.0, 1.0]) {
            Some(ends) if !few && ends[0] < ends[1] => {
                (Some(ends), "delete-half jackknife over images, 95%")
            }
            Some(_) if !few => (None, "all halves of the images give the same"),
            _ => (None, "a class has too few images to make halves of"),
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
