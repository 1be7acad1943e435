//! `selfsame certify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use selfsame::data::{LoadOptions, class_list};
use selfsame::nn::device;
use selfsame::report::certificate::{CERTIFICATE_FILE, CertificateRecord, words};
use selfsame::report::next::{after_certificate, images};
use selfsame::train::checkpoint::Which;
use selfsame::{
    CertifyInput, CertifyOptions, Run, WeightsOptions, certify, check_new, read_embeddings,
    write_certificate,
};
use serde_json::json;

use super::{elsewhere, shown, source_words};
use crate::args::Certify as Args;
use crate::mend::encoder_flags;
use crate::terminal::{Live, Terminal};
use crate::{misuse, options};

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    check(args)?;
    match (&args.run, &args.from.init, &args.embeddings) {
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
        images: None,
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
        None => {
            check_new(&[path.join(CERTIFICATE_FILE)], args.overwrite)?;
            (Run::open(path)?, None)
        }
        Some(_) => (Run::open_to_read(path)?, Some(out(args, path)?)),
    };
    let record = certify(CertifyInput::Run(&run), &options, &mut Live::default())?;
    let record = CertificateRecord { command: command(args, &[shown(path)]), ..record };
    if let Some(out) = out {
        return write(args, record, &out, terminal);
    }
    let page = run.write_certificate(&record)?;
    finish(record, &page, terminal)?;
    let evaluation = selfsame::report::read_evaluation(path)?;
    let trained = run.record()?;
    drop(run);
    super::say_next(terminal, path, &trained, evaluation.as_ref());
    Ok(ExitCode::SUCCESS)
}

/// Certifies an encoder that does not come from a run, in a separate folder.
fn of_weights(args: &Args, file: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let options = certify_options(args)?;
    let data = args.data.as_deref();
    let usual = selfsame::usual_policy(data.unwrap_or_default()).to_string();
    let augment = args.augment.as_deref().unwrap_or(&usual);
    let (out, policy) = (out(args, file)?, selfsame::policy(augment)?);
    let weights = WeightsOptions {
        device: options.device.clone(),
        ..args.from.options(args.precision, args.seed)
    };
    let load = LoadOptions {
        source_size: args.source_size,
        ..args.images.options(args.labels.as_deref(), args.split_seed)
    };
    let mut live = Live::default();
    let (loaded, dataset) = elsewhere::read(file, &weights, data, &load, &mut live)?;
    let data = data.unwrap_or_default();
    let mut words = vec!["--init".to_owned(), shown(file)];
    words.extend(args.from.init_partial.then(|| "--init-partial".to_owned()));
    words.extend(encoder_flags(&loaded.config).split(' ').map(str::to_owned));
    words.extend(["--precision".to_owned(), loaded.config.precision().to_string()]);
    words.extend(["--data", data].map(str::to_owned));
    // For an encoder with a fixed image size, this has already been said.
    if loaded.encoder.image_size().is_none() {
        words.extend(["--image-size".to_owned(), dataset.image_size.to_string()]);
    }
    words.extend(source_words(args.source_size, &dataset));
    let images = &args.images;
    words.extend(images.exif.iter().flat_map(|exif| ["--exif", exif.name()].map(str::to_owned)));
    words.extend(images.limit.iter().flat_map(|limit| ["--limit".to_owned(), limit.to_string()]));
    words.extend(args.labels.iter().flat_map(|labels| ["--labels".to_owned(), shown(labels)]));
    words.extend(
        images.classes.iter().flat_map(|classes| ["--classes".to_owned(), class_list(classes)]),
    );
    words.extend(["--augment", augment].map(str::to_owned));
    let input = CertifyInput::Encoder {
        name: &shown(file),
        encoder: &loaded.encoder,
        dataset: &dataset,
        policy: &policy,
    };
    let record = certify(input, &options, &mut live)?;
    let (command, weights) = (command(args, &words), loaded.describe());
    write(args, CertificateRecord { command, weights, ..record }, &out, terminal)
}

/// Certifies embeddings that do not come from a run, in a separate folder.
fn of_embeddings(args: &Args, file: &Path, terminal: &Terminal) -> anyhow::Result<ExitCode> {
    let (options, out) = (certify_options(args)?, out(args, file)?);
    let mut words = vec!["--embeddings".to_owned(), shown(file)];
    words.extend(args.labels.iter().flat_map(|labels| ["--labels".to_owned(), shown(labels)]));
    words.extend(args.allow_repeats.then(|| "--allow-repeats".to_owned()));
    let embeddings = read_embeddings(file, args.labels.as_deref())?;
    let input = CertifyInput::Embeddings(&embeddings);
    let record = certify(input, &options, &mut Live::default()).with_context(|| shown(file))?;
    write(args, CertificateRecord { command: command(args, &words), ..record }, &out, terminal)
}

/// Writes a certificate without a run and reports the result.
fn write(
    args: &Args,
    record: CertificateRecord,
    out: &Path,
    terminal: &Terminal,
) -> anyhow::Result<ExitCode> {
    let page = write_certificate(out, &record)?;
    let images = images(&record.command, args.data.as_deref().unwrap_or_default());
    let next = after_certificate(&record, &images);
    finish(record, &page, terminal)?;
    super::say_steps(terminal, &next);
    Ok(ExitCode::SUCCESS)
}

/// Returns the folder for a certificate without a run: the one given by `--out`, or `certificates/`
/// followed by the name of the file.
fn out(args: &Args, file: &Path) -> anyhow::Result<PathBuf> {
    let out = options::out_folder(args.out.as_deref(), "certificates", file);
    selfsame::check_certificate_folder(&out)?;
    check_new(&[out.join(CERTIFICATE_FILE)], args.overwrite)?;
    Ok(out)
}

/// Reports the result, to people and to scripts.
fn finish(record: CertificateRecord, page: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    for line in words::lines(&record) {
        terminal.say(&line);
    }
    terminal.say(&format!("report   {}", shown(page)));
    let mut result = serde_json::to_value(CertificateRecord { examples: None, ..record })?;
    result["report"] = json!(shown(page));
    terminal.result(&result);
    Ok(())
}

/// Refuses options that belong to another kind of input. The parser's own message would not explain
/// that.
fn check(args: &Args) -> anyhow::Result<()> {
    let mut of_init = [args.from.given(), args.images.given()].concat();
    of_init.extend([
        ("--precision", args.precision.is_some()),
        ("--data", args.data.is_some()),
        ("--source-size", args.source_size.is_some()),
        ("--split-seed", args.split_seed != 0),
        ("--augment", args.augment.is_some()),
    ]);
    if args.from.init.is_none() {
        elsewhere::refuse(&of_init, || match (&args.run, &args.embeddings) {
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
        })?;
    }
    let of_embeddings = [
        ("--labels", args.labels.is_some() && args.from.init.is_none()),
        ("--allow-repeats", args.allow_repeats),
    ];
    if let Some((name, _)) =
        of_embeddings.iter().find(|(_, given)| *given && args.embeddings.is_none())
    {
        return Err(misuse(format!(
            "{name} applies only to --embeddings: name them, or leave it out; images have the \
             classes of their data set, and may repeat"
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
    if args.split_seed != 0 {
        words.extend(["--split-seed".into(), args.split_seed.to_string()]);
    }
    words.extend(args.out.iter().flat_map(|out| ["--out".to_owned(), shown(out)]));
    words
}
