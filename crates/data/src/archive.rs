//! Archives of images: one `.tar` or a folder of them, plain or gzipped, read without unpacking
//! them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use flate2::bufread::GzDecoder;

use crate::DataError;
use crate::catalogue::{Catalogue, Source, stamp};
use crate::decode::{self, MAX_FILE_BYTES};
use crate::facts::Exif;
use crate::kinds;
use crate::leavings::short;
use crate::shards::{self, Stem};
use crate::target::{RgbImage, Target};
use crate::tree::{self, Findings, Found, Labels, MAX_BESIDE};

/// Maximum number of bytes of uncompressed archives, which are held in memory.
const MAX_IN_MEMORY: u64 = 1 << 30;

#[derive(Default)]
struct Archive {
    files: Vec<Bytes>,
    /// File, start and length of each image.
    ranges: Vec<(usize, u64, u64)>,
}

/// The bytes of an archive.
struct Bytes {
    place: Place,
    stamp: String,
}

enum Place {
    Disk(Mutex<File>),
    /// Of a gzipped archive, uncompressed.
    Memory(Vec<u8>),
}

/// What has been listed of one archive or of several.
#[derive(Default)]
struct Listing {
    findings: Findings,
    found: Vec<Option<Found>>,
    archive: Archive,
    /// Position of each name in `found`. If a name occurs several times, the last entry counts, as
    /// when an archive is unpacked.
    seen: HashMap<Vec<String>, usize>,
    in_memory: u64,
}

/// Lists the images of the archive at `path`. Entries that point outside of the archive, links,
/// sparse files, and sizes beyond the end of the file are left out and named. The archive is never
/// written to.
pub(crate) fn open(path: &Path, name: String, labels: Labels) -> Result<Catalogue, DataError> {
    let mut listing = Listing::default();
    listing.add(path, None)?;
    listing.arrange(path, name, labels)
}

/// Lists the images of several archives in the folder at `path`, beside which `findings` lie. The
/// name of each counts as a folder around its images: as a split or a class, or, where names only
/// number the archives, as neither.
pub(crate) fn open_all(
    path: &Path,
    name: String,
    archives: &[PathBuf],
    findings: Findings,
    labels: Labels,
) -> Result<Catalogue, DataError> {
    let mut listing = Listing { findings, ..Listing::default() };
    let stems: Vec<Stem> = archives.iter().map(|archive| Stem::of(archive)).collect();
    if let Some((first, second)) = shards::same(&stems) {
        let cause = format!(
            "{} and {} would be one folder; move one of them away",
            short(first),
            short(second)
        );
        return Err(DataError::Layout { path: path.to_owned(), cause });
    }
    for (archive, stem) in archives.iter().zip(&stems) {
        listing.add(archive, Some(&stem.name))?;
    }
    let images: Vec<&[String]> =
        listing.found.iter().flatten().map(|found| found.components.as_slice()).collect();
    let has_labels = listing.findings.beside.is_some();
    listing.findings.shards = shards::numbered(&stems, &images, has_labels);
    if listing.findings.shards.is_none() {
        listing.findings.notes.extend(shards::alike(&stems));
    }
    let count = archives.len();
    let archives = if count == 1 { "archive" } else { "archives" };
    listing.findings.notes.push(format!("The set is read from {count} {archives}."));
    listing.arrange(path, name, labels)
}

