//! The words for an inspection, for page and terminal alike.

use super::{Balance, Crossing, Finding, Inspection, Oddity, Outliers};
use crate::format::{count, counted, number, sentence_list};
use crate::percent;

/// Largest number of classes that a sentence names.
const NAMED: usize = 5;

/// Summarises an inspection, a line for each sentence: what the set holds, then what was found.
pub fn lines(inspection: &Inspection) -> Vec<String> {
    std::iter::once(verdict(inspection))
        .chain(inspection.findings.iter().skip(1).map(finding))
        .collect()
}

/// States what matters most about the images.
pub fn verdict(inspection: &Inspection) -> String {
    match inspection.findings.first() {
        Some(first) => finding(first),
        None => format!(
            "Nothing stands in the way of training on {}: no copies, nothing left out, and no \
             images that stand out.",
            inspection.dataset.name
        ),
    }
}

/// States a finding, and what to do about it.
pub fn finding(finding: &Finding) -> String {
    match finding {
        Finding::Leak { crossing, images } => leak(crossing, *images),
        Finding::Contradiction { exact, near } => contradiction(*exact, *near),
        Finding::Untrained { classes, images } => format!(
            "{} of {}, but no training image: no accuracy on them means anything.",
            there_are(*images, "test image", "test images"),
            some(classes)
        ),
        Finding::Refused { cause } => format!("Training would refuse these images: {cause}."),
        Finding::Lost { folders, first } => format!(
            "No image of {}{} is used{}: {}.",
            if *folders == 1 { "the folder " } else { "" },
            first.name,
            match folders.saturating_sub(1) {
                0 => String::new(),
                more => format!(", nor of {}", counted(more as u64, "more folder", "more folders")),
            },
            first.cause.trim_end_matches('.')
        ),
        Finding::LeftOut { images, first } => format!(
            "{} left out; the first, {}: {}.",
            counted(*images as u64, "image was", "images were"),
            first.name,
            first.cause.trim_end_matches('.')
        ),
        Finding::Repeats { crossing, images } => format!(
            "{}{}: what is repeated counts more than once in training.",
            of_split(crossing, *images),
            copies_of(crossing, ["another training image", "other training images"])
        ),
        Finding::Imbalance(balance) => imbalance(balance),
        Finding::Unlabelled => "The images have no labels, so that accuracies cannot be measured; \
                                training needs none."
            .to_owned(),
        Finding::Outliers { kind, images } => outliers(*kind, *images),
    }
}

/// Names a kind of images that stand out.
pub fn name(kind: Oddity) -> &'static str {
    match kind {
        Oddity::Dark => "Dark",
        Oddity::Bright => "Bright",
        Oddity::Flat => "Flat",
        Oddity::Blurred => "Blurred",
        Oddity::Grey => "Grey among colour",
        Oddity::Shape => "Of another shape",
        Oddity::Small => "Enlarged",
    }
}

/// Describes what is measured of an image to tell whether it is of a kind.
pub fn measure(kind: Oddity) -> &'static str {
    match kind {
        Oddity::Dark => "brightness that only one pixel of a hundred exceeds, of 255",
        Oddity::Bright => "brightness that all but one pixel of a hundred exceed, of 255",
        Oddity::Flat => "range of brightness of the middle 98 % of pixels, of 255",
        Oddity::Blurred => "variance of the Laplacian over variance of the brightness",
        Oddity::Grey => "mean difference of the largest and the smallest channel, of 255",
        Oddity::Shape => {
            "how many times wider or narrower the file’s picture is than the middle one"
        }
        Oddity::Small => "shorter side of the file’s picture over the side it is brought to",
    }
}

