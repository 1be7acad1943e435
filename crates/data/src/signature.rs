//! Recognises files by their first bytes, whatever they are called.

use crate::facts::Format;

/// Returns the format of an image file. An error names what the file is instead, and what to do.
pub(crate) fn format(bytes: &[u8]) -> Result<Format, String> {
    match bytes {
        [] => Err("the file is empty".into()),
        [0xff, 0xd8, 0xff, ..] => Ok(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', rest @ ..] => match rest.get(4..8) {
            Some(b"CgBI") => Err(other("a PNG in Apple's own form (CgBI)", true)),
            _ => Ok(Format::Png),
        },
        // The size of the header, and the compression.
        [b'B', b'M', ..] if bytes.get(14..18) == Some(&[64, 0, 0, 0]) => {
            Err(other("a BMP of OS/2", true))
        }
        [b'B', b'M', ..]
            if matches!(bytes.get(14..18), Some([40..=124, 0, 0, 0]))
                && matches!(bytes.get(30..34), Some([4 | 5, 0, 0, 0])) =>
        {
            Err(other("a BMP around a JPEG or PNG", true))
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::WebP),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Format::Gif),
        [b'B', b'M', ..]
            if matches!(bytes.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 108 | 124, 0, 0, 0])) =>
        {
            Ok(Format::Bmp)
        }
        [b'I', b'I', 42, 0, _, _, _, _, b'C', b'R', ..] => Err(other("a camera's raw file", true)),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Format::Tiff),
        [b'P', b'1'..=b'7', b'\n' | b'\r' | b' ' | b'\t' | b'#', ..] => Ok(Format::Pnm),
        _ => Err(name(bytes).unwrap_or_else(|| {
            "its first bytes are those of no JPEG, PNG, WebP, BMP, GIF, TIFF or PNM".into()
        })),
    }
}

fn other(what: &str, is_image: bool) -> String {
    if is_image {
        format!("it is {what}, which is not read; convert it to PNG or JPEG")
    } else {
        format!("it is {what}, not an image")
    }
}

/// Names a file of another kind that people take for an image.
fn name(bytes: &[u8]) -> Option<String> {
    const BOX: &[u8] = &[0, 0, 0, 12];
    let starts: [(&[u8], &str, bool); 22] = [
        (b"\xff\x0a", "JPEG XL", true),
        (&[BOX, b"JXL "].concat(), "JPEG XL", true),
        (&[BOX, b"jP  "].concat(), "JPEG 2000", true),
        (b"\xff\x4f\xff\x51", "JPEG 2000", true),
        (b"8BPS", "a Photoshop file", true),
        (b"\0\0\x01\0", "an icon", true),
        (b"v/1\x01", "OpenEXR", true),
        (b"#?RADIANCE", "Radiance HDR", true),
        (b"DDS ", "DDS", true),
        (b"qoif", "QOI", true),
        (b"FUJIFILMCCD-RAW", "a camera's raw file", true),
        (b"IIRO", "a camera's raw file", true),
        (b"IIRS", "a camera's raw file", true),
        (b"IIU\0", "a camera's raw file", true),
        (b"SIMPLE  =", "FITS", true),
        (b"\x89HDF", "HDF5", false),
        (b"%PDF", "PDF", true),
        (b"%!PS", "PostScript", true),
        (b"\x1f\x8b", "gzipped", false),
        (b"PK\x03\x04", "a ZIP archive", false),
        (b"\x93NUMPY", "a NumPy array", false),
        (
            b"version https://git-lfs",
            "a pointer of Git LFS (fetch the file by `git lfs pull`)",
            false,
        ),
    ];
    if let Some((_, what, is_image)) = starts.iter().find(|(start, ..)| bytes.starts_with(start)) {
        return Some(other(what, *is_image));
    }
    if let [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] = bytes {
        let what = match brand.first_chunk()? {
            b"avif" | b"avis" => "AVIF",
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => "HEIC",
            b"crx " => "a camera's raw file",
            _ => return Some(other("a film", false)),
        };
        return Some(other(what, true));
    }
    if bytes.get(128..132) == Some(b"DICM") {
        return Some(other("DICOM", true));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let lower = text[..text.len().min(200)].to_ascii_lowercase();
    if lower.starts_with(b"<!doctype html") || lower.starts_with(b"<html") {
        return Some(other("a web page, as when a download failed", false));
    }
    let is_svg = lower.starts_with(b"<svg")
        || (lower.starts_with(b"<?xml") && text.windows(4).take(2000).any(|part| part == b"<svg"));
    is_svg.then(|| other("SVG", true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_are_named_with_what_to_do() {
        let bmp = |header: u8, compression: u8| {
            let mut bytes = b"BM".to_vec();
            bytes.resize(60, 0);
            (bytes[14], bytes[30]) = (header, compression);
            bytes
        };
        assert_eq!(format(&bmp(40, 0)), Ok(Format::Bmp));
        let [os2, jpeg, png] = [bmp(64, 0), bmp(40, 4), bmp(124, 5)];
        let files: [(&[u8], &str); 18] = [
            (b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI", "Apple"),
            (&os2, "OS/2"),
            (&jpeg, "around a JPEG"),
            (&png, "around a JPEG"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIC"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
            (b"\xff\x0a\x10", "JPEG XL"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
            (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg/>", "SVG"),
            (b"%PDF-1.4", "PDF"),
            (b"8BPS\0\x01", "Photoshop"),
            (b"II*\0\x10\0\0\0CR\x02\0", "raw file"),
            (b"FUJIFILMCCD-RAW 0201", "raw file"),
            (b"v/1\x01", "OpenEXR"),
            (b"\0\0\x01\0\x01\0", "icon"),
        ];
        for (bytes, what) in files {
            let cause = format(bytes).unwrap_err();
            assert!(cause.contains(what) && cause.contains("convert it"), "{what}: {cause}");
        }
        let others: [(&[u8], &str); 6] = [
            (b"\n<!DOCTYPE html><html>", "web page"),
            (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
            (b"\x1f\x8b\x08", "gzipped"),
            (b"\0\0\0\x18ftypisom\0\0\0\0", "film"),
            (b"no image", "first bytes"),
            (b"", "empty"),
        ];
        for (bytes, what) in others {
            let cause = format(bytes).unwrap_err();
            assert!(cause.contains(what) && !cause.contains("convert"), "{what}: {cause}");
        }
    }
}
