//! Generalisation bounds of contrastive self-supervised learning, as pure f64 functions.
//!
//! The theory is by Huang, Yi, Zhao and Jiang, "Towards the Generalization of Contrastive
//! Self-Supervised Learning" (ICLR 2023, arXiv 2111.00743), with additions by this project;
//! `docs/theory.md` has the proofs.
//!
//! All quantities refer to a finite world: N images, the M views A(x) drawn for each image, their
//! embeddings f(x'), and one label per image. For that world, everything in [`measure`] is exact,
//! and the results of [`bounds`] are proved:
//!
//! 1. [`Views`] and [`Labels`] hold the world, which is checked once.
//! 2. [`measure`] computes alignment, view diameters (R_ε), class centres (divergence), and the
//!    losses.
//! 3. [`bounds`] turns these measurements into bounds on the error of the nearest-centre classifier
//!    and on the divergence.
//! 4. [`Trust`] says whether a number is exact, an estimate, a bound or an assumption.
//!
//! ```
//! use selfsame_theory::bounds::certificate::{Class, Form, MainPart, World};
//! use selfsame_theory::{Labels, Views, measure};
//!
//! // Two classes of two images with two views each, about the two ends of a circle's diameter.
//! let values = [1.0_f32, 0.0, 1.0, 0.01, 1.0, 0.02, 1.0, 0.0, -1.0, 0.0, -1.0, 0.01, -1.0, 0.0, -1.0, 0.03];
//! let views = Views::new(4, 2, 2, &values)?.on_sphere()?;
//! let labels = Labels::new(vec![0, 0, 1, 1], 2)?;
//!
//! let centres = measure::centres(&views, &labels)?;
//! let diameters = labels.split(&measure::diameters(&views).of_image)?;
//! // In pixels the two images of either class are 3 apart, by views that f puts at most 0.02 from each other.
//! let parts = [MainPart { delta: 0.0, images: 1, gap: 0.0 }, MainPart { delta: 3.0, images: 2, gap: 0.02 }];
//! let classes = diameters.into_iter().map(|diameters| Class { main_parts: parts.to_vec(), diameters });
//! let world = World::new(1.0, centres.products(), classes.collect())?;
//!
//! let certificate = world.certify(Form::Derived);
//! assert!(certificate.holds() && certificate.error == 0.0);
//! assert_eq!(centres.errors(&views, &labels)?.overall, 0.0);
//! # Ok::<(), selfsame_theory::Error>(())
//! ```

pub mod bounds;
mod error;
mod kendall;
mod labels;
pub mod measure;
mod sum;
mod trust;
mod views;

pub use error::Error;
pub use kendall::{Kendall, kendall_tau};
pub use labels::Labels;
pub use trust::{Quantity, Side, Trust};
pub use views::{Values, Views};
