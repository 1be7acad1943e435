//! `selfsame certify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use burn::tensor::Device;
use selfsame::augment::Policy;
use selfsame::data::{Dataset, LoadOptions};
use selfsame::init;
use selfsame::nn::layers::Init;
use selfsame::nn::{
    Architecture, Backbone, EncoderConfig, Precision, ResNetConfig, Stem, device, state,
};
use selfsame::report::certificate::{CERTIFICATE_FILE, CertificateRecord, Named};
use selfsame::report::record::PAGE_FILE;
use selfsame::report::{
    read_certificate, read_evaluation, render_certificate, wilson, write_atomic, write_json,
};
use selfsame::theory::bounds::lipschitz;
use selfsame::theory::{Error, Quantity, Trust};
use selfsame::{Run, digest_of};
use serde_json::json;

use self::drawn::{Drawn, chosen, examples, present};
use self::measure::World;
use self::world::{Parameters, Sample};
use super::{quoted, shown, weights};
use crate::args::{Certify as Args, CheckpointName, OneSplit};
use crate::mend::encoder_flags;
use crate::terminal::{Live, Terminal};
use crate::{misuse, options};

mod drawn;
mod embeddings;
mod measure;
mod words;
mod world;

/// Classes at most: several matrices of as many rows and columns are kept, of 128 MB each.
const MOST_CLASSES: usize = 4000;

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    check(args)?;
    match (&args.run, &args.init, &args.embeddings) {
        (Some(run), ..) => of_run(args, run, &terminal),
        (None, Some(file), _) => of_weights(args, file, &terminal),
        (None, None, Some(file)) => of_embeddings(args, file, &terminal),
        (None, None, None) => Err(misuse(
            "there is nothing to certify: name the folder of a run, --init and --data for weights \
             from elsewhere, or \
             --embeddings for what an encoder made",
        )),
    }
}

/// An encoder, and what it is certified on.
struct Subject<'a> {
    encoder: &'a Backbone,
    device: &'a Device,
    dataset: &'a Dataset,
    policy: &'a Policy,
}

impl Subject<'_> {
    /// The certificate, but for the command and for what is known of the weights alone. Calls
    /// `under_way` once nothing that was asked for stands in the way.
    fn certified(
        &self,
        args: &Args,
        terminal: &Terminal,
        under_way: impl FnOnce(),
    ) -> anyhow::Result<CertificateRecord> {
        let Self { encoder, device, dataset, policy } = self;
        let split = match args.split {
            OneSplit::Train => &dataset.train,
            OneSplit::Validation => &dataset.validation,
            OneSplit::Test => &dataset.test,
        };
        let name = args.split.name();
        let chosen = chosen(args, dataset, split, name)?;
        let views = Drawn::new(args, policy, dataset.image_size, split, &chosen)?;
        under_way();
        let mut sample = views.embedded(args.seed, encoder, device)?;
        if let Some(labels) = split.labels() {
            let of_chosen: Vec<u32> = chosen.iter().map(|&index| labels[index]).collect();
            let (labels, classes) = present(&of_chosen, &dataset.classes)?;
            sample.pixels =
                Some(views.pixels(&labels, args.budget, Parameters::of(policy.config()))?);
            (sample.labels, sample.classes) = (Some(labels), classes);
        }
        drop(views);
        // A row is a view of an image that has a name.
        let named = |error: anyhow::Error| match error.downcast_ref::<Error>() {
            Some(Error::ZeroRow { row } | Error::NotFinite { row, .. }) => {
                let image = split.name(chosen[row / sample.views]).to_owned();
                error.context(format!(
                    "the encoder's output for a view of {image} cannot be measured"
                ))
            }
            _ => error,
        };
        let mut status = |what: &str| terminal.status(what);
        let world = World::new(&sample, &mut status).map_err(named)?;
        let numbers = measure::numbers(&world, &mut status)?;
        status("the norms of the encoder's layers");
        let lipschitz_bound = proved_lipschitz(encoder, dataset.image_size as usize, &sample)?;
        let record = CertificateRecord { lipschitz_bound, split: name.into(), ..numbers };
        Ok(CertificateRecord {
            // What makes two certificates comparable.
            digest: digest_of(split, &chosen),
            policy: policy.to_string(),
            examples: examples(dataset, split, &chosen, &sample)?,
            ..words::with_words(record, &world)
        })
    }
}

