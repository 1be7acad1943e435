//! Measures how many views are drawn per second.

use std::time::{Duration, Instant};

use selfsame_augment::{
    Blur, Crop, Flip, Grey, Image, Isa, Jitter, Normalise, Policy, PolicyConfig, Purpose, Scratch,
    ViewKey,
};
use serde::Serialize;

use super::median;
use crate::Error;

/// Number of images that each thread cycles through: benchmarks of other libraries use the same
/// number of large images.
const IMAGES: usize = 16;
/// Maximum size of these images, in bytes.
const IMAGE_BYTES: usize = 256 << 20;
/// Number of rounds. Their median counts.
const ROUNDS: u32 = 40;
/// Maximum side of an image or a view, in pixels.
const LONGEST: u32 = 16_384;

/// The views to draw.
#[derive(Clone, Debug)]
pub struct ViewsOptions {
    /// Side of the images, in pixels.
    pub source: u32,
    /// Side of the views, in pixels.
    pub size: u32,
    /// The policy, as [`crate::policy`] reads it. By default: the policy of MoCo v2 with bilinear
    /// crops and a Gaussian blur of a tenth of the side. That policy is commonly used to compare
    /// augmentation libraries.
    pub augment: Option<String>,
    /// Duration of the measurement in seconds, from 0.1 to 3600.
    pub seconds: f64,
    /// Number of threads that draw at the same time. Each thread draws its own views.
    pub threads: usize,
}

impl Default for ViewsOptions {
    fn default() -> Self {
        Self { source: 32, size: 32, augment: None, seconds: 4.0, threads: 1 }
    }
}

/// Speed at which views are drawn.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "work", rename = "augment")]
pub struct ViewsBench {
    /// Number of views per second and thread, averaged over threads.
    pub views_per_second_per_core: f64,
    /// Number of threads that drew at the same time.
    pub threads: usize,
    /// Side of the images, in pixels.
    pub source: u32,
    /// Side of the views, in pixels.
    pub size: u32,
    /// The policy.
    pub augment: String,
    /// The instruction set.
    pub isa: String,
}

impl ViewsBench {
    /// Returns the number of views per second of all threads together.
    pub fn views_per_second(&self) -> f64 {
        self.views_per_second_per_core * self.threads as f64
    }
}

/// Measures how many views of noise are drawn per second and normalised to the floats that an
/// encoder takes.
///
/// # Errors
/// If the policy, a side, the time or the number of threads makes no sense.
pub fn views(options: &ViewsOptions) -> Result<ViewsBench, Error> {
    let ViewsOptions { source, size, seconds, threads, .. } = *options;
    let policy = match &options.augment {
        Some(text) => crate::policy(text)?,
        None => common_policy(size),
    };
    if !(0.1..=3600.0).contains(&seconds) {
        return Err(Error::option("seconds", seconds, "not a time from 0.1 to 3600"));
    }
    for (name, side) in [("source", source), ("size", size)] {
        if !(1..=LONGEST).contains(&side) {
            let cause = format!("not a side from 1 to {LONGEST} pixels");
            return Err(Error::option(name, side, cause));
        }
    }
    if threads == 0 {
        return Err(Error::option("threads", threads, "at least one is needed"));
    }
    let isa = Isa::best();
    let round = Duration::from_secs_f64(seconds) / ROUNDS;
    let rates: Vec<f64> = std::thread::scope(|scope| {
        let measure = || scope.spawn(|| views_per_second(&policy, source, size, isa, round));
        let measured: Vec<_> = (0..threads).map(|_| measure()).collect();
        measured.into_iter().map(|rate| rate.join().expect("measuring does not panic")).collect()
    });
    Ok(ViewsBench {
        views_per_second_per_core: rates.iter().sum::<f64>() / threads as f64,
        threads,
        source,
        size,
        augment: policy.to_string(),
        isa: isa.name().to_owned(),
    })
}

/// Returns the policy that is commonly used to compare augmentation libraries.
fn common_policy(size: u32) -> Policy {
    Policy::try_from(PolicyConfig {
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
    })
    .expect("every parameter is in its range")
}

/// Measures the number of views that this thread draws per second.
fn views_per_second(policy: &Policy, side: u32, size: u32, isa: Isa, round: Duration) -> f64 {
    let bytes = (side * side * 3) as usize;
    let noise = |i: usize| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
    let pixels: Vec<u8> = (0..(IMAGE_BYTES / bytes).clamp(1, IMAGES) * bytes).map(noise).collect();
    let mut view = vec![0; (size * size * 3) as usize];
    let mut floats = vec![0.0; view.len()];
    let mut scratch = Scratch::new(isa);
    let images = pixels.chunks_exact(bytes).cycle().zip(0..);
    let mut draw = images.map(|(pixels, image)| {
        let source = Image::rgb(side, side, pixels).expect("the bytes are those of the sides");
        let key = ViewKey::new(Purpose::Training { epoch: 0 }, 0, image, 0);
        policy
            .view(key, source, size, &mut scratch, &mut view)
            .expect("the buffer has the size of the view");
        Normalise::IMAGENET.apply(isa, &view, &mut floats);
        std::hint::black_box(&mut floats);
    });
    let mut rate = || {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < round {
            draw.next();
            count += 1;
        }
        f64::from(count) / start.elapsed().as_secs_f64()
    };
    rate();
    median((0..ROUNDS).map(|_| rate()).collect())
}
