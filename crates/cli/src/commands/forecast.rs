//! `selfsame forecast`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::HumanDuration;
use selfsame::augment::{Image, Policy, Purpose, ViewSets};
use selfsame::concentration::cluster::k_means;
use selfsame::concentration::curve::{Curve, curve};
use selfsame::concentration::distance::{
    Distances, Embeddings, Options, Run as DistanceRun, Shape, Views,
};
use selfsame::concentration::forecast::{members, middle_within, within};
use selfsame::data::{Dataset, LoadOptions};
use selfsame::eval::embed;
use selfsame::nn::{Backbone, device};
use selfsame::report::forecast::{FORECAST_FILE, Forecast, ProbeImage, TABLE_FILE};
use selfsame::report::record::PAGE_FILE;
use selfsame::report::{render_forecast, write_atomic, write_json};
use selfsame::train::checkpoint::Which;
use selfsame::{Run, digest};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use self::folder::Folder;
use self::ranking::Subject;
use super::shown;
use crate::args::Forecast as Args;
use crate::misuse;
use crate::terminal::{Bar, Live, Terminal};
use selfsame::sampling::{self, VIEW_BYTES};

mod folder;
mod ranking;

/// Images as they are: the policy that does nothing.
const NONE: &str = "none";
/// The ten pairs of the five transformations of the paper.
const PAIRS: [&str; 10] = ["ab", "ac", "ad", "ae", "bc", "bd", "be", "cd", "ce", "de"];
/// Distances that take longer are saved as often, so that a crash costs no more.
const SAVE_EVERY: Duration = Duration::from_secs(20);

/// What a forecast is determined by, in its folder: another run of the same goes on. How the images
/// and the encoder were named is there for people; what they are, their digests say.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    selfsame: String,
    data: String,
    digest: String,
    policies: Vec<(String, String)>,
    per_class: usize,
    views: usize,
    original: bool,
    image_size: u32,
    encoder: Option<String>,
    weights: Option<String>,
    clusters: Option<usize>,
    pixels: bool,
    budget: Option<f64>,
    seed: u64,
}

impl Settings {
    /// What another forecast, `now`, would be made with in place of these: a clause each.
    fn differences(&self, now: &Self) -> Vec<String> {
        let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
        let optional = |value: Option<String>| value.unwrap_or("none".into());
        let names = |settings: &Self| -> String {
            settings.policies.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",")
        };
        let of = |settings: &Self| {
            [
                ("selfsame", settings.selfsame.clone()),
                ("--policies", names(settings)),
                ("--per-class", settings.per_class.to_string()),
                ("--views", settings.views.to_string()),
                ("--no-original", switch(!settings.original)),
                ("--image-size", settings.image_size.to_string()),
                (
                    "--encoder",
                    optional(settings.encoder.clone().filter(|_| self.weights != now.weights)),
                ),
                ("--clusters", optional(settings.clusters.map(|clusters| clusters.to_string()))),
                ("--pixels", switch(settings.pixels && settings.clusters.is_some())),
                ("--budget", optional(settings.budget.map(|seconds| format!("{seconds}s")))),
                ("--seed", settings.seed.to_string()),
            ]
        };
        let both = of(self).into_iter().zip(of(now));
        let mut differences: Vec<String> = both
            .filter(|((_, was), (_, is))| was != is)
            .map(|((name, was), (_, is))| format!("{name} was {was}, is {is}"))
            .collect();
        let policies = self
            .policies
            .iter()
            .zip(&now.policies)
            .filter(|((a, was), (b, is))| a == b && was != is);
        differences.extend(policies.map(|((name, _), _)| format!("the policy {name} has changed")));
        if self.weights != now.weights && self.encoder == now.encoder {
            differences.push("the weights of --encoder have changed".into());
        }
        // The seed decides the splits, and the size the pixels.
        if self.digest != now.digest && (self.seed, self.image_size) == (now.seed, now.image_size) {
            differences.push("the images of --data have changed".into());
        }
        differences
    }
}

/// An encoder of a run, ready.
struct Encoder {
    shown: String,
    network: Backbone,
    size: u32,
    device: burn::tensor::Device,
    /// SHA-256 of the file of its weights.
    weights: String,
}

