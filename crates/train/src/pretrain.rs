use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::Device;
use selfsame_augment::{Image, Purpose, ViewSets};
use selfsame_data::{Dataset, Split};
use selfsame_eval::knn::{self, KnnOptions};
use selfsame_eval::{Features, accuracy, embed, sample};
use selfsame_methods::Step;
use selfsame_nn::layers::Init;
use selfsame_nn::state::{self, State};
use selfsame_nn::{Backbone, pixels};
use selfsame_report::ReportError;
use selfsame_report::record::MetricPoint;

use crate::batch::order;
use crate::checkpoint::{self, Checkpoint, CheckpointError, Which};
use crate::config::Plan;
use crate::gradients::compute;
use crate::logs::Logs;
use crate::optimizer::Optimizer;
use crate::schedule::learning_rate;
use crate::watch::{self, Alarm, Collapse};

/// Steps between two points of the curves.
const LOG_EVERY: u64 = 10;
/// Images of the train and of the validation split that the kNN between epochs looks at.
const ONLINE_IMAGES: [usize; 2] = [5000, 1000];

/// How training stands, after every step.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Steps taken and steps in all.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// The epoch under way, from 1.
    pub epoch: u64,
    /// Loss of this step's batch.
    pub loss: f64,
    /// The last kNN accuracy on the validation split.
    pub knn: Option<f64>,
    /// Views trained on a second, since this process started training.
    pub views_per_second: f64,
    /// Estimated time to the end.
    pub left: Duration,
    /// That the outputs have collapsed, at the step at which it was noticed; not while the learning
    /// rate still rises.
    pub collapse: Option<Collapse>,
}

/// Where training ended: after all steps, or after the one that was under way when it was asked to
/// stop. The state of that step is saved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Steps taken.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Seconds that the steps taken took, pauses left out.
    pub seconds: f64,
}

impl Outcome {
    /// Whether all epochs are done.
    pub fn finished(&self) -> bool {
        self.step == self.steps
    }
}

