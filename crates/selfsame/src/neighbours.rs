//! The images most like an image, as a run's encoder sees them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use selfsame_data::{Dataset, SplitName};
use selfsame_eval::sample;
use selfsame_report::look::{NEIGHBOURS_FILE, Neighbours};
use selfsame_report::{read_neighbours, write_json};
use selfsame_train::checkpoint::Which;

use crate::all::All;
use crate::look::Seen;
use crate::look::pictures::Pictures;
use crate::page::write_page;
use crate::{Error, Progress, Run};

/// Maximum number of images that are chosen if none are asked for, and of each class.
const CHOSEN: usize = 24;
const OF_CLASS: usize = 2;
/// Number of names that an error lists.
const NAMED: usize = 5;

/// Options of [`neighbours`].
#[derive(Clone, Debug)]
pub struct NeighboursOptions {
    /// Names of images of the run's data, or parts of names that no other image has. If there are
    /// none, a few images of each class are chosen.
    pub images: Vec<String>,
    /// Number of neighbours of each image.
    pub nearest: usize,
    /// The run's images, if they are already in memory. If `None`, the run reads them again.
    pub dataset: Option<Arc<Dataset>>,
    /// Which weights of the run to load.
    pub weights: Which,
    /// Device to compute on.
    pub device: Device,
}

impl Default for NeighboursOptions {
    fn default() -> Self {
        Self {
            images: Vec::new(),
            nearest: 8,
            dataset: None,
            weights: Which::Last,
            device: Device::flex(),
        }
    }
}

/// Searches the nearest neighbours of images among all images of a run's three splits, by the
/// cosine of the encoder's features. The search is exact.
///
/// Writes `neighbours.json` and the page into the run's folder. Neighbours that were asked for
/// before are replaced, and a note says so.
///
/// # Errors
/// [`Error::NoImage`] and [`Error::SeveralImages`] for a name; also if the folder is not a run, if
/// its images have changed, or if its weights are missing or damaged.
///
/// ```no_run
/// use selfsame::NeighboursOptions;
///
/// let options =
///     NeighboursOptions { images: vec!["church/017.jpg".into()], ..Default::default() };
/// let found = selfsame::neighbours("runs/photos".as_ref(), &options, &mut ())?;
/// for near in &found.images[0].nearest {
///     println!("{:.3} {}", near.distance, near.image.name);
/// }
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn neighbours(
    run: &Path,
    options: &NeighboursOptions,
    progress: &mut dyn Progress,
) -> Result<Neighbours, Error> {
    if options.nearest == 0 {
        return Err(Error::option("nearest", 0, "at least one neighbour is needed"));
    }
    let run = Run::open(run)?;
    let plan = run.plan()?;
    let (encoder, step) = run.trained(&plan, options.weights, &options.device)?;
    let dataset = run.images_or(options.dataset.clone(), &plan, false, progress)?;
    let all = All::new(&dataset);
    let asked = options.images.iter().map(|name| find(&all, name));
    let asked: Vec<usize> = asked.collect::<Result<_, _>>()?;
    let seen = Seen::embed(&all, all.len(), &encoder, &options.device, progress)?;
    let rows = if asked.is_empty() { selection(&all, |_| true) } else { asked };
    let found = search(&seen, &rows, options.nearest, step)?;
    let found = Neighbours { asked: options.images.clone(), ..found };
    if let Some(old) = asked_before(&run).filter(|old| old.asked != found.asked) {
        note_replaced(&old, progress);
    }
    write_json(&run.path().join(NEIGHBOURS_FILE), &found)?;
    write_page(&run)?;
    Ok(found)
}

/// Searches and writes the neighbours of a selection of the images that were looked at, unless the
/// run has neighbours that were asked for, by the same weights.
pub(crate) fn write_selection(
    run: &Run,
    seen: &Seen<'_>,
    step: u64,
    progress: &mut dyn Progress,
) -> Result<(), Error> {
    if let Some(old) = asked_before(run) {
        if old.step == step {
            return Ok(());
        }
        note_replaced(&old, progress);
    }
    let row_of: HashMap<usize, usize> =
        seen.numbers.iter().enumerate().map(|(row, &number)| (number, row)).collect();
    let chosen = selection(seen.all, |number| row_of.contains_key(&number));
    let rows: Vec<usize> = chosen.iter().map(|number| row_of[number]).collect();
    let nearest = NeighboursOptions::default().nearest;
    write_json(&run.path().join(NEIGHBOURS_FILE), &search(seen, &rows, nearest, step)?)?;
    Ok(())
}

/// Returns the neighbours that were asked for before. A damaged record is as good as none: it is
/// written again.
fn asked_before(run: &Run) -> Option<Neighbours> {
    read_neighbours(run.path()).ok().flatten().filter(|old| !old.asked.is_empty())
}

fn note_replaced(old: &Neighbours, progress: &mut dyn Progress) {
    progress.note(&format!("replacing the neighbours of {}", old.asked.join(", ")));
}

fn search(seen: &Seen<'_>, rows: &[usize], nearest: usize, step: u64) -> Result<Neighbours, Error> {
    let mut pictures = Pictures::new(seen.all);
    let found = seen.nearest(rows, nearest)?;
    let images = rows.iter().zip(&found);
    let images =
        images.map(|(&row, nearest)| seen.neighbourhood(row, nearest, &mut pictures)).collect();
    Ok(Neighbours {
        step,
        asked: Vec::new(),
        searched: seen.numbers.len() as u64,
        images,
        pictures: pictures.pack()?,
    })
}

