//! The record of a comparison of runs (`compare.json`). [`words`] turns it into sentences.

pub mod words;

use selfsame_theory::Quantity;
use serde::{Deserialize, Serialize};

/// Name of the file that holds a [`Comparison`].
pub const COMPARISON_FILE: &str = "compare.json";
/// Name of the page of a [`Comparison`].
pub const COMPARISON_PAGE: &str = "compare.html";
/// Minimum number of runs for τ to have an interval, and for a predictor to be named.
pub const FEWEST: usize = 5;

/// A comparison of runs: how well each measure predicts their accuracy. (`compare.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Comparison {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word.
    pub command: Vec<String>,
    /// The δ at which σ is taken in all runs. `None` if no run has one.
    pub delta: Option<f64>,
    /// The ε at which R_ε is taken in all runs. `None` if no run has one.
    pub epsilon: Option<f64>,
    /// Names of the accuracies, in the order of [`ComparedRun::accuracies`] and
    /// [`Predictor::taus`].
    pub accuracies: Vec<String>,
    /// Position of the accuracy that the page is about: the first accuracy that half of the runs
    /// have and that any predictor orders, if there is one.
    pub leading: usize,
    /// Measures that may predict the accuracies, in the order of [`ComparedRun::values`].
    pub predictors: Vec<Predictor>,
    /// The runs, the most accurate first.
    pub runs: Vec<ComparedRun>,
    /// Remarks for the reader.
    pub notes: Vec<Note>,
}

/// A remark about a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
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

impl Comparison {
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
    /// Accuracies of the weights that were certified.
    pub accuracies: Vec<Option<Quantity>>,
    /// The measures.
    pub values: Vec<Option<Quantity>>,
    /// The strongest bound on the run's nearest-centre error.
    pub bound: Option<Quantity>,
}
