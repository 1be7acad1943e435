//! The record of a comparison of runs (`compare.json`). [`words`] turns it into sentences.

pub mod words;

use selfsame_theory::Quantity;
use serde::{Deserialize, Serialize};

/// Name of the file that holds a [`Comparison`].
pub const COMPARISON_FILE: &str = "compare.json";
/// Name of its page.
pub const COMPARISON_PAGE: &str = "compare.html";
/// Runs it takes for τ to have an interval, and for a predictor to be named.
pub const FEWEST: usize = 5;

/// Runs beside each other, and how well each measure predicts how accurate they are.
/// (`compare.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Comparison {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word.
    pub command: Vec<String>,
    /// The δ that σ is taken at in all runs; none where no run has one.
    pub delta: Option<f64>,
    /// The ε that R_ε is taken at in all runs; none where no run has one.
    pub epsilon: Option<f64>,
    /// Names of the accuracies, in the order of [`ComparedRun::accuracies`] and
    /// [`Predictor::taus`].
    pub accuracies: Vec<String>,
    /// Which of them the page is about: the first that half of the runs have and any predictor
    /// orders, where there is one.
    pub leading: usize,
    /// What may predict them, in the order of [`ComparedRun::values`].
    pub predictors: Vec<Predictor>,
    /// The runs, the most accurate first.
    pub runs: Vec<ComparedRun>,
    /// What a reader should know.
    pub notes: Vec<Note>,
}

/// Something to know when reading a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub enum Note {
    /// A run without a certificate has no measures.
    NoCertificate {
        /// Its folder.
        run: String,
    },
    /// Evaluation and certificate of a run are of different steps of its training, so the evaluation
    /// does not count.
    DifferentSteps {
        /// Its folder.
        run: String,
    },
    /// A run without accuracies.
    NoAccuracies {
        /// Its folder.
        run: String,
    },
    /// Certificates of embeddings do not tell which images they are of.
    UnknownImages,
    /// The certificates measured different things.
    Differ {
        /// In what they differ.
        aspect: Aspect,
    },
    /// So few runs that the intervals of τ are rough.
    FewRuns {
        /// Runs with both an accuracy and a measure.
        complete: usize,
    },
    /// The intervals of τ take the runs to be independent.
    Dependent,
}

/// In what certificates can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// Their images.
    Images,
    /// The split that the images are of.
    Splits,
    /// The number of images.
    ImageCounts,
    /// The number of views of an image.
    ViewCounts,
    /// The seed of the views.
    Seeds,
}

impl Comparison {
    /// Runs that have the [leading](Self::leading) accuracy and something that may predict it.
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
    /// What it is called.
    pub name: String,
    /// What it is, in a sentence.
    pub meaning: String,
    /// Whether theory or its authors say that larger is better.
    pub larger_is_better: bool,
    /// Kendall's τ with each accuracy over the runs that have both, positive where the better value
    /// goes with the larger accuracy; none where nothing is ordered.
    pub taus: Vec<Option<Quantity>>,
}

/// A run, as it is compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedRun {
    /// Its folder, or that of a certificate that no run has.
    pub run: String,
    /// Its method; empty where there is no run.
    pub method: String,
    /// Its augmentation, in short.
    pub augment: String,
    /// Epochs of training.
    pub epochs: u64,
    /// Its seed.
    pub seed: u64,
    /// Accuracies, all of the weights that were certified.
    pub accuracies: Vec<Option<Quantity>>,
    /// The measures.
    pub values: Vec<Option<Quantity>>,
    /// The strongest bound on its nearest-centre error.
    pub bound: Option<Quantity>,
}
