//! Certificates: the theory's measures of an encoder, and the bounds that it proves.

mod arrays;
mod drawn;
mod facts;
mod findings;
mod header;
mod inputs;
mod measure;

use std::borrow::Cow;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use burn::tensor::Device;
use selfsame_augment::Policy;
use selfsame_data::{Dataset, SplitName};
use selfsame_nn::Backbone;
use selfsame_report::certificate::{CERTIFICATE_FILE, CertificateRecord, LeftOut, Named};
use selfsame_report::record::{Evaluation, PAGE_FILE};
use selfsame_report::{read_evaluation, render_certificate, wilson, write_atomic, write_json};
use selfsame_theory::bounds::lipschitz;
use selfsame_theory::{Labels, Quantity, Trust, Views};
use selfsame_train::checkpoint::Which;

pub use self::arrays::read_embeddings;
use self::drawn::{DrawnViews, choose_images, examples, labels_of};
use self::facts::Facts;
use self::inputs::{EmbeddedImages, PolicyParameters};
use crate::images::{check, note_skipped};
use crate::page::write_page;
use crate::run::describe_weights;
use crate::{Error, Progress, Run, check_folder, digest_of};

/// Maximum number of classes. Some matrices have one row and one column per class; each of these
/// matrices takes 128 MB for this number of classes.
const MOST_CLASSES: usize = 4000;

/// The subject of a certificate.
#[derive(Debug, Clone, Copy)]
pub enum CertifyInput<'a> {
    /// The encoder of a run, on the run's images and views.
    Run(&'a Run),
    /// An encoder from any source.
    Encoder {
        /// Name of the encoder on the page.
        name: &'a str,
        /// The encoder, on [`CertifyOptions::device`].
        encoder: &'a Backbone,
        /// The images.
        dataset: &'a Dataset,
        /// The policy that draws the images' views.
        policy: &'a Policy,
    },
    /// Embeddings from any source. Without pixels there is no bound on the error.
    Embeddings(&'a Embeddings<'a>),
}

/// Embeddings of the views of some images.
///
/// ```
/// use selfsame::Embeddings;
///
/// // Three images with two views of two values each.
/// let values = [1.0_f32, 0.0, 0.9, 0.1, 0.8, -0.1, 1.0, 0.2, -1.0, 0.0, -0.9, 0.2];
/// let embeddings = Embeddings::new(&values[..], 3, 2, 2).labelled(&["cat", "cat", "dog"])?;
/// assert_eq!(embeddings.classes, ["cat", "dog"]);
/// # Ok::<(), selfsame::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Embeddings<'a> {
    /// Name of the embeddings on the page.
    pub name: String,
    /// The values as `[image][view][value]`. The first view of an image is the image itself.
    pub values: Cow<'a, [f32]>,
    /// Number of images.
    pub images: usize,
    /// Number of views per image.
    pub views: usize,
    /// Number of values per embedding.
    pub dim: usize,
    /// The class of each image, if known.
    pub labels: Option<Labels>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Whether the values were rounded from 64 bits. The certificate then says so.
    pub rounded: bool,
    /// Name of an array beside the embeddings that looks like their labels but is not read. The
    /// certificate then says so.
    pub like_labels: Option<String>,
    /// Names of other arrays beside the embeddings that are not read. The certificate names them.
    pub unread: Vec<String>,
}

impl<'a> Embeddings<'a> {
    /// Wraps embeddings without labels. [`certify`] checks that there are `images` × `views` ×
    /// `dim` values.
    pub fn new(values: impl Into<Cow<'a, [f32]>>, images: usize, views: usize, dim: usize) -> Self {
        Self {
            name: "embeddings".into(),
            values: values.into(),
            images,
            views,
            dim,
            labels: None,
            classes: Vec::new(),
            rounded: false,
            like_labels: None,
            unread: Vec::new(),
        }
    }

    /// Adds one label per image. Labels are numbers or names, in any order and with any gaps.
    /// Classes are numbered in the order of their labels and take the labels as their names.
    ///
    /// # Errors
    /// If there are no labels.
    pub fn labelled<L: Ord + Display>(self, labels: &[L]) -> Result<Self, Error> {
        let mut present: Vec<&L> = labels.iter().collect();
        present.sort_unstable();
        present.dedup();
        let number = |label: &L| present.binary_search(&label).unwrap_or_default() as u32;
        let numbers = labels.iter().map(number).collect();
        Ok(Self {
            labels: Some(Labels::new(numbers, present.len())?),
            classes: present.iter().map(ToString::to_string).collect(),
            ..self
        })
    }
}

