//! The folder of a run: its lock, configuration, records, images and weights.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use selfsame_data::{DataError, Dataset, LoadOptions};
use selfsame_nn::layers::Init;
use selfsame_nn::{Backbone, EncoderConfig, state};
use selfsame_report::certificate::CERTIFICATE_FILE;
use selfsame_report::look::{CLUSTERS_FILE, LOOK_FILE, NEIGHBOURS_FILE, SUSPECTS_FILE};
use selfsame_report::predictions::PREDICTIONS_FILE;
use selfsame_report::record::{
    DatasetRecord, EVAL_FILE, EncoderRecord, MAP_FILE, METRICS_FILE, PAGE_FILE, RUN_FILE,
    RunRecord, VIEWS_FILE,
};
use selfsame_report::{write_atomic, write_json};
use selfsame_train::checkpoint::{self, Which};
use selfsame_train::{Config, EVENTS_FILE, Plan};

use crate::{Error, Progress, digest, images, load};

const CONFIG_FILE: &str = "config.toml";
const LOCK_FILE: &str = ".lock";
const CHECKPOINTS: &str = "checkpoints";
const CACHE: &str = "cache";
/// The files and folders that a run writes, and that starting over therefore deletes. The cache
/// stays: it records which images it holds.
const WRITTEN: [&str; 15] = [
    CONFIG_FILE,
    RUN_FILE,
    METRICS_FILE,
    EVENTS_FILE,
    CHECKPOINTS,
    EVAL_FILE,
    CERTIFICATE_FILE,
    MAP_FILE,
    PREDICTIONS_FILE,
    LOOK_FILE,
    NEIGHBOURS_FILE,
    SUSPECTS_FILE,
    CLUSTERS_FILE,
    VIEWS_FILE,
    PAGE_FILE,
];

/// A run's folder, locked by this process if it may be written to.
///
/// A folder is a run once it has a `config.toml`. ARCHITECTURE.md lists the other files.
#[derive(Debug)]
pub struct Run {
    path: PathBuf,
    _lock: Option<File>,
    /// The topmost of the folders that were made for this run.
    made: Option<PathBuf>,
}

impl Run {
    /// Name of the file that makes a folder a run.
    pub const CONFIG_FILE: &str = CONFIG_FILE;
    /// Name of the file that is locked while a process works in the folder.
    pub const LOCK_FILE: &str = LOCK_FILE;

