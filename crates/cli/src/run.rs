//! The folder of a run.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;
use burn::tensor::Device;
use selfsame::data::{Dataset, LoadOptions};
use selfsame::digest;
use selfsame::nn::ResNet;
use selfsame::nn::layers::Init;
use selfsame::nn::state;
use selfsame::report::certificate::CERTIFICATE_FILE;
use selfsame::report::record::{
    DatasetRecord, EVAL_FILE, EncoderRecord, MAP_FILE, METRICS_FILE, PAGE_FILE, RUN_FILE,
    RunRecord, Skipped, VIEWS_FILE,
};
use selfsame::report::{write_atomic, write_json};
use selfsame::train::checkpoint::{self, Which};
use selfsame::train::{Config, EVENTS_FILE, Plan};

use crate::args::CheckpointName;
use crate::commands::{check_out, machine, quoted, typed};
use crate::misuse;
use crate::terminal::Terminal;

pub const CONFIG_FILE: &str = "config.toml";
pub const LOCK_FILE: &str = ".lock";
const CHECKPOINTS: &str = "checkpoints";
const CACHE: &str = "cache";
/// What a run writes anew, and starting over therefore deletes. The cache knows by itself what it
/// is of.
const OWN: [&str; 10] = [
    CONFIG_FILE,
    RUN_FILE,
    METRICS_FILE,
    EVENTS_FILE,
    CHECKPOINTS,
    EVAL_FILE,
    CERTIFICATE_FILE,
    MAP_FILE,
    VIEWS_FILE,
    PAGE_FILE,
];

/// A run's folder, held by this process alone.
pub struct Run {
    pub path: PathBuf,
    _lock: File,
}

impl Run {
    /// Claims the folder for a new run; an older run in it stays until [`Run::clear`].
    pub fn create(path: &Path, overwrite: bool) -> anyhow::Result<Self> {
        let shown = path.display();
        check_out(path)?;
        // Only what lies in a folder that a run has locked before is a run's.
        let ours = path.join(LOCK_FILE).exists();
        if let Some(stranger) = stranger(path, ours).with_context(|| shown.to_string())? {
            return Err(misuse(format!(
                "{shown} holds {stranger:?}, which no run wrote; name another folder with --out"
            )));
        }
        // A run that was killed before it wrote its configuration holds nothing that could be lost.
        if path.join(CONFIG_FILE).exists() && !overwrite {
            let way = quoted(path);
            return Err(misuse(format!(
                "{shown} holds a run already; go on with `--resume {way}`, start again with \
                 --overwrite, or name \
                 another folder with --out"
            )));
        }
        std::fs::create_dir_all(path).with_context(|| shown.to_string())?;
        Self::lock(path)
    }

    /// Deletes an older run, its configuration first, so that what is left of it after a kill is no
    /// run.
    pub fn clear(&self) -> anyhow::Result<()> {
        for name in OWN {
            let entry = self.path.join(name);
            let removed = if entry.is_dir() {
                std::fs::remove_dir_all(&entry)
            } else {
                std::fs::remove_file(&entry)
            };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| entry.display().to_string());
                }
                _ => {}
            }
        }
        let checkpoints = self.path.join(CHECKPOINTS);
        std::fs::create_dir_all(&checkpoints).with_context(|| checkpoints.display().to_string())
    }

    /// Opens a run's folder.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.join(CONFIG_FILE).is_file() {
            return Err(misuse(format!(
                "{} is not the folder of a run (it has no {CONFIG_FILE}); name one that `selfsame \
                 study` or `pretrain` made",
                path.display()
            )));
        }
        Self::lock(path)
    }

    fn lock(path: &Path) -> anyhow::Result<Self> {
        let file = path.join(LOCK_FILE);
        let lock = File::create(&file).with_context(|| file.display().to_string())?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(misuse(format!("{} is in use by another selfsame process", path.display())))
            }
            // A file system without locks is no reason not to work.
            _ => Ok(Self { path: path.to_owned(), _lock: lock }),
        }
    }

    pub fn write_config(&self, plan: &Plan) -> anyhow::Result<()> {
        let text = toml::to_string(&**plan).context("the configuration as TOML")?;
        Ok(write_atomic(&self.path.join(CONFIG_FILE), text.as_bytes())?)
    }

    pub fn plan(&self) -> anyhow::Result<Plan> {
        let path = self.path.join(CONFIG_FILE);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let shown = path.display();
        let config: Config = toml::from_str(&text)
            .with_context(|| format!("{shown} is damaged; mend it, or start a new run"))?;
        config.check().with_context(|| format!("{shown} is damaged; mend it, or start a new run"))
    }

    /// Where decoded images are kept when they are too many for memory.
    pub fn cache(&self) -> PathBuf {
        self.path.join(CACHE)
    }

    /// Images brought to the size that the run's configuration names.
    pub fn load(
        &self,
        plan: &Plan,
        source: &str,
        strict: bool,
        terminal: &Terminal,
    ) -> anyhow::Result<Dataset> {
        let options = LoadOptions {
            image_size: Some(plan.data.image_size),
            seed: plan.seed,
            limit: plan.data.limit,
            classes: plan.data.classes.clone(),
            strict,
            cache: Some(self.cache()),
        };
        terminal.load(source, &options)
    }

    /// The run's own images, once they are seen to be those it began with: others could be split
    /// otherwise, and images that were trained on would be measured as if they had not been.
    pub fn load_own(
        &self,
        plan: &Plan,
        strict: bool,
        terminal: &Terminal,
    ) -> anyhow::Result<Dataset> {
        let source = &plan.data.source;
        let dataset = self.load(plan, source, strict, terminal)?;
        if digest(&dataset) != self.record()?.dataset.digest {
            return Err(misuse(format!(
                "the images of {source} have changed since this run began; put them back, or \
                 start a new run"
            )));
        }
        Ok(dataset)
    }

    /// The file of the run's weights.
    pub fn weights(&self, which: CheckpointName) -> anyhow::Result<PathBuf> {
        let path = match which {
            CheckpointName::Last => Which::Last,
            CheckpointName::Best => Which::Best,
        }
        .path(&self.path);
        if !path.is_file() {
            let way = match which {
                CheckpointName::Last => {
                    format!("train it with `selfsame pretrain --resume {}`", self.path.display())
                }
                CheckpointName::Best => "use --checkpoint last".to_owned(),
            };
            return Err(misuse(format!("{} does not exist; {way}", path.display())));
        }
        Ok(path)
    }

    /// The run's encoder, and the steps it took.
    pub fn trained(
        &self,
        plan: &Plan,
        which: CheckpointName,
        device: &Device,
    ) -> anyhow::Result<(ResNet, u64)> {
        let path = self.weights(which)?;
        let (weights, step) = checkpoint::load_backbone(&path)?;
        let encoder =
            state::load(plan.encoder.init(&mut Init::new(plan.seed, device)), &weights)
                .with_context(|| format!("{}: does not fit the run's encoder", path.display()))?;
        Ok((encoder, step))
    }

    /// The same encoder with the weights it started from.
    pub fn untrained(&self, plan: &Plan, device: &Device) -> anyhow::Result<ResNet> {
        let encoder = plan.encoder.init(&mut Init::new(plan.seed, device));
        let start = checkpoint::initial(state::read(&encoder), &self.path, plan.init.as_deref())?;
        state::load(encoder, &start)
            .context("the weights that --init gave do not fit the run's encoder")
    }

    pub fn write_record(&self, record: &RunRecord) -> anyhow::Result<()> {
        Ok(write_json(&self.path.join(RUN_FILE), record)?)
    }

    pub fn record(&self) -> anyhow::Result<RunRecord> {
        let path = self.path.join(RUN_FILE);
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged; start a new run", path.display()))
    }
}

