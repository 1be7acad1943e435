//! Turns the records of a run into one self-contained HTML page. Other records get pages too.
//!
//! A run is a folder of small JSON records ([`record`]): the configuration (`run.json`), the
//! progress of training (`metrics.jsonl`), the results of the evaluation (`eval.json`) and what was
//! predicted for each test image (`predictions.json`), a map of the embeddings (`map.json`), what
//! the encoder says of single images (`look.json` and `neighbours.json`), the certificate (`certificate.json`) and a sheet of augmented views (`views.json`). The stages of a
//! run write these records with [`write_json`]; [`read`] reads all that the page of a run shows, and
//! [`render`] makes the page.
//!
//! Other pages show other records:
//! - [`render_gallery`] shows a [`gallery::Gallery`] of views;
//! - [`render_forecast`] shows a [`forecast::Forecast`];
//! - [`render_certificate`] shows a certificate of encoders or embeddings that no run made;
//! - [`render_comparison`] shows a [`comparison::Comparison`] of runs;
//! - [`render_inspection`] shows an [`inspection::Inspection`] of a data set;
//! - [`render_experiment`] shows an [`experiment::Experiment`] of many runs;
//! - [`render_roofline`] shows a [`roofline::Roofline`].
//!
//! ```
//! use selfsame_report::{read, record, render, write_atomic, write_json};
//!
//! let run = std::env::temp_dir().join(format!("selfsame-doc-{}", std::process::id()));
//! std::fs::create_dir_all(&run)?;
//! let mut record = record::RunRecord::default();
//! record.method = "simclr".into();
//! write_json(&run.join(record::RUN_FILE), &record)?;
//!
//! let page = render(&read(&run)?); // no evaluation yet: the page says so in words
//! write_atomic(&run.join(record::PAGE_FILE), page.as_bytes())?;
//! assert!(page.contains("SimCLR"));
//! # std::fs::remove_dir_all(&run)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod certificate;
pub mod comparison;
pub mod evaluation;
pub mod experiment;
mod folder;
pub mod forecast;
mod format;
pub mod gallery;
pub mod inspection;
mod interval;
pub mod look;
pub mod next;
mod page;
pub mod predictions;
pub mod record;
pub mod roofline;
mod shell;
mod sprite;
mod table;

pub use folder::{
    Report, ReportError, read, read_certificate, read_evaluation, read_neighbours,
    read_predictions, write_atomic, write_json,
};
pub use format::{about, counted, number_to, percent, percent_up, signed};
pub use interval::{Interval, MeanInterval, band, mean_interval, paired, wilson};
pub use page::{
    render, render_certificate, render_comparison, render_experiment, render_forecast,
    render_gallery, render_inspection, render_roofline,
};
pub use shell::quoted;
pub use sprite::{Sprite, SpriteError};
pub use table::evaluation_lines;
