//! Self-supervised representation learning that tells you, before and after training, how well the
//! representation will generalise.
//!
//! The crates that do the work, one a stage, are re-exported here:
//!
//! - [`data`]: images, from many formats, as three splits;
//! - [`augment`]: views of an image as pure functions of their key;
//! - [`concentration`]: how an augmentation gathers a class: exact distances, maximum cliques,
//!   forecasts;
//! - [`nn`]: encoders on Burn;
//! - [`methods`]: what is minimised;
//! - [`train`]: the loop, its checkpoints and logs;
//! - [`eval`]: what an encoder is worth;
//! - [`theory`]: what the embeddings prove of it, and what not;
//! - [`report`]: the records of a run, and its page.

pub mod bench;
mod certify;
mod compare;
mod digest;
mod embed;
mod error;
mod evaluate;
mod export;
pub mod forecast;
pub mod grid;
mod images;
pub mod init;
mod page;
mod policy;
mod pretrain;
mod progress;
pub mod reproduce;
mod run;
pub mod sampling;
mod study;
pub mod views;

pub use certify::{
    CertifyInput, CertifyOptions, Embeddings, certify, read_embeddings, write_certificate,
};
pub use compare::{compare, write_comparison};
pub use digest::{digest, digest_of};
pub use embed::{EmbedOptions, Embedded, EmbeddedImage, embed};
pub use error::{CompareError, Error};
pub use evaluate::{EvaluateOptions, evaluate};
pub use export::{ExportFormat, ExportOptions, Exported, export};
pub use forecast::{ForecastOptions, forecast};
pub use images::load;
pub use page::{report, write_page};
pub use policy::policy;
pub use pretrain::{
    EncoderKind, Images, MethodChoice, OnCollapse, PretrainOptions, Pretrained, ResumeOptions,
    pretrain, resume,
};
pub use progress::Progress;
pub use reproduce::{ReproduceOptions, reproduce};
pub use run::{Run, check_folder, in_use, machine};
pub use study::{Study, StudyOptions, resume_study, study};
pub use views::{ViewsOptions, views};

pub use selfsame_augment as augment;
pub use selfsame_concentration as concentration;
pub use selfsame_data as data;
pub use selfsame_eval as eval;
pub use selfsame_methods as methods;
pub use selfsame_nn as nn;
pub use selfsame_report as report;
pub use selfsame_theory as theory;
pub use selfsame_train as train;
