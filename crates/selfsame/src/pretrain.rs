//! Training: starting a new run and resuming an existing one.

mod options;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::tensor::Device;
use selfsame_augment::{Purpose, ViewSets};
use selfsame_data::{Dataset, Image};
use selfsame_eval::{sample, shrink};
use selfsame_nn::device;
use selfsame_nn::state::State;
use selfsame_report::certificate::CERTIFICATE_FILE;
use selfsame_report::predictions::PREDICTIONS_FILE;
use selfsame_report::record::{
    EVAL_FILE, MAP_FILE, METRICS_FILE, MetricPoint, PROLONGED, RunRecord, VIEWS_FILE, ViewSheet,
};
use selfsame_report::{Sprite, counted, percent, write_json};
use selfsame_train::{Plan, TrainError, checkpoint};

use self::options::absolute_labels;
pub use self::options::{Images, MethodChoice, OnCollapse, PretrainOptions, ResumeOptions};
pub(crate) use self::settings::Settings;
use crate::evaluate::Others;
use crate::images::note_skipped;
use crate::page::write_page;
use crate::run::{machine, record};
use crate::{Error, Progress, Run, init};

/// Number of images on the sheet of views, and number of views per image.
const SHEET: (usize, u32) = (8, 6);
/// Maximum side of a picture on the sheet, in pixels.
const PICTURE_SIDE: u32 = 96;

/// A run that was trained to its last epoch.
#[derive(Clone, Debug)]
pub struct Pretrained {
    /// The folder of the run.
    pub run: PathBuf,
    /// The page made of its records.
    pub report: PathBuf,
    /// The run's settings, machine and images, as in `run.json`.
    pub record: RunRecord,
    /// The last point of the curves.
    pub last: Option<MetricPoint>,
}

/// Trains an encoder, without measuring it, and writes the page of the run.
///
/// The folder of the run holds everything that [`resume`] needs to continue after a stop, a kill or
/// a crash. The final weights are then the same bytes as those of an uninterrupted run.
///
/// # Errors
/// If an option makes no sense, if the images or the folder cannot be used, or if training
/// diverges; also [`Error::Collapsed`] and [`Error::Stopped`].
///
/// ```
/// use selfsame::PretrainOptions;
///
/// # let folder = tempfile::tempdir()?;
/// let options = PretrainOptions {
///     limit: Some(20),
///     image_size: Some(8),
///     width: Some(1),
///     epochs: Some(1),
///     out: Some(folder.path().join("run")),
///     ..PretrainOptions::default()
/// };
/// let trained = selfsame::pretrain(&options, &mut ())?;
/// assert!(trained.record.finished && trained.report.is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pretrain(
    options: &PretrainOptions,
    progress: &mut dyn Progress,
) -> Result<Pretrained, Error> {
    let training = Training::start(options, &Others::default(), progress)?;
    training.train(progress)?.finish(progress)
}

/// Continues a run, under its own settings, up to its last epoch, and writes its page.
///
/// # Errors
/// The errors of [`pretrain`]; also if the folder is not a run, or if the run's images have
/// changed.
pub fn resume(
    run: &Path,
    options: &ResumeOptions,
    progress: &mut dyn Progress,
) -> Result<Pretrained, Error> {
    let training = Training::resume(run, options, progress)?;
    training.train(progress)?.finish(progress)
}

/// A run that is ready to be trained.
pub(crate) struct Training {
    run: Run,
    plan: Plan,
    dataset: Arc<Dataset>,
    record: RunRecord,
    device: Device,
    on_collapse: OnCollapse,
    save_every: Duration,
    resumed: bool,
}

/// A run that was trained to its last epoch and whose folder is still locked.
pub(crate) struct Trained {
    pub run: Run,
    pub plan: Plan,
    pub dataset: Arc<Dataset>,
    pub record: RunRecord,
    pub device: Device,
    pub last: Option<MetricPoint>,
}

