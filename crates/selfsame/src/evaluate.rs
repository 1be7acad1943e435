//! Evaluation: how good an encoder is on images it never saw.

mod elsewhere;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use selfsame_data::Dataset;
use selfsame_eval::{Evaluated, Subject, evaluate as measure_encoders};
use selfsame_report::look::words;
use selfsame_report::predictions::{PREDICTIONS_FILE, Predictions};
use selfsame_report::record::{EVAL_FILE, EmbeddingMap, Evaluation, MAP_FILE};
use selfsame_report::write_json;
use selfsame_train::Plan;
use selfsame_train::checkpoint::Which;

pub(crate) use self::elsewhere::Others;
pub use self::elsewhere::{EvaluateEncoderOptions, evaluate_encoder};
use crate::all::All;
use crate::images::note_skipped;
use crate::look::{self, Seen};
use crate::neighbours::write_selection;
use crate::page::write_page;
use crate::run::describe_weights;
use crate::{Error, Progress, Run, digest_of};

/// Number of steps from which a run usually means something. In docs/results/methods-cifar10.md, 8
/// epochs of 4,500 images in batches of 64 are 560 steps: there, most methods gain over the untrained
/// encoder, and BYOL and SimSiam do not yet. Published figures rest on far more.
const USUAL_STEPS: u64 = 560;

/// Options for the evaluation of a run.
#[derive(Clone, Debug)]
pub struct EvaluateOptions {
    /// The run's images, if they are already in memory. If `None`, the run reads them again.
    pub images: Option<Arc<Dataset>>,
    /// Which weights of the run to load.
    pub weights: Which,
    /// Files of weights of further encoders, as [`read_encoder`](crate::read_encoder) reads them.
    /// They are measured beside that of the run, on the same images, each by the name of its file.
    pub against: Vec<PathBuf>,
    /// Number of neighbours of kNN. If `None`, the run's setting; without one, it is chosen for each
    /// representation without the test split.
    pub knn_k: Option<usize>,
    /// Device to compute on.
    pub device: Device,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self {
            images: None,
            weights: Which::Last,
            against: Vec::new(),
            knn_k: None,
            device: Device::flex(),
        }
    }
}

/// Measures a run's encoder on the test split, together with raw pixels and the encoder before
/// training, looks at single images, and writes the results and the page into the run's folder.
/// ARCHITECTURE.md lists the files.
///
/// # Errors
/// If the folder is not a run, if its images have changed, or if its weights are missing or
/// damaged.
///
/// ```no_run
/// let evaluation =
///     selfsame::evaluate("runs/photos".as_ref(), &selfsame::EvaluateOptions::default(), &mut ())?;
/// for (of, scores) in evaluation.accuracies.iter().flat_map(|accuracies| &accuracies.of) {
///     println!("{of}: kNN {:.3}", scores.knn_acc1);
/// }
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn evaluate(
    run: &Path,
    options: &EvaluateOptions,
    progress: &mut dyn Progress,
) -> Result<Evaluation, Error> {
    let run = Run::open(run)?;
    let plan = run.plan()?;
    check_knn_k(options.knn_k)?;
    let plan = match options.knn_k {
        Some(k) => plan.voting(k),
        None => plan,
    };
    let others = Others::read(&options.against, &options.device, progress)?;
    let dataset = run.images_or(options.images.clone(), &plan, false, progress)?;
    let evaluation =
        evaluate_run(&run, &plan, &dataset, options.weights, &others, &options.device, progress)?;
    write_page(&run)?;
    if !run.record()?.finished {
        let weights = describe_weights(options.weights, evaluation.step.unwrap_or_default());
        progress.note(&format!("training has not finished; the weights measured are {weights}"));
    }
    note_skipped(&dataset, Some("in the run's page and run.json"), progress);
    Ok(evaluation)
}

/// Measures the encoder of a run whose folder is locked, looks at single images with it, and writes
/// all of it but the page.
pub(crate) fn evaluate_run(
    run: &Run,
    plan: &Plan,
    dataset: &Dataset,
    weights: Which,
    others: &Others,
    device: &Device,
    progress: &mut dyn Progress,
) -> Result<Evaluation, Error> {
    others.check(plan.data.image_size)?;
    let (trained, step) = run.trained(plan, weights, device)?;
    let untrained = run.untrained(plan, device)?;
    let subject = Subject {
        dataset,
        policy: &plan.augment,
        seed: plan.seed,
        encoders: others.beside(&trained, &untrained),
        knn_k: plan.train.knn_k,
        device,
    };
    let Evaluated { mut evaluation, map, predictions, trained: embedded } =
        measure(&subject, others, describe_weights(weights, step), progress)?;
    evaluation.step = Some(step);
    evaluation.too_short = (plan.init.is_none() && step < USUAL_STEPS).then_some(USUAL_STEPS);
    if plan.init.is_some() {
        let start = "with the weights that it was given to start from, before this training";
        evaluation.protocol.push(("Untrained encoder".into(), start.into()));
    }
    // Write the evaluation last: a run that has one counts as measured, so a kill between the writes
    // must not leave an evaluation without the others.
    write(run.path(), dataset, &evaluation, &map, predictions)?;
    let all = All::new(dataset);
    let seen = match Seen::of(&all, embedded, look::MOST)? {
        Some(seen) => seen,
        None => Seen::embed(&all, look::MOST, &trained, device, progress)?,
    };
    look_at_images(run, &seen, step, progress)?;
    write_json(&run.path().join(EVAL_FILE), &evaluation)?;
    Ok(evaluation)
}

fn check_knn_k(k: Option<usize>) -> Result<(), Error> {
    match k {
        Some(0) => Err(Error::option("knn-k", 0, "it must be at least 1")),
        _ => Ok(()),
    }
}

/// Measures encoders; `weights` describes those of the first.
fn measure(
    subject: &Subject<'_>,
    others: &Others,
    weights: String,
    progress: &mut dyn Progress,
) -> Result<Evaluated, Error> {
    let mut found = measure_encoders(subject, &mut |what, done| match done {
        None => {
            progress.finish();
            progress.note(what);
        }
        Some((done, total)) => progress.advance(what, done as u64, total as u64, ""),
    })?;
    progress.finish();
    found.evaluation.protocol.extend(others.protocol());
    found.evaluation.protocol.push(("Weights measured".into(), weights));
    Ok(found)
}

/// Writes map and predictions of an evaluation into a folder.
fn write(
    folder: &Path,
    dataset: &Dataset,
    evaluation: &Evaluation,
    map: &EmbeddingMap,
    predictions: Option<Predictions>,
) -> Result<(), Error> {
    write_json(&folder.join(MAP_FILE), map)?;
    if let Some(predictions) = predictions {
        let images: Vec<usize> = (0..dataset.test.len()).collect();
        let digest = digest_of(&dataset.test, &images);
        let predictions = Predictions { step: evaluation.step, digest, ..predictions };
        write_json(&folder.join(PREDICTIONS_FILE), &predictions)?;
    }
    Ok(())
}

/// Looks at the images of a run, and writes what it finds.
fn look_at_images(
    run: &Run,
    seen: &Seen<'_>,
    step: u64,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    let found = look::look(run, seen, step, progress)?;
    write_selection(run, seen, step, progress)?;
    words::lines(&found).iter().for_each(|line| progress.note(line));
    Ok(())
}
