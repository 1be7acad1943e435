//! Milliseconds to decode an image and bring it to a size, by one thread, beside decoding a JPEG
//! whole: `cargo run --release -p selfsame-data --example decode`.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use selfsame_data::{LoadOptions, load};
use zune_core::bytestream::ZCursor;
use zune_jpeg::JpegDecoder;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    // Both ways in one thread of the same kind, since memory is not given out alike to all kinds.
    rayon::ThreadPoolBuilder::new().num_threads(1).build()?.install(measure)
}

fn measure() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    for (width, height, sizes) in
        [(500, 375, &[32, 64, 224][..]), (2000, 1500, &[64, 224]), (4000, 3000, &[64, 224])]
    {
        let picture = picture(width, height);
        for (name, bytes) in files(&picture, width, height)? {
            let path = folder.path().join(format!("{width}x{height} {name}"));
            fs::create_dir(&path)?;
            for copy in 0..COPIES {
                fs::write(path.join(format!("{copy}.{}", &name[..3])), &bytes)?;
            }
            print!("{width:4}x{height:<4} {name:15} {:4} KB", bytes.len() / 1000);
            for &size in sizes {
                let ours = best(|| read(&path, size))? / f64::from(COPIES);
                print!("   to {size}: {ours:.2} ms");
                if name.starts_with("jpg") {
                    let whole =
                        best(|| (0..COPIES).try_for_each(|_| whole(&bytes, width, height, size)))?;
                    print!(", whole {:.2} ms", whole / f64::from(COPIES));
                }
            }
            println!();
        }
    }
    Ok(())
}

/// Images in a folder.
const COPIES: u32 = 8;

/// Milliseconds that `work` takes, the best of several times.
fn best(work: impl Fn() -> Outcome<()>) -> Outcome<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        work()?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(best)
}

fn read(path: &Path, size: u32) -> Outcome<()> {
    let options = LoadOptions { image_size: Some(size), strict: true, ..LoadOptions::default() };
    load(&path.to_string_lossy(), &options, &|_, _| {})?;
    Ok(())
}

fn whole(bytes: &[u8], width: u32, height: u32, size: u32) -> Outcome<()> {
    let pixels =
        JpegDecoder::new(ZCursor::new(bytes)).decode().map_err(|error| format!("{error:?}"))?;
    let side = width.min(height);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let options = options.crop(left.into(), top.into(), side.into(), side.into());
    let source = TypedImageRef::<U8x3>::from_buffer(width, height, &pixels)?;
    Resizer::new().resize_typed(&source, &mut TypedImage::<U8x3>::new(size, size), &options)?;
    Ok(())
}

/// Soft shapes under a fine grain, which a JPEG takes about as many bits for as a photograph.
fn picture(width: u32, height: u32) -> Vec<u8> {
    let pixel = |at: u32| {
        let (x, y) =
            (f64::from(at % width) / f64::from(width), f64::from(at / width) / f64::from(width));
        let shape =
            (x * 23.0 + (y * 11.0).sin() * 3.0).sin() * (y * 31.0 + (x * 17.0).cos() * 2.0).cos();
        let grain = f64::from(at.wrapping_mul(2_654_435_761) >> 24) / 255.0 - 0.5;
        let light = 128.0 + 70.0 * (shape * 4.0).tanh() + 12.0 * grain;
        [light + 20.0 * x, light, light - 30.0 * y].map(|value| value as u8)
    };
    (0..width * height).flat_map(pixel).collect()
}

fn files(picture: &[u8], width: u32, height: u32) -> Outcome<Vec<(&'static str, Vec<u8>)>> {
    let jpeg = |quality, sampling, progressive| {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, quality);
        encoder.set_sampling_factor(sampling);
        encoder.set_progressive(progressive);
        encoder.encode(picture, width as u16, height as u16, ColorType::Rgb).map(|()| bytes)
    };
    let mut files = vec![
        ("jpg 4:2:0", jpeg(80, SamplingFactor::F_2_2, false)?),
        ("jpg 4:4:4", jpeg(92, SamplingFactor::F_1_1, false)?),
        ("jpg progressive", jpeg(80, SamplingFactor::F_2_2, true)?),
    ];
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(picture)?;
    files.push(("png", png));
    Ok(files)
}
