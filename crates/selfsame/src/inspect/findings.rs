//! What is worth knowing or doing before training.

use selfsame_report::inspection::{Crossing, Finding, Inspection, labels_differ};
use selfsame_report::record::DatasetRecord;

/// A largest class this many times the smallest is worth a word.
const UNEVEN: usize = 3;

/// Returns the findings, the most important first.
pub fn findings(inspection: &Inspection) -> Vec<Finding> {
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
    let left_out = dataset
        .skipped
        .first()
        .map(|first| Finding::LeftOut { images: dataset.skipped.len(), first: first.clone() });
    let lost = dataset
        .lost
        .first()
        .map(|first| Finding::Lost { folders: dataset.lost.len(), first: first.clone() });
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
        leak("test", "train"),
        contradiction(inspection),
        leak("validation", "train"),
        leak("test", "validation"),
        left_out,
        repeats,
        uneven,
    ]
    .into_iter()
    .flatten()
    .chain(outliers)
    .chain(classes.is_empty().then_some(Finding::Unlabelled))
    .collect()
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
