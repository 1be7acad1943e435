//! The record of a comparison of runs (`compare.json`). [`words`] turns it into sentences.

pub mod words;

use selfsame_theory::Quantity;
use serde::{Deserialize, Serialize};

/// Name of the file that holds a [`Comparison`].
pub const COMPARISON_FILE: &str = "compare.json";
/// Name of the page of a [`Comparison`].
pub const COMPARISON_PAGE: &str = "compare.html";
/// Minimum number of runs for τ to have an interval, and for measures to be judged as predictors.
pub const FEWEST: usize = 5;

/// A comparison of runs: how they differ, which is better, and how well each measure predicts
/// their accuracy. (`compare.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Comparison {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word.
    pub command: Vec<String>,
    /// Which run is the best, and whether that is beyond chance.
    pub verdict: Verdict,
    /// Names of the settings in which runs differ, in the order of [`ComparedRun::settings`].
    pub settings: Vec<String>,
    /// Names of the accuracies, in the order of [`ComparedRun::accuracies`],
    /// [`Paired::differences`] and [`Predictor::taus`].
    pub accuracies: Vec<String>,
    /// Position of the accuracy that the page is about: the first accuracy that half of the runs
    /// have, two at least, if there is one.
    pub leading: usize,
    /// The first of the runs beside each other run that was measured on the same test images.
    pub paired: Vec<Paired>,
    /// The δ at which σ is taken in all runs. `None` if no run has one.
    pub delta: Option<f64>,
    /// The ε at which R_ε is taken in all runs. `None` if no run has one.
    pub epsilon: Option<f64>,
    /// Measures that may predict the accuracies, in the order of [`ComparedRun::values`].
    pub predictors: Vec<Predictor>,
    /// The runs, the most accurate first.
    pub runs: Vec<ComparedRun>,
    /// Remarks for the reader.
    pub notes: Vec<Note>,
}

/// What the leading accuracy says of the runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Fewer than two runs have an accuracy in common.
    #[default]
    Nothing,
    /// The first run is better than every other run that it is paired with: no interval of a
    /// difference holds 0.
    Better,
    /// The first run cannot be told from others: the intervals of these differences hold 0.
    Undecided {
        /// Positions of those runs.
        others: Vec<usize>,
    },
    /// The first two runs were measured on different test images.
    DifferentImages,
    /// Of the first two runs it is not known which images they get right.
    NoPredictions,
}

/// The first run beside another run, image by image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Position of the other run.
    pub other: usize,
    /// Number of test images that both were measured on.
    pub images: u64,
    /// Differences of the accuracies. `None` for an accuracy that is not known image by image.
    pub differences: Vec<Option<Difference>>,
}

/// The difference of an accuracy between two runs on the same images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Number of images that the first run alone gets right.
    pub only_first: u64,
    /// Number of images that the other run alone gets right.
    pub only_other: u64,
    /// Accuracy of the first run minus that of the other, with its interval. If there are several
    /// other runs, the level of 95 % is for all pairs of runs together.
    pub difference: Quantity,
}

/// A remark about a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// A path holds neither a run nor a certificate, and was passed over.
    PassedOver {
        /// The path.
        run: String,
    },
    /// A run has no record of what it predicts for each test image.
    NoPredictions {
        /// Folder of the run.
        run: String,
    },
    /// A run was measured on other test images than the first run.
    OtherImages {
        /// Folder of the run.
        run: String,
    },
    /// A run has no certificate and therefore no measures.
    NoCertificate {
        /// Folder of the run.
        run: String,
    },
    /// The evaluation and the certificate of a run are from different training steps, so the
    /// evaluation does not count.
    DifferentSteps {
        /// Folder of the run.
        run: String,
    },
    /// A run has no accuracies.
    NoAccuracies {
        /// Folder of the run.
        run: String,
    },
    /// Some of the images behind the accuracies of a run are copies of training or validation
    /// images.
    Copies {
        /// Folder of the run.
        run: String,
        /// Number of copies.
        copies: u64,
        /// Number of images behind the accuracies.
        images: u64,
    },
    /// Certificates of embeddings do not identify their images.
    UnknownImages,
    /// The certificates measured different things.
    Differ {
        /// The aspect in which they differ.
        aspect: Aspect,
    },
    /// There are so few runs that the intervals of τ are rough.
    FewRuns {
        /// Number of runs with both an accuracy and a measure.
        complete: usize,
    },
    /// The intervals of τ assume that the runs are independent.
    Dependent,
}

/// An aspect in which certificates can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// Their images.
    Images,
    /// The split that the images come from.
    Splits,
    /// The number of images.
    ImageCounts,
    /// The number of views per image.
    ViewCounts,
    /// The seed of the views.
    Seeds,
}

impl Note {
    /// Returns whether the remark is about the prediction of accuracies, and says nothing without
    /// it.
    pub fn is_about_prediction(&self) -> bool {
        matches!(
            self,
            Self::NoCertificate { .. }
                | Self::UnknownImages
                | Self::Differ { .. }
                | Self::FewRuns { .. }
                | Self::Dependent
        )
    }
}

impl Comparison {
    /// Returns whether there are enough runs to ask which measure predicts their accuracy.
    pub fn predicts(&self) -> bool {
        self.complete() >= FEWEST
    }

    /// Returns the number of runs that have the [leading](Self::leading) accuracy and a measure
    /// that may predict it.
    pub fn complete(&self) -> usize {
        let complete = |run: &&ComparedRun| {
            run.accuracies.get(self.leading).is_some_and(Option::is_some)
                && run.values.iter().any(Option::is_some)
        };
        self.runs.iter().filter(complete).count()
    }
}

/// A measure that may predict accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predictor {
    /// Name of the measure.
    pub name: String,
    /// Explanation of the measure in one sentence.
    pub meaning: String,
    /// Whether larger is better, according to theory or to the authors of the measure.
    pub larger_is_better: bool,
    /// Kendall's τ with each accuracy, over the runs that have both the measure and the accuracy.
    /// It is positive if better values go with larger accuracies, and `None` if there is no order.
    pub taus: Vec<Option<Quantity>>,
}

/// A run in a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedRun {
    /// Folder of the run, or of a certificate that belongs to no run.
    pub run: String,
    /// Method of the run. Empty if there is no run.
    pub method: String,
    /// Augmentation, in short.
    pub augment: String,
    /// Number of epochs of training.
    pub epochs: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Values of the settings in which runs differ. `None` for a setting that is not set.
    pub settings: Vec<Option<String>>,
    /// How training went: at most some hundred points, the last one among them.
    pub curve: Vec<CurvePoint>,
    /// Accuracies of the weights that were certified.
    pub accuracies: Vec<Option<Quantity>>,
    /// The measures.
    pub values: Vec<Option<Quantity>>,
    /// The strongest bound on the run's nearest-centre error.
    pub bound: Option<Quantity>,
}

/// A point of a run's training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Number of epochs completed, with a fraction.
    pub epoch: f64,
    /// The loss. `None` if it was not a number.
    pub loss: Option<f64>,
    /// kNN accuracy on the validation split. Only some points have one.
    pub knn: Option<f64>,
}
