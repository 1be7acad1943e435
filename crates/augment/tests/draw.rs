//! The laws of the drawn parameters, and that they depend on their key alone.

mod common;

use std::collections::HashMap;

use common::{draws as any_draw, numbered};
use proptest::prelude::*;
use selfsame_augment::{
    Adjustment, CropBox, Draw, Fill, GaussianBlur, Interpolation, Policy, PolicyConfig, Purpose,
    Shift, Turn, ViewKey,
};

fn policy(text: &str) -> Policy {
    text.parse().unwrap()
}

fn key(image: u64) -> ViewKey {
    numbered_key(image, 1)
}

fn numbered_key(image: u64, view: u32) -> ViewKey {
    ViewKey::new(Purpose::Training { epoch: 2 }, 5, image, view)
}

/// What was drawn before stays as it was: these epochs stand behind every published result.
#[test]
fn purposes_keep_their_epochs() {
    let epoch = |purpose| ViewKey::new(purpose, 1, 2, 3).epoch;
    assert_eq!(epoch(Purpose::Training { epoch: 7 }), 7);
    assert_eq!(epoch(Purpose::Forecast), 0);
    assert_eq!(epoch(Purpose::Centres), 18_446_744_073_709_551_615);
    assert_eq!(epoch(Purpose::Alignment), 18_446_744_073_709_551_614);
    assert_eq!(epoch(Purpose::Certificate), 18_446_744_073_709_551_613);
}

/// A seed must mean the same for ever, on every platform: these were drawn once and written down.
#[test]
fn a_key_means_the_same_for_ever() {
    let drawn: Vec<String> =
        (0..3).map(|image| policy("abcde").draw(key(image), 40, 30).to_string()).collect();
    assert_eq!(drawn, PINNED);
    assert_eq!(every_step().draw(key(3), 40, 30).to_string(), PINNED_EVERY_STEP);
}

const PINNED: [&str; 3] = [
    "crop 12×11 at (26, 8), saturation ×0.924, brightness ×0.885, contrast ×0.692, hue +0.040, \
     grey",
    "crop 17×13 at (7, 6), contrast ×1.400, brightness ×1.256, saturation ×1.161, hue -0.023, \
     grey, \
     blur 1.000 at side 32",
    "crop 31×28 at (2, 0), flip, blur 1.000 at side 32",
];

const PINNED_EVERY_STEP: &str = "crop 14×14 at (7, 12), shift (-3, -3), rotation -13.3°, flip, \
                                 vertical flip, \
    saturation ×0.865, hue -0.097, contrast ×0.930, brightness ×0.935, grey, blur 0.333, solarise \
    from 128";

/// All nine steps, each in every view.
fn every_step() -> Policy {
    let steps = [
        "crop = { scale = [0.1, 0.5], ratio = [0.8, 1.25] }",
        "pad_crop = {}",
        "rotation = { probability = 1 }",
        "flip = { probability = 1 }",
        "vertical_flip = { probability = 1 }",
        "jitter = { probability = 1 }",
        "grey = { probability = 1 }",
        "blur = { probability = 1, sigma = [0.1, 2.0] }",
        "solarise = { probability = 1 }",
    ];
    Policy::from_toml(&steps.join("\n")).unwrap()
}

#[test]
fn every_part_of_the_key_counts() {
    let base = ViewKey::new(Purpose::Training { epoch: 3 }, 1, 2, 4);
    let others = [
        ViewKey::new(Purpose::Training { epoch: 3 }, 2, 2, 4),
        ViewKey::new(Purpose::Training { epoch: 3 }, 1, 3, 4),
        ViewKey::new(Purpose::Training { epoch: 4 }, 1, 2, 4),
        ViewKey::new(Purpose::Training { epoch: 3 }, 1, 2, 5),
        ViewKey::new(Purpose::Training { epoch: 3 }, 1 << 40, 2, 4),
        ViewKey::new(Purpose::Training { epoch: 1 }, 3, 2, 4),
    ];
    let policy = policy("ad");
    let drawn = policy.draw(base, 1000, 1000).crop;
    for other in others {
        assert_ne!(policy.draw(other, 1000, 1000).crop, drawn, "{other:?}");
    }
}

