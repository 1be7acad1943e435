//! What an evaluation says beyond its figures: a verdict, and [`words`] for the values in
//! `eval.json`.

pub mod words;

use crate::interval::{largest_of_nine_is_above, wilson};
use crate::record::{Accuracies, Baseline, Evaluation, Scores, Verdict};

impl Evaluation {
    /// Returns the accuracies over all images whose class has a training image.
    pub fn accuracies(&self) -> Accuracies {
        let Self { majority, test, untrained, pixels, .. } = *self;
        Accuracies { images: self.scored, majority, test, untrained, pixels }
    }

    /// Returns the accuracies that the verdict is about: without copies, if there are other images.
    pub fn judged(&self) -> Accuracies {
        self.without_copies.unwrap_or_else(|| self.accuracies())
    }

    /// Returns the number of images of the split whose class has no training image.
    pub fn unseen_images(&self) -> u64 {
        let of_split = self.unseen.iter().filter(|unseen| unseen.split == self.split);
        of_split.map(|unseen| unseen.images).sum()
    }

    /// Judges the accuracies. Returns `None` if there is no kNN accuracy of the trained encoder.
    ///
    /// ```
    /// use selfsame_report::record::{Evaluation, Scores, Verdict};
    ///
    /// let [guess, good] = [0.5, 0.9].map(|share| {
    ///     Some(Scores { knn_acc1: share, linear_acc1: share, centre_acc1: share })
    /// });
    /// let mut evaluation = Evaluation { scored: 200, majority: Some(0.5), ..Evaluation::default() };
    /// (evaluation.test, evaluation.untrained, evaluation.pixels) = (guess, guess, guess);
    /// assert_eq!(evaluation.judge(), Some(Verdict::NothingTold));
    /// evaluation.pixels = good;
    /// assert_eq!(evaluation.judge(), Some(Verdict::AtMajority));
    /// evaluation.known = 200; // all are copies
    /// assert_eq!(evaluation.judge(), Some(Verdict::OnlyCopies));
    /// ```
    pub fn judge(&self) -> Option<Verdict> {
        let judged = self.judged();
        let trained = judged.knn(|judged| judged.test)?;
        if self.known > 0 && self.known >= self.scored {
            return Some(Verdict::OnlyCopies);
        }
        if let Some(share) = judged.majority.filter(|share| share.is_finite())
            && wilson(trained, judged.images).low <= share
        {
            let told = judged.best().is_some_and(|(.., best)| judged.is_told(best));
            return Some(if told { Verdict::AtMajority } else { Verdict::NothingTold });
        }
        let Some((of, score)) = judged.baseline() else { return Some(Verdict::NoBaseline) };
        if trained <= score {
            return Some(Verdict::Behind { of });
        }
        let n = judged.images;
        Some(Verdict::Ahead { of, clear: wilson(trained, n).low > wilson(score, n).high })
    }
}

impl Accuracies {
    /// Returns the kNN accuracy of a representation, if it was measured.
    pub(crate) fn knn(&self, of: impl Fn(&Self) -> Option<Scores>) -> Option<f64> {
        of(self).map(|scores| scores.knn_acc1).filter(|share| share.is_finite())
    }

    /// Returns the better of the two baselines with its kNN accuracy.
    pub(crate) fn baseline(&self) -> Option<(Baseline, f64)> {
        let both = [
            (Baseline::Untrained, self.knn(|all| all.untrained)),
            (Baseline::Pixels, self.knn(|all| all.pixels)),
        ];
        let measured = both.into_iter().filter_map(|(of, share)| Some((of, share?)));
        measured.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Returns the largest accuracy: the names of its measure and representation, and its value.
    pub(crate) fn best(&self) -> Option<(&'static str, &'static str, f64)> {
        let of = [
            ("the trained encoder", self.test),
            ("the untrained encoder", self.untrained),
            ("raw pixels", self.pixels),
        ];
        let each = of.into_iter().filter_map(|(name, scores)| Some((name, scores?)));
        let all = each.flat_map(|(name, scores)| {
            [
                ("nearest neighbours", name, scores.knn_acc1),
                ("a linear probe", name, scores.linear_acc1),
                ("the nearest centre", name, scores.centre_acc1),
            ]
        });
        all.filter(|(.., share)| share.is_finite()).max_by(|a, b| a.2.total_cmp(&b.2))
    }

    /// Returns whether an accuracy shows that labels can be told from images: it is above the share
    /// of the commonest class by more than the largest of nine accuracies, three measures of three
    /// representations, would be by chance.
    fn is_told(&self, share: f64) -> bool {
        let majority = self.majority.filter(|share| share.is_finite());
        majority.is_none_or(|majority| largest_of_nine_is_above(share, majority, self.images))
    }

    /// Returns the smallest accuracy that would show that labels can be told from images. Returns
    /// `None` if not even 100 % would.
    pub(crate) fn least_told(&self) -> Option<f64> {
        let share = |right: u64| right as f64 / self.images as f64;
        let (mut least, mut told) = (0, self.images);
        if self.images == 0 || !self.is_told(1.0) {
            return None;
        }
        // All larger accuracies are told as well.
        while least < told {
            let middle = least + (told - least) / 2;
            if self.is_told(share(middle)) { told = middle } else { least = middle + 1 }
        }
        Some(share(told))
    }
}