/// Why training could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Fewer images than a batch of two.
    #[error(
        "{images} training images are too few: at least 2 are needed; check --data, --limit and \
         --classes"
    )]
    TooFewImages {
        /// Training images there are.
        images: usize,
    },
    /// The loss or a weight is infinite or not a number.
    #[error(
        "{what} became {value} at step {step} (learning rate {learning_rate:.3e}); {kept}; \
         try a lower --lr, a longer --warmup-epochs or --clip-norm 1"
    )]
    NotFinite {
        /// The quantity.
        what: String,
        /// Its value.
        value: f64,
        /// The step, from 1.
        step: u64,
        /// The learning rate of that step.
        learning_rate: f64,
        /// Where the last good checkpoint lies, in words.
        kept: String,
    },
    /// The state on disk is of another configuration.
    #[error("{} was written under another configuration than the run's config.toml; train again \
             with --overwrite", path.display())]
    OtherConfig {
        /// The state file.
        path: PathBuf,
    },
    /// The checkpoint is of another model.
    #[error("{}: does not fit the model: {source}", path.display())]
    WrongModel {
        /// The state file.
        path: PathBuf,
        /// Every tensor that does not fit.
        source: state::Mismatch,
    },
    /// A checkpoint could not be written or read.
    #[error("{source}; {kept}")]
    Checkpoint {
        /// The cause.
        source: CheckpointError,
        /// Where the last good checkpoint lies, in words.
        kept: String,
    },
    /// A log could not be written.
    #[error(transparent)]
    Log(#[from] ReportError),
    /// The kNN between epochs failed.
    #[error("the kNN on the validation split: {0}")]
    Knn(#[from] selfsame_eval::Error),
}

/// Trains `plan` on the train split, writing checkpoints and logs into the folder `run`, which
/// exists.
///
/// Where `run` holds a state already, training goes on from it, and the final weights are the same
/// bytes as without the interruption, on the same device and machine. Setting `stop` lets the step
/// under way finish, saves, and returns. `on_step` is called after every step. A checkpoint is
/// written when `save_every` has passed since the last one, when the validation kNN has improved,
/// and at the end.
///
/// # Errors
/// [`TrainError`]; the last checkpoint is intact whatever happens.
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
    let (images, size) = (dataset.train.len(), plan.data.image_size);
    if images < 2 {
        return Err(TrainError::TooFewImages { images });
    }
    let batch = plan.train.batch.min(images);
    let steps_per_epoch = (images / batch) as u64;
    let steps = steps_per_epoch * plan.train.epochs as u64;
    let warmup = plan.train.warmup_epochs * steps_per_epoch as f64;
    let config = toml::to_string(&**plan).expect("a configuration is plain tables");

    // Where to start: from nothing, or from the state that the folder holds.
    let plain = device.clone().inner();
    let training = device.clone().autodiff();
    let mut networks = method.networks(&plan.encoder, &mut Init::new(plan.seed, &training));
    let failed = |source| TrainError::Checkpoint { source, kept: kept(run) };
    let mut saved = match Checkpoint::load(run).map_err(failed)? {
        Some(state) if state.config != config => {
            return Err(TrainError::OtherConfig { path: checkpoint::state_path(run) });
        }
        Some(state) => {
            // A kill between the state's rename and that of the weights for use left those behind.
            checkpoint::save_weights(run, Which::Last, &state.weights, state.step)
                .map_err(|e| failed(e.into()))?;
            state
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
    networks = state::load(networks, &saved.weights)
        .map_err(|source| TrainError::WrongModel { path: checkpoint::state_path(run), source })?;
    let mut optimizer = Optimizer::new(&plan.train, &saved.moments, &plain);
    let (mut logs, logged) = Logs::open(run, saved.step)?;
    let past_warmup = |done: u64| done as f64 >= warmup + 1.0;
    let earlier = logged
        .into_iter()
        .filter(|point| past_warmup(point.step))
        .map(|point| point.watched)
        .collect();
    let (mut knn, mut alarm) = (None, Alarm::after(earlier));
    let (began, first_step, seconds_before) = (Instant::now(), saved.step, saved.seconds);
    let mut last_save = Instant::now();

    let mut permutation = (u64::MAX, Vec::new());
    for step in saved.step..steps {
        // Views of the next images, all pure functions of seed and step.
        let epoch = step / steps_per_epoch;
        if permutation.0 != epoch {
            permutation = (epoch, order(images, plan.seed, epoch));
        }
        let start = (step % steps_per_epoch) as usize * batch;
        let chosen = &permutation.1[start..start + batch];
        let chosen = dataset.train.numbered(chosen);
        let images: Vec<_> = (0..method.views() as u32)
            .map(|view| ViewSets {
                policy: &plan.augment,
                purpose: Purpose::Training { epoch },
                seed: plan.seed,
                views: view..view + 1,
                original: false,
            })
            .map(|sets| pixels::normalise(&sets.draw(&chosen, size), size as usize, &training))
            .collect();

        let rate = learning_rate(plan.train.learning_rate, step, warmup, steps);
        let this = Step { number: step, steps, seed: plan.seed };
        // On this thread, not on one of the pool's: Burn keeps running statistics by thread and
        // averages over threads.
        let computed = compute(method, &networks, &images, &this, plan.train.microbatch);
        let loss = computed.loss;
        if !loss.is_finite() {
            let what = "the loss".to_owned();
            return Err(TrainError::NotFinite {
                what,
                value: loss,
                step: step + 1,
                learning_rate: rate,
                kept: kept(run),
            });
        }
        networks = optimizer.step(networks, computed.gradients, rate, step + 1);
        networks = method.after_step(networks, &computed.embeddings, &this);

        let done = step + 1;
        let epoch_ended = done.is_multiple_of(steps_per_epoch);
        let measured =
            epoch_ended && is_due(epoch + 1, plan.train.knn_every, plan.train.epochs as u64);
        if measured {
            check_finite(&state::read(&networks), done, rate, run)?;
        }
        let measurement =
            if measured { online(&networks.backbone, dataset, &plain)? } else { None };
        knn = measurement.map(|(knn, _)| knn).or(knn);

        let elapsed = began.elapsed().as_secs_f64();
        let mut progress = Progress {
            step: done,
            steps,
            epoch: epoch + 1,
            loss,
            knn,
            views_per_second: ((done - first_step) * (method.views() * batch) as u64) as f64
                / elapsed,
            left: Duration::from_secs_f64(
                elapsed / (done - first_step) as f64 * (steps - done) as f64,
            ),
            collapse: None,
        };
        if done.is_multiple_of(LOG_EVERY) || measurement.is_some() || done == steps || done == 1 {
            let (mut watched, [rows, dim]) = match method.pair(&computed.embeddings) {
                Some(pair) => (watch::outputs(pair, plan.train.epsilon)?, pair[0].dims()),
                None => {
                    let rows = networks.backbone.valid().forward(images[0].clone().inner());
                    (watch::representations(rows.clone())?, rows.dims())
                }
            };
            if past_warmup(done) {
                progress.collapse = alarm.look(done, &watched, rows.min(dim));
            }
            watched.extend(
                measurement
                    .and_then(|(_, divergence)| Some(("divergence".to_owned(), divergence?))),
            );
            watched.extend(
                computed.terms.iter().map(|(name, value)| (format!("loss_{name}"), *value)),
            );
            watched.retain(|_, value| value.is_finite());
            logs.add(&MetricPoint {
                step: done,
                epoch: done as f64 / steps_per_epoch as f64,
                train_loss: loss,
                learning_rate: rate,
                views_per_second: progress.views_per_second,
                val_knn_acc1: measurement.map(|(knn, _)| knn),
                watched,
            })?;
        }
        on_step(&progress);

        let stopping = stop.load(Ordering::Relaxed);
        let improved =
            measurement.is_some_and(|(found, _)| saved.best_knn.is_none_or(|best| found > best));
        if stopping || improved || done == steps || last_save.elapsed() >= save_every {
            let weights = state::read(&networks);
            check_finite(&weights, done, rate, run)?;
            // The curves first: after a power cut they may be ahead of the state, which cuts them
            // back, never behind.
            logs.sync()?;
            saved = Checkpoint {
                step: done,
                seconds: seconds_before + began.elapsed().as_secs_f64(),
                best_knn: if improved { knn } else { saved.best_knn },
                weights,
                moments: optimizer.moments(),
                ..saved
            };
            // The best weights first: were the state first, a crash between the two would lose
            // them.
            if improved {
                checkpoint::save_weights(run, Which::Best, &saved.weights, done)
                    .map_err(|e| failed(e.into()))?;
            }
            saved.save(run).map_err(failed)?;
            last_save = Instant::now();
        }
        if stopping {
            break;
        }
    }
    Ok(Outcome { step: saved.step, steps, seconds: saved.seconds })
}

fn is_due(epoch: u64, every: usize, epochs: u64) -> bool {
    every > 0 && (epoch.is_multiple_of(every as u64) || epoch == epochs)
}

/// Refuses weights that are infinite or not a number, naming the first.
fn check_finite(
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
            kept: kept(run),
        }),
    }
}

