//! Loading images.

use std::sync::Mutex;

use selfsame_data::{Dataset, LoadOptions, LostFolder};
use selfsame_report::counted;
use selfsame_report::record::{DatasetRecord, LeftAlone, Skipped};

use crate::{Error, Progress, digest};

/// Maximum number of skipped images and of lost folders to name one by one.
const NAMED: usize = 10;

/// Loads the images that `data` names (`glyphs`, a folder, a tar file, …). Reports to `progress`
/// how far loading is, what the set holds and how it was split.
///
/// # Errors
/// [`Error::Data`] if the images cannot be loaded.
///
/// ```
/// use selfsame::data::LoadOptions;
///
/// let options = LoadOptions { limit: Some(40), ..LoadOptions::default() };
/// let glyphs = selfsame::load("glyphs", &options, &mut ())?;
/// assert_eq!(glyphs.classes.len(), 10);
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn load(
    data: &str,
    options: &LoadOptions,
    progress: &mut dyn Progress,
) -> Result<Dataset, Error> {
    let listener = Mutex::new(&mut *progress);
    let dataset = selfsame_data::load(data, options, &|done, total| {
        let mut listener = listener.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        listener.advance("images", done as u64, total as u64, "");
    })
    .map_err(|source| Error::Data { name: data.to_owned(), source })?;
    progress.finish();

    let kind = match dataset.classes.len() {
        0 => "unlabelled".to_owned(),
        n => counted(n as u64, "class", "classes"),
    };
    progress.note(&format!(
        "{}: {} training, {} validation and {} of {} pixels, {kind}",
        dataset.name,
        dataset.train.len(),
        dataset.validation.len(),
        counted(dataset.test.len() as u64, "test image", "test images"),
        dataset.image_size
    ));
    note_set(&dataset, progress);
    Ok(dataset)
}

/// Names the folders that have lost all of their images, and passes on what the set says of itself.
pub(crate) fn note_set(dataset: &Dataset, progress: &mut dyn Progress) {
    for lost in dataset.lost.iter().take(NAMED) {
        progress.note(&format!(
            "warning: no image of the folder {} is used: {}",
            lost.folder,
            lost.cause()
        ));
    }
    if dataset.lost.len() > NAMED {
        let rest = dataset.lost.len() - NAMED;
        progress.note(&format!("warning: nor is any image of {rest} more folders"));
    }
    for note in &dataset.notes {
        progress.note(&format!("  {note}"));
    }
}

/// Describes the folders that have lost all of their images, for a record.
pub(crate) fn lost(dataset: &Dataset) -> Vec<Skipped> {
    let describe = |lost: &LostFolder| Skipped { name: lost.folder.clone(), cause: lost.cause() };
    dataset.lost.iter().map(describe).collect()
}

/// Refuses a set whose splits contradict each other.
pub(crate) fn check(dataset: &Dataset) -> Result<(), Error> {
    dataset.check().map_err(|source| Error::Data { name: dataset.name.clone(), source })
}

/// Names the first few skipped images and the reasons; `all` says where all of them are named, if a
/// record names them.
pub(crate) fn note_skipped(dataset: &Dataset, all: Option<&str>, progress: &mut dyn Progress) {
    let skipped = &dataset.skipped;
    if skipped.is_empty() {
        return;
    }
    let images = if skipped.len() == 1 { "image" } else { "images" };
    progress.note(&format!("left out {} {images}:", skipped.len()));
    for image in skipped.iter().take(NAMED) {
        progress.note(&format!("  {}: {}", image.name, image.cause));
    }
    if skipped.len() > NAMED {
        let all = all.map(|all| format!(", all named {all}")).unwrap_or_default();
        progress.note(&format!("  … and {} more{all}", skipped.len() - NAMED));
    }
}

/// Describes the images for a record.
pub(crate) fn record(dataset: &Dataset) -> DatasetRecord {
    DatasetRecord {
        name: dataset.name.clone(),
        classes: dataset.classes.clone(),
        image_size: dataset.image_size,
        source_size: dataset.larger_source(),
        train: dataset.train.len() as u64,
        validation: dataset.validation.len() as u64,
        test: dataset.test.len() as u64,
        skipped: dataset
            .skipped
            .iter()
            .map(|s| Skipped { name: s.name.clone(), cause: s.cause.clone() })
            .collect(),
        lost: lost(dataset),
        left_alone: dataset
            .left_alone
            .iter()
            .map(|left| LeftAlone {
                ending: left.ending.clone(),
                folder: left.folder.clone(),
                count: left.count as u64,
                example: left.example.clone(),
            })
            .collect(),
        notes: dataset.notes.clone(),
        digest: digest(dataset),
    }
}
