//! Loading images.

use std::sync::Mutex;

use selfsame_data::{Dataset, LoadOptions};

use crate::{Error, Progress};

/// Loads the images that `data` names (`glyphs`, a folder, a tar file, …) and tells `progress` how
/// far it is, what the set holds and how it was split.
///
/// # Errors
/// [`Error::Data`].
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
        n => format!("{n} classes"),
    };
    progress.note(&format!(
        "{}: {} training, {} validation and {} test images of {} pixels, {kind}",
        dataset.name,
        dataset.train.len(),
        dataset.validation.len(),
        dataset.test.len(),
        dataset.image_size
    ));
    for note in &dataset.notes {
        progress.note(&format!("  {note}"));
    }
    Ok(dataset)
}
