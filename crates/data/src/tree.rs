//! Trees of images, in a folder or an archive: tells which files are images, which folders are
//! splits, and where the labels are from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use unicode_normalization::UnicodeNormalization;

use crate::catalogue::{Catalogue, Entry, Part, Source};
use crate::kinds::{self, Kind};
use crate::leavings::{self, Leavings, short};
use crate::parts::{self, Division, Folders};
use crate::table::{self, Table};
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
    /// Labels that lie beside images in files of their own, by the image's name up to its first
    /// dot, as in WebDataset.
    pub(crate) beside: HashMap<String, String>,
    /// Tables of labels that belong to a known layout: their folders and their bytes.
    pub(crate) annotations: Vec<(Vec<String>, Vec<u8>)>,
    /// Whether the topmost folders only number the parts of one set.
    pub(crate) in_shards: bool,
    pub(crate) skipped: Vec<Skipped>,
    /// Files whose names are not image names.
    pub(crate) left_alone: Leavings,
    /// Names of files that look like tables of labels.
    pub(crate) tables: Vec<String>,
    /// Files that systems and programs leave behind, and hidden ones.
    pub(crate) junk: usize,
    /// Number of images among the hidden files, and the name of the first.
    pub(crate) hidden: Option<(usize, String)>,
    pub(crate) notes: Vec<String>,
}

/// Largest file beside images that is read for labels, in bytes.
pub(crate) const MAX_BESIDE: u64 = 1 << 20;
/// Most names in a note.
const NAMED: usize = 4;

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
            Kind::Other => {
                self.left_alone.add(components);
                if components.last().is_some_and(|name| table::is_usual_name(name.as_ref())) {
                    self.tables.push(leavings::joined(components));
                }
            }
            Kind::Junk => {
                self.junk += 1;
                if kinds::is_hidden_image(components) {
                    let first = || (0, leavings::joined(components));
                    self.hidden.get_or_insert_with(first).0 += 1;
                }
            }
        }
        false
    }

    /// Takes the label in a file that is not an image, if it is one that holds labels.
    pub(crate) fn read_beside<S: AsRef<str>>(
        &mut self,
        components: &[S],
        bytes: impl FnOnce() -> Option<Vec<u8>>,
    ) {
        let Some((name, folders)) = components.split_last() else { return };
        match (name.as_ref(), kinds::ending(name.as_ref()).as_str()) {
            ("val_annotations.txt", _) => {
                let folders = folders.iter().map(|folder| folder.as_ref().to_owned()).collect();
                self.annotations.extend(bytes().map(|bytes| (folders, bytes)));
            }
            (_, ending @ ("cls" | "json")) => {
                if let Some(label) = bytes().and_then(|bytes| label_in(ending, &bytes)) {
                    self.beside.insert(key(components), label);
                }
            }
            _ => {}
        }
    }
}

/// Returns the folders and the name up to its first dot: what the files of a sample share.
fn key<S: AsRef<str>>(components: &[S]) -> String {
    let Some((name, folders)) = components.split_last() else { return String::new() };
    let stem = name.as_ref().split('.').next().unwrap_or_default();
    folders.iter().map(AsRef::as_ref).chain([stem]).collect::<Vec<&str>>().join("/")
}

/// Returns the label in a file beside an image, if there is one.
fn label_in(ending: &str, bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let label = if ending == "cls" {
        text.trim().to_owned()
    } else {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let label = ["label", "cls", "class"].iter().find_map(|key| value.get(key))?;
        match label {
            serde_json::Value::String(label) => label.trim().to_owned(),
            serde_json::Value::Number(label) => label.to_string(),
            _ => return None,
        }
    };
    (!label.is_empty() && label.lines().count() == 1).then_some(label)
}

/// An image with its part and what else is known about it.
struct Placed {
    part: Part,
    /// Number of leading components that are no class.
    depth: usize,
    label: Option<String>,
    image: Found,
}

/// Where labels are from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Folders,
    Beside,
    Table,
}

impl Origin {
    /// Why an image has no label.
    fn lack(self) -> &'static str {
        match self {
            Self::Folders => "it lies beside the class folders",
            Self::Beside => "no label lies beside it",
            Self::Table => "the table of labels has no label for it",
        }
    }
}

