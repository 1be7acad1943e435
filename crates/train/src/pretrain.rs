//! The training loop, with its checkpoints, its curves and the measurements between epochs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use selfsame_augment::{Image, Purpose, ViewSets};
use selfsame_data::{Dataset, Split};
use selfsame_eval::knn::{self, KnnOptions};
use selfsame_eval::{Features, accuracy, embed, sample};
use selfsame_methods::{Method, Networks, Objective, Step};
use selfsame_nn::layers::Init;
use selfsame_nn::state::{self, State};
use selfsame_nn::{Backbone, pixels};
use selfsame_report::ReportError;
use selfsame_report::record::MetricPoint;

use crate::batch::order;
use crate::checkpoint::{self, Checkpoint, CheckpointError, Which};
use crate::config::{Config, Plan, TrainConfig};
use crate::gradients::{Pass, compute, microbatches};
use crate::logs::Logs;
use crate::optimizer::Optimizer;
use crate::schedule::Schedule;
use crate::watch::{self, Alarm, Collapse};

/// Number of steps between two points of the curves.
const LOG_EVERY: u64 = 10;
/// Maximum number of images, of the training and of the validation split, that the kNN between
/// epochs uses.
const ONLINE_IMAGES: [usize; 2] = [5000, 1000];

/// Progress of training after a step.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Number of steps taken so far.
    pub step: u64,
    /// Total number of steps.
    pub steps: u64,
    /// The current epoch, from 1.
    pub epoch: u64,
    /// Loss of this step's batch, summed over the objectives of the method.
    pub loss: f64,
    /// Latest kNN accuracy on the validation split.
    pub knn: Option<f64>,
    /// Number of views per second, over the steps that this process has taken.
    pub views_per_second: f64,
    /// Estimated time to the end of training.
    pub left: Duration,
    /// Collapse of the outputs, reported at the step at which it is noticed. No collapse is
    /// reported while the learning rate still rises.
    pub collapse: Option<Collapse>,
}

/// The step at which training ended: the last step, or an earlier step after a request to stop. The
/// state after that step is saved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Number of steps taken so far.
    pub step: u64,
    /// Total number of steps.
    pub steps: u64,
    /// Seconds of training so far, over all processes of the run.
    pub seconds: f64,
}

impl Outcome {
    /// Returns whether all epochs are complete.
    pub fn finished(&self) -> bool {
        self.step == self.steps
    }
}

/// Reason why training could not continue.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// There are fewer than two training images.
    #[error("{images} training images are too few: at least 2 are needed")]
    TooFewImages {
        /// Number of training images.
        images: usize,
    },
    /// The loss or a weight is infinite or not a number.
    #[error(
        "{what} became {value} at step {step} (learning rate {learning_rate:.3e}); {remaining}"
    )]
    NotFinite {
        /// The quantity.
        what: String,
        /// Value of the quantity.
        value: f64,
        /// The step, from 1.
        step: u64,
        /// The learning rate of that step.
        learning_rate: f64,
        /// The checkpoint from which training can continue.
        remaining: Remaining,
    },
    /// The saved state belongs to another configuration.
    #[error("{} was written under another configuration than the run's config.toml", path.display())]
    OtherConfig {
        /// The state file.
        path: PathBuf,
    },
    /// The saved state belongs to another model.
    #[error("{}: does not fit the model: {source}", path.display())]
    WrongModel {
        /// The state file.
        path: PathBuf,
        /// Every tensor that does not fit.
        source: state::Mismatch,
    },
    /// A checkpoint could not be written or read.
    #[error("{source}; {remaining}")]
    Checkpoint {
        /// The cause.
        source: CheckpointError,
        /// The checkpoint from which training can continue.
        remaining: Remaining,
    },
    /// A log could not be written.
    #[error(transparent)]
    Log(#[from] ReportError),
    /// The kNN between epochs failed.
    #[error("the kNN on the validation split: {0}")]
    Knn(#[from] selfsame_eval::Error),
}

/// The checkpoint that remains when training fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remaining {
    /// There is an intact checkpoint.
    Saved {
        /// File of its weights.
        path: PathBuf,
        /// Step after which it was written.
        step: u64,
    },
    /// There is no checkpoint, because training had not yet written a checkpoint.
    NotYet,
    /// There is no usable checkpoint, because the state file cannot be read.
    Unreadable,
}

