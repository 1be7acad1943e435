//! Views made in a second by one thread: `cargo run --release -p selfsame-augment --example throughput [ISA…]`.
//!
//! The median of short stretches, since machines are shared; every step by itself, so that the figures tell where
//! the time goes.

use std::time::Instant;

use selfsame_augment::{Isa, Policy, Scratch, Source, ViewKey};

const STRETCHES: usize = 41;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let sets = match names.is_empty() {
        true => vec![Isa::best()],
        false => names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
    };
    for (side, size) in [(32, 32), (500, 224)] {
        for isa in &sets {
            for policy in [
                "none",
                "{ flip = {} }",
                "a",
                "{ crop = { interpolation = 'bicubic' } }",
                "{ jitter = { probability = 1, contrast = 0, saturation = 0, hue = 0 } }",
                "{ jitter = { probability = 1, brightness = 0, saturation = 0, hue = 0 } }",
                "{ jitter = { probability = 1, brightness = 0, contrast = 0, hue = 0 } }",
                "{ jitter = { probability = 1 } }",
                "{ grey = { probability = 1 } }",
                "{ blur = { probability = 1, sigma = [0.1, 2.0] } }",
                "{ blur = { probability = 1, sigma = [0.1, 2.0], kernel = 23 } }",
                "abcde",
                "simclr",
                "byol",
            ] {
                let rate = views_per_second(&policy.parse()?, side, size, *isa)?;
                println!(
                    "{side:>4} to {size:>3} pixels, {isa:>8}: {rate:>8.0} views/s, {:>8.2} µs  {policy}",
                    1e6 / rate
                );
            }
        }
    }
    Ok(())
}

fn views_per_second(policy: &Policy, side: u32, size: u32, isa: Isa) -> Result<f64, Box<dyn std::error::Error>> {
    let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    let pixels: Vec<u8> = (0..side * side * 3).map(noise).collect();
    let source = Source::new(side, side, &pixels)?;
    let mut view = vec![0; (size * size * 3) as usize];
    let mut scratch = Scratch::new(isa);
    let stretch = if size > 64 { 20 } else { 500 };
    let mut rates = Vec::new();
    for first in 0..STRETCHES as u64 {
        let start = Instant::now();
        for image in first * stretch..(first + 1) * stretch {
            policy.view(ViewKey { seed: 0, image, epoch: 0, view: 0 }, source, size, &mut scratch, &mut view)?;
        }
        rates.push(stretch as f64 / start.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[STRETCHES / 2])
}