/// Where the last good checkpoint lies, in words.
fn kept(run: &Path) -> String {
    match Checkpoint::load(run) {
        Ok(Some(state)) => {
            format!(
                "the last good checkpoint is {} (step {}); go on from it with --resume",
                Which::Last.path(run).display(),
                state.step
            )
        }
        Ok(None) => "no checkpoint had been written yet".to_owned(),
        Err(_) => {
            "there is no other checkpoint: put the file back, or start the run again".to_owned()
        }
    }
}

/// kNN accuracy of images spread evenly over the validation split among such of the train split,
/// and the divergence of the latter's classes; none without labels.
fn online(
    backbone: &Backbone,
    dataset: &Dataset,
    device: &Device,
) -> Result<Option<(f64, Option<f64>)>, TrainError> {
    if dataset.classes.is_empty() || dataset.validation.is_empty() {
        return Ok(None);
    }
    let encoder = backbone.valid();
    let part = |split: &Split, most: usize| -> Result<(Features, Vec<u32>), TrainError> {
        let chosen = sample(split.len(), most);
        let images: Vec<Image<'_>> = chosen.iter().map(|&i| split.image(i)).collect();
        let labels = split.labels().unwrap_or_default();
        let features = embed(&encoder, &images, device, &mut |_| ())?;
        Ok((features, chosen.iter().map(|&i| labels[i]).collect()))
    };
    let (train, labels) = part(&dataset.train, ONLINE_IMAGES[0])?;
    let (validation, truth) = part(&dataset.validation, ONLINE_IMAGES[1])?;
    let predicted =
        knn::classify(&train, &labels, dataset.classes.len(), &validation, &KnnOptions::default())?;
    let divergence = watch::divergence(&train, &labels, dataset.classes.len())?;
    Ok(Some((accuracy(&predicted, &truth)?, divergence)))
}
