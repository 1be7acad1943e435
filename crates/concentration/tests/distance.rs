//! Augmented distances on every instruction set and by either search, against the definition.

use std::ops::ControlFlow;

use proptest::prelude::*;
use selfsame_concentration::distance::{
    Embeddings, Isa, Metric, Options, Run, Search, Shape, StateError, Views, ViewsError,
    augmented_distances,
};

/// Smooth pictures with some noise, or, where `noise` is 255, bytes of no structure.
fn pictures(images: usize, views: usize, shape: Shape, noise: u64, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 32
    };
    let mut bytes = Vec::new();
    for _ in 0..images * views {
        let (base, slope) = (next() % 200, next() % 7);
        for y in 0..shape.height as u64 {
            for x in 0..(shape.width * shape.channels) as u64 {
                bytes.push((base + slope * (x + 2 * y) / 3 + next() % (noise + 1)).min(255) as u8);
            }
        }
    }
    bytes
}

fn oracle(a: &[u8], b: &[u8], dim: usize) -> (u64, [u16; 2]) {
    let mut nearest = (u64::MAX, [0, 0]);
    for (u, a) in a.chunks_exact(dim).enumerate() {
        for (v, b) in b.chunks_exact(dim).enumerate() {
            let key = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum();
            if key < nearest.0 {
                nearest = (key, [u as u16, v as u16]);
            }
        }
    }
    nearest
}

fn all_options() -> Vec<Options> {
    let searches = [Search::Auto, Search::Pruned, Search::Dense];
    Isa::available()
        .into_iter()
        .flat_map(|isa| searches.map(|search| Options { isa, search }))
        .collect()
}

