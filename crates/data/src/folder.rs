//! A folder of images.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::DataError;
use crate::archive;
use crate::catalogue::{Catalogue, Source, stamp};
use crate::decode;
use crate::facts::Exif;
use crate::kinds::{self, Kind};
use crate::table::Table;
use crate::target::{RgbImage, Target};
use crate::tree::{self, Findings, Found, MAX_BESIDE};

struct Folder {
    files: Vec<PathBuf>,
}

/// Lists the images below `path`, following links. A link that leads back to a folder around it is
/// left out and named.
pub(crate) fn open(
    path: &Path,
    name: String,
    table: Option<Table>,
) -> Result<Catalogue, DataError> {
    fs::read_dir(path).map_err(DataError::read(path))?;
    let (mut files, mut findings, mut empty) = (Vec::new(), Findings::default(), Vec::new());
    for entry in WalkDir::new(path).follow_links(true).min_depth(1).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let name = error
                    .path()
                    .map_or_else(|| path.to_string_lossy(), |path| path.to_string_lossy());
                findings.skip(&name, &error.to_string());
                continue;
            }
        };
        let relative = entry.path().strip_prefix(path).unwrap_or(entry.path());
        let lossy: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        if entry.file_type().is_dir() {
            let is_empty =
                fs::read_dir(entry.path()).is_ok_and(|mut inside| inside.next().is_none());
            if is_empty && kinds::kind(&lossy) != Kind::Junk {
                empty.push(lossy.join("/"));
            }
            continue;
        }
        if !findings.is_image(&lossy) {
            findings.read_beside(&lossy, || {
                let small = entry.metadata().is_ok_and(|file| file.len() <= MAX_BESIDE);
                small.then(|| fs::read(entry.path()).ok()).flatten()
            });
            continue;
        }
        if !entry.file_type().is_file() {
            findings.skip(&lossy.join("/"), "it is not a regular file");
        } else if let Some(components) =
            relative.iter().map(|part| part.to_str().map(str::to_owned)).collect()
        {
            findings.images.push(Found { components, item: files.len() });
            files.push(entry.path().to_owned());
        } else {
            findings.skip(&lossy.join("/"), "its name is not valid UTF-8; rename it");
        }
    }

    if findings.images.is_empty() {
        let archives = archive::archives_in(path);
        if !archives.is_empty() {
            return archive::open_all(path, name, &archives, table);
        }
    }
    if !empty.is_empty() {
        findings.notes.push(format!("Empty folders make no classes: {}.", empty.join(", ")));
    }
    tree::arrange(path, name, findings, Box::new(Folder { files }), table)
}

impl Folder {
    /// Reads at most the first `most` bytes of a file.
    fn first(&self, item: usize, most: u64) -> Result<Vec<u8>, String> {
        let unreadable = |error: std::io::Error| format!("it cannot be read: {error}");
        let file = File::open(&self.files[item]).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }
}

impl Source for Folder {
    fn read(&self, item: usize, target: Target) -> Result<RgbImage, String> {
        decode::decode(&decode::whole(|most| self.first(item, most))?, target)
    }

    fn dimensions(&self, item: usize, exif: Exif) -> Result<(u32, u32), String> {
        decode::dimensions_of(|most| self.first(item, most), exif)
    }

    fn stamp(&self, item: usize) -> String {
        stamp(&self.files[item])
    }
}
