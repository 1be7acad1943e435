//! `selfsame certify`.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use burn::tensor::Device;
use rayon::prelude::*;
use selfsame::augment::Policy;
use selfsame::concentration::curve::curve;
use selfsame::concentration::distance::{Distances, Options, Run as DistanceRun, Shape, Views};
use selfsame::concentration::forecast::{members, within};
use selfsame::data::{Dataset, Split};
use selfsame::eval::{ViewSets, embed, sample as choose, shrink};
use selfsame::nn::{ResNet, device};
use selfsame::report::certificate::{CERTIFICATE_FILE, CertificateRecord, EXAMPLES, Named};
use selfsame::report::record::PAGE_FILE;
use selfsame::report::{Sprite, read, render_certificate, wilson, write_atomic, write_json};
use selfsame::theory::bounds::lipschitz;
use selfsame::theory::{Error, Labels, Quantity, Trust};
use serde_json::json;
use sha2::{Digest, Sha256};

use self::measure::World;
use self::world::{Parameters, Pixels, Sample};
use super::sampling::{self, VIEW_BYTES};
use super::{report, shown};
use crate::args::{Certify as Args, CheckpointName, SplitName};
use crate::misuse;
use crate::run::{CONFIG_FILE, Run};
use crate::terminal::{Bar, Terminal};

mod embeddings;
mod measure;
mod words;
mod world;

/// Keeps these views apart from those of training, evaluation and forecasts.
const EPOCH: u64 = u64::MAX - 2;
/// Side of an example image at most, and up to how many classes there are any.
const EXAMPLE_SIDE: u32 = 48;
const EXAMPLES_UP_TO: usize = 128;

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    match (&args.run, &args.embeddings) {
        (Some(run), _) => of_run(args, run, &terminal),
        (None, Some(file)) => of_embeddings(args, file, &terminal),
        (None, None) => Err(misuse("name the folder of a run, or --embeddings")),
    }
}

/// A Lipschitz constant of the encoder with its outputs brought to length 1, none of which was shorter than the shortest
/// seen; none where that is 0.
fn proved_lipschitz(encoder: &ResNet, size: usize, sample: &Sample) -> anyhow::Result<Option<Quantity>> {
    let length = |row: &[f32]| row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let shortest = sample.values.chunks_exact(sample.dim).map(length).fold(f64::INFINITY, f64::min);
    if !(shortest > 0.0 && shortest.is_finite()) {
        return Ok(None);
    }
    let value = encoder.lipschitz(size) * lipschitz::normalised(shortest)?;
    Ok(Some(Quantity { value, trust: Trust::Bound }))
}

/// The certificate of embeddings that no run made, in a folder of its own.
fn of_embeddings(args: &Args, file: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let out = args.out.clone().unwrap_or_else(|| {
        let name = file.file_stem().map_or("embeddings".into(), |name| name.to_string_lossy());
        Path::new("certificates").join(&*name)
    });
    if out.join(CONFIG_FILE).exists() {
        return Err(misuse(format!("--out {}: that is the folder of a run; choose another", out.display())));
    }
    let (sample, notes) = embeddings::read(file, args.labels.as_deref(), args.seed)?;
    let mut status = |what: &str| terminal.status(what);
    let named = || file.display().to_string();
    let world = World::new(&sample, &mut status).with_context(named)?;
    let record = words::with_words(measure::numbers(&world, &mut status).with_context(named)?, &world);
    let mut command: Vec<String> = ["selfsame", "certify", "--embeddings", &shown(file)].map(str::to_owned).into();
    command.extend(args.labels.iter().flat_map(|labels| ["--labels".to_owned(), shown(labels)]));
    let record =
        CertificateRecord { command, subject: shown(file), left_out: [record.left_out, notes].concat(), ..record };
    std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    write_json(&out.join(CERTIFICATE_FILE), &record)?;
    let page = out.join(PAGE_FILE);
    write_atomic(&page, render_certificate(&record).as_bytes())?;
    finish(record, &page, terminal)
}

