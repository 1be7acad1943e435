//! Decodes the chosen images into memory or into a mapped cache file.
//!
//! The cache file holds a header, the sizes of the sources, the centre squares of all images, the
//! sources, and the images that could not be decoded:
//!
//! | bytes | content |
//! |---|---|
//! | 24 | [`MAGIC`] |
//! | 32 | key of the images and sizes, see [`Job::key`] |
//! | 8 | number of sources: one per image, or 0 if the squares are the sources |
//! | 8 each | width and height of each source |
//! | | squares, one after the other |
//! | | sources, one after the other, without those that are the square itself |
//! | 24 each | facts of each image |
//! | | a line `number cause` for each image that could not be decoded |
//! | 32 | SHA-256 of everything except squares and sources |
//!
//! All numbers are little-endian. Where a source starts follows from the sizes before it, so the
//! file holds no offset that could point elsewhere.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;
use rayon::prelude::*;
use selfsame_kernels::map::ReadOnlyMap;
use sha2::{Digest, Sha256};

use crate::catalogue::{Entry, Source};
use crate::dataset::{Bytes, Pixels, Place, Places, image_bytes, rgb_bytes};
use crate::facts::{Exif, Facts, Format};
use crate::target::{self, RgbImage, Target, Turn};
use crate::{DataError, Skipped};

/// Number of images decoded between two progress reports.
const BATCH: usize = 256;
/// Name of the cache file in its folder.
const CACHE_NAME: &str = "images.cache";
/// Name of the layout. Its number must be raised whenever the file or the decoding changes.
const MAGIC: &[u8; 24] = b"selfsame image cache 006";
const KEY_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + KEY_BYTES + 8;
/// Bytes of the index per source.
const INDEX_BYTES: usize = 8;
const DIGEST_BYTES: usize = 32;

/// The images to decode, and how to treat images that cannot be decoded.
pub(crate) struct Job<'a> {
    pub(crate) entries: Vec<&'a Entry>,
    pub(crate) source: &'a dyn Source,
    pub(crate) target: Target,
    pub(crate) strict: bool,
    pub(crate) progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// How much memory and disk there is for decoded images.
pub(crate) struct Room<'a> {
    /// Sets with more bytes than this are kept in the cache folder, if one is given.
    pub(crate) in_memory: u64,
    /// Returns the number of bytes of memory that can be taken.
    pub(crate) memory: &'a dyn Fn() -> u64,
    /// Returns the number of bytes that can be written to a folder.
    pub(crate) disk: &'a dyn Fn(&Path) -> io::Result<u64>,
}

impl Room<'static> {
    pub(crate) const MACHINE: Self = Self {
        in_memory: 1 << 30,
        memory: &free_memory,
        disk: &|folder| fs4::available_space(folder),
    };
}

/// Returns the memory that this machine can give, or the container that the program runs in.
fn free_memory() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let container = system.cgroup_limits();
    let left = container.map(|limits| limits.total_memory.saturating_sub(limits.rss));
    system.available_memory().min(left.unwrap_or(u64::MAX))
}

/// The decoded images, with one slot per entry, and the slots that could not be filled with their
/// causes.
pub(crate) struct Stored {
    pub(crate) pixels: Pixels,
    /// One per slot. The facts of a slot that could not be filled mean nothing.
    pub(crate) facts: Vec<Facts>,
    pub(crate) failed: Vec<(usize, String)>,
}

/// What decoding finds out: facts of every slot so far, and causes of the slots that could not be
/// filled.
#[derive(Default)]
struct Found {
    facts: Vec<Facts>,
    failed: Vec<(usize, String)>,
}

/// The sizes of everything that will be decoded.
struct Layout {
    places: Option<Places>,
    /// Bytes of all squares, and of all sources that are stored beside them.
    squares: u64,
    sources: u64,
}

impl Layout {
    /// Lays out `count` images. `sources` are the sizes of their sources, or empty if the squares
    /// are the sources. Returns `None` if the numbers are larger than a file can be.
    fn new(count: usize, target: Target, sources: &[(u32, u32)]) -> Option<Self> {
        let square = image_bytes(target.image) as u64;
        let squares = square.checked_mul(count as u64)?;
        let mut end = squares;
        let mut places = Vec::with_capacity(sources.len());
        for (slot, &(width, height)) in sources.iter().enumerate() {
            let start = if (width, height) == (target.image, target.image) {
                square * slot as u64
            } else {
                let start = end;
                let pixels = u64::from(width).checked_mul(u64::from(height))?;
                end = end.checked_add(pixels.checked_mul(3)?)?;
                start
            };
            places.push(Place { start: usize::try_from(start).ok()?, width, height });
        }
        let places = (!places.is_empty()).then_some(Places { size: target.source, places });
        Some(Self { places, squares, sources: end - squares })
    }

