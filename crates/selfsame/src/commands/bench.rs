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

pub fn run(args: &Bench) -> anyhow::Result<ExitCode> {
    match args {
        Bench::Augment(args) => augment(args),
    }
}

/// Images to go round: as many as the peers' benchmark has of large ones, and no more than fit this many bytes.
const IMAGES: usize = 16;
const IMAGE_BYTES: usize = 256 << 20;

/// Stretches of time of which the median counts: others use the machine too.
const STRETCHES: u32 = 40;

fn augment(args: &BenchAugment) -> anyhow::Result<ExitCode> {
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
    let rate = views_per_second(&policy, args, isa)?;
    terminal.say(&format!(
        "augment  {rate:.0} views a second on one core: {0}×{0} pixels to {1}×{1}, {isa}",
        args.source, args.size
    ));
    terminal.say(&format!("         {policy}, normalised to floats"));
    terminal.result(&json!({
        "work": "augment",
        "views_per_second_per_core": rate,
        "source": args.source,
        "size": args.size,
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

/// Views of noise, ready for an encoder, that one thread makes in a second.
fn views_per_second(policy: &Policy, args: &BenchAugment, isa: Isa) -> anyhow::Result<f64> {
    let BenchAugment { source: side, size, .. } = *args;
    let too_large = || misuse(format!("--source {side} and --size {size}: both sides are to be from 1 to 16384"));
    if !(1..=16_384).contains(&side) || !(1..=16_384).contains(&size) {
        return Err(too_large());
    }
    let bytes = (side * side * 3) as usize;
    let noise = |i: usize| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
    let pixels: Vec<u8> = (0..(IMAGE_BYTES / bytes).clamp(1, IMAGES) * bytes).map(noise).collect();
    let images =
        pixels.chunks_exact(bytes).map(|pixels| Source::new(side, side, pixels)).collect::<Result<Vec<_>, _>>()?;
    let mut view = vec![0; (size * size * 3) as usize];
    let mut floats = vec![0.0; view.len()];
    let mut scratch = Scratch::new(isa);
    let mut image = 0;
    let mut make = |count: u64| -> anyhow::Result<()> {
        for _ in 0..count {
            let key = ViewKey { seed: 0, image, epoch: 0, view: 0 };
            policy.view(key, images[image as usize % images.len()], size, &mut scratch, &mut view)?;
            Normalise::IMAGENET.apply(isa, &view, &mut floats);
            std::hint::black_box(&mut floats);
            image += 1;
        }
        Ok(())
    };
    make(1)?; // which takes the memory
    // Stretches of a whole number of views, about as long as the time allows.
    let stretch = Duration::from_secs_f64(args.seconds) / STRETCHES;
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < stretch {
        make(1)?;
        count += 1;
    }
    let mut rates = Vec::new();
    for _ in 0..STRETCHES {
        let start = Instant::now();
        make(count)?;
        rates.push(count as f64 / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[rates.len() / 2])
}
