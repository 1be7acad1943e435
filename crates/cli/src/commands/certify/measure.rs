//! From a finite world to the record of all that is measured and proved of it.

use std::ops::Range;

use selfsame::concentration::forecast::{Measures, halves, restrict, standard_error};
use selfsame::eval::{Features, MAX_DIM, Rows, geometry, sample as choose};
use selfsame::report::certificate::{
    AlignmentRecord, CertificateRecord, ClassRecord, ConcentrationRecord, CorrelationPair,
    CorrelationRecord, DivergenceRecord, ErrorBound, InfoNceRecord, LEVEL, LossPair, Named, Pair,
    Spread, WhatIf,
};
use selfsame::report::{band, mean_interval, wilson};
use selfsame::theory::bounds::certificate::Form;
use selfsame::theory::bounds::cross_correlation::Measured;
use selfsame::theory::bounds::{infonce, lipschitz, spread};
use selfsame::theory::measure::{self, Alignment, Centres, Diameters, Errors, InfoNce, Within};
use selfsame::theory::{Error, Labels, Quantity, Side, Trust, Views};

use super::world::{
    Ingredients, Parameters, Pixels, Sample, apart, gaps, points, without_constants,
};
use selfsame::sampling::{HALF_BUDGET, HALVES, SIDE};

/// Pairs of classes that are named.
const CLOSEST: usize = 10;
/// Up to this many classes all products of centres are written down.
const MATRIX_UP_TO: usize = 128;
/// Points of R_ε that are written down.
const SPREAD_POINTS: usize = 2000;
/// Up to this many multiplications of its products, and up to this many rows, L_2 is computed
/// exactly.
const EXACT_WORK: f64 = 2e11;
const EXACT_ROWS: usize = 20_000;
/// Triples that L_2 is estimated from otherwise.
const DRAWS: usize = 1_000_000;
/// Images that uniformity, which looks at all pairs, is measured on at most.
const UNIFORMITY_IMAGES: usize = 5000;
/// Images a class that halves say something of: a half of three is two.
pub const FEWEST: usize = 4;

/// What is computed once and used by several parts of the record.
pub struct World<'a> {
    pub sample: &'a Sample,
    /// On the sphere.
    pub views: Views<'a>,
    pub alignment: Alignment,
    pub diameters: Diameters,
    pub labelled: Option<Labelled<'a>>,
}

/// What needs labels.
pub struct Labelled<'a> {
    pub labels: &'a Labels,
    pub centres: Centres,
    pub errors: Errors,
    /// The error with each image left out of its centre, and of how many images.
    pub left_out: Option<(f64, usize)>,
    pub pixels: Option<Measurable<'a>>,
}

/// What needs labels and pixels.
pub struct Measurable<'a> {
    pub pixels: &'a Pixels,
    pub gaps: Vec<f64>,
    pub ingredients: Ingredients,
    /// The squared δ of the numbers shown, and what the search for it proved to be no more.
    pub key: u64,
    pub least_key: u64,
    pub measures: Measures,
    pub halves: Vec<Measures>,
    /// The share of images with a view that equals one of another class.
    pub touching: f64,
}

impl<'a> World<'a> {
    pub fn new(sample: &'a Sample, status: &mut dyn FnMut(&str)) -> anyhow::Result<Self> {
        let views =
            Views::new(sample.images, sample.views, sample.dim, &sample.values)?.on_sphere()?;
        status("alignment and view diameters");
        let alignment = measure::alignment(&views);
        let diameters = measure::diameters(&views);
        let labelled = match &sample.labels {
            Some(labels) => Some(Labelled::new(sample, &views, &diameters, labels, status)?),
            None => None,
        };
        Ok(Self { sample, views, alignment, diameters, labelled })
    }
}

