//! What the numbers of a certificate say: verdict, what stands in the way, what to change, what is
//! assumed.

use selfsame::eval::MAX_DIM;
use selfsame::report::certificate::{Assumption, CertificateRecord, ErrorBound, WhatIf};
use selfsame::report::{number_to, percent, percent_up};
use selfsame::theory::bounds::certificate::{Certificate, Form};
use selfsame::theory::{Quantity, Side};

use super::measure::{FEWEST, Measurable, World};

/// The record with its sentences.
pub fn with_words(record: CertificateRecord, world: &World<'_>) -> CertificateRecord {
    let measurable = world.labelled.as_ref().and_then(|labelled| labelled.pixels.as_ref());
    CertificateRecord {
        verdict: verdict(&record),
        obstacles: measurable.map(|measurable| obstacles(&record, measurable)).unwrap_or_default(),
        advice: advice(&record),
        assumptions: assumptions(&record, measurable),
        left_out: left_out(&record),
        ..record
    }
}

fn verdict(record: &CertificateRecord) -> Vec<String> {
    let Some(error) = record.named("nearest centre") else {
        return vec![
            "Without labels there is no error to bound; what needs none was measured.".into(),
        ];
    };
    let measured = format!("The measured error is {}.", percent(error.value));
    let images = record.images;
    if record.classes.len() == 1 {
        return vec![
            "There is a single class, so no image can be taken for one of another.".into(),
        ];
    }
    match record.best_bound() {
        None => {
            vec![
            match record.named("nearest centre, others of their kind") {
                Some(others) => format!(
                    "Nearest centre gets {} of these {images} embeddings wrong, and {} with each \
                     left out of its own centre.",
                    percent(error.value),
                    percent(others.value)
                ),
                None => format!("Nearest centre gets {} of these {images} embeddings \
                                 wrong.", percent(error.value)),
            },
            "There are no images here whose distances could be measured, so there is no bound on \
             that error.".into(),
        ]
        }
        Some(bound) if bound.value < 1.0 => {
            let most = if bound.value > 0.0 {
                format!(
                    "at most \
                                                       {}",
                    percent_up(bound.value)
                )
            } else {
                "none".into()
            };
            vec![
                format!(
                    "Nearest centre gets {most} of these {images} images wrong: that is \
                         proved."
                ),
                format!(
                    "{measured} The proof looks at no error: it knows how near the images of a \
                     class are, how alike their \
                     views, and how far apart the classes."
                ),
            ]
        }
        Some(_) => vec![
            format!("Nothing is proved of these {images} images: the error bound is vacuous."),
            format!(
                "{measured} A bound of 100% or more is true of any encoder; what stands in \
                     the way is said below."
            ),
        ],
    }
}

/// What ρ may be for the printed condition to hold: ρ + √(2ρ) < 1 − Δ_μ/2 − max μ_k·μ_ℓ.
fn allowed(largest: f64, shortfall: f64) -> f64 {
    let root = (3.0 - 2.0 * largest - shortfall).max(0.0).sqrt() - 1.0;
    if root > 0.0 { 0.5 * root * root } else { 0.0 }
}

