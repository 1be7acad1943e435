//! BMP, GIF, TIFF and PNM: formats that are read whole, row by row.

mod chunks;

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::bmp::BmpDecoder;
use image::codecs::pnm::PnmDecoder;
use tiff::decoder::{DecodingResult, Limits};
use tiff::tags::Tag;

use crate::facts::{Facts, Format};
use crate::orientation;
use crate::target::{Plan, RgbImage, Rows};

fn damaged(format: Format) -> impl Fn(&dyn std::fmt::Display) -> String {
    move |error| format!("damaged {}: {error}", format.name())
}

/// Reads the facts that a header tells. The caller has seen by the first bytes which format it is.
pub(crate) fn header(format: Format, bytes: &[u8]) -> Result<Facts, String> {
    let damaged = damaged(format);
    match format {
        Format::Bmp => {
            let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
            let (width, height) = decoder.dimensions();
            Ok(Facts::new(format, width, height))
        }
        Format::Gif => {
            let decoder = gif_decoder(bytes)?;
            Ok(Facts::new(format, decoder.width().into(), decoder.height().into()))
        }
        Format::Tiff => tiff_header(bytes),
        _ => {
            let decoder = PnmDecoder::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
            let (width, height) = decoder.dimensions();
            let bits = 32 - decoder.header().maximal_sample().leading_zeros();
            Ok(Facts { bits: bits as u8, ..Facts::new(format, width, height) })
        }
    }
}

/// Decodes the part of a file that is kept.
pub(crate) fn decode(bytes: &[u8], plan: &Plan) -> Result<RgbImage, String> {
    match plan.facts.format {
        Format::Bmp => {
            let damaged = damaged(Format::Bmp);
            let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
            let channels = usize::from(decoder.color_type().channel_count());
            let samples = samples(decoder).map_err(|error| damaged(&error))?;
            let mut rows = Rows::new(plan, channels);
            rows.push_all(&samples);
            Ok(rows.image())
        }
        Format::Gif => gif(bytes, plan),
        Format::Tiff => tiff(bytes, plan),
        _ => pnm(bytes, plan),
    }
}

/// Decodes all samples. Those of 16 bits have the order of bytes of this machine.
fn samples(decoder: impl ImageDecoder) -> image::ImageResult<Vec<u8>> {
    // The header was read before, and its size checked.
    let mut samples = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut samples)?;
    Ok(samples)
}

/// The decoder scales samples from the greatest value that the header gives to the whole range.
fn pnm(bytes: &[u8], plan: &Plan) -> Result<RgbImage, String> {
    let damaged = damaged(Format::Pnm);
    let mut place = Cursor::new(bytes);
    let decoder = PnmDecoder::new(&mut place).map_err(|error| damaged(&error))?;
    let kind = decoder.color_type();
    let channels = usize::from(kind.channel_count());
    let is_deep = usize::from(kind.bytes_per_pixel()) > channels;
    let mut samples = samples(decoder).map_err(|error| damaged(&error))?;
    let mut rows = Rows::new(plan, channels);
    if is_deep {
        for pair in samples.as_chunks_mut::<2>().0 {
            *pair = u16::from_ne_bytes(*pair).to_be_bytes();
        }
        rows.push_all_deep(&samples);
    } else {
        rows.push_all(&samples);
    }
    // A file may hold one picture after the other.
    let rest = bytes.get(place.position() as usize..).unwrap_or_default();
    rows.facts.several = matches!(rest.trim_ascii_start(), [b'P', b'1'..=b'7', ..]);
    Ok(rows.image())
}

fn gif_decoder(bytes: &[u8]) -> Result<gif::Decoder<Cursor<&[u8]>>, String> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    options.check_frame_consistency(true);
    options.read_info(Cursor::new(bytes)).map_err(|error| damaged(Format::Gif)(&error))
}

