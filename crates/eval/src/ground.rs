//! The images that accuracies are measured with, and what a representation makes of them.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use selfsame_data::{Dataset, Split, SplitName};
use selfsame_report::record::{ClassAccuracy, LeftOut, Scores};

use crate::copies::Copied;
use crate::features::{Levelled, Standardised, narrow_means};
use crate::knn::{self, Choice, KnnOptions};
use crate::probe::PathPoint;
use crate::rows::{Chosen, Stacked};
use crate::trials::FOLDS;
use crate::{Error, Normalised, Rows, Trials, accuracy, centre, labels, probe};

/// Number of validation images from which settings are chosen on them. With fewer, the standard
/// error of an accuracy is above 1.6 points, more than what settings differ by.
const ENOUGH: usize = 1000;
/// Largest number of classes for a confusion matrix.
const MAX_CONFUSION: usize = 100;

/// The images that accuracies are measured with: only those whose class has a training image. No
/// classifier could be right about any other.
pub(crate) struct Ground<'a> {
    pub dataset: &'a Dataset,
    /// The validation images.
    pub validation: Vec<usize>,
    /// The test images that accuracies are over.
    pub test: Vec<usize>,
    /// Whether each of these test images has the pixels of a training or validation image.
    pub known: Vec<bool>,
    /// Labels of the training images, then of the validation images.
    labels: Vec<u32>,
    /// How settings are chosen, in rows of the same order.
    trials: Trials,
}

/// A way to look at a representation before its nearest neighbours are sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As it is.
    Plain,
    /// Less the mean over the images to fit.
    Centred,
    /// Each row less its mean, divided by its standard deviation.
    Levelled,
}

impl Way {
    /// The ways that are tried for raw pixels.
    pub const OF_PIXELS: [Self; 3] = [Self::Plain, Self::Centred, Self::Levelled];

    /// Names the way in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "as they are",
            Self::Centred => "less the mean image",
            Self::Levelled => "each image less its mean and divided by its deviation",
        }
    }

    fn see<'r>(self, rows: &'r dyn Rows, means: &[f32]) -> Box<dyn Rows + 'r> {
        match self {
            Self::Plain => Box::new(rows),
            Self::Centred => Box::new(Standardised::centred(rows, means)),
            Self::Levelled => Box::new(Levelled(rows)),
        }
    }
}

impl<'a> Ground<'a> {
    /// Selects the images. If no accuracy means anything, returns the reason.
    pub fn new(dataset: &'a Dataset, copied: &Copied) -> Result<Self, LeftOut> {
        match dataset.classes.len() {
            0 => return Err(LeftOut::NoLabels),
            1 => return Err(LeftOut::SingleClass),
            _ if dataset.train.is_empty() => return Err(LeftOut::NothingToFit),
            _ => {}
        }
        let trained = trained_classes(dataset);
        let of_trained = |split: &Split| -> Vec<usize> {
            let labels = split.labels().unwrap_or_default().iter().enumerate();
            labels.filter(|(_, label)| trained[**label as usize]).map(|(image, _)| image).collect()
        };
        let (validation, test) = (of_trained(&dataset.validation), of_trained(&dataset.test));
        if test.is_empty() {
            return Err(LeftOut::OnlyUnseen);
        }
        if trained.iter().filter(|&&trained| trained).count() == 1 {
            return Err(LeftOut::SingleTrainedClass);
        }
        let known = test.iter().map(|&image| copied.known[image]).collect();
        let of_validation = dataset.validation.labels().unwrap_or_default();
        let mut labels = dataset.train.labels().unwrap_or_default().to_vec();
        labels.extend(labels::pick(of_validation, &validation));
        let train = dataset.train.len();
        let trials = if enough(&validation) {
            Trials::held_out((0..train).collect(), (train..labels.len()).collect())
        } else {
            let row = |&(split, image): &(SplitName, usize)| match split {
                SplitName::Train => Some(image),
                SplitName::Validation => validation.binary_search(&image).ok().map(|at| train + at),
                SplitName::Test => None,
            };
            let rows = |group: &Vec<_>| group.iter().filter_map(row).collect();
            let copies: Vec<Vec<usize>> = copied.groups.iter().map(rows).collect();
            Trials::folds(&labels, &copies, 0)
        };
        Ok(Self { dataset, validation, test, known, labels, trials })
    }

    /// Describes how settings are chosen.
    pub fn choosing(&self) -> String {
        match enough(&self.validation) {
            true => format!(
                "on {} validation images, by fits on the training images",
                self.validation.len()
            ),
            false => format!(
                "by {FOLDS}-fold cross-validation over the {} training and validation images, \
                 stratified, copies of an image in one fold; then all of them are used. The \
                 encoder saw the training images without labels, and neither the validation nor \
                 the test images",
                self.labels.len()
            ),
        }
    }

