//! `selfsame bench`.

use std::process::ExitCode;

use selfsame::bench::{
    self, DistanceOptions, EmbedOptions, EncoderOptions, OperationsOptions, Peer, TrainOptions,
    ViewsOptions,
};
use selfsame::report::roofline::{ROOFLINE_FILE, ROOFLINE_PAGE};
use selfsame::report::{counted, render_roofline, write_atomic, write_json};

use super::typed;
use crate::args::{
    Bench, BenchAugment, BenchDistance, BenchEmbed, BenchEncoder, BenchOps, BenchTrain,
};
use crate::terminal::{Live, Terminal, status};

pub fn run(args: &Bench, threads: Option<usize>) -> anyhow::Result<ExitCode> {
    match args {
        Bench::Augment(args) => augment(args, threads)?,
        Bench::Distance(args) => distance(args, threads)?,
        Bench::Train(args) => train(args)?,
        Bench::Embed(args) => embed(args)?,
        Bench::Ops(args) => operations(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn augment(args: &BenchAugment, threads: Option<usize>) -> anyhow::Result<()> {
    let terminal = Terminal::new(args.output.json);
    let bench = bench::views(&ViewsOptions {
        source: args.source,
        size: args.size,
        augment: args.augment.clone(),
        seconds: args.seconds,
        threads: threads.unwrap_or(1),
    })?;
    let (all, each) = (bench.views_per_second(), bench.views_per_second_per_core);
    let rate = match bench.threads {
        1 => format!("{each:.0} views a second on one core"),
        threads => format!("{all:.0} views a second on {threads} cores, {each:.0} on each"),
    };
    let (source, size) = (bench.source, bench.size);
    let isa = &bench.isa;
    terminal.say(&format!("augment  {rate}: {source}×{source} pixels to {size}×{size}, {isa}"));
    terminal.say(&format!("         {}, normalised to floats", bench.augment));
    terminal.result(&serde_json::to_value(&bench)?);
    Ok(())
}

fn distance(args: &BenchDistance, threads: Option<usize>) -> anyhow::Result<()> {
    let terminal = Terminal::new(args.output.json);
    let options = DistanceOptions {
        images: args.images,
        views: args.views,
        dim: args.dim,
        data: args.data.clone(),
        augment: args.augment.clone(),
        threads: threads.unwrap_or(0),
    };
    let bench = bench::distance(&options, &mut Live::default())?;
    let count = |number: usize, one: &str| counted(number as u64, one, &format!("{one}s"));
    let rate = bench.distinct_view_pairs_per_second.round() as u64;
    terminal.say(&format!(
        "distance {} a second on {}, {:.3} s for all: {} in {},",
        counted(rate, "view pair", "view pairs"),
        count(bench.threads, "thread"),
        bench.seconds,
        count(bench.images, "image"),
        count(bench.sets, "set"),
    ));
    let source = bench.data.as_ref().map_or("random".into(), |data| format!("{data}'s"));
    let bytes = counted(bench.dim as u64, &format!("{source} byte"), &format!("{source} bytes"));
    let isa = &bench.isa;
    terminal.say(&format!("         {} each of {bytes}, {isa}", count(bench.views, "view")));
    terminal.result(&serde_json::to_value(&bench)?);
    Ok(())
}

fn train(args: &BenchTrain) -> anyhow::Result<()> {
    let terminal = Terminal::new(args.output.json);
    let peer = args.against_torch.as_ref().map(|script| Peer {
        script: script.clone(),
        python: args.python.clone(),
        args: args.peer_args.split_whitespace().map(str::to_owned).collect(),
    });
    let options = TrainOptions {
        encoder: encoder(&args.encoder),
        batch: args.batch,
        method: args.method.clone(),
        augment: args.augment.clone(),
        steps: args.steps,
        peer,
    };
    let bench = bench::train(&options, &mut Live::default())?;
    terminal.say(&format!(
        "train    {:.0} views a second, {:.1} ms a step of {} views",
        bench.views_per_second,
        1e3 * bench.seconds_per_step,
        bench.views
    ));
    let (method, subject, threads) = (&bench.method, &bench.subject, bench.threads);
    terminal.say(&format!("         {method}, {subject}, {threads} threads"));
    if let (Some(ratio), Some([before, after])) = (bench.ratio, bench.peer_rates()) {
        terminal.say(&format!(
            "         {ratio:.2} times the peer's {before:.0} before and {after:.0} after"
        ));
    }
    terminal.result(&serde_json::to_value(&bench)?);
    Ok(())
}

fn embed(args: &BenchEmbed) -> anyhow::Result<()> {
    let terminal = Terminal::new(args.output.json);
    let options = EmbedOptions { encoder: encoder(&args.encoder), images: args.images };
    let bench = bench::embed(&options, &mut Live::default())?;
    terminal.say(&format!(
        "embed    {:.0} images a second: {}, {} threads",
        bench.images_per_second, bench.subject, bench.threads
    ));
    terminal.result(&serde_json::to_value(&bench)?);
    Ok(())
}

fn operations(args: &BenchOps) -> anyhow::Result<()> {
    let terminal = Terminal::new(args.output.json);
    std::fs::create_dir_all(&args.out).map_err(selfsame::Error::file(&args.out))?;
    let options =
        OperationsOptions { encoder: encoder(&args.encoder), batch: args.batch, command: typed() };
    let roofline = bench::operations(&options, &mut Live::default())?;
    terminal.say(&roofline.text());
    write_json(&args.out.join(ROOFLINE_FILE), &roofline)?;
    let page = args.out.join(ROOFLINE_PAGE);
    write_atomic(&page, render_roofline(&roofline).as_bytes())?;
    status(format_args!("report   {}", page.display()));
    terminal.result(&serde_json::to_value(&roofline)?);
    Ok(())
}

fn encoder(args: &BenchEncoder) -> EncoderOptions {
    EncoderOptions {
        data: args.data.clone(),
        image_size: args.image_size,
        source_size: args.source_size,
        encoder: args.encoder,
        width: args.width,
        precision: args.precision.asked(),
        device: args.device.device.clone(),
    }
}
