//! Labels that lie beside images in files of their own, as in WebDataset.

use std::collections::{BTreeMap, HashMap};

use crate::kinds;
use crate::leavings::{joined, short};

/// The files beside images that give labels, by their folders and names.
#[derive(Default)]
pub(crate) struct Beside {
    files: BTreeMap<String, Said>,
    /// Names of files that hold a label in a form that is not read, with the cause.
    unread: BTreeMap<String, &'static str>,
}

struct Said {
    label: String,
    /// Where in the file the label is from: a field of JSON, or the text itself.
    field: Option<&'static str>,
}

/// Finds the labels of images by the images' names.
pub(crate) struct Index<'a> {
    /// Files by their folders and names without the last ending.
    by_stem: HashMap<&'a str, (&'a str, &'a Said)>,
    unread: &'a BTreeMap<String, &'static str>,
}

/// Fields of JSON that hold a label, the likeliest first.
const FIELDS: [&str; 3] = ["label", "cls", "class"];

impl Beside {
    /// Adds the file whose folders and name are `components`, if it may hold a label. A later file
    /// of the same name takes the place of an earlier one.
    pub(crate) fn add<S: AsRef<str>>(
        &mut self,
        components: &[S],
        bytes: impl FnOnce() -> Option<Vec<u8>>,
    ) {
        let ending = components.last().map(|name| kinds::ending(name.as_ref()));
        let read = match ending.as_deref() {
            Some("cls") => text_label,
            Some("json") => json_label,
            _ => return,
        };
        let name = joined(components);
        match bytes().map_or(Err("it is too large or cannot be read"), |bytes| read(&bytes)) {
            Ok(Some(said)) => {
                self.files.insert(name, said);
            }
            Ok(None) => {}
            Err(cause) => {
                self.unread.insert(name, cause);
            }
        }
    }

    /// Returns whether any file gives a label.
    pub(crate) fn is_some(&self) -> bool {
        !self.files.is_empty()
    }

    /// Returns the labels by the images' names. Two files that give one image different labels are
    /// an error.
    pub(crate) fn labels(&self) -> Result<Index<'_>, String> {
        let mut by_stem: HashMap<&str, (&str, &Said)> = HashMap::new();
        for (name, said) in &self.files {
            if let Some((other, earlier)) = by_stem.insert(kinds::stem(name), (name, said))
                && earlier.label != said.label
            {
                return Err(format!(
                    "{} gives the label {}, and {} gives {}; keep the files of one kind, or give \
                     a table of labels",
                    short(other),
                    short(&earlier.label),
                    short(name),
                    short(&said.label)
                ));
            }
        }
        Ok(Index { by_stem, unread: &self.unread })
    }
}

impl<'a> Index<'a> {
    /// Returns the file that labels the image whose folders and name are `components`, with what it
    /// says. The file's stem is the image's name without the last ending or, as WebDataset has it,
    /// up to the first dot.
    fn find(&self, components: &[String]) -> Option<(&'a str, &'a Said)> {
        let (name, folders) = components.split_last()?;
        let stem = |end: usize| {
            folders.iter().map(String::as_str).chain([&name[..end]]).collect::<Vec<_>>().join("/")
        };
        let ends = [name.rfind('.'), name.find('.')].into_iter().flatten();
        ends.map(stem).find_map(|stem| self.by_stem.get(stem.as_str()).copied())
    }

    pub(crate) fn label(&self, components: &[String]) -> Option<String> {
        let (_, said) = self.find(components)?;
        Some(said.label.clone())
    }

    /// Describes what was read: where labels are from, files that are not read or belong to no
    /// image, and images that share a file.
    pub(crate) fn notes<'i>(&self, images: impl Iterator<Item = &'i [String]>) -> Vec<String> {
        let mut taken: HashMap<&str, String> = HashMap::new();
        let (mut shared, mut example) = (0, None);
        for image in images {
            let Some((file, _)) = self.find(image) else { continue };
            let name = joined(image);
            match taken.get(file) {
                Some(other) => {
                    shared += 1;
                    example.get_or_insert_with(|| (other.clone(), name));
                }
                None => {
                    taken.insert(file, name);
                }
            }
        }
        let mut notes = Vec::new();
        let files = self.by_stem.values().map(|&(file, _)| file);
        let mut unused: Vec<&str> = files.filter(|file| !taken.contains_key(file)).collect();
        unused.sort_unstable();
        if let Some(first) = unused.first() {
            notes.push(format!(
                "{} label files belong to no image, such as {}.",
                unused.len(),
                short(first)
            ));
        }
        if let Some((first, second)) = example {
            notes.push(format!(
                "Images share a label file, such as {} and {}: {shared} more images than files. \
                 Each counts as an image of its own; move masks and the like away.",
                short(&first),
                short(&second)
            ));
        }
        notes
    }

    /// Describes the files that hold a label in a form that is not read.
    pub(crate) fn unread(&self) -> Option<String> {
        let (name, cause) = self.unread.first_key_value()?;
        let count = self.unread.len();
        Some(format!("Label files that are not read: {count}, such as {}: {cause}.", short(name)))
    }

    /// Describes the files that labels are from.
    pub(crate) fn origin(&self) -> String {
        let mut fields: Vec<&str> =
            self.by_stem.values().filter_map(|(_, said)| said.field).collect();
        fields.sort_unstable();
        fields.dedup();
        let fields = match &fields[..] {
            [] => String::new(),
            fields => format!(" (JSON: {})", fields.join(", ")),
        };
        format!("Labels are from the .cls or .json files beside the images{fields}.")
    }

    /// Returns the label if all files give the same one.
    pub(crate) fn only(&self) -> Option<&str> {
        let mut all = self.by_stem.values().map(|(_, said)| said.label.as_str());
        let first = all.next()?;
        all.all(|label| label == first).then_some(first)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_stem.is_empty()
    }
}