/// How to certify. [`Default`] measures 100 test images per class with 16 views each.
#[derive(Debug, Clone)]
pub struct CertifyOptions {
    /// A run's images, if they are already in memory. If `None`, the run reads them again.
    pub images: Option<Arc<Dataset>>,
    /// Split of the data set to take images from, for an encoder or a run.
    pub split: SplitName,
    /// Maximum number of images per class; at least 2.
    pub per_class: usize,
    /// Number of views drawn per image, in addition to the image itself; from 1 to 65535.
    pub views: usize,
    /// Time limit for the proof of each class's concentration curve. Points that are not proved by
    /// then are bounds. `None` means no limit for up to 100 images per class, and 10 seconds for
    /// more.
    pub budget: Option<Duration>,
    /// Which weights of a run to load.
    pub weights: Which,
    /// Seed of the views and of estimates by random draws. Certificates that are to be compared
    /// should share the seed.
    pub seed: u64,
    /// Whether embeddings may repeat the embeddings of an earlier image, as the embeddings of a
    /// copy do.
    pub allow_repeats: bool,
    /// Device that runs the encoder.
    pub device: Device,
}

impl Default for CertifyOptions {
    fn default() -> Self {
        Self {
            images: None,
            split: SplitName::Test,
            per_class: 100,
            views: 16,
            budget: None,
            weights: Which::Last,
            seed: 0,
            allow_repeats: false,
            device: Device::flex(),
        }
    }
}

impl CertifyOptions {
    /// Refuses options with which nothing can be measured. [`certify`] makes the same check; a
    /// caller can make the check before loading images.
    ///
    /// # Errors
    /// [`Error::Option`] if an option makes no sense.
    pub fn check(&self) -> Result<(), Error> {
        if self.per_class < 2 {
            let cause = "distances need at least 2 images of a class";
            return Err(Error::option("per_class", self.per_class, cause));
        }
        if self.views == 0 || self.views > 65_535 {
            let cause = "choose from 1 to 65535, beside the image itself";
            return Err(Error::option("views", self.views, cause));
        }
        Ok(())
    }
}

/// Measures a finite world of images, views and embeddings. Computes what the theory of Huang, Yi,
/// Zhao and Jiang (2023) proves about it: an upper bound on the error of the nearest-centre
/// classifier, and how far apart its classes are.
///
/// The views of an encoder are drawn only for the certificate: training, evaluation and forecasts
/// never see them. The certificate of a run also has the errors that an evaluation of the same
/// weights measured. [`CertificateRecord::command`] is empty, so that the record does not depend on
/// the caller.
///
/// # Errors
/// If options make no sense, if images cannot be loaded, do not fit the encoder or are too many, or
/// if embeddings are not finite, are zero, are all equal or repeat each other.
///
/// ```
/// use selfsame::{CertifyInput, CertifyOptions, Embeddings, certify};
///
/// let values = [1.0_f32, 0.1, 1.0, 0.2, 1.0, -0.1, 0.1, 1.0, 0.2, 1.0, -0.1, 1.0];
/// let embeddings = Embeddings::new(&values[..], 6, 1, 2).labelled(&[0, 0, 0, 1, 1, 1])?;
/// let record =
///     certify(CertifyInput::Embeddings(&embeddings), &CertifyOptions::default(), &mut ())?;
/// assert_eq!(record.named("nearest centre").unwrap().value, 0.0);
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn certify(
    input: CertifyInput<'_>,
    options: &CertifyOptions,
    progress: &mut dyn Progress,
) -> Result<CertificateRecord, Error> {
    match input {
        CertifyInput::Run(run) => certify_run(run, options, progress),
        CertifyInput::Encoder { name, encoder, dataset, policy } => {
            options.check()?;
            let mut record = certify_encoder(encoder, dataset, policy, options, progress)?;
            record.subject = name.into();
            record.left_out.extend(dataset.skipped.iter().map(|image| LeftOut::Image {
                name: image.name.clone(),
                cause: image.cause.clone(),
            }));
            note_skipped(dataset, Some("in certificate.json and its page"), progress);
            Ok(record)
        }
        CertifyInput::Embeddings(embeddings) => certify_embeddings(embeddings, options, progress),
    }
}

/// Refuses a folder that cannot take a certificate without a run.
///
/// # Errors
/// [`Error::Taken`] if the folder holds a run, or the page of something else;
/// [`Error::NotAFolder`].
pub fn check_certificate_folder(folder: &Path) -> Result<(), Error> {
    check_folder(folder)?;
    let by = if folder.join(Run::CONFIG_FILE).exists() {
        "a run"
    } else if folder.join(PAGE_FILE).exists() && !folder.join(CERTIFICATE_FILE).exists() {
        "another page"
    } else {
        return Ok(());
    };
    Err(Error::Taken { path: folder.to_owned(), by })
}