#[test]
fn policies_are_nested() {
    let policy = every_step();
    for (image, subset) in
        (0..20).flat_map(|image| (0..1_u32 << 9).map(move |subset| (image, subset)))
    {
        let full = policy.draw(key(image), 40, 30);
        let config = *policy.config();
        let has = |step: u32| subset >> step & 1 == 1;
        let smaller = PolicyConfig {
            crop: config.crop.filter(|_| has(0)),
            pad_crop: config.pad_crop.filter(|_| has(1)),
            rotation: config.rotation.filter(|_| has(2)),
            flip: config.flip.filter(|_| has(3)),
            vertical_flip: config.vertical_flip.filter(|_| has(4)),
            jitter: config.jitter.filter(|_| has(5)),
            grey: config.grey.filter(|_| has(6)),
            blur: config.blur.filter(|_| has(7)),
            solarise: config.solarise.filter(|_| has(8)),
        };
        let expected = Draw {
            crop: full.crop.filter(|_| has(0)),
            interpolation: full.interpolation,
            shift: full.shift.filter(|_| has(1)),
            rotation: full.rotation.filter(|_| has(2)),
            flip: has(3),
            vertical_flip: has(4),
            jitter: full.jitter.filter(|_| has(5)),
            grey: has(6),
            blur: full.blur.filter(|_| has(7)),
            solarise: full.solarise.filter(|_| has(8)),
        };
        assert_eq!(
            Policy::try_from(smaller).unwrap().draw(key(image), 40, 30),
            expected,
            "{subset:b}"
        );
    }
}

#[test]
fn a_larger_probability_keeps_the_draws_of_a_smaller() {
    let likely =
        Policy::from_toml("[jitter]\nprobability = 0.9\n[flip]\nprobability = 0.9").unwrap();
    let rare = Policy::from_toml("[jitter]\nprobability = 0.3\n[flip]\nprobability = 0.3").unwrap();
    let draws = |image| (likely.draw(key(image), 8, 8), rare.draw(key(image), 8, 8));
    for (likely, rare) in (0..500).map(draws) {
        assert!(likely.flip || !rare.flip);
        assert!(rare.jitter.is_none() || rare.jitter == likely.jitter);
    }
}

#[test]
fn crops_keep_to_their_area_and_ratio() {
    let policy = Policy::from_toml("[crop]\nscale = [0.2, 0.5]\nratio = [0.5, 2.0]").unwrap();
    for image in 0..5000 {
        let (width, height) = (100, 80);
        let crop = policy.draw(key(image), width, height).crop.unwrap();
        assert!(crop.left + crop.width <= width && crop.top + crop.height <= height);
        // Each side is within half a pixel of the one drawn, so the drawn area and ratio lie
        // between those of the box with half a pixel less and more.
        let [w, h] = [crop.width, crop.height].map(f64::from);
        let full = 100.0 * 80.0;
        assert!(
            (w + 0.5) * (h + 0.5) >= 0.2 * full && (w - 0.5) * (h - 0.5) <= 0.5 * full,
            "{crop:?}"
        );
        assert!((w + 0.5) / (h - 0.5) >= 0.5 && (w - 0.5) / (h + 0.5) <= 2.0, "{crop:?}");
    }
}

#[test]
fn where_no_box_fits_the_largest_central_one_is_taken() {
    // A ratio of 1 and the whole area fit no image that is not square.
    let policy = Policy::from_toml("[crop]\nscale = [1.0, 1.0]\nratio = [1.0, 1.0]").unwrap();
    for (width, height, expected) in [
        (31, 10, [10, 0, 10, 10]),
        (10, 31, [0, 10, 10, 10]),
        (7, 7, [0, 0, 7, 7]),
        (1, 900, [0, 449, 1, 1]),
        (1, 1, [0, 0, 1, 1]),
    ] {
        let crop = policy.draw(key(0), width, height).crop.unwrap();
        assert_eq!([crop.left, crop.top, crop.width, crop.height], expected);
    }
    let wide = Policy::from_toml("[crop]\nscale = [1.0, 1.0]\nratio = [100.0, 100.0]").unwrap();
    let crop = wide.draw(key(0), 1, 5).crop.unwrap();
    assert_eq!([crop.left, crop.top, crop.width, crop.height], [0, 2, 1, 1]);
}

#[test]
fn extreme_sides_and_ratios_give_a_box_inside() {
    let policies = [
        policy("a"),
        Policy::from_toml("[crop]\nscale = [1e-300, 1e-300]").unwrap(),
        Policy::from_toml("[crop]\nratio = [1e-320, 1e308]").unwrap(),
        Policy::from_toml("[crop]\nratio = [1e308, 1e308]").unwrap(),
        Policy::from_toml("[crop]\nratio = [1e-320, 1e-320]").unwrap(),
    ];
    for policy in policies {
        for (width, height) in [(1, 1), (1, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX), (0, 0)]
        {
            for image in 0..50 {
                let crop = policy.draw(key(image), width, height).crop.unwrap();
                let (width, height) = (width.max(1), height.max(1));
                assert!(crop.width >= 1 && crop.width <= width && crop.left <= width - crop.width);
                assert!(
                    crop.height >= 1 && crop.height <= height && crop.top <= height - crop.height
                );
            }
        }
    }
}

