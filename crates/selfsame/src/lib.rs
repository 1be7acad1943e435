//! Self-supervised representation learning that tells you, before and after training, how well the
//! representation will generalise.
//!
//! Every verb is a function. It takes its inputs, a struct of options with sensible defaults and, if
//! it takes a while, a listener: a [`Progress`], or `&mut ()` if nobody listens. It returns a record,
//! from which pages are made. Verbs that have a folder write into it: [`study`], [`pretrain`],
//! [`evaluate`](evaluate()), [`reproduce`](reproduce()), and [`forecast`](forecast()) if it is given
//! one. [`embed`](embed()) and [`export`](export()) write the file that they are given. The records
//! of the others are written by the caller, for example with [`Run::write_certificate`].
//!
//! # A tour
//!
//! **Images** come from a folder, a tar file, the files of CIFAR or MNIST, the built-in glyphs, or
//! from memory ([`data::Split::new`]). [`load`] splits them for training, validation and test, and
//! resizes them to one size.
//!
//! ```
//! use selfsame::data::LoadOptions;
//!
//! let options = LoadOptions { limit: Some(100), ..LoadOptions::default() };
//! let images = selfsame::load("glyphs", &options, &mut ())?;
//! assert_eq!((images.classes.len(), images.image_size), (10, 32));
//! # Ok::<(), selfsame::Error>(())
//! ```
//!
//! **A look at them** comes first: [`inspect`](inspect()) finds copies across splits, near copies,
//! images that stand out, and says what training would do with it all.
//!
//! ```
//! # let options = selfsame::data::LoadOptions { limit: Some(40), ..Default::default() };
//! # let images = selfsame::load("glyphs", &options, &mut ())?;
//! let inspection = selfsame::inspect(&images, &selfsame::InspectOptions::default(), &mut ())?;
//! assert!(inspection.copies.exact.is_empty());
//! # Ok::<(), selfsame::Error>(())
//! ```
//!
//! **Views** of an image are what a method learns from. A [`policy`] draws them, and
//! [`views`](views()) shows them on a page, with the random choices behind each view.
//!
//! ```
//! let policy = selfsame::policy("simclr")?; // or letters: crop, blur, grey, colour, flip: "abcde"
//! # let options = selfsame::data::LoadOptions { limit: Some(40), ..Default::default() };
//! # let images = selfsame::load("glyphs", &options, &mut ())?;
//! let options = selfsame::ViewsOptions::default();
//! let gallery = selfsame::views(&images, &[("simclr".into(), policy)], &options, &mut ())?;
//! assert!(gallery.page().contains("simclr"));
//! # Ok::<(), selfsame::Error>(())
//! ```
//!
//! **Before training**, [`forecast`](forecast()) ranks policies by how well they bring the images
//! of a class together.
//!
//! ```no_run
//! # let images = selfsame::load("glyphs", &Default::default(), &mut ())?;
//! let policies = selfsame::policies(&["a,ad,abcde"])?;
//! let options = selfsame::ForecastOptions::default();
//! let forecast = selfsame::forecast(&images, &policies, &options, &mut ())?;
//! println!("{} gathers best", forecast.policies[0].name);
//! # Ok::<(), selfsame::Error>(())
//! ```
//!
//! **Training** and measuring take one call, [`study`], or two, [`pretrain`] and
//! [`evaluate`](evaluate()). A [`Run`] is a folder. [`resume`] continues a run that was stopped or
//! killed, and ends with the same bytes as an uninterrupted run.
//!
//! ```no_run
//! use selfsame::StudyOptions;
//!
//! let options = StudyOptions {
//!     data: "photos/".into(),
//!     method: "byol".into(),
//!     augment: Some(selfsame::policy("simclr")?),
//!     epochs: Some(100),
//!     ..StudyOptions::default()
//! };
//! let study = selfsame::study(&options, &mut ())?;
//! if let Some(trained) = study.evaluation.trained() {
//!     println!("kNN {:.3}; see {}", trained.knn_acc1, study.training.report.display());
//! }
//! # Ok::<(), selfsame::Error>(())
//! ```
//!
//! **After training**, [`certify`] measures the quantities of the theory and proves what follows
//! from them: an error bound, and how far apart the classes are. Each number says whether it is
//! exact, an estimate, a bound or assumed. [`compare`] tells which of these measures predict the
//! accuracies of several runs.
//!
//! ```no_run
//! use selfsame::{CertifyInput, CertifyOptions, Run};
//!
//! let run = Run::open("runs/photos".as_ref())?;
//! let record =
//!     selfsame::certify(CertifyInput::Run(&run), &CertifyOptions::default(), &mut ())?;
//! println!("{} images measured", record.images);
//! run.write_certificate(&record)?; // certificate.json, and the run's page
//! # Ok::<(), selfsame::Error>(())
//! ```
//!
//! **To look at single images**, [`neighbours`](neighbours()) searches those most like any image. A
//! study also lists images whose labels are likely wrong (`suspects.json`), near copies, and groups
//! (`clusters.csv`).
//!
//! ```no_run
//! use selfsame::NeighboursOptions;
//!
//! let options = NeighboursOptions { images: vec!["017.jpg".into()], ..Default::default() };
//! let found = selfsame::neighbours("runs/photos".as_ref(), &options, &mut ())?;
//! println!("{} is most like {}", found.images[0].image.name, found.images[0].nearest[0].image.name);
//! # Ok::<(), selfsame::Error>(())
//! ```
//!
//! **For use elsewhere**, embeddings are exported as rows of numbers ([`embed`](embed())), and the
//! encoder as a file in ONNX or safetensors format ([`export`](export())).
//!
//! ```no_run
//! let run = "runs/photos".as_ref();
//! let embedded = selfsame::embed(run, &selfsame::EmbedOptions::default(), &mut ())?;
//! println!("{} starts with {}", embedded.images[0].name, embedded.features.row(0)[0]);
//! selfsame::export(run, &selfsame::ExportOptions::default())?; // photos.onnx
//! # Ok::<(), selfsame::Error>(())
//! ```
//!
//! **Many runs** form a [`grid::Grid`]: rows, columns and seeds. [`reproduce`](reproduce()) trains
//! the runs and makes their tables. The experiments of the paper are built in.
//!
//! ```
//! use selfsame::grid::{Grid, GridOptions};
//!
//! let grid = Grid::read("methods-glyphs", &GridOptions::default())?;
//! assert_eq!(grid.seeds, [0, 1, 2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An [`Error`] states the cause as a value; the command line adds advice on how to fix it.
//!
//! # The underlying crates
//!
//! Each stage has its own crate, re-exported here:
//!
//! - [`data`]: reads images, from many formats, into three splits;
//! - [`augment`]: draws views of an image as pure functions of their key;
//! - [`concentration`]: measures how an augmentation gathers a class: exact distances, maximum
//!   cliques, forecasts;
//! - [`nn`]: encoders on Burn;
//! - [`methods`]: the losses that training minimises;
//! - [`train`]: the training loop, its checkpoints and logs;
//! - [`eval`]: measures the quality of an encoder;
//! - [`theory`]: what the embeddings prove about the encoder, and what they do not prove;
//! - [`report`](mod@report): the records of a run, and its page.

