//! Folders inside the folders that count as classes: splits, classes, or masks.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::Part;
use crate::leavings::{joined, short};
use crate::parts::{self, Division, Folders, is_container, listed};

/// Names of folders that hold masks or drawings of images, in lower case.
const MASKS: [&str; 16] = [
    "mask",
    "masks",
    "segmentation",
    "segmentations",
    "seg",
    "gt",
    "groundtruth",
    "ground_truth",
    "trimaps",
    "annotations",
    "labels",
    "labelimages",
    "segmentationclass",
    "segmentationobject",
    "depth",
    "overlays",
];

/// The parts by the names of folders, and what to say about them.
type Splits = (BTreeMap<String, Part>, String);

/// Finds splits inside the folders at `depth`, which are the classes then, as in `cat/train/…` and
/// `cat/test/…`. Returns the parts of the inner folders.
///
/// An error is the question that only a person can answer: where some folders hold splits and
/// others do not, nobody can tell what is a class.
pub(crate) fn splits(images: &[&[String]], depth: usize) -> Result<Option<Splits>, String> {
    let Some((place, names)) = first_splits(images, depth) else { return Ok(None) };
    let mut inside = Folders::new();
    let mut outer: BTreeSet<&str> = BTreeSet::new();
    let mut even = true;
    for image in images {
        match &image[depth..] {
            [class, split, deeper @ .., _] => {
                outer.insert(class);
                inside.entry(split).or_default();
                even &= deeper.iter().all(|folder| is_container(folder));
            }
            _ => even = false,
        }
    }
    let special = |name: &&str| is_container(name) || is_mask(name) || parts::is_split(name);
    if even
        && outer.len() > 1
        && !outer.iter().any(special)
        && let Ok((Division::Parts(parts), _)) = parts::divide(&inside)
        && inside.keys().all(|name| parts.contains_key(*name))
    {
        let note = format!(
            "Each class folder holds splits: {} are the classes, and {} inside them the splits.",
            listed(outer.iter()),
            listed(parts.keys())
        );
        return Ok(Some((parts, note)));
    }
    let outside = images.iter().find(|image| {
        !(image.starts_with(&place)
            && image.get(place.len()).is_some_and(|name| names.contains(name)))
    });
    let place = short(&joined(&place));
    let outside = match outside {
        Some(image) => format!(
            "{} lies outside of them; load {place} alone, move the other images away, or, if {place} \
             is a class, divide all classes so",
            short(&joined(image))
        ),
        None => format!("the folders around them are no splits; load {place}"),
    };
    Err(format!(
        "{place} holds folders that look like splits, {}, but {outside}",
        listed(names.iter())
    ))
}

/// Finds the first folder below `depth` whose folders are splits.
fn first_splits(images: &[&[String]], depth: usize) -> Option<(Vec<String>, BTreeSet<String>)> {
    let mut inside: BTreeMap<&[String], Folders<'_>> = BTreeMap::new();
    let mut before: &[String] = &[];
    for image in images {
        let Some((_, folders)) = image.split_last() else { continue };
        if folders == before {
            continue;
        }
        before = folders;
        for at in depth + 1..folders.len() {
            let found = inside.entry(&folders[..at]).or_default();
            found.entry(&folders[at]).or_default().extend(folders.get(at + 1).map(String::as_str));
        }
    }
    inside.into_iter().find_map(|(place, folders)| match parts::divide(&folders) {
        Ok((Division::Parts(parts), _)) => Some((place.to_vec(), parts.into_keys().collect())),
        _ => None,
    })
}

fn is_mask(name: &str) -> bool {
    MASKS.contains(&name.to_lowercase().as_str())
}

/// Says that classes hold folders that may be the classes which are meant, or that a folder of masks
/// counts as a class. `classes` are the classes, each with the folders inside it.
pub(crate) fn note(classes: &Folders<'_>) -> Option<String> {
    let masks: Vec<&&str> = classes.keys().filter(|name| is_mask(name)).collect();
    if !masks.is_empty() && masks.len() < classes.len() {
        return Some(format!(
            "{} counts as a class. If it holds masks or drawings of the other images, load the \
             folder of the images alone.",
            listed(masks.into_iter())
        ));
    }
    let mut each = classes.iter();
    let (first, inside) = each.next()?;
    if let Some((second, _)) = each.clone().next()
        && inside.len() > 1
        && each.all(|(_, other)| other == inside)
    {
        return Some(format!(
            "{}, {} and so on count as classes, although each holds the same folders ({}). If \
             those are the classes, load one of the outer folders, or name them train, val and \
             test.",
            short(first),
            short(second),
            listed(inside.iter())
        ));
    }
    let unclear = |(_, inside): &(&&str, &BTreeSet<&str>)| {
        inside.len() > 1 || inside.iter().any(|name| parts::is_bare(name))
    };
    let (class, inside) = classes.iter().find(unclear)?;
    Some(format!(
        "Folders inside classes are no classes of their own: {} holds {}. If those are meant, load \
         {} alone, or give a table of labels.",
        short(class),
        listed(inside.iter()),
        short(class)
    ))
}
