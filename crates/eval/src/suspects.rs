//! Images whose labels are likely wrong, by confident learning (Northcutt, Jiang and Chuang,
//! "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021).
//!
//! A linear probe predicts each image's class from the images of the other folds
//! ([`out_of_fold`]), so that no label vouches for itself. A class's threshold is the mean
//! probability that its own images have of it. An image whose probability of another class reaches
//! that class's threshold, and of its own class does not reach it by more, is a suspect
//! ([`suspects`]).

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::rows::Chosen;
use crate::{Error, Rows, labels, probe};

/// Number of folds.
pub const FOLDS: usize = 5;
/// Maximum number of probabilities, one for each row and class, that [`out_of_fold`] should be asked
/// for. It keeps as many for each of [`probe::LAMBDAS`].
pub const MOST: usize = 8 << 20;

/// Probabilities of classes that were predicted for each row by a probe fitted to other rows.
#[derive(Debug, Clone, PartialEq)]
pub struct OutOfFold {
    /// Probabilities, one for each row and class, row by row. Rows of classes with fewer than
    /// [`FOLDS`] images have none: they are all 0.
    pub probabilities: Vec<f64>,
    /// Regularisation strength λ of the probe.
    pub lambda: f64,
    /// Share of the predicted rows whose most probable class is their label.
    pub accuracy: f64,
    /// Number of predicted rows.
    pub predicted: usize,
}

/// A row whose label is likely wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// The row.
    pub row: usize,
    /// The class that it more likely belongs to.
    pub likely: u32,
    /// Probability, as the probe sees it, that the row is not of its label's class.
    pub probability: f64,
}

/// The rows in doubt.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspects {
    /// The suspects, the likeliest first.
    pub rows: Vec<Suspect>,
    /// The confident joint, classes × classes: entry (i, j) counts the rows of label i that are
    /// confidently of class j.
    pub joint: Vec<u64>,
    /// The threshold of each class: the mean probability of the class over its own rows. 0 for a
    /// class without a row.
    pub thresholds: Vec<f64>,
}

/// Predicts the class of each row by a linear probe fitted to the rows of the other four of five
/// stratified folds. `copies` lists rows of the same image, which stay in one fold, since a copy would
/// vouch for the label.
///
/// One regularisation strength serves all folds: that of [`probe::LAMBDAS`] with the smallest
/// cross-entropy over the predicted rows for which `chooses` holds, or over all rows if it holds
/// for none of them. `advance` is called with the number of folds that are done.
///
/// # Errors
/// [`Error::Count`], [`Error::Label`] and [`Error::Classes`] for the labels,
/// [`Error::TooFewRows`] if fewer than two classes have [`FOLDS`] images.
pub fn out_of_fold(
    rows: &dyn Rows,
    labels: &[u32],
    classes: usize,
    copies: &[Vec<usize>],
    chooses: &dyn Fn(usize) -> bool,
    advance: &mut dyn FnMut(usize),
) -> Result<OutOfFold, Error> {
    labels::check("train", labels, rows.rows(), classes)?;
    let folds = stratify(labels, classes, copies);
    let predicted: Vec<usize> = (0..labels.len()).filter(|&row| folds[row] < FOLDS).collect();
    let first = predicted.first().map(|&row| labels[row]);
    if predicted.iter().all(|&row| Some(labels[row]) == first) {
        return Err(Error::TooFewRows { set: "train", found: predicted.len(), needed: 2 * FOLDS });
    }
    let mut of_lambdas = probe::LAMBDAS.map(|lambda| (lambda, vec![0.0; labels.len() * classes]));
    for fold in 0..FOLDS {
        let (held, fitted): (Vec<usize>, Vec<usize>) =
            predicted.iter().partition(|&&row| folds[row] == fold);
        if held.is_empty() || fitted.is_empty() {
            continue;
        }
        let targets: Vec<u32> = fitted.iter().map(|&row| labels[row]).collect();
        let held_rows = Chosen { rows, chosen: &held };
        let fitted = Chosen { rows, chosen: &fitted };
        probe::fit_path(&fitted, &targets, classes, &mut |at, fit| {
            let (_, into) = &mut of_lambdas[at];
            let of_held = fit.probabilities(&held_rows, classes);
            for (&row, found) in held.iter().zip(of_held.chunks_exact(classes)) {
                into[row * classes..][..classes].copy_from_slice(found);
            }
        })?;
        advance(fold + 1);
    }
    let choosing: Vec<usize> = predicted.iter().copied().filter(|&row| chooses(row)).collect();
    let choosing = if choosing.is_empty() { &predicted } else { &choosing };
    let entropy = |probabilities: &[f64]| -> f64 {
        let of_label = |&row: &usize| probabilities[row * classes + labels[row] as usize];
        choosing.iter().map(|row| -of_label(row).max(f64::MIN_POSITIVE).ln()).sum()
    };
    let judged = of_lambdas.into_iter().map(|of_lambda| (entropy(&of_lambda.1), of_lambda));
    // Of equally good strengths, the first and strongest.
    let best = judged.min_by(|(one, _), (other, _)| one.total_cmp(other));
    let (_, (lambda, probabilities)) = best.expect("LAMBDAS is not empty");
    let likeliest = |row: usize| labels::largest(&probabilities[row * classes..][..classes]);
    let right = predicted.iter().filter(|&&row| likeliest(row) as u32 == labels[row]).count();
    let (accuracy, predicted) = (right as f64 / predicted.len() as f64, predicted.len());
    Ok(OutOfFold { probabilities, lambda, accuracy, predicted })
}