/// A Lipschitz constant of the encoder with its outputs brought to length 1, none of which was
/// shorter than the shortest seen; none where that is 0.
fn proved_lipschitz(
    encoder: &Backbone,
    size: usize,
    sample: &Sample,
) -> anyhow::Result<Option<Quantity>> {
    let length =
        |row: &[f32]| row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let shortest = sample.values.chunks_exact(sample.dim).map(length).fold(f64::INFINITY, f64::min);
    if !(shortest > 0.0 && shortest.is_finite()) {
        return Ok(None);
    }
    let value = encoder.lipschitz(size) * lipschitz::normalised(shortest)?;
    Ok(Some(Quantity::at_most(value)))
}

fn of_run(args: &Args, path: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let run = Run::open(path)?;
    let plan = run.plan()?;
    let device = device::by_name(&args.device.device).map_err(misuse)?;
    let (encoder, step) = run.trained(&plan, args.checkpoint.into(), &device)?;
    let dataset = run.images(&plan, false, &mut Live::default())?;
    let subject =
        Subject { encoder: &encoder, device: &device, dataset: &dataset, policy: &plan.augment };
    let command = command(args, &[shown(path)]);
    let measured = subject
        .certified(args, terminal, || announce(run.path(), &command, Some(step), terminal))?;
    let mut record = CertificateRecord {
        command,
        subject: shown(run.path()),
        weights: weights(args.checkpoint, step),
        step: Some(step),
        ..measured
    };
    match evaluated(&run, step)? {
        Ok(errors) => record.errors.extend(errors),
        Err(why) => record.left_out.push(why),
    }
    write_json(&run.path().join(CERTIFICATE_FILE), &record)?;
    let page = selfsame::write_page(&run)?;
    terminal.skipped(&dataset, "in the run's page and run.json");
    finish(record, &page, terminal)
}

/// The certificate of an encoder that no run made, in a folder of its own.
fn of_weights(args: &Args, file: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    /// The published one, where the file does not say what it is of.
    const PUBLISHED: ResNetConfig = ResNetConfig {
        architecture: Architecture::ResNet18,
        stem: Stem::ImageNet,
        width: 64,
        precision: Precision::F32,
    };
    let augment = args.augment.as_deref().unwrap_or(options::AUGMENT);
    let (out, policy) = (out(args, file)?, selfsame::policy(augment)?);
    let device = device::by_name(&args.device.device).map_err(misuse)?;
    let import = init::read(file).map_err(selfsame::Error::from)?;
    let found = match import.encoder() {
        Some(EncoderConfig::ResNet(found)) => found,
        _ => PUBLISHED,
    };
    let otherwise = ResNetConfig { precision: Precision::fastest(&device), ..found };
    let config = options::encoder_or(args.encoder, args.stem, args.width, otherwise)?;
    let tensors = init::fitting(import, file, args.init_partial, &config, &mut Live::default())
        .map_err(selfsame::Error::from)?;
    let encoder = config.init(&mut Init::new(args.seed, &device));
    let mut all = state::read(&encoder);
    let weights = match all.len() - tensors.len() {
        0 => "those of the file".to_owned(),
        others => {
            format!("{} tensors of the file, and {others} as before any training", tensors.len())
        }
    };
    all.extend(tensors);
    let encoder = state::load(encoder, &all).context("the tensors that fit do not load")?;
    let data = args.data.as_deref().unwrap_or_default();
    let options = LoadOptions {
        image_size: args.image_size,
        seed: args.seed,
        limit: args.limit,
        classes: args.classes.clone(),
        ..LoadOptions::default()
    };
    let dataset = terminal.load(data, &options)?;
    let subject =
        Subject { encoder: &encoder, device: &device, dataset: &dataset, policy: &policy };
    let mut words = vec!["--init".to_owned(), shown(file)];
    words.extend(args.init_partial.then(|| "--init-partial".to_owned()));
    words.extend(encoder_flags(&config).split(' ').map(str::to_owned));
    words.extend([
        "--data".into(),
        data.into(),
        "--image-size".into(),
        dataset.image_size.to_string(),
    ]);
    words.extend(args.limit.iter().flat_map(|limit| ["--limit".to_owned(), limit.to_string()]));
    words.extend(
        args.classes.iter().flat_map(|classes| ["--classes".to_owned(), classes.join(",")]),
    );
    words.extend(["--augment".into(), augment.into()]);
    let command = command(args, &words);
    let measured =
        subject.certified(args, terminal, || announce(&out, &command, None, terminal))?;
    let mut record = CertificateRecord { command, subject: shown(file), weights, ..measured };
    let skipped = dataset
        .skipped
        .iter()
        .map(|image| format!("The image {} was left out: {}.", image.name, image.cause));
    record.left_out.extend(skipped);
    terminal.skipped(&dataset, "in certificate.json and its page");
    write_alone(record, &out, terminal)
}

