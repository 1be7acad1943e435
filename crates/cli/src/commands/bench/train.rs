//! `selfsame bench train` and `selfsame bench embed`.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use selfsame::augment::Isa;
use selfsame::data::{Dataset, Image, LoadOptions};
use selfsame::eval::embed;
use selfsame::methods::MethodConfig;
use selfsame::nn::layers::Init;
use selfsame::nn::{EncoderConfig, ResNetConfig, device};
use selfsame::train::{Config, DataConfig, Plan, TrainConfig, pretrain, recipe};
use serde_json::{Value, json};

use super::middle;
use crate::args::{BenchEmbed, BenchEncoder, BenchTrain};
use crate::terminal::Terminal;
use crate::{misuse, resolve};

/// Steps before those that count: they take the memory and warm up.
const WARM_UP: usize = 2;

/// The images, and the encoder for them.
pub fn encoder(
    args: &BenchEncoder,
    terminal: &Terminal,
) -> anyhow::Result<(Dataset, EncoderConfig)> {
    if !(1..=1024).contains(&args.width) {
        return Err(misuse(format!("--width {} is not 1 to 1024 channels", args.width)));
    }
    let options = LoadOptions { image_size: args.image_size, ..LoadOptions::default() };
    let dataset = terminal.load(&args.data, &options)?;
    let config = ResNetConfig {
        architecture: resolve::architecture(args.encoder),
        stem: resolve::stem(dataset.image_size),
        width: args.width,
        precision: resolve::precision(args.precision, &args.device.device)?,
    };
    Ok((dataset, config.into()))
}

/// What was measured, in words.
pub fn named(args: &BenchEncoder, config: &EncoderConfig, size: u32) -> String {
    let encoder = match config {
        EncoderConfig::ResNet(resnet) => format!("{:?}", resnet.architecture),
        EncoderConfig::Mlp(_) => "MLP".to_owned(),
    };
    format!(
        "{encoder} of width {}, {size}×{size} pixels, {}, {} on {}",
        config.width(),
        config.precision(),
        Isa::best(),
        args.device.device
    )
}

/// Steps of training as `pretrain` takes them, in a folder of their own that is deleted.
pub fn train(args: &BenchTrain, threads: usize) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    if args.steps == 0 {
        return Err(misuse("--steps 0: at least one step is needed"));
    }
    if args.batch < 2 {
        return Err(misuse(format!("--batch {}: a step needs at least two images", args.batch)));
    }
    if let Some(script) = args.against_torch.as_deref().filter(|script| !script.is_file()) {
        let script = script.display();
        return Err(misuse(format!(
            "--against-torch {script}: there is no such file; bench/simclr.py is one to begin with"
        )));
    }
    let (dataset, encoder) = encoder(&args.encoder, &terminal)?;
    let batch = args.batch;
    if dataset.train.len() < batch {
        let images = dataset.train.len();
        return Err(misuse(format!(
            "--batch {batch}: {} has {images} training images",
            args.encoder.data
        )));
    }
    let plan = plan_of(
        &args.method,
        &args.augment,
        &args.encoder.data,
        batch,
        encoder,
        dataset.image_size,
    )?;
    let views = plan.method.method().views() * batch;
    let measure = || step_time(&plan, &dataset, &args.encoder.device.device, args.steps);
    let peer = |script: &Path| {
        peer(script, args).with_context(|| format!("--against-torch {}", script.display()))
    };
    // The peer's both sides of ours, so that a machine that turns slow meanwhile is noticed.
    let before = args.against_torch.as_deref().map(peer).transpose()?;
    let (seconds, _) = measure()?;
    let after = args.against_torch.as_deref().map(peer).transpose()?;
    let rate = views as f64 / seconds;
    let named = named(&args.encoder, &encoder, dataset.image_size);
    terminal.say(&format!(
        "train    {rate:.0} views a second, {:.1} ms a step of {views} views",
        seconds * 1e3
    ));
    terminal.say(&format!("         {}, {named}, {threads} threads", args.method));
    let mut result = json!({
        "work": "train",
        "method": args.method,
        "views_per_second": rate,
        "seconds_per_step": seconds,
        "views": views,
        "batch": batch,
        "steps": args.steps,
        "augment": args.augment,
        "encoder": encoder.name(),
        "width": encoder.width(),
        "image_size": dataset.image_size,
        "precision": encoder.precision(),
        "device": args.encoder.device.device,
        "isa": Isa::best().name(),
        "threads": threads,
        "data": args.encoder.data,
    });
    if let (Some(before), Some(after)) = (before, after) {
        let [first, second] =
            [&before, &after].map(|peer| peer["views_per_second"].as_f64().unwrap_or(f64::NAN));
        let ratio = rate / (0.5 * (first + second));
        terminal.say(&format!(
            "         {ratio:.2} times the peer's {first:.0} before and {second:.0} after"
        ));
        result["peer"] = json!([before, after]);
        result["ratio"] = json!(ratio);
    }
    terminal.result(&result);
    Ok(ExitCode::SUCCESS)
}

