//! Alignment: how similar the views of an image are, and what follows from that.

use std::ops::Range;

use selfsame_report::certificate::{AlignmentRecord, ErrorBound, Spread};
use selfsame_report::{band, mean_interval};
use selfsame_theory::bounds::{lipschitz, spread};
use selfsame_theory::measure::{self, Diameters};
use selfsame_theory::{Error, Quantity, Trust, Views};

use super::estimate;
use crate::certify::facts::Facts;
use crate::certify::inputs::{EmbeddedImages, Pixels, PolicyParameters, gaps, row_distance};

/// Maximum number of points of R_ε to write.
const SPREAD_POINTS: usize = 2000;

/// Measures L_align, and R_ε over ε. `best` is the bound whose ε is shown. `ratio` is the largest
/// ratio of a distance after the encoder to the distance before it.
pub fn alignment(
    facts: &Facts<'_>,
    best: Option<&ErrorBound>,
    ratio: Option<&Quantity>,
) -> Result<AlignmentRecord, Error> {
    let Facts { embedded, views, alignment, diameters, .. } = facts;
    let sorted = diameters.sorted();
    let median = 0.5 * (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]);
    let step = sorted.len().div_ceil(SPREAD_POINTS).max(1);
    let indices = (0..sorted.len()).filter(|index| index % step == 0 || index + 1 == sorted.len());
    let curve =
        indices.map(|index| [sorted[index], diameters.share_above(sorted[index])]).collect();
    let mut epsilons: Vec<f64> =
        best.map(|best| best.certificate.epsilon).into_iter().chain([median]).collect();
    epsilons.retain(|&epsilon| epsilon > 0.0);
    epsilons.sort_by(f64::total_cmp);
    epsilons.dedup();
    let half = diameters_of_half(embedded)?;
    let unbiased = unbiased(embedded)?;
    let most = unbiased.as_ref().and_then(|unbiased| match unbiased.trust {
        Trust::Estimate { high, .. } => high,
        _ => None,
    });
    let spread = |epsilon| spread_at(facts, &half, epsilon, ratio, most);
    Ok(AlignmentRecord {
        finite: Quantity::exact(alignment.finite),
        chance: Quantity::exact(2.0 * (1.0 - views.mean_norm2())),
        median_diameter: Quantity::exact(median),
        curve,
        spread: epsilons.into_iter().map(spread).collect::<Result<_, _>>()?,
        unbiased,
    })
}

/// Estimates L_align of two independent draws from all views but the first, which is the image
/// itself and was not drawn. Returns `None` if fewer than two views were drawn.
fn unbiased(embedded: &EmbeddedImages<'_>) -> Result<Option<Quantity>, Error> {
    let drawn = embedded.views - 1;
    if drawn < 2 {
        return Ok(None);
    }
    let values = some_views(embedded, 1..embedded.views);
    let views = Views::new(embedded.images, drawn, embedded.dim, &values)?.on_sphere()?;
    let found = measure::alignment(&views);
    // Leave out pairs of a view with itself: such pairs are not independent draws.
    let correction = drawn as f64 / (drawn as f64 - 1.0);
    let value = correction * found.finite;
    let half = mean_interval(&found.of_image)
        .and_then(|interval| interval.half)
        .map(|half| half * correction);
    let trust = Trust::Estimate {
        low: half.map(|half| (value - half).max(0.0)),
        high: half.map(|half| value + half),
        method: "Student's t over images, 95%".into(),
        sample: embedded.images,
    };
    Ok(Some(Quantity { value, trust }))
}

/// Copies the embeddings of the given views of each image.
fn some_views(embedded: &EmbeddedImages<'_>, views: Range<usize>) -> Vec<f32> {
    let dim = embedded.dim;
    let images = embedded.values.chunks_exact(embedded.views * dim);
    images.flat_map(|image| &image[views.start * dim..views.end * dim]).copied().collect()
}

/// Computes the view diameters over the first half of the views.
fn diameters_of_half(embedded: &EmbeddedImages<'_>) -> Result<Diameters, Error> {
    let half = embedded.views.div_ceil(2);
    let values = some_views(embedded, 0..half);
    let views = Views::new(embedded.images, half, embedded.dim, &values)?.on_sphere()?;
    Ok(measure::diameters(&views))
}

/// Returns R_ε at one ε. `most` is the upper end of L_align of two independent draws, to which the
/// published theorem refers.
fn spread_at(
    facts: &Facts<'_>,
    half: &Diameters,
    epsilon: f64,
    ratio: Option<&Quantity>,
    most: Option<f64>,
) -> Result<Spread, Error> {
    let images = facts.embedded.images;
    let outside = facts.diameters.share_above(epsilon);
    // ε was chosen from the same images that are counted, so the interval must hold at every ε.
    let interval = band(outside, images as u64);
    let method = "Dvoretzky, Kiefer and Wolfowitz, 95% at every ε at once";
    let bound = spread::finite(facts.alignment.finite, facts.embedded.views, epsilon)?;
    Ok(Spread {
        epsilon,
        outside: Quantity::exact(outside),
        outside_interval: estimate(outside, [interval.low, interval.high], method, images),
        outside_of_half: Quantity::exact(half.share_above(epsilon)),
        bound: Quantity::at_most(bound),
        log10_published: match (&facts.embedded.pixels, ratio, most) {
            (Some(pixels), Some(ratio), Some(most)) => published(pixels, epsilon, ratio, most)?,
            _ => None,
        },
    })
}

/// Returns log₁₀ of the bound on R_ε in the published theorem 2.
fn published(
    pixels: &Pixels,
    epsilon: f64,
    ratio: &Quantity,
    most: f64,
) -> Result<Option<Quantity>, Error> {
    let PolicyParameters { discrete, continuous } = pixels.parameters;
    let lipschitz = (pixels.dim as f64).sqrt() * 255.0;
    let transformations = spread::Transformations { discrete, continuous, lipschitz };
    let rate = transformations.published(epsilon, ratio.value)?;
    let that = format!(
        "views are made by {discrete} discrete transformations and {continuous} continuous \
         parameters, a whole turn of which moves a view no further than two images can be apart, \
         the largest ratio seen is the Lipschitz constant, and L_align of two views drawn is no \
         more than the upper end of its 95% interval, {most:.4}"
    );
    Ok(rate.ln_bound(most)?.map(|ln| Quantity {
        value: ln / std::f64::consts::LN_10,
        trust: Trust::Assumed { that: that.into() },
    }))
}

/// Computes the largest ratio of a distance after the encoder to the distance before it. The pairs
/// are each image and its views, and the closest views of every two images. Returns `None` without
/// pixels, or if all pixels are equal.
pub fn largest_ratio(facts: &Facts<'_>) -> Result<Option<Quantity>, Error> {
    let Some(pixels) = &facts.embedded.pixels else { return Ok(None) };
    let m = facts.embedded.views;
    let within = (0..facts.views.rows())
        .map(|row| (pixels.to_original[row], row_distance(&facts.views, row, row / m * m)));
    let between = match facts.pixels() {
        Some(found) => found.gaps.clone(),
        None => gaps(&facts.views, &pixels.distances),
    };
    let metric = pixels.distances.metric;
    let between = pixels.distances.keys.iter().map(|&key| metric.distance(key)).zip(between);
    // Leave out pairs with equal pixels: in another batch their embeddings may differ in the last
    // digit.
    let mut pairs = within.chain(between).filter(|(input, _)| *input > 0.0).peekable();
    pairs.peek().is_some().then(|| lipschitz::largest_ratio(pairs)).transpose()
}
