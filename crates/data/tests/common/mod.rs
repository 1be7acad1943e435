//! What the tests share: small encoded images and folders of them.
#![allow(dead_code, reason = "every test file uses a part of it")]

pub(crate) mod scans;

use std::fs;
use std::path::Path;

use selfsame_data::{DataError, Dataset, LoadOptions};

/// RGB pixels that differ from image to image.
pub(crate) fn picture(number: usize, side: usize) -> Vec<u8> {
    (0..side * side * 3).map(|at| (at * 5 + number * 37 + (at * at + number) / 17) as u8).collect()
}

pub(crate) fn jpeg(number: usize, side: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 85);
    encoder.set_progressive(number % 4 == 3);
    encoder
        .encode(&picture(number, side), side as u16, side as u16, jpeg_encoder::ColorType::Rgb)
        .unwrap();
    bytes
}

pub(crate) fn png(number: usize, side: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side as u32, side as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&picture(number, side)).unwrap();
    bytes
}

pub(crate) fn webp(number: usize, side: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = image_webp::WebPEncoder::new(&mut bytes);
    encoder
        .encode(&picture(number, side), side as u32, side as u32, image_webp::ColorType::Rgb8)
        .unwrap();
    bytes
}

/// An archive of (name, bytes), in that order.
pub(crate) fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // Written directly: the builder itself refuses names that point outside.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn bmp(number: usize, side: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::bmp::BmpEncoder::new(&mut bytes)
        .encode(&picture(number, side), side as u32, side as u32, image::ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

/// A GIF of 16 colours.
pub(crate) fn gif(number: usize, side: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder =
        gif::Encoder::new(&mut bytes, side as u16, side as u16, &picture(number, 4)).unwrap();
    let pixels: Vec<u8> = (0..side * side).map(|at| ((at * 7 + number) % 16) as u8).collect();
    let (width, height) = (side as u16, side as u16);
    let frame = gif::Frame { width, height, buffer: pixels.into(), ..gif::Frame::default() };
    encoder.write_frame(&frame).unwrap();
    drop(encoder);
    bytes
}

/// A TIFF, of 16-bit grey values at every third number.
pub(crate) fn tiff(number: usize, side: usize) -> Vec<u8> {
    use tiff::encoder::{TiffEncoder, colortype};
    let mut bytes = Vec::new();
    let mut encoder = TiffEncoder::new(std::io::Cursor::new(&mut bytes)).unwrap();
    let (size, rgb) = (side as u32, picture(number, side));
    if number.is_multiple_of(3) {
        let deep: Vec<u16> = (0..side * side).map(|at| (at * 257 + number) as u16).collect();
        encoder.write_image::<colortype::Gray16>(size, size, &deep).unwrap();
    } else {
        encoder.write_image::<colortype::RGB8>(size, size, &rgb).unwrap();
    }
    bytes
}

pub(crate) fn pnm(number: usize, side: usize) -> Vec<u8> {
    [format!("P6 {side} {side} 255\n").as_bytes(), &picture(number, side)].concat()
}

/// Writes `bytes` to `folder/name`, making the folders between.
pub(crate) fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

pub(crate) fn load(path: &Path, options: &LoadOptions) -> Result<Dataset, DataError> {
    selfsame_data::load(path.to_str().unwrap(), options, &|_, _| {})
}

pub(crate) fn load_plainly(path: &Path) -> Dataset {
    load(path, &LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Every image of the set: split, name, class name, pixels.
pub(crate) fn contents(set: &Dataset) -> Vec<(char, String, Option<String>, Vec<u8>)> {
    let splits = [('r', &set.train), ('v', &set.validation), ('s', &set.test)];
    splits
        .into_iter()
        .flat_map(|(letter, split)| {
            (0..split.len()).map(move |index| {
                let class =
                    split.labels().map(|labels| set.classes[labels[index] as usize].clone());
                (letter, split.name(index).to_owned(), class, split.image(index).pixels().to_vec())
            })
        })
        .collect()
}

pub(crate) fn sizes(set: &Dataset) -> [usize; 3] {
    [set.train.len(), set.validation.len(), set.test.len()]
}