fn check(images: usize, views: usize, shape: Shape, bytes: &[u8]) {
    let dim = shape.width * shape.height * shape.channels;
    let set = Views::new(images, views, shape, bytes).unwrap();
    let image = |i: usize| &bytes[i * views * dim..][..views * dim];
    let expected: Vec<(u64, [u16; 2])> = (0..images)
        .flat_map(|i| (i + 1..images).map(move |j| [i, j]))
        .map(|[i, j]| oracle(image(i), image(j), dim))
        .collect();
    for options in all_options() {
        let found = augmented_distances(&set, &options);
        assert_eq!((found.n, found.metric), (images, Metric::Bytes));
        let found: Vec<(u64, [u16; 2])> = found.keys.into_iter().zip(found.pairs).collect();
        assert_eq!(found, expected, "{options:?}, {shape:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_path_finds_the_nearest_views(
        images in 0..12_usize, views in 1..36_usize,
        sides in [1..13_usize, 1..13_usize, 1..5_usize],
        noise in prop::sample::select(vec![0_u64, 1, 9, 255]), seed in any::<u64>(),
    ) {
        let shape = Shape { width: sides[0], height: sides[1], channels: sides[2] };
        check(images, views, shape, &pictures(images, views, shape, noise, seed));
    }

    #[test]
    fn equals_go_to_the_first_pair(
        images in 2..9_usize, views in 1..70_usize, dim in 1..5_usize, seed in any::<u64>(),
    ) {
        // Values of 0 or 1 in a few places: many pairs of views are equally far.
        let shape = Shape { width: dim, height: 1, channels: 1 };
        let bits: Vec<u8> = pictures(images, views, shape, 255, seed).iter().map(|byte| byte & 1).collect();
        check(images, views, shape, &bits);
    }

    #[test]
    fn more_views_never_raise_a_distance(
        images in 2..6_usize, views in 2..40_usize, fewer in 1..40_usize, seed in any::<u64>(),
    ) {
        let shape = Shape { width: 5, height: 4, channels: 3 };
        let all = pictures(images, views, shape, 60, seed);
        let fewer = fewer.min(views);
        let some: Vec<u8> = all.chunks(views * 60).flat_map(|image| &image[..fewer * 60]).copied().collect();
        let distances = |views, bytes: &[u8]| {
            augmented_distances(&Views::new(images, views, shape, bytes).unwrap(), &Options::default())
        };
        let (all, some) = (distances(views, &all), distances(fewer, &some));
        prop_assert!(all.keys.iter().zip(&some.keys).all(|(all, some)| all <= some));
    }

    #[test]
    fn embeddings_are_within_their_rounding(
        images in 0..7_usize, views in 1..9_usize, dim in 1..140_usize, seed in any::<u64>(),
    ) {
        let shape = Shape { width: dim, height: 1, channels: 1 };
        let values: Vec<f32> =
            pictures(images, views, shape, 255, seed).iter().map(|&v| f32::from(v) / 77.0 - 1.5).collect();
        let embeddings = Embeddings::new(images, views, dim, &values).unwrap();
        let squared = |i: usize, j: usize, [u, v]: [usize; 2]| -> f64 {
            let at = |image: usize, view: usize| &values[(image * views + view) * dim..][..dim];
            at(i, u).iter().zip(at(j, v)).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
        };
        // A difference, its square and at most dim + 8 sums round, none of them negative.
        let relative = (dim as f64 + 8.0) * 2_f64.powi(-24) * 1.01;
        for isa in Isa::available() {
            let mut run = Run::of_embeddings(embeddings);
            let options = Options { isa, ..Options::default() };
            let _ = run.advance(&options, &mut |_| ControlFlow::Continue(()));
            let found = run.into_distances();
            prop_assert_eq!(found.metric, Metric::Floats);
            for i in 0..images {
                for j in i + 1..images {
                    let all = (0..views).flat_map(|u| (0..views).map(move |v| [u, v]));
                    let least = all.map(|pair| squared(i, j, pair)).fold(f64::INFINITY, f64::min);
                    prop_assert!((found.squared(i, j) - least).abs() <= relative * least);
                    let attained = squared(i, j, found.views(i, j).map(usize::from));
                    prop_assert!(attained <= least * (1.0 + 2.1 * relative));
                }
            }
        }
    }
}

#[test]
fn long_and_extreme_views_are_exact() {
    for (width, height, channels) in [(1, 1, 1), (33_027, 1, 1), (66_053, 1, 1), (149, 151, 3)] {
        let shape = Shape { width, height, channels };
        let dim = width * height * channels;
        // Four views of 255 everywhere before four of 0, then one value of the first changed.
        let mut bytes = [vec![255; 4 * dim], vec![0; 4 * dim]].concat();
        check(4, 2, shape, &bytes);
        check(2, 4, shape, &bytes);
        bytes[dim - 1] = 0;
        check(4, 2, shape, &bytes);
        check(8, 1, shape, &bytes);
    }
}

#[test]
fn many_views_go_through_several_blocks() {
    let shape = Shape { width: 3, height: 3, channels: 1 };
    let bytes = pictures(3, 300, shape, 20, 7);
    check(3, 300, shape, &bytes);
}

#[test]
fn a_run_that_was_interrupted_ends_with_the_same_bytes() {
    let shape = Shape { width: 6, height: 5, channels: 3 };
    let bytes = pictures(70, 64, shape, 30, 3);
    let views = Views::new(70, 64, shape, &bytes).unwrap();
    let whole = augmented_distances(&views, &Options::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut times = 0;
    let done = loop {
        times += 1;
        let mut run = Run::of_views(views);
        if path.exists() {
            run.read(&path).unwrap();
        }
        let threads = rayon::ThreadPoolBuilder::new().num_threads(1 + times % 3).build().unwrap();
        let options =
            Options { search: [Search::Dense, Search::Pruned][times % 2], ..Options::default() };
        let _ = threads.install(|| run.advance(&options, &mut |_| ControlFlow::Break(())));
        run.write(&path).unwrap();
        if run.is_finished() {
            break run;
        }
    };
    assert!(times > 2, "it was to be interrupted");
    assert_eq!(done.into_distances(), whole);

    // Every bit counts, and so does every byte of length.
    let good = std::fs::read(&path).unwrap();
    for at in [0, 20, 60, 500, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 4;
        std::fs::write(&path, bad).unwrap();
        let error = Run::of_views(views).read(&path).unwrap_err();
        let other = (16..48).contains(&at);
        assert_eq!(matches!(error, StateError::OtherInputs { .. }), other, "byte {at}: {error}");
    }
    for length in [0, 47, 100, good.len() - 1] {
        std::fs::write(&path, &good[..length]).unwrap();
        assert!(matches!(Run::of_views(views).read(&path), Err(StateError::Damaged { .. })));
    }
    std::fs::write(&path, &good).unwrap();
    let mut changed = bytes.clone();
    changed[1234] ^= 1;
    let other = Views::new(70, 64, shape, &changed).unwrap();
    assert!(matches!(Run::of_views(other).read(&path), Err(StateError::OtherInputs { .. })));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(Run::of_views(views).read(&path), Err(StateError::Io { .. })));
}

#[test]
fn misuse_is_refused() {
    let shape = Shape { width: 2, height: 1, channels: 1 };
    assert_eq!(Views::new(1, 0, shape, &[]).unwrap_err(), ViewsError::Empty { views: 0, dim: 2 });
    assert_eq!(
        Views::new(0, 1, Shape { width: 0, ..shape }, &[]).unwrap_err(),
        ViewsError::Empty { views: 1, dim: 0 }
    );
    assert_eq!(Views::new(0, 65_537, shape, &[]).unwrap_err(), ViewsError::TooManyViews(65_537));
    assert!(matches!(
        Views::new(usize::MAX, 2, shape, &[0]),
        Err(ViewsError::Length { found: 1, .. })
    ));
    assert!(matches!(
        Embeddings::new(1, 1, 1, &[f32::NAN]),
        Err(ViewsError::NotFinite { at: 0, .. })
    ));
}
