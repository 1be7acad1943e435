//! The pixels of views: purity, extremes, identities, and slow oracles in plain 64-bit floats.

mod common;

use std::cell::Cell;

use common::{draws, policies};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use selfsame_augment::{
    Adjustment, CropBox, Draw, Fill, GaussianBlur, Image, Isa, Numbered, Policy, PolicyConfig,
    Purpose, Scratch, Shift, Turn, ViewError, ViewKey, ViewSets, resize,
};

fn noise(width: u32, height: u32) -> Vec<u8> {
    (0..width * height * 3)
        .map(|i| (i.wrapping_add(99).wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn apply(draw: Draw, pixels: &[u8], width: u32, height: u32, size: u32) -> Vec<u8> {
    let mut view = vec![0; (size * size * 3) as usize];
    let source = Image::rgb(width, height, pixels).unwrap();
    draw.apply(source, size, &mut Scratch::default(), &mut view).unwrap();
    view
}

fn adjusted(adjustment: Adjustment, pixels: &[u8], size: u32) -> Vec<u8> {
    let nothing = Adjustment::Hue(0.0);
    apply(
        Draw { jitter: Some([nothing, adjustment, nothing, nothing]), ..Draw::default() },
        pixels,
        size,
        size,
        size,
    )
}

fn pixels_at_32(sigma: f64) -> GaussianBlur {
    GaussianBlur { sigma, side: Some(32), kernel: None }
}

fn whole(width: u32, height: u32) -> CropBox {
    CropBox { left: 0, top: 0, width, height }
}

#[test]
fn identity_settings_change_nothing() {
    let pixels = noise(19, 19);
    for adjustment in [
        Adjustment::Brightness(1.0),
        Adjustment::Contrast(1.0),
        Adjustment::Saturation(1.0),
        Adjustment::Hue(0.0),
    ] {
        assert_eq!(adjusted(adjustment, &pixels, 19), pixels, "{adjustment}");
    }
    assert_eq!(apply(Draw::default(), &pixels, 19, 19, 19), pixels);
    assert_eq!(
        apply(Draw { crop: Some(whole(19, 19)), ..Draw::default() }, &pixels, 19, 19, 19),
        pixels
    );
    assert_eq!(
        apply(Draw { blur: Some(pixels_at_32(1e-6)), ..Draw::default() }, &pixels, 19, 19, 19),
        pixels
    );
}

#[test]
fn the_policies_none_and_d0_show_the_image_itself() {
    let pixels = noise(32, 32);
    let source = Image::rgb(32, 32, &pixels).unwrap();
    for text in ["none", "d0"] {
        let policy: Policy = text.parse().unwrap();
        let mut view = vec![0; pixels.len()];
        for image in 0..20 {
            let key = ViewKey::new(Purpose::Training { epoch: 0 }, 0, image, 0);
            policy.view(key, source, 32, &mut Scratch::default(), &mut view).unwrap();
            assert_eq!(view, pixels, "{text}");
        }
    }
}

#[test]
fn a_crop_of_the_views_size_is_copied() {
    let pixels = noise(9, 7);
    let view = apply(
        Draw { crop: Some(CropBox { left: 2, top: 3, width: 4, height: 4 }), ..Draw::default() },
        &pixels,
        9,
        7,
        4,
    );
    for (y, row) in view.chunks(12).enumerate() {
        assert_eq!(row, &pixels[((3 + y) * 9 + 2) * 3..][..12]);
    }
}

#[test]
fn flipping_reverses_the_rows() {
    let pixels = noise(5, 5);
    let view = apply(Draw { flip: true, ..Draw::default() }, &pixels, 5, 5, 5);
    for (x, y) in (0..5).flat_map(|x| (0..5).map(move |y| (x, y))) {
        assert_eq!(view[(y * 5 + x) * 3..][..3], pixels[(y * 5 + 4 - x) * 3..][..3]);
    }
}

#[test]
fn a_shift_shows_what_lies_right_and_below() {
    let pixels = [[1; 3], [2; 3], [3; 3], [4; 3], [5; 3], [6; 3], [7; 3], [8; 3], [9; 3]].concat();
    for (right, down, fill, expected) in [
        (1, 0, Fill::Black, [2, 3, 0, 5, 6, 0, 8, 9, 0]),
        (-1, 2, Fill::Black, [0, 7, 8, 0, 0, 0, 0, 0, 0]),
        (-1, 2, Fill::Edge, [7, 7, 8, 7, 7, 8, 7, 7, 8]),
        (-1, 2, Fill::Reflect, [8, 7, 8, 5, 4, 5, 2, 1, 2]),
        (4, -5, Fill::Reflect, [4, 5, 6, 1, 2, 3, 4, 5, 6]),
        (1024, -1024, Fill::Edge, [3; 9]),
    ] {
        let shift = Some(Shift { right, down, fill });
        let view = apply(Draw { shift, ..Draw::default() }, &pixels, 3, 3, 3);
        assert_eq!(view, expected.map(|level| [level; 3]).concat(), "{right} {down} {fill:?}");
    }
}

#[test]
fn a_rotation_is_counter_clockwise() {
    let pixels = [[1; 3], [2; 3], [3; 3], [4; 3]].concat();
    for (degrees, expected) in [(90.0, [2, 4, 1, 3]), (-90.0, [3, 1, 4, 2]), (180.0, [4, 3, 2, 1])]
    {
        let rotation = Some(Turn { degrees, smooth: false });
        let view = apply(Draw { rotation, ..Draw::default() }, &pixels, 2, 2, 2);
        assert_eq!(view, expected.map(|level| [level; 3]).concat(), "{degrees}");
    }
}

#[test]
fn solarising_inverts_from_the_threshold_on() {
    let pixels = [0, 99, 100, 101, 254, 255, 100, 0, 200, 1, 2, 3];
    let view = apply(Draw { solarise: Some(100), ..Draw::default() }, &pixels, 2, 2, 2);
    assert_eq!(view, [0, 99, 155, 154, 1, 0, 155, 0, 55, 1, 2, 3]);
}

#[test]
fn hue_turns_the_primaries_and_spares_grey() {
    let pixels = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [77, 77, 77]].concat();
    // A third of the circle: 85 of 255.
    let turned = [[0, 255, 0], [0, 0, 255], [255, 0, 0], [77, 77, 77]].concat();
    assert_eq!(adjusted(Adjustment::Hue(1.0 / 3.0), &pixels, 2), turned);
}

/// Blending is exact in 64-bit floats up to rounding errors of 10⁻¹², so 32-bit floats can at most
/// cut to the neighbouring level.
#[test]
fn colour_agrees_with_plain_floats() {
    let pixels = noise(16, 16);
    let luminance = |p: &[u8]| {
        (0.299 * f64::from(p[0]) + 0.587 * f64::from(p[1]) + 0.114 * f64::from(p[2])).round()
    };
    let mean = (pixels.chunks(3).map(luminance).sum::<f64>() / 256.0).round();
    let check = |adjustment: Adjustment, factor: f64, from: &dyn Fn(&[u8]) -> f64| {
        let view = adjusted(adjustment, &pixels, 16);
        for (pixel, ours) in pixels.chunks(3).zip(view.chunks(3)) {
            for (&value, &ours) in pixel.iter().zip(ours) {
                let blended = from(pixel) + factor * (f64::from(value) - from(pixel));
                let expected = blended.clamp(0.0, 255.0).floor();
                assert!(
                    (expected - f64::from(ours)).abs() <= 1.0,
                    "{adjustment}: {expected} {ours}"
                );
            }
        }
    };
    for factor in [0.0, 0.2, 0.77, 1.5, 3.0, 1e300] {
        check(Adjustment::Brightness(factor), factor, &|_| 0.0);
        // The luminance of 16-bit weights may round to the neighbouring level: at most (factor + 1)
        // more.
        if factor <= 1.0 {
            check(Adjustment::Contrast(factor), factor, &|_| mean);
            check(Adjustment::Saturation(factor), factor, &luminance);
        }
    }
}

/// The triangle filter in plain floats: two roundings to a level, each by at most a half, and the
/// second direction averages the first's, so at most one level in all (and 2⁻²² a weight).
#[test]
fn resizing_agrees_with_plain_floats() {
    let weights = |from: u32, to: u32, x: u32| -> Vec<f64> {
        let scale = f64::from(from) / f64::from(to);
        let centre = (f64::from(x) + 0.5) * scale;
        let shares = |i: u32| (1.0 - (f64::from(i) + 0.5 - centre).abs() / scale.max(1.0)).max(0.0);
        let sum: f64 = (0..from).map(shares).sum();
        (0..from).map(|i| shares(i) / sum).collect()
    };
    for (width, height, size) in [
        (1, 1, 3),
        (1, 9, 4),
        (7, 1, 2),
        (13, 11, 8),
        (5, 30, 7),
        (30, 5, 7),
        (6, 6, 17),
        (20, 19, 1),
    ] {
        let pixels = noise(width, height);
        let all = Draw { crop: Some(whole(width, height)), ..Draw::default() };
        let view = apply(all, &pixels, width, height, size);
        for (x, y) in (0..size).flat_map(|x| (0..size).map(move |y| (x, y))) {
            let (columns, rows) = (weights(width, size, x), weights(height, size, y));
            for channel in 0..3 {
                let value =
                    |i: usize, j: usize| f64::from(pixels[(j * width as usize + i) * 3 + channel]);
                let expected: f64 = rows
                    .iter()
                    .enumerate()
                    .map(|(j, row)| {
                        row * columns
                            .iter()
                            .enumerate()
                            .map(|(i, column)| column * value(i, j))
                            .sum::<f64>()
                    })
                    .sum();
                let ours = f64::from(view[((y * size + x) * 3) as usize + channel]);
                assert!(
                    (ours - expected).abs() <= 1.0 + 1e-3,
                    "{width}×{height} to {size}: {ours} {expected}"
                );
            }
        }
    }
}

/// Three extended box blurs in each direction in plain floats: six roundings to a level, each by at
/// most a half and then only averaged, so at most three levels in all (and 2⁻²⁴ a weight).
#[test]
fn blurring_agrees_with_plain_floats() {
    let (size, sigma) = (24_i32, 2.3_f64);
    let pixels = noise(24, 24);
    let variance = sigma * sigma / 3.0;
    let radius = (((12.0 * variance + 1.0).sqrt() - 1.0) / 2.0).floor();
    // The share a of the two outer pixels that gives the box the variance:
    // (Σ d² over the middle + 2a (radius + 1)²) / (2 radius + 1 + 2a).
    let inner = 2.0 * (1..=radius as i32).map(|d| f64::from(d * d)).sum::<f64>();
    let share =
        (variance * (2.0 * radius + 1.0) - inner) / (2.0 * ((radius + 1.0).powi(2) - variance));
    let pass = |image: &Vec<f64>, step: (i32, i32)| -> Vec<f64> {
        let at = |x: i32, y: i32, c: i32| {
            image[((y.clamp(0, size - 1) * size + x.clamp(0, size - 1)) * 3 + c) as usize]
        };
        let mut out = Vec::new();
        for (y, x, c) in
            (0..size).flat_map(|y| (0..size).flat_map(move |x| (0..3).map(move |c| (y, x, c))))
        {
            let reach = radius as i32 + 1;
            let sum: f64 = (-reach..=reach)
                .map(|d| if d.abs() == reach { share } else { 1.0 } * at(x + d * step.0, y + d * step.1, c))
                .sum();
            out.push(sum / (2.0 * radius + 1.0 + 2.0 * share));
        }
        out
    };
    let mut expected: Vec<f64> = pixels.iter().map(|&value| f64::from(value)).collect();
    for step in [(1, 0), (1, 0), (1, 0), (0, 1), (0, 1), (0, 1)] {
        expected = pass(&expected, step);
    }
    let view = apply(
        Draw { blur: Some(pixels_at_32(sigma * 32.0 / 24.0)), ..Draw::default() },
        &pixels,
        24,
        24,
        24,
    );
    for (ours, expected) in view.iter().zip(expected) {
        assert!((f64::from(*ours) - expected).abs() <= 3.0 + 1e-3, "{ours} {expected}");
    }
}

#[test]
fn a_blur_means_the_same_at_every_size() {
    // An edge in the middle: where the view has come to a given level scales with its side.
    let edge = |size: usize| -> Vec<u8> {
        (0..size * size * 3).map(|i| if i / 3 % size < size / 2 { 0 } else { 255 }).collect()
    };
    let draw = Draw { blur: Some(pixels_at_32(4.0)), ..Draw::default() };
    let (small, large) =
        (apply(draw, &edge(32), 32, 32, 32), apply(draw, &edge(128), 128, 128, 128));
    for x in 0..32 {
        // The middle of small pixel x is between pixels 4x + 1 and 4x + 2 of the large.
        let large = (u32::from(large[(4 * x + 1) * 3]) + u32::from(large[(4 * x + 2) * 3])) / 2;
        // Three passes along the rows round by a half in either view, and so does the mean of two;
        // the pixel's own extent (variance 1/12 in 16) is worth a quarter of a level. Columns are
        // flat.
        assert!(large.abs_diff(u32::from(small[x * 3])) <= 4, "{x}: {large} {}", small[x * 3]);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let pixels = noise(4, 4);
    let source = Image::rgb(4, 4, &pixels).unwrap();
    let refusal = |draw: Draw, size: u32, bytes: usize| {
        draw.apply(source, size, &mut Scratch::default(), &mut vec![0; bytes]).unwrap_err()
    };
    assert_eq!(refusal(Draw::default(), 0, 0), ViewError::EmptyView);
    assert_eq!(
        refusal(Draw::default(), 2, 13),
        ViewError::OutputLength { size: 2, channels: 3, bytes: 13 }
    );
    assert_eq!(
        refusal(Draw::default(), u32::MAX, 0),
        ViewError::OutputLength { size: u32::MAX, channels: 3, bytes: 0 }
    );
    for [left, top, width, height] in
        [[0, 0, 5, 1], [0, 0, 0, 1], [0, 0, 1, 0], [4, 0, 1, 1], [1, u32::MAX, 1, u32::MAX]]
    {
        let crop = Some(CropBox { left, top, width, height });
        assert!(matches!(
            refusal(Draw { crop, ..Draw::default() }, 1, 3),
            ViewError::CropOutside { .. }
        ));
    }
    for sigma in [0.0, -1.0, 1025.0, f64::NAN, f64::INFINITY] {
        let refused = refusal(Draw { blur: Some(pixels_at_32(sigma)), ..Draw::default() }, 1, 3);
        assert!(matches!(refused, ViewError::Parameter { field: "blur.sigma", .. }));
    }
    for adjustment in [
        Adjustment::Brightness(-0.1),
        Adjustment::Contrast(f64::INFINITY),
        Adjustment::Saturation(f64::NAN),
        Adjustment::Hue(0.51),
    ] {
        let refused = refusal(Draw { jitter: Some([adjustment; 4]), ..Draw::default() }, 1, 3);
        assert!(matches!(refused, ViewError::Parameter { .. }));
    }
    let shift = |right, down| Draw {
        shift: Some(Shift { right, down, fill: Fill::Edge }),
        ..Draw::default()
    };
    let turn = |degrees| Draw { rotation: Some(Turn { degrees, smooth: true }), ..Draw::default() };
    let blur = |side, kernel| Draw {
        blur: Some(GaussianBlur { sigma: 1.0, side, kernel }),
        ..Draw::default()
    };
    for (draw, named) in [
        (shift(1025, 0), "the draw's shift.right = 1025 is not"),
        (shift(0, i32::MIN), "the draw's shift.down = -2147483648 is not"),
        (turn(360.5), "the draw's rotation.degrees = 360.5 is not"),
        (turn(f64::NAN), "the draw's rotation.degrees = NaN is not"),
        (blur(Some(0), None), "the draw's blur.side = 0 is not"),
        (blur(None, Some(0)), "the draw's blur.kernel ="),
        (blur(None, Some(2)), "the draw's blur.kernel ="),
        (blur(None, Some(257)), "the draw's blur.kernel ="),
    ] {
        let message = refusal(draw, 1, 3).to_string();
        assert!(message.starts_with(named), "{message}");
    }
}

#[test]
fn threads_and_order_do_not_count() {
    let policy: Policy = "abcde".parse().unwrap();
    let pixels = noise(40, 30);
    let view = |image: u64, scratch: &mut Scratch| {
        let mut view = vec![0; 24 * 24 * 3];
        let key = ViewKey::new(Purpose::Training { epoch: 0 }, 1, image, 0);
        policy.view(key, Image::rgb(40, 30, &pixels).unwrap(), 24, scratch, &mut view).unwrap();
        view
    };
    let alone: Vec<Vec<u8>> = (0..64).map(|image| view(image, &mut Scratch::default())).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (view, alone) = (&view, &alone);
            scope.spawn(move || {
                let mut scratch = Scratch::default();
                for image in (0..64).rev().filter(|image| image % 4 == thread) {
                    assert_eq!(view(image, &mut scratch), alone[image as usize]);
                }
            });
        }
    });
}

