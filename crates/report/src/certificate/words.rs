//! Sentences about a certificate, for its page and for the terminal.

use selfsame_theory::bounds::certificate::Form;
use selfsame_theory::{Quantity, Side, Trust};

use super::{Advice, CertificateRecord, ErrorBound, Factor, LeftOut, Obstacles, Premise, Verdict};
use super::{Assumption, WhatIf};
use crate::format::{number_to, percent, percent_up, sentence_list};
use crate::quoted;

/// Returns the whole text, one line per item: verdict, bounds, obstacles, advice, and what was left
/// out.
pub fn lines(record: &CertificateRecord) -> Vec<String> {
    let mut lines = verdict(record);
    lines.extend(record.bounds.iter().map(bound_line));
    lines.extend(obstacles(record));
    lines.extend(advice(record));
    lines.extend(left_out(record));
    lines
}

/// Describes the weights of an encoder of which `taken` of all `tensors` come from a file.
pub fn weights_of_file(taken: usize, tensors: usize) -> String {
    match tensors - taken {
        0 => "those of the file".to_owned(),
        others => format!("{taken} tensors of the file, and {others} as before any training"),
    }
}

/// Describes the result. The shortest sentence comes first.
pub fn verdict(record: &CertificateRecord) -> Vec<String> {
    let error = record.named("nearest centre").map_or(String::new(), |error| percent(error.value));
    let images = record.images;
    match record.verdict {
        None => vec!["Nothing was certified.".into()],
        Some(Verdict::NoLabels) => {
            let why = "Without labels there is no error to bound; what needs none was measured.";
            let unread = record.left_out.iter().find_map(unread_labels);
            [Some(why.to_owned()), unread].into_iter().flatten().collect()
        }
        Some(Verdict::SingleClass) => {
            vec!["There is a single class, so no image can be taken for one of another.".into()]
        }
        Some(Verdict::NoPixels) => vec![
            match record.named("nearest centre, others of their kind") {
                Some(others) => format!(
                    "Nearest centre gets {error} of these {images} embeddings wrong, and {} with \
                     each left out of its own centre.",
                    percent(others.value)
                ),
                None => format!("Nearest centre gets {error} of these {images} embeddings wrong."),
            },
            "There are no images here whose distances could be measured, so there is no bound on \
             that error."
                .into(),
        ],
        Some(Verdict::Proved) => {
            let most = match record.best_bound() {
                Some(bound) if bound.value > 0.0 => {
                    format!("at most {}", percent_up(bound.value))
                }
                _ => "none".into(),
            };
            vec![
                format!(
                    "Nearest centre gets {most} of these {images} images wrong: that is proved."
                ),
                format!(
                    "The measured error is {error}. The proof does not use it. It uses how near the \
                     images of a class are, how alike their views, and how far apart the classes."
                ),
            ]
        }
        Some(Verdict::Vacuous) => vec![
            format!("Nothing is proved about these {images} images: the error bound is vacuous."),
            format!(
                "The measured error is {error}. A bound of 100% or more is true of any encoder. \
                 Below is what stands in the way."
            ),
        ],
    }
}

/// Describes the obstacles to a better bound.
pub fn obstacles(record: &CertificateRecord) -> Vec<String> {
    let Some(obstacles) = &record.obstacles else { return Vec::new() };
    let mut sentences: Vec<String> = centres(record, obstacles).into_iter().collect();
    sentences.push(rho(obstacles));
    let bounded = |bound: &Quantity| bound.value < 1.0;
    let proved = record.classes.iter().filter(|class| class.bound.as_ref().is_some_and(bounded));
    sentences.push(format!(
        "Class by class, each with its own δ and ε and the sharpest proof, {} of {} classes have \
         a bound below 100%.",
        proved.count(),
        record.classes.len()
    ));
    sentences.extend(record.what_if.iter().map(what_if));
    sentences
}