fn obstacles(record: &CertificateRecord, measurable: &Measurable<'_>) -> Vec<String> {
    let (Some(divergence), Some(bound)) =
        (&record.divergence, record.bounds.iter().find(|bound| bound.form == Form::Published))
    else {
        return Vec::new();
    };
    let Some(closest) = divergence.closest.first() else { return Vec::new() };
    let name = |class: usize| record.classes[class].name.as_str();
    let (largest, shortfall) = (closest.product.value, divergence.shortfall.value);
    let allowed = allowed(largest, shortfall);
    let [a, b] = closest.classes;
    let mut sentences = vec![match allowed > 0.0 {
        true => format!(
            "The theorem asks that ρ, what can go wrong within a class, be below {allowed:.4}. \
             That follows from the two \
             closest centres, {} and {} with a product of {largest:.3}, and the shortest one, Δ_μ \
             = {shortfall:.3}.",
            name(a),
            name(b)
        ),
        false => format!(
            "The centres alone forbid it: {} and {} have a product of {largest:.3}, and Δ_μ is \
             {shortfall:.3}. The product \
             plus Δ_μ/2 must be below 1, but is {:.3}, so that no alignment and no concentration \
             would be good enough.",
            name(a),
            name(b),
            largest + 0.5 * shortfall
        ),
    }];
    let (delta, epsilon, parts) = match bound.certificate.vacuous() {
        false => {
            let Certificate { delta, epsilon, sigma, outside, .. } = bound.certificate;
            (delta, epsilon, measurable.ingredients.parts(delta, epsilon, sigma, outside))
        }
        true => measurable.ingredients.least(),
    };
    let names = [
        "images outside of the main parts, 2(1 − σ)",
        "images whose views are spread, R_ε/min p",
        "closest views that f puts apart, σ × gap",
        "the spread of the other images' views, 2σε",
    ];
    let listed: Vec<String> =
        names.iter().zip(parts).map(|(what, value)| format!("{value:.3} for {what}")).collect();
    let worst =
        names.iter().zip(parts).max_by(|a, b| a.1.total_cmp(&b.1)).map_or("", |part| part.0);
    sentences.push(format!(
        "{}, ρ is {:.3} (δ = {delta:.1}, ε = {epsilon:.3}), the sum of four parts: {}. The \
         largest is that for {worst}.",
        match bound.certificate.vacuous() {
            false => "Where it holds",
            true => "At its least, with half of every class or more in main parts",
        },
        parts.iter().sum::<f64>(),
        listed.join("; "),
    ));
    let proved = record
        .classes
        .iter()
        .filter(|class| class.bound.as_ref().is_some_and(|bound| bound.value < 1.0));
    sentences.push(format!(
        "Class by class, each with its own δ and ε and the sharpest proof, {} of {} classes have \
         a bound below 100%.",
        proved.count(),
        record.classes.len()
    ));
    for WhatIf { factor, perfect, bound, slack } in &record.what_if {
        sentences.push(match bound.value < 1.0 {
            true => format!(
                "Were the {factor} perfect ({perfect}), the bound would be \
                             {}.",
                percent_up(bound.value)
            ),
            false => format!(
                "Were the {factor} perfect ({perfect}), the bound would still be vacuous: the \
                 condition would fail by {:.3}.",
                (-slack).max(0.0)
            ),
        });
    }
    sentences
}

/// The factor whose being perfect would help the bound most, and how to move it.
fn advice(record: &CertificateRecord) -> Vec<String> {
    let own = record.best_bound().map_or(1.0, |bound| bound.value);
    let Some(best) = record.first() else {
        let open = own > 0.0 && !record.what_if.is_empty();
        let sentence = format!(
            "No factor suffices alone: were any one of them perfect, the bound would be no better \
             than the {} it is.",
            percent_up(own)
        );
        return if open { vec![sentence] } else { Vec::new() };
    };
    let gain = match own < 1.0 {
        true => {
            format!(
                "alone it could bring the bound from {} down to {}",
                percent_up(own),
                percent_up(best.bound.value)
            )
        }
        false if best.bound.value < 1.0 => {
            format!("alone it could bring the bound down to {}", percent_up(best.bound.value))
        }
        false => "alone it would come nearest, though no factor suffices alone".into(),
    };
    let how = match best.factor.as_str() {
        "alignment" => {
            "Views of an image must come to lie together: give the loss's positive term more \
             weight, or take milder views."
        }
        "divergence" => {
            "The centres of classes must move apart: more negatives or a larger batch, a lower \
             temperature, or a loss that \
             decorrelates the coordinates."
        }
        _ => {
            "The images of a class must share more views: a richer augmentation does that before \
             any training, and \
             selfsame forecast ranks augmentations by it."
        }
    };
    vec![
        format!("To improve the bound, change the {} first: {gain}.", best.factor),
        how.into(),
        "This is advice for the bound, for what can be proved. It is none for the accuracy, which \
         may well rise while the bound \
         does not, and fall while it improves."
            .into(),
    ]
}

