//! Looks at a data set before anything is trained on it: what it holds, what is odd about it, and
//! what training would do with it.

use std::path::PathBuf;

use selfsame_data::{Dataset, SplitName};
use selfsame_report::inspection::{
    Balance, COPIES_FILE, ClassCounts, Counts, INSPECTION_FILE, INSPECTION_PAGE, Inspection,
    TrainingPlan,
};
use selfsame_report::{render_inspection, write_atomic, write_json};

use crate::all::All;
use crate::run::check_new;
use crate::{Error, PretrainOptions, Progress, check_folder, images};

mod copies;
mod files;
mod findings;
mod outliers;
mod pictures;

/// Options of [`inspect`].
#[derive(Debug, Clone)]
pub struct InspectOptions {
    /// Whether to search for near copies, which takes a time proportional to the square of the
    /// number of images: seconds for 10,000.
    pub near: bool,
    /// Folder for `inspect.json`, `inspect.html` and `copies.csv`. If `None`, nothing is written.
    pub out: Option<PathBuf>,
    /// Whether to replace an inspection that the folder holds.
    pub overwrite: bool,
    /// The command, word by word, that inspects again; may be empty.
    pub command: Vec<String>,
}

impl Default for InspectOptions {
    fn default() -> Self {
        Self { near: true, out: None, overwrite: false, command: Vec::new() }
    }
}

impl InspectOptions {
    /// Refuses a folder that cannot take the results. [`inspect`] makes the same check; a caller
    /// can make it before loading images.
    ///
    /// # Errors
    /// [`Error::NotAFolder`] or [`Error::Exists`].
    pub fn check(&self) -> Result<(), Error> {
        let Some(out) = &self.out else { return Ok(()) };
        check_folder(out)?;
        let names = [INSPECTION_FILE, INSPECTION_PAGE, COPIES_FILE];
        check_new(&names.map(|name| out.join(name)), self.overwrite)
    }
}

/// Inspects the images of a data set, all splits of it, as training would see them.
///
/// Finds exact copies by their decoded pixels, near copies by
/// [`near_copies`](selfsame_concentration::near::near_copies), and images that are dark, bright,
/// flat, blurred or grey among coloured ones. The same images give the same record.
///
/// # Errors
/// If [`InspectOptions::check`] refuses the options, if the splits contradict each other, or if a
/// file cannot be written.
/// [`Error::Stopped`] if `progress` asks to stop; nothing is written then.
///
/// ```
/// use selfsame::data::LoadOptions;
/// use selfsame::{InspectOptions, inspect};
///
/// let glyphs = LoadOptions { limit: Some(40), ..LoadOptions::default() };
/// let glyphs = selfsame::load("glyphs", &glyphs, &mut ())?;
/// let inspection = inspect(&glyphs, &InspectOptions::default(), &mut ())?;
/// assert_eq!((inspection.dataset.train, inspection.dataset.test), (36, 40));
/// assert!(inspection.copies.exact.is_empty());
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn inspect(
    dataset: &Dataset,
    options: &InspectOptions,
    progress: &mut dyn Progress,
) -> Result<Inspection, Error> {
    options.check()?;
    images::check(dataset)?;
    let all = All::new(dataset);
    let copies = copies::Found::search(&all, options.near, progress)?;
    let outliers = outliers::find(&all, progress)?;
    progress.finish();
    let examples = pictures::examples(dataset);
    let mut shown = pictures::Shown::new(&all);
    let examples = examples
        .iter()
        .map(|images| images.iter().map(|&image| shown.name(image, true)).collect())
        .collect();
    let outliers = outliers.into_iter().map(|kind| kind.record(&mut shown)).collect();
    let copies = copies.record(&all, &mut shown);
    let mut inspection = Inspection {
        selfsame: env!("CARGO_PKG_VERSION").into(),
        command: options.command.clone(),
        dataset: images::record(dataset),
        findings: Vec::new(),
        classes: classes(dataset),
        balance: None,
        files: files::describe(&all),
        outliers,
        copies,
        plan: plan(dataset),
        examples,
        pictures: shown.pictures()?,
    };
    inspection.balance = balance(&inspection.classes);
    inspection.findings = findings::findings(&inspection, &dataset.left_alone);
    if let Some(out) = &options.out {
        std::fs::create_dir_all(out).map_err(Error::file(out))?;
        write_json(&out.join(INSPECTION_FILE), &inspection)?;
        write_atomic(&out.join(COPIES_FILE), copies::table(&inspection.copies).as_bytes())?;
        write_atomic(&out.join(INSPECTION_PAGE), render_inspection(&inspection).as_bytes())?;
    }
    Ok(inspection)
}

fn classes(dataset: &Dataset) -> Vec<ClassCounts> {
    let of_splits = SplitName::ALL.map(|name| {
        let mut counts = vec![0; dataset.classes.len()];
        for &label in dataset.split(name).labels().unwrap_or_default() {
            counts[label as usize] += 1;
        }
        counts
    });
    let [train, validation, test] = of_splits;
    let class = |(index, name): (usize, &String)| ClassCounts {
        name: name.clone(),
        images: Counts { train: train[index], validation: validation[index], test: test[index] },
    };
    dataset.classes.iter().enumerate().map(class).collect()
}

fn balance(classes: &[ClassCounts]) -> Option<Balance> {
    if classes.len() < 2 {
        return None;
    }
    let total: usize = classes.iter().map(|class| class.images.train).sum();
    let entropy: f64 = classes
        .iter()
        .filter(|class| class.images.train > 0)
        .map(|class| class.images.train as f64 / total as f64)
        .map(|share| -share * share.ln())
        .sum();
    let of = |class: &ClassCounts| (class.name.clone(), class.images.train);
    // Of several, the first is named.
    let largest = classes.iter().rev().max_by_key(|class| class.images.train)?;
    let smallest = classes.iter().min_by_key(|class| class.images.train)?;
    Some(Balance { largest: of(largest), smallest: of(smallest), effective_classes: entropy.exp() })
}

/// Returns what training would do by default.
fn plan(dataset: &Dataset) -> TrainingPlan {
    let options =
        PretrainOptions { data: dataset.name.as_str().into(), ..PretrainOptions::default() };
    let images = dataset.train.len();
    if images < 2 {
        let refusal = format!("training needs at least 2 images, and there is {images}");
        return TrainingPlan { refusal: Some(refusal), ..TrainingPlan::default() };
    }
    match options.plan(dataset) {
        Ok(plan) => {
            let batch = plan.train.batch.min(images);
            TrainingPlan {
                method: plan.method.name().into(),
                augment: plan.augment.to_string(),
                encoder: plan.encoder.to_string(),
                batch,
                epochs: plan.train.epochs,
                steps: images / batch * plan.train.epochs,
                refusal: None,
            }
        }
        Err(error) => TrainingPlan { refusal: Some(error.to_string()), ..TrainingPlan::default() },
    }
}
