//! Encoded bytes → RGB, checked before memory is taken and complete or refused.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// The longest side that is decoded, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// The largest image that is decoded, in pixels.
pub const MAX_PIXELS: u64 = 64_000_000;
/// The largest encoded image that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 512 << 20;

/// Images above this many pixels are decoded one at a time, so that many cores do not need many times their memory.
const LARGE_PIXELS: u64 = 16_000_000;
static LARGE: Mutex<()> = Mutex::new(());

/// 8-bit RGB, rows from the top, channels interleaved.
pub(crate) struct RgbImage {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<u8>,
}

/// Decodes a JPEG, PNG or WebP, told apart by its first bytes. Grey is replicated, 16 bits lose their lower byte,
/// transparency is dropped.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    guarded(|| {
        let (width, height) = dimensions(bytes)?;
        let large = u64::from(width) * u64::from(height) > LARGE_PIXELS;
        let _turn = large.then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner));
        let pixels = match format(bytes)? {
            Format::Jpeg => jpeg(bytes)?,
            Format::Png => png(bytes)?,
            Format::WebP => webp(bytes)?,
        };
        if pixels.len() as u64 != u64::from(width) * u64::from(height) * 3 {
            return Err("the decoded image has another size than its header says".into());
        }
        Ok(RgbImage { width, height, pixels })
    })
}

/// Width and height from the header alone, checked against [`MAX_SIDE`] and [`MAX_PIXELS`].
pub(crate) fn dimensions(bytes: &[u8]) -> Result<(u32, u32), String> {
    let (width, height) = guarded(|| match format(bytes)? {
        Format::Jpeg => {
            let mut decoder = jpeg_decoder(bytes);
            decoder.decode_headers().map_err(|error| format!("damaged JPEG: {error:?}"))?;
            let info = decoder.info().ok_or("damaged JPEG: no size")?;
            Ok((u32::from(info.width), u32::from(info.height)))
        }
        Format::Png => {
            let mut decoder = png_decoder(bytes);
            let header = decoder.read_header_info().map_err(|error| format!("damaged PNG: {error}"))?;
            Ok((header.width, header.height))
        }
        Format::WebP => Ok(webp_decoder(bytes)?.dimensions()),
    })?;
    if width == 0 || height == 0 {
        return Err(format!("an image of {width}x{height} has no pixels"));
    }
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!(
            "{width}x{height} is too large: at most {MAX_SIDE} pixels a side and {} megapixels are read",
            MAX_PIXELS / 1_000_000
        ));
    }
    Ok((width, height))
}

/// Brings the shorter side of `image` to `size` and the central square of that to `out`, with Pillow's antialiased
/// bilinear filter, whose support grows with the reduction. An image that has the size already is copied.
pub(crate) fn fit(image: &RgbImage, size: u32, out: &mut [u8]) -> Result<(), String> {
    if (image.width, image.height) == (size, size) {
        out.copy_from_slice(&image.pixels);
        return Ok(());
    }
    let side = image.width.min(image.height);
    let (left, top) = ((image.width - side) / 2, (image.height - side) / 2);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).crop(
        left.into(),
        top.into(),
        side.into(),
        side.into(),
    );
    let source = ImageRef::new(image.width, image.height, &image.pixels, PixelType::U8x3);
    let source = source.map_err(|error| format!("cannot be resized: {error}"))?;
    let target = Image::from_slice_u8(size, size, out, PixelType::U8x3);
    let mut target = target.map_err(|error| format!("cannot be resized: {error}"))?;
    Resizer::new().resize(&source, &mut target, &options).map_err(|error| format!("cannot be resized: {error}"))
}

enum Format {
    Jpeg,
    Png,
    WebP,
}

fn format(bytes: &[u8]) -> Result<Format, String> {
    match bytes {
        [] => Err("the file is empty".into()),
        [0xff, 0xd8, 0xff, ..] => Ok(Format::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Format::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::WebP),
        _ => Err("its first bytes are those of no JPEG, PNG or WebP".into()),
    }
}

