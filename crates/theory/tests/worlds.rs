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
            for found in check::check(&world).into_iter().flat_map(|checked| checked.found) {
                assert!(found.room > 0.0, "{}: {found:?} in {world:?}", check::NAMES[found.name]);
                informative[found.name] += u32::from(found.informative);
            }
            world = world.mutated(&mut random);
        }
    }
    // A search in which a bound never says anything would prove nothing of it. The published InfoNCE bound hardly does.
    for (name, count) in check::NAMES.iter().zip(&informative) {
        assert!(*count > 10 || name.starts_with("InfoNCE published"), "{name}: {count}");
    }
}
