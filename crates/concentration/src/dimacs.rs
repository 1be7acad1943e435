//! Graphs in the two formats of the second DIMACS challenge: lines of text, and binary.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Read};

use thiserror::Error;

use crate::Graph;

/// Maximum number of vertices of a graph. The rows of a graph with this number of vertices take 128
/// MB.
pub const MAX_VERTICES: usize = 1 << 15;
/// Maximum length of a line. No valid line is longer; a longer line is refused before it fills the
/// memory.
const MAX_LINE: u64 = 1 << 16;
/// Maximum length of the text at the start of a binary file.
const MAX_PREAMBLE: u64 = 1 << 20;
/// What some editors write before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

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
        "line {line} begins with `{found}`, but a line is `c COMMENT`, `p edge VERTICES EDGES`, `e \
         VERTEX VERTEX`, or a weight or place that is not used (`n`, `d`, `v`, `x`)"
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
    /// A binary file ends within its rows of bits.
    #[error("the binary file ends within row {row} of {vertices}: is it cut off?")]
    ShortRows {
        /// Number of the first row that is not whole, from 1.
        row: usize,
        /// Number of vertices, and of rows.
        vertices: usize,
    },
    /// A binary file announces more text at its start than any such file has.
    #[error("line 1 announces {bytes} bytes of text, but at most {MAX_PREAMBLE} are read")]
    LongPreamble {
        /// The announced number of bytes.
        bytes: u64,
    },
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
    /// First letters of the lines that say more than vertices and edges, which is not used: `n`, the
    /// weight of a vertex; `d` and `v`, the place of a vertex; `x`, how the graph was made.
    pub unused: BTreeSet<char>,
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
    /// Reads a graph in DIMACS format. In the form of text, it has lines `c COMMENT`, one line `p
    /// edge VERTICES EDGES` (or `p col`), then lines `e VERTEX VERTEX` with vertices counted from 1.
    /// Lines that begin with `n`, `d`, `v` or `x` are not used; [`Dimacs::unused`] names them. In
    /// the binary form, the first line is the length of such text, and rows of bits follow the
    /// text.
    ///
    /// An edge may be repeated, because many published files list both directions.
    /// [`Dimacs::is_whole`] compares the announced number of edges with the number read.
    ///
    /// # Errors
    /// [`DimacsError`] names the line and what is wrong with it. Nothing large is allocated before
    /// the number of vertices is checked against [`MAX_VERTICES`].
    pub fn read(mut reader: impl BufRead) -> Result<Self, DimacsError> {
        let mut first = Vec::new();
        read_line(&mut reader, &mut first, 1)?;
        let text = first.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&first);
        let number = str::from_utf8(text).ok().and_then(|text| text.trim().parse::<u64>().ok());
        match number {
            Some(bytes) => Self::read_binary(reader, bytes),
            None if first.is_empty() => Err(DimacsError::Empty),
            None => Lines::default().read(text.chain(reader), 1),
        }
    }

    /// Reads the binary form after its first line: a preamble of text, then row i of the lower half
    /// of the adjacency matrix, in whole bytes, for each vertex. The highest bit comes first.
    fn read_binary(mut reader: impl BufRead, bytes: u64) -> Result<Self, DimacsError> {
        if bytes > MAX_PREAMBLE {
            return Err(DimacsError::LongPreamble { bytes });
        }
        let mut found = Lines::default().read((&mut reader).take(bytes), 2)?;
        let vertices = found.graph.vertices();
        let mut row = Vec::new();
        for u in 0..vertices {
            row.clear();
            let length = u / 8 + 1;
            let read = (&mut reader).take(length as u64).read_to_end(&mut row);
            let read = read.map_err(|source| DimacsError::Read { line: found.line, source })?;
            if read < length {
                return Err(DimacsError::ShortRows { row: u + 1, vertices });
            }
            for v in (0..u).filter(|v| row[v / 8] & (0x80 >> (v % 8)) != 0) {
                found.graph.add_edge(u, v);
            }
        }
        Ok(found)
    }
}

/// Appends the next line to `text`. Returns whether there is one.
fn read_line(
    reader: &mut impl BufRead,
    text: &mut Vec<u8>,
    line: usize,
) -> Result<bool, DimacsError> {
    let read = Read::take(reader, MAX_LINE + 1)
        .read_until(b'\n', text)
        .map_err(|source| DimacsError::Read { line, source })?;
    if read as u64 > MAX_LINE {
        return Err(DimacsError::LongLine { line });
    }
    Ok(read > 0)
}

/// What the lines of text say, line by line.
#[derive(Default)]
struct Lines {
    found: Option<Dimacs>,
    unused: BTreeSet<char>,
}

impl Lines {
    /// Reads all lines. `line` is the number of the first line.
    fn read(mut self, mut reader: impl BufRead, mut line: usize) -> Result<Dimacs, DimacsError> {
        let mut text = Vec::new();
        while read_line(&mut reader, &mut text, line)? {
            // A comment may be in any encoding. In other lines, a byte that is not ASCII is an
            // error.
            self.take(&String::from_utf8_lossy(&text), line)?;
            text.clear();
            line += 1;
        }
        let found = self.found.ok_or(DimacsError::NoProblem { line })?;
        Ok(Dimacs { unused: self.unused, ..found })
    }

    fn take(&mut self, text: &str, line: usize) -> Result<(), DimacsError> {
        let mut fields = text.split_ascii_whitespace();
        match fields.next() {
            None | Some("c") => {}
            Some("p") if self.found.is_some() => return Err(DimacsError::SecondProblem { line }),
            Some("p") => {
                let (vertices, announced) = problem(fields, line)?;
                let (graph, unused) = (Graph::new(vertices), BTreeSet::new());
                self.found = Some(Dimacs { graph, announced, line, unused });
            }
            Some("e") => {
                let graph = &mut self.found.as_mut().ok_or(DimacsError::NoProblem { line })?.graph;
                let (u, v) = edge(fields, graph.vertices(), line)?;
                graph.add_edge(u, v);
            }
            Some("n" | "d" | "v" | "x") => self.unused.extend(text.trim_start().chars().next()),
            // Some files write comments without a space after the letter.
            Some(word) if word.starts_with('c') => {}
            Some(word) => {
                return Err(DimacsError::Kind { line, found: word.chars().take(20).collect() });
            }
        }
        Ok(())
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
