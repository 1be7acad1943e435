//! Graphs in the ASCII format of the second DIMACS challenge.

use std::io::{self, BufRead};

use thiserror::Error;

use crate::Graph;

/// The most vertices that a graph may have; its rows then take 128 MB.
pub const MAX_VERTICES: usize = 1 << 15;
/// No line of the format is longer. A longer one is refused before it fills the memory.
const MAX_LINE: u64 = 1 << 16;

/// Why a graph file cannot be read. Lines are counted from 1.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DimacsError {
    /// The file could not be read.
    #[error("line {line}: {source}")]
    Read {
        /// Where.
        line: usize,
        /// Why.
        source: io::Error,
    },
    /// A line that is no comment, problem or edge.
    #[error(
        "line {line} begins with `{found}`, but a line is `c COMMENT`, `p edge VERTICES EDGES` or \
         `e VERTEX VERTEX`"
    )]
    Kind {
        /// Where.
        line: usize,
        /// The first word.
        found: String,
    },
    /// A line of the wrong form.
    #[error("line {line} is not `{form}`")]
    Form {
        /// Where.
        line: usize,
        /// What was expected.
        form: &'static str,
    },
    /// More vertices than [`MAX_VERTICES`].
    #[error("line {line} announces {vertices} vertices, but at most {MAX_VERTICES} are read")]
    TooLarge {
        /// Where.
        line: usize,
        /// The number announced.
        vertices: u64,
    },
    /// An edge to a vertex that the graph does not have.
    #[error("line {line} names vertex {vertex}, but they run from 1 to {vertices}")]
    Vertex {
        /// Where.
        line: usize,
        /// The vertex.
        vertex: u64,
        /// The number of vertices.
        vertices: usize,
    },
    /// A vertex joined to itself.
    #[error("line {line} joins vertex {vertex} to itself")]
    Loop {
        /// Where.
        line: usize,
        /// The vertex.
        vertex: u64,
    },
    /// A second problem line.
    #[error("line {line} is a second `p` line")]
    SecondProblem {
        /// Where.
        line: usize,
    },
    /// No problem line before the first edge, or at all.
    #[error("line {line}: `p edge VERTICES EDGES` must come before the edges")]
    NoProblem {
        /// Where.
        line: usize,
    },
    /// An empty file.
    #[error("the file is empty")]
    Empty,
    /// A line longer than any of the format.
    #[error("line {line} is longer than {MAX_LINE} bytes")]
    LongLine {
        /// Where.
        line: usize,
    },
}

/// A graph read from a file, with what the file says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dimacs {
    /// The graph.
    pub graph: Graph,
    /// The number of edges that the problem line announces.
    pub announced: u64,
    /// The line of the file that announces the graph, counted from 1.
    pub line: usize,
}

impl Dimacs {
    /// Whether the file holds as many edges as it announces. Twice or half as many will do: some
    /// files give or count each edge in both directions.
    pub fn is_whole(&self) -> bool {
        let edges = self.graph.edges() as u64;
        [edges, 2 * edges].contains(&self.announced) || self.announced.checked_mul(2) == Some(edges)
    }
}

impl Graph {
    /// Reads the graph of [`Dimacs::read`].
    ///
    /// # Errors
    /// As [`Dimacs::read`].
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
    /// Reads a graph in DIMACS ASCII: lines `c COMMENT`, one `p edge VERTICES EDGES` (or `p col`),
    /// then `e VERTEX VERTEX` with vertices from 1.
    ///
    /// An edge may be repeated, since many published files give both directions.
    /// [`Dimacs::is_whole`] compares the number of edges announced with the number read.
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
            // A comment may be in any encoding. Elsewhere a byte that is not ASCII is an error.
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

/// The numbers of vertices and edges of a problem line.
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

/// The two vertices that an edge line names, counted from 0.
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
