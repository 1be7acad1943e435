//! Decodes the chosen images into memory or into a mapped cache file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;
use rayon::prelude::*;
use selfsame_kernels::map::ReadOnlyMap;
use sha2::{Digest, Sha256};

use crate::catalogue::{Entry, Source};
use crate::dataset::{Pixels, image_bytes};
use crate::facts::{Exif, Facts, Format};
use crate::target::{self, Target};
use crate::{DataError, Skipped};

/// Number of images decoded between two progress reports.
const BATCH: usize = 256;
/// Name of the cache file in its folder.
const CACHE_NAME: &str = "images.cache";
/// Name of the layout. Its number must be raised whenever the file or the decoding changes.
const MAGIC: &[u8; 24] = b"selfsame image cache 003";
const HEADER_BYTES: usize = MAGIC.len() + 32 + 8;

/// The images to decode, and how to treat images that cannot be decoded.
pub(crate) struct Job<'a> {
    pub(crate) entries: Vec<&'a Entry>,
    pub(crate) source: &'a dyn Source,
    pub(crate) target: Target,
    pub(crate) strict: bool,
    pub(crate) progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// The decoded images, with one slot per entry, and the slots that could not be filled with their
/// causes.
pub(crate) struct Stored {
    pub(crate) pixels: Pixels,
    /// One per slot. The facts of a slot that could not be filled mean nothing.
    pub(crate) facts: Vec<Facts>,
    pub(crate) failed: Vec<(usize, String)>,
}

impl Job<'_> {
    /// Decodes into memory. If the images need more than `in_memory` bytes and a `cache` folder is
    /// given, decodes into the cache file there instead. An existing cache file is used as it is if
    /// it was made from the same images in the same way.
    pub(crate) fn run(&self, in_memory: u64, cache: Option<&Path>) -> Result<Stored, DataError> {
        let bytes = self.entries.len() as u64 * image_bytes(self.target.size) as u64;
        match cache {
            Some(folder) if bytes > in_memory => self.to_cache(folder, bytes),
            _ => self.to_memory(bytes),
        }
    }

    fn to_memory(&self, bytes: u64) -> Result<Stored, DataError> {
        let too_large =
            || DataError::TooLarge { count: self.entries.len(), size: self.target.size, bytes };
        let length = usize::try_from(bytes).map_err(|_| too_large())?;
        let mut pixels = Vec::new();
        pixels.try_reserve_exact(length).map_err(|_| too_large())?;
        pixels.resize(length, 0);
        let (mut facts, mut failed) = (Vec::new(), Vec::new());
        for (batch, target) in pixels.chunks_mut(BATCH * image_bytes(self.target.size)).enumerate()
        {
            self.decode_batch(batch * BATCH, target, &mut facts, &mut failed)?;
        }
        Ok(Stored { pixels: Pixels::Memory(pixels), facts, failed })
    }

    fn to_cache(&self, folder: &Path, bytes: u64) -> Result<Stored, DataError> {
        let path = folder.join(CACHE_NAME);
        let key = self.key();
        if let Some(stored) = open_cache(&path, &key, bytes, self.entries.len()) {
            if let (true, Some((slot, cause))) = (self.strict, stored.failed.first()) {
                return Err(self.damaged(*slot, cause.clone()));
            }
            (self.progress)(self.entries.len(), self.entries.len());
            return Ok(stored);
        }

        self.write_cache(&path, &key, bytes)?;
        open_cache(&path, &key, bytes, self.entries.len()).ok_or_else(|| DataError::Cache {
            path,
            source: io::Error::other("it cannot be read back"),
        })
    }

    fn write_cache(&self, path: &Path, key: &[u8; 32], bytes: u64) -> Result<(), DataError> {
        let failed_to_write = |source| DataError::Cache { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed_to_write)?;
        }
        let mut file = BufWriter::new(AtomicWriteFile::open(path).map_err(failed_to_write)?);
        let header = [&MAGIC[..], key, &bytes.to_le_bytes()].concat();
        file.write_all(&header).map_err(failed_to_write)?;
        let (mut facts, mut failed, mut batch) = (Vec::new(), Vec::new(), Vec::new());
        for start in (0..self.entries.len()).step_by(BATCH) {
            batch.clear();
            batch.resize(BATCH.min(self.entries.len() - start) * image_bytes(self.target.size), 0);
            self.decode_batch(start, &mut batch, &mut facts, &mut failed)?;
            file.write_all(&batch).map_err(failed_to_write)?;
        }
        for facts in facts {
            file.write_all(&facts.to_bytes()).map_err(failed_to_write)?;
        }
        for (slot, cause) in failed {
            writeln!(file, "{slot} {}", cause.replace(['\n', '\r'], " "))
                .map_err(failed_to_write)?;
        }
        let file = file.into_inner().map_err(|error| failed_to_write(error.into_error()))?;
        file.commit().map_err(failed_to_write)
    }

    /// Decodes the entries from `start` on into `target`, in parallel. The result does not depend
    /// on the threads.
    fn decode_batch(
        &self,
        start: usize,
        target: &mut [u8],
        facts: &mut Vec<Facts>,
        failed: &mut Vec<(usize, String)>,
    ) -> Result<(), DataError> {
        let images = target.par_chunks_mut(image_bytes(self.target.size)).enumerate();
        let size = self.target.size;
        let outcomes: Vec<Result<Facts, String>> = images
            .map(|(offset, out)| {
                let image = self.source.read(self.entries[start + offset].item, self.target)?;
                target::fit(&image, (size, size), out)?;
                Ok(image.facts)
            })
            .collect();
        (self.progress)(start + outcomes.len(), self.entries.len());
        for (offset, outcome) in outcomes.into_iter().enumerate() {
            facts.push(*outcome.as_ref().unwrap_or(&Facts::new(Format::Plain, 0, 0)));
            let Err(cause) = outcome else { continue };
            if self.strict {
                return Err(self.damaged(start + offset, cause));
            }
            failed.push((start + offset, cause));
        }
        Ok(())
    }

    fn damaged(&self, slot: usize, cause: String) -> DataError {
        DataError::Damaged { name: self.entries[slot].name.clone(), cause }
    }

    /// Returns a key that changes whenever any image, their order or their size may have changed.
    fn key(&self) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(MAGIC);
        hash.update(self.target.size.to_le_bytes());
        hash.update([u8::from(self.target.exif == Exif::Turn)]);
        for entry in &self.entries {
            for text in [&entry.name, &self.source.stamp(entry.item)] {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
        hash.finalize().into()
    }
}

