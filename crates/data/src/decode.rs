//! Decodes image files to RGB. Sizes are checked before memory is allocated, and incomplete images
//! are refused.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use crate::facts::{Exif, Facts, Format};
use crate::jpeg::{self, Outline};
use crate::target::{Plan, RgbImage, Rows, Target, Turn, fit};
use crate::{orientation, raster, signature};

/// Largest image size of a data set, in pixels per side.
pub const MAX_IMAGE_SIZE: u32 = 4096;
/// Longest side that is decoded, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Largest image that is decoded, in pixels.
pub const MAX_PIXELS: u64 = 64_000_000;
/// Largest encoded image that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 512 << 20;

/// Number of bytes at the start of a file that [`dimensions_in_head`] is given.
const HEAD_BYTES: u64 = 128 << 10;

/// Images with more pixels than this are decoded one at a time, so that memory use does not grow
/// with the number of cores.
const LARGE_PIXELS: u64 = 16_000_000;
static LARGE: Mutex<()> = Mutex::new(());

/// Minimum ratio of the shorter side of a reduced JPEG to the size requested. The filter of [`fit`]
/// then averages out most of the difference from the whole image: for photographs, the mean
/// difference is less than half a level of 255.
const REDUCED_AT_LEAST: f64 = 2.5;

/// Decodes an image file, recognised by its first bytes, for [`fit`]. Grey is replicated, 16-bit
/// channels lose their lower byte, and transparency is dropped.
pub(crate) fn decode(bytes: &[u8], target: Target) -> Result<RgbImage, String> {
    guarded(|| {
        let is_jpeg = signature::format(bytes)? == Format::Jpeg;
        let outline = is_jpeg.then(|| Outline::read(bytes)).transpose()?;
        let facts = match &outline {
            Some(outline) => checked(jpeg_facts(outline))?,
            None => header(bytes)?,
        };
        let plan = Plan::new(facts, target);
        let Facts { format, width, height, .. } = plan.facts;
        if let (Some(outline), Some(denominator)) = (&outline, reduction(&plan))
            && outline.is_reducible(bytes)
            && let Some(image) = reduced_jpeg(bytes, &plan, denominator)
        {
            return Ok(image.turned(plan.turn));
        }
        let large = u64::from(width) * u64::from(height) > LARGE_PIXELS;
        let _turn = large.then(|| LARGE.lock().unwrap_or_else(PoisonError::into_inner));
        let image = match (format, &outline) {
            (_, Some(outline)) => plan.whole(outline.decode(bytes)?),
            (Format::Png, _) => png(bytes, &plan)?,
            (Format::WebP, _) => webp(bytes, &plan)?,
            _ => raster::decode(bytes, &plan)?,
        };
        if image.pixels.len() as u64 != u64::from(image.width) * u64::from(image.height) * 3 {
            return Err("the decoded image has another size than its header says".into());
        }
        Ok(image.turned(plan.turn))
    })
}

/// Decodes one image file to the square RGB image that training uses. `bytes` is a JPEG, PNG,
/// WebP, BMP, GIF, TIFF or PNM; it is turned upright, its shorter side is resized to `size` pixels
/// and its centre is kept. Returns `size × size × 3` bytes, row by row.
///
/// # Errors
/// A description of what is wrong with the file.
///
/// ```
/// let error = selfsame_data::decode_image(b"no image", 32).unwrap_err();
/// assert!(error.contains("first bytes"));
/// ```
pub fn decode_image(bytes: &[u8], size: u32) -> Result<Vec<u8>, String> {
    if !(1..=MAX_IMAGE_SIZE).contains(&size) {
        return Err(format!("a side of {size} pixels; it is 1 to {MAX_IMAGE_SIZE}"));
    }
    let mut pixels = vec![0; size as usize * size as usize * 3];
    let target = Target { image: size, source: size, exif: Exif::default() };
    fit(&decode(bytes, target)?, (size, size), &mut pixels)?;
    Ok(pixels)
}

/// Returns a file of at most [`MAX_FILE_BYTES`]. `first` reads at most so many of its first bytes.
pub(crate) fn whole(first: impl Fn(u64) -> Result<Vec<u8>, String>) -> Result<Vec<u8>, String> {
    let bytes = first(MAX_FILE_BYTES + 1)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("the file is too large: at most {MAX_FILE_BYTES} bytes are read"));
    }
    Ok(bytes)
}

/// Reads width and height, as they are after turning, from the start of a file where that
/// suffices. `first` reads at most so many of its first bytes.
pub(crate) fn dimensions_of(
    first: impl Fn(u64) -> Result<Vec<u8>, String>,
    exif: Exif,
) -> Result<(u32, u32), String> {
    let head = first(HEAD_BYTES)?;
    match dimensions_in_head(&head, exif) {
        Some(size) => Ok(size),
        None if (head.len() as u64) < HEAD_BYTES => dimensions(&head, exif),
        None => dimensions(&whole(first)?, exif),
    }
}

/// Reads width and height, as they are after turning, from the header alone.
fn dimensions(bytes: &[u8], exif: Exif) -> Result<(u32, u32), String> {
    let facts = header(bytes)?;
    Ok(Turn::of(&facts, exif).size((facts.width, facts.height)))
}

/// Reads width and height of a JPEG from its first [`HEAD_BYTES`]. Returns `None` if they may not
/// suffice: a frame header can follow large metadata, and other formats may turn an image at their
/// end.
fn dimensions_in_head(head: &[u8], exif: Exif) -> Option<(u32, u32)> {
    if signature::format(head) != Ok(Format::Jpeg) {
        return None;
    }
    let facts = checked(jpeg_facts(&Outline::read_head(head).ok()?)).ok()?;
    Some(Turn::of(&facts, exif).size((facts.width, facts.height)))
}

/// Reads the facts that the header tells, and checks width and height against [`MAX_SIDE`] and
/// [`MAX_PIXELS`].
fn header(bytes: &[u8]) -> Result<Facts, String> {
    let facts = guarded(|| match signature::format(bytes)? {
        Format::Jpeg => Outline::read(bytes).map(|outline| jpeg_facts(&outline)),
        Format::Png => png_header(bytes),
        Format::WebP => webp_header(bytes),
        format => raster::header(format, bytes),
    })?;
    checked(facts)
}

fn checked(facts: Facts) -> Result<Facts, String> {
    let Facts { width, height, .. } = facts;
    if width == 0 || height == 0 {
        return Err(format!("an image of {width}x{height} has no pixels"));
    }
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(format!(
            "{width}x{height} is too large: at most {MAX_SIDE} pixels a side and {} megapixels \
             are read",
            MAX_PIXELS / 1_000_000
        ));
    }
    Ok(facts)
}

/// Turns a panic of the decoder into an error: a damaged file must not end the whole run.
fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err("damaged: the decoder gave up on it".into()))
}

/// Returns what a decoder says of a PNG without the notation of its own language.
fn png_cause(error: &png::DecodingError) -> String {
    let mut text = error.to_string();
    const PACKED: &str = "Corrupt deflate stream.";
    if text.starts_with(PACKED) {
        text = "its compressed data cannot be unpacked".into();
    }
    // `ChunkType { type: IDAT, critical: true, … }` is the chunk IDAT.
    while let Some((start, rest)) = text.split_once("ChunkType { type: ")
        && let Some((inside, end)) = rest.split_once(" }")
        && let Some(name) = inside.split(',').next()
    {
        text = format!("{start}{name}{end}");
    }
    format!("damaged PNG: {}", text.trim_end().trim_end_matches('.'))
}

fn jpeg_facts(outline: &Outline<'_>) -> Facts {
    Facts {
        orientation: orientation::noted(outline.exif, outline.xmp),
        several: outline.index.and_then(orientation::pictures).is_some_and(|count| count > 1),
        ..Facts::new(Format::Jpeg, outline.width, outline.height)
    }
}

