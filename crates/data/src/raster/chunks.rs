//! Brings TIFFs that the decoder would misread into a form that it reads right.
//!
//! The decoder passes over `FillOrder`; it applies a predictor where TIFF 6.0 has none, and its LZW
//! finds no end in sound data, depending on how many bytes are asked for at a time. In these cases
//! the chunks of pixels (strips or tiles) are laid anew behind the file, with the bits of each byte
//! in the usual order and LZW decompressed, and the first directory is made to point there.

use std::borrow::Cow;
use std::ops::Range;

use tiff::tags::Tag;

use super::TiffDecoder;
use crate::orientation::unsigned;

const NONE: u64 = 1;
const LZW: u64 = 5;
const JPEGS: [u64; 2] = [6, 7];
const DEFLATE: [u64; 2] = [8, 32_946];

/// Largest number of bytes that chunks are decompressed to.
const MOST: usize = 1 << 30;

/// Returns a file with the same pixels that the decoder reads right, or `None` if it reads `bytes`
/// right. `decoder` is at the first directory of `bytes`.
pub(super) fn readable(
    bytes: &[u8],
    decoder: &mut TiffDecoder<'_>,
) -> Result<Option<Vec<u8>>, String> {
    let mut numbers = |tag| decoder.find_tag_unsigned_vec::<u64>(tag).ok().flatten();
    let mut number = |tag| numbers(tag).and_then(|numbers| numbers.first().copied());
    let compression = number(Tag::Compression).unwrap_or(NONE);
    let is_lzw = compression == LZW;
    // The bits of a JPEG have an order of their own.
    let is_reversed = number(Tag::FillOrder) == Some(2) && !JPEGS.contains(&compression);
    let is_predicted = number(Tag::Predictor).is_some_and(|predictor| predictor != 1);
    let has_predictor = is_lzw || DEFLATE.contains(&compression);
    if !is_reversed && !is_lzw && (!is_predicted || has_predictor) {
        return Ok(None);
    }
    let lengths =
        chunk_lengths(&mut number).ok_or("damaged TIFF: its sizes do not fit together")?;
    let is_tiled = number(Tag::TileOffsets).is_some();
    let [offsets, counts] = if is_tiled {
        [Tag::TileOffsets, Tag::TileByteCounts]
    } else {
        [Tag::StripOffsets, Tag::StripByteCounts]
    };
    let places = numbers(offsets).unwrap_or_default().into_iter();
    let places = places.zip(numbers(counts).unwrap_or_default());

    let mut file = Directory::first(bytes).ok_or("damaged TIFF: it has no directory")?;
    let (mut starts, mut sizes) = (Vec::new(), Vec::new());
    for ((start, size), length) in places.zip(lengths) {
        let place =
            usize::try_from(start).ok().zip(usize::try_from(start.saturating_add(size)).ok());
        let chunk = place.and_then(|(start, end)| bytes.get(start..end));
        let chunk = chunk.ok_or("truncated TIFF: its pixels reach beyond its end")?;
        let mut chunk = Cow::Borrowed(chunk);
        if is_reversed {
            chunk.to_mut().iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        let too_large = "a TIFF whose tiles are too large to be read; convert it to PNG";
        if is_lzw {
            if length > MOST {
                return Err(too_large.into());
            }
            chunk = Cow::Owned(decompress(&chunk, length)?);
        }
        if file.bytes.len() - bytes.len() + chunk.len() > MOST {
            return Err(too_large.into());
        }
        starts.push(file.append(&chunk));
        sizes.push(chunk.len() as u64);
    }
    file.set(offsets, &starts);
    file.set(counts, &sizes);
    if is_lzw {
        // A predictor stays: the decoder applies it here, too.
        file.set(Tag::Compression, &[NONE]);
    }
    if !has_predictor {
        file.set(Tag::Predictor, &[1]);
    }
    Ok(Some(file.bytes))
}

/// Returns the number of bytes of each chunk, decompressed, without end. The channels lie beside each
/// other.
fn chunk_lengths(
    number: &mut dyn FnMut(Tag) -> Option<u64>,
) -> Option<Box<dyn Iterator<Item = usize>>> {
    let bits = number(Tag::BitsPerSample).unwrap_or(1) * number(Tag::SamplesPerPixel).unwrap_or(1);
    let height = number(Tag::ImageLength)?;
    let bytes = |width: u64, rows: u64| {
        let line = width.checked_mul(bits)?.div_ceil(8);
        line.checked_mul(rows).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    };
    if let Some(width) = number(Tag::TileWidth).filter(|_| number(Tag::TileOffsets).is_some()) {
        let tile = bytes(width, number(Tag::TileLength)?)?;
        return Some(Box::new(std::iter::repeat(tile)));
    }
    let width = number(Tag::ImageWidth)?;
    let rows = number(Tag::RowsPerStrip).unwrap_or(height).clamp(1, height.max(1));
    let [strip, last] = [bytes(width, rows)?, bytes(width, (height - 1) % rows + 1)?];
    let whole = usize::try_from((height - 1) / rows).ok()?;
    Some(Box::new(std::iter::repeat_n(strip, whole).chain([last])))
}

/// The first directory of a file that is being changed.
struct Directory {
    bytes: Vec<u8>,
    is_big_endian: bool,
    /// Whether the file is a BigTIFF, whose numbers have 64 bits instead of 32.
    is_large: bool,
    entries: Range<usize>,
}

impl Directory {
    fn first(bytes: &[u8]) -> Option<Self> {
        let is_big_endian = bytes.starts_with(b"MM");
        let is_large = bytes.get(2..4)?.contains(&43);
        let file = Self { bytes: bytes.to_vec(), is_big_endian, is_large, entries: 0..0 };
        let at = file.read(if is_large { 8..16 } else { 4..8 })?;
        let first = at.checked_add(if is_large { 8 } else { 2 })?;
        let count = file.read(at..first)?;
        let end = first.checked_add(count.checked_mul(file.entry_bytes())?)?;
        (end <= bytes.len()).then_some(Self { entries: first..end, ..file })
    }

    fn entry_bytes(&self) -> usize {
        if self.is_large { 20 } else { 12 }
    }

    fn read(&self, place: Range<usize>) -> Option<usize> {
        usize::try_from(unsigned(self.bytes.get(place)?, self.is_big_endian)).ok()
    }

    fn number(&self, number: u64, length: usize) -> Vec<u8> {
        if self.is_big_endian {
            number.to_be_bytes()[8 - length..].to_vec()
        } else {
            number.to_le_bytes()[..length].to_vec()
        }
    }

    /// Adds bytes behind the file and returns where they start.
    fn append(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let start = self.bytes.len() as u64;
        self.bytes.extend(bytes);
        start
    }

    /// Gives a tag that the directory has these values.
    fn set(&mut self, tag: Tag, values: &[u64]) {
        // Numbers, and thus a single value in an entry, have so many bytes.
        let (length, kind) = if self.is_large { (8, 16) } else { (4, 4) };
        let list: Vec<u8> = values.iter().flat_map(|&value| self.number(value, length)).collect();
        let value = match values {
            [_] => list,
            _ => {
                let start = self.append(&list);
                self.number(start, length)
            }
        };
        let wanted = self.number(tag.to_u16().into(), 2);
        let entry =
            [wanted.clone(), self.number(kind, 2), self.number(values.len() as u64, length), value]
                .concat();
        for at in self.entries.clone().step_by(self.entry_bytes()) {
            if self.bytes[at..at + 2] == wanted {
                self.bytes[at..at + entry.len()].copy_from_slice(&entry);
            }
        }
    }
}

const CLEAR: u32 = 256;
const END: u32 = 257;
/// The first code of a string of several bytes.
const STRINGS: u32 = 258;

/// Decompresses LZW (TIFF 6.0, section 13) to `length` bytes.
fn decompress(bytes: &[u8], length: usize) -> Result<Vec<u8>, String> {
    if let [0, second, ..] = bytes
        && second & 1 == 1
    {
        return Err("a TIFF with LZW of before 1988, which is not read; convert it to PNG".into());
    }
    let damaged = || "damaged TIFF: its LZW data hold a code without a meaning".to_owned();
    let mut out: Vec<u8> = Vec::new();
    // Where each string first occurs in the output: behind the string before, the first byte of
    // which follows there.
    let mut strings: Vec<Range<usize>> = Vec::new();
    let mut last: Option<Range<usize>> = None;
    let (mut held, mut bits, mut rest) = (0_u32, 0, bytes.iter());
    while out.len() < length {
        // The encoder widens its codes one code early.
        let next = STRINGS + strings.len() as u32;
        let width = (next + 1).ilog2().clamp(8, 11) + 1;
        while bits < width {
            let byte = rest.next().ok_or("truncated TIFF: its LZW data end before its pixels")?;
            (held, bits) = (held << 8 | u32::from(*byte), bits + 8);
        }
        bits -= width;
        let code = held >> bits & ((1 << width) - 1);
        match code {
            CLEAR => {
                strings.clear();
                last = None;
                continue;
            }
            END => return Err("truncated TIFF: its LZW data end before its pixels".into()),
            _ => {}
        }
        if let Some(last) = last
            && strings.len() < (1 << 12) - STRINGS as usize
        {
            strings.push(last.start..last.end + 1);
        }
        let start = out.len();
        if let Ok(byte) = u8::try_from(code) {
            out.push(byte);
        } else {
            let string = strings.get((code - STRINGS) as usize).cloned().ok_or_else(damaged)?;
            // The newest string ends with the byte that is written first here.
            for at in string {
                out.push(*out.get(at).ok_or_else(damaged)?);
            }
        }
        last = Some(start..out.len());
    }
    out.truncate(length);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tiff::encoder::compression::{CompressionAlgorithm, Lzw};
    use tiff::encoder::{Compression as Kind, TiffEncoder, colortype};

    use super::*;
    use crate::facts::Exif;
    use crate::target::Target;

    fn read(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let format = crate::signature::format(bytes)?;
        let facts = super::super::header(format, bytes)?;
        let size = facts.width.max(facts.height);
        // The source is larger, so that all of the image is kept.
        let target = Target { image: size, source: 2 * size, exif: Exif::Ignore };
        super::super::decode(bytes, &crate::target::Plan::new(facts, target))
            .map(|image| image.pixels.chunks(3).map(|pixel| pixel[0]).collect())
    }

    fn noise(count: usize) -> Vec<u8> {
        (0..count as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 27) as u8 * 5).collect()
    }

    type Entry = (u16, Vec<u64>);

    /// Writes a TIFF with these tags, and the chunks that `places` (the tags of offsets and sizes)
    /// name.
    fn written(is_big_endian: bool, is_large: bool, tags: &[Entry], chunks: &[Vec<u8>]) -> Vec<u8> {
        let places = if tags.iter().any(|(tag, _)| *tag == 322) { [324, 325] } else { [273, 279] };
        let mut tags = tags.to_vec();
        tags.extend(places.map(|tag| (tag, Vec::new())));
        tags.sort();
        let mut bytes = if is_big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        let (length, first) = if is_large { (8, 16) } else { (4, 8) };
        let mut file = Directory { bytes: Vec::new(), is_big_endian, is_large, entries: 0..0 };
        bytes.extend(file.number(if is_large { 43 } else { 42 }, 2));
        if is_large {
            bytes.extend([file.number(8, 2), file.number(0, 2)].concat());
        }
        bytes.extend(file.number(first, length));
        bytes.extend(file.number(tags.len() as u64, if is_large { 8 } else { 2 }));
        let start = bytes.len();
        for (tag, _) in &tags {
            bytes.extend(file.number((*tag).into(), 2));
            bytes.resize(bytes.len() + file.entry_bytes() - 2, 0);
        }
        file.entries = start..bytes.len();
        bytes.extend(file.number(0, length));
        file.bytes = bytes;
        let starts: Vec<u64> = chunks.iter().map(|chunk| file.append(chunk)).collect();
        let sizes: Vec<u64> = chunks.iter().map(|chunk| chunk.len() as u64).collect();
        for (tag, values) in &tags {
            let values = match tag {
                273 | 324 => &starts,
                279 | 325 => &sizes,
                _ => values,
            };
            file.set(Tag::from_u16_exhaustive(*tag), values);
        }
        file.bytes
    }

    fn grey(width: u64, height: u64, further: &[(u16, u64)]) -> Vec<Entry> {
        let usual = [(256, width), (257, height), (258, 8), (262, 1), (277, 1)];
        usual.iter().chain(further).map(|&(tag, value)| (tag, vec![value])).collect()
    }

    fn reversed(bytes: &[u8]) -> Vec<u8> {
        bytes.iter().map(|byte| byte.reverse_bits()).collect()
    }

    fn lzw(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Lzw.write_to(&mut out, bytes).unwrap();
        out
    }

    #[test]
    fn bits_in_the_order_of_a_fax_are_read() {
        let pixels = noise(29 * 22);
        for (is_big_endian, is_large) in
            [(false, false), (true, false), (false, true), (true, true)]
        {
            for rows in [22, 5] {
                let tags = grey(29, 22, &[(266, 2), (278, rows)]);
                let strips: Vec<Vec<u8>> =
                    pixels.chunks(29 * rows as usize).map(reversed).collect();
                let file = written(is_big_endian, is_large, &tags, &strips);
                assert!(read(&file).as_ref() == Ok(&pixels), "{rows} rows");
                let strips: Vec<Vec<u8>> =
                    pixels.chunks(29 * rows as usize).map(|strip| reversed(&lzw(strip))).collect();
                let tags = grey(29, 22, &[(259, 5), (266, 2), (278, rows)]);
                let file = written(is_big_endian, is_large, &tags, &strips);
                assert!(read(&file).as_ref() == Ok(&pixels), "{rows} rows");
            }
        }
        // One bit a pixel: the first pixel is the lowest bit.
        let tags: Vec<Entry> = [(256, 9), (257, 3), (258, 1), (262, 1), (266, 2), (278, 3)]
            .map(|(tag, value)| (tag, vec![value]))
            .to_vec();
        let file = written(false, false, &tags, &[[0b0000_0101, 1].repeat(3)]);
        assert_eq!(read(&file), Ok([255, 0, 255, 0, 0, 0, 0, 0, 255].repeat(3)));
    }

    #[test]
    fn a_predictor_is_for_lzw_and_deflate_only() {
        let pixels = noise(29 * 22);
        let differences: Vec<u8> = pixels
            .chunks(29)
            .flat_map(|row| {
                (0..29).map(|at| row[at].wrapping_sub(if at > 0 { row[at - 1] } else { 0 }))
            })
            .collect();
        let packed: Vec<u8> = pixels.chunks(29).flat_map(|row| [&[28], row].concat()).collect();
        let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut deflated, &differences).unwrap();
        let deflated = deflated.finish().unwrap();
        for (compression, chunk) in
            [(1, pixels.clone()), (32_773, packed), (5, lzw(&differences)), (8, deflated)]
        {
            let tags = grey(29, 22, &[(259, compression), (278, 22), (317, 2)]);
            let found = read(&written(false, false, &tags, &[chunk]));
            assert!(found.as_ref() == Ok(&pixels), "compression {compression}");
        }
    }

    #[test]
    fn lzw_tiles_of_every_size_are_read() {
        for (width, height, tile) in
            [(50, 40, 16), (50, 40, 32), (40, 50, 64), (300, 210, 128), (28, 7, 48)]
        {
            let pixels = noise(width * height);
            let mut chunks = Vec::new();
            for top in (0..height).step_by(tile) {
                for left in (0..width).step_by(tile) {
                    let pixel = |at: usize| {
                        let (row, column) = (top + at / tile, left + at % tile);
                        let inside = row < height && column < width;
                        if inside { pixels[row * width + column] } else { 0 }
                    };
                    chunks.push(lzw(&(0..tile * tile).map(pixel).collect::<Vec<u8>>()));
                }
            }
            let tile = tile as u64;
            let tags = grey(width as u64, height as u64, &[(259, 5), (322, tile), (323, tile)]);
            let found = read(&written(false, false, &tags, &chunks));
            assert!(found.as_ref() == Ok(&pixels), "{width}x{height} in tiles of {tile}");
        }
    }

    #[test]
    fn lzw_of_all_kinds_of_data_comes_back_and_damage_is_an_error() {
        for count in [0, 1, 2, 300, 5000, 40_000] {
            for data in
                [noise(count), vec![7; count], (0..count).map(|at| (at * at / 97) as u8).collect()]
            {
                let packed = lzw(&data);
                assert!(decompress(&packed, count).as_ref() == Ok(&data), "{count}");
                if count > 0 {
                    let cut = decompress(&packed[..packed.len() / 2], count).unwrap_err();
                    assert!(cut.contains("truncated"), "{cut}");
                    assert!(decompress(&packed, count + 1).unwrap_err().contains("truncated"));
                }
            }
        }
        assert!(decompress(&[0, 1, 2, 3], 4).unwrap_err().contains("1988"));
        // 256, then a code that is not defined yet.
        assert!(
            decompress(&[0x80, 0x7f, 0xff, 0xff], 4).unwrap_err().contains("without a meaning")
        );
    }

    #[test]
    fn chunks_beyond_the_end_and_other_inks_are_named() {
        let tags = grey(29, 22, &[(266, 2), (278, 22)]);
        let file = written(false, false, &tags, &[noise(29 * 22)]);
        assert!(read(&file[..file.len() - 40]).unwrap_err().contains("truncated"));
        let mut bytes = Vec::new();
        let mut encoder =
            TiffEncoder::new(Cursor::new(&mut bytes)).unwrap().with_compression(Kind::Uncompressed);
        let mut image = encoder.new_image::<colortype::CMYK8>(5, 3).unwrap();
        image.encoder().write_tag(Tag::Unknown(super::super::INK_SET), 2_u16).unwrap();
        image.write_data(&noise(60)).unwrap();
        assert!(read(&bytes).unwrap_err().contains("inks"));
    }
}