/// Describes the limit on ρ that the centres of classes allow.
fn centres(record: &CertificateRecord, obstacles: &Obstacles) -> Option<String> {
    let divergence = record.divergence.as_ref()?;
    let closest = divergence.closest.first()?;
    let [a, b] =
        closest.classes.map(|class| record.classes.get(class).map_or("", |class| &*class.name));
    let (largest, shortfall) = (closest.product.value, divergence.shortfall.value);
    Some(match obstacles.allowed > 0.0 {
        true => format!(
            "The theorem asks that ρ, what can go wrong within a class, be below {:.4}. That \
             follows from the two closest centres, {a} and {b} with a product of {largest:.3}, \
             and the shortest one, Δ_μ = {shortfall:.3}.",
            obstacles.allowed
        ),
        false => format!(
            "The centres alone forbid it: {a} and {b} have a product of {largest:.3}, and Δ_μ is \
             {shortfall:.3}. The product plus Δ_μ/2 must be below 1, but is {:.3}, so that no \
             alignment and no concentration would be good enough.",
            largest + 0.5 * shortfall
        ),
    })
}

/// Describes ρ and its terms.
fn rho(obstacles: &Obstacles) -> String {
    let parts = [
        ("images outside of the main parts, 2(1 − σ)", obstacles.rho.unconcentrated),
        ("images whose views are spread, R_ε/min p", obstacles.rho.unaligned),
        ("closest views that f puts apart, σ × gap", obstacles.rho.gap),
        ("the spread of the other images' views, 2σε", obstacles.rho.spread),
    ];
    let listed = parts.map(|(what, value)| format!("{value:.3} for {what}"));
    let worst = parts.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or("", |part| part.0);
    format!(
        "{}, ρ is {:.3} (δ = {:.1}, ε = {:.3}), the sum of four parts: {}. The largest is that \
         for {worst}.",
        match obstacles.holds {
            true => "Where it holds",
            false => "At its least, with half of every class or more in main parts",
        },
        obstacles.rho.total(),
        obstacles.delta,
        obstacles.epsilon,
        listed.join("; "),
    )
}

fn what_if(WhatIf { factor, bound, slack }: &WhatIf) -> String {
    let factor = factor.name();
    let perfect = match &bound.trust {
        Trust::Assumed { that } => format!(" ({that})"),
        _ => String::new(),
    };
    match bound.value < 1.0 {
        true => format!(
            "Were the {factor} perfect{perfect}, the bound would be {}.",
            percent_up(bound.value)
        ),
        false => format!(
            "Were the {factor} perfect{perfect}, the bound would still be vacuous: the condition \
             would fail by {:.3}.",
            (-slack).max(0.0)
        ),
    }
}

/// Describes what to change first, and how.
pub fn advice(record: &CertificateRecord) -> Vec<String> {
    let (factor, from, to) = match record.advice {
        None => return Vec::new(),
        Some(Advice::NoneAlone { bound }) => {
            return vec![format!(
                "No factor suffices alone: were any one of them perfect, the bound would be no \
                 better than the {} it is.",
                percent_up(bound)
            )];
        }
        Some(Advice::Improve { factor, from, to }) => (factor, from, to),
    };
    let gain = if from < 1.0 {
        format!(
            "alone it could bring the bound from {} down to {}",
            percent_up(from),
            percent_up(to)
        )
    } else if to < 1.0 {
        format!("alone it could bring the bound down to {}", percent_up(to))
    } else {
        "of the three it would help most, though no factor suffices alone".into()
    };
    let how = match factor {
        Factor::Alignment => {
            "The views of an image must move together: give the loss's positive term more weight, \
             or use milder views."
        }
        Factor::Divergence => {
            "The centres of classes must move apart: more negatives or a larger batch, a lower \
             temperature, or a loss that decorrelates the coordinates."
        }
        Factor::Concentration => {
            "The images of a class must share more views: a richer augmentation does that before \
             any training, and selfsame forecast ranks augmentations by it."
        }
    };
    vec![
        format!("To improve the bound, change the {} first: {gain}.", factor.name()),
        how.into(),
        "This is advice for the bound. It says nothing about accuracy, which may rise while the \
         bound does not, and fall while it improves."
            .into(),
    ]
}

/// States a premise of the theory as a claim.
pub fn premise(premise: Premise) -> &'static str {
    match premise {
        Premise::ClassesDoNotMeet => "Views of different classes do not meet",
        Premise::SameLength => "All embeddings have the same length",
        Premise::ImageAmongItsViews => "An image is among its own views",
        Premise::Lipschitz => "The encoder is Lipschitz",
        Premise::AllViews => "All views there could be",
    }
}

