//! What an evaluation says beyond its figures: a verdict, and [`words`] for the values in
//! `eval.json`.

pub mod words;

use std::fmt;

use crate::interval::{largest_is_above, wilson};
use crate::record::{Accuracies, Evaluation, Representation, Scores, Verdict};

/// Start of the name of an encoder that the trained encoder is compared with.
const AGAINST: &str = "against:";

impl fmt::Display for Representation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trained => f.write_str("trained"),
            Self::Untrained => f.write_str("untrained"),
            Self::Patches => f.write_str("patches"),
            Self::Pixels => f.write_str("pixels"),
            Self::Against(name) => write!(f, "{AGAINST}{name}"),
        }
    }
}

impl From<Representation> for String {
    fn from(of: Representation) -> Self {
        of.to_string()
    }
}

impl TryFrom<String> for Representation {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match text.as_str() {
            "trained" => Self::Trained,
            "untrained" => Self::Untrained,
            "patches" => Self::Patches,
            "pixels" => Self::Pixels,
            other => match other.strip_prefix(AGAINST) {
                Some(name) => Self::Against(name.to_owned()),
                None => return Err(format!("no representation is called `{other}`")),
            },
        })
    }
}

impl Representation {
    /// Returns whether training must beat this representation to have paid off.
    pub fn is_baseline(&self) -> bool {
        matches!(self, Self::Untrained | Self::Patches | Self::Pixels)
    }

    /// Returns the name for a heading, for example `Raw pixels`.
    pub(crate) fn title(&self) -> &str {
        match self {
            Self::Trained => "Trained encoder",
            Self::Untrained => "Untrained encoder",
            Self::Patches => "Whitened patches",
            Self::Pixels => "Raw pixels",
            Self::Against(name) => name,
        }
    }

    /// Returns the name for a row of a table in a terminal, for example `raw pixels`.
    pub(crate) fn terse(&self) -> &str {
        let phrase = self.phrase();
        phrase.strip_prefix("the ").filter(|_| !matches!(self, Self::Against(_))).unwrap_or(phrase)
    }

    /// Returns the name for the middle of a sentence, for example `raw pixels`.
    pub(crate) fn phrase(&self) -> &str {
        match self {
            Self::Trained => "the trained encoder",
            Self::Untrained => "the untrained encoder",
            Self::Patches => "whitened patches",
            Self::Pixels => "raw pixels",
            Self::Against(name) => name,
        }
    }
}

impl Evaluation {
    /// Returns the accuracies of the trained encoder, if they were measured.
    pub fn trained(&self) -> Option<&Scores> {
        self.accuracies.as_ref()?.of.get(&Representation::Trained)
    }

    /// Returns the number of images that the accuracies are over.
    pub fn scored(&self) -> u64 {
        self.accuracies.as_ref().map_or(0, |accuracies| accuracies.images)
    }

    /// Returns the accuracies that the verdict is about: without copies, if there are other images.
    pub fn judged(&self) -> Option<&Accuracies> {
        self.without_copies.as_ref().or(self.accuracies.as_ref())
    }

    /// Returns the number of images of the split whose class has no training image.
    pub fn unseen_images(&self) -> u64 {
        let of_split = self.unseen.iter().filter(|unseen| unseen.split == self.split);
        of_split.map(|unseen| unseen.images).sum()
    }

