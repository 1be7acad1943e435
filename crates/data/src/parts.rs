//! Which folders are splits, according to their names and to the folders beside them.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::Part;
use crate::leavings::short;

/// The folders at one depth that hold images, each with the folders inside it that hold images.
pub(crate) type Folders<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Division {
    /// The folders are no splits.
    None,
    /// All folders are training folders, so they only wrap the images.
    TrainOnly,
    /// The folders of each part. Other folders belong to no part.
    Parts(BTreeMap<String, Part>),
}

/// What a folder's name says of its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Train,
    Validation,
    Test,
    /// Held out for testing unless another folder is.
    HeldOut,
}

/// A name with a word for a part in it.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    word: Word,
    /// Whether the word is never the name of a class.
    certain: bool,
    /// The other words of the name, without those that any split may have, such as `images`.
    rest: Vec<String>,
}

/// Words that a split's name may have beside its own.
const FILLERS: [&str; 14] = [
    "set", "sets", "data", "dataset", "images", "image", "imgs", "img", "split", "folder", "dir",
    "files", "photos", "pictures",
];

/// Tells which of the folders are splits. Also returns what should be said about that.
///
/// `train` may be a class, as may `eval`. So a name counts only in company: if training and another
/// part are named alike, as in `seg_train` and `seg_test`, or if nothing else is there. An error is
/// the question that only a person can answer.
pub(crate) fn divide(folders: &Folders<'_>) -> Result<(Division, Option<String>), String> {
    let readings: BTreeMap<&str, Reading> =
        folders.keys().filter_map(|&name| Some((name, reading(name)?))).collect();
    let mut groups: BTreeMap<&[String], BTreeMap<&str, Word>> = BTreeMap::new();
    for (&name, reading) in &readings {
        groups.entry(&reading.rest).or_default().insert(name, reading.word);
    }
    let complete: Vec<&BTreeMap<&str, Word>> = groups
        .values()
        .filter(|group| {
            let words: BTreeSet<&Word> = group.values().collect();
            words.contains(&Word::Train) && words.len() > 1
        })
        .collect();
    match complete[..] {
        [group] => Ok(in_parts(group)),
        [_, _, ..] => Err(format!(
            "{} are several sets of splits beside each other; load one of them, or name its \
             folders train, val and test and move the others away",
            listed(readings.keys())
        )),
        [] if readings.len() == folders.len() => all_alike(&readings, &groups),
        [] => classes(folders, &readings),
    }
}

/// Returns the part that a word stands for beside others, of which `has_test` says whether one is for
/// testing.
fn part(word: Word, has_test: bool) -> Part {
    match word {
        Word::Train => Part::Train,
        Word::Validation => Part::Validation,
        Word::HeldOut if has_test => Part::Validation,
        Word::Test | Word::HeldOut => Part::Test,
    }
}

/// Returns the parts of folders among which are training and another part.
fn in_parts(group: &BTreeMap<&str, Word>) -> (Division, Option<String>) {
    let has_test = group.values().any(|&word| word == Word::Test);
    let parts: BTreeMap<String, Part> =
        group.iter().map(|(&name, &word)| (name.to_owned(), part(word, has_test))).collect();
    let plain = |name: &str| ["train", "val", "valid", "validation", "test"].contains(&name);
    let note = (!parts.keys().all(|name| plain(&name.to_lowercase()))).then(|| {
        let read = |wanted: Part, what: &str| {
            let names: Vec<&String> =
                parts.iter().filter(|&(_, &part)| part == wanted).map(|(name, _)| name).collect();
            (!names.is_empty()).then(|| format!("{} as {what}", listed(names.iter())))
        };
        let clauses = [
            read(Part::Train, "training images"),
            read(Part::Validation, "validation images"),
            read(Part::Test, "test images"),
        ];
        let clauses: Vec<String> = clauses.into_iter().flatten().collect();
        format!("Folders were read as splits: {}.", clauses.join(", "))
    });
    (Division::Parts(parts), note)
}

/// Judges folders that all have a word for a part in their names, but do not go together.
fn all_alike(
    readings: &BTreeMap<&str, Reading>,
    groups: &BTreeMap<&[String], BTreeMap<&str, Word>>,
) -> Result<(Division, Option<String>), String> {
    let words: BTreeSet<Word> = readings.values().map(|reading| reading.word).collect();
    match (words.contains(&Word::Train), words.len()) {
        (_, 0) => Ok((Division::None, None)),
        (true, 1) if groups.len() == 1 => Ok((Division::TrainOnly, None)),
        (true, 1) => Ok((Division::None, None)),
        // A wrapper such as `testdata`, around everything.
        (false, 1) if readings.len() == 1 && !readings.keys().any(|name| is_bare(name)) => {
            Ok((Division::None, None))
        }
        (false, _) => Err(format!(
            "{} would be for validation or test, and no folder train holds images to learn from; \
             load the folder inside, or name the folders otherwise if they are classes",
            listed(readings.keys())
        )),
        (true, _) => Err(format!(
            "{} look like splits, but not of one set; name them train, val and test, or \
             otherwise if they are classes",
            listed(readings.keys())
        )),
    }
}