/// Describes where a kind begins, and what is usual in the set.
pub fn threshold(outliers: &Outliers) -> String {
    let usual = format!("half of the images are below {}", number(outliers.middle));
    match (outliers.threshold, outliers.kind) {
        (None, Oddity::Grey) => {
            format!("Most images have no colour ({usual}), so none stands out.")
        }
        (None, _) => format!("The set is too small to tell ({usual})."),
        (Some(threshold), Oddity::Bright | Oddity::Shape) => {
            format!("From {}; {usual}.", number(threshold))
        }
        (Some(threshold), _) => format!("Up to {}; {usual}.", number(threshold)),
    }
}

fn leak(crossing: &Crossing, images: usize) -> String {
    let (others, advice) = match crossing.of {
        "train" => (
            ["a training image", "training images"],
            ": accuracies would count them as understood; remove them, or remove the training \
             images",
        ),
        _ => (["a validation image", "validation images"], ""),
    };
    format!("{}{}{advice}.", of_split(crossing, images), copies_of(crossing, others))
}

/// Counts the images of a split that are copies.
fn of_split(crossing: &Crossing, images: usize) -> String {
    let count = crossing.exact + crossing.near;
    let split = if crossing.split == "train" { "training" } else { crossing.split };
    let [one, many] = ["image", "images"].map(|noun| format!("{split} {noun}"));
    format!("{} ({})", counted(count as u64, &one, &many), percent(count as f64 / images as f64))
}

/// Says that images are copies of others, named in singular and plural, and whether exact ones.
fn copies_of(crossing: &Crossing, [one, many]: [&str; 2]) -> String {
    match (crossing.exact, crossing.near) {
        (1, 0) => format!(" is an exact copy of {one}"),
        (0, 1) => format!(" is a near copy of {one}"),
        (_, 0) => format!(" are exact copies of {many}"),
        (0, _) => format!(" are near copies of {many}"),
        (exact, near) => {
            let [exact, near] = [exact, near].map(|images| count(images as u64));
            format!(" are copies of {many}, {exact} exact and {near} near")
        }
    }
}

fn contradiction(exact: usize, near: usize) -> String {
    let kinds: Vec<String> = [
        (exact, "group of exact copies", "groups of exact copies"),
        (near, "pair of near copies", "pairs of near copies"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many)| counted(count as u64, one, many))
    .collect();
    let have = if exact + near == 1 { "has" } else { "have" };
    let wrong = match exact {
        0 => "labels may be wrong",
        _ => "some labels are wrong",
    };
    format!("{} {have} different labels: look at them, {wrong}.", sentence_list(&kinds))
}

fn imbalance(balance: &Balance) -> String {
    let Balance { largest, smallest, effective_classes } = balance;
    format!(
        "Classes are of uneven size: {} has {} and {} {}; they count as {} classes of equal size.",
        largest.0,
        counted(largest.1 as u64, "training image", "training images"),
        smallest.0,
        count(smallest.1 as u64),
        number((effective_classes * 10.0).round() / 10.0)
    )
}

fn outliers(kind: Oddity, images: usize) -> String {
    let is = if images == 1 { "is" } else { "are" };
    let images = counted(images as u64, "image", "images");
    match kind {
        Oddity::Dark => format!("{images} {is} almost black."),
        Oddity::Bright => format!("{images} {is} almost white."),
        Oddity::Flat => format!("{images} {is} flat: they show next to nothing."),
        Oddity::Blurred => format!("{images} {is} blurred, compared with the others."),
        Oddity::Grey => format!("{images} {is} grey among images in colour."),
        Oddity::Shape => format!("{images} {is} far wider or narrower than the others."),
        Oddity::Small => format!("{images} {is} enlarged to more than twice the size of the file."),
    }
}

fn some(classes: &[String]) -> String {
    match classes.len() {
        0..=NAMED => sentence_list(classes),
        all => format!("{} and {} more classes", classes[..NAMED].join(", "), all - NAMED),
    }
}

fn there_are(count: usize, one: &str, many: &str) -> String {
    let are = if count == 1 { "is" } else { "are" };
    format!("There {are} {}", counted(count as u64, one, many))
}