/// A training that never ends.
pub fn plan_of(
    method: &str,
    augment: &str,
    data: &str,
    batch: usize,
    encoder: EncoderConfig,
    image_size: u32,
) -> anyhow::Result<Plan> {
    let method = MethodConfig::by_name(method, encoder.dim())
        .ok_or_else(|| misuse(format!("--method {method}: unknown")))?;
    let sgd = recipe("authors", "simclr").expect("the authors trained it").train;
    let config = Config {
        seed: 0,
        init: None,
        data: DataConfig { source: data.to_owned(), image_size, limit: None, classes: None },
        encoder,
        method,
        train: TrainConfig { epochs: 1_000_000, batch, learning_rate: 1e-3, ..sgd },
        augment: selfsame::policy(augment)?,
    };
    config.check().map_err(misuse)
}

/// The median of so many steps, in seconds, and how many the whole training has.
pub fn step_time(
    plan: &Plan,
    dataset: &Dataset,
    on: &str,
    count: usize,
) -> anyhow::Result<(f64, u64)> {
    let device = device::by_name(on).map_err(misuse)?;
    let folder = tempfile::tempdir().context("a folder for the run")?;
    std::fs::create_dir(folder.path().join("checkpoints"))?;
    let stop = AtomicBool::new(false);
    let (mut last, mut taken) = (Instant::now(), Vec::with_capacity(WARM_UP + count));
    let mut steps = 0;
    pretrain(plan, dataset, &device, folder.path(), Duration::MAX, &stop, &mut |progress| {
        steps = progress.steps;
        taken.push(last.elapsed().as_secs_f64());
        last = Instant::now();
        stop.store(taken.len() >= WARM_UP + count, Ordering::Relaxed);
    })?;
    Ok((middle(taken.split_off(WARM_UP.min(taken.len() - 1))), steps))
}

/// What the peer's script prints.
fn peer(script: &Path, args: &BenchTrain) -> anyhow::Result<Value> {
    let mut command = Command::new(&args.python);
    command.arg(script).args([
        "--batch",
        &args.batch.to_string(),
        "--width",
        &args.encoder.width.to_string(),
    ]);
    command.args(["--steps", &args.steps.to_string()]).args(args.peer_args.split_whitespace());
    let output =
        command.output().with_context(|| format!("{} does not start", args.python.display()))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("it failed: {}", errors.lines().last().unwrap_or("without a word"));
    }
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = printed.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
    match found {
        Some(found) if found["views_per_second"].is_number() => Ok(found),
        _ => bail!("it printed no line of JSON with `views_per_second`"),
    }
}

/// Rounds of which the median counts.
const ROUNDS: usize = 5;

/// Images through a random encoder, as `embed` and every measure take them.
pub fn embed_images(args: &BenchEmbed, threads: usize) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let (dataset, config) = encoder(&args.encoder, &terminal)?;
    let split = &dataset.train;
    if args.images == 0 || split.is_empty() {
        return Err(misuse("at least one image is needed"));
    }
    let device = device::by_name(&args.encoder.device.device).map_err(misuse)?;
    let encoder = config.init(&mut Init::new(0, &device));
    let images: Vec<Image<'_>> = (0..args.images).map(|i| split.image(i % split.len())).collect();
    let mut rates = Vec::with_capacity(ROUNDS);
    for round in 0..=ROUNDS {
        let start = Instant::now();
        std::hint::black_box(embed(&encoder, &images, &device, &mut |_| ())?);
        // The first takes the memory and warms up.
        if round > 0 {
            rates.push(args.images as f64 / start.elapsed().as_secs_f64());
        }
    }
    let rate = middle(rates);
    let named = named(&args.encoder, &config, dataset.image_size);
    terminal.say(&format!("embed    {rate:.0} images a second: {named}, {threads} threads"));
    terminal.result(&json!({
        "work": "embed",
        "images_per_second": rate,
        "images": args.images,
        "width": config.width(),
        "precision": config.precision(),
        "isa": Isa::best().name(),
        "threads": threads,
        "data": args.encoder.data,
    }));
    Ok(ExitCode::SUCCESS)
}
