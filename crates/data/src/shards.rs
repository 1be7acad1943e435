//! Names of archives that lie in one folder: whether they are classes or splits, or only number the
//! parts of one set.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::kinds;
use crate::leavings::short;
use crate::parts::listed;

/// The name of an archive.
pub(crate) struct Stem {
    file: String,
    /// The name without the archive's ending.
    pub(crate) name: String,
    /// What stands before the number, and the number, if the name ends in one.
    numbered: Option<(String, u64)>,
    /// Whether the number is one of a count, as in `data-00000-of-00002`.
    counted: bool,
}

/// Words that stand before the numbers of classes.
const CLASS_WORDS: [&str; 6] = ["class", "category", "label", "cat", "cls", "species"];
/// Words that stand before the numbers of parts.
const PART_WORDS: [&str; 12] = [
    "shard", "part", "data", "batch", "chunk", "images", "image", "img", "set", "dataset",
    "sample", "samples",
];

impl Stem {
    pub(crate) fn of(path: &Path) -> Self {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = kinds::archive_stem(&file).unwrap_or(&file).to_owned();
        let digits =
            |text: &str| text.len() - text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let number = |text: &str| {
            let start = text.len() - digits(text);
            Some((text[..start].to_owned(), text[start..].parse::<u64>().ok()?))
        };
        let between = ['-', '_'];
        let counted = (digits(&name) > 0)
            .then(|| name[..name.len() - digits(&name)].trim_end_matches(between))
            .and_then(|before| before.strip_suffix("of"))
            .and_then(|before| number(before.trim_end_matches(between)));
        Self { counted: counted.is_some(), numbered: counted.or_else(|| number(&name)), file, name }
    }

    /// Returns the word before the number.
    fn word(&self) -> Option<String> {
        let (before, _) = self.numbered.as_ref()?;
        let before = before.trim_end_matches(|c: char| !c.is_alphanumeric());
        let word = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        Some(word.to_lowercase())
    }
}

/// Returns two archives whose names differ only in their endings.
pub(crate) fn same(stems: &[Stem]) -> Option<(&str, &str)> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    stems.iter().find_map(|stem| Some((seen.insert(&stem.name, &stem.file)?, stem.file.as_str())))
}

/// Returns the names, shortly, if they only number the parts of one set: all have the same word
/// before different numbers, and the word, the numbers or what is inside say that these are no
/// classes. `images` are the folders and names of all images, with the archive's name first.
pub(crate) fn numbered(stems: &[Stem], images: &[&[String]], has_labels: bool) -> Option<String> {
    let (before, _) = stems.first()?.numbered.as_ref()?;
    let mut numbers = BTreeSet::new();
    for stem in stems {
        let (own, number) = stem.numbered.as_ref()?;
        if own != before || !numbers.insert(*number) {
            return None;
        }
    }
    let word = stems[0].word().unwrap_or_default();
    if CLASS_WORDS.contains(&word.as_str()) {
        return None;
    }
    // ImageNet's classes are archives that are numbered too, from 1440764 to 15075141.
    let dense = numbers.last().is_some_and(|&last| last <= 20 * stems.len() as u64 + 100);
    let is_part = stems.iter().all(|stem| stem.counted)
        || PART_WORDS.contains(&word.as_str())
        || dense
        || has_labels
        || share_folders(images);
    is_part.then(|| listed(stems.iter().map(|stem| stem.name.as_str())))
}

/// Returns whether two archives hold a folder of the same name.
fn share_folders(images: &[&[String]]) -> bool {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    images.iter().any(|image| match image {
        [archive, folder, .., _] if folder != archive => {
            *owners.entry(folder).or_insert(archive) != archive.as_str()
        }
        _ => false,
    })
}

/// Says that archives count as different classes or splits although only a number tells them apart.
pub(crate) fn alike(stems: &[Stem]) -> Option<String> {
    let mut groups: BTreeMap<&str, Vec<&Stem>> = BTreeMap::new();
    for stem in stems {
        if let Some((before, _)) = &stem.numbered {
            groups.entry(before).or_default().push(stem);
        }
    }
    let (_, group) = groups.into_iter().find(|(_, group)| group.len() > 1)?;
    Some(format!(
        "Each archive counts as a folder, although only numbers tell {} apart. If they are parts of \
         one class or split, join them into one archive.",
        listed(group.iter().map(|stem| short(&stem.name)))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_shards(names: &[&str], folders: &[&str]) -> bool {
        let stems: Vec<Stem> =
            names.iter().map(|name| Stem::of(Path::new(&format!("{name}.tar")))).collect();
        let images: Vec<Vec<String>> = stems
            .iter()
            .flat_map(|stem| folders.iter().map(|folder| (stem.name.clone(), (*folder).to_owned())))
            .map(|(archive, folder)| vec![archive, folder, "0.png".to_owned()])
            .collect();
        let images: Vec<&[String]> = images.iter().map(Vec::as_slice).collect();
        numbered(&stems, &images, false).is_some()
    }

    #[test]
    fn numbers_with_gaps_and_in_any_order_are_parts() {
        for names in [
            &["data-00000", "data-00002", "data-00005"][..],
            &["shard-0", "shard-1", "shard-10", "shard-2"],
            &["data-00000-of-00002", "data-00001-of-00002"],
            &["x_00000_of_00009", "x_00007_of_00009"],
            &["data.000", "data.001"],
            &["shard-000512", "shard-900000"],
            &["0", "1", "2"],
        ] {
            assert!(are_shards(names, &[]), "{names:?}");
        }
        assert!(are_shards(&["n00000001", "n90000001"], &["cat"]));
    }

    #[test]
    fn classes_keep_their_numbers() {
        for names in [
            &["class1", "class2"][..],
            &["n01440764", "n01443537", "n15075141"],
            &["cat", "dog"],
            &["cats-0", "cats-1", "dogs-0"],
            &["a1", "b1"],
        ] {
            assert!(!are_shards(names, &[]), "{names:?}");
        }
        assert!(!are_shards(&["n01440764", "n15075141"], &[]));
        let stems = ["cats-0", "cats-1", "dogs-0"].map(|name| Stem::of(Path::new(name)));
        assert!(alike(&stems).unwrap().contains("tell cats-0, cats-1 apart"));
        let stems = ["a.tar", "a.TAR.gz"].map(|name| Stem::of(Path::new(name)));
        assert_eq!(same(&stems), Some(("a.tar", "a.TAR.gz")));
        assert_eq!(same(&["a.v1.tar", "a.v2.tar"].map(|name| Stem::of(Path::new(name)))), None);
    }
}