fn of_run(args: &Args, path: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    check(args)?;
    let run = Run::open(path)?;
    let plan = run.plan()?;
    let device = device::by_name(&args.device.device).map_err(misuse)?;
    let (encoder, step) = run.trained(&plan, args.checkpoint, &device)?;
    let dataset = run.load_own(&plan, false, terminal)?;
    let (split, name) = match args.split {
        SplitName::Train => (&dataset.train, "train"),
        SplitName::Validation => (&dataset.validation, "validation"),
        SplitName::Test => (&dataset.test, "test"),
        SplitName::All => return Err(misuse("--split all: choose one of train, validation and test")),
    };
    let chosen = chosen(args, &dataset, split, name)?;
    let views = Drawn::new(args, &plan.augment, dataset.image_size, split, &chosen)?;
    let mut sample = views.embedded(args.seed, &encoder, &device)?;
    if let Some(labels) = split.labels() {
        let of_chosen: Vec<u32> = chosen.iter().map(|&index| labels[index]).collect();
        let (labels, classes) = present(&of_chosen, &dataset.classes)?;
        sample.pixels = Some(views.pixels(&labels, args.budget, Parameters::of(plan.augment.config()))?);
        (sample.labels, sample.classes) = (Some(labels), classes);
    }
    drop(views);
    // A row is a view of an image that has a name.
    let named = |error: anyhow::Error| match error.downcast_ref::<Error>() {
        Some(Error::ZeroRow { row } | Error::NotFinite { row, .. }) => {
            let image = split.name(chosen[row / sample.views]).to_owned();
            error.context(format!("the encoder's output for a view of {image} cannot be measured"))
        }
        _ => error,
    };
    let mut status = |what: &str| terminal.status(what);
    let world = World::new(&sample, &mut status).map_err(named)?;
    let numbers = measure::numbers(&world, &mut status)?;
    status("the norms of the encoder's layers");
    let lipschitz_bound = proved_lipschitz(&encoder, dataset.image_size as usize, &sample)?;
    let record = words::with_words(CertificateRecord { lipschitz_bound, ..numbers }, &world);
    let weights = match args.checkpoint {
        CheckpointName::Last => format!("the last, of step {step}"),
        CheckpointName::Best => format!("those with the best kNN accuracy on the validation split, of step {step}"),
    };
    let mut record = CertificateRecord {
        command: command(args, path),
        subject: shown(&run.path),
        split: name.into(),
        weights,
        digest: digest(split, &chosen),
        policy: plan.augment.to_string(),
        examples: examples(&dataset, split, &chosen, &sample)?,
        ..record
    };
    record.errors.extend(evaluated(&run)?);
    write_json(&run.path.join(CERTIFICATE_FILE), &record)?;
    let page = report::write(&run)?;
    terminal.skipped(&dataset, "in the run's page and run.json");
    finish(record, &page, terminal)
}

/// Says what was found, to people and to scripts.
fn finish(record: CertificateRecord, page: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    print(&record, terminal);
    terminal.say(&format!("report   {}", shown(page)));
    let mut result = serde_json::to_value(CertificateRecord { examples: None, ..record })?;
    result["report"] = json!(shown(page));
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Args) -> anyhow::Result<()> {
    if args.per_class < 2 {
        return Err(misuse(format!("--per-class {}: distances need at least 2 images of a class", args.per_class)));
    }
    if args.views == 0 || args.views > 65_535 {
        return Err(misuse(format!("--views {}: choose from 1 to 65535, beside the image itself", args.views)));
    }
    if args.budget.is_some_and(|budget| !(0.0..=1e6).contains(&budget)) {
        return Err(misuse("--budget is a time from 0 to 1000000 seconds"));
    }
    Ok(())
}

/// Positions in the split of the images measured, in order of their classes.
fn chosen(args: &Args, dataset: &Dataset, split: &Split, name: &str) -> anyhow::Result<Vec<usize>> {
    if split.is_empty() {
        return Err(misuse(format!("the {name} split of {} is empty; choose another --split", dataset.name)));
    }
    let Some(labels) = split.labels() else { return Ok(choose(split.len(), args.per_class)) };
    let own = members(labels, dataset.classes.len());
    Ok(own.iter().flat_map(|own| choose(own.len(), args.per_class).into_iter().map(|at| own[at])).collect())
}

