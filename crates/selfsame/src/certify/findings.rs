//! Findings that follow from the numbers of a certificate: verdict, obstacles, advice, assumptions,
//! and omitted parts.

use selfsame_eval::MAX_DIM;
use selfsame_report::certificate::{
    Advice, Assumption, CertificateRecord, LeftOut, Obstacles, Premise, Verdict,
};
use selfsame_theory::bounds::certificate::{Certificate, Form};

use super::facts::{Facts, PixelFacts};
use super::measure::FEWEST;

/// Adds the findings to a record that already has its numbers and its split.
pub fn add(record: &mut CertificateRecord, facts: &Facts<'_>) {
    record.verdict = Some(verdict(record));
    record.obstacles = facts.pixels().and_then(|facts| obstacles(record, facts));
    record.advice = advice(record);
    record.assumptions = assumptions(record);
    record.left_out = left_out(record);
}

fn verdict(record: &CertificateRecord) -> Verdict {
    match (record.classes.len(), record.best_bound()) {
        (0, _) => Verdict::NoLabels,
        (1, _) => Verdict::SingleClass,
        (_, None) => Verdict::NoPixels,
        (_, Some(bound)) if bound.value < 1.0 => Verdict::Proved,
        (_, Some(_)) => Verdict::Vacuous,
    }
}

/// Explains why the printed theorem holds or not. Returns `None` if there is a single class.
fn obstacles(record: &CertificateRecord, facts: &PixelFacts<'_>) -> Option<Obstacles> {
    let divergence = record.divergence.as_ref()?;
    let closest = divergence.closest.first()?;
    let published = record.bounds.iter().find(|bound| bound.form == Form::Published)?;
    let holds = !published.certificate.vacuous();
    let (delta, epsilon, rho) = match holds {
        true => {
            let Certificate { delta, epsilon, sigma, outside, .. } = published.certificate;
            (delta, epsilon, facts.bound_inputs.rho(delta, epsilon, sigma, outside))
        }
        false => facts.bound_inputs.least_rho(),
    };
    let allowed = allowed_rho(closest.product.value, divergence.shortfall.value);
    Some(Obstacles { allowed, holds, delta, epsilon, rho })
}

/// Returns the bound below which ρ must stay so that the printed condition holds: ρ + √(2ρ) < 1 −
/// Δ_μ/2 − max μ_k·μ_ℓ.
fn allowed_rho(largest: f64, shortfall: f64) -> f64 {
    let root = (3.0 - 2.0 * largest - shortfall).max(0.0).sqrt() - 1.0;
    if root > 0.0 { 0.5 * root * root } else { 0.0 }
}

/// Says which factor to improve first. Returns `None` if no factor leaves anything to gain.
fn advice(record: &CertificateRecord) -> Option<Advice> {
    let bound = record.best_bound().map_or(1.0, |bound| bound.value);
    match record.first() {
        Some(best) => {
            Some(Advice::Improve { factor: best.factor, from: bound, to: best.bound.value })
        }
        None if bound > 0.0 && !record.what_if.is_empty() => Some(Advice::NoneAlone { bound }),
        None => None,
    }
}

fn assumptions(record: &CertificateRecord) -> Vec<Assumption> {
    let touching = record.concentration.as_ref().is_some_and(|found| found.touching.value > 0.0);
    [
        // The drawn views may all differ although other possible views are equal.
        (Premise::ClassesDoNotMeet, touching.then_some(false)),
        // Each embedding is divided by its length.
        (Premise::SameLength, Some(true)),
        // For given embeddings, it is unknown which view is the image.
        (Premise::ImageAmongItsViews, (!record.split.is_empty()).then_some(true)),
        (Premise::Lipschitz, None),
        (Premise::AllViews, None),
    ]
    .map(|(premise, holds)| Assumption { premise, holds })
    .into()
}

fn left_out(record: &CertificateRecord) -> Vec<LeftOut> {
    let few = record
        .classes
        .iter()
        .min_by_key(|class| class.images)
        .filter(|class| class.images < FEWEST && record.concentration.is_some());
    let few = few.map(|class| LeftOut::FewImages {
        class: class.name.clone(),
        images: class.images,
        needed: FEWEST,
    });
    let constant = record.correlation.as_ref().is_some_and(|found| found.constant > 0);
    let others = [
        (record.classes.is_empty(), LeftOut::NoLabels),
        (record.classes.len() == 1, LeftOut::SingleClass),
        (record.alignment.is_none(), LeftOut::SingleView),
        (record.split.is_empty(), LeftOut::NoPixels),
        (record.dim > MAX_DIM, LeftOut::TooWide { most: MAX_DIM }),
        (record.correlation.is_none(), LeftOut::NoCorrelation { most: MAX_DIM }),
        (constant, LeftOut::ConstantCoordinates),
    ];
    few.into_iter().chain(others.into_iter().filter_map(|(out, why)| out.then_some(why))).collect()
}

#[cfg(test)]
mod tests {
    use selfsame_report::certificate::{ErrorBound, Factor, WhatIf};
    use selfsame_theory::{Quantity, Trust};

    use super::*;

    #[test]
    fn a_factor_is_advised_only_where_it_improves_the_bound() {
        let advice = |own: f64, perfect: f64| {
            let certificate = Certificate {
                delta: 1.0,
                epsilon: 0.1,
                sigma: 1.0,
                outside: 0.0,
                error: own,
                slack: 0.1,
            };
            let [whole, by_class] = [own; 2].map(Quantity::at_most);
            let trust = Trust::Assumed { that: "views agree".into() };
            let bound = Quantity { value: perfect, trust };
            let what_if = WhatIf { factor: Factor::Alignment, bound, slack: 0.1 };
            super::advice(&CertificateRecord {
                bounds: vec![ErrorBound { form: Form::Sharpened, whole, certificate, by_class }],
                what_if: vec![what_if],
                ..CertificateRecord::default()
            })
        };
        let improve = |from, to| Some(Advice::Improve { factor: Factor::Alignment, from, to });
        assert_eq!(advice(0.5, 0.25), improve(0.5, 0.25));
        assert_eq!(advice(0.5, 0.5), Some(Advice::NoneAlone { bound: 0.5 }));
        // The factor that comes nearest.
        assert_eq!(advice(1.0, 1.0), improve(1.0, 1.0));
        assert_eq!(advice(0.0, 0.0), None);
    }

    #[test]
    fn what_rho_may_be_solves_the_condition() {
        for (largest, shortfall) in [(0.0, 0.0), (0.3, 0.1), (-0.5, 0.2)] {
            let rho = allowed_rho(largest, shortfall);
            let left = rho + (2.0 * rho).sqrt();
            assert!((left - (1.0 - 0.5 * shortfall - largest)).abs() < 1e-12, "{left}");
        }
        assert_eq!(allowed_rho(0.9, 0.3), 0.0);
    }
}
