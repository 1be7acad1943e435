//! The information about a set before any image is decoded.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use unicode_normalization::UnicodeNormalization;

use crate::error::DataError;
use crate::facts::Exif;
use crate::leavings::{LeftAlone, LostFolder, Skipped};
use crate::target::{RgbImage, Target};

/// A set of images before they are decoded.
pub(crate) struct Catalogue {
    pub(crate) name: String,
    /// Names of the classes. Empty if the set is unlabelled.
    pub(crate) classes: Vec<String>,
    /// The entries, in the order in which the images will appear. This order does not depend on the
    /// order on disk.
    pub(crate) entries: Vec<Entry>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) left_alone: Vec<LeftAlone>,
    pub(crate) lost: Vec<LostFolder>,
    /// Number of files that systems and programs left behind, and of hidden ones.
    pub(crate) junk: usize,
    /// Number of folders around an image down to its class. 0 if no folder is a class or a split.
    pub(crate) level: usize,
    pub(crate) notes: Vec<String>,
    pub(crate) source: Box<dyn Source>,
}

pub(crate) struct Entry {
    /// Name of the entry, unique within the set.
    pub(crate) name: String,
    pub(crate) class: u32,
    pub(crate) part: Part,
    /// The source's number for the image.
    pub(crate) item: usize,
}

/// The part that the set's own folders or files assign to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The set is not divided.
    Whole,
    Train,
    Validation,
    Test,
}

impl Part {
    /// What the part is for, in a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Whole => "everything",
            Self::Train => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// A source of images.
pub(crate) trait Source: Sync {
    /// Decodes as much of one image as is needed to bring it to `target`. An error states the cause
    /// without the image's name.
    fn read(&self, item: usize, target: Target) -> Result<RgbImage, String>;

    /// Returns width and height of one image, as they are after turning, without decoding it.
    fn dimensions(&self, item: usize, exif: Exif) -> Result<(u32, u32), String>;

    /// Returns a text that changes whenever the image may have changed: sizes, modification times,
    /// parameters.
    fn stamp(&self, item: usize) -> String;
}

/// Returns size and modification time of a file as text, or a text that says that they are unknown.
pub(crate) fn stamp(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(metadata) => {
            let modified =
                metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            format!("{} {:?}", metadata.len(), modified)
        }
        Err(error) => error.to_string(),
    }
}

impl Catalogue {
    /// Makes a set without images.
    pub(crate) fn new(name: String, source: Box<dyn Source>) -> Self {
        Self {
            name,
            classes: Vec::new(),
            entries: Vec::new(),
            skipped: Vec::new(),
            left_alone: Vec::new(),
            lost: Vec::new(),
            junk: 0,
            level: 0,
            notes: Vec::new(),
            source,
        }
    }

    /// Keeps the images of the named classes, in the order of the set.
    pub(crate) fn keep_classes(&mut self, names: &[String]) -> Result<(), DataError> {
        if self.classes.is_empty() {
            return Err(DataError::NoLabels { set: self.name.clone() });
        }
        // File systems store accents in two ways, and keyboards write one of them.
        let same = |a: &str, b: &str| a == b || a.nfc().eq(b.nfc());
        let is_known = |name: &&String| self.classes.iter().any(|class| same(class, name));
        if let Some(name) = names.iter().find(|name| !is_known(name)) {
            return Err(DataError::UnknownClass {
                name: name.clone(),
                known: self.classes.clone(),
            });
        }
        let asked = |class: &String| names.iter().any(|name| same(name, class));
        let mut classes = Vec::new();
        let renumbered: Vec<Option<u32>> = std::mem::take(&mut self.classes)
            .into_iter()
            .map(|class| {
                asked(&class).then(|| {
                    classes.push(class);
                    classes.len() as u32 - 1
                })
            })
            .collect();
        self.classes = classes;
        self.entries.retain_mut(|entry| match renumbered[entry.class as usize] {
            Some(class) => {
                entry.class = class;
                true
            }
            None => false,
        });
        Ok(())
    }
}
