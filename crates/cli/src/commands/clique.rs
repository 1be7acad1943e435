//! `selfsame clique`.

use std::fs::File;
use std::io::BufReader;
use std::process::ExitCode;
use std::time::Instant;

use selfsame::concentration::clique::{Options, maximum_clique};
use selfsame::concentration::{Dimacs, DimacsError};
use serde_json::json;

use crate::args::Clique;
use crate::misuse;
use crate::terminal::{Terminal, status};

pub fn run(args: &Clique, threads: Option<usize>) -> anyhow::Result<ExitCode> {
    let terminal = Terminal::new(args.output.json);
    let shown = args.file.display();
    let file = File::open(&args.file).map_err(|e| misuse(format!("{shown}: {e}")))?;
    if args.file.is_dir() {
        return Err(misuse(format!("{shown} is a folder; name a file with a graph")));
    }
    let dimacs = Dimacs::read(BufReader::new(file)).map_err(|error| match error {
        DimacsError::Empty => anyhow::anyhow!("{shown} is empty"),
        error => anyhow::anyhow!("{shown}, {error}"),
    })?;
    let Dimacs { graph, announced, line, unused } = &dimacs;
    if !dimacs.is_whole() {
        let edges = graph.edges();
        status(format_args!(
            "warning: {shown}: line {line} announces {announced} edges, the file has {edges}: is \
             it cut off?"
        ));
    }
    if !unused.is_empty() {
        let letters: Vec<String> = unused.iter().map(|letter| format!("`{letter}`")).collect();
        status(format_args!(
            "note: {shown}: lines that begin with {} are not used: every vertex counts as one, \
             whatever its weight",
            letters.join(", ")
        ));
    }
    let options =
        Options { budget: args.budget, threads: threads.unwrap_or(0), ..Options::default() };
    let start = Instant::now();
    let clique = maximum_clique(graph, &options);
    let seconds = start.elapsed().as_secs_f64();

    // The file counts vertices from 1.
    let witness: Vec<usize> = clique.witness.iter().map(|vertex| vertex + 1).collect();
    let size = match clique.omega() {
        Some(omega) => format!("{omega} vertices, and no clique is larger"),
        None => format!(
            "{} vertices; none has more than {}, but the time ran out",
            witness.len(),
            clique.upper
        ),
    };
    terminal.say(&format!(
        "clique   {size}: {:.3} s for {} vertices, {} edges",
        seconds,
        graph.vertices(),
        graph.edges()
    ));
    let words: Vec<String> = witness.iter().map(usize::to_string).collect();
    terminal.say(&format!("         {}", words.join(" ")));
    terminal.result(&json!({
        "omega": witness.len(),
        "upper": clique.upper,
        "optimal": clique.optimal(),
        "seconds": seconds,
        "witness": witness,
        "vertices": graph.vertices(),
        "edges": graph.edges(),
        "edges_announced": announced,
    }));
    Ok(ExitCode::SUCCESS)
}