    fn bytes(&self) -> u64 {
        self.squares + self.sources
    }

    /// Returns the size of the source at `slot`, if it is stored beside the square.
    fn source(&self, slot: usize) -> Option<(u32, u32)> {
        let Place { start, width, height } = self.places.as_ref()?.places[slot];
        (start as u64 >= self.squares).then_some((width, height))
    }

    /// Returns the number of bytes of the sources in `slots`.
    fn source_bytes(&self, slots: std::ops::Range<usize>) -> usize {
        slots.filter_map(|slot| self.source(slot)).map(rgb_bytes).sum()
    }

    /// Returns the part of the cache file before the pixels.
    fn head(&self, key: &[u8; KEY_BYTES]) -> Vec<u8> {
        let places = self.places.as_ref().map_or(&[][..], |places| &places.places);
        let mut head = [&MAGIC[..], key, &(places.len() as u64).to_le_bytes()].concat();
        for Place { width, height, .. } in places {
            head.extend([width.to_le_bytes(), height.to_le_bytes()].concat());
        }
        head
    }
}

impl Job<'_> {
    /// Decodes into memory. If the images need more memory than [`Room::in_memory`] and a `cache`
    /// folder is given, decodes into the cache file there instead. An existing cache file is used
    /// as it is if it was made from the same images in the same way.
    ///
    /// Reads the sizes of all images first, so that a set for which there is no room is refused
    /// before the work begins.
    pub(crate) fn run(&self, room: &Room<'_>, cache: Option<&Path>) -> Result<Stored, DataError> {
        let path = cache.map(|folder| folder.join(CACHE_NAME));
        if let Some(path) = path.as_ref().filter(|path| path.is_file())
            && let Some(stored) = self.open_cache(path, &self.key())
        {
            if let (true, Some((slot, cause))) = (self.strict, stored.failed.first()) {
                return Err(self.damaged(*slot, cause.clone()));
            }
            (self.progress)(self.entries.len(), self.entries.len());
            return Ok(stored);
        }
        let layout = self.layout()?;
        match path {
            Some(path) if layout.bytes() > room.in_memory => self.to_cache(&path, &layout, room),
            _ => self.to_memory(layout, room),
        }
    }

    /// Reads the size of every image from its header and lays out what is kept of it. The slot of
    /// an image whose header cannot be read is that of a square.
    fn layout(&self) -> Result<Layout, DataError> {
        let Target { image, exif, .. } = self.target;
        let size = |entry: &&Entry| match self.source.dimensions(entry.item, exif) {
            Ok((width, height)) => self.target.resized(width, height),
            Err(_) => (image, image),
        };
        let mut sources: Vec<(u32, u32)> = match self.target.only_squares() {
            true => Vec::new(),
            false => self.entries.par_iter().map(size).collect(),
        };
        if sources.iter().all(|&size| size == (image, image)) {
            sources.clear();
        }
        let count = self.entries.len();
        let endless = DataError::TooLarge { count, bytes: u64::MAX, free: 0 };
        Layout::new(count, self.target, &sources).ok_or(endless)
    }

    fn to_memory(&self, layout: Layout, room: &Room<'_>) -> Result<Stored, DataError> {
        let bytes = layout.bytes();
        let free = (room.memory)();
        let too_large = || DataError::TooLarge { count: self.entries.len(), bytes, free };
        if bytes > free {
            return Err(too_large());
        }
        let length = usize::try_from(bytes).map_err(|_| too_large())?;
        let mut pixels = Vec::new();
        pixels.try_reserve_exact(length).map_err(|_| too_large())?;
        pixels.resize(length, 0);
        let (squares, mut sources) = pixels.split_at_mut(layout.squares as usize);
        let mut found = Found::default();
        for (batch, squares) in
            squares.chunks_mut(BATCH * image_bytes(self.target.image)).enumerate()
        {
            let start = batch * BATCH;
            let slots = start..self.entries.len().min(start + BATCH);
            let (here, rest) = sources.split_at_mut(layout.source_bytes(slots));
            sources = rest;
            self.decode_batch(start, squares, here, &layout, &mut found)?;
        }
        Ok(self.stored(Bytes::Memory(pixels), layout, found))
    }

    fn stored(&self, bytes: Bytes, layout: Layout, Found { facts, failed }: Found) -> Stored {
        let pixels = Pixels { bytes, image_size: self.target.image, places: layout.places };
        Stored { pixels, facts, failed }
    }

    fn to_cache(&self, path: &Path, layout: &Layout, room: &Room<'_>) -> Result<Stored, DataError> {
        let failed_to_write = |source| DataError::Cache { path: path.to_owned(), source };
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed_to_write)?;
        let free = (room.disk)(folder).map_err(failed_to_write)?;
        let bytes = layout.bytes();
        if bytes > free {
            let (count, folder) = (self.entries.len(), folder.to_owned());
            return Err(DataError::NoRoom { folder, count, bytes, free });
        }
        let key = self.key();
        self.write_cache(path, &key, layout)?;
        self.open_cache(path, &key)
            .ok_or_else(|| failed_to_write(io::Error::other("it cannot be read back")))
    }

    fn write_cache(
        &self,
        path: &Path,
        key: &[u8; KEY_BYTES],
        layout: &Layout,
    ) -> Result<(), DataError> {
        let failed_to_write = |source| DataError::Cache { path: path.to_owned(), source };
        let mut file = BufWriter::new(AtomicWriteFile::open(path).map_err(failed_to_write)?);
        let head = layout.head(key);
        file.write_all(&head).map_err(failed_to_write)?;
        let mut next_square = head.len() as u64;
        let mut next_source = next_square + layout.squares;
        let (mut found, mut squares, mut sources) = (Found::default(), Vec::new(), Vec::new());
        for start in (0..self.entries.len()).step_by(BATCH) {
            let slots = start..self.entries.len().min(start + BATCH);
            squares.clear();
            squares.resize(slots.len() * image_bytes(self.target.image), 0);
            sources.clear();
            sources.resize(layout.source_bytes(slots), 0);
            self.decode_batch(start, &mut squares, &mut sources, layout, &mut found)?;
            for (at, bytes) in [(&mut next_square, &squares), (&mut next_source, &sources)] {
                if !bytes.is_empty() {
                    file.seek(SeekFrom::Start(*at)).map_err(failed_to_write)?;
                    file.write_all(bytes).map_err(failed_to_write)?;
                    *at += bytes.len() as u64;
                }
            }
        }
        file.seek(SeekFrom::Start(next_source)).map_err(failed_to_write)?;
        let tail = found.tail();
        file.write_all(&tail).map_err(failed_to_write)?;
        file.write_all(&digest(&head, &tail)).map_err(failed_to_write)?;
        let file = file.into_inner().map_err(|error| failed_to_write(error.into_error()))?;
        file.commit().map_err(failed_to_write)
    }

    /// Decodes the entries from `start` on into their squares and sources, in parallel. The result
    /// does not depend on the threads.
    fn decode_batch(
        &self,
        start: usize,
        squares: &mut [u8],
        mut sources: &mut [u8],
        layout: &Layout,
        found: &mut Found,
    ) -> Result<(), DataError> {
        let slots: Vec<_> = squares
            .chunks_mut(image_bytes(self.target.image))
            .zip(start..)
            .map(|(square, slot)| {
                let size = layout.source(slot);
                let (source, rest) =
                    std::mem::take(&mut sources).split_at_mut(size.map_or(0, rgb_bytes));
                sources = rest;
                (slot, square, size, source)
            })
            .collect();
        let outcomes: Vec<Result<Facts, String>> = slots
            .into_par_iter()
            .map(|(slot, square, size, source)| {
                let image = self.source.read(self.entries[slot].item, self.target)?;
                self.fill(&image, square, size, source)?;
                Ok(image.facts)
            })
            .collect();
        (self.progress)(start + outcomes.len(), self.entries.len());
        for (outcome, slot) in outcomes.into_iter().zip(start..) {
            found.facts.push(*outcome.as_ref().unwrap_or(&Facts::new(Format::Plain, 0, 0)));
            let Err(cause) = outcome else { continue };
            if self.strict {
                return Err(self.damaged(slot, cause));
            }
            found.failed.push((slot, cause));
        }
        Ok(())
    }

    /// Writes the centre square of an image, and its source if it has a place of its own.
    fn fill(
        &self,
        image: &RgbImage,
        square: &mut [u8],
        size: Option<(u32, u32)>,
        source: &mut [u8],
    ) -> Result<(), String> {
        let Facts { width, height, .. } = image.facts;
        let (width, height) = Turn::of(&image.facts, self.target.exif).size((width, height));
        let square_size = (self.target.image, self.target.image);
        if self.target.resized(width, height) != size.unwrap_or(square_size) {
            return Err("the decoded image has another size than its header says".into());
        }
        target::fit_square(image, self.target.image, square)?;
        match size {
            Some(size) => target::fit(image, size, source),
            None => Ok(()),
        }
    }

    fn damaged(&self, slot: usize, cause: String) -> DataError {
        DataError::Damaged { name: self.entries[slot].name.clone(), cause }
    }

    /// Returns a key that changes whenever any image, their order or their sizes may have changed.
    fn key(&self) -> [u8; KEY_BYTES] {
        let mut hash = Sha256::new_with_prefix(MAGIC);
        hash.update(self.target.image.to_le_bytes());
        hash.update(self.target.source.to_le_bytes());
        hash.update([u8::from(self.target.exif == Exif::Turn)]);
        for entry in &self.entries {
            for text in [&entry.name, &self.source.stamp(entry.item)] {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
        hash.finalize().into()
    }

    /// Opens the cache at `path`, if it is complete and has this key. Any other file counts as
    /// missing. The pixels themselves are not checked, so that opening a large cache takes no time.
    fn open_cache(&self, path: &Path, key: &[u8; KEY_BYTES]) -> Option<Stored> {
        let count = self.entries.len();
        let mut file = File::open(path).ok()?;
        let mut header = [0; HEADER_BYTES];
        file.read_exact(&mut header).ok()?;
        let (name, indexed) = header.split_at(MAGIC.len() + KEY_BYTES);
        if *name != [&MAGIC[..], key].concat() {
            return None;
        }
        let indexed = u64::from_le_bytes(indexed.try_into().expect("eight bytes are left"));
        let indexed = usize::try_from(indexed).ok().filter(|&n| n == 0 || n == count)?;

        // The contract of the map holds: only `write_cache` writes this file, under a different
        // name that is then renamed.
        let map = ReadOnlyMap::new(&file).ok()?;
        let head = map.get(..HEADER_BYTES + indexed * INDEX_BYTES)?;
        let side =
            |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("a slice of four bytes"));
        let sources: Vec<(u32, u32)> = head[HEADER_BYTES..]
            .chunks_exact(INDEX_BYTES)
            .map(|entry| (side(&entry[..4]), side(&entry[4..])))
            .collect();
        if sources.iter().any(|&(width, height)| !self.target.allows(width, height)) {
            return None;
        }
        let layout = Layout::new(count, self.target, &sources)?;
        let end = head.len().checked_add(usize::try_from(layout.bytes()).ok()?)?;
        let (tail, wanted) = map.get(end..)?.split_last_chunk::<DIGEST_BYTES>()?;
        if *wanted != digest(head, tail) {
            return None;
        }
        let (found, start) = (Found::read(tail, count)?, head.len());
        Some(self.stored(Bytes::Mapped(map, start), layout, found))
    }
}