fn numbers() -> impl Strategy<Value = f64> {
    prop_oneof![-1.0..3.0, prop::num::f64::ANY]
}

fn adjustments() -> impl Strategy<Value = Adjustment> {
    (0..4, numbers()).prop_map(|(kind, value)| match kind {
        0 => Adjustment::Brightness(value),
        1 => Adjustment::Contrast(value),
        2 => Adjustment::Saturation(value),
        _ => Adjustment::Hue(value),
    })
}

/// Draws for an image of 8 × 7 pixels, some of them with anything at all in a step or two.
fn written_draws() -> impl Strategy<Value = Draw> {
    fn rarely<T: std::fmt::Debug>(
        values: impl Strategy<Value = T>,
    ) -> impl Strategy<Value = Option<T>> {
        prop::option::weighted(0.1, values)
    }
    let small = || prop_oneof![4 => 0..9_u32, 1 => any::<u32>()];
    let crop = [small(), small(), small(), small()]
        .prop_map(|[left, top, width, height]| CropBox { left, top, width, height });
    let shift =
        any::<(i32, i32)>().prop_map(|(right, down)| Shift { right, down, fill: Fill::Reflect });
    let rotation =
        (numbers(), any::<bool>()).prop_map(|(degrees, smooth)| Turn { degrees, smooth });
    let blur = (numbers(), prop::option::of(small()), prop::option::of(small()))
        .prop_map(|(sigma, side, kernel)| GaussianBlur { sigma, side, kernel });
    let jitter = [adjustments(), adjustments(), adjustments(), adjustments()];
    (draws(8, 7), rarely(crop), rarely(shift), rarely(rotation), rarely(jitter), rarely(blur))
        .prop_map(|(draw, crop, shift, rotation, jitter, blur)| Draw {
            crop: crop.or(draw.crop),
            shift: shift.or(draw.shift),
            rotation: rotation.or(draw.rotation),
            jitter: jitter.or(draw.jitter),
            blur: blur.or(draw.blur),
            ..draw
        })
}

