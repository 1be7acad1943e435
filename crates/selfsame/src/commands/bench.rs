//! `selfsame bench`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use selfsame::augment::{
    Blur, Crop, Flip, Grey, Isa, Jitter, Normalise, Policy, PolicyConfig, Scratch, Source, ViewKey,
};
use serde_json::json;

use crate::args::{Bench, BenchAugment};
use crate::terminal::Terminal;
use crate::{misuse, resolve};

pub fn run(args: &Bench, threads: Option<usize>) -> anyhow::Result<ExitCode> {
    match args {
        Bench::Augment(args) => augment(args, threads.unwrap_or(1)),
    }
}

/// Images of a thread to go round: as many as the peers' benchmark has of large ones, and no more than fit this many bytes.
const IMAGES: usize = 16;
const IMAGE_BYTES: usize = 256 << 20;

/// Stretches of time of which the median counts: others use the machine too.
const STRETCHES: u32 = 40;

fn augment(args: &BenchAugment, threads: usize) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let policy = match &args.augment {
        Some(text) => resolve::policy(text)?,
        None => everyones(args.size)?,
    };
    let isa = match &args.isa {
        Some(name) => name.parse().map_err(|e| misuse(format!("--isa: {e}")))?,
        None => Isa::best(),
    };
    if !(0.1..=3600.0).contains(&args.seconds) {
        return Err(misuse(format!("--seconds {} is not a time from 0.1 to 3600", args.seconds)));
    }
    let BenchAugment { source, size, .. } = *args;
    if !(1..=16_384).contains(&source) || !(1..=16_384).contains(&size) {
        return Err(misuse(format!("--source {source} and --size {size}: both sides are to be from 1 to 16384")));
    }
    let stretch = Duration::from_secs_f64(args.seconds) / STRETCHES;
    let rates: Vec<f64> = std::thread::scope(|scope| {
        let measure = || scope.spawn(|| views_per_second(&policy, source, size, isa, stretch));
        let measured: Vec<_> = (0..threads).map(|_| measure()).collect();
        measured.into_iter().map(|rate| rate.join().expect("no measure panics")).collect()
    });
    let rate = rates.iter().sum::<f64>() / threads as f64;
    let cores = match threads {
        1 => format!("{rate:.0} views a second on one core"),
        _ => format!("{:.0} views a second on {threads} cores, {rate:.0} on each", rate * threads as f64),
    };
    terminal.say(&format!("augment  {cores}: {source}×{source} pixels to {size}×{size}, {isa}"));
    terminal.say(&format!("         {policy}, normalised to floats"));
    terminal.result(&json!({
        "work": "augment",
        "views_per_second_per_core": rate,
        "threads": threads,
        "source": source,
        "size": size,
        "augment": policy.to_string(),
        "isa": isa.name(),
    }));
    Ok(ExitCode::SUCCESS)
}

/// The policy that augmentation libraries are commonly compared by: MoCo v2's with bilinear crops, and a Gaussian of a
/// tenth of the side.
fn everyones(size: u32) -> anyhow::Result<Policy> {
    Ok(Policy::try_from(PolicyConfig {
        crop: Some(Crop::default()),
        flip: Some(Flip::default()),
        jitter: Some(Jitter {
            probability: 0.8.into(),
            strength: 1.0,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
            hue: 0.1,
        }),
        grey: Some(Grey::default()),
        blur: Some(Blur {
            probability: 0.5.into(),
            sigma: [0.1, 2.0],
            side: None,
            kernel: Some(((size / 10) | 1).clamp(3, 255)),
        }),
        ..PolicyConfig::default()
    })?)
}

/// Views of noise, ready for an encoder, that one thread makes in a second. The sides are within reason.
fn views_per_second(policy: &Policy, side: u32, size: u32, isa: Isa, stretch: Duration) -> f64 {
    let bytes = (side * side * 3) as usize;
    let noise = |i: usize| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
    let pixels: Vec<u8> = (0..(IMAGE_BYTES / bytes).clamp(1, IMAGES) * bytes).map(noise).collect();
    let mut view = vec![0; (size * size * 3) as usize];
    let mut floats = vec![0.0; view.len()];
    let mut scratch = Scratch::new(isa);
    let images = pixels.chunks_exact(bytes).cycle().zip(0..);
    let mut make = images.map(|(pixels, image)| {
        let source = Source::new(side, side, pixels).expect("the bytes are those of the sides");
        let key = ViewKey { seed: 0, image, epoch: 0, view: 0 };
        policy.view(key, source, size, &mut scratch, &mut view).expect("the buffer has the size of the view");
        Normalise::IMAGENET.apply(isa, &view, &mut floats);
        std::hint::black_box(&mut floats);
    });
    let mut rate = || {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < stretch {
            make.next();
            count += 1;
        }
        f64::from(count) / start.elapsed().as_secs_f64()
    };
    rate(); // which takes the memory and warms up
    let mut rates: Vec<f64> = (0..STRETCHES).map(|_| rate()).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
