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
use crate::leavings;
use crate::parts::listed;
use crate::target::{RgbImage, Target};
use crate::tree::{self, Findings, Found, Labels, MAX_BESIDE};

struct Folder {
    files: Vec<PathBuf>,
}

/// Lists the images below `path`, following links. A link that leads back to a folder around it is
/// left out and named.
pub(crate) fn open(path: &Path, name: String, labels: Labels) -> Result<Catalogue, DataError> {
    let (files, mut findings, archives) = walk(path, &|_| false, true)?;
    if findings.images.is_empty() && !archives.is_empty() {
        return archive::open_all(path, name, &archives, findings, labels);
    }
    leave_alone(&mut findings, &archives);
    tree::arrange(path, name, findings, Box::new(Folder { files }), labels)
}

/// Adds to `set`, whose files `is_own` knows by their names, what else lies in the folder at `path`:
/// images are left out, other files left alone.
pub(crate) fn add_beside(
    set: &mut Catalogue,
    path: &Path,
    is_own: &dyn Fn(&str) -> bool,
) -> Result<(), DataError> {
    let (_, mut findings, archives) = walk(path, is_own, false)?;
    leave_alone(&mut findings, &archives);
    for image in std::mem::take(&mut findings.images) {
        let cause = "it lies beside the binary files of a set, which alone are read";
        findings.skip(&image.components.join("/"), cause);
    }
    set.skipped.append(&mut findings.skipped);
    set.left_alone = findings.left_alone.into_list();
    set.notes.extend(leavings::note(&set.left_alone));
    set.junk = findings.junk;
    set.level = 1;
    Ok(())
}

/// Notes archives as files that are not read.
fn leave_alone(findings: &mut Findings, archives: &[PathBuf]) {
    for archive in archives {
        let name = archive.file_name().unwrap_or_default().to_string_lossy();
        findings.is_image(&[name]);
    }
}

/// What lies in a folder: the files of images, all findings, and the archives at its top.
type Walked = (Vec<PathBuf>, Findings, Vec<PathBuf>);

/// Finds all files in the folder at `path`, without those with a name that `is_own` knows.
/// `reads_labels` says whether files that may hold labels are opened.
fn walk(
    path: &Path,
    is_own: &dyn Fn(&str) -> bool,
    reads_labels: bool,
) -> Result<Walked, DataError> {
    fs::read_dir(path).map_err(DataError::read(path))?;
    let (mut files, mut archives) = (Vec::new(), Vec::new());
    let (mut findings, mut empty) = (Findings::default(), Vec::new());
    for entry in WalkDir::new(path).follow_links(true).min_depth(1).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let within = error.path().map(|full| full.strip_prefix(path).unwrap_or(full));
                let mut name = within.unwrap_or(path).to_string_lossy().replace('\\', "/");
                // All images of a folder that cannot be read are lost.
                if error.loop_ancestor().is_none() && error.path().is_some_and(Path::is_dir) {
                    name.push('/');
                }
                let cause = match (error.loop_ancestor(), error.io_error()) {
                    (Some(_), _) => "it is a link that leads back to a folder around it".to_owned(),
                    (None, Some(error)) => format!("it cannot be read: {error}"),
                    (None, None) => "it cannot be read".to_owned(),
                };
                findings.skip(&name, &cause);
                continue;
            }
        };
        let relative = entry.path().strip_prefix(path).unwrap_or(entry.path());
        let lossy: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        if entry.file_type().is_dir() {
            let is_empty = fs::read_dir(entry.path()).is_ok_and(|mut inside| {
                inside.all(|entry| entry.is_ok_and(|entry| is_no_content(&entry)))
            });
            if is_empty && kinds::kind(&lossy) != Kind::Junk {
                empty.push(lossy.join("/"));
            }
            continue;
        }
        if lossy.last().is_some_and(|name| is_own(name)) {
            continue;
        }
        if let [name] = &lossy[..]
            && kinds::archive_stem(name).is_some()
            && kinds::kind(&lossy) != Kind::Junk
            && entry.file_type().is_file()
        {
            archives.push(entry.path().to_owned());
            continue;
        }
        if !findings.is_image(&lossy) {
            if reads_labels {
                findings.read_beside(&lossy, || {
                    // A pipe or a device may have no end.
                    let is_small = |file: fs::Metadata| file.is_file() && file.len() <= MAX_BESIDE;
                    let small = entry.metadata().is_ok_and(is_small);
                    small.then(|| fs::read(entry.path()).ok()).flatten()
                });
            }
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

    if !empty.is_empty() {
        findings.notes.push(format!("Empty folders make no classes: {}.", listed(empty.iter())));
    }
    Ok((files, findings, archives))
}

/// Returns whether what lies in a folder is only there to keep it, or was left behind by a system.
fn is_no_content(entry: &fs::DirEntry) -> bool {
    let name = [entry.file_name().to_string_lossy().into_owned()];
    kinds::kind(&name) == Kind::Junk && !kinds::is_hidden_image(&name)
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