/// Whether each parameter is in the range that the documentation of its field has, and the crop
/// inside of 8 × 7 pixels.
fn is_sound(draw: &Draw) -> bool {
    let crop = draw.crop.is_none_or(|CropBox { left, top, width, height }| {
        (1..=8).contains(&width)
            && left <= 8 - width
            && (1..=7).contains(&height)
            && top <= 7 - height
    });
    let shift = draw.shift.is_none_or(|shift| {
        shift.right.unsigned_abs() <= 1024 && shift.down.unsigned_abs() <= 1024
    });
    let rotation = draw.rotation.is_none_or(|turn| -360.0 <= turn.degrees && turn.degrees <= 360.0);
    let jitter = draw.jitter.iter().flatten().all(|&adjustment| match adjustment {
        Adjustment::Brightness(factor)
        | Adjustment::Contrast(factor)
        | Adjustment::Saturation(factor) => (0.0..f64::INFINITY).contains(&factor),
        Adjustment::Hue(turn) => (-0.5..=0.5).contains(&turn),
    });
    let blur = draw.blur.is_none_or(|GaussianBlur { sigma, side, kernel }| {
        let kernel = kernel.is_none_or(|kernel| kernel % 2 == 1 && kernel <= 255);
        0.0 < sigma && sigma <= 1024.0 && side != Some(0) && kernel
    });
    crop && shift && rotation && jitter && blur
}