    /// Claims the folder for a new run. An older run in the folder stays until [`Run::clear`]
    /// deletes it.
    ///
    /// # Errors
    /// If the folder holds a run and `overwrite` is false, if it holds files that no run wrote, or
    /// if another process works in it.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, Error> {
        check_folder(path)?;
        // The files can only be a run's if a run has locked the folder before.
        let ours = path.join(LOCK_FILE).exists();
        check_own(path, |name| ours && (name == CACHE || WRITTEN.contains(&name)))?;
        // A run that was killed before it wrote its configuration holds nothing worth keeping.
        let no_run = || match path.join(CONFIG_FILE).exists() && !overwrite {
            true => Err(Error::RunExists { path: path.to_owned() }),
            false => Ok(()),
        };
        no_run()?;
        let made = path.ancestors().take_while(|path| !path.exists()).last();
        let made = made.filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned);
        std::fs::create_dir_all(path).map_err(Error::file(path))?;
        let lock = lock(path)?;
        // Another process may have made a run here before the lock.
        no_run()?;
        Ok(Self { path: path.to_owned(), _lock: Some(lock), made })
    }

    /// Removes the folders that [`Run::create`] made, if nothing but a lock and a cache was written
    /// since, so that a mistyped setting leaves nothing behind.
    pub(crate) fn abandon(self) {
        let Some(made) = &self.made else { return };
        let _ = std::fs::remove_dir_all(self.cache());
        let _ = std::fs::remove_file(self.path.join(LOCK_FILE));
        // This removes empty folders only.
        for folder in self.path.ancestors().take_while(|path| path.starts_with(made)) {
            if std::fs::remove_dir(folder).is_err() {
                return;
            }
        }
    }

    /// Opens a run's folder in order to write to it.
    ///
    /// # Errors
    /// If the folder is not a run, if another process works in it, or if it cannot be written to.
    pub fn open(path: &Path) -> Result<Self, Error> {
        check_run(path)?;
        Ok(Self { path: path.to_owned(), _lock: Some(lock(path)?), made: None })
    }

    /// Opens a run's folder in order to read it. Reading needs no right to write: without that
    /// right, no other process can take a lock either, and the folder is read without one.
    ///
    /// # Errors
    /// If the folder is not a run, or if another process works in it.
    pub fn open_to_read(path: &Path) -> Result<Self, Error> {
        check_run(path)?;
        let file = path.join(LOCK_FILE);
        let lock = lock_to_read(&file, File::create(&file)).map_err(Error::file(&file))?;
        let lock = lock.map(|lock| taken(path, lock)).transpose()?;
        Ok(Self { path: path.to_owned(), _lock: lock, made: None })
    }

    /// Deletes an older run. Its configuration goes first, so that a kill leaves no partial run.
    ///
    /// # Errors
    /// If a file cannot be deleted.
    pub fn clear(&self) -> Result<(), Error> {
        for name in WRITTEN {
            let entry = self.path.join(name);
            let removed = if entry.is_dir() {
                std::fs::remove_dir_all(&entry)
            } else {
                std::fs::remove_file(&entry)
            };
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file(&entry)(error));
                }
                _ => {}
            }
        }
        self.make_checkpoints()
    }

    /// Makes the folder of checkpoints, if it is not there.
    pub(crate) fn make_checkpoints(&self) -> Result<(), Error> {
        let checkpoints = self.path.join(CHECKPOINTS);
        std::fs::create_dir_all(&checkpoints).map_err(Error::file(&checkpoints))
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder that holds decoded images if they do not fit in memory.
    pub fn cache(&self) -> PathBuf {
        self.path.join(CACHE)
    }

    /// Writes `config.toml`, which makes the folder a run.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_plan(&self, plan: &Plan) -> Result<(), Error> {
        let text = toml::to_string(&**plan).expect("a configuration is plain tables");
        Ok(write_atomic(&self.path.join(CONFIG_FILE), text.as_bytes())?)
    }

    /// Reads the settings from `config.toml`.
    ///
    /// # Errors
    /// If the file is unreadable or a setting makes no sense.
    pub fn plan(&self) -> Result<Plan, Error> {
        read_plan(&self.path.join(CONFIG_FILE))
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_record(&self, record: &RunRecord) -> Result<(), Error> {
        Ok(write_json(&self.path.join(RUN_FILE), record)?)
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// If the file is unreadable or damaged.
    pub fn record(&self) -> Result<RunRecord, Error> {
        let path = self.path.join(RUN_FILE);
        let text = std::fs::read(&path).map_err(Error::file(&path))?;
        serde_json::from_slice(&text).map_err(|e| Error::Damaged { path, cause: e.to_string() })
    }

    /// Loads the images that the run was trained on.
    ///
    /// # Errors
    /// If the images cannot be loaded, or if they differ from the images that the run began with.
    /// Different images might be split differently, and images that were trained on would be
    /// measured as if they were new.
    pub fn images(
        &self,
        plan: &Plan,
        strict: bool,
        progress: &mut dyn Progress,
    ) -> Result<Dataset, Error> {
        let source = &plan.data.source;
        let dataset = load(source, &self.load_options(plan, strict), progress).map_err(
            |error| match error {
                Error::Data { source: DataError::NotFound { path }, .. } => {
                    Error::ImagesMissing { run: self.path.clone(), path }
                }
                Error::Data { source: DataError::Read { path, source }, .. }
                    if source.kind() == ErrorKind::NotFound =>
                {
                    Error::ImagesMissing { run: self.path.clone(), path }
                }
                error => error,
            },
        )?;
        self.check_images(&dataset, plan)?;
        Ok(dataset)
    }

    /// Returns the images that the run was trained on: `in_memory`, or else the images loaded from
    /// their source.
    pub(crate) fn images_or(
        &self,
        in_memory: Option<Arc<Dataset>>,
        plan: &Plan,
        strict: bool,
        progress: &mut dyn Progress,
    ) -> Result<Arc<Dataset>, Error> {
        match in_memory {
            Some(dataset) => {
                self.check_images(&dataset, plan)?;
                Ok(dataset)
            }
            None => self.images(plan, strict, progress).map(Arc::new),
        }
    }

    fn check_images(&self, dataset: &Dataset, plan: &Plan) -> Result<(), Error> {
        let was = self.record()?.dataset;
        if digest(dataset) == was.digest {
            return Ok(());
        }
        let source_name = plan.data.source.clone();
        Err(Error::ImagesChanged { source_name, difference: difference(&was, dataset) })
    }

    /// Returns how images are read for the run: at the size that its encoder takes.
    pub(crate) fn load_options(&self, plan: &Plan, strict: bool) -> LoadOptions {
        LoadOptions {
            image_size: Some(plan.data.image_size),
            source_size: Some(plan.data.source_size()),
            seed: plan.split_seed(),
            limit: plan.data.limit,
            labels: plan.data.labels.as_ref().map(PathBuf::from),
            classes: plan.data.classes.clone(),
            exif: plan.data.exif,
            strict,
            cache: Some(self.cache()),
        }
    }

    /// Returns the path of the run's weights.
    ///
    /// # Errors
    /// [`Error::NoWeights`] before the first checkpoint, or, for the best weights, if no kNN
    /// accuracy was measured to choose them by.
    pub fn weights(&self, which: Which) -> Result<PathBuf, Error> {
        let path = which.path(&self.path);
        if path.is_file() { Ok(path) } else { Err(Error::NoWeights { path }) }
    }

    /// Loads the run's trained encoder. Also returns the number of steps it was trained for.
    ///
    /// # Errors
    /// If the weights are missing, damaged or belong to another encoder.
    pub fn trained(
        &self,
        plan: &Plan,
        which: Which,
        device: &Device,
    ) -> Result<(Backbone, u64), Error> {
        let path = self.weights(which)?;
        let (weights, step) = checkpoint::load_backbone(&path)?;
        let encoder = plan.encoder.init(&mut Init::new(plan.seed, device));
        let encoder = state::load(encoder, &weights)
            .map_err(|mismatch| Error::WrongWeights { path, mismatch })?;
        Ok((encoder, step))
    }

    /// Returns the run's encoder with the weights that training started from.
    ///
    /// # Errors
    /// If the weights that the run was given to start from are missing, damaged or belong to
    /// another encoder.
    pub fn untrained(&self, plan: &Plan, device: &Device) -> Result<Backbone, Error> {
        let encoder = plan.encoder.init(&mut Init::new(plan.seed, device));
        let start = checkpoint::initial(state::read(&encoder), &self.path, plan.init.as_deref())?;
        state::load(encoder, &start)
            .map_err(|mismatch| Error::WrongWeights { path: self.path.clone(), mismatch })
    }
}

/// Reads the settings of a run from its `config.toml`.
pub(crate) fn read_plan(path: &Path) -> Result<Plan, Error> {
    let text = std::fs::read(path).map_err(Error::file(path))?;
    let damaged = |cause: String| Error::Damaged { path: path.to_owned(), cause };
    let text = String::from_utf8(text).map_err(|e| damaged(e.to_string()))?;
    let config: Config = toml::from_str(&text).map_err(|e| damaged(e.to_string()))?;
    config.check().map_err(|e| damaged(e.to_string()))
}

fn check_run(path: &Path) -> Result<(), Error> {
    match path.join(CONFIG_FILE).is_file() {
        true => Ok(()),
        false => Err(Error::NotARun { path: path.to_owned() }),
    }
}

/// Returns the file to lock in order to read a run: `created`, or, if this process has no right to
/// write, the file of an earlier lock, if there is one, which can be locked without that right.
fn lock_to_read(file: &Path, created: std::io::Result<File>) -> std::io::Result<Option<File>> {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    match created {
        Err(error) if matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem) => {
            Ok(File::open(file).ok())
        }
        created => created.map(Some),
    }
}

