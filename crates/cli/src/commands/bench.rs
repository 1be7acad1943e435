//! `selfsame bench`.

mod ops;
mod train;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use selfsame::augment::{
    Blur, Crop, Flip, Grey, Image, Isa, Jitter, Normalise, Policy, PolicyConfig, Purpose, Scratch,
    ViewKey, ViewSets,
};
use selfsame::concentration::distance::{Options, Search, Shape, Views, augmented_distances};
use selfsame::data::{Dataset, LoadOptions};
use selfsame_kernels::random::SplitMix64;
use serde_json::json;

pub use self::train::step_time;
use crate::args::{Bench, BenchAugment, BenchDistance};
use crate::misuse;
use crate::terminal::Terminal;

pub fn run(args: &Bench, threads: Option<usize>) -> anyhow::Result<ExitCode> {
    match args {
        Bench::Augment(args) => augment(args, threads.unwrap_or(1)),
        Bench::Distance(args) => distance(args, threads.unwrap_or(0)),
        Bench::Train(args) => train::train(args, rayon::current_num_threads()),
        Bench::Ops(args) => ops::run(args),
        Bench::Embed(args) => train::embed_images(args, rayon::current_num_threads()),
    }
}

/// Images of a thread to go round: as many as the peers' benchmark has of large ones, and no more
/// than fit this many bytes.
const IMAGES: usize = 16;
const IMAGE_BYTES: usize = 256 << 20;

/// Stretches of time of which the median counts: others use the machine too.
const STRETCHES: u32 = 40;

