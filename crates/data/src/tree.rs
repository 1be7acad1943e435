//! Trees of images, in a folder or an archive: tells which files are images, which folders are
//! splits, and where the labels are from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use unicode_normalization::UnicodeNormalization;

use crate::beside::{self, Beside};
use crate::catalogue::{Catalogue, Entry, Part, Source};
use crate::kinds::{self, Kind};
use crate::leavings::{self, Leavings, short};
use crate::parts::{self, Division, Folders};
use crate::table::{self, Table};
use crate::{DataError, Skipped, inner};

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
    /// Labels that lie beside images in files of their own.
    pub(crate) beside: Beside,
    /// Tables of labels that belong to a known layout: their folders and their bytes.
    pub(crate) annotations: Vec<(Vec<String>, Vec<u8>)>,
    /// Names of the topmost folders if they only number the parts of one set.
    pub(crate) shards: Option<String>,
    pub(crate) skipped: Vec<Skipped>,
    /// Files whose names are not image names.
    pub(crate) left_alone: Leavings,
    /// Folders and names of those of them that are pictures in some other form.
    pub(crate) unread: Vec<Vec<String>>,
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
                let name = components.last().map_or("", |name| name.as_ref());
                if kinds::is_picture(&kinds::ending(name)) {
                    self.unread.push(components.iter().map(|c| c.as_ref().to_owned()).collect());
                }
                if table::is_usual_name(name) {
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
        if name.as_ref() == "val_annotations.txt" {
            let folders = folders.iter().map(|folder| folder.as_ref().to_owned()).collect();
            self.annotations.extend(bytes().map(|bytes| (folders, bytes)));
        } else {
            self.beside.add(components, bytes);
        }
    }
}

/// Where the labels of a tree are from.
pub(crate) enum Labels {
    /// The folders, or files beside the images.
    Own,
    /// Nowhere: the images count as unlabelled.
    Nowhere,
    Table(Table),
}

/// An image with its part and what else is known about it.
struct Placed {
    part: Part,
    /// Number of leading components that are no class.
    depth: usize,
    label: Option<String>,
    /// Whether the folder inside its class is its split.
    splits_inside: bool,
    image: Found,
}

impl Placed {
    /// Returns the folder that would be the image's class.
    fn folder(&self) -> Option<&String> {
        let names = &self.image.components;
        (names.len() > self.depth + 1).then(|| &names[self.depth])
    }
}

/// Where labels are from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Nowhere,
    Folders,
    Beside,
    Table,
}

impl Origin {
    /// Why an image has no label.
    fn lack(self) -> &'static str {
        match self {
            Self::Nowhere | Self::Folders => "it lies beside the class folders",
            Self::Beside => "no label lies beside it",
            Self::Table => "the table of labels has no label for it",
        }
    }
}