const DRAWS: u64 = 100_000;

/// What a true law oversteps with probability at most 10⁻⁹ in `count` draws: ln(2 · 10⁹) / 2n = t²,
/// by Hoeffding's inequality for a frequency and by Dvoretzky, Kiefer, Wolfowitz and Massart's for
/// the distance of Kolmogorov and Smirnov, whether or not the law has ties.
fn tolerance(count: usize) -> f64 {
    (2e9_f64.ln() / (2.0 * count as f64)).sqrt()
}

fn assert_frequency(count: usize, probability: f64) {
    let frequency = count as f64 / DRAWS as f64;
    assert!(
        (frequency - probability).abs() < tolerance(DRAWS as usize),
        "{frequency} instead of {probability}"
    );
}

fn assert_uniform(mut values: Vec<f64>, low: f64, high: f64) {
    let (count, tolerance) = (values.len() as f64, tolerance(values.len()));
    values.sort_by(f64::total_cmp);
    assert!(values[0] >= low && values[values.len() - 1] <= high);
    for (rank, value) in values.iter().enumerate() {
        let expected = (value - low) / (high - low);
        assert!(
            (rank as f64 / count - expected).abs() < tolerance + 1.0 / count,
            "{expected} at rank {rank}"
        );
    }
}

/// Every number from `low` to `high` is as likely.
fn assert_equally_likely(values: &[i32], low: i32, high: i32) {
    assert!(values.iter().all(|value| (low..=high).contains(value)));
    for most in low..=high {
        let below =
            values.iter().filter(|&&value| value <= most).count() as f64 / values.len() as f64;
        let expected = f64::from(most - low + 1) / f64::from(high - low + 1);
        assert!((below - expected).abs() < tolerance(values.len()), "{below} up to {most}");
    }
}

fn draws(policy: &Policy, side: u32) -> Vec<Draw> {
    (0..DRAWS).map(|image| policy.draw(key(image), side, side)).collect()
}

/// Whether each step was made.
fn made(draw: &Draw) -> [bool; 9] {
    [
        draw.crop.is_some(),
        draw.shift.is_some(),
        draw.rotation.is_some(),
        draw.flip,
        draw.vertical_flip,
        draw.jitter.is_some(),
        draw.grey,
        draw.blur.is_some(),
        draw.solarise.is_some(),
    ]
}

const STEPS: [&str; 9] =
    ["crop", "pad_crop", "rotation", "flip", "vertical_flip", "jitter", "grey", "blur", "solarise"];

/// A policy of all steps, each with its own probability.
fn probable(probabilities: [impl std::fmt::Debug; 9]) -> Policy {
    let steps = STEPS
        .iter()
        .zip(probabilities)
        .map(|(step, p)| format!("{step} = {{ probability = {p:?} }}\n"));
    Policy::from_toml(&steps.collect::<String>()).unwrap()
}

#[test]
fn probabilities_are_met() {
    // The views of a pair differ, and so do their successors, which are alike again.
    let pairs = [
        [1.0, 0.3],
        [0.5, 0.0],
        [0.9, 0.1],
        [0.5, 0.5],
        [0.0, 1.0],
        [0.8, 0.2],
        [0.2, 0.7],
        [1.0, 0.0],
        [0.0, 0.2],
    ];
    let policy = probable(pairs);
    for view in 0..4 {
        let mut counts = [0; 9];
        for image in 0..DRAWS {
            let draw = policy.draw(numbered_key(image, view), 32, 32);
            counts
                .iter_mut()
                .zip(made(&draw))
                .for_each(|(count, made)| *count += usize::from(made));
        }
        for (count, pair) in counts.into_iter().zip(pairs) {
            match pair[view as usize % 2] {
                0.0 => assert_eq!(count, 0),
                1.0 => assert_eq!(count as u64, DRAWS),
                probability => assert_frequency(count, probability),
            }
        }
    }
}

