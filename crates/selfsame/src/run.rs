//! The folder of a run.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;
use selfsame::data::{Dataset, LoadOptions};
use selfsame::nn::layers::Init;
use selfsame::nn::{ResNet, device, state};
use selfsame::report::record::{DatasetRecord, EncoderRecord, METRICS_FILE, RUN_FILE, RunRecord, Skipped};
use selfsame::report::{write_atomic, write_json};
use selfsame::train::checkpoint::{self, Which};
use selfsame::train::{Config, Method, Plan};

use crate::args::CheckpointName;
use crate::misuse;
use crate::terminal::Terminal;

const CONFIG_FILE: &str = "config.toml";
const LOCK_FILE: &str = ".lock";
/// What a run may write, and `--overwrite` may therefore delete.
const OWN: [&str; 11] = [
    CONFIG_FILE,
    LOCK_FILE,
    RUN_FILE,
    METRICS_FILE,
    "events.out.tfevents.0.selfsame",
    "checkpoints",
    "cache",
    "eval.json",
    "map.json",
    "views.json",
    "report.html",
];

/// A run's folder, held by this process alone.
pub struct Run {
    pub path: PathBuf,
    _lock: File,
}

impl Run {
    /// Makes the folder for a new run.
    pub fn create(path: &Path, overwrite: bool) -> anyhow::Result<Self> {
        let shown = path.display();
        // A run that was killed before it wrote its configuration holds nothing that could be lost.
        let begun = path.join(CONFIG_FILE).exists();
        if let Some(stranger) = stranger(path).with_context(|| shown.to_string())? {
            return Err(misuse(format!(
                "{shown} holds {stranger:?}, which no run writes; name another folder with --out"
            )));
        }
        if begun && !overwrite {
            return Err(misuse(format!(
                "{shown} holds a run already; go on with `--resume {shown}`, start again with --overwrite, or name \
                 another folder with --out"
            )));
        }
        std::fs::create_dir_all(path).with_context(|| shown.to_string())?;
        let run = Self::lock(path)?;
        for name in OWN.iter().filter(|name| **name != LOCK_FILE) {
            let entry = path.join(name);
            let removed = if entry.is_dir() { std::fs::remove_dir_all(&entry) } else { std::fs::remove_file(&entry) };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| entry.display().to_string());
                }
                _ => {}
            }
        }
        std::fs::create_dir_all(path.join("checkpoints")).with_context(|| shown.to_string())?;
        Ok(run)
    }

    /// Opens a run's folder.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.join(CONFIG_FILE).is_file() {
            return Err(misuse(format!("{} is not the folder of a run: it has no {CONFIG_FILE}", path.display())));
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
        let config: Config = toml::from_str(&text).with_context(|| path.display().to_string())?;
        config.check().with_context(|| path.display().to_string())
    }

    /// The run's images, as its configuration names them.
    pub fn load(&self, plan: &Plan, source: &str, strict: bool, terminal: &Terminal) -> anyhow::Result<Dataset> {
        let options = LoadOptions {
            image_size: Some(plan.data.image_size),
            seed: plan.seed,
            limit: plan.data.limit,
            classes: plan.data.classes.clone(),
            strict,
            cache: Some(self.path.join("cache")),
        };
        terminal.load(source, &options)
    }

    /// The run's encoder: trained, and with the weights it started from.
    pub fn encoders(&self, plan: &Plan, which: CheckpointName, device_name: &str) -> anyhow::Result<[ResNet; 2]> {
        let device = device::by_name(device_name).map_err(misuse)?;
        let path = match which {
            CheckpointName::Last => Which::Last,
            CheckpointName::Best => Which::Best,
        }
        .path(&self.path);
        if !path.is_file() {
            let way = match which {
                CheckpointName::Last => format!("train it with `selfsame pretrain --resume {}`", self.path.display()),
                CheckpointName::Best => "use --checkpoint last".to_owned(),
            };
            return Err(misuse(format!("{} does not exist; {way}", path.display())));
        }
        let (weights, _) = checkpoint::load_backbone(&path)?;
        let untrained = plan.encoder.init(&mut Init::new(plan.seed, &device));
        let trained = state::load(plan.encoder.init(&mut Init::new(plan.seed, &device)), &weights)
            .with_context(|| format!("{}: does not fit the run's encoder", path.display()))?;
        Ok([trained, untrained])
    }

    pub fn write_record(&self, record: &RunRecord) -> anyhow::Result<()> {
        Ok(write_json(&self.path.join(RUN_FILE), record)?)
    }

    pub fn record(&self) -> anyhow::Result<RunRecord> {
        Ok(selfsame::report::read(&self.path)?.run)
    }
}

/// The name of something in `path` that no run writes, if there is any. Hidden files are what systems and
/// interrupted writes leave behind.
fn stranger(path: &Path) -> std::io::Result<Option<String>> {
    let entries = match path.read_dir() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !OWN.contains(&name.as_str()) && !name.starts_with('.') {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// What `run.json` says before training.
pub fn record(plan: &Plan, dataset: &Dataset, device: &str) -> RunRecord {
    let Method::SimClr(method) = &plan.method;
    let train = &plan.train;
    let encoder = plan.encoder.init(&mut Init::new(plan.seed, &burn::tensor::Device::flex()));
    let name = serde_json::to_value(plan.encoder.architecture).ok().and_then(|v| v.as_str().map(str::to_owned));
    let mut protocol = vec![
        ("Encoder stem", format!("{:?}, width {}", plan.encoder.stem, plan.encoder.width)),
        ("Projection head", format!("{} → {} → {}", plan.encoder.dim(), method.hidden, method.output)),
        ("Temperature", method.temperature.to_string()),
        (
            "Optimizer",
            format!(
                "{:?}, learning rate {:.3e}, weight decay {:.1e}",
                train.optimizer, train.learning_rate, train.weight_decay
            ),
        ),
        ("Schedule", format!("{} warm-up epochs, then a half cosine", train.warmup_epochs)),
        ("Weights reported", "those of the last epoch; nothing is chosen by the test split".to_owned()),
    ];
    if let Some(clip) = train.clip_norm {
        protocol.push(("Gradient clipping", format!("to length {clip}")));
    }
    RunRecord {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        burn: "0.22".into(),
        device: device.into(),
        command: std::env::args().collect(),
        seed: plan.seed,
        started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        seconds: 0.0,
        finished: false,
        dataset: DatasetRecord {
            name: dataset.name.clone(),
            classes: dataset.classes.clone(),
            image_size: dataset.image_size,
            train: dataset.train.len() as u64,
            validation: dataset.validation.len() as u64,
            test: dataset.test.len() as u64,
            skipped: dataset.skipped.iter().map(|s| Skipped { name: s.name.clone(), cause: s.cause.clone() }).collect(),
            notes: dataset.notes.clone(),
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
