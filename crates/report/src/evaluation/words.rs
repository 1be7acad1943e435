//! Sentences about an evaluation, for its page and for the terminal.

use crate::format::{count, counted, percent, signed};
use crate::interval::difference;
use crate::record::{Accuracies, Copies, Evaluation, LeftOut, Representation, Unseen, Verdict};
use crate::wilson;

/// What there is to say of copies where there are none. It is no warning.
pub const NO_COPY: &str = "No test image has exactly the pixels of a training or validation \
                           image; `selfsame inspect` finds near copies as well.";

/// Number of classes without a training image that a sentence names.
const NAMED: usize = 5;

/// What may mend an encoder that is no better than its baselines.
const FIRST_STEPS: &str =
    "Longer training, a larger batch or a richer augmentation are the usual first steps.";

/// Returns what a reader must know before the figures, the most important first: that they say
/// nothing, that images are left out, or that some are copies.
pub fn warnings(evaluation: &Evaluation) -> Vec<String> {
    let mut sentences: Vec<String> = headline(evaluation).into_iter().collect();
    if is_empty(evaluation.verdict.as_ref()) {
        sentences.extend(judgement(evaluation));
    }
    sentences.extend(caveats(evaluation));
    sentences
}

/// Returns whether a verdict is that the accuracies do not mean what accuracies usually mean.
pub(crate) fn is_empty(verdict: Option<&Verdict>) -> bool {
    matches!(verdict, Some(Verdict::OnlyCopies | Verdict::NothingTold | Verdict::AtMajority))
}

/// Returns the sentence that stands in place of the figures where they say nothing. Returns `None`
/// where they do.
pub fn headline(evaluation: &Evaluation) -> Option<String> {
    match evaluation.verdict {
        Some(Verdict::OnlyCopies) => Some(format!(
            "{} copies of {}: these accuracies say nothing about new images.",
            all_scored(evaluation),
            originals(evaluation)
        )),
        Some(Verdict::NothingTold) => {
            Some(format!("No accuracy is clearly above {}.", commonest(evaluation.judged()?)))
        }
        None if evaluation.left_out.contains(&LeftOut::OnlyUnseen) => Some(format!(
            "{} a class without a training image, so no accuracy means anything.",
            all_are_of(evaluation)
        )),
        _ => None,
    }
}

/// Judges the accuracies in words. Returns `None` without accuracies.
pub fn judgement(evaluation: &Evaluation) -> Option<String> {
    let judged = evaluation.judged()?;
    let others = match evaluation.without_copies {
        Some(_) => "Without the copies, it",
        None => "It",
    };
    Some(match evaluation.verdict.as_ref()? {
        Verdict::OnlyCopies => "An encoder that knows an image can look up its class. Set aside \
                                test images that are not among the training images."
            .into(),
        Verdict::NothingTold => format!(
            "Nothing shows that these labels can be told from these images: neither {} does. Check \
             that the labels belong to the images; longer training is no remedy. With {}, {} would \
             show it.",
            judged.of.keys().map(Representation::phrase).collect::<Vec<_>>().join(", nor "),
            counted(judged.images, "test image", "test images"),
            match judged.least_told() {
                Some(share) => format!("an accuracy of {} or more", percent(share)),
                None => "no accuracy".into(),
            },
        ),
        Verdict::AtMajority => {
            let share = judged.knn(&Representation::Trained)?;
            let better = match judged.majority {
                Some(majority) if share > majority => "not clearly above",
                _ => "no better than",
            };
            let (measure, of, best) = judged.best()?;
            format!(
                "{others} is {better} {}. The labels can be told from the images, as {measure} of \
                 {} shows with {}.{}",
                commonest(judged),
                of.phrase(),
                percent(best),
                if evaluation.step.is_some() { format!(" {FIRST_STEPS}") } else { String::new() }
            )
        }
        Verdict::NoBaseline => {
            "No baseline was measured, so there is nothing to compare this with.".into()
        }
        Verdict::Behind { of } if evaluation.step.is_none() => format!(
            "{others} is no better than {} ({} points): these weights are not worth having for \
             these images.",
            of.phrase(),
            signed(ahead(judged)?, 1)
        ),
        Verdict::Behind { of } => format!(
            "{others} is no better than {} ({} points): training has not paid off here. \
             {FIRST_STEPS}",
            of.phrase(),
            signed(ahead(judged)?, 1)
        ),
        Verdict::Ahead { of, clear: true } => format!(
            "{others} is {:.1} points ahead of {}, the best baseline, {}far enough that the 95% \
             intervals do not overlap.",
            ahead(judged)?,
            of.phrase(),
            match evaluation.step {
                Some(_) => "after training without a single label, and ",
                None => "",
            }
        ),
        Verdict::Ahead { of, clear: false } => format!(
            "{others} is {:.1} points ahead of {}, but the 95% intervals overlap: with {} this may \
             be chance.",
            ahead(judged)?,
            of.phrase(),
            counted(judged.images, "test image", "test images")
        ),
    })
}