/// Deals the images of each class to the folds in turn, in an order that is random but the same in
/// every call; rows that are copies of an image go where it goes. Rows of classes with fewer images
/// than folds get the number [`FOLDS`].
fn stratify(labels: &[u32], classes: usize, copies: &[Vec<usize>]) -> Vec<usize> {
    // The image of each row: the first of its copies.
    let mut image: Vec<usize> = (0..labels.len()).collect();
    for group in copies {
        group.iter().for_each(|&row| image[row] = group[0]);
    }
    let mut of_image: Vec<Option<usize>> = vec![None; labels.len()];
    let (mut folds, mut random) = (vec![FOLDS; labels.len()], ChaCha8Rng::seed_from_u64(0));
    // Classes begin at different folds, so that small classes do not all swell the first ones.
    let mut next = 0;
    for rows in labels::members(labels, classes) {
        let mut images: Vec<usize> = rows.iter().map(|&row| image[row]).collect();
        images.sort_unstable();
        images.dedup();
        if images.len() < FOLDS {
            continue;
        }
        for at in rand::seq::index::sample(&mut random, images.len(), images.len()) {
            of_image[images[at]].get_or_insert_with(|| {
                next += 1;
                (next - 1) % FOLDS
            });
        }
        for row in rows {
            folds[row] = of_image[image[row]].expect("the images of this class are dealt");
        }
    }
    folds
}