/// Describes how images differ from those that a run recorded.
fn difference(was: &DatasetRecord, is: &Dataset) -> String {
    let counts = [
        ("training", was.train, is.train.len()),
        ("validation", was.validation, is.validation.len()),
        ("test", was.test, is.test.len()),
    ];
    let mut clauses: Vec<String> = counts
        .into_iter()
        .filter(|&(_, was, is)| was != is as u64)
        .map(|(split, was, is)| format!("{is} {split} images in place of {was}"))
        .collect();
    if was.classes != is.classes {
        let only = |these: &[String], those: &[String]| {
            these.iter().find(|class| !those.contains(class)).cloned()
        };
        clauses.push(match (only(&was.classes, &is.classes), only(&is.classes, &was.classes)) {
            (Some(lost), Some(new)) => format!("no class {lost}, but a class {new}"),
            (Some(lost), None) => format!("no class {lost}"),
            (None, Some(new)) => format!("a further class {new}"),
            (None, None) => "classes in another order".to_owned(),
        });
    }
    if was.image_size != is.image_size {
        clauses.push(format!("{} pixels in place of {}", is.image_size, was.image_size));
    }
    if clauses.is_empty() {
        clauses.push("as many, but some have other pixels, labels or splits".to_owned());
    }
    clauses.join(", ")
}