/// Decodes the first picture on the whole screen. What it leaves free is transparent black.
fn gif(bytes: &[u8], plan: &Plan) -> Result<RgbImage, String> {
    let damaged = damaged(Format::Gif);
    let mut decoder = gif_decoder(bytes)?;
    let frame = decoder.next_frame_info().map_err(|error| damaged(&error))?;
    let frame = frame.ok_or("damaged GIF: it holds no picture")?;
    let place = (frame.left.into(), frame.top.into());
    let (width, height) = (frame.width, frame.height);
    let mut picture = vec![0; usize::from(width) * usize::from(height) * 4];
    decoder.read_into_buffer(&mut picture).map_err(|error| damaged(&error))?;
    let mut rows = Rows::new(plan, 4);
    rows.push_picture(place, width.into(), 4, &picture);
    rows.facts.several = decoder.next_frame_info().is_ok_and(|next| next.is_some());
    Ok(rows.image())
}

type TiffDecoder<'a> = tiff::decoder::Decoder<Cursor<&'a [u8]>>;

fn tiff_decoder(bytes: &[u8]) -> Result<TiffDecoder<'_>, String> {
    let decoder = TiffDecoder::new(Cursor::new(bytes)).map_err(|error| unread_tiff(&error))?;
    // The size is checked before pixels are decoded.
    let mut limits = Limits::default();
    limits.decoding_buffer_size = 1 << 30;
    Ok(decoder.with_limits(limits))
}

fn unread_tiff(error: &tiff::TiffError) -> String {
    match error {
        tiff::TiffError::UnsupportedError(kind) => {
            format!("a TIFF of a kind that is not read ({kind}); convert it to PNG")
        }
        error => damaged(Format::Tiff)(error),
    }
}

fn tiff_header(bytes: &[u8]) -> Result<Facts, String> {
    let mut decoder = tiff_decoder(bytes)?;
    let (width, height) = decoder.dimensions().map_err(|error| unread_tiff(&error))?;
    let mut number = |tag| decoder.find_tag_unsigned::<u32>(tag).ok().flatten();
    // Camera's raw files are TIFFs whose first picture is a small copy.
    if number(Tag::NewSubfileType).is_some_and(|kind| kind & 1 == 1) {
        return Err(
            "a TIFF that starts with a reduced copy, as a camera's raw file does; convert \
                    it to PNG or JPEG"
                .into(),
        );
    }
    let orientation = match number(Tag::Orientation) {
        Some(number) => orientation::valid(number),
        None => {
            let xmp = decoder.find_tag(Tag::Unknown(XMP)).ok().flatten();
            let xmp = xmp.and_then(|packet| packet.into_u8_vec().ok()).unwrap_or_default();
            orientation::of_xmp(&xmp)
        }
    };
    let bits = decoder.colortype().map_err(|error| unread_tiff(&error))?.bit_depth();
    Ok(Facts {
        orientation: orientation.unwrap_or(1),
        bits,
        several: decoder.more_images(),
        ..Facts::new(Format::Tiff, width, height)
    })
}

/// The tag that tells which inks the channels of a TIFF are.
const INK_SET: u16 = 332;
/// The tag of a packet of XMP.
const XMP: u16 = 700;