impl Run {
    /// Writes the run's certificate, `certificate.json`, and its page. Returns the path of the page.
    ///
    /// # Errors
    /// If a file cannot be written; an earlier version of that file then stays intact.
    pub fn write_certificate(&self, record: &CertificateRecord) -> Result<PathBuf, Error> {
        write_json(&self.path().join(CERTIFICATE_FILE), record)?;
        write_page(self)
    }
}

/// Writes a certificate without a run, `certificate.json`, and its page into a folder, creating the
/// folder if needed. An earlier certificate is replaced. Returns the path of the page.
///
/// # Errors
/// The errors of [`check_certificate_folder`]; also if a file cannot be written. An earlier version
/// of that file then stays intact.
pub fn write_certificate(folder: &Path, record: &CertificateRecord) -> Result<PathBuf, Error> {
    check_certificate_folder(folder)?;
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    write_json(&folder.join(CERTIFICATE_FILE), record)?;
    let page = folder.join(PAGE_FILE);
    write_atomic(&page, render_certificate(record).as_bytes())?;
    Ok(page)
}

fn certify_run(
    run: &Run,
    options: &CertifyOptions,
    progress: &mut dyn Progress,
) -> Result<CertificateRecord, Error> {
    options.check()?;
    let plan = run.plan()?;
    let (encoder, step) = run.trained(&plan, options.weights, &options.device)?;
    let dataset = run.images_or(options.images.clone(), &plan, false, progress)?;
    let mut record = certify_encoder(&encoder, &dataset, &plan.augment, options, progress)?;
    record.subject = run.path().display().to_string();
    record.weights = describe_weights(options.weights, step);
    record.step = Some(step);
    // Read only the evaluation: an older certificate may be damaged, and is about to be replaced.
    let evaluation = read_evaluation(run.path())?;
    match evaluated_errors(evaluation.as_ref(), step) {
        Ok(errors) => record.errors.extend(errors),
        Err(why) => record.left_out.push(why),
    }
    if let Some(evaluation) = evaluation.filter(|found| found.known > 0) {
        let (copies, images) = (evaluation.known, evaluation.scored());
        record.left_out.push(LeftOut::EvaluatedCopies { copies, images });
    }
    note_skipped(&dataset, Some("in the run's page and run.json"), progress);
    Ok(record)
}

/// Returns the errors that an evaluation measured for the weights of step `step`, with intervals
/// that hold for other images of the same kind. If there are none, returns the reason.
fn evaluated_errors(evaluation: Option<&Evaluation>, step: u64) -> Result<Vec<Named>, LeftOut> {
    let Some(evaluation) = evaluation else { return Err(LeftOut::NotEvaluated) };
    let Some(scores) = evaluation.trained() else { return Ok(Vec::new()) };
    if evaluation.step != Some(step) {
        return Err(LeftOut::OtherWeights);
    }
    let named = [
        ("nearest centre of training images", scores.centre_acc1),
        ("kNN", scores.knn_acc1),
        ("linear probe", scores.linear_acc1),
    ];
    let error = |(name, accuracy): (&str, f64)| {
        let interval = wilson(1.0 - accuracy, evaluation.scored());
        let trust = Trust::Estimate {
            low: Some(interval.low),
            high: Some(interval.high),
            method: "Wilson, 95%, on the whole test split".into(),
            sample: evaluation.scored() as usize,
        };
        Named { name: name.into(), quantity: Quantity { value: 1.0 - accuracy, trust } }
    };
    Ok(named.into_iter().filter(|(_, accuracy)| accuracy.is_finite()).map(error).collect())
}