/// Describes the selected weights of a run for its records.
pub(crate) fn describe_weights(which: Which, step: u64) -> String {
    match which {
        Which::Last => format!("the last, of step {step}"),
        Which::Best => {
            format!("those with the best kNN accuracy on the validation split, of step {step}")
        }
    }
}

/// Returns whether another process works in the folder of a run or of a forecast.
pub fn in_use(path: &Path) -> bool {
    let held = |lock: File| matches!(lock.try_lock(), Err(TryLockError::WouldBlock));
    File::open(path.join(LOCK_FILE)).is_ok_and(held)
}

/// Refuses a path that cannot become a folder because the path itself or one of its parents is a
/// file.
///
/// # Errors
/// [`Error::NotAFolder`].
pub fn check_folder(path: &Path) -> Result<(), Error> {
    match path.ancestors().find(|path| path.exists()).filter(|path| !path.is_dir()) {
        Some(file) => Err(Error::NotAFolder { path: path.to_owned(), file: file.to_owned() }),
        None => Ok(()),
    }
}

/// Refuses a folder that holds an entry other than those that `is_own` knows. Hidden files are
/// ignored: systems and interrupted writes leave them.
///
/// # Errors
/// [`Error::NotOurs`], or if the folder cannot be read.
pub fn check_own(path: &Path, is_own: impl Fn(&str) -> bool) -> Result<(), Error> {
    let entries = match path.read_dir() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::file(path))?,
    };
    for entry in entries {
        let name = entry.map_err(Error::file(path))?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !is_own(&name) {
            return Err(Error::NotOurs { path: path.to_owned(), entry: name });
        }
    }
    Ok(())
}

/// Refuses files that exist, unless they may be overwritten, and files that cannot exist because
/// their folder is a file.
///
/// # Errors
/// [`Error::Exists`] or [`Error::NotAFolder`].
pub fn check_new<P: AsRef<Path>>(files: &[P], overwrite: bool) -> Result<(), Error> {
    for folder in files.iter().filter_map(|file| file.as_ref().parent()) {
        check_folder(folder)?;
    }
    match files.iter().map(AsRef::as_ref).find(|file| file.exists() && !overwrite) {
        Some(path) => Err(Error::Exists { path: path.to_owned() }),
        None => Ok(()),
    }
}

/// Makes the folder of a file that is about to be written, if it does not exist.
///
/// # Errors
/// If the folder cannot be made.
pub fn make_parent(file: &Path) -> Result<(), Error> {
    match file.parent() {
        Some(folder) => std::fs::create_dir_all(folder).map_err(Error::file(folder)),
        None => Ok(()),
    }
}

/// Locks the folder of a run or of a forecast, which must exist, for as long as the file is open.
///
/// # Errors
/// [`Error::InUse`], or if the folder cannot be written to.
pub fn lock(path: &Path) -> Result<File, Error> {
    let file = path.join(LOCK_FILE);
    taken(path, File::create(&file).map_err(Error::file(&file))?)
}

fn taken(path: &Path, lock: File) -> Result<File, Error> {
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: path.to_owned() }),
        // Some file systems have no locks; work without a lock there.
        _ => Ok(lock),
    }
}

/// Returns the time, as records have it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Describes the machine: its processor, if the system names it, its system and its architecture.
pub fn machine() -> String {
    let described = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = described
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, m)| m.trim()));
    let kind = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    model.map_or(kind.clone(), |model| format!("{model}, {kind}"))
}