/// The images measured, and their classes.
pub struct Probe {
    pub images: Vec<ProbeImage>,
    pub labels: Vec<u32>,
    pub classes: Vec<String>,
    pub notes: Vec<String>,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let policies = policies(&args.policies)?;
    check(args)?;
    let encoder =
        args.encoder.as_deref().map(|path| open_encoder(path, &args.device.device)).transpose()?;
    let image_size = args.image_size.or(encoder.as_ref().map(|encoder| encoder.size));
    if let (Some(encoder), Some(size)) = (&encoder, args.image_size)
        && encoder.size != size
    {
        let own = encoder.size;
        return Err(misuse(format!(
            "--image-size {size}: the encoder of {} sees {own} pixels; leave it out",
            encoder.shown
        )));
    }
    let dataset = terminal
        .load(&args.data, &LoadOptions { image_size, seed: args.seed, ..LoadOptions::default() })?;
    let probe = probe(args, &dataset, encoder.as_ref(), &terminal)?;
    let bytes = probe.images.len() as u128
        * (args.views as u128 + 1)
        * u128::from(dataset.image_size).pow(2)
        * 3;
    if bytes > VIEW_BYTES as u128 {
        return Err(misuse(format!(
            "{} images of {} views of {} pixels are {} GB; lower --per-class, --views or \
             --image-size",
            probe.images.len(),
            args.views,
            dataset.image_size,
            bytes >> 30
        )));
    }
    let largest =
        members(&probe.labels, probe.classes.len()).iter().map(Vec::len).max().unwrap_or(0);
    let settings = Settings {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        data: args.data.clone(),
        digest: digest(&dataset),
        policies: policies.iter().map(|(name, policy)| (name.clone(), policy.to_toml())).collect(),
        per_class: args.per_class,
        views: args.views,
        original: !args.no_original,
        image_size: dataset.image_size,
        encoder: encoder.as_ref().map(|encoder| encoder.shown.clone()),
        weights: encoder.as_ref().map(|encoder| encoder.weights.clone()),
        clusters: args.clusters,
        pixels: args.pixels || args.encoder.is_none(),
        budget: sampling::budget(args.budget, largest).map(|time| time.as_secs_f64()),
        seed: args.seed,
    };
    let folder = Folder::claim(&out(args), &settings, args.overwrite)?;
    let live =
        Live::stoppable("stopping as soon as what is under way is saved; again to stop at once")?;
    let stop = live.stop;
    terminal.skipped(&dataset, "in the forecast's page and forecast.json");
    if folder.goes_on {
        let there = (0..policies.len()).filter(|number| folder.has(&part(*number))).count();
        terminal.status(&match there == policies.len() && folder.path.join(PAGE_FILE).exists() {
            true => "already finished: the page is written again".to_owned(),
            false => format!("going on: {there} of {} policies are there", policies.len()),
        });
    }

    let work = Work {
        dataset: &dataset,
        probe: &probe,
        settings: &settings,
        encoder: encoder.as_ref(),
        folder: &folder,
    };
    let Some(baseline) = work.policy("images", NONE, &none(), &stop)? else {
        return Ok(stopped(&folder, &terminal));
    };
    let middle = middle_within(&baseline.distances, &probe.labels, probe.classes.len())
        .context("a class of two")?;
    if middle == 0 {
        return Err(misuse(match settings.pixels {
            true => {
                "at least half of all pairs of images of one class are the same image twice, \
                 pixel by pixel, so that                      there is no distance to compare \
                 policies at; leave the copies out"
            }
            false => {
                "the encoder gives at least half of all pairs of images of one class the same \
                 embedding, so that there                       is no distance to compare \
                 policies at; has it collapsed?"
            }
        }));
    }
    let mut measured = Vec::with_capacity(policies.len());
    for (number, (name, policy)) in policies.iter().enumerate() {
        let start = Instant::now();
        let Some(one) = work.policy(&part(number), name, policy, &stop)? else {
            return Ok(stopped(&folder, &terminal));
        };
        let left = start.elapsed() * (policies.len() - number - 1) as u32;
        if start.elapsed() > Duration::from_secs(2) && !left.is_zero() {
            terminal.status(&format!("{name} done, {} left", HumanDuration(left)));
        }
        measured.push(one);
    }
    let subject = Subject {
        dataset: &dataset,
        probe: &probe,
        settings: &settings,
        policies: &policies,
        measured: &measured,
        baseline: &baseline,
        middle,
        out: args.out.as_deref().map(shown),
    };
    let forecast = subject.forecast()?;
    write_json(&folder.path.join(FORECAST_FILE), &forecast)?;
    write_atomic(&folder.path.join(TABLE_FILE), forecast.table().as_bytes())?;
    write_atomic(&folder.path.join(PAGE_FILE), render_forecast(&forecast).as_bytes())?;

