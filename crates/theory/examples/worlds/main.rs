//! An adversarial search: small finite worlds, each changed step by step towards the violation of
//! one bound, and every bound held against the exact value in all of them.
//!
//! `cargo run --release -p selfsame-theory --example worlds -- 1000000 1 >
//! docs/results/worlds.json`

#[path = "check.rs"]
mod check;
#[path = "world.rs"]
mod world;

use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde_json::{Value, json};

use check::{NAMES, check};
use world::World;

/// Worlds of a chain: a random one and what became of it.
const STEPS: usize = 20;

/// What is kept of one bound over many worlds.
#[derive(Clone, Default)]
struct Tally {
    comparisons: u64,
    informative: u64,
    violations: u64,
    least_room: f64,
    smallest_violation: Option<World>,
}

#[derive(Clone)]
struct Outcome {
    tallies: Vec<Tally>,
    worlds: u64,
    printed_step_fails: u64,
    smallest_failing_step: Option<World>,
}

fn smaller(a: Option<World>, b: Option<World>) -> Option<World> {
    let size = |world: &World| (world.embeddings.len(), world.dim(), world.classes);
    match (a, b) {
        (Some(a), Some(b)) => Some(if size(&b) < size(&a) { b } else { a }),
        (a, b) => a.or(b),
    }
}

impl Outcome {
    fn none() -> Self {
        let tally = Tally { least_room: f64::MAX, ..Tally::default() };
        Self {
            tallies: vec![tally; NAMES.len()],
            worlds: 0,
            printed_step_fails: 0,
            smallest_failing_step: None,
        }
    }

    fn merged(mut self, other: Self) -> Self {
        for (tally, other) in self.tallies.iter_mut().zip(other.tallies) {
            tally.comparisons += other.comparisons;
            tally.informative += other.informative;
            tally.violations += other.violations;
            tally.least_room = tally.least_room.min(other.least_room);
            tally.smallest_violation =
                smaller(tally.smallest_violation.take(), other.smallest_violation);
        }
        self.worlds += other.worlds;
        self.printed_step_fails += other.printed_step_fails;
        self.smallest_failing_step =
            smaller(self.smallest_failing_step, other.smallest_failing_step);
        self
    }

    /// Counts a world, and returns how far it is from violating bound `target`.
    fn add(&mut self, world: &World, target: usize) -> f64 {
        let mut distance = f64::MAX;
        let Some(checked) = check(world) else { return distance };
        self.worlds += 1;
        if checked.printed_step_fails {
            self.printed_step_fails += 1;
            self.smallest_failing_step =
                smaller(self.smallest_failing_step.take(), Some(world.clone()));
        }
        for found in checked.found {
            let tally = &mut self.tallies[found.name];
            tally.comparisons += 1;
            tally.informative += u64::from(found.informative);
            tally.least_room = tally.least_room.min(found.room);
            // A NaN is a violation too.
            if found.room <= 0.0 || found.room.is_nan() {
                tally.violations += 1;
                tally.smallest_violation =
                    smaller(tally.smallest_violation.take(), Some(world.clone()));
            }
            if found.name == target {
                distance = distance.min(found.room);
            }
        }
        distance
    }
}

/// A random world and its successors, each kept where it is nearer to violating the chain's own
/// bound.
fn chain(seed: u64, index: u64) -> Outcome {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(index);
    let target = random.random_range(0..NAMES.len());
    let mut outcome = Outcome::none();
    let mut world = World::random(&mut random);
    let mut distance = outcome.add(&world, target);
    for _ in 1..STEPS {
        let next = world.mutated(&mut random);
        let found = outcome.add(&next, target);
        if found <= distance {
            (world, distance) = (next, found);
        }
    }
    outcome
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<u64>().expect("worlds and a seed: two numbers"));
    let (worlds, seed) = (arguments.next().unwrap_or(10_000), arguments.next().unwrap_or(1));
    let start = Instant::now();
    let chains = worlds.div_ceil(STEPS as u64);
    let outcome = (0..chains)
        .into_par_iter()
        .map(|index| chain(seed, index))
        .reduce(Outcome::none, Outcome::merged);
    let bound = |(name, tally): (&&str, &Tally)| {
        let record = json!({
            "comparisons": tally.comparisons,
            "informative": tally.informative,
            "violations": tally.violations,
            "least_room": tally.least_room,
            "smallest_violation": tally.smallest_violation,
        });
        ((*name).to_owned(), record)
    };
    let bounds: serde_json::Map<String, Value> =
        NAMES.iter().zip(&outcome.tallies).map(bound).collect();
    let record = json!({
        "command": format!("cargo run --release -p selfsame-theory --example worlds -- {worlds} \
                            {seed}"),
        "seed": seed,
        "worlds": outcome.worlds,
        "steps_of_a_chain": STEPS,
        "seconds": start.elapsed().as_secs_f64(),
        "threads": rayon::current_num_threads(),
        "bounds": bounds,
        "printed_step_fails": {
            "what": "f(x)·μ < 1 − ρ with R_ε/p, for an x of a main part and of S_ε, where the \
                     printed condition holds",
            "worlds": outcome.printed_step_fails,
            "smallest": outcome.smallest_failing_step,
        },
    });
    println!("{}", serde_json::to_string_pretty(&record).expect("numbers and names"));
    let violations: u64 = outcome.tallies.iter().map(|tally| tally.violations).sum();
    if violations > 0 {
        eprintln!("{violations} violations");
        std::process::exit(1);
    }
}