/// Describes whether an assumption was found to hold.
pub fn finding(record: &CertificateRecord, assumption: &Assumption) -> String {
    match assumption.premise {
        Premise::ClassesDoNotMeet => meeting(record),
        Premise::SameLength => {
            "Each was divided by its length for the factors, the errors, the bounds on them, \
             InfoNCE and uniformity. Cross-correlation standardises each coordinate instead; \
             RankMe, αReQ and LiDAR take the embeddings as they are."
                .into()
        }
        Premise::ImageAmongItsViews if record.split.is_empty() => {
            "The first view of each image is taken for the image itself.".into()
        }
        Premise::ImageAmongItsViews => {
            "It is the first of them; the others were drawn by the policy.".into()
        }
        Premise::Lipschitz => lipschitz(record),
        Premise::AllViews => all_views(record),
    }
}

/// Describes whether classes have views in common.
fn meeting(record: &CertificateRecord) -> String {
    let Some(concentration) = &record.concentration else {
        return "That takes pixels and labels, which are not here.".into();
    };
    let meet = match concentration.touching.value > 0.0 {
        true => format!(
            "{} of the images have a view that equals one of another class.",
            percent(concentration.touching.value)
        ),
        false => "No view drawn equals one of another class, which says nothing about views that \
                  were not drawn."
            .into(),
    };
    format!(
        "{meet} Within δ = {:.1}, where half of the middle class comes together, {:.0} images \
         ({}) have one of another class near. The proofs do not need this, but no encoder can \
         tell views apart that are equal.",
        concentration.delta.value,
        record.images as f64 * concentration.overlap.value,
        percent(concentration.overlap.value)
    )
}