/// What is drawn does not depend on how often: the law under a probability is that of the views
/// which have the step.
#[test]
fn a_probability_changes_no_law() {
    let (always, half) = (probable([1.0; 9]), probable([0.5; 9]));
    for image in 0..2000 {
        let (always, half) = (always.draw(key(image), 50, 40), half.draw(key(image), 50, 40));
        assert!(half.crop.is_none() || half.crop == always.crop);
        assert!(half.shift.is_none() || half.shift == always.shift);
        assert!(half.rotation.is_none() || half.rotation == always.rotation);
        assert!(half.jitter.is_none() || half.jitter == always.jitter);
        assert!(half.blur.is_none() || half.blur == always.blur);
        assert!(half.solarise.is_none() || half.solarise == always.solarise);
    }
    let crops: Vec<CropBox> =
        draws(&probable([0.3; 9]), 1 << 24).iter().filter_map(|draw| draw.crop).collect();
    assert_frequency(crops.len(), 0.3);
    let free = f64::from(1 << 24);
    assert_uniform(
        crops.iter().map(|crop| f64::from(crop.left) / (free - f64::from(crop.width))).collect(),
        0.0,
        1.0,
    );
}

#[test]
fn jitter_is_uniform_and_in_every_order() {
    let always =
        Policy::from_toml("[jitter]\nprobability = 1.0\nstrength = 1.0\nbrightness = 1.5").unwrap();
    let jitters: Vec<[Adjustment; 4]> =
        draws(&always, 32).into_iter().map(|draw| draw.jitter.unwrap()).collect();
    let [mut brightness, mut contrast, mut saturation, mut hue] = [const { Vec::new() }; 4];
    let mut orders = HashMap::new();
    for jitter in jitters {
        for adjustment in jitter {
            match adjustment {
                Adjustment::Brightness(factor) => brightness.push(factor),
                Adjustment::Contrast(factor) => contrast.push(factor),
                Adjustment::Saturation(factor) => saturation.push(factor),
                Adjustment::Hue(turn) => hue.push(turn),
            }
        }
        *orders.entry(jitter.map(|adjustment| std::mem::discriminant(&adjustment))).or_insert(0) +=
            1;
    }
    assert_uniform(brightness, 0.0, 2.5);
    assert_uniform(contrast, 1.0 - 0.8, 1.8);
    assert_uniform(saturation, 1.0 - 0.8, 1.8);
    assert_uniform(hue, -0.2, 0.2);
    assert_eq!(orders.len(), 24);
    orders.values().for_each(|&count| assert_frequency(count, 1.0 / 24.0));
}

#[test]
fn crops_are_uniform_in_area_and_place_and_log_uniform_in_ratio() {
    // So large that rounding to pixels is far below the tolerance; ranges that always fit.
    let side = 1 << 24;
    let areas =
        draws(&Policy::from_toml("[crop]\nscale = [0.1, 0.9]\nratio = [1.0, 1.0]").unwrap(), side);
    let share = |crop: &Draw| {
        let crop = crop.crop.unwrap();
        (f64::from(crop.width) / f64::from(side)) * (f64::from(crop.height) / f64::from(side))
    };
    assert_uniform(areas.iter().map(|draw| share(draw).clamp(0.1, 0.9)).collect(), 0.1, 0.9);
    let place = |start: u32, length: u32| f64::from(start) / f64::from(side - length);
    assert_uniform(
        areas
            .iter()
            .map(|draw| draw.crop.unwrap())
            .map(|crop| place(crop.left, crop.width))
            .collect(),
        0.0,
        1.0,
    );
    assert_uniform(
        areas
            .iter()
            .map(|draw| draw.crop.unwrap())
            .map(|crop| place(crop.top, crop.height))
            .collect(),
        0.0,
        1.0,
    );

    let ratios =
        draws(&Policy::from_toml("[crop]\nscale = [0.1, 0.2]\nratio = [0.25, 4.0]").unwrap(), side);
    let ratio = |draw: &Draw| {
        draw.crop.map(|crop| (f64::from(crop.width) / f64::from(crop.height)).ln()).unwrap()
    };
    let (low, high) = (0.25_f64.ln(), 4.0_f64.ln());
    assert_uniform(ratios.iter().map(|draw| ratio(draw).clamp(low, high)).collect(), low, high);
}

#[test]
fn blur_is_uniform() {
    let policy = Policy::from_toml("[blur]\nprobability = 1.0\nsigma = [0.1, 2.0]").unwrap();
    assert_uniform(
        draws(&policy, 32).iter().map(|draw| draw.blur.unwrap().sigma).collect(),
        0.1,
        2.0,
    );
}