/// Returns remarks about what is behind the accuracies: too few steps of training, classes that
/// training lacks, copies, and splits that differ.
pub fn caveats(evaluation: &Evaluation) -> Vec<String> {
    let mut sentences: Vec<String> = too_short(evaluation).into_iter().collect();
    for split in [evaluation.split.as_str(), "validation"] {
        let of_split: Vec<&Unseen> =
            evaluation.unseen.iter().filter(|unseen| unseen.split == split).collect();
        sentences.extend((!of_split.is_empty()).then(|| unseen(evaluation, split, &of_split)));
    }
    sentences.extend(untested(evaluation));
    sentences.extend(known(evaluation));
    // The sentence beside the accuracies has said so of the split that was measured.
    let is_known = |copies: &&Copies| {
        evaluation.accuracies.is_some()
            && copies.split == evaluation.split
            && copies.of != copies.split
    };
    sentences.extend(evaluation.copies.iter().filter(|each| !is_known(each)).map(repeated));
    sentences.extend(gap(evaluation));
    let relabelled: u64 = evaluation.copies.iter().map(|copies| copies.relabelled).sum();
    if relabelled > 0 {
        sentences.push(format!(
            "{} another label than the images that they are copies of.",
            counted(relabelled, "copy has", "copies have")
        ));
    }
    sentences
}

/// Says that training took too few steps to mean much, and how many usually do.
fn too_short(evaluation: &Evaluation) -> Option<String> {
    let (steps, usual) = (evaluation.step?, evaluation.too_short?);
    Some(format!(
        "Training took {}, too few to mean much: in this project’s own results most methods had \
         gained over the untrained encoder after {} steps, BYOL and SimSiam had not, and published \
         figures rest on about 19,500 steps or more (lightly on CIFAR-10: 200 epochs in batches of \
         512).",
        counted(steps, "step", "steps"),
        count(usual)
    ))
}

/// Says that accuracies on validation and test images differ by more than chance explains. Returns
/// `None` if they do not, or if copies among the validation images explain it.
fn gap(evaluation: &Evaluation) -> Option<String> {
    let (on, test) = (evaluation.validation?, evaluation.judged()?);
    let copied = |copies: &Copies| copies.split == "validation" && copies.of == "train";
    if evaluation.copies.iter().any(copied) || !on.knn_acc1.is_finite() {
        return None;
    }
    let knn = test.knn(&Representation::Trained)?;
    let interval = difference([(on.knn_acc1, on.images), (knn, test.images)]);
    if interval.low <= 0.0 && interval.high >= 0.0 {
        return None;
    }
    let points = |share: f64| signed(100.0 * share, 1);
    Some(format!(
        "On {} the trained encoder’s nearest neighbours are right {} of the time, on {} {}: a \
         difference of {} points (95% interval {} to {}), more than chance explains. The two \
         splits differ in their images; see how they were divided.",
        counted(on.images, "validation image", "validation images"),
        percent(on.knn_acc1),
        counted(test.images, "test image", "test images"),
        percent(knn),
        points(on.knn_acc1 - knn),
        points(interval.low),
        points(interval.high)
    ))
}

