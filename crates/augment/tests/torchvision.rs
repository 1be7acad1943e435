//! Views, floats and drawn parameters against torchvision's own: from the files that
//! `fixtures/reference.py` made, and live where torchvision is installed.
//!
//! The live test runs that script with the interpreter named in `SELFSAME_PYTHON`, and without that
//! variable with `python3`, where a torchvision that is missing only skips the test:
//! `SELFSAME_PYTHON=venv/bin/python cargo test --release -p selfsame-augment --test torchvision`.
//! Its cases are new every time; the seed that it prints makes them again where it is given in
//! `SELFSAME_SEED`.

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use common::{draws, numbered};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use selfsame_augment::{
    Adjustment, Draw, GaussianBlur, Image, Isa, Normalise, Policy, Purpose, Scratch, Turn, ViewKey,
};
use serde::{Deserialize, Serialize};

/// What `fixtures/reference.py` says of an image.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Shape {
    width: u32,
    height: u32,
    channels: u32,
}

impl Shape {
    fn bytes(self) -> usize {
        (self.width * self.height * self.channels) as usize
    }

    fn source(self, pixels: &[u8]) -> Image<'_> {
        match self.channels {
            1 => Image::grey(self.width, self.height, pixels).unwrap(),
            _ => Image::rgb(self.width, self.height, pixels).unwrap(),
        }
    }
}

/// A view to make: which image, the view's side, and its draw.
#[derive(Serialize, Deserialize)]
struct Case {
    image: usize,
    size: u32,
    draw: Draw,
}

/// How often torchvision drew what: counts in bins of equal width.
#[derive(Deserialize)]
struct Law {
    name: String,
    low: f64,
    high: f64,
    counts: Vec<u64>,
}

#[derive(Deserialize)]
struct Fixtures {
    images: Vec<Shape>,
    cases: Vec<Case>,
    every_colour: Vec<Checksum>,
    laws: Vec<Law>,
}

#[derive(Deserialize)]
struct Checksum {
    size: u32,
    draw: Draw,
    adler32: u32,
}

fn fixtures() -> (Fixtures, &'static [u8]) {
    (
        serde_json::from_str(include_str!("fixtures/torchvision.json")).unwrap(),
        include_bytes!("fixtures/torchvision.bin"),
    )
}

fn apply(draw: Draw, source: Image<'_>, size: u32) -> Vec<u8> {
    let mut view = vec![0; size as usize * size as usize * source.channels()];
    draw.apply(source, size, &mut Scratch::default(), &mut view).unwrap();
    view
}

/// How many steps a draw makes.
fn steps(draw: &Draw) -> usize {
    let steps = [
        draw.crop.is_some(),
        draw.shift.is_some(),
        draw.rotation.is_some(),
        draw.flip,
        draw.vertical_flip,
        draw.jitter.is_some(),
        draw.grey,
        draw.blur.is_some(),
        draw.solarise.is_some(),
    ];
    steps.into_iter().filter(|&made| made).count()
}

/// What a view is to have in common with torchvision's.
enum Agreement {
    Equal,
    /// A step by itself is one level apart at most, in less than a tenth of the view's bytes. Views
    /// of several steps, which may magnify that, are passed over.
    Close,
    Nothing,
}

/// Makes every view and compares it with torchvision's, whose bytes follow one another in `theirs`.
fn compare_views(
    images: &[(Shape, &[u8])],
    cases: &[Case],
    mut theirs: &[u8],
    agreement: impl Fn(Shape, &Case) -> Agreement,
) {
    for case in cases {
        let (shape, pixels) = images[case.image];
        let ours = apply(case.draw, shape.source(pixels), case.size);
        let (view, rest) = theirs.split_at(ours.len());
        theirs = rest;
        let largest =
            ours.iter().zip(view).map(|(ours, theirs)| ours.abs_diff(*theirs)).max().unwrap();
        let apart = ours.iter().zip(view).filter(|(ours, theirs)| ours != theirs).count();
        let agrees = match agreement(shape, case) {
            Agreement::Equal => apart == 0,
            // Sums that lie beside a half are rare, but one pixel is much of a view of a few.
            Agreement::Close if steps(&case.draw) == 1 => {
                largest <= 1 && apart <= (ours.len() / 10).max(3)
            }
            Agreement::Close | Agreement::Nothing => true,
        };
        let told = || serde_json::to_string(case).unwrap();
        let (bytes, Shape { width, height, .. }) = (ours.len(), shape);
        assert!(
            agrees,
            "{apart} of {bytes} bytes are up to {largest} apart: {width}×{height}, {}",
            told()
        );
    }
    assert!(theirs.is_empty());
}

