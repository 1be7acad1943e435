//! Divergence: how far apart the centres of classes are, and what the InfoNCE loss proves about it.

use selfsame_report::certificate::{DivergenceRecord, InfoNceRecord, LossPair, Pair};
use selfsame_theory::bounds::infonce;
use selfsame_theory::measure::{self, InfoNce};
use selfsame_theory::{Error, Quantity, Side, Trust, Views};

use super::correlation::CorrelationBounds;
use crate::Progress;
use crate::certify::facts::{ClassFacts, Facts};

/// Number of closest pairs of classes to name.
const CLOSEST: usize = 10;
/// Maximum number of classes for which all products of centres are written.
const MATRIX_UP_TO: usize = 128;
/// Maximum number of multiplications, and maximum number of rows, for which L_2 is computed
/// exactly.
const EXACT_WORK: f64 = 2e11;
const EXACT_ROWS: usize = 20_000;
/// Number of triples from which L_2 is estimated otherwise.
const DRAWS: usize = 1_000_000;

/// Measures how far apart the centres of classes are, with the closest pairs and bounds on their
/// products.
pub fn divergence(
    facts: &Facts<'_>,
    found: &ClassFacts<'_>,
    loss: Option<&InfoNce>,
    correlation: Option<&CorrelationBounds>,
) -> Result<DivergenceRecord, Error> {
    let centres = &found.centres;
    let (k, masses) = (centres.classes(), centres.masses());
    let mut pairs: Vec<[usize; 2]> = (0..k).flat_map(|a| (a + 1..k).map(move |b| [a, b])).collect();
    let product = |[a, b]: [usize; 2]| centres.product(a, b);
    pairs.sort_by(|&a, &b| product(b).total_cmp(&product(a)).then(a.cmp(&b)));
    pairs.truncate(CLOSEST);
    let of_loss = match loss {
        Some(loss) => {
            let (l2, trust) = upper_end(&loss.l2);
            let classes = infonce::classes(&facts.alignment, centres, found.labels)?;
            let pairwise = infonce::pairwise(l2, &classes);
            Some((l2, trust, pairwise))
        }
        None => None,
    };
    let by_loss = |[a, b]: [usize; 2], weights: [f64; 2]| -> Result<Option<LossPair>, Error> {
        let Some((l2, trust, pairwise)) = &of_loss else { return Ok(None) };
        let bound = |value: f64| Quantity { value, trust: trust.clone() };
        let published = bound(infonce::published_best(*l2, weights, &facts.diameters)?);
        Ok(Some(LossPair { published, pairwise: bound(pairwise[a * k + b]) }))
    };
    let pair = |&[a, b]: &[usize; 2]| {
        let weights = [masses[a], masses[b]];
        Ok(Pair {
            classes: [a, b],
            product: Quantity::exact(product([a, b])),
            infonce: by_loss([a, b], weights)?,
            correlation: correlation
                .map(|correlation| correlation.pair([a, b], weights))
                .transpose()?
                .flatten(),
        })
    };
    let closest: Vec<Pair> = pairs.iter().map(pair).collect::<Result<_, Error>>()?;
    Ok(DivergenceRecord {
        largest: closest.first().map(|pair| pair.product.clone()),
        mean: centres.mean_divergence().map(Quantity::exact),
        shortfall: Quantity::exact(centres.shortfall(1.0)),
        closest,
        products: if k <= MATRIX_UP_TO { centres.products().to_vec() } else { Vec::new() },
    })
}

/// Returns the upper end of L_2, and the trust in a bound computed from it: bounds rise with L_2.
fn upper_end(l2: &Quantity) -> (f64, Trust) {
    match &l2.trust {
        Trust::Estimate { high: Some(high), .. } => (
            *high,
            Trust::Assumed { that: "L_2 lies below the upper end of its 95% interval".into() },
        ),
        trust => (l2.value, Trust::of_bound(Side::AtMost, &[(trust, Side::AtMost)])),
    }
}

/// Returns the parts of the InfoNCE loss, and what it proves about the mean product of centres.
pub fn infonce(facts: &Facts<'_>, loss: &InfoNce) -> Result<InfoNceRecord, Error> {
    let (l2, trust) = upper_end(&loss.l2);
    let bound = |value: f64, trust: &Trust| Quantity { value, trust: trust.clone() };
    let record = InfoNceRecord {
        l1: Quantity::exact(loss.l1),
        l2: loss.l2.clone(),
        average: None,
        label_free: None,
        from_mean: None,
    };
    let Some(found) = &facts.classes else { return Ok(record) };
    let classes = infonce::classes(&facts.alignment, &found.centres, found.labels)?;
    let masses = found.labels.masses();
    // Rounding may leave the alignment of opposite views slightly above 2.
    let alignment = facts.alignment.finite.min(2.0);
    Ok(InfoNceRecord {
        average: infonce::average(l2, &classes).map(|value| bound(value, &trust)),
        label_free: infonce::label_free(l2, alignment, &masses)?.map(|value| bound(value, &trust)),
        from_mean: infonce::average_from_mean(facts.views.mean_norm2(), &masses)?
            .map(Quantity::at_most),
        ..record
    })
}

/// Computes the InfoNCE loss: exactly if that is feasible, otherwise as an estimate.
pub fn loss(views: &Views<'_>, seed: u64, progress: &mut dyn Progress) -> Result<InfoNce, Error> {
    progress.note("the InfoNCE loss");
    let rows = views.rows();
    match rows <= EXACT_ROWS && (rows as f64).powi(2) * views.dim() as f64 <= EXACT_WORK {
        true => measure::infonce(views),
        false => measure::infonce_sampled(views, DRAWS, seed),
    }
}
