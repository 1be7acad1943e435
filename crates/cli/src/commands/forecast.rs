//! `selfsame forecast`.

use std::path::Path;
use std::process::ExitCode;

use selfsame::augment::Policy;
use selfsame::data::{Dataset, LoadOptions};
use selfsame::forecast::Encoder;
use selfsame::nn::device;
use selfsame::report::forecast::{Forecast, PolicyForecast};
use selfsame::report::record::PAGE_FILE;
use selfsame::{Error, ForecastOptions};
use serde_json::json;

use super::{shown, source_words};
use crate::args::Forecast as Args;
use crate::misuse;
use crate::options::out_folder;
use crate::terminal::{Live, Terminal};

/// The policy that leaves images as they are.
const NONE: &str = "none";
/// The ten pairs of the five transformations of the paper.
const PAIRS: [&str; 10] = ["ab", "ac", "ad", "ae", "bc", "bd", "be", "cd", "ce", "de"];

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let policies = policies(&args.policies)?;
    let out = out_folder(args.out.as_deref(), "forecasts", Path::new(&args.data));
    let mut options = options(args, &out)?;
    options.check()?;
    let image_size = args.image_size.or(options.encoder.as_ref().map(|e| e.image_size));
    let source_size = args.source_size.or(options.encoder.as_ref().map(|e| e.source_size));
    let load = LoadOptions {
        image_size,
        source_size,
        seed: args.seed,
        labels: args.labels.clone(),
        exif: args.exif,
        ..LoadOptions::default()
    };
    let dataset = selfsame::load(&args.data, &load, &mut Live::default())?;
    selfsame::note_skipped(
        &dataset,
        "in the forecast's page and forecast.json",
        &mut Live::default(),
    );
    options.command = command(args, &policies, &dataset);

    let mut live =
        Live::stoppable("stopping as soon as what is under way is saved; again to stop at once")?;
    let forecast = match selfsame::forecast(&dataset, &policies, &options, &mut live) {
        Err(Error::Stopped) => {
            let folder = out.display();
            terminal.status(&format!("stopped; the same command goes on from here: {folder}"));
            return Ok(ExitCode::from(super::INTERRUPTED));
        }
        forecast => forecast?,
    };
    print(&terminal, &forecast, &out)?;
    Ok(ExitCode::SUCCESS)
}

fn options(args: &Args, out: &Path) -> anyhow::Result<ForecastOptions> {
    let encoder = match &args.encoder {
        Some(path) => {
            let device = device::by_name(&args.device.device).map_err(misuse)?;
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

/// Returns the distinct policies with their names, with `pairs` spelt out. The policy `none` is
/// left out, because it is measured in any case.
fn policies(lists: &[String]) -> anyhow::Result<Vec<(String, Policy)>> {
    let mut names = Vec::new();
    for list in lists {
        for name in at_commas(list)? {
            match name {
                "pairs" => names.extend(PAIRS),
                name => names.push(name),
            }
        }
    }
    let none: Policy = NONE.parse().map_err(misuse)?;
    let mut policies: Vec<(String, Policy)> = Vec::new();
    for name in names {
        let policy = selfsame::policy(name).map_err(|error| match error {
            Error::Option { value, cause, .. } => Error::option("policies", value, cause),
            error => error,
        })?;
        if policies.iter().all(|(known, _)| known != name) && policy != none {
            policies.push((name.to_owned(), policy));
        }
    }
    if policies.is_empty() {
        return Err(misuse(
            "--policies none: images as they are stand beside the policies in any case; name one, \
             such as ab",
        ));
    }
    Ok(policies)
}

/// Splits a list at its commas, except at commas within braces or brackets, or within quotes in
/// these: inline TOML has its own commas.
fn at_commas(list: &str) -> anyhow::Result<Vec<&str>> {
    let (mut items, mut start) = (Vec::new(), 0);
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in list.char_indices() {
        match (quote, c) {
            (Some(open), c) => quote = (c != open).then_some(open),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            (None, '"' | '\'') if depth > 0 => quote = Some(c),
            (None, ',') if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&list[start..]);
    let open = depth > 0 || quote.is_some();
    let items: Vec<&str> = items.into_iter().map(str::trim).collect();
    match items.last() {
        Some(last) if open => {
            Err(misuse(format!("--policies {last}: a brace, a bracket or a quote is not closed")))
        }
        _ if items.contains(&"") => {
            Err(misuse(format!("--policies {list}: a policy is missing beside a comma")))
        }
        _ => Ok(items),
    }
}

#[cfg(test)]
mod tests {
    use super::at_commas;

    #[test]
    fn lists_are_cut_outside_of_braces() {
        fn cut(list: &str) -> Result<Vec<&str>, String> {
            at_commas(list).map_err(|e| e.to_string())
        }
        let inline = "{crop = {scale = [0.5, 1.0]}, flip = {}}";
        assert_eq!(cut(&format!("ab, {inline},d0.25")).unwrap(), ["ab", inline, "d0.25"]);
        assert_eq!(cut("{a = \"},{\"},b,it's.toml").unwrap(), ["{a = \"},{\"}", "b", "it's.toml"]);
        assert!(cut("ab,{crop = {},d").unwrap_err().contains("--policies {crop = {},d: a brace"));
        assert!(cut("ab,,d").unwrap_err().contains("--policies ab,,d"));
    }
}
