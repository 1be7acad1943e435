//! What is most worth doing next, from what was measured.

use serde::Serialize;

use crate::record::{Evaluation, LeftOut, RunRecord, Verdict};

/// How many times longer a run is worth trying if it does not beat its baselines clearly.
const LONGER: u64 = 4;

/// A step that is worth taking now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Next {
    /// Finish training.
    Resume,
    /// Measure the encoder.
    Measure,
    /// Replace test images that training has seen.
    OtherTest,
    /// See whether the labels fit the images.
    CheckLabels,
    /// See what the encoder takes for alike.
    Neighbours,
    /// Train to this number of epochs.
    Prolong {
        /// Number of epochs in all.
        epochs: u64,
    },
    /// Choose another augmentation.
    Forecast,
    /// Measure more test images, as the intervals are too wide.
    MoreTest,
    /// See what can be proved of the encoder.
    Certify,
    /// Use the encoder elsewhere.
    Export,
}

/// Returns what is most worth doing after a run: at most two steps, the most worthwhile first. More
/// would be a list to choose from, not advice.
///
/// ```
/// use selfsame_report::next::{Next, after_run};
/// use selfsame_report::record::{Evaluation, Representation, RunRecord, Verdict};
///
/// let run = RunRecord { finished: true, epochs: 25, ..RunRecord::default() };
/// let verdict = Some(Verdict::Behind { of: Representation::Pixels });
/// let evaluation = Evaluation { verdict, ..Evaluation::default() };
/// assert_eq!(after_run(&run, None), [Next::Measure]);
/// assert_eq!(after_run(&run, Some(&evaluation)), [Next::Prolong { epochs: 100 }, Next::Forecast]);
/// ```
pub fn after_run(run: &RunRecord, evaluation: Option<&Evaluation>) -> Vec<Next> {
    let prolong = Next::Prolong { epochs: LONGER * run.epochs };
    match evaluation {
        _ if !run.finished => vec![Next::Resume],
        None => vec![Next::Measure],
        Some(evaluation) => match &evaluation.verdict {
            Some(Verdict::OnlyCopies) => vec![Next::OtherTest],
            Some(Verdict::NothingTold) => vec![Next::CheckLabels, Next::MoreTest],
            Some(Verdict::AtMajority | Verdict::Behind { .. }) => vec![prolong, Next::Forecast],
            Some(Verdict::Ahead { clear: false, .. }) => vec![prolong, Next::MoreTest],
            Some(Verdict::Ahead { clear: true, .. }) => vec![Next::CheckLabels, Next::Export],
            Some(Verdict::NoBaseline) => vec![Next::Certify, Next::Export],
            None if evaluation.left_out.contains(&LeftOut::OnlyUnseen) => vec![Next::OtherTest],
            None => vec![Next::Neighbours, Next::Export],
        },
    }
}

impl Next {
    /// Returns the step as a command and what it is good for. `run` and `data` are how the run's
    /// folder and its images are typed.
    ///
    /// ```
    /// use selfsame_report::next::Next;
    ///
    /// let [command, why] = Next::Prolong { epochs: 100 }.in_words("runs/photos", "photos/");
    /// assert_eq!(command, "selfsame study --resume runs/photos --epochs 100");
    /// assert_eq!(why, "train on, to 100 epochs");
    /// ```
    pub fn in_words(self, run: &str, data: &str) -> [String; 2] {
        let (command, why) = match self {
            Self::Resume => (format!("selfsame study --resume {run}"), "finish training".into()),
            Self::Measure => {
                (format!("selfsame eval {run}"), "measure the encoder beside its baselines".into())
            }
            Self::OtherTest => (
                format!("selfsame inspect {data}"),
                "see which images stand in several splits, and set others aside for test".into(),
            ),
            Self::CheckLabels => (
                format!("selfsame neighbours {run}"),
                "see which labels are likely wrong, and why".into(),
            ),
            Self::Neighbours => (
                format!("selfsame neighbours {run}"),
                "see which images the encoder takes for alike".into(),
            ),
            Self::Prolong { epochs } => (
                format!("selfsame study --resume {run} --epochs {epochs}"),
                format!("train on, to {epochs} epochs"),
            ),
            Self::Forecast => (
                format!("selfsame forecast --data {data}"),
                "see which augmentation suits these images".into(),
            ),
            Self::MoreTest => (
                format!("selfsame inspect {data}"),
                "see how few images the accuracy rests on; with more test images it says more"
                    .into(),
            ),
            Self::Certify => {
                (format!("selfsame certify {run}"), "see what can be proved of the encoder".into())
            }
            Self::Export => {
                (format!("selfsame export {run} --format onnx"), "use the encoder elsewhere".into())
            }
        };
        [command, why]
    }
}
