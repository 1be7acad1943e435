use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::catalogue::{Catalogue, Entry, Source};
use crate::decode::MAX_IMAGE_SIZE;
use crate::facts::Exif;
use crate::glyphs::{GLYPH_SIZE, glyph_factors};
use crate::leavings::{self, LeftAlone, LostFolder, short};
use crate::splits::{self, Splits};
use crate::store::{self, Job, Room};
use crate::table::Table;
use crate::target::{Target, is_panorama};
use crate::tree::Labels;
use crate::{
    DataError, Dataset, Facts, Skipped, Split, archive, cifar, facts, folder, glyphs, idx,
};

/// Name of the built-in set.
pub const GLYPHS: &str = "glyphs";
/// By default, a set keeps the size of its images if they all have the same size and its side is at
/// most this: STL-10 and smaller.
const OWN_SIZE_UP_TO: u32 = 96;
/// Default size of all other sets, in pixels per side.
const DEFAULT_SIZE: u32 = 64;
/// Default size of a source, in multiples of the image size.
const SOURCE_TIMES: u32 = 2;

/// In place of a table of labels ([`LoadOptions::labels`]): the images have no labels.
pub const NO_LABELS: &str = "none";

/// Options for loading a data set.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Pixels per side, at most [`MAX_IMAGE_SIZE`]. The default `None` means 32 for `glyphs`; the
    /// shorter side of the images if all have the same size and it is at most 96 (CIFAR 32, MNIST
    /// 28, STL-10 96); otherwise 64.
    pub image_size: Option<u32>,
    /// Largest shorter side of what crops are drawn from, in pixels: from the image size to
    /// [`MAX_IMAGE_SIZE`]. Larger images are reduced to it, smaller ones keep their size, and none
    /// is smaller than the image size needs. See [`Split::source`]. The default `None` means twice
    /// the image size. If it is equal to the image size, crops are drawn from the images
    /// themselves, which are centre squares.
    pub source_size: Option<u32>,
    /// Seed that determines which images go to validation and test if the set has no such parts,
    /// which images a limit keeps, and what `glyphs` draws.
    pub seed: u64,
    /// Maximum number of images for training and validation together, and separately for test,
    /// spread evenly over the classes. `None` keeps all images.
    pub limit: Option<usize>,
    /// A table with a row for each image, which says what class it is of: CSV with commas,
    /// semicolons or tabs. Its columns are known by their names, such as `file` and `label`.
    /// [`NO_LABELS`] makes the set unlabelled, whatever its folders are called. `None` takes the
    /// classes from the folders.
    pub labels: Option<PathBuf>,
    /// Names of the classes to keep, in the order of the set. `None` keeps all classes.
    pub classes: Option<Vec<String>>,
    /// Whether images are turned upright, as their EXIF orientation says.
    pub exif: Exif,
    /// Whether an image that cannot be used is an error. Otherwise it is left out and named in
    /// [`Dataset::skipped`].
    pub strict: bool,
    /// Folder for the decoded images if they need more than 1 GiB. They are then mapped rather than
    /// held in memory, and the next run with the same images and options uses them again. `None`
    /// always keeps them in memory.
    pub cache: Option<PathBuf>,
}

/// Splits a list of class names at its commas. A name that has a comma itself stands in double
/// quotes, as in CSV.
///
/// ```
/// let names = selfsame_data::class_names(r#"green,"red, ripe""#);
/// assert_eq!(names, ["green", "red, ripe"]);
/// assert_eq!(selfsame_data::class_list(&names), r#"green,"red, ripe""#);
/// ```
#[must_use]
pub fn class_names(list: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(list.as_bytes());
    let record = reader.records().next().and_then(Result::ok).unwrap_or_default();
    record.iter().map(str::to_owned).collect()
}

/// Joins class names to a list that [`class_names`] splits again.
#[must_use]
pub fn class_list(names: &[String]) -> String {
    let name = |name: &String| {
        if name.contains([',', '"', '\n', '\r']) || name.is_empty() {
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            name.clone()
        }
    };
    names.iter().map(name).collect::<Vec<_>>().join(",")
}