/// Describes what is known of the Lipschitz constant, or why it was not measured.
fn lipschitz(record: &CertificateRecord) -> String {
    let from_above = record.lipschitz_bound.as_ref().map(|bound| {
        format!(
            "among images whose outputs are no shorter than the shortest here at most {}, the \
             product of the layers' norms",
            number_to(bound.value, Some(Side::AtMost))
        )
    });
    match (&record.lipschitz, from_above) {
        (Some(ratio), from_above) => format!(
            "Not needed: where the theorem has L × δ, what f does to the closest views was \
             measured instead. The largest ratio seen is {}; the true constant is at least that{}.",
            number_to(ratio.value, Some(Side::AtLeast)),
            from_above.map_or(String::new(), |bound| format!(", and {bound}"))
        ),
        _ if record.split.is_empty() => "That takes pixels, which are not here.".into(),
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

/// Describes what more views would change.
fn all_views(record: &CertificateRecord) -> String {
    let spread = record.alignment.as_ref().and_then(|alignment| alignment.spread.last());
    let growth = spread.map_or(String::new(), |spread| {
        format!(
            " At ε = {:.3} R_ε is {} with half of the views and {} with all of them: the closer the \
             two, the less more views would change.",
            spread.epsilon,
            percent(spread.outside_of_half.value),
            percent(spread.outside.value)
        )
    });
    format!(
        "Only {} views of each image were measured, and everything said here is true of those. Over all \
         views there could be, distances are at most, and R_ε at least, what was measured.{growth}",
        record.views
    )
}

/// Describes what was left out and why, one sentence each, except for labels that were not read,
/// which the verdict speaks of.
pub fn left_out(record: &CertificateRecord) -> Vec<String> {
    let others = record.left_out.iter().filter(|left_out| unread_labels(left_out).is_none());
    others.map(|left_out| omission(record, left_out)).collect()
}

/// Describes labels that were not read because of their name.
fn unread_labels(left_out: &LeftOut) -> Option<String> {
    let LeftOut::UnreadLabels { array } = left_out else { return None };
    Some(format!(
        "The file also holds the array {array}, which looks like labels but was not read: labels \
         are read from an array called labels, as np.savez(file, embeddings=x, labels=y) writes \
         it, or with --labels from a file of their own."
    ))
}

fn omission(record: &CertificateRecord, left_out: &LeftOut) -> String {
    match left_out {
        LeftOut::FewImages { class, images, needed } => format!(
            "{class} has {images} of the images: concentration has an interval only where every \
             class has {needed} or more, because it comes from halves of them."
        ),
        LeftOut::NoLabels => format!(
            "There are no labels, so there are no classes: divergence, concentration, the \
             nearest-centre error and all bounds on it were left out{}.",
            if record.split.is_empty() {
                ""
            } else {
                ", and with the distances of concentration the Lipschitz ratio"
            }
        ),
        LeftOut::SingleClass => {
            "There is a single class: divergence and separation, which hold one class against \
             another, were left out."
                .into()
        }
        LeftOut::SingleView => {
            "Each image has one view. Alignment, view diameters, R_ε, the error of any view, the \
             InfoNCE loss and L_1 of cross-correlation take two or more: give embeddings of \
             several views as an array of images × views × values."
                .into()
        }
        LeftOut::NoPixels => {
            "There are no pixels, so no augmented distances: concentration, the error bound that \
             rests on it and the Lipschitz constant were left out."
                .into()
        }
        LeftOut::TooWide { most } => format!(
            "An embedding has {} values, and of more than {most} no matrix is kept: RankMe, αReQ \
             and LiDAR were left out.",
            record.dim
        ),
        LeftOut::NoCorrelation { most } => format!(
            "The cross-correlation matrix was left out: no coordinate varies, or more than {most} \
             do."
        ),
        LeftOut::ConstantCoordinates => format!(
            "{} of {} coordinates are the same in every row; cross-correlation, which scales each \
             by its deviation, goes without them.",
            record.correlation.as_ref().map_or(0, |correlation| correlation.constant),
            record.dim
        ),
        LeftOut::NotEvaluated => format!(
            "The accuracies of `selfsame eval {}` were not measured yet, so none stand here.",
            quoted(&record.subject)
        ),
        LeftOut::OtherWeights => format!(
            "The accuracies of `selfsame eval {}` are not of these weights, which are those after \
             step {}, so they do not stand here; measure the same --checkpoint with both.",
            quoted(&record.subject),
            record.step.unwrap_or_default()
        ),
        LeftOut::Image { name, cause } => format!("The image {name} was left out: {cause}."),
        LeftOut::EvaluatedCopies { copies, images } => format!(
            "{copies} of the {images} test images behind the accuracies are copies of training or \
             validation images."
        ),
        LeftOut::UnreadLabels { .. } => unread_labels(left_out).unwrap_or_default(),
        LeftOut::UnreadArrays { arrays } => {
            format!("The file also holds {}, not read here.", sentence_list(arrays))
        }
        LeftOut::Rounded => "The 64-bit values were rounded to 32 bits; all that is called exact \
                             is so of the rounded ones."
            .into(),
        LeftOut::Repeats { count, first: [image, earlier] } => format!(
            "{}, value for value (the first: {}); they count like any other.",
            repeats(*count, record.images),
            repeat(*image, *earlier, record.views)
        ),
    }
}

/// Describes how many of the `images` images repeat an earlier image.
pub fn repeats(count: usize, images: usize) -> String {
    match count {
        1 => format!("1 of {images} images repeats an earlier one"),
        _ => format!("{count} of {images} images repeat an earlier one"),
    }
}

/// Describes which image repeats which, by the rows of their array. Each image has `views` views.
pub fn repeat(image: usize, earlier: usize, views: usize) -> String {
    match views {
        1 => format!("row {image} repeats row {earlier}"),
        _ => format!(
            "image {image} (from row {}) repeats image {earlier} (from row {})",
            image * views,
            earlier * views
        ),
    }
}

/// Formats a bound as one line for the terminal.
fn bound_line(bound: &ErrorBound) -> String {
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
    use super::*;

    #[test]
    fn a_bound_is_not_promised_to_stay_where_it_is() {
        let words = |advice| {
            super::advice(&CertificateRecord { advice, ..CertificateRecord::default() }).join(" ")
        };
        let improve =
            |from, to| words(Some(Advice::Improve { factor: Factor::Alignment, from, to }));
        assert!(improve(0.5, 0.25).contains("from 50.0% down to 25.0%"));
        assert!(improve(1.0, 0.25).contains("bring the bound down to 25.0%"));
        assert!(improve(1.0, 1.0).contains("no factor suffices alone"));
        assert!(words(Some(Advice::NoneAlone { bound: 0.5 })).starts_with("No factor suffices"));
        assert!(words(None).is_empty());
    }
}
