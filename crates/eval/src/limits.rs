//! The largest inputs that measures take.

/// The most classes: far above any set of images, far below what exhausts memory.
pub const MAX_CLASSES: usize = 1 << 20;

/// The most values in a row for measures that need eigenvalues
/// ([`geometry::rank_me`](crate::geometry::rank_me), [`pca`](crate::pca)). Their dim × dim second
/// moments then fill 134 MB.
pub const MAX_DIM: usize = 4096;