fn assumptions(record: &CertificateRecord, measurable: Option<&Measurable<'_>>) -> Vec<Assumption> {
    let assumption = |name: &str, holds: Option<bool>, finding: String| Assumption {
        name: name.into(),
        holds,
        finding,
    };
    let mut all = Vec::new();
    all.push(match (&record.concentration, measurable) {
        (Some(found), Some(measurable)) => {
            let touching = found.touching.value;
            let near = measurable.pixels.distances.n as f64 * found.overlap.value;
            let meet = match touching > 0.0 {
                true => format!(
                    "{} of the images have a view that equals one of another \
                                 class.",
                    percent(touching)
                ),
                false => "No view drawn equals one of another class, which says nothing of all \
                          there could be."
                    .into(),
            };
            assumption(
                "Views of different classes do not meet",
                if touching > 0.0 { Some(false) } else { None },
                format!(
                    "{meet} Within δ = {:.1}, where half of the middle class comes together, \
                     {near:.0} images ({}) have one \
                     of another class near. The proofs do not need this, but no encoder can tell \
                     views apart that are equal.",
                    found.delta.value,
                    percent(found.overlap.value)
                ),
            )
        }
        _ => assumption(
            "Views of different classes do not meet",
            None,
            "It takes pixels and labels to know.".into(),
        ),
    });
    all.push(assumption(
        "All embeddings have the same length",
        Some(true),
        "Each was divided by its length for the factors, the errors, the bounds on them, InfoNCE \
         and uniformity. \
         Cross-correlation standardises each coordinate instead; RankMe, αReQ and LiDAR take the \
         embeddings as they are."
            .into(),
    ));
    all.push(match record.split.is_empty() {
        false => assumption(
            "An image is among its own views",
            Some(true),
            "It is the first of them; the others were drawn by the policy.".into(),
        ),
        true => assumption(
            "An image is among its own views",
            None,
            "The first view of each image is taken for the image itself.".into(),
        ),
    });
    all.push(assumption("The encoder is Lipschitz", None, lipschitz(record)));
    let grows = record.alignment.as_ref().and_then(|alignment| alignment.spread.last()).map(|spread| {
        format!(
            " At ε = {:.3} R_ε is {} by half of the views and {} by all of them: the nearer the \
             two, the less more views \
             would change.",
            spread.epsilon,
            percent(spread.outside_of_half.value),
            percent(spread.outside.value)
        )
    });
    all.push(assumption(
        "All views there could be",
        None,
        format!(
            "Only {} of each image were drawn. Of these everything said here is true; of all \
             there could be, distances \
             are at most, and R_ε at least, as measured.{}",
            record.views,
            grows.unwrap_or_default()
        ),
    ));
    all
}

/// What is known of the Lipschitz constant, or why it was not looked for.
fn lipschitz(record: &CertificateRecord) -> String {
    let from_above = record.lipschitz_bound.as_ref().map(|bound| {
        format!(
            "among images whose outputs are no shorter than the shortest here at most {}, the \
             product of the layers' \
             norms",
            number_to(bound.value, Some(Side::AtMost))
        )
    });
    let not_needed = "Not needed: where the theorem has L × δ, what f does to the closest views \
                      was measured instead.";
    match (&record.lipschitz, from_above) {
        (Some(ratio), from_above) => format!(
            "{not_needed} The largest ratio seen is {}; the true constant is at least that{}.",
            number_to(ratio.value, Some(Side::AtLeast)),
            from_above.map_or(String::new(), |bound| format!(", and {bound}"))
        ),
        _ if record.split.is_empty() => "It takes pixels to see.".into(),
        (None, from_above) => format!(
            "The ratio of distances was not measured, for {}{}.",
            if record.classes.is_empty() {
                "that is done class by class, and there are no labels"
            } else {
                "all pixels are equal"
            },
            from_above.map_or(String::new(), |bound| format!("; the constant is {bound}"))
        ),
    }
}