/// Derives classes and splits of the tree at `path`: from `table` if there is one, or else from the
/// folders and from what lies beside the images.
pub(crate) fn arrange(
    path: &Path,
    name: String,
    findings: Findings,
    source: Box<dyn Source>,
    mut table: Option<Table>,
) -> Result<Catalogue, DataError> {
    let contradiction = |cause: String| DataError::Layout { path: path.to_owned(), cause };
    let Findings {
        mut images,
        beside,
        annotations,
        in_shards,
        skipped,
        left_alone,
        tables,
        junk,
        hidden,
        mut notes,
    } = findings;
    images.sort_by(|a, b| a.components.cmp(&b.components));
    let left_alone = left_alone.into_list();
    notes.extend(leavings::note(&left_alone));
    notes.extend(hidden.map(|(count, first)| {
        format!("Hidden images were passed over: {count}, such as {}.", short(&first))
    }));
    if !tables.is_empty() && table.is_none() {
        let named: Vec<String> = tables.iter().take(NAMED).map(|name| short(name)).collect();
        notes.push(format!(
            "{} may be a table of labels. It is not read unless it is given as such (labels).",
            named.join(", ")
        ));
    }
    let mut tree = Catalogue { skipped, left_alone, junk, notes, ..Catalogue::new(name, source) };
    let mut placed = place(&mut tree, images, in_shards).map_err(contradiction)?;

    let known = placed.iter().filter(|one| beside.contains_key(&key(&one.image.components)));
    let origin = match &table {
        Some(_) => Origin::Table,
        None if !beside.is_empty() && known.count() * 2 >= placed.len() => Origin::Beside,
        None => Origin::Folders,
    };
    match (origin, &mut table) {
        (Origin::Table, Some(table)) => {
            label_by_table(&mut tree, &mut placed, table).map_err(contradiction)?;
        }
        (Origin::Beside, _) => {
            for one in &mut placed {
                one.label = beside.get(&key(&one.image.components)).cloned();
            }
            tree.notes.push("Labels are from the .cls or .json files beside the images.".into());
        }
        _ => label_by_folder(&mut tree, &mut placed, &annotations),
    }
    let placed = keep_labelled(&mut tree, placed, origin).map_err(contradiction)?;
    tree.level = placed
        .iter()
        .map(|one| one.depth + usize::from(origin == Origin::Folders && one.label.is_some()))
        .max()
        .unwrap_or(0);
    fill(&mut tree, placed, origin);
    Ok(tree)
}

/// Finds the part of every image. Images that belong to none are left out.
fn place(tree: &mut Catalogue, images: Vec<Found>, in_shards: bool) -> Result<Vec<Placed>, String> {
    let depth = if in_shards { 0 } else { wrapping_depth(&images, &tree.left_alone) };
    let mut folders = Folders::new();
    for image in &images {
        if let [folder, inside @ .., _] = &image.components[depth..] {
            folders.entry(folder).or_default().extend(inside.first().map(String::as_str));
        }
    }
    let (division, note) = parts::divide(&folders)?;
    if division == Division::None && !in_shards {
        tree.notes.extend(same_inside(&folders));
    }
    tree.notes.extend(note);

    let mut placed: Vec<Placed> = Vec::with_capacity(images.len());
    for image in images {
        let inside = &image.components[depth..];
        let (part, depth) = match &division {
            Division::None => (Some(Part::Whole), depth + usize::from(in_shards)),
            _ if inside.len() < 2 => (None, depth),
            Division::TrainOnly => (Some(Part::Whole), depth + 1),
            Division::Parts(parts) => (parts.get(&inside[0]).copied(), depth + 1),
        };
        match part {
            Some(part) => placed.push(Placed { part, depth, label: None, image }),
            None => leave_out(tree, &image, "it lies outside the folders of the splits"),
        }
    }
    if division != Division::None {
        pass_containers(&mut placed);
    }
    Ok(placed)
}

/// Names of folders that only hold the images of a split.
const CONTAINERS: [&str; 8] =
    ["images", "image", "imgs", "img", "data", "jpegimages", "jpg", "photos"];