impl<'a> Labelled<'a> {
    fn new(
        sample: &'a Sample,
        views: &Views<'_>,
        diameters: &Diameters,
        labels: &'a Labels,
        status: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Self> {
        status("class centres");
        let centres = measure::centres(views, labels)?;
        let errors = centres.errors(views, labels)?;
        let left_out = centres.error_left_out(views, labels)?;
        let Some(pixels) = &sample.pixels else {
            return Ok(Self { labels, centres, errors, left_out, pixels: None });
        };
        status("concentration, with intervals from halves of the images");
        let gaps = gaps(views, &pixels.distances);
        let ingredients =
            Ingredients::new(centres.products(), labels, &diameters.of_image, pixels, &gaps)?;
        let [least_key, key] = common_keys(pixels);
        let (of_image, classes) = (labels.of_image(), labels.classes());
        let measures =
            Measures::new(&pixels.distances, of_image, classes, &[key, 0], pixels.budget)?;
        let half = |images: Vec<usize>| {
            let labels: Vec<u32> = images.iter().map(|&image| of_image[image]).collect();
            let budget = pixels.budget.map(|budget| budget.min(HALF_BUDGET));
            Measures::new(&restrict(&pixels.distances, &images), &labels, classes, &[key], budget)
        };
        let halves = halves(of_image, classes, HALVES, sample.seed)
            .into_iter()
            .map(half)
            .collect::<Result<_, _>>()?;
        let pixels = Some(Measurable {
            pixels,
            gaps,
            ingredients,
            key,
            least_key,
            touching: measures.overlap[1],
            measures,
            halves,
        });
        Ok(Self { labels, centres, errors, left_out, pixels })
    }
}

/// Bounds of the squared δ at which the main part of the middle class holds half of it, from below
/// and from above, equal where it is exact; of an even number of classes the lower middle.
fn common_keys(pixels: &Pixels) -> [u64; 2] {
    let reached = |points: usize| ((LEVEL * points as f64).ceil() as usize).clamp(1, points) - 1;
    let points = || pixels.curves.iter().map(|curve| &curve.points[reached(curve.points.len())]);
    [points().map(|point| point.lower).collect(), points().map(|point| point.upper).collect()].map(
        |mut keys: Vec<u64>| {
            keys.sort_unstable();
            keys[(keys.len() - 1) / 2]
        },
    )
}

/// What lies between `low` and `high`, as the one of them on `side`: exact where they are equal.
fn between([low, high]: [f64; 2], side: Side) -> Quantity {
    let value = if side == Side::AtLeast { low } else { high };
    Quantity { value, trust: if low < high { Trust::Bound { side } } else { Trust::Exact } }
}

/// Everything that is a number, of the record.
pub fn numbers(
    world: &World<'_>,
    status: &mut dyn FnMut(&str),
) -> anyhow::Result<CertificateRecord> {
    let World { sample, views, labelled, .. } = world;
    let infonce =
        (sample.views > 1).then(|| infonce_loss(views, sample.seed, status)).transpose()?;
    status("the cross-correlation matrix");
    let correlation = CrossCorrelation::new(world)?;
    status("the error bound");
    let bounds =
        labelled.as_ref().and_then(|labelled| labelled.pixels.as_ref()).map(bounds).transpose()?;
    let best = bounds.as_ref().and_then(|bounds| bounds.last());
    status("uniformity and effective rank");
    let ratio =
        sample.pixels.as_ref().map(|pixels| largest_ratio(world, pixels)).transpose()?.flatten();
    Ok(CertificateRecord {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        images: sample.images,
        views: sample.views,
        dim: sample.dim,
        seed: sample.seed,
        classes: labelled
            .as_ref()
            .map(|labelled| classes(world, labelled))
            .transpose()?
            .unwrap_or_default(),
        alignment: (sample.views > 1)
            .then(|| alignment(world, best, ratio.as_ref()))
            .transpose()?,
        concentration: labelled
            .as_ref()
            .and_then(|found| Some(concentration(found.labels, found.pixels.as_ref()?))),
        divergence: match labelled {
            Some(labelled) => {
                Some(divergence(world, labelled, infonce.as_ref(), correlation.as_ref())?)
            }
            None => None,
        },
        errors: labelled
            .as_ref()
            .map(|labelled| errors(labelled, sample.views))
            .unwrap_or_default(),
        what_if: labelled
            .as_ref()
            .and_then(|labelled| labelled.pixels.as_ref())
            .map(|measurable| what_if(measurable, sample.dim))
            .transpose()?
            .unwrap_or_default(),
        bounds: bounds.unwrap_or_default(),
        infonce: infonce.map(|loss| infonce_record(world, &loss)).transpose()?,
        correlation: correlation.map(|correlation| correlation.record),
        geometry: shape(sample)?,
        lipschitz: ratio,
        ..CertificateRecord::default()
    })
}

fn infonce_loss(
    views: &Views<'_>,
    seed: u64,
    status: &mut dyn FnMut(&str),
) -> Result<InfoNce, Error> {
    status("the InfoNCE loss");
    let rows = views.rows();
    match rows <= EXACT_ROWS && (rows as f64).powi(2) * views.dim() as f64 <= EXACT_WORK {
        true => measure::infonce(views),
        false => measure::infonce_sampled(views, DRAWS, seed),
    }
}

fn estimate(value: f64, [low, high]: [f64; 2], method: &'static str, sample: usize) -> Quantity {
    Quantity {
        value,
        trust: Trust::Estimate { low: Some(low), high: Some(high), method: method.into(), sample },
    }
}

/// L_align of two independent draws. The first view of an image is the image itself, which was not
/// drawn, so it rests on the others.
fn of_draws(sample: &Sample) -> Result<Option<Quantity>, Error> {
    let drawn = sample.views - 1;
    if drawn < 2 {
        return Ok(None);
    }
    let values = some_views(sample, 1..sample.views);
    let found =
        measure::alignment(&Views::new(sample.images, drawn, sample.dim, &values)?.on_sphere()?);
    let correction = drawn as f64 / (drawn as f64 - 1.0);
    let value = correction * found.finite;
    let half = mean_interval(&found.of_image)
        .and_then(|interval| interval.half)
        .map(|half| half * correction);
    let trust = Trust::Estimate {
        low: half.map(|half| (value - half).max(0.0)),
        high: half.map(|half| value + half),
        method: "Student's t over images, 95 %".into(),
        sample: sample.images,
    };
    Ok(Some(Quantity { value, trust }))
}

fn alignment(
    world: &World<'_>,
    best: Option<&ErrorBound>,
    ratio: Option<&Quantity>,
) -> Result<AlignmentRecord, Error> {
    let World { sample, views, alignment, diameters, .. } = world;
    let sorted = diameters.sorted();
    let median = 0.5 * (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]);
    let step = sorted.len().div_ceil(SPREAD_POINTS).max(1);
    let kept = (0..sorted.len()).filter(|at| at % step == 0 || at + 1 == sorted.len());
    let curve = kept.map(|at| [sorted[at], diameters.share_above(sorted[at])]).collect();
    let mut at: Vec<f64> =
        best.map(|best| best.certificate.epsilon).into_iter().chain([median]).collect();
    at.retain(|&epsilon| epsilon > 0.0);
    at.sort_by(f64::total_cmp);
    at.dedup();
    let half = diameters_of_half(sample)?;
    let unbiased = of_draws(sample)?;
    let drawn = unbiased.as_ref().and_then(|drawn| match drawn.trust {
        Trust::Estimate { high, .. } => high,
        _ => None,
    });
    let spread = |epsilon| spread_at(world, &half, epsilon, ratio, drawn);
    Ok(AlignmentRecord {
        finite: Quantity::exact(alignment.finite),
        chance: Quantity::exact(2.0 * (1.0 - views.mean_norm2())),
        median_diameter: Quantity::exact(median),
        curve,
        spread: at.into_iter().map(spread).collect::<Result<_, _>>()?,
        unbiased,
    })
}

