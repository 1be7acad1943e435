//! Turns the facts of a finite world into the numbers of its certificate.

mod alignment;
mod bounds;
mod concentration;
mod correlation;
mod divergence;
mod geometry;

use selfsame_concentration::forecast::members;
use selfsame_report::certificate::{CertificateRecord, ClassRecord, Named};
use selfsame_report::wilson;
use selfsame_theory::bounds::certificate::Form;
use selfsame_theory::measure::Errors;
use selfsame_theory::{Quantity, Side, Trust};

pub use self::concentration::FEWEST;
use self::correlation::CorrelationBounds;
use super::facts::{ClassFacts, Facts, PixelFacts};
use super::inputs::curve_points;
use crate::{Error, Progress};

/// Builds the record of everything that is measured and proved. Its subject and findings are added
/// later.
pub fn numbers(facts: &Facts<'_>, progress: &mut dyn Progress) -> Result<CertificateRecord, Error> {
    let (embedded, pixels) = (facts.embedded, facts.pixels());
    let several_views = embedded.views > 1;
    let loss = match several_views {
        true => Some(divergence::loss(&facts.views, embedded.seed, progress)?),
        false => None,
    };
    progress.note("the cross-correlation matrix");
    let correlation = CorrelationBounds::new(facts)?;
    progress.note("the error bound");
    let bounds = pixels.map(bounds::bounds).transpose()?.unwrap_or_default();
    let what_if = pixels.map(|pixels| bounds::what_if(pixels, embedded.dim)).transpose()?;
    progress.note("uniformity and effective rank");
    let ratio = alignment::largest_ratio(facts)?;
    let alignment = match several_views {
        true => Some(alignment::alignment(facts, bounds.last(), ratio.as_ref())?),
        false => None,
    };
    let mut record = CertificateRecord {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        images: embedded.images,
        views: embedded.views,
        dim: embedded.dim,
        seed: embedded.seed,
        alignment,
        what_if: what_if.unwrap_or_default(),
        bounds,
        infonce: loss.as_ref().map(|loss| divergence::infonce(facts, loss)).transpose()?,
        geometry: geometry::geometry(embedded)?,
        lipschitz: ratio,
        ..CertificateRecord::default()
    };
    if let Some(found) = &facts.classes {
        let (loss, correlation) = (loss.as_ref(), correlation.as_ref());
        record.classes = classes(facts, found)?;
        record.divergence = Some(divergence::divergence(facts, found, loss, correlation)?);
        record.errors = errors(found, embedded.views);
        record.concentration =
            pixels.map(|pixels| concentration::concentration(found.labels, pixels));
    }
    record.correlation = correlation.map(|correlation| correlation.record);
    Ok(record)
}

fn classes(facts: &Facts<'_>, found: &ClassFacts<'_>) -> Result<Vec<ClassRecord>, Error> {
    let ClassFacts { labels, centres, errors, pixels, .. } = found;
    let embedded = facts.embedded;
    let alignment = facts.alignment.of_classes(labels)?;
    let certificates = match pixels {
        Some(pixels) => Some(pixels.bound_inputs.world()?.certify_classes(Form::Sharpened).classes),
        None => None,
    };
    let members = members(labels.of_image(), labels.classes());
    let class = |k: usize| {
        let certificate = certificates.as_ref().map(|certificates| certificates[k]);
        let sigma =
            |facts: &PixelFacts<'_>| Some(between(facts.measures.sigma[0][k]?, Side::AtLeast));
        let separation = |facts: &PixelFacts<'_>| facts.measures.class_separation[k];
        let curve = |facts: &PixelFacts<'_>| {
            curve_points(&members[k], &facts.pixels.curves[k], embedded.images, &facts.gaps)
        };
        ClassRecord {
            name: embedded.classes[k].clone(),
            images: labels.counts()[k],
            alignment: (embedded.views > 1).then(|| Quantity::exact(alignment[k])),
            norm2: Quantity::exact(centres.product(k, k)),
            error: Quantity::exact(errors.of_class[k]),
            bound: certificate.map(|certificate| certificate.quantity(&Trust::Exact)),
            certificate,
            sigma: pixels.as_ref().and_then(sigma),
            separation: pixels.as_ref().and_then(separation).map(Quantity::exact),
            curve: pixels.as_ref().map(curve).unwrap_or_default(),
        }
    };
    Ok((0..labels.classes()).map(class).collect())
}

/// Returns the errors of the nearest-centre classifier. The error that the bounds are about comes
/// first.
fn errors(found: &ClassFacts<'_>, views: usize) -> Vec<Named> {
    let Errors { overall, any_view, .. } = found.errors;
    let left_out = found.error_left_out.map(|(error, images)| {
        let interval = wilson(error, images as u64);
        let method = "each image left out of its centre; Wilson, 95%";
        estimate(error, [interval.low, interval.high], method, images)
    });
    let errors = [
        ("nearest centre", Some(Quantity::exact(overall))),
        ("nearest centre, any view", (views > 1).then(|| Quantity::exact(any_view))),
        ("nearest centre, others of their kind", left_out),
    ];
    let named = |(name, quantity): (&str, Option<Quantity>)| {
        Some(Named { name: name.into(), quantity: quantity? })
    };
    errors.into_iter().filter_map(named).collect()
}

/// Wraps a number between `low` and `high` as a bound on `side`, or as exact if they are equal.
fn between([low, high]: [f64; 2], side: Side) -> Quantity {
    let value = if side == Side::AtLeast { low } else { high };
    Quantity { value, trust: if low < high { Trust::Bound { side } } else { Trust::Exact } }
}

/// Wraps an estimate with its interval.
fn estimate(value: f64, [low, high]: [f64; 2], method: &'static str, sample: usize) -> Quantity {
    Quantity {
        value,
        trust: Trust::Estimate { low: Some(low), high: Some(high), method: method.into(), sample },
    }
}