impl Remaining {
    fn of(run: &Path) -> Self {
        match Checkpoint::load(run) {
            Ok(Some(state)) => Self::Saved { path: Which::Last.path(run), step: state.step },
            Ok(None) => Self::NotYet,
            Err(_) => Self::Unreadable,
        }
    }
}

impl fmt::Display for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Saved { path, step } => {
                write!(f, "the last good checkpoint is {} (step {step})", path.display())
            }
            Self::NotYet => f.write_str("no checkpoint had been written yet"),
            Self::Unreadable => f.write_str("there is no other checkpoint"),
        }
    }
}

/// Trains `plan` on the training split and writes checkpoints and logs into the folder `run`, which
/// must exist.
///
/// If `run` already holds a saved state, training continues from that state. On the same device and
/// machine, the final weights are then the same bytes as without the interruption. If `stop` is
/// set, training finishes the current step, saves, and returns. `on_step` is called after every
/// step. A checkpoint is written when `save_every` has passed since the last checkpoint, when the
/// validation kNN has improved, and at the end.
///
/// # Errors
/// [`TrainError`]. The last checkpoint stays intact in every case.
pub fn pretrain(
    plan: &Plan,
    dataset: &Dataset,
    device: &Device,
    run: &Path,
    save_every: Duration,
    stop: &AtomicBool,
    on_step: &mut dyn FnMut(&Progress),
) -> Result<Outcome, TrainError> {
    let method = plan.method.method();
    train(&Job { method, plan, dataset, device, run, save_every }, stop, on_step)
}

/// Inputs of a training run, and the folder for its results.
struct Job<'a> {
    method: &'a dyn Method,
    plan: &'a Plan,
    dataset: &'a Dataset,
    device: &'a Device,
    run: &'a Path,
    save_every: Duration,
}

/// Runs the training loop.
fn train(
    job: &Job<'_>,
    stop: &AtomicBool,
    on_step: &mut dyn FnMut(&Progress),
) -> Result<Outcome, TrainError> {
    let &Job { method, plan, dataset, run, .. } = job;
    let images = dataset.train.len();
    if images < 2 {
        return Err(TrainError::TooFewImages { images });
    }
    let schedule = Schedule::new(&plan.train, images);
    let steps = schedule.steps;
    let device = job.device.clone().autodiff();
    let (mut networks, mut saved) = start(job, &device)?;
    let objectives = method.objectives();
    check_objectives(&objectives, &networks);
    let mut optimizer = Optimizer::new(&plan.train, &saved.moments, &job.device.clone().inner());
    let (mut logs, logged) = Logs::open(run, saved.step)?;
    let mut knn = logged.iter().rev().find_map(|point| point.val_knn_acc1);
    let earlier = logged.into_iter().filter(|point| schedule.past_warmup(point.step));
    let mut alarm = Alarm::after(earlier.map(|point| point.watched).collect());
    let clock = Clock::start(&saved);
    let mut last_save = Instant::now();
    let mut shuffled = (u64::MAX, Vec::new());

    for number in saved.step..steps {
        // The order of images and the views are pure functions of the seed and the step.
        let epoch = number / schedule.steps_per_epoch;
        if shuffled.0 != epoch {
            shuffled = (epoch, order(images, plan.seed, epoch));
        }
        let views = draw(job, &shuffled.1[schedule.batch_of(number)], epoch, &device);

        let step = Step { number, steps, seed: plan.seed };
        let rate = schedule.learning_rate(number);
        let mut passes = Vec::with_capacity(objectives.len());
        for objective in &objectives {
            // Compute on this thread, not in a thread pool: Burn keeps running statistics per
            // thread and averages over threads.
            let (pass, gradients) =
                compute(&**objective, &networks, &views, &step, plan.train.microbatch);
            check_loss(pass.loss, number + 1, rate, run)?;
            networks = optimizer.step(networks, gradients, rate, number + 1);
            networks = objective.after_step(networks, &pass.embeddings, &step);
            passes.push(pass);
        }

        let done = number + 1;
        let online = if schedule.is_measured(done) {
            check_weights(&state::read(&networks), done, rate, run)?;
            online(networks.backbone(), dataset, plan.train.knn_k, &job.device.clone().inner())?
        } else {
            None
        };
        knn = online.as_ref().map(|online| online.knn).or(knn);
        let mut progress = clock.progress(done, &schedule, method.views(), sum(&passes), knn);
        if done.is_multiple_of(LOG_EVERY) || online.is_some() || done == steps || done == 1 {
            let outputs = outputs(&objectives, &passes, &networks, &views[0], &plan.train)?;
            if schedule.past_warmup(done) {
                progress.collapse = alarm.look(done, &outputs, method.remedy());
            }
            logs.add(&point(&progress, &schedule, rate, online.as_ref(), outputs, &passes))?;
        }
        on_step(&progress);

        let stopping = stop.load(Ordering::Relaxed);
        let best = online.filter(|online| saved.best_knn.is_none_or(|best| online.knn > best));
        if stopping || best.is_some() || done == steps || last_save.elapsed() >= job.save_every {
            saved = Checkpoint {
                step: done,
                seconds: clock.seconds(),
                best_knn: best.as_ref().map(|online| online.knn).or(saved.best_knn),
                weights: state::read(&networks),
                moments: optimizer.moments(),
                ..saved
            };
            check_weights(&saved.weights, done, rate, run)?;
            save(&saved, best.is_some(), &logs, run)?;
            last_save = Instant::now();
        }
        if stopping {
            break;
        }
    }
    Ok(Outcome { step: saved.step, steps, seconds: saved.seconds })
}