/// Judges folders of which some have a word for a part in their names and others have none.
fn classes(
    folders: &Folders<'_>,
    readings: &BTreeMap<&str, Reading>,
) -> Result<(Division, Option<String>), String> {
    let others: Vec<&&str> = folders.keys().filter(|name| !readings.contains_key(**name)).collect();
    for (name, reading) in readings {
        let holds_the_others = folders[name].iter().any(|inside| others.contains(&inside));
        if holds_the_others || (reading.certain && reading.rest.is_empty()) {
            return Err(format!(
                "{} looks like a split, but {} beside it do not; put those into a folder train, \
                 or name {} otherwise if it is a class",
                short(name),
                listed(others.iter().copied()),
                short(name)
            ));
        }
    }
    let bare = readings.iter().filter(|(_, reading)| reading.rest.is_empty());
    let bare: Vec<&&str> = bare.map(|(name, _)| name).collect();
    let note = (!bare.is_empty()).then(|| {
        format!(
            "{} counts as a class, not as a split, since the folders beside it are no splits.",
            listed(bare.iter().copied())
        )
    });
    Ok((Division::None, note))
}

/// Most names in a list.
const NAMED: usize = 6;

/// Lists names, the first few of them.
pub(crate) fn listed<S: AsRef<str>>(names: impl ExactSizeIterator<Item = S>) -> String {
    let count = names.len();
    let named: Vec<String> = names.take(NAMED).map(|name| short(name.as_ref())).collect();
    let rest = count.saturating_sub(NAMED);
    named.join(", ") + &(if rest > 0 { format!(" and {rest} more") } else { String::new() })
}

/// Names of folders that only hold the images of a split or a class.
const CONTAINERS: [&str; 8] =
    ["images", "image", "imgs", "img", "data", "jpegimages", "jpg", "photos"];

/// Returns whether a folder's name says only that images are in it.
pub(crate) fn is_container(name: &str) -> bool {
    CONTAINERS.contains(&name.to_lowercase().as_str())
}

/// Returns whether a folder's whole name is a word for a part.
pub(crate) fn is_bare(folder: &str) -> bool {
    word(&folder.to_lowercase()).is_some()
}

/// Returns whether a folder's name, apart from words such as `images`, is a word for a part.
pub(crate) fn is_split(folder: &str) -> bool {
    reading(folder).is_some()
}

/// Returns the parts that the values of a table's column stand for, such as `train`, `Test` or, as
/// in FER2013, `PublicTest` and `PrivateTest`. Values that stand for none are missing.
pub(crate) fn parts_of<'a>(values: &BTreeSet<&'a str>) -> BTreeMap<&'a str, Part> {
    let known: BTreeMap<&str, Reading> = values
        .iter()
        .filter_map(|&value| Some((value, reading(value)?)))
        .filter(|(_, reading)| {
            reading.rest.iter().all(|word| ["public", "private"].contains(&word.as_str()))
        })
        .collect();
    let says = |reading: &Reading, wanted: &str| reading.rest.iter().any(|word| word == wanted);
    let test = |reading: &Reading| reading.word == Word::Test;
    let has_test = known.values().any(test);
    let has_private = known.values().any(|reading| test(reading) && says(reading, "private"));
    known
        .iter()
        .map(|(&value, reading)| {
            let part = match reading.word {
                Word::Test if has_private && says(reading, "public") => Part::Validation,
                word => part(word, has_test),
            };
            (value, part)
        })
        .collect()
}

fn reading(folder: &str) -> Option<Reading> {
    let mut rest = words(folder);
    let found = rest.iter().filter_map(|name| word(name)).collect::<Vec<_>>();
    let [(word_found, certain)] = found[..] else { return None };
    rest.retain(|name| {
        word(name).is_none()
            && !FILLERS.contains(&name.as_str())
            && !name.bytes().all(|byte| byte.is_ascii_digit())
    });
    Some(Reading { word: word_found, certain, rest })
}

/// Returns what a word of a name says of the part, and whether it is never the name of a class.
fn word(name: &str) -> Option<(Word, bool)> {
    let known = |name: &str| {
        Some(match name {
            "train" | "training" => (Word::Train, false),
            "trn" => (Word::Train, false),
            "val" | "validation" | "validate" => (Word::Validation, true),
            "valid" | "dev" | "development" => (Word::Validation, false),
            "test" | "testing" => (Word::Test, true),
            "tst" => (Word::Test, false),
            "eval" | "evaluation" => (Word::HeldOut, false),
            "holdout" | "heldout" => (Word::HeldOut, true),
            _ => return None,
        })
    };
    known(name).or_else(|| {
        FILLERS.iter().find_map(|filler| {
            name.strip_suffix(filler).or_else(|| name.strip_prefix(filler)).and_then(known)
        })
    })
}