impl Trained {
    /// Writes the page and releases the run's folder.
    pub(crate) fn finish(self, progress: &mut dyn Progress) -> Result<Pretrained, Error> {
        let report = write_page(&self.run)?;
        note_skipped(&self.dataset, Some("in the run's page and run.json"), progress);
        let run = self.run.path().to_owned();
        Ok(Pretrained { run, report, record: self.record, last: self.last })
    }
}

/// What a new run starts from, before anything is written.
struct Prepared {
    dataset: Arc<Dataset>,
    plan: Plan,
    sheet: ViewSheet,
    /// Weights that the encoder starts from in place of random ones.
    weights: Option<State>,
}

impl Prepared {
    fn new(
        options: &PretrainOptions,
        others: &Others,
        settings: Settings,
        cache: PathBuf,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let dataset = options.data.get(&options.load_options(Some(cache)), progress)?;
        let plan = settings.plan(&dataset)?;
        others.check(plan.data.image_size)?;
        let images = dataset.train.len();
        if images < 2 {
            return Err(TrainError::TooFewImages { images }.into());
        }
        let sheet = view_sheet(&plan, &dataset)?;
        let mut fitting = |file: &PathBuf| {
            let import = init::read(file)?;
            init::fitting(import, file, options.init_partial, &plan.encoder, progress)
        };
        let weights = options.init.as_ref().map(&mut fitting).transpose()?;
        Ok(Self { dataset, plan, sheet, weights })
    }
}

impl Training {
    /// Returns the side of the images, in pixels.
    pub(crate) fn image_size(&self) -> u32 {
        self.plan.data.image_size
    }