/// The embeddings of some views of each image.
fn some_views(sample: &Sample, views: Range<usize>) -> Vec<f32> {
    let images = sample.values.chunks_exact(sample.views * sample.dim);
    images
        .flat_map(|image| &image[views.start * sample.dim..views.end * sample.dim])
        .copied()
        .collect()
}

/// The view diameters over the first half of the views.
fn diameters_of_half(sample: &Sample) -> Result<Diameters, Error> {
    let views = sample.views.div_ceil(2);
    let values = some_views(sample, 0..views);
    Ok(measure::diameters(&Views::new(sample.images, views, sample.dim, &values)?.on_sphere()?))
}

/// R_ε at one ε; `drawn` is the upper end of L_align of two independent draws, which the published
/// theorem is about.
fn spread_at(
    world: &World<'_>,
    half: &Diameters,
    epsilon: f64,
    ratio: Option<&Quantity>,
    drawn: Option<f64>,
) -> Result<Spread, Error> {
    let published =
        |pixels: &Pixels, ratio: &Quantity, drawn: f64| -> Result<Option<Quantity>, Error> {
            let Parameters { discrete, continuous } = pixels.parameters;
            let lipschitz = (pixels.dim as f64).sqrt() * 255.0;
            let of = spread::Transformations { discrete, continuous, lipschitz };
            let rate = of.published(epsilon, ratio.value)?;
            let that = format!(
                "views are made by {discrete} discrete transformations and {continuous} continuous \
             parameters, a whole turn \
             of which moves a view no further than two images can be apart, the largest ratio \
             seen is the Lipschitz \
             constant, and L_align of two views drawn is no more than the upper end of its 95 % \
             interval, {drawn:.4}"
            );
            Ok(rate.ln_bound(drawn)?.map(|ln| Quantity {
                value: ln / std::f64::consts::LN_10,
                trust: Trust::Assumed { that: that.into() },
            }))
        };
    let outside = world.diameters.share_above(epsilon);
    // The images that are counted have chosen ε.
    let interval = band(outside, world.sample.images as u64);
    Ok(Spread {
        epsilon,
        outside: Quantity::exact(outside),
        outside_interval: estimate(
            outside,
            [interval.low, interval.high],
            "Dvoretzky, Kiefer and Wolfowitz, 95 % at every ε at once",
            world.sample.images,
        ),
        outside_of_half: Quantity::exact(half.share_above(epsilon)),
        bound: Quantity::at_most(spread::finite(
            world.alignment.finite,
            world.sample.views,
            epsilon,
        )?),
        log10_published: match (&world.sample.pixels, ratio, drawn) {
            (Some(pixels), Some(ratio), Some(drawn)) => published(pixels, ratio, drawn)?,
            _ => None,
        },
    })
}

