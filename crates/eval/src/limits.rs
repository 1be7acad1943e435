//! Sizes of the largest inputs that measures take.

/// Maximum number of classes. It is far above the number in any set of images, and far below a
/// number that exhausts memory.
pub const MAX_CLASSES: usize = 1 << 20;

/// Maximum number of values in a row for measures that need eigenvalues
/// ([`geometry::rank_me`](crate::geometry::rank_me), [`pca`](crate::pca)). Their dim × dim second
/// moments then fill 134 MB.
pub const MAX_DIM: usize = 4096;
