//! The interface of every matrix of features.

/// A matrix with one row per image or per view.
///
/// Measures read rows in blocks, so a matrix may be stored in any way: as `f32`
/// ([`Features`](crate::Features)), as the bytes of images in memory ([`Pixels`](crate::Pixels)),
/// or as a function of another matrix ([`Normalised`](crate::Normalised)). Every value must be
/// finite. The types of this crate check this; other implementations must do so too.
pub trait Rows: Sync {
    /// Returns the number of rows.
    fn rows(&self) -> usize;

    /// Returns the number of values in a row, at least 1.
    fn dim(&self) -> usize;

    /// Writes row `row` (below [`rows`](Self::rows)) into `into`, which holds [`dim`](Self::dim)
    /// values.
    fn read(&self, row: usize, into: &mut [f32]);
}

impl Rows for &dyn Rows {
    fn rows(&self) -> usize {
        (**self).rows()
    }

    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn read(&self, row: usize, into: &mut [f32]) {
        (**self).read(row, into);
    }
}

/// Some of the rows of a matrix.
pub(crate) struct Chosen<'a> {
    pub rows: &'a dyn Rows,
    pub chosen: &'a [usize],
}

impl Rows for Chosen<'_> {
    fn rows(&self) -> usize {
        self.chosen.len()
    }

    fn dim(&self) -> usize {
        self.rows.dim()
    }

    fn read(&self, row: usize, into: &mut [f32]) {
        self.rows.read(self.chosen[row], into);
    }
}

/// The rows of two matrices of one dimension, one matrix after the other.
pub(crate) struct Stacked<'a>(pub [&'a dyn Rows; 2]);

impl Rows for Stacked<'_> {
    fn rows(&self) -> usize {
        self.0[0].rows() + self.0[1].rows()
    }

    fn dim(&self) -> usize {
        self.0[0].dim()
    }

    fn read(&self, row: usize, into: &mut [f32]) {
        let [first, second] = self.0;
        match row.checked_sub(first.rows()) {
            None => first.read(row, into),
            Some(row) => second.read(row, into),
        }
    }
}
