//! What each transform does to the pixels, rounded as PIL rounds.

pub(crate) mod blur;
pub(crate) mod colour;
pub(crate) mod resize;
