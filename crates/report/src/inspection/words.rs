//! The words for an inspection, for page and terminal alike.

use super::{Balance, COPIES_FILE, Crossing, Finding, Inspection, Oddity, Outliers};
use crate::format::{count, counted, number, sentence_list};
use crate::{percent, wilson};

/// Largest number of classes that a sentence names.
const NAMED: usize = 5;

/// Summarises an inspection, a line for each sentence: what matters most, then what was found.
pub fn lines(inspection: &Inspection) -> Vec<String> {
    std::iter::once(verdict(inspection)).chain(others(inspection).iter().map(finding)).collect()
}

/// States what matters most about the images.
pub fn verdict(inspection: &Inspection) -> String {
    match inspection.findings.first().filter(|first| !first.is_mild()) {
        Some(first) => finding(first),
        None => format!(
            "Nothing stands in the way of training on {}: {}, and nothing was left out.",
            inspection.dataset.name,
            no_copies(inspection)
        ),
    }
}

/// Returns the findings that the verdict does not state.
pub fn others(inspection: &Inspection) -> &[Finding] {
    match inspection.findings.split_first() {
        Some((first, others)) if !first.is_mild() => others,
        _ => &inspection.findings,
    }
}

/// Says that no copies were found, and of which kinds.
pub fn no_copies(inspection: &Inspection) -> &'static str {
    match inspection.copies.searched {
        true => "no image is a copy or a near copy of another",
        false => "no image is an exact copy of another (near copies were not searched for)",
    }
}

/// Says what to do next: `data` is how the images are typed.
pub fn next(inspection: &Inspection, data: &str) -> String {
    if inspection.copies.exact.is_empty() && inspection.copies.near.is_empty() {
        format!("selfsame study --data {data}  (train on these images)")
    } else {
        format!("look at the copies; {COPIES_FILE} lists one to remove on each line")
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
        Finding::Untested { classes } => format!(
            "No test image is of {}: no accuracy says anything about {}.",
            some(classes),
            if classes.len() == 1 { "it" } else { "them" }
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
        Finding::Unread { endings } => unread(endings),
        Finding::FewTested { images: 0 } => {
            "There are no test images, so no accuracy can be measured.".to_owned()
        }
        Finding::FewTested { images } => format!(
            "{} tell little: an accuracy of half is known to within {:.0} points (95% interval).",
            counted(*images as u64, "test image", "test images"),
            50.0 * (wilson(0.5, *images as u64).high - wilson(0.5, *images as u64).low)
        ),
        Finding::LeftOut { images, first } => format!(
            "{} left out; the first, {}: {}.",
            counted(*images as u64, "image was", "images were"),
            first.name,
            first.cause.trim_end_matches('.')
        ),
        Finding::Repeats { crossing, images } => format!(
            "{}{}, so they count more than once in training.",
            of_split(crossing, *images),
            copies_of(crossing, ["another training image", "other training images"])
        ),
        Finding::Imbalance(balance) => imbalance(balance),
        Finding::Unlabelled => {
            "The images have no labels, so accuracy cannot be measured. Training \
                                needs none."
                .to_owned()
        }
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
        Oddity::Flat => "range of brightness of the middle 98% of pixels, of 255",
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
    let usual = format!("the median is {}", number(outliers.middle));
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

fn unread(endings: &[(String, usize)]) -> String {
    let files: usize = endings.iter().map(|(_, files)| files).sum();
    let kinds = endings.iter().take(NAMED);
    let mut kinds: Vec<String> =
        kinds.map(|(ending, files)| format!("{} .{ending}", count(*files as u64))).collect();
    let rest: usize = endings.iter().skip(NAMED).map(|(_, files)| files).sum();
    kinds.extend((rest > 0).then(|| format!("{} others", count(rest as u64))));
    format!(
        "{} of formats that are not read ({}): convert {} to JPEG or PNG.",
        counted(files as u64, "picture is", "pictures are"),
        sentence_list(&kinds),
        if files == 1 { "it" } else { "them" }
    )
}

fn leak(crossing: &Crossing, images: usize) -> String {
    let (others, advice) = match crossing.of {
        "train" => (
            ["a training image", "training images"],
            ": an accuracy on them says nothing about new images. Remove them, or the training \
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
    let Balance { largest, smallest, .. } = balance;
    format!(
        "Classes are of uneven size: {} has {}, {} has {}.",
        largest.0,
        counted(largest.1 as u64, "training image", "training images"),
        smallest.0,
        count(smallest.1 as u64),
    )
}

fn outliers(kind: Oddity, images: usize) -> String {
    let is = if images == 1 { "is" } else { "are" };
    let images = counted(images as u64, "image", "images");
    match kind {
        Oddity::Dark => format!("{images} {is} almost black."),
        Oddity::Bright => format!("{images} {is} almost white."),
        Oddity::Flat => format!("{images} {is} flat, with next to nothing to see."),
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
