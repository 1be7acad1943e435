//! Times the curve σ(δ) on points of a Gaussian mixture, a stand-in for the images of a class:
//! `sigma POINTS DIMENSION SECONDS [SEED] [THREADS] [SPREAD]`. The scales of the points are
//! log-normal with a deviation of SPREAD per cent, 30 if none is given; with 0 none is close to all
//! others.

use std::time::{Duration, Instant};

use selfsame_concentration::curve::curve;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<u64> =
        std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let &[points, dimension, seconds, ref rest @ ..] = arguments.as_slice() else {
        return Err("give POINTS DIMENSION SECONDS [SEED] [THREADS] [SPREAD]".into());
    };
    let (seed, threads) = (rest.first().copied().unwrap_or(1), rest.get(1).copied().unwrap_or(0));
    let spread = rest.get(2).copied().unwrap_or(30) as f64 / 100.0;
    let keys = mixture(points as usize, dimension as usize, spread, seed);
    let start = Instant::now();
    let curve = curve(points as usize, &keys, Some(Duration::from_secs(seconds)), threads as usize);
    println!(
        "{} of {points} points certified, {:.1} s",
        curve.certified(),
        start.elapsed().as_secs_f64()
    );
    for (index, block) in curve.points.chunks(points.div_ceil(20) as usize).enumerate() {
        let certified = block.iter().filter(|point| point.certified()).count();
        let last = block.last().expect("chunks are not empty");
        let (lower, upper) = curve.omega_at(last.upper);
        let edges =
            keys.iter().filter(|&&key| key <= last.upper).count() as f64 / keys.len().max(1) as f64;
        let first = index * points.div_ceil(20) as usize + 1;
        println!(
            "from k = {first:>4}: {certified:>3} of {}; at its end density {edges:.3}, ω in \
             [{lower}, {upper}]",
            block.len()
        );
    }
    Ok(())
}

/// Squared distances, in units of 10⁻⁴, of points of five Gaussians whose centres are themselves
/// Gaussian, each point at its own scale, so that some are close to all and some far from all.
fn mixture(points: usize, dimension: usize, spread: f64, seed: u64) -> Vec<u64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        ((state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    let mut normal = || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
    let centres: Vec<f64> = (0..5 * dimension).map(|_| 0.7 * normal()).collect();
    let mut images = Vec::with_capacity(points * dimension);
    for point in 0..points {
        let scale = (spread * normal()).exp();
        images.extend(
            (0..dimension).map(|axis| centres[point % 5 * dimension + axis] + scale * normal()),
        );
    }
    let mut keys = Vec::new();
    for i in 0..points {
        for j in i + 1..points {
            let square: f64 = (0..dimension)
                .map(|axis| (images[i * dimension + axis] - images[j * dimension + axis]).powi(2))
                .sum();
            keys.push((square * 1e4) as u64);
        }
    }
    keys
}