fn text(bytes: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text")?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn text_label(bytes: &[u8]) -> Result<Option<Said>, &'static str> {
    one_line(text(bytes)?, None)
}

fn json_label(bytes: &[u8]) -> Result<Option<Said>, &'static str> {
    use serde_json::Value;
    let value: Value = serde_json::from_str(text(bytes)?).map_err(|_| "it is not JSON")?;
    let field = FIELDS.into_iter().find_map(|field| Some((field, value.get(field)?)));
    let Some((field, label)) = field else { return Ok(None) };
    match label {
        Value::String(label) => one_line(label, Some(field)),
        Value::Number(label) => one_line(&label.to_string(), Some(field)),
        Value::Bool(label) => one_line(&label.to_string(), Some(field)),
        Value::Null => Ok(None),
        Value::Array(_) => Err("its label is a list"),
        Value::Object(_) => Err("its label is an object"),
    }
}

fn one_line(label: &str, field: Option<&'static str>) -> Result<Option<Said>, &'static str> {
    let label = label.trim();
    match label.lines().count() {
        0 => Ok(None),
        1 => Ok(Some(Said { label: label.to_owned(), field })),
        _ => Err("its label has several lines"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beside(files: &[(&str, &str)]) -> Beside {
        let mut beside = Beside::default();
        for (name, bytes) in files {
            let components: Vec<&str> = name.split('/').collect();
            beside.add(&components, || Some(bytes.as_bytes().to_vec()));
        }
        beside
    }

    fn label(files: &[(&str, &str)], image: &str) -> Option<String> {
        let image: Vec<String> = image.split('/').map(str::to_owned).collect();
        beside(files).labels().unwrap().label(&image)
    }

    #[test]
    fn an_image_takes_the_file_of_its_whole_name_first() {
        let dotted = [("cat.0.json", r#"{"label": 0}"#), ("cat.1.json", r#"{"label": 1}"#)];
        assert_eq!(label(&dotted, "cat.1.jpg").as_deref(), Some("1"));
        assert_eq!(label(&dotted, "cat.0.jpg").as_deref(), Some("0"));
        assert_eq!(label(&dotted, "cat.2.jpg"), None);
        assert_eq!(label(&[("a/000.cls", "3\n")], "a/000.seg.png").as_deref(), Some("3"));
        assert_eq!(label(&[("a/000.cls", "3\n")], "b/000.png"), None);
    }

    #[test]
    fn files_that_disagree_are_an_error_and_others_are_named() {
        let both = beside(&[("000.cls", "0"), ("000.json", r#"{"label": "cat"}"#)]);
        let error = both.labels().err().unwrap();
        assert!(error.contains("000.cls gives the label 0, and 000.json gives cat"), "{error}");
        assert!(beside(&[("0.cls", "1"), ("0.json", r#"{"label": 1}"#)]).labels().is_ok());
        for (name, bytes, cause) in [
            ("0.json", r#"{"label": [1]}"#, "list"),
            ("0.json", r#"{"label": {}}"#, "object"),
            ("0.json", "{", "not JSON"),
            ("0.cls", "a\nb", "several lines"),
        ] {
            let said = beside(&[(name, bytes)]).labels().unwrap().unread().unwrap();
            assert!(said.contains(cause), "{said}");
        }
        assert_eq!(label(&[("0.cls", "\u{feff}1")], "0.png").as_deref(), Some("1"));
        assert_eq!(label(&[("0.json", "\u{feff}{\"label\": true}")], "0.png").unwrap(), "true");
    }

    #[test]
    fn shared_and_unused_files_are_said() {
        let beside = beside(&[("0.cls", "1"), ("5.cls", "1"), ("6.json", r#"{"class": 2}"#)]);
        let labels = beside.labels().unwrap();
        let images = ["0.a.png", "0.b.png"].map(|name| vec![name.to_owned()]);
        let notes = labels.notes(images.iter().map(Vec::as_slice)).join("\n");
        assert!(notes.contains("2 label files belong to no image, such as 5.cls"), "{notes}");
        assert!(notes.contains("such as 0.a.png and 0.b.png: 1 more"), "{notes}");
        assert!(labels.origin().contains("(JSON: class)"));
    }
}