    for policy in forecast.policies.iter().chain(&forecast.baseline) {
        let separation = policy
            .separation
            .map_or("–".to_owned(), |separation| format!("{:.3}", separation.value));
        terminal.say(&format!(
            "{:>3}  {:<12}  score {:.3}  gathered {:.3}  separation {separation}",
            if policy.rank > 0 { policy.rank.to_string() } else { "–".into() },
            policy.name,
            policy.score.value,
            policy.gathered.value,
        ));
    }
    for sentence in &forecast.advice {
        terminal.say(sentence);
    }
    terminal.say(&format!("forecast {}", folder.path.join(PAGE_FILE).display()));
    let mut result = serde_json::to_value(Forecast { thumbs: None, ..forecast })?;
    for policy in result["policies"].as_array_mut().into_iter().flatten() {
        policy["closest"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .for_each(|pair| pair["picture"] = serde_json::Value::Null);
    }
    result["page"] = json!(shown(&folder.path.join(PAGE_FILE)));
    result["folder"] = json!(shown(&folder.path));
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}

fn none() -> Policy {
    NONE.parse().expect("doing nothing is a policy")
}

/// What the files of a policy are called by.
fn part(number: usize) -> String {
    format!("{number:02}")
}

fn stopped(folder: &Folder, terminal: &Terminal) -> ExitCode {
    terminal
        .status(&format!("stopped; the same command goes on from here: {}", folder.path.display()));
    ExitCode::from(super::INTERRUPTED)
}

/// The policies by name, `pairs` spelt out, each once. What does nothing is none of them: it is
/// measured in any case.
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
    let mut policies: Vec<(String, Policy)> = Vec::new();
    for name in names {
        let policy = selfsame::policy(name)
            .map_err(|e| misuse(e.to_string().replacen("--augment", "--policies", 1)))?;
        if policies.iter().all(|(known, _)| known != name) && policy != none() {
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

/// A list cut at its commas, but for those within braces, brackets and quotes within them: inline
/// TOML has its own.
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

fn check(args: &Args) -> anyhow::Result<()> {
    if args.per_class < 2 {
        return Err(misuse(format!(
            "--per-class {}: distances need at least 2 images of a class",
            args.per_class
        )));
    }
    if args.views == 0 {
        return Err(misuse(
            "--views 0: without a view all policies are the same; at least 1 is needed",
        ));
    }
    if args.views > 65_535 {
        return Err(misuse(format!("--views {} are more than 65535", args.views)));
    }
    match args.clusters {
        Some(clusters) if clusters < 2 => Err(misuse(format!(
            "--clusters {clusters}: nothing can be told apart; at least 2 are needed"
        ))),
        _ => Ok(()),
    }
}

fn out(args: &Args) -> PathBuf {
    args.out.clone().unwrap_or_else(|| {
        let name = Path::new(&args.data)
            .file_stem()
            .map_or("images".into(), |name| name.to_string_lossy());
        Path::new("forecasts").join(&*name)
    })
}

fn open_encoder(path: &Path, device: &str) -> anyhow::Result<Encoder> {
    let device = device::by_name(device).map_err(misuse)?;
    let run = Run::open(path)?;
    let plan = run.plan()?;
    let (network, _) = run.trained(&plan, Which::Last, &device)?;
    let file = run.weights(Which::Last)?;
    let weights = std::fs::read(&file).with_context(|| file.display().to_string())?;
    let weights = hex::encode(Sha256::digest(weights));
    Ok(Encoder { shown: shown(path), network, size: plan.data.image_size, device, weights })
}

/// The images to measure: at most `--per-class` of each class, spread over the training split by
/// the seed.
fn probe(
    args: &Args,
    dataset: &Dataset,
    encoder: Option<&Encoder>,
    terminal: &Terminal,
) -> anyhow::Result<Probe> {
    let split = &dataset.train;
    let mut notes = Vec::new();
    let (all, classes): (Vec<u32>, Vec<String>) = match (args.clusters, split.labels()) {
        (None, Some(labels)) => (labels.to_vec(), dataset.classes.clone()),
        (None, None) => {
            return Err(misuse(format!(
                "{} has no labels, which the classes of a forecast come from; put images into \
                 class folders, or let \
                 clusters stand in for them: --encoder RUN --clusters K",
                dataset.name
            )));
        }
        (Some(clusters), _) => {
            if split.len() < 2 * clusters {
                let images = split.len();
                return Err(misuse(format!(
                    "--clusters {clusters} of {images} training images: take at most {}",
                    images / 2
                )));
            }
            let encoder = encoder.context("--clusters without --encoder")?;
            let images: Vec<Image<'_>> = (0..split.len()).map(|i| split.image(i)).collect();
            let features = embedded(encoder, &images, "images clustered")?;
            let labels = k_means(&features.1, features.0, clusters, args.seed);
            let found = labels.iter().max().map_or(0, |&label| label as usize + 1);
            notes.push(format!(
                "The classes are {found} clusters of embeddings of {}, not labels: all that rests \
                 on them is assumed.",
                encoder.shown
            ));
            (labels, (1..=found).map(|number| format!("cluster {number}")).collect())
        }
    };
    let mut names = Vec::new();
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    let mut few = Vec::new();
    for (class, name) in classes.iter().enumerate() {
        let mut own: Vec<usize> = (0..split.len()).filter(|&i| all[i] as usize == class).collect();
        // In an order that neither the files nor the other classes decide.
        own.sort_by_key(|&i| {
            Sha256::digest([args.seed.to_le_bytes(), (i as u64).to_le_bytes()].concat())
        });
        own.truncate(args.per_class);
        own.sort_unstable();
        if own.len() < 2 {
            few.push(format!("{name} ({})", own.len()));
            continue;
        }
        let number = names.len() as u32;
        names.push(name.clone());
        labels.extend(vec![number; own.len()]);
        images.extend(own.iter().map(|&i| ProbeImage {
            name: split.name(i).to_owned(),
            index: i,
            class: number,
        }));
    }
    if names.is_empty() {
        return Err(misuse(format!(
            "no class of {} has two training images, and a distance takes two; give it more \
             images a class",
            dataset.name
        )));
    }
    if !few.is_empty() {
        notes.push(format!(
            "Left out, since a class needs two training images to have a distance: {}.",
            few.join(", ")
        ));
    }
    if names.len() == 1 {
        notes.push(
            "There is a single class, so that nothing says what is left of differences \
                    between classes."
                .into(),
        );
    }
    for note in &notes {
        terminal.status(note);
    }
    Ok(Probe { images, labels, classes: names, notes })
}

/// Length and values of the embeddings of images, each brought to length 1.
fn embedded(
    encoder: &Encoder,
    images: &[Image<'_>],
    what: &'static str,
) -> anyhow::Result<(usize, Vec<f32>)> {
    let bar = Bar::new(what);
    let total = images.len() as u64;
    let features = embed(&encoder.network, images, &encoder.device, &mut |done| {
        bar.set(done as u64, total, String::new());
    })?;
    bar.finish();
    let dim = features.dim();
    let mut values = features.into_values();
    for row in values.chunks_exact_mut(dim) {
        let length = row.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            row.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
        }
    }
    Ok((dim, values))
}

/// Distances of a policy and the curves of its classes.
pub struct PolicyMeasured {
    pub distances: Distances,
    pub curves: Vec<Curve>,
    /// Numbers of a view.
    pub dim: usize,
}

struct Work<'a> {
    dataset: &'a Dataset,
    probe: &'a Probe,
    settings: &'a Settings,
    encoder: Option<&'a Encoder>,
    folder: &'a Folder,
}

impl Work<'_> {
    /// Measures a policy, or goes on with it; none where it was stopped. `part` names its files.
    fn policy(
        &self,
        part: &str,
        name: &str,
        policy: &Policy,
        stop: &AtomicBool,
    ) -> anyhow::Result<Option<PolicyMeasured>> {
        let Settings { seed, mut views, mut original, .. } = *self.settings;
        if *policy == none() {
            (views, original) = (0, true);
        }
        let sets =
            ViewSets { policy, purpose: Purpose::Forecast, seed, views: 0..views as u32, original };
        let chosen: Vec<usize> = self.probe.images.iter().map(|image| image.index).collect();
        let bytes = sets.draw(&self.dataset.train.numbered(&chosen), self.dataset.image_size);
        let (images, views) = (chosen.len(), sets.each());
        let side = self.dataset.image_size as usize;
        if self.settings.pixels {
            let shape = Shape { width: side, height: side, channels: 3 };
            let run = DistanceRun::of_views(Views::new(images, views, shape, &bytes)?);
            return self.measure(part, name, run, side * side * 3, stop);
        }
        let encoder = self.encoder.context("distances of embeddings without --encoder")?;
        let each = Image::squares(self.dataset.image_size, &bytes);
        let (dim, values) = embedded(encoder, &each, "views embedded")?;
        let run = DistanceRun::of_embeddings(Embeddings::new(images, views, dim, &values)?);
        self.measure(part, name, run, dim, stop)
    }

    fn measure(
        &self,
        part: &str,
        name: &str,
        mut run: DistanceRun<'_>,
        dim: usize,
        stop: &AtomicBool,
    ) -> anyhow::Result<Option<PolicyMeasured>> {
        let state = self.folder.state(part);
        if state.exists() {
            run.read(&state)?;
        }
        let bar = Bar::new("tiles of distances");
        let start = Instant::now();
        while !run.is_finished() {
            let stretch = Instant::now();
            let _ = run.advance(&Options::default(), &mut |progress| {
                let spent = start.elapsed().as_secs_f64();
                let left =
                    spent / progress.done.max(1) as f64 * (progress.total - progress.done) as f64;
                let left = HumanDuration(Duration::from_secs_f64(left));
                bar.set(
                    progress.done as u64,
                    progress.total as u64,
                    format!("{name}: {left} left"),
                );
                match stop.load(Ordering::SeqCst) || stretch.elapsed() > SAVE_EVERY {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                }
            });
            run.write(&state)?;
            if stop.load(Ordering::SeqCst) && !run.is_finished() {
                bar.finish();
                return Ok(None);
            }
        }
        bar.finish();
        let distances = run.into_distances();
        let classes = members(&self.probe.labels, self.probe.classes.len());
        if let Some(curves) = self.folder.curves(part, &classes)? {
            return Ok(Some(PolicyMeasured { distances, curves, dim }));
        }
        let bar = Bar::new("curves");
        let mut curves = Vec::with_capacity(classes.len());
        for (class, own) in classes.iter().enumerate() {
            bar.set(
                class as u64,
                classes.len() as u64,
                format!("{name}: {}", self.probe.classes[class]),
            );
            if stop.load(Ordering::SeqCst) {
                bar.finish();
                return Ok(None);
            }
            let budget = self.settings.budget.map(Duration::from_secs_f64);
            curves.push(curve(
                own.len(),
                &within(&distances, own),
                budget,
                rayon::current_num_threads(),
            ));
        }
        bar.finish();
        // The curves last: where they are, all of the policy is.
        self.folder.write_distances(part, name, &distances)?;
        self.folder.write_curves(part, &curves)?;
        Ok(Some(PolicyMeasured { distances, curves, dim }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Settings, at_commas};

    #[test]
    fn settings_that_differ_are_named() {
        let was = Settings {
            selfsame: "1".into(),
            data: "photos".into(),
            digest: "ab".into(),
            policies: vec![("a".into(), "[crop]".into())],
            per_class: 50,
            views: 2,
            original: true,
            image_size: 32,
            encoder: None,
            weights: None,
            clusters: None,
            pixels: true,
            budget: None,
            seed: 0,
        };
        let spelt = Settings { data: "./photos/".into(), ..was.clone() };
        assert!(was.differences(&spelt).is_empty());
        let other = Settings { views: 3, budget: Some(5.0), digest: "cd".into(), ..was.clone() };
        let expected = [
            "--views was 2, is 3",
            "--budget was none, is 5s",
            "the images of --data have changed",
        ];
        assert_eq!(was.differences(&other), expected);
        let other = Settings { policies: vec![("a".into(), "[flip]".into())], ..was.clone() };
        assert_eq!(was.differences(&other), ["the policy a has changed"]);
        let encoder = |weights: &str| Settings {
            encoder: Some("runs/a".into()),
            weights: Some(weights.into()),
            ..was.clone()
        };
        assert_eq!(was.differences(&encoder("1")), ["--encoder was none, is runs/a"]);
        assert_eq!(
            encoder("1").differences(&encoder("2")),
            ["the weights of --encoder have changed"]
        );
    }

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
