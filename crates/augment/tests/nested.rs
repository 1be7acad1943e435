//! Which policies hold all views of another, against what can be drawn.

mod common;

use common::{numbered, policies};
use proptest::prelude::*;
use selfsame_augment::{
    Crop, CropBox, Draw, Interpolation, Jitter, Policy, Probability, Purpose, ViewKey,
};
use serde_json::{Value, json};

const WIDTH: u32 = 40;
const HEIGHT: u32 = 30;

/// Views of even and of odd number, with their numbers.
fn draws(policy: &Policy, images: u64) -> impl Iterator<Item = (u32, Draw)> {
    let key = |image, view| ViewKey::new(Purpose::Training { epoch: 0 }, 3, image, view);
    (0..images).flat_map(move |image| {
        (0..2).map(move |view| (view, policy.draw(key(image, view), WIDTH, HEIGHT)))
    })
}

/// Whether `policy` can draw what `draw` says for a view of that number, or what looks the same: no
/// jitter is a jitter by factors of 1 and a turn of 0, which every range holds.
fn can_draw(policy: &Policy, view: u32, draw: &Draw) -> bool {
    let config = policy.config();
    let likely = |step: Option<Probability>| step.map_or(0.0, |step| step.of_view(view));
    let may = |made: bool, step: Option<Probability>| {
        if made { likely(step) > 0.0 } else { likely(step) < 1.0 }
    };
    let within = |value: f64, [low, high]: [f64; 2]| (low..=high).contains(&value);

    may(draw.crop.is_some(), config.crop.map(|step| step.probability))
        && draw.crop.is_none_or(|drawn| can_draw_box(&config.crop.unwrap(), drawn))
        && draw.interpolation
            == config.crop.map_or(Interpolation::Bilinear, |step| step.interpolation)
        && may(draw.shift.is_some(), config.pad_crop.map(|step| step.probability))
        && draw.shift.is_none_or(|drawn| {
            let step = config.pad_crop.unwrap();
            drawn.right.unsigned_abs().max(drawn.down.unsigned_abs()) <= step.padding
                && drawn.fill == step.fill
        })
        && may(draw.rotation.is_some(), config.rotation.map(|step| step.probability))
        && draw.rotation.is_none_or(|drawn| {
            let step = config.rotation.unwrap();
            within(drawn.degrees, step.degrees) && drawn.smooth == step.smooth
        })
        && may(draw.flip, config.flip.map(|step| step.probability))
        && may(draw.vertical_flip, config.vertical_flip.map(|step| step.probability))
        && draw.jitter.is_none_or(|drawn| {
            likely(config.jitter.map(|step| step.probability)) > 0.0
                && drawn.into_iter().map(numbered).all(|(number, value)| {
                    let Jitter { strength, brightness, contrast, saturation, hue, .. } =
                        config.jitter.unwrap();
                    let amount = strength * [brightness, contrast, saturation, hue][number];
                    within(
                        value,
                        if number == 3 {
                            [-amount, amount]
                        } else {
                            [(1.0 - amount).max(0.0), 1.0 + amount]
                        },
                    )
                })
        })
        && may(draw.grey, config.grey.map(|step| step.probability))
        && may(draw.blur.is_some(), config.blur.map(|step| step.probability))
        && draw.blur.is_none_or(|drawn| {
            let step = config.blur.unwrap();
            within(drawn.sigma, step.sigma)
                && drawn.side == step.side
                && drawn.kernel == step.kernel
        })
        && may(draw.solarise.is_some(), config.solarise.map(|step| step.probability))
        && draw.solarise.is_none_or(|drawn| drawn == config.solarise.unwrap().threshold)
}

