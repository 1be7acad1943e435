//! What `selfsame compare` found: its record (`compare.json`).

use selfsame_theory::Quantity;
use serde::{Deserialize, Serialize};

use crate::percent;

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
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
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

    /// Why no measure orders the runs by the [leading](Self::leading) accuracy, in a sentence; none
    /// where one does.
    pub fn nothing(&self) -> Option<String> {
        let ordered =
            |predictor: &Predictor| predictor.taus.get(self.leading).is_some_and(Option::is_some);
        if self.predictors.iter().any(ordered) {
            return None;
        }
        let accuracy = |run: &ComparedRun| Some(run.accuracies.get(self.leading)?.as_ref()?.value);
        let known: Vec<(&ComparedRun, f64)> =
            self.runs.iter().filter_map(|run| Some((run, accuracy(run)?))).collect();
        let name = self.accuracies.get(self.leading).map_or("", String::as_str);
        let measured =
            known.iter().filter(|(run, _)| run.values.iter().any(Option::is_some)).count();
        let why = match known[..] {
            [] => "no run has an accuracy; `selfsame eval` and `selfsame certify` measure them."
                .to_owned(),
            [(run, _)] => {
                format!("only {} has an accuracy ({name}), and it takes two runs.", run.run)
            }
            _ if measured < 2 => {
                "it takes two runs that have both an accuracy and a certificate.".to_owned()
            }
            [(_, first), ..] if known.iter().all(|(_, value)| *value == first) => format!(
                "all {} runs have the same {name} accuracy, {}, so there is no order to predict.",
                known.len(),
                percent(first)
            ),
            _ => "each measure is the same in all runs.".to_owned(),
        };
        Some(format!("There is nothing to compare yet: {why}"))
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
