//! Differences between runs on the same test images.

use std::path::Path;

use selfsame_report::comparison::{Difference, Note, Paired, Verdict};
use selfsame_report::paired;
use selfsame_report::predictions::Predictions;
use selfsame_theory::{Quantity, Trust};

/// Where the predictions that an accuracy counts stand.
type Of = fn(&Predictions) -> &[u32];

/// The predictions of the accuracies, in their order. `None` for the accuracy of a certificate, which
/// keeps none.
const PREDICTED: [Option<Of>; 4] =
    [Some(|all| &all.knn), Some(|all| &all.linear), Some(|all| &all.centre), None];

/// A run and its predictions, if they are of the weights that were measured.
pub(super) type Predicted<'a> = (&'a Path, Option<&'a Predictions>);

/// Pairs the first of the runs with each other run on the same images.
pub(super) fn pairs(runs: &[Predicted<'_>]) -> Vec<Paired> {
    let Some((_, Some(first))) = runs.first() else { return Vec::new() };
    // The first run was chosen as the best by these images, so that every pair was looked at.
    let comparisons = (runs.len() * (runs.len() - 1) / 2) as u64;
    let others = runs.iter().enumerate().skip(1);
    let others = others.filter_map(|(at, (_, run))| Some((at, (*run)?)));
    let same = others.filter(|(_, other)| first.same_images(other));
    same.map(|(other, predictions)| Paired {
        other,
        images: first.images.len() as u64,
        differences: PREDICTED
            .iter()
            .map(|of| Some(difference(first, predictions, (*of)?, comparisons)))
            .collect(),
    })
    .collect()
}

fn difference(first: &Predictions, other: &Predictions, of: Of, comparisons: u64) -> Difference {
    let right = |run: &Predictions| -> Vec<bool> {
        of(run).iter().zip(&run.labels).map(|(predicted, class)| predicted == class).collect()
    };
    let both = right(first).into_iter().zip(right(other));
    let (only_first, only_other) = both.fold((0, 0), |(first, other), pair| match pair {
        (true, false) => (first + 1, other),
        (false, true) => (first, other + 1),
        _ => (first, other),
    });
    let images = first.images.len();
    let [low, high] = paired(only_first, only_other, images as u64, comparisons);
    let method = "Tango, 95%".into();
    let trust = Trust::Estimate { low: Some(low), high: Some(high), method, sample: images };
    let value = (only_first as f64 - only_other as f64) / images.max(1) as f64;
    Difference { only_first, only_other, difference: Quantity { value, trust } }
}

/// Judges the leading accuracy of runs of which at least two have it, the most accurate first.
/// `known` is the number of runs that have it.
pub(super) fn verdict(
    runs: &[Predicted<'_>],
    paired: &[Paired],
    leading: usize,
    known: usize,
) -> Verdict {
    if known < 2 {
        return Verdict::Nothing;
    }
    let leading = |pair: &Paired| pair.differences.get(leading).cloned().flatten();
    // Whether the first run is better is first of all a question of the second.
    if paired.first().is_none_or(|pair| pair.other != 1 || leading(pair).is_none()) {
        return match runs {
            [(_, Some(first)), (_, Some(second)), ..] if !first.same_images(second) => {
                Verdict::DifferentImages
            }
            _ => Verdict::NoPredictions,
        };
    }
    let undecided = |pair: &&Paired| {
        leading(pair).is_some_and(|found| match found.difference.trust {
            Trust::Estimate { low: Some(low), .. } => low <= 0.0,
            _ => true,
        })
    };
    let others: Vec<usize> = paired.iter().filter(undecided).map(|pair| pair.other).collect();
    if others.is_empty() { Verdict::Better } else { Verdict::Undecided { others } }
}

/// Names the runs that cannot be paired with the first.
pub(super) fn notes(runs: &[Predicted<'_>], evaluated: &[bool]) -> Vec<Note> {
    let name = |path: &Path| path.display().to_string();
    let lacking =
        runs.iter().zip(evaluated).filter(|((_, run), evaluated)| **evaluated && run.is_none());
    let mut notes: Vec<Note> =
        lacking.map(|((path, _), _)| Note::NoPredictions { run: name(path) }).collect();
    if let Some((_, Some(first))) = runs.first() {
        let other = |(path, run): &Predicted<'_>| {
            let other = run.is_some_and(|run| !first.same_images(run));
            other.then(|| Note::OtherImages { run: name(path) })
        };
        notes.extend(runs.iter().skip(1).filter_map(other));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Predictions for images of one class, right where `right` says so.
    fn predictions(right: &[bool]) -> Predictions {
        let predicted: Vec<u32> = right.iter().map(|right| u32::from(!right)).collect();
        Predictions {
            classes: ["a", "b"].map(String::from).into(),
            images: (0..right.len()).map(|image| image.to_string()).collect(),
            labels: vec![0; right.len()],
            knn: predicted.clone(),
            linear: predicted.clone(),
            centre: predicted,
            ..Predictions::default()
        }
    }

    fn judged(runs: &[&Predictions]) -> Verdict {
        let runs: Vec<Predicted<'_>> =
            runs.iter().map(|run| (Path::new("r"), Some(*run))).collect();
        verdict(&runs, &pairs(&runs), 0, runs.len())
    }

    #[test]
    fn images_that_only_one_run_gets_right_are_counted() {
        let one = predictions(&[true, true, true, false, false]);
        let two = predictions(&[true, false, false, true, false]);
        let runs = [(Path::new("1"), Some(&one)), (Path::new("2"), Some(&two))];
        let found = pairs(&runs);
        let knn = found[0].differences[0].as_ref().unwrap();
        assert_eq!((found[0].other, found[0].images), (1, 5));
        assert_eq!((knn.only_first, knn.only_other), (2, 1));
        assert!((knn.difference.value - 0.2).abs() < 1e-15);
        assert_eq!(found[0].differences[3], None);
    }

    #[test]
    fn a_run_is_better_only_beyond_chance() {
        let all = predictions(&[true; 40]);
        let half: Vec<bool> = (0..40).map(|image| image % 2 == 0).collect();
        let nearly: Vec<bool> = (0..40).map(|image| image != 0).collect();
        let (half, nearly) = (predictions(&half), predictions(&nearly));
        assert_eq!(judged(&[&all, &half]), Verdict::Better);
        assert_eq!(judged(&[&all, &nearly]), Verdict::Undecided { others: vec![1] });
        assert_eq!(judged(&[&all, &nearly, &half]), Verdict::Undecided { others: vec![1] });
        // Other images, and none at all.
        let other = predictions(&[false; 39]);
        assert_eq!(judged(&[&all, &other]), Verdict::DifferentImages);
        let runs = [(Path::new("1"), Some(&all)), (Path::new("2"), None)];
        assert_eq!(verdict(&runs, &pairs(&runs), 0, 2), Verdict::NoPredictions);
        assert_eq!(verdict(&runs, &pairs(&runs), 0, 1), Verdict::Nothing);
        assert_eq!(notes(&runs, &[true; 2]), [Note::NoPredictions { run: "2".into() }]);
        assert!(notes(&runs, &[true, false]).is_empty());
        let runs = [(Path::new("1"), Some(&all)), (Path::new("2"), Some(&other))];
        assert_eq!(notes(&runs, &[true; 2]), [Note::OtherImages { run: "2".into() }]);
    }
}