/// The views of the chosen images, the image itself first: `[image][view][row][pixel][channel]`.
struct Drawn {
    bytes: Vec<u8>,
    images: usize,
    views: usize,
    side: usize,
}

impl Drawn {
    fn new(args: &Args, policy: &Policy, side: u32, split: &Split, chosen: &[usize]) -> anyhow::Result<Self> {
        let (images, views, size) = (chosen.len(), args.views + 1, side as usize * side as usize * 3);
        let all = images as u128 * views as u128 * size as u128;
        if all > VIEW_BYTES as u128 {
            return Err(misuse(format!(
                "{images} images of {views} views of {side} pixels are {} GB; lower --per-class or --views",
                all >> 30
            )));
        }
        let sets = ViewSets { policy, seed: args.seed, epoch: EPOCH, views: args.views, original: true };
        let bytes = sets.draw(split, chosen);
        Ok(Self { bytes, images, views, side: side as usize })
    }

    fn distances(&self) -> anyhow::Result<Distances> {
        let shape = Shape { width: self.side, height: self.side, channels: 3 };
        let mut run = DistanceRun::within(Views::new(self.images, self.views, shape, &self.bytes)?);
        let bar = Bar::new("tiles of distances");
        let _ = run.advance(&Options::default(), &mut |progress| {
            bar.set(progress.done as u64, progress.total as u64, String::new());
            ControlFlow::Continue(())
        });
        bar.finish();
        Ok(Distances { n: self.images, keys: run.keys().to_vec(), pairs: run.pairs().to_vec() })
    }

    /// Their embeddings.
    fn embedded(&self, seed: u64, encoder: &ResNet, device: &Device) -> anyhow::Result<Sample> {
        let each: Vec<&[u8]> = self.bytes.chunks_exact(self.side * self.side * 3).collect();
        let bar = Bar::new("views embedded");
        let features = embed(encoder, &each, self.side, device, &mut |done| {
            bar.set(done as u64, each.len() as u64, String::new());
        })?;
        bar.finish();
        Ok(Sample {
            images: self.images,
            views: self.views,
            dim: features.dim(),
            values: features.into_values(),
            labels: None,
            classes: Vec::new(),
            seed,
            pixels: None,
        })
    }

    /// Their distances, and how they concentrate within each class.
    fn pixels(&self, labels: &Labels, budget: Option<f64>, parameters: Parameters) -> anyhow::Result<Pixels> {
        let distances = self.distances()?;
        let own = members(labels.of_image(), labels.classes());
        let largest = own.iter().map(Vec::len).max().unwrap_or(0);
        let budget = sampling::budget(budget.map(Duration::from_secs_f64), largest);
        let bar = Bar::new("curves");
        let mut curves = Vec::with_capacity(own.len());
        for (class, images) in own.iter().enumerate() {
            bar.set(class as u64, own.len() as u64, String::new());
            curves.push(curve(images.len(), &within(&distances, images), budget, rayon::current_num_threads()));
        }
        bar.finish();
        let dim = self.side * self.side * 3;
        Ok(Pixels { distances, curves, budget, to_first: self.to_first(), dim, parameters })
    }

    /// For each view its distance to the image itself.
    fn to_first(&self) -> Vec<f64> {
        let size = self.side * self.side * 3;
        let of_image = |image: &[u8]| -> Vec<f64> {
            let (first, _) = image.split_at(size);
            let squared =
                |view: &[u8]| -> u64 { view.iter().zip(first).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum() };
            image.chunks_exact(size).map(|view| (squared(view) as f64).sqrt()).collect()
        };
        self.bytes.par_chunks_exact(self.views * size).flat_map_iter(of_image).collect()
    }
}