/// What a file may hold is made where every parameter is in its range, and refused where one is
/// not.
#[test]
fn a_written_draw_is_made_or_refused() {
    let pixels = noise(8, 7);
    let source = Image::rgb(8, 7, &pixels).unwrap();
    let (made, refused) = (Cell::new(0), Cell::new(0));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let cases = config.cases.max(256);
    let tried = TestRunner::new(ProptestConfig { cases, ..config }).run(
        &(written_draws(), 1..9_u32),
        |(draw, size)| {
            let mut view = vec![0; (size * size * 3) as usize];
            let result = draw.apply(source, size, &mut Scratch::default(), &mut view);
            prop_assert_eq!(result.is_ok(), is_sound(&draw), "{:?}", result);
            let count = if result.is_ok() { &made } else { &refused };
            count.set(count.get() + 1);
            Ok(())
        },
    );
    tried.unwrap();
    // Each of the five steps is replaced in a tenth of the cases, and then mostly out of its range.
    let [made, refused] = [made, refused].map(|count| f64::from(count.get()) / f64::from(cases));
    assert!(made > 0.25 && refused > 0.1, "{made} made, {refused} refused");
}

proptest! {
    #[test]
    fn a_view_is_filled_and_pure(
        (width, height, size) in (1..40_u32, 1..40_u32, 1..40_u32),
        (seed, image) in any::<(u64, u64)>(),
        strength in 0.0..=2.5,
        scale in 0.001..=1.0,
        sigma in 0.001..=32.0,
    ) {
        let mut config: PolicyConfig = "abcde".parse::<Policy>().unwrap().into();
        config.jitter.as_mut().unwrap().strength = strength;
        config.crop.as_mut().unwrap().scale = [scale, 1.0];
        config.blur.as_mut().unwrap().sigma = [sigma, 32.0];
        let policy = Policy::try_from(config).unwrap();

        let pixels = noise(width, height);
        let source = Image::rgb(width, height, &pixels).unwrap();
        let key = ViewKey::new(Purpose::Training { epoch: 0 }, seed, image, 0);
        let length = (size * size * 3) as usize;
        let (mut first, mut second) = (vec![0; length], vec![255; length]);
        let mut scratch = Scratch::default();
        policy.view(key, source, size, &mut scratch, &mut first).unwrap();
        policy.view(key, source, size, &mut scratch, &mut second).unwrap();
        prop_assert_eq!(&first, &second);
        policy.draw(key, width, height).apply(source, size, &mut Scratch::default(), &mut second).unwrap();
        prop_assert_eq!(&first, &second);
    }

    #[test]
    fn a_flat_image_stays_flat(level in any::<u8>(), (width, height, size) in (1..50_u32, 1..50_u32, 1..30_u32), sigma in 0.001..=32.0) {
        let pixels = vec![level; (width * height * 3) as usize];
        let view = apply(Draw { blur: Some(pixels_at_32(sigma)), ..Draw::default() }, &pixels, width, height, size);
        prop_assert!(view.iter().all(|&value| value == level));
    }

    #[test]
    fn no_draw_of_a_policy_is_refused(policy in policies(), (seed, view) in any::<(u64, u32)>(), size in 1..9_u32) {
        let pixels = noise(8, 7);
        let mut out = vec![0; (size * size * 3) as usize];
        let key = ViewKey::new(Purpose::Training { epoch: 0 }, seed, 0, view);
        prop_assert!(is_sound(&policy.draw(key, 8, 7)));
        let made = policy.view(key, Image::rgb(8, 7, &pixels).unwrap(), size, &mut Scratch::default(), &mut out);
        prop_assert_eq!(made, Ok(()));
    }

    /// Every instruction set, and memory that has seen other sizes, give the bytes of the portable
    /// one.
    #[test]
    fn every_instruction_set_gives_the_same_bytes(
        (width, height, draw) in (1..90_u32, 1..90_u32).prop_flat_map(|(w, h)| (Just(w), Just(h), draws(w, h))),
        size in 1..70_u32,
        channels in prop_oneof![Just(1), Just(3)],
    ) {
        let pixels = &noise(width, height)[..(width * height * channels) as usize];
        let source = if channels == 1 { Image::grey(width, height, pixels) } else { Image::rgb(width, height, pixels) };
        let source = source.unwrap();
        let view = |isa| {
            let mut view = vec![0; (size * size * channels) as usize];
            let mut scratch = Scratch::new(isa);
            let mut small = vec![0; (4 * channels) as usize];
            Draw::default().apply(source, 2, &mut scratch, &mut small).unwrap();
            draw.apply(source, size, &mut scratch, &mut view).unwrap();
            view
        };
        let portable = view("portable".parse().unwrap());
        for isa in Isa::available() {
            prop_assert_eq!(&view(isa), &portable, "{}", isa);
        }
    }

    /// A grey image is the same grey however many channels it is given in.
    #[test]
    fn one_channel_and_three_equal_ones_agree(
        (width, height, draw) in (1..40_u32, 1..40_u32).prop_flat_map(|(w, h)| (Just(w), Just(h), draws(w, h))),
        size in 1..40_u32,
    ) {
        let grey = &noise(width, height)[..(width * height) as usize];
        let tripled: Vec<u8> = grey.iter().flat_map(|&value| [value; 3]).collect();
        let mut one = vec![0; (size * size) as usize];
        let mut three = vec![0; (size * size * 3) as usize];
        let mut scratch = Scratch::default();
        draw.apply(Image::grey(width, height, grey).unwrap(), size, &mut scratch, &mut one).unwrap();
        draw.apply(Image::rgb(width, height, &tripled).unwrap(), size, &mut scratch, &mut three).unwrap();
        let one: Vec<u8> = one.iter().flat_map(|&value| [value; 3]).collect();
        prop_assert_eq!(one, three);
    }

    /// Flips undo themselves, both are half a turn, and four right angles are none.
    #[test]
    fn flips_and_right_angles_come_back(size in 1..40_u32, smooth: bool) {
        let pixels = noise(size, size);
        let make = |draw: Draw, pixels: &[u8]| apply(draw, pixels, size, size, size);
        let flip = Draw { flip: true, ..Draw::default() };
        let vertical_flip = Draw { vertical_flip: true, ..Draw::default() };
        let turn = |degrees: f64| Draw { rotation: Some(Turn { degrees, smooth }), ..Draw::default() };

        prop_assert_eq!(&make(flip, &make(flip, &pixels)), &pixels);
        prop_assert_eq!(&make(vertical_flip, &make(vertical_flip, &pixels)), &pixels);
        prop_assert_eq!(make(flip, &make(vertical_flip, &pixels)), make(turn(180.0), &pixels));
        let turned = (0..4).fold(pixels.clone(), |view, _| make(turn(90.0), &view));
        prop_assert_eq!(&turned, &pixels);
        prop_assert_eq!(&make(turn(90.0), &make(turn(-90.0), &pixels)), &pixels);
        prop_assert_eq!(make(turn(270.0), &pixels), make(turn(-90.0), &pixels));
        for degrees in [0.0, 360.0, -360.0] {
            prop_assert_eq!(&make(turn(degrees), &pixels), &pixels);
        }
    }
}