/// The certificate of embeddings that no run made, in a folder of its own.
fn of_embeddings(args: &Args, file: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let out = out(args, file)?;
    let mut words = vec!["--embeddings".to_owned(), shown(file)];
    words.extend(args.labels.iter().flat_map(|labels| ["--labels".to_owned(), shown(labels)]));
    words.extend(args.allow_repeats.then(|| "--allow-repeats".to_owned()));
    let command = command(args, &words);
    let (sample, notes) = embeddings::read(file, args)?;
    let mut status = |what: &str| terminal.status(what);
    let named = || file.display().to_string();
    let world = World::new(&sample, &mut status).with_context(named)?;
    announce(&out, &command, None, terminal);
    let record =
        words::with_words(measure::numbers(&world, &mut status).with_context(named)?, &world);
    let record = CertificateRecord {
        command,
        subject: shown(file),
        left_out: [record.left_out, notes].concat(),
        ..record
    };
    write_alone(record, &out, terminal)
}

/// Where the certificate of what no run made is written: what `--out` says, or `certificates/` and
/// the name of the file.
fn out(args: &Args, file: &Path) -> anyhow::Result<PathBuf> {
    let out = args.out.clone().unwrap_or_else(|| {
        let name = file.file_stem().map_or("certificate".into(), |name| name.to_string_lossy());
        Path::new("certificates").join(&*name)
    });
    selfsame::check_folder(&out)?;
    match out.join(Run::CONFIG_FILE).exists() {
        true => Err(misuse(format!(
            "--out {}: that is the folder of a run; choose another",
            out.display()
        ))),
        false => Ok(out),
    }
}

fn write_alone(
    record: CertificateRecord,
    out: &Path,
    terminal: &Terminal,
) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    write_json(&out.join(CERTIFICATE_FILE), &record)?;
    let page = out.join(PAGE_FILE);
    write_atomic(&page, render_certificate(&record).as_bytes())?;
    finish(record, &page, terminal)
}

/// Refuses classes whose pairs would fill the memory.
fn check_classes(classes: usize) -> anyhow::Result<()> {
    match classes > MOST_CLASSES {
        true => Err(misuse(format!(
            "{classes} classes: at most {MOST_CLASSES} can be certified, for the centres of every \
             two are compared; take \
             the images of some of them"
        ))),
        false => Ok(()),
    }
}