/// Opens the cache at `path`, if it exists, is complete and has this key. Any other file counts as
/// missing.
fn open_cache(path: &Path, key: &[u8; 32], bytes: u64, entries: usize) -> Option<Stored> {
    let mut file = File::open(path).ok()?;
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header).ok()?;
    if header[..] != [&MAGIC[..], key, &bytes.to_le_bytes()].concat() {
        return None;
    }
    // The contract of the map holds: only `write_cache` writes this file, under a different name
    // that is then renamed.
    let map = ReadOnlyMap::new(&file).ok()?;
    let end = HEADER_BYTES.checked_add(usize::try_from(bytes).ok()?)?;
    let (facts, footer) = map.get(end..)?.split_at_checked(entries * Facts::BYTES)?;
    let facts = facts.as_chunks().0.iter().map(Facts::from_bytes).collect::<Option<_>>()?;
    let footer = std::str::from_utf8(footer).ok()?;
    let failed = footer
        .lines()
        .map(|line| {
            let (slot, cause) = line.split_once(' ')?;
            let slot = slot.parse().ok().filter(|&slot: &usize| slot < entries)?;
            Some((slot, cause.to_owned()))
        })
        .collect::<Option<_>>()?;
    Some(Stored { pixels: Pixels::Mapped(map, HEADER_BYTES), facts, failed })
}

/// Returns names and causes of the skipped images.
pub(crate) fn skipped(entries: &[&Entry], failed: &[(usize, String)]) -> Vec<Skipped> {
    failed
        .iter()
        .map(|(slot, cause)| Skipped { name: entries[*slot].name.clone(), cause: cause.clone() })
        .collect()
}