    /// Judges the accuracies. Returns `None` if there is no kNN accuracy of the trained encoder.
    ///
    /// ```
    /// use selfsame_report::record::{Accuracies, Evaluation, Representation, Scores, Verdict};
    ///
    /// let [guess, good] = [0.5, 0.9].map(|share| Scores {
    ///     knn_acc1: share,
    ///     linear_acc1: share,
    ///     centre_acc1: share,
    ///     ..Scores::default()
    /// });
    /// let of = [(Representation::Trained, guess), (Representation::Pixels, guess)].into();
    /// let mut accuracies = Accuracies { images: 200, majority: Some(0.5), of };
    /// let judge = |accuracies: &Accuracies, known| {
    ///     let accuracies = Some(accuracies.clone());
    ///     Evaluation { accuracies, known, ..Evaluation::default() }.judge()
    /// };
    /// assert_eq!(judge(&accuracies, 0), Some(Verdict::NothingTold));
    /// accuracies.of.insert(Representation::Pixels, good);
    /// assert_eq!(judge(&accuracies, 0), Some(Verdict::AtMajority));
    /// assert_eq!(judge(&accuracies, 200), Some(Verdict::OnlyCopies)); // all are copies
    /// ```
    pub fn judge(&self) -> Option<Verdict> {
        let judged = self.judged()?;
        let trained = judged.knn(&Representation::Trained)?;
        if self.known > 0 && self.known >= self.scored() {
            return Some(Verdict::OnlyCopies);
        }
        if let Some(share) = judged.commonest()
            && wilson(trained, judged.images).low <= share
        {
            let told = judged.best().is_some_and(|(.., best)| judged.is_told(best));
            return Some(if told { Verdict::AtMajority } else { Verdict::NothingTold });
        }
        let Some((of, score)) = judged.baseline() else { return Some(Verdict::NoBaseline) };
        let of = of.clone();
        if trained <= score {
            return Some(Verdict::Behind { of });
        }
        let n = judged.images;
        Some(Verdict::Ahead { of, clear: wilson(trained, n).low > wilson(score, n).high })
    }

    /// Checks that the values agree with each other.
    ///
    /// # Errors
    /// The first fault.
    pub(crate) fn check(&self) -> Result<(), EvaluationFault> {
        if self.split.is_empty() {
            return Err(EvaluationFault::NoSplit);
        }
        if self.accuracies.is_none() && self.left_out.is_empty() {
            return Err(EvaluationFault::NoAccuracies);
        }
        for accuracies in [&self.accuracies, &self.without_copies].into_iter().flatten() {
            accuracies.check()?;
        }
        for each in &self.per_class {
            for (name, value) in [("knn_acc1", each.knn_acc1), ("linear_acc1", each.linear_acc1)] {
                share(name, format_args!("the class {}", each.class), value)?;
            }
        }
        for few in &self.few_labels {
            for (of, &value) in &few.linear_acc1 {
                share("a share", of, value)?;
            }
            share("a share", "few labels", few.share)?;
        }
        if let Some(on) = &self.validation {
            share("knn_acc1", "the validation images", on.knn_acc1)?;
        }
        let classes = self.confusion.len();
        let square = self.confusion.iter().all(|row| row.len() == classes);
        if !square || (classes > 0 && classes != self.class_names.len()) {
            return Err(EvaluationFault::Confusion);
        }
        let others = self.without_copies.as_ref().map_or(0, |others| others.images);
        let counts = [
            ("scored", self.scored(), "in the split", self.images),
            ("known", self.known, "scored", self.scored()),
            (
                "without copies",
                others,
                "scored that are no copies",
                self.scored() - self.known.min(self.scored()),
            ),
        ];
        match counts.into_iter().find(|(_, part, _, whole)| part > whole) {
            Some((name, part, of, whole)) => Err(EvaluationFault::Count { name, part, of, whole }),
            None => Ok(()),
        }
    }
}

/// Reason why an `eval.json` cannot be what an evaluation wrote.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluationFault {
    /// The measured split is not named.
    #[error("it does not say which split was measured")]
    NoSplit,
    /// There are no accuracies, and no reason is given.
    #[error("it holds neither accuracies nor a reason why they were left out")]
    NoAccuracies,
    /// The accuracies hold none of the trained encoder.
    #[error("its accuracies have none of the trained encoder")]
    NoTrained,
    /// A value is no proportion.
    #[error("{name} of {of} is {value}, which does not lie between 0 and 1")]
    Share {
        /// The value's name.
        name: &'static str,
        /// The representation, or the images.
        of: String,
        /// The value.
        value: f64,
    },
    /// A setting is impossible.
    #[error("{name} of {of} is {value}, which is not above 0")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// The representation.
        of: String,
        /// The value.
        value: f64,
    },
    /// The confusion of classes is no square.
    #[error("the confusion of classes is no square of as many rows as there are classes")]
    Confusion,
    /// A part is larger than the whole.
    #[error("{part} images are {name}, but only {whole} are {of}")]
    Count {
        /// Name of the part.
        name: &'static str,
        /// Number of images in the part.
        part: u64,
        /// Name of the whole.
        of: &'static str,
        /// Number of images in the whole.
        whole: u64,
    },
}