fn augment(args: &BenchAugment, threads: usize) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let policy = match &args.augment {
        Some(text) => selfsame::policy(text)?,
        None => everyones(args.size)?,
    };
    let isa = Isa::best();
    if !(0.1..=3600.0).contains(&args.seconds) {
        return Err(misuse(format!("--seconds {} is not a time from 0.1 to 3600", args.seconds)));
    }
    let BenchAugment { source, size, .. } = *args;
    if !(1..=16_384).contains(&source) || !(1..=16_384).contains(&size) {
        return Err(misuse(format!(
            "--source {source} and --size {size}: both sides are to be from 1 to 16384"
        )));
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
        _ => format!(
            "{:.0} views a second on {threads} cores, {rate:.0} on each",
            rate * threads as f64
        ),
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

/// The policy that augmentation libraries are commonly compared by: MoCo v2's with bilinear crops,
/// and a Gaussian of a tenth of the side.
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

/// Views of noise, ready for an encoder, that one thread makes in a second. The sides are within
/// reason.
fn views_per_second(policy: &Policy, side: u32, size: u32, isa: Isa, stretch: Duration) -> f64 {
    let bytes = (side * side * 3) as usize;
    let noise = |i: usize| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8;
    let pixels: Vec<u8> = (0..(IMAGE_BYTES / bytes).clamp(1, IMAGES) * bytes).map(noise).collect();
    let mut view = vec![0; (size * size * 3) as usize];
    let mut floats = vec![0.0; view.len()];
    let mut scratch = Scratch::new(isa);
    let images = pixels.chunks_exact(bytes).cycle().zip(0..);
    let mut make = images.map(|(pixels, image)| {
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
        while start.elapsed() < stretch {
            make.next();
            count += 1;
        }
        f64::from(count) / start.elapsed().as_secs_f64()
    };
    rate(); // which takes the memory and warms up
    middle((0..STRETCHES).map(|_| rate()).collect())
}

/// The median; of an even number of values the upper middle.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Rounds of which the median counts, and how long one takes at least.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);
/// All views of a benchmark may take this many bytes.
const BENCH_BYTES: usize = 1 << 33;

/// Augmented distances within sets of views: of random bytes, on which no bound can save work, the
/// hardest case; or of each class of a data set.
fn distance(args: &BenchDistance, threads: usize) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let BenchDistance { images, views, .. } = *args;
    if images < 2 || !(1..=1 << 16).contains(&views) || args.dim == 0 {
        let given = format!("--images {images} --views {views} --dim {}", args.dim);
        return Err(misuse(format!(
            "{given}: at least 2 images, 1 to 65536 views and 1 byte are needed"
        )));
    }
    let isa = Isa::best();
    let (shape, sets, left_out) = match &args.data {
        Some(data) => drawn(args, &terminal.load(data, &LoadOptions::default())?)?,
        None => {
            (Shape { width: args.dim, height: 1, channels: 1 }, vec![random(args)?], Vec::new())
        }
    };
    if !left_out.is_empty() {
        let these = left_out.join(", ");
        terminal.status(&format!(
            "left out, since a distance takes two training images of a class: {these}"
        ));
    }
    let dim = shape.width * shape.height * shape.channels;
    let images: Vec<usize> = sets.iter().map(|bytes| bytes.len() / (views * dim)).collect();
    let pairs = images
        .iter()
        .map(|&n| n as f64 * (n - 1) as f64 / 2.0 * (views as f64).powi(2))
        .sum::<f64>();
    let sets = sets
        .iter()
        .zip(&images)
        .map(|(bytes, &n)| Views::new(n, views, shape, bytes))
        .collect::<Result<Vec<_>, _>>()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let threads = pool.current_num_threads();
    // As often as a round takes: a pass may be over before the clock is sure of it.
    let rate = || {
        let (start, mut passes) = (Instant::now(), 0.0);
        while passes == 0.0 || start.elapsed() < ROUND {
            for views in &sets {
                std::hint::black_box(pool.install(|| {
                    augmented_distances(views, &Options { isa, search: Search::Auto })
                }));
            }
            passes += 1.0;
        }
        passes * pairs / start.elapsed().as_secs_f64()
    };
    rate(); // which takes the memory and warms up
    let rate = middle((0..ROUNDS).map(|_| rate()).collect());
    let images = images.iter().sum::<usize>();
    let of = args.data.as_ref().map_or("random".into(), |data| format!("{data}'s"));
    terminal.say(&format!(
        "distance {} view pairs a second on {}, {:.3} s for all: {} in {},",
        apart(rate.round() as u64),
        counted(threads, "thread"),
        pairs / rate,
        counted(images, "image"),
        counted(sets.len(), "set"),
    ));
    terminal.say(&format!(
        "         {} each of {} {of} bytes, {isa}",
        counted(views, "view"),
        apart(dim as u64)
    ));
    terminal.result(&json!({
        "work": "augmented distance",
        "distinct_view_pairs_per_second": rate,
        "seconds": pairs / rate,
        "threads": threads,
        "data": args.data,
        "sets": sets.len(),
        "left_out": left_out,
        "images": images,
        "views": views,
        "dim": dim,
        "isa": isa.name(),
    }));
    Ok(ExitCode::SUCCESS)
}

/// A number with its thousands set apart.
fn apart(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// A number of things.
fn counted(number: usize, one: &str) -> String {
    format!("{} {one}{}", apart(number as u64), if number == 1 { "" } else { "s" })
}

/// The shape of views, those of the images of each class of the training split, or of all without
/// labels, and the names of the classes with too few images.
fn drawn(
    args: &BenchDistance,
    dataset: &Dataset,
) -> anyhow::Result<(Shape, Vec<Vec<u8>>, Vec<String>)> {
    let policy = selfsame::policy(&args.augment)?;
    let split = &dataset.train;
    let side = dataset.image_size as usize;
    let classes = dataset.classes.len().max(1);
    let mut sets = vec![Vec::new(); classes];
    for image in 0..split.len() {
        let class = split.labels().map_or(0, |labels| labels[image] as usize);
        if sets[class].len() < args.images {
            sets[class].push(image);
        }
    }
    let few = |(class, images): (&String, &Vec<usize>)| (images.len() < 2).then(|| class.clone());
    let left_out: Vec<String> = dataset.classes.iter().zip(&sets).filter_map(few).collect();
    sets.retain(|images| images.len() > 1);
    if sets.is_empty() {
        return Err(misuse(format!(
            "no class of {} has two training images, and a distance takes two",
            dataset.name
        )));
    }
    let bytes = sets.iter().map(Vec::len).sum::<usize>() * args.views * side * side * 3;
    if bytes > BENCH_BYTES {
        return Err(misuse(format!(
            "--images {} --views {} are more than 8 GB of views",
            args.images, args.views
        )));
    }
    let draw = ViewSets {
        policy: &policy,
        purpose: Purpose::Forecast,
        seed: 0,
        views: 0..args.views as u32,
        original: false,
    };
    let drawn =
        sets.iter().map(|images| draw.draw(&split.numbered(images), dataset.image_size)).collect();
    Ok((Shape { width: side, height: side, channels: 3 }, drawn, left_out))
}

/// Views of random bytes.
fn random(args: &BenchDistance) -> anyhow::Result<Vec<u8>> {
    let BenchDistance { images, views, dim, .. } = *args;
    let count = images
        .checked_mul(views)
        .and_then(|views| views.checked_mul(dim))
        .filter(|&all| all <= BENCH_BYTES);
    let Some(count) = count else {
        return Err(misuse(format!(
            "--images {images} --views {views} --dim {dim} are more than 8 GB of views; take less"
        )));
    };
    let mut random = SplitMix64::new(0);
    Ok((0..count).map(|_| (random.word() >> 56) as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::{apart, counted};

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1000, 1_234_567].map(apart), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([counted(1, "set"), counted(2, "thread")], ["1 set", "2 threads"]);
    }
}