/// Whether some area and ratio in their ranges round to the box, or none fits and the box is the
/// central one.
fn can_draw_box(crop: &Crop, drawn: CropBox) -> bool {
    const SLACK: f64 = 1e-9;
    let log_area = crop.scale.map(|scale| (scale * f64::from(WIDTH * HEIGHT)).ln());
    let log_ratio = crop.ratio.map(f64::ln);
    // The sides x and y before rounding: ln x + ln y is the area's logarithm and d = ln x − ln y
    // the ratio's. Every bound on the four of them is one on d, given that the area can be chosen
    // between its own.
    let [x, y] = [drawn.width, drawn.height]
        .map(|side| [(f64::from(side) - 0.5).ln(), (f64::from(side) + 0.5).ln()]);
    let least = [log_ratio[0], x[0] - y[1], 2.0 * x[0] - log_area[1], log_area[0] - 2.0 * y[1]];
    let most = [log_ratio[1], x[1] - y[0], 2.0 * x[1] - log_area[0], log_area[1] - 2.0 * y[0]];
    let least = least.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let most = most.into_iter().fold(f64::INFINITY, f64::min);
    if least <= most + SLACK {
        return true;
    }

    let between = |[low, high]: [f64; 2], i: u32| low + (high - low) * f64::from(i) / 50.0;
    let fits = |area: f64, ratio: f64| {
        let [width, height] =
            [(area + ratio) / 2.0, (area - ratio) / 2.0].map(|log| log.exp().round());
        (1.0..=f64::from(WIDTH)).contains(&width) && (1.0..=f64::from(HEIGHT)).contains(&height)
    };
    let all_fit =
        (0..=50).all(|i| (0..=50).all(|j| fits(between(log_area, i), between(log_ratio, j))));
    let [widest, highest] = [f64::from(HEIGHT) * crop.ratio[1], f64::from(WIDTH) / crop.ratio[0]];
    let width = WIDTH.min(widest.round().max(1.0) as u32);
    let height = HEIGHT.min(highest.round().max(1.0) as u32);
    let central = CropBox { left: (WIDTH - width) / 2, top: (HEIGHT - height) / 2, width, height };
    !all_fit && drawn == central
}

/// That `within` says `expected`, and that it is so: all draws can be drawn, or one cannot.
fn check(small: &Policy, large: &Policy, expected: bool) {
    assert_eq!(small.within(large), expected, "{small} within {large}");
    let stranger = draws(small, 400).find(|(view, draw)| !can_draw(large, *view, draw));
    assert_eq!(stranger.is_none(), expected, "{small} within {large}: {stranger:?}");
}

#[test]
fn letters_are_within_those_that_hold_them() {
    let letters = |subset: u32| -> Policy {
        let text: String =
            (0..5).filter(|i| subset >> i & 1 == 1).map(|i| char::from(b'a' + i as u8)).collect();
        if text.is_empty() { "none" } else { &text }.parse().unwrap()
    };
    for (small, large) in (0..32).flat_map(|small| (0..32).map(move |large| (small, large))) {
        // Crop is in every view, so a policy with it has no view of the whole image.
        let expected = small & large == small && small & 1 == large & 1;
        check(&letters(small), &letters(large), expected);
    }
}

