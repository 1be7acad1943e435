//! `selfsame embed`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context;
use npyz::WriterBuilder;
use selfsame::Run;
use selfsame::data::{Image, Split};
use selfsame::eval::embed;
use selfsame::nn::{EncoderConfig, device};
use selfsame::report::write_atomic;
use serde_json::json;

use super::shown;
use crate::args::{Embed, SplitName};
use crate::terminal::{Bar, Live, Terminal};
use crate::{misuse, resolve};

pub fn run(args: &Embed) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let end = args.to.extension().map(|end| end.to_string_lossy().to_lowercase());
    let as_csv = match end.as_deref() {
        Some("csv") => true,
        Some("npy") => false,
        _ => {
            return Err(misuse(format!(
                "--to {}: the name must end in .npy or .csv",
                args.to.display()
            )));
        }
    };
    let names = args.to.with_extension("csv");
    for path in [&args.to, &names] {
        if path.exists() && !args.overwrite {
            return Err(misuse(format!(
                "{} exists already; choose another name, or --overwrite",
                path.display()
            )));
        }
    }
    let device = device::by_name(&args.device.device).map_err(misuse)?;
    let run = Run::open(&args.run)?;
    let mut config = (*run.plan()?).clone();
    if let (Some(name), EncoderConfig::ResNet(encoder)) = (args.precision, &mut config.encoder) {
        encoder.precision = resolve::precision(name, &args.device.device)?;
    }
    if args.data.is_some() {
        // Another set has its own classes, and all of it is wanted.
        (config.data.limit, config.data.classes) = (None, None);
    }
    let plan = config.check()?;
    let (encoder, _) = run.trained(&plan, args.checkpoint.into(), &device)?;
    let dataset = match &args.data {
        Some(source) => run.other_images(&plan, source, false, &mut Live::default())?,
        None => run.images(&plan, false, &mut Live::default())?,
    };
    let splits: Vec<(&str, &Split)> = [
        (SplitName::Train, "train", &dataset.train),
        (SplitName::Validation, "validation", &dataset.validation),
        (SplitName::Test, "test", &dataset.test),
    ]
    .into_iter()
    .filter(|(name, ..)| args.split == SplitName::All || args.split == *name)
    .map(|(_, name, split)| (name, split))
    .collect();
    let rows: Vec<(&str, &Split, usize)> = splits
        .iter()
        .flat_map(|&(name, split)| (0..split.len()).map(move |i| (name, split, i)))
        .collect();
    let images: Vec<Image<'_>> = rows.iter().map(|(_, split, i)| split.image(*i)).collect();

    let bar = Bar::new("images");
    let total = images.len() as u64;
    let features = embed(&encoder, &images, &device, &mut |done| {
        bar.set(done as u64, total, String::new());
    })?;
    bar.finish();

    // The names users know: lightly's filename and embedding_i, and what else says which image it
    // is.
    let dim = features.dim();
    let mut table = String::from("filename,split,label");
    if as_csv {
        for i in 0..dim {
            write!(table, ",embedding_{i}")?;
        }
    }
    table.push('\n');
    for (row, (split_name, split, i)) in rows.iter().enumerate() {
        let label = split.labels().map_or("", |labels| &dataset.classes[labels[*i] as usize]);
        write!(table, "{},{split_name},{}", quoted(split.name(*i)), quoted(label))?;
        if as_csv {
            for value in features.row(row) {
                write!(table, ",{value}")?;
            }
        }
        table.push('\n');
    }
    write_atomic(&names, table.as_bytes())?;
    if !as_csv {
        let mut bytes = Vec::new();
        let shape = [features.rows() as u64, dim as u64];
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&shape)
            .writer(&mut bytes)
            .begin_nd()?;
        writer.extend(features.values().iter().copied())?;
        writer.finish().context("the .npy file")?;
        write_atomic(&args.to, &bytes)?;
    }
    terminal.skipped(&dataset, "in the run's page and run.json");
    terminal.say(&format!("{} embeddings of {dim} values  {}", features.rows(), args.to.display()));
    terminal.result(&json!({ "file": shown(&args.to), "names": shown(&names), "rows": features.rows(), "dim": dim }));
    Ok(ExitCode::SUCCESS)
}

/// A CSV field, quoted where it must be (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