fn tiff(bytes: &[u8], plan: &Plan) -> Result<RgbImage, String> {
    use tiff::ColorType::{CMYK, Gray, GrayA, Multiband, RGB, RGBA};
    let mut decoder = tiff_decoder(bytes)?;
    let colours = decoder.colortype().map_err(|error| unread_tiff(&error))?;
    let mut numbers =
        |tag| decoder.find_tag_unsigned_vec::<u16>(tag).ok().flatten().unwrap_or_default();
    let extra = numbers(Tag::ExtraSamples);
    let is_signed_or_real = numbers(Tag::SampleFormat).iter().any(|&format| format != 1);
    if matches!(colours, CMYK(_)) && numbers(Tag::Unknown(INK_SET)).iter().any(|&set| set != 1) {
        return Err(
            "a TIFF of inks other than cyan, magenta, yellow and black, which is not read; \
                    convert it to RGB"
                .into(),
        );
    }
    let is_planar = numbers(Tag::PlanarConfiguration).first() == Some(&2);
    let has_alpha = matches!(extra.as_slice(), [1 | 2]);
    let (stored, shown) = match colours {
        Gray(1 | 2 | 4 | 8 | 16) => (1, 1),
        GrayA(8 | 16) => (2, 2),
        Multiband { bit_depth: 8 | 16, num_samples: 2 } if has_alpha => (2, 2),
        RGB(8 | 16) => (3, 3),
        RGBA(8 | 16) if has_alpha => (4, 4),
        CMYK(8) => (4, 3),
        _ => (0, 0),
    };
    if stored == 0 || is_signed_or_real || (is_planar && stored > 1) {
        let arrangement = match (is_planar, is_signed_or_real) {
            (true, _) => ", one channel after the other",
            (_, true) => ", signed or real",
            _ => "",
        };
        return Err(format!(
            "a TIFF of {colours:?}{arrangement}, which is not read; convert it to \
                            8-bit or 16-bit grey or RGB"
        ));
    }
    let readable = chunks::readable(bytes, &mut decoder)?;
    let mut decoder = match &readable {
        Some(readable) => tiff_decoder(readable)?,
        None => decoder,
    };
    let mut samples = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut samples).map_err(|error| unread_tiff(&error))?;
    let mut rows = Rows::new(plan, shown);
    match (samples, colours.bit_depth()) {
        (DecodingResult::U8(samples), 8) if matches!(colours, CMYK(_)) => {
            let (inks, _) = samples.as_chunks::<4>();
            rows.push_all(&inks.iter().flat_map(|&inks| from_inks(inks)).collect::<Vec<u8>>());
        }
        (DecodingResult::U8(samples), 8) => rows.push_all(&samples),
        (DecodingResult::U8(samples), bits @ (1 | 2 | 4)) => {
            let width = plan.facts.width as usize;
            let per_byte = usize::from(8 / bits);
            let top = u8::MAX >> (8 - bits);
            let mut line = vec![0; width];
            for (row, packed) in (0..).zip(samples.chunks_exact(width.div_ceil(per_byte))) {
                for (at, grey) in line.iter_mut().enumerate() {
                    let shift = usize::from(bits) * (per_byte - 1 - at % per_byte);
                    *grey = (packed[at / per_byte] >> shift & top) * (u8::MAX / top);
                }
                rows.push(row, &line);
            }
        }
        (DecodingResult::U16(samples), _) => {
            let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_be_bytes()).collect();
            rows.push_all_deep(&bytes);
        }
        _ => return Err("damaged TIFF: its samples are not as it says".into()),
    }
    if extra.first() == Some(&1) && rows.facts.transparent {
        return Err("a TIFF whose colours are multiplied by their opacity, which is not read; \
                    convert it to PNG"
            .into());
    }
    Ok(rows.image())
}