/// torchvision's own blur sums floats in two dimensions at once, which can round to the level
/// beside.
fn sums_floats(draw: &Draw) -> bool {
    draw.blur.is_some_and(|blur| blur.kernel.is_some())
}

/// A sine's last digit, which differs from one mathematical library to another, can take the pixel
/// in the middle of an odd view a level down.
fn takes_sines(draw: &Draw) -> bool {
    draw.rotation.is_some_and(|turn| turn.smooth)
}

/// Pillow before 13 always resizes the width first. Since then it begins with the height where that
/// shrinks more than twice as much, and the levels are rounded, and cut where a cubic overshoots,
/// between the two.
fn resizes_height_first(shape: Shape, case: &Case) -> bool {
    let (width, height) =
        case.draw.crop.map_or((shape.width, shape.height), |crop| (crop.width, crop.height));
    height.saturating_sub(case.size) > 2 * width.saturating_sub(case.size)
}

/// The levels 0 to 255 in each channel, as the documentation of [`Normalise`] has them: within 2⁻²⁰
/// of torchvision's.
fn compare_normalised(theirs: &[u8]) {
    let pixels: Vec<u8> = (0..=255).flat_map(|level| [level; 3]).collect();
    let theirs: Vec<f32> =
        theirs.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    assert_eq!(theirs.len(), pixels.len());
    for isa in Isa::available() {
        let mut ours = vec![f32::NAN; pixels.len()];
        Normalise::IMAGENET.apply(isa, &pixels, &mut ours);
        for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert!(
                (ours - theirs).abs() <= 2_f32.powi(-20),
                "level {} in channel {}: {ours} {theirs}",
                i / 3,
                i % 3
            );
        }
    }
}

