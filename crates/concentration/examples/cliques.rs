//! Times the exact maximum clique of every DIMACS graph of a folder: `cliques FOLDER [THREADS]`.
//!
//! With `random VERTICES DENSITY SEED [THREADS]` it takes a random graph G(n, p) instead.

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
    println!("{:<20} {:>6} {:>8} {:>5} {:>5} {:>10}", "graph", "n", "density", "omega", "upper", "seconds");
    match arguments.as_slice() {
        ["random", vertices, density, seed, rest @ ..] => {
            let graph = random(vertices.parse()?, density.parse()?, seed.parse()?);
            row(&format!("G({vertices},{density})"), &graph, threads(rest)?);
        }
        [folder, rest @ ..] => {
            let mut files: Vec<PathBuf> =
                std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
            files.retain(|file| file.extension().is_some_and(|extension| extension == "clq"));
            files.sort();
            let mut total = 0.0;
            for file in files {
                let graph = Graph::read_dimacs(BufReader::new(File::open(&file)?))
                    .map_err(|error| format!("{}: {error}", file.display()))?;
                total += row(&file.file_stem().unwrap_or_default().to_string_lossy(), &graph, threads(rest)?);
            }
            println!("{:<48} {total:>10.3}", "total");
        }
        [] => return Err("give a folder of .clq files, or `random VERTICES DENSITY SEED`".into()),
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

/// G(n, p), from xorshift64*.
fn random(vertices: usize, density: f64, seed: u64) -> Graph {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut graph = Graph::new(vertices);
    for i in 0..vertices {
        for j in i + 1..vertices {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            let uniform = (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64;
            if uniform < density {
                graph.add_edge(i, j);
            }
        }
    }
    graph
}