#[test]
fn every_parameter_counts() {
    let cases = [
        ("abcd0.25e", "abcde", true),
        ("abcde", "abcd0.25e", false),
        ("d0", "d", true),
        ("mocov2", "simclr", true),
        ("simclr", "mocov2", false),
        ("byol", "barlow_twins", true),
        ("vicreg", "byol", false),
        ("byol", "vicreg", false),
        ("authors", "simclr", false),
        ("{ crop = { scale = [0.2, 0.5] } }", "a", true),
        ("a", "{ crop = { scale = [0.2, 1] } }", false),
        ("a", "{ crop = { scale = [0.08, 0.9] } }", false),
        ("a", "{ crop = { interpolation = 'bicubic' } }", false),
        ("a", "{ crop = { probability = 0.5 } }", true),
        ("{ crop = { probability = 0.5 } }", "a", false),
        ("{ crop = { probability = 0 } }", "none", true),
        ("none", "{ crop = { probability = 0.5 } }", true),
        ("none", "{ crop = { probability = 0.5, interpolation = 'bicubic' } }", false),
        ("{ crop = { probability = [0, 1] } }", "{ crop = { probability = [0, 0.5] } }", true),
        ("{ crop = { probability = [0, 1] } }", "{ crop = { probability = [0.5, 0] } }", false),
        // No area or ratio of either fits 40×30, so both show the middle.
        (
            "{ crop = { scale = [1, 1], ratio = [1, 1] } }",
            "{ crop = { scale = [0.9, 1], ratio = [1, 1] } }",
            true,
        ),
        ("{ pad_crop = { padding = 2 } }", "{ pad_crop = {} }", true),
        ("{ pad_crop = {} }", "{ pad_crop = { padding = 3 } }", false),
        ("{ pad_crop = {} }", "{ pad_crop = { fill = 'edge' } }", false),
        ("{ pad_crop = { probability = 0.5 } }", "{ pad_crop = {} }", false),
        ("{ rotation = { degrees = [-5, 15] } }", "{ rotation = {} }", true),
        ("{ rotation = {} }", "{ rotation = { degrees = [-5, 15] } }", false),
        ("{ rotation = {} }", "{ rotation = { degrees = [-15, 5] } }", false),
        ("{ rotation = {} }", "{ rotation = { smooth = false } }", false),
        ("none", "{ rotation = {} }", true),
        ("none", "{ flip = { probability = 1 } }", false),
        ("{ flip = { probability = 1 } }", "e", true),
        ("e", "{ flip = { probability = 1 } }", false),
        ("e", "{ flip = {}, vertical_flip = {} }", true),
        ("{ vertical_flip = {} }", "e", false),
        ("{ vertical_flip = {} }", "{ vertical_flip = { probability = [0.1, 0.9] } }", true),
        ("{ vertical_flip = {} }", "{ vertical_flip = { probability = [0.1, 0] } }", false),
        ("none", "{ jitter = { probability = 1 } }", true),
        ("d", "{ jitter = { probability = 1 } }", true),
        ("d", "{ jitter = { probability = [1, 0] } }", false),
        (
            "{ jitter = { strength = 2, brightness = 0.2, contrast = 0.2, saturation = 0.2, hue = 0.05 } }",
            "d",
            true,
        ),
        ("{ jitter = { brightness = 0.9 } }", "d", false),
        ("{ jitter = { contrast = 0.9 } }", "d", false),
        ("{ jitter = { saturation = 0.9 } }", "d", false),
        ("{ jitter = { hue = 0.3 } }", "d", false),
        ("{ grey = { probability = [0, 0.5] } }", "c", true),
        ("c", "{ grey = { probability = [0, 0.5] } }", false),
        ("{ blur = { sigma = [0.5, 1] } }", "{ blur = { sigma = [0.1, 2] } }", true),
        ("{ blur = { sigma = [0.1, 2] } }", "{ blur = { sigma = [0.1, 1] } }", false),
        ("{ blur = { sigma = [0.1, 2] } }", "{ blur = { sigma = [0.5, 2] } }", false),
        ("{ blur = { sigma = [1, 1] } }", "b", false),
        ("{ blur = { kernel = 3 } }", "{ blur = { kernel = 5 } }", false),
        ("{ blur = { kernel = 3 } }", "b", false),
        ("{ solarise = { probability = [0, 0.2] } }", "{ solarise = { probability = 0.1 } }", true),
        (
            "{ solarise = { probability = 0.1 } }",
            "{ solarise = { probability = [0, 0.2] } }",
            false,
        ),
        ("{ solarise = { threshold = 100 } }", "{ solarise = {} }", false),
    ];
    for (small, large, expected) in cases {
        check(&small.parse().unwrap(), &large.parse().unwrap(), expected);
    }
}

