//! Views made in a second by one thread: `cargo run --release -p selfsame-augment --example throughput`.

use std::time::Instant;

use selfsame_augment::{Policy, Scratch, Source, ViewKey};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (policy, side, size) in
        [("a", 32, 32), ("ab", 32, 32), ("ac", 32, 32), ("ad", 32, 32), ("abcde", 32, 32), ("abcde", 500, 224)]
    {
        let rate = views_per_second(&policy.parse()?, side, size)?;
        println!("{policy:>5}  {side} to {size} pixels: {rate:.0} views/s");
    }
    Ok(())
}

fn views_per_second(policy: &Policy, side: u32, size: u32) -> Result<f64, Box<dyn std::error::Error>> {
    let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    let pixels: Vec<u8> = (0..side * side * 3).map(noise).collect();
    let source = Source::new(side, side, &pixels)?;
    let mut view = vec![0; (size * size * 3) as usize];
    let mut scratch = Scratch::default();
    let start = Instant::now();
    let mut views = 0;
    while start.elapsed().as_secs_f64() < 1.0 {
        for _ in 0..16 {
            let key = ViewKey { seed: 0, image: views, epoch: 0, view: 0 };
            policy.view(key, source, size, &mut scratch, &mut view)?;
            views += 1;
        }
    }
    Ok(views as f64 / start.elapsed().as_secs_f64())
}