/// Returns the words of a name in lower case: `TrainSet2017` is `train`, `set` and `2017`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut before: Option<char> = None;
    for c in name.chars() {
        let breaks = before.is_some_and(|before| {
            (before.is_lowercase() && c.is_uppercase())
                || before.is_ascii_digit() != c.is_ascii_digit()
        });
        if breaks || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    words.retain(|word| !word.is_empty());
    let mut joined: Vec<String> = Vec::new();
    for word in words {
        match joined.last_mut() {
            Some(last) if (last == "hold" || last == "held") && word == "out" => {
                last.push_str("out")
            }
            _ => joined.push(word),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(names: &[&str]) -> Result<(Division, Option<String>), String> {
        divide(&names.iter().map(|&name| (name, BTreeSet::from(["cat", "dog"]))).collect())
    }

    /// The parts of the names, as `train`, `val` and `test` in one letter each.
    fn letters(names: &[&str]) -> String {
        match divided(names) {
            Err(_) => "?".to_owned(),
            Ok((Division::None, _)) => "-".to_owned(),
            Ok((Division::TrainOnly, _)) => "only".to_owned(),
            Ok((Division::Parts(parts), _)) => {
                let letter = |name: &&str| match parts.get(*name) {
                    Some(Part::Train) => 'r',
                    Some(Part::Validation) => 'v',
                    Some(Part::Test) => 's',
                    _ => '.',
                };
                names.iter().map(letter).collect()
            }
        }
    }

    #[test]
    fn splits_are_known_by_many_names() {
        for (names, wanted) in [
            (&["train", "test"][..], "rs"),
            (&["training", "testing"], "rs"),
            (&["Training", "Validation", "Testing"], "rvs"),
            (&["seg_train", "seg_test", "seg_pred"], "rs."),
            (&["train2017", "val2017", "test2017", "annotations"], "rvs."),
            (&["Train_set", "Test_set"], "rs"),
            (&["training_set", "test_set"], "rs"),
            (&["TrainSet", "TestSet"], "rs"),
            (&["trainset", "valset"], "rv"),
            (&["images_train", "images_test"], "rs"),
            (&["imgtrain", "imgtest"], "rs"),
            (&["train", "dev"], "rv"),
            (&["train", "eval"], "rs"),
            (&["train", "eval", "test"], "rvs"),
            (&["train", "hold-out"], "rs"),
            (&["train", "holdout", "val"], "rsv"),
            (&["train_1", "train_2", "test"], "rrs"),
            (&["asl_alphabet_train", "asl_alphabet_test"], "rs"),
            (&["TRAIN", "TEST"], "rs"),
            (&["train"], "only"),
            (&["training"], "only"),
            (&["train", "unlabelled", "test"], "r.s"),
        ] {
            assert_eq!(letters(names), wanted, "{names:?}");
        }
        let (_, note) = divided(&["training", "testing"]).unwrap();
        assert_eq!(
            note.unwrap(),
            "Folders were read as splits: training as training images, testing as test images."
        );
        assert_eq!(divided(&["train", "Val"]).unwrap().1, None);
    }

    #[test]
    fn classes_keep_their_names_and_what_is_unclear_is_asked() {
        for names in [
            &["bus", "train"][..],
            &["bus", "training"],
            &["valid", "invalid"],
            &["dev", "prod"],
            &["bullet_train", "test_tube", "bus"],
            &["rain", "contest", "evaluator", "latest", "strain"],
            &["seg_test"],
            &["cat", "dog"],
        ] {
            let flat = names.iter().map(|&name| (name, BTreeSet::new())).collect();
            assert_eq!(divide(&flat).unwrap().0, Division::None, "{names:?}");
        }
        for names in [
            &["test"][..],
            &["val", "test"],
            &["cat", "dog", "test"],
            &["cat", "dog", "validation"],
            &["a_train", "a_test", "b_train", "b_test"],
            &["coco_train", "voc_test"],
        ] {
            assert_eq!(letters(names), "?", "{names:?}");
        }
        let mut mixed: Folders<'_> = [("cat", BTreeSet::new()), ("dog", BTreeSet::new())].into();
        mixed.insert("eval", ["cat", "dog"].into());
        assert!(divide(&mixed).unwrap_err().contains("eval looks like a split, but cat, dog"));
        mixed.insert("eval", BTreeSet::new());
        assert!(divide(&mixed).unwrap().1.unwrap().starts_with("eval counts as a class"));
    }
}
