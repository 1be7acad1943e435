//! Every bound against its exact value in a few thousand hard worlds; `examples/worlds` does the
//! same in a million.

#[path = "../examples/worlds/check.rs"]
mod check;
#[path = "../examples/worlds/world.rs"]
mod world;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
fn no_world_violates_a_bound() {
    let mut random = ChaCha8Rng::seed_from_u64(20);
    let mut informative = vec![0; check::NAMES.len()];
    for _ in 0..1000 {
        let mut world = world::World::random(&mut random);
        for _ in 0..3 {
            if let Some(checked) = check::check(&world) {
                for found in checked.found {
                    assert!(
                        found.room > 0.0,
                        "{}: {found:?} in {world:?}",
                        check::NAMES[found.name]
                    );
                    informative[found.name] += u32::from(found.informative);
                }
            }
            world = world.mutated(&mut random);
        }
    }
    // A search in which a bound never says anything would prove nothing of it. The published
    // InfoNCE bound hardly does.
    for (name, count) in check::NAMES.iter().zip(&informative) {
        assert!(*count > 10 || name.starts_with("InfoNCE published"), "{name}: {count}");
    }
}

/// One image of eight shares a view with the rest of its class, so that it belongs to the main part
/// at δ = 0, and sends its two others to the opposite point: f(x)·μ is 1 − 2·(2/3)t, below the 1 −
/// R_ε/p = 1 − t of the printed proof. The theorem's own statement still holds, with equality.
#[test]
fn the_printed_step_fails_where_the_theorem_holds() {
    let (here, there) = (vec![1.0, 0.0], vec![-1.0, 0.0]);
    let mut embeddings = vec![here; 24];
    embeddings[21..23].fill(there.clone());
    embeddings.extend(vec![there; 24]);
    let mut pixels = [vec![vec![0.0]; 24], vec![vec![9.0]; 24]].concat();
    pixels[21..23].fill(vec![5.0]);
    let labels = (0..16).map(|image| image / 8).collect();
    let world = world::World { labels, classes: 2, views: 3, pixels, embeddings };
    let checked = check::check(&world).expect("rows have directions");
    assert!(checked.printed_step_fails);
    assert!(checked.found.iter().all(|found| found.room > 0.0), "{:?}", checked.found);
    let published =
        checked.found.iter().find(|found| check::NAMES[found.name] == "error published, gap");
    assert!(published.expect("it is always there").informative);
}

/// Where each class is one point, Jensen loses nothing, and the bounds are the truth but for
/// rounding, of which there is the more the more values there are.
#[test]
fn classes_of_one_point_violate_nothing() {
    for (classes, dim, seed) in [(2, 1, 1), (3, 1, 2), (2, 40, 3), (3, 200, 4), (4, 3000, 5)] {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let points: Vec<Vec<f64>> = (0..classes)
            .map(|_| (0..dim).map(|_| random.random_range(-1.0..1.0)).collect())
            .collect();
        let labels: Vec<u32> = (0..classes as u32).flat_map(|class| [class; 3]).collect();
        let embeddings =
            labels.iter().flat_map(|&label| vec![points[label as usize].clone(); 2]).collect();
        let pixels = labels.iter().flat_map(|&label| vec![vec![f64::from(label)]; 2]).collect();
        let world = world::World { labels, classes, views: 2, pixels, embeddings };
        let checked = check::check(&world).expect("rows have directions");
        for found in checked.found {
            assert!(
                found.room > 0.0,
                "{}: {found:?} of {classes} classes, {dim} values",
                check::NAMES[found.name]
            );
        }
    }
}