/// The documented no where the views would be there: other ratios, and steps that are made but
/// change nothing.
#[test]
fn the_answer_may_be_no_for_equal_views() {
    let within =
        |small: &str, large: &str| small.parse::<Policy>().unwrap().within(&large.parse().unwrap());
    assert!(!within("{ crop = { ratio = [1, 1] } }", "a"));
    assert!(!within("d0", "none"));
    assert!(!within("{ pad_crop = { padding = 0 } }", "none"));
}

/// A policy of the same steps or fewer with the same ranges or narrower, by numbers from 0 to 1.
fn narrowed(large: &Policy, mut number: impl FnMut() -> f64) -> Policy {
    let mut steps: serde_json::Map<String, Value> =
        serde_json::from_value(serde_json::to_value(large).unwrap()).unwrap();
    let pair = |value: &Value| match value.as_array() {
        Some(pair) => [0, 1].map(|i| pair[i].as_f64().unwrap()),
        None => [value.as_f64().unwrap(); 2],
    };
    steps.retain(|_, step| {
        let needed =
            pair(&step["probability"]).contains(&1.0) || step["interpolation"] == "bicubic";
        needed || number() < 0.7
    });
    for (name, value) in steps.values_mut().flat_map(|step| step.as_object_mut().unwrap()) {
        match name.as_str() {
            "probability" => {
                *value = json!(pair(value).map(|p| if p == 0.0 || p == 1.0 { p } else { number() }))
            }
            "scale" | "degrees" | "sigma" => {
                let [low, high] = pair(value);
                let [one, other] = [0; 2].map(|_| (low + (high - low) * number()).clamp(low, high));
                *value = json!([one.min(other), one.max(other)]);
            }
            "padding" => *value = json!((value.as_f64().unwrap() * number()) as u32),
            "strength" | "brightness" | "contrast" | "saturation" | "hue" => {
                *value = json!(value.as_f64().unwrap() * number());
            }
            _ => {}
        }
    }
    serde_json::from_value(Value::Object(steps)).unwrap()
}

/// `policy` with one step of `other`.
fn mixed(policy: &Policy, other: &Policy, step: usize) -> Policy {
    let (mut config, other) = (*policy.config(), *other.config());
    match step {
        0 => config.crop = other.crop,
        1 => config.pad_crop = other.pad_crop,
        2 => config.rotation = other.rotation,
        3 => config.flip = other.flip,
        4 => config.vertical_flip = other.vertical_flip,
        5 => config.jitter = other.jitter,
        6 => config.grey = other.grey,
        7 => config.blur = other.blur,
        _ => config.solarise = other.solarise,
    }
    config.try_into().unwrap()
}

proptest! {
    #[test]
    fn a_narrowed_policy_is_within(large in policies(), numbers in prop::collection::vec(0.0..=1.0, 60)) {
        let mut numbers = numbers.into_iter().cycle();
        let small = narrowed(&large, || numbers.next().unwrap());
        prop_assert!(small.within(&large), "{} within {}", small, large);
        prop_assert!(large.within(&large));
        for (view, draw) in draws(&small, 10) {
            prop_assert!(can_draw(&large, view, &draw), "{} cannot draw {}", large, draw);
        }
    }

    /// Where the answer is yes every draw is there, whatever the one step is that need not be
    /// narrower.
    #[test]
    fn no_view_is_missing(
        (large, other) in (policies(), policies()),
        step in 0..9_usize,
        numbers in prop::collection::vec(0.0..=1.0, 60),
    ) {
        let mut numbers = numbers.into_iter().cycle();
        let small = mixed(&narrowed(&large, || numbers.next().unwrap()), &other, step);
        for (view, draw) in draws(&small, 10).filter(|_| small.within(&large)) {
            prop_assert!(can_draw(&large, view, &draw), "{} cannot draw {}", large, draw);
        }
    }
}