/// Converts from cyan, magenta, yellow and black, without a colour profile.
pub(crate) fn from_inks([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = |ink: u8| u32::from(u8::MAX - ink);
    [c, m, y].map(|ink| ((light(ink) * light(k) + 127) / 255) as u8)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use image::ExtendedColorType;
    use image::codecs::bmp::BmpEncoder;
    use tiff::encoder::colortype::{self, ColorType};
    use tiff::encoder::{TiffEncoder, TiffValue};

    use super::*;
    use crate::facts::Exif;
    use crate::target::Target;

    const SIZE: (u32, u32) = (5, 3);

    fn read(bytes: &[u8]) -> Result<RgbImage, String> {
        let format = crate::signature::format(bytes)?;
        let target = Target { image: 3, source: 3, exif: Exif::Ignore };
        let plan = Plan::new(header(format, bytes)?, target);
        // All of so small an image is within the filter's reach.
        decode(bytes, &plan)
    }

    fn picture(channels: usize) -> Vec<u8> {
        (0..15 * channels).map(|at| (at * 37 + at * at) as u8).collect()
    }

    fn replicated(grey: &[u8]) -> Vec<u8> {
        grey.iter().flat_map(|&grey| [grey; 3]).collect()
    }

    fn tiff_of<C: ColorType>(samples: &[C::Inner], tags: &[(Tag, u16)]) -> Vec<u8>
    where
        [C::Inner]: TiffValue,
    {
        let mut bytes = Vec::new();
        let mut encoder = TiffEncoder::new(Cursor::new(&mut bytes)).unwrap();
        let mut image = encoder.new_image::<C>(SIZE.0, SIZE.1).unwrap();
        for &(tag, value) in tags {
            image.encoder().write_tag(tag, value).unwrap();
        }
        image.write_data(samples).unwrap();
        bytes
    }

    fn gif_of(frames: &[(u16, u16, u16, u16)]) -> Vec<u8> {
        let palette: Vec<u8> = (0..48).map(|at| (at * 5) as u8).collect();
        let mut bytes = Vec::new();
        let mut encoder =
            gif::Encoder::new(&mut bytes, SIZE.0 as u16, SIZE.1 as u16, &palette).unwrap();
        for &(left, top, width, height) in frames {
            let pixels: Vec<u8> = (0..width * height).map(|at| (at % 16) as u8).collect();
            let frame = gif::Frame { left, top, width, height, ..gif::Frame::default() };
            encoder.write_frame(&gif::Frame { buffer: Cow::Owned(pixels), ..frame }).unwrap();
        }
        drop(encoder);
        bytes
    }

    #[test]
    fn bmps_give_their_pixels() {
        for (kind, channels) in [
            (ExtendedColorType::L8, 1),
            (ExtendedColorType::Rgb8, 3),
            (ExtendedColorType::Rgba8, 4),
        ] {
            let mut bytes = Vec::new();
            let samples = picture(channels);
            BmpEncoder::new(&mut bytes).encode(&samples, SIZE.0, SIZE.1, kind).unwrap();
            let wanted: Vec<u8> = match channels {
                1 => replicated(&samples),
                _ => samples.chunks(channels).flat_map(|pixel| &pixel[..3]).copied().collect(),
            };
            let image = read(&bytes).unwrap();
            assert_eq!((image.pixels, image.facts.transparent), (wanted, channels == 4));
        }
    }

    #[test]
    fn the_first_picture_of_a_gif_lies_on_its_screen() {
        let colour = |number: usize| [0, 1, 2].map(|channel| (number * 15 + channel * 5) as u8);
        let whole = read(&gif_of(&[(0, 0, 5, 3)])).unwrap();
        let wanted: Vec<u8> = (0..15).flat_map(colour).collect();
        assert_eq!(whole.pixels, wanted);
        assert!(!whole.facts.several && !whole.facts.transparent);

        let part = read(&gif_of(&[(2, 1, 2, 2), (0, 0, 5, 3)])).unwrap();
        let mut wanted = [[0; 3]; 15];
        for (place, number) in [(7, 0), (8, 1), (12, 2), (13, 3)] {
            wanted[place] = colour(number);
        }
        assert_eq!(part.pixels, wanted.concat());
        assert!(part.facts.several && part.facts.transparent);
        assert!(read(&gif_of(&[(4, 1, 2, 2)])).is_err(), "it reaches beyond the screen");
        assert!(read(&gif_of(&[])).is_err(), "it holds no picture");
    }

    #[test]
    fn tiffs_give_their_pixels_and_facts() {
        let grey = picture(1);
        let image = read(&tiff_of::<colortype::Gray8>(&grey, &[(Tag::Orientation, 6)])).unwrap();
        assert_eq!((image.pixels, image.facts.orientation), (replicated(&grey), 6));
        let rgb = picture(3);
        let image = read(&tiff_of::<colortype::RGB8>(&rgb, &[(Tag::Orientation, 9)])).unwrap();
        assert_eq!((&image.pixels, image.facts.orientation), (&rgb, 1));

        let inks = [[0, 0, 0, 0], [255, 0, 0, 0], [0, 128, 0, 0], [7, 9, 11, 255], [51, 0, 0, 51]];
        let lights = [[255; 3], [0, 255, 255], [255, 127, 255], [0; 3], [163, 204, 204]];
        let cmyk = tiff_of::<colortype::CMYK8>(&inks.concat().repeat(3), &[]);
        assert_eq!(read(&cmyk).unwrap().pixels, lights.concat().repeat(3));

        let deep: Vec<u16> = (0..15).map(|at| 100 + at * 256).collect();
        let image = read(&tiff_of::<colortype::Gray16>(&deep, &[])).unwrap();
        assert_eq!(image.pixels, replicated(&(0..15).collect::<Vec<u8>>()));
        assert_eq!((image.facts.bits, image.facts.range), (16, Some((100, 3684))));

        let rgba = picture(4);
        let wanted: Vec<u8> = rgba.chunks(4).flat_map(|pixel| &pixel[..3]).copied().collect();
        let image = read(&tiff_of::<colortype::RGBA8>(&rgba, &[(Tag::ExtraSamples, 2)])).unwrap();
        assert_eq!((image.pixels, image.facts.transparent), (wanted, true));

        let mut bytes = Vec::new();
        let mut encoder = TiffEncoder::new(Cursor::new(&mut bytes)).unwrap();
        for _ in 0..2 {
            encoder.write_image::<colortype::Gray8>(SIZE.0, SIZE.1, &grey).unwrap();
        }
        assert!(read(&bytes).unwrap().facts.several);
    }

    #[test]
    fn tiffs_of_rare_kinds_are_refused_by_name() {
        let real: Vec<f32> = vec![0.5; 15];
        let deep: Vec<u32> = vec![7; 15];
        let signed: Vec<i8> = vec![7; 15];
        let rgba = picture(4);
        for (bytes, word) in [
            (tiff_of::<colortype::Gray32Float>(&real, &[]), "real"),
            (tiff_of::<colortype::Gray32>(&deep, &[]), "32"),
            (tiff_of::<colortype::GrayI8>(&signed, &[]), "signed"),
            (tiff_of::<colortype::RGBA8>(&rgba, &[(Tag::ExtraSamples, 1)]), "opacity"),
            (tiff_of::<colortype::Gray8>(&picture(1), &[(Tag::NewSubfileType, 1)]), "raw"),
        ] {
            let cause = read(&bytes).map(|_| ()).unwrap_err();
            assert!(cause.contains(word) && cause.contains("convert"), "{word}: {cause}");
        }
    }

    #[test]
    fn pnms_are_scaled_to_the_whole_range() {
        let with = |header: &str, samples: &[u8]| [header.as_bytes(), samples].concat();
        let grey: Vec<u8> = (0..15).collect();
        let wanted: Vec<u8> = grey.iter().map(|grey| grey * 17).collect();
        let image = read(&with("P5 5 3 15\n", &grey)).unwrap();
        assert_eq!((image.pixels, image.facts.bits), (replicated(&wanted), 4));
        let rgb = picture(3);
        assert_eq!(read(&with("P6\n# camera\n5 3\n255\n", &rgb)).unwrap().pixels, rgb);
        let text =
            "P2 5 3 4095 0 273 546 819 1092 1365 1638 1911 2184 2457 2730 3003 3276 3549 4095";
        let image = read(text.as_bytes()).unwrap();
        assert_eq!(image.facts.bits, 12);
        assert_eq!(image.facts.range, Some((0, u16::MAX)));
        assert_eq!(image.pixels[..9], [0, 0, 0, 17, 17, 17, 34, 34, 34]);
        let bits = read(&with("P4 5 3\n", &[0b1010_1000, 0, 0xff])).unwrap();
        let row = |bits: [u8; 5]| replicated(&bits.map(|bit| bit * 255));
        assert_eq!(bits.pixels, [row([0, 1, 0, 1, 0]), row([1; 5]), row([0; 5])].concat());
        assert!(read(&with("P5 5 3 15\n", &grey[..14])).is_err());
        // Of several pictures, the first is read.
        let one = with("P6 5 3 255\n", &rgb);
        for (file, several) in [
            (one.clone(), false),
            ([one.as_slice(), b"\n"].concat(), false),
            ([one.as_slice(), &one].concat(), true),
            ([text.as_bytes(), b"\n", text.as_bytes()].concat(), true),
        ] {
            assert_eq!(read(&file).unwrap().facts.several, several);
        }
    }
}
