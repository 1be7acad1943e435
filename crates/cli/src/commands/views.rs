//! `selfsame views`.

use std::process::ExitCode;

use selfsame::ViewsOptions;
use selfsame::data::{DataError, Dataset, LoadOptions, load};
use selfsame::report::next::{after_views, images};
use selfsame::report::write_atomic;
use serde_json::json;

use super::{say_steps, shown, source_words};
use crate::args::Views;
use crate::terminal::{Live, Terminal, status};

pub fn run(args: &Views) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let policy = |text: &String| Ok((text.clone(), selfsame::policy(text)?));
    let policies = args.augment.iter().map(policy).collect::<anyhow::Result<Vec<_>>>()?;
    let mut options = ViewsOptions {
        images: args.images,
        views: args.views,
        size: args.size,
        seed: args.seed,
        command: Vec::new(),
    };
    options.check(policies.len())?;
    selfsame::check_new(&[&args.out], args.overwrite)?;
    let dataset = read(args)?;
    options.command = command(args, &dataset);
    let record = selfsame::views(&dataset, &policies, &options, &mut Live::default())?;
    if let Some(first) = dataset.skipped.first() {
        let count = dataset.skipped.len();
        status(format_args!(
            "left out {count} of {}; the first, {}: {}",
            dataset.name, first.name, first.cause
        ));
    }
    selfsame::make_parent(&args.out)?;
    write_atomic(&args.out, record.page().as_bytes())?;
    terminal.say(&format!("views    {}", args.out.display()));
    let images = images(&options.command, &args.data);
    say_steps(&terminal, &after_views(&images, !dataset.classes.is_empty()));
    let mut result = serde_json::to_value(&record)?;
    result["page"] = json!(shown(&args.out));
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}

/// Loads the images. Of a large set, only as many are loaded as the page may need.
fn read(args: &Views) -> anyhow::Result<Dataset> {
    let load = |limit| {
        let options = LoadOptions {
            image_size: args.image_size,
            source_size: args.source_size,
            seed: args.split_seed,
            limit,
            exif: args.exif,
            labels: args.labels.clone(),
            ..LoadOptions::default()
        };
        load(&args.data, &options, &|_, _| {})
    };
    // At least half of the loaded images are for training.
    let some = match load(Some(args.images.saturating_mul(2))) {
        Ok(few) if few.train.len() < args.images => load(None),
        Err(DataError::AllDamaged { .. } | DataError::NothingToTrain { .. }) => load(None),
        some => some,
    };
    some.map_err(|source| selfsame::Error::Data { name: args.data.clone(), source }.into())
}

/// Returns the command that makes the page again, word by word.
fn command(args: &Views, dataset: &Dataset) -> Vec<String> {
    let image_size = dataset.image_size;
    let mut words = vec!["selfsame".to_owned(), "views".to_owned(), args.data.clone()];
    for augment in &args.augment {
        words.extend(["--augment".to_owned(), augment.clone()]);
    }
    let numbers = [
        ("--image-size", image_size.to_string()),
        ("--size", args.size.unwrap_or(image_size).to_string()),
        ("--images", args.images.to_string()),
        ("--views", args.views.to_string()),
        ("--seed", args.seed.to_string()),
    ];
    words.extend(numbers.into_iter().flat_map(|(name, number)| [name.to_owned(), number]));
    if args.split_seed != 0 {
        words.extend(["--split-seed".to_owned(), args.split_seed.to_string()]);
    }
    words.extend(source_words(args.source_size, dataset));
    words.extend(args.labels.iter().flat_map(|labels| ["--labels".to_owned(), shown(labels)]));
    if !args.exif.is_default() {
        words.extend(["--exif", args.exif.name()].map(str::to_owned));
    }
    words
}
