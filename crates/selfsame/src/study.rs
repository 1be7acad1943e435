//! A study: trains an encoder on images, measures it and writes its page.

use std::path::Path;

use selfsame_nn::device;
use selfsame_report::record::Evaluation;
use selfsame_train::checkpoint::Which;

use crate::evaluate::{Others, evaluate_run};
use crate::pretrain::{Trained, Training};
use crate::{Error, PretrainOptions, Pretrained, Progress, ResumeOptions};

/// Options of a study: the options of its training, and the encoders to measure beside it.
pub type StudyOptions = PretrainOptions;

/// A run that was trained and measured.
#[derive(Clone, Debug)]
pub struct Study {
    /// The run, its record and its page.
    pub training: Pretrained,
    /// The measurements of the last step's encoder on the test split.
    pub evaluation: Evaluation,
}

/// Trains an encoder, measures it and its baselines on the test split, and writes the page. One
/// call replaces [`pretrain`](crate::pretrain()), [`evaluate`](crate::evaluate()) and
/// [`report`](crate::report()).
///
/// # Errors
/// The errors of those three functions.
///
/// ```no_run
/// use selfsame::StudyOptions;
///
/// let options = StudyOptions { data: "photos/".into(), ..StudyOptions::default() };
/// let study = selfsame::study(&options, &mut ())?;
/// println!("{:?}, see {}", study.evaluation.trained(), study.training.report.display());
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn study(options: &StudyOptions, progress: &mut dyn Progress) -> Result<Study, Error> {
    let device = device::by_name(&options.device)?;
    // What cannot be read is to stop the study before training, not after it.
    let others = Others::read(&options.against, &device, progress)?;
    let training = Training::start(options, &others, progress)?;
    measure(training.train(progress)?, &others, progress)
}

/// Continues a study, under its own settings.
///
/// # Errors
/// The errors of [`study`]; also if the folder is not a run, or if its images have changed.
pub fn resume_study(
    run: &Path,
    options: &ResumeOptions,
    progress: &mut dyn Progress,
) -> Result<Study, Error> {
    let device = device::by_name(&options.device)?;
    let others = Others::read(&options.against, &device, progress)?;
    let training = Training::resume(run, options, progress)?;
    others.check(training.image_size())?;
    measure(training.train(progress)?, &others, progress)
}

fn measure(trained: Trained, others: &Others, progress: &mut dyn Progress) -> Result<Study, Error> {
    let Trained { run, plan, dataset, device, .. } = &trained;
    let evaluation = evaluate_run(run, plan, dataset, Which::Last, others, device, progress)?;
    Ok(Study { training: trained.finish(progress)?, evaluation })
}