/// Formats of files, by their first bytes, that are no archive that is read: what the file is, and
/// what to do about it.
const FORMATS: [(&[u8], &str, &str); 14] = [
    (b"PK\x03\x04", "a zip archive", "unpack it and give the folder"),
    (b"BZh", "compressed by bzip2", "uncompress it (bunzip2) and give the .tar"),
    (b"\xfd7zXZ\0", "compressed by xz", "uncompress it (unxz) and give the .tar"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "uncompress it (unzstd) and give the .tar"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and give the folder"),
    (b"Rar!", "a rar archive", "unpack it and give the folder"),
    (b"\x89HDF", "an HDF5 file", "save its images as PNG in class folders"),
    (b"PAR1", "a Parquet file", "save its images in class folders"),
    (b"\x93NUMPY", "a NumPy array", "save its images as PNG in class folders"),
    (b"MATLAB", "a MATLAB file", "save its images as PNG in class folders"),
    (b"SQLite format 3", "a database", "save its images in class folders"),
    (b"\x89PNG", "a single image", "give the folder that it lies in"),
    (b"\xff\xd8\xff", "a single image", "give the folder that it lies in"),
    (b"\x80\x02", "a Python pickle", "save its images as PNG in class folders"),
];

/// Checks whether the file at `path` may be an archive that is read, by its first bytes.
pub(crate) fn check(path: &Path) -> Result<(), DataError> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(DataError::read(path))?;
    file.take(512).read_to_end(&mut start).map_err(DataError::read(path))?;
    let refuse = |cause: String| Err(DataError::NotADataSet { path: path.to_owned(), cause });
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let known = FORMATS.iter().find(|(magic, ..)| start.starts_with(magic));
    if let Some((_, what, mend)) = known {
        let npz = name.ends_with(".npz").then_some("an archive of NumPy arrays");
        let what = npz.unwrap_or(what);
        let mend = if npz.is_some() { "save its images as PNG in class folders" } else { mend };
        return refuse(format!("it is {what}; {mend}"));
    }
    let is_tar = name.ends_with(".tar") || start.get(257..262) == Some(b"ustar");
    if is_tar || is_gzipped(&start) {
        return Ok(());
    }
    let mend = kinds::mend_clause(&kinds::ending(&name), 1);
    refuse(format!("it is a file other than a .tar or .tar.gz{mend}; give one, or a folder"))
}

fn is_gzipped(start: &[u8]) -> bool {
    start.starts_with(b"\x1f\x8b")
}

impl Listing {
    /// Lists the archive at `path`, each name behind `folder`.
    fn add(&mut self, path: &Path, folder: Option<&str>) -> Result<(), DataError> {
        let mut file = File::open(path).map_err(DataError::read(path))?;
        let mut start = [0; 2];
        let gzipped = file.read_exact(&mut start).is_ok() && is_gzipped(&start);
        file.rewind().map_err(DataError::read(path))?;
        let place = if gzipped {
            let bytes = self.uncompress(path, file)?;
            let length = bytes.len() as u64;
            self.in_memory += length;
            Place::Memory(self.list(path, folder, Cursor::new(bytes), length)?.into_inner())
        } else {
            let length = file.metadata().map_err(DataError::read(path))?.len();
            Place::Disk(Mutex::new(self.list(path, folder, file, length)?))
        };
        self.archive.files.push(Bytes { place, stamp: stamp(path) });
        Ok(())
    }

    /// Uncompresses a gzipped archive into memory, as far as there is room. Like gzip, reads several
    /// members one after the other, and passes over what follows them.
    fn uncompress(&mut self, path: &Path, file: File) -> Result<Vec<u8>, DataError> {
        let room = MAX_IN_MEMORY - self.in_memory;
        let damaged = |error: std::io::Error| {
            let cause = format!("it is gzipped, but truncated or damaged ({})", safe(&error));
            DataError::NotADataSet { path: path.to_owned(), cause }
        };
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        loop {
            let member = GzDecoder::new(&mut reader);
            let left = (room + 1).saturating_sub(bytes.len() as u64);
            member.take(left).read_to_end(&mut bytes).map_err(damaged)?;
            if bytes.len() as u64 > room {
                let cause = format!(
                    "it is gzipped and holds more than {MAX_IN_MEMORY} bytes, which are kept in \
                     memory; uncompress it (gunzip) and give the .tar"
                );
                return Err(DataError::NotADataSet { path: path.to_owned(), cause });
            }
            match reader.fill_buf().map_err(damaged)? {
                [] => return Ok(bytes),
                [0x1f, 0x8b, ..] | [0x1f] => {}
                _ => break,
            }
        }
        // Tapes and some file systems pad with zeros.
        if reader.bytes().any(|byte| byte.is_ok_and(|byte| byte != 0)) {
            self.findings.notes.push(format!(
                "The archive {} holds other bytes after its gzipped part; they are not read.",
                short(&path.to_string_lossy())
            ));
        }
        Ok(bytes)
    }