/// Formats the method's settings on one line.
fn settings(plan: &Plan) -> String {
    let table = toml::Table::try_from(plan.method).unwrap_or_default();
    let settings =
        table.iter().filter(|(key, _)| *key != "name").map(|(key, value)| format!("{key} {value}"));
    settings.collect::<Vec<_>>().join(", ")
}

/// Describes an encoder for a record.
pub(crate) fn encoder_record(config: &EncoderConfig, encoder: &Backbone) -> EncoderRecord {
    EncoderRecord {
        name: config.name().into(),
        width: config.width() as u64,
        parameters: state::parameters(encoder) as u64,
        dimension: config.dim() as u64,
    }
}

/// The version of Burn, for records.
pub(crate) const BURN: &str = "0.22";

/// Builds the content of `run.json` before training. `device` and `command` are stored as given.
pub(crate) fn record(
    plan: &Plan,
    dataset: &Dataset,
    device: &str,
    command: Vec<String>,
) -> RunRecord {
    let train = &plan.train;
    let encoder = plan.encoder.init(&mut Init::new(plan.seed, &Device::flex()));
    let mut protocol = vec![
        match plan.encoder {
            EncoderConfig::ResNet(config) => {
                ("Encoder stem", format!("{:?}, width {}", config.stem, config.width))
            }
            EncoderConfig::Mlp(config) => {
                ("Encoder layers", format!("2 of width {}", config.width))
            }
        },
        ("Activations", plan.encoder.precision().to_string()),
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
    protocol.push(("Seed of the splits", plan.split_seed().to_string()));
    if let Some(clip) = train.clip_norm {
        protocol.push(("Gradient clipping", format!("to length {clip}")));
    }
    RunRecord {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        burn: BURN.into(),
        device: device.into(),
        machines: vec![machine()],
        precision: plan.encoder.precision().to_string(),
        command,
        seed: plan.seed,
        started: now(),
        seconds: 0.0,
        finished: false,
        collapse: None,
        dataset: images::record(dataset),
        encoder: encoder_record(&plan.encoder, &encoder),
        method: plan.method.name().into(),
        augment: plan.augment.to_string(),
        policy: plan.augment.to_toml(),
        epochs: train.epochs as u64,
        batch: train.batch as u64,
        protocol: protocol.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn of_processes_that_start_together_one_creates_the_run() {
        const STARTERS: usize = 8;
        for _ in 0..100 {
            let folder = tempfile::tempdir().unwrap();
            let barrier = Barrier::new(STARTERS);
            let create = || {
                barrier.wait();
                let run = Run::create(folder.path(), false).ok()?;
                std::fs::write(run.path().join(CONFIG_FILE), "").ok()
            };
            let created: usize = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..STARTERS).map(|_| scope.spawn(create)).collect();
                threads.into_iter().filter_map(|thread| thread.join().unwrap()).count()
            });
            assert_eq!(created, 1);
        }
    }

    #[test]
    fn reading_needs_no_right_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(LOCK_FILE);
        for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
            assert!(lock_to_read(&file, Err(kind.into())).unwrap().is_none(), "there is no file");
        }
        let full = lock_to_read(&file, Err(ErrorKind::StorageFull.into()));
        assert_eq!(full.unwrap_err().kind(), ErrorKind::StorageFull);

        // A process that may only read still sees that another one works in the folder.
        std::fs::write(folder.path().join(CONFIG_FILE), "").unwrap();
        let writing = Run::open(folder.path()).unwrap();
        let lock = lock_to_read(&file, Err(ErrorKind::PermissionDenied.into())).unwrap();
        assert!(matches!(taken(folder.path(), lock.unwrap()), Err(Error::InUse { .. })));
        assert!(matches!(Run::open_to_read(folder.path()), Err(Error::InUse { .. })));
        drop(writing);
        drop(Run::open_to_read(folder.path()).unwrap());
    }

    /// The whole way, where permissions count: they do not for the superuser.
    #[cfg(unix)]
    #[test]
    fn a_folder_without_the_right_to_write_is_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CONFIG_FILE), "").unwrap();
        let allow = |mode| {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(), permissions).unwrap();
        };
        allow(0o555);
        if File::create(folder.path().join("probe")).is_ok() {
            println!("skipped: this process may write everywhere");
        } else {
            assert!(Run::open(folder.path()).is_err());
            assert!(Run::open_to_read(folder.path()).is_ok());
        }
        allow(0o755);
    }
}