/// Says the accuracies averaged over classes. Returns `None` if they were not measured.
pub(crate) fn macro_average(evaluation: &Evaluation) -> Option<String> {
    let scores = evaluation.trained()?;
    let (knn, linear) = (scores.knn_macro_acc1?, scores.linear_macro_acc1?);
    Some(format!(
        "Averaged over classes instead of images, nearest neighbours are right {} of the time and \
         the linear probe {}.",
        percent(knn),
        percent(linear)
    ))
}

/// Returns the rows of the confusion of classes, each with the name of its class.
pub(crate) fn confusion_rows(evaluation: &Evaluation) -> Vec<(&str, &Vec<u64>)> {
    let rows = evaluation.confusion.iter();
    evaluation.class_names.iter().map(String::as_str).zip(rows).collect()
}

/// Names the classes that are most often taken for another, at most five, one sentence each. A
/// single image is not worth a name.
pub(crate) fn confused(evaluation: &Evaluation) -> Vec<String> {
    const SHOWN: usize = 5;
    let rows = confusion_rows(evaluation);
    let mut pairs = Vec::new();
    for (a, (class, predicted)) in rows.iter().enumerate() {
        let total: u64 = predicted.iter().sum();
        for (b, &images) in
            predicted.iter().enumerate().filter(|(b, images)| *b != a && **images > 1)
        {
            pairs.push((images as f64 / total as f64, images, total, *class, rows[b].0));
        }
    }
    // A stable sort: of equally confused pairs, the first in the order of the classes.
    pairs.sort_by(|x, y| y.0.total_cmp(&x.0));
    let sentence = |(share, images, total, class, other): (f64, u64, u64, &str, &str)| {
        format!(
            "{} of {} test images of “{class}” ({}) are taken for “{other}”.",
            count(images),
            count(total),
            percent(share)
        )
    };
    pairs.into_iter().take(SHOWN).map(sentence).collect()
}

/// Says how many of the images behind the accuracies are copies. Returns `None` if no accuracy was
/// measured, or if the headline says it.
fn known(evaluation: &Evaluation) -> Option<String> {
    let all = evaluation.accuracies.as_ref()?;
    if evaluation.verdict == Some(Verdict::OnlyCopies) {
        return None;
    }
    if evaluation.known == 0 {
        return Some(NO_COPY.into());
    }
    let mut sentence = format!(
        "{} of {} {} of {}",
        count(evaluation.known),
        counted(all.images, "test image", "test images"),
        if evaluation.known == 1 { "is a copy" } else { "are copies" },
        originals(evaluation),
    );
    if let Some(others) = &evaluation.without_copies
        && let Some(trained) = others.knn(&Representation::Trained)
    {
        sentence += &format!(
            ". On the other {} the trained encoder’s nearest neighbours are right {} of the time",
            count(others.images),
            percent(trained)
        );
        for (of, share) in others.others() {
            sentence += &format!(", {} {}", of.phrase(), percent(share));
        }
    }
    Some(sentence + ".")
}

/// Names the images that copies of the measured split are copies of.
fn originals(evaluation: &Evaluation) -> &'static str {
    let of_train = evaluation
        .copies
        .iter()
        .find(|copies| copies.split == evaluation.split && copies.of == "train");
    match of_train {
        Some(copies) if copies.images >= evaluation.known => "training images",
        None => "validation images",
        _ => "training or validation images",
    }
}

/// Describes copies that are not behind an accuracy's choice of images.
fn repeated(copies: &Copies) -> String {
    let name = |split: &str| if split == "train" { "training" } else { split }.to_owned();
    let (split, of) = (name(&copies.split), name(&copies.of));
    let (images, out_of) = (count(copies.images), count(copies.out_of));
    if copies.split == copies.of {
        let verb = if copies.images == 1 { "repeats" } else { "repeat" };
        return format!("{images} of {out_of} {split} images {verb} an earlier one.");
    }
    let verb = if copies.images == 1 { "is a copy" } else { "are copies" };
    let so = match split.as_str() {
        "validation" => ", so that what is chosen on them seems better than it is",
        _ => "",
    };
    format!("{images} of {out_of} {split} images {verb} of {of} images{so}.")
}