/// Returns whether a plan continues from a checkpoint: under the same settings, wherever the images
/// lie. A run that was complete may have been given more epochs.
fn continues(plan: &Plan, saved: &Checkpoint, images: usize) -> bool {
    toml::from_str::<Config>(&saved.config).is_ok_and(|mut config| {
        config.data.source.clone_from(&plan.data.source);
        if plan.data.labels.is_some() && config.data.labels.is_some() {
            config.data.labels.clone_from(&plan.data.labels);
        }
        if saved.step == Schedule::new(&config.train, images).steps {
            config.train.epochs = config.train.epochs.max(plan.train.epochs);
        }
        config == **plan
    })
}

/// Returns the networks to train, and the checkpoint that they are loaded from. This is the
/// checkpoint in the run's folder or, if there is none, a new checkpoint with initial weights.
fn start(job: &Job<'_>, device: &Device) -> Result<(Networks, Checkpoint), TrainError> {
    let &Job { method, plan, run, .. } = job;
    let config = toml::to_string(&**plan).expect("a configuration is plain tables");
    let networks = method.networks(&plan.encoder, &mut Init::new(plan.seed, device));
    let failed = |source| TrainError::Checkpoint { source, remaining: Remaining::of(run) };
    let saved = match Checkpoint::load(run).map_err(failed)? {
        Some(state) if !continues(plan, &state, job.dataset.train.len()) => {
            return Err(TrainError::OtherConfig { path: checkpoint::state_path(run) });
        }
        Some(state) => {
            // If an earlier process was killed after renaming the state file and before renaming
            // the weights for use, that file still holds the weights of an earlier step. Write them
            // again.
            checkpoint::save_weights(run, Which::Last, &state.weights, state.step)
                .map_err(|e| failed(e.into()))?;
            Checkpoint { config, ..state }
        }
        None => Checkpoint {
            step: 0,
            seconds: 0.0,
            best_knn: None,
            config,
            weights: checkpoint::initial(state::read(&networks), run, plan.init.as_deref())
                .map_err(failed)?,
            moments: State::new(),
        },
    };
    let networks = state::load(networks, &saved.weights)
        .map_err(|source| TrainError::WrongModel { path: checkpoint::state_path(run), source })?;
    Ok((networks, saved))
}

/// Checks that every part with weights to train is trained by one objective.
///
/// # Panics
/// If several objectives train a part, for each would take its own optimizer step with the momentum
/// of the other. If no objective trains a part, for example because an objective misspells its name.
fn check_objectives(objectives: &[Box<dyn Objective>], networks: &Networks) {
    for part in networks.trainable() {
        let training = objectives.iter().filter(|objective| objective.trains(part)).count();
        assert!(training == 1, "{training} objectives train the part {part:?}");
    }
}

