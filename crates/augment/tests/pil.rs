//! Each transform against PIL's own result: see `fixtures/make.py`.

use selfsame_augment::{Adjustment, CropBox, Draw, Scratch, Source};
use serde_json::Value;

fn fixtures() -> Value {
    serde_json::from_str(include_str!("fixtures/pil.json")).unwrap()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

fn draw(value: &Value) -> Draw {
    let mut draw = Draw { grey: value["grey"] == true, blur: value["blur"].as_f64(), ..Draw::default() };
    if let Some(name) = value["jitter"].as_str() {
        let amount = value["value"].as_f64().unwrap();
        let adjustment = match name {
            "brightness" => Adjustment::Brightness(amount),
            "contrast" => Adjustment::Contrast(amount),
            "saturation" => Adjustment::Saturation(amount),
            "hue" => Adjustment::Hue(amount),
            other => panic!("fixture with {other}"),
        };
        draw.jitter = Some([Adjustment::Brightness(1.0), adjustment, Adjustment::Hue(0.0), Adjustment::Contrast(1.0)]);
    }
    if let Some(crop) = value.get("crop") {
        draw.crop = Some(CropBox {
            left: number(&crop["left"]),
            top: number(&crop["top"]),
            width: number(&crop["width"]),
            height: number(&crop["height"]),
        });
    }
    draw
}

#[test]
fn every_transform_equals_pil() {
    let bytes = include_bytes!("fixtures/pil.bin");
    let image = |place: &Value| {
        let (width, height) = (number(&place["width"]), number(&place["height"]));
        let length = (width * height * 3) as usize;
        (width, height, &bytes[number(&place["offset"]) as usize..][..length])
    };
    let mut scratch = Scratch::default();
    let fixtures = fixtures();
    let cases = fixtures["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 40);
    for case in cases {
        let (width, height, pixels) = image(&case["source"]);
        let (size, _, expected) = image(&case["view"]);
        let mut view = vec![0; expected.len()];
        let source = Source::new(width, height, pixels).unwrap();
        draw(&case["draw"]).apply(source, size, &mut scratch, &mut view).unwrap();
        let differing = view.iter().zip(expected).filter(|(ours, theirs)| ours != theirs).count();
        assert_eq!(differing, 0, "{}", case["draw"]);
    }
}

#[test]
fn every_colour_equals_pil() {
    let pixels: Vec<u8> = (0..1_u32 << 24).flat_map(|rgb| [(rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8]).collect();
    let source = Source::new(4096, 4096, &pixels).unwrap();
    let mut view = vec![0; pixels.len()];
    let mut scratch = Scratch::default();
    for case in fixtures()["every_colour"].as_array().unwrap() {
        draw(&case["draw"]).apply(source, 4096, &mut scratch, &mut view).unwrap();
        assert_eq!(adler32(&view), number(&case["adler32"]), "{}", case["draw"]);
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