/// Passes through folders that hold all images of a split and are no class: `val/images/…`, or
/// `seg_train/seg_train/…`.
fn pass_containers(placed: &mut [Placed]) {
    let mut inside: BTreeMap<Part, BTreeSet<Option<&str>>> = BTreeMap::new();
    for one in &*placed {
        let names = &one.image.components;
        let folder = (names.len() > one.depth + 1).then(|| names[one.depth].as_str());
        inside.entry(one.part).or_default().insert(folder);
    }
    let is_class = |folder: &str| {
        inside.values().any(|inside| inside.len() > 1 && inside.contains(&Some(folder)))
    };
    let mut passed: BTreeSet<Part> = BTreeSet::new();
    for (&part, folders) in &inside {
        if let (1, Some(&Some(folder))) = (folders.len(), folders.first())
            && (CONTAINERS.contains(&folder.to_lowercase().as_str()) || parts::is_split(folder))
            && !is_class(folder)
        {
            passed.insert(part);
        }
    }
    for one in placed {
        one.depth += usize::from(passed.contains(&one.part));
    }
}

/// Says that folders hold folders of the same names, as if they were splits or sources of one set.
fn same_inside(folders: &Folders<'_>) -> Option<String> {
    let mut each = folders.iter();
    let (first, inside) = each.next()?;
    let (second, _) = each.clone().next()?;
    (inside.len() > 1 && each.all(|(_, other)| other == inside)).then(|| {
        let named: Vec<String> = inside.iter().take(NAMED).map(|name| short(name)).collect();
        format!(
            "{}, {} and so on count as classes, although each holds the same folders ({}). If \
             those are the classes, load one of the outer folders, or name them train, val and \
             test.",
            short(first),
            short(second),
            named.join(", ")
        )
    })
}

/// Labels images by the table, and takes splits from it if the folders are none.
fn label_by_table(
    tree: &mut Catalogue,
    placed: &mut [Placed],
    table: &mut Table,
) -> Result<(), String> {
    let mut parts = Vec::with_capacity(placed.len());
    for one in &mut *placed {
        let labelled = table.label(&one.image.components)?;
        parts.push(labelled.as_ref().and_then(|labelled| labelled.part));
        one.label = labelled.map(|labelled| labelled.label);
    }
    if placed.iter().all(|one| one.label.is_none()) {
        return Err(format!(
            "{} has a label for none of the {} images",
            table.name(),
            placed.len()
        ));
    }
    let undivided = placed.iter().all(|one| one.part == Part::Whole);
    if undivided && parts.contains(&Some(Part::Train)) {
        for (one, part) in placed.iter_mut().zip(parts) {
            one.part = part.unwrap_or(Part::Train);
        }
    }
    tree.notes.append(&mut table.notes);
    tree.notes.extend(table.unused());
    Ok(())
}

/// Labels images by the folder that they lie in, and those that have none by the annotations beside
/// them.
fn label_by_folder(
    tree: &mut Catalogue,
    placed: &mut [Placed],
    annotations: &[(Vec<String>, Vec<u8>)],
) {
    for one in &mut *placed {
        let names = &one.image.components;
        one.label = (names.len() > one.depth + 1).then(|| names[one.depth].clone());
    }
    for (folders, bytes) in annotations {
        let name = folders.join("/") + "/val_annotations.txt";
        let mut table = match Table::parse(&name, bytes) {
            Ok(table) => table,
            Err(cause) => {
                tree.notes.push(format!("{} is not read: {cause}.", short(&name)));
                continue;
            }
        };
        let mut labelled = 0;
        for one in &mut *placed {
            if one.label.is_none()
                && one.image.components.starts_with(folders)
                && let Ok(Some(found)) = table.label(&one.image.components)
            {
                one.label = Some(found.label);
                labelled += 1;
            }
        }
        if labelled > 0 {
            tree.notes.push(format!("{} has the labels of {labelled} images.", short(&name)));
        }
    }
}