/// Derives classes and splits of the tree at `path`: from a table if there is one, or else from the
/// folders and from what lies beside the images.
pub(crate) fn arrange(
    path: &Path,
    name: String,
    findings: Findings,
    source: Box<dyn Source>,
    labels: Labels,
) -> Result<Catalogue, DataError> {
    let contradiction = |cause: String| DataError::Layout { path: path.to_owned(), cause };
    let Findings {
        mut images,
        beside,
        annotations,
        shards,
        skipped,
        left_alone,
        unread,
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
    if !tables.is_empty() && matches!(labels, Labels::Own) {
        let named: Vec<String> = tables.iter().take(NAMED).map(|name| short(name)).collect();
        notes.push(format!(
            "{} may be a table of labels. It is not read unless it is given as such (labels).",
            named.join(", ")
        ));
    }
    let mut tree = Catalogue { skipped, left_alone, junk, notes, ..Catalogue::new(name, source) };
    let mut placed = place(&mut tree, images, shards.is_some()).map_err(contradiction)?;

    let origin = match labels {
        Labels::Table(mut table) => {
            label_by_table(&mut tree, &mut placed, &mut table, &unread).map_err(contradiction)?;
            Origin::Table
        }
        Labels::Nowhere => Origin::Nowhere,
        Labels::Own => {
            let beside = beside.labels().map_err(contradiction)?;
            tree.notes.extend(beside.unread());
            if label_beside(&mut tree, &mut placed, &beside) {
                Origin::Beside
            } else {
                label_by_folder(&mut tree, &mut placed, &annotations);
                Origin::Folders
            }
        }
    };
    let placed = keep_labelled(&mut tree, placed, origin).map_err(contradiction)?;
    if origin == Origin::Folders {
        tree.notes.extend(inside_classes(&placed));
    }
    tree.level = placed
        .iter()
        .map(|one| one.depth + usize::from(origin == Origin::Folders && one.label.is_some()))
        .max()
        .unwrap_or(0);
    fill(&mut tree, placed, origin);
    if let Some(stems) = shards.filter(|_| tree.classes.is_empty() && origin != Origin::Nowhere) {
        tree.notes.push(format!(
            "The names of the archives ({stems}) only number the parts of one set. If each \
             archive is a class, unpack them into folders, or give them the names of the classes."
        ));
    }
    Ok(tree)
}

/// Finds the part of every image. Images that belong to none are left out.
fn place(tree: &mut Catalogue, images: Vec<Found>, in_shards: bool) -> Result<Vec<Placed>, String> {
    let mut depth = if in_shards { 0 } else { wrapping_depth(&images, &tree.left_alone) };
    let folders_at = |depth: usize| folders(images.iter().map(move |image| (image, depth)));
    let (mut division, mut note) = parts::divide(&folders_at(depth))?;
    if division == Division::None && in_shards {
        depth = 1;
        (division, note) = parts::divide(&folders_at(depth))?;
    }
    tree.notes.extend(note);
    let names: Vec<&[String]> = images.iter().map(|image| image.components.as_slice()).collect();
    if division == Division::None
        && let Some((parts, note)) = inner::splits(&names, depth)?
    {
        tree.notes.push(note);
        let part = |image: &Found| parts.get(&image.components[depth + 1]).copied();
        return Ok(images
            .into_iter()
            .filter_map(|image| {
                Some(Placed { part: part(&image)?, depth, label: None, splits_inside: true, image })
            })
            .collect());
    }

    let mut placed: Vec<Placed> = Vec::with_capacity(images.len());
    for image in images {
        let inside = &image.components[depth..];
        let (part, depth) = match &division {
            Division::None => (Some(Part::Whole), depth),
            _ if inside.len() < 2 => (None, depth),
            Division::TrainOnly => (Some(Part::Whole), depth + 1),
            Division::Parts(parts) => (parts.get(&inside[0]).copied(), depth + 1),
        };
        match part {
            Some(part) => {
                placed.push(Placed { part, depth, label: None, splits_inside: false, image })
            }
            None => leave_out(tree, &image, "it lies outside the folders of the splits"),
        }
    }
    if division != Division::None {
        pass_containers(&mut placed);
    }
    Ok(placed)
}

/// Returns the folders that hold images, each with the folders inside it. With each image comes the
/// depth of its folder.
fn folders<'a>(images: impl Iterator<Item = (&'a Found, usize)>) -> Folders<'a> {
    let mut folders = Folders::new();
    for (image, depth) in images {
        if let Some([folder, inside @ .., _]) = image.components.get(depth..) {
            folders.entry(folder).or_default().extend(inside.first().map(String::as_str));
        }
    }
    folders
}

/// Passes through folders that hold all images of a split and are no class: `val/images/…`, or
/// `seg_train/seg_train/…`.
fn pass_containers(placed: &mut [Placed]) {
    let mut inside: BTreeMap<Part, BTreeSet<Option<&str>>> = BTreeMap::new();
    for one in &*placed {
        inside.entry(one.part).or_default().insert(one.folder().map(String::as_str));
    }
    let is_class = |folder: &str| {
        inside.values().any(|inside| inside.len() > 1 && inside.contains(&Some(folder)))
    };
    let mut passed: BTreeSet<Part> = BTreeSet::new();
    for (&part, folders) in &inside {
        if let (1, Some(&Some(folder))) = (folders.len(), folders.first())
            && (parts::is_container(folder) || parts::is_split(folder))
            && !is_class(folder)
        {
            passed.insert(part);
        }
    }
    for one in placed {
        one.depth += usize::from(passed.contains(&one.part));
    }
}

/// Says that classes hold folders, which may be the classes that are meant, or that a folder of
/// masks counts as a class.
fn inside_classes(placed: &[Placed]) -> Option<String> {
    let placed = placed.iter().filter(|one| !one.splits_inside);
    inner::note(&folders(placed.map(|one| (&one.image, one.depth))))
}