/// Returns the denominator of the smallest scale that suffices for [`fit`], or `None` if none does.
fn reduction(plan: &Plan) -> Option<u32> {
    let times =
        (plan.kept.width / f64::from(plan.size.0)).min(plan.kept.height / f64::from(plan.size.1));
    let serves = |&denominator: &u32| times >= REDUCED_AT_LEAST * f64::from(denominator);
    [8, 4, 2].into_iter().find(serves)
}

/// Decodes the part of a JPEG that [`fit`] reads, at `1 / denominator` of its size. Returns `None`
/// if the full decoder has to read the file.
fn reduced_jpeg(bytes: &[u8], plan: &Plan, denominator: u32) -> Option<RgbImage> {
    let part = plan.part(denominator);
    let range = |range: &std::ops::Range<u32>| range.start as usize..range.end as usize;
    let pixels = jpeg::reduced::decode_part(
        bytes,
        8 / denominator as usize,
        range(&part.columns),
        range(&part.rows),
    )?;
    Some(part.image(pixels, plan.facts))
}

fn png_decoder(bytes: &[u8]) -> png::Decoder<Cursor<&[u8]>> {
    let mut decoder =
        png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: 64 << 20 });
    decoder.ignore_checksums(false);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(png::Transformations::EXPAND);
    decoder
}

fn png_header(bytes: &[u8]) -> Result<Facts, String> {
    let mut decoder = png_decoder(bytes);
    let header = decoder.read_header_info().map_err(|error| png_cause(&error))?;
    Ok(Facts {
        orientation: png_orientation(bytes).unwrap_or(1),
        bits: header.bit_depth as u8,
        ..Facts::new(Format::Png, header.width, header.height)
    })
}

/// Finds the orientation of a PNG: in its EXIF chunk, or in texts, as programs wrote it before there
/// was such a chunk. All of them may lie before or after the pixels.
fn png_orientation(bytes: &[u8]) -> Option<u8> {
    let exif = png_chunks(bytes).find_map(|(name, chunk)| match &name {
        b"eXIf" => orientation::of_exif(chunk()?),
        _ => None,
    });
    exif.or_else(|| {
        png_chunks(bytes).find_map(|(name, chunk)| match &name {
            b"tEXt" | b"zTXt" | b"iTXt" => orientation::of_png_text(name, chunk()?),
            _ => None,
        })
    })
}

/// Returns the names of the chunks of a PNG, each with a function that returns what the chunk holds
/// if it is undamaged.
fn png_chunks<'a>(
    bytes: &'a [u8],
) -> impl Iterator<Item = ([u8; 4], impl Fn() -> Option<&'a [u8]>)> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let chunk = after.get(..length.checked_add(4)?)?;
        let (sum, next) = after[chunk.len()..].split_first_chunk::<4>()?;
        rest = next;
        let (name, content) = chunk.split_first_chunk::<4>()?;
        let undamaged = move || {
            let mut crc = flate2::Crc::new();
            crc.update(chunk);
            (crc.sum() == u32::from_be_bytes(*sum)).then_some(content)
        };
        Some((*name, undamaged))
    })
}

/// Decodes every row, because only a read to the end of the file shows that no row is damaged, but
/// keeps only the part that is read.
fn png(bytes: &[u8], plan: &Plan) -> Result<RgbImage, String> {
    let damaged = |error: png::DecodingError| png_cause(&error);
    let mut reader = png_decoder(bytes).read_info().map_err(damaged)?;
    // Palettes have been applied.
    let (colour, depth) = reader.output_color_type();
    let mut rows = Rows::new(plan, colour.samples());
    let mut push = |row: u32, samples: &[u8]| match depth {
        png::BitDepth::Sixteen => rows.push_deep(row, samples),
        _ => rows.push(row, samples),
    };
    if reader.info().interlaced {
        let mut whole =
            vec![0; reader.output_buffer_size().ok_or("too large a PNG for this machine")?];
        let frame = reader.next_frame(&mut whole).map_err(damaged)?;
        (0..frame.height)
            .zip(whole.chunks_exact(frame.line_size))
            .for_each(|(row, samples)| push(row, samples));
    } else {
        for row in 0..reader.info().height {
            push(
                row,
                reader.next_row().map_err(damaged)?.ok_or("damaged PNG: it lacks rows")?.data(),
            );
        }
    }
    rows.facts.several = reader.info().is_animated();
    reader.finish().map_err(damaged)?;
    Ok(rows.image())
}

fn webp_decoder(bytes: &[u8]) -> Result<image_webp::WebPDecoder<Cursor<&[u8]>>, String> {
    // The length in the header, padded to an even number, is the length of the whole file without
    // the 8 bytes of the header itself.
    let length = u64::from(u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])) + 8;
    if length > bytes.len() as u64 {
        return Err(format!("truncated WebP: {} of {length} bytes", bytes.len()));
    }
    image_webp::WebPDecoder::new(Cursor::new(bytes))
        .map_err(|error| format!("damaged WebP: {error}"))
}

fn webp_header(bytes: &[u8]) -> Result<Facts, String> {
    let mut decoder = webp_decoder(bytes)?;
    let (width, height) = decoder.dimensions();
    let damaged = |error| format!("damaged WebP: {error}");
    let exif = decoder.exif_metadata().map_err(damaged)?;
    let xmp = decoder.xmp_metadata().map_err(damaged)?;
    Ok(Facts {
        orientation: orientation::noted(exif.as_deref(), xmp.as_deref()),
        several: decoder.is_animated(),
        ..Facts::new(Format::WebP, width, height)
    })
}

fn webp(bytes: &[u8], plan: &Plan) -> Result<RgbImage, String> {
    if plan.facts.several {
        return animated_webp(bytes, plan);
    }
    let (channels, pixels) = webp_pixels(webp_decoder(bytes)?)?;
    let mut rows = Rows::new(plan, channels);
    rows.push_all(&pixels);
    Ok(rows.image())
}

/// Returns the number of channels, and all pixels.
fn webp_pixels(
    mut decoder: image_webp::WebPDecoder<Cursor<&[u8]>>,
) -> Result<(usize, Vec<u8>), String> {
    let size = decoder.output_buffer_size().ok_or("too large a WebP for this machine")?;
    let mut pixels = vec![0; size];
    decoder.read_image(&mut pixels).map_err(|error| format!("damaged WebP: {error}"))?;
    Ok((if decoder.has_alpha() { 4 } else { 3 }, pixels))
}

/// Decodes the first picture of an animation on the whole canvas. What it leaves free is transparent
/// black. The decoder itself would blend the picture with the canvas, and round.
fn animated_webp(bytes: &[u8], plan: &Plan) -> Result<RgbImage, String> {
    let outside = "damaged WebP: its first picture reaches beyond its canvas";
    let (frame, parts) = first_webp_frame(bytes).ok_or("damaged WebP: it holds no picture")?;
    let number = |at: usize| u32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], 0]);
    let (left, top) = (number(0) * 2, number(3) * 2);
    let (width, height) = (number(6) + 1, number(9) + 1);
    if left + width > plan.facts.width || top + height > plan.facts.height {
        return Err(outside.into());
    }
    // A still picture with the same data. Only opacity beside lossy colours needs the extended form.
    let mut still = b"WEBP".to_vec();
    if parts.starts_with(b"ALPH") {
        still.extend(b"VP8X\x0a\0\0\0\x10\0\0\0");
        still.extend(&frame[6..12]);
    }
    still.extend(parts);
    let still = [b"RIFF", &(still.len() as u32).to_le_bytes()[..], &still].concat();
    let decoder = webp_decoder(&still)?;
    if decoder.dimensions() != (width, height) {
        return Err("damaged WebP: its first picture has another size than it says".into());
    }
    let (channels, pixels) = webp_pixels(decoder)?;
    let mut rows = Rows::new(plan, 4);
    rows.push_picture((left, top), width, channels, &pixels);
    Ok(rows.image())
}