/// Says which certificate is about to be replaced, as long as it can still be kept: one of the same
/// command and weights is only made again.
fn announce(folder: &Path, command: &[String], step: Option<u64>, terminal: &Terminal) {
    let path = folder.join(CERTIFICATE_FILE);
    // A damaged one is no loss.
    let Ok(Some(old)) = read_certificate(&path) else { return };
    if old.command == command && old.step == step {
        return;
    }
    let written = path.metadata().and_then(|file| file.modified()).ok();
    let date = written.and_then(|time| jiff::Timestamp::try_from(time).ok());
    terminal.status(&format!(
        "this will replace the certificate in {}{}: {}{}",
        shown(folder),
        date.map_or(String::new(), |date| format!(", of {}", date.strftime("%Y-%m-%d %H:%M UTC"))),
        old.command.join(" "),
        old.step
            .filter(|_| old.step != step)
            .map_or(String::new(), |old| format!(" (weights after step {old})")),
    ));
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

/// Refuses options of another subject, in words that the parser does not have, and numbers that
/// nothing can be measured with.
fn check(args: &Args) -> anyhow::Result<()> {
    let of_init = [
        ("--init-partial", args.init_partial),
        ("--encoder", args.encoder.is_some()),
        ("--width", args.width.is_some()),
        ("--stem", args.stem.is_some()),
        ("--data", args.data.is_some()),
        ("--image-size", args.image_size.is_some()),
        ("--limit", args.limit.is_some()),
        ("--classes", args.classes.is_some()),
        ("--augment", args.augment.is_some()),
    ];
    if let Some((name, _)) = of_init.iter().find(|(_, given)| *given && args.init.is_none()) {
        let why = match (&args.run, &args.embeddings) {
            (Some(run), _) => {
                format!(
                    "the run {} has its own encoder, images and policy; leave it out",
                    run.display()
                )
            }
            (None, Some(file)) => {
                format!("{} holds embeddings already; leave it out", file.display())
            }
            (None, None) => "name the weights with --init".into(),
        };
        return Err(misuse(format!("{name} is of encoders from elsewhere (--init): {why}")));
    }
    let of_embeddings =
        [("--labels", args.labels.is_some()), ("--allow-repeats", args.allow_repeats)];
    if let Some((name, _)) =
        of_embeddings.iter().find(|(_, given)| *given && args.embeddings.is_none())
    {
        return Err(misuse(format!(
            "{name} is of embeddings from elsewhere: name them with --embeddings, or leave it \
             out; images have the classes of \
             their data set, and may repeat"
        )));
    }
    if args.per_class < 2 {
        return Err(misuse(format!(
            "--per-class {}: distances need at least 2 images of a class",
            args.per_class
        )));
    }
    if args.views == 0 || args.views > 65_535 {
        return Err(misuse(format!(
            "--views {}: choose from 1 to 65535, beside the image itself",
            args.views
        )));
    }
    Ok(())
}

/// Errors that `selfsame eval` measured of the weights of this step, with the interval for others
/// of their kind; or why there are none.
fn evaluated(run: &Run, step: u64) -> anyhow::Result<Result<Vec<Named>, String>> {
    let way = quoted(run.path());
    // That alone: an older certificate there may be damaged, and is about to be replaced.
    let Some(evaluation) = read_evaluation(run.path())? else {
        return Ok(Err(format!(
            "The accuracies of `selfsame eval {way}` were not measured yet, so none stand here."
        )));
    };
    let Some(scores) = evaluation.test else { return Ok(Ok(Vec::new())) };
    if evaluation.step != Some(step) {
        return Ok(Err(format!(
            "The accuracies of `selfsame eval {way}` are not of these weights, which are those \
             after step {step}, so they \
             do not stand here; measure the same --checkpoint with both."
        )));
    }
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
    Ok(Ok(named.into_iter().filter(|(_, accuracy)| accuracy.is_finite()).map(error).collect()))
}

/// What makes the certificate again: `of` names what it is of.
fn command(args: &Args, of: &[String]) -> Vec<String> {
    let mut words: Vec<String> = ["selfsame", "certify"].map(str::to_owned).into();
    words.extend_from_slice(of);
    if args.embeddings.is_none() {
        words.extend([
            "--split".into(),
            args.split.name().into(),
            "--per-class".into(),
            args.per_class.to_string(),
        ]);
        words.extend(["--views".into(), args.views.to_string()]);
    }
    words.extend(
        args.budget
            .iter()
            .flat_map(|time| ["--budget".to_owned(), format!("{}s", time.as_secs_f64())]),
    );
    if matches!(args.checkpoint, CheckpointName::Best) {
        words.extend(["--checkpoint", "best"].map(str::to_owned));
    }
    words.extend(["--seed".into(), args.seed.to_string()]);
    words.extend(args.out.iter().flat_map(|out| ["--out".to_owned(), shown(out)]));
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
