//! Trees of images, in a folder or an archive: tells which files are images, which folders are
//! splits and which folders are classes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::catalogue::{Catalogue, Entry, Part, Source};
use crate::kinds::{self, Kind};
use crate::leavings::{self, Leavings};
use crate::{DataError, Skipped};

/// An image file found in a tree.
pub(crate) struct Found {
    /// Names of the folders and of the file, from the top of the tree.
    pub(crate) components: Vec<String>,
    /// The source's number for it.
    pub(crate) item: usize,
}

/// All files that were found in a tree.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) images: Vec<Found>,
    pub(crate) skipped: Vec<Skipped>,
    /// Files whose names are not image names.
    pub(crate) left_alone: Leavings,
    /// Files that systems and programs leave behind, and hidden ones.
    pub(crate) junk: usize,
    /// Number of images among the hidden files, and the name of the first.
    pub(crate) hidden: Option<(usize, String)>,
    pub(crate) notes: Vec<String>,
}

impl Findings {
    /// Leaves out the file or entry `name`.
    pub(crate) fn skip(&mut self, name: &str, cause: &str) {
        self.skipped.push(Skipped { name: name.to_owned(), cause: cause.to_owned() });
    }

    /// Notes the file whose folders and name are `components` unless it is an image. Returns
    /// whether it is one.
    pub(crate) fn is_image<S: AsRef<str>>(&mut self, components: &[S]) -> bool {
        match kinds::kind(components) {
            Kind::Image => return true,
            Kind::Other => self.left_alone.add(components),
            Kind::Junk => {
                self.junk += 1;
                if kinds::is_hidden_image(components) {
                    let name =
                        || components.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/");
                    self.hidden.get_or_insert_with(|| (0, name())).0 += 1;
                }
            }
        }
        false
    }
}

/// Derives classes and splits from the folders of the tree at `path`.
pub(crate) fn arrange(
    path: &Path,
    name: String,
    findings: Findings,
    source: Box<dyn Source>,
) -> Result<Catalogue, DataError> {
    let Findings { mut images, skipped, left_alone, junk, hidden, mut notes } = findings;
    images.sort_by(|a, b| a.components.cmp(&b.components));
    let left_alone = left_alone.into_list();
    notes.extend(leavings::note(&left_alone));
    notes.extend(hidden.map(|(count, first)| {
        format!("Hidden images were passed over: {count}, such as {}.", leavings::short(&first))
    }));
    let mut tree = Catalogue { skipped, left_alone, junk, notes, ..Catalogue::new(name, source) };
    let depth = wrapping_depth(&images);
    let divided = divided(&images, depth);

    // Every image with its part and the number of leading components to remove.
    let mut placed: Vec<(Part, usize, Found)> = Vec::with_capacity(images.len());
    for image in images {
        let inside = &image.components[depth..];
        match (divided, part_named(&inside[0])) {
            (Division::None, _) => placed.push((Part::Whole, depth, image)),
            (Division::TrainOnly, Some(_)) if inside.len() > 1 => {
                placed.push((Part::Whole, depth + 1, image))
            }
            (Division::Parts, Some(part)) if inside.len() > 1 => {
                placed.push((part, depth + 1, image))
            }
            _ => leave_out(&mut tree, &image, "it lies outside the folders train, val and test"),
        }
    }
    if divided == Division::Parts && !placed.iter().any(|(part, ..)| *part == Part::Train) {
        let cause = "there are images to validate or test with, but no folder train with images \
                     to learn from";
        return Err(DataError::Layout { path: path.to_owned(), cause: cause.into() });
    }

    // Whether a part has class folders. This must be the same in every part.
    let mut labelled: BTreeMap<Part, bool> = BTreeMap::new();
    for (part, depth, image) in &placed {
        *labelled.entry(*part).or_default() |= image.components.len() > depth + 1;
    }
    if labelled.values().any(|&with| with) && labelled.values().any(|&with| !with) {
        let cause = "some of train, val and test have class folders and others have none; give \
                     all of them class \
                     folders, or none, or load the folder train alone";
        return Err(DataError::Layout { path: path.to_owned(), cause: cause.into() });
    }
    let labelled = labelled.values().any(|&with| with);
    let class_of = |depth: usize, image: &Found| labelled.then(|| image.components[depth].clone());
    if labelled {
        let (inside, stray): (Vec<_>, Vec<_>) =
            placed.into_iter().partition(|(_, depth, image)| image.components.len() > depth + 1);
        placed = inside;
        for (_, _, image) in stray {
            leave_out(&mut tree, &image, "it lies beside the class folders");
        }
        let classes: BTreeSet<String> =
            placed.iter().filter_map(|(_, depth, image)| class_of(*depth, image)).collect();
        tree.classes = classes.into_iter().collect();
    }
    tree.level =
        placed.iter().map(|(_, depth, _)| depth + usize::from(labelled)).max().unwrap_or(0);
    // A flat folder that was packed under its own name also looks like this: a single class carries
    // no information.
    if let [class] = tree.classes.as_slice() {
        tree.notes
            .push(format!("All images lie in one folder, {class}, so they count as unlabelled."));
        tree.classes.clear();
    }
    for (part, depth, image) in placed {
        let class = class_of(depth, &image)
            .and_then(|class| tree.classes.binary_search(&class).ok())
            .unwrap_or(0);
        let name = image.components.join("/");
        tree.entries.push(Entry { name, class: class as u32, part, item: image.item });
    }
    Ok(tree)
}

fn leave_out(tree: &mut Catalogue, image: &Found, cause: &str) {
    tree.skipped.push(Skipped { name: image.components.join("/"), cause: cause.into() });
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Division {
    None,
    /// The folder `train` is alone, so it is only a wrapper.
    TrainOnly,
    Parts,
}

/// Returns whether the folders at `depth` are splits. `train` may also be a class name, so it
/// counts only if it has company or is alone.
fn divided(images: &[Found], depth: usize) -> Division {
    let folders = images
        .iter()
        .filter(|image| image.components.len() > depth + 1)
        .map(|image| &image.components[depth]);
    let folders: BTreeSet<&String> = folders.collect();
    let parts: BTreeSet<Part> = folders.iter().filter_map(|name| part_named(name)).collect();
    match (parts.contains(&Part::Train), parts.len(), folders.len()) {
        (true, 1, 1) => Division::TrainOnly,
        (true, 2.., _) => Division::Parts,
        (false, 1.., all)
            if folders.iter().filter(|name| part_named(name).is_some()).count() == all =>
        {
            Division::Parts
        }
        _ => Division::None,
    }
}

fn part_named(folder: &str) -> Option<Part> {
    match folder.to_ascii_lowercase().as_str() {
        "train" => Some(Part::Train),
        "val" | "valid" | "validation" => Some(Part::Validation),
        "test" => Some(Part::Test),
        _ => None,
    }
}

/// Returns the number of folders at the top that only wrap everything, as in an archive of one
/// folder: each holds all images, holds none of them directly, and is not a split.
fn wrapping_depth(images: &[Found]) -> usize {
    let Some(first) = images.first() else { return 0 };
    let wraps = |depth: usize| {
        let folder = &first.components[depth];
        part_named(folder).is_none()
            && images.iter().all(|image| {
                image.components.len() > depth + 2 && image.components[depth] == *folder
            })
    };
    (0..first.components.len().saturating_sub(2)).take_while(|&depth| wraps(depth)).count()
}