/// The images' pixels, one after the other at the beginning of `bytes`, and what follows them.
fn split_images<'a>(shapes: &[Shape], mut bytes: &'a [u8]) -> (Vec<(Shape, &'a [u8])>, &'a [u8]) {
    let mut images = Vec::new();
    for &shape in shapes {
        let (pixels, rest) = bytes.split_at(shape.bytes());
        images.push((shape, pixels));
        bytes = rest;
    }
    (images, bytes)
}

const NORMALISED: usize = 256 * 3 * size_of::<f32>();

#[test]
fn every_transform_equals_torchvision() {
    let (fixtures, bytes) = fixtures();
    let (images, rest) = split_images(&fixtures.images, bytes);
    let (views, normalised) = rest.split_at(rest.len() - NORMALISED);
    compare_views(&images, &fixtures.cases, views, |_, case| match sums_floats(&case.draw) {
        true => Agreement::Close,
        false => Agreement::Equal,
    });
    compare_normalised(normalised);
}

#[test]
fn every_colour_equals_torchvision() {
    let pixels: Vec<u8> =
        (0..1_u32 << 24).flat_map(|rgb| [(rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8]).collect();
    let source = Image::rgb(4096, 4096, &pixels).unwrap();
    for Checksum { size, draw, adler32: expected } in fixtures().0.every_colour {
        assert_eq!(adler32(&apply(draw, source, size)), expected, "{draw}");
    }
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1_u32, 0_u32);
    for chunk in bytes.chunks(4096) {
        for &byte in chunk {
            low += u32::from(byte);
            high += low;
        }
        low %= 65521;
        high %= 65521;
    }
    high << 16 | low
}

/// As many draws of each parameter that `fixtures/reference.py` draws, under its names.
fn our_laws(count: u64) -> BTreeMap<String, Vec<f64>> {
    let mut laws = BTreeMap::new();
    let draws = |toml: &str, width: u32, height: u32| -> Vec<Draw> {
        let policy = Policy::from_toml(toml).unwrap();
        let key = |image| ViewKey::new(Purpose::Training { epoch: 0 }, 1, image, 1);
        (0..count).map(|image| policy.draw(key(image), width, height)).collect()
    };

    for (width, height) in [(32, 32), (500, 375), (31, 10)] {
        let boxes: Vec<[u32; 4]> = draws("crop = {}", width, height)
            .iter()
            .filter_map(|draw| draw.crop.map(|crop| [crop.left, crop.top, crop.width, crop.height]))
            .collect();
        let mut law = |name: &str, value: fn([u32; 4]) -> u32| {
            let values = boxes.iter().map(|&crop| f64::from(value(crop))).collect();
            laws.insert(format!("crop of {width}x{height}: {name}"), values);
        };
        law("left", |[left, ..]| left);
        law("top", |[_, top, ..]| top);
        law("width", |[_, _, width, _]| width);
        law("height", |[.., height]| height);
        law("right", |[left, _, width, _]| left + width);
        law("bottom", |[_, top, _, height]| top + height);
        law("area", |[_, _, width, height]| width * height);
    }

    let always = "
        pad_crop = {}
        rotation = { probability = 1 }
        jitter = { probability = 1, strength = 1, brightness = 0.4, contrast = 0.8, saturation = 1.5, hue = 0.2 }
        blur = { probability = 1, sigma = [0.1, 2.0], kernel = 23 }";
    let always = draws(always, 32, 32);
    let mut law = |name: &str, value: &dyn Fn(&Draw) -> f64| {
        laws.insert(name.to_owned(), always.iter().map(value).collect());
    };
    law("pad crop: right", &|draw| draw.shift.unwrap().right.into());
    law("pad crop: down", &|draw| draw.shift.unwrap().down.into());
    law("rotation", &|draw| draw.rotation.unwrap().degrees);
    law("blur", &|draw| draw.blur.unwrap().sigma);
    law("jitter: order", &|draw| {
        draw.jitter.unwrap().iter().fold(0.0, |order, &made| 4.0 * order + numbered(made).0 as f64)
    });
    for (number, name) in ["brightness", "contrast", "saturation", "hue"].into_iter().enumerate() {
        law(&format!("jitter: {name}"), &|draw| {
            let adjustments = draw.jitter.unwrap().map(numbered);
            adjustments.into_iter().find(|(kind, _)| *kind == number).unwrap().1
        });
    }

    let sometimes = "
        flip = {}
        vertical_flip = {}
        grey = {}
        solarise = { probability = 0.1 }
        jitter = { probability = 0.8 }";
    let sometimes = draws(sometimes, 32, 32);
    let mut law = |name: &str, applied: fn(&Draw) -> bool| {
        laws.insert(
            format!("{name}: applied"),
            sometimes.iter().map(|draw| applied(draw).into()).collect(),
        );
    };
    law("flip", |draw| draw.flip);
    law("vertical flip", |draw| draw.vertical_flip);
    law("grey", |draw| draw.grey);
    law("solarise", |draw| draw.solarise.is_some());
    law("jitter", |draw| draw.jitter.is_some());
    laws
}

/// The test of Kolmogorov and Smirnov for two samples of n, at the edges of the bins.
///
/// Samples of one law are further apart than t with probability at most 2 exp(−n t²) where n is at
/// least 458 (Wei and Dudley, "Two-sample Dvoretzky–Kiefer–Wolfowitz inequalities", 2012), which is
/// 10⁻⁹ here. That holds for laws with ties too, and looking at bins can only bring two samples
/// closer.
fn compare_laws(theirs: &[Law], count: u64) {
    let mut ours = our_laws(count);
    let limit = (2e9_f64.ln() / count as f64).sqrt();
    for Law { name, low, high, counts } in theirs {
        let values = ours.remove(name).unwrap_or_else(|| panic!("no draws of {name}"));
        assert_eq!(values.len() as u64, count);
        assert_eq!(counts.iter().sum::<u64>(), count);
        let bins = counts.len();
        let mut differences: Vec<i64> = counts.iter().map(|&count| -(count as i64)).collect();
        for value in values {
            assert!((*low..=*high).contains(&value), "{name}: {value}");
            // Operation by operation as in reference.py, so that a value on an edge falls to the
            // same side.
            let bin = ((value - low) * bins as f64 / (high - low)) as usize;
            differences[bin.min(bins - 1)] += 1;
        }
        let mut below = 0;
        for difference in differences {
            below += difference;
            let distance = below.abs() as f64 / count as f64;
            assert!(distance < limit, "{name}: {distance} is not below {limit}");
        }
    }
    assert!(ours.is_empty(), "{:?}", ours.keys());
}

#[test]
fn parameters_follow_torchvisions_laws() {
    compare_laws(&fixtures().0.laws, 100_000);
}

/// Any draws, each whole and step by step: the images to make them of, with their pixels, and the
/// views.
fn random_cases(count: u32, seed: u64) -> (Vec<Shape>, Vec<u8>, Vec<Case>) {
    let (mut shapes, mut pixels, mut cases) = (Vec::new(), Vec::new(), Vec::new());
    let strategy = (1..60_u32, 1..60_u32).prop_flat_map(|(w, h)| (Just((w, h)), draws(w, h)));
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &key),
    );
    for trial in 0..count {
        let ((width, height), mut draw) = strategy.new_tree(&mut runner).unwrap().current();
        let (size, channels) =
            (1 + runner.rng().random_range(0..50), if trial % 3 == 0 { 1 } else { 3 });
        for shape in
            [Shape { width, height, channels }, Shape { width: size, height: size, channels }]
        {
            shapes.push(shape);
            pixels.extend((0..shape.bytes()).map(|_| runner.rng().random::<u8>()));
        }
        // torchvision mirrors no further than the view reaches, and divides by a deviation in
        // 32-bit floats, which fails where that is 0 to them.
        if let Some(blur) = &mut draw.blur {
            blur.kernel = blur.kernel.filter(|kernel| kernel / 2 < size);
            blur.sigma = if blur.kernel.is_some() { blur.sigma.max(1e-3) } else { blur.sigma };
        }

        let (image, square) = (shapes.len() - 2, shapes.len() - 1);
        let mut make = |image: usize, draw: Draw| cases.push(Case { image, size, draw });
        let none = Draw::default();
        make(image, Draw { crop: draw.crop, interpolation: draw.interpolation, ..none });
        make(square, Draw { shift: draw.shift, ..none });
        make(square, Draw { rotation: draw.rotation, ..none });
        make(square, Draw { flip: draw.flip, ..none });
        make(square, Draw { vertical_flip: draw.vertical_flip, ..none });
        for adjustment in draw.jitter.into_iter().flatten() {
            let nothing = Adjustment::Hue(0.0);
            make(square, Draw { jitter: Some([adjustment, nothing, nothing, nothing]), ..none });
        }
        make(square, Draw { grey: draw.grey, ..none });
        make(square, Draw { blur: draw.blur, ..none });
        make(square, Draw { solarise: draw.solarise, ..none });
        // The whole view, but for what need not be equal and would be magnified or inverted
        // afterwards.
        let rotation = draw.rotation.map(|turn| Turn { smooth: false, ..turn });
        let blur = draw.blur.map(|blur| GaussianBlur { kernel: None, ..blur });
        make(image, Draw { rotation, blur, ..draw });
    }
    (shapes, pixels, cases)
}