fn left_out(record: &CertificateRecord) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut say = |missing: bool, sentence: String| {
        if missing {
            sentences.push(sentence);
        }
    };
    let labelled = !record.classes.is_empty();
    let fewest = record
        .classes
        .iter()
        .min_by_key(|class| class.images)
        .filter(|class| class.images < FEWEST);
    if let (Some(class), true) = (fewest, record.concentration.is_some()) {
        say(
            true,
            format!(
                "{} has {} of the images: concentration has an interval only where every class \
                 has {FEWEST} or more, \
                 because it comes from halves of them.",
                class.name, class.images
            ),
        );
    }
    say(
        !labelled,
        format!(
            "There are no labels, so there are no classes: divergence, concentration, the \
             nearest-centre error and all bounds \
             on it were left out{}.",
            if record.split.is_empty() {
                ""
            } else {
                ", and with the distances of concentration the Lipschitz ratio"
            }
        ),
    );
    say(
        record.classes.len() == 1,
        "There is a single class: divergence and separation, which hold one class against \
         another, were left out."
            .into(),
    );
    say(
        record.alignment.is_none(),
        "Each image has one view. Alignment, view diameters, R_ε, the error of any view, the \
         InfoNCE loss and L_1 of \
         cross-correlation take two or more: give embeddings of several views as an array of \
         images × views × values."
            .into(),
    );
    say(
        record.split.is_empty(),
        "There are no pixels, so no augmented distances: concentration, the error bound that \
         rests on it and the Lipschitz \
         constant were left out."
            .into(),
    );
    say(
        record.dim > MAX_DIM,
        format!(
            "An embedding has {} values, and of more than {MAX_DIM} no matrix is kept: RankMe, \
             αReQ and LiDAR were left out.",
            record.dim
        ),
    );
    say(
        record.correlation.is_none(),
        format!(
            "The cross-correlation matrix was left out: no coordinate varies, or more than \
             {MAX_DIM} do."
        ),
    );
    if let Some(correlation) = &record.correlation {
        say(
            correlation.constant > 0,
            format!(
                "{} of {} coordinates are the same in every row; cross-correlation, which scales \
                 each by its deviation, \
                 goes without them.",
                correlation.constant, record.dim
            ),
        );
    }
    sentences
}

/// A bound for the terminal.
pub fn line(bound: &ErrorBound) -> String {
    let form = match bound.form {
        Form::Published => "published",
        Form::Derived => "derived",
        Form::Sharpened => "sharpened",
    };
    let shown = |quantity: &Quantity| match quantity.value < 1.0 {
        true => format!("{:>7}", percent_up(quantity.value)),
        false => "vacuous".into(),
    };
    format!(
        "error bound, {form:<10} {}   class by class {}",
        shown(&bound.whole),
        shown(&bound.by_class)
    )
}

#[cfg(test)]
mod tests {
    use selfsame::theory::Trust;

    use super::*;

    #[test]
    fn a_bound_is_not_promised_to_stay_where_it_is() {
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
            let bound =
                Quantity { value: perfect, trust: Trust::Assumed { that: "views agree".into() } };
            let what_if = WhatIf {
                factor: "alignment".into(),
                perfect: "views agree".into(),
                bound,
                slack: 0.1,
            };
            super::advice(&CertificateRecord {
                bounds: vec![ErrorBound { form: Form::Sharpened, whole, certificate, by_class }],
                what_if: vec![what_if],
                ..CertificateRecord::default()
            })
        };
        assert!(advice(0.5, 0.25)[0].contains("from 50.0% down to 25.0%"));
        assert_eq!(advice(0.5, 0.5).len(), 1);
        assert!(advice(0.5, 0.5)[0].starts_with("No factor suffices alone"));
        assert!(advice(1.0, 1.0)[0].contains("no factor suffices alone"));
        assert!(advice(0.0, 0.0).is_empty());
    }
}