    /// Claims the folder of a new run and writes every file that training needs. Nothing is written,
    /// and no older run deleted, if `others` cannot be measured on the same images.
    pub(crate) fn start(
        options: &PretrainOptions,
        others: &Others,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        // Check the settings before reading the images, except for those that depend on the images.
        let settings = Settings::of(options)?;
        let device = device::by_name(&options.device)?;
        let run = Run::create(&options.folder(), options.overwrite)?;
        let prepared = Prepared::new(options, others, settings, run.cache(), progress);
        let Prepared { dataset, mut plan, sheet, weights } = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                run.abandon();
                return Err(error);
            }
        };

        run.clear()?;
        let images = dataset.train.len();
        let mut record = record(&plan, &dataset, &options.device, options.command.clone());
        if images < plan.train.batch {
            let note = format!(
                "There are only {images} training images, so the batch is {images} in place of {}.",
                plan.train.batch
            );
            progress.note(&format!("  {note}"));
            record.dataset.notes.push(note);
        }
        if let (Some(file), Some(weights)) = (&options.init, weights) {
            plan = plan.starting_from(checkpoint::save_init(run.path(), weights)?);
            record.protocol.push(("Initial weights".to_owned(), file.display().to_string()));
        }
        run.write_record(&record)?;
        write_json(&run.path().join(VIEWS_FILE), &sheet)?;
        // Write the configuration last, because a folder that has one can be resumed.
        run.write_plan(&plan)?;
        Ok(Self {
            run,
            plan,
            dataset,
            record,
            device,
            on_collapse: options.on_collapse,
            save_every: Duration::from_secs(options.save_every),
            resumed: false,
        })
    }

    /// Opens the folder of a run in order to continue training.
    pub(crate) fn resume(
        path: &Path,
        options: &ResumeOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let device = device::by_name(&options.device)?;
        let run = Run::open(path)?;
        let (source, labels) = (options.data.as_deref(), options.labels.as_deref());
        let source = source.map(|data| Images::from(data).absolute());
        let was = run.plan()?;
        let mut plan = was.clone().reading(source, labels.map(absolute_labels));
        let mut record = run.record()?;
        if let Some(epochs) = options.epochs {
            check_prolonged(epochs, &plan, &record)?;
            plan = plan.prolonged(epochs);
        }
        let images = options.images.clone();
        let dataset = run.images_or(images, &plan, options.strict, progress)?;
        if *plan != *was {
            run.write_plan(&plan)?;
        }
        run.make_checkpoints()?;
        // After a kill between the two files, the next resumption finds the difference again.
        if record.epochs != plan.train.epochs as u64 {
            let (from, to) = (record.epochs, plan.train.epochs);
            record.protocol.push((PROLONGED.into(), format!("from {from} to {to} epochs")));
            progress.note(&format!(
                "prolonged from {from} to {to} epochs: the learning rate goes on as in a run of {to}"
            ));
            (record.epochs, record.finished) = (to as u64, false);
            run.write_record(&record)?;
        }
        // Record the machine now: a run that is killed has no later chance to do so.
        let machine = machine();
        if !record.finished && !record.machines.contains(&machine) {
            record.machines.push(machine);
            run.write_record(&record)?;
        }
        Ok(Self {
            run,
            plan,
            dataset,
            record,
            device,
            on_collapse: options.on_collapse,
            save_every: Duration::from_secs(options.save_every),
            resumed: true,
        })
    }

    /// Trains up to the last epoch.
    pub(crate) fn train(mut self, progress: &mut dyn Progress) -> Result<Trained, Error> {
        self.announce(progress)?;
        // Earlier measurements do not describe the weights that training is about to produce.
        if !self.record.finished {
            for name in [EVAL_FILE, MAP_FILE, PREDICTIONS_FILE, CERTIFICATE_FILE] {
                let _ = std::fs::remove_file(self.run.path().join(name));
            }
        }
        let stopped_by = self.take_steps(progress)?;
        if let Some(sentence) = stopped_by {
            let path = self.run.path().to_owned();
            return Err(Error::Collapsed { path, sentence, before: false });
        }
        if progress.stop() {
            progress.finish();
            progress.note("training is complete");
            return Err(Error::Stopped);
        }
        progress.finish();

        let curves = self.run.path().join(METRICS_FILE);
        let last = last_point(&curves);
        let end = last.as_ref().map(|last| end(last, &curves)).unwrap_or_default();
        progress.note(&format!(
            "trained {} in {:.0} s{end}",
            counted(self.record.epochs, "epoch", "epochs"),
            self.record.seconds
        ));
        let Self { run, plan, dataset, record, device, .. } = self;
        Ok(Trained { run, plan, dataset, record, device, last })
    }

    /// Announces the training run. Refuses a run that has collapsed if [`OnCollapse::Stop`] is set.
    fn announce(&self, progress: &mut dyn Progress) -> Result<(), Error> {
        let record = &self.record;
        progress.note(&format!(
            "training {} ({} values an image, {}) with {} on views {}",
            record.encoder.words(),
            record.encoder.dimension,
            record.precision,
            record.method,
            record.augment
        ));
        // Collapsed outputs stay collapsed, but the alarm sounds only once, so check the record.
        if let Some(sentence) = record.collapse.as_ref().filter(|_| !record.finished) {
            if self.on_collapse == OnCollapse::Stop {
                let path = self.run.path().to_owned();
                return Err(Error::Collapsed { path, sentence: sentence.clone(), before: true });
            }
            progress.note(&format!("warning: this run collapsed before: {sentence}"));
        }
        Ok(())
    }

    /// Takes the remaining steps and keeps the record up to date. Returns the collapse that stopped
    /// training, if there was one.
    fn take_steps(&mut self, progress: &mut dyn Progress) -> Result<Option<String>, Error> {
        let Self { run, plan, record, .. } = self;
        let stop = AtomicBool::new(progress.stop());
        let mut stopped_by = None;
        let mut first = self.resumed;
        let mut on_step = |step: &selfsame_train::Progress| {
            if std::mem::take(&mut first) {
                progress.note(&match step.step - 1 {
                    0 => format!(
                        "no checkpoint had been written yet: from the start, {} steps",
                        step.steps
                    ),
                    done => format!("going on after step {done} of {}", step.steps),
                });
            }
            progress.advance("steps", step.step, step.steps, &detail(step));
            if let Some(collapse) = step.collapse {
                let sentence = collapse.to_string();
                progress.note(&format!("warning: {sentence}"));
                // A run that has taken its last step is complete, so it is not stopped.
                if self.on_collapse == OnCollapse::Stop && step.step < step.steps {
                    stop.store(true, Ordering::Relaxed);
                    stopped_by = Some(sentence.clone());
                }
                // Record the collapse now, before the state is saved: a run that is killed resumes
                // after this step and would not know of the collapse. If this write fails, the
                // record is written again at the end.
                record.collapse = Some(sentence);
                let _ = run.write_record(record);
            }
            if progress.stop() {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let outcome = selfsame_train::pretrain(
            plan,
            &self.dataset,
            &self.device,
            run.path(),
            self.save_every,
            &stop,
            &mut on_step,
        );
        progress.finish();
        let outcome = outcome?;
        record.seconds = outcome.seconds;
        record.finished = outcome.finished();
        run.write_record(record)?;
        if stopped_by.is_none() && !outcome.finished() {
            progress.note(&format!("stopped after step {} of {}", outcome.step, outcome.steps));
            return Err(Error::Stopped);
        }
        Ok(stopped_by)
    }
}

/// Refuses to prolong a run that is not complete, because its learning rate is on its way to the end
/// of the schedule that it has, and a number of epochs that does not prolong it.
fn check_prolonged(epochs: usize, plan: &Plan, record: &RunRecord) -> Result<(), Error> {
    let has = plan.train.epochs;
    let refuse = |cause: String| Err(Error::option("epochs", epochs, cause));
    match epochs {
        _ if epochs == has => Ok(()),
        _ if epochs < has => refuse(format!("the run has {has}")),
        _ if !record.finished => {
            refuse(format!("the run is on its way to {has}; it can be prolonged once it is there"))
        }
        _ => Ok(()),
    }
}

/// Describes a step of training: epoch, loss, kNN accuracy and speed.
fn detail(step: &selfsame_train::Progress) -> String {
    let knn = step.knn.map(|knn| format!("  kNN {}", percent(knn))).unwrap_or_default();
    format!(
        "epoch {}  loss {:.3}{knn}  {:.0} views/s",
        step.epoch, step.loss, step.views_per_second
    )
}

/// Reads the last point of a run's curves.
fn last_point(curves: &Path) -> Option<MetricPoint> {
    let text = std::fs::read_to_string(curves).ok()?;
    serde_json::from_str(text.lines().last()?).ok()
}

/// Describes how training ended, as the end of a sentence. `curves` is the file that holds the
/// other measurements.
fn end(point: &MetricPoint, curves: &Path) -> String {
    let knn = point
        .val_knn_acc1
        .map(|knn| format!(", kNN {} on validation images", percent(knn)))
        .unwrap_or_default();
    let rank = point
        .watched
        .get("rank_me")
        .map(|rank| format!(", outputs of rank {rank:.1}"))
        .unwrap_or_default();
    format!(": loss {:.3}{knn}{rank}; the curves are in {}", point.train_loss, curves.display())
}

/// Draws a few random training images, each next to the first views that training sees of it.
fn view_sheet(plan: &Plan, dataset: &Dataset) -> Result<ViewSheet, Error> {
    let (split, size) = (&dataset.train, dataset.image_size);
    let (images, views) = SHEET;
    let chosen = sample(split.len(), images);
    let sets = ViewSets {
        policy: &plan.augment,
        purpose: Purpose::Training { epoch: 0 },
        seed: plan.seed,
        views: 0..views,
        original: true,
    };
    let bytes = sets.draw(&split.numbered(&chosen), size);
    let pictures = shrink(&Image::squares(size, &bytes), PICTURE_SIDE);
    let tiles: Vec<&[u8]> = pictures.iter().map(|picture| &**picture).collect();
    let side = size.min(PICTURE_SIDE);
    let sheet = Sprite::lossless(side, side, &tiles, views + 1)?;
    Ok(ViewSheet { names: chosen.iter().map(|&i| split.name(i).to_owned()).collect(), sheet })
}