/// Draws the views of a step: one tensor `[images, side, side, 3]` per view.
fn draw(job: &Job<'_>, images: &[usize], epoch: u64, device: &Device) -> Vec<Tensor<4>> {
    let size = job.plan.data.image_size;
    let images = job.dataset.train.numbered(images);
    (0..job.method.views() as u32)
        .map(|view| ViewSets {
            policy: &job.plan.augment,
            purpose: Purpose::Training { epoch },
            seed: job.plan.seed,
            views: view..view + 1,
            original: false,
        })
        .map(|sets| pixels::normalise(&sets.draw(&images, size), size as usize, device))
        .collect()
}

/// Clock for the steps of this process.
struct Clock {
    began: Instant,
    /// Step from which this process continued.
    first_step: u64,
    /// Seconds that training had taken before this process.
    seconds_before: f64,
}

impl Clock {
    fn start(saved: &Checkpoint) -> Self {
        Self { began: Instant::now(), first_step: saved.step, seconds_before: saved.seconds }
    }

    /// Returns the seconds of training so far.
    fn seconds(&self) -> f64 {
        self.seconds_before + self.began.elapsed().as_secs_f64()
    }

    fn progress(
        &self,
        done: u64,
        schedule: &Schedule,
        views: usize,
        loss: f64,
        knn: Option<f64>,
    ) -> Progress {
        let elapsed = self.began.elapsed().as_secs_f64();
        let taken = done - self.first_step;
        let remaining = (schedule.steps - done) as f64;
        Progress {
            step: done,
            steps: schedule.steps,
            epoch: (done - 1) / schedule.steps_per_epoch + 1,
            loss,
            knn,
            views_per_second: (taken * (views * schedule.batch) as u64) as f64 / elapsed,
            left: Duration::from_secs_f64(elapsed / taken as f64 * remaining),
            collapse: None,
        }
    }
}

/// Returns the loss of a step: the sum over the step's objectives.
fn sum(passes: &[Pass]) -> f64 {
    passes.iter().map(|pass| pass.loss).sum()
}

/// Measures the outputs that are watched for collapse. These are the two embeddings that an
/// objective draws together or, if no objective does so, the representations of the first view.
fn outputs(
    objectives: &[Box<dyn Objective>],
    passes: &[Pass],
    networks: &Networks,
    view: &Tensor<4>,
    train: &TrainConfig,
) -> Result<watch::Outputs, TrainError> {
    let pair = objectives
        .iter()
        .zip(passes)
        .find_map(|(objective, pass)| objective.pair(&pass.embeddings));
    Ok(match pair {
        Some(pair) => watch::outputs(pair, train.epsilon)?,
        None => {
            let encoder = networks.backbone().valid();
            watch::representations(represent(&encoder, view.clone().inner(), train.microbatch))?
        }
    })
}

/// Embeds images in evaluation mode, about `microbatch` images at a time.
fn represent(encoder: &Backbone, images: Tensor<4>, microbatch: Option<usize>) -> Tensor<2> {
    let [count, ..] = images.dims();
    let rows = microbatches(count, microbatch.unwrap_or(count));
    let embed = |rows| encoder.forward(images.clone().slice([rows]));
    Tensor::cat(rows.into_iter().map(embed).collect(), 0)
}

/// Creates a point of the curves.
fn point(
    progress: &Progress,
    schedule: &Schedule,
    learning_rate: f64,
    online: Option<&Online>,
    outputs: watch::Outputs,
    passes: &[Pass],
) -> MetricPoint {
    let mut watched = outputs.measures;
    let divergence = online.and_then(|online| online.divergence);
    watched.extend(divergence.map(|divergence| ("divergence".to_owned(), divergence)));
    let terms = passes.iter().flat_map(|pass| &pass.terms);
    watched.extend(terms.map(|(name, value)| (format!("loss_{name}"), *value)));
    watched.retain(|_, value| value.is_finite());
    MetricPoint {
        step: progress.step,
        epoch: progress.step as f64 / schedule.steps_per_epoch as f64,
        train_loss: progress.loss,
        learning_rate,
        views_per_second: progress.views_per_second,
        val_knn_acc1: online.map(|online| online.knn),
        watched,
    }
}