/// Sets of views are the views of each key, in the order of images and numbers.
#[test]
fn sets_hold_the_views_of_their_keys() {
    let policy: Policy = "abcde".parse().unwrap();
    let pixels = noise(16, 24);
    let images = [
        Numbered::new(5, Image::square(16, &pixels)),
        Numbered::new(9, Image::rgb(8, 16, &pixels[..8 * 16 * 3]).unwrap()),
    ];
    let purpose = Purpose::Alignment;
    for (original, size) in [(true, 16), (false, 11), (true, 11)] {
        let sets = ViewSets { policy: &policy, purpose, seed: 4, views: 2..5, original };
        let mut expected = Vec::new();
        for Numbered { number, image, .. } in images {
            if original {
                expected.extend(resize(image, size, &mut Scratch::default()));
            }
            for view in 2..5 {
                let mut out = vec![0; (size * size * 3) as usize];
                let key = ViewKey::new(purpose, 4, number, view);
                policy.view(key, image, size, &mut Scratch::default(), &mut out).unwrap();
                expected.extend(out);
            }
        }
        assert_eq!(sets.each(), 3 + usize::from(original));
        assert!(sets.draw(&images, size) == expected, "{original} {size}");
    }
    let sets = ViewSets { policy: &policy, purpose, seed: 4, views: 0..1, original: true };
    assert_eq!(sets.draw(&images[..1], 16)[..16 * 16 * 3], *images[0].image.pixels());
    assert!(sets.draw(&images, 0).is_empty() && sets.draw(&[], 16).is_empty());
}

