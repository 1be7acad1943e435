//! A study: from images to a measured encoder and its page.

use std::path::Path;

use selfsame_report::record::Evaluation;
use selfsame_train::checkpoint::Which;

use crate::evaluate::evaluate_run;
use crate::pretrain::{Trained, Training};
use crate::{Error, PretrainOptions, Pretrained, Progress, ResumeOptions};

/// What to study: the options of the training. What is measured of it has none.
pub type StudyOptions = PretrainOptions;

/// A run that was trained and measured.
#[derive(Clone, Debug)]
pub struct Study {
    /// The run, its record and its page.
    pub training: Pretrained,
    /// What the encoder of the last step is worth on the test split.
    pub evaluation: Evaluation,
}

/// Trains an encoder, measures it on the test split beside its baselines, and writes the page:
/// [`pretrain`](crate::pretrain()), [`evaluate`](crate::evaluate()) and
/// [`report`](crate::report()) in one.
///
/// # Errors
/// As those three.
///
/// ```no_run
/// use selfsame::StudyOptions;
///
/// let options = StudyOptions { data: "photos/".into(), ..StudyOptions::default() };
/// let study = selfsame::study(&options, &mut ())?;
/// println!("{:?}, see {}", study.evaluation.test, study.training.report.display());
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn study(options: &StudyOptions, progress: &mut dyn Progress) -> Result<Study, Error> {
    measure(Training::start(options, progress)?.train(progress)?, progress)
}

/// Goes on with a study, under its own settings.
///
/// # Errors
/// As [`study`]; the folder is no run, or its images have changed.
pub fn resume_study(
    run: &Path,
    options: &ResumeOptions,
    progress: &mut dyn Progress,
) -> Result<Study, Error> {
    measure(Training::resume(run, options, progress)?.train(progress)?, progress)
}

fn measure(trained: Trained, progress: &mut dyn Progress) -> Result<Study, Error> {
    let Trained { run, plan, dataset, device, .. } = &trained;
    let evaluation = evaluate_run(run, plan, dataset, Which::Last, device, progress)?;
    Ok(Study { training: trained.finish(progress)?, evaluation })
}