/// The largest ratio of the distances after and before the encoder: of each image's views to
/// itself, and of the closest views of all pairs of images; none where all pixels are equal.
fn largest_ratio(world: &World<'_>, pixels: &Pixels) -> Result<Option<Quantity>, Error> {
    let m = world.sample.views;
    let within = (0..world.views.rows())
        .map(|row| (pixels.to_first[row], apart(&world.views, row, row / m * m)));
    let between = match world.labelled.as_ref().and_then(|labelled| labelled.pixels.as_ref()) {
        Some(measurable) => measurable.gaps.clone(),
        None => gaps(&world.views, &pixels.distances),
    };
    let metric = pixels.distances.metric;
    let between = pixels.distances.keys.iter().map(|&key| metric.distance(key)).zip(between);
    // The same pixels in another batch may differ in the last digit of their embeddings.
    let mut pairs = within.chain(between).filter(|(input, _)| *input > 0.0).peekable();
    pairs.peek().is_some().then(|| lipschitz::largest_ratio(pairs)).transpose()
}

fn concentration(labels: &Labels, measurable: &Measurable<'_>) -> ConcentrationRecord {
    let Measurable { pixels, key, least_key, measures, halves, .. } = measurable;
    let few = labels.counts().iter().any(|&count| count < FEWEST);
    let sampled = |of: &dyn Fn(&Measures) -> f64| {
        let value = of(measures);
        let error = SIDE * standard_error(&halves.iter().map(of).collect::<Vec<_>>());
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
    let delta =
        between([*least_key, *key].map(|key| pixels.distances.metric.distance(key)), Side::AtMost);
    ConcentrationRecord {
        levels: Quantity {
            value: delta.value / (pixels.dim as f64).sqrt(),
            trust: delta.trust.clone(),
        },
        delta,
        budget: pixels.budget.map(|budget| budget.as_secs_f64()),
        sigma: between(measures.least_sigma(0), Side::AtLeast),
        sigma_interval: sampled(&|measures| measures.least_sigma(0)[0]),
        mean_sigma: between(measures.mean_sigma(0), Side::AtLeast),
        mean_sigma_interval: sampled(&|measures| measures.mean_sigma(0)[0]),
        overlap: Quantity::exact(measures.overlap[0]),
        touching: Quantity::exact(measurable.touching),
        separation: measures.separation.map(Quantity::exact),
        separation_interval: measures
            .separation
            .map(|_| sampled(&|measures| measures.separation.unwrap_or(0.5))),
    }
}

fn classes(world: &World<'_>, labelled: &Labelled<'_>) -> anyhow::Result<Vec<ClassRecord>> {
    let Labelled { labels, centres, errors, pixels, .. } = labelled;
    let alignment = world.alignment.of_classes(labels)?;
    let certificates = match pixels {
        Some(pixels) => Some(pixels.ingredients.world()?.certify_classes(Form::Sharpened).classes),
        None => None,
    };
    let own = selfsame::concentration::forecast::members(labels.of_image(), labels.classes());
    let class = |k: usize| {
        let certificate = certificates.as_ref().map(|certificates| certificates[k]);
        let sigma =
            |measurable: &Measurable<'_>| between(measurable.measures.sigma[0][k], Side::AtLeast);
        let curve =
            |m: &Measurable<'_>| points(&own[k], &m.pixels.curves[k], world.sample.images, &m.gaps);
        ClassRecord {
            name: world.sample.classes[k].clone(),
            images: labels.counts()[k],
            alignment: (world.sample.views > 1).then(|| Quantity::exact(alignment[k])),
            norm2: Quantity::exact(centres.product(k, k)),
            error: Quantity::exact(errors.of_class[k]),
            bound: certificate.map(|certificate| certificate.quantity(&Trust::Exact)),
            certificate,
            sigma: pixels.as_ref().map(sigma),
            separation: pixels
                .as_ref()
                .and_then(|m| m.measures.class_separation[k].map(Quantity::exact)),
            curve: pixels.as_ref().map(curve).unwrap_or_default(),
        }
    };
    Ok((0..labels.classes()).map(class).collect())
}

fn errors(labelled: &Labelled<'_>, views: usize) -> Vec<Named> {
    let Errors { overall, any_view, .. } = labelled.errors;
    let left_out = labelled.left_out.map(|(error, images)| {
        let interval = wilson(error, images as u64);
        estimate(
            error,
            [interval.low, interval.high],
            "each image left out of its centre; Wilson, 95 %",
            images,
        )
    });
    let named = |(name, quantity): (&str, Option<Quantity>)| {
        quantity.map(|q| Named { name: name.into(), quantity: q })
    };
    [
        ("nearest centre", Some(Quantity::exact(overall))),
        ("nearest centre, any view", (views > 1).then(|| Quantity::exact(any_view))),
        ("nearest centre, others of their kind", left_out),
    ]
    .into_iter()
    .filter_map(named)
    .collect()
}

fn bounds(measurable: &Measurable<'_>) -> Result<Vec<ErrorBound>, Error> {
    let world = measurable.ingredients.world()?;
    let bound = |form| {
        let certificate = world.certify(form);
        let by_class = world.certify_classes(form).error;
        ErrorBound {
            form,
            whole: certificate.quantity(&Trust::Exact),
            certificate,
            by_class: Quantity::at_most(by_class),
        }
    };
    Ok([Form::Derived, Form::Published, Form::Sharpened].map(bound).into())
}

fn what_if(measurable: &Measurable<'_>, dim: usize) -> Result<Vec<WhatIf>, Error> {
    let own = &measurable.ingredients;
    let k = own.classes.len();
    let apart = match k {
        _ if k <= dim + 1 => "centres, of the lengths they have, as far apart as can be".to_owned(),
        _ if k <= 2 * dim => format!(
            "centres, of the lengths they have, at right angles or more, and {k} of them are no \
             further apart in {dim} \
             dimensions"
        ),
        _ => format!(
            "centres, of the lengths they have, at right angles, a limit that {k} of them do not \
             reach in {dim} dimensions"
        ),
    };
    let worlds = [
        ("alignment", "all views of an image in one point".to_owned(), own.aligned()),
        ("divergence", apart, own.divergent(dim)),
        ("concentration", "a view that all images of a class share".to_owned(), own.concentrated()),
    ];
    let worlds = worlds.into_iter().filter(|(factor, ..)| *factor != "divergence" || k > 1);
    let what_if = |(factor, perfect, ingredients): (&str, String, Ingredients)| {
        let world = ingredients.world()?;
        let whole = world.certify(Form::Sharpened);
        let value = world.certify_classes(Form::Sharpened).error.min(whole.bound());
        let trust = Trust::Assumed { that: perfect.clone().into() };
        let bound = Quantity { value, trust };
        Ok(WhatIf { factor: factor.into(), perfect, bound, slack: whole.slack })
    };
    worlds.map(what_if).collect()
}

fn divergence(
    world: &World<'_>,
    labelled: &Labelled<'_>,
    loss: Option<&InfoNce>,
    correlation: Option<&CrossCorrelation>,
) -> Result<DivergenceRecord, Error> {
    let centres = &labelled.centres;
    let (k, masses) = (centres.classes(), centres.masses());
    let mut pairs: Vec<[usize; 2]> = (0..k).flat_map(|a| (a + 1..k).map(move |b| [a, b])).collect();
    let product = |[a, b]: [usize; 2]| centres.product(a, b);
    pairs.sort_by(|&a, &b| product(b).total_cmp(&product(a)).then(a.cmp(&b)));
    pairs.truncate(CLOSEST);
    let of_loss = match loss {
        Some(loss) => {
            let (l2, trust) = upper(&loss.l2);
            let pairwise = infonce::pairwise(
                l2,
                &infonce::classes(&world.alignment, centres, labelled.labels)?,
            );
            Some((l2, trust, pairwise))
        }
        None => None,
    };
    let by_loss = |[a, b]: [usize; 2], weights: [f64; 2]| -> Result<Option<LossPair>, Error> {
        let Some((l2, trust, pairwise)) = &of_loss else { return Ok(None) };
        let bound = |value: f64| Quantity { value, trust: trust.clone() };
        let published = bound(infonce::published_best(*l2, weights, &world.diameters)?);
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

/// An upper end of L_2, and what a bound from it is worth: bounds rise with L_2.
fn upper(l2: &Quantity) -> (f64, Trust) {
    match &l2.trust {
        Trust::Estimate { high: Some(high), .. } => (
            *high,
            Trust::Assumed { that: "L_2 lies below the upper end of its 95 % interval".into() },
        ),
        trust => (l2.value, Trust::of_bound(Side::AtMost, std::slice::from_ref(trust))),
    }
}

fn infonce_record(world: &World<'_>, loss: &InfoNce) -> Result<InfoNceRecord, Error> {
    let (l2, trust) = upper(&loss.l2);
    let bound = |value: f64, trust: &Trust| Quantity { value, trust: trust.clone() };
    let record = InfoNceRecord {
        l1: Quantity::exact(loss.l1),
        l2: loss.l2.clone(),
        average: None,
        label_free: None,
        from_mean: None,
    };
    let Some(labelled) = &world.labelled else { return Ok(record) };
    let classes = infonce::classes(&world.alignment, &labelled.centres, labelled.labels)?;
    let masses = labelled.labels.masses();
    // Rounding may leave the alignment of opposite views a digit above 2.
    let alignment = world.alignment.finite.min(2.0);
    Ok(InfoNceRecord {
        average: infonce::average(l2, &classes).map(|value| bound(value, &trust)),
        label_free: infonce::label_free(l2, alignment, &masses)?.map(|value| bound(value, &trust)),
        from_mean: infonce::average_from_mean(world.views.mean_norm2(), &masses)?
            .map(Quantity::at_most),
        ..record
    })
}

/// The cross-correlation of what varies, and bounds from it.
struct CrossCorrelation {
    record: CorrelationRecord,
    labelled: Option<(Measured, Centres)>,
}

impl CrossCorrelation {
    /// None where nothing varies, or there are too many coordinates for a matrix.
    fn new(world: &World<'_>) -> Result<Option<Self>, Error> {
        let sample = world.sample;
        let (values, dim) = without_constants(sample);
        if dim == 0 || dim > MAX_DIM {
            return Ok(None);
        }
        let views = Views::new(sample.images, sample.views, dim, &values[..])?.standardised()?;
        let correlation = measure::correlation(&views)?;
        let (d, l2, trace) = (dim as f64, correlation.l2(), correlation.trace());
        let align = measure::alignment(&views).finite;
        let mut record = CorrelationRecord {
            dim,
            constant: sample.dim - dim,
            l1: (sample.views > 1).then(|| Quantity::exact(correlation.l1())),
            l2: Quantity::exact(l2),
            trace: Quantity::exact(trace),
            trace_residual: Quantity::exact((align - 2.0 * (d - trace)).abs() / (2.0 * d)),
            gram_residual: None,
            within: None,
            average: None,
            average_bound: None,
        };
        let Some(labelled) = &world.labelled else {
            return Ok(Some(Self { record, labelled: None }));
        };
        let centres = measure::centres(&views, labelled.labels)?;
        let (k, masses) = (centres.classes(), centres.masses());
        let Within { within, from_identity } = correlation.within_classes(&centres)?;
        let measured = Measured::new(l2, within, dim, k)?;
        let of_classes: Vec<(f64, f64)> =
            (0..k).map(|class| (masses[class], centres.product(class, class))).collect();
        record.gram_residual = Some(Quantity::exact(gram_residual(&centres, from_identity, dim)));
        record.within = Some(Quantity::exact(within));
        record.average = off_simplex(&centres).map(Quantity::exact);
        record.average_bound = measured.average(&of_classes)?.map(Quantity::at_most);
        Ok(Some(Self { record, labelled: Some((measured, centres)) }))
    }

    fn pair(&self, [a, b]: [usize; 2], masses: [f64; 2]) -> Result<Option<CorrelationPair>, Error> {
        let Some((measured, centres)) = &self.labelled else { return Ok(None) };
        Ok(Some(CorrelationPair {
            product: Quantity::exact(centres.product(a, b)),
            most: Quantity::exact((centres.product(a, a) * centres.product(b, b)).max(0.0).sqrt()),
            published: Quantity::at_most(measured.published(masses)?),
            sharper: Quantity::at_most(measured.sharper(masses)?),
            centred: Quantity::at_most(measured.centred(masses)?),
        }))
    }
}

/// Both sides of ‖Σ p_k μ_k μ_kᵀ − I‖² = Σ (√(p_k p_ℓ) μ_k·μ_ℓ − δ_kℓ)² + d − K, the left one
/// given: their difference over the larger.
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

/// The root of the mean of (μ_k·μ_ℓ + 1)² over pairs of different classes, weighted by p_k p_ℓ.
fn off_simplex(centres: &Centres) -> Option<f64> {
    let (k, masses) = (centres.classes(), centres.masses());
    let pairs = || (0..k * k).map(|at| (at / k, at % k)).filter(|(a, b)| a != b);
    let weight: f64 = pairs().map(|(a, b)| masses[a] * masses[b]).sum();
    let total: f64 =
        pairs().map(|(a, b)| masses[a] * masses[b] * (centres.product(a, b) + 1.0).powi(2)).sum();
    (k > 1).then(|| (total / weight).sqrt())
}

/// Rows that stay where they are; [`World::new`] has checked them.
struct Borrowed<'a> {
    rows: usize,
    dim: usize,
    values: &'a [f32],
}

impl Rows for Borrowed<'_> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn read(&self, row: usize, into: &mut [f32]) {
        into.copy_from_slice(&self.values[row * self.dim..][..self.dim]);
    }
}