/// Crops come from the source, whatever its shape; a view without crop is the image itself.
#[test]
fn crops_are_drawn_from_the_source() {
    let (wide, square) = (noise(40, 24), noise(16, 16));
    let numbered = Numbered {
        number: 3,
        image: Image::square(16, &square),
        source: Image::rgb(40, 24, &wide).unwrap(),
    };
    let purpose = Purpose::Training { epoch: 1 };
    let some = "[crop]\nprobability = 0.5\n[flip]";
    let (mut cropped, mut left) = (0, 0);
    for text in ["abcde", "bcde", "none", some] {
        let policy: Policy = text.parse().or_else(|_| Policy::from_toml(text)).unwrap();
        let sets = ViewSets { policy: &policy, purpose, seed: 4, views: 0..20, original: true };
        let bytes = sets.draw(&[numbered], 16);
        let mut views = bytes.chunks_exact(16 * 16 * 3);
        assert_eq!(views.next().unwrap(), square, "the image precedes its views");
        for (view, pixels) in (0..20).zip(views) {
            let key = ViewKey::new(purpose, 4, 3, view);
            let draw = policy.draw(key, 40, 24);
            let mut out = vec![0; 16 * 16 * 3];
            draw.apply(draw.origin(numbered), 16, &mut Scratch::default(), &mut out).unwrap();
            assert!(out == pixels, "{text} {view}");
            cropped += usize::from(draw.crop.is_some());
            left += usize::from(draw.crop.is_some_and(|part| part.left + part.width > 32));
        }
    }
    assert!((20..60).contains(&cropped) && left > 5, "{cropped} cropped, {left} beyond the square");
}

/// A view without crop is the central square of a rectangle.
#[test]
fn without_a_crop_the_sides_are_left_out() {
    for (width, height) in [(16, 16), (21, 16), (16, 40), (33, 20)] {
        let pixels = noise(width, height);
        let side = width.min(height);
        let (left, top) = ((width - side) / 2, (height - side) / 2);
        let square: Vec<u8> = (top..top + side)
            .flat_map(|row| {
                let start = ((row * width + left) * 3) as usize;
                pixels[start..start + (side * 3) as usize].to_vec()
            })
            .collect();
        for size in [side, 7, 30] {
            let found = apply(Draw::default(), &pixels, width, height, size);
            assert!(found == apply(Draw::default(), &square, side, side, size));
        }
    }
}