#[test]
fn rotation_is_uniform() {
    let policy =
        Policy::from_toml("rotation = { probability = 1, degrees = [-30, 75.5] }").unwrap();
    let turns = draws(&policy, 32).into_iter().map(|draw| draw.rotation.unwrap());
    assert_uniform(turns.map(|turn| turn.degrees).collect(), -30.0, 75.5);
}

#[test]
fn every_shift_is_as_likely() {
    for padding in [1, 4, 28] {
        let policy = Policy::from_toml(&format!("pad_crop = {{ padding = {padding} }}")).unwrap();
        let shifts: Vec<Shift> =
            draws(&policy, 32).into_iter().map(|draw| draw.shift.unwrap()).collect();
        assert_equally_likely(
            &shifts.iter().map(|shift| shift.right).collect::<Vec<_>>(),
            -padding,
            padding,
        );
        assert_equally_likely(
            &shifts.iter().map(|shift| shift.down).collect::<Vec<_>>(),
            -padding,
            padding,
        );
    }
    let still = Policy::from_toml("pad_crop = { padding = 0 }").unwrap();
    assert_eq!(
        still.draw(key(0), 32, 32).shift,
        Some(Shift { right: 0, down: 0, fill: Fill::Black })
    );
}

/// A range of one value gives that value, without a rounding error.
#[test]
fn a_range_of_one_value_gives_it() {
    let policy = Policy::from_toml(
        "rotation = { probability = 1, degrees = [0.1, 0.1] }
         jitter = { probability = 1, brightness = 0, contrast = 0, saturation = 0, hue = 0 }
         blur = { probability = 1, sigma = [0.7, 0.7] }",
    );
    let policy = policy.unwrap();
    for image in 0..100 {
        let draw = policy.draw(key(image), 32, 32);
        assert_eq!(draw.rotation.unwrap().degrees, 0.1);
        assert_eq!(draw.blur.unwrap().sigma, 0.7);
        for adjustment in draw.jitter.unwrap() {
            assert_eq!(
                numbered(adjustment).1,
                if matches!(adjustment, Adjustment::Hue(_)) { 0.0 } else { 1.0 }
            );
        }
    }
}

/// Everything that is drawn for a view, each as one of so many equally likely cells: whether each
/// step is made in one view of two, and the parameters where it is.
fn cells(always: &Policy, half: &Policy, key: ViewKey) -> Vec<(usize, usize)> {
    let side = 1 << 24;
    let mut cells: Vec<(usize, usize)> =
        made(&half.draw(key, side, side)).into_iter().map(|made| (usize::from(made), 2)).collect();
    let third = |value: f64, [low, high]: [f64; 2]| {
        (((value - low) / (high - low) * 3.0).clamp(0.0, 2.0) as usize, 3)
    };
    let draw = always.draw(key, side, side);
    let crop = draw.crop.unwrap();
    let [left, top, width, height] = [crop.left, crop.top, crop.width, crop.height].map(f64::from);
    let full = f64::from(side);
    cells.push(third(width * height / (full * full), [0.1, 0.5]));
    cells.push(third((width / height).ln(), [0.8_f64.ln(), 1.25_f64.ln()]));
    cells.push(third(left, [0.0, full - width]));
    cells.push(third(top, [0.0, full - height]));
    let shift = draw.shift.unwrap();
    cells.push(((shift.right + 4) as usize / 3, 3));
    cells.push(((shift.down + 4) as usize / 3, 3));
    cells.push(third(draw.rotation.unwrap().degrees, [-15.0, 15.0]));
    let jitter = draw.jitter.unwrap().map(numbered);
    // The first two in the order.
    let (first, second) = (jitter[0].0, jitter[1].0);
    cells.push((first * 3 + second - usize::from(second > first), 12));
    for (kind, range) in [[0.6, 1.4], [0.6, 1.4], [0.6, 1.4], [-0.1, 0.1]].into_iter().enumerate() {
        let (_, value) = jitter.into_iter().find(|(number, _)| *number == kind).unwrap();
        cells.push(third(value, range));
    }
    cells.push(third(draw.blur.unwrap().sigma, [0.1, 2.0]));
    cells
}