/// Labels images by the table, and takes splits from it. `unread` are pictures of the set that are
/// not read, which rows may be about.
fn label_by_table(
    tree: &mut Catalogue,
    placed: &mut [Placed],
    table: &mut Table,
    unread: &[Vec<String>],
) -> Result<(), String> {
    let mut parts = Vec::with_capacity(placed.len());
    for one in &*placed {
        table.expect(&one.image.components);
    }
    for one in &mut *placed {
        let labelled = table.label(&one.image.components)?;
        parts.push(labelled.as_ref().and_then(|labelled| labelled.part));
        one.label = labelled.map(|labelled| labelled.label);
    }
    for picture in unread {
        table.check_unread(picture)?;
    }
    if placed.iter().all(|one| one.label.is_none()) {
        let image = placed.first().map(|one| one.image.components.join("/"));
        return Err(table.fits_none(placed.len(), &image.unwrap_or_default()));
    }
    let undivided = placed.iter().all(|one| one.part == Part::Whole);
    if parts.iter().any(Option::is_some) {
        for (one, part) in placed.iter_mut().zip(parts) {
            one.part = match (one.part, part) {
                (Part::Whole, part) if undivided => part.unwrap_or(Part::Train),
                (own, None) => own,
                // Validation images may be chosen among those for training.
                (Part::Train, Some(Part::Validation)) => Part::Validation,
                (own, Some(part)) if own == part => own,
                (own, Some(part)) => {
                    return Err(format!(
                        "{} lies in a folder for {}, and {} has it for {}; take the column with \
                         the splits away, or load a folder without splits",
                        short(&one.image.components.join("/")),
                        own.name(),
                        table.name(),
                        part.name()
                    ));
                }
            };
        }
    }
    tree.notes.append(&mut table.notes);
    tree.notes.extend(table.unused());
    Ok(())
}

/// Labels images by the files beside them, if those are what labels should be from. Returns whether
/// they are, and otherwise says why not.
fn label_beside(tree: &mut Catalogue, placed: &mut [Placed], beside: &beside::Index<'_>) -> bool {
    if beside.is_empty() {
        return false;
    }
    let labels: Vec<Option<String>> =
        placed.iter().map(|one| beside.label(&one.image.components)).collect();
    let known = labels.iter().flatten().count();
    let folders: BTreeSet<&String> = placed.iter().filter_map(Placed::folder).collect();
    let has_classes = folders.len() > 1;
    let all = beside.notes(placed.iter().map(|one| one.image.components.as_slice()));
    tree.notes.extend(all);
    if known == 0 {
        return false;
    }
    if let (true, Some(label)) = (has_classes, beside.only()) {
        tree.notes.push(format!(
            "The .cls or .json files beside the images all give the label {}, so classes are from \
             the folders.",
            short(label)
        ));
        return false;
    }
    if known * 10 < placed.len() || (has_classes && known * 2 < placed.len()) {
        tree.notes.push(format!(
            "Only {known} of {} images have a label in a .cls or .json file beside them, so labels \
             are not from there.",
            placed.len()
        ));
        return false;
    }
    tree.notes.push(beside.origin());
    let agree = |(one, label): (&Placed, &Option<String>)| one.folder() == label.as_ref();
    if has_classes && !placed.iter().zip(&labels).all(agree) {
        let named: Vec<String> = folders.iter().take(NAMED).map(|name| short(name)).collect();
        tree.notes.push(format!("Folders are no classes then: {}.", named.join(", ")));
    }
    for (one, label) in placed.iter_mut().zip(labels) {
        one.label = label;
    }
    true
}

/// Labels images by the folder that they lie in, and those that have none by the annotations beside
/// them.
fn label_by_folder(
    tree: &mut Catalogue,
    placed: &mut [Placed],
    annotations: &[(Vec<String>, Vec<u8>)],
) {
    for one in &mut *placed {
        one.label = one.folder().cloned();
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

/// Characters between which names hardly differ, and those that have no shape.
const HARDLY_SEEN: [char; 8] =
    ['_', '-', '\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}'];

/// Says that classes have names that people or systems take for one.
fn alike(classes: &[String]) -> Option<String> {
    let mut groups: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for class in classes {
        // What cannot be seen, or hardly.
        let shown =
            |c: &char| c.is_alphanumeric() || !(c.is_whitespace() || HARDLY_SEEN.contains(c));
        let seen: String = class.chars().filter(shown).collect();
        groups.entry(seen.to_lowercase().nfc().collect()).or_default().push(class);
    }
    let pairs: Vec<String> = groups
        .values()
        .filter(|group| group.len() > 1)
        .take(NAMED)
        .map(|group| {
            group.iter().map(|name| format!("{:?}", short(name))).collect::<Vec<_>>().join(" / ")
        })
        .collect();
    (!pairs.is_empty()).then(|| {
        format!(
            "These count as different classes, although only case, spaces, hyphens, \
             characters that cannot be seen or the storage of accents tell them apart: {}.",
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