mod all;
pub mod bench;
mod certify;
mod compare;
mod csv;
mod digest;
mod embed;
mod encoder;
mod error;
mod evaluate;
mod export;
pub mod forecast;
pub mod grid;
mod images;
pub mod init;
mod inspect;
mod look;
mod neighbours;
mod page;
mod pictures;
mod policy;
mod pretrain;
mod progress;
pub mod reproduce;
mod run;
mod sampling;
mod study;
pub mod views;
mod weights;

pub use certify::{
    CertifyInput, CertifyOptions, Embeddings, certify, check_certificate_folder, read_embeddings,
    write_certificate,
};
pub use compare::{compare, write_comparison};
pub use digest::{digest, digest_of};
pub use embed::{EmbedOptions, Embedded, EmbeddedImage, embed, embed_encoder};
pub use encoder::EncoderKind;
pub use error::{CompareError, Error, ForecastDifference};
pub use evaluate::{EvaluateEncoderOptions, EvaluateOptions, evaluate, evaluate_encoder};
pub use export::{ExportFormat, ExportOptions, Exported, export, export_encoder};
pub use forecast::{ForecastOptions, forecast};
pub use images::load;
pub use inspect::{InspectOptions, inspect};
pub use neighbours::{NeighboursOptions, neighbours};
pub use page::{report, write_page};
pub use policy::{policies, policy, usual_policy};
pub use pretrain::{
    Images, MethodChoice, OnCollapse, PretrainOptions, Pretrained, ResumeOptions, pretrain, resume,
};
pub use progress::Progress;
pub use reproduce::{ReproduceOptions, reproduce};
pub use run::{Run, check_new, make_parent};
use run::{check_folder, in_use, machine};
pub use sampling::{TimeError, time};
pub use study::{Study, StudyOptions, resume_study, study};
pub use views::{ViewsOptions, views};
pub use weights::{Loaded, WeightsOptions, read_encoder};

pub use selfsame_augment as augment;
pub use selfsame_concentration as concentration;
pub use selfsame_data as data;
pub use selfsame_eval as eval;
pub use selfsame_methods as methods;
pub use selfsame_nn as nn;
pub use selfsame_report as report;
pub use selfsame_theory as theory;
pub use selfsame_train as train;
