//! What of a tree is not read: files by ending and folder, and folders that lose everything.

use std::collections::BTreeMap;

use crate::kinds::{ending, is_picture, may_be_class, may_be_image, mend_clause};

/// An image or archive entry that was left out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// Name within the set, as a path with `/`.
    pub name: String,
    /// Reason why the image or entry could not be used.
    pub cause: String,
}

/// Files of one ending in one folder that are not read, because their names are not those of
/// images.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LeftAlone {
    /// Ending in lower case, without its dot. Empty if the files have none.
    pub ending: String,
    /// Folder within the set, as a path with `/`. Empty for the top of the set.
    pub folder: String,
    /// Number of files.
    pub count: usize,
    /// Name of one of the files within the set: the first in alphabetical order.
    pub example: String,
}

impl LeftAlone {
    /// Returns whether the ending is that of a picture, in a format that is not read.
    pub fn is_picture(&self) -> bool {
        is_picture(&self.ending)
    }
}

/// A folder of which no image is used, although it holds files that are meant as images. It lies
/// where classes or splits lie.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LostFolder {
    /// Folder within the set, as a path with `/`.
    pub folder: String,
    /// Number of images in it that were left out; [`Dataset::skipped`](crate::Dataset::skipped)
    /// names them.
    pub skipped: usize,
    /// Number of files in it whose endings are not read, by ending, without texts and programs.
    pub left_alone: BTreeMap<String, usize>,
}

/// Most endings that a note names, and most folders.
const NAMED: usize = 6;
/// Most endings that a note names without a folder.
const SHORTLY: usize = 24;
/// Most characters of a name in a note.
const LONGEST: usize = 80;

/// Collects the files that are left alone.
#[derive(Default)]
pub(crate) struct Leavings {
    groups: BTreeMap<(String, String), (usize, String)>,
}

impl Leavings {
    /// Adds the file whose folders and name are `components`.
    pub(crate) fn add<S: AsRef<str>>(&mut self, components: &[S]) {
        let Some((name, folders)) = components.split_last() else { return };
        let folder = joined(folders);
        let full = joined(components);
        let (count, example) =
            self.groups.entry((folder, ending(name.as_ref()))).or_insert_with(|| (0, full.clone()));
        *count += 1;
        if full < *example {
            *example = full;
        }
    }

    /// Returns the files by folder and ending.
    pub(crate) fn into_list(self) -> Vec<LeftAlone> {
        let left =
            |((folder, ending), (count, example))| LeftAlone { ending, folder, count, example };
        self.groups.into_iter().map(left).collect()
    }
}

/// Joins folders and name to a path with `/`.
pub(crate) fn joined<S: AsRef<str>>(components: &[S]) -> String {
    components.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/")
}

/// Describes the files that were left alone, in a sentence. Returns `None` if there are none.
pub(crate) fn note(left_alone: &[LeftAlone]) -> Option<String> {
    let files = describe(left_alone);
    (!files.is_empty()).then(|| format!("Files that are not read as images: {files}."))
}

/// Lists the files that were left alone by ending and folder, those first that may be images.
pub(crate) fn describe(left_alone: &[LeftAlone]) -> String {
    let mut endings: BTreeMap<&str, Vec<&LeftAlone>> = BTreeMap::new();
    for left in left_alone {
        endings.entry(&left.ending).or_default().push(left);
    }
    let count = |groups: &[&LeftAlone]| groups.iter().map(|left| left.count).sum::<usize>();
    let mut endings: Vec<_> = endings.into_iter().collect();
    endings.sort_by_key(|(ending, groups)| (!may_be_image(ending), usize::MAX - count(groups)));
    let clauses: Vec<String> = endings
        .iter()
        .take(NAMED)
        .map(|(ending, groups)| {
            let place = match groups[..] {
                [LeftAlone { folder, .. }] if folder.is_empty() => String::new(),
                [LeftAlone { folder, .. }] => format!(" in {}", short(folder)),
                _ => format!(" in {} folders, such as {}", groups.len(), short(&groups[0].example)),
            };
            let count = count(groups);
            format!("{count} {}{place}{}", dotted(ending), mend_clause(ending, count))
        })
        // The others without their places.
        .chain(
            endings
                .iter()
                .skip(NAMED)
                .take(SHORTLY)
                .map(|(ending, groups)| format!("{} {}", count(groups), dotted(ending))),
        )
        .collect();
    let rest: usize = endings.iter().skip(NAMED + SHORTLY).map(|(_, groups)| count(groups)).sum();
    let rest = if rest > 0 { format!("; {rest} of other endings") } else { String::new() };
    clauses.join("; ") + &rest
}