/// Checks that a value is a proportion, or NaN, which stands for one that was not measured.
fn share(name: &'static str, of: impl fmt::Display, value: f64) -> Result<(), EvaluationFault> {
    match value.is_nan() || (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => Err(EvaluationFault::Share { name, of: of.to_string(), value }),
    }
}

impl Accuracies {
    /// Returns the kNN accuracy of a representation, if it was measured.
    pub(crate) fn knn(&self, of: &Representation) -> Option<f64> {
        self.of.get(of).map(|scores| scores.knn_acc1).filter(|share| share.is_finite())
    }

    /// Returns all representations but the trained encoder that have a kNN accuracy, with it.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&Representation, f64)> {
        let others = self.of.keys().filter(|of| **of != Representation::Trained);
        others.filter_map(|of| Some((of, self.knn(of)?)))
    }

    /// Returns the share of the commonest class, if it was measured.
    pub(crate) fn commonest(&self) -> Option<f64> {
        self.majority.filter(|share| share.is_finite())
    }

    /// Returns the best baseline with its kNN accuracy.
    pub(crate) fn baseline(&self) -> Option<(&Representation, f64)> {
        let baselines = self.others().filter(|(of, _)| of.is_baseline());
        baselines.max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Returns the largest accuracy: the name of its measure, its representation, and its value.
    pub(crate) fn best(&self) -> Option<(&'static str, &Representation, f64)> {
        let all = self.of.iter().flat_map(|(of, scores)| {
            [
                ("nearest neighbours", of, scores.knn_acc1),
                ("a linear probe", of, scores.linear_acc1),
                ("the nearest centre", of, scores.centre_acc1),
            ]
        });
        all.filter(|(.., share)| share.is_finite()).max_by(|a, b| a.2.total_cmp(&b.2))
    }

    /// Returns whether an accuracy shows that labels can be told from images: it is above the share
    /// of the commonest class by more than the largest of all accuracies, three measures of each
    /// representation, would be by chance.
    fn is_told(&self, share: f64) -> bool {
        self.commonest().is_none_or(|majority| {
            largest_is_above(3 * self.of.len(), share, majority, self.images)
        })
    }

    fn check(&self) -> Result<(), EvaluationFault> {
        if !self.of.contains_key(&Representation::Trained) {
            return Err(EvaluationFault::NoTrained);
        }
        share("majority", format_args!("{} images", self.images), self.majority.unwrap_or(0.0))?;
        for (of, scores) in &self.of {
            share("knn_acc1", of, scores.knn_acc1)?;
            let macros = [scores.knn_macro_acc1, scores.linear_macro_acc1];
            for (name, value) in ["knn_macro_acc1", "linear_macro_acc1"].into_iter().zip(macros) {
                share(name, of, value.unwrap_or(0.0))?;
            }
            share("linear_acc1", of, scores.linear_acc1)?;
            share("centre_acc1", of, scores.centre_acc1)?;
            let settings = [
                ("knn_k", scores.knn_k.map(|k| k as f64)),
                ("linear_penalty", scores.linear_penalty),
            ];
            for (name, value) in settings {
                if let Some(value) = value.filter(|value| value.is_nan() || *value <= 0.0) {
                    return Err(EvaluationFault::Setting { name, of: of.to_string(), value });
                }
            }
        }
        Ok(())
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