/// How often two drawn things fall into each pair of their cells.
fn assert_independent(pairs: &[[(usize, usize); 2]], name: &str) {
    let [(_, ones), (_, others)] = pairs[0];
    let mut counts = vec![0; ones * others];
    for [one, other] in pairs {
        counts[one.0 * others + other.0] += 1;
    }
    let expected = 1.0 / counts.len() as f64;
    for (pair, count) in counts.into_iter().enumerate() {
        let frequency = f64::from(count) / pairs.len() as f64;
        assert!(
            (frequency - expected).abs() < tolerance(pairs.len()),
            "{name}, cell {pair}: {frequency}"
        );
    }
}

#[test]
fn all_that_is_drawn_is_independent() {
    let (always, half) = (every_step(), probable([0.5; 9]));
    let views: Vec<_> = (0..DRAWS).map(|image| cells(&always, &half, key(image))).collect();
    for other in 0..views[0].len() {
        for one in 0..other {
            let pairs: Vec<_> = views.iter().map(|view| [view[one], view[other]]).collect();
            assert_independent(&pairs, &format!("{one} and {other}"));
        }
    }
    // The next image is the next entry of `views`.
    let neighbours: [fn(u64) -> ViewKey; 4] = [
        |image| key(image + 1),
        |image| numbered_key(image, 2),
        |image| ViewKey::new(Purpose::Training { epoch: 3 }, 5, image, 1),
        |image| ViewKey::new(Purpose::Training { epoch: 2 }, 6, image, 1),
    ];
    for (number, neighbour) in neighbours.into_iter().enumerate() {
        let others: Vec<_> =
            (0..DRAWS).map(|image| cells(&always, &half, neighbour(image))).collect();
        for drawn in 0..views[0].len() {
            let pairs: Vec<_> = views
                .iter()
                .zip(&others)
                .map(|(view, other)| [view[drawn], other[drawn]])
                .collect();
            assert_independent(&pairs, &format!("{drawn} of neighbours {number}"));
        }
    }
}

#[test]
fn a_draw_prints_its_steps_in_their_order() {
    assert_eq!(Draw::default().to_string(), "unchanged");
    let draw = Draw {
        crop: Some(CropBox { left: 5, top: 9, width: 21, height: 17 }),
        interpolation: Interpolation::Bicubic,
        shift: Some(Shift { right: -3, down: 0, fill: Fill::Reflect }),
        rotation: Some(Turn { degrees: 12.34, smooth: true }),
        flip: true,
        vertical_flip: true,
        jitter: Some([
            Adjustment::Hue(-0.05),
            Adjustment::Brightness(1.25),
            Adjustment::Saturation(0.5),
            Adjustment::Contrast(2.0),
        ]),
        grey: true,
        blur: Some(GaussianBlur { sigma: 1.5, side: Some(32), kernel: Some(23) }),
        solarise: Some(128),
    };
    assert_eq!(
        draw.to_string(),
        "crop 21×17 at (5, 9), bicubic, shift (-3, +0) with margin reflect, rotation +12.3°, \
         flip, vertical flip, \
         hue -0.050, brightness ×1.250, saturation ×0.500, contrast ×2.000, grey, blur 1.500 at \
         side 32 with kernel 23, \
         solarise from 128"
    );
    // What two draws differ in is seen, the usual left out.
    let shift = |fill| {
        Draw { shift: Some(Shift { right: 1, down: 2, fill }), ..Draw::default() }.to_string()
    };
    assert_eq!(shift(Fill::Black), "shift (+1, +2)");
    assert_eq!(shift(Fill::Edge), "shift (+1, +2) with margin edge");
    let rotation =
        Draw { rotation: Some(Turn { degrees: -7.0, smooth: false }), ..Draw::default() };
    assert_eq!(rotation.to_string(), "rotation -7.0° nearest");
    assert_eq!(
        Draw { interpolation: Interpolation::Bicubic, ..Draw::default() }.to_string(),
        "bicubic"
    );
}

proptest! {
    #[test]
    fn every_draw_survives_toml_json_and_printing(draw in any_draw(300, 200)) {
        prop_assert_eq!(toml::from_str::<Draw>(&toml::to_string(&draw).unwrap()).unwrap(), draw);
        prop_assert_eq!(serde_json::from_str::<Draw>(&serde_json::to_string(&draw).unwrap()).unwrap(), draw);
        let printed = draw.to_string();
        prop_assert!(!printed.is_empty() && !printed.contains('\n'));
        prop_assert_eq!(printed == "unchanged", draw == Draw::default());
    }
}

#[test]
fn an_unknown_field_of_a_draw_is_named() {
    assert!(
        toml::from_str::<Draw>("blurr = 1.0")
            .unwrap_err()
            .to_string()
            .contains("unknown field `blurr`")
    );
}