/// Returns the topmost folders, at most `level` folders deep, that hold files meant as images but
/// none of the images `used`, while some other folder beside or above them does.
pub(crate) fn lost<'a>(
    level: usize,
    used: impl Iterator<Item = &'a str>,
    skipped: &[Skipped],
    left_alone: &[LeftAlone],
) -> Vec<LostFolder> {
    let pictures: Vec<&LeftAlone> =
        left_alone.iter().filter(|left| may_be_class(&left.ending)).collect();
    // Of a sound set, no name has to be looked at.
    if skipped.is_empty() && pictures.is_empty() {
        return Vec::new();
    }
    let mut filled: std::collections::BTreeSet<&str> = [""].into();
    for name in used {
        filled.extend(folders_of(name));
    }
    let mut lost: BTreeMap<String, LostFolder> = BTreeMap::new();
    let mut lose = |name: &str, add: &dyn Fn(&mut LostFolder)| {
        let Some(folder) = folders_of(name).take(level).find(|folder| !filled.contains(folder))
        else {
            return;
        };
        add(lost.entry(folder.to_owned()).or_insert_with(|| LostFolder {
            folder: folder.to_owned(),
            skipped: 0,
            left_alone: BTreeMap::new(),
        }));
    };
    for image in skipped {
        lose(&image.name, &|lost| lost.skipped += 1);
    }
    for left in pictures {
        lose(&left.example, &|lost| {
            *lost.left_alone.entry(left.ending.clone()).or_default() += left.count;
        });
    }
    lost.into_values().collect()
}

/// Returns the folders around `name`, the outermost first.
fn folders_of(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(end, _)| &name[..end]).filter(|folder| !folder.is_empty())
}

impl LostFolder {
    /// Describes what the folder holds instead of images that are used, and what to do about it.
    ///
    /// ```
    /// let lost = selfsame_data::LostFolder {
    ///     folder: "dog".into(),
    ///     skipped: 0,
    ///     left_alone: [("heic".into(), 6)].into(),
    /// };
    /// assert_eq!(lost.cause(), "6 .heic (convert them to PNG or JPEG)");
    /// ```
    #[must_use]
    pub fn cause(&self) -> String {
        let mut clauses = Vec::new();
        for (ending, count) in self.left_alone.iter().take(NAMED) {
            clauses.push(format!("{count} {}{}", dotted(ending), mend_clause(ending, *count)));
        }
        match self.skipped {
            0 => {}
            1 => clauses.push("1 image that was left out".to_owned()),
            count => clauses.push(format!("{count} images that were left out")),
        }
        clauses.join(", ")
    }
}

fn dotted(ending: &str) -> String {
    if ending.is_empty() { "without an ending".to_owned() } else { format!(".{ending}") }
}

/// Shortens a name for a sentence, and shows what a terminal would obey instead of showing it.
pub(crate) fn short(name: &str) -> String {
    let mut shown: String =
        name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(LONGEST).collect();
    if name.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leavings(names: &[&str]) -> Vec<LeftAlone> {
        let mut leavings = Leavings::default();
        for name in names {
            leavings.add(&name.split('/').collect::<Vec<_>>());
        }
        leavings.into_list()
    }

    #[test]
    fn a_note_names_endings_and_folders_and_stays_short() {
        assert_eq!(note(&[]), None);
        let left = leavings(&["dog/2.heic", "dog/1.HEIC", "readme.txt", "cat/x", "cat/y/z.txt"]);
        assert_eq!(left.iter().map(|left| left.count).sum::<usize>(), 5);
        let said = note(&left).unwrap();
        assert_eq!(
            said,
            "Files that are not read as images: 2 .heic in dog (convert them to PNG or JPEG); 1 \
             without an ending in cat; 2 .txt in 2 folders, such as readme.txt."
        );
        let many: Vec<String> =
            (0..5000).map(|n| format!("{}/{n}.e{}", "long".repeat(100), n % 50)).collect();
        let many = leavings(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(note(&many).unwrap().len() < 1000);
    }

    #[test]
    fn the_topmost_folder_without_an_image_is_lost() {
        let left = leavings(&["dog/a/1.heic", "dog/b/2.heic", "notes/a.txt", "cat/x/3.heic"]);
        let skipped = [Skipped { name: "cow/1.png".into(), cause: "damaged".into() }];
        let found = lost(1, ["cat/1.png", "2.png"].into_iter(), &skipped, &left);
        let named: Vec<_> = found.iter().map(|lost| (lost.folder.as_str(), lost.cause())).collect();
        let heic = "2 .heic (convert them to PNG or JPEG)".to_owned();
        assert_eq!(named, [("cow", "1 image that was left out".to_owned()), ("dog", heic)]);
        assert_eq!(lost(2, ["cat/1.png"].into_iter(), &skipped, &left).len(), 3);
    }
}