    /// Lists the entries of the archive that `reader` reads, and returns the reader.
    fn list<R: Read + Seek>(
        &mut self,
        path: &Path,
        folder: Option<&str>,
        reader: R,
        length: u64,
    ) -> Result<R, DataError> {
        let mut archive = tar::Archive::new(reader);
        // Archives that were joined by `cat` have an end mark within.
        archive.set_ignore_zeros(true);
        let (mut readable_entries, mut last_end) = (0, 0);
        let mut damage = None;
        for entry in archive.entries_with_seek().map_err(DataError::read(path))? {
            let entry = match entry {
                Ok(entry) => entry,
                Err(_) if readable_entries == 0 => {
                    let cause = "it does not start as a tar archive".to_owned();
                    return Err(DataError::NotADataSet { path: path.to_owned(), cause });
                }
                Err(error) => {
                    damage = Some(error);
                    break;
                }
            };
            readable_entries += 1;
            last_end = entry.raw_file_position().saturating_add(entry.size());
            let cut = last_end > length;
            self.take(folder, entry, cut);
            if cut {
                break;
            }
        }
        // After the last entry, which is padded to blocks of 512 bytes, a complete archive has
        // blocks of zeros.
        let end = last_end.div_ceil(512).saturating_mul(512);
        let mut reader = archive.into_inner();
        let shown = short(&path.to_string_lossy());
        if end >= length {
            self.findings
                .notes
                .push(format!("The archive {shown} has no end mark: it may have been cut short."));
        }
        let Some(error) = damage else { return Ok(reader) };
        let mut mark = [1; 1024];
        let ended = reader.seek(SeekFrom::Start(end)).and_then(|_| reader.read_exact(&mut mark));
        if ended.is_ok() && mark == [0; 1024] && !has_header(&mut BufReader::new(&mut reader)) {
            self.findings.notes.push(format!(
                "The archive {shown} holds other bytes after its end mark; they are not read."
            ));
        } else {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            self.findings.skip(
                &format!("entry {} of {file}", readable_entries + 1),
                &format!("damaged archive ({}): nothing from here on can be read", safe(&error)),
            );
        }
        Ok(reader)
    }

