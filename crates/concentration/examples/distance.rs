//! Measures augmented distances: `distance --images 250 --views 16 --dim 3072` of random bytes, or
//! `distance --data VIEWS --images 500 --views 32 --shape 32x32x3` of a file of views,
//! `[image][view][row][pixel][channel]`, set after set of so many images. Prints a line of JSON.
//! `--isa`, `--search pruned|dense|auto` and `--threads` choose how.

use std::time::Instant;

use selfsame_concentration::distance::{Isa, Options, Search, Shape, Views, augmented_distances};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given =
        |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1));
    let number =
        |name: &str, default: usize| given(name).map_or(Ok(default), |value| value.parse());
    let (images, views, dim) =
        (number("--images", 250)?, number("--views", 16)?, number("--dim", 3072)?);
    let isa = given("--isa").map_or(Ok(Isa::best()), |name| name.parse())?;
    let search = match given("--search").map(String::as_str) {
        Some("pruned") => Search::Pruned,
        Some("dense") => Search::Dense,
        _ => Search::Auto,
    };
    let shape = match given("--shape") {
        Some(text) => match text.split('x').map(str::parse).collect::<Result<Vec<usize>, _>>()?[..]
        {
            [width, height, channels] => Shape { width, height, channels },
            _ => return Err("--shape WIDTHxHEIGHTxCHANNELS".into()),
        },
        None => Shape { width: dim, height: 1, channels: 1 },
    };
    let dim = shape.width * shape.height * shape.channels;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(number("--threads", 0)?).build()?;
    let bytes = match given("--data") {
        Some(path) => std::fs::read(path)?,
        None => random(images * views * dim),
    };
    let start = Instant::now();
    let (mut sets, mut sum) = (0, 0);
    for bytes in bytes.chunks_exact(images * views * dim) {
        let views = Views::new(images, views, shape, bytes)?;
        let distances = pool.install(|| augmented_distances(&views, &Options { isa, search }));
        sum += distances.keys.iter().sum::<u64>();
        sets += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    let pairs = sets as f64 * (images * images.saturating_sub(1) / 2 * views * views) as f64;
    println!(
        "{{\"work\": \"augmented distance\", \"isa\": \"{isa}\", \"search\": \"{search:?}\", \"threads\": {}, \"sets\": {sets}, \
         \"images\": {images}, \"views\": {views}, \"dim\": {dim}, \"seconds\": \
         {seconds}, \"sum_of_keys\": {sum}, \
         \"distinct_view_pairs_per_second\": {}}}",
        pool.current_num_threads(),
        pairs / seconds
    );
    Ok(())
}

/// Bytes of a xorshift generator.
fn random(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}