/// Returns head and chunks of the first picture of an animated WebP.
fn first_webp_frame(bytes: &[u8]) -> Option<(&[u8; 16], &[u8])> {
    let mut rest = bytes.get(12..)?;
    loop {
        let (head, after) = rest.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        if head.starts_with(b"ANMF") {
            return after.get(..length)?.split_first_chunk();
        }
        rest = after.get(length.checked_next_multiple_of(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use crate::target::{Rectangle, fit_square, is_panorama};

    use super::*;

    const SIDE: (usize, usize) = (37, 21);

    /// A picture that is smooth on a large scale and rough on a small scale, so that every part of
    /// the encoded file matters.
    fn picture(channels: usize) -> Vec<u8> {
        let (width, height) = SIDE;
        (0..width * height * channels)
            .map(|at| ((at * 7) ^ ((at / width) * 5) ^ (at * at / 31)) as u8)
            .collect()
    }

    fn encode_jpeg(
        configure: impl FnOnce(&mut Encoder<&mut Vec<u8>>),
        colour: ColorType,
        channels: usize,
    ) -> Vec<u8> {
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
        let rgb =
            |configure: fn(&mut Encoder<&mut Vec<u8>>)| encode_jpeg(configure, ColorType::Rgb, 3);
        vec![
            ("baseline", rgb(|_| {})),
            ("subsampled", rgb(|encoder| encoder.set_sampling_factor(SamplingFactor::F_2_2))),
            ("restarts", rgb(|encoder| encoder.set_restart_interval(3))),
            ("restart at the end", rgb(|encoder| encoder.set_restart_interval(5))),
            ("progressive", rgb(|encoder| encoder.set_progressive(true))),
            ("own tables", rgb(|encoder| encoder.set_optimized_huffman_tables(true))),
            ("grey", encode_jpeg(|_| {}, ColorType::Luma, 1)),
            ("cmyk", encode_jpeg(|_| {}, ColorType::Cmyk, 4)),
            ("ycck", encode_jpeg(|_| {}, ColorType::CmykAsYcck, 4)),
        ]
    }

    fn rasters() -> [(&'static str, Vec<u8>); 4] {
        let (width, height) = (SIDE.0 as u32, SIDE.1 as u32);
        let rgb = picture(3);
        let mut bmp = Vec::new();
        image::codecs::bmp::BmpEncoder::new(&mut bmp)
            .encode(&rgb, width, height, image::ExtendedColorType::Rgb8)
            .unwrap();
        let mut gif = Vec::new();
        let mut encoder =
            gif::Encoder::new(&mut gif, width as u16, height as u16, &picture(3)[..768]).unwrap();
        let frame = gif::Frame {
            width: width as u16,
            height: height as u16,
            buffer: picture(1).into(),
            ..gif::Frame::default()
        };
        encoder.write_frame(&frame).unwrap();
        drop(encoder);
        let mut tiff = Vec::new();
        tiff::encoder::TiffEncoder::new(Cursor::new(&mut tiff))
            .unwrap()
            .write_image::<tiff::encoder::colortype::RGB8>(width, height, &rgb)
            .unwrap();
        let pnm = [format!("P6 {width} {height} 255\n").as_bytes(), &rgb].concat();
        [("bmp", bmp), ("gif", gif), ("tiff", tiff), ("pnm", pnm)]
    }

    fn all() -> Vec<(&'static str, Vec<u8>)> {
        let mut files = jpegs();
        files.push(("png", encode_png(png::ColorType::Rgb, png::BitDepth::Eight, 3)));
        files.push(("grey png", encode_png(png::ColorType::Grayscale, png::BitDepth::Eight, 1)));
        files.push(("webp", encode_webp(image_webp::ColorType::Rgb8, 3)));
        files.push(("webp with alpha", encode_webp(image_webp::ColorType::Rgba8, 4)));
        files.push(("lossy webp", LOSSY_WEBP.to_vec()));
        files.extend(rasters());
        files
    }

    /// At this size, a picture of [`SIDE`] is kept whole, and a JPEG is decoded at an eighth.
    const SMALL: u32 = 1;
    /// At this size, no JPEG of [`SIDE`] is reduced.
    const FULL: u32 = SIDE.1 as u32;
    /// Sizes at which a JPEG is decoded at an eighth, a quarter, a half and whole.
    const SIZES: [u32; 4] = [SMALL, 2, 4, FULL];

    fn target(size: u32) -> Target {
        Target { image: size, source: size, exif: Exif::Turn }
    }

    fn decode(bytes: &[u8], size: u32) -> Result<RgbImage, String> {
        super::decode(bytes, target(size))
    }

    fn pixels(bytes: &[u8], size: u32) -> Result<Vec<u8>, String> {
        decode(bytes, size).map(|image| image.pixels)
    }

    /// An image whose central square is kept.
    fn plain(width: u32, height: u32, pixels: Vec<u8>) -> RgbImage {
        RgbImage::plain(width, height, pixels, target(1))
    }

    fn reduced_jpeg(bytes: &[u8], (width, height): (u32, u32), size: u32) -> Option<RgbImage> {
        let plan = Plan::new(Facts::new(Format::Jpeg, width, height), target(size));
        super::reduced_jpeg(bytes, &plan, reduction(&plan)?)
    }

    fn jpeg(bytes: &[u8]) -> Result<Vec<u8>, String> {
        Outline::read(bytes)?.decode(bytes)
    }

    fn fit(image: &RgbImage, size: u32, out: &mut [u8]) -> Result<(), String> {
        super::fit(image, (size, size), out)
    }

    #[test]
    fn lossless_formats_give_the_pixels_and_lose_only_what_they_should() {
        let rgb = picture(3);
        assert_eq!(
            pixels(&encode_png(png::ColorType::Rgb, png::BitDepth::Eight, 3), SMALL).unwrap(),
            rgb
        );
        assert_eq!(pixels(&encode_webp(image_webp::ColorType::Rgb8, 3), SMALL).unwrap(), rgb);

        let without_fourth: Vec<u8> =
            picture(4).chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
        assert_eq!(
            pixels(&encode_png(png::ColorType::Rgba, png::BitDepth::Eight, 4), SMALL).unwrap(),
            without_fourth
        );
        assert_eq!(
            pixels(&encode_webp(image_webp::ColorType::Rgba8, 4), SMALL).unwrap(),
            without_fourth
        );

        let replicated: Vec<u8> = picture(1).iter().flat_map(|&grey| [grey; 3]).collect();
        assert_eq!(
            pixels(&encode_png(png::ColorType::Grayscale, png::BitDepth::Eight, 1), SMALL).unwrap(),
            replicated
        );

        let upper: Vec<u8> = picture(6).chunks(2).map(|sample| sample[0]).collect();
        assert_eq!(
            pixels(&encode_png(png::ColorType::Rgb, png::BitDepth::Sixteen, 3), SMALL).unwrap(),
            upper
        );
    }

    #[test]
    fn sixteen_bits_keep_their_upper_byte() {
        // Files from other encoders, and interlaced files (tests/fixtures/make.py).
        let upper = |x: usize, y: usize, channel: usize| {
            ((x * 4999 + y * 257 + channel * 21001) % 65536 / 256) as u8
        };
        let wanted = |channels: [usize; 3]| -> Vec<u8> {
            (0..9 * 13)
                .flat_map(|at| channels.map(|channel| upper(at % 13, at / 13, channel)))
                .collect()
        };
        assert_eq!(
            pixels(include_bytes!("../tests/fixtures/grey16.png"), SMALL).unwrap(),
            wanted([0; 3])
        );
        assert_eq!(
            pixels(include_bytes!("../tests/fixtures/rgb16.png"), SMALL).unwrap(),
            wanted([0, 1, 2])
        );
        assert_eq!(
            pixels(include_bytes!("../tests/fixtures/interlaced16.png"), SMALL).unwrap(),
            wanted([0, 1, 2])
        );

        use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
        for (width, height) in [(1, 1), (1, 40), (40, 1), (7, 5), (5, 7)] {
            for (colour, channels) in [(Grayscale, 1), (GrayscaleAlpha, 2), (Rgb, 3), (Rgba, 4)] {
                let samples: Vec<u16> =
                    (0..width * height * channels).map(|at| (at * 40_503) as u16).collect();
                let mut bytes = Vec::new();
                let mut encoder = png::Encoder::new(&mut bytes, width, height);
                encoder.set_color(colour);
                encoder.set_depth(png::BitDepth::Sixteen);
                let mut writer = encoder.write_header().unwrap();
                let big_endian: Vec<u8> =
                    samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
                writer.write_image_data(&big_endian).unwrap();
                writer.finish().unwrap();

                let wanted: Vec<u8> = samples
                    .chunks(channels as usize)
                    .flat_map(|pixel| {
                        if channels < 3 { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] }
                    })
                    .map(|sample| (sample >> 8) as u8)
                    .collect();
                let image = plain(width, height, wanted);
                for size in [1, 2, 5, 40, 64] {
                    assert!(fitted(&decode(&bytes, size).unwrap(), size) == fitted(&image, size));
                }
            }
        }
    }

    fn fitted(image: &RgbImage, size: u32) -> Vec<u8> {
        let mut out = vec![0; (size * size * 3) as usize];
        fit(image, size, &mut out).unwrap();
        out
    }

    fn squared(image: &RgbImage, size: u32) -> Vec<u8> {
        let mut out = vec![0; (size * size * 3) as usize];
        fit_square(image, size, &mut out).unwrap();
        out
    }

    fn fitted_source(image: &RgbImage, target: Target) -> ((u32, u32), Vec<u8>) {
        let size = target.resized(image.facts.width, image.facts.height);
        let mut out = vec![0; (size.0 * size.1 * 3) as usize];
        super::fit(image, size, &mut out).unwrap();
        (size, out)
    }

    #[test]
    fn the_part_that_is_kept_is_all_that_is_read() {
        for (width, height) in
            [(1, 1), (1, 50), (37, 21), (64, 64), (90, 200), (333, 100), (500, 9)]
        {
            for (denominator, image) in [1, 2, 4, 8]
                .into_iter()
                .flat_map(|by| [1, 2, 7, 20, 64, 100].map(|size| (by, size)))
            {
                let (wide, high) =
                    (u32::div_ceil(width, denominator), u32::div_ceil(height, denominator));
                let pixels: Vec<u8> = (0..wide * high * 3)
                    .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
                    .collect();
                let scale = 1.0 / f64::from(denominator);
                for source in [image, 2 * image] {
                    let target = Target { image, source, exif: Exif::Turn };
                    let part = Plan::new(Facts::new(Format::Plain, width, height), target)
                        .part(denominator);
                    let kept = (part.rows.clone()).flat_map(|row| {
                        &pixels[((row * wide + part.columns.start) * 3) as usize..]
                            [..part.columns.len() * 3]
                    });
                    let kept = kept.copied().collect();
                    let facts = Facts::new(Format::Plain, width, height);
                    let kept = part.image(kept, facts);
                    let whole = RgbImage {
                        width: wide,
                        height: high,
                        pixels: pixels.clone(),
                        kept: target.kept(width, height).scaled(scale, (0, 0)),
                        square: Rectangle::square(width, height).scaled(scale, (0, 0)),
                        facts,
                    };
                    let named = format!("{width}x{height}/{denominator} to {target:?}");
                    assert!(squared(&kept, image) == squared(&whole, image), "{named}");
                    let same = || fitted_source(&kept, target) == fitted_source(&whole, target);
                    assert!(target.only_squares() || same(), "{named}");
                }
            }
        }
    }

    #[test]
    fn sources_keep_their_shape_within_their_sizes() {
        let sizes = Target { image: 64, source: 128, exif: Exif::Turn };
        for (own, wanted) in [
            ((64, 64), (64, 64)),
            ((100, 100), (100, 100)),
            ((128, 96), (128, 96)),
            ((500, 375), (171, 128)),
            ((375, 500), (128, 171)),
            ((30, 20), (96, 64)),
            ((1, 1), (64, 64)),
            ((1, 1000), (64, 256)),
            ((16_384, 1), (256, 64)),
            ((1000, 200), (512, 128)),
        ] {
            assert_eq!(sizes.resized(own.0, own.1), wanted, "{own:?}");
            assert!(sizes.allows(wanted.0, wanted.1), "{own:?}");
            assert_eq!(target(64).resized(own.0, own.1), (64, 64));
        }
        assert!(is_panorama(1000, 249) && !is_panorama(1000, 250) && !is_panorama(1, 4));
        for refused in [(63, 64), (129, 129), (64, 257), (0, 64), (u32::MAX, u32::MAX)] {
            assert!(!sizes.allows(refused.0, refused.1), "{refused:?}");
        }
        let mut random = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..10_000 {
            let image = random.random_range(1..300);
            let sizes =
                Target { image, source: image + random.random_range(1..300), exif: Exif::Turn };
            let [width, height] = [0; 2].map(|_| 1 << random.random_range(0..14));
            let [width, height] =
                [width, height].map(|most: u32| random.random_range(1..=most.min(MAX_SIDE)));
            let (found_width, found_height) = sizes.resized(width, height);
            assert!(sizes.allows(found_width, found_height), "{width}x{height} to {sizes:?}");
            if !is_panorama(width, height) {
                let [own, found] = [(width, height), (found_width, found_height)]
                    .map(|(width, height)| f64::from(width) / f64::from(height));
                // Rounding moves the longer side by at most half a pixel.
                let shorter = f64::from(found_width.min(found_height));
                let off = (own.max(1.0 / own) - found.max(1.0 / found)).abs();
                assert!(off <= 0.51 / shorter, "{width}x{height} to {sizes:?}");
            }
        }
    }

    #[test]
    fn a_source_is_the_triangle_filter_over_its_region() {
        for (own, image, source) in [
            ((40, 20), 8, 16),
            ((21, 35), 5, 11),
            ((9, 6), 8, 16),
            ((200, 10), 3, 7),
            ((3, 90), 4, 8),
        ] {
            let (width, height): (u32, u32) = own;
            let pixels: Vec<u8> =
                (0..width * height * 3).map(|at| ((at * 7919) >> 3) as u8 ^ (at as u8)).collect();
            let target = Target { image, source, exif: Exif::Turn };
            let whole = RgbImage::plain(width, height, pixels, target);
            let ((found_width, found_height), found) = fitted_source(&whole, target);
            let kept = |length: u32| length.min(4 * width.min(height));
            let weights = |place: u32, own: u32, length: u32| -> Vec<f64> {
                let left = f64::from((own - kept(own)) / 2);
                let scale = f64::from(kept(own)) / f64::from(length);
                let (centre, support) = (left + (f64::from(place) + 0.5) * scale, scale.max(1.0));
                let raw: Vec<f64> = (0..own)
                    .map(|at| (1.0 - (f64::from(at) + 0.5 - centre).abs() / support).max(0.0))
                    .collect();
                let sum: f64 = raw.iter().sum();
                raw.into_iter().map(|weight| weight / sum).collect()
            };
            for (at, &value) in (0..).zip(&found) {
                let (row, column, channel) = (at / 3 / found_width, at / 3 % found_width, at % 3);
                let across = weights(column, width, found_width);
                let down = weights(row, height, found_height);
                let wanted: f64 = (0..width * height)
                    .map(|pixel| {
                        let weight =
                            across[(pixel % width) as usize] * down[(pixel / width) as usize];
                        weight * f64::from(whole.pixels[(pixel * 3 + channel) as usize])
                    })
                    .sum();
                // Each of the two passes rounds to whole levels.
                assert!(
                    (f64::from(value) - wanted).abs() <= 1.1,
                    "{value} for {wanted} in {own:?} to {target:?}"
                );
            }
        }
    }

    #[test]
    fn a_reduced_jpeg_has_the_lowest_frequencies_of_the_full_one() {
        for (width, height) in [(8, 8), (40, 24), (45, 67)] {
            // Levels stay away from black and white, where the full decoder clips.
            let picture: Vec<u8> = (0..width * height)
                .map(|at| 70 + ((at * 7) ^ (at / width * 5)) as u8 % 32 + (at % width * 2) as u8)
                .collect();
            for interval in [0, 3] {
                let mut bytes = Vec::new();
                let mut encoder = Encoder::new(&mut bytes, 90);
                encoder.set_restart_interval(interval);
                encoder.encode(&picture, width as u16, height as u16, ColorType::Luma).unwrap();
                let full = jpeg(&bytes).unwrap();
                for eighths in [1_usize, 2, 4] {
                    let (wide, high) =
                        ((width * eighths).div_ceil(8), (height * eighths).div_ceil(8));
                    let reduced =
                        jpeg::reduced::decode_part(&bytes, eighths, 0..wide, 0..high).unwrap();
                    // The DCT to 8 frequencies, followed by the inverse DCT of the lowest, as one
                    // linear map.
                    let wave = |pixel: usize, frequency: usize, pixels: usize| {
                        let scale = if frequency == 0 { 0.5_f64.sqrt() } else { 1.0 };
                        let angle = (2 * pixel + 1) as f64 * frequency as f64 / (2 * pixels) as f64;
                        scale / 2.0 * (angle * std::f64::consts::PI).cos()
                    };
                    let map = |to: usize, from: usize| -> f64 {
                        (0..eighths)
                            .map(|frequency| {
                                wave(to, frequency, eighths) * wave(from, frequency, 8)
                            })
                            .sum()
                    };
                    for (y, x) in (0..height / 8 * eighths)
                        .flat_map(|y| (0..width / 8 * eighths).map(move |x| (y, x)))
                    {
                        let (mut wanted, mut weights) = (0.0, 0.0);
                        for (v, u) in (0..8).flat_map(|v| (0..8).map(move |u| (v, u))) {
                            let weight = map(y % eighths, v) * map(x % eighths, u);
                            let pixel = (y / eighths * 8 + v) * width + x / eighths * 8 + u;
                            wanted += weight * f64::from(full[pixel * 3]);
                            weights += weight.abs();
                        }
                        let found = f64::from(reduced[(y * wide + x) * 3]);
                        // Both decoders round their pixels, and the full decoder computes with 12
                        // fractional bits.
                        assert!(
                            (found - wanted).abs() <= 0.5 + 0.55 * weights,
                            "{found} for {wanted} at {eighths} eighths"
                        );
                    }
                }
            }
        }
    }

    /// A drawing with the soft and hard edges, the textures and the few colours of a photograph.
    fn scene(width: usize, height: usize) -> Vec<u8> {
        let discs: Vec<[f64; 6]> = (0..60_u64)
            .map(|disc| {
                std::array::from_fn(|at| {
                    ((disc * 6 + at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64
                        / 16_777_216.0
                })
            })
            .collect();
        let pixel = |at: usize| {
            let (x, y) = ((at % width) as f64 / width as f64, (at / width) as f64 / width as f64);
            let mut colour = [90.0 + 60.0 * y, 100.0 + 40.0 * y, 120.0 + 20.0 * x];
            for [cx, cy, radius, light, tint, softness] in &discs {
                let distance = ((x - cx).powi(2) + (y - cy).powi(2)).sqrt() - radius * 0.15;
                let cover = (0.5 - distance / (0.002 + 0.02 * softness)).clamp(0.0, 1.0);
                let texture = 12.0
                    * light
                    * ((x * 300.0 * (1.0 + tint)).sin() + (y * 500.0 * softness + x * 90.0).sin());
                for (channel, value) in colour.iter_mut().enumerate() {
                    let target = 30.0
                        + 180.0 * light
                        + 40.0 * (tint - 0.5) * (channel as f64 - 1.0)
                        + texture;
                    *value += cover * (target - *value);
                }
            }
            colour.map(|value| value.clamp(0.0, 255.0) as u8)
        };
        (0..width * height).flat_map(pixel).collect()
    }

    #[test]
    fn reduced_jpegs_come_within_half_a_level_of_the_full_ones() {
        for (width, height) in [(500, 375), (331, 500), (403, 401)] {
            let scene = scene(width, height);
            for (quality, sampling) in [
                (75, SamplingFactor::F_2_2),
                (85, SamplingFactor::F_2_1),
                (92, SamplingFactor::F_1_1),
            ] {
                let mut bytes = Vec::new();
                let mut encoder = Encoder::new(&mut bytes, quality);
                encoder.set_sampling_factor(sampling);
                encoder.encode(&scene, width as u16, height as u16, ColorType::Rgb).unwrap();
                let full = plain(width as u32, height as u32, jpeg(&bytes).unwrap());
                let shorter = width.min(height) as u32;
                assert!(
                    reduced_jpeg(&bytes, (width as u32, height as u32), shorter * 2 / 5 / 2 + 1)
                        .is_none()
                );
                for size in [shorter / 5, 48, shorter / 10, 20, shorter / 20, 8] {
                    let reduced =
                        reduced_jpeg(&bytes, (width as u32, height as u32), size).unwrap();
                    let differences: Vec<u8> = fitted(&reduced, size)
                        .iter()
                        .zip(fitted(&full, size))
                        .map(|(a, b)| a.abs_diff(b))
                        .collect();
                    let mean = differences.iter().map(|&by| f64::from(by)).sum::<f64>()
                        / differences.len() as f64;
                    println!(
                        "{width}x{height} quality {quality} to {size}: mean {mean:.3}, most {:?}",
                        differences.iter().max()
                    );
                    assert!(mean < 0.5, "{width}x{height} of quality {quality} to {size}: {mean}");
                }
            }
        }
    }

    #[test]
    fn what_the_reduced_decoder_takes_the_full_one_takes_and_otherwise_decides() {
        let whole = (SIDE.0 as u32, SIDE.1 as u32);
        for (name, bytes) in jpegs() {
            let reduced = reduced_jpeg(&bytes, whole, SMALL).is_some();
            // The encoder gives each component a separate scan if the tables are not shared.
            assert_eq!(
                reduced,
                !["progressive", "own tables", "cmyk", "ycck"].contains(&name),
                "{name}"
            );
            assert!(decode(&bytes, SMALL).is_ok());
        }
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let (mut taken, mut refused) = (0, 0);
        for (name, bytes) in jpegs().into_iter().cycle().take(20_000) {
            let mut damaged = bytes.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(2..damaged.len());
                damaged[at] = if random.random() {
                    random.random()
                } else {
                    damaged[at] ^ 1 << random.random_range(0..8)
                };
            }
            // Files with damaged headers were refused earlier.
            let known = dimensions(&damaged, Exif::Ignore) == Ok(whole);
            let size = SIZES[random.random_range(0..3)];
            let is_reducible = known
                && guarded(|| Ok(Outline::read(&damaged)?.is_reducible(&damaged))) == Ok(true);
            if is_reducible
                && guarded(|| Ok(reduced_jpeg(&damaged, whole, size))).unwrap().is_some()
            {
                taken += 1;
                let whole = guarded(|| jpeg(&damaged));
                assert!(whole.is_ok(), "{name}: {:?}", whole.unwrap_err());
            } else {
                refused += 1;
            }
        }
        assert!(taken > 2000 && refused > 5000, "{taken} taken, {refused} refused");
    }

    #[test]
    fn jpegs_of_every_kind_come_near_their_picture() {
        let smooth: Vec<u8> =
            (0..SIDE.1).flat_map(|y| (0..SIDE.0).map(move |x| (x * 3 + y * 4) as u8)).collect();
        for progressive in [false, true] {
            for interval in [0, 1, 5] {
                let mut bytes = Vec::new();
                let mut encoder = Encoder::new(&mut bytes, 95);
                encoder.set_progressive(progressive);
                encoder.set_restart_interval(interval);
                encoder.encode(&smooth, SIDE.0 as u16, SIDE.1 as u16, ColorType::Luma).unwrap();
                let decoded = pixels(&bytes, FULL).unwrap();
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
                encoder
                    .encode(&vec![128; usize::from(size).pow(2) * 3], size, size, ColorType::Rgb)
                    .unwrap();
                assert!(
                    pixels(&bytes, FULL).unwrap().iter().all(|&value| value.abs_diff(128) <= 1)
                );
            }
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_or_the_same_image() {
        for ((name, bytes), size) in
            all().into_iter().flat_map(|file| SIZES.map(|size| (file.clone(), size)))
        {
            let whole = pixels(&bytes, size).unwrap_or_else(|cause| panic!("{name}: {cause}"));
            for length in 0..bytes.len() {
                if let Ok(cut) = pixels(&bytes[..length], size) {
                    assert!(
                        cut == whole,
                        "{name} cut to {length} of {} bytes is another image",
                        bytes.len()
                    );
                    assert!(
                        length + 16 > bytes.len(),
                        "{name} cut to {length} of {} bytes",
                        bytes.len()
                    );
                }
            }
        }
    }

    #[test]
    fn a_jpeg_closed_too_early_is_an_error_not_grey() {
        for (name, bytes) in jpegs().into_iter().filter(|(name, _)| *name != "progressive") {
            for size in SIZES {
                let whole = pixels(&bytes, size).unwrap();
                let scan = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap() + 14;
                for length in scan..bytes.len() - 2 {
                    // Do not cut in the middle of a marker or a stuffed byte.
                    if bytes[length - 1] == 0xff {
                        continue;
                    }
                    let closed = [&bytes[..length], &[0xff, 0xd9]].concat();
                    if let Ok(image) = pixels(&closed, size) {
                        assert!(
                            image == whole,
                            "{name} closed at {length} of {} is another image",
                            bytes.len()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn bytes_after_the_end_do_not_matter() {
        for ((name, mut bytes), size) in
            all().into_iter().flat_map(|file| SIZES.map(|size| (file.clone(), size)))
        {
            let whole = pixels(&bytes, size).unwrap();
            bytes.extend(b"\xff\xd8 trailing \xff\xd9");
            assert_eq!(pixels(&bytes, size).as_ref(), Ok(&whole), "{name}");
        }
    }

    #[test]
    fn every_flipped_bit_of_png_data_is_noticed() {
        let bytes = encode_png(png::ColorType::Rgb, png::BitDepth::Eight, 3);
        for size in [SMALL, FULL] {
            let whole = pixels(&bytes, size).unwrap();
            for at in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[at] ^= 0x10;
                let flipped = pixels(&flipped, size);
                if let Err(cause) = &flipped {
                    assert!(!cause.contains(['{', '"', '_']), "{cause}");
                }
                assert!(
                    flipped.as_ref().is_err_and(|cause| !cause.is_empty())
                        || flipped.as_ref() == Ok(&whole),
                    "{at}"
                );
            }
        }
    }

    #[test]
    fn enormous_headers_are_refused_by_their_size() {
        let mut png = encode_png(png::ColorType::Rgb, png::BitDepth::Eight, 3);
        png[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        let crc = crc(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(decode(&png, SMALL).is_err_and(|cause| cause.contains("too large")));

        let mut jpeg = jpegs().remove(0).1;
        let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
        assert!(decode(&jpeg, SMALL).is_err_and(|cause| cause.contains("too large")));
        jpeg[frame + 5..frame + 9].copy_from_slice(&[0x3f, 0xff, 0x3f, 0xff]);
        assert!(
            decode(&jpeg, SMALL).is_err_and(|cause| cause.contains("16383x16383 is too large"))
        );

        let mut webp = encode_webp(image_webp::ColorType::Rgb8, 3);
        webp[21..25].copy_from_slice(&(0x3ffe_u32 | 0x3ffe << 14).to_le_bytes());
        let cause = decode(&webp, SMALL).map(|_| ()).unwrap_err();
        assert!(cause.contains("16383x16383 is too large"), "{cause}");

        let [(_, mut bmp), (_, mut gif), ..] = rasters();
        bmp[18..26].copy_from_slice(&[0xff, 0x3f, 0, 0, 0xff, 0x3f, 0, 0]);
        gif[6..10].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
        let mut tiff = b"II*\0\x08\0\0\0\x08\0".to_vec();
        // Width, height, bits, grey, strip, channels, rows of a strip, bytes of a strip.
        let tags = [(256, 16_383), (257, 16_383), (258, 8), (262, 1), (273, 8), (277, 1)];
        for (tag, value) in tags.into_iter().chain([(278, 16_383), (279, 4)]) {
            tiff.extend([u16::to_le_bytes(tag), 4_u16.to_le_bytes()].concat());
            tiff.extend([1_u32.to_le_bytes(), u32::to_le_bytes(value)].concat());
        }
        tiff.extend([0; 4]);
        for large in [bmp, gif, tiff, b"P5 99999 99999 255\n".to_vec()] {
            let cause = decode(&large, SMALL).map(|_| ()).unwrap_err();
            assert!(cause.contains("too large"), "{cause}");
        }
    }

    /// Computes CRC-32 as PNG defines it, bit by bit.
    fn crc(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 }
            })
        })
    }

    /// A block of EXIF data with nothing but an orientation.
    fn exif(orientation: u8, big_endian: bool) -> Vec<u8> {
        let [short, long]: [fn(u32) -> Vec<u8>; 2] = if big_endian {
            [|value| (value as u16).to_be_bytes().to_vec(), |value| value.to_be_bytes().to_vec()]
        } else {
            [|value| (value as u16).to_le_bytes().to_vec(), |value| value.to_le_bytes().to_vec()]
        };
        let mark: &[u8] = if big_endian { b"MM" } else { b"II" };
        let numbers = [short(42), long(8), short(1), short(0x112), short(3), long(1)].concat();
        [mark, &numbers, &short(orientation.into()), &short(0), &long(0)].concat()
    }

    /// Inserts a segment with `exif` after the start of a JPEG.
    fn jpeg_with_exif(bytes: &[u8], exif: &[u8]) -> Vec<u8> {
        jpeg_with(bytes, 0xe1, &[b"Exif\0\0", exif].concat())
    }

    /// Inserts a chunk into a PNG at `place`.
    fn png_with_at(bytes: &[u8], place: usize, name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let chunk = [name, content].concat();
        let (length, sum) = ((content.len() as u32).to_be_bytes(), crc(&chunk).to_be_bytes());
        [&bytes[..place], &length, &chunk, &sum, &bytes[place..]].concat()
    }

    /// Inserts a chunk after the header of a PNG.
    fn png_with(bytes: &[u8], name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        png_with_at(bytes, 33, name, content)
    }

    fn jpeg_with(bytes: &[u8], marker: u8, segment: &[u8]) -> Vec<u8> {
        let length = (segment.len() as u16 + 2).to_be_bytes();
        [&bytes[..2], &[0xff, marker], &length, segment, &bytes[2..]].concat()
    }

    #[test]
    fn orientation_is_found_wherever_programs_write_it() {
        let xmp = b"<rdf:Description tiff:Orientation=\"6\"/>".as_slice();
        let long = b"II*\0\x08\0\0\0\x01\0\x12\x01\x04\0\x01\0\0\0\x06\0\0\0\0\0\0\0".as_slice();
        let profile = format!("\nexif\n {}\n{}\n", long.len(), hex::encode(long));
        let png = encode_png(png::ColorType::Rgb, png::BitDepth::Eight, 3);
        let jpeg = &jpegs()[0].1;
        let mut webp = Vec::new();
        let mut encoder = image_webp::WebPEncoder::new(&mut webp);
        encoder.set_xmp_metadata(xmp.to_vec());
        let (width, height) = (SIDE.0 as u32, SIDE.1 as u32);
        encoder.encode(&picture(3), width, height, image_webp::ColorType::Rgb8).unwrap();
        let mut tiff = Vec::new();
        let mut encoder = tiff::encoder::TiffEncoder::new(Cursor::new(&mut tiff)).unwrap();
        let mut image = encoder.new_image::<tiff::encoder::colortype::RGB8>(width, height).unwrap();
        image.encoder().write_tag(tiff::tags::Tag::Unknown(700), xmp).unwrap();
        image.write_data(&picture(3)).unwrap();
        let files = [
            png_with(&png, b"tEXt", &[b"Raw profile type exif\0", profile.as_bytes()].concat()),
            png_with(&png, b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", xmp].concat()),
            png_with(&png, b"eXIf", long),
            jpeg_with(jpeg, 0xe1, &[b"Exif\0\0", long].concat()),
            jpeg_with(jpeg, 0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", xmp].concat()),
            webp,
            tiff,
        ];
        for (number, bytes) in files.iter().enumerate() {
            let found = decode(bytes, FULL).unwrap();
            assert_eq!((number, found.facts.orientation), (number, 6));
            assert_eq!(dimensions(bytes, Exif::Turn), Ok((height, width)));
        }
        // What EXIF says comes first.
        let both = jpeg_with(&files[4], 0xe1, &[b"Exif\0\0", &exif(3, true)[..]].concat());
        assert_eq!(decode(&both, FULL).unwrap().facts.orientation, 3);
    }

    #[test]
    fn a_jpeg_with_an_index_of_pictures_holds_several() {
        let index = |count: u8| {
            let mut index = b"MPF\0MM\0*\0\0\0\x08\0\x01\xb0\x01\0\x04\0\0\0\x01\0\0\0".to_vec();
            index.extend([count, 0, 0, 0, 0]);
            decode(&jpeg_with(&jpegs()[0].1, 0xe2, &index), SMALL).unwrap().facts.several
        };
        assert!(index(2) && !index(1));
    }

    #[test]
    fn the_first_picture_of_an_animation_keeps_its_pixels() {
        let (width, height) = (SIDE.0 as u32, SIDE.1 as u32);
        let three = |number: u32| number.to_le_bytes()[..3].to_vec();
        for (colour, channels) in
            [(image_webp::ColorType::Rgb8, 3), (image_webp::ColorType::Rgba8, 4)]
        {
            let still = encode_webp(colour, channels);
            let head = [three(1), three(2), three(width - 1), three(height - 1), vec![0; 4]];
            let frame = [&head.concat(), &still[12..]].concat();
            let mut body = b"WEBPVP8X\x0a\0\0\0\x12\0\0\0".to_vec();
            body.extend([three(width + 4), three(height + 6)].concat());
            body.extend(b"ANIM\x06\0\0\0\x1e\xc8\x0a\xff\0\0");
            for _ in 0..2 {
                body.extend(b"ANMF");
                body.extend((frame.len() as u32).to_le_bytes());
                body.extend(&frame);
                body.resize(body.len().next_multiple_of(2), 0);
            }
            let bytes = [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat();
            let found = super::decode(&bytes, Target { source: 99, ..target(SMALL) }).unwrap();
            assert!(found.facts.several && found.facts.transparent);
            let picture = picture(channels);
            for (row, column) in
                (0..height + 7).flat_map(|row| (0..width + 5).map(move |column| (row, column)))
            {
                let at = ((row * (width + 5) + column) * 3) as usize;
                let inside = row.checked_sub(4).zip(column.checked_sub(2));
                let inside = inside.filter(|&(row, column)| row < height && column < width);
                let wanted = inside.map_or(&[0; 3][..], |(row, column)| {
                    &picture[(row * width + column) as usize * channels..][..3]
                });
                assert_eq!(&found.pixels[at..at + 3], wanted, "row {row}, column {column}");
            }
            for cut in [60, 90, bytes.len() / 2] {
                assert!(decode(&bytes[..cut], SMALL).is_err());
            }
        }
    }

    #[test]
    fn damage_in_the_data_of_a_jpeg_is_noticed() {
        let with_restarts = |is_progressive| {
            let configure = |encoder: &mut Encoder<&mut Vec<u8>>| {
                encoder.set_restart_interval(1);
                encoder.set_progressive(is_progressive);
            };
            encode_jpeg(configure, ColorType::Rgb, 3)
        };
        for is_progressive in [false, true] {
            let bytes = with_restarts(is_progressive);
            let name = if is_progressive { "progressive" } else { "baseline" };
            assert!(pixels(&bytes, FULL).is_ok(), "{name}");
            let is_restart =
                |at: &usize| bytes[*at] == 0xff && (0xd0..0xd8).contains(&bytes[at + 1]);
            let restarts: Vec<usize> = (0..bytes.len() - 1).filter(is_restart).collect();
            assert!(restarts.len() >= 2, "{name}");
            for (&start, &end) in restarts.iter().zip(&restarts[1..]) {
                let doubled = [&bytes[..end], &bytes[start..]].concat();
                let dropped = [&bytes[..start], &bytes[end..]].concat();
                let joined = [&bytes[..start], &bytes[start + 2..]].concat();
                for (damaged, size) in [doubled, dropped, joined]
                    .iter()
                    .flat_map(|file| SIZES.map(|size| (file, size)))
                {
                    let cause = pixels(damaged, size).unwrap_err();
                    assert!(cause.contains("restart markers"), "{name}: {cause}");
                }
            }
        }
        let common = jpegs();
        let is_one_scan = |name: &str| ["baseline", "subsampled", "grey"].contains(&name);
        for (name, bytes) in common.into_iter().filter(|(name, _)| is_one_scan(name)) {
            let end = bytes.len() - 2;
            let longer = [&bytes[..end], &[0x5a; 3], &bytes[end..]].concat();
            let mut zeroed = bytes.clone();
            zeroed[end - 300..end].fill(0);
            for (damaged, size) in
                [longer, zeroed].iter().flat_map(|file| SIZES.map(|size| (file, size)))
            {
                let cause = pixels(damaged, size).unwrap_err();
                assert!(cause.starts_with("damaged JPEG: its data"), "{name}: {cause}");
            }
        }
        let mut causes = 0;
        for (_, bytes) in jpegs() {
            for at in 2..bytes.len().min(700) {
                let mut flipped = bytes.clone();
                flipped[at] ^= 0x42;
                if let Err(cause) = pixels(&flipped, SMALL) {
                    assert!(!cause.contains(['{', '"', '_']) && !cause.contains("Err"), "{cause}");
                    causes += 1;
                }
            }
        }
        assert!(causes > 1000);
    }

    /// The same pixels as an upright picture, turned by the definitions of EXIF's eight values:
    /// where the first stored row and the first stored column lie.
    fn upright(pixels: &[u8], (width, height): (usize, usize), orientation: u8) -> Vec<u8> {
        let turned = if orientation < 5 { (width, height) } else { (height, width) };
        let mut upright = vec![0; pixels.len()];
        for (row, column) in (0..height).flat_map(|row| (0..width).map(move |at| (row, at))) {
            let (bottom, right) = (height - 1 - row, width - 1 - column);
            let (y, x) = match orientation {
                1 => (row, column),    // top, left
                2 => (row, right),     // top, right
                3 => (bottom, right),  // bottom, right
                4 => (bottom, column), // bottom, left
                5 => (column, row),    // left, top
                6 => (column, bottom), // right, top
                7 => (right, bottom),  // right, bottom
                _ => (right, row),     // left, bottom
            };
            upright[(y * turned.0 + x) * 3..][..3]
                .copy_from_slice(&pixels[(row * width + column) * 3..][..3]);
        }
        upright
    }

    #[test]
    fn every_orientation_of_every_format_is_turned_upright_or_ignored() {
        let picture = picture(3);
        let png = encode_png(png::ColorType::Rgb, png::BitDepth::Eight, 3);
        let mut webp = Vec::new();
        let (wide, high) = (SIDE.0 as u32, SIDE.1 as u32);
        for orientation in 1..=8 {
            let size = if orientation < 5 { (wide, high) } else { (high, wide) };
            let wanted = plain(size.0, size.1, upright(&picture, SIDE, orientation));
            for big_endian in [false, true] {
                let exif = exif(orientation, big_endian);
                webp.clear();
                let mut encoder = image_webp::WebPEncoder::new(&mut webp);
                encoder.set_exif_metadata(exif.clone());
                encoder.encode(&picture, wide, high, image_webp::ColorType::Rgb8).unwrap();
                let files = [
                    png_with(&png, b"eXIf", &exif),
                    png_with_at(&png, png.len() - 12, b"eXIf", &exif),
                    png_with(&png, b"eXIf", &[b"Exif\0\0", &exif[..]].concat()),
                    webp.clone(),
                ];
                for bytes in files {
                    assert_eq!(dimensions(&bytes, Exif::Turn), Ok(size));
                    assert_eq!(dimensions(&bytes, Exif::Ignore), Ok((wide, high)));
                    for size in [1, 5, 20, 21, 40] {
                        let found = decode(&bytes, size).unwrap();
                        assert_eq!(found.facts.orientation, orientation);
                        assert_eq!((found.facts.width, found.facts.height), (wide, high));
                        assert!(fitted(&found, size) == fitted(&wanted, size), "{orientation}");
                        let ignored =
                            super::decode(&bytes, Target { exif: Exif::Ignore, ..target(size) })
                                .unwrap();
                        let stored = plain(wide, high, picture.clone());
                        assert!(fitted(&ignored, size) == fitted(&stored, size));
                    }
                }
                let mut damaged = png_with(&png, b"eXIf", &exif);
                damaged[33 + 8] ^= 1;
                assert_eq!(dimensions(&damaged, Exif::Turn), Ok((wide, high)));
            }
        }
        for value in [0, 9, 255] {
            let odd = png_with(&png, b"eXIf", &exif(value, true));
            assert!(decode(&odd, SMALL).is_ok_and(|image| image.facts.orientation == 1));
        }
    }

    #[test]
    fn jpegs_are_turned_at_every_scale() {
        for (name, bytes) in jpegs() {
            for orientation in 1..=8 {
                let marked = jpeg_with_exif(&bytes, &exif(orientation, orientation % 2 == 0));
                let size = if orientation < 5 { SIDE } else { (SIDE.1, SIDE.0) };
                let found = decode(&marked, FULL).unwrap();
                let stored = jpeg(&bytes).unwrap();
                let wanted =
                    plain(size.0 as u32, size.1 as u32, upright(&stored, SIDE, orientation));
                assert!(fitted(&found, FULL) == fitted(&wanted, FULL), "{name} {orientation}");
                for small in [SMALL, 2, 4] {
                    let found = fitted(&decode(&marked, small).unwrap(), small);
                    let whole = fitted(&wanted, small);
                    let most = found.iter().zip(&whole).map(|(a, b)| a.abs_diff(*b)).max();
                    // As far as reduced and whole are apart for so rough a picture.
                    assert!(most <= Some(24), "{name} {orientation} at {small}: {most:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_lost_of_a_file_is_a_fact() {
        let facts = |bytes: &[u8]| decode(bytes, SMALL).unwrap().facts;
        let plain = facts(&encode_png(png::ColorType::Rgb, png::BitDepth::Eight, 3));
        assert_eq!(plain, Facts::new(Format::Png, SIDE.0 as u32, SIDE.1 as u32));
        let see_through = facts(&encode_png(png::ColorType::Rgba, png::BitDepth::Eight, 4));
        let dropped = see_through.dropped;
        assert_eq!(see_through, Facts { transparent: true, dropped, ..plain });
        let webp = facts(&encode_webp(image_webp::ColorType::Rgba8, 4));
        assert!(webp.transparent && webp.format == Format::WebP);

        let deep = |samples: &[u16], colour| {
            let mut bytes = Vec::new();
            let mut encoder = png::Encoder::new(&mut bytes, 1, 2);
            encoder.set_color(colour);
            encoder.set_depth(png::BitDepth::Sixteen);
            let samples: Vec<u8> = samples.iter().flat_map(|value| value.to_be_bytes()).collect();
            encoder.write_header().unwrap().write_image_data(&samples).unwrap();
            bytes
        };
        let grey = facts(&deep(&[4047, 12], png::ColorType::Grayscale));
        assert_eq!((grey.bits, grey.range, grey.transparent), (16, Some((12, 4047)), false));
        let opaque = [4047, u16::MAX, 12, u16::MAX];
        let grey = facts(&deep(&opaque, png::ColorType::GrayscaleAlpha));
        assert_eq!((grey.range, grey.transparent), (Some((12, 4047)), false));
        let grey = facts(&deep(&[4047, 7, 12, u16::MAX], png::ColorType::GrayscaleAlpha));
        assert_eq!((grey.range, grey.transparent), (Some((12, 4047)), true));
        // Pictures that differ in their opacity alone are different pictures.
        let with = |alpha| facts(&deep(&[4047, alpha, 12, 9], png::ColorType::GrayscaleAlpha));
        assert_ne!(with(7).dropped, with(8).dropped);
        assert_eq!(with(7).dropped, with(7).dropped);
        assert_ne!(dropped, 0);
    }

    #[test]
    fn fit_keeps_equal_sizes_and_averages_reductions() {
        let image = plain(4, 4, (0..48).collect());
        let mut out = [0; 48];
        fit(&image, 4, &mut out).unwrap();
        assert_eq!(out[..], image.pixels[..]);

        // Stripes of one pixel become grey only if the filter covers them. A nearest-pixel filter
        // would leave black or white.
        let stripes = (0..64 * 48).flat_map(|at| [if at % 2 == 0 { 0 } else { 255 }; 3]).collect();
        let stripes = plain(64, 48, stripes);
        let mut out = vec![0; 8 * 8 * 3];
        fit(&stripes, 8, &mut out).unwrap();
        assert!(out.iter().all(|&value| value.abs_diff(127) <= 8), "{out:?}");
    }

    #[test]
    fn fit_is_the_triangle_filter_on_the_shorter_side_and_then_the_centre() {
        // At these sizes the centre starts on a whole pixel, so the oracle can resize first and
        // crop afterwards.
        for (width, height, size) in
            [(40, 20, 10), (20, 40, 10), (30, 30, 7), (12, 6, 18), (64, 32, 1)]
        {
            let pixels =
                (0..width * height * 3).map(|at| ((at * 7919) >> 3) as u8 ^ (at as u8)).collect();
            let image = plain(width as u32, height as u32, pixels);
            let mut out = vec![0; size * size * 3];
            fit(&image, size as u32, &mut out).unwrap();

            let scale = width.min(height) as f64 / size as f64;
            let (left, top) = (
                (width - width.min(height)) as f64 / 2.0,
                (height - width.min(height)) as f64 / 2.0,
            );
            let weights = |place: usize, offset: f64, length: usize| -> Vec<f64> {
                let (centre, support) = (offset + (place as f64 + 0.5) * scale, scale.max(1.0));
                let raw: Vec<f64> = (0..length)
                    .map(|at| (1.0 - (at as f64 + 0.5 - centre).abs() / support).max(0.0))
                    .collect();
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
                // Each of the two passes rounds to whole levels, and the second pass rounds the
                // result of the first. Together this is at most one level.
                assert!(
                    (f64::from(value) - wanted).abs() <= 1.1,
                    "{value} for {wanted} in {width}x{height} to {size}"
                );
            }
        }
    }
}