/// Chooses a few images of each class, at random but always the same: test images, or if there are
/// none, training images.
fn selection(all: &All<'_>, can: impl Fn(usize) -> bool) -> Vec<usize> {
    let of_split = |split| (0..all.len()).filter(move |&number| all.split(number) == split);
    let mut from: Vec<usize> = of_split(SplitName::Test).filter(|&number| can(number)).collect();
    if from.is_empty() {
        from = of_split(SplitName::Train).filter(|&number| can(number)).collect();
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); all.dataset.classes.len().max(1)];
    for number in from {
        groups[all.label(number).unwrap_or_default() as usize].push(number);
    }
    let each = if groups.len() == 1 { CHOSEN / 2 } else { OF_CLASS };
    let of_groups = groups
        .iter()
        .flat_map(|images| sample(images.len(), each).into_iter().map(|at| images[at]));
    // Of many classes, the first are shown.
    of_groups.take(CHOSEN).collect()
}

/// Returns the image with a name, or the only image with a part of a name.
fn find(all: &All<'_>, name: &str) -> Result<usize, Error> {
    let numbers = || 0..all.len();
    let exact: Vec<usize> = numbers().filter(|&number| all.name(number) == name).collect();
    let found = match exact.is_empty() {
        true => numbers().filter(|&number| all.name(number).contains(name)).collect(),
        false => exact,
    };
    let named = |numbers: &[usize]| {
        numbers.iter().take(NAMED).map(|&number| all.name(number).to_owned()).collect()
    };
    match found[..] {
        [number] => Ok(number),
        [] => Err(Error::NoImage { name: name.to_owned(), close: named(&closest(all, name)) }),
        _ => Err(Error::SeveralImages {
            name: name.to_owned(),
            count: found.len(),
            some: named(&found),
        }),
    }
}

/// Returns the images whose names are most like a name, the most alike first. Returns none if no name
/// shares half of its pairs of letters.
fn closest(all: &All<'_>, name: &str) -> Vec<usize> {
    const ALIKE: f64 = 0.5;
    let mut alike: Vec<(f64, usize)> = (0..all.len())
        .map(|number| (likeness(all.name(number), name), number))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    alike.into_iter().map(|(_, number)| number).collect()
}

/// Returns how alike two names are, by the pairs of neighbouring letters that they share (Dice's
/// coefficient), whatever their case: 1 for equal names.
fn likeness(first: &str, second: &str) -> f64 {
    let pairs = |name: &str| {
        let letters: Vec<char> = name.to_lowercase().chars().collect();
        let mut pairs = HashMap::new();
        for pair in letters.windows(2) {
            *pairs.entry([pair[0], pair[1]]).or_insert(0_usize) += 1;
        }
        pairs
    };
    let (first, second) = (pairs(first), pairs(second));
    let shared: usize =
        first.iter().map(|(pair, &n)| n.min(second.get(pair).copied().unwrap_or_default())).sum();
    let all = first.values().sum::<usize>() + second.values().sum::<usize>();
    2.0 * shared as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use selfsame_data::{LoadOptions, load};

    use super::*;

    #[test]
    fn names_parts_of_names_and_mistyped_names() {
        let options = LoadOptions { limit: Some(30), ..LoadOptions::default() };
        let dataset = load("glyphs", &options, &|_, _| ()).unwrap();
        let all = All::new(&dataset);
        let name = all.name(12);
        assert_eq!(find(&all, name).unwrap(), 12);
        let Err(Error::SeveralImages { count, some, .. }) = find(&all, &name[..2]) else {
            panic!("a part that several names have")
        };
        assert!(count > some.len() && some.len() == NAMED);
        let mistyped = format!("{}x{}", &name[..3], &name[3..]);
        let Err(Error::NoImage { close, .. }) = find(&all, &mistyped) else { panic!("{mistyped}") };
        assert!(close.iter().any(|close| close == name), "{close:?}");
        assert!(matches!(find(&all, "%%%"), Err(Error::NoImage { close, .. }) if close.is_empty()));
    }

    #[test]
    fn a_few_of_each_class_are_chosen_from_the_test_split() {
        let options = LoadOptions { limit: Some(60), ..LoadOptions::default() };
        let dataset = load("glyphs", &options, &|_, _| ()).unwrap();
        let all = All::new(&dataset);
        let chosen = selection(&all, |_| true);
        assert_eq!(chosen.len(), 2 * dataset.classes.len());
        assert!(chosen.iter().all(|&number| all.split(number) == SplitName::Test));
        assert_eq!(chosen, selection(&all, |_| true));
    }

    #[test]
    fn likeness_is_one_for_equal_names() {
        assert_eq!(likeness("church/1.jpg", "Church/1.JPG"), 1.0);
        assert_eq!(likeness("abc", "xyz"), 0.0);
        assert_eq!(likeness("", ""), 0.0);
        // "ab", "bc" and "bc", "cd" share one of two pairs each.
        assert_eq!(likeness("abc", "bcd"), 0.5);
    }
}
