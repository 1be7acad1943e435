//! `selfsame forecast`.

use std::path::Path;
use std::process::ExitCode;

use selfsame::augment::Policy;
use selfsame::data::{Dataset, LoadOptions};
use selfsame::forecast::Encoder;
use selfsame::nn::device;
use selfsame::report::forecast::{Forecast, PolicyForecast};
use selfsame::report::next::{after_forecast, images};
use selfsame::report::record::PAGE_FILE;
use selfsame::{Error, ForecastOptions};
use serde_json::json;

use super::{shown, source_words};
use crate::args::Forecast as Args;
use crate::misuse;
use crate::options::out_folder;
use crate::terminal::{Live, Terminal, status};

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let policies = selfsame::policies(&args.policies)?;
    let out = out_folder(args.out.as_deref(), "forecasts", Path::new(&args.data));
    let mut options = options(args, &out)?;
    options.check()?;
    let image_size = args.image_size.or(options.encoder.as_ref().map(|e| e.image_size));
    let source_size = args.source_size.or(options.encoder.as_ref().map(|e| e.source_size));
    let load = LoadOptions {
        image_size,
        source_size,
        seed: args.split_seed,
        labels: args.labels.clone(),
        exif: args.exif,
        ..LoadOptions::default()
    };
    let dataset = selfsame::load(&args.data, &load, &mut Live::default())?;
    options.command = command(args, &policies, &dataset);

    let mut live =
        Live::stoppable("stopping as soon as what is under way is saved; again to stop at once")?;
    let forecast = match selfsame::forecast(&dataset, &policies, &options, &mut live) {
        Err(Error::Stopped) => {
            let folder = out.display();
            status(format_args!("stopped; the same command goes on from here: {folder}"));
            return Ok(ExitCode::from(super::INTERRUPTED));
        }
        forecast => forecast?,
    };
    print(&terminal, &forecast, &out)?;
    let usual = selfsame::usual_policy(&args.data).to_string();
    let images = images(&forecast.command, &args.data);
    super::say_steps(&terminal, &after_forecast(&forecast, &images, &usual));
    Ok(ExitCode::SUCCESS)
}

fn options(args: &Args, out: &Path) -> anyhow::Result<ForecastOptions> {
    let encoder = match &args.encoder {
        Some(path) => {
            let device = device::by_name(&args.device).map_err(misuse)?;
            Some(Encoder::of_run(path, &device)?)
        }
        None => None,
    };
    Ok(ForecastOptions {
        per_class: args.per_class,
        views: args.views,
        original: !args.no_original,
        encoder,
        clusters: args.clusters,
        pixels: args.pixels,
        budget: args.budget,
        seed: args.seed,
        out: Some(out.to_owned()),
        overwrite: args.overwrite,
        command: Vec::new(),
    })
}

/// Prints the ranking and its consequences, for people and for scripts.
fn print(terminal: &Terminal, forecast: &Forecast, out: &Path) -> anyhow::Result<()> {
    for policy in forecast.policies.iter().chain(&forecast.baseline) {
        terminal.say(&line(policy));
    }
    for sentence in forecast.sentences() {
        terminal.say(&sentence);
    }
    let page = out.join(PAGE_FILE);
    terminal.say(&format!("forecast {}", page.display()));
    // Leave out the pictures, which are only for the page.
    let mut result = serde_json::to_value(Forecast { thumbs: None, ..forecast.clone() })?;
    for policy in result["policies"].as_array_mut().into_iter().flatten() {
        let pairs = policy["closest"].as_array_mut().into_iter().flatten();
        pairs.for_each(|pair| pair["picture"] = serde_json::Value::Null);
    }
    result["page"] = json!(shown(&page));
    result["folder"] = json!(shown(out));
    terminal.result(&result);
    Ok(())
}

fn line(policy: &PolicyForecast) -> String {
    let rank = if policy.rank > 0 { policy.rank.to_string() } else { "–".into() };
    let separation = match &policy.separation {
        Some(separation) => format!("{:.3}", separation.value()),
        None => "–".to_owned(),
    };
    format!(
        "{rank:>3}  {:<12}  score {:.3}  gathered {:.3}  separation {separation}",
        policy.name,
        policy.score.value(),
        policy.gathered.value(),
    )
}

/// Returns the command that repeats the forecast, word by word.
fn command(args: &Args, policies: &[(String, Policy)], dataset: &Dataset) -> Vec<String> {
    let names: Vec<&str> = policies.iter().map(|(name, _)| name.as_str()).collect();
    let values = [
        ("--image-size", Some(dataset.image_size.to_string())),
        ("--per-class", Some(args.per_class.to_string())),
        ("--policies", Some(names.join(","))),
        ("--exif", (!args.exif.is_default()).then(|| args.exif.name().to_owned())),
        ("--seed", Some(args.seed.to_string())),
        ("--split-seed", (args.split_seed != 0).then(|| args.split_seed.to_string())),
        ("--views", Some(args.views.to_string())),
        ("--labels", args.labels.as_deref().map(shown)),
        ("--encoder", args.encoder.as_deref().map(shown)),
        ("--clusters", args.clusters.map(|clusters| clusters.to_string())),
        ("--out", args.out.as_deref().map(shown)),
        ("--budget", args.budget.map(|budget| budget.as_secs_f64().to_string())),
    ];
    let switches = [("--no-original", args.no_original), ("--pixels", args.pixels)];
    let mut words = ["selfsame", "forecast", "--data", &args.data].map(str::to_owned).to_vec();
    for (name, value) in values {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    }
    words.extend(source_words(args.source_size, dataset));
    words.extend(switches.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).to_owned()));
    words
}