/// A decoder that panics over a damaged file must not take the whole run with it.
fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err("damaged: the decoder gave up on it".into()))
}

fn jpeg_decoder(bytes: &[u8]) -> JpegDecoder<ZCursor<&[u8]>> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

fn jpeg(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let bytes = jpeg_with_sentinel(bytes)?;
    jpeg_decoder(&bytes).decode().map_err(|error| format!("damaged JPEG: {error:?}"))
}

/// The JPEG up to its end-of-image marker, with a run of one bits before the marker.
///
/// Decoders fill what is missing before an early end-of-image marker with grey, without a word. No JPEG code word
/// consists of ones only (ITU-T T.81, C.2), so a decoder that still wants data there meets an invalid code and says
/// so, while one that is done passes over the run as over the usual padding.
fn jpeg_with_sentinel(bytes: &[u8]) -> Result<Vec<u8>, String> {
    const CUT: &str = "truncated JPEG: it ends before its end-of-image marker";
    let byte = |at: usize| bytes.get(at).copied().ok_or(CUT);
    let (mut at, mut scans, mut progressive) = (2, 0, false);
    let end = loop {
        while byte(at)? != 0xff {
            at += 1;
        }
        let marker_at = at;
        while byte(at)? == 0xff {
            at += 1;
        }
        let marker = byte(at)?;
        at += 1;
        match marker {
            0xd9 => break marker_at,
            // A stuffed 0xff inside a scan, restarts, and markers without a length.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                at += usize::from(u16::from_be_bytes([byte(at)?, byte(at + 1)?])).max(2);
                scans += usize::from(marker == 0xda);
                progressive |= marker == 0xc2;
            }
        }
    };
    let mut complete = bytes[..end].to_vec();
    // The decoder wants the first scan of a progressive file to end exactly at its marker.
    if !progressive || scans > 1 {
        complete.extend([0xff, 0x00].repeat(16));
    }
    complete.extend([0xff, 0xd9]);
    Ok(complete)
}

fn png_decoder(bytes: &[u8]) -> png::Decoder<Cursor<&[u8]>> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: 64 << 20 });
    decoder.ignore_checksums(false);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    decoder
}

fn png(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let damaged = |error: png::DecodingError| format!("damaged PNG: {error}");
    let mut reader = png_decoder(bytes).read_info().map_err(damaged)?;
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("too large a PNG for this machine")?];
    let frame = reader.next_frame(&mut pixels).map_err(damaged)?;
    reader.finish().map_err(damaged)?;
    pixels.truncate(frame.buffer_size());
    Ok(match frame.color_type {
        png::ColorType::Grayscale => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        png::ColorType::GrayscaleAlpha => pixels.chunks_exact(2).flat_map(|pixel| [pixel[0]; 3]).collect(),
        png::ColorType::Rgba => without_alpha(&pixels),
        png::ColorType::Rgb => pixels,
        png::ColorType::Indexed => return Err("damaged PNG: its palette was not applied".into()),
    })
}

fn webp_decoder(bytes: &[u8]) -> Result<image_webp::WebPDecoder<Cursor<&[u8]>>, String> {
    // The length in the header, padded to even, is the whole file's but for the header's own 8 bytes.
    let length = u64::from(u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])) + 8;
    if length > bytes.len() as u64 {
        return Err(format!("truncated WebP: {} of {length} bytes", bytes.len()));
    }
    image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(|error| format!("damaged WebP: {error}"))
}

fn webp(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoder = webp_decoder(bytes)?;
    let mut pixels = vec![0; decoder.output_buffer_size().ok_or("too large a WebP for this machine")?];
    decoder.read_image(&mut pixels).map_err(|error| format!("damaged WebP: {error}"))?;
    Ok(if decoder.has_alpha() { without_alpha(&pixels) } else { pixels })
}

