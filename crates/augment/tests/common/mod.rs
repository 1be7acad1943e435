//! Any policy and any draw for property tests, and what several files need.
#![allow(dead_code, reason = "each test file takes what it needs")]

use proptest::prelude::*;
use selfsame_augment::{
    Adjustment, Blur, Crop, CropBox, Draw, Fill, Flip, GaussianBlur, Grey, Interpolation, Jitter,
    MAX_KERNEL, MAX_SIGMA, PadCrop, Policy, PolicyConfig, Probability, Rotation, Shift, Solarise,
    Turn,
};

fn ordered(low: f64, high: f64) -> impl Strategy<Value = [f64; 2]> {
    (low..=high, low..=high).prop_map(|(a, b)| [a.min(b), a.max(b)])
}

fn probabilities() -> impl Strategy<Value = Probability> {
    let one = || prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0];
    prop_oneof![
        one().prop_map(Probability::from),
        (one(), one()).prop_map(|(a, b)| Probability::of_pair(a, b))
    ]
}

fn interpolations() -> impl Strategy<Value = Interpolation> {
    prop_oneof![Just(Interpolation::Bilinear), Just(Interpolation::Bicubic)]
}

fn fills() -> impl Strategy<Value = Fill> {
    prop_oneof![Just(Fill::Black), Just(Fill::Edge), Just(Fill::Reflect)]
}

fn kernels() -> impl Strategy<Value = Option<u32>> {
    let halves = prop_oneof![0..20_u32, 0..=MAX_KERNEL / 2];
    prop::option::of(halves.prop_map(|half| 2 * half + 1))
}

/// Of the usual size, and of any: every power of two is as likely, down to the least number there
/// is.
fn sigmas() -> impl Strategy<Value = f64> {
    prop_oneof![1e-3..=3.0, 1e-3..=MAX_SIGMA, (1..=MAX_SIGMA.to_bits()).prop_map(f64::from_bits)]
}

fn crops() -> impl Strategy<Value = Crop> {
    (probabilities(), ordered(1e-6, 1.0), ordered(1e-6, 50.0), interpolations()).prop_map(
        |(probability, scale, ratio, interpolation)| Crop {
            probability,
            scale,
            ratio,
            interpolation,
        },
    )
}

fn jitters() -> impl Strategy<Value = Jitter> {
    let any = (
        probabilities(),
        prop_oneof![Just(0.5), 0.0..=2.5],
        [0.0..=100.0, 0.0..=100.0, 0.0..=100.0],
        0.0..=0.2,
    );
    prop_oneof![
        any.prop_map(|(probability, strength, [brightness, contrast, saturation], hue)| Jitter {
            probability,
            strength,
            brightness,
            contrast,
            saturation,
            hue,
        }),
        (0.0..=2.5).prop_map(|strength| Jitter { strength, ..Jitter::default() }),
    ]
}

fn blurs() -> impl Strategy<Value = Blur> {
    let ordered = (sigmas(), sigmas()).prop_map(|(a, b)| [a.min(b), a.max(b)]);
    (probabilities(), ordered, prop::option::of(1..300_u32), kernels())
        .prop_map(|(probability, sigma, side, kernel)| Blur { probability, sigma, side, kernel })
}

/// Policies of any steps with any parameters in their ranges.
pub fn policies() -> impl Strategy<Value = Policy> {
    use prop::option::of;
    let geometry = (
        of(crops()),
        of((probabilities(), 0..=1024_u32, fills())
            .prop_map(|(probability, padding, fill)| PadCrop { probability, padding, fill })),
        of((probabilities(), ordered(-360.0, 360.0), any::<bool>())
            .prop_map(|(probability, degrees, smooth)| Rotation { probability, degrees, smooth })),
        of(probabilities().prop_map(|probability| Flip { probability })),
        of(probabilities().prop_map(|probability| Flip { probability })),
    );
    let colour = (
        of(jitters()),
        of(probabilities().prop_map(|probability| Grey { probability })),
        of(blurs()),
        of((probabilities(), any::<u8>())
            .prop_map(|(probability, threshold)| Solarise { probability, threshold })),
    );
    (geometry, colour).prop_map(
        |((crop, pad_crop, rotation, flip, vertical_flip), (jitter, grey, blur, solarise))| {
            PolicyConfig {
                crop,
                pad_crop,
                rotation,
                flip,
                vertical_flip,
                jitter,
                grey,
                blur,
                solarise,
            }
            .try_into()
            .expect("every parameter is in its range")
        },
    )
}

fn adjustments() -> impl Strategy<Value = Adjustment> {
    prop_oneof![
        (0.0..=260.0).prop_map(Adjustment::Brightness),
        (0.0..=260.0).prop_map(Adjustment::Contrast),
        (0.0..=260.0).prop_map(Adjustment::Saturation),
        (-0.5..=0.5).prop_map(Adjustment::Hue),
    ]
}

/// Draws that suit an image of `width` × `height` pixels.
pub fn draws(width: u32, height: u32) -> impl Strategy<Value = Draw> {
    use prop::option::of;
    let sides = |full: u32| (0..full).prop_flat_map(move |start| (Just(start), 1..=full - start));
    let crop = (sides(width), sides(height)).prop_map(|((left, width), (top, height))| CropBox {
        left,
        top,
        width,
        height,
    });
    let shift =
        (-60..=60, -60..=60, fills()).prop_map(|(right, down, fill)| Shift { right, down, fill });
    let degrees = prop_oneof![Just(0.0), Just(90.0), Just(180.0), Just(-90.0), -360.0..=360.0];
    let turn = (degrees, any::<bool>()).prop_map(|(degrees, smooth)| Turn { degrees, smooth });
    let blur = (sigmas(), of(1..300_u32), kernels())
        .prop_map(|(sigma, side, kernel)| GaussianBlur { sigma, side, kernel });
    let geometry = (of(crop), interpolations(), of(shift), of(turn), any::<bool>(), any::<bool>());
    let jitter = of([adjustments(), adjustments(), adjustments(), adjustments()]);
    (geometry, (jitter, any::<bool>(), of(blur), of(any::<u8>()))).prop_map(
        |(
            (crop, interpolation, shift, rotation, flip, vertical_flip),
            (jitter, grey, blur, solarise),
        )| Draw {
            crop,
            interpolation,
            shift,
            rotation,
            flip,
            vertical_flip,
            jitter,
            grey,
            blur,
            solarise,
        },
    )
}

/// The number of an adjustment in torchvision's `ColorJitter`, and its size.
pub fn numbered(adjustment: Adjustment) -> (usize, f64) {
    match adjustment {
        Adjustment::Brightness(factor) => (0, factor),
        Adjustment::Contrast(factor) => (1, factor),
        Adjustment::Saturation(factor) => (2, factor),
        Adjustment::Hue(turn) => (3, turn),
    }
}
