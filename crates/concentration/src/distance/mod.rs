//! The augmented distance of two images: that of their nearest views.
//!
//! d_A(x₁, x₂) = min ‖x₁′ − x₂′‖ over the views x₁′ of x₁ and x₂′ of x₂ (Huang et al., ICLR 2023,
//! section 2). Views are bytes, so d_A² is an integer and is computed exactly. With it come the
//! views that attain it; of equals, the first in lexicographic order. The answer does not depend on
//! threads, on the instruction set or on interruptions.
//!
//! # Why few distances need computing
//!
//! A map φ with ‖φ(a) − φ(b)‖ ≤ ‖a − b‖ bounds every distance from below, so a pair of views whose
//! bound exceeds the smallest distance found so far cannot be the nearest. Take orthonormal vectors
//! e₁ … e_k and let φ(a) = (e₁·a, …, e_k·a, r(a)), where r(a)² = ‖a‖² − Σ(eᵢ·a)² is what the k
//! products leave out of the norm. Split a − b into its part in the span of the e and its part
//! orthogonal to them. The first has the length of the differences of the products; the second is
//! at least |r(a) − r(b)| long, by the reverse triangle inequality. So ‖φ(a) − φ(b)‖² ≤ ‖a − b‖².
//! With k = 0 this is the difference of the norms.
//!
//! The e are cosines of low frequency over rows, columns and channels (the DCT-II), where images
//! differ most: those that vary most over a sample of the views. On augmented CIFAR images, fifteen
//! of them and r leave about one pair of views in a hundred, sixty-three about one in five hundred.
//! Only these are compared in full, the smallest bound first.
//!
//! # Why it stays exact
//!
//! The numbers of φ are rounded. With u = 2⁻⁵³ an e·a that is summed in f64 in three stages (rows,
//! columns, channels) is off by at most e_c = (height + width + channels + 128)·u·1.01·‖a‖, by
//! Cauchy–Schwarz in each stage: a sum of n products rounds by n·u, and a cosine, whose angle below
//! 2π is off by 3·u of itself, by less than 28·u a stage. Then Σ(e·a)² is off by at most
//! 2√k·‖a‖·e_c + k·e_c² + (k + 2)·u·‖a‖², and r by at most the root of that, e_r. Rounding to f32
//! adds 2⁻²⁴ of every number, so of ‖φ‖ = ‖a‖. Two views of norm at most R = 255·√D thus have
//! ‖φ̂(a) − φ̂(b)‖ ≤ ‖a − b‖ + E, E = 2·(√k·e_c + e_r + 2⁻²⁴·(R + √k·e_c + e_r)), and the f32 sum
//! of k + 1 squares is at most 1 + (k + 9)·2⁻²⁴ times the true one (terms of second order are
//! covered by the spare summands). So a pair of views is passed over only where that sum is above
//! (d + E)² times this factor, d the smallest distance so far.
//!
//! Where bounds exclude little, as among random bytes, a sample of the images shows it. Then all
//! products are computed, a tile of image pairs at a time, and only the least distance of each pair
//! is kept.

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