fn without_alpha(pixels: &[u8]) -> Vec<u8> {
    pixels.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}

#[cfg(test)]
mod tests {
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

    use super::*;

    const SIDE: (usize, usize) = (37, 21);

    /// Smooth in large and rough in small, so that every part of the encoded file matters.
    fn picture(channels: usize) -> Vec<u8> {
        let (width, height) = SIDE;
        (0..width * height * channels).map(|at| ((at * 7) ^ ((at / width) * 5) ^ (at * at / 31)) as u8).collect()
    }

    fn encode_jpeg(configure: impl FnOnce(&mut Encoder<&mut Vec<u8>>), colour: ColorType, channels: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 80);
        configure(&mut encoder);
        encoder.encode(&picture(channels), SIDE.0 as u16, SIDE.1 as u16, colour).unwrap();
        bytes
    }

    fn encode_png(colour: png::ColorType, depth: png::BitDepth, channels: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, SIDE.0 as u32, SIDE.1 as u32);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        let bytes_a_channel = if depth == png::BitDepth::Sixteen { 2 } else { 1 };
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&picture(channels * bytes_a_channel)).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn encode_webp(colour: image_webp::ColorType, channels: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = image_webp::WebPEncoder::new(&mut bytes);
        encoder.encode(&picture(channels), SIDE.0 as u32, SIDE.1 as u32, colour).unwrap();
        bytes
    }

    /// A 24x16 lossy WebP (tests/fixtures/make.py).
    const LOSSY_WEBP: &[u8] = include_bytes!("../tests/fixtures/lossy.webp");

    fn jpegs() -> Vec<(&'static str, Vec<u8>)> {
        let rgb = |configure: fn(&mut Encoder<&mut Vec<u8>>)| encode_jpeg(configure, ColorType::Rgb, 3);
        vec![
            ("baseline", rgb(|_| {})),
            ("subsampled", rgb(|encoder| encoder.set_sampling_factor(SamplingFactor::F_2_2))),
            ("restarts", rgb(|encoder| encoder.set_restart_interval(3))),
            ("restart at the end", rgb(|encoder| encoder.set_restart_interval(5))),
            ("progressive", rgb(|encoder| encoder.set_progressive(true))),
            ("own tables", rgb(|encoder| encoder.set_optimized_huffman_tables(true))),
            ("grey", encode_jpeg(|_| {}, ColorType::Luma, 1)),
        ]
    }

    fn all() -> Vec<(&'static str, Vec<u8>)> {
        let mut files = jpegs();
        files.push(("png", encode_png(png::ColorType::Rgb, png::BitDepth::Eight, 3)));
        files.push(("grey png", encode_png(png::ColorType::Grayscale, png::BitDepth::Eight, 1)));
        files.push(("webp", encode_webp(image_webp::ColorType::Rgb8, 3)));
        files.push(("webp with alpha", encode_webp(image_webp::ColorType::Rgba8, 4)));
        files.push(("lossy webp", LOSSY_WEBP.to_vec()));
        files
    }

    fn pixels(bytes: &[u8]) -> Result<Vec<u8>, String> {
        decode(bytes).map(|image| image.pixels)
    }

    #[test]
    fn lossless_formats_give_the_pixels_and_lose_only_what_they_should() {
        let rgb = picture(3);
        assert_eq!(pixels(&encode_png(png::ColorType::Rgb, png::BitDepth::Eight, 3)).unwrap(), rgb);
        assert_eq!(pixels(&encode_webp(image_webp::ColorType::Rgb8, 3)).unwrap(), rgb);

        let without_fourth: Vec<u8> = picture(4).chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
        assert_eq!(pixels(&encode_png(png::ColorType::Rgba, png::BitDepth::Eight, 4)).unwrap(), without_fourth);
        assert_eq!(pixels(&encode_webp(image_webp::ColorType::Rgba8, 4)).unwrap(), without_fourth);

        let replicated: Vec<u8> = picture(1).iter().flat_map(|&grey| [grey; 3]).collect();
        assert_eq!(pixels(&encode_png(png::ColorType::Grayscale, png::BitDepth::Eight, 1)).unwrap(), replicated);

        let upper: Vec<u8> = picture(6).chunks(2).map(|sample| sample[0]).collect();
        assert_eq!(pixels(&encode_png(png::ColorType::Rgb, png::BitDepth::Sixteen, 3)).unwrap(), upper);
    }

    #[test]
    fn jpegs_of_every_kind_come_near_their_picture() {
        let smooth: Vec<u8> = (0..SIDE.1).flat_map(|y| (0..SIDE.0).map(move |x| (x * 3 + y * 4) as u8)).collect();
        for progressive in [false, true] {
            for interval in [0, 1, 5] {
                let mut bytes = Vec::new();
                let mut encoder = Encoder::new(&mut bytes, 95);
                encoder.set_progressive(progressive);
                encoder.set_restart_interval(interval);
                encoder.encode(&smooth, SIDE.0 as u16, SIDE.1 as u16, ColorType::Luma).unwrap();
                let decoded = pixels(&bytes).unwrap();
                for (pixel, &wanted) in decoded.chunks(3).zip(&smooth) {
                    assert!(pixel[0] == pixel[1] && pixel[1] == pixel[2]);
                    // Quality 95 quantises the coefficients of such a ramp by at most 5 steps each.
                    assert!(pixel[0].abs_diff(wanted) <= 6, "{} for {wanted}", pixel[0]);
                }
            }
        }
    }

    #[test]
    fn flat_jpegs_with_hardly_any_data_are_complete() {
        for size in [1u16, 7, 8, 9, 64] {
            for progressive in [false, true] {
                let mut bytes = Vec::new();
                let mut encoder = Encoder::new(&mut bytes, 90);
                encoder.set_progressive(progressive);
                encoder.encode(&vec![128; usize::from(size).pow(2) * 3], size, size, ColorType::Rgb).unwrap();
                assert!(pixels(&bytes).unwrap().iter().all(|&value| value.abs_diff(128) <= 1));
            }
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_or_the_same_image() {
        for (name, bytes) in all() {
            let whole = pixels(&bytes).unwrap_or_else(|cause| panic!("{name}: {cause}"));
            for length in 0..bytes.len() {
                if let Ok(cut) = pixels(&bytes[..length]) {
                    assert!(cut == whole, "{name} cut to {length} of {} bytes is another image", bytes.len());
                    assert!(length + 16 > bytes.len(), "{name} cut to {length} of {} bytes", bytes.len());
                }
            }
        }
    }

    #[test]
    fn a_jpeg_closed_too_early_is_an_error_not_grey() {
        for (name, bytes) in jpegs().into_iter().filter(|(name, _)| *name != "progressive") {
            let whole = pixels(&bytes).unwrap();
            let scan = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap() + 14;
            for length in scan..bytes.len() - 2 {
                // Not in the middle of a marker or a stuffed byte.
                if bytes[length - 1] == 0xff {
                    continue;
                }
                let closed = [&bytes[..length], &[0xff, 0xd9]].concat();
                if let Ok(image) = pixels(&closed) {
                    assert!(image == whole, "{name} closed at {length} of {} is another image", bytes.len());
                }
            }
        }
    }

    #[test]
    fn bytes_after_the_end_do_not_matter() {
        for (name, mut bytes) in all() {
            let whole = pixels(&bytes).unwrap();
            bytes.extend(b"\xff\xd8 trailing \xff\xd9");
            assert_eq!(pixels(&bytes).as_ref(), Ok(&whole), "{name}");
        }
    }

    #[test]
    fn every_flipped_bit_of_png_data_is_noticed() {
        let bytes = encode_png(png::ColorType::Rgb, png::BitDepth::Eight, 3);
        let whole = pixels(&bytes).unwrap();
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert!(
                pixels(&flipped).is_err_and(|cause| !cause.is_empty()) || pixels(&flipped).unwrap() == whole,
                "{at}"
            );
        }
    }

    #[test]
    fn enormous_headers_are_refused_by_their_size() {
        let mut png = encode_png(png::ColorType::Rgb, png::BitDepth::Eight, 3);
        png[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        let crc = crc(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(decode(&png).is_err_and(|cause| cause.contains("too large")));

        let mut jpeg = jpegs().remove(0).1;
        let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
        assert!(decode(&jpeg).is_err_and(|cause| cause.contains("too large")));
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0x3f, 0xff, 0x3f, 0xff]);
        assert!(decode(&jpeg).is_err_and(|cause| cause.contains("16383x16383 is too large")));

        let mut webp = encode_webp(image_webp::ColorType::Rgb8, 3);
        webp[21..25].copy_from_slice(&(0x3ffe_u32 | 0x3ffe << 14).to_le_bytes());
        let cause = decode(&webp).map(|_| ()).unwrap_err();
        assert!(cause.contains("16383x16383 is too large"), "{cause}");
    }

    /// CRC-32 as PNG defines it, bit by bit.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 })
        })
    }

    #[test]
    fn fit_keeps_equal_sizes_and_averages_reductions() {
        let image = RgbImage { width: 4, height: 4, pixels: (0..48).collect() };
        let mut out = [0; 48];
        fit(&image, 4, &mut out).unwrap();
        assert_eq!(out[..], image.pixels[..]);

        // Stripes of one pixel vanish into grey only if the filter covers them; a nearest pixel stays black or white.
        let stripes = (0..64 * 48).flat_map(|at| [if at % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let stripes = RgbImage { width: 64, height: 48, pixels: stripes };
        let mut out = vec![0; 8 * 8 * 3];
        fit(&stripes, 8, &mut out).unwrap();
        assert!(out.iter().all(|&value| value.abs_diff(127) <= 8), "{out:?}");
    }

    #[test]
    fn fit_is_the_triangle_filter_on_the_shorter_side_and_then_the_centre() {
        // Sizes at which the centre starts on a whole pixel, so that the oracle can resize first and crop afterwards.
        for (width, height, size) in [(40, 20, 10), (20, 40, 10), (30, 30, 7), (12, 6, 18), (64, 32, 1)] {
            let pixels = (0..width * height * 3).map(|at| ((at * 7919) >> 3) as u8 ^ (at as u8)).collect();
            let image = RgbImage { width: width as u32, height: height as u32, pixels };
            let mut out = vec![0; size * size * 3];
            fit(&image, size as u32, &mut out).unwrap();

            let scale = width.min(height) as f64 / size as f64;
            let (left, top) = ((width - width.min(height)) as f64 / 2.0, (height - width.min(height)) as f64 / 2.0);
            let weights = |place: usize, offset: f64, length: usize| -> Vec<f64> {
                let (centre, support) = (offset + (place as f64 + 0.5) * scale, scale.max(1.0));
                let raw: Vec<f64> =
                    (0..length).map(|at| (1.0 - (at as f64 + 0.5 - centre).abs() / support).max(0.0)).collect();
                let sum: f64 = raw.iter().sum();
                raw.into_iter().map(|weight| weight / sum).collect()
            };
            for (at, &value) in out.iter().enumerate() {
                let (row, column, channel) = (at / 3 / size, at / 3 % size, at % 3);
                let (across, down) = (weights(column, left, width), weights(row, top, height));
                let wanted: f64 = (0..width * height)
                    .map(|pixel| {
                        let weight = across[pixel % width] * down[pixel / width];
                        weight * f64::from(image.pixels[pixel * 3 + channel])
                    })
                    .sum();
                // Each of the two passes rounds to whole levels, the second what the first left: one level at most.
                assert!((f64::from(value) - wanted).abs() <= 1.1, "{value} for {wanted} in {width}x{height} to {size}");
            }
        }
    }
}
