//! A `.tar` of images, read without unpacking it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::catalogue::{Catalogue, Source};
use crate::decode::{self, MAX_FILE_BYTES};
use crate::facts::Exif;
use crate::folder::stamp;
use crate::target::{RgbImage, Target};
use crate::tree::{self, Findings, Found};
use crate::{DataError, Skipped};

struct Archive {
    file: Mutex<File>,
    /// Start and length of each image in the file.
    ranges: Vec<(u64, u64)>,
    stamp: String,
}

/// Lists the images of the archive at `path`. Entries that point outside of the archive, links,
/// sparse files, and sizes beyond the end of the file are left out and named. The archive is never
/// written to.
pub(crate) fn open(path: &Path, name: String) -> Result<Catalogue, DataError> {
    let file = File::open(path).map_err(DataError::read(path))?;
    let length = file.metadata().map_err(DataError::read(path))?.len();
    let mut archive = tar::Archive::new(file);
    let mut findings = Findings::default();
    let (mut found, mut ranges) = (Vec::new(), Vec::new());
    // Position of each name in `found`. If a name occurs several times, the last entry counts, as
    // when an archive is unpacked.
    let mut seen: HashMap<Vec<String>, usize> = HashMap::new();
    let (mut readable_entries, mut last_end) = (0, 0);
    for entry in archive.entries_with_seek().map_err(DataError::read(path))? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if readable_entries == 0 => {
                return Err(DataError::NotADataSet {
                    path: path.to_owned(),
                    cause: format!("it does not start as a tar archive ({error})"),
                });
            }
            Err(error) => {
                findings.skipped.push(Skipped {
                    name: format!("entry {} of {name}", readable_entries + 1),
                    cause: format!("damaged archive ({error}): nothing from here on can be read"),
                });
                break;
            }
        };
        readable_entries += 1;
        last_end = entry.raw_file_position().saturating_add(entry.size());
        let path_bytes = entry.path_bytes();
        let lossy = String::from_utf8_lossy(&path_bytes).into_owned();
        if last_end > length {
            findings.skip(&lossy, "the archive ends before the entry does; nothing follows it");
            break;
        }
        let kind_of_entry = entry.header().entry_type();
        if kind_of_entry.is_dir() || kind_of_entry.is_pax_global_extensions() {
            continue;
        }
        let parts: Vec<&str> =
            lossy.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if lossy.starts_with('/') || parts.contains(&"..") {
            findings.skip(&lossy, "the archive entry points outside the archive");
            continue;
        }
        if kind_of_entry.is_symlink() || kind_of_entry.is_hard_link() {
            findings.skip(&lossy, "the archive entry is a link; store the file itself");
            continue;
        }
        if !findings.is_image(&parts) {
            continue;
        }
        let (start, size) = (entry.raw_file_position(), entry.size());
        if !(kind_of_entry.is_file() || kind_of_entry.is_contiguous()) {
            findings.skip(&lossy, "the archive entry is not a regular file");
        } else if size > MAX_FILE_BYTES {
            findings.skip(
                &lossy,
                &format!("the file is too large: at most {MAX_FILE_BYTES} bytes are read"),
            );
        } else if std::str::from_utf8(&path_bytes).is_err() {
            findings.skip(&lossy, "its name is not valid UTF-8; rename it");
        } else {
            let components: Vec<String> = parts.iter().map(|&part| part.to_owned()).collect();
            if let Some(earlier) = seen.insert(components.clone(), ranges.len()) {
                findings
                    .skip(&lossy, "the archive holds a later file of the same name, which is used");
                found[earlier] = None;
            }
            found.push(Some(Found { components, item: ranges.len() }));
            ranges.push((start, size));
        }
    }

    findings.images = found.into_iter().flatten().collect();
    // After the last entry, which is padded to blocks of 512 bytes, a complete archive has blocks
    // of zeros.
    if last_end.div_ceil(512).saturating_mul(512) >= length {
        findings.notes.push(format!(
            "The archive {} has no end mark: it may have been cut short.",
            path.display()
        ));
    }
    let file = Mutex::new(archive.into_inner());
    tree::arrange(path, name, findings, Box::new(Archive { file, ranges, stamp: stamp(path) }))
}

impl Archive {
    fn bytes(&self, item: usize) -> Result<Vec<u8>, String> {
        let (start, size) = self.ranges[item];
        read_range(&self.file, start, size).map_err(|error| format!("it cannot be read: {error}"))
    }
}

/// Reads `size` bytes from `start`. Only one thread reads at a time.
pub(crate) fn read_range(file: &Mutex<File>, start: u64, size: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; size as usize];
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

impl Source for Archive {
    fn read(&self, item: usize, target: Target) -> Result<RgbImage, String> {
        decode::decode(&self.bytes(item)?, target)
    }

    fn dimensions(&self, item: usize, exif: Exif) -> Result<(u32, u32), String> {
        decode::dimensions(&self.bytes(item)?, exif)
    }

    fn stamp(&self, item: usize) -> String {
        let (start, size) = self.ranges[item];
        format!("{} {start} {size}", self.stamp)
    }
}
