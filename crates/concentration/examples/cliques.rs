//! Times the exact maximum clique of every DIMACS graph of a folder: `cliques FOLDER [THREADS]`.
//!
//! It takes a generated graph instead with
//! - `random VERTICES DENSITY SEED [THREADS]`: G(n, p), the law of DIMACS's C and sanr graphs;
//! - `hidden VERTICES DENSITY SIZE SEED [THREADS]`: a clique hidden so that its vertices have the
//!   degrees of the others, as in the brock graphs (Brockington and Culberson 1996, hiding depth
//!   0);
//! - `cover VERTICES DENSITY SIZE SEED [THREADS]`: a clique whose size a partition of the
//!   complement into cliques proves, as in the gen graphs (Sanchis 1992).

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Instant;

use selfsame_concentration::Graph;
use selfsame_concentration::clique::{Options, maximum_clique};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    println!(
        "{:<20} {:>6} {:>8} {:>5} {:>5} {:>10}",
        "graph", "n", "density", "omega", "upper", "seconds"
    );
    match arguments.as_slice() {
        ["random", vertices, density, seed, rest @ ..] => {
            let graph = random(vertices.parse()?, density.parse()?, seed.parse()?);
            row(&format!("G({vertices},{density})"), &graph, threads(rest)?);
        }
        [law @ ("hidden" | "cover"), vertices, density, size, seed, rest @ ..] => {
            let (n, p, size): (usize, f64, usize) =
                (vertices.parse()?, density.parse()?, size.parse()?);
            let make = if *law == "hidden" { hidden } else { cover };
            let graph = make(n, p, size, seed.parse()?)
                .ok_or("no such graph: too large a clique, or too few edges")?;
            row(&format!("{law}({vertices},{density},{size})"), &graph, threads(rest)?);
        }
        [folder, rest @ ..] => {
            let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<_, _>>()?;
            files.retain(|file| file.extension().is_some_and(|extension| extension == "clq"));
            files.sort();
            let mut total = 0.0;
            for file in files {
                let graph = Graph::read_dimacs(BufReader::new(File::open(&file)?))
                    .map_err(|error| format!("{}: {error}", file.display()))?;
                total += row(
                    &file.file_stem().unwrap_or_default().to_string_lossy(),
                    &graph,
                    threads(rest)?,
                );
            }
            println!("{:<48} {total:>10.3}", "total");
        }
        [] => return Err(
            "give a folder of .clq files, or `random VERTICES DENSITY SEED`; the source has more"
                .into(),
        ),
    }
    Ok(())
}

fn threads(rest: &[&str]) -> Result<usize, std::num::ParseIntError> {
    rest.first().map_or(Ok(0), |threads| threads.parse())
}

/// Solves one graph and prints its line; the seconds it took.
fn row(name: &str, graph: &Graph, threads: usize) -> f64 {
    let start = Instant::now();
    let clique = maximum_clique(graph, &Options { threads, ..Options::default() });
    let seconds = start.elapsed().as_secs_f64();
    let (n, density, size) = (graph.vertices(), graph.density(), clique.witness.len());
    println!("{name:<20} {n:>6} {density:>8.3} {size:>5} {:>5} {seconds:>10.3}", clique.upper);
    seconds
}

/// xorshift64*.
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15))
    }

    /// Uniform in [0, 1).
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, end: usize) -> usize {
        (self.uniform() * end as f64) as usize
    }

    /// 0 to n − 1 in any order.
    fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

/// G(n, p).
fn random(n: usize, density: f64, seed: u64) -> Graph {
    let mut chance = Chance::new(seed);
    let mut graph = Graph::new(n);
    for i in 0..n {
        for j in i + 1..n {
            if chance.uniform() < density {
                graph.add_edge(i, j);
            }
        }
    }
    graph
}

/// G(n, p) around a clique of `size`, with such shares of edges between it and the rest, and within
/// the rest, that all vertices have the same expected degree.
fn hidden(n: usize, density: f64, size: usize, seed: u64) -> Option<Graph> {
    let mut chance = Chance::new(seed);
    let order = chance.order(n);
    if size == 0 || size + 1 >= n {
        return None;
    }
    let degree = density * (n - 1) as f64;
    let across = (degree - (size - 1) as f64) / (n - size) as f64;
    let outside = (degree - size as f64 * across) / (n - size - 1) as f64;
    if ![across, outside].iter().all(|share| (0.0..=1.0).contains(share)) {
        return None;
    }
    let mut graph = Graph::new(n);
    for i in 0..n {
        for j in i + 1..n {
            let share = if j < size { 1.0 } else { [outside, across][usize::from(i < size)] };
            if chance.uniform() < share {
                graph.add_edge(order[i], order[j]);
            }
        }
    }
    Some(graph)
}

/// The complement of `size` disjoint cliques that cover all vertices, with further edges up to the
/// density that avoid one vertex of each: those vertices are a clique of the graph, and none is
/// larger.
fn cover(n: usize, density: f64, size: usize, seed: u64) -> Option<Graph> {
    let mut chance = Chance::new(seed);
    let order = chance.order(n);
    let pairs = |n: usize| n * n.saturating_sub(1) / 2;
    let wanted = ((1.0 - density) * pairs(n) as f64) as usize;
    if size == 0 || size >= n || wanted > pairs(n) - pairs(size) {
        return None;
    }
    let mut missing = Graph::new(n);
    let mut count = 0;
    for i in 0..n {
        for j in (i + size..n).step_by(size) {
            missing.add_edge(order[i], order[j]);
            count += 1;
        }
    }
    while count < wanted {
        let (i, j) = (chance.below(n), size + chance.below(n - size));
        if i != j && !missing.has_edge(order[i], order[j]) {
            missing.add_edge(order[i], order[j]);
            count += 1;
        }
    }
    Some(missing.complement())
}
