//! `selfsame certify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use selfsame::data::{LoadOptions, class_list};
use selfsame::init;
use selfsame::nn::layers::Init;
use selfsame::nn::{EncoderConfig, Precision, device, state};
use selfsame::report::certificate::{CERTIFICATE_FILE, CertificateRecord, words};
use selfsame::report::{read_certificate, write_json};
use selfsame::train::checkpoint::{self, Which};
use selfsame::{
    CertifyInput, CertifyOptions, Progress, Run, certify, read_embeddings, write_certificate,
};
use serde_json::json;

use super::{shown, source_words};
use crate::args::Certify as Args;
use crate::mend::encoder_flags;
use crate::terminal::{Live, Terminal};
use crate::{misuse, options};

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    check(args)?;
    match (&args.run, &args.init, &args.embeddings) {
        (Some(run), ..) => of_run(args, run, &terminal),
        (None, Some(file), _) => of_weights(args, file, &terminal),
        (None, None, Some(file)) => of_embeddings(args, file, &terminal),
        (None, None, None) => Err(misuse(
            "there is nothing to certify: name the folder of a run, --init and --data for weights \
             from elsewhere, or --embeddings for what an encoder made",
        )),
    }
}

fn certify_options(args: &Args) -> anyhow::Result<CertifyOptions> {
    let options = CertifyOptions {
        split: args.split,
        per_class: args.per_class,
        views: args.views,
        budget: args.budget,
        weights: args.checkpoint,
        seed: args.seed,
        allow_repeats: args.allow_repeats,
        device: device::by_name(&args.device.device).map_err(misuse)?,
    };
    options.check()?;
    Ok(options)
}

fn of_run(args: &Args, path: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let options = certify_options(args)?;
    let (run, out) = match &args.out {
        None => (Run::open(path)?, None),
        Some(_) => (Run::open_to_read(path)?, Some(out(args, path)?)),
    };
    let folder = out.as_deref().unwrap_or(run.path());
    let command = command(args, &[shown(path)]);
    let (_, step) = checkpoint::load_backbone(&run.weights(options.weights)?)?;
    let mut progress = Announcing::new(folder, &command, Some(step));
    let record = certify(CertifyInput::Run(&run), &options, &mut progress)?;
    let record = CertificateRecord { command, ..record };
    let page = match &out {
        Some(out) => write_certificate(out, &record)?,
        None => {
            write_json(&run.path().join(CERTIFICATE_FILE), &record)?;
            selfsame::write_page(&run)?
        }
    };
    finish(record, &page, terminal)
}

/// Certifies an encoder that does not come from a run, in a separate folder.
fn of_weights(args: &Args, file: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let options = certify_options(args)?;
    let augment = args.augment.as_deref().unwrap_or(options::AUGMENT);
    let (out, policy) = (out(args, file)?, selfsame::policy(augment)?);
    let import = init::read(file).map_err(selfsame::Error::from)?;
    let found = import.encoder().unwrap_or(options::PUBLISHED.into());
    let mut config = options::encoder_or(args.encoder, args.stem, args.width, found)?;
    if let EncoderConfig::ResNet(config) = &mut config {
        config.precision = Precision::fastest(&options.device);
    }
    let tensors = init::fitting(import, file, args.init_partial, &config, &mut Live::default())
        .map_err(selfsame::Error::from)?;
    let encoder = config.init(&mut Init::new(args.seed, &options.device));
    let mut all = state::read(&encoder);
    let weights = match all.len() - tensors.len() {
        0 => "those of the file".to_owned(),
        others => {
            format!("{} tensors of the file, and {others} as before any training", tensors.len())
        }
    };
    all.extend(tensors);
    let encoder = state::load(encoder, &all).context("the tensors that fit do not load")?;
    let own_size = encoder.image_size().map(|size| size as u32);
    if let (Some(asked), Some(own)) = (args.image_size, own_size)
        && asked != own
    {
        return Err(misuse(format!(
            "--image-size {asked}: the encoder takes images of {own} pixels; leave it out"
        )));
    }
    let data = args.data.as_deref().unwrap_or_default();
    let load = LoadOptions {
        image_size: args.image_size.or(own_size),
        source_size: args.source_size,
        seed: args.seed,
        limit: args.limit,
        classes: args.classes.clone(),
        exif: args.exif.unwrap_or_default(),
        ..LoadOptions::default()
    };
    let dataset = selfsame::load(data, &load, &mut Live::default())?;
    let mut words = vec!["--init".to_owned(), shown(file)];
    words.extend(args.init_partial.then(|| "--init-partial".to_owned()));
    words.extend(encoder_flags(&config).split(' ').map(str::to_owned));
    words.extend(["--data", data].map(str::to_owned));
    // For an encoder with a fixed image size, this has already been said.
    if own_size.is_none() {
        words.extend(["--image-size".to_owned(), dataset.image_size.to_string()]);
    }
    words.extend(source_words(args.source_size, &dataset));
    words.extend(args.exif.iter().flat_map(|exif| ["--exif", exif.name()].map(str::to_owned)));
    words.extend(args.limit.iter().flat_map(|limit| ["--limit".to_owned(), limit.to_string()]));
    words.extend(
        args.classes.iter().flat_map(|classes| ["--classes".to_owned(), class_list(classes)]),
    );
    words.extend(["--augment", augment].map(str::to_owned));
    let command = command(args, &words);
    let input = CertifyInput::Encoder {
        name: &shown(file),
        encoder: &encoder,
        dataset: &dataset,
        policy: &policy,
    };
    let record = certify(input, &options, &mut Announcing::new(&out, &command, None))?;
    let record = CertificateRecord { command, weights, ..record };
    let page = write_certificate(&out, &record)?;
    finish(record, &page, terminal)
}