/// Says of which classes there are no test images.
fn untested(evaluation: &Evaluation) -> Option<String> {
    // Of a class without a training image, another sentence speaks.
    let tested = |name: &&String| {
        evaluation.per_class.iter().any(|class| class.class == **name)
            || evaluation.unseen.iter().any(|unseen| unseen.class == **name)
    };
    let without: Vec<&String> =
        evaluation.class_names.iter().filter(|name| !tested(name)).collect();
    let named = without.iter().take(NAMED).map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let more = match without.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {}", counted(more as u64, "more class", "more classes")),
    };
    let them = if without.len() == 1 { "it" } else { "them" };
    (!without.is_empty() && !evaluation.per_class.is_empty()).then(|| {
        format!("No test image is of {named}{more}: these accuracies say nothing about {them}.")
    })
}

fn unseen(evaluation: &Evaluation, split: &str, of_split: &[&Unseen]) -> String {
    let images: u64 = of_split.iter().map(|unseen| unseen.images).sum();
    let named = of_split
        .iter()
        .take(NAMED)
        .map(|unseen| format!("{}: {}", unseen.class, count(unseen.images)))
        .collect::<Vec<_>>()
        .join(", ");
    let more = match of_split.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {}", counted(more as u64, "more class", "more classes")),
    };
    let of = if split == evaluation.split {
        format!("{} of {}", count(images), count(evaluation.images))
    } else {
        count(images)
    };
    format!(
        "{of} {split} {} a class without a training image ({named}{more}); {}.",
        if images == 1 { "image is of" } else { "images are of" },
        if split != evaluation.split {
            "nothing was chosen on them"
        } else if evaluation.accuracies.is_some() {
            "the accuracies leave them out"
        } else {
            "no accuracy was measured on them"
        }
    )
}

/// Says what was left out, one sentence for each reason.
pub fn left_out(evaluation: &Evaluation) -> Vec<String> {
    evaluation.left_out.iter().map(|reason| omission(*reason).to_owned()).collect()
}

fn omission(reason: LeftOut) -> &'static str {
    match reason {
        LeftOut::NoImages => "There is no test image, so nothing was measured.",
        LeftOut::NoLabels => {
            "The images have no labels, so kNN, linear probe and nearest centre, which need them, \
             were left out; alignment, uniformity and effective rank do not."
        }
        LeftOut::SingleClass => "There is a single class, so there is nothing to tell apart.",
        LeftOut::NothingToFit => "kNN, linear probe and nearest centre need training images.",
        LeftOut::SingleTrainedClass => {
            "All training images are of one class, so there is nothing to tell apart."
        }
        LeftOut::OnlyUnseen => {
            "kNN, linear probe and nearest centre were left out: they know the classes of \
             training images only. Name the classes of all splits alike."
        }
    }
}

/// Describes always answering the commonest class.
fn commonest(judged: &Accuracies) -> String {
    let share = judged.majority.unwrap_or(f64::NAN);
    format!(
        "always answering the commonest class, which is right {} of the time (95% interval {})",
        percent(share),
        interval(share, judged.images)
    )
}

/// Formats the 95 % interval of a share, in percent.
pub(crate) fn interval(share: f64, images: u64) -> String {
    let interval = wilson(share, images);
    format!("{:.1}–{:.1}", 100.0 * interval.low, 100.0 * interval.high)
}

/// Returns the points that the trained encoder's kNN accuracy is ahead of the best baseline.
fn ahead(judged: &Accuracies) -> Option<f64> {
    Some(100.0 * (judged.knn(&Representation::Trained)? - judged.baseline()?.1))
}

/// Begins a sentence about all images behind the accuracies.
fn all_scored(evaluation: &Evaluation) -> String {
    let scored = evaluation.scored();
    let of = if scored == evaluation.images { "" } else { " of trained classes" };
    match scored {
        1 => format!("The only test image{of} is among the"),
        images => format!("All {} test images{of} are", count(images)),
    }
}

fn all_are_of(evaluation: &Evaluation) -> String {
    match evaluation.images {
        1 => "The only test image is of".into(),
        images => format!("All {} test images are of", count(images)),
    }
}