impl Found {
    /// Returns the part of the cache file after the pixels, without the digest.
    fn tail(&self) -> Vec<u8> {
        let mut tail: Vec<u8> = self.facts.iter().flat_map(|facts| facts.to_bytes()).collect();
        for (slot, cause) in &self.failed {
            tail.extend(format!("{slot} {}\n", cause.replace(['\n', '\r'], " ")).bytes());
        }
        tail
    }

    /// Reads that part, for `count` images.
    fn read(tail: &[u8], count: usize) -> Option<Self> {
        let (facts, lines) = tail.split_at_checked(count * Facts::BYTES)?;
        let facts = facts.as_chunks().0.iter().map(Facts::from_bytes).collect::<Option<_>>()?;
        let failed = std::str::from_utf8(lines)
            .ok()?
            .lines()
            .map(|line| {
                let (slot, cause) = line.split_once(' ')?;
                let slot = slot.parse().ok().filter(|&slot: &usize| slot < count)?;
                Some((slot, cause.to_owned()))
            })
            .collect::<Option<_>>()?;
        Some(Self { facts, failed })
    }
}

/// Returns the digest of a cache file without its pixels.
fn digest(head: &[u8], tail: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::new_with_prefix(head).chain_update(tail).finalize().into()
}

/// Returns names and causes of the skipped images.
pub(crate) fn skipped(entries: &[&Entry], failed: &[(usize, String)]) -> Vec<Skipped> {
    failed
        .iter()
        .map(|(slot, cause)| Skipped { name: entries[*slot].name.clone(), cause: cause.clone() })
        .collect()
}
