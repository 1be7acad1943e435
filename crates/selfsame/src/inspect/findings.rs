//! What is worth knowing or doing before training.

use std::collections::BTreeMap;

use selfsame_data::LeftAlone;
use selfsame_report::inspection::{Crossing, Finding, Inspection, labels_differ};
use selfsame_report::record::DatasetRecord;

/// A largest class this many times the smallest is worth a word.
const UNEVEN: usize = 3;
/// Fewer test images than this are worth a word: an accuracy of a half is known to ten points then.
const FEW_TESTED: usize = 100;

/// Returns the findings, the most important first.
pub fn findings(inspection: &Inspection, left_alone: &[LeftAlone]) -> Vec<Finding> {
    let Inspection { dataset, classes, copies, .. } = inspection;
    let crossing = |split: &str, of: &str| {
        copies.crossings.iter().find(|found| (found.split, found.of) == (split, of)).cloned()
    };
    let leak = |split: &'static str, of: &str| {
        crossing(split, of)
            .map(|crossing| Finding::Leak { images: count(dataset, split), crossing })
    };
    let untrained: Vec<_> =
        classes.iter().filter(|class| class.images.train == 0 && class.images.test > 0).collect();
    let untrained = (!untrained.is_empty()).then(|| Finding::Untrained {
        classes: untrained.iter().map(|class| class.name.clone()).collect(),
        images: untrained.iter().map(|class| class.images.test).sum(),
    });
    let untested: Vec<String> = classes
        .iter()
        .filter(|class| class.images.train > 0 && class.images.test == 0)
        .map(|class| class.name.clone())
        .collect();
    let untested = (!untested.is_empty() && dataset.test > 0)
        .then_some(Finding::Untested { classes: untested });
    let left_out = dataset
        .skipped
        .first()
        .map(|first| Finding::LeftOut { images: dataset.skipped.len(), first: first.clone() });
    let lost = dataset
        .lost
        .first()
        .map(|first| Finding::Lost { folders: dataset.lost.len(), first: first.clone() });
    let unread = unread(left_alone);
    let unread = (!unread.is_empty()).then_some(Finding::Unread { endings: unread });
    let tested = count(dataset, "test");
    let few =
        (classes.len() > 1 && tested < FEW_TESTED).then_some(Finding::FewTested { images: tested });
    let uneven = inspection
        .balance
        .clone()
        .filter(|balance| {
            balance.smallest.1 > 0 && balance.largest.1 >= UNEVEN * balance.smallest.1
        })
        .map(Finding::Imbalance);
    let refused = inspection.plan.refusal.clone().map(|cause| Finding::Refused { cause });
    let repeats = crossing("train", "train")
        .map(|crossing: Crossing| Finding::Repeats { images: count(dataset, "train"), crossing });
    let outliers =
        inspection.outliers.iter().filter(|outliers| !outliers.images.is_empty()).map(|outliers| {
            Finding::Outliers { kind: outliers.kind, images: outliers.images.len() }
        });
    [
        refused,
        lost,
        untrained,
        untested,
        leak("test", "train"),
        contradiction(inspection),
        leak("validation", "train"),
        leak("test", "validation"),
        unread,
        left_out,
        few,
        repeats,
        uneven,
    ]
    .into_iter()
    .flatten()
    .chain(outliers)
    .chain(classes.is_empty().then_some(Finding::Unlabelled))
    .collect()
}

/// Counts the pictures of formats that are not read, by ending, the most frequent first.
fn unread(left_alone: &[LeftAlone]) -> Vec<(String, usize)> {
    let mut endings: BTreeMap<&str, usize> = BTreeMap::new();
    for left in left_alone.iter().filter(|left| left.is_picture()) {
        *endings.entry(&left.ending).or_default() += left.count;
    }
    let mut endings: Vec<_> =
        endings.into_iter().map(|(ending, files)| (ending.to_owned(), files)).collect();
    endings.sort_by_key(|(_, files)| std::cmp::Reverse(*files));
    endings
}

fn count(dataset: &DatasetRecord, split: &str) -> usize {
    let count = match split {
        "train" => dataset.train,
        "validation" => dataset.validation,
        _ => dataset.test,
    };
    count as usize
}

/// Returns the finding that copies have different labels, if any have.
fn contradiction(inspection: &Inspection) -> Option<Finding> {
    let exact = inspection.copies.exact.iter().filter(|group| labels_differ(group)).count();
    let near = inspection.copies.near.iter().filter(|pair| labels_differ(&pair.images)).count();
    (exact + near > 0).then_some(Finding::Contradiction { exact, near })
}
