//! Every bound against its exact value in a few thousand hard worlds; `examples/worlds` does the same in a million.

#[path = "../examples/worlds/check.rs"]
mod check;
#[path = "../examples/worlds/world.rs"]
mod world;

use rand::SeedableRng;
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
                    assert!(found.room > 0.0, "{}: {found:?} in {world:?}", check::NAMES[found.name]);
                    informative[found.name] += u32::from(found.informative);
                }
            }
            world = world.mutated(&mut random);
        }
    }
    // A search in which a bound never says anything would prove nothing of it. The published InfoNCE bound hardly does.
    for (name, count) in check::NAMES.iter().zip(&informative) {
        assert!(*count > 10 || name.starts_with("InfoNCE published"), "{name}: {count}");
    }
}

/// One image of eight shares a view with the rest of its class, so that it belongs to the main part at δ = 0, and sends its
/// two others to the opposite point: f(x)·μ is 1 − 2·(2/3)t, below the 1 − R_ε/p = 1 − t of the printed proof. The theorem's
/// own statement still holds, with equality.
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
    let published = checked.found.iter().find(|found| check::NAMES[found.name] == "error published, gap");
    assert!(published.expect("it is always there").informative);
}
