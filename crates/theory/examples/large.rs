//! Times every measure of 50,000 embeddings of 512 values in 100 classes: 12,500 images of 4 views.
//!
//! `cargo run --release -p selfsame-theory --example large`

use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use selfsame_theory::bounds::certificate::{Class, Form, MainPart, World};
use selfsame_theory::bounds::infonce;
use selfsame_theory::{Error, Labels, Views, measure};
use serde_json::{Map, json};

const IMAGES: usize = 12_500;
const VIEWS: usize = 4;
const DIM: usize = 512;
const CLASSES: usize = 100;

fn main() -> Result<(), Error> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut uniform = |scale: f32| (random.random::<f32>() - 0.5) * scale;
    let centres: Vec<f32> = (0..CLASSES * DIM).map(|_| uniform(2.0)).collect();
    let mut values = Vec::with_capacity(IMAGES * VIEWS * DIM);
    for image in 0..IMAGES {
        let centre = &centres[image % CLASSES * DIM..][..DIM];
        let base: Vec<f32> = centre.iter().map(|value| value + uniform(0.05)).collect();
        for _ in 0..VIEWS {
            values.extend(base.iter().map(|value| value + uniform(0.02)));
        }
    }
    let mut seconds = Map::new();
    let start = Instant::now();
    let mut last = 0.0;
    let mut lap = |name: &str| {
        let now = start.elapsed().as_secs_f64();
        seconds.insert(name.to_owned(), json!(now - last));
        last = now;
    };

    let given = Views::new(IMAGES, VIEWS, DIM, &values)?;
    lap("check");
    given.check_varied()?;
    assert_eq!(given.repeats(), []);
    lap("distinct");
    let views = given.clone().on_sphere()?;
    let labels = Labels::new((0..IMAGES).map(|image| (image % CLASSES) as u32).collect(), CLASSES)?;
    lap("sphere");
    let alignment = measure::alignment(&views);
    lap("alignment");
    let diameters = measure::diameters(&views);
    lap("diameters");
    let centres = measure::centres(&views, &labels)?;
    lap("centres");
    let errors = centres.errors(&views, &labels)?;
    lap("errors");
    let sampled = measure::infonce_sampled(&views, 1_000_000, 1)?;
    lap("infonce, a million draws");
    let pairs =
        infonce::pairwise(sampled.l2.value, &infonce::classes(&alignment, &centres, &labels)?);
    lap("infonce pairwise bounds");
    let standardised = given.clone().standardised()?;
    lap("standardise");
    let correlation = measure::correlation(&standardised)?;
    lap("correlation");
    // A curve of every size, the hardest case for the search.
    let class = |diameters: Vec<f64>| {
        let part =
            |images: usize| MainPart { delta: images as f64, images, gap: 0.001 * images as f64 };
        Class { main_parts: (1..=diameters.len()).map(part).collect(), diameters }
    };
    let classes = labels.split(&diameters.of_image)?.into_iter().map(class).collect();
    let world = World::new(1.0, centres.products(), classes)?;
    let certificates =
        [Form::Published, Form::Derived, Form::Sharpened].map(|form| world.certify(form));
    lap("certificates");
    let by_class = world.certify_classes(Form::Sharpened);
    lap("certificates of classes");
    let total = last;

    // The exact loss, of the largest world that it takes in about as much time.
    let exact = Views::new(2500, VIEWS, DIM, &values[..2500 * VIEWS * DIM])?.on_sphere()?;
    let start = Instant::now();
    let exact_l2 = measure::infonce(&exact)?.l2.value;
    let record = json!({
        "command": "cargo run --release -p selfsame-theory --example large",
        "threads": rayon::current_num_threads(),
        "seconds": seconds,
        "seconds_in_all": total,
        "seconds_infonce_exact_of_10000_rows": start.elapsed().as_secs_f64(),
        "alignment": alignment.finite,
        "error": errors.overall,
        "l2": sampled.l2,
        "l2_of_10000_rows": exact_l2,
        "trace": correlation.trace(),
        "first_pair": pairs[1],
        "certificates": certificates,
        "error_by_class": by_class.error,
    });
    println!("{}", serde_json::to_string_pretty(&record).expect("numbers"));
    Ok(())
}