    /// Takes an entry of the archive that is being listed.
    fn take<R: Read>(&mut self, folder: Option<&str>, mut entry: tar::Entry<'_, R>, cut: bool) {
        let kind = entry.header().entry_type();
        if !cut && (kind.is_dir() || kind.is_pax_global_extensions()) {
            return;
        }
        let path_bytes = entry.path_bytes().into_owned();
        let inner = String::from_utf8_lossy(&path_bytes).into_owned();
        // Some programs on Windows write their own separator.
        let separator = if inner.contains('/') { '/' } else { '\\' };
        let inner_parts = inner.split(separator).filter(|part| !part.is_empty() && *part != ".");
        let parts: Vec<&str> = folder.into_iter().chain(inner_parts).collect();
        let name = match inner.starts_with('/') {
            true => inner.clone(),
            false => parts.join("/"),
        };
        let skip = |findings: &mut Findings, cause: &str| findings.skip(&name, cause);
        if cut {
            skip(&mut self.findings, "the archive ends before the entry does; nothing follows it");
            return;
        }
        if inner.starts_with('/') || parts.contains(&"..") {
            skip(&mut self.findings, "the archive entry points outside the archive");
            return;
        }
        if kind.is_symlink() || kind.is_hard_link() {
            skip(&mut self.findings, "the archive entry is a link; store the file itself");
            return;
        }
        if let Some(name) = sparse_name(&mut entry) {
            let name = name.trim_start_matches("./");
            let name = folder.map_or_else(|| name.to_owned(), |folder| format!("{folder}/{name}"));
            let cause = "the archive entry is a sparse file; pack it without --sparse";
            self.findings.skip(&name, cause);
            return;
        }
        let (start, size) = (entry.raw_file_position(), entry.size());
        if !self.findings.is_image(&parts) {
            let small = kind.is_file() && size <= MAX_BESIDE;
            self.findings.read_beside(&parts, || {
                let mut bytes = Vec::new();
                (small && entry.read_to_end(&mut bytes).is_ok()).then_some(bytes)
            });
            return;
        }
        if !(kind.is_file() || kind.is_contiguous()) {
            skip(&mut self.findings, "the archive entry is not a regular file");
        } else if size > MAX_FILE_BYTES {
            let cause = format!("the file is too large: at most {MAX_FILE_BYTES} bytes are read");
            skip(&mut self.findings, &cause);
        } else if std::str::from_utf8(&path_bytes).is_err() {
            skip(&mut self.findings, "its name is not valid UTF-8; rename it");
        } else {
            let components: Vec<String> = parts.iter().map(|&part| part.to_owned()).collect();
            if let Some(earlier) = self.seen.insert(components.clone(), self.found.len()) {
                let cause = "the archive holds a later file of the same name, which is used";
                skip(&mut self.findings, cause);
                self.found[earlier] = None;
            }
            self.found.push(Some(Found { components, item: self.archive.ranges.len() }));
            self.archive.ranges.push((self.archive.files.len(), start, size));
        }
    }

    fn arrange(
        mut self,
        path: &Path,
        name: String,
        labels: Labels,
    ) -> Result<Catalogue, DataError> {
        self.findings.images = self.found.into_iter().flatten().collect();
        tree::arrange(path, name, self.findings, Box::new(self.archive), labels)
    }
}

/// Returns whether a header follows in what is left to read. Then a part of the archive was lost
/// where it looks like its end.
fn has_header(reader: &mut impl Read) -> bool {
    let mut block = [0; 512];
    while reader.read_exact(&mut block).is_ok() {
        if &block[257..262] == b"ustar" {
            return true;
        }
    }
    false
}

/// Returns the name of an entry that POSIX archives store as a sparse file by extended headers.
fn sparse_name<R: Read>(entry: &mut tar::Entry<'_, R>) -> Option<String> {
    let extensions = entry.pax_extensions().ok()??;
    let name = |extension: tar::PaxExtension<'_>| {
        (extension.key_bytes() == b"GNU.sparse.name")
            .then(|| String::from_utf8_lossy(extension.value_bytes()).into_owned())
    };
    extensions.flatten().find_map(name)
}

/// Returns an error's words without what a terminal would obey.
fn safe(error: &std::io::Error) -> String {
    short(&error.to_string())
}

impl Archive {
    /// Reads at most the first `most` bytes of an image.
    fn first(&self, item: usize, most: u64) -> Result<Vec<u8>, String> {
        let (file, start, size) = self.ranges[item];
        let size = size.min(most);
        match &self.files[file].place {
            Place::Disk(file) => {
                read_range(file, start, size).map_err(|error| format!("it cannot be read: {error}"))
            }
            Place::Memory(bytes) => {
                let start = start as usize;
                bytes
                    .get(start..start + size as usize)
                    .map(<[u8]>::to_vec)
                    .ok_or_else(|| "the archive ends before it does".to_owned())
            }
        }
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
        decode::decode(&decode::whole(|most| self.first(item, most))?, target)
    }

    fn dimensions(&self, item: usize, exif: Exif) -> Result<(u32, u32), String> {
        decode::dimensions_of(|most| self.first(item, most), exif)
    }

    fn stamp(&self, item: usize) -> String {
        let (file, start, size) = self.ranges[item];
        format!("{} {start} {size}", self.files[file].stamp)
    }
}
