//! The steps of a view on its planes: one channel after the other, rows from the top.

pub(crate) mod blur;
pub(crate) mod colour;
pub(crate) mod geometry;
pub(crate) mod resize;