/// Certifies an encoder. The record does not yet have a subject.
fn certify_encoder(
    encoder: &Backbone,
    dataset: &Dataset,
    policy: &Policy,
    options: &CertifyOptions,
    progress: &mut dyn Progress,
) -> Result<CertificateRecord, Error> {
    check(dataset)?;
    let size = dataset.image_size;
    if let Some(own) = encoder.image_size().filter(|&own| own != size as usize) {
        let cause = format!("the encoder takes images of {own} pixels");
        return Err(Error::option("image_size", size, cause));
    }
    let split = dataset.split(options.split);
    let chosen = choose_images(dataset, options)?;
    let views = DrawnViews::new(policy, size, split, &chosen, options)?;
    let mut embedded = views.embed(encoder, options, progress)?;
    if let Some((labels, classes)) = labels_of(dataset, split, &chosen)? {
        let parameters = PolicyParameters::of(policy.config());
        embedded.pixels = Some(views.pixels(&labels, options.budget, parameters, progress)?);
        (embedded.labels, embedded.classes) = (Some(labels), classes);
    }
    drop(views);
    // A row of embeddings is a view of an image; name that image in the error.
    let named = |error: Error| match error {
        Error::Theory(
            source @ (selfsame_theory::Error::ZeroRow { row }
            | selfsame_theory::Error::NotFinite { row, .. }),
        ) => Error::Output { image: split.name(chosen[row / embedded.views]).to_owned(), source },
        error => error,
    };
    let facts = Facts::new(&embedded, progress).map_err(named)?;
    let mut record = measure::numbers(&facts, progress)?;
    progress.note("the norms of the encoder's layers");
    record.lipschitz_bound = lipschitz_bound(encoder, size as usize, &embedded)?;
    record.split = options.split.name().into();
    // Two certificates are comparable if their digests are equal.
    record.digest = digest_of(split, &chosen);
    record.source_size = dataset.larger_source();
    record.image_size = record.source_size.map(|_| dataset.image_size);
    record.policy = policy.to_string();
    record.precision = encoder.precision().to_string();
    record.examples = examples(dataset, split, &chosen, embedded.labels.as_ref())?;
    findings::add(&mut record, &facts);
    Ok(record)
}

/// Bounds the Lipschitz constant of the encoder with its outputs scaled to length 1, among images
/// whose outputs are at least as long as the shortest output here. Returns `None` if the shortest
/// output has length 0.
fn lipschitz_bound(
    encoder: &Backbone,
    side: usize,
    embedded: &EmbeddedImages<'_>,
) -> Result<Option<Quantity>, Error> {
    let length =
        |row: &[f32]| row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let rows = embedded.values.chunks_exact(embedded.dim);
    let shortest = rows.map(length).fold(f64::INFINITY, f64::min);
    if !(shortest > 0.0 && shortest.is_finite()) {
        return Ok(None);
    }
    let value = encoder.lipschitz(side) * lipschitz::normalised(shortest)?;
    Ok(Some(Quantity::at_most(value)))
}

fn certify_embeddings(
    embeddings: &Embeddings<'_>,
    options: &CertifyOptions,
    progress: &mut dyn Progress,
) -> Result<CertificateRecord, Error> {
    let &Embeddings { images, views, dim, .. } = embeddings;
    let rows = Views::new(images, views, dim, &embeddings.values[..])?;
    rows.check_varied()?;
    let repeats = rows.repeats();
    if !repeats.is_empty() && !options.allow_repeats {
        return Err(Error::Repeats { images, views, repeats });
    }
    if let Some(labels) = &embeddings.labels {
        check_classes(labels.classes())?;
        if labels.classes() != embeddings.classes.len() {
            let cause = format!("the labels are of {} classes", labels.classes());
            return Err(Error::option("classes", embeddings.classes.join(","), cause));
        }
    }
    let embedded = EmbeddedImages {
        values: Cow::Borrowed(&embeddings.values),
        images,
        views,
        dim,
        labels: embeddings.labels.clone(),
        classes: embeddings.classes.clone(),
        seed: options.seed,
        pixels: None,
    };
    let facts = Facts::new(&embedded, progress)?;
    let mut record = measure::numbers(&facts, progress)?;
    record.subject.clone_from(&embeddings.name);
    findings::add(&mut record, &facts);
    let unread = Some(embeddings.unread.clone()).filter(|arrays| !arrays.is_empty());
    let like_labels = embeddings.like_labels.clone();
    record.left_out.extend(like_labels.map(|array| LeftOut::UnreadLabels { array }));
    record.left_out.extend(unread.map(|arrays| LeftOut::UnreadArrays { arrays }));
    record.left_out.extend(embeddings.rounded.then_some(LeftOut::Rounded));
    record.left_out.extend(repeats.first().map(|&(image, earlier)| LeftOut::Repeats {
        count: repeats.len(),
        first: [image, earlier],
    }));
    Ok(record)
}

/// Refuses more classes than [`MOST_CLASSES`], because the matrices of their pairs would fill the
/// memory.
fn check_classes(classes: usize) -> Result<(), Error> {
    if classes <= MOST_CLASSES {
        return Ok(());
    }
    Err(Error::TooManyClasses { classes, most: MOST_CLASSES })
}