/// Loads the data set that `spec` names: `glyphs`, a folder of class folders or of images, a `.tar`
/// of either, or a folder with the binary files of CIFAR-10, CIFAR-100 or the MNIST family (IDX).
///
/// `progress` receives the number of images done and the total number of images. It is called from
/// one thread.
///
/// # Errors
///
/// See [`DataError`]. A damaged image is an error only if `strict`; otherwise it is left out and
/// named in [`Dataset::skipped`].
///
/// ```
/// use selfsame_data::{LoadOptions, load};
///
/// let options = LoadOptions { limit: Some(100), ..LoadOptions::default() };
/// let set = load("glyphs", &options, &|_done, _total| {})?;
/// assert_eq!(set.train.len() + set.validation.len(), 100);
/// assert_eq!(set.train.image(0).pixels().len(), 32 * 32 * 3);
/// # Ok::<(), selfsame_data::DataError>(())
/// ```
pub fn load(
    spec: &str,
    options: &LoadOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Dataset, DataError> {
    load_within(spec, options, progress, &Room::MACHINE)
}

fn load_within(
    spec: &str,
    options: &LoadOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
    room: &Room<'_>,
) -> Result<Dataset, DataError> {
    if let Some(size) = options.image_size.filter(|size| !(1..=MAX_IMAGE_SIZE).contains(size)) {
        return Err(DataError::ImageSize { size, max: MAX_IMAGE_SIZE });
    }
    let mut catalogue = catalogue(spec, options)?;
    let Splits { train, validation, test, notes } =
        splits::split(&catalogue.entries, options.seed, options.limit);
    if train.is_empty() {
        let cause = format!(
            "{} for validation and {} for test leave none; raise the limit or add images",
            validation.len(),
            test.len()
        );
        return Err(DataError::NothingToTrain { set: spec.to_owned(), cause });
    }
    catalogue.notes.extend(notes);
    let chosen: Vec<&Entry> = [&train, &validation, &test]
        .into_iter()
        .flatten()
        .map(|&index| &catalogue.entries[index])
        .collect();
    let size = match options.image_size {
        Some(size) => size,
        None => own_size(&chosen, catalogue.source.as_ref(), options.exif, &mut catalogue.notes),
    };
    let source = source_size(size, options.source_size)?;
    let job = Job {
        entries: chosen,
        source: catalogue.source.as_ref(),
        target: Target { image: size, source, exif: options.exif },
        strict: options.strict,
        progress,
    };
    let stored = job.run(room, options.cache.as_deref())?;
    let failed = store::skipped(&job.entries, &stored.failed);
    if failed.len() == job.entries.len()
        && let Some(error) = all_damaged(spec, &failed)
    {
        return Err(error);
    }
    let mut lost = std::mem::take(&mut catalogue.lost);
    lost.extend(damaged_folders(&catalogue, &failed));
    catalogue.skipped.extend(failed);

    let mut usable = vec![true; job.entries.len()];
    for (slot, _) in &stored.failed {
        usable[*slot] = false;
    }
    let known: Vec<Facts> =
        (0..usable.len()).filter(|&slot| usable[slot]).map(|slot| stored.facts[slot]).collect();
    catalogue.notes.extend(facts::notes(&known, options.exif));
    catalogue.notes.extend(source_notes(stored.pixels.source_size(), size, &known));
    let pixels = Arc::new(stored.pixels);
    let split = |slots: Range<usize>| {
        let slots: Vec<usize> = slots.filter(|&slot| usable[slot]).collect();
        let entry = |&slot: &usize| job.entries[slot];
        let factors = slots
            .iter()
            .filter(|_| spec == GLYPHS)
            .map(|slot| glyph_factors(options.seed, entry(slot).item as u64));
        Split {
            names: slots.iter().map(|slot| entry(slot).name.clone()).collect(),
            labels: (!catalogue.classes.is_empty())
                .then(|| slots.iter().map(|slot| entry(slot).class).collect()),
            facts: slots.iter().map(|&slot| stored.facts[slot]).collect(),
            factors: factors.collect(),
            pixels: Arc::clone(&pixels),
            slots,
        }
    };
    let (first_validation, first_test) = (train.len(), train.len() + validation.len());
    let (train, validation, test) = (
        split(0..first_validation),
        split(first_validation..first_test),
        split(first_test..job.entries.len()),
    );
    if train.is_empty() {
        let cause = format!("all {first_validation} training images are damaged");
        return Err(DataError::NothingToTrain { set: spec.to_owned(), cause });
    }
    let Catalogue { name, classes, skipped, left_alone, junk, notes, .. } = catalogue;
    Ok(Dataset {
        name,
        classes,
        image_size: size,
        train,
        validation,
        test,
        skipped,
        left_alone,
        lost,
        passed_over: junk,
        notes,
    })
}

/// Returns the largest shorter side of sources, for images of side `image`.
fn source_size(image: u32, asked: Option<u32>) -> Result<u32, DataError> {
    let size = asked.unwrap_or((image * SOURCE_TIMES).min(MAX_IMAGE_SIZE));
    match (image..=MAX_IMAGE_SIZE).contains(&size) {
        true => Ok(size),
        false => Err(DataError::SourceSize { size, image_size: image, max: MAX_IMAGE_SIZE }),
    }
}

/// Describes what crops are drawn from, if it is not the images themselves.
fn source_notes(source: u32, image: u32, facts: &[Facts]) -> Vec<String> {
    if source == image {
        return Vec::new();
    }
    let mut notes = vec![format!(
        "Crops are drawn from whole images of at most {source} pixels on their shorter side; \
         everything else sees the centre square of each image."
    )];
    let panoramas = facts.iter().filter(|facts| is_panorama(facts.width, facts.height)).count();
    if panoramas > 0 {
        notes.push(format!(
            "Crops see only the middle of images more than 4 times as long as wide: {panoramas}."
        ));
    }
    notes
}

/// Lists what `spec` names, before any image is decoded. There is at least one image, and all
/// images are of the requested classes.
fn catalogue(spec: &str, options: &LoadOptions) -> Result<Catalogue, DataError> {
    let labels = match &options.labels {
        None => Labels::Own,
        Some(none) if none == Path::new(NO_LABELS) => Labels::Nowhere,
        Some(_) if spec == GLYPHS => return Err(DataError::OwnLabels { set: spec.to_owned() }),
        Some(table) => Labels::Table(Table::open(table)?),
    };
    let unlabelled = matches!(labels, Labels::Nowhere);
    let mut catalogue = match spec {
        GLYPHS => glyphs::open(options.seed, options.image_size.unwrap_or(GLYPH_SIZE)),
        path => open(Path::new(path), labels)?,
    };
    if unlabelled {
        catalogue.classes.clear();
        catalogue.entries.iter_mut().for_each(|entry| entry.class = 0);
        catalogue.notes.push("The images count as unlabelled, as was asked.".to_owned());
    }
    if spec == GLYPHS && Path::new(GLYPHS).exists() {
        let note = "This is the built-in set. What is called glyphs here on the disk is read as \
                    ./glyphs.";
        catalogue.notes.push(note.to_owned());
    }
    if let (true, Some(Skipped { name, cause })) =
        (options.strict, catalogue.skipped.first().cloned())
    {
        return Err(DataError::Damaged { name, cause });
    }
    if catalogue.entries.is_empty() {
        let junk = match catalogue.junk {
            0 => String::new(),
            count => format!("{count} hidden files or files of systems"),
        };
        let files = [leavings::describe(&catalogue.left_alone), junk];
        let files: Vec<String> = files.into_iter().filter(|files| !files.is_empty()).collect();
        let cause = match (binary_set(&catalogue.left_alone), files.join("; ")) {
            (Some(cause), _) => cause,
            (None, files) if files.is_empty() => "it holds no images".to_owned(),
            (None, files) => format!("it holds no images, only {files}"),
        };
        let empty = || DataError::NotADataSet { path: spec.into(), cause };
        return Err(all_damaged(spec, &catalogue.skipped).unwrap_or_else(empty));
    }
    // Before classes are chosen: those that nobody asked for have lost nothing.
    catalogue.lost = leavings::lost(
        catalogue.level,
        catalogue.entries.iter().map(|entry| entry.name.as_str()),
        &catalogue.skipped,
        &catalogue.left_alone,
    );
    if let Some(classes) = &options.classes {
        if classes.is_empty() {
            return Err(DataError::UnknownClass {
                name: String::new(),
                known: catalogue.classes.clone(),
            });
        }
        catalogue.keep_classes(classes)?;
    }
    Ok(catalogue)
}

/// Returns the folders of which every image is damaged.
fn damaged_folders(catalogue: &Catalogue, failed: &[Skipped]) -> Vec<LostFolder> {
    let damaged: HashSet<&str> = failed.iter().map(|image| image.name.as_str()).collect();
    let names = catalogue.entries.iter().map(|entry| entry.name.as_str());
    let good = names.filter(|name| !damaged.contains(name));
    leavings::lost(catalogue.level, good, failed, &[])
}

/// Returns the error that no image could be used, or `None` if no image was left out.
fn all_damaged(spec: &str, skipped: &[Skipped]) -> Option<DataError> {
    let Skipped { name, cause } = skipped.first()?.clone();
    Some(DataError::AllDamaged { set: spec.to_owned(), count: skipped.len(), name, cause })
}

fn open(path: &Path, labels: Labels) -> Result<Catalogue, DataError> {
    let name = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = name.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    if path.is_file() {
        archive::check(path)?;
        return archive::open(path, name, labels);
    }
    if !path.is_dir() {
        return Err(DataError::NotFound { path: path.to_owned() });
    }
    let of_cifar = cifar::recognise(path);
    let is_idx = idx::recognise(path);
    if (is_idx || !of_cifar.is_empty()) && matches!(labels, Labels::Table(_)) {
        return Err(DataError::OwnLabels { set: path.display().to_string() });
    }
    match &of_cifar[..] {
        [] if is_idx => {
            let mut set = idx::open(path, name)?;
            folder::add_beside(&mut set, path, &idx::is_own)?;
            Ok(set)
        }
        [] if cifar::is_pickled(path) => {
            let cause = PICKLES.to_owned();
            Err(DataError::NotADataSet { path: path.to_owned(), cause })
        }
        [] => folder::open(path, name, labels),
        [folder] => {
            let mut set = cifar::open(folder, name)?;
            folder::add_beside(&mut set, path, &cifar::is_own)?;
            Ok(set)
        }
        [first, second, ..] => {
            let cause = format!(
                "{} and {} hold a set each; load one of them",
                first.display(),
                second.display()
            );
            Err(DataError::Layout { path: path.to_owned(), cause })
        }
    }
}

const PICKLES: &str = "it holds CIFAR as Python pickles; take the binary version of the set";

/// Returns what to do about a set in binary files that lie deeper, or in an archive.
fn binary_set(left_alone: &[LeftAlone]) -> Option<String> {
    let file = |left: &LeftAlone| left.example.rsplit('/').next().unwrap_or_default().to_owned();
    let folders = |is_of: &dyn Fn(&str) -> bool| -> Vec<&str> {
        let own = left_alone.iter().filter(|left| is_of(&file(left)));
        own.map(|left| left.folder.as_str()).collect()
    };
    let is_idx = |name: &str| name.contains("idx3-ubyte") || name.contains("idx1-ubyte");
    if let [first, rest @ ..] = &folders(&is_idx)[..] {
        let place = if first.is_empty() { "its top".to_owned() } else { short(first) };
        return Some(match rest.iter().all(|folder| folder == first) {
            true => format!("it holds the files of MNIST (IDX) in {place}; give that folder"),
            false => format!(
                "it holds the files of MNIST (IDX) in several folders, such as {place}; put them \
                 into one folder and give that"
            ),
        });
    }
    if !folders(&|name| name == "data_batch_1").is_empty()
        || left_alone.iter().any(|left| left.folder.ends_with("cifar-100-python"))
    {
        return Some(PICKLES.to_owned());
    }
    let binary = |name: &str| name.ends_with(".bin") && cifar::is_own(name);
    let place = folders(&binary).first().map(|folder| short(folder))?;
    Some(format!(
        "it holds the binary files of CIFAR in {place}; unpack it if it is an archive, and give \
         that folder"
    ))
}

/// Returns the images' own size if they share a small one. Otherwise returns the default and adds a
/// note.
fn own_size(entries: &[&Entry], source: &dyn Source, exif: Exif, notes: &mut Vec<String>) -> u32 {
    let dimensions = |entry: &&Entry| source.dimensions(entry.item, exif).ok();
    let first = entries.iter().find_map(dimensions);
    let Some((width, height)) = first else { return DEFAULT_SIZE };
    let shorter = width.min(height);
    let agree = shorter <= OWN_SIZE_UP_TO
        && entries
            .par_iter()
            .all(|entry| dimensions(entry).is_none_or(|size| size == (width, height)));
    if agree {
        return shorter;
    }
    notes.push(format!(
        "The images are brought to {DEFAULT_SIZE}x{DEFAULT_SIZE}, since they are of several sizes \
         or large; choose an \
         image size for another."
    ));
    DEFAULT_SIZE
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::{fs, time};

    use super::*;

    fn glyph_png(index: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 16, 16);
        encoder.set_color(png::ColorType::Rgb);
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&glyphs::glyph_pixels(0, index, 16))
            .unwrap();
        bytes
    }

    fn pixels(set: &Dataset) -> Vec<&[u8]> {
        [&set.train, &set.validation, &set.test]
            .into_iter()
            .flat_map(|split| (0..split.len()).map(|index| split.image(index).pixels()))
            .collect()
    }

    #[test]
    fn the_cache_holds_the_same_images_and_is_made_anew_when_anything_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (images, cache) = (folder.path().join("images"), folder.path().join("run"));
        fs::create_dir(&images).unwrap();
        for index in 0..600 {
            fs::write(images.join(format!("{index:03}.png")), glyph_png(index)).unwrap();
        }
        fs::write(images.join("300.png"), &glyph_png(300)[..200]).unwrap();
        let mut transparent = Vec::new();
        let mut encoder = png::Encoder::new(&mut transparent, 16, 16);
        encoder.set_color(png::ColorType::Rgba);
        encoder.write_header().unwrap().write_image_data(&[9; 16 * 16 * 4]).unwrap();
        fs::write(images.join("010.png"), transparent).unwrap();
        let spec = images.to_str().unwrap();
        let options = LoadOptions { cache: Some(cache.clone()), ..LoadOptions::default() };
        let reports = Mutex::new(Vec::new());
        let load = |options: &LoadOptions| {
            reports.lock().unwrap().clear();
            load_within(
                spec,
                options,
                &|done, total| reports.lock().unwrap().push((done, total)),
                &Room { in_memory: 1000, ..Room::MACHINE },
            )
        };

        let in_memory = super::load(spec, &options, &|_, _| {}).unwrap();
        assert!(!cache.exists(), "small sets stay in memory");
        let first = load(&options).unwrap();
        assert_eq!(reports.lock().unwrap()[..], [(256, 600), (512, 600), (600, 600)]);
        assert_eq!((pixels(&first), &first.skipped), (pixels(&in_memory), &in_memory.skipped));
        assert_eq!(first.skipped.len(), 1);
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "no temporary file stays");

        let found = load(&options).unwrap();
        assert_eq!(reports.lock().unwrap()[..], [(600, 600)], "nothing is decoded again");
        assert_eq!((pixels(&found), &found.skipped), (pixels(&first), &first.skipped));
        assert_eq!(found.train.facts, first.train.facts, "facts are cached, too");
        assert!(found.notes.iter().any(|note| note.starts_with("1 of 599 images are transparent")));
        assert_eq!(found.notes, first.notes);
        let strict = load(&LoadOptions { strict: true, ..options.clone() }).unwrap_err();
        assert!(matches!(strict, DataError::Damaged { name, .. } if name == "300.png"));

        // Each of these makes the cache invalid: a changed file, a different size, a truncated
        // cache, a foreign file.
        let changed = images.join("001.png");
        fs::write(&changed, glyph_png(5)).unwrap();
        let later = time::SystemTime::now() + time::Duration::from_secs(5);
        fs::File::options().write(true).open(&changed).unwrap().set_modified(later).unwrap();
        let after = load(&options).unwrap();
        assert_eq!(reports.lock().unwrap().len(), 3);
        assert_ne!(pixels(&after), pixels(&first));
        assert_eq!(
            load(&LoadOptions { image_size: Some(20), ..options.clone() }).unwrap().image_size,
            20
        );
        assert_eq!(reports.lock().unwrap().len(), 3);
        let mut cut = fs::read(cache.join("images.cache")).unwrap();
        cut.truncate(cut.len() / 2);
        for foreign in [&cut[..], b"", b"selfsame image cache 004", &[0; 5000]] {
            fs::write(cache.join("images.cache"), foreign).unwrap();
            assert_eq!(pixels(&load(&options).unwrap()), pixels(&after));
            assert_eq!(reports.lock().unwrap().len(), 3);
        }

        fs::write(folder.path().join("file"), "").unwrap();
        let nowhere =
            LoadOptions { cache: Some(folder.path().join("file")), ..LoadOptions::default() };
        assert!(matches!(load(&nowhere).unwrap_err(), DataError::Cache { .. }));
    }

    fn noise_png(index: u32, width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let level = |at: u32| ((at + index * 77).wrapping_mul(2_654_435_761) >> 24) as u8;
        let pixels: Vec<u8> = (0..width * height * 3).map(level).collect();
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        bytes
    }

    /// Writes images of many shapes, one of them damaged and one of them a panorama.
    fn shapes(folder: &Path) -> Vec<(u32, u32)> {
        let shapes: Vec<(u32, u32)> = (0..300_u32)
            .map(|index| match index {
                299 => (1, 200),
                _ => (16 + index * 7 % 40, 16 + index * 11 % 37),
            })
            .collect();
        for (index, &(width, height)) in (0..).zip(&shapes) {
            let name = format!("{index:03}.png");
            fs::write(folder.join(name), noise_png(index, width, height)).unwrap();
        }
        fs::write(folder.join("123.png"), &noise_png(123, 40, 20)[..100]).unwrap();
        shapes
    }

    type Picture = (u32, u32, Vec<u8>);

    fn sources(set: &Dataset) -> Vec<(String, Picture)> {
        let of = |split: &Split, index: usize| {
            let source = split.source(index);
            let picture = (source.width(), source.height(), source.pixels().to_vec());
            (split.name(index).to_owned(), picture)
        };
        [&set.train, &set.validation, &set.test]
            .into_iter()
            .flat_map(|split| (0..split.len()).map(move |index| of(split, index)))
            .collect()
    }

    #[test]
    fn sources_are_kept_at_their_own_sizes_in_memory_and_in_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let (images, cache) = (folder.path().join("images"), folder.path().join("run"));
        fs::create_dir(&images).unwrap();
        let shapes = shapes(&images);
        let spec = images.to_str().unwrap();
        let options = LoadOptions {
            image_size: Some(16),
            source_size: Some(24),
            cache: Some(cache.clone()),
            ..LoadOptions::default()
        };
        let load = |options: &LoadOptions, in_memory| {
            load_within(spec, options, &|_, _| {}, &Room { in_memory, ..Room::MACHINE }).unwrap()
        };
        let in_memory = load(&options, 1 << 30);
        assert_eq!(in_memory.source_size(), 24);
        assert!(in_memory.notes.iter().any(|note| note.contains("at most 24 pixels")));
        assert!(in_memory.notes.iter().any(|note| note.ends_with("as long as wide: 1.")));
        let kept = sources(&in_memory);
        assert_eq!((kept.len(), in_memory.skipped.len()), (299, 1));
        let target = Target { image: 16, source: 24, exif: Exif::Turn };
        for (name, (width, height, pixels)) in &kept {
            let index: usize = name[..3].parse().unwrap();
            let (own_width, own_height) = shapes[index];
            assert_eq!((*width, *height), target.resized(own_width, own_height), "{name}");
            if (*width, *height) == (own_width, own_height) {
                let own: Vec<u8> = (0..width * height * 3)
                    .map(|at| ((at + index as u32 * 77).wrapping_mul(2_654_435_761) >> 24) as u8)
                    .collect();
                assert!(*pixels == own, "{name} has its own pixels");
            }
        }
        // The images are the same, whatever is kept beside them.
        let squares = load(&LoadOptions { source_size: Some(16), ..options.clone() }, 1 << 30);
        assert_eq!(squares.source_size(), 16);
        assert!(squares.notes.iter().all(|note| !note.contains("Crops")));
        assert!(pixels(&squares) == pixels(&in_memory));
        for index in 0..squares.train.len() {
            assert_eq!(squares.train.source(index), squares.train.image(index));
        }

        for _ in 0..2 {
            let cached = load(&options, 0);
            assert!(sources(&cached) == kept && pixels(&cached) == pixels(&in_memory));
            assert_eq!((&cached.notes, &cached.skipped), (&in_memory.notes, &in_memory.skipped));
        }
        assert!(cache.join("images.cache").is_file());
        let larger = load(&LoadOptions { source_size: None, ..options.clone() }, 0);
        assert_eq!(larger.source_size(), 32, "another source size is another cache");
    }

    #[test]
    fn a_cache_that_anything_was_done_to_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (images, cache) = (folder.path().join("images"), folder.path().join("run"));
        fs::create_dir(&images).unwrap();
        shapes(&images);
        let options = LoadOptions {
            image_size: Some(16),
            cache: Some(cache.clone()),
            limit: Some(20),
            ..LoadOptions::default()
        };
        let load = || {
            let room = Room { in_memory: 0, ..Room::MACHINE };
            load_within(images.to_str().unwrap(), &options, &|_, _| {}, &room).unwrap()
        };
        let (first, file) = (sources(&load()), cache.join("images.cache"));
        let good = fs::read(&file).unwrap();
        // Header and index come first, facts and digest last.
        let head = 24 + 32 + 8 + 8 * first.len();
        let places = (0..head).chain(good.len() - 32 - 16 * first.len()..good.len());
        for at in places {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(&file, bad).unwrap();
            assert!(sources(&load()) == first, "{at}");
            assert!(fs::read(&file).unwrap() == good, "{at} was taken as it was");
        }
        for cut in [0, 23, 63, head, head + 1, good.len() - 1] {
            fs::write(&file, &good[..cut]).unwrap();
            assert!(sources(&load()) == first, "{cut}");
        }
        fs::write(&file, [&good[..], b"1 more\n"].concat()).unwrap();
        assert!(sources(&load()) == first);
    }

    #[test]
    fn a_set_without_room_is_refused_before_it_is_decoded() {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        fs::create_dir(&images).unwrap();
        for index in 0..20 {
            fs::write(images.join(format!("{index:03}.png")), noise_png(index, 30, 20)).unwrap();
        }
        let decoded = |_, _| panic!("nothing is decoded");
        let needed = 20 * (16 * 16 + 30 * 20) * 3;
        let options = LoadOptions { image_size: Some(16), ..LoadOptions::default() };
        let refused = |cache: Option<PathBuf>, room: &Room<'_>| {
            let options = LoadOptions { cache, ..options.clone() };
            load_within(images.to_str().unwrap(), &options, &decoded, room).unwrap_err()
        };
        let room = Room { in_memory: 100, memory: &|| needed - 1, disk: &|_| Ok(needed - 1) };
        match refused(None, &room) {
            DataError::TooLarge { count, bytes, free } => {
                assert_eq!((count, bytes, free), (20, needed, needed - 1));
            }
            error => panic!("{error}"),
        }
        let cache = folder.path().join("run");
        match refused(Some(cache.clone()), &room) {
            DataError::NoRoom { folder, count, bytes, free } => {
                assert_eq!((count, bytes, free, folder), (20, needed, needed - 1, cache));
            }
            error => panic!("{error}"),
        }
        let enough = Room { in_memory: 100, memory: &|| needed, disk: &|_| Ok(needed) };
        load_within(images.to_str().unwrap(), &options, &|_, _| {}, &enough).unwrap();
        for source_size in [15, MAX_IMAGE_SIZE + 1] {
            let options = LoadOptions { source_size: Some(source_size), ..options.clone() };
            let error = super::load(images.to_str().unwrap(), &options, &decoded).unwrap_err();
            assert!(matches!(error, DataError::SourceSize { image_size: 16, .. }), "{error}");
        }
    }

    #[test]
    fn glyphs_come_in_their_parts_with_their_factors() {
        let set =
            load("glyphs", &LoadOptions { seed: 5, ..LoadOptions::default() }, &|_, _| {}).unwrap();
        assert_eq!([set.train.len(), set.validation.len(), set.test.len()], glyphs::GLYPH_COUNTS);
        for (split, start) in [(&set.train, 0), (&set.validation, 5000), (&set.test, 5500)] {
            for index in [0, 7, split.len() - 1] {
                let item = (start + index) as u64;
                assert_eq!(split.image(index).pixels(), glyphs::glyph_pixels(5, item, 32));
                assert_eq!(split.factors(index), Some(&glyph_factors(5, item)));
                assert_eq!(u64::from(split.labels().unwrap()[index]), item % 10);
            }
        }
        let options = LoadOptions {
            classes: Some(vec!["star".into(), "ring".into()]),
            limit: Some(110),
            image_size: Some(9),
            ..LoadOptions::default()
        };
        let some = load("glyphs", &options, &|_, _| {}).unwrap();
        assert_eq!(
            (some.classes, some.train.len(), some.validation.len(), some.test.len()),
            (vec!["ring".to_owned(), "star".to_owned()], 100, 10, 110)
        );
        assert!((0..100).all(|index| [1, 5].contains(&some.train.factors(index).unwrap().shape)));
    }
}
