//! The augmented distance of two images: the distance of their nearest views.
//!
//! d_A(x₁, x₂) = min ‖x₁′ − x₂′‖ over the views x₁′ of x₁ and x₂′ of x₂ (Huang et al., ICLR 2023,
//! section 2). Views are bytes, so d_A² is an integer and is computed exactly. The views that
//! attain the distance are returned too; among equally near pairs of views, the first pair in
//! lexicographic order. The answer does not depend on threads, on the instruction set or on
//! interruptions.
//!
//! # Why only a few distances are computed
//!
//! A map φ with ‖φ(a) − φ(b)‖ ≤ ‖a − b‖ bounds every distance from below. A pair of views whose
//! bound exceeds the smallest distance found so far therefore cannot be the nearest pair. Take
//! orthonormal vectors e₁ … e_k and let φ(a) = (e₁·a, …, e_k·a, r(a)). Here r(a)² = ‖a‖² − Σ(eᵢ·a)²
//! is the part of the squared norm that the k products leave out. Split a − b into its part in the
//! span of the vectors e and its part orthogonal to them. The first part is as long as the vector
//! of the differences of the products. The second part is at least |r(a) − r(b)| long, by the
//! reverse triangle inequality. So ‖φ(a) − φ(b)‖² ≤ ‖a − b‖². With k = 0 this bound is the
//! difference of the norms.
//!
//! The vectors e are cosines of low frequency over rows, columns and channels (the DCT-II), in
//! which images differ the most; those that vary the most over a sample of the views are chosen. On
//! augmented CIFAR images, fifteen cosines and r leave about one pair of views in a hundred, and
//! sixty-three cosines and r leave about one in five hundred. Only these pairs are compared in
//! full, the smallest bound first.
//!
//! # Why the result stays exact
//!
//! The numbers of φ are rounded. Let u = 2⁻⁵³. A product e·a that is summed in f64 in three stages
//! (rows, columns, channels) is off by at most e_c = (height + width + channels + 128)·u·1.01·‖a‖,
//! by Cauchy–Schwarz in each stage: the rounding error of a sum of n products is n·u, and a cosine
//! contributes less than 28·u per stage, because its angle is below 2π and has a relative error of
//! 3·u. Then Σ(e·a)² is off by at most 2√k·‖a‖·e_c + k·e_c² + (k + 2)·u·‖a‖², and r by at most the
//! root of that bound, e_r. Rounding to f32 adds a relative error of 2⁻²⁴ to every number, and
//! therefore to ‖φ‖ = ‖a‖. Two views with norms of at most R = 255·√D thus have ‖φ̂(a) − φ̂(b)‖ ≤
//! ‖a − b‖ + E, with E = 2·(√k·e_c + e_r + 2⁻²⁴·(R + √k·e_c + e_r)). The f32 sum of k + 1 squares
//! is at most 1 + (k + 9)·2⁻²⁴ times the true sum (terms of second order are covered by the spare
//! summands). So a pair of views is skipped only if that sum is above (d + E)² times this factor,
//! where d is the smallest distance so far.
//!
//! If bounds exclude little, as they do for random bytes, a sample of the images shows that. Then
//! all products are computed, one tile of image pairs at a time, and only the smallest distance of
//! each pair is kept.

mod distances;
mod embedding;
mod nearest;
mod run;
mod sketch;
mod state;
mod views;

pub use distances::{Distances, Metric};
pub use embedding::Embeddings;
pub use run::{Options, Progress, Run, Search, augmented_distances};
pub use selfsame_kernels::isa::Isa;
pub use state::StateError;
pub use views::{Shape, Views, ViewsError};