    /// Returns the labels of the test images that accuracies are over.
    pub fn truth(&self) -> Vec<u32> {
        labels::pick(self.dataset.test.labels().unwrap_or_default(), &self.test)
    }

    /// Classifies the test images by one representation, in three ways. The representation is given
    /// for the three splits, and for the views, with their labels, from which centres are computed.
    /// `knn_k` fixes the number of neighbours. `ways` are tried for nearest neighbours. `advance` is
    /// called with the number of [`probe::LAMBDAS`] that have been tried.
    pub fn classify(
        &self,
        [train, validation, test]: [&dyn Rows; 3],
        (views, view_labels): (&dyn Rows, &[u32]),
        (knn_k, ways): (Option<usize>, &[Way]),
        advance: &mut dyn FnMut(usize),
    ) -> Result<Predicted, Error> {
        let validation = &Chosen { rows: validation, chosen: &self.validation };
        let rows = &Stacked([train, validation]);
        let test = &Chosen { rows: test, chosen: &self.test };
        let classes = self.dataset.classes.len();
        let (way, k, knn) = self.nearest(rows, test, knn_k, ways)?;
        let probe = probe::choose(rows, &self.labels, classes, &self.trials, advance)?;
        let centres = centre::fit(&Normalised(views), view_labels, classes)?;
        let (linear, centre) = (probe.predict(test)?, centres.predict(&Normalised(test))?);
        Ok(Predicted { knn, k, way, linear, fit: probe.chosen, centre })
    }

    /// Chooses a way and k, and classifies the test images with them.
    fn nearest(
        &self,
        rows: &dyn Rows,
        test: &dyn Rows,
        knn_k: Option<usize>,
        ways: &[Way],
    ) -> Result<(Way, usize, Vec<u32>), Error> {
        let classes = self.dataset.classes.len();
        let temperature = KnnOptions::default().temperature;
        let all = &self.trials.all;
        let of_all = labels::pick(&self.labels, all);
        let ks = match knn_k {
            Some(k) => vec![k.min(all.len())],
            None => knn::candidates(&of_all, classes),
        };
        let fitted = &Chosen { rows, chosen: all };
        let means = match ways.contains(&Way::Centred) {
            true => narrow_means(fitted),
            false => Vec::new(),
        };
        let mut best: Option<(Way, Choice)> = None;
        for &way in ways {
            let seen = way.see(rows, &means);
            let choice = match (&ks[..], ways) {
                (&[k], [_]) => Choice { k, right: 0 },
                _ => knn::choose(&*seen, &self.labels, classes, &self.trials, &ks, temperature)?,
            };
            if best.is_none_or(|(_, best)| choice.right > best.right) {
                best = Some((way, choice));
            }
        }
        let (way, Choice { k, .. }) = best.expect("at least one way is tried");
        let options = KnnOptions { k, temperature };
        let (fitted, test) = (way.see(fitted, &means), way.see(test, &means));
        Ok((way, k, knn::classify(&*fitted, &of_all, classes, &*test, &options)?))
    }

    /// Measures the kNN accuracy on the validation images with the training images for neighbours.
    /// Returns `None` without validation images.
    pub fn validation_knn(
        &self,
        train: &dyn Rows,
        validation: &dyn Rows,
        k: usize,
    ) -> Result<Option<f64>, Error> {
        if self.validation.is_empty() {
            return Ok(None);
        }
        let (of_train, truth) = self.labels.split_at(train.rows());
        let queries = Chosen { rows: validation, chosen: &self.validation };
        let options = KnnOptions { k, ..KnnOptions::default() };
        let classes = self.dataset.classes.len();
        let found = knn::classify(train, of_train, classes, &queries, &options)?;
        Ok(Some(accuracy(&found, truth)?))
    }

    /// Measures the accuracy of a linear probe that is fitted with a share of the labels: of the
    /// images of each class that the other probe is fitted on, but at least one. The penalty is
    /// chosen by cross-validation over these images alone. Returns the number of images too.
    pub fn few_labels(
        &self,
        [train, validation, test]: [&dyn Rows; 3],
        share: f64,
    ) -> Result<(usize, f64), Error> {
        let validation = &Chosen { rows: validation, chosen: &self.validation };
        let rows = &Stacked([train, validation]);
        let classes = self.dataset.classes.len();
        let chosen = labelled(&self.labels, &self.trials.all, classes, share);
        let some = labels::pick(&self.labels, &chosen);
        let trials = Trials::folds(&some, &[], 0);
        let probe =
            probe::choose(&Chosen { rows, chosen: &chosen }, &some, classes, &trials, &mut |_| ())?;
        let predicted = probe.predict(&Chosen { rows: test, chosen: &self.test })?;
        Ok((chosen.len(), accuracy(&predicted, &self.truth())?))
    }
}

