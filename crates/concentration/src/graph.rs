//! Undirected graphs as rows of bits.

use crate::bits;

/// A simple undirected graph with n vertices 0, …, n − 1. Each vertex has the set of its neighbours
/// as bits, so the graph takes n²/8 bytes.
///
/// ```
/// use selfsame_concentration::Graph;
///
/// let path = Graph::from_edges(3, [(0, 1), (1, 2)]);
/// assert!(path.has_edge(1, 0) && !path.has_edge(0, 2));
/// assert_eq!((path.vertices(), path.edges(), path.degree(1)), (3, 2, 2));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    vertices: usize,
    words: usize,
    rows: Vec<u64>,
}

impl Graph {
    /// Creates a graph with `vertices` vertices and no edges.
    pub fn new(vertices: usize) -> Self {
        let words = bits::words(vertices);
        Self { vertices, words, rows: vec![0; vertices * words] }
    }

    /// Creates a graph with the given edges. An edge may be given more than once and in either
    /// direction.
    ///
    /// # Panics
    /// If an edge joins a vertex to itself, or names a vertex that the graph does not have.
    pub fn from_edges(vertices: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut graph = Self::new(vertices);
        for (u, v) in edges {
            graph.add_edge(u, v);
        }
        graph
    }

    /// Creates the graph whose edges are the pairs with a key of at most `threshold`.
    ///
    /// `keys` holds the keys of the pairs i < j by rows: (0,1), (0,2), …, (1,2), …; see
    /// [`pair_index`].
    ///
    /// # Panics
    /// If `keys` does not hold n(n − 1)/2 keys.
    pub fn from_threshold(vertices: usize, keys: &[u64], threshold: u64) -> Self {
        assert_eq!(keys.len(), pairs(vertices), "one key a pair of {vertices} vertices");
        let mut graph = Self::new(vertices);
        let mut keys = keys.iter();
        for i in 0..vertices {
            for j in i + 1..vertices {
                if keys.next().is_some_and(|&key| key <= threshold) {
                    graph.add_edge(i, j);
                }
            }
        }
        graph
    }

    /// Joins two vertices.
    ///
    /// # Panics
    /// If the two vertices are the same, or if the graph does not have one of them.
    pub fn add_edge(&mut self, u: usize, v: usize) {
        assert!(
            u != v && u < self.vertices && v < self.vertices,
            "edge {u}-{v} in a graph of {}",
            self.vertices
        );
        bits::insert(&mut self.rows[u * self.words..][..self.words], v);
        bits::insert(&mut self.rows[v * self.words..][..self.words], u);
    }

    /// Returns the number of vertices.
    pub fn vertices(&self) -> usize {
        self.vertices
    }

    /// Returns the number of edges.
    pub fn edges(&self) -> usize {
        bits::count(&self.rows) / 2
    }

    /// Returns the share of all pairs of vertices that are joined, or 1 if there are no pairs.
    pub fn density(&self) -> f64 {
        if self.vertices < 2 { 1.0 } else { self.edges() as f64 / pairs(self.vertices) as f64 }
    }

    /// Returns whether two vertices are joined.
    ///
    /// # Panics
    /// If the graph does not have one of the vertices.
    pub fn has_edge(&self, u: usize, v: usize) -> bool {
        assert!(v < self.vertices, "vertex {v} in a graph of {}", self.vertices);
        bits::contains(self.row(u), v)
    }

    /// Returns the number of neighbours of a vertex.
    ///
    /// # Panics
    /// If the graph does not have the vertex.
    pub fn degree(&self, v: usize) -> usize {
        bits::count(self.row(v))
    }

    /// Iterates over the neighbours of a vertex in ascending order.
    ///
    /// # Panics
    /// If the graph does not have the vertex.
    pub fn neighbours(&self, v: usize) -> impl Iterator<Item = usize> + '_ {
        bits::iter(self.row(v))
    }

    /// Returns the neighbours of a vertex as bits.
    #[inline(always)]
    pub(crate) fn row(&self, v: usize) -> &[u64] {
        &self.rows[v * self.words..][..self.words]
    }

    /// Returns the number of words per row.
    #[inline(always)]
    pub(crate) fn words(&self) -> usize {
        self.words
    }

    /// Returns the graph induced by the given vertices. Vertex `order[i]` becomes vertex i.
    pub(crate) fn induced(&self, order: &[u32]) -> Self {
        let mut graph = Self::new(order.len());
        for (i, &u) in order.iter().enumerate() {
            let row = self.row(u as usize);
            let target = &mut graph.rows[i * graph.words..][..graph.words];
            for (word, vertices) in target.iter_mut().zip(order.chunks(64)) {
                for (bit, &v) in vertices.iter().enumerate() {
                    *word |= (row[v as usize / 64] >> (v % 64) & 1) << bit;
                }
            }
        }
        graph
    }

    /// Returns the complement, which joins exactly the pairs that this graph does not join.
    pub fn complement(&self) -> Self {
        let all = bits::full(self.vertices);
        let mut graph = Self::new(self.vertices);
        for v in 0..self.vertices {
            let target = &mut graph.rows[v * self.words..][..self.words];
            for (target, (all, row)) in target.iter_mut().zip(all.iter().zip(self.row(v))) {
                *target = all & !row;
            }
            bits::remove(target, v);
        }
        graph
    }
}

/// Returns the number of pairs of `n` elements.
pub(crate) fn pairs(n: usize) -> usize {
    n * n.saturating_sub(1) / 2
}

/// Returns the index of the pair i < j of `n` elements in a packed strict upper triangle, row by
/// row.
///
/// ```
/// use selfsame_concentration::pair_index;
///
/// assert_eq!([pair_index(4, 0, 1), pair_index(4, 0, 3), pair_index(4, 1, 2), pair_index(4, 2, 3)], [0, 2, 3, 5]);
/// ```
pub fn pair_index(n: usize, i: usize, j: usize) -> usize {
    debug_assert!(i < j && j < n);
    i * n - i * (i + 1) / 2 + (j - i - 1)
}