/// Measures of the originals' embeddings that need no labels.
fn shape(sample: &Sample) -> anyhow::Result<Vec<Named>> {
    let stride = sample.views * sample.dim;
    let originals = |chosen: &[usize]| {
        let values = chosen
            .iter()
            .flat_map(|&image| &sample.values[image * stride..][..sample.dim])
            .copied();
        Features::new(chosen.len(), sample.dim, values.collect())
    };
    let mut found: Vec<(&str, Quantity)> = Vec::new();
    let chosen = choose(sample.images, UNIFORMITY_IMAGES);
    if chosen.len() > 1 {
        let value = geometry::uniformity(&originals(&chosen)?)?;
        let trust = match chosen.len() < sample.images {
            true => Trust::Estimate {
                low: None,
                high: None,
                method: "a part of the images".into(),
                sample: chosen.len(),
            },
            false => Trust::Exact,
        };
        found.push(("uniformity", Quantity { value, trust }));
    }
    if sample.dim <= MAX_DIM {
        let all = originals(&(0..sample.images).collect::<Vec<_>>())?;
        found.push(("RankMe", Quantity::exact(geometry::rank_me(&all)?)));
        if let Some(alpha) = geometry::alpha_req(&all)? {
            found.push(("αReQ", Quantity::exact(alpha)));
        }
        if sample.views > 1 {
            let rows = Borrowed {
                rows: sample.images * sample.views,
                dim: sample.dim,
                values: &sample.values,
            };
            found.push(("LiDAR", Quantity::exact(geometry::lidar(&rows, sample.views)?)));
        }
    }
    Ok(found.into_iter().map(|(name, quantity)| Named { name: name.into(), quantity }).collect())
}