/// Whether another process holds the folder of a run or of a forecast.
pub fn in_use(path: &Path) -> bool {
    let held = |lock: File| matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
    File::open(path.join(LOCK_FILE)).is_ok_and(held)
}

/// The name of something in `path` that no run writes, if there is any; anything at all unless the
/// folder is `ours`. Hidden files are what systems and interrupted writes leave behind.
fn stranger(path: &Path, ours: bool) -> std::io::Result<Option<String>> {
    let entries = match path.read_dir() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let known = ours && (name == CACHE || OWN.contains(&name.as_str()));
        if !known && !name.starts_with('.') {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The settings of a plan's method in a line.
fn settings(plan: &Plan) -> String {
    let table = toml::Table::try_from(plan.method).unwrap_or_default();
    let settings =
        table.iter().filter(|(key, _)| *key != "name").map(|(key, value)| format!("{key} {value}"));
    settings.collect::<Vec<_>>().join(", ")
}

/// What `run.json` says before training.
pub fn record(plan: &Plan, dataset: &Dataset, device: &str) -> RunRecord {
    let train = &plan.train;
    let encoder = plan.encoder.init(&mut Init::new(plan.seed, &Device::flex()));
    let name = serde_json::to_value(plan.encoder.architecture)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned));
    let mut protocol = vec![
        ("Encoder stem", format!("{:?}, width {}", plan.encoder.stem, plan.encoder.width)),
        ("Activations", plan.encoder.precision.to_string()),
        (
            "Optimizer",
            format!(
                "{:?}, learning rate {:.3e}, weight decay {:.1e}",
                train.optimizer, train.learning_rate, train.weight_decay
            ),
        ),
        ("Schedule", format!("{} warm-up epochs, then a half cosine", train.warmup_epochs)),
    ];
    let settings = settings(plan);
    if !settings.is_empty() {
        protocol.insert(1, ("Method's settings", settings));
    }
    if let Some(microbatch) = train.microbatch {
        protocol.push((
            "Microbatch",
            format!("{microbatch} images; batch normalisation sees one at a time"),
        ));
    }
    if let Some(clip) = train.clip_norm {
        protocol.push(("Gradient clipping", format!("to length {clip}")));
    }
    RunRecord {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        burn: "0.22".into(),
        device: device.into(),
        machines: vec![machine()],
        precision: plan.encoder.precision.to_string(),
        command: typed(),
        seed: plan.seed,
        started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        seconds: 0.0,
        finished: false,
        collapse: None,
        dataset: DatasetRecord {
            name: dataset.name.clone(),
            classes: dataset.classes.clone(),
            image_size: dataset.image_size,
            train: dataset.train.len() as u64,
            validation: dataset.validation.len() as u64,
            test: dataset.test.len() as u64,
            skipped: dataset
                .skipped
                .iter()
                .map(|s| Skipped { name: s.name.clone(), cause: s.cause.clone() })
                .collect(),
            notes: dataset.notes.clone(),
            digest: digest(dataset),
        },
        encoder: EncoderRecord {
            name: name.unwrap_or_default(),
            parameters: state::parameters(&encoder) as u64,
            dimension: plan.encoder.dim() as u64,
        },
        method: plan.method.name().into(),
        augment: plan.augment.to_string(),
        policy: plan.augment.to_toml(),
        epochs: train.epochs as u64,
        batch: train.batch as u64,
        protocol: protocol.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}
