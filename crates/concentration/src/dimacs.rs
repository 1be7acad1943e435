//! Graphs in the ASCII format of the second DIMACS challenge.

use std::io::{self, BufRead};

use thiserror::Error;

use crate::Graph;

/// Maximum number of vertices of a graph. The rows of a graph with this number of vertices take 128
/// MB.
pub const MAX_VERTICES: usize = 1 << 15;
/// Maximum length of a line. No valid line is longer; a longer line is refused before it fills the
/// memory.
const MAX_LINE: u64 = 1 << 16;

/// Reasons why a graph file cannot be read. Lines are counted from 1.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DimacsError {
    /// The file could not be read.
    #[error("line {line}: {source}")]
    Read {
        /// Number of the line.
        line: usize,
        /// Why the line could not be read.
        source: io::Error,
    },
    /// A line is neither a comment nor a problem line nor an edge.
    #[error(
        "line {line} begins with `{found}`, but a line is `c COMMENT`, `p edge VERTICES EDGES` or \
         `e VERTEX VERTEX`"
    )]
    Kind {
        /// Number of the line.
        line: usize,
        /// First word of the line.
        found: String,
    },
    /// A line has the wrong form.
    #[error("line {line} is not `{form}`")]
    Form {
        /// Number of the line.
        line: usize,
        /// The expected form.
        form: &'static str,
    },
    /// The file announces more vertices than [`MAX_VERTICES`].
    #[error("line {line} announces {vertices} vertices, but at most {MAX_VERTICES} are read")]
    TooLarge {
        /// Number of the line.
        line: usize,
        /// The announced number of vertices.
        vertices: u64,
    },
    /// An edge names a vertex that the graph does not have.
    #[error("line {line} names vertex {vertex}, but they run from 1 to {vertices}")]
    Vertex {
        /// Number of the line.
        line: usize,
        /// The vertex.
        vertex: u64,
        /// Number of vertices of the graph.
        vertices: usize,
    },
    /// An edge joins a vertex to itself.
    #[error("line {line} joins vertex {vertex} to itself")]
    Loop {
        /// Number of the line.
        line: usize,
        /// The vertex.
        vertex: u64,
    },
    /// The file has a second problem line.
    #[error("line {line} is a second `p` line")]
    SecondProblem {
        /// Number of the line.
        line: usize,
    },
    /// The file has no problem line before the first edge, or none at all.
    #[error("line {line}: `p edge VERTICES EDGES` must come before the edges")]
    NoProblem {
        /// Number of the line.
        line: usize,
    },
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// A line is longer than the format allows.
    #[error("line {line} is longer than {MAX_LINE} bytes")]
    LongLine {
        /// Number of the line.
        line: usize,
    },
}

/// A graph that was read from a file, with the file's own statements about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimacs {
    /// The graph.
    pub graph: Graph,
    /// Number of edges that the problem line announces.
    pub announced: u64,
    /// The line of the file that announces the graph, counted from 1.
    pub line: usize,
}

impl Dimacs {
    /// Returns whether the file holds as many edges as it announces. Twice or half as many edges
    /// are accepted too, because some files list or count each edge in both directions.
    pub fn is_whole(&self) -> bool {
        let edges = self.graph.edges() as u64;
        [edges, 2 * edges].contains(&self.announced) || self.announced.checked_mul(2) == Some(edges)
    }
}

impl Graph {
    /// Reads the graph of [`Dimacs::read`].
    ///
    /// # Errors
    /// The errors of [`Dimacs::read`].
    ///
    /// ```
    /// use selfsame_concentration::Graph;
    ///
    /// let graph = Graph::read_dimacs("c a path\np edge 3 2\ne 1 2\ne 2 3\n".as_bytes())?;
    /// assert_eq!((graph.vertices(), graph.edges()), (3, 2));
    /// # Ok::<(), selfsame_concentration::DimacsError>(())
    /// ```
    pub fn read_dimacs(reader: impl BufRead) -> Result<Self, DimacsError> {
        Ok(Dimacs::read(reader)?.graph)
    }
}