/// Certifies embeddings that do not come from a run, in a separate folder.
fn of_embeddings(args: &Args, file: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let (options, out) = (certify_options(args)?, out(args, file)?);
    let mut words = vec!["--embeddings".to_owned(), shown(file)];
    words.extend(args.labels.iter().flat_map(|labels| ["--labels".to_owned(), shown(labels)]));
    words.extend(args.allow_repeats.then(|| "--allow-repeats".to_owned()));
    let command = command(args, &words);
    let embeddings = read_embeddings(file, args.labels.as_deref())?;
    let mut progress = Announcing::new(&out, &command, None);
    let record = certify(CertifyInput::Embeddings(&embeddings), &options, &mut progress)
        .with_context(|| shown(file))?;
    let record = CertificateRecord { command, ..record };
    let page = write_certificate(&out, &record)?;
    finish(record, &page, terminal)
}

/// Returns the folder for a certificate without a run: the one given by `--out`, or `certificates/`
/// followed by the name of the file.
fn out(args: &Args, file: &Path) -> anyhow::Result<PathBuf> {
    let out = options::out_folder(args.out.as_deref(), "certificates", file);
    selfsame::check_folder(&out)?;
    match out.join(Run::CONFIG_FILE).exists() {
        true => Err(misuse(format!(
            "--out {}: that is the folder of a run; choose another",
            out.display()
        ))),
        false => Ok(out),
    }
}

/// Progress that first announces which certificate will be replaced. The library reports nothing
/// until it is sure that it can make the new certificate, so the announcement comes while the old
/// one can still be kept.
struct Announcing {
    live: Live,
    announcement: Option<String>,
}

impl Announcing {
    /// Announces nothing if the old certificate has the same command and weights, because it is
    /// then only made again.
    fn new(folder: &Path, command: &[String], step: Option<u64>) -> Self {
        let path = folder.join(CERTIFICATE_FILE);
        // Losing a damaged certificate does no harm.
        let old = read_certificate(&path).ok().flatten();
        let old = old.filter(|old| old.command != command || old.step != step);
        let announcement = old.map(|old| {
            let written = path.metadata().and_then(|file| file.modified()).ok();
            let date = written
                .and_then(|time| jiff::Timestamp::try_from(time).ok())
                .map_or(String::new(), |date| {
                    format!(", of {}", date.strftime("%Y-%m-%d %H:%M UTC"))
                });
            let weights = old
                .step
                .filter(|_| old.step != step)
                .map_or(String::new(), |old| format!(" (weights after step {old})"));
            let command = old.command.join(" ");
            format!(
                "this will replace the certificate in {}{date}: {command}{weights}",
                shown(folder)
            )
        });
        Self { live: Live::default(), announcement }
    }

    fn announce(&mut self) {
        if let Some(announcement) = self.announcement.take() {
            self.live.note(&announcement);
        }
    }
}

impl Progress for Announcing {
    fn note(&mut self, note: &str) {
        self.announce();
        self.live.note(note);
    }

    fn advance(&mut self, unit: &str, done: u64, total: u64, detail: &str) {
        self.announce();
        self.live.advance(unit, done, total, detail);
    }

    fn finish(&mut self) {
        self.live.finish();
    }
}

/// Reports the result, to people and to scripts.
fn finish(record: CertificateRecord, page: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    for line in words::lines(&record) {
        terminal.say(&line);
    }
    terminal.say(&format!("report   {}", shown(page)));
    let mut result = serde_json::to_value(CertificateRecord { examples: None, ..record })?;
    result["report"] = json!(shown(page));
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}

/// Refuses options that belong to another kind of input. The parser's own message would not explain
/// that.
fn check(args: &Args) -> anyhow::Result<()> {
    let of_init = [
        ("--init-partial", args.init_partial),
        ("--encoder", args.encoder.is_some()),
        ("--width", args.width.is_some()),
        ("--stem", args.stem.is_some()),
        ("--data", args.data.is_some()),
        ("--image-size", args.image_size.is_some()),
        ("--source-size", args.source_size.is_some()),
        ("--exif", args.exif.is_some()),
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
    Ok(())
}

/// Returns the command that makes the certificate again. `of` holds the words that name its
/// subject.
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
    if args.checkpoint == Which::Best {
        words.extend(["--checkpoint", "best"].map(str::to_owned));
    }
    words.extend(["--seed".into(), args.seed.to_string()]);
    words.extend(args.out.iter().flat_map(|out| ["--out".to_owned(), shown(out)]));
    words
}