/// The labels numbered anew, for the classes that have images alone; and the names of those.
fn present(labels: &[u32], names: &[String]) -> Result<(Labels, Vec<String>), Error> {
    let present: Vec<u32> = (0..names.len() as u32).filter(|class| labels.contains(class)).collect();
    let number = |label: &u32| present.binary_search(label).map(|at| at as u32).unwrap_or(u32::MAX);
    let labels = Labels::new(labels.iter().map(number).collect(), present.len())?;
    Ok((labels, present.iter().map(|&class| names[class as usize].clone()).collect()))
}

/// Errors that `selfsame eval` measured, with the interval for others of their kind.
fn evaluated(run: &Run) -> anyhow::Result<Vec<Named>> {
    let Some(evaluation) = read(&run.path)?.evaluation else { return Ok(Vec::new()) };
    let Some(scores) = evaluation.test else { return Ok(Vec::new()) };
    let named = [
        ("nearest centre of training images", scores.centre_acc1),
        ("kNN", scores.knn_acc1),
        ("linear probe", scores.linear_acc1),
    ];
    let error = |(name, accuracy): (&str, f64)| {
        let interval = wilson(1.0 - accuracy, evaluation.images);
        let trust = Trust::Estimate {
            low: Some(interval.low),
            high: Some(interval.high),
            method: "Wilson, 95 %, on the whole test split".into(),
            sample: evaluation.images as usize,
        };
        Named { name: name.into(), quantity: Quantity { value: 1.0 - accuracy, trust } }
    };
    Ok(named.into_iter().filter(|(_, accuracy)| accuracy.is_finite()).map(error).collect())
}

/// Some images of each class, small.
fn examples(dataset: &Dataset, split: &Split, chosen: &[usize], sample: &Sample) -> anyhow::Result<Option<Sprite>> {
    let Some(labels) = sample.labels.as_ref().filter(|labels| labels.classes() <= EXAMPLES_UP_TO) else {
        return Ok(None);
    };
    let own = members(labels.of_image(), labels.classes());
    // A class with fewer images shows some of them twice, so that each class has as many tiles.
    let of_class = |own: &Vec<usize>| (0..EXAMPLES).map(|at| chosen[own[at % own.len()]]).collect::<Vec<_>>();
    let images: Vec<&[u8]> = own.iter().flat_map(of_class).map(|index| split.image(index).pixels).collect();
    let small = shrink(&images, dataset.image_size, EXAMPLE_SIDE);
    let small: Vec<&[u8]> = small.iter().map(|image| &**image).collect();
    let side = dataset.image_size.min(EXAMPLE_SIDE);
    Ok(Some(Sprite::thumbnails(side, side, &small, 5 * EXAMPLES as u32)?))
}

/// SHA-256 over the labels and pixels of the images measured: what makes two certificates comparable.
fn digest(split: &Split, chosen: &[usize]) -> String {
    let mut hasher = Sha256::new();
    for &index in chosen {
        hasher.update(split.labels().map_or(u32::MAX, |labels| labels[index]).to_le_bytes());
        hasher.update(split.image(index).pixels);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What makes the certificate again.
fn command(args: &Args, run: &Path) -> Vec<String> {
    let split = match args.split {
        SplitName::Train => "train",
        SplitName::Validation => "validation",
        SplitName::Test | SplitName::All => "test",
    };
    let mut words: Vec<String> = ["selfsame", "certify", &shown(run), "--split", split].map(str::to_owned).into();
    words.extend(["--per-class".into(), args.per_class.to_string(), "--views".into(), args.views.to_string()]);
    words.extend(["--seed".into(), args.seed.to_string()]);
    words.extend(args.budget.map(|budget| ["--budget".to_owned(), budget.to_string()]).into_iter().flatten());
    if matches!(args.checkpoint, CheckpointName::Best) {
        words.extend(["--checkpoint", "best"].map(str::to_owned));
    }
    words
}

fn print(record: &CertificateRecord, terminal: &Terminal) {
    for sentence in &record.verdict {
        terminal.say(sentence);
    }
    for bound in &record.bounds {
        terminal.say(&words::line(bound));
    }
    for sentence in record.obstacles.iter().chain(&record.advice).chain(&record.left_out) {
        terminal.say(sentence);
    }
}