/// Leaves out the images without a label if there are labels. Splits must agree on whether there
/// are.
fn keep_labelled(
    tree: &mut Catalogue,
    mut placed: Vec<Placed>,
    origin: Origin,
) -> Result<Vec<Placed>, String> {
    let mut labelled: BTreeMap<Part, bool> = BTreeMap::new();
    for one in &placed {
        *labelled.entry(one.part).or_default() |= one.label.is_some();
    }
    if labelled.values().all(|&with| !with) {
        return Ok(placed);
    }
    let learns = labelled.get(&Part::Train).or(labelled.get(&Part::Whole)) == Some(&true);
    let measures = labelled.iter().any(|(&part, &with)| with && part > Part::Train);
    if labelled.values().any(|&with| !with) && !(learns && (measures || origin != Origin::Folders))
    {
        return Err("some of train, val and test have class folders and others have none; give \
                    all of them class folders, or none, give a table of labels, or load the \
                    folder train alone"
            .to_owned());
    }
    let (with, without): (Vec<_>, Vec<_>) = placed.into_iter().partition(|one| one.label.is_some());
    for one in without {
        let of_its_own = labelled[&one.part];
        let cause = if of_its_own { origin.lack() } else { "its split has no labels" };
        leave_out(tree, &one.image, cause);
    }
    placed = with;
    // Nothing to measure on is left of the set's own: as if it had no parts.
    if placed.iter().all(|one| one.part == Part::Train) {
        placed.iter_mut().for_each(|one| one.part = Part::Whole);
    }
    Ok(placed)
}

/// Numbers the classes and makes the entries.
fn fill(tree: &mut Catalogue, placed: Vec<Placed>, origin: Origin) {
    let classes: BTreeSet<&String> = placed.iter().filter_map(|one| one.label.as_ref()).collect();
    let mut classes: Vec<String> = classes.into_iter().cloned().collect();
    let number = |class: &String| class.parse::<u64>().ok();
    if origin != Origin::Folders && classes.iter().all(|class| number(class).is_some()) {
        classes.sort_by_key(number);
    }
    tree.notes.extend(alike(&classes));
    // A flat folder that was packed under its own name also looks like this: a single class carries
    // no information.
    if let [class] = classes.as_slice() {
        let class = short(class);
        tree.notes.push(match origin {
            Origin::Folders => {
                format!("All images lie in one folder, {class}, so they count as unlabelled.")
            }
            _ => format!("All images have the label {class}, so they count as unlabelled."),
        });
        classes.clear();
    }
    let numbers: HashMap<&str, u32> =
        classes.iter().zip(0..).map(|(class, number)| (class.as_str(), number)).collect();
    for one in placed {
        let class = one.label.as_deref().and_then(|label| numbers.get(label)).copied();
        let name = one.image.components.join("/");
        let class = class.unwrap_or(0);
        tree.entries.push(Entry { name, class, part: one.part, item: one.image.item });
    }
    tree.classes = classes;
}

/// Says that classes have names that people or systems take for one.
fn alike(classes: &[String]) -> Option<String> {
    let mut groups: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for class in classes {
        groups.entry(class.to_lowercase().nfc().collect()).or_default().push(class);
    }
    let pairs: Vec<String> = groups
        .values()
        .filter(|group| group.len() > 1)
        .take(NAMED)
        .map(|group| group.iter().map(|name| short(name)).collect::<Vec<_>>().join(" / "))
        .collect();
    (!pairs.is_empty()).then(|| {
        format!(
            "These count as different classes, although only case or the storage of accents \
             tells them apart: {}.",
            pairs.join("; ")
        )
    })
}

fn leave_out(tree: &mut Catalogue, image: &Found, cause: &str) {
    tree.skipped.push(Skipped { name: image.components.join("/"), cause: cause.into() });
}

/// Returns the number of folders at the top that only wrap everything, as in an archive of one
/// folder: each holds all images, holds none of them directly, and is not a split. Pictures that
/// are not read count as well: beside them, a folder is a class.
fn wrapping_depth(images: &[Found], left_alone: &[leavings::LeftAlone]) -> usize {
    let Some(first) = images.first() else { return 0 };
    let pictures = left_alone.iter().filter(|left| kinds::is_picture(&left.ending));
    let pictures: Vec<Vec<&str>> = pictures.map(|left| left.example.split('/').collect()).collect();
    let wraps = |depth: usize| {
        let folder = &first.components[depth];
        !parts::is_bare(folder)
            && images.iter().all(|image| {
                image.components.len() > depth + 2 && image.components[depth] == *folder
            })
            && pictures.iter().all(|picture| picture.get(depth) == Some(&folder.as_str()))
    };
    (0..first.components.len().saturating_sub(2)).take_while(|&depth| wraps(depth)).count()
}
