//! Labels: their checks, and the accuracy of predicted labels.

use crate::Error;
use crate::limits::MAX_CLASSES;

/// Checks that there is one label per row and that all labels are below `classes`.
pub(crate) fn check(
    set: &'static str,
    labels: &[u32],
    rows: usize,
    classes: usize,
) -> Result<(), Error> {
    if classes == 0 || classes > MAX_CLASSES {
        return Err(Error::Classes { classes });
    }
    if labels.len() != rows {
        return Err(Error::Count { set, of: "labels", rows, given: labels.len() });
    }
    match labels.iter().position(|&label| label as usize >= classes) {
        Some(row) => Err(Error::Label { set, row, label: labels[row], classes }),
        None => Ok(()),
    }
}

/// Returns the classes below `classes` that occur in `labels` and the classes that do not, both
/// ascending.
pub(crate) fn present_and_absent(labels: &[u32], classes: usize) -> (Vec<u32>, Vec<u32>) {
    let mut occurs = vec![false; classes];
    for &label in labels {
        occurs[label as usize] = true;
    }
    (0..classes as u32).partition(|&class| occurs[class as usize])
}

/// Returns the number of labels of each class.
pub(crate) fn counts(labels: &[u32], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    for &label in labels {
        counts[label as usize] += 1;
    }
    counts
}

/// Returns the rows of each class, ascending.
pub(crate) fn members(labels: &[u32], classes: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); classes];
    for (row, &label) in labels.iter().enumerate() {
        members[label as usize].push(row);
    }
    members
}

/// Returns the place of the largest value, of the first of equally large ones.
pub(crate) fn largest(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, at| if values[at] > values[best] { at } else { best })
}

/// Counts the labels that were predicted right.
pub(crate) fn right(predicted: &[u32], labels: &[u32]) -> usize {
    predicted.iter().zip(labels).filter(|(predicted, label)| predicted == label).count()
}

/// Returns the entries of `all` at `chosen`.
pub(crate) fn pick(all: &[u32], chosen: &[usize]) -> Vec<u32> {
    chosen.iter().map(|&at| all[at]).collect()
}

/// Computes the share of `predicted` that equals `labels`, as a fraction of 1.
///
/// # Errors
/// [`Error::TooFewRows`] without labels, [`Error::Count`] if `predicted` and `labels` differ in
/// length.
///
/// ```
/// assert_eq!(selfsame_eval::accuracy(&[0, 1, 2, 2], &[0, 1, 1, 2])?, 0.75);
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn accuracy(predicted: &[u32], labels: &[u32]) -> Result<f64, Error> {
    if labels.is_empty() {
        return Err(Error::TooFewRows { set: "labelled", found: 0, needed: 1 });
    }
    if predicted.len() != labels.len() {
        let (rows, given) = (labels.len(), predicted.len());
        return Err(Error::Count { set: "labelled", of: "predictions", rows, given });
    }
    Ok(right(predicted, labels) as f64 / labels.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_checked() {
        assert_eq!(check("train", &[], 0, 0), Err(Error::Classes { classes: 0 }));
        assert_eq!(check("train", &[], 0, usize::MAX), Err(Error::Classes { classes: usize::MAX }));
        let few = check("train", &[0], 2, 3);
        assert_eq!(few, Err(Error::Count { set: "train", of: "labels", rows: 2, given: 1 }));
        let error = check("train", &[0, 2, 3], 3, 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "train row 2 has label 3, but the labels of 3 classes end at 2"
        );
        assert_eq!(check("train", &[0, 2, 1], 3, 3), Ok(()));
        assert_eq!(present_and_absent(&[4, 1, 1], 5), (vec![1, 4], vec![0, 2, 3]));
    }

    #[test]
    fn accuracy_needs_pairs() {
        assert!(accuracy(&[], &[]).is_err());
        assert!(accuracy(&[1], &[1, 2]).is_err());
        assert_eq!(accuracy(&[1], &[0]), Ok(0.0));
    }
}