#[derive(Deserialize)]
struct Answer {
    versions: BTreeMap<String, String>,
    laws: Vec<Law>,
}

/// torchvision takes a minute for 100 000 draws of every parameter, so those are fixtures, and
/// these are fewer.
const LIVE_DRAWS: u64 = 5_000;

#[test]
fn torchvision_live() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("torchvision");
    fs::create_dir_all(&folder).unwrap();
    let seed = match env::var("SELFSAME_SEED") {
        Ok(seed) => seed.parse().expect("SELFSAME_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(),
    };
    println!("SELFSAME_SEED={seed} makes these cases again");
    let (images, pixels, cases) = random_cases(200, seed);
    let asked = serde_json::json!({ "images": images, "cases": cases });
    fs::write(folder.join("cases.json"), asked.to_string()).unwrap();
    fs::write(folder.join("images.bin"), &pixels).unwrap();

    let named = env::var_os("SELFSAME_PYTHON");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference.py");
    let output = Command::new(named.as_deref().unwrap_or("python3".as_ref()))
        .args([&script, &folder])
        .arg(LIVE_DRAWS.to_string())
        .output();
    let missing = match &output {
        Err(error) => Some(error.to_string()),
        Ok(output) if output.status.code() == Some(77) => {
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(_) => None,
    };
    if let Some(reason) = missing {
        assert!(named.is_none(), "SELFSAME_PYTHON has no torchvision: {reason}");
        fs::remove_dir_all(&folder).unwrap();
        // To the stream itself, since what a passing test prints is not shown.
        let reason = reason.trim();
        writeln!(
            std::io::stderr(),
            "skipped: no live comparison without torchvision in python3 ({reason})"
        )
        .unwrap();
        return;
    }
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let answer: Answer =
        serde_json::from_slice(&fs::read(folder.join("answer.json")).unwrap()).unwrap();
    println!("{:?}", answer.versions);
    let views = fs::read(folder.join("views.bin")).unwrap();
    let (views, normalised) = views.split_at(views.len() - NORMALISED);
    let pillow = answer.versions["pillow"].split('.').next().unwrap().parse::<u32>().unwrap();
    let images = split_images(&images, &pixels).0;
    compare_views(&images, &cases, views, |shape, case| {
        if pillow < 13 && resizes_height_first(shape, case) {
            Agreement::Nothing
        } else if sums_floats(&case.draw)
            || takes_sines(&case.draw)
            || cfg!(not(target_arch = "x86_64"))
        {
            // Compilers for other processors may take a product and a sum in one operation, which
            // rounds once.
            Agreement::Close
        } else {
            Agreement::Equal
        }
    });
    compare_normalised(normalised);
    compare_laws(&answer.laws, LIVE_DRAWS);
    fs::remove_dir_all(&folder).unwrap();
}