/// Returns whether settings are chosen on the validation images alone.
fn enough(validation: &[usize]) -> bool {
    validation.len() >= ENOUGH
}

/// Chooses the share of `rows` of each class, rounded, but at least one row. The choice is random
/// and the same in every call; a larger share holds a smaller one.
fn labelled(labels: &[u32], rows: &[usize], classes: usize, share: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    let of_class = labels::counts(&labels::pick(labels, rows), classes);
    let mut left: Vec<usize> = of_class
        .into_iter()
        .map(|images| ((share * images as f64).round() as usize).max(1))
        .collect();
    let mut chosen: Vec<usize> = order
        .into_iter()
        .map(|at| rows[at])
        .filter(|&row| {
            let left = &mut left[labels[row] as usize];
            let take = *left > 0;
            *left -= usize::from(take);
            take
        })
        .collect();
    chosen.sort_unstable();
    chosen
}

/// Returns, for each class, whether it has a training image.
pub(crate) fn trained_classes(dataset: &Dataset) -> Vec<bool> {
    let labels = dataset.train.labels().unwrap_or_default();
    labels::counts(labels, dataset.classes.len()).into_iter().map(|images| images > 0).collect()
}

/// Classes that a representation predicts for the test images.
pub(crate) struct Predicted {
    pub knn: Vec<u32>,
    /// Number of neighbours that voted.
    pub k: usize,
    /// How the representation was seen for them.
    pub way: Way,
    pub linear: Vec<u32>,
    /// The fit of the linear probe.
    pub fit: PathPoint,
    pub centre: Vec<u32>,
}

impl Predicted {
    /// Computes the accuracies over the test images at `chosen`, of the classes `truth`.
    pub fn scores(&self, chosen: &[usize], truth: &[u32], classes: usize) -> Result<Scores, Error> {
        let share = |predicted: &[u32]| accuracy(&labels::pick(predicted, chosen), truth);
        let macro_mean = |predicted: &[u32]| {
            let each = accuracies_of_classes(&labels::pick(predicted, chosen), truth, classes);
            let present: Vec<f64> = each.into_iter().flatten().collect();
            Some(present.iter().sum::<f64>() / present.len() as f64)
        };
        Ok(Scores {
            knn_acc1: share(&self.knn)?,
            knn_macro_acc1: macro_mean(&self.knn),
            knn_k: Some(self.k as u64),
            linear_acc1: share(&self.linear)?,
            linear_macro_acc1: macro_mean(&self.linear),
            linear_penalty: Some(self.fit.lambda),
            centre_acc1: share(&self.centre)?,
        })
    }

    /// Computes the accuracies of each class that has test images.
    pub fn per_class(&self, truth: &[u32], names: &[String]) -> Vec<ClassAccuracy> {
        let images = labels::counts(truth, names.len());
        let [knn, linear] = [&self.knn, &self.linear]
            .map(|predicted| accuracies_of_classes(predicted, truth, names.len()));
        let of_class = |class: usize| {
            Some(ClassAccuracy {
                class: names[class].clone(),
                images: images[class] as u64,
                knn_acc1: knn[class]?,
                linear_acc1: linear[class]?,
            })
        };
        (0..names.len()).filter_map(of_class).collect()
    }

    /// Counts, for each class, which classes nearest neighbours predict for its test images. Empty
    /// for more than 100 classes.
    pub fn confusion(&self, truth: &[u32], classes: usize) -> Vec<Vec<u64>> {
        if classes > MAX_CONFUSION {
            return Vec::new();
        }
        let mut counts = vec![vec![0; classes]; classes];
        for (&class, &predicted) in truth.iter().zip(&self.knn) {
            counts[class as usize][predicted as usize] += 1;
        }
        counts
    }
}