/// Lists the rows whose labels are likely wrong.
///
/// `probabilities` holds one probability for each row and class, row by row, predicted without the
/// row's own label. A row whose probabilities are all 0 is passed over. A row is confidently of the
/// class that is most probable among those whose threshold its probability reaches (equation 1 of
/// the paper); if that is not its label, the row is a suspect. Its `probability` is one minus the
/// probability of its label, and suspects are in the order of it, equal ones in the order of rows.
///
/// # Errors
/// [`Error::Shape`] if there are not `classes` probabilities for each label, [`Error::Label`] and
/// [`Error::Classes`] for the labels.
///
/// ```
/// use selfsame_eval::suspects::suspects;
///
/// let probabilities = [0.9, 0.1, 0.8, 0.2, 0.1, 0.9, 0.95, 0.05];
/// let found = suspects(&probabilities, &[0, 0, 1, 1], 2)?;
/// // The thresholds are 0.85 and (0.9 + 0.05) / 2, so the last row is confidently of class 0.
/// assert_eq!((found.rows.len(), found.rows[0].row, found.rows[0].likely), (1, 3, 0));
/// assert_eq!(found.joint, [1, 0, 1, 1]);
/// # Ok::<(), selfsame_eval::Error>(())
/// ```
pub fn suspects(probabilities: &[f64], labels: &[u32], classes: usize) -> Result<Suspects, Error> {
    let count = probabilities.len() / classes.max(1);
    labels::check("train", labels, labels.len(), classes)?;
    if count != labels.len() || !probabilities.len().is_multiple_of(classes) {
        let (rows, values) = (labels.len(), probabilities.len());
        return Err(Error::Shape { rows, dim: classes, values });
    }
    let of_rows = || labels.iter().zip(probabilities.chunks_exact(classes)).enumerate();
    let predicted = |found: &[f64]| found.iter().any(|&probability| probability > 0.0);
    let (mut thresholds, mut counts) = (vec![0.0; classes], vec![0_u64; classes]);
    for (_, (&label, found)) in of_rows().filter(|(_, (_, found))| predicted(found)) {
        thresholds[label as usize] += found[label as usize];
        counts[label as usize] += 1;
    }
    for (threshold, &count) in thresholds.iter_mut().zip(&counts) {
        *threshold /= count.max(1) as f64;
    }
    let mut joint = vec![0; classes * classes];
    let mut rows = Vec::new();
    for (row, (&label, found)) in of_rows().filter(|(_, (_, found))| predicted(found)) {
        let reached = (0..classes).filter(|&class| {
            // Nothing is known of a class that no row was predicted to be of.
            thresholds[class] > 0.0 && found[class] >= thresholds[class]
        });
        let confident =
            reached.reduce(|best, class| if found[class] > found[best] { class } else { best });
        let Some(likely) = confident else { continue };
        joint[label as usize * classes + likely] += 1;
        if likely != label as usize {
            let probability = 1.0 - found[label as usize];
            rows.push(Suspect { row, likely: likely as u32, probability });
        }
    }
    rows.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.row.cmp(&b.row)));
    Ok(Suspects { rows, joint, thresholds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;
    use crate::testing::{in_pool, random};

    #[test]
    fn a_joint_by_hand() {
        // Three classes, six rows. Self-confidences: class 0: 0.8, 0.6, 0.1 → 0.5; class 1: 0.7 →
        // 0.7; class 2: 0.5, 0.3 → 0.4.
        let probabilities = [
            [0.8, 0.1, 0.1],   // label 0, reaches 0
            [0.6, 0.0, 0.4],   // label 0, reaches 0 and 2; 0 is more probable
            [0.1, 0.75, 0.15], // label 0, reaches 1: a suspect
            [0.2, 0.7, 0.1],   // label 1, reaches 1
            [0.5, 0.0, 0.5],   // label 2, reaches 0 and 2 equally: the lower class
            [0.3, 0.4, 0.3],   // label 2, reaches none
        ];
        let found = suspects(probabilities.as_flattened(), &[0, 0, 0, 1, 2, 2], 3).unwrap();
        let expected = [0.5, 0.7, 0.4];
        assert!(found.thresholds.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12));
        assert_eq!(found.joint, [2, 1, 0, 0, 1, 0, 1, 0, 0]);
        let rows: Vec<_> = found.rows.iter().map(|s| (s.row, s.likely)).collect();
        assert_eq!(rows, [(2, 1), (4, 0)]);
        assert!((found.rows[0].probability - 0.9).abs() < 1e-12);
    }

    #[test]
    fn rows_that_were_not_predicted_are_passed_over() {
        let found = suspects(&[0.0, 0.0, 0.9, 0.1], &[1, 0], 2).unwrap();
        assert_eq!((found.rows.len(), found.joint), (0, vec![1, 0, 0, 0]));
        assert!(matches!(suspects(&[0.5], &[0], 2), Err(Error::Shape { .. })));
    }

    #[test]
    fn folds_are_even_in_every_class() {
        let labels: Vec<u32> = (0..103).map(|row| [0, 0, 1, 2][row % 4]).chain([3; 4]).collect();
        let folds = stratify(&labels, 5, &[]);
        for class in 0..3 {
            let of_fold = |fold: usize| {
                labels.iter().zip(&folds).filter(|&(&l, &f)| l == class && f == fold).count()
            };
            let sizes: Vec<usize> = (0..FOLDS).map(of_fold).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
        assert!(folds[103..].iter().all(|&fold| fold == FOLDS));
        // Copies stay together, and those that were not dealt stay out.
        let copies = [vec![105, 0, 2, 50], vec![104, 106]];
        let together = stratify(&labels, 5, &copies);
        assert!(together[0] < FOLDS && together[105] == FOLDS);
        assert_eq!([together[2], together[50]], [together[0]; 2]);
    }

    #[test]
    fn planted_labels_are_found_and_threads_do_not_matter() {
        // Three clouds around (8, 0, 0), (0, 8, 0) and (0, 0, 8), and three wrong labels.
        let noise = random(120, 3, 5);
        let mut values = noise.values().to_vec();
        (0..120).for_each(|row| values[row * 3 + row % 3] += 8.0);
        let rows = Features::new(120, 3, values).unwrap();
        let mut labels: Vec<u32> = (0..120).map(|row| row % 3).collect();
        let planted = [(7, 2), (30, 1), (101, 0)];
        planted.iter().for_each(|&(row, label)| labels[row] = label);
        let search = || {
            let of_folds =
                out_of_fold(&rows, &labels, 3, &[], &|row| row < 90, &mut |_| ()).unwrap();
            (suspects(&of_folds.probabilities, &labels, 3).unwrap(), of_folds)
        };
        let (found, of_folds) = in_pool(1, search);
        let mut first: Vec<usize> = found.rows.iter().take(3).map(|suspect| suspect.row).collect();
        first.sort_unstable();
        assert_eq!(first, [7, 30, 101]);
        assert!(found.rows.iter().take(3).all(|suspect| suspect.likely == suspect.row as u32 % 3));
        assert!((of_folds.accuracy - 117.0 / 120.0).abs() < 1e-12, "{}", of_folds.accuracy);
        assert_eq!((found, of_folds), in_pool(3, search));
    }

    #[test]
    fn no_label_vouches_for_itself() {
        // A row alone at its place is predicted by the others, whatever its label says.
        let noise = random(40, 2, 9);
        let mut values: Vec<f32> = noise.values().iter().map(|value| value * 0.1).collect();
        (0..40).for_each(|row| values[row * 2] += [-1.0, 1.0][row % 2]);
        let rows = Features::new(40, 2, values).unwrap();
        for label in [0, 1] {
            let mut labels: Vec<u32> = (0..40).map(|row| row % 2).collect();
            labels[0] = label;
            let found = out_of_fold(&rows, &labels, 2, &[], &|_| true, &mut |_| ()).unwrap();
            assert!(found.probabilities[0] > 0.5, "{label}: {:?}", &found.probabilities[..2]);
        }
    }

    #[test]
    fn a_class_of_one_image_is_left_out() {
        // 20 rows of two classes, and 8 copies of one image, half of them with another label.
        let noise = random(21, 2, 4);
        let values: Vec<f32> = (0..28).flat_map(|row| noise.row(row.min(20)).to_vec()).collect();
        let rows = Features::new(28, 2, values).unwrap();
        let copies = [(20..28).collect::<Vec<usize>>()];
        let labels: Vec<u32> =
            (0..28).map(|row| if row < 20 { row % 2 } else { 2 + row % 2 }).collect();
        let found = out_of_fold(&rows, &labels, 4, &copies, &|_| true, &mut |_| ()).unwrap();
        assert_eq!((found.predicted, &found.probabilities[80..]), (20, &[0.0; 32][..]));
        let doubted = suspects(&found.probabilities, &labels, 4).unwrap();
        assert!(doubted.rows.iter().all(|suspect| suspect.likely < 2));
        // All rows the same image.
        let copies = [(0..28).collect::<Vec<usize>>()];
        let refused = out_of_fold(&rows, &labels, 4, &copies, &|_| true, &mut |_| ());
        assert!(matches!(refused, Err(Error::TooFewRows { found: 0, .. })));
    }

    #[test]
    fn classes_too_small_for_folds_are_left_out() {
        let (rows, labels) = (random(12, 2, 1), [0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]);
        let refused = out_of_fold(&rows, &labels, 3, &[], &|_| true, &mut |_| ());
        assert!(matches!(refused, Err(Error::TooFewRows { found: 5, .. })));
        let labels = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2];
        let found = out_of_fold(&rows, &labels, 3, &[], &|_| true, &mut |_| ()).unwrap();
        assert_eq!((found.predicted, &found.probabilities[30..]), (10, &[0.0; 6][..]));
    }
}
