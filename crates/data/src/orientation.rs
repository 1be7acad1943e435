//! The note in an image file about how it must be turned, wherever programs write it: EXIF, the raw
//! profiles of ImageMagick, XMP.

use std::io::Read;

/// Largest text chunk of a PNG that is decompressed, in bytes.
const MAX_TEXT: u64 = 4 << 20;

const ORIENTATION: u16 = 0x112;
/// The number of pictures, in the index of a JPEG with several (CIPA DC-007).
const PICTURES: u16 = 0xb001;

/// Returns the orientation that a file's EXIF data or, where they say nothing of it, its XMP notes.
/// Without a note, an image is upright.
pub(crate) fn noted(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> u8 {
    exif.and_then(of_exif).or_else(|| xmp.and_then(of_xmp)).unwrap_or(1)
}

/// Finds the orientation, 1 to 8, in a block of EXIF data.
pub(crate) fn of_exif(block: &[u8]) -> Option<u8> {
    // Some programs write a JPEG's mark before the blocks of other formats, too.
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    valid(number(block, ORIENTATION)?)
}

/// Returns the number as an orientation, if it is one.
pub(crate) fn valid(number: u32) -> Option<u8> {
    u8::try_from(number).ok().filter(|number| (1..=8).contains(number))
}

/// Returns the number of pictures that the index of a JPEG lists.
pub(crate) fn pictures(index: &[u8]) -> Option<u32> {
    number(index, PICTURES)
}

/// Reads a whole number from the first directory of a block that is laid out as a TIFF.
fn number(block: &[u8], tag: u16) -> Option<u32> {
    let is_big_endian = match block.first_chunk()? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let read = |at: usize, length: usize| {
        let bytes = block.get(at..at.checked_add(length)?)?;
        // No number here has more than 4 bytes.
        Some(unsigned(bytes, is_big_endian) as u32)
    };
    let directory = read(4, 4)? as usize;
    let entries = (0..read(directory, 2)? as usize).map(|entry| directory + 2 + entry * 12);
    for at in entries {
        if read(at, 2)? == u32::from(tag) {
            let length = match read(at + 2, 2)? {
                1 => 1,
                3 => 2,
                4 => 4,
                _ => return None,
            };
            return (read(at + 4, 4)? == 1).then(|| read(at + 8, length))?;
        }
    }
    None
}

/// Returns the number that at most 8 bytes stand for.
pub(crate) fn unsigned(bytes: &[u8], is_big_endian: bool) -> u64 {
    let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    if is_big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
}

/// Finds the orientation in a packet of XMP: an attribute or an element `tiff:Orientation`.
pub(crate) fn of_xmp(packet: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    let at = packet.windows(NAME.len()).position(|window| window == NAME)?;
    match packet[at + NAME.len()..].trim_ascii_start() {
        [b'>', rest @ ..] => digit(rest),
        [b'=', rest @ ..] => match rest.trim_ascii_start() {
            [b'"' | b'\'', rest @ ..] => digit(rest),
            _ => None,
        },
        _ => None,
    }
}

fn digit(text: &[u8]) -> Option<u8> {
    match text.trim_ascii_start() {
        [_, b'0'..=b'9', ..] => None,
        [digit @ b'1'..=b'8', ..] => Some(digit - b'0'),
        _ => None,
    }
}

/// Finds the orientation in a text chunk of a PNG. `name` is the chunk's.
pub(crate) fn of_png_text(name: [u8; 4], chunk: &[u8]) -> Option<u8> {
    let at = chunk.iter().position(|&byte| byte == 0)?;
    let (keyword, rest) = (&chunk[..at], &chunk[at + 1..]);
    let is_profile = [&b"Raw profile type exif"[..], b"Raw profile type APP1"].contains(&keyword);
    if !is_profile && keyword != b"XML:com.adobe.xmp" && keyword != b"Raw profile type xmp" {
        return None;
    }
    let text = match (&name, rest) {
        (b"tEXt", text) => text.to_vec(),
        (b"zTXt", [0, packed @ ..]) => unpacked(packed)?,
        (b"iTXt", [is_packed, _, rest @ ..]) => {
            // The language and the translated keyword come before the text.
            let mut parts = rest.splitn(3, |&byte| byte == 0);
            let text = parts.nth(2)?;
            if *is_packed == 1 { unpacked(text)? } else { text.to_vec() }
        }
        _ => return None,
    };
    if keyword.starts_with(b"XML") {
        return of_xmp(&text);
    }
    let profile = raw_profile(&text)?;
    if is_profile { of_exif(&profile).or_else(|| of_xmp(&profile)) } else { of_xmp(&profile) }
}

fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    flate2::read::ZlibDecoder::new(packed).take(MAX_TEXT).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Reads a profile as ImageMagick writes it: its kind, its length, and its bytes as hexadecimal
/// digits, in lines.
fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (_kind, _length) = (words.next()?, words.next()?);
    hex::decode(words.collect::<Vec<_>>().concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block with one entry of this type and value.
    fn block(kind: u8, value: &[u8; 4]) -> Vec<u8> {
        [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0", &[kind][..], b"\0\0\0\x01", value, b"\0\0\0\0"]
            .concat()
    }

    #[test]
    fn numbers_of_every_type_are_read_and_others_are_not() {
        for (kind, value, wanted) in [
            (3, [0, 6, 0, 0], Some(6)),
            (4, [0, 0, 0, 6], Some(6)),
            (1, [6, 0, 0, 0], Some(6)),
            (2, [6, 0, 0, 0], None),
            (3, [0, 0, 0, 0], None),
            (3, [0, 9, 0, 0], None),
            (4, [1, 0, 0, 6], None),
        ] {
            assert_eq!(of_exif(&block(kind, &value)), wanted, "{kind} {value:?}");
        }
        let sound = block(3, &[0, 6, 0, 0]);
        for length in 0..sound.len() - 6 {
            assert_eq!(of_exif(&sound[..length]), None);
        }
        let little = b"II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0";
        assert_eq!(of_exif(&[b"Exif\0\0", &little[..]].concat()), Some(8));
        assert_eq!(of_exif(b"II*\0\xff\xff\xff\xff"), None);
    }

    #[test]
    fn xmp_is_read_as_attribute_and_element() {
        for (packet, wanted) in [
            (&b"<rdf:Description tiff:Orientation=\"6\"/>"[..], Some(6)),
            (b"<rdf:Description tiff:Orientation = '8' />", Some(8)),
            (b"<tiff:Orientation> 3 </tiff:Orientation>", Some(3)),
            (b"<tiff:Orientation>12</tiff:Orientation>", None),
            (b"tiff:Orientation=\"9\"", None),
            (b"tiff:Orientation", None),
            (b"", None),
        ] {
            assert_eq!(of_xmp(packet), wanted);
        }
    }

    #[test]
    fn texts_of_a_png_are_read_packed_and_plain() {
        let packed = |text: &[u8]| {
            let mut encoder =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            std::io::Write::write_all(&mut encoder, text).unwrap();
            encoder.finish().unwrap()
        };
        let exif = [b"Exif\0\0", &block(3, &[0, 6, 0, 0])[..]].concat();
        let digits = hex::encode(&exif);
        let (first, second) = digits.split_at(20);
        let profile = format!("\nexif\n      {}\n{first}\n{second}\n", exif.len()).into_bytes();
        let key = b"Raw profile type exif\0";
        let xmp = b"<x tiff:Orientation=\"6\"/>";
        for (name, chunk) in [
            (*b"tEXt", [key, &profile[..]].concat()),
            (*b"zTXt", [key, &b"\0"[..], &packed(&profile)].concat()),
            (*b"iTXt", [key, &b"\x01\0\0\0"[..], &packed(&profile)].concat()),
            (*b"iTXt", [b"XML:com.adobe.xmp\0\0\0en\0\0", &xmp[..]].concat()),
        ] {
            assert_eq!(of_png_text(name, &chunk), Some(6));
            for length in 0..chunk.len() {
                let _ = of_png_text(name, &chunk[..length]);
            }
        }
        assert_eq!(of_png_text(*b"tEXt", &[b"Comment\0", &profile[..]].concat()), None);
    }
}