impl Dimacs {
    /// Reads a graph in DIMACS ASCII format: lines `c COMMENT`, one line `p edge VERTICES EDGES`
    /// (or `p col`), then lines `e VERTEX VERTEX` with vertices counted from 1.
    ///
    /// An edge may be repeated, because many published files list both directions.
    /// [`Dimacs::is_whole`] compares the announced number of edges with the number read.
    ///
    /// # Errors
    /// [`DimacsError`] names the line and what is wrong with it. Nothing large is allocated before
    /// the number of vertices is checked against [`MAX_VERTICES`].
    pub fn read(mut reader: impl BufRead) -> Result<Self, DimacsError> {
        let mut found: Option<Self> = None;
        let mut text = Vec::new();
        let mut line = 0;
        loop {
            line += 1;
            text.clear();
            let read = io::Read::take(&mut reader, MAX_LINE + 1)
                .read_until(b'\n', &mut text)
                .map_err(|source| DimacsError::Read { line, source })?;
            if read == 0 {
                return found.ok_or(if line == 1 {
                    DimacsError::Empty
                } else {
                    DimacsError::NoProblem { line }
                });
            }
            if read as u64 > MAX_LINE {
                return Err(DimacsError::LongLine { line });
            }
            // A comment may be in any encoding. In other lines, a byte that is not ASCII is an
            // error.
            let text = String::from_utf8_lossy(&text);
            let mut fields = text.split_ascii_whitespace();
            match fields.next() {
                None | Some("c") => {}
                Some("p") if found.is_some() => return Err(DimacsError::SecondProblem { line }),
                Some("p") => {
                    let (vertices, announced) = problem(fields, line)?;
                    found = Some(Self { graph: Graph::new(vertices), announced, line });
                }
                Some("e") => {
                    let graph = &mut found.as_mut().ok_or(DimacsError::NoProblem { line })?.graph;
                    let (u, v) = edge(fields, graph.vertices(), line)?;
                    graph.add_edge(u, v);
                }
                // Some files write comments without a space after the letter.
                Some(word) if word.starts_with('c') => {}
                Some(word) => {
                    return Err(DimacsError::Kind { line, found: word.chars().take(20).collect() });
                }
            }
        }
    }
}

/// Reads the numbers of vertices and edges from a problem line.
fn problem<'a>(
    mut fields: impl Iterator<Item = &'a str>,
    line: usize,
) -> Result<(usize, u64), DimacsError> {
    let form = DimacsError::Form { line, form: "p edge VERTICES EDGES" };
    let (Some("edge" | "edges" | "col"), Some(vertices), Some(edges), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(form);
    };
    let (Ok(vertices), Ok(edges)) = (vertices.parse::<u64>(), edges.parse::<u64>()) else {
        return Err(form);
    };
    match usize::try_from(vertices) {
        Ok(vertices) if vertices <= MAX_VERTICES => Ok((vertices, edges)),
        _ => Err(DimacsError::TooLarge { line, vertices }),
    }
}

/// Reads the two vertices of an edge line, counted from 0.
fn edge<'a>(
    mut fields: impl Iterator<Item = &'a str>,
    vertices: usize,
    line: usize,
) -> Result<(usize, usize), DimacsError> {
    let form = || DimacsError::Form { line, form: "e VERTEX VERTEX" };
    let (Some(u), Some(v), None) = (fields.next(), fields.next(), fields.next()) else {
        return Err(form());
    };
    let (u, v) = (u.parse::<u64>().map_err(|_| form())?, v.parse::<u64>().map_err(|_| form())?);
    for vertex in [u, v] {
        if vertex == 0 || vertex > vertices as u64 {
            return Err(DimacsError::Vertex { line, vertex, vertices });
        }
    }
    if u == v {
        return Err(DimacsError::Loop { line, vertex: u });
    }
    Ok((u as usize - 1, v as usize - 1))
}