/// Writes a checkpoint. If `best`, also saves its weights as the best weights.
fn save(checkpoint: &Checkpoint, best: bool, logs: &Logs, run: &Path) -> Result<(), TrainError> {
    let failed = |source| TrainError::Checkpoint { source, remaining: Remaining::of(run) };
    // Write the curves first. After a power cut they may be ahead of the state, and the next start
    // then cuts them back. They must never lag behind the state.
    logs.sync()?;
    // Write the best weights next. If the state were written first, a crash between the two writes
    // would lose the best weights.
    if best {
        checkpoint::save_weights(run, Which::Best, &checkpoint.weights, checkpoint.step)
            .map_err(|e| failed(e.into()))?;
    }
    checkpoint.save(run).map_err(failed)
}

/// Returns an error if the loss is infinite or not a number.
fn check_loss(loss: f64, step: u64, learning_rate: f64, run: &Path) -> Result<(), TrainError> {
    if loss.is_finite() {
        return Ok(());
    }
    let (what, remaining) = ("the loss".to_owned(), Remaining::of(run));
    Err(TrainError::NotFinite { what, value: loss, step, learning_rate, remaining })
}

/// Returns an error if a weight is infinite or not a number. The error names the first such weight.
fn check_weights(
    weights: &State,
    step: u64,
    learning_rate: f64,
    run: &Path,
) -> Result<(), TrainError> {
    let bad = |tensor: &state::Values| tensor.values.iter().find(|v| !v.is_finite()).copied();
    match weights.iter().find_map(|(name, tensor)| Some((name, bad(tensor)?))) {
        None => Ok(()),
        Some((name, value)) => Err(TrainError::NotFinite {
            what: format!("a weight of {name}"),
            value: f64::from(value),
            step,
            learning_rate,
            remaining: Remaining::of(run),
        }),
    }
}

/// Measurements between epochs that need labels.
struct Online {
    /// kNN accuracy on validation images.
    knn: f64,
    /// Largest inner product of two class centres of the training images; see
    /// [`watch::divergence`].
    divergence: Option<f64>,
}

/// Returns the number of neighbours of kNN during training: a tenth of the images of a class, on
/// average over the classes, at least 1 and at most 200. The validation split cannot choose it and
/// measure with it, and a fixed 200 would outvote a class of fewer images.
fn online_k(labels: &[u32], classes: usize) -> usize {
    (labels.len() / (10 * classes)).clamp(1, 200)
}

/// Measures the encoder on images spread evenly over the training and the validation split. Returns
/// `None` if there are no labels or no validation images.
fn online(
    backbone: &Backbone,
    dataset: &Dataset,
    knn_k: Option<usize>,
    device: &Device,
) -> Result<Option<Online>, TrainError> {
    if dataset.classes.is_empty() || dataset.validation.is_empty() {
        return Ok(None);
    }
    let encoder = backbone.valid();
    let embedded = |split: &Split, max: usize| -> Result<(Features, Vec<u32>), TrainError> {
        let chosen = sample(split.len(), max);
        let images: Vec<Image<'_>> = chosen.iter().map(|&i| split.image(i)).collect();
        let labels = split.labels().unwrap_or_default();
        let features = embed(&encoder, &images, device, &mut |_| ())?;
        Ok((features, chosen.iter().map(|&i| labels[i]).collect()))
    };
    let (train, labels) = embedded(&dataset.train, ONLINE_IMAGES[0])?;
    let (validation, truth) = embedded(&dataset.validation, ONLINE_IMAGES[1])?;
    let classes = dataset.classes.len();
    let k = knn_k.unwrap_or_else(|| online_k(&labels, classes));
    let options = KnnOptions { k, ..KnnOptions::default() };
    let predicted = knn::classify(&train, &labels, classes, &validation, &options)?;
    let divergence = watch::divergence(&train, &labels, classes)?;
    Ok(Some(Online { knn: accuracy(&predicted, &truth)?, divergence }))
}

#[cfg(test)]
mod tests;