/// Computes the accuracy over the images of each class. `None` for a class without images.
fn accuracies_of_classes(predicted: &[u32], truth: &[u32], classes: usize) -> Vec<Option<f64>> {
    let images = labels::counts(truth, classes);
    let mut right = vec![0; classes];
    for (_, &class) in predicted.iter().zip(truth).filter(|(predicted, class)| predicted == class) {
        right[class as usize] += 1;
    }
    let share =
        |(right, images): (usize, usize)| (images > 0).then(|| right as f64 / images as f64);
    right.into_iter().zip(images).map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::dataset;
    use crate::{Features, copies};

    #[test]
    fn a_share_of_labels_has_every_class_and_holds_smaller_shares() {
        let labels: Vec<u32> = (0..230).map(|row| [0, 0, 0, 1, 2][row % 5]).collect();
        let rows: Vec<usize> = (10..230).collect();
        let counts = |chosen: &[usize]| labels::counts(&labels::pick(&labels, chosen), 3);
        let [few, some, all] = [0.01, 0.1, 1.0].map(|share| labelled(&labels, &rows, 3, share));
        // Of the rows from 10 on, 132 are of class 0 and 44 of each other.
        assert_eq!(counts(&few), [1, 1, 1]);
        assert_eq!(counts(&some), [13, 4, 4]);
        assert_eq!(all, rows);
        assert!(few.iter().all(|row| some.contains(row)));
    }

    #[test]
    fn copies_of_an_image_share_a_fold() {
        // Training images 0 and 7, and the second validation image, have the same pixels.
        let mut train: Vec<(u8, u32)> = (0..20).map(|at| (at, u32::from(at % 2))).collect();
        train[7].0 = 0;
        let validation = vec![(100, 0), (0, 0), (101, 1)];
        let dataset = dataset(&[train, validation, vec![(200, 0), (201, 1)]]);
        let ground = Ground::new(&dataset, &copies(&dataset)).ok().unwrap();
        assert_eq!(ground.labels.len(), 23);
        assert_eq!(ground.trials.all.len(), 23);
        let held =
            |row: usize| ground.trials.parts.iter().position(|part| part.held.contains(&row));
        assert!(held(0).is_some() && held(0) == held(7) && held(0) == held(21));
    }

    #[test]
    fn the_best_way_and_a_fixed_k_are_used() {
        // The class is the sign of the difference of two values whose common part is so large that
        // their cosines are all 1 in f32. Levelled rows have no common part.
        let rows = |count: usize| -> Features {
            let row = |at: usize| {
                let sign = if at.is_multiple_of(2) { 1.0 } else { -1.0 };
                let shift = 1e6 + (at * at % 97) as f32;
                [shift + sign, shift - sign]
            };
            Features::new(count, 2, (0..count).flat_map(row).collect()).unwrap()
        };
        let images = |count: u8, from: u8| -> Vec<(u8, u32)> {
            (0..count).map(|at| (from + at, u32::from(at % 2))).collect()
        };
        let dataset = dataset(&[images(40, 0), images(10, 60), images(20, 100)]);
        let ground = Ground::new(&dataset, &copies(&dataset)).ok().unwrap();
        let splits = [rows(40), rows(10), rows(20)];
        let splits = splits.each_ref().map(|split| split as &dyn Rows);
        let labels = labels::pick(&ground.labels, &(0..40).collect::<Vec<_>>());
        let classify = |k, ways: &[Way]| {
            ground.classify(splits, (splits[0], &labels), (k, ways), &mut |_| ()).unwrap()
        };
        let found = classify(None, &[Way::Plain, Way::Levelled]);
        assert_eq!((found.way, &found.knn), (Way::Levelled, &ground.truth()));
        assert_eq!(found.k, 1);
        let fixed = classify(Some(200), &[Way::Plain]);
        // All 50 training and validation images vote.
        assert_eq!((fixed.k, fixed.way), (50, Way::Plain));
        let (images, accuracy) = ground.few_labels(splits, 0.1).unwrap();
        assert!(images == 6 && (0.0..=1.0).contains(&accuracy));
        let knn = ground.validation_knn(&Levelled(splits[0]), &Levelled(splits[1]), 3).unwrap();
        assert_eq!(knn, Some(1.0));
    }

    #[test]
    fn classes_are_counted_one_by_one() {
        let fit = probe::PathPoint {
            lambda: 0.1,
            iterations: 3,
            converged: true,
            validation_accuracy: 0.5,
        };
        let found = Predicted {
            knn: vec![0, 1, 1, 1, 3],
            k: 5,
            way: Way::Plain,
            linear: vec![0, 0, 0, 1, 1],
            fit,
            centre: vec![0, 0, 1, 1, 3],
        };
        let truth = [0, 0, 0, 1, 3];
        let scores = found.scores(&[0, 1, 2, 3, 4], &truth, 4).unwrap();
        assert_eq!((scores.knn_acc1, scores.linear_acc1), (0.6, 0.8));
        // Class 2 has no image.
        assert_eq!(scores.knn_macro_acc1, Some((1.0 / 3.0 + 1.0 + 1.0) / 3.0));
        assert_eq!(scores.linear_macro_acc1, Some((1.0 + 1.0 + 0.0) / 3.0));
        let names = ["a", "b", "c", "d"].map(String::from);
        let each = found.per_class(&truth, &names);
        let shown: Vec<_> = each.iter().map(|class| (&*class.class, class.images)).collect();
        assert_eq!(shown, [("a", 3), ("b", 1), ("d", 1)]);
        assert_eq!((each[0].knn_acc1, each[2].linear_acc1), (1.0 / 3.0, 0.0));
        let confusion = found.confusion(&truth, 4);
        assert_eq!(confusion, [[1, 2, 0, 0], [0, 1, 0, 0], [0; 4], [0, 0, 0, 1]]);
        assert!(found.confusion(&truth, 101).is_empty());
    }
}
